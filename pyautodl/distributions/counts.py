"""Counts: of what happens by a rate, of successes, of failures before the first one."""

from __future__ import annotations

from typing import Any

from pyautodl.autograd.grad_mode import no_grad
from pyautodl.distributions.distribution import (
    Distribution,
    as_parameters,
    check_all,
    check_value,
)
from pyautodl.functional.creation import arange
from pyautodl.functional.draws import draw
from pyautodl.functional.eltwise import (
    eq,
    floor,
    lgamma,
    logical_and,
    sigmoid,
    where,
    xlogy,
)
from pyautodl.functional.eltwise.activation import softplus
from pyautodl.functional.eltwise.special import xlog1py
from pyautodl.functional.limits import finfo
from pyautodl.functional.random import rand
from pyautodl.functional.views import broadcast_to
from pyautodl.tensor import Tensor, explained

__all__ = ["Binomial", "Geometric", "Poisson"]


def _are_counts(value: Tensor) -> Tensor:
    return logical_and(value >= 0, eq(value, floor(value)))


class Poisson(Distribution):
    """How often what happens `rate` times on average happens.

    Args:
        rate: a tensor or a number, 0 or more.
        validate_args: False to skip the checks.

    Raises:
        ValueError: a rate is negative; in `log_prob`, a value is no count.

    Example:
        >>> import pyautodl as ad
        >>> ad.distributions.Poisson(2.0).log_prob(ad.tensor([0.0, 2.0]))
        tensor([-2.0000, -1.3069])
    """

    @explained
    def __init__(self, rate: Any, validate_args: bool | None = None) -> None:
        (self.rate,) = as_parameters(rate)
        self._checks = validate_args is not False
        if self._checks:
            check_all("Poisson", "rate from 0 on", self.rate >= 0, self.rate)
        super().__init__(self.rate.shape)

    @property
    def mean(self) -> Tensor:
        return self.rate

    @property
    def mode(self) -> Tensor:
        """The most likely counts."""
        return floor(self.rate)

    @property
    def variance(self) -> Tensor:
        return self.rate

    def sample(self, sample_shape: Any = ()) -> Tensor:
        with no_grad():
            rates = broadcast_to(self.rate, self.extended_shape(sample_shape))
            return draw("poisson", rates, rates)

    def log_prob(self, value: Tensor) -> Tensor:
        if self._checks:
            check_value(self, "counts", _are_counts(value), value)
        return xlogy(value, self.rate) - self.rate - lgamma(value + 1)


class _Chances(Distribution):
    """What distributions of a chance share: it is given as it is or as logits."""

    _checks: bool

    def _take(self, probs: Any, logits: Any, *others: Any) -> list[Tensor]:
        name = type(self).__name__
        if (probs is None) == (logits is None):
            raise ValueError(f"{name}: give exactly one of probs and logits")
        if logits is not None:
            self.logits, *rest = as_parameters(logits, *others)
            self.probs = sigmoid(self.logits)
            return rest
        self.probs, *rest = as_parameters(probs, *others)
        if self._checks:
            fine = logical_and(self.probs >= 0, self.probs <= 1)
            check_all(name, "probs from 0 to 1", fine, self.probs)
        # so that both logarithms are finite
        eps = finfo(self.probs.dtype).eps
        p = self.probs.clamp(eps, 1 - eps)
        self.logits = p.log() - (-p).log1p()
        return rest


