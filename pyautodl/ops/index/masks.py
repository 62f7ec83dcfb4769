"""Reading and writing where a mask is set; the shape may depend on the values."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import Any

import numpy as np

from pyautodl.backends import (
    Array,
    KernelCall,
    Made,
    Seen,
    contiguous_strides,
    empty,
    empty_strides_like,
    prepare_chain,
    run,
)
from pyautodl.backends.array import READS, note_reads
from pyautodl.backends.dtypes import DType, bool_, int64
from pyautodl.errors import DTypeError, ShapeError
from pyautodl.ops.index.common import Ints, NDArray, check_same
from pyautodl.ops.plan import KernelPlan, Plan, planned, seen
from pyautodl.ops.record import ErrorCase, Places, Sample, Spec, register
from pyautodl.ops.views import copied, grid

__all__ = ["MASKED_SCATTER", "MASKED_SELECT", "NONZERO"]


def _check_mask(name: str, mask: Array) -> None:
    if mask.dtype is not bool_:
        raise DTypeError(f"{name}: the mask must be bool, got {mask.dtype.name}")


def _count(mask: Array) -> int:
    """How many elements are set."""
    return int(_count_plan(0, mask).call((mask,), ()).item())


def _count_plan(place: int, mask: Array) -> KernelPlan:
    """The count of what is set in input number `place`."""
    shape = (1,) * mask.ndim
    made = Made(shape, int64, contiguous_strides(shape))
    return KernelPlan("sum", [seen(place, mask)], [made], (), (1.0,))


class _ChosenPlan(Plan):
    """A kernel that gives something for each element that a mask sets.

    Args:
        kernel: it reads the inputs, the mask last.
        place: which input the mask is.
        mask: the mask.
        dtype: of the output.
        more: the shape of what each element gives.
    """

    __slots__ = ("_count", "_dtype", "_kernel", "_more")

    def __init__(
        self, kernel: str, place: int, mask: Array, dtype: DType, more: Ints = ()
    ) -> None:
        super().__init__([Spec((mask.size, *more), dtype)])
        self._kernel, self._dtype, self._more = kernel, dtype, more
        self._count = _count_plan(place, mask)

    def call(self, inputs: Any, floats: Any) -> Array:
        count = self._count.call(inputs, ()).item()
        out = empty((count, *self._more), self._dtype)
        run(self._kernel, inputs, (out,))
        return out

    def forward(self, ctx: Any, inputs: Any, floats: Any) -> Array:
        return self.call(inputs, floats)


def _nonzero_rule(mask: Array) -> tuple[Spec, ...]:
    _check_mask("nonzero", mask)
    return (Spec((_count(mask), mask.ndim), int64),)


def _nonzero_plan(mask: Array) -> Plan:
    _check_mask("nonzero", mask)
    return _ChosenPlan("nonzero", 0, mask, int64, (mask.ndim,))


def _nonzero_samples() -> Iterator[Sample]:
    yield Sample((np.array([[True, False], [True, True]]),), gradient=False)
    yield Sample((np.array(True),), gradient=False)
    yield Sample((np.zeros((0, 2), bool),), gradient=False)
    yield Sample((np.random.default_rng(0).random((30, 40)) > 0.5,), gradient=False)
    yield from (Sample((mask,), gradient=False) for _, mask in _large())


def _nonzero_errors() -> Iterator[ErrorCase]:
    yield ErrorCase((grid(2),), {}, DTypeError, "nonzero: the mask must be bool")


NONZERO = register(
    planned(
        "nonzero",
        _nonzero_plan,
        rule=_nonzero_rule,
        samples=_nonzero_samples,
        errors=_nonzero_errors,
        reference=np.argwhere,
    )
)


def _masked_select_plan(x: Array, mask: Array) -> Plan:
    _check_mask("masked_select", mask)
    if x.shape != mask.shape:
        raise ShapeError(
            f"masked_select: expected a mask of shape {x.shape}, got {mask.shape}"
        )
    return _ChosenPlan("masked_select", 1, mask, x.dtype)


def _masked_select_rule(x: Array, mask: Array) -> tuple[Spec, ...]:
    _masked_select_plan(x, mask)
    return (Spec((_count(mask),), x.dtype),)


def _saves_mask(needs: tuple[bool, ...]) -> Places:
    return (1,)


def _masked_select_vjp(call: Any, ctx: Any, needs: Any, g: Any) -> tuple[Any, ...]:
    (mask,) = ctx.saved
    zeros = call("full", shape=ctx.shapes[0], value=0.0, dtype=g.dtype)
    return call("masked_scatter", zeros, mask, g), None


def _masked_select_reference(x: NDArray, mask: NDArray) -> Any:
    return x[mask]


_MASK = np.array([[True, False, True], [False, False, True]])


def _large() -> Iterator[tuple[NDArray, NDArray]]:
    """More than one thread takes: few set, many, the last ones all or none."""
    rng = np.random.default_rng(3)
    for share, end in ((0.02, True), (0.7, False)):
        mask = rng.random((70, 9, 31)) < share
        mask[-20:] = end
        yield rng.standard_normal(mask.shape), mask


def _masked_select_samples() -> Iterator[Sample]:
    yield Sample((grid(2, 3), _MASK))
    yield Sample((grid(2, 3), np.zeros((2, 3), bool)))
    yield Sample((np.array(1.5), np.array(True)))
    yield Sample((np.zeros((0, 3)), np.zeros((0, 3), bool)))
    yield from (Sample(pair, gradient=False) for pair in _large())


def _masked_select_errors() -> Iterator[ErrorCase]:
    match = r"masked_select: expected a mask of shape \(3,\), got \(2, 3\)"
    yield ErrorCase((grid(3), _MASK), {}, ShapeError, match)
    yield ErrorCase(
        (grid(2), grid(2)), {}, DTypeError, "masked_select: the mask must be"
    )


MASKED_SELECT = register(
    planned(
        "masked_select",
        _masked_select_plan,
        _saves_mask,
        rule=_masked_select_rule,
        vjp=_masked_select_vjp,
        samples=_masked_select_samples,
        errors=_masked_select_errors,
        reference=_masked_select_reference,
    )
)


class _ScatterPlan(Plan):
    """A copy of an array, with the elements of another where a mask is set."""

    __slots__ = ("_chain", "_count")

    def __init__(self, x: Array, mask: Array, src: Array) -> None:
        super().__init__([Spec(x.shape, x.dtype)])
        strides = empty_strides_like(x.shape, x.strides)
        copy = KernelCall("copy", [seen(0, x)], [Made(x.shape, x.dtype, strides)], ())
        out = Seen(3, x.dtype.code, x.shape, strides)
        write = KernelCall("masked_scatter", [seen(2, src), seen(1, mask)], [out], ())
        self._chain = prepare_chain([copy, write], 3, 0, [(3, None)], bare=True)
        self._count = _count_plan(1, mask)

    def call(self, inputs: Any, floats: Any) -> Array:
        x, mask, src = inputs
        count = self._count.call(inputs, ()).item()
        if READS:
            note_reads(-1)  # what is done does not depend on it
        if count > src.size:
            raise ShapeError(
                f"masked_scatter: the mask has {count} elements set, the source "
                f"{src.size} elements (shape {src.shape})"
            )
        if self._chain is not None:
            found: Array = self._chain(inputs, floats)
            return found
        out = copied(x, empty(x.shape, x.dtype, empty_strides_like(x.shape, x.strides)))
        run("masked_scatter", (src, mask), (out,))
        return out

    def forward(self, ctx: Any, inputs: Any, floats: Any) -> Array:
        return self.call(inputs, floats)


def _masked_scatter_plan(x: Array, mask: Array, src: Array) -> Plan:
    _check_mask("masked_scatter", mask)
    check_same("masked_scatter", x, src)
    if x.shape != mask.shape:
        raise ShapeError(
            f"masked_scatter: expected a mask of shape {x.shape}, got {mask.shape}"
        )
    return _ScatterPlan(x, mask, src)


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
    for x, mask in _large():
        yield Sample((x, mask, -x[:, ::-1]), gradient=False)


def _masked_scatter_errors() -> Iterator[ErrorCase]:
    match = "masked_scatter: the mask has 3 elements set, the source 2"
    yield ErrorCase((grid(2, 3), _MASK, grid(2)), {}, ShapeError, match)


MASKED_SCATTER = register(
    planned(
        "masked_scatter",
        _masked_scatter_plan,
        _saves_mask,
        vjp=_masked_scatter_vjp,
        samples=_masked_scatter_samples,
        errors=_masked_scatter_errors,
        reference=_masked_scatter_reference,
    )
)
