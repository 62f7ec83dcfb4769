"""Recurrent layers and cells as functions of their weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pyautodl.errors import ShapeError, describe
from pyautodl.functional.creation import as_tensor
from pyautodl.functional.networks.dropout import dropout as drop
from pyautodl.ops.record import Op
from pyautodl.ops.rnn import GRU, LSTM, RNN
from pyautodl.tensor import Tensor, apply, call, explained

__all__ = [
    "gru",
    "gru_cell",
    "lstm",
    "lstm_cell",
    "rnn_relu",
    "rnn_relu_cell",
    "rnn_tanh",
    "rnn_tanh_cell",
]

States = tuple[Tensor, ...]


class _Stack:
    """The layers of one call, and what they share."""

    def __init__(
        self,
        op: Op,
        params: Sequence[Tensor],
        has_biases: bool,
        num_layers: int,
        bidirectional: bool,
        sizes: Tensor | None,
        **attrs: Any,
    ) -> None:
        self.op = op
        self.directions = 2 if bidirectional else 1
        self.layers = num_layers
        self.sizes = sizes
        self.attrs = attrs
        each = plain = 4 if has_biases else 2
        number = num_layers * self.directions
        # what an LSTM projects its outputs by stands behind the others
        if op is LSTM and len(params) == (each + 1) * number:
            each += 1
        if len(params) != each * number:
            raise ShapeError(
                f"{op.name}: expected {each * number} weights for {num_layers} layers of "
                f"{self.directions} directions, got {len(params)}"
            )
        no_bias = () if has_biases else (None, None)
        self.weights: list[tuple[Any, ...]] = []
        self.projections: list[Tensor | None] = []
        for i in range(0, len(params), each):
            self.weights.append((*params[i : i + plain], *no_bias))
            self.projections.append(None if each == plain else params[i + plain])

    def run(
        self, x: Tensor, states: Sequence[Tensor], dropout: float, train: bool
    ) -> tuple[Tensor, States]:
        """The last layer's outputs and every layer's last states, stacked."""
        finals: list[States] = []
        for layer in range(self.layers):
            if layer and dropout and train:
                x = drop(x, dropout, True)
            outputs = []
            for direction in range(self.directions):
                number = layer * self.directions + direction
                h0, c0 = self._states(states, number)
                y, *last = self._direction(number, x, h0, c0, bool(direction))
                outputs.append(y)
                finals.append(tuple(last))
            x = outputs[0] if len(outputs) == 1 else call("cat", *outputs, dim=-1)
        return x, tuple(call("stack", *each, dim=0) for each in zip(*finals))

    def _direction(
        self, number: int, x: Tensor, h0: Any, c0: Any, reverse: bool
    ) -> Sequence[Tensor]:
        """The outputs and the last states of one direction of one layer."""
        weights, projection = self.weights[number], self.projections[number]
        if projection is None:
            inputs = (x, h0, c0, *weights, self.sizes)
            found: tuple[Tensor, ...] = apply(
                self.op, *inputs, reverse=reverse, **self.attrs
            )
            return found
        return projected(x, h0, c0, weights, projection, self.sizes, reverse)

    def _states(
        self, states: Sequence[Tensor], number: int
    ) -> tuple[Tensor | None, Tensor | None]:
        """The first states of one direction of one layer; None for zeros."""
        given: list[Any] = list(states)
        h, c = (*(each[number] for each in given), None, None)[:2]
        return h, c


def projected(
    x: Tensor,
    h0: Tensor | None,
    c0: Tensor | None,
    weights: Sequence[Any],
    projection: Tensor,
    sizes: Tensor | None,
    reverse: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """One direction of an LSTM whose outputs h = W_hr m are projections.

    What the gates read of them is W_hh h = (W_hh W_hr) m, so it is the LSTM of m with
    another W_hh. A first h is no projection of a first m: the first step reads it as further
    features of its input, which are 0 in all others.
    """
    w_ih, w_hh, *biases = weights
    hidden, features = w_hh.shape[0] // 4, w_hh.shape[1]
    if tuple(projection.shape) != (features, hidden):
        raise ShapeError(
            f"lstm: expected weight_hr ({features}, {hidden}), got "
            f"{tuple(projection.shape)}"
        )
    if h0 is not None:
        batch = x.shape[1] if sizes is None else int(sizes[0])
        if tuple(h0.shape) != (batch, features):
            raise ShapeError(
                f"lstm: expected h_0 of ({batch}, {features}) for each layer, got "
                f"{tuple(h0.shape)}"
            )
        x = call("cat", x, _at_first_step(x, h0, sizes, reverse), dim=-1)
        w_ih = call("cat", w_ih, w_hh, dim=-1)
    inner = call("matmul", w_hh, projection)
    inputs = (x, None, c0, w_ih, inner, *biases, sizes)
    y, h, c = apply(LSTM, *inputs, reverse=reverse)
    return (
        call("linear", y, projection, None),
        call("linear", h, projection, None),
        c,
    )


def _at_first_step(
    x: Tensor, h0: Tensor, sizes: Tensor | None, reverse: bool
) -> Tensor:
    """Zeros beside x with h0 in the step that is read first."""
    if sizes is None:
        steps = x.shape[0]
        widths = (steps - 1, 0) if reverse else (0, steps - 1)
        row = call("reshape", h0, shape=(1, *h0.shape))
        before, after = ((width, 0, 0) for width in widths)
        return call("pad", row, before=before, after=after)
    counts = sizes.tolist()
    rows = x.shape[0]
    if not reverse:
        return call("pad", h0, before=(0, 0), after=(rows - h0.shape[0], 0))
    # the last step of each sequence: in the last of the steps that have as many
    first = [sum(counts[:t]) for t in range(len(counts))]
    last = [sum(count > i for count in counts) - 1 for i in range(counts[0])]
    places = as_tensor([first[t] + i for i, t in enumerate(last)])
    zeros = call("full", shape=(rows, h0.shape[1]), value=0.0, dtype=h0.dtype)
    return call("index_add", zeros, places, h0, dim=0)


def _check_states(
    op: Op, states: Sequence[Tensor], layers: int, batch: int | None
) -> None:
    for key, state in zip(("h_0", "c_0"), states):
        wrong = state.ndim != 3 or state.shape[0] != layers
        if wrong or (batch is not None and state.shape[1] != batch):
            wanted = "n" if batch is None else batch
            raise ShapeError(
                f"{op.name}: expected {key} ({layers}, {wanted}, hidden), got "
                f"{tuple(state.shape)}"
            )


def _run(
    op: Op,
    args: tuple[Any, ...],
    states: Callable[[Any], Sequence[Tensor]],
    **attrs: Any,
) -> tuple[Tensor, States]:
    """PyTorch's two forms: padded (9 arguments) and packed (9, data and sizes first)."""
    if len(args) != 9:
        raise TypeError(
            f"{op.name}: expected (input, hx, params, has_biases, num_layers, dropout, "
            "train, bidirectional, batch_first) or (data, batch_sizes, hx, params, "
            f"has_biases, num_layers, dropout, train, bidirectional), got {len(args)}"
        )
    packed = isinstance(args[1], Tensor) and isinstance(args[3], (list, tuple))
    if packed:
        x, sizes, hx, params, biases, layers, dropout, train, two_ways = args
        batch, batch_first = None, False
    else:
        x, hx, params, biases, layers, dropout, train, two_ways, batch_first = args
        sizes = None
        if x.ndim != 3:
            raise ShapeError(f"{op.name}: expected an input of 3 axes, got {x.ndim}")
        batch = x.shape[0 if batch_first else 1]
    given = () if hx is None else states(hx)
    _check_states(op, given, layers * (2 if two_ways else 1), batch)
    stack = _Stack(op, params, biases, layers, two_ways, sizes, **attrs)
    if batch_first:
        x = call("permute", x, dims=(1, 0, 2))
    y, finals = stack.run(x, given, dropout, train)
    return (call("permute", y, dims=(1, 0, 2)) if batch_first else y), finals


