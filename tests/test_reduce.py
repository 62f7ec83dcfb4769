"""Reductions where the records of the ops can't say it: gradients at 0, bits, accuracy."""

from __future__ import annotations

import math

import numpy as np
import pytest

import pyautodl as ad
from pyautodl import nn
from pyautodl.backends import native
from pyautodl.errors import DTypeError, ShapeError
from pyautodl.testing import available_isas, use_isa

F = nn.functional
pytestmark = pytest.mark.usefixtures("backend")


def leaf(values):
    return ad.tensor(values, dtype=ad.float64, requires_grad=True)


def gradient(f, values):
    x = leaf(values)
    f(x).sum().backward()
    return x.grad.tolist()


# ---- norms at 0 ----

SPELLINGS = {
    "default": lambda x: x.norm(),
    "fro": lambda x: ad.norm(x, "fro"),
    **{f"p={p}": lambda x, p=p: x.norm(p) for p in (1, 1.5, 2, 3, float("inf"))},
    "dim": lambda x: x.norm(dim=0),
    "dims": lambda x: x.reshape(1, -1).norm(2, (0, 1), keepdim=True),
    **{f"normalize p={p}": lambda x, p=p: F.normalize(x, p, 0) for p in (1, 2, 3)},
    "cdist": lambda x: ad.cdist(x.reshape(1, -1), ad.zeros(1, 3, dtype=ad.float64)),
    "std": lambda x: x.std(),
    "var": lambda x: x.var(),
}


@pytest.mark.parametrize("dtype", [ad.float32, ad.float64])
@pytest.mark.parametrize("p", [1.5, 2.0, 3.0])
def test_an_infinite_element_has_no_gradient_of_its_norm(p, dtype):
    rows = [[3.0, np.inf, 0.0], [0.0, 0.0, 0.0], [0.0, 4.0, 0.0]]
    x = ad.tensor(rows, dtype=dtype, requires_grad=True)
    (g,) = ad.autograd.grad(x.norm(p, 1).sum(), x, create_graph=True)
    expected = [[0, np.nan, 0], [0, 0, 0], [0, 1, 0]]
    np.testing.assert_allclose(g.tolist(), expected, rtol=1e-6, atol=1e-7)
    (second,) = ad.autograd.grad(g[1:].sum(), x)
    bend = 0.25 if p == 2 else 0.0
    expected = [[0, 0, 0], [0, 0, 0], [bend, 0, bend]]
    np.testing.assert_allclose(second.tolist(), expected, atol=1e-7)
    # where nothing comes in, nothing goes out
    y = ad.where(ad.tensor([False, True, True]), x.norm(p, 1), 0.0).sum()
    y.backward()
    np.testing.assert_allclose(
        x.grad.tolist(), [[0] * 3, [0] * 3, [0, 1, 0]], rtol=1e-6
    )


@pytest.mark.parametrize("name", SPELLINGS)
def test_gradient_is_0_where_the_norm_is(name):
    assert gradient(SPELLINGS[name], [0.0, 0.0, 0.0]) == [0, 0, 0]


def test_zero_rows_do_not_touch_others():
    g = gradient(lambda x: x.norm(dim=1), [[0.0, 0.0], [3.0, 4.0]])
    np.testing.assert_allclose(g, [[0, 0], [0.6, 0.8]])


def test_spellings_of_a_norm_agree():
    x = leaf([[1.0, -2.0], [2.0, 4.0]])
    for norm in (
        x.norm(),
        ad.norm(x, "fro"),
        x.norm(2),
        x.norm(2, (0, 1)),
        x.flatten().norm(2, 0),
    ):
        assert norm.item() == 5


# ---- deviations of constants ----


def test_std_of_a_constant_has_gradient_0():
    assert gradient(lambda x: x.std(), [2.0, 2.0, 2.0]) == [0, 0, 0]
    assert gradient(lambda x: x.std(1), [[0.1, 0.1], [0.1, 0.1]]) == [[0, 0], [0, 0]]


