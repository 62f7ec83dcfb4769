"""Layers that put maxima back where max pooling took them from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from pyautodl.functional.networks import max_unpool as F
from pyautodl.nn.module import Module
from pyautodl.ops.integers import each_axis
from pyautodl.tensor import Tensor

__all__ = ["MaxUnpool1d", "MaxUnpool2d", "MaxUnpool3d"]


class _MaxUnpool(Module):
    """What it shares over any number of axes."""

    axes: ClassVar[int]

    def __init__(self, kernel_size: Any, stride: Any = None, padding: Any = 0) -> None:
        super().__init__()
        name = type(self).__name__
        steps = kernel_size if stride is None else stride
        self.kernel_size = each_axis(name, "kernel_size", kernel_size, self.axes)
        self.stride = each_axis(name, "stride", steps, self.axes)
        self.padding = each_axis(name, "padding", padding, self.axes)

    def _arguments(self) -> tuple[Any, Any, Any]:
        return self.kernel_size, self.stride, self.padding

    def extra_repr(self) -> str:
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, "
            f"padding={self.padding}"
        )


class MaxUnpool1d(_MaxUnpool):
    """Put maxima back along the last axis; see `MaxUnpool2d`.

    Shape:
        (n, c, l) or (c, l) -> (n, c, ol) or (c, ol)

    Example:
        >>> import pyautodl as ad
        >>> pool = ad.nn.MaxPool1d(2, return_indices=True)
        >>> ad.nn.MaxUnpool1d(2)(*pool(ad.tensor([[1.0, 3.0, 4.0, 2.0]])))
        tensor([[0., 3., 4., 0.]])
    """

    axes = 1

    def forward(
        self, input: Tensor, indices: Tensor, output_size: Sequence[int] | None = None
    ) -> Tensor:
        return F.max_unpool1d(input, indices, *self._arguments(), output_size)


class MaxUnpool2d(_MaxUnpool):
    """Put maxima back where `MaxPool2d` with return_indices=True took them from.

    Args:
        kernel_size: the window's size, a number or one for each axis.
        stride: steps between windows; default kernel_size.
        padding: what was added on each side.

    Where several sizes lead to the input's, call it with `output_size`, that of what was
    pooled.

    Shape:
        (n, c, h, w) or (c, h, w) -> (n, c, oh, ow) or (c, oh, ow), with
        oh = (h - 1) stride - 2 padding + kernel_size

    Example:
        >>> import pyautodl as ad
        >>> pool = ad.nn.MaxPool2d(2, return_indices=True)
        >>> ad.nn.MaxUnpool2d(2)(*pool(ad.tensor([[[1.0, 3.0], [4.0, 2.0]]])))
        tensor([[[0., 0.],
                 [4., 0.]]])
    """

    axes = 2

    def forward(
        self, input: Tensor, indices: Tensor, output_size: Sequence[int] | None = None
    ) -> Tensor:
        return F.max_unpool2d(input, indices, *self._arguments(), output_size)


class MaxUnpool3d(_MaxUnpool):
    """Put maxima back over three axes; see `MaxUnpool2d`.

    Shape:
        (n, c, d, h, w) or (c, d, h, w) -> (n, c, od, oh, ow) or (c, od, oh, ow)

    Example:
        >>> import pyautodl as ad
        >>> pool = ad.nn.MaxPool3d(2, return_indices=True)
        >>> x = ad.arange(8.0).reshape(1, 1, 2, 2, 2)
        >>> ad.nn.MaxUnpool3d(2)(*pool(x)).flatten()
        tensor([0., 0., 0., 0., 0., 0., 0., 7.])
    """

    axes = 3

    def forward(
        self, input: Tensor, indices: Tensor, output_size: Sequence[int] | None = None
    ) -> Tensor:
        return F.max_unpool3d(input, indices, *self._arguments(), output_size)
