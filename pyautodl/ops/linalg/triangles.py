"""LU: two triangles and an order of rows, which equations are solved with."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import Any

import numpy as np

from pyautodl.backends import Array
from pyautodl.backends.dtypes import int32
from pyautodl.errors import ShapeError
from pyautodl.ops.linalg.common import (
    NDArray,
    check_matrices,
    computed,
    normal,
    turned,
)
from pyautodl.ops.record import ErrorCase, Op, Sample, Spec, register

__all__ = ["LU", "permutation_matrices"]


def _reference(x: NDArray, pivot: bool = True) -> tuple[NDArray, NDArray]:
    """Both triangles in one matrix, and with which row each row was exchanged, from 1 on."""
    *batch, m, n = x.shape
    # as one batch axis, each step of all matrices at once
    a = x.reshape(prod(batch), m, n).copy()
    each = np.arange(len(a))
    pivots = np.empty((len(a), min(m, n)), np.int32)
    for k in range(min(m, n)):
        chosen = np.full(len(a), k)
        if pivot:
            chosen = k + np.abs(a[:, k:, k]).argmax(1)
            a[each, k], a[each, chosen] = a[each, chosen], a[each, k]
        pivots[:, k] = chosen + 1
        # LAPACK leaves a column without any other number as it is
        found = a[:, k, k] if not pivot else np.where(a[:, k, k] == 0, 1, a[:, k, k])
        a[:, k + 1 :, k] /= found[:, None]
        a[:, k + 1 :, k + 1 :] -= a[:, k + 1 :, k, None] * a[:, None, k, k + 1 :]
    return a.reshape(x.shape), pivots.reshape(*batch, min(m, n))


def permutation_matrices(pivots: NDArray, m: int) -> NDArray:
    """The P of A = P L U as matrices, from what rows were exchanged with."""
    *batch, k = pivots.shape
    rows = pivots.reshape(prod(batch), k)
    each = np.arange(len(rows))
    order = np.tile(np.arange(m), (len(rows), 1))
    for i in range(k):
        chosen = rows[:, i] - 1
        order[each, i], order[each, chosen] = order[each, chosen], order[each, i]
    made = np.zeros((len(rows), m, m))
    made[each[:, None], order, np.arange(m)] = 1
    return made.reshape(*batch, m, m)


def _rule(x: Array, pivot: bool = True) -> tuple[Spec, ...]:
    check_matrices("lu", x)
    pivots = (*x.shape[:-2], min(x.shape[-2:]))
    return Spec(x.shape, x.dtype), Spec(pivots, int32)


def _forward(ctx: Any, needs: Any, x: Array, pivot: bool = True) -> tuple[Array, Array]:
    (shape, dtype), (places, kind) = _rule(x)
    out, pivots = ctx.empty(shape, dtype), ctx.empty(places, kind)

    def lu(values: NDArray) -> tuple[NDArray, NDArray]:
        return _reference(values, pivot)

    computed("lu", lu, (x,), (out, pivots), "has no factors", shape[:-2])
    m = shape[-2]
    order: Array = ctx.empty((*shape[:-1], m), dtype)
    order.numpy()[...] = permutation_matrices(pivots.numpy(), m)
    ctx.save(out, order)
    return out, pivots


def _vjp(call: Any, ctx: Any, needs: Any, g: Any, *_: Any) -> tuple[Any, ...]:
    """With K and V the changes of L and U as L K and V U: triangles of L^-1 P' dA U^-1."""
    both, order = ctx.saved
    m, n = ctx.shapes[0][-2:]
    k = min(m, n)
    ones = _identity_like(call, both, k)
    lower = call("add", call("tri", _corner(call, both, k), diagonal=-1), ones)
    upper = call("tri", _corner(call, both, k), upper=True)
    g_lower = call("tri", _corner(call, g, k), diagonal=-1)
    g_upper = call("tri", _corner(call, g, k), upper=True)
    left = call("matmul", lower, g_lower, transpose_a=True)
    right = call("matmul", g_upper, upper, transpose_b=True)
    if m < n:
        u2, g2 = (_beside(call, each, k, axis=-1) for each in (both, g))
        left = call("sub", left, call("matmul", g2, u2, transpose_b=True))
    elif m > n:
        l2, g2 = (_beside(call, each, k, axis=-2) for each in (both, g))
        right = call("sub", right, call("matmul", l2, g2, transpose_a=True))
    middle = call(
        "add",
        call("tri", left, diagonal=-1),
        call("tri", right, upper=True),
    )
    if m > n:
        inner = call("solve", lower, middle, transpose=True)
        inner = call("cat", inner, g2, dim=-2)
        inner = turned(call, call("solve", upper, turned(call, inner)))
    else:
        inner = turned(call, call("solve", upper, turned(call, middle)))
        if m < n:
            inner = call("cat", inner, g2, dim=-1)
        inner = call("solve", lower, inner, transpose=True)
    return (call("matmul", order, inner),)


def _identity_like(call: Any, x: Any, k: int) -> Any:
    ones = call("full", shape=(k, k), value=1.0, dtype=x.dtype)
    return call("tri", call("tri", ones), upper=True)


def _part(call: Any, x: Any, starts: tuple[int, int], sizes: tuple[int, int]) -> Any:
    batch = tuple(x.shape[:-2])
    zeros, ones = (0,) * len(batch), (1,) * (len(batch) + 2)
    return call(
        "slice", x, starts=(*zeros, *starts), sizes=(*batch, *sizes), steps=ones
    )


def _corner(call: Any, x: Any, k: int) -> Any:
    return _part(call, x, (0, 0), (k, k))


def _beside(call: Any, x: Any, k: int, axis: int) -> Any:
    """What the square corner leaves of a matrix that is longer along an axis."""
    m, n = x.shape[-2:]
    if axis == -1:
        return _part(call, x, (0, k), (k, n - k))
    return _part(call, x, (k, 0), (m - k, k))


def _samples() -> Iterator[Sample]:
    for shape in ((3, 3), (2, 4, 4), (4, 2), (2, 4), (2, 3, 5), (2, 5, 3)):
        yield Sample((normal(*shape),), tolerance=10.0)
    dominant = normal(3, 3) + 4 * np.eye(3)
    yield Sample((dominant,), {"pivot": False}, tolerance=10.0)
    yield Sample((np.zeros((2, 2)),), gradient=False)
    yield Sample((np.zeros((2, 0, 3)),))
    yield Sample((np.zeros((0, 3, 3)),))


def _errors() -> Iterator[ErrorCase]:
    yield ErrorCase((normal(3),), {}, ShapeError, "lu: expected matrices")


LU = register(
    Op(
        name="lu",
        rule=_rule,
        forward=_forward,
        vjp=_vjp,
        samples=_samples,
        errors=_errors,
        reference=_reference,
    )
)
