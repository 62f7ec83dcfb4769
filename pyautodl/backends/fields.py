"""The fields of objects that C makes and reads at every call, as classes to inherit from.

With the extension they are those of csrc/dispatch, which names them once more; without it
they are slots of Python.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pyautodl.backends import native

__all__ = [
    "SLOTS",
    "ArrayFields",
    "NodeFields",
    "OpFields",
    "PlanFields",
    "StorageFields",
    "TensorFields",
]

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
    "OpFields": (
        "name",
        "plan",
        "plans",
        "params",
        "saves",
        "view",
        "changes",
        "integers",
    ),
    "PlanFields": (
        "call",
        "count",
        "differentiable",
        "dtypes",
        "floats",
        "info",
        "places",
        "shapes",
        "shown",
    ),
    "NodeFields": (
        "op",
        "plan",
        "attrs",
        "shapes",
        "dtypes",
        "needs",
        "edges",
        "outputs",
        "packed",
        "number",
        "released",
        "module",
        "hooks",
        "retained",
        "masked_below",
    ),
    "TensorFields": (
        "_array",
        "_edge",
        "_requires_grad",
        "_grad",
        "_base",
        "_base_changes",
        "_unchangeable",
        "_changes",
        "_hooks",
        "_post_hooks",
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

    class OpFields:
        """See `Op`."""

    class PlanFields:
        """See `Plan`."""

    class NodeFields:
        """See `Node`."""

    class TensorFields:
        """See `Tensor`."""

else:
    globals().update({name: _fields(name) for name in SLOTS})
