"""Recurrent layers: LSTM, GRU and plain, over sequences, and their single steps."""

from __future__ import annotations

import math
from typing import Any

from pyautodl.errors import ShapeError, warn
from pyautodl.functional.eltwise.unary import check_tensor
from pyautodl.functional.index import index_select
from pyautodl.functional.networks import rnn as functional
from pyautodl.nn import init
from pyautodl.nn._sizes import memory_for, size
from pyautodl.nn.module import Module
from pyautodl.nn.parameter import Parameter
from pyautodl.nn.utils.rnn import PackedSequence
from pyautodl.ops.integers import integer
from pyautodl.tensor import Tensor

__all__ = ["GRU", "LSTM", "RNN", "GRUCell", "LSTMCell", "RNNBase", "RNNCell"]

# blocks of the weights of each mode
_GATES = {"LSTM": 4, "GRU": 3, "RNN_TANH": 1, "RNN_RELU": 1}
_FUNCTIONS = {
    "LSTM": functional.lstm,
    "GRU": functional.gru,
    "RNN_TANH": functional.rnn_tanh,
    "RNN_RELU": functional.rnn_relu,
}


def _new(layer: str, shape: tuple[int, ...], place: Any, dtype: Any) -> Parameter:
    return Parameter(memory_for(layer, *shape, dtype=dtype, device=place))


