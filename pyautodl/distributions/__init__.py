"""Probability distributions: draws, log-probabilities, entropies, divergences."""

from pyautodl.distributions.bernoulli import Bernoulli
from pyautodl.distributions.categorical import Categorical
from pyautodl.distributions.counts import Binomial, Geometric, Poisson
from pyautodl.distributions.dirichlet import Beta, Dirichlet
from pyautodl.distributions.distribution import Distribution
from pyautodl.distributions.divergence import kl_divergence
from pyautodl.distributions.exponential import Exponential
from pyautodl.distributions.gamma import Chi2, Gamma
from pyautodl.distributions.half_normal import HalfNormal
from pyautodl.distributions.independent import Independent
from pyautodl.distributions.laplace import Laplace
from pyautodl.distributions.log_normal import LogNormal
from pyautodl.distributions.mixture_same_family import MixtureSameFamily
from pyautodl.distributions.multinomial import Multinomial
from pyautodl.distributions.multivariate_normal import MultivariateNormal
from pyautodl.distributions.normal import Normal
from pyautodl.distributions.student_t import StudentT
from pyautodl.distributions.uniform import Uniform

__all__ = [
    "Bernoulli",
    "Beta",
    "Binomial",
    "Categorical",
    "Chi2",
    "Dirichlet",
    "Distribution",
    "Exponential",
    "Gamma",
    "Geometric",
    "HalfNormal",
    "Independent",
    "Laplace",
    "LogNormal",
    "MixtureSameFamily",
    "Multinomial",
    "MultivariateNormal",
    "Normal",
    "Poisson",
    "StudentT",
    "Uniform",
    "kl_divergence",
]
