"""Ops of augmentation; they stand before the graph and have no gradient."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from pyautodl.backends import Array, run
from pyautodl.backends.dtypes import BOOLEAN, FLOATING, DType, int64
from pyautodl.errors import DTypeError, ShapeError
from pyautodl.ops.integers import as_seed
from pyautodl.ops.record import ErrorCase, Op, Sample, Spec, register

__all__ = ["RANDOM_SHIFT"]

# a draw takes 32 bits
_SHIFT_LIMIT = 1 << 31


def _shift_rule(
    x: Array, samples: Array, seed: int, epoch: int, max_shift: int, fill: float
) -> tuple[Spec, ...]:
    if x.ndim != 4 or samples.shape != x.shape[:1]:
        raise ShapeError(
            "random_shift: expected images (n, c, h, w) and samples (n,), got "
            f"{x.shape} and {samples.shape}"
        )
    if samples.dtype is not int64:
        raise DTypeError(
            f"random_shift: expected int64 samples, got {samples.dtype.name}"
        )
    if not 0 <= max_shift < _SHIFT_LIMIT:
        raise ValueError(
            f"random_shift: max_shift must be from 0 to {_SHIFT_LIMIT - 1}, got {max_shift}"
        )
    if not _holds(x.dtype, fill):
        raise ValueError(
            f"random_shift: fill is {fill}, which {x.dtype.name} can't hold; likely fix: a "
            "fill for each kind of image, or images.float()"
        )
    return (Spec(x.shape, x.dtype),)


def _holds(dtype: DType, value: float) -> bool:
    """Whether a number is one of an element type."""
    if dtype.category == FLOATING:
        return True
    if dtype.category == BOOLEAN:
        return value in (0, 1)
    limits = np.iinfo(dtype.numpy)
    return value == value // 1 and limits.min <= value < limits.max + 1


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
    numbers = (as_seed("random_shift", seed), epoch, max_shift)
    run("random_shift", (x, samples), (out,), numbers, (fill,))
    return out


_ATTRS = {"seed": 3, "epoch": 1, "max_shift": 2, "fill": -1.0}


def _shift_samples() -> Iterator[Sample]:
    x = np.random.default_rng(0).normal(size=(3, 2, 5, 4))
    numbers = np.array([7, 0, 123456789], np.int64)
    yield Sample((x, numbers), _ATTRS, gradient=False)
    yield Sample((x, numbers), {**_ATTRS, "max_shift": 0}, gradient=False)
    yield Sample((x[:0], numbers[:0]), _ATTRS, gradient=False)
    yield Sample((x, numbers), {**_ATTRS, "seed": 2**64 - 1}, gradient=False)
    yield Sample((x, numbers), {**_ATTRS, "seed": -3}, gradient=False)
    for kind in (np.int64, np.int32, np.int16, np.int8, np.uint8, np.bool_):
        classes = (x * 3).astype(kind)
        yield Sample((classes, numbers), {**_ATTRS, "fill": 1.0}, gradient=False)


def _shift_errors() -> Iterator[ErrorCase]:
    x, numbers = np.zeros((3, 2, 5, 4)), np.zeros(3, np.int64)
    yield ErrorCase((x[0], numbers), _ATTRS, ShapeError, "expected images")
    yield ErrorCase((x, numbers.astype(np.int32)), _ATTRS, DTypeError, "int64 samples")
    for kind, fill in ((np.uint8, -1.0), (np.int8, 0.5), (np.bool_, 2.0)):
        attrs = {**_ATTRS, "fill": fill}
        yield ErrorCase((x.astype(kind), numbers), attrs, ValueError, "can't hold")
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
