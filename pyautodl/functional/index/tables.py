"""Rows of tables by their numbers, and counts of numbers."""

from __future__ import annotations

from typing import Any

from pyautodl.backends.dtypes import FLOATING, float64, int64
from pyautodl.errors import ShapeError
from pyautodl.functional.creation import zeros
from pyautodl.functional.index.arguments import as_index, expanded
from pyautodl.functional.views import flatten
from pyautodl.graph import no_step
from pyautodl.ops.index import EMBEDDING, INDEX_ADD, ONE_HOT, put_along
from pyautodl.ops.integers import integer
from pyautodl.ops.reduce import NORM
from pyautodl.tensor import Tensor, apply, call, constant, explained, method

__all__ = ["bincount", "embedding", "one_hot", "padding_row", "shorten_rows"]


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
        max_norm: rows that are asked for and longer are first shortened to it, in the
            table itself and without a record.
        norm_type: the exponent of the norm that is their length.
        scale_grad_by_freq: divide a row's gradient by how often its index occurs.
        sparse: not supported.

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
    if sparse:
        raise NotImplementedError("embedding: sparse is not supported")
    index = as_index("embedding", input)
    skip = -1
    if padding_idx is not None:
        skip = padding_row("embedding", padding_idx, weight)
    if max_norm is not None:
        shorten_rows(weight, flatten(index), float(max_norm), float(norm_type))
    attrs = {"scale_grad_by_freq": True} if scale_grad_by_freq else {}
    return apply(EMBEDDING, weight, index, padding_idx=skip, **attrs)


def padding_row(name: str, padding_idx: Any, weight: Tensor) -> int:
    """The number of the row that a padding index means, which may count from the end."""
    rows = weight.shape[0]
    place = integer(name, "padding_idx", padding_idx)
    if not -rows <= place < rows:
        raise IndexError(f"{name}: padding_idx {place} is out of range for {rows} rows")
    return place % rows


def shorten_rows(weight: Tensor, index: Tensor, max_norm: float, p: float) -> None:
    """Scale the rows that are longer than max_norm down to it, in place."""
    rows = apply(EMBEDDING, weight.detach(), index)
    size = apply(NORM, rows, p=p, dim=(1,), keepdim=True)
    longer = call("gt", size, max_norm)
    if not call("any", longer).item():
        return
    # PyTorch's epsilon
    scale = call("div", max_norm, call("add", size, 1e-7))
    shorter = call("where", longer, call("mul", rows, scale), rows)
    before = weight._array.storage.version
    put_along(weight._array, index._array, shorter._array, 0)
    no_step(weight, before)


@explained
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
    index = as_index("one_hot", tensor)
    num_classes = integer("one_hot", "num_classes", num_classes)
    if num_classes == -1:
        if not index.numel():
            raise ValueError("one_hot: no indices to find num_classes from")
        num_classes = max(int(index.max()) + 1, 1)
    return apply(ONE_HOT, index, num_classes=num_classes)


@method
@explained
def bincount(
    input: Tensor, weights: Tensor | None = None, minlength: int = 0
) -> Tensor:
    """Count how often each integer occurs, or add up its weights.

    Args:
        input: a line of integers that are not negative.
        weights: a number for each; they count instead of 1. Of integers and bools the sums
            are float64, as in PyTorch and NumPy.
        minlength: the least length of the result.

    Raises:
        IndexError: there is a negative integer.
        ValueError: minlength is negative.

    Example:
        >>> import pyautodl as ad
        >>> ad.bincount(ad.tensor([0, 2, 2]))
        tensor([1, 0, 2])
    """
    index = as_index("bincount", input)
    if index.ndim != 1:
        raise ShapeError(f"bincount: expected a line, got shape {tuple(index.shape)}")
    least = integer("bincount", "minlength", minlength)
    if least < 0:
        raise ValueError(f"bincount: minlength must not be negative, got {least}")
    if index.numel() and (low := int(index.min())) < 0:
        raise IndexError(
            f"bincount: expected integers from 0 on, got index {low} at position "
            f"{int(index.argmin())}; likely fix: x - x.min(), or x[x >= 0]"
        )
    size = max(int(index.max()) + 1 if index.numel() else 0, least)
    if weights is None:
        terms = expanded(constant(1, int64), index._array.shape)
    else:
        kind = weights.dtype
        terms = weights if kind.category == FLOATING else weights.to(float64)
    return apply(INDEX_ADD, zeros(size, dtype=terms.dtype), index, terms, dim=0)
