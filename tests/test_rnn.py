"""Recurrent layers: hand values, packed sequences, directions, states, PyTorch's form."""

from __future__ import annotations

import copy
import math
from typing import Any

import numpy as np
import pytest

import pyautodl as ad
from pyautodl import backends, nn
from pyautodl.backends import native
from pyautodl.nn.utils.rnn import (
    PackedSequence,
    pack_padded_sequence,
    pack_sequence,
    pad_packed_sequence,
    pad_sequence,
    unpack_sequence,
    unpad_sequence,
)

LAYERS = [nn.LSTM, nn.GRU, nn.RNN]


def _sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def _first(state: object) -> ad.Tensor:
    return state[0] if isinstance(state, tuple) else state


def _array(x: ad.Tensor) -> np.ndarray:
    return x.detach().numpy()


# ---- hand values ----


def test_lstm_by_hand() -> None:
    layer = nn.LSTM(1, 1, dtype=ad.float64)
    values = {
        "weight_ih_l0": [[0.1], [0.2], [0.3], [0.4]],
        "weight_hh_l0": [[0.5], [0.6], [0.7], [0.8]],
        "bias_ih_l0": [0.01, 0.02, 0.03, 0.04],
        "bias_hh_l0": [0.1, 0.2, 0.3, 0.4],
    }
    layer.load_state_dict(
        {k: ad.tensor(v, dtype=ad.float64) for k, v in values.items()}
    )
    y, (h, c) = layer(ad.tensor([[[1.0]], [[-2.0]]], dtype=ad.float64))
    hidden = cell = 0.0
    for t, x in enumerate((1.0, -2.0)):
        i, f, g, o = (
            0.1 * (k + 1) * x
            + (0.5 + 0.1 * k) * hidden
            + 0.01 * (k + 1)
            + 0.1 * (k + 1)
            for k in range(4)
        )
        cell = _sigmoid(f) * cell + _sigmoid(i) * math.tanh(g)
        hidden = _sigmoid(o) * math.tanh(cell)
        assert y[t].item() == pytest.approx(hidden, rel=1e-12)
    assert h.item() == pytest.approx(hidden, rel=1e-12)
    assert c.item() == pytest.approx(cell, rel=1e-12)


def test_gru_by_hand() -> None:
    """The reset gate scales the recurrent part with its bias, as PyTorch has it."""
    w_ih = ad.tensor([[0.1], [0.2], [0.3]], dtype=ad.float64)
    w_hh = ad.tensor([[0.5], [0.6], [0.7]], dtype=ad.float64)
    b_ih = ad.tensor([0.01, 0.02, 0.03], dtype=ad.float64)
    b_hh = ad.tensor([0.1, 0.2, 0.3], dtype=ad.float64)
    x, h = ad.tensor([[2.0]], dtype=ad.float64), ad.tensor([[-0.5]], dtype=ad.float64)
    r = _sigmoid(0.1 * 2 + 0.01 + 0.5 * -0.5 + 0.1)
    z = _sigmoid(0.2 * 2 + 0.02 + 0.6 * -0.5 + 0.2)
    n = math.tanh(0.3 * 2 + 0.03 + r * (0.7 * -0.5 + 0.3))
    expected = (1 - z) * n + z * -0.5
    assert ad.gru_cell(x, h, w_ih, w_hh, b_ih, b_hh).item() == pytest.approx(expected)


@pytest.mark.parametrize("backend", ["native", "reference"])
def test_relu_passes_nan_on_in_the_gradient(backend: str) -> None:
    if not backends.backend_kernels(backend):
        pytest.skip(f"{backend} is absent")
    layer = nn.RNN(1, 1, nonlinearity="relu", bias=False)
    nn.init.constant_(layer.weight_ih_l0, 2.0)
    nn.init.constant_(layer.weight_hh_l0, 0.0)
    x = ad.tensor([[[math.nan], [-1.0], [3.0]]], requires_grad=True)
    with ad.use_backend(backend):
        y, _ = layer(x)
        y.backward(ad.ones_like(y))
    assert x.grad is not None
    assert x.grad.flatten().tolist() == [2.0, 0.0, 2.0]


# ---- against steps ----


def _by_steps(layer: nn.Module, cell: nn.Module, x: ad.Tensor) -> np.ndarray:
    state = None
    outputs = []
    for step in x:
        state = cell(step, state)
        outputs.append(_array(_first(state)))
    return np.stack(outputs)


