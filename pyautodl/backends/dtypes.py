"""Element types: small objects that compare equal to NumPy's."""

from __future__ import annotations

from typing import Any

import numpy as np

from pyautodl.backends import codes
from pyautodl.errors import DTypeError, describe

__all__ = [
    "DTYPES",
    "DType",
    "as_dtype",
    "bool_",
    "float32",
    "float64",
    "int8",
    "int16",
    "int32",
    "int64",
    "promote_types",
    "uint8",
]


class DType:
    """An element type.

    `code` is its number in C, `numpy` the NumPy dtype; NumPy accepts the object
    wherever it takes a dtype.

    Example:
        >>> import pyautodl as ad
        >>> ad.float32.itemsize, ad.ones(2).dtype is ad.float32
        (4, True)
    """

    __slots__ = (
        "category",
        "code",
        "is_complex",
        "is_floating_point",
        "is_signed",
        "itemsize",
        "name",
        "numpy",
    )

    def __init__(self, name: str, code: int, category: int) -> None:
        self.name = name
        self.code = code
        self.numpy = np.dtype(name)
        self.itemsize = self.numpy.itemsize
        self.category = category
        self.is_floating_point = category == FLOATING
        self.is_signed = category == FLOATING or self.numpy.kind == "i"
        self.is_complex = False

    @property
    def dtype(self) -> np.dtype[Any]:
        """The NumPy dtype; NumPy looks for this name when it is given a DType."""
        return self.numpy

    def __eq__(self, other: object) -> bool:
        if isinstance(other, DType):
            return self is other
        try:
            return bool(self.numpy == np.dtype(other))  # type: ignore[call-overload]
        except TypeError:
            return False

    def __hash__(self) -> int:
        return hash(self.numpy)

    def __repr__(self) -> str:
        return f"pyautodl.{self.name}"

    def __reduce__(self) -> tuple[Any, ...]:
        return as_dtype, (self.name,)

    def __deepcopy__(self, memo: dict[int, Any]) -> DType:
        return self


# categories, weakest first: a stronger one wins in promotion
BOOLEAN, INTEGRAL, FLOATING = range(3)

float32 = DType("float32", codes.FLOAT32, FLOATING)
float64 = DType("float64", codes.FLOAT64, FLOATING)
int64 = DType("int64", codes.INT64, INTEGRAL)
int32 = DType("int32", codes.INT32, INTEGRAL)
int16 = DType("int16", codes.INT16, INTEGRAL)
int8 = DType("int8", codes.INT8, INTEGRAL)
uint8 = DType("uint8", codes.UINT8, INTEGRAL)
bool_ = DType("bool", codes.BOOL, BOOLEAN)

# by code
DTYPES = (float32, float64, int64, int32, int16, int8, uint8, bool_)
_BY_NUMPY = {dtype.numpy: dtype for dtype in DTYPES}
_BY_PYTHON = {float: float32, int: int64, bool: bool_}


def as_dtype(dtype: Any) -> DType:
    """Return the DType for a DType, a NumPy dtype, its name, or float, int, bool.

    Raises:
        DTypeError: the library has no such element type.
    """
    if type(dtype) is DType:
        return dtype
    found = _BY_NUMPY.get(dtype) if isinstance(dtype, np.dtype) else None
    if found is not None:
        return found
    if isinstance(dtype, type) and dtype in _BY_PYTHON:
        return _BY_PYTHON[dtype]
    try:
        # NumPy takes None for float64
        key = None if dtype is None else np.dtype(dtype).newbyteorder("=")
    except (TypeError, ValueError):
        key = None
    found = _BY_NUMPY.get(key) if key is not None else None
    if found is None:
        names = ", ".join(each.name for each in DTYPES)
        raise DTypeError(
            f"dtype: {describe(dtype)} is not supported; choose one of {names}"
            f"{_instead(key)}"
        )
    return found


def _instead(key: Any) -> str:
    """What stands in the place of an element type of NumPy's."""
    if key is None:
        return ""
    if key.kind == "f":
        fix = f"x.astype({'float32' if key.itemsize < 4 else 'float64'!r})"
    elif key.kind == "u":
        fix = f"x.astype({'int32' if key.itemsize < 4 else 'int64'!r})"
    elif key.kind == "c":
        fix = "ad.complex(ad.tensor(x.real), ad.tensor(x.imag))"
    elif key.kind in "US":
        fix = "numbers for names: np.unique(x, return_inverse=True)[1]"
    elif key.kind in "Mm":
        fix = "x.astype('int64')"
    elif key.kind == "O":
        fix = "x.astype('float32'), if all are numbers"
    else:
        return ""
    return f"; likely fix: {fix}"


def promote_types(type1: Any, type2: Any) -> DType:
    """Return the element type that holds both, by PyTorch's table.

    Floats beat integers, integers beat bool; among integers the wider wins, and uint8
    with int8 gives int16.

    Args:
        type1, type2: element types.

    Example:
        >>> import pyautodl as ad
        >>> ad.promote_types(ad.uint8, ad.int8)
        pyautodl.int16
    """
    a, b = as_dtype(type1), as_dtype(type2)
    if a is b:
        return a
    if a.category != b.category:
        return a if a.category > b.category else b
    if uint8 in (a, b) and int8 in (a, b):
        return int16
    return (
        a
        if a.itemsize > b.itemsize or (a.itemsize == b.itemsize and a.is_signed)
        else b
    )
