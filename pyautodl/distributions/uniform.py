"""The uniform distribution."""

from __future__ import annotations

import math
from typing import Any

from pyautodl.distributions.distribution import (
    Distribution,
    as_parameters,
    check_all,
    check_share,
)
from pyautodl.functional.eltwise import logical_and, where
from pyautodl.functional.random import rand
from pyautodl.tensor import Tensor, explained

__all__ = ["Uniform"]


class Uniform(Distribution):
    """Numbers from [low, high), each equally likely.

    Args:
        low: the ends below, a tensor or a number.
        high: the ends above.
        validate_args: False to skip the check.

    Raises:
        ValueError: high is not above low.

    Example:
        >>> import pyautodl as ad
        >>> ad.distributions.Uniform(0.0, 2.0).log_prob(ad.tensor([1.0, 3.0]))
        tensor([-0.6931,    -inf])
    """

    has_rsample = True

    @explained
    def __init__(self, low: Any, high: Any, validate_args: bool | None = None) -> None:
        self.low, self.high = as_parameters(low, high)
        self._checks = validate_args is not False
        if self._checks:
            check_all("Uniform", "high above low", self.high > self.low, self.high)
        super().__init__(self.low.shape)

    @property
    def mean(self) -> Tensor:
        return (self.high + self.low) / 2

    @property
    def variance(self) -> Tensor:
        return (self.high - self.low) ** 2 / 12

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        share = rand(self.extended_shape(sample_shape), dtype=self.low.dtype)
        return self.low + share * (self.high - self.low)

    def log_prob(self, value: Tensor) -> Tensor:
        inside = logical_and(value >= self.low, value < self.high)
        return where(inside, -(self.high - self.low).log(), -math.inf)

    def cdf(self, value: Tensor) -> Tensor:
        """Return the probability of draws up to `value`."""
        return ((value - self.low) / (self.high - self.low)).clamp(0, 1)

    def icdf(self, value: Tensor) -> Tensor:
        """Return up to where draws have the probability `value`."""
        check_share(self, value)
        return self.low + value * (self.high - self.low)

    def entropy(self) -> Tensor:
        return (self.high - self.low).log()
