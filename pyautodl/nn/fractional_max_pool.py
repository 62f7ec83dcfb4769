"""Layers of max pooling whose windows are drawn."""

from __future__ import annotations

from typing import Any, ClassVar

from pyautodl.functional.networks import fractional_max_pool as F
from pyautodl.nn.module import Module
from pyautodl.ops.integers import each_axis
from pyautodl.tensor import Tensor

__all__ = ["FractionalMaxPool2d", "FractionalMaxPool3d"]


class _FractionalMaxPool(Module):
    """What it shares over any number of axes."""

    axes: ClassVar[int]

    def __init__(
        self,
        kernel_size: Any,
        output_size: Any = None,
        output_ratio: Any = None,
        return_indices: bool = False,
        _random_samples: Tensor | None = None,
    ) -> None:
        super().__init__()
        name = type(self).__name__
        self.kernel_size = each_axis(name, "kernel_size", kernel_size, self.axes)
        if min(self.kernel_size) < 1:
            raise ValueError(
                f"{name}: kernel_size must be above 0, got {self.kernel_size}"
            )
        self.return_indices = return_indices
        self.register_buffer("_random_samples", _random_samples)
        if (output_size is None) == (output_ratio is None):
            raise ValueError(
                f"{name}: expected one of output_size and output_ratio, got "
                f"{'none' if output_size is None else 'both'}"
            )
        self.output_size = self.output_ratio = None
        if output_size is not None:
            self.output_size = each_axis(name, "output_size", output_size, self.axes)
        else:
            parts = output_ratio
            if not isinstance(parts, (tuple, list)):
                parts = (parts,) * self.axes
            F.check_ratio(name, parts, self.axes)
            self.output_ratio = tuple(parts)

    def _arguments(self) -> tuple[Any, ...]:
        sizes = self.output_size, self.output_ratio
        return self.kernel_size, *sizes, self.return_indices, self._random_samples

    def extra_repr(self) -> str:
        size = f"output_size={self.output_size}"
        if self.output_size is None:
            size = f"output_ratio={self.output_ratio}"
        return f"kernel_size={self.kernel_size}, {size}"


class FractionalMaxPool2d(_FractionalMaxPool):
    """Take the largest element of each window, whose places are drawn in each call.

    Args:
        kernel_size: the window's size, a number or one for each axis.
        output_size: height and width of the result.
        output_ratio: those of the result as parts of the input's, above 0 and below 1; in
            place of output_size.
        return_indices: also return where in its plane each of them was found, for
            `MaxUnpool2d`.

    Shape:
        (n, c, h, w) or (c, h, w) -> (n, c, oh, ow) or (c, oh, ow)

    Raises:
        ValueError: neither or both of output_size and output_ratio are given, or a ratio is
            out of range.

    Example:
        >>> import pyautodl as ad
        >>> ad.nn.FractionalMaxPool2d(2, output_ratio=0.7)(ad.rand(1, 3, 20, 10)).shape
        pyautodl.Size([1, 3, 14, 7])

    Source: Graham, "Fractional max-pooling", 2014.
    """

    axes = 2

    def forward(self, input: Tensor) -> Any:
        return F.fractional_max_pool2d(input, *self._arguments())


class FractionalMaxPool3d(_FractionalMaxPool):
    """Take the largest element of each window over three axes; see `FractionalMaxPool2d`.

    Shape:
        (n, c, d, h, w) or (c, d, h, w) -> (n, c, od, oh, ow) or (c, od, oh, ow)

    Example:
        >>> import pyautodl as ad
        >>> ad.nn.FractionalMaxPool3d(2, output_size=3)(ad.rand(2, 1, 6, 6, 6)).shape
        pyautodl.Size([2, 1, 3, 3, 3])
    """

    axes = 3

    def forward(self, input: Tensor) -> Any:
        return F.fractional_max_pool3d(input, *self._arguments())
