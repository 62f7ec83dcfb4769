"""What the kernels of convolutions are given: integers, packed weights, layouts."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from math import prod
from typing import Any, NamedTuple

from pyautodl.backends import (
    Array,
    Seen,
    channels_last_strides,
    codes,
    contiguous_strides,
)
from pyautodl.ops.conv.algorithm import (
    ConvShape,
    has_few_pixels,
    keeps_form,
    winograd_points,
    winograd_step,
    writes_few,
)
from pyautodl.ops.conv.checks import AXIS_NUMBERS, Ints, Pairs, transposed_size
from pyautodl.ops.plan import CopiedPlan, Plan
from pyautodl.ops.record import Places

__all__ = [
    "ABSENT",
    "LINEAR",
    "RELU",
    "Activation",
    "all_but_channels",
    "conv_kernel",
    "conv_shape_of",
    "laid_out",
    "numbers_of",
    "saves_factors",
    "transposed_numbers",
    "transposed_pads",
]

# a kernel that packs weights, the shape of what it makes, its integers
Packing = tuple[str, Ints, Ints]

# the kernels' activations and their limits
Activation = tuple[int, float, float]
LINEAR: Activation = (codes.ACTIVATION_NONE, 0.0, 0.0)
RELU: Activation = (codes.ACTIVATION_CLAMP, 0.0, math.inf)

# in place of inputs that a kernel goes without
ABSENT = (Seen(None), Seen(None))


@lru_cache(maxsize=4096)
def numbers_of(shape: ConvShape) -> Ints:
    """The kernels' integers: three axes, 1-D and 2-D with axes of size 1 in front."""
    missing = 3 - len(shape.stride)
    ones, zeros = (1,) * missing, (0,) * missing
    return (
        *(*ones, *shape.stride),
        *(*zeros, *shape.padding),
        *(*ones, *shape.dilation),
        shape.groups,
    )


class _ConvKernel(NamedTuple):
    """The kernel that computes a convolution, and what it is given.

    Attributes:
        name: of the kernel.
        ints: its integers.
        packing: the kernel that packs the weight, the packed weight's shape and the
            kernel's integers; None if the weight is read as it lies.
        keeps: whether the packed form is worth keeping for this shape.
    """

    name: str
    ints: Ints
    packing: Packing | None
    keeps: bool


@lru_cache(maxsize=4096)
def conv_kernel(shape: ConvShape, algorithm: str) -> _ConvKernel:
    """The kernel by which an algorithm computes a convolution."""
    groups, weight = shape.groups, shape.weight
    if algorithm == "winograd":
        width = codes.WINOGRAD_WIDTH
        panels = -(-weight[0] // width)
        step = winograd_step(shape)
        mapped = (panels, winograd_points(step), weight[1], width)
        packing: Packing = ("winograd_weight", mapped, (0, step))
        keeps = keeps_form(shape, algorithm, prod(mapped))
        return _ConvKernel("winograd_fwd", (*shape.padding, 0, step), packing, keeps)
    ints = numbers_of(shape)
    if algorithm == "im2col" and has_few_pixels(shape):
        return _ConvKernel("conv_fwd", ints, None, False)
    # rows of packed weights are padded to whole vectors, of 16 elements at most
    if algorithm == "depthwise":
        room = -(weight[0] // -16) * 16 * prod(weight[2:])
    else:
        room = groups * -(weight[0] // groups // -16) * 16 * prod(weight[1:])
    packing = ("conv_weight", (room,), (groups,))
    keeps = keeps_form(shape, algorithm, room) and not writes_few(shape)
    return _ConvKernel("conv_fwd", ints, packing, keeps)


@lru_cache(maxsize=4096)
def conv_shape_of(
    x: Ints,
    weight: Ints,
    out: Ints,
    stride: Ints,
    padding: Pairs,
    dilation: Ints,
    groups: int,
) -> ConvShape:
    """Shapes and numbers; of the padding only what lies in front."""
    before = tuple([pair[0] for pair in padding])
    return ConvShape(x, weight, out, stride, before, dilation, groups)


def laid_out(
    build: Callable[..., Plan],
    inputs: Sequence[Array | None],
    layouts: Sequence[str],
) -> Plan:
    """The plan that `build` makes of the inputs, with copies of those that do not lie as
    a kernel wants them: with channels last, in C order, or as they come.
    """
    for i, (x, layout) in enumerate(zip(inputs, layouts)):
        if x is None or layout == "any":
            continue
        strides = contiguous_strides(x.shape)
        if layout == "channels_last":
            fits, strides = x.is_channels_last(), channels_last_strides(x.shape)
        else:
            fits = x.is_contiguous()
        if not fits:
            rest = list(inputs)
            rest[i] = x.view(x.shape, strides)
            return CopiedPlan(laid_out(build, rest, layouts), i, strides)
    return build(*inputs)


def saves_factors(needs: tuple[bool, ...]) -> Places:
    """Of two factors each for the gradient of the other, the second first."""
    return (1 if needs[0] else None, 0 if needs[1] else None)


def all_but_channels(y: Any) -> Ints:
    """The axes over which the gradient by a bias is summed."""
    return (0, *range(2, len(y.shape)))


@lru_cache(maxsize=4096)
def transposed_pads(
    x: Ints, weight: Ints, y: Ints, stride: Ints, padding: Pairs, dilation: Ints
) -> Pairs:
    """The padding with which the transposed convolution of y has the size of x."""
    none = ((0, 0),) * len(stride)
    whole = map(transposed_size, y[2:], weight[2:], stride, none, dilation)
    return tuple(
        (lo, full - lo - size) for (lo, _), full, size in zip(padding, whole, x[2:])
    )


def transposed_numbers(
    x: Ints, weight: Ints, y: Ints, numbers: Mapping[str, Any]
) -> dict[str, Any]:
    """The attributes of the transposed convolution that leads from y's shape to x's."""
    stride, padding, dilation = (numbers[each] for each in AXIS_NUMBERS)
    pads = transposed_pads(x, weight, y, stride, padding, dilation)
    return {**numbers, "padding": pads}
