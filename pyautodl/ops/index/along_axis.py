"""Reading and writing whole parts along an axis."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from pyautodl.backends import Array, Made, contiguous_strides, run
from pyautodl.errors import ShapeError
from pyautodl.ops.axes import normalize_axis
from pyautodl.ops.index.common import (
    Ints,
    NDArray,
    check_index,
    check_same,
    index_errors,
    named_error,
    run_named,
)
from pyautodl.ops.plan import KernelPlan, OuterPlan, Plan, planned, seen
from pyautodl.ops.record import ErrorCase, Op, Places, Sample, Spec, register
from pyautodl.ops.views import copied, grid

__all__ = ["INDEX_ADD", "INDEX_COPY", "INDEX_SELECT", "put_along"]


def _replaced(shape: Ints, axis: int, size: int) -> Ints:
    return (*shape[:axis], size, *shape[axis + 1 :])


# ---- index_select ----


class _NamedPlan(OuterPlan):
    """A kernel that checks indices; its error bears the op's name, whatever the backend."""

    __slots__ = ("_kernel", "_name")

    def __init__(self, inner: Plan, name: str, kernel: str) -> None:
        super().__init__(inner)
        self._name, self._kernel = name, kernel

    def call(self, inputs: Any, floats: Any) -> Any:
        try:
            return self._inner.call(inputs, floats)
        except IndexError as error:
            raise named_error(self._name, self._kernel, error) from None


def _index_select_plan(x: Array, index: Array, dim: int) -> Plan:
    name = "index_select"
    check_index(name, index, line=True)
    if not x.ndim:
        raise ShapeError(f"{name}: expected at least one axis, got shape ()")
    axis = normalize_axis(name, dim, x.ndim, x.shape)
    shape = _replaced(x.shape, axis, index.size)
    made = Made(shape, x.dtype, contiguous_strides(shape))
    plan = KernelPlan(name, [seen(0, x), seen(1, index)], [made], (axis,))
    return _NamedPlan(plan, name, name)


def _index_select_saves(needs: tuple[bool, ...]) -> Places:
    return (1,)


def _index_select_vjp(call: Any, ctx: Any, needs: Any, g: Any) -> tuple[Any, ...]:
    (index,) = ctx.saved
    zeros = call("full", shape=ctx.shapes[0], value=0.0, dtype=ctx.dtypes[0])
    return call("index_add", zeros, index, g, dim=ctx.attrs["dim"]), None


def _index_select_reference(x: NDArray, index: NDArray, dim: int) -> Any:
    return x.take(index, dim)


def _index_select_samples() -> Iterator[Sample]:
    x = grid(3, 4, 2)
    for dim in (0, 1, -1):
        yield Sample((x, np.array([1, 0, 1])), {"dim": dim})
    yield Sample((x, np.zeros(0, np.int64)), {"dim": 1})
    yield Sample((grid(3), np.array([2, 2])), {"dim": 0})
    many = np.random.default_rng(0).integers(0, 40, 300)
    yield Sample((grid(40, 33), many), {"dim": 0}, gradient=False)
    yield Sample((grid(33, 40), many), {"dim": 1}, gradient=False)


def _index_select_errors() -> Iterator[ErrorCase]:
    yield from index_errors("index_select")
    match = r"index_select: expected a line of indices, got shape \(1, 1\)"
    yield ErrorCase((grid(2), np.array([[0]])), {"dim": 0}, ShapeError, match)


INDEX_SELECT = register(
    planned(
        "index_select",
        _index_select_plan,
        _index_select_saves,
        vjp=_index_select_vjp,
        samples=_index_select_samples,
        errors=_index_select_errors,
        reference=_index_select_reference,
    )
)

# ---- index_add, index_copy ----


def _index_put_rule_of(name: str) -> Any:
    def rule(x: Array, index: Array, src: Array, dim: int) -> tuple[Spec, ...]:
        check_index(name, index, line=True)
        check_same(name, x, src)
        if not x.ndim:
            raise ShapeError(f"{name}: expected at least one axis, got shape ()")
        axis = normalize_axis(name, dim, x.ndim, x.shape)
        wanted = _replaced(x.shape, axis, index.size)
        if src.shape != wanted:
            raise ShapeError(
                f"{name}: expected a source of shape {wanted} for x of shape {x.shape} "
                f"and {index.size} indices along axis {axis}, got {src.shape}"
            )
        return (Spec(x.shape, x.dtype),)

    return rule


