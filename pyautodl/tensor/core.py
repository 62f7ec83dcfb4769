"""The class `Tensor`: its state, its place in the graph.

What does not depend on the graph stands beside this file, one idea a file.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from pyautodl import backends
from pyautodl.backends import Array, contiguous_strides, native, pack_layout
from pyautodl.backends.dtypes import DTYPES, FLOATING, DType
from pyautodl.backends.fields import TensorFields
from pyautodl.errors import DTypeError, GradError, ShapeError, warn
from pyautodl.graph import Edge, Node, run_backward
from pyautodl.tensor.properties import get_default_dtype
from pyautodl.tensor.protocols import BOUND, Protocols
from pyautodl.tensor.views import move_retained, view_edge

__all__ = [
    "RemovableHandle",
    "Tensor",
    "array_of",
    "backward_targets",
    "constant",
    "gradients_of",
    "make",
    "mark_copy",
    "root_gradient",
    "target_edge",
]


class Tensor(Protocols, TensorFields):
    """An array of numbers that remembers how it was computed.

    Tensors are made by `tensor`, `zeros`, `rand`, ... and by computing with tensors.
    With `requires_grad=True` a tensor is a leaf of the graph: `backward()` of what is
    computed from it fills its `grad`.

    As PyTorch's older constructor `Tensor(2, 3)` is a tensor of that shape, which is not
    set, and `Tensor([1, 2])` one of the default element type.

    Example:
        >>> import pyautodl as ad
        >>> x = ad.tensor([1.0, 2.0], requires_grad=True)
        >>> (x * x).sum().backward()
        >>> x.grad
        tensor([2., 4.])
    """

    __slots__ = ("__dict__", "__weakref__")

    def __init__(self, *data: Any, requires_grad: bool = False) -> None:
        if len(data) == 1 and isinstance(data[0], Tensor):
            source = data[0]
        else:
            source = BOUND["sized"](data, get_default_dtype())
        self._setup(source._array, None, requires_grad)

    def _setup(self, array: Array, edge: Edge | None, requires_grad: bool) -> None:
        self._array = array
        self._edge = edge
        self._requires_grad = requires_grad
        self._grad: Tensor | None = None
        # the tensor whose memory this one shows a part of; if there is one, there are
        # also its _changes that were followed, and why a recorded change of it in place
        # is refused, if it is
        self._base: Tensor | None = None
        self._base_changes: int
        self._unchangeable: str | weakref.ref[Tensor] | None
        # how often a view of this tensor, or itself, was changed with a graph
        self._changes = 0
        self._hooks: dict[int, Callable[[Tensor], Any]] | None = None
        self._post_hooks: dict[int, Callable[[Tensor], Any]] | None = None

    if TYPE_CHECKING:
        # the methods that functional registers
        def __setitem__(self, index: Any, value: Any) -> None: ...
        def __neg__(self) -> Tensor: ...
        def __invert__(self) -> Tensor: ...
        def __add__(self, other: Any) -> Tensor: ...
        def __radd__(self, other: Any) -> Tensor: ...
        def __sub__(self, other: Any) -> Tensor: ...
        def __rsub__(self, other: Any) -> Tensor: ...
        def __mul__(self, other: Any) -> Tensor: ...
        def __rmul__(self, other: Any) -> Tensor: ...
        def __truediv__(self, other: Any) -> Tensor: ...
        def __rtruediv__(self, other: Any) -> Tensor: ...
        def __pow__(self, other: Any) -> Tensor: ...
        def __matmul__(self, other: Any) -> Tensor: ...
        def __lt__(self, other: Any) -> Tensor: ...
        def __le__(self, other: Any) -> Tensor: ...
        def __gt__(self, other: Any) -> Tensor: ...
        def __ge__(self, other: Any) -> Tensor: ...

    # ---- its place in the graph ----

    @property
    def requires_grad(self) -> bool:
        """Whether gradients flow to or through this tensor; settable on leaves."""
        if self._base is not None:
            self._follow_base()
        return self._requires_grad

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        if self._edge is not None:
            if not value:
                raise GradError(
                    "requires_grad: only a leaf can be switched off; use x.detach()"
                )
            return
        if value:
            _check_differentiable(self._array.dtype)
        self._requires_grad = bool(value)

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """Set `requires_grad` and return the tensor.

        Example:
            >>> import pyautodl as ad
            >>> ad.ones(2).requires_grad_()
            tensor([1., 1.], requires_grad=True)
        """
        self.requires_grad = requires_grad
        return self

    @property
    def is_leaf(self) -> bool:
        """Whether the user made the tensor, or it needs no gradient."""
        return self.edge_source() is None

    def edge_source(self) -> Node | None:
        """The recorded call that made the tensor; None for a leaf.

        Example:
            >>> import pyautodl as ad
            >>> x = ad.ones(2, requires_grad=True)
            >>> x.edge_source() is None, (x * 2).edge_source().op.name
            (True, 'mul')
        """
        if self._base is not None:
            self._follow_base()
        return None if self._edge is None else self._edge[0]

    @property
    def grad_fn(self) -> Node | None:
        """The recorded call that made the tensor; None for a leaf."""
        return self.edge_source()

    @property
    def output_nr(self) -> int:
        """Which output of `grad_fn` it is."""
        return 0 if self._edge is None else self._edge[1]

    def edge(self) -> Edge | None:
        """Where a gradient of this tensor goes; None if nowhere.

        Example:
            >>> import pyautodl as ad
            >>> x = ad.ones(2, requires_grad=True)
            >>> source, output = (x * 2).edge()
            >>> source.op.name, output
            ('mul', 0)
        """
        if self._base is not None:
            self._follow_base()
        if self._edge is not None:
            return self._edge
        return (self, 0) if self._requires_grad else None

    @property
    def retains_grad(self) -> bool:
        """Whether a tensor that is no leaf keeps its gradient."""
        node = self.edge_source()
        return node is not None and self.output_nr in (node.retained or {})

    def retain_grad(self) -> None:
        """Let backward fill `grad` though the tensor is no leaf.

        Raises:
            GradError: the tensor requires no gradient.

        Example:
            >>> import pyautodl as ad
            >>> x = ad.ones(2, requires_grad=True)
            >>> y = x * 3
            >>> y.retain_grad()
            >>> (y * y).sum().backward()
            >>> y.grad
            tensor([6., 6.])
        """
        if not self.requires_grad:
            raise GradError("retain_grad: the tensor requires no gradient")
        node = self.edge_source()
        if node is not None:
            node.retained = node.retained or {}
            node.retained[self.output_nr] = weakref.ref(self)

    def register_hook(self, hook: Callable[[Tensor], Any]) -> RemovableHandle:
        """Call `hook(grad)` when the gradient is known; what it returns replaces it.

        Raises:
            GradError: the tensor requires no gradient.

        Example:
            >>> import pyautodl as ad
            >>> x = ad.ones(2, requires_grad=True)
            >>> handle = x.register_hook(lambda grad: grad * 10)
            >>> x.sum().backward()
            >>> x.grad
            tensor([10., 10.])
        """
        if not self.requires_grad:
            raise GradError("register_hook: the tensor requires no gradient")
        node = self.edge_source()
        if node is None:
            self._hooks = self._hooks if self._hooks is not None else {}
            return RemovableHandle(self._hooks, hook)
        node.hooks = node.hooks if node.hooks is not None else {}
        return RemovableHandle(node.hooks.setdefault(self.output_nr, {}), hook)

    def register_post_accumulate_grad_hook(
        self, hook: Callable[[Tensor], Any]
    ) -> RemovableHandle:
        """Call `hook(tensor)` after backward has filled a leaf's `grad`.

        Raises:
            GradError: the tensor is no leaf that requires a gradient.

        Example:
            >>> import pyautodl as ad
            >>> x = ad.ones(2, requires_grad=True)
            >>> handle = x.register_post_accumulate_grad_hook(lambda x: print(x.grad))
            >>> x.sum().backward()
            tensor([1., 1.])
        """
        if self.edge_source() is not None or not self._requires_grad:
            raise GradError("register_post_accumulate_grad_hook: expected a leaf")
        self._post_hooks = self._post_hooks if self._post_hooks is not None else {}
        return RemovableHandle(self._post_hooks, hook)

    def backward(
        self,
        gradient: Tensor | None = None,
        retain_graph: bool | None = None,
        create_graph: bool = False,
        inputs: Any = None,
    ) -> None:
        """Fill the `grad` of the leaves this tensor was computed from.

        Args:
            gradient: the gradient of what comes after; needed unless the tensor has one
                element.
            retain_graph: keep what was saved, so that backward can run again (default:
                `create_graph`).
            create_graph: record the pass, for gradients of gradients.
            inputs: fill the `grad` of these tensors alone; those that are no leaves
                retain it from then on.

        Raises:
            GradError: the tensor, or one of `inputs`, requires no gradient; or it has
                several elements and no gradient was given.

        Example:
            >>> import pyautodl as ad
            >>> x = ad.tensor([1.0, 2.0], requires_grad=True)
            >>> (x * x).sum().backward()
            >>> x.grad
            tensor([2., 4.])
        """
        edge = self.edge()
        if edge is None:
            raise GradError(
                "backward: the tensor requires no gradient; likely fix: requires_grad=True "
                "on what it is computed from, or leave no_grad()"
            )
        grad = root_gradient(self, gradient)
        targets = None if inputs is None else backward_targets(inputs)
        keep = create_graph if retain_graph is None else retain_graph
        run_backward([(edge, grad)], keep, create_graph, targets, True)

    def _set_grad(self, value: Tensor | None) -> None:
        if value is not None:
            _check_grad(self, value)
        self._grad = value

    def _drop_grad(self) -> None:
        self._grad = None

    def _told_grad(self) -> Tensor | None:
        """The gradient, with a warning where a tensor never gets one."""
        if self._grad is None and not (self.is_leaf or self.retains_grad):
            warn(
                "grad: the tensor is the result of a call, whose gradient backward does not "
                "keep, so that it is None; likely fix: retain_grad() before backward(), or "
                "the grad of a tensor with requires_grad=True that it is computed from"
            )
        return self._grad

    if TYPE_CHECKING:
        grad: Tensor | None
    else:
        # read at every step for every parameter, so by a function in C; what the engine
        # computes it writes to the slot, unchecked
        grad = property(
            native.dispatch.read_grad if native.available else _told_grad,
            _set_grad,
            _drop_grad,
            "The gradient that backward added up; None: there is none. May be assigned a "
            "tensor of the same shape and element type. What calls give has one only after "
            "retain_grad(); a warning says so.",
        )

    def detach(self) -> Tensor:
        """Return a tensor on the same memory that is a leaf and requires no gradient.

        Example:
            >>> import pyautodl as ad
            >>> x = ad.ones(2, requires_grad=True)
            >>> (x * 2).detach()
            tensor([2., 2.])
        """
        found = make(self._array, None, False)
        if self._base is not None and type(self._unchangeable) is weakref.ReferenceType:
            mark_copy(found, self._unchangeable)
        return found

    def detach_(self) -> Tensor:
        """Cut the tensor off from its graph.

        Example:
            >>> import pyautodl as ad
            >>> y = ad.ones(2, requires_grad=True) * 2
            >>> y.detach_().requires_grad
            False
        """
        if self._base is not None:
            raise GradError("detach_: a view can't be detached in place; use detach()")
        self._edge = None
        self._requires_grad = False
        return self

    @property
    def data(self) -> Tensor:
        """The tensor detached; assigning replaces the memory."""
        return self.detach()

    @data.setter
    def data(self, value: Tensor) -> None:
        if value._array.dtype is not self._array.dtype and self._requires_grad:
            _check_differentiable(value._array.dtype)
        self._array = value._array

    def _follow_base(self) -> None:
        """Renew the place in the graph if the base was changed through another view."""
        base = self._base
        if base is None or self._base_changes == base._changes:
            return
        self._base_changes = base._changes
        base_edge, before = base.edge(), self._edge
        self._requires_grad = base_edge is not None
        self._edge = (
            None if base_edge is None else view_edge(base, base_edge, self._array)
        )
        move_retained(self, before)


class RemovableHandle:
    """Removes a hook; also usable in a with statement."""

    _next_id = 0

    def __init__(self, hooks: dict[int, Any], hook: Any) -> None:
        self.id = RemovableHandle._next_id
        RemovableHandle._next_id += 1
        hooks[self.id] = hook
        self._hooks = hooks

    def remove(self) -> None:
        """Take the hook away."""
        self._hooks.pop(self.id, None)

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(self, *error: object) -> None:
        self.remove()


_new = object.__new__


def array_of(x: Tensor) -> Array:
    """The array of a tensor, of a view as its base is now."""
    if x._base is not None:
        x._follow_base()
    return x._array


def make_in_python(array: Array, edge: Edge | None, requires_grad: bool) -> Tensor:
    """A tensor on an array."""
    tensor = _new(Tensor)
    tensor._array = array
    tensor._edge = edge
    tensor._requires_grad = requires_grad
    tensor._grad = tensor._base = tensor._hooks = tensor._post_hooks = None
    tensor._changes = 0
    return tensor


make: Callable[[Array, Edge | None, bool], Tensor] = make_in_python
if native.available:
    make = native.dispatch.make


def mark_copy(copied: Tensor, source: weakref.ReferenceType[Tensor]) -> None:
    """Note that a tensor is the copy of one that it should be a view of: as a view of it all
    is refused or let through that would be of that one.
    """
    copied._base = whole = make(copied._array, copied._edge, copied._requires_grad)
    copied._base_changes = whole._changes
    copied._unchangeable = source


def _check_differentiable(dtype: DType) -> None:
    if dtype.category != FLOATING:
        raise DTypeError(
            f"requires_grad: only floating tensors can have a gradient, got {dtype.name}"
        )


def _check_grad(tensor: Tensor, value: Any) -> None:
    """Raise if a value can't be a tensor's gradient."""
    if not isinstance(value, Tensor):
        raise TypeError(f"grad: expected a Tensor or None, got {type(value).__name__}")
    if value is tensor:
        raise GradError(
            "grad: a tensor can't be its own gradient; likely fix: x.grad = x.clone()"
        )
    mine, theirs = tensor._array, value._array
    if theirs.shape != mine.shape:
        raise ShapeError(
            f"grad: expected a gradient of the tensor's shape {mine.shape}, got "
            f"{theirs.shape}; likely fix: reshape() or expand_as() it"
        )
    if theirs.dtype is not mine.dtype:
        raise DTypeError(
            f"grad: expected a gradient of the tensor's type {mine.dtype.name}, got "
            f"{theirs.dtype.name}; likely fix: .to(x.dtype)"
        )


def _new_one(shape: tuple[int, ...], dtype: DType) -> Array:
    """An array of the one element 1; not the kept constant, as hooks and whoever is given
    the gradient may change it.
    """
    if not native.available:
        one = backends.empty(shape, dtype)
        one.set_item(1.0)
        return one
    kind = _bytes_of_one(shape, dtype.code)
    array: Array | None = native.dispatch.array_of_bytes(*kind)
    if array is None:
        raise native.out_of_memory(dtype.itemsize)
    return array


@lru_cache(maxsize=64)
def _bytes_of_one(shape: tuple[int, ...], code: int) -> tuple[Any, ...]:
    """What `array_of_bytes` makes such an array of."""
    dtype, strides = DTYPES[code], contiguous_strides(shape)
    layout = pack_layout(code, shape, strides)
    return np.ones(1, dtype.numpy).tobytes(), shape, strides, dtype, layout


def root_gradient(root: Tensor, gradient: Tensor | None) -> Tensor:
    """The gradient to start a backward pass with: given, or 1 for a single element; of the
    root's type.
    """
    array = root._array
    if gradient is None:
        if array.shape and array.size != 1:
            raise GradError(
                f"backward: the tensor has shape {array.shape}; a gradient is implied for "
                "one element alone, so reduce it (.sum(), .mean()) or pass `gradient`"
            )
        return make(_new_one(array.shape, array.dtype), None, False)
    if not isinstance(gradient, Tensor):
        raise TypeError(
            f"backward: expected a Tensor or None as the gradient, got "
            f"{type(gradient).__name__}; likely fix: pyautodl.tensor(...)"
        )
    if gradient._array.shape != array.shape:
        raise ShapeError(
            f"backward: the gradient has shape {gradient._array.shape}, the tensor "
            f"{array.shape}"
        )
    if gradient._array.dtype is not array.dtype:
        return gradient.to(array.dtype)
    return gradient


# arrays of gradients; each parameter's array and its gradient's layout; addresses
Gradients = tuple[list[Array], list[Any], list[int]]


def gradients_in_python(params: Sequence[Tensor]) -> Gradients:
    """The gradients of those parameters that have one, as an optimizer's step wants them."""
    grads: list[Array] = []
    key: list[Any] = []
    addresses: list[int] = []
    for p in params:
        grad = p._grad
        if grad is None:
            continue
        array, mine = grad._array, p._array
        grads.append(array)
        key.append(mine)
        key.append(array._layout or array.layout())
        addresses.append(array.address)
    return grads, key, addresses


