"""Views: other shapes and parts of the same memory, and what undoes them."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import Any

import numpy as np

from pyautodl.backends import (
    Array,
    Made,
    constant,
    contiguous_strides,
    empty_strides_like,
    run,
)
from pyautodl.errors import ShapeError
from pyautodl.ops.axes import normalize_axis, resolve_shape
from pyautodl.ops.plan import KernelPlan, Plan, ViewPlan, planned, seen
from pyautodl.ops.record import ErrorCase, Op, Sample, Spec, register

__all__ = [
    "DIAGONAL",
    "DIAGONAL_SCATTER",
    "EXPAND",
    "PERMUTE",
    "RESHAPE",
    "SLICE",
    "SLICE_SCATTER",
    "SPLIT",
    "UNBIND",
    "UNFOLD",
    "along",
    "copied",
    "filled",
    "grid",
    "view_strides",
    "window",
]

Ints = tuple[int, ...]


def copied(x: Array, out: Array) -> Array:
    """`out`, with the elements of x."""
    run("copy", (x,), (out,))
    return out


def filled(out: Array, value: float) -> Array:
    """`out`, all of one value."""
    one = constant(value, out.dtype)
    return copied(one.view(out.shape, (0,) * out.ndim), out)


def grid(*shape: int) -> np.ndarray[Any, Any]:
    """Different numbers, for samples."""
    return np.arange(float(prod(shape))).reshape(shape) + 0.5


# ---- reshape ----


def view_strides(x: Array, shape: Ints) -> Ints | None:
    """The strides with which x's memory has another shape; None if it takes a copy."""
    strides = [1] * len(shape)
    if not x.size:
        return tuple(strides)
    old = [(n, s) for n, s in zip(x.shape, x.strides, strict=True) if n != 1]
    at = len(shape) - 1
    while old:
        # one run of old axes that lie in each other is one run of new axes
        size, stride = old.pop()
        step = stride
        while old and old[-1][1] == stride * size:
            size *= old.pop()[0]
        while at >= 0 and size > 1:
            if size % shape[at]:
                break
            strides[at] = step
            step *= shape[at]
            size //= shape[at]
            at -= 1
        if size > 1:
            return None
    return tuple(strides)


def _reshape_plan(x: Array, shape: Ints) -> Plan:
    shape = resolve_shape("reshape", x.shape, tuple(shape))
    strides = view_strides(x, shape)
    if strides is not None:
        return ViewPlan(x, shape, strides)
    in_order = (x.shape, contiguous_strides(x.shape))
    made = Made(shape, x.dtype, contiguous_strides(shape), in_order)
    return KernelPlan("copy", [seen(0, x)], [made])


def _reshape_vjp(call: Any, ctx: Any, needs: Any, g: Any) -> tuple[Any, ...]:
    return (call("reshape", g, shape=ctx.shapes[0]),)


def _reshape_samples() -> Iterator[Sample]:
    yield Sample((grid(2, 3, 2),), {"shape": (6, 2)})
    yield Sample((grid(2, 3, 2).transpose(0, 2, 1),), {"shape": (2, 6)})
    yield Sample((grid(4, 3).T,), {"shape": (3, 1, 2, 2)})
    yield Sample((grid(1, 1),), {"shape": ()})
    yield Sample((grid(2, 3),), {"shape": (-1,)})
    yield Sample((np.zeros((0, 3)),), {"shape": (3, 0, 2)})


def _reshape_errors() -> Iterator[ErrorCase]:
    match = r"reshape: expected a shape of 6 elements, got \(4,\)"
    yield ErrorCase((grid(2, 3),), {"shape": (4,)}, ShapeError, match)
    match = r"reshape: can't make shape \(-1, 4\) of shape \(2, 3\)"
    yield ErrorCase((grid(2, 3),), {"shape": (-1, 4)}, ShapeError, match)


RESHAPE = register(
    planned(
        "reshape",
        _reshape_plan,
        vjp=_reshape_vjp,
        samples=_reshape_samples,
        errors=_reshape_errors,
        reference=np.reshape,
        view=True,
    )
)

# ---- permute, expand ----


