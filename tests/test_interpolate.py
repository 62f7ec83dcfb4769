"""Interpolation where the records of the ops can't say it."""

from __future__ import annotations

import math

import numpy as np
import pytest

import pyautodl as ad
from pyautodl import nn
from pyautodl.errors import ShapeError

F = nn.functional
pytestmark = pytest.mark.usefixtures("backend")


def test_values_of_the_modes():
    x = ad.tensor([[[0.0, 4.0, 8.0]]])
    for arguments, expected in [
        ({"size": 6}, [0, 0, 4, 4, 8, 8]),
        ({"size": 2}, [0, 4]),
        ({"size": 2, "mode": "nearest-exact"}, [0, 8]),
        ({"size": 6, "mode": "linear"}, [0, 1, 3, 5, 7, 8]),
        ({"size": 5, "mode": "linear", "align_corners": True}, [0, 2, 4, 6, 8]),
        ({"size": 1, "mode": "linear", "align_corners": True}, [0]),
        ({"size": 2, "mode": "area"}, [2, 6]),
        ({"scale_factor": 1.5}, [0, 0, 4, 8]),
    ]:
        assert F.interpolate(x, **arguments).tolist() == [[expected]], arguments


@pytest.mark.parametrize(
    ("factor", "expected"), [(1.3, [0, 1, 2]), (2.3, [0, 0, 1, 1, 2, 2])]
)
def test_nearest_pixels_of_an_image_that_stays_or_doubles(factor, expected):
    """Though the factor, rounded down with the size, would leave some out."""
    x = ad.arange(3.0).expand(1, 1, 3, 3)
    y = F.interpolate(x, scale_factor=factor)
    assert y[0, 0, 0].tolist() == expected
    assert F.interpolate(x.transpose(2, 3), scale_factor=factor)[
        0, 0, :, 0
    ].tolist() == (expected)


def test_rounded_size_and_scale_factor():
    x = ad.tensor([[[0.0, 1.0, 2.0, 3.0]]])
    by_factor = F.interpolate(x, scale_factor=1.4, mode="linear")
    by_size = F.interpolate(
        x, scale_factor=1.4, mode="linear", recompute_scale_factor=True
    )
    assert by_factor.shape == by_size.shape == (1, 1, 5)
    assert by_size.tolist() == F.interpolate(x, size=5, mode="linear").tolist()
    assert by_factor.numpy()[0, 0, 3] == pytest.approx(3.5 / 1.4 - 0.5)
    assert by_size.numpy()[0, 0, 3] == pytest.approx(3.5 * 0.8 - 0.5)


@pytest.mark.parametrize("axis", [2, 3])
@pytest.mark.parametrize("channels", [1, 19])
def test_neighbour_of_weight_zero_does_not_count(axis, channels):
    values = np.zeros((1, channels, 3, 3))
    values[:, :, 1, 1] = np.inf
    size = (3, 5) if axis == 3 else (5, 3)
    y = F.interpolate(ad.tensor(values), size, mode="bilinear", align_corners=True)
    y = np.moveaxis(y.numpy(), axis, -1)
    assert (y[:, :, 1, 1:4] == math.inf).all()
    assert (y[:, :, 1, [0, 4]] == 0).all()
    assert (y[:, :, [0, 2]] == 0).all()


@pytest.mark.parametrize(
    "mode", ["nearest", "nearest-exact", "bilinear", "bicubic", "area"]
)
def test_gradient_mass(mode):
    x = ad.tensor(np.zeros((2, 17, 5, 4)), requires_grad=True)
    y = F.interpolate(x, (7, 3), mode=mode)
    (dx,) = ad.autograd.grad(y, x, ad.ones_like(y))
    assert dx.numpy().sum() == pytest.approx(y.numel())


def test_cubic_values():
    """As PyTorch computes them; the border goes on beyond the image."""
    x = ad.tensor([[[[0.0, 4.0, 8.0, 2.0]]]])
    for arguments, expected in [
        ({"size": (1, 2)}, [1.625, 5.375]),
        ({"size": (1, 6)}, [-0.3472, 1.625, 5.0255, 8.0162, 5.375, 1.4792]),
        ({"size": (1, 3), "align_corners": True}, [0.0, 6.9375, 2.0]),
        ({"size": (1, 2), "antialias": True}, [2.719, 5.0661]),
    ]:
        y = F.interpolate(x, mode="bicubic", **arguments)
        assert y.numpy()[0, 0, 0] == pytest.approx(expected, abs=1e-4), arguments


