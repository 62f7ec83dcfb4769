"""Whose memory a tensor shows, and what its gradient is when that memory changes."""

from __future__ import annotations

import copy
from collections.abc import Callable
from contextlib import nullcontext

import numpy as np
import pytest

import pyautodl as ad
from pyautodl.autograd import gradcheck, gradgradcheck
from pyautodl.backends import overlapping_axis
from pyautodl.errors import GradError, ShapeError

X = np.arange(6.0).reshape(2, 3) + 0.5


@pytest.mark.parametrize(
    "view",
    [
        lambda x: x.expand(4, 2, 3),
        lambda x: x[:, :1].expand(2, 5),
        lambda x: x.unfold(1, 2, 1),
        lambda x: x.unfold(1, 2, 1).expand(2, 2, 2, 2),
        lambda x: x.unfold(1, 3, 1).unfold(0, 2, 1),
    ],
)
def test_repeated_elements_of_a_changed_base_add_up(view: Callable) -> None:
    weights = ad.tensor(
        np.random.default_rng(0).standard_normal(view(ad.ones(2, 3)).shape)
    )

    def shown_after(x: ad.Tensor) -> ad.Tensor:
        base = x * 1
        shown = view(base)
        base.mul_(x)
        return shown * weights

    x = ad.tensor(X, requires_grad=True)
    assert gradcheck(shown_after, (x,))
    assert gradgradcheck(shown_after, (x,))


@pytest.mark.parametrize(
    ("shape", "strides", "axis"),
    [
        ((2, 3), (3, 1), None),
        ((2, 3), (1, 2), None),
        ((2, 3), (6, 2), None),
        ((4, 3), (0, 1), 0),
        ((1, 3), (0, 1), None),
        ((5, 2), (1, 1), 1),
        ((0, 2), (0, 0), None),
        ((2, 5), (5, -1), None),
        ((), (), None),
    ],
)
def test_axes_along_which_elements_share_memory(
    shape: tuple[int, ...], strides: tuple[int, ...], axis: int | None
) -> None:
    assert overlapping_axis(shape, strides) == axis


def test_overlapping_windows_are_not_changed_in_place() -> None:
    windows = ad.zeros(4).unfold(0, 2, 1)
    with pytest.raises(GradError, match="mul_: several elements share memory"):
        windows.mul_(2)
    apart = ad.ones(4).unfold(0, 2, 2)
    assert apart.mul_(2).tolist() == [[2, 2], [2, 2]]


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x.repeat(1, 1),
        lambda x: x[:1].repeat(3, 1),
        lambda x: x[:1, :1].tile(2, 3),
        lambda x: x.repeat_interleave(1, 0),
        lambda x: x[:1].repeat_interleave(3, 0),
        lambda x: x[:1].repeat_interleave(ad.tensor([3]), 0),
        lambda x: ad.diag(x),
        lambda x: ad.nn.functional.pixel_shuffle(x[None, None], 1),
        lambda x: ad.nn.functional.pixel_unshuffle(x[None, None], 1),
        lambda x: ad.channel_shuffle(x[None], 1),
    ],
)
def test_copies_are_copies_for_every_size(function: Callable) -> None:
    x = ad.tensor(X)
    result = function(x)
    before = result.tolist()
    x.zero_()
    assert result.tolist() == before
    result.add_(1)
    assert not x.any()


def test_a_quotient_may_be_changed_before_backward() -> None:
    def changed(x: ad.Tensor, y: ad.Tensor) -> ad.Tensor:
        quotient = x / y
        quotient[0] = 2.0
        return quotient.mul_(3)

    x = ad.tensor(X, requires_grad=True)
    for y in (X[::-1].copy(), X[:, :1].copy(), np.array(2.5)):
        divisor = ad.tensor(y, requires_grad=True)
        assert gradcheck(changed, (x, divisor))
        assert gradgradcheck(changed, (x, divisor))


