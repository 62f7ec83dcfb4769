"""The exceptions that pyautodl raises on purpose.

Each derives from the built-in class that fits it, so that code which catches
`ValueError` or `TypeError` keeps working, and from the `RuntimeError` that PyTorch raises
in its place.
"""

from __future__ import annotations

__all__ = [
    "BackendError",
    "CheckpointError",
    "DTypeError",
    "GradError",
    "PyautodlError",
    "ShapeError",
    "StateDictError",
]


class PyautodlError(Exception):
    """The common base of the exceptions of this library."""


class ShapeError(PyautodlError, ValueError, RuntimeError):
    """Shapes, sizes or axes do not fit the operation."""


class DTypeError(PyautodlError, TypeError, RuntimeError):
    """An element type does not fit the operation."""


class GradError(PyautodlError, RuntimeError):
    """The backward pass can't be run, or would give a wrong gradient."""


class BackendError(PyautodlError, RuntimeError):
    """A backend, device or instruction set is absent or lacks a kernel."""


class StateDictError(PyautodlError, RuntimeError):
    """Names or shapes of a state_dict do not fit the module."""


class CheckpointError(PyautodlError, ValueError):
    """A saved file is damaged, or does not fit what it is loaded into."""
