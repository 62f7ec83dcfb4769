"""Ops that read and write at places named by indices or masks."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from math import prod
from typing import Any

import numpy as np

from pyautodl.backends import Array, Made, constant, contiguous_strides, empty, run
from pyautodl.backends.dtypes import bool_, int64
from pyautodl.errors import DTypeError, ShapeError
from pyautodl.ops.axes import normalize_axis
from pyautodl.ops.layout import ensure_contiguous
from pyautodl.ops.plan import KernelPlan, OuterPlan, Plan, planned, seen
from pyautodl.ops.record import ErrorCase, Op, Places, Sample, Spec, register
from pyautodl.ops.views import copied, filled, grid

__all__ = [
    "EMBEDDING",
    "EMBEDDING_GRAD",
    "GATHER",
    "INDEX_ADD",
    "INDEX_COPY",
    "INDEX_SELECT",
    "MASKED_SCATTER",
    "MASKED_SELECT",
    "NONZERO",
    "ONE_HOT",
    "RAVEL_INDEX",
    "SCATTER",
    "SCATTER_ADD",
]

Ints = tuple[int, ...]
NDArray = np.ndarray[Any, Any]


def _check_index(name: str, index: Array, *, line: bool = False) -> None:
    if index.dtype is not int64:
        raise DTypeError(
            f"{name}: indices must be int64, got {index.dtype.name}; likely fix: .long()"
        )
    if line and index.ndim != 1:
        raise ShapeError(f"{name}: expected a line of indices, got shape {index.shape}")


def _check_same(name: str, x: Array, src: Array) -> None:
    if x.dtype is not src.dtype:
        raise DTypeError(f"{name}: x is {x.dtype.name}, the source {src.dtype.name}")


def _check_mask(name: str, mask: Array) -> None:
    if mask.dtype is not bool_:
        raise DTypeError(f"{name}: the mask must be bool, got {mask.dtype.name}")


def _at_least_1d(x: Array) -> Array:
    return x if x.ndim else x.view((1,), (1,))


def _run_named(name: str, kernel: str, reads: Any, writes: Any, ints: Ints) -> None:
    """Run a kernel; its error bears the op's name, whatever the backend."""
    try:
        run(kernel, reads, writes, ints)
    except IndexError as error:
        raise _named(name, kernel, error) from None


def _named(name: str, kernel: str, error: IndexError) -> IndexError:
    return IndexError(f"{name}: {str(error).removeprefix(f'{kernel}: ')}")


def _replaced(shape: Ints, axis: int, size: int) -> Ints:
    return (*shape[:axis], size, *shape[axis + 1 :])


# ---- gather ----


def _fits(index: Ints, x: Ints, axis: int) -> bool:
    """Whether index is nowhere larger than x, but along the axis."""
    return len(index) == len(x) and all(
        a <= b for i, (a, b) in enumerate(zip(index, x, strict=True)) if i != axis
    )


def _gather_rule(x: Array, index: Array, dim: int) -> tuple[Spec, ...]:
    _check_index("gather", index)
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
    _run_named("gather", "gather", lines[:2], lines[2:], (dim % lines[0].ndim,))
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


def _index_errors(name: str, *src: NDArray) -> Iterator[ErrorCase]:
    x = grid(3)
    for bad in (3, -1):
        match = f"{name}: index {bad} at position 1 .* 0 <= index < 3"
        yield ErrorCase((x, np.array([0, bad]), *src), {"dim": 0}, IndexError, match)
    match = f"{name}: indices must be int64, got float64"
    yield ErrorCase((x, np.array([0.0, 1.0]), *src), {"dim": 0}, DTypeError, match)


def _gather_errors() -> Iterator[ErrorCase]:
    yield from _index_errors("gather")
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


def _scatter_rule_of(name: str) -> Any:
    def rule(x: Array, index: Array, src: Array, dim: int) -> tuple[Spec, ...]:
        _check_index(name, index)
        _check_same(name, x, src)
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


def _scatter_forward_of(name: str, add: bool) -> Any:
    def forward(
        ctx: Any, needs: Any, x: Array, index: Array, src: Array, dim: int
    ) -> Array:
        out = copied(x, ctx.empty_like(x))
        lines = [_at_least_1d(a) for a in (src, index, out)]
        axis = dim % lines[2].ndim
        _run_named(name, "scatter", lines[:2], lines[2:], (axis, int(add)))
        ctx.save(index)
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


