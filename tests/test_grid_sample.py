"""Images read at places that a tensor names."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import pyautodl as ad
from pyautodl.autograd import gradcheck, gradgradcheck
from pyautodl.errors import ShapeError

F = ad.nn.functional


def _reflect(x: float, low: float, high: float) -> float:
    while high > low and not low <= x <= high:
        x = 2 * low - x if x < low else 2 * high - x
    return x if high > low else 0.0


def _expected(
    x: np.ndarray[Any, Any],
    grid: np.ndarray[Any, Any],
    mode: str,
    padding_mode: str,
    align_corners: bool,
) -> np.ndarray[Any, Any]:
    """Pixel by pixel."""
    sizes = x.shape[2:]
    out = np.zeros((*x.shape[:2], *grid.shape[1:-1]))
    for n, *place in np.ndindex(grid.shape[:-1]):
        where = []
        for size, p in zip(sizes, grid[(n, *place)][::-1]):
            p = (p + 1) * (size - 1) / 2 if align_corners else ((p + 1) * size - 1) / 2
            if padding_mode == "reflection":
                ends = (0, size - 1) if align_corners else (-0.5, size - 0.5)
                p = _reflect(p, *ends)
            where.append(p if padding_mode == "zeros" else np.clip(p, 0, size - 1))
        for corner in itertools.product((0, 1), repeat=len(sizes)):
            weight, pixel = 1.0, []
            for p, side in zip(where, corner):
                if mode == "nearest":
                    pixel.append(int(np.round(p)))
                    weight *= 1 - side
                else:
                    pixel.append(int(np.floor(p)) + side)
                    weight *= 1 - abs(p - pixel[-1])
            if all(0 <= i < size for i, size in zip(pixel, sizes)):
                out[(n, slice(None), *place)] += weight * x[(n, slice(None), *pixel)]
    return out


@pytest.mark.parametrize("padding_mode", ["border", "reflection"])
def test_no_slope_where_the_border_begins(padding_mode: str) -> None:
    """As at the outer pixels of an identity grid."""
    x = ad.arange(1.0, 10.0).reshape(1, 1, 3, 3)
    grid = F.affine_grid(ad.eye(2, 3).unsqueeze(0), x.shape, align_corners=True)
    grid.requires_grad_()
    out = F.grid_sample(x, grid, padding_mode=padding_mode, align_corners=True)
    out.sum().backward()
    assert out.tolist() == x.tolist()
    assert grid.grad is not None
    across, down = grid.grad[0].unbind(-1)
    assert across.tolist() == [[0.0, 1.0, 0.0]] * 3
    assert down.tolist() == [[0.0] * 3, [3.0] * 3, [0.0] * 3]


@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize("padding_mode", ["zeros", "border", "reflection"])
@pytest.mark.parametrize("mode", ["bilinear", "nearest"])
@pytest.mark.parametrize("sizes", [(5, 4), (3, 2, 4), (1, 3)])
def test_values_and_gradients(
    sizes: tuple[int, ...], mode: str, padding_mode: str, align_corners: bool
) -> None:
    rng = np.random.default_rng(len(sizes))
    x = rng.standard_normal((2, 3, *sizes))
    grid = rng.uniform(-1.7, 1.7, (2, *(2,) * len(sizes), len(sizes)))
    options = (mode, padding_mode, align_corners)
    inputs = [ad.tensor(each, requires_grad=True) for each in (x, grid)]
    y = F.grid_sample(*inputs, *options)
    np.testing.assert_allclose(
        y.detach().numpy(), _expected(x, grid, *options), atol=1e-12
    )
    gradcheck(lambda a, b: F.grid_sample(a, b, *options) ** 2, inputs)
    gradgradcheck(lambda a, b: F.grid_sample(a, b, *options) ** 2, inputs)


@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize("sizes", [(4, 3), (2, 1, 3)])
def test_the_identity_reads_the_image(
    sizes: tuple[int, ...], align_corners: bool
) -> None:
    axes = len(sizes)
    theta = ad.eye(axes, axes + 1, dtype=ad.float64).expand(2, axes, axes + 1)
    x = ad.rand(2, 3, *sizes, dtype=ad.float64)
    grid = F.affine_grid(theta, x.size(), align_corners)
    np.testing.assert_allclose(
        F.grid_sample(x, grid, align_corners=align_corners).numpy(), x.numpy()
    )
    theta = ad.tensor(theta + ad.rand(2, axes, axes + 1), requires_grad=True)
    gradcheck(lambda t: F.affine_grid(t, x.size(), align_corners) ** 2, (theta,))


def test_places_far_outside() -> None:
    x = ad.ones(1, 1, 2, 2)
    far = ad.tensor([[[[1e30, 0.0], [-1e30, 0.0], [ad.nan, 0.0]]]])
    assert F.grid_sample(x, far).tolist() == [[[[0.0, 0.0, 0.0]]]]
    assert F.grid_sample(x, far[:, :, :2], padding_mode="border").tolist() == [
        [[[1.0, 1.0]]]
    ]


def test_what_does_not_fit_is_refused() -> None:
    x, grid = ad.ones(1, 1, 2, 2), ad.zeros(1, 2, 2, 2)
    with pytest.raises(ShapeError, match="grid_sample: expected images"):
        F.grid_sample(x, grid[..., :1])
    with pytest.raises(ShapeError, match="grid_sample: expected images"):
        F.grid_sample(x[0], grid)
    with pytest.raises(ValueError, match="one of bilinear, nearest, got 'linear'"):
        F.grid_sample(x, grid, mode="linear")
    with pytest.raises(ValueError, match="one of zeros, border, reflection"):
        F.grid_sample(x, grid, padding_mode="same")
    with pytest.raises(NotImplementedError, match="bicubic"):
        F.grid_sample(x, grid, mode="bicubic")
    with pytest.raises(ShapeError, match="affine_grid: expected theta"):
        F.affine_grid(ad.ones(1, 2, 2), (1, 1, 2, 2))
