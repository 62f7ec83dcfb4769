"""Products and extrema of the elements that an index brings to one place.

Sums are `scatter_add`. A source has the shape of its index here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from pyautodl.backends import Array, codes
from pyautodl.errors import ShapeError
from pyautodl.ops.index.common import NDArray
from pyautodl.ops.index.gather_scatter import (
    scatter_errors_of,
    scatter_forward_of,
    scatter_rule_of,
)
from pyautodl.ops.record import ErrorCase, Op, Sample, Spec, register
from pyautodl.ops.views import grid

__all__ = ["SCATTER_AMAX", "SCATTER_AMIN", "SCATTER_PROD"]


def _product_vjp(call: Any, ctx: Any, needs: Any, g: Any) -> tuple[Any, ...]:
    x, index, src, out = ctx.saved
    dim = ctx.attrs["dim"]
    gx = gsrc = None
    if needs[0]:
        ones = call("full", shape=ctx.shapes[0], value=1.0, dtype=g.dtype)
        gx = call("grad_mul", g, call("scatter_prod", ones, index, src, dim=dim))
    if needs[2]:
        one = call("full", shape=(), value=1.0, dtype=g.dtype)
        is_zero, alone = _zeros(call, index, src, ctx.shapes[0], dim)
        # where no other factor is 0: the product over the others
        whole = call("gather", call("grad_mul", g, out), index, dim=dim)
        rest = call("div", whole, call("where", is_zero, one, src))
        others = call("where", alone, one, src)
        others = call("scatter_prod", x, index, others, dim=dim)
        others = call("gather", call("grad_mul", g, others), index, dim=dim)
        gsrc = call("where", alone, others, rest)
    return gx, None, gsrc


def _zeros(call: Any, index: Any, src: Any, shape: Any, dim: int) -> tuple[Any, Any]:
    """Where src is 0, and where it is the only such factor that src brings to a place."""
    is_zero = call("eq", src, 0.0)
    count = call("full", shape=shape, value=0.0, dtype=src.dtype)
    each = call("cast", is_zero, dtype=src.dtype)
    count = call("scatter_add", count, index, each, dim=dim)
    once = call("eq", call("gather", count, index, dim=dim), 1.0)
    return is_zero, call("logical_and", is_zero, once)


def _extremum_vjp(call: Any, ctx: Any, needs: Any, g: Any) -> tuple[Any, ...]:
    """The gradient goes in equal parts to the elements that have the value."""
    x, index, src, out = ctx.saved
    dim, dtype = ctx.attrs["dim"], g.dtype
    ties_x = call("cast", call("eq", x, out), dtype=dtype)
    here = call("gather", out, index, dim=dim)
    ties_src = call("cast", call("eq", src, here), dtype=dtype)
    count = call("scatter_add", ties_x, index, ties_src, dim=dim)
    # nothing is equal to a NaN
    share = call("div", g, call("maximum", count, 1.0))
    gx = call("mul", share, ties_x) if needs[0] else None
    gsrc = None
    if needs[2]:
        gsrc = call("mul", call("gather", share, index, dim=dim), ties_src)
    return gx, None, gsrc


def _samples() -> Iterator[Sample]:
    x, src = grid(3, 4) - 6.25, 5.75 - grid(2, 4)
    yield Sample((x, np.array([[0, 2, 0, 1], [0, 1, 2, 2]]), src), {"dim": 0})
    yield Sample((x, np.array([[2, 2], [1, 3]]), src[:, :2]), {"dim": -1})
    yield Sample((x, np.zeros((0, 4), np.int64), src[:0]), {"dim": 0})
    yield Sample((np.array(1.5), np.array(0), np.array(2.5)), {"dim": 0})
    whole = np.arange(4)
    index = np.array([1, 1, 0, 1])
    yield Sample((whole, index, whole[::-1].copy()), {"dim": 0}, gradient=False)
    yield Sample((whole > 1, index, whole > 2), {"dim": 0}, gradient=False)
    special = np.array([1.0, np.nan, np.inf, 2.0])
    inputs = (np.zeros(4), np.array([0, 1, 2, 0]), special)
    yield Sample(inputs, {"dim": 0}, gradient=False)
    inputs = (special, np.array([0, 1, 2, 3]), np.ones(4))
    yield Sample(inputs, {"dim": 0}, gradient=False)
    rng = np.random.default_rng(0)
    inputs = (grid(5, 600), rng.integers(0, 5, (9, 600)), rng.normal(size=(9, 600)))
    yield Sample(inputs, {"dim": 0}, gradient=False)


def _product_samples() -> Iterator[Sample]:
    yield from _samples()
    index = np.array([0, 0, 1, 1, 1])
    # at the places: no 0, one in the source, one in x
    src = np.array([1.5, -2.0, 0.0, 0.75, 3.0])
    yield Sample((np.array([2.0, 1.25]), index, src), {"dim": 0})
    yield Sample((np.array([0.0, 1.25]), index, src), {"dim": 0})


def _extremum_samples() -> Iterator[Sample]:
    yield from _samples()
    inputs = (np.zeros(2), np.array([0, 0, 1]), np.array([0.0, 0.0, 1.0]))
    yield Sample(inputs, {"dim": 0}, gradient=False)


def _make(name: str, how: int, join: np.ufunc, vjp: Any, samples: Any) -> Op:
    shared_rule = scatter_rule_of(name)

    def rule(x: Array, index: Array, src: Array, dim: int) -> tuple[Spec, ...]:
        found: tuple[Spec, ...] = shared_rule(x, index, src, dim)
        if src.shape != index.shape:
            raise ShapeError(
                f"{name}: expected a source of the index's shape {index.shape}, got "
                f"{src.shape}"
            )
        return found

    def reference(x: NDArray, index: NDArray, src: NDArray, dim: int) -> Any:
        if not x.ndim:
            return join(x, src)
        out = x.copy()
        key: list[Any] = list(np.indices(index.shape, sparse=True))
        key[dim] = index
        join.at(out, tuple(key), src)
        return out

    def errors() -> Iterator[ErrorCase]:
        yield from scatter_errors_of(name)()
        match = rf"{name}: expected a source of the index's shape \(1,\), got \(2,\)"
        inputs = (grid(3), np.array([0]), grid(2))
        yield ErrorCase(inputs, {"dim": 0}, ShapeError, match)

    return register(
        Op(
            name=name,
            rule=rule,
            forward=scatter_forward_of(name, how, saves_all=True),
            vjp=vjp,
            samples=samples,
            errors=errors,
            reference=reference,
        )
    )


SCATTER_PROD = _make(
    "scatter_prod", codes.SCATTER_MULTIPLY, np.multiply, _product_vjp, _product_samples
)
SCATTER_AMAX = _make(
    "scatter_amax", codes.SCATTER_MAX, np.maximum, _extremum_vjp, _extremum_samples
)
SCATTER_AMIN = _make(
    "scatter_amin", codes.SCATTER_MIN, np.minimum, _extremum_vjp, _extremum_samples
)
