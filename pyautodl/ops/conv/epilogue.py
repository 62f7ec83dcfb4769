"""A convolution with what follows it at inference: scale, residual, activation."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from math import prod
from typing import Any

import numpy as np

from pyautodl.backends import (
    Array,
    channels_last_strides,
    codes,
    contiguous_strides,
    current_backend,
    run,
)
from pyautodl.errors import ShapeError
from pyautodl.ops.conv.algorithm import (
    ConvShape,
    has_few_pixels,
    native_algorithm,
    writes_few,
)
from pyautodl.ops.conv.cases import LARGE, SMALL, attributes, conv_arrays
from pyautodl.ops.conv.checks import Ints, Pairs, dtype_of, named_shapes, shape_text
from pyautodl.ops.conv.forward import conv_shape
from pyautodl.ops.conv.kernels import LINEAR, RELU, conv_kernel, conv_shape_of
from pyautodl.ops.conv.multiplied import (
    is_spread,
    is_summed,
    plain_algorithm,
    spread_views,
    summed_views,
    wide_form,
)
from pyautodl.ops.conv.packed_weight import packed_weight
from pyautodl.ops.layout import ensure_channels_last, ensure_contiguous
from pyautodl.ops.record import ErrorCase, Op, Sample, Spec, register

__all__ = [
    "CONV_EPILOGUE",
    "is_plain",
    "reads_as_is",
]

# x, weight, scale, bias, residual
_Reads = tuple[Array, Array, Array | None, Array | None, Array | None]


def _epilogue_rule(
    x: Array,
    weight: Array,
    scale: Array | None,
    bias: Array | None,
    residual: Array | None,
    *,
    activation: tuple[int, float, float],
    **numbers: Any,
) -> tuple[Spec, ...]:
    bias_shape = None if bias is None else bias.shape
    shape = conv_shape(x.shape, weight.shape, bias_shape, **numbers)
    axes = len(shape) - 2
    dtype = dtype_of(axes, x, weight, bias, scale, residual)
    for name, array, expected in (
        ("scale", scale, shape[1:2]),
        ("residual", residual, shape),
    ):
        if array is not None and array.shape != expected:
            raise ShapeError(
                f"conv{axes}d: expected {name} of shape {shape_text(expected)}, got "
                f"{shape_text(array.shape)} {named_shapes(x=x.shape, weight=weight.shape)}"
            )
    return (Spec(shape, dtype),)


@lru_cache(maxsize=4096)
def _is_planar(shape: ConvShape) -> bool:
    """Whether im2col's compiled kernel reads an image of few channels as it lies in C
    order. Which algorithm does the work may change, and is not to be remembered here.
    """
    lines = prod(shape.weight[1:-1])
    line = (codes.PLANAR_PIXELS - 1) * shape.stride[-1]
    line += (shape.weight[-1] - 1) * shape.dilation[-1] + 1
    return (
        shape.groups == 1
        and 1 < shape.x[1]
        and not writes_few(shape)
        and prod(shape.weight[1:]) <= codes.PLANAR_DEPTH
        and lines * line <= codes.PLANAR_ELEMENTS
        and not has_few_pixels(shape)
    )


def reads_as_is(x: Array, shape: ConvShape) -> bool:
    """Whether the forward kernel takes the image without a copy."""
    if is_spread(shape):
        return False
    if x.is_channels_last():
        return True
    if not (x.is_contiguous() and current_backend() == "native"):
        return False
    return native_algorithm(shape) == "im2col" and _is_planar(shape)


def _spread(ctx: Any, x: Array, channels: int) -> Array:
    """Copies of the channels one after the other, so that there are so many."""
    wide = (x.shape[0], channels, *x.shape[2:])
    out: Array = ctx.empty(wide, x.dtype, channels_last_strides(wide))
    read, written = spread_views(x, wide)
    run("copy", (x.view(*read),), (out.view(*written),))
    return out


def is_plain(reads: Sequence[Any], activation: tuple[int, float, float]) -> bool:
    """Whether nothing is done with the sums, given x, weight, scale, bias and residual."""
    return activation == LINEAR and all([each is None for each in reads[2:]])


def _sum_copies(
    ctx: Any, x: Array, weight: Array, full: ConvShape, numbers: tuple[Any, ...]
) -> Array:
    """The convolution of groups of one output, as one that is recorded takes it: by a
    depthwise convolution, whose channels are summed.
    """
    wide: Any = wide_form(full)
    made, out = [
        ctx.empty(shape, x.dtype, channels_last_strides(shape))
        for shape in (wide.out, full.out)
    ]
    single = weight.view(wide.weight, contiguous_strides(wide.weight))
    reads = (ensure_channels_last(ctx, x), single, None, None, None)
    _run_conv(reads, made, (*numbers[:3], wide.groups), LINEAR)
    read, written = summed_views(wide.out, full.out)
    run("sum", (made.view(*read),), (out.view(*written),), (), (1.0,))
    return out


def _run_conv(
    reads: _Reads,
    out: Array,
    numbers: tuple[Ints, Pairs, Ints, int],
    activation: tuple[int, float, float],
) -> None:
    """out = activation(scale conv(x, weight) + bias + residual) by the best kernel, with
    the weight's packed form where it is kept.
    """
    x, weight, scale, bias, residual = reads
    shape = conv_shape_of(x.shape, weight.shape, out.shape, *numbers)
    kernel = conv_kernel(shape, plain_algorithm(shape))
    packed = packed_weight(weight, kernel.packing, kernel.keeps)
    number, p0, p1 = activation
    arrays = (x, weight, packed, scale, bias, residual)
    run(kernel.name, arrays, (out,), (*kernel.ints, number), (p0, p1))


def _epilogue_forward(
    ctx: Any,
    needs: Sequence[bool],
    x: Array,
    weight: Array,
    scale: Array | None,
    bias: Array | None,
    residual: Array | None,
    *,
    activation: tuple[int, float, float],
    stride: Ints,
    padding: Pairs,
    dilation: Ints,
    groups: int,
) -> Array:
    weight = ensure_contiguous(ctx, weight)
    scale = None if scale is None else ensure_contiguous(ctx, scale)
    bias = None if bias is None else ensure_contiguous(ctx, bias)
    residual = None if residual is None else ensure_channels_last(ctx, residual)
    numbers = (stride, padding, dilation, groups)
    shape = conv_shape(x.shape, weight.shape, None, *numbers)
    full = conv_shape_of(x.shape, weight.shape, shape, *numbers)
    if is_summed(full) and is_plain((x, weight, scale, bias, residual), activation):
        return _sum_copies(ctx, x, weight, full, numbers)
    if is_spread(full):
        x, numbers = _spread(ctx, x, shape[1]), (*numbers[:3], shape[1])
    elif not reads_as_is(x, full):
        x = ensure_channels_last(ctx, x)
    out: Array = ctx.empty(shape, x.dtype, channels_last_strides(shape))
    reads = (x, weight, scale, bias, residual)
    _run_conv(reads, out, numbers, activation)
    return out


def _epilogue_samples() -> Iterable[Sample]:
    rng = np.random.default_rng(25)
    leaky, relu6 = (
        (codes.ACTIVATION_LEAKY, 0.1, 0.0),
        (codes.ACTIVATION_CLAMP, 0.0, 6.0),
    )
    activations = [RELU, leaky, LINEAR, relu6]
    cases = [case for case in (*SMALL, *LARGE) if 0 not in case[0]]
    for number, (x, weight, numbers) in enumerate(cases):
        a, w, b, shape = conv_arrays(rng, x, weight, numbers)
        scale = rng.standard_normal(weight[0]) if number % 2 else None
        residual = rng.standard_normal(shape) if number % 3 == 1 else None
        attrs = {**numbers, "activation": activations[number % 4]}
        bias = b if number % 5 else None
        # Winograd's algorithm has a few times the rounding errors of plain sums
        tolerance = 1.0 if (x, weight, numbers) in SMALL else 4.0
        yield Sample((a, w, scale, bias, residual), attrs, False, tolerance)


def _epilogue_errors() -> Iterable[ErrorCase]:
    x, w = np.ones((2, 4, 8, 8)), np.ones((6, 4, 3, 3))
    attrs = {**attributes(2), "activation": LINEAR}
    wrong = np.ones((2, 6, 8, 8))
    yield ErrorCase(
        (x, w, np.ones(4), None, None), attrs, ShapeError, r"scale of shape \(6\), got"
    )
    yield ErrorCase(
        (x, w, None, None, wrong),
        attrs,
        ShapeError,
        r"conv2d: expected residual of shape \(2,6,6,6\), got \(2,6,8,8\)",
    )
    yield ErrorCase((x, w, None, np.ones(5), None), attrs, ShapeError, "expected bias")


# for inference alone: it has no gradient
CONV_EPILOGUE = register(
    Op(
        name="conv_epilogue",
        rule=_epilogue_rule,
        forward=_epilogue_forward,
        samples=_epilogue_samples,
        errors=_epilogue_errors,
    )
)
