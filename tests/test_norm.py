"""Normalisation where the records of the ops can't say it: running statistics, bits."""

from __future__ import annotations

import copy
import itertools

import numpy as np
import pytest

import pyautodl as ad
from pyautodl import nn
from pyautodl.backends import backend_kernels, native, use_backend

F = nn.functional
pytestmark = pytest.mark.usefixtures("backend")


# ---- batch norm ----


def test_one_value_a_channel_is_refused_with_the_layers_path():
    net = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.ReLU())
    with pytest.raises(ValueError, match="more than one value a channel") as error:
        net(ad.randn(1, 4))
    assert "(1, 3)" in str(error.value)
    assert "layer `1` BatchNorm1d(3" in str(error.value)
    assert net[1].num_batches_tracked.item() == 0
    net.eval()
    assert net(ad.randn(1, 4)).shape == (1, 3)


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.BatchNorm1d(2), (1, 2, 1)),
        (nn.BatchNorm2d(2), (1, 2, 1, 1)),
        (nn.BatchNorm3d(2), (1, 2, 1, 1, 1)),
        (nn.InstanceNorm1d(2), (3, 2, 1)),
        (nn.InstanceNorm2d(2), (3, 2, 1, 1)),
    ],
)
def test_every_layer_refuses_one_value_a_channel(layer, shape):
    with pytest.raises(ValueError, match="more than one value a channel"):
        layer(ad.randn(*shape))


def test_batch_is_normalised_by_biased_variance_and_unbiased_is_stored():
    x = ad.tensor([[2.0, 15, 2, 1], [2, 17, 2, 1], [-4, -2, -2, -1]])
    layer = nn.BatchNorm1d(4, momentum=1.0, affine=False, eps=0.0)
    y = layer(x)
    biased = np.array([8, 218 / 3, 32 / 9, 8 / 9])
    expected = (x.numpy() - x.numpy().mean(0)) / np.sqrt(biased)
    np.testing.assert_allclose(y.numpy(), expected, rtol=1e-5)
    np.testing.assert_allclose(
        layer.running_var.numpy(), [12, 109, 16 / 3, 4 / 3], rtol=1e-6
    )
    np.testing.assert_allclose(layer.running_mean.numpy(), [0, 10, 2 / 3, 1 / 3], 1e-6)


@pytest.mark.parametrize("shape", [(3, 4), (3, 4, 2), (2, 4, 3, 2), (2, 4, 1, 3, 2)])
def test_running_variance_is_unbiased_in_every_dimension(shape):
    x = ad.randn(*shape)
    layer = {
        2: nn.BatchNorm1d,
        3: nn.BatchNorm1d,
        4: nn.BatchNorm2d,
        5: nn.BatchNorm3d,
    }[len(shape)](4, momentum=1.0)
    layer(x)
    rows = np.moveaxis(x.numpy(), 1, -1).reshape(-1, 4).astype(np.float64)
    np.testing.assert_allclose(layer.running_mean.numpy(), rows.mean(0), atol=1e-6)
    np.testing.assert_allclose(
        layer.running_var.numpy(), rows.var(0, ddof=1), rtol=1e-5
    )


def test_without_momentum_the_average_over_batches_is_kept():
    layer = nn.BatchNorm1d(3, momentum=None)
    batches = [ad.randn(5, 3) for _ in range(4)]
    for batch in batches:
        layer(batch)
    assert layer.num_batches_tracked.item() == 4
    means = np.mean([b.numpy().mean(0) for b in batches], 0)
    variances = np.mean([b.numpy().var(0, ddof=1) for b in batches], 0)
    np.testing.assert_allclose(layer.running_mean.numpy(), means, atol=1e-6)
    np.testing.assert_allclose(layer.running_var.numpy(), variances, rtol=1e-5)


def test_eval_leaves_the_running_statistics_alone():
    layer = nn.BatchNorm2d(3)
    layer(ad.randn(2, 3, 4, 4))
    layer.eval()
    before = copy.deepcopy(layer.state_dict())
    x = ad.randn(2, 3, 4, 4)
    y = layer(x)
    ad.testing.assert_close(dict(layer.state_dict()), dict(before), rtol=0, atol=0)
    mean = before["running_mean"].numpy()[:, None, None]
    scale = np.sqrt(before["running_var"].numpy() + 1e-5)[:, None, None]
    np.testing.assert_allclose(
        y.detach().numpy(), (x.numpy() - mean) / scale, atol=1e-5
    )


