"""Functions that show the same memory in another shape, or parts of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from weakref import ref

from pyautodl.backends.dtypes import DType
from pyautodl.errors import ShapeError
from pyautodl.functional.numpy_names import by_numpy_names
from pyautodl.graph import MODE, BySample
from pyautodl.ops.axes import broadcast_shapes, normalize_axis, resolve_shape
from pyautodl.ops.integers import integer, integers, one_or_several, shape_from
from pyautodl.ops.strided import STRIDED_VIEW
from pyautodl.ops.views import (
    DIAGONAL,
    DIAGONAL_SCATTER,
    EXPAND,
    PERMUTE,
    RESHAPE,
    SLICE,
    SPLIT,
    UNBIND,
    UNFOLD,
    along,
)
from pyautodl.tensor import (
    Tensor,
    apply,
    call,
    explained,
    inplace_view,
    mark_copy,
    method,
    not_tensor,
)

__all__ = [
    "adjoint",
    "as_strided",
    "atleast_1d",
    "atleast_2d",
    "atleast_3d",
    "broadcast_shapes",
    "broadcast_tensors",
    "broadcast_to",
    "chunk",
    "diag",
    "diag_embed",
    "diagonal",
    "flatten",
    "hsplit",
    "moveaxis",
    "movedim",
    "narrow",
    "permute",
    "ravel",
    "reshape",
    "select",
    "split",
    "squeeze",
    "swapaxes",
    "swapdims",
    "t",
    "tensor_split",
    "transpose",
    "unbind",
    "unflatten",
    "unsqueeze",
    "vsplit",
]

# pieces that may be empty
_MOST_EMPTY = 2**20


def _shape_of(name: str, x: Tensor, what: str = "input") -> tuple[int, ...]:
    try:
        return x._array.shape
    except AttributeError:
        raise not_tensor(name, x, what) from None


def in_own_memory(result: Tensor, source: Tensor) -> Tensor:
    """The result, or a copy of it where it shows the memory of the source.

    For functions that are made of views and are none themselves: what is written to one
    tensor must not appear in the other, whatever the sizes.
    """
    if result._array.storage is not source._array.storage:
        return result
    copied: Tensor = call("copy", result, layout="contiguous")
    return copied


# ---- shapes ----


def reshape(input: Tensor, shape: Sequence[int]) -> Tensor:
    """Return the elements in C order under another shape, a view where possible.

    Args:
        input: a tensor.
        shape: the new sizes; one may be -1 and is what is left.

    Raises:
        ShapeError: the shape has another number of elements.

    Example:
        >>> import pyautodl as ad
        >>> ad.reshape(ad.arange(4), (2, -1))
        tensor([[0, 1],
                [2, 3]])
    """
    return apply(RESHAPE, input, shape=shape_from("reshape", (shape,)))


@method("reshape")
def _reshape(self: Tensor, *shape: Any) -> Tensor:
    """Return `reshape(self, shape)`."""
    return apply(RESHAPE, self, shape=shape_from("reshape", shape))


@method("view")
@explained
def _view(self: Tensor, *shape: Any) -> Tensor:
    """Return `reshape(self, shape)`; unlike PyTorch it copies where it must.

    Raises:
        ShapeError: the shape has another number of elements.
        GradError: when such a copy is changed in place while the tensor is there.
    """
    if len(shape) == 1 and isinstance(shape[0], (DType, type)):
        raise NotImplementedError(f"view: expected sizes, got {shape[0]!r}")
    found: Tensor = apply(RESHAPE, self, shape=shape_from("view", shape))
    if found._base is None:
        mark_copy(found, ref(self if self._base is None else self._base))
    return found


@method
@explained
def view_as(self: Tensor, other: Tensor) -> Tensor:
    """Return the elements under the shape of `other`.

    Example:
        >>> import pyautodl as ad
        >>> ad.arange(4).view_as(ad.ones(2, 2))
        tensor([[0, 1],
                [2, 3]])
    """
    return _view(self, other.shape)


@method
@explained
def reshape_as(self: Tensor, other: Tensor) -> Tensor:
    """Return the elements under the shape of `other`.

    Example:
        >>> import pyautodl as ad
        >>> ad.arange(4).reshape_as(ad.ones(2, 2))
        tensor([[0, 1],
                [2, 3]])
    """
    return reshape(self, other.shape)


@method
def flatten(input: Tensor, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """Make one axis of the axes `start_dim` to `end_dim`.

    Args:
        input: a tensor.
        start_dim: the first of the axes that become one.
        end_dim: the last of them.

    Shape:
        (a, b, c) -> (a, b * c) with start_dim=1; a scalar becomes (1,).

    Raises:
        ShapeError: `start_dim` comes after `end_dim`.

    Example:
        >>> import pyautodl as ad
        >>> ad.flatten(ad.zeros(2, 3, 4), 1).shape
        pyautodl.Size([2, 12])
    """
    shape = _shape_of("flatten", input)
    start = normalize_axis("flatten", start_dim, len(shape), shape)
    end = normalize_axis("flatten", end_dim, len(shape), shape)
    if start > end:
        raise ShapeError(
            f"flatten: start_dim {start_dim} comes after end_dim {end_dim} "
            f"(shape {tuple(shape)})"
        )
    if start == end and shape:
        return input
    merged = 1
    for size in shape[start : end + 1]:
        merged *= size
    return apply(RESHAPE, input, shape=(*shape[:start], merged, *shape[end + 1 :]))


@method
@explained
def ravel(input: Tensor) -> Tensor:
    """Return the elements as one line, in C order.

    Example:
        >>> import pyautodl as ad
        >>> ad.ravel(ad.ones(2, 2))
        tensor([1., 1., 1., 1.])
    """
    return flatten(input)


@method
@explained
def unflatten(input: Tensor, dim: int, sizes: Sequence[int]) -> Tensor:
    """Make several axes of one.

    Args:
        input: a tensor.
        dim: the axis.
        sizes: its new sizes; one may be -1.

    Raises:
        ShapeError: the sizes do not multiply to that of the axis.

    Example:
        >>> import pyautodl as ad
        >>> ad.unflatten(ad.zeros(2, 12), 1, (3, -1)).shape
        pyautodl.Size([2, 3, 4])
    """
    shape = input.shape
    axis = normalize_axis("unflatten", dim, len(shape), shape)
    parts = shape_from("unflatten", (sizes,))
    parts = resolve_shape("unflatten", (shape[axis],), parts)
    return apply(RESHAPE, input, shape=(*shape[:axis], *parts, *shape[axis + 1 :]))


@method
def squeeze(
    input: Tensor, dim: int | Sequence[int] | None = None, **_numpy: Any
) -> Tensor:
    """Remove the axes of size 1.

    Args:
        input: a tensor.
        dim: look at this axis, or these, alone.

    Example:
        >>> import pyautodl as ad
        >>> ad.squeeze(ad.zeros(1, 2, 1), 0).shape
        pyautodl.Size([2, 1])
    """
    if _numpy:
        return by_numpy_names(squeeze, locals())
    shape = _shape_of("squeeze", input)
    if dim is None:
        kept = tuple(size for size in shape if size != 1)
    else:
        dims = dim if isinstance(dim, (tuple, list)) else (dim,)
        axes = [normalize_axis("squeeze", each, len(shape), shape) for each in dims]
        kept = tuple(n for i, n in enumerate(shape) if n != 1 or i not in axes)
    return apply(RESHAPE, input, shape=kept)


@method
def unsqueeze(input: Tensor, dim: Any = None, **_numpy: Any) -> Tensor:
    """Insert an axis of size 1 at `dim`.

    Args:
        input: a tensor.
        dim: where the new axis stands in the result.

    Example:
        >>> import pyautodl as ad
        >>> ad.unsqueeze(ad.zeros(2, 3), -1).shape
        pyautodl.Size([2, 3, 1])
    """
    if _numpy:
        return by_numpy_names(unsqueeze, locals())
    shape = _shape_of("unsqueeze", input)
    axis = normalize_axis("unsqueeze", dim, len(shape) + 1, shape)
    return apply(RESHAPE, input, shape=(*shape[:axis], 1, *shape[axis:]))


def _at_least(tensors: Sequence[Any], lift: Any) -> Any:
    if len(tensors) == 1 and isinstance(tensors[0], (tuple, list)):
        return tuple(lift(x) for x in tensors[0])
    return lift(tensors[0]) if len(tensors) == 1 else tuple(lift(x) for x in tensors)


@explained
def atleast_1d(*tensors: Any) -> Any:
    """Return the tensors with at least one axis.

    Example:
        >>> import pyautodl as ad
        >>> ad.atleast_1d(ad.tensor(1.0))
        tensor([1.])
    """
    return _at_least(tensors, _lift_1d)


def _lift_1d(x: Tensor) -> Tensor:
    return x if x.ndim else unsqueeze(x, 0)


@explained
def atleast_2d(*tensors: Any) -> Any:
    """Return the tensors with at least two axes; a line becomes a row.

    Example:
        >>> import pyautodl as ad
        >>> ad.atleast_2d(ad.ones(3)).shape
        pyautodl.Size([1, 3])
    """
    return _at_least(tensors, _lift_2d)


def _lift_2d(x: Tensor) -> Tensor:
    return x if x.ndim >= 2 else unsqueeze(_lift_1d(x), 0)


@explained
def atleast_3d(*tensors: Any) -> Any:
    """Return the tensors with at least three axes; a matrix becomes (n, m, 1).

    Example:
        >>> import pyautodl as ad
        >>> ad.atleast_3d(ad.ones(3)).shape
        pyautodl.Size([1, 3, 1])
    """
    return _at_least(tensors, _lift_3d)


def _lift_3d(x: Tensor) -> Tensor:
    return x if x.ndim >= 3 else unsqueeze(_lift_2d(x), -1)


@method
@explained
def as_strided(
    input: Tensor,
    size: Sequence[int],
    stride: Sequence[int],
    storage_offset: int | None = None,
) -> Tensor:
    """Return a view of the input's memory with any sizes and strides.

    Gradients reach all elements that it shows, summed over where it shows them.

    Args:
        input: a tensor whose elements lie side by side in memory, or a view of one.
        size: the sizes of the view.
        stride: for each axis how many elements further in memory the next one lies, not
            negative.
        storage_offset: where in memory the first element is; None is the input's own.

    Raises:
        ShapeError: the view reaches beyond the memory, sizes and strides do not fit, or
            a stride is negative.

    Example:
        >>> import pyautodl as ad
        >>> ad.as_strided(ad.arange(5), (3, 3), (1, 1))
        tensor([[0, 1, 2],
                [1, 2, 3],
                [2, 3, 4]])
    """
    shape = integers("as_strided", "size", size)
    strides = integers("as_strided", "stride", stride)
    if len(shape) != len(strides) or min((*shape, *strides), default=0) < 0:
        raise ShapeError(
            "as_strided: expected as many sizes as strides, none negative, got size "
            f"{tuple(shape)} and stride {tuple(strides)}"
        )
    source, first = input, input._array.offset
    if storage_offset is not None:
        first = integer("as_strided", "storage_offset", storage_offset)
    reach = 1 + sum((n - 1) * s for n, s in zip(shape, strides, strict=True))
    if not _holds(source, first, reach):
        # of a view the memory is that of its base
        source = input if input._base is None else input._base
    if not _holds(source, first, reach) and 0 not in shape:
        if MODE.maps:
            raise BySample  # of one sample alone there is memory
        raise ShapeError(
            f"as_strided: size {tuple(shape)} and stride {tuple(strides)} from element "
            f"{first} on reach element {first + reach - 1} of the memory, where the tensor "
            f"of shape {tuple(source.shape)} has elements {source._array.offset} to "
            f"{source._array.offset + source.numel() - 1}; likely fix: fewer, or of a "
            "tensor with gaps contiguous()"
        )
    return apply(
        STRIDED_VIEW,
        source,
        base_strides=source._array.strides,
        shape=tuple(shape),
        strides=tuple(strides),
        offset=max(first - source._array.offset, 0),
    )


def _holds(x: Tensor, first: int, reach: int) -> bool:
    """Whether elements of memory are all a tensor's own."""
    array = x._array
    begins = array.offset <= first
    return array.is_dense() and begins and first + reach <= array.offset + array.size


