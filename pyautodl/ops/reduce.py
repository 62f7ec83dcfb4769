"""Ops that reduce axes: sums, means, extrema, norms."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import inf, isinf
from math import prod as product
from typing import Any

import numpy as np

from pyautodl.backends import Array, Made, contiguous_strides, empty, run
from pyautodl.backends.dtypes import FLOATING, bool_, int64
from pyautodl.errors import DTypeError, ShapeError
from pyautodl.ops.axes import normalize_axes, normalize_axis, reduced_shape
from pyautodl.ops.layout import ensure_contiguous
from pyautodl.ops.plan import KernelPlan, Plan, ViewPlan, planned, seen
from pyautodl.ops.record import ErrorCase, Op, Sample, Spec, register

__all__ = [
    "ALL",
    "AMAX",
    "AMIN",
    "ANY",
    "ARGMAX",
    "ARGMIN",
    "CUMPROD",
    "CUMSUM",
    "LINEAR_SCAN",
    "LOGSUMEXP",
    "MAX_DIM",
    "MEAN",
    "MIN_DIM",
    "NORM",
    "PROD",
    "STD",
    "SUM",
    "SUM_TO",
    "VAR",
    "div_or_zero",
]

Ints = tuple[int, ...]
Dim = int | Ints | None


def _grid(*shape: int) -> np.ndarray[Any, Any]:
    return np.random.default_rng(product(shape)).standard_normal(shape)


def _output(
    ctx: Any, x: Array, axes: Ints, keepdim: bool, dtype: Any
) -> tuple[Array, Array]:
    """The output, and the same memory with all of x's axes, as kernels want it."""
    out: Array = ctx.empty(reduced_shape(x.shape, axes, keepdim), dtype)
    if keepdim:
        return out, out
    strides = list(out.strides)
    for axis in axes:
        strides.insert(axis, 1)
    return out, out.view(reduced_shape(x.shape, axes, True), tuple(strides))


def _spread(call: Any, g: Any, shape: Ints, axes: Ints, keepdim: bool) -> Any:
    """The gradient of a reduced output, once for each element that went into it."""
    if not keepdim:
        g = call("reshape", g, shape=reduced_shape(shape, axes, True))
    return call("expand", g, shape=shape)


# ---- sum ----


def _sum_dtype(x: Array) -> Any:
    return x.dtype if x.dtype.category == FLOATING else int64


def _reduced(
    x: Array, axes: Ints, keepdim: bool, dtype: Any, divisor: float
) -> KernelPlan:
    """The sum along axes, divided; the kernel sees reduced axes with size 1."""
    shape = reduced_shape(x.shape, axes, keepdim)
    full = reduced_shape(x.shape, axes, True)
    made = Made(
        shape, dtype, contiguous_strides(shape), (full, contiguous_strides(full))
    )
    return KernelPlan("sum", [seen(0, x)], [made], (), (divisor,))


def _sum_plan(x: Array, dim: Dim = None, keepdim: bool = False) -> KernelPlan:
    axes = normalize_axes("sum", dim, x.shape)
    return _reduced(x, axes, keepdim, _sum_dtype(x), 1.0)


def _sum_vjp(call: Any, ctx: Any, needs: Any, g: Any) -> tuple[Any, ...]:
    shape = ctx.shapes[0]
    axes = normalize_axes("sum", ctx.attrs.get("dim"), shape)
    return (_spread(call, g, shape, axes, ctx.attrs.get("keepdim", False)),)


def _axis(dim: Dim) -> Dim:
    """As NumPy wants it: () means all axes here, none there."""
    return None if dim == () else dim


def _sum_reference(
    x: np.ndarray[Any, Any], dim: Dim = None, keepdim: bool = False
) -> Any:
    return x.sum(axis=_axis(dim), keepdims=keepdim)


def _dims_samples(*, crossing: bool = True) -> Iterator[Sample]:
    """Every kind of `dim`, and shapes that cross blocks and vectors."""
    x = _grid(2, 3, 4)
    for dim in (None, 0, -1, (0, 2), (1,), ()):
        yield Sample((x,), {"dim": dim})
    yield Sample((x,), {"dim": (1, 2), "keepdim": True})
    yield Sample((_grid(),), {})
    yield Sample((_grid(1, 3),), {"dim": 0})
    if crossing:
        yield Sample((_grid(70, 300),), {"dim": 0}, gradient=False)
        yield Sample((_grid(3, 5000),), {"dim": 1}, gradient=False)
        yield Sample((_grid(4, 5, 67).transpose(1, 2, 0),), {"dim": 1}, gradient=False)
        yield Sample((_grid(70000),), {}, gradient=False)


def _sum_samples() -> Iterator[Sample]:
    yield from _dims_samples()
    yield Sample((np.zeros((0, 3)),), {"dim": 0})
    yield Sample((np.zeros((2, 0)),), {"dim": 0})
    yield Sample((np.arange(6).reshape(2, 3),), {"dim": 1})


def _dim_errors(name: str) -> Iterator[ErrorCase]:
    yield ErrorCase(
        (_grid(2, 3),), {"dim": 2}, IndexError, f"{name}: dim must be from -2"
    )
    yield ErrorCase((_grid(2, 3),), {"dim": (0, -2)}, ValueError, f"{name}: dim names")


