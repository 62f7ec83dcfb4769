"""Nearest and linear interpolation over one to three spatial axes.

Other filters stand in resample.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from math import prod
from typing import Any

import numpy as np

from pyautodl.backends import Array, channels_last_strides, run
from pyautodl.backends.codes import LINEAR, LINEAR_CORNERS, NEAREST, NEAREST_EXACT
from pyautodl.backends.dtypes import FLOATING
from pyautodl.errors import DTypeError, ShapeError
from pyautodl.ops import resample  # noqa: F401 (registers its op)
from pyautodl.ops.layout import ensure_channels_last
from pyautodl.ops.record import ErrorCase, Op, Sample, Spec, register

__all__ = ["INTERPOLATE", "INTERPOLATE_GRAD"]

Ints = tuple[int, ...]
Scales = tuple[float | None, ...]

_AXES = 3
_MODES = {"nearest": NEAREST, "nearest-exact": NEAREST_EXACT, "linear": LINEAR}
_LARGEST_INT = 2**63 - 1


@lru_cache(maxsize=4096)
def _kernel_mode(
    sizes: Ints, output_size: Ints, mode: str, align_corners: bool, scales: Scales
) -> tuple[int, tuple[float, ...]]:
    """The kernel's mode and how far it moves in the input for each output position."""
    corners = align_corners and mode == "linear"
    steps = [1.0] * (_AXES - len(sizes))
    for size, out, scale in zip(sizes, output_size, scales, strict=True):
        if corners:
            steps.append((size - 1) / (out - 1) if out > 1 else 0.0)
        else:
            steps.append(1.0 / scale if scale else size / out)
    return LINEAR_CORNERS if corners else _MODES[mode], tuple(steps)


def _check(x: Array, shape: Ints, mode: str, scales: Scales) -> None:
    if x.dtype.category != FLOATING:
        raise DTypeError(
            f"interpolate: expected a floating tensor, got {x.dtype.name} (x "
            f"{x.shape}); likely fix: x.float()"
        )
    if not 3 <= len(x.shape) <= 2 + _AXES:
        raise ShapeError(
            f"interpolate: expected (n, c, one to three spatial axes), got x {x.shape}"
        )
    if mode not in _MODES:
        raise ValueError(
            f"interpolate: mode must be one of {list(_MODES)}, got {mode!r}"
        )
    if len(shape) != len(x.shape) or len(scales) != len(x.shape) - 2:
        raise ShapeError(
            f"interpolate: expected a size for each spatial axis of x {x.shape}, got "
            f"{shape[2:]}"
        )
    if min(x.shape[2:]) < 1 or min(shape[2:]) < 1 or prod(shape) > _LARGEST_INT:
        raise ShapeError(
            f"interpolate: sizes must be at least 1, got x {x.shape} and output size "
            f"{shape[2:]}"
        )


def _rule(
    x: Array, output_size: Ints, mode: str, align_corners: bool, scales: Scales
) -> tuple[Spec, ...]:
    shape = (*x.shape[:2], *output_size)
    _check(x, shape, mode, scales)
    return (Spec(shape, x.dtype),)


def _forward(
    ctx: Any,
    needs: Sequence[bool],
    x: Array,
    output_size: Ints,
    mode: str,
    align_corners: bool,
    scales: Scales,
) -> Array:
    shape = (*x.shape[:2], *output_size)
    y: Array = ctx.empty(shape, x.dtype, channels_last_strides(shape))
    number, steps = _kernel_mode(x.shape[2:], output_size, mode, align_corners, scales)
    run("interpolate_fwd", (ensure_channels_last(ctx, x),), (y,), (number,), steps)
    return y


def _vjp(call: Any, ctx: Any, needs: Any, g: Any) -> tuple[Any, ...]:
    attrs = {k: ctx.attrs[k] for k in ("mode", "align_corners", "scales")}
    return (call("interpolate_grad", g, shape=ctx.shapes[0], **attrs),)


def _grad_rule(
    g: Array, shape: Ints, mode: str, align_corners: bool, scales: Scales
) -> tuple[Spec, ...]:
    _check(g, shape, mode, scales)
    if shape[:2] != g.shape[:2]:
        raise ShapeError(
            f"interpolate_grad: gradient and input must have the same n and c, got "
            f"{g.shape} and {shape}"
        )
    return (Spec(shape, g.dtype),)


def _grad_forward(
    ctx: Any,
    needs: Sequence[bool],
    g: Array,
    shape: Ints,
    mode: str,
    align_corners: bool,
    scales: Scales,
) -> Array:
    gx: Array = ctx.empty(shape, g.dtype, channels_last_strides(shape))
    number, steps = _kernel_mode(shape[2:], g.shape[2:], mode, align_corners, scales)
    run("interpolate_bwd", (ensure_channels_last(ctx, g),), (gx,), (number,), steps)
    return gx


