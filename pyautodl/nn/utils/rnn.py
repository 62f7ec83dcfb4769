"""Batches of sequences of different lengths: padded, and packed.

Packed sequences stand sorted by length, longest first: `data` has the rows of step 0,
then those of step 1, ..., and `batch_sizes` says how many each step has.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from pyautodl.errors import ShapeError
from pyautodl.functional.creation import full, tensor
from pyautodl.functional.index import index_copy, index_select
from pyautodl.tensor import Tensor, call, explained

__all__ = [
    "PackedSequence",
    "invert_permutation",
    "pack_padded_sequence",
    "pack_sequence",
    "pad_packed_sequence",
    "pad_sequence",
    "unpack_sequence",
    "unpad_sequence",
]


class _Fields(NamedTuple):
    data: Tensor
    batch_sizes: Tensor
    sorted_indices: Tensor | None
    unsorted_indices: Tensor | None


class PackedSequence(_Fields):
    """Sequences without padding, as recurrent layers take them.

    Made by `pack_padded_sequence` and `pack_sequence`.

    Args:
        data: (rows, ...), all elements, step by step.
        batch_sizes: (t,) int64, how many sequences each step has.
        sorted_indices: the order in which the sequences stand, None for theirs.
        unsorted_indices: how to undo it.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl.nn.utils.rnn import pack_sequence
        >>> packed = pack_sequence([ad.tensor([1, 2, 3]), ad.tensor([4, 5])])
        >>> packed.data, packed.batch_sizes
        (tensor([1, 4, 2, 5, 3]), tensor([2, 2, 1]))
    """

    __slots__ = ()

    def __new__(
        cls,
        data: Tensor,
        batch_sizes: Tensor | None = None,
        sorted_indices: Tensor | None = None,
        unsorted_indices: Tensor | None = None,
    ) -> PackedSequence:
        """Complete the fields."""
        if batch_sizes is None:
            raise ValueError("PackedSequence: expected batch_sizes")
        if unsorted_indices is None:
            unsorted_indices = invert_permutation(sorted_indices)
        return super().__new__(cls, data, batch_sizes, sorted_indices, unsorted_indices)

    def _with(self, data: Tensor) -> PackedSequence:
        return PackedSequence(data, *self[1:])

    def to(self, *args: Any, **kwargs: Any) -> PackedSequence:
        """Convert the data as `Tensor.to` does."""
        return self._with(self.data.to(*args, **kwargs))

    def cpu(self) -> PackedSequence:
        """Return itself."""
        return self

    def float(self) -> PackedSequence:
        """Convert the data to float32."""
        return self._with(self.data.float())

    def double(self) -> PackedSequence:
        """Convert the data to float64."""
        return self._with(self.data.double())

    def long(self) -> PackedSequence:
        """Convert the data to int64."""
        return self._with(self.data.long())

    @property
    def is_cuda(self) -> bool:
        """False: there is no such device."""
        return False

    def is_pinned(self) -> bool:
        """Return False: memory is not pinned."""
        return False


@explained
def invert_permutation(permutation: Tensor | None) -> Tensor | None:
    """Return the order that undoes another.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl.nn.utils.rnn import invert_permutation
        >>> invert_permutation(ad.tensor([2, 0, 1]))
        tensor([1, 2, 0])
    """
    if permutation is None:
        return None
    order = permutation.tolist()
    back = [0] * len(order)
    for place, number in enumerate(order):
        back[number] = place
    return tensor(back, dtype=permutation.dtype)


def _batch_sizes(lengths: Sequence[int]) -> list[int]:
    """How many of the sorted sequences reach each step."""
    sizes, n = [], len(lengths)
    for t in range(lengths[0]):
        while lengths[n - 1] <= t:
            n -= 1
        sizes.append(n)
    return sizes


@explained
def pack_padded_sequence(
    input: Tensor,
    lengths: Tensor | Sequence[int],
    batch_first: bool = False,
    enforce_sorted: bool = True,
) -> PackedSequence:
    """Pack a padded batch of sequences.

    Args:
        input: (t, n, ...), or (n, t, ...) with `batch_first`.
        lengths: the length of each sequence.
        batch_first: see input.
        enforce_sorted: refuse sequences that are not sorted, longest first; False: sort
            them.

    Raises:
        ShapeError: there are not as many lengths as sequences.
        ValueError: a length is not in 1 ... t, or they are not sorted.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl.nn.utils.rnn import pack_padded_sequence
        >>> x = ad.tensor([[1, 4], [2, 5], [3, 0]])
        >>> pack_padded_sequence(x, [3, 2]).data
        tensor([1, 4, 2, 5, 3])
    """
    given = [
        int(n) for n in (lengths.tolist() if isinstance(lengths, Tensor) else lengths)
    ]
    if input.ndim < 2:
        raise ShapeError(
            f"pack_padded_sequence: expected (t, n, ...), got {tuple(input.shape)}"
        )
    n, t = input.shape[0 if batch_first else 1], input.shape[1 if batch_first else 0]
    _check_lengths(given, n, t, enforce_sorted)
    order = None
    if not enforce_sorted:
        order = sorted(range(n), key=lambda i: -given[i])
    places = list(range(n)) if order is None else order
    sizes = _batch_sizes([given[i] for i in places])
    step, sequence = (1, t) if batch_first else (n, 1)
    rows = [
        k * step + places[b] * sequence
        for k, size in enumerate(sizes)
        for b in range(size)
    ]
    flat = input.reshape(n * t, *input.shape[2:])
    data = index_select(flat, 0, tensor(rows))
    sorted_indices = None if order is None else tensor(order)
    return PackedSequence(data, tensor(sizes), sorted_indices)


def _check_lengths(lengths: list[int], n: int, t: int, enforce_sorted: bool) -> None:
    if len(lengths) != n:
        raise ShapeError(
            f"pack_padded_sequence: expected {n} lengths, one for each sequence, got "
            f"{len(lengths)}"
        )
    if n == 0 or min(lengths) < 1 or max(lengths) > t:
        raise ValueError(
            f"pack_padded_sequence: every length must be from 1 to {t}, got {lengths}"
        )
    if enforce_sorted and any(a < b for a, b in pairwise(lengths)):
        raise ValueError(
            "pack_padded_sequence: the lengths must be sorted, longest first, got "
            f"{lengths}; likely fix: enforce_sorted=False"
        )


def _lengths_of(sizes: Sequence[int]) -> list[int]:
    """The lengths of the sorted sequences."""
    return [sum(size > b for size in sizes) for b in range(sizes[0])]


@explained
def pad_packed_sequence(
    sequence: PackedSequence,
    batch_first: bool = False,
    padding_value: float = 0.0,
    total_length: int | None = None,
) -> tuple[Tensor, Tensor]:
    """Pad packed sequences, in their order before packing.

    Args:
        sequence: packed sequences.
        batch_first: (n, t, ...) instead of (t, n, ...).
        padding_value: what stands behind the ends.
        total_length: t, at least the longest length; default: that.

    Returns:
        The padded batch and the lengths.

    Raises:
        ValueError: total_length is too small.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl.nn.utils.rnn import pack_sequence, pad_packed_sequence
        >>> packed = pack_sequence([ad.tensor([1.0, 2.0, 3.0]), ad.tensor([4.0])])
        >>> pad_packed_sequence(packed, batch_first=True)
        (tensor([[1., 2., 3.],
                [4., 0., 0.]]), tensor([3, 1]))
    """
    sizes = sequence.batch_sizes.tolist()
    n, t = sizes[0], len(sizes)
    if total_length is not None and total_length < t:
        raise ValueError(
            f"pad_packed_sequence: total_length must be at least {t}, the longest "
            f"sequence, got {total_length}"
        )
    t = t if total_length is None else total_length
    indices = sequence.sorted_indices
    places = list(range(n)) if indices is None else indices.tolist()
    step, position = (1, t) if batch_first else (n, 1)
    rows = [
        k * step + places[b] * position
        for k, size in enumerate(sizes)
        for b in range(size)
    ]
    data = sequence.data
    more = tuple(data.shape[1:])
    blank = full((n * t, *more), padding_value, dtype=data.dtype)
    padded = index_copy(blank, 0, tensor(rows), data)
    padded = padded.reshape(n, t, *more) if batch_first else padded.reshape(t, n, *more)
    lengths = _lengths_of(sizes)
    unsorted = sorted(zip(places, lengths))
    return padded, tensor([length for _, length in unsorted])


@explained
def pad_sequence(
    sequences: Iterable[Tensor],
    batch_first: bool = False,
    padding_value: float = 0.0,
    padding_side: str = "right",
) -> Tensor:
    """Stack sequences of different lengths, filling up the shorter ones.

    Args:
        sequences: (length, ...) each, alike but for the length.
        batch_first: (n, t, ...) instead of (t, n, ...).
        padding_value: what to fill up with.
        padding_side: 'right' or 'left'.

    Raises:
        ValueError: there is no sequence, or the side is unknown.
        ShapeError: sequences differ in more than their length.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl.nn.utils.rnn import pad_sequence
        >>> pad_sequence([ad.tensor([1, 2]), ad.tensor([3])], batch_first=True)
        tensor([[1, 2],
                [3, 0]])
    """
    given = list(sequences)
    if not given:
        raise ValueError("pad_sequence: expected at least one sequence")
    if padding_side not in ("right", "left"):
        raise ValueError(
            f"pad_sequence: padding_side must be 'right' or 'left', got {padding_side!r}"
        )
    more = tuple(given[0].shape[1:])
    for i, each in enumerate(given):
        if not each.ndim or tuple(each.shape[1:]) != more:
            raise ShapeError(
                "pad_sequence: expected sequences (length, ...) that differ in their length "
                f"alone, got {tuple(given[0].shape)} and, as number {i}, {tuple(each.shape)}"
            )
    t = max(len(each) for each in given)
    padded = []
    for each in given:
        fill = full((t - len(each), *more), padding_value, dtype=each.dtype)
        parts = (each, fill) if padding_side == "right" else (fill, each)
        padded.append(call("cat", *parts, dim=0))
    out: Tensor = call("stack", *padded, dim=0 if batch_first else 1)
    return out


@explained
def pack_sequence(
    sequences: Sequence[Tensor], enforce_sorted: bool = True
) -> PackedSequence:
    """Pack sequences of different lengths.

    Args:
        sequences: (length, ...) each.
        enforce_sorted: see `pack_padded_sequence`.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl.nn.utils.rnn import pack_sequence
        >>> pack_sequence([ad.tensor([1]), ad.tensor([2, 3])], enforce_sorted=False).data
        tensor([2, 1, 3])
    """
    lengths = [len(each) for each in sequences]
    padded = pad_sequence(sequences)
    return pack_padded_sequence(padded, lengths, enforce_sorted=enforce_sorted)


@explained
def unpad_sequence(
    padded_sequences: Tensor, lengths: Tensor | Sequence[int], batch_first: bool = False
) -> list[Tensor]:
    """Cut padded sequences apart, to their lengths.

    Args:
        padded_sequences: sequences, padded to one length.
        lengths: theirs.
        batch_first: (n, t, ...) instead of (t, n, ...).

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl.nn.utils.rnn import unpad_sequence
        >>> unpad_sequence(ad.tensor([[1, 3], [2, 0]]), [2, 1])
        [tensor([1, 2]), tensor([3])]
    """
    given = lengths.tolist() if isinstance(lengths, Tensor) else lengths
    padded: Any = padded_sequences
    if batch_first:
        return [padded[i, : int(n)] for i, n in enumerate(given)]
    return [padded[: int(n), i] for i, n in enumerate(given)]


@explained
def unpack_sequence(packed_sequences: PackedSequence) -> list[Tensor]:
    """Cut packed sequences apart, in their order before packing.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl.nn.utils.rnn import pack_sequence, unpack_sequence
        >>> unpack_sequence(pack_sequence([ad.tensor([1, 2]), ad.tensor([3])]))
        [tensor([1, 2]), tensor([3])]
    """
    padded, lengths = pad_packed_sequence(packed_sequences, batch_first=True)
    return unpad_sequence(padded, lengths, batch_first=True)
