"""What elementwise ops share: checks, layouts of results, forward rules, samples.

Operands have one element type and broadcast; the result lies as the first operand of
its shape that is dense. Every gradient multiplies through `grad_mul`, or a fused kernel
that means the same: where the incoming gradient is exactly 0 so is what goes out,
whatever the derivative.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from pyautodl.backends import Array, Made, dense_order, empty_strides_like
from pyautodl.backends.dtypes import BOOLEAN, FLOATING, INTEGRAL, DType, bool_
from pyautodl.errors import DTypeError, ShapeError
from pyautodl.ops.axes import broadcast_shapes
from pyautodl.ops.plan import KernelPlan, planned, seen
from pyautodl.ops.record import ErrorCase, Op, Places, Sample, register

__all__ = [
    "ANY",
    "FLOATS",
    "INTS",
    "NUMBERS",
    "WHOLE",
    "back",
    "bool_op",
    "broadcast_layout",
    "in_order",
    "map_op",
]

Ints = tuple[int, ...]
NDArray = np.ndarray[Any, Any]

# the categories of element types that an op takes
FLOATS = (FLOATING,)
INTS = (INTEGRAL,)
NUMBERS = (INTEGRAL, FLOATING)
WHOLE = (BOOLEAN, INTEGRAL)
ANY = (BOOLEAN, INTEGRAL, FLOATING)

_EXPECTED = {
    FLOATS: "a floating tensor",
    INTS: "an integer tensor",
    NUMBERS: "a tensor of numbers",
    WHOLE: "an integer or bool tensor",
}
_KINDS: dict[int, Any] = {FLOATING: np.float64, INTEGRAL: np.int64, BOOLEAN: np.bool_}


def _layout_of(arrays: Sequence[Array]) -> tuple[Ints, Ints]:
    shape = broadcast_shapes(*[x.shape for x in arrays])
    for x in arrays:
        if x.shape == shape and dense_order(shape, x.strides) is not None:
            return shape, empty_strides_like(shape, x.strides)
    return shape, empty_strides_like(shape, (0,) * len(shape))


def _describe(arrays: Sequence[Array]) -> str:
    return ", ".join(f"{a.dtype.name} {a.shape}" for a in arrays)


def _check_types(
    name: str, arrays: Sequence[Array], categories: tuple[int, ...]
) -> None:
    dtype = arrays[0].dtype
    if dtype.category not in categories:
        hint = "; use .float()" if categories == FLOATS else ""
        raise DTypeError(
            f"{name}: expected {_EXPECTED[categories]}, got {_describe(arrays)}{hint}"
        )
    for other in arrays[1:]:
        if other.dtype is not dtype:
            raise DTypeError(
                f"{name}: expected operands of one element type, got "
                f"{_describe(arrays)}"
            )


def broadcast_layout(name: str, arrays: Sequence[Array]) -> tuple[Ints, Ints]:
    """Shape and strides of an op's result.

    Raises:
        ShapeError: the shapes do not broadcast.
    """
    try:
        return _layout_of(arrays)
    except ShapeError:
        shapes = [a.shape for a in arrays]
        raise ShapeError(
            f"{name}: shapes do not broadcast: {', '.join(map(str, shapes))}"
            f"{_broadcast_fix(shapes)}"
        ) from None


def _broadcast_fix(shapes: Sequence[Ints]) -> str:
    """What makes two shapes fit: 1 for axes that are missing at an end, or other places."""
    if len(shapes) != 2:
        return ""
    a, b = shapes
    if len(a) == len(b):
        turned = len(a) > 1 and _fit((*a[:-2], a[-1], a[-2]), b)
        if turned:
            return f"; likely fix: {'.T' if len(a) == 2 else '.mT'} of one of them"
        apart = [i for i, pair in enumerate(zip(a, b)) if not _fit(*zip(pair))]
        return f" differ in axis {', '.join(map(str, apart))}"
    few, many = sorted(shapes, key=len)
    for behind in range(len(many) - len(few), 0, -1):
        begin = len(many) - len(few) - behind
        if _fit(few, many[begin : begin + len(few)]):
            fix = ".unsqueeze(-1)"
            if behind > 1:
                kept = "-1" if len(few) == 1 else ", ".join(map(str, few))
                fix = f".reshape({kept}{', 1' * behind})"
            reduced = "" if begin else ", or keepdim=True where its axes went"
            return f"; likely fix: {fix} of {few}{reduced}"
    return ""


def _fit(shape: Ints, other: Ints) -> bool:
    """Whether sizes that stand beside each other are equal, or 1."""
    return all(n == m or 1 in (n, m) for n, m in zip(shape, other, strict=True))


def back(call: Any, ctx: Any, i: int, g: Any) -> Any:
    """A gradient of the result's shape summed to the shape of input i."""
    shape = ctx.shapes[i]
    return g if g._array.shape == shape else call("sum_to", g, shape=shape)


