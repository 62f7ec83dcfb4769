"""The exponential distribution."""

from __future__ import annotations

import math
from typing import Any

from pyautodl.distributions.distribution import (
    Distribution,
    as_parameters,
    check_all,
    check_share,
)
from pyautodl.functional.eltwise import where
from pyautodl.functional.random import rand
from pyautodl.tensor import Tensor, explained

__all__ = ["Exponential"]


class Exponential(Distribution):
    """Waiting times for what happens `rate` times in a unit of time.

    Args:
        rate: a tensor or a number, above 0.
        validate_args: False to skip the check.

    Raises:
        ValueError: a rate is not above 0.

    Example:
        >>> import pyautodl as ad
        >>> ad.distributions.Exponential(2.0).log_prob(ad.tensor([0.0, 1.0, -1.0]))
        tensor([ 0.6931, -1.3069,    -inf])
    """

    has_rsample = True

    @explained
    def __init__(self, rate: Any, validate_args: bool | None = None) -> None:
        (self.rate,) = as_parameters(rate)
        self._checks = validate_args is not False
        if self._checks:
            check_all("Exponential", "rate above 0", self.rate > 0, self.rate)
        super().__init__(self.rate.shape)

    @property
    def mean(self) -> Tensor:
        return 1 / self.rate

    @property
    def variance(self) -> Tensor:
        return self.rate**-2

    @property
    def stddev(self) -> Tensor:
        return 1 / self.rate

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        share = rand(self.extended_shape(sample_shape), dtype=self.rate.dtype)
        return -(-share).log1p() / self.rate

    def log_prob(self, value: Tensor) -> Tensor:
        return where(value >= 0, self.rate.log() - self.rate * value, -math.inf)

    def cdf(self, value: Tensor) -> Tensor:
        """Return the probability of draws up to `value`."""
        return -(-self.rate * value.clamp(min=0)).expm1()

    def icdf(self, value: Tensor) -> Tensor:
        """Return up to where draws have the probability `value`."""
        check_share(self, value)
        return -(-value).log1p() / self.rate

    def entropy(self) -> Tensor:
        return 1 - self.rate.log()