def _pair(hx: Any) -> Sequence[Tensor]:
    if not isinstance(hx, (tuple, list)) or len(hx) != 2:
        fix = "; likely fix: (h_0, zeros_like(h_0))" if isinstance(hx, Tensor) else ""
        raise TypeError(
            f"lstm: expected the states (h_0, c_0), got {describe(hx)}{fix}"
        )
    return tuple(hx)


def _single(hx: Any) -> Sequence[Tensor]:
    if not isinstance(hx, Tensor):
        raise TypeError(f"rnn: expected one state h_0, got {describe(hx)}")
    return (hx,)


@explained
def lstm(*args: Any) -> tuple[Tensor, Tensor, Tensor]:
    """Run a stack of LSTM layers; see `nn.LSTM`.

    Args:
        args: (input, (h_0, c_0), params, has_biases, num_layers, dropout, train,
            bidirectional, batch_first), or for packed sequences (data, batch_sizes,
            (h_0, c_0), params, has_biases, num_layers, dropout, train, bidirectional).
            The states may be None. Of params each direction of each layer has w_ih, w_hh,
            b_ih, b_hh and, if outputs are projected, w_hr.

    Returns:
        The outputs, h_n and c_n.

    Raises:
        ShapeError: input, states and weights do not fit.

    Example:
        >>> import pyautodl as ad
        >>> weights = [ad.zeros(8, 3), ad.zeros(8, 2)]
        >>> x = ad.ones(5, 1, 3)
        >>> y, h, c = ad.lstm(x, None, weights, False, 1, 0.0, False, False, False)
        >>> y.shape, h.shape
        (pyautodl.Size([5, 1, 2]), pyautodl.Size([1, 1, 2]))

    Source: Hochreiter and Schmidhuber, "Long short-term memory", 1997; Gers et al.,
    "Learning to forget", 2000.
    """
    y, (h, c) = _run(LSTM, args, _pair)
    return y, h, c


