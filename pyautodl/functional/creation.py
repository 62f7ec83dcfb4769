"""Functions that make tensors."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from pyautodl import backends
from pyautodl.backends import Array, native
from pyautodl.backends.codes import MAX_DIMS
from pyautodl.backends.dtypes import DTYPES, FLOATING, DType, as_dtype, bool_, int64
from pyautodl.errors import DTypeError, ShapeError, describe
from pyautodl.functional.printing import format_tensor
from pyautodl.ops.creation import FULL
from pyautodl.ops.integers import integer, shape_from
from pyautodl.ops.record import Attributes
from pyautodl.tensor import (
    BOUND,
    Tensor,
    apply_known,
    device,
    explained,
    get_default_dtype,
    make,
    method,
    not_tensor,
)

__all__ = [
    "arange",
    "as_tensor",
    "asarray",
    "empty",
    "empty_like",
    "eye",
    "from_dlpack",
    "from_numpy",
    "full",
    "full_like",
    "is_floating_point",
    "is_tensor",
    "linspace",
    "logspace",
    "numel",
    "ones",
    "ones_like",
    "scalar_tensor",
    "tensor",
    "zeros",
    "zeros_like",
]


def tensor(
    data: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """Make a tensor from numbers, nested lists, arrays or tensors, by copying.

    Python floats become the default dtype and ints int64; an array keeps its dtype.

    Args:
        data: the values.
        dtype: element type; default by the values.
        device: 'cpu' or None.
        requires_grad: make a leaf of the graph.

    Raises:
        ShapeError: nested lists are ragged.
        DTypeError: the values are no numbers.

    Example:
        >>> import pyautodl as ad
        >>> ad.tensor([[1, 2], [3, 4]])
        tensor([[1, 2],
                [3, 4]])
    """
    _check_device(device)
    array = _of_numbers(data, dtype)
    if array is not None:
        return _leaf(array, requires_grad)
    values = _as_ndarray("tensor", data)
    kind = _dtype_of(data, values) if dtype is None else as_dtype(dtype)
    if not isinstance(data, (Tensor, np.ndarray)):
        _check_range("tensor", values, kind)
    array = backends.empty(values.shape, kind)
    array.numpy()[...] = values
    return _leaf(array, requires_grad)


def _of_numbers(data: Any, dtype: Any) -> Array | None:
    """The array of a Python number or nested lists of them, made in C; None where there is
    more to it, as where numbers do not fit: then NumPy says what.
    """
    found = _numbers_in(data) if type(data) in _NUMBERS_OR_LISTS else None
    if found is None:
        return None
    shape, kinds = found
    if dtype is not None:
        kind = as_dtype(dtype)
    else:
        kind = _DTYPES.get(kinds) or get_default_dtype()
    array = backends.empty(shape, kind)
    count = array.size
    written = native.dispatch.write_numbers(
        data, kinds, array.address, kind.code, count
    )
    return array if written else None


# by the kinds of numbers that there are, as C says them; with floats: the default
_DTYPES = {1: bool_, 2: int64}
_NUMBERS_OR_LISTS = frozenset((list, tuple, float, int, bool))


def _nothing_in(data: Any) -> None:
    """Stands for `numbers_in` without the extension."""


_numbers_in: Callable[[Any], Any] = _nothing_in
if native.available:
    _numbers_in = native.dispatch.numbers_in


def _check_device(name: Any) -> None:
    if name is not None:
        device(name)


def _leaf(array: backends.Array, requires_grad: bool) -> Tensor:
    out = make(array, None, False)
    if requires_grad:
        out.requires_grad = True
    return out


def _as_ndarray(name: str, data: Any) -> np.ndarray[Any, Any]:
    if isinstance(data, Tensor):
        return data._array.numpy()
    if isinstance(data, (list, tuple)) and _holds_tensors(data):
        data = _to_lists(data)
    try:
        values = np.asarray(data)
    except ValueError:
        raise _ragged(name, data) from None
    beyond = values.dtype == np.uint64 and not isinstance(
        data, (np.ndarray, np.generic)
    )
    if values.dtype.kind not in "biuf" or beyond:
        raise _not_numbers(name, data, values)
    return values


def _ragged(name: str, data: Any) -> Exception:
    """The error for nested lists that are no array."""
    found = find_other(data, _NUMBERS)
    if found is not None:
        where, value = found
        return DTypeError(f"{name}: expected numbers, got {describe(value)} at {where}")
    sizes: list[int | None] = []
    rows: list[Any] = list(data)
    while rows and len(set(sizes)) < 2:
        sizes = [_length(row) for row in rows]
        rows = [each for row in rows if _length(row) is not None for each in row]
    held = ["a number" if n is None else f"{n} elements" for n in dict.fromkeys(sizes)]
    return ShapeError(
        f"{name}: nested lists must have equal lengths, got {' and '.join(held[:2])} side "
        "by side; likely fix: fill up the shorter ones, as nn.utils.rnn.pad_sequence does"
    )


def _length(row: Any) -> int | None:
    long = isinstance(row, (list, tuple)) or (isinstance(row, np.ndarray) and row.ndim)
    return len(row) if long else None


def _not_numbers(name: str, data: Any, values: np.ndarray[Any, Any]) -> DTypeError:
    """The error for data that NumPy has no element type of numbers for."""
    kind = type(data).__name__
    if isinstance(data, np.ndarray):
        kind = f"an array of {values.dtype}"
        numbers = values.dtype == object and not any(
            find_other(each, _NUMBERS) for each in values.flat
        )
        fix = "; likely fix: array.astype('float32')" if numbers else ""
        return DTypeError(f"{name}: expected numbers, got {kind}{fix}")
    found = find_other(data, _NUMBERS)
    if found is None:
        limits = np.iinfo(np.int64)
        return DTypeError(
            f"{name}: expected numbers, got an integer beyond {limits.min} to "
            f"{limits.max}; likely fix: float(...) of it"
        )
    where, value = found
    if not where:
        lazy = hasattr(value, "__iter__") and not isinstance(value, (str, bytes, dict))
        fix = "list(...)" if lazy else "a number, or a list or an array of them"
        return DTypeError(
            f"{name}: expected numbers, got {describe(value)}; likely fix: {fix}"
        )
    return DTypeError(f"{name}: expected numbers, got {describe(value)} at {where}")


_NUMBERS = (bool, int, float, np.generic, np.ndarray)


def find_other(data: Any, kinds: Any) -> tuple[str, Any] | None:
    """The first of nested lists' elements that is of none of the kinds, and its place."""
    if isinstance(data, kinds) and not isinstance(data, (str, bytes)):
        return None
    if not isinstance(data, (list, tuple)):
        return "", data
    for i, each in enumerate(data):
        found = find_other(each, kinds)
        if found is not None:
            return f"[{i}]{found[0]}", found[1]
    return None