# ---- order of the axes ----


def permute(input: Tensor, dims: Sequence[int]) -> Tensor:
    """Put the axes in another order.

    Args:
        input: a tensor.
        dims: the axes in their new order.

    Shape:
        (a, b, c) -> (c, a, b) with dims=(2, 0, 1)

    Raises:
        ShapeError: `dims` does not name each axis once.

    Example:
        >>> import pyautodl as ad
        >>> ad.permute(ad.zeros(2, 3, 4), (2, 0, 1)).shape
        pyautodl.Size([4, 2, 3])
    """
    return apply(PERMUTE, input, dims=shape_from("permute", (dims,), "dims"))


@method("permute")
def _permute(self: Tensor, *dims: Any) -> Tensor:
    """Return `permute(self, dims)`."""
    return apply(PERMUTE, self, dims=shape_from("permute", dims, "dims"))


@method("transpose", "swapaxes", "swapdims")
def transpose(input: Tensor, dim0: int, dim1: int) -> Tensor:
    """Let two axes change places.

    Args:
        input: a tensor.
        dim0, dim1: the axes that change places.

    Example:
        >>> import pyautodl as ad
        >>> ad.transpose(ad.zeros(2, 3), 0, 1).shape
        pyautodl.Size([3, 2])
    """
    shape = _shape_of("transpose", input)
    ndim = len(shape)
    i = normalize_axis("transpose", dim0, ndim, shape)
    j = normalize_axis("transpose", dim1, ndim, shape)
    dims = list(range(ndim))
    if ndim:
        dims[i], dims[j] = j, i
    return apply(PERMUTE, input, dims=tuple(dims))


