"""Convolutions of images of few channels, their gradients by the image, and convolutions,
transposed or not, that write such: the compiled kernels have ways of their own for them.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest

import pyautodl as ad
from pyautodl import nn
from pyautodl.backends import codes, native, use_backend
from pyautodl.functional.networks.conv import conv_epilogue
from pyautodl.testing import available_isas, use_isa

F = nn.functional
CLAMP, NONE = codes.ACTIVATION_CLAMP, codes.ACTIVATION_NONE

pytestmark = pytest.mark.usefixtures("compiled")

CONV = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
TRANSPOSE = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}


class Case(NamedTuple):
    x: tuple[int, ...]
    weight: tuple[int, ...]
    stride: int | tuple[int, ...] = 1
    padding: int | tuple[int, ...] = 0
    dilation: int | tuple[int, ...] = 1
    groups: int = 1


CASES = {
    "7x7 stride 2": Case((2, 3, 40, 44), (64, 3, 7, 7), 2, 3),
    "one channel": Case((3, 1, 28, 28), (32, 1, 3, 3), 1, 1),
    "two channels": Case((5, 2, 17, 19), (20, 2, 5, 3), 1, (2, 0)),
    "four channels": Case((2, 4, 33, 30), (18, 4, 3, 3), 2, 1),
    "five channels": Case((2, 5, 20, 20), (18, 5, 3, 3), 2, 1),
    "as many phases as taps": Case((2, 3, 32, 32), (40, 3, 4, 4), 4),
    "pixels without a tap": Case((2, 3, 31, 29), (8, 3, 2, 2), 3, 1),
    "more phases than fit": Case((1, 1, 80, 80), (4, 1, 40, 40), 40),
    "dilated": Case((2, 3, 30, 26), (16, 3, 3, 3), 1, 4, 4),
    "dilated and strided": Case((2, 1, 41, 37), (16, 1, 3, 5), (2, 3), 2, (3, 2)),
    "far apart": Case((1, 1, 9, 300), (4, 1, 1, 3), 1, 0, (1, 140)),
    "wide": Case((1, 3, 5, 201), (33, 3, 3, 3), 1, 1),
    "wide and even": Case((1, 3, 5, 251), (48, 3, 3, 3), 1, (2, 1)),
    "one pixel": Case((4, 3, 1, 1), (7, 3, 1, 1)),
    "one dimension": Case((6, 1, 130), (24, 1, 9), 2, 4),
    "three dimensions": Case((2, 3, 7, 14, 15), (17, 3, 3, 3, 3), (2, 1, 2), 1),
    "crop behind": Case((2, 3, 20, 20), (16, 3, 3, 3), 3),
    "in groups": Case((2, 4, 20, 20), (16, 2, 3, 3), 1, 1, 1, 2),
    "one output": Case((2, 20, 17, 19), (1, 20, 5, 3), 1, (2, 1)),
    "two outputs, wide": Case((1, 33, 24, 40), (2, 33, 7, 7), 1, 3),
    "three outputs, dilated": Case((2, 16, 21, 30), (3, 16, 3, 5), 1, 4, (4, 2)),
    "four outputs, rows strided": Case((3, 18, 25, 23), (4, 18, 3, 3), (2, 1), 1),
    "one output of a line": Case((20, 12, 130), (1, 12, 11), 1, 5),
    "three outputs in space": Case(
        (2, 5, 9, 14, 15), (3, 5, 3, 3, 3), (2, 3, 1), (0, 2, 1), (2, 1, 1)
    ),
    "one output of one channel": Case((4, 1, 20, 21), (1, 1, 4, 4), 1, 2),
    "fewer rows than lanes": Case((1, 17, 3, 90), (2, 17, 3, 4), 1, 1),
    "four outputs, columns strided": Case((2, 8, 20, 20), (4, 8, 3, 3), 2, 1),
    "five channels in long lines": Case((2, 5, 12, 40), (9, 5, 3, 3), 1, 2, 2),
    "sixteen channels in long lines": Case((1, 16, 5, 50), (35, 16, 5, 3), 1, (2, 1)),
    "seven channels of a line": Case((3, 7, 140), (21, 7, 9), 2, 16, 4),
    "broken vectors of three channels": Case((2, 3, 9, 120), (7, 3, 3, 3), (1, 2), 1),
    "six channels in space": Case((1, 6, 4, 5, 37), (10, 6, 2, 3, 3), 1, (1, 1, 1)),
    "taps outside the image": Case((2, 6, 3, 40), (2, 6, 3, 3), 1, (9, 1), (9, 1)),
}


def numbers(shape, dtype, seed):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def forward(case, dtype):
    """The convolution, with bias, of an image with channels last."""
    x = ad.tensor(
        np.moveaxis(numbers((case.x[0], *case.x[2:], case.x[1]), dtype, 6), -1, 1)
    )
    weight = ad.tensor(numbers(case.weight, dtype, 7))
    bias = ad.tensor(numbers(case.weight[:1], dtype, 8))
    return CONV[len(case.x) - 2](x, weight, bias, *case[2:]).numpy()


def forward_by_planes(case, dtype):
    """The same of an image in C order, without a gradient."""
    x, weight = numbers(case.x, dtype, 6), ad.tensor(numbers(case.weight, dtype, 7))
    bias = ad.tensor(numbers(case.weight[:1], dtype, 8))
    with ad.no_grad():
        y = CONV[len(case.x) - 2](ad.tensor(x), weight, bias, *case[2:])
    return y.numpy()


def image_gradient(case, dtype):
    """The gradient by x of a fixed linear function of the convolution."""
    function = CONV[len(case.x) - 2]
    x = ad.tensor(np.zeros(case.x, dtype), requires_grad=True)
    y = function(x, ad.tensor(numbers(case.weight, dtype, 1)), None, *case[2:])
    y.backward(ad.tensor(numbers(y.shape, dtype, 2)))
    return x.grad.numpy().copy()


def transposed(case, dtype):
    """A transposed convolution with bias to an image about as large as x."""
    axes = len(case.x) - 2
    size = CONV[axes](ad.zeros(case.x), ad.zeros(case.weight), None, *case[2:]).shape
    y = ad.tensor(numbers(size, dtype, 3))
    weight = ad.tensor(numbers(case.weight, dtype, 4))
    bias = ad.tensor(numbers(case.x[1:2], dtype, 5))
    stride, padding, dilation, groups = case[2:]
    return TRANSPOSE[axes](
        y, weight, bias, stride, padding, 0, groups, dilation
    ).numpy()


def wanted(function, case):
    with use_backend("reference"):
        return function(case, np.float64)


@pytest.mark.parametrize(
    "function", [forward, forward_by_planes, image_gradient, transposed]
)
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_values(case, function):
    want = wanted(function, case)
    scale = abs(want).max()
    for isa in available_isas():
        with use_isa(isa), use_backend("native"):
            for dtype, precision in ((np.float32, 1e-5), (np.float64, 1e-13)):
                got = function(case, dtype)
                np.testing.assert_allclose(got, want, 0, precision * scale, err_msg=isa)


@pytest.mark.parametrize("activation", [(CLAMP, 0.0, 2.0), (NONE, 0.0, 0.0)])
@pytest.mark.parametrize("adds", [False, True])
@pytest.mark.parametrize(
    ("channels", "outputs", "kernel"),
    [
        (24, 3, 5),
        (6, 21, 5),
        # several panels of outputs and part of one, by tiles that are read where they lie
        (3, 80, 3),
        (3, 100, 3),
        (24, 112, 1),
        (48, 176, 1),
        (300, 336, 1),
    ],
)
def test_what_follows_the_sums(channels, outputs, kernel, adds, activation):
    rng = np.random.default_rng(9)
    x = rng.standard_normal((2, channels, 17, 33))
    w = rng.standard_normal((outputs, channels, kernel, kernel))
    scale, bias = rng.standard_normal((2, outputs))
    residual = rng.standard_normal((2, outputs, 17, 33)) if adds else None
    with use_backend("reference"):
        plain = F.conv2d(ad.tensor(x), ad.tensor(w), padding=kernel // 2).numpy()
    want = plain * scale[:, None, None] + bias[:, None, None]
    if adds:
        want = want + residual
    if activation[0] == CLAMP:
        want = want.clip(0, 2)
    for isa in available_isas():
        with use_isa(isa), use_backend("native"), ad.no_grad():
            for dtype, precision in ((np.float32, 1e-5), (np.float64, 1e-13)):
                reads = [
                    None if each is None else ad.tensor(each.astype(dtype))
                    for each in (x, w, scale, bias, residual)
                ]
                got = conv_epilogue(*reads, activation, 1, kernel // 2, 1, 1)
                error = abs(got.numpy() - want).max()
                assert error < precision * abs(plain).max(), (isa, dtype)


def test_the_weight_of_few_outputs_is_packed_in_each_call():
    text = ad.explain_conv((2, 64, 32, 32), (2, 64, 5, 5)).weight
    assert text == "packed in each call"
    assert "once" in ad.explain_conv((2, 64, 32, 32), (16, 64, 5, 5)).weight


@pytest.mark.parametrize("function", [forward, image_gradient])
@pytest.mark.parametrize(
    "name",
    [
        "7x7 stride 2",
        "wide and even",
        "three dimensions",
        "three outputs in space",
        "five channels in long lines",
    ],
)
def test_bits_do_not_depend_on_threads(name, function):
    results = []
    for threads in (1, 2, 5):
        with native.exact_threads(threads, uneven=threads > 2), use_backend("native"):
            results.append(function(CASES[name], np.float32).tobytes())
    assert results[0] == results[1] == results[2]


def test_second_gradient():
    x = ad.tensor(numbers((2, 3, 9, 10), np.float64, 1), requires_grad=True)
    w = ad.tensor(numbers((5, 3, 3, 3), np.float64, 2), requires_grad=True)
    assert ad.autograd.gradgradcheck(
        lambda x, w: F.conv2d(x, w, stride=2, padding=1), (x, w)
    )
