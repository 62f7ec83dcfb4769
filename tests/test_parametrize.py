"""Tensors that are computed from others each time they are read."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest

import pyautodl as ad
from pyautodl import nn
from pyautodl.autograd import gradcheck
from pyautodl.nn.utils import parametrizations, parametrize


class Symmetric(nn.Module):
    def forward(self, x: ad.Tensor) -> ad.Tensor:
        return x.triu() + x.triu(1).t()

    def right_inverse(self, x: ad.Tensor) -> ad.Tensor:
        return x.triu()


class Doubled(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def forward(self, x: ad.Tensor) -> ad.Tensor:
        self.calls += 1
        return 2 * x


def test_a_tensor_is_computed_and_assigned() -> None:
    layer = nn.Linear(3, 3)
    before = layer.weight
    expected = before.detach().clone()
    optimizer = ad.optim.SGD(layer.parameters(), 0.1)
    found = parametrize.register_parametrization(layer, "weight", Symmetric())
    assert found is layer
    assert parametrize.is_parametrized(layer, "weight")
    assert not parametrize.is_parametrized(layer, "bias")
    assert type(layer).__name__ == "ParametrizedLinear"
    assert isinstance(layer, nn.Linear)
    assert parametrize.type_before_parametrizations(layer) is nn.Linear
    assert [name for name, _ in layer.named_parameters()] == [
        "bias",
        "parametrizations.weight.original",
    ]
    original = layer.parametrizations.weight.original
    assert original is before  # the optimizer holds it
    assert original.tolist() == expected.triu().tolist()
    for _ in range(3):
        optimizer.zero_grad()
        layer(ad.rand(4, 3)).square().sum().backward()
        optimizer.step()
        assert layer.weight.tolist() == layer.weight.t().tolist()
    assert original.grad is not None
    layer.weight = ad.ones(3, 3)
    assert layer.weight.tolist() == ad.ones(3, 3).tolist()
    parametrize.remove_parametrizations(layer, "weight")
    assert type(layer) is nn.Linear
    assert layer.weight is before
    assert sorted(layer.state_dict()) == ["bias", "weight"]
    assert layer.weight.tolist() == ad.ones(3, 3).tolist()


def test_one_after_the_other_and_without_an_inverse() -> None:
    layer = nn.Linear(2, 2)
    value = layer.weight.detach().clone()
    parametrize.register_parametrization(layer, "weight", Doubled())
    parametrize.register_parametrization(layer, "weight", Symmetric())
    parametrize.register_parametrization(layer, "bias", Doubled())
    full = 2 * value
    assert layer.weight.tolist() == (full.triu() + full.triu(1).t()).tolist()
    assert sorted(layer.state_dict()) == [
        "parametrizations.bias.original",
        "parametrizations.weight.original",
    ]
    with pytest.raises(RuntimeError, match="Doubled has no right_inverse"):
        layer.weight = full
    parametrize.remove_parametrizations(layer, "weight", leave_parametrized=False)
    assert layer.weight.tolist() == value.tolist()
    assert parametrize.is_parametrized(layer)
    parametrize.remove_parametrizations(layer, "bias")
    assert type(layer) is nn.Linear


def test_cached_ones_are_computed_once() -> None:
    layer = nn.Linear(2, 2)
    doubled = Doubled()
    parametrize.register_parametrization(layer, "weight", doubled)
    doubled.calls = 0
    with parametrize.cached():
        x = layer(layer(ad.ones(1, 2)))
        with parametrize.cached():
            assert layer.weight is layer.weight
    assert doubled.calls == 1
    x.sum().backward()
    assert layer.parametrizations["weight"].original.grad is not None
    assert layer.weight is not layer.weight
    assert doubled.calls == 3


def test_copies_are_apart() -> None:
    layer = parametrizations.weight_norm(nn.Linear(3, 2))
    twin = copy.deepcopy(layer)
    with ad.no_grad():
        layer.parametrizations.weight.original0.mul_(2)
    np.testing.assert_allclose(
        layer.weight.detach().numpy(), 2 * twin.weight.detach().numpy(), rtol=1e-6
    )
    parametrize.register_parametrization(twin, "bias", Doubled())
    assert not parametrize.is_parametrized(layer, "bias")
    assert isinstance(layer.bias, nn.Parameter)
    other = parametrizations.weight_norm(nn.Linear(3, 2))
    other.load_state_dict(layer.state_dict())
    assert other.weight.tolist() == layer.weight.tolist()


def test_pickled_ones_are_the_same() -> None:
    layer = parametrizations.weight_norm(nn.Linear(3, 2))
    parametrize.register_parametrization(layer, "bias", Doubled())
    x = ad.ones(4, 3)
    twin = pickle.loads(pickle.dumps(nn.Sequential(layer)))[0]
    assert twin(x).tolist() == layer(x).tolist()
    assert type(twin).__name__ == "ParametrizedLinear"
    assert parametrize.type_before_parametrizations(twin) is nn.Linear
    parametrize.remove_parametrizations(twin, "weight")
    parametrize.remove_parametrizations(twin, "bias")
    assert type(twin) is nn.Linear
    assert twin(x).tolist() == layer(x).tolist()


@pytest.mark.parametrize("recorded", [True, False])
def test_in_networks_that_fuse_layers(recorded: bool) -> None:
    ad.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(16, 3)
    ).eval()
    for i in (0, 4):
        parametrizations.weight_norm(model[i])
    x = ad.rand(2, 2, 4, 4)
    for factor in (1.0, 3.0, 0.5):
        with ad.no_grad():
            for i in (0, 4):
                model[i].parametrizations.weight.original0.mul_(factor)
            weight, linear = model[0].weight, model[4].weight
            y = nn.functional.conv2d(x, weight, model[0].bias)
            y = model[2](model[1](y)).flatten(1)
            expected = nn.functional.linear(y, linear, model[4].bias)
        with ad.set_grad_enabled(recorded):
            for _ in range(3):
                found = model(x)
        np.testing.assert_allclose(
            found.detach().numpy(), expected.numpy(), rtol=1e-4, atol=1e-5
        )


LAYERS: list[Any] = [
    (lambda: nn.Linear(4, 3), (2, 4)),
    (lambda: nn.Linear(3, 3), (2, 3)),
    (lambda: nn.Linear(3, 5), (2, 3)),
    (lambda: nn.Conv2d(2, 3, 2), (1, 2, 3, 3)),
    (lambda: nn.ConvTranspose2d(2, 3, 2), (1, 2, 3, 3)),
]


@pytest.mark.parametrize(("make", "shape"), LAYERS)
@pytest.mark.parametrize("dim", [0, -1, None])
def test_weight_norm(make: Any, shape: Any, dim: Any) -> None:
    layer, x = make().double(), ad.rand(*shape, dtype=ad.float64)
    before = layer(x).detach().numpy()
    assert parametrizations.weight_norm(layer, dim=dim) is layer
    np.testing.assert_allclose(layer(x).detach().numpy(), before)
    old = nn.utils.weight_norm(make(), dim=dim)
    held = layer.parametrizations.weight
    assert held.original0.shape == old.weight_g.shape
    assert held.original1.shape == old.weight_v.shape
    x.requires_grad_()
    gradcheck(lambda x, *_: layer(x), (x, *layer.parameters()))
    with pytest.raises(ValueError, match="needs one original"):
        parametrize.remove_parametrizations(layer, "weight", leave_parametrized=False)
    parametrize.remove_parametrizations(layer, "weight")
    np.testing.assert_allclose(layer(x).detach().numpy(), before)


@pytest.mark.parametrize(("make", "shape"), LAYERS)
def test_spectral_norm(make: Any, shape: Any) -> None:
    ad.manual_seed(0)
    layer = parametrizations.spectral_norm(make().double(), n_power_iterations=40)
    layer(ad.rand(*shape, dtype=ad.float64)).sum().backward()
    layer.eval()
    weight = layer.weight.detach().numpy()
    if isinstance(layer, nn.ConvTranspose2d):
        weight = weight.swapaxes(0, 1)
    values = np.linalg.svd(weight.reshape(weight.shape[0], -1))[1]
    assert values[0] == pytest.approx(1, rel=1e-3)
    assert layer.weight.tolist() == layer.weight.tolist()  # in evaluation it stays
    assert layer.parametrizations.weight.original.grad is not None
    assert "parametrizations.weight.0._u" in layer.state_dict()
    short = parametrizations.spectral_norm(nn.Linear(2, 3), "bias")
    assert short.bias.norm().item() == pytest.approx(1, rel=1e-5)


@pytest.mark.parametrize("orthogonal_map", ["matrix_exp", "cayley", "householder"])
@pytest.mark.parametrize("trivial", [True, False])
@pytest.mark.parametrize("shape", [(4, 4), (5, 3), (3, 5), (2, 4, 3), (3, 1)])
def test_orthogonal(orthogonal_map: str, trivial: bool, shape: Any) -> None:
    ad.manual_seed(1)

    class Holder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(ad.randn(*shape, dtype=ad.float64))

    holder = parametrizations.orthogonal(
        Holder(), orthogonal_map=orthogonal_map, use_trivialization=trivial
    )
    original = holder.parametrizations.weight.original

    def check() -> None:
        weight = holder.weight.detach().numpy()
        tall = weight if shape[-2] >= shape[-1] else weight.swapaxes(-1, -2)
        products = tall.swapaxes(-1, -2) @ tall
        unit = np.broadcast_to(np.eye(products.shape[-1]), products.shape)
        np.testing.assert_allclose(products, unit, atol=1e-10)

    check()
    optimizer = ad.optim.SGD(holder.parameters(), 0.1)
    goal = ad.randn(*shape, dtype=ad.float64)
    losses = []
    for _ in range(5):
        optimizer.zero_grad()
        loss = (holder.weight - goal).square().sum()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        check()
    assert losses[-1] < losses[0]
    assert original.grad is not None
    if trivial or orthogonal_map == "householder":
        wanted = holder.weight.detach().clone()
        with ad.no_grad():
            original.add_(0.3)
        holder.weight = wanted
        np.testing.assert_allclose(
            holder.weight.detach().numpy(), wanted.numpy(), atol=1e-8
        )
    else:
        with pytest.raises(NotImplementedError, match="use_trivialization=True"):
            holder.weight = goal
    assert ("parametrizations.weight.0.base" in holder.state_dict()) == trivial


@pytest.mark.parametrize("name", ["weight_norm", "spectral_norm", "orthogonal"])
def test_states_are_those_of_torch(name: str) -> None:
    torch: Any = pytest.importorskip("torch")
    theirs: Any = pytest.importorskip("torch.nn.utils.parametrizations")
    for sizes in ((4, 4), (3, 5), (5, 3)):
        for maps in ("matrix_exp", "cayley", "householder"):
            more = {"orthogonal_map": maps} if name == "orthogonal" else {}
            ours = getattr(parametrizations, name)(nn.Linear(*sizes), **more).eval()
            other = getattr(theirs, name)(torch.nn.Linear(*sizes), **more).eval()
            with torch.no_grad():
                for each in other.parameters():
                    each.add_(0.1 * torch.randn_like(each))
                if name == "orthogonal" and maps == "householder":
                    original = other.parametrizations.weight.original
                    original.diagonal().fill_(-1.0)
            state = {k: v.numpy() for k, v in other.state_dict().items()}
            assert sorted(state) == sorted(ours.state_dict())
            ours.load_state_dict(state)
            np.testing.assert_allclose(
                ours.weight.detach().numpy(),
                other.weight.detach().numpy(),
                rtol=1e-4,
                atol=1e-5,
            )


def test_arguments_are_checked() -> None:
    with pytest.raises(TypeError, match=r"expected a module that computes .* got 3"):
        parametrize.register_parametrization(nn.Linear(2, 2), "weight", 3)  # type: ignore[arg-type]

    class Wide(nn.Module):
        def forward(self, x: ad.Tensor) -> ad.Tensor:
            return ad.cat([x, x])

    class Odd(nn.Module):
        def forward(self, x: ad.Tensor) -> ad.Tensor:
            return x

        def right_inverse(self, x: ad.Tensor) -> Any:
            return "nothing"

    layer = nn.Linear(2, 2)
    register = parametrize.register_parametrization
    for run, error, match in (
        (lambda: register(layer, "weigth", Doubled()), ValueError, "no parameter or"),
        (lambda: register(layer, "weight", Wide()), ValueError, r"become \(4, 2\)"),
        (
            lambda: register(layer, "weight", Odd()),
            TypeError,
            "right_inverse must give",
        ),
        (
            lambda: parametrize.remove_parametrizations(layer, "weight"),
            ValueError,
            "no parametrized tensor 'weight'",
        ),
        (lambda: parametrizations.orthogonal(layer, "bias"), ValueError, "a matrix"),
        (
            lambda: parametrizations.orthogonal(layer, orthogonal_map="qr"),
            ValueError,
            "'qr' is unknown",
        ),
        (
            lambda: parametrizations.spectral_norm(layer, n_power_iterations=0),
            ValueError,
            "at least 1, got 0",
        ),
        (lambda: parametrizations.weight_norm(layer, "w"), ValueError, "no parameter"),
    ):
        with pytest.raises(error, match=match):
            run()
    assert type(layer) is nn.Linear
    assert tuple(layer.weight.shape) == (2, 2)
    register(layer, "weight", Wide(), unsafe=True)
    assert tuple(layer.weight.shape) == (4, 2)