@explained
def swapaxes(input: Tensor, axis0: int, axis1: int) -> Tensor:
    """Let two axes change places, as `transpose`.

    Example:
        >>> import pyautodl as ad
        >>> ad.swapaxes(ad.zeros(2, 3), 0, 1).shape
        pyautodl.Size([3, 2])
    """
    return transpose(input, axis0, axis1)


@explained
def swapdims(input: Tensor, dim0: int, dim1: int) -> Tensor:
    """Let two axes change places, as `transpose`.

    Example:
        >>> import pyautodl as ad
        >>> ad.swapdims(ad.zeros(2, 3), 0, 1).shape
        pyautodl.Size([3, 2])
    """
    return transpose(input, dim0, dim1)


@method
def t(input: Tensor) -> Tensor:
    """Transpose a matrix; what has fewer axes stays as it is.

    Raises:
        ShapeError: the tensor has more than two axes.

    Example:
        >>> import pyautodl as ad
        >>> ad.t(ad.zeros(2, 3)).shape
        pyautodl.Size([3, 2])
    """
    shape = _shape_of("t", input)
    if len(shape) > 2:
        raise ShapeError(f"t: expected at most 2 axes, got shape {shape}")
    return _reversed(input)


def _reversed(self: Tensor) -> Tensor:
    """The tensor with its axes in the opposite order."""
    return apply(PERMUTE, self, dims=tuple(range(self.ndim - 1, -1, -1)))


