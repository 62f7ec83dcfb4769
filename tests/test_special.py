"""Special functions against 40 digits, and what they give at their edges."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pyautodl as ad
from pyautodl import special
from pyautodl.autograd import gradcheck, gradgradcheck
from pyautodl.functional.draws import draw
from pyautodl.ops.eltwise.special import GAMMA_SLOPE, SPECIAL
from pyautodl.tensor import apply
from pyautodl.testing import available_isas, use_isa

mpmath: Any = pytest.importorskip("mpmath")
mpmath.mp.dps = 40

RNG = np.random.default_rng(0)


def _wide(low: float, high: float, count: int = 100) -> Any:
    """Numbers of all sizes from 10^low to 10^high."""
    return 10.0 ** RNG.uniform(low, high, count)


def _scaled_bessel(order: int) -> Callable[[Any], Any]:
    return lambda x: mpmath.besseli(order, x) * mpmath.exp(-abs(x))


def _sinc_slope(x: Any) -> Any:
    if abs(x) < 1e-8:
        return -(mpmath.pi**2) * x / 3 * (1 - (mpmath.pi * x) ** 2 / 10)
    return (mpmath.cospi(x) - mpmath.sincpi(x)) / x


_NEAR_ZEROS = np.concatenate([1 + 1e-7 * RNG.normal(size=20), 2 - _wide(-12, -3, 20)])
_NEGATIVE = -np.concatenate([_wide(-300, 2), RNG.uniform(0, 30, 100)])
_SIGNED = RNG.uniform(-60, 60, 100)

# name, function, exact function, arguments, what the error is relative to besides the value
CASES: list[tuple[str, Any, Any, Any, float]] = [
    (
        "lgamma",
        ad.lgamma,
        lambda x: mpmath.re(mpmath.loggamma(x)),
        np.concatenate([_wide(-300, 300), _wide(-3, 3), _NEAR_ZEROS]),
        0.0,
    ),
    (
        "lgamma below 0",
        ad.lgamma,
        lambda x: mpmath.re(mpmath.loggamma(x)),
        _NEGATIVE,
        1.0,
    ),
    (
        "digamma",
        ad.digamma,
        mpmath.digamma,
        np.concatenate([_wide(-300, 300), _wide(-3, 3), _NEGATIVE]),
        1.0,
    ),
    (
        "erfinv",
        ad.erfinv,
        mpmath.erfinv,
        np.concatenate([_wide(-300, -1), 1 - _wide(-15, -1), RNG.uniform(-1, 1, 99)]),
        0.0,
    ),
    (
        "ndtri",
        special.ndtri,
        lambda p: mpmath.sqrt(2) * mpmath.erfinv(2 * p - 1),
        np.concatenate([_wide(-20, -1), RNG.uniform(0, 1, 99)]),
        1.0,
    ),
    (
        "i0",
        ad.i0,
        lambda x: mpmath.besseli(0, x),
        np.concatenate([_wide(-300, 2.8), _SIGNED]),
        0.0,
    ),
    (
        "i1",
        special.i1,
        lambda x: mpmath.besseli(1, x),
        np.concatenate([_wide(-300, 2.8), _SIGNED]),
        0.0,
    ),
    ("i0e", special.i0e, _scaled_bessel(0), np.concatenate([_wide(-300, 5)]), 0.0),
    ("i1e", special.i1e, _scaled_bessel(1), np.concatenate([_wide(-300, 5)]), 0.0),
    (
        "sinc",
        ad.sinc,
        mpmath.sincpi,
        np.concatenate([_wide(-300, 0), _SIGNED, np.arange(1, 9) + 1e-5]),
        1e-20,
    ),
    (
        "sinc_slope",
        lambda x: apply(SPECIAL["sinc_slope"], x),
        _sinc_slope,
        np.concatenate([_wide(-290, 0), _SIGNED, [0.159, 0.16]]),
        0.3,
    ),
    *(
        (
            f"polygamma {n}",
            lambda x, n=n: ad.polygamma(n, x),
            lambda x, n=n: mpmath.polygamma(n, x),
            np.concatenate([_wide(-200 / (n + 1), 200 / (n + 1), 30), _NEGATIVE[100:]]),
            1.0 if n > 1 else 0.0,
        )
        for n in (1, 2, 4, 9)
    ),
]


@pytest.mark.parametrize("isa", available_isas())
@pytest.mark.parametrize("case", CASES, ids=[case[0] for case in CASES])
def test_against_forty_digits(case: Any, isa: str) -> None:
    _, function, exact, values, besides = case
    for dtype, ulp in ((np.float64, 2.0**-52), (np.float32, 2.0**-23)):
        limits = np.finfo(dtype)
        sizes = np.abs(values)
        inside = (sizes > limits.tiny) & (sizes < limits.max / 2)
        x = values[inside].astype(dtype)
        x = x[(x != np.rint(x)) | (x > 0)]
        if "erfinv" in case[0]:
            x = x[np.abs(x) < 1]
        with use_isa(isa):
            found = function(ad.tensor(x)).numpy()
        assert found.dtype == dtype
        for got, given in zip(found, x):
            expected = exact(mpmath.mpf(float(given)))
            if abs(expected) >= limits.max:
                assert abs(got) >= 0.99 * limits.max
                continue
            error = abs(mpmath.mpf(float(got)) - expected)
            most = 8 * ulp * (abs(expected) + besides) + limits.tiny
            assert error <= most, (given, got, expected)


# name, exact function, numbers, others, what the error is relative to besides the value
PAIRS: list[tuple[str, Any, Any, Any, float]] = [
    ("xlogy", lambda x, y: x * mpmath.log(y), _SIGNED, _wide(-30, 30), 0.0),
    ("xlog1py", lambda x, y: x * mpmath.log1p(y), _SIGNED, _wide(-30, 30), 0.0),
    (
        "logaddexp",
        lambda x, y: mpmath.log(mpmath.exp(x) + mpmath.exp(y)),
        _SIGNED,
        np.concatenate([_SIGNED[:50] + 3, RNG.uniform(-60, 60, 50)]),
        1.0,
    ),
    (
        "logaddexp2",
        lambda x, y: mpmath.log(mpmath.mpf(2) ** x + mpmath.mpf(2) ** y, 2),
        _SIGNED,
        np.concatenate([_SIGNED[:50] + 3, RNG.uniform(-60, 60, 50)]),
        1.0,
    ),
]


@pytest.mark.parametrize("isa", available_isas())
@pytest.mark.parametrize("case", PAIRS, ids=[case[0] for case in PAIRS])
def test_pairs_against_forty_digits(case: Any, isa: str) -> None:
    name, exact, *values, besides = case
    for dtype, ulp in ((np.float64, 2.0**-52), (np.float32, 2.0**-23)):
        x, y = (each.astype(dtype) for each in values)
        with use_isa(isa):
            found = getattr(special, name, getattr(ad, name, None))(
                ad.tensor(x), ad.tensor(y)
            ).numpy()
        assert found.dtype == dtype
        for got, a, b in zip(found, x, y):
            expected = exact(mpmath.mpf(float(a)), mpmath.mpf(float(b)))
            error = abs(mpmath.mpf(float(got)) - expected)
            assert error <= 2 * ulp * (abs(expected) + besides), (a, b, got, expected)


@pytest.mark.parametrize("isa", available_isas())
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_next_numbers_and_steps(isa: str, dtype: Any) -> None:
    limits = np.finfo(dtype)
    edges = [0.0, -0.0, 1.0, -1.0, math.inf, -math.inf, math.nan, limits.tiny]
    edges += [-limits.tiny, limits.max, -limits.max, limits.smallest_subnormal]
    edges += [-limits.smallest_subnormal, 0.5, 2.0, np.nextafter(dtype(1), dtype(2))]
    x, y = (each.ravel() for each in np.meshgrid(np.array(edges, dtype), edges))
    y = y.astype(dtype)
    with use_isa(isa):
        found = ad.nextafter(ad.tensor(x), ad.tensor(y)).numpy()
        steps = ad.heaviside(ad.tensor(x), ad.tensor(y)).numpy()
    with np.errstate(over="ignore", under="ignore"):
        wanted = np.nextafter(x, y)
    np.testing.assert_array_equal(found, wanted)
    known = ~np.isnan(wanted)
    np.testing.assert_array_equal(np.signbit(found)[known], np.signbit(wanted)[known])
    np.testing.assert_array_equal(steps, np.where(x == 0, y, x > 0))


def test_sinc_of_whole_numbers_is_0() -> None:
    for dtype in (ad.float32, ad.float64):
        found = ad.sinc(ad.tensor([1.0, -2.0, 1e6, 0.0, -0.0], dtype=dtype))
        assert found.tolist() == [0, 0, 0, 1, 1]
        edges = ad.sinc(ad.tensor([math.inf, -math.inf, math.nan], dtype=dtype))
        assert edges.isnan().all()


def test_edges() -> None:
    inf, nan = math.inf, math.nan
    for function, values, expected in (
        (ad.lgamma, [0.0, -1.0, 1.0, 2.0, inf, -inf], [inf, inf, 0, 0, inf, inf]),
        (ad.lgamma, [-0.0, -1e30], [inf, inf]),
        (ad.digamma, [0.0, -0.0, -3.0, inf, -inf], [-inf, inf, nan, inf, nan]),
        (lambda x: ad.polygamma(1, x), [0.0, -2.0, inf], [inf, inf, 0]),
        (ad.erfinv, [1.0, -1.0, 1.1, 0.0], [inf, -inf, nan, 0]),
        (special.ndtri, [0.0, 1.0, -0.1, 0.5], [-inf, inf, nan, 0]),
        (ad.i0, [0.0, inf, -inf], [1, inf, inf]),
        (special.i0e, [0.0, inf, -inf], [1, 0, 0]),
        (special.i1, [0.0, inf, -inf], [0, inf, -inf]),
        (special.i1e, [0.0, inf, -inf], [0, 0, 0]),
        (special.entr, [0.0, 1.0, -1.0], [0, 0, -inf]),
        (special.ndtr, [inf, -inf, 0.0], [1, 0, 0.5]),
    ):
        found = function(ad.tensor([*values, nan], dtype=ad.float64))
        np.testing.assert_array_equal(found.numpy(), [*expected, nan])


def test_products_of_logarithms() -> None:
    x = ad.tensor([0.0, 0.0, 2.0, 0.0], dtype=ad.float64, requires_grad=True)
    y = ad.tensor([0.0, math.inf, 3.0, math.nan], dtype=ad.float64, requires_grad=True)
    found = ad.xlogy(x, y)
    np.testing.assert_allclose(
        found.detach().numpy(), [0, 0, 2 * math.log(3), math.nan]
    )
    found[:3].sum().backward()
    np.testing.assert_allclose(y.grad.numpy(), [0, 0, 2 / 3, 0])
    (slope,) = ad.autograd.grad(ad.xlogy(x, 3.0).sum(), x)
    np.testing.assert_allclose(slope.numpy(), math.log(3))
    assert ad.xlogy(2, ad.tensor([1.0])).tolist() == [0.0]
    assert special.xlog1py(ad.tensor([0.0, 1.0]), -1.0).tolist() == [0.0, -math.inf]
    pair = [ad.rand(3, dtype=ad.float64).requires_grad_() for _ in range(2)]
    for function in (ad.xlogy, special.xlog1py):
        gradcheck(function, pair)
        gradgradcheck(function, pair)
    gradcheck(special.ndtr, pair[:1])
    gradcheck(special.entr, pair[:1])


def test_names_and_arguments() -> None:
    x = ad.tensor([1.5, 2.5])
    assert x.lgamma().tolist() == ad.lgamma(x).tolist() == special.gammaln(x).tolist()
    assert x.polygamma(1).tolist() == ad.polygamma(1, x).tolist()
    assert x.clone().digamma_().tolist() == special.psi(x).tolist()
    assert ad.polygamma(0, x).tolist() == ad.digamma(x).tolist()
    np.testing.assert_allclose(
        ad.mvlgamma(x, 2).numpy(),
        [math.lgamma(a) + math.lgamma(a - 0.5) + 0.5 * math.log(math.pi) for a in x],
        rtol=1e-6,
    )
    assert ad.lgamma(ad.tensor([3])).dtype is ad.float32
    with pytest.raises(ValueError, match="n must not be negative, got -1"):
        ad.polygamma(-1, x)
    with pytest.raises(ValueError, match="p must be at least 1, got 0"):
        ad.mvlgamma(x, 0)
    with pytest.raises(TypeError, match="lgamma: "):
        ad.lgamma([1.0])  # type: ignore[arg-type]


def test_the_same_as_torch() -> None:
    torch = pytest.importorskip("torch")
    x = RNG.uniform(-5, 8, 200)
    for name in ("lgamma", "digamma", "i0", "i0e", "i1", "i1e", "ndtr", "entr"):
        found = getattr(special, "gammaln" if name == "lgamma" else name)(ad.tensor(x))
        expected = getattr(torch.special, "gammaln" if name == "lgamma" else name)
        np.testing.assert_allclose(
            found.numpy(), expected(torch.tensor(x)).numpy(), rtol=1e-9, atol=1e-12
        )


@pytest.mark.parametrize("shape", [0.01, 0.7, 5.0, 80.0, 900.0, 1500.0, 1e6])
def test_slope_of_gamma_draws(shape: float) -> None:
    # at a fixed probability the draw moves with its shape
    draws = RNG.gamma(shape, size=12)
    draws = draws[draws > 0]
    logs = [float(mpmath.log(mpmath.mpf(float(x)))) for x in draws]
    given = ad.tensor(np.full(len(draws), shape))
    got = apply(GAMMA_SLOPE, given, ad.tensor(np.array(logs))).numpy()
    a, step = mpmath.mpf(shape), mpmath.mpf(shape) * mpmath.mpf(10) ** -12
    for slope, x in zip(got, draws[: 12 if shape < 1000 else 3]):
        x = mpmath.mpf(float(x))

        def chance(a: Any, x: Any = x) -> Any:
            if x < shape + 1:
                return mpmath.gammainc(a, 0, x, regularized=True)
            return -mpmath.gammainc(a, x, mpmath.inf, regularized=True)

        change = (chance(a + step) - chance(a - step)) / (2 * step)
        log_density = a * mpmath.log(x) - x - mpmath.loggamma(a)
        expected = -change / mpmath.exp(log_density)
        assert slope == pytest.approx(
            float(expected), rel=1e-12 if shape < 1000 else 1e-6
        )


@pytest.mark.parametrize("periodic", [True, False])
@pytest.mark.parametrize("length", [0, 1, 2, 7, 64])
def test_kaiser_windows(length: int, periodic: bool) -> None:
    for beta in (0.0, 3.0, 12.0, 50.0):
        found = ad.kaiser_window(length, periodic, beta, dtype=ad.float64)
        full = np.kaiser(length + periodic, beta)[:length] if length > 1 else 1.0
        np.testing.assert_allclose(
            found.numpy(), full * np.ones(length), rtol=1e-12, atol=1e-14
        )


DRAWS = [
    ("gamma", 0.3, 0.0, 0.3, 0.3),
    ("gamma", 9.0, 0.0, 9.0, 9.0),
    ("poisson", 0.7, 0.0, 0.7, 0.7),
    ("poisson", 40.0, 0.0, 40.0, 40.0),
    ("binomial", 12.0, 0.3, 3.6, 2.52),
    ("binomial", 90.0, 0.8, 72.0, 14.4),
]


@pytest.mark.parametrize("case", DRAWS)
def test_draws_are_the_same_bits_for_any_threads(case: Any) -> None:
    kind, first, second, mean, variance = case
    sizes = (20000,)
    a, b = ad.full(sizes, first), ad.full(sizes, float(second))
    found = []
    before = ad.get_num_threads()
    for threads in (1, 2, 4):
        ad.set_num_threads(threads)
        found.append(draw(kind, a, b, ad.Generator().manual_seed(5)).numpy())
    ad.set_num_threads(before)
    assert found[0].tobytes() == found[1].tobytes() == found[2].tobytes()
    spread = math.sqrt(variance / 20000)
    assert abs(found[0].mean(dtype=np.float64) - mean) < 5 * spread
    assert found[0].var(dtype=np.float64) == pytest.approx(variance, rel=0.08)


@pytest.mark.parametrize("case", [*DRAWS, ("log_gamma", 0.02, 0.0, 0, 0)])
def test_draws_are_those_of_the_reference(case: Any) -> None:
    kind, first, second = case[:3]
    a = ad.full((300,), first, dtype=ad.float64)
    b = ad.full((300,), float(second), dtype=ad.float64)
    ad.manual_seed(2)
    found, state = draw(kind, a, b), ad.get_rng_state()
    with ad.use_backend("reference"):
        ad.manual_seed(2)
        expected = draw(kind, a, b)
    np.testing.assert_allclose(found.numpy(), expected.numpy(), rtol=1e-12)
    assert (state == ad.get_rng_state()).all()


def test_draws_follow_their_distribution() -> None:
    stats: Any = pytest.importorskip("scipy.stats")
    generator = ad.Generator().manual_seed(0)

    def drawn(kind: str, first: float, second: float = 0.0) -> Any:
        a = ad.full((50000,), first, dtype=ad.float64)
        b = ad.full((50000,), float(second), dtype=ad.float64)
        return draw(kind, a, b, generator).numpy()

    for shape in (0.05, 0.9, 1.0, 2.5, 300.0):
        x = drawn("gamma", shape)
        assert stats.kstest(x, stats.gamma(shape).cdf).pvalue > 1e-3
    for kind, law in (
        (("poisson", 6.0), stats.poisson(6)),
        (("poisson", 35.0), stats.poisson(35)),
        (("binomial", 15.0, 0.4), stats.binom(15, 0.4)),
        (("binomial", 80.0, 0.35), stats.binom(80, 0.35)),
        (("binomial", 80.0, 0.9), stats.binom(80, 0.9)),
    ):
        low, high = law.ppf(0.001), law.ppf(0.999)
        values = np.clip(drawn(*kind), low, high)
        bins = np.arange(low, high + 1)
        counts = np.array([(values == k).sum() for k in bins])
        chances = law.pmf(bins)
        chances[0], chances[-1] = law.cdf(low), law.sf(high - 1)
        assert stats.chisquare(counts, chances * 50000).pvalue > 1e-3


def test_draws_check_their_parameters() -> None:
    x = ad.ones(2)
    assert ad.poisson(ad.zeros(3)).tolist() == [0.0] * 3
    assert ad.binomial(ad.tensor([4.0]), ad.ones(2)).tolist() == [4.0, 4.0]
    for make, error, match in (
        (lambda: ad.poisson(-x), ValueError, "poisson: expected finite rates"),
        (lambda: ad.poisson(x / 0), ValueError, "poisson: expected finite rates"),
        (lambda: ad.poisson(x.long()), ad.DTypeError, "expected parameters of one"),
        (lambda: ad.binomial(-x, x), ValueError, "expected finite counts"),
        (lambda: ad.binomial(x, 2 * x), ValueError, "expected chances from 0 to 1"),
        (lambda: ad.binomial(x.double(), x), ad.DTypeError, "of one floating type"),
        (lambda: ad.binomial(x, ad.ones(3)), ad.ShapeError, "do not broadcast"),
    ):
        with pytest.raises(error, match=match):
            make()


def test_gradients_pass_gamma_draws() -> None:
    shape = ad.tensor([0.5, 3.0, 40.0], dtype=ad.float64, requires_grad=True)
    ad.manual_seed(0)
    x = draw("gamma", shape.expand(40000, 3), shape.expand(40000, 3).detach())
    # the mean of draws is their shape, that of their squares shape + shape^2
    (grad,) = ad.autograd.grad(x.mean(0).sum(), shape, retain_graph=True)
    np.testing.assert_allclose(grad.numpy(), 1, rtol=0.03)
    (grad,) = ad.autograd.grad(x.square().mean(0).sum(), shape)
    np.testing.assert_allclose(grad.numpy(), 1 + 2 * shape.detach().numpy(), rtol=0.05)
    # the mean of their logarithms is digamma of the shape
    logs = draw("log_gamma", shape.expand(40000, 3), shape.expand(40000, 3).detach())
    (grad,) = ad.autograd.grad(logs.mean(0).sum(), shape)
    expected = ad.polygamma(1, shape.detach()).numpy()
    np.testing.assert_allclose(grad.numpy(), expected, rtol=0.03)


@pytest.mark.parametrize("function", [ad.xlogy, special.xlog1py])
def test_the_product_of_0_and_the_logarithm_of_nan_has_nan_as_its_gradients(
    function,
) -> None:
    x = ad.tensor([0.0, 2.0, 0.0], requires_grad=True)
    y = ad.tensor([np.nan, np.nan, 0.5], requires_grad=True)
    value = function(x, y)
    value.sum().backward()
    for found in (value, x.grad, y.grad):
        assert found.isnan().tolist() == [True, True, False]
