"""The exceptions that pyautodl raises on purpose.

Each derives from the built-in class that fits it, so that code which catches
`ValueError` or `TypeError` keeps working, and from the `RuntimeError` that PyTorch raises
in its place.
"""

from __future__ import annotations

import os
import sys
import warnings
from typing import Any

__all__ = [
    "BackendError",
    "CheckpointError",
    "DTypeError",
    "GradError",
    "LinAlgError",
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


class LinAlgError(PyautodlError, ValueError, RuntimeError):
    """A matrix is none that the operation works for, a singular one for example."""


class GradError(PyautodlError, RuntimeError):
    """The backward pass can't be run, or would give a wrong gradient."""


class BackendError(PyautodlError, RuntimeError):
    """A backend, device or instruction set is absent or lacks a kernel."""


class StateDictError(PyautodlError, RuntimeError):
    """Names or shapes of a state_dict do not fit the module."""


class CheckpointError(PyautodlError, ValueError):
    """A saved file is damaged, or does not fit what it is loaded into."""


_SHOWN = 80


def describe(value: Any) -> str:
    """A value as a message names it: a tensor or an array by its shape, text cut short.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl.errors import describe
        >>> describe((ad.ones(2, 3), 4))
        '(a tensor of shape (2, 3), 4)'
    """
    if type(value) in (tuple, list):
        begin, end = "()" if type(value) is tuple else "[]"
        inner = ", ".join(map(describe, value[:8]))
        more = ", ..." if len(value) > 8 else "," * (end == ")" and len(value) == 1)
        return f"{begin}{inner}{more}{end}"
    shape = getattr(value, "shape", None)
    if shape is not None and len(shape):
        kind = "an array" if type(value).__module__ == "numpy" else "a tensor"
        return f"{kind} of shape {tuple(shape)}"
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def warn(message: str) -> None:
    """Warn of what the user's line outside of this library does, however deep it was found."""
    home = os.path.dirname(__file__) + os.sep
    level, frame = 2, sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(home):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, stacklevel=level)


def tensor_fix(value: Any) -> str:
    """What makes a tensor of a value that stands in the place of one.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl.errors import tensor_fix
        >>> tensor_fix([1.0])
        'pyautodl.tensor(...)'
        >>> tensor_fix(None)
        'return the result: a function without a return gives None'
        >>> tensor_fix((ad.ones(2), ad.zeros(2)))
        'take the output of (output, state), as nn.LSTM returns: its [0]'
    """
    if isinstance(value, tuple) and value and hasattr(value[0], "requires_grad"):
        return "take the output of (output, state), as nn.LSTM returns: its [0]"
    if value is None:
        return "return the result: a function without a return gives None"
    if hasattr(value, "likely_fix"):
        return str(value.likely_fix)
    return "pyautodl.tensor(...)"