@method("adjoint")
@explained
def adjoint(input: Tensor) -> Tensor:
    """Transpose the last two axes.

    Example:
        >>> import pyautodl as ad
        >>> ad.adjoint(ad.zeros(4, 2, 3)).shape
        pyautodl.Size([4, 3, 2])
    """
    if input.ndim < 2:
        raise ShapeError(
            f"mT: expected at least 2 axes, got shape {tuple(input.shape)}"
        )
    return transpose(input, -2, -1)


method("T")(property(_reversed))
method("H")(property(t))
method("mT", "mH")(property(adjoint))


@method("movedim", "moveaxis")
@explained
def movedim(
    input: Tensor, source: int | Sequence[int], destination: int | Sequence[int]
) -> Tensor:
    """Move axes to other places; the others keep their order.

    Args:
        input: a tensor.
        source: an axis or several.
        destination: where each of them goes.

    Raises:
        ShapeError: `source` and `destination` differ in length or name an axis twice.

    Example:
        >>> import pyautodl as ad
        >>> ad.movedim(ad.zeros(2, 3, 4), 0, -1).shape
        pyautodl.Size([3, 4, 2])
    """
    shape = tuple(input.shape)
    sources = source if isinstance(source, (tuple, list)) else (source,)
    targets = destination if isinstance(destination, (tuple, list)) else (destination,)
    old = [normalize_axis("movedim", each, len(shape), shape) for each in sources]
    new = [normalize_axis("movedim", each, len(shape), shape) for each in targets]
    if len(old) != len(new) or len(set(old)) < len(old) or len(set(new)) < len(new):
        raise ShapeError(
            f"movedim: expected as many different axes on both sides, got {source} and "
            f"{destination} (shape {shape})"
        )
    dims = [i for i in range(len(shape)) if i not in old]
    for target, axis in sorted(zip(new, old)):
        dims.insert(target, axis)
    return apply(PERMUTE, input, dims=tuple(dims) if shape else ())


