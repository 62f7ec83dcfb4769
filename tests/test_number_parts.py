"""Divisors, mantissas, neighbours, copies with a part replaced, distances of pairs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import pyautodl as ad
from pyautodl.autograd import gradcheck, gradgradcheck
from pyautodl.errors import DTypeError, ShapeError

WHOLE = (ad.int8, ad.int16, ad.int32, ad.int64, ad.uint8)


@pytest.mark.parametrize("dtype", WHOLE)
@pytest.mark.parametrize("name", ["gcd", "lcm"])
def test_divisors_and_multiples(name: str, dtype: Any) -> None:
    rng = np.random.default_rng(0)
    low = 0 if dtype == ad.uint8 else -11
    x = rng.integers(low, 12, (6, 1)).astype(dtype.numpy)
    y = rng.integers(low, 12, (1, 7)).astype(dtype.numpy)
    x[0], y[0, 0] = 0, 0
    found = getattr(ad, name)(ad.tensor(x), ad.tensor(y))
    expected = getattr(np, name)(x, y)
    assert found.dtype == dtype
    np.testing.assert_array_equal(found.numpy(), expected)
    changed = ad.tensor(np.broadcast_to(x, expected.shape).copy())
    getattr(changed, f"{name}_")(ad.tensor(y))
    np.testing.assert_array_equal(changed.numpy(), expected)


def test_large_divisors() -> None:
    a, b = 2**61 - 1, 3**38
    assert ad.gcd(ad.tensor(6 * a % 2**62), ad.tensor(b)).item() == np.gcd(
        6 * a % 2**62, b
    )
    assert ad.tensor([], dtype=ad.int64).gcd(ad.tensor(2)).tolist() == []
    with pytest.raises(DTypeError, match="gcd: expected whole numbers, got float32"):
        ad.gcd(ad.ones(1), ad.ones(1))
    with pytest.raises(DTypeError, match="lcm: expected whole numbers, got bool"):
        ad.lcm(ad.ones(1) > 0, ad.ones(1) > 0)


@pytest.mark.parametrize("dtype", [ad.float32, ad.float64])
def test_neighbours(dtype: Any) -> None:
    values = [0.0, 1.0, -2.5, 3e38, np.inf, np.nan, 1e-45]
    x = np.array(values, dtype.numpy)[:, None]
    for towards in (np.inf, -np.inf, 0.0, np.nan):
        y = np.full((1, 2), towards, dtype.numpy)
        found = ad.nextafter(ad.tensor(x), ad.tensor(y))
        assert found.dtype == dtype
        np.testing.assert_array_equal(found.numpy(), np.nextafter(x, y))
    with pytest.raises(DTypeError, match=r"nextafter: .*likely fix: \.float\(\)"):
        ad.nextafter(ad.tensor([1]), ad.tensor([2]))


@pytest.mark.parametrize("dtype", [ad.float32, ad.float64])
def test_mantissas_and_exponents(dtype: Any) -> None:
    tiny, huge = ad.finfo(dtype).tiny, ad.finfo(dtype).max
    x = np.array([0.0, -0.0, 1.0, -0.3, 640.0, tiny, -huge], dtype.numpy)
    mantissa, exponent = ad.frexp(ad.tensor(x))
    expected = np.frexp(x)
    np.testing.assert_array_equal(mantissa.numpy(), expected[0])
    np.testing.assert_array_equal(exponent.numpy(), expected[1])
    assert exponent.dtype == ad.int32
    np.testing.assert_array_equal(ad.tensor(x[:5]).frexp()[0].numpy(), expected[0][:5])
    y = ad.tensor([1.5, -3.0], dtype=ad.float64, requires_grad=True)
    assert gradcheck(lambda y: ad.frexp(y).mantissa, y)
    assert gradcheck(lambda y: ad.ldexp(y, ad.tensor([3, -2])), y)
    with pytest.raises(DTypeError, match="frexp: expected a floating tensor"):
        ad.frexp(ad.tensor([1]))


def test_powers_of_two_and_in_float64() -> None:
    x = ad.tensor([1, -3])
    assert ad.ldexp(x, ad.tensor([2, 1])).tolist() == [4.0, -6.0]
    y = ad.ones(2)
    y.ldexp_(ad.tensor([1, 2]))
    assert y.tolist() == [2.0, 4.0]
    for found in (
        ad.float_power(x, 2),
        ad.float_power(x, ad.tensor([2.0, 2.0])),
        ad.float_power(ad.tensor([1.0, 3.0]), 2),
    ):
        assert (found.dtype, found.tolist()) == (ad.float64, [1.0, 9.0])
    assert ad.float_power(2, ad.tensor([3, -1])).tolist() == [8.0, 0.5]


def test_copies_with_a_part_replaced() -> None:
    x = ad.tensor(np.arange(12.0).reshape(3, 4), requires_grad=True)
    row, pair, line = (ad.tensor(np.full(s, -1.0)) for s in ((4,), (3, 2), (2,)))
    expected = x.detach().numpy().copy()
    expected[1] = -1
    assert ad.select_scatter(x, row, 0, 1).tolist() == expected.tolist()
    assert x.select_scatter(row, 0, -2).tolist() == expected.tolist()
    expected = x.detach().numpy().copy()
    expected[:, 1::2] = -1
    assert ad.slice_scatter(x, pair, 1, 1, None, 2).tolist() == expected.tolist()
    assert x.slice_scatter(pair, -1, 1, 4, 2).tolist() == expected.tolist()
    expected = x.detach().numpy().copy()
    expected[[0, 1], [2, 3]] = -1
    assert x.diagonal_scatter(line, 2).tolist() == expected.tolist()
    for function, part in (
        (lambda x, v: ad.select_scatter(x, v, 0, 1), row),
        (lambda x, v: ad.slice_scatter(x, v, 1, 1, None, 2), pair),
        (lambda x, v: ad.diagonal_scatter(x, v, 2), line),
    ):
        part.requires_grad_()
        assert gradcheck(function, (x, part))
        assert gradgradcheck(function, (x, part))
        with pytest.raises(
            ShapeError, match=r"scatter: expected src of the part's shape"
        ):
            function(x, ad.ones(9, dtype=ad.float64))
    with pytest.raises(IndexError, match="slice_scatter: dim must be an axis"):
        ad.slice_scatter(x, pair, 2)


@pytest.mark.parametrize("p", [1.0, 2.0, 3.0, float("inf"), 0.0])
def test_distances_of_all_pairs(p: float) -> None:
    x = np.random.default_rng(1).normal(size=(5, 3))
    found = ad.pdist(ad.tensor(x), p)
    expected = [
        np.linalg.norm(x[i] - x[j], p) for i in range(5) for j in range(i + 1, 5)
    ]
    np.testing.assert_allclose(found.numpy(), expected)
    if p:
        values = ad.tensor(x, requires_grad=True)
        assert gradcheck(lambda x: ad.nn.functional.pdist(x, p), values)
        same = ad.ones(3, 2, requires_grad=True)
        ad.pdist(same, p).sum().backward()
        assert same.grad.tolist() == [[0.0] * 2] * 3
    assert ad.pdist(ad.ones(1, 2)).shape == ad.pdist(ad.ones(0, 2)).shape == (0,)
    with pytest.raises(ShapeError, match=r"pdist: expected \(n, d\), got \(3,\)"):
        ad.pdist(ad.ones(3))
