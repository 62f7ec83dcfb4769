"""The Laplace distribution."""

from __future__ import annotations

from typing import Any

from pyautodl.distributions.distribution import check_share
from pyautodl.distributions.location_scale import LocationScale
from pyautodl.functional.eltwise import where
from pyautodl.functional.limits import finfo
from pyautodl.functional.random import rand
from pyautodl.tensor import Tensor

__all__ = ["Laplace"]


class Laplace(LocationScale):
    """Numbers around `loc`, ever less likely with their distance from it.

    Args:
        loc: the middles, a tensor or a number.
        scale: the mean distances, above 0.
        validate_args: False to skip the check.

    Raises:
        ValueError: a scale is not above 0, or a loc is nan.

    Example:
        >>> import pyautodl as ad
        >>> ad.distributions.Laplace(0.0, 1.0).log_prob(ad.tensor([0.0, -1.0]))
        tensor([-0.6931, -1.6931])
    """

    _name = "Laplace"

    @property
    def variance(self) -> Tensor:
        return 2 * self.scale**2

    @property
    def stddev(self) -> Tensor:
        return 2**0.5 * self.scale

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        share = rand(self.extended_shape(sample_shape), dtype=self.loc.dtype) * 2 - 1
        # -1 itself lies infinitely far out
        share = share.clamp(min=finfo(self.loc.dtype).eps - 1)
        return self.loc - self.scale * share.sign() * (-share.abs()).log1p()

    def log_prob(self, value: Tensor) -> Tensor:
        return -(value - self.loc).abs() / self.scale - (2 * self.scale).log()

    def cdf(self, value: Tensor) -> Tensor:
        """Return the probability of draws up to `value`."""
        z = (value - self.loc) / self.scale
        return where(z < 0, 0.5 * z.exp(), 1 - 0.5 * (-z).exp())

    def icdf(self, value: Tensor) -> Tensor:
        """Return up to where draws have the probability `value`."""
        check_share(self, value)
        # either half by its own logarithm, exact near both ends
        far = where(value < 0.5, (2 * value).log(), -(2 - 2 * value).log())
        return self.loc + self.scale * far

    def entropy(self) -> Tensor:
        return 1 + (2 * self.scale).log()