def _permute_plan(x: Array, dims: Ints) -> Plan:
    axes = [normalize_axis("permute", dim, x.ndim, x.shape) for dim in dims]
    if sorted(axes) != list(range(x.ndim)):
        raise ShapeError(
            f"permute: dims must name each of {x.ndim} axes once, got {tuple(dims)} "
            f"(shape {x.shape})"
        )
    shape = tuple([x.shape[i] for i in axes])
    return ViewPlan(x, shape, tuple([x.strides[i] for i in axes]))


def _permute_vjp(call: Any, ctx: Any, needs: Any, g: Any) -> tuple[Any, ...]:
    ndim = len(ctx.shapes[0])
    inverse = [0] * ndim
    for i, dim in enumerate(ctx.attrs["dims"]):
        inverse[dim % ndim] = i
    return (call("permute", g, dims=tuple(inverse)),)


def _permute_reference(x: np.ndarray[Any, Any], dims: Ints) -> Any:
    return x.transpose(dims)


def _permute_samples() -> Iterator[Sample]:
    yield Sample((grid(2, 3, 4),), {"dims": (2, 0, 1)})
    yield Sample((grid(2, 3),), {"dims": (-1, 0)})
    yield Sample((np.array(1.5),), {"dims": ()})
    yield Sample((np.zeros((0, 3)),), {"dims": (1, 0)})


def _permute_errors() -> Iterator[ErrorCase]:
    match = "permute: dims must name each of 2 axes once"
    yield ErrorCase((grid(2, 3),), {"dims": (0, 0)}, ShapeError, match)
    yield ErrorCase((grid(2, 3),), {"dims": (0, 2)}, IndexError, "permute: dim must be")


PERMUTE = register(
    planned(
        "permute",
        _permute_plan,
        vjp=_permute_vjp,
        samples=_permute_samples,
        errors=_permute_errors,
        reference=_permute_reference,
        view=True,
    )
)


def _expand_plan(x: Array, shape: Ints) -> Plan:
    front = len(shape) - x.ndim
    pairs = zip(x.shape, shape[max(front, 0) :], strict=False)
    if front < 0 or min(shape, default=0) < 0 or any(a not in (1, b) for a, b in pairs):
        raise ShapeError(f"expand: shape {x.shape} does not expand to {tuple(shape)}")
    strides = [0] * front
    for size, stride, wanted in zip(x.shape, x.strides, shape[front:], strict=True):
        strides.append(stride if size == wanted else 0)
    return ViewPlan(x, tuple(shape), tuple(strides))


def _expand_vjp(call: Any, ctx: Any, needs: Any, g: Any) -> tuple[Any, ...]:
    return (call("sum_to", g, shape=ctx.shapes[0]),)


def _expand_samples() -> Iterator[Sample]:
    yield Sample((grid(2, 1, 3),), {"shape": (4, 2, 5, 3)})
    yield Sample((np.array(1.5),), {"shape": (2, 3)})
    yield Sample((grid(1, 3),), {"shape": (0, 3)})
    yield Sample((grid(2, 3),), {"shape": (2, 3)})


def _expand_errors() -> Iterator[ErrorCase]:
    match = r"expand: shape \(2, 3\) does not expand to \(3,\)"
    yield ErrorCase((grid(2, 3),), {"shape": (3,)}, ShapeError, match)
    yield ErrorCase((grid(2, 3),), {"shape": (4, 3)}, ShapeError, "does not expand")


EXPAND = register(
    planned(
        "expand",
        _expand_plan,
        vjp=_expand_vjp,
        samples=_expand_samples,
        errors=_expand_errors,
        reference=np.broadcast_to,
        view=True,
    )
)

# ---- slice ----


def window(x: Array, starts: Ints, sizes: Ints, steps: Ints, drop: Ints) -> Array:
    """The part of x that a slice shows, without the axes in `drop`."""
    offset = x.offset
    shape, strides = [], []
    for i in range(x.ndim):
        offset += starts[i] * x.strides[i] if sizes[i] else 0
        if i not in drop:
            shape.append(sizes[i])
            strides.append(x.strides[i] * steps[i])
    return x.view(tuple(shape), tuple(strides), offset)