def _sum_errors() -> Iterator[ErrorCase]:
    yield from _dim_errors("sum")


SUM = register(
    planned(
        "sum",
        _sum_plan,
        vjp=_sum_vjp,
        samples=_sum_samples,
        errors=_sum_errors,
        reference=_sum_reference,
    )
)

# ---- sum_to: what undoes broadcasting ----


def _sum_to_plan(x: Array, shape: Ints) -> Plan:
    front = x.ndim - len(shape)
    fits = front >= 0 and all(
        small in (1, n)
        for small, n in zip(shape, x.shape[max(front, 0) :], strict=False)
    )
    if not fits:
        raise ShapeError(
            f"sum_to: shape {tuple(shape)} does not broadcast to {x.shape}"
        )
    if x.shape == tuple(shape) and x.dtype is _sum_dtype(x):
        return ViewPlan(x, x.shape, x.strides)
    full = (*(1,) * front, *shape)
    kinds = (_sum_dtype(x), contiguous_strides(tuple(shape)))
    made = Made(tuple(shape), *kinds, (full, contiguous_strides(full)))
    return KernelPlan("sum", [seen(0, x)], [made], (), (1.0,))


def _sum_to_vjp(call: Any, ctx: Any, needs: Any, g: Any) -> tuple[Any, ...]:
    return (call("expand", g, shape=ctx.shapes[0]),)


def _sum_to_reference(x: np.ndarray[Any, Any], shape: Ints) -> Any:
    front = x.ndim - len(shape)
    axes = [i for i in range(x.ndim) if i < front or shape[i - front] != x.shape[i]]
    return x.sum(axis=tuple(axes), keepdims=True).reshape(shape)


def _sum_to_samples() -> Iterator[Sample]:
    yield Sample((_grid(2, 3, 4),), {"shape": (3, 1)})
    yield Sample((_grid(2, 3),), {"shape": ()})
    yield Sample((_grid(2, 3),), {"shape": (2, 3)})
    yield Sample((_grid(1, 3),), {"shape": (3,)})
    yield Sample((np.zeros((0, 3)),), {"shape": (1, 3)})


def _sum_to_errors() -> Iterator[ErrorCase]:
    match = r"sum_to: shape \(2,\) does not broadcast to \(2, 3\)"
    yield ErrorCase((_grid(2, 3),), {"shape": (2,)}, ShapeError, match)


SUM_TO = register(
    planned(
        "sum_to",
        _sum_to_plan,
        vjp=_sum_to_vjp,
        samples=_sum_to_samples,
        errors=_sum_to_errors,
        reference=_sum_to_reference,
        view=True,
    )
)

# ---- what the others share ----


def _check_float(name: str, x: Array) -> None:
    if x.dtype.category != FLOATING:
        raise DTypeError(
            f"{name}: expected a floating type, got {x.dtype.name}; "
            "likely fix: x.float()"
        )


def _check_filled(name: str, x: Array, axes: Ints) -> None:
    """Raise where the best of nothing is asked for."""
    if any(x.shape[i] == 0 for i in axes):
        raise ShapeError(f"{name}: axes {axes} of shape {x.shape} have no elements")


def _count(shape: Ints, axes: Ints) -> int:
    return product(shape[i] for i in axes)


def div_or_zero(call: Any, top: Any, bottom: Any) -> Any:
    """top / bottom, 0 where bottom is 0, and so are its gradients there."""
    zero = call("full", shape=(), value=0.0, dtype=top.dtype)
    return call("where", call("eq", bottom, 0.0), zero, call("div", top, bottom))


def _share(call: Any, g: Any, x: Any, best: Any, axes: Ints) -> Any:
    """The gradient g of a best value, in equal parts to the elements that have it."""
    best = call("expand", best, shape=x.shape)
    ties = call("cast", call("eq", x, best), dtype=x.dtype)
    part = call("div", g, call("sum", ties, dim=axes, keepdim=True))
    return call("grad_mul", call("expand", part, shape=x.shape), ties)


def _kept(call: Any, y: Any, shape: Ints, axes: Ints, keepdim: bool) -> Any:
    """A reduced tensor with all of the input's axes again."""
    return y if keepdim else call("reshape", y, shape=reduced_shape(shape, axes, True))


def _attrs(ctx: Any) -> tuple[Ints, Ints, bool]:
    """The input's shape, the reduced axes, keepdim."""
    shape = ctx.shapes[0]
    axes = normalize_axes("", ctx.attrs.get("dim"), shape)
    return shape, axes, ctx.attrs.get("keepdim", False)


# ---- mean ----


def _mean_plan(x: Array, dim: Dim = None, keepdim: bool = False) -> KernelPlan:
    _check_float("mean", x)
    axes = normalize_axes("mean", dim, x.shape)
    return _reduced(x, axes, keepdim, x.dtype, float(_count(x.shape, axes)))


