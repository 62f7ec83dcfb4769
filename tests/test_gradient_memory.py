"""What the engine does with a gradient nobody else has: sums in place, masks put off."""

from __future__ import annotations

import numpy as np
import pytest

import pyautodl as ad
from pyautodl import nn

F = nn.functional


def _norm(channels=5, training=True):
    norm = nn.BatchNorm2d(channels).train(training)
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    return norm


# ---- the mask of a ReLU behind batch norm ----


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("inplace", [True, False])
def test_the_mask_is_part_of_the_norms_gradient(training, inplace):
    norm = _norm(training=training)
    x, g = ad.randn(3, 5, 4, 4, requires_grad=True), ad.randn(3, 5, 4, 4)
    y = F.relu(norm(x), inplace=inplace)
    assert y.grad_fn.name == "relu"
    found = ad.autograd.grad(y, (x, *norm.parameters()), g, retain_graph=True)
    # what is looked at is masked first
    z = norm(x)
    z.retain_grad()
    F.relu(z).backward(g)
    assert ad.equal(z.grad, g * (z > 0))
    for got, want in zip(found, (x, *norm.parameters())):
        assert ad.equal(got, want.grad)
    again = ad.autograd.grad(y, (x, *norm.parameters()), g)
    for got, want in zip(again, found):
        assert ad.equal(got, want)


def test_a_hook_a_target_and_another_use_get_the_masked_gradient():
    norm, x, g = _norm(), ad.randn(3, 5, 4, 4), ad.randn(3, 5, 4, 4)
    z = norm(x)
    y = z.relu()
    (found,) = ad.autograd.grad(y, z, g, retain_graph=True)
    assert ad.equal(found, g * (z > 0))
    seen = []
    z.register_hook(seen.append)
    y.backward(g)
    assert ad.equal(seen[0], found)
    for order in (1, -1):
        z = norm(x)
        uses = [z.relu(), z * 2, z.relu() * 3][::order]
        total = sum((use * g).sum() for use in uses)
        grads = ad.autograd.grad(total, (*norm.parameters(), z), retain_graph=True)
        want = g * (2 + 4 * (z > 0))
        assert ad.allclose(grads[-1], want, atol=1e-6)
        bias = ad.autograd.grad(total, norm.bias)[0]
        assert ad.allclose(bias, want.sum((0, 2, 3)), rtol=1e-5, atol=1e-4)


def test_a_norms_output_that_was_changed_is_masked_by_what_the_relu_saw():
    norm, x, g = _norm(), ad.randn(3, 5, 4, 4), ad.randn(3, 5, 4, 4)

    def turn(z):
        with ad.no_grad():
            z.mul_(-1)

    def turn_by_numpy(z):
        z.detach().numpy()[...] *= -1

    def replace(z):
        z.data = z.detach() * -1

    for change in (turn, turn_by_numpy, replace):
        z = norm(x)
        change(z)
        y = z.relu()
        (bias,) = ad.autograd.grad(y, norm.bias, g)
        assert ad.allclose(bias, (g * (y > 0)).sum((0, 2, 3)), rtol=1e-5, atol=1e-5)


def test_second_derivatives_through_a_norm_and_its_relu():
    norm = nn.BatchNorm1d(3).double()
    x = ad.randn(4, 3, dtype=ad.float64, requires_grad=True)
    assert ad.autograd.gradgradcheck(lambda x: F.relu(norm(x)), (x,))


def test_a_relus_output_that_was_changed_is_an_error():
    y = _norm()(ad.randn(3, 5, 4, 4)).relu()
    z = y * 1
    with ad.no_grad():
        y.zero_()
    with pytest.raises(ad.errors.GradError, match=r"relu: a tensor .* was changed"):
        z.sum().backward()


# ---- sums in place ----


def test_a_sum_leaves_gradients_that_somebody_has_as_they_are():
    x = ad.randn(300, 300, requires_grad=True)
    g = ad.randn(300, 300)
    before = g.clone()
    kept = []
    z = x * 1
    one, two = ad.ones(300, 300) * z, z + 0
    one.register_hook(kept.append)
    two.register_hook(kept.append)
    z.register_hook(kept.append)
    ad.autograd.backward([two, z, x, one], [g, g, g, g])
    assert ad.equal(g, before)
    assert ad.equal(kept[0], g)
    assert ad.equal(kept[1], g)
    assert ad.allclose(kept[2], 3 * g)
    assert ad.allclose(x.grad, 4 * g)


def test_a_gradient_for_two_is_not_changed_for_one_of_them():
    x, w = (ad.randn(300, 300, requires_grad=True) for _ in range(2))
    z, v = x * 1, w * 1
    total = z + v  # one gradient for both
    (total * 2 + z * 3).sum().backward()
    assert ad.allclose(w.grad, ad.full((300, 300), 2.0))
    assert ad.allclose(x.grad, ad.full((300, 300), 5.0))


def test_a_gradient_in_memory_of_numpys_is_not_added_to():
    twos = np.full(1 << 16, 2, np.float32)

    class Twos(ad.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, g):
            return ad.from_numpy(twos)

    x = ad.ones(1 << 16, requires_grad=True)
    later = x * 3
    (Twos.apply(x) + later).sum().backward()
    assert (x.grad == 5).all()
    assert (twos == 2).all()


def test_a_gradient_lies_as_its_leaf_does():
    for leaf in (ad.ones(3, 4), ad.ones(4, 3).t()):
        leaf.requires_grad_()
        (leaf.t() * 2).sum().backward()
        assert leaf.grad.stride() == leaf.stride()
