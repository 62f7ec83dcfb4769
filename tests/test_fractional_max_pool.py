"""Max pooling with windows that are drawn."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import pyautodl as ad
import pyautodl.nn.functional as F
from pyautodl import nn
from pyautodl.autograd import gradcheck
from pyautodl.errors import DTypeError, ShapeError

CASES = [
    ((2, 3, 9, 7), 2, 4),
    ((2, 3, 9, 7), (3, 2), (5, 6)),
    ((3, 9, 7), 2, (1, 3)),
    ((2, 3, 8, 8), 2, 7),
    ((1, 1, 5, 5), 1, 3),
    ((0, 3, 5, 5), 2, 3),
    ((2, 3, 6, 9, 7), 2, 4),
    ((2, 2, 6, 9, 7), (1, 3, 2), (3, 5, 5)),
    ((3, 9, 7, 5), 2, (1, 3, 2)),
]


def _axes(shape: tuple[int, ...], output: Any) -> int:
    return 3 if len(shape) == 5 or len(np.atleast_1d(output)) == 3 else 2


def _starts(u: Any, n: int, size: int, kernel: int) -> list[int]:
    """Where windows begin, as the paper has it, in the numbers' own type."""
    if size == 1:
        return [n - kernel]
    step = u.dtype.type((n - kernel) / (size - 1))
    places = [
        int((u.dtype.type(i) + u) * step) - int(u * step) for i in range(size - 1)
    ]
    return [*places, n - kernel]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("shape", "kernel", "output"), CASES)
def test_windows_by_the_paper(shape, kernel, output, dtype):
    axes = _axes(shape, output)
    random = np.random.default_rng(0)
    x = random.standard_normal(shape).astype(dtype)
    images = x if len(shape) == axes + 2 else x[None]
    u = random.random((*images.shape[:2], axes)).astype(dtype)
    kernels, outputs = np.broadcast_to(kernel, axes), np.broadcast_to(output, axes)
    wanted = np.zeros((*images.shape[:2], *outputs), dtype)
    places = np.zeros(wanted.shape, int)
    order = (1, 0) if axes == 2 else (0, 1, 2)
    for plane in np.ndindex(*images.shape[:2]):
        begins = [
            _starts(u[plane][order[i]], images.shape[2 + i], outputs[i], kernels[i])
            for i in range(axes)
        ]
        for at in np.ndindex(*outputs):
            corner = [begin[i] for begin, i in zip(begins, at)]
            cut = tuple([slice(c, c + k) for c, k in zip(corner, kernels)])
            window = images[plane][cut]
            best = np.unravel_index(window.argmax(), window.shape)
            wanted[plane][at] = window[best]
            places[plane][at] = np.ravel_multi_index(
                np.add(corner, best), images.shape[2:]
            )
    pool = getattr(F, f"fractional_max_pool{axes}d")
    given = ad.tensor(x)
    found, indices = pool(
        given, kernel, output, return_indices=True, _random_samples=ad.tensor(u)
    )
    assert found.shape == indices.shape == (*shape[: len(shape) - axes], *outputs)
    np.testing.assert_array_equal(found.numpy().reshape(wanted.shape), wanted)
    np.testing.assert_array_equal(indices.numpy().reshape(wanted.shape), places)
    assert indices.dtype == ad.int64
    twice = getattr(F, f"fractional_max_pool{axes}d_with_indices")
    again = twice(given, kernel, output, _random_samples=ad.tensor(u))
    assert (again[1] == indices).all()


@pytest.mark.parametrize(("shape", "kernel", "output"), CASES)
def test_results_and_gradients_are_those_of_pytorch(shape, kernel, output):
    torch = pytest.importorskip("torch")
    axes = _axes(shape, output)
    random = np.random.default_rng(1)
    x = random.standard_normal(shape)
    planes = shape[:2] if len(shape) == axes + 2 else (1, shape[0])
    u = random.random((*planes, axes))
    results = []
    for library in (torch, ad):
        kind = getattr(library.nn, f"FractionalMaxPool{axes}d")
        layer = kind(
            kernel, output, return_indices=True, _random_samples=library.tensor(u)
        )
        assert list(layer.state_dict()) == ["_random_samples"]
        given = library.tensor(x, requires_grad=True)
        y, indices = layer(given)
        (y * y).sum().backward()
        results.append([y.detach().numpy(), indices.numpy(), given.grad.numpy()])
    for one, other in zip(*results):
        np.testing.assert_allclose(other, one, rtol=1e-12, atol=1e-12)


def test_gradients_and_draws():
    x = ad.rand(1, 2, 6, 6, dtype=ad.float64, requires_grad=True)
    u = ad.rand(1, 2, 2, dtype=ad.float64)
    assert gradcheck(
        lambda y: F.fractional_max_pool2d(y, 2, 4, _random_samples=u), (x,)
    )
    layer = nn.FractionalMaxPool2d(3, output_ratio=(0.5, 0.25))
    assert not layer.state_dict()
    images = ad.rand(20, 16, 50, 32)
    ad.manual_seed(0)
    one, two = layer(images), layer(images)
    assert one.shape == (20, 16, 25, 8)
    assert not (one == two).all()
    ad.manual_seed(0)
    assert (layer(images) == one).all()
    assert repr(layer) == (
        "FractionalMaxPool2d(kernel_size=(3, 3), output_ratio=(0.5, 0.25))"
    )


def test_what_is_nan_is_the_largest():
    x = ad.zeros(1, 1, 4, 4)
    x[0, 0, 1, 2] = float("nan")
    found, at = F.fractional_max_pool2d(x, 3, 2, return_indices=True)
    assert found.isnan().all()
    assert (at == 6).all()


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda x: nn.FractionalMaxPool2d(2), ValueError, "output_ratio, got none"),
        (lambda x: nn.FractionalMaxPool3d(2, 3, 0.5), ValueError, "got both"),
        (
            lambda x: nn.FractionalMaxPool2d(2, output_ratio=1.5),
            ValueError,
            "output_ratio must be above 0 and below 1",
        ),
        (
            lambda x: nn.FractionalMaxPool2d(0, 2),
            ValueError,
            "kernel_size must be above",
        ),
        (lambda x: F.fractional_max_pool2d(x, 2), ValueError, "got none"),
        (lambda x: F.fractional_max_pool2d(x, 2, 8), ShapeError, "fit into .8, 8."),
        (
            lambda x: F.fractional_max_pool2d(x, 2, output_ratio=0.01),
            ShapeError,
            "a result above 0",
        ),
        (lambda x: F.fractional_max_pool2d(x[0, 0], 2, 2), ShapeError, "3 or 4 axes"),
        (lambda x: F.fractional_max_pool2d(x.long(), 2, 2), DTypeError, "likely fix"),
        (
            lambda x: F.fractional_max_pool2d(
                x, 2, 2, _random_samples=ad.rand(1, 1, 3)
            ),
            ShapeError,
            "_random_samples .1, 1, 2., got .1, 1, 3.",
        ),
    ],
)
def test_wrong_arguments(call, error, message):
    with pytest.raises(error, match=f"(?i)^fractional_?max_?pool.*: .*{message}"):
        call(ad.rand(1, 1, 8, 8))
