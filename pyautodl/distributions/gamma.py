"""The gamma distribution and the sum of squares, which is one."""

from __future__ import annotations

from typing import Any

from pyautodl.distributions.distribution import (
    Distribution,
    as_parameters,
    check_all,
    check_value,
)
from pyautodl.functional.draws import draw
from pyautodl.functional.eltwise import digamma, lgamma, xlogy
from pyautodl.functional.limits import finfo
from pyautodl.functional.views import broadcast_to
from pyautodl.tensor import Tensor, explained

__all__ = ["Chi2", "Gamma"]


class Gamma(Distribution):
    """Waiting times for `concentration` of what happens `rate` times in a unit of time.

    Draws pass gradients to both, implicitly to the concentration (Figurnov, Mohamed and
    Mnih, "Implicit reparameterization gradients", 2018).

    Args:
        concentration: the shape, a tensor or a number, above 0.
        rate: above 0.
        validate_args: False to skip the checks.

    Raises:
        ValueError: a parameter is not above 0; in `log_prob`, a value is negative.

    Example:
        >>> import pyautodl as ad
        >>> ad.distributions.Gamma(2.0, 1.0).log_prob(ad.tensor([1.0, 2.0]))
        tensor([-1.0000, -1.3069])
    """

    has_rsample = True

    @explained
    def __init__(
        self, concentration: Any, rate: Any, validate_args: bool | None = None
    ) -> None:
        self.concentration, self.rate = as_parameters(concentration, rate)
        self._checks = validate_args is not False
        name = type(self).__name__
        if self._checks:
            positive = self.concentration > 0
            check_all(name, "concentration above 0", positive, self.concentration)
            check_all(name, "rate above 0", self.rate > 0, self.rate)
        super().__init__(self.rate.shape)

    @property
    def mean(self) -> Tensor:
        return self.concentration / self.rate

    @property
    def mode(self) -> Tensor:
        """The most likely values."""
        return ((self.concentration - 1) / self.rate).clamp(min=0)

    @property
    def variance(self) -> Tensor:
        return self.concentration / self.rate**2

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        shape = self.extended_shape(sample_shape)
        concentration = broadcast_to(self.concentration, shape)
        drawn = draw("gamma", concentration, concentration.detach())
        # so that the logarithm is finite
        return (drawn / self.rate).clamp(min=finfo(drawn.dtype).tiny)

    def log_prob(self, value: Tensor) -> Tensor:
        if self._checks:
            check_value(self, "values from 0 on", value >= 0, value)
        powers = xlogy(self.concentration, self.rate)
        powers = powers + xlogy(self.concentration - 1, value)
        return powers - self.rate * value - lgamma(self.concentration)

    def entropy(self) -> Tensor:
        a = self.concentration
        return a - self.rate.log() + lgamma(a) + (1 - a) * digamma(a)


class Chi2(Gamma):
    """Sums of the squares of `df` standard normal numbers.

    Args:
        df: the degrees of freedom, above 0.
        validate_args: False to skip the checks.

    Raises:
        ValueError: df is not above 0; in `log_prob`, a value is negative.

    Example:
        >>> import pyautodl as ad
        >>> ad.distributions.Chi2(ad.tensor([2.0, 5.0])).mean
        tensor([2., 5.])
    """

    @explained
    def __init__(self, df: Any, validate_args: bool | None = None) -> None:
        (df,) = as_parameters(df)
        super().__init__(0.5 * df, 0.5, validate_args)

    @property
    def df(self) -> Tensor:
        """The degrees of freedom."""
        return self.concentration * 2
