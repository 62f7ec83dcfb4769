"""Euclidean distances between all rows of two matrices."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from pyautodl.backends import Array, Made, contiguous_strides
from pyautodl.backends.dtypes import FLOATING, float64
from pyautodl.errors import DTypeError, ShapeError
from pyautodl.ops.plan import KernelPlan, planned, seen
from pyautodl.ops.record import ErrorCase, Places, Sample, register
from pyautodl.ops.reduce.common import grid

__all__ = ["CDIST", "CDIST_GRAD"]

NDArray = np.ndarray[Any, Any]


def _cdist_plan(x: Array, y: Array) -> KernelPlan:
    if x.dtype.category != FLOATING or x.dtype is not y.dtype:
        raise DTypeError(
            "cdist: expected two tensors of one floating type, got "
            f"{x.dtype.name} and {y.dtype.name}; likely fix: .float()"
        )
    fits = x.ndim == y.ndim == 3 and (x.shape[0], x.shape[2]) == (
        y.shape[0],
        y.shape[2],
    )
    if not fits:
        raise ShapeError(
            f"cdist: expected (b, n, d) and (b, m, d), got {x.shape} and {y.shape}"
        )
    shape = (*x.shape[:2], y.shape[1])
    made = Made(shape, x.dtype, contiguous_strides(shape))
    return KernelPlan("cdist", [seen(0, x), seen(1, y)], [made])


def _cdist_saves(needs: tuple[bool, ...]) -> Places:
    return (0, 1, 2)


def _cdist_vjp(call: Any, ctx: Any, needs: Any, g: Any) -> tuple[Any, ...]:
    """Sums of (x - y) g / distance, where 0 is divided by 0 none.

    Of float32 each is a difference of two products of doubles, in which those of rows that
    lie close to each other nearly cancel out; of float64 that would lose their digits.
    """
    x, y, out = ctx.saved
    share = call("norm_grad", g, 1.0, out)
    dtype = ctx.dtypes[0]
    if dtype is not float64:
        x, y, share = (call("cast", each, dtype=float64) for each in (x, y, share))
    pull = _pulled if dtype is not float64 else _pulled_apart
    turned = call("permute", share, dims=(0, 2, 1))
    parts = ((x, y, share), (y, x, turned))
    found = [
        pull(call, *part) if need else None
        for part, need in zip(parts, needs, strict=True)
    ]
    if dtype is not float64:
        found = [
            each if each is None else call("cast", each, dtype=dtype) for each in found
        ]
    return tuple(found)


def _pulled(call: Any, x: Any, y: Any, share: Any) -> Any:
    """Sums over the rows of y of (x - y) share."""
    whole = call("sum", share, dim=-1, keepdim=True)
    return call("sub", call("mul", x, whole), call("matmul", share, y))


def _pulled_apart(call: Any, x: Any, y: Any, share: Any) -> Any:
    """The same, difference by difference."""
    return call("cdist_grad", x, y, share)


def _cdist_reference(x: NDArray, y: NDArray) -> Any:
    return np.sqrt(np.square(x[:, :, None] - y[:, None]).sum(-1))


def _cdist_samples() -> Iterator[Sample]:
    x = grid(2, 3, 4)
    yield Sample((x, -grid(2, 5, 4)))
    yield Sample((x.transpose(0, 2, 1), 3 - grid(2, 2, 3)))
    yield Sample((grid(1, 70, 3), -grid(1, 35, 3)), gradient=False)
    yield Sample((grid(2, 5, 40), -grid(2, 130, 40)), gradient=False)
    yield Sample((x, x), gradient=False)
    yield Sample((np.zeros((2, 0, 3)), np.ones((2, 4, 3))))
    yield Sample((np.zeros((1, 2, 0)), np.zeros((1, 3, 0))))


def _cdist_errors() -> Iterator[ErrorCase]:
    x = grid(1, 3, 2)
    match = r"cdist: expected \(b, n, d\) and \(b, m, d\), got \(1, 3, 2\) and"
    yield ErrorCase((x, grid(1, 3, 3)), {}, ShapeError, match)
    yield ErrorCase((x, grid(3, 2)), {}, ShapeError, match)
    match = "cdist: expected two tensors of one floating type, got"
    yield ErrorCase((x, np.zeros((1, 3, 2), np.int64)), {}, DTypeError, match)


CDIST = register(
    planned(
        "cdist",
        _cdist_plan,
        _cdist_saves,
        vjp=_cdist_vjp,
        samples=_cdist_samples,
        errors=_cdist_errors,
        reference=_cdist_reference,
    )
)

# ---- the gradient ----


def _grad_plan(x: Array, y: Array, share: Array) -> KernelPlan:
    if any(each.dtype is not x.dtype for each in (y, share)):
        names = ", ".join(each.dtype.name for each in (x, y, share))
        raise DTypeError(f"cdist_grad: expected one element type, got {names}")
    found = _cdist_plan(x, y)
    expected = found.specs[0].shape
    if share.shape != expected:
        raise ShapeError(
            f"cdist_grad: expected shares of shape {expected}, got {share.shape}"
        )
    made = Made(x.shape, x.dtype, contiguous_strides(x.shape))
    reads = [seen(i, each) for i, each in enumerate((x, y, share))]
    return KernelPlan("cdist_grad", reads, [made])


def _grad_saves(needs: tuple[bool, ...]) -> Places:
    return (0, 1, 2)


def _grad_vjp(call: Any, ctx: Any, needs: Any, g: Any) -> tuple[Any, ...]:
    x, y, share = ctx.saved
    turned = call("permute", share, dims=(0, 2, 1))
    # the sum over k of g (x - y)
    own = call("sum", call("mul", g, x), dim=-1, keepdim=True)
    other = call("matmul", g, y, transpose_b=True)
    return (
        call("mul", g, call("sum", share, dim=-1, keepdim=True)) if needs[0] else None,
        call("neg", call("matmul", turned, g)) if needs[1] else None,
        call("sub", own, other) if needs[2] else None,
    )


def _grad_reference(x: NDArray, y: NDArray, share: NDArray) -> Any:
    return ((x[:, :, None] - y[:, None]) * share[..., None]).sum(2)


def _grad_samples() -> Iterator[Sample]:
    x, y = grid(2, 3, 4), -grid(2, 5, 4)
    yield Sample((x, y, grid(2, 3, 5)))
    yield Sample(
        (x.transpose(0, 2, 1), grid(2, 2, 3), grid(2, 2, 4).transpose(0, 2, 1))
    )
    yield Sample(
        (grid(2, 290, 35), -grid(2, 150, 35), grid(2, 290, 150)), gradient=False
    )
    yield Sample((np.ones((2, 4, 3)), np.zeros((2, 0, 3)), np.zeros((2, 4, 0))))
    yield Sample((np.zeros((1, 2, 0)), np.zeros((1, 3, 0)), np.zeros((1, 2, 3))))


def _grad_errors() -> Iterator[ErrorCase]:
    x, y = grid(1, 3, 2), grid(1, 4, 2)
    match = r"cdist_grad: expected shares of shape \(1, 3, 4\), got \(1, 4, 3\)"
    yield ErrorCase((x, y, grid(1, 4, 3)), {}, ShapeError, match)
    match = "cdist_grad: expected one element type"
    yield ErrorCase((x, y, np.ones((1, 3, 4), np.int64)), {}, DTypeError, match)


CDIST_GRAD = register(
    planned(
        "cdist_grad",
        _grad_plan,
        _grad_saves,
        vjp=_grad_vjp,
        samples=_grad_samples,
        errors=_grad_errors,
        reference=_grad_reference,
    )
)
