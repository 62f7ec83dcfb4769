"""Shares that sum to 1: the Dirichlet distribution, and of two shares the beta one."""

from __future__ import annotations

from typing import Any

from pyautodl.distributions.distribution import (
    Distribution,
    as_parameters,
    check_all,
    check_value,
)
from pyautodl.errors import ShapeError
from pyautodl.functional.copy import stack
from pyautodl.functional.draws import draw
from pyautodl.functional.eltwise import (
    digamma,
    lgamma,
    logical_and,
    sigmoid,
    where,
    xlogy,
)
from pyautodl.functional.eltwise.special import xlog1py
from pyautodl.functional.index import one_hot
from pyautodl.functional.limits import finfo
from pyautodl.functional.softmax import softmax
from pyautodl.functional.views import broadcast_to
from pyautodl.tensor import Size, Tensor, explained

__all__ = ["Beta", "Dirichlet"]


def _log_gammas(concentration: Tensor, shape: Any) -> Tensor:
    """Logarithms of gamma numbers: of small concentrations the numbers would be 0."""
    each = broadcast_to(concentration, shape)
    return draw("log_gamma", each, each.detach())


def _most_likely(concentration: Tensor) -> Tensor:
    above = (concentration - 1).clamp(min=0)
    low = (concentration < 1).all(-1, keepdim=True)
    largest = one_hot(concentration.argmax(-1), concentration.shape[-1])
    whole = above.sum(-1, keepdim=True)
    return where(low, largest.to(above.dtype), above / where(low, 1.0, whole))


class Dirichlet(Distribution):
    """Shares of a whole, as gamma numbers over their sum.

    Draws pass gradients by those of the gamma numbers (Figurnov, Mohamed and Mnih,
    "Implicit reparameterization gradients", 2018).

    Args:
        concentration: above 0, of the shares on the last axis.
        validate_args: False to skip the checks.

    Raises:
        ValueError: a concentration is not above 0; in `log_prob`, values are no shares.
        ShapeError: there is no axis of shares.

    Example:
        >>> import pyautodl as ad
        >>> ad.distributions.Dirichlet(ad.ones(3)).log_prob(ad.tensor([0.2, 0.3, 0.5]))
        tensor(0.6931)
    """

    has_rsample = True

    def __init__(
        self, concentration: Tensor, validate_args: bool | None = None
    ) -> None:
        if not isinstance(concentration, Tensor) or not concentration.ndim:
            raise ShapeError("Dirichlet: expected a tensor of at least one axis")
        self.concentration = concentration
        self._checks = validate_args is not False
        if self._checks:
            positive = concentration > 0
            check_all("Dirichlet", "concentration above 0", positive, concentration)
        self.event_shape = Size(concentration.shape[-1:])
        super().__init__(concentration.shape[:-1])

    @property
    def mean(self) -> Tensor:
        return self.concentration / self.concentration.sum(-1, keepdim=True)

    @property
    def mode(self) -> Tensor:
        """The most likely shares; where all concentrations are below 1, one whole."""
        return _most_likely(self.concentration)

    @property
    def variance(self) -> Tensor:
        total = self.concentration.sum(-1, keepdim=True)
        return self.mean * (1 - self.mean) / (total + 1)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        shape = self.extended_shape(sample_shape)
        shares = softmax(_log_gammas(self.concentration, shape), -1)
        # so that the logarithm is finite
        return shares.clamp(min=finfo(shares.dtype).tiny)

    def log_prob(self, value: Tensor) -> Tensor:
        if self._checks:
            whole = (value.sum(-1, keepdim=True) - 1).abs() < 1e-6
            fine = logical_and(value >= 0, whole)
            check_value(self, "shares that sum to 1", fine, value)
        a = self.concentration
        density = xlogy(a - 1, value).sum(-1) + lgamma(a.sum(-1))
        return density - lgamma(a).sum(-1)

    def entropy(self) -> Tensor:
        a = self.concentration
        total, count = a.sum(-1), a.shape[-1]
        volume = lgamma(a).sum(-1) - lgamma(total)
        each = ((a - 1) * digamma(a)).sum(-1)
        return volume + (total - count) * digamma(total) - each


class Beta(Distribution):
    """Shares of two, of which the first is drawn.

    Args:
        concentration1: of the first, a tensor or a number, above 0.
        concentration0: of the other.
        validate_args: False to skip the checks.

    Raises:
        ValueError: a concentration is not above 0; in `log_prob`, a value is not from 0 to
            1.

    Example:
        >>> import pyautodl as ad
        >>> ad.distributions.Beta(2.0, 1.0).log_prob(ad.tensor([0.5, 1.0]))
        tensor([0.0000, 0.6931])
    """

    has_rsample = True

    @explained
    def __init__(
        self,
        concentration1: Any,
        concentration0: Any,
        validate_args: bool | None = None,
    ) -> None:
        both = as_parameters(concentration1, concentration0)
        self.concentration1, self.concentration0 = both
        self._checks = validate_args is not False
        if self._checks:
            for name, each in zip(("concentration1", "concentration0"), both):
                check_all("Beta", f"{name} above 0", each > 0, each)
        super().__init__(both[0].shape)

    @property
    def _total(self) -> Tensor:
        return self.concentration1 + self.concentration0

    @property
    def mean(self) -> Tensor:
        return self.concentration1 / self._total

    @property
    def mode(self) -> Tensor:
        """The most likely values; an end, where both concentrations are below 1."""
        both = stack([self.concentration1, self.concentration0], -1)
        return _most_likely(both)[..., 0]

    @property
    def variance(self) -> Tensor:
        total = self._total
        product = self.concentration1 * self.concentration0
        return product / (total**2 * (total + 1))

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        shape = self.extended_shape(sample_shape)
        first = _log_gammas(self.concentration1, shape)
        share = sigmoid(first - _log_gammas(self.concentration0, shape))
        limits = finfo(share.dtype)
        # so that both logarithms are finite
        return share.clamp(limits.tiny, 1 - limits.eps / 2)

    def log_prob(self, value: Tensor) -> Tensor:
        if self._checks:
            fine = logical_and(value >= 0, value <= 1)
            check_value(self, "values from 0 to 1", fine, value)
        a, b = self.concentration1, self.concentration0
        density = xlogy(a - 1, value) + xlog1py(b - 1, -value)
        return density + lgamma(a + b) - lgamma(a) - lgamma(b)

    def entropy(self) -> Tensor:
        a, b = self.concentration1, self.concentration0
        volume = lgamma(a) + lgamma(b) - lgamma(a + b)
        each = (a - 1) * digamma(a) + (b - 1) * digamma(b)
        return volume + (a + b - 2) * digamma(a + b) - each
