"""Softmax and its kin."""

from __future__ import annotations

import warnings
from typing import Any

from pyautodl.functional.numpy_names import by_numpy_names
from pyautodl.ops.record import by_dim
from pyautodl.ops.softmax import LOG_SOFTMAX, MASKED_SOFTMAX, SOFTMAX
from pyautodl.tensor import Tensor, apply, apply_known, explained, method, not_tensor

__all__ = ["log_softmax", "masked_softmax", "softmax"]


def _prepare(
    name: str, input: Tensor, dim: int | None, stacklevel: int, dtype: Any
) -> tuple[Tensor, int]:
    """The input in the asked element type, and the axis; PyTorch's choice if None."""
    if not isinstance(input, Tensor):
        raise not_tensor(name, input)
    if dtype is not None:
        input = input.to(dtype)
    if dim is None:
        dim = 0 if input.ndim in (0, 1, 3) else 1
        warnings.warn(
            f"{name}: dim was not given; axis {dim} is taken for a tensor of shape "
            f"{tuple(input.shape)}, as PyTorch does; name it",
            stacklevel=stacklevel,
        )
    return input, dim


@method
def softmax(
    input: Tensor,
    dim: int | None = None,
    _stacklevel: int = 3,
    dtype: Any = None,
    **_numpy: Any,
) -> Tensor:
    """Return exp(input) divided by its sum along `dim`: positive numbers that sum to 1.

    An infinite logit gives nan. -inf gives 0.

    Args:
        input: the logits.
        dim: the axis whose elements sum to 1. If None, 0 for tensors of 0, 1 or 3 axes,
            else 1, with a warning.
        _stacklevel: taken for PyTorch's sake; warnings go by it.
        dtype: element type to cast to first.

    Shape:
        any -> the same.

    Raises:
        IndexError: there is no such axis.
        DTypeError: the input is not floating.

    Example:
        >>> import pyautodl as ad
        >>> ad.softmax(ad.tensor([0.0, 0.0]), dim=0)
        tensor([0.5000, 0.5000])
    """
    if _numpy:
        return by_numpy_names(softmax, locals())
    input, axis = _prepare("softmax", input, dim, _stacklevel, dtype)
    return apply_known(SOFTMAX, (input,), by_dim(axis))


@method
def log_softmax(
    input: Tensor,
    dim: int | None = None,
    _stacklevel: int = 3,
    dtype: Any = None,
    **_numpy: Any,
) -> Tensor:
    """Return the logarithm of softmax, computed without overflow or loss of digits.

    Args:
        input: the logits.
        dim: the axis to normalise along. If None, 0 for tensors of 0, 1 or 3 axes, else
            1, with a warning.
        _stacklevel: taken for PyTorch's sake; warnings go by it.
        dtype: element type to cast to first.

    Shape:
        any -> the same.

    Raises:
        IndexError: there is no such axis.
        DTypeError: the input is not floating.

    Example:
        >>> import pyautodl as ad
        >>> ad.log_softmax(ad.tensor([0.0, 0.0]), dim=0)
        tensor([-0.6931, -0.6931])
    """
    if _numpy:
        return by_numpy_names(log_softmax, locals())
    input, axis = _prepare("log_softmax", input, dim, _stacklevel, dtype)
    return apply_known(LOG_SOFTMAX, (input,), by_dim(axis))


@explained
def softmin(
    input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None
) -> Tensor:
    """Return softmax of the negative input.

    Args:
        input: the numbers; the smallest gets the largest share.
        dim: the axis whose elements sum to 1, as in `softmax`.
        _stacklevel: taken for PyTorch's sake; warnings go by it.
        dtype: element type to cast to first.

    Shape:
        any -> the same.

    Example:
        >>> import pyautodl as ad
        >>> ad.nn.functional.softmin(ad.tensor([1.0, 1.0]), dim=0)
        tensor([0.5000, 0.5000])
    """
    input, axis = _prepare("softmin", input, dim, _stacklevel, dtype)
    return apply_known(SOFTMAX, (-input,), by_dim(axis))


@explained
def masked_softmax(input: Tensor, mask: Tensor, dim: int = -1) -> Tensor:
    """Return softmax over the entries whose mask is True; 0 at the others.

    Both the result and the gradient are exactly 0 at masked entries, whatever they
    hold, infinities and nan included. Where no entry of a row takes part, all are 0.

    Args:
        input: the logits.
        mask: bool, True where an entry takes part; broadcasts to the input.
        dim: the axis whose elements sum to 1.

    Shape:
        input any, mask broadcastable to it -> that of input.

    Raises:
        ShapeError: the mask does not broadcast to the input.
        DTypeError: the input is not floating, or the mask not bool.

    Example:
        >>> import pyautodl as ad
        >>> x = ad.tensor([0.0, 0.0, 5.0])
        >>> ad.masked_softmax(x, ad.tensor([True, True, False]))
        tensor([0.5000, 0.5000, 0.0000])
    """
    return apply(MASKED_SOFTMAX, input, mask, dim=dim)
