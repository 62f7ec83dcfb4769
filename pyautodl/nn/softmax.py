"""Softmax layers."""

from __future__ import annotations

from pyautodl.errors import ShapeError
from pyautodl.functional.softmax import log_softmax, softmax, softmin
from pyautodl.nn.module import Module
from pyautodl.tensor import Tensor

__all__ = ["LogSoftmax", "Softmax", "Softmax2d", "Softmin"]


class _AlongDim(Module):
    """A layer with an axis."""

    def __init__(self, dim: int | None = None) -> None:
        super().__init__()
        self.dim = dim

    def extra_repr(self) -> str:
        return f"dim={self.dim}"


class Softmax(_AlongDim):
    """Softmax along an axis: the elements become positive and sum to 1.

    Args:
        dim: the axis; if None, PyTorch's choice, with a warning.

    Shape:
        any -> the same.

    Example:
        >>> import pyautodl as ad
        >>> ad.nn.Softmax(dim=1)(ad.zeros(1, 4))
        tensor([[0.2500, 0.2500, 0.2500, 0.2500]])
    """

    def forward(self, input: Tensor) -> Tensor:
        return softmax(input, self.dim, _stacklevel=5)


class LogSoftmax(_AlongDim):
    """The logarithm of softmax along an axis.

    Args:
        dim: the axis; if None, PyTorch's choice, with a warning.

    Shape:
        any -> the same.

    Example:
        >>> import pyautodl as ad
        >>> ad.nn.LogSoftmax(dim=1)(ad.zeros(1, 2))
        tensor([[-0.6931, -0.6931]])
    """

    def forward(self, input: Tensor) -> Tensor:
        return log_softmax(input, self.dim, _stacklevel=5)


class Softmin(_AlongDim):
    """Softmax of the negative input along an axis.

    Args:
        dim: the axis; if None, PyTorch's choice, with a warning.

    Shape:
        any -> the same.

    Example:
        >>> import pyautodl as ad
        >>> ad.nn.Softmin(dim=1)(ad.zeros(1, 2))
        tensor([[0.5000, 0.5000]])
    """

    def forward(self, input: Tensor) -> Tensor:
        return softmin(input, self.dim, _stacklevel=5)


class Softmax2d(Module):
    """Softmax over the channels of each pixel.

    Shape:
        (n, c, h, w) or (c, h, w) -> the same.

    Raises:
        ShapeError: the input has neither 3 nor 4 axes.

    Example:
        >>> import pyautodl as ad
        >>> ad.nn.Softmax2d()(ad.zeros(1, 2, 1, 1)).flatten()
        tensor([0.5000, 0.5000])
    """

    def forward(self, input: Tensor) -> Tensor:
        if input.ndim not in (3, 4):
            raise ShapeError(
                "Softmax2d: expected an input (n, c, h, w) or (c, h, w), got "
                f"{tuple(input.shape)}"
            )
        return softmax(input, -3)
