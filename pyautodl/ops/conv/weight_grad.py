"""The gradient of a convolution by its weight."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from pyautodl.backends import Array, KernelCall, Made, contiguous_strides
from pyautodl.errors import ShapeError
from pyautodl.ops.conv.algorithm import ConvShape, native_algorithm
from pyautodl.ops.conv.cases import LARGE, SMALL, attributes, conv_arrays
from pyautodl.ops.conv.checks import (
    Ints,
    Pairs,
    check_numbers,
    check_ranks,
    check_size,
    check_types,
    check_window,
    conv_size,
    named_shapes,
    shape_text,
)
from pyautodl.ops.conv.kernels import (
    conv_shape_of,
    laid_out,
    numbers_of,
    saves_factors,
    transposed_numbers,
)
from pyautodl.ops.conv.multiplied import seen_wide, spread_made, wide_form
from pyautodl.ops.plan import KernelPlan, Plan, StepsPlan, planned, seen
from pyautodl.ops.record import ErrorCase, Sample, register

__all__ = [
    "CONV_WEIGHT_GRAD",
]


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
    where = named_shapes(x=x, grad=grad)
    check_numbers(op, stride, padding, dilation, groups, where)
    check_ranks(op, len(stride), where, x=x, grad=grad)
    if x[1] % groups or grad[1] % groups:
        raise ShapeError(f"{op}: channels can't be split into {groups} groups {where}")
    check_window(op, x[2:], kernel, padding, dilation, where)
    sizes = map(conv_size, x[2:], kernel, stride, padding, dilation)
    expected = (x[0], grad[1], *sizes)
    if grad != expected:
        raise ShapeError(f"{op}: expected grad of shape {shape_text(expected)} {where}")
    shape = (grad[1], x[1] // groups, *kernel)
    check_size(op, shape, where)
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
    dtype = check_types(f"conv{len(stride)}d_weight_grad", x=x, grad=grad)
    shape = conv_shape_of(x.shape, out, grad.shape, *numbers)
    wide = wide_form(shape)
    if wide is not None and (wide.out == grad.shape or not bias):
        return _wide_plan(x, grad, out, wide, bias)
    name, ints = "conv_bwd_w", numbers_of(shape)
    if native_algorithm(shape) == "winograd":
        name, ints = "winograd_bwd_w", shape.padding
    made = [Made(out, dtype, contiguous_strides(out)), Made(out[:1], dtype, (1,))]

    def build(x: Array, grad: Array) -> Plan:
        reads = (seen(0, x), seen(1, grad))
        if bias:
            return KernelPlan(name, reads, made, ints)
        return KernelPlan(name, reads, [made[0], None], ints)

    return laid_out(build, (x, grad), ("channels_last", "channels_last"))


def _wide_plan(
    x: Array, grad: Array, weight: Ints, wide: ConvShape, bias: bool
) -> Plan:
    """By that of a depthwise convolution, with copies of x or of the gradient."""
    dtype = x.dtype
    spread = 0 if wide.x != x.shape else 1
    step = spread_made((x, grad)[spread], (wide.x, wide.out)[spread], spread)

    def build(x: Array, grad: Array) -> Plan:
        places = [0, 1]
        places[spread] = 2
        reads = [
            seen_wide(place, dtype, form)
            for place, form in zip(places, (wide.x, wide.out))
        ]
        as_seen = wide.weight, contiguous_strides(wide.weight)
        made = Made(weight, dtype, contiguous_strides(weight), as_seen)
        writes = [made, Made(weight[:1], dtype, (1,)) if bias else None]
        call = KernelCall("conv_bwd_w", reads, writes, numbers_of(wide))
        return StepsPlan([step, call], 2)

    layouts = ["channels_last", "channels_last"]
    layouts[spread] = "any"
    return laid_out(build, (x, grad), layouts)


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
        back = transposed_numbers(shape_x, tuple(gw.shape), shape_grad, numbers)
        dx = call("conv_transpose", grad, gw, None, **back)
    if gw is not None and needs[1]:
        dgrad = call("conv", x, gw, gb, **numbers)
    elif gb is not None and needs[1]:
        each = call("reshape", gb, shape=(1, -1, *(1,) * len(kernel)))
        dgrad = call("expand", each, shape=shape_grad)
    return dx, dgrad


def _weight_grad_samples() -> Iterable[Sample]:
    rng = np.random.default_rng(22)
    for large, cases in ((False, SMALL), (True, LARGE)):
        for number, (x, weight, numbers) in enumerate(cases):
            a, _, _, shape = conv_arrays(rng, x, weight, numbers)
            attrs = {**numbers, "kernel": weight[2:], "bias": number % 3 != 2}
            yield Sample((a, rng.standard_normal(shape)), attrs, gradient=not large)


def _weight_grad_errors() -> Iterable[ErrorCase]:
    x, grad = np.ones((2, 4, 8, 8)), np.ones((2, 3, 7, 6))
    attrs = {**attributes(2), "kernel": (3, 3), "bias": True}
    yield ErrorCase((x, grad), attrs, ShapeError, r"expected grad of shape \(2,3,6,6\)")


CONV_WEIGHT_GRAD = register(
    planned(
        "conv_weight_grad",
        _weight_grad_plan,
        saves_factors,
        vjp=_weight_grad_vjp,
        samples=_weight_grad_samples,
        errors=_weight_grad_errors,
    )
)
