"""Functions that are made of others, against NumPy, with their gradients."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest

import pyautodl as ad
from pyautodl.autograd import gradcheck, gradgradcheck
from pyautodl.errors import DTypeError, GradError, ShapeError

X = np.random.default_rng(0).standard_normal((4, 5))
SQUARE = X[:, :4]
WHOLE = np.array([[3, 1, 3, 2], [0, 2, 1, 1]])

EDGES = np.array([-math.inf, -0.0, 0.0, 3.0, math.inf])
TRAPEZOIDS = np.cumsum(X[:, 1:] + X[:, :-1], 1)

# name, arguments (arrays become tensors), expected
CASES: list[tuple[str, tuple[Any, ...], dict[str, Any], Any]] = [
    ("quantile", (X, 0.3), {}, np.quantile(X, 0.3)),
    (
        "quantile",
        (X, np.array([0.1, 0.9])),
        {"dim": 1},
        np.quantile(X, [0.1, 0.9], axis=1),
    ),
    (
        "quantile",
        (X, 0.4),
        {"dim": 0, "keepdim": True},
        np.quantile(X, 0.4, axis=0, keepdims=True),
    ),
    ("quantile", (X, 0.5), {"keepdim": True}, np.quantile(X, 0.5, keepdims=True)),
    *(
        (
            "quantile",
            (X, 0.3),
            {"dim": 1, "interpolation": how},
            np.quantile(X, 0.3, axis=1, method=how),
        )
        for how in ("lower", "higher", "nearest", "midpoint")
    ),
    ("quantile", (np.array([1.0, np.nan]), 0.0), {}, np.array(np.nan)),
    ("cov", (X,), {}, np.cov(X)),
    ("cov", (X[0],), {"correction": 0}, np.cov(X[0], bias=True)),
    ("corrcoef", (X,), {}, np.corrcoef(X)),
    ("dist", (X, 2 * X), {}, np.linalg.norm(X)),
    ("dist", (X, X[0] + 9), {"p": 1}, np.abs(X - X[0] - 9).sum()),
    ("histc", (X,), {"bins": 5}, np.histogram(X, 5)[0]),
    (
        "histc",
        (X,),
        {"bins": 4, "min": -1, "max": 1},
        np.histogram(X, 4, (-1, 1))[0],
    ),
    ("bucketize", (X, np.array([-1.0, 0.0])), {}, np.digitize(X, [-1, 0])),
    ("trace", (X,), {}, np.trace(X)),
    ("diagflat", (X[:2, :2],), {"offset": -1}, np.diagflat(X[:2, :2], -1)),
    ("tril_indices", (3, 4), {"offset": 1}, np.array(np.tril_indices(3, 1, 4))),
    ("triu_indices", (3, 4), {"offset": -1}, np.array(np.triu_indices(3, -1, 4))),
    (
        "cartesian_prod",
        (np.arange(2), np.arange(3)),
        {},
        np.array([(i, j) for i in range(2) for j in range(3)]),
    ),
    (
        "combinations",
        (np.arange(4),),
        {"r": 3},
        np.array(list(itertools.combinations(range(4), 3))),
    ),
    (
        "combinations",
        (np.arange(3),),
        {"with_replacement": True},
        np.array(list(itertools.combinations_with_replacement(range(3), 2))),
    ),
    ("diff", (X,), {"n": 2}, np.diff(X, 2)),
    ("diff", (WHOLE,), {"dim": 0}, np.diff(WHOLE, axis=0)),
    ("diff", (X,), {"n": 9}, np.zeros((4, 0))),
    ("trapezoid", (X,), {"dx": 0.5}, np.trapezoid(X, dx=0.5)),
    ("trapz", (X, X[:, 0]), {"dim": 0}, np.trapezoid(X, X[:, 0], axis=0)),
    ("logaddexp", (X, 3 * X[0]), {}, np.logaddexp(X, 3 * X[0])),
    ("logit", (np.array([0.1, 0.5]),), {}, np.log([1 / 9, 1])),
    ("logit", (np.array([0.0]),), {"eps": 0.5}, np.zeros(1)),
    ("xlogy", (X, X**2), {}, X * np.log(X**2)),
    ("xlogy", (np.zeros(2), np.array([0, np.nan])), {}, np.array([0, np.nan])),
    ("cumulative_trapezoid", (X,), {"dx": 2}, TRAPEZOIDS),
    ("cumulative_trapezoid", (X.T, 2 * np.arange(5.0)), {"dim": 0}, TRAPEZOIDS.T),
    ("logaddexp2", (X, 3 * X[0]), {}, np.logaddexp2(X, 3 * X[0])),
    ("hypot", (X, 3 * X[0]), {}, np.hypot(X, 3 * X[0])),
    ("hypot", (1e200 * X, 1e200 * X[0]), {}, np.hypot(1e200 * X, 1e200 * X[0])),
    ("sinc", (X / 4,), {}, np.sinc(X / 4)),
    ("msort", (X,), {}, np.sort(X, 0)),
    ("vander", (X[0],), {}, np.vander(X[0])),
    ("vander", (X[0], 3), {"increasing": True}, np.vander(X[0], 3, increasing=True)),
    ("vander", (WHOLE[0], 0), {}, np.zeros((4, 0))),
    ("signbit", (EDGES,), {}, np.signbit(EDGES)),
    ("signbit", (WHOLE - 2,), {}, WHOLE < 2),
    ("copysign", (X, EDGES), {}, np.copysign(X, EDGES)),
    ("copysign", (WHOLE, -0.0), {}, -WHOLE.astype(float)),
    ("heaviside", (EDGES, X[0]), {}, np.heaviside(EDGES, X[0])),
    ("isposinf", (EDGES,), {}, np.isposinf(EDGES)),
    ("isneginf", (EDGES,), {}, np.isneginf(EDGES)),
    ("isneginf", (WHOLE,), {}, np.zeros((2, 4), bool)),
    ("isreal", (EDGES,), {}, np.ones(5, bool)),
    ("deg2rad", (X,), {}, np.deg2rad(X)),
    ("rad2deg", (X,), {}, np.rad2deg(X)),
    ("cross", (X[:, :3], X[:, 2:]), {"dim": 1}, np.cross(X[:, :3], X[:, 2:])),
    ("cross", (X[:3], X[1:]), {}, np.cross(X[:3], X[1:], axis=0)),
    *(
        ("matrix_power", (SQUARE, n), {}, np.linalg.matrix_power(SQUARE, n))
        for n in range(6)
    ),
    ("isin", (WHOLE, np.array([3, 0])), {}, np.isin(WHOLE, [3, 0])),
    ("isin", (WHOLE, 1), {"invert": True}, WHOLE != 1),
    ("isin", (WHOLE, np.zeros(0, int)), {}, np.zeros((2, 4), bool)),
]


@pytest.mark.parametrize(("name", "given", "options", "expected"), CASES)
def test_values_as_numpy(
    name: str, given: tuple[Any, ...], options: dict[str, Any], expected: Any
) -> None:
    tensors = [ad.tensor(x) if isinstance(x, np.ndarray) else x for x in given]
    found = getattr(ad, name)(*tensors, **options)
    assert tuple(found.shape) == np.shape(expected)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-12, atol=1e-12)


SMOOTH = ("quantile", "cov", "corrcoef", "dist", "trace", "diagflat", "diff")
SMOOTH += ("cumulative_trapezoid", "logaddexp2", "hypot", "sinc", "msort", "vander")
SMOOTH += ("trapezoid", "logaddexp", "xlogy", "deg2rad", "cross", "matrix_power")


@pytest.mark.parametrize(
    ("name", "given", "options"),
    [
        (name, given, options)
        for name, given, options, expected in CASES
        if name in SMOOTH and np.isfinite(expected).all() and np.size(expected)
        if np.abs(given[0]).max() < 1e100
        if given[0].dtype == float
    ],
)
def test_gradients(name: str, given: tuple[Any, ...], options: dict[str, Any]) -> None:
    def function(*inputs: ad.Tensor) -> ad.Tensor:
        rest = [ad.tensor(x) if isinstance(x, np.ndarray) else x for x in given[1:]]
        # a product of one factor or none is no function to differentiate twice
        return getattr(ad, name)(inputs[0] * 1, *rest, **options) + inputs[0].sum() ** 2

    x = ad.tensor(given[0], requires_grad=True)
    gradcheck(function, (x,))
    gradgradcheck(function, (x,))


FLOATS = pytest.mark.parametrize("dtype", [ad.float32, ad.float64])


def slopes(
    name: str, *given: list[float], dtype: Any, **options: Any
) -> tuple[list[float], list[list[float]], list[list[float]]]:
    """Values, gradients, and the gradients of the gradients' sum."""
    inputs = [ad.tensor(x, dtype=dtype, requires_grad=True) for x in given]
    y = getattr(ad, name)(*inputs, **options)
    first = ad.autograd.grad(y.sum(), inputs, create_graph=True)
    second = ad.autograd.grad(sum(g.sum() for g in first), inputs)
    return y.tolist(), *([g.tolist() for g in gs] for gs in (first, second))


