"""Winograd's algorithm against the exact ones, and the choice between them."""

from __future__ import annotations

import numpy as np
import pytest

import pyautodl as ad
from pyautodl.autograd import gradcheck, gradgradcheck
from pyautodl.backends import codes, forget_calls, native
from pyautodl.errors import ShapeError
from pyautodl.ops.conv import algorithm as conv_algorithm
from pyautodl.ops.conv import conv_kernel
from pyautodl.ops.conv.algorithm import ConvShape, native_algorithm, winograd_step
from pyautodl.testing import available_isas, use_isa

F = ad.nn.functional

pytestmark = pytest.mark.usefixtures("compiled")

# images, channels, outputs, height, width, padding: tails of every kind
SHAPES = [
    (1, 1, 1, 1, 1, 1),
    (1, 3, 2, 4, 4, 0),
    (2, 17, 33, 5, 9, 1),
    (3, 16, 40, 8, 8, 2),
    (1, 70, 100, 13, 6, (0, 1)),
    (5, 5, 7, 31, 30, 1),
    (40, 9, 3, 4, 4, 1),
    (1, 300, 290, 3, 7, 1),
    # few tiles and many channels: weights are mapped a part at a time
    (3, 150, 70, 7, 9, 1),
    # as many tiles as to leave that way, and so many that sums are taken in blocks
    (2, 66, 34, 33, 30, 1),
    # the most tiles whose gradients are summed at once; too many channels for it
    (2, 20, 110, 30, 31, 1),
    (1, 2040, 12, 4, 4, 1),
]


STEPS = (codes.WINOGRAD_STEP, codes.WINOGRAD_SMALL_STEP)


@pytest.fixture(params=STEPS)
def step(request, monkeypatch):
    """Tiles of one size for all shapes."""

    def forget():
        for each in (winograd_step, conv_kernel):
            each.cache_clear()
        forget_calls()

    with monkeypatch.context() as patch:
        for name in ("_MAP", "_MAP_WEIGHT"):
            known = getattr(conv_algorithm, name)
            patch.setattr(conv_algorithm, name, {request.param: known[request.param]})
        forget()
        yield request.param
    forget()


def arrays(images, channels, outputs, height, width, padding, dtype):
    rng = np.random.default_rng(5)
    x = rng.standard_normal((images, channels, height, width)).astype(dtype)
    weight = rng.standard_normal((outputs, channels, 3, 3)).astype(dtype)
    weight /= 3 * channels**0.5
    bias = rng.standard_normal(outputs).astype(dtype)
    return x, weight, bias, padding


def forward_and_gradients(algorithm, x, weight, bias, padding, grad=None):
    """The output and the three gradients; the gradient of the output is random."""
    with ad.use_conv_algorithm(algorithm):
        inputs = [ad.tensor(each, requires_grad=True) for each in (x, weight, bias)]
        y = F.conv2d(*inputs, padding=padding)
        if grad is None:
            grad = np.random.default_rng(6).standard_normal(y.shape)
        y.backward(ad.tensor(grad, dtype=y.dtype))
    return [y.detach().numpy(), *(each.grad.numpy() for each in inputs)]


@pytest.mark.parametrize("isa", available_isas())
@pytest.mark.parametrize("shape", SHAPES)
def test_float64_equals_the_exact_algorithm(shape, isa, step):
    call = arrays(*shape, np.float64)
    with use_isa(isa):
        exact = forward_and_gradients("precise", *call)
        found = forward_and_gradients("winograd", *call)
    for ours, theirs in zip(found, exact, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-12 * np.abs(theirs).max())


@pytest.mark.parametrize("isa", available_isas())
@pytest.mark.parametrize("channels", [8, 64, 512])
@pytest.mark.parametrize(
    ("algorithm", "allowed"), [("precise", 2e-6), ("winograd", 1e-5)]
)
def test_float32_error_against_float64(algorithm, allowed, channels, isa, step):
    call = arrays(2, channels, 64, 14, 14, 1, np.float32)
    wide = [np.float64(each) for each in call[:3]]
    exact = forward_and_gradients("precise", *wide, 1)
    with use_isa(isa):
        found = forward_and_gradients(algorithm, *call)
    for ours, theirs in zip(found, exact, strict=True):
        assert np.abs(ours - theirs).max() <= allowed * np.abs(theirs).max()