def test_constant_float32_has_no_variance():
    assert ad.full((1000,), 0.1).std().item() == 0


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("isa", available_isas())
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_equal_numbers_have_no_variance_and_a_last_place_has(dtype, isa):
    values = np.full(20_000, 0.1, dtype)
    with ad.use_backend("native"), use_isa(isa):
        assert ad.tensor(values).std().item() == 0
        values[3] = np.nextafter(values[3], dtype(1))
        got = ad.tensor(values).std().item()
    step = float(values[3]) - float(values[0])
    assert got == pytest.approx(step / 20_000**0.5, rel=1e-3)


def test_second_order_of_std_at_0_is_0():
    x = leaf([2.0, 2.0])
    (g,) = ad.autograd.grad(x.std(), x, create_graph=True)
    assert ad.autograd.grad(g.sum(), x)[0].tolist() == [0, 0]


def test_std_and_var_of_one_element_are_refused():
    with pytest.raises(ShapeError, match="std: expected more than 1 elements"):
        leaf([1.0]).std()
    with pytest.raises(ShapeError, match="var: expected more than 1 elements"):
        ad.ones(3, 1).var(1)
    assert leaf([1.0]).std(correction=0).item() == 0


# ---- products with zeros ----


def test_prod_with_one_zero():
    assert gradient(lambda x: x.prod(), [2.0, 0.0, 3.0, 4.0]) == [0, 24, 0, 0]


def test_prod_with_two_zeros():
    assert gradient(lambda x: x.prod(), [0.0, 0.0, 3.0, 4.0]) == [0, 0, 0, 0]


def test_prod_along_each_axis():
    values = [[2.0, 0.0, 3.0], [0.0, 0.0, 4.0]]
    assert gradient(lambda x: x.prod(1), values) == [[0, 6, 0], [0, 0, 0]]
    assert gradient(lambda x: x.prod(0), values) == [[0, 0, 4], [2, 0, 3]]


def test_cumprod_with_zeros():
    g = gradient(lambda x: x.cumprod(0), [2.0, 0.0, 3.0, 4.0])
    # d/dx of 2, 2 x, 2 x 3, 2 x 3 4 summed
    assert g == [1, 2 + 6 + 24, 0, 0]


def test_second_order_of_prod_with_a_zero():
    x = leaf([2.0, 0.0, 3.0])
    (g,) = ad.autograd.grad(x.prod(), x, create_graph=True)
    assert g.tolist() == [0, 6, 0]
    assert ad.autograd.grad(g.sum(), x)[0].tolist() == [3, 5, 2]


# ---- ties ----


def test_extrema_share_or_take_the_gradient():
    values = [[1.0, 3.0, 3.0]]
    assert gradient(lambda x: x.max(), values) == [[0, 0.5, 0.5]]
    assert gradient(lambda x: x.amax(1), values) == [[0, 0.5, 0.5]]
    assert gradient(lambda x: x.max(1).values, values) == [[0, 1, 0]]
    assert gradient(lambda x: x.min(1).values, [[2.0, 2.0]]) == [[1, 0]]
    assert gradient(lambda x: x.median(1).values, [[2.0, 2.0, 1.0]]) == [[1, 0, 0]]
    assert gradient(lambda x: ad.maximum(x, x.detach()), [2.0]) == [0.5]


def test_positions_are_the_first():
    x = ad.tensor([[1, 5, 5], [7, 7, 0]])
    assert x.argmax(1).tolist() == [1, 0]
    assert x.argmax().item() == 3
    assert x.max(0).indices.tolist() == [1, 1, 0]
    assert ad.tensor([2.0, float("nan"), float("nan")]).argmax().item() == 1


# ---- types ----


