"""Arrays as kernels see them: an address, a shape, strides, an element type.

An `Array` is what ops work on, below tensors and gradients. Its memory comes from the
compiled extension, or from NumPy where that was left out. In the first case the array knows
its address, and a NumPy view of it is made only when somebody asks for one.
"""

from __future__ import annotations

import math
import operator
import struct
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from math import prod
from threading import get_ident
from typing import Any

import numpy as np
from numpy.lib.array_utils import byte_bounds

from pyautodl.backends import native
from pyautodl.backends.codes import MAX_DIMS
from pyautodl.backends.dtypes import DTYPES, FLOATING, DType, as_dtype, int64
from pyautodl.backends.fields import ArrayFields, StorageFields
from pyautodl.errors import DTypeError, ShapeError, describe

__all__ = [
    "DESC_BYTES",
    "READS",
    "Array",
    "Storage",
    "Table",
    "as_constant",
    "channels_last_strides",
    "constant",
    "contiguous_strides",
    "counted_reads",
    "dense_order",
    "empty",
    "empty_lasting",
    "empty_strides_like",
    "from_numpy",
    "is_constant",
    "new_storage",
    "note_reads",
    "out_of_range",
    "overlapping_axis",
    "pack_layout",
    "repeated",
]

# of a C `pyad_array`
DESC_BYTES = 8 * (3 + 2 * MAX_DIMS)
_ALIGNMENT = 64
_new_ndarray = np.ndarray
_pack_address = struct.Struct("<Q").pack
_put_address = struct.Struct("<Q").pack_into
_pack_geometry = struct.Struct(f"<qq{MAX_DIMS}q{MAX_DIMS}q").pack


# how often Python has looked at more of an array than its layout, of each thread that
# counts: by one number for all, a read would be missed when another thread takes one back
READS: dict[int, int] = {}


def note_reads(times: int = 1) -> None:
    """Count reads of this thread; asked only `if READS`, as nobody counts mostly."""
    thread = get_ident()
    if thread in READS:
        READS[thread] += times


@contextmanager
def counted_reads() -> Iterator[Callable[[], int]]:
    """Let the block ask how often its thread has read since it began."""
    thread = get_ident()
    is_first = thread not in READS
    before = READS.setdefault(thread, 0)
    try:
        yield lambda: READS[thread] - before
    finally:
        if is_first:
            del READS[thread]


class Storage(StorageFields):
    """A block of memory, shared by all the views of it.

    `owner` keeps foreign memory alive; None means a block of the extension, which
    goes back to it with this object. `version` counts in-place changes.
    """

    __slots__ = ("__weakref__",)

    def __init__(self, address: int, nbytes: int, owner: Any = None) -> None:
        self.address = address
        self.nbytes = nbytes
        self.version = 0
        # other forms of the contents, for one version of them: see ops/conv/packed_weight.py
        self.packed: tuple[int, dict[Any, Array | None]] | None = None
        self._owner = owner
        # whether somebody else brought the memory
        self.foreign = owner is not None
        # the views handed to NumPy that are still alive
        self.exports: _Exports | None = None

    def extent(self) -> tuple[int, int]:
        """The addresses where the memory begins and ends."""
        if self.foreign and self.nbytes:
            # of an array of NumPy, whose elements need not lie side by side
            return byte_bounds(self._owner)
        return self.address, self.address + self.nbytes

    def use_once(self) -> None:
        """Let the memory go back to the system, not to the pool, when the storage dies."""
        if self._owner is None:
            native.use_once(self.address)

    def is_shared(self) -> bool:
        """Whether others (NumPy, another framework) may change the memory unseen."""
        return self.foreign or bool(self.exports)

    def may_overlap(self, other: Storage) -> bool:
        """Whether the memory may be that of another storage, too: NumPy has brought one of
        them, and has brought or was shown the other.
        """
        foreign = self.foreign or other.foreign
        return foreign and self.is_shared() and other.is_shared()

    def note_export(self, view: object) -> None:
        """Count the memory as shared while `view` lives; what may be written through it
        has no other form any more.
        """
        self.packed = None
        exports = self.exports
        if exports is None:
            exports = self.exports = _Exports()
        exports.made += 1
        alive = exports.alive
        alive.add(weakref.ref(view, alive.discard))

    def state(self) -> tuple[int, int]:
        """What is another once the contents may be: changes in place are counted, and so
        are views for NumPy, through which each may have been changed while it lived.
        """
        return self.version, 0 if self.exports is None else self.exports.made