@FLOATS
def test_xlogy_of_0_has_the_logarithm_as_its_gradient(dtype: Any) -> None:
    x, y = [0.0, 0.0, 0.0, 0.0, 2.0], [2.0, 0.25, 0.0, -1.0, 4.0]
    value, first, second = slopes("xlogy", x, y, dtype=dtype)
    near = {"rtol": 1e-6, "atol": 0}
    np.testing.assert_allclose(value, [0, 0, 0, 0, 2 * math.log(4)], **near)
    np.testing.assert_allclose(
        first[0], [math.log(2), math.log(0.25), 0, 0, math.log(4)], **near
    )
    np.testing.assert_allclose(first[1], [0, 0, 0, 0, 0.5], **near)
    np.testing.assert_allclose(second[0], [0.5, 4, 0, 0, 0.25], **near)
    np.testing.assert_allclose(second[1], [0.5, 4, 0, 0, 0.125], **near)


@FLOATS
def test_logaddexp_is_exact_near_0_and_at_infinity(dtype: Any) -> None:
    inf = math.inf
    x, y = [-41.0, 0.0, 1.0, 30.0, -41.0], [0.0, -41.0, 1.0, 31.0, -41.0]
    value, first, second = slopes("logaddexp", x, y, dtype=dtype)
    small = math.exp(-41)
    rest = [31 + math.log1p(math.exp(-1)), -41 + math.log(2)]
    near = {"rtol": 1e-6, "atol": 0}
    expected = [small, small, 1 + math.log(2), *rest]
    np.testing.assert_allclose(value, expected, **near)
    share = 1 / (1 + math.e)
    np.testing.assert_allclose(first[0], [small, 1, 0.5, share, 0.5], **near)
    np.testing.assert_allclose(first[1], [1, small, 0.5, 1 - share, 0.5], **near)
    np.testing.assert_allclose(second, 0, atol=1e-6)

    def first_slope(x: ad.Tensor) -> ad.Tensor:
        (slope,) = ad.autograd.grad(
            ad.logaddexp(x, ad.ones_like(x)).sum(), x, create_graph=True
        )
        return slope

    one = ad.tensor([1.0, 0.0], dtype=dtype, requires_grad=True)
    bend = ad.autograd.grad(first_slope(one).sum(), one)[0].tolist()
    np.testing.assert_allclose(bend, [0.25, share * (1 - share)], **near)

    x, y = [inf, -inf, -inf, inf, -inf], [-inf, 0.0, inf, inf, -inf]
    value, first, second = slopes("logaddexp", x, y, dtype=dtype)
    assert value == [inf, 0, inf, inf, -inf]
    assert first == [[1, 0, 0, 1, 1], [0, 1, 1, 0, 0]]
    assert second == [[0] * 5] * 2


