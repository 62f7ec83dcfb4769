"""Means, variances and standard deviations."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from pyautodl.backends import Array, run
from pyautodl.errors import DTypeError, ShapeError
from pyautodl.ops.axes import normalize_axes, reduced_shape
from pyautodl.ops.eltwise.mapping import map_op
from pyautodl.ops.plan import KernelPlan, planned
from pyautodl.ops.record import ErrorCase, Op, Sample, Spec, register
from pyautodl.ops.reduce.common import (
    Dim,
    attributes,
    check_float,
    count_of,
    dim_errors,
    dims_samples,
    div_or_zero,
    grid,
    numpy_axis,
    output,
    spread_back,
    with_all_axes,
)
from pyautodl.ops.reduce.sums import summed

__all__ = ["MEAN", "STD", "STD_MEAN", "VAR", "VAR_GRAD", "VAR_MEAN"]


# ---- mean ----


def _mean_plan(x: Array, dim: Dim = None, keepdim: bool = False) -> KernelPlan:
    check_float("mean", x)
    axes = normalize_axes("mean", dim, x.shape)
    return summed(x, axes, keepdim, x.dtype, float(count_of(x.shape, axes)))


def _mean_vjp(call: Any, ctx: Any, needs: Any, g: Any) -> tuple[Any, ...]:
    shape, axes, keepdim = attributes(ctx)
    if not count_of(shape, axes):
        return (call("full", shape=shape, value=0.0, dtype=g.dtype),)
    part = call("div", g, float(count_of(shape, axes)))
    return (spread_back(call, part, shape, axes, keepdim),)


def _mean_reference(x: Any, dim: Dim = None, keepdim: bool = False) -> Any:
    return x.mean(axis=numpy_axis(dim), keepdims=keepdim)


def _mean_errors() -> Iterator[ErrorCase]:
    yield from dim_errors("mean")
    match = "mean: expected a floating type, got int64"
    yield ErrorCase((np.arange(3),), {}, DTypeError, match)


MEAN = register(
    planned(
        "mean",
        _mean_plan,
        vjp=_mean_vjp,
        samples=dims_samples,
        errors=_mean_errors,
        reference=_mean_reference,
    )
)

# ---- var, std ----


def _spread_forward(
    root: bool,
    ctx: Any,
    needs: Any,
    x: Array,
    dim: Dim = None,
    correction: float = 1.0,
    keepdim: bool = False,
) -> Array:
    axes = normalize_axes("var", dim, x.shape)
    out, full = output(ctx, x, axes, keepdim, x.dtype)
    mean = output(ctx, x, axes, True, x.dtype)[1] if needs[0] else None
    run("var", (x,), (full, mean), (int(root),), (float(correction),))
    ctx.save(x, mean, out if root else None)
    return out


def _spread_vjp(root: bool, call: Any, ctx: Any, needs: Any, g: Any) -> tuple[Any, ...]:
    x, mean, std = ctx.saved
    shape, axes, keepdim = attributes(ctx)
    g = with_all_axes(call, g, shape, axes, keepdim)
    count = count_of(shape, axes) - ctx.attrs.get("correction", 1.0)
    if root:
        std = with_all_axes(call, std, shape, axes, keepdim)
        g = div_or_zero(call, g, std)
    scale = (1.0 if root else 2.0) / count
    return (call("var_grad", g, x, mean, scale=scale),)


def _spread_composition(
    root: bool,
    call: Any,
    x: Any,
    dim: Dim = None,
    correction: float = 1.0,
    keepdim: bool = False,
) -> Any:
    shape = tuple(x.shape)
    axes = normalize_axes("var", dim, shape)
    count = count_of(shape, axes) - correction
    distance = call("sub", x, call("mean", x, dim=axes, keepdim=True))
    if root:
        size = call("norm", distance, dim=axes, keepdim=keepdim)
        return call("mul", size, count**-0.5)
    total = call("sum", call("square", distance), dim=axes, keepdim=keepdim)
    return call("mul", total, 1.0 / count)


def _spread_errors(name: str) -> Iterator[ErrorCase]:
    yield from dim_errors(name)
    match = f"{name}: expected more than 1 elements"
    yield ErrorCase((grid(1, 3),), {"dim": 0}, ShapeError, match)
    yield ErrorCase((np.arange(2),), {}, DTypeError, f"{name}: expected a floating")


def _spread_samples() -> Iterator[Sample]:
    x = grid(2, 3, 2)
    for dim in (None, 0, -2, (0, 2)):
        yield Sample((x,), {"dim": dim})
    yield Sample((x,), {"dim": 1, "correction": 0.0, "keepdim": True})
    yield Sample((grid(1, 3),), {"dim": 0, "correction": 0.0}, gradient=False)
    yield Sample((1e4 + grid(70, 300),), {"dim": 0}, gradient=False, tolerance=1e3)
    yield Sample((grid(3, 5000),), {"dim": 1}, gradient=False)
    yield Sample((grid(70000),), {}, gradient=False)
    yield Sample((1e4 + grid(3, 67, 5),), {"dim": 1}, gradient=False, tolerance=1e3)
    yield Sample((np.zeros((0, 3)),), {"dim": 1})


def _spread_of(name: str, root: bool, oracle: Callable[..., Any]) -> Op:
    def rule(
        x: Array, dim: Dim = None, correction: float = 1.0, keepdim: bool = False
    ) -> tuple[Spec, ...]:
        check_float(name, x)
        axes = normalize_axes(name, dim, x.shape)
        count = count_of(x.shape, axes)
        if count <= correction:
            raise ShapeError(
                f"{name}: expected more than {correction:g} elements along axes "
                f"{axes}, got {count} (shape {x.shape}); likely fix: correction=0"
            )
        return (Spec(reduced_shape(x.shape, axes, keepdim), x.dtype),)

    def reference(
        x: Any, dim: Dim = None, correction: float = 1.0, keepdim: bool = False
    ) -> Any:
        return oracle(x, axis=numpy_axis(dim), ddof=correction, keepdims=keepdim)

    return register(
        Op(
            name=name,
            rule=rule,
            forward=partial(_spread_forward, root),
            vjp=partial(_spread_vjp, root),
            composition=partial(_spread_composition, root),
            samples=_spread_samples,
            errors=partial(_spread_errors, name),
            reference=reference,
        )
    )


VAR = _spread_of("var", False, np.var)

STD = _spread_of("std", True, np.std)

# ---- with the mean ----


def _with_mean_forward(
    root: bool,
    ctx: Any,
    needs: Any,
    x: Array,
    dim: Dim = None,
    correction: float = 1.0,
    keepdim: bool = False,
) -> tuple[Array, Array]:
    axes = normalize_axes("var", dim, x.shape)
    out, full = output(ctx, x, axes, keepdim, x.dtype)
    mean, full_mean = output(ctx, x, axes, keepdim, x.dtype)
    run("var", (x,), (full, full_mean), (int(root),), (float(correction),))
    ctx.save(x, full_mean, out if root else None)
    return out, mean


def _with_mean_vjp(
    root: bool, call: Any, ctx: Any, needs: Any, g: Any, g_mean: Any
) -> tuple[Any, ...]:
    parts: list[Any] = []
    if g is not None:
        parts += _spread_vjp(root, call, ctx, needs, g)
    if g_mean is not None:
        parts += _mean_vjp(call, ctx, needs, g_mean)
    return (parts[0] if len(parts) == 1 else call("add", *parts),)


def _with_mean_composition(
    root: bool, call: Any, x: Any, dim: Dim = None, keepdim: bool = False, **by: float
) -> tuple[Any, Any]:
    spread = _spread_composition(root, call, x, dim=dim, keepdim=keepdim, **by)
    return spread, call("mean", x, dim=dim, keepdim=keepdim)


def _with_mean(spread: Op) -> Op:
    """A spread and the mean beside it, found in one pass."""
    root = spread is STD

    def rule(x: Array, **attrs: Any) -> tuple[Spec, ...]:
        return spread.rule(x, **attrs) * 2

    def reference(
        x: Any, dim: Dim = None, correction: float = 1.0, keepdim: bool = False
    ) -> tuple[Any, Any]:
        along: Any = {"axis": numpy_axis(dim), "keepdims": keepdim}
        oracle = np.std if root else np.var
        return oracle(x, ddof=correction, **along), np.mean(x, **along)

    return register(
        Op(
            name=f"{spread.name}_mean",
            rule=rule,
            forward=partial(_with_mean_forward, root),
            vjp=partial(_with_mean_vjp, root),
            composition=partial(_with_mean_composition, root),
            samples=_spread_samples,
            errors=spread.errors,
            reference=reference,
        )
    )


VAR_MEAN = _with_mean(VAR)

STD_MEAN = _with_mean(STD)

# of the gradient, what was reduced and its mean
VAR_GRAD = map_op(
    "var_grad", "", "", "", vjp=None, cases=({"scale": 0.5},), gradient_of="var"
)
