"""Searches in what is in order, and the k-th of what is not."""

from __future__ import annotations

import numpy as np
import pytest

import pyautodl as ad
from pyautodl.backends import native
from pyautodl.errors import ShapeError
from pyautodl.testing import available_isas, use_isa

ISAS = available_isas()


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


DTYPES = ["float32", "float64", "int64", "int32", "int16", "int8", "uint8", "bool"]


def _line(dtype: str, n: int, span: str) -> np.ndarray:
    """Keys of many ties, of the whole range, or around one that is far from 0."""
    random = np.random.default_rng(n)
    kind = np.dtype(dtype)
    if kind.kind == "b":
        return random.integers(0, 2, n).astype(kind)
    if kind.kind == "f":
        line = random.standard_normal(n)
        if span == "whole":
            line = np.sign(line) * np.exp2(random.uniform(-140, 120, n))
        elif span == "ties":
            line = line.round(1)
        else:
            line = 1e4 + line.round(2)
        line = line.astype(kind)
        line[:: n // 7 + 1] = np.nan
        line[1 :: n // 9 + 1] = -0.0
        line[2 :: n // 8 + 1] = 0.0
        line[3 :: n // 5 + 1] = -np.inf
        line[4 :: n // 6 + 1] = np.inf
        line[5] = -np.float64("nan")
        return line
    limits = np.iinfo(kind)
    low, high = limits.min, limits.max
    if span == "ties":
        low, high = max(low, -3), 4
    elif span == "far":
        low = high - 100
    line = random.integers(low, high, n, dtype=kind, endpoint=True)
    if span == "whole":
        line[:2] = low, high
    return line


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("span", ["ties", "whole", "far"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_long_lines_are_in_stable_order(dtype: str, span: str, isa: str) -> None:
    for n in (255, 256, 257, 5000):
        x = _line(dtype, n, span)
        for descending in (False, True):
            if descending:
                order = n - 1 - x[::-1].argsort(kind="stable")[::-1]
            else:
                order = x.argsort(kind="stable")
            with use_isa(isa):
                values, indices = ad.sort(ad.tensor(x), descending=descending)
                best = ad.topk(ad.tensor(x), 50, largest=descending)
            assert np.array_equal(indices.numpy(), order)
            # the elements themselves: signs of 0 and all
            assert values.numpy().tobytes() == x[order].tobytes()
            assert np.array_equal(best.indices.numpy(), order[:50])


def test_long_lines_are_in_order_along_every_axis_and_on_any_threads() -> None:
    x = np.random.default_rng(0).standard_normal((3, 300, 4)).astype(np.float32)
    for view in (x, x.transpose(2, 1, 0), x[:, ::-1], np.broadcast_to(x[:1], x.shape)):
        order = view.argsort(1, kind="stable")
        for threads in (1, 2, 4):
            with native.exact_threads(threads):
                values, indices = ad.sort(ad.from_numpy(view.copy()), 1)
                again = ad.sort(ad.tensor(x).transpose(0, 2), 1).indices
            assert np.array_equal(indices.numpy(), order)
            assert np.array_equal(values.numpy(), np.take_along_axis(view, order, 1))
        assert np.array_equal(
            again.numpy(), x.transpose(2, 1, 0).argsort(1, kind="stable")
        )


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_places_are_those_of_numpy(dtype: str, isa: str) -> None:
    keys, values = np.sort(_line(dtype, 400, "ties")), _line(dtype, 1000, "ties")
    with use_isa(isa):
        for side in ("left", "right"):
            found = ad.searchsorted(ad.tensor(keys), ad.tensor(values), side=side)
            assert np.array_equal(found.numpy(), np.searchsorted(keys, values, side))
        for invert in (False, True):
            found = ad.isin(ad.tensor(values), ad.tensor(keys[::3]), invert=invert)
            want = np.isin(values, keys[::3], invert=invert)
            assert np.array_equal(found.numpy(), want)


def test_places_among_keys_of_another_type_and_layout() -> None:
    keys, values = (
        ad.tensor([[1, 3, 5], [2, 4, 6]]),
        ad.tensor([[2.5, 3.0], [7.0, 1.0]]),
    )
    assert ad.searchsorted(keys, values).tolist() == [[1, 1], [3, 0]]
    assert ad.searchsorted(keys.T[1], values.T, right=True).tolist() == [[0, 2], [1, 0]]
    assert ad.isin(values, keys).tolist() == [[False, True], [False, True]]
    assert ad.isin(values.T, 3).tolist() == [[False, False], [True, False]]
    assert ad.isin(2, keys).item()
    assert not ad.searchsorted(keys, values.requires_grad_()).requires_grad


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", [0, 1, 20, 3000])
def test_different_elements_are_those_of_numpy(dtype: str, n: int) -> None:
    x = _line(dtype, max(n, 20), "ties")[:n].reshape(-1, 5 if n > 1 else 1)
    for flags in (
        {},
        {"return_counts": True},
        {"return_inverse": True},
        {"return_inverse": True, "return_counts": True},
    ):
        found, want = ad.unique(ad.tensor(x), **flags), np.unique(x, **flags)
        if not flags:
            found, want = (found,), (want,)
        for ours, theirs in zip(found, want, strict=True):
            np.testing.assert_array_equal(ours.numpy(), theirs)
            assert ours.numpy().dtype == theirs.dtype


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("dim", [0, 1, -1])
@pytest.mark.parametrize(
    "shape", [(40, 3), (4, 300), (0, 3), (3, 0), (1, 1), (9, 2, 2)]
)
def test_different_parts_are_those_of_numpy(dtype: str, dim: int, shape) -> None:
    random = np.random.default_rng(0)
    x = random.integers(0, 2, shape).astype(dtype)
    if np.dtype(dtype).kind != "b":
        x = x * 3 if dtype == "uint8" else x * -3
    flags = {"return_inverse": True, "return_counts": True}
    if x.size:
        want = np.unique(x, axis=dim, **flags)
        found = ad.unique(ad.tensor(x), dim=dim, **flags)
        for ours, theirs in zip(found, want, strict=True):
            np.testing.assert_array_equal(ours.numpy(), theirs)
        alone = ad.unique(ad.tensor(x), dim=dim)
        np.testing.assert_array_equal(alone.numpy(), want[0])


def test_parts_with_nan_differ_and_zeros_of_both_signs_do_not() -> None:
    nan = float("nan")
    x = ad.tensor([[0.0, 1.0], [nan, 1.0], [-0.0, 1.0], [nan, 1.0], [-2.0, ad.inf]])
    values, inverse, counts = ad.unique(
        x, dim=0, return_inverse=True, return_counts=True
    )
    assert np.array_equal(
        values.numpy(), [[-2, ad.inf], [0, 1], [nan, 1], [nan, 1]], equal_nan=True
    )
    assert inverse.tolist() == [1, 2, 1, 3, 0]
    assert counts.tolist() == [1, 2, 1, 1]


def test_axes_of_different_parts() -> None:
    with pytest.raises(IndexError, match=r"unique: dim must be from -2 to 1, got 2"):
        ad.unique(ad.ones(2, 2), dim=2)
