"""The operands of a function of two tensors, of one element type."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from pyautodl import backends
from pyautodl.backends import native
from pyautodl.backends.dtypes import (
    BOOLEAN,
    DTYPES,
    FLOATING,
    DType,
    float64,
    int64,
    promote_types,
)
from pyautodl.errors import DTypeError
from pyautodl.ops.record import OPS
from pyautodl.tensor.calls import apply
from pyautodl.tensor.core import Tensor, constant
from pyautodl.tensor.properties import get_default_dtype
from pyautodl.tensor.protocols import BOUND

__all__ = ["operands"]

# functions that have an answer for numbers which the element type can't hold
_COMPARISONS = frozenset(("eq", "ne", "lt", "le", "gt", "ge"))


def operands_in_python(name: str, x: Any, y: Any) -> tuple[Tensor, Tensor]:
    """The two operands of a function as tensors of their promoted element type.

    Python and NumPy scalars are weak: they count only if their kind (bool, integer,
    float) is above the tensor's.
    """
    if isinstance(x, Tensor) and isinstance(y, Tensor):
        if x._array.dtype is y._array.dtype:
            return x, y
        dtype = _promote(x, y)
        return _to(x, dtype), _to(y, dtype)
    if isinstance(x, Tensor):
        other, dtype = _weak(name, y, x)
        return (x, other) if x._array.dtype is dtype else (_to(x, dtype), other)
    if isinstance(y, Tensor):
        other, dtype = _weak(name, x, y)
        return (other, y) if y._array.dtype is dtype else (other, _to(y, dtype))
    raise TypeError(
        f"{name}: expected a tensor, got {type(x).__name__} and {type(y).__name__}"
    )


operands: Callable[[str, Any, Any], tuple[Tensor, Tensor]] = operands_in_python
if native.available:
    # for tensors of one type, and numbers beside tensors of floats; all else comes back
    native.dispatch.bind_operands(
        {
            "operands": operands_in_python,
            "constant": backends.constant,
            "floats": tuple([dtype for dtype in DTYPES if dtype.category == FLOATING]),
        }
    )
    operands = native.dispatch.operands


def _promote(x: Tensor, y: Tensor) -> DType:
    """PyTorch's table; a 0-dimensional tensor counts only by its kind."""
    a, b = x._array.dtype, y._array.dtype
    if a.category == b.category:
        if x.ndim and not y.ndim:
            return a
        if y.ndim and not x.ndim:
            return b
    elif x.ndim and not y.ndim and a.category > b.category:
        return a
    return promote_types(a, b)


def _weak(name: str, value: Any, beside: Tensor) -> tuple[Tensor, DType]:
    """A number as a constant, and the element type of the operation."""
    mine = beside._array.dtype
    if type(value) in (int, float) and mine.category == FLOATING:
        return constant(value, mine, name), mine
    if isinstance(value, (np.ndarray, list, tuple)):
        other = BOUND["tensor"](value)
        dtype = _promote(beside, other)
        return _to(other, dtype), dtype
    if isinstance(value, (bool, np.bool_)):
        dtype = mine
    elif isinstance(value, (int, np.integer)):
        dtype = int64 if mine.category == BOOLEAN else mine
    elif isinstance(value, (float, np.floating)):
        dtype = mine if mine.category == FLOATING else get_default_dtype()
    else:
        raise TypeError(
            f"{name}: expected a tensor or a number, got {type(value).__name__}"
        )
    number = value.item() if isinstance(value, np.generic) else value
    try:
        return constant(number, dtype, name), dtype
    except DTypeError:
        if name not in _COMPARISONS:
            raise
    return _beyond(number)


def _beyond(number: int) -> tuple[Tensor, DType]:
    """What a number is compared as that is outside of the tensor's element type."""
    if abs(number) < 2**63:
        return constant(number, int64), int64
    return constant(math.inf if number > 0 else -math.inf, float64), float64


def _to(x: Tensor, dtype: DType) -> Tensor:
    return x if x._array.dtype is dtype else apply(OPS["cast"], x, dtype=dtype)
