"""Convolutions of one, two and three dimensions; their gradients are such again.

Three maps belong to one configuration (stride, padding, dilation, groups):
    conv              y = conv(x, w): y at o sees x at o s - p + t d through tap t
    conv_transpose    its transpose, x from y: the gradient by x, and a layer of its own
    conv_weight_grad  w from x and y: the gradient by w
Each is linear in each of its two arguments, and the derivative by one is another of the
three. Padding is a pair for each axis, before and after; a negative number behind crops
the image, so that an output padding q is a pair (p, p - q).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from math import prod
from typing import Any, NamedTuple

import numpy as np

from pyautodl.backends import (
    Array,
    Made,
    Seen,
    channels_last_strides,
    contiguous_strides,
    current_backend,
    run,
)
from pyautodl.backends.dtypes import DType
from pyautodl.errors import DTypeError, ShapeError
from pyautodl.ops.conv_algorithm import ConvShape, native_algorithm
from pyautodl.ops.layout import ensure_channels_last, ensure_contiguous
from pyautodl.ops.plan import CopiedPlan, KernelPlan, Plan, planned, seen
from pyautodl.ops.prepared import prepared_weight
from pyautodl.ops.record import ErrorCase, Op, Places, Sample, Spec, register

__all__ = [
    "COL2IM",
    "CONV",
    "CONV_EPILOGUE",
    "CONV_RELU",
    "CONV_TRANSPOSE",
    "CONV_WEIGHT_GRAD",
    "IM2COL",
    "LINEAR",
    "RELU",
    "conv_shape",
    "conv_shape_of",
    "conv_way",
    "reads_as_is",
]

Ints = tuple[int, ...]
Pairs = tuple[tuple[int, int], ...]

_AXIS_NUMBERS = ("stride", "padding", "dilation")

# what the kernels' index arithmetic holds without overflow
MAX_NUMBER = 2**31 - 1
MAX_ELEMENTS = 2**59


# ---- checks ----


def shape_text(shape: Iterable[object]) -> str:
    """A shape as errors show it: (2,3,8,8)."""
    return f"({','.join(map(str, shape))})"


def _shapes(**shapes: Ints | None) -> str:
    """All shapes of a call, for the end of an error message."""
    named = ", ".join(
        f"{name} {shape_text(shape)}"
        for name, shape in shapes.items()
        if shape is not None
    )
    return f"({named})"


def _check_types(op: str, **arrays: Array | None) -> DType:
    """The one floating type of all arrays."""
    types = {name: a.dtype for name, a in arrays.items() if a is not None}
    first = types[next(iter(types))]
    if first.is_floating_point and all(each is first for each in types.values()):
        return first
    where = _shapes(
        **{name: None if a is None else a.shape for name, a in arrays.items()}
    )
    for name, dtype in types.items():
        if not dtype.is_floating_point:
            raise DTypeError(
                f"{op}: expected floating-point arrays but {name} is {dtype.name}; "
                f"cast it with .float() {where}"
            )
    named = ", ".join(f"{each} {t.name}" for each, t in types.items())
    raise DTypeError(
        f"{op}: expected one element type, got {named}; cast with .float() or .double() "
        f"{where}"
    )


def _check_numbers(
    op: str, stride: Ints, padding: Pairs, dilation: Ints, groups: int, where: str
) -> None:
    nd = len(stride)
    if not (len(padding) == len(dilation) == nd and 1 <= nd <= 3):
        raise ValueError(
            f"{op}: expected one number a spatial axis, got stride {stride}, padding "
            f"{padding}, dilation {dilation} {where}"
        )
    named = (
        ("stride", stride, 1),
        ("dilation", dilation, 1),
        ("groups", (groups,), 1),
        ("padding", tuple(lo for lo, _ in padding), 0),
        ("padding", tuple(hi for _, hi in padding), -MAX_NUMBER),
    )
    for name, numbers, least in named:
        if not all(least <= number <= MAX_NUMBER for number in numbers):
            raise ValueError(
                f"{op}: {name} must be from {max(least, 0)} to {MAX_NUMBER}, "
                f"got {shape_text(numbers)} {where}"
            )


def _check_ranks(op: str, nd: int, where: str, **shapes: Ints) -> None:
    axes = ("n", "c", *("d", "h", "w")[3 - nd :])
    for name, shape in shapes.items():
        if len(shape) != nd + 2:
            one = "" if name == "weight" else f" or {nd + 1} {shape_text(axes[1:])}"
            layout = (
                ("o", "i", *(f"k{s}" for s in axes[2:])) if name == "weight" else axes
            )
            raise ShapeError(
                f"{op}: expected {name} of {nd + 2} axes {shape_text(layout)}{one}, "
                f"got {len(shape)} {where}"
            )


def _check_size(op: str, shape: Ints, where: str) -> None:
    if prod(shape) > MAX_ELEMENTS:
        raise ValueError(
            f"{op}: an output of shape {shape_text(shape)} can't be addressed {where}"
        )


def _check_bias(op: str, bias: Ints | None, channels: int, where: str) -> None:
    if bias is not None and bias != (channels,):
        raise ShapeError(f"{op}: expected bias of shape ({channels},) {where}")


def conv_size(size: int, k: int, s: int, pads: tuple[int, int], d: int) -> int:
    """Outputs along one axis: floor((size + pads - d (k-1) - 1) / s) + 1."""
    return (size + pads[0] + pads[1] - d * (k - 1) - 1) // s + 1


def transposed_size(size: int, k: int, s: int, pads: tuple[int, int], d: int) -> int:
    """Outputs of the transpose along one axis: (size-1) s - pads + d (k-1) + 1."""
    return (size - 1) * s - pads[0] - pads[1] + d * (k - 1) + 1


# ---- conv ----


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
    where = _shapes(x=x, weight=weight, bias=bias)
    _check_numbers(op, stride, padding, dilation, groups, where)
    _check_ranks(op, nd, where, x=x, weight=weight)
    if x[1] != weight[1] * groups:
        grouped = f" in each of {groups} groups" if groups > 1 else ""
        raise ShapeError(
            f"{op}: weight has {weight[1]} input channels{grouped} but x has {x[1]} {where}"
        )
    if weight[0] % groups:
        raise ShapeError(
            f"{op}: {weight[0]} output channels can't be split into {groups} groups {where}"
        )
    _check_bias(op, bias, weight[0], where)
    _check_window(op, x[2:], weight[2:], padding, dilation, where)
    shape = (
        x[0],
        weight[0],
        *map(conv_size, x[2:], weight[2:], stride, padding, dilation),
    )
    _check_size(op, shape, where)
    return shape


def _dtype_of(axes: int, x: Array, weight: Array, *rest: Array | None) -> DType:
    """The type of all arrays, which must be one; names are found only for an error."""
    dtype = x.dtype
    if dtype.is_floating_point and weight.dtype is dtype:
        for each in rest:
            if each is not None and each.dtype is not dtype:
                break
        else:
            return dtype
    named = dict(zip(("bias", "scale", "residual"), rest))
    return _check_types(f"conv{axes}d", x=x, weight=weight, **named)


def _check_window(
    op: str, size: Ints, kernel: Ints, padding: Pairs, dilation: Ints, where: str
) -> None:
    """Every output must see a whole window of the padded image."""
    if min(kernel) < 1:
        raise ShapeError(
            f"{op}: kernel size {shape_text(kernel)} must be positive {where}"
        )
    padded = tuple(n + lo + hi for n, (lo, hi) in zip(size, padding))
    extent = tuple(d * (k - 1) + 1 for k, d in zip(kernel, dilation))
    if any(n < e for n, e in zip(padded, extent)):
        raise ShapeError(
            f"{op}: dilated kernel {shape_text(extent)} is larger than the padded "
            f"input {shape_text(padded)} {where}"
        )


@lru_cache(maxsize=4096)
def _numbers_of(shape: ConvShape) -> Ints:
    """The kernels' integers: three axes, 1-D and 2-D with axes of size 1 in front."""
    missing = 3 - len(shape.stride)
    ones, zeros = (1,) * missing, (0,) * missing
    return (
        *(*ones, *shape.stride),
        *(*zeros, *shape.padding),
        *(*ones, *shape.dilation),
        shape.groups,
    )


