"""Dropout layers: active in training mode alone."""

from __future__ import annotations

from pyautodl import functional
from pyautodl.nn._sizes import chance
from pyautodl.nn.module import Module
from pyautodl.tensor import Tensor

__all__ = [
    "AlphaDropout",
    "Dropout",
    "Dropout1d",
    "Dropout2d",
    "Dropout3d",
    "FeatureAlphaDropout",
]


class _Dropout(Module):
    """What all have in common: the probability."""

    __constants__ = ["p", "inplace"]

    def __init__(self, p: float = 0.5, inplace: bool = False) -> None:
        super().__init__()
        self.p = chance(type(self).__name__, "p", p)
        self.inplace = inplace

    def extra_repr(self) -> str:
        return f"p={self.p}, inplace={self.inplace}"


class Dropout(_Dropout):
    """Sets elements to 0 with probability `p` in training and scales the others.

    Args:
        p: the probability, from 0 to 1.
        inplace: change the input.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl import nn
        >>> nn.Dropout(p=1.0)(ad.ones(3))
        tensor([0., 0., 0.])
        >>> nn.Dropout(p=1.0).eval()(ad.ones(3))
        tensor([1., 1., 1.])

    Source: Srivastava et al., "Dropout: a simple way to prevent neural networks from
    overfitting", 2014.
    """

    def forward(self, input: Tensor) -> Tensor:
        return functional.dropout(input, self.p, self.training, self.inplace)


class Dropout1d(_Dropout):
    """Sets whole channels of (n, c, l) to 0 with probability `p` in training.

    Args:
        p: the probability, from 0 to 1.
        inplace: change the input.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl import nn
        >>> nn.Dropout1d(p=1.0)(ad.ones(1, 2, 1)).flatten()
        tensor([0., 0.])
    """

    def forward(self, input: Tensor) -> Tensor:
        return functional.dropout1d(input, self.p, self.training, self.inplace)


class Dropout2d(_Dropout):
    """Sets whole channels of (n, c, h, w) to 0 with probability `p` in training.

    Args:
        p: the probability, from 0 to 1.
        inplace: change the input.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl import nn
        >>> nn.Dropout2d(p=1.0)(ad.ones(1, 2, 1, 1)).flatten()
        tensor([0., 0.])
    """

    def forward(self, input: Tensor) -> Tensor:
        return functional.dropout2d(input, self.p, self.training, self.inplace)


class Dropout3d(_Dropout):
    """Sets whole channels of (n, c, d, h, w) to 0 with probability `p` in training.

    Args:
        p: the probability, from 0 to 1.
        inplace: change the input.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl import nn
        >>> nn.Dropout3d(p=1.0)(ad.ones(1, 2, 1, 1, 1)).flatten()
        tensor([0., 0.])
    """

    def forward(self, input: Tensor) -> Tensor:
        return functional.dropout3d(input, self.p, self.training, self.inplace)


class AlphaDropout(_Dropout):
    """Dropout in training that keeps mean 0 and variance 1, to go with SELU.

    Args:
        p: the probability, from 0 to 1.
        inplace: change the input.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl import nn
        >>> nn.AlphaDropout().eval()(ad.ones(2))
        tensor([1., 1.])

    Source: Klambauer et al., "Self-normalizing neural networks", 2017.
    """

    def forward(self, input: Tensor) -> Tensor:
        return functional.alpha_dropout(input, self.p, self.training, self.inplace)


class FeatureAlphaDropout(_Dropout):
    """AlphaDropout of whole channels of (n, c, ...).

    Args:
        p: the probability, from 0 to 1.
        inplace: change the input.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl import nn
        >>> nn.FeatureAlphaDropout().eval()(ad.ones(1, 2))
        tensor([[1., 1.]])
    """

    def forward(self, input: Tensor) -> Tensor:
        return functional.feature_alpha_dropout(
            input, self.p, self.training, self.inplace
        )
