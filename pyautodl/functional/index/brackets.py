"""x[...]: what stands between the brackets, read and written."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from math import prod
from typing import Any

import numpy as np

from pyautodl import backends
from pyautodl.backends.dtypes import bool_, int8, int16, int32, int64, uint8
from pyautodl.errors import ShapeError, describe, warn
from pyautodl.functional.creation import tensor
from pyautodl.functional.index.arguments import as_index, as_value, expanded
from pyautodl.functional.index.masks import nonzero
from pyautodl.functional.views import broadcast_shapes, flatten
from pyautodl.graph import MODE
from pyautodl.ops.copy import CAST, COPY, FLIP
from pyautodl.ops.index import (
    INDEX_ADD,
    INDEX_COPY,
    INDEX_ROWS,
    INDEX_SELECT,
    MASKED_SELECT,
    NONZERO,
    RAVEL_INDEX,
    put_along,
)
from pyautodl.ops.record import Attributes
from pyautodl.ops.views import PERMUTE, RESHAPE, SLICE
from pyautodl.tensor import Tensor, apply, apply_known, call, explained, make, method

__all__ = ["index_put"]

# element types of tensors that are a place, if they hold one element; uint8 is a mask
_PLACES = (int64, int32, int16, int8)


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

    def add(self, item: Any, shape: tuple[int, ...]) -> None:
        """Take a slice or a place of the next axis, or add an axis for None."""
        if item is None:
            self.kept.append(1)
        elif isinstance(item, slice):
            self.add_slice(item, shape[self._axis])
        else:
            self.add_int(item, shape)

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
    """

    def __init__(self, x: Tensor, key: Any) -> None:
        shape = x._array.shape
        super().__init__()
        self.indices: list[tuple[int, Tensor]] = []
        for item in _items(key, shape):
            self._add(item, shape)

    def _add(self, item: Any, shape: tuple[int, ...]) -> None:
        if isinstance(item, bool):
            # as a mask without axes: one element of a new axis, or none
            place = tensor([0] if item else [], dtype=int64)
            self.indices.append((len(self.kept), place))
            self.kept.append(1)
        elif isinstance(item, Tensor):
            self._add_tensor(item, shape)
        else:
            self.add(item, shape)

    def _add_tensor(self, item: Tensor, shape: tuple[int, ...]) -> None:
        if item.dtype is not bool_:
            self.indices.append((len(self.kept), as_index("index", item)))
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
    return _filled(parts, shape)


def _filled(parts: list[Any], shape: tuple[int, ...]) -> list[Any]:
    """The same with slices for ... and at the end."""
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
        if item._array.dtype is uint8:
            item = _as_mask(item)
        if item.ndim:
            return item
        return bool(item.item()) if item.dtype is bool_ else _integer(item.item())
    return _integer(item)


def _as_mask(index: Tensor) -> Tensor:
    """A uint8 tensor as the mask that it is in PyTorch."""
    warn(
        "a uint8 tensor between brackets is taken as a mask, as in PyTorch; likely fix: "
        ".bool() for a mask, .long() for positions"
    )
    return apply(CAST, index, dtype=bool_)


def _integer(item: Any) -> int:
    try:
        return int(item.__index__())
    except AttributeError:
        fix = "; likely fix: // in place of /, or int(...)" if _is_float(item) else ""
        raise IndexError(
            "index: expected integers, slices, ..., None, tensors, arrays, lists or masks, "
            f"got {describe(item)}{fix}"
        ) from None


def _is_float(item: Any) -> bool:
    return isinstance(item, (float, np.floating))


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
        shapes = [tuple(each.shape) for each in tensors]
        try:
            self.common = broadcast_shapes(*shapes)
        except ShapeError:
            raise ShapeError(
                "index: lists and tensors of indices are taken together, element by "
                f"element, and must broadcast, got shapes {', '.join(map(str, shapes))}; "
                "likely fix: x[rows][:, columns] for every pair"
            ) from None
        lines = [flatten(expanded(each, self.common)) for each in tensors]
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
        return _shaped(x, (*self.before, self.merged, *self.after))

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


def _is_place(item: Any) -> bool:
    """Whether it is one integer, as a tensor or as NumPy has it."""
    if isinstance(item, Tensor):
        return item._array.shape == () and item._array.dtype in _PLACES
    return isinstance(item, np.integer)


def _plain_parts(key: tuple[Any, ...]) -> tuple[Any, ...] | None:
    """Integers, None, ..., and slices as (start, stop, step); None if there is anything
    else.
    """
    parts: list[Any] = []
    for item in key:
        if type(item) is int or item is None or item is Ellipsis:
            parts.append(item)
        elif _is_place(item):
            parts.append(int(item))
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
) -> tuple[Attributes | None, tuple[int, ...] | None] | None:
    """The attributes of the slice that such parts name, and the shape with new axes, both
    only where they change something; None where it takes more.

    What is wrong is left to `_Key`, which says so.
    """
    items = [slice(*each) if isinstance(each, tuple) else each for each in parts]
    if any([isinstance(each, slice) and (each.step or 1) < 0 for each in items]):
        return None
    key = _Slices()
    try:
        for item in _filled(items, shape):
            key.add(item, shape)
    except (IndexError, ValueError):
        return None
    window = None if key.is_whole(shape) else Attributes(key.slices)
    left = [n for i, n in enumerate(key.sizes) if i not in key.drop]
    kept = None if left == key.kept else tuple(key.kept)
    return None if window is None and kept is None else (window, kept)


