"""Batch norm in training, alone and with the ReLU behind it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from pyautodl.backends import Array, empty, run
from pyautodl.backends.dtypes import float64
from pyautodl.ops.layout import ensure_layout
from pyautodl.ops.norm.common import (
    Running,
    call_gradient,
    channel_shape,
    check_channels,
    check_like,
    check_running,
    check_stats,
    ensure_rows,
    ensure_stats,
    grad_outputs,
    grad_specs,
    in_order,
    saved_of,
    scale_and_shift,
    standardise,
    those_present,
    with_relu,
)
from pyautodl.ops.norm.examples import (
    LARGE,
    SHAPES,
    X,
    channel_errors,
    channel_samples,
    grad_samples,
    make_grad_errors,
    normal_numbers,
    statistics_of,
)
from pyautodl.ops.record import ErrorCase, Op, Sample, Spec, register

__all__ = [
    "BATCH_NORM",
    "BATCH_NORM_GRAD",
    "BATCH_NORM_RELU",
]


def _batch_norm_rule(
    x: Array,
    weight: Array | None = None,
    bias: Array | None = None,
    *,
    eps: float,
    momentum: float = 0.0,
    running: Running | None = None,
) -> tuple[Spec, ...]:
    name = "batch_norm"
    check_channels(name, x, weight=weight, bias=bias)
    check_running(name, x, running)
    if x.shape[1] and x.size // x.shape[1] == 1:
        raise ValueError(
            f"{name}: training needs more than one value a channel, got input "
            f"{x.shape}: use a larger batch, or eval()"
        )
    return (Spec(x.shape, x.dtype),)


def _batch_norm_forward(
    ctx: Any,
    needs: Any,
    x: Array,
    weight: Array | None = None,
    bias: Array | None = None,
    *,
    eps: float,
    momentum: float = 0.0,
    running: Running | None = None,
    relu: bool = False,
) -> Array:
    x = ensure_rows(ctx, x)
    weight, bias = in_order(ctx, weight), in_order(ctx, bias)
    y: Array = ctx.empty_like(x)
    stats = empty((2, x.shape[1]), float64)
    mean, var, batches = running or (None, None, None)
    reads, writes = (x, weight, bias), (y, stats, mean, var, batches)
    run("batch_norm_fwd", reads, writes, (1, int(relu)), (momentum, eps))
    for moved in running or ():
        if moved is not None:
            moved.storage.version += 1
    if any(needs):
        ctx.save(*(x, weight, bias)[: len(needs)], stats)
    return y


def _batch_norm_vjp(
    call: Any, ctx: Any, needs: Any, g: Any, relu: bool = False
) -> tuple[Any, ...]:
    x, weight, bias, stats = saved_of(ctx)
    reads = (g, x, weight, bias if relu else None, stats)
    attrs = {"training": True, "relu": relu}
    return call_gradient(call, "batch_norm_grad", reads, needs, **attrs)


def _batch_norm_composition(
    call: Any, x: Any, weight: Any = None, bias: Any = None, **attrs: Any
) -> Any:
    axes = tuple(i for i in range(len(x.shape)) if i != 1)
    xhat = standardise(call, x, axes, attrs["eps"])
    return scale_and_shift(call, xhat, weight, bias, channel_shape(x))


def _batch_norm_grad_rule(
    g: Array,
    x: Array,
    weight: Array | None,
    bias: Array | None,
    stats: Array,
    *,
    training: bool,
    relu: bool,
    wanted: tuple[bool, ...],
) -> tuple[Spec, ...]:
    name = "batch_norm_grad"
    check_like(name, g, x)
    check_channels(name, x, weight=weight, bias=bias)
    check_stats(name, stats, (2, x.shape[1]))
    return grad_specs(x, (x.shape[1],), wanted)


def _batch_norm_grad_forward(
    ctx: Any,
    needs: Any,
    g: Array,
    x: Array,
    weight: Array | None,
    bias: Array | None,
    stats: Array,
    *,
    training: bool,
    relu: bool,
    wanted: tuple[bool, ...],
) -> Any:
    x = ensure_rows(ctx, x)
    weight, bias = in_order(ctx, weight), in_order(ctx, bias)
    reads = (ensure_layout(ctx, g, x), x, weight, bias, ensure_stats(ctx, stats))
    outputs = grad_outputs(ctx, x, (x.shape[1],), wanted)
    run("batch_norm_bwd", reads, outputs, (int(training), int(relu)))
    return those_present(outputs)


def _batch_norm_samples() -> Iterator[Sample]:
    yield from channel_samples({"eps": 1e-5}, [*SHAPES, *LARGE])
    # a constant channel
    x = np.repeat(normal_numbers(1, 1, 3), 5, axis=0)
    yield Sample((x,), {"eps": 1e-5}, gradient=False)


def _batch_grad_samples() -> Iterator[Sample]:
    for relu in (False, True):

        def more(x: Any, attrs: Any, relu: bool = relu) -> Any:
            axes = tuple(i for i in range(x.ndim) if i != 1)
            how = {"training": x.ndim != 4, "relu": relu}
            return statistics_of(x, axes, attrs["eps"]), how

        for i, sample in enumerate(grad_samples(_batch_norm_samples(), more)):
            *reads, stats = sample.inputs
            bias = (
                normal_numbers(70 + i, len(stats[0])) if relu and i % 2 == 0 else None
            )
            yield sample._replace(inputs=(*reads, bias, stats))


def _batch_norm_errors() -> Iterator[ErrorCase]:
    yield from channel_errors("batch_norm", {"eps": 1e-5})
    match = r"batch_norm: training needs more than one value a channel, got .*\(1, 3\)"
    yield ErrorCase((X[:1],), {"eps": 1e-5}, ValueError, match)


BATCH_NORM = register(
    Op(
        name="batch_norm",
        rule=_batch_norm_rule,
        forward=_batch_norm_forward,
        vjp=_batch_norm_vjp,
        behind_relu=partial(_batch_norm_vjp, relu=True),
        composition=_batch_norm_composition,
        samples=_batch_norm_samples,
        errors=_batch_norm_errors,
        changes=("running",),
    )
)


BATCH_NORM_RELU = register(
    Op(
        name="batch_norm_relu",
        rule=_batch_norm_rule,
        forward=partial(_batch_norm_forward, relu=True),
        vjp=partial(_batch_norm_vjp, relu=True),
        composition=with_relu(_batch_norm_composition),
        samples=_batch_norm_samples,
        errors=_batch_norm_errors,
        changes=("running",),
    )
)


BATCH_NORM_GRAD = register(
    Op(
        name="batch_norm_grad",
        rule=_batch_norm_grad_rule,
        forward=_batch_norm_grad_forward,
        samples=_batch_grad_samples,
        errors=make_grad_errors(
            "batch_norm_grad", {"training": True, "relu": False}, absent=2
        ),
        gradient_of="batch_norm",
    )
)
