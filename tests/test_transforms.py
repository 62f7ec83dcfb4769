"""Transforms and what is made of them, long tails, soft classes: PyTorch's values, draws."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pyautodl as ad
from pyautodl import distributions as D
from pyautodl.autograd import gradcheck
from pyautodl.errors import ShapeError

A = np.array([0.6, 2.0, 9.0])
B = np.array([1.5, 0.7, 4.0])
P = np.array([[0.2, 0.5, 0.3], [0.1, 0.1, 0.8]])
X = np.array([0.3, 0.55, 0.9])

# transform of a module's distributions, and points that it takes
TRANSFORMS: dict[str, tuple[Callable[..., Any], np.ndarray]] = {
    "affine": (lambda d, t: d.AffineTransform(1.5, -2.0), A),
    "affine of tensors": (lambda d, t: d.AffineTransform(t(A), t(B)), X),
    "exp": (lambda d, t: d.ExpTransform(), X),
    "power": (lambda d, t: d.PowerTransform(t(B)), A),
    "sigmoid": (lambda d, t: d.SigmoidTransform(), A),
    "softplus": (lambda d, t: d.SoftplusTransform(), A),
    "tanh": (lambda d, t: d.TanhTransform(), X),
    "inverse": (lambda d, t: d.ExpTransform().inv, A),
    "composed": (
        lambda d, t: d.ComposeTransform(
            [d.AffineTransform(t(A), -1.0), d.SigmoidTransform(), d.ExpTransform().inv]
        ),
        X,
    ),
    "nothing": (lambda d, t: d.identity_transform, A),
}


@pytest.mark.parametrize("name", TRANSFORMS)
def test_transforms_are_those_of_pytorch(name: str) -> None:
    torch: Any = pytest.importorskip("torch")
    make, points = TRANSFORMS[name]
    theirs = make(torch.distributions, torch.tensor)
    ours = make(D, ad.tensor)
    x, u = ad.tensor(points, requires_grad=True), torch.tensor(points)
    y, v = ours(x), theirs(u)
    np.testing.assert_allclose(y.detach().numpy(), v, rtol=1e-12)
    np.testing.assert_allclose(
        ours.log_abs_det_jacobian(x, y).detach().numpy(),
        theirs.log_abs_det_jacobian(u, v),
        rtol=1e-9,
        atol=1e-12,
    )
    np.testing.assert_allclose(ours.inv(y).detach().numpy(), points, rtol=1e-8)
    assert ours.inv.inv(x.detach()).tolist() == y.tolist()
    assert np.all(np.asarray(ours.sign) == np.asarray(theirs.sign))
    assert ours.bijective
    # how much volumes grow is the slope
    slope = ad.autograd.grad(y.sum(), x)[0].abs().log()
    found = ours.log_abs_det_jacobian(x, y)
    np.testing.assert_allclose(found.detach().numpy(), slope.numpy(), atol=1e-9)


# by name: the distribution of a module's, of its tensors
KINDS: dict[str, tuple[Callable[..., Any], np.ndarray]] = {
    "Gumbel": (lambda d, t: d.Gumbel(t(A), t(B)), X),
    "Cauchy": (lambda d, t: d.Cauchy(t(A), t(B)), X),
    "Weibull": (lambda d, t: d.Weibull(t(A), t(B)), X),
    "of exp": (
        lambda d, t: d.TransformedDistribution(d.Normal(t(A), t(B)), d.ExpTransform()),
        X,
    ),
    "falling": (
        lambda d, t: d.TransformedDistribution(
            d.Normal(t(A), t(B)), [d.AffineTransform(1.0, -2.0), d.ExpTransform()]
        ),
        X,
    ),
    "widened": (
        lambda d, t: d.TransformedDistribution(
            d.Uniform(t(0.0 * A[:1]), t(1.0 + A[:1])),
            [d.AffineTransform(t(A), t(B))],
        ),
        A + 0.1 * B,
    ),
}


@pytest.mark.parametrize("name", KINDS)
def test_densities_are_those_of_pytorch(name: str) -> None:
    torch: Any = pytest.importorskip("torch")
    make, points = KINDS[name]
    theirs, ours = make(torch.distributions, torch.tensor), make(D, ad.tensor)
    x, u = ad.tensor(points), torch.tensor(points)
    for method in ("log_prob", "cdf"):
        np.testing.assert_allclose(
            getattr(ours, method)(x).numpy(), getattr(theirs, method)(u), rtol=1e-9
        )
    shares = ad.tensor([0.1, 0.5, 0.9], dtype=ad.float64)
    np.testing.assert_allclose(
        ours.cdf(ours.icdf(shares)).numpy(), shares.numpy(), rtol=1e-8
    )
    if hasattr(torch.distributions, name):
        for what in ("mean", "variance"):
            np.testing.assert_allclose(
                getattr(ours, what).numpy(), getattr(theirs, what), rtol=1e-9
            )
        np.testing.assert_allclose(ours.entropy().numpy(), theirs.entropy(), rtol=1e-9)
    assert tuple(ours.batch_shape) == tuple(theirs.batch_shape)
    ad.manual_seed(0)
    drawn = ours.sample((4000,))
    # draws are as frequent as the probabilities say
    share = ours.cdf(drawn).numpy()
    for limit in (0.1, 0.5, 0.8):
        np.testing.assert_allclose((share < limit).mean(0), limit, atol=0.03)
    assert not drawn.requires_grad


def test_gradients_reach_the_parameters() -> None:
    a, b = (ad.tensor(each, requires_grad=True) for each in (A, B))
    x = ad.tensor(X)

    def score(kind: Any) -> Callable[..., ad.Tensor]:
        return lambda a, b: kind(a, b).log_prob(x)

    def flow(a: ad.Tensor, b: ad.Tensor) -> D.Distribution:
        parts = [D.AffineTransform(a, b), D.SigmoidTransform()]
        return D.TransformedDistribution(D.Normal(0.0 * a, 1.0), parts)

    for kind in (D.Gumbel, D.Cauchy, D.Weibull, flow):
        assert gradcheck(score(kind), (a, b))

        def draw(a: ad.Tensor, b: ad.Tensor, kind: Any = kind) -> ad.Tensor:
            ad.manual_seed(3)
            return kind(a, b).rsample((2,))

        assert gradcheck(draw, (a, b))


def test_events_of_several_axes() -> None:
    torch: Any = pytest.importorskip("torch")

    def make(d: Any, t: Any) -> Any:
        base = d.Independent(d.Normal(t(P), 1.0 + t(P)), 1)
        parts = [d.AffineTransform(t(A), t(B)), d.TanhTransform()]
        return d.TransformedDistribution(base, parts)

    ours, theirs = make(D, ad.tensor), make(torch.distributions, torch.tensor)
    assert tuple(ours.batch_shape) == tuple(theirs.batch_shape) == (2,)
    assert tuple(ours.event_shape) == tuple(theirs.event_shape) == (3,)
    points = np.tanh(P)
    np.testing.assert_allclose(
        ours.log_prob(ad.tensor(points)).numpy(),
        theirs.log_prob(torch.tensor(points)),
        rtol=1e-9,
    )
    assert ours.rsample((5,)).shape == (5, 2, 3)
    assert ours.expand((4, 2)).sample().shape == (4, 2, 3)
    rows = D.AffineTransform(ad.tensor(A), ad.tensor(B), event_dim=1)
    other = torch.distributions.AffineTransform(torch.tensor(A), torch.tensor(B), 1)
    np.testing.assert_allclose(
        rows.log_abs_det_jacobian(ad.tensor(P), ad.tensor(P)).numpy(),
        other.log_abs_det_jacobian(torch.tensor(P), torch.tensor(P)),
    )


def test_classes_as_vectors() -> None:
    torch: Any = pytest.importorskip("torch")
    probs = ad.tensor(P)
    kind = D.OneHotCategorical(probs)
    theirs = torch.distributions.OneHotCategorical(torch.tensor(P))
    one = ad.eye(3, dtype=ad.float64)[[0, 2]]
    np.testing.assert_allclose(
        kind.log_prob(one).numpy(), theirs.log_prob(torch.tensor(one.numpy()))
    )
    for what in ("mean", "variance", "mode"):
        np.testing.assert_allclose(getattr(kind, what).numpy(), getattr(theirs, what))
    np.testing.assert_allclose(kind.entropy().numpy(), theirs.entropy())
    ad.manual_seed(0)
    drawn = kind.sample((3000,))
    assert drawn.shape == (3000, 2, 3)
    assert (drawn.sum(-1) == 1).all()
    np.testing.assert_allclose(drawn.mean(0).numpy(), P, atol=0.03)
    logits = ad.tensor(np.log(P), requires_grad=True)
    through = D.OneHotCategoricalStraightThrough(logits=logits).rsample()
    assert set(through.flatten().round().tolist()) == {0.0, 1.0}
    weights = ad.tensor([1.0, 2.0, 3.0], dtype=ad.float64)
    (through * weights).sum().backward()
    other = ad.tensor(np.log(P), requires_grad=True)
    (other.softmax(-1) * weights).sum().backward()
    np.testing.assert_allclose(logits.grad.numpy(), other.grad.numpy())


@pytest.mark.parametrize("temperature", [0.5, 2.0])
def test_soft_classes(temperature: float) -> None:
    torch: Any = pytest.importorskip("torch")
    tau = torch.tensor(temperature, dtype=torch.float64)
    values = np.array([[0.2, 0.5, 0.3], [0.6, 0.1, 0.3]])
    ours = D.RelaxedOneHotCategorical(temperature, ad.tensor(P))
    theirs = torch.distributions.RelaxedOneHotCategorical(tau, torch.tensor(P))
    np.testing.assert_allclose(
        ours.log_prob(ad.tensor(values)).numpy(),
        theirs.log_prob(torch.tensor(values)),
        rtol=1e-6,
    )
    assert ours.rsample((4,)).shape == (4, 2, 3)
    np.testing.assert_allclose(ours.sample((4,)).sum(-1).numpy(), 1)
    ours = D.RelaxedBernoulli(temperature, ad.tensor(P))
    theirs = torch.distributions.RelaxedBernoulli(tau, torch.tensor(P))
    np.testing.assert_allclose(
        ours.log_prob(ad.tensor(values)).numpy(),
        theirs.log_prob(torch.tensor(values)),
        rtol=1e-6,
    )
    ad.manual_seed(0)
    drawn = ours.sample((3000,))
    np.testing.assert_allclose((drawn > 0.5).float().mean(0).numpy(), P, atol=0.03)
    logits = ad.zeros(3, requires_grad=True)
    D.RelaxedBernoulli(temperature, logits=logits).rsample().sum().backward()
    assert (logits.grad > 0).all()


def test_wrong_arguments() -> None:
    normal = D.Normal(0.0, 1.0)
    with pytest.raises(TypeError, match="TransformedDistribution: expected transforms"):
        D.TransformedDistribution(normal, [3])
    with pytest.raises(TypeError, match="ComposeTransform: expected transforms, got 3"):
        D.ComposeTransform([3])
    with pytest.raises(ShapeError, match="transforms are of 1 axes"):
        D.TransformedDistribution(normal, D.AffineTransform(0.0, 1.0, event_dim=1))
    with pytest.raises(ValueError, match="Gumbel: expected scale above 0"):
        D.Gumbel(0.0, -1.0)
    with pytest.raises(ValueError, match="Weibull: expected scale and concentration"):
        D.Weibull(1.0, 0.0)
    with pytest.raises(ValueError, match="exactly one of probs and logits"):
        D.OneHotCategorical()
    plain = D.Transform()
    for unknown in (lambda: plain.sign, lambda: plain(A), lambda: plain.inv(A)):
        with pytest.raises(NotImplementedError, match=r"^Transform"):
            unknown()