def _check_range(name: str, values: np.ndarray[Any, Any], dtype: DType) -> None:
    """Raise if a number that is written down, not converted, is out of range."""
    if dtype.category == FLOATING or values.dtype == dtype or not values.size:
        return
    for number in (values.min(), values.max()):
        backends.constant(number.item(), dtype, name)


def _holds_tensors(data: Any) -> bool:
    """Whether the first leaf of nested lists is a tensor."""
    for _ in range(MAX_DIMS):  # a list may hold itself
        if not isinstance(data, (list, tuple)) or not len(data):
            return False
        if any(isinstance(each, Tensor) for each in data):
            return True
        data = data[0]
    return False


def _to_lists(data: Any) -> Any:
    if isinstance(data, Tensor):
        return data.tolist()
    if isinstance(data, (list, tuple)):
        return [_to_lists(each) for each in data]
    return data


def _dtype_of(data: Any, values: np.ndarray[Any, Any]) -> DType:
    """An array's own element type; for Python numbers the default of their kind."""
    if isinstance(data, (Tensor, np.ndarray, np.generic)):
        return as_dtype(values.dtype)
    first = data
    while isinstance(first, (list, tuple)) and len(first):
        first = first[0]
    if isinstance(first, (Tensor, np.ndarray, np.generic)):
        return as_dtype(first.dtype)
    if values.dtype.kind == "f":
        return get_default_dtype()
    return as_dtype(values.dtype)


