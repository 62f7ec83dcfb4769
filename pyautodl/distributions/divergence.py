"""How far one distribution is from another."""

from __future__ import annotations

import math

from pyautodl.distributions.bernoulli import Bernoulli
from pyautodl.distributions.categorical import Categorical
from pyautodl.distributions.distribution import Distribution
from pyautodl.distributions.normal import Normal
from pyautodl.functional.eltwise import eq, where
from pyautodl.functional.eltwise.activation import softplus
from pyautodl.tensor import Tensor

__all__ = ["kl_divergence"]


def kl_divergence(p: Distribution, q: Distribution) -> Tensor:
    """Return the Kullback-Leibler divergence, the mean of log p - log q under p.

    Args:
        p: what is drawn from.
        q: what it is compared with, of the same kind: Normal, Bernoulli or Categorical.

    Raises:
        NotImplementedError: the distributions are of other kinds.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl.distributions import Normal, kl_divergence
        >>> kl_divergence(Normal(1.0, 1.0), Normal(0.0, 1.0))
        tensor(0.5000)
    """
    if isinstance(p, Normal) and isinstance(q, Normal):
        ratio = (p.scale / q.scale) ** 2
        apart = ((p.loc - q.loc) / q.scale) ** 2
        return 0.5 * (ratio + apart - 1 - ratio.log())
    if isinstance(p, Bernoulli) and isinstance(q, Bernoulli):
        agreement = p.probs * (p.logits - q.logits)
        return agreement - softplus(p.logits) + softplus(q.logits)
    if isinstance(p, Categorical) and isinstance(q, Categorical):
        terms = p.probs * (p.logits - q.logits)
        terms = where(eq(q.probs, 0), math.inf, terms)
        return where(eq(p.probs, 0), 0.0, terms).sum(-1)
    raise NotImplementedError(
        f"kl_divergence: not known for {type(p).__name__} and {type(q).__name__}"
    )
