"""The compiled kernels: the only module that touches the extension.

Without the extension `available` is False, `kernels` is empty and the functions raise
BackendError, all but `free`.
"""

from __future__ import annotations

import operator
import os
import struct
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from pyautodl._version import __version__
from pyautodl.backends.checks import index_error
from pyautodl.backends.codes import ABSENT, MAX_THREADS
from pyautodl.errors import BackendError

__all__ = [
    "allocate_address",
    "available",
    "available_cpus",
    "buffer",
    "current_isa",
    "dispatch",
    "empty_cache",
    "exact_threads",
    "failure",
    "float_count",
    "free",
    "get_num_threads",
    "isa_names",
    "kernels",
    "make_call",
    "memory_stats",
    "out_of_memory",
    "pack_table",
    "prepare",
    "prepared_address",
    "reset_peak_memory",
    "sequence",
    "set_cache_limit",
    "set_num_threads",
    "unavailable_reason",
    "use_isa",
    "write_float",
]

try:
    import pyautodl._dispatch as _dispatch
    from pyautodl._native import ffi as _ffi
    from pyautodl._native import lib as _lib
except ImportError as error:
    from pyautodl import _installation

    _dispatch = _ffi = _lib = None
    unavailable_reason: str | None = _installation.absence(error)
    if _installation.absence_matters(error):
        warnings.warn(
            f"pyautodl runs without its compiled kernels, many times slower: "
            f"{unavailable_reason}; PYAUTODL_NO_EXTENSION=1 silences this",
            RuntimeWarning,
            stacklevel=2,
        )
else:
    unavailable_reason = None

available: bool = _lib is not None

# what of every call is done in C, see csrc/dispatch
dispatch: Any = _dispatch

# kernel -> the dtype codes it is built for
kernels: dict[str, frozenset[int]] = {}
# kernel -> (number in C, reads, writes, ints, floats)
_signatures: dict[str, tuple[int, int, int, int, int]] = {}

_exact_threads = (0, False)  # how many, 0: as the work asks; whether uneven

# an array's element type, shape and strides as C has them; None: absent
_Layout = bytes | None
_Call = Callable[[Sequence[Any], Sequence[Any], Sequence[int], Sequence[float]], None]


# ---- calling kernels ----


def make_call(name: str) -> _Call:
    """The function `(reads, writes, ints, floats)` that runs kernel `name`.

    Raises:
        BackendError: there is no such kernel; when called, no variant for the dtype.
        IndexError: when called, an index is out of range.
        MemoryError: when called, there is no memory for scratch.
        TypeError: when called, a number is of another type than the kernel's.
        ValueError: when called, the kernel refuses an argument.
    """
    if name not in _signatures:
        raise BackendError(
            f"native: no kernel {name!r} ({unavailable_reason or 'unknown'})"
        )
    number, n_reads, n_writes, n_ints, n_floats = _signatures[name]
    nbytes = (n_reads + n_writes) * len(_ABSENT) + 8 * (n_ints + n_floats)
    pack_numbers = struct.Struct(f"={n_ints}q{n_floats}d").pack
    run, join = _lib.pyad_run, b"".join

    def call(
        reads: Sequence[Any],
        writes: Sequence[Any],
        ints: Sequence[int],
        floats: Sequence[float],
    ) -> None:
        parts: list[bytes] = []
        tables: list[Any] = []  # their memory, alive until the kernel is through
        for a in (*reads, *writes):
            if a is None:
                parts.append(_ABSENT)
            elif type(a) is list:
                descs = [_ABSENT if each is None else each.desc() for each in a]
                desc, memory = pack_table(join(descs), len(a))
                parts.append(desc)
                tables.append(memory)
            else:
                parts.append(a.desc())
        try:
            parts.append(pack_numbers(*ints, *floats))
        except struct.error as error:
            raise _wrong_numbers(name, ints, floats) from error
        args = join(parts)
        if len(args) != nbytes:
            raise _wrong_counts(name, reads, writes)
        if run(number, args, 0):
            raise failure(name)

    return call


