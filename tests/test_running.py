"""Running extrema, running sums of exponentials, statistics of what is not NaN."""

from __future__ import annotations

import numpy as np
import pytest

import pyautodl as ad
import pyautodl.nn.functional as F
from pyautodl.autograd import gradcheck, gradgradcheck
from pyautodl.backends import native
from pyautodl.errors import ShapeError
from pyautodl.testing import available_isas, use_isa

NAN, INF = float("nan"), float("inf")
VALUES = [
    [
        [1.0, 3.0, 3.0, NAN, 5.0],
        [2.0, 2.0, -INF, INF, INF],
        [-INF, -INF, 1.0, 0.0, NAN],
    ],
    [2.0, NAN, 1.0, 2.0],
    [[NAN, NAN], [NAN, 1.0]],
    4.0,
    NAN,
    [[], []],
]
X = np.random.default_rng(0).standard_normal((3, 5))


def agree(name: str, *arguments: object, **options: object) -> None:
    """The same of ours as of PyTorch's; arrays become tensors."""
    found = []
    for library in (ad, pytest.importorskip("torch")):
        function = library
        for part in name.split("."):
            function = getattr(function, part)
        given = [
            library.tensor(each) if isinstance(each, np.ndarray) else each
            for each in arguments
        ]
        result = function(*given, **options)
        found.append(tuple(result) if isinstance(result, tuple) else (result,))
    for mine, theirs in zip(*found, strict=True):
        assert tuple(mine.shape) == tuple(theirs.shape)
        assert mine.dtype == theirs.numpy().dtype
        np.testing.assert_allclose(mine.numpy(), theirs.numpy(), 1e-6)


@pytest.mark.parametrize("name", ["cummax", "cummin", "logcumsumexp"])
@pytest.mark.parametrize("values", VALUES)
def test_running_values_are_those_of_pytorch(name, values) -> None:
    for dim in range(-1, max(np.ndim(values), 1)):
        agree(name, np.array(values), dim)


@pytest.mark.parametrize("name", ["cummax", "cummin"])
def test_running_extrema_of_integers_and_bools(name) -> None:
    for values in ([[3, 1, 3], [2, 9, 1]], [True, False, True]):
        agree(name, np.array(values), -1)


@pytest.mark.parametrize("name", ["cummax", "cummin", "logcumsumexp"])
def test_gradients_of_running_values(name) -> None:
    def running(x: ad.Tensor) -> ad.Tensor:
        found = getattr(ad, name)(x, 1)
        return found if isinstance(found, ad.Tensor) else found.values

    x = ad.tensor(X, requires_grad=True)
    assert gradcheck(running, (x,))
    assert gradgradcheck(running, (x,))
    with pytest.raises(IndexError, match=f"{name}: dim must be from -2 to 1, got 2"):
        getattr(ad, name)(x, 2)


def test_gradients_of_running_sums_at_infinities_are_those_of_the_newest() -> None:
    for dtype in (ad.float32, ad.float64):
        x = ad.tensor([-INF, -INF, 0.0, INF, 1.0, INF], dtype=dtype, requires_grad=True)
        for place, wanted in enumerate(np.eye(6)):
            ad.logcumsumexp(x, 0)[place].backward()
            if place == 4:  # all of what is finite is the infinity's
                wanted = np.eye(6)[3]
            assert x.grad.tolist() == wanted.tolist(), place
            x.grad = None


@pytest.mark.parametrize("isa", available_isas())
def test_running_sums_of_exponentials_are_exact_and_the_same_for_all_threads(
    isa,
) -> None:
    wide = np.random.default_rng(1).normal(0, 30, (40, 301))
    wide[:, 100] = 500
    for dtype, ulp in ((np.float64, 2.0**-52), (np.float32, 2.0**-23)):
        given = wide.astype(dtype)
        exact = np.logaddexp.accumulate(given.astype(np.longdouble), 1)
        for x, dim in ((given, 1), (np.ascontiguousarray(given.T).T, 1), (given.T, 0)):
            found = []
            for threads in (1, 2, 3):
                with native.exact_threads(threads, uneven=threads > 2), use_isa(isa):
                    found.append(ad.logcumsumexp(ad.tensor(x), dim).numpy())
            for each in found[1:]:
                np.testing.assert_array_equal(each, found[0])
            lines = found[0] if dim else found[0].T
            most = (1 + 300 * (dtype == np.float64)) * ulp * np.abs(exact)
            assert (np.abs(lines - exact) <= most + ulp).all()


@pytest.mark.parametrize("values", VALUES[:-1])
@pytest.mark.parametrize("keepdim", [False, True])
def test_median_and_quantiles_without_nan(values, keepdim) -> None:
    x = np.array(values)
    for dim in range(-1, x.ndim):
        found = ad.nanmedian(ad.tensor(x), dim, keepdim)
        torch = pytest.importorskip("torch")
        wanted = torch.nanmedian(torch.tensor(x), dim, keepdim).values.numpy()
        np.testing.assert_array_equal(found.values.numpy(), wanted)
        for q in (0.0, 0.3, np.array([0.2, 1.0])):
            for way in ("linear", "lower", "higher", "nearest", "midpoint"):
                agree("nanquantile", x, q, dim, keepdim, interpolation=way)
                agree("quantile", x, q, dim, keepdim, interpolation=way)
    agree("nanmedian", x)


def test_nanmedian_tells_the_first_index_and_hands_it_the_gradient() -> None:
    x = ad.tensor([[3.0, NAN, 2.0, 2.0], [NAN, NAN, NAN, NAN]], requires_grad=True)
    values, indices = ad.nanmedian(x, 1)
    assert indices.tolist() == [2, 0]
    values[0].backward()
    assert x.grad.tolist() == [[0, 0, 1, 0], [0, 0, 0, 0]]
    assert ad.nanmedian(ad.tensor([4, 1, 2, 3])).item() == 2
    for function in (ad.nanmedian, lambda x: ad.nanquantile(x, 0.5)):
        with pytest.raises(ShapeError, match=r"nan.*: shape \(0,\) has no elements"):
            function(ad.ones(0))


@pytest.mark.filterwarnings("ignore:cov")
def test_covariance_of_too_few_observations_is_no_number() -> None:
    for columns in (0, 1, 2):
        agree("cov", np.ones((2, columns)), correction=2)


@pytest.mark.parametrize("kinds", ["fd", "lf", "df"])
def test_xlogy_of_a_line_and_a_number_has_the_promoted_type(kinds) -> None:
    line, number = np.array([0, 2], kinds[0]), np.array(3, kinds[1])
    agree("xlogy", line, number)
    agree("xlogy", number, line)


@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
def test_multilabel_margin_loss(reduction) -> None:
    target = np.array([[3, 0, -1, 1, 2], [-1, 0, 1, 2, 3], [0, 0, 4, 1, -1]])
    name = "nn.functional.multilabel_margin_loss"
    agree(name, X, target, reduction=reduction)
    agree(name, X[0], target[0], reduction=reduction)
    x = ad.tensor(X, requires_grad=True)
    assert gradcheck(
        lambda x: F.multilabel_margin_loss(x, ad.tensor(target), reduction=reduction),
        (x,),
    )


def test_multilabel_margin_loss_refuses_what_is_no_class() -> None:
    x = ad.zeros(1, 2)
    for wrong in (2, -2):
        with pytest.raises(IndexError, match="multilabel_margin_loss"):
            F.multilabel_margin_loss(x, ad.tensor([[wrong, -1]]))
    with pytest.raises(ShapeError, match="expected input and target"):
        F.multilabel_margin_loss(x, ad.tensor([0]))
