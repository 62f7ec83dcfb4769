"""Ops that move elements without computing: copies, casts, views, joins."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any

import numpy as np

from pyautodl.backends import Array, channels_last_strides, empty_strides_like, run
from pyautodl.backends.dtypes import DType, float32, int64
from pyautodl.errors import DTypeError, ShapeError, describe
from pyautodl.ops.axes import normalize_axis
from pyautodl.ops.record import ErrorCase, Op, Sample, Spec, register
from pyautodl.ops.views import along, copied, filled, grid, window

__all__ = ["CAST", "CAT", "COPY", "FLIP", "PAD", "ROLL", "STACK", "TRI"]

Ints = tuple[int, ...]


def _same(x: Array, **attrs: Any) -> tuple[Spec, ...]:
    return (Spec(x.shape, x.dtype),)


# ---- copy, cast ----

LAYOUTS = ("preserve", "contiguous", "channels_last")


def _copy_rule(x: Array, layout: str = "preserve") -> tuple[Spec, ...]:
    if layout not in LAYOUTS:
        raise ValueError(f"copy: layout must be one of {LAYOUTS}, got {layout!r}")
    if layout == "channels_last" and x.ndim < 3:
        raise ShapeError(f"copy: channels_last needs (n, c, ...), got shape {x.shape}")
    return _same(x)


def _copy_forward(ctx: Any, needs: Any, x: Array, layout: str = "preserve") -> Array:
    if layout == "preserve":
        return copied(x, ctx.empty_like(x))
    strides = channels_last_strides(x.shape) if layout == "channels_last" else None
    return copied(x, ctx.empty(x.shape, x.dtype, strides))


def _copy_vjp(call: Any, ctx: Any, needs: Any, g: Any) -> tuple[Any, ...]:
    return (g,)


def _copy_reference(x: np.ndarray[Any, Any], layout: str = "preserve") -> Any:
    return x.copy()


def _copy_samples() -> Iterator[Sample]:
    yield Sample((grid(2, 3),))
    yield Sample((grid(2, 3, 2, 2),), {"layout": "channels_last"})
    yield Sample((grid(2, 3, 1).T,), {"layout": "contiguous"})
    yield Sample((np.array(1.5),))
    yield Sample((np.zeros((0, 3)),))
    yield Sample((grid(3, 40, 37),), {"layout": "channels_last"}, gradient=False)


def _copy_errors() -> Iterator[ErrorCase]:
    yield ErrorCase((grid(2),), {"layout": "odd"}, ValueError, "copy: layout must be")
    yield ErrorCase((grid(2),), {"layout": "channels_last"}, ShapeError, r"\(2,\)")


COPY = register(
    Op(
        name="copy",
        rule=_copy_rule,
        forward=_copy_forward,
        vjp=_copy_vjp,
        samples=_copy_samples,
        errors=_copy_errors,
        reference=_copy_reference,
    )
)


def _cast_rule(x: Array, dtype: DType) -> tuple[Spec, ...]:
    if not isinstance(dtype, DType):
        raise DTypeError(f"cast: dtype must be an element type, got {describe(dtype)}")
    return (Spec(x.shape, dtype),)


def _cast_forward(ctx: Any, needs: Any, x: Array, dtype: DType) -> Array:
    out: Array = ctx.empty(x.shape, dtype, empty_strides_like(x.shape, x.strides))
    run("copy" if x.dtype is dtype else "cast", (x,), (out,))
    return out


def _cast_vjp(call: Any, ctx: Any, needs: Any, g: Any) -> tuple[Any, ...]:
    source = ctx.dtypes[0]
    return (g if g.dtype is source else call("cast", g, dtype=source),)


def _cast_reference(x: np.ndarray[Any, Any], dtype: DType) -> Any:
    return x.astype(dtype.numpy)


def _cast_samples() -> Iterator[Sample]:
    x = np.array([[-2.7, -0.3, 0.0], [0.3, 2.7, 100.6]])
    yield Sample((x,), {"dtype": float32}, gradient=False)
    yield Sample((x,), {"dtype": int64}, gradient=False)
    yield Sample((np.array([-1, 0, 300]),), {"dtype": float32})
    yield Sample((np.zeros((2, 0)),), {"dtype": int64}, gradient=False)


def _cast_errors() -> Iterator[ErrorCase]:
    yield ErrorCase((grid(2),), {"dtype": "odd"}, DTypeError, "cast: dtype must be")


CAST = register(
    Op(
        name="cast",
        rule=_cast_rule,
        forward=_cast_forward,
        vjp=_cast_vjp,
        samples=_cast_samples,
        errors=_cast_errors,
        reference=_cast_reference,
    )
)

# ---- cat, stack ----


def _check_joined(name: str, xs: Sequence[Array], axis: int | None) -> None:
    """All arrays agree in type and in shape, except along `axis`."""
    first = xs[0]
    for x in xs[1:]:
        if x.dtype is not first.dtype:
            names = ", ".join(each.dtype.name for each in xs)
            raise DTypeError(f"{name}: expected one element type, got {names}")
        same = x.ndim == first.ndim and all(
            i == axis or x.shape[i] == n for i, n in enumerate(first.shape)
        )
        if not same:
            shapes = ", ".join(str(each.shape) for each in xs)
            but = "" if axis is None else f" but for axis {axis}"
            raise ShapeError(
                f"{name}: expected equal shapes{but}, got {shapes}{_join_fix(xs, axis)}"
            )


def _join_fix(xs: Sequence[Array], axis: int | None) -> str:
    """What else joins tensors whose shapes differ, of which `axis` may."""
    shapes = [x.shape for x in xs]
    axes = {len(shape) for shape in shapes}
    if len(axes) == 1:
        apart = [i for i, sizes in enumerate(zip(*shapes)) if len({*sizes}) > 1]
        if len(apart) == 1:
            what = f"cat(..., dim={apart[0]})"
            rest = "" if axes != {1} else ", or nn.utils.rnn.pad_sequence"
            return f"; likely fix: {what}{rest}"
        turned = next((s for s in shapes if s != shapes[0]), ())
        if axes == {2} and turned[::-1] == shapes[0]:
            return (
                f"; likely fix: .t() of {turned}, if its rows are the other's columns"
            )
        if math.prod(turned) == math.prod(shapes[0]) and len(shapes) == 2:
            return f"; likely fix: .reshape{shapes[0]} or .permute(...) of {turned}"
        if axis is not None:
            return (
                f"; likely fix: parts that differ on axes {apart} are joined along one of "
                "them alone: slice or pad the others to one size"
            )
    elif axis is not None and max(axes) - min(axes) == 1:
        few, many = min(shapes, key=len), max(shapes, key=len)
        if (*few[:axis], *few[axis:]) == (*many[:axis], *many[axis + 1 :]):
            return f"; likely fix: .unsqueeze({axis}) of {few}"
        for i in range(len(many)):
            if few == (*many[:i], *many[i + 1 :]):
                return f"; likely fix: cat(..., dim={i}) with .unsqueeze({i}) of {few}"
    return ""


def _cat_rule(*xs: Array, dim: int) -> tuple[Spec, ...]:
    if not xs:
        raise ShapeError("cat: expected at least one tensor")
    if not xs[0].ndim:
        raise ShapeError("cat: scalars can't be joined; use stack")
    axis = normalize_axis("cat", dim, xs[0].ndim, xs[0].shape)
    _check_joined("cat", xs, axis)
    shape = list(xs[0].shape)
    shape[axis] = sum(x.shape[axis] for x in xs)
    return (Spec(tuple(shape), xs[0].dtype),)


def _cat_forward(ctx: Any, needs: Any, *xs: Array, dim: int) -> Array:
    shape = list(xs[0].shape)
    axis = dim % len(shape)
    shape[axis] = sum(x.shape[axis] for x in xs)
    # what images lie in channels-last, their join does too
    images = len(shape) > 3 and all(x.is_channels_last() for x in xs)
    strides = channels_last_strides(tuple(shape)) if images else None
    out: Array = ctx.empty(tuple(shape), xs[0].dtype, strides)
    run("cat", (list(xs),), (out,), (axis,))
    return out


def _cat_vjp(call: Any, ctx: Any, needs: Any, g: Any) -> tuple[Any, ...]:
    shapes = ctx.shapes
    axis = ctx.attrs["dim"] % len(shapes[0])
    grads = []
    start = 0
    for need, shape in zip(needs, shapes, strict=True):
        part = along(len(shape), shape, axis, start, shape[axis])
        grads.append(call("slice", g, **part) if need else None)
        start += shape[axis]
    return tuple(grads)


def _cat_reference(*xs: np.ndarray[Any, Any], dim: int) -> Any:
    return np.concatenate(xs, dim)


def _cat_samples() -> Iterator[Sample]:
    yield Sample((grid(2, 3), -grid(2, 1), grid(2, 0)), {"dim": 1})
    yield Sample((grid(2, 3),), {"dim": 0})
    yield Sample((grid(1, 2, 2, 2), -grid(1, 3, 2, 2)), {"dim": -3})
    yield Sample((np.zeros((0, 2)), np.zeros((0, 2))), {"dim": 0})


def _cat_errors() -> Iterator[ErrorCase]:
    match = r"cat: expected equal shapes but for axis 0, got \(2, 3\), \(2, 4\)"
    yield ErrorCase((grid(2, 3), grid(2, 4)), {"dim": 0}, ShapeError, match)
    match = "cat: expected one element type, got float64, int64"
    yield ErrorCase((grid(2), np.arange(2)), {"dim": 0}, DTypeError, match)
    yield ErrorCase((grid(2),), {"dim": 1}, IndexError, "cat: dim must be")


CAT = register(
    Op(
        name="cat",
        rule=_cat_rule,
        forward=_cat_forward,
        vjp=_cat_vjp,
        samples=_cat_samples,
        errors=_cat_errors,
        reference=_cat_reference,
    )
)


def _stack_rule(*xs: Array, dim: int) -> tuple[Spec, ...]:
    if not xs:
        raise ShapeError("stack: expected at least one tensor")
    _check_joined("stack", xs, None)
    shape = xs[0].shape
    axis = normalize_axis("stack", dim, len(shape) + 1, shape)
    return (Spec((*shape[:axis], len(xs), *shape[axis:]), xs[0].dtype),)


def _stack_forward(ctx: Any, needs: Any, *xs: Array, dim: int) -> Array:
    shape = xs[0].shape
    axis = dim % (len(shape) + 1)
    out: Array = ctx.empty((*shape[:axis], len(xs), *shape[axis:]), xs[0].dtype)
    lifted = [
        x.view(
            (*shape[:axis], 1, *shape[axis:]), (*x.strides[:axis], 1, *x.strides[axis:])
        )
        for x in xs
    ]
    run("cat", (lifted,), (out,), (axis,))
    return out


def _stack_vjp(call: Any, ctx: Any, needs: Any, g: Any) -> tuple[Any, ...]:
    axis = ctx.attrs["dim"] % (len(ctx.shapes[0]) + 1)
    shape = g.shape
    return tuple(
        call("slice", g, **along(len(shape), shape, axis, i, 1), drop=(axis,))
        if need
        else None
        for i, need in enumerate(needs)
    )


def _stack_reference(*xs: np.ndarray[Any, Any], dim: int) -> Any:
    return np.stack(xs, dim)


def _stack_samples() -> Iterator[Sample]:
    yield Sample((grid(2, 3), -grid(2, 3)), {"dim": -2})
    yield Sample((np.array(1.0), np.array(2.0), np.array(3.0)), {"dim": 0})
    yield Sample((np.zeros((0, 2)),), {"dim": 2})


def _stack_errors() -> Iterator[ErrorCase]:
    match = r"stack: expected equal shapes, got \(2,\), \(3,\)"
    yield ErrorCase((grid(2), grid(3)), {"dim": 0}, ShapeError, match)
    yield ErrorCase((grid(2),), {"dim": 2}, IndexError, "stack: dim must be")


STACK = register(
    Op(
        name="stack",
        rule=_stack_rule,
        forward=_stack_forward,
        vjp=_stack_vjp,
        samples=_stack_samples,
        errors=_stack_errors,
        reference=_stack_reference,
    )
)

# ---- flip, roll ----


def _check_dims(name: str, x: Array, dims: Ints) -> Ints:
    axes = tuple(normalize_axis(name, dim, x.ndim, x.shape) for dim in dims)
    if len(set(axes)) != len(axes):
        raise ValueError(f"{name}: dims name an axis twice: {tuple(dims)}")
    return axes


def _flip_rule(x: Array, dims: Ints) -> tuple[Spec, ...]:
    _check_dims("flip", x, dims)
    return _same(x)


def _flip_forward(ctx: Any, needs: Any, x: Array, dims: Ints) -> Array:
    axes = _check_dims("flip", x, dims)
    offset, strides = x.offset, list(x.strides)
    for i in axes if x.ndim else ():
        offset += max(x.shape[i] - 1, 0) * x.strides[i]
        strides[i] = -x.strides[i]
    return copied(x.view(x.shape, tuple(strides), offset), ctx.empty_like(x))


def _flip_vjp(call: Any, ctx: Any, needs: Any, g: Any) -> tuple[Any, ...]:
    return (call("flip", g, dims=ctx.attrs["dims"]),)


def _flip_reference(x: np.ndarray[Any, Any], dims: Ints) -> Any:
    return np.flip(x, dims) if x.ndim else x


def _flip_samples() -> Iterator[Sample]:
    yield Sample((grid(2, 3),), {"dims": (1,)})
    yield Sample((grid(2, 3, 2),), {"dims": (0, -1)})
    yield Sample((np.zeros((0, 2)),), {"dims": (0,)})
    yield Sample((grid(2, 3),), {"dims": ()})


def _flip_errors() -> Iterator[ErrorCase]:
    yield ErrorCase(
        (grid(2),), {"dims": (0, -1)}, ValueError, "flip: dims name an axis"
    )
    yield ErrorCase((grid(2),), {"dims": (1,)}, IndexError, "flip: dim must be")


FLIP = register(
    Op(
        name="flip",
        rule=_flip_rule,
        forward=_flip_forward,
        vjp=_flip_vjp,
        samples=_flip_samples,
        errors=_flip_errors,
        reference=_flip_reference,
    )
)


def _roll_rule(x: Array, shifts: Ints, dims: Ints) -> tuple[Spec, ...]:
    if len(shifts) != len(dims):
        raise ShapeError(
            f"roll: shifts {tuple(shifts)} and dims {tuple(dims)} differ in length"
        )
    _check_dims("roll", x, dims)
    return _same(x)


def _roll_forward(ctx: Any, needs: Any, x: Array, shifts: Ints, dims: Ints) -> Array:
    out: Array = ctx.empty_like(x)
    # each rolled axis is two parts that change places: (start in x, start in out, size)
    parts: list[list[Ints]] = [[(0, 0, n)] for n in x.shape]
    for shift, dim in zip(shifts, dims if x.ndim else (), strict=False):
        n = x.shape[dim]
        by = shift % n if n else 0
        parts[dim % x.ndim] = [(0, by, n - by), (n - by, 0, by)] if by else [(0, 0, n)]
    steps = (1,) * x.ndim
    for part in product(*parts):
        sources, targets, sizes = zip(*part, strict=True) if part else ((), (), ())
        copied(
            window(x, sources, sizes, steps, ()),
            window(out, targets, sizes, steps, ()),
        )
    return out


def _roll_vjp(call: Any, ctx: Any, needs: Any, g: Any) -> tuple[Any, ...]:
    back = tuple(-shift for shift in ctx.attrs["shifts"])
    return (call("roll", g, shifts=back, dims=ctx.attrs["dims"]),)


def _roll_reference(x: np.ndarray[Any, Any], shifts: Ints, dims: Ints) -> Any:
    return np.roll(x, shifts, dims)


def _roll_samples() -> Iterator[Sample]:
    yield Sample((grid(2, 3),), {"shifts": (1,), "dims": (1,)})
    yield Sample((grid(4, 3),), {"shifts": (-5, 2), "dims": (0, -1)})
    yield Sample((np.zeros((0, 2)),), {"shifts": (1,), "dims": (0,)})


def _roll_errors() -> Iterator[ErrorCase]:
    attrs = {"shifts": (1, 2), "dims": (0,)}
    yield ErrorCase((grid(2),), attrs, ShapeError, "roll: shifts .* differ in length")


ROLL = register(
    Op(
        name="roll",
        rule=_roll_rule,
        forward=_roll_forward,
        vjp=_roll_vjp,
        samples=_roll_samples,
        errors=_roll_errors,
        reference=_roll_reference,
    )
)

# ---- pad with a constant ----


def _pad_rule(
    x: Array, before: Ints, after: Ints, value: float = 0.0
) -> tuple[Spec, ...]:
    if not len(before) == len(after) == x.ndim:
        raise ShapeError(f"pad: expected widths for each axis of shape {x.shape}, got "
                         f"{tuple(before)} and {tuple(after)}")  # fmt: skip
    shape = tuple(n + a + b for n, a, b in zip(x.shape, before, after, strict=True))
    # a negative width cuts, and can't cut what the other side would add
    cut = any(
        n + min(a, 0) + min(b, 0) < 0
        for n, a, b in zip(x.shape, before, after, strict=True)
    )
    if cut or min(shape, default=0) < 0:
        raise ShapeError(
            f"pad: widths {tuple(before)} and {tuple(after)} cut more than shape "
            f"{x.shape} has"
        )
    return (Spec(shape, x.dtype),)


def _pad_forward(
    ctx: Any, needs: Any, x: Array, before: Ints, after: Ints, value: float = 0.0
) -> Array:
    shape = tuple(n + a + b for n, a, b in zip(x.shape, before, after, strict=True))
    images = len(shape) > 3 and x.is_channels_last()
    strides = channels_last_strides(shape) if images else None
    out = filled(ctx.empty(shape, x.dtype, strides), value)
    sizes = tuple(
        n + min(a, 0) + min(b, 0)
        for n, a, b in zip(x.shape, before, after, strict=True)
    )
    steps = (1,) * x.ndim
    source = window(x, tuple(max(-a, 0) for a in before), sizes, steps, ())
    copied(source, window(out, tuple(max(a, 0) for a in before), sizes, steps, ()))
    return out


def _pad_vjp(call: Any, ctx: Any, needs: Any, g: Any) -> tuple[Any, ...]:
    before = tuple(-n for n in ctx.attrs["before"])
    after = tuple(-n for n in ctx.attrs["after"])
    return (call("pad", g, before=before, after=after),)


def _pad_reference(
    x: np.ndarray[Any, Any], before: Ints, after: Ints, value: float = 0.0
) -> Any:
    widths = [(max(a, 0), max(b, 0)) for a, b in zip(before, after, strict=True)]
    key = tuple(
        slice(max(-a, 0), n + min(b, 0))
        for n, a, b in zip(x.shape, before, after, strict=True)
    )
    return np.pad(x[key], widths, constant_values=value) if x.ndim else x.copy()


def _pad_samples() -> Iterator[Sample]:
    yield Sample((grid(2, 3),), {"before": (1, 0), "after": (0, 2), "value": 1.5})
    yield Sample((grid(3, 4),), {"before": (-1, 2), "after": (1, -3)})
    yield Sample((np.zeros((0, 2)),), {"before": (1, 0), "after": (0, 0)})
    yield Sample((grid(2),), {"before": (-1,), "after": (-1,)})


def _pad_errors() -> Iterator[ErrorCase]:
    attrs = {"before": (-2,), "after": (-1,)}
    yield ErrorCase((grid(2),), attrs, ShapeError, "pad: widths .* cut more than")
    yield ErrorCase(
        (grid(2, 2),), attrs, ShapeError, "pad: expected widths for each axis"
    )


PAD = register(
    Op(
        name="pad",
        rule=_pad_rule,
        forward=_pad_forward,
        vjp=_pad_vjp,
        samples=_pad_samples,
        errors=_pad_errors,
        reference=_pad_reference,
    )
)

# ---- triangles ----


def _tri_rule(x: Array, diagonal: int = 0, upper: bool = False) -> tuple[Spec, ...]:
    if x.ndim < 2:
        name = "triu" if upper else "tril"
        raise ShapeError(f"{name}: expected at least 2 axes, got shape {x.shape}")
    return _same(x)


def _tri_forward(
    ctx: Any, needs: Any, x: Array, diagonal: int = 0, upper: bool = False
) -> Array:
    out: Array = ctx.empty(x.shape, x.dtype)
    run("tri", (x,), (out,), (diagonal, int(upper)))
    return out


def _tri_vjp(call: Any, ctx: Any, needs: Any, g: Any) -> tuple[Any, ...]:
    return (call("tri", g, **ctx.attrs),)


def _tri_reference(
    x: np.ndarray[Any, Any], diagonal: int = 0, upper: bool = False
) -> np.ndarray[Any, Any]:
    return np.triu(x, diagonal) if upper else np.tril(x, diagonal)


def _tri_samples() -> Iterator[Sample]:
    for upper in (False, True):
        yield Sample((grid(3, 4),), {"upper": upper})
        yield Sample((grid(2, 4, 3),), {"diagonal": -1, "upper": upper})
        yield Sample((grid(2, 2),), {"diagonal": 7, "upper": upper})
        yield Sample((np.zeros((0, 3)),), {"upper": upper})


def _tri_errors() -> Iterator[ErrorCase]:
    yield ErrorCase((grid(2),), {}, ShapeError, "tril: expected at least 2 axes")
    yield ErrorCase(
        (grid(2),), {"upper": True}, ShapeError, "triu: expected at least 2"
    )


TRI = register(
    Op(
        name="tri",
        rule=_tri_rule,
        forward=_tri_forward,
        vjp=_tri_vjp,
        samples=_tri_samples,
        errors=_tri_errors,
        reference=_tri_reference,
    )
)