# ---- plans ----


def _make_plan(
    name: str,
    kernel: str,
    categories: tuple[int, ...],
    result: DType | None,
    floats: tuple[float, ...],
) -> Callable[..., KernelPlan]:
    def plan(*arrays: Array) -> KernelPlan:
        _check_types(name, arrays, categories)
        shape, strides = broadcast_layout(name, arrays)
        made = Made(shape, result or arrays[0].dtype, strides)
        reads = [seen(i, x) for i, x in enumerate(arrays)]
        return KernelPlan(kernel, reads, [made], (), floats)

    return plan


def _make_saves(keeps: tuple[str, ...]) -> Callable[[tuple[bool, ...]], Places]:
    """Which operands to save, and the result, in the order x, y, z, o."""
    letters = [letter for letter in "xyzo" if letter in "".join(keeps)]
    places = {letter: i for i, letter in enumerate("xyz"[: len(keeps)] + "o")}

    def saves(needs: tuple[bool, ...]) -> Places:
        wanted = "".join(keep for keep, need in zip(keeps, needs) if need)
        return tuple([places[each] if each in wanted else None for each in letters])

    return saves


def in_order(**attrs: float) -> tuple[float, ...]:
    """The kernel's parameters: the attributes in their order."""
    return tuple(attrs.values())


# ---- samples ----

# more than a block of the walk, so that every path of it is taken
_LONG = 530


def _away(values: NDArray, kinks: Sequence[float]) -> NDArray:
    """The values moved off the kinks, far enough for differences."""
    for kink in kinks:
        values = np.where(np.abs(values - kink) < 0.05, kink + 0.1, values)
    return values


def _draw(
    rng: np.random.Generator, shape: Ints, low: float, high: float, kinks: Any
) -> NDArray:
    return np.asarray(_away(rng.uniform(low, high, shape), kinks))


def _unary_samples(
    categories: tuple[int, ...],
    domain: tuple[float, float],
    kinks: Sequence[float],
    cases: Sequence[dict[str, Any]],
    special: Sequence[float],
) -> Iterator[Sample]:
    rng = np.random.default_rng(1)
    if FLOATING in categories:
        for attrs in cases:
            yield Sample((_draw(rng, (2, 3), *domain, kinks),), attrs)
        yield Sample((_draw(rng, (), *domain, kinks),), cases[0])
        yield Sample((np.zeros((0, 3)),), cases[0])
        long = rng.uniform(*domain, _LONG)
        long[: len(special)] = special
        yield Sample((long,), cases[0], gradient=False)
    if INTEGRAL in categories:
        yield Sample((np.arange(-3, 4),), cases[0], gradient=False)
        yield Sample((np.arange(9, dtype=np.uint8),), cases[0], gradient=False)
    if BOOLEAN in categories:
        yield Sample((np.array([True, False]),), cases[0], gradient=False)


_SHAPES: tuple[tuple[Ints, Ints], ...] = (
    ((2, 3), (2, 3)),
    ((2, 3), (3,)),
    ((2, 1), (1, 3)),
    ((), (3,)),
    ((1, 1), (1,)),
    ((0, 3), (3,)),
)
# a bias along short and long rows, a factor for each row
_LONG_SHAPES: tuple[tuple[Ints, Ints], ...] = (
    ((180, 3), (3,)),
    ((2, _LONG), (_LONG,)),
    ((2, _LONG), (2, 1)),
    ((_LONG,), ()),
)