def _scatter_errors_of(name: str) -> Any:
    def errors() -> Iterator[ErrorCase]:
        yield from _index_errors(name, grid(2))
        match = f"{name}: index of shape .* does not fit"
        index = np.array([0, 1])
        yield ErrorCase((grid(3), index, grid(1)), {"dim": 0}, ShapeError, match)
        match = f"{name}: x is float64, the source int64"
        yield ErrorCase((grid(3), index, np.arange(2)), {"dim": 0}, DTypeError, match)

    return errors


SCATTER = register(
    Op(
        name="scatter",
        rule=_scatter_rule_of("scatter"),
        forward=_scatter_forward_of("scatter", False),
        vjp=_scatter_vjp,
        samples=_scatter_samples,
        errors=_scatter_errors_of("scatter"),
        reference=_scatter_reference,
    )
)
SCATTER_ADD = register(
    Op(
        name="scatter_add",
        rule=_scatter_rule_of("scatter_add"),
        forward=_scatter_forward_of("scatter_add", True),
        vjp=_scatter_add_vjp,
        samples=_scatter_add_samples,
        errors=_scatter_errors_of("scatter_add"),
        reference=_scatter_add_reference,
    )
)

# ---- index_select ----


class _NamedPlan(OuterPlan):
    """A kernel that checks indices; its error bears the op's name, whatever the backend."""

    __slots__ = ("_kernel", "_name")

    def __init__(self, inner: Plan, name: str, kernel: str) -> None:
        super().__init__(inner)
        self._name, self._kernel = name, kernel

    def around(self, inputs: Any, floats: Any) -> Any:
        try:
            return self._inner.call(inputs, floats)
        except IndexError as error:
            raise _named(self._name, self._kernel, error) from None


def _index_select_plan(x: Array, index: Array, dim: int) -> Plan:
    name = "index_select"
    _check_index(name, index, line=True)
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
    yield from _index_errors("index_select")
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
        _check_index(name, index, line=True)
        _check_same(name, x, src)
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
        _run_named(name, "index_put", (src, index), (out,), ints)
        ctx.save(index)
        return out

    return forward


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
        yield from _index_errors(name, grid(2))
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

# ---- embedding ----


def _embedding_rule(
    weight: Array, index: Array, padding_idx: int = -1
) -> tuple[Spec, ...]:
    _check_index("embedding", index)
    if weight.ndim != 2:
        raise ShapeError(f"embedding: expected a weight (rows, n), got {weight.shape}")
    return (Spec((*index.shape, weight.shape[1]), weight.dtype),)


def _embedding_forward(
    ctx: Any, needs: Any, weight: Array, index: Array, padding_idx: int = -1
) -> Array:
    width = weight.shape[1]
    out: Array = ctx.empty((*index.shape, width), weight.dtype)
    line = ensure_contiguous(ctx, index).view((index.size,), (1,))
    rows = out.view((index.size, width), (width, 1))
    _run_named("embedding", "index_select", (weight, line), (rows,), (0,))
    ctx.save(index)
    return out


def _embedding_vjp(call: Any, ctx: Any, needs: Any, g: Any) -> tuple[Any, ...]:
    (index,) = ctx.saved
    rows, skip = ctx.shapes[0][0], ctx.attrs.get("padding_idx", -1)
    return call("embedding_grad", g, index, rows=rows, padding_idx=skip), None


def _embedding_reference(weight: NDArray, index: NDArray, padding_idx: int = -1) -> Any:
    return weight[index]


def _embedding_samples() -> Iterator[Sample]:
    weight = grid(4, 3)
    yield Sample((weight, np.array([[0, 3], [3, 1]])))
    yield Sample((weight, np.array(2)))
    yield Sample((weight, np.zeros((2, 0), np.int64)))
    many = np.random.default_rng(0).integers(0, 50, (20, 30))
    yield Sample((grid(50, 70), many), gradient=False)