@pytest.mark.parametrize(
    ("kind", "cell", "options"),
    [
        (nn.LSTM, nn.LSTMCell, {}),
        (nn.GRU, nn.GRUCell, {}),
        (nn.RNN, nn.RNNCell, {}),
        (nn.RNN, nn.RNNCell, {"nonlinearity": "relu"}),
        (nn.LSTM, nn.LSTMCell, {"bias": False}),
    ],
)
def test_layer_equals_its_cell(kind: type, cell: type, options: dict) -> None:
    layer = kind(5, 7, **options)
    single = cell(5, 7, **options)
    state = {k.removesuffix("_l0"): v for k, v in layer.state_dict().items()}
    single.load_state_dict(state)
    x = ad.randn(6, 3, 5)
    y, last = layer(x)
    np.testing.assert_allclose(_array(y), _by_steps(layer, single, x), atol=1e-6)
    np.testing.assert_array_equal(_array(_first(last)[0]), _array(y[-1]))


@pytest.mark.parametrize("kind", LAYERS)
def test_bidirectional_layers_are_two_layers(kind: type) -> None:
    both = kind(4, 5, num_layers=2, bidirectional=True)
    x = ad.randn(6, 3, 4)
    y, last = both(x)
    state = both.state_dict()
    below = x
    for layer in range(2):
        outputs = []
        for end in ("", "_reverse"):
            one = kind(below.shape[-1], 5)
            names = {k: k.replace("_l0", f"_l{layer}") + end for k in one.state_dict()}
            one.load_state_dict({k: state[name] for k, name in names.items()})
            out, _ = one(below.flip(0) if end else below)
            outputs.append(out.flip(0) if end else out)
        below = ad.cat(outputs, -1)
    np.testing.assert_allclose(_array(y), _array(below), atol=1e-6)
    assert _first(last).shape == (4, 3, 5)
    np.testing.assert_array_equal(_array(_first(last)[3]), _array(y[0, :, 5:]))


@pytest.mark.parametrize("kind", LAYERS)
def test_batch_first_and_no_batch(kind: type) -> None:
    layer = kind(4, 5)
    first = kind(4, 5, batch_first=True)
    first.load_state_dict(layer.state_dict())
    x = ad.randn(6, 3, 4)
    y, last = layer(x)
    z, same = first(x.permute(1, 0, 2))
    np.testing.assert_array_equal(_array(z.permute(1, 0, 2)), _array(y))
    np.testing.assert_array_equal(_array(_first(same)), _array(_first(last)))
    alone, end = layer(x[:, 1])
    np.testing.assert_allclose(_array(alone), _array(y[:, 1]), atol=1e-6)
    assert _first(end).shape == (1, 5)


@pytest.mark.parametrize("kind", LAYERS)
def test_sequence_in_two_parts_with_the_state_handed_on(kind: type) -> None:
    layer = kind(4, 5, num_layers=2)
    x = ad.randn(7, 3, 4)
    y, last = layer(x)
    first, state = layer(x[:3])
    second, end = layer(x[3:], state)
    np.testing.assert_allclose(_array(ad.cat([first, second])), _array(y), atol=1e-6)
    np.testing.assert_allclose(_array(_first(end)), _array(_first(last)), atol=1e-6)


# ---- packed ----


