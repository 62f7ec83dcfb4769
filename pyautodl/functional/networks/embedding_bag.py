"""Rows of a table, summed or averaged over bags of indices."""

from __future__ import annotations

from pyautodl.backends.dtypes import FLOATING, int64
from pyautodl.errors import DTypeError, ShapeError
from pyautodl.functional.copy import cat
from pyautodl.functional.creation import arange, full_like, ones, zeros
from pyautodl.functional.eltwise import eq, isnan, logical_or, ne, where
from pyautodl.functional.index import embedding, gather, index_add
from pyautodl.functional.index.arguments import as_index
from pyautodl.functional.index.tables import padding_row, shorten_rows
from pyautodl.functional.sort import searchsorted
from pyautodl.functional.views import broadcast_to
from pyautodl.tensor import Tensor, explained

__all__ = ["embedding_bag"]

_MODES = ("sum", "mean", "max")


@explained
def embedding_bag(
    input: Tensor,
    weight: Tensor,
    offsets: Tensor | None = None,
    max_norm: float | None = None,
    norm_type: float = 2,
    scale_grad_by_freq: bool = False,
    mode: str = "mean",
    sparse: bool = False,
    per_sample_weights: Tensor | None = None,
    include_last_offset: bool = False,
    padding_idx: int | None = None,
) -> Tensor:
    """Return for each bag of indices the sum, mean or maximum of a table's rows.

    Args:
        input: integers: a bag in each row, or a line of all bags with
        offsets: where each bag begins in it; an empty bag gives 0.
        weight: the table (rows, n).
        max_norm, norm_type, scale_grad_by_freq, sparse: as in `embedding`.
        mode: 'sum', 'mean' or 'max', whose gradient goes to the first of equal elements.
        per_sample_weights: a factor for each index, with mode 'sum'.
        include_last_offset: offsets also say where the last bag ends.
        padding_idx: this index is passed over; its row is shortened to max_norm as others.

    Shape:
        (bags, k), or (k) and offsets (bags) -> (bags, n)

    Raises:
        ShapeError: offsets or per_sample_weights do not fit the input.
        DTypeError: per_sample_weights are of another element type than the table.
        ValueError: the mode is unknown or does not go with weights.
        IndexError: an index is negative or too large, or padding_idx is out of range.

    Example:
        >>> import pyautodl as ad
        >>> table = ad.tensor([[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]])
        >>> F = ad.nn.functional
        >>> F.embedding_bag(ad.tensor([0, 1, 2]), table, ad.tensor([0, 2]), mode="sum")
        tensor([[2., 4.],
                [4., 5.]])
    """
    if mode not in _MODES:
        raise ValueError(
            f"embedding_bag: mode must be one of {', '.join(_MODES)}, got {mode!r}"
        )
    if per_sample_weights is not None and mode != "sum":
        raise ValueError(
            f"embedding_bag: per_sample_weights go with mode 'sum', got {mode!r}"
        )
    places = as_index("embedding_bag", input)
    if per_sample_weights is not None and per_sample_weights.shape != places.shape:
        raise ShapeError(
            "embedding_bag: per_sample_weights need the shape of the input, got "
            f"{tuple(per_sample_weights.shape)} and {tuple(places.shape)}"
        )
    table = (weight, None, max_norm, norm_type, scale_grad_by_freq, sparse)
    if offsets is None and padding_idx is None and places.ndim == 2 and places.numel():
        return _of_rows(embedding(places, *table), mode, per_sample_weights)
    bags, count = _bags(places, offsets, include_last_offset)
    places = places.reshape(-1)
    factors = None if per_sample_weights is None else per_sample_weights.reshape(-1)
    if padding_idx is not None:
        if max_norm is not None:
            # the padding row too, which none of the bags reads
            shorten_rows(weight, places, float(max_norm), float(norm_type))
        kept = ne(places, padding_row("embedding_bag", padding_idx, weight))
        places, bags = places[kept], bags[kept]
        factors = None if factors is None else factors[kept]
    rows = embedding(places, *table)
    empty = zeros(count, weight.shape[1], dtype=weight.dtype)
    if mode == "max":
        return _largest(rows, bags, empty)
    if factors is not None:
        rows = rows * factors.unsqueeze(1)
    total = index_add(empty, 0, bags, rows)
    if mode == "sum":
        return total
    one = ones(bags.shape, dtype=weight.dtype)
    sizes = index_add(zeros(count, dtype=weight.dtype), 0, bags, one)
    return total / sizes.clamp(min=1).unsqueeze(1)


def _of_rows(rows: Tensor, mode: str, factors: Tensor | None) -> Tensor:
    """Of bags of one size, whose rows are (bags, k, n)."""
    if mode == "max":
        values: Tensor = rows.max(1).values
        return values
    if factors is not None:
        if factors.dtype is not rows.dtype:
            raise DTypeError(
                f"embedding_bag: the table is {rows.dtype.name}, per_sample_weights "
                f"{factors.dtype.name}"
            )
        rows = rows * factors.unsqueeze(2)
    if mode == "mean" and rows.dtype.category == FLOATING:
        return rows.mean(1)
    total = rows.sum(1)
    return total / rows.shape[1] if mode == "mean" else total


def _largest(rows: Tensor, bags: Tensor, empty: Tensor) -> Tensor:
    """The largest elements of each bag's rows, of which the first takes the gradient."""
    values, count = rows.detach(), len(rows)
    index = broadcast_to(bags.unsqueeze(1), rows.shape)
    top = empty.scatter_reduce(0, index, values, "amax", include_self=False)
    wins = logical_or(eq(values, top.index_select(0, bags)), isnan(values))
    places = where(wins, arange(count).unsqueeze(1), count)
    # an empty bag has the row of zeros behind the others
    first = full_like(empty, count, dtype=int64).scatter_reduce(
        0, index, places, "amin"
    )
    return gather(cat((rows, zeros(1, rows.shape[1], dtype=rows.dtype))), 0, first)


def _bags(
    places: Tensor, offsets: Tensor | None, include_last_offset: bool
) -> tuple[Tensor, int]:
    """The bag of each index, and how many bags there are."""
    if (places.ndim, offsets is None) not in ((2, True), (1, False)):
        raise ShapeError(
            "embedding_bag: expected indices (bags, k), or (k) with offsets (bags), got "
            f"{tuple(places.shape)} and "
            f"{'none' if offsets is None else tuple(offsets.shape)}"
        )
    if offsets is None:
        count, size = places.shape
        return arange(count).repeat_interleave(size), count
    starts = as_index("embedding_bag", offsets)
    count = len(starts) - int(include_last_offset)
    values = starts.tolist()
    if values and (
        values[0] != 0 or values != sorted(values) or values[-1] > len(places)
    ):
        raise ShapeError(
            "embedding_bag: expected offsets from 0 on, in order, up to the number of "
            f"indices {len(places)}, got {values[:8]}"
        )
    order = arange(len(places))
    return searchsorted(starts[:count], order, right=True) - 1, count