def test_logaddexp_of_nan_is_nan() -> None:
    x, y = ad.tensor([math.nan, 0.0, math.inf]), ad.tensor([0.0, math.nan, math.nan])
    assert ad.isnan(ad.logaddexp(x, y)).all()


@FLOATS
def test_logit_at_its_ends_and_outside(dtype: Any) -> None:
    x = [0.0, 1.0, 0.5, 0.75, -1.0, 2.0, math.nan]
    value, first, second = slopes("logit", x, dtype=dtype)
    near = {"rtol": 1e-6, "atol": 0}
    nans = [math.nan] * 3
    np.testing.assert_allclose(
        value, [-math.inf, math.inf, 0, math.log(3), *nans], **near
    )
    ends = [math.inf, math.inf]
    np.testing.assert_allclose(first[0], [*ends, 4, 16 / 3, *nans], **near)
    np.testing.assert_allclose(second[0][2:4], [0, 128 / 9], rtol=1e-5, atol=1e-6)
    bounded = slopes("logit", [0.0, 1.0, 0.5, -1.0], eps=0.25, dtype=dtype)
    end = math.log(3)
    np.testing.assert_allclose(bounded[0], [-end, end, 0, -end], **near)
    assert bounded[1] == [[0, 0, 4, 0]]


def test_logit_of_integers_is_floating() -> None:
    assert ad.logit(ad.tensor([0, 1])).tolist() == [-math.inf, math.inf]


def test_most_frequent_values() -> None:
    values, indices = ad.mode(ad.tensor(WHOLE))
    assert values.tolist() == [3, 1]
    assert indices.tolist() == [2, 3]
    values, indices = ad.tensor(WHOLE).mode(0, keepdim=True)
    assert values.tolist() == [[0, 1, 1, 1]]
    assert indices.tolist() == [[1, 0, 1, 1]]
    assert ad.mode(ad.tensor(5)).values.item() == 5
    x = ad.tensor([1.0, 2.0, 2.0], requires_grad=True)
    x.mode().values.backward()
    assert x.grad.tolist() == [0, 0, 1]


def test_blocks_and_diagonals() -> None:
    x = ad.ones(2, 3, requires_grad=True)
    blocks = ad.block_diag(x, ad.tensor([2.0]), ad.tensor(3.0))
    assert tuple(blocks.shape) == (4, 5)
    assert blocks.sum().item() == 11
    blocks.sum().backward()
    assert x.grad.tolist() == [[1, 1, 1]] * 2
    y = ad.zeros(2, 3)
    assert y.fill_diagonal_(4) is y
    assert y.tolist() == [[4, 0, 0], [0, 4, 0]]