# the kernels' activations and their limits
_Activation = tuple[int, float, float]
LINEAR: _Activation = (0, 0.0, 0.0)
RELU: _Activation = (1, 0.0, math.inf)


def _conv_plan(
    x: Array,
    weight: Array,
    bias: Array | None,
    *,
    stride: Ints,
    padding: Pairs,
    dilation: Ints,
    groups: int,
    activation: _Activation = LINEAR,
) -> Plan:
    numbers = (stride, padding, dilation, groups)
    bias_shape = None if bias is None else bias.shape
    out = conv_shape(x.shape, weight.shape, bias_shape, *numbers)
    dtype = _dtype_of(len(stride), x, weight, bias)
    shape = conv_shape_of(x.shape, weight.shape, out, *numbers)
    kernel, ints, _ = conv_way(shape, native_algorithm(shape))

    def build(x: Array, weight: Array, bias: Array | None) -> Plan:
        reads = (seen(0, x), seen(1, weight), *_ABSENT, seen(2, bias), *_ABSENT[:1])
        made = Made(out, dtype, channels_last_strides(out))
        kind, *limits = activation
        return KernelPlan(kernel, reads, [made], (*ints, kind), limits)

    return _laid_out(build, (x, weight, bias), ("channels_last", "rows", "rows"))


