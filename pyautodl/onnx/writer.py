"""`export`: a model's calls of ops, one after the other, as a graph in a file."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from pyautodl._version import __version__
from pyautodl.autograd.grad_mode import enable_grad, no_grad
from pyautodl.errors import ShapeError, describe
from pyautodl.func.trees import leaves_of, rebuilt, tensors_of
from pyautodl.functional.copy import cat
from pyautodl.nn.module import Module
from pyautodl.nn.parameter import UninitializedBuffer, UninitializedParameter
from pyautodl.onnx.forms import FORMS
from pyautodl.onnx.graph import Graph, Node, no_form
from pyautodl.onnx.opsets import NEWEST, check_number, lowered
from pyautodl.onnx.trace import Call, Trace, Value
from pyautodl.tensor import Tensor
from pyautodl.train.blame import kept_state

__all__ = ["export"]

_LAZY = (UninitializedParameter, UninitializedBuffer)
# the version of the format that came with it
_IR_VERSION = 8

Axes = Mapping[str, Any]


def export(
    model: Module,
    args: Any,
    f: Any = None,
    *,
    kwargs: Mapping[str, Any] | None = None,
    verbose: bool | None = None,
    input_names: Sequence[str] | None = None,
    output_names: Sequence[str] | None = None,
    opset_version: int | None = None,
    dynamo: bool = True,
    external_data: bool = True,
    optimize: bool = True,
    export_params: bool = True,
    keep_initializers_as_inputs: bool = False,
    dynamic_axes: Axes | None = None,
    training: Any = None,
    do_constant_folding: bool = True,
) -> Any:
    """Write a model as an ONNX file, which onnxruntime and others can run.

    The model is called once with the example, as it is in evaluation, and the operations
    that it comes to are written: what Python decides by sizes or values, a loop over the
    steps of a sequence for example, is what it was for the example. Parameters and buffers
    have their names of `state_dict()`.

    Args:
        model: an `nn.Module`; it stays as it was.
        args: its argument, or a tuple of them; tensors, which are the file's inputs, and
            what is no tensor, which stays as it is.
        f: a path or a file to write to; None writes nothing.
        kwargs: arguments by name.
        input_names: names of the inputs; default: 'input_0', ...
        output_names: names of the outputs; default: 'output_0', ... Tuples, lists and dicts
            of tensors count each.
        opset_version: from 11 to 17; None is 17. An older one serves older runtimes, if
            all operations of the model mean the same in it.
        export_params, keep_initializers_as_inputs, training: only PyTorch's defaults.
        verbose, dynamo, external_data, optimize, do_constant_folding: without effect.
        dynamic_axes: which axes of inputs may be of any size, as {'x': {0: 'batch'}} or
            {'x': [0]}. The model is called a second time with another size there, to find
            what depends on it.

    Returns:
        The `onnx.ModelProto`.

    Raises:
        NotImplementedError: an operation has no ONNX form; the error names its layer, and
            the likely fix where there is one. Or one of the arguments above is not the
            default.
        ModuleNotFoundError: onnx is not installed.
        RuntimeError: a profile is recording.
        ShapeError: an operation fixes the size of an axis that is to be dynamic.
        ValueError: names or axes do not fit, or the opset lacks an operation: the error
            names its layer, and the oldest opset that has all.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl import nn
        >>> model = nn.Sequential(nn.Linear(4, 3), nn.ReLU())
        >>> written = ad.onnx.export(
        ...     model, ad.ones(1, 4), input_names=["x"], dynamic_axes={"x": [0]}
        ... )
        >>> [node.op_type for node in written.graph.node]
        ['Gemm', 'Relu']
    """
    _require()
    if not isinstance(model, Module):
        raise TypeError(f"onnx.export: expected an nn.Module, got {describe(model)}")
    _check_options(export_params, keep_initializers_as_inputs, training)
    opset = check_number(opset_version)
    given = args if isinstance(args, tuple) else (args,)
    example = _Example(given, dict(kwargs or {}), input_names)
    axes = example.dynamic(dynamic_axes)
    traced = _trace(model, example)
    other = None if not axes else _trace(model, example.with_other_sizes(axes))
    names = _output_names(output_names, len(traced.outputs))
    graph = _graph(traced, other, names)
    if other is not None:
        _check_same(graph, _graph(other, traced, names))
    proto = _proto(graph, traced, names, axes, other, opset)
    if isinstance(f, (str, os.PathLike)):
        with open(f, "wb") as file:
            file.write(proto.SerializeToString())
    elif f is not None:
        f.write(proto.SerializeToString())
    return proto


def _check_options(params: Any, as_inputs: Any, training: Any) -> None:
    for name, value, default in (
        ("export_params", params, True),
        ("keep_initializers_as_inputs", as_inputs, False),
        ("training", training, None),
    ):
        # the names of PyTorch's modes are numbers, evaluation being 0
        if value != default and not (name == "training" and value == 0):
            raise NotImplementedError(
                f"onnx.export: {name}={value!r} is not supported; likely fix: {default}"
            )


def _require() -> Any:
    try:
        import onnx
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "onnx.export needs onnx; likely fix: pip install 'pyautodl[onnx]'",
            name="onnx",
        ) from error
    return onnx


# ---- the example ----


class _Example:
    """What the model is called with, and the names of the tensors in it."""

    def __init__(
        self,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        names: Sequence[str] | None,
    ) -> None:
        self.args, self.kwargs = args, kwargs
        tree = (args, kwargs)
        self.tensors = [each for each in leaves_of(tree) if isinstance(each, Tensor)]
        if not self.tensors:
            raise TypeError(
                f"onnx.export: expected an example with a tensor, got {describe(args)}"
            )
        count = len(self.tensors)
        self.names = [f"input_{i}" for i in range(count)]
        if names is not None:
            if len(names) != count or len(set(names)) != count:
                raise ValueError(
                    f"onnx.export: expected {count} different input_names, got "
                    f"{describe(list(names))}"
                )
            self.names = list(names)

    def dynamic(self, axes: Axes | None) -> dict[str, dict[int, str]]:
        """The axes of each input that may be of any size, and their names."""
        found: dict[str, dict[int, str]] = {}
        for name, each in (axes or {}).items():
            if name not in self.names:
                if isinstance(each, Mapping) or name.startswith("output"):
                    continue  # of an output: that follows
                raise ValueError(
                    f"onnx.export: dynamic_axes names {name!r}, the inputs are "
                    f"{self.names}; likely fix: input_names"
                )
            ndim = self.tensors[self.names.index(name)].ndim
            if not isinstance(each, Mapping):
                each = {axis: f"{name}_{axis}" for axis in each}
            for axis in each:
                if not -ndim <= axis < ndim:
                    raise ValueError(
                        f"onnx.export: dynamic_axes has axis {axis} for {name!r} of "
                        f"{ndim} axes"
                    )
            found[name] = {axis % ndim: str(title) for axis, title in each.items()}
        return found

    def with_other_sizes(self, axes: Mapping[str, dict[int, str]]) -> _Example:
        """The same with dynamic axes longer by a half of them and one."""
        grown = list(self.tensors)
        for name, each in axes.items():
            place = self.names.index(name)
            whole = self.tensors[place].detach()
            for axis in each:
                more = whole.shape[axis] // 2 + 1
                parts = [whole] * (1 + -(-more // max(whole.shape[axis], 1)))
                size = whole.shape[axis] + more
                whole = cat(parts, axis).narrow(axis, 0, size)
            grown[place] = whole.contiguous()
        return self.with_tensors(grown)

    def with_tensors(self, tensors: Sequence[Tensor]) -> _Example:
        """The same with other tensors; one that is given twice is two inputs."""
        tree, others = (self.args, self.kwargs), iter(tensors)
        leaves = [
            next(others) if isinstance(each, Tensor) else each
            for each in leaves_of(tree)
        ]
        args, kwargs = rebuilt(tree, leaves)
        return _Example(args, kwargs, self.names)


# ---- the trace ----


class _Traced(NamedTuple):
    """A call of the model: the values of inputs and outputs, and the calls of ops."""

    inputs: list[Value]
    outputs: list[Value]
    calls: list[Call]


@contextmanager
def _in_evaluation(model: Module) -> Iterator[None]:
    training = [(each, each.training) for each in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, before in training:
            module.training = before


def _trace(model: Module, example: _Example) -> _Traced:
    trace = Trace()
    # copies, which a model may change; recording keeps layers apart that fuse otherwise
    copies = [each.detach().clone() for each in example.tensors]
    called = example.with_tensors(copies)
    state: list[Any] = [*model.parameters(), *model.buffers()]
    if any(isinstance(each, _LAZY) for each in state):
        with kept_state(model), _in_evaluation(model), no_grad():
            model(*called.args, **called.kwargs)
    with kept_state(model), _in_evaluation(model), enable_grad(), trace.attached():
        inputs = [
            trace.give(each._array, name, True)
            for each, name in zip(copies, example.names)
        ]
        for name, each in [*model.named_parameters(), *model.named_buffers()]:
            trace.give(each._array, name, False)
        result = model(*called.args, **called.kwargs)
        outputs = tensors_of("onnx.export", "what the model returns", result)
        values = [trace.read(each._array, "what the model returns") for each in outputs]
    return _Traced(inputs, values, _reached(trace.calls, values))


def _reached(calls: Sequence[Call], outputs: Sequence[Value]) -> list[Call]:
    """The calls that outputs depend on and whose values are not the same for all inputs."""
    wanted = {id(each.source) for each in outputs if each.varies}
    found = []
    for call in reversed(calls):
        if call.varies and id(call) in wanted:
            found.append(call)
            wanted |= {
                id(each.source)
                for each in call.inputs
                if each is not None and each.varies
            }
    return found[::-1]


# ---- the graph ----


def _graph(traced: _Traced, other: _Traced | None, names: Sequence[str]) -> Graph:
    """The nodes of a trace; at their end each output, under its name."""
    graph = Graph()
    for value in traced.inputs:
        graph.set_name(value, str(value.name))
    twins = other.calls if other is not None else []
    if other is not None and [c.op for c in twins] != [c.op for c in traced.calls]:
        raise ShapeError(
            "onnx.export: the model calls other operations where a dynamic axis has "
            "another size; likely fix: no dynamic_axes, and one file for each size"
        )
    for i, call in enumerate(traced.calls):
        graph.call, graph.twin = call, twins[i] if twins else None
        form = FORMS.get(call.op)
        if form is None:
            raise no_form(call)
        made = form(graph, call)
        results = made if isinstance(made, tuple) else (made,)
        for value in call.outputs:
            if value.number < len(results):
                graph.set_name(value, results[value.number])
    graph.call = None
    for name, value in zip(names, traced.outputs, strict=True):
        graph.nodes.append(_named(graph, name, value))
    return graph


def _check_same(graph: Graph, other: Graph) -> None:
    """Refuse what depends on the size of a dynamic axis, and name the layer."""
    if len(graph.nodes) != len(other.nodes):
        raise ShapeError(
            "onnx.export: the model is written by other operations where a dynamic axis has "
            "another size; likely fix: no dynamic_axes, and one file for each size"
        )
    for one, two in zip(graph.nodes, other.nodes):
        inputs = [graph.constants.get(name) for name in one.inputs]
        others = [other.constants.get(name) for name in two.inputs]
        same = all(
            (a is None) == (b is None)
            and (a is None or b is None or np.array_equal(a, b, equal_nan=False))
            for a, b in zip(inputs, others)
        )
        if not same or one.kind != two.kind or one.attributes != two.attributes:
            raise ShapeError(
                f"onnx.export: {one.kind} depends on the size of a dynamic axis\n  in "
                f"{one.where or 'no layer'}\n  likely fix: leave that axis out of "
                "dynamic_axes"
            )


# ---- the file ----


def _output_names(names: Sequence[str] | None, count: int) -> list[str]:
    if names is None:
        return [f"output_{i}" for i in range(count)]
    if len(names) != count or len(set(names)) != count:
        raise ValueError(
            f"onnx.export: expected {count} different output_names, got "
            f"{describe(list(names))}"
        )
    return list(names)


def _proto(
    graph: Graph,
    traced: _Traced,
    names: Sequence[str],
    axes: Mapping[str, dict[int, str]],
    other: _Traced | None,
    opset: int,
) -> Any:
    onnx = _require()
    helper = onnx.helper
    inputs = [
        _info(helper, str(value.name), value, axes.get(str(value.name), {}))
        for value in traced.inputs
    ]
    outputs = []
    for i, (name, value) in enumerate(zip(names, traced.outputs)):
        free = _free(name, value, other.outputs[i] if other is not None else value)
        outputs.append(_info(helper, name, value, free))
    written = _without_identities(graph)
    nodes = [
        helper.make_node(
            each.kind, each.inputs, each.outputs, f"node_{i}", **each.attributes
        )
        for i, each in enumerate(written)
    ]
    read = {name for node in nodes for name in node.input}
    constants = [
        onnx.numpy_helper.from_array(array, name)
        for name, array in graph.constants.items()
        if name in read
    ]
    made = helper.make_graph(nodes, "pyautodl", inputs, outputs, constants)
    proto = helper.make_model(
        made,
        producer_name="pyautodl",
        producer_version=__version__,
        opset_imports=[helper.make_opsetid("", NEWEST)],
        ir_version=_IR_VERSION,
    )
    _check(onnx, proto, written)
    return proto if opset == NEWEST else lowered(onnx, proto, written, opset)


def _check(onnx: Any, proto: Any, nodes: Sequence[Node]) -> None:
    """Let ONNX look at the whole; what it refuses gets the name of the layer."""
    try:
        onnx.checker.check_model(proto, full_check=True)
    except (
        onnx.checker.ValidationError,
        onnx.shape_inference.InferenceError,
    ) as error:
        found = re.search(r"node name: node_(\d+)", str(error))
        where = nodes[int(found[1])].where if found else ""
        raise NotImplementedError(
            "onnx.export: a node that was written has no ONNX form in opset 17\n"
            f"  in {where or 'no layer'}: {error}"
        ) from error


def _named(graph: Graph, name: str, value: Value) -> Node:
    where = "what the model returns"
    return Node("Identity", (graph.name_of(value),), (name,), {}, where)


def _without_identities(graph: Graph) -> list[Node]:
    """The nodes, with outputs made by the node itself where nobody else has named them."""
    makers = {name: i for i, node in enumerate(graph.nodes) for name in node.outputs}
    renamed: dict[str, str] = {}
    dropped = set()
    for i, node in enumerate(graph.nodes):
        if node.kind == "Identity":
            source = node.inputs[0]
            if source in makers and source not in renamed:
                renamed[source] = node.outputs[0]
                dropped.add(i)
    return [
        node._replace(
            inputs=tuple([renamed.get(each, each) for each in node.inputs]),
            outputs=tuple([renamed.get(each, each) for each in node.outputs]),
        )
        for i, node in enumerate(graph.nodes)
        if i not in dropped
    ]


def _info(helper: Any, name: str, value: Value, free: Mapping[int, str]) -> Any:
    shape = [free.get(axis, size) for axis, size in enumerate(value.shape)]
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(value.array.dtype.numpy))
    return helper.make_tensor_value_info(name, kind, shape)


def _free(name: str, value: Value, other: Value) -> dict[int, str]:
    """The axes of an output that have other sizes in the second trace."""
    return {
        axis: f"{name}_{axis}"
        for axis, (size, twin) in enumerate(zip(value.shape, other.shape))
        if size != twin
    }
