"""Elementwise functions: what the records of the ops can't say."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest

import pyautodl as ad
import pyautodl.nn.functional as F
from pyautodl import nn
from pyautodl.errors import DTypeError, ShapeError
from pyautodl.testing import available_isas, use_isa

INF, NAN = math.inf, math.nan


def gradient(function: Any, *values: Any, dtype: Any = ad.float64) -> list[Any]:
    """The gradients of the summed result at the values."""
    xs = [ad.tensor(v, dtype=dtype, requires_grad=True) for v in values]
    y = function(*xs)
    y.backward(ad.ones_like(y))
    return [x.grad.tolist() for x in xs]


# ---- the lecture's functions ----


def test_leaky_relu_is_the_greater_of_x_and_a_tenth() -> None:
    x = ad.tensor([-2.0, 0.0, 3.0], dtype=ad.float64, requires_grad=True)
    for y in (F.leaky_relu(x), nn.LeakyReLU()(x), ad.maximum(0.1 * x, x)):
        assert y.tolist() == [-0.2, 0.0, 3.0]
    F.leaky_relu(x).backward(ad.ones_like(x))
    # the slope itself at 0
    assert x.grad.tolist() == [0.1, 0.1, 1.0]
    assert nn.LeakyReLU(0.01)(x).tolist() == [-0.02, 0.0, 3.0]
    assert repr(nn.LeakyReLU()) == "LeakyReLU(negative_slope=0.1)"


def test_maxout_is_the_greatest_of_its_linear_pieces() -> None:
    layer = nn.Maxout(2, 1, pieces=2)
    assert layer.weight.shape == (2, 2)
    with ad.no_grad():
        layer.weight.copy_(ad.tensor([[1.0, 2.0], [-1.0, 0.5]]))
        layer.bias.copy_(ad.tensor([0.5, -0.5]))
    x = ad.tensor([[1.0, 1.0], [-3.0, 0.0]], requires_grad=True)
    y = layer(x)
    # max(w1.x + b1, w2.x + b2): 3.5 | -1.0 and -2.5 | 2.5
    assert y.tolist() == [[3.5], [2.5]]
    y.backward(ad.ones_like(y))
    assert x.grad.tolist() == [[1.0, 2.0], [-1.0, 0.5]]
    assert layer.weight.grad.tolist() == [[1.0, 1.0], [-3.0, 0.0]]
    assert layer.bias.grad.tolist() == [1.0, 1.0]


def test_maxout_of_many_outputs_and_pieces() -> None:
    layer = nn.Maxout(4, 3, pieces=5, dtype=ad.float64)
    x = np.random.default_rng(0).standard_normal((7, 4))
    pieces = x @ layer.weight.detach().numpy().T + layer.bias.detach().numpy()
    want = pieces.reshape(7, 3, 5).max(2)
    np.testing.assert_allclose(layer(ad.tensor(x)).detach().numpy(), want)
    with pytest.raises(ShapeError, match="maxout: axis -1 must be a multiple of 2"):
        F.maxout(ad.ones(3))


def test_the_lectures_activations() -> None:
    x = ad.tensor([-1.0, 0.0, 2.0], dtype=ad.float64)
    assert ad.relu(x).tolist() == [0.0, 0.0, 2.0]
    assert F.sigmoid(x).tolist()[1] == 0.5
    np.testing.assert_allclose(F.elu(x).numpy(), [math.expm1(-1), 0, 2])
    np.testing.assert_allclose(ad.tanh(x).numpy(), np.tanh([-1, 0, 2]))


# ---- kinks ----

KINKS: list[tuple[str, Any, float, float]] = [
    ("relu", ad.relu, 0.0, 0.0),
    ("relu6", F.relu6, 0.0, 0.0),
    ("relu6", F.relu6, 6.0, 0.0),
    ("hardtanh", F.hardtanh, -1.0, 0.0),
    ("hardtanh", F.hardtanh, 1.0, 0.0),
    ("hardswish", F.hardswish, -3.0, 0.0),
    ("hardswish", F.hardswish, 3.0, 1.0),
    ("hardsigmoid", F.hardsigmoid, -3.0, 0.0),
    ("hardsigmoid", F.hardsigmoid, 3.0, 0.0),
    ("clamp", lambda x: x.clamp(-1, 1), -1.0, 1.0),
    ("clamp", lambda x: x.clamp(-1, 1), 1.0, 1.0),
    ("clamp_min", lambda x: x.clamp_min(1), 1.0, 1.0),
    ("clamp with tensors", lambda x: x.clamp(ad.tensor(0.0), ad.tensor(1.0)), 1.0, 1.0),
    ("leaky_relu", lambda x: F.leaky_relu(x, 0.25), 0.0, 0.25),
    ("elu", lambda x: F.elu(x, 1.5), 0.0, 1.5),
    ("celu", lambda x: F.celu(x, 1.5), 0.0, 1.0),
    ("abs", ad.abs, 0.0, 0.0),
    ("sign", ad.sign, 0.0, 0.0),
    ("maximum", lambda x: ad.maximum(x, ad.tensor([2.0])), 2.0, 0.5),
    ("minimum", lambda x: ad.minimum(ad.tensor([2.0]), x), 2.0, 0.5),
    ("threshold", lambda x: F.threshold(x, 1.0, 5.0), 1.0, 0.0),
    ("prelu", lambda x: F.prelu(x, ad.tensor([0.25])), 0.0, 0.25),
    ("hardshrink", F.hardshrink, 0.5, 0.0),
    ("softshrink", F.softshrink, 0.5, 0.0),
]


@pytest.mark.parametrize(
    ("function", "at", "want"),
    [each[1:] for each in KINKS],
    ids=[f"{name} at {at}" for name, _, at, _ in KINKS],
)
def test_gradient_at_kinks(function: Any, at: float, want: float) -> None:
    assert gradient(function, [at], dtype=ad.float32) == [[want]]


def test_layers_have_the_same_gradients_at_kinks() -> None:
    assert gradient(nn.ReLU6(), [0.0, 6.0, 3.0]) == [[0.0, 0.0, 1.0]]
    assert gradient(nn.Hardswish(), [-3.0, 3.0]) == [[0.0, 1.0]]
    assert gradient(nn.Hardtanh(-2, 2), [-2.0, 0.0, 2.0]) == [[0.0, 1.0, 0.0]]


def test_nan_passes_through_clamp_and_extrema() -> None:
    x = ad.tensor([NAN, 1.0])
    for y in (
        x.clamp(0, 1),
        ad.maximum(x, ad.tensor([0.0, NAN])),
        ad.minimum(x, ad.tensor([0.0, 0.0])),
        ad.relu(x),
        F.relu6(x),
    ):
        assert math.isnan(y.tolist()[0])
    assert ad.fmax(x, ad.tensor([2.0, NAN])).tolist() == [2.0, 1.0]


# ---- gradients far out and at 0 ----

FLOATS = pytest.mark.parametrize("dtype", [ad.float32, ad.float64])


@FLOATS
def test_angles_have_gradients_at_0_and_far_out(dtype: Any) -> None:
    y, x = [0.0, 1e-25, 1e25, 3.0, 1.0, INF], [0.0, 1e-25, 1e25, -4.0, INF, 1.0]
    of_y, of_x = gradient(ad.atan2, y, x, dtype=dtype)
    near = {"rtol": 1e-6, "atol": 0}
    np.testing.assert_allclose(of_y, [0, 5e24, 5e-26, -0.16, 0, 0], **near)
    np.testing.assert_allclose(of_x, [0, -5e24, -5e-26, -0.12, 0, 0], **near)


@FLOATS
def test_angles_have_second_gradients_at_0_and_far_out(dtype: Any) -> None:
    y, x = (
        ad.tensor(v, dtype=dtype, requires_grad=True)
        for v in ([0.0, 1e-15, 1e25, 3.0], [0.0, 1e-15, 1e25, -4.0])
    )
    (of_y,) = ad.autograd.grad(ad.atan2(y, x).sum(), y, create_graph=True)
    found = [g.tolist() for g in ad.autograd.grad(of_y.sum(), (y, x))]
    # -2 x y / (x^2 + y^2)^2 and (y^2 - x^2) / (x^2 + y^2)^2
    expected = [[0, -5e29, 0, 24 / 625], [0, 0, 0, -7 / 625]]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-45)


@FLOATS
@pytest.mark.parametrize("approximate", ["none", "tanh"])
def test_gelu_is_straight_far_out(approximate: str, dtype: Any) -> None:
    far = [1e4, -1e4, 1e9, -1e9, 1e30, -1e30, 0.0]
    x = ad.tensor(far, dtype=dtype, requires_grad=True)
    y = F.gelu(x, approximate=approximate)
    (slope,) = ad.autograd.grad(y.sum(), x, create_graph=True)
    (bend,) = ad.autograd.grad(slope.sum(), x)
    expected = [0.0] * 6 + [math.sqrt(2 / math.pi)]
    np.testing.assert_allclose(bend.tolist(), expected, rtol=1e-6)


# ---- gradients that must not be poisoned ----


def _check(function: Any, at: list[float], want: list[float]) -> None:
    np.testing.assert_array_equal(gradient(function, at)[0], want)


def test_the_branch_not_taken_does_not_poison() -> None:
    _check(lambda x: ad.where(x > 0, x.sqrt(), x), [-1.0, -4.0], [1.0, 1.0])
    _check(lambda x: ad.where(x <= 0, x.exp(), 1 + x), [1000.0], [1.0])
    _check(lambda x: ad.where(x == 0, 0.0, x * x.sqrt()), [0.0], [0.0])
    _check(lambda x: ad.where(x > 0, x.log(), 0.0), [0.0, 2.0], [0.0, 0.5])
    _check(lambda x: ad.where(x != 0, 1 / x, 0.0), [0.0, 2.0], [0.0, -0.25])
    _check(lambda x: ad.where(x < 1, x.asin(), x), [1.0], [1.0])


UNARY = """abs acos acosh asin asinh atan atanh cos cosh erf erfc exp exp2 expm1 frac log
log10 log1p log2 reciprocal rsqrt sigmoid sin sinh sqrt square tan tanh""".split()
ACTIVATIONS = """celu elu gelu hardsigmoid hardswish hardtanh leaky_relu logsigmoid mish
relu relu6 selu silu softplus softsign""".split()


@pytest.mark.parametrize("name", UNARY + ACTIVATIONS)
@pytest.mark.parametrize("order", [1, 2])
def test_a_gradient_of_zero_stays_zero(name: str, order: int) -> None:
    function = getattr(F, name, None) or getattr(ad, name)
    at = [0.0, -0.0, 1.0, -1.0, INF, -INF, NAN, 1e300, -5.0]
    x = ad.tensor(at, dtype=ad.float64, requires_grad=True)
    y = function(x)
    zero = ad.zeros_like(x).requires_grad_()
    (g,) = ad.autograd.grad(y, [x], [zero], create_graph=True)
    assert g.tolist() == [0.0] * len(at)
    if order == 2 and g.requires_grad:
        found = ad.autograd.grad(g, [x], [ad.ones_like(x)], allow_unused=True)[0]
        if found is not None:
            assert found.tolist() == [0.0] * len(at)


def test_products_and_quotients_with_a_gradient_of_zero() -> None:
    for function in (
        ad.mul,
        ad.div,
        ad.pow,
        ad.atan2,
        ad.remainder,
        lambda a, b: ad.addcmul(a, a, b),
        lambda a, b: ad.addcdiv(a, b, a),
        lambda a, b: ad.lerp(a, b, 0.25),
    ):
        a = ad.tensor([0.0, INF, NAN, 1.0], dtype=ad.float64, requires_grad=True)
        b = ad.tensor([INF, 0.0, 1.0, 0.0], dtype=ad.float64, requires_grad=True)
        y = function(a, b)
        y.backward(ad.zeros_like(y))
        assert a.grad.tolist() == [0.0] * 4
        assert b.grad.tolist() == [0.0] * 4


def test_the_branch_not_taken_does_not_poison_second_order() -> None:
    x = ad.tensor([-4.0, 4.0], dtype=ad.float64, requires_grad=True)
    y = ad.where(x > 0, x.sqrt(), x * x)
    (g,) = ad.autograd.grad(y, [x], [ad.ones_like(x)], create_graph=True)
    assert g.tolist() == [-8.0, 0.25]
    (gg,) = ad.autograd.grad(g, [x], [ad.ones_like(x)])
    assert gg.tolist() == [2.0, -0.25 * 4**-1.5]


def test_sqrt_at_zero_keeps_its_infinite_slope() -> None:
    assert gradient(ad.sqrt, [0.0]) == [[INF]]


# ---- powers ----


def test_gradients_of_powers_of_zero_are_finite() -> None:
    base, exponent = gradient(ad.pow, [0.0, 2.0], [1.0, 1.0])
    assert base == [1.0, 1.0]
    np.testing.assert_allclose(exponent, [0.0, 2 * math.log(2)], rtol=1e-15)
    # 0 ** 0 is 1 for every base, 0 ** -1 has no finite slope
    base, exponent = gradient(ad.pow, [0.0, 0.0], [0.0, 2.0])
    assert base == [0.0, 0.0]
    assert exponent == [0.0, 0.0]


def test_a_power_takes_no_logarithm_for_the_gradient_of_its_base(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from pyautodl.ops import eltwise
    from pyautodl.ops.record import OPS

    def refuse(*args: Any, **attrs: Any) -> Any:
        raise AssertionError("a logarithm was computed")

    fake = type("Fake", (), {"name": "log", "rule": refuse, "forward": refuse})
    monkeypatch.setitem(OPS, "log", fake())  # type: ignore[arg-type]
    x = ad.tensor([-2.0, 0.0, 3.0], dtype=ad.float64, requires_grad=True)
    y = x ** ad.tensor([2.0, 2.0, 0.0], dtype=ad.float64)
    y.backward(ad.ones_like(y))
    assert x.grad.tolist() == [-4.0, 0.0, 0.0]
    assert eltwise.MATH["log"] is not OPS["log"]


def test_powers_of_numbers() -> None:
    x = ad.tensor([4.0, 9.0], dtype=ad.float64)
    assert (x**2).tolist() == [16.0, 81.0]
    assert (x**0.5).tolist() == [2.0, 3.0]
    assert (x**-1).tolist() == [0.25, 1 / 9]
    assert (x**0).tolist() == [1.0, 1.0]
    np.testing.assert_allclose((2**x).numpy(), [16.0, 512.0])
    assert (ad.tensor([2, 3]) ** 3).tolist() == [8, 27]
    assert (2 ** ad.tensor([3, 0])).tolist() == [8, 1]
    with pytest.raises(
        ValueError, match="pow: integers have no integer powers below 0"
    ):
        ad.tensor([2]) ** -1
    assert gradient(lambda e: 2**e, [3.0])[0][0] == pytest.approx(8 * math.log(2))
    assert gradient(lambda x: x**3, [-2.0, 0.0]) == [[12.0, 0.0]]


# ---- types ----


def test_promotion_of_results() -> None:
    i, u, f, d = (
        ad.tensor([6, 7]),
        ad.tensor([6, 7], dtype=ad.uint8),
        ad.tensor([1.5, 2.0]),
        ad.tensor([1.5, 2.0], dtype=ad.float64),
    )
    b = ad.tensor([True, False])
    cases = [
        (i + 1, ad.int64),
        (i + 1.0, ad.float32),
        (u + 3, ad.uint8),
        (u + i, ad.int64),
        (f + d, ad.float64),
        (f + 1, ad.float32),
        (d * 2.5, ad.float64),
        (f * i, ad.float32),
        (i / 2, ad.float32),
        (i / i, ad.float32),
        (u // 2, ad.uint8),
        (i % 4, ad.int64),
        (b + 1, ad.int64),
        (b + b, ad.bool),
        (b * 1.5, ad.float32),
        (i > 6, ad.bool),
        (f == i, ad.bool),
        (ad.sin(i), ad.float32),
        (ad.tensor(2.0, dtype=ad.float64) * f, ad.float32),
        (i**2, ad.int64),
        (i**0.5, ad.float32),
        (i.clamp(0, 6), ad.int64),
        (i.clamp(0.5, 6), ad.float32),
        (ad.where(b, f, 0), ad.float32),
        (ad.where(b, 1.0, 0.0), ad.float32),
        (ad.where(b, i, f), ad.float32),
        (ad.add(i, i, alpha=2), ad.int64),
        (b & b, ad.bool),
        (i.floor(), ad.int64),
        (ad.isnan(i), ad.bool),
    ]
    for number, (got, want) in enumerate(cases):
        assert got.dtype == want, f"case {number}: {got.dtype}, expected {want}"


def test_integers_are_computed_as_integers() -> None:
    big = ad.tensor([2**62, -(2**62)])
    assert (big + 1).tolist() == [2**62 + 1, -(2**62) + 1]
    assert (big * 2).tolist() == [-(2**63), -(2**63)]
    assert (ad.tensor([7, -7]) // 2).tolist() == [3, -4]
    assert (ad.tensor([7, -7]) % -3).tolist() == [-2, -1]
    assert (ad.tensor([250], dtype=ad.uint8) + 10).tolist() == [4]
    assert ad.div(ad.tensor([7, -7]), 2, rounding_mode="trunc").tolist() == [3, -3]
    assert (-ad.tensor([-128], dtype=ad.int8)).tolist() == [-128]
    smallest = ad.tensor([-(2**63)])
    assert (smallest // -1).tolist() == [-(2**63)]
    assert (smallest % -1).tolist() == [0]


@pytest.mark.parametrize("name", ["floor_divide", "remainder", "fmod"])
def test_integers_are_not_divided_by_zero(name: str) -> None:
    with pytest.raises(
        ZeroDivisionError, match=f"{name}: an integer tensor is divided"
    ):
        getattr(ad, name)(ad.tensor([1, 2]), ad.tensor([1, 0]))


def test_bools_are_not_subtracted() -> None:
    b = ad.tensor([True, False])
    with pytest.raises(DTypeError, match="sub: expected a tensor of numbers, got bool"):
        b - b
    with pytest.raises(DTypeError, match="neg: expected a tensor of numbers, got bool"):
        b.neg()


# ---- operators, in place ----


def test_operators() -> None:
    x = ad.tensor([7.0, -2.0])
    i = ad.tensor([6, 5])
    assert (1 - x).tolist() == [-6.0, 3.0]
    assert (14 / x).tolist() == [2.0, -7.0]
    assert (15 // ad.tensor([4.0])).tolist() == [3.0]
    assert (-7 % ad.tensor([4])).tolist() == [1]
    assert abs(x).tolist() == [7.0, 2.0]
    assert (+x).tolist() == [7.0, -2.0]
    assert (~ad.tensor([0, 5])).tolist() == [-1, -6]
    assert ((i & 3).tolist(), (i | 3).tolist(), (i ^ 3).tolist()) == (
        [2, 1],
        [7, 7],
        [5, 6],
    )
    assert ((i << 1).tolist(), (i >> 1).tolist()) == ([12, 10], [3, 2])
    assert (x == 7).tolist() == [True, False]
    assert (x != None).__class__ is bool  # noqa: E711 (what PyTorch gives)
    assert (np.float64(2) * x).dtype == ad.float32
    with pytest.raises(TypeError):
        x + "1"  # type: ignore[operator]


def test_operators_in_place() -> None:
    x = ad.tensor([1.0, 2.0])
    same = x
    x += 1
    x *= 2
    x -= 1
    x /= 3
    x **= 2
    assert x is same
    np.testing.assert_allclose(x.numpy(), [1.0, 25 / 9], rtol=1e-6)
    assert x.relu_() is x
    i = ad.tensor([1, 2])
    with pytest.raises(DTypeError, match="can't hold"):
        i += 0.5
    with pytest.raises(ShapeError, match="add_"):
        x += ad.ones(3, 2)


def test_activations_in_place() -> None:
    x = ad.tensor([-1.0, 2.0])
    assert F.leaky_relu(x, 0.5, inplace=True) is x
    assert x.tolist() == [-0.5, 2.0]
    assert nn.ReLU(inplace=True)(x) is x
    assert x.tolist() == [0.0, 2.0]
    w = ad.tensor([-1.0, 2.0], requires_grad=True)
    y = F.elu(w * 1.0, inplace=True)
    y.backward(ad.ones(2))
    np.testing.assert_allclose(w.grad.numpy(), [math.exp(-1), 1], rtol=1e-6)


# ---- layouts ----


def test_results_take_the_layout_of_the_first_dense_operand_of_their_shape() -> None:
    x = ad.rand(2, 4, 5, 3).permute(0, 3, 1, 2)  # channels-last
    bias = ad.rand(3, 1, 1)
    assert (x + bias).stride() == x.stride()
    assert (bias + x).stride() == x.stride()
    assert x.relu().stride() == x.stride()
    assert (x + ad.rand(2, 3, 4, 5)).stride() == x.stride()
    gaps = ad.from_numpy(np.zeros((3, 8))[:, ::2])
    assert (gaps * 2).is_contiguous()
    np.testing.assert_array_equal((x + bias).numpy(), x.numpy() + bias.numpy())


def test_long_rows_with_a_factor_for_each_and_a_transposed_operand() -> None:
    rng = np.random.default_rng(5)
    a, b, c = rng.random((700, 900)), rng.random((700, 1)), rng.random((900, 700))
    got = ad.tensor(a) * ad.tensor(b) + ad.tensor(c).permute(1, 0)
    np.testing.assert_array_equal(got.numpy(), a * b + c.T)


# ---- accuracy ----


def _ulps(got: np.ndarray[Any, Any], want: np.ndarray[Any, Any]) -> float:
    exact = want.astype(np.longdouble)
    distance = np.abs(got.astype(np.longdouble) - exact)
    return float((distance / np.spacing(np.abs(want.astype(got.dtype)))).max())


@pytest.mark.skipif(np.finfo(np.longdouble).nmant < 60, reason="no wider type")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_functions_are_within_three_units_in_the_last_place(dtype: str) -> None:
    rng = np.random.default_rng(6)
    wide = rng.standard_normal(4000) * 10.0 ** rng.integers(-6, 2, 4000)
    for name in "exp expm1 tanh sin cos atan asinh".split():
        x = wide.clip(-80, 80).astype(dtype)
        want = getattr(np, {"atan": "arctan", "asinh": "arcsinh"}.get(name, name))
        got = getattr(ad, name)(ad.tensor(x)).numpy()
        assert _ulps(got, want(x.astype(np.longdouble))) < 3, name
    for name in "log log2 log10 log1p sqrt".split():
        x = np.abs(wide).astype(dtype)
        got = getattr(ad, name)(ad.tensor(x)).numpy()
        assert _ulps(got, getattr(np, name)(x.astype(np.longdouble))) < 3, name
    x, y = np.abs(wide).astype(dtype), rng.uniform(-4, 4, 4000).astype(dtype)
    got = ad.pow(ad.tensor(x), ad.tensor(y)).numpy()
    assert _ulps(got, x.astype(np.longdouble) ** y.astype(np.longdouble)) < 2


def _normal(x: float) -> float:
    """The normal distribution up to x, accurate where it is small."""
    return 0.5 * math.erfc(-x * math.sqrt(0.5))


@pytest.mark.parametrize("isa", available_isas())
def test_the_normal_distribution_in_float32(isa: str) -> None:
    x = np.concatenate([np.linspace(-9, 9, 60_001), 10.0 ** np.linspace(-44, 1, 901)])
    x = x.astype(np.float32)
    numbers = x.astype(float).tolist()
    bell = [math.exp(-0.5 * each * each) / math.sqrt(2 * math.pi) for each in numbers]
    slope = [_normal(a) + a * b for a, b in zip(numbers, bell, strict=True)]
    t = ad.tensor(x, requires_grad=True)
    with use_isa(isa):
        erf = ad.erf(ad.tensor(x)).numpy()
        y = F.gelu(t)
        y.backward(ad.ones_like(y))
        ends = [F.gelu(ad.tensor([each])).item() for each in (-INF, INF, NAN)]
    assert _ulps(erf, np.array([math.erf(each) for each in numbers])) < 2
    gelu = np.array([each * _normal(each) for each in numbers])
    # the square of x is rounded, but for AVX-512
    assert _ulps(y.detach().numpy(), gelu) < 45
    np.testing.assert_allclose(t.grad.numpy(), slope, rtol=5e-6, atol=1e-7)
    np.testing.assert_array_equal(ends, [NAN, INF, NAN])


@pytest.mark.parametrize("isa", available_isas())
def test_exponentials_in_float32(isa: str) -> None:
    """Near 0, near the steps of tables, and near the largest numbers."""
    sizes = [10.0 ** np.linspace(-30, 1.9, 40_001), np.linspace(0, 1, 20_001)]
    x = np.concatenate([*sizes, *(-each for each in sizes)]).astype(np.float32)
    wide = x.astype(np.float64)
    want = {
        "exp": (np.exp(wide), 1.1),
        "expm1": (np.expm1(wide), 2.0),
        "tanh": (np.tanh(wide), 2.8),
        "sigmoid": (1 / (1 + np.exp(-wide)), 2.6),
        "sinh": (np.sinh(wide), 3.0),
    }
    far = np.linspace(88.5, 89, 5001).astype(np.float32)
    with use_isa(isa):
        for name, (exact, most) in want.items():
            function = getattr(ad, name)
            got = function(ad.tensor(x)).numpy()
            assert _ulps(got, exact) < most, name
            for at in (7, 40_003):
                alone = function(ad.tensor(x[at : at + 1])).numpy()
                assert alone.tobytes() == got[at : at + 1].tobytes(), name
        for name in ("exp", "expm1"):
            got = getattr(ad, name)(ad.tensor(far)).numpy()
            exact = getattr(np, name)(far.astype(np.float64))
            held = exact < np.finfo(np.float32).max
            assert _ulps(got[held], exact[held]) < 3, name
            assert (got[~held] == INF).all(), name


@pytest.mark.parametrize("isa", available_isas())
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_logarithms_at_the_edges_are_those_of_c(dtype: str, isa: str) -> None:
    info = np.finfo(dtype)
    sizes = [0, info.smallest_subnormal, info.tiny, 1e-19, 0.25, 0.75, 1, 1.5, 2**24]
    sizes += [2.0**125, 2.0**126, float(info.max) * 0.75, info.max, INF, NAN]
    x = np.array([s * each for each in sizes for s in (1, -1)], dtype)
    # each alone among others, too: a lane knows nothing of its neighbours
    rows = np.full((len(x), 16), 0.5, dtype)
    rows[:, 3] = x
    for name in ("log", "log1p"):
        with use_isa(isa), np.errstate(all="ignore"):
            got = getattr(ad, name)(ad.tensor(x)).numpy()
            alone = getattr(ad, name)(ad.tensor(rows)).numpy()
            want = getattr(np, name)(x.astype(np.float64))
        np.testing.assert_allclose(got, want, rtol=4 * info.eps)
        assert (np.signbit(got) == np.signbit(want))[~np.isnan(want)].all()
        np.testing.assert_array_equal(alone[:, 3], got)
        assert len(np.unique(np.delete(alone, 3, 1))) == 1


@FLOATS
def test_signed_zeros_of_erf_and_gelu(dtype: Any) -> None:
    zeros = ad.tensor([0.0, -0.0], dtype=dtype)
    for function in (ad.erf, F.gelu):
        assert np.signbit(function(zeros).numpy()).tolist() == [False, True]
    np.testing.assert_allclose(gradient(F.gelu, [0.0, -0.0], dtype=dtype), [[0.5, 0.5]])


@pytest.mark.skipif(np.finfo(np.longdouble).nmant < 60, reason="no wider type")
@pytest.mark.parametrize("isa", available_isas())
def test_float32_through_doubles_is_all_but_rounded_once(isa: str) -> None:
    rng = np.random.default_rng(7)
    multiples = np.arange(1, 3000) * np.longdouble(np.pi) / 2
    angles = [rng.uniform(-r, r, 3000) for r in (1e-3, 10, 1e6, 1e9, 1e30)]
    x = np.concatenate([*angles, multiples, -multiples]).astype(np.float32)
    sizes = (10.0 ** rng.uniform(-44, 38, 5000)).astype(np.float32)
    y = rng.uniform(-3, 3, 5000).astype(np.float32)
    near, large = np.float32(1) + y / 64, y * 300
    with use_isa(isa):
        for name in ("sin", "cos", "tan"):
            got = getattr(ad, name)(ad.tensor(x)).numpy()
            assert _ulps(got, getattr(np, name)(x.astype(np.longdouble))) < 0.6, name
            _is_that_of_the_first_isa(name, got, x)
        for name in ("log2", "log10"):
            got = getattr(ad, name)(ad.tensor(sizes)).numpy()
            assert _ulps(got, getattr(np, name)(sizes.astype(np.longdouble))) < 0.6, (
                name
            )
            _is_that_of_the_first_isa(name, got, sizes)
        for base, power in ((sizes, y), (near, large)):
            exact = base.astype(np.longdouble) ** power.astype(np.longdouble)
            held = (exact < 3.4e38) & (exact > 1.2e-38)
            got = ad.pow(ad.tensor(base), ad.tensor(power)).numpy()
            assert _ulps(got[held], exact[held]) < 0.6
            _is_that_of_the_first_isa("pow", got, base, power)


def _is_that_of_the_first_isa(name: str, got: Any, *inputs: Any) -> None:
    with use_isa(available_isas()[0]):
        first = getattr(ad, name)(*map(ad.tensor, inputs)).numpy()
    assert first.tobytes() == got.tobytes(), name


@pytest.mark.parametrize("isa", available_isas())
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_powers_at_the_edges_are_those_of_c(dtype: str, isa: str) -> None:
    numbers = [0, 0.5, 1, 2, 3, 1e-40, 2.0**24, 1e38, INF]
    edges = np.array([s * n for n in numbers for s in (1, -1)] + [NAN], dtype)
    x, y = (each.ravel() for each in np.meshgrid(edges, edges))
    with np.errstate(all="ignore"), use_isa(isa):
        got, want = ad.pow(ad.tensor(x), ad.tensor(y)).numpy(), np.power(x, y)
    np.testing.assert_allclose(got, want, rtol=1e-5 if dtype == "float32" else 1e-14)
    numbered = ~np.isnan(want)
    assert (np.signbit(got) == np.signbit(want))[numbered].all()
    zeros = ad.tensor(np.array([0.0, -0.0], dtype))
    for name in ("sin", "tan"):
        assert np.signbit(getattr(ad, name)(zeros).numpy()).tolist() == [False, True]


@pytest.mark.skipif(np.finfo(np.longdouble).nmant < 60, reason="no wider type")
@pytest.mark.parametrize("isa", available_isas())
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_tails_reach_the_smallest_number_and_then_0(dtype: str, isa: str) -> None:
    info = np.finfo(dtype)
    last = float(np.log(np.longdouble(info.smallest_subnormal)))
    edges = np.concatenate(
        [np.linspace(1.2 * last, 0.7 * last, 401), [-INF, 10 * last]]
    )
    x = edges.astype(dtype)
    wide = x.astype(np.longdouble)
    exact = {
        "exp": (x, np.exp(wide)),
        "exp2": (x, np.exp2(wide)),
        "sigmoid": (x, np.exp(wide)),
        "softplus": (x, np.log1p(np.exp(wide))),
        "erfc": (np.sqrt(-x[:401]), None),
    }
    with use_isa(isa):
        for name, (argument, want) in exact.items():
            function = getattr(F, name, None) or getattr(ad, name)
            got = function(ad.tensor(argument)).numpy()
            if want is None:
                numbers = argument.astype(float).tolist()
                want = np.array([math.erfc(each) for each in numbers], np.longdouble)
            off = np.abs(got - want)
            assert (off <= 8 * info.eps * want + 2 * info.smallest_subnormal).all(), (
                name
            )
        near = {"sigmoid": 1.0, "silu": -x, "softplus": -x, "gelu": -x}
        for name, want in near.items():
            function = getattr(F, name, None) or getattr(ad, name)
            np.testing.assert_array_equal(function(ad.tensor(-x)).numpy(), want)
        rows = F.softmax(ad.tensor(np.stack([x[:401], x[:401] * 3])), 1).numpy()
    np.testing.assert_allclose(rows.sum(1), 1, rtol=1e-5)


def test_sin_of_huge_numbers() -> None:
    x = np.array([1e22, 2.0**120, -1e300, 3.4e38, 1e5])
    np.testing.assert_allclose(ad.sin(ad.tensor(x)).numpy(), np.sin(x), rtol=1e-14)
    np.testing.assert_allclose(ad.cos(ad.tensor(x)).numpy(), np.cos(x), rtol=1e-14)


def test_exact_powers_have_exact_logarithms() -> None:
    for dtype in (ad.float32, ad.float64):
        tens = ad.tensor([10.0**k for k in range(11)], dtype=dtype)
        assert tens.log10().tolist() == list(range(11))
        twos = ad.tensor([2.0**k for k in range(-20, 21)], dtype=dtype)
        assert twos.log2().tolist() == list(range(-20, 21))


def test_values_at_the_edges() -> None:
    x = ad.tensor([INF, -INF, NAN, 0.0], dtype=ad.float64)
    np.testing.assert_array_equal(x.exp().numpy(), [INF, 0, NAN, 1])
    np.testing.assert_array_equal(x.log().numpy(), [INF, NAN, NAN, -INF])
    np.testing.assert_array_equal(x.sigmoid().numpy(), [1, 0, NAN, 0.5])
    np.testing.assert_array_equal(x.tanh().numpy(), [1, -1, NAN, 0])
    np.testing.assert_array_equal(x.sin().numpy(), [NAN, NAN, NAN, 0])
    assert math.copysign(1, ad.tensor([-0.0]).tanh().item()) == -1
    assert ad.tensor([1000.0]).sigmoid().item() == 1
    assert F.logsigmoid(ad.tensor([-1000.0])).item() == -1000
    assert ad.tensor([5e-324], dtype=ad.float64).log().item() == math.log(5e-324)


def test_isclose() -> None:
    x = ad.tensor([1.0, NAN, INF, INF, 0.0])
    y = ad.tensor([1.0 + 1e-6, NAN, INF, -INF, 1e-9])
    assert ad.isclose(x, y).tolist() == [True, False, True, False, True]
    assert ad.isclose(x, y, equal_nan=True).tolist() == [True, True, True, False, True]


# ---- in place: written over, with the gradients of the other way ----


@pytest.mark.parametrize("name", ["relu", "leaky_relu", "elu", "silu", "hardtanh"])
def test_in_place_and_out_of_place_have_the_same_gradients(name: str) -> None:
    function = getattr(F, name)
    values = np.random.default_rng(8).standard_normal((3, 5))
    found = []
    for inplace in (False, True):
        w = ad.tensor(values, requires_grad=True)
        y = function(w * 2, inplace=inplace)
        (g,) = ad.autograd.grad(y, [w], [ad.tensor(values) + 3], create_graph=True)
        (gg,) = ad.autograd.grad(g, [w], [ad.ones_like(w)], allow_unused=True)
        found.append([y.tolist(), g.tolist(), None if gg is None else gg.tolist()])
    assert found[0] == found[1]


def test_in_place_needs_no_other_memory() -> None:
    x = ad.rand(1000, 1000)
    with ad.no_grad():
        before = ad.memory_stats()["allocated_bytes"]
        ad.reset_peak_memory()
        x.relu_().add_(1).mul_(x)
        x += x
        assert ad.memory_stats()["peak_allocated_bytes"] < before + 1_000_000


def test_in_place_with_itself_in_another_order() -> None:
    values = np.random.default_rng(9).random((40, 40))
    x = ad.tensor(values)
    x += x.permute(1, 0)
    np.testing.assert_array_equal(x.numpy(), values + values.T)
    x = ad.tensor(values)
    x.permute(1, 0).mul_(2).relu_()
    np.testing.assert_array_equal(x.numpy(), 2 * values)


def test_in_place_through_a_view_and_on_leaves() -> None:
    w = ad.tensor([1.0, -2.0, 3.0, -4.0], requires_grad=True)
    base = w * 1
    base.reshape(2, 2).relu_()
    base.backward(ad.ones(4))
    assert base.tolist() == [1.0, 0.0, 3.0, 0.0]
    assert w.grad.tolist() == [1.0, 0.0, 1.0, 0.0]
    with pytest.raises(ad.GradError, match="relu_: a leaf that requires a gradient"):
        w.relu_()
    y = w.exp()
    z = y * y
    y.add_(1)
    with pytest.raises(ad.GradError, match="saved for backward was changed"):
        z.backward(ad.ones(4))


def test_in_place_of_integers_and_mixed_types() -> None:
    i = ad.tensor([4, 5])
    i += 1
    i //= 2
    assert i.tolist() == [2, 3]
    with pytest.raises(DTypeError, match=r"div_.*can't hold"):
        i /= 2
    f = ad.tensor([1.0, 2.0])
    f += ad.tensor([1, 2])
    f *= ad.tensor([2.0, 2.0], dtype=ad.float64)
    assert f.tolist() == [4.0, 8.0]
    assert f.dtype == ad.float32
    assert f.sqrt_() is f
    assert ad.tensor([4, 9]).neg_().tolist() == [-4, -9]


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("isa", available_isas())
@pytest.mark.parametrize("threads", [1, 2])
def test_results_that_no_cache_holds(isa: str, threads: int) -> None:
    """They are written past the caches, from 16 MB a thread on."""
    rng = np.random.default_rng(11)
    n = threads * 2**22 + 517
    x, y = rng.standard_normal((2, n), np.float32)
    before = ad.get_num_threads()
    ad.set_num_threads(threads)
    try:
        with use_isa(isa):
            a, b = ad.tensor(x), ad.tensor(y)
            assert np.array_equal((a + b).numpy(), x + y)
            assert np.array_equal(a[1:].abs().numpy(), np.abs(x[1:]))  # off a line
            assert np.array_equal(
                ad.maximum(a[:-3], b[3:]).numpy(), np.maximum(x[:-3], y[3:])
            )
            whole = ad.tensor(x.astype(np.int8)) * ad.tensor([3], dtype=ad.int64)
            assert np.array_equal(whole.numpy(), x.astype(np.int8).astype(np.int64) * 3)
            picked = ad.where(a > b, a, b)  # of operands of 1 and 4 bytes
            assert np.array_equal(picked.numpy(), np.maximum(x, y))
            for width in (1024, 1001, 64):  # lines that begin a vector or do not
                rows = n // width
                wide, grid = x[: rows * width].reshape(rows, width), a[: rows * width]
                grid = grid.reshape(rows, width)
                for repeated in ((1, width), (rows, 1)):
                    small = y[: repeated[0] * repeated[1]].reshape(repeated)
                    got = grid * ad.tensor(small)
                    assert np.array_equal(got.numpy(), wide * small)
                    angle = ad.atan2(grid, ad.tensor(small)).numpy()
                    for part in (slice(0, 9), slice(-9, None)):
                        few = small[part] if repeated[0] > 1 else small
                        near = ad.atan2(grid[part], ad.tensor(few)).numpy()
                        assert angle[part].tobytes() == near.tobytes()
            # functions of many operations, which cached parts have bit by bit
            cuts = [*range(0, n, 2**19), n]
            for took, function in (
                ((a,), ad.exp),
                ((a,), F.softplus),
                ((a, b), ad.pow),
            ):
                parts = [
                    function(*(each[i:j] for each in took)).numpy()
                    for i, j in itertools.pairwise(cuts)
                ]
                for first in (0, 1):  # on a line and off
                    got = function(*(each[first:] for each in took)).numpy()
                    assert got.tobytes() == np.concatenate(parts)[first:].tobytes()
            a += b  # where it is read
            a.neg_()
            assert np.array_equal(a.numpy(), -(x + y))
            b.exp_()
            assert np.array_equal(b.numpy(), ad.exp(ad.tensor(y)).numpy())
    finally:
        ad.set_num_threads(before)


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("isa", available_isas())
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_fmod_is_exact_however_large_the_quotient(dtype, isa):
    rng = np.random.default_rng(5)
    bits = {np.float32: np.uint32, np.float64: np.uint64}[dtype]
    x, y = rng.integers(0, np.iinfo(bits).max, (2, 20_000), bits).view(dtype)
    x[:100], y[50:200] = np.float64(1e5) * rng.standard_normal(100), 0.7
    y[200:300] = np.finfo(dtype).smallest_subnormal * rng.integers(1, 9, 100)
    with np.errstate(all="ignore"):
        expected = np.fmod(x, y)
    with use_isa(isa):
        got = ad.fmod(ad.tensor(x), ad.tensor(y)).numpy()
    assert np.array_equal(got, expected, equal_nan=True)
    with use_isa(isa):
        quotient = ad.tensor(x[50:200]) // ad.tensor(y[50:200])
    whole = np.floor(x[50:200].astype(np.float64) / 0.7)
    finite = np.isfinite(whole) & (np.abs(whole) < 1e30)
    assert np.allclose(quotient.numpy()[finite], whole[finite], rtol=1e-6)


@pytest.mark.parametrize(
    "function",
    [
        F.relu6,
        F.hardtanh,
        F.hardsigmoid,
        F.hardshrink,
        F.softshrink,
        lambda x: ad.clamp(x, -1, 1),
    ],
)
def test_slope_at_nan_is_pytorchs(function):
    """1 for those that a comparison bounds from outside, 0 for those bounded from inside."""
    x = ad.tensor([NAN, 0.75], requires_grad=True)
    function(x).sum().backward()
    outside = function in (F.relu6, F.hardtanh, F.hardshrink, F.softshrink)
    assert x.grad[0].item() == float(outside)


# ---- slopes that are drawn ----


def test_rrelu_draws_its_slopes_in_training_alone() -> None:
    values = np.random.default_rng(0).standard_normal(1000).astype(np.float32)
    x = ad.tensor(values, requires_grad=True)
    layer = nn.RReLU(0.2, 0.6)
    y = layer(x)
    slopes = (y / x).detach().numpy()
    below = slopes[values < 0]
    assert (slopes[values > 0] == 1).all()
    assert 0.2 <= below.min() < 0.22
    assert 0.58 < below.max() < 0.601
    y.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), slopes, rtol=1e-6)
    fixed = layer.eval()(x).detach().numpy()
    np.testing.assert_allclose(fixed, np.where(values > 0, 1, 0.4) * values, rtol=1e-6)
    twin = ad.tensor(values)
    ad.manual_seed(1)
    assert nn.RReLU(inplace=True)(twin) is twin
    ad.manual_seed(1)
    np.testing.assert_array_equal(twin.numpy(), nn.RReLU()(x).detach().numpy())
    assert F.rrelu_(twin.fill_(-2.0), 0.25, 0.75) is twin
    assert (twin == -1).all()
    with pytest.raises(ValueError, match="rrelu: lower must not be above upper"):
        F.rrelu(x, 0.5, 0.1)
