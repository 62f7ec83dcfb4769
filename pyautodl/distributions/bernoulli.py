"""One event that happens or not."""

from __future__ import annotations

from typing import Any

from pyautodl.autograd.grad_mode import no_grad
from pyautodl.distributions.distribution import (
    Distribution,
    as_parameters,
    check_all,
)
from pyautodl.functional.eltwise import logical_and, sigmoid
from pyautodl.functional.eltwise.activation import softplus
from pyautodl.functional.limits import finfo
from pyautodl.functional.random import bernoulli
from pyautodl.functional.views import broadcast_to
from pyautodl.tensor import Tensor, explained

__all__ = ["Bernoulli"]


class Bernoulli(Distribution):
    """1 with a probability, else 0.

    Args:
        probs: of 1, a tensor or a number; or
        logits: log(p / (1 - p)).
        validate_args: False to skip the check.

    Raises:
        ValueError: not exactly one of probs and logits is given, or a probability is not
            from 0 to 1.

    Example:
        >>> import pyautodl as ad
        >>> ad.distributions.Bernoulli(0.25).log_prob(ad.tensor([1.0, 0.0]))
        tensor([-1.3863, -0.2877])
    """

    @explained
    def __init__(
        self, probs: Any = None, logits: Any = None, validate_args: bool | None = None
    ) -> None:
        if (probs is None) == (logits is None):
            raise ValueError("Bernoulli: give exactly one of probs and logits")
        if logits is not None:
            (self.logits,) = as_parameters(logits)
            self.probs = sigmoid(self.logits)
        else:
            (self.probs,) = as_parameters(probs)
            fine = logical_and(self.probs >= 0, self.probs <= 1)
            if validate_args is not False:
                check_all("Bernoulli", "probs from 0 to 1", fine, self.probs)
            # so that both logarithms are finite
            eps = finfo(self.probs.dtype).eps
            p = self.probs.clamp(eps, 1 - eps)
            self.logits = p.log() - (-p).log1p()
        super().__init__(self.probs.shape)

    @property
    def mean(self) -> Tensor:
        return self.probs

    @property
    def variance(self) -> Tensor:
        return self.probs * (1 - self.probs)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        with no_grad():
            shape = self.extended_shape(sample_shape)
            return bernoulli(broadcast_to(self.probs, shape).contiguous())

    def log_prob(self, value: Tensor) -> Tensor:
        return value * self.logits - softplus(self.logits)

    def entropy(self) -> Tensor:
        return softplus(self.logits) - self.probs * self.logits
