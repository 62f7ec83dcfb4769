"""Batches of ops that work element by element, or on each matrix or row of the last axes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pyautodl.ops.batching.operands import Operand

__all__ = ["elementwise", "in_front", "reduced_loss", "same_op"]

Attrs = Mapping[str, Any]


def elementwise(call: Any, name: str, xs: Sequence[Operand], attrs: Attrs) -> Any:
    """Inputs that are broadcast."""
    ndim = max([len(x.shape) for x in xs])
    return call(name, *[x.aligned(ndim) for x in xs], **attrs)


def in_front(call: Any, name: str, xs: Sequence[Operand], attrs: Attrs) -> Any:
    """Any number of axes may come before those that the op works along."""
    return call(name, *[x.front() for x in xs], **attrs)


def same_op(call: Any, name: str, xs: Sequence[Operand], attrs: Attrs) -> Any:
    """The first input alone may be mapped; what comes after it is the same for all."""
    if any(x.mapped for x in xs[1:]):
        return NotImplemented
    return call(name, xs[0].value, *[x.value for x in xs[1:]], **attrs)


def reduced_loss(call: Any, name: str, xs: Sequence[Operand], attrs: Attrs) -> Any:
    """A loss of pairs: that of each element, and then the sum or mean by sample."""
    reduction, ndim = attrs["reduction"], len(xs[0].shape)
    inputs = [x.front() if x.shape == xs[0].shape else x.aligned(ndim) for x in xs]
    each = call(name, *inputs, **{**attrs, "reduction": "none"})
    if reduction == "none" or not ndim:
        return each
    kind = "mean" if reduction == "mean" else "sum"
    found = call(kind, each, dim=tuple(range(1, ndim + 1)))
    if reduction in ("none", "mean", "sum"):
        return found
    return NotImplemented
