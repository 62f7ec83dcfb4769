"""The largest and the smallest: their values and places."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np

from pyautodl.backends import Array, run
from pyautodl.backends.dtypes import int64
from pyautodl.errors import ShapeError
from pyautodl.ops.axes import normalize_axes, normalize_axis, reduced_shape
from pyautodl.ops.layout import ensure_contiguous
from pyautodl.ops.record import ErrorCase, Op, Sample, Spec, register
from pyautodl.ops.reduce.common import (
    Dim,
    Ints,
    attributes,
    check_filled,
    dim_errors,
    dims_samples,
    grid,
    numpy_axis,
    output,
    shared_by_ties,
    with_all_axes,
)

__all__ = ["AMAX", "AMIN", "ARGMAX", "ARGMIN", "MAX_DIM", "MIN_DIM"]


# ---- amax, amin: gradients are shared by ties ----


def _extremum(name: str, oracle: Callable[..., Any]) -> Op:
    def rule(x: Array, dim: Dim = None, keepdim: bool = False) -> tuple[Spec, ...]:
        axes = normalize_axes(name, dim, x.shape)
        check_filled(name, x, axes)
        return (Spec(reduced_shape(x.shape, axes, keepdim), x.dtype),)

    def forward(
        ctx: Any, needs: Any, x: Array, dim: Dim = None, keepdim: bool = False
    ) -> Array:
        axes = normalize_axes(name, dim, x.shape)
        out, full = output(ctx, x, axes, keepdim, x.dtype)
        run(name, (x,), (full,))
        ctx.save(x, out)
        return out

    def vjp(call: Any, ctx: Any, needs: Any, g: Any) -> tuple[Any, ...]:
        x, best = ctx.saved
        shape, axes, keepdim = attributes(ctx)
        g = with_all_axes(call, g, shape, axes, keepdim)
        return (
            shared_by_ties(
                call, g, x, with_all_axes(call, best, shape, axes, keepdim), axes
            ),
        )

    def reference(x: Any, dim: Dim = None, keepdim: bool = False) -> Any:
        return oracle(x, axis=numpy_axis(dim), keepdims=keepdim)

    def errors() -> Iterator[ErrorCase]:
        yield from dim_errors(name)
        match = rf"{name}: axes \(0,\) of shape \(0, 2\) have no elements"
        yield ErrorCase((np.zeros((0, 2)),), {"dim": 0}, ShapeError, match)

    return register(
        Op(
            name=name,
            rule=rule,
            forward=forward,
            vjp=vjp,
            samples=_extremum_samples,
            errors=errors,
            reference=reference,
        )
    )


def _extremum_samples() -> Iterator[Sample]:
    yield from dims_samples()
    yield Sample((np.array([1.0, 3.0, 3.0]),), {}, gradient=False)
    yield Sample((np.array([1.0, np.nan, 3.0]),), {}, gradient=False)
    yield Sample((np.array([[3, -1], [2, 7]]),), {"dim": 1})
    yield Sample((np.zeros((0, 2)),), {"dim": 1})


AMAX = _extremum("amax", np.max)

AMIN = _extremum("amin", np.min)

# ---- max, min along one axis: the first best takes the gradient ----


def _one_axis(name: str, x: Array, dim: int) -> Ints:
    axis = normalize_axis(name, dim, x.ndim, x.shape)
    axes = (axis,) if x.ndim else ()
    check_filled(name, x, axes)
    return axes


def _place_forward(
    kernel: str, ctx: Any, needs: Any, x: Array, dim: int, keepdim: bool = False
) -> tuple[Array, Array]:
    axes = _one_axis(kernel, x, dim)
    values, full = output(ctx, x, axes, keepdim, x.dtype)
    indices, places = output(ctx, x, axes, keepdim, int64)
    run(kernel, (x,), (full, places))
    ctx.save(indices)
    return values, indices


def _place_vjp(call: Any, ctx: Any, needs: Any, g: Any, _: Any) -> tuple[Any, ...]:
    (indices,) = ctx.saved
    shape, axes, keepdim = attributes(ctx)
    if not axes:
        return (g,)
    g, indices = (with_all_axes(call, y, shape, axes, keepdim) for y in (g, indices))
    zeros = call("full", shape=shape, value=0.0, dtype=g.dtype)
    return (call("scatter_add", zeros, indices, g, dim=axes[0]),)


def _place_reference(
    oracle: Callable[..., Any], x: Any, dim: int, keepdim: bool = False
) -> Any:
    if not x.ndim:
        return x, np.int64(0)
    indices = oracle(x, axis=dim, keepdims=True)
    values = np.take_along_axis(x, indices, dim)
    if keepdim:
        return values, indices
    return values.squeeze(dim), indices.squeeze(dim)


def _one_axis_errors(name: str, attrs: Mapping[str, Any]) -> Iterator[ErrorCase]:
    """An axis that is not there; one of nothing, under `attrs`."""
    match = f"{name}: dim must be from -1"
    yield ErrorCase((grid(2),), {"dim": 1}, IndexError, match)
    match = rf"{name}: axes \(0,\) of shape \(0,\) have no elements"
    yield ErrorCase((np.zeros(0),), attrs, ShapeError, match)


def _place_samples() -> Iterator[Sample]:
    x = grid(2, 3, 4)
    for attrs in ({"dim": 0}, {"dim": 1, "keepdim": True}, {"dim": -1}):
        yield Sample((x,), attrs)
    yield Sample((np.array([3.0, 1.0, 3.0, 1.0]),), {"dim": 0}, gradient=False)
    yield Sample((np.array([3.0, np.nan, np.nan]),), {"dim": 0}, gradient=False)
    yield Sample((np.full(3, -np.inf),), {"dim": 0}, gradient=False)
    yield Sample((np.array(2.0),), {"dim": 0})
    yield Sample((np.zeros((0, 2)),), {"dim": 1})
    yield Sample((np.array([[1, 3], [3, 1]]),), {"dim": 1})
    yield Sample((grid(3, 5000),), {"dim": 1}, gradient=False)
    yield Sample((grid(70, 300),), {"dim": 0}, gradient=False)
    yield Sample((grid(4, 5, 67).transpose(1, 2, 0),), {"dim": 1}, gradient=False)


def _place(name: str, kernel: str, oracle: Callable[..., Any]) -> Op:
    # as the user calls it: max_dim is the one of max(x, dim)
    shown = name.removesuffix("_dim")

    def rule(x: Array, dim: int, keepdim: bool = False) -> tuple[Spec, ...]:
        shape = reduced_shape(x.shape, _one_axis(shown, x, dim), keepdim)
        return Spec(shape, x.dtype), Spec(shape, int64)

    return register(
        Op(
            name=name,
            rule=rule,
            forward=partial(_place_forward, kernel),
            vjp=_place_vjp,
            samples=_place_samples,
            errors=partial(_one_axis_errors, shown, {"dim": 0}),
            reference=partial(_place_reference, oracle),
        )
    )


MAX_DIM = _place("max_dim", "max_index", np.argmax)

MIN_DIM = _place("min_dim", "min_index", np.argmin)

# ---- argmax, argmin ----


def _position(name: str, kernel: str, oracle: Callable[..., Any]) -> Op:
    def rule(
        x: Array, dim: int | None = None, keepdim: bool = False
    ) -> tuple[Spec, ...]:
        axes = normalize_axes(name, dim, x.shape)
        check_filled(name, x, axes)
        return (Spec(reduced_shape(x.shape, axes, keepdim), int64),)

    def forward(
        ctx: Any, needs: Any, x: Array, dim: int | None = None, keepdim: bool = False
    ) -> Array:
        axes = normalize_axes(name, dim, x.shape)
        out, full = output(ctx, x, axes, keepdim, int64)
        if dim is None and x.ndim > 1:
            x = ensure_contiguous(ctx, x)
            x, full = x.view((x.size,), (1,)), out.view((1,), (1,))
        run(kernel, (x,), (None, full))
        return out

    def reference(x: Any, dim: int | None = None, keepdim: bool = False) -> Any:
        return np.asarray(oracle(x, axis=dim, keepdims=keepdim))

    def samples() -> Iterator[Sample]:
        yield Sample((grid(2, 3, 4).transpose(2, 0, 1),), {}, gradient=False)
        yield Sample((grid(2, 3),), {"keepdim": True}, gradient=False)
        for sample in _place_samples():
            if sample.inputs[0].ndim:
                yield Sample(sample.inputs, sample.attrs, gradient=False)

    return register(
        Op(
            name=name,
            rule=rule,
            forward=forward,
            samples=samples,
            errors=partial(_one_axis_errors, name, {}),
            reference=reference,
        )
    )


ARGMAX = _position("argmax", "max_index", np.argmax)

ARGMIN = _position("argmin", "min_index", np.argmin)
