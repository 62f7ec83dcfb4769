"""Weights that are computed anew at each call."""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np
import pytest

import pyautodl as ad
from pyautodl import nn
from pyautodl.autograd import gradcheck

LAYERS: list[tuple[Callable[[], nn.Module], tuple[int, ...]]] = [
    (lambda: nn.Linear(3, 4), (2, 3)),
    (lambda: nn.Conv2d(2, 3, 3), (1, 2, 5, 5)),
    (lambda: nn.ConvTranspose2d(2, 3, 3), (1, 2, 5, 5)),
]


def _check_gradients(layer: nn.Module, x: ad.Tensor) -> None:
    layer.double()
    x = x.double().requires_grad_()
    gradcheck(lambda x, *_: layer(x), (x, *layer.parameters()))
    layer.float()


@pytest.mark.parametrize(("make", "shape"), LAYERS)
@pytest.mark.parametrize("dim", [0, -1, None])
def test_length_and_direction(
    make: Callable[[], nn.Module], shape: tuple[int, ...], dim: int | None
) -> None:
    layer, x = make(), ad.rand(*shape)
    nn.init.zeros_(layer.bias)
    before = layer(x).detach().numpy()
    assert nn.utils.weight_norm(layer, dim=dim) is layer
    for twin in (copy.deepcopy(layer), layer):
        np.testing.assert_allclose(twin(x).detach().numpy(), before, atol=1e-6)
    twin = copy.deepcopy(layer)  # its weight has a graph now
    np.testing.assert_allclose(twin(x).detach().numpy(), before, atol=1e-6)
    assert twin.weight_v is not layer.weight_v
    assert [name for name, _ in layer.named_parameters()] == [
        "bias",
        "weight_g",
        "weight_v",
    ]
    # -1 is PyTorch's word for None
    assert (layer.weight_g.numel() == 1) == (dim != 0)
    with ad.no_grad():
        layer.weight_g.mul_(2)
        layer.weight_v.mul_(3)
    np.testing.assert_allclose(layer(x).detach().numpy(), 2 * before, atol=1e-5)
    _check_gradients(layer, x)
    nn.utils.remove_weight_norm(layer)
    assert sorted(layer.state_dict()) == ["bias", "weight"]
    assert layer.weight.requires_grad
    assert not layer._forward_pre_hooks


@pytest.mark.parametrize(("make", "shape"), LAYERS)
def test_the_largest_singular_value_becomes_1(
    make: Callable[[], nn.Module], shape: tuple[int, ...]
) -> None:
    ad.manual_seed(0)
    layer, x = nn.utils.spectral_norm(make(), n_power_iterations=30), ad.rand(*shape)
    layer(x).sum().backward()
    weight = layer.weight.detach().numpy()
    if isinstance(layer, nn.ConvTranspose2d):
        weight = weight.swapaxes(0, 1)
    values = np.linalg.svd(weight.reshape(weight.shape[0], -1))[1]
    assert values[0] == pytest.approx(1, rel=1e-3)
    assert layer.weight_orig.grad is not None
    assert sorted(layer.state_dict()) == [
        "bias",
        "weight_orig",
        "weight_u",
        "weight_v",
    ]
    # in evaluation the estimate stays as it is
    net = nn.Sequential(layer, nn.ReLU()).eval()
    u = layer.weight_u.clone()
    with ad.no_grad():
        first = net(x).numpy()
    assert layer.weight_u.tolist() == u.tolist()
    _check_gradients(layer, x)
    nn.utils.remove_spectral_norm(layer)
    with ad.no_grad():
        np.testing.assert_allclose(net(x).numpy(), first, atol=1e-6)
    assert sorted(layer.state_dict()) == ["bias", "weight"]


def test_several_calls_before_backward() -> None:
    layer = nn.utils.spectral_norm(nn.Linear(3, 4))
    x = ad.rand(2, 3)
    (layer(x).sum() + layer(x + 1).sum()).backward()
    assert layer.weight_orig.grad is not None


def test_what_is_not_there_is_refused() -> None:
    with pytest.raises(ValueError, match="weight_norm: ReLU has no parameter 'weight'"):
        nn.utils.weight_norm(nn.ReLU())
    with pytest.raises(ValueError, match="spectral_norm: Linear has no parameter 'w'"):
        nn.utils.spectral_norm(nn.Linear(1, 1), "w")
    with pytest.raises(ValueError, match="remove_weight_norm: Linear has none on"):
        nn.utils.remove_weight_norm(nn.utils.spectral_norm(nn.Linear(1, 1)))
    with pytest.raises(ValueError, match="remove_spectral_norm: Linear has none on"):
        nn.utils.remove_spectral_norm(nn.Linear(1, 1))


def test_numbers_of_one_axis_have_a_length_each() -> None:
    layer = nn.utils.weight_norm(nn.Linear(3, 4), "bias")
    assert layer.bias_g.shape == (4,)
    assert ad.allclose(layer.bias_g, layer.bias_v.abs())
    before = layer.bias.clone()
    with ad.no_grad():
        layer.bias_g[1] *= 3
    layer(ad.zeros(1, 3))
    assert ad.allclose(layer.bias, before * ad.tensor([1.0, 3.0, 1.0, 1.0]))
