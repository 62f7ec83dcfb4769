"""Arguments that are integers: what is none is refused by name, whatever came before."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

import pyautodl as ad
import pyautodl.nn.functional as F
from pyautodl import nn
from pyautodl.ops.record import OPS

X = ad.arange(24.0).reshape(2, 3, 4)
M = ad.arange(16.0).reshape(4, 4) + 1
LINE = ad.arange(6.0) + 1
ROW = ad.ones(1, 3)
IMAGE = ad.arange(288.0).reshape(2, 4, 6, 6)
FILTERS = ad.ones(4, 4, 3, 3)
INDEX = ad.tensor([0, 1])
PICKS = ad.zeros(2, 4, dtype=ad.int64)


class Case(NamedTuple):
    """A function of the numbers in question, and what an error must name."""

    name: str
    function: Callable[..., Any]
    numbers: tuple[int, ...]
    what: str


CASES = [
    Case("reshape", X.reshape, (6, 4), "sizes"),
    Case("reshape", lambda *n: ad.reshape(X, n), (6, 4), "sizes"),
    Case("view", X.view, (6, 4), "sizes"),
    Case("view", LINE.view, (6,), "sizes"),
    Case("expand", ROW.expand, (2, 3), "sizes"),
    Case("broadcast_to", lambda *n: ad.broadcast_to(ROW, n), (2, 3), "sizes"),
    Case("unflatten", lambda d, *n: LINE.unflatten(d, n), (0, 2, 3), "sizes|dim"),
    Case("flatten", X.flatten, (1, 2), "dim"),
    Case("permute", X.permute, (2, 0, 1), "dims"),
    Case("transpose", X.transpose, (0, 1), "dim"),
    Case("movedim", X.movedim, (0, 1), "dim"),
    Case("squeeze", ROW.squeeze, (0,), "dim"),
    Case("unsqueeze", X.unsqueeze, (1,), "dim"),
    Case("narrow", X.narrow, (1, 0, 2), "dim|start|length"),
    Case("select", X.select, (1, 0), "dim|index"),
    Case("split", X.split, (1, 1), "dim|the size of a piece"),
    Case("split", lambda *n: X.split(n, 1), (1, 2), "the size of a piece"),
    Case("chunk", X.chunk, (2, 1), "chunks|dim"),
    Case("tensor_split", X.tensor_split, (2, 1), "indices_or_sections|dim"),
    Case("tensor_split", lambda *n: X.tensor_split(n), (1, 2), "indices_or_sections"),
    Case("unbind", X.unbind, (1,), "dim"),
    Case("unfold", LINE.unfold, (0, 2, 1), "dim|size|step"),
    Case("diagonal", X.diagonal, (0, 0, 1), "offset|dim1|dim2|dim"),
    Case("diag_embed", X.diag_embed, (1, 0, 1), "offset|dim"),
    Case("repeat", X.repeat, (1, 2, 1), "repeats"),
    Case("tile", X.tile, (2, 1), "dims"),
    Case("roll", lambda *n: X.roll(n[0], n[1]), (1, 0), "shifts|dims"),
    Case("flip", X.flip, (0, 1), "dims"),
    Case("rot90", lambda k, *n: X.rot90(k, n), (1, 0, 1), "k|dims"),
    Case("cat", lambda n: ad.cat([X, X], n), (1,), "dim"),
    Case("pad", lambda *n: F.pad(X, n), (1, 1), "pad"),
    Case("tril", M.tril, (1,), "diagonal"),
    Case("sum", X.sum, (1,), "dim"),
    Case("sum", lambda *n: X.sum(n), (0, 1), "dim"),
    Case("var", lambda *n: X.var(n), (0, 1), "dim"),
    Case("argmax", X.argmax, (1,), "dim"),
    Case("prod", X.prod, (1,), "dim"),
    Case("cumsum", X.cumsum, (1,), "dim"),
    Case("softmax", X.softmax, (1,), "dim"),
    Case("topk", X.topk, (2, 1), "k|dim"),
    Case("index_select", lambda n: M.index_select(n, INDEX), (0,), "dim"),
    Case("gather", lambda n: M.gather(n, PICKS), (0,), "dim"),
    Case("one_hot", lambda n: F.one_hot(INDEX, n), (3,), "num_classes"),
    Case("tensordot", lambda n: ad.tensordot(M, M, n), (1,), "dims"),
    Case("matrix_power", M.matrix_power, (2,), "n"),
    Case("zeros", ad.zeros, (2, 3), "sizes"),
    Case("eye", ad.eye, (2, 3), "n|m"),
    Case("linspace", lambda n: ad.linspace(0, 1, n), (3,), "steps"),
    Case("randint", lambda *n: ad.randint(*n, (2,)) * 0, (0, 5), "low|high"),
    Case("size", X.size, (1,), "dim"),
    Case("conv2d", lambda n: F.conv2d(IMAGE, FILTERS, stride=n), (1,), "stride"),
    Case("conv2d", lambda *n: F.conv2d(IMAGE, FILTERS, stride=n), (1, 1), "stride"),
    Case("conv2d", lambda *n: F.conv2d(IMAGE, FILTERS, padding=n), (1, 1), "padding"),
    Case("conv2d", lambda *n: F.conv2d(IMAGE, FILTERS, dilation=n), (1, 1), "dilation"),
    Case("conv2d", lambda n: F.conv2d(IMAGE, FILTERS, groups=n), (1,), "groups"),
    Case(
        "conv_transpose2d",
        lambda n: F.conv_transpose2d(IMAGE, FILTERS, groups=n),
        (1,),
        "groups",
    ),
    Case("max_pool2d", lambda *n: F.max_pool2d(IMAGE, n), (2, 2), "kernel_size"),
    Case("avg_pool2d", lambda *n: F.avg_pool2d(IMAGE, 2, n), (1, 1), "stride"),
    Case("layer_norm", lambda *n: F.layer_norm(X, n), (3, 4), "normalized_shape"),
    Case("group_norm", lambda n: F.group_norm(IMAGE, n), (2,), "num_groups"),
]


def _forget() -> None:
    for op in OPS.values():
        op.plans.clear()


def _values(result: Any) -> Any:
    if isinstance(result, (tuple, list)):
        return [_values(each) for each in result]
    return result.tolist() if isinstance(result, ad.Tensor) else result


@pytest.mark.parametrize("number", range(len(CASES)))
def test_what_is_no_integer_is_refused_by_name(number: int) -> None:
    case = CASES[number]
    want = _values(case.function(*case.numbers))
    for i, right in enumerate(case.numbers):
        tensor = ad.tensor(float(right))
        # True and False equal 1 and 0, also as keys
        wrongs = (float(right), right + 0.5, "1", 1j, tensor, bool(right), np.True_)
        for wrong in wrongs:
            arguments = [*case.numbers[:i], wrong, *case.numbers[i + 1 :]]
            match = rf"^{case.name}: ({case.what}) must be (an int|integers)"
            if isinstance(wrong, (float, bool)):
                match += ".*, got .*likely fix: "
            with pytest.raises(TypeError, match=match):
                case.function(*arguments)
            _forget()
            with pytest.raises(TypeError, match=match):
                case.function(*arguments)
            # what was refused is not kept for what is right
            assert _values(case.function(*case.numbers)) == want


class _Index:
    def __init__(self, number: int) -> None:
        self._number = number

    def __index__(self) -> int:
        return self._number


@pytest.mark.parametrize("number", range(len(CASES)))
def test_whatever_is_an_integer_is_taken(number: int) -> None:
    case = CASES[number]
    want = _values(case.function(*case.numbers))
    for kind in (np.int64, np.int32, np.uint8, np.array, _Index, ad.tensor):
        for i, each in enumerate(case.numbers):
            arguments: list[Any] = [*case.numbers]
            arguments[i] = kind(each)
            assert _values(case.function(*arguments)) == want
    assert _values(case.function(*case.numbers)) == want


def test_several_integers_in_an_array_or_a_tensor_are_taken() -> None:
    for name, function, numbers in (
        ("sum", X.sum, (0, 1)),
        ("var", X.var, (0, 2)),
        ("logsumexp", X.logsumexp, (0, 1)),
        ("any", X.any, (1, 2)),
        ("flip", lambda dims: ad.flip(X, dims), (0, 1)),
        ("tile", lambda dims: ad.tile(X, dims), (2, 3)),
        ("tensordot", lambda dims: ad.tensordot(M, M, (dims, dims)), (0, 1)),
        ("tensordot", lambda dims: ad.tensordot(M, M, dims), ((1,), (0,))),
        ("layer_norm", lambda shape: F.layer_norm(X, shape), (3, 4)),
        ("RMSNorm", lambda shape: nn.RMSNorm(shape)(X), (3, 4)),
    ):
        want = _values(function(numbers))
        for kind in (np.array, ad.tensor):
            assert _values(function(kind(numbers))) == want
            floats = kind(numbers) * 1.0
            with pytest.raises(
                TypeError, match=f"^{name}: .* must be (an int|integers)"
            ):
                function(floats)


def test_several_integers_are_not_one() -> None:
    for name, function in (
        ("softmax: dim", X.softmax),
        ("topk: k", X.topk),
        ("reshape: sizes", X.reshape),
        ("conv2d: stride", lambda n: F.conv2d(IMAGE, FILTERS, stride=n)),
    ):
        for several in (np.array([1, 2]), ad.tensor([1, 2]), ad.tensor([1, 2])[:0]):
            with pytest.raises(TypeError, match=f"^{name} must be (an int|integers)"):
                function(several)


def test_gradients_by_other_integers() -> None:
    for kind in (np.int64, np.array, _Index):
        for function in (
            lambda x, n: x.unfold(n, 2, 1),
            lambda x, n: x.cumsum(n),
            lambda x, n: x.roll(1, n),
            lambda x, n: x.diagonal(0, 0, n),
            lambda x, n: x.sum(n),
            lambda x, n: x.index_select(n, INDEX),
        ):
            gradients = []
            for dim in (1, kind(1)):
                x = X.clone().requires_grad_()
                (function(x, dim) * 2).sum().backward()
                assert x.grad is not None
                gradients.append(x.grad.tolist())
            assert gradients[0] == gradients[1]


def test_arrays_are_not_kept_by_their_memory() -> None:
    # 0.0 and 0 are the same bytes
    assert F.max_pool2d(IMAGE, 2, 1, np.array(0)).shape == (2, 4, 5, 5)
    with pytest.raises(TypeError, match="max_pool2d: padding must be integers"):
        F.max_pool2d(IMAGE, 2, 1, np.array(0.0))


def test_none_is_no_size() -> None:
    for wrong in (None, "2", 2.0):
        with pytest.raises(TypeError, match=r"^reshape: sizes must be integers, got"):
            X.reshape(wrong, 12)
    with pytest.raises(TypeError, match=r"^max: dim must be an int, got 1.0"):
        X.max(1.0)
    with pytest.raises(TypeError, match=r"^unfold: size must be an int, got None$"):
        LINE.unfold(0, None, 1)  # type: ignore[arg-type]


def test_modules_refuse_what_is_no_integer() -> None:
    for make, what in (
        (lambda: nn.GroupNorm(2.0, 4), "GroupNorm: num_groups"),  # type: ignore[arg-type]
        (lambda: nn.MultiheadAttention(4, 2.0), "MultiheadAttention: num_heads"),  # type: ignore[arg-type]
        (lambda: nn.Embedding(3, 2, 1.0), "Embedding: padding_idx"),  # type: ignore[arg-type]
        (lambda: nn.LSTM(2, 3, 1.5), "LSTM: num_layers"),  # type: ignore[arg-type]
        (lambda: nn.LayerNorm(4.0), "LayerNorm: normalized_shape"),  # type: ignore[arg-type]
        (lambda: nn.ZeroPad2d(1.0), "ZeroPad2d: padding"),  # type: ignore[arg-type]
        (lambda: nn.Linear(True, 2), "Linear: in_features"),
    ):
        with pytest.raises(TypeError, match=f"^{what} must be an int"):
            make()


def test_layers_that_pad_take_whatever_is_an_integer() -> None:
    want = _values(nn.ZeroPad2d(1)(IMAGE))
    for kind in (np.int64, np.array, _Index, ad.tensor):
        assert _values(nn.ZeroPad2d(kind(1))(IMAGE)) == want  # type: ignore[arg-type]


@pytest.mark.parametrize("make", [ad.zeros, ad.ones, ad.empty, ad.rand, ad.randn])
def test_a_size_is_no_tuple(make) -> None:
    with pytest.raises(TypeError, match="sizes must be integers, got"):
        make(((2, 3),))


@pytest.mark.parametrize(
    "call",
    [
        lambda x, t: ad.zeros(t),
        lambda x, t: ad.zeros((t, 2)),
        lambda x, t: x.reshape(t),
        lambda x, t: x.view(t),
        lambda x, t: x.sum(dim=t),
        lambda x, t: x.softmax(t),
        lambda x, t: F.conv2d(x, x, stride=t),
        lambda x, t: F.conv2d(x, x, padding=t),
        lambda x, t: F.one_hot(ad.tensor([1]), t),
        lambda x, t: ad.norm(x, str(t.tolist())),
        lambda x, t: nn.Linear(t, 3),
        lambda x, t: ad.explain_conv(x, [t] * 100),
    ],
)
def test_messages_name_tensors_by_their_shapes(call):
    x, t = ad.ones(1, 3, 8, 8), ad.ones(40, 50)
    for given in (t, t.numpy()):
        with pytest.raises((TypeError, ValueError)) as caught:
            call(x, given)
        text = str(caught.value)
        assert len(text) < 500
        assert "of shape (40, 50)" in text or text.startswith("norm: ")


def test_sizes_in_place_of_which_a_tensor_came_have_a_fix():
    with pytest.raises(TypeError, match=r"likely fix: its \.shape"):
        ad.zeros(ad.ones(2, 3))


def test_explain_conv_takes_tensors_and_shapes():
    x, weight = ad.ones(1, 3, 8, 8), nn.Conv2d(3, 4, 3).weight
    by_shapes = ad.explain_conv((1, 3, 8, 8), (4, 3, 3, 3), padding=1)
    assert ad.explain_conv(x, weight, padding=1) == by_shapes
    assert ad.explain_conv(x.shape, weight, padding=1) == by_shapes
