"""Comparisons, logic and the choice between two tensors."""

from __future__ import annotations

from typing import Any

from pyautodl.backends.dtypes import FLOATING, float64
from pyautodl.functional.creation import tensor
from pyautodl.functional.eltwise.arithmetic import operator
from pyautodl.functional.eltwise.unary import check_tensor
from pyautodl.ops.eltwise.compare import COMPARISONS, LOGIC, WHERE
from pyautodl.tensor import (
    NUMBERS,
    Tensor,
    apply,
    call,
    explained,
    method,
    not_tensor,
    operands,
)

__all__ = [
    "allclose",
    "eq",
    "equal",
    "ge",
    "greater",
    "greater_equal",
    "gt",
    "isclose",
    "le",
    "less",
    "less_equal",
    "logical_and",
    "logical_or",
    "logical_xor",
    "lt",
    "ne",
    "not_equal",
    "where",
]


def _compare(name: str, x: Any, y: Any) -> Tensor:
    return apply(COMPARISONS[name], *operands(name, x, y))


@method("eq", inplace=True)
def eq(input: Tensor, other: Any) -> Tensor:
    """Return `input == other`, element by element.

    Args:
        input: a tensor.
        other: a tensor that broadcasts with it, or a number.

    Raises:
        ShapeError: the shapes do not broadcast.

    Example:
        >>> import pyautodl as ad
        >>> ad.eq(ad.tensor([1, 2]), 2)
        tensor([False,  True])
    """
    return _compare("eq", input, other)


@method("ne", "not_equal", inplace=True)
def ne(input: Tensor, other: Any) -> Tensor:
    """Return `input != other`, element by element.

    Args:
        input: a tensor.
        other: a tensor that broadcasts with it, or a number.

    Raises:
        ShapeError: the shapes do not broadcast.

    Example:
        >>> import pyautodl as ad
        >>> ad.ne(ad.tensor([1, 2]), 2)
        tensor([ True, False])
    """
    return _compare("ne", input, other)


@method("lt", "less", inplace=True)
def lt(input: Tensor, other: Any) -> Tensor:
    """Return `input < other`, element by element.

    Args:
        input: a tensor.
        other: a tensor that broadcasts with it, or a number.

    Raises:
        ShapeError: the shapes do not broadcast.

    Example:
        >>> import pyautodl as ad
        >>> ad.lt(ad.tensor([1, 2]), 2)
        tensor([ True, False])
    """
    return _compare("lt", input, other)


@method("le", "less_equal", inplace=True)
def le(input: Tensor, other: Any) -> Tensor:
    """Return `input <= other`, element by element.

    Args:
        input: a tensor.
        other: a tensor that broadcasts with it, or a number.

    Raises:
        ShapeError: the shapes do not broadcast.

    Example:
        >>> import pyautodl as ad
        >>> ad.le(ad.tensor([1, 2]), 1)
        tensor([ True, False])
    """
    return _compare("le", input, other)


@method("gt", "greater", inplace=True)
def gt(input: Tensor, other: Any) -> Tensor:
    """Return `input > other`, element by element.

    Args:
        input: a tensor.
        other: a tensor that broadcasts with it, or a number.

    Raises:
        ShapeError: the shapes do not broadcast.

    Example:
        >>> import pyautodl as ad
        >>> ad.gt(ad.tensor([1, 2]), 1)
        tensor([False,  True])
    """
    return _compare("gt", input, other)


@method("ge", "greater_equal", inplace=True)
def ge(input: Tensor, other: Any) -> Tensor:
    """Return `input >= other`, element by element.

    Args:
        input: a tensor.
        other: a tensor that broadcasts with it, or a number.

    Raises:
        ShapeError: the shapes do not broadcast.

    Example:
        >>> import pyautodl as ad
        >>> ad.ge(ad.tensor([1, 2]), 2)
        tensor([False,  True])
    """
    return _compare("ge", input, other)


not_equal = ne
less = lt
less_equal = le
greater = gt
greater_equal = ge

for _function in (eq, ne, lt, le, gt, ge):
    operator(f"__{_function.__name__}__", _function)


# ---- logic ----


@method("logical_and", inplace=True)
def logical_and(input: Tensor, other: Tensor) -> Tensor:
    """Return whether both elements are true; what is not 0 is true.

    Args:
        input: a tensor.
        other: a tensor that broadcasts with it.

    Raises:
        ShapeError: the shapes do not broadcast.

    Example:
        >>> import pyautodl as ad
        >>> ad.logical_and(ad.tensor([1, 1]), ad.tensor([0, 2]))
        tensor([False,  True])
    """
    return apply(LOGIC["logical_and"], *operands("logical_and", input, other))


@method("logical_or", inplace=True)
def logical_or(input: Tensor, other: Tensor) -> Tensor:
    """Return whether an element of the two is true; what is not 0 is true.

    Args:
        input: a tensor.
        other: a tensor that broadcasts with it.

    Raises:
        ShapeError: the shapes do not broadcast.

    Example:
        >>> import pyautodl as ad
        >>> ad.logical_or(ad.tensor([0, 1]), ad.tensor([0, 2]))
        tensor([False,  True])
    """
    return apply(LOGIC["logical_or"], *operands("logical_or", input, other))