def test_types_of_sums():
    for dtype in (ad.bool, ad.uint8, ad.int8, ad.int32):
        assert ad.ones(300, dtype=dtype).sum().dtype is ad.int64
        assert ad.ones(300, dtype=dtype).sum().item() == 300
        assert ad.ones(3, dtype=dtype).cumsum(0).dtype is ad.int64
    assert ad.ones(3, dtype=ad.int32).sum(dtype=ad.float32).dtype is ad.float32
    with pytest.raises(DTypeError, match="mean: expected a floating type, got int64"):
        ad.arange(3).mean()


# ---- whole numbers, whose lanes depend on the length of a line ----


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("isa", available_isas())
@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "int32", "int64"])
def test_every_element_of_a_line_of_whole_numbers_counts(isa, dtype):
    limits = np.iinfo(dtype)
    for n in [1, 2, 15, 16, 17, 63, 64, 65, 80, 127, 128, 200]:
        # line i has its own element at i
        zeros, low, high = (
            np.full((n, n), v, dtype) for v in (0, limits.max, limits.min)
        )
        factors = np.ones((n, n), dtype)
        for x, v in ((zeros, 1), (low, limits.min), (high, limits.max), (factors, 3)):
            np.fill_diagonal(x, v)
        with use_isa(isa):
            assert ad.any(ad.tensor(zeros), dim=1).all().item(), n
            assert not ad.all(ad.tensor(1 - zeros), dim=1).any().item(), n
            assert (ad.amin(ad.tensor(low), dim=1) == limits.min).all().item(), n
            assert (ad.amax(ad.tensor(high), dim=1) == limits.max).all().item(), n
            assert (ad.prod(ad.tensor(factors), dim=1) == 3).all().item(), n


# ---- accuracy and bits ----


def test_float32_sums_are_accurate():
    x = np.random.default_rng(0).random(1_000_003).astype(np.float32)
    exact = x.astype(np.float64).sum()
    assert abs(ad.tensor(x).sum().item() - exact) <= 6e-8 * exact
    rows = np.random.default_rng(1).random((50_000, 7)).astype(np.float32)
    columns = rows.astype(np.float64).sum(0)
    np.testing.assert_allclose(ad.tensor(rows).sum(0).numpy(), columns, rtol=6e-8)


@pytest.mark.parametrize("dim", [None, 0, 1])
@pytest.mark.parametrize("size", [1e154, 1e200, 3e307])
def test_spreads_of_numbers_whose_squares_overflow(
    dim: int | None, size: float
) -> None:
    unit = np.random.default_rng(0).uniform(-2, 5, (70, 300))
    for numbers in (unit, unit[:2], unit[:, :2]):
        for x in (ad.tensor(numbers * size), ad.tensor(numbers.T.copy() * size).T):
            spread, mean = ad.std_mean(x, dim)
            wanted = numbers.std(dim, ddof=1) * size
            np.testing.assert_allclose(spread.numpy(), wanted, rtol=1e-12)
            scale = np.abs(numbers).max() * size
            np.testing.assert_allclose(
                mean.numpy(), numbers.mean(dim) * size, rtol=0, atol=1e-14 * scale
            )
            assert ad.std(x, dim).equal(spread)
            with np.errstate(over="ignore"):
                squared = (numbers.var(dim, ddof=1) * size) * size
            np.testing.assert_allclose(ad.var(x, dim).numpy(), squared, rtol=1e-12)


@pytest.mark.parametrize("backend", ["native", "reference"])
@pytest.mark.parametrize("dim", [None, 0, 1])
@pytest.mark.parametrize("size", [1e-140, 1e-154, 1e-170, 1e-300])
def test_spreads_of_numbers_whose_squares_vanish(
    backend: str, dim: int | None, size: float
) -> None:
    unit = np.random.default_rng(0).uniform(-2, 5, (70, 300))
    for numbers in (unit, unit[:2], unit[:, :2], unit - unit.mean()):
        for x in (ad.tensor(numbers * size), ad.tensor(numbers.T.copy() * size).T):
            with ad.use_backend(backend):
                spread, mean = ad.std_mean(x, dim)
                var = ad.var(x, dim)
            wanted = numbers.std(dim, ddof=1) * size
            np.testing.assert_allclose(spread.numpy(), wanted, rtol=1e-12)
            np.testing.assert_allclose(
                mean.numpy(), numbers.mean(dim) * size, rtol=0, atol=1e-13 * size
            )
            squared = (numbers.var(dim, ddof=1) * size) * size
            np.testing.assert_allclose(var.numpy(), squared, rtol=1e-12, atol=1e-322)
    for same in (0.0, 1e-170, -3e-300, 1.0):
        assert (ad.full((70, 3), same, dtype=ad.float64).std(0) == 0).all()


