"""Repeated gradients are those of the rule, keep nothing alive, and see what changed."""

from __future__ import annotations

import weakref
from typing import Any

import numpy as np
import op_cases as oc
import pytest

import pyautodl as ad
import pyautodl.nn.functional as F
from pyautodl.ops.gradient_trace import REPEATS
from pyautodl.ops.record import OPS

pytestmark = pytest.mark.usefixtures("compiled")

NAMES = sorted(n for n, op in OPS.items() if op.vjp is not None and not op.random)


def _gradients(case: Any, seed: int) -> list[bytes | None]:
    tensors = oc.tensors(case, "float64")
    for x in tensors:
        if x is not None and x.dtype.is_floating_point:
            x.requires_grad_()
    found = oc.run(case, tensors)
    outputs = [y for y in (found if isinstance(found, tuple) else (found,))]
    outputs = [y for y in outputs if y.requires_grad]
    rng = np.random.default_rng(seed)
    grads = [ad.tensor(rng.standard_normal(tuple(y.shape))) for y in outputs]
    ad.autograd.backward(outputs, grads)
    return [
        None if x is None or x.grad is None else x.grad.numpy().tobytes()
        for x in tensors
    ]


@pytest.mark.parametrize("name", NAMES)
def test_repeated_gradients_equal_those_of_the_rule(name: str) -> None:
    failures = oc.Failures()
    for case in oc.cases(name):
        if not case.sample.gradient:
            continue
        try:
            want = [(REPEATS.clear(), _gradients(case, seed))[1] for seed in range(3)]
            REPEATS.clear()
            _gradients(case, 7), _gradients(case, 8)
            got = [_gradients(case, seed) for seed in range(3)]
        except ad.errors.GradError:
            continue
        if got != want:
            failures.add(str(case), "the bits differ")
    failures.check()


def _repeats() -> int:
    return sum(each is not None for each in REPEATS.values())


def test_most_rules_are_repeated() -> None:
    layer = ad.nn.Sequential(
        ad.nn.Conv2d(1, 2, 3),
        ad.nn.BatchNorm2d(2),
        ad.nn.ReLU(),
        ad.nn.MaxPool2d(2),
        ad.nn.Flatten(),
        ad.nn.Linear(18, 4),
    )
    REPEATS.clear()
    for _ in range(4):
        F.cross_entropy(layer(ad.randn(2, 1, 8, 8)), ad.tensor([0, 1])).backward()
    assert _repeats() >= 6


def test_rules_of_kernels_and_views_are_one_function() -> None:
    net = ad.nn.Sequential(
        ad.nn.Linear(5, 4), ad.nn.ReLU(), ad.nn.Linear(4, 3), ad.nn.Tanh()
    )
    x = ad.randn(6, 5, requires_grad=True)
    REPEATS.clear()
    for _ in range(4):
        (net(x) @ x[:, :3].T).mean().backward()
    chained = [each.chained for each in REPEATS.values() if each is not None]
    assert sum(chained) >= 5, chained


def test_one_tensor_twice_is_told_from_two() -> None:
    REPEATS.clear()
    for _ in range(3):
        x = ad.tensor([2.0, 3.0], requires_grad=True)
        (x * x).sum().backward()
        assert x.grad.tolist() == [4, 6]
        x, y = x.detach().requires_grad_(), ad.tensor([5.0, 7.0], requires_grad=True)
        (x * y).sum().backward()
        assert (x.grad.tolist(), y.grad.tolist()) == ([5, 7], [2, 3])


def test_parameters_of_an_op_are_told_apart() -> None:
    for slope in (0.5, 0.25, 0.0, 0.5):
        for _ in range(3):
            x = ad.tensor([-1.0, 1.0], requires_grad=True)
            F.leaky_relu(x, slope).sum().backward()
            assert x.grad.tolist() == [slope, 1]


def test_a_saved_tensor_that_was_changed_is_found() -> None:
    for _ in range(3):
        x = ad.ones(2, requires_grad=True)
        y = ad.ones(2)
        z = x * y
        y.add_(1)
        with pytest.raises(ad.errors.GradError, match="changed"):
            z.sum().backward()
        z = (x * 2).exp().sum()
        z.backward()
        with pytest.raises(ad.errors.GradError, match="already"):
            z.backward()


def test_another_backend_runs_its_own_gradients() -> None:
    x = ad.randn(3, 4, requires_grad=True)
    for _ in range(3):
        x.grad = None
        loss = F.softmax(x, 1)[:, 0].sum()
        with ad.use_backend("reference"):
            loss.backward()
            want = x.grad.numpy().copy()
        x.grad = None
        F.softmax(x, 1)[:, 0].sum().backward()
        assert np.allclose(x.grad.numpy(), want, atol=1e-6)


def test_what_was_seen_is_not_kept_alive() -> None:
    for _ in range(4):
        x = ad.randn(3, 4, requires_grad=True)
        kept = weakref.ref(x._array.storage)
        F.layer_norm(x * 2, (4,)).exp().sum().backward()
        del x
        assert kept() is None
