"""Functions that read and write at places named by indices or masks, and x[...]."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from math import prod
from typing import Any

import numpy as np

from pyautodl.backends.dtypes import FLOATING, bool_, int64
from pyautodl.errors import DTypeError, ShapeError
from pyautodl.functional.creation import tensor, zeros
from pyautodl.functional.views import broadcast_shapes, flatten
from pyautodl.ops.axes import normalize_axis
from pyautodl.ops.copy import CAST, COPY, FLIP
from pyautodl.ops.index import (
    EMBEDDING,
    GATHER,
    INDEX_ADD,
    INDEX_COPY,
    INDEX_SELECT,
    MASKED_SCATTER,
    MASKED_SELECT,
    NONZERO,
    ONE_HOT,
    RAVEL_INDEX,
    SCATTER,
    SCATTER_ADD,
)
from pyautodl.ops.views import EXPAND, PERMUTE, RESHAPE, SLICE
from pyautodl.tensor import Tensor, apply, call, constant, method

__all__ = [
    "argwhere",
    "bincount",
    "gather",
    "index_add",
    "index_copy",
    "index_fill",
    "index_select",
    "masked_fill",
    "masked_scatter",
    "masked_select",
    "nonzero",
    "scatter",
    "scatter_add",
    "take",
    "take_along_dim",
]

# ---- arguments ----


def _index(name: str, index: Any) -> Tensor:
    """Indices as an int64 tensor."""
    x = index if isinstance(index, Tensor) else tensor(index)
    if x.dtype is int64:
        return x
    if x.dtype.category == FLOATING or x.dtype is bool_:
        raise DTypeError(f"{name}: indices must be integers, got {x.dtype.name}")
    return apply(CAST, x, dtype=int64)


def _line(name: str, index: Any) -> Tensor:
    x = _index(name, index)
    return x if x.ndim else apply(RESHAPE, x, shape=(1,))


def _mask(name: str, mask: Any, shape: tuple[int, ...]) -> Tensor:
    """A mask, broadcast to a shape."""
    x = mask if isinstance(mask, Tensor) else tensor(mask)
    if x.dtype is not bool_:
        raise DTypeError(f"{name}: the mask must be bool, got {x.dtype.name}")
    return _expanded(x, shape)


def _expanded(x: Tensor, shape: tuple[int, ...]) -> Tensor:
    return x if x._array.shape == shape else apply(EXPAND, x, shape=shape)


def _value(value: Any, like: Tensor) -> Tensor:
    """A value of the element type of a tensor."""
    if not isinstance(value, Tensor):
        if isinstance(value, (bool, int, float, np.generic)):
            plain = value.item() if isinstance(value, np.generic) else value
            return constant(plain, like.dtype)
        value = tensor(value)
    return value if value.dtype is like.dtype else apply(CAST, value, dtype=like.dtype)


# ---- gather and scatter ----


@method
def gather(
    input: Tensor, dim: int, index: Tensor, *, sparse_grad: bool = False
) -> Tensor:
    """Take elements along an axis, at an index for each.

    Args:
        input: a tensor.
        dim: the axis.
        index: integers with as many axes as the input, elsewhere no larger.
        sparse_grad: not supported.

    Shape:
        that of `index`: out[i][j] = input[index[i][j]][j] for dim=0

    Raises:
        IndexError: an index is negative or too large.

    Example:
        >>> import pyautodl as ad
        >>> ad.gather(ad.tensor([[1, 2], [3, 4]]), 1, ad.tensor([[0], [1]]))
        tensor([[1],
                [4]])
    """
    if sparse_grad:
        raise NotImplementedError("gather: sparse_grad is not supported")
    return apply(GATHER, input, _index("gather", index), dim=dim)


@method(inplace=True)
def scatter(
    input: Tensor,
    dim: int,
    index: Tensor,
    src: Any = None,
    *,
    value: Any = None,
    reduce: str | None = None,
) -> Tensor:
    """Write elements along an axis, at an index for each; later ones win.

    Args:
        input: the tensor that is copied first.
        dim: the axis.
        index: integers with as many axes as the input.
        src: what is written: a tensor or a number.
        value: a number, instead of `src`.
        reduce: None, or 'add' to add.

    Raises:
        IndexError: an index is negative or too large.

    Example:
        >>> import pyautodl as ad
        >>> ad.scatter(ad.zeros(3), 0, ad.tensor([2, 0]), ad.tensor([5.0, 6.0]))
        tensor([6., 0., 5.])
    """
    if reduce not in (None, "add"):
        raise NotImplementedError(f"scatter: reduce={reduce!r} is not supported")
    places = _index("scatter", index)
    source = value if src is None else src
    if not isinstance(source, Tensor):
        source = _expanded(_value(source, input), places._array.shape)
    return apply(
        SCATTER if reduce is None else SCATTER_ADD, input, places, source, dim=dim
    )


@method(inplace=True)
def scatter_add(input: Tensor, dim: int, index: Tensor, src: Tensor) -> Tensor:
    """Add elements along an axis, at an index for each, in their order.

    Args:
        input: the tensor that is copied first.
        dim: the axis.
        index: integers with as many axes as the input.
        src: what is added.

    Raises:
        IndexError: an index is negative or too large.

    Example:
        >>> import pyautodl as ad
        >>> ad.scatter_add(ad.zeros(3), 0, ad.tensor([2, 2]), ad.tensor([5.0, 6.0]))
        tensor([ 0.,  0., 11.])
    """
    return apply(SCATTER_ADD, input, _index("scatter_add", index), src, dim=dim)


@method
def take_along_dim(input: Tensor, indices: Tensor, dim: int | None = None) -> Tensor:
    """Take elements along an axis as `gather`, after broadcasting the other axes.

    Example:
        >>> import pyautodl as ad
        >>> ad.take_along_dim(ad.tensor([[1, 2], [3, 4]]), ad.tensor([[1]]), dim=1)
        tensor([[2],
                [4]])
    """
    index = _index("take_along_dim", indices)
    if dim is None:
        return apply(GATHER, flatten(input), flatten(index), dim=0)
    axis = normalize_axis("take_along_dim", dim, input.ndim, input.shape)
    if index.ndim != input.ndim:
        raise ShapeError(
            f"take_along_dim: expected as many axes as {tuple(input.shape)}, got indices "
            f"of shape {tuple(index.shape)}"
        )
    shapes = [list(x.shape) for x in (input, index)]
    lengths = [shape[axis] for shape in shapes]
    for shape in shapes:
        shape[axis] = 1
    common = broadcast_shapes(*map(tuple, shapes))
    x, index = (
        _expanded(each, (*common[:axis], n, *common[axis + 1 :]))
        for each, n in zip((input, index), lengths)
    )
    return apply(GATHER, x, index, dim=axis)


# ---- along one axis ----


@method
def index_select(input: Tensor, dim: int, index: Tensor) -> Tensor:
    """Take whole parts along an axis.

    Args:
        input: a tensor.
        dim: the axis.
        index: a line of integers.

    Raises:
        IndexError: an index is negative or too large.

    Example:
        >>> import pyautodl as ad
        >>> ad.index_select(ad.tensor([[1, 2], [3, 4]]), 0, ad.tensor([1, 1]))
        tensor([[3, 4],
                [3, 4]])
    """
    return apply(INDEX_SELECT, input, _line("index_select", index), dim=dim)


@method(inplace=True)
def index_add(
    input: Tensor, dim: int, index: Tensor, source: Tensor, *, alpha: float = 1
) -> Tensor:
    """Add whole parts along an axis, in the order of their indices.

    Args:
        input: the tensor that is copied first.
        dim: the axis.
        index: a line of integers.
        source: what is added; its size along the axis is that of `index`.
        alpha: a factor for `source`.

    Raises:
        IndexError: an index is negative or too large.

    Example:
        >>> import pyautodl as ad
        >>> ad.index_add(ad.zeros(2), 0, ad.tensor([1, 1]), ad.tensor([5.0, 6.0]))
        tensor([ 0., 11.])
    """
    terms = source if alpha == 1 else call("mul", source, alpha)
    return apply(INDEX_ADD, input, _line("index_add", index), terms, dim=dim)


@method(inplace=True)
def index_copy(input: Tensor, dim: int, index: Tensor, source: Tensor) -> Tensor:
    """Write whole parts along an axis; later ones win.

    Example:
        >>> import pyautodl as ad
        >>> ad.index_copy(ad.zeros(2), 0, ad.tensor([1]), ad.tensor([5.0]))
        tensor([0., 5.])
    """
    return apply(INDEX_COPY, input, _line("index_copy", index), source, dim=dim)


@method(inplace=True)
def index_fill(input: Tensor, dim: int, index: Tensor, value: Any) -> Tensor:
    """Fill whole parts along an axis with a number.

    Example:
        >>> import pyautodl as ad
        >>> ad.index_fill(ad.zeros(3), 0, ad.tensor([0, 2]), 7)
        tensor([7., 0., 7.])
    """
    line = _line("index_fill", index)
    axis = normalize_axis("index_fill", dim, input.ndim, input.shape)
    shape = (*input.shape[:axis], line.numel(), *input.shape[axis + 1 :])
    return apply(
        INDEX_COPY, input, line, _expanded(_value(value, input), shape), dim=axis
    )


@method
def take(input: Tensor, index: Tensor) -> Tensor:
    """Take elements of the flattened tensor; negative indices count from the end.

    Example:
        >>> import pyautodl as ad
        >>> ad.take(ad.tensor([[1, 2], [3, 4]]), ad.tensor([0, -1]))
        tensor([1, 4])
    """
    places = _index("take", index)
    flat = apply(RAVEL_INDEX, flatten(places), sizes=(input.numel(),))
    taken = apply(INDEX_SELECT, flatten(input), flat, dim=0)
    return apply(RESHAPE, taken, shape=tuple(places.shape))


# ---- masks ----


@method(inplace=True)
def masked_fill(input: Tensor, mask: Tensor, value: Any) -> Tensor:
    """Fill with a number where the mask is set.

    Args:
        input: a tensor.
        mask: bool; it broadcasts to the input.
        value: a number or a tensor without axes.

    Example:
        >>> import pyautodl as ad
        >>> ad.masked_fill(ad.zeros(3), ad.tensor([True, False, True]), 7)
        tensor([7., 0., 7.])
    """
    number = _value(value, input)
    if number.ndim:
        raise ShapeError(
            f"masked_fill: expected one value, got shape {tuple(number.shape)}"
        )
    return call("where", _mask("masked_fill", mask, input._array.shape), number, input)


@method
def masked_select(input: Tensor, mask: Tensor) -> Tensor:
    """Return the elements where the mask is set, as a line.

    Example:
        >>> import pyautodl as ad
        >>> ad.masked_select(ad.tensor([1, 2, 3]), ad.tensor([True, False, True]))
        tensor([1, 3])
    """
    shape = broadcast_shapes(tuple(input.shape), tuple(mask.shape))
    chosen = _mask("masked_select", mask, shape)
    return apply(MASKED_SELECT, _expanded(input, shape), chosen)


@method(inplace=True)
def masked_scatter(input: Tensor, mask: Tensor, source: Tensor) -> Tensor:
    """Write the elements of `source`, one after the other, where the mask is set.

    Raises:
        ShapeError: there are too few.

    Example:
        >>> import pyautodl as ad
        >>> mask = ad.tensor([True, False, True])
        >>> ad.masked_scatter(ad.zeros(3), mask, ad.tensor([1.0, 2.0]))
        tensor([1., 0., 2.])
    """
    chosen = _mask("masked_scatter", mask, input._array.shape)
    return apply(MASKED_SCATTER, input, chosen, source)


@method
def nonzero(input: Tensor, *, as_tuple: bool = False) -> Any:
    """Return the indices of the elements that are not 0.

    Args:
        input: a tensor.
        as_tuple: return a line of indices for each axis, as x[...] takes them.

    Shape:
        (count, axes)

    Example:
        >>> import pyautodl as ad
        >>> ad.nonzero(ad.tensor([[1, 0], [0, 2]]))
        tensor([[0, 0],
                [1, 1]])
    """
    mask = input if input.dtype is bool_ else apply(CAST, input, dtype=bool_)
    if not as_tuple:
        return apply(NONZERO, mask)
    if not mask.ndim:
        mask = apply(RESHAPE, mask, shape=(1,))
    places = apply(NONZERO, mask)
    return tuple(_column(places, i) for i in range(mask.ndim))


def _column(x: Tensor, i: int) -> Tensor:
    n = x._array.shape[0]
    return apply(SLICE, x, starts=(0, i), sizes=(n, 1), steps=(1, 1), drop=(1,))


@method
def argwhere(input: Tensor) -> Tensor:
    """Return the indices of the elements that are not 0, as `nonzero`.

    Example:
        >>> import pyautodl as ad
        >>> ad.argwhere(ad.tensor([0, 5]))
        tensor([[1]])
    """
    return nonzero(input)


# ---- tables ----


def embedding(
    input: Tensor,
    weight: Tensor,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Tensor:
    """Return a row of a table for each index.

    Args:
        input: integers of any shape.
        weight: the table (rows, n).
        padding_idx: this row's gradient stays 0; what stands in it is not changed.
        max_norm, norm_type, scale_grad_by_freq, sparse: not supported.

    Shape:
        (...) -> (..., n)

    Raises:
        IndexError: an index is negative or too large; says which, where and the size.

    Example:
        >>> import pyautodl as ad
        >>> table = ad.tensor([[0.0, 1.0], [2.0, 3.0]])
        >>> ad.nn.functional.embedding(ad.tensor([1, 0]), table)
        tensor([[2., 3.],
                [0., 1.]])
    """
    for name, given in (
        ("max_norm", max_norm is not None),
        ("scale_grad_by_freq", scale_grad_by_freq),
        ("sparse", sparse),
    ):
        if given:
            raise NotImplementedError(f"embedding: {name} is not supported")
    skip = -1
    if padding_idx is not None:
        rows = weight.shape[0]
        if not -rows <= padding_idx < rows:
            raise IndexError(
                f"embedding: padding_idx {padding_idx} is out of range for {rows} rows"
            )
        skip = padding_idx % rows
    return apply(EMBEDDING, weight, _index("embedding", input), padding_idx=skip)


def one_hot(tensor: Tensor, num_classes: int = -1) -> Tensor:
    """Return lines that are 1 at an index and 0 elsewhere.

    Args:
        tensor: integers of any shape.
        num_classes: the length of a line; -1: the largest index and one.

    Shape:
        (...) -> (..., num_classes), int64

    Raises:
        IndexError: an index is negative or too large.

    Example:
        >>> import pyautodl as ad
        >>> ad.nn.functional.one_hot(ad.tensor([0, 2]))
        tensor([[1, 0, 0],
                [0, 0, 1]])
    """
    index = _index("one_hot", tensor)
    if num_classes == -1:
        if not index.numel():
            raise ValueError("one_hot: no indices to find num_classes from")
        num_classes = max(int(index.max()) + 1, 1)
    return apply(ONE_HOT, index, num_classes=num_classes)


@method
def bincount(
    input: Tensor, weights: Tensor | None = None, minlength: int = 0
) -> Tensor:
    """Count how often each integer occurs, or add up its weights.

    Args:
        input: a line of integers that are not negative.
        weights: a number for each; they count instead of 1.
        minlength: the least length of the result.

    Raises:
        IndexError: there is a negative integer.

    Example:
        >>> import pyautodl as ad
        >>> ad.bincount(ad.tensor([0, 2, 2]))
        tensor([1, 0, 2])
    """
    index = _index("bincount", input)
    if index.ndim != 1:
        raise ShapeError(f"bincount: expected a line, got shape {tuple(index.shape)}")
    size = max(int(index.max()) + 1 if index.numel() else 0, minlength)
    if weights is None:
        terms = _expanded(constant(1, int64), index._array.shape)
    else:
        terms = weights
    return apply(INDEX_ADD, zeros(size, dtype=terms.dtype), index, terms, dim=0)


# ---- x[...] ----


class _Slices:
    """A slice of every axis of a shape, grown from the first.

    Attributes:
        slices: starts, sizes, steps and dropped axes of the slice.
        kept: the shape after that.
        flips: axes of that shape that run backwards.
    """

    def __init__(self) -> None:
        self.starts: list[int] = []
        self.sizes: list[int] = []
        self.steps: list[int] = []
        self.drop: list[int] = []
        self.flips: list[int] = []
        self.kept: list[int] = []
        self._axis = 0

    @property
    def slices(self) -> dict[str, tuple[int, ...]]:
        """The attributes of the slice."""
        return {
            "starts": tuple(self.starts),
            "sizes": tuple(self.sizes),
            "steps": tuple(self.steps),
            "drop": tuple(self.drop),
        }

    def is_whole(self, shape: tuple[int, ...]) -> bool:
        """Whether that is all of the shape."""
        return (
            tuple(self.sizes) == shape
            and not self.drop
            and all(step == 1 for step in self.steps)
        )

    def _take(self, start: int, size: int, step: int) -> None:
        self.starts.append(start)
        self.sizes.append(size)
        self.steps.append(step)
        self._axis += 1

    def add_slice(self, item: slice, n: int) -> None:
        """Take a part of the next axis, of size n."""
        start, stop, step = item.indices(n)
        size = len(range(start, stop, step))
        if step < 0:
            self.flips.append(len(self.starts) - len(self.drop))
            start, step = start + max(size - 1, 0) * step, -step
        self.kept.append(size)
        self._take(start if size else 0, size, step)

    def add_int(self, item: int, shape: tuple[int, ...]) -> None:
        """Take one place of the next axis."""
        n = shape[self._axis]
        if not -n <= item < n:
            raise IndexError(
                f"index {item} is out of range for axis {self._axis} of shape {shape}"
            )
        self.drop.append(self._axis)
        self._take(item % n, 1, 1)


class _Key(_Slices):
    """What stands between the brackets: a slice of every axis, then the rest.

    Attributes:
        flips: axes of what the slice leaves that run backwards.
        shape: the shape after that, with the new axes of None.
        indices: (axis of that shape, tensor of integers).
        mask: the one mask that covers the whole tensor, if there is nothing else.
    """

    def __init__(self, x: Tensor, key: Any) -> None:
        shape = x._array.shape
        super().__init__()
        self.indices: list[tuple[int, Tensor]] = []
        self.mask: Tensor | None = None
        items = _items(key, shape)
        if len(items) == 1 and isinstance(items[0], Tensor):
            only = items[0]
            if only.dtype is bool_ and only._array.shape == shape and shape:
                self.mask = only
        for item in items:
            self._add(item, shape)

    def _add(self, item: Any, shape: tuple[int, ...]) -> None:
        if item is None:
            self.kept.append(1)
        elif isinstance(item, bool):
            # as a mask without axes: one element of a new axis, or none
            place = tensor([0] if item else [], dtype=int64)
            self.indices.append((len(self.kept), place))
            self.kept.append(1)
        elif isinstance(item, slice):
            self.add_slice(item, shape[self._axis])
        elif isinstance(item, Tensor):
            self._add_tensor(item, shape)
        else:
            self.add_int(item, shape)

    def _add_tensor(self, item: Tensor, shape: tuple[int, ...]) -> None:
        if item.dtype is not bool_:
            self.indices.append((len(self.kept), _index("index", item)))
            self.kept.append(shape[self._axis])
            self._take(0, shape[self._axis], 1)
            return
        covered = shape[self._axis : self._axis + item.ndim]
        if tuple(item.shape) != covered:
            raise IndexError(
                f"index: a mask of shape {tuple(item.shape)} does not fit axes "
                f"{self._axis} and after of shape {shape}"
            )
        for n, column in zip(covered, nonzero(item, as_tuple=True)):
            self.indices.append((len(self.kept), column))
            self.kept.append(n)
            self._take(0, n, 1)


def _items(key: Any, shape: tuple[int, ...]) -> list[Any]:
    """The parts of a key: one for each axis, None and bool for new ones."""
    parts = [_item(each) for each in (key if isinstance(key, tuple) else (key,))]
    used = sum(
        each.ndim if isinstance(each, Tensor) and each.dtype is bool_ else 1
        for each in parts
        if each is not None and each is not Ellipsis and not isinstance(each, bool)
    )
    if used > len(shape):
        raise IndexError(f"index: {used} indices for {len(shape)} axes (shape {shape})")
    rest = [slice(None)] * (len(shape) - used)
    places = [i for i, each in enumerate(parts) if each is Ellipsis]
    if len(places) > 1:
        raise IndexError("index: only one ... is allowed")
    if places:
        return parts[: places[0]] + rest + parts[places[0] + 1 :]
    return parts + rest


def _item(item: Any) -> Any:
    """A part of a key as None, ..., a bool, an int, a slice or a tensor."""
    if item is None or item is Ellipsis or isinstance(item, (bool, np.bool_)):
        return bool(item) if isinstance(item, np.bool_) else item
    if isinstance(item, slice):
        return slice(*(_bound(each) for each in (item.start, item.stop, item.step)))
    if isinstance(item, (list, tuple, range)):
        values = list(item)
        item = tensor(values) if values else tensor(values, dtype=int64)
    elif isinstance(item, np.ndarray):
        item = tensor(item)
    if isinstance(item, Tensor):
        if item.ndim:
            return item
        return bool(item.item()) if item.dtype is bool_ else _integer(item.item())
    return _integer(item)


def _integer(item: Any) -> int:
    try:
        return int(item.__index__())
    except AttributeError:
        raise IndexError(
            "index: expected integers, slices, ..., None, tensors, arrays, lists or masks, "
            f"got {item!r}"
        ) from None


def _bound(value: Any) -> int | None:
    return None if value is None else _integer(_item(value))


def _part(x: Tensor, key: _Key) -> Tensor:
    """The view that slices and integers show, without flips."""
    shape = x._array.shape
    return x if key.is_whole(shape) else apply(SLICE, x, **key.slices)


class _Places:
    """Several indices as one: which axes they meet in, and the flat index there."""

    def __init__(self, key: _Key) -> None:
        self.shape = tuple(key.kept)
        self.axes = [axis for axis, _ in key.indices]
        tensors = [index for _, index in key.indices]
        self.common = broadcast_shapes(*(tuple(each.shape) for each in tensors))
        lines = [flatten(_expanded(each, self.common)) for each in tensors]
        sizes = tuple(self.shape[axis] for axis in self.axes)
        self.flat = apply(RAVEL_INDEX, *lines, sizes=sizes)
        first, count = self.axes[0], len(self.axes)
        self.apart = self.axes != list(range(first, first + count))
        rest = [i for i in range(len(self.shape)) if i not in self.axes]
        self.order = (*self.axes, *rest) if self.apart else None
        # where the indexed axes stand once they are together
        self.at = 0 if self.apart else first
        moved = [self.shape[i] for i in self.order] if self.order else list(self.shape)
        self.before, self.after = moved[: self.at], moved[self.at + count :]
        self.merged = prod(sizes)

    def merge(self, x: Tensor) -> Tensor:
        """x with its indexed axes as one."""
        if self.order:
            x = apply(PERMUTE, x, dims=self.order)
        return apply(RESHAPE, x, shape=(*self.before, self.merged, *self.after))

    def unmerge(self, x: Tensor) -> Tensor:
        """The way back."""
        if not self.order:
            return apply(RESHAPE, x, shape=self.shape)
        x = apply(RESHAPE, x, shape=tuple(self.shape[i] for i in self.order))
        back = tuple(self.order.index(i) for i in range(len(self.order)))
        return apply(PERMUTE, x, dims=back)

    @property
    def result(self) -> tuple[int, ...]:
        """The shape of what is read or written."""
        return (*self.before, *self.common, *self.after)

    @property
    def line(self) -> tuple[int, ...]:
        """The same with the axes of the indices as one."""
        return (*self.before, prod(self.common), *self.after)


def _plain_parts(key: tuple[Any, ...]) -> tuple[Any, ...] | None:
    """Integers, and slices as (start, stop, step); None if there is anything else."""
    parts: list[Any] = []
    for item in key:
        if type(item) is int:
            parts.append(item)
        elif type(item) is slice:
            bounds = (item.start, item.stop, item.step)
            for each in bounds:
                if each is not None and type(each) is not int:
                    return None
            parts.append(bounds)
        else:
            return None
    return tuple(parts)


@lru_cache(maxsize=8192)
def _plain_window(
    shape: tuple[int, ...], parts: tuple[Any, ...]
) -> dict[str, tuple[int, ...]] | None:
    """The attributes of the slice that such parts name, None where it takes more.

    What is wrong is left to `_Key`, which says so.
    """
    if len(parts) > len(shape):
        return None
    key = _Slices()
    for item, n in zip(parts, shape):
        if isinstance(item, int):
            if not -n <= item < n:
                return None
            key.add_int(item, shape)
        else:
            if item[2] is not None and item[2] <= 0:
                return None
            key.add_slice(slice(*item), n)
    for n in shape[len(parts) :]:
        key.add_slice(slice(None), n)
    return None if key.is_whole(shape) else key.slices


def _rows(x: Tensor, index: Tensor) -> Tensor:
    """x[index] for integers: parts along the first axis."""
    shape = x._array.shape
    places = index if index._array.ndim == 1 else flatten(index)
    places = apply(RAVEL_INDEX, places, sizes=shape[:1])
    rows = apply(INDEX_SELECT, x, places, dim=0)
    if places is index or index._array.ndim == 1:
        return rows
    return apply(RESHAPE, rows, shape=(*index._array.shape, *shape[1:]))


@method("__getitem__")
def _getitem(self: Tensor, key: Any) -> Tensor:
    """Return the part of the tensor that a key names, a view where it can be one.

    Integers, slices (with negative steps, which copy), ..., None, tensors, arrays or
    lists of integers and bool masks may be mixed, with PyTorch's meaning.

    Raises:
        IndexError: an index is out of range, or there are too many.
    """
    kind = type(key)
    if kind is Tensor:
        if key._array.dtype is int64 and key._array.shape and self._array.shape:
            return _rows(self, key)
    else:
        parts = _plain_parts(key if kind is tuple else (key,))
        window = None if parts is None else _plain_window(self._array.shape, parts)
        if window is not None:
            return apply(SLICE, self, **window)
    parsed = _Key(self, key)
    if parsed.mask is not None:
        return apply(MASKED_SELECT, self, parsed.mask)
    x = _part(self, parsed)
    if parsed.flips:
        x = apply(FLIP, x, dims=tuple(parsed.flips))
    kept = tuple(parsed.kept)
    if x._array.shape != kept:
        x = apply(RESHAPE, x, shape=kept)
    if parsed.indices:
        places = _Places(parsed)
        x = apply(INDEX_SELECT, places.merge(x), places.flat, dim=places.at)
        return apply(RESHAPE, x, shape=places.result)
    # x[...] is a tensor of its own, too
    return call("alias", x) if x is self else x


@method("__setitem__")
def _setitem(self: Tensor, key: Any, value: Any) -> None:
    """Write a value, which is broadcast and cast, into the part that a key names.

    Of places that are named twice the later value stays.

    Raises:
        IndexError: an index is out of range, or there are too many.
        ShapeError: the value does not broadcast.
        GradError: the tensor is a leaf that requires a gradient.
    """
    parsed = _Key(self, key)
    source = _value(value, self)
    if source._array.storage is self._array.storage:
        source = apply(COPY, source)
    target = _part(self, parsed)
    target._check_inplace("__setitem__")
    if parsed.mask is not None and source.numel() == 1:
        one = apply(RESHAPE, source, shape=())
        target._assign("__setitem__", call("where", parsed.mask, one, target))
        return
    kept = tuple(parsed.kept)
    flips = tuple(parsed.flips)
    if not parsed.indices:
        source = _broadcast(source, kept)
        source = _restored(source, target._array.shape, flips)
        target._assign("__setitem__", source)
        return
    x = apply(FLIP, target, dims=flips) if flips else target
    places = _Places(parsed)
    merged = places.merge(apply(RESHAPE, x, shape=kept))
    source = apply(RESHAPE, _broadcast(source, places.result), shape=places.line)
    written = apply(INDEX_COPY, merged, places.flat, source, dim=places.at)
    result = _restored(places.unmerge(written), target._array.shape, flips)
    target._assign("__setitem__", result)


def _broadcast(source: Tensor, shape: tuple[int, ...]) -> Tensor:
    """A value in the shape of what it is written to; axes of size 1 in front drop."""
    extra = source.ndim - len(shape)
    if extra > 0 and source._array.shape[:extra] == (1,) * extra:
        source = apply(RESHAPE, source, shape=source._array.shape[extra:])
    try:
        return _expanded(source, shape)
    except ShapeError:
        raise ShapeError(
            f"__setitem__: a value of shape {tuple(source.shape)} does not broadcast to "
            f"the part of shape {shape}"
        ) from None


def _restored(x: Tensor, shape: tuple[int, ...], flips: Sequence[int]) -> Tensor:
    """What stands in the order of the key, in that of the tensor."""
    if x._array.shape != shape:
        x = apply(RESHAPE, x, shape=shape)
    return apply(FLIP, x, dims=tuple(flips)) if flips else x
