"""Inverses, pseudoinverses, and what equations with several right sides have for solutions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from pyautodl.backends import Array
from pyautodl.errors import DTypeError, LinAlgError, ShapeError
from pyautodl.ops.linalg.common import (
    NDArray,
    check_matrices,
    computed,
    identity,
    normal,
    not_square,
    square_samples,
    turned,
)
from pyautodl.ops.record import ErrorCase, Op, Sample, Spec, register

__all__ = ["INVERSE", "PINV", "SOLVE"]

_SINGULAR = (
    "is singular; likely fix: linalg.pinv or linalg.lstsq, or a small multiple of the "
    "identity added to it"
)


# ---- inverse ----


def _inverse_rule(x: Array) -> tuple[Spec, ...]:
    check_matrices("inverse", x, square=True)
    return (Spec(x.shape, x.dtype),)


def _inverse_forward(ctx: Any, needs: Any, x: Array) -> Array:
    out: Array = ctx.empty(x.shape, x.dtype)
    computed("inverse", np.linalg.inv, (x,), (out,), _SINGULAR, x.shape[:-2])
    ctx.save(out)
    return out


def _inverse_vjp(call: Any, ctx: Any, needs: Any, g: Any) -> tuple[Any, ...]:
    (y,) = ctx.saved
    left = call("matmul", y, g, transpose_a=True)
    return (call("neg", call("matmul", left, y, transpose_b=True)),)


def _inverse_errors() -> Iterator[ErrorCase]:
    yield from not_square("inverse")
    one = np.eye(2)
    several = np.stack([one, np.ones((2, 2))])
    match = "inverse: matrix 1 of the batch is singular; likely fix: linalg.pinv"
    yield ErrorCase((several,), {}, LinAlgError, match)
    match = r"inverse: matrix \(0, 1\) of the batch is singular"
    yield ErrorCase((several[None],), {}, LinAlgError, match)
    match = "inverse: the matrix is singular"
    yield ErrorCase((np.ones((2, 2)),), {}, LinAlgError, match)


INVERSE = register(
    Op(
        name="inverse",
        rule=_inverse_rule,
        forward=_inverse_forward,
        vjp=_inverse_vjp,
        samples=square_samples,
        errors=_inverse_errors,
        reference=np.linalg.inv,
    )
)


# ---- solve ----


def _solve_rule(a: Array, b: Array, transpose: bool = False) -> tuple[Spec, ...]:
    check_matrices("solve", a, square=True)
    shapes = f"A {a.shape}, B {b.shape}"
    if a.dtype is not b.dtype:
        raise DTypeError(
            f"solve: A is {a.dtype.name}, B {b.dtype.name}; likely fix: cast one of them"
        )
    if b.ndim < 2 or b.shape[-2] != a.shape[-1]:
        raise ShapeError(f"solve: expected {a.shape[-1]} rows in B: {shapes}")
    try:
        batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    except ValueError:
        raise ShapeError(f"solve: the batch axes do not broadcast: {shapes}") from None
    return (Spec((*batch, *b.shape[-2:]), a.dtype),)


def _solve_forward(
    ctx: Any, needs: Any, a: Array, b: Array, transpose: bool = False
) -> Array:
    ((shape, dtype),) = _solve_rule(a, b)
    out: Array = ctx.empty(shape, dtype)

    def solve(a: NDArray, b: NDArray) -> NDArray:
        found: NDArray = np.linalg.solve(a.swapaxes(-1, -2) if transpose else a, b)
        return found

    computed("solve", solve, (a, b), (out,), _SINGULAR, shape[:-2])
    ctx.save(a, out if needs[0] else None)
    return out


def _solve_vjp(call: Any, ctx: Any, needs: Any, g: Any) -> tuple[Any, ...]:
    a, x = ctx.saved
    transpose = ctx.attrs.get("transpose", False)
    gb = call("solve", a, g, transpose=not transpose)
    ga = None
    if needs[0]:
        pair = (x, gb) if transpose else (gb, x)
        ga = call("neg", call("matmul", *pair, transpose_b=True))
        ga = _sum_to(call, ga, ctx.shapes[0])
    return ga, _sum_to(call, gb, ctx.shapes[1]) if needs[1] else None


def _sum_to(call: Any, x: Any, shape: tuple[int, ...]) -> Any:
    return x if tuple(x.shape) == shape else call("sum_to", x, shape=shape)


def _solve_reference(a: NDArray, b: NDArray, transpose: bool = False) -> NDArray:
    return np.linalg.solve(a.swapaxes(-1, -2) if transpose else a, b)


def _solve_samples() -> Iterator[Sample]:
    for transpose in (False, True):
        attrs = {"transpose": transpose}
        yield Sample((normal(3, 3), normal(3, 2)), attrs)
        yield Sample((normal(2, 3, 3), normal(3, 1)), attrs, tolerance=10.0)
        yield Sample((normal(3, 3), normal(2, 3, 2)), attrs)
        yield Sample((normal(2, 1, 3, 3), normal(2, 3, 2)), attrs, tolerance=10.0)
    yield Sample((np.zeros((0, 3, 3)), np.zeros((0, 3, 2))))
    yield Sample((normal(3, 3), np.zeros((3, 0))))


def _solve_errors() -> Iterator[ErrorCase]:
    a, b = normal(3, 3), normal(3, 2)
    yield ErrorCase((a, b[:2]), {}, ShapeError, "solve: expected 3 rows in B: A")
    match = "solve: the batch axes do not broadcast"
    yield ErrorCase((normal(2, 3, 3), normal(4, 3, 1)), {}, ShapeError, match)
    yield ErrorCase((b, b), {}, ShapeError, "solve: expected square matrices")
    mixed = (a, b.astype(np.float32))
    yield ErrorCase(mixed, {}, DTypeError, "solve: A is float64, B float32")
    several = np.stack([np.eye(3), np.zeros((3, 3))])
    yield ErrorCase(
        (several, b), {}, LinAlgError, "solve: matrix 1 of the batch is singular"
    )


SOLVE = register(
    Op(
        name="solve",
        rule=_solve_rule,
        forward=_solve_forward,
        vjp=_solve_vjp,
        samples=_solve_samples,
        errors=_solve_errors,
        reference=_solve_reference,
    )
)


# ---- pseudoinverse ----


def _pinv_rule(x: Array, rtol: float, atol: float = 0.0) -> tuple[Spec, ...]:
    check_matrices("pinv", x)
    return (Spec((*x.shape[:-2], x.shape[-1], x.shape[-2]), x.dtype),)


def _pinv_reference(x: NDArray, rtol: float, atol: float = 0.0) -> NDArray:
    """Singular values that are not larger than the limits count as 0."""
    u, s, vh = np.linalg.svd(x, full_matrices=False)
    limit = np.maximum(atol, rtol * s.max(-1, keepdims=True, initial=0.0))
    kept = s > limit
    inverse = np.where(kept, 1 / np.where(kept, s, 1), 0).astype(x.dtype)
    return np.asarray(
        (vh.swapaxes(-1, -2) * inverse[..., None, :]) @ u.swapaxes(-1, -2)
    )


def _pinv_forward(
    ctx: Any, needs: Any, x: Array, rtol: float, atol: float = 0.0
) -> Array:
    ((shape, dtype),) = _pinv_rule(x, rtol, atol)
    out: Array = ctx.empty(shape, dtype)

    def pinv(values: NDArray) -> NDArray:
        return _pinv_reference(values, rtol, atol)

    failure = "has no singular values that converge"
    computed("pinv", pinv, (x,), (out,), failure, shape[:-2])
    ctx.save(x, out)
    return out


def _pinv_vjp(call: Any, ctx: Any, needs: Any, g: Any) -> tuple[Any, ...]:
    """Golub and Pereyra, 1973; the rank must stay."""
    a, p = ctx.saved
    rows, columns = ctx.shapes[0][-2:]
    # - p' g p' + (1 - a p) g' p p' + p' p g' (1 - p a)
    first = call("matmul", call("matmul", p, g, transpose_a=True), p, transpose_b=True)
    total = call("neg", first)
    right = call("matmul", call("matmul", g, p, transpose_a=True), p, transpose_b=True)
    rest = call("sub", identity(call, rows, p.dtype), call("matmul", a, p))
    total = call("add", total, call("matmul", rest, right))
    left = call("matmul", call("matmul", p, p, transpose_a=True), turned(call, g))
    rest = call("sub", identity(call, columns, p.dtype), call("matmul", p, a))
    return (call("add", total, call("matmul", left, rest)),)


def _pinv_samples() -> Iterator[Sample]:
    for shape in ((3, 3), (4, 2), (2, 4), (2, 3, 2), (2, 3, 1)):
        yield Sample((normal(*shape),), {"rtol": 1e-6}, tolerance=10.0)
    # of rank 1; a change of one element changes the rank
    flat = np.outer(normal(3), normal(4))
    yield Sample((flat,), {"rtol": 1e-4}, gradient=False)
    yield Sample((normal(4, 3),), {"rtol": 0.0, "atol": 1.5}, gradient=False)
    yield Sample((np.zeros((2, 3, 0)),), {"rtol": 1e-6})
    yield Sample((np.zeros((0, 3, 2)),), {"rtol": 1e-6})


def _pinv_errors() -> Iterator[ErrorCase]:
    attrs = {"rtol": 1e-6}
    yield ErrorCase((normal(2),), attrs, ShapeError, "pinv: expected matrices")
    match = "pinv: matrix 1 of the batch has elements that are nan"
    bad = np.stack([np.eye(2), np.full((2, 2), np.nan)])
    yield ErrorCase((bad,), attrs, LinAlgError, match)


PINV = register(
    Op(
        name="pinv",
        rule=_pinv_rule,
        forward=_pinv_forward,
        vjp=_pinv_vjp,
        samples=_pinv_samples,
        errors=_pinv_errors,
        reference=_pinv_reference,
    )
)
