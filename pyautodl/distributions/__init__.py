"""Probability distributions: draws, log-probabilities, entropies, divergences."""

from pyautodl.distributions.bernoulli import Bernoulli
from pyautodl.distributions.categorical import Categorical
from pyautodl.distributions.distribution import Distribution
from pyautodl.distributions.divergence import kl_divergence
from pyautodl.distributions.normal import Normal
from pyautodl.distributions.uniform import Uniform

__all__ = [
    "Bernoulli",
    "Categorical",
    "Distribution",
    "Normal",
    "Uniform",
    "kl_divergence",
]
