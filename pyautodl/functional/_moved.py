"""Modules of functions by their former names, which pickles hold.

A pickle of a function, or of a module that keeps one, says where the function was defined.
"""

import sys
from importlib import import_module
from types import ModuleType
from typing import Any

__all__: list[str] = []

_INTO_NETWORKS = (
    "attention",
    "conv",
    "dropout",
    "embedding_bag",
    "explain_conv",
    "grid_sample",
    "gumbel",
    "interpolate",
    "loss",
    "loss.arguments",
    "loss.binary",
    "loss.classes",
    "loss.ctc",
    "loss.dice",
    "loss.distributions",
    "loss.margins",
    "loss.regression",
    "lp_pool",
    "max_unpool",
    "norm",
    "pool",
    "rnn",
    "rrelu",
)


class _Moved(ModuleType):
    """A module under its former name; loaded when a name in it is asked for."""

    def __getattr__(self, name: str) -> Any:
        # what the import system asks of all modules must not load this one
        if name.startswith("__"):
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        here, _, family = self.__name__.partition(".functional.")
        return getattr(import_module(f"{here}.functional.networks.{family}"), name)


# there from the start: an import would put the module in the package's namespace, where
# some function bears its name (dropout)
for _family in _INTO_NETWORKS:
    _name = f"pyautodl.functional.{_family}"
    sys.modules[_name] = _Moved(
        _name, f"Moved to pyautodl.functional.networks.{_family}."
    )
