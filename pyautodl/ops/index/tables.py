"""Rows of a table by their numbers; numbers as rows of zeros and a one."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import Any

import numpy as np

from pyautodl.backends import Array, constant
from pyautodl.backends.dtypes import int64
from pyautodl.errors import DTypeError, ShapeError
from pyautodl.ops.index.common import NDArray, check_index, run_named
from pyautodl.ops.layout import ensure_contiguous
from pyautodl.ops.record import ErrorCase, Op, Sample, Spec, register
from pyautodl.ops.views import filled, grid

__all__ = ["EMBEDDING", "EMBEDDING_GRAD", "ONE_HOT"]


# ---- embedding ----


def _embedding_rule(
    weight: Array,
    index: Array,
    padding_idx: int = -1,
    scale_grad_by_freq: bool = False,
) -> tuple[Spec, ...]:
    check_index("embedding", index)
    if weight.ndim != 2:
        raise ShapeError(f"embedding: expected a weight (rows, n), got {weight.shape}")
    return (Spec((*index.shape, weight.shape[1]), weight.dtype),)


def _embedding_forward(
    ctx: Any, needs: Any, weight: Array, index: Array, **attrs: Any
) -> Array:
    width = weight.shape[1]
    out: Array = ctx.empty((*index.shape, width), weight.dtype)
    line = ensure_contiguous(ctx, index).view((index.size,), (1,))
    rows = out.view((index.size, width), (width, 1))
    run_named("embedding", "index_select", (weight, line), (rows,), (0,))
    ctx.save(index)
    return out


def _embedding_vjp(call: Any, ctx: Any, needs: Any, g: Any) -> tuple[Any, ...]:
    (index,) = ctx.saved
    rows, skip = ctx.shapes[0][0], ctx.attrs.get("padding_idx", -1)
    if ctx.attrs.get("scale_grad_by_freq", False):
        g = _shared_by_repeats(call, g, index, rows)
    return call("embedding_grad", g, index, rows=rows, padding_idx=skip), None


def _shared_by_repeats(call: Any, g: Any, index: Any, rows: int) -> Any:
    """Gradients, divided by how often their index occurs."""
    line = call("reshape", index, shape=(prod(index.shape),))
    none = call("full", shape=(rows,), value=0.0, dtype=g.dtype)
    one = call("full", shape=line.shape, value=1.0, dtype=g.dtype)
    count = call("index_add", none, line, one, dim=0)
    each = call("index_select", count, line, dim=0)
    return call("div", g, call("reshape", each, shape=(*index.shape, 1)))


def _embedding_reference(weight: NDArray, index: NDArray, **attrs: Any) -> Any:
    return weight[index]


def _embedding_samples() -> Iterator[Sample]:
    weight = grid(4, 3)
    yield Sample((weight, np.array([[0, 3], [3, 1]])))
    yield Sample((weight, np.array(2)))
    yield Sample((weight, np.zeros((2, 0), np.int64)))
    many = np.random.default_rng(0).integers(0, 50, (20, 30))
    yield Sample((grid(50, 70), many), gradient=False)
    # its gradient is not that of its value
    attrs = {"scale_grad_by_freq": True}
    yield Sample((weight, np.array([[0, 3], [3, 1]])), attrs, gradient=False)


def _embedding_errors() -> Iterator[ErrorCase]:
    weight = grid(4, 3)
    for bad in (4, -1):
        match = f"embedding: index {bad} at position 2 .* 0 <= index < 4"
        index = np.array([[0, 1], [bad, 0]])
        yield ErrorCase((weight, index), {}, IndexError, match)
    yield ErrorCase((grid(4), np.array([0])), {}, ShapeError, "embedding: expected a")
    yield ErrorCase(
        (weight, grid(1)), {}, DTypeError, "embedding: indices must be int64"
    )


EMBEDDING = register(
    Op(
        name="embedding",
        rule=_embedding_rule,
        forward=_embedding_forward,
        vjp=_embedding_vjp,
        samples=_embedding_samples,
        errors=_embedding_errors,
        reference=_embedding_reference,
    )
)


def _embedding_grad_rule(
    g: Array, index: Array, rows: int, padding_idx: int = -1
) -> tuple[Spec, ...]:
    check_index("embedding_grad", index)
    if g.shape[:-1] != index.shape:
        raise ShapeError(
            f"embedding_grad: expected (*{index.shape}, n) for the indices, got {g.shape}"
        )
    return (Spec((rows, g.shape[-1]), g.dtype),)


def _embedding_grad_forward(
    ctx: Any, needs: Any, g: Array, index: Array, rows: int, padding_idx: int = -1
) -> Array:
    width = g.shape[-1]
    out = filled(ctx.empty((rows, width), g.dtype), 0)
    line = ensure_contiguous(ctx, index).view((index.size,), (1,))
    terms = ensure_contiguous(ctx, g).view((index.size, width), (width, 1))
    ints = (0, 1, padding_idx)
    run_named("embedding_grad", "index_put", (terms, line), (out,), ints)
    ctx.save(index)
    return out


def _embedding_grad_vjp(call: Any, ctx: Any, needs: Any, g: Any) -> tuple[Any, ...]:
    """The padding row took nothing, so nothing comes back from it."""
    (index,) = ctx.saved
    skip = ctx.attrs.get("padding_idx", -1)
    if skip >= 0:
        width = g.shape[1]
        zeros = call("full", shape=(1, width), value=0.0, dtype=g.dtype)
        row = {"starts": (skip, 0), "sizes": (1, width), "steps": (1, 1)}
        g = call("slice_scatter", g, zeros, shape=g.shape, **row)
    return call("embedding", g, index), None


def _embedding_grad_reference(
    g: NDArray, index: NDArray, rows: int, padding_idx: int = -1
) -> Any:
    out = np.zeros((rows, g.shape[-1]), g.dtype)
    np.add.at(out, index, g)
    if padding_idx >= 0:
        out[padding_idx] = 0
    return out


def _embedding_grad_samples() -> Iterator[Sample]:
    index = np.array([[0, 3], [3, 1]])
    yield Sample((grid(2, 2, 3), index), {"rows": 4})
    yield Sample((grid(2, 2, 3), index), {"rows": 4, "padding_idx": 3})


def _embedding_grad_errors() -> Iterator[ErrorCase]:
    index = np.array([0, 3])
    match = "embedding_grad: index 3 at position 1"
    yield ErrorCase((grid(2, 3), index), {"rows": 3}, IndexError, match)
    match = r"embedding_grad: expected \(\*\(2,\), n\)"
    yield ErrorCase((grid(3, 3), index), {"rows": 4}, ShapeError, match)


EMBEDDING_GRAD = register(
    Op(
        name="embedding_grad",
        rule=_embedding_grad_rule,
        forward=_embedding_grad_forward,
        vjp=_embedding_grad_vjp,
        samples=_embedding_grad_samples,
        errors=_embedding_grad_errors,
        reference=_embedding_grad_reference,
        gradient_of="embedding",
    )
)


# ---- one_hot ----


def _one_hot_rule(index: Array, num_classes: int) -> tuple[Spec, ...]:
    check_index("one_hot", index)
    if num_classes < 1:
        raise ValueError(f"one_hot: num_classes must be positive, got {num_classes}")
    return (Spec((*index.shape, num_classes), int64),)


def _one_hot_forward(ctx: Any, needs: Any, index: Array, num_classes: int) -> Array:
    out = filled(ctx.empty((*index.shape, num_classes), int64), 0)
    places = index.view((*index.shape, 1), (*index.strides, 1))
    ones = constant(1, int64).view(places.shape, (0,) * places.ndim)
    run_named("one_hot", "scatter", (ones, places), (out,), (index.ndim, 0))
    return out


def _one_hot_reference(index: NDArray, num_classes: int) -> Any:
    return np.eye(num_classes, dtype=np.int64)[index]


def _one_hot_samples() -> Iterator[Sample]:
    yield Sample((np.array([[0, 2], [1, 2]]),), {"num_classes": 3}, gradient=False)
    yield Sample((np.array(1),), {"num_classes": 2}, gradient=False)
    yield Sample((np.zeros(0, np.int64),), {"num_classes": 2}, gradient=False)


def _one_hot_errors() -> Iterator[ErrorCase]:
    attrs = {"num_classes": 2}
    match = "one_hot: index 2 at position 1 .* 0 <= index < 2"
    yield ErrorCase((np.array([0, 2]),), attrs, IndexError, match)
    yield ErrorCase((grid(2),), attrs, DTypeError, "one_hot: indices must be int64")


ONE_HOT = register(
    Op(
        name="one_hot",
        rule=_one_hot_rule,
        forward=_one_hot_forward,
        samples=_one_hot_samples,
        errors=_one_hot_errors,
        reference=_one_hot_reference,
    )
)