def prepare(
    name: str,
    layouts: Sequence[_Layout | list[_Layout]],
    nbytes: Sequence[int | None],
    ints: Sequence[int],
    floats: Sequence[float],
) -> Any:
    """Kernel `name` on arrays of known layout, for `dispatch.Launch` and `sequence`.

    Args:
        name: the kernel.
        layouts: of each array, read or written, in the order of the C struct; None: absent;
            a list of them for a list of arrays.
        nbytes: the size of each output; None: absent; or GIVEN.
        ints, floats: the kernel's numbers.

    Raises:
        BackendError: there is no such kernel, or it takes other arguments.
        MemoryError: an output is larger than any memory.
        TypeError: a number is of another type than the kernel's.
    """
    number, n_reads, n_writes, n_ints, n_floats = _signatures[name]
    if (len(layouts), len(nbytes)) != (n_reads + n_writes, n_writes) or (
        (len(ints), len(floats)) != (n_ints, n_floats)
    ):
        raise _wrong_counts(name, layouts[:-n_writes], layouts[-n_writes:])
    tables: list[Any] = []  # their memory, alive until C has copied it
    arrays = [_without_address(each, tables) for each in layouts]
    try:
        numbers = struct.pack(f"={n_ints}q{n_floats}d", *ints, *floats)
    except struct.error as error:
        raise _wrong_numbers(name, ints, floats) from error
    args = b"".join(arrays) + numbers
    try:
        sizes = _ffi.new("int64_t[]", [ABSENT if n is None else n for n in nbytes])
    except OverflowError:  # more than C can count
        raise out_of_memory(max(n or 0 for n in nbytes)) from None
    prepared = _lib.pyad_prepare(number, args, sizes)
    if prepared == _ffi.NULL:
        raise MemoryError(f"{name}: can't allocate a prepared call")
    return _ffi.gc(prepared, _lib.pyad_unprepare)


def sequence(calls: Sequence[Any]) -> Callable[[bytes], None]:
    """What runs prepared calls one after the other, into memory that is there.

    It takes the addresses of all arrays of the first call, eight bytes each, reads first,
    0 where absent, then of the second and so on.
    """
    count, table = len(calls), _ffi.new("pyad_prepared *[]", calls)
    run = _lib.pyad_call_sequence

    def call(addresses: bytes) -> None:
        if run(count, table, addresses):
            raise failure(f"sequence of {len(calls)} kernels")

    return call


def _without_address(layout: _Layout | list[_Layout], tables: list[Any]) -> bytes:
    """The descriptor of an array, or of a list of them, whose address comes later."""
    if layout is None:
        return _ABSENT
    if not isinstance(layout, list):
        return bytes(8) + layout
    descs = b"".join([_without_address(each, tables) for each in layout])
    desc, memory = pack_table(descs, len(layout))
    tables.append(memory)
    return desc


def prepared_address(prepared: Any) -> int:
    """Where C finds a prepared call, while that is alive."""
    return int(_ffi.cast("intptr_t", prepared))


def float_count(name: str) -> int:
    """How many floats a kernel takes."""
    return _signatures[name][4]


_pack_desc = struct.Struct("=19q").pack
_ABSENT = bytes(19 * 8)


def pack_table(descs: bytes | bytearray, count: int) -> tuple[bytes, Any]:
    """The descriptor of a list of arrays, given theirs; and what must live as long."""
    memory = _ffi.from_buffer(descs or _ABSENT)
    address = int(_ffi.cast("intptr_t", memory))
    desc = _pack_desc(address, _lib.PYAD_TABLE, 1, count, *(0,) * 7, 1, *(0,) * 7)
    return desc, memory


def _wrong_counts(
    name: str, reads: Sequence[Any], writes: Sequence[Any]
) -> BackendError:
    _, n_reads, n_writes, _, _ = _signatures[name]
    return BackendError(
        f"{name}: the compiled kernel takes {n_reads} arrays to read and {n_writes} to "
        f"write, got {len(reads)} and {len(writes)}; if the sources changed, run "
        "python setup.py build_ext --inplace"
    )


def _wrong_numbers(name: str, ints: Sequence[Any], floats: Sequence[Any]) -> TypeError:
    _, _, _, n_ints, n_floats = _signatures[name]
    return TypeError(
        f"{name}: expected {n_ints} integers of 64 bits and {n_floats} floats, got "
        f"{tuple(ints)} and {tuple(floats)}"
    )


