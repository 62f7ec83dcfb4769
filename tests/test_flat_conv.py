"""Depthwise convolutions of few channels, whose vectors run along lines of pixels."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest

import pyautodl as ad
from pyautodl import nn
from pyautodl.backends import native, use_backend
from pyautodl.testing import available_isas, use_isa

F = nn.functional

pytestmark = pytest.mark.usefixtures("compiled")


class Case(NamedTuple):
    x: tuple[int, ...]
    kernel: tuple[int, ...]
    padding: int | tuple[int, ...] = 0
    dilation: int | tuple[int, ...] = 1
    stride: int | tuple[int, ...] = 1


CASES = {
    "11x11 of colours": Case((2, 3, 40, 37), (11, 11), 5),
    "without zeros around": Case((2, 3, 21, 19), (11, 11)),
    "one channel": Case((3, 1, 28, 30), (3, 3), 1),
    "one row": Case((2, 3, 1, 50), (1, 5), (0, 2)),
    "one dimension": Case((3, 2, 130), (9,), 4),
    "seven channels": Case((2, 7, 11, 25), (5, 2), (2, 1)),
    "fifteen channels": Case((1, 15, 9, 6), (3, 3), 1),
    "lines in pieces": Case((1, 3, 10, 401), (3, 5), (1, 2)),
    "dilated": Case((2, 3, 30, 26), (3, 3), 4, (4, 3)),
    "farther apart than fits": Case((1, 3, 70, 30), (3, 3), 0, (30, 1)),
    "as wide as a block": Case((1, 1, 4, 540), (2, 530)),
    "more zeros than pixels": Case((2, 3, 3, 2), (5, 5), 4),
    "strided": Case((2, 3, 19, 18), (3, 3), 1, 1, 2),
    "no image": Case((0, 3, 9, 9), (3, 3), 1),
}


def numbers(shape, dtype, seed):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def run(case, dtype):
    """The convolution, and its gradients by x, weight and bias."""
    channels = case.x[1]
    arrays = (
        numbers(case.x, dtype, 1),
        numbers((channels, 1, *case.kernel), dtype, 2),
        numbers(channels, dtype, 3),
    )
    inputs = [ad.tensor(each, requires_grad=True) for each in arrays]
    conv = F.conv1d if len(case.kernel) == 1 else F.conv2d
    y = conv(*inputs, case.stride, case.padding, case.dilation, channels)
    y.backward(ad.tensor(numbers(y.shape, dtype, 4)))
    return [y.detach().numpy(), *[each.grad.numpy().copy() for each in inputs]]


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_values_and_gradients(case):
    with use_backend("reference"):
        wanted = run(case, np.float64)
    for isa in available_isas():
        with use_isa(isa), use_backend("native"):
            for dtype, precision in ((np.float32, 1e-5), (np.float64, 1e-13)):
                for got, want in zip(run(case, dtype), wanted):
                    scale = abs(want).max(initial=1)
                    np.testing.assert_allclose(
                        got, want, 0, precision * scale, err_msg=isa
                    )


@pytest.mark.parametrize("name", ["11x11 of colours", "seven channels"])
def test_bits_do_not_depend_on_threads(name):
    results = []
    for threads in (1, 2, 5):
        with native.exact_threads(threads, uneven=threads > 2), use_backend("native"):
            results.append([each.tobytes() for each in run(CASES[name], np.float32)])
    assert results[0] == results[1] == results[2]


def test_what_follows_is_fused():
    """A norm and an activation at inference, which the kernel applies by channel."""
    conv, norm = nn.Conv2d(3, 3, 5, padding=2, groups=3), nn.BatchNorm2d(3)
    norm.running_mean.copy_(ad.tensor([0.5, -1.0, 2.0]))
    norm.running_var.copy_(ad.tensor([0.5, 2.0, 4.0]))
    model = nn.Sequential(conv, norm, nn.ReLU()).eval()
    x = ad.tensor(numbers((2, 3, 17, 23), np.float32, 1))
    with ad.no_grad():
        wanted = norm(conv(x)).relu()
        for isa in available_isas():
            with use_isa(isa):
                assert ad.allclose(model(x), wanted, 1e-5, 1e-5)
