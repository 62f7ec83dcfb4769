"""NumPy: products, and the functions that it has."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.work import Call, Prepared, Product, Unsupported, Work

__all__ = ["NumPy", "numpy"]

# PyTorch's name -> the NumPy function of the same arguments but dim
_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "relu": lambda x: np.maximum(x, 0),
    "tanh": np.tanh,
    "exp": np.exp,
    "log1p": np.log1p,
    "sqrt": np.sqrt,
    "add": np.add,
    "mul": np.multiply,
    "maximum": np.maximum,
    "sum": np.sum,
    "mean": np.mean,
    "amax": np.amax,
    "argmax": np.argmax,
    "cumsum": np.cumsum,
}


class NumPy:
    """NumPy as its users write it."""

    def __init__(self) -> None:
        blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
        self.versions = {
            "numpy": np.__version__,
            "numpy BLAS": f"{blas['name']} {blas['version']}",
        }

    def prepare(self, work: Work) -> Prepared:
        """Make the call; see `Library`."""
        match work:
            case Product(a, b):
                return _prepared(lambda: a @ b)
            case Call(name, arrays, attributes) if name in _FUNCTIONS:
                function = _FUNCTIONS[name]
                named = {
                    {"dim": "axis"}.get(key, key): value
                    for key, value in attributes.items()
                }
                return _prepared(lambda: function(*arrays, **named))
            case Call(name):
                raise Unsupported(f"NumPy has no {name}")
        raise Unsupported("NumPy has no networks")


def _prepared(function: Callable[[], Any]) -> Prepared:
    last: list[Any] = [None]

    def call() -> None:
        last[0] = function()

    return Prepared(call, lambda: [np.asarray(last[0])])


def numpy(threads: int, capability: str | None) -> NumPy:
    """NumPy; the environment has set its BLAS's threads and instruction set."""
    return NumPy()
