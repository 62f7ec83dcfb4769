"""Pooling by norms, and the way back from max pooling, against PyTorch."""

from __future__ import annotations

import inspect
from math import inf

import numpy as np
import pytest

import pyautodl as ad
import pyautodl.nn.functional as F
from pyautodl import nn
from pyautodl.errors import DTypeError, ShapeError

torch = pytest.importorskip("torch")

SIZES = {1: (11,), 2: (7, 9), 3: (5, 6, 7)}


def _values(axes: int, batch: tuple[int, ...] = (2, 3)) -> np.ndarray:
    random = np.random.default_rng(axes)
    return random.standard_normal((*batch, *SIZES[axes]))


@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize(
    "arguments",
    [
        (2, 2),
        (2, 3, 2),
        (2, 3, 2, True),
        (3, 2, 1),
        (1, 2),
        (inf, 2),
        (-inf, 3, 2, True),
    ],
)
def test_lp_pool_is_that_of_pytorch(axes, arguments) -> None:
    values = _values(axes)
    if arguments[0] == 3:
        values = np.abs(values)
    results = []
    for library, functions in ((ad, F), (torch, torch.nn.functional)):
        x = library.tensor(values, requires_grad=True)
        y = getattr(functions, f"lp_pool{axes}d")(x, *arguments)
        (y * y).sum().backward()
        layer = getattr(library.nn, f"LPPool{axes}d")(*arguments)
        assert (layer(x) == y).all()
        results.append((y.detach().numpy(), x.grad.numpy(), str(layer)))
    (ours, our_grad, our_text), (theirs, their_grad, their_text) = results
    np.testing.assert_allclose(ours, theirs, rtol=1e-9)
    np.testing.assert_allclose(our_grad, their_grad, rtol=1e-9, atol=1e-12)
    assert our_text == their_text


def test_windows_whose_norm_is_0_have_the_gradient_0() -> None:
    x = ad.tensor([[[0.0, 0.0, 3.0, 4.0]]], requires_grad=True)
    y = F.lp_pool1d(x, 2, 2)
    y.sum().backward()
    assert y.tolist() == [[[0.0, 5.0]]]
    np.testing.assert_allclose(x.grad.numpy(), [[[0, 0, 0.6, 0.8]]], rtol=1e-6)
    with pytest.raises(ValueError, match="lp_pool1d: norm_type must not be 0"):
        F.lp_pool1d(x, 0, 2)
    with pytest.raises(TypeError, match="lp_pool1d: kernel_size must be integers"):
        F.lp_pool1d(x, 2, True)


@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize(
    ("arguments", "asked"),
    [
        ((2, None, 0), True),
        ((3, 2, 0), True),
        ((3, 2, 1), True),
        ((3, 1, 0), False),
        ((3, 1, 1), False),
        ((2, 3, 0), True),
    ],
)
@pytest.mark.parametrize("batch", [(2, 3), (3,), (0, 3)])
def test_max_unpool_is_that_of_pytorch(axes, arguments, asked, batch) -> None:
    values = _values(axes, batch)
    kernel, stride, padding = arguments
    results = []
    for library, functions in ((ad, F), (torch, torch.nn.functional)):
        x = library.tensor(values, requires_grad=True)
        pooled, places = getattr(functions, f"max_pool{axes}d")(
            x, kernel, stride, padding, return_indices=True
        )
        size = x.shape[-axes:] if asked else None
        unpool = getattr(functions, f"max_unpool{axes}d")
        y = unpool(pooled, places, kernel, stride, padding, size)
        if asked and len(batch) == 2:
            assert (unpool(pooled, places, *arguments, output_size=x.shape) == y).all()
        weights = library.arange(y.numel(), dtype=library.float64).reshape(y.shape)
        (y * weights).sum().backward()
        layer = getattr(library.nn, f"MaxUnpool{axes}d")(*arguments)
        assert (layer(pooled, places, size) == y).all()
        results.append((y.tolist(), x.grad.tolist(), str(layer)))
    assert results[0] == results[1]


@pytest.mark.parametrize("kind", ["lp_pool", "max_unpool", "LPPool", "MaxUnpool"])
@pytest.mark.parametrize("axes", [1, 2, 3])
def test_arguments_are_those_of_pytorch(kind, axes) -> None:
    modules = (F, torch.nn.functional) if kind.islower() else (nn, torch.nn)
    ours, theirs = [
        [
            (each.name, each.kind, each.default)
            for each in inspect.signature(
                getattr(m, f"{kind}{axes}d")
            ).parameters.values()
        ]
        for m in modules
    ]
    assert ours == theirs


def test_what_max_unpool_refuses() -> None:
    x = ad.arange(16.0).reshape(1, 1, 4, 4)
    y, places = F.max_pool2d(x, 2, return_indices=True)
    for call, error, match in (
        (lambda: F.max_unpool2d(y, places * 3, 2), IndexError, "unpool2d: index 45 is"),
        (lambda: F.max_unpool2d(y, -places, 2), IndexError, "unpool2d: index -15 is"),
        (
            lambda: F.max_unpool2d(y, places[..., :1], 2),
            ShapeError,
            "of the same shape",
        ),
        (lambda: F.max_unpool1d(y, places, 2), ShapeError, "expected 3 axes"),
        (lambda: F.max_unpool2d(y, y, 2), DTypeError, "indices must be integers"),
        (
            lambda: F.max_unpool2d(y, places, 2, output_size=(7, 4)),
            ShapeError,
            r"output_size must be from \(3, 3\) to \(5, 5\), got \(7, 4\)",
        ),
        (
            lambda: F.max_unpool2d(y, places, 2, output_size=(4,)),
            ShapeError,
            "output_size must be",
        ),
        (lambda: F.max_unpool2d(y, places, 1, 1, 2), ShapeError, r"sizes \(-2, -2\)"),
        (lambda: nn.MaxUnpool2d(2.0), TypeError, "MaxUnpool2d: kernel_size must be"),
    ):
        with pytest.raises(error, match=match):
            call()
