"""Reading and writing where a mask is set; the shape may depend on the values."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import Any

import numpy as np

from pyautodl.backends import Array, empty, run
from pyautodl.backends.dtypes import bool_, int64
from pyautodl.errors import DTypeError, ShapeError
from pyautodl.ops.index.common import NDArray, check_same
from pyautodl.ops.record import ErrorCase, Op, Sample, Spec, register
from pyautodl.ops.views import copied, grid

__all__ = ["MASKED_SCATTER", "MASKED_SELECT", "NONZERO"]


def _check_mask(name: str, mask: Array) -> None:
    if mask.dtype is not bool_:
        raise DTypeError(f"{name}: the mask must be bool, got {mask.dtype.name}")


def _count(mask: Array) -> int:
    """How many elements are set."""
    total = empty((1,) * mask.ndim, int64)
    run("sum", (mask,), (total,), (), (1.0,))
    return int(total.numpy().item())


def _nonzero_rule(mask: Array) -> tuple[Spec, ...]:
    _check_mask("nonzero", mask)
    return (Spec((_count(mask), mask.ndim), int64),)


def _nonzero_forward(ctx: Any, needs: Any, mask: Array) -> Array:
    out: Array = ctx.empty((_count(mask), mask.ndim), int64)
    run("nonzero", (mask,), (out,))
    return out


def _nonzero_samples() -> Iterator[Sample]:
    yield Sample((np.array([[True, False], [True, True]]),), gradient=False)
    yield Sample((np.array(True),), gradient=False)
    yield Sample((np.zeros((0, 2), bool),), gradient=False)
    yield Sample((np.random.default_rng(0).random((30, 40)) > 0.5,), gradient=False)


def _nonzero_errors() -> Iterator[ErrorCase]:
    yield ErrorCase((grid(2),), {}, DTypeError, "nonzero: the mask must be bool")


NONZERO = register(
    Op(
        name="nonzero",
        rule=_nonzero_rule,
        forward=_nonzero_forward,
        samples=_nonzero_samples,
        errors=_nonzero_errors,
        reference=np.argwhere,
    )
)


def _masked_select_rule(x: Array, mask: Array) -> tuple[Spec, ...]:
    _check_mask("masked_select", mask)
    if x.shape != mask.shape:
        raise ShapeError(
            f"masked_select: expected a mask of shape {x.shape}, got {mask.shape}"
        )
    return (Spec((_count(mask),), x.dtype),)


def _masked_select_forward(ctx: Any, needs: Any, x: Array, mask: Array) -> Array:
    out: Array = ctx.empty((_count(mask),), x.dtype)
    run("masked_select", (x, mask), (out,))
    ctx.save(mask)
    return out


def _masked_select_vjp(call: Any, ctx: Any, needs: Any, g: Any) -> tuple[Any, ...]:
    (mask,) = ctx.saved
    zeros = call("full", shape=ctx.shapes[0], value=0.0, dtype=g.dtype)
    return call("masked_scatter", zeros, mask, g), None


def _masked_select_reference(x: NDArray, mask: NDArray) -> Any:
    return x[mask]


_MASK = np.array([[True, False, True], [False, False, True]])


def _masked_select_samples() -> Iterator[Sample]:
    yield Sample((grid(2, 3), _MASK))
    yield Sample((grid(2, 3), np.zeros((2, 3), bool)))
    yield Sample((np.array(1.5), np.array(True)))
    yield Sample((np.zeros((0, 3)), np.zeros((0, 3), bool)))


def _masked_select_errors() -> Iterator[ErrorCase]:
    match = r"masked_select: expected a mask of shape \(3,\), got \(2, 3\)"
    yield ErrorCase((grid(3), _MASK), {}, ShapeError, match)
    yield ErrorCase(
        (grid(2), grid(2)), {}, DTypeError, "masked_select: the mask must be"
    )


MASKED_SELECT = register(
    Op(
        name="masked_select",
        rule=_masked_select_rule,
        forward=_masked_select_forward,
        vjp=_masked_select_vjp,
        samples=_masked_select_samples,
        errors=_masked_select_errors,
        reference=_masked_select_reference,
    )
)


def _masked_scatter_rule(x: Array, mask: Array, src: Array) -> tuple[Spec, ...]:
    _check_mask("masked_scatter", mask)
    check_same("masked_scatter", x, src)
    if x.shape != mask.shape:
        raise ShapeError(
            f"masked_scatter: expected a mask of shape {x.shape}, got {mask.shape}"
        )
    if _count(mask) > src.size:
        raise ShapeError(
            f"masked_scatter: the mask has {_count(mask)} elements set, the source "
            f"{src.size} elements (shape {src.shape})"
        )
    return (Spec(x.shape, x.dtype),)


def _masked_scatter_forward(
    ctx: Any, needs: Any, x: Array, mask: Array, src: Array
) -> Array:
    out = copied(x, ctx.empty_like(x))
    run("masked_scatter", (src, mask), (out,))
    ctx.save(mask)
    return out


def _masked_scatter_vjp(call: Any, ctx: Any, needs: Any, g: Any) -> tuple[Any, ...]:
    (mask,) = ctx.saved
    gx = gsrc = None
    if needs[0]:
        zero = call("full", shape=(), value=0.0, dtype=g.dtype)
        gx = call("where", mask, zero, g)
    if needs[2]:
        shape = ctx.shapes[2]
        taken = call("masked_select", g, mask)
        rest = prod(shape) - taken.shape[0]
        line = call("pad", taken, before=(0,), after=(rest,))
        gsrc = call("reshape", line, shape=shape)
    return gx, None, gsrc


def _masked_scatter_reference(x: NDArray, mask: NDArray, src: NDArray) -> Any:
    out = x.copy()
    out[mask] = src.reshape(-1)[: np.count_nonzero(mask)]
    return out


def _masked_scatter_samples() -> Iterator[Sample]:
    yield Sample((grid(2, 3), _MASK, -grid(3)))
    yield Sample((grid(2, 3), _MASK, -grid(2, 2)))
    yield Sample((np.zeros((0, 3)), np.zeros((0, 3), bool), np.zeros(0)))


def _masked_scatter_errors() -> Iterator[ErrorCase]:
    match = "masked_scatter: the mask has 3 elements set, the source 2"
    yield ErrorCase((grid(2, 3), _MASK, grid(2)), {}, ShapeError, match)


MASKED_SCATTER = register(
    Op(
        name="masked_scatter",
        rule=_masked_scatter_rule,
        forward=_masked_scatter_forward,
        vjp=_masked_scatter_vjp,
        samples=_masked_scatter_samples,
        errors=_masked_scatter_errors,
        reference=_masked_scatter_reference,
    )
)
