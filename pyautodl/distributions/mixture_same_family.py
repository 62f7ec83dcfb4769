"""Mixtures of distributions of one kind."""

from __future__ import annotations

from typing import Any

from pyautodl.autograd.grad_mode import no_grad
from pyautodl.distributions.categorical import Categorical
from pyautodl.distributions.distribution import Distribution
from pyautodl.errors import ShapeError
from pyautodl.functional.reduce import logsumexp
from pyautodl.tensor import Size, Tensor, explained

__all__ = ["MixtureSameFamily"]


class MixtureSameFamily(Distribution):
    """Draws of one of several distributions, chosen anew for each.

    Args:
        mixture_distribution: a Categorical over the components.
        component_distribution: the components along its last axis.
        validate_args: taken for PyTorch's sake.

    Raises:
        TypeError: the mixture is no Categorical.
        ShapeError: mixture and components do not fit.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl.distributions import Categorical, MixtureSameFamily, Normal
        >>> parts = Normal(ad.tensor([-1.0, 1.0]), ad.tensor([0.5, 0.5]))
        >>> mixture = MixtureSameFamily(Categorical(ad.ones(2)), parts)
        >>> mixture.log_prob(ad.tensor([1.0, 0.0]))
        tensor([-0.9186, -2.2258])
    """

    @explained
    def __init__(
        self,
        mixture_distribution: Categorical,
        component_distribution: Distribution,
        validate_args: bool | None = None,
    ) -> None:
        if not isinstance(mixture_distribution, Categorical):
            raise TypeError(
                "MixtureSameFamily: expected a Categorical over the components, got "
                f"{type(mixture_distribution).__name__}"
            )
        logits = mixture_distribution.logits
        batch = component_distribution.batch_shape
        mixed = tuple(logits.shape)
        if not batch or batch[-1] != mixed[-1] or mixed[:-1] not in ((), batch[:-1]):
            raise ShapeError(
                "MixtureSameFamily: expected components with the probabilities' shape "
                f"{mixed} or with axes before it, got {tuple(batch)}"
            )
        self.mixture_distribution = mixture_distribution
        self.component_distribution = component_distribution
        self.event_shape = Size(tuple(component_distribution.event_shape))
        super().__init__(batch[:-1])

    # the axis of the components, counted from the end
    @property
    def _axis(self) -> int:
        return -1 - len(self.event_shape)

    def _weighted(self, x: Tensor) -> Tensor:
        probs = self.mixture_distribution.probs
        shape = (*probs.shape, *[1] * len(self.event_shape))
        return (probs.reshape(shape) * x).sum(self._axis)

    @property
    def mean(self) -> Tensor:
        return self._weighted(self.component_distribution.mean)

    @property
    def variance(self) -> Tensor:
        means = self.component_distribution.mean
        within = self._weighted(self.component_distribution.variance)
        apart = means - self.mean.unsqueeze(self._axis)
        return within + self._weighted(apart**2)

    def log_prob(self, value: Tensor) -> Tensor:
        each = self.component_distribution.log_prob(value.unsqueeze(self._axis))
        return logsumexp(each + self.mixture_distribution.logits, -1)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        with no_grad():
            shape = self.extended_shape(sample_shape)
            draws = self.component_distribution.sample(sample_shape)
            which = self.mixture_distribution.sample(
                (*sample_shape, *self.batch_shape)
                if not self.mixture_distribution.batch_shape
                else sample_shape
            )
            place = which.reshape(*which.shape, 1, *[1] * len(self.event_shape))
            spread = list(draws.shape)
            spread[self._axis] = 1
            found = draws.gather(draws.ndim + self._axis, place.expand(spread))
            return found.reshape(shape)