def _several_samples(
    reads: int,
    categories: tuple[int, ...],
    domains: Sequence[tuple[float, float]],
    kinks: Sequence[float],
    cases: Sequence[dict[str, Any]],
) -> Iterator[Sample]:
    rng = np.random.default_rng(2)

    def inputs(shapes: tuple[Ints, Ints]) -> tuple[NDArray, ...]:
        full = (*shapes, shapes[0])[:reads]
        return tuple(_draw(rng, s, *d, kinks) for s, d in zip(full, domains))

    if FLOATING in categories:
        for attrs in cases:
            yield Sample(inputs(_SHAPES[0]), attrs)
        for shapes in _SHAPES[1:]:
            yield Sample(inputs(shapes), cases[0])
        for shapes in _LONG_SHAPES:
            yield Sample(inputs(shapes), cases[0], gradient=False)
    for category in (INTEGRAL, BOOLEAN):
        if category in categories:
            kind = _KINDS[category]
            given = tuple((4 * x).astype(kind) for x in inputs(((5, 4), (4,))))
            yield Sample(given, cases[0], gradient=False)


def _make_errors(name: str, reads: int, categories: tuple[int, ...], attrs: Any) -> Any:
    def errors() -> Iterator[ErrorCase]:
        if categories != ANY:
            wrong = next(c for c in ANY if c not in categories)
            bad = tuple(np.zeros(2, _KINDS[wrong]) for _ in range(reads))
            yield ErrorCase(bad, attrs, DTypeError, f"{name}: expected ")
        kind = _KINDS[categories[-1]]
        if reads > 1:
            x, y = np.zeros((2, 3), kind), np.zeros(2, kind)
            rest = (x,) * (reads - 2)
            match = f"{name}: shapes do not broadcast"
            yield ErrorCase((x, y, *rest), attrs, ShapeError, match)
            other = np.zeros(3, np.int32)
            match = f"{name}: expected operands of one element type"
            yield ErrorCase((x, other, *rest), attrs, DTypeError, match)

    return errors


# ---- the record ----


def map_op(
    name: str,
    *keeps: str,
    vjp: Callable[..., tuple[Any, ...]] | None,
    takes: tuple[int, ...] = FLOATS,
    kernel: str | None = None,
    result: DType | None = None,
    params: Callable[..., tuple[float, ...]] | None = in_order,
    floats: tuple[float, ...] = (),
    cases: Sequence[dict[str, Any]] = ({},),
    domain: Any = (-2.0, 2.0),
    kinks: Sequence[float] = (),
    special: Sequence[float] = (),
    gradient_of: str | None = None,
    forward: Any = None,
) -> Op:
    """Register an op of as many operands as there are `keeps`.

    Args:
        name: the op's name.
        *keeps: for each operand, what its gradient needs: letters of x, y, z (the
            operands) and o (the result). They are saved in this order, None where no
            wanted gradient needs them.
        vjp: as in `Op`.
        takes: the categories of element types.
        kernel: its name, if it is another.
        result: the result's element type, if it is another.
        params: the attributes to the kernel's parameters, default as they stand; None: it
            takes `floats`.
        floats: parameters that are always the same.
        cases: attributes for the samples.
        domain: where samples are drawn from, for all operands or for each.
        kinks: values that samples with a gradient avoid.
        special: values that one long sample contains.
        gradient_of: as in `Op`.
        forward: instead of one that runs `kernel`.
    """
    reads = len(keeps)
    domains = domain if isinstance(domain, list) else [domain] * reads

    def samples() -> Iterator[Sample]:
        if reads == 1:
            return _unary_samples(takes, domains[0], kinks, cases, special)
        return _several_samples(reads, takes, domains, kinks, cases)

    fields: dict[str, Any] = {
        "vjp": vjp,
        "samples": samples,
        "errors": _make_errors(name, reads, takes, cases[0]),
        "gradient_of": gradient_of,
        "elementwise": True,
        "keeps_first": "x" in "".join(keeps),
    }
    plan = _make_plan(name, kernel or name, takes, result, floats)
    op = planned(name, plan, _make_saves(keeps), params, **fields)
    if forward is not None:
        op = Op(name, op.rule, forward, **fields)
    return register(op)


def bool_op(name: str, reads: int, takes: tuple[int, ...] = ANY) -> Op:
    """Register an op whose result is bool."""
    return map_op(name, *[""] * reads, vjp=None, takes=takes, result=bool_)
