"""The convolution itself, and with ReLU behind it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from pyautodl.backends import (
    Array,
    KernelCall,
    Made,
    Seen,
    channels_last_strides,
)
from pyautodl.errors import DTypeError, ShapeError
from pyautodl.ops.conv.algorithm import ConvShape
from pyautodl.ops.conv.cases import LARGE, SMALL, attributes, conv_arrays
from pyautodl.ops.conv.checks import (
    Ints,
    Pairs,
    check_bias,
    check_numbers,
    check_ranks,
    check_size,
    check_window,
    conv_size,
    dtype_of,
    named_shapes,
)
from pyautodl.ops.conv.kernels import (
    ABSENT,
    LINEAR,
    RELU,
    Activation,
    all_but_channels,
    conv_kernel,
    conv_shape_of,
    laid_out,
    numbers_of,
    saves_factors,
    transposed_numbers,
)
from pyautodl.ops.conv.multiplied import plain_algorithm, wide_form, wide_plan
from pyautodl.ops.plan import KernelPlan, Plan, planned, seen
from pyautodl.ops.record import ErrorCase, Places, Sample, register

__all__ = [
    "CONV",
    "CONV_RELU",
    "conv_shape",
]


@lru_cache(maxsize=4096)
def conv_shape(
    x: Ints,
    weight: Ints,
    bias: Ints | None,
    stride: Ints,
    padding: Pairs,
    dilation: Ints,
    groups: int,
) -> Ints:
    """The shape of conv's output, once all shapes and numbers are checked."""
    nd = len(stride)
    op = f"conv{nd}d"
    where = named_shapes(x=x, weight=weight, bias=bias)
    check_numbers(op, stride, padding, dilation, groups, where)
    check_ranks(op, nd, where, x=x, weight=weight)
    if x[1] != weight[1] * groups:
        grouped = f" in each of {groups} groups" if groups > 1 else ""
        raise ShapeError(
            f"{op}: weight has {weight[1]} input channels{grouped} but x has {x[1]} {where}"
        )
    if weight[0] % groups:
        raise ShapeError(
            f"{op}: {weight[0]} output channels can't be split into {groups} groups {where}"
        )
    check_bias(op, bias, weight[0], where)
    check_window(op, x[2:], weight[2:], padding, dilation, where)
    shape = (
        x[0],
        weight[0],
        *map(conv_size, x[2:], weight[2:], stride, padding, dilation),
    )
    check_size(op, shape, where)
    return shape


def _conv_plan(
    x: Array,
    weight: Array,
    bias: Array | None,
    *,
    stride: Ints,
    padding: Pairs,
    dilation: Ints,
    groups: int,
    activation: Activation = LINEAR,
) -> Plan:
    numbers = (stride, padding, dilation, groups)
    bias_shape = None if bias is None else bias.shape
    out = conv_shape(x.shape, weight.shape, bias_shape, *numbers)
    dtype = dtype_of(len(stride), x, weight, bias)
    shape = conv_shape_of(x.shape, weight.shape, out, *numbers)
    wide = wide_form(shape)
    # what follows the sums of a pixel can't come before they are added up
    alone = bias is None and activation is LINEAR
    if wide is not None and (wide.out == out or alone):
        return _wide_plan(x, weight, bias, shape, wide, activation)
    kernel = conv_kernel(shape, plain_algorithm(shape))

    def build(x: Array, weight: Array, bias: Array | None) -> Plan:
        reads = (seen(0, x), seen(1, weight), *ABSENT, seen(2, bias), *ABSENT[:1])
        made = Made(out, dtype, channels_last_strides(out))
        kind, *limits = activation
        return KernelPlan(kernel.name, reads, [made], (*kernel.ints, kind), limits)

    return laid_out(build, (x, weight, bias), ("channels_last", "rows", "rows"))


def _wide_plan(
    x: Array,
    weight: Array,
    bias: Array | None,
    shape: ConvShape,
    wide: ConvShape,
    activation: Activation,
) -> Plan:
    kind, *limits = activation

    def depthwise(image: Seen, weight: Seen, bias: Seen, made: Made) -> KernelCall:
        reads = (image, weight, *ABSENT, bias, *ABSENT[:1])
        return KernelCall("conv_fwd", reads, [made], (*numbers_of(wide), kind), limits)

    images, outs = (shape.x, wide.x), (shape.out, wide.out)
    return wide_plan((x, weight, bias), wide.weight, images, outs, depthwise)


