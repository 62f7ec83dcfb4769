"""Lazy layers: sizes from the first input, the same state as the layers they become."""

from __future__ import annotations

import copy
import io
import pickle
from typing import Any

import numpy as np
import pytest

import pyautodl as ad
from pyautodl import nn
from pyautodl.errors import ShapeError

SHAPES = {"1d": (2, 6, 9), "2d": (2, 6, 9, 8), "3d": (2, 6, 5, 6, 7)}
CONVOLUTIONS = [
    (f"Conv{kind}{axes}", axes) for kind in ("", "Transpose") for axes in SHAPES
]
NORMS = [
    (f"{kind}Norm{axes}", axes) for kind in ("Batch", "Instance") for axes in SHAPES
]


def same(a: Any, b: Any) -> None:
    np.testing.assert_array_equal(a.detach().numpy(), b.detach().numpy())


def check(lazy: nn.Module, plain: nn.Module, x: ad.Tensor, seed: int) -> None:
    """Whether a lazy layer becomes what a plain one made after the same seed is."""
    assert lazy.has_uninitialized_params()
    ad.manual_seed(seed)
    y = lazy(x)
    assert type(lazy) is type(plain)
    assert repr(lazy) == repr(plain)
    assert not lazy._forward_pre_hooks
    assert list(lazy.state_dict()) == list(plain.state_dict())
    for one, other in zip(lazy.parameters(), plain.parameters()):
        assert type(one) is nn.Parameter
        assert one.requires_grad
        same(one, other)
    same(y, plain(x))
    y.sum().backward()
    assert all(each.grad is not None for each in lazy.parameters())


@pytest.mark.parametrize("dtype", [ad.float32, ad.float64])
@pytest.mark.parametrize(("name", "axes"), CONVOLUTIONS)
def test_convolutions(name: str, axes: str, dtype: Any) -> None:
    x = ad.randn(*SHAPES[axes], dtype=dtype)
    numbers = {"stride": 2, "padding": 1, "groups": 2, "dtype": dtype}
    lazy = getattr(nn, f"Lazy{name}")(4, 3, **numbers)
    assert repr(lazy).startswith(f"Lazy{name}(0, 4, kernel_size=")
    ad.manual_seed(1)
    check(lazy, getattr(nn, name)(6, 4, 3, **numbers), x, 1)
    alone = getattr(nn, f"Lazy{name}")(4, 3, bias=False, dtype=dtype)
    assert alone(x[0]).shape[0] == 4
    assert alone.in_channels == 6
    assert alone.bias is None


@pytest.mark.parametrize(("name", "axes"), NORMS)
def test_norms(name: str, axes: str) -> None:
    x = ad.randn(*SHAPES[axes])
    options = {"affine": True, "track_running_stats": True, "momentum": 0.3}
    lazy, plain = getattr(nn, f"Lazy{name}")(**options), getattr(nn, name)(6, **options)
    check(lazy, plain, x, 0)
    same(lazy.running_mean, plain.running_mean)
    if name.startswith("Instance"):
        layer = getattr(nn, f"Lazy{name}")()
        assert not layer.has_uninitialized_params()
        layer(x[0])
        assert layer.num_features == 6
    without = getattr(nn, f"Lazy{name}")(bias=False, affine=True)
    without(x)
    assert without.bias is None


def test_linear_layers_and_the_memory_of_their_parameters() -> None:
    lazy = nn.LazyLinear(3)
    weight = lazy.weight
    assert isinstance(weight, nn.UninitializedParameter)
    assert repr(lazy) == "LazyLinear(in_features=0, out_features=3, bias=True)"
    ad.manual_seed(2)
    check(lazy, nn.Linear(5, 3), ad.randn(4, 5), 2)
    assert lazy.weight is weight
    lazy.reset_parameters()


def test_an_optimizer_may_come_first() -> None:
    ad.manual_seed(0)
    model = nn.Sequential(
        nn.LazyConv2d(4, 3), nn.LazyBatchNorm2d(), nn.ReLU(), nn.Flatten()
    )
    model.append(nn.LazyLinear(2))
    optimizer = ad.optim.SGD(model.parameters(), lr=0.1)
    x = ad.randn(2, 3, 5, 5)
    losses = []
    for _ in range(4):
        optimizer.zero_grad()
        loss = model(x).square().mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    assert [type(each).__name__ for each in model] == [
        "Conv2d",
        "BatchNorm2d",
        "ReLU",
        "Flatten",
        "Linear",
    ]
    kept = [key for key in model.__dict__ if "run_in_sequence" in key]
    assert kept
    model.eval()
    with ad.no_grad():
        fused = model(x)
    np.testing.assert_allclose(fused.numpy(), model(x).detach().numpy(), rtol=1e-4)


