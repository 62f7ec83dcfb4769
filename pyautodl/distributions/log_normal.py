"""The distribution of numbers whose logarithm is normal."""

from __future__ import annotations

from typing import Any

from pyautodl.distributions.distribution import Distribution, check_share
from pyautodl.distributions.normal import Normal
from pyautodl.tensor import Tensor, explained

__all__ = ["LogNormal"]


class LogNormal(Distribution):
    """Positive numbers whose logarithm is normal.

    Args:
        loc: the means of the logarithm, a tensor or a number.
        scale: its standard deviations, above 0.
        validate_args: False to skip the check.

    Raises:
        ValueError: a scale is not above 0.

    Example:
        >>> import pyautodl as ad
        >>> ad.distributions.LogNormal(0.0, 1.0).log_prob(ad.tensor([1.0, 2.0]))
        tensor([-0.9189, -1.8523])
    """

    has_rsample = True

    @explained
    def __init__(self, loc: Any, scale: Any, validate_args: bool | None = None) -> None:
        self.base_dist = Normal(loc, scale, validate_args)
        self._checks = self.base_dist._checks
        super().__init__(self.base_dist.batch_shape)

    @property
    def loc(self) -> Tensor:
        """The means of the logarithm."""
        return self.base_dist.loc

    @property
    def scale(self) -> Tensor:
        """The standard deviations of the logarithm."""
        return self.base_dist.scale

    @property
    def mean(self) -> Tensor:
        return (self.loc + self.scale**2 / 2).exp()

    @property
    def mode(self) -> Tensor:
        """The most likely values."""
        return (self.loc - self.scale**2).exp()

    @property
    def variance(self) -> Tensor:
        square = self.scale**2
        return square.expm1() * (2 * self.loc + square).exp()

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        return self.base_dist.rsample(sample_shape).exp()

    def log_prob(self, value: Tensor) -> Tensor:
        logarithm = value.log()
        return self.base_dist.log_prob(logarithm) - logarithm

    def cdf(self, value: Tensor) -> Tensor:
        """Return the probability of draws up to `value`."""
        return self.base_dist.cdf(value.log())

    def icdf(self, value: Tensor) -> Tensor:
        """Return up to where draws have the probability `value`."""
        check_share(self, value)
        return self.base_dist.icdf(value).exp()

    def entropy(self) -> Tensor:
        return self.base_dist.entropy() + self.loc
