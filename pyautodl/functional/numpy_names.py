"""`axis` and `keepdims`, NumPy's names of `dim` and `keepdim`, which PyTorch takes, too.

A function that takes them ends its arguments with `**_numpy`, an empty dict in all other
calls, and begins with `if _numpy: return by_numpy_names(function, locals())`. A decorator
would spare these lines and cost every `sum` and `mean` a call more.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import cache
from typing import Any

__all__ = ["by_numpy_names"]

_NAMES = {"axis": "dim", "keepdims": "keepdim"}


def by_numpy_names(function: Callable[..., Any], given: dict[str, Any]) -> Any:
    """Call a function again, with its arguments under its own names.

    Args:
        function: what was called.
        given: its arguments by name, as `locals()` has them at its first line.

    Raises:
        TypeError: it has no such argument, or it is given by both names.
    """
    arguments = dict(given)
    defaults = _defaults(function)
    for name, value in arguments.pop("_numpy").items():
        if name == "out" and value is None:
            continue  # as NumPy's functions call the method of the same name
        own = _NAMES.get(name)
        if own not in defaults:
            raise TypeError(
                f"{function.__name__}() got an unexpected keyword argument {name!r}"
            )
        if arguments[own] is not defaults[own]:
            raise TypeError(f"{function.__name__}() got both {own!r} and {name!r}")
        arguments[own] = value
    return function(**arguments)


@cache
def _defaults(function: Callable[..., Any]) -> dict[str, Any]:
    """The defaults of the arguments that have a name of NumPy's."""
    parameters = inspect.signature(function).parameters
    return {
        each: parameters[each].default for each in _NAMES.values() if each in parameters
    }
