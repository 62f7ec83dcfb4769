"""Batches of ops on (n, channels, ...), and of the losses of classes.

The batch becomes part of n where the op has no weights, or the same for all samples.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any

from pyautodl.ops.batching.operands import Operand, folded_all, unfolded

__all__ = [
    "batch_norm",
    "class_loss",
    "fixed_norm",
    "folded",
    "group_norm",
    "layer_norm",
    "recurrent",
    "scaled_gradient",
]

Attrs = Mapping[str, Any]


def folded(call: Any, name: str, xs: Sequence[Operand], attrs: Attrs) -> Any:
    """Each element of n by itself."""
    size = xs[0].size
    if "shape" in attrs:
        rows, *rest = attrs["shape"]
        attrs = {**attrs, "shape": (size * rows, *rest)}
    return unfolded(call, call(name, *folded_all(xs), **attrs), size)


def _scaled(call: Any, y: Any, factors: Sequence[Operand], end: int) -> Any:
    """Multiply with weights and add biases, which are followed by `end` axes of ones."""
    for op, each in zip(("mul", "add"), factors):
        if each.value is None:
            continue
        ones = (1,) * end
        if each.mapped:
            before = (1,) * (y.ndim - 1 - len(each.shape) - end)
            value = each.reshaped((*before, *each.shape, *ones))
        else:
            value = call("reshape", each.value, shape=(*each.shape, *ones))
        y = call(op, y, value)
    return y


def _norm(
    plain: Callable[..., Any], end: Callable[[Operand], int]
) -> Callable[..., Any]:
    """The rule of a norm: `plain` folds or not what has the same weights for all."""

    def rule(call: Any, name: str, xs: Sequence[Operand], attrs: Attrs) -> Any:
        x, *factors = xs
        if not any(each.mapped for each in factors):
            return plain(call, name, x, [each.value for each in factors], attrs)
        y = plain(call, name, x, [None] * len(factors), attrs)
        return _scaled(call, y, factors, end(x))

    return rule


def _norm_by_rows(call: Any, name: str, x: Operand, factors: Any, attrs: Attrs) -> Any:
    return call(name, x.value, *factors, **attrs)


def _norm_folded(call: Any, name: str, x: Operand, factors: Any, attrs: Attrs) -> Any:
    return unfolded(call, call(name, x.folded(), *factors, **attrs), x.size)


def _front_if_same(plain: Callable[..., Any]) -> Callable[..., Any]:
    def of_any(call: Any, name: str, x: Operand, factors: Any, attrs: Attrs) -> Any:
        whole = Operand(call, x.front(), True, x.size)
        return plain(call, name, whole, factors, attrs)

    return of_any


layer_norm = _norm(_front_if_same(_norm_by_rows), lambda x: 0)
group_norm = _norm(_norm_folded, lambda x: len(x.shape) - 2)


def batch_norm(call: Any, name: str, xs: Sequence[Operand], attrs: Attrs) -> Any:
    """The statistics are those of each sample's n, so that the batch becomes channels."""
    x, *factors = xs
    y = call(name, x.folded_into(1), *folded_all(factors), **attrs)
    return unfolded(call, y, x.size, 1)


def fixed_norm(call: Any, name: str, xs: Sequence[Operand], attrs: Attrs) -> Any:
    """With statistics that are given."""
    x, *numbers = xs
    if any(each.mapped for each in numbers):
        return batch_norm(call, name, xs, attrs)
    y = call(name, x.folded(), *[each.value for each in numbers], **attrs)
    return unfolded(call, y, x.size)


def scaled_gradient(call: Any, name: str, xs: Sequence[Operand], attrs: Attrs) -> Any:
    """The gradient of one number: what it is of 1, times that of each sample."""
    g, *rest = xs
    if g.shape or any(each.mapped for each in rest):
        return NotImplemented
    one = call("full", shape=(), value=1.0, dtype=g.value.dtype)
    plain = call(name, one, *[each.value for each in rest], **attrs)
    return call("mul", g.aligned(plain.ndim), plain)


def recurrent(call: Any, name: str, xs: Sequence[Operand], attrs: Attrs) -> Any:
    """Sequences (time, n, features) side by side, if the weights are the same for all."""
    x, *rest = xs
    states, weights = rest[:2], rest[2:]
    is_packed = len(x.shape) != 3 or weights[-1].value is not None
    if is_packed or any(each.mapped for each in weights):
        return NotImplemented
    begin = [each.folded() for each in states]
    found = call(name, x.folded_into(1), *begin, *[w.value for w in weights], **attrs)
    return tuple(
        [unfolded(call, y, x.size, 1 if i == 0 else 0) for i, y in enumerate(found)]
    )


# ---- losses of classes ----


def class_loss(call: Any, name: str, xs: Sequence[Operand], attrs: Attrs) -> Any:
    """That of each row, and then the sum or the weighted mean by sample."""
    x, target, weight = (*xs, Operand(call, None, False, xs[0].size))[:3]
    if weight.mapped or len(x.shape) < 2:
        return NotImplemented if weight.mapped else _of_one_row(call, name, xs, attrs)
    reduction = attrs["reduction"]
    inputs = (x.folded(), target.folded(), weight.value)
    each = unfolded(call, call(name, *inputs, **{**attrs, "reduction": "none"}), x.size)
    if reduction == "none":
        return each
    if weight.value is None and prod(each.shape) == x.size:
        # of one row, or nothing where that does not count
        return call("reshape", each, shape=(x.size,))
    rows = tuple(range(1, each.ndim))
    total = call("sum", each, dim=rows)
    if reduction == "sum":
        return total
    return call("div", total, _divisor(call, x, target, weight, attrs))


def _of_one_row(call: Any, name: str, xs: Sequence[Operand], attrs: Attrs) -> Any:
    """Scores (classes,) with a target of no axis: the batch is the rows."""
    x, target, weight = (*xs, Operand(call, None, False, xs[0].size))[:3]
    plain = {**attrs, "reduction": "none"}
    each = call(name, x.front(), target.front(), weight.value, **plain)
    if attrs["reduction"] != "mean":
        return each
    row = Operand(call, call("reshape", x.front(), shape=(x.size, 1, -1)), True, x.size)
    if len(target.shape):
        shape = (x.size, 1, *target.shape)
    else:
        shape = (x.size, 1)
    only = Operand(call, call("reshape", target.front(), shape=shape), True, x.size)
    return call("div", each, _divisor(call, row, only, weight, attrs))


def _divisor(
    call: Any, x: Operand, target: Operand, weight: Operand, attrs: Attrs
) -> Any:
    """The sum of the weights of the rows that count; 1 where none does."""
    classes = target.value
    if classes.dtype.is_floating_point:
        return float(prod((x.shape[0], *x.shape[2:])))
    kept = call("ne", classes, attrs["ignore_index"])
    if weight.value is None:
        each = call("cast", kept, dtype=x.value.dtype)
    else:
        known = call("where", kept, classes, 0)
        flat = call("reshape", known, shape=(-1,))
        of_each = call("index_select", weight.value, flat, dim=0)
        of_each = call("reshape", of_each, shape=tuple(classes.shape))
        each = call("where", kept, of_each, 0.0)
    if not target.mapped:
        total = call("sum", each)
    else:
        total = call("sum", each, dim=tuple(range(1, classes.ndim)))
    return call("where", call("eq", total, 0.0), 1.0, total)
