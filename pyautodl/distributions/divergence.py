"""How far one distribution is from another."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from pyautodl.distributions.bernoulli import Bernoulli
from pyautodl.distributions.categorical import Categorical
from pyautodl.distributions.distribution import Distribution
from pyautodl.distributions.exponential import Exponential
from pyautodl.distributions.half_normal import HalfNormal
from pyautodl.distributions.independent import Independent
from pyautodl.distributions.laplace import Laplace
from pyautodl.distributions.log_normal import LogNormal
from pyautodl.distributions.normal import Normal
from pyautodl.functional.eltwise import eq, where
from pyautodl.functional.eltwise.activation import softplus
from pyautodl.tensor import Tensor

__all__ = ["kl_divergence"]


def kl_divergence(p: Distribution, q: Distribution) -> Tensor:
    """Return the Kullback-Leibler divergence, the mean of log p - log q under p.

    Args:
        p: what is drawn from.
        q: what it is compared with, of the same kind: Normal, LogNormal, HalfNormal,
            Laplace, Exponential, Bernoulli, Categorical, or Independent ones of these.

    Raises:
        NotImplementedError: the distributions are of other kinds.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl.distributions import Normal, kl_divergence
        >>> kl_divergence(Normal(1.0, 1.0), Normal(0.0, 1.0))
        tensor(0.5000)
    """
    for kind, rule in _RULES.items():
        if isinstance(p, kind) and isinstance(q, kind):
            return rule(p, q)
    raise NotImplementedError(
        f"kl_divergence: not known for {type(p).__name__} and {type(q).__name__}"
    )


def _normal(p: Normal, q: Normal) -> Tensor:
    ratio = (p.scale / q.scale) ** 2
    apart = ((p.loc - q.loc) / q.scale) ** 2
    return 0.5 * (ratio + apart - 1 - ratio.log())


def _of_bases(p: LogNormal | HalfNormal, q: LogNormal | HalfNormal) -> Tensor:
    # what is drawn from the normal one tells, but for a sign that says nothing, as much
    return _normal(p.base_dist, q.base_dist)


def _laplace(p: Laplace, q: Laplace) -> Tensor:
    ratio, apart = p.scale / q.scale, (p.loc - q.loc).abs()
    return apart / q.scale + ratio * (-apart / p.scale).exp() - ratio.log() - 1


def _exponential(p: Exponential, q: Exponential) -> Tensor:
    ratio = q.rate / p.rate
    return ratio - 1 - ratio.log()


def _bernoulli(p: Bernoulli, q: Bernoulli) -> Tensor:
    agreement = p.probs * (p.logits - q.logits)
    return agreement - softplus(p.logits) + softplus(q.logits)


def _categorical(p: Categorical, q: Categorical) -> Tensor:
    terms = p.probs * (p.logits - q.logits)
    terms = where(eq(q.probs, 0), math.inf, terms)
    return where(eq(p.probs, 0), 0.0, terms).sum(-1)


def _independent(p: Independent, q: Independent) -> Tensor:
    count = p.reinterpreted_batch_ndims
    if count != q.reinterpreted_batch_ndims:
        raise NotImplementedError(
            "kl_divergence: the draws of the distributions have other axes: "
            f"{tuple(p.event_shape)} and {tuple(q.event_shape)}"
        )
    each = kl_divergence(p.base_dist, q.base_dist)
    return each.sum(tuple(range(-count, 0))) if count else each


_RULES: dict[type[Distribution], Callable[[Any, Any], Tensor]] = {
    Normal: _normal,
    LogNormal: _of_bases,
    HalfNormal: _of_bases,
    Laplace: _laplace,
    Exponential: _exponential,
    Bernoulli: _bernoulli,
    Categorical: _categorical,
    Independent: _independent,
}
