"""Batches of ops that work element by element, or on each matrix or row of the last axes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pyautodl.ops.batching.operands import Operand

__all__ = ["elementwise", "in_front", "reduced_loss"]

Attrs = Mapping[str, Any]


def elementwise(call: Any, name: str, xs: Sequence[Operand], attrs: Attrs) -> Any:
    """Inputs that are broadcast."""
    ndim = max([len(x.shape) for x in xs])
    return call(name, *[x.aligned(ndim) for x in xs], **attrs)


def in_front(call: Any, name: str, xs: Sequence[Operand], attrs: Attrs) -> Any:
    """Any number of axes may come before those that the op works along."""
    return call(name, *[x.front() for x in xs], **attrs)


def reduced_loss(call: Any, name: str, xs: Sequence[Operand], attrs: Attrs) -> Any:
    """A loss of pairs: that of each element, and then the sum or mean by sample."""
    reduction, ndim = attrs["reduction"], len(xs[0].shape)
    if ndim and reduction not in ("none", "mean", "sum"):
        return NotImplemented
    inputs = [x.front() if x.shape == xs[0].shape else x.aligned(ndim) for x in xs]
    each = call(name, *inputs, **{**attrs, "reduction": "none"})
    if reduction == "none" or not ndim:
        return each
    return call(reduction, each, dim=tuple(range(1, ndim + 1)))
