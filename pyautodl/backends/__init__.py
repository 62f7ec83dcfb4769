"""Backends: who runs a kernel.

`run` is the one way from an op to a kernel. By default it takes the compiled kernel,
then the numba twin, then the NumPy reference; `use_backend` pins one of them.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from pyautodl.backends import native
from pyautodl.backends.array import (
    Array,
    Storage,
    Table,
    channels_last_strides,
    constant,
    contiguous_strides,
    dense_order,
    empty,
    empty_strides_like,
    from_numpy,
)
from pyautodl.errors import BackendError

__all__ = [
    "BACKENDS",
    "Array",
    "Storage",
    "Table",
    "backend_kernels",
    "channels_last_strides",
    "constant",
    "contiguous_strides",
    "current_backend",
    "dense_order",
    "empty",
    "empty_strides_like",
    "fallbacks",
    "from_numpy",
    "run",
    "use_backend",
]

BACKENDS = ("native", "jit", "reference")
FAMILIES = (
    "eltwise",
    "copy",
    "reduce",
    "sort",
    "index",
    "softmax",
    "loss",
    "matmul",
    "conv",
    "winograd",
    "pool",
    "interpolate",
    "norm",
    "rnn",
    "random",
    "optim",
    "augment",
)

Argument = Array | Table | list[Array] | None
Call = Callable[
    [Sequence[Argument], Sequence[Argument], Sequence[int], Sequence[float]], None
]

_forced: str | None = None
# (kernel, dtype code) -> the call, filled at first use
_calls: dict[tuple[str, int], Call] = {}
# the same -> (backend taken, why not a better one)
_fallbacks: dict[tuple[str, int], tuple[str, str]] = {}
_modules: dict[str, dict[str, Callable[..., None]]] = {}


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
        call = _calls[key] = _resolve(*key)
    call(reads, writes, ints, floats)


def _dtype_code(reads: Sequence[Argument], writes: Sequence[Argument]) -> int:
    first = reads[0] if reads else writes[0]
    if type(first) is Array or type(first) is Table:
        return first.dtype.code
    for argument in (*reads, *writes):
        each = argument[0] if isinstance(argument, list) and argument else argument
        if isinstance(each, (Array, Table)):
            return each.dtype.code
    raise BackendError("run: a kernel call needs at least one array")


def _resolve(name: str, code: int) -> Call:
    reasons: list[str] = []
    for backend in (_forced,) if _forced else BACKENDS:
        kernels = backend_kernels(backend)
        if name in kernels and (backend != "native" or code in native.kernels[name]):
            if reasons:
                _fallbacks[name, code] = (backend, "; ".join(reasons))
            return _make_call(backend, name)
        reasons.append(f"{backend}: {_why_absent(backend)}")
    raise BackendError(
        f"{name}: no kernel for dtype code {code} ({'; '.join(reasons)})"
    )


def _why_absent(backend: str) -> str:
    if backend == "native" and not native.available:
        return native.unavailable_reason or "the extension is absent"
    if backend == "jit" and not backend_kernels("jit"):
        return "numba is not installed"
    return "has no such kernel"


def backend_kernels(backend: str) -> dict[str, Any]:
    """The kernels of one backend by name: for native their dtypes, else functions."""
    if backend == "native":
        return native.kernels
    if backend not in _modules:
        _modules[backend] = _load_kernels(backend)
    return _modules[backend]


def _load_kernels(backend: str) -> dict[str, Callable[..., None]]:
    if backend == "jit" and importlib.util.find_spec("numba") is None:
        return {}
    package = f"pyautodl.backends.{backend}"
    kernels = {}
    for family in FAMILIES:
        if importlib.util.find_spec(f"{package}.{family}") is None:
            continue
        module = importlib.import_module(f"{package}.{family}")
        kernels.update({name: getattr(module, name) for name in module.__all__})
    return kernels


def _make_call(backend: str, name: str) -> Call:
    if backend == "native":
        return native.make_call(name)
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


def current_backend() -> str:
    """The backend pinned by `use_backend`, else the best that is present."""
    if _forced:
        return _forced
    return next(each for each in BACKENDS if backend_kernels(each))


def fallbacks() -> dict[str, tuple[str, str]]:
    """Kernels used so far that the best backend lacks: name -> (backend, why)."""
    return {name: taken for (name, _), taken in _fallbacks.items()}


@contextmanager
def use_backend(name: str) -> Iterator[None]:
    """Run every kernel of the block on one backend, exactly.

    Args:
        name: "native", "jit" or "reference".

    Raises:
        BackendError: the name is unknown or the backend is absent; inside the block, a
            kernel that the backend lacks.

    Example:
        >>> import pyautodl as ad
        >>> with ad.use_backend("reference"):
        ...     ad.ones(2) + 1
        tensor([2., 2.])
    """
    global _forced
    if name not in BACKENDS:
        raise BackendError(
            f"use_backend: {name!r} is unknown; choose one of {BACKENDS}"
        )
    if not backend_kernels(name):
        raise BackendError(f"use_backend: {name} is absent: {_why_absent(name)}")
    before = _forced
    _forced = name
    _calls.clear()
    try:
        yield
    finally:
        _forced = before
        _calls.clear()