@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "shape",
    [(2, 3, 37), (1, 4, 9, 31), (3, 40, 6, 6), (2, 5, 3, 4, 50), (1, 2, 300, 301)],
)
def test_eval_of_channels_that_lie_apart(shape, dtype, relu):
    """Without a copy, the bits of channels that lie last."""
    ad.manual_seed(0)
    c = shape[1]
    layer = getattr(nn, f"BatchNorm{len(shape) - 2}d")(c).eval()
    for each in (layer.running_mean, layer.bias):
        each.data = ad.randn(c)
    for each in (layer.running_var, layer.weight):
        each.data = ad.rand(c) + 0.5
    layer.to(getattr(ad, dtype))
    model = nn.Sequential(layer, nn.ReLU()) if relu else layer
    x = ad.randn(*shape, dtype=getattr(ad, dtype))
    wanted = model(x.clone().requires_grad_()).detach().numpy()
    for threads in (1, 2, 5):
        with native.exact_threads(threads, uneven=threads > 2), ad.no_grad():
            y = model(x)
        assert y.is_contiguous()
        assert y.numpy().tobytes() == wanted.tobytes()


def test_running_statistics_may_move_between_forward_and_backward():
    layer = nn.BatchNorm1d(3)
    x = ad.randn(4, 3, requires_grad=True)
    first, second = layer(x), layer(x * 2)
    (first.sum() + (second * second).sum()).backward()
    assert x.grad is not None


def test_eval_without_statistics_is_refused():
    with pytest.raises(ValueError, match="expected running_mean and running_var"):
        F.batch_norm(ad.randn(3, 2), None, None)


def test_without_running_statistics_the_batchs_are_used_in_eval():
    layer = nn.BatchNorm1d(3, track_running_stats=False).eval()
    assert list(layer.state_dict()) == ["weight", "bias"]
    y = layer(ad.randn(50, 3))
    np.testing.assert_allclose(y.detach().numpy().std(0), 1, atol=1e-3)


def test_state_has_pytorchs_keys():
    keys = ["weight", "bias", "running_mean", "running_var", "num_batches_tracked"]
    assert list(nn.BatchNorm2d(3).state_dict()) == keys
    assert list(nn.BatchNorm2d(3, bias=False).state_dict()) == [keys[0], *keys[2:]]
    assert list(nn.InstanceNorm2d(3).state_dict()) == []
    assert list(nn.LayerNorm(3).state_dict()) == keys[:2]
    assert list(nn.RMSNorm(3).state_dict()) == keys[:1]


def test_a_state_from_before_batches_were_counted_is_loaded():
    """As in PyTorch: files of its first years lack num_batches_tracked."""
    net = nn.Sequential(nn.BatchNorm2d(3))
    net(ad.randn(2, 3, 2, 2))
    state = net.state_dict()
    old = {k: v + 1 for k, v in state.items() if "num_batches" not in k}
    net.load_state_dict(old)
    assert net[0].num_batches_tracked.item() == 1
    assert net[0].weight.tolist() == [2.0] * 3
    del state["0.num_batches_tracked"]  # this one says that it is new
    with pytest.raises(ad.StateDictError, match="num_batches_tracked"):
        net.load_state_dict(state)


def test_reset_parameters():
    layer = nn.BatchNorm1d(3)
    layer(ad.randn(4, 3))
    ad.nn.init.normal_(layer.weight)
    layer.reset_parameters()
    fresh = nn.BatchNorm1d(3).state_dict()
    ad.testing.assert_close(dict(layer.state_dict()), dict(fresh), rtol=0, atol=0)


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.BatchNorm1d(3), (3,)),
        (nn.BatchNorm2d(3), (2, 3, 4)),
        (nn.BatchNorm3d(3), (2, 3)),
    ],
)
def test_wrong_number_of_axes_is_refused(layer, shape):
    with pytest.raises(ad.ShapeError, match="BatchNorm"):
        layer(ad.randn(*shape))


