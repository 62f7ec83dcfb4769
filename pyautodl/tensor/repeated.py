"""Ops of mapped tensors whose parameters are the same for all samples, and yet have a
gradient by sample: those that a derivative inside a map has made leaves.

Such an op is carried out with the parameters themselves, as for a batch that shares them.
Its gradient is that of the op for one sample, computed for all of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache, partial
from math import prod
from typing import Any

from pyautodl.backends import Array
from pyautodl.errors import GradError
from pyautodl.graph import MODE, BySample, Context, record
from pyautodl.ops.batching import run_batched
from pyautodl.ops.record import Op
from pyautodl.tensor.calls import call
from pyautodl.tensor.core import Tensor, make
from pyautodl.tensor.mapped import Map, mapped, opened, whole_of

__all__ = ["apply_repeated"]


# multiplications from which on the batch's convolution gains more than it costs around it:
# half as many again in layers of 3x3 with 8 to 64 channels, a tenth is lost at a million
_LARGE = 1 << 23


def _work(x: Sequence[int], weight: Sequence[int]) -> int:
    """How many multiplications a convolution of all samples takes, about."""
    batch, rows, _, *axes = x
    return batch * rows * prod(axes) * prod(weight[1:])


def _repeats(x: Any, is_mapped: bool) -> bool:
    """Whether all samples have the same memory, or there is no such input."""
    if x is None:
        return True
    array = x._array
    return is_mapped and type(array) is Array and array.strides[0] == 0


def apply_repeated(
    op: Op, of: Map, wholes: Sequence[Any], flags: Sequence[bool], attrs: Any
) -> Tensor | None:
    """The result of an op for a whole batch; None if its parameters differ by sample."""
    if not (flags[0] and flags[1]):
        return None
    if _work(wholes[0].shape, wholes[1].shape) < _LARGE:
        return None
    if not all(_repeats(x, flag) for x, flag in zip(wholes[1:], flags[1:])):
        return None
    before, MODE.enabled = MODE.enabled, False
    try:
        parameters = [None if x is None else _first(x) for x in wholes[1:]]
        inputs = [wholes[0], *parameters]
        first_alone = [True] + [False] * len(parameters)
        result: Tensor = run_batched(op, call, of.size, inputs, first_alone, attrs)
    finally:
        MODE.enabled = before
    edges = [None if x is None else x.edge() for x in wholes]
    needs = tuple([edge is not None and before for edge in edges])
    if not any(needs):
        return result
    arrays = [None if x is None else x._array for x in wholes]
    values = (*arrays, result._array)
    ctx = Context(attrs)
    saves: Any = op.saves
    ctx.save(*[None if i is None else values[i] for i in saves(needs)])
    node = record(_by_sample(op), ctx, needs, arrays, edges, result._array)
    return make(result._array, (node, 0), True)


def _first(x: Tensor) -> Tensor:
    """The first sample of a batch."""
    found: Tensor = call("unbind", x.detach(), dim=0)[0]
    return found


@cache
def _by_sample(op: Op) -> Op:
    """The op whose gradient is that of another for each sample."""
    return Op(op.name, op.rule, op.forward, vjp=partial(_vjp, op))


class _OfSample:
    """What the gradient of one sample's call works with; see `graph.Node`."""

    def __init__(self, node: Any, of: Map) -> None:
        self.attrs: Mapping[str, Any] = node.attrs
        self.info = node.info
        self.saved = tuple([None if x is None else mapped(of, x) for x in node.saved])
        self.shapes = [None if shape is None else shape[1:] for shape in node.shapes]


def _vjp(
    op: Op, call_: Any, node: Any, needs: Sequence[bool], grad: Tensor
) -> tuple[Any, ...]:
    vjp: Any = op.vjp
    size = node.shapes[0][0]
    before, MODE.enabled = MODE.enabled, call_ is call
    try:
        with opened(size, "error") as of:
            found = vjp(call, _OfSample(node, of), needs, mapped(of, grad))
            return tuple([None if x is None else whole_of(x, of) for x in found])
    except BySample as error:
        raise error.__cause__ or GradError(
            f"{op.name}: its gradient has no rule for a batch"
        ) from error
    finally:
        MODE.enabled = before
