"""NumPy meaning of the kernels that read images at the places of a grid."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np

from pyautodl.backends.codes import (
    PADDING_BORDER,
    PADDING_REFLECTION,
    PADDING_ZEROS,
    SAMPLE_CUBIC,
    SAMPLE_LINEAR,
    SAMPLE_NEAREST,
    SAMPLE_TURNS,
)

__all__ = ["grid_sample_bwd", "grid_sample_fwd"]

NDArray = np.ndarray[Any, Any]
# pixels of an axis, whether they are there, their weights, and the slopes of these
Side = tuple[NDArray, NDArray, NDArray, NDArray]

# the cubic's slope at its first zero
_BEND = -0.75


def _reflected(
    place: NDArray, size: int, align_corners: int
) -> tuple[NDArray, NDArray | float]:
    """Places turned back into the image, and the slopes of that."""
    low, span = (0.0, size - 1) if align_corners else (-0.5, size)
    if span == 0:
        return np.zeros_like(place), 0.0
    near = np.abs(place - low) / (2 * span) < SAMPLE_TURNS
    far = np.fmod(np.abs(np.where(near, place, low) - low), 2 * span)
    turned = far > span
    slope = np.where(place < low, -1, 1) * np.where(turned, -1, 1) * near
    found = np.where(turned, 2 * span - far, far) + low
    return np.where(near, found, 0).astype(place.dtype), slope


def _places(
    line: NDArray, size: int, mode: int, padding: int, align_corners: int
) -> tuple[NDArray, NDArray]:
    """Numbers from -1 to 1 as places in pixels, near the image or in it; the slopes."""
    scale = (size - 1) / 2 if align_corners else size / 2
    place = (line + 1) * scale - (0.0 if align_corners else 0.5)
    slope = np.full_like(place, scale)
    if padding == PADDING_REFLECTION:
        place, turned = _reflected(place, size, align_corners)
        slope *= turned
    inside = mode != SAMPLE_CUBIC and padding != PADDING_ZEROS
    low, high = (0, size - 1) if inside else (-3, size + 2)
    between = (place > low) & (place < high)
    outer = np.where(place >= high, high, low).astype(place.dtype)
    return np.where(between, place, outer), np.where(between, slope, 0)


def _cubic(d: NDArray) -> tuple[NDArray, NDArray]:
    """The weight at a distance and its slope."""
    size = np.abs(d)
    near = ((_BEND + 2) * size - (_BEND + 3)) * size * size + 1
    far = (((size - 5) * size + 8) * size - 4) * _BEND
    near_slope = (3 * (_BEND + 2) * size - 2 * (_BEND + 3)) * size
    far_slope = ((3 * size - 10) * size + 8) * _BEND
    is_near = size <= 1
    slope = np.where(is_near, near_slope, far_slope) * np.sign(d)
    return np.where(is_near, near, far), slope


def _inside(
    pixel: NDArray, size: int, mode: int, padding: int, align_corners: int
) -> NDArray:
    """The pixels that stand for those outside."""
    if mode != SAMPLE_CUBIC or padding == PADDING_ZEROS:
        return pixel
    if padding == PADDING_BORDER:
        return pixel.clip(0, size - 1)
    period = max(2 * (size - align_corners), 1)
    turn = pixel % period
    return np.where(turn < size, turn, period - 1 + align_corners - turn)


def _sides(
    line: NDArray, size: int, mode: int, padding: int, align_corners: int
) -> Iterator[Side]:
    """What numbers of the grid read along one axis."""
    place, along = _places(line, size, mode, padding, align_corners)
    first = np.floor(place)
    steps = {SAMPLE_NEAREST: (0,), SAMPLE_LINEAR: (0, 1), SAMPLE_CUBIC: (-1, 0, 1, 2)}
    for step in steps[mode]:
        if mode == SAMPLE_NEAREST:
            at, weight, slope = (
                np.rint(place),
                np.ones_like(place),
                np.zeros_like(place),
            )
        elif mode == SAMPLE_LINEAR:
            at, part = first + step, place - first
            weight, slope = (part, along) if step else (1 - part, -along)
        else:
            at = first + step
            weight, slope = _cubic(place - at)
            slope = slope * along
        pixel = _inside(at.astype(np.int64), size, mode, padding, align_corners)
        there = (pixel >= 0) & (pixel < size)
        yield np.where(there, pixel, 0), there, weight, slope


def _taps(
    shape: tuple[int, ...], grid: NDArray, how: tuple[int, ...]
) -> Iterator[tuple[Any, NDArray, NDArray, list[NDArray]]]:
    """For each combination of pixels: an index into images with channels last, whether
    they are there, their weights, and the slopes of these by each of the grid's numbers.
    """
    axes = len(shape) - 2
    first = np.arange(shape[0]).reshape(-1, *(1,) * axes)
    lines = [list(_sides(grid[..., k], shape[-1 - k], *how)) for k in range(axes)]
    for sides in product(*lines):
        index = (first, *[pixel for pixel, *_ in reversed(sides)])
        there = np.logical_and.reduce([each[1] for each in sides])
        weights = [weight for _, _, weight, _ in sides]
        slopes = []
        for k in range(axes):
            others = [*weights[:k], sides[k][3], *weights[k + 1 :]]
            slopes.append(np.prod(others, axis=0))
        yield index, there, np.prod(weights, axis=0), slopes


def grid_sample_fwd(x: NDArray, grid: NDArray, y: NDArray, *how: int) -> None:
    """A weighted sum of the pixels around each place; those outside are not read."""
    pixels = np.moveaxis(x, 1, -1)
    total = np.zeros_like(np.moveaxis(y, 1, -1))
    for index, there, weight, _ in _taps(x.shape, grid, how):
        total += np.where(there[..., None], pixels[index] * weight[..., None], 0)
    y[...] = np.moveaxis(total, -1, 1)


def grid_sample_bwd(
    g: NDArray,
    x: NDArray,
    grid: NDArray,
    gx: NDArray | None,
    ggrid: NDArray | None,
    *how: int,
) -> None:
    """Each pixel gets its part of the gradient, and each number of the grid."""
    pixels, g = np.moveaxis(x, 1, -1), np.moveaxis(g, 1, -1)
    spread, moved = np.zeros_like(pixels), np.zeros_like(grid)
    for index, there, weight, slopes in _taps(x.shape, grid, how):
        part = np.where(there[..., None], g * weight[..., None], 0)
        np.add.at(spread, index, part)
        along = np.where(there, (g * pixels[index]).sum(-1), 0)
        moved += np.stack([slope * along for slope in slopes], axis=-1)
    if gx is not None:
        gx[...] = np.moveaxis(spread, -1, 1)
    if ggrid is not None:
        ggrid[...] = moved