class Binomial(_Chances):
    """How many of `total_count` trials succeed.

    Args:
        total_count: how many trials, a tensor or a number.
        probs: the chance of each, a tensor or a number; or
        logits: log(p / (1 - p)).
        validate_args: False to skip the checks.

    Raises:
        ValueError: not exactly one of probs and logits is given, a chance is not from 0 to
            1, or total_count is no count; in `log_prob`, a value is no such count.

    Example:
        >>> import pyautodl as ad
        >>> ad.distributions.Binomial(2, 0.5).log_prob(ad.tensor([0.0, 1.0]))
        tensor([-1.3863, -0.6931])
    """

    @explained
    def __init__(
        self,
        total_count: Any = 1,
        probs: Any = None,
        logits: Any = None,
        validate_args: bool | None = None,
    ) -> None:
        self._checks = validate_args is not False
        if isinstance(total_count, Tensor):
            like = probs if probs is not None else logits
            dtype = like.dtype if isinstance(like, Tensor) else None
            total_count = total_count.to(dtype) if dtype else total_count.float()
        (self.total_count,) = self._take(probs, logits, total_count)
        if self._checks:
            fine = _are_counts(self.total_count)
            check_all("Binomial", "total_count a count", fine, self.total_count)
        super().__init__(self.probs.shape)

    @property
    def mean(self) -> Tensor:
        return self.total_count * self.probs

    @property
    def mode(self) -> Tensor:
        """The most likely counts."""
        found = floor((self.total_count + 1) * self.probs)
        return found.minimum(self.total_count)

    @property
    def variance(self) -> Tensor:
        return self.total_count * self.probs * (1 - self.probs)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        shape = self.extended_shape(sample_shape)
        with no_grad():
            counts = broadcast_to(self.total_count, shape)
            return draw("binomial", counts, broadcast_to(self.probs, shape))

    def log_prob(self, value: Tensor) -> Tensor:
        if self._checks:
            fine = logical_and(_are_counts(value), value <= self.total_count)
            check_value(self, "counts up to total_count", fine, value)
        n = self.total_count
        ways = lgamma(n + 1) - lgamma(value + 1) - lgamma(n - value + 1)
        return ways + value * self.logits - n * softplus(self.logits)

    def entropy(self) -> Tensor:
        most = int(self.total_count.max().item())
        if int(self.total_count.min().item()) != most:
            raise NotImplementedError(
                "Binomial: the entropy is known where all of total_count are one number"
            )
        values = arange(most + 1, dtype=self.probs.dtype)
        values = values.reshape(-1, *[1] * len(self.batch_shape))
        logs = self.log_prob(values)
        return -(logs.exp() * logs).sum(0)


class Geometric(_Chances):
    """How many trials fail before one succeeds.

    Args:
        probs: the chance of each, a tensor or a number above 0; or
        logits: log(p / (1 - p)).
        validate_args: False to skip the checks.

    Raises:
        ValueError: not exactly one of probs and logits is given, or a chance is not above
            0 and up to 1; in `log_prob`, a value is no count.

    Example:
        >>> import pyautodl as ad
        >>> ad.distributions.Geometric(0.5).log_prob(ad.tensor([0.0, 1.0]))
        tensor([-0.6931, -1.3863])
    """

    @explained
    def __init__(
        self, probs: Any = None, logits: Any = None, validate_args: bool | None = None
    ) -> None:
        self._checks = validate_args is not False
        self._take(probs, logits)
        if self._checks and probs is not None:
            check_all("Geometric", "probs above 0", self.probs > 0, self.probs)
        super().__init__(self.probs.shape)

    @property
    def mean(self) -> Tensor:
        return 1 / self.probs - 1

    @property
    def mode(self) -> Tensor:
        """The most likely counts: 0."""
        return self.probs * 0

    @property
    def variance(self) -> Tensor:
        return (1 / self.probs - 1) / self.probs

    def sample(self, sample_shape: Any = ()) -> Tensor:
        with no_grad():
            shape = self.extended_shape(sample_shape)
            # of (0, 1]
            share = 1 - rand(shape, dtype=self.probs.dtype)
            found = floor(share.log() / (-self.probs).log1p())
            return where(share < 1, found, 0.0)

    def log_prob(self, value: Tensor) -> Tensor:
        if self._checks:
            check_value(self, "counts", _are_counts(value), value)
        return xlog1py(value, -self.probs) + self.probs.log()

    def entropy(self) -> Tensor:
        return (softplus(self.logits) - self.probs * self.logits) / self.probs
