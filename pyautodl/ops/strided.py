"""Memory seen by strides: what changes in place through views are differentiated with.

`base_strides` is the layout of the base, `shape`, `strides` and `offset` (in elements)
the part of it that a view shows.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from pyautodl.backends import (
    Array,
    contiguous_strides,
    empty,
    overlapping_axis,
    run,
)
from pyautodl.errors import DTypeError, ShapeError
from pyautodl.ops.record import ErrorCase, Op, Sample, Spec, register

__all__ = ["ALIAS", "AS_STRIDED", "AS_STRIDED_SCATTER", "STRIDED_VIEW"]

Ints = tuple[int, ...]


def _check_span(name: str, x: Array, shape: Ints, strides: Ints, offset: int) -> None:
    if len(shape) != len(strides):
        raise ShapeError(
            f"{name}: shape {shape} and strides {strides} differ in length"
        )
    last = offset + sum((n - 1) * s for n, s in zip(shape, strides, strict=True))
    if any(s < 0 for s in strides) or offset < 0:
        raise ShapeError(
            f"{name}: strides {strides} and offset {offset} must not be < 0"
        )
    if math.prod(shape) and last >= x.size:
        raise ShapeError(
            f"{name}: shape {shape}, strides {strides} and offset {offset} reach element "
            f"{last}, x has {x.size} (shape {x.shape})"
        )


def _alias_rule(x: Array) -> tuple[Spec, ...]:
    return (Spec(x.shape, x.dtype),)


def _alias_forward(ctx: Any, needs: Any, x: Array) -> Array:
    return x.view(x.shape, x.strides)


def _alias_vjp(call: Any, ctx: Any, needs: Any, g: Any) -> tuple[Any, ...]:
    return (g,)


def _alias_samples() -> Iterator[Sample]:
    yield Sample((np.arange(6.0).reshape(2, 3),))
    yield Sample((np.zeros((0, 2)),))


def _no_errors() -> Iterator[ErrorCase]:
    """Any tensor will do."""
    return iter(())


ALIAS = register(
    Op(
        name="alias",
        rule=_alias_rule,
        forward=_alias_forward,
        vjp=_alias_vjp,
        samples=_alias_samples,
        errors=_no_errors,
        reference=np.copy,
        view=True,
    )
)


def _in_layout(x: Array, strides: Ints) -> Array:
    """A copy of x in the base's layout."""
    copy = empty(x.shape, x.dtype, strides)
    run("copy", (x,), (copy,))
    return copy


def _as_strided_rule(
    x: Array, base_strides: Ints, shape: Ints, strides: Ints, offset: int
) -> tuple[Spec, ...]:
    _check_span("as_strided", x, shape, strides, offset)
    return (Spec(tuple(shape), x.dtype),)


def _as_strided_forward(
    ctx: Any,
    needs: Any,
    x: Array,
    base_strides: Ints,
    shape: Ints,
    strides: Ints,
    offset: int,
) -> Array:
    base = x if x.strides == base_strides else _in_layout(x, base_strides)
    out: Array = ctx.empty(tuple(shape), x.dtype)
    run(
        "copy", (base.view(tuple(shape), tuple(strides), base.offset + offset),), (out,)
    )
    return out


def _as_strided_vjp(call: Any, ctx: Any, needs: Any, g: Any) -> tuple[Any, ...]:
    attrs = ctx.attrs
    zeros = call("full", shape=ctx.shapes[0], value=0.0, dtype=ctx.dtypes[0])
    layout = attrs["base_strides"]
    return (_spread(call, zeros, g, layout, tuple(attrs["strides"]), attrs["offset"]),)


def _spread(
    call: Any, zeros: Any, g: Any, layout: Ints, strides: Ints, offset: int
) -> Any:
    """The gradient of the base: what the elements of a view that share memory get is
    added, as those of `expand` and of overlapping windows do."""
    axis = overlapping_axis(tuple(g.shape), strides)
    if axis is None:
        attrs = {"base_strides": layout, "strides": strides, "offset": offset}
        return call("as_strided_scatter", zeros, g, **attrs)
    stride = strides[axis]
    rest = strides[:axis] + strides[axis + 1 :]
    if stride == 0:
        total = call("sum", g, dim=(axis,), keepdim=False)
        return _spread(call, zeros, total, layout, rest, offset)
    parts = [
        _spread(call, zeros, part, layout, rest, offset + i * stride)
        for i, part in enumerate(call("unbind", g, dim=axis))
    ]
    return functools.reduce(lambda x, y: call("add", x, y), parts)


def _as_strided_reference(
    x: np.ndarray[Any, Any], base_strides: Ints, shape: Ints, strides: Ints, offset: int
) -> np.ndarray[Any, Any]:
    shown: np.ndarray[Any, Any] = _flat(x, base_strides)[
        _places(shape, strides, offset)
    ]
    return shown


def _flat(x: np.ndarray[Any, Any], base_strides: Ints) -> np.ndarray[Any, Any]:
    """The elements in the order of the base's memory."""
    flat = np.empty(x.size, x.dtype)
    flat[_places(x.shape, base_strides, 0)] = x
    return flat


def _places(shape: Ints, strides: Ints, offset: int) -> np.ndarray[Any, Any]:
    grid = np.indices(shape)
    return offset + sum(
        (axis * stride for axis, stride in zip(grid, strides, strict=True)),
        np.zeros(shape, np.int64),
    )