def test_a_mean_beside_a_variance_does_not_overflow() -> None:
    x = ad.full((40, 3), 3.3e38)
    for dim in (None, 0, 1):
        var, mean = ad.var_mean(x, dim)
        assert (var == 0).all()
        assert (mean == x[0, 0]).all()
    # of numbers that are not finite it is what their sum is
    cases = (
        [1.0, math.inf],
        [math.inf, 1.0],
        [math.inf, math.inf],
        [2.0, -math.inf, 1.0],
        [math.inf, -math.inf],
        [1.0, math.nan],
    )
    for dtype in (ad.float32, ad.float64):
        for case in cases:
            var, mean = ad.var_mean(ad.tensor(case, dtype=dtype))
            assert math.isnan(var.item())
            np.testing.assert_equal(mean.item(), sum(case))


def test_gradients_of_a_variance_and_its_mean_add_up() -> None:
    x = ad.tensor(np.random.default_rng(0).normal(size=(4, 5)), requires_grad=True)
    for with_mean, alone in ((ad.var_mean, ad.var), (ad.std_mean, ad.std)):
        spread, mean = with_mean(x, 1)
        (one,) = ad.autograd.grad((spread * mean).sum() + mean.sum(), x)
        (other,) = ad.autograd.grad(
            (alone(x, 1) * x.mean(1)).sum() + x.mean(1).sum(), x
        )
        np.testing.assert_allclose(one.numpy(), other.numpy(), rtol=1e-12)
        (one,) = ad.autograd.grad(with_mean(x, 1)[1].sum(), x)
        assert (one == 0.2).all()


def test_variance_far_from_0_is_accurate():
    x = (np.random.default_rng(0).standard_normal((1000, 3)) + 1e4).astype(np.float32)
    exact = x.astype(np.float64).var(0, ddof=1)
    np.testing.assert_allclose(ad.tensor(x).var(0).numpy(), exact, rtol=1e-6)


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize(
    "name", ["sum", "mean", "std", "norm", "amax", "prod", "logsumexp"]
)
@pytest.mark.parametrize("dim", [0, 1, (0, 1)])
def test_any_number_of_threads_gives_the_same_bits(name, dim):
    if name == "prod" and isinstance(dim, tuple):
        pytest.skip("prod takes one axis")
    x = ad.tensor(np.random.default_rng(0).random((700, 130)).astype(np.float32))
    kwargs = {"dim": dim}
    results = []
    for threads in (1, 2, 5):
        with native.exact_threads(threads, uneven=threads > 2):
            results.append(getattr(x, name)(**kwargs).numpy())
    for other in results[1:]:
        np.testing.assert_array_equal(results[0], other)


def test_sums_do_not_care_about_the_layout_of_images():
    x = np.random.default_rng(0).standard_normal((4, 6, 9, 9)).astype(np.float32)
    plain = ad.tensor(x)
    image = plain.contiguous(memory_format=ad.channels_last)
    for dim in ((0, 2, 3), 1, (2, 3), None):
        np.testing.assert_allclose(
            image.sum(dim).numpy(), plain.sum(dim).numpy(), rtol=1e-5, atol=1e-5
        )