@pytest.mark.parametrize("size", [3, 40])
@pytest.mark.parametrize(
    ("target", "source"),
    [
        (lambda x: x, lambda x: x.t()),
        (lambda x: x.t(), lambda x: x),
        (lambda x: x[1:], lambda x: x[:-1]),
        (lambda x: x[:-1], lambda x: x[1:]),
        (lambda x: x[:, 1:], lambda x: x[:, :-1]),
        (lambda x: x.t()[1:], lambda x: x[0]),
        (lambda x: x, lambda x: x[:, :1]),
    ],
)
def test_a_copy_reads_before_it_writes(
    target: Callable, source: Callable, size: int
) -> None:
    values = np.random.default_rng(0).standard_normal((size, size))
    expected = ad.tensor(values)
    target(expected).copy_(source(expected).clone())
    x = ad.tensor(values)
    target(x).copy_(source(x))
    assert ad.equal(x, expected)
    leaf = ad.tensor(values, requires_grad=True)
    recorded = leaf * 1
    target(recorded).copy_(source(recorded))
    assert ad.equal(recorded, expected)
    # two arrays on one memory, which only NumPy knows of
    array = values.copy()
    first, second = ad.from_numpy(array), ad.from_numpy(array)
    target(first).copy_(source(second))
    np.testing.assert_array_equal(array, expected)


def test_shallow_copies_show_the_same_memory() -> None:
    x = ad.nn.Parameter(ad.zeros(2))
    x.note = [1]
    twin = copy.copy(x)
    twin.data.add_(1)
    assert x.tolist() == [1, 1]
    assert type(twin) is ad.nn.Parameter
    assert twin.requires_grad
    assert twin.note is x.note
    result = x * 2
    alias = copy.copy(result)
    alias.sum().backward()
    assert x.grad.tolist() == [2, 2]
    deep = copy.deepcopy(x)
    assert deep.note == [1]
    assert deep.note is not x.note


def test_arrays_of_other_classes_are_plain_ones() -> None:
    with pytest.warns(PendingDeprecationWarning):
        matrix = np.matrix([[1.0, 2.0]])
    shared = ad.from_numpy(matrix)
    shared.mul_(2)
    assert matrix.tolist() == [[2, 4]]
    assert str(shared) == "tensor([[2., 4.]], dtype=pyautodl.float64)"
    assert ad.from_numpy(np.ma.masked_array([1.0], [True])).tolist() == [1]


def test_a_view_of_repeated_elements_may_turn_in_place() -> None:
    assert ad.ones(2, 1).expand(2, 3).t_().shape == (3, 2)


@pytest.mark.parametrize("many", [10**30, 2**62, 2**21])
def test_pieces_without_end_are_refused_at_once(many):
    x = ad.arange(6.0)
    for cut, name in (
        (lambda: ad.tensor_split(x, many), "tensor_split"),
        (lambda: x.hsplit(many), "tensor_split"),
        (lambda: ad.zeros(2, 0).chunk(many, 1), "chunk"),
    ):
        with pytest.raises(ValueError, match=f"{name}: expected at most 1048576 "):
            cut()
    assert len(x.chunk(many)) == 6
    assert [len(each) for each in x.tensor_split((1, many))] == [1, 5, 0]


def test_many_pieces_take_time_by_their_number():
    x = ad.arange(6000.0).reshape(2, 3000)
    for _ in range(2):
        pieces = x.tensor_split(3000, 1)
        assert [len(pieces), pieces[7].tolist()] == [3000, [[7.0], [3007.0]]]
        rows = x.T.unbind(0)
        assert [len(rows), rows[9].tolist()] == [3000, [9.0, 3009.0]]
    leaf = ad.zeros(2, 3000, requires_grad=True)
    pieces = leaf.tensor_split(3000, 1)
    (pieces[7] * 2 + pieces[-1] * 3).sum().backward()
    expected = np.zeros((2, 3000))
    expected[:, 7], expected[:, -1] = 2, 3
    np.testing.assert_array_equal(leaf.grad.numpy(), expected)


# ---- views that had to be copies ----


@pytest.mark.parametrize("recorded", [True, False])
@pytest.mark.parametrize(
    "change",
    [
        lambda view: view.__setitem__(0, 9),
        lambda view: view[1:].mul_(2),
        lambda view: view.unsqueeze(0).zero_(),
        lambda view: view.copy_(ad.ones(6)),
        lambda view: view.masked_fill_(view > 1, 0),
        lambda view: view.detach().add_(1),
        lambda view: view.data.zero_(),
        lambda view: view.detach()[1:].detach().mul_(2),
    ],
)
def test_a_change_of_a_copy_in_place_of_a_view_is_refused(change, recorded) -> None:
    for x in (ad.tensor(X).t(), ad.tensor(X).t().clone()):
        before = x.tolist()
        with (
            ad.set_grad_enabled(recorded),
            pytest.raises(GradError, match=r"view\(\) had to copy.*contiguous\(\)"),
        ):
            change(x.view(-1))
        assert x.tolist() == before
    change(ad.tensor(X).view(-1))


