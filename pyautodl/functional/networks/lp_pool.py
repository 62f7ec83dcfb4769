"""Pooling by the p-norm of each window."""

from __future__ import annotations

from math import inf, prod
from typing import Any

from pyautodl.functional.networks.pool import (
    avg_pool1d,
    avg_pool2d,
    avg_pool3d,
    max_pool1d,
    max_pool2d,
    max_pool3d,
)
from pyautodl.ops.integers import each_axis
from pyautodl.tensor import Tensor, explained

__all__ = ["lp_pool1d", "lp_pool2d", "lp_pool3d"]

_AVERAGE = {1: avg_pool1d, 2: avg_pool2d, 3: avg_pool3d}
_LARGEST = {1: max_pool1d, 2: max_pool2d, 3: max_pool3d}


def _lp_pool(
    axes: int,
    x: Tensor,
    p: float,
    kernel_size: Any,
    stride: Any,
    ceil_mode: bool,
) -> Tensor:
    name = f"lp_pool{axes}d"
    kernel = each_axis(name, "kernel_size", kernel_size, axes)
    if p == 0:
        raise ValueError(f"{name}: norm_type must not be 0")
    if p in (inf, -inf):
        sign = 1 if p > 0 else -1
        largest: Tensor = _LARGEST[axes](
            x.abs() * sign, kernel, stride, 0, 1, ceil_mode
        )
        return largest * sign
    mean = _AVERAGE[axes](x.pow(p), kernel, stride, 0, ceil_mode)
    # the root has no slope at 0: such windows have the gradient 0
    nothing = mean == 0
    norm = (mean.masked_fill(nothing, 1) * prod(kernel)).pow(1 / p)
    return norm.masked_fill(nothing, 0 if p > 0 else inf)


@explained
def lp_pool1d(
    input: Tensor,
    norm_type: float,
    kernel_size: Any,
    stride: Any = None,
    ceil_mode: bool = False,
) -> Tensor:
    """Take the p-norm of each window along the last axis; see `lp_pool2d`.

    Shape:
        (n, c, l) or (c, l) -> (n, c, ol) or (c, ol)

    Example:
        >>> import pyautodl as ad
        >>> ad.nn.functional.lp_pool1d(ad.tensor([[[3.0, 4.0, 0.0, 2.0]]]), 2, 2)
        tensor([[[5., 2.]]])
    """
    return _lp_pool(1, input, norm_type, kernel_size, stride, ceil_mode)


@explained
def lp_pool2d(
    input: Tensor,
    norm_type: float,
    kernel_size: Any,
    stride: Any = None,
    ceil_mode: bool = False,
) -> Tensor:
    """Take the p-norm of each window, (sum of x^p)^(1/p): for p = 1 their sum, for infinity
    the largest size. Where the sum is 0 the gradient is 0.

    Args:
        input: the images.
        norm_type: p; a negative sum has no root unless it is 1.
        kernel_size: the window's height and width, or one number for both.
        stride: steps between windows; default kernel_size.
        ceil_mode: keep a last window that hangs over the end, its sum scaled up as if the
            rest were the mean of what it has.

    Shape:
        (n, c, h, w) or (c, h, w) -> (n, c, oh, ow) or (c, oh, ow), with
        oh = floor((h - kernel_size) / stride) + 1

    Raises:
        ShapeError: the window does not fit into the input.
        ValueError: norm_type is 0, or a number is below its least.

    Example:
        >>> import pyautodl as ad
        >>> x = ad.tensor([[[[1.0, 3.0], [5.0, 1.0]]]])
        >>> ad.nn.functional.lp_pool2d(x, 2, 2)
        tensor([[[[6.]]]])
    """
    return _lp_pool(2, input, norm_type, kernel_size, stride, ceil_mode)


@explained
def lp_pool3d(
    input: Tensor,
    norm_type: float,
    kernel_size: Any,
    stride: Any = None,
    ceil_mode: bool = False,
) -> Tensor:
    """Take the p-norm of each window over three axes; see `lp_pool2d`.

    Shape:
        (n, c, d, h, w) or (c, d, h, w) -> (n, c, od, oh, ow) or (c, od, oh, ow)

    Example:
        >>> import pyautodl as ad
        >>> ad.nn.functional.lp_pool3d(ad.ones(1, 1, 2, 2, 2), 3, 2)
        tensor([[[[[2.]]]]])
    """
    return _lp_pool(3, input, norm_type, kernel_size, stride, ceil_mode)