@explained
def moveaxis(
    input: Tensor, source: int | Sequence[int], destination: int | Sequence[int]
) -> Tensor:
    """Move axes to other places, as `movedim`.

    Example:
        >>> import pyautodl as ad
        >>> ad.moveaxis(ad.zeros(2, 3, 4), 0, -1).shape
        pyautodl.Size([3, 4, 2])
    """
    return movedim(input, source, destination)


# ---- broadcasting ----


@method("expand")
def _expand(self: Tensor, *sizes: Any) -> Tensor:
    """Return the tensor with axes of size 1 repeated, without copying.

    Args:
        self: a tensor.
        sizes: the new sizes, -1 where an axis stays; more axes come in front.

    Raises:
        ShapeError: another axis than one of size 1 would change.

    Example:
        >>> import pyautodl as ad
        >>> ad.ones(3, 1).expand(2, -1, 4).shape
        pyautodl.Size([2, 3, 4])
    """
    wanted = shape_from("expand", sizes)
    if -1 in wanted:
        shape = self._array.shape
        front = len(wanted) - len(shape)
        wanted = tuple(
            shape[i - front] if size == -1 and i >= front >= 0 else size
            for i, size in enumerate(wanted)
        )
    return apply(EXPAND, self, shape=wanted)


@method
@explained
def expand_as(self: Tensor, other: Tensor) -> Tensor:
    """Return the tensor expanded to the shape of `other`.

    Example:
        >>> import pyautodl as ad
        >>> ad.arange(2).expand_as(ad.ones(2, 2))
        tensor([[0, 1],
                [0, 1]])
    """
    return apply(EXPAND, self, shape=tuple(other.shape))


@method
@explained
def broadcast_to(input: Tensor, size: Sequence[int]) -> Tensor:
    """Return the tensor with axes of size 1 repeated to the shape `size`.

    Args:
        input: a tensor.
        size: the shape, to which that of the input broadcasts.

    Raises:
        ShapeError: another axis than one of size 1 would change.

    Example:
        >>> import pyautodl as ad
        >>> ad.broadcast_to(ad.tensor([1, 2]), (2, 2))
        tensor([[1, 2],
                [1, 2]])
    """
    return _expand(input, size)


@explained
def broadcast_tensors(*tensors: Tensor) -> tuple[Tensor, ...]:
    """Expand tensors to their common shape.

    Raises:
        ShapeError: they have none.

    Example:
        >>> import pyautodl as ad
        >>> a, b = ad.broadcast_tensors(ad.ones(2, 1), ad.ones(3))
        >>> a.shape, b.shape
        (pyautodl.Size([2, 3]), pyautodl.Size([2, 3]))
    """
    if len(tensors) == 1 and isinstance(tensors[0], (tuple, list)):
        tensors = tuple(tensors[0])
    shape = broadcast_shapes(*(tuple(x.shape) for x in tensors))
    return tuple(apply(EXPAND, x, shape=shape) for x in tensors)


