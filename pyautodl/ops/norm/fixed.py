"""Batch norm with given statistics, alone and with the ReLU behind it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from math import prod
from typing import Any

import numpy as np

from pyautodl.backends import Array, empty, run
from pyautodl.backends.dtypes import float64
from pyautodl.errors import ShapeError
from pyautodl.ops.layout import ensure_contiguous
from pyautodl.ops.norm.common import (
    channel_shape,
    check_channels,
    ensure_rows,
    in_order,
    scale_and_shift,
    scaled,
    spread_out,
    with_relu,
)
from pyautodl.ops.norm.examples import LARGE, SHAPES, X, channel_samples, normal_numbers
from pyautodl.ops.record import ErrorCase, Op, Sample, Spec, register

__all__ = [
    "BATCH_NORM_EVAL",
    "BATCH_NORM_RELU_EVAL",
]

# elements of a channel from which on it is read where it lies
_SMALLEST_PLANE = 32


def _eval_rule(
    x: Array,
    mean: Array,
    var: Array,
    weight: Array | None = None,
    bias: Array | None = None,
    *,
    eps: float,
) -> tuple[Spec, ...]:
    channels = {
        "running_mean": mean,
        "running_var": var,
        "weight": weight,
        "bias": bias,
    }
    check_channels("batch_norm", x, **channels)
    return (Spec(x.shape, x.dtype),)


def _eval_forward(
    ctx: Any,
    needs: Any,
    x: Array,
    mean: Array,
    var: Array,
    weight: Array | None = None,
    bias: Array | None = None,
    *,
    eps: float,
    relu: bool = False,
) -> Array:
    planes = x.is_contiguous() and prod(x.shape[2:]) >= _SMALLEST_PLANE
    if any(needs) or not planes:
        x = ensure_rows(ctx, x)
    mean, var = ensure_contiguous(ctx, mean), ensure_contiguous(ctx, var)
    weight, bias = in_order(ctx, weight), in_order(ctx, bias)
    y: Array = ctx.empty_like(x)
    stats = empty((2, x.shape[1]), float64)
    writes = (y, stats, mean, var, None)
    run("batch_norm_fwd", (x, weight, bias), writes, (0, int(relu)), (0.0, eps))
    if any(needs):
        ctx.save(*(x, mean, var, weight, bias)[: len(needs)], stats)
    return y


def _eval_vjp(
    call: Any, ctx: Any, needs: Any, g: Any, relu: bool = False
) -> tuple[Any, ...]:
    *inputs, stats = ctx.saved
    x, _, var, weight, bias = (*inputs, None, None)[:5]
    d_x, d_mean, d_var, d_weight, d_bias = (*needs, False, False)[:5]
    wanted = (d_x, d_weight or d_var, d_bias or d_mean)
    found: list[Any] = [None, None, None]
    if any(wanted):
        reads = (g, x, weight, bias if relu else None, stats)
        attrs = {"training": False, "relu": relu, "wanted": wanted}
        found = spread_out(call("batch_norm_grad", *reads, **attrs), wanted)
    dx, dweight, dbias = found
    dmean = dvar = None
    spread = call("add", var, ctx.attrs["eps"]) if d_mean or d_var else None
    if d_mean:
        dmean = call(
            "neg", call("div", scaled(call, dbias, weight), call("sqrt", spread))
        )
    if d_var:
        half = call("mul", scaled(call, dweight, weight), -0.5)
        dvar = call("div", half, spread)
    return (dx, dmean, dvar, dweight if d_weight else None, dbias if d_bias else None)[
        : len(needs)
    ]


def _eval_composition(
    call: Any,
    x: Any,
    mean: Any,
    var: Any,
    weight: Any = None,
    bias: Any = None,
    **attrs: Any,
) -> Any:
    shape = channel_shape(x)
    spread = call("sqrt", call("add", call("reshape", var, shape=shape), attrs["eps"]))
    centred = call("sub", x, call("reshape", mean, shape=shape))
    return scale_and_shift(call, call("div", centred, spread), weight, bias, shape)


def _eval_samples() -> Iterator[Sample]:
    for sample in channel_samples({"eps": 1e-3}, [*SHAPES, (1, 3), *LARGE]):
        x, *affine = sample.inputs
        mean, var = (
            normal_numbers(7, x.shape[1]),
            normal_numbers(8, x.shape[1]) ** 2 + 0.5,
        )
        yield Sample((x, mean, var, *affine), sample.attrs, gradient=sample.gradient)


def _eval_errors() -> Iterator[ErrorCase]:
    match = r"batch_norm: expected a running_var of shape \(3,\)"
    inputs = (X, np.ones(3), np.ones(2))
    yield ErrorCase(inputs, {"eps": 1e-5}, ShapeError, match)


BATCH_NORM_EVAL = register(
    Op(
        name="batch_norm_eval",
        rule=_eval_rule,
        forward=_eval_forward,
        vjp=_eval_vjp,
        behind_relu=partial(_eval_vjp, relu=True),
        composition=_eval_composition,
        samples=_eval_samples,
        errors=_eval_errors,
    )
)


BATCH_NORM_RELU_EVAL = register(
    Op(
        name="batch_norm_relu_eval",
        rule=_eval_rule,
        forward=partial(_eval_forward, relu=True),
        vjp=partial(_eval_vjp, relu=True),
        composition=with_relu(_eval_composition),
        samples=_eval_samples,
        errors=_eval_errors,
    )
)