def _mean_vjp(call: Any, ctx: Any, needs: Any, g: Any) -> tuple[Any, ...]:
    shape, axes, keepdim = _attrs(ctx)
    if not _count(shape, axes):
        return (call("full", shape=shape, value=0.0, dtype=g.dtype),)
    part = call("div", g, float(_count(shape, axes)))
    return (_spread(call, part, shape, axes, keepdim),)


def _mean_reference(x: Any, dim: Dim = None, keepdim: bool = False) -> Any:
    return x.mean(axis=_axis(dim), keepdims=keepdim)


def _mean_errors() -> Iterator[ErrorCase]:
    yield from _dim_errors("mean")
    match = "mean: expected a floating type, got int64"
    yield ErrorCase((np.arange(3),), {}, DTypeError, match)


MEAN = register(
    planned(
        "mean",
        _mean_plan,
        vjp=_mean_vjp,
        samples=_dims_samples,
        errors=_mean_errors,
        reference=_mean_reference,
    )
)

# ---- prod ----


def _prod_rule(
    x: Array, dim: int | None = None, keepdim: bool = False
) -> tuple[Spec, ...]:
    axes = normalize_axes("prod", dim, x.shape)
    return (Spec(reduced_shape(x.shape, axes, keepdim), _sum_dtype(x)),)


def _prod_forward(
    ctx: Any, needs: Any, x: Array, dim: int | None = None, keepdim: bool = False
) -> Array:
    axes = normalize_axes("prod", dim, x.shape)
    out, full = _output(ctx, x, axes, keepdim, _sum_dtype(x))
    run("prod", (x,), (full,))
    ctx.save(x)
    return out


def _prod_vjp(call: Any, ctx: Any, needs: Any, g: Any) -> tuple[Any, ...]:
    """Each element's factor is the product of those before and after: no division."""
    (x,) = ctx.saved
    shape, axes, keepdim = _attrs(ctx)
    spread = _spread(call, g, shape, axes, keepdim)
    line = x if len(axes) == 1 else call("reshape", x, shape=(-1,))
    axis = axes[0] if len(axes) == 1 else 0
    after = call(
        "flip", _before(call, call("flip", line, dims=(axis,)), axis), dims=(axis,)
    )
    others = call("reshape", call("mul", _before(call, line, axis), after), shape=shape)
    return (call("grad_mul", spread, others),)


def _before(call: Any, x: Any, axis: int) -> Any:
    """The product of all elements before each one."""
    return _shift(call, call("cumprod", x, dim=axis), axis, 1.0)


def _shift(call: Any, x: Any, axis: int, first: float, by: int = 1) -> Any:
    """Move elements by one along an axis; `first` comes in."""
    ndim = len(x.shape)
    before = tuple(by if i == axis else 0 for i in range(ndim))
    after = tuple(-n for n in before)
    if not x.shape[axis]:
        return x
    return call("pad", x, before=before, after=after, value=first)


def _prod_reference(x: Any, dim: int | None = None, keepdim: bool = False) -> Any:
    return x.prod(axis=dim, keepdims=keepdim)


def _prod_samples() -> Iterator[Sample]:
    x = _grid(2, 3)
    for attrs in ({}, {"dim": 0}, {"dim": -1, "keepdim": True}):
        yield Sample((x,), attrs)
    yield Sample((np.array([2.0, 0.0, 3.0, 4.0]),), {})
    yield Sample((np.array([[0.0, 2.0], [0.0, 3.0]]),), {"dim": 0})
    yield Sample((np.zeros((0, 2)),), {"dim": 0})
    yield Sample((np.array(1.5),), {})
    yield Sample((1 + 0.01 * _grid(3, 500),), {"dim": 1}, gradient=False)
    yield Sample((1 + 0.01 * _grid(70, 40),), {"dim": 0}, gradient=False)


def _prod_errors() -> Iterator[ErrorCase]:
    yield ErrorCase((_grid(2),), {"dim": 1}, IndexError, "prod: dim must be from -1")


PROD = register(
    Op(
        name="prod",
        rule=_prod_rule,
        forward=_prod_forward,
        vjp=_prod_vjp,
        samples=_prod_samples,
        errors=_prod_errors,
        reference=_prod_reference,
    )
)

# ---- amax, amin: gradients are shared by ties ----


def _extremum(name: str, oracle: Callable[..., Any]) -> Op:
    def rule(x: Array, dim: Dim = None, keepdim: bool = False) -> tuple[Spec, ...]:
        axes = normalize_axes(name, dim, x.shape)
        _check_filled(name, x, axes)
        return (Spec(reduced_shape(x.shape, axes, keepdim), x.dtype),)

    def forward(
        ctx: Any, needs: Any, x: Array, dim: Dim = None, keepdim: bool = False
    ) -> Array:
        axes = normalize_axes(name, dim, x.shape)
        out, full = _output(ctx, x, axes, keepdim, x.dtype)
        run(name, (x,), (full,))
        ctx.save(x, out)
        return out

    def vjp(call: Any, ctx: Any, needs: Any, g: Any) -> tuple[Any, ...]:
        x, best = ctx.saved
        shape, axes, keepdim = _attrs(ctx)
        g = _kept(call, g, shape, axes, keepdim)
        return (_share(call, g, x, _kept(call, best, shape, axes, keepdim), axes),)

    def reference(x: Any, dim: Dim = None, keepdim: bool = False) -> Any:
        return oracle(x, axis=_axis(dim), keepdims=keepdim)

    def errors() -> Iterator[ErrorCase]:
        yield from _dim_errors(name)
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
    yield from _dims_samples()
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
    _check_filled(name, x, axes)
    return axes