# ---- parts ----


@method
def narrow(input: Tensor, dim: int, start: Any, length: int) -> Tensor:
    """Return `length` neighbours along axis `dim`, from `start` on.

    Args:
        input: a tensor.
        dim: the axis.
        start: the first place; negative ones count from the end.
        length: how many.

    Raises:
        ShapeError: the axis has not as many.

    Example:
        >>> import pyautodl as ad
        >>> ad.narrow(ad.arange(5), 0, 1, 2)
        tensor([1, 2])
    """
    shape = _shape_of("narrow", input)
    axis = normalize_axis("narrow", dim, len(shape), shape)
    n = shape[axis] if shape else 0
    begin, size = integer("narrow", "start", start), integer("narrow", "length", length)
    first = begin + n if begin < 0 else begin
    if not shape or not 0 <= first <= first + size <= n:
        raise ShapeError(
            f"narrow: start {begin} and length {size} do not fit axis {axis} of "
            f"shape {shape}"
        )
    return apply(SLICE, input, **along(len(shape), shape, axis, first, size))


@method
def select(input: Tensor, dim: int, index: int) -> Tensor:
    """Return the part at `index` of axis `dim`, without that axis.

    Args:
        input: a tensor.
        dim: the axis that drops.
        index: the place; negative ones count from the end.

    Raises:
        IndexError: the axis is shorter.

    Example:
        >>> import pyautodl as ad
        >>> ad.select(ad.tensor([[1, 2], [3, 4]]), 1, -1)
        tensor([2, 4])
    """
    shape = _shape_of("select", input)
    axis = normalize_axis("select", dim, len(shape), shape)
    n = shape[axis] if shape else 0
    index = integer("select", "index", index)
    if not shape or not -n <= index < n:
        raise IndexError(
            f"select: index {index} is out of range for axis {axis} of shape {shape}"
        )
    attrs = along(len(shape), shape, axis, index % n, 1)
    return apply(SLICE, input, **attrs, drop=(axis,))


