"""Arguments that are integers (sizes, axes, counts), checked once for all functions.

An integer is what `operator.index` takes: ints, NumPy's integers, arrays and tensors of
one of them. A float is none, whole or not: where it comes from there is a division. A
bool is none either: it was meant for another argument.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import index
from typing import Any, NamedTuple, get_type_hints

import numpy as np

from pyautodl.errors import ShapeError, describe
from pyautodl.ops.record import Op

__all__ = [
    "Kind",
    "declared_integers",
    "each_axis",
    "integer",
    "integers",
    "not_integer",
    "one_or_several",
    "several",
    "shape_from",
    "with_integers",
]

Ints = tuple[int, ...]


class Kind(NamedTuple):
    """Whether an attribute may be one integer, several, or None."""

    one: bool
    several: bool
    none: bool


# by annotation
_DECLARED: dict[Any, Kind] = {
    int: Kind(True, False, False),
    int | None: Kind(True, False, True),
    Ints: Kind(False, True, False),
    int | Ints | None: Kind(True, True, True),
}


def not_integer(name: str, what: str, wanted: str, value: Any) -> TypeError:
    """The error for a value that is no integer, `wanted` in its place."""
    each = value if isinstance(value, (tuple, list)) else (value,)
    if any(getattr(one, "shape", ()) for one in each):
        fix = "; likely fix: its .shape" if what == "sizes" else ""
    else:
        number = any(hasattr(one, "__float__") for one in each)
        fix = "; likely fix: // in place of /, or int(...)" if number else ""
        if any(isinstance(one, (bool, np.bool_)) for one in each):
            fix = "; likely fix: int(...), if it is no other argument's"
    return TypeError(f"{name}: {what} must be {wanted}, got {describe(value)}{fix}")


def _number(value: Any) -> int:
    if type(value) is bool:
        raise TypeError
    return index(value)


def _numbers(values: Any) -> Ints:
    return tuple([each if type(each) is int else _number(each) for each in values])


def integer(name: str, what: str, value: Any) -> int:
    """The argument `what` of the function `name` as an int.

    Raises:
        TypeError: it is no integer.
    """
    if type(value) is int:
        return value
    try:
        return _number(value)
    except TypeError:
        raise not_integer(name, what, "an int", value) from None


def as_seed(name: str, seed: Any) -> int:
    """A seed as kernels take it, in 64 bits with a sign.

    Raises:
        TypeError: it is no integer.
        ValueError: it does not fit into 64 bits.
    """
    seed = integer(name, "seed", seed)
    if not -(2**63) <= seed < 2**64:
        raise ValueError(
            f"{name}: expected a seed from -2**63 to 2**64 - 1, got {seed}"
        )
    return (seed + 2**63) % 2**64 - 2**63


def integers(name: str, what: str, values: Any) -> Ints:
    """The argument `what` of the function `name`, a sequence, as a tuple of ints.

    Raises:
        TypeError: it is no sequence of integers.
    """
    try:
        return _numbers(values)
    except TypeError:
        raise not_integer(name, what, "integers", values) from None


def shape_from(name: str, given: Sequence[Any], what: str = "sizes") -> Ints:
    """The numbers of f(2, 3) or f((2, 3)).

    Raises:
        TypeError: one of them is no integer.
    """
    if len(given) == 1 and isinstance(given[0], (tuple, list)):
        given = given[0]
    for each in given:
        if type(each) is not int:
            return integers(name, what, given)
    return tuple(given)


def each_axis(name: str, what: str, value: Any, axes: int) -> Ints:
    """One number for all axes, or one each, as a tuple of ints.

    Raises:
        ShapeError: there are more or fewer numbers than axes.
        TypeError: one of them is no integer.
    """
    if type(value) is int:
        return (value,) * axes
    values = value if isinstance(value, (tuple, list)) else (value,)
    try:
        numbers = _numbers(values)
    except TypeError:
        raise not_integer(name, what, "integers", value) from None
    if len(numbers) == 1:
        numbers *= axes
    if len(numbers) != axes:
        raise ShapeError(
            f"{name}: {what} must be one number or {axes}, got {describe(value)}"
        )
    return numbers


def one_or_several(name: str, what: str, value: Any) -> int | Ints:
    """The argument `what` of the function `name`, an int or a tuple of ints.

    Raises:
        TypeError: it is neither an integer nor a sequence of them.
    """
    if isinstance(value, (tuple, list)):
        return integers(name, what, value)
    try:
        return _number(value)
    except TypeError:
        pass
    try:
        return _numbers(value)
    except TypeError:
        raise not_integer(name, what, "an int or several", value) from None


def several(name: str, what: str, value: Any) -> Ints:
    """The same as a tuple, be it one integer or several."""
    given = one_or_several(name, what, value)
    return given if isinstance(given, tuple) else (given,)


# ---- attributes of ops ----


def declared_integers(op: Op) -> Mapping[str, Kind]:
    """The attributes that an op's rule declares as integers; looked up once."""
    if op.integers is None:
        hints = get_type_hints(op.plan or op.rule)
        op.integers = {
            name: _DECLARED[hint] for name, hint in hints.items() if hint in _DECLARED
        }
    return op.integers


def with_integers(op: Op, attrs: Mapping[str, Any]) -> Mapping[str, Any]:
    """The attributes of a call with ints where the op's rule declares them; the same ones
    if they are that already.

    Raises:
        TypeError: one of them is no integer.
    """
    changed = {}
    for name, kind in declared_integers(op).items():
        if name in attrs:
            value = attrs[name]
            plain = _plain(op.name, name, value, kind)
            if plain is not value:
                changed[name] = plain
    return {**attrs, **changed} if changed else attrs


def _plain(name: str, what: str, value: Any, kind: Kind) -> Any:
    if (type(value) is int and kind.one) or (value is None and kind.none):
        return value
    if not kind.several:
        return integer(name, what, value)
    if type(value) is tuple and all(type(each) is int for each in value):
        return value
    convert = one_or_several if kind.one else integers
    return convert(name, what, value)