@method
def new_tensor(self: Tensor, data: Any, *, dtype: Any = None, **kwargs: Any) -> Tensor:
    """Make a tensor from data, by default of this tensor's element type.

    Args:
        data: numbers, nested lists or an array, which are copied.
        dtype: another element type.
        **kwargs: as of `tensor`.

    Example:
        >>> import pyautodl as ad
        >>> x = ad.ones(1, dtype=ad.float64)
        >>> x.new_tensor([1, 2])
        tensor([1., 2.], dtype=pyautodl.float64)
    """
    return tensor(data, dtype=self.dtype if dtype is None else dtype, **kwargs)


def as_tensor(data: Any, dtype: Any = None, device: Any = None) -> Tensor:
    """Make a tensor, without a copy where the data is a tensor or an array already.

    Args:
        data: numbers, nested lists, an array or a tensor.
        dtype: element type; default: by the values.
        device: 'cpu' or None.

    Example:
        >>> import numpy as np, pyautodl as ad
        >>> ad.as_tensor(np.ones(2))
        tensor([1., 1.], dtype=pyautodl.float64)
    """
    _check_device(device)
    if isinstance(data, np.ndarray):
        out = from_numpy(data)
    else:
        out = data if isinstance(data, Tensor) else tensor(data, dtype=dtype)
    return out if dtype is None or out.dtype is as_dtype(dtype) else out.to(dtype)


