"""Distributions: densities, entropies, draws, divergences."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import pyautodl as ad
from pyautodl.autograd import gradcheck
from pyautodl.distributions import (
    Bernoulli,
    Categorical,
    Distribution,
    Exponential,
    HalfNormal,
    Independent,
    Laplace,
    LogNormal,
    MixtureSameFamily,
    Normal,
    Uniform,
    kl_divergence,
)
from pyautodl.errors import ShapeError

LOC = ad.tensor([[0.5, -1.0, 2.0]], dtype=ad.float64)
SCALE = ad.tensor([[0.5], [2.0]], dtype=ad.float64)
LOGITS = ad.tensor([[0.3, -1.0, 2.0], [0.0, 0.0, -0.5]], dtype=ad.float64)

DISTRIBUTIONS: list[Distribution] = [
    Normal(LOC, SCALE),
    Uniform(LOC, LOC + SCALE),
    Laplace(LOC, SCALE),
    Exponential(SCALE),
    LogNormal(LOC / 4, SCALE / 4),
    HalfNormal(SCALE),
    Bernoulli(logits=LOGITS),
    Bernoulli(ad.sigmoid(LOGITS)),
    Categorical(logits=LOGITS),
    Categorical(ad.softmax(LOGITS, -1) * 3),
]


@pytest.mark.parametrize("kind", DISTRIBUTIONS, ids=repr)
def test_draws_follow_the_distribution(kind: Any) -> None:
    ad.manual_seed(0)
    x = kind.sample((20000,))
    assert tuple(x.shape) == (20000, *kind.batch_shape)
    assert not x.requires_grad
    # the entropy is the mean of -log p
    np.testing.assert_allclose(
        -kind.log_prob(x).mean(0).numpy(), kind.entropy().numpy(), atol=0.03
    )
    if isinstance(kind, Categorical):
        for i in range(3):
            share = (x == i).double().mean(0).numpy()
            np.testing.assert_allclose(share, kind.probs[:, i].numpy(), atol=0.02)
        return
    mean, spread = kind.mean.numpy(), kind.stddev.numpy()
    np.testing.assert_allclose(x.mean(0).numpy(), mean, atol=0.05)
    np.testing.assert_allclose(x.std(0).numpy(), spread, rtol=0.03)


def test_densities_written_out() -> None:
    x = np.array([0.2, 1.5])
    found = Normal(1.0, 2.0).log_prob(ad.tensor(x)).numpy()
    density = np.exp(-((x - 1) ** 2) / 8) / math.sqrt(8 * math.pi)
    np.testing.assert_allclose(found, np.log(density), rtol=1e-6)
    half = Normal(1.0, 2.0).cdf(ad.tensor([1.0, 3.0])).numpy()
    np.testing.assert_allclose(half, [0.5, 0.8413447], rtol=1e-5)
    assert Uniform(0.0, 4.0).log_prob(ad.tensor([1.0, 4.0])).tolist() == [
        pytest.approx(-math.log(4)),
        -math.inf,
    ]
    p = np.exp(LOGITS.numpy()) / np.exp(LOGITS.numpy()).sum(1, keepdims=True)
    choice = Categorical(logits=LOGITS)
    np.testing.assert_allclose(
        choice.log_prob(ad.tensor([[2, 0], [1, 1]])).exp().numpy(),
        [[p[0, 2], p[1, 0]], [p[0, 1], p[1, 1]]],
    )
    assert choice.mode.tolist() == [2, 0]
    certain = Bernoulli(ad.tensor([0.0, 1.0]))
    assert certain.sample().tolist() == [0.0, 1.0]
    assert certain.log_prob(ad.tensor([1.0, 1.0])).isfinite().all()


def _made(name: str, parameter: ad.Tensor) -> Distribution:
    if name == "normal":
        return Normal(parameter, parameter.exp())
    if name == "bernoulli":
        return Bernoulli(ad.sigmoid(parameter))
    if name == "laplace":
        return Laplace(parameter, parameter.exp())
    if name == "exponential":
        return Exponential(parameter.exp())
    if name == "log_normal":
        return LogNormal(parameter / 4, parameter.exp() / 4)
    if name == "half_normal":
        return HalfNormal(parameter.exp())
    if name == "independent":
        return Independent(Normal(parameter, parameter.exp()), 1)
    return Categorical(logits=parameter)


@pytest.mark.parametrize(
    "name",
    [
        "normal",
        "bernoulli",
        "categorical",
        "laplace",
        "exponential",
        "log_normal",
        "half_normal",
        "independent",
    ],
)
def test_divergences_and_gradients(name: str) -> None:
    ad.manual_seed(0)
    other = ad.tensor([[-0.2, 0.4, 0.1]], dtype=ad.float64)
    p, q = _made(name, LOGITS / 2), _made(name, other)
    x = p.sample((40000,))
    np.testing.assert_allclose(
        kl_divergence(p, q).numpy(),
        (p.log_prob(x) - q.log_prob(x)).mean(0).numpy(),
        atol=0.05,
    )
    assert kl_divergence(p, p).abs().max().item() < 1e-12
    parameter = (LOGITS / 2).requires_grad_()
    gradcheck(lambda t: kl_divergence(_made(name, t), q), (parameter,))
    gradcheck(lambda t: _made(name, t).log_prob(x[0]), (parameter,))
    gradcheck(lambda t: _made(name, t).entropy(), (parameter,))


def test_gradients_pass_draws() -> None:
    loc = ad.zeros(3, requires_grad=True)
    (Normal(loc, 1.0).rsample((4,)) * 2).sum().backward()
    assert loc.grad.tolist() == [8.0] * 3
    low = ad.zeros(2, requires_grad=True)
    Uniform(low, 1.0).rsample().sum().backward()
    assert low.grad.min().item() > 0
    with pytest.raises(NotImplementedError, match="Categorical has no rsample"):
        Categorical(logits=LOGITS).rsample()


def test_parameters_are_checked() -> None:
    for make, error, match in (
        (lambda: Normal(0.0, -1.0), ValueError, "Normal: expected scale above 0"),
        (lambda: Laplace(0.0, 0.0), ValueError, "Laplace: expected scale above 0"),
        (lambda: Exponential(0.0), ValueError, "Exponential: expected rate above 0"),
        (lambda: LogNormal(0.0, 0.0), ValueError, "Normal: expected scale above 0"),
        (lambda: Independent(Normal(0.0, 1.0), 1), ValueError, "expected 0 to 0 axes"),
        (
            lambda: MixtureSameFamily(Normal(0.0, 1.0), Normal(LOC, 1.0)),
            TypeError,
            "expected a Categorical",
        ),
        (
            lambda: MixtureSameFamily(Categorical(ad.ones(2)), Normal(LOC, 1.0)),
            ShapeError,
            r"probabilities' shape \(2,\) .* got \(1, 3\)",
        ),
        (lambda: Uniform(1.0, 1.0), ValueError, "Uniform: expected high above low"),
        (lambda: Bernoulli(1.5), ValueError, "Bernoulli: expected probs from 0 to 1"),
        (lambda: Bernoulli(), ValueError, "exactly one of probs and logits"),
        (lambda: Categorical(), ValueError, "exactly one of probs and logits"),
        (lambda: Categorical(ad.tensor(1.0)), ShapeError, "at least one axis"),
        (lambda: Categorical(-ad.ones(2)), ValueError, "probs from 0 on"),
        (
            lambda: kl_divergence(Normal(0.0, 1.0), Bernoulli(0.5)),
            NotImplementedError,
            "not known for Normal and Bernoulli",
        ),
    ):
        with pytest.raises(error, match=match):
            make()
    Normal(0.0, -1.0, validate_args=False)


def test_axes_of_draws() -> None:
    kind = Independent(Normal(LOC, SCALE), 1)
    assert (tuple(kind.batch_shape), tuple(kind.event_shape)) == ((2,), (3,))
    x = kind.rsample((5,))
    assert (tuple(x.shape), tuple(kind.sample().shape)) == ((5, 2, 3), (2, 3))
    expected = Normal(LOC, SCALE).log_prob(x).sum(-1)
    assert kind.log_prob(x).tolist() == expected.tolist()
    assert tuple(kind.entropy().shape) == (2,)
    assert kind.stddev.tolist() == SCALE.expand(2, 3).tolist()
    whole = Independent(Normal(LOC, SCALE), 2)
    assert whole.log_prob(x[0]).item() == pytest.approx(expected[0].sum().item())
    with pytest.raises(NotImplementedError, match=r"other axes: \(3,\) and \(2, 3\)"):
        kl_divergence(kind, whole)
    assert Independent(Normal(LOC, SCALE), 0).log_prob(x).shape == x.shape


@pytest.mark.parametrize("axes", [0, 1])
@pytest.mark.parametrize("shared", [True, False])
def test_mixtures(axes: int, shared: bool) -> None:
    ad.manual_seed(0)
    # (2, 3 components, 1 of an event)
    loc = ad.tensor([[-2.0, 0.0, 3.0], [1.0, 1.5, 5.0]], dtype=ad.float64)
    logits = ad.tensor([0.5, -0.3, 0.1], dtype=ad.float64)
    if not shared:
        logits = ad.stack([logits, -logits])
    parts: Distribution = Normal(loc, 0.5)
    if axes:
        parts = Independent(Normal(loc[..., None], 0.5), 1)
    kind = MixtureSameFamily(Categorical(logits=logits), parts)
    x = kind.sample((20000,))
    assert tuple(x.shape) == (20000, 2, *[1] * axes)
    np.testing.assert_allclose(x.mean(0).numpy(), kind.mean.numpy(), atol=0.06)
    np.testing.assert_allclose(x.std(0).numpy(), kind.stddev.numpy(), rtol=0.03)
    chances = np.broadcast_to(ad.softmax(logits, -1).numpy(), (2, 3))
    value = x[0].numpy().reshape(2, 1)
    density = np.exp(-(((value - loc.numpy()) / 0.5) ** 2) / 2) / 0.5
    expected = np.log((chances * density).sum(-1) / math.sqrt(2 * math.pi))
    np.testing.assert_allclose(kind.log_prob(x[0]).numpy(), expected)


def test_probabilities_up_to_a_value() -> None:
    for kind, value, expected in (
        (Laplace(1.0, 2.0), 1.0, 0.5),
        (Laplace(1.0, 2.0), -1.0, 0.5 * math.exp(-1)),
        (Exponential(2.0), 1.0, 1 - math.exp(-2)),
        (LogNormal(0.0, 1.0), 1.0, 0.5),
        (HalfNormal(1.0), 1.0, 0.6826895),
        (HalfNormal(1.0), -1.0, 0.0),
    ):
        assert kind.cdf(ad.tensor(value)).item() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("kind", [Normal, Laplace])
def test_a_middle_that_is_nan_is_refused(kind):
    with pytest.raises(ValueError, match=f"{kind.__name__}: expected loc without nan"):
        kind(ad.tensor([0.0, math.nan]), 1.0)
    kind(ad.tensor([0.0, math.nan]), 1.0, validate_args=False)
