"""What an element type can hold."""

from __future__ import annotations

from typing import Any

import numpy as np

from pyautodl.backends.dtypes import BOOLEAN, FLOATING, as_dtype
from pyautodl.tensor import get_default_dtype

__all__ = ["finfo", "iinfo"]


class finfo:
    """The limits of a floating element type.

    Args:
        type: the element type; default: the default one.

    Attributes:
        bits: of an element.
        eps: the distance from 1 to the next number.
        max, min: the largest and the smallest number.
        tiny, smallest_normal: the smallest positive one of full precision.
        resolution: the precision, rounded to a power of ten.
        dtype: the type's name.

    Raises:
        TypeError: the type is not floating.

    Example:
        >>> import pyautodl as ad
        >>> ad.finfo(ad.float32).eps
        1.1920928955078125e-07
    """

    def __init__(self, type: Any = None) -> None:
        dtype = get_default_dtype() if type is None else as_dtype(type)
        if dtype.category != FLOATING:
            raise TypeError(f"finfo: expected a floating type, got {dtype.name}")
        info = np.finfo(dtype.numpy)
        self.bits = int(info.bits)
        self.eps = float(info.eps)
        self.max = float(info.max)
        self.min = float(info.min)
        self.tiny = self.smallest_normal = float(info.tiny)
        self.resolution = float(info.resolution)
        self.dtype = dtype.name

    def __repr__(self) -> str:
        return (
            f"finfo(resolution={self.resolution:g}, min={self.min:g}, max={self.max:g}, "
            f"eps={self.eps:g}, smallest_normal={self.smallest_normal:g}, "
            f"tiny={self.tiny:g}, dtype={self.dtype})"
        )


class iinfo:
    """The limits of an integer element type.

    Args:
        type: the element type.

    Attributes:
        bits: of an element.
        max, min: the largest and the smallest number.
        dtype: the type's name.

    Raises:
        TypeError: the type is no integer type.

    Example:
        >>> import pyautodl as ad
        >>> ad.iinfo(ad.int8).max
        127
    """

    def __init__(self, type: Any) -> None:
        dtype = as_dtype(type)
        if dtype.category in (BOOLEAN, FLOATING):
            raise TypeError(f"iinfo: expected an integer type, got {dtype.name}")
        info = np.iinfo(dtype.numpy)
        self.bits = int(info.bits)
        self.max = int(info.max)
        self.min = int(info.min)
        self.dtype = dtype.name

    def __repr__(self) -> str:
        return f"iinfo(min={self.min}, max={self.max}, dtype={self.dtype})"