def failure(name: str) -> Exception:
    """The error to raise where a call of kernel `name` failed."""
    error = _ffi.new("pyad_error *")
    _lib.pyad_last_error(error)
    status = error.code
    if status == _lib.PYAD_ERROR_INDEX:
        found = index_error(error.position, error.value, error.limit)
        return type(found)(f"{name}: {found}")
    if status == _lib.PYAD_ERROR_MEMORY:
        return MemoryError(f"{name}: can't allocate {error.value:,} bytes of scratch")
    if status == _lib.PYAD_ERROR_OUTPUT:
        return out_of_memory(error.value)
    if status == _lib.PYAD_ERROR_DTYPE:
        return BackendError(
            f"{name}: the kernel is not built for dtype code {error.value}"
        )
    if status == _lib.PYAD_ERROR_VALUE:
        return ValueError(
            f"{name}: argument {error.position} is {error.value}, limit {error.limit}"
        )
    return BackendError(f"{name}: the kernel failed with status {status}")


# ---- memory ----


def out_of_memory(nbytes: int) -> MemoryError:
    """The error to raise where `allocate_address` gave 0."""
    used = memory_stats()["allocated_bytes"]
    return MemoryError(
        f"can't allocate {nbytes:,} bytes ({used:,} are in use); smaller batches or "
        "images need less"
    )


def buffer(address: int, nbytes: int) -> Any:
    """A writable buffer over memory, for np.frombuffer; it keeps nothing alive."""
    return _ffi.buffer(_ffi.cast("char *", address), nbytes)


def memory_stats() -> dict[str, int]:
    """Return what is known of the memory that arrays live in.

    allocated_bytes are in use, reserved_bytes are those and the kept ones,
    peak_allocated_bytes the most in use since `reset_peak_memory`, system_allocations
    and reused_blocks how many requests the system and kept blocks have served.

    Example:
        >>> import pyautodl as ad
        >>> ad.memory_stats()["allocated_bytes"] >= 0
        True
    """
    stats = _ffi.new("pyad_memory_stats *")
    _lib.pyad_get_memory_stats(stats)
    return {field: getattr(stats, field) for field in dir(stats)}


def reset_peak_memory() -> None:
    """Let peak_allocated_bytes start again at what is in use now.

    Example:
        >>> import pyautodl as ad
        >>> ad.reset_peak_memory()
    """
    _lib.pyad_reset_peak_memory()


def empty_cache() -> None:
    """Give kept blocks back to the system.

    Example:
        >>> import pyautodl as ad
        >>> ad.empty_cache()
    """
    _lib.pyad_empty_cache()


def set_cache_limit(nbytes: int) -> None:
    """Keep at most `nbytes` of unused memory (default: half of the machine's).

    Example:
        >>> import pyautodl as ad
        >>> ad.set_cache_limit(2**30)
    """
    if nbytes < 0:
        raise ValueError(f"set_cache_limit: nbytes must not be negative, got {nbytes}")
    _lib.pyad_set_cache_limit(nbytes)


# ---- threads ----


def _checked_threads(n: Any, what: str) -> int:
    try:
        count = 0 if isinstance(n, bool) else operator.index(n)
    except TypeError:
        count = 0
    if not 1 <= count <= MAX_THREADS:
        raise ValueError(f"{what} must be a number from 1 to {MAX_THREADS}, got {n!r}")
    return count


def set_num_threads(n: int) -> None:
    """Let large kernels use up to `n` threads; no result depends on it.

    Example:
        >>> import pyautodl as ad
        >>> before = ad.get_num_threads()
        >>> ad.set_num_threads(1)
        >>> ad.get_num_threads()
        1
        >>> ad.set_num_threads(before)
    """
    _lib.pyad_set_num_threads(_checked_threads(n, "set_num_threads: n"))


def get_num_threads() -> int:
    """How many threads a large kernel may use.

    Example:
        >>> import pyautodl as ad
        >>> ad.get_num_threads() >= 1
        True
    """
    return int(_lib.pyad_get_num_threads())


def available_cpus() -> int:
    """Processors that affinity and the control group's quota leave to this process."""
    return int(_lib.pyad_available_cpus())


@contextmanager
def exact_threads(n: int, uneven: bool = False) -> Iterator[None]:
    """Run every kernel of the block with exactly `n` threads, however small it is.

    For tests: by themselves small kernels stay on the caller's thread.

    Args:
        n: how many threads.
        uneven: give them parts of very different sizes, not in proportion to
            their paces.
    """
    global _exact_threads
    before = _exact_threads
    _exact_threads = (_checked_threads(n, "exact_threads: n"), uneven)
    _lib.pyad_set_exact_threads(*_exact_threads)
    try:
        yield
    finally:
        _exact_threads = before
        _lib.pyad_set_exact_threads(*before)


# ---- instruction sets ----


