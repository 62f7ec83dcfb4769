"""Eigenvalues of symmetric matrices, singular values of any."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from pyautodl.backends import Array
from pyautodl.errors import LinAlgError, ShapeError
from pyautodl.ops.linalg.common import (
    NDArray,
    check_matrices,
    columns,
    computed,
    diagonal_matrix,
    identity,
    normal,
    not_square,
    rows,
    symmetric,
    turned,
)
from pyautodl.ops.record import ErrorCase, Op, Sample, Spec, register

__all__ = ["EIGH", "SVD"]


def _off_diagonal(call: Any, x: Any, differences: Any) -> Any:
    """Elements divided by differences, which are 0 on the diagonal; there 0."""
    one = identity(call, x.shape[-1], x.dtype)
    quotient = call("div", x, call("add", differences, one))
    return call("mul", quotient, call("sub", 1.0, one))


def _differences(call: Any, x: Any) -> Any:
    """x_j - x_i at (i, j)."""
    return call("sub", rows(call, x), columns(call, x))


# ---- eigh ----


def _eigh_rule(x: Array, upper: bool = False) -> tuple[Spec, ...]:
    check_matrices("eigh", x, square=True)
    return Spec(x.shape[:-1], x.dtype), Spec(x.shape, x.dtype)


def _eigh_reference(x: NDArray, upper: bool = False) -> tuple[NDArray, NDArray]:
    values, vectors = np.linalg.eigh(x, "U" if upper else "L")
    return values, vectors


def _eigh_forward(
    ctx: Any, needs: Any, x: Array, upper: bool = False
) -> tuple[Array, Array]:
    values, vectors = ctx.empty(x.shape[:-1], x.dtype), ctx.empty(x.shape, x.dtype)

    def eigh(matrices: NDArray) -> tuple[NDArray, NDArray]:
        return _eigh_reference(matrices, upper)

    failure = "has no eigenvalues that converge"
    computed("eigh", eigh, (x,), (values, vectors), failure, x.shape[:-2])
    ctx.save(values, vectors)
    return values, vectors


def _eigh_vjp(call: Any, ctx: Any, needs: Any, gw: Any, gv: Any) -> tuple[Any, ...]:
    """The symmetric half of V (diag(gw) + (V' gv) / (w_j - w_i)) V'."""
    w, v = ctx.saved
    inner = None if gw is None else diagonal_matrix(call, gw)
    if gv is not None:
        turning = call("matmul", v, gv, transpose_a=True)
        part = symmetric(call, _off_diagonal(call, turning, _differences(call, w)))
        inner = part if inner is None else call("add", inner, part)
    left = call("matmul", v, inner)
    return (call("matmul", left, v, transpose_b=True),)


def _symmetric(*shape: int) -> NDArray:
    x = normal(*shape)
    return np.asarray(x + x.swapaxes(-1, -2))


def _eigh_samples() -> Iterator[Sample]:
    # see the samples of cholesky
    yield Sample((normal(3, 1, 1),))
    yield Sample((np.zeros((0, 2, 2)),))
    for upper in (False, True):
        yield Sample((_symmetric(3, 3),), {"upper": upper}, gradient=False)
        attrs = {"upper": upper}
        yield Sample((_symmetric(2, 4, 4),), attrs, gradient=False, tolerance=10.0)


EIGH = register(
    Op(
        name="eigh",
        rule=_eigh_rule,
        forward=_eigh_forward,
        vjp=_eigh_vjp,
        samples=_eigh_samples,
        errors=partial(not_square, "eigh"),
        reference=_eigh_reference,
    )
)


# ---- svd ----


def _svd_rule(x: Array) -> tuple[Spec, ...]:
    check_matrices("svd", x)
    *batch, m, n = x.shape
    k = min(m, n)
    return (
        Spec((*batch, m, k), x.dtype),
        Spec((*batch, k), x.dtype),
        Spec((*batch, k, n), x.dtype),
    )


def _svd_reference(x: NDArray) -> tuple[NDArray, NDArray, NDArray]:
    u, s, vh = np.linalg.svd(x, full_matrices=False)
    return u, s, vh


def _svd_forward(ctx: Any, needs: Any, x: Array) -> tuple[Array, ...]:
    outputs = tuple(ctx.empty(*spec) for spec in _svd_rule(x))
    failure = "has no singular values that converge"
    computed("svd", _svd_reference, (x,), outputs, failure, x.shape[:-2])
    ctx.save(*outputs)
    return outputs


def _svd_vjp(
    call: Any, ctx: Any, needs: Any, gu: Any, gs: Any, gvh: Any
) -> tuple[Any, ...]:
    """What turns the singular vectors in their space, and what turns them out of it."""
    u, s, vh = ctx.saved
    m, n = ctx.shapes[0][-2:]
    inner = None if gs is None else diagonal_matrix(call, gs)
    squares = _differences(call, call("mul", s, s))
    outer = []
    if gu is not None:
        turning = call("matmul", u, gu, transpose_a=True)
        part = _off_diagonal(call, _skew(call, turning), squares)
        inner = _plus(call, inner, call("mul", part, rows(call, s)))
        if m > n:
            rest = call("sub", gu, call("matmul", u, turning))
            outer.append(call("matmul", call("div", rest, rows(call, s)), vh))
    if gvh is not None:
        turning = call("matmul", gvh, vh, transpose_b=True)
        # the transpose: gv = gvh'
        part = _off_diagonal(call, _skew(call, turned(call, turning)), squares)
        inner = _plus(call, inner, call("mul", part, columns(call, s)))
        if n > m:
            rest = call("sub", gvh, call("matmul", turning, vh))
            outer.append(call("matmul", u, call("div", rest, columns(call, s))))
    total = call("matmul", call("matmul", u, inner), vh)
    for each in outer:
        total = call("add", total, each)
    return (total,)


def _skew(call: Any, x: Any) -> Any:
    return call("sub", x, turned(call, x))


def _plus(call: Any, x: Any, y: Any) -> Any:
    return y if x is None else call("add", x, y)


def _svd_samples() -> Iterator[Sample]:
    for shape in ((3, 3), (4, 2), (2, 4), (2, 3, 2), (2, 2, 3)):
        yield Sample((normal(*shape),), tolerance=30.0)
    yield Sample((np.zeros((0, 3, 2)),))
    yield Sample((normal(2, 1, 1),))


def _svd_errors() -> Iterator[ErrorCase]:
    yield ErrorCase((normal(2),), {}, ShapeError, "svd: expected matrices")
    bad = np.stack([np.eye(2), np.full((2, 2), np.nan)])
    match = "svd: matrix 1 of the batch has elements that are nan"
    yield ErrorCase((bad,), {}, LinAlgError, match)


SVD = register(
    Op(
        name="svd",
        rule=_svd_rule,
        forward=_svd_forward,
        vjp=_svd_vjp,
        samples=_svd_samples,
        errors=_svd_errors,
        reference=_svd_reference,
    )
)
