"""What is beyond the limits of types and of kernels: refused where it is made, by name."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pyautodl as ad
from pyautodl import linalg
from pyautodl.errors import BackendError, DTypeError, ShapeError

NINE = [1] * 9


@pytest.mark.parametrize(
    "make",
    [
        lambda: ad.empty(NINE),
        lambda: ad.Tensor(*NINE),
        lambda: ad.zeros(NINE),
        lambda: ad.tensor(np.ones(NINE).tolist()),
        lambda: ad.tensor(np.ones(NINE)),
        lambda: ad.from_numpy(np.ones(NINE)),
        lambda: ad.from_numpy(np.ones(NINE)[::-1]),
        lambda: ad.from_dlpack(np.ones(NINE)),
        lambda: ad.ones(1).expand(NINE),
    ],
)
def test_nine_axes_are_refused_where_they_are_made(make: Callable[[], Any]) -> None:
    with pytest.raises(ShapeError, match=r"at most 8 axes, got 9 .*; likely fix: make"):
        make()


@pytest.mark.parametrize("alpha", [math.inf, -math.inf, math.nan, 1.5])
def test_factors_of_integers_are_integers(alpha: float) -> None:
    x = ad.ones(2, 2, dtype=ad.int64)
    for call in (x.add, x.add_, x.sub, x.sub_):
        with pytest.raises(TypeError, match=f"(add|sub): alpha must be .* got {alpha}"):
            call(1, alpha=alpha)
    with pytest.raises(TypeError, match=f"addmm: beta must be .* got {alpha}"):
        ad.addmm(x, x, x, beta=alpha)


def test_sequences_that_do_not_end_or_fit() -> None:
    with pytest.raises(
        ValueError, match="arange: expected finite numbers, got start 0"
    ):
        ad.arange(math.inf)
    with pytest.raises(
        DTypeError, match=r"linspace: 300\.0 is not among the numbers of"
    ):
        ad.linspace(0, 300, 5, dtype=ad.uint8)
    assert math.isnan(ad.linspace(0, math.inf, 5)[0].item())


@pytest.mark.parametrize("shape", [(0, 0), (2, 0, 0), (0, 3), (3, 0)])
def test_matrices_without_elements(shape: tuple[int, ...]) -> None:
    x = ad.ones(shape, requires_grad=True)
    batch = shape[:-2]
    for order in ("fro", "nuc", 2, 1, ad.inf):
        norm = linalg.matrix_norm(x, order)
        assert (norm.shape, norm.any().item()) == (batch, False)
    for order in (None, 2, -2):
        number = linalg.cond(x, order)
        assert (number.shape, number.any().item()) == (batch, False)
    number.sum().backward()
    assert x.grad.shape == shape
    with pytest.raises(ShapeError, match=r"matrix_norm: amin: .* have no elements"):
        linalg.matrix_norm(x, -2)


def test_kernels_that_a_backend_lacks() -> None:
    pytest.importorskip("numba")
    with (
        ad.use_backend("jit"),
        pytest.raises(BackendError, match=r"float32 .*likely fix: use_backend\(None\)"),
    ):
        ad.rand(2).sort()


def test_what_creates_tensors_runs_on_numba_alone() -> None:
    pytest.importorskip("numba")
    with ad.use_backend("jit"):
        assert ad.zeros(2, dtype=ad.int64).tolist() == [0, 0]
        assert ad.full((2,), 3.0).tolist() == [3, 3]
        assert ad.eye(2).tolist() == [[1, 0], [0, 1]]
        assert ad.arange(6).reshape(2, 3).t().clone().tolist() == [
            [0, 3],
            [1, 4],
            [2, 5],
        ]