def _place(name: str, kernel: str, oracle: Callable[..., Any]) -> Op:
    def rule(x: Array, dim: int, keepdim: bool = False) -> tuple[Spec, ...]:
        shape = reduced_shape(x.shape, _one_axis(name, x, dim), keepdim)
        return Spec(shape, x.dtype), Spec(shape, int64)

    def forward(
        ctx: Any, needs: Any, x: Array, dim: int, keepdim: bool = False
    ) -> tuple[Array, Array]:
        axes = _one_axis(name, x, dim)
        values, full = _output(ctx, x, axes, keepdim, x.dtype)
        indices, places = _output(ctx, x, axes, keepdim, int64)
        run(kernel, (x,), (full, places))
        ctx.save(indices)
        return values, indices

    def vjp(call: Any, ctx: Any, needs: Any, g: Any, _: Any) -> tuple[Any, ...]:
        (indices,) = ctx.saved
        shape, axes, keepdim = _attrs(ctx)
        g, indices = (_kept(call, y, shape, axes, keepdim) for y in (g, indices))
        zeros = call("full", shape=shape, value=0.0, dtype=g.dtype)
        if not axes:
            return (g,)
        return (call("scatter_add", zeros, indices, g, dim=axes[0]),)

    def reference(x: Any, dim: int, keepdim: bool = False) -> Any:
        if not x.ndim:
            return x, np.int64(0)
        indices = oracle(x, axis=dim, keepdims=True)
        values = np.take_along_axis(x, indices, dim)
        if keepdim:
            return values, indices
        return values.squeeze(dim), indices.squeeze(dim)

    def errors() -> Iterator[ErrorCase]:
        yield ErrorCase(
            (_grid(2),), {"dim": 1}, IndexError, f"{name}: dim must be from -1"
        )
        match = rf"{name}: axes \(0,\) of shape \(0,\) have no elements"
        yield ErrorCase((np.zeros(0),), {"dim": 0}, ShapeError, match)

    return register(
        Op(
            name=name,
            rule=rule,
            forward=forward,
            vjp=vjp,
            samples=_place_samples,
            errors=errors,
            reference=reference,
        )
    )


def _place_samples() -> Iterator[Sample]:
    x = _grid(2, 3, 4)
    for attrs in ({"dim": 0}, {"dim": 1, "keepdim": True}, {"dim": -1}):
        yield Sample((x,), attrs)
    yield Sample((np.array([3.0, 1.0, 3.0, 1.0]),), {"dim": 0}, gradient=False)
    yield Sample((np.array([3.0, np.nan, np.nan]),), {"dim": 0}, gradient=False)
    yield Sample((np.full(3, -np.inf),), {"dim": 0}, gradient=False)
    yield Sample((np.array(2.0),), {"dim": 0})
    yield Sample((np.zeros((0, 2)),), {"dim": 1})
    yield Sample((np.array([[1, 3], [3, 1]]),), {"dim": 1})
    yield Sample((_grid(3, 5000),), {"dim": 1}, gradient=False)
    yield Sample((_grid(70, 300),), {"dim": 0}, gradient=False)
    yield Sample((_grid(4, 5, 67).transpose(1, 2, 0),), {"dim": 1}, gradient=False)


MAX_DIM = _place("max_dim", "max_index", np.argmax)
MIN_DIM = _place("min_dim", "min_index", np.argmin)

# ---- argmax, argmin ----


def _position(name: str, kernel: str, oracle: Callable[..., Any]) -> Op:
    def rule(
        x: Array, dim: int | None = None, keepdim: bool = False
    ) -> tuple[Spec, ...]:
        axes = normalize_axes(name, dim, x.shape)
        _check_filled(name, x, axes)
        return (Spec(reduced_shape(x.shape, axes, keepdim), int64),)

    def forward(
        ctx: Any, needs: Any, x: Array, dim: int | None = None, keepdim: bool = False
    ) -> Array:
        axes = normalize_axes(name, dim, x.shape)
        out, full = _output(ctx, x, axes, keepdim, int64)
        if dim is None and x.ndim > 1:
            x = ensure_contiguous(ctx, x)
            x, full = x.view((x.size,), (1,)), out.view((1,), (1,))
        run(kernel, (x,), (None, full))
        return out

    def reference(x: Any, dim: int | None = None, keepdim: bool = False) -> Any:
        return np.asarray(oracle(x, axis=dim, keepdims=keepdim))

    def errors() -> Iterator[ErrorCase]:
        yield ErrorCase(
            (_grid(2),), {"dim": 1}, IndexError, f"{name}: dim must be from -1"
        )
        match = rf"{name}: axes \(0,\) of shape \(0,\) have no elements"
        yield ErrorCase((np.zeros(0),), {}, ShapeError, match)

    def samples() -> Iterator[Sample]:
        yield Sample((_grid(2, 3, 4).transpose(2, 0, 1),), {}, gradient=False)
        yield Sample((_grid(2, 3),), {"keepdim": True}, gradient=False)
        for sample in _place_samples():
            if sample.inputs[0].ndim:
                yield Sample(sample.inputs, sample.attrs, gradient=False)

    return register(
        Op(
            name=name,
            rule=rule,
            forward=forward,
            samples=samples,
            errors=errors,
            reference=reference,
        )
    )


