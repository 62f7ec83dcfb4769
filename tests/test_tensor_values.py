"""What users do with tensors as values: numbers beyond a type, NumPy's functions, text."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import pyautodl as ad
from pyautodl.errors import DTypeError, GradError, ShapeError

BYTES = ad.tensor([0, 1, 44, 253, 255], dtype=ad.uint8)
FLOATS = ad.tensor([0.5, 2.0])


# ---- numbers that an element type can't hold ----


@pytest.mark.parametrize(
    ("compare", "expected"),
    [
        (lambda x: x == -1, False),
        (lambda x: x == 300, False),
        (lambda x: x != 300, True),
        (lambda x: x < 300, True),
        (lambda x: x >= -3, True),
        (lambda x: x > 2**70, False),
        (lambda x: 300 > x, True),
        (lambda x: x.long() < 2**63, True),
        (lambda x: x.long() > -(2**70), True),
        (lambda x: x < 10**400, True),
        (lambda x: x < -(10**400), False),
        (lambda x: x == np.int64(300), False),
    ],
)
def test_comparisons_with_numbers_beyond_the_type_are_exact(
    compare: Callable, expected: bool
) -> None:
    assert compare(BYTES).tolist() == [expected] * 5


@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("add", lambda x: x + 300),
        ("add", lambda x: x.add(1, alpha=300)),
        ("sub", lambda x: -300 - x),
        ("mul", lambda x: x * -1),
        ("pow", lambda x: x**300),
        ("clamp", lambda x: x.clamp(-3, 300)),
        ("where", lambda x: ad.where(x > 1, x, 300)),
        ("fill_", lambda x: x.fill_(-1)),
        ("full", lambda x: ad.full((2,), 300, dtype=ad.uint8)),
        ("full_like", lambda x: ad.full_like(x, 300)),
        ("masked_fill", lambda x: x.masked_fill(x > 1, 300)),
        ("index_fill", lambda x: x.index_fill(0, ad.tensor([0]), 300)),
        ("scatter", lambda x: x.scatter(0, ad.tensor([0]), 300)),
        ("__setitem__", lambda x: x.__setitem__(0, -1)),
        ("tensor", lambda x: ad.tensor([[1, 300]], dtype=ad.uint8)),
    ],
)
def test_numbers_beyond_the_type_are_named(name: str, function: Callable) -> None:
    with pytest.raises(
        DTypeError, match=rf"{name}: -?\d+ is not among .*uint8, 0 to 255"
    ):
        function(BYTES.clone())


def test_numbers_that_no_type_holds() -> None:
    for value in (float("nan"), float("inf"), 1e30):
        with pytest.raises(DTypeError, match="is not among the numbers of int64"):
            ad.tensor([value], dtype=ad.int64)
        with pytest.raises(DTypeError, match="is not among the numbers of int64"):
            ad.full((2,), value, dtype=ad.int64)
    with pytest.raises(DTypeError, match=r"mul: 1000.* is too large for float32"):
        FLOATS * 10**400
    with pytest.raises(DTypeError, match="an integer beyond"):
        ad.tensor([2**63])
    assert ad.tensor([2.7, -3.7], dtype=ad.int8).tolist() == [2, -3]
    assert ad.tensor(np.array([300]), dtype=ad.uint8).tolist() == [44]  # a conversion


@pytest.mark.parametrize("function", [ad.div, ad.atan2, ad.xlogy])
@pytest.mark.parametrize("kinds", [(ad.uint8, ad.int8), (ad.int8, ad.int32)])
def test_integers_of_two_types_become_floats_one_by_one(
    function: Callable, kinds: tuple
) -> None:
    x = ad.tensor([1, 7, 100], dtype=kinds[0])
    y = ad.tensor(-3, dtype=kinds[1])
    for a, b in ((x, y), (y, x)):
        result = function(a, b)
        assert result.dtype == ad.float32
        np.testing.assert_array_equal(result, function(a.float(), b.float()))
    assert (x / 300).tolist() == (x.float() / 300).tolist()


# ---- data that is no tensor ----


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([1, None], r"got None at \[1\]"),
        ([[1, 2], [3, "x"]], r"got 'x' at \[1\]\[1\]"),
        ([FLOATS, None], r"got None at \[1\]"),
        ((x for x in [1]), r"likely fix: list\(\.\.\.\)"),
        (np.array([1, 2], object), r"array of object; likely fix: array.astype"),
        ([[1], [2, 3]], "1 elements and 2 elements side by side"),
        ([1, [2, 3]], "a number and 2 elements side by side"),
        ([FLOATS, ad.ones(3)], "2 elements and 3 elements side by side"),
        ([np.ones(2), np.ones(3)], "2 elements and 3 elements side by side"),
    ],
)
def test_what_no_tensor_can_be_made_of_is_shown(data: object, message: str) -> None:
    with pytest.raises((DTypeError, ShapeError), match=f"tensor: .*{message}"):
        ad.tensor(data)


def test_values_that_are_no_numbers() -> None:
    with pytest.raises(TypeError, match="full: fill_value must be a number, got None"):
        ad.full((2,), None)
    assert ad.full((2,), np.array(3.0)).tolist() == [3, 3]
    with pytest.raises(TypeError, match="masked_fill: expected a number or a tensor"):
        FLOATS.masked_fill(FLOATS > 1, None)
    with pytest.raises(TypeError, match="in: expected a number or a tensor, got 'a'"):
        "a" in FLOATS  # noqa: B015
    with pytest.raises(IndexError, match=r"got 1.5; likely fix: // in place of /"):
        FLOATS[1.5]
    with pytest.raises(ShapeError, match=r"index: lists and .* \(2,\), \(3,\)"):
        ad.ones(3, 3)[[0, 1], [0, 1, 2]]


# ---- NumPy's functions ----


def test_numpys_functions_of_tensors() -> None:
    x = ad.tensor([0.5, 2.0], requires_grad=True)
    result = np.exp(x) * np.ones(2, np.float32)
    result.sum().backward()
    np.testing.assert_allclose(x.grad, np.exp([0.5, 2.0]), rtol=1e-6)
    assert isinstance(np.float64(2) * x, ad.Tensor)
    assert (np.array([0.5, 3.0]) == FLOATS).tolist() == [True, False]
    assert np.add(FLOATS, 1).tolist() == [1.5, 3]
    assert np.matmul(np.eye(2, dtype=np.float32), FLOATS).tolist() == [0.5, 2]
    assert np.hypot(FLOATS, 0).tolist() == [0.5, 2]
    assert np.nextafter(FLOATS, FLOATS).tolist() == [0.5, 2]
    np.hypot(x, np.ones(2, np.float32)).sum().backward()
    slopes = np.exp([0.5, 2.0]) + np.array([0.2, 0.8]) ** 0.5
    np.testing.assert_allclose(x.grad, slopes, rtol=1e-6)
    assert np.add.reduce(FLOATS).item() == 2.5
    quotient, rest = np.divmod(ad.tensor([5, 7]), 3)
    assert (quotient.tolist(), rest.tolist()) == ([1, 2], [2, 1])
    assert np.mean(FLOATS).item() == 1.25
    assert np.sum(ad.ones(2, 3), axis=1).tolist() == [3, 3]


def test_numpy_writes_into_arrays_alone() -> None:
    array = np.ones(2)
    array += FLOATS
    assert array.tolist() == [1.5, 3]
    with pytest.raises(TypeError, match="exp: NumPy can't write into a tensor"):
        np.exp(FLOATS, out=FLOATS)
    with pytest.raises(GradError, match="requires a gradient"):
        np.nextafter(ad.ones(2, requires_grad=True), 1)


# ---- text ----


def test_long_tensors_are_shortened_and_notes_wrap() -> None:
    x = ad.arange(2000.0, dtype=ad.float64).reshape(2, 1000) - 500
    assert str(x + 0.5) == (
        "tensor([[-499.5000, -498.5000, -497.5000,  ...,  497.5000,  498.5000,\n"
        "          499.5000],\n"
        "        [ 500.5000,  501.5000,  502.5000,  ..., 1497.5000, 1498.5000,\n"
        "         1499.5000]], dtype=pyautodl.float64)"
    )
    assert str(ad.ones(8, dtype=ad.int32) * 123456789) == (
        "tensor([123456789, 123456789, 123456789, 123456789, 123456789, 123456789,\n"
        "        123456789, 123456789], dtype=pyautodl.int32)"
    )
    assert str(ad.ones(13, dtype=ad.float64) / 8) == (
        "tensor([0.1250, 0.1250, 0.1250, 0.1250, 0.1250, 0.1250, 0.1250, 0.1250, 0.1250,\n"
        "        0.1250, 0.1250, 0.1250, 0.1250], dtype=pyautodl.float64)"
    )
    assert str(ad.ones(8, dtype=ad.float64) / 8) == (
        "tensor([0.1250, 0.1250, 0.1250, 0.1250, 0.1250, 0.1250, 0.1250, 0.1250],\n"
        "       dtype=pyautodl.float64)"
    )
    assert str(ad.zeros(0, dtype=ad.int64)) == "tensor([], dtype=pyautodl.int64)"
    assert str(ad.tensor([1.0, 10000.0])) == "tensor([1.0000e+00, 1.0000e+04])"
    assert str(ad.tensor([1.0, float("nan")])) == "tensor([ 1., nan])"
    assert str(ad.arange(30)) == (
        "tensor([ 0,  1,  2,  3,  4,  5,  6,  7,  8,  9, 10, 11, 12, 13, 14, 15, 16, 17,\n"
        "        18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29])"
    )


def test_print_options() -> None:
    x = ad.arange(12.0).reshape(3, 4) / 8
    try:
        ad.set_printoptions(profile="short", threshold=4, edgeitems=1)
        assert (
            str(x)
            == "tensor([[0.00,  ..., 0.38],\n        ...,\n        [1.00,  ..., 1.38]])"
        )
        ad.set_printoptions(sci_mode=True)
        assert str(x[0, 1]) == "tensor(1.25e-01)"
        with pytest.raises(ValueError, match="profile must be one of"):
            ad.set_printoptions(profile="long")
    finally:
        ad.set_printoptions(profile="default")
    assert str(x[0]) == "tensor([0.0000, 0.1250, 0.2500, 0.3750])"


def test_one_number_formats_as_a_number() -> None:
    loss = ad.tensor(0.75, requires_grad=True) * 1
    assert f"{loss}" == "0.75"
    assert f"{loss:.1f} {ad.tensor(3):03d}" == "0.8 003"
    assert f"{FLOATS}" == "tensor([0.5000, 2.0000])"
    with pytest.raises(TypeError, match=r"format: '.2f' formats one number, .* \(2,\)"):
        f"{FLOATS:.2f}"


# ---- arguments of PyTorch's ----


def test_sizes_by_name_and_memory_formats() -> None:
    for make in (ad.zeros, ad.ones, ad.empty, ad.rand, ad.randn):
        assert make(size=(2, 3)).shape == (2, 3)
        with pytest.raises(TypeError, match=r"the shape is given twice, as \(2,\)"):
            make(2, size=(2,))
    image = ad.zeros(2, 3, 4, 5).contiguous(memory_format=ad.channels_last)
    assert image.is_contiguous(memory_format=ad.channels_last)
    assert not image.is_contiguous()
    assert round(ad.tensor(2.567), 1).item() == pytest.approx(2.6)


# ---- integers and huge numbers in derived functions ----


def test_integers_are_not_taken_around() -> None:
    heights = ad.tensor([100, 100, -128], dtype=ad.int8)
    assert ad.trapezoid(heights).item() == 86
    assert ad.trapezoid(FLOATS, ad.tensor([200, 100], dtype=ad.uint8)).item() == -125
    x = ad.tensor([1, 2])
    assert ad.addcmul(x, x, x, value=3).tolist() == [4, 14]
    assert ad.addcmul(x, x, x, value=3).dtype == ad.int64
    assert ad.cov(ad.tensor([[1, 2, 3]])).tolist() == 1.0
    assert ad.corrcoef(ad.tensor([[1, 2, 3], [6, 4, 2]])).tolist()[0] == [1, -1]


def test_a_norm_that_overflows_gives_a_direction_of_zeros() -> None:
    assert ad.nn.functional.normalize(ad.full((3,), 3e38), dim=0).tolist() == [0, 0, 0]


def test_a_bound_that_is_nan_shows() -> None:
    x = ad.tensor([1.0, 2.0, 3.0], requires_grad=True)
    nan = float("nan")
    for y in (x.clamp(nan, 1), x.clamp(max=nan), x.clamp(min=ad.tensor(nan))):
        assert y.isnan().all()
        x.grad = None
        y.sum().backward()
        assert x.grad.tolist() == [0, 0, 0]
    bounds = ad.tensor([nan, 0.0, 5.0])
    np.testing.assert_array_equal(x.clamp(min=bounds).detach(), [nan, 2, 5])


def test_more_differences_than_elements() -> None:
    assert ad.diff(FLOATS, n=10**12).tolist() == []


# ---- numbers that are made in parts, or kept ----


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64"])
@pytest.mark.parametrize(
    ("start", "step"), [(0, 1), (0.0, 1), (7, -3), (2.5, 0.25), (1, 1e-3)]
)
def test_long_ranges_have_the_numbers_of_one_formula(start, step, dtype):
    count = 50_001  # beyond several parts
    end = start + (count - 0.5) * step
    got = ad.arange(start, end, step, dtype=dtype).numpy()
    expected = (start + np.arange(count) * step).astype(dtype)
    np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "uint8", "bool"])
@pytest.mark.parametrize("sizes", [(3, None), (2, 5), (5, 2), (0, None), (1, 4)])
def test_identities_are_those_of_numpy(sizes, dtype):
    got = ad.eye(*sizes, dtype=dtype)
    np.testing.assert_array_equal(got.numpy(), np.eye(*sizes, dtype=dtype))
    assert got.numpy().dtype == dtype
    assert got.is_contiguous()
    with pytest.raises(ShapeError, match=r"eye: .*sizes must not be negative"):
        ad.eye(-1)
    assert ad.eye(2, requires_grad=True).is_leaf


def test_zeros_that_were_changed_are_zeros_in_the_next_tensor():
    x = ad.ones(3)
    x.zero_()
    x += 1
    y = ad.ones(3)
    assert y.zero_().tolist() == [0, 0, 0]
    assert x.tolist() == [1, 1, 1]


def test_zeros_in_the_middle_of_a_graph_stop_the_gradient():
    x = ad.ones(2, requires_grad=True)
    y = x * 2
    y.zero_()
    (y + x).sum().backward()
    assert x.grad.tolist() == [1, 1]
    with pytest.raises(GradError, match="zero_: a leaf"):
        x.zero_()
