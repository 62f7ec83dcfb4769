"""checkpoint: the same bits as a plain call, in less memory."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pyautodl as ad
from pyautodl import nn
from pyautodl.graph import Node
from pyautodl.utils.checkpoint import (
    CheckpointError,
    checkpoint,
    checkpoint_sequential,
)


def block(width: int = 6) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(width, width), nn.ReLU(), nn.Dropout(0.5), nn.Linear(width, width)
    )


def _bits(tensors: Any) -> list[bytes]:
    return [x.detach().numpy().tobytes() for x in tensors]


def _step(
    run: Callable[[ad.Tensor], ad.Tensor], model: nn.Module, x: ad.Tensor
) -> list[bytes]:
    ad.manual_seed(3)
    x = x.detach().requires_grad_()
    model.zero_grad()
    y = run(x * 2)
    y.square().sum().backward()
    after = ad.rand(3)
    return _bits([y, x.grad, after, *[p.grad for p in model.parameters()]])


@pytest.mark.parametrize("reentrant", [True, False, None])
def test_bits_are_those_of_a_plain_call(reentrant: bool | None) -> None:
    ad.manual_seed(0)
    model = nn.Sequential(*[block() for _ in range(3)])
    x = ad.rand(5, 6)

    def saving(x: ad.Tensor) -> ad.Tensor:
        for each in model:
            x = checkpoint(each, x, use_reentrant=reentrant)
        return x

    def nested(x: ad.Tensor) -> ad.Tensor:
        return checkpoint(saving, x, use_reentrant=reentrant)

    expected = _step(model, model, x)
    for run in (saving, nested):
        for _ in range(3):
            assert _step(run, model, x) == expected
    for segments in (1, 2, 3):
        found = _step(
            lambda x, n=segments: checkpoint_sequential(model, n, x), model, x
        )
        assert found == expected
    parts = [each for part in model for each in part]
    found = _step(lambda x: checkpoint_sequential(parts, 4, x), model, x)
    assert found == expected


def test_random_numbers_of_the_second_run_can_be_others() -> None:
    x = ad.ones(64, requires_grad=True)
    drop = nn.Dropout(0.5)
    for preserve in (True, False):
        y = checkpoint(lambda x: drop(x) * 1, x, preserve_rng_state=preserve)
        (grad,) = ad.autograd.grad(y.sum(), x)
        assert (grad.tolist() == y.tolist()) == preserve


def test_gradients_reach_what_is_not_an_argument() -> None:
    outer = ad.tensor([1.0, 2.0], requires_grad=True)
    between = outer * 3  # and is a way to outer as well
    constant = ad.tensor([1.0, 1.0])
    y = checkpoint(lambda c: (between * outer * c).sum(), constant)
    y.backward()
    assert outer.grad.tolist() == [6.0, 12.0]
    (grad,) = ad.autograd.grad(checkpoint(lambda c: (outer * c).sum(), constant), outer)
    assert grad.tolist() == [1.0, 1.0]


def test_gradients_of_gradients() -> None:
    ad.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1)).double()
    x = ad.rand(4, 2, dtype=ad.float64, requires_grad=True)

    def second(run: Callable[[Any], ad.Tensor]) -> list[ad.Tensor]:
        (first,) = ad.autograd.grad(run(x).sum(), x, create_graph=True)
        return list(
            ad.autograd.grad(first.square().sum(), [x, *model.parameters()][:-1])
        )

    for found, expected in zip(second(lambda x: checkpoint(model, x)), second(model)):
        np.testing.assert_allclose(found.numpy(), expected.numpy(), rtol=1e-12)
    ad.autograd.gradcheck(lambda x: checkpoint(model, x), (x,))
    ad.autograd.gradgradcheck(lambda x: checkpoint(model, x), (x,))


def test_nested_values_go_in_and_out() -> None:
    x = ad.tensor([1.0, 2.0], requires_grad=True)
    n = ad.tensor([1, 0])

    def run(pair: Any, *, scale: dict[str, ad.Tensor]) -> Any:
        y = pair[0] * scale["by"]
        return {"y": y, "same": [y], "input": pair[0], "index": pair[1], "text": "a"}

    result = checkpoint(run, (x, n), scale={"by": ad.tensor(3.0)})
    assert result["same"][0] is result["y"]
    assert result["input"] is x
    assert result["index"] is n
    assert result["text"] == "a"
    (result["y"] * result["input"]).sum().backward()
    assert x.grad.tolist() == [6.0, 12.0]


def test_a_view_of_an_input_remains_one() -> None:
    x = ad.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    base = x * 1
    checkpoint(lambda b: b[0], base).mul_(2)
    base.sum().backward()
    assert x.grad.tolist() == [[2.0, 2.0], [1.0, 1.0]]
    base = x * 1
    y, squares = checkpoint(lambda b: (b[0], b.square()), base)
    y.mul_(2)
    with pytest.raises(ad.GradError, match=r"checkpoint: .* changed by an in-place"):
        squares.sum().backward()


def test_without_gradients_it_is_a_call() -> None:
    calls = []

    def run(x: ad.Tensor) -> ad.Tensor:
        calls.append(ad.is_grad_enabled())
        return x * 2

    x = ad.ones(2, requires_grad=True)
    with ad.no_grad():
        assert not checkpoint(run, x).requires_grad
    with ad.inference_mode():
        assert not checkpoint(run, x).requires_grad
    assert not checkpoint(run, ad.ones(2)).requires_grad
    loss = checkpoint(run, x).sum()
    with ad.no_grad():
        loss.backward()
    assert calls == [False, False, True, True, True]


def test_hooks_run_once() -> None:
    layer, x = nn.Linear(2, 2), ad.ones(1, 2, requires_grad=True)
    seen: list[str] = []
    layer.weight.register_hook(lambda g: seen.append("weight"))
    layer.register_full_backward_hook(lambda *_: seen.append("layer"))

    def run(x: ad.Tensor) -> ad.Tensor:
        y = layer(x)
        y.register_hook(lambda g: g * 2 if seen.append("output") is None else g)
        return y * 1

    checkpoint(run, x).sum().backward()
    assert sorted(seen) == ["layer", "output", "weight"]
    assert x.grad.tolist() == (2 * layer.weight.sum(0, keepdim=True)).tolist()


def test_backward_again() -> None:
    x = ad.ones(2, requires_grad=True)
    y = checkpoint(lambda x: x.exp().square(), x).sum()
    y.backward(retain_graph=True)
    y.backward()
    np.testing.assert_allclose(x.grad.numpy(), 4 * np.exp(2), rtol=1e-6)
    with pytest.raises(ad.GradError, match="backward was already run"):
        y.backward()


def test_switches_are_those_of_the_first_run() -> None:
    found = []

    def run(x: ad.Tensor) -> ad.Tensor:
        found.append(
            (ad.current_backend(), ad.get_conv_algorithm(), ad.tensor(1.0).dtype)
        )
        return x * 2

    x = ad.ones(2, requires_grad=True)
    ad.set_default_dtype(ad.float64)
    with ad.use_backend("reference"), ad.use_conv_algorithm("precise"):
        y = checkpoint(run, x)
    ad.set_default_dtype(ad.float32)
    y.sum().backward()
    assert found[0] == found[1] == ("reference", "precise", ad.float64)
    assert ad.get_default_dtype() is ad.float32
    assert ad.get_conv_algorithm() == "auto"


def test_contexts_of_both_runs() -> None:
    import contextlib

    entered: list[str] = []

    @contextlib.contextmanager
    def note(name: str) -> Any:
        entered.append(name)
        yield

    x = ad.ones(2, requires_grad=True)
    y = checkpoint(
        lambda x: x * 2, x, context_fn=lambda: (note("first"), note("second"))
    )
    assert entered == ["first"]
    y.sum().backward()
    assert entered == ["first", "second"]


def _changing(*functions: Callable[[ad.Tensor], ad.Tensor]) -> Any:
    turns = iter(functions)
    return lambda x: next(turns)(x)


def test_a_second_run_that_differs_is_an_error() -> None:
    x = ad.ones(2, 2, requires_grad=True)
    a, b = nn.Linear(2, 2), nn.Linear(2, 2)
    cases: list[tuple[Any, str]] = [
        (_changing(lambda x: x.exp(), lambda x: x.sin()), "call 0 was exp .* is sin"),
        (_changing(lambda x: x.exp(), lambda x: x.exp().exp()), "1 calls and now 2"),
        (_changing(lambda x: x.exp(), lambda x: x[:1].exp()), "its outputs were"),
        (_changing(a, b), "another one"),
    ]
    for run, match in cases:
        y = checkpoint(run, x)
        with pytest.raises(CheckpointError, match=match):
            y.sum().backward()
    y = checkpoint(_changing(ad.exp, ad.sin), x, determinism_check="none")
    y.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), np.cos(1), rtol=1e-6)


def test_what_was_changed_since_is_an_error() -> None:
    x, layer = ad.ones(2, requires_grad=True), nn.Linear(2, 2)
    between = x * 1
    y = checkpoint(lambda x: x * 2, between)
    between.add_(1)
    with pytest.raises(ad.GradError, match=r"checkpoint: .* changed by an in-place"):
        y.sum().backward()
    y = checkpoint(layer, x)
    with ad.no_grad():
        layer.bias.add_(1)
    with pytest.raises(ad.GradError, match=r"checkpoint: .* changed by an in-place"):
        y.sum().backward()


def test_arguments_are_checked() -> None:
    x = ad.ones(2)
    with pytest.raises(ValueError, match="determinism_check must be"):
        checkpoint(ad.exp, x, determinism_check="some")
    with pytest.raises(ValueError, match="expected 1 to 2 segments"):
        checkpoint_sequential([ad.exp, ad.sin], 3, x)
    with pytest.raises(ValueError, match="unexpected arguments 'y'"):
        checkpoint_sequential([ad.exp], 1, x, y=2)


def test_leaves_made_inside() -> None:
    weight = ad.tensor([2.0], requires_grad=True)

    def slope(x: ad.Tensor) -> ad.Tensor:
        x = x.detach().requires_grad_()
        (grad,) = ad.autograd.grad((x**3 * weight).sum(), x, create_graph=True)
        return grad

    checkpoint(slope, ad.tensor([2.0])).sum().backward()
    assert weight.grad.tolist() == [12.0]


def test_it_saves_memory() -> None:
    model = nn.Sequential(
        *[nn.Sequential(nn.Linear(64, 64), nn.Tanh(), nn.Tanh()) for _ in range(8)]
    )
    x = ad.rand(4096, 64, requires_grad=True)

    def peak(run: Callable[[ad.Tensor], ad.Tensor]) -> tuple[int, int]:
        for _ in range(2):
            model.zero_grad()
            x.grad = None
            gc.collect()
            before = ad.memory_stats()["allocated_bytes"]
            ad.reset_peak_memory()
            y = run(x)
            held = ad.memory_stats()["allocated_bytes"] - before
            y.sum().backward()
            most = ad.memory_stats()["peak_allocated_bytes"] - before
            del y
        return held, most

    one = 4096 * 64 * 4
    plain, saving = peak(model), peak(lambda x: checkpoint_sequential(model, 8, x))
    # of each of 8 blocks two results, or the inputs alone
    assert plain[0] >= 16 * one
    assert saving[0] <= 10.5 * one
    assert saving[1] <= 0.8 * plain[1]
    whole = peak(lambda x: checkpoint(model, x))
    assert whole[0] <= 1.5 * one


def test_no_reference_cycles() -> None:
    gc.disable()
    try:
        x = ad.ones(4, requires_grad=True)
        y = checkpoint(lambda x: x.exp(), x * 2)
        node = weakref.ref(y.grad_fn)
        assert isinstance(node(), Node)
        y.sum().backward()
        del y
        assert node() is None
    finally:
        gc.enable()
