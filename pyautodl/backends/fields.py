"""The fields of objects that C makes and reads at every call, as classes to inherit from.

With the extension they are those of csrc/dispatch, which names them once more; without it
they are slots of Python.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pyautodl.backends import native

__all__ = ["SLOTS", "ArrayFields", "StorageFields"]

SLOTS: dict[str, tuple[str, ...]] = {
    "StorageFields": (
        "address",
        "nbytes",
        "version",
        "packed",
        "foreign",
        "exports",
        "_owner",
    ),
    "ArrayFields": (
        "storage",
        "offset",
        "shape",
        "strides",
        "dtype",
        "address",
        "_layout",
        "_desc",
        "_ndarray",
    ),
}


def _fields(name: str) -> Any:
    if native.available:
        return getattr(native.dispatch, name)
    return type(name, (), {"__slots__": SLOTS[name], "__module__": __name__})


if TYPE_CHECKING:

    class StorageFields:
        """See `Storage`."""

    class ArrayFields:
        """See `Array`."""

else:
    StorageFields, ArrayFields = map(_fields, SLOTS)