def test_a_copy_in_place_of_a_view_changes_where_nothing_can_tell() -> None:
    def changed(x: ad.Tensor) -> ad.Tensor:
        y = (x * 2).t().view(-1)
        y.mul_(3)
        y[1:].mul_(y[:-1].clone())
        return y

    x = ad.tensor(X, requires_grad=True)
    expected = 6 * X.T.ravel()
    expected[1:] *= expected[:-1].copy()
    np.testing.assert_allclose(changed(x).detach().numpy(), expected)
    assert gradcheck(changed, (x,))
    y = ad.tensor(X).t()
    y.reshape(-1).zero_()  # a copy, as PyTorch's
    np.testing.assert_array_equal(y.numpy(), X.T)


# ---- outputs of split without a gradient; gradients that are retained ----


@pytest.mark.parametrize(
    "change",
    [
        lambda part: part.mul_(2),
        lambda part: part.exp_(),
        lambda part: part.copy_(ad.ones(2, 2)),
        lambda part: part[0].add_(1),
        lambda part: part.t_(),
        lambda part: part.__setitem__(0, 3),
    ],
)
def test_outputs_of_split_change_in_place_where_no_graph_has_to_learn(change) -> None:
    x = ad.arange(8.0).reshape(4, 2)
    expected = x[:2].clone()
    change(expected)
    part = x.split(2)[0]
    change(part)
    assert part.tolist() == expected.tolist()
    assert x[2:].tolist() == [[4, 5], [6, 7]]


@pytest.mark.parametrize(
    "change",
    [
        lambda part, w: part.mul_(w),
        lambda part, w: part.copy_(w),
        lambda part, w: part[0].add_(w[0]),
        lambda part, w: part.addcmul_(w, w),
        lambda part, w: part.__setitem__(0, w[0]),
    ],
)
def test_outputs_of_split_can_not_begin_to_need_a_gradient(change) -> None:
    x = ad.arange(8.0).reshape(4, 2)
    with pytest.raises(GradError, match="output of split, chunk or unbind"):
        change(x.split(2)[0], ad.ones(2, 2, requires_grad=True))
    assert x.tolist() == [[0, 1], [2, 3], [4, 5], [6, 7]]
    assert not x.requires_grad


@pytest.mark.parametrize(
    "change", [lambda y: y.mul_(2), lambda y: y[0].mul_(2), lambda y: y.t().mul_(2)]
)
def test_a_retained_gradient_is_that_of_the_tensor_as_it_is(change) -> None:
    torch = pytest.importorskip("torch")
    found = []
    for library in (ad, torch):
        x = library.tensor(X, requires_grad=True)
        y = x * 1
        y.retain_grad()
        change(y)
        assert y.retains_grad
        (y * y).sum().backward()
        found.append((y.grad.numpy(), x.grad.numpy()))
    for mine, theirs in zip(*found, strict=True):
        np.testing.assert_allclose(mine, theirs)


@pytest.mark.parametrize("profiled", [False, True])
def test_the_gradient_of_a_part_lies_as_the_whole(profiled: bool) -> None:
    for made in (
        ad.randn(2, 8, 6, 5).contiguous(memory_format=ad.channels_last),
        ad.randn(5, 2, 3, 4).permute(1, 0, 2, 3),
        ad.randn(2, 3, 4, 4),
    ):
        whole = made.requires_grad_() * 1
        part = whole[:, 1, ::2]
        with ad.profile() if profiled else nullcontext():
            (grad,) = ad.autograd.grad((part**2).sum(), whole, create_graph=True)
        assert grad.stride() == whole.stride() == made.stride()
        expected = np.zeros(whole.shape, "float32")
        expected[:, 1, ::2] = 2 * part.detach().numpy()
        np.testing.assert_array_equal(grad.detach().numpy(), expected)
        (second,) = ad.autograd.grad(grad.sum(), whole)
        expected[:, 1, ::2] = 2
        np.testing.assert_array_equal(second.numpy(), expected)


# ---- the shape alone, in place, where nothing is recorded ----


