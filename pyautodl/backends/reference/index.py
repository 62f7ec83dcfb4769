"""What the kernels that read and write at indexed places mean, in NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np

from pyautodl.backends import codes
from pyautodl.backends.checks import check_indices, index_error

__all__ = [
    "gather",
    "index_put",
    "index_select",
    "masked_scatter",
    "masked_select",
    "nonzero",
    "ravel_index",
    "scatter",
]

_Array = np.ndarray[Any, Any]


def _places(index: _Array, axis: int) -> tuple[Any, ...]:
    """NumPy's key for `index` along an axis, every other index being its own."""
    key: list[Any] = list(np.indices(index.shape, sparse=True))
    key[axis] = index
    return tuple(key)


def gather(x: _Array, index: _Array, out: _Array, axis: int) -> None:
    """out[.., i, ..] = x[.., index[.., i, ..], ..]."""
    check_indices(index, x.shape[axis])
    out[...] = x[_places(index, axis)]


# how values meet in one place
_JOINS = {
    codes.SCATTER_ADD: np.add,
    codes.SCATTER_MULTIPLY: np.multiply,
    codes.SCATTER_MAX: np.maximum,
    codes.SCATTER_MIN: np.minimum,
}


def scatter(src: _Array, index: _Array, out: _Array, axis: int, how: int) -> None:
    """Write or join src to the places that index names, in order."""
    check_indices(index, out.shape[axis])
    part = src[tuple(slice(n) for n in index.shape)]
    if how != codes.SCATTER_WRITE:
        _JOINS[how].at(out, _places(index, axis), part)
        return
    # one after the other along the axis: the last write stays
    lines = np.moveaxis(index, axis, 0)
    values = np.moveaxis(part, axis, 0)
    target = np.moveaxis(out, axis, 0)
    key = np.indices(lines.shape[1:], sparse=True) if lines.ndim > 1 else ()
    for i in range(len(lines)):
        target[(lines[i], *key)] = values[i]


def index_select(x: _Array, index: _Array, out: _Array, axis: int) -> None:
    """out[.., j, ..] = x[.., index[j], ..]."""
    check_indices(index, x.shape[axis])
    out[...] = x.take(index, axis)


def index_put(
    src: _Array, index: _Array, out: _Array, axis: int, add: int, skip: int
) -> None:
    """Write or add src's parts to those of out, in order, passing over index `skip`."""
    check_indices(index, out.shape[axis])
    target = np.moveaxis(out, axis, 0)
    for j, part in zip(index.tolist(), np.moveaxis(src, axis, 0), strict=True):
        if j != skip:
            target[j] = target[j] + part if add else part


def masked_select(x: _Array, mask: _Array, out: _Array) -> None:
    """The elements of x where mask is set, in C order."""
    out[...] = x[mask]


def masked_scatter(x: _Array, mask: _Array, out: _Array) -> None:
    """The elements of x go, in C order, where mask is set."""
    out[mask] = x.reshape(-1)[: np.count_nonzero(mask)]


def nonzero(mask: _Array, out: _Array) -> None:
    """The indices of each set element, a row for each."""
    out[...] = np.argwhere(mask)


def ravel_index(indices: list[_Array], sizes: _Array, out: _Array) -> None:
    """One flat index for several; negative ones count from the end."""
    flat = np.zeros(out.shape, np.int64)
    for index, size in zip(indices, sizes.tolist(), strict=True):
        bad = np.flatnonzero((index < -size) | (index >= size))
        if bad.size:
            position = int(bad[0])
            raise index_error(position, int(index.reshape(-1)[position]), size)
        flat = flat * size + np.where(index < 0, index + size, index)
    out[...] = flat
