"""What rules for batches are made of: an input of one, and axes that move behind its own."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

__all__ = [
    "Operand",
    "folded_all",
    "shifted",
    "shifted_all",
    "split_first",
    "unfolded",
]

Ints = tuple[int, ...]


class Operand:
    """An input of an op that is carried out for a whole batch.

    Attributes:
        value: the batch, its axis first; or a tensor, a number or None, the same for all
            samples.
        mapped: which of both it is.
        is_tensor: whether it is neither a number nor None.
        size: how many samples there are.
        shape: of one sample.
    """

    __slots__ = ("_call", "is_tensor", "mapped", "shape", "size", "value")

    def __init__(self, call: Any, value: Any, mapped: bool, size: int) -> None:
        self._call = call
        self.value = value
        self.mapped = mapped
        self.size = size
        array = getattr(value, "_array", None)
        self.is_tensor = array is not None
        whole: Ints = () if array is None else array.shape
        self.shape = whole[1:] if mapped else whole

    def front(self) -> Any:
        """The batch, with an axis for it also where it is the same for all samples."""
        if self.mapped or self.value is None:
            return self.value
        if not self.is_tensor:
            return self.value
        return self._call("expand", self.value, shape=(self.size, *self.shape))

    def aligned(self, ndim: int) -> Any:
        """What broadcasts as the sample would to `ndim` axes, behind that of the batch."""
        missing = ndim - len(self.shape)
        if not self.mapped or missing <= 0:
            return self.value
        return self.reshaped((1,) * missing + self.shape)

    def reshaped(self, shape: Ints) -> Any:
        """The batch with samples of another shape."""
        if shape == self.shape:
            return self.front()
        return self._call("reshape", self.front(), shape=(self.size, *shape))

    def folded(self) -> Any:
        """The batch as part of a sample's first axis."""
        if not self.is_tensor:
            return self.value
        rows, *rest = self.shape
        shape = (self.size * rows, *rest)
        return self._call("reshape", self.front(), shape=shape)

    def folded_into(self, axis: int) -> Any:
        """The batch as part of another axis of a sample's."""
        if not self.is_tensor or axis == 0:
            return self.folded()
        x, shape = self.front(), self.shape
        if prod(shape[:axis]) != 1:
            order = (*range(1, axis + 1), 0, *range(axis + 1, len(shape) + 1))
            x = self._call("permute", x, dims=order)
        whole = (*shape[:axis], self.size * shape[axis], *shape[axis + 1 :])
        return self._call("reshape", x, shape=whole)


def folded_all(xs: Sequence[Operand]) -> list[Any]:
    """The inputs, each with the batch in its first axis."""
    return [x.folded() for x in xs]


def unfolded(call: Any, y: Any, size: int, axis: int = 0) -> Any:
    """The batch taken out of an axis, to the front; of each of several outputs."""
    if isinstance(y, tuple):
        return tuple([unfolded(call, each, size, axis) for each in y])
    shape = tuple(y.shape)
    y = call("reshape", y, shape=split_first(shape, axis, size))
    if axis == 0 or prod(shape[:axis]) == 1:
        rest = (*shape[:axis], shape[axis] // size, *shape[axis + 1 :])
        return call("reshape", y, shape=(size, *rest)) if axis else y
    order = (axis, *range(axis), *range(axis + 1, len(shape) + 1))
    return call("permute", y, dims=order)


def split_first(shape: Ints, axis: int, size: int) -> Ints:
    """A shape with one axis as two, the first of them of `size`."""
    return (*shape[:axis], size, shape[axis] // size, *shape[axis + 1 :])


def shifted(dim: int) -> int:
    """A sample's axis as one of the batch's."""
    return dim if dim < 0 else dim + 1


def shifted_all(dims: Any) -> Any:
    """The same for one axis or several."""
    if isinstance(dims, tuple):
        return tuple([shifted(each) for each in dims])
    return shifted(dims)
