"""Ops of augmentation; they stand before the graph and have no gradient.

All that is drawn depends on seed, epoch and a sample's number. A transform draws numbers
for each sample, makes an affine map of them and moves images by it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from pyautodl.backends import Array, channels_last_strides, run
from pyautodl.backends.codes import (
    LINEAR,
    NEAREST,
    OUTSIDE_EDGE,
    OUTSIDE_FILL,
    OUTSIDE_REFLECT,
    OUTSIDE_SYMMETRIC,
)
from pyautodl.backends.dtypes import (
    BOOLEAN,
    FLOATING,
    DType,
    float32,
    float64,
    int64,
    uint8,
)
from pyautodl.errors import DTypeError, ShapeError
from pyautodl.ops.integers import as_seed
from pyautodl.ops.layout import ensure_contiguous
from pyautodl.ops.record import ErrorCase, Op, Sample, Spec, register

__all__ = [
    "AUGMENT_MOVE",
    "AUGMENT_NORMAL",
    "AUGMENT_UNIFORM",
    "INTERPOLATIONS",
    "PADDINGS",
    "check_fill",
]

Ints = tuple[int, ...]

INTERPOLATIONS = {"nearest": NEAREST, "bilinear": LINEAR}
PADDINGS = {
    "constant": OUTSIDE_FILL,
    "edge": OUTSIDE_EDGE,
    "reflect": OUTSIDE_REFLECT,
    "symmetric": OUTSIDE_SYMMETRIC,
}

# numbers of a map
_MAP = 6


# ---- numbers for each sample ----


def _numbers_op(name: str, dtype: DType, most: int) -> Op:
    """`count` numbers, up to `most`, for each of `samples`."""

    def rule(samples: Array, seed: int, epoch: int, count: int) -> tuple[Spec, ...]:
        if samples.ndim != 1:
            raise ShapeError(f"{name}: expected samples (n,), got {samples.shape}")
        if samples.dtype is not int64:
            got = samples.dtype.name
            raise DTypeError(f"{name}: expected int64 samples, got {got}")
        if not 0 <= count <= most:
            raise ValueError(f"{name}: count must be from 0 to {most}, got {count}")
        return (Spec((samples.shape[0], count), dtype),)

    def forward(
        ctx: Any, needs: Any, samples: Array, seed: int, epoch: int, count: int
    ) -> Array:
        out: Array = ctx.empty((samples.shape[0], count), dtype)
        run(name, (samples,), (out,), (as_seed(name, seed), epoch))
        return out

    op = Op(
        name=name,
        rule=rule,
        forward=forward,
        samples=_number_samples,
        errors=_number_errors,
    )
    return register(op)


def _attrs(seed: int = 3, epoch: int = 1, count: int = 2) -> dict[str, int]:
    return {"seed": seed, "epoch": epoch, "count": count}


def _number_samples() -> Iterator[Sample]:
    numbers = np.array([7, 0, 123456789], np.int64)
    for seed in (3, 2**64 - 1, -3):
        yield Sample((numbers,), _attrs(seed), gradient=False)
    yield Sample((numbers,), _attrs(epoch=0, count=135), gradient=False)
    yield Sample((numbers[:0],), _attrs(count=1), gradient=False)
    yield Sample((numbers,), _attrs(count=0), gradient=False)


def _number_errors() -> Iterator[ErrorCase]:
    numbers = np.zeros(3, np.int64)
    yield ErrorCase((numbers[None],), _attrs(), ShapeError, "expected samples")
    wrong = numbers.astype(np.int32)
    yield ErrorCase((wrong,), _attrs(), DTypeError, "int64 samples")
    yield ErrorCase((numbers,), _attrs(count=-1), ValueError, "count must be")
    yield ErrorCase((numbers,), _attrs(2**64), ValueError, "expected a seed")


# four in each of the streams that stand beside each other, and the blocks of a sample
AUGMENT_UNIFORM = _numbers_op("augment_uniform", float64, 4 * 256)
AUGMENT_NORMAL = _numbers_op("augment_normal", float32, 4 * 2**32)


# ---- move ----


def _move_rule(
    x: Array,
    maps: Array,
    size: Ints,
    mode: str,
    outside: str,
    fill: float,
    caller: str,
) -> tuple[Spec, ...]:
    """`caller` stands in messages."""
    if x.ndim != 4:
        raise ShapeError(f"{caller}: expected images (n, c, h, w), got {x.shape}")
    if maps.shape != (x.shape[0], _MAP):
        raise ShapeError(
            f"{caller}: expected {_MAP} numbers for each of {x.shape[0]} images, got "
            f"{maps.shape}"
        )
    if maps.dtype.category != FLOATING:
        raise DTypeError(f"{caller}: expected maps of floats, got {maps.dtype.name}")
    if len(size) != 2 or min(size) < 0:
        raise ShapeError(f"{caller}: expected a size (h, w), got {size}")
    if 0 in x.shape[2:]:
        raise ShapeError(f"{caller}: expected images with pixels, got {x.shape}")
    if mode == "bilinear" and x.dtype.category != FLOATING and x.dtype is not uint8:
        raise DTypeError(
            f"{caller}: 'bilinear' would mix what {x.dtype.name} holds, as the numbers of "
            "classes; likely fix: 'nearest' for it, an interpolation for each of images"
        )
    check_fill(caller, x.dtype, fill)
    return (Spec((*x.shape[:2], *size), x.dtype),)


def check_fill(caller: str, dtype: DType, fill: float, what: str = "fill") -> None:
    """Raise a ValueError if an element type does not hold a number."""
    if not _holds(dtype, fill):
        raise ValueError(
            f"{caller}: {what} is {fill}, which {dtype.name} can't hold; likely fix: a "
            f"{what} for each kind of image, or images.float()"
        )


def _holds(dtype: DType, value: float) -> bool:
    """Whether a number is one of an element type."""
    if dtype.category == FLOATING:
        return True
    if dtype.category == BOOLEAN:
        return value in (0, 1)
    limits = np.iinfo(dtype.numpy)
    return value == value // 1 and limits.min <= value < limits.max + 1


def _move_forward(
    ctx: Any,
    needs: Any,
    x: Array,
    maps: Array,
    size: Ints,
    mode: str,
    outside: str,
    fill: float,
    caller: str,
) -> Array:
    shape = (*x.shape[:2], *size)
    strides = channels_last_strides(shape) if x.is_channels_last() else None
    out: Array = ctx.empty(shape, x.dtype, strides)
    if maps.dtype is not float64:
        exact: Array = ctx.empty(maps.shape, float64)
        run("cast", (maps,), (exact,))
        maps = exact
    maps = ensure_contiguous(ctx, maps)
    numbers = (INTERPOLATIONS[mode], PADDINGS[outside])
    run("augment_move", (x, maps), (out,), numbers, (fill,))
    return out


_MOVE = {
    "size": (5, 4),
    "mode": "nearest",
    "outside": "constant",
    "fill": -1.0,
    "caller": "augment_move",
}


def _move_samples() -> Iterator[Sample]:
    x = np.random.default_rng(0).normal(size=(3, 2, 5, 4))
    # still, turned over and shifted, turned and stretched: all are exact in float32
    still = [1.0, 0, 0, 0, 1, 0]
    flipped = [1.0, 0, -2, 0, -1, 3]
    turned = [0.75, -0.5, 1.28125, 0.5, 1.25, -1.40625]
    maps = np.array([still, flipped, turned])
    for mode in ("nearest", "bilinear"):
        for outside in PADDINGS:
            yield Sample((x, maps), {**_MOVE, "mode": mode, "outside": outside}, False)
        yield Sample((x, maps), {**_MOVE, "mode": mode, "size": (2, 9)}, False)
        # more pixels in a row than are found together, far outside
        wide = {**_MOVE, "mode": mode, "size": (1, 150), "outside": "reflect"}
        yield Sample((x, maps * [1, 1, 1e20, 1, 1, 1]), wide, False)
        yield Sample((x[:0], maps[:0]), {**_MOVE, "mode": mode}, False)
    infinite = np.where(x > 1, np.inf, x)
    yield Sample((infinite, maps), {**_MOVE, "mode": "bilinear"}, False)
    bytes_ = (x * 30 + 128).astype(np.uint8)
    fill = {**_MOVE, "fill": 200.0}
    yield Sample((bytes_, maps), {**fill, "mode": "bilinear"}, False)
    for kind in (np.int64, np.int32, np.int16, np.int8, np.uint8, np.bool_):
        yield Sample(((x * 3).astype(kind), maps), {**_MOVE, "fill": 1.0}, False)


def _move_errors() -> Iterator[ErrorCase]:
    x, maps = np.zeros((3, 2, 5, 4)), np.zeros((3, _MAP))
    yield ErrorCase((x[0], maps), _MOVE, ShapeError, "expected images")
    yield ErrorCase((x, maps[:2]), _MOVE, ShapeError, "each of 3 images")
    yield ErrorCase((x, maps.astype(np.int64)), _MOVE, DTypeError, "maps of floats")
    yield ErrorCase((x, maps), {**_MOVE, "size": (2,)}, ShapeError, "a size")
    yield ErrorCase((x[:, :, :0], maps), _MOVE, ShapeError, "images with pixels")
    attrs = {**_MOVE, "mode": "bilinear", "fill": 0.0}
    yield ErrorCase((x.astype(np.int64), maps), attrs, DTypeError, "would mix")
    for kind, fill in ((np.uint8, -1.0), (np.int8, 0.5), (np.bool_, 2.0)):
        attrs = {**_MOVE, "fill": fill}
        yield ErrorCase((x.astype(kind), maps), attrs, ValueError, "can't hold")


AUGMENT_MOVE = register(
    Op(
        name="augment_move",
        rule=_move_rule,
        forward=_move_forward,
        samples=_move_samples,
        errors=_move_errors,
    )
)
