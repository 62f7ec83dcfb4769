"""How far one distribution is from another."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from pyautodl.distributions.bernoulli import Bernoulli
from pyautodl.distributions.categorical import Categorical
from pyautodl.distributions.counts import Binomial, Geometric, Poisson
from pyautodl.distributions.dirichlet import Beta, Dirichlet
from pyautodl.distributions.distribution import Distribution
from pyautodl.distributions.exponential import Exponential
from pyautodl.distributions.gamma import Gamma
from pyautodl.distributions.half_normal import HalfNormal
from pyautodl.distributions.independent import Independent
from pyautodl.distributions.laplace import Laplace
from pyautodl.distributions.log_normal import LogNormal
from pyautodl.distributions.multinomial import Multinomial
from pyautodl.distributions.multivariate_normal import (
    MultivariateNormal,
    mahalanobis_square,
)
from pyautodl.distributions.normal import Normal
from pyautodl.functional.copy import stack
from pyautodl.functional.eltwise import digamma, eq, lgamma, where, xlogy
from pyautodl.functional.eltwise.activation import softplus
from pyautodl.functional.views import broadcast_shapes, broadcast_to
from pyautodl.linalg import solve_triangular
from pyautodl.tensor import Tensor

__all__ = ["kl_divergence"]


def kl_divergence(p: Distribution, q: Distribution) -> Tensor:
    """Return the Kullback-Leibler divergence, the mean of log p - log q under p.

    Args:
        p: what is drawn from.
        q: what it is compared with, of the same kind: Normal, LogNormal, HalfNormal,
            Laplace, Exponential, Gamma, Beta, Dirichlet, MultivariateNormal, Bernoulli,
            Binomial, Geometric, Poisson, Categorical, Multinomial, or Independent ones of
            these; or Gamma and Exponential.

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
    mixed = (Gamma, Exponential)
    if isinstance(p, mixed) and isinstance(q, mixed):
        return _gamma(_as_gamma(p), _as_gamma(q))
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


def _as_gamma(kind: Gamma | Exponential) -> Gamma:
    if isinstance(kind, Gamma):
        return kind
    return Gamma(kind.rate * 0 + 1, kind.rate, validate_args=False)


def _gamma(p: Gamma, q: Gamma) -> Tensor:
    a, b = p.concentration, q.concentration
    shapes = (a - b) * digamma(a) + lgamma(b) - lgamma(a)
    return shapes + b * (p.rate / q.rate).log() + a * (q.rate / p.rate - 1)


def _of_shares(a: Tensor, b: Tensor) -> Tensor:
    """Of Dirichlet distributions with these concentrations."""
    total = a.sum(-1)
    volumes = lgamma(total) - lgamma(b.sum(-1)) + (lgamma(b) - lgamma(a)).sum(-1)
    apart = (a - b) * (digamma(a) - digamma(total).unsqueeze(-1))
    return volumes + apart.sum(-1)


def _dirichlet(p: Dirichlet, q: Dirichlet) -> Tensor:
    return _of_shares(p.concentration, q.concentration)


def _beta(p: Beta, q: Beta) -> Tensor:
    a, b = (stack([x.concentration1, x.concentration0], -1) for x in (p, q))
    return _of_shares(a, b)


def _multivariate_normal(p: MultivariateNormal, q: MultivariateNormal) -> Tensor:
    size = p.event_shape[0]
    shape = broadcast_shapes(tuple(p.batch_shape), tuple(q.batch_shape))
    square = (*shape, size, size)
    lower = broadcast_to(q.scale_tril, square)
    other = broadcast_to(p.scale_tril, square)
    ratio = solve_triangular(lower, other, upper=False).square().sum((-2, -1))
    far = mahalanobis_square(q.scale_tril, q.loc - p.loc)
    return q.half_log_det() - p.half_log_det() + 0.5 * (ratio + far - size)


def _poisson(p: Poisson, q: Poisson) -> Tensor:
    return xlogy(p.rate, p.rate) - xlogy(p.rate, q.rate) - (p.rate - q.rate)


def _geometric(p: Geometric, q: Geometric) -> Tensor:
    return -p.entropy() - (-q.probs).log1p() / p.probs - q.logits


def _binomial(p: Binomial, q: Binomial) -> Tensor:
    more = p.total_count > q.total_count
    if bool((p.total_count < q.total_count).any()):
        raise NotImplementedError(
            "kl_divergence: of binomial distributions, where the total_count of the second "
            "is the larger it is not known"
        )
    each = p.probs * (p.logits - q.logits) - softplus(p.logits) + softplus(q.logits)
    return where(more, math.inf, p.total_count * each)


def _multinomial(p: Multinomial, q: Multinomial) -> Tensor:
    if p.total_count != q.total_count:
        raise NotImplementedError(
            "kl_divergence: of multinomial distributions, it is known for one total_count, "
            f"not for {p.total_count} and {q.total_count}"
        )
    classes = Categorical(p.probs, validate_args=False)
    others = Categorical(q.probs, validate_args=False)
    return p.total_count * _categorical(classes, others)


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
    Gamma: _gamma,
    Beta: _beta,
    Dirichlet: _dirichlet,
    MultivariateNormal: _multivariate_normal,
    Poisson: _poisson,
    Geometric: _geometric,
    Binomial: _binomial,
    Multinomial: _multinomial,
    Bernoulli: _bernoulli,
    Categorical: _categorical,
    Independent: _independent,
}
