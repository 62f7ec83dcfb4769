"""Indexing where the records of the ops can't say it: x[...], writes, bad indices."""

from __future__ import annotations

import math

import numpy as np
import pytest

import pyautodl as ad
from pyautodl import nn
from pyautodl.backends import native
from pyautodl.errors import DTypeError, GradError, ShapeError
from pyautodl.testing import available_isas, use_isa

F = nn.functional
pytestmark = pytest.mark.usefixtures("backend")


def cube():
    return np.arange(60.0).reshape(3, 4, 5)


# ---- the padding row ----


def test_padding_row_starts_and_stays_0():
    layer = nn.Embedding(4, 3, padding_idx=1)
    assert layer.weight[1].tolist() == [0, 0, 0]
    layer(ad.tensor([[1, 2], [1, 1]])).sum().backward()
    assert layer.weight.grad.tolist() == [[0] * 3, [0] * 3, [1] * 3, [0] * 3]
    layer.reset_parameters()
    assert layer.weight[1].tolist() == [0, 0, 0]
    assert layer.weight[0].abs().sum().item() > 0


def test_negative_padding_idx_is_the_same_row():
    assert nn.Embedding(4, 3, padding_idx=-1).padding_idx == 3
    weight = ad.ones(4, 2, requires_grad=True)
    F.embedding(ad.tensor([3, 0]), weight, padding_idx=-1).sum().backward()
    assert weight.grad.tolist() == [[1, 1], [0, 0], [0, 0], [0, 0]]


def test_from_pretrained_changes_no_row():
    table = ad.tensor([[1.0, 2.0], [3.0, 4.0]])
    layer = nn.Embedding.from_pretrained(table, freeze=False, padding_idx=0)
    assert layer.weight.tolist() == [[1, 2], [3, 4]]
    layer(ad.tensor([0, 1])).sum().backward()
    assert layer.weight.grad.tolist() == [[0, 0], [1, 1]]
    assert not nn.Embedding.from_pretrained(table).weight.requires_grad


def test_padding_row_is_0_in_second_order_too():
    weight = ad.ones(3, 2, dtype=ad.float64, requires_grad=True)
    g = ad.ones(2, 2, dtype=ad.float64, requires_grad=True)
    out = F.embedding(ad.tensor([0, 1]), weight, padding_idx=0)
    (first,) = ad.autograd.grad(out, weight, g, create_graph=True)
    second = ad.autograd.grad(first.sum(), g)[0]
    assert second.tolist() == [[0, 0], [1, 1]]


# ---- indices out of range ----


@pytest.mark.parametrize("bad", [3, -1, 2**40])
def test_embedding_names_value_position_and_size(bad):
    index = ad.tensor([[0, 1], [2, bad]])
    match = rf"embedding: index {bad} at position 3 is out of range: .* < 3"
    with pytest.raises(IndexError, match=match):
        F.embedding(index, ad.ones(3, 2))
    with pytest.raises(IndexError, match=match):
        nn.Embedding(3, 2)(index)


@pytest.mark.parametrize(("p", "size"), [(2.0, 5.0), (1.0, 7.0), (math.inf, 4.0)])
def test_max_norm_shortens_the_rows_that_are_asked_for(p, size):
    layer = nn.Embedding(3, 2, max_norm=2.0, norm_type=p)
    with ad.no_grad():
        layer.weight.copy_(ad.tensor([[3.0, 4.0], [30.0, 40.0], [0.5, 0.5]]))
    out = layer(ad.tensor([[0, 2], [0, 0]]))
    short = [3 * 2 / size, 4 * 2 / size]
    for row, expected in ((0, short), (1, [30, 40]), (2, [0.5, 0.5])):
        assert layer.weight[row].tolist() == pytest.approx(expected, rel=1e-6)
    np.testing.assert_allclose(out[0].detach().numpy(), layer.weight[::2].tolist())
    out.sum().backward()
    assert layer.weight.grad.tolist() == [[3, 3], [0, 0], [1, 1]]
    before = layer.weight.tolist()
    layer(ad.tensor([0, 2]))
    np.testing.assert_allclose(layer.weight.tolist(), before, rtol=1e-6)


def test_gradients_scaled_by_frequency():
    layer = nn.Embedding(4, 2, padding_idx=3, scale_grad_by_freq=True)
    (layer(ad.tensor([[0, 2, 3], [0, 0, 3]])) * 6).sum().backward()
    assert layer.weight.grad.tolist() == [[6, 6], [0, 0], [6, 6], [0, 0]]


