"""Running extrema and running sums of exponentials along an axis."""

from __future__ import annotations

from pyautodl.functional.eltwise.unary import as_floating
from pyautodl.functional.reduce import ValuesIndices
from pyautodl.ops.reduce.scans import CUMMAX, CUMMIN, LOGCUMSUMEXP
from pyautodl.tensor import Tensor, apply, explained, method

__all__ = ["cummax", "cummin", "logcumsumexp"]


@method
@explained
def cummax(input: Tensor, dim: int) -> ValuesIndices:
    """Return the largest element so far along an axis; NaN from the first NaN on.

    Args:
        input: a tensor.
        dim: the axis.

    Returns:
        (values, indices), of equal elements the last one's index

    Example:
        >>> import pyautodl as ad
        >>> values, indices = ad.cummax(ad.tensor([1.0, 3.0, 2.0, 3.0]), 0)
        >>> values
        tensor([1., 3., 3., 3.])
        >>> indices
        tensor([0, 1, 1, 3])
    """
    return ValuesIndices(*apply(CUMMAX, input, dim=dim))


@method
@explained
def cummin(input: Tensor, dim: int) -> ValuesIndices:
    """Return the smallest element so far along an axis; NaN from the first NaN on.

    Args:
        input: a tensor.
        dim: the axis.

    Returns:
        (values, indices), of equal elements the last one's index

    Example:
        >>> import pyautodl as ad
        >>> ad.cummin(ad.tensor([2.0, 3.0, 1.0]), 0).values
        tensor([2., 2., 1.])
    """
    return ValuesIndices(*apply(CUMMIN, input, dim=dim))


@method
@explained
def logcumsumexp(input: Tensor, dim: int) -> Tensor:
    """Return the logarithm of the running sums of exponentials, without overflow.

    Args:
        input: a tensor; integers become floats.
        dim: the axis.

    Example:
        >>> import pyautodl as ad
        >>> ad.logcumsumexp(ad.tensor([0.0, 0.0, 90.0]), 0)
        tensor([ 0.0000,  0.6931, 90.0000])
    """
    return apply(LOGCUMSUMEXP, as_floating("logcumsumexp", input), dim=dim)
