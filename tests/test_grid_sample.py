"""Images read at places that a tensor names."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import pyautodl as ad
from pyautodl.autograd import gradcheck, gradgradcheck
from pyautodl.backends import native
from pyautodl.errors import DTypeError, ShapeError

F = ad.nn.functional


def _reflect(x: float, low: float, high: float) -> float:
    while high > low and not low <= x <= high:
        x = 2 * low - x if x < low else 2 * high - x
    return x if high > low else 0.0


def _keys(d: float) -> float:
    d, a = abs(d), -0.75
    if d <= 1:
        return (a + 2) * d**3 - (a + 3) * d**2 + 1
    return a * d**3 - 5 * a * d**2 + 8 * a * d - 4 * a if d < 2 else 0.0


def _read(place: float, mode: str) -> list[tuple[int, float]]:
    """Pixels along an axis and their weights."""
    if mode == "nearest":
        return [(int(np.round(place)), 1.0)]
    first = int(np.floor(place))
    if mode == "bilinear":
        return [(i, 1 - abs(place - i)) for i in (first, first + 1)]
    return [(i, _keys(place - i)) for i in range(first - 1, first + 3)]


def _turn(
    p: float, size: int, mode: str, padding_mode: str, align_corners: bool
) -> float:
    """A place, or a pixel's number, brought inside where that is asked."""
    if padding_mode == "reflection":
        p = _reflect(p, *((0, size - 1) if align_corners else (-0.5, size - 0.5)))
    return p if padding_mode == "zeros" else float(np.clip(p, 0, size - 1))


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
    how = mode, padding_mode, align_corners
    for n, *place in np.ndindex(grid.shape[:-1]):
        sides = []
        for size, p in zip(sizes, grid[(n, *place)][::-1]):
            p = (p + 1) * (size - 1) / 2 if align_corners else ((p + 1) * size - 1) / 2
            if mode == "bicubic":
                # the image goes on outside, and is read there
                read = [(int(_turn(i, size, *how)), w) for i, w in _read(p, mode)]
            else:
                read = _read(_turn(p, size, *how), mode)
            sides.append(read)
        for corner in itertools.product(*sides):
            pixel, weights = zip(*corner)
            if all(0 <= i < size for i, size in zip(pixel, sizes)):
                value = x[(n, slice(None), *pixel)]
                out[(n, slice(None), *place)] += np.prod(weights) * value
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
@pytest.mark.parametrize(
    ("sizes", "mode"),
    [
        *itertools.product([(5, 4), (3, 2, 4), (1, 3)], ["bilinear", "nearest"]),
        *itertools.product([(5, 4), (1, 3), (2, 1)], ["bicubic"]),
    ],
)
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


@pytest.mark.parametrize("mode", ["bilinear", "nearest", "bicubic"])
def test_places_far_outside_and_nowhere(mode: str) -> None:
    x = ad.tensor([[[[1.0, 2.0, 3.0], [1.0, 2.0, 3.0]]]], requires_grad=True)
    line = [1e30, -1e30, ad.inf, -ad.inf, ad.nan]
    grid = ad.tensor([[[[each, 0.0] for each in line]]], requires_grad=True)
    wanted = {
        "zeros": [0.0] * 5,
        "border": [3.0, 1.0, 3.0, 1.0, 1.0],
        # where a number this large falls is chance
        "reflection": [None, None, 1.0, 1.0, 1.0],
    }
    for padding_mode, values in wanted.items():
        out = F.grid_sample(x, grid, mode, padding_mode)
        for found, value in zip(out.flatten().tolist(), values):
            assert value is None or abs(found - value) < 1e-6
        ours = ad.autograd.grad(out.sum(), [x, grid])
        assert all(each.isfinite().all() for each in ours)


def test_what_is_outside_is_not_read() -> None:
    """Not even with a weight of 0, which would make NaN of an infinite pixel."""
    x = ad.tensor([[[[ad.inf, 1.0], [2.0, 3.0]]]])
    out = F.grid_sample(x, ad.tensor([[[[-3.0, -3.0], [0.5, 0.5], [1.5, 0.5]]]]))
    assert out.tolist() == [[[[0.0, 3.0, 0.0]]]]


def test_the_gradient_of_images_does_not_depend_on_threads() -> None:
    """Many places that read the same pixels, in fewer images than threads."""
    rng = np.random.default_rng(0)
    x, grid = rng.normal(size=(1, 70, 3, 3)), rng.uniform(-1, 1, (1, 40, 40, 2))
    found = []
    for threads in (1, 2, 4):
        inputs = [ad.tensor(each, dtype=ad.float32) for each in (x, grid)]
        inputs = [each.requires_grad_() for each in inputs]
        with native.exact_threads(threads, uneven=threads > 2):
            F.grid_sample(*inputs).square().sum().backward()
        found.append([each.grad.numpy().tobytes() for each in inputs])
    assert found[0] == found[1] == found[2]


def test_a_profile_knows_the_operations() -> None:
    x, grid = ad.ones(2, 3, 4, 4).requires_grad_(), ad.zeros(2, 5, 5, 2)
    with ad.profile() as p:
        F.grid_sample(x, grid).sum().backward()
    counts = {e.name: e.flops for e in p.events if e.kind == "kernel" and e.flops}
    # a multiply-add for each of four pixels, and as much for the images' gradient
    assert counts == {"grid_sample_fwd": 1200, "grid_sample_bwd": 1200}


def test_what_does_not_fit_is_refused() -> None:
    x, grid = ad.ones(1, 1, 2, 2), ad.zeros(1, 2, 2, 2)
    with pytest.raises(ShapeError, match="grid_sample: expected images"):
        F.grid_sample(x, grid[..., :1])
    with pytest.raises(ShapeError, match="grid_sample: expected images"):
        F.grid_sample(x[0], grid)
    with pytest.raises(ValueError, match="one of bilinear, nearest, bicubic, got"):
        F.grid_sample(x, grid, mode="linear")
    with pytest.raises(ValueError, match="one of zeros, border, reflection"):
        F.grid_sample(x, grid, padding_mode="same")
    with pytest.raises(ShapeError, match="'bicubic' is for images"):
        F.grid_sample(ad.ones(1, 1, 2, 2, 2), ad.zeros(1, 1, 1, 1, 3), mode="bicubic")
    with pytest.raises(ShapeError, match="images of at most 2147483647 numbers"):
        F.grid_sample(ad.zeros(1).expand(1, 1, 65536, 32768), grid)
    with pytest.raises(DTypeError, match="one floating type, got float32 and float64"):
        F.grid_sample(x, grid.double())
    with pytest.raises(ShapeError, match="affine_grid: expected theta"):
        F.affine_grid(ad.ones(1, 2, 2), (1, 1, 2, 2))
    with pytest.raises(DTypeError, match="affine_grid: expected theta of a floating"):
        F.affine_grid(ad.ones(1, 2, 3).long(), (1, 1, 2, 2))
    with pytest.raises(ShapeError, match="affine_grid: expected sizes of at least 0"):
        F.affine_grid(ad.ones(1, 2, 3), (1, 1, -2, 2))
    with pytest.raises(ShapeError, match=r"affine_grid: expected theta .* for \(\)"):
        F.affine_grid(ad.ones(1, 2, 3), ())
    with pytest.raises(
        TypeError, match="affine_grid: theta must be a tensor, got list"
    ):
        F.affine_grid([[1.0]], (1, 1, 2, 2))