@pytest.mark.parametrize("mode", ["bilinear", "bicubic", "lanczos"])
@pytest.mark.parametrize("size", [(5, 3), (11, 4), (20, 24)])
def test_filters_against_aliases(mode, size):
    """A constant stays; a fine pattern becomes its mean where there is room to see one."""
    resize = {"size": size, "mode": mode, "antialias": True}
    y = F.interpolate(ad.full((1, 2, 12, 12), 3.0), **resize)
    np.testing.assert_allclose(y.numpy(), 3.0, rtol=1e-6)
    pattern = np.indices((12, 12)).sum(0) % 2 * 2.0 - 1
    y = F.interpolate(ad.tensor(pattern[None, None]), **resize).numpy()
    if max(size) <= 5:
        assert np.abs(y).max() < 0.1
        plain = F.interpolate(ad.tensor(pattern[None, None]), size, mode="nearest")
        assert plain.numpy().max() == 1


def test_a_filter_leaves_infinite_pixels_that_it_does_not_touch():
    values = np.zeros((1, 1, 1, 9))
    values[0, 0, 0, 0] = np.inf
    y = F.interpolate(ad.tensor(values), (1, 9), mode="bicubic").numpy()[0, 0, 0]
    assert y[0] == math.inf
    assert (y[1:] == 0).all()


def test_a_filter_leaves_an_infinite_pixel_just_beyond_its_window():
    # the widest window has four taps, the first output's has three
    values = np.zeros((1, 1, 1, 9))
    values[0, 0, 0, 3] = np.inf
    x = ad.tensor(values)
    y = F.interpolate(x, (1, 5), mode="bilinear", antialias=True).numpy()[0, 0, 0]
    assert y[0] == 0
    assert y[2] == math.inf


def test_refused_arguments():
    x = ad.zeros(1, 2, 4, 4)
    for arguments, exception, words in [
        ({}, ValueError, "exactly one of size and scale_factor"),
        ({"size": 2, "scale_factor": 2}, ValueError, "exactly one"),
        ({"size": 2, "mode": "cubic"}, ValueError, "mode must be one of"),
        ({"size": 2, "mode": "linear"}, ShapeError, r"of 3 axes \(n,c,w\), got 4"),
        ({"size": 2, "align_corners": True}, ValueError, "linear and cubic modes"),
        ({"size": (2, 2, 2)}, ShapeError, "one number or 2"),
        ({"size": 0}, ShapeError, "at least 1"),
        ({"scale_factor": 0.1}, ShapeError, "at least 1"),
        ({"scale_factor": -1.0}, ValueError, "above 0"),
        ({"scale_factor": math.inf}, ValueError, "above 0"),
        ({"scale_factor": (2, 2, 2)}, ShapeError, "one number or 2"),
        ({"size": 2, "recompute_scale_factor": True}, ValueError, "needs scale"),
        ({"size": 2, "antialias": True}, ValueError, "antialias is for modes"),
        ({"size": 2, "mode": "lanczos"}, ValueError, "needs antialias=True"),
        (
            {"size": 2, "mode": "lanczos", "antialias": True, "align_corners": True},
            ValueError,
            "align_corners is for",
        ),
    ]:
        with pytest.raises(exception, match=words):
            F.interpolate(x, **arguments)


def test_pixel_shuffle_and_back():
    x = np.random.default_rng(0).normal(size=(2, 3, 12, 5, 7))
    y = F.pixel_shuffle(ad.tensor(x), 2).numpy()
    assert y.shape == (2, 3, 3, 10, 14)
    blocks = x.reshape(2, 3, 3, 2, 2, 5, 7)
    for i in range(2):
        for j in range(2):
            assert (y[..., i::2, j::2] == blocks[:, :, :, i, j]).all()
    assert (F.pixel_unshuffle(ad.tensor(y), 2).numpy() == x).all()
    with pytest.raises(ShapeError, match="multiple of 4 channels, got 3"):
        F.pixel_shuffle(ad.zeros(1, 3, 2, 2), 2)
    with pytest.raises(ShapeError, match="multiples of 2"):
        F.pixel_unshuffle(ad.zeros(1, 3, 3, 2), 2)


def test_layers_print_as_pytorchs():
    assert repr(nn.Upsample(scale_factor=2, mode="bilinear")) == (
        "Upsample(scale_factor=2.0, mode='bilinear')"
    )
    assert repr(nn.UpsamplingNearest2d(size=(4, 4))) == (
        "UpsamplingNearest2d(size=(4, 4), mode='nearest')"
    )
    assert repr(nn.PixelShuffle(2)) == "PixelShuffle(upscale_factor=2)"


def test_nearest_pixels_of_doubles_are_found_in_double():
    positions = ad.arange(32, dtype=ad.float64).reshape(1, 1, 32)
    y = F.interpolate(positions, scale_factor=2.7, mode="nearest")
    assert y[0, 0, 81].item() == 30
    single = F.interpolate(positions.float(), scale_factor=2.7, mode="nearest")
    assert single[0, 0, 81].item() == 29