def test_a_leaf_whose_shape_changes_stays_one() -> None:
    x = ad.ones(2, 3, requires_grad=True)
    with ad.no_grad():
        x.t_().unsqueeze_(0)
    assert x.requires_grad
    assert x.is_leaf
    (x * 2).sum().backward()
    assert x.grad is not None
    np.testing.assert_array_equal(x.grad.numpy(), np.full((1, 3, 2), 2.0))


@pytest.mark.parametrize("change", ["t_", "view_of_it"])
def test_a_result_whose_shape_changes_keeps_its_graph(change: str) -> None:
    leaf = ad.tensor(X, requires_grad=True)
    y = leaf * 2
    if change == "view_of_it":
        y = y[:]
    with ad.no_grad():
        y.t_()
    assert y.requires_grad
    weight = np.arange(6.0).reshape(3, 2)
    (y * ad.tensor(weight)).sum().backward()
    assert leaf.grad is not None
    np.testing.assert_array_equal(leaf.grad.numpy(), 2 * weight.T)


# ---- as_strided ----


@pytest.mark.parametrize(
    ("make", "size", "stride", "offset"),
    [
        (lambda x: x * 1, (3, 3), (2, 1), None),
        (lambda x: x * 1, (2, 2, 2), (0, 3, 1), 2),
        (lambda x: (x * 1).t(), (3,), (4,), None),
        (lambda x: (x * 1)[1:], (2, 2), (1, 2), None),
        (lambda x: (x * 1)[1:], (4,), (1,), 0),
        (lambda x: (x * 1)[:, 1:3], (2, 2), (4, 1), None),
        (lambda x: x * 1, (), (), 5),
        (lambda x: x * 1, (0, 2), (1, 1), None),
    ],
)
def test_as_strided_shows_memory(make, size, stride, offset):
    values = np.arange(12.0).reshape(3, 4)
    x = ad.tensor(values, requires_grad=True)
    source = make(x)
    shown = source.as_strided(size, stride, offset)
    first = source.storage_offset() if offset is None else offset
    steps = [each * values.itemsize for each in stride]
    memory = values.reshape(-1)[first:]
    wanted = np.lib.stride_tricks.as_strided(memory, size, steps)
    np.testing.assert_array_equal(shown.detach().numpy(), wanted)
    assert shown.stride() == tuple(stride) or not shown.numel()
    assert shown.data_ptr() == source.data_ptr() + 8 * (first - source.storage_offset())
    shown.sum().backward()
    # how often each element is shown
    times = np.zeros(12)
    np.add.at(times, wanted.astype(int).reshape(-1), 1)
    np.testing.assert_array_equal(x.grad.numpy().reshape(-1), times)
    assert ad.autograd.gradcheck(
        lambda y: make(y).as_strided(size, stride, offset), (x,)
    )


def test_as_strided_in_place():
    x = ad.arange(6.0)
    x.as_strided((2,), (3,)).mul_(10.0)
    assert x.tolist() == [0, 1, 2, 30, 4, 5]
    leaf = ad.ones(2, 3, requires_grad=True)
    y = leaf * 1
    y.as_strided((3,), (2,)).mul_(5.0)
    (y * y).sum().backward()
    assert leaf.grad.tolist() == [[50, 2, 50], [2, 50, 2]]
    with pytest.raises(GradError, match=r"share|same memory|expand"):
        x.as_strided((3, 3), (1, 1)).add_(1.0)


@pytest.mark.parametrize(
    ("size", "stride", "offset", "message"),
    [
        ((2, 2), (1, 1), 5, "from element 5 on reach element 7 .* elements 0 to 5"),
        ((9,), (1,), None, "reach element 8"),
        ((2,), (-1,), 3, "none negative, got size .2,. and stride .-1,."),
        ((2, 2), (1,), None, "as many sizes as strides"),
        ((2,), (1,), -1, "from element -1 on"),
    ],
)
def test_as_strided_stays_in_the_memory(size, stride, offset, message):
    with pytest.raises(ShapeError, match=f"as_strided: .*{message}"):
        ad.ones(2, 3).as_strided(size, stride, offset)
    gaps = ad.ones(4, 4)[:, 1:3]
    with pytest.raises(ShapeError, match="of a tensor with gaps contiguous"):
        gaps.as_strided((4, 4), (4, 1))
