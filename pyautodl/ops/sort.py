"""Ops that put the elements along an axis in order."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import numpy as np

from pyautodl.backends import Array, run
from pyautodl.backends.dtypes import bool_, int64
from pyautodl.errors import DTypeError, ShapeError
from pyautodl.ops.axes import normalize_axis, reduced_shape
from pyautodl.ops.layout import ensure_contiguous
from pyautodl.ops.record import ErrorCase, Op, Sample, Spec, register

__all__ = ["ISIN_SORTED", "KTHVALUE", "SEARCHSORTED", "TOPK", "back_to_places"]

Ints = tuple[int, ...]


def _grid(*shape: int) -> np.ndarray[Any, Any]:
    return np.random.default_rng(len(shape)).standard_normal(shape)


def _topk_shape(x: Array, k: int | None, dim: int) -> Ints:
    axis = normalize_axis("topk", dim, x.ndim, x.shape)
    n = x.shape[axis] if x.ndim else 1
    count = n if k is None else k
    if not 0 <= count <= n:
        raise ShapeError(
            f"topk: k must be from 0 to {n}, got {k} (axis {axis} of shape {x.shape})"
        )
    if not x.ndim:
        return () if count else (0,)
    return (*x.shape[:axis], count, *x.shape[axis + 1 :])


def _topk_rule(
    x: Array, k: int | None = None, dim: int = -1, descending: bool = True
) -> tuple[Spec, ...]:
    shape = _topk_shape(x, k, dim)
    return Spec(shape, x.dtype), Spec(shape, int64)


def _topk_forward(
    ctx: Any,
    needs: Any,
    x: Array,
    k: int | None = None,
    dim: int = -1,
    descending: bool = True,
) -> tuple[Array, Array]:
    shape = _topk_shape(x, k, dim)
    values, indices = ctx.empty(shape, x.dtype), ctx.empty(shape, int64)
    lines = [a if a.ndim else a.view((1,), (1,)) for a in (x, values, indices)]
    axis = dim % lines[0].ndim
    run("topk", lines[:1], lines[1:], (axis, int(descending)))
    ctx.save(indices)
    return values, indices


def back_to_places(call: Any, ctx: Any, g: Any, indices: Any) -> Any:
    """Gradients go to the places from which the values were taken."""
    shape, dtype = ctx.shapes[0], ctx.dtypes[0]
    zeros = call("full", shape=shape, value=0.0, dtype=dtype)
    if not shape:
        return g if g.shape == () else zeros
    axis = ctx.attrs.get("dim", -1) % len(shape)
    return call("scatter_add", zeros, indices, g, dim=axis)


def _topk_vjp(call: Any, ctx: Any, needs: Any, g: Any, _: Any) -> tuple[Any, ...]:
    return (back_to_places(call, ctx, g, ctx.saved[0]),)


def _topk_reference(
    x: Any, k: int | None = None, dim: int = -1, descending: bool = True
) -> Any:
    if not x.ndim:
        return x.copy(), np.zeros((), np.int64)
    if descending:
        turned = np.flip(x, dim).argsort(dim, kind="stable")
        order = np.flip(x.shape[dim] - 1 - turned, dim)
    else:
        order = x.argsort(dim, kind="stable")
    order = order.take(np.arange(x.shape[dim] if k is None else k), dim)
    return np.take_along_axis(x, order, dim), order


def _topk_samples() -> Iterator[Sample]:
    x = _grid(3, 5)
    for descending in (True, False):
        yield Sample((x,), {"descending": descending})
        yield Sample((x,), {"k": 2, "dim": 0, "descending": descending})
        ties = np.array([[2.0, 1.0, 2.0, np.nan, 1.0, np.nan]])
        for k in (None, 3):
            attrs = {"k": k, "descending": descending}
            yield Sample((ties,), attrs, gradient=False)
        yield Sample(
            (_grid(3, 500).round(1),), {"descending": descending}, gradient=False
        )
        attrs = {"k": 100, "dim": 0, "descending": descending}
        yield Sample((_grid(500, 3).round(1),), attrs, gradient=False)
    yield Sample((x,), {"k": 0})
    yield Sample((np.array([[3, 1, 2], [1, 1, 0]]),), {"k": 2})
    yield Sample((np.array(1.5),), {})
    yield Sample((np.zeros((0, 3)),), {"k": 2})


def _topk_errors() -> Iterator[ErrorCase]:
    match = r"topk: k must be from 0 to 2, got 3 \(axis 0 of shape \(2,\)\)"
    yield ErrorCase((_grid(2),), {"k": 3}, ShapeError, match)
    yield ErrorCase((_grid(2),), {"dim": 1}, IndexError, "topk: dim must be")


# the first k of a stable order; without k all of them
TOPK = register(
    Op(
        name="topk",
        rule=_topk_rule,
        forward=_topk_forward,
        vjp=_topk_vjp,
        samples=_topk_samples,
        errors=_topk_errors,
        reference=_topk_reference,
    )
)


def _kth_axes(x: Array, k: int, dim: int) -> Ints:
    axis = normalize_axis("kthvalue", dim, x.ndim, x.shape)
    n = x.shape[axis] if x.ndim else 1
    if not 1 <= k <= n:
        raise ShapeError(
            f"kthvalue: k must be from 1 to {n}, got {k} (axis {axis} of shape {x.shape})"
        )
    return (axis,) if x.ndim else ()


# what NaN means, as the kernel counts it
_NAN = ("last", "result", "without")


def _kthvalue_rule(
    x: Array, k: int, dim: int = -1, keepdim: bool = False, nan: str = "last"
) -> tuple[Spec, ...]:
    shape = reduced_shape(x.shape, _kth_axes(x, k, dim), keepdim)
    return Spec(shape, x.dtype), Spec(shape, int64)


def _kthvalue_forward(
    ctx: Any,
    needs: Any,
    x: Array,
    k: int,
    dim: int = -1,
    keepdim: bool = False,
    nan: str = "last",
) -> tuple[Array, Array]:
    axes = _kth_axes(x, k, dim)
    shape = reduced_shape(x.shape, axes, keepdim)
    outputs = ctx.empty(shape, x.dtype), ctx.empty(shape, int64)
    full = []
    for out in outputs:
        strides = list(out.strides)
        if x.ndim and not keepdim:
            strides.insert(axes[0], 1)
        kept = reduced_shape(x.shape, axes, True)
        full.append(out.view(kept, tuple(strides)) if x.ndim else out.view((1,), (1,)))
    source = x if x.ndim else x.view((1,), (1,))
    run("kthvalue", (source,), full, (axes[0] if axes else 0, k - 1, _NAN.index(nan)))
    ctx.save(outputs[1])
    return outputs


def _kthvalue_vjp(call: Any, ctx: Any, needs: Any, g: Any, _: Any) -> tuple[Any, ...]:
    (indices,) = ctx.saved
    shape = ctx.shapes[0]
    if shape and not ctx.attrs.get("keepdim", False):
        axis = ctx.attrs.get("dim", -1) % len(shape)
        kept = reduced_shape(shape, (axis,), True)
        g, indices = (call("reshape", each, shape=kept) for each in (g, indices))
    return (back_to_places(call, ctx, g, indices),)


def _kthvalue_reference(
    x: Any, k: int, dim: int = -1, keepdim: bool = False, nan: str = "last"
) -> Any:
    if not x.ndim:
        return x.copy(), np.zeros((), np.int64)
    places = np.full((1, *np.delete(x.shape, dim)), k - 1)
    if nan == "without":
        numbers = (x == x).sum(dim, keepdims=True)
        places = np.maximum(numbers - 1, 0) // 2
    else:
        places = np.moveaxis(places, 0, dim)
    best = np.take_along_axis(np.sort(x, dim), places, dim)
    if nan == "result" and x.dtype.kind == "f":
        best = np.where(np.isnan(x).any(dim, keepdims=True), np.nan, best)
    same = (x == best) | ((x != x) & (best != best))
    indices = same.argmax(dim, keepdims=True)
    return (best, indices) if keepdim else (best.squeeze(dim), indices.squeeze(dim))


def _kthvalue_samples() -> Iterator[Sample]:
    x = _grid(3, 5)
    yield Sample((x,), {"k": 2})
    yield Sample((x,), {"k": 3, "dim": 0, "keepdim": True})
    yield Sample((np.array([2.0, 1.0, 2.0, 1.0]),), {"k": 4}, gradient=False)
    for nan in _NAN:
        line = np.array([2.0, np.nan, 1.0])
        yield Sample((line,), {"k": 1, "nan": nan}, gradient=False)
        lines = _grid(4, 6).round(1)
        lines[0] = lines[1, 2:] = lines[2, ::2] = np.nan
        for dim in (0, 1):
            attrs = {"k": 2, "nan": nan, "dim": dim}
            yield Sample((lines,), attrs, gradient=False)
    yield Sample((x,), {"k": 1, "dim": 0, "nan": "without"})
    yield Sample((np.array(1.5),), {"k": 1})
    yield Sample((_grid(2, 300).round(1),), {"k": 150}, gradient=False)
    yield Sample((np.array([3, 1, 2]),), {"k": 2})


def _kthvalue_errors() -> Iterator[ErrorCase]:
    match = r"kthvalue: k must be from 1 to 2, got 0 \(axis 0 of shape \(2,\)\)"
    yield ErrorCase((_grid(2),), {"k": 0}, ShapeError, match)
    yield ErrorCase((np.zeros(0),), {"k": 1}, ShapeError, "k must be from 1 to 0")


# NaN is larger than numbers, or one anywhere is the result (the median), or lines are
# without it and the lower one of their middles is looked for, whatever k
KTHVALUE = register(
    Op(
        name="kthvalue",
        rule=_kthvalue_rule,
        forward=_kthvalue_forward,
        vjp=_kthvalue_vjp,
        samples=_kthvalue_samples,
        errors=_kthvalue_errors,
        reference=_kthvalue_reference,
    )
)


# ---- places in what is in order ----


def _check_lines(name: str, lines: Array, values: Array) -> None:
    if lines.dtype is not values.dtype:
        raise DTypeError(
            f"{name}: expected operands of one element type, got {lines.dtype.name} "
            f"{lines.shape}, {values.dtype.name} {values.shape}"
        )
    if not lines.ndim or (lines.ndim > 1 and values.shape[:-1] != lines.shape[:-1]):
        raise ShapeError(
            f"{name}: expected a line, or values whose shape but for the last axis is "
            f"that of the sequences {lines.shape}, got values {values.shape}"
        )


def _search(kernel: str, dtype: Any) -> Any:
    def forward(
        ctx: Any, needs: Any, lines: Array, values: Array, flag: bool = False
    ) -> Array:
        out: Array = ctx.empty(values.shape, dtype)
        if out.size:
            each = [ensure_contiguous(ctx, x) for x in (lines, values)]
            run(kernel, each, (out,), (int(flag),))
        return out

    return forward


def _searchsorted_rule(
    lines: Array, values: Array, flag: bool = False
) -> tuple[Spec, ...]:
    _check_lines("searchsorted", lines, values)
    return (Spec(values.shape, int64),)


def _searchsorted_reference(lines: Any, values: Any, flag: bool = False) -> Any:
    side: Literal["left", "right"] = "right" if flag else "left"
    out = np.empty(values.shape, np.int64)
    if lines.ndim == 1:
        out[...] = np.searchsorted(lines, values, side)
    else:
        for row in np.ndindex(lines.shape[:-1]):
            out[row] = np.searchsorted(lines[row], values[row], side)
    return out


def _search_samples() -> Iterator[Sample]:
    rng = np.random.default_rng(0)
    for n in (1, 2, 15, 300):
        keys = np.sort(rng.integers(-20, 20, n))
        values = rng.integers(-22, 22, (5, 21))
        for flag in (False, True):
            for dtype in (np.float64, np.int64, np.int8):
                inputs = (keys.astype(dtype), values.astype(dtype))
                yield Sample(inputs, {"flag": flag}, gradient=False)
    keys = np.array([-np.inf, -0.0, 0.0, 1.0, np.inf, np.nan, np.nan])
    values = np.array([np.nan, 0.0, -0.0, np.inf, -np.inf, 0.5])
    yield Sample((keys, values), gradient=False)
    yield Sample((keys, values), {"flag": True}, gradient=False)
    yield Sample((np.array([False, True]), np.array([True, False])), gradient=False)
    yield Sample((np.zeros(0), np.ones(3)), gradient=False)
    yield Sample((np.zeros(2), np.array(0.5)), gradient=False)
    yield Sample((np.zeros(2), np.zeros((0, 3))), gradient=False)


def _searchsorted_samples() -> Iterator[Sample]:
    yield from _search_samples()
    lines = np.sort(_grid(2, 3, 7).round(1))
    yield Sample((lines, _grid(2, 3, 40).round(1)), gradient=False)
    yield Sample((np.zeros((2, 0)), np.ones((2, 3))), gradient=False)


def _search_errors(name: str) -> Any:
    def errors() -> Iterator[ErrorCase]:
        match = f"{name}: expected operands of one element type"
        yield ErrorCase((_grid(2), np.arange(2)), {}, DTypeError, match)
        match = f"{name}: expected a line, or values"
        yield ErrorCase((np.array(1.0), _grid(2)), {}, ShapeError, match)
        yield ErrorCase((_grid(2, 3), _grid(3, 2)), {}, ShapeError, match)

    return errors


# how many elements of a line in order come before each value; `flag`: or equal it
SEARCHSORTED = register(
    Op(
        name="searchsorted",
        rule=_searchsorted_rule,
        forward=_search("searchsorted", int64),
        samples=_searchsorted_samples,
        errors=_search_errors("searchsorted"),
        reference=_searchsorted_reference,
    )
)


def _isin_rule(lines: Array, values: Array, flag: bool = False) -> tuple[Spec, ...]:
    _check_lines("isin_sorted", lines, values)
    return (Spec(values.shape, bool_),)


def _isin_reference(lines: Any, values: Any, flag: bool = False) -> Any:
    return np.isin(values, lines, invert=flag)


# whether each value is in a line that is in order; `flag`: whether it is not
ISIN_SORTED = register(
    Op(
        name="isin_sorted",
        rule=_isin_rule,
        forward=_search("isin_sorted", bool_),
        samples=_search_samples,
        errors=_search_errors("isin_sorted"),
        reference=_isin_reference,
    )
)