ARGMAX = _position("argmax", "max_index", np.argmax)
ARGMIN = _position("argmin", "min_index", np.argmin)

# ---- any, all ----


def _truth(name: str, every: bool, oracle: Callable[..., Any]) -> Op:
    def rule(x: Array, dim: Dim = None, keepdim: bool = False) -> tuple[Spec, ...]:
        axes = normalize_axes(name, dim, x.shape)
        return (Spec(reduced_shape(x.shape, axes, keepdim), bool_),)

    def forward(
        ctx: Any, needs: Any, x: Array, dim: Dim = None, keepdim: bool = False
    ) -> Array:
        out, full = _output(ctx, x, normalize_axes(name, dim, x.shape), keepdim, bool_)
        run("any", (x,), (full,), (int(every),))
        return out

    def reference(x: Any, dim: Dim = None, keepdim: bool = False) -> Any:
        return np.asarray(oracle(x, axis=_axis(dim), keepdims=keepdim))

    def errors() -> Iterator[ErrorCase]:
        yield from _dim_errors(name)

    return register(
        Op(
            name=name,
            rule=rule,
            forward=forward,
            samples=_truth_samples,
            errors=errors,
            reference=reference,
        )
    )


def _truth_samples() -> Iterator[Sample]:
    x = np.array([[True, False, True], [True, True, True]])
    for attrs in ({}, {"dim": 0}, {"dim": 1, "keepdim": True}, {"dim": (0, 1)}):
        yield Sample((x,), attrs, gradient=False)
    yield Sample((np.array([0.0, np.nan, -0.0]),), {}, gradient=False)
    yield Sample((np.zeros((0, 3)),), {"dim": 0}, gradient=False)
    yield Sample((np.eye(70, 300),), {"dim": 0}, gradient=False)
    yield Sample((np.ones((3, 5000), np.int64),), {"dim": 1}, gradient=False)


ANY = _truth("any", False, np.any)
ALL = _truth("all", True, np.all)

# ---- norm ----


def _norm_rule(
    x: Array, p: float = 2.0, dim: Dim = None, keepdim: bool = False
) -> tuple[Spec, ...]:
    _check_float("norm", x)
    axes = normalize_axes("norm", dim, x.shape)
    if p < 0 and not isinf(p):
        raise ValueError(f"norm: p must be -inf or from 0 to inf, got {p}")
    if isinf(p):
        _check_filled("norm", x, axes)
    return (Spec(reduced_shape(x.shape, axes, keepdim), x.dtype),)


def _norm_forward(
    ctx: Any,
    needs: Any,
    x: Array,
    p: float = 2.0,
    dim: Dim = None,
    keepdim: bool = False,
) -> Array:
    out, full = _output(ctx, x, normalize_axes("norm", dim, x.shape), keepdim, x.dtype)
    if isinf(p):
        size = empty(x.shape, x.dtype)
        run("abs", (x,), (size,))
        run("amax" if p > 0 else "amin", (size,), (full,))
    else:
        run("norm", (x,), (full,), (), (float(p),))
    ctx.save(x, out)
    return out


def _norm_vjp(call: Any, ctx: Any, needs: Any, g: Any) -> tuple[Any, ...]:
    """Where the norm is 0 so is the gradient."""
    x, norm = ctx.saved
    p = ctx.attrs.get("p", 2.0)
    shape, axes, keepdim = _attrs(ctx)
    g, norm = (_kept(call, y, shape, axes, keepdim) for y in (g, norm))
    if p == 0:
        return (None,)
    if isinf(p):
        part = _share(call, g, call("abs", x), norm, axes)
        return (call("grad_mul", part, call("sign", x)),)
    if p == 1:
        return (call("grad_mul", call("expand", g, shape=shape), call("sign", x)),)
    if p == 2:
        part = div_or_zero(call, g, norm)
        return (call("grad_mul", call("expand", part, shape=shape), x),)
    part = div_or_zero(call, g, call("pow", norm, p - 1.0))
    zero = call("full", shape=(), value=0.0, dtype=x.dtype)
    power = call("pow", call("abs", x), p - 1.0)
    slope = call("where", call("eq", x, 0.0), zero, call("mul", power, call("sign", x)))
    return (call("grad_mul", call("expand", part, shape=shape), slope),)


def _norm_reference(
    x: Any, p: float = 2.0, dim: Dim = None, keepdim: bool = False
) -> Any:
    size = np.abs(x)
    axis = _axis(dim)
    if isinf(p):
        best = np.max if p > 0 else np.min
        return best(size, axis=axis, keepdims=keepdim)
    powers = (size != 0).astype(x.dtype) if p == 0 else size**p
    total = powers.sum(axis=axis, keepdims=keepdim)
    return total if p == 0 else total ** (1 / p)


