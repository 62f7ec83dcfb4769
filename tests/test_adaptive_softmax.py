"""The softmax in clusters."""

from __future__ import annotations

import numpy as np
import pytest

import pyautodl as ad
from pyautodl import nn, optim
from pyautodl.autograd import gradcheck
from pyautodl.errors import DTypeError, ShapeError

NAME = "AdaptiveLogSoftmaxWithLoss"


def _model(**more):
    return nn.AdaptiveLogSoftmaxWithLoss(16, 20, [5, 11, 15], div_value=2.0, **more)


def test_probabilities_of_all_classes():
    ad.manual_seed(0)
    model, x = _model(head_bias=True), ad.randn(40, 16)
    every = model.log_prob(x)
    np.testing.assert_allclose(every.exp().sum(1).detach().numpy(), 1, rtol=1e-5)
    target = ad.arange(40) % 20
    output, loss = model(x, target)
    wanted = every[ad.arange(40), target]
    np.testing.assert_allclose(output.tolist(), wanted.tolist(), rtol=1e-5)
    assert loss.item() == pytest.approx(-wanted.mean().item())
    # what the head takes for a frequent class is one, others are searched
    found = model.predict(x)
    head = model.head(x).argmax(1)
    assert (found[head < 5] == head[head < 5]).all()
    assert (found[head >= 5] == every[head >= 5].argmax(1)).all()
    single = model(x[3], target[3])
    assert single.output.shape == ()
    assert single.output.item() == pytest.approx(output[3].item())
    assert model(x[:0], target[:0]).output.shape == (0,)


def test_gradients():
    model = _model().double()
    x = ad.randn(6, 16, dtype=ad.float64, requires_grad=True)
    target = ad.tensor([0, 4, 6, 12, 19, 3])
    assert gradcheck(lambda y: model(y, target).loss, (x,))
    model.zero_grad()
    model(x, ad.tensor([0] * 6)).loss.backward()
    # clusters that no target is in are not computed
    assert model.tail[0][0].weight.grad is None
    assert model.head.weight.grad is not None


@pytest.mark.parametrize("more", [{}, {"head_bias": True}])
def test_results_states_and_gradients_are_those_of_pytorch(more):
    torch = pytest.importorskip("torch")
    theirs = torch.nn.AdaptiveLogSoftmaxWithLoss(
        16, 20, [5, 11, 15], div_value=2.0, **more
    )
    ours = _model(**more)
    state = {key: ad.tensor(each.numpy()) for key, each in theirs.state_dict().items()}
    assert list(state) == list(ours.state_dict())
    ours.load_state_dict(state)
    random = np.random.default_rng(0)
    x = random.standard_normal((30, 16)).astype("f")
    target = random.integers(0, 20, 30)
    given, twin = torch.tensor(x, requires_grad=True), ad.tensor(x, requires_grad=True)
    wanted, found = theirs(given, torch.tensor(target)), ours(twin, ad.tensor(target))
    wanted.loss.backward()
    found.loss.backward()
    pairs = [
        (wanted.output, found.output),
        (wanted.loss, found.loss),
        (given.grad, twin.grad),
        (theirs.log_prob(given), ours.log_prob(twin)),
        (theirs.predict(given), ours.predict(twin)),
        *[(p.grad, q.grad) for p, q in zip(theirs.parameters(), ours.parameters())],
    ]
    for one, other in pairs:
        np.testing.assert_allclose(
            other.detach().numpy(), one.detach().numpy(), rtol=1e-4, atol=1e-6
        )
    assert found._fields == wanted._fields
    for name in ("cutoffs", "shortlist_size", "n_clusters", "head_size"):
        assert getattr(ours, name) == getattr(theirs, name)


def test_it_learns():
    ad.manual_seed(0)
    model, target = _model(), ad.arange(20)
    x = ad.randn(20, 16)
    optimizer = optim.Adam(model.parameters(), lr=0.05)
    for _ in range(150):
        optimizer.zero_grad()
        model(x, target).loss.backward()
        optimizer.step()
    assert (model.predict(x) == target).float().mean().item() > 0.9
    before = model.head.weight.clone()
    model.reset_parameters()
    assert not (model.head.weight == before).any()


@pytest.mark.parametrize(
    ("x", "target", "error", "message"),
    [
        ((3, 16), [1, 2], ShapeError, r"got \(3, 16\) and \(2,\)"),
        ((16,), [1, 2], ShapeError, r"got \(16,\) and \(2,\)"),
        ((3, 16), [[1], [2], [3]], ShapeError, r"got \(3, 16\) and \(3, 1\)"),
        ((2, 16), [1, 20], IndexError, "from 0 to 19, got 20"),
        ((2, 16), [-1, 2], IndexError, "from 0 to 19, got -1"),
        ((2, 16), [1.7, 5.2], DTypeError, r"must be integers.*fix: \.long\(\)"),
    ],
)
def test_targets_that_do_not_fit(x, target, error, message):
    with pytest.raises(error, match=f"{NAME}: .*{message}"):
        _model()(ad.ones(*x), ad.tensor(target))


@pytest.mark.parametrize("cutoffs", [[], [5, 5], [5, 20], [0, 5], [7, 5]])
def test_cutoffs_that_are_none(cutoffs):
    with pytest.raises(ValueError, match=f"{NAME}: cutoffs must rise from 1"):
        nn.AdaptiveLogSoftmaxWithLoss(16, 20, cutoffs)


def test_a_cluster_without_features_is_named():
    with pytest.warns(
        UserWarning, match="cluster 2 of 2 has 8 // .* a smaller div_value"
    ):
        nn.AdaptiveLogSoftmaxWithLoss(8, 20, [5, 11])