def test_any_and_all_of_uint8_are_uint8():
    x = ad.tensor(np.array([[0, 3], [2, 1]], np.uint8))
    for result, expected in (
        (x.any(), 1),
        (x.all(), 0),
        (x.any(1), [1, 1]),
        (x.all(1), [0, 1]),
    ):
        assert result.dtype == ad.uint8
        assert result.tolist() == expected
    assert x.bool().all().dtype == x.to(ad.int8).any().dtype == ad.bool


def test_errors_name_the_function_that_was_called():
    with pytest.raises(ShapeError, match=r"^max: shape \(0,\) has no elements"):
        ad.zeros(0).max()
    with pytest.raises(ShapeError, match=r"^min: axes \(0,\) of shape \(0, 2\)"):
        ad.zeros(0, 2).min(0)
    with pytest.raises(IndexError, match=r"^max: dim must be from -1"):
        ad.zeros(2).max(1)
    with pytest.raises(ValueError, match=r"p must be 'fro', a number .*, got 'x'"):
        ad.norm(ad.ones(2), p="x")
    with pytest.raises(ShapeError, match=r"^masked_fill: a mask of shape"):
        ad.ones(2, 3).masked_fill(ad.ones(4).bool(), 1.0)
    with pytest.raises(ShapeError, match=r"^copy_: a source of shape"):
        ad.ones(2, 3).copy_(ad.ones(4))
    with pytest.raises(ShapeError, match=r"^fill_: expected one value"):
        ad.ones(2, 3).fill_(ad.ones(3))


def test_dims_may_be_of_numpy():
    x = ad.ones(2, 3)
    for name in ("sum", "mean", "var", "amax", "logsumexp"):
        assert getattr(x, name)(dim=np.int64(1)).shape == (2,)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("columns", [2, 3, 7, 8, 16, 17, 32])
@pytest.mark.parametrize("rows", [1, 15, 40, 1000])
def test_logsumexp_of_short_rows(rows: int, columns: int, dtype: str) -> None:
    """Tiles of rows, the last of them in part; infinite and unknown elements."""
    rng = np.random.default_rng(rows * columns)
    x = (30 * rng.standard_normal((rows, columns))).astype(dtype)
    x[rng.integers(rows)] = -np.inf
    for special in (np.inf, -np.inf, np.nan):
        x[rng.integers(rows), rng.integers(columns)] = special
    with np.errstate(invalid="ignore"):
        expected = np.logaddexp.reduce(x.astype(np.float64), 1)
    near = 4 * np.finfo(dtype).eps
    found = ad.logsumexp(ad.tensor(x), 1).numpy()
    np.testing.assert_allclose(found, expected, rtol=near, atol=near)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("columns", [3, 40, 1030])