def _norm_samples() -> Iterator[Sample]:
    x = _grid(2, 3)
    for p in (2.0, 1.0, 3.0, 1.5, inf, -inf):
        yield Sample((x,), {"p": p})
        yield Sample((x,), {"p": p, "dim": 1, "keepdim": True})
        yield Sample((_grid(70, 300),), {"p": p, "dim": 0}, gradient=False)
        yield Sample((_grid(3, 5000),), {"p": p, "dim": 1}, gradient=False)
    yield Sample((np.array([0.0, 2.0, 3.0]),), {"p": 0.0}, gradient=False)
    yield Sample((np.zeros((0, 3)),), {"dim": 0})
    yield Sample((np.array(-1.5),), {})


def _norm_errors() -> Iterator[ErrorCase]:
    yield ErrorCase(
        (_grid(2),), {"p": -1.0}, ValueError, "norm: p must be -inf or from 0"
    )
    yield ErrorCase((_grid(2),), {"dim": 1}, IndexError, "norm: dim must be")
    yield ErrorCase((np.arange(2),), {}, DTypeError, "norm: expected a floating type")


NORM = register(
    Op(
        name="norm",
        rule=_norm_rule,
        forward=_norm_forward,
        vjp=_norm_vjp,
        samples=_norm_samples,
        errors=_norm_errors,
        reference=_norm_reference,
    )
)

# ---- var, std ----


def _spread_of(name: str, root: bool, oracle: Callable[..., Any]) -> Op:
    def rule(
        x: Array, dim: Dim = None, correction: float = 1.0, keepdim: bool = False
    ) -> tuple[Spec, ...]:
        _check_float(name, x)
        axes = normalize_axes(name, dim, x.shape)
        count = _count(x.shape, axes)
        if count <= correction:
            raise ShapeError(
                f"{name}: expected more than {correction:g} elements along axes "
                f"{axes}, got {count} (shape {x.shape}); likely fix: correction=0"
            )
        return (Spec(reduced_shape(x.shape, axes, keepdim), x.dtype),)

    def forward(
        ctx: Any,
        needs: Any,
        x: Array,
        dim: Dim = None,
        correction: float = 1.0,
        keepdim: bool = False,
    ) -> Array:
        axes = normalize_axes(name, dim, x.shape)
        out, full = _output(ctx, x, axes, keepdim, x.dtype)
        mean = empty(full.shape, x.dtype, full.strides)
        run("sum", (x,), (mean,), (), (float(_count(x.shape, axes)),))
        run("var", (x, mean), (full,), (int(root),), (float(correction),))
        ctx.save(x, out if root else None)
        return out

    def vjp(call: Any, ctx: Any, needs: Any, g: Any) -> tuple[Any, ...]:
        x, std = ctx.saved
        shape, axes, keepdim = _attrs(ctx)
        g = _kept(call, g, shape, axes, keepdim)
        count = _count(shape, axes) - ctx.attrs.get("correction", 1.0)
        if root:
            std = _kept(call, std, shape, axes, keepdim)
            part = call("mul", div_or_zero(call, g, std), 1.0 / count)
        else:
            part = call("mul", g, 2.0 / count)
        mean = call("expand", call("mean", x, dim=axes, keepdim=True), shape=shape)
        distance = call("sub", x, mean)
        return (call("grad_mul", call("expand", part, shape=shape), distance),)

    def reference(
        x: Any, dim: Dim = None, correction: float = 1.0, keepdim: bool = False
    ) -> Any:
        return oracle(x, axis=_axis(dim), ddof=correction, keepdims=keepdim)

    def errors() -> Iterator[ErrorCase]:
        yield from _dim_errors(name)
        match = f"{name}: expected more than 1 elements"
        yield ErrorCase((_grid(1, 3),), {"dim": 0}, ShapeError, match)
        yield ErrorCase((np.arange(2),), {}, DTypeError, f"{name}: expected a floating")

    return register(
        Op(
            name=name,
            rule=rule,
            forward=forward,
            vjp=vjp,
            samples=_spread_samples,
            errors=errors,
            reference=reference,
        )
    )


def _spread_samples() -> Iterator[Sample]:
    x = _grid(2, 3, 2)
    for dim in (None, 0, -2, (0, 2)):
        yield Sample((x,), {"dim": dim})
    yield Sample((x,), {"dim": 1, "correction": 0.0, "keepdim": True})
    yield Sample((_grid(1, 3),), {"dim": 0, "correction": 0.0}, gradient=False)
    yield Sample((1e4 + _grid(70, 300),), {"dim": 0}, gradient=False, tolerance=1e3)
    yield Sample((_grid(3, 5000),), {"dim": 1}, gradient=False)
    yield Sample((_grid(70000),), {}, gradient=False)
    yield Sample((np.zeros((0, 3)),), {"dim": 1})


VAR = _spread_of("var", False, np.var)
STD = _spread_of("std", True, np.std)

# ---- logsumexp ----


