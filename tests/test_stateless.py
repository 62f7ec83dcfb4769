"""Modules called with other tensors than their own."""

from __future__ import annotations

import numpy as np
import pytest

import pyautodl as ad
from pyautodl import nn
from pyautodl.errors import StateDictError
from pyautodl.func import functional_call

F = nn.functional


def network() -> nn.Sequential:
    ad.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.Flatten(), nn.Linear(8, 1)
    )


@pytest.mark.parametrize("recorded", [True, False])
@pytest.mark.parametrize("training", [True, False])
def test_it_computes_as_a_module_with_those_tensors(
    recorded: bool, training: bool
) -> None:
    model, other = network().train(training), network().train(training)
    x = ad.linspace(-1, 1, 48).reshape(3, 1, 4, 4)
    values = {k: v.detach().clone() + 0.5 for k, v in other.named_parameters()}
    values |= {k: v.clone() for k, v in other.named_buffers()}
    with ad.no_grad():
        for name, each in other.named_parameters():
            each.copy_(values[name])
    before = {k: v.clone() for k, v in model.state_dict().items()}
    with ad.set_grad_enabled(recorded):
        for _ in range(3):  # plans and packed weights come with the second call
            model(x) if not training else None
            found, expected = functional_call(model, values, x), other(x)
            np.testing.assert_array_equal(
                found.detach().numpy(), expected.detach().numpy()
            )
    for name, each in model.state_dict().items():
        assert each.tolist() == before[name].tolist()
    # the statistics of a batch go to the buffers given
    assert values["1.num_batches_tracked"].item() == (3 if training else 0)
    assert model[0].weight is dict(model.named_parameters())["0.weight"]


def test_gradients_reach_what_the_tensors_were_made_of() -> None:
    model = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1)).double()
    x = ad.linspace(-1, 1, 8, dtype=ad.float64).reshape(4, 2)
    own = dict(model.named_parameters())

    def after_a_step(scale: ad.Tensor) -> ad.Tensor:
        weights = {name: value * scale for name, value in own.items()}
        loss = functional_call(model, weights, (x,)).square().mean()
        grads = ad.autograd.grad(loss, list(weights.values()), create_graph=True)
        moved = {k: w - 0.1 * g for (k, w), g in zip(weights.items(), grads)}
        return functional_call(model, moved, (x,)).square().mean()

    scale = ad.tensor(1.5, dtype=ad.float64, requires_grad=True)
    assert ad.autograd.gradcheck(after_a_step, (scale,))
    after_a_step(scale).backward()
    assert all(each.grad is not None for each in own.values())


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Linear(2, 2, bias=False)
        self.b = nn.Linear(2, 2, bias=False)
        self.b.weight = self.a.weight

    def forward(self, x: ad.Tensor, *, plus: float = 0.0) -> ad.Tensor:
        return self.b(self.a(x)) + plus


def test_tied_weights_and_arguments() -> None:
    model, x = Tied(), ad.ones(1, 2)
    eye, zeros = ad.eye(2) * 3, ad.zeros(2, 2)
    assert functional_call(model, {"a.weight": eye}, x).tolist() == [[9.0, 9.0]]
    assert functional_call(model, {"b.weight": eye}, (x,), {"plus": 1}).tolist() == [
        [10.0, 10.0]
    ]
    apart = functional_call(
        model, {"a.weight": eye, "b.weight": zeros}, x, tie_weights=False
    )
    assert apart.tolist() == [[0.0, 0.0]]
    assert model.b.weight is model.a.weight
    with pytest.raises(ValueError, match="are one tensor in the module"):
        functional_call(model, {"a.weight": eye, "b.weight": zeros}, x)


def test_what_is_refused_leaves_the_module_as_it_was() -> None:
    model, x = nn.Linear(2, 1), ad.ones(1, 2)
    weight = model.weight
    with pytest.raises(
        StateDictError, match=r"Linear has no \['w'\]; it has \['weight'"
    ):
        functional_call(model, {"w": x}, x)
    with pytest.raises(StateDictError, match=r"\['bias'\] were not given"):
        functional_call(model, {"weight": x}, x, strict=True)
    with pytest.raises(ValueError, match=r"\['weight'\] are in several"):
        functional_call(model, [{"weight": x}, {"weight": x}], x)
    with pytest.raises(TypeError, match="expected a tensor for 'weight', got 3"):
        functional_call(model, {"weight": 3}, x)
    with pytest.raises(RuntimeError):
        functional_call(model, {"weight": ad.ones(1, 5)}, x)
    assert model.weight is weight
    assert model._parameters["weight"] is weight
