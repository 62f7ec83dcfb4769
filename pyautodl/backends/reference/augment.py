"""Augmentation: numbers for each sample, and images moved by an affine map."""

from __future__ import annotations

from typing import Any

import numpy as np

from pyautodl.backends.codes import (
    NEAREST,
    OUTSIDE_EDGE,
    OUTSIDE_FILL,
    OUTSIDE_REFLECT,
)
from pyautodl.backends.reference.random import philox_words, random_normal

__all__ = ["augment_move", "augment_normal", "augment_uniform"]

NDArray = np.ndarray[Any, Any]

# streams of augmentation, apart from those that shuffle: a few numbers for a sample, and
# many, of which so many blocks are a sample's own
UNIFORM_STREAM = 1 << 40
NORMAL_STREAM = 1 << 43
SAMPLE_BLOCK_BITS = 32


def augment_uniform(samples: NDArray, out: NDArray, seed: int, epoch: int) -> None:
    """Four words of a sample's block, then four of the same block in the next stream."""
    for n, sample in enumerate(samples.tolist()):
        for i in range(0, out.shape[1], 4):
            stream = UNIFORM_STREAM + epoch + (i // 4 << 56)
            words = philox_words(seed, stream, sample, 1)[0]
            out[n, i : i + 4] = words[: out.shape[1] - i] * 2.0**-32


def augment_normal(samples: NDArray, out: NDArray, seed: int, epoch: int) -> None:
    """The numbers of a sample's own blocks."""
    for n, sample in enumerate(samples.tolist()):
        offset = np.uint64((sample << SAMPLE_BLOCK_BITS) % 2**64).astype(np.int64)
        state = np.array([seed, NORMAL_STREAM + epoch, offset], np.int64)
        random_normal(out[n], state, 0.0, 1.0)


def augment_move(
    x: NDArray, maps: NDArray, out: NDArray, mode: int, outside: int, fill: float
) -> None:
    """out[n, c, i, j] = x[n, c] at row m0 i + m1 j + m2, column m3 i + m4 j + m5."""
    i, j = np.arange(out.shape[2])[:, None], np.arange(out.shape[3])
    move = _nearest if mode == NEAREST else _linear
    for n, map in enumerate(maps):
        row, column = (
            np.clip(m[0] * i + m[1] * j + m[2], -(2.0**52), 2.0**52)
            for m in (map[:3], map[3:])
        )
        out[n] = move(x[n], row, column, outside, fill)


def _nearest(
    x: NDArray, row: NDArray, column: NDArray, outside: int, fill: float
) -> NDArray:
    row, column, inside = _places(
        np.floor(row + 0.5), np.floor(column + 0.5), x, outside
    )
    return np.where(inside, x[:, row, column], x.dtype.type(fill))


def _linear(
    x: NDArray, row: NDArray, column: NDArray, outside: int, fill: float
) -> NDArray:
    mix = x.dtype.type if x.dtype.kind == "f" else np.float32
    top, left = np.floor(row), np.floor(column)
    down, right = (row - top).astype(mix), (column - left).astype(mix)
    filled = np.zeros(row.shape, mix)
    total = np.zeros((x.shape[0], *row.shape), mix)
    # what has weight 0 does not count: an infinite neighbour must not give NaN
    for k in range(4):
        weight = (down if k // 2 else 1 - down) * (right if k % 2 else 1 - right)
        rows, columns, inside = _places(top + k // 2, left + k % 2, x, outside)
        filled += np.where(inside | (weight == 0), 0, weight * mix(fill))
        values = np.where(inside & (weight != 0), x[:, rows, columns], 0)
        total += weight * values.astype(mix)
    total += filled
    return total if x.dtype.kind == "f" else np.rint(total)


def _places(
    row: NDArray, column: NDArray, x: NDArray, outside: int
) -> tuple[NDArray, NDArray, NDArray]:
    """Rows and columns to read, and whether they are inside, else 0."""
    _, h, w = x.shape
    row, column = row.astype(np.int64), column.astype(np.int64)
    if outside != OUTSIDE_FILL:
        row, column = _folded(row, h, outside), _folded(column, w, outside)
    inside = (row >= 0) & (row < h) & (column >= 0) & (column < w)
    return np.where(inside, row, 0), np.where(inside, column, 0), inside


def _folded(at: NDArray, size: int, outside: int) -> NDArray:
    if outside == OUTSIDE_EDGE:
        return np.clip(at, 0, size - 1)
    # the image, then the image turned over; a reflection does not repeat the edge
    again = int(outside == OUTSIDE_REFLECT)
    period = max(2 * (size - again), 1)
    at = at % period
    return np.where(at < size, at, period - 1 + again - at)
