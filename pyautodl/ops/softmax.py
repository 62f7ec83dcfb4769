"""Softmax, log-softmax and softmax under a mask."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from pyautodl.backends import Array, empty, run
from pyautodl.backends.dtypes import BOOLEAN, FLOATING
from pyautodl.errors import DTypeError, ShapeError
from pyautodl.ops.axes import normalize_axis
from pyautodl.ops.layout import ensure_dense, ensure_layout
from pyautodl.ops.record import ErrorCase, Op, Sample, Spec, register

__all__ = [
    "LOG_SOFTMAX",
    "LOG_SOFTMAX_GRAD",
    "MASKED_SOFTMAX",
    "MASKED_SOFTMAX_GRAD",
    "SOFTMAX",
    "SOFTMAX_GRAD",
]


def _normal(seed: int, *shape: int) -> np.ndarray[Any, Any]:
    return np.asarray(np.random.default_rng(seed).standard_normal(shape))


def _check_floating(name: str, x: Array) -> None:
    if x.dtype.category != FLOATING:
        raise DTypeError(
            f"{name}: expected a floating tensor, got {x.dtype.name} "
            f"(shape {x.shape}); use .float()"
        )


def _check_gradient(name: str, g: Array, y: Array) -> None:
    _check_floating(name, g)
    if g.shape != y.shape or g.dtype is not y.dtype:
        raise ShapeError(
            f"{name}: expected a gradient like the output, got {g.shape} "
            f"{g.dtype.name} for {y.shape} {y.dtype.name}"
        )


def _layouts() -> Iterator[tuple[np.ndarray[Any, Any], int, bool]]:
    """Inputs with an axis: along every axis, every layout, across vectors and tiles."""
    x = _normal(1, 2, 3, 4)
    for dim in (0, 1, -1):
        yield x, dim, True
    yield _normal(2, 4, 3, 2).transpose(2, 0, 1), 1, True
    yield _normal(3), -1, True
    yield _normal(4, 1, 5), 0, True
    yield np.zeros((0, 3)), 1, True
    yield np.zeros((2, 0)), 1, True
    yield _normal(5, 37, 10), 1, False
    yield _normal(6, 3, 150), 1, False
    yield _normal(7, 2, 5, 35), 1, False
    yield _normal(8, 2, 6, 7, 21).transpose(0, 3, 1, 2), 1, False


# ---- softmax and log_softmax ----


def _make_rule(name: str) -> Any:
    def rule(x: Array, dim: int) -> tuple[Spec, ...]:
        _check_floating(name, x)
        normalize_axis(name, dim, x.ndim, x.shape)
        return (Spec(x.shape, x.dtype),)

    return rule


def _make_forward(name: str) -> Any:
    def forward(ctx: Any, needs: Any, x: Array, dim: int) -> Array:
        x = ensure_dense(ctx, x)
        y: Array = ctx.empty_like(x)
        run(f"{name}_fwd", (x,), (y,), (normalize_axis(name, dim, x.ndim),))
        if needs[0]:
            ctx.save(y)
        return y

    return forward


def _make_vjp(name: str) -> Any:
    def vjp(call: Any, ctx: Any, needs: Any, g: Any) -> tuple[Any, ...]:
        (y,) = ctx.saved
        return (call(f"{name}_grad", g, y, dim=ctx.attrs["dim"]),)

    return vjp


def _samples() -> Iterator[Sample]:
    for x, dim, gradient in _layouts():
        yield Sample((x,), {"dim": dim}, gradient=gradient)
    yield Sample((np.array([[1e4, 1e4 + 1], [-800.0, 0.0]]),), {"dim": 1})
    yield Sample((np.array([0.0, np.inf]),), {"dim": 0}, gradient=False)
    yield Sample((np.array([0.0, -np.inf]),), {"dim": 0}, gradient=False)


def _make_errors(name: str) -> Any:
    def errors() -> Iterator[ErrorCase]:
        x = _normal(0, 2, 3)
        yield ErrorCase((x,), {"dim": 2}, IndexError, f"{name}: dim must be from -2")
        integers = np.zeros((2, 3), np.int64)
        match = f"{name}: expected a floating tensor, got int64"
        yield ErrorCase((integers,), {"dim": 1}, DTypeError, match)

    return errors


SOFTMAX, LOG_SOFTMAX = (
    register(
        Op(
            name=name,
            rule=_make_rule(name),
            forward=_make_forward(name),
            vjp=_make_vjp(name),
            samples=_samples,
            errors=_make_errors(name),
        )
    )
    for name in ("softmax", "log_softmax")
)


# ---- their gradients ----


def _make_grad_rule(name: str) -> Any:
    def rule(g: Array, y: Array, dim: int) -> tuple[Spec, ...]:
        _check_gradient(name, g, y)
        normalize_axis(name, dim, y.ndim, y.shape)
        return (Spec(y.shape, y.dtype),)

    return rule


def _make_grad_forward(name: str) -> Any:
    def forward(ctx: Any, needs: Any, g: Array, y: Array, dim: int) -> Array:
        if any(needs):
            ctx.save(g, y)
        y = ensure_dense(ctx, y)
        g = ensure_layout(ctx, g, y)
        dx: Array = ctx.empty_like(y)
        run(f"{name}_bwd", (g, y), (dx,), (normalize_axis(name, dim, y.ndim),))
        return dx

    return forward


def _total(call: Any, x: Any, dim: int) -> Any:
    return call("sum", x, dim=(dim,), keepdim=True)


def _softmax_grad_vjp(call: Any, ctx: Any, needs: Any, u: Any) -> tuple[Any, ...]:
    g, y = ctx.saved
    dim = ctx.attrs["dim"]
    dg = call("softmax_grad", u, y, dim=dim) if needs[0] else None
    if not needs[1]:
        return dg, None
    # d = y (g - s) with s = sum(g y)
    centred = call("sub", g, _total(call, call("mul", g, y), dim))
    back = call("mul", g, _total(call, call("mul", u, y), dim))
    return dg, call("sub", call("mul", u, centred), back)


def _log_softmax_grad_vjp(call: Any, ctx: Any, needs: Any, u: Any) -> tuple[Any, ...]:
    g, y = ctx.saved
    dim = ctx.attrs["dim"]
    # d = g - exp(y) sum(g)
    weighted = call("mul", u, call("exp", y))
    dg = call("sub", u, _total(call, weighted, dim)) if needs[0] else None
    dy = None
    if needs[1]:
        dy = call("neg", call("mul", weighted, _total(call, g, dim)))
    return dg, dy


def _grad_samples() -> Iterator[Sample]:
    for i, (y, dim, gradient) in enumerate(_layouts()):
        g = _normal(20 + i, *y.shape)
        yield Sample((g, y), {"dim": dim}, gradient=gradient)


def _make_grad_errors(name: str) -> Any:
    def errors() -> Iterator[ErrorCase]:
        g, y = _normal(0, 2, 3), _normal(1, 3, 2)
        match = f"{name}: expected a gradient like the output"
        yield ErrorCase((g, y), {"dim": 1}, ShapeError, match)

    return errors


SOFTMAX_GRAD, LOG_SOFTMAX_GRAD = (
    register(
        Op(
            name=f"{name}_grad",
            rule=_make_grad_rule(f"{name}_grad"),
            forward=_make_grad_forward(name),
            vjp=vjp,
            samples=_grad_samples,
            errors=_make_grad_errors(f"{name}_grad"),
            gradient_of=name,
        )
    )
    for name, vjp in (
        ("softmax", _softmax_grad_vjp),
        ("log_softmax", _log_softmax_grad_vjp),
    )
)


# ---- masked softmax ----


def _check_mask(name: str, x: Array, mask: Array) -> None:
    if mask.dtype.category != BOOLEAN:
        raise DTypeError(f"{name}: expected a bool mask, got {mask.dtype.name}")
    front = x.ndim - mask.ndim
    if front < 0 or any(
        size not in (1, n) for size, n in zip(mask.shape, x.shape[front:], strict=True)
    ):
        raise ShapeError(
            f"{name}: expected a mask that broadcasts to the input, got mask "
            f"{mask.shape} for input {x.shape}"
        )


def _spread_mask(x: Array, mask: Array) -> Array:
    """The mask with the shape and the layout of x."""
    if mask.shape == x.shape and mask.strides == x.strides:
        return mask
    front = x.ndim - mask.ndim
    strides = tuple(
        0 if size == 1 else stride
        for size, stride in zip(mask.shape, mask.strides, strict=True)
    )
    out = empty(x.shape, mask.dtype, x.strides)
    run("copy", (mask.view(x.shape, (*(0,) * front, *strides)),), (out,))
    return out


def _masked_rule(x: Array, mask: Array, dim: int) -> tuple[Spec, ...]:
    _check_floating("masked_softmax", x)
    _check_mask("masked_softmax", x, mask)
    normalize_axis("masked_softmax", dim, x.ndim, x.shape)
    return (Spec(x.shape, x.dtype),)


def _masked_forward(ctx: Any, needs: Any, x: Array, mask: Array, dim: int) -> Array:
    x = ensure_dense(ctx, x)
    y: Array = ctx.empty_like(x)
    axis = normalize_axis("masked_softmax", dim, x.ndim)
    run("masked_softmax_fwd", (x, _spread_mask(x, mask)), (y,), (axis,))
    if needs[0]:
        ctx.save(y, mask)
    return y


def _masked_vjp(call: Any, ctx: Any, needs: Any, g: Any) -> tuple[Any, ...]:
    y, mask = ctx.saved
    return call("masked_softmax_grad", g, y, mask, dim=ctx.attrs["dim"]), None


def _masked_samples() -> Iterator[Sample]:
    for i, (x, dim, gradient) in enumerate(_layouts()):
        mask = np.asarray(np.random.default_rng(40 + i).random(x.shape) < 0.6)
        yield Sample((x, mask), {"dim": dim}, gradient=gradient)
    row = np.array([True, False, True, True])
    yield Sample((_normal(1, 2, 3, 4), row), {"dim": -1})
    yield Sample((_normal(1, 2, 3, 4), row), {"dim": 0})
    infinite = np.array([0.0, np.inf, 1.0])
    yield Sample((infinite, np.array([True, False, True])), {"dim": 0}, gradient=False)
    # where all that is kept is -inf, nothing is left, in each of the kernels' loops
    for shape in ((3, 5), (40, 3), (3, 40)):
        lowest, kept = np.full(shape, -np.inf), np.ones(shape, bool)
        kept[:, 0] = False
        yield Sample((lowest, kept), {"dim": 0}, gradient=False)
        yield Sample((lowest, kept), {"dim": 1}, gradient=False)


def _masked_errors() -> Iterator[ErrorCase]:
    x, mask = _normal(0, 2, 3), np.ones((2, 3), bool)
    yield ErrorCase((x, mask), {"dim": 2}, IndexError, "masked_softmax: dim must be")
    match = "masked_softmax: expected a bool mask, got float64"
    yield ErrorCase((x, x), {"dim": 1}, DTypeError, match)
    match = r"masked_softmax: .* got mask \(3, 2\) for input \(2, 3\)"
    yield ErrorCase((x, mask.T), {"dim": 1}, ShapeError, match)


MASKED_SOFTMAX = register(
    Op(
        name="masked_softmax",
        rule=_masked_rule,
        forward=_masked_forward,
        vjp=_masked_vjp,
        samples=_masked_samples,
        errors=_masked_errors,
    )
)


def _masked_grad_rule(g: Array, y: Array, mask: Array, dim: int) -> tuple[Spec, ...]:
    _check_gradient("masked_softmax_grad", g, y)
    _check_mask("masked_softmax_grad", y, mask)
    normalize_axis("masked_softmax_grad", dim, y.ndim, y.shape)
    return (Spec(y.shape, y.dtype),)


def _masked_grad_forward(
    ctx: Any, needs: Any, g: Array, y: Array, mask: Array, dim: int
) -> Array:
    if any(needs):
        ctx.save(g, y, mask)
    y = ensure_dense(ctx, y)
    g = ensure_layout(ctx, g, y)
    dx: Array = ctx.empty_like(y)
    axis = normalize_axis("masked_softmax_grad", dim, y.ndim)
    run("masked_softmax_bwd", (g, y, _spread_mask(y, mask)), (dx,), (axis,))
    return dx


def _masked_grad_vjp(call: Any, ctx: Any, needs: Any, u: Any) -> tuple[Any, ...]:
    g, y, mask = ctx.saved
    dim = ctx.attrs["dim"]
    dg = call("masked_softmax_grad", u, y, mask, dim=dim) if needs[0] else None
    if not needs[1]:
        return dg, None, None
    g, u = (call("zero_where", each, mask, invert=True) for each in (g, u))
    centred = call("sub", g, _total(call, call("mul", g, y), dim))
    back = call("mul", g, _total(call, call("mul", u, y), dim))
    dy = call("sub", call("mul", u, centred), back)
    return dg, dy, None


def _masked_grad_samples() -> Iterator[Sample]:
    for i, (y, dim, gradient) in enumerate(_layouts()):
        rng = np.random.default_rng(60 + i)
        mask = np.asarray(rng.random(y.shape) < 0.6)
        g = np.asarray(rng.standard_normal(y.shape))
        yield Sample((g, y, mask), {"dim": dim}, gradient=gradient)


def _masked_grad_errors() -> Iterator[ErrorCase]:
    g, y = _normal(0, 2, 3), _normal(1, 3, 2)
    match = "masked_softmax_grad: expected a gradient like the output"
    mask = np.ones((3, 2), bool)
    yield ErrorCase((g, y, mask), {"dim": 1}, ShapeError, match)


MASKED_SOFTMAX_GRAD = register(
    Op(
        name="masked_softmax_grad",
        rule=_masked_grad_rule,
        forward=_masked_grad_forward,
        vjp=_masked_grad_vjp,
        samples=_masked_grad_samples,
        errors=_masked_grad_errors,
        gradient_of="masked_softmax",
    )
)