def _check_window(
    name: str, old: Ints, starts: Ints, sizes: Ints, steps: Ints, drop: Ints
) -> None:
    if not len(starts) == len(sizes) == len(steps) == len(old):
        raise ShapeError(
            f"{name}: starts, sizes and steps need one entry for each axis of shape "
            f"{old}, got {starts}, {sizes}, {steps}"
        )
    for i, n in enumerate(old):
        last = starts[i] + (sizes[i] - 1) * steps[i]
        inside = 0 <= starts[i] <= n and steps[i] > 0 and sizes[i] >= 0
        if not inside or (sizes[i] and last >= n) or (i in drop and sizes[i] != 1):
            raise ShapeError(
                f"{name}: start {starts[i]}, size {sizes[i]} and step {steps[i]} do "
                f"not fit axis {i} of shape {old}"
            )


def _slice_plan(
    x: Array, starts: Ints, sizes: Ints, steps: Ints, drop: Ints = ()
) -> Plan:
    _check_window("slice", x.shape, starts, sizes, steps, drop)
    view = window(x, starts, sizes, steps, drop)
    plan = ViewPlan(x, view.shape, view.strides, view.offset - x.offset)
    strides = empty_strides_like(x.shape, x.strides)
    if strides != contiguous_strides(x.shape):
        plan.info = {"strides": strides}
    return plan


def _slice_vjp(call: Any, ctx: Any, needs: Any, g: Any) -> tuple[Any, ...]:
    # what made the array mostly wants its gradient to lie as the array does
    layout = ctx.info or {}
    shape = ctx.shapes[0]
    return (call("slice_scatter", None, g, shape=shape, **layout, **ctx.attrs),)


def _slice_reference(
    x: np.ndarray[Any, Any], starts: Ints, sizes: Ints, steps: Ints, drop: Ints = ()
) -> Any:
    parts = zip(starts, sizes, steps, strict=True)
    view = x[tuple(slice(at, at + n * step, step) for at, n, step in parts)]
    return view.reshape([n for i, n in enumerate(sizes) if i not in drop])


def _slice_samples() -> Iterator[Sample]:
    x = grid(3, 4, 5)
    yield Sample((x,), {"starts": (1, 0, 1), "sizes": (2, 1, 2), "steps": (1, 1, 3)})
    yield Sample(
        (x,),
        {"starts": (2, 0, 4), "sizes": (1, 4, 1), "steps": (1, 1, 1), "drop": (0, 2)},
    )
    yield Sample((x,), {"starts": (3, 0, 0), "sizes": (0, 4, 5), "steps": (1, 1, 1)})
    yield Sample((np.array(1.5),), {"starts": (), "sizes": (), "steps": ()})


def _slice_errors() -> Iterator[ErrorCase]:
    attrs = {"starts": (1,), "sizes": (2,), "steps": (2,)}
    yield ErrorCase((grid(3),), attrs, ShapeError, "do not fit axis 0")
    yield ErrorCase((grid(3, 1),), attrs, ShapeError, "one entry for each axis")


SLICE = register(
    planned(
        "slice",
        _slice_plan,
        vjp=_slice_vjp,
        samples=_slice_samples,
        errors=_slice_errors,
        reference=_slice_reference,
        view=True,
    )
)


def _slice_scatter_rule(
    x: Array | None,
    v: Array,
    shape: Ints,
    starts: Ints,
    sizes: Ints,
    steps: Ints,
    drop: Ints = (),
    strides: Ints | None = None,
) -> tuple[Spec, ...]:
    _check_window("slice_scatter", shape, starts, sizes, steps, drop)
    wanted = tuple(n for i, n in enumerate(sizes) if i not in drop)
    if v.shape != wanted or (x is not None and x.shape != tuple(shape)):
        raise ShapeError(
            f"slice_scatter: expected a part of shape {wanted} for shape "
            f"{tuple(shape)}, got {v.shape}" + ("" if x is None else f" for {x.shape}")
        )
    return (Spec(tuple(shape), v.dtype),)


