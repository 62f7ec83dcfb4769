"""Faults of the kinds that users of other libraries met, in further places.

Each has its test where its operation stands; here are those that cut across families.
"""

from __future__ import annotations

import re

import numpy as np
import pytest

import pyautodl as ad
import pyautodl.nn.functional as F
from pyautodl import nn

INF, NAN = float("inf"), float("nan")


def gradient(function, *values):
    """The gradients of the sum of what a function gives of float64 leaves."""
    leaves = [ad.tensor(v, dtype=ad.float64, requires_grad=True) for v in values]
    function(*leaves).sum().backward()
    found = [leaf.grad.tolist() for leaf in leaves]
    return found[0] if len(found) == 1 else found


@pytest.mark.parametrize(
    ("pool", "expected"),
    [
        (lambda x: F.max_pool1d(x, 3, 1), [1, 1, 1, 0, 0]),
        (lambda x: F.adaptive_max_pool1d(x, 2), [1, 0, 1, 0, 0]),
        (lambda x: ad.cummax(x, -1).values, [1, 1, 1, 1, 1]),
    ],
)
def test_ties_give_each_gradient_away_once(pool, expected):
    assert gradient(pool, [[[2.0] * 5]]) == [[expected]]


@pytest.mark.parametrize(
    ("function", "value", "expected"),
    [
        (lambda x: ad.where(x > 0, x.log(), 0 * x), [-1.0, 2, 0], [0, 0.5, 0]),
        (lambda x: ad.where(x > 0, x**0.5, x), [-1.0, 0, 4], [1, 1, 0.25]),
        (lambda x: ad.where(x != 0, 1 / x, x), [0.0, 2], [1, -0.25]),
        (lambda x: x.sqrt().masked_fill(x <= 0, 0), [0.0, 4, -1], [0, 0.25, 0]),
        (lambda x: x.log()[x > 0], [0.0, 4, -1], [0, 0.25, 0]),
        (lambda x: x.log().topk(1).values, [0.0, 4], [0, 0.25]),
        (lambda x: ad.where(x.abs() < 1, x.acos(), 0 * x), [1.0, 0, 2], [0, -1, 0]),
        (lambda x: x.reciprocal().narrow(0, 1, 1), [0.0, 2], [0, -0.25]),
        (lambda x: ad.cat([x.log()[1:], x]), [0.0, 4], [1, 1.25]),
    ],
)
def test_what_is_not_taken_poisons_no_gradient(function, value, expected):
    assert gradient(function, value) == expected


@pytest.mark.parametrize(
    "function",
    [
        lambda x: ad.hypot(x, 0 * x),
        lambda x: F.pairwise_distance(x, 0 * x, eps=0),
        lambda x: ad.linalg.vector_norm(x, 3),
        lambda x: ad.linalg.matrix_norm(x.reshape(1, 3)),
        lambda x: F.normalize(x, 1.0, 0),
        lambda x: ad.std_mean(x)[0],
        lambda x: ad.cumprod(x, 0)[1:],
    ],
)
def test_gradients_at_nothing_but_zeros_are_zeros(function):
    assert gradient(function, [0.0, 0, 0]) == [0, 0, 0]


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        (F.logsigmoid, [1, 0, 0.5]),
        (
            lambda x: F.soft_margin_loss(x, ad.ones_like(x), reduction="sum"),
            [-1, 0, -0.5],
        ),
        (
            lambda x: F.binary_cross_entropy_with_logits(
                x,
                ad.ones_like(x),
                pos_weight=ad.tensor(3.0, dtype=ad.float64),
                reduction="sum",
            ),
            [-3, 0, -1.5],
        ),
    ],
)
def test_logits_far_out_keep_their_gradients(loss, expected):
    assert gradient(loss, [-800.0, 800, 0]) == expected


@pytest.mark.parametrize(
    "loss",
    [
        F.smooth_l1_loss,
        F.huber_loss,
        F.kl_div,
        F.poisson_nll_loss,
        F.soft_margin_loss,
        F.hinge_embedding_loss,
        F.multilabel_soft_margin_loss,
        lambda x, y: F.gaussian_nll_loss(x, y, ad.ones(5, 1)),
        lambda x, y: F.margin_ranking_loss(x, y, y),
        lambda x, y: F.binary_cross_entropy(x, x, weight=y),
    ],
)
def test_no_loss_broadcasts_a_column_against_a_line(loss):
    with pytest.raises(ad.errors.ShapeError, match=re.escape("(5, 1)")):
        loss(ad.ones(5, 1), ad.ones(5))