def test_bad_arguments() -> None:
    for make, error, match in (
        (lambda: ad.quantile(ad.ones(2), 1.5), ValueError, "q must be from 0 to 1"),
        (lambda: ad.quantile(ad.ones(0), 0.5), ShapeError, "no elements"),
        (
            lambda: ad.quantile(ad.ones(2), 0.5, interpolation="cubic"),
            ValueError,
            "must be one of linear, lower",
        ),
        (lambda: ad.mode(ad.ones(0)), ShapeError, "no elements"),
        (lambda: ad.trace(ad.ones(2)), ShapeError, "expected a matrix"),
        (lambda: ad.ones(2).fill_diagonal_(1), ShapeError, "expected a matrix"),
        (lambda: ad.cross(ad.ones(2), ad.ones(2)), ShapeError, "axis of size 3"),
        (lambda: ad.matrix_power(ad.ones(2, 3), 2), ShapeError, "square matrices"),
        (lambda: ad.histc(ad.ones(2), 0), ValueError, "bins above 0"),
        (lambda: ad.cov(ad.ones(1, 1, 1)), ShapeError, "up to 2 axes"),
        (lambda: ad.combinations(ad.ones(1, 1)), ShapeError, "expected a line"),
    ):
        with pytest.raises(error, match=match):
            make()


def test_rows_and_columns_are_cut_apart() -> None:
    x = ad.arange(8).reshape(2, 4)
    assert [each.tolist() for each in ad.vsplit(x, 2)] == [
        [[0, 1, 2, 3]],
        [[4, 5, 6, 7]],
    ]
    assert [each.shape[1] for each in x.hsplit((1,))] == [1, 3]
    assert [each.tolist() for each in ad.arange(4).hsplit(2)] == [[0, 1], [2, 3]]
    with pytest.raises(ShapeError, match="vsplit: expected 2 axes"):
        ad.vsplit(x[0], 2)
    with pytest.raises(ShapeError, match="hsplit: expected at least one axis"):
        ad.hsplit(ad.tensor(1), 1)


def test_membership() -> None:
    x = ad.tensor([[1, 2], [3, 4]])
    assert 3 in x
    assert 5 not in x
    assert x[0] in x


# ---- views in place ----


def test_views_in_place() -> None:
    x = ad.arange(6).reshape(1, 2, 3)
    memory = x.data_ptr()
    assert x.squeeze_(0) is x
    assert tuple(x.shape) == (2, 3)
    assert tuple(x.t_().shape) == (3, 2)
    assert tuple(x.unsqueeze_(1).shape) == (3, 1, 2)
    assert tuple(x.transpose_(0, 2).shape) == (2, 1, 3)
    assert x.squeeze_().tolist() == [[0, 1, 2], [3, 4, 5]]
    assert x.data_ptr() == memory


def test_gradients_pass_views_in_place() -> None:
    x = ad.tensor(X, requires_grad=True)
    y = x * 2
    row = y[1]
    y.unsqueeze_(0).transpose_(1, 2)
    row.mul_(3)
    (y * y).sum().backward()
    expected = 8 * X
    expected[1] *= 9
    np.testing.assert_allclose(x.grad.numpy(), expected)
    np.testing.assert_allclose(y.detach().numpy()[0].T[1], 6 * X[1])
    part = (x * 1)[:, 1:]
    part.t_()
    part.mul_(2)
    assert tuple(part.shape) == (4, 4)
    with pytest.raises(GradError, match=r"^unsqueeze_: a leaf"):
        x.unsqueeze_(0)


def test_positional_encoding_as_it_is_written() -> None:
    place = ad.arange(0, 4, dtype=ad.float).unsqueeze_(1)
    table = ad.zeros(4, 6)
    scale = ad.exp(ad.arange(0, 6, 2).float() * -(math.log(10000.0) / 6))
    table[:, 0::2] = ad.sin(place * scale)
    assert table[1, 0].item() == pytest.approx(math.sin(1))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_statistics_at_the_top_of_the_range(dtype) -> None:
    m = np.finfo(dtype).max
    wide = ad.tensor(np.array([m, -m, 0], dtype))
    assert ad.histc(wide, 4).tolist() == [1, 0, 1, 1]
    assert ad.histc(wide, 3, -float(m), float(m)).tolist() == [1, 1, 1]
    assert ad.histc(wide[::2], 4).tolist() == [1, 0, 0, 1]
    # one more or less is the same number
    assert ad.histc(ad.tensor(np.array([m, m], dtype)), 4).tolist() == [0, 0, 2, 0]
    assert ad.histc(ad.tensor(np.array([3e7] * 3, dtype)), 5).tolist() == [
        0,
        0,
        3,
        0,
        0,
    ]
    assert ad.quantile(wide, 0.25).item() == -m / 2
    assert ad.quantile(wide, 0.75).item() == m / 2
    for places in ([np.inf, 1], [-np.inf, 1], [np.nan, 1]):
        with pytest.raises(ValueError, match="histc: expected a finite range"):
            ad.histc(ad.tensor(places))