def _conv_relu_plan(
    x: Array, weight: Array, bias: Array | None, **numbers: Any
) -> Plan:
    return _conv_plan(x, weight, bias, **numbers, activation=RELU)


_ABSENT = (Seen(None), Seen(None))


def _laid_out(
    build: Callable[..., Plan],
    inputs: Sequence[Array | None],
    layouts: Sequence[str],
) -> Plan:
    """The plan that `build` makes of the inputs, with copies of those that do not lie as
    a kernel wants them: with channels last, or in C order.
    """
    for i, (x, layout) in enumerate(zip(inputs, layouts)):
        if x is None:
            continue
        strides = contiguous_strides(x.shape)
        if layout == "channels_last":
            fits, strides = x.is_channels_last(), channels_last_strides(x.shape)
        else:
            fits = x.is_contiguous()
        if not fits:
            rest = list(inputs)
            rest[i] = x.view(x.shape, strides)
            return CopiedPlan(_laid_out(build, rest, layouts), i, strides)
    return build(*inputs)


def _saves_factors(needs: tuple[bool, ...]) -> Places:
    """Of two factors each for the gradient of the other, the second first."""
    return (1 if needs[0] else None, 0 if needs[1] else None)


def _saves_factors_and_result(needs: tuple[bool, ...]) -> Places:
    return (*_saves_factors(needs), len(needs))


# x, weight, scale, bias, residual
_Reads = tuple[Array, Array, Array | None, Array | None, Array | None]


class _Way(NamedTuple):
    """How a convolution is computed; `packing` names the kernel that packs its weight,
    the packed weight's shape and the kernel's integers, if there is one.
    """

    kernel: str
    ints: Ints
    packing: tuple[str, Ints, Ints] | None