@pytest.mark.parametrize(
    "call",
    [
        lambda: ad.take(ad.ones(3), ad.tensor([3])),
        lambda: ad.zeros(3).scatter_(0, ad.tensor([-1]), 1.0),
        lambda: ad.zeros(3).index_copy_(0, ad.tensor([-4]), ad.ones(1)),
        lambda: ad.zeros(3).scatter_reduce_(0, ad.tensor([3]), ad.ones(1), "sum"),
        lambda: F.embedding_bag(ad.tensor([[9]]), ad.ones(2, 2)),
        lambda: F.max_unpool1d(ad.ones(1, 1, 1), ad.tensor([[[9]]]), 2),
        lambda: F.multi_margin_loss(ad.zeros(2, 3), ad.tensor([1, 3])),
        lambda: F.ctc_loss(
            ad.zeros(4, 1, 3), ad.tensor([[5]]), ad.tensor([4]), ad.tensor([1])
        ),
    ],
)
def test_indices_out_of_range_are_named(call):
    with pytest.raises(
        IndexError, match=r"index -?\d+ (at position \d+ )?is out of range"
    ):
        call()


@pytest.mark.parametrize(
    "call",
    [
        lambda: F.max_pool1d(ad.ones(1, 1, 4), 2**29, dilation=2**31),
        lambda: F.unfold(ad.ones(1, 1, 4, 4), 2**31),
        lambda: F.pad(ad.ones(1), (2**62, 2**62)),
        lambda: ad.ones(4).repeat(2**61, 2**40),
        lambda: F.conv1d(ad.ones(1, 1, 4), ad.ones(1, 1, 2), padding=2**62),
        lambda: F.interpolate(ad.ones(1, 1, 4), size=2**60),
        lambda: F.one_hot(ad.tensor([1]), 2**62),
        lambda: ad.bincount(ad.tensor([2**60])),
        lambda: F.pixel_shuffle(ad.ones(1, 4, 2, 2), 2**31),
    ],
)
def test_sizes_beyond_all_memory_are_refused(call):
    with pytest.raises((ValueError, MemoryError)):
        call()


def test_each_layer_refuses_a_chance_that_is_none():
    makers = (
        nn.Dropout,
        lambda p: nn.LSTM(2, 2, 2, dropout=p),
        lambda p: nn.MultiheadAttention(4, 2, dropout=p),
        lambda p: nn.TransformerEncoderLayer(4, 2, dropout=p),
    )
    for make in makers:
        for p in (-0.1, 1.5, NAN):
            with pytest.raises(
                ValueError, match=r": (p|dropout) must be from 0 to 1, got"
            ):
                make(p)


def test_whatever_is_dropped_is_zero():
    x = ad.full((1, 40, 3), INF)
    for drop in (F.dropout, F.dropout1d, F.alpha_dropout, F.feature_alpha_dropout):
        kept = drop(x, 0.5, True)
        assert not kept.isnan().any()


@pytest.mark.parametrize(
    ("norm", "shape"),
    [
        (lambda x: F.group_norm(x, 1), (1, 4)),
        (lambda x: F.layer_norm(x, (4,)), (4,)),
        (lambda x: F.instance_norm(x), (1, 1, 4)),
        (lambda x: F.batch_norm(x, None, None, training=True), (4, 1)),
    ],
)
def test_norms_of_numbers_far_from_zero(norm, shape):
    near = ad.tensor([40000.0, 40001, 40002, 40003]).reshape(shape)
    expected = [-1.341635, -0.447212, 0.447212, 1.341635]
    np.testing.assert_allclose(norm(near).flatten().tolist(), expected, rtol=1e-5)
    assert norm(ad.full(shape, 1234.0)).abs().max().item() == 0


def test_remainders_by_numbers_keep_nothing_for_the_gradient():
    for function in (ad.remainder, ad.fmod):
        x = ad.tensor([3.5, -2.5], requires_grad=True) * 1
        y = function(x, 2.0)
        x.zero_()  # as in PyTorch the gradient does not ask what it was
        assert y.grad_fn is not None
        y.sum().backward()


def test_an_average_over_the_whole_image_runs_on_numba():
    pytest.importorskip("numba")
    x = ad.rand(2, 3, 4, 5, dtype=ad.float64)
    with ad.use_backend("jit"):
        found = F.avg_pool2d(x, (4, 5)), F.adaptive_avg_pool2d(x, 1)
    for y in found:
        np.testing.assert_allclose(y.numpy(), x.numpy().mean((2, 3), keepdims=True))
