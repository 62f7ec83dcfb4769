"""Batches of matrix products, of convolutions and of their gradients.

Where a factor is the same for all samples the batch becomes rows of one product. Where
both differ it is a batch of products, or the groups of one convolution.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pyautodl.ops.batching.operands import Operand, unfolded

__all__ = [
    "conv",
    "conv_epilogue",
    "conv_transpose",
    "conv_weight_grad",
    "linear",
    "linear_grad",
    "matmul",
]

Attrs = Mapping[str, Any]


def matmul(call: Any, name: str, xs: Sequence[Operand], attrs: Attrs) -> Any:
    """One product where b is a matrix that all samples share."""
    a, b = xs
    if a.mapped and not b.mapped and len(b.shape) <= 2 and not attrs.get("transpose_a"):
        return call(name, a.value, b.value, **attrs)
    left = a.shape if len(a.shape) > 1 else (1, *a.shape)
    right = b.shape if len(b.shape) > 1 else (*b.shape, 1)
    ndim = max(len(left), len(right))
    turned = {
        "transpose_a": attrs.get("transpose_a", False) and len(a.shape) > 1,
        "transpose_b": attrs.get("transpose_b", False) and len(b.shape) > 1,
    }
    inputs = [
        x.reshaped((1,) * (ndim - len(shape)) + shape)
        if x.mapped
        else x.value
        if shape == x.shape
        else call("reshape", x.value, shape=shape)
        for x, shape in ((a, left), (b, right))
    ]
    y = call(name, *inputs, **turned)
    if len(a.shape) > 1 and len(b.shape) > 1:
        return y
    batch, rows, columns = y.shape[:-2], y.shape[-2:-1], y.shape[-1:]
    rows = rows if len(a.shape) > 1 else ()
    columns = columns if len(b.shape) > 1 else ()
    return call("reshape", y, shape=(*batch, *rows, *columns))


def linear(call: Any, name: str, xs: Sequence[Operand], attrs: Attrs) -> Any:
    """One product where weight and bias are the same for all samples."""
    x, weight, bias = (*xs, Operand(call, None, False, xs[0].size))[:3]
    if not weight.mapped and not bias.mapped:
        return call(name, x.value, weight.value, bias.value, **attrs)
    factors = (x, weight)
    y = matmul(call, "matmul", factors, {"transpose_b": True})
    if bias.value is not None:
        y = call("add", y, bias.aligned(len(x.shape)))
    return call("relu", y) if name == "linear_relu" else y


def linear_grad(call: Any, name: str, xs: Sequence[Operand], attrs: Attrs) -> Any:
    """The gradients of weight and bias by sample."""
    left, right = [each.reshaped((-1, each.shape[-1])) for each in xs]
    return call("matmul", left, right, transpose_a=True), call("sum", left, dim=(1,))


# ---- convolutions ----


def _conv(
    call: Any, name: str, xs: Sequence[Operand], attrs: Attrs, is_plain: bool
) -> Any:
    x, weight, *rest = xs
    size = x.size
    if not any(each.mapped for each in xs[1:]):
        y = call(name, x.folded(), *[each.value for each in xs[1:]], **attrs)
        return unfolded(call, y, size)
    more = [each.folded() for each in rest]
    if not x.mapped and is_plain and attrs["groups"] == 1:
        # the same pixels for the weights of all samples
        y = call(name, x.value, weight.folded(), *more, **attrs)
    else:
        groups = {**attrs, "groups": attrs["groups"] * size}
        y = call(name, x.folded_into(1), weight.folded(), *more, **groups)
    return unfolded(call, y, size, 1)


def conv(call: Any, name: str, xs: Sequence[Operand], attrs: Attrs) -> Any:
    """Its input and weight, each the same for all samples or not."""
    return _conv(call, name, xs, attrs, True)


def conv_transpose(call: Any, name: str, xs: Sequence[Operand], attrs: Attrs) -> Any:
    """The same; the weights of a sample are those of its channels."""
    return _conv(call, name, xs, attrs, False)


def conv_epilogue(call: Any, name: str, xs: Sequence[Operand], attrs: Attrs) -> Any:
    """A convolution and what follows it, with the same weights for all samples."""
    x, *factors, residual = xs
    if any(each.mapped for each in factors):
        return NotImplemented
    inputs = (x.folded(), *[each.value for each in factors], residual.folded())
    return unfolded(call, call(name, *inputs, **attrs), x.size)


def conv_weight_grad(call: Any, name: str, xs: Sequence[Operand], attrs: Attrs) -> Any:
    """Each sample is a group."""
    size = xs[0].size
    groups = {**attrs, "groups": attrs["groups"] * size}
    return unfolded(call, call(name, *[x.folded_into(1) for x in xs], **groups), size)
