"""Probability distributions: draws, log-probabilities, entropies, divergences."""

from pyautodl.distributions.bernoulli import Bernoulli
from pyautodl.distributions.categorical import Categorical
from pyautodl.distributions.distribution import Distribution
from pyautodl.distributions.divergence import kl_divergence
from pyautodl.distributions.exponential import Exponential
from pyautodl.distributions.half_normal import HalfNormal
from pyautodl.distributions.independent import Independent
from pyautodl.distributions.laplace import Laplace
from pyautodl.distributions.log_normal import LogNormal
from pyautodl.distributions.mixture_same_family import MixtureSameFamily
from pyautodl.distributions.normal import Normal
from pyautodl.distributions.uniform import Uniform

__all__ = [
    "Bernoulli",
    "Categorical",
    "Distribution",
    "Exponential",
    "HalfNormal",
    "Independent",
    "Laplace",
    "LogNormal",
    "MixtureSameFamily",
    "Normal",
    "Uniform",
    "kl_divergence",
]