@pytest.mark.parametrize("shape", [(4, 2), (4, 1, 1), ()])
def test_sequences_that_differ_in_more_than_their_length_are_named(shape):
    sequences = [ad.zeros(3, 1), ad.zeros(5, 1), ad.zeros(shape)]
    with pytest.raises(ad.ShapeError) as caught:
        pad_sequence(sequences)
    assert f"got (3, 1) and, as number 2, {shape}" in str(caught.value)


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize("batch_first", [False, True])
def test_packed_sequences_equal_each_alone(kind: type, batch_first: bool) -> None:
    """Also backwards: the reverse pass starts at each sequence's own end."""
    lengths = [3, 7, 1, 5]
    layer = kind(4, 5, num_layers=2, bidirectional=True, batch_first=batch_first)
    sequences = [ad.randn(n, 4).requires_grad_() for n in lengths]
    padded = pad_sequence(sequences, batch_first=batch_first)
    packed = pack_padded_sequence(padded, lengths, batch_first, enforce_sorted=False)
    y, last = layer(packed)
    assert isinstance(y, PackedSequence)
    out, found = pad_packed_sequence(y, batch_first=batch_first)
    assert found.tolist() == lengths
    weights = [ad.randn(n, 10) for n in lengths]
    apart = unpad_sequence(out, found, batch_first)
    total = sum((a * w).sum() for a, w in zip(apart, weights)) + _first(last).sum()
    total.backward()
    together = [x.grad.numpy().copy() for x in sequences]
    sums = {name: p.grad.numpy().copy() for name, p in layer.named_parameters()}
    layer.zero_grad()
    for i, (x, w) in enumerate(zip(sequences, weights)):
        x.grad = None
        alone, end = layer(x)
        np.testing.assert_allclose(_array(apart[i]), _array(alone), atol=1e-6)
        np.testing.assert_allclose(
            _array(_first(last)[:, i]), _array(_first(end)), atol=1e-6
        )
        ((alone * w).sum() + _first(end).sum()).backward()
        np.testing.assert_allclose(together[i], x.grad.numpy(), atol=1e-5)
    for name, p in layer.named_parameters():
        np.testing.assert_allclose(sums[name], p.grad.numpy(), rtol=1e-4, atol=1e-5)


def test_packing_keeps_the_fields_of_pytorch() -> None:
    x = ad.arange(12).reshape(4, 3)
    packed = pack_padded_sequence(x, ad.tensor([2, 4, 1]), enforce_sorted=False)
    assert packed.data.tolist() == [1, 0, 2, 4, 3, 7, 10]
    assert packed.batch_sizes.tolist() == [3, 2, 1, 1]
    assert packed.sorted_indices.tolist() == [1, 0, 2]
    assert packed.unsorted_indices.tolist() == [1, 0, 2]
    back, lengths = pad_packed_sequence(packed, padding_value=-1, total_length=5)
    assert lengths.tolist() == [2, 4, 1]
    assert back[:, 0].tolist() == [0, 3, -1, -1, -1]
    assert [each.tolist() for each in unpack_sequence(packed)] == [
        [0, 3],
        [1, 4, 7, 10],
        [2],
    ]


def test_packing_passes_gradients() -> None:
    sequences = [ad.ones(n, 2, requires_grad=True) for n in (1, 3)]
    packed = pack_sequence(sequences, enforce_sorted=False)
    out, _ = pad_packed_sequence(packed)
    (out * ad.arange(12.0).reshape(3, 2, 2)).sum().backward()
    assert sequences[0].grad.tolist() == [[0, 1]]
    assert sequences[1].grad.tolist() == [[2, 3], [6, 7], [10, 11]]


def test_bad_packing() -> None:
    x = ad.zeros(4, 2, 3)
    with pytest.raises(ValueError, match="enforce_sorted=False"):
        pack_padded_sequence(x, [2, 3])
    with pytest.raises(ValueError, match="from 1 to 4"):
        pack_padded_sequence(x, [5, 3])
    with pytest.raises(ValueError, match="from 1 to 4"):
        pack_padded_sequence(x, [2, 0])
    with pytest.raises(ad.ShapeError, match="2 lengths"):
        pack_padded_sequence(x, [2])
    with pytest.raises(ValueError, match="total_length"):
        pad_packed_sequence(pack_padded_sequence(x, [4, 3]), total_length=3)


# ---- form ----


def test_names_and_shapes_of_the_weights_are_those_of_pytorch() -> None:
    layer = nn.LSTM(3, 4, num_layers=2, bidirectional=True)
    shapes = {name: tuple(p.shape) for name, p in layer.named_parameters()}
    assert list(shapes)[:5] == [
        "weight_ih_l0",
        "weight_hh_l0",
        "bias_ih_l0",
        "bias_hh_l0",
        "weight_ih_l0_reverse",
    ]
    assert shapes["weight_ih_l0"] == (16, 3)
    assert shapes["weight_ih_l1"] == (16, 8)
    assert shapes["weight_hh_l1_reverse"] == (16, 4)
    assert len(shapes) == 16
    assert all(abs(p.numpy(force=True)).max() <= 0.5 for p in layer.parameters())
    assert repr(layer) == "LSTM(3, 4, num_layers=2, bidirectional=True)"
    assert repr(nn.GRUCell(3, 4, bias=False)) == "GRUCell(3, 4, bias=False)"
    twin = copy.deepcopy(layer)
    x = ad.randn(2, 1, 3)
    np.testing.assert_array_equal(_array(twin(x)[0]), _array(layer(x)[0]))


