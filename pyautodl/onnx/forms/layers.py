"""Products, convolutions, pooling and norms."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from pyautodl.onnx.graph import Graph, no_form
from pyautodl.onnx.trace import Call, Value

__all__ = ["LAYERS"]

Form = Callable[[Graph, Call], Any]


def _pads(pairs: Sequence[tuple[int, int]]) -> list[int]:
    """Pairs (before, after) of axes as ONNX has them: all before, then all after."""
    return [before for before, _ in pairs] + [after for _, after in pairs]


# ---- products ----


def _transposed(graph: Graph, value: Value, name: str) -> str:
    """Matrices with rows and columns exchanged."""
    axes = list(range(len(value.shape)))
    axes[-2:] = axes[-1], axes[-2]
    return graph.node("Transpose", name, perm=axes)


def _matmul(graph: Graph, call: Call) -> str:
    names = graph.names_in(call)
    for i, which in enumerate("ab"):
        if call.attrs.get(f"transpose_{which}"):
            names[i] = _transposed(graph, call.at(i), names[i])
    return graph.node("MatMul", *names)


def _linear(graph: Graph, call: Call) -> str:
    x, weight, bias = graph.names_in(call)
    if call.attrs.get("activation", ((0,),))[0] != (0,):
        raise no_form(call, "with its activation")
    if len(call.x.shape) == 2:
        y = graph.node("Gemm", x, weight, bias, transB=1)
    else:
        y = graph.node("MatMul", x, _transposed(graph, call.at(1), weight))
        y = graph.node("Add", y, bias) if bias else y
    return graph.node("Relu", y) if call.op == "linear_relu" else y


# ---- convolutions ----


def _conv(graph: Graph, call: Call) -> str:
    attrs = call.attrs
    if attrs.get("activation", (0,))[0]:
        raise no_form(call, "with its activation")
    if min(map(min, attrs["padding"])) < 0:
        raise no_form(call, "with negative padding")
    y = graph.node(
        "Conv",
        *graph.names_in(call),
        strides=list(attrs["stride"]),
        pads=_pads(attrs["padding"]),
        dilations=list(attrs["dilation"]),
        group=attrs["groups"],
    )
    return graph.node("Relu", y) if call.op == "conv_relu" else y


def _conv_transpose(graph: Graph, call: Call) -> str:
    attrs = call.attrs
    before = [each for each, _ in attrs["padding"]]
    # what is cut off less than nothing at the end is added
    after = [max(each, 0) for _, each in attrs["padding"]]
    extra = [max(-each, 0) for _, each in attrs["padding"]]
    most = map(max, attrs["stride"], attrs["dilation"])
    if min(before) < 0 or any(a >= b for a, b in zip(extra, most)):
        raise no_form(call, "with such padding")
    return graph.node(
        "ConvTranspose",
        *graph.names_in(call),
        strides=list(attrs["stride"]),
        pads=before + after,
        output_padding=extra,
        dilations=list(attrs["dilation"]),
        group=attrs["groups"],
    )


# ---- pooling ----


def _window(call: Call, names: Sequence[str]) -> dict[str, Any]:
    attrs = call.attrs
    found = {
        "kernel_shape": list(attrs["kernel_size"]),
        "strides": list(attrs["stride"]),
        "pads": [*attrs["padding"], *attrs["padding"]],
        "ceil_mode": int(attrs["ceil_mode"]),
    }
    return found | {name: list(attrs[name[:-1]]) for name in names}


def _max_pool(graph: Graph, call: Call) -> str:
    y = graph.node("MaxPool", *graph.names_in(call), **_window(call, ["dilations"]))
    return graph.node("Relu", y) if call.attrs.get("relu") else y


def _avg_pool(graph: Graph, call: Call) -> str:
    if call.attrs["divisor_override"] is not None:
        raise no_form(call, "with divisor_override")
    padded = int(call.attrs["count_include_pad"])
    window = _window(call, ())
    if padded and window["ceil_mode"] and any(window["pads"]):
        raise no_form(call, "with ceil_mode=True and count_include_pad=True")
    return graph.node(
        "AveragePool", *graph.names_in(call), count_include_pad=padded, **window
    )


def _adaptive_pool(kind: str) -> Form:
    def form(graph: Graph, call: Call) -> str:
        sizes = call.attrs["output_size"]
        given = call.x.shape[-len(sizes) :]
        if set(sizes) == {1}:
            return graph.node(f"Global{kind}Pool", *graph.names_in(call))
        if any(not out or size % out for size, out in zip(given, sizes)):
            raise no_form(
                call,
                f"from {given} to {sizes}",
                "an input whose sizes are multiples of the output's",
            )
        steps = [size // out for size, out in zip(given, sizes)]
        names = graph.names_in(call)
        return graph.node(f"{kind}Pool", *names, kernel_shape=steps, strides=steps)

    return form


# ---- norms ----


def _vector(graph: Graph, name: str, value: float, size: int, like: Value) -> str:
    """A weight or bias, of equal numbers where there is none."""
    return name or graph.constant(np.full(size, value), like.array.dtype.numpy)


def _batch_norm(graph: Graph, call: Call) -> str:
    x, mean, var, weight, bias = graph.names_in(call, 5)
    channels = call.x.shape[1]
    weight = _vector(graph, weight, 1, channels, call.x)
    bias = _vector(graph, bias, 0, channels, call.x)
    inputs = (x, weight, bias, mean, var)
    y = graph.node("BatchNormalization", *inputs, epsilon=call.attrs["eps"])
    return graph.node("Relu", y) if call.op == "batch_norm_relu_eval" else y


def _batch_statistics(graph: Graph, call: Call) -> str:
    raise no_form(
        call, "by the batch's own statistics", "track_running_stats=True, and eval()"
    )


def _layer_norm(graph: Graph, call: Call) -> str:
    x, weight, bias = graph.names_in(call, 3)
    shape = call.attrs["normalized_shape"]
    scale = weight or graph.constant(np.ones(shape), call.x.array.dtype.numpy)
    axis = -len(shape)
    eps = call.attrs["eps"]
    return graph.node("LayerNormalization", x, scale, bias, axis=axis, epsilon=eps)


def _rms_norm(graph: Graph, call: Call) -> str:
    x, weight = graph.names_in(call, 2)
    axes = list(range(-len(call.attrs["normalized_shape"]), 0))
    mean = graph.node("ReduceMean", graph.node("Mul", x, x), axes=axes, keepdims=1)
    inner = graph.node("Add", mean, graph.number(call.attrs["eps"], call.x))
    y = graph.node("Div", x, graph.node("Sqrt", inner))
    return graph.node("Mul", y, weight) if weight else y


def _group_norm(graph: Graph, call: Call) -> str:
    x, weight, bias = graph.names_in(call, 3)
    shape, groups = call.x.shape, call.attrs["groups"]
    # groups are channels of one row each
    rows = graph.node("Reshape", x, graph.integers([0, groups, -1]))
    ones = _vector(graph, "", 1, groups, call.x)
    zeros = _vector(graph, "", 0, groups, call.x)
    eps = call.attrs["eps"]
    y = graph.node("InstanceNormalization", rows, ones, zeros, epsilon=eps)
    y = graph.node("Reshape", y, graph.integers([0, *shape[1:]]))
    each = graph.integers([-1] + [1] * (len(shape) - 2))
    for kind, name in (("Mul", weight), ("Add", bias)):
        if name:
            y = graph.node(kind, y, graph.node("Reshape", name, each))
    return y


LAYERS: dict[str, Form] = {
    "adaptive_avg_pool": _adaptive_pool("Average"),
    "adaptive_max_pool": _adaptive_pool("Max"),
    "avg_pool": _avg_pool,
    "batch_norm": _batch_statistics,
    "batch_norm_eval": _batch_norm,
    "batch_norm_relu": _batch_statistics,
    "batch_norm_relu_eval": _batch_norm,
    "conv": _conv,
    "conv_relu": _conv,
    "conv_transpose": _conv_transpose,
    "group_norm": _group_norm,
    "layer_norm": _layer_norm,
    "linear": _linear,
    "linear_relu": _linear,
    "matmul": _matmul,
    "max_pool": _max_pool,
    "rms_norm": _rms_norm,
}
