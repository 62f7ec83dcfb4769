"""What the reductions share: outputs, checks, gradients, examples."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod as product
from typing import Any

import numpy as np

from pyautodl.backends import Array
from pyautodl.backends.dtypes import FLOATING, int64
from pyautodl.errors import DTypeError, ShapeError
from pyautodl.ops.axes import normalize_axes, reduced_shape
from pyautodl.ops.record import ErrorCase, Sample

__all__ = [
    "Dim",
    "Ints",
    "attributes",
    "check_filled",
    "check_float",
    "count_of",
    "dim_errors",
    "dims_samples",
    "div_or_zero",
    "grid",
    "numpy_axis",
    "output",
    "shared_by_ties",
    "spread_back",
    "sum_dtype",
    "with_all_axes",
]

Ints = tuple[int, ...]
Dim = int | Ints | None


def grid(*shape: int) -> np.ndarray[Any, Any]:
    """Normal numbers, the same for a shape."""
    return np.random.default_rng(product(shape)).standard_normal(shape)


def output(
    ctx: Any, x: Array, axes: Ints, keepdim: bool, dtype: Any
) -> tuple[Array, Array]:
    """The output, and the same memory with all of x's axes, as kernels want it."""
    out: Array = ctx.empty(reduced_shape(x.shape, axes, keepdim), dtype)
    if keepdim:
        return out, out
    strides = list(out.strides)
    for axis in axes:
        strides.insert(axis, 1)
    return out, out.view(reduced_shape(x.shape, axes, True), tuple(strides))


def spread_back(call: Any, g: Any, shape: Ints, axes: Ints, keepdim: bool) -> Any:
    """The gradient of a reduced output, once for each element that went into it."""
    if not keepdim:
        g = call("reshape", g, shape=reduced_shape(shape, axes, True))
    return call("expand", g, shape=shape)


def sum_dtype(x: Array) -> Any:
    """The element type of a sum: int64 for whole numbers and bools."""
    return x.dtype if x.dtype.category == FLOATING else int64


def numpy_axis(dim: Dim) -> Dim:
    """As NumPy wants it: () means all axes here, none there."""
    return None if dim == () else dim


def dims_samples(*, crossing: bool = True) -> Iterator[Sample]:
    """Every kind of `dim`, and shapes that cross blocks and vectors."""
    x = grid(2, 3, 4)
    for dim in (None, 0, -1, (0, 2), (1,), ()):
        yield Sample((x,), {"dim": dim})
    yield Sample((x,), {"dim": (1, 2), "keepdim": True})
    yield Sample((grid(),), {})
    yield Sample((grid(1, 3),), {"dim": 0})
    if crossing:
        yield Sample((grid(70, 300),), {"dim": 0}, gradient=False)
        yield Sample((grid(3, 5000),), {"dim": 1}, gradient=False)
        yield Sample((grid(4, 5, 67).transpose(1, 2, 0),), {"dim": 1}, gradient=False)
        yield Sample((grid(70000),), {}, gradient=False)


def dim_errors(name: str) -> Iterator[ErrorCase]:
    """Axes that are not there, and one twice."""
    yield ErrorCase(
        (grid(2, 3),), {"dim": 2}, IndexError, f"{name}: dim must be from -2"
    )
    yield ErrorCase((grid(2, 3),), {"dim": (0, -2)}, ValueError, f"{name}: dim names")


def check_float(name: str, x: Array) -> None:
    """Raise for what is not floating."""
    if x.dtype.category != FLOATING:
        raise DTypeError(
            f"{name}: expected a floating type, got {x.dtype.name}; "
            "likely fix: x.float()"
        )


def check_filled(name: str, x: Array, axes: Ints) -> None:
    """Raise where the best of nothing is asked for."""
    if any(x.shape[i] == 0 for i in axes):
        raise ShapeError(f"{name}: axes {axes} of shape {x.shape} have no elements")


def count_of(shape: Ints, axes: Ints) -> int:
    """How many elements go into one."""
    return product(shape[i] for i in axes)


def div_or_zero(call: Any, top: Any, bottom: Any) -> Any:
    """top / bottom, 0 where bottom is 0, and so are its gradients there."""
    zero = call("full", shape=(), value=0.0, dtype=top.dtype)
    return call("where", call("eq", bottom, 0.0), zero, call("div", top, bottom))


def shared_by_ties(call: Any, g: Any, x: Any, best: Any, axes: Ints) -> Any:
    """The gradient g of a best value, in equal parts to the elements that have it."""
    best = call("expand", best, shape=x.shape)
    ties = call("cast", call("eq", x, best), dtype=x.dtype)
    part = call("div", g, call("sum", ties, dim=axes, keepdim=True))
    return call("grad_mul", call("expand", part, shape=x.shape), ties)


def with_all_axes(call: Any, y: Any, shape: Ints, axes: Ints, keepdim: bool) -> Any:
    """A reduced tensor with all of the input's axes again."""
    return y if keepdim else call("reshape", y, shape=reduced_shape(shape, axes, True))


def attributes(ctx: Any) -> tuple[Ints, Ints, bool]:
    """The input's shape, the reduced axes, keepdim."""
    shape = ctx.shapes[0]
    axes = normalize_axes("", ctx.attrs.get("dim"), shape)
    return shape, axes, ctx.attrs.get("keepdim", False)