def _plain_part(x: Tensor, key: Any) -> Tensor | None:
    """The view that integers, None, ... and slices name; None where it takes more."""
    parts = _plain_parts(key if type(key) is tuple else (key,))
    found = None if parts is None else _plain_window(x._array.shape, parts)
    if found is None:
        return None
    window, kept = found
    if window is not None:
        x = apply_known(SLICE, (x,), window)
    return x if kept is None else apply(RESHAPE, x, shape=kept)


def _whole_mask(x: Tensor, key: Any) -> Tensor | None:
    """The mask that covers the whole tensor, if the key is one."""
    item = key[0] if isinstance(key, tuple) and len(key) == 1 else key
    if isinstance(item, np.ndarray) and item.dtype == np.bool_:
        item = tensor(item)
    if not isinstance(item, Tensor) or item._array.dtype is not bool_:
        return None
    shape = x._array.shape
    return item if shape and item._array.shape == shape else None


def _shaped(x: Tensor, shape: tuple[int, ...]) -> Tensor:
    """x in a shape, itself where it has that."""
    return x if x._array.shape == shape else apply(RESHAPE, x, shape=shape)


def _chosen_rows(x: Tensor, mask: Tensor) -> Tensor:
    """x[mask] for a line: parts along the first axis."""
    places = apply(NONZERO, mask)
    line = apply(RESHAPE, places, shape=places._array.shape[:1])
    return apply(INDEX_SELECT, x, line, dim=0)


def _meeting_places(key: Any, axes: int) -> bool:
    """Whether a key is one index of one shape for each of the first axes."""
    if type(key) is not tuple or not 0 < len(key) <= axes:
        return False
    for each in key:
        if not isinstance(each, Tensor) or each._array.dtype is not int64:
            return False
    shape = key[0]._array.shape
    return bool(shape) and all([each._array.shape == shape for each in key])


@method("__getitem__")
def _getitem(self: Tensor, key: Any) -> Tensor:
    """Return the part of the tensor that a key names, a view where it can be one.

    Integers, slices (with negative steps, which copy), ..., None, tensors, arrays or
    lists of integers and bool masks may be mixed, with PyTorch's meaning: a tensor of
    uint8 is a mask, too, with a warning.

    Raises:
        IndexError: an index is out of range, or there are too many.
    """
    kind = type(key)
    if kind is list or kind is np.ndarray:
        key = _item(key)
    if isinstance(key, Tensor) and key._array.shape:
        index, shape = key._array, self._array.shape
        if index.dtype is int64 and shape:
            return apply(INDEX_ROWS, self, key)
        if index.dtype is bool_ and index.shape == shape[:1] != shape:
            return _chosen_rows(self, key)
    elif _meeting_places(key, len(self._array.shape)):
        return apply(INDEX_ROWS, self, *key)
    else:
        part = _plain_part(self, key)
        if part is not None:
            return part
    mask = _whole_mask(self, key)
    if mask is not None:
        return apply(MASKED_SELECT, self, mask)
    parsed = _Key(self, key)
    x = _part(self, parsed)
    if parsed.flips:
        x = apply(FLIP, x, dims=tuple(parsed.flips))
    kept = tuple(parsed.kept)
    x = _shaped(x, kept)
    if parsed.indices:
        places = _Places(parsed)
        x = apply(INDEX_SELECT, places.merge(x), places.flat, dim=places.at)
        return _shaped(x, places.result)
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
    _write("__setitem__", self, key, value)


def _write(
    name: str, x: Tensor, key: Any, value: Any, accumulate: bool = False
) -> None:
    """Write a value into the part that a key names, or add it to what stands there."""
    source = as_value(value, x, "__setitem__")
    part = None if accumulate else _plain_part(x, key)
    if part is not None:
        if type(value) is float or type(value) is int:
            like = part._array
            array = backends.repeated(value, like.dtype, like.shape, name)
            source = make(array, None, False)
        _overwrite(name, part, source)
        return
    mine, theirs = x._array, source._array
    if theirs.storage is mine.storage or theirs.is_read_elsewhere(mine):
        source = apply(COPY, source)
    mask = _whole_mask(x, key) if source.numel() == 1 else None
    if mask is not None:
        x._check_inplace(name)
        one = apply(RESHAPE, source, shape=())
        if accumulate:
            one = call("add", x, one)
        x._assign(name, call("where", mask, one, x))
        return
    parsed = _Key(x, key)
    target = _part(x, parsed)
    target._check_inplace(name)
    kept = tuple(parsed.kept)
    flips = tuple(parsed.flips)
    if not parsed.indices:
        source = _broadcast(name, source, kept)
        source = _restored(source, target._array.shape, flips)
        target._assign(name, source)
        return
    part = apply(FLIP, target, dims=flips) if flips else target
    places = _Places(parsed)
    merged = places.merge(apply(RESHAPE, part, shape=kept))
    source = _broadcast(name, source, places.result)
    source = apply(RESHAPE, source, shape=places.line)
    mine = target._array
    if merged._array.storage is mine.storage and not _is_recorded(target, source):
        line, values = places.flat._array, source._array
        put_along(merged._array, line, values, places.at, accumulate)
        target._take_edge(make(mine, None, False))
        return
    op = INDEX_ADD if accumulate else INDEX_COPY
    written = apply(op, merged, places.flat, source, dim=places.at)
    result = _restored(places.unmerge(written), target._array.shape, flips)
    target._assign(name, result)


