"""Distributions of draws that are transformed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pyautodl.autograd.grad_mode import no_grad
from pyautodl.distributions.distribution import Distribution
from pyautodl.distributions.transforms import ComposeTransform, Transform, sum_last
from pyautodl.errors import ShapeError, describe
from pyautodl.tensor import Size, Tensor, explained

__all__ = ["TransformedDistribution"]


class TransformedDistribution(Distribution):
    """What comes of draws that are transformed: the base of normalizing flows.

    Args:
        base_distribution: what is drawn from.
        transforms: one transform or several, the first one first.
        validate_args: taken for PyTorch's sake.

    Raises:
        TypeError: transforms are none.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl.distributions import (
        ...     ExpTransform, LogNormal, Normal, TransformedDistribution
        ... )
        >>> made = TransformedDistribution(Normal(0.0, 1.0), ExpTransform())
        >>> x = ad.tensor([1.0, 2.0])
        >>> made.log_prob(x), LogNormal(0.0, 1.0).log_prob(x)
        (tensor([-0.9189, -1.8523]), tensor([-0.9189, -1.8523]))
    """

    @explained
    def __init__(
        self,
        base_distribution: Distribution,
        transforms: Transform | Sequence[Transform],
        validate_args: bool | None = None,
    ) -> None:
        parts = [transforms] if isinstance(transforms, Transform) else list(transforms)
        if not all(isinstance(each, Transform) for each in parts):
            raise TypeError(
                f"TransformedDistribution: expected transforms, got {describe(parts)}"
            )
        self.transforms = parts
        whole = ComposeTransform(parts)
        given = (*base_distribution.batch_shape, *base_distribution.event_shape)
        events = max(len(base_distribution.event_shape), whole.event_dim)
        if len(given) < events:
            raise ShapeError(
                f"TransformedDistribution: transforms are of {events} axes, the base has "
                f"shape {tuple(given)}"
            )
        shape = whole.forward_shape(tuple(given))
        inner = whole.inverse_shape(shape)
        if inner != tuple(given):
            own = len(base_distribution.event_shape)
            base_distribution = base_distribution.expand(inner[: len(inner) - own])
        self.base_dist = base_distribution
        self.has_rsample = base_distribution.has_rsample
        self.event_shape = Size(shape[len(shape) - events :])
        super().__init__(shape[: len(shape) - events])

    def _through(self, x: Tensor) -> Tensor:
        for each in self.transforms:
            x = each(x)
        return x

    def sample(self, sample_shape: Any = ()) -> Tensor:
        with no_grad():
            return self._through(self.base_dist.sample(sample_shape))

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        return self._through(self.base_dist.rsample(sample_shape))

    def log_prob(self, value: Tensor) -> Tensor:
        events = len(self.event_shape)
        total: Any = 0
        for each in reversed(self.transforms):
            before = each.inv(value)
            grown = each.log_abs_det_jacobian(before, value)
            total = total - sum_last(grown, events - each.event_dim)
            value = before
        found = self.base_dist.log_prob(value)
        total = total + sum_last(found, events - len(self.base_dist.event_shape))
        return total

    def _turned(self, share: Tensor) -> Tensor:
        """Probabilities counted from the other end where the transforms fall."""
        return ComposeTransform(self.transforms).sign * (share - 0.5) + 0.5

    def cdf(self, value: Tensor) -> Tensor:
        """Return the probability of draws up to `value`."""
        for each in reversed(self.transforms):
            value = each.inv(value)
        return self._turned(self.base_dist.cdf(value))

    def icdf(self, value: Tensor) -> Tensor:
        """Return up to where draws have the probability `value`."""
        return self._through(self.base_dist.icdf(self._turned(value)))
