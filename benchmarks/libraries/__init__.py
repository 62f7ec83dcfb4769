"""The contestants: each library does the same work in its own way.

A library is imported where it is asked for, in a process of its own.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Protocol

from benchmarks.interruption import INTERRUPTED
from benchmarks.work import Prepared, Unsupported, Work

__all__ = ["LIBRARIES", "OURS", "PEERS", "Library", "load", "refusable"]

OURS = "pyautodl"
# name -> where it is loaded: module, its function, what to install
LIBRARIES = {
    OURS: ("eager", "pyautodl", "pyautodl itself: pip install -e ."),
    "numba": ("eager", "numba", "pip install 'pyautodl[jit]'"),
    "torch": ("eager", "torch", "pip install torch==2.13.0"),
    "torch.compile": ("eager", "torch_compile", "pip install torch==2.13.0"),
    "jax": ("with_jax", "jax", "pip install jax"),
    "numpy": ("with_numpy", "numpy", "pip install numpy"),
    "onnxruntime": (
        "with_onnxruntime",
        "onnxruntime",
        "pip install onnxruntime onnxscript torch==2.13.0",
    ),
}
PEERS = tuple(name for name in LIBRARIES if name != OURS)


class Library(Protocol):
    """A contestant."""

    # package -> version of what it consists of
    versions: dict[str, str]

    def prepare(self, work: Work) -> Prepared:
        """Make the call.

        Raises:
            Unsupported: the library can't do this.
        """


def load(name: str, threads: int, capability: str | None) -> Library:
    """Import a library and limit its threads.

    Raises:
        Unsupported: it is not installed, or refuses the threads, the capability or what the
            environment says.
    """
    module, function, install = LIBRARIES[name]
    try:
        loaded = import_module(f"benchmarks.libraries.{module}")
        library: Library = getattr(loaded, function)(threads, capability)
    except ImportError as error:
        raise Unsupported(f"{name} is not installed ({error}): {install}") from error
    except (RuntimeError, ValueError) as error:
        raise Unsupported(f"{name}: {error}") from error
    return library


def refusable(
    main: Callable[[Sequence[str] | None], int],
) -> Callable[[Sequence[str] | None], int]:
    """Let a benchmark that can't run print why and return 1."""

    @functools.wraps(main)
    def run(arguments: Sequence[str] | None = None) -> int:
        try:
            return main(arguments)
        except Unsupported as why:
            print(f"nothing is measured: {why}", file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            print("interrupted", file=sys.stderr)
            return INTERRUPTED

    return run
