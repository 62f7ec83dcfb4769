"""Function: a user's own operation with its own gradient."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from pyautodl.errors import GradError
from pyautodl.graph import MODE, Edge, Node, Saved, keep, make_node
from pyautodl.ops.record import Op
from pyautodl.tensor import Tensor, call, make

__all__ = ["Function", "FunctionCtx", "once_differentiable"]


class FunctionCtx:
    """What forward leaves for backward; any other attribute may be set, too.

    Attributes:
        needs_input_grad: for each argument of forward, whether it needs a gradient.
    """

    needs_input_grad: tuple[bool, ...]

    def __init__(self, args: Sequence[Any]) -> None:
        arrays = [x._array if isinstance(x, Tensor) else None for x in args]
        self.shapes = [None if a is None else a.shape for a in arrays]
        self.dtypes = [None if a is None else a.dtype for a in arrays]
        self.needs_input_grad = tuple(
            [isinstance(x, Tensor) and x.requires_grad for x in args]
        )
        # while its backward runs; not for longer, or node and ctx would hold each other
        self._node: Node | None = None
        self._to_save: tuple[Tensor | None, ...] = ()
        self._dirty: tuple[Tensor, ...] = ()
        self._constant: tuple[Tensor, ...] = ()
        self._materialize = True
        # shape and element type of each output, to make zeros of
        self._outputs: list[Any] = []

    def save_for_backward(self, *tensors: Tensor | None) -> None:
        """Keep tensors (inputs, outputs or others) for backward; call it once.

        Changing one of them in place before backward is an error that names it.
        """
        for each in tensors:
            if each is not None and not isinstance(each, Tensor):
                raise TypeError(
                    "save_for_backward: expected tensors or None, got "
                    f"{type(each).__name__}; set other things as attributes of ctx"
                )
        self._to_save = tensors

    @property
    def saved_tensors(self) -> tuple[Any, ...]:
        """What forward saved."""
        if self._node is None:
            raise GradError("saved_tensors: they are for backward alone")
        return self._node.saved

    def mark_dirty(self, *args: Tensor) -> None:
        """Say which inputs forward has changed in place; it must return them."""
        self._dirty = args

    def mark_non_differentiable(self, *args: Tensor) -> None:
        """Say which outputs have no gradient."""
        self._constant = args

    def set_materialize_grads(self, value: bool) -> None:
        """Whether backward gets zeros (True, the default) or None for a missing one."""
        self._materialize = value

    def pack(
        self, args: Sequence[Any], edges: Sequence[Edge | None], outputs: Sequence[Any]
    ) -> list[Saved | None]:
        """What `save_for_backward` asked for, as the node keeps it."""
        return [
            None if x is None else _pack(x, args, edges, outputs) for x in self._to_save
        ]

    def forget(self) -> None:
        """Drop the tensors that only forward needed: they would hold the graph."""
        self._to_save = self._dirty = self._constant = ()


def _pack(
    x: Tensor, args: Sequence[Any], edges: Sequence[Edge | None], outputs: Sequence[Any]
) -> Saved:
    for i, output in enumerate(outputs):
        if output is x:
            return keep(x._array, None, i)
    for arg, edge in zip(args, edges):
        if arg is x:
            return keep(x._array, edge, None)
    return keep(x._array, None, None)


class Function:
    """Base of user-defined operations.

    Define `forward(ctx, *args)` and `backward(ctx, *grad_outputs)` as static methods,
    or `forward(*args)` with `setup_context(ctx, inputs, output)`, and call `apply`.
    backward returns one gradient (or None) for each argument of forward; one that is
    larger by broadcasting is summed to the argument's shape. If backward is made of
    differentiable operations, gradients of gradients work, too.

    Example:
        >>> import pyautodl as ad
        >>> class Square(ad.autograd.Function):
        ...     @staticmethod
        ...     def forward(ctx, x):
        ...         ctx.save_for_backward(x)
        ...         return x * x
        ...     @staticmethod
        ...     def backward(ctx, grad):
        ...         (x,) = ctx.saved_tensors
        ...         return 2 * x * grad
        >>> x = ad.tensor(3.0, requires_grad=True)
        >>> Square.apply(x).backward()
        >>> x.grad
        tensor(6.)
    """

    _op: ClassVar[Op]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        vjp = functools.partial(_vjp, cls)
        cls._op = Op(name=cls.__name__, rule=_absent, forward=_absent, vjp=vjp)

    @staticmethod
    def forward(*args: Any, **kwargs: Any) -> Any:
        """Compute the outputs from the arguments."""
        raise NotImplementedError("a Function must define forward as a static method")

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        """Save what backward needs, where forward takes no ctx."""
        raise NotImplementedError("setup_context is not defined")

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        """Give the gradients of the arguments from those of the outputs."""
        raise NotImplementedError("a Function must define backward as a static method")

    @classmethod
    def apply(cls, *args: Any) -> Any:
        """Run forward and record the call if an argument needs a gradient."""
        if MODE.maps:
            from pyautodl.tensor.mapped import maps_of, samplewise

            if maps_of(args):
                return samplewise(cls.apply, args)
        ctx = FunctionCtx(args)
        recording = MODE.enabled and any(ctx.needs_input_grad)
        edges = [
            x.edge() if need else None for x, need in zip(args, ctx.needs_input_grad)
        ]
        result = cls._run_forward(ctx, args)
        many = isinstance(result, (tuple, list))
        outputs = list(result) if many else [result]
        ctx._outputs = [
            (y._array.shape, y._array.dtype) if isinstance(y, Tensor) else None
            for y in outputs
        ]
        _check_dirty(cls.__name__, ctx, args, outputs, recording)
        node = None
        if recording:
            saved = ctx.pack(args, edges, outputs)
            kinds, needs = (ctx.shapes, ctx.dtypes), ctx.needs_input_grad
            node = make_node(
                cls._op, {}, *kinds, needs, edges, saved, len(outputs), ctx
            )
        results = [
            _finish(ctx, y, (node, i) if node is not None else None, args)
            for i, y in enumerate(outputs)
        ]
        ctx.forget()
        return tuple(results) if many else results[0]

    @classmethod
    def _run_forward(cls, ctx: FunctionCtx, args: tuple[Any, ...]) -> Any:
        before, MODE.enabled = MODE.enabled, False
        try:
            if cls.setup_context is Function.setup_context:
                return cls.forward(ctx, *args)
            result = cls.forward(*args)
            cls.setup_context(ctx, args, result)
            return result
        finally:
            MODE.enabled = before


def _absent(*args: Any, **kwargs: Any) -> Any:
    raise GradError("a Function runs through its apply alone")


def _check_dirty(
    name: str,
    ctx: FunctionCtx,
    args: Sequence[Any],
    outputs: list[Any],
    recording: bool,
) -> None:
    for x in ctx._dirty:
        if not any(x is y for y in outputs):
            raise GradError(
                f"{name}: an input marked dirty must be returned by forward"
            )
        if recording:
            x._check_inplace(name, recorded=True)


def _finish(ctx: FunctionCtx, y: Any, edge: Edge | None, args: Sequence[Any]) -> Any:
    """An output of forward as the caller gets it, with its place in the graph."""
    if not isinstance(y, Tensor):
        return y
    constant = any(y is each for each in ctx._constant)
    if constant or not y._array.dtype.is_floating_point:
        edge = None
    if any(y is each for each in ctx._dirty):
        if edge is not None:
            y._take_edge(make(y._array, edge, True))
        return y
    # what forward returned may be an input, or be kept by it: the caller's is another
    tensor = make(y._array, edge, edge is not None)
    if any(y is each for each in args):
        base = y if y._base is None else y._base
        tensor._base, tensor._base_changes = base, base._changes
        tensor._unchangeable = None
    return tensor


def _vjp(
    cls: type[Function],
    call_: Any,
    node: Node,
    needs: Sequence[bool],
    *grads: Any,
) -> tuple[Any, ...]:
    """The record's gradient: the class's backward, checked."""
    ctx: FunctionCtx = node.info
    if ctx._materialize:
        grads = tuple(
            [
                call_("full", shape=output[0], value=0.0, dtype=output[1])
                if grad is None and output is not None
                else grad
                for grad, output in zip(grads, ctx._outputs)
            ]
        )
    before, MODE.enabled = MODE.enabled, call_ is call
    ctx._node = node
    try:
        result = cls.backward(ctx, *grads)
    finally:
        ctx._node = None
        MODE.enabled = before
    results = tuple(result) if isinstance(result, (tuple, list)) else (result,)
    count = len(needs)
    if len(results) > count and all(each is None for each in results[count:]):
        results = results[:count]
    if len(results) != count:
        raise GradError(
            f"{cls.__name__}: backward returned {len(results)} gradients, expected "
            f"{count}, one for each argument of forward (None where there is none)"
        )
    return tuple([_as_grad(cls, ctx, i, grad) for i, grad in enumerate(results)])


def _as_grad(cls: type[Function], ctx: FunctionCtx, i: int, grad: Any) -> Any:
    shape, dtype = ctx.shapes[i], ctx.dtypes[i]
    if grad is None or shape is None or dtype is None:
        return None
    if not isinstance(grad, Tensor):
        raise TypeError(
            f"{cls.__name__}: backward returned {type(grad).__name__} for argument "
            f"{i}, expected a Tensor or None"
        )
    if grad._array.shape != shape and _expands_to(shape, grad._array.shape):
        # of an argument that forward has broadcast
        grad = call("sum_to", grad, shape=shape)
    return grad if grad._array.dtype is dtype else call("cast", grad, dtype=dtype)


def _expands_to(shape: tuple[int, ...], larger: tuple[int, ...]) -> bool:
    """Whether `expand` takes one shape to the other."""
    return len(shape) <= len(larger) and all(
        n in (1, size) for n, size in zip(reversed(shape), reversed(larger))
    )


def once_differentiable(fn: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate a backward that can't be differentiated itself; doing so raises.

    Raises:
        GradError: later, when a gradient of the gradient is asked for.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl.autograd.function import Function, once_differentiable
        >>> class Double(Function):
        ...     @staticmethod
        ...     def forward(ctx, x):
        ...         return x * 2
        ...     @staticmethod
        ...     @once_differentiable
        ...     def backward(ctx, grad):
        ...         return grad * 2
        >>> x = ad.ones(2, requires_grad=True)
        >>> Double.apply(x).sum().backward()
        >>> x.grad
        tensor([2., 2.])
    """

    @functools.wraps(fn)
    def wrapper(ctx: Any, *grads: Any) -> Any:
        before, MODE.enabled = MODE.enabled, False
        try:
            result = fn(ctx, *grads)
        finally:
            MODE.enabled = before
        if not MODE.enabled:
            return result
        many = isinstance(result, (tuple, list))
        results = list(result) if many else [result]
        found = [i for i, each in enumerate(results) if isinstance(each, Tensor)]
        sources = [x for x in (*grads, *ctx.saved_tensors) if isinstance(x, Tensor)]
        blocked = _NotTwice.apply(len(found), *[results[i] for i in found], *sources)
        for i, each in zip(found, blocked):
            results[i] = each
        return tuple(results) if many else results[0]

    return wrapper


class _NotTwice(Function):
    """Passes `count` tensors through and refuses to be differentiated."""

    @staticmethod
    def forward(ctx: Any, count: int, *tensors: Tensor) -> Any:
        return tensors[:count]

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        raise GradError(
            "trying to differentiate twice a function that was marked with "
            "@once_differentiable"
        )