def test_quantiles_beside_infinite_elements_are_those_of_pytorch() -> None:
    torch = pytest.importorskip("torch")
    for x in ([-np.inf, np.inf, 1.0], [3e38, -3e38], [-np.inf, 1.0], [1.0, np.inf]):
        for q in (0.0, 0.25, 0.3, 0.5, 0.7, 1.0):
            want = torch.quantile(torch.tensor(x), q).numpy()
            np.testing.assert_array_equal(ad.quantile(ad.tensor(x), q).numpy(), want)


def test_bins_are_those_of_pytorch() -> None:
    torch = pytest.importorskip("torch")
    # on the border of two bins
    x = [1e19, -1e19, 3e19]
    assert (
        ad.histc(ad.tensor(x), 4).tolist() == torch.histc(torch.tensor(x), 4).tolist()
    )


def test_windows() -> None:
    n = np.arange(6)
    for periodic in (True, False):
        wave = np.cos(2 * np.pi * n / (6 if periodic else 5))
        twice = np.cos(4 * np.pi * n / (6 if periodic else 5))
        for make, expected in (
            (ad.hann_window, 0.5 - 0.5 * wave),
            (ad.hamming_window, 0.54 - 0.46 * wave),
            (ad.blackman_window, 0.42 - 0.5 * wave + 0.08 * twice),
            (ad.bartlett_window, np.bartlett(7 if periodic else 6)[:6]),
        ):
            found = make(6, periodic, dtype=ad.float64)
            np.testing.assert_allclose(found.numpy(), expected, atol=1e-12)
            assert make(1).tolist() == [1.0]
            assert tuple(make(0).shape) == (0,)
            with pytest.raises(ValueError, match="must not be negative, got -1"):
                make(-1)
            for length in (1, 6):
                with pytest.raises(ad.BackendError, match="cuda"):
                    make(length, device="cuda")
    symmetric = ad.hamming_window(3, False, 0.6, 0.4, requires_grad=True)
    assert symmetric.requires_grad
    np.testing.assert_allclose(symmetric.detach().numpy(), [0.2, 1, 0.2], rtol=1e-6)


def test_elements_that_follow_themselves() -> None:
    x = ad.tensor([[1, 1, 2], [2, 1, 1]])
    values, inverse, counts = ad.unique_consecutive(x, True, True)
    assert values.tolist() == [1, 2, 1]
    assert inverse.tolist() == [[0, 0, 1], [1, 2, 2]]
    assert counts.tolist() == [2, 2, 2]
    columns = ad.tensor([[1, 1, 2], [1, 1, 1]])
    kept, where, often = columns.unique_consecutive(True, True, dim=-1)
    assert kept.tolist() == [[1, 2], [1, 1]]
    assert (where.tolist(), often.tolist()) == ([0, 0, 1], [2, 1])
    nothing, none = ad.unique_consecutive(ad.zeros(0), return_counts=True)
    assert (nothing.tolist(), none.tolist(), none.dtype) == ([], [], ad.int64)
    with pytest.raises(IndexError, match="unique_consecutive"):
        ad.unique_consecutive(x, dim=2)


@FLOATS
def test_sinc_has_derivatives_at_0(dtype: Any) -> None:
    value, first, second = slopes("sinc", [0.0, 1e-3, 0.1591, 0.1592, 2.0], dtype=dtype)
    near = {"rtol": 2e-5, "atol": 2e-6}
    x = np.array([1e-3, 0.1591, 0.1592, 2.0])
    u = np.pi * x
    np.testing.assert_allclose(value, [1, *np.sinc(x)], **near)
    slope = np.pi * (np.cos(u) / u - np.sin(u) / u**2)
    np.testing.assert_allclose(first[0], [0, *slope], rtol=1e-4, atol=2e-6)
    bend = np.pi**2 * (-np.sin(u) / u - 2 * np.cos(u) / u**2 + 2 * np.sin(u) / u**3)
    bend[0] = -(np.pi**2) / 3
    np.testing.assert_allclose(second[0], [-(np.pi**2) / 3, *bend], rtol=2e-4)
    assert ad.sinc(ad.tensor([1, 0])).tolist() == pytest.approx([0, 1], abs=1e-7)


@FLOATS
def test_hypot_at_0_and_infinity(dtype: Any) -> None:
    inf = math.inf
    value, first, second = slopes(
        "hypot", [0.0, 3.0, inf], [0.0, 4.0, 1.0], dtype=dtype
    )
    assert value == [0, 5, inf]
    np.testing.assert_allclose([g[:2] for g in first], [[0, 0.6], [0, 0.8]], rtol=1e-6)
    assert second[0][0] == second[1][0] == 0
    x = ad.tensor([inf, math.nan, -inf, math.nan], dtype=dtype)
    y = ad.tensor([math.nan, inf, 1.0, 1.0], dtype=dtype)
    np.testing.assert_array_equal(ad.hypot(x, y), [inf, inf, inf, math.nan])