def _logsumexp_rule(x: Array, dim: Dim, keepdim: bool = False) -> tuple[Spec, ...]:
    _check_float("logsumexp", x)
    axes = normalize_axes("logsumexp", dim, x.shape)
    return (Spec(reduced_shape(x.shape, axes, keepdim), x.dtype),)


def _logsumexp_forward(
    ctx: Any, needs: Any, x: Array, dim: Dim, keepdim: bool = False
) -> Array:
    out, full = _output(
        ctx, x, normalize_axes("logsumexp", dim, x.shape), keepdim, x.dtype
    )
    run("logsumexp", (x,), (full,))
    ctx.save(x, out)
    return out


def _logsumexp_vjp(call: Any, ctx: Any, needs: Any, g: Any) -> tuple[Any, ...]:
    x, out = ctx.saved
    shape, axes, keepdim = _attrs(ctx)
    g, out = (
        call("expand", _kept(call, y, shape, axes, keepdim), shape=shape)
        for y in (g, out)
    )
    return (call("grad_mul", g, call("exp", call("sub", x, out))),)


def _logsumexp_reference(x: Any, dim: Dim, keepdim: bool = False) -> Any:
    axes = normalize_axes("", dim, x.shape)
    if any(x.shape[i] == 0 for i in axes):
        return np.full(reduced_shape(x.shape, axes, keepdim), -inf)
    top = x.max(axis=axes, keepdims=True)
    shift = np.where(np.isfinite(top), top, 0)
    with np.errstate(divide="ignore"):
        out = np.log(np.exp(x - shift).sum(axis=axes, keepdims=True)) + shift
    return out.reshape(reduced_shape(x.shape, axes, keepdim))


def _logsumexp_samples() -> Iterator[Sample]:
    x = _grid(2, 3)
    for attrs in ({"dim": 0}, {"dim": -1, "keepdim": True}, {"dim": (0, 1)}):
        yield Sample((x,), attrs)
    yield Sample((x + 1000.0,), {"dim": 1})
    special = np.array([[-np.inf, -np.inf], [np.inf, 1.0], [-np.inf, 2.0]])
    yield Sample((special,), {"dim": 1}, gradient=False)
    yield Sample((np.zeros((2, 0)),), {"dim": 1})
    yield Sample((30 * _grid(70, 300),), {"dim": 0}, gradient=False)
    yield Sample((30 * _grid(3, 5000),), {"dim": 1}, gradient=False)


def _logsumexp_errors() -> Iterator[ErrorCase]:
    yield from _dim_errors("logsumexp")
    match = "logsumexp: expected a floating type"
    yield ErrorCase((np.arange(2),), {"dim": 0}, DTypeError, match)


LOGSUMEXP = register(
    Op(
        name="logsumexp",
        rule=_logsumexp_rule,
        forward=_logsumexp_forward,
        vjp=_logsumexp_vjp,
        samples=_logsumexp_samples,
        errors=_logsumexp_errors,
        reference=_logsumexp_reference,
    )
)

# ---- scans ----


def _scan_output(ctx: Any, kernel: str, x: Array, dim: int, reverse: bool) -> Array:
    out: Array = ctx.empty(x.shape, _sum_dtype(x))
    if not x.ndim:
        run(kernel, (x.view((1,), (1,)),), (out.view((1,), (1,)),), (0, 0))
    else:
        run(kernel, (x,), (out,), (dim % x.ndim, int(reverse)))
    return out


def _cumsum_rule(x: Array, dim: int, reverse: bool = False) -> tuple[Spec, ...]:
    normalize_axis("cumsum", dim, x.ndim, x.shape)
    return (Spec(x.shape, _sum_dtype(x)),)


def _cumsum_forward(
    ctx: Any, needs: Any, x: Array, dim: int, reverse: bool = False
) -> Array:
    return _scan_output(ctx, "cumsum", x, dim, reverse)


def _cumsum_vjp(call: Any, ctx: Any, needs: Any, g: Any) -> tuple[Any, ...]:
    back = not ctx.attrs.get("reverse", False)
    return (call("cumsum", g, dim=ctx.attrs["dim"], reverse=back),)


def _cumsum_reference(x: Any, dim: int, reverse: bool = False) -> Any:
    if not x.ndim:
        return x.copy()
    return np.flip(np.flip(x, dim).cumsum(dim), dim) if reverse else x.cumsum(dim)


def _scan_samples() -> Iterator[Sample]:
    x = _grid(2, 3, 2)
    for dim in (0, 1, -1):
        yield Sample((x,), {"dim": dim})
    yield Sample((np.array(1.5),), {"dim": 0})
    yield Sample((np.zeros((0, 3)),), {"dim": 0})
    yield Sample((np.arange(1, 5),), {"dim": 0})
    yield Sample((1 + 0.1 * _grid(5, 70),), {"dim": 0}, gradient=False)
    yield Sample((1 + 0.01 * _grid(500),), {"dim": 0}, gradient=False)


def _cumsum_samples() -> Iterator[Sample]:
    yield from _scan_samples()
    yield Sample((_grid(2, 3),), {"dim": 1, "reverse": True})


def _cumsum_errors() -> Iterator[ErrorCase]:
    yield ErrorCase((_grid(2),), {"dim": 1}, IndexError, "cumsum: dim must be from -1")