class _Exports:
    """The views of a storage that are alive, as weak references, and how many there ever
    were.
    """

    __slots__ = ("alive", "made")

    def __init__(self) -> None:
        self.alive: set[weakref.ref[Any]] = set()
        self.made = 0

    def __bool__(self) -> bool:
        return bool(self.alive)


class _MemoryView:
    """What NumPy needs to look at an array's memory; it keeps the storage alive.

    Where the extension has allocated the block, its `Memory` is the same in less time.
    """

    __slots__ = ("__array_interface__", "__weakref__", "_storage")

    def __init__(self, array: Array) -> None:
        itemsize = array.dtype.itemsize
        self._storage = array.storage
        self.__array_interface__ = {
            "version": 3,
            "data": (array.address, False),
            "shape": array.shape,
            "strides": tuple(stride * itemsize for stride in array.strides),
            "typestr": array.dtype.numpy.str,
        }


class Array(ArrayFields):
    """A strided view of a storage; strides and offset count elements."""

    __slots__ = ()

    def __init__(
        self,
        storage: Storage,
        offset: int,
        shape: tuple[int, ...],
        strides: tuple[int, ...],
        dtype: DType,
        layout: bytes | None = None,
    ) -> None:
        self.storage = storage
        self.offset = offset
        self.shape = shape
        self.strides = strides
        self.dtype = dtype
        self.address = (
            storage.address + offset * dtype.itemsize if offset else storage.address
        )
        self._desc: bytes | None = None
        self._layout = layout
        # of foreign memory alone, which has its NumPy array already
        self._ndarray: np.ndarray[Any, Any] | None = None

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of elements."""
        return prod(self.shape)

    @property
    def itemsize(self) -> int:
        """Bytes of one element."""
        return self.dtype.itemsize

    def desc(self) -> bytes:
        """The bytes of the C `pyad_array`."""
        desc = self._desc
        if desc is None:
            desc = self._desc = _pack_address(self.address) + self.layout()
        return desc

    def layout(self) -> bytes:
        """Element type, shape and strides, as the C `pyad_array` has them."""
        layout = self._layout
        if layout is None:
            code = self.dtype.code
            layout = self._layout = pack_layout(code, self.shape, self.strides)
        return layout

    def numpy(self) -> np.ndarray[Any, Any]:
        """A NumPy view of the same memory."""
        if READS:
            note_reads()
        return self._view()

    def _view(self) -> np.ndarray[Any, Any]:
        """The same, to write to: nobody looks at a value that is there."""
        if self._ndarray is not None:
            return self._ndarray
        return _ndarray_on(self, _memory_of(self))

    def item(self) -> float | int | bool:
        """The first element as a Python number, without a NumPy view."""
        if READS:
            note_reads()
        if self._ndarray is not None or not native.available:
            return self._view().flat[0].item()
        return _read_number(self.address, self.dtype.code)

    def tolist(self) -> Any:
        """The elements as nested lists of Python numbers, one without axes as a number."""
        if READS:
            note_reads()
        if self._ndarray is not None or not native.available:
            return self._view().tolist()
        return _read_list(self.address, self.dtype.code, self.shape, self.strides)

    def set_item(self, value: float) -> None:
        """Write the first element of an array of floats."""
        if self._ndarray is not None or not native.available:
            self._view().flat[0] = value
        else:
            native.write_float(self.address, self.dtype.code, value)

    def export(self) -> np.ndarray[Any, Any]:
        """The same for users: while it lives the memory counts as shared."""
        if READS:
            note_reads()
        if self._ndarray is not None:
            return self._ndarray
        memory = _memory_of(self)
        self.storage.note_export(memory)
        return _ndarray_on(self, memory)

    def view(
        self,
        shape: tuple[int, ...],
        strides: tuple[int, ...],
        offset: int | None = None,
    ) -> Array:
        """Another view of the same memory."""
        start = self.offset if offset is None else offset
        return Array(self.storage, start, shape, strides, self.dtype)

    def is_contiguous(self) -> bool:
        """Whether the elements lie in C order without gaps."""
        return self.strides == contiguous_strides(self.shape) or _is_c_order(
            self.shape, self.strides
        )

    def is_channels_last(self) -> bool:
        """Whether a (n, c, ...) array lies as (n, ..., c) without gaps."""
        if len(self.shape) < 3:
            return False
        expected = channels_last_strides(self.shape)
        return all(
            size == 1 or stride == want
            for size, stride, want in zip(
                self.shape, self.strides, expected, strict=True
            )
        )

    def is_dense(self) -> bool:
        """Whether the elements fill a block without gaps, in some order of the axes."""
        return dense_order(self.shape, self.strides) is not None

    def is_read_elsewhere(self, target: Array) -> bool:
        """Whether writing element i of the target may change another element of this."""
        if self.storage is not target.storage:
            return self.storage.may_overlap(target.storage) and np.may_share_memory(
                self._view(), target._view()
            )
        return (self.offset, self.shape, self.strides) != (
            target.offset,
            target.shape,
            target.strides,
        )

    def repeats_elements(self) -> bool:
        """Whether several elements share memory, as `expand` and `unfold` make them."""
        return overlapping_axis(self.shape, self.strides) is not None

    def __repr__(self) -> str:
        return f"Array({self.shape}, {self.dtype.name}, strides={self.strides})"


def _memory_of(array: Array) -> Any:
    """What an array of NumPy on an array's memory holds, to keep that alive."""
    # NumPy refuses strides that lead out of a buffer, of what has no elements, too
    if _Memory is None or array.storage.foreign or 0 in array.shape:
        return _MemoryView(array)
    return _Memory(array.storage)


