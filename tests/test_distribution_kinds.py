"""Gamma and its kin, counts, and normal vectors: densities, draws, divergences."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pyautodl as ad
from pyautodl.autograd import gradcheck, gradgradcheck
from pyautodl.distributions import (
    Bernoulli,
    Beta,
    Binomial,
    Categorical,
    Chi2,
    Dirichlet,
    Distribution,
    Exponential,
    Gamma,
    Geometric,
    HalfNormal,
    Independent,
    Laplace,
    LogNormal,
    MixtureSameFamily,
    Multinomial,
    MultivariateNormal,
    Normal,
    Poisson,
    StudentT,
    Uniform,
    kl_divergence,
)
from pyautodl.errors import ShapeError

A = ad.tensor([0.6, 2.0, 9.0], dtype=ad.float64)
B = ad.tensor([1.5, 0.7, 4.0], dtype=ad.float64)
P = ad.tensor([0.2, 0.5, 0.9], dtype=ad.float64)
SPREAD = ad.tensor(
    [[1.0, 0.3, 0.1], [0.3, 2.0, -0.4], [0.1, -0.4, 0.7]], dtype=ad.float64
)

# name -> the distribution of parameters, and two sets of these
KINDS: dict[str, tuple[Callable[..., Distribution], Any, Any]] = {
    "Gamma": (Gamma, (A, B), (B, A)),
    "Chi2": (Chi2, (A,), (B,)),
    "Beta": (Beta, (A, B), (B, A)),
    "Dirichlet": (Dirichlet, (ad.stack([A, B]),), (ad.stack([B, B + 1]),)),
    "StudentT": (StudentT, (A + 4, B, P), None),
    "Poisson": (Poisson, (A,), (B,)),
    "Binomial": (lambda p: Binomial(7, p), (P,), (P.flip(0),)),
    "Geometric": (Geometric, (P,), (P.flip(0),)),
    "Multinomial": (
        lambda p: Multinomial(6, p),
        (ad.stack([P, P.flip(0)]),),
        (ad.stack([P * P, P]),),
    ),
    "MultivariateNormal": (MultivariateNormal, (A, SPREAD), (B, SPREAD.flip((0, 1)))),
}
RANDOM = ("Gamma", "Chi2", "Beta", "Dirichlet", "StudentT", "MultivariateNormal")


@pytest.mark.parametrize("name", KINDS)
def test_draws_follow_the_distribution(name: str) -> None:
    make, parameters, _ = KINDS[name]
    kind: Any = make(*parameters)
    ad.manual_seed(0)
    x = kind.sample((20000,))
    assert tuple(x.shape) == (20000, *kind.batch_shape, *kind.event_shape)
    assert kind.has_rsample == (name in RANDOM)
    assert not x.requires_grad
    mean, spread = kind.mean.numpy(), kind.stddev.numpy()
    np.testing.assert_array_less(abs(x.mean(0).numpy() - mean), spread * 0.04)
    np.testing.assert_allclose(x.std(0).numpy(), spread, rtol=0.06)
    if name != "Poisson":
        surprise = -kind.log_prob(x).mean(0).numpy()
        np.testing.assert_allclose(surprise, kind.entropy().numpy(), atol=0.05)
    assert kind.sample().dtype is ad.float64


@pytest.mark.parametrize("name", KINDS)
def test_draws_are_the_same_for_any_threads(name: str) -> None:
    make, parameters, _ = KINDS[name]
    kind, found, before = make(*parameters), set(), ad.get_num_threads()
    for threads in (1, 2, 4):
        ad.set_num_threads(threads)
        ad.manual_seed(4)
        found.add(kind.sample((3000,)).numpy().tobytes())
    ad.set_num_threads(before)
    assert len(found) == 1


@pytest.mark.parametrize("name", KINDS)
def test_numbers_are_those_of_torch(name: str) -> None:
    laws: Any = pytest.importorskip("torch.distributions")
    torch: Any = pytest.importorskip("torch")
    make, *sets = KINDS[name]
    pairs = []
    for parameters in (each for each in sets if each):
        given = [torch.tensor(each.numpy()) for each in parameters]
        count = {"Binomial": [7], "Multinomial": [6]}.get(name, [])
        theirs, ours = getattr(laws, name)(*count, *given), make(*parameters)
        pairs.append((ours, theirs))
        for each in ("mean", "variance", "mode"):
            if hasattr(ours, each) and name + each != "Multinomialmode":
                np.testing.assert_allclose(
                    getattr(ours, each).numpy(), getattr(theirs, each).numpy()
                )
        x = theirs.sample((5,))
        np.testing.assert_allclose(
            ours.log_prob(ad.tensor(x.numpy())).numpy(),
            theirs.log_prob(x).numpy(),
            rtol=1e-7,
            atol=1e-12,
        )
        if name != "Poisson":
            np.testing.assert_allclose(
                ours.entropy().numpy(), theirs.entropy().numpy(), rtol=1e-6
            )
        assert tuple(ours.event_shape) == tuple(theirs.event_shape)
    if len(pairs) == 2 and name != "Multinomial":
        expected = laws.kl_divergence(pairs[0][1], pairs[1][1])
        found = kl_divergence(pairs[0][0], pairs[1][0])
        np.testing.assert_allclose(found.numpy(), expected.numpy(), rtol=1e-7)


@pytest.mark.parametrize("name", [name for name in KINDS if KINDS[name][2]])
def test_divergences_and_gradients(name: str) -> None:
    make, first, second = KINDS[name]
    p, q = make(*first), make(*second)
    ad.manual_seed(1)
    x = p.sample((40000,))
    apart = (p.log_prob(x) - q.log_prob(x)).mean(0)
    found = kl_divergence(p, q)
    np.testing.assert_allclose(found.numpy(), apart.numpy(), atol=0.1, rtol=0.05)
    assert kl_divergence(p, p).abs().max().item() < 1e-10
    leaves = tuple(each.clone().requires_grad_() for each in first)
    if name == "MultivariateNormal":
        # what is symmetric must stay so when an element is moved
        plain = make
        make = lambda loc, root: plain(loc, root @ root.mT)  # noqa: E731
    gradcheck(lambda *t: kl_divergence(make(*t), q), leaves)
    gradcheck(lambda *t: make(*t).log_prob(x[:2]), leaves)
    gradgradcheck(lambda *t: make(*t).log_prob(x[:1]), leaves)
    if name != "Poisson":
        gradcheck(lambda *t: make(*t).entropy(), leaves)


@pytest.mark.parametrize("name", RANDOM)
def test_gradients_pass_draws(name: str) -> None:
    """The gradient of the mean draw is that of the mean."""
    make, parameters, _ = KINDS[name]
    leaves = [each.clone().requires_grad_() for each in parameters]
    kind: Any = make(*leaves)
    ad.manual_seed(2)
    x = kind.rsample((60000,))
    weights = ad.tensor([0.5, -1.0, 2.0], dtype=ad.float64)
    expected = ad.autograd.grad(
        (kind.mean * weights).sum(), leaves, allow_unused=True, retain_graph=True
    )
    found = ad.autograd.grad((x.mean(0) * weights).sum(), leaves)
    for got, exact in zip(found, expected):
        level = np.zeros(1) if exact is None else exact.numpy()
        np.testing.assert_allclose(
            got.numpy(), level + 0 * got.numpy(), atol=0.06, rtol=0.06
        )


def test_small_concentrations_have_finite_logarithms() -> None:
    ad.manual_seed(0)
    for kind in (
        Gamma(1e-3, 1.0),
        Beta(1e-3, 1e-3),
        Dirichlet(ad.full((4,), 1e-3)),
    ):
        x = kind.rsample((2000,))
        assert x.isfinite().all()
        if isinstance(kind, Dirichlet):
            np.testing.assert_allclose(x.sum(-1).numpy(), 1, rtol=1e-5)
            kind = Dirichlet(ad.full((4,), 1e-3), validate_args=False)
        assert kind.log_prob(x).isfinite().all()
    shape = ad.full((50,), 1e-3, requires_grad=True)
    Beta(shape, shape).rsample((50,)).sum().backward()
    assert shape.grad.isfinite().all()


def test_counts_written_out() -> None:
    chances = np.array([0.2, 0.3, 0.5])
    kind = Multinomial(4, ad.tensor(chances))
    total, surprise = 0.0, 0.0
    for counts in itertools.product(range(5), repeat=3):
        if sum(counts) == 4:
            ways = math.factorial(4) / math.prod(math.factorial(k) for k in counts)
            chance = ways * math.prod(chances**counts)
            log = kind.log_prob(ad.tensor([float(k) for k in counts]).double()).item()
            assert log == pytest.approx(math.log(chance))
            total, surprise = total + chance, surprise - chance * log
    assert total == pytest.approx(1)
    assert kind.entropy().item() == pytest.approx(surprise)
    assert kind.sample((7, 2)).sum(-1).tolist() == [[4.0, 4.0]] * 7
    assert Multinomial(0, ad.ones(2)).sample((3,)).tolist() == [[0.0, 0.0]] * 3
    k = ad.arange(200, dtype=ad.float64)
    assert Poisson(9.0).log_prob(k.float()).exp().sum().item() == pytest.approx(
        1, rel=1e-5
    )
    assert Geometric(0.3).log_prob(k.float()).exp().sum().item() == pytest.approx(
        1, rel=1e-5
    )
    certain = Geometric(ad.tensor([1.0]))
    assert certain.sample((5,)).tolist() == [[0.0]] * 5
    assert certain.log_prob(ad.tensor([0.0, 1.0])).tolist() == [0.0, -math.inf]
    assert Poisson(0.0).log_prob(ad.tensor([0.0, 1.0])).tolist() == [0.0, -math.inf]
    several = Binomial(ad.tensor([0, 3]), ad.tensor([0.5, 1.0]))
    assert several.sample().tolist() == [0.0, 3.0]
    with pytest.raises(NotImplementedError, match="total_count are one number"):
        several.entropy()


def test_one_matrix_in_three_forms() -> None:
    lower = ad.linalg.cholesky(SPREAD)
    x = ad.rand(5, 3, dtype=ad.float64)
    kinds = [
        MultivariateNormal(A, covariance_matrix=SPREAD),
        MultivariateNormal(A, precision_matrix=ad.linalg.inv(SPREAD)),
        MultivariateNormal(A, scale_tril=lower),
    ]
    for kind in kinds:
        for found, expected in (
            (kind.scale_tril, lower),
            (kind.covariance_matrix, SPREAD),
            (kind.precision_matrix, ad.linalg.inv(SPREAD)),
            (kind.log_prob(x), kinds[0].log_prob(x)),
        ):
            np.testing.assert_allclose(found.numpy(), expected.numpy(), atol=1e-10)
    many = MultivariateNormal(ad.zeros(4, 1, 2), ad.eye(2).expand(3, 2, 2))
    assert tuple(many.batch_shape) == (4, 3)
    assert tuple(many.rsample((6,)).shape) == (6, 4, 3, 2)
    alone = Normal(0.0, 1.0).log_prob(ad.ones(2)).sum().item()
    assert many.log_prob(ad.ones(2))[1, 2].item() == pytest.approx(alone)


def test_gamma_and_exponential() -> None:
    one, other = Gamma(A, B), Exponential(B)
    same = Gamma(A * 0 + 1, B)
    for found, expected in (
        (kl_divergence(one, other), kl_divergence(one, same)),
        (kl_divergence(other, one), kl_divergence(same, one)),
    ):
        assert found.tolist() == expected.tolist()
    more = kl_divergence(Binomial(3, P), Binomial(2, P))
    assert more.tolist() == [math.inf] * 3


def test_parameters_and_values_are_checked() -> None:
    one = ad.tensor([1.0])
    cases: list[tuple[Any, type[Exception], str]] = [
        (lambda: Gamma(0.0, 1.0), ValueError, "Gamma: expected concentration above 0"),
        (lambda: Gamma(1.0, -1.0), ValueError, "Gamma: expected rate above 0"),
        (
            lambda: Gamma(1.0, 1.0).log_prob(-one),
            ValueError,
            "expected values from 0 on",
        ),
        (lambda: Chi2(-1.0), ValueError, "Chi2: expected concentration above 0"),
        (lambda: Beta(1.0, 0.0), ValueError, "Beta: expected concentration0 above 0"),
        (lambda: Beta(1.0, 1.0).log_prob(2 * one), ValueError, "values from 0 to 1"),
        (
            lambda: Dirichlet(-one),
            ValueError,
            "Dirichlet: expected concentration above",
        ),
        (lambda: Dirichlet(ad.tensor(1.0)), ad.ShapeError, "at least one axis"),
        (
            lambda: Dirichlet(ad.ones(2)).log_prob(ad.ones(2)),
            ValueError,
            "that sum to 1",
        ),
        (lambda: StudentT(0.0), ValueError, "StudentT: expected df above 0"),
        (lambda: StudentT(1.0, 0.0, 0.0), ValueError, "StudentT: expected scale above"),
        (lambda: Poisson(-1.0), ValueError, "Poisson: expected rate from 0 on"),
        (lambda: Poisson(1.0).log_prob(0.5 * one), ValueError, "expected counts, got"),
        (lambda: Binomial(2, 1.5), ValueError, "Binomial: expected probs from 0 to 1"),
        (lambda: Binomial(2), ValueError, "exactly one of probs and logits"),
        (lambda: Binomial(1.5, 0.5), ValueError, "expected total_count a count"),
        (lambda: Binomial(1, 0.5).log_prob(2 * one), ValueError, "counts up to total"),
        (lambda: Geometric(0.0), ValueError, "Geometric: expected probs above 0"),
        (lambda: Multinomial(-1, one), ValueError, "total_count must not be negative"),
        (lambda: Multinomial(2, one).log_prob(one), ValueError, "counts that sum to 2"),
        (lambda: MultivariateNormal(one), ValueError, "give exactly one of covariance"),
        (
            lambda: MultivariateNormal(one, ad.eye(2)),
            ad.ShapeError,
            r"got \(1,\) and \(2, 2\)",
        ),
        (
            lambda: MultivariateNormal(ad.ones(2), ad.tensor([[1.0, 0.5], [0.0, 1.0]])),
            ValueError,
            "expected covariance_matrix symmetric",
        ),
        (
            lambda: MultivariateNormal(ad.ones(2), scale_tril=-ad.eye(2)),
            ValueError,
            "with a positive diagonal",
        ),
        (
            lambda: kl_divergence(Binomial(2, 0.5), Binomial(3, 0.5)),
            NotImplementedError,
            "the second is the larger",
        ),
        (
            lambda: kl_divergence(Multinomial(2, one), Multinomial(3, one)),
            NotImplementedError,
            "not for 2 and 3",
        ),
    ]
    for make, error, match in cases:
        with pytest.raises(error, match=match):
            make()
    assert Gamma(-1.0, 1.0, validate_args=False).batch_shape == ()


def test_what_a_kind_lacks_is_named() -> None:
    with pytest.raises(NotImplementedError, match="Gamma has no cdf"):
        Gamma(A, B).cdf(A)
    with pytest.raises(NotImplementedError, match="Poisson has no icdf"):
        Poisson(A).icdf(P)
    with pytest.raises(NotImplementedError, match="Distribution has no mean"):
        _ = Distribution(()).mean


def test_numbers_in_place_of_shapes_and_values_are_refused() -> None:
    with pytest.raises(TypeError, match=r"Gamma: expected sample_shape .* \(3,\)"):
        Gamma(A, B).sample(3)
    with pytest.raises(
        TypeError, match=r"Gamma\.log_prob: value must be a tensor, got"
    ):
        Gamma(A, B).log_prob(1.0)  # type: ignore[arg-type]


EXPANDED: dict[str, Callable[[], Distribution]] = {
    **{name: lambda name=name: KINDS[name][0](*KINDS[name][1]) for name in KINDS},
    "Normal": lambda: Normal(A, B),
    "Laplace": lambda: Laplace(A, B),
    "Uniform": lambda: Uniform(A, A + B),
    "Exponential": lambda: Exponential(B),
    "LogNormal": lambda: LogNormal(A / 9, B / 4),
    "HalfNormal": lambda: HalfNormal(B),
    "Bernoulli": lambda: Bernoulli(P),
    "Categorical": lambda: Categorical(ad.stack([P, B, A])),
    "Independent": lambda: Independent(Normal(ad.stack([A, B]), 1.0), 1),
    "Mixture": lambda: MixtureSameFamily(
        Categorical(SPREAD.abs()), Normal(SPREAD, 1.0)
    ),
    "one matrix": lambda: MultivariateNormal(SPREAD, scale_tril=SPREAD.tril()),
}


@pytest.mark.parametrize("name", EXPANDED)
def test_expanded_distributions_are_the_same_repeated(name: str) -> None:
    ad.manual_seed(3)
    kind = EXPANDED[name]()
    batch = tuple(kind.batch_shape)
    wide = kind.expand((2, *batch))
    assert type(wide) is type(kind)
    assert (tuple(wide.batch_shape), wide.event_shape) == (
        (2, *batch),
        kind.event_shape,
    )
    x = wide.sample((4,))
    assert tuple(x.shape) == (4, 2, *batch, *kind.event_shape)
    assert ad.allclose(wide.log_prob(x), kind.log_prob(x))
    if name != "Categorical":
        mean = kind.mean.expand(wide.mean.shape)
        assert ad.allclose(wide.mean, mean, equal_nan=True)
    assert tuple(kind.batch_shape) == batch
    if batch:
        with pytest.raises(ShapeError, match=r"^expand: shape"):
            kind.expand((*batch, 7))
    with pytest.raises(TypeError, match="expand: batch_shape must be a list or tuple"):
        kind.expand(None)
    with pytest.raises(
        TypeError, match=r"batch_shape as sizes, got 3; likely fix: \(3,\)"
    ):
        kind.expand(3)


@pytest.mark.parametrize(
    "name", ["Normal", "Laplace", "Uniform", "Exponential", "LogNormal", "HalfNormal"]
)
def test_inverse_distribution_functions(name: str) -> None:
    laws: Any = pytest.importorskip("torch.distributions")
    torch: Any = pytest.importorskip("torch")
    kind = EXPANDED[name]()
    share = ad.tensor([[0.0], [1e-9], [0.2], [0.5], [0.875], [1.0]], dtype=ad.float64)
    x = kind.icdf(share)
    assert ad.allclose(kind.cdf(x), share.expand(6, 3), rtol=1e-9)
    names = {
        "Uniform": ("low", "high"),
        "Exponential": ("rate",),
        "HalfNormal": ("scale",),
    }
    given = [getattr(kind, each) for each in names.get(name, ("loc", "scale"))]
    theirs = getattr(laws, name)(*(torch.tensor(each.numpy()) for each in given))
    expected = theirs.icdf(torch.tensor(share[2:].numpy()))
    np.testing.assert_allclose(x[2:].numpy(), expected.numpy(), rtol=1e-12)
    inner = share[2:5].clone().requires_grad_()
    assert gradcheck(kind.icdf, (inner,))
    with pytest.raises(
        ValueError, match=rf"{name}.icdf: expected probabilities from 0"
    ):
        kind.icdf(share - 0.5)
    with pytest.raises(TypeError, match=f"{name}.icdf: value must be a tensor"):
        kind.icdf(0.5)


def test_probabilities_of_uniform_draws() -> None:
    kind = Uniform(ad.tensor([0.0, 1.0]), 2.0)
    assert kind.cdf(ad.tensor([[-1.0], [1.5], [3.0]])).tolist() == [
        [0, 0],
        [0.75, 0.5],
        [1, 1],
    ]
