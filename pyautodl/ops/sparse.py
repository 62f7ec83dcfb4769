"""The product of a matrix of which some elements are held, and a dense one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from pyautodl.backends import Array
from pyautodl.backends.dtypes import FLOATING
from pyautodl.errors import DTypeError, ShapeError
from pyautodl.ops.index.common import check_index, run_named
from pyautodl.ops.layout import ensure_contiguous
from pyautodl.ops.record import ErrorCase, Op, Sample, Spec, register

__all__ = ["SPMM"]

NDArray = np.ndarray[Any, Any]


def _rule(
    values: Array, rows: Array, columns: Array, x: Array, size: int
) -> tuple[Spec, ...]:
    check_index("spmm", rows, line=True)
    check_index("spmm", columns, line=True)
    if x.ndim != 2 or not values.shape == rows.shape == columns.shape:
        raise ShapeError(
            "spmm: expected values, rows and columns (m,) and a matrix, got "
            f"{values.shape}, {rows.shape}, {columns.shape} and {x.shape}"
        )
    if values.dtype.category != FLOATING or x.dtype is not values.dtype:
        raise DTypeError(
            "spmm: expected two matrices of one floating type, got "
            f"{values.dtype.name} and {x.dtype.name}; likely fix: .float() on one of them"
        )
    return (Spec((size, x.shape[1]), x.dtype),)


def _forward(
    ctx: Any,
    needs: Any,
    values: Array,
    rows: Array,
    columns: Array,
    x: Array,
    size: int,
) -> Array:
    reads = [ensure_contiguous(ctx, each) for each in (values, rows, columns, x)]
    y: Array = ctx.empty((size, x.shape[1]), x.dtype)
    run_named("spmm", "spmm", reads, (y,), ())
    ctx.save(*reads)
    return y


def _vjp(call: Any, ctx: Any, needs: Any, g: Any) -> tuple[Any, ...]:
    values, rows, columns, x = ctx.saved
    by_values = by_x = None
    if needs[0]:
        left = call("index_select", g, rows, dim=0)
        right = call("index_select", x, columns, dim=0)
        by_values = call("sum", call("mul", left, right), dim=(1,), keepdim=False)
    if needs[3]:
        by_x = call("spmm", values, columns, rows, g, size=ctx.shapes[3][0])
    return by_values, None, None, by_x


def _reference(
    values: NDArray, rows: NDArray, columns: NDArray, x: NDArray, size: int
) -> Any:
    matrix = np.zeros((size, x.shape[0]))
    np.add.at(matrix, (rows, columns), values)
    return matrix @ x


def _inputs(count: int, size: int, inner: int, width: int) -> tuple[Any, ...]:
    rng = np.random.default_rng(count)
    rows, columns = rng.integers(0, size, count), rng.integers(0, inner, count)
    # some in order, as they mostly are
    rows[: count // 2].sort()
    return rng.normal(size=count), rows, columns, rng.normal(size=(inner, width))


def _samples() -> Iterator[Sample]:
    yield Sample(_inputs(7, 4, 3, 2), {"size": 4})
    yield Sample(_inputs(5, 2, 6, 1), {"size": 2})
    yield Sample(_inputs(0, 3, 2, 2), {"size": 3})
    yield Sample(_inputs(3, 2, 2, 0), {"size": 2})
    yield Sample(_inputs(200, 30, 20, 150), {"size": 30}, gradient=False)
    yield Sample(_inputs(90, 30, 20, 37), {"size": 30}, gradient=False)


def _errors() -> Iterator[ErrorCase]:
    values, rows, columns, x = _inputs(4, 3, 2, 2)
    size = {"size": 3}
    match = "spmm: index 3 at position . .* 0 <= index < 3"
    yield ErrorCase((values, rows * 0 + 3, columns, x), size, IndexError, match)
    match = "spmm: index -1 at position . .* 0 <= index < 2"
    yield ErrorCase((values, rows, columns * 0 - 1, x), size, IndexError, match)
    match = "spmm: expected values, rows and columns"
    yield ErrorCase((values[:2], rows, columns, x), size, ShapeError, match)
    yield ErrorCase((values, rows, columns, x[0]), size, ShapeError, match)
    single = x.astype(np.float32)
    match = "spmm: expected two matrices of one floating type"
    yield ErrorCase((values, rows, columns, single), size, DTypeError, match)
    match = "spmm: indices must be int64"
    yield ErrorCase((values, rows * 1.0, columns, x), size, DTypeError, match)


SPMM = register(
    Op(
        name="spmm",
        rule=_rule,
        forward=_forward,
        vjp=_vjp,
        samples=_samples,
        errors=_errors,
        reference=_reference,
    )
)