def test_what_embeddings_are_is_printed():
    layer = nn.Embedding(4, 2, 1, max_norm=1.5, norm_type=1, scale_grad_by_freq=True)
    assert repr(layer) == (
        "Embedding(4, 2, padding_idx=1, max_norm=1.5, norm_type=1, "
        "scale_grad_by_freq=True)"
    )
    with pytest.raises(NotImplementedError, match="Embedding: sparse"):
        nn.Embedding(4, 2, sparse=True)


@pytest.mark.parametrize("bad", [3, -1])
@pytest.mark.parametrize("name", ["gather", "scatter", "scatter_add"])
def test_gather_and_scatter_refuse_an_index_and_write_nothing(name, bad):
    x, index = ad.zeros(3), ad.tensor([0, bad])
    rest = () if name == "gather" else (ad.ones(2),)
    match = rf"{name}: index {bad} at position 1 is out of range: .* < 3"
    with pytest.raises(IndexError, match=match):
        getattr(ad, name)(x, 0, index, *rest)
    assert x.tolist() == [0, 0, 0]


@pytest.mark.parametrize("bad", [3, -1])
def test_index_select_add_and_copy_refuse_an_index_and_write_nothing(bad):
    x, index = ad.zeros(3), ad.tensor([0, bad])
    match = rf"index {bad} at position 1"
    with pytest.raises(IndexError, match=f"index_select: {match}"):
        x.index_select(0, index)
    with pytest.raises(IndexError, match=f"index_add: {match}"):
        x.index_add_(0, index, ad.ones(2))
    with pytest.raises(IndexError, match=f"index_copy: {match}"):
        x.index_copy_(0, index, ad.ones(2))
    assert x.tolist() == [0, 0, 0]


def test_brackets_count_negative_indices_from_the_end():
    x = ad.arange(3)
    assert x[-1].item() == 2
    assert x[[-1, 0]].tolist() == [2, 0]
    assert x[ad.tensor([-3])].tolist() == [0]
    for bad in (3, -4):
        with pytest.raises(
            IndexError, match=rf"index {bad} is out of range for axis 0"
        ):
            x[bad]
        with pytest.raises(IndexError, match=rf"index {bad} at position 1"):
            x[[0, bad]]
        with pytest.raises(IndexError, match=rf"index {bad} at position 1"):
            x[[0, bad]] = 7
    assert x.tolist() == [0, 1, 2]


def test_one_hot_and_bincount_refuse_an_index():
    with pytest.raises(IndexError, match="one_hot: index 5 at position 1"):
        F.one_hot(ad.tensor([0, 5]), 3)
    with pytest.raises(IndexError, match="index -1 at position 0"):
        ad.bincount(ad.tensor([-1, 2]))
    with pytest.raises(ValueError, match="bincount: minlength must not be negative"):
        ad.bincount(ad.tensor([1]), minlength=-1)


@pytest.mark.parametrize("weights", [[1, 2, 3], [True, False, True]])
def test_weights_of_bincount_that_are_not_floating_become_float64(weights):
    sums = ad.bincount(ad.tensor([0, 2, 2]), ad.tensor(weights))
    assert sums.dtype is ad.float64
    np.testing.assert_array_equal(sums.numpy(), np.bincount([0, 2, 2], weights))


# ---- repeated indices add up ----


@pytest.mark.parametrize(
    "key", [[0, 0], np.array([0, 0]), ad.tensor([0, 0]), ([0, 0], [1, 1])]
)
def test_repeated_indices_add_up(key):
    x = ad.ones(2, 2, dtype=ad.float64, requires_grad=True)
    x[key].sum().backward()
    if isinstance(key, tuple):
        assert x.grad.tolist() == [[0, 2], [0, 0]]
    else:
        assert x.grad.tolist() == [[2, 2], [0, 0]]


def test_repeated_tokens_add_up():
    weight = ad.ones(3, 2, requires_grad=True)
    F.embedding(ad.tensor([[1, 1], [1, 0]]), weight).sum().backward()
    assert weight.grad.tolist() == [[1, 1], [3, 3], [0, 0]]


def test_gradients_of_what_gather_and_take_read_twice_add_up():
    x = ad.ones(2, 2, requires_grad=True)
    (
        x.gather(1, ad.tensor([[0, 0], [1, 1]])).sum() + x.take(ad.tensor([0, 0])).sum()
    ).backward()
    assert x.grad.tolist() == [[4, 0], [0, 2]]


SCATTERED = [
    ("sum", [13, 2, 3, 4], [12, 0, 3, 4]),
    ("prod", [50, 0, 3, 0], [50, 0, 3, 4]),
    ("mean", [3.25, 1, 3, 2], [4, 0, 3, 4]),
    ("amax", [5, 2, 3, 4], [5, 0, 3, 4]),
    ("amin", [1, 0, 3, 0], [2, 0, 3, 4]),
]