@FLOATS
def test_signs_pass_gradients_to_numbers_alone(dtype: Any) -> None:
    x, y = [2.0, -3.0, 0.0], [-1.0, -0.0, -2.0]
    inputs = [ad.tensor(each, dtype=dtype, requires_grad=True) for each in (x, y)]
    found = ad.copysign(*inputs)
    found.sum().backward()
    assert found.tolist() == [-2, -3, 0]
    assert inputs[0].grad.tolist() == [-1, 1, 0]
    assert inputs[1].grad is None
    assert not ad.heaviside(*inputs).requires_grad


def test_steps_of_another_type() -> None:
    with pytest.raises(DTypeError, match=r"heaviside: .*likely fix: values.to"):
        ad.heaviside(ad.ones(2), ad.ones(2, dtype=ad.float64))
    assert math.isnan(ad.copysign(ad.tensor(math.nan), -1.0).item())


@pytest.mark.parametrize("offset", [-5, -1, 0, 1, 2, 7])
@pytest.mark.parametrize("shape", [(3, 4), (4, 3), (0, 3), (3, 0), (1, 1)])
def test_places_in_triangles(shape: Any, offset: int) -> None:
    row, col = shape
    for name, numpy in (("tril", np.tril_indices), ("triu", np.triu_indices)):
        found = getattr(ad, f"{name}_indices")(row, col, offset, dtype=ad.int32)
        assert found.dtype is ad.int32
        np.testing.assert_array_equal(found, np.array(numpy(row, offset, col)))


def test_triangles_of_no_shape_are_refused() -> None:
    with pytest.raises(ValueError, match=r"triu_indices: sizes must not be negative"):
        ad.triu_indices(-1, 2)
    with pytest.raises(TypeError, match="tril_indices: row must be an int"):
        ad.tril_indices(1.5, 2)  # type: ignore[arg-type]


@pytest.mark.parametrize("step", [1, 3, 0.25, -1.5])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "int32"])
def test_long_ranges_are_rounded_once(step: float, dtype: str) -> None:
    count = 40_000
    for start in (0, -7, 0.5):
        end = start + count * step
        found = ad.arange(start, end, step, dtype=getattr(ad, dtype)).numpy()
        wanted = start + np.arange(count) * step
        np.testing.assert_array_equal(found, wanted.astype(dtype))


def test_places_of_elements() -> None:
    x = ad.arange(24).reshape(2, 3, 4)
    places = ad.unravel_index(x, (2, 3, 4))
    assert ad.equal(x[places], x)
    assert [each.tolist() for each in ad.unravel_index(ad.tensor([3, 0]), 4)] == [
        [3, 0]
    ]
    assert ad.unravel_index(ad.zeros(0, dtype=ad.int64), (2, 3))[1].shape == (0,)
    narrow = ad.unravel_index(ad.tensor([200, 7], dtype=ad.uint8), (300, 300))
    assert [each.tolist() for each in narrow] == [[0, 0], [200, 7]]
    assert all(each.dtype is ad.int64 for each in narrow)
    with pytest.raises(
        IndexError, match="unravel_index: expected numbers from 0 to 23"
    ):
        ad.unravel_index(x + 1, (2, 3, 4))
    with pytest.raises(DTypeError, match=r"unravel_index: .*likely fix: \.long\(\)"):
        ad.unravel_index(x.float(), (2, 3, 4))


def test_powers_of_numbers_in_rows() -> None:
    x = ad.tensor([[1, 2], [3, 4]])
    expected = [[[1, 1, 1], [1, 2, 4]], [[1, 3, 9], [1, 4, 16]]]
    assert ad.linalg.vander(x, N=3).tolist() == expected
    with pytest.raises(ShapeError, match="vander: expected one axis"):
        ad.vander(x)
    for call in (lambda: ad.vander(x[0], -1), lambda: ad.linalg.vander(x, N=-1)):
        with pytest.raises(ValueError, match="vander: N must not be negative"):
            call()


@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("multiply_", "mul_"),
        ("subtract_", "sub_"),
        ("divide_", "div_"),
        ("true_divide_", "div_"),
        ("less_", "lt_"),
        ("greater_equal_", "ge_"),
        ("not_equal_", "ne_"),
        ("clip_", "clamp_"),
        ("arctan2_", "atan2_"),
    ],
)
def test_other_names_of_changes_in_place(name: str, first: str) -> None:
    x, y = ad.tensor(X), ad.tensor(X)
    assert getattr(x, name)(ad.tensor(X[0])) is x
    assert ad.equal(x, getattr(y, first)(ad.tensor(X[0])))


