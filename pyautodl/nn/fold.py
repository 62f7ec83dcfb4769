"""Unfold and Fold: windows of an image as columns, and back."""

from __future__ import annotations

from pyautodl.functional.networks.conv import fold, unfold
from pyautodl.nn.module import Module
from pyautodl.tensor import Tensor

__all__ = ["Fold", "Unfold"]

Sizes = int | tuple[int, ...]


class Unfold(Module):
    """Takes the windows of an image apart, one column a window.

    Args:
        kernel_size: of the window.
        dilation: distance of its elements.
        padding: zeros around the image.
        stride: distance of the windows.

    Shape:
        (n, c, h, w) -> (n, c * kh * kw, windows)

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl import nn
        >>> nn.Unfold(2)(ad.zeros(1, 3, 4, 4)).shape
        pyautodl.Size([1, 12, 9])
    """

    def __init__(
        self,
        kernel_size: Sizes,
        dilation: Sizes = 1,
        padding: Sizes = 0,
        stride: Sizes = 1,
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.dilation = dilation
        self.padding = padding
        self.stride = stride

    def forward(self, input: Tensor) -> Tensor:
        return unfold(input, self.kernel_size, self.dilation, self.padding, self.stride)

    def extra_repr(self) -> str:
        return (
            f"kernel_size={self.kernel_size}, dilation={self.dilation}, "
            f"padding={self.padding}, stride={self.stride}"
        )


class Fold(Module):
    """Adds up columns of windows to an image: the transpose of `Unfold`.

    Args:
        output_size: height and width of the image.
        kernel_size: of the window.
        dilation: distance of its elements.
        padding: zeros around the image.
        stride: distance of the windows.

    Shape:
        (n, c * kh * kw, windows) -> (n, c, h, w)

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl import nn
        >>> nn.Fold((4, 4), 2)(ad.zeros(1, 12, 9)).shape
        pyautodl.Size([1, 3, 4, 4])
    """

    def __init__(
        self,
        output_size: Sizes,
        kernel_size: Sizes,
        dilation: Sizes = 1,
        padding: Sizes = 0,
        stride: Sizes = 1,
    ) -> None:
        super().__init__()
        self.output_size = output_size
        self.kernel_size = kernel_size
        self.dilation = dilation
        self.padding = padding
        self.stride = stride

    def forward(self, input: Tensor) -> Tensor:
        return fold(
            input,
            self.output_size,
            self.kernel_size,
            self.dilation,
            self.padding,
            self.stride,
        )

    def extra_repr(self) -> str:
        return (
            f"output_size={self.output_size}, kernel_size={self.kernel_size}, "
            f"dilation={self.dilation}, padding={self.padding}, stride={self.stride}"
        )