@pytest.mark.parametrize("dtype", [ad.float32, ad.float64, ad.int64, ad.int32])
@pytest.mark.parametrize(("reduce", "with_self", "without"), SCATTERED)
def test_scatter_reduce_as_pytorch(reduce, with_self, without, dtype):
    x = ad.tensor([1, 2, 3, 0], dtype=dtype)
    index, src = ad.tensor([0, 0, 0, 1, 3]), ad.tensor([2, 5, 5, 0, 4], dtype=dtype)
    for include_self, expected in ((True, with_self), (False, without)):
        y = x.scatter_reduce(0, index, src, reduce, include_self=include_self)
        assert y.dtype is dtype
        if dtype in (ad.int64, ad.int32):
            expected = [int(each) for each in expected]
        assert y.tolist() == expected


@pytest.mark.parametrize(
    ("reduce", "dx", "dsrc"),
    [
        ("prod", [50, 0, 1, 4], [25, 10, 10, 2, 0]),
        ("mean", [0.25, 0.5, 1, 0.5], [0.25, 0.25, 0.25, 0.5, 0.5]),
        ("amax", [0, 1, 1, 0], [0, 0.5, 0.5, 0, 1]),
        ("amin", [1, 0, 1, 1], [0, 0, 0, 1, 0]),
    ],
)
def test_gradients_of_scatter_reduce_as_pytorch(reduce, dx, dsrc):
    """Zeros do not spoil a product's, equal extrema share theirs."""
    x = ad.tensor([1.0, 2.0, 3.0, 0.0], requires_grad=True)
    src = ad.tensor([2.0, 5.0, 5.0, 0.0, 4.0], requires_grad=True)
    y = x.scatter_reduce(0, ad.tensor([0, 0, 0, 1, 3]), src, reduce)
    y.sum().backward()
    assert x.grad.tolist() == dx
    assert src.grad.tolist() == dsrc


def test_two_zeros_in_one_place_give_a_product_no_gradient():
    src = ad.tensor([0.0, 0.0, 3.0], requires_grad=True)
    ad.scatter_reduce(ad.ones(1), 0, ad.tensor([0, 0, 0]), src, "prod").backward()
    assert src.grad.tolist() == [0, 0, 0]


def test_scatter_multiplies():
    x, index = ad.tensor([2.0, 3.0]), ad.tensor([1, 1])
    assert x.scatter(0, index, 4, reduce="multiply").tolist() == [2, 48]
    larger = ad.tensor([5.0, 7.0, 100.0])
    assert x.scatter_(0, index, larger, reduce="multiply") is x
    assert x.tolist() == [2, 105]
    with pytest.raises(ValueError, match=r"scatter: reduce must be None, 'add' or"):
        x.scatter(0, index, 4, reduce="prod")
    with pytest.raises(ValueError, match=r"scatter_reduce: reduce must be one of sum"):
        x.scatter_reduce(0, index, larger, "multiply")


@pytest.mark.parametrize("isa", available_isas())
@pytest.mark.parametrize("shape", [(40,), (3, 300), (300, 3), (5, 17, 30), (600, 20)])
def test_scatter_along_every_axis_in_every_layout(isa, shape):
    rng = np.random.default_rng(len(shape))
    for axis in range(len(shape)):
        places = rng.integers(0, shape[axis], shape)
        for order in ("C", "F"):
            x, src = (
                np.array(rng.standard_normal(shape), np.float32, order=order)
                for _ in range(2)
            )
            wanted = x.astype(np.float64)
            at = list(np.indices(shape))
            at[axis] = places
            np.add.at(wanted, tuple(at), src)
            results = []
            for threads in (1, 2, 3):
                with native.exact_threads(threads, uneven=threads > 2), use_isa(isa):
                    given = (ad.from_numpy(each) for each in (x, places, src))
                    x_, index, src_ = given
                    results.append(ad.scatter_add(x_, axis, index, src_).numpy())
            np.testing.assert_allclose(results[0], wanted, rtol=1e-4, atol=1e-5)
            for other in results[1:]:
                np.testing.assert_array_equal(results[0], other)


@pytest.mark.usefixtures("compiled")
def test_sums_have_the_same_bits_for_any_number_of_threads():
    rng = np.random.default_rng(0)
    index = ad.tensor(rng.integers(0, 7, 5000))
    terms = ad.tensor(rng.standard_normal((5000, 33)).astype(np.float32))
    results = []
    for threads in (1, 2, 5):
        with native.exact_threads(threads, uneven=threads > 2):
            results.append(ad.zeros(7, 33).index_add(0, index, terms).numpy())
    for other in results[1:]:
        np.testing.assert_array_equal(results[0], other)


# ---- x[...] as NumPy has it ----

