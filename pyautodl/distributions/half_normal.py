"""The distribution of the sizes of normal numbers."""

from __future__ import annotations

import math
from typing import Any

from pyautodl.distributions.distribution import Distribution, check_share
from pyautodl.distributions.normal import Normal
from pyautodl.functional.eltwise import where
from pyautodl.tensor import Tensor, explained

__all__ = ["HalfNormal"]


class HalfNormal(Distribution):
    """What is left of normal numbers around 0 without their sign.

    Args:
        scale: the standard deviations before, a tensor or a number, above 0.
        validate_args: False to skip the check.

    Raises:
        ValueError: a scale is not above 0.

    Example:
        >>> import pyautodl as ad
        >>> ad.distributions.HalfNormal(1.0).log_prob(ad.tensor([0.0, -1.0]))
        tensor([-0.2258,    -inf])
    """

    has_rsample = True

    @explained
    def __init__(self, scale: Any, validate_args: bool | None = None) -> None:
        self.base_dist = Normal(0.0, scale, validate_args)
        self._checks = self.base_dist._checks
        super().__init__(self.base_dist.batch_shape)

    @property
    def scale(self) -> Tensor:
        """The standard deviations of the normal numbers."""
        return self.base_dist.scale

    @property
    def mean(self) -> Tensor:
        return self.scale * math.sqrt(2 / math.pi)

    @property
    def variance(self) -> Tensor:
        return self.scale**2 * (1 - 2 / math.pi)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        return self.base_dist.rsample(sample_shape).abs()

    def log_prob(self, value: Tensor) -> Tensor:
        whole = self.base_dist.log_prob(value) + math.log(2)
        return where(value >= 0, whole, -math.inf)

    def cdf(self, value: Tensor) -> Tensor:
        """Return the probability of draws up to `value`."""
        return 2 * self.base_dist.cdf(value.clamp(min=0)) - 1

    def icdf(self, value: Tensor) -> Tensor:
        """Return up to where draws have the probability `value`."""
        check_share(self, value)
        return self.base_dist.icdf((value + 1) / 2)

    def entropy(self) -> Tensor:
        return self.base_dist.entropy() - math.log(2)
