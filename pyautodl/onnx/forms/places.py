"""Ops that move elements: shapes, parts, joins, indices, resizing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pyautodl.onnx.graph import Graph, no_form
from pyautodl.onnx.trace import Call

__all__ = ["PLACES"]

Form = Callable[[Graph, Call], Any]


def _axis(call: Call, dim: int) -> int:
    if not call.x.shape:
        raise no_form(call, "of a number")
    return dim % len(call.x.shape)


# ---- shapes ----


def _reshape(graph: Graph, call: Call) -> str:
    shape = list(call.outputs[0].shape)
    if 0 in (*shape, *call.x.shape):
        return graph.node(
            "Reshape", *graph.names_in(call), graph.integers(shape), allowzero=1
        )
    # 0 takes the input's size over, so that the batch may be of any size
    for axis, (new, old) in enumerate(zip(shape, call.x.shape)):
        if new != old:
            break
        shape[axis] = 0
    twin = graph.twin
    if twin is not None:
        for axis, (new, other) in enumerate(zip(shape, twin.outputs[0].shape)):
            if new and new != other and -1 not in shape:
                shape[axis] = -1
    return graph.node("Reshape", *graph.names_in(call), graph.integers(shape))


def _permute(graph: Graph, call: Call) -> str:
    axes = [_axis(call, each) for each in call.attrs["dims"]]
    if not axes:
        return graph.name_of(call.x)
    return graph.node("Transpose", *graph.names_in(call), perm=axes)


def _expand(graph: Graph, call: Call) -> str:
    given, shape = call.x.shape, call.outputs[0].shape
    # 1 leaves an axis as it is
    aligned = (1,) * (len(shape) - len(given)) + given
    sizes = [1 if new == old else new for new, old in zip(shape, aligned)]
    return graph.node("Expand", *graph.names_in(call), graph.integers(sizes))


def _squeeze(graph: Graph, name: str, axes: Sequence[int]) -> str:
    return graph.node("Squeeze", name, graph.integers(axes)) if axes else name


# ---- parts and joins ----


def _slice(graph: Graph, call: Call) -> str:
    (name,) = graph.names_in(call)
    attrs, shape = call.attrs, call.x.shape
    picked = list(zip(attrs["starts"], attrs["sizes"], attrs["steps"], strict=True))
    axes = [
        axis
        for axis, (start, size, step) in enumerate(picked)
        if (start, size, step) != (0, shape[axis], 1)
    ]
    if axes:
        starts = [_start(graph, call, axis) for axis in axes]
        ends = [_end(graph, call, axis) for axis in axes]
        columns = (starts, ends, axes, [picked[axis][2] for axis in axes])
        name = graph.node("Slice", name, *map(graph.integers, columns))
    return _squeeze(graph, name, list(attrs.get("drop", ())))


def _bounds(call: Call, axis: int) -> tuple[int, int, int]:
    """Where a part starts, where it ends, and the size of the axis."""
    attrs = call.attrs
    start, step = attrs["starts"][axis], attrs["steps"][axis]
    return start, start + attrs["sizes"][axis] * step, call.x.shape[axis]


def _start(graph: Graph, call: Call, axis: int) -> int:
    """A start, counted from the end if that is how far it is at other sizes, too."""
    start, _, whole = _bounds(call, axis)
    other, _, size = _bounds(graph.twin or call, axis)
    return start - whole if start != other and start - whole == other - size else start


def _end(graph: Graph, call: Call, axis: int) -> int:
    """An end likewise; far out if that is where the axis ends."""
    _, end, whole = _bounds(call, axis)
    _, other, size = _bounds(graph.twin or call, axis)
    if call.attrs["steps"][axis] < 0:
        return end if end >= 0 else -(2**62)
    if end >= whole:
        return 2**62
    return end - whole if end != other and end - whole == other - size else end


def _cat(graph: Graph, call: Call) -> str:
    return graph.node(
        "Concat", *graph.names_in(call), axis=_axis(call, call.attrs["dim"])
    )


def _stack(graph: Graph, call: Call) -> str:
    axis = call.attrs["dim"] % (len(call.x.shape) + 1)
    at = graph.integers([axis])
    parts = [graph.node("Unsqueeze", name, at) for name in graph.names_in(call)]
    return graph.node("Concat", *parts, axis=axis)


def _split(graph: Graph, call: Call) -> tuple[str, ...]:
    sizes = call.attrs["sizes"]
    inputs = (*graph.names_in(call), graph.integers(sizes))
    axis = _axis(call, call.attrs["dim"])
    return graph.nodes_of("Split", inputs, len(sizes), axis=axis)


def _unbind(graph: Graph, call: Call) -> tuple[str, ...]:
    axis = _axis(call, call.attrs["dim"])
    count = call.x.shape[axis]
    inputs = (*graph.names_in(call), graph.integers([1] * count))
    parts = graph.nodes_of("Split", inputs, count, axis=axis)
    return tuple([_squeeze(graph, each, [axis]) for each in parts])


def _flip(graph: Graph, call: Call) -> str:
    axes = [_axis(call, each) for each in call.attrs["dims"]]
    count = len(axes)
    columns = ([-1] * count, [-(2**62)] * count, axes, [-1] * count)
    return graph.node("Slice", *graph.names_in(call), *map(graph.integers, columns))


def _tri(graph: Graph, call: Call) -> str:
    diagonal = graph.constant(call.attrs.get("diagonal", 0), "int64")
    upper = int(call.attrs.get("upper", False))
    return graph.node("Trilu", *graph.names_in(call), diagonal, upper=upper)


# ---- padding ----


def _pad(graph: Graph, call: Call) -> str:
    widths = graph.integers([*call.attrs["before"], *call.attrs["after"]])
    value = graph.number(call.attrs.get("value", 0.0), call.x)
    return graph.node("Pad", *graph.names_in(call), widths, value)


def _pad_edges(graph: Graph, call: Call) -> str:
    modes = {"reflect": "reflect", "replicate": "edge"}
    mode = call.attrs["mode"]
    if mode not in modes:
        raise no_form(call, f"in mode {mode!r}")
    widths = graph.integers([*call.attrs["before"], *call.attrs["after"]])
    return graph.node("Pad", *graph.names_in(call), widths, mode=modes[mode])


# ---- indices ----


def _embedding(graph: Graph, call: Call) -> str:
    return graph.node("Gather", *graph.names_in(call), axis=0)


def _index_select(graph: Graph, call: Call) -> str:
    axis = _axis(call, call.attrs["dim"])
    return graph.node("Gather", *graph.names_in(call), axis=axis)


def _gather(graph: Graph, call: Call) -> str:
    axis = _axis(call, call.attrs["dim"])
    return graph.node("GatherElements", *graph.names_in(call), axis=axis)


# ---- resizing ----


def _interpolate(graph: Graph, call: Call) -> str:
    attrs = call.attrs
    modes = {"nearest": "nearest", "nearest-exact": "nearest", "linear": "linear"}
    mode = attrs["mode"]
    if mode not in modes:
        raise no_form(call, f"in mode {mode!r}")
    place = "half_pixel"
    if mode == "nearest":
        place = "asymmetric"
    elif mode == "linear":
        place = "align_corners" if attrs["align_corners"] else "pytorch_half_pixel"
    numbers = {"mode": modes[mode], "coordinate_transformation_mode": place}
    if mode == "nearest":
        numbers["nearest_mode"] = "floor"
    elif mode == "nearest-exact":
        numbers["nearest_mode"] = "round_prefer_ceil"
    (x,) = graph.names_in(call)
    given, sizes = call.x.shape[2:], call.outputs[0].shape[2:]
    factors = [
        scale if scale is not None else new / old
        for scale, new, old in zip(attrs["scales"], sizes, given)
    ]
    fits = [int(old * factor) for old, factor in zip(given, factors)] == list(sizes)
    exact = all(scale is not None for scale in attrs["scales"]) or all(
        new % old == 0 for new, old in zip(sizes, given)
    )
    if fits and exact:
        scales = graph.constant([1.0, 1.0, *factors], "float32")
        return graph.node("Resize", x, "", scales, **numbers)
    if any(scale is not None for scale in attrs["scales"]):
        raise no_form(call, "by a factor that does not give its size")
    batch = graph.node("Slice", graph.node("Shape", x), *_first_two(graph))
    whole = graph.node("Concat", batch, graph.integers(sizes), axis=0)
    return graph.node("Resize", x, "", "", whole, **numbers)


def _first_two(graph: Graph) -> list[str]:
    return [graph.integers([0]), graph.integers([2])]


PLACES: dict[str, Form] = {
    "cat": _cat,
    "embedding": _embedding,
    "expand": _expand,
    "flip": _flip,
    "gather": _gather,
    "index_select": _index_select,
    "interpolate": _interpolate,
    "pad": _pad,
    "pad_edges": _pad_edges,
    "permute": _permute,
    "reshape": _reshape,
    "slice": _slice,
    "split": _split,
    "stack": _stack,
    "tri": _tri,
    "unbind": _unbind,
}