@pytest.mark.parametrize(
    "bounds",
    [(0, 1), (None, 0.5), (-1, None), (0.0, float("nan")), (2**60, None), (True, 2)],
)
@pytest.mark.parametrize("dtype", [ad.float32, ad.float64, ad.int64])
def test_clamping_in_place_is_clamping(bounds: Any, dtype: Any) -> None:
    x = ad.tensor([-3, 0, 1, 4]).to(dtype)
    for recorded in (False, dtype.is_floating_point):
        wanted = x.clone().requires_grad_(recorded)
        given = x.clone().requires_grad_(recorded)
        y = given * 1
        expected = (wanted * 1).clamp(*bounds)
        if expected.dtype is not dtype:
            with pytest.raises(DTypeError, match="clamp_: the result is float"):
                y.clamp_(*bounds)
            continue
        assert y.clamp_(*bounds) is y
        np.testing.assert_array_equal(y.detach(), expected.detach())
        if recorded:
            y.sum().backward()
            expected.sum().backward()
            np.testing.assert_array_equal(given.grad, wanted.grad)
    with pytest.raises(ValueError, match="at least one of min and max"):
        x.clamp_()
    with pytest.raises(GradError, match="clamp_: a leaf"):
        ad.ones(2, requires_grad=True).clamp_(0, 1)


def test_angles_in_place() -> None:
    x = ad.tensor(X)
    assert ad.allclose(x.rad2deg_().deg2rad_(), ad.tensor(X))


@pytest.mark.skipif(np.finfo(np.longdouble).nmant < 60, reason="no wider type")
@FLOATS
def test_hypot_of_numbers_of_any_size(dtype: Any) -> None:
    rng = np.random.default_rng(0)
    kind = np.float32 if dtype is ad.float32 else np.float64
    least, most = (-44, 37) if kind is np.float32 else (-322, 307)
    power = rng.uniform(least, most, 4000)
    sides = [
        (10.0 ** (power + rng.uniform(-1, 0, 4000))).astype(kind) for _ in range(2)
    ]
    want = np.hypot(*(side.astype(np.longdouble) for side in sides))
    got = ad.hypot(*(ad.tensor(side) for side in sides)).numpy()
    apart = np.abs(got - want) / np.spacing(want.astype(kind))
    assert apart.max() < 1.5


def test_differences_are_never_the_tensor_itself() -> None:
    x = ad.tensor([1.0, 2.0])
    for y in (ad.diff(x, n=0), ad.diff(ad.zeros(0))):
        y += 1
    assert x.tolist() == [1, 2]


def test_no_differences_are_the_input_without_what_is_put_beside_it() -> None:
    x = ad.tensor([1.0, 4.0])
    assert ad.diff(x, n=0, prepend=x, append=x).tolist() == [1, 4]
    assert ad.diff(x, prepend=x[:1]).tolist() == [0, 3]
    with pytest.raises(ValueError, match="diff: n must not be negative, got -1"):
        ad.diff(x, n=-1)


@pytest.mark.parametrize("name", ["diff", "trapezoid", "cumulative_trapezoid"])
def test_a_scalar_has_no_neighbours(name: str) -> None:
    match = rf"^{name}: expected at least one axis, got shape \(\)"
    with pytest.raises(ShapeError, match=match):
        getattr(ad, name)(ad.tensor(3.0))


def test_angles_of_real_numbers_are_those_of_pytorch() -> None:
    x = ad.tensor([-0.0, 0.0, math.nan, -math.inf, 2.0])
    np.testing.assert_allclose(ad.angle(x), [0, 0, math.nan, math.pi, 0], rtol=1e-6)


@pytest.mark.parametrize("shape", [(), (3,), (2, 1)])
def test_clamp_between_tensors_is_the_same_with_a_graph(shape: Any) -> None:
    x = ad.tensor([[-0.0, 0.0, math.nan], [-2.0, 2.0, 5.0]])
    low, high = ad.full(shape, 0.0), ad.full(shape, 1.0)
    if shape:
        low, high = low.clone(), high.clone()
        low[-1] = high[0] = math.nan
    plain = x.clamp(low, high).numpy()
    recorded = x.requires_grad_().clamp(low, high).detach().numpy()
    assert plain.tobytes() == recorded.tobytes()


def test_areas_with_infinite_heights() -> None:
    assert ad.trapezoid(ad.tensor([math.inf, 1.0, 2.0])).item() == math.inf
    assert ad.trapezoid(ad.tensor([5.0])).item() == 0
    with pytest.raises(IndexError, match="trapezoid: dim"):
        ad.trapezoid(ad.ones(3), dim=1)


# ---- gradient ----


@pytest.mark.parametrize("shape", [(4,), (3, 3), (2, 3), (3, 4, 5)])
@pytest.mark.parametrize("order", [1, 2])
def test_gradient_is_that_of_numpy(shape, order):
    values = np.random.default_rng(0).standard_normal(shape)
    x = ad.tensor(values)
    places = [np.cumsum(1.0 + np.arange(n)) for n in shape]
    numbers = [0.5 + i for i in range(len(shape))]
    axes = [i for i, n in enumerate(shape) if n > order]
    for spacing in ([2.0] * len(shape), numbers, places):
        chosen = [spacing[i] for i in axes]
        wanted = np.gradient(values, *chosen, axis=axes, edge_order=order)
        found = ad.gradient(
            x,
            spacing=[ad.tensor(s) if np.ndim(s) else s for s in chosen],
            dim=axes,
            edge_order=order,
        )
        assert isinstance(found, tuple)
        for one, other in zip(found, wanted if len(axes) > 1 else [wanted]):
            np.testing.assert_allclose(one.numpy(), other, rtol=1e-12, atol=1e-12)


