"""Batches of ops that take elements by number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

from pyautodl.ops.batching.operands import Operand, shifted

__all__ = ["embedding", "embedding_grad", "index_added", "index_rows", "index_select"]

Attrs = Mapping[str, Any]


def index_added(call: Any, name: str, xs: Sequence[Operand], attrs: Attrs) -> Any:
    """At the same places for all samples."""
    x, index, source = xs
    if index.mapped or not x.shape:
        return NotImplemented
    dim = attrs["dim"] % len(x.shape) + 1
    return call(name, x.front(), index.value, source.front(), **{**attrs, "dim": dim})


def index_rows(call: Any, name: str, xs: Sequence[Operand], attrs: Attrs) -> Any:
    """With as many indices as before, each sample's being one more."""
    x, *indices = xs
    shape = indices[0].shape
    if not x.mapped:
        return call(name, x.value, *[each.front() for each in indices])
    steps = call("full", shape=(x.size,), value=1, dtype=indices[0].value.dtype)
    steps = call("sub", call("cumsum", steps, dim=0), 1)
    sample = call("reshape", steps, shape=(x.size, *(1,) * len(shape)))
    sample = call("expand", sample, shape=(x.size, *shape))
    return call(name, x.value, sample, *[each.front() for each in indices])


def index_select(call: Any, name: str, xs: Sequence[Operand], attrs: Attrs) -> Any:
    """Of tensors, of indices, or of both."""
    x, index = xs
    ndim = len(x.shape)
    if not ndim or len(index.shape) != 1:
        return NotImplemented
    axis = attrs["dim"] % ndim
    if not index.mapped:
        return call(name, x.value, index.value, dim=shifted(axis))
    count = index.shape[0]
    if x.mapped:
        ones = (1,) * axis + (count,) + (1,) * (ndim - axis - 1)
        places = index.reshaped(ones)
        shape = (x.size, *x.shape[:axis], count, *x.shape[axis + 1 :])
        places = call("expand", places, shape=shape)
        return call("gather", x.value, places, dim=axis + 1)
    taken = call(name, x.value, call("reshape", index.value, shape=(-1,)), dim=axis)
    shape = (*x.shape[:axis], x.size, count, *x.shape[axis + 1 :])
    taken = call("reshape", taken, shape=shape)
    order = (axis, *range(axis), *range(axis + 1, ndim + 1))
    return call("permute", taken, dims=order)


def _rows_of(call: Any, index: Operand, width: int) -> tuple[Any, int]:
    """Row numbers for each of `width` columns, in one axis by sample; how many."""
    places, count = index.reshaped((-1, 1)), prod(index.shape)
    return call("expand", places, shape=(index.size, count, width)), count


def embedding(call: Any, name: str, xs: Sequence[Operand], attrs: Attrs) -> Any:
    """A table that differs by sample has its rows gathered."""
    weight, index = xs
    if attrs.get("scale_grad_by_freq", False):
        return NotImplemented  # how often an index occurs is counted by sample
    if not weight.mapped:
        return call(name, weight.value, index.value, **attrs)
    if attrs.get("padding_idx", -1) >= 0:
        return NotImplemented
    width = weight.shape[1]
    places, _ = _rows_of(call, index, width)
    taken = call("gather", weight.value, places, dim=1)
    return call("reshape", taken, shape=(index.size, *index.shape, width))


def embedding_grad(call: Any, name: str, xs: Sequence[Operand], attrs: Attrs) -> Any:
    """The gradient of a table, that of each sample in one of its own."""
    g, index = xs
    if attrs.get("padding_idx", -1) >= 0:
        return NotImplemented
    width, size = g.shape[-1], g.size
    places, count = _rows_of(call, index, width)
    shape = (size, attrs["rows"], width)
    zeros = call("full", shape=shape, value=0.0, dtype=g.value.dtype)
    return call("scatter_add", zeros, places, g.reshaped((count, width)), dim=1)
