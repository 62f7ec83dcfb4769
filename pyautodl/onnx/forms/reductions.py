"""Sums, extrema and statistics along axes."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from pyautodl.onnx.forms.elementwise import cast_to
from pyautodl.onnx.graph import Graph, no_form
from pyautodl.onnx.trace import Call

__all__ = ["REDUCTIONS"]

Form = Callable[[Graph, Call], Any]


def _axes(call: Call) -> list[int]:
    dim, count = call.attrs.get("dim"), len(call.x.shape)
    if not count:
        raise no_form(call, "of a number")
    if dim is None or dim == ():
        return list(range(count))
    return [each % count for each in (dim if isinstance(dim, tuple) else (dim,))]


def _kept(call: Call) -> int:
    return int(call.attrs.get("keepdim", False))


def _of_type(graph: Graph, call: Call) -> str:
    """The input in the element type of the output: sums of bools are whole numbers."""
    (x,) = graph.names_in(call)
    made = call.outputs[0].array.dtype
    return x if made is call.x.array.dtype else cast_to(graph, x, made)


def _sum(graph: Graph, call: Call) -> str:
    axes = graph.integers(_axes(call))
    return graph.node("ReduceSum", _of_type(graph, call), axes, keepdims=_kept(call))


def _reduced(kind: str) -> Form:
    def form(graph: Graph, call: Call) -> str:
        x = _of_type(graph, call)
        return graph.node(kind, x, axes=_axes(call), keepdims=_kept(call))

    return form


def _norm(graph: Graph, call: Call) -> str:
    p = call.attrs.get("p", 2.0)
    if p not in (1, 2, math.inf):
        raise no_form(call, f"of order {p}")
    kinds = {1: "ReduceL1", 2: "ReduceL2", math.inf: "ReduceMax"}
    (x,) = graph.names_in(call)
    if p == math.inf:
        x = graph.node("Abs", x)
    return graph.node(kinds[p], x, axes=_axes(call), keepdims=_kept(call))


def _variance(graph: Graph, call: Call, keepdim: int) -> str:
    (x,) = graph.names_in(call)
    axes = _axes(call)
    count = math.prod(call.x.shape[axis] for axis in axes)
    mean = graph.node("ReduceMean", x, axes=axes, keepdims=1)
    centred = graph.node("Sub", x, mean)
    squares = graph.node("Mul", centred, centred)
    total = graph.node("ReduceSum", squares, graph.integers(axes), keepdims=keepdim)
    divisor = count - call.attrs.get("correction", 1.0)
    return graph.node("Div", total, graph.number(divisor, call.x))


def _var(graph: Graph, call: Call) -> str:
    return _variance(graph, call, _kept(call))


def _std(graph: Graph, call: Call) -> str:
    return graph.node("Sqrt", _variance(graph, call, _kept(call)))


def _with_mean(graph: Graph, call: Call) -> tuple[str, str]:
    (x,) = graph.names_in(call)
    spread = _std(graph, call) if call.op == "std_mean" else _var(graph, call)
    kept = _kept(call)
    return spread, graph.node("ReduceMean", x, axes=_axes(call), keepdims=kept)


def _arg(kind: str) -> Form:
    def form(graph: Graph, call: Call) -> str:
        (x,) = graph.names_in(call)
        dim = call.attrs.get("dim")
        if dim is None:
            if _kept(call):
                raise no_form(call, "of all axes with keepdim=True")
            x = graph.node("Reshape", x, graph.integers([-1]))
            return graph.node(kind, x, axis=0, keepdims=0)
        return graph.node(kind, x, axis=_axes(call)[0], keepdims=_kept(call))

    return form


def _extremum(which: str) -> Form:
    def form(graph: Graph, call: Call) -> tuple[str, str]:
        (x,), axes, kept = graph.names_in(call), _axes(call), _kept(call)
        value = graph.node(f"Reduce{which}", x, axes=axes, keepdims=kept)
        return value, graph.node(f"Arg{which}", x, axis=axes[0], keepdims=kept)

    return form


def _topk(graph: Graph, call: Call) -> tuple[str, ...]:
    if not call.x.shape:
        raise no_form(call, "of a number")
    axis = call.attrs.get("dim", -1) % len(call.x.shape)
    count = call.attrs.get("k")
    count = call.x.shape[axis] if count is None else count
    inputs = (*graph.names_in(call), graph.integers([count]))
    largest = int(call.attrs.get("descending", True))
    return graph.nodes_of("TopK", inputs, 2, axis=axis, largest=largest)


def _cumsum(graph: Graph, call: Call) -> str:
    axis = graph.constant(_axes(call)[0], "int64")
    backwards = int(call.attrs.get("reverse", False))
    return graph.node("CumSum", _of_type(graph, call), axis, reverse=backwards)


REDUCTIONS: dict[str, Form] = {
    "amax": _reduced("ReduceMax"),
    "amin": _reduced("ReduceMin"),
    "argmax": _arg("ArgMax"),
    "argmin": _arg("ArgMin"),
    "cumsum": _cumsum,
    "logsumexp": _reduced("ReduceLogSumExp"),
    "max_dim": _extremum("Max"),
    "mean": _reduced("ReduceMean"),
    "min_dim": _extremum("Min"),
    "norm": _norm,
    "prod": _reduced("ReduceProd"),
    "std": _std,
    "std_mean": _with_mean,
    "sum": _sum,
    "topk": _topk,
    "var": _var,
    "var_mean": _with_mean,
}
