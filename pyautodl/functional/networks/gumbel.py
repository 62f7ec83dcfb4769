"""Draws of categories that gradients pass."""

from __future__ import annotations

from typing import Any

from pyautodl.functional.creation import zeros_like
from pyautodl.functional.random import exponential
from pyautodl.functional.softmax import softmax
from pyautodl.tensor import Tensor, explained

__all__ = ["gumbel_softmax"]


@explained
def gumbel_softmax(
    logits: Tensor,
    tau: float = 1,
    hard: bool = False,
    eps: float = 1e-10,
    dim: int = -1,
) -> Tensor:
    """Draw categories by logits, softly, so that gradients pass.

    Args:
        logits: of the categories.
        tau: the lower, the closer to one-hot.
        hard: give one-hot results, with the gradient of soft ones.
        eps: without effect.
        dim: the axis of the categories.

    Shape:
        any -> the same.

    Example:
        >>> import pyautodl as ad
        >>> y = ad.nn.functional.gumbel_softmax(ad.zeros(4, 3), hard=True)
        >>> y.sum(-1)
        tensor([1., 1., 1., 1.])

    Source: Jang et al., "Categorical reparameterization with Gumbel-softmax", 2017;
    Maddison et al., "The concrete distribution", 2017.
    """
    gumbel: Any = -exponential(logits.detach()).log()
    soft = softmax((logits + gumbel) / tau, dim)
    if not hard:
        return soft
    best = soft.detach().argmax(dim, keepdim=True)
    one = zeros_like(soft).scatter(dim, best, 1.0)
    return one - soft.detach() + soft