def gradients_of(params: Sequence[Tensor]) -> Gradients:
    """The same, by C where it can."""
    found: Gradients | None = None
    if native.available:
        found = native.dispatch.gradients_of(params)
    return gradients_in_python(params) if found is None else found


def target_edge(what: str, i: int, x: Any) -> Edge:
    """Where the gradient of input number i goes."""
    if not isinstance(x, Tensor):
        raise TypeError(f"{what}: input {i} is a {type(x).__name__}, expected a Tensor")
    edge = x.edge()
    if edge is None:
        raise GradError(
            f"{what}: input {i} requires no gradient; set requires_grad=True"
        )
    return edge


def backward_targets(inputs: Any) -> list[Edge]:
    """Where the gradients of the `inputs` of backward go, which are let retain them."""
    given = [inputs] if isinstance(inputs, Tensor) else list(inputs)
    if not given:
        raise GradError("backward: `inputs` is empty; likely fix: None for all leaves")
    targets = [target_edge("backward", i, x) for i, x in enumerate(given)]
    for x in given:
        x.retain_grad()
    return targets


def constant(value: Any, dtype: DType, name: str = "constant") -> Tensor:
    """A 0-dimensional tensor that is not to be changed; they are kept and shared."""
    return make(backends.constant(value, dtype, name), None, False)
