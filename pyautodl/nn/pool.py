"""Pooling layers."""

from __future__ import annotations

from typing import Any

from pyautodl.functional.networks import pool as F
from pyautodl.nn.module import Module
from pyautodl.tensor import Tensor

__all__ = [
    "AdaptiveAvgPool1d",
    "AdaptiveAvgPool2d",
    "AdaptiveAvgPool3d",
    "AdaptiveMaxPool1d",
    "AdaptiveMaxPool2d",
    "AdaptiveMaxPool3d",
    "AvgPool1d",
    "AvgPool2d",
    "AvgPool3d",
    "MaxPool1d",
    "MaxPool2d",
    "MaxPool3d",
]


class _MaxPool(Module):
    """What max pooling over any number of axes shares."""

    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        dilation: Any = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = stride if stride is not None else kernel_size
        self.padding = padding
        self.dilation = dilation
        self.return_indices = return_indices
        self.ceil_mode = ceil_mode

    def _arguments(self) -> tuple[Any, ...]:
        return (
            self.kernel_size,
            self.stride,
            self.padding,
            self.dilation,
            self.ceil_mode,
            self.return_indices,
        )

    def extra_repr(self) -> str:
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, "
            f"padding={self.padding}, dilation={self.dilation}, "
            f"ceil_mode={self.ceil_mode}"
        )


class MaxPool1d(_MaxPool):
    """Take the largest element of each window along the last axis; see `MaxPool2d`.

    Shape:
        (n, c, l) or (c, l) -> (n, c, ol) or (c, ol)

    Example:
        >>> import pyautodl as ad
        >>> ad.nn.MaxPool1d(2)(ad.tensor([[[1.0, 3.0, 2.0, 4.0]]]))
        tensor([[[3., 4.]]])
    """

    def forward(self, input: Tensor) -> Any:
        return F.max_pool1d(input, *self._arguments())


class MaxPool2d(_MaxPool):
    """Take the largest element of each window. Of equal elements the first in
    row-major order wins.

    Args:
        kernel_size: the window's size, a number or one for each axis.
        stride: steps between windows; default kernel_size.
        padding: positions of -inf on each side, at most half of kernel_size.
        dilation: steps between the cells of a window.
        return_indices: also return where each maximum is.
        ceil_mode: keep a last window that hangs over the end.

    Shape:
        (n, c, h, w) or (c, h, w) -> (n, c, oh, ow) or (c, oh, ow), with
        oh = floor((h + 2 padding - dilation (kernel_size - 1) - 1) / stride) + 1

    Example:
        >>> import pyautodl as ad
        >>> ad.nn.MaxPool2d(2)(ad.tensor([[[[1.0, 3.0], [2.0, 4.0]]]]))
        tensor([[[[4.]]]])
    """

    def forward(self, input: Tensor) -> Any:
        return F.max_pool2d(input, *self._arguments())


class MaxPool3d(_MaxPool):
    """Take the largest element of each window over three axes; see `MaxPool2d`.

    Shape:
        (n, c, d, h, w) or (c, d, h, w) -> (n, c, od, oh, ow) or (c, od, oh, ow)

    Example:
        >>> import pyautodl as ad
        >>> ad.nn.MaxPool3d(2)(ad.arange(8.0).reshape(1, 1, 2, 2, 2))
        tensor([[[[[7.]]]]])
    """

    def forward(self, input: Tensor) -> Any:
        return F.max_pool3d(input, *self._arguments())


def _tuple(value: Any) -> tuple[int, ...]:
    """PyTorch's AvgPool1d keeps its numbers as tuples of one."""
    return tuple(value) if isinstance(value, (tuple, list)) else (value,)


class _AvgPool(Module):
    """What average pooling over any number of axes shares."""

    kernel_size: Any
    stride: Any
    padding: Any

    def extra_repr(self) -> str:
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, "
            f"padding={self.padding}"
        )


class _SpatialAvgPool(_AvgPool):
    """What average pooling over two and three axes shares."""

    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad
        self.divisor_override = divisor_override

    def _arguments(self) -> tuple[Any, ...]:
        return (
            self.kernel_size,
            self.stride,
            self.padding,
            self.ceil_mode,
            self.count_include_pad,
            self.divisor_override,
        )


class AvgPool1d(_AvgPool):
    """Average each window along the last axis; see `AvgPool2d`.

    Shape:
        (n, c, l) or (c, l) -> (n, c, ol) or (c, ol)

    Example:
        >>> import pyautodl as ad
        >>> ad.nn.AvgPool1d(2)(ad.tensor([[[1.0, 3.0, 2.0, 4.0]]]))
        tensor([[[2., 3.]]])
    """

    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:
        super().__init__()
        self.kernel_size = _tuple(kernel_size)
        self.stride = _tuple(kernel_size if stride is None else stride)
        self.padding = _tuple(padding)
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad

    def forward(self, input: Tensor) -> Tensor:
        return F.avg_pool1d(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.ceil_mode,
            self.count_include_pad,
        )


