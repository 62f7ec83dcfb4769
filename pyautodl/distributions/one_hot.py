"""Classes as vectors with one 1, and soft draws of them that gradients pass."""

from __future__ import annotations

from typing import Any

from pyautodl.autograd.grad_mode import no_grad
from pyautodl.distributions.bernoulli import Bernoulli
from pyautodl.distributions.categorical import Categorical
from pyautodl.distributions.distribution import Distribution, as_parameters, off_ends
from pyautodl.functional.creation import zeros
from pyautodl.functional.eltwise import lgamma, sigmoid
from pyautodl.functional.eltwise.activation import softplus
from pyautodl.functional.networks.gumbel import gumbel_softmax
from pyautodl.functional.random import rand
from pyautodl.functional.reduce import logsumexp
from pyautodl.functional.views import broadcast_to
from pyautodl.tensor import Size, Tensor, explained

__all__ = [
    "OneHotCategorical",
    "OneHotCategoricalStraightThrough",
    "RelaxedBernoulli",
    "RelaxedOneHotCategorical",
]


class OneHotCategorical(Distribution):
    """One of several classes as a vector with a 1 in its place.

    Args:
        probs: weights of the classes on the last axis, which need not sum to 1; or
        logits: their logarithms, up to a constant.
        validate_args: False to skip the check.

    Raises:
        ValueError: not exactly one of probs and logits is given, or a weight is negative.
        ShapeError: there is no axis of classes.

    Example:
        >>> import pyautodl as ad
        >>> choice = ad.distributions.OneHotCategorical(ad.tensor([1.0, 3.0]))
        >>> choice.log_prob(ad.eye(2))
        tensor([-1.3863, -0.2877])
    """

    @explained
    def __init__(
        self,
        probs: Tensor | None = None,
        logits: Tensor | None = None,
        validate_args: bool | None = None,
    ) -> None:
        self._categorical = Categorical(probs, logits, validate_args)
        self.event_shape = Size((self.probs.shape[-1],))
        super().__init__(self._categorical.batch_shape)

    @property
    def probs(self) -> Tensor:
        """The probabilities of the classes."""
        return self._categorical.probs

    @property
    def logits(self) -> Tensor:
        """Their logarithms."""
        return self._categorical.logits

    @property
    def param_shape(self) -> Any:
        """The shape of the parameters."""
        return self.probs.shape

    @property
    def mean(self) -> Tensor:
        return self.probs

    @property
    def mode(self) -> Tensor:
        """The most likely vectors."""
        return self._one_hot(self._categorical.mode)

    @property
    def variance(self) -> Tensor:
        return self.probs * (1 - self.probs)

    def _one_hot(self, classes: Tensor) -> Tensor:
        places = classes.unsqueeze(-1)
        shape = (*classes.shape, *self.event_shape)
        return zeros(shape, dtype=self.probs.dtype).scatter(-1, places, 1.0)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        with no_grad():
            return self._one_hot(self._categorical.sample(sample_shape))

    def log_prob(self, value: Tensor) -> Tensor:
        return self._categorical.log_prob(value.argmax(-1))

    def entropy(self) -> Tensor:
        return self._categorical.entropy()


class OneHotCategoricalStraightThrough(OneHotCategorical):
    """`OneHotCategorical` whose draws have the gradient of the probabilities.

    Args:
        probs: weights of the classes on the last axis; or
        logits: their logarithms, up to a constant.
        validate_args: False to skip the check.

    Example:
        >>> import pyautodl as ad
        >>> logits = ad.zeros(2, requires_grad=True)
        >>> kind = ad.distributions.OneHotCategoricalStraightThrough(logits=logits)
        >>> kind.rsample()[0].backward()
        >>> logits.grad
        tensor([ 0.2500, -0.2500])

    Source: Bengio et al., "Estimating or propagating gradients through stochastic
    neurons", 2013.
    """

    has_rsample = True

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        return self.sample(sample_shape) + (self.probs - self.probs.detach())


class RelaxedOneHotCategorical(Distribution):
    """Points between the classes, the closer to one of them the lower the temperature.

    Args:
        temperature: a tensor or a number above 0.
        probs: weights of the classes on the last axis, which need not sum to 1; or
        logits: their logarithms, up to a constant.
        validate_args: False to skip the check.

    Example:
        >>> import pyautodl as ad
        >>> kind = ad.distributions.RelaxedOneHotCategorical(0.5, ad.ones(3))
        >>> kind.rsample((2,)).sum(-1).round()
        tensor([1., 1.])

    Source: Jang et al., "Categorical reparameterization with Gumbel-softmax", 2017;
    Maddison et al., "The concrete distribution", 2017.
    """

    has_rsample = True

    @explained
    def __init__(
        self,
        temperature: Any,
        probs: Tensor | None = None,
        logits: Tensor | None = None,
        validate_args: bool | None = None,
    ) -> None:
        self._categorical = Categorical(probs, logits, validate_args)
        self.temperature = temperature
        self.event_shape = Size((self.probs.shape[-1],))
        super().__init__(self._categorical.batch_shape)

    @property
    def probs(self) -> Tensor:
        """The probabilities of the classes."""
        return self._categorical.probs

    @property
    def logits(self) -> Tensor:
        """Their logarithms."""
        return self._categorical.logits

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        logits = broadcast_to(self.logits, self.extended_shape(sample_shape))
        return gumbel_softmax(logits, self.temperature)

    def log_prob(self, value: Tensor) -> Tensor:
        classes, t = self.probs.shape[-1], self.temperature
        (tau,) = as_parameters(t)
        tau = tau.to(value.dtype)
        places = value.log()
        score = self.logits - places * tau
        score = (score - logsumexp(score, -1, keepdim=True)).sum(-1)
        count = tau.new_tensor(float(classes))
        scale = lgamma(count) + (classes - 1) * tau.log()
        return score + scale - places.sum(-1)


class RelaxedBernoulli(Distribution):
    """Numbers from 0 to 1, the closer to an end the lower the temperature.

    Args:
        temperature: a tensor or a number above 0.
        probs: of 1, a tensor or a number; or
        logits: log(p / (1 - p)).
        validate_args: False to skip the check.

    Example:
        >>> import pyautodl as ad
        >>> kind = ad.distributions.RelaxedBernoulli(0.5, 0.3)
        >>> kind.log_prob(ad.tensor([0.2, 0.5]))
        tensor([-0.2528, -0.8675])
    """

    has_rsample = True

    @explained
    def __init__(
        self,
        temperature: Any,
        probs: Any = None,
        logits: Any = None,
        validate_args: bool | None = None,
    ) -> None:
        self._bernoulli = Bernoulli(probs, logits, validate_args)
        self.temperature = temperature
        super().__init__(self._bernoulli.batch_shape)

    @property
    def probs(self) -> Tensor:
        """The probabilities of 1."""
        return self._bernoulli.probs

    @property
    def logits(self) -> Tensor:
        """log(p / (1 - p))."""
        return self._bernoulli.logits

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        shape, dtype = self.extended_shape(sample_shape), self.logits.dtype
        share = off_ends(rand(shape, dtype=dtype))
        noise = share.log() - (-share).log1p()
        return sigmoid((noise + self.logits) / self.temperature)

    def log_prob(self, value: Tensor) -> Tensor:
        t = self.temperature
        (tau,) = as_parameters(t)
        place = value.log() - (-value).log1p()
        score = self.logits - place * tau
        inner = tau.log() + score - 2 * softplus(score)
        # from the scale of logits to that of values
        return inner - value.log() - (-value).log1p()