class RNNBase(Module):
    """What recurrent layers share: weights, states, padded and packed inputs.

    Args:
        mode: 'LSTM', 'GRU', 'RNN_TANH' or 'RNN_RELU'.
        input_size: features of the input.
        hidden_size: features of the state.
        num_layers: how many layers, each reading the outputs of the one before.
        bias: whether there are biases.
        batch_first: input and output are (n, t, features) instead of (t, n, features).
        dropout: probability of dropout between layers, in training.
        bidirectional: also read backwards; outputs have both directions' features.
        proj_size: of an LSTM, see there; 0 for the others.
        device: 'cpu' or None.
        dtype: of the weights.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl import nn
        >>> layer = nn.RNNBase("GRU", input_size=3, hidden_size=5)
        >>> output, state = layer(ad.ones(7, 2, 3))
        >>> output.shape, state.shape
        (pyautodl.Size([7, 2, 5]), pyautodl.Size([1, 2, 5]))
    """

    __constants__ = [
        "mode",
        "input_size",
        "hidden_size",
        "num_layers",
        "bias",
        "batch_first",
        "dropout",
        "bidirectional",
        "proj_size",
    ]

    def __init__(
        self,
        mode: str,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        name = type(self).__name__
        if mode not in _GATES:
            raise ValueError(f"{name}: mode must be one of {[*_GATES]}, got {mode!r}")
        if isinstance(dropout, bool) or not 0 <= dropout <= 1:
            raise ValueError(f"{name}: dropout must be from 0 to 1, got {dropout}")
        input_size = size(name, "input_size", input_size)
        hidden_size = integer(name, "hidden_size", hidden_size)
        num_layers = integer(name, "num_layers", num_layers)
        if hidden_size <= 0 or num_layers <= 0:
            raise ValueError(
                f"{name}: hidden_size and num_layers must be positive, got "
                f"{hidden_size} and {num_layers}"
            )
        proj_size = integer(name, "proj_size", proj_size)
        if proj_size and mode != "LSTM":
            raise ValueError(f"{name}: proj_size is for LSTM alone, got {proj_size}")
        if not 0 <= proj_size < hidden_size:
            raise ValueError(
                f"{name}: proj_size must be from 0 to below hidden_size {hidden_size}, "
                f"got {proj_size}"
            )
        if dropout > 0 and num_layers == 1:
            warn(f"{name}: dropout={dropout} acts between layers, and there is one")
        self.mode = mode
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bias = bias
        self.batch_first = batch_first
        self.dropout = float(dropout)
        self.bidirectional = bidirectional
        self.proj_size = proj_size
        self._weight_names: list[list[str]] = []
        self._make_weights(device, dtype)
        self.reset_parameters()

    def _make_weights(self, place: Any, dtype: Any) -> None:
        directions = 2 if self.bidirectional else 1
        width = _GATES[self.mode] * self.hidden_size
        outputs = self.proj_size or self.hidden_size
        for layer in range(self.num_layers):
            inputs = self.input_size if layer == 0 else directions * outputs
            for direction in range(directions):
                end = f"_l{layer}" + ("_reverse" if direction else "")
                shapes = {
                    "weight_ih": (width, inputs),
                    "weight_hh": (width, outputs),
                }
                if self.bias:
                    shapes |= {"bias_ih": (width,), "bias_hh": (width,)}  # type: ignore[dict-item]
                if self.proj_size:
                    shapes["weight_hr"] = (outputs, self.hidden_size)
                self._weight_names.append([key + end for key in shapes])
                for key, shape in shapes.items():
                    setattr(
                        self, key + end, _new(type(self).__name__, shape, place, dtype)
                    )

    def reset_parameters(self) -> None:
        """Draw the weights from U(-k, k), k = 1 / sqrt(hidden_size)."""
        bound = 1.0 / math.sqrt(self.hidden_size)
        for weight in self.parameters():
            init.uniform_(weight, -bound, bound)

    @property
    def all_weights(self) -> list[list[Parameter]]:
        """The weights of each direction of each layer."""
        return [[getattr(self, key) for key in names] for names in self._weight_names]

    def flatten_parameters(self) -> None:
        """Do nothing; there is no other arrangement of the weights."""

    def extra_repr(self) -> str:
        text = f"{self.input_size}, {self.hidden_size}"
        for key, default in (
            ("proj_size", 0),
            ("num_layers", 1),
            ("bias", True),
            ("batch_first", False),
            ("dropout", 0),
            ("bidirectional", False),
        ):
            if getattr(self, key) != default:
                text += f", {key}={getattr(self, key)}"
        return text

    def forward(self, input: Any, hx: Any = None) -> tuple[Any, Any]:
        """Run the layers; input padded (with or without a batch axis) or packed."""
        if isinstance(input, PackedSequence):
            return self._forward_packed(input, hx)
        check_tensor(type(self).__name__, input)
        if input.ndim not in (2, 3):
            raise ShapeError(
                f"{type(self).__name__}: expected an input of 2 axes (without a batch) or "
                f"3, got {tuple(input.shape)}"
            )
        self._check_features(input)
        single = input.ndim == 2
        if single:
            input = input.unsqueeze(0 if self.batch_first else 1)
            hx = self._map(hx, self._add_batch)
        weights = [w for each in self.all_weights for w in each]
        options = (self.bias, self.num_layers, self.dropout, self.training)
        call = _FUNCTIONS[self.mode]
        y, *states = call(
            input, hx, weights, *options, self.bidirectional, self.batch_first
        )
        if single:
            y = y.squeeze(0 if self.batch_first else 1)
            states = [each.squeeze(1) for each in states]
        return y, self._states(states)

    def _forward_packed(self, packed: PackedSequence, hx: Any) -> tuple[Any, Any]:
        self._check_features(packed.data)
        hx = self.permute_hidden(hx, packed.sorted_indices)
        weights = [w for each in self.all_weights for w in each]
        options = (self.bias, self.num_layers, self.dropout, self.training)
        call = _FUNCTIONS[self.mode]
        y, *states = call(
            packed.data, packed.batch_sizes, hx, weights, *options, self.bidirectional
        )
        finals = self.permute_hidden(self._states(states), packed.unsorted_indices)
        return PackedSequence(y, *packed[1:]), finals

    def permute_hidden(self, hx: Any, permutation: Tensor | None) -> Any:
        """Put the sequences of states into another order."""
        if hx is None or permutation is None:
            return hx
        return self._map(hx, lambda state: index_select(state, 1, permutation))

    def _check_features(self, x: Tensor) -> None:
        if x.shape[-1] != self.input_size:
            raise ShapeError(
                f"{type(self).__name__}: expected {self.input_size} features in the last "
                f"axis, got an input of shape {tuple(x.shape)}"
            )

    def _add_batch(self, state: Tensor) -> Tensor:
        if state.ndim != 2:
            raise ShapeError(
                f"{type(self).__name__}: for an input without a batch, expected states of "
                f"2 axes, got {tuple(state.shape)}"
            )
        batch: Tensor = state.unsqueeze(1)
        return batch

    def _map(self, hx: Any, function: Any) -> Any:
        if self.mode == "LSTM" and isinstance(hx, (tuple, list)):
            return tuple(function(h) for h in hx)
        if self.mode != "LSTM" and isinstance(hx, Tensor):
            return function(hx)
        return hx  # None, or what the functions refuse

    def _states(self, states: list[Tensor]) -> Any:
        return tuple(states) if self.mode == "LSTM" else states[0]


class RNN(RNNBase):
    """Plain recurrent layers: h = tanh(W_ih x + b_ih + W_hh h + b_hh), or ReLU of it.

    Args:
        input_size: features of the input.
        hidden_size: features of the state.
        num_layers: how many layers.
        nonlinearity: 'tanh' or 'relu'.
        bias: whether there are biases.
        batch_first: (n, t, features) instead of (t, n, features).
        dropout: between layers, in training.
        bidirectional: also read backwards.
        device: 'cpu' or None.
        dtype: element type of the weights.

    Shape:
        input (t, n, input_size) or (t, input_size), h_0 (layers, n, hidden_size), where
        layers counts directions -> output (t, n, hidden_size), h_n as h_0.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl import nn
        >>> y, h = nn.RNN(3, 4)(ad.ones(5, 2, 3))
        >>> y.shape, h.shape
        (pyautodl.Size([5, 2, 4]), pyautodl.Size([1, 2, 4]))

    Source: Elman, "Finding structure in time", 1990.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(
                f"RNN: nonlinearity must be 'tanh' or 'relu', got {nonlinearity!r}"
            )
        self.nonlinearity = nonlinearity
        super().__init__(
            f"RNN_{nonlinearity.upper()}",
            input_size,
            hidden_size,
            num_layers,
            bias,
            batch_first,
            dropout,
            bidirectional,
            0,
            device,
            dtype,
        )


class LSTM(RNNBase):
    """Long short-term memory.

    i, f, o = sigmoid, g = tanh of W_ih x + b_ih + W_hh h + b_hh, in the order i, f, g, o;
    c = f c + i g; h = o tanh(c).

    Args:
        input_size: features of the input.
        hidden_size: features of the state.
        num_layers: how many layers.
        bias: whether there are biases.
        batch_first: (n, t, features) instead of (t, n, features).
        dropout: between layers, in training.
        bidirectional: also read backwards.
        proj_size: if it is not 0, h = W_hr (o tanh(c)) has so many features in place of
            hidden_size, in the output, the states and what W_hh reads.
        device: 'cpu' or None.
        dtype: element type of the weights.

    Shape:
        input (t, n, input_size) or (t, input_size), states (h_0, c_0) of (layers, n,
        hidden_size) each, where layers counts directions -> output (t, n, hidden_size),
        (h_n, c_n); h and the output with proj_size in place of hidden_size, if it is given.

    Raises:
        ValueError: proj_size is negative or not below hidden_size.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl import nn
        >>> y, (h, c) = nn.LSTM(3, 4, bidirectional=True)(ad.ones(5, 2, 3))
        >>> y.shape, h.shape
        (pyautodl.Size([5, 2, 8]), pyautodl.Size([2, 2, 4]))

    Source: Hochreiter and Schmidhuber, "Long short-term memory", 1997; Gers et al.,
    "Learning to forget", 2000; Sak et al., "Long short-term memory based recurrent neural
    network architectures", 2014 (proj_size).
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(
            "LSTM",
            input_size,
            hidden_size,
            num_layers,
            bias,
            batch_first,
            dropout,
            bidirectional,
            proj_size,
            device,
            dtype,
        )


class GRU(RNNBase):
    """Gated recurrent units.

    r, z = sigmoid of their parts of W_ih x + b_ih + W_hh h + b_hh; n = tanh(W_in x + b_in
    + r (W_hn h + b_hn)); h = (1 - z) n + z h; the order is r, z, n.

    Args:
        input_size: features of the input.
        hidden_size: features of the state.
        num_layers: how many layers.
        bias: whether there are biases.
        batch_first: (n, t, features) instead of (t, n, features).
        dropout: between layers, in training.
        bidirectional: also read backwards.
        device: 'cpu' or None.
        dtype: element type of the weights.

    Shape:
        input (t, n, input_size) or (t, input_size), h_0 (layers, n, hidden_size), where
        layers counts directions -> output (t, n, hidden_size), h_n as h_0.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl import nn
        >>> y, h = nn.GRU(3, 4, num_layers=2, batch_first=True)(ad.ones(2, 5, 3))
        >>> y.shape, h.shape
        (pyautodl.Size([2, 5, 4]), pyautodl.Size([2, 2, 4]))

    Source: Cho et al., "Learning phrase representations using RNN encoder-decoder for
    statistical machine translation", 2014.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(
            "GRU",
            input_size,
            hidden_size,
            num_layers,
            bias,
            batch_first,
            dropout,
            bidirectional,
            0,
            device,
            dtype,
        )


class _Cell(Module):
    """What single steps share."""

    __constants__ = ["input_size", "hidden_size", "bias"]

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool,
        gates: int,
        device: Any,
        dtype: Any,
    ) -> None:
        super().__init__()
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.bias = bias
        width = gates * hidden_size
        self.weight_ih = _new(type(self).__name__, (width, input_size), device, dtype)
        self.weight_hh = _new(type(self).__name__, (width, hidden_size), device, dtype)
        if bias:
            self.bias_ih = _new(type(self).__name__, (width,), device, dtype)
            self.bias_hh = _new(type(self).__name__, (width,), device, dtype)
        else:
            self.register_parameter("bias_ih", None)
            self.register_parameter("bias_hh", None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the weights from U(-k, k), k = 1 / sqrt(hidden_size)."""
        bound = 1.0 / math.sqrt(self.hidden_size) if self.hidden_size > 0 else 0.0
        for weight in self.parameters():
            init.uniform_(weight, -bound, bound)

    def extra_repr(self) -> str:
        text = f"{self.input_size}, {self.hidden_size}"
        return text if self.bias else f"{text}, bias={self.bias}"

    def _weights(self) -> tuple[Any, ...]:
        return self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh


class RNNCell(_Cell):
    """One step of a plain recurrent layer.

    Args:
        input_size: features of the input.
        hidden_size: features of the state.
        bias: whether there are biases.
        nonlinearity: 'tanh' or 'relu'.
        device: 'cpu' or None.
        dtype: element type of the weights.

    Shape:
        input (n, input_size), h (n, hidden_size) -> h; or all without n.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl import nn
        >>> nn.RNNCell(3, 4)(ad.ones(2, 3)).shape
        pyautodl.Size([2, 4])
    """

    __constants__ = ["input_size", "hidden_size", "bias", "nonlinearity"]

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(
                f"RNNCell: nonlinearity must be 'tanh' or 'relu', got {nonlinearity!r}"
            )
        super().__init__(input_size, hidden_size, bias, 1, device, dtype)
        self.nonlinearity = nonlinearity

    def extra_repr(self) -> str:
        text = super().extra_repr()
        plain = self.nonlinearity == "tanh"
        return text if plain else f"{text}, nonlinearity={self.nonlinearity}"

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        step = functional.rnn_tanh_cell
        if self.nonlinearity == "relu":
            step = functional.rnn_relu_cell
        return step(input, hx, *self._weights())


class LSTMCell(_Cell):
    """One step of an LSTM.

    Args:
        input_size: features of the input.
        hidden_size: features of the state.
        bias: whether there are biases.
        device: 'cpu' or None.
        dtype: element type of the weights.

    Shape:
        input (n, input_size), (h, c) of (n, hidden_size) each -> (h, c); or all without n.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl import nn
        >>> h, c = nn.LSTMCell(3, 4)(ad.ones(2, 3))
        >>> h.shape
        pyautodl.Size([2, 4])
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(input_size, hidden_size, bias, 4, device, dtype)

    def forward(
        self, input: Tensor, hx: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, Tensor]:
        return functional.lstm_cell(input, hx, *self._weights())


class GRUCell(_Cell):
    """One step of a GRU.

    Args:
        input_size: features of the input.
        hidden_size: features of the state.
        bias: whether there are biases.
        device: 'cpu' or None.
        dtype: element type of the weights.

    Shape:
        input (n, input_size), h (n, hidden_size) -> h; or all without n.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl import nn
        >>> nn.GRUCell(3, 4)(ad.ones(2, 3)).shape
        pyautodl.Size([2, 4])
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(input_size, hidden_size, bias, 3, device, dtype)

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        return functional.gru_cell(input, hx, *self._weights())
