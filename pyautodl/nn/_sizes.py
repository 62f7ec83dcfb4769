"""Sizes of layers and memory for their weights; errors name the layer."""

from __future__ import annotations

from math import prod
from typing import Any

from pyautodl.backends.dtypes import as_dtype
from pyautodl.errors import ShapeError
from pyautodl.functional.creation import empty
from pyautodl.ops.integers import integer
from pyautodl.tensor import Tensor, get_default_dtype

__all__ = ["chance", "memory_for", "size"]


def size(layer: str, what: str, value: Any) -> int:
    """The argument `what` of a layer as an int.

    Raises:
        TypeError: it is no integer.
        ShapeError: it is negative.
    """
    number = integer(layer, what, value)
    if number < 0:
        raise ShapeError(f"{layer}: {what} must not be negative, got {number}")
    return number


def chance(layer: str, what: str, value: Any) -> Any:
    """The argument `what` of a layer, which is a probability.

    Raises:
        ValueError: it is none.
    """
    if not 0 <= value <= 1:
        raise ValueError(f"{layer}: {what} must be from 0 to 1, got {value}")
    return value


def memory_for(
    layer: str, *shape: int, dtype: Any = None, device: Any = None
) -> Tensor:
    """A tensor for a layer's weights, not yet filled.

    Raises:
        MemoryError: there is not enough.
    """
    try:
        return empty(*shape, dtype=dtype, device=device)
    except MemoryError as error:
        each = as_dtype(dtype or get_default_dtype()).itemsize
        raise MemoryError(
            f"{layer}: can't allocate weights of shape {shape}, {prod(shape) * each:,} "
            "bytes; a layer with fewer features needs less"
        ) from error