MASK = np.arange(12).reshape(3, 4) % 3 == 0
KEYS = [
    0,
    -1,
    slice(1, None),
    (slice(None, None, 2), 1),
    (Ellipsis, 0),
    (None, 1),
    (1, None, Ellipsis, None),
    slice(None, None, -1),
    (slice(None), slice(3, 0, -2)),
    [0, 0, 2],
    [-1, 0],
    ([0, 2], [1, -1]),
    ([[0], [2]], [1, 3]),
    (slice(None), [0, 2], [1, 1]),
    ([0, 2], slice(None), [1, 1]),
    (slice(1, None), [0, 1], slice(1, 3)),
    (slice(None, None, -1), [0, 1]),
    np.array([], dtype=np.int64),
    MASK,
    np.array([True, False, True]),
    (slice(None), np.array([True, False, True, True])),
    (np.array([True, False, True]), [1, 2]),
    (Ellipsis, np.arange(5) > 2),
    True,
    False,
    (np.int64(1), np.int32(2)),
    slice(5, 2),
]


@pytest.mark.parametrize("key", KEYS, ids=str)
def test_reads_as_numpy(key):
    x = ad.tensor(cube(), requires_grad=True)
    expected = cube()[key]
    part = x[key]
    np.testing.assert_array_equal(part.detach().numpy(), expected)
    g = np.random.default_rng(0).standard_normal(expected.shape)
    part.backward(ad.tensor(g))
    grad = np.zeros((3, 4, 5))
    np.add.at(grad, key, g)
    np.testing.assert_allclose(x.grad.numpy(), grad)


@pytest.mark.parametrize("key", KEYS, ids=str)
@pytest.mark.parametrize("number", [False, True])
def test_writes_as_numpy(key, number):
    x, expected = ad.tensor(cube()), cube()
    value = (
        7.0 if number else np.random.default_rng(0).standard_normal(cube()[key].shape)
    )
    x[key] = value if number else ad.tensor(value)
    expected[key] = value
    np.testing.assert_array_equal(x.numpy(), expected)


def test_tensors_are_keys():
    x = ad.tensor(cube())
    rows, columns = ad.tensor([0, 2]), ad.tensor([1, 3], dtype=ad.int32)
    np.testing.assert_array_equal(x[rows, columns].numpy(), cube()[[0, 2], [1, 3]])
    np.testing.assert_array_equal(x[x > 30].numpy(), cube()[cube() > 30])
    np.testing.assert_array_equal(x[ad.tensor(1)].numpy(), cube()[1])
    x[x > 30] = 0
    assert x.max().item() == 30
    with pytest.raises(DTypeError, match="index: indices must be integers, got float"):
        x[ad.tensor([1.0])]


def test_written_values_take_their_gradient():
    x = ad.tensor(cube(), requires_grad=True)
    v = ad.ones(2, 5, dtype=ad.float64, requires_grad=True)
    y = x * 2
    y[[0, 2], 1] = v
    (y * 3).sum().backward()
    expected = np.full((3, 4, 5), 6.0)
    expected[[0, 2], 1] = 0
    np.testing.assert_array_equal(x.grad.numpy(), expected)
    np.testing.assert_array_equal(v.grad.numpy(), np.full((2, 5), 3.0))


# indices into (3, 4), a value for each place, what PyTorch 2.13 makes of zeros
PUTS = [
    ((ad.tensor([0, 2, 0]), ad.tensor([1, 3, 1])), [3], {(0, 1): 4.0, (2, 3): 2.0}),
    ((ad.tensor([-1, 2]),), [2, 4], {(2, j): 6.0 + 2 * j for j in range(4)}),
    ((ad.eye(3, 4).bool(),), [3], {(0, 0): 1.0, (1, 1): 2.0, (2, 2): 3.0}),
]


@pytest.mark.parametrize(("indices", "shape", "sums"), PUTS)
def test_index_put_adds_what_meets(indices, shape, sums):
    values = ad.arange(1.0, np.prod(shape) + 1).reshape(*shape)
    expected = np.zeros((3, 4), np.float32)
    for place, value in sums.items():
        expected[place] = value
    x = ad.zeros(3, 4)
    assert x.index_put_(indices, values, accumulate=True) is x
    np.testing.assert_array_equal(x.numpy(), expected)
    again = ad.index_put(x, indices, values, True)
    np.testing.assert_array_equal(again.numpy(), 2 * expected)
    np.testing.assert_array_equal(x.numpy(), expected)
    one = ad.zeros(3, 4).index_put_(indices, ad.tensor(1.0))
    np.testing.assert_array_equal(one.numpy(), expected != 0)