def _grad_vjp(call: Any, ctx: Any, needs: Any, g: Any) -> tuple[Any, ...]:
    attrs = {k: ctx.attrs[k] for k in ("mode", "align_corners", "scales")}
    return (call("interpolate", g, output_size=ctx.shapes[0][2:], **attrs),)


# ---- samples ----


def _attrs(
    axes: int, mode: str, align_corners: bool = False, scales: Scales | None = None
) -> dict[str, Any]:
    return {
        "mode": mode,
        "align_corners": align_corners,
        "scales": scales or (None,) * axes,
    }


_CASES: tuple[tuple[Ints, Ints, dict[str, Any]], ...] = (
    ((2, 3, 2, 3), (4, 6), _attrs(2, "nearest")),
    ((1, 2, 5, 4), (3, 7), _attrs(2, "nearest")),
    ((1, 2, 5, 4), (3, 7), _attrs(2, "nearest-exact")),
    ((2, 3, 2, 3), (4, 6), _attrs(2, "linear")),
    ((1, 2, 5, 4), (3, 7), _attrs(2, "linear")),
    ((1, 2, 5, 4), (3, 7), _attrs(2, "linear", True)),
    ((1, 2, 4, 5), (1, 5), _attrs(2, "linear", True)),
    ((1, 2, 1, 1), (2, 3), _attrs(2, "linear")),
    ((1, 2, 4, 4), (6, 6), _attrs(2, "linear", False, (1.6, 1.6))),
    ((1, 2, 4, 4), (6, 6), _attrs(2, "nearest", False, (1.6, 1.6))),
    ((2, 2, 4), (7,), _attrs(1, "linear")),
    ((1, 2, 2, 3, 2), (3, 2, 4), _attrs(3, "linear")),
    ((1, 1, 2, 3, 2), (3, 2, 4), _attrs(3, "nearest")),
    ((2, 1, 3, 4), (6, 5), _attrs(2, "linear")),
    ((1, 1, 2, 3, 3), (3, 5, 4), _attrs(3, "linear", True)),
    ((0, 2, 3, 3), (6, 6), _attrs(2, "linear")),
)
_LARGE_CASES: tuple[tuple[Ints, Ints, dict[str, Any]], ...] = (
    ((2, 37, 7, 9), (13, 5), _attrs(2, "linear")),
    ((2, 37, 7, 9), (14, 18), _attrs(2, "nearest")),
    # one channel, more than a block of columns; a factor of two rounds no position
    ((2, 1, 7, 40), (14, 80), _attrs(2, "linear")),
    ((2, 1, 7, 90), (14, 70), _attrs(2, "nearest")),
)


def _samples() -> Iterator[Sample]:
    rng = np.random.default_rng(0)
    for cases, gradient in ((_CASES, True), (_LARGE_CASES, False)):
        for shape, size, attrs in cases:
            x = rng.normal(size=shape)
            yield Sample((x,), {"output_size": size, **attrs}, gradient=gradient)


def _errors() -> Iterator[ErrorCase]:
    x = np.zeros((1, 1, 4, 4))
    attrs = _attrs(2, "linear")
    zero, three = {"output_size": (0, 2)}, {"output_size": (2, 2, 2)}
    yield ErrorCase((x,), {**zero, **attrs}, ShapeError, "at least 1")
    yield ErrorCase((x,), {**three, **attrs}, ShapeError, "each spatial axis")
    two = {"output_size": (2, 2)}
    yield ErrorCase((x,), {**two, **_attrs(2, "cubic")}, ValueError, "mode must be")
    yield ErrorCase((x.astype(np.int64),), {**two, **attrs}, DTypeError, "floating")
    yield ErrorCase((x[0, 0],), {**two, **attrs}, ShapeError, "spatial axes")


def _grad_samples() -> Iterator[Sample]:
    rng = np.random.default_rng(0)
    for shape, size, attrs in _CASES:
        g = rng.normal(size=(*shape[:2], *size))
        yield Sample((g,), {"shape": shape, **attrs})


def _grad_errors() -> Iterator[ErrorCase]:
    attrs = {"shape": (1, 2, 3, 3), **_attrs(2, "linear")}
    yield ErrorCase((np.zeros((1, 1, 6, 6)),), attrs, ShapeError, "same n and c")


INTERPOLATE = register(
    Op(
        name="interpolate",
        rule=_rule,
        forward=_forward,
        vjp=_vjp,
        samples=_samples,
        errors=_errors,
    )
)

INTERPOLATE_GRAD = register(
    Op(
        name="interpolate_grad",
        rule=_grad_rule,
        forward=_grad_forward,
        vjp=_grad_vjp,
        samples=_grad_samples,
        errors=_grad_errors,
    )
)