@pytest.mark.parametrize("recorded", [True, False])
def test_what_is_fused_is_found_again_when_layers_have_become_plain(
    recorded: bool,
) -> None:
    model = nn.Sequential(nn.LazyConv2d(4, 3), nn.BatchNorm2d(4), nn.ReLU()).eval()
    x = ad.randn(2, 3, 5, 5)
    with ad.set_grad_enabled(recorded):
        for kept in (False, True):
            model(x)
            assert kept is any("run_in_sequence" in key for key in model.__dict__)


def test_states_are_loaded_before_the_first_call_and_after() -> None:
    plain = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(3, 2))
    lazy = nn.Sequential(nn.LazyConv2d(4, 3), nn.LazyBatchNorm2d(), nn.LazyLinear(2))
    empty = lazy.state_dict()
    assert isinstance(empty["0.weight"], nn.UninitializedParameter)
    assert isinstance(empty["1.running_var"], nn.UninitializedBuffer)
    other = copy.deepcopy(lazy)
    assert str(other.load_state_dict(empty)) == "<All keys matched successfully>"
    assert other[0].has_uninitialized_params()
    lazy.load_state_dict(plain.state_dict())
    x = ad.randn(2, 3, 5, 5)
    same(lazy(x), plain(x))
    assert [each.in_channels for each in (lazy[0], plain[0])] == [3, 3]
    assert (lazy[1].num_features, lazy[2].in_features) == (4, 3)
    half = nn.LazyLinear(2)
    half.load_state_dict(other[2].state_dict())
    half.load_state_dict(plain[2].state_dict())
    with pytest.raises(ShapeError, match="likely fix: load into a new model"):
        half.load_state_dict(other[2].state_dict())
    with pytest.raises(RuntimeError, match="Missing key"):
        nn.LazyLinear(2).load_state_dict({"bias": ad.ones(2)})


def test_copies_and_casts_stay_lazy() -> None:
    model = nn.Sequential(nn.LazyLinear(2), nn.LazyBatchNorm1d()).double()
    for each in (copy.deepcopy(model), pickle.loads(pickle.dumps(model)), model):
        assert each[0].has_uninitialized_params()
        assert each[1].has_uninitialized_params()
        each(ad.ones(2, 3, dtype=ad.float64))
        assert each[0].weight.dtype == each[1].running_mean.dtype == ad.float64
        assert type(each[0]) is nn.Linear
    frozen = nn.LazyLinear(2).requires_grad_(False)
    frozen(ad.ones(1, 2))
    assert not frozen.weight.requires_grad


def test_what_calls_a_model_may_be_the_first_to_do_so() -> None:
    def network() -> nn.Sequential:
        return nn.Sequential(
            nn.LazyConv2d(4, 3), nn.LazyBatchNorm2d(), nn.Flatten(), nn.LazyLinear(2)
        )

    model = network()
    found = ad.inspect.summary(model, (1, 3, 4, 4))
    assert found.parameters == 3 * 4 * 9 + 4 + 8 + 16 * 2 + 2
    assert model[1].running_var.tolist() == [1.0] * 4
    pytest.importorskip("onnx")
    proto = ad.onnx.export(network(), ad.ones(1, 3, 4, 4))
    held = {each.name for each in proto.graph.initializer}
    assert {"0.weight", "1.running_var", "3.bias"} <= held


def test_what_has_no_shape_yet_says_so() -> None:
    layer = nn.LazyLinear(2)
    assert repr(layer.weight) == "<UninitializedParameter>"
    for wrong in (
        lambda: layer.weight.shape,
        lambda: layer.weight.numel(),
        lambda: sum(each.numel() for each in layer.parameters()),
        lambda: layer.weight.size(0),
        lambda: len(layer.weight),
        lambda: layer.weight.tolist(),
        lambda: ad.save(layer.state_dict(), io.BytesIO()),
    ):
        with pytest.raises(ShapeError, match="likely fix: call the model once first"):
            wrong()
    with pytest.raises(TypeError, match="LazyLinear: input must be a tensor"):
        layer([1.0])
    with pytest.raises(ShapeError, match=r"LazyConv2d: expected an input of 3 or 4"):
        nn.LazyConv2d(1, 1)(ad.ones(2, 2))
    with pytest.raises(ShapeError, match="in_channels 3 can't be split into 2 groups"):
        nn.LazyConv2d(2, 1, groups=2)(ad.ones(1, 3, 2, 2))
    with pytest.raises(ShapeError, match="LazyBatchNorm2d: expected an input of 4"):
        nn.LazyBatchNorm2d()(ad.ones(2, 2))
    with pytest.raises(ShapeError, match="with an axis"):
        layer(ad.tensor(1.0))
    # a call that failed leaves the layer as it was
    assert layer(ad.ones(1, 4)).shape == (1, 2)