def _embedding_errors() -> Iterator[ErrorCase]:
    weight = grid(4, 3)
    for bad in (4, -1):
        match = f"embedding: index {bad} at position 2 .* 0 <= index < 4"
        index = np.array([[0, 1], [bad, 0]])
        yield ErrorCase((weight, index), {}, IndexError, match)
    yield ErrorCase((grid(4), np.array([0])), {}, ShapeError, "embedding: expected a")
    yield ErrorCase(
        (weight, grid(1)), {}, DTypeError, "embedding: indices must be int64"
    )


EMBEDDING = register(
    Op(
        name="embedding",
        rule=_embedding_rule,
        forward=_embedding_forward,
        vjp=_embedding_vjp,
        samples=_embedding_samples,
        errors=_embedding_errors,
        reference=_embedding_reference,
    )
)


def _embedding_grad_rule(
    g: Array, index: Array, rows: int, padding_idx: int = -1
) -> tuple[Spec, ...]:
    _check_index("embedding_grad", index)
    if g.shape[:-1] != index.shape:
        raise ShapeError(
            f"embedding_grad: expected (*{index.shape}, n) for the indices, got {g.shape}"
        )
    return (Spec((rows, g.shape[-1]), g.dtype),)


def _embedding_grad_forward(
    ctx: Any, needs: Any, g: Array, index: Array, rows: int, padding_idx: int = -1
) -> Array:
    width = g.shape[-1]
    out = filled(ctx.empty((rows, width), g.dtype), 0)
    line = ensure_contiguous(ctx, index).view((index.size,), (1,))
    terms = ensure_contiguous(ctx, g).view((index.size, width), (width, 1))
    ints = (0, 1, padding_idx)
    _run_named("embedding_grad", "index_put", (terms, line), (out,), ints)
    ctx.save(index)
    return out


def _embedding_grad_vjp(call: Any, ctx: Any, needs: Any, g: Any) -> tuple[Any, ...]:
    """The padding row took nothing, so nothing comes back from it."""
    (index,) = ctx.saved
    skip = ctx.attrs.get("padding_idx", -1)
    if skip >= 0:
        width = g.shape[1]
        zeros = call("full", shape=(1, width), value=0.0, dtype=g.dtype)
        row = {"starts": (skip, 0), "sizes": (1, width), "steps": (1, 1)}
        g = call("slice_scatter", g, zeros, shape=g.shape, **row)
    return call("embedding", g, index), None


def _embedding_grad_reference(
    g: NDArray, index: NDArray, rows: int, padding_idx: int = -1
) -> Any:
    out = np.zeros((rows, g.shape[-1]), g.dtype)
    np.add.at(out, index, g)
    if padding_idx >= 0:
        out[padding_idx] = 0
    return out


def _embedding_grad_samples() -> Iterator[Sample]:
    index = np.array([[0, 3], [3, 1]])
    yield Sample((grid(2, 2, 3), index), {"rows": 4})
    yield Sample((grid(2, 2, 3), index), {"rows": 4, "padding_idx": 3})


def _embedding_grad_errors() -> Iterator[ErrorCase]:
    index = np.array([0, 3])
    match = "embedding_grad: index 3 at position 1"
    yield ErrorCase((grid(2, 3), index), {"rows": 3}, IndexError, match)
    match = r"embedding_grad: expected \(\*\(2,\), n\)"
    yield ErrorCase((grid(3, 3), index), {"rows": 4}, ShapeError, match)


EMBEDDING_GRAD = register(
    Op(
        name="embedding_grad",
        rule=_embedding_grad_rule,
        forward=_embedding_grad_forward,
        vjp=_embedding_grad_vjp,
        samples=_embedding_grad_samples,
        errors=_embedding_grad_errors,
        reference=_embedding_grad_reference,
        gradient_of="embedding",
    )
)

# ---- one_hot ----


def _one_hot_rule(index: Array, num_classes: int) -> tuple[Spec, ...]:
    _check_index("one_hot", index)
    if num_classes < 1:
        raise ValueError(f"one_hot: num_classes must be positive, got {num_classes}")
    return (Spec((*index.shape, num_classes), int64),)


