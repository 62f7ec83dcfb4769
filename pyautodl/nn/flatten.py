"""Layers that change the shape alone."""

from __future__ import annotations

from pyautodl.functional.eltwise.unary import check_tensor
from pyautodl.nn.module import Module
from pyautodl.tensor import Tensor

__all__ = ["Flatten", "Unflatten"]


class Flatten(Module):
    """Joins the axes from `start_dim` to `end_dim`; by default all but the first.

    Args:
        start_dim: the first axis to join.
        end_dim: the last one.

    Shape:
        (n, c, h, w) -> (n, c * h * w) by default.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl import nn
        >>> nn.Flatten()(ad.zeros(2, 3, 4)).shape
        pyautodl.Size([2, 12])
    """

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        super().__init__()
        self.start_dim = start_dim
        self.end_dim = end_dim

    def forward(self, input: Tensor) -> Tensor:
        check_tensor("Flatten", input)
        return input.flatten(self.start_dim, self.end_dim)

    def extra_repr(self) -> str:
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"


class Unflatten(Module):
    """Splits an axis into several.

    Args:
        dim: the axis to split.
        unflattened_size: the sizes it becomes.

    Shape:
        (n, c * h) -> (n, c, h) with dim=1 and unflattened_size=(c, h).

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl import nn
        >>> nn.Unflatten(1, (3, 4))(ad.zeros(2, 12)).shape
        pyautodl.Size([2, 3, 4])
    """

    def __init__(self, dim: int, unflattened_size: tuple[int, ...]) -> None:
        super().__init__()
        self.dim = dim
        self.unflattened_size = tuple(unflattened_size)

    def forward(self, input: Tensor) -> Tensor:
        return input.unflatten(self.dim, self.unflattened_size)

    def extra_repr(self) -> str:
        return f"dim={self.dim}, unflattened_size={self.unflattened_size}"