def _ndarray_on(array: Array, memory: Any) -> np.ndarray[Any, Any]:
    """An array of NumPy on what `_memory_of` an array gave."""
    if type(memory) is _MemoryView:
        return np.asarray(memory)
    dtype = array.dtype
    itemsize = dtype.itemsize
    strides = _byte_strides(array.strides, itemsize)
    offset = array.offset * itemsize
    return _new_ndarray(array.shape, dtype.numpy, memory, offset, strides)


@lru_cache(maxsize=8192)
def _byte_strides(strides: tuple[int, ...], itemsize: int) -> tuple[int, ...]:
    return tuple([stride * itemsize for stride in strides])


_Memory: Any = None
if native.available:
    native.dispatch.bind_arrays(Storage, Array)
    _Memory = native.dispatch.Memory
    _read_number, _read_list = native.dispatch.read_number, native.dispatch.read_list


class Table:
    """A list of arrays that is packed once for many kernel calls.

    `arrays` may be emptied between calls, so that the table does not keep them alive;
    at a call they must be back, at the same addresses, or others be there by `move`.
    """

    __slots__ = ("_desc", "_descs", "_memory", "arrays", "dtype")

    def __init__(self, arrays: list[Array]) -> None:
        self.arrays = arrays
        self.dtype = arrays[0].dtype
        self._desc: bytes | None = None
        self._descs: bytearray
        # what lets C read them
        self._memory: Any = None

    def move(self, arrays: list[Array]) -> None:
        """Take other arrays, of the same layouts."""
        self.arrays = arrays
        if self._desc is not None:
            for i, array in enumerate(arrays):
                _put_address(self._descs, i * DESC_BYTES, array.address)

    def desc(self) -> bytes:
        """The bytes of the C `pyad_array` that describes the list."""
        if self._desc is None:
            self._descs = bytearray().join([array.desc() for array in self.arrays])
            self._desc, self._memory = native.pack_table(self._descs, len(self.arrays))
        return self._desc

    def numpy(self) -> list[np.ndarray[Any, Any]]:
        """NumPy views of the arrays."""
        return [array.numpy() for array in self.arrays]


def _too_many_axes(shape: tuple[int, ...]) -> ShapeError:
    return ShapeError(
        f"array: at most {MAX_DIMS} axes, got {len(shape)} (shape {shape}); likely fix: make "
        "one of several, as flatten does, or leave out those of one element"
    )


@lru_cache(maxsize=8192)
def pack_layout(code: int, shape: tuple[int, ...], strides: tuple[int, ...]) -> bytes:
    """The part of the C descriptor that does not depend on the address."""
    ndim = len(shape)
    if ndim > MAX_DIMS:
        raise _too_many_axes(shape)
    pad = (0,) * (MAX_DIMS - ndim)
    try:
        return _pack_geometry(code, ndim, *shape, *pad, *strides, *pad)
    except struct.error:
        raise ShapeError(
            f"array: sizes and strides must fit 64 bits, got shape {shape}"
        ) from None


