"""Losses where the records of the ops can't say it: labels, edges, warnings, helpers."""

from __future__ import annotations

import functools
import math
import warnings

import numpy as np
import pytest

import pyautodl as ad
from pyautodl import nn
from pyautodl.backends import native

F = nn.functional
pytestmark = pytest.mark.usefixtures("backend")
INF = np.inf


def leaf(values, dtype=np.float32):
    return ad.tensor(np.array(values, dtype), requires_grad=True)


def channels_last(values):
    moved = np.ascontiguousarray(np.moveaxis(values, 1, -1))
    return ad.from_numpy(np.moveaxis(moved, -1, 1))


# ---- the lecture's table ----


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("shape", [(3,), (5, 4), (40, 300)])
def test_absolute_and_square_errors_as_mean_and_sum(shape, reduction):
    x, y = ad.randn(*shape), ad.randn(*shape)
    difference = x.numpy().astype(np.float64) - y.numpy()
    for function, terms in (
        (F.l1_loss, np.abs(difference)),
        (F.mse_loss, difference**2),
    ):
        expected = getattr(terms, reduction)()
        found = function(x, y, reduction=reduction).item()
        assert found == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
@pytest.mark.parametrize("shape", [(6, 4), (37, 16), (2, 4, 5), (2, 4, 3, 3), (5, 40)])
def test_class_numbers_equal_one_hot_labels(shape, reduction):
    rng = np.random.default_rng(0)
    logits = rng.standard_normal(shape).astype(np.float32)
    labels = np.asarray(rng.integers(0, shape[1], (shape[0], *shape[2:])))
    hot = np.moveaxis(np.eye(shape[1], dtype=np.float32)[labels], -1, 1)
    for layout in (ad.tensor, channels_last) if len(shape) > 2 else (ad.tensor,):
        found = []
        for target in (ad.tensor(labels), ad.tensor(hot)):
            x = layout(logits).requires_grad_()
            p = F.softmax(layout(logits), 1).requires_grad_()
            loss = F.cross_entropy(x, target, reduction=reduction)
            on_p = F.categorical_cross_entropy(p, target, reduction=reduction)
            (loss.sum() + on_p.sum()).backward()
            found.append([each.detach().numpy() for each in (loss, x.grad, p.grad)])
            # the mean of one-hot labels is over the samples alone, as PyTorch's
            np.testing.assert_allclose(
                loss.detach().numpy(), on_p.detach().numpy(), 1e-4
            )
        if reduction == "mean" and len(shape) > 2:
            continue
        for a, b in zip(*found, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("reduction", ["none", "mean"])
@pytest.mark.parametrize("classes", [8, 16])
def test_many_short_rows(classes, reduction):
    """Several vectors of rows are summed up together, the last of them not full."""
    rng = np.random.default_rng(3)
    logits = 3 * rng.standard_normal((5003, classes)).astype(np.float32)
    labels = rng.integers(0, classes, 5003)
    labels[::7] = -100
    x = leaf(logits)
    found = F.cross_entropy(x, ad.tensor(labels), reduction=reduction)
    found.sum().backward()
    live = labels >= 0
    exps = np.exp(logits.astype(np.float64))
    own = np.eye(classes)[np.where(live, labels, 0)]
    p = exps / exps.sum(1, keepdims=True)
    losses = np.where(live, -np.log((p * own).sum(1)), 0)
    slopes = np.where(live[:, None], p - own, 0)
    rounding = 2.5e-7  # of a probability near 1, which is subtracted from 1
    if reduction == "mean":
        losses, slopes = losses.sum() / live.sum(), slopes / live.sum()
        rounding /= live.sum()
    np.testing.assert_allclose(found.detach().numpy(), losses, rtol=2e-6, atol=1e-6)
    np.testing.assert_allclose(x.grad.numpy(), slopes, rtol=1e-5, atol=rounding)


def test_binary_labels_as_numbers_or_pairs():
    logits = leaf([[0.3], [-1.2], [2.0]])
    labels = ad.tensor([[1], [0], [1]])
    binary = F.binary_cross_entropy_with_logits(logits, labels)
    on_p = F.binary_cross_entropy(logits.sigmoid(), labels)
    pair = ad.cat([logits.detach() * 0, logits.detach()], 1)
    hot = ad.tensor([[0.0, 1], [1, 0], [0, 1]])
    for other in (
        on_p,
        F.cross_entropy(pair, hot),
        F.cross_entropy(pair, labels[:, 0]),
    ):
        np.testing.assert_allclose(other.item(), binary.item(), rtol=1e-6)


@pytest.mark.parametrize("dtype", [ad.uint8, ad.int32, ad.int16, ad.int64])
def test_class_numbers_of_every_whole_type(dtype):
    logits = ad.randn(3, 4)
    expected = F.cross_entropy(logits, ad.tensor([0, 3, 1])).item()
    target = ad.tensor([0, 3, 1]).to(dtype)
    assert F.cross_entropy(logits, target).item() == expected


def test_log_dice_of_masks_and_class_numbers():
    labels = ad.tensor(np.array([[[0, 1], [2, 1]]]))
    hot = ad.tensor(np.moveaxis(np.eye(3, dtype=np.float32)[labels.numpy()], -1, 1))
    x = ad.randn(1, 3, 2, 2)
    assert F.log_dice_loss(x, labels).item() == F.log_dice_loss(x, hot).item()
    p = F.softmax(x, 1).numpy().astype(np.float64)
    both = (p * hot.numpy()).sum((0, 2, 3))
    either = (p + hot.numpy()).sum((0, 2, 3))
    expected = -np.log((2 * both + 1) / (either + 1))
    found = F.log_dice_loss(x, labels, reduction="none").numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert F.log_dice_loss(x, labels).item() == pytest.approx(expected.mean(), rel=1e-5)


# ---- one's own losses ----


def test_losses_of_the_library_pass_the_check():
    labels = ad.tensor(np.arange(8) % 3)
    ad.testing.check_loss(F.mse_loss)
    ad.testing.check_loss(F.smooth_l1_loss)
    ad.testing.check_loss(F.binary_cross_entropy_with_logits)
    ad.testing.check_loss(F.cross_entropy, ad.randn(8, 3), labels)
    ad.testing.check_loss(F.log_dice_loss, ad.randn(8, 3), labels)
    masks = (ad.randn(8, 3, 4) > 0).float()
    dice = nn.LogDiceLoss(multilabel=True)
    ad.testing.check_loss(dice, ad.randn(8, 3, 4), masks)


@pytest.mark.parametrize(
    ("loss", "match"),
    [
        (lambda y, t: (y - t).mean(), "must not be below 0"),
        (lambda y, t: ((y - t) ** 2).mean() - 1e-9, "must not be below 0"),
        (lambda y, t: (y - t).abs().exp().mean(), "must be finite"),
        (lambda y, t: ((y - t) ** 2).sum().sqrt(), "gradient for an input equal"),
        (
            lambda y, t: ((y[:4] - t[:4]) ** 2).mean(),
            "order of the samples changes it; they differ: [0-9.]+ and [0-9.]+ ",
        ),
        (lambda y, t: (y - t) ** 2, r"expected a tensor of one number, got \(8, 3\)"),
        (lambda y, t: ((y - t) ** 2).mean().item(), "one number, got float"),
        (lambda y, t: ((y.detach() - t) ** 2).mean(), "no gradient leads from it"),
    ],
)
def test_losses_that_break_a_rule_are_named(loss, match):
    with pytest.raises(AssertionError, match=match):
        ad.testing.check_loss(loss)


def test_a_wrong_gradient_is_found():
    def half(y, t):
        return ((y.detach() - t) ** 2 / 2 + (y - t) ** 2 / 2).mean()

    with pytest.raises(ad.autograd.GradcheckError):
        ad.testing.check_loss(half)


# ---- binary cross-entropy ----


def test_binary_cross_entropy_of_a_sigmoid_still_learns():
    x = leaf([-50, -10, -5, -2, 0, 2, 5, 12])
    F.binary_cross_entropy(x.sigmoid(), ad.ones(8)).backward()
    expected = (1 / (1 + np.exp(-x.detach().numpy().astype(np.float64))) - 1) / 8
    np.testing.assert_allclose(x.grad.numpy(), expected, rtol=1e-4, atol=1e-8)
    assert x.grad.numpy()[0] == pytest.approx(-0.125, rel=1e-6)


@pytest.mark.parametrize("logit", [-87.0, -80.0, -50.0, 0.0, 10.0])
def test_gradient_is_right_down_to_the_smallest_probability(logit):
    x = leaf([logit])
    F.binary_cross_entropy(x.sigmoid(), ad.ones(1)).backward()
    expected = 1 / (1 + math.exp(-logit)) - 1
    assert x.grad.item() == pytest.approx(expected, rel=1e-3)


def test_gradient_of_a_sure_and_right_output_is_not_clipped():
    p = leaf([1.0, 0.0])
    F.binary_cross_entropy(p, ad.tensor([1.0, 0.0]), reduction="sum").backward()
    assert p.grad.tolist() == [-1.0, 1.0]
    sure = ad.tensor([100.0]).sigmoid().requires_grad_()
    F.binary_cross_entropy(sure, ad.ones(1)).backward()
    assert sure.grad.item() == -1.0


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_gradient_has_no_epsilon(dtype):
    p = np.array([1e-20, 1e-6, 0.3, 1 - 1e-6], dtype)
    t = np.array([1, 0.5, 0, 1], dtype)
    x = leaf(p, dtype)
    F.binary_cross_entropy(x, ad.tensor(t), reduction="sum").backward()
    wide, y = p.astype(np.float64), t.astype(np.float64)
    expected = (wide - y) / (wide * (1 - wide))
    np.testing.assert_allclose(x.grad.numpy(), expected, rtol=1e-5)


def test_binary_cross_entropy_is_clamped_at_100():
    p = ad.tensor([0.0, 1.0, 1e-38])
    t = ad.tensor([1.0, 0.0, 1.0])
    found = F.binary_cross_entropy(p, t, reduction="none")
    np.testing.assert_allclose(found.numpy(), [100, 100, 87.49823], rtol=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_probabilities_at_the_ends(dtype, reduction):
    p = leaf([0, 1e-59, 1 - 1e-59, 1], dtype)
    loss = F.binary_cross_entropy(
        p, ad.tensor(np.array([0, 0, 1, 1], dtype)), reduction=reduction
    )
    loss.sum().backward()
    np.testing.assert_allclose(loss.detach().numpy(), 0, atol=1e-58)
    assert np.isfinite(p.grad.numpy()).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sure_and_wrong_is_finite(dtype):
    p = leaf([0, 1, 0, 1], dtype)
    target = ad.tensor(np.array([1, 0, 0.5, 0.5], dtype))
    weight = ad.tensor(np.full(4, 1e3, dtype))
    loss = F.binary_cross_entropy(p, target, weight)
    loss.backward()
    assert np.isfinite(loss.item())
    assert np.isfinite(p.grad.numpy()).all()
    assert p.grad.numpy()[0] < 0 < p.grad.numpy()[1]
    x = leaf([[0.0, -INF]], dtype)
    q = leaf([[0.0, 1.0]], dtype)
    F.categorical_cross_entropy(q, ad.tensor([0])).backward()
    assert np.isfinite(q.grad.numpy()).all()
    assert q.grad.numpy()[0, 0] < 0
    assert F.softmax(x, 1).tolist() == [[1.0, 0.0]]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_slopes_at_a_probability_of_0_can_be_added_up(dtype):
    # rows share their probabilities: a sum of slopes near the largest number overflows
    factor = ad.tensor(np.array([10, 1], dtype))
    for weight in (None, factor):
        x = leaf([[-1000.0, 0.0]], dtype)
        p = F.softmax(x, 1).expand(9, 2)
        rows = ad.zeros(9, dtype=ad.int64)
        F.categorical_cross_entropy(p, rows, weight, reduction="sum").backward()
        assert x.grad.tolist() == [[0, 0]]
    q = leaf([[0.0, 1.0]], dtype)
    F.categorical_cross_entropy(q, ad.tensor([0])).backward()
    np.testing.assert_allclose(q.grad.numpy(), [[-1e12, 0]], rtol=1e-6)
    # what is not 0 has its own slope, however small
    q = leaf([[1e-30, 1.0]], dtype)
    F.categorical_cross_entropy(q, ad.tensor([0])).backward()
    np.testing.assert_allclose(q.grad.numpy(), [[-1e30, 0]], rtol=1e-6)
    q = leaf([[0.25, 0.75]], dtype)
    loss = F.categorical_cross_entropy(q, ad.tensor([0]))
    (slope,) = ad.autograd.grad(loss, q, create_graph=True)
    (bend,) = ad.autograd.grad(slope.sum(), q)
    np.testing.assert_allclose(bend.numpy(), [[16, 0]], rtol=1e-6)


def test_binary_cross_entropy_with_logits_is_exact_for_large_logits():
    x = leaf([-1000.0, 1000.0, 1000.0, -20.0])
    target = ad.tensor([0.0, 1.0, 0.0, 1.0])
    loss = F.binary_cross_entropy_with_logits(x, target, reduction="none")
    loss.sum().backward()
    np.testing.assert_allclose(loss.detach().numpy(), [0, 0, 1000, 20], atol=1e-6)
    np.testing.assert_allclose(x.grad.numpy(), [0, 0, 1, -1], atol=1e-6)


@pytest.mark.parametrize("target", [1.0, -1.0])
def test_soft_margin_loss_of_infinite_scores(target):
    x = ad.tensor([math.inf, -math.inf, 1e4, -1e4]) * target
    x.requires_grad_()
    loss = F.soft_margin_loss(x, ad.full((4,), target), reduction="none")
    loss.sum().backward()
    assert loss.tolist() == [0.0, math.inf, 0.0, 1e4]
    assert x.grad.tolist() == [0.0, -target, 0.0, -target]


# ---- no broadcasting, no mixed types ----

PAIRS = [
    F.mse_loss,
    F.l1_loss,
    F.smooth_l1_loss,
    F.huber_loss,
    F.binary_cross_entropy,
    F.binary_cross_entropy_with_logits,
    F.kl_div,
    F.poisson_nll_loss,
    F.hinge_embedding_loss,
    F.soft_margin_loss,
    lambda x, y: F.gaussian_nll_loss(x, y, 1.0),
    lambda x, y: F.margin_ranking_loss(x, x, y),
    lambda x, y: F.margin_ranking_loss(x, y, y),
    lambda x, y: F.triplet_margin_loss(x, y, x),
    lambda x, y: F.triplet_margin_loss(x, x, y),
    lambda x, y: F.cosine_embedding_loss(x, y, y),
]


@pytest.mark.parametrize("loss", PAIRS)
@pytest.mark.parametrize(
    "shapes", [((64, 1), (64,)), ((64,), (64, 1)), ((4, 3), (1, 3))]
)
def test_losses_never_broadcast(loss, shapes):
    x, y = (ad.full(shape, 0.5) for shape in shapes)
    with pytest.raises(ad.ShapeError) as error:
        loss(x, y)
    for shape in shapes:
        assert str(tuple(shape)) in str(error.value)


@pytest.mark.parametrize(
    "layer", [nn.MSELoss(), nn.L1Loss(), nn.BCELoss(), nn.BCEWithLogitsLoss()]
)
def test_layers_of_losses_never_broadcast(layer):
    with pytest.raises(ad.ShapeError, match=r"\(100, 1\) and target \(100,\)"):
        layer(ad.full((100, 1), 0.5), ad.full((100,), 0.5))


@pytest.mark.parametrize("loss", [F.cross_entropy, F.categorical_cross_entropy])
@pytest.mark.parametrize("shape", [(4, 1), (5,), (4, 3, 1), (1,)])
def test_targets_of_classes_do_not_broadcast(loss, shape):
    with pytest.raises(ad.ShapeError) as error:
        loss(ad.full((4, 3), 0.5), ad.zeros(*shape, dtype=ad.int64))
    assert "(4, 3)" in str(error.value)
    assert str(shape) in str(error.value)


@pytest.mark.parametrize("loss", [*PAIRS[:10], F.cross_entropy])
def test_mixed_floats_are_refused_with_the_cure(loss):
    x = ad.full((4, 3), 0.5)
    with pytest.raises(ad.DTypeError, match=r"\.float\(\)"):
        loss(x, x.double())
    with pytest.raises(ad.DTypeError, match=r"\.float\(\)"):
        loss(x.double(), x)


# ---- cross-entropy ----

IGNORED = [
    ((4, 3), "cross_entropy"),
    ((4, 50), "cross_entropy"),
    ((2, 3, 5), "cross_entropy"),
    ((4, 3), "nll_loss"),
    ((4, 3), "categorical_cross_entropy"),
]


@pytest.mark.parametrize(("shape", "name"), IGNORED)
def test_a_loss_whose_every_target_is_ignored_is_0_and_warns(shape, name):
    x = ad.rand(*shape, requires_grad=True)
    target = ad.full((shape[0], *shape[2:]), -100, dtype=ad.int64)
    with pytest.warns(UserWarning, match="every target is ignored") as caught:
        loss = getattr(F, name)(x, target)
    assert len(caught) == 1
    assert loss.item() == 0
    loss.backward()
    assert (x.grad.numpy() == 0).all()


@pytest.mark.parametrize("name", ["cross_entropy", "nll_loss"])
def test_the_warning_names_the_line_of_the_call(name):
    for _ in range(2):
        with pytest.warns(UserWarning, match="every target is ignored") as caught:
            getattr(F, name)(ad.zeros(2, 3), ad.full((2,), -100, dtype=ad.int64))
        assert caught[0].filename == __file__


def test_no_weight_becomes_nan():
    model = nn.Linear(3, 2)
    before = model.weight.detach().clone()
    optimizer = ad.optim.SGD(model.parameters(), 0.1)
    with pytest.warns(UserWarning, match="every target is ignored"):
        F.cross_entropy(
            model(ad.randn(4, 3)), ad.full((4,), 7).long(), None, None, 7
        ).backward()
    optimizer.step()
    ad.testing.assert_close(model.weight.detach(), before, rtol=0.0, atol=0.0)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("classes", [3, 4, 8, 16, 50])
def test_a_row_has_the_same_loss_alone_and_among_others(classes, dtype):
    random = np.random.default_rng(classes)
    logits = (20 * random.standard_normal((37, classes))).astype(dtype)
    labels = random.integers(0, classes, 37)
    labels[::5] = -100
    wide = logits.astype(np.float64)
    own = np.take_along_axis(wide, np.maximum(labels, 0)[:, None], 1)[:, 0]
    expected = np.where(labels < 0, 0, np.logaddexp.reduce(wide, 1) - own)

    def losses(rows):
        at, target = ad.tensor(logits[rows]), ad.tensor(labels[rows])
        return F.cross_entropy(at, target, reduction="none").numpy()

    together = losses(slice(None))
    np.testing.assert_allclose(together, expected, rtol=1e-5, atol=1e-5)
    for row in (1, 4, 21, 36):
        np.testing.assert_array_equal(together[row], losses(slice(row, row + 1))[0])


@pytest.mark.parametrize("classes", [3, 50])
@pytest.mark.parametrize("hidden", [np.nan, np.inf])
def test_ignored_rows_can_hold_anything(classes, hidden):
    x = leaf(np.full((3, classes), hidden))
    with ad.no_grad():
        x[1] = 0.0
    loss = F.cross_entropy(x, ad.tensor([-100, 1, -100]))
    loss.backward()
    assert loss.item() == pytest.approx(math.log(classes), rel=1e-6)
    assert (x.grad.numpy()[[0, 2]] == 0).all()
    assert np.isfinite(x.grad.numpy()).all()


@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
@pytest.mark.parametrize("bad", [-4, 3, 2**40, -(2**62)])
@pytest.mark.parametrize("name", [n for _, n in IGNORED[2:]])
def test_a_target_outside_the_classes_is_named(name, bad, reduction):
    target = ad.tensor([0, 2, bad, 1, -1])
    with pytest.raises(IndexError) as error:
        getattr(F, name)(ad.rand(5, 3), target, reduction=reduction)
    text = str(error.value)
    assert f"{bad} at position 2" in text
    assert "< 3" in text
    assert "classes" in text


def test_the_first_bad_target_is_named_by_any_number_of_threads():
    target = np.zeros(5000, np.int64)
    target[[1234, 3000, 4999]] = [10, 11, -3]
    for threads in (1, 2, 3) if native.available else (1,):
        with (
            native.exact_threads(threads)
            if native.available
            else warnings.catch_warnings()
        ):
            with pytest.raises(IndexError, match="10 at position 1234"):
                F.cross_entropy(ad.rand(5000, 10), ad.tensor(target))


def test_an_ignored_number_is_no_error():
    x = ad.rand(3, 2)
    for ignore in (-100, -1, 7):
        target = ad.tensor([0, ignore, 1])
        found = F.cross_entropy(x, target, ignore_index=ignore).item()
        expected = F.cross_entropy(x[[0, 2]], ad.tensor([0, 1])).item()
        assert found == pytest.approx(expected, rel=1e-6)


def test_log_dice_names_a_target_outside_the_classes():
    with pytest.raises(IndexError, match=r"log_dice_loss: .*5 at position 1.*< 3"):
        F.log_dice_loss(ad.rand(2, 3), ad.tensor([0, 5]))


def test_softmax_before_cross_entropy_warns_and_computes():
    x = leaf([[1.0, 0.0]])
    target = ad.tensor([0])
    with pytest.warns(UserWarning, match="categorical_cross_entropy") as caught:
        twice = F.cross_entropy(F.softmax(x, 1), target)
    assert len(caught) == 1
    assert twice.item() == pytest.approx(0.488548, rel=1e-5)
    p = F.softmax(x.detach(), 1)
    # the same without a graph, and without a warning
    assert F.cross_entropy(p, target).item() == twice.item()
    assert F.cross_entropy(x, target).item() == pytest.approx(0.313262, rel=1e-5)
    once = F.categorical_cross_entropy(F.softmax(x, 1), target)
    assert once.item() == pytest.approx(0.313262, rel=1e-5)


@pytest.mark.parametrize(
    ("loss", "made", "match"),
    [
        (
            F.nll_loss,
            nn.Softmax(1),
            "nll_loss: .* of a softmax, without the logarithm; use",
        ),
        (
            F.log_dice_loss,
            nn.Softmax(1),
            "log_dice_loss: .* of a softmax, but log_dice_loss applies softmax itself; pass",
        ),
        (
            functools.partial(F.log_dice_loss, multilabel=True),
            nn.Sigmoid(),
            "of a sigmoid, but log_dice_loss applies sigmoid itself",
        ),
    ],
)
def test_probabilities_for_logits_warn(loss, made, match):
    x, target = leaf([[1.0, 0.0]]), ad.tensor([[1.0, 0.0]])
    if loss is F.nll_loss:
        target = ad.tensor([0])
    with pytest.warns(UserWarning, match=match) as caught:
        warned = loss(made(x), target)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert loss(made(x.detach()), target).item() == warned.item()
    loss(x if loss is not F.nll_loss else x.log_softmax(1), target)


@pytest.mark.parametrize("scale", [1, 50])
def test_large_logits_keep_their_digits(scale):
    logits = np.full((2, scale), -1e7, np.float32) if scale > 1 else np.zeros((2, 0))
    x = ad.tensor(np.concatenate([[[1e7, 1e7 + 1]] * 2, logits], 1).astype(np.float32))
    loss = F.cross_entropy(x, ad.tensor([0, 1]), reduction="none").numpy()
    np.testing.assert_allclose(loss, [1.3132617, 0.3132617], rtol=1e-6)


@pytest.mark.parametrize("shape", [(5, 3), (2, 3, 4), (3,)])
def test_label_smoothing_mixes_in_the_uniform_distribution(shape):
    x = ad.randn(*shape)
    axis = 1 if len(shape) > 1 else 0
    labels = np.asarray(np.random.default_rng(0).integers(0, 3, np.delete(shape, axis)))
    hot = np.moveaxis(np.eye(3, dtype=np.float32)[labels], -1, axis)
    mixed = ad.tensor(0.8 * hot + np.float32(0.2 / 3))
    found = F.cross_entropy(x, ad.tensor(labels), label_smoothing=0.2, reduction="none")
    expected = F.cross_entropy(x, mixed, reduction="none")
    np.testing.assert_allclose(found.numpy(), expected.numpy(), rtol=1e-5)


def test_layouts_of_pixels_do_not_matter():
    x = np.random.default_rng(0).standard_normal((2, 5, 9, 7)).astype(np.float32)
    target = ad.tensor(np.random.default_rng(1).integers(0, 5, (2, 9, 7)))
    found = []
    for logits in (
        ad.tensor(x),
        channels_last(x),
        ad.tensor(x.T.copy()).permute(3, 2, 1, 0),
    ):
        logits = logits.detach().requires_grad_()
        loss = F.cross_entropy(logits, target)
        loss.backward()
        found.append((loss.item(), logits.grad.numpy()))
    for loss, grad in found[1:]:
        assert loss == pytest.approx(found[0][0], rel=1e-6)
        np.testing.assert_allclose(grad, found[0][1], rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("loss", [F.cross_entropy, F.nll_loss])
def test_class_weights_have_no_gradient_beside_class_numbers(loss):
    weight = ad.ones(3, requires_grad=True)
    x, y = ad.randn(2, 3), ad.tensor([0, 1])
    with pytest.raises(ad.GradError, match=r"weights of classes.*weight\.detach\(\)"):
        loss(x, y, weight)
    with ad.no_grad():
        loss(x, y, weight)
    loss(x, y, weight.detach())


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_class_weights_have_a_gradient_beside_probabilities(reduction, smoothing):
    """As in PyTorch; each class's is the loss of a weight that is 1 there, else 0."""
    x, y = ad.randn(4, 3, 2), ad.rand(4, 3, 2)
    options = {"reduction": reduction, "label_smoothing": smoothing}
    weight = ad.tensor([0.5, 1.0, 2.0], requires_grad=True)
    F.cross_entropy(x, y, weight, **options).sum().backward()
    for i, found in enumerate(weight.grad.tolist()):
        alone = F.one_hot(ad.tensor(i), 3).float()
        expected = F.cross_entropy(x, y, alone, **options).sum().item()
        assert found == pytest.approx(expected, rel=1e-5)


def test_weights_of_elements_have_a_gradient():
    """PyTorch refuses these; the value is linear in a weight, so its gradient is plain."""
    x, y = ad.randn(3, 2), ad.rand(3, 2)
    for key in ("weight", "pos_weight"):
        weight = ad.ones(2, requires_grad=True)
        F.binary_cross_entropy_with_logits(x, y, **{key: weight}).backward()
        without = ad.zeros(2)
        without[1] = 1
        change = F.binary_cross_entropy_with_logits(
            x, y, **{key: ad.ones(2)}
        ) - F.binary_cross_entropy_with_logits(x, y, **{key: without})
        assert weight.grad[0].item() == pytest.approx(change.item(), rel=1e-4)


@pytest.mark.parametrize("loss", [F.mse_loss, F.l1_loss, F.huber_loss])
def test_weights_of_errors(loss):
    """Values of PyTorch: a mean is divided by the weights, but for huber_loss."""
    x = ad.tensor([0.5, 2.0, -1.0], requires_grad=True)
    y, weight = ad.zeros(3), ad.tensor([1.0, 2.0, 3.0], requires_grad=True)
    each = loss(x, y, reduction="none").detach() * weight.detach()
    assert loss(x, y, weight=weight, reduction="none").tolist() == each.tolist()
    total = loss(x, y, weight=weight, reduction="sum")
    assert total.item() == pytest.approx(each.sum().item())
    mean = loss(x, y, weight=weight)
    divisor = 3 if loss is F.huber_loss else 6
    assert mean.item() == pytest.approx(each.sum().item() / divisor)
    mean.backward()
    assert weight.grad is not None
    with pytest.raises(ad.ShapeError, match=r"weight of the input's shape \(3,\)"):
        loss(x, y, weight=ad.ones(1))
    with pytest.raises(ValueError, match="reduction must be"):
        loss(x, y, weight=weight, reduction="average")


def test_old_arguments_are_named():
    x = ad.ones(2)
    with pytest.raises(NotImplementedError, match="size_average"):
        F.mse_loss(x, x, size_average=True)
    with pytest.raises(NotImplementedError, match="reduce"):
        nn.BCELoss(reduce=False)


# ---- Dice ----


@pytest.mark.parametrize("smooth", [0.0, 1e-5, 1.0])
def test_two_empty_masks_overlap_fully(smooth):
    x = leaf(np.full((2, 3, 4), -1000.0))
    loss = F.log_dice_loss(x, ad.zeros(2, 3, 4), multilabel=True, smooth=smooth)
    loss.backward()
    assert loss.item() == 0
    assert np.isfinite(x.grad.numpy()).all()


@pytest.mark.parametrize("smooth", [0.0, 1.0])
def test_an_empty_and_a_full_mask_give_a_finite_loss(smooth):
    for logit, mask in ((-1000.0, 1.0), (1000.0, 0.0)):
        x = leaf(np.full((2, 1, 4), logit))
        target = ad.full((2, 1, 4), mask)
        loss = F.log_dice_loss(x, target, multilabel=True, smooth=smooth)
        loss.backward()
        assert 0 < loss.item() < 50
        assert np.isfinite(x.grad.numpy()).all()
    assert smooth or loss.item() > 20


@pytest.mark.parametrize("seed", range(5))
def test_log_dice_is_never_below_zero(seed):
    rng = np.random.default_rng(seed)
    target = (rng.random((2, 3, 50)) < 0.5).astype(np.float32)
    for scale in (1, 20, 200):
        x = ad.tensor(((target * 2 - 1) * scale).astype(np.float32))
        for multilabel in (True, False):
            loss = F.log_dice_loss(
                x, ad.tensor(target), multilabel=multilabel, reduction="none"
            )
            assert (loss.numpy() >= 0).all()


def test_perfect_masks_cost_nothing_and_worse_ones_more():
    target = ad.tensor([[[1.0, 1, 0, 0]]])
    losses = [
        F.log_dice_loss(ad.tensor([[logits]]), target, multilabel=True).item()
        for logits in ([900.0, 900, -900, -900], [2.0, 2, -2, -2], [-2.0, -2, 2, 2])
    ]
    assert losses[0] == 0
    assert losses == sorted(losses)


def test_log_dice_refuses_wrong_arguments():
    with pytest.raises(ValueError, match="smooth must not be negative"):
        F.log_dice_loss(ad.zeros(1, 2), ad.tensor([0]), smooth=-1.0)
    with pytest.raises(ad.ShapeError, match="one mask a class"):
        F.log_dice_loss(ad.zeros(1, 2, 3), ad.zeros(1, 3), multilabel=True)


# ---- layers ----

POSITIVE = ad.full((4, 3), 0.25)
LAYERS = [
    (nn.MSELoss(), POSITIVE),
    (nn.L1Loss(reduction="sum"), POSITIVE),
    (nn.SmoothL1Loss(beta=0.5), POSITIVE),
    (nn.HuberLoss(delta=0.5), POSITIVE),
    (nn.BCEWithLogitsLoss(ad.full((3,), 2.0), pos_weight=ad.full((3,), 3.0)), POSITIVE),
    (nn.CrossEntropyLoss(label_smoothing=0.1), ad.tensor([0, 1, 2, 0])),
    (nn.NLLLoss(), ad.tensor([0, 1, 2, 0])),
    (nn.KLDivLoss(reduction="batchmean"), POSITIVE),
    (nn.LogDiceLoss(), ad.tensor([0, 1, 2, 0])),
    (nn.PoissonNLLLoss(full=True), POSITIVE),
    (nn.SoftMarginLoss(), ad.sign(POSITIVE)),
]


@pytest.mark.parametrize(("layer", "target"), LAYERS, ids=lambda x: type(x).__name__)
def test_layers_keep_the_rules_of_layers(layer, target):
    ad.testing.check_module(layer, ad.randn(4, 3), target.detach())


def test_weights_are_buffers():
    layer = nn.CrossEntropyLoss(ad.ones(3))
    assert list(layer.state_dict()) == ["weight"]
    assert list(nn.BCEWithLogitsLoss(pos_weight=ad.ones(1)).state_dict()) == [
        "pos_weight"
    ]
    assert layer.double().weight.dtype == ad.float64


def test_slopes_of_binary_losses_at_a_probability_of_0_can_be_added_up():
    p = ad.tensor([0.0], requires_grad=True)
    F.binary_cross_entropy(p.expand(8), ad.ones(8), reduction="sum").backward()
    assert p.grad.item() == pytest.approx(-8e12)
    x = ad.tensor([-200.0], requires_grad=True)
    shared = ad.sigmoid(x).expand(8)
    F.binary_cross_entropy(shared, ad.ones(8), reduction="sum").backward()
    assert x.grad.item() == 0
