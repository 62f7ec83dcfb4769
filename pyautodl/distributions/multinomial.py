"""Counts of several classes."""

from __future__ import annotations

from typing import Any

from pyautodl.autograd.grad_mode import no_grad
from pyautodl.distributions.categorical import Categorical
from pyautodl.distributions.counts import Binomial
from pyautodl.distributions.distribution import Distribution, check_value
from pyautodl.functional.creation import arange, ones, zeros
from pyautodl.functional.eltwise import eq, floor, lgamma, logical_and
from pyautodl.ops.integers import integer
from pyautodl.tensor import Size, Tensor, explained

__all__ = ["Multinomial"]


class Multinomial(Distribution):
    """How often each class comes in `total_count` draws.

    Args:
        total_count: how many draws, an int.
        probs: weights of the classes on the last axis, which need not sum to 1; or
        logits: their logarithms, up to a constant.
        validate_args: False to skip the checks.

    Raises:
        ValueError: total_count is negative, not exactly one of probs and logits is given,
            or a weight is negative; in `log_prob`, values are no such counts.

    Example:
        >>> import pyautodl as ad
        >>> kind = ad.distributions.Multinomial(2, ad.tensor([1.0, 1.0]))
        >>> kind.log_prob(ad.tensor([1.0, 1.0]))
        tensor(-0.6931)
    """

    @explained
    def __init__(
        self,
        total_count: int = 1,
        probs: Tensor | None = None,
        logits: Tensor | None = None,
        validate_args: bool | None = None,
    ) -> None:
        self.total_count = integer("Multinomial", "total_count", total_count)
        if self.total_count < 0:
            raise ValueError(
                f"Multinomial: total_count must not be negative, got {total_count}"
            )
        self._checks = validate_args is not False
        self._classes = Categorical(probs, logits, validate_args)
        self.event_shape = Size(self._classes.param_shape[-1:])
        super().__init__(self._classes.batch_shape)

    @property
    def probs(self) -> Tensor:
        """The chances of the classes."""
        return self._classes.probs

    @property
    def logits(self) -> Tensor:
        """Their logarithms."""
        return self._classes.logits

    @property
    def mean(self) -> Tensor:
        return self.probs * self.total_count

    @property
    def variance(self) -> Tensor:
        return self.total_count * self.probs * (1 - self.probs)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        shape = self.extended_shape(sample_shape)
        counts = zeros(shape, dtype=self.probs.dtype)
        if not self.total_count:
            return counts
        with no_grad():
            drawn = self._classes.sample((self.total_count, *tuple(sample_shape)))
            places = drawn.movedim(0, -1)
            once = ones(tuple(places.shape), dtype=counts.dtype)
            return counts.scatter_add(-1, places, once)

    def log_prob(self, value: Tensor) -> Tensor:
        if self._checks:
            counts = logical_and(value >= 0, eq(value, floor(value)))
            whole = eq(value.sum(-1, keepdim=True), self.total_count)
            fine = logical_and(counts, whole)
            check_value(self, f"counts that sum to {self.total_count}", fine, value)
        ways = lgamma(value.sum(-1) + 1) - lgamma(value + 1).sum(-1)
        return ways + (value * self.logits).sum(-1)

    def entropy(self) -> Tensor:
        n = self.total_count
        values = arange(1, n + 1, dtype=self.probs.dtype)
        values = values.reshape(-1, *[1] * self.probs.ndim)
        chances = Binomial(n, self.probs, validate_args=False).log_prob(values).exp()
        repeats = (chances * lgamma(values + 1)).sum((0, -1))
        each = n * self._classes.entropy()
        return each - lgamma(self.probs.new_full((), n + 1.0)) + repeats
