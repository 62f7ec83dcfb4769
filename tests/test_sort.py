"""Searches in what is in order."""

from __future__ import annotations

import numpy as np
import pytest

import pyautodl as ad
from pyautodl.errors import ShapeError


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("shape", [(7,), (3, 7), (2, 3, 1), (2, 0), (0, 4)])
def test_lines_are_searched_as_by_pytorch(shape, side):
    torch = pytest.importorskip("torch")
    random = np.random.default_rng(0)
    lines = random.integers(0, 6, shape).astype(np.float32)
    values = random.integers(-1, 7, (*shape[:-1], 5)).astype(np.float32)
    order = np.argsort(lines, -1)
    found, want = [
        (
            library.searchsorted(
                library.tensor(np.sort(lines, -1)), library.tensor(values), side=side
            ),
            library.searchsorted(
                library.tensor(lines),
                library.tensor(values),
                right=side == "right",
                sorter=library.tensor(order),
                out_int32=True,
            ),
        )
        for library in (ad, torch)
    ]
    for ours, theirs in zip(found, want, strict=True):
        assert ours.tolist() == theirs.tolist()
        assert ours.dtype.name == str(theirs.dtype).removeprefix("torch.")


def test_lines_that_do_not_fit_are_not_searched():
    lines = ad.tensor([[1, 3], [2, 4]])
    for call, error, match in (
        (lambda: ad.searchsorted(lines, 3), ShapeError, "expected a line, or values"),
        (lambda: ad.searchsorted(lines, ad.ones(3, 1)), ShapeError, r"\(3, 1\)"),
        (lambda: ad.searchsorted(lines.sum(), lines), ShapeError, "expected a line"),
        (
            lambda: ad.searchsorted(lines, lines, sorter=ad.tensor([0, 1])),
            ShapeError,
            "expected a sorter of shape",
        ),
        (
            lambda: ad.searchsorted(lines, lines, sorter=lines),
            IndexError,
            "out of range",
        ),
        (
            lambda: ad.searchsorted(lines, lines, side="left", right=True),
            ValueError,
            "side must be",
        ),
    ):
        with pytest.raises(error, match=match):
            call()