CUMSUM = register(
    Op(
        name="cumsum",
        rule=_cumsum_rule,
        forward=_cumsum_forward,
        vjp=_cumsum_vjp,
        samples=_cumsum_samples,
        errors=_cumsum_errors,
        reference=_cumsum_reference,
    )
)


def _cumprod_rule(x: Array, dim: int) -> tuple[Spec, ...]:
    normalize_axis("cumprod", dim, x.ndim, x.shape)
    return (Spec(x.shape, _sum_dtype(x)),)


def _cumprod_forward(ctx: Any, needs: Any, x: Array, dim: int) -> Array:
    out = _scan_output(ctx, "cumprod", x, dim, False)
    ctx.save(x, out)
    return out


def _cumprod_vjp(call: Any, ctx: Any, needs: Any, g: Any) -> tuple[Any, ...]:
    """y_k = x_k y_(k-1), so h_k = g_k + x_(k+1) h_(k+1) reaches y_k: no division."""
    x, y = ctx.saved
    if not ctx.shapes[0]:
        return (g,)
    axis = ctx.attrs["dim"] % len(ctx.shapes[0])
    h = call("linear_scan", x, g, dim=axis, reverse=True)
    return (call("grad_mul", h, _shift(call, y, axis, 1.0)),)


def _cumprod_reference(x: Any, dim: int) -> Any:
    return x.cumprod(dim) if x.ndim else x.copy()


def _cumprod_samples() -> Iterator[Sample]:
    yield from _scan_samples()
    yield Sample((np.array([2.0, 0.0, 3.0, 0.0, 4.0]),), {"dim": 0})


def _cumprod_errors() -> Iterator[ErrorCase]:
    yield ErrorCase((_grid(2),), {"dim": 1}, IndexError, "cumprod: dim must be from -1")


CUMPROD = register(
    Op(
        name="cumprod",
        rule=_cumprod_rule,
        forward=_cumprod_forward,
        vjp=_cumprod_vjp,
        samples=_cumprod_samples,
        errors=_cumprod_errors,
        reference=_cumprod_reference,
    )
)


def _linear_scan_rule(
    a: Array, b: Array, dim: int, reverse: bool = False
) -> tuple[Spec, ...]:
    _check_float("linear_scan", b)
    if a.shape != b.shape or a.dtype is not b.dtype or not a.ndim:
        raise ShapeError(
            f"linear_scan: expected two arrays of one shape and type, got {a.shape} "
            f"{a.dtype.name} and {b.shape} {b.dtype.name}"
        )
    normalize_axis("linear_scan", dim, a.ndim, a.shape)
    return (Spec(a.shape, a.dtype),)


def _linear_scan_forward(
    ctx: Any, needs: Any, a: Array, b: Array, dim: int, reverse: bool = False
) -> Array:
    out: Array = ctx.empty(a.shape, a.dtype)
    run("linear_scan", (a, b), (out,), (dim % a.ndim, int(reverse)))
    ctx.save(a, out)
    return out


def _linear_scan_vjp(call: Any, ctx: Any, needs: Any, g: Any) -> tuple[Any, ...]:
    """The scan that runs the other way carries the gradient; so a second one does."""
    a, y = ctx.saved
    axis = ctx.attrs["dim"] % len(ctx.shapes[0])
    if ctx.attrs.get("reverse", False):
        h = call("linear_scan", a, g, dim=axis)
        return call("grad_mul", _shift(call, h, axis, 0.0), y), h
    h = call("linear_scan", a, g, dim=axis, reverse=True)
    return call("grad_mul", h, _shift(call, y, axis, 0.0)), h


def _linear_scan_reference(a: Any, b: Any, dim: int, reverse: bool = False) -> Any:
    out = np.empty_like(b)
    factors, terms, results = (np.moveaxis(each, dim, 0) for each in (a, b, out))
    n = len(terms)
    for i in range(n - 1, -1, -1) if reverse else range(n):
        last = i + 1 if reverse else i - 1
        results[i] = terms[i]
        if 0 <= last < n:
            results[i] += factors[max(i, last)] * results[last]
    return out


def _linear_scan_samples() -> Iterator[Sample]:
    for reverse in (False, True):
        attrs = {"dim": 1, "reverse": reverse}
        yield Sample((_grid(2, 4), -_grid(2, 4)), attrs)
        yield Sample((_grid(3, 1), _grid(3, 1)), attrs)
        yield Sample((np.zeros((2, 0)), np.zeros((2, 0))), attrs)
        yield Sample((_grid(4, 3), _grid(3, 4).T), {**attrs, "dim": -2})


def _linear_scan_errors() -> Iterator[ErrorCase]:
    match = "linear_scan: expected two arrays of one shape"
    yield ErrorCase((_grid(2), _grid(3)), {"dim": 0}, ShapeError, match)


LINEAR_SCAN = register(
    Op(
        name="linear_scan",
        rule=_linear_scan_rule,
        forward=_linear_scan_forward,
        vjp=_linear_scan_vjp,
        samples=_linear_scan_samples,
        errors=_linear_scan_errors,
        reference=_linear_scan_reference,
    )
)
