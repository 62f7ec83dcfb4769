"""Signs of numbers, infinities by their sign, steps."""

from __future__ import annotations

import math
from typing import Any

from pyautodl.backends.dtypes import FLOATING, bool_
from pyautodl.errors import DTypeError
from pyautodl.functional.creation import ones_like, zeros_like
from pyautodl.functional.eltwise import (
    abs,
    eq,
    gt,
    logical_or,
    lt,
    ne,
    reciprocal,
    where,
)
from pyautodl.functional.eltwise.arithmetic import floating_operands
from pyautodl.ops.eltwise.arithmetic import COPYSIGN
from pyautodl.ops.eltwise.special_pairs import SPECIAL_PAIRS
from pyautodl.tensor import Tensor, apply, explained, method, operands

__all__ = [
    "copysign",
    "heaviside",
    "isneginf",
    "isposinf",
    "isreal",
    "signbit",
]


def _is_floating(x: Tensor) -> bool:
    return x._array.dtype.category == FLOATING


@method
@explained
def signbit(input: Tensor) -> Tensor:
    """Return whether numbers are negative, as -0.0 is.

    A NaN counts as positive.

    Args:
        input: a tensor.

    Example:
        >>> import pyautodl as ad
        >>> ad.signbit(ad.tensor([-2.0, -0.0, 0.0]))
        tensor([ True,  True, False])
    """
    below = lt(input, 0)
    if not _is_floating(input):
        return below
    # 1 / -0.0 is -inf, and that of -inf no number below 0
    return logical_or(below, lt(reciprocal(input.detach()), 0))


@method("copysign", inplace=True)
@explained
def copysign(input: Tensor, other: Any) -> Tensor:
    """Return numbers with the signs of others.

    Args:
        input: a tensor; its gradient at 0 is 0.
        other: a tensor that broadcasts with it, or a number.

    Example:
        >>> import pyautodl as ad
        >>> ad.copysign(ad.tensor([1.0, -2.0]), ad.tensor([-0.0, 3.0]))
        tensor([-1.,  2.])
    """
    x, y = floating_operands("copysign", input, other)
    if isinstance(y, Tensor):
        return apply(COPYSIGN, x, y.detach() if y.requires_grad else y)
    size = abs(x)
    return -size if math.copysign(1.0, y) < 0 else size


@method("heaviside", inplace=True)
@explained
def heaviside(input: Tensor, values: Tensor) -> Tensor:
    """Return the step from 0 for negative to 1 for positive numbers.

    It has no gradient.

    Args:
        input: a tensor.
        values: what it is at 0, of the same element type.

    Raises:
        DTypeError: the element types differ.

    Example:
        >>> import pyautodl as ad
        >>> ad.heaviside(ad.tensor([-2.0, 0.0, 3.0]), ad.tensor([0.5]))
        tensor([0.0000, 0.5000, 1.0000])
    """
    if input.dtype != values.dtype:
        raise DTypeError(
            f"heaviside: expected values of {input.dtype}, got {values.dtype}; likely fix: "
            f"values.to({input.dtype})"
        )
    x, at_0 = operands("heaviside", input.detach(), values.detach())
    if _is_floating(x):
        return apply(SPECIAL_PAIRS["heaviside"], x, at_0)
    step = where(gt(x, 0), ones_like(x), zeros_like(x))
    return where(eq(x, 0), at_0, step)


@method
@explained
def isposinf(input: Tensor) -> Tensor:
    """Return whether numbers are inf.

    Args:
        input: a tensor.

    Example:
        >>> import pyautodl as ad
        >>> ad.isposinf(ad.tensor([ad.inf, -ad.inf, 1.0]))
        tensor([ True, False, False])
    """
    return eq(input, math.inf) if _is_floating(input) else ne(input, input)


@method
@explained
def isneginf(input: Tensor) -> Tensor:
    """Return whether numbers are -inf.

    Args:
        input: a tensor.

    Example:
        >>> import pyautodl as ad
        >>> ad.isneginf(ad.tensor([ad.inf, -ad.inf, 1.0]))
        tensor([False,  True, False])
    """
    return eq(input, -math.inf) if _is_floating(input) else ne(input, input)


@method
@explained
def isreal(input: Tensor) -> Tensor:
    """Return True for every element: numbers of tensors are real.

    Args:
        input: a tensor.

    Example:
        >>> import pyautodl as ad
        >>> ad.isreal(ad.tensor([1.0, 2.0]))
        tensor([True, True])
    """
    return ones_like(input, dtype=bool_)