def test_index_put_has_gradients():
    x = ad.tensor(np.zeros((3, 4)), requires_grad=True)
    values = ad.tensor(np.arange(3.0), requires_grad=True)
    for rows, accumulate in (([0, 2, 1], False), ([0, 2, 0], True)):
        indices = (ad.tensor(rows), ad.tensor([1, 3, 1]))
        ad.autograd.gradcheck(
            lambda x, v, i=indices, a=accumulate: ad.index_put(x, i, v, a) ** 2,
            (x + 1, values),
        )
    mask = ad.tensor(np.eye(3, 4, dtype=bool))
    one = ad.tensor(np.array(2.0), requires_grad=True)
    ad.autograd.gradcheck(lambda x, v: ad.index_put(x, (mask,), v, True) ** 2, (x, one))
    with pytest.raises(GradError, match=r"^index_put_: a leaf"):
        x.index_put_(indices, values)


def test_index_put_is_refused():
    x = ad.zeros(3, 4)
    with pytest.raises(TypeError, match="expected a tuple of index tensors"):
        x.index_put_(ad.tensor([0]), ad.ones(4))
    with pytest.raises(TypeError, match=r"^index_put: expected a tuple"):
        ad.index_put(x, ad.tensor([0]), ad.ones(4))
    with pytest.raises(ShapeError, match=r"^index_put_: a value of shape"):
        x.index_put_((ad.tensor([0, 1]),), ad.ones(3))
    with pytest.raises(ShapeError, match=r"^index_put: a value of shape"):
        ad.index_put(x, (ad.tensor([0, 1]),), ad.ones(3))
    with pytest.raises(IndexError, match=r"index 3 .* out of range"):
        x.index_put_((ad.tensor([3]),), ad.ones(4))


@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
@pytest.mark.parametrize("padding", [None, 1])
def test_bags_of_rows(mode, padding):
    table = np.random.default_rng(0).standard_normal((6, 3))
    weight = ad.tensor(table, requires_grad=True)
    line, starts = [4, 1, 1, 0, 5, 2], [0, 2, 2, 5]
    expected = np.zeros((4, 3))
    for i, (begin, end) in enumerate(zip(starts, [*starts[1:], len(line)])):
        rows = [table[j] for j in line[begin:end] if j != padding]
        if rows:
            expected[i] = getattr(np, mode)(rows, axis=0)
    options = {"mode": mode, "padding_idx": padding}
    found = F.embedding_bag(ad.tensor(line), weight, ad.tensor(starts), **options)
    np.testing.assert_allclose(found.detach().numpy(), expected)
    ends = ad.tensor([*starts, len(line)])
    again = F.embedding_bag(
        ad.tensor(line), weight, ends, include_last_offset=True, **options
    )
    np.testing.assert_array_equal(again.detach().numpy(), found.detach().numpy())
    square = F.embedding_bag(ad.tensor([line[:3], line[3:]]), weight, **options)
    parts = F.embedding_bag(ad.tensor(line), weight, ad.tensor([0, 3]), **options)
    np.testing.assert_array_equal(square.detach().numpy(), parts.detach().numpy())
    if mode != "max":
        ad.autograd.gradcheck(
            lambda w: F.embedding_bag(ad.tensor(line), w, ad.tensor(starts), **options),
            (weight,),
        )


@pytest.mark.parametrize("padding_idx", [None, 1])
def test_one_of_equal_elements_of_a_bag_has_the_gradient(padding_idx) -> None:
    torch = pytest.importorskip("torch")
    values = np.array([[1.0, 2.0, 0.0], [3.0, 2.0, 0.0], [3.0, -1.0, 0.0], [3.0, 2, 0]])
    line, starts = [0, 1, 2, 3, 3, 0, 2, 2, 1], [0, 3, 3, 4, 9, 9]
    g = np.arange(18.0).reshape(6, 3) + 1
    results = []
    for library, function in ((ad, F), (torch, torch.nn.functional)):
        weight = library.tensor(values, requires_grad=True)
        found = function.embedding_bag(
            library.tensor(line),
            weight,
            library.tensor(starts),
            mode="max",
            padding_idx=padding_idx,
        )
        (found * library.tensor(g)).sum().backward()
        results.append((found.tolist(), weight.grad.tolist()))
    assert results[0] == results[1]
    nothing = ad.zeros(0, dtype=ad.int64)
    weight = ad.ones(4, 3, requires_grad=True)
    found = F.embedding_bag(nothing, weight, nothing, mode="max")
    assert found.shape == (0, 3)
    holes = ad.tensor([[1.0], [np.nan]], requires_grad=True)
    F.embedding_bag(ad.tensor([[0, 1, 0]]), holes, mode="max").sum().backward()
    assert holes.grad.tolist() == [[0.0], [1.0]]


