"""Backends: who runs a kernel.

`run` is the one way from an op to a kernel. By default it takes the compiled kernel,
then the numba twin, then the NumPy reference; `use_backend` pins one of them.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator, Sequence
from contextlib import ContextDecorator, contextmanager
from math import prod
from typing import Any, NamedTuple, TypeVar

import numpy as np

from pyautodl.backends import native
from pyautodl.backends.array import (
    Array,
    Storage,
    Table,
    as_constant,
    channels_last_strides,
    constant,
    contiguous_strides,
    dense_order,
    empty,
    empty_strides_like,
    from_numpy,
    is_constant,
    new_storage,
    pack_layout,
)
from pyautodl.backends.codes import GIVEN
from pyautodl.backends.dtypes import DTYPES, DType
from pyautodl.backends.launch import Give, Launch, Result, launcher
from pyautodl.errors import BackendError

__all__ = [
    "BACKENDS",
    "Array",
    "Give",
    "KernelCall",
    "Made",
    "Prepared",
    "Result",
    "Seen",
    "Storage",
    "Table",
    "as_constant",
    "backend_kernels",
    "channels_last_strides",
    "constant",
    "contiguous_strides",
    "current_backend",
    "dense_order",
    "empty",
    "empty_strides_like",
    "fallbacks",
    "forget_calls",
    "from_numpy",
    "is_constant",
    "is_direct",
    "keep_prepared",
    "observe",
    "pack_layout",
    "prepare",
    "prepare_chain",
    "run",
    "see",
    "use_backend",
    "witnessed",
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

Function = TypeVar("Function", bound=Callable[..., Any])

_forced: str | None = None
# (kernel, dtype code) -> the call, filled at first use
_calls: dict[tuple[str, int], Call] = {}
# the same -> (backend taken, why not a better one)
_fallbacks: dict[tuple[str, int], tuple[str, str]] = {}
_modules: dict[str, dict[str, Callable[..., None]]] = {}
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
        call = _calls[key] = _resolve(*key)
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


def _resolve(name: str, code: int) -> Call:
    return _make_call(_choose(name, code), name)


def _choose(name: str, code: int) -> str:
    """The backend that runs a kernel."""
    reasons: list[str] = []
    for backend in (_forced,) if _forced else BACKENDS:
        kernels = backend_kernels(backend)
        if name in kernels and (backend != "native" or code in native.kernels[name]):
            if reasons:
                _fallbacks[name, code] = (backend, "; ".join(reasons))
            return backend
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


def fallbacks() -> dict[str, tuple[str, str]]:
    """Kernels used so far that the best backend lacks: name -> (backend, why)."""
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


def forget_calls() -> None:
    """Something that calls depend on has changed: what was resolved before is void."""
    _calls.clear()
    for each in _prepared:
        each.clear()


# ---- calls prepared for arrays of known layout ----

# what holds prepared calls; emptied when another backend is pinned
_prepared: list[dict[Any, Any]] = []


def keep_prepared(calls: dict[Any, Any]) -> None:
    """Let a dict hold prepared calls: it is emptied when another backend is pinned."""
    _prepared.append(calls)


class Seen(NamedTuple):
    """An array as a kernel sees it: maybe transposed or expanded, or a part.

    `place` says which of the inputs it is; None: absent. `shift` counts elements.
    """

    place: int | None
    code: int = 0
    shape: tuple[int, ...] = ()
    strides: tuple[int, ...] = ()
    shift: int = 0


class Made(NamedTuple):
    """An array that a kernel writes: as it is, and as the kernel sees it if that differs."""

    shape: tuple[int, ...]
    dtype: DType
    strides: tuple[int, ...]
    seen: tuple[tuple[int, ...], tuple[int, ...]] | None = None


class KernelCall(NamedTuple):
    """A call of a kernel, as `prepare` takes it."""

    name: str
    reads: Sequence[Seen | list[Seen]]
    writes: Sequence[Made | Seen | None]
    ints: Sequence[int]
    floats: Sequence[float] = ()


Prepared = Callable[[Sequence[Array | None], Any], Any]


def is_direct() -> bool:
    """Whether kernels are the compiled ones and nobody observes their calls."""
    return _observer is None and current_backend() == "native"


def prepare(
    name: str,
    reads: Sequence[Seen | list[Seen]],
    writes: Sequence[Made | Seen | None],
    ints: Sequence[int],
    floats: Sequence[float] = (),
) -> Prepared:
    """The function `(inputs, floats)` that makes the outputs and runs kernel `name` on them.

    It returns the output that it made, or a tuple of them where there is not just one; None
    in `writes` is one that is left out, `Seen` one that is there. The floats are given
    here, or, where the kernel takes some and none are, at each call.
    """
    backend = _choose(name, _code_of(reads, writes))
    if backend == "native" and _observer is None:
        launch = _launch(name, reads, writes, ints, floats)
        given = 1 + max(
            [place for place, _ in launch.addressed if place is not None] or [-1]
        )
        return launcher([launch], given, bare=len(launch.made) == 1)
    run_kernel = _make_call(backend, name)
    fixed = floats

    def call(inputs: Sequence[Array | None], floats: Sequence[float]) -> Any:
        outputs: list[Array] = []
        written: list[Array | None] = []
        for each in writes:
            if isinstance(each, Made):
                out = empty(each.shape, each.dtype, each.strides)
                outputs.append(out)
                written.append(out if each.seen is None else out.view(*each.seen))
            else:
                written.append(None if each is None else _see(inputs, each))
        run_kernel(see(inputs, reads), written, ints, fixed or floats)
        return outputs[0] if len(outputs) == 1 else tuple(outputs)

    return call


def prepare_chain(
    steps: Sequence[KernelCall | Give],
    given: int,
    more: int,
    results: Sequence[Result],
    bare: bool,
) -> Prepared | None:
    """The function that takes steps one after the other, see `launcher`; None if one of
    them calls a kernel that is not compiled.
    """
    if _observer is not None:
        return None
    launches: list[Launch | Give] = []
    for each in steps:
        if not isinstance(each, KernelCall):
            launches.append(each)
        elif _choose(each.name, _code_of(each.reads, each.writes)) == "native":
            launches.append(_launch(*each))
        else:
            return None
    return launcher(launches, given, more, results, bare)


def _code_of(
    reads: Sequence[Seen | list[Seen]], writes: Sequence[Made | Seen | None]
) -> int:
    """The dtype code of a call's first array."""
    for each in (*reads, *writes):
        first = each[0] if isinstance(each, list) and each else each
        if isinstance(first, Made):
            return first.dtype.code
        if isinstance(first, Seen) and first.place is not None:
            return first.code
    raise BackendError("prepare: a kernel call needs at least one array")