def _slice_scatter_forward(
    ctx: Any,
    needs: Any,
    x: Array | None,
    v: Array,
    shape: Ints,
    starts: Ints,
    sizes: Ints,
    steps: Ints,
    drop: Ints = (),
    strides: Ints | None = None,
) -> Array:
    out: Array
    if x is None:
        out = filled(ctx.empty(tuple(shape), v.dtype, strides), 0)
    else:
        out = copied(x, ctx.empty_like(x))
    copied(v, window(out, starts, sizes, steps, drop))
    return out


def _slice_scatter_vjp(call: Any, ctx: Any, needs: Any, g: Any) -> tuple[Any, ...]:
    where = {k: v for k, v in ctx.attrs.items() if k not in ("shape", "strides")}
    gx = gv = None
    if needs[0]:
        zeros = call("full", shape=ctx.shapes[1], value=0.0, dtype=ctx.dtypes[1])
        gx = call("slice_scatter", g, zeros, **ctx.attrs)
    if needs[1]:
        gv = call("slice", g, **where)
    return gx, gv


def _slice_scatter_reference(
    x: np.ndarray[Any, Any] | None,
    v: np.ndarray[Any, Any],
    shape: Ints,
    starts: Ints,
    sizes: Ints,
    steps: Ints,
    drop: Ints = (),
    strides: Ints | None = None,
) -> Any:
    out = np.zeros(shape, v.dtype) if x is None else x.copy()
    parts = zip(starts, sizes, steps, strict=True)
    key = tuple(slice(at, at + n * step, step) for at, n, step in parts)
    out[key] = v.reshape(sizes)
    return out


def _slice_scatter_samples() -> Iterator[Sample]:
    attrs = {"shape": (3, 4), "starts": (1, 0), "sizes": (1, 2), "steps": (1, 3)}
    yield Sample((None, grid(1, 2)), attrs)
    yield Sample((None, grid(1, 2)), {**attrs, "strides": (1, 3)})
    yield Sample((grid(3, 4), -grid(2)), {**attrs, "drop": (0,)})


def _slice_scatter_errors() -> Iterator[ErrorCase]:
    attrs = {"shape": (3, 4), "starts": (1, 0), "sizes": (1, 2), "steps": (1, 3)}
    match = r"slice_scatter: expected a part of shape \(1, 2\)"
    yield ErrorCase((None, grid(2)), attrs, ShapeError, match)
    yield ErrorCase((grid(3), grid(1, 2)), attrs, ShapeError, match)


SLICE_SCATTER = register(
    Op(
        name="slice_scatter",
        rule=_slice_scatter_rule,
        forward=_slice_scatter_forward,
        vjp=_slice_scatter_vjp,
        samples=_slice_scatter_samples,
        errors=_slice_scatter_errors,
        reference=_slice_scatter_reference,
    )
)

# ---- split, unbind: several views of one array ----


def along(ndim: int, shape: Ints, dim: int, start: int, size: int) -> dict[str, Ints]:
    """The attributes of a slice along one axis."""
    starts = tuple(start if i == dim else 0 for i in range(ndim))
    sizes = tuple(size if i == dim else n for i, n in enumerate(shape))
    return {"starts": starts, "sizes": sizes, "steps": (1,) * ndim}


def _split_rule(x: Array, sizes: Ints, dim: int) -> tuple[Spec, ...]:
    if not x.ndim:
        raise ShapeError("split: expected at least one axis, got shape ()")
    axis = normalize_axis("split", dim, x.ndim, x.shape)
    if min(sizes, default=0) < 0 or sum(sizes) != x.shape[axis] or not sizes:
        raise ShapeError(
            f"split: expected sizes that add up to {x.shape[axis]} (axis {axis} of "
            f"shape {x.shape}), got {tuple(sizes)}"
        )
    return tuple(
        Spec((*x.shape[:axis], n, *x.shape[axis + 1 :]), x.dtype) for n in sizes
    )


def _split_forward(
    ctx: Any, needs: Any, x: Array, sizes: Ints, dim: int
) -> tuple[Array, ...]:
    axis = dim % x.ndim
    views = []
    start = 0
    for n in sizes:
        views.append(window(x, **along(x.ndim, x.shape, axis, start, n), drop=()))
        start += n
    return tuple(views)


