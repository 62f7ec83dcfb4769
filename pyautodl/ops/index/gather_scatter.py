"""Reading and writing elements along an axis, at an index for each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from pyautodl.backends import Array, codes
from pyautodl.errors import DTypeError, ShapeError
from pyautodl.ops.axes import normalize_axis
from pyautodl.ops.index.common import (
    Ints,
    NDArray,
    check_index,
    check_same,
    index_errors,
    run_named,
)
from pyautodl.ops.record import ErrorCase, Op, Sample, Spec, register
from pyautodl.ops.views import copied, grid

__all__ = [
    "GATHER",
    "SCATTER",
    "SCATTER_ADD",
    "scatter_errors_of",
    "scatter_forward_of",
    "scatter_rule_of",
]


def _at_least_1d(x: Array) -> Array:
    return x if x.ndim else x.view((1,), (1,))


# ---- gather ----


def _fits(index: Ints, x: Ints, axis: int) -> bool:
    """Whether index is nowhere larger than x, but along the axis."""
    return len(index) == len(x) and all(
        a <= b for i, (a, b) in enumerate(zip(index, x, strict=True)) if i != axis
    )


def _gather_rule(x: Array, index: Array, dim: int) -> tuple[Spec, ...]:
    check_index("gather", index)
    axis = normalize_axis("gather", dim, x.ndim, x.shape)
    if not _fits(index.shape, x.shape, axis):
        raise ShapeError(
            f"gather: index of shape {index.shape} does not fit x of shape {x.shape} "
            f"(they may differ along axis {axis})"
        )
    return (Spec(index.shape, x.dtype),)


def _gather_forward(ctx: Any, needs: Any, x: Array, index: Array, dim: int) -> Array:
    out: Array = ctx.empty(index.shape, x.dtype)
    lines = [_at_least_1d(a) for a in (x, index, out)]
    run_named("gather", "gather", lines[:2], lines[2:], (dim % lines[0].ndim,))
    ctx.save(index)
    return out


def _gather_vjp(call: Any, ctx: Any, needs: Any, g: Any) -> tuple[Any, ...]:
    (index,) = ctx.saved
    zeros = call("full", shape=ctx.shapes[0], value=0.0, dtype=ctx.dtypes[0])
    return call("scatter_add", zeros, index, g, dim=ctx.attrs["dim"]), None


def _key(index: NDArray, dim: int) -> tuple[Any, ...]:
    key: list[Any] = list(np.indices(index.shape, sparse=True))
    key[dim] = index
    return tuple(key)


def _gather_reference(x: NDArray, index: NDArray, dim: int) -> Any:
    return x[_key(index, dim)] if x.ndim else x.copy()


def _gather_samples() -> Iterator[Sample]:
    x = grid(3, 4)
    yield Sample((x, np.array([[0, 2, 0, 1], [2, 2, 1, 1]])), {"dim": 0})
    yield Sample((x, np.array([[3, 3, 0, 1, 2]])), {"dim": -1})
    yield Sample((np.array(1.5), np.array(0)), {"dim": 0})
    yield Sample((x, np.zeros((0, 4), np.int64)), {"dim": 0})
    wide = np.random.default_rng(0).integers(0, 4, (3, 700))
    yield Sample((x, wide), {"dim": 1}, gradient=False)
    yield Sample((grid(700, 4), wide.T[:, :2]), {"dim": 1}, gradient=False)


def _gather_errors() -> Iterator[ErrorCase]:
    yield from index_errors("gather")
    match = r"gather: index of shape \(2,\) does not fit x of shape \(2, 2\)"
    yield ErrorCase((grid(2, 2), np.array([0, 1])), {"dim": 0}, ShapeError, match)


GATHER = register(
    Op(
        name="gather",
        rule=_gather_rule,
        forward=_gather_forward,
        vjp=_gather_vjp,
        samples=_gather_samples,
        errors=_gather_errors,
        reference=_gather_reference,
    )
)

# ---- scatter, scatter_add ----


def scatter_rule_of(name: str) -> Any:
    """The checks of an op that writes a source to places of x."""

    def rule(x: Array, index: Array, src: Array, dim: int) -> tuple[Spec, ...]:
        check_index(name, index)
        check_same(name, x, src)
        axis = normalize_axis(name, dim, x.ndim, x.shape)
        if not _fits(index.shape, x.shape, axis) or not _fits(
            index.shape, src.shape, -1
        ):
            raise ShapeError(
                f"{name}: index of shape {index.shape} does not fit x of shape {x.shape} "
                f"and a source of shape {src.shape}"
            )
        return (Spec(x.shape, x.dtype),)

    return rule


def scatter_forward_of(name: str, how: int, saves_all: bool = False) -> Any:
    """What runs the kernel and saves the indices, or all inputs and the output."""

    def forward(
        ctx: Any, needs: Any, x: Array, index: Array, src: Array, dim: int
    ) -> Array:
        out = copied(x, ctx.empty_like(x))
        lines = [_at_least_1d(a) for a in (src, index, out)]
        axis = dim % lines[2].ndim
        run_named(name, "scatter", lines[:2], lines[2:], (axis, how))
        ctx.save(*((x, index, src, out) if saves_all else (index,)))
        return out

    return forward


def _scatter_add_vjp(call: Any, ctx: Any, needs: Any, g: Any) -> tuple[Any, ...]:
    (index,) = ctx.saved
    return g if needs[0] else None, None, _taken(call, ctx, needs, g, index)


def _taken(call: Any, ctx: Any, needs: Any, g: Any, index: Any) -> Any:
    """The gradient of a source: what came to its places; what was not read has none."""
    if not needs[2]:
        return None
    part = call("gather", g, index, dim=ctx.attrs["dim"])
    shape = ctx.shapes[2]
    if part.shape == shape:
        return part
    after = tuple(n - m for n, m in zip(shape, part.shape, strict=True))
    return call("pad", part, before=(0,) * len(shape), after=after)


def _scatter_vjp(call: Any, ctx: Any, needs: Any, g: Any) -> tuple[Any, ...]:
    (index,) = ctx.saved
    gx = None
    if needs[0]:
        zeros = call("full", shape=index.shape, value=0.0, dtype=g.dtype)
        gx = call("scatter", g, index, zeros, dim=ctx.attrs["dim"])
    return gx, None, _taken(call, ctx, needs, g, index)


def _scatter_reference(x: NDArray, index: NDArray, src: NDArray, dim: int) -> Any:
    out = x.copy()
    if not x.ndim:
        return src.copy()
    out[_key(index, dim)] = src[tuple(slice(n) for n in index.shape)]
    return out


def _scatter_add_reference(x: NDArray, index: NDArray, src: NDArray, dim: int) -> Any:
    out = x.copy()
    if not x.ndim:
        return x + src
    np.add.at(out, _key(index, dim), src[tuple(slice(n) for n in index.shape)])
    return out


def _scatter_samples() -> Iterator[Sample]:
    x, src = grid(3, 4), -grid(2, 4)
    yield Sample((x, np.array([[0, 2, 0, 1], [1, 1, 2, 2]]), src), {"dim": 0})
    yield Sample((x, np.array([[2, 0], [1, 3]]), src), {"dim": -1})
    yield Sample((x, np.zeros((0, 4), np.int64), src), {"dim": 0})
    yield Sample((np.array(1.5), np.array(0), np.array(2.5)), {"dim": 0})


def _scatter_add_samples() -> Iterator[Sample]:
    yield from _scatter_samples()
    yield Sample((grid(3), np.array([1, 1, 1, 0]), -grid(4)), {"dim": 0})
    index = np.random.default_rng(0).integers(0, 5, (40, 600))
    yield Sample((grid(5, 600), index, grid(40, 600)), {"dim": 0}, gradient=False)


def scatter_errors_of(name: str) -> Any:
    """What such an op refuses."""

    def errors() -> Iterator[ErrorCase]:
        yield from index_errors(name, grid(2))
        match = f"{name}: index of shape .* does not fit"
        index = np.array([0, 1])
        yield ErrorCase((grid(3), index, grid(1)), {"dim": 0}, ShapeError, match)
        match = f"{name}: x is float64, the source int64"
        yield ErrorCase((grid(3), index, np.arange(2)), {"dim": 0}, DTypeError, match)

    return errors


SCATTER = register(
    Op(
        name="scatter",
        rule=scatter_rule_of("scatter"),
        forward=scatter_forward_of("scatter", codes.SCATTER_WRITE),
        vjp=_scatter_vjp,
        samples=_scatter_samples,
        errors=scatter_errors_of("scatter"),
        reference=_scatter_reference,
    )
)

SCATTER_ADD = register(
    Op(
        name="scatter_add",
        rule=scatter_rule_of("scatter_add"),
        forward=scatter_forward_of("scatter_add", codes.SCATTER_ADD),
        vjp=_scatter_add_vjp,
        samples=_scatter_add_samples,
        errors=scatter_errors_of("scatter_add"),
        reference=_scatter_add_reference,
    )
)