def test_dropout_acts_between_layers_in_training() -> None:
    layer = nn.GRU(4, 50, num_layers=2, dropout=1.0)
    x = ad.randn(3, 2, 4)
    plain, _ = layer.eval()(x)
    y, _ = layer.train()(x)
    z, _ = layer(x * 7)
    # with everything dropped, the second layer does not see the input
    np.testing.assert_array_equal(_array(y), _array(z))
    assert not np.allclose(_array(y), _array(plain))
    with pytest.warns(UserWarning, match="between layers"):
        nn.GRU(4, 5, dropout=0.5)


def test_bad_arguments_name_what_was_expected() -> None:
    layer = nn.LSTM(4, 5)
    with pytest.raises(ad.ShapeError, match="expected 4 features"):
        layer(ad.zeros(3, 2, 5))
    with pytest.raises(ad.ShapeError, match=r"h_0 \(1, 2, hidden\)"):
        layer(ad.zeros(3, 2, 4), (ad.zeros(1, 3, 5), ad.zeros(1, 3, 5)))
    with pytest.raises(TypeError, match=r"\(h_0, c_0\)"):
        layer(ad.zeros(3, 2, 4), ad.zeros(1, 2, 5))
    with pytest.raises(ad.DTypeError, match="one floating type"):
        layer(ad.zeros(3, 2, 4, dtype=ad.float64))
    with pytest.raises(
        ValueError, match="proj_size must be from 0 to below hidden_size"
    ):
        nn.LSTM(4, 5, proj_size=5)
    with pytest.raises(ValueError, match="proj_size is for LSTM alone"):
        nn.RNNBase("GRU", 4, 5, proj_size=2)
    projected = nn.LSTM(4, 5, proj_size=2)
    with pytest.raises(ad.ShapeError, match=r"expected h_0 of \(2, 2\) for each layer"):
        projected(ad.zeros(3, 2, 4), (ad.zeros(1, 2, 5), ad.zeros(1, 2, 5)))
    weights = [*projected.parameters()][:-1]
    with pytest.raises(ad.ShapeError, match=r"weight_hr \(2, 5\), got \(5, 2\)"):
        ad.lstm(
            ad.zeros(3, 2, 4),
            None,
            [*weights, ad.zeros(5, 2)],
            *(True, 1, 0.0, False, False, False),
        )
    with pytest.raises(ValueError, match="nonlinearity"):
        nn.RNN(4, 5, nonlinearity="sin")