@lru_cache(maxsize=8192)
def contiguous_strides(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Strides of a C-ordered array.

    Raises:
        TypeError: a size is no integer; kept strides of (2, 3.0) would be those of (2, 3).
    """
    strides = []
    step = 1
    for size in reversed(shape):
        strides.append(step)
        step *= max(operator.index(size), 1)
    return tuple(reversed(strides))


@lru_cache(maxsize=8192)
def channels_last_strides(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Strides of a (n, c, ...) array whose bytes lie as (n, ..., c)."""
    n, c, *spatial = shape
    moved = contiguous_strides((n, *spatial, c))
    return (moved[0], moved[-1], *moved[1:-1])


def _is_c_order(shape: tuple[int, ...], strides: tuple[int, ...]) -> bool:
    """C order, where the strides of axes of size 1 mean nothing."""
    step = 1
    for size, stride in zip(reversed(shape), reversed(strides), strict=True):
        if size == 0:
            return True
        if size != 1:
            if stride != step:
                return False
            step *= size
    return True


@lru_cache(maxsize=8192)
def dense_order(
    shape: tuple[int, ...], strides: tuple[int, ...]
) -> tuple[int, ...] | None:
    """The axes from outermost to innermost if the array is dense, else None."""
    order = sorted(range(len(shape)), key=lambda axis: (-strides[axis], axis))
    step = 1
    for axis in reversed(order):
        if shape[axis] == 0:
            return tuple(range(len(shape)))
        if shape[axis] != 1:
            if strides[axis] != step:
                return None
            step *= shape[axis]
    return tuple(order)


@lru_cache(maxsize=8192)
def overlapping_axis(shape: tuple[int, ...], strides: tuple[int, ...]) -> int | None:
    """An axis along which elements share memory with others, None if none do.

    Views of views by steps could be told apart more finely; what is said to overlap and
    does not costs time alone.
    """
    if 0 in shape:
        return None
    reach, finer = 0, []
    for stride, axis in sorted((abs(s), i) for i, s in enumerate(strides)):
        if shape[axis] == 1:
            continue
        finer.append(axis)
        if stride <= reach or stride == 0:
            return min(finer, key=lambda each: (strides[each] != 0, shape[each]))
        reach += stride * (shape[axis] - 1)
    return None


@lru_cache(maxsize=8192)
def empty_strides_like(
    shape: tuple[int, ...], strides: tuple[int, ...]
) -> tuple[int, ...]:
    """The strides themselves if they are dense and in use, else C order."""
    if dense_order(shape, strides) is None or _is_c_order(shape, strides):
        return contiguous_strides(shape)
    return strides


def empty(
    shape: tuple[int, ...], dtype: DType, strides: tuple[int, ...] | None = None
) -> Array:
    """A new array of undefined content; strides must be dense (default: C order).

    Raises:
        MemoryError: the memory can't be had; says how many bytes were asked for.
        ShapeError: there are more axes than kernels can have.
    """
    nbytes, c_order, layout = _plan(shape, dtype.code)
    if strides is None:
        return _on_new_block(nbytes, shape, c_order, dtype, layout)
    return _on_new_block(nbytes, shape, strides, dtype, None)


@lru_cache(maxsize=8192)
def _plan(shape: tuple[int, ...], code: int) -> tuple[int, tuple[int, ...], bytes]:
    """The bytes of a new array, and its strides and its layout in C order."""
    # kept for (2, 3) the bytes of (2.0, 3) would be no integer either
    nbytes = operator.index(prod(shape)) * DTYPES[code].itemsize
    strides = contiguous_strides(shape)
    return nbytes, strides, pack_layout(code, shape, strides)


def _on_new_block_in_python(
    nbytes: int,
    shape: tuple[int, ...],
    strides: tuple[int, ...],
    dtype: DType,
    layout: bytes | None,
) -> Array:
    return Array(new_storage(nbytes), 0, shape, strides, dtype, layout)


def _on_new_block_in_c(
    nbytes: int,
    shape: tuple[int, ...],
    strides: tuple[int, ...],
    dtype: DType,
    layout: bytes | None,
) -> Array:
    array = _empty_array(nbytes, shape, strides, dtype, layout)
    if array is None:
        raise native.out_of_memory(nbytes)
    return array


_empty_array: Any = None
_on_new_block = _on_new_block_in_python
if native.available:
    _on_new_block = _on_new_block_in_c
    _empty_array = native.dispatch.empty_array


def constant(value: float | int | bool, dtype: DType, name: str = "constant") -> Array:
    """A 0-dimensional array that nobody may write to; they are kept and shared.

    Raises:
        DTypeError: the element type can't hold the value that `name` is given.
    """
    # -0.0 and 0.0 are one key and two numbers
    sign = math.copysign(1.0, value) if value == 0 else 0.0
    try:
        return _constant(value, sign, dtype.code)
    except (OverflowError, ValueError):
        raise out_of_range(name, value, dtype) from None


def repeated(
    value: float | int | bool, dtype: DType, shape: tuple[int, ...], name: str
) -> Array:
    """A `constant` as each element of an array of that shape: they are kept, too.

    Raises:
        DTypeError: the element type can't hold the value that `name` is given.
    """
    one = constant(value, dtype, name)
    sign = math.copysign(1.0, value) if value == 0 else 0.0
    return _repeated(value, sign, dtype.code, shape) if shape else one


def out_of_range(name: str, value: Any, dtype: DType) -> DTypeError:
    """The error for a number that an element type can't hold."""
    if dtype.category == FLOATING:
        return DTypeError(f"{name}: {describe(value)} is too large for {dtype.name}")
    limits = np.iinfo(dtype.numpy)
    wider = dtype is not int64 and isinstance(value, int)
    fix = "a wider type, as by .long()" if wider else "a floating one, as by .double()"
    return DTypeError(
        f"{name}: {describe(value)} is not among the numbers of {dtype.name}, "
        f"{limits.min} to {limits.max}; likely fix: {fix}"
    )


@lru_cache(maxsize=1024)
def _constant(value: float | int | bool, sign: float, code: int) -> Array:
    array = empty((), DTYPES[code])
    array._view()[()] = value
    return as_constant(array)


@lru_cache(maxsize=1024)
def _repeated(
    value: float | int | bool, sign: float, code: int, shape: tuple[int, ...]
) -> Array:
    array = _constant(value, sign, code).view(shape, (0,) * len(shape))
    array.layout()
    return array


_constants: weakref.WeakSet[Storage] = weakref.WeakSet()


def as_constant(array: Array) -> Array:
    """The array, to which nobody will write any more."""
    _constants.add(array.storage)
    return array


def is_constant(array: Array) -> bool:
    """Whether nobody writes to an array's memory, see `as_constant`."""
    return array.storage in _constants


def _allocate_pool(nbytes: int) -> Storage:
    try:
        address = native.allocate_address(nbytes or _ALIGNMENT)
    except OverflowError:  # more than C can count
        address = 0
    if not address:
        raise native.out_of_memory(nbytes)
    return Storage(address, nbytes)


def empty_lasting(shape: tuple[int, ...], dtype: DType) -> Array:
    """`empty` for what is kept for long and read by compiled kernels: a block of its own, so
    that those which others take in turns stay whole.
    """
    nbytes, strides, layout = _plan(shape, dtype.code)
    address = native.allocate_lasting(nbytes or _ALIGNMENT)
    if not address:
        raise native.out_of_memory(nbytes)
    return Array(Storage(address, nbytes), 0, shape, strides, dtype, layout)


def _allocate_numpy(nbytes: int) -> Storage:
    """Memory without the extension: a NumPy block, aligned by hand."""
    try:
        block = np.empty(nbytes + _ALIGNMENT, np.uint8)
    except (MemoryError, ValueError) as error:
        raise MemoryError(f"can't allocate {nbytes:,} bytes") from error
    start = -block.ctypes.data % _ALIGNMENT
    block = block[start : start + max(nbytes, 1)]
    storage = Storage(block.ctypes.data, nbytes, block)
    storage.foreign = False
    return storage


# a block of undefined content
new_storage = _allocate_pool if native.available else _allocate_numpy


def from_numpy(ndarray: np.ndarray[Any, Any]) -> Array:
    """An array that shares the memory of `ndarray`.

    What kernels can't address (foreign byte order, odd strides, unaligned or read-only
    memory) is copied.
    """
    dtype = as_dtype(ndarray.dtype)
    if ndarray.ndim > MAX_DIMS:
        raise _too_many_axes(ndarray.shape)
    strides = _strides_in_elements(ndarray, dtype)
    if strides is None:
        copy = empty(ndarray.shape, dtype)
        copy.numpy()[...] = ndarray
        return copy
    return _over(ndarray, ndarray.nbytes, ndarray.shape, strides, dtype, None)


def _strides_in_elements(
    ndarray: np.ndarray[Any, Any], dtype: DType
) -> tuple[int, ...] | None:
    """The strides of what kernels can address; None of what they can't."""
    given = ndarray.dtype
    if given is not dtype.numpy and not (given == dtype.numpy and given.isnative):
        return None
    if not ndarray.flags.behaved:  # aligned and writable
        return None
    itemsize, strides = dtype.itemsize, []
    for stride in ndarray.strides:
        if stride % itemsize:
            return None
        strides.append(stride // itemsize)
    return tuple(strides)


def _over_in_python(ndarray: np.ndarray[Any, Any], nbytes: int, *kind: Any) -> Array:
    """The array on NumPy's memory, given its kind."""
    # a view's address is that of its first element: offset 0 whatever lies before it
    array = Array(Storage(ndarray.ctypes.data, nbytes, ndarray), 0, *kind)
    array._ndarray = ndarray
    return array


_over: Callable[..., Array] = _over_in_python
if native.available:
    _over = native.dispatch.array_over
