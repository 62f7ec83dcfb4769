"""Older opsets: whether a graph means the same in one as in that of the forms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pyautodl.onnx.graph import Node

__all__ = ["NEWEST", "OLDEST", "check_number", "lowered"]

# the forms are those of the newest; before the oldest an axis may not count from the end
OLDEST, NEWEST = 11, 17
# these took all axes from theirs on together, whatever it was called
_FLATTENED_BEFORE = {"Softmax": 13, "LogSoftmax": 13}

# of each value the element type, as schemas call it, and how many axes it has
Values = Mapping[str, tuple[str, int]]


def check_number(opset: Any) -> int:
    """The opset that is wanted.

    Raises:
        ValueError: it is none of those that are written.
    """
    if opset is None:
        return NEWEST
    if isinstance(opset, int) and OLDEST <= opset <= NEWEST:
        return opset
    nearest = OLDEST if isinstance(opset, int) and opset < OLDEST else NEWEST
    raise ValueError(
        f"onnx.export: opset_version must be one of {OLDEST} to {NEWEST}, got {opset!r}; "
        f"likely fix: {nearest}, which newer runtimes read as well"
    )


def lowered(onnx: Any, proto: Any, nodes: Sequence[Node], opset: int) -> Any:
    """The model in an older opset, if each of its nodes means the same there.

    Args:
        onnx: the package.
        proto: the model, in the newest opset.
        nodes: what its nodes were made of, in the same order.
        opset: the older one.

    Raises:
        ValueError: a node does not; the error names its layer and the oldest opset that
            has all.
    """
    values = _values(onnx, proto)
    why = _first_other(onnx, proto, values, opset)
    if why is not None:
        number, text = why
        fits = next(
            version
            for version in range(opset + 1, NEWEST + 1)
            if version == NEWEST or _first_other(onnx, proto, values, version) is None
        )
        raise ValueError(
            f"onnx.export: {text}\n  in {nodes[number].where or 'no layer'}\n  likely fix: "
            f"opset_version={fits}, the oldest that has all of this model"
        )
    changed = onnx.ModelProto()
    changed.CopyFrom(proto)
    changed.opset_import[0].version = opset
    oldest = onnx.helper.find_min_ir_version_for(list(changed.opset_import))
    changed.ir_version = min(proto.ir_version, oldest)
    onnx.checker.check_model(changed, full_check=True)
    return changed


def _values(onnx: Any, proto: Any) -> Values:
    graph = onnx.shape_inference.infer_shapes(proto).graph
    name_of = onnx.TensorProto.DataType.Name
    found = {}
    for each in (*graph.input, *graph.value_info, *graph.output):
        kind = each.type.tensor_type
        text = f"tensor({name_of(kind.elem_type).lower()})"
        found[each.name] = text, len(kind.shape.dim)
    for each in graph.initializer:
        text = f"tensor({name_of(each.data_type).lower()})"
        found[each.name] = text, len(each.dims)
    return found


def _first_other(
    onnx: Any, proto: Any, values: Values, opset: int
) -> tuple[int, str] | None:
    """The first node that is not the same in an older opset, by number, and why."""
    for i, node in enumerate(proto.graph.node):
        try:
            old = onnx.defs.get_schema(node.op_type, opset)
        except onnx.defs.SchemaError:
            return i, f"opset {opset} has no {node.op_type}"
        text = _difference(onnx, node, old, values, opset)
        if text is not None:
            return i, f"{node.op_type} of opset {opset} {text}"
    return None


def _difference(
    onnx: Any, node: Any, old: Any, values: Values, opset: int
) -> str | None:
    """What an older schema lacks for a node; attributes that both leave out are as ever."""
    new = onnx.defs.get_schema(node.op_type, NEWEST)
    if len(node.input) > old.max_input or len(node.output) > old.max_output:
        return f"takes {old.max_input} inputs, not {len(node.input)}"
    given = {each.name for each in node.attribute}
    for name in sorted(given - set(old.attributes)):
        return f"has no attribute {name!r}"
    for name in sorted((set(old.attributes) & set(new.attributes)) - given):
        defaults = [each.attributes[name].default_value for each in (old, new)]
        if defaults[0] != defaults[1]:
            return f"has another default of {name!r}"
    for i, name in enumerate(node.input):
        kind, axes = values.get(name, ("", 0))
        formal = old.inputs[min(i, len(old.inputs) - 1)]
        if not name and formal.option is not formal.option.Optional:
            return f"needs its input {formal.name!r}"
        if kind and kind not in formal.types:
            return f"does not take a {kind}"
        if opset < _FLATTENED_BEFORE.get(node.op_type, 0):
            axis = next(a.i for a in node.attribute if a.name == "axis")
            if axis % axes != axes - 1:
                return f"takes all axes from axis {axis} on together"
    return None
