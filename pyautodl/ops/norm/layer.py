"""Layer norm and RMS norm."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import Any

import numpy as np

from pyautodl.backends import Array, empty, run
from pyautodl.backends.dtypes import float64
from pyautodl.errors import DTypeError, ShapeError
from pyautodl.ops.layout import ensure_contiguous
from pyautodl.ops.norm.common import (
    Ints,
    call_gradient,
    check_like,
    check_stats,
    check_types,
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
    X,
    grad_samples,
    make_grad_errors,
    normal_numbers,
    statistics_of,
)
from pyautodl.ops.record import ErrorCase, Op, Sample, Spec, register

__all__ = [
    "LAYER_NORM",
    "LAYER_NORM_GRAD",
    "RMS_NORM",
]


def _check_trailing(
    name: str, x: Array, normalized_shape: Ints, **others: Array | None
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
    check_types(name, x, **others)
    return prod(size)


def _row_norm_forward(
    ctx: Any,
    needs: Any,
    inputs: tuple[Array | None, ...],
    normalized_shape: Ints,
    center: int,
    eps: float,
) -> Array:
    """inputs: x, weight, bias; the bias is absent in RMS norm."""
    x = ensure_contiguous(ctx, inputs[0])  # type: ignore[arg-type]
    weight, bias = (*(in_order(ctx, each) for each in inputs[1:]), None, None)[:2]
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
    normalized_shape: Ints,
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
    normalized_shape: Ints,
    eps: float,
) -> Array:
    return _row_norm_forward(ctx, needs, (x, weight, bias), normalized_shape, 1, eps)


def _rms_norm_rule(
    x: Array, weight: Array | None = None, *, normalized_shape: Ints, eps: float
) -> tuple[Spec, ...]:
    _check_trailing("rms_norm", x, normalized_shape, weight=weight)
    return (Spec(x.shape, x.dtype),)


def _rms_norm_forward(
    ctx: Any,
    needs: Any,
    x: Array,
    weight: Array | None = None,
    *,
    normalized_shape: Ints,
    eps: float,
) -> Array:
    return _row_norm_forward(ctx, needs, (x, weight), normalized_shape, 0, eps)


def _make_row_vjp(center: int) -> Any:
    def vjp(call: Any, ctx: Any, needs: Any, g: Any) -> tuple[Any, ...]:
        x, weight, _, stats = saved_of(ctx)
        attrs = {"normalized_shape": ctx.attrs["normalized_shape"], "center": center}
        reads = (g, x, weight, stats)
        return call_gradient(call, "layer_norm_grad", reads, needs, **attrs)

    return vjp


def _make_row_composition(center: bool) -> Any:
    def composition(
        call: Any, x: Any, weight: Any = None, bias: Any = None, **attrs: Any
    ) -> Any:
        size = tuple(attrs["normalized_shape"])
        ndim = len(x.shape)
        axes = tuple(range(ndim - len(size), ndim))
        xhat = standardise(call, x, axes, attrs["eps"], center)
        return scale_and_shift(call, xhat, weight, bias, size)

    return composition


def _layer_norm_grad_rule(
    g: Array,
    x: Array,
    weight: Array | None,
    stats: Array,
    *,
    normalized_shape: Ints,
    center: int,
    wanted: tuple[bool, ...],
) -> tuple[Spec, ...]:
    name = "layer_norm_grad"
    check_like(name, g, x)
    n = _check_trailing(name, x, normalized_shape, weight=weight)
    check_stats(name, stats, (2, x.size // n if n else 0))
    return grad_specs(x, tuple(normalized_shape), wanted)


def _layer_norm_grad_forward(
    ctx: Any,
    needs: Any,
    g: Array,
    x: Array,
    weight: Array | None,
    stats: Array,
    *,
    normalized_shape: Ints,
    center: int,
    wanted: tuple[bool, ...],
) -> Any:
    g, x = ensure_contiguous(ctx, g), ensure_contiguous(ctx, x)
    outputs = grad_outputs(ctx, x, tuple(normalized_shape), wanted)
    reads = (g, x, in_order(ctx, weight), ensure_stats(ctx, stats))
    run("layer_norm_bwd", reads, outputs, (prod(normalized_shape), int(center)))
    return those_present(outputs)


def _row_samples(bias: bool) -> Iterator[Sample]:
    cases: list[tuple[Ints, Ints]] = [((2, 3, 4), (4,)), ((2, 3, 4), (3, 4))]
    cases += [((5,), (5,)), ((0, 3), (3,)), ((2, 0), (0,)), ((7, 70), (70,))]
    cases += [((2, 5000), (5000,)), ((3, 32771), (32771,))]
    for i, (shape, size) in enumerate(cases):
        attrs = {"normalized_shape": size, "eps": 1e-5}
        rest = [normal_numbers(50 + i, *size), normal_numbers(80 + i, *size)][
            : 1 + bias
        ]
        small = 0 < prod(shape) < 30
        yield Sample((normal_numbers(i, *shape), *rest), attrs, gradient=small)
        if i == 0:
            yield Sample((normal_numbers(i, *shape),), attrs)
            if bias:
                yield Sample((normal_numbers(i, *shape), None, rest[1]), attrs)


def _layer_grad_samples() -> Iterator[Sample]:
    def more(x: Any, attrs: Any) -> Any:
        size = attrs["normalized_shape"]
        center = x.ndim != 2
        stats = statistics_of(x.reshape(-1, prod(size)), (1,), attrs["eps"], center)
        return stats, {"normalized_shape": size, "center": int(center)}

    yield from grad_samples(_row_samples(True), more)


def _make_row_errors(name: str) -> Any:
    def errors() -> Iterator[ErrorCase]:
        attrs = {"normalized_shape": (4,), "eps": 1e-5}
        match = rf"{name}: expected an input \(..., 4\), got \(4, 3\)"
        yield ErrorCase((X,), attrs, ShapeError, match)
        match = rf"{name}: expected a weight of shape \(4,\), got \(3,\)"
        yield ErrorCase((X.T, np.ones(3)), attrs, ShapeError, match)
        match = rf"{name}: .*input float64, weight float32.*\.float\(\)"
        narrow = np.ones(4, np.float32)
        yield ErrorCase((X.T, narrow), attrs, DTypeError, match)

    return errors


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
        errors=make_grad_errors(
            "layer_norm_grad", {"normalized_shape": (3,), "center": 1}
        ),
        gradient_of="layer_norm",
    )
)
