"""Arguments of a wrong kind: the error names the operation, what it wants and what came."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pyautodl as ad
import pyautodl.nn.functional as F
from pyautodl.tensor import explained

X = ad.ones(2, 3)
STATE = (X, (X, X))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        # no tensor
        (lambda: ad.flatten([1, 2]), "flatten: input must be a tensor, got list"),
        (
            lambda: ad.flatten(STATE),
            r"flatten: .* take the output of \(output, state\)",
        ),
        (lambda: ad.std(None), "std: input must be a tensor, got None; likely fix"),
        (lambda: ad.squeeze(None), "squeeze: input must be a tensor, got NoneType"),
        (lambda: ad.softmax([1.0], 0), "softmax: input must be a tensor, got list"),
        (
            lambda: ad.bilinear(X, [1], X),
            r"bilinear: input2 must be a tensor, got \[1\]",
        ),
        (lambda: ad.bmm(X[None], None), "bmm: mat2 must be a tensor, got NoneType"),
        (lambda: F.linear(X, 2.5), "linear: weight must be a tensor, got float"),
        (lambda: F.max_pool2d(3, 2), "max_pool2d: input must be a tensor, got int"),
        (lambda: F.cosine_similarity("a", X), "cosine_similarity: .* got str"),
        (
            lambda: ad.zeros_like((2, 3)),
            "zeros_like: input must be a tensor, got tuple",
        ),
        (lambda: ad.cat(3), "cat: expected a tuple or list of tensors"),
        (lambda: ad.isclose(X, 1.0), "isclose: other must be a tensor, got 1.0"),
        (lambda: ad.max({}), "max: input must be a tensor, got dict"),
        # no number
        (lambda: F.leaky_relu(X, "a"), "leaky_relu: negative_slope must be a number"),
        (lambda: F.elu(X, None), "elu: alpha must be a number, got None"),
        (lambda: F.dropout(X, "half"), "dropout: p must be from 0 to 1, got 'half'"),
        (lambda: X.normal_("a"), "normal_: mean must be a number, got 'a'"),
        (lambda: ad.add(X, X, alpha=None), "add: alpha must be a number, got None"),
        (lambda: ad.linspace(None, 1, 3), "linspace: can't work with start=None"),
        (lambda: ad.topk(X, 1.5), "topk: k must be an int, got 1.5; likely fix: //"),
        # neither of the choices
        (lambda: X.sort(descending=None), "sort: descending must be True or False"),
        (lambda: ad.div(X, X, rounding_mode=[1]), "div: rounding_mode must be None"),
        (lambda: F.mse_loss(X, X, reduction=[1]), "mse_loss: reduction must be one of"),
        (
            lambda: X.size(5),
            r"size: dim must be from -2 to 1, got 5 \(shape \(2, 3\)\)",
        ),
        (
            lambda: ad.zeros(2, dtype=X),
            "zeros: dtype: a tensor of shape .* is not supported",
        ),
        (lambda: ad.set_default_dtype(None), "dtype: None is not supported"),
    ],
)
def test_arguments_of_a_wrong_kind(call: Callable[[], Any], message: str) -> None:
    with pytest.raises((TypeError, ValueError, IndexError), match=f"^{message}"):
        call()


def test_errors_of_a_users_function_stay() -> None:
    def distance(x: Any, y: Any) -> Any:
        return x.nothing

    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        F.triplet_margin_with_distance_loss(X, X, X, distance_function=distance)


def test_what_is_not_explained_stays() -> None:
    @explained
    def reasoned(x: ad.Tensor, mode: str) -> Any:
        """Fail."""
        raise ValueError(f"reasoned: {mode}")

    @explained
    def failing(x: ad.Tensor, mode: str) -> Any:
        """Fail."""
        raise KeyError(mode)

    with pytest.raises(ValueError, match="reasoned: because"):
        reasoned(X, "because")
    with pytest.raises(KeyError, match="because"):
        failing(X, "because")
    with pytest.raises(
        TypeError, match="failing: x must be a tensor, got an array"
    ) as caught:
        failing(np.ones(2), "because")
    assert isinstance(caught.value.__cause__, KeyError)
    with pytest.raises(
        TypeError, match="missing 1 required positional argument: 'mode'"
    ):
        failing(X)


def test_bounds_that_are_lists_are_tensors() -> None:
    assert X.clamp([0.5, 2, 0.25], np.array([3.0, 3.0, 0.75])).tolist()[0] == [
        1,
        2,
        0.75,
    ]


@pytest.mark.parametrize(
    "path",
    [
        f"{os.path.dirname(ad.__file__)}_experiments/own.py",
        os.path.join(os.path.dirname(os.__file__), "site-packages", "own", "losses.py"),
        os.path.join(os.path.dirname(os.__file__), "dist-packages", "own", "losses.py"),
        os.path.join(os.sep, "home", "numpy", "own.py"),
    ],
)
def test_errors_of_functions_handed_in_stay_wherever_these_stand(path: str) -> None:
    own: dict[str, Any] = {}
    source = (
        "def refuse(x): raise ValueError('own: not so')\n"
        "def reach(x): return [1, 2][5]\n"
    )
    exec(compile(source, path, "exec"), own)
    with pytest.raises(ValueError, match=r"^own: not so$"):
        ad.autograd.functional.jacobian(own["refuse"], X)
    with pytest.raises(IndexError, match=r"^list index out of range$"):
        ad.autograd.functional.jacobian(own["reach"], X)
