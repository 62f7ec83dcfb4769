"""What the samples and the error cases of the normalisations are made of."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import Any

import numpy as np

from pyautodl.errors import DTypeError, ShapeError
from pyautodl.ops.norm.common import Ints
from pyautodl.ops.record import ErrorCase, Sample

__all__ = [
    "LARGE",
    "SHAPES",
    "X",
    "channel_errors",
    "channel_samples",
    "grad_samples",
    "make_grad_errors",
    "normal_numbers",
    "statistics_of",
]

SHAPES: list[Ints] = [(4, 3), (2, 2, 3), (2, 2, 2, 2), (2, 1, 1, 2, 2), (0, 3)]
# the last one with many rows of few channels
LARGE: list[Ints] = [(40, 37), (2, 20, 5, 6), (2, 3, 50, 51)]
# numbers without numpy.random, which import must not load
X = np.arange(12.0).reshape(4, 3)
_STATS = np.ones((2, 3))


def normal_numbers(seed: int, *shape: int) -> np.ndarray[Any, Any]:
    """Normally distributed numbers."""
    return np.random.default_rng(seed).standard_normal(shape)


def channel_samples(attrs: dict[str, Any], shapes: list[Ints]) -> Iterator[Sample]:
    """With weight and bias, with either, with neither."""
    for i, shape in enumerate(shapes):
        x, small = normal_numbers(i, *shape), prod(shape) < 30
        weight, bias = (
            normal_numbers(50 + i, shape[1]),
            normal_numbers(80 + i, shape[1]),
        )
        yield Sample((x, weight, bias), attrs, gradient=small)
        if i == 0:
            yield Sample((x,), attrs)
            yield Sample((x, None, bias), attrs)
            yield Sample((x, weight), attrs)
            yield Sample((x + 1000, weight, bias), attrs, gradient=False)


def statistics_of(x: Any, axes: Ints, eps: float, center: bool = True) -> Any:
    """Mean and 1 / standard deviation along axes."""
    mean = x.mean(axes, keepdims=True) * center
    var = ((x - mean) ** 2).mean(axes, keepdims=True)
    both = np.broadcast_arrays(mean, 1 / np.sqrt(var + eps))
    return np.stack([each.reshape(-1) for each in both])


def grad_samples(samples: Any, more: Any) -> Iterator[Sample]:
    """Samples of a gradient from those of the op; more(x, attrs): statistics, attrs."""
    for i, sample in enumerate(samples):
        x, weight = (*sample.inputs, None)[:2]
        if not x.size:
            continue
        stats, attrs = more(x, sample.attrs)
        attrs["wanted"] = (True, i % 2 == 0, i % 3 == 0)
        inputs = (normal_numbers(90 + i, *x.shape), x, weight, stats)
        yield Sample(inputs, attrs, gradient=False)


def channel_errors(name: str, attrs: dict[str, Any]) -> Iterator[ErrorCase]:
    """Inputs without channels, of other types, with weights that do not fit."""
    match = rf"{name}: expected an input \(n, c, ...\), got \(3,\)"
    yield ErrorCase((X[0],), attrs, ShapeError, match)
    match = rf"{name}: expected a weight of shape \(3,\) .*got \(4,\)"
    yield ErrorCase((X, np.ones(4)), attrs, ShapeError, match)
    match = rf"{name}: .*input float64, weight float32.*\.float\(\)"
    yield ErrorCase((X, np.ones(3, np.float32)), attrs, DTypeError, match)


def make_grad_errors(name: str, attrs: dict[str, Any], absent: int = 1) -> Any:
    """`absent`: how many parameters there could be between x and the statistics."""

    def errors() -> Iterator[ErrorCase]:
        every = {**attrs, "wanted": (True, True, True)}
        none = (None,) * absent
        match = rf"{name}: expected a gradient of the input's shape \(4, 3\)"
        yield ErrorCase((X[:2], X, *none, _STATS), every, ShapeError, match)
        match = f"{name}: expected statistics of shape"
        yield ErrorCase((X, X, *none, _STATS.T), every, ShapeError, match)

    return errors
