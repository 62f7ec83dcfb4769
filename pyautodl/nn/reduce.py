"""Layers that measure distances."""

from __future__ import annotations

from pyautodl.functional.reduce import cosine_similarity, pairwise_distance
from pyautodl.nn.module import Module
from pyautodl.tensor import Tensor

__all__ = ["CosineSimilarity", "PairwiseDistance"]


class CosineSimilarity(Module):
    """Computes the cosine of the angle between vectors along an axis.

    Args:
        dim: the axis.
        eps: the least value of each norm.

    Shape:
        (n, d), (n, d) -> (n) with dim=1

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl import nn
        >>> nn.CosineSimilarity()(ad.ones(1, 4), ad.ones(1, 4))
        tensor([1.])
    """

    def __init__(self, dim: int = 1, eps: float = 1e-8) -> None:
        super().__init__()
        self.dim = dim
        self.eps = eps

    def forward(self, x1: Tensor, x2: Tensor) -> Tensor:
        """Return the similarity of `x1` and `x2`."""
        return cosine_similarity(x1, x2, self.dim, self.eps)

    def extra_repr(self) -> str:
        """Return the axis and eps."""
        return f"dim={self.dim}, eps={self.eps}"


class PairwiseDistance(Module):
    """Computes the p-norm of x1 - x2 + eps along the last axis.

    Args:
        p: the exponent.
        eps: keeps the distance of equal vectors from 0.
        keepdim: keep the axis with size 1.

    Shape:
        (n, d), (n, d) -> (n)

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl import nn
        >>> nn.PairwiseDistance()(ad.zeros(1, 2), ad.tensor([[3.0, 4.0]]))
        tensor([5.0000])
    """

    def __init__(
        self, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False
    ) -> None:
        super().__init__()
        self.norm = p
        self.eps = eps
        self.keepdim = keepdim

    def forward(self, x1: Tensor, x2: Tensor) -> Tensor:
        """Return the distance of `x1` and `x2`."""
        return pairwise_distance(x1, x2, self.norm, self.eps, self.keepdim)

    def extra_repr(self) -> str:
        """Return the exponent, eps and keepdim."""
        return f"norm={self.norm}, eps={self.eps}, keepdim={self.keepdim}"