def _index_put_forward_of(name: str, add: bool) -> Any:
    def forward(
        ctx: Any, needs: Any, x: Array, index: Array, src: Array, dim: int
    ) -> Array:
        out = copied(x, ctx.empty_like(x))
        ints = (dim % x.ndim, int(add), -1)
        run_named(name, "index_put", (src, index), (out,), ints)
        ctx.save(index)
        return out

    return forward


def put_along(x: Array, index: Array, src: Array, dim: int, add: bool = False) -> None:
    """Write parts along an axis of x in place, or add them; the indices were checked."""
    run("index_put", (src, index), (x,), (dim, int(add), -1))
    x.storage.version += 1


def _index_add_vjp(call: Any, ctx: Any, needs: Any, g: Any) -> tuple[Any, ...]:
    (index,) = ctx.saved
    dim = ctx.attrs["dim"]
    src = call("index_select", g, index, dim=dim) if needs[2] else None
    return g if needs[0] else None, None, src


def _index_copy_vjp(call: Any, ctx: Any, needs: Any, g: Any) -> tuple[Any, ...]:
    (index,) = ctx.saved
    dim = ctx.attrs["dim"]
    gx = None
    if needs[0]:
        zeros = call("full", shape=ctx.shapes[2], value=0.0, dtype=g.dtype)
        gx = call("index_copy", g, index, zeros, dim=dim)
    return gx, None, call("index_select", g, index, dim=dim) if needs[2] else None


def _index_add_reference(x: NDArray, index: NDArray, src: NDArray, dim: int) -> Any:
    out = x.copy()
    np.add.at(np.moveaxis(out, dim, 0), index, np.moveaxis(src, dim, 0))
    return out


def _index_copy_reference(x: NDArray, index: NDArray, src: NDArray, dim: int) -> Any:
    out = x.copy()
    np.moveaxis(out, dim, 0)[index] = np.moveaxis(src, dim, 0)
    return out


def _index_copy_samples() -> Iterator[Sample]:
    x = grid(3, 4)
    yield Sample((x, np.array([2, 0]), -grid(2, 4)), {"dim": 0})
    yield Sample((x, np.array([3]), -grid(3, 1)), {"dim": -1})
    yield Sample((x, np.zeros(0, np.int64), grid(0, 4)), {"dim": 0})


def _index_add_samples() -> Iterator[Sample]:
    yield from _index_copy_samples()
    yield Sample((grid(3, 2), np.array([1, 1, 0]), -grid(3, 2)), {"dim": 0})
    many = np.random.default_rng(0).integers(0, 5, 300)
    yield Sample((grid(5, 70), many, grid(300, 70)), {"dim": 0}, gradient=False)
    yield Sample((grid(70, 5), many, grid(70, 300)), {"dim": 1}, gradient=False)


def _index_put_errors_of(name: str) -> Any:
    def errors() -> Iterator[ErrorCase]:
        yield from index_errors(name, grid(2))
        match = rf"{name}: expected a source of shape \(2,\) for x of shape \(3,\)"
        index = np.array([0, 1])
        yield ErrorCase((grid(3), index, grid(3)), {"dim": 0}, ShapeError, match)

    return errors


INDEX_ADD = register(
    Op(
        name="index_add",
        rule=_index_put_rule_of("index_add"),
        forward=_index_put_forward_of("index_add", True),
        vjp=_index_add_vjp,
        samples=_index_add_samples,
        errors=_index_put_errors_of("index_add"),
        reference=_index_add_reference,
    )
)

INDEX_COPY = register(
    Op(
        name="index_copy",
        rule=_index_put_rule_of("index_copy"),
        forward=_index_put_forward_of("index_copy", False),
        vjp=_index_copy_vjp,
        samples=_index_copy_samples,
        errors=_index_put_errors_of("index_copy"),
        reference=_index_copy_reference,
    )
)
