"""Element types of results, questions about tensors, batched gradients, fused batch norms."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import pyautodl as ad
from pyautodl import nn
from pyautodl.autograd import grad, gradcheck
from pyautodl.errors import DTypeError, GradError, ShapeError


def test_element_types_of_results() -> None:
    whole, single = ad.ones(2, dtype=ad.int8), ad.ones(2)
    assert ad.result_type(whole, ad.ones(2, dtype=ad.uint8)) == ad.int16
    assert ad.result_type(whole, single) == (whole + single).dtype == ad.float32
    assert ad.result_type(single, ad.tensor(1.0, dtype=ad.float64)) == ad.float32
    assert ad.result_type(whole, 2) == ad.int8
    assert ad.result_type(True, whole) == ad.int8
    assert ad.can_cast(ad.float64, ad.float32)
    assert ad.can_cast(ad.int64, ad.uint8)
    assert ad.can_cast(ad.bool, ad.int8)
    assert not ad.can_cast(ad.float32, ad.int64)
    assert not ad.can_cast(ad.int8, ad.bool)


def test_questions() -> None:
    assert ad.tensor([[2]]).is_nonzero()
    assert not ad.is_nonzero(ad.tensor(0.0))
    assert not ad.ones(2).is_same_size(ad.ones(1, 2))
    for many in (ad.ones(2), ad.ones(0)):
        with pytest.raises(ShapeError, match=r"likely fix: \.any\(\) or \.all\(\)"):
            ad.is_nonzero(many)


def test_sums_to_a_size_and_parts() -> None:
    x = ad.tensor(np.arange(24.0).reshape(2, 3, 4), requires_grad=True)
    for size in ((3, 1), (1, 3, 4), (2, 1, 1), (4,), (), (2, 3, 4)):
        axes = tuple(range(3 - len(size)))
        expected = x.detach().numpy().sum(axes)
        kept = tuple(i for i, n in enumerate(size) if n == 1 != expected.shape[i])
        expected = expected.sum(kept, keepdims=True)
        assert x.sum_to_size(size).tolist() == expected.tolist()
    assert x.sum_to_size(3, 1).shape == (3, 1)
    assert gradcheck(lambda x: x.sum_to_size(3, 1), x)
    for size in ((2, 4), (1, 1, 1, 1)):
        with pytest.raises(ShapeError, match=r"sum_to_size: .* does not broadcast"):
            x.sum_to_size(size)
    parts = x.split_with_sizes([1, 3], -1)
    assert [tuple(part.shape) for part in parts] == [(2, 3, 1), (2, 3, 3)]


def test_parts_no_longer_than_a_limit() -> None:
    x = np.random.default_rng(0).normal(size=(4, 3, 2))
    for p, dim in ((2, 0), (1, 1), (3, -1)):
        y = ad.renorm(ad.tensor(x), p, dim, 1.5).numpy()
        others = tuple(i for i in range(3) if i != dim % 3)
        before = (np.abs(x) ** p).sum(others, keepdims=True) ** (1 / p)
        expected = np.where(before > 1.5, x * 1.5 / (before + 1e-7), x)
        np.testing.assert_allclose(y, expected, rtol=1e-12)
    assert gradcheck(lambda x: x.renorm(2, 0, 1.5), ad.tensor(x, requires_grad=True))
    with pytest.raises(DTypeError, match="renorm: expected a floating tensor"):
        ad.renorm(ad.ones(2, 2, dtype=ad.int64), 2, 0, 1.0)
    with pytest.raises(ShapeError, match="renorm: expected two axes or more"):
        ad.renorm(ad.ones(2), 2, 0, 1.0)


def test_gradients_for_a_batch_of_gradients() -> None:
    x = ad.tensor([1.0, 2.0, 3.0], requires_grad=True)
    other = ad.ones(2, requires_grad=True)
    y = x**2
    (rows,) = grad(y, x, ad.eye(3), is_grads_batched=True, retain_graph=True)
    assert rows.tolist() == np.diag([2.0, 4.0, 6.0]).tolist()
    found = grad(
        (y, 2 * x),
        (x, other),
        (ad.eye(3), ad.ones(3, 3)),
        is_grads_batched=True,
        retain_graph=True,
        create_graph=True,
        allow_unused=True,
    )
    assert found[0].tolist() == (np.diag([2.0, 4.0, 6.0]) + 2).tolist()
    assert found[1] is None
    assert grad(found[0].sum(), x)[0].tolist() == [2.0, 2.0, 2.0]
    zeros = grad(
        y, (x, other), ad.eye(3), is_grads_batched=True, materialize_grads=True
    )[1]
    assert zeros.tolist() == [[0.0, 0.0]] * 3
    with pytest.raises(GradError, match="backward was already run"):
        grad(y, x, ad.eye(3), is_grads_batched=True)
    for wrong in (None, ad.tensor(1.0), ad.ones(0, 3)):
        with pytest.raises(GradError, match="with a first axis of one size"):
            grad(x * 2, x, wrong, is_grads_batched=True)


LAYERS: list[tuple[Any, Any, tuple[int, ...]]] = [
    (lambda: nn.Conv2d(3, 4, 3), lambda: nn.BatchNorm2d(4), (2, 3, 5, 5)),
    (lambda: nn.Conv1d(3, 4, 3, bias=False), lambda: nn.BatchNorm1d(4), (2, 3, 5)),
    (
        lambda: nn.ConvTranspose2d(3, 4, 3),
        lambda: nn.BatchNorm2d(4, affine=False),
        (2, 3, 5, 5),
    ),
    (lambda: nn.Linear(3, 4), lambda: nn.BatchNorm1d(4), (2, 3)),
]


@pytest.mark.parametrize("number", range(len(LAYERS)))
def test_batch_norms_become_part_of_layers(number: int) -> None:
    make, make_norm, shape = LAYERS[number]
    ad.manual_seed(0)
    layer, norm = make(), make_norm()
    for _ in range(3):
        norm(layer(ad.randn(*shape)))
    for each in norm.parameters():
        each.data = ad.rand(*each.shape) + 0.5
    layer.eval(), norm.eval()
    before = {key: value.clone() for key, value in layer.state_dict().items()}
    if number == 3:
        fused = nn.utils.fuse_linear_bn_eval(layer, norm)
    else:
        fused = nn.utils.fuse_conv_bn_eval(layer, norm, transpose=number == 2)
    x = ad.randn(*shape)
    np.testing.assert_allclose(
        fused(x).detach().numpy(),
        norm(layer(x)).detach().numpy(),
        rtol=1e-4,
        atol=1e-5,
    )
    assert type(fused) is type(layer)
    assert all(isinstance(each, nn.Parameter) for each in (fused.weight, fused.bias))
    for key, value in before.items():
        assert (layer.state_dict()[key] == value).all()


def test_what_can_not_be_fused() -> None:
    fuse = nn.utils.fuse_conv_bn_eval
    conv, norm = nn.Conv2d(3, 4, 3).eval(), nn.BatchNorm2d(4)
    with pytest.raises(ValueError, match=r"likely fix: \.eval\(\)"):
        fuse(conv, norm)
    with pytest.raises(ValueError, match="has no running statistics"):
        fuse(conv, nn.BatchNorm2d(4, track_running_stats=False).eval())
    with pytest.raises(TypeError, match="expected modules, got 3"):
        fuse(conv, 3)