@explained
def asarray(
    obj: Any,
    *,
    dtype: Any = None,
    device: Any = None,
    copy: bool | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """Make a tensor that shares memory with `obj` if it can and `copy` allows.

    Args:
        obj: numbers, nested lists, an array or a tensor.
        dtype: element type; default: by the values.
        device: 'cpu' or None.
        copy: whether to copy where memory could be shared, too.
        requires_grad: make a leaf of the graph.

    Example:
        >>> import pyautodl as ad
        >>> ad.asarray([1.0, 2.0])
        tensor([1., 2.])
    """
    out = tensor(obj, dtype=dtype) if copy else as_tensor(obj, dtype, device)
    return out.requires_grad_() if requires_grad else out


def from_numpy(ndarray: np.ndarray[Any, Any]) -> Tensor:
    """Make a tensor that shares the memory of an array.

    Memory that kernels can't address (foreign byte order, unaligned or read-only) is
    copied.

    Raises:
        TypeError: it is no NumPy array.

    Example:
        >>> import numpy as np, pyautodl as ad
        >>> x = np.zeros(2, np.float32)
        >>> y = ad.from_numpy(x)
        >>> x[0] = 5
        >>> y
        tensor([5., 0.])
    """
    if not isinstance(ndarray, np.ndarray):
        raise TypeError(
            f"from_numpy: expected a NumPy array, got {type(ndarray).__name__}"
        )
    # of a matrix or a masked array the plain array on the same memory
    return make(backends.from_numpy(np.asarray(ndarray)), None, False)


@explained
def from_dlpack(ext_tensor: Any) -> Tensor:
    """Make a tensor that shares the memory of another library's.

    Example:
        >>> import numpy as np, pyautodl as ad
        >>> ad.from_dlpack(np.ones(2, np.float32))
        tensor([1., 1.])
    """
    return from_numpy(np.from_dlpack(ext_tensor))


def is_tensor(obj: Any) -> bool:
    """Return whether `obj` is a tensor.

    Example:
        >>> import pyautodl as ad
        >>> ad.is_tensor(ad.ones(1)), ad.is_tensor(1)
        (True, False)
    """
    return isinstance(obj, Tensor)


@explained
def is_floating_point(input: Tensor) -> bool:
    """Return whether the element type is a float.

    Example:
        >>> import pyautodl as ad
        >>> ad.is_floating_point(ad.ones(1)), ad.is_floating_point(ad.arange(1))
        (True, False)
    """
    return input.is_floating_point()


@explained
def numel(input: Tensor) -> int:
    """Return the number of elements.

    Example:
        >>> import pyautodl as ad
        >>> ad.numel(ad.zeros(2, 3))
        6
    """
    return input.numel()


def sizes_from(name: str, size: Sequence[Any], named: Any = None) -> tuple[int, ...]:
    """The shape from f(2, 3), f((2, 3)) or f(size=(2, 3))."""
    if named is not None:
        if size:
            raise TypeError(
                f"{name}: the shape is given twice, as {describe(tuple(size))} and as "
                f"size={describe(named)}"
            )
        size = (named,)
    return shape_from(name, size)


def _filled(
    shape: tuple[int, ...],
    value: Any,
    dtype: Any,
    device: Any,
    requires_grad: bool,
) -> Tensor:
    if device is not None:
        _check_device(device)
    kind = get_default_dtype() if dtype is None else as_dtype(dtype)
    # a call with 0 and one with -0.0 would count as the same
    if kind.category == FLOATING and isinstance(value, int):
        try:
            value = float(value)
        except OverflowError:
            raise backends.out_of_range("full", value, kind) from None
    out = _full(shape, value, kind)
    return out.requires_grad_() if requires_grad else out


def _full(shape: tuple[int, ...], value: float, dtype: DType) -> Tensor:
    sign = math.copysign(1.0, value) if value == 0 else 0.0
    return apply_known(FULL, (), _full_attributes(shape, value, sign, dtype.code))


@lru_cache(maxsize=1024)
def _full_attributes(
    shape: tuple[int, ...], value: float, sign: float, code: int
) -> Attributes:
    """The attributes of a call, kept: 0.0 and -0.0 are one key but for the sign."""
    return Attributes(shape=shape, value=value, dtype=DTYPES[code])


@explained
def zeros(
    *sizes: Any,
    size: Any = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Make a tensor of zeros.

    Args:
        sizes: the shape, as numbers or a tuple.
        size: the same by name.
        dtype: element type; default: the default dtype.
        device: 'cpu' or None.
        requires_grad: make a leaf of the graph.

    Example:
        >>> import pyautodl as ad
        >>> ad.zeros(2, 3)
        tensor([[0., 0., 0.],
                [0., 0., 0.]])
    """
    return _filled(sizes_from("zeros", sizes, size), 0, dtype, device, requires_grad)


@explained
def ones(
    *sizes: Any,
    size: Any = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Make a tensor of ones.

    Args:
        sizes: the shape, as numbers or a tuple.
        size: the same by name.
        dtype: element type; default: the default dtype.
        device: 'cpu' or None.
        requires_grad: make a leaf of the graph.

    Example:
        >>> import pyautodl as ad
        >>> ad.ones(3)
        tensor([1., 1., 1.])
    """
    return _filled(sizes_from("ones", sizes, size), 1, dtype, device, requires_grad)


@explained
def empty(
    *sizes: Any,
    size: Any = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Make a tensor of undefined values.

    Args:
        sizes: the shape, as numbers or a tuple.
        size: the same by name.
        dtype: element type; default: the default dtype.
        device: 'cpu' or None.
        requires_grad: make a leaf of the graph.

    Example:
        >>> import pyautodl as ad
        >>> ad.empty(2, 3).shape
        pyautodl.Size([2, 3])
    """
    if device is not None:
        _check_device(device)
    shape = sizes_from("empty", sizes, size)
    for each in shape:
        if each < 0:
            raise ShapeError(f"empty: sizes must not be negative, got {shape}")
    kind = get_default_dtype() if dtype is None else as_dtype(dtype)
    return _leaf(backends.empty(shape, kind), requires_grad)


@explained
def full(
    size: Any,
    fill_value: Any,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Make a tensor of one value.

    Args:
        size: the shape, a tuple.
        fill_value: the value.
        dtype: element type; default: that of the value, as in `tensor`.
        device: 'cpu' or None.
        requires_grad: make a leaf of the graph.

    Example:
        >>> import pyautodl as ad
        >>> ad.full((2, 2), 7)
        tensor([[7, 7],
                [7, 7]])
    """
    value = as_number("full", "fill_value", fill_value)
    if dtype is None and not isinstance(value, float):
        dtype = as_dtype(type(value))
    shape = sizes_from("full", size if isinstance(size, (tuple, list)) else (size,))
    return _filled(shape, value, dtype, device, requires_grad)


def as_number(name: str, what: str, value: Any) -> Any:
    """A number, or the only element of a tensor or an array.

    Raises:
        TypeError: it is no number.
    """
    if type(value) is float or type(value) is int:
        return value
    if isinstance(value, (Tensor, np.ndarray, np.generic)) and not value.ndim:
        value = value.item()
    if not isinstance(value, (bool, int, float)):
        raise TypeError(f"{name}: {what} must be a number, got {describe(value)}")
    return value


def _like(
    name: str, input: Tensor, value: Any, dtype: Any, device: Any, requires_grad: bool
) -> Tensor:
    if not isinstance(input, Tensor):
        raise not_tensor(name, input)
    _check_device(device)
    mine = input._array
    kind = mine.dtype if dtype is None else as_dtype(dtype)
    strides = backends.empty_strides_like(mine.shape, mine.strides)
    if value is None:
        array = backends.empty(mine.shape, kind, strides)
        return _leaf(array, requires_grad)
    number = value
    if type(value) is not int or value not in (0, 1):
        number = as_number(name, "value", value)
        backends.constant(number, kind, name)  # which refuses what does not fit
    if kind.category == FLOATING:
        number = float(number)
    out = _full(mine.shape, number, kind)
    if out._array.strides != strides:
        out = make(out._array.view(mine.shape, strides), None, False)
    return out.requires_grad_() if requires_grad else out


def _repeated(name: str, value: Any, like: Array) -> Tensor:
    """A number as each element of a tensor of that shape and type, which is kept."""
    number = as_number(name, "value", value)
    sign = math.copysign(1.0, number) if number == 0 else 0.0
    return _kept(name, number, sign, like.dtype.code, like.shape)


@lru_cache(maxsize=1024, typed=True)
def _kept(
    name: str, value: float, sign: float, code: int, shape: tuple[int, ...]
) -> Tensor:
    """What changes in place copy."""
    return make(backends.repeated(value, DTYPES[code], shape, name), None, False)


@explained
def zeros_like(
    input: Tensor, *, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """Make zeros with the shape, element type and layout of another tensor.

    Args:
        input: the tensor whose shape it gets.
        dtype: element type; default: the input's.
        device: 'cpu' or None.
        requires_grad: make a leaf of the graph.

    Example:
        >>> import pyautodl as ad
        >>> ad.zeros_like(ad.ones(2))
        tensor([0., 0.])
    """
    return _like("zeros_like", input, 0, dtype, device, requires_grad)


@explained
def ones_like(
    input: Tensor, *, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """Make ones with the shape, element type and layout of another tensor.

    Args:
        input: the tensor whose shape it gets.
        dtype: element type; default: the input's.
        device: 'cpu' or None.
        requires_grad: make a leaf of the graph.

    Example:
        >>> import pyautodl as ad
        >>> ad.ones_like(ad.zeros(2))
        tensor([1., 1.])
    """
    return _like("ones_like", input, 1, dtype, device, requires_grad)


@explained
def empty_like(
    input: Tensor, *, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """Make undefined values with the shape, element type and layout of another tensor.

    Args:
        input: the tensor whose shape it gets.
        dtype: element type; default: the input's.
        device: 'cpu' or None.
        requires_grad: make a leaf of the graph.

    Example:
        >>> import pyautodl as ad
        >>> ad.empty_like(ad.zeros(2)).shape
        pyautodl.Size([2])
    """
    return _like("empty_like", input, None, dtype, device, requires_grad)


@explained
def full_like(
    input: Tensor,
    fill_value: Any,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Make one value with the shape, element type and layout of another tensor.

    Args:
        input: the tensor whose shape it gets.
        fill_value: the value.
        dtype: element type; default: the input's.
        device: 'cpu' or None.
        requires_grad: make a leaf of the graph.

    Example:
        >>> import pyautodl as ad
        >>> ad.full_like(ad.zeros(2), 3)
        tensor([3., 3.])
    """
    value = as_number("full_like", "fill_value", fill_value)
    return _like("full_like", input, value, dtype, device, requires_grad)


@method
@explained
def new_zeros(self: Tensor, *size: Any, dtype: Any = None, **kwargs: Any) -> Tensor:
    """Make zeros, by default of this tensor's element type.

    Args:
        *size: the sizes, or one tuple of them.
        dtype: another element type.
        **kwargs: as of `zeros`.

    Example:
        >>> import pyautodl as ad
        >>> x = ad.ones(1, dtype=ad.float64)
        >>> x.new_zeros(2)
        tensor([0., 0.], dtype=pyautodl.float64)
    """
    return zeros(*size, dtype=self.dtype if dtype is None else dtype, **kwargs)


@method
@explained
def new_ones(self: Tensor, *size: Any, dtype: Any = None, **kwargs: Any) -> Tensor:
    """Make ones, by default of this tensor's element type.

    Args:
        *size: the sizes, or one tuple of them.
        dtype: another element type.
        **kwargs: as of `ones`.

    Example:
        >>> import pyautodl as ad
        >>> x = ad.ones(1, dtype=ad.float64)
        >>> x.new_ones((1, 2))
        tensor([[1., 1.]], dtype=pyautodl.float64)
    """
    return ones(*size, dtype=self.dtype if dtype is None else dtype, **kwargs)


@method
@explained
def new_empty(self: Tensor, *size: Any, dtype: Any = None, **kwargs: Any) -> Tensor:
    """Make undefined values, by default of this tensor's element type.

    Args:
        *size: the sizes, or one tuple of them.
        dtype: another element type.
        **kwargs: as of `empty`.

    Example:
        >>> import pyautodl as ad
        >>> x = ad.ones(1, dtype=ad.float64)
        >>> x.new_empty(2, 3).shape
        pyautodl.Size([2, 3])
    """
    return empty(*size, dtype=self.dtype if dtype is None else dtype, **kwargs)


@method
@explained
def new_full(
    self: Tensor, size: Any, fill_value: Any, *, dtype: Any = None, **kwargs: Any
) -> Tensor:
    """Make one value, by default of this tensor's element type.

    Args:
        size: the sizes.
        fill_value: the value.
        dtype: another element type.
        **kwargs: as of `full`.

    Example:
        >>> import pyautodl as ad
        >>> x = ad.ones(1, dtype=ad.float64)
        >>> x.new_full((2,), 3)
        tensor([3., 3.], dtype=pyautodl.float64)
    """
    kind = self.dtype if dtype is None else dtype
    return full(size, fill_value, dtype=kind, **kwargs)


@explained
def scalar_tensor(s: Any, *, dtype: Any = None) -> Tensor:
    """Make a 0-dimensional tensor of the default element type.

    Args:
        s: the number.
        dtype: element type; default: the default dtype.

    Example:
        >>> import pyautodl as ad
        >>> ad.scalar_tensor(2)
        tensor(2.)
    """
    return full((), s, dtype=get_default_dtype() if dtype is None else dtype)


def _sequence(
    name: str,
    values: np.ndarray[Any, Any],
    dtype: DType,
    device: Any,
    requires_grad: bool,
) -> Tensor:
    _check_device(device)
    if values.dtype.kind == "f":
        _check_range(name, values, dtype)
    array = backends.empty(values.shape, dtype)
    array.numpy()[...] = values
    return _leaf(array, requires_grad)


@explained
def arange(
    start: Any,
    end: Any = None,
    step: Any = 1,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Make numbers from `start` up to but without `end`, `step` apart.

    With one argument it is the end, and the start is 0.

    Args:
        start: the first number.
        end: where to stop.
        step: from one number to the next.
        dtype: element type; default: int64, or the default dtype if a number is a
            float.
        device: 'cpu' or None.
        requires_grad: make a leaf of the graph.

    Raises:
        ValueError: the step is 0 or leads away from the end.

    Example:
        >>> import pyautodl as ad
        >>> ad.arange(4)
        tensor([0, 1, 2, 3])
    """
    if end is None:
        start, end = 0, start
    whole = type(start) is type(end) is type(step) is int
    if not whole:
        start, end, step = bounds = [
            each.item() if isinstance(each, Tensor) else each
            for each in (start, end, step)
        ]
        whole = not any([isinstance(each, float) for each in bounds])
        if not all(map(math.isfinite, bounds)):
            raise ValueError(
                f"arange: expected finite numbers, got start {start}, end {end} and step "
                f"{step}"
            )
    if step == 0 or (end - start) * step < 0:
        raise ValueError(f"arange: step {step} does not lead from {start} to {end}")
    if dtype is None:
        kind = int64 if whole else get_default_dtype()
    else:
        kind = as_dtype(dtype)
    _check_device(device)
    count = math.ceil((end - start) / step)
    array = backends.empty((count,), kind)
    numbers = (start, step) if whole else (float(start), float(step))
    if not _write_range(array, *numbers):
        _fill_range(array.numpy(), start, step, kind)
    return _leaf(array, requires_grad)


# elements of a range up to which C writes them, one by one
_FEW = 1 << 10
# elements of a range that are made at once, so that they are in the caches
_RANGE_PART = 1 << 14


def _write_range(array: Array, start: float, step: float) -> bool:
    """Whether C has written few numbers `step` apart, both ints or both floats; NumPy takes
    what does not fit and says so.
    """
    count = array.shape[0]
    if count > _FEW or not native.available:
        return False
    code = array.dtype.code
    written: bool = native.dispatch.write_range(array.address, code, count, start, step)
    return written


def _fill_range(out: np.ndarray[Any, Any], start: Any, step: Any, kind: DType) -> None:
    count = len(out)
    whole = type(start) is int and type(step) is int
    # by one from 0, as mostly, they are the numbers themselves
    plain = whole and start == 0 and step == 1
    numbers = np.int64 if whole else np.float64
    for at in range(0, count, _RANGE_PART):
        end = min(at + _RANGE_PART, count)
        values: np.ndarray[Any, Any] = np.arange(at, end, dtype=numbers)
        if not plain:
            values *= step
            values += start
            if not whole:
                # all lie between the ends
                _check_range("arange", values[[0, -1]], kind)
        out[at : at + _RANGE_PART] = values


@explained
def linspace(
    start: Any,
    end: Any,
    steps: int,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Make `steps` numbers at equal distances from `start` to `end`, both included.

    Args:
        start: the first number.
        end: the last one.
        steps: how many.
        dtype: element type; default: the default dtype.
        device: 'cpu' or None.
        requires_grad: make a leaf of the graph.

    Example:
        >>> import pyautodl as ad
        >>> ad.linspace(0, 1, 5)
        tensor([0.0000, 0.2500, 0.5000, 0.7500, 1.0000])
    """
    steps = integer("linspace", "steps", steps)
    if steps < 0:
        raise ValueError(f"linspace: steps must not be negative, got {steps}")
    kind = get_default_dtype() if dtype is None else as_dtype(dtype)
    first, last = float(start), float(end)
    step = (last - first) / (steps - 1) if steps > 1 else 0.0
    if step and kind.category == FLOATING and steps <= _FEW:
        _check_device(device)
        array = backends.empty((steps,), kind)
        # the end itself, whatever rounding makes of the last step
        if _write_range(array, first, step):
            end_of = array.address + (steps - 1) * kind.itemsize
            native.write_float(end_of, kind.code, last)
            return _leaf(array, requires_grad)
    with np.errstate(invalid="ignore"):  # from or to inf
        values = np.linspace(first, last, steps)
    return _sequence("linspace", values, kind, device, requires_grad)


@explained
def logspace(
    start: Any,
    end: Any,
    steps: int,
    base: float = 10.0,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Make `steps` numbers from base**start to base**end, at equal ratios.

    Args:
        start: the first exponent.
        end: the last one.
        steps: how many.
        base: what is raised to them.
        dtype: element type; default: the default dtype.
        device: 'cpu' or None.
        requires_grad: make a leaf of the graph.

    Example:
        >>> import pyautodl as ad
        >>> ad.logspace(0, 2, 3)
        tensor([  1.,  10., 100.])
    """
    kind = get_default_dtype() if dtype is None else as_dtype(dtype)
    steps = integer("logspace", "steps", steps)
    values = np.logspace(float(start), float(end), steps, base=base)
    return _sequence("logspace", values, kind, device, requires_grad)


@explained
def eye(
    n: int,
    m: int | None = None,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Make a matrix of `n` rows and `m` columns with ones on the diagonal.

    Args:
        n: rows.
        m: columns; default: n.
        dtype: element type; default: the default dtype.
        device: 'cpu' or None.
        requires_grad: make a leaf of the graph.

    Example:
        >>> import pyautodl as ad
        >>> ad.eye(2)
        tensor([[1., 0.],
                [0., 1.]])
    """
    rows = integer("eye", "n", n)
    columns = rows if m is None else integer("eye", "m", m)
    out = _filled((rows, columns), 0, dtype, device, False)
    array, count = out._array, min(rows, columns)
    diagonal = make(array.view((count,), (columns + 1,)), None, False)
    diagonal._assign("eye", _repeated("eye", 1, diagonal._array))
    return out.requires_grad_() if requires_grad else out


@method
def copy_(self: Tensor, src: Any, non_blocking: bool = False) -> Tensor:
    """Copy the values of `src` into the tensor, broadcasting and casting them.

    Args:
        src: a tensor, an array or numbers.
        non_blocking: without effect.

    Raises:
        ShapeError: the shape of `src` can't be broadcast.
        GradError: the tensor is a leaf that requires a gradient.

    Example:
        >>> import pyautodl as ad
        >>> ad.zeros(2, 2).copy_(ad.tensor([1, 2]))
        tensor([[1., 2.],
                [1., 2.]])
    """
    self._check_inplace("copy_")
    source = src if isinstance(src, Tensor) else tensor(src)
    if source.dtype is not self.dtype:
        source = source.to(self.dtype)
    if source._array.shape != self._array.shape:
        source = _broadcast_source("copy_", source, self._array.shape)
    return self._assign("copy_", source)


def _broadcast_source(name: str, source: Tensor, shape: tuple[int, ...]) -> Tensor:
    try:
        return source.expand(shape)
    except ShapeError:
        raise ShapeError(
            f"{name}: a source of shape {tuple(source.shape)} does not broadcast to the "
            f"tensor's shape {shape}"
        ) from None


@method
def fill_(self: Tensor, value: Any) -> Tensor:
    """Set every element to `value`, a number or a tensor without axes.

    Raises:
        ShapeError: `value` has axes.
        GradError: the tensor is a leaf that requires a gradient.

    Example:
        >>> import pyautodl as ad
        >>> ad.zeros(2).fill_(7)
        tensor([7., 7.])
    """
    self._check_inplace("fill_")
    if isinstance(value, Tensor):
        if value.ndim:
            raise ShapeError(
                f"fill_: expected one value, got shape {tuple(value.shape)}; likely fix: "
                "copy_"
            )
        return copy_(self, value)
    return self._assign("fill_", _repeated("fill_", value, self._array))


@method
def zero_(self: Tensor) -> Tensor:
    """Set every element to 0.

    Example:
        >>> import pyautodl as ad
        >>> ad.ones(2).zero_()
        tensor([0., 0.])
    """
    self._check_inplace("zero_")
    array = self._array
    return self._assign("zero_", _zeros(array.dtype.code, array.shape))


@lru_cache(maxsize=1024)
def _zeros(code: int, shape: tuple[int, ...]) -> Tensor:
    return _kept("zero_", 0, 1.0, code, shape)


@method
@explained
def set_(self: Tensor, source: Tensor) -> Tensor:
    """Let the tensor show the memory of another.

    Example:
        >>> import pyautodl as ad
        >>> x, y = ad.zeros(2), ad.ones(3)
        >>> x.set_(y)
        tensor([1., 1., 1.])
    """
    self.data = source
    return self


BOUND["tensor"] = tensor
BOUND["format"] = format_tensor
