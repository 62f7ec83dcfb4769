"""Distributions side by side as one of several axes."""

from __future__ import annotations

from typing import Any

from pyautodl.distributions.distribution import Distribution
from pyautodl.ops.integers import integer
from pyautodl.tensor import Size, Tensor, explained

__all__ = ["Independent"]


class Independent(Distribution):
    """Distributions side by side as one, whose draws have the last axes of theirs.

    Probabilities of the elements of a draw are multiplied: `log_prob` and `entropy` sum over
    those axes.

    Args:
        base_distribution: the distributions.
        reinterpreted_batch_ndims: how many of their axes become those of a draw.
        validate_args: taken for PyTorch's sake.

    Raises:
        ValueError: there are not so many axes.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl.distributions import Independent, Normal
        >>> Independent(Normal(ad.zeros(3), 1.0), 1).log_prob(ad.zeros(3))
        tensor(-2.7568)
    """

    @explained
    def __init__(
        self,
        base_distribution: Distribution,
        reinterpreted_batch_ndims: int,
        validate_args: bool | None = None,
    ) -> None:
        count = integer(
            "Independent", "reinterpreted_batch_ndims", reinterpreted_batch_ndims
        )
        batch = base_distribution.batch_shape
        if not 0 <= count <= len(batch):
            raise ValueError(
                f"Independent: expected 0 to {len(batch)} axes of the batch shape "
                f"{tuple(batch)}, got {count}"
            )
        self.base_dist = base_distribution
        self.reinterpreted_batch_ndims = count
        self.has_rsample = base_distribution.has_rsample
        kept = len(batch) - count
        self.event_shape = Size((*batch[kept:], *base_distribution.event_shape))
        super().__init__(batch[:kept])

    def _sum(self, x: Tensor) -> Tensor:
        count = self.reinterpreted_batch_ndims
        return x.sum(tuple(range(-count, 0))) if count else x

    @property
    def mean(self) -> Tensor:
        return self.base_dist.mean

    @property
    def variance(self) -> Tensor:
        return self.base_dist.variance

    def sample(self, sample_shape: Any = ()) -> Tensor:
        return self.base_dist.sample(sample_shape)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        return self.base_dist.rsample(sample_shape)

    def log_prob(self, value: Tensor) -> Tensor:
        return self._sum(self.base_dist.log_prob(value))

    def entropy(self) -> Tensor:
        return self._sum(self.base_dist.entropy())
