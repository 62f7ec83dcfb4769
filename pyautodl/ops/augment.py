"""Ops of augmentation; they stand before the graph and have no gradient."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from pyautodl.backends import Array, run
from pyautodl.backends.dtypes import FLOATING, int64
from pyautodl.errors import DTypeError, ShapeError
from pyautodl.ops.record import ErrorCase, Op, Sample, Spec, register

__all__ = ["RANDOM_SHIFT"]


def _shift_rule(
    x: Array, samples: Array, seed: int, epoch: int, max_shift: int, fill: float
) -> tuple[Spec, ...]:
    if x.ndim != 4 or samples.shape != x.shape[:1]:
        raise ShapeError(
            "random_shift: expected images (n, c, h, w) and samples (n,), got "
            f"{x.shape} and {samples.shape}"
        )
    if x.dtype.category != FLOATING or samples.dtype is not int64:
        raise DTypeError(
            "random_shift: expected floating images and int64 samples, got "
            f"{x.dtype.name} and {samples.dtype.name}; likely fix: images.float()"
        )
    if max_shift < 0:
        raise ValueError(f"random_shift: max_shift must be >= 0, got {max_shift}")
    return (Spec(x.shape, x.dtype),)


def _shift_forward(
    ctx: Any,
    needs: Any,
    x: Array,
    samples: Array,
    seed: int,
    epoch: int,
    max_shift: int,
    fill: float,
) -> Array:
    out: Array = ctx.empty_like(x)
    run("random_shift", (x, samples), (out,), (seed, epoch, max_shift), (fill,))
    return out


_ATTRS = {"seed": 3, "epoch": 1, "max_shift": 2, "fill": -1.0}


def _shift_samples() -> Iterator[Sample]:
    x = np.random.default_rng(0).normal(size=(3, 2, 5, 4))
    numbers = np.array([7, 0, 123456789], np.int64)
    yield Sample((x, numbers), _ATTRS, gradient=False)
    yield Sample((x, numbers), {**_ATTRS, "max_shift": 0}, gradient=False)
    yield Sample((x[:0], numbers[:0]), _ATTRS, gradient=False)


def _shift_errors() -> Iterator[ErrorCase]:
    x, numbers = np.zeros((3, 2, 5, 4)), np.zeros(3, np.int64)
    yield ErrorCase((x[0], numbers), _ATTRS, ShapeError, "expected images")
    yield ErrorCase((x.astype(np.uint8), numbers), _ATTRS, DTypeError, "images.float")
    yield ErrorCase((x, numbers), {**_ATTRS, "max_shift": -1}, ValueError, "max_shift")


RANDOM_SHIFT = register(
    Op(
        name="random_shift",
        rule=_shift_rule,
        forward=_shift_forward,
        samples=_shift_samples,
        errors=_shift_errors,
    )
)