def isa_names() -> list[str]:
    """The kernel tables that this machine can run, best first."""
    return [
        _ffi.string(_lib.pyad_isa_name(i)).decode()
        for i in range(_lib.pyad_isa_count())
    ]


# names of kernel tables by where C has them: a call at inference asks each time
_isa_texts: dict[Any, str] = {}


def current_isa() -> str:
    """The kernel table in use."""
    name = _lib.pyad_current_isa()
    text = _isa_texts.get(name)
    if text is None:
        text = _isa_texts[name] = _ffi.string(name).decode()
    return text


def use_isa(name: str) -> None:
    """Use the kernel table `name` from now on.

    Raises:
        BackendError: this machine has no such table; names those it has.
    """
    if _lib.pyad_use_isa(name.encode()) != 0:
        raise BackendError(
            f"use_isa: {name!r} is not among this machine's: {', '.join(isa_names())}"
        )


# ---- at import ----


def _check_version() -> None:
    compiled = _ffi.string(_lib.pyad_version()).decode()
    if compiled != __version__:
        raise ImportError(
            f"pyautodl {__version__} found an extension compiled for {compiled}: "
            "reinstall it (pip install --force-reinstall pyautodl) or rebuild it "
            "(python setup.py build_ext --inplace)"
        )
    if _lib.pyad_isa_count() == 0:
        raise ImportError(
            "the extension was built without a kernel table for this machine: rebuild it "
            "without PYAUTODL_BUILD_ISAS"
        )


def _read_kernels() -> None:
    info = _ffi.new("pyad_kernel_info *")
    for number in range(_lib.pyad_kernel_count()):
        _lib.pyad_get_kernel_info(number, info)
        name = _ffi.string(info.name).decode()
        codes = range(_lib.PYAD_NUM_DTYPES)
        kernels[name] = frozenset(code for code in codes if info.dtypes >> code & 1)
        _signatures[name] = (number, info.reads, info.writes, info.ints, info.floats)


def _read_environment() -> None:
    threads = os.environ.get("PYAUTODL_NUM_THREADS")
    if threads:
        number = int(threads) if threads.strip().isdecimal() else threads
        try:
            count = _checked_threads(number, "PYAUTODL_NUM_THREADS")
        except ValueError as error:
            raise BackendError(str(error)) from None
        _lib.pyad_set_num_threads(count)
    isa = os.environ.get("PYAUTODL_ISA")
    if isa and _lib.pyad_use_isa(isa.encode()) != 0:
        raise BackendError(
            f"PYAUTODL_ISA={isa!r} is not among this machine's: "
            f"{', '.join(isa_names())}; likely fix: unset it, the best is taken then"
        )


def _absent(*args: Any) -> Any:
    raise BackendError(f"native: {unavailable_reason}")


def _ignore(address: int) -> None:
    """Stands for `free` where nothing can have been allocated."""


if available:
    _check_version()
    _read_kernels()
    _read_environment()
    # of a block of so many bytes, aligned to a cache line, which goes back by `free`; 0 where
    # the request can't be met
    allocate_address: Callable[[int], int] = _lib.pyad_allocate_address
    # of one that is kept for long
    allocate_lasting: Callable[[int], int] = _lib.pyad_allocate_lasting
    # whether requests of this thread take parts of larger blocks; returns what it was
    cut_blocks: Callable[[int], int] = _lib.pyad_cut_blocks
    # write a number at an address, given its dtype's code
    write_float: Callable[[int, int, float], None] = _lib.pyad_write_float
    free: Callable[[int], None] = _lib.pyad_free_address
    # let the block there go back to the system when it is freed
    use_once: Callable[[int], None] = _lib.pyad_use_once
    _dispatch.bind_runtime(
        int(_ffi.cast("intptr_t", _lib.pyad_get_interface())),
        int(_ffi.cast("intptr_t", _ffi.addressof(_lib, "pyad_allocate_address"))),
        failure,
    )
else:
    allocate_address = memory_stats = reset_peak_memory = empty_cache = _absent
    write_float = use_once = allocate_lasting = cut_blocks = _absent
    isa_names = current_isa = get_num_threads = available_cpus = _absent
    buffer: Any = _absent  # type: ignore[no-redef]
    set_cache_limit: Any = _absent  # type: ignore[no-redef]
    use_isa: Any = _absent  # type: ignore[no-redef]
    set_num_threads: Any = _absent  # type: ignore[no-redef]
    exact_threads: Any = _absent  # type: ignore[no-redef]
    free = _ignore
