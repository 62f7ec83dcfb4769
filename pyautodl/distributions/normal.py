"""The normal distribution."""

from __future__ import annotations

import math
from typing import Any

from pyautodl.distributions.distribution import check_share
from pyautodl.distributions.location_scale import LocationScale
from pyautodl.functional.eltwise import erf
from pyautodl.functional.eltwise.special import ndtri
from pyautodl.functional.random import randn
from pyautodl.functional.views import broadcast_to
from pyautodl.tensor import Tensor

__all__ = ["Normal"]


class Normal(LocationScale):
    """Numbers around `loc`, spread by `scale`.

    Args:
        loc: the means, a tensor or a number.
        scale: the standard deviations, above 0.
        validate_args: False to skip the check.

    Raises:
        ValueError: a scale is not above 0, or a loc is nan.

    Example:
        >>> import pyautodl as ad
        >>> ad.distributions.Normal(0.0, 1.0).log_prob(ad.tensor([0.0, 1.0]))
        tensor([-0.9189, -1.4189])
    """

    _name = "Normal"

    @property
    def stddev(self) -> Tensor:
        return self.scale

    @property
    def variance(self) -> Tensor:
        return self.scale**2

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        shape = self.extended_shape(sample_shape)
        noise = randn(shape, dtype=self.loc.dtype)
        return broadcast_to(self.loc, shape) + noise * self.scale

    def log_prob(self, value: Tensor) -> Tensor:
        z = (value - self.loc) / self.scale
        return -0.5 * z * z - self.scale.log() - 0.5 * math.log(2 * math.pi)

    def cdf(self, value: Tensor) -> Tensor:
        """Return the probability of draws up to `value`."""
        return 0.5 * (1 + erf((value - self.loc) / (self.scale * math.sqrt(2))))

    def icdf(self, value: Tensor) -> Tensor:
        """Return up to where draws have the probability `value`."""
        check_share(self, value)
        return self.loc + self.scale * ndtri(value)

    def entropy(self) -> Tensor:
        return self.scale.log() + 0.5 * (1 + math.log(2 * math.pi))