def _is_recorded(target: Tensor, source: Tensor) -> bool:
    return MODE.enabled and (target.requires_grad or source.requires_grad)


def _overwrite(name: str, part: Tensor, source: Tensor) -> None:
    """Write a value into a view."""
    part._check_inplace(name)
    mine, theirs = part._array, source._array
    if theirs.storage is mine.storage:
        if _is_there(part, source):
            return
        source = apply(COPY, source)
    part._assign(name, _broadcast(name, source, mine.shape))


def _is_there(part: Tensor, source: Tensor) -> bool:
    """Whether the value is that very view, which `x[key] += y` has changed by now."""
    base, mine, theirs = part._base, part._array, source._array
    return (
        base is not None
        and source._base is base
        and source._base_changes == base._changes
        and source._unchangeable is None
        and (theirs.offset, theirs.shape, theirs.strides)
        == (mine.offset, mine.shape, mine.strides)
    )


@method
@explained
def index_put_(
    self: Tensor, indices: Sequence[Tensor], values: Any, accumulate: bool = False
) -> Tensor:
    """Write values where indices meet, in place: `self[indices] = values`.

    Args:
        self: the tensor.
        indices: a tuple of integer or bool tensors, for as many axes from the first on.
        values: what is written; it broadcasts.
        accumulate: add to what stands there, also several times to one place; else of
            places that are named twice the later value stays.

    Raises:
        IndexError: an index is out of range, or there are too many.
        ShapeError: the values do not broadcast.
        TypeError: `indices` is not a tuple of tensors.
        GradError: the tensor is a leaf that requires a gradient.

    Example:
        >>> import pyautodl as ad
        >>> places = (ad.tensor([0, 0]),)
        >>> ad.zeros(3).index_put_(places, ad.tensor(1.0), accumulate=True)
        tensor([2., 0., 0.])
    """
    _write("index_put_", self, _tensors_of("index_put_", indices), values, accumulate)
    return self


@method
@explained
def index_put(
    input: Tensor, indices: Sequence[Tensor], values: Any, accumulate: bool = False
) -> Tensor:
    """Return a copy in which values are written where indices meet.

    Args:
        input: the tensor that is copied first.
        indices: a tuple of integer or bool tensors, for as many axes from the first on.
        values: what is written; it broadcasts.
        accumulate: add to what stands there, also several times to one place; else of
            places that are named twice the later value stays.

    Raises:
        IndexError: an index is out of range, or there are too many.
        ShapeError: the values do not broadcast.
        TypeError: `indices` is not a tuple of tensors.

    Example:
        >>> import pyautodl as ad
        >>> rows, columns = ad.tensor([0, 1, 0]), ad.tensor([2, 0, 2])
        >>> ad.index_put(ad.zeros(2, 3), (rows, columns), ad.ones(3), accumulate=True)
        tensor([[0., 0., 2.],
                [1., 0., 0.]])
    """
    output = input.clone()
    _write("index_put", output, _tensors_of("index_put", indices), values, accumulate)
    return output


def _tensors_of(name: str, indices: Any) -> tuple[Tensor, ...]:
    if isinstance(indices, (tuple, list)):
        if all(isinstance(each, Tensor) for each in indices):
            return tuple(indices)
    raise TypeError(
        f"{name}: expected a tuple of index tensors, got {describe(indices)}"
    )


def _broadcast(name: str, source: Tensor, shape: tuple[int, ...]) -> Tensor:
    """A value in the shape of what it is written to; axes of size 1 in front drop."""
    extra = source.ndim - len(shape)
    if extra > 0 and source._array.shape[:extra] == (1,) * extra:
        source = apply(RESHAPE, source, shape=source._array.shape[extra:])
    try:
        return expanded(source, shape)
    except ShapeError:
        raise ShapeError(
            f"{name}: a value of shape {tuple(source.shape)} does not broadcast to "
            f"the part of shape {shape}"
        ) from None


def _restored(x: Tensor, shape: tuple[int, ...], flips: Sequence[int]) -> Tensor:
    """What stands in the order of the key, in that of the tensor."""
    x = _shaped(x, shape)
    return apply(FLIP, x, dims=tuple(flips)) if flips else x
