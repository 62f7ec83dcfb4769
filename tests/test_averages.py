"""Averages of weights over a training, and what goes with them."""

from __future__ import annotations

import numpy as np
import pytest

import pyautodl as ad
from pyautodl import nn, optim
from pyautodl.optim import swa_utils
from pyautodl.optim.swa_utils import SWALR, AveragedModel


def network() -> nn.Sequential:
    return nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))


def shifted(model: nn.Sequential, by: float) -> None:
    """What a training does: other weights, and other statistics."""
    with ad.no_grad():
        for each in model.parameters():
            each += by
        model[1].running_mean += by


def apart(averaged: AveragedModel, model: nn.Module) -> list[float]:
    return [
        float((theirs - mine).detach().mean())
        for mine, theirs in zip(averaged.module.parameters(), model.parameters())
    ]


@pytest.mark.parametrize(
    ("options", "left"),
    [
        ({}, 2.0),
        ({"avg_fn": swa_utils.get_swa_avg_fn()}, 2.0),
        ({"multi_avg_fn": swa_utils.get_ema_multi_avg_fn(0.9)}, 2 * 0.9 + 2 * 0.81),
        ({"avg_fn": swa_utils.get_ema_avg_fn(0.9)}, 2 * 0.9 + 2 * 0.81),
        ({"avg_fn": lambda mine, theirs, count: theirs * int(count) / 2}, 0.0),
    ],
)
def test_rules_of_the_average(options: dict[str, object], left: float) -> None:
    model = network()
    averaged = AveragedModel(model, **options)
    shifted(model, 5.0)
    averaged.update_parameters(model)
    assert apart(averaged, model) == [0.0] * 4
    for _ in range(2):
        shifted(model, 2.0)
        averaged.update_parameters(model)
    np.testing.assert_allclose(apart(averaged, model), left, rtol=1e-5, atol=1e-6)
    assert int(averaged.n_averaged) == 3
    # the buffers are the model's
    assert averaged.module[1].running_mean.tolist() == [9.0] * 3
    assert all(each.requires_grad for each in averaged.parameters())


def test_buffers_are_averaged_where_that_is_asked() -> None:
    model = network()
    rule = swa_utils.get_ema_multi_avg_fn(0.9)
    averaged = AveragedModel(model, multi_avg_fn=rule, use_buffers=True)
    averaged.update_parameters(model)
    shifted(model, 5.0)
    model[1].num_batches_tracked += 10
    averaged.update_parameters(model)
    np.testing.assert_allclose(averaged.module[1].running_mean.numpy(), 0.5, rtol=1e-6)
    assert averaged.module[1].num_batches_tracked.item() == 1


def test_an_average_has_the_keys_of_pytorch_and_resumes() -> None:
    model = network()
    averaged = AveragedModel(model)
    averaged.update_parameters(model)
    assert list(averaged.state_dict())[:2] == ["n_averaged", "module.0.weight"]
    other = AveragedModel(network())
    other.load_state_dict(averaged.state_dict())
    shifted(model, 1.0)
    for each in (averaged, other):
        each.update_parameters(model)
    assert apart(other, model) == apart(averaged, model) != [0.0] * 4
    x = ad.ones(4, 2)
    assert other.eval()(x).tolist() == averaged.eval()(x).tolist()


def test_what_averages_refuse() -> None:
    rule = swa_utils.get_ema_avg_fn()
    with pytest.raises(TypeError, match="expected a Module, got <generator"):
        AveragedModel(network().parameters())
    with pytest.raises(ValueError, match="one of avg_fn and multi_avg_fn"):
        AveragedModel(network(), avg_fn=rule, multi_avg_fn=rule)
    with pytest.raises(ValueError, match="from 0 to 1, got 1"):
        swa_utils.get_ema_multi_avg_fn(1.5)
    with pytest.raises(ValueError, match="the parameters of the model are others"):
        AveragedModel(network()).update_parameters(nn.Linear(2, 3))
    optimizer = optim.SGD(network().parameters(), lr=0.1)
    with pytest.raises(ValueError, match="one of cos, linear, got 'sine'"):
        SWALR(optimizer, 0.05, anneal_strategy="sine")
    with pytest.raises(ValueError, match="a whole number from 0, got -1"):
        SWALR(optimizer, 0.05, anneal_epochs=-1)


def test_update_bn_takes_the_mean_of_all_batches() -> None:
    model = network()
    model[1].momentum = 0.3
    with ad.no_grad():
        model[0].weight.fill_(1.0)
        model[0].bias.zero_()
    model.eval()
    batches = [(ad.ones(4, 2) * k, "label") for k in (1.0, 2.0, 6.0)]
    swa_utils.update_bn(batches, model)
    assert model[1].running_mean.tolist() == [6.0] * 3
    assert model[1].momentum == 0.3
    assert not model.training
    swa_utils.update_bn([], nn.Linear(1, 1))


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [
        ("cos", [0.1, 0.0926777, 0.075, 0.0573223, 0.05, 0.05]),
        ("linear", [0.1, 0.0875, 0.075, 0.0625, 0.05, 0.05]),
    ],
)
def test_swalr_goes_to_its_step_size(strategy: str, expected: list[float]) -> None:
    optimizer = optim.SGD([ad.ones(1, requires_grad=True)], lr=0.1)
    schedule = SWALR(optimizer, 0.05, anneal_epochs=4, anneal_strategy=strategy)
    found = [optimizer.param_groups[0]["lr"]]
    for _ in range(5):
        optimizer.step()
        schedule.step()
        found.append(optimizer.param_groups[0]["lr"])
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert optimizer.param_groups[0]["swa_lr"] == 0.05


def test_swalr_begins_where_another_schedule_has_come_to() -> None:
    optimizer = optim.SGD([ad.ones(1, requires_grad=True)], lr=0.1)
    before = optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
    schedule = SWALR(optimizer, [0.01], anneal_epochs=2, anneal_strategy="linear")
    found = []
    for i in range(6):
        optimizer.step()
        (before if i < 2 else schedule).step()
        found.append(optimizer.param_groups[0]["lr"])
    # PyTorch's numbers
    np.testing.assert_allclose(found, [0.05, 0.025, 0.0175, 0.01, 0.01, 0.01])