@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
def test_bags_of_one_size_are_those_with_offsets(mode):
    rng = np.random.default_rng(5)
    places, starts = rng.integers(0, 4, (7, 6)), np.arange(0, 42, 6)
    g = ad.tensor(rng.standard_normal((7, 5)))
    factors = rng.standard_normal((7, 6)) if mode == "sum" else None
    found = []
    for index, offsets in ((places, None), (places.reshape(-1), ad.tensor(starts))):
        weight = ad.tensor(np.round(np.sin(np.arange(20.0))).reshape(4, 5))
        weight.requires_grad_()
        samples = (
            factors if factors is None else ad.tensor(factors.reshape(index.shape))
        )
        y = F.embedding_bag(
            ad.tensor(index), weight, offsets, mode=mode, per_sample_weights=samples
        )
        y.backward(g)
        found.append((y.detach().numpy(), weight.grad.numpy()))
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-12)
    nothing = F.embedding_bag(ad.zeros(3, 0, dtype=ad.int64), ad.ones(4, 5), mode=mode)
    assert nothing.tolist() == np.zeros((3, 5)).tolist()


def test_bags_with_weights_and_wrong_ones():
    weight, line = ad.eye(3), ad.tensor([0, 1, 2])
    factors = ad.tensor([2.0, 3.0, 4.0])
    found = F.embedding_bag(
        line, weight, ad.tensor([0, 1]), mode="sum", per_sample_weights=factors
    )
    assert found.tolist() == [[2, 0, 0], [0, 3, 4]]
    layer = nn.EmbeddingBag.from_pretrained(weight, mode="sum")
    assert layer(line.reshape(1, 3)).tolist() == [[1, 1, 1]]
    assert str(layer) == "EmbeddingBag(3, 3, mode='sum')"
    for call, error, match in (
        (lambda: F.embedding_bag(line, weight), ShapeError, "or .k. with offsets"),
        (
            lambda: F.embedding_bag(line, weight, ad.tensor([1])),
            ShapeError,
            "from 0 on",
        ),
        (lambda: F.embedding_bag(line, weight, mode="min"), ValueError, "one of sum"),
        (
            lambda: F.embedding_bag(
                line, weight, ad.tensor([0]), per_sample_weights=factors
            ),
            ValueError,
            "go with mode 'sum'",
        ),
    ):
        with pytest.raises(error, match=match):
            call()


def test_write_of_a_shifted_part_of_itself():
    x = ad.arange(5)
    x[1:] = x[:-1]
    assert x.tolist() == [0, 0, 1, 2, 3]


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 0, 2), (2, 1, 0)])
def test_meeting_indices_read_and_write_any_layout(order):
    expected = cube().transpose(order)
    x = ad.tensor(cube()).permute(*order)
    i, j = np.array([[0, -1], [1, 0]]), np.array([[2, 0], [-1, 2]])
    at = ad.tensor(i), ad.tensor(j)
    np.testing.assert_array_equal(x[at].numpy(), expected[i, j])
    value = np.random.default_rng(0).standard_normal(expected[i, j].shape)
    x[at] = ad.tensor(value)
    expected[i, j] = value
    np.testing.assert_array_equal(x.numpy(), expected)


def test_writes_at_meeting_indices_stay_in_the_memory():
    base = ad.zeros(2, 3, 3)
    where, before = base.data_ptr(), base._version
    part, i = base[1], ad.tensor([0, 0, 2])
    part[i, i] = ad.tensor([1.0, 2.0, 3.0])
    part.index_put_((i, i), ad.tensor(10.0), accumulate=True)
    assert part.diagonal().tolist() == [22, 0, 13]
    assert (base.data_ptr(), base._version) == (where, before + 2)
    assert not base.requires_grad


def test_a_saved_tensor_is_guarded_against_writes_at_meeting_indices():
    x, w = ad.ones(3, 3), ad.ones(3, 3, requires_grad=True)
    y, i = (x * w).sum(), ad.tensor([0, 1])
    x[i, i] = 5.0
    with pytest.raises(GradError, match="changed"):
        y.backward()


def test_meeting_indices_out_of_range_write_nothing():
    x, i = ad.zeros(2, 2), ad.tensor([0, 1])
    with pytest.raises(IndexError, match="index 2 at position 1 is out of range"):
        x[i, ad.tensor([0, 2])] = 1.0
    assert x.abs().sum().item() == 0


@pytest.mark.usefixtures("compiled")
def test_sums_of_single_elements_have_the_same_bits_for_any_number_of_threads():
    rng = np.random.default_rng(0)
    index = ad.tensor(rng.integers(0, 7, 50000))
    terms = ad.tensor(rng.standard_normal(50000).astype(np.float32))
    expected = np.zeros(7, np.float32)
    np.add.at(expected, index.numpy(), terms.numpy())
    for threads in (1, 2, 4):
        with native.exact_threads(threads, uneven=threads > 2):
            sums = ad.bincount(index, terms).numpy()
        np.testing.assert_array_equal(sums, expected)