def _projected_steps(
    x: np.ndarray, h: np.ndarray, c: np.ndarray, weights: list[np.ndarray]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """An LSTM with projected outputs, step by step."""
    w_ih, w_hh, b_ih, b_hh, w_hr = weights
    outputs = []
    for step in x:
        gates = step @ w_ih.T + b_ih + h @ w_hh.T + b_hh
        i, f, g, o = np.split(gates, 4, -1)
        c = c / (1 + np.exp(-f)) + np.tanh(g) / (1 + np.exp(-i))
        h = np.tanh(c) / (1 + np.exp(-o)) @ w_hr.T
        outputs.append(h)
    return np.stack(outputs), h, c


@pytest.mark.parametrize("given", [True, False])
def test_projected_outputs(given: bool) -> None:
    rng = np.random.default_rng(0)
    layer = nn.LSTM(4, 6, 2, bidirectional=True, proj_size=3, dtype=ad.float64)
    names = ["weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr"]
    ends = ["l0", "l0_reverse", "l1", "l1_reverse"]
    assert list(layer.state_dict()) == [f"{n}_{end}" for end in ends for n in names]
    assert repr(layer).startswith("LSTM(4, 6, proj_size=3, num_layers=2")
    x, h, c = (rng.normal(size=s) for s in ((5, 3, 4), (4, 3, 3), (4, 3, 6)))
    states = (ad.tensor(h), ad.tensor(c)) if given else None
    if not given:
        h, c = 0 * h, 0 * c
    y, finals = layer(ad.tensor(x), states)
    expected: Any = x
    last = []
    for number in range(0, 4, 2):
        found = []
        for k in (number, number + 1):
            weights = [_array(w) for w in layer.all_weights[k]]
            turned = expected[::-1] if k % 2 else expected
            out, *ends_of = _projected_steps(turned, h[k], c[k], weights)
            found.append(out[::-1] if k % 2 else out)
            last.append(ends_of)
        expected = np.concatenate(found, -1)
    np.testing.assert_allclose(_array(y), expected, atol=1e-12)
    for final, each in zip(finals, zip(*last)):
        np.testing.assert_allclose(_array(final), np.stack(each), atol=1e-12)
    # packed: each sequence as if it were alone
    lengths = ad.tensor([5, 2, 4])
    packed = nn.utils.rnn.pack_padded_sequence(
        ad.tensor(x), lengths, enforce_sorted=False
    )
    y, finals = layer(packed, states)
    y, _ = nn.utils.rnn.pad_packed_sequence(y)
    for i, length in enumerate(lengths.tolist()):
        one = slice(i, i + 1)
        alone = None if states is None else tuple(s[:, one] for s in states)
        z, ends_alone = layer(ad.tensor(x[:length, one]), alone)
        np.testing.assert_allclose(_array(y[:length, one]), _array(z), atol=1e-12)
        for final, each in zip(finals, ends_alone):
            np.testing.assert_allclose(_array(final[:, one]), _array(each), atol=1e-12)


def test_batch_of_nothing() -> None:
    y, (h, c) = nn.LSTM(4, 5)(ad.zeros(3, 0, 4))
    assert y.shape == (3, 0, 5)
    assert h.shape == c.shape == (1, 0, 5)


# ---- derivatives and threads ----


@pytest.mark.parametrize("kind", LAYERS)
def test_second_derivatives(kind: type) -> None:
    layer = kind(2, 2, num_layers=2, bidirectional=True, dtype=ad.float64)
    x = ad.randn(3, 2, 2, dtype=ad.float64, requires_grad=True)
    assert ad.autograd.gradgradcheck(lambda x: layer(x)[0], (x,))


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize(("inputs", "hidden"), [(5, 33), (700, 160)])
def test_threads_do_not_change_a_bit(kind: type, inputs: int, hidden: int) -> None:
    """Few sequences: threads share the units. Many: the sequences."""
    layer = kind(inputs, hidden)
    for batch in (1, 7, 70):
        lengths = [5 - 4 * i // batch for i in range(batch)]
        x = ad.randn(5, batch, inputs)
        found = []
        for threads in (1, 2, 3, 4):
            layer.zero_grad()
            with native.exact_threads(threads, uneven=threads > 2):
                y, _ = layer(pack_padded_sequence(x, lengths))
                (y.data * y.data).sum().backward()
            found.append(
                [_array(y.data), *(p.grad.numpy() for p in layer.parameters())]
            )
        for each in found[1:]:
            assert all(np.array_equal(a, b) for a, b in zip(found[0], each))


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("batch", [1, 3, 4, 5])
@pytest.mark.parametrize("started", [False, True])
@pytest.mark.parametrize(
    ("kind", "inputs", "hidden"),
    # the last one's input weights are too large to go along with the steps
    [
        (k, i, h)
        for k in ("LSTM", "GRU", "RNN")
        for i, h in ((1, 3), (7, 70), (2800, 100))
    ],
)
def test_one_step_of_few_sequences(kind, inputs, hidden, started, batch):
    layer = getattr(nn, kind)(inputs, hidden, dtype=ad.float64)
    x = ad.randn(1, batch, inputs, dtype=ad.float64, requires_grad=True)
    first = ad.randn(1, batch, hidden, dtype=ad.float64)
    state = (first, first + 1) if kind == "LSTM" else first

    def run():
        y, after = layer(x, state if started else None)
        grads = ad.autograd.grad(y.sum(), [x, *layer.parameters()], allow_unused=True)
        ends = after if isinstance(after, tuple) else (after,)
        return [
            each.detach().numpy() for each in (y, *ends, *grads) if each is not None
        ]

    found = []
    for threads, uneven in ((1, False), (2, True), (4, False)):
        with native.exact_threads(threads, uneven):
            found.append(run())
    bits = [[each.tobytes() for each in values] for values in found]
    assert bits.count(bits[0]) == len(bits)
    with backends.use_backend("reference"):
        for mine, expected in zip(found[0], run(), strict=True):
            np.testing.assert_allclose(mine, expected, rtol=1e-9, atol=1e-11)
