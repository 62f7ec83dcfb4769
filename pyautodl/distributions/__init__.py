"""Probability distributions: draws, log-probabilities, entropies, divergences."""

from pyautodl.distributions.bernoulli import Bernoulli
from pyautodl.distributions.categorical import Categorical
from pyautodl.distributions.counts import Binomial, Geometric, Poisson
from pyautodl.distributions.dirichlet import Beta, Dirichlet
from pyautodl.distributions.distribution import Distribution
from pyautodl.distributions.divergence import kl_divergence
from pyautodl.distributions.exponential import Exponential
from pyautodl.distributions.extremes import Cauchy, Gumbel, Weibull
from pyautodl.distributions.gamma import Chi2, Gamma
from pyautodl.distributions.half_normal import HalfNormal
from pyautodl.distributions.independent import Independent
from pyautodl.distributions.laplace import Laplace
from pyautodl.distributions.log_normal import LogNormal
from pyautodl.distributions.mixture_same_family import MixtureSameFamily
from pyautodl.distributions.multinomial import Multinomial
from pyautodl.distributions.multivariate_normal import MultivariateNormal
from pyautodl.distributions.normal import Normal
from pyautodl.distributions.one_hot import (
    OneHotCategorical,
    OneHotCategoricalStraightThrough,
    RelaxedBernoulli,
    RelaxedOneHotCategorical,
)
from pyautodl.distributions.student_t import StudentT
from pyautodl.distributions.transformed import TransformedDistribution
from pyautodl.distributions.transforms import (
    AffineTransform,
    ComposeTransform,
    ExpTransform,
    PowerTransform,
    SigmoidTransform,
    SoftplusTransform,
    TanhTransform,
    Transform,
    identity_transform,
)
from pyautodl.distributions.uniform import Uniform

__all__ = [
    "AffineTransform",
    "Bernoulli",
    "Beta",
    "Binomial",
    "Categorical",
    "Cauchy",
    "Chi2",
    "ComposeTransform",
    "Dirichlet",
    "Distribution",
    "ExpTransform",
    "Exponential",
    "Gamma",
    "Geometric",
    "Gumbel",
    "HalfNormal",
    "Independent",
    "Laplace",
    "LogNormal",
    "MixtureSameFamily",
    "Multinomial",
    "MultivariateNormal",
    "Normal",
    "OneHotCategorical",
    "OneHotCategoricalStraightThrough",
    "Poisson",
    "PowerTransform",
    "RelaxedBernoulli",
    "RelaxedOneHotCategorical",
    "SigmoidTransform",
    "SoftplusTransform",
    "StudentT",
    "TanhTransform",
    "Transform",
    "TransformedDistribution",
    "Uniform",
    "Weibull",
    "identity_transform",
    "kl_divergence",
]
