"""Tensors that change in place, and `method`, by which functions become methods."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar
from weakref import ReferenceType

from pyautodl import backends
from pyautodl.backends import Array, KeptCalls, native, prepare
from pyautodl.backends.dtypes import DType
from pyautodl.errors import DTypeError, GradError, ShapeError
from pyautodl.graph import MODE, BySample, Context, record
from pyautodl.ops.plan import MOST, KernelPlan, find_plan, in_order, seen
from pyautodl.ops.record import OPS, Op
from pyautodl.tensor.calls import apply
from pyautodl.tensor.core import Tensor, make
from pyautodl.tensor.views import COPIED, move_retained, overwritten_edge, rebase

__all__ = ["inplace", "inplace_view", "method", "overwrite"]

Function = TypeVar("Function", bound=Callable[..., Any])


def method(*names: Any, inplace: bool = False) -> Any:
    """Register a function as a method of Tensor, under its own name or those given.

    Args:
        names: names of the method; the function itself when used without brackets.
        inplace: also register the variant in place, with an underscore at the end.
    """
    if len(names) == 1 and callable(names[0]):
        setattr(Tensor, names[0].__name__, names[0])
        return names[0]

    def decorate(function: Function) -> Function:
        for name in names or (function.__name__,):
            setattr(Tensor, name, function)
        if inplace:
            variant = globals()["inplace"](function)
            for name in names or (function.__name__,):
                setattr(Tensor, f"{name}_", variant)
        return function

    return decorate


@method
def _check_inplace(
    self: Tensor, name: str, writes: bool = True, recorded: bool = False
) -> None:
    """Raise where a change in place would be wrong: of values, or (not `writes`) of the shape
    alone; of one that is `recorded`, the graph has to learn.
    """
    if MODE.maps:
        # what the function changes may be there before and after it
        raise BySample
    if writes and self._array.repeats_elements():
        raise GradError(
            f"{name}: several elements share memory, as expand() makes them; use clone()"
        )
    base = self._base
    why = None if base is None else self._unchangeable
    if type(why) is ReferenceType:
        if writes and why() is not None:
            raise GradError(f"{name}: {COPIED}")
        why = None
    if not MODE.enabled or (base is None and not self._requires_grad):
        return
    if self.requires_grad and self._edge is None:
        raise GradError(
            f"{name}: a leaf that requires a gradient can't be changed in place; do it "
            "under no_grad(), or out of place"
        )
    if base is not None and base._requires_grad and base._edge is None:
        raise GradError(
            f"{name}: a view of a leaf that requires a gradient can't be changed in "
            "place; do it under no_grad(), or out of place"
        )
    if why is None or base is None:
        return
    if recorded or self._requires_grad or base.requires_grad:
        raise GradError(f"{name}: {why}")


def assign_in_python(self: Tensor, name: str, result: Tensor) -> Tensor:
    """Take over the values and the place in the graph of `result`."""
    mine, theirs = self._array, result._array
    if theirs.shape != mine.shape:
        raise ShapeError(
            f"{name}: the result has shape {theirs.shape}, the tensor that is changed "
            f"in place {mine.shape}; likely fix: {name.rstrip('_')}, which makes a new one"
        )
    if theirs.dtype is not mine.dtype:
        if theirs.dtype.category > mine.dtype.category:
            raise DTypeError(
                f"{name}: the result is {theirs.dtype.name}, which the tensor of "
                f"{mine.dtype.name} can't hold"
            )
        result = apply(OPS["cast"], result, dtype=mine.dtype)
        theirs = result._array
    if result._requires_grad and MODE.enabled:
        self._check_inplace(name, recorded=True)
    if theirs is not mine:
        if result._edge is not None:
            result._edge[0].keep_from(mine.storage)
        if theirs.is_read_elsewhere(mine):
            theirs = in_order(theirs)
        _copy_into(mine, theirs)
    mine.storage.version += 1
    self._take_edge(result)
    return self


# (layout, layout) -> what copies one such array into another
_COPIES = KeptCalls(MOST)


def _copy_into(mine: Array, theirs: Array) -> None:
    key = (theirs.layout(), mine.layout())
    call = _COPIES.get(key)
    if call is None:
        call = prepare("copy", [seen(0, theirs)], [seen(1, mine)], ())
        _COPIES.keep(key, call)
    call((theirs, mine), ())


@method
def _take_edge(self: Tensor, result: Tensor) -> None:
    """Let the graph go through `result`, for this tensor and its base."""
    base = self._base
    if not MODE.enabled:
        return
    if result._requires_grad and result._edge is None:
        result = apply(OPS["alias"], result)
    edge = result.edge()
    if edge is None and base is None and self._edge is not None:
        edge = overwritten_edge(self._array, self._edge)
    before = self._edge
    self._requires_grad = edge is not None
    self._edge = edge
    self._changes += 1
    move_retained(self, before)
    if base is None:
        return
    base_edge = base.edge()
    if base_edge is not None or edge is not None:
        rebase(base, base_edge, self._array, edge)
        if edge is None:
            return  # to follow the base: it goes on needing a gradient
    self._base_changes = base._changes


def inplace(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """The in-place variant of a function whose result has its first input's shape."""
    name = f"{function.__name__}_"

    @functools.wraps(function)
    def changed(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        self._check_inplace(name)
        return self._assign(name, function(self, *args, **kwargs))

    changed.__name__ = changed.__qualname__ = name
    changed.__doc__ = (
        f"Apply `{function.__name__}` in place, with its arguments; return the tensor."
    )
    return changed


def inplace_view(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """The variant of a view function that gives the tensor itself the view's shape."""
    name = f"{function.__name__}_"

    @functools.wraps(function)
    def changed(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        self._check_inplace(name, writes=False)
        enabled = MODE.enabled
        # what is computed stays the same: no_grad() takes it out of no graph
        MODE.enabled = enabled or self.requires_grad
        try:
            view = function(self, *args, **kwargs)
        finally:
            MODE.enabled = enabled
        if view is self:
            return self
        self._array = view._array
        if self._requires_grad and self._edge is None:
            return self  # a leaf, under no_grad(): it stays one
        self._edge = view._edge
        self._requires_grad = view._requires_grad
        if self._base is not None:
            self._base_changes = self._base._changes
        return self

    changed.__name__ = changed.__qualname__ = name
    changed.__doc__ = (
        f"Apply `{function.__name__}`, with its arguments, to the tensor itself; "
        "return it."
    )
    return changed


def overwrite_in_python(
    name: str, op: Op, x: Tensor, *others: Any, **attrs: Any
) -> Tensor:
    """Write `op` of x and others over x: what `inplace` does, for functions of one op."""
    needs = tuple([isinstance(t, Tensor) and t.requires_grad for t in (x, *others)])
    recording = MODE.enabled and True in needs
    x._check_inplace(name, recorded=recording)
    mine = x._array
    beside = _arrays_of(name, others, mine.dtype)
    apart = True
    for each in beside:
        if each.is_read_elsewhere(mine):
            apart = False
    if apart and not recording and _run_over(op, (mine, *beside), attrs):
        x._take_edge(make(mine, None, False))
        return x
    # the memory as an input, apart from the same memory as the output
    arrays = [mine.view(mine.shape, mine.strides), *beside]
    if (
        (recording and (op.keeps_first or x._base is not None))
        or op.rule(*arrays, **attrs)[0] != (mine.shape, mine.dtype)
        or not apart
    ):
        return x._assign(name, apply(op, x, *others, **attrs))
    ctx = Context(attrs, mine)
    op.forward(ctx, needs if recording else (False,) * len(needs), *arrays, **attrs)
    mine.storage.version += 1
    edge = None
    if recording:
        edges = [t.edge() if need else None for t, need in zip((x, *others), needs)]
        edge = (record(op, ctx, needs, arrays, edges, mine), 0)
    x._take_edge(make(mine, edge, recording))
    return x


def _run_over(op: Op, arrays: Sequence[Array], attrs: Mapping[str, Any]) -> bool:
    """Run an op that is one kernel over its first array; False if it can't be so."""
    plan: Any = None if op.plan is None else find_plan(op, arrays, attrs)
    over = plan.over(arrays[0]) if type(plan) is KernelPlan else None
    if over is None:
        return False
    over(arrays, op.params(**attrs) if attrs and op.params else plan.floats)
    arrays[0].storage.version += 1
    return True


def _arrays_of(name: str, inputs: Sequence[Any], dtype: DType) -> list[Array]:
    return [
        x._array if isinstance(x, Tensor) else backends.constant(x, dtype, name)
        for x in inputs
    ]


overwrite: Callable[..., Tensor] = overwrite_in_python
if native.available:
    # for what is not recorded and has a kernel already; all else comes back
    native.dispatch.bind_changes(
        {
            "overwrite": overwrite_in_python,
            "assign": assign_in_python,
            "kernel_plan": KernelPlan,
            "copies": _COPIES,
            "one": 1,
            "nothing": (),
        }
    )
    overwrite = native.dispatch.overwrite


@method
def _assign(self: Tensor, name: str, result: Tensor) -> Tensor:
    """Take over the values and the place in the graph of `result`."""
    return _assign_any(self, name, result)


_assign_any: Callable[[Tensor, str, Tensor], Tensor] = assign_in_python
if native.available:
    _assign_any = native.dispatch.assign
