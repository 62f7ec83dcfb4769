"""Normalisation: batch, group, layer and RMS norm.

Each is a kernel with fused statistics and a kernel for its gradients; second
derivatives go through a composition of plain ops.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from math import prod
from typing import Any

import numpy as np

from pyautodl.backends import Array, empty, run
from pyautodl.backends.dtypes import FLOATING, float64
from pyautodl.errors import DTypeError, ShapeError
from pyautodl.ops.layout import (
    ensure_channels_last,
    ensure_contiguous,
    ensure_layout,
)
from pyautodl.ops.record import ErrorCase, Op, Sample, Spec, register

__all__ = [
    "BATCH_NORM",
    "BATCH_NORM_EVAL",
    "BATCH_NORM_RELU",
    "BATCH_NORM_RELU_EVAL",
    "GROUP_NORM",
    "LAYER_NORM",
    "RMS_NORM",
]

_Ints = tuple[int, ...]
# what is updated in training: mean, variance, how many batches there were
Running = tuple[Array, Array, Array | None]


# ---- checks ----


def _check_types(name: str, x: Array, **others: Array | None) -> None:
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


def _check_channels(name: str, x: Array, **others: Array | None) -> None:
    if x.ndim < 2:
        raise ShapeError(f"{name}: expected an input (n, c, ...), got {x.shape}")
    for key, each in others.items():
        if each is not None and each.shape != (x.shape[1],):
            raise ShapeError(
                f"{name}: expected a {key} of shape ({x.shape[1]},) for the channels "
                f"of the input {x.shape}, got {each.shape}"
            )
    _check_types(name, x, **others)


def _check_like(name: str, g: Array, x: Array) -> None:
    _check_types(name, x, gradient=g)
    if g.shape != x.shape:
        raise ShapeError(
            f"{name}: expected a gradient of the input's shape {x.shape}, got {g.shape}"
        )


# ---- what channel norms share ----


def _ensure_rows(ctx: Any, x: Array) -> Array:
    """Channels innermost."""
    return ensure_contiguous(ctx, x) if x.ndim == 2 else ensure_channels_last(ctx, x)


def _flat(ctx: Any, x: Array | None) -> Array | None:
    return None if x is None else ensure_contiguous(ctx, x)


def _outputs(
    ctx: Any, x: Array, size: _Ints, wanted: tuple[bool, ...]
) -> list[Array | None]:
    """dx, dweight and dbias, those that are wanted."""
    return [
        ctx.empty_like(x) if wanted[0] else None,
        ctx.empty(size, x.dtype) if wanted[1] else None,
        ctx.empty(size, x.dtype) if wanted[2] else None,
    ]


def _grad_specs(x: Array, size: _Ints, wanted: tuple[bool, ...]) -> tuple[Spec, ...]:
    specs = (Spec(x.shape, x.dtype), Spec(size, x.dtype), Spec(size, x.dtype))
    return tuple(spec for spec, want in zip(specs, wanted, strict=True) if want)


def _spread(found: Any, wanted: tuple[bool, ...]) -> list[Any]:
    """The gradients that were computed, None for the others."""
    each = iter(found if isinstance(found, tuple) else (found,))
    return [next(each) if want else None for want in wanted]


def _wanted(needs: Any) -> tuple[bool, ...]:
    return tuple((*needs, False, False)[:3])


def _present(arrays: list[Array | None]) -> Any:
    found = tuple(each for each in arrays if each is not None)
    return found if len(found) != 1 else found[0]


def _channel_shape(x: Any) -> _Ints:
    return (-1, *(1,) * (len(x.shape) - 2))


def _affine(call: Any, xhat: Any, weight: Any, bias: Any, shape: _Ints) -> Any:
    if weight is not None:
        xhat = call("mul", xhat, call("reshape", weight, shape=shape))
    if bias is not None:
        xhat = call("add", xhat, call("reshape", bias, shape=shape))
    return xhat


def _standardise(
    call: Any, x: Any, axes: _Ints, eps: float, center: bool = True
) -> Any:
    """(x - mean) / sqrt(variance + eps) over the axes, by plain ops."""
    count = float(prod(x.shape[axis] for axis in axes))
    if center:
        mean = call("div", call("sum", x, dim=axes, keepdim=True), count)
        x = call("sub", x, mean)
    squares = call("sum", call("mul", x, x), dim=axes, keepdim=True)
    var = call("add", call("div", squares, count), eps)
    return call("div", x, call("sqrt", var))


# ---- batch norm in training ----


def _check_running(name: str, x: Array, running: Running | None) -> None:
    if running is None:
        return
    mean, var, _ = running
    _check_channels(name, x, running_mean=mean, running_var=var)
    if not (mean.is_contiguous() and var.is_contiguous()):
        raise ShapeError(f"{name}: running statistics must be contiguous")


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
    _check_channels(name, x, weight=weight, bias=bias)
    _check_running(name, x, running)
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
    x = _ensure_rows(ctx, x)
    weight, bias = _flat(ctx, weight), _flat(ctx, bias)
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
    *inputs, stats = ctx.saved
    x, weight, bias = (*inputs, None, None)[:3]
    wanted = _wanted(needs)
    reads = (g, x, weight, bias if relu else None, stats)
    found = call("batch_norm_grad", *reads, training=True, relu=relu, wanted=wanted)
    return tuple(_spread(found, wanted)[: len(needs)])


def _batch_norm_composition(
    call: Any, x: Any, weight: Any = None, bias: Any = None, **attrs: Any
) -> Any:
    axes = tuple(i for i in range(len(x.shape)) if i != 1)
    xhat = _standardise(call, x, axes, attrs["eps"])
    return _affine(call, xhat, weight, bias, _channel_shape(x))


def _with_relu(composition: Any) -> Any:
    return lambda call, *inputs, **attrs: call(
        "relu", composition(call, *inputs, **attrs)
    )


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
    _check_like(name, g, x)
    _check_channels(name, x, weight=weight, bias=bias)
    _check_stats(name, stats, (2, x.shape[1]))
    return _grad_specs(x, (x.shape[1],), wanted)


def _check_stats(name: str, stats: Array, shape: _Ints) -> None:
    if stats.shape != shape:
        raise ShapeError(
            f"{name}: expected statistics of shape {shape}, got {stats.shape}"
        )


def _ensure_stats(ctx: Any, stats: Array) -> Array:
    """Statistics are float64 whatever the input is."""
    if stats.dtype is float64:
        return ensure_contiguous(ctx, stats)
    wide = empty(stats.shape, float64)
    run("cast", (stats,), (wide,))
    return wide


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
    x = _ensure_rows(ctx, x)
    weight, bias = _flat(ctx, weight), _flat(ctx, bias)
    reads = (ensure_layout(ctx, g, x), x, weight, bias, _ensure_stats(ctx, stats))
    outputs = _outputs(ctx, x, (x.shape[1],), wanted)
    run("batch_norm_bwd", reads, outputs, (int(training), int(relu)))
    return _present(outputs)


# ---- batch norm with given statistics ----


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
    _check_channels("batch_norm", x, **channels)
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
    x = _ensure_rows(ctx, x)
    mean, var = ensure_contiguous(ctx, mean), ensure_contiguous(ctx, var)
    weight, bias = _flat(ctx, weight), _flat(ctx, bias)
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
        found = _spread(call("batch_norm_grad", *reads, **attrs), wanted)
    dx, dweight, dbias = found
    dmean = dvar = None
    spread = call("add", var, ctx.attrs["eps"]) if d_mean or d_var else None
    if d_mean:
        dmean = call(
            "neg", call("div", _times(call, dbias, weight), call("sqrt", spread))
        )
    if d_var:
        half = call("mul", _times(call, dweight, weight), -0.5)
        dvar = call("div", half, spread)
    return (dx, dmean, dvar, dweight if d_weight else None, dbias if d_bias else None)[
        : len(needs)
    ]


def _times(call: Any, x: Any, weight: Any) -> Any:
    return x if weight is None else call("mul", x, weight)


def _eval_composition(
    call: Any,
    x: Any,
    mean: Any,
    var: Any,
    weight: Any = None,
    bias: Any = None,
    **attrs: Any,
) -> Any:
    shape = _channel_shape(x)
    spread = call("sqrt", call("add", call("reshape", var, shape=shape), attrs["eps"]))
    centred = call("sub", x, call("reshape", mean, shape=shape))
    return _affine(call, call("div", centred, spread), weight, bias, shape)


# ---- group norm ----


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
    _check_channels("group_norm", x, weight=weight, bias=bias)
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
    x = _ensure_rows(ctx, x)
    weight, bias = _flat(ctx, weight), _flat(ctx, bias)
    y: Array = ctx.empty_like(x)
    stats = empty((2, x.shape[0], groups), float64)
    if x.size:
        run("group_norm_fwd", (x, weight, bias), (y, stats), (groups,), (eps,))
    if any(needs):
        ctx.save(*(x, weight, bias)[: len(needs)], stats)
    return y


def _group_norm_vjp(call: Any, ctx: Any, needs: Any, g: Any) -> tuple[Any, ...]:
    *inputs, stats = ctx.saved
    x, weight, _ = (*inputs, None, None)[:3]
    wanted = _wanted(needs)
    groups = ctx.attrs["groups"]
    found = call("group_norm_grad", g, x, weight, stats, groups=groups, wanted=wanted)
    return tuple(_spread(found, wanted)[: len(needs)])


def _group_norm_composition(
    call: Any, x: Any, weight: Any = None, bias: Any = None, **attrs: Any
) -> Any:
    shape = tuple(x.shape)
    groups = attrs["groups"]
    size = shape[1] // groups * prod(shape[2:])
    rows = call("reshape", x, shape=(shape[0], groups, size))
    xhat = _standardise(call, rows, (2,), attrs["eps"])
    xhat = call("reshape", xhat, shape=shape)
    return _affine(call, xhat, weight, bias, _channel_shape(x))


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
    _check_like(name, g, x)
    _check_channels(name, x, weight=weight)
    _check_groups(name, x, groups)
    _check_stats(name, stats, (2, x.shape[0], groups))
    return _grad_specs(x, (x.shape[1],), wanted)


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
    x = _ensure_rows(ctx, x)
    reads = (ensure_layout(ctx, g, x), x, _flat(ctx, weight), _ensure_stats(ctx, stats))
    outputs = _outputs(ctx, x, (x.shape[1],), wanted)
    run("group_norm_bwd", reads, outputs, (groups,))
    return _present(outputs)


# ---- layer norm and RMS norm ----


def _check_trailing(
    name: str, x: Array, normalized_shape: _Ints, **others: Array | None
) -> int:
    """How many elements a row has."""
    size = tuple(normalized_shape)
    if not size or x.shape[-len(size) :] != size:
        raise ShapeError(
            f"{name}: expected an input (..., {', '.join(map(str, size))}), got "
            f"{x.shape}"
        )
    for key, each in others.items():
        if each is not None and each.shape != size:
            raise ShapeError(
                f"{name}: expected a {key} of shape {size}, got {each.shape} (input "
                f"{x.shape})"
            )
    _check_types(name, x, **others)
    return prod(size)


def _row_norm_forward(
    ctx: Any,
    needs: Any,
    inputs: tuple[Array | None, ...],
    normalized_shape: _Ints,
    center: int,
    eps: float,
) -> Array:
    """inputs: x, weight, bias; the bias is absent in RMS norm."""
    x = ensure_contiguous(ctx, inputs[0])  # type: ignore[arg-type]
    weight, bias = (*(_flat(ctx, each) for each in inputs[1:]), None, None)[:2]
    n = prod(normalized_shape)
    y: Array = ctx.empty(x.shape, x.dtype)
    stats = empty((2, x.size // n if n else 0), float64)
    run("layer_norm_fwd", (x, weight, bias), (y, stats), (n, center), (eps,))
    if any(needs):
        ctx.save(*(x, weight, bias)[: len(needs)], stats)
    return y


def _layer_norm_rule(
    x: Array,
    weight: Array | None = None,
    bias: Array | None = None,
    *,
    normalized_shape: _Ints,
    eps: float,
) -> tuple[Spec, ...]:
    _check_trailing("layer_norm", x, normalized_shape, weight=weight, bias=bias)
    return (Spec(x.shape, x.dtype),)


def _layer_norm_forward(
    ctx: Any,
    needs: Any,
    x: Array,
    weight: Array | None = None,
    bias: Array | None = None,
    *,
    normalized_shape: _Ints,
    eps: float,
) -> Array:
    return _row_norm_forward(ctx, needs, (x, weight, bias), normalized_shape, 1, eps)


def _rms_norm_rule(
    x: Array, weight: Array | None = None, *, normalized_shape: _Ints, eps: float
) -> tuple[Spec, ...]:
    _check_trailing("rms_norm", x, normalized_shape, weight=weight)
    return (Spec(x.shape, x.dtype),)


def _rms_norm_forward(
    ctx: Any,
    needs: Any,
    x: Array,
    weight: Array | None = None,
    *,
    normalized_shape: _Ints,
    eps: float,
) -> Array:
    return _row_norm_forward(ctx, needs, (x, weight), normalized_shape, 0, eps)


def _make_row_vjp(center: int) -> Any:
    def vjp(call: Any, ctx: Any, needs: Any, g: Any) -> tuple[Any, ...]:
        *inputs, stats = ctx.saved
        x, weight, _ = (*inputs, None, None)[:3]
        wanted = _wanted(needs)
        size = ctx.attrs["normalized_shape"]
        found = call(
            "layer_norm_grad",
            g,
            x,
            weight,
            stats,
            normalized_shape=size,
            center=center,
            wanted=wanted,
        )
        return tuple(_spread(found, wanted)[: len(needs)])

    return vjp


def _make_row_composition(center: bool) -> Any:
    def composition(
        call: Any, x: Any, weight: Any = None, bias: Any = None, **attrs: Any
    ) -> Any:
        size = tuple(attrs["normalized_shape"])
        ndim = len(x.shape)
        axes = tuple(range(ndim - len(size), ndim))
        xhat = _standardise(call, x, axes, attrs["eps"], center)
        return _affine(call, xhat, weight, bias, size)

    return composition


def _layer_norm_grad_rule(
    g: Array,
    x: Array,
    weight: Array | None,
    stats: Array,
    *,
    normalized_shape: _Ints,
    center: int,
    wanted: tuple[bool, ...],
) -> tuple[Spec, ...]:
    name = "layer_norm_grad"
    _check_like(name, g, x)
    n = _check_trailing(name, x, normalized_shape, weight=weight)
    _check_stats(name, stats, (2, x.size // n if n else 0))
    return _grad_specs(x, tuple(normalized_shape), wanted)


def _layer_norm_grad_forward(
    ctx: Any,
    needs: Any,
    g: Array,
    x: Array,
    weight: Array | None,
    stats: Array,
    *,
    normalized_shape: _Ints,
    center: int,
    wanted: tuple[bool, ...],
) -> Any:
    g, x = ensure_contiguous(ctx, g), ensure_contiguous(ctx, x)
    outputs = _outputs(ctx, x, tuple(normalized_shape), wanted)
    reads = (g, x, _flat(ctx, weight), _ensure_stats(ctx, stats))
    run("layer_norm_bwd", reads, outputs, (prod(normalized_shape), int(center)))
    return _present(outputs)


# ---- examples ----


def _normal(seed: int, *shape: int) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).standard_normal(shape)


def _channel_samples(attrs: dict[str, Any], shapes: list[_Ints]) -> Iterator[Sample]:
    """With weight and bias, with either, with neither."""
    for i, shape in enumerate(shapes):
        x, small = _normal(i, *shape), prod(shape) < 30
        weight, bias = _normal(50 + i, shape[1]), _normal(80 + i, shape[1])
        yield Sample((x, weight, bias), attrs, gradient=small)
        if i == 0:
            yield Sample((x,), attrs)
            yield Sample((x, None, bias), attrs)
            yield Sample((x, weight), attrs)
            yield Sample((x + 1000, weight, bias), attrs, gradient=False)


_SHAPES: list[_Ints] = [(4, 3), (2, 2, 3), (2, 2, 2, 2), (2, 1, 1, 2, 2), (0, 3)]
_LARGE: list[_Ints] = [(40, 37), (2, 20, 5, 6)]


def _batch_norm_samples() -> Iterator[Sample]:
    yield from _channel_samples({"eps": 1e-5}, [*_SHAPES, *_LARGE])
    # a constant channel
    x = np.repeat(_normal(1, 1, 3), 5, axis=0)
    yield Sample((x,), {"eps": 1e-5}, gradient=False)


def _eval_samples() -> Iterator[Sample]:
    for sample in _channel_samples({"eps": 1e-3}, [*_SHAPES, (1, 3), *_LARGE]):
        x, *affine = sample.inputs
        mean, var = _normal(7, x.shape[1]), _normal(8, x.shape[1]) ** 2 + 0.5
        yield Sample((x, mean, var, *affine), sample.attrs, gradient=sample.gradient)


def _group_norm_samples() -> Iterator[Sample]:
    yield from _channel_samples({"groups": 1, "eps": 1e-5}, [*_SHAPES, *_LARGE])
    more: list[_Ints] = [(3, 4), (2, 4, 2), (2, 4, 1, 2), (2, 12, 5, 6)]
    yield from _channel_samples({"groups": 2, "eps": 1e-3}, more)
    yield from _channel_samples({"groups": 4, "eps": 1e-3}, [(2, 4, 3)])


def _row_samples(bias: bool) -> Iterator[Sample]:
    cases: list[tuple[_Ints, _Ints]] = [((2, 3, 4), (4,)), ((2, 3, 4), (3, 4))]
    cases += [((5,), (5,)), ((0, 3), (3,)), ((2, 0), (0,)), ((7, 70), (70,))]
    cases += [((2, 5000), (5000,))]
    for i, (shape, size) in enumerate(cases):
        attrs = {"normalized_shape": size, "eps": 1e-5}
        rest = [_normal(50 + i, *size), _normal(80 + i, *size)][: 1 + bias]
        small = 0 < prod(shape) < 30
        yield Sample((_normal(i, *shape), *rest), attrs, gradient=small)
        if i == 0:
            yield Sample((_normal(i, *shape),), attrs)
            if bias:
                yield Sample((_normal(i, *shape), None, rest[1]), attrs)


def _statistics(x: Any, axes: _Ints, eps: float, center: bool = True) -> Any:
    mean = x.mean(axes, keepdims=True) * center
    var = ((x - mean) ** 2).mean(axes, keepdims=True)
    both = np.broadcast_arrays(mean, 1 / np.sqrt(var + eps))
    return np.stack([each.reshape(-1) for each in both])


def _grad_samples(samples: Any, more: Any) -> Iterator[Sample]:
    """Samples of a gradient from those of the op; more(x, attrs): statistics, attrs."""
    for i, sample in enumerate(samples):
        x, weight = (*sample.inputs, None)[:2]
        if not x.size:
            continue
        stats, attrs = more(x, sample.attrs)
        attrs["wanted"] = (True, i % 2 == 0, i % 3 == 0)
        inputs = (_normal(90 + i, *x.shape), x, weight, stats)
        yield Sample(inputs, attrs, gradient=False)


def _batch_grad_samples() -> Iterator[Sample]:
    for relu in (False, True):

        def more(x: Any, attrs: Any, relu: bool = relu) -> Any:
            axes = tuple(i for i in range(x.ndim) if i != 1)
            how = {"training": x.ndim != 4, "relu": relu}
            return _statistics(x, axes, attrs["eps"]), how

        for i, sample in enumerate(_grad_samples(_batch_norm_samples(), more)):
            *reads, stats = sample.inputs
            bias = _normal(70 + i, len(stats[0])) if relu and i % 2 == 0 else None
            yield sample._replace(inputs=(*reads, bias, stats))


def _group_grad_samples() -> Iterator[Sample]:
    def more(x: Any, attrs: Any) -> Any:
        rows = x.reshape(x.shape[0], attrs["groups"], -1)
        stats = _statistics(rows, (2,), attrs["eps"])
        return stats.reshape(2, *rows.shape[:2]), {"groups": attrs["groups"]}

    yield from _grad_samples(_group_norm_samples(), more)


def _layer_grad_samples() -> Iterator[Sample]:
    def more(x: Any, attrs: Any) -> Any:
        size = attrs["normalized_shape"]
        center = x.ndim != 2
        stats = _statistics(x.reshape(-1, prod(size)), (1,), attrs["eps"], center)
        return stats, {"normalized_shape": size, "center": int(center)}

    yield from _grad_samples(_row_samples(True), more)


# numbers without numpy.random, which import must not load
_X = np.arange(12.0).reshape(4, 3)
_STATS = np.ones((2, 3))


def _channel_errors(name: str, attrs: dict[str, Any]) -> Iterator[ErrorCase]:
    match = rf"{name}: expected an input \(n, c, ...\), got \(3,\)"
    yield ErrorCase((_X[0],), attrs, ShapeError, match)
    match = rf"{name}: expected a weight of shape \(3,\) .*got \(4,\)"
    yield ErrorCase((_X, np.ones(4)), attrs, ShapeError, match)
    match = rf"{name}: .*input float64, weight float32.*\.float\(\)"
    yield ErrorCase((_X, np.ones(3, np.float32)), attrs, DTypeError, match)


def _batch_norm_errors() -> Iterator[ErrorCase]:
    yield from _channel_errors("batch_norm", {"eps": 1e-5})
    match = r"batch_norm: training needs more than one value a channel, got .*\(1, 3\)"
    yield ErrorCase((_X[:1],), {"eps": 1e-5}, ValueError, match)


def _eval_errors() -> Iterator[ErrorCase]:
    match = r"batch_norm: expected a running_var of shape \(3,\)"
    inputs = (_X, np.ones(3), np.ones(2))
    yield ErrorCase(inputs, {"eps": 1e-5}, ShapeError, match)


def _group_norm_errors() -> Iterator[ErrorCase]:
    yield from _channel_errors("group_norm", {"groups": 1, "eps": 1e-5})
    match = "group_norm: expected channels that divide into 2 groups, got 3"
    yield ErrorCase((_X,), {"groups": 2, "eps": 1e-5}, ShapeError, match)


def _make_row_errors(name: str) -> Any:
    def errors() -> Iterator[ErrorCase]:
        attrs = {"normalized_shape": (4,), "eps": 1e-5}
        match = rf"{name}: expected an input \(..., 4\), got \(4, 3\)"
        yield ErrorCase((_X,), attrs, ShapeError, match)
        match = rf"{name}: expected a weight of shape \(4,\), got \(3,\)"
        yield ErrorCase((_X.T, np.ones(3)), attrs, ShapeError, match)
        match = rf"{name}: .*input float64, weight float32.*\.float\(\)"
        narrow = np.ones(4, np.float32)
        yield ErrorCase((_X.T, narrow), attrs, DTypeError, match)

    return errors


def _make_grad_errors(name: str, attrs: dict[str, Any], absent: int = 1) -> Any:
    """`absent`: how many parameters there could be between x and the statistics."""

    def errors() -> Iterator[ErrorCase]:
        every = {**attrs, "wanted": (True, True, True)}
        none = (None,) * absent
        match = rf"{name}: expected a gradient of the input's shape \(4, 3\)"
        yield ErrorCase((_X[:2], _X, *none, _STATS), every, ShapeError, match)
        match = f"{name}: expected statistics of shape"
        yield ErrorCase((_X, _X, *none, _STATS.T), every, ShapeError, match)

    return errors


# ---- the records ----

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
        composition=_with_relu(_batch_norm_composition),
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
        errors=_make_grad_errors(
            "batch_norm_grad", {"training": True, "relu": False}, absent=2
        ),
        gradient_of="batch_norm",
    )
)

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
        composition=_with_relu(_eval_composition),
        samples=_eval_samples,
        errors=_eval_errors,
    )
)

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
        errors=_make_grad_errors("group_norm_grad", {"groups": 1}),
        gradient_of="group_norm",
    )
)

LAYER_NORM = register(
    Op(
        name="layer_norm",
        rule=_layer_norm_rule,
        forward=_layer_norm_forward,
        vjp=_make_row_vjp(1),
        composition=_make_row_composition(True),
        samples=lambda: _row_samples(True),
        errors=_make_row_errors("layer_norm"),
    )
)

RMS_NORM = register(
    Op(
        name="rms_norm",
        rule=_rms_norm_rule,
        forward=_rms_norm_forward,
        vjp=_make_row_vjp(0),
        composition=_make_row_composition(False),
        samples=lambda: _row_samples(False),
        errors=_make_row_errors("rms_norm"),
    )
)

LAYER_NORM_GRAD = register(
    Op(
        name="layer_norm_grad",
        rule=_layer_norm_grad_rule,
        forward=_layer_norm_grad_forward,
        samples=_layer_grad_samples,
        errors=_make_grad_errors(
            "layer_norm_grad", {"normalized_shape": (3,), "center": 1}
        ),
        gradient_of="layer_norm",
    )
)