def _conv_relu_plan(
    x: Array, weight: Array, bias: Array | None, **numbers: Any
) -> Plan:
    return _conv_plan(x, weight, bias, **numbers, activation=RELU)


def _saves_factors_and_result(needs: tuple[bool, ...]) -> Places:
    return (*saves_factors(needs), len(needs))


def _conv_vjp(call: Any, ctx: Any, needs: Sequence[bool], grad: Any) -> tuple[Any, ...]:
    return _conv_grads(call, ctx, needs, grad, *ctx.saved)


def _conv_relu_vjp(
    call: Any, ctx: Any, needs: Sequence[bool], grad: Any
) -> tuple[Any, ...]:
    weight, x, y = ctx.saved
    return _conv_grads(call, ctx, needs, call("relu_grad", grad, y), weight, x)


def _conv_grads(
    call: Any, ctx: Any, needs: Sequence[bool], grad: Any, weight: Any, x: Any
) -> tuple[Any, ...]:
    dx = dw = db = None
    if needs[0]:
        shapes = (ctx.shapes[0], ctx.shapes[1], tuple(grad.shape))
        numbers = transposed_numbers(*shapes, ctx.attrs)
        dx = call("conv_transpose", grad, weight, None, **numbers)
    if needs[1]:
        kernel = ctx.shapes[1][2:]
        dw = call(
            "conv_weight_grad", x, grad, kernel=kernel, bias=needs[2], **ctx.attrs
        )
        if needs[2]:
            dw, db = dw
    elif needs[2]:
        db = call("sum", grad, dim=all_but_channels(grad), keepdim=False)
    return dx, dw, db


def _conv_samples() -> Iterable[Sample]:
    rng = np.random.default_rng(20)
    for large, cases in ((False, SMALL), (True, LARGE)):
        for number, (x, weight, numbers) in enumerate(cases):
            x, w, b, _ = conv_arrays(rng, x, weight, numbers)
            bias = b if number % 3 != 2 else None
            yield Sample((x, w, bias), numbers, gradient=not large)


def _conv_errors() -> Iterable[ErrorCase]:
    x, w = np.ones((2, 4, 8, 8)), np.ones((6, 3, 3, 3))
    plain = attributes(2)
    message = (
        r"conv2d: weight has 3 input channels but x has 4 "
        r"\(x \(2,4,8,8\), weight \(6,3,3,3\)\)"
    )
    yield ErrorCase((x, w, None), plain, ShapeError, message)
    good = np.ones((6, 4, 3, 3))
    yield ErrorCase((x[0], good, None), plain, ShapeError, "expected x of 4 axes")
    yield ErrorCase((x, good[0], None), plain, ShapeError, "expected weight of 4 axes")
    yield ErrorCase(
        (x, good, np.ones(5)), plain, ShapeError, r"expected bias of shape \(6,\)"
    )
    yield ErrorCase(
        (x, good.astype(np.float32), None),
        plain,
        DTypeError,
        "expected one element type",
    )
    yield ErrorCase(
        (x.astype(np.int64), good, None), plain, DTypeError, r"cast it with \.float\(\)"
    )
    yield ErrorCase(
        (x, good, None), attributes(2, stride=0), ValueError, "stride must be"
    )
    yield ErrorCase(
        (x, good, None), attributes(2, dilation=2**33), ValueError, "dilation must be"
    )
    yield ErrorCase(
        (x, good, None), attributes(2, padding=-1), ValueError, "padding must be"
    )
    yield ErrorCase(
        (x, good, None),
        attributes(2, dilation=5),
        ShapeError,
        r"dilated kernel \(11,11\) is larger than the padded input \(8,8\)",
    )
    yield ErrorCase(
        (x, np.ones((5, 2, 3, 3)), None),
        attributes(2, groups=2),
        ShapeError,
        "2 groups",
    )
    yield ErrorCase(
        (x, np.ones((5, 2, 0, 3)), None), attributes(2, groups=2), ShapeError, "groups"
    )


CONV = register(
    planned(
        "conv",
        _conv_plan,
        saves_factors,
        vjp=_conv_vjp,
        samples=_conv_samples,
        errors=_conv_errors,
    )
)
CONV_RELU = register(
    planned(
        "conv_relu",
        _conv_relu_plan,
        _saves_factors_and_result,
        vjp=_conv_relu_vjp,
        samples=_conv_samples,
        errors=_conv_errors,
    )
)