def _split_vjp(call: Any, ctx: Any, needs: Any, *grads: Any) -> tuple[Any, ...]:
    shape, dtype = ctx.shapes[0], ctx.dtypes[0]
    axis = ctx.attrs["dim"] % len(shape)
    parts = []
    for g, n in zip(grads, ctx.attrs["sizes"], strict=True):
        if g is None:
            zeros = (*shape[:axis], n, *shape[axis + 1 :])
            g = call("full", shape=zeros, value=0.0, dtype=dtype)
        parts.append(g)
    return (call("cat", *parts, dim=axis),)


def _split_reference(x: np.ndarray[Any, Any], sizes: Ints, dim: int) -> Any:
    return tuple(np.split(x, np.cumsum(sizes)[:-1], dim))


def _split_samples() -> Iterator[Sample]:
    yield Sample((grid(2, 5),), {"sizes": (2, 0, 3), "dim": 1})
    yield Sample((grid(4, 2),), {"sizes": (4,), "dim": -2})
    yield Sample((np.zeros((0, 2)),), {"sizes": (0, 0), "dim": 0})


def _split_errors() -> Iterator[ErrorCase]:
    attrs = {"sizes": (1, 2), "dim": 1}
    yield ErrorCase(
        (grid(2, 5),), attrs, ShapeError, "split: expected sizes that add up to 5"
    )
    yield ErrorCase(
        (np.array(1.0),), attrs, ShapeError, "split: expected at least one axis"
    )


SPLIT = register(
    Op(
        name="split",
        rule=_split_rule,
        forward=_split_forward,
        vjp=_split_vjp,
        samples=_split_samples,
        errors=_split_errors,
        reference=_split_reference,
        view=True,
    )
)


def _unbind_rule(x: Array, dim: int) -> tuple[Spec, ...]:
    if not x.ndim:
        raise ShapeError("unbind: expected at least one axis, got shape ()")
    axis = normalize_axis("unbind", dim, x.ndim, x.shape)
    shape = (*x.shape[:axis], *x.shape[axis + 1 :])
    return (Spec(shape, x.dtype),) * x.shape[axis]


def _unbind_forward(ctx: Any, needs: Any, x: Array, dim: int) -> tuple[Array, ...]:
    axis = dim % x.ndim
    return tuple(
        window(x, **along(x.ndim, x.shape, axis, i, 1), drop=(axis,))
        for i in range(x.shape[axis])
    )


def _unbind_vjp(call: Any, ctx: Any, needs: Any, *grads: Any) -> tuple[Any, ...]:
    shape, dtype = ctx.shapes[0], ctx.dtypes[0]
    axis = ctx.attrs["dim"] % len(shape)
    part = (*shape[:axis], *shape[axis + 1 :])
    parts = [
        call("full", shape=part, value=0.0, dtype=dtype) if g is None else g
        for g in grads
    ]
    return (call("stack", *parts, dim=axis),)


def _unbind_reference(x: np.ndarray[Any, Any], dim: int) -> Any:
    return tuple(np.moveaxis(x, dim, 0))


def _unbind_samples() -> Iterator[Sample]:
    yield Sample((grid(2, 3),), {"dim": 0})
    yield Sample((grid(2, 3, 2),), {"dim": -1})
    yield Sample((grid(3),), {"dim": 0})


def _unbind_errors() -> Iterator[ErrorCase]:
    yield ErrorCase((grid(2),), {"dim": 1}, IndexError, "unbind: dim must be")
    yield ErrorCase(
        (np.array(1.0),), {"dim": 0}, ShapeError, "unbind: expected at least"
    )


UNBIND = register(
    Op(
        name="unbind",
        rule=_unbind_rule,
        forward=_unbind_forward,
        vjp=_unbind_vjp,
        samples=_unbind_samples,
        errors=_unbind_errors,
        reference=_unbind_reference,
        view=True,
    )
)

# ---- diagonals ----


def _diagonal_geometry(
    name: str, shape: Ints, offset: int, dim1: int, dim2: int
) -> tuple[int, int, int, int, int]:
    """The two axes, the first element on each, and the length of a diagonal."""
    i = normalize_axis(name, dim1, len(shape), shape)
    j = normalize_axis(name, dim2, len(shape), shape)
    if len(shape) < 2 or i == j:
        raise ShapeError(
            f"{name}: expected two different axes, got dim1={dim1}, dim2={dim2} "
            f"(shape {shape})"
        )
    row, column = max(-offset, 0), max(offset, 0)
    return i, j, row, column, max(min(shape[i] - row, shape[j] - column), 0)


