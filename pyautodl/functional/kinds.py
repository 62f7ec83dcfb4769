"""What element types come of others, and single questions about tensors."""

from __future__ import annotations

from typing import Any

from pyautodl.backends.dtypes import DType, as_dtype
from pyautodl.errors import DTypeError, ShapeError, describe
from pyautodl.functional.eltwise.unary import check_tensor
from pyautodl.tensor import Tensor, call, explained, method, operands

__all__ = ["can_cast", "is_nonzero", "is_same_size", "renorm", "result_type"]


@explained
def result_type(tensor1: Any, tensor2: Any) -> DType:
    """Return the element type of what comes of two operands.

    Args:
        tensor1, tensor2: tensors or numbers, one of them a tensor.

    Example:
        >>> import pyautodl as ad
        >>> ad.result_type(ad.ones(2, dtype=ad.int32), 1.5)
        pyautodl.float32
    """
    x, _ = operands("result_type", tensor1, tensor2)
    found: DType = x.dtype
    return found


@explained
def can_cast(from_: Any, to: Any) -> bool:
    """Return whether a type's numbers may become another's in place: not floats whole ones,
    nor numbers bools.

    Args:
        from_: an element type.
        to: another one.

    Example:
        >>> import pyautodl as ad
        >>> ad.can_cast(ad.float64, ad.float32), ad.can_cast(ad.float32, ad.int64)
        (True, False)
    """
    source, target = as_dtype(from_), as_dtype(to)
    return source.category <= target.category


@method
@explained
def is_nonzero(input: Tensor) -> bool:
    """Return whether a tensor of one element is not 0.

    Args:
        input: the tensor.

    Raises:
        ShapeError: it has more elements, or none.

    Example:
        >>> import pyautodl as ad
        >>> ad.is_nonzero(ad.tensor([0.5])), ad.is_nonzero(ad.tensor(0))
        (True, False)
    """
    check_tensor("is_nonzero", input)
    if input.numel() != 1:
        raise ShapeError(
            f"is_nonzero: expected one element, got shape {tuple(input.shape)}; likely "
            "fix: .any() or .all()"
        )
    return bool(input)


@method
@explained
def is_same_size(input: Tensor, other: Tensor) -> bool:
    """Return whether two tensors have the same shape.

    Args:
        input: a tensor.
        other: another one.

    Example:
        >>> import pyautodl as ad
        >>> ad.is_same_size(ad.ones(2, 3), ad.zeros(2, 3))
        True
    """
    return tuple(input.shape) == tuple(other.shape)


@method
@explained
def sum_to_size(input: Tensor, *size: Any) -> Tensor:
    """Return sums over what broadcasting to the input's shape would repeat.

    Args:
        input: a tensor.
        size: the shape, which broadcasts to the input's.

    Raises:
        ShapeError: it does not broadcast to it.

    Example:
        >>> import pyautodl as ad
        >>> ad.ones(2, 3).sum_to_size(2, 1)
        tensor([[3.],
                [3.]])
    """
    shape = size[0] if len(size) == 1 and isinstance(size[0], (tuple, list)) else size
    wanted, given = tuple(shape), tuple(input.shape)
    tail = given[len(given) - len(wanted) :]
    fits = len(wanted) <= len(given) and all(
        one in (1, other) for one, other in zip(wanted, tail)
    )
    if not fits:
        raise ShapeError(
            f"sum_to_size: {describe(wanted)} does not broadcast to shape {given}"
        )
    found: Tensor = call("sum_to", input, shape=wanted)
    return found


@method
@explained
def split_with_sizes(
    input: Tensor, split_sizes: Any, dim: int = 0
) -> tuple[Tensor, ...]:
    """Cut a tensor into parts of sizes along an axis, as `split`.

    Args:
        input: a tensor.
        split_sizes: the sizes.
        dim: the axis.

    Example:
        >>> import pyautodl as ad
        >>> [part.tolist() for part in ad.arange(3).split_with_sizes([1, 2])]
        [[0], [1, 2]]
    """
    found: tuple[Tensor, ...] = input.split(list(split_sizes), dim)
    return found


@method
@explained
def renorm(input: Tensor, p: float, dim: int, maxnorm: float) -> Tensor:
    """Return a tensor whose parts along an axis are no longer than `maxnorm`.

    Args:
        input: a floating tensor of two axes or more.
        p: the order of the norm.
        dim: the axis.
        maxnorm: longer parts are scaled down to it.

    Raises:
        DTypeError: the tensor is not floating.

    Example:
        >>> import pyautodl as ad
        >>> ad.renorm(ad.tensor([[3.0, 4.0], [0.3, 0.4]]), 2, 0, 1.0)
        tensor([[0.6000, 0.8000],
                [0.3000, 0.4000]])
    """
    if not input.is_floating_point():
        raise DTypeError(
            f"renorm: expected a floating tensor, got {input.dtype.name}; likely fix: "
            ".float()"
        )
    if not -input.ndim <= dim < input.ndim or input.ndim < 2:
        raise ShapeError(
            f"renorm: expected two axes or more with axis {dim}, got shape "
            f"{tuple(input.shape)}"
        )
    others = [axis for axis in range(input.ndim) if axis != dim % input.ndim]
    length = input.norm(p, others, keepdim=True)
    # 1e-7 keeps what is scaled within maxnorm, as in PyTorch
    factor = (maxnorm / (length + 1e-7)).where(length > maxnorm, 1.0)
    scaled: Tensor = input * factor
    return scaled
