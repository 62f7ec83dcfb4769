"""Pooling where the records of the ops can't say it: kinks, errors, layouts, layers."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import pyautodl as ad
from pyautodl import nn
from pyautodl.backends import native, use_backend
from pyautodl.errors import ShapeError
from pyautodl.testing import available_isas, use_isa

F = nn.functional

LECTURE = [[22, 2, 19, 88], [2, 8, 20, 18], [3, 10, 19, 86], [12, 12, 20, 19]]
pytestmark = pytest.mark.usefixtures("backend")


def image(rows):
    return ad.tensor(np.array(rows, np.float32)[None, None], requires_grad=True)


def gradient(y, x, g=None):
    return ad.autograd.grad(y, x, ad.ones_like(y) if g is None else g)[0].numpy()


# ---- the lecture ----


def test_lecture_picture():
    x = image(LECTURE)
    y = F.max_pool2d(x, 2)
    assert y.tolist() == [[[[22, 88], [12, 86]]]]


def test_tie_in_the_picture_gets_its_gradient_once():
    x = image(LECTURE)
    g = ad.tensor([[[[1.0, 2.0], [4.0, 8.0]]]])
    expected = [[1, 0, 0, 2], [0, 0, 0, 0], [0, 0, 0, 8], [4, 0, 0, 0]]
    assert gradient(F.max_pool2d(x, 2), x, g)[0, 0].tolist() == expected


def test_stride_defaults_to_the_window():
    layer = nn.MaxPool2d(2)
    assert (layer.kernel_size, layer.stride, layer.padding) == (2, 2, 0)
    assert layer(ad.zeros(1, 3, 8, 6)).shape == (1, 3, 4, 3)
    assert nn.AvgPool2d((3, 2)).stride == (3, 2)


# ---- kinks ----


def test_first_of_equal_cells_gets_all():
    x = image([[1, 2], [2, 2]])
    assert gradient(F.max_pool2d(x, 2), x)[0, 0].tolist() == [[0, 1], [0, 0]]


@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "dilation"),
    [(2, 2, 0, 1), (3, 1, 1, 1), (3, 2, 1, 1), (2, 1, 1, 2), (5, 3, 2, 1)],
)
@pytest.mark.parametrize("channels", [1, 3, 37])
def test_gradient_mass_of_overlapping_windows(
    kernel, stride, padding, dilation, channels
):
    rng = np.random.default_rng(0)
    values = rng.integers(0, 2, (2, channels, 9, 8)).astype(np.float64)
    x = ad.tensor(values, requires_grad=True)
    y, indices = F.max_pool2d(x, kernel, stride, padding, dilation, return_indices=True)
    g = rng.integers(1, 9, y.shape).astype(np.float64)
    expected = np.zeros((2, channels, 72))
    for n, c in itertools.product(range(2), range(channels)):
        np.add.at(expected[n, c], indices.numpy()[n, c], g[n, c])
    dx = gradient(y, x, ad.tensor(g))
    assert dx.sum() == g.sum()
    assert (dx.reshape(expected.shape) == expected).all()


def test_gradient_mass_of_averages_and_adaptive_windows():
    x = ad.tensor(np.zeros((1, 2, 7, 5)), requires_grad=True)
    y = F.avg_pool2d(x, 3, 2, 1, count_include_pad=False, ceil_mode=True)
    assert gradient(y, x).sum() == pytest.approx(y.numel())
    y = F.adaptive_max_pool2d(x, (3, 4))
    assert gradient(y, x).sum() == y.numel()


def test_nan_propagates():
    nan = float("nan")
    x = image([[nan, nan, 1, nan], [nan, nan, 2, 3]])
    y = F.max_pool2d(x, 2)
    assert np.isnan(y.detach().numpy()).all()
    assert gradient(y, x)[0, 0].tolist() == [[1, 0, 0, 1], [0, 0, 0, 0]]


@pytest.mark.parametrize("place", range(9))
def test_nan_wins_wherever_it_stands(place):
    values = np.arange(9, dtype=np.float64)
    values[place] = np.nan
    x = ad.tensor(np.tile(values.reshape(3, 3), (1, 19, 1, 1)), requires_grad=True)
    y, indices = F.max_pool2d(x, 3, return_indices=True)
    assert np.isnan(y.detach().numpy()).all()
    assert (indices.numpy() == place).all()
    assert (gradient(y, x).reshape(19, 9)[:, place] == 1).all()


def test_window_of_minus_infinity_and_padding():
    x = ad.tensor(np.full((1, 1, 3, 3), -np.inf), requires_grad=True)
    y, indices = F.max_pool2d(x, 3, 2, 1, return_indices=True)
    assert (y.detach().numpy() == -np.inf).all()
    assert indices.tolist() == [[[[0, 1], [3, 4]]]]
    assert gradient(y, x).sum() == 4


# ---- gradients that are written, not added up ----


@pytest.mark.parametrize("channels", [16, 20, 32])
@pytest.mark.parametrize("size", [(8, 6), (9, 7), (2, 2)])
def test_gradient_of_windows_side_by_side(channels, size):
    """Whole vectors of channels or not, and rows and columns that no window reaches."""
    rng = np.random.default_rng(3)
    values = rng.permutation(2 * channels * size[0] * size[1]).astype(np.float32)
    x = ad.tensor(values.reshape(2, *size, channels)).permute(0, 3, 1, 2)
    x.requires_grad_()
    for pool in (F.max_pool2d, F.avg_pool2d):
        for ceil in (False, True):
            y = pool(x, 2, ceil_mode=ceil)
            g = rng.standard_normal(y.shape).astype(np.float32)
            spread = g.repeat(2, 2).repeat(2, 3)[:, :, : size[0], : size[1]]
            wide = y.detach().numpy().repeat(2, 2).repeat(2, 3)
            inside = x.detach().numpy()[:, :, : spread.shape[2], : spread.shape[3]]
            expected = np.zeros(x.shape, np.float32)
            expected[:, :, : spread.shape[2], : spread.shape[3]] = spread * (
                inside == wide[:, :, : size[0], : size[1]]
                if pool is F.max_pool2d
                else 1 / cells_of_windows(size, ceil)
            )
            got = gradient(y, x, ad.tensor(g))
            np.testing.assert_allclose(got, expected, rtol=1e-6)


def cells_of_windows(size, ceil):
    """How many cells of its 2x2 window lie inside, for each pixel that one reaches."""
    along = []
    for n in size:
        ends = np.arange(0, n if ceil else n - n % 2, 2)
        along.append(np.minimum(n - ends, 2).repeat(np.minimum(n - ends, 2)))
    return np.outer(*along)


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("isa", available_isas())
@pytest.mark.parametrize("threads", [1, 2])
def test_gradients_that_no_cache_holds(isa, threads):
    """They are written past the caches, from 16 MB a thread on."""
    rng = np.random.default_rng(4)
    values = rng.standard_normal((threads, 257, 257, 64), np.float32)
    x = ad.tensor(values).permute(0, 3, 1, 2)
    x.requires_grad_()
    with use_isa(isa), native.exact_threads(threads):
        for pool in (F.max_pool2d, F.avg_pool2d):
            y = pool(x, 2)
            got = gradient(y, x, y.detach())
            held = y.detach().numpy().repeat(2, 2).repeat(2, 3)
            if pool is F.max_pool2d:
                held = held * (held == values.transpose(0, 3, 1, 2)[:, :, :-1, :-1])
            else:
                held = held * np.float32(0.25)
            assert np.array_equal(got[:, :, :-1, :-1], held)
            assert not got[:, :, -1].any()
            assert not got[:, :, :, -1].any()


# ---- errors ----


def test_dilated_window_larger_than_the_padded_input():
    x = ad.zeros(1, 1, 1, 4)
    with pytest.raises(ShapeError, match=r"max_pool2d: the window reaches over 5 .* 3"):
        F.max_pool2d(x, 3, 6, 1, 2, ceil_mode=True)
    with pytest.raises(ShapeError, match="max_pool1d"):
        F.max_pool1d(ad.zeros(1, 1, 4), 3, dilation=2)
    with pytest.raises(ShapeError, match="avg_pool2d"):
        F.avg_pool2d(x, 2)


def test_window_that_steps_over_the_whole_input():
    with pytest.raises(ShapeError, match="padding alone"):
        F.max_pool1d(ad.zeros(1, 1, 2), 2, 1, 1, 3)


@pytest.mark.parametrize("pool", ["max_pool", "avg_pool"])
@pytest.mark.parametrize("axes", [1, 2, 3])
def test_padding_above_half_of_the_window(pool, axes):
    x = ad.zeros(1, 1, *[8] * axes)
    function = getattr(F, f"{pool}{axes}d")
    function(x, 3, 1, 1)
    with pytest.raises(ValueError, match="half of kernel_size"):
        function(x, 3, 1, 2)


def test_window_that_hangs_over_in_ceil_mode_is_fine():
    assert F.max_pool2d(ad.ones(1, 1, 1, 1), 2, ceil_mode=True).tolist() == [[[[1]]]]


@pytest.mark.parametrize("dtype", [ad.float32, ad.float64])
def test_dilated_window_that_hangs_over_in_ceil_mode_is_fine(dtype):
    x = ad.arange(4, dtype=dtype).reshape(1, 1, 2, 2).requires_grad_()
    # positions -1, 1 and 3 of each axis
    y, at = F.max_pool2d(x, 3, 3, 1, 2, ceil_mode=True, return_indices=True)
    assert (y.tolist(), at.tolist()) == ([[[[3]]]], [[[[3]]]])
    y.sum().backward()
    assert x.grad.tolist() == [[[[0, 0], [0, 1]]]]
    with pytest.raises(ShapeError, match=r"the window reaches over 5 .* has 4"):
        F.max_pool2d(x, 3, 3, 1, 2)
    with pytest.raises(ShapeError, match=r"the window reaches over 4 .* has 2"):
        F.max_pool2d(x, 4, 1, ceil_mode=True)


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_huge_arguments_are_value_errors(axes):
    x = ad.zeros(1, 1, *[5] * axes)
    function = getattr(F, f"max_pool{axes}d")
    for kernel, stride, padding, dilation in [
        (2**29, 1, 0, 1_800_000_000),
        (2, 1, 0, 2**62),
        (2**62, 2**62, 2**61, 1),
        (2**40, 1, 2**39, 1),
        (3, 1, 2**64, 1),
        (3, -(2**64), 0, 1),
    ]:
        with pytest.raises(ValueError, match=f"max_pool{axes}d: "):
            function(x, kernel, stride, padding, dilation)
    # huge and harmless
    assert function(x, 1, 2**70, 0, 2**70).numel() == 1
    assert function(x, 2**40, 2**40, ceil_mode=True).numel() == 1


def test_a_huge_adaptive_output_is_refused():
    x = ad.zeros(1, 1, 5, 5)
    with pytest.raises((ValueError, MemoryError)):
        F.adaptive_avg_pool2d(x, (2**40, 2**40))
    with pytest.raises(ValueError, match="adaptive_max_pool2d"):
        F.adaptive_max_pool2d(x, (2**62, 1))


def test_wrong_arguments():
    x = ad.zeros(2, 3, 8, 8)
    with pytest.raises(TypeError, match="kernel_size must be integers"):
        F.max_pool2d(x, 2.5)
    with pytest.raises(ShapeError, match="one number or 2"):
        F.max_pool2d(x, (2, 2, 2))
    with pytest.raises(ShapeError, match=r"4 axes \(n,c,h,w\) or 3 \(c,h,w\), got 2"):
        F.max_pool2d(ad.zeros(8, 8), 2)
    with pytest.raises(ValueError, match="divisor_override"):
        F.avg_pool2d(x, 2, divisor_override=0)


# ---- layers and layouts ----


def test_image_without_batch():
    x = ad.tensor(np.random.default_rng(0).normal(size=(3, 6, 8)))
    y, indices = F.max_pool2d(x, 2, return_indices=True)
    batched, batched_indices = F.max_pool2d(x.unsqueeze(0), 2, return_indices=True)
    assert [y.tolist()] == batched.tolist()
    assert [indices.tolist()] == batched_indices.tolist()
    assert F.adaptive_avg_pool2d(x, (None, 2)).shape == (3, 6, 2)


def test_output_lies_channels_last():
    y = F.max_pool2d(ad.zeros(2, 5, 8, 6), 2)
    assert y.stride() == (60, 1, 15, 5)


def test_layers_print_as_pytorchs():
    assert repr(nn.MaxPool2d(3, 2, 1)) == (
        "MaxPool2d(kernel_size=3, stride=2, padding=1, dilation=1, ceil_mode=False)"
    )
    assert (
        repr(nn.AvgPool1d(3))
        == "AvgPool1d(kernel_size=(3,), stride=(3,), padding=(0,))"
    )
    assert repr(nn.AdaptiveAvgPool2d((1, 1))) == "AdaptiveAvgPool2d(output_size=(1, 1))"


def test_layer_returns_indices():
    y, indices = nn.MaxPool2d(2, return_indices=True)(image(LECTURE).detach())
    assert y.tolist() == [[[[22, 88], [12, 86]]]]
    assert indices.tolist() == [[[[0, 3], [12, 11]]]]


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("channels", [3, 17, 64])
@pytest.mark.parametrize(
    ("layer", "size"),
    [
        (nn.MaxPool2d(2), (20, 21)),
        (nn.MaxPool2d(3, 1, 1), (20, 21)),
        (nn.MaxPool2d(3, 2, 1, 2), (20, 21)),
        (nn.MaxPool2d(18, 2, 9), (20, 21)),
        (nn.AdaptiveMaxPool2d(3), (20, 22)),
        (nn.MaxPool3d(3, 2, 1), (6, 7, 8)),
        (nn.AvgPool2d(3, 2, 1), (20, 21)),
        (nn.AdaptiveAvgPool2d(2), (20, 21)),
        (nn.AdaptiveAvgPool2d(1), (20, 21)),
    ],
)
def test_gradients_of_any_number_of_channels(layer, size, channels):
    x = ad.randn(2, channels, *size, requires_grad=True)
    g = ad.randn(*layer(x).shape)

    def gradient():
        return ad.autograd.grad(layer(x), x, g)[0].numpy()

    found = []
    for threads, uneven in ((1, False), (2, True), (3, False), (4, True)):
        with native.exact_threads(threads, uneven):
            found.append(gradient())
    assert all(each.tobytes() == found[0].tobytes() for each in found)
    with use_backend("reference"):
        np.testing.assert_allclose(found[0], gradient(), rtol=1e-5, atol=1e-6)


# ---- few channels: vectors run along the rows ----

ROWS = {  # axes, size, arguments
    "side by side": (2, (9, 41), {"kernel_size": 2}),
    "overlapping": (2, (8, 40), {"kernel_size": 3, "stride": 2, "padding": 1}),
    "one further": (2, (7, 37), {"kernel_size": 3, "stride": 1, "padding": 1}),
    "of a line": (1, (70,), {"kernel_size": 5, "stride": 3, "padding": 2}),
    "one further in a line": (1, (51,), {"kernel_size": 2, "stride": 1}),
    "in space": (3, (5, 6, 33), {"kernel_size": 3, "stride": (1, 2, 2)}),
    "hanging over": (2, (7, 38), {"kernel_size": 4, "stride": 3, "ceil_mode": True}),
    "narrower than a vector": (2, (5, 4), {"kernel_size": 2, "stride": 1}),
}
FEW = [1, 2, 3, 4, 5, 7, 8, 11, 15, 16]


def along_rows(name, channels, dtype):
    """An image with ties and a NaN, channels last, and what to pool it by."""
    axes, size, numbers = ROWS[name]
    rng = np.random.default_rng(channels)
    x = rng.integers(-4, 5, (2, *size, channels)).astype(dtype)
    x[0, ..., 0].flat[3] = np.nan
    return ad.tensor(np.moveaxis(x, -1, 1)), axes, numbers


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("channels", FEW)
@pytest.mark.parametrize("name", ROWS)
def test_rows_of_few_channels(name, channels, dtype):
    x, axes, numbers = along_rows(name, channels, dtype)
    top = getattr(F, f"max_pool{axes}d")
    mean = getattr(F, f"avg_pool{axes}d")
    dilated = {**numbers, "dilation": 2} if channels % 2 and axes < 3 else numbers
    if "narrower" in name:
        dilated = numbers
    with use_backend("reference"):
        want, places = top(x, **dilated, return_indices=True)
        average = mean(x, **numbers)
    for isa in available_isas():
        with use_isa(isa), use_backend("native"):
            y, found = top(x, **dilated, return_indices=True)
            assert found.tolist() == places.tolist(), isa
            np.testing.assert_array_equal(y.numpy(), want.numpy(), err_msg=isa)
            np.testing.assert_array_equal(top(x, **dilated).numpy(), want.numpy())
            got = mean(x, **numbers).numpy()
            np.testing.assert_allclose(got, average.numpy(), 1e-6, 1e-6, err_msg=isa)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("channels", [1, 3, 7, 15])
@pytest.mark.parametrize("name", [*ROWS, "longer than what lies aside"])
def test_gradients_of_averages_of_few_channels(name, channels, dtype):
    if name in ROWS:
        axes, size, numbers = ROWS[name]
    else:
        axes, size, numbers = 1, (9000,), {"kernel_size": 3, "stride": 2, "padding": 1}
    mean = getattr(F, f"avg_pool{axes}d")
    more = {**numbers, "count_include_pad": channels % 2 == 0}

    def gradient():
        rng = np.random.default_rng(channels)
        x = ad.tensor(np.zeros((2, channels, *size), dtype), requires_grad=True)
        y = mean(x, **more)
        return gradient_of(y, x, rng.standard_normal(y.shape).astype(dtype))

    with use_backend("reference"):
        want = gradient()
    for isa in available_isas():
        found = []
        for threads in (1, 2, 4):
            with (
                use_isa(isa),
                use_backend("native"),
                native.exact_threads(threads, uneven=threads > 2),
            ):
                found.append(gradient())
        assert all(each.tobytes() == found[0].tobytes() for each in found)
        precision = 1e-5 if dtype == np.float32 else 1e-13
        np.testing.assert_allclose(found[0], want, 0, precision, err_msg=isa)


def gradient_of(y, x, g):
    return ad.autograd.grad(y, x, ad.tensor(g))[0].numpy().copy()


@pytest.mark.parametrize("name", ["overlapping", "one further", "in space"])
@pytest.mark.parametrize("channels", [1, 3])
def test_threads_that_cut_rows_of_few_channels_change_no_bit(name, channels):
    x, axes, numbers = along_rows(name, channels, np.float32)
    pools = [getattr(F, f"{kind}_pool{axes}d") for kind in ("max", "avg")]
    results = []
    for threads in (1, 2, 4, 7):
        with native.exact_threads(threads, uneven=threads > 2), use_backend("native"):
            results.append([pool(x, **numbers).numpy().tobytes() for pool in pools])
    assert all(each == results[0] for each in results)


@pytest.mark.parametrize("pool", [F.max_pool2d, F.avg_pool2d])
@pytest.mark.parametrize("channels", [2, 4])
def test_second_gradients_along_rows(channels, pool):
    rng = np.random.default_rng(5)
    x = rng.permutation(2 * 7 * 24 * channels).reshape(2, 7, 24, channels) * 0.1
    x = ad.tensor(np.moveaxis(x, -1, 1), requires_grad=True)
    assert ad.autograd.gradcheck(lambda x: pool(x, 3, 2, 1), (x,))
    assert ad.autograd.gradgradcheck(lambda x: pool(x, 3, 2, 1) ** 2, (x,))