@explained
def gru(*args: Any) -> tuple[Tensor, Tensor]:
    """Run a stack of GRU layers; arguments as `lstm`, with h_0 for the states.

    Example:
        >>> import pyautodl as ad
        >>> weights = [ad.zeros(6, 3), ad.zeros(6, 2)]
        >>> x = ad.ones(5, 1, 3)
        >>> y, h = ad.gru(x, None, weights, False, 1, 0.0, False, False, False)
        >>> y.shape, h.shape
        (pyautodl.Size([5, 1, 2]), pyautodl.Size([1, 1, 2]))

    Source: Cho et al., "Learning phrase representations using RNN encoder-decoder for
    statistical machine translation", 2014.
    """
    y, (h,) = _run(GRU, args, _single)
    return y, h


@explained
def rnn_tanh(*args: Any) -> tuple[Tensor, Tensor]:
    """Run a stack of plain recurrent layers with tanh; arguments as `gru`.

    Example:
        >>> import pyautodl as ad
        >>> weights = [ad.zeros(2, 3), ad.zeros(2, 2)]
        >>> x = ad.ones(5, 1, 3)
        >>> y, h = ad.rnn_tanh(x, None, weights, False, 1, 0.0, False, False, False)
        >>> y.shape, h.shape
        (pyautodl.Size([5, 1, 2]), pyautodl.Size([1, 1, 2]))

    Source: Elman, "Finding structure in time", 1990.
    """
    y, (h,) = _run(RNN, args, _single, nonlinearity="tanh")
    return y, h


@explained
def rnn_relu(*args: Any) -> tuple[Tensor, Tensor]:
    """Run a stack of plain recurrent layers with ReLU; arguments as `gru`.

    Example:
        >>> import pyautodl as ad
        >>> weights = [ad.zeros(2, 3), ad.zeros(2, 2)]
        >>> x = ad.ones(5, 1, 3)
        >>> y, h = ad.rnn_relu(x, None, weights, False, 1, 0.0, False, False, False)
        >>> y.shape, h.shape
        (pyautodl.Size([5, 1, 2]), pyautodl.Size([1, 1, 2]))

    Source: Le et al., "A simple way to initialize recurrent networks of rectified
    linear units", 2015.
    """
    y, (h,) = _run(RNN, args, _single, nonlinearity="relu")
    return y, h


