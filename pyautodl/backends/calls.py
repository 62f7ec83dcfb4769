"""How an op calls a kernel: `run`, and who may watch.

Calls that come again and again are prepared, see prepared.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from pyautodl.backends import native
from pyautodl.backends.array import Array, Table
from pyautodl.backends.choice import (
    backend_kernels,
    chosen_backend,
    current_backend,
    forget_calls,
    keep_calls,
)
from pyautodl.errors import BackendError

__all__ = ["is_direct", "is_observed", "make_call", "observe", "run", "witnessed"]

Argument = Array | Table | list[Array] | None
Call = Callable[
    [Sequence[Argument], Sequence[Argument], Sequence[int], Sequence[float]], None
]

# (kernel, dtype code) -> the call, filled at first use
_calls: dict[tuple[str, int], Call] = {}
keep_calls(_calls)
# sees every kernel call of `run`, while a forward rule is traced
_witness: Callable[..., None] | None = None
# (kernel's name, call) -> what is called in its stead
_observer: Callable[[str, Call], Call] | None = None


def run(
    name: str,
    reads: Sequence[Argument],
    writes: Sequence[Argument],
    ints: Sequence[int] = (),
    floats: Sequence[float] = (),
) -> None:
    """Run kernel `name`: arrays to read, arrays to write, integers, floats.

    The order is that of the kernel's C struct; the dtype of the first array chooses the
    variant. None stands for an absent array, a list of arrays for a table.
    """
    key = (name, _dtype_code(reads, writes))
    call = _calls.get(key)
    if call is None:
        call = _calls[key] = make_call(chosen_backend(*key), name)
    call(reads, writes, ints, floats)
    witness = _witness
    if witness is not None:
        witness(name, reads, writes, ints, floats)


def _dtype_code(reads: Sequence[Argument], writes: Sequence[Argument]) -> int:
    first = reads[0] if reads else writes[0]
    if type(first) is Array or type(first) is Table:
        return first.dtype.code
    for argument in (*reads, *writes):
        each = argument[0] if isinstance(argument, list) and argument else argument
        if isinstance(each, (Array, Table)):
            return each.dtype.code
    raise BackendError("run: a kernel call needs at least one array")


def make_call(backend: str, name: str) -> Call:
    """The call of kernel `name` on a backend, as the observer has it."""
    call = (
        native.make_call(name) if backend == "native" else _python_call(backend, name)
    )
    return call if _observer is None else _observer(name, call)


def _python_call(backend: str, name: str) -> Call:
    function = backend_kernels(backend)[name]

    def call(
        reads: Sequence[Argument],
        writes: Sequence[Argument],
        ints: Sequence[int],
        floats: Sequence[float],
    ) -> None:
        arrays = [_as_ndarrays(argument) for argument in (*reads, *writes)]
        with np.errstate(all="ignore"):
            function(*arrays, *ints, *floats)

    return call


def _as_ndarrays(argument: Argument) -> Any:
    if isinstance(argument, list):
        return [array.numpy() for array in argument]
    return None if argument is None else argument.numpy()


def observe(observer: Callable[[str, Call], Call] | None) -> None:
    """Let every kernel call pass through what `observer(name, call)` returns.

    None ends it. Nothing is asked at a call: what was resolved before is made anew.
    """
    global _observer
    _observer = observer
    forget_calls()


@contextmanager
def witnessed(witness: Callable[..., None]) -> Iterator[bool]:
    """Let `witness` see every kernel call of the block: (name, reads, writes, ints, floats).

    The block learns whether it does: there is one at a time, and none while `observe`
    has another look. Calls of other threads are seen, too.
    """
    global _witness
    if _witness is not None or _observer is not None:
        yield False
        return
    _witness = witness
    try:
        yield True
    finally:
        _witness = None


def is_observed() -> bool:
    """Whether calls pass through an observer."""
    return _observer is not None


def is_direct() -> bool:
    """Whether kernels are the compiled ones and nobody observes their calls."""
    return _observer is None and current_backend() == "native"
