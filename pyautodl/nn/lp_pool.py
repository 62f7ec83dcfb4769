"""Layers that pool by the p-norm of each window."""

from __future__ import annotations

from typing import Any

from pyautodl.functional.networks import lp_pool as F
from pyautodl.nn.module import Module
from pyautodl.tensor import Tensor

__all__ = ["LPPool1d", "LPPool2d", "LPPool3d"]


class _LPPool(Module):
    """What it shares over any number of axes."""

    def __init__(
        self,
        norm_type: float,
        kernel_size: Any,
        stride: Any = None,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__()
        self.norm_type = norm_type
        self.kernel_size = kernel_size
        self.stride = stride
        self.ceil_mode = ceil_mode

    def _arguments(self) -> tuple[Any, ...]:
        return self.norm_type, self.kernel_size, self.stride, self.ceil_mode

    def extra_repr(self) -> str:
        return (
            f"norm_type={self.norm_type}, kernel_size={self.kernel_size}, "
            f"stride={self.stride}, ceil_mode={self.ceil_mode}"
        )


class LPPool1d(_LPPool):
    """Take the p-norm of each window along the last axis; see `LPPool2d`.

    Shape:
        (n, c, l) or (c, l) -> (n, c, ol) or (c, ol)

    Example:
        >>> import pyautodl as ad
        >>> ad.nn.LPPool1d(2, 2)(ad.tensor([[[3.0, 4.0, 0.0, 2.0]]]))
        tensor([[[5., 2.]]])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.lp_pool1d(input, *self._arguments())


class LPPool2d(_LPPool):
    """Take the p-norm of each window, (sum of x^p)^(1/p).

    Args:
        norm_type: p.
        kernel_size: the window's size, a number or one for each axis.
        stride: steps between windows; default kernel_size.
        ceil_mode: keep a last window that hangs over the end.

    Shape:
        (n, c, h, w) or (c, h, w) -> (n, c, oh, ow) or (c, oh, ow), with
        oh = floor((h - kernel_size) / stride) + 1

    Example:
        >>> import pyautodl as ad
        >>> ad.nn.LPPool2d(2, 2)(ad.tensor([[[[1.0, 3.0], [5.0, 1.0]]]]))
        tensor([[[[6.]]]])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.lp_pool2d(input, *self._arguments())


class LPPool3d(_LPPool):
    """Take the p-norm of each window over three axes; see `LPPool2d`.

    Shape:
        (n, c, d, h, w) or (c, d, h, w) -> (n, c, od, oh, ow) or (c, od, oh, ow)

    Example:
        >>> import pyautodl as ad
        >>> ad.nn.LPPool3d(3, 2)(ad.ones(1, 1, 2, 2, 2))
        tensor([[[[[2.]]]]])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.lp_pool3d(input, *self._arguments())