def split(
    tensor: Tensor, split_size_or_sections: Any, dim: int = 0
) -> tuple[Tensor, ...]:
    """Cut an axis into pieces; they are views of the tensor.

    Args:
        tensor: a tensor.
        split_size_or_sections: the size of every piece (the last may be smaller), or a
            list with the size of each.
        dim: the axis.

    Raises:
        ShapeError: the sizes do not add up to that of the axis.

    Example:
        >>> import pyautodl as ad
        >>> ad.split(ad.arange(5), 2)
        (tensor([0, 1]), tensor([2, 3]), tensor([4]))
    """
    shape = _shape_of("split", tensor, "tensor")
    axis = normalize_axis("split", dim, len(shape), shape)
    size = one_or_several("split", "the size of a piece", split_size_or_sections)
    if isinstance(size, tuple):
        return _split(tensor, size, axis)
    n = shape[axis] if shape else 0
    if size < 0 or (size == 0 and n):
        raise ShapeError(f"split: the size of a piece must be positive, got {size}")
    pieces = max(-(-n // size), 1) if size else 1
    return _split(tensor, (*(size,) * (pieces - 1), n - size * (pieces - 1)), axis)


def _check_pieces(name: str, what: str, count: int, n: int) -> None:
    """Refuse pieces, nearly all of them empty, that take all time and memory."""
    most = max(n, _MOST_EMPTY)
    if count > most:
        raise ValueError(
            f"{name}: expected at most {most} {what} of an axis of {n}, got {count}"
        )


def _split(x: Tensor, sizes: tuple[int, ...], axis: int) -> tuple[Tensor, ...]:
    return apply(SPLIT, x, sizes=sizes, dim=axis)


@method("split")
@explained
def _split_method(self: Tensor, split_size: Any, dim: int = 0) -> tuple[Tensor, ...]:
    """Return `split(self, split_size, dim)`."""
    return split(self, split_size, dim)


@method
def chunk(
    input: Tensor, chunks: int, dim: int = 0, **_numpy: Any
) -> tuple[Tensor, ...]:
    """Cut an axis into at most `chunks` pieces of equal size, but for the last.

    Args:
        input: a tensor.
        chunks: how many pieces at most.
        dim: the axis.

    Raises:
        ValueError: there are no chunks, or too many of an empty axis.

    Example:
        >>> import pyautodl as ad
        >>> ad.chunk(ad.arange(5), 2)
        (tensor([0, 1, 2]), tensor([3, 4]))
    """
    if _numpy:
        return by_numpy_names(chunk, locals())
    chunks = integer("chunk", "chunks", chunks)
    if chunks < 1:
        raise ValueError(f"chunk: chunks must be positive, got {chunks}")
    shape = _shape_of("chunk", input)
    axis = normalize_axis("chunk", dim, len(shape), shape)
    n = shape[axis] if shape else 0
    if n == 0:
        _check_pieces("chunk", "chunks", chunks, n)
        return _split(input, (0,) * chunks, axis)
    return split(input, -(-n // chunks), axis)


@method
@explained
def tensor_split(
    input: Tensor, indices_or_sections: Any, dim: int = 0, **_numpy: Any
) -> tuple[Tensor, ...]:
    """Cut an axis into a number of nearly equal pieces, or at given places.

    Args:
        input: a tensor.
        indices_or_sections: how many pieces, or the places to cut at.
        dim: the axis.

    Raises:
        ValueError: there are no sections, or, of more than a million, more than elements.

    Example:
        >>> import pyautodl as ad
        >>> ad.tensor_split(ad.arange(5), (1, 3))
        (tensor([0]), tensor([1, 2]), tensor([3, 4]))
    """
    if _numpy:
        return by_numpy_names(tensor_split, locals())
    shape = tuple(input.shape)
    axis = normalize_axis("tensor_split", dim, len(shape), shape)
    n = shape[axis] if shape else 0
    if isinstance(indices_or_sections, Tensor):
        indices_or_sections = indices_or_sections.tolist()
    places = one_or_several("tensor_split", "indices_or_sections", indices_or_sections)
    if isinstance(places, int):
        count = places
        if count < 1:
            raise ValueError(f"tensor_split: expected at least 1 section, got {count}")
        _check_pieces("tensor_split", "sections", count, n)
        return _split(
            input, tuple(n // count + (i < n % count) for i in range(count)), axis
        )
    stops = [*(slice(at).indices(n)[1] for at in places), n]
    parts = []
    start = 0
    for stop in stops:
        parts.append(narrow(input, axis, start, max(stop - start, 0)))
        start = stop
    return tuple(parts)


@method
@explained
def hsplit(input: Tensor, indices_or_sections: Any) -> tuple[Tensor, ...]:
    """Cut columns apart, the second axis or that of a line, as `tensor_split`.

    Args:
        input: a tensor.
        indices_or_sections: how many pieces, or the places to cut at.

    Raises:
        ShapeError: the input has no axis.

    Example:
        >>> import pyautodl as ad
        >>> ad.hsplit(ad.tensor([[1, 2], [3, 4]]), 2)[0].tolist()
        [[1], [3]]
    """
    if not input.ndim:
        raise ShapeError("hsplit: expected at least one axis, got shape ()")
    return tensor_split(input, indices_or_sections, min(input.ndim - 1, 1))


@method
@explained
def vsplit(input: Tensor, indices_or_sections: Any) -> tuple[Tensor, ...]:
    """Cut rows apart, as `tensor_split`.

    Args:
        input: a tensor with two axes or more.
        indices_or_sections: how many pieces, or the places to cut at.

    Raises:
        ShapeError: the input has fewer axes.

    Example:
        >>> import pyautodl as ad
        >>> ad.vsplit(ad.tensor([[1, 2], [3, 4]]), 2)[0].tolist()
        [[1, 2]]
    """
    if input.ndim < 2:
        raise ShapeError(f"vsplit: expected 2 axes or more, got {tuple(input.shape)}")
    return tensor_split(input, indices_or_sections, 0)


@method
def unbind(input: Tensor, dim: int = 0, **_numpy: Any) -> tuple[Tensor, ...]:
    """Return the parts along an axis, as views without that axis.

    Args:
        input: a tensor.
        dim: the axis that drops.

    Example:
        >>> import pyautodl as ad
        >>> ad.unbind(ad.tensor([[1, 2], [3, 4]]))
        (tensor([1, 2]), tensor([3, 4]))
    """
    if _numpy:
        return by_numpy_names(unbind, locals())
    return apply(UNBIND, input, dim=dim)


@method("unfold")
@explained
def _unfold(self: Tensor, dimension: int, size: int, step: int) -> Tensor:
    """Return all windows of `size` along an axis, `step` apart, as a view.

    Args:
        dimension: the axis.
        size: of a window.
        step: from window to window.

    Shape:
        (..., n, ...) -> (..., (n - size) // step + 1, ..., size)

    Example:
        >>> import pyautodl as ad
        >>> ad.arange(4).unfold(0, 2, 1)
        tensor([[0, 1],
                [1, 2],
                [2, 3]])
    """
    return apply(UNFOLD, self, dim=dimension, size=size, step=step)


# ---- diagonals ----


@method
def diagonal(input: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """Return the diagonals over two axes, as a view with the diagonal last.

    Args:
        input: a tensor.
        offset: which diagonal; above the main one if positive.
        dim1, dim2: the axes.

    Example:
        >>> import pyautodl as ad
        >>> ad.diagonal(ad.tensor([[1, 2], [3, 4]]))
        tensor([1, 4])
    """
    return apply(DIAGONAL, input, offset=offset, dim1=dim1, dim2=dim2)


@method
@explained
def diag_embed(
    input: Tensor, offset: int = 0, dim1: int = -2, dim2: int = -1
) -> Tensor:
    """Make matrices that have the last axis of the input as their diagonal.

    Args:
        input: diagonals along the last axis.
        offset: how far above the main diagonal; below, if negative.
        dim1, dim2: the axes of the matrices in the result.

    Shape:
        (..., n) -> (..., n + |offset|, n + |offset|)

    Example:
        >>> import pyautodl as ad
        >>> ad.diag_embed(ad.tensor([1, 2]))
        tensor([[1, 0],
                [0, 2]])
    """
    if not input.ndim:
        raise ShapeError("diag_embed: expected at least one axis, got shape ()")
    ndim = input.ndim + 1
    i = normalize_axis("diag_embed", dim1, ndim)
    j = normalize_axis("diag_embed", dim2, ndim)
    if i == j:
        raise ShapeError(
            f"diag_embed: dim1 and dim2 are the same axis, {dim1} and {dim2}"
        )
    offset = integer("diag_embed", "offset", offset)
    size = input.shape[-1] + abs(offset)
    shape = list(input.shape[:-1])
    for axis in sorted((i, j)):
        shape.insert(axis, size)
    return apply(
        DIAGONAL_SCATTER, input, shape=tuple(shape), offset=offset, dim1=i, dim2=j
    )


@method
@explained
def diag(input: Tensor, diagonal: int = 0) -> Tensor:
    """Return the diagonal of a matrix, or the matrix with the diagonal given.

    Args:
        input: a vector or a matrix.
        diagonal: how far above the main diagonal; below, if negative.

    Raises:
        ShapeError: the tensor has neither one nor two axes.

    Example:
        >>> import pyautodl as ad
        >>> ad.diag(ad.tensor([[1, 2], [3, 4]]), 1)
        tensor([2])
    """
    if input.ndim == 1:
        return diag_embed(input, diagonal)
    if input.ndim != 2:
        raise ShapeError(f"diag: expected 1 or 2 axes, got shape {tuple(input.shape)}")
    shown = apply(DIAGONAL, input, offset=diagonal, dim1=0, dim2=1)
    return in_own_memory(shown, input)


for _view_function in (squeeze, unsqueeze, transpose, swapaxes, swapdims, t):
    _changed = inplace_view(_view_function)
    setattr(Tensor, _changed.__name__, _changed)
