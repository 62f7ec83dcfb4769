"""Distributions with long tails, and of the largest of many: Gumbel, Cauchy, Weibull."""

from __future__ import annotations

import math
from typing import Any

from pyautodl.distributions.distribution import (
    Distribution,
    as_parameters,
    check_all,
    check_share,
    off_ends,
)
from pyautodl.distributions.location_scale import LocationScale
from pyautodl.functional.creation import full_like
from pyautodl.functional.eltwise import exp, lgamma, logical_and
from pyautodl.functional.random import rand
from pyautodl.tensor import Tensor, explained

__all__ = ["Cauchy", "Gumbel", "Weibull"]

# Euler's constant
_EULER = 0.57721566490153286060


def _inner_share(kind: Distribution, sample_shape: Any, like: Tensor) -> Tensor:
    """Draws from 0 to 1 without the ends."""
    return off_ends(rand(kind.extended_shape(sample_shape), dtype=like.dtype))


class Gumbel(LocationScale):
    """The largest of many draws, around `loc`.

    Args:
        loc: the modes, a tensor or a number.
        scale: above 0.
        validate_args: False to skip the check.

    Raises:
        ValueError: a scale is not above 0.

    Example:
        >>> import pyautodl as ad
        >>> ad.distributions.Gumbel(0.0, 1.0).log_prob(ad.tensor([0.0, 1.0]))
        tensor([-1.0000, -1.3679])
    """

    _name = "Gumbel"

    @property
    def mean(self) -> Tensor:
        return self.loc + self.scale * _EULER

    @property
    def variance(self) -> Tensor:
        return (math.pi / math.sqrt(6) * self.scale) ** 2

    @property
    def stddev(self) -> Tensor:
        return math.pi / math.sqrt(6) * self.scale

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        share = _inner_share(self, sample_shape, self.loc)
        return self.loc - self.scale * (-share.log()).log()

    def log_prob(self, value: Tensor) -> Tensor:
        z = (self.loc - value) / self.scale
        return z - exp(z) - self.scale.log()

    def cdf(self, value: Tensor) -> Tensor:
        """Return the probability of draws up to `value`."""
        return exp(-exp((self.loc - value) / self.scale))

    def icdf(self, value: Tensor) -> Tensor:
        """Return up to where draws have the probability `value`."""
        check_share(self, value)
        return self.loc - self.scale * (-value.log()).log()

    def entropy(self) -> Tensor:
        return self.scale.log() + (1 + _EULER)


class Cauchy(LocationScale):
    """The quotient of two normal numbers, around `loc`: it has no mean.

    Args:
        loc: the middles, a tensor or a number.
        scale: the widths at half the height, halved, above 0.
        validate_args: False to skip the check.

    Raises:
        ValueError: a scale is not above 0.

    Example:
        >>> import pyautodl as ad
        >>> ad.distributions.Cauchy(0.0, 1.0).log_prob(ad.tensor([0.0, 1.0]))
        tensor([-1.1447, -1.8379])
    """

    _name = "Cauchy"

    @property
    def mean(self) -> Tensor:
        return full_like(self.loc, math.nan)

    @property
    def variance(self) -> Tensor:
        return full_like(self.loc, math.inf)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        share = _inner_share(self, sample_shape, self.loc)
        return self.loc + self.scale * (math.pi * (share - 0.5)).tan()

    def log_prob(self, value: Tensor) -> Tensor:
        z = (value - self.loc) / self.scale
        return -math.log(math.pi) - self.scale.log() - z.square().log1p()

    def cdf(self, value: Tensor) -> Tensor:
        """Return the probability of draws up to `value`."""
        return ((value - self.loc) / self.scale).atan() / math.pi + 0.5

    def icdf(self, value: Tensor) -> Tensor:
        """Return up to where draws have the probability `value`."""
        check_share(self, value)
        return self.loc + self.scale * (math.pi * (value - 0.5)).tan()

    def entropy(self) -> Tensor:
        return (4 * math.pi * self.scale).log()


class Weibull(Distribution):
    """Positive numbers: times of failures that become rarer or more frequent.

    Args:
        scale: a tensor or a number above 0.
        concentration: above 0; below 1 failures become rarer.
        validate_args: False to skip the check.

    Raises:
        ValueError: a parameter is not above 0.

    Example:
        >>> import pyautodl as ad
        >>> ad.distributions.Weibull(1.0, 2.0).log_prob(ad.tensor([0.5, 1.0]))
        tensor([-0.2500, -0.3069])
    """

    has_rsample = True

    @explained
    def __init__(
        self, scale: Any, concentration: Any, validate_args: bool | None = None
    ) -> None:
        self.scale, self.concentration = as_parameters(scale, concentration)
        self._checks = validate_args is not False
        if self._checks:
            fine = logical_and(self.scale > 0, self.concentration > 0)
            shown = self.scale if bool((self.scale <= 0).any()) else self.concentration
            check_all("Weibull", "scale and concentration above 0", fine, shown)
        super().__init__(self.scale.shape)

    def _moment(self, order: int) -> Tensor:
        return exp(lgamma(1 + order / self.concentration)) * self.scale**order

    @property
    def mean(self) -> Tensor:
        return self._moment(1)

    @property
    def variance(self) -> Tensor:
        return self._moment(2) - self._moment(1) ** 2

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        share = _inner_share(self, sample_shape, self.scale)
        return self.scale * (-share.log()) ** (1 / self.concentration)

    def log_prob(self, value: Tensor) -> Tensor:
        z = value / self.scale
        k = self.concentration
        return (k / self.scale).log() + (k - 1) * z.log() - z**k

    def cdf(self, value: Tensor) -> Tensor:
        """Return the probability of draws up to `value`."""
        return -(-((value / self.scale) ** self.concentration)).expm1()

    def icdf(self, value: Tensor) -> Tensor:
        """Return up to where draws have the probability `value`."""
        check_share(self, value)
        return self.scale * (-(-value).log1p()) ** (1 / self.concentration)

    def entropy(self) -> Tensor:
        k = self.concentration
        return _EULER * (1 - 1 / k) + (self.scale / k).log() + 1
