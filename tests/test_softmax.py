"""Softmax where the records of the ops can't say it: infinities, masks, defaults."""

from __future__ import annotations

import numpy as np
import pytest

import pyautodl as ad
from pyautodl import nn

F = nn.functional
pytestmark = pytest.mark.usefixtures("backend")
INF, NAN = np.inf, np.nan


def leaf(values, dtype=np.float32):
    return ad.tensor(np.array(values, dtype), requires_grad=True)


# ---- masks ----


@pytest.mark.parametrize("hidden", [3.0, 1e38, INF, -INF, NAN])
@pytest.mark.parametrize("dim", [0, 1])
def test_masked_entries_have_no_value_and_no_gradient(hidden, dim):
    x = leaf([[1.0, hidden, 2.0], [hidden, 0.5, -1.0], [0.0, 1.0, hidden]])
    mask = ad.tensor([[True, False, True], [False, True, True], [True, True, False]])
    y = F.masked_softmax(x, mask, dim=dim)
    kept = np.where(mask.numpy(), x.detach().numpy(), -np.inf)
    expected = np.exp(kept) / np.exp(kept).sum(dim, keepdims=True)
    np.testing.assert_allclose(y.detach().numpy(), expected, rtol=1e-6)
    y.backward(ad.tensor([[1.0, INF, 2.0], [NAN, 3.0, 4.0], [5.0, 6.0, INF]]))
    assert (x.grad.numpy()[~mask.numpy()] == 0).all()
    assert np.isfinite(x.grad.numpy()).all()


@pytest.mark.parametrize("size", [2, 3, 32, 50])
@pytest.mark.parametrize("dim", [0, 1])
def test_row_without_entries_is_zero(size, dim):
    x = leaf(np.ones((size, size)))
    mask = np.ones((size, size), bool)
    np.moveaxis(mask, dim, 1)[1] = False
    y = F.masked_softmax(x, ad.tensor(mask), dim=dim)
    (y * y).sum().backward()
    for found in (y.detach().numpy(), x.grad.numpy()):
        assert (np.moveaxis(found, dim, 1)[1] == 0).all()
        assert np.isfinite(found).all()


def test_masked_softmax_equals_softmax_of_what_is_left():
    x = leaf(np.random.default_rng(0).standard_normal((4, 40)))
    mask = ad.tensor(np.arange(40) % 3 != 0)
    y = F.masked_softmax(x, mask)
    rest = F.softmax(x.detach()[:, np.arange(40) % 3 != 0], 1)
    np.testing.assert_allclose(
        y.detach().numpy()[:, np.arange(40) % 3 != 0], rest.numpy(), rtol=1e-6
    )


# ---- infinities ----


@pytest.mark.parametrize("size", [2, 40])
@pytest.mark.parametrize("dim", [0, 1])
def test_an_infinite_logit_gives_nan(size, dim):
    row = np.zeros(size)
    row[-1] = np.inf
    x = leaf(np.stack([row, np.zeros(size)]) if dim else np.stack([row] * 2).T)
    for function in (F.softmax, F.log_softmax):
        y = np.moveaxis(function(x, dim).detach().numpy(), dim, 1)
        # of log_softmax the finite logits' are -inf - log(nan)
        assert np.isnan(y[0]).all()
        if dim:
            assert np.isfinite(y[1]).all()


def test_cross_entropy_of_an_infinite_logit_is_nan():
    logits = ad.tensor([[0.0, INF], [0.0, 1.0]])
    loss = F.cross_entropy(logits, ad.tensor([0, 0]), reduction="none").numpy()
    assert np.isnan(loss[0])
    np.testing.assert_allclose(loss[1], 1.3132617, rtol=1e-6)


def test_minus_infinity_is_a_probability_of_zero():
    y = F.softmax(ad.tensor([0.0, -INF, 0.0]), 0)
    assert y.tolist() == [0.5, 0.0, 0.5]
    assert F.log_softmax(ad.tensor([0.0, -INF]), 0).tolist() == [0.0, -INF]
    assert np.isnan(F.softmax(ad.tensor([-INF, -INF]), 0).numpy()).all()