def see(
    inputs: Sequence[Array | None], reads: Sequence[Seen | list[Seen]]
) -> list[Any]:
    """The inputs as a kernel sees them."""
    return [
        [_see(inputs, one) for one in each]
        if isinstance(each, list)
        else _see(inputs, each)
        for each in reads
    ]


def _see(inputs: Sequence[Array | None], seen: Seen) -> Array | None:
    place, _, shape, strides, shift = seen
    x = None if place is None else inputs[place]
    if x is None or (x.shape == shape and x.strides == strides and not shift):
        return x
    return x.view(shape, strides, x.offset + shift)


def _launch(
    name: str,
    reads: Sequence[Seen | list[Seen]],
    writes: Sequence[Made | Seen | None],
    ints: Sequence[int],
    floats: Sequence[float],
) -> Launch:
    layouts: list[Any] = [
        [_layout(one) for one in each] if isinstance(each, list) else _layout(each)
        for each in reads
    ]
    nbytes: list[int | None] = []
    made: list[tuple[Any, ...]] = []
    for i, each in enumerate(writes):
        if not isinstance(each, Made):
            layouts.append(None if each is None else _layout(each))
            nbytes.append(None if each is None else GIVEN)
            continue
        shape, dtype, strides, seen = each
        layout = pack_layout(dtype.code, shape, strides)
        layouts.append(layout if seen is None else pack_layout(dtype.code, *seen))
        nbytes.append(prod(shape) * dtype.itemsize)
        made.append((i, nbytes[-1], shape, strides, dtype, layout))
    given = [each for each in writes if isinstance(each, Seen)]
    addressed = tuple(_addressed([*reads, *given]))
    count = native.float_count(name)
    changing = count > 0 and not floats
    fixed = (0.0,) * count if changing else floats
    prepared = native.prepare(name, layouts, nbytes, ints, fixed)
    lists = any(isinstance(each, list) for each in reads)
    direct = not (changing or given or lists or len(reads) > 3)
    given_floats = None if changing else tuple(fixed)
    return Launch(name, prepared, addressed, tuple(made), given_floats, direct)


def _layout(seen: Seen) -> bytes | None:
    return None if seen.place is None else pack_layout(*seen[1:4])


def _addressed(
    arrays: Sequence[Seen | list[Seen]],
) -> list[tuple[int | None, int]]:
    """Which inputs' addresses a call takes, and how many bytes from there."""
    found: list[tuple[int | None, int]] = []
    for each in arrays:
        for one in each if isinstance(each, list) else (each,):
            found.append((one.place, one.shift * DTYPES[one.code].itemsize))
    return found


def __getattr__(name: str) -> Any:
    # PyTorch's, which scripts set and ask
    if name in ("cudnn", "mps"):
        return importlib.import_module(f"pyautodl.backends.{name}")
    raise AttributeError(f"module 'pyautodl.backends' has no attribute {name!r}")
