"""Different elements, or different parts along an axis."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pyautodl.functional.creation import tensor
from pyautodl.functional.sort import sort
from pyautodl.functional.views import flatten
from pyautodl.ops.axes import normalize_axis
from pyautodl.ops.integers import integer
from pyautodl.tensor import Tensor, explained, method

__all__ = ["unique", "unique_consecutive"]

NDArray = np.ndarray[Any, Any]


@explained
def unique(
    input: Tensor,
    sorted: bool = True,
    return_inverse: bool = False,
    return_counts: bool = False,
    dim: int | None = None,
) -> Any:
    """Return the different elements in order.

    Args:
        input: a tensor.
        sorted: has no meaning here: they always are.
        return_inverse: also return where each element went.
        return_counts: also return how often each occurs.
        dim: look at whole parts along this axis.

    Raises:
        IndexError: there is no such axis.

    Example:
        >>> import pyautodl as ad
        >>> ad.unique(ad.tensor([3, 1, 3]))
        tensor([1, 3])
    """
    if dim is None:
        line = flatten(input).detach()
        found = _different_elements(line, return_inverse, return_counts)
        if return_inverse:
            found[1] = found[1].reshape(tuple(input.shape))
    else:
        axis = normalize_axis("unique", dim, input.ndim, input.shape)
        found = _different_parts(input.detach().numpy(), axis)
    wanted = (True, return_inverse, return_counts)
    kept = [tensor(each) for each, want in zip(found, wanted, strict=True) if want]
    return kept[0] if len(kept) == 1 else tuple(kept)


method("unique")(unique)


def _different_elements(x: Tensor, inverse: bool, counts: bool) -> list[Any]:
    """Values in order, and if wanted where each went and how many there are."""
    if inverse:
        values, order = sort(x, stable=True)
        line = values.numpy()
    else:
        line = np.sort(x.numpy())
    begins = _begins(line, line[1:] != line[:-1])
    if len(line) and line[-1] != line[-1]:
        # behind the first NaN are none but NaN
        begins[1:] &= line[:-1] == line[:-1]
    found = [line[begins], None, None]
    if inverse:
        found[1] = _went(begins, order.numpy())
    if counts:
        found[2] = _lengths(begins)
    return found


def _different_parts(x: NDArray, axis: int) -> list[Any]:
    """The same for parts along an axis, all three."""
    parts = np.moveaxis(x if x.ndim else x.reshape(1), axis, 0)
    rows = parts.reshape(len(parts), math.prod(parts.shape[1:]))
    order = _order_of_rows(rows)
    rows = rows[order]
    begins = _begins(rows, (rows[1:] != rows[:-1]).any(1))
    values = rows[begins].reshape(-1, *parts.shape[1:])
    return [np.moveaxis(values, 0, axis), _went(begins, order), _lengths(begins)]


def _begins(line: NDArray, differ: NDArray) -> NDArray:
    """Where what is in order begins to be something else, the first included."""
    begins = np.ones(len(line), np.bool_)
    begins[1:] = differ
    return begins


def _went(begins: NDArray, order: NDArray) -> NDArray:
    """The number of the different one that each of the unordered is."""
    inverse = np.empty(len(order), np.int64)
    inverse[order] = np.cumsum(begins) - 1
    return inverse


def _lengths(begins: NDArray) -> NDArray:
    return np.diff(np.flatnonzero(begins), append=len(begins))


def _order_of_rows(rows: NDArray) -> NDArray:
    """A stable order of rows, by their first elements, then the second, ...

    Rows that so few differ in that one number says all are sorted by that, others as
    strings of bytes.
    """
    if not rows.size:
        return np.arange(len(rows))
    keys = _ordered_numbers(rows)
    least = keys.min(0)
    spans = [int(span) + 1 for span in keys.max(0) - least]
    columns = [i for i, span in enumerate(spans) if span > 1]
    if len(columns) < 64 and math.prod(spans) < 1 << 63:
        line = np.zeros(len(rows), np.int64)
        for i in columns:
            line *= spans[i]
            line += (keys[:, i] - least[i]).astype(np.int64)
        return sort(tensor(line), stable=True).indices.numpy()
    text = np.ascontiguousarray(keys, keys.dtype.newbyteorder(">"))
    kind = np.dtype((np.void, text.shape[1] * text.itemsize))
    return text.view(kind).reshape(-1).argsort(kind="stable")


def _ordered_numbers(x: NDArray) -> NDArray:
    """Unsigned numbers in the order of the elements: -0 is 0, NaN above all."""
    kind = np.dtype(f"u{x.itemsize}")
    highest = kind.type(1 << (8 * x.itemsize - 1))
    if x.dtype.kind == "f":
        bits = np.add(x, 0, dtype=x.dtype).view(kind)
        numbers = np.where(bits >= highest, ~bits, bits | highest)
        numbers[x != x] = ~kind.type(0)
        return numbers
    bits = np.ascontiguousarray(x).view(kind)
    return bits ^ highest if x.dtype.kind == "i" else bits


@method
@explained
def unique_consecutive(
    input: Tensor,
    return_inverse: bool = False,
    return_counts: bool = False,
    dim: int | None = None,
) -> Any:
    """Return the elements without those that equal the one before them.

    Args:
        input: a tensor, taken as a line.
        return_inverse: also return where each element went.
        return_counts: also return how often each follows itself.
        dim: look at whole parts along this axis.

    Example:
        >>> import pyautodl as ad
        >>> ad.unique_consecutive(ad.tensor([3, 3, 1, 3]), return_counts=True)
        (tensor([3, 1, 3]), tensor([2, 1, 1]))
    """
    x = input.detach().numpy()
    axis = 0
    if dim is None:
        x = x.reshape(-1)
    else:
        axis = normalize_axis(
            "unique_consecutive", integer("unique_consecutive", "dim", dim), x.ndim
        )
    lines = np.moveaxis(x, axis, 0)
    rest = lines.reshape(len(lines), math.prod(lines.shape[1:]))
    begins = _begins(rest, (rest[1:] != rest[:-1]).any(1))
    places = np.flatnonzero(begins)
    found = [tensor(np.take(x, places, axis))]
    if return_inverse:
        inverse = np.cumsum(begins) - 1
        shape = input.shape if dim is None else inverse.shape
        found.append(tensor(inverse.reshape(tuple(shape))))
    if return_counts:
        found.append(tensor(_lengths(begins)))
    return found[0] if len(found) == 1 else tuple(found)