def test_writes_are_refused():
    x = ad.zeros(3, requires_grad=True)
    with pytest.raises(GradError, match="leaf that requires a gradient"):
        x[0] = 1.0
    with pytest.raises(ShapeError, match=r"shape \(4,\) does not broadcast .* \(3,\)"):
        ad.zeros(3)[:] = ad.ones(4)
    with pytest.raises(IndexError, match="4 indices for 3 axes"):
        ad.tensor(cube())[0, 0, 0, 0]
    with pytest.raises(IndexError, match="only one"):
        ad.tensor(cube())[..., 0, ...]
    with pytest.raises(IndexError, match=r"a mask of shape \(2,\) does not fit"):
        ad.tensor(cube())[np.array([True, False])]


def test_masks_do_not_poison_the_gradient():
    x = ad.tensor([0.0, 4.0], requires_grad=True)
    x.sqrt().masked_fill(x == 0, 0.0).sum().backward()
    assert x.grad.tolist() == [0, 0.25]


# ---- order ----


def test_sorts_are_stable_and_nan_is_the_largest():
    nan = float("nan")
    x = ad.tensor([2.0, nan, 1.0, 2.0, nan, 1.0])
    assert x.sort().indices.tolist() == [2, 5, 0, 3, 1, 4]
    assert x.sort(descending=True).indices.tolist() == [1, 4, 0, 3, 2, 5]
    assert x.topk(3).indices.tolist() == [1, 4, 0]
    assert x.topk(3, largest=False).indices.tolist() == [2, 5, 0]
    # equal to the last that is kept: the first of them stays
    assert ad.tensor([2.0, 1.0, 1.0, 1.0]).topk(2).indices.tolist() == [0, 1]


def test_large_sorts():
    x = np.random.default_rng(0).integers(0, 50, (3, 5000))
    values, indices = ad.tensor(x).sort(1)
    np.testing.assert_array_equal(values.numpy(), np.sort(x, 1))
    np.testing.assert_array_equal(indices.numpy(), np.argsort(x, 1, kind="stable"))


@pytest.mark.parametrize("accumulate", [False, True])
def test_put_is_that_of_pytorch(accumulate) -> None:
    torch = pytest.importorskip("torch")
    indices = [0, 4, -1, 1] if not accumulate else [4, 0, 4, -2, -1, 4]
    results = []
    for library in (ad, torch):
        x = library.tensor(np.arange(6.0).reshape(2, 3), requires_grad=True)
        source = library.tensor(np.arange(1.0, 1 + len(indices)), requires_grad=True)
        index = library.tensor(indices).reshape(2, -1)
        found = library.put(x, index, source, accumulate)
        inplace = (x * 1).T.put_(index, source.reshape(-1, 2), accumulate=accumulate)
        (found * found + (inplace * inplace * 3).T).sum().backward()
        results.append(
            [each.tolist() for each in (found, inplace, x.grad, source.grad)]
        )
    assert results[0] == results[1]


def test_put_in_place_and_what_it_refuses() -> None:
    x = ad.zeros(2, 3, dtype=ad.int64)
    assert x[:, 1:].put_(ad.tensor([0, 3]), ad.tensor([7, 8])).tolist() == [
        [7, 0],
        [0, 8],
    ]
    assert x.tolist() == [[0, 7, 0], [0, 0, 8]]
    assert ad.zeros(()).put_(ad.tensor([0]), ad.ones(1)).item() == 1
    nothing = ad.zeros(0, dtype=ad.int64)
    assert ad.zeros(0).put_(nothing, ad.zeros(0)).shape == (0,)
    for index, source, error, match in (
        ([6], [1], IndexError, "6 .* out of range"),
        ([-7], [1], IndexError, "-7 .* out of range"),
        ([1, 2], [1], ShapeError, "put: expected as many elements as indices"),
        ([1], [1.0], DTypeError, "put: expected a source of int64, got float32"),
        ([1.0], [1], DTypeError, "put: indices must be integers"),
    ):
        before = x.tolist()
        with pytest.raises(error, match=match):
            x.put_(ad.tensor(index), ad.tensor(source))
        assert x.tolist() == before