def _diagonal_shape(name: str, shape: Ints, offset: int, dim1: int, dim2: int) -> Ints:
    i, j, _, _, size = _diagonal_geometry(name, shape, offset, dim1, dim2)
    return (*(n for k, n in enumerate(shape) if k not in (i, j)), size)


def _diagonal_view(x: Array, offset: int, dim1: int, dim2: int) -> Array:
    i, j, row, column, size = _diagonal_geometry(
        "diagonal", x.shape, offset, dim1, dim2
    )
    kept = [k for k in range(x.ndim) if k not in (i, j)]
    start = row * x.strides[i] + column * x.strides[j] if size else 0
    strides = (*(x.strides[k] for k in kept), x.strides[i] + x.strides[j])
    return x.view((*(x.shape[k] for k in kept), size), strides, x.offset + start)


def _diagonal_rule(
    x: Array, offset: int = 0, dim1: int = 0, dim2: int = 1
) -> tuple[Spec, ...]:
    return (Spec(_diagonal_shape("diagonal", x.shape, offset, dim1, dim2), x.dtype),)


def _diagonal_forward(
    ctx: Any, needs: Any, x: Array, offset: int = 0, dim1: int = 0, dim2: int = 1
) -> Array:
    return _diagonal_view(x, offset, dim1, dim2)


def _diagonal_vjp(call: Any, ctx: Any, needs: Any, g: Any) -> tuple[Any, ...]:
    return (call("diagonal_scatter", g, shape=ctx.shapes[0], **ctx.attrs),)


def _diagonal_reference(
    x: np.ndarray[Any, Any], offset: int = 0, dim1: int = 0, dim2: int = 1
) -> Any:
    return np.diagonal(x, offset, dim1, dim2)


_DIAGONALS: tuple[dict[str, int], ...] = (
    {},
    {"offset": 1},
    {"offset": -2, "dim1": 1, "dim2": 0},
    {"offset": 9},
)


def _diagonal_samples() -> Iterator[Sample]:
    for attrs in _DIAGONALS:
        yield Sample((grid(3, 4),), attrs)
    yield Sample((grid(3, 2, 2),), {"dim1": -1, "dim2": 0})
    yield Sample((np.zeros((0, 2)),))


def _diagonal_errors() -> Iterator[ErrorCase]:
    match = "diagonal: expected two different axes"
    yield ErrorCase((grid(2, 2),), {"dim1": 1}, ShapeError, match)
    yield ErrorCase((grid(2, 2),), {"dim1": 2}, IndexError, "diagonal: dim must be")


DIAGONAL = register(
    Op(
        name="diagonal",
        rule=_diagonal_rule,
        forward=_diagonal_forward,
        vjp=_diagonal_vjp,
        samples=_diagonal_samples,
        errors=_diagonal_errors,
        reference=_diagonal_reference,
        view=True,
    )
)


def _diagonal_scatter_rule(
    v: Array, shape: Ints, offset: int = 0, dim1: int = 0, dim2: int = 1
) -> tuple[Spec, ...]:
    wanted = _diagonal_shape("diagonal_scatter", tuple(shape), offset, dim1, dim2)
    if v.shape != wanted:
        raise ShapeError(
            f"diagonal_scatter: expected shape {wanted} for the diagonal of "
            f"{tuple(shape)}, got {v.shape}"
        )
    return (Spec(tuple(shape), v.dtype),)


def _diagonal_scatter_forward(
    ctx: Any,
    needs: Any,
    v: Array,
    shape: Ints,
    offset: int = 0,
    dim1: int = 0,
    dim2: int = 1,
) -> Array:
    out = filled(ctx.empty(tuple(shape), v.dtype), 0)
    copied(v, _diagonal_view(out, offset, dim1, dim2))
    return out


def _diagonal_scatter_vjp(call: Any, ctx: Any, needs: Any, g: Any) -> tuple[Any, ...]:
    where = {k: v for k, v in ctx.attrs.items() if k != "shape"}
    return (call("diagonal", g, **where),)