@pytest.mark.parametrize("isa", available_isas())
@pytest.mark.parametrize("shape", [SHAPES[i] for i in (2, 5, 7, 8, 9, 10)])
def test_the_bits_do_not_depend_on_threads(shape, isa, step):
    call = arrays(*shape, np.float32)
    results = []
    with use_isa(isa):
        for threads in (1, 2, 3, 4):
            with native.exact_threads(threads, uneven=threads > 2):
                results.append(forward_and_gradients("winograd", *call))
    for other in results[1:]:
        for ours, theirs in zip(results[0], other, strict=True):
            assert ours.tobytes() == theirs.tobytes()


def test_gradients_of_first_and_second_order(step):
    x, weight, bias, padding = arrays(1, 2, 3, 5, 6, 1, np.float64)
    inputs = [ad.tensor(each, requires_grad=True) for each in (x, weight, bias)]
    with ad.use_conv_algorithm("winograd"):
        assert gradcheck(lambda *each: F.conv2d(*each, padding=padding), inputs)
        assert gradgradcheck(lambda *each: F.conv2d(*each, padding=padding), inputs)
        assert gradcheck(
            lambda y, w: F.conv_transpose2d(y, w, padding=1),
            [inputs[0], ad.tensor(weight[:2], requires_grad=True)],
        )


