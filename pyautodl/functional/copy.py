"""Functions that copy, cast, join, repeat, turn and pad."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache, reduce
from typing import Any

import numpy as np

from pyautodl.backends.dtypes import (
    DType,
    as_dtype,
    bool_,
    float32,
    float64,
    int8,
    int16,
    int32,
    int64,
    promote_types,
    uint8,
)
from pyautodl.errors import BackendError, DTypeError, ShapeError, describe
from pyautodl.functional.creation import tensor
from pyautodl.functional.numpy_names import by_numpy_names
from pyautodl.functional.views import (
    atleast_1d,
    atleast_2d,
    atleast_3d,
    broadcast_tensors,
    flatten,
    in_own_memory,
    transpose,
)
from pyautodl.ops.axes import normalize_axis
from pyautodl.ops.copy import CAST, CAT, COPY, FLIP, PAD, ROLL, STACK, TRI
from pyautodl.ops.integers import integer, integers, several, shape_from
from pyautodl.ops.pad_edges import PAD_EDGES, check_widths, widest
from pyautodl.ops.record import OPS, by_dim, kept_attributes
from pyautodl.ops.views import EXPAND, RESHAPE
from pyautodl.tensor import Tensor, apply, apply_known, device, explained, method

__all__ = [
    "cat",
    "channels_last",
    "clone",
    "column_stack",
    "concat",
    "concatenate",
    "contiguous_format",
    "dstack",
    "flip",
    "fliplr",
    "flipud",
    "hstack",
    "meshgrid",
    "preserve_format",
    "repeat_interleave",
    "roll",
    "rot90",
    "row_stack",
    "stack",
    "tile",
    "tril",
    "triu",
    "vstack",
]

# memory formats
contiguous_format = "contiguous"
channels_last = "channels_last"
preserve_format = "preserve"

# ---- copies ----


@method
def clone(input: Tensor, *, memory_format: str = preserve_format) -> Tensor:
    """Copy a tensor; gradients flow through.

    Args:
        input: a tensor.
        memory_format: `preserve_format`, `contiguous_format` or `channels_last`.

    Example:
        >>> import pyautodl as ad
        >>> x = ad.ones(2)
        >>> y = x.clone().fill_(3)
        >>> x, y
        (tensor([1., 1.]), tensor([3., 3.]))
    """
    return apply(COPY, input, layout=memory_format)


@method
def contiguous(self: Tensor, memory_format: str = contiguous_format) -> Tensor:
    """Return the tensor itself if its memory lies in the format, else a copy.

    Example:
        >>> import pyautodl as ad
        >>> ad.ones(2, 3).t().contiguous().stride()
        (2, 1)
    """
    array = self._array
    there = (
        array.is_channels_last()
        if memory_format == channels_last
        else memory_format == preserve_format or array.is_contiguous()
    )
    return self if there else apply(COPY, self, layout=memory_format)


# ---- casts ----


def _cast(self: Tensor, dtype: DType) -> Tensor:
    return self if self.dtype is dtype else apply(CAST, self, dtype=dtype)


def _target(x: Tensor, args: Sequence[Any], dtype: Any, device_: Any) -> DType:
    """The element type that the arguments of `to` ask for."""
    for each in args:
        if isinstance(each, Tensor):
            dtype = each.dtype
        elif isinstance(each, (device, str)) and not _names_dtype(each):
            device_ = each
        elif each is not None and not isinstance(each, bool):
            dtype = each
    if device_ is not None:
        device(device_)
    return x.dtype if dtype is None else as_dtype(dtype)


def _names_dtype(name: Any) -> bool:
    try:
        as_dtype(name)
    except DTypeError:
        return False
    return True


@method("to")
def _to(
    self: Tensor,
    *args: Any,
    dtype: Any = None,
    device: Any = None,
    non_blocking: bool = False,
    copy: bool = False,
    memory_format: str = preserve_format,
) -> Tensor:
    """Return the tensor with another element type; itself if nothing changes.

    Args:
        self: a tensor.
        args: an element type, the device 'cpu', or a tensor that has what is wanted.
        dtype: the element type.
        device: 'cpu'.
        non_blocking: has no meaning here.
        copy: copy even if nothing changes.
        memory_format: as in `clone`.

    Raises:
        BackendError: another device than 'cpu'.

    Example:
        >>> import pyautodl as ad
        >>> ad.tensor([1.7, -1.7]).to(ad.int64)
        tensor([ 1, -1])
    """
    out = _cast(self, _target(self, args, dtype, device))
    if memory_format != preserve_format:
        out = contiguous(out, memory_format)
    return clone(out) if copy and out is self else out


@method("type")
def _type(self: Tensor, dtype: Any = None, non_blocking: bool = False) -> Any:
    """Return the tensor with another element type; without one, its type's name.

    Args:
        dtype: the element type, or its name.
        non_blocking: without effect.

    Example:
        >>> import pyautodl as ad
        >>> ad.ones(1).type()
        'pyautodl.float32'
    """
    if dtype is None:
        return f"pyautodl.{self.dtype.name}"
    return _cast(self, as_dtype(dtype))


@method
@explained
def type_as(self: Tensor, other: Tensor) -> Tensor:
    """Return the tensor with the element type of `other`.

    Example:
        >>> import pyautodl as ad
        >>> ad.arange(2).type_as(ad.ones(1))
        tensor([0., 1.])
    """
    return _cast(self, other.dtype)


@method("float")
def _float(self: Tensor) -> Tensor:
    """Return the tensor as float32.

    Example:
        >>> import pyautodl as ad
        >>> ad.arange(2).float()
        tensor([0., 1.])
    """
    return _cast(self, float32)


@method("double")
def _double(self: Tensor) -> Tensor:
    """Return the tensor as float64.

    Example:
        >>> import pyautodl as ad
        >>> ad.ones(2).double()
        tensor([1., 1.], dtype=pyautodl.float64)
    """
    return _cast(self, float64)


@method("long")
def _long(self: Tensor) -> Tensor:
    """Return the tensor as int64, cut towards zero.

    Example:
        >>> import pyautodl as ad
        >>> ad.tensor([-1.7]).long()
        tensor([-1])
    """
    return _cast(self, int64)


@method("int")
def _int(self: Tensor) -> Tensor:
    """Return the tensor as int32, cut towards zero.

    Example:
        >>> import pyautodl as ad
        >>> ad.tensor([-1.7]).int()
        tensor([-1], dtype=pyautodl.int32)
    """
    return _cast(self, int32)


@method("short")
def _short(self: Tensor) -> Tensor:
    """Return the tensor as int16, cut towards zero.

    Example:
        >>> import pyautodl as ad
        >>> ad.tensor([-1.7]).short()
        tensor([-1], dtype=pyautodl.int16)
    """
    return _cast(self, int16)


@method("char")
def _char(self: Tensor) -> Tensor:
    """Return the tensor as int8, cut towards zero.

    Example:
        >>> import pyautodl as ad
        >>> ad.tensor([-1.7]).char()
        tensor([-1], dtype=pyautodl.int8)
    """
    return _cast(self, int8)


@method("byte")
def _byte(self: Tensor) -> Tensor:
    """Return the tensor as uint8, cut towards zero.

    Example:
        >>> import pyautodl as ad
        >>> ad.tensor([1.7]).byte()
        tensor([1], dtype=pyautodl.uint8)
    """
    return _cast(self, uint8)


@method("bool")
def _bool(self: Tensor) -> Tensor:
    """Return where the tensor is not 0.

    Example:
        >>> import pyautodl as ad
        >>> ad.tensor([0.0, 2.0]).bool()
        tensor([False,  True])
    """
    return _cast(self, bool_)


@method("cpu")
def _cpu(self: Tensor) -> Tensor:
    """Return the tensor: it is there.

    Example:
        >>> import pyautodl as ad
        >>> x = ad.ones(2)
        >>> x.cpu() is x
        True
    """
    return self


@method
def pin_memory(self: Tensor, device: Any = None) -> Tensor:
    """Return the tensor: there is no device to which memory would have to be pinned.

    Example:
        >>> import pyautodl as ad
        >>> x = ad.ones(2)
        >>> x.pin_memory() is x
        True
    """
    return self


@method("cuda")
def _cuda(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """Raise BackendError: there is no such device."""
    raise BackendError("cuda: the device is not available; choose 'cpu'")


# ---- joins ----


def _promoted(name: str, tensors: Sequence[Tensor]) -> list[Tensor]:
    if isinstance(tensors, Tensor):
        raise _no_tensors(name)
    if not hasattr(tensors, "__iter__"):
        raise _no_tensors(name)
    xs = list(tensors)
    if not xs:
        raise ShapeError(f"{name}: expected at least one tensor")
    first, mixed = xs[0], False
    for x in xs:
        if not isinstance(x, Tensor):
            raise _no_tensors(name)
        mixed = mixed or x._array.dtype is not first._array.dtype
    if not mixed:
        return xs
    dtype = reduce(promote_types, [x.dtype for x in xs])
    return [_cast(x, dtype) for x in xs]


def _no_tensors(name: str) -> TypeError:
    return TypeError(f"{name}: expected a tuple or list of tensors")


def cat(tensors: Sequence[Tensor], dim: int = 0, **_numpy: Any) -> Tensor:
    """Put tensors one after the other along an axis.

    Args:
        tensors: of equal shapes but for the axis; empty lines are passed over.
        dim: the axis.

    Raises:
        ShapeError: the shapes differ elsewhere.

    Example:
        >>> import pyautodl as ad
        >>> ad.cat((ad.zeros(2), ad.ones(1)))
        tensor([0., 0., 1.])
    """
    if _numpy:
        return by_numpy_names(cat, locals())
    xs = _promoted("cat", tensors)
    shaped = [x for x in xs if x._array.shape != (0,)]
    return apply_known(CAT, shaped or xs, by_dim(dim))


@explained
def concat(tensors: Sequence[Tensor], dim: int = 0, **_numpy: Any) -> Tensor:
    """Put tensors one after the other along an axis, as `cat`.

    Example:
        >>> import pyautodl as ad
        >>> ad.concat((ad.zeros(2), ad.ones(1)))
        tensor([0., 0., 1.])
    """
    if _numpy:
        return by_numpy_names(concat, locals())
    return cat(tensors, dim)


@explained
def concatenate(
    tensors: Sequence[Tensor], axis: int = 0, *, dim: int | None = None
) -> Tensor:
    """Put tensors one after the other along an axis, as `cat`.

    Args:
        tensors: as there.
        axis, dim: the axis, by either name.

    Example:
        >>> import pyautodl as ad
        >>> ad.concatenate((ad.zeros(2), ad.ones(1)))
        tensor([0., 0., 1.])
    """
    return cat(tensors, axis if dim is None else dim)


def stack(tensors: Sequence[Tensor], dim: int = 0, **_numpy: Any) -> Tensor:
    """Put tensors of one shape side by side along a new axis.

    Raises:
        ShapeError: the shapes differ.

    Example:
        >>> import pyautodl as ad
        >>> ad.stack((ad.zeros(2), ad.ones(2)), dim=1)
        tensor([[0., 1.],
                [0., 1.]])
    """
    if _numpy:
        return by_numpy_names(stack, locals())
    return apply_known(STACK, _promoted("stack", tensors), by_dim(dim))


@explained
def hstack(tensors: Sequence[Tensor]) -> Tensor:
    """Join along the second axis, lines along their only one.

    Example:
        >>> import pyautodl as ad
        >>> ad.hstack((ad.zeros(1), ad.ones(1)))
        tensor([0., 1.])
    """
    xs = [x if x._array.shape else atleast_1d(x) for x in _promoted("hstack", tensors)]
    return cat(xs, 0 if len(xs[0]._array.shape) == 1 else 1)


def vstack(tensors: Sequence[Tensor]) -> Tensor:
    """Join along the first axis; lines become rows.

    Example:
        >>> import pyautodl as ad
        >>> ad.vstack((ad.zeros(2), ad.ones(2)))
        tensor([[0., 0.],
                [1., 1.]])
    """
    return cat([atleast_2d(x) for x in _promoted("vstack", tensors)], 0)


@explained
def row_stack(tensors: Sequence[Tensor]) -> Tensor:
    """Join along the first axis, as `vstack`.

    Example:
        >>> import pyautodl as ad
        >>> ad.row_stack((ad.zeros(2), ad.ones(2))).shape
        pyautodl.Size([2, 2])
    """
    return vstack(tensors)


@explained
def dstack(tensors: Sequence[Tensor]) -> Tensor:
    """Join along the third axis.

    Example:
        >>> import pyautodl as ad
        >>> ad.dstack((ad.zeros(2), ad.ones(2))).shape
        pyautodl.Size([1, 2, 2])
    """
    return cat([atleast_3d(x) for x in _promoted("dstack", tensors)], 2)


@explained
def column_stack(tensors: Sequence[Tensor]) -> Tensor:
    """Join along the second axis; lines become columns.

    Example:
        >>> import pyautodl as ad
        >>> ad.column_stack((ad.zeros(2), ad.ones(2)))
        tensor([[0., 1.],
                [0., 1.]])
    """
    xs = _promoted("column_stack", tensors)
    return hstack([x if x.ndim > 1 else x.reshape(-1, 1) for x in xs])


@explained
def meshgrid(*tensors: Any, indexing: str = "ij") -> tuple[Tensor, ...]:
    """Return the coordinates of a grid over lines, as views.

    Args:
        tensors: lines.
        indexing: 'ij': the first line runs along the first axis; 'xy': the second.

    Example:
        >>> import pyautodl as ad
        >>> ad.meshgrid(ad.tensor([1, 2]), ad.tensor([3, 4, 5]))[0]
        tensor([[1, 1, 1],
                [2, 2, 2]])
    """
    if indexing not in ("ij", "xy"):
        raise ValueError(
            f"meshgrid: indexing must be 'ij' or 'xy', got {describe(indexing)}"
        )
    lines = tensors[0] if isinstance(tensors[0], (tuple, list)) else tensors
    lines = [flatten(x) for x in lines]
    lifted = []
    for i, x in enumerate(lines):
        shape = tuple(x.numel() if i == j else 1 for j in range(len(lines)))
        lifted.append(apply(RESHAPE, x, shape=shape))
    grids = broadcast_tensors(*lifted)
    if indexing == "xy" and len(grids) > 1:
        return tuple(transpose(x, 0, 1) for x in grids)
    return grids


# ---- repeats ----


@method("repeat")
def _repeat(self: Tensor, *repeats: Any) -> Tensor:
    """Return the tensor many times along each axis.

    Args:
        self: a tensor.
        repeats: how often, for each axis; more axes come in front.

    Raises:
        ShapeError: there are fewer numbers than axes, or negative ones.

    Example:
        >>> import pyautodl as ad
        >>> ad.tensor([1, 2]).repeat(2, 2)
        tensor([[1, 2, 1, 2],
                [1, 2, 1, 2]])
    """
    counts = shape_from("repeat", repeats, "repeats")
    shape = tuple(self.shape)
    if len(counts) < len(shape) or min(counts, default=0) < 0:
        raise ShapeError(
            f"repeat: expected a number for each axis of {shape}, got {counts}"
        )
    shape = (1,) * (len(counts) - len(shape)) + shape
    out = apply(RESHAPE, self, shape=shape)
    for axis, n in enumerate(counts):
        if n != 1:
            out = _repeat_axis(out, axis, n)
    return in_own_memory(out, self)


def _repeat_axis(x: Tensor, axis: int, n: int) -> Tensor:
    shape = tuple(x.shape)
    lifted = apply(RESHAPE, x, shape=(*shape[:axis], 1, *shape[axis:]))
    many = apply(EXPAND, lifted, shape=(*shape[:axis], n, *shape[axis:]))
    merged = (*shape[:axis], n * shape[axis], *shape[axis + 1 :])
    return apply(RESHAPE, many, shape=merged)


@explained
def tile(input: Tensor, dims: Sequence[int]) -> Tensor:
    """Return the tensor many times along each axis; `dims` may have fewer numbers.

    Args:
        input: a tensor.
        dims: how often along each axis; missing ones count as 1 in front.

    Example:
        >>> import pyautodl as ad
        >>> ad.tile(ad.tensor([[1], [2]]), (3,))
        tensor([[1, 1, 1],
                [2, 2, 2]])
    """
    counts = several("tile", "dims", dims)
    return _repeat(input, (1,) * (input.ndim - len(counts)) + counts)


@method("tile")
@explained
def _tile(self: Tensor, *dims: Any) -> Tensor:
    """Return `tile(self, dims)`."""
    return tile(self, shape_from("tile", dims, "dims"))


@method
@explained
def repeat_interleave(
    input: Tensor,
    repeats: Any,
    dim: int | None = None,
    *,
    output_size: int | None = None,
) -> Tensor:
    """Repeat each element along an axis.

    Args:
        input: a tensor.
        repeats: how often; a tensor has a number for each element.
        dim: the axis; None flattens first.
        output_size: has no meaning here.

    Example:
        >>> import pyautodl as ad
        >>> ad.repeat_interleave(ad.tensor([1, 2]), 2)
        tensor([1, 1, 2, 2])
    """
    x = flatten(input) if dim is None else input
    axis = normalize_axis(
        "repeat_interleave", 0 if dim is None else dim, x.ndim, x.shape
    )
    shape = tuple(x.shape)
    counts = np.asarray(repeats.tolist() if isinstance(repeats, Tensor) else repeats)
    if counts.size != 1 and counts.shape != (shape[axis],):
        raise ShapeError(
            f"repeat_interleave: expected {shape[axis]} repeats for axis {axis} of "
            f"shape {shape}, got {counts.shape}"
        )
    if counts.dtype.kind not in "iu" or (counts < 0).any():
        raise ValueError("repeat_interleave: repeats must be integers, not negative")
    if counts.size != 1:
        places = np.repeat(np.arange(shape[axis]), counts)
        return apply(OPS["index_select"], x, tensor(places), dim=axis)
    n = int(counts.reshape(()))
    lifted = apply(RESHAPE, x, shape=(*shape[: axis + 1], 1, *shape[axis + 1 :]))
    many = apply(EXPAND, lifted, shape=(*shape[: axis + 1], n, *shape[axis + 1 :]))
    merged = (*shape[:axis], n * shape[axis], *shape[axis + 1 :])
    return in_own_memory(apply(RESHAPE, many, shape=merged), input)


# ---- turns ----


@explained
def flip(input: Tensor, dims: Sequence[int] | int) -> Tensor:
    """Return the tensor with the order along some axes reversed, as a copy.

    Args:
        input: a tensor.
        dims: an axis or several.

    Example:
        >>> import pyautodl as ad
        >>> ad.flip(ad.tensor([1, 2, 3]), (0,))
        tensor([3, 2, 1])
    """
    return apply(FLIP, input, dims=several("flip", "dims", dims))


@method("flip")
@explained
def _flip(self: Tensor, *dims: Any) -> Tensor:
    """Return `flip(self, dims)`."""
    return flip(self, shape_from("flip", dims, "dims"))


@method
@explained
def fliplr(input: Tensor) -> Tensor:
    """Reverse the second axis.

    Example:
        >>> import pyautodl as ad
        >>> ad.fliplr(ad.tensor([[1, 2]]))
        tensor([[2, 1]])
    """
    if input.ndim < 2:
        raise ShapeError(
            f"fliplr: expected at least 2 axes, got shape {tuple(input.shape)}"
        )
    return flip(input, 1)


@method
@explained
def flipud(input: Tensor) -> Tensor:
    """Reverse the first axis.

    Example:
        >>> import pyautodl as ad
        >>> ad.flipud(ad.tensor([1, 2]))
        tensor([2, 1])
    """
    if input.ndim < 1:
        raise ShapeError("flipud: expected at least one axis, got shape ()")
    return flip(input, 0)


@method
@explained
def roll(input: Tensor, shifts: Any, dims: Any = None) -> Tensor:
    """Move elements along axes; what leaves at the end comes in at the start.

    Args:
        input: a tensor.
        shifts: how far, a number or one for each of `dims`.
        dims: the axes; None rolls the flattened tensor.

    Example:
        >>> import pyautodl as ad
        >>> ad.roll(ad.tensor([1, 2, 3]), 1)
        tensor([3, 1, 2])
    """
    steps = several("roll", "shifts", shifts)
    axes = () if dims is None else several("roll", "dims", dims)
    if not axes:
        if len(steps) != 1:
            raise ShapeError(f"roll: several shifts, {steps}, need as many dims")
        rolled = apply(ROLL, flatten(input), shifts=steps, dims=(0,))
        return apply(RESHAPE, rolled, shape=tuple(input.shape))
    return apply(ROLL, input, shifts=steps, dims=axes)


@method
@explained
def rot90(input: Tensor, k: int = 1, dims: Sequence[int] = (0, 1)) -> Tensor:
    """Turn by k * 90 degrees in the plane of two axes, from the first to the second.

    Args:
        input: a tensor.
        k: how many quarter turns; the other way round, if negative.
        dims: the two axes of the plane, turned from the first towards the second.

    Example:
        >>> import pyautodl as ad
        >>> ad.rot90(ad.tensor([[1, 2], [3, 4]]))
        tensor([[2, 4],
                [1, 3]])
    """
    k, dims = integer("rot90", "k", k), integers("rot90", "dims", dims)
    if len(dims) != 2:
        raise ShapeError(f"rot90: expected two dims, got {dims}")
    if k % 4 == 0:
        return clone(input)
    if k % 4 == 2:
        return flip(input, dims)
    turned = transpose(input, *dims)
    return flip(turned, dims[0] if k % 4 == 1 else dims[1])


# ---- pad ----


@explained
def pad(
    input: Tensor,
    pad: Sequence[int],
    mode: str = "constant",
    value: float | None = None,
) -> Tensor:
    """Add elements at the ends of the last axes; negative widths cut.

    Args:
        input: a tensor.
        pad: (before, after) for the last axis, then for the one before it, and so on.
        mode: 'constant', 'reflect' (without the edge), 'replicate' (the edge) or
            'circular' (from the other end).
        value: the constant, 0 by default.

    Shape:
        (..., n) -> (..., before + n + after)

    Raises:
        ShapeError: there are too many widths, or too large ones for the mode.

    Example:
        >>> import pyautodl as ad
        >>> ad.nn.functional.pad(ad.tensor([1.0, 2.0]), (1, 2))
        tensor([0., 1., 2., 0., 0.])
    """
    shape = input._array.shape
    if mode == "constant":
        constant = 0.0 if value is None else value
        return apply_known(PAD, (input,), _padded(shape, pad, constant))
    if mode not in ("reflect", "replicate", "circular"):
        raise ValueError(
            "pad: mode must be 'constant', 'reflect', 'replicate' or 'circular', got "
            f"{mode!r}"
        )
    if value is not None:
        raise ValueError(f"pad: value is for mode 'constant', not {mode!r}")
    widths = _with_edges(shape, pad, mode)
    if min(*widths["before"], *widths["after"], 0) < 0:
        return _pad_by_index(input, **widths)
    return apply_known(PAD_EDGES, (input,), widths)


@kept_attributes
def _padded(shape: tuple[int, ...], pad: Any, value: Any) -> dict[str, Any]:
    before, after = _pad_widths(shape, pad)
    return {"before": before, "after": after, "value": value}


@kept_attributes
def _with_edges(shape: tuple[int, ...], pad: Any, mode: str) -> dict[str, Any]:
    before, after = _pad_widths(shape, pad)
    return {"before": before, "after": after, "mode": mode}


def _pad_widths(
    shape: tuple[int, ...], pad: Any
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Before and after each axis."""
    widths = integers("pad", "pad", pad)
    if len(widths) % 2 or len(widths) > 2 * len(shape):
        raise ShapeError(
            f"pad: expected two widths for each of at most {len(shape)} axes, got "
            f"{widths} (shape {shape})"
        )
    front = (0,) * (len(shape) - len(widths) // 2)
    return front + widths[-2::-2], front + widths[::-2]


def _pad_by_index(
    x: Tensor, *, before: tuple[int, ...], after: tuple[int, ...], mode: str
) -> Tensor:
    """Of negative widths, which cut what others may still show."""
    for axis, (low, high) in enumerate(zip(before, after)):
        check_widths(tuple(x.shape), axis, low, high, mode)
        if low or high:
            places = _sources(x.shape[axis], low, high, mode)
            x = apply(OPS["index_select"], x, places, dim=axis)
    return x


@lru_cache(maxsize=256)
def _sources(n: int, low: int, high: int, mode: str) -> Tensor:
    """Which element of an axis each padded element shows."""
    places = np.arange(-low, n + high)
    if mode == "replicate":
        places = places.clip(0, n - 1)
    elif mode == "circular":
        # what is cut does not come back at the other end
        first = max(-low, 0)
        places = first + (places - first) % widest(n, low, high, mode)
    else:
        places = np.abs(places)
        places = np.where(places > n - 1, 2 * (n - 1) - places, places)
    return tensor(places)


# ---- triangles ----


@method(inplace=True)
@explained
def tril(input: Tensor, diagonal: int = 0) -> Tensor:
    """Keep the lower triangle of matrices, 0 elsewhere.

    Args:
        input: (..., n, m).
        diagonal: the last diagonal that is kept; 0 is the main one.

    Example:
        >>> import pyautodl as ad
        >>> ad.tril(ad.ones(2, 2))
        tensor([[1., 0.],
                [1., 1.]])
    """
    diagonal = integer("tril", "diagonal", diagonal)
    return apply(TRI, input, diagonal=diagonal, upper=False)


@method(inplace=True)
@explained
def triu(input: Tensor, diagonal: int = 0) -> Tensor:
    """Keep the upper triangle of matrices, 0 elsewhere.

    Args:
        input: (..., n, m).
        diagonal: the first diagonal that is kept; 0 is the main one.

    Example:
        >>> import pyautodl as ad
        >>> ad.triu(ad.ones(2, 2))
        tensor([[1., 1.],
                [0., 1.]])
    """
    diagonal = integer("triu", "diagonal", diagonal)
    return apply(TRI, input, diagonal=diagonal, upper=True)
