"""x[index]: parts along the first axis, by Python's indices, negative ones too."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from pyautodl.backends import Array, contiguous_strides, run
from pyautodl.errors import DTypeError, ShapeError
from pyautodl.ops.index.common import NDArray, check_index
from pyautodl.ops.index.ravel_index import ravelled
from pyautodl.ops.record import ErrorCase, Op, Sample, Spec, register
from pyautodl.ops.views import grid

__all__ = ["INDEX_ROWS"]


def _index_rows_rule(x: Array, index: Array) -> tuple[Spec, ...]:
    check_index("index", index)
    if not x.ndim:
        raise ShapeError("index: expected at least one axis, got shape ()")
    return (Spec((*index.shape, *x.shape[1:]), x.dtype),)


def _index_rows_forward(ctx: Any, needs: Any, x: Array, index: Array) -> Array:
    line = ravelled([index], x.shape[:1]).view((index.size,), (1,))
    out: Array = ctx.empty((*index.shape, *x.shape[1:]), x.dtype)
    rows = (index.size, *x.shape[1:])
    run("index_select", (x, line), (out.view(rows, contiguous_strides(rows)),), (0,))
    ctx.save(line)
    return out


def _index_rows_vjp(call: Any, ctx: Any, needs: Any, g: Any) -> tuple[Any, ...]:
    (line,) = ctx.saved
    shape = ctx.shapes[0]
    zeros = call("full", shape=shape, value=0.0, dtype=ctx.dtypes[0])
    if len(ctx.shapes[1]) != 1:
        g = call("reshape", g, shape=(*line.shape, *shape[1:]))
    return call("index_add", zeros, line, g, dim=0), None


def _index_rows_reference(x: NDArray, index: NDArray) -> Any:
    return x[index]


def _index_rows_samples() -> Iterator[Sample]:
    x = grid(3, 4, 2)
    yield Sample((x, np.array([1, -3, 1])))
    yield Sample((x, np.array([[0, 2], [-1, 0]])))
    yield Sample((x, np.array(2)))
    yield Sample((x, np.zeros(0, np.int64)))
    yield Sample((grid(3), np.array([2, 2])))
    many = np.random.default_rng(0).integers(-40, 40, 300)
    yield Sample((grid(40, 33), many), gradient=False)


def _index_rows_errors() -> Iterator[ErrorCase]:
    for bad in (3, -4):
        match = f"index: index {bad} at position 1 is out of range"
        yield ErrorCase((grid(3), np.array([0, bad])), {}, IndexError, match)
    match = "index: indices must be int64, got float64"
    yield ErrorCase((grid(3), np.array([0.0])), {}, DTypeError, match)
    match = "index: expected at least one axis"
    yield ErrorCase((np.array(1.0), np.array([0])), {}, ShapeError, match)


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
