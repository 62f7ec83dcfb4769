"""Searches in what is in order, and the k-th of what is not."""

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


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "int8", "uint8"])
def test_the_kth_of_long_lines_is_what_sorting_gives(dtype: str) -> None:
    """Of lengths around the shortest that is parted, of many equal keys, in any order."""
    generator = np.random.default_rng(0)
    for n in (1, 15, 16, 17, 18, 64, 1000, 5001):
        few = generator.integers(0, 3, n).astype(dtype)
        many = generator.integers(0, 127, n).astype(dtype)
        lines = np.stack(
            [few, many, np.sort(many), np.sort(many)[::-1], np.zeros_like(few)]
        )
        for k in {1, (n + 1) // 2, n}:
            found = ad.kthvalue(ad.tensor(lines), k, 1)
            wanted = np.sort(lines, 1)[:, k - 1]
            np.testing.assert_array_equal(found.values.numpy(), wanted)
            first = (lines == wanted[:, None]).argmax(1)
            np.testing.assert_array_equal(found.indices.numpy(), first)


@pytest.mark.parametrize("n", [5, 40, 3000])
def test_nan_is_the_largest_of_a_line_and_its_median(n: int) -> None:
    line = np.random.default_rng(1).normal(size=n)
    line[[1, n - 2]] = np.nan
    last, second_to_last = (
        ad.kthvalue(ad.tensor(line), n),
        ad.kthvalue(ad.tensor(line), n - 2),
    )
    assert np.isnan(last.values.item())
    assert last.indices.item() == 1
    assert second_to_last.values.item() == np.nanmax(line)
    middle = ad.median(ad.tensor(line), 0)
    assert np.isnan(middle.values.item())
    assert middle.indices.item() == 1