@pytest.mark.parametrize("rows", [70, 1000])
def test_logsumexp_of_columns_in_pieces(rows: int, columns: int, dtype: str) -> None:
    """Sums of a few rows meet; infinite and unknown elements, far maxima."""
    rng = np.random.default_rng(rows * columns)
    x = (30 * rng.standard_normal((rows, columns))).astype(dtype)
    x[: rows // 2] += 500
    x[:, rng.integers(columns)] = -np.inf
    x[: rows // 3, rng.integers(columns)] = -np.inf
    for special in (np.inf, np.nan):
        x[rng.integers(rows), rng.integers(columns)] = special
    with np.errstate(invalid="ignore"):
        expected = np.logaddexp.reduce(x.astype(np.float64), 0)
    near = 4 * np.finfo(dtype).eps
    found = ad.logsumexp(ad.tensor(x), 0).numpy()
    np.testing.assert_allclose(found, expected, rtol=near, atol=near)


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("isa", available_isas())
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("columns", [5, 64, 1030])
def test_logsumexp_of_columns_that_are_long(isa: str, columns: int, dtype: str) -> None:
    """Of elements that all count, in pieces and pieces of these."""
    rng = np.random.default_rng(columns)
    x = rng.uniform(-1, 1, (5000, columns)).astype(dtype)
    with use_isa(isa):
        found = ad.logsumexp(ad.tensor(x), 0).numpy()
    expected = np.log(np.exp(x.astype(np.longdouble)).sum(0))
    np.testing.assert_allclose(found, expected, rtol=4 * np.finfo(dtype).eps)


@pytest.mark.parametrize("dim", [0, 1])
def test_cumprod_of_floats_that_fades_away_ends_at_zero(dim):
    """Its total would stay at the smallest subnormal double, which costs time for ever."""
    factors = np.full(20_000, 0.75, dtype=np.float32)
    x = ad.tensor(factors.reshape(-1, 1) if dim == 0 else factors.reshape(1, -1))
    found = x.cumprod(dim).numpy().reshape(-1)
    wanted = np.cumprod(factors.astype(np.float64)).astype(np.float32)
    np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1.5e-45)
    far = [1e-38] * 8 + [1e38] * 8
    back = ad.tensor(far).reshape(-1, 1).cumprod(0)
    assert back[-1].item() == pytest.approx(1, rel=1e-5)


# ---- running sums ----


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("backward", [False, True])
def test_running_sums_of_lines_that_no_cache_holds(backward):
    values = np.random.default_rng(0).standard_normal((3, 800_003), np.float32)
    x = ad.tensor(values, requires_grad=backward)

    def run():
        if not backward:
            return x.cumsum(1).numpy()
        x.grad = None
        x.cumsum(1).sum().backward()
        return x.grad.numpy()

    with native.exact_threads(1):
        one = run()
    with native.exact_threads(3):
        np.testing.assert_array_equal(run(), one)
    if backward:
        expected = np.broadcast_to(np.arange(800_003, 0, -1), (3, 800_003))
    else:
        expected = np.cumsum(values.astype(np.float64), 1)
    np.testing.assert_allclose(one, expected, rtol=2e-7, atol=1e-9)


# ---- extrema of short lines ----


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("isa", available_isas())
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_extrema_of_lines_that_end_anywhere(dtype, isa):
    rng = np.random.default_rng(0)
    for n in (1, 2, 3, 5, 7, 8, 9, 15, 16, 17, 31, 33, 63, 64, 65, 2049):
        x = rng.standard_normal((6, n)).astype(dtype)
        x[2, n // 2], x[3], x[4], x[5, -1] = np.nan, -np.inf, np.inf, np.nan
        with use_isa(isa):
            for name in ("amax", "amin", "argmax", "argmin"):
                got = getattr(ad.tensor(x), name)(-1)
                np.testing.assert_array_equal(got, getattr(np, name)(x, -1))


# ---- distances ----


@pytest.mark.parametrize("many", [1, 50])
@pytest.mark.parametrize("dtype", [ad.float32, ad.float64])
def test_distances_of_rows_that_lie_close_together(dtype, many):
    apart = 1e-3 if dtype is ad.float32 else 1e-9
    x = ad.tensor([[1000.0, 1000.0], [-3.0, 4.0]], dtype=dtype, requires_grad=True)
    y = (x.detach() + ad.tensor([apart, 0.0], dtype=dtype)).requires_grad_()
    near = (y - x).detach()[0, 0].item()
    d = ad.cdist(x.repeat(many, 1), y.repeat(many, 1))
    assert d[0, 0].item() == pytest.approx(near, rel=1e-6)
    assert set(ad.cdist(x.repeat(many, 1), x.repeat(many, 1)).diagonal().tolist()) == {
        0
    }
    d[-2, 0].backward()
    tolerance = 1e-6 if dtype is ad.float32 else 1e-3
    np.testing.assert_allclose(x.grad, [[-1, 0], [0, 0]], atol=tolerance)
    np.testing.assert_allclose(y.grad, [[1, 0], [0, 0]], atol=tolerance)


def test_distances_of_large_numbers_do_not_overflow():
    x, y = ad.tensor([[3e30, 0.0]]), ad.tensor([[0.0, 4e30]])
    for many in (1, 100):
        d = ad.cdist(x.repeat(many, 1), y.repeat(many, 1))
        np.testing.assert_allclose(d, np.full((many, many), 5e30), rtol=1e-6)


@pytest.mark.parametrize("rows", [4, 140])
@pytest.mark.parametrize("p", [1.0, 2.0, 3.0, math.inf])
def test_distances_of_batches_that_broadcast(p, rows):
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((2, 1, rows, 3)), rng.standard_normal((5, 60, 3))
    got = ad.cdist(ad.tensor(x), ad.tensor(y), p)
    apart = np.abs(x[..., :, None, :] - y[..., None, :, :])
    want = apart.max(-1) if math.isinf(p) else (apart**p).sum(-1) ** (1 / p)
    np.testing.assert_allclose(got, want, rtol=1e-12)


@pytest.mark.usefixtures("compiled")
def test_distances_have_the_same_bits_for_any_number_of_threads():
    rng = np.random.default_rng(0)
    x, y = (
        ad.tensor(rng.standard_normal((n, 33)).astype(np.float32), requires_grad=True)
        for n in (150, 213)
    )
    results = []
    for threads in (1, 2, 5):
        with native.exact_threads(threads, uneven=threads > 2):
            d = ad.cdist(x, y)
            grads = ad.autograd.grad(d.square().sum(), (x, y))
            results.append([d.detach().numpy(), *(g.numpy() for g in grads)])
    for other in results[1:]:
        for one, same in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(one, same)


def test_sums_without_nan_keep_infinities_and_their_gradients():
    x = leaf([1.0, np.nan, np.inf])
    assert x.nansum().item() == np.inf
    x.nansum().backward()
    assert x.grad.tolist() == [1, 0, 1]


@pytest.mark.parametrize("dtype", [ad.float32, ad.float64])
def test_gradients_of_distances_keep_the_digits_of_near_rows_far_away(dtype):
    rng = np.random.default_rng(0)
    # in pairs, of which each lies somewhere else
    most = 1e3 if dtype is ad.float32 else 1e6
    far = rng.choice([-most, most], (200, 3)) * rng.integers(1, 9, (200, 3))
    near = rng.integers(-8, 9, (2, 200, 3)) / 4 + 0.125
    near[1] += 0.5
    x, y = (ad.tensor(far + each, dtype=dtype, requires_grad=True) for each in near)
    d = ad.cdist(x, y)
    d.diagonal().sum().backward()
    apart = near[0] - near[1]
    expected = apart / np.linalg.norm(apart, axis=1, keepdims=True)
    tolerance = 1e-6 if dtype is ad.float32 else 1e-14
    np.testing.assert_allclose(x.grad.numpy(), expected, rtol=0, atol=tolerance)
    np.testing.assert_allclose(y.grad.numpy(), -expected, rtol=0, atol=tolerance)


def test_gradients_of_distances_of_long_rows():
    x = ad.rand(40, 30_000, requires_grad=True)
    y = ad.rand(30, 30_000)
    weight = ad.rand(40, 30)
    (ad.cdist(x, y) * weight).sum().backward()
    apart = x.detach().double()[:, None] - y.double()
    expected = (apart / apart.norm(2, -1, keepdim=True) * weight[..., None]).sum(1)
    np.testing.assert_allclose(x.grad.numpy(), expected.numpy(), rtol=2e-4, atol=1e-6)


@pytest.mark.parametrize("shape", [(4,), (1000,), (5, 3), (40, 70), (3, 900)])
def test_extrema_of_zeros_have_one_sign_in_all_lanes(shape):
    zeros = np.zeros(shape, np.float32)
    zeros.reshape(-1)[::3] *= -1
    for x in (zeros, -zeros, np.abs(zeros), -np.abs(zeros)):
        for dim in range(len(shape)):
            for function in (ad.amax, ad.amin):
                assert not np.signbit(function(ad.tensor(x), dim).numpy()).any()
