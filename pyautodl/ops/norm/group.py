"""Group norm."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import Any

from pyautodl.backends import Array, empty, run
from pyautodl.backends.dtypes import float64
from pyautodl.errors import ShapeError
from pyautodl.ops.layout import ensure_layout
from pyautodl.ops.norm.common import (
    Ints,
    call_gradient,
    channel_shape,
    check_channels,
    check_like,
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
)
from pyautodl.ops.norm.examples import (
    LARGE,
    SHAPES,
    X,
    channel_errors,
    channel_samples,
    grad_samples,
    make_grad_errors,
    statistics_of,
)
from pyautodl.ops.record import ErrorCase, Op, Sample, Spec, register

__all__ = [
    "GROUP_NORM",
    "GROUP_NORM_GRAD",
]


def _check_groups(name: str, x: Array, groups: int) -> None:
    if groups < 1 or x.shape[1] % groups:
        raise ShapeError(
            f"{name}: expected channels that divide into {groups} groups, got "
            f"{x.shape[1]} (input {x.shape})"
        )


def _group_norm_rule(
    x: Array,
    weight: Array | None = None,
    bias: Array | None = None,
    *,
    groups: int,
    eps: float,
) -> tuple[Spec, ...]:
    check_channels("group_norm", x, weight=weight, bias=bias)
    _check_groups("group_norm", x, groups)
    return (Spec(x.shape, x.dtype),)


def _group_norm_forward(
    ctx: Any,
    needs: Any,
    x: Array,
    weight: Array | None = None,
    bias: Array | None = None,
    *,
    groups: int,
    eps: float,
) -> Array:
    x = ensure_rows(ctx, x)
    weight, bias = in_order(ctx, weight), in_order(ctx, bias)
    y: Array = ctx.empty_like(x)
    stats = empty((2, x.shape[0], groups), float64)
    if x.size:
        run("group_norm_fwd", (x, weight, bias), (y, stats), (groups,), (eps,))
    if any(needs):
        ctx.save(*(x, weight, bias)[: len(needs)], stats)
    return y


def _group_norm_vjp(call: Any, ctx: Any, needs: Any, g: Any) -> tuple[Any, ...]:
    x, weight, _, stats = saved_of(ctx)
    groups = ctx.attrs["groups"]
    reads = (g, x, weight, stats)
    return call_gradient(call, "group_norm_grad", reads, needs, groups=groups)


def _group_norm_composition(
    call: Any, x: Any, weight: Any = None, bias: Any = None, **attrs: Any
) -> Any:
    shape = tuple(x.shape)
    groups = attrs["groups"]
    size = shape[1] // groups * prod(shape[2:])
    rows = call("reshape", x, shape=(shape[0], groups, size))
    xhat = standardise(call, rows, (2,), attrs["eps"])
    xhat = call("reshape", xhat, shape=shape)
    return scale_and_shift(call, xhat, weight, bias, channel_shape(x))


def _group_norm_grad_rule(
    g: Array,
    x: Array,
    weight: Array | None,
    stats: Array,
    *,
    groups: int,
    wanted: tuple[bool, ...],
) -> tuple[Spec, ...]:
    name = "group_norm_grad"
    check_like(name, g, x)
    check_channels(name, x, weight=weight)
    _check_groups(name, x, groups)
    check_stats(name, stats, (2, x.shape[0], groups))
    return grad_specs(x, (x.shape[1],), wanted)


def _group_norm_grad_forward(
    ctx: Any,
    needs: Any,
    g: Array,
    x: Array,
    weight: Array | None,
    stats: Array,
    *,
    groups: int,
    wanted: tuple[bool, ...],
) -> Any:
    x = ensure_rows(ctx, x)
    reads = (
        ensure_layout(ctx, g, x),
        x,
        in_order(ctx, weight),
        ensure_stats(ctx, stats),
    )
    outputs = grad_outputs(ctx, x, (x.shape[1],), wanted)
    if x.shape[1]:  # else all of them are empty
        run("group_norm_bwd", reads, outputs, (groups,))
    return those_present(outputs)


def _group_norm_samples() -> Iterator[Sample]:
    yield from channel_samples({"groups": 1, "eps": 1e-5}, [*SHAPES, *LARGE])
    more: list[Ints] = [(3, 4), (2, 4, 2), (2, 4, 1, 2), (2, 12, 5, 6), (2, 8, 65, 64)]
    yield from channel_samples({"groups": 2, "eps": 1e-3}, more)
    yield from channel_samples({"groups": 4, "eps": 1e-3}, [(2, 4, 3)])


def _group_grad_samples() -> Iterator[Sample]:
    def more(x: Any, attrs: Any) -> Any:
        rows = x.reshape(x.shape[0], attrs["groups"], -1)
        stats = statistics_of(rows, (2,), attrs["eps"])
        return stats.reshape(2, *rows.shape[:2]), {"groups": attrs["groups"]}

    yield from grad_samples(_group_norm_samples(), more)


def _group_norm_errors() -> Iterator[ErrorCase]:
    yield from channel_errors("group_norm", {"groups": 1, "eps": 1e-5})
    match = "group_norm: expected channels that divide into 2 groups, got 3"
    yield ErrorCase((X,), {"groups": 2, "eps": 1e-5}, ShapeError, match)


GROUP_NORM = register(
    Op(
        name="group_norm",
        rule=_group_norm_rule,
        forward=_group_norm_forward,
        vjp=_group_norm_vjp,
        composition=_group_norm_composition,
        samples=_group_norm_samples,
        errors=_group_norm_errors,
    )
)


GROUP_NORM_GRAD = register(
    Op(
        name="group_norm_grad",
        rule=_group_norm_grad_rule,
        forward=_group_norm_grad_forward,
        samples=_group_grad_samples,
        errors=make_grad_errors("group_norm_grad", {"groups": 1}),
        gradient_of="group_norm",
    )
)