@pytest.mark.parametrize("padding", [0, 1, 2])
def test_transposed_convolution(padding, step):
    rng = np.random.default_rng(1)
    x, weight = rng.standard_normal((2, 6, 7, 5)), rng.standard_normal((6, 20, 3, 3))
    results = []
    for algorithm in ("precise", "winograd"):
        with ad.use_conv_algorithm(algorithm):
            y = F.conv_transpose2d(ad.tensor(x), ad.tensor(weight), padding=padding)
        results.append(y.numpy())
    np.testing.assert_allclose(results[1], results[0], rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("step", STEPS)
def test_packed_weights_scale_bias_residual_and_activation(step):
    """The parts of the kernel that plain convolutions leave out, against the reference."""
    rng = np.random.default_rng(2)
    x = ad.tensor(rng.standard_normal((2, 10, 9, 6))).contiguous(
        memory_format=ad.channels_last
    )
    weight = ad.tensor(rng.standard_normal((35, 10, 3, 3)))
    scale, bias = ad.tensor(rng.random(35)), ad.tensor(rng.standard_normal(35))
    residual = rng.standard_normal((2, 9, 6, 35))
    residual = ad.tensor(residual).permute(0, 3, 1, 2)
    found = {}
    for backend in ("native", "reference"):
        with ad.use_backend(backend):
            packed = ad.empty(2, (step + 2) ** 2, 10, 32, dtype=ad.float64)
            y = ad.empty_like(residual)
            made = (packed._array,)
            ad.backends.run("winograd_weight", (weight._array,), made, (0, step))
            arrays = (x, weight, packed, scale, bias, residual)
            reads = [each._array for each in arrays]
            ints = (1, 1, 0, step, 1)
            ad.backends.run("winograd_fwd", reads, (y._array,), ints, (0.0, 2.0))
            found[backend] = y.numpy().copy(), packed.numpy().copy()
    for ours, theirs in zip(found["native"], found["reference"], strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-11, atol=1e-11)
    assert found["native"][0].min() == 0
    assert found["native"][0].max() == 2


# ---- the choice ----


def shape_of(x, weight, padding=1):
    out = (x[0], weight[0], *(n + 2 * padding - 2 for n in x[2:]))
    return ConvShape(x, weight, out, (1, 1), (padding,) * 2, (1, 1), 1)


def test_the_choice_follows_the_shape():
    assert native_algorithm(shape_of((32, 64, 56, 56), (64, 64, 3, 3))) == "winograd"
    assert native_algorithm(shape_of((32, 1, 28, 28), (32, 1, 3, 3))) == "im2col"
    assert native_algorithm(shape_of((32, 512, 2, 2), (512, 512, 3, 3))) == "im2col"
    # tiles of 4x4 do with fewer products, those of 2x2 with fewer mapped weights
    assert winograd_step(shape_of((32, 64, 56, 56), (64, 64, 3, 3))) == 4
    assert winograd_step(shape_of((1, 256, 14, 14), (256, 256, 3, 3))) == 2
    # and where pixels are so few that a weight is read as it lies, nothing is kept
    assert native_algorithm(shape_of((1, 512, 7, 7), (512, 512, 3, 3))) == "im2col"
    with ad.use_conv_algorithm("precise"):
        assert native_algorithm(shape_of((32, 64, 56, 56), (64, 64, 3, 3))) == "im2col"
    with ad.use_backend("reference"):
        assert native_algorithm(shape_of((32, 64, 56, 56), (64, 64, 3, 3))) == "im2col"


def test_explain_conv_says_why():
    text = str(ad.explain_conv((8, 64, 56, 56), (64, 64, 3, 3), padding=1))
    assert text.startswith("winograd: the cheapest")
    assert "im2col" in text
    strided = ad.explain_conv((8, 64, 56, 56), (64, 64, 3, 3), stride=2, padding=1)
    assert strided.algorithm == "im2col"
    assert "stride 1" in strided.reason
    assert (
        ad.explain_conv((1, 8, 9, 9), (8, 1, 3, 3), groups=8).algorithm == "depthwise"
    )
    with ad.use_conv_algorithm("precise"):
        precise = ad.explain_conv((8, 64, 56, 56), (64, 64, 3, 3), padding="same")
    assert precise.algorithm == "im2col"
    assert "precise" in precise.reason
    assert precise.output_shape == (8, 64, 56, 56)


def test_explain_conv_checks_shapes():
    with pytest.raises(ShapeError, match="weight has 3 input channels but x has 4"):
        ad.explain_conv((1, 4, 8, 8), (2, 3, 3, 3))


def test_an_unknown_algorithm_lists_the_choices():
    with pytest.raises(
        ValueError, match="'fft' is unknown; choose one of 'auto', 'pre"
    ):
        ad.set_conv_algorithm("fft")
    assert ad.get_conv_algorithm() == "auto"


def test_the_algorithm_may_change_between_calls_that_read_an_image_as_it_lies():
    """im2col reads a small image in C order, Winograd's algorithm does not."""
    rng = np.random.default_rng(3)
    x = ad.tensor(rng.standard_normal((2, 16, 5, 12)))
    weight = ad.tensor(rng.standard_normal((32, 16, 3, 3)))
    with ad.no_grad():
        results = []
        for algorithm in ("precise", "winograd", "precise"):
            with ad.use_conv_algorithm(algorithm):
                results.append(F.conv2d(x, weight, padding=1).numpy())
    np.testing.assert_allclose(results[1], results[0], rtol=1e-9, atol=1e-9)
    np.testing.assert_array_equal(results[2], results[0])


def test_zero_size_and_not_contiguous_inputs():
    with ad.use_conv_algorithm("winograd"):
        assert F.conv2d(ad.ones(0, 2, 5, 5), ad.ones(3, 2, 3, 3)).shape == (0, 3, 3, 3)
        x = (
            ad.arange(2 * 7 * 6 * 3.0)
            .reshape(2, 7, 6, 3)
            .permute(0, 3, 2, 1)[:, :, ::2]
        )
        weight = ad.ones(2, 3, 3, 3)
        y = F.conv2d(x, weight, padding=1)
    with ad.use_conv_algorithm("precise"):
        exact = F.conv2d(x, weight, padding=1)
    np.testing.assert_allclose(y.numpy(), exact.numpy(), rtol=1e-5)
