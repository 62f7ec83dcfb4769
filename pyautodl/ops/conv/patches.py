"""im2col and col2im: what users call unfold and fold."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import prod
from typing import Any

import numpy as np

from pyautodl.backends import Array, run
from pyautodl.errors import ShapeError
from pyautodl.ops.conv.checks import (
    Ints,
    check_numbers,
    check_ranks,
    check_size,
    check_types,
    check_window,
    conv_size,
    named_shapes,
    shape_text,
)
from pyautodl.ops.layout import ensure_contiguous
from pyautodl.ops.record import ErrorCase, Op, Sample, Spec, register

__all__ = [
    "COL2IM",
    "IM2COL",
]


def _fold_numbers(
    op: str,
    kernel: Ints,
    stride: Ints,
    padding: Ints,
    dilation: Ints,
    where: str,
) -> None:
    pairs = tuple((p, p) for p in padding)
    check_numbers(op, stride, pairs, dilation, 1, where)
    if len(kernel) != len(stride) or min(kernel) < 1:
        raise ValueError(f"{op}: kernel_size must be positive, got {kernel} {where}")


def _grid(size: Sequence[int], kernel: Ints, numbers: tuple[Ints, Ints, Ints]) -> Ints:
    """How many patches lie along each axis."""
    stride, padding, dilation = numbers
    pairs = [(p, p) for p in padding]
    return tuple(map(conv_size, size, kernel, stride, pairs, dilation))


def _fold_ints(kernel: Ints, numbers: tuple[Ints, Ints, Ints], grid: Ints) -> Ints:
    missing = 3 - len(kernel)
    ones, zeros = (1,) * missing, (0,) * missing
    stride, padding, dilation = numbers
    return (
        *(*ones, *stride),
        *(*zeros, *padding),
        *(*ones, *dilation),
        *(*ones, *kernel),
        *(*ones, *grid),
    )


def _unfold_rule(
    x: Array, *, kernel: Ints, stride: Ints, padding: Ints, dilation: Ints
) -> tuple[Spec, ...]:
    where = named_shapes(x=x.shape)
    _fold_numbers("unfold", kernel, stride, padding, dilation, where)
    check_ranks("unfold", len(kernel), where, x=x.shape)
    check_types("unfold", x=x)
    pairs = tuple((p, p) for p in padding)
    check_window("unfold", x.shape[2:], kernel, pairs, dilation, where)
    patches = prod(_grid(x.shape[2:], kernel, (stride, padding, dilation)))
    shape = (x.shape[0], x.shape[1] * prod(kernel), patches)
    check_size("unfold", shape, where)
    return (Spec(shape, x.dtype),)


def _unfold_forward(
    ctx: Any,
    needs: Sequence[bool],
    x: Array,
    *,
    kernel: Ints,
    stride: Ints,
    padding: Ints,
    dilation: Ints,
) -> Array:
    numbers = (stride, padding, dilation)
    grid = _grid(x.shape[2:], kernel, numbers)
    shape = (x.shape[0], x.shape[1] * prod(kernel), prod(grid))
    out: Array = ctx.empty(shape, x.dtype)
    run("im2col", (x,), (out,), _fold_ints(kernel, numbers, grid))
    return out


def _unfold_vjp(
    call: Any, ctx: Any, needs: Sequence[bool], grad: Any
) -> tuple[Any, ...]:
    return (call("col2im", grad, size=ctx.shapes[0][2:], **ctx.attrs),)


def _fold_rule(
    x: Array, *, size: Ints, kernel: Ints, stride: Ints, padding: Ints, dilation: Ints
) -> tuple[Spec, ...]:
    where = named_shapes(x=x.shape)
    _fold_numbers("fold", kernel, stride, padding, dilation, where)
    check_types("fold", x=x)
    if x.ndim != 3:
        raise ShapeError(
            "fold: expected x of 3 axes (n,c*kernel,patches) or 2, "
            f"got {x.ndim} {where}"
        )
    if len(size) != len(kernel) or min(size) < 1:
        raise ValueError(f"fold: output_size must be positive, got {size} {where}")
    pairs = tuple((p, p) for p in padding)
    check_window("fold", size, kernel, pairs, dilation, where)
    grid = _grid(size, kernel, (stride, padding, dilation))
    if x.shape[1] % prod(kernel) or x.shape[2] != prod(grid):
        raise ShapeError(
            f"fold: size {shape_text(size)} has patches {shape_text(grid)}, so "
            f"x must be (n,c*{prod(kernel)},{prod(grid)}) {where}"
        )
    shape = (x.shape[0], x.shape[1] // prod(kernel), *size)
    check_size("fold", shape, where)
    return (Spec(shape, x.dtype),)


def _fold_forward(
    ctx: Any,
    needs: Sequence[bool],
    x: Array,
    *,
    size: Ints,
    kernel: Ints,
    stride: Ints,
    padding: Ints,
    dilation: Ints,
) -> Array:
    x = ensure_contiguous(ctx, x)
    numbers = (stride, padding, dilation)
    grid = _grid(size, kernel, numbers)
    shape = (x.shape[0], x.shape[1] // prod(kernel), *size)
    out: Array = ctx.empty(shape, x.dtype)
    run("col2im", (x,), (out,), _fold_ints(kernel, numbers, grid))
    return out


def _fold_vjp(call: Any, ctx: Any, needs: Sequence[bool], grad: Any) -> tuple[Any, ...]:
    attrs = dict(ctx.attrs)
    del attrs["size"]
    return (call("im2col", grad, **attrs),)


_FOLDS: tuple[tuple[Ints, dict[str, Ints]], ...] = (
    ((2, 2, 4, 5), {"kernel": (2, 3), "stride": (1, 2), "padding": (1, 0)}),
    ((1, 1, 5, 5), {"kernel": (2, 2), "stride": (2, 1), "padding": (0, 1)}),
    ((1, 2, 4, 4), {"kernel": (1, 1), "stride": (1, 1), "padding": (0, 0)}),
)


def _unfold_samples() -> Iterable[Sample]:
    rng = np.random.default_rng(23)
    for dilation, (shape, attrs) in enumerate(_FOLDS, 1):
        dilations = (min(dilation, 2), 1)
        yield Sample((rng.standard_normal(shape),), {**attrs, "dilation": dilations})
    yield Sample((np.zeros((0, 2, 3, 3)),), {**_FOLDS[0][1], "dilation": (1, 1)})


def _fold_samples() -> Iterable[Sample]:
    rng = np.random.default_rng(24)
    for (x,), attrs in ((each.inputs, each.attrs) for each in _unfold_samples()):
        numbers = (attrs["stride"], attrs["padding"], attrs["dilation"])
        kernel, size = attrs["kernel"], x.shape[2:]
        shape = (
            x.shape[0],
            x.shape[1] * prod(kernel),
            prod(_grid(size, kernel, numbers)),
        )
        yield Sample((rng.standard_normal(shape),), {**attrs, "size": size})


def _unfold_errors() -> Iterable[ErrorCase]:
    attrs = {"kernel": (5, 5), "stride": (1, 1), "padding": (0, 0), "dilation": (1, 1)}
    yield ErrorCase(
        (np.ones((1, 2, 4, 4)),), attrs, ShapeError, "larger than the padded"
    )
    yield ErrorCase((np.ones((1, 2, 4)),), attrs, ShapeError, "expected x of 4 axes")


def _fold_errors() -> Iterable[ErrorCase]:
    attrs = {"kernel": (2, 2), "stride": (1, 1), "padding": (0, 0), "dilation": (1, 1)}
    yield ErrorCase(
        (np.ones((1, 8, 9)),), {**attrs, "size": (4, 5)}, ShapeError, r"\(n,c\*4,12\)"
    )


IM2COL = register(
    Op(
        name="im2col",
        rule=_unfold_rule,
        forward=_unfold_forward,
        vjp=_unfold_vjp,
        samples=_unfold_samples,
        errors=_unfold_errors,
    )
)
COL2IM = register(
    Op(
        name="col2im",
        rule=_fold_rule,
        forward=_fold_forward,
        vjp=_fold_vjp,
        samples=_fold_samples,
        errors=_fold_errors,
    )
)
