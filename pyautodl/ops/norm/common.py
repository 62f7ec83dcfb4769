"""What the normalisations share: checks, layouts, statistics as plain ops."""

from __future__ import annotations

from math import prod
from typing import Any

from pyautodl.backends import Array, empty, run
from pyautodl.backends.dtypes import FLOATING, float64
from pyautodl.errors import DTypeError, ShapeError
from pyautodl.ops.layout import ensure_channels_last, ensure_contiguous
from pyautodl.ops.record import Spec

__all__ = [
    "Ints",
    "Running",
    "call_gradient",
    "channel_shape",
    "check_channels",
    "check_like",
    "check_running",
    "check_stats",
    "check_types",
    "ensure_rows",
    "ensure_stats",
    "grad_outputs",
    "grad_specs",
    "in_order",
    "saved_of",
    "scale_and_shift",
    "scaled",
    "spread_out",
    "standardise",
    "those_present",
    "with_relu",
]

Ints = tuple[int, ...]
# what is updated in training: mean, variance, how many batches there were
Running = tuple[Array, Array, Array | None]


def check_types(name: str, x: Array, **others: Array | None) -> None:
    """Refuse arrays that are not of one floating type."""
    present = {key: each for key, each in others.items() if each is not None}
    if x.dtype.category == FLOATING and all(
        each.dtype is x.dtype for each in present.values()
    ):
        return
    found = [f"{key} {each.dtype.name}" for key, each in present.items()]
    raise DTypeError(
        f"{name}: expected one floating type, got "
        f"{', '.join([f'input {x.dtype.name}', *found])} (input {x.shape}); use "
        ".float() or .double() on one of them"
    )


def check_channels(name: str, x: Array, **others: Array | None) -> None:
    """Refuse what has no channels, or other arrays than one number a channel."""
    if x.ndim < 2:
        raise ShapeError(f"{name}: expected an input (n, c, ...), got {x.shape}")
    for key, each in others.items():
        if each is not None and each.shape != (x.shape[1],):
            raise ShapeError(
                f"{name}: expected a {key} of shape ({x.shape[1]},) for the channels "
                f"of the input {x.shape}, got {each.shape}"
            )
    check_types(name, x, **others)


def check_like(name: str, g: Array, x: Array) -> None:
    """Refuse a gradient that is not like the input."""
    check_types(name, x, gradient=g)
    if g.shape != x.shape:
        raise ShapeError(
            f"{name}: expected a gradient of the input's shape {x.shape}, got {g.shape}"
        )


def ensure_rows(ctx: Any, x: Array) -> Array:
    """Channels innermost."""
    return ensure_contiguous(ctx, x) if x.ndim == 2 else ensure_channels_last(ctx, x)


def in_order(ctx: Any, x: Array | None) -> Array | None:
    """An array, if there is one, in C order."""
    return None if x is None else ensure_contiguous(ctx, x)


def grad_outputs(
    ctx: Any, x: Array, size: Ints, wanted: tuple[bool, ...]
) -> list[Array | None]:
    """dx, dweight and dbias, those that are wanted."""
    return [
        ctx.empty_like(x) if wanted[0] else None,
        ctx.empty(size, x.dtype) if wanted[1] else None,
        ctx.empty(size, x.dtype) if wanted[2] else None,
    ]


def grad_specs(x: Array, size: Ints, wanted: tuple[bool, ...]) -> tuple[Spec, ...]:
    """What the gradients are like that are wanted."""
    specs = (Spec(x.shape, x.dtype), Spec(size, x.dtype), Spec(size, x.dtype))
    return tuple(spec for spec, want in zip(specs, wanted, strict=True) if want)


def spread_out(found: Any, wanted: tuple[bool, ...]) -> list[Any]:
    """The gradients that were computed, None for the others."""
    each = iter(found if isinstance(found, tuple) else (found,))
    return [next(each) if want else None for want in wanted]


def saved_of(ctx: Any) -> tuple[Any, Any, Any, Any]:
    """Input, weight, bias and statistics that a forward pass saved."""
    *inputs, stats = ctx.saved
    x, weight, bias = (*inputs, None, None)[:3]
    return x, weight, bias, stats


def call_gradient(
    call: Any, name: str, reads: tuple[Any, ...], needs: Any, **attrs: Any
) -> tuple[Any, ...]:
    """The gradients of the inputs that need one, by the op that gives those of input,
    weight and bias that are wanted.
    """
    wanted = tuple((*needs, False, False)[:3])
    found = call(name, *reads, wanted=wanted, **attrs)
    return tuple(spread_out(found, wanted)[: len(needs)])


def those_present(arrays: list[Array | None]) -> Any:
    """The arrays that are there, a single one bare."""
    found = tuple(each for each in arrays if each is not None)
    return found if len(found) != 1 else found[0]


def channel_shape(x: Any) -> Ints:
    """The shape by which numbers of channels broadcast with an input."""
    return (-1, *(1,) * (len(x.shape) - 2))


def scale_and_shift(call: Any, xhat: Any, weight: Any, bias: Any, shape: Ints) -> Any:
    """xhat * weight + bias, of which both may be absent."""
    if weight is not None:
        xhat = call("mul", xhat, call("reshape", weight, shape=shape))
    if bias is not None:
        xhat = call("add", xhat, call("reshape", bias, shape=shape))
    return xhat


def standardise(call: Any, x: Any, axes: Ints, eps: float, center: bool = True) -> Any:
    """(x - mean) / sqrt(variance + eps) over the axes, by plain ops."""
    count = float(prod(x.shape[axis] for axis in axes))
    if center:
        mean = call("div", call("sum", x, dim=axes, keepdim=True), count)
        x = call("sub", x, mean)
    squares = call("sum", call("mul", x, x), dim=axes, keepdim=True)
    var = call("add", call("div", squares, count), eps)
    return call("div", x, call("sqrt", var))


def check_running(name: str, x: Array, running: Running | None) -> None:
    """Refuse running statistics that do not fit."""
    if running is None:
        return
    mean, var, _ = running
    check_channels(name, x, running_mean=mean, running_var=var)
    if not (mean.is_contiguous() and var.is_contiguous()):
        raise ShapeError(f"{name}: running statistics must be contiguous")


def with_relu(composition: Any) -> Any:
    """A composition with a ReLU behind it."""
    return lambda call, *inputs, **attrs: call(
        "relu", composition(call, *inputs, **attrs)
    )


def check_stats(name: str, stats: Array, shape: Ints) -> None:
    """Refuse statistics of another shape."""
    if stats.shape != shape:
        raise ShapeError(
            f"{name}: expected statistics of shape {shape}, got {stats.shape}"
        )


def ensure_stats(ctx: Any, stats: Array) -> Array:
    """Statistics are float64 whatever the input is."""
    if stats.dtype is float64:
        return ensure_contiguous(ctx, stats)
    wide = empty(stats.shape, float64)
    run("cast", (stats,), (wide,))
    return wide


def scaled(call: Any, x: Any, weight: Any) -> Any:
    """x * weight, if there is one."""
    return x if weight is None else call("mul", x, weight)
