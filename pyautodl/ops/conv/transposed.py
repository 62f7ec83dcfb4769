"""The transposed convolution: the gradient by the image, and a layer of its own."""

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
from pyautodl.errors import ShapeError
from pyautodl.ops.conv.algorithm import ConvShape, winograd_step
from pyautodl.ops.conv.cases import LARGE, SMALL, attributes, conv_arrays
from pyautodl.ops.conv.checks import (
    Ints,
    Pairs,
    check_bias,
    check_numbers,
    check_ranks,
    check_size,
    check_types,
    named_shapes,
    shape_text,
    transposed_size,
)
from pyautodl.ops.conv.kernels import (
    ABSENT,
    all_but_channels,
    conv_shape_of,
    laid_out,
    numbers_of,
    saves_factors,
    transposed_numbers,
)
from pyautodl.ops.conv.multiplied import plain_algorithm, wide_form, wide_plan
from pyautodl.ops.plan import KernelPlan, Plan, planned, seen
from pyautodl.ops.record import ErrorCase, Sample, register

__all__ = [
    "CONV_TRANSPOSE",
]


@lru_cache(maxsize=4096)
def _transpose_shape(
    x: Ints,
    weight: Ints,
    bias: Ints | None,
    stride: Ints,
    padding: Pairs,
    dilation: Ints,
    groups: int,
) -> Ints:
    """The shape of the output, once all shapes and numbers are checked."""
    nd = len(stride)
    op = f"conv_transpose{nd}d"
    where = named_shapes(x=x, weight=weight, bias=bias)
    check_numbers(op, stride, padding, dilation, groups, where)
    check_ranks(op, nd, where, x=x, weight=weight)
    if x[1] != weight[0]:
        raise ShapeError(
            f"{op}: weight has {weight[0]} input channels but x has {x[1]} {where}"
        )
    if x[1] % groups:
        raise ShapeError(
            f"{op}: {x[1]} input channels can't be split into {groups} groups {where}"
        )
    channels = weight[1] * groups
    check_bias(op, bias, channels, where)
    if min(weight[2:]) < 1:
        kernel = shape_text(weight[2:])
        raise ShapeError(f"{op}: kernel size {kernel} must be positive {where}")
    sizes = tuple(map(transposed_size, x[2:], weight[2:], stride, padding, dilation))
    if min(sizes) < 0:
        raise ShapeError(
            f"{op}: padding {padding} leaves an output of size {shape_text(sizes)} {where}"
        )
    shape = (x[0], channels, *sizes)
    check_size(op, shape, where)
    return shape


def _transpose_plan(
    x: Array,
    weight: Array,
    bias: Array | None,
    *,
    stride: Ints,
    padding: Pairs,
    dilation: Ints,
    groups: int,
) -> Plan:
    numbers = (stride, padding, dilation, groups)
    bias_shape = None if bias is None else bias.shape
    out = _transpose_shape(x.shape, weight.shape, bias_shape, *numbers)
    op = f"conv_transpose{len(stride)}d"
    dtype = check_types(op, x=x, weight=weight, bias=bias)
    shape = conv_shape_of(out, weight.shape, x.shape, *numbers)
    made = Made(out, dtype, channels_last_strides(out))
    wide = wide_form(shape)
    if wide is not None and (wide.x == out or bias is None):
        return _wide_plan(x, weight, bias, shape, wide)
    algorithm = plain_algorithm(shape)

    def build(x: Array, weight: Array, bias: Array | None) -> Plan:
        reads = [seen(0, x), seen(1, weight), seen(2, bias)]
        if algorithm != "winograd":
            return KernelPlan("conv_bwd_x", reads, [made], numbers_of(shape))
        reads = [*reads[:2], *ABSENT, reads[2], *ABSENT[:1]]
        # what a tap reached ahead is now reached from behind
        ints = (*[2 - pad for pad in shape.padding], 1, winograd_step(shape), 0)
        return KernelPlan("winograd_fwd", reads, [made], ints, (0.0, 0.0))

    return laid_out(build, (x, weight, bias), ("channels_last", "rows", "rows"))


def _wide_plan(
    x: Array, weight: Array, bias: Array | None, shape: ConvShape, wide: ConvShape
) -> Plan:
    def depthwise(image: Seen, weight: Seen, bias: Seen, made: Made) -> KernelCall:
        reads = [image, weight, bias]
        return KernelCall("conv_bwd_x", reads, [made], numbers_of(wide))

    images, outs = (shape.out, wide.out), (shape.x, wide.x)
    return wide_plan((x, weight, bias), wide.weight, images, outs, depthwise)


def _transpose_vjp(
    call: Any, ctx: Any, needs: Sequence[bool], grad: Any
) -> tuple[Any, ...]:
    weight, x = ctx.saved
    dx = dw = db = None
    if needs[0]:
        dx = call("conv", grad, weight, None, **ctx.attrs)
    if needs[1]:
        kernel = ctx.shapes[1][2:]
        dw = call("conv_weight_grad", grad, x, kernel=kernel, bias=False, **ctx.attrs)
    if needs[2]:
        db = call("sum", grad, dim=all_but_channels(grad), keepdim=False)
    return dx, dw, db


def _transpose_samples() -> Iterable[Sample]:
    rng = np.random.default_rng(21)
    for large, cases in ((False, SMALL), (True, LARGE)):
        for number, (x, weight, numbers) in enumerate(cases):
            _, w, _, shape = conv_arrays(rng, x, weight, numbers)
            numbers = transposed_numbers(x, weight, shape, numbers)
            y, b = rng.standard_normal(shape), rng.standard_normal(x[1])
            bias = b if number % 3 != 2 else None
            yield Sample((y, w, bias), numbers, gradient=not large)


def _transpose_errors() -> Iterable[ErrorCase]:
    x, w = np.ones((2, 4, 8, 8)), np.ones((3, 6, 3, 3))
    yield ErrorCase(
        (x, w, None),
        attributes(2),
        ShapeError,
        "conv_transpose2d: weight has 3 input channels but x has 4",
    )
    good = np.ones((4, 6, 3, 3))
    yield ErrorCase(
        (x, good, None), attributes(2, padding=9), ShapeError, "leaves an output"
    )
    yield ErrorCase((x, good, None), attributes(2, groups=3), ShapeError, "3 groups")
    yield ErrorCase(
        (x, good, np.ones(5)),
        attributes(2),
        ShapeError,
        r"expected bias of shape \(6,\)",
    )
    yield ErrorCase(
        (x, good, None),
        attributes(2, padding=((0, -(2**31 - 1)),) * 2, stride=2**30),
        ValueError,
        "can't be addressed",
    )


CONV_TRANSPOSE = register(
    planned(
        "conv_transpose",
        _transpose_plan,
        saves_factors,
        vjp=_transpose_vjp,
        samples=_transpose_samples,
        errors=_transpose_errors,
    )
)