# ---- cells ----


def _cell(
    op: Op,
    input: Tensor,
    states: Sequence[Tensor | None],
    weights: Sequence[Tensor | None],
    **attrs: Any,
) -> States:
    """One step, as a sequence of length 1; (n, inputs) or (inputs,)."""
    if input.ndim not in (1, 2):
        raise ShapeError(
            f"{op.name}_cell: expected (n, inputs) or (inputs,), got "
            f"{tuple(input.shape)}"
        )
    single = input.ndim == 1
    if single:
        input = input.reshape(1, -1)
        states = [each if each is None else each.reshape(1, -1) for each in states]
    x = input.reshape(1, *input.shape)
    h, c = (*states, None)[:2]
    _, *last = apply(op, x, h, c, *weights, None, reverse=False, **attrs)
    return tuple(each.reshape(-1) if single else each for each in last)


@explained
def lstm_cell(
    input: Tensor,
    hx: Sequence[Tensor] | None,
    w_ih: Tensor,
    w_hh: Tensor,
    b_ih: Tensor | None = None,
    b_hh: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Compute one step of an LSTM.

    Args:
        input: (n, inputs) or (inputs,).
        hx: h and c before, (n, hidden) each; None for zeros.
        w_ih: (4 hidden, inputs): input, forget, cell and output gate.
        w_hh: (4 hidden, hidden).
        b_ih: (4 hidden,).
        b_hh: (4 hidden,).

    Returns:
        h and c after.

    Example:
        >>> import pyautodl as ad
        >>> h, c = ad.lstm_cell(ad.ones(1, 3), None, ad.zeros(8, 3), ad.zeros(8, 2))
        >>> h.shape
        pyautodl.Size([1, 2])
    """
    states = (None, None) if hx is None else _pair(hx)
    h, c = _cell(LSTM, input, states, (w_ih, w_hh, b_ih, b_hh))
    return h, c


@explained
def gru_cell(
    input: Tensor,
    hx: Tensor | None,
    w_ih: Tensor,
    w_hh: Tensor,
    b_ih: Tensor | None = None,
    b_hh: Tensor | None = None,
) -> Tensor:
    """Compute one step of a GRU; arguments as `lstm_cell`, gates r, z, n.

    Example:
        >>> import pyautodl as ad
        >>> ad.gru_cell(ad.ones(1, 3), None, ad.full((6, 3), 0.1), ad.zeros(6, 2))
        tensor([[0.1240, 0.1240]])
    """
    return _cell(GRU, input, (hx,), (w_ih, w_hh, b_ih, b_hh))[0]


@explained
def rnn_tanh_cell(
    input: Tensor,
    hx: Tensor | None,
    w_ih: Tensor,
    w_hh: Tensor,
    b_ih: Tensor | None = None,
    b_hh: Tensor | None = None,
) -> Tensor:
    """Compute one step of a plain recurrent layer with tanh; arguments as `lstm_cell`.

    Example:
        >>> import pyautodl as ad
        >>> ad.rnn_tanh_cell(ad.ones(1, 3), None, ad.full((2, 3), 0.1), ad.zeros(2, 2))
        tensor([[0.2913, 0.2913]])
    """
    weights = (w_ih, w_hh, b_ih, b_hh)
    return _cell(RNN, input, (hx,), weights, nonlinearity="tanh")[0]


@explained
def rnn_relu_cell(
    input: Tensor,
    hx: Tensor | None,
    w_ih: Tensor,
    w_hh: Tensor,
    b_ih: Tensor | None = None,
    b_hh: Tensor | None = None,
) -> Tensor:
    """Compute one step of a plain recurrent layer with ReLU; arguments as `lstm_cell`.

    Example:
        >>> import pyautodl as ad
        >>> ad.rnn_relu_cell(ad.ones(1, 3), None, ad.full((2, 3), 0.1), ad.zeros(2, 2))
        tensor([[0.3000, 0.3000]])
    """
    weights = (w_ih, w_hh, b_ih, b_hh)
    return _cell(RNN, input, (hx,), weights, nonlinearity="relu")[0]
