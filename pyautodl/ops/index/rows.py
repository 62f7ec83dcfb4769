"""x[index], x[i, j]: parts along the first axes, by Python's indices, negative ones too."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import Any

import numpy as np

from pyautodl.backends import Array, contiguous_strides, empty, run
from pyautodl.errors import DTypeError, ShapeError
from pyautodl.ops.index.common import NDArray, check_index
from pyautodl.ops.index.ravel_index import ravelled
from pyautodl.ops.record import ErrorCase, Op, Sample, Spec, register
from pyautodl.ops.views import copied, grid, view_strides

__all__ = ["INDEX_ROWS"]


def _index_rows_rule(x: Array, *indices: Array) -> tuple[Spec, ...]:
    for index in indices:
        check_index("index", index)
    if not 0 < len(indices) <= x.ndim:
        raise ShapeError(
            f"index: expected indices for 1 to all of the axes of shape {x.shape}, got "
            f"{len(indices)}"
        )
    shapes = [index.shape for index in indices]
    if shapes.count(shapes[0]) < len(shapes):
        raise ShapeError(f"index: expected equal shapes, got {shapes}")
    return (Spec((*shapes[0], *x.shape[len(indices) :]), x.dtype),)


def _index_rows_forward(ctx: Any, needs: Any, x: Array, *indices: Array) -> Array:
    count, size = len(indices), indices[0].size
    line = ravelled(indices, x.shape[:count]).view((size,), (1,))
    rest = x.shape[count:]
    out: Array = ctx.empty((*indices[0].shape, *rest), x.dtype)
    rows = (size, *rest)
    run(
        "index_select",
        (_with_one_axis(x, count), line),
        (out.view(rows, contiguous_strides(rows)),),
        (0,),
    )
    ctx.save(line)
    return out


def _with_one_axis(x: Array, count: int) -> Array:
    """x with its first axes as one."""
    if count == 1:
        return x
    shape = (prod(x.shape[:count]), *x.shape[count:])
    strides = view_strides(x, shape)
    if strides is None:
        x = copied(x, empty(x.shape, x.dtype))
        strides = contiguous_strides(shape)
    return x.view(shape, strides)


def _index_rows_vjp(call: Any, ctx: Any, needs: Any, g: Any) -> tuple[Any, ...]:
    (line,) = ctx.saved
    shape, count = ctx.shapes[0], len(ctx.shapes) - 1
    merged = (prod(shape[:count]), *shape[count:])
    zeros = call("full", shape=merged, value=0.0, dtype=ctx.dtypes[0])
    if len(ctx.shapes[1]) != 1:
        g = call("reshape", g, shape=(*line.shape, *shape[count:]))
    sums = call("index_add", zeros, line, g, dim=0)
    if count > 1:
        sums = call("reshape", sums, shape=shape)
    return sums, *[None] * count


def _index_rows_reference(x: NDArray, *indices: NDArray) -> Any:
    return x[indices]


def _index_rows_samples() -> Iterator[Sample]:
    x = grid(3, 4, 2)
    yield Sample((x, np.array([1, -3, 1])))
    yield Sample((x, np.array([[0, 2], [-1, 0]])))
    yield Sample((x, np.array(2)))
    yield Sample((x, np.zeros(0, np.int64)))
    yield Sample((grid(3), np.array([2, 2])))
    yield Sample((x, np.array([0, -1, 0]), np.array([-1, 2, 3])))
    yield Sample((x, *np.array([[[0, 2]], [[1, 1]], [[-1, 0]]])))
    yield Sample((grid(2, 0), np.zeros(0, np.int64), np.zeros(0, np.int64)))
    many = np.random.default_rng(0).integers(-40, 40, 300)
    yield Sample((grid(40, 33), many), gradient=False)


def _index_rows_errors() -> Iterator[ErrorCase]:
    for bad in (3, -4):
        match = f"index: index {bad} at position 1 is out of range"
        yield ErrorCase((grid(3), np.array([0, bad])), {}, IndexError, match)
    match = "index: indices must be int64, got float64"
    yield ErrorCase((grid(3), np.array([0.0])), {}, DTypeError, match)
    match = r"index: expected indices for 1 to all of the axes of shape \(\), got 1"
    yield ErrorCase((np.array(1.0), np.array([0])), {}, ShapeError, match)
    match = r"index: expected equal shapes, got \[\(2,\), \(1,\)\]"
    inputs = (grid(2, 2), np.array([0, 1]), np.array([0]))
    yield ErrorCase(inputs, {}, ShapeError, match)


INDEX_ROWS = register(
    Op(
        name="index_rows",
        rule=_index_rows_rule,
        forward=_index_rows_forward,
        vjp=_index_rows_vjp,
        samples=_index_rows_samples,
        errors=_index_rows_errors,
        reference=_index_rows_reference,
    )
)
