"""Which backend runs a kernel.

By default the compiled kernel, else its numba twin, else the NumPy reference;
`use_backend` pins one of them.
"""

from __future__ import annotations

import importlib
import importlib.util
import weakref
from collections.abc import Callable
from contextlib import ContextDecorator
from typing import Any, TypeVar

from pyautodl.backends import native
from pyautodl.backends.dtypes import DTYPES
from pyautodl.errors import BackendError

__all__ = [
    "BACKENDS",
    "FAMILIES",
    "KeptCalls",
    "backend_kernels",
    "chosen_backend",
    "current_backend",
    "fallbacks",
    "forget_calls",
    "keep_calls",
    "pinned_backend",
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
    "sparse",
    "grid_sample",
    "norm",
    "rnn",
    "random",
    "optim",
    "augment",
)

Function = TypeVar("Function", bound=Callable[..., Any])

_forced: str | None = None
# (kernel, dtype code) -> (backend taken, why not a better one)
_fallbacks: dict[tuple[str, int], tuple[str, str]] = {}
_modules: dict[str, dict[str, Callable[..., None]]] = {}
# what holds calls that depend on the choice: always, and while it is there itself
_holders: list[dict[Any, Any]] = []
_passing_holders: weakref.WeakValueDictionary[int, KeptCalls] = (
    weakref.WeakValueDictionary()
)


def chosen_backend(name: str, code: int) -> str:
    """The backend that runs a kernel."""
    reasons: list[str] = []
    for backend in (_forced,) if _forced else BACKENDS:
        kernels = backend_kernels(backend)
        if name in kernels and (backend != "native" or code in native.kernels[name]):
            if reasons:
                _fallbacks[name, code] = (backend, "; ".join(reasons))
            return backend
        reasons.append(f"{backend}: {_why_absent(backend)}")
    fix = "of what the type is for, as .float()"
    if _forced not in (None, "reference"):
        fix = "use_backend(None), which takes the best that has the kernel"
    raise BackendError(
        f"{name}: no kernel for {DTYPES[code].name} ({'; '.join(reasons)}); likely fix: {fix}"
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


def current_backend() -> str:
    """The backend pinned by `use_backend`, else the best that is present.

    Example:
        >>> import pyautodl as ad
        >>> with ad.use_backend("reference"):
        ...     ad.current_backend()
        'reference'
    """
    if _forced:
        return _forced
    return next(each for each in BACKENDS if backend_kernels(each))


def pinned_backend() -> str | None:
    """The backend that `use_backend` has pinned; None: the best that has the kernel."""
    return _forced


def fallbacks() -> dict[str, tuple[str, str]]:
    """Kernels used so far that the best backend lacks: name -> (backend, why).

    Example:
        >>> import pyautodl as ad
        >>> isinstance(ad.fallbacks(), dict)
        True
    """
    return {name: taken for (name, _), taken in _fallbacks.items()}


class use_backend(ContextDecorator):
    """Run every kernel on one backend, exactly: from here on, or for a block.

    It holds for all threads, at once; behind `with`, or a function that it decorates,
    until the end, when the backend of before is put back.

    Args:
        name: "native", "jit" or "reference"; None: the best that has the kernel.

    Raises:
        BackendError: the name is unknown or the backend is absent; later on, a kernel that
            the backend lacks.

    Example:
        >>> import pyautodl as ad
        >>> with ad.use_backend("reference"):
        ...     ad.ones(2) + 1
        tensor([2., 2.])
        >>> chosen = ad.use_backend("reference")
        >>> ad.current_backend()
        'reference'
        >>> chosen = ad.use_backend(None)
    """

    def __init__(self, name: str | None) -> None:
        if name is not None and name not in BACKENDS:
            choices = ", ".join(map(repr, BACKENDS))
            raise BackendError(
                f"use_backend: {name!r} is unknown; choose one of {choices}, or None for "
                "the best"
            )
        if name is not None and not backend_kernels(name):
            raise BackendError(f"use_backend: {name} is absent: {_why_absent(name)}")
        self.name = name
        self._outer: str | None = _forced
        self._entered = False
        self._before: list[str | None] = []
        _force(name)

    def __enter__(self) -> None:
        # the first block ends what the constructor began
        self._before.append(_forced if self._entered else self._outer)
        self._entered = True
        _force(self.name)

    def __exit__(self, *error: object) -> None:
        _force(self._before.pop())

    def __call__(self, function: Function) -> Function:
        """Decorate a function: it alone runs on the backend."""
        if not self._entered:
            self._entered = True
            _force(self._outer)
        return super().__call__(function)


def _force(name: str | None) -> None:
    global _forced
    if name != _forced:
        _forced = name
        forget_calls()


def keep_calls(calls: dict[Any, Any]) -> None:
    """Let a dict hold calls of kernels: it is emptied when another backend is pinned."""
    _holders.append(calls)


class KeptCalls(dict[Any, Any]):
    """Calls of kernels by what they were prepared for; emptied when another backend is pinned,
    or something else that they depend on has changed.

    Args:
        most: how many are kept; with one more they start anew.
    """

    __slots__ = ("__weakref__", "_most")

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most = most
        _passing_holders[id(self)] = self

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        """A copy begins without calls, and is emptied with the others."""
        return KeptCalls, (self._most,)

    def keep(self, key: Any, call: Any) -> None:
        """Keep a call."""
        if len(self) >= self._most:
            self.clear()
        self[key] = call


def forget_calls() -> None:
    """Something that calls depend on has changed: what was resolved before is void."""
    for each in _holders:
        each.clear()
    # listed at once, as other threads may add some meanwhile
    for reference in _passing_holders.valuerefs():
        holder = reference()
        if holder is not None:
            holder.clear()
