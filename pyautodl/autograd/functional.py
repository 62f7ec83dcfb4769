"""Jacobians and Hessians of functions, row by row."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pyautodl.autograd.gradients import grad
from pyautodl.errors import GradError
from pyautodl.graph import MODE
from pyautodl.tensor import Tensor, call, explained

__all__ = ["hessian", "hvp", "jacobian", "jvp", "vhp", "vjp"]


def _as_tuple(value: Any) -> tuple[Any, ...]:
    return (value,) if isinstance(value, Tensor) else tuple(value)


def _unwrap(values: tuple[Any, ...], like: Any) -> Any:
    return values[0] if isinstance(like, Tensor) else values


def _leaves(inputs: Any, create_graph: bool) -> tuple[Tensor, ...]:
    """Tensors to differentiate by: connected to the graph or fresh leaves."""
    found = []
    for x in _as_tuple(inputs):
        if create_graph and x.requires_grad:
            found.append(call("alias", x))
        else:
            found.append(x.detach().requires_grad_())
    return tuple(found)


class _Recording:
    """Grad mode on, whatever the caller has set."""

    def __enter__(self) -> None:
        self._before, MODE.enabled = MODE.enabled, True

    def __exit__(self, *error: object) -> None:
        MODE.enabled = self._before


def _finish(values: Any, create_graph: bool) -> Any:
    if isinstance(values, tuple):
        return tuple([_finish(each, create_graph) for each in values])
    return values if create_graph else values.detach()


def _run(
    what: str, func: Callable[..., Any], inputs: tuple[Tensor, ...]
) -> tuple[Any, tuple[Tensor, ...]]:
    result = func(*inputs)
    outputs = _as_tuple(result)
    if not all(isinstance(y, Tensor) for y in outputs):
        raise TypeError(f"{what}: the function must return a tensor or several")
    return result, outputs


def _gradients(
    what: str,
    outputs: tuple[Tensor, ...],
    inputs: tuple[Tensor, ...],
    grads: tuple[Tensor, ...] | None,
    create_graph: bool,
    strict: bool,
) -> tuple[Tensor, ...]:
    """Gradients with zeros where there is no dependence; an error under strict."""
    pairs = [(y, k) for k, y in enumerate(outputs) if y.requires_grad]
    found: tuple[Any, ...] = (None,) * len(inputs)
    if pairs:
        found = grad(
            [y for y, _ in pairs],
            inputs,
            None if grads is None else [grads[k] for _, k in pairs],
            retain_graph=True,
            create_graph=create_graph,
            allow_unused=True,
        )
    if strict and any(each is None for each in found):
        raise GradError(f"{what}: an output does not depend on an input (strict=True)")
    return tuple(
        [call("zeros_like", x) if g is None else g for x, g in zip(inputs, found)]
    )


@explained
def jacobian(
    func: Callable[..., Any],
    inputs: Any,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    strategy: str = "reverse-mode",
) -> Any:
    """The Jacobian of a function at a point.

    Args:
        func: a function of tensors.
        inputs: a tensor or a tuple of them.
        create_graph: make the result differentiable.
        strict: refuse an output that does not depend on an input.
        vectorize: accepted; rows are computed one after the other.
        strategy: "reverse-mode" alone.

    Shape:
        output shape + input shape; a tuple where there are several inputs, and a tuple
        of those where there are several outputs.

    Example:
        >>> import pyautodl as ad
        >>> ad.autograd.functional.jacobian(lambda x: x * x, ad.tensor([1.0, 2.0]))
        tensor([[2., 0.],
                [0., 4.]])
    """
    if strategy != "reverse-mode":
        raise NotImplementedError(f"jacobian: strategy {strategy!r} is not supported")
    with _Recording():
        leaves = _leaves(inputs, create_graph)
        result, outputs = _run("jacobian", func, leaves)
        blocks = tuple(
            [
                _unwrap(_jacobian_of(y, leaves, create_graph, strict), inputs)
                for y in outputs
            ]
        )
        return _finish(_unwrap(blocks, result), create_graph)


def _jacobian_of(
    y: Tensor, leaves: tuple[Tensor, ...], create_graph: bool, strict: bool
) -> tuple[Tensor, ...]:
    """The blocks of one output, one for each input."""
    count = y.numel()
    flat = call("reshape", y, shape=(count,))
    rows = [
        _gradients("jacobian", (flat[i],), leaves, None, create_graph, strict)
        for i in range(count)
    ]
    shape = tuple(y.shape)
    blocks = []
    for k, x in enumerate(leaves):
        whole = (*shape, *x.shape)
        if rows:
            stacked = call("stack", *[row[k] for row in rows], dim=0)
            blocks.append(call("reshape", stacked, shape=whole))
        else:
            blocks.append(call("full", shape=whole, value=0.0, dtype=x.dtype))
    return tuple(blocks)


@explained
def hessian(
    func: Callable[..., Any],
    inputs: Any,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    outer_jacobian_strategy: str = "reverse-mode",
) -> Any:
    """The Hessian of a function with one output element.

    Args:
        func: a function of tensors.
        inputs: a tensor or a tuple of them.
        create_graph: make the result differentiable.
        strict: refuse an output that does not depend on an input.
        vectorize: accepted.
        outer_jacobian_strategy: "reverse-mode" alone.

    Example:
        >>> import pyautodl as ad
        >>> f = ad.autograd.functional
        >>> f.hessian(lambda x: (x**3).sum(), ad.tensor([1.0, 2.0]))
        tensor([[ 6.,  0.],
                [ 0., 12.]])
    """

    def gradient(*xs: Tensor) -> Any:
        result, outputs = _run("hessian", func, xs)
        _check_scalar("hessian", result)
        found = _gradients("hessian", outputs, xs, None, True, strict)
        return _unwrap(found, inputs)

    return jacobian(
        gradient, inputs, create_graph, strict, vectorize, outer_jacobian_strategy
    )


def _check_scalar(what: str, result: Any) -> None:
    if not isinstance(result, Tensor) or result.numel() != 1:
        raise GradError(f"{what}: the function must return a tensor of one element")


def _full_like(x: Tensor, value: float) -> Tensor:
    made: Tensor = call("full", shape=tuple(x.shape), value=value, dtype=x.dtype)
    return made


def _vector(v: Any, like: tuple[Tensor, ...], what: str) -> tuple[Tensor, ...]:
    if v is None:
        if len(like) != 1 or like[0].numel() != 1:
            raise GradError(f"{what}: v may be left out for a single element alone")
        return (_full_like(like[0], 1.0),)
    vectors = _as_tuple(v)
    shapes = [tuple(x.shape) for x in vectors]
    if shapes != [tuple(x.shape) for x in like]:
        raise GradError(f"{what}: v has shapes {shapes}, which do not fit")
    return vectors


@explained
def vjp(
    func: Callable[..., Any],
    inputs: Any,
    v: Any = None,
    create_graph: bool = False,
    strict: bool = False,
) -> tuple[Any, Any]:
    """Return func(inputs) and the product of v with its Jacobian.

    Args:
        func: a function of tensors.
        inputs: a tensor or a tuple of them.
        v: a tensor, or a tuple of them where there are several outputs; None: 1, for a
            single element.
        create_graph: make the results differentiable.
        strict: refuse an output that does not depend on an input.

    Shape:
        v: as the outputs; the product: as the inputs.

    Raises:
        GradError: v does not fit, or an output does not depend on an input
            (strict).

    Example:
        >>> import pyautodl as ad
        >>> f, x = ad.autograd.functional, ad.tensor([1.0, 2.0])
        >>> f.vjp(lambda x: x * x, x, ad.tensor([1.0, 10.0]))
        (tensor([1., 4.]), tensor([ 2., 40.]))
    """
    with _Recording():
        leaves = _leaves(inputs, create_graph)
        result, outputs = _run("vjp", func, leaves)
        vectors = _vector(v, outputs, "vjp")
        found = _gradients("vjp", outputs, leaves, vectors, create_graph, strict)
        return _finish(result, create_graph), _finish(
            _unwrap(found, inputs), create_graph
        )


@explained
def jvp(
    func: Callable[..., Any],
    inputs: Any,
    v: Any = None,
    create_graph: bool = False,
    strict: bool = False,
) -> tuple[Any, Any]:
    """Return func(inputs) and the product of its Jacobian with v.

    The reverse pass is linear in its own input; its derivative gives the product.

    Args:
        func: a function of tensors.
        inputs: a tensor or a tuple of them.
        v: a tensor, or a tuple of them where there are several inputs; None: 1, for a
            single element.
        create_graph: make the results differentiable.
        strict: refuse an output that does not depend on an input.

    Shape:
        v: as the inputs; the product: as the outputs.

    Raises:
        GradError: v does not fit, or an output does not depend on an input
            (strict).

    Example:
        >>> import pyautodl as ad
        >>> f, x = ad.autograd.functional, ad.tensor([1.0, 2.0])
        >>> f.jvp(lambda x: x.sum() * x, x, ad.tensor([1.0, 0.0]))
        (tensor([3., 6.]), tensor([4., 2.]))
    """
    with _Recording():
        leaves = _leaves(inputs, create_graph)
        result, outputs = _run("jvp", func, leaves)
        vectors = _vector(v, leaves, "jvp")
        dummies = tuple([_full_like(y, 0.0).requires_grad_() for y in outputs])
        transposed = _gradients("jvp", outputs, leaves, dummies, True, strict)
        found = _gradients("jvp", transposed, dummies, vectors, create_graph, False)
        return _finish(result, create_graph), _finish(
            _unwrap(found, result), create_graph
        )


@explained
def vhp(
    func: Callable[..., Any],
    inputs: Any,
    v: Any = None,
    create_graph: bool = False,
    strict: bool = False,
) -> tuple[Any, Any]:
    """Return func(inputs), one element, and the product of v with its Hessian.

    Args:
        func: a function of tensors.
        inputs: a tensor or a tuple of them.
        v: a tensor, or a tuple of them where there are several inputs; None: 1, for a
            single element.
        create_graph: make the results differentiable.
        strict: refuse an output that does not depend on an input.

    Shape:
        v: as the inputs; the product: as the inputs.

    Raises:
        GradError: v does not fit, the function gives more than one element, or an output
            does not depend on an input (strict).

    Example:
        >>> import pyautodl as ad
        >>> f, x = ad.autograd.functional, ad.tensor([1.0, 2.0])
        >>> f.vhp(lambda x: (x**3).sum(), x, ad.tensor([1.0, 1.0]))
        (tensor(9.), tensor([ 6., 12.]))
    """
    with _Recording():
        leaves = _leaves(inputs, create_graph)
        result, outputs = _run("vhp", func, leaves)
        _check_scalar("vhp", result)
        vectors = _vector(v, leaves, "vhp")
        first = _gradients("vhp", outputs, leaves, None, True, strict)
        found = _gradients("vhp", first, leaves, vectors, create_graph, False)
        return _finish(result, create_graph), _finish(
            _unwrap(found, inputs), create_graph
        )


@explained
def hvp(
    func: Callable[..., Any],
    inputs: Any,
    v: Any = None,
    create_graph: bool = False,
    strict: bool = False,
) -> tuple[Any, Any]:
    """Return func(inputs), one element, and the product of its Hessian with v.

    The Hessian is symmetric, so it is `vhp`; arguments, shapes and errors as there.

    Example:
        >>> import pyautodl as ad
        >>> f, x = ad.autograd.functional, ad.tensor([1.0, 2.0])
        >>> f.hvp(lambda x: (x**3).sum(), x, ad.tensor([1.0, 1.0]))
        (tensor(9.), tensor([ 6., 12.]))
    """
    return vhp(func, inputs, v, create_graph, strict)