@lru_cache(maxsize=4096)
def conv_way(shape: ConvShape, algorithm: str) -> _Way:
    """How an algorithm computes a convolution."""
    groups, weight = shape.groups, shape.weight
    if algorithm == "winograd":
        mapped = (-(-weight[0] // 32), 36, weight[1], 32)
        packing = ("winograd_weight", mapped, (0,))
        return _Way("winograd_fwd", (*shape.padding, 0), packing)
    ints = _numbers_of(shape)
    # rows of packed weights are padded to whole vectors, of 16 elements at most
    if algorithm == "depthwise":
        room = -(weight[0] // -16) * 16 * prod(weight[2:])
    else:
        room = groups * -(weight[0] // groups // -16) * 16 * prod(weight[1:])
    return _Way("conv_fwd", ints, ("conv_weight", (room,), (groups,)))


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
    way = conv_way(shape, native_algorithm(shape))
    prepared = None
    if way.packing is not None:
        prepared = prepared_weight(weight, *way.packing)
    number, p0, p1 = activation
    arrays = (x, weight, prepared, scale, bias, residual)
    run(way.kernel, arrays, (out,), (*way.ints, number), (p0, p1))


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
        numbers = _transposed_numbers(*shapes, ctx.attrs)
        dx = call("conv_transpose", grad, weight, None, **numbers)
    if needs[1]:
        kernel = ctx.shapes[1][2:]
        dw = call(
            "conv_weight_grad", x, grad, kernel=kernel, bias=needs[2], **ctx.attrs
        )
        if needs[2]:
            dw, db = dw
    elif needs[2]:
        db = call("sum", grad, dim=_all_but_channels(grad), keepdim=False)
    return dx, dw, db


def _all_but_channels(y: Any) -> Ints:
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


def _transposed_numbers(
    x: Ints, weight: Ints, y: Ints, numbers: Mapping[str, Any]
) -> dict[str, Any]:
    """The attributes of the transposed convolution that leads from y's shape to x's."""
    stride, padding, dilation = (numbers[each] for each in _AXIS_NUMBERS)
    pads = transposed_pads(x, weight, y, stride, padding, dilation)
    return {**numbers, "padding": pads}


# ---- conv_epilogue ----


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
    dtype = _dtype_of(axes, x, weight, bias, scale, residual)
    for name, array, expected in (
        ("scale", scale, shape[1:2]),
        ("residual", residual, shape),
    ):
        if array is not None and array.shape != expected:
            raise ShapeError(
                f"conv{axes}d: expected {name} of shape {shape_text(expected)}, got "
                f"{shape_text(array.shape)} {_shapes(x=x.shape, weight=weight.shape)}"
            )
    return (Spec(shape, dtype),)


# what the compiled kernel holds of an image that it reads in C order: output pixels of a
# piece of a line, elements of the lines that meet them, taps and channels
_PLANAR_PIXELS = 112
_PLANAR_ELEMENTS = 8192
_PLANAR_DEPTH = 1024


@lru_cache(maxsize=4096)
def _is_planar(shape: ConvShape) -> bool:
    """Whether the compiled kernel reads an image of few channels as it lies in C order."""
    lines = prod(shape.weight[1:-1])
    line = (_PLANAR_PIXELS - 1) * shape.stride[-1]
    line += (shape.weight[-1] - 1) * shape.dilation[-1] + 1
    return (
        shape.groups == 1
        and 1 < shape.x[1]
        and shape.weight[0] % 16 == 0
        and prod(shape.weight[1:]) <= _PLANAR_DEPTH
        and lines * line <= _PLANAR_ELEMENTS
        and native_algorithm(shape) == "im2col"
    )


def reads_as_is(x: Array, shape: ConvShape) -> bool:
    """Whether the forward kernel takes the image without a copy with channels last."""
    if x.is_channels_last():
        return True
    return x.is_contiguous() and current_backend() == "native" and _is_planar(shape)


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
    if not reads_as_is(x, conv_shape_of(x.shape, weight.shape, shape, *numbers)):
        x = ensure_channels_last(ctx, x)
    out: Array = ctx.empty(shape, x.dtype, channels_last_strides(shape))
    reads = (x, weight, scale, bias, residual)
    _run_conv(reads, out, numbers, activation)
    return out


# ---- conv_transpose ----


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
    where = _shapes(x=x, weight=weight, bias=bias)
    _check_numbers(op, stride, padding, dilation, groups, where)
    _check_ranks(op, nd, where, x=x, weight=weight)
    if x[1] != weight[0]:
        raise ShapeError(
            f"{op}: weight has {weight[0]} input channels but x has {x[1]} {where}"
        )
    if x[1] % groups:
        raise ShapeError(
            f"{op}: {x[1]} input channels can't be split into {groups} groups {where}"
        )
    channels = weight[1] * groups
    _check_bias(op, bias, channels, where)
    if min(weight[2:]) < 1:
        kernel = shape_text(weight[2:])
        raise ShapeError(f"{op}: kernel size {kernel} must be positive {where}")
    sizes = tuple(map(transposed_size, x[2:], weight[2:], stride, padding, dilation))
    if min(sizes) < 0:
        raise ShapeError(
            f"{op}: padding {padding} leaves an output of size {shape_text(sizes)} {where}"
        )
    shape = (x[0], channels, *sizes)
    _check_size(op, shape, where)
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
    dtype = _check_types(op, x=x, weight=weight, bias=bias)
    shape = conv_shape_of(out, weight.shape, x.shape, *numbers)
    made = Made(out, dtype, channels_last_strides(out))
    algorithm = native_algorithm(shape)

    def build(x: Array, weight: Array, bias: Array | None) -> Plan:
        reads = [seen(0, x), seen(1, weight), seen(2, bias)]
        if algorithm != "winograd":
            return KernelPlan("conv_bwd_x", reads, [made], _numbers_of(shape))
        reads = [*reads[:2], *_ABSENT, reads[2], *_ABSENT[:1]]
        # what a tap reached ahead is now reached from behind
        ints = (*[2 - pad for pad in shape.padding], 1, 0)
        return KernelPlan("winograd_fwd", reads, [made], ints, (0.0, 0.0))

    return _laid_out(build, (x, weight, bias), ("channels_last", "rows", "rows"))


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
        db = call("sum", grad, dim=_all_but_channels(grad), keepdim=False)
    return dx, dw, db


# ---- conv_weight_grad ----


@lru_cache(maxsize=4096)
def _weight_grad_shape(
    x: Ints,
    grad: Ints,
    kernel: Ints,
    stride: Ints,
    padding: Pairs,
    dilation: Ints,
    groups: int,
) -> Ints:
    """The shape of the weight, once all shapes and numbers are checked."""
    op = f"conv{len(stride)}d_weight_grad"
    where = _shapes(x=x, grad=grad)
    _check_numbers(op, stride, padding, dilation, groups, where)
    _check_ranks(op, len(stride), where, x=x, grad=grad)
    if x[1] % groups or grad[1] % groups:
        raise ShapeError(f"{op}: channels can't be split into {groups} groups {where}")
    _check_window(op, x[2:], kernel, padding, dilation, where)
    sizes = map(conv_size, x[2:], kernel, stride, padding, dilation)
    expected = (x[0], grad[1], *sizes)
    if grad != expected:
        raise ShapeError(f"{op}: expected grad of shape {shape_text(expected)} {where}")
    shape = (grad[1], x[1] // groups, *kernel)
    _check_size(op, shape, where)
    return shape


def _weight_grad_plan(
    x: Array,
    grad: Array,
    *,
    kernel: Ints,
    bias: bool,
    stride: Ints,
    padding: Pairs,
    dilation: Ints,
    groups: int,
) -> Plan:
    numbers = (stride, padding, dilation, groups)
    out = _weight_grad_shape(x.shape, grad.shape, kernel, *numbers)
    dtype = _check_types(f"conv{len(stride)}d_weight_grad", x=x, grad=grad)
    shape = conv_shape_of(x.shape, out, grad.shape, *numbers)
    name, ints = "conv_bwd_w", _numbers_of(shape)
    if native_algorithm(shape) == "winograd":
        name, ints = "winograd_bwd_w", shape.padding
    made = [Made(out, dtype, contiguous_strides(out)), Made(out[:1], dtype, (1,))]

    def build(x: Array, grad: Array) -> Plan:
        reads = (seen(0, x), seen(1, grad))
        if bias:
            return KernelPlan(name, reads, made, ints)
        return KernelPlan(name, reads, [made[0], None], ints)

    return _laid_out(build, (x, grad), ("channels_last", "channels_last"))


def _weight_grad_vjp(
    call: Any, ctx: Any, needs: Sequence[bool], *grads: Any
) -> tuple[Any, ...]:
    grad, x = ctx.saved
    numbers = dict(ctx.attrs)
    kernel, bias = numbers.pop("kernel"), numbers.pop("bias")
    gw, gb = grads if bias else (grads[0], None)
    shape_x, shape_grad = ctx.shapes
    dx = dgrad = None
    if gw is not None and needs[0]:
        back = _transposed_numbers(shape_x, tuple(gw.shape), shape_grad, numbers)
        dx = call("conv_transpose", grad, gw, None, **back)
    if gw is not None and needs[1]:
        dgrad = call("conv", x, gw, gb, **numbers)
    elif gb is not None and needs[1]:
        each = call("reshape", gb, shape=(1, -1, *(1,) * len(kernel)))
        dgrad = call("expand", each, shape=shape_grad)
    return dx, dgrad


# ---- im2col, col2im: what users call unfold and fold ----


def _fold_numbers(
    op: str,
    kernel: Ints,
    stride: Ints,
    padding: Ints,
    dilation: Ints,
    where: str,
) -> None:
    pairs = tuple((p, p) for p in padding)
    _check_numbers(op, stride, pairs, dilation, 1, where)
    if len(kernel) != len(stride) or min(kernel) < 1:
        raise ValueError(f"{op}: kernel_size must be positive, got {kernel} {where}")


def _grid(size: Sequence[int], kernel: Ints, numbers: tuple[Ints, Ints, Ints]) -> Ints:
    """How many patches lie along each axis."""
    stride, padding, dilation = numbers
    pairs = [(p, p) for p in padding]
    return tuple(map(conv_size, size, kernel, stride, pairs, dilation))


def _fold_ints(kernel: Ints, numbers: tuple[Ints, Ints, Ints], grid: Ints) -> Ints:
    missing = 3 - len(kernel)
    ones, zeros = (1,) * missing, (0,) * missing
    stride, padding, dilation = numbers
    return (
        *(*ones, *stride),
        *(*zeros, *padding),
        *(*ones, *dilation),
        *(*ones, *kernel),
        *(*ones, *grid),
    )


def _unfold_rule(
    x: Array, *, kernel: Ints, stride: Ints, padding: Ints, dilation: Ints
) -> tuple[Spec, ...]:
    where = _shapes(x=x.shape)
    _fold_numbers("unfold", kernel, stride, padding, dilation, where)
    _check_ranks("unfold", len(kernel), where, x=x.shape)
    _check_types("unfold", x=x)
    pairs = tuple((p, p) for p in padding)
    _check_window("unfold", x.shape[2:], kernel, pairs, dilation, where)
    patches = prod(_grid(x.shape[2:], kernel, (stride, padding, dilation)))
    shape = (x.shape[0], x.shape[1] * prod(kernel), patches)
    _check_size("unfold", shape, where)
    return (Spec(shape, x.dtype),)


def _unfold_forward(
    ctx: Any,
    needs: Sequence[bool],
    x: Array,
    *,
    kernel: Ints,
    stride: Ints,
    padding: Ints,
    dilation: Ints,
) -> Array:
    numbers = (stride, padding, dilation)
    grid = _grid(x.shape[2:], kernel, numbers)
    shape = (x.shape[0], x.shape[1] * prod(kernel), prod(grid))
    out: Array = ctx.empty(shape, x.dtype)
    run("im2col", (x,), (out,), _fold_ints(kernel, numbers, grid))
    return out


def _unfold_vjp(
    call: Any, ctx: Any, needs: Sequence[bool], grad: Any
) -> tuple[Any, ...]:
    return (call("col2im", grad, size=ctx.shapes[0][2:], **ctx.attrs),)


def _fold_rule(
    x: Array, *, size: Ints, kernel: Ints, stride: Ints, padding: Ints, dilation: Ints
) -> tuple[Spec, ...]:
    where = _shapes(x=x.shape)
    _fold_numbers("fold", kernel, stride, padding, dilation, where)
    _check_types("fold", x=x)
    if x.ndim != 3:
        raise ShapeError(
            "fold: expected x of 3 axes (n,c*kernel,patches) or 2, "
            f"got {x.ndim} {where}"
        )
    if len(size) != len(kernel) or min(size) < 1:
        raise ValueError(f"fold: output_size must be positive, got {size} {where}")
    pairs = tuple((p, p) for p in padding)
    _check_window("fold", size, kernel, pairs, dilation, where)
    grid = _grid(size, kernel, (stride, padding, dilation))
    if x.shape[1] % prod(kernel) or x.shape[2] != prod(grid):
        raise ShapeError(
            f"fold: size {shape_text(size)} has patches {shape_text(grid)}, so "
            f"x must be (n,c*{prod(kernel)},{prod(grid)}) {where}"
        )
    shape = (x.shape[0], x.shape[1] // prod(kernel), *size)
    _check_size("fold", shape, where)
    return (Spec(shape, x.dtype),)


def _fold_forward(
    ctx: Any,
    needs: Sequence[bool],
    x: Array,
    *,
    size: Ints,
    kernel: Ints,
    stride: Ints,
    padding: Ints,
    dilation: Ints,
) -> Array:
    x = ensure_contiguous(ctx, x)
    numbers = (stride, padding, dilation)
    grid = _grid(size, kernel, numbers)
    shape = (x.shape[0], x.shape[1] // prod(kernel), *size)
    out: Array = ctx.empty(shape, x.dtype)
    run("col2im", (x,), (out,), _fold_ints(kernel, numbers, grid))
    return out


def _fold_vjp(call: Any, ctx: Any, needs: Sequence[bool], grad: Any) -> tuple[Any, ...]:
    attrs = dict(ctx.attrs)
    del attrs["size"]
    return (call("im2col", grad, **attrs),)


# ---- samples ----


def _numbers(
    nd: int,
    stride: int | Ints = 1,
    padding: int | Pairs = 0,
    dilation: int | Ints = 1,
    groups: int = 1,
) -> dict[str, Any]:
    """Attributes from numbers that hold for every axis."""
    return {
        "stride": (stride,) * nd if isinstance(stride, int) else stride,
        "padding": ((padding, padding),) * nd if isinstance(padding, int) else padding,
        "dilation": (dilation,) * nd if isinstance(dilation, int) else dilation,
        "groups": groups,
    }


# (x, weight, numbers), with weights as conv has them
_SMALL: tuple[tuple[Ints, Ints, dict[str, Any]], ...] = (
    ((2, 2, 5), (3, 2, 3), _numbers(1, padding=1)),
    ((2, 1, 4, 5), (2, 1, 3, 3), _numbers(2, padding=1)),
    ((1, 3, 5, 4), (2, 3, 1, 1), _numbers(2)),
    ((1, 2, 6, 5), (2, 2, 3, 2), _numbers(2, stride=(2, 3), padding=((1, 2), (0, 1)))),
    ((1, 2, 7, 6), (2, 2, 3, 2), _numbers(2, stride=2, padding=2, dilation=(2, 3))),
    ((1, 4, 4, 4), (6, 2, 2, 2), _numbers(2, groups=2)),
    ((1, 3, 4, 4), (3, 1, 3, 3), _numbers(2, padding=1, groups=3)),
    ((1, 2, 4, 3), (4, 1, 2, 2), _numbers(2, stride=2, padding=1, groups=2)),
    ((1, 2, 3, 3), (2, 2, 2, 2), _numbers(2, stride=4, padding=1, dilation=2)),
    ((1, 2, 5, 4), (1, 2, 2, 2), _numbers(2, padding=((1, -1), (0, -2)))),
    ((1, 2, 3, 4, 3), (2, 2, 2, 3, 2), _numbers(3, stride=(1, 2, 1), padding=1)),
    ((0, 2, 4, 4), (3, 2, 3, 3), _numbers(2)),
    ((2, 0, 3, 3), (2, 0, 2, 2), _numbers(2)),
)
# across the blocks of the kernels: many channels, many pixels, tails everywhere
_LARGE: tuple[tuple[Ints, Ints, dict[str, Any]], ...] = (
    ((2, 37, 9, 11), (67, 37, 3, 3), _numbers(2, padding=1)),
    ((1, 300, 5, 5), (33, 300, 1, 1), _numbers(2, stride=2)),
    ((17, 130, 3, 4), (35, 130, 3, 3), _numbers(2, padding=1)),
    ((5, 270, 4, 2), (18, 270, 3, 2), _numbers(2, padding=1, dilation=(2, 1))),
    ((3, 3, 19, 17), (16, 3, 7, 7), _numbers(2, stride=2, padding=3)),
    ((2, 1, 28, 28), (8, 1, 5, 5), _numbers(2, padding=2)),
    ((1, 40, 13, 12), (40, 1, 3, 3), _numbers(2, stride=2, padding=1, groups=40)),
    ((1, 36, 7, 8), (72, 18, 3, 3), _numbers(2, padding=2, dilation=2, groups=2)),
    ((1, 5, 6, 7, 8), (18, 5, 3, 3, 3), _numbers(3, stride=2, padding=1)),
    # one tap, read in place; vectors that slide along rows; pieces of a line of planes
    ((2, 37, 9, 11), (48, 37, 1, 1), _numbers(2)),
    ((1, 290, 3, 11), (80, 290, 1, 1), _numbers(2)),
    ((2, 24, 6, 9), (24, 1, 3, 3), _numbers(2, padding=1, groups=24)),
    ((1, 24, 7, 9), (24, 1, 3, 3), _numbers(2, stride=2, padding=1, groups=24)),
    ((2, 2, 9, 300), (48, 2, 5, 3), _numbers(2, padding=4, dilation=2)),
)


def _conv_arrays(
    rng: np.random.Generator, x: Ints, weight: Ints, numbers: dict[str, Any]
) -> tuple[Any, Any, Any, Ints]:
    """Random x, weight and bias of a conv call, and the shape of its output."""
    spatial = map(conv_size, x[2:], weight[2:], *(numbers[k] for k in _AXIS_NUMBERS))
    arrays = [rng.standard_normal(shape) for shape in (x, weight, weight[:1])]
    return *arrays, (x[0], weight[0], *spatial)  # type: ignore[return-value]


def _conv_samples() -> Iterable[Sample]:
    rng = np.random.default_rng(20)
    for large, cases in ((False, _SMALL), (True, _LARGE)):
        for number, (x, weight, numbers) in enumerate(cases):
            x, w, b, _ = _conv_arrays(rng, x, weight, numbers)
            bias = b if number % 3 != 2 else None
            yield Sample((x, w, bias), numbers, gradient=not large)


def _epilogue_samples() -> Iterable[Sample]:
    rng = np.random.default_rng(25)
    activations = [(1, 0.0, np.inf), (2, 0.1, 0.0), LINEAR, (1, 0.0, 6.0)]
    cases = [case for case in (*_SMALL, *_LARGE) if 0 not in case[0]]
    for number, (x, weight, numbers) in enumerate(cases):
        a, w, b, shape = _conv_arrays(rng, x, weight, numbers)
        scale = rng.standard_normal(weight[0]) if number % 2 else None
        residual = rng.standard_normal(shape) if number % 3 == 1 else None
        attrs = {**numbers, "activation": activations[number % 4]}
        bias = b if number % 5 else None
        # Winograd's algorithm has a few times the rounding errors of plain sums
        tolerance = 1.0 if (x, weight, numbers) in _SMALL else 4.0
        yield Sample((a, w, scale, bias, residual), attrs, False, tolerance)


def _transpose_samples() -> Iterable[Sample]:
    rng = np.random.default_rng(21)
    for large, cases in ((False, _SMALL), (True, _LARGE)):
        for number, (x, weight, numbers) in enumerate(cases):
            _, w, _, shape = _conv_arrays(rng, x, weight, numbers)
            numbers = _transposed_numbers(x, weight, shape, numbers)
            y, b = rng.standard_normal(shape), rng.standard_normal(x[1])
            bias = b if number % 3 != 2 else None
            yield Sample((y, w, bias), numbers, gradient=not large)


def _weight_grad_samples() -> Iterable[Sample]:
    rng = np.random.default_rng(22)
    for large, cases in ((False, _SMALL), (True, _LARGE)):
        for number, (x, weight, numbers) in enumerate(cases):
            a, _, _, shape = _conv_arrays(rng, x, weight, numbers)
            attrs = {**numbers, "kernel": weight[2:], "bias": number % 3 != 2}
            yield Sample((a, rng.standard_normal(shape)), attrs, gradient=not large)


_FOLDS: tuple[tuple[Ints, dict[str, Ints]], ...] = (
    ((2, 2, 4, 5), {"kernel": (2, 3), "stride": (1, 2), "padding": (1, 0)}),
    ((1, 1, 5, 5), {"kernel": (2, 2), "stride": (2, 1), "padding": (0, 1)}),
    ((1, 2, 4, 4), {"kernel": (1, 1), "stride": (1, 1), "padding": (0, 0)}),
)


def _unfold_samples() -> Iterable[Sample]:
    rng = np.random.default_rng(23)
    for dilation, (shape, attrs) in enumerate(_FOLDS, 1):
        dilations = (min(dilation, 2), 1)
        yield Sample((rng.standard_normal(shape),), {**attrs, "dilation": dilations})
    yield Sample((np.zeros((0, 2, 3, 3)),), {**_FOLDS[0][1], "dilation": (1, 1)})


def _fold_samples() -> Iterable[Sample]:
    rng = np.random.default_rng(24)
    for (x,), attrs in ((each.inputs, each.attrs) for each in _unfold_samples()):
        numbers = (attrs["stride"], attrs["padding"], attrs["dilation"])
        kernel, size = attrs["kernel"], x.shape[2:]
        shape = (
            x.shape[0],
            x.shape[1] * prod(kernel),
            prod(_grid(size, kernel, numbers)),
        )
        yield Sample((rng.standard_normal(shape),), {**attrs, "size": size})


# ---- error cases ----


def _conv_errors() -> Iterable[ErrorCase]:
    x, w = np.ones((2, 4, 8, 8)), np.ones((6, 3, 3, 3))
    plain = _numbers(2)
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
        (x, good, None), _numbers(2, stride=0), ValueError, "stride must be"
    )
    yield ErrorCase(
        (x, good, None), _numbers(2, dilation=2**33), ValueError, "dilation must be"
    )
    yield ErrorCase(
        (x, good, None), _numbers(2, padding=-1), ValueError, "padding must be"
    )
    yield ErrorCase(
        (x, good, None),
        _numbers(2, dilation=5),
        ShapeError,
        r"dilated kernel \(11,11\) is larger than the padded input \(8,8\)",
    )
    yield ErrorCase(
        (x, np.ones((5, 2, 3, 3)), None), _numbers(2, groups=2), ShapeError, "2 groups"
    )
    yield ErrorCase(
        (x, np.ones((5, 2, 0, 3)), None), _numbers(2, groups=2), ShapeError, "groups"
    )


def _epilogue_errors() -> Iterable[ErrorCase]:
    x, w = np.ones((2, 4, 8, 8)), np.ones((6, 4, 3, 3))
    attrs = {**_numbers(2), "activation": LINEAR}
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


def _transpose_errors() -> Iterable[ErrorCase]:
    x, w = np.ones((2, 4, 8, 8)), np.ones((3, 6, 3, 3))
    yield ErrorCase(
        (x, w, None),
        _numbers(2),
        ShapeError,
        "conv_transpose2d: weight has 3 input channels but x has 4",
    )
    good = np.ones((4, 6, 3, 3))
    yield ErrorCase(
        (x, good, None), _numbers(2, padding=9), ShapeError, "leaves an output"
    )
    yield ErrorCase((x, good, None), _numbers(2, groups=3), ShapeError, "3 groups")
    yield ErrorCase(
        (x, good, np.ones(5)), _numbers(2), ShapeError, r"expected bias of shape \(6,\)"
    )
    yield ErrorCase(
        (x, good, None),
        _numbers(2, padding=((0, -(2**31 - 1)),) * 2, stride=2**30),
        ValueError,
        "can't be addressed",
    )


def _weight_grad_errors() -> Iterable[ErrorCase]:
    x, grad = np.ones((2, 4, 8, 8)), np.ones((2, 3, 7, 6))
    attrs = {**_numbers(2), "kernel": (3, 3), "bias": True}
    yield ErrorCase((x, grad), attrs, ShapeError, r"expected grad of shape \(2,3,6,6\)")


def _unfold_errors() -> Iterable[ErrorCase]:
    attrs = {"kernel": (5, 5), "stride": (1, 1), "padding": (0, 0), "dilation": (1, 1)}
    yield ErrorCase(
        (np.ones((1, 2, 4, 4)),), attrs, ShapeError, "larger than the padded"
    )
    yield ErrorCase((np.ones((1, 2, 4)),), attrs, ShapeError, "expected x of 4 axes")


def _fold_errors() -> Iterable[ErrorCase]:
    attrs = {"kernel": (2, 2), "stride": (1, 1), "padding": (0, 0), "dilation": (1, 1)}
    yield ErrorCase(
        (np.ones((1, 8, 9)),), {**attrs, "size": (4, 5)}, ShapeError, r"\(n,c\*4,12\)"
    )


CONV = register(
    planned(
        "conv",
        _conv_plan,
        _saves_factors,
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
CONV_TRANSPOSE = register(
    planned(
        "conv_transpose",
        _transpose_plan,
        _saves_factors,
        vjp=_transpose_vjp,
        samples=_transpose_samples,
        errors=_transpose_errors,
    )
)
CONV_WEIGHT_GRAD = register(
    planned(
        "conv_weight_grad",
        _weight_grad_plan,
        _saves_factors,
        vjp=_weight_grad_vjp,
        samples=_weight_grad_samples,
        errors=_weight_grad_errors,
    )
)
IM2COL = register(
    Op(
        name="im2col",
        rule=_unfold_rule,
        forward=_unfold_forward,
        vjp=_unfold_vjp,
        samples=_unfold_samples,
        errors=_unfold_errors,
    )
)
COL2IM = register(
    Op(
        name="col2im",
        rule=_fold_rule,
        forward=_fold_forward,
        vjp=_fold_vjp,
        samples=_fold_samples,
        errors=_fold_errors,
    )
)