def test_empty_batches_pass():
    layer = nn.BatchNorm2d(3)
    x = ad.zeros(0, 3, 2, 2, requires_grad=True)
    layer(x).sum().backward()
    assert x.grad.shape == x.shape
    assert layer.weight.grad.tolist() == [0, 0, 0]
    assert layer.running_var.tolist() == [1, 1, 1]


@pytest.mark.skipif(not backend_kernels("jit"), reason="no numba")
def test_numba_twin_moves_the_same_statistics():
    for momentum in (0.1, None):
        layers = [nn.BatchNorm2d(3, momentum=momentum) for _ in range(2)]
        x = ad.randn(2, 3, 4, 4).contiguous().numpy()
        x = np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 1, -1)), -1, 1)
        for layer, name in zip(layers, ("jit", "reference"), strict=True):
            with use_backend(name):
                for _ in range(2):
                    layer(ad.from_numpy(x))
        states = [dict(layer.state_dict()) for layer in layers]
        ad.testing.assert_close(*states)


# ---- accuracy ----


def test_layer_norm_of_large_neighbours():
    x = ad.tensor([40000.0, 40001.0, 40002.0, 40003.0])
    y = F.layer_norm(x, (4,))
    expected = [-1.341635, -0.447212, 0.447212, 1.341635]
    np.testing.assert_allclose(y.numpy(), expected, rtol=2e-6)


@pytest.mark.parametrize("dtype", [ad.float32, ad.float64])
@pytest.mark.parametrize("value", [1234.0, 100.0, 0.1, -3e7, 1e-20])
@pytest.mark.parametrize("size", [3, 16, 50])
def test_constants_give_exactly_zero(value, dtype, size):
    x = ad.full((4, size), value, dtype=dtype)
    for y in (
        F.layer_norm(x, (size,)),
        F.batch_norm(x, None, None, training=True),
        F.group_norm(x.reshape(2, 2, size, 1), 1),
        F.instance_norm(x.reshape(2, 2, size, 1)),
        nn.BatchNorm2d(2, dtype=dtype)(x.reshape(2, 2, size, 1)).detach(),
    ):
        assert (y.numpy() == 0).all()


@pytest.mark.parametrize("mean", [1e4, 1e6])
def test_a_large_mean_costs_no_digits(mean):
    x = (np.random.default_rng(0).standard_normal((64, 48)) + mean).astype(np.float32)
    wide = x.astype(np.float64)
    t = ad.tensor(x)
    for axis, y in (
        (1, F.layer_norm(t, (48,))),
        (0, F.batch_norm(t, None, None, training=True)),
    ):
        centred = wide - wide.mean(axis, keepdims=True)
        expected = centred / np.sqrt((centred**2).mean(axis, keepdims=True) + 1e-5)
        np.testing.assert_allclose(y.numpy(), expected, atol=2e-6)


# ---- layers ----


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.BatchNorm1d(3), (4, 3)),
        (nn.BatchNorm2d(2), (2, 2, 2, 2)),
        (nn.GroupNorm(2, 4), (2, 4, 3)),
        (nn.LayerNorm((2, 3)), (2, 2, 3)),
        (nn.RMSNorm(3, eps=1e-5), (4, 3)),
        (nn.InstanceNorm1d(2, affine=True), (2, 2, 3)),
        (nn.LocalResponseNorm(3, alpha=0.5), (2, 4, 2)),
    ],
)
def test_layers_keep_the_rules_of_layers(layer, shape):
    ad.testing.check_module(layer, ad.randn(*shape), second_order=True)


def test_instance_norm_keeps_statistics_over_samples():
    layer = nn.InstanceNorm1d(2, momentum=1.0, track_running_stats=True)
    x = ad.randn(3, 2, 5)
    layer(x)
    np.testing.assert_allclose(
        layer.running_mean.numpy(), x.numpy().mean(2).mean(0), atol=1e-6
    )
    np.testing.assert_allclose(
        layer.running_var.numpy(), x.numpy().var(2, ddof=1).mean(0), rtol=1e-5
    )
    layer.eval()
    y = layer(x[:1])
    assert y.shape == (1, 2, 5)


def test_group_norm_refuses_channels_that_do_not_divide():
    with pytest.raises(ad.ShapeError, match="divide into 2 groups, got 3"):
        nn.GroupNorm(2, 3)