def _diagonal_scatter_reference(
    v: np.ndarray[Any, Any], shape: Ints, offset: int = 0, dim1: int = 0, dim2: int = 1
) -> Any:
    out = np.zeros(shape, v.dtype)
    diagonal = np.diagonal(out, offset, dim1, dim2)
    diagonal.flags.writeable = True
    diagonal[...] = v
    return out


def _diagonal_scatter_samples() -> Iterator[Sample]:
    for attrs in _DIAGONALS:
        size = _diagonal_geometry(
            "",
            (3, 4),
            attrs.get("offset", 0),
            attrs.get("dim1", 0),
            attrs.get("dim2", 1),
        )[-1]
        yield Sample((grid(size),), {"shape": (3, 4), **attrs})
    yield Sample((grid(2, 2),), {"shape": (3, 2, 2), "dim1": -1, "dim2": 0})


def _diagonal_scatter_errors() -> Iterator[ErrorCase]:
    match = r"diagonal_scatter: expected shape \(2,\) for the diagonal"
    yield ErrorCase((grid(3),), {"shape": (2, 2)}, ShapeError, match)


DIAGONAL_SCATTER = register(
    Op(
        name="diagonal_scatter",
        rule=_diagonal_scatter_rule,
        forward=_diagonal_scatter_forward,
        vjp=_diagonal_scatter_vjp,
        samples=_diagonal_scatter_samples,
        errors=_diagonal_scatter_errors,
        reference=_diagonal_scatter_reference,
    )
)

# ---- unfold: windows along one axis ----


def _unfold_rule(x: Array, dim: int, size: int, step: int) -> tuple[Spec, ...]:
    axis = normalize_axis("unfold", dim, x.ndim, x.shape)
    n = x.shape[axis] if x.ndim else 1
    if not 0 <= size <= n or step < 1:
        raise ShapeError(
            f"unfold: windows of {size} every {step} do not fit axis {axis} of shape "
            f"{x.shape}"
        )
    if not x.ndim:
        return (Spec((size,), x.dtype),)
    shape = list(x.shape)
    shape[axis] = (n - size) // step + 1
    return (Spec((*shape, size), x.dtype),)


def _unfold_forward(
    ctx: Any, needs: Any, x: Array, dim: int, size: int, step: int
) -> Array:
    if not x.ndim:
        return x.view((size,), (1,))
    axis = dim % x.ndim
    shape, strides = list(x.shape), list(x.strides)
    shape[axis] = (x.shape[axis] - size) // step + 1
    strides[axis] *= step
    return x.view((*shape, size), (*strides, x.strides[axis]))


def _unfold_vjp(call: Any, ctx: Any, needs: Any, g: Any) -> tuple[Any, ...]:
    shape = ctx.shapes[0]
    if not shape:
        return (call("sum", g, dim=(0,), keepdim=False),)
    axis = ctx.attrs["dim"] % len(shape)
    step = ctx.attrs["step"]
    return (call("overlap_add", g, dim=axis, step=step, length=shape[axis]),)


def _unfold_reference(x: np.ndarray[Any, Any], dim: int, size: int, step: int) -> Any:
    windows = np.lib.stride_tricks.sliding_window_view(x, size, dim)
    key = [slice(None)] * windows.ndim
    key[dim % x.ndim] = slice(None, None, step)
    return windows[tuple(key)]


def _unfold_samples() -> Iterator[Sample]:
    yield Sample((grid(7, 2),), {"dim": 0, "size": 3, "step": 2})
    yield Sample((grid(2, 5),), {"dim": -1, "size": 2, "step": 1})


def _unfold_errors() -> Iterator[ErrorCase]:
    attrs = {"dim": 0, "size": 4, "step": 1}
    yield ErrorCase((grid(3),), attrs, ShapeError, "unfold: windows of 4 every 1")


UNFOLD = register(
    Op(
        name="unfold",
        rule=_unfold_rule,
        forward=_unfold_forward,
        vjp=_unfold_vjp,
        samples=_unfold_samples,
        errors=_unfold_errors,
        reference=_unfold_reference,
        view=True,
    )
)
