"""Indices, masks and values as the tensors that the ops take."""

from __future__ import annotations

from typing import Any

import numpy as np

from pyautodl.backends.dtypes import FLOATING, bool_, int64
from pyautodl.errors import DTypeError, ShapeError, describe
from pyautodl.functional.creation import tensor
from pyautodl.ops.copy import CAST
from pyautodl.ops.views import EXPAND, RESHAPE
from pyautodl.tensor import Tensor, apply, constant

__all__ = ["as_index", "as_line", "as_mask", "as_value", "expanded"]


def as_index(name: str, index: Any) -> Tensor:
    """Indices as an int64 tensor."""
    x = index if isinstance(index, Tensor) else tensor(index)
    if x.dtype is int64:
        return x
    if x.dtype.category == FLOATING or x.dtype is bool_:
        fix = "" if x.dtype is bool_ else "; likely fix: .long()"
        raise DTypeError(f"{name}: indices must be integers, got {x.dtype.name}{fix}")
    return apply(CAST, x, dtype=int64)


def as_line(name: str, index: Any) -> Tensor:
    """Indices as an int64 tensor with one axis."""
    x = as_index(name, index)
    return x if x.ndim else apply(RESHAPE, x, shape=(1,))


def as_mask(name: str, mask: Any, shape: tuple[int, ...]) -> Tensor:
    """A mask, broadcast to a shape."""
    x = mask if isinstance(mask, Tensor) else tensor(mask)
    if x.dtype is not bool_:
        raise DTypeError(f"{name}: the mask must be bool, got {x.dtype.name}")
    try:
        return expanded(x, shape)
    except ShapeError:
        raise ShapeError(
            f"{name}: a mask of shape {tuple(x.shape)} does not broadcast to the input's "
            f"shape {shape}"
        ) from None


def expanded(x: Tensor, shape: tuple[int, ...]) -> Tensor:
    """A tensor, broadcast to a shape."""
    return x if x._array.shape == shape else apply(EXPAND, x, shape=shape)


def as_value(value: Any, like: Tensor, name: str = "constant") -> Tensor:
    """What the function `name` is given, in the element type of a tensor."""
    if not isinstance(value, Tensor):
        if isinstance(value, (bool, int, float, np.generic)):
            plain = value.item() if isinstance(value, np.generic) else value
            return constant(plain, like.dtype, name)
        if not isinstance(value, (list, tuple, np.ndarray)):
            raise TypeError(
                f"{name}: expected a number or a tensor as value, got {describe(value)}"
            )
        value = tensor(value)
    return value if value.dtype is like.dtype else apply(CAST, value, dtype=like.dtype)