def test_large_logits_do_not_overflow():
    x = ad.tensor([[1e30, -1e30, 1e30], [88.0, 89.0, 90.0]])
    y = F.softmax(x, 1).numpy()
    np.testing.assert_allclose(y[0], [0.5, 0, 0.5], rtol=1e-6)
    np.testing.assert_allclose(y.sum(1), 1, rtol=1e-6)


# ---- the axis ----


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_rows_of_every_short_length(name, dtype):
    random = np.random.default_rng(0)
    for n in [*range(1, 50), 64, 67]:
        x = leaf(random.standard_normal((37, n)), dtype)
        g = random.standard_normal((37, n)).astype(dtype)
        y = getattr(F, name)(x, 1)
        y.backward(ad.tensor(g))
        e = np.exp(x.detach().numpy().astype(np.float64))
        p = e / e.sum(1, keepdims=True)
        if name == "softmax":
            expected, slope = p, p * (g - (g * p).sum(1, keepdims=True))
        else:
            expected, slope = np.log(p), g - p * g.sum(1, keepdims=True)
        bound = 1e-5 if dtype == np.float32 else 1e-12
        np.testing.assert_allclose(y.detach().numpy(), expected, bound, bound)
        np.testing.assert_allclose(x.grad.numpy(), slope, bound, bound)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ["softmax", "log_softmax", "masked_softmax"])
@pytest.mark.parametrize("n", [4, 8, 16, 20])
def test_a_row_has_the_same_bits_alone_and_among_others(n, name, dtype):
    random = np.random.default_rng(n)
    x = (20 * random.standard_normal((37, n))).astype(dtype)
    kept = random.random((37, n)) < 0.7
    kept[5] = False

    def result(rows):
        if name == "masked_softmax":
            return F.masked_softmax(ad.tensor(x[rows]), ad.tensor(kept[rows])).numpy()
        return getattr(F, name)(ad.tensor(x[rows]), 1).numpy()

    together = result(slice(None))
    for row in (0, 5, 21, 36):
        np.testing.assert_array_equal(together[row], result(slice(row, row + 1))[0])


@pytest.mark.parametrize(("ndim", "axis"), [(0, 0), (1, 0), (2, 1), (3, 0), (4, 1)])
def test_axis_that_is_not_named_is_pytorchs(ndim, axis):
    x = ad.randn(*range(2, 2 + ndim))
    with pytest.warns(UserWarning, match="softmax: dim was not given"):
        y = F.softmax(x)
    np.testing.assert_array_equal(y.numpy(), F.softmax(x, axis).numpy())
    with pytest.warns(UserWarning, match="log_softmax: dim was not given"):
        y = nn.LogSoftmax()(x)
    np.testing.assert_array_equal(y.numpy(), F.log_softmax(x, axis).numpy())


def test_softmin_and_methods():
    x = ad.randn(2, 5)
    np.testing.assert_array_equal(F.softmin(x, 1).numpy(), x.neg().softmax(1).numpy())
    np.testing.assert_array_equal(
        x.log_softmax(-1).numpy(), F.log_softmax(x, 1).numpy()
    )
    y = F.softmax(ad.tensor([1, 2]), 0, dtype=ad.float64)
    assert y.dtype == ad.float64


def test_softmax2d_is_over_channels():
    x = ad.randn(2, 3, 4, 5)
    y = nn.Softmax2d()(x)
    np.testing.assert_allclose(y.sum(1).numpy(), 1, rtol=1e-6)
    np.testing.assert_array_equal(
        nn.Softmax2d()(x[0]).numpy(), F.softmax(x[0], 0).numpy()
    )
    with pytest.raises(ad.ShapeError, match=r"Softmax2d: .*\(2, 3\)"):
        nn.Softmax2d()(ad.randn(2, 3))


@pytest.mark.parametrize("layer", [nn.Softmax(1), nn.LogSoftmax(1), nn.Softmin(1)])
def test_layers_keep_the_rules_of_layers(layer):
    ad.testing.check_module(layer, ad.randn(3, 4), second_order=True)
    assert repr(layer) == f"{type(layer).__name__}(dim=1)"