def test_layer_norm_gradient_of_long_rows():
    # their sums over rows go by columns instead of blocks
    x = ad.randn(3, 5000, requires_grad=True)
    weight = ad.randn(5000, requires_grad=True)
    F.layer_norm(x, (5000,), weight).backward(g := ad.randn(3, 5000))
    wide = x.detach().numpy().astype(np.float64)
    xhat = (wide - wide.mean(1, keepdims=True)) / np.sqrt(
        wide.var(1, keepdims=True) + 1e-5
    )
    expected = (g.numpy() * xhat).sum(0)
    np.testing.assert_allclose(weight.grad.numpy(), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("n", [1, 3, 7])
@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.GroupNorm(2, 6), (6, 80, 81)),
        (nn.InstanceNorm2d(5, affine=True), (5, 97, 98)),
        (nn.LayerNorm((3, 105, 107)), (3, 105, 107)),
        (nn.RMSNorm((3, 105, 107)), (3, 105, 107)),
        (nn.BatchNorm2d(3), (3, 105, 107)),
    ],
)
def test_few_large_samples_are_shared_out_without_changing_a_bit(layer, shape, n):
    x = ad.randn(n, *shape, requires_grad=True)
    g = ad.randn(n, *shape)
    found = []
    for threads, uneven in ((1, False), (2, True), (3, False), (4, True)):
        with native.exact_threads(threads, uneven):
            y = layer(x)
            grads = ad.autograd.grad(y, [x, *layer.parameters()], g)
            found.append([each.detach().numpy().tobytes() for each in (y, *grads)])
    assert found.count(found[0]) == len(found)


def test_rms_norm_of_a_long_row_with_an_infinity():
    x = ad.ones(1, 40000)
    x[0, 7] = np.inf
    y = F.rms_norm(x, (40000,)).numpy()[0]
    assert np.isnan(y[7])
    assert (np.delete(y, 7) == 0).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("place", [0, 3])
def test_what_is_not_finite_shows(bad, place):
    x = np.ones((6, 8), np.float32)
    x[:, 1] = 2
    x[place, place] = bad
    t = ad.tensor(x)
    assert np.isnan(F.layer_norm(t, (8,)).numpy()[place]).all()
    assert np.isnan(F.batch_norm(t, None, None, training=True).numpy()[:, place]).all()
    assert np.isnan(F.group_norm(t, 2).numpy()[place, place // 4 * 4]).all()


@pytest.mark.parametrize("relu", [False, True])
def test_eval_has_a_finite_gradient_at_infinite_inputs(relu):
    layer = nn.BatchNorm1d(3).eval()
    model = nn.Sequential(layer, nn.ReLU()) if relu else layer
    x = ad.tensor([[np.inf, 1.0, -np.inf], [1.0, 2.0, 3.0]], requires_grad=True)
    model(x).backward(ad.ones(2, 3))
    slope = float(1 / np.sqrt(1 + layer.eps))
    kept = [[1, 1, 0], [1, 1, 1]] if relu else np.ones((2, 3))
    np.testing.assert_allclose(x.grad.numpy(), np.multiply(kept, slope), rtol=1e-6)


def test_statistics_that_are_not_tracked_any_more_stay():
    norm = nn.BatchNorm1d(2)
    norm(ad.randn(8, 2))
    mean, count = norm.running_mean.clone(), norm.num_batches_tracked.item()
    norm.track_running_stats = False
    x = ad.randn(8, 2)
    for _ in range(2):
        y = norm(x)
    assert ad.equal(norm.running_mean, mean)
    assert norm.num_batches_tracked.item() == count
    assert ad.allclose(y.mean(0), ad.zeros(2), atol=1e-6)
    assert not ad.allclose(norm.eval()(x).mean(0), ad.zeros(2), atol=1e-3)


def test_norms_of_groups_without_channels() -> None:
    norms = (F.instance_norm, lambda x: F.group_norm(x, 1))
    for norm, shape in itertools.product(norms, [(2, 0, 5), (2, 0, 3, 4)]):
        x = ad.ones(shape, requires_grad=True)
        y = norm(x)
        assert y.shape == shape
        (grad,) = ad.autograd.grad((y * y).sum(), x, create_graph=True)
        (grad * grad).sum().backward()
        assert x.grad.shape == shape
