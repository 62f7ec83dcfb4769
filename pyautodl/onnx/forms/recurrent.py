"""Recurrent layers: one direction of one layer is one node."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pyautodl.onnx.graph import Graph, no_form
from pyautodl.onnx.trace import Call

__all__ = ["RECURRENT"]

Form = Callable[[Graph, Call], Any]

# the places here of the blocks of gates as ONNX orders them
_ORDER = {"lstm": (0, 3, 1, 2), "gru": (1, 0, 2), "rnn": (0,)}


def _in_order(graph: Graph, name: str, order: Sequence[int]) -> str:
    """Blocks of gates in another order, behind a new axis for the direction."""
    if len(order) > 1:
        parts = graph.nodes_of("Split", (name,), len(order), axis=0)
        name = graph.node("Concat", *[parts[i] for i in order], axis=0)
    return graph.node("Unsqueeze", name, graph.integers([0]))


def _biases(graph: Graph, names: Sequence[str], order: Sequence[int]) -> str:
    """Both biases behind each other."""
    if not all(names):
        return ""
    both = [_in_order(graph, each, order) for each in names]
    return graph.node("Concat", *both, axis=1)


def _recurrent(graph: Graph, call: Call) -> tuple[str, ...]:
    *names, sizes = graph.names_in(call)
    if sizes:
        raise no_form(call, "of a packed sequence", "padded sequences of one length")
    x, h0, c0, w_ih, w_hh, *biases = names
    order = _ORDER[call.op]
    at = graph.integers([0])
    states = [graph.node("Unsqueeze", each, at) if each else "" for each in (h0, c0)]
    attributes: dict[str, Any] = {
        "hidden_size": call.at(4).shape[1],
        "direction": "reverse" if call.attrs["reverse"] else "forward",
    }
    inputs = [
        x,
        _in_order(graph, w_ih, order),
        _in_order(graph, w_hh, order),
        _biases(graph, biases, order),
        "",
        states[0],
    ]
    outputs, kind = 2, call.op.upper()
    if call.op == "lstm":
        inputs.append(states[1])
        outputs = 3
    elif call.op == "gru":
        attributes["linear_before_reset"] = 1
    else:
        attributes["activations"] = [call.attrs["nonlinearity"].capitalize()]
    y, *last = graph.nodes_of(kind, inputs, outputs, **attributes)
    y = graph.node("Squeeze", y, graph.integers([1]))
    return y, *[graph.node("Squeeze", each, at) for each in last]


RECURRENT: dict[str, Form] = dict.fromkeys(("lstm", "gru", "rnn"), _recurrent)