def test_uint8_between_brackets_is_a_mask_as_in_pytorch() -> None:
    x = ad.arange(6.0).reshape(3, 2)
    mask = ad.tensor([1, 0, 1], dtype=ad.uint8)
    with pytest.warns(UserWarning, match="uint8 tensor between brackets .*mask"):
        assert x[mask].tolist() == [[0, 1], [4, 5]]
    with pytest.warns(UserWarning, match="uint8"):
        assert x[mask.numpy(), 1].tolist() == [1, 5]
    with pytest.warns(UserWarning, match="uint8"):
        x[mask] = 9
    assert x.tolist() == [[9, 9], [2, 3], [9, 9]]
    assert x[np.uint8(1)].tolist() == [2, 3]
    assert x[ad.tensor([1], dtype=ad.int8)].tolist() == [[2, 3]]


# ---- what `x[key] += y` writes back ----


def test_a_view_that_was_changed_is_not_written_over_itself() -> None:
    x = ad.zeros(4, 3)
    with ad.profile() as p:
        for _ in range(3):
            x[1] += 2.0
            x[:, None, 2] *= 3.0
    assert x.tolist() == [[0, 0, 0], [6, 6, 6 * 13], [0, 0, 0], [0, 0, 0]]
    assert "copy" not in p.table("kernel")


def test_gradients_through_parts_that_change_in_place() -> None:
    y = ad.tensor([1.0, 2.0, 3.0], requires_grad=True)
    x = y * 1
    for i in range(2):
        x[i] *= x[i + 1]
    x.sum().backward()
    assert x.tolist() == [2, 6, 3]
    assert y.grad.tolist() == [2, 1 + 3, 2 + 1]


def test_a_part_without_its_graph_is_written() -> None:
    y = ad.tensor([1.0, 2.0, 3.0], requires_grad=True)
    x = y * 2
    x[0] = x.detach()[0]
    x.sum().backward()
    assert y.grad.tolist() == [0, 2, 2]
    y.grad = None
    x = y * 2
    old = x[1]
    x += 1
    x[1] = old
    with ad.no_grad():
        part = x[2]
    x[2] = part
    x.sum().backward()
    assert y.grad.tolist() == [2, 2, 0]


def test_one_place_as_a_tensor_or_as_numpy_has_it() -> None:
    x = ad.arange(12).reshape(3, 4)
    for kind in (ad.int64, ad.int32, ad.int8):
        place = ad.tensor(-1, dtype=kind)
        assert x[place].tolist() == [8, 9, 10, 11]
        assert x[1, place].item() == x[np.int32(1), np.int64(-1)].item() == 7
        assert x[place, 1:].tolist() == [9, 10, 11]
    x[ad.tensor(0), ad.tensor(1)] += 100
    assert x[0].tolist() == [0, 101, 2, 3]
    for place in (ad.tensor(3), np.int64(3)):
        with pytest.raises(IndexError, match="index 3 is out of range for axis 0"):
            x[place]
    with pytest.raises(IndexError, match="got 1"):
        x[ad.tensor(1.0)]
    assert tuple(x[ad.tensor(True)].shape) == (1, 3, 4)


def test_embedding_bag_of_rows_refuses_other_factors_and_averages_integers():
    table, rows = ad.ones(3, 2), ad.tensor([[0, 1], [1, 2]])
    for factors in (ad.ones(2), ad.ones(4), ad.ones(2, 1), ad.ones(2, 3)):
        with pytest.raises(ShapeError, match="per_sample_weights need the shape"):
            F.embedding_bag(rows, table, mode="sum", per_sample_weights=factors)
    doubles = ad.ones(2, 2, dtype=ad.float64)
    with pytest.raises(DTypeError, match=r"float32.*float64"):
        F.embedding_bag(rows, table, mode="sum", per_sample_weights=doubles)
    whole = ad.tensor([[1, 2], [2, 4], [4, 8]])
    assert F.embedding_bag(rows, whole).tolist() == [[1.5, 3.0], [3.0, 6.0]]


@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
def test_the_padding_row_of_a_bag_is_shortened_too(mode) -> None:
    torch = pytest.importorskip("torch")
    table, line = [[3.0, 4.0], [6.0, 8.0], [30.0, 40.0]], [2, 0, 2]
    found = []
    for library, bag in (
        (ad, F.embedding_bag),
        (torch, torch.nn.functional.embedding_bag),
    ):
        weight = library.tensor(table)
        out = bag(
            library.tensor(line),
            weight,
            library.tensor([0, 2]),
            max_norm=1.0,
            padding_idx=2,
            mode=mode,
        )
        found.append((weight.numpy(), out.numpy()))
    for mine, theirs in zip(*found, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-6)


@pytest.mark.parametrize("rows", [0, 3])
def test_a_padding_index_that_is_no_row_of_bags(rows) -> None:
    line, starts = ad.tensor([], dtype=ad.int64), ad.tensor([0])
    with pytest.raises(
        IndexError, match=r"embedding_bag: padding_idx 5 is out of range"
    ):
        F.embedding_bag(line, ad.ones(rows, 2), starts, padding_idx=5)
