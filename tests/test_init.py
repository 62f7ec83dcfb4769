"""nn.init: ranges, variances, structure; nn.utils: vectors of parameters."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import pyautodl as ad
from pyautodl import nn
from pyautodl.errors import ShapeError
from pyautodl.nn import init


def _values(x: ad.Tensor) -> np.ndarray[Any, Any]:
    return np.array(x.detach().tolist())


@pytest.mark.parametrize(
    ("fill", "std", "bound"),
    [
        (lambda w: init.uniform_(w, -3.0, 5.0), 8 / math.sqrt(12), None),
        (lambda w: init.normal_(w, 0.0, 0.02), 0.02, None),
        (lambda w: init.xavier_uniform_(w, 2.0), 2 * math.sqrt(2 / 900), True),
        (lambda w: init.xavier_normal_(w, 0.5), 0.5 * math.sqrt(2 / 900), None),
        (lambda w: init.kaiming_uniform_(w), math.sqrt(2 / 600), True),
        (lambda w: init.kaiming_normal_(w, mode="fan_out"), math.sqrt(2 / 300), None),
        (
            lambda w: init.kaiming_normal_(w, 0.1, nonlinearity="leaky_relu"),
            math.sqrt(2 / 1.01 / 600),
            None,
        ),
        (
            lambda w: init.kaiming_uniform_(w, nonlinearity="relu"),
            math.sqrt(2 / 600),
            1,
        ),
    ],
)
def test_random_fills_have_the_variance_of_the_formula(
    fill: Any, std: float, bound: Any
) -> None:
    """Weight (100, 200, 3): fan in 600, fan out 300."""
    w = nn.Parameter(ad.empty(100, 200, 3))
    assert fill(w) is w
    assert w.is_leaf
    values = _values(w)
    assert values.std() == pytest.approx(std, rel=0.02)
    if bound:
        assert np.abs(values).max() <= std * math.sqrt(3) * 1.0001


def test_trunc_normal_stays_inside_and_has_the_right_mean() -> None:
    w = init.trunc_normal_(ad.empty(20000), 0.0, 1.0, -1.0, 2.0)
    values = _values(w)
    assert values.min() >= -1.0
    assert values.max() <= 2.0
    density = [math.exp(-0.5 * x * x) / math.sqrt(2 * math.pi) for x in (-1.0, 2.0)]
    inside = 0.5 * (math.erf(2 / math.sqrt(2)) + math.erf(1 / math.sqrt(2)))
    assert values.mean() == pytest.approx((density[0] - density[1]) / inside, abs=0.02)
    with pytest.warns(UserWarning, match="more than 2 std"):
        far = _values(init.trunc_normal_(ad.empty(100), 0.0, 1.0, 4.0, 5.0))
    assert far.min() >= 4.0
    assert far.max() <= 5.0
    with pytest.raises(ValueError, match="a <= b"):
        init.trunc_normal_(ad.empty(3), a=1.0, b=0.0)


def test_orthogonal_rows_or_columns() -> None:
    for shape in ((4, 9), (9, 4), (5, 3, 2, 2)):
        w = _values(init.orthogonal_(ad.empty(*shape, dtype=ad.float64), gain=2.0))
        flat = w.reshape(shape[0], -1)
        small = flat @ flat.T if flat.shape[0] <= flat.shape[1] else flat.T @ flat
        np.testing.assert_allclose(small, 4 * np.eye(len(small)), atol=1e-6)


def test_structured_fills() -> None:
    assert init.eye_(ad.empty(2, 3)).tolist() == [[1, 0, 0], [0, 1, 0]]
    assert init.constant_(ad.empty(2), 3.0).tolist() == [3.0, 3.0]
    assert init.ones_(ad.empty(1)).item() == 1.0
    assert init.zeros_(ad.empty(1)).item() == 0.0
    w = _values(init.dirac_(ad.empty(4, 2, 3, 3), groups=2))
    assert w.sum() == 4
    assert [w[g, g % 2, 1, 1] for g in range(4)] == [1.0] * 4
    w = _values(init.sparse_(ad.empty(10, 6), 0.35, std=1.0))
    assert ((w == 0).sum(axis=0) == 4).all()


def test_same_seed_same_weights_and_own_generators() -> None:
    def draw(seed: int) -> Any:
        generator = ad.Generator().manual_seed(seed)
        return init.kaiming_uniform_(ad.empty(3, 4), generator=generator).tolist()

    assert draw(1) == draw(1)
    assert draw(1) != draw(2)


def test_gains_and_errors() -> None:
    assert init.calculate_gain("relu") == math.sqrt(2)
    assert init.calculate_gain("tanh") == 5 / 3
    assert init.calculate_gain("selu") == 0.75
    assert init.calculate_gain("conv2d") == 1
    assert init.calculate_gain("leaky_relu", 0.2) == math.sqrt(2 / 1.04)
    with pytest.raises(ValueError, match="unsupported nonlinearity"):
        init.calculate_gain("swish")
    with pytest.raises(ValueError, match="mode"):
        init.kaiming_normal_(ad.empty(2, 2), mode="fan")
    with pytest.raises(ShapeError, match="2 or more axes"):
        init.xavier_normal_(ad.empty(3))
    with pytest.raises(ShapeError, match="2 axes"):
        init.eye_(ad.empty(3))
    with pytest.raises(ShapeError, match="do not divide"):
        init.dirac_(ad.empty(3, 1, 1), groups=2)


def test_parameters_as_a_vector_and_back() -> None:
    net = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 1))
    vector = nn.utils.parameters_to_vector(net.parameters())
    assert vector.shape == (11,)
    nn.utils.vector_to_parameters(ad.arange(11.0), net.parameters())
    assert net[0].weight.tolist() == [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]
    assert net[1].bias.tolist() == [10.0]
    with pytest.raises(ShapeError, match="vector of 11 elements"):
        nn.utils.vector_to_parameters(ad.zeros(5), net.parameters())