_BASE = {"base_strides": (1, 3), "offset": 1}


def _as_strided_samples() -> Iterator[Sample]:
    x = np.arange(6.0).reshape(3, 2) + 0.5
    yield Sample((x,), {**_BASE, "shape": (2, 2), "strides": (1, 3)})
    yield Sample(
        (x,), {"base_strides": (2, 1), "shape": (3,), "strides": (2,), "offset": 1}
    )
    yield Sample(
        (x,), {"base_strides": (2, 1), "shape": (), "strides": (), "offset": 5}
    )
    yield Sample((x,), {**_BASE, "shape": (0, 2), "strides": (1, 3)})
    yield Sample((x,), {**_BASE, "shape": (3, 2, 2), "strides": (0, 3, 1)})
    yield Sample((x,), {**_BASE, "shape": (2, 3), "strides": (1, 1)})


def _as_strided_errors() -> Iterator[ErrorCase]:
    x = np.zeros((3, 2))
    reach = {**_BASE, "shape": (3, 2), "strides": (1, 3)}
    yield ErrorCase((x,), reach, ShapeError, r"as_strided: .*reach element 6, x has 6")
    negative = {**_BASE, "shape": (2,), "strides": (-1,)}
    yield ErrorCase((x,), negative, ShapeError, r"as_strided: .*must not be < 0")


AS_STRIDED = register(
    Op(
        name="as_strided",
        rule=_as_strided_rule,
        forward=_as_strided_forward,
        vjp=_as_strided_vjp,
        samples=_as_strided_samples,
        errors=_as_strided_errors,
        reference=_as_strided_reference,
    )
)


def _strided_view_forward(
    ctx: Any,
    needs: Any,
    x: Array,
    base_strides: Ints,
    shape: Ints,
    strides: Ints,
    offset: int,
) -> Array:
    base = x if x.strides == base_strides else _in_layout(x, base_strides)
    return base.view(tuple(shape), tuple(strides), base.offset + offset)


STRIDED_VIEW = register(
    Op(
        name="strided_view",
        rule=_as_strided_rule,
        forward=_strided_view_forward,
        vjp=_as_strided_vjp,
        samples=_as_strided_samples,
        errors=_as_strided_errors,
        reference=_as_strided_reference,
        view=True,
    )
)


def _scatter_rule(
    x: Array, v: Array, base_strides: Ints, strides: Ints, offset: int
) -> tuple[Spec, ...]:
    _check_span("as_strided_scatter", x, v.shape, strides, offset)
    if x.dtype is not v.dtype:
        raise DTypeError(
            f"as_strided_scatter: x is {x.dtype.name}, the part {v.dtype.name}"
        )
    return (Spec(x.shape, x.dtype),)


def _scatter_forward(
    ctx: Any,
    needs: Any,
    x: Array,
    v: Array,
    base_strides: Ints,
    strides: Ints,
    offset: int,
) -> Array:
    out: Array = ctx.empty(x.shape, x.dtype, base_strides)
    run("copy", (x,), (out,))
    run("copy", (v,), (out.view(v.shape, tuple(strides), out.offset + offset),))
    return out


def _scatter_vjp(call: Any, ctx: Any, needs: Any, g: Any) -> tuple[Any, ...]:
    attrs = ctx.attrs
    shape = ctx.shapes[1]
    gx = gv = None
    if needs[0]:
        zeros = call("full", shape=shape, value=0.0, dtype=ctx.dtypes[1])
        gx = call("as_strided_scatter", g, zeros, **attrs)
    if needs[1]:
        gv = call("as_strided", g, shape=shape, **attrs)
    return gx, gv


def _scatter_reference(
    x: np.ndarray[Any, Any],
    v: np.ndarray[Any, Any],
    base_strides: Ints,
    strides: Ints,
    offset: int,
) -> np.ndarray[Any, Any]:
    flat = _flat(x, base_strides)
    flat[_places(v.shape, strides, offset)] = v
    changed: np.ndarray[Any, Any] = flat[_places(x.shape, base_strides, 0)]
    return changed


def _scatter_samples() -> Iterator[Sample]:
    x = np.arange(6.0).reshape(3, 2) + 0.5
    yield Sample((x, -np.ones((2, 2))), {**_BASE, "strides": (1, 3)})
    layout = {"base_strides": contiguous_strides(x.shape), "strides": (2,), "offset": 1}
    yield Sample((x, -np.ones(3)), layout)
    yield Sample((x, np.zeros((0, 2))), {**_BASE, "strides": (1, 3)})


def _scatter_errors() -> Iterator[ErrorCase]:
    x = np.zeros((3, 2))
    attrs = {**_BASE, "strides": (1, 3)}
    yield ErrorCase(
        (x, np.zeros((3, 2))), attrs, ShapeError, "as_strided_scatter: .*reach"
    )
    yield ErrorCase((x, np.zeros(2)), attrs, ShapeError, "differ in length")


AS_STRIDED_SCATTER = register(
    Op(
        name="as_strided_scatter",
        rule=_scatter_rule,
        forward=_scatter_forward,
        vjp=_scatter_vjp,
        samples=_scatter_samples,
        errors=_scatter_errors,
        reference=_scatter_reference,
    )
)