class AvgPool2d(_SpatialAvgPool):
    """Average each window.

    Args:
        kernel_size: the window's size, a number or one for each axis.
        stride: steps between windows; default kernel_size.
        padding: zeros on each side, at most half of kernel_size.
        ceil_mode: keep a last window that hangs over the end.
        count_include_pad: count the padding's zeros in the average.
        divisor_override: divide each window's sum by this.

    Shape:
        (n, c, h, w) or (c, h, w) -> (n, c, oh, ow) or (c, oh, ow), with
        oh = floor((h + 2 padding - kernel_size) / stride) + 1

    Example:
        >>> import pyautodl as ad
        >>> ad.nn.AvgPool2d(2)(ad.tensor([[[[1.0, 3.0], [2.0, 4.0]]]]))
        tensor([[[[2.5000]]]])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.avg_pool2d(input, *self._arguments())


class AvgPool3d(_SpatialAvgPool):
    """Average each window over three axes; see `AvgPool2d`.

    Shape:
        (n, c, d, h, w) or (c, d, h, w) -> (n, c, od, oh, ow) or (c, od, oh, ow)

    Example:
        >>> import pyautodl as ad
        >>> ad.nn.AvgPool3d(2)(ad.arange(8.0).reshape(1, 1, 2, 2, 2))
        tensor([[[[[3.5000]]]]])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.avg_pool3d(input, *self._arguments())


class _Adaptive(Module):
    """What adaptive pooling over any number of axes shares."""

    def __init__(self, output_size: Any) -> None:
        super().__init__()
        self.output_size = output_size

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"


class _AdaptiveMax(_Adaptive):
    def __init__(self, output_size: Any, return_indices: bool = False) -> None:
        super().__init__(output_size)
        self.return_indices = return_indices


class AdaptiveAvgPool1d(_Adaptive):
    """Average windows that split the last axis into `output_size` parts.

    Shape:
        (n, c, l) or (c, l) -> (n, c, ol) or (c, ol)

    Example:
        >>> import pyautodl as ad
        >>> ad.nn.AdaptiveAvgPool1d(2)(ad.tensor([[[1.0, 3.0, 2.0, 4.0]]]))
        tensor([[[2., 3.]]])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.adaptive_avg_pool1d(input, self.output_size)


class AdaptiveAvgPool2d(_Adaptive):
    """Average windows that split the image into `output_size` parts.

    Args:
        output_size: a number or one for each axis; None keeps the input's size.

    Shape:
        (n, c, h, w) or (c, h, w) -> (n, c, oh, ow) or (c, oh, ow)

    Example:
        >>> import pyautodl as ad
        >>> ad.nn.AdaptiveAvgPool2d(1)(ad.tensor([[[[1.0, 3.0], [2.0, 4.0]]]]))
        tensor([[[[2.5000]]]])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.adaptive_avg_pool2d(input, self.output_size)


class AdaptiveAvgPool3d(_Adaptive):
    """Average windows that split three axes into `output_size` parts.

    Shape:
        (n, c, d, h, w) or (c, d, h, w) -> (n, c, od, oh, ow) or (c, od, oh, ow)

    Example:
        >>> import pyautodl as ad
        >>> ad.nn.AdaptiveAvgPool3d(1)(ad.arange(8.0).reshape(1, 1, 2, 2, 2))
        tensor([[[[[3.5000]]]]])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.adaptive_avg_pool3d(input, self.output_size)


class AdaptiveMaxPool1d(_AdaptiveMax):
    """Take the maxima of windows that split the last axis into `output_size` parts.

    Args:
        output_size: how many parts; None keeps the input's size.
        return_indices: also return where each maximum is.

    Shape:
        (n, c, l) or (c, l) -> (n, c, ol) or (c, ol)

    Example:
        >>> import pyautodl as ad
        >>> ad.nn.AdaptiveMaxPool1d(2)(ad.tensor([[[1.0, 3.0, 2.0, 4.0]]]))
        tensor([[[3., 4.]]])
    """

    def forward(self, input: Tensor) -> Any:
        return F.adaptive_max_pool1d(input, self.output_size, self.return_indices)


class AdaptiveMaxPool2d(_AdaptiveMax):
    """Take the maxima of windows that split the image into `output_size` parts.

    Args:
        output_size: a number or one for each axis; None keeps the input's size.
        return_indices: also return where each maximum is.

    Shape:
        (n, c, h, w) or (c, h, w) -> (n, c, oh, ow) or (c, oh, ow)

    Example:
        >>> import pyautodl as ad
        >>> ad.nn.AdaptiveMaxPool2d(1)(ad.tensor([[[[1.0, 3.0], [2.0, 4.0]]]]))
        tensor([[[[4.]]]])
    """

    def forward(self, input: Tensor) -> Any:
        return F.adaptive_max_pool2d(input, self.output_size, self.return_indices)


class AdaptiveMaxPool3d(_AdaptiveMax):
    """Take the maxima of windows that split three axes into `output_size` parts.

    Args:
        output_size: (od, oh, ow) or one number for all; None keeps the input's size.
        return_indices: also return where each maximum is.

    Shape:
        (n, c, d, h, w) or (c, d, h, w) -> (n, c, od, oh, ow) or (c, od, oh, ow)

    Example:
        >>> import pyautodl as ad
        >>> ad.nn.AdaptiveMaxPool3d(1)(ad.arange(8.0).reshape(1, 1, 2, 2, 2))
        tensor([[[[[7.]]]]])
    """

    def forward(self, input: Tensor) -> Any:
        return F.adaptive_max_pool3d(input, self.output_size, self.return_indices)