def _one_hot_forward(ctx: Any, needs: Any, index: Array, num_classes: int) -> Array:
    out = filled(ctx.empty((*index.shape, num_classes), int64), 0)
    places = index.view((*index.shape, 1), (*index.strides, 1))
    ones = constant(1, int64).view(places.shape, (0,) * places.ndim)
    _run_named("one_hot", "scatter", (ones, places), (out,), (index.ndim, 0))
    return out


def _one_hot_reference(index: NDArray, num_classes: int) -> Any:
    return np.eye(num_classes, dtype=np.int64)[index]


def _one_hot_samples() -> Iterator[Sample]:
    yield Sample((np.array([[0, 2], [1, 2]]),), {"num_classes": 3}, gradient=False)
    yield Sample((np.array(1),), {"num_classes": 2}, gradient=False)
    yield Sample((np.zeros(0, np.int64),), {"num_classes": 2}, gradient=False)


def _one_hot_errors() -> Iterator[ErrorCase]:
    attrs = {"num_classes": 2}
    match = "one_hot: index 2 at position 1 .* 0 <= index < 2"
    yield ErrorCase((np.array([0, 2]),), attrs, IndexError, match)
    yield ErrorCase((grid(2),), attrs, DTypeError, "one_hot: indices must be int64")


ONE_HOT = register(
    Op(
        name="one_hot",
        rule=_one_hot_rule,
        forward=_one_hot_forward,
        samples=_one_hot_samples,
        errors=_one_hot_errors,
        reference=_one_hot_reference,
    )
)

# ---- masks: the shape of the output depends on the values ----


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
    _check_same("masked_scatter", x, src)
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

# ---- ravel_index: one flat index for several, Python's negative ones too ----


def _ravel_index_rule(*indices: Array, sizes: Ints) -> tuple[Spec, ...]:
    if len(indices) != len(sizes) or not indices:
        raise ShapeError(
            f"ravel_index: expected an array of indices for each of {sizes}, got "
            f"{len(indices)}"
        )
    for index in indices:
        _check_index("index", index)
        if index.shape != indices[0].shape:
            shapes = ", ".join(str(each.shape) for each in indices)
            raise ShapeError(f"index: expected equal shapes, got {shapes}")
    return (Spec(indices[0].shape, int64),)


def _ravel_index_forward(ctx: Any, needs: Any, *indices: Array, sizes: Ints) -> Array:
    out: Array = ctx.empty(indices[0].shape, int64)
    limits = _line(sizes)
    try:
        run("ravel_index", (list(indices), limits), (out,))
    except IndexError as error:
        raise _named("index", "ravel_index", error) from None
    return out


@lru_cache(maxsize=1024)
def _line(sizes: Ints) -> Array:
    """Numbers as an array, each copied from a kept constant; not to be changed."""
    out = empty((len(sizes),), int64)
    run("cat", ([constant(n, int64).view((1,), (1,)) for n in sizes],), (out,), (0,))
    return out


def _ravel_index_reference(*indices: NDArray, sizes: Ints) -> Any:
    wrapped = [
        np.where(index < 0, index + n, index)
        for index, n in zip(indices, sizes, strict=True)
    ]
    return np.asarray(np.ravel_multi_index(wrapped, sizes))


def _ravel_index_samples() -> Iterator[Sample]:
    rows, columns = np.array([[0, 1], [-1, 1]]), np.array([[3, -4], [0, 1]])
    yield Sample((rows, columns), {"sizes": (2, 4)}, gradient=False)
    yield Sample((np.array(-1),), {"sizes": (5,)}, gradient=False)
    yield Sample((np.zeros(0, np.int64),), {"sizes": (5,)}, gradient=False)


def _ravel_index_errors() -> Iterator[ErrorCase]:
    match = "index: index -3 at position 1 is out of range"
    yield ErrorCase((np.array([0, -3]),), {"sizes": (2,)}, IndexError, match)
    match = r"index: expected equal shapes, got \(2,\), \(1,\)"
    inputs = (np.array([0, 1]), np.array([0]))
    yield ErrorCase(inputs, {"sizes": (2, 2)}, ShapeError, match)


RAVEL_INDEX = register(
    Op(
        name="ravel_index",
        rule=_ravel_index_rule,
        forward=_ravel_index_forward,
        samples=_ravel_index_samples,
        errors=_ravel_index_errors,
        reference=_ravel_index_reference,
    )
)
