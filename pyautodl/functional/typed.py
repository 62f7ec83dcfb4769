"""PyTorch's older constructors, one an element type: FloatTensor, LongTensor, ..."""

from __future__ import annotations

from typing import Any

import numpy as np

from pyautodl.backends.dtypes import (
    DType,
    bool_,
    float32,
    float64,
    int8,
    int16,
    int32,
    int64,
    uint8,
)
from pyautodl.functional.creation import empty, tensor
from pyautodl.tensor import BOUND, Size, Tensor

__all__ = [
    "BoolTensor",
    "ByteTensor",
    "CharTensor",
    "DoubleTensor",
    "FloatTensor",
    "IntTensor",
    "LongTensor",
    "ShortTensor",
]


class TensorType:
    """Makes tensors of one element type; `isinstance(x, ad.LongTensor)` asks for it.

    Called with sizes it gives memory that is not set, called with values their tensor.

    Args:
        name: under which it stands in the package.
        element: the element type.

    Example:
        >>> import pyautodl as ad
        >>> ad.FloatTensor([1, 2])
        tensor([1., 2.])
        >>> ad.LongTensor(2, 3).shape
        pyautodl.Size([2, 3])
        >>> isinstance(ad.arange(3), ad.LongTensor)
        True
    """

    def __init__(self, name: str, element: DType) -> None:
        self.name = name
        self.element = element

    @property
    def dtype(self) -> np.dtype[Any]:
        """The NumPy dtype, by which x.type(ad.LongTensor) casts."""
        return self.element.numpy

    def __call__(self, *data: Any) -> Tensor:
        return of_sizes_or_values(data, self.element)

    def __instancecheck__(self, instance: object) -> bool:
        return isinstance(instance, Tensor) and instance.dtype is self.element

    def __repr__(self) -> str:
        return f"pyautodl.{self.name}"


def of_sizes_or_values(data: tuple[Any, ...], dtype: DType) -> Tensor:
    """A tensor of the sizes that are given, or of one thing's values."""
    if not data:
        return empty(0, dtype=dtype)
    (first, *rest) = data
    if rest or isinstance(first, Size) or _is_size(first):
        return empty(*data, dtype=dtype)
    if isinstance(first, Tensor):
        return first.to(dtype)
    return tensor(first, dtype=dtype)


def _is_size(value: Any) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


BOUND["sized"] = of_sizes_or_values

FloatTensor = TensorType("FloatTensor", float32)
DoubleTensor = TensorType("DoubleTensor", float64)
LongTensor = TensorType("LongTensor", int64)
IntTensor = TensorType("IntTensor", int32)
ShortTensor = TensorType("ShortTensor", int16)
CharTensor = TensorType("CharTensor", int8)
ByteTensor = TensorType("ByteTensor", uint8)
BoolTensor = TensorType("BoolTensor", bool_)
