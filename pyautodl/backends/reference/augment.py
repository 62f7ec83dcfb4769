"""Augmentation: images moved by random numbers of pixels."""

from __future__ import annotations

from typing import Any

import numpy as np

from pyautodl.backends.reference.random import philox_words

__all__ = ["random_shift"]

NDArray = np.ndarray[Any, Any]

# streams of augmentation, apart from those that shuffle
STREAM = 1 << 40


def random_shift(
    x: NDArray,
    samples: NDArray,
    out: NDArray,
    seed: int,
    epoch: int,
    max_shift: int,
    fill: float,
) -> None:
    """out[n, c, i, j] = x[n, c, i - dy, j - dx], with a draw for each sample."""
    for n, sample in enumerate(samples.tolist()):
        words = philox_words(seed, STREAM + epoch, sample, 1)[0]
        dy, dx = (_shift(int(word), max_shift) for word in words[:2])
        rows = np.arange(x.shape[2]) - dy
        columns = np.arange(x.shape[3]) - dx
        inside = np.logical_and.outer(
            (rows >= 0) & (rows < x.shape[2]), (columns >= 0) & (columns < x.shape[3])
        )
        moved = x[n][:, rows % x.shape[2]][:, :, columns % x.shape[3]]
        out[n] = np.where(inside, moved, fill)


def _shift(word: int, most: int) -> int:
    """A number from -most to most."""
    return (word * (2 * most + 1) >> 32) - most
