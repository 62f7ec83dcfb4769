"""Pruned parameters: masks, their combination, state, training."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

import pyautodl as ad
from pyautodl import nn
from pyautodl.errors import ShapeError
from pyautodl.nn.utils import prune


def layer(values: Any) -> nn.Linear:
    weight = ad.tensor(values, dtype=ad.float32)
    made = nn.Linear(weight.shape[1], weight.shape[0])
    made.weight.data = weight
    return made


VALUES = [[3.0, -1.0, 0.5, 2.0], [-4.0, 0.1, 1.5, -0.2], [0.3, 0.4, -0.6, 5.0]]


def test_the_smallest_elements_go() -> None:
    module = layer(VALUES)
    parameter = module.weight
    found = prune.l1_unstructured(module, "weight", 0.25)
    assert found is module
    assert module.weight_orig is parameter
    expected = np.array(VALUES)
    expected[np.abs(expected) < 0.35] = 0
    np.testing.assert_array_equal(
        module.weight.detach().numpy(), expected.astype(np.float32)
    )
    assert list(module.state_dict()) == ["bias", "weight_orig", "weight_mask"]
    assert [name for name, _ in module.named_parameters()] == ["bias", "weight_orig"]
    x = ad.ones(1, 4)
    np.testing.assert_allclose(
        module(x).detach().numpy()[0],
        expected.sum(1) + module.bias.detach().numpy(),
        rtol=1e-6,
    )
    # training changes what is left, and what is pruned stays 0
    optimizer = ad.optim.SGD(module.parameters(), lr=0.1)
    module(x).square().sum().backward()
    assert (module.weight_orig.grad[module.weight_mask == 0] == 0).all()
    optimizer.step()
    module(x)
    assert (module.weight[module.weight_mask == 0] == 0).all()
    assert (module.weight.detach() != ad.tensor(expected)).any()


def test_further_pruning_is_of_what_is_left() -> None:
    module = layer(VALUES)
    prune.l1_unstructured(module, "weight", 3)
    prune.l1_unstructured(module, "weight", 3)
    flat = np.abs(np.array(VALUES))
    kept = flat >= np.sort(flat.ravel())[6]
    assert module.weight_mask.tolist() == kept.astype(float).tolist()
    assert len(module._forward_pre_hooks) == 1
    (hook,) = module._forward_pre_hooks.values()
    assert isinstance(hook.call, prune.PruningContainer)
    assert len(hook.call) == 2
    prune.ln_structured(module, "weight", 1, n=2, dim=0)
    assert int((module.weight_mask.sum(1) == 0).sum()) == 1
    # of the rows that are left, not of one that has gone
    prune.ln_structured(module, "weight", 1, n=2, dim=0)
    assert int((module.weight_mask.sum(1) == 0).sum()) == 2


def test_channels() -> None:
    norms = np.linalg.norm(np.array(VALUES), axis=0)
    module = prune.ln_structured(layer(VALUES), "weight", 0.5, n=2, dim=1)
    gone = np.argsort(norms)[:2]
    assert set(np.flatnonzero(module.weight_mask.numpy()[0] == 0)) == set(gone)
    assert (module.weight_mask == module.weight_mask[:1]).all()
    ad.manual_seed(0)
    conv = prune.random_structured(nn.Conv2d(2, 8, 3), "weight", 3, dim=0)
    assert int((conv.weight_mask.flatten(1).sum(1) == 0).sum()) == 3
    assert set(conv.weight_mask.flatten().tolist()) == {0.0, 1.0}


def test_random_elements_masks_and_scores() -> None:
    ad.manual_seed(0)
    module = prune.random_unstructured(layer(VALUES), "weight", 5)
    assert int((module.weight_mask == 0).sum()) == 5
    assert prune.identity(layer(VALUES), "bias").bias_mask.tolist() == [1.0] * 3
    scores = ad.arange(12.0).reshape(3, 4)
    module = prune.l1_unstructured(layer(VALUES), "weight", 4, scores)
    assert module.weight_mask.sum(1).tolist() == [0.0, 4.0, 4.0]
    t = ad.tensor([1.0, -3.0, 2.0])
    assert prune.L1Unstructured(1).prune(t).tolist() == [0.0, -3.0, 2.0]
    nothing = prune.l1_unstructured(layer(VALUES), "weight", 0)
    assert nothing.weight.tolist() == layer(VALUES).weight.tolist()


def test_parameters_are_compared_with_each_other() -> None:
    small, large = layer([[0.1, 0.2], [0.3, 9.0]]), layer([[1.0, 2.0], [0.05, 4.0]])
    pairs = [(small, "weight"), (large, "weight")]
    prune.global_unstructured(pairs, prune.L1Unstructured, amount=0.5)
    assert small.weight_mask.tolist() == [[0.0, 0.0], [0.0, 1.0]]
    assert large.weight_mask.tolist() == [[1.0, 1.0], [0.0, 1.0]]
    prune.global_unstructured(pairs, prune.L1Unstructured, amount=1)
    assert large.weight_mask.tolist() == [[0.0, 1.0], [0.0, 1.0]]
    scores = {(small, "bias"): ad.tensor([2.0, 1.0])}
    prune.global_unstructured([(small, "bias")], prune.L1Unstructured, scores, amount=1)
    assert small.bias_mask.tolist() == [1.0, 0.0]


def test_removal_copies_and_states() -> None:
    model = nn.Sequential(layer(VALUES), nn.ReLU())
    prune.l1_unstructured(model[0], "weight", 4)
    assert prune.is_pruned(model)
    twin, x = copy.deepcopy(model), ad.ones(2, 4)
    fresh = nn.Sequential(layer(np.zeros((3, 4))), nn.ReLU())
    prune.identity(fresh[0], "weight")
    fresh.load_state_dict(model.state_dict())
    expected = model(x).tolist()
    assert twin(x).tolist() == fresh(x).tolist() == expected
    pruned, parameter = model[0].weight.tolist(), model[0].weight_orig
    prune.remove(model[0], "weight")
    assert model[0].weight is parameter
    assert model[0].weight.tolist() == pruned
    assert list(model[0].state_dict()) == ["bias", "weight"]
    assert not prune.is_pruned(model)
    assert model(x).tolist() == expected
    assert prune.is_pruned(twin)


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        (
            lambda m: prune.l1_unstructured(m, "w", 1),
            AttributeError,
            "no parameter 'w'",
        ),
        (lambda m: prune.l1_unstructured(m, "weight", 1.5), ValueError, "got 1.5"),
        (lambda m: prune.l1_unstructured(m, "weight", -1), ValueError, "got -1"),
        (
            lambda m: prune.l1_unstructured(m, "weight", 13),
            ValueError,
            "13 is more than",
        ),
        (
            lambda m: prune.ln_structured(m, "bias", 1, 2, 0),
            ShapeError,
            "2 axes or more",
        ),
        (lambda m: prune.ln_structured(m, "weight", 1, 2, 2), ShapeError, "axis 2"),
        (lambda m: prune.remove(m, "weight"), ValueError, "'weight' of Linear is not"),
        (
            lambda m: prune.custom_from_mask(m, "weight", ad.ones(2)),
            ShapeError,
            r"expected a mask of shape \(3, 4\), got \(2,\)",
        ),
        (
            lambda m: prune.l1_unstructured(m, "weight", 1, ad.ones(2)),
            ShapeError,
            "importance_scores must have",
        ),
        (
            lambda m: prune.global_unstructured([m], prune.L1Unstructured, amount=1),
            TypeError,
            "expected pairs",
        ),
        (
            lambda m: prune.global_unstructured(
                [(m, "weight")], prune.RandomStructured, amount=1
            ),
            TypeError,
            "got RandomStructured",
        ),
        (lambda m: prune.PruningContainer(3), TypeError, "expected a method, got 3"),
    ],
)
def test_what_is_refused_changes_nothing(
    wrong: Any, error: type[Exception], message: str
) -> None:
    module = layer(VALUES)
    with pytest.raises(error, match=message):
        wrong(module)
    assert list(module.state_dict()) == ["weight", "bias"]
    assert not prune.is_pruned(module)
    assert module.weight.tolist() == layer(VALUES).weight.tolist()


def test_a_lazy_layer_can_be_pruned_after_its_first_call() -> None:
    module = nn.LazyLinear(3)
    with pytest.raises(ShapeError, match="likely fix: call the model once first"):
        prune.l1_unstructured(module, "weight", 0.5)
    module(ad.ones(1, 4))
    prune.l1_unstructured(module, "weight", np.int64(6))
    assert int(module.weight_mask.sum()) == 6
    prune.l1_unstructured(module, "weight", np.float32(0.5))
    assert int(module.weight_mask.sum()) == 3
