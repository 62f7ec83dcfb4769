"""Batches of ops along axes that an attribute names."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pyautodl.ops.batching.operands import Operand, shifted, shifted_all

__all__ = ["along", "joined", "reduction", "windows"]

Attrs = Mapping[str, Any]


def along(*names: str, **defaults: int) -> Callable[..., Any]:
    """The rule of an op whose attributes `names` are axes, with what they are if absent."""

    def rule(call: Any, name: str, xs: Sequence[Operand], attrs: Attrs) -> Any:
        given = {**defaults, **attrs}
        moved = {each: shifted_all(given[each]) for each in names if each in given}
        if any(x.is_tensor and not x.shape for x in xs):
            return _of_numbers(call, name, xs, {**given, **moved})
        return call(name, *[x.front() for x in xs], **{**given, **moved})

    return rule


def _of_numbers(call: Any, name: str, xs: Sequence[Operand], attrs: Any) -> Any:
    """Of samples without axes, which count as having one."""
    size = xs[0].size
    y = call(name, *[x.reshaped((1,)) for x in xs], **attrs)
    if isinstance(y, tuple):
        return tuple([call("reshape", each, shape=(size,)) for each in y])
    return call("reshape", y, shape=(size,))


def windows(call: Any, name: str, xs: Sequence[Operand], attrs: Attrs) -> Any:
    """Which have an axis of their own, the only one where a sample has none."""
    (x,) = xs
    if x.shape:
        return call(name, x.value, **{**attrs, "dim": shifted(attrs["dim"])})
    y = call(name, x.reshaped((1,)), **{**attrs, "dim": 1})
    return call("reshape", y, shape=(x.size, attrs["size"]))


def reduction(call: Any, name: str, xs: Sequence[Operand], attrs: Attrs) -> Any:
    """Over some axes, or all of them."""
    (x,) = xs
    dim, ndim = attrs.get("dim"), len(x.shape)
    if dim is not None and dim != () and ndim:
        return call(name, x.value, **{**attrs, "dim": shifted_all(dim)})
    plain = {**attrs, "dim": 1, "keepdim": False}
    y = call(name, x.reshaped((-1,)), **plain)
    shape = (x.size, *((1,) * ndim if attrs.get("keepdim") else ()))
    if isinstance(y, tuple):
        return tuple([call("reshape", each, shape=shape) for each in y])
    return call("reshape", y, shape=shape)


def joined(call: Any, name: str, xs: Sequence[Operand], attrs: Attrs) -> Any:
    """Several inputs side by side; a new axis is counted among theirs."""
    return call(name, *[x.front() for x in xs], dim=shifted_all(attrs["dim"]))