def test_gradient_of_kinds():
    (found,) = ad.gradient(ad.tensor([1, 4, 9, 16]))
    assert (found.dtype, found.tolist()) == (ad.float32, [3, 4, 6, 7])
    x = ad.rand(3, 4, dtype=ad.float64, requires_grad=True)
    places = ad.tensor([0.0, 1.0, 3.0, 4.0], dtype=ad.float64)
    assert ad.autograd.gradcheck(
        lambda y: ad.gradient(y, spacing=[places], dim=-1, edge_order=2), (x,)
    )
    assert len(ad.gradient(x)) == 2
    assert ad.gradient(ad.tensor(1.0)) == ()


@pytest.mark.parametrize(
    ("shape", "more", "error", "message"),
    [
        ((1,), {}, ShapeError, "at least 2 elements along each axis"),
        ((2,), {"edge_order": 2}, ShapeError, "at least 3 elements"),
        ((4,), {"edge_order": 3}, ValueError, "edge_order must be 1 or 2, got 3"),
        ((2, 2), {"dim": (0, -2)}, ValueError, "names an axis twice"),
        ((2, 2), {"spacing": [1, 2, 3]}, ShapeError, "for each of 2 axes, got 3"),
        ((3,), {"spacing": ad.ones(2)}, ShapeError, "the places of 3 samples"),
    ],
)
def test_what_has_no_gradient(shape, more, error, message):
    with pytest.raises(error, match=f"gradient: .*{message}"):
        ad.gradient(ad.ones(shape), **more)


# ---- histogram ----


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("density", [False, True])
def test_histogram_is_that_of_numpy(dtype, density):
    random = np.random.default_rng(0)
    values = random.standard_normal((20, 30)).astype(dtype)
    weight = random.random((20, 30)).astype(dtype)
    edges = np.array([-2.0, -0.5, 0.0, 0.25, 3.0], dtype)
    for bins, more in ((7, {}), (5, {"range": (-1.0, 2.0)}), (edges, {})):
        for w in (None, weight):
            hist, at = np.histogram(
                values.astype("f8"), bins, weights=w, density=density, **more
            )
            found = ad.histogram(
                ad.tensor(values),
                ad.tensor(bins) if bins is edges else bins,
                weight=None if w is None else ad.tensor(w),
                density=density,
                **more,
            )
            assert found.hist.dtype.name == found.bin_edges.dtype.name == dtype
            np.testing.assert_allclose(found.hist.numpy(), hist, rtol=1e-5)
            np.testing.assert_allclose(
                found.bin_edges.numpy(), at, rtol=1e-6, atol=1e-6
            )


def test_histogram_of_odd_values():
    one = ad.ones(3).histogram(4)
    assert one.hist.tolist() == [0, 0, 3, 0]
    assert one.bin_edges.tolist() == [0.5, 0.75, 1, 1.25, 1.5]
    assert ad.zeros(0).histogram(2).bin_edges.tolist() == [0, 0.5, 1]
    odd = ad.tensor([1.0, math.nan, math.inf, 2.0])
    assert odd.histogram(2, range=(0.0, 2.0)).hist.tolist() == [0, 2]
    assert len(ad.rand(9, requires_grad=True).histogram().hist) == 100


@pytest.mark.parametrize(
    ("x", "bins", "more", "error", "message"),
    [
        (ad.ones(2).long(), 3, {}, DTypeError, "expected a floating tensor, got int64"),
        (ad.ones(2), 0, {}, ValueError, "at least one bin, got 0"),
        (ad.ones(2), ad.ones(1), {}, ValueError, "at least 2 edges, got 1"),
        (ad.ones(2), ad.ones(2, 2), {}, ShapeError, "edges with one axis"),
        (ad.ones(2), ad.arange(3), {}, DTypeError, "edges of float32.*likely fix"),
        (ad.ones(2), ad.ones(2), {"range": (0, 1)}, ValueError, "got edges as well"),
        (ad.ones(2), 3, {"range": (3.0, 0.0)}, ValueError, "range, in order, got 3.0"),
        (ad.tensor([math.inf, 1]), 3, {}, ValueError, r"likely fix: range=\(low, high"),
        (
            ad.ones(2),
            3,
            {"weight": ad.ones(3)},
            ShapeError,
            "a weight for each element",
        ),
    ],
)
def test_what_has_no_histogram(x, bins, more, error, message):
    with pytest.raises(error, match=f"histogram: .*{message}"):
        ad.histogram(x, bins, **more)
