"""Images and volumes read at the places of a grid."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from math import prod
from typing import Any

import numpy as np

from pyautodl.backends import Array, channels_last_strides, run
from pyautodl.backends.codes import (
    PADDING_BORDER,
    PADDING_REFLECTION,
    PADDING_ZEROS,
    SAMPLE_CUBIC,
    SAMPLE_LINEAR,
    SAMPLE_NEAREST,
    SAMPLE_TURNS,
)
from pyautodl.backends.dtypes import FLOATING, int64
from pyautodl.errors import DTypeError, ShapeError
from pyautodl.ops.layout import ensure_channels_last, ensure_contiguous
from pyautodl.ops.record import ErrorCase, Op, Sample, Spec, register

__all__ = ["GRID_SAMPLE", "GRID_SAMPLE_GRAD"]

Ints = tuple[int, ...]

_MODES = {"bilinear": SAMPLE_LINEAR, "nearest": SAMPLE_NEAREST, "bicubic": SAMPLE_CUBIC}
_PADDINGS = {
    "zeros": PADDING_ZEROS,
    "border": PADDING_BORDER,
    "reflection": PADDING_REFLECTION,
}
# the kernels count the numbers of an image in 32 bits
_MOST = 2**31 - 1
# the cubic's slope at its first zero
_BEND = -0.75


def _check(x: Array, grid: Array, mode: str, padding_mode: str) -> None:
    for name, value, known in (
        ("mode", mode, _MODES),
        ("padding_mode", padding_mode, _PADDINGS),
    ):
        if value not in known:
            raise ValueError(
                f"grid_sample: {name} must be one of {', '.join(known)}, got {value!r}"
            )
    axes = x.ndim - 2
    if (
        axes not in (2, 3)
        or grid.ndim != x.ndim
        or grid.shape[0] != x.shape[0]
        or grid.shape[-1] != axes
        or 0 in x.shape[2:]
    ):
        raise ShapeError(
            "grid_sample: expected images (n, c, h, w) and a grid (n, oh, ow, 2), or "
            f"volumes and (n, od, oh, ow, 3), got {x.shape} and {grid.shape}"
        )
    if prod(x.shape[1:]) > _MOST:
        raise ShapeError(
            f"grid_sample: expected images of at most {_MOST} numbers, got {x.shape}; "
            "likely fix: fewer channels at a time"
        )
    if mode == "bicubic" and axes == 3:
        raise ShapeError(
            f"grid_sample: mode 'bicubic' is for images (n, c, h, w), got {x.shape}; "
            "likely fix: 'bilinear'"
        )
    if x.dtype.category != FLOATING or grid.dtype is not x.dtype:
        raise DTypeError(
            "grid_sample: expected images and a grid of one floating type, got "
            f"{x.dtype.name} and {grid.dtype.name}; likely fix: .float() on one of them"
        )


def _shape(x: Array, grid: Array) -> Ints:
    return (*x.shape[:2], *grid.shape[1:-1])


def _numbers(mode: str, padding_mode: str, align_corners: bool) -> Ints:
    """What the kernels get."""
    return _MODES[mode], _PADDINGS[padding_mode], int(align_corners)


def _rule(
    x: Array, grid: Array, mode: str, padding_mode: str, align_corners: bool
) -> tuple[Spec, ...]:
    _check(x, grid, mode, padding_mode)
    return (Spec(_shape(x, grid), x.dtype),)


def _forward(
    ctx: Any, needs: Sequence[bool], x: Array, grid: Array, **attrs: Any
) -> Array:
    shape = _shape(x, grid)
    x, grid = ensure_channels_last(ctx, x), ensure_contiguous(ctx, grid)
    y: Array = ctx.empty(shape, x.dtype, channels_last_strides(shape))
    run("grid_sample_fwd", (x, grid), (y,), _numbers(**attrs))
    if any(needs):
        ctx.save(x, grid)
    return y


def _vjp(call: Any, ctx: Any, needs: Any, g: Any) -> tuple[Any, ...]:
    wanted = tuple(needs)
    found = call("grid_sample_grad", g, *ctx.saved, wanted=wanted, **ctx.attrs)
    each = iter(found if isinstance(found, tuple) else (found,))
    return tuple([next(each) if want else None for want in wanted])


def _grad_rule(
    g: Array, x: Array, grid: Array, wanted: tuple[bool, bool], **attrs: Any
) -> tuple[Spec, ...]:
    _check(x, grid, attrs["mode"], attrs["padding_mode"])
    if g.shape != _shape(x, grid) or g.dtype is not x.dtype:
        raise ShapeError(
            f"grid_sample_grad: expected a gradient {_shape(x, grid)} of {x.dtype.name}, "
            f"got {g.shape} of {g.dtype.name}"
        )
    return tuple([Spec(a.shape, a.dtype) for a, want in zip((x, grid), wanted) if want])


def _grad_forward(
    ctx: Any,
    needs: Sequence[bool],
    g: Array,
    x: Array,
    grid: Array,
    wanted: tuple[bool, bool],
    **attrs: Any,
) -> Any:
    x, grid = ensure_channels_last(ctx, x), ensure_contiguous(ctx, grid)
    outputs = [
        ctx.empty(x.shape, x.dtype, channels_last_strides(x.shape))
        if wanted[0]
        else None,
        ctx.empty(grid.shape, grid.dtype) if wanted[1] else None,
    ]
    reads = (ensure_channels_last(ctx, g), x, grid)
    run("grid_sample_bwd", reads, outputs, _numbers(**attrs))
    found = tuple([each for each in outputs if each is not None])
    return found if len(found) != 1 else found[0]


# ---- the same by plain ops ----


def _composition(
    call: Any, x: Any, grid: Any, mode: str, padding_mode: str, align_corners: bool
) -> Any:
    n, c, *spatial = x.shape
    axes, pixels = len(spatial), prod(grid.shape[1:-1])
    how = mode, padding_mode, align_corners
    lines = call("unbind", call("reshape", grid, shape=(n, pixels, axes)), dim=2)
    sides = [
        _sides(call, line, size, *how) for line, size in zip(lines, reversed(spatial))
    ]
    # a row for each pixel, as images with channels last lie
    rows = call("permute", x, dims=(0, *range(2, axes + 2), 1))
    rows = call("reshape", rows, shape=(n, prod(spatial), c))
    out = None
    for corner in product(*sides):
        index, weight, step = 0, 1.0, 1
        for (pixel, part), size in zip(corner, reversed(spatial)):
            index = call("add", call("mul", pixel, step), index)
            weight = call("mul", part, weight)
            step *= size
        index = call("cast", index, dtype=int64)
        index = call("reshape", index, shape=(n, pixels, 1))
        index = call("expand", index, shape=(n, pixels, c))
        weight = call("reshape", weight, shape=(n, pixels, 1))
        term = call("mul", call("gather", rows, index, dim=1), weight)
        out = term if out is None else call("add", out, term)
    out = call("reshape", out, shape=(n, *grid.shape[1:-1], c))
    return call("permute", out, dims=(0, axes + 1, *range(1, axes + 1)))


def _sides(
    call: Any, line: Any, size: int, mode: str, padding_mode: str, align_corners: bool
) -> list[tuple[Any, Any]]:
    """The pixels beside numbers of the grid along one axis, as floats, and their weights,
    0 outside.
    """
    place = _places(call, line, size, mode, padding_mode, align_corners)
    if mode == "nearest":
        # no slope, yet a gradient: zeros
        weight = call("add", call("mul", place, 0.0), 1.0)
        return [_if_inside(call, call("round", place), weight, size)]
    first, sides = call("floor", place), []
    for step in (0.0, 1.0) if mode == "bilinear" else (-1.0, 0.0, 1.0, 2.0):
        pixel = call("add", first, step)
        if mode == "bicubic":
            weight = _cubic(call, place, first, step)
            pixel = _turned_pixel(call, pixel, size, padding_mode, align_corners)
        elif step:
            weight = call("sub", place, first)
        else:
            weight = call("add", call("sub", first, place), 1.0)
        sides.append(_if_inside(call, pixel, weight, size))
    return sides


def _if_inside(call: Any, pixel: Any, weight: Any, size: int) -> tuple[Any, Any]:
    inside = call("logical_and", call("ge", pixel, 0.0), call("lt", pixel, float(size)))
    return call("where", inside, pixel, 0.0), call("where", inside, weight, 0.0)


def _cubic(call: Any, place: Any, first: Any, step: float) -> Any:
    """The weight of the pixel `step` behind the first before a place."""
    d = call("sub", place, call("add", first, step))
    d = call("mul", d, 1.0 if step < 1 else -1.0)
    square = call("mul", d, d)
    if step in (0, 1):
        bent = call("add", call("mul", d, _BEND + 2), -(_BEND + 3))
        return call("add", call("mul", bent, square), 1.0)
    bent = call("mul", call("add", d, -5.0), square)
    line = call("add", call("mul", d, 8.0), -4.0)
    return call("mul", call("add", bent, line), _BEND)


def _places(
    call: Any, line: Any, size: int, mode: str, padding_mode: str, align_corners: bool
) -> Any:
    """Numbers from -1 to 1 as places in pixels, near the image or in it."""
    scale = (size - 1 if align_corners else size) / 2
    place = call("mul", call("add", line, 1.0), scale)
    if not align_corners:
        place = call("add", place, -0.5)
    if padding_mode == "reflection":
        low, span = (0.0, size - 1.0) if align_corners else (-0.5, float(size))
        place = _reflected(call, place, low, span)
    inside = mode != "bicubic" and padding_mode != "zeros"
    low, high = (0.0, size - 1.0) if inside else (-3.0, size + 2.0)
    # no slope where the border begins
    below = call("where", call("lt", place, high), place, high)
    return call("where", call("gt", place, low), below, low)


def _reflected(call: Any, place: Any, low: float, span: float) -> Any:
    if span == 0:
        return call("mul", place, 0.0)
    size = call("abs", call("add", place, -low))
    far = call("fmod", size, 2 * span)
    back = call("add", call("neg", far), 2 * span)
    far = call("where", call("gt", far, span), back, far)
    near = call("lt", size, 2 * span * SAMPLE_TURNS)
    return call("where", near, call("add", far, low), 0.0)


def _turned_pixel(
    call: Any, pixel: Any, size: int, padding_mode: str, align_corners: bool
) -> Any:
    """The pixels that stand for those outside."""
    if padding_mode == "zeros":
        return pixel
    if padding_mode == "border":
        return call("clamp", pixel, min=0.0, max=size - 1.0)
    period = float(max(2 * (size - align_corners), 1))
    turn = call("remainder", pixel, period)
    back = call("add", call("neg", turn), period - 1 + align_corners)
    return call("where", call("lt", turn, float(size)), turn, back)


# ---- samples ----


def _attrs(
    mode: str = "bilinear", padding_mode: str = "zeros", align_corners: bool = False
) -> dict[str, Any]:
    return {
        "mode": mode,
        "padding_mode": padding_mode,
        "align_corners": align_corners,
    }


def _inputs(*shape: int) -> tuple[Any, Any]:
    """Images, and a grid that points beyond them."""
    rng = np.random.default_rng(len(shape) + shape[1])
    axes = len(shape) - 2
    outputs = (3, 2) if axes == 2 else (1, 2, 2)
    grid = rng.uniform(-1.7, 1.7, (shape[0], *outputs, axes))
    return rng.normal(size=shape), grid


def _samples() -> Iterator[Sample]:
    for mode, padding_mode, align_corners in product(_MODES, _PADDINGS, (False, True)):
        attrs = _attrs(mode, padding_mode, align_corners)
        yield Sample(_inputs(2, 3, 5, 4), attrs)
        yield Sample(_inputs(1, 5, 1, 2), attrs)
        yield Sample(_inputs(2, 37, 6, 3), attrs, gradient=False)
        if mode != "bicubic":
            yield Sample(_inputs(1, 2, 3, 2, 4), attrs)
        # ties, borders, and what lies far outside or nowhere
        x, _ = _inputs(1, 2, 4, 4)
        line = [-9.0, -1.0, -0.75, -0.5, 0.0, 0.25, 1.0, 1e6, np.inf, -np.inf, np.nan]
        grid = np.stack(np.meshgrid(line, line), -1)[None]
        yield Sample((x, grid), attrs, gradient=False)
    yield Sample(_inputs(0, 2, 3, 3), _attrs())
    x, grid = _inputs(2, 2, 3, 3)
    yield Sample((x, grid[:, :0]), _attrs())
    yield Sample((x[:, :0], grid), _attrs())


def _errors() -> Iterator[ErrorCase]:
    x, grid = _inputs(1, 2, 3, 3)
    yield ErrorCase((x, grid[..., :1]), _attrs(), ShapeError, "expected images")
    yield ErrorCase((x[0], grid), _attrs(), ShapeError, "expected images")
    yield ErrorCase((x[:, :, :0], grid), _attrs(), ShapeError, "expected images")
    yield ErrorCase((x, grid), _attrs("linear"), ValueError, "mode must be one of")
    match = "padding_mode must be one of zeros"
    yield ErrorCase((x, grid), _attrs("nearest", "same"), ValueError, match)
    volumes = _inputs(1, 1, 2, 2, 2)
    yield ErrorCase(volumes, _attrs("bicubic"), ShapeError, "is for images")
    match = "one floating type"
    yield ErrorCase((x.astype(np.int64), grid), _attrs(), DTypeError, match)
    yield ErrorCase((x, grid.astype(np.float32)), _attrs(), DTypeError, match)


def _grad_samples() -> Iterator[Sample]:
    rng = np.random.default_rng(0)
    for (x, grid), attrs, *_ in _samples():
        g = rng.normal(size=(*x.shape[:2], *grid.shape[1:-1]))
        for wanted in ((True, True), (True, False), (False, True)):
            yield Sample((g, x, grid), {**attrs, "wanted": wanted}, gradient=False)


def _grad_errors() -> Iterator[ErrorCase]:
    x, grid = _inputs(1, 2, 3, 3)
    attrs = {**_attrs(), "wanted": (True, True)}
    yield ErrorCase((x, x, grid), attrs, ShapeError, "expected a gradient")


GRID_SAMPLE = register(
    Op(
        name="grid_sample",
        rule=_rule,
        forward=_forward,
        vjp=_vjp,
        composition=_composition,
        samples=_samples,
        errors=_errors,
    )
)

GRID_SAMPLE_GRAD = register(
    Op(
        name="grid_sample_grad",
        rule=_grad_rule,
        forward=_grad_forward,
        samples=_grad_samples,
        errors=_grad_errors,
        gradient_of="grid_sample",
    )
)