@method("logical_xor", inplace=True)
def logical_xor(input: Tensor, other: Tensor) -> Tensor:
    """Return whether one element is true and one false; what is not 0 is true.

    Args:
        input: a tensor.
        other: a tensor that broadcasts with it.

    Raises:
        ShapeError: the shapes do not broadcast.

    Example:
        >>> import pyautodl as ad
        >>> ad.logical_xor(ad.tensor([1, 1]), ad.tensor([0, 2]))
        tensor([ True, False])
    """
    return apply(LOGIC["logical_xor"], *operands("logical_xor", input, other))


# ---- choice ----


def where(condition: Tensor, input: Any = None, other: Any = None) -> Any:
    """Return the element of `input` where the condition holds, else that of `other`.

    The side that is not taken gets gradient 0, whatever its derivative is there.

    Args:
        condition: a bool tensor.
        input: a tensor that broadcasts with it, or a number. Without it and `other` the
            places where the condition holds, as `nonzero(as_tuple=True)`.
        other: likewise.

    Raises:
        DTypeError: the condition is not bool.
        ShapeError: the shapes do not broadcast.

    Example:
        >>> import pyautodl as ad
        >>> x = ad.tensor([-4.0, 9.0])
        >>> ad.where(x > 0, x.sqrt(), 0.0)
        tensor([0., 3.])
    """
    condition = check_tensor("where", condition)
    if input is None and other is None:
        return condition.nonzero(as_tuple=True)
    if not isinstance(input, Tensor) and not isinstance(other, Tensor):
        input = _number_as_tensor(input, other)
    x, y = operands("where", input, other)
    return apply(WHERE, condition, x, y)


def _number_as_tensor(number: Any, beside: Any) -> Tensor:
    """Of two numbers the first, in a type that holds both."""
    for each in (number, beside):
        if not isinstance(each, NUMBERS):
            raise not_tensor("where", each)
    kind = type(number + beside) if not isinstance(number, bool) else type(beside)
    return tensor(kind(number))


@explained
def _where_method(self: Tensor, condition: Tensor, other: Any) -> Tensor:
    """Return this tensor's elements where the condition holds, else those of other.

    Example:
        >>> import pyautodl as ad
        >>> ad.tensor([1, 2]).where(ad.tensor([True, False]), ad.tensor([7, 8]))
        tensor([1, 8])
    """
    return where(condition, self, other)


method("where")(_where_method)


# ---- nearly equal ----


@method
@explained
def isclose(
    input: Tensor,
    other: Tensor,
    rtol: float = 1e-05,
    atol: float = 1e-08,
    equal_nan: bool = False,
) -> Tensor:
    """Return whether |input - other| <= atol + rtol |other|, element by element.

    Args:
        input: a tensor.
        other: a tensor that broadcasts with it.
        rtol: the relative tolerance.
        atol: the absolute tolerance.
        equal_nan: whether NaN equals NaN.

    Raises:
        ShapeError: the shapes do not broadcast.

    Example:
        >>> import pyautodl as ad
        >>> ad.isclose(ad.tensor([1.0, 2.0]), ad.tensor([1.0, 2.1]))
        tensor([ True, False])
    """
    x, y = operands("isclose", input.detach(), other.detach())
    close = x == y
    if x._array.dtype.category != FLOATING:
        x, y = call("cast", x, dtype=float64), call("cast", y, dtype=float64)
    near = (x - y).abs() <= atol + rtol * y.abs()
    close = close | (near & (x - y).isfinite())
    return close | (x.isnan() & y.isnan()) if equal_nan else close


@method
@explained
def allclose(
    input: Tensor,
    other: Tensor,
    rtol: float = 1e-05,
    atol: float = 1e-08,
    equal_nan: bool = False,
) -> bool:
    """Return whether all elements are close, as `isclose` has it.

    Args:
        input: a tensor.
        other: a tensor that broadcasts with it.
        rtol: the relative tolerance.
        atol: the absolute tolerance.
        equal_nan: whether NaN equals NaN.

    Raises:
        ShapeError: the shapes do not broadcast.

    Example:
        >>> import pyautodl as ad
        >>> x = ad.tensor([1.0])
        >>> ad.allclose(x, x + 1e-7), ad.allclose(x, x + 0.1)
        (True, False)
    """
    return bool(isclose(input, other, rtol, atol, equal_nan).all())


@method
def equal(input: Tensor, other: Tensor) -> bool:
    """Return whether two tensors have the same shape and elements.

    Args:
        input: a tensor.
        other: a tensor.

    Raises:
        TypeError: one of them is no tensor.

    Example:
        >>> import pyautodl as ad
        >>> x = ad.tensor([1, 2])
        >>> ad.equal(x, ad.tensor([1, 2])), ad.equal(x, ad.tensor([[1, 2]]))
        (True, False)
    """
    x, y = check_tensor("equal", input), check_tensor("equal", other)
    return x._array.shape == y._array.shape and bool(eq(x, y).all())
