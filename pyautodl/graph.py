"""The graph of recorded calls and the backward pass through it.

A `Node` is one recorded call: the op, what its forward saved, and an edge for each
input. An edge is (source, output number), where the source is a node or a leaf tensor.
Tensors point to nodes and nodes to nodes, never back, so there is no reference cycle
and a graph dies with its last tensor.

This module works on tensors without knowing their class: the package tensor hands in
how one is made and how an op is applied (`bind`).
"""

from __future__ import annotations

import heapq
import itertools
import sys
import threading
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from pyautodl import _context
from pyautodl.backends import Array, empty, empty_strides_like, run
from pyautodl.backends.dtypes import DType
from pyautodl.errors import GradError
from pyautodl.ops.record import OPS, Op
from pyautodl.ops.repeat import NEW, REPEATS, Called, kind_of, watch_gradients

if TYPE_CHECKING:
    from traceback import FrameSummary

__all__ = [
    "MODE",
    "Context",
    "Edge",
    "Node",
    "Saved",
    "bind",
    "makes",
    "record",
    "record_planned",
    "run_backward",
]

# (node or leaf tensor, which of its outputs)
Edge = tuple[Any, int]

_numbers = itertools.count()
_STACK = _context.STACK


class _Mode(threading.local):
    """What the calls of this thread record."""

    def __init__(self) -> None:
        self.enabled = True
        self.inference = False
        self.anomaly = False
        self.check_nan = True


MODE = _Mode()


class _Bound:
    """What the package tensor hands in."""

    make: Callable[[Array, Edge | None, bool], Any]
    call: Callable[..., Any]
    call_unrecorded: Callable[..., Any]
    call_watched: Callable[..., Called]


def bind(
    make: Callable[[Array, Edge | None, bool], Any],
    call: Callable[..., Any],
    call_unrecorded: Callable[..., Any],
    call_watched: Callable[..., Called],
) -> None:
    """Tell the engine how a tensor is made and how an op is applied."""
    _Bound.make = staticmethod(make)
    _Bound.call = staticmethod(call)
    _Bound.call_unrecorded = staticmethod(call_unrecorded)
    _Bound.call_watched = staticmethod(call_watched)


# An array kept for backward: (array, edge, output, version, checksum). `edge` leads to the
# producer of a saved input. A saved output keeps its number alone and gets its node back
# when unpacked, or node and output would hold each other. Version and checksum (of memory
# that others may change) tell what the array looked like.
Saved = tuple[Array, Edge | None, int | None, int, int | None]


def keep(array: Array, edge: Edge | None, output: int | None) -> Saved:
    """Pack an array for backward."""
    storage = array.storage
    shared = storage.foreign or storage.exports
    checksum = _checksum(array) if shared else None
    return array, edge, output, storage.version, checksum


def _checksum(array: Array) -> int:
    """A checksum of memory that others may change without counting versions."""
    import zlib

    values = np.ascontiguousarray(array.numpy()).reshape(-1).view(np.uint8)
    return zlib.crc32(values.data)


class Context:
    """What a forward rule works with, and what it leaves for its gradient.

    Attributes:
        attrs: the call's attributes.
        info: anything that is not an array, set by the forward rule.
    """

    __slots__ = ("_aliases", "_kept", "_out", "attrs", "info")

    def __init__(self, attrs: Mapping[str, Any], out: Array | None = None) -> None:
        self.attrs = attrs
        self.info: Any = None
        self._out = out
        self._kept: list[Array | None] | None = None
        self._aliases: list[tuple[Array, Array]] | None = None

    def empty(
        self,
        shape: tuple[int, ...],
        dtype: DType,
        strides: tuple[int, ...] | None = None,
    ) -> Array:
        """A new array of undefined content; of a call in place, the array to overwrite."""
        out = self._out
        if out is not None and out.shape == shape and out.dtype is dtype:
            self._out = None
            return out
        return empty(shape, dtype, strides)

    def empty_like(self, array: Array, dtype: DType | None = None) -> Array:
        """A new array with the shape and, if it is dense, the layout of another."""
        shape = array.shape
        strides = empty_strides_like(shape, array.strides)
        return self.empty(shape, array.dtype if dtype is None else dtype, strides)

    def save(self, *arrays: Array | None) -> None:
        """Keep arrays for the gradient: inputs, outputs or others."""
        if self._kept is None:
            self._kept = list(arrays)
        else:
            self._kept.extend(arrays)

    def alias(self, copy: Array, original: Array) -> None:
        """Say that `copy` holds the values of the input `original` in another layout."""
        if self._aliases is None:
            self._aliases = []
        self._aliases.append((copy, original))

    def kept(self) -> tuple[list[Array | None], list[tuple[Array, Array]]]:
        """What was saved, and which copies stand for which inputs."""
        return self._kept or [], self._aliases or []

    def take_saved(
        self,
        arrays: Sequence[Array | None],
        edges: Sequence[Edge | None],
        outputs: Sequence[Array],
    ) -> list[Saved | None]:
        """Pack what was saved, now that the outputs are known."""
        packed: list[Saved | None] = []
        for array in self._kept or ():
            if array is None:
                packed.append(None)
            else:
                edge, output = self._origin(array, arrays, edges, outputs)
                packed.append(keep(array, edge, output))
        self._kept = self._aliases = None
        return packed

    def _origin(
        self,
        array: Array,
        arrays: Sequence[Array | None],
        edges: Sequence[Edge | None],
        outputs: Sequence[Array],
    ) -> tuple[Edge | None, int | None]:
        """Where an array came from: an input's edge, or the number of an output."""
        if self._aliases is not None:
            for copy, original in self._aliases:
                if array is copy:
                    array = original
        for each, edge in zip(arrays, edges):
            if each is array:
                return edge, None
        for i, out in enumerate(outputs):
            if out is array:
                return None, i
        return None, None


class Node:
    """One recorded call; `grad_fn` of the tensors it made, and `ctx` of its gradient.

    Attributes:
        attrs: the call's attributes.
        shapes, dtypes: those of the inputs, None where an input is absent.
        info: what the forward rule left besides arrays.
        needs: which inputs want a gradient.
        edges: where the inputs came from.
        outputs: how many there are.
        plan: by which the call ran, if it had one.
    """

    __slots__ = (
        "__dict__",
        "__weakref__",
        "_saved",
        "attrs",
        "dtypes",
        "edges",
        "module",
        "needs",
        "number",
        "op",
        "outputs",
        "plan",
        "released",
        "shapes",
    )
    # what few nodes have is in their __dict__
    info: Any = None
    # number of an output -> hooks on its gradient, or who wants it retained
    hooks: dict[int, dict[int, Callable[[Any], Any]]] | None = None
    retained: dict[int, weakref.ref[Any]] | None = None
    traceback: list[FrameSummary] | None = None
    # of an op that can be `behind_relu`: the memory of its output
    memory: weakref.ref[Any] | None = None
    # of a ReLU: whether its input's node can apply its mask, see `makes`
    masked_below = False

    def __init__(
        self,
        op: Op,
        attrs: Mapping[str, Any],
        shapes: Sequence[tuple[int, ...] | None],
        dtypes: Sequence[DType | None],
        needs: Sequence[bool],
        edges: Sequence[Edge | None],
        saved: list[Saved | None],
        outputs: int,
        info: Any = None,
        plan: Any = None,
    ) -> None:
        self.op = op
        self.plan = plan
        self.attrs = attrs
        self.shapes = shapes
        self.dtypes = dtypes
        self.needs = needs
        self.edges = edges
        self.outputs = outputs
        self.number = next(_numbers)
        self.released = False
        self._saved: list[Saved | None] | None = saved
        stack = _STACK.modules
        self.module = weakref.ref(stack[-1]) if stack else None
        if info is not None:
            self.info = info
        if MODE.anomaly:
            import traceback

            self.traceback = traceback.extract_stack()[:-2]

    @property
    def name(self) -> str:
        """The op's name."""
        return self.op.name

    @property
    def next_functions(self) -> tuple[Edge | tuple[None, int], ...]:
        """The edges to the inputs' producers, as PyTorch lists them."""
        return tuple((None, 0) if edge is None else edge for edge in self.edges)

    def __repr__(self) -> str:
        camel = "".join(part.capitalize() for part in self.op.name.split("_"))
        return f"<{camel}Backward>"

    @property
    def saved(self) -> tuple[Any, ...]:
        """The saved arrays as tensors that know where they came from.

        Raises:
            GradError: they are freed, or somebody has changed one.
        """
        if self._saved is None:
            raise GradError(
                f"{self.op.name}: backward was already run through this call and its saved "
                f"tensors are freed{self.where()}; likely fix: call backward once, or with "
                "retain_graph=True, and detach() what is carried from step to step"
            )
        make = _Bound.make
        tensors: list[Any] = []
        for saved in self._saved:
            if saved is None:
                tensors.append(None)
                continue
            array, edge, output, version, checksum = saved
            if array.storage.version != version:
                raise GradError(self._changed(array, "an in-place operation"))
            if checksum is not None and _checksum(array) != checksum:
                how = "writing to memory shared with NumPy"
                raise GradError(self._changed(array, how))
            if output is not None:
                edge = (self, output)
            tensors.append(make(array, edge, edge is not None))
        return tuple(tensors)

    def _changed(self, array: Array, how: str) -> str:
        text = (
            f"{self.op.name}: a tensor of shape {array.shape} saved for backward was changed "
            f"by {how} before backward{self.where()}; likely fix: use the out-of-place "
            "operation, or clone() before changing"
        )
        return text + self.forward_lines()

    def where(self) -> str:
        """ " in layer ..." if the call was made in a module that still lives."""
        module = self.module() if self.module is not None else None
        return f" in {_context.describe(module)}" if module is not None else ""

    def forward_lines(self) -> str:
        """Under detect_anomaly, the lines of the forward call."""
        if self.traceback is None:
            return ""
        import traceback

        return "\nforward call:\n" + "".join(traceback.format_list(self.traceback))

    def release(self) -> None:
        """Free what was saved, as backward is through here."""
        self.released = True
        if self._saved:
            self._saved = None

    def keep_from(self, storage: Any) -> None:
        """Copy what this call saved of memory that its own result will overwrite."""
        for i, saved in enumerate(self._saved or ()):
            if saved is not None and saved[0].storage is storage:
                self.plan = None  # it stands for another layout
                copy = empty(saved[0].shape, saved[0].dtype)
                run("copy", (saved[0],), (copy,))
                self._saved[i] = (copy, *saved[1:3], 0, None)  # type: ignore[index]

    def saved_count(self) -> int:
        """How many arrays are kept."""
        return len(self._saved or ())

    def gradients(self, grads: Sequence[Any], create_graph: bool) -> tuple[Any, ...]:
        """The gradients of the inputs from those of the outputs."""
        try:
            if self.op.vjp is None:
                raise GradError(f"{self.op.name}: this operation has no gradient")
            if not create_graph:
                if type(grads[0]) is _Masked:
                    return self._masked_gradients(grads[0].grad)
                if self.plan is not None:
                    return self._repeated_gradients(grads)
                return self._plain_gradients(grads)
            return self._recorded_gradients(grads)
        except Exception as error:
            self._annotate(error)
            raise

    def _repeated_gradients(self, grads: Sequence[Any]) -> tuple[Any, ...]:
        """The same by what the rule did for another call of the kind."""
        arrays: list[Array | None] = []
        if self._saved is None:
            return self._plain_gradients(grads)  # which says what is wrong
        for each in self._saved:
            if each is None:
                arrays.append(None)
                continue
            array = each[0]
            if each[4] is not None or array.storage.version != each[3]:
                return self._plain_gradients(grads)
            arrays.append(array)
        key = kind_of(self)
        for grad in grads:
            if grad is None:
                key.append(None)
            else:
                array = grad._array
                key.append(array._layout or array.layout())
        kind = tuple(key)
        repeat = REPEATS.get(kind, NEW)
        if repeat is NEW:
            return watch_gradients(kind, self, grads, _Bound.call_watched)
        if repeat is None:
            return self._plain_gradients(grads)
        return repeat(arrays, grads, _Bound.make)

    def _plain_gradients(self, grads: Sequence[Any]) -> tuple[Any, ...]:
        vjp: Any = self.op.vjp
        return vjp(_Bound.call_unrecorded, self, self.needs, *grads)

    def _masked_gradients(self, grad: Any) -> tuple[Any, ...]:
        """The same with the mask of the ReLU behind the op."""
        vjp: Any = self.op.behind_relu
        return vjp(_Bound.call_unrecorded, self, self.needs, grad)

    def _recorded_gradients(self, grads: Sequence[Any]) -> tuple[Any, ...]:
        before, MODE.enabled = MODE.enabled, True
        try:
            if self.op.composition is not None:
                return self._differentiate_composition(grads)
            return self.op.vjp(_Bound.call, self, self.needs, *grads)  # type: ignore[misc]
        finally:
            MODE.enabled = before

    def _annotate(self, error: Exception) -> None:
        where = self.where()
        if where and where not in str(error) and not getattr(error, "__notes__", None):
            error.add_note(f"in the backward pass of {self.op.name}{where}")

    def _differentiate_composition(self, grads: Sequence[Any]) -> tuple[Any, ...]:
        """Gradient of a fused op as that of its composition, with its graph."""
        inputs = self.saved[: len(self.edges)]
        # stand-ins, so that an input that is used twice keeps two gradients apart
        alone = [
            x if x is None or not need else _Bound.call("alias", x)
            for x, need in zip(inputs, self.needs)
        ]
        composed = self.op.composition(_Bound.call, *alone, **self.attrs)  # type: ignore[misc]
        outputs = composed if isinstance(composed, tuple) else (composed,)
        roots = [
            (output.edge(), grad)
            for output, grad in zip(outputs, grads)
            if grad is not None and output.requires_grad
        ]
        wanted = [x.edge() if need else None for x, need in zip(alone, self.needs)]
        targets = [edge for edge in wanted if edge is not None]
        found = iter(run_backward(roots, True, True, targets, False))
        return tuple([None if edge is None else next(found) for edge in wanted])


def makes(node: Node, x: Any) -> bool:
    """Whether a tensor still holds what a node computed, and nobody can have changed it.

    Only then does what a ReLU lets through follow from what the node has saved.
    """
    storage = x._array.storage
    written = storage.version or storage.foreign or storage.exports is not None
    return not written and node.memory is not None and node.memory() is storage


def record(
    op: Op,
    ctx: Context,
    needs: Sequence[bool],
    arrays: Sequence[Array | None],
    edges: Sequence[Edge | None],
    result: Array | tuple[Array, ...],
) -> Node:
    """Make the node of a call that has run."""
    outputs = result if isinstance(result, tuple) else (result,)
    shapes = [None if a is None else a.shape for a in arrays]
    dtypes = [None if a is None else a.dtype for a in arrays]
    saved = ctx.take_saved(arrays, edges, outputs)
    return Node(
        op, ctx.attrs, shapes, dtypes, needs, edges, saved, len(outputs), ctx.info
    )


def record_planned(
    op: Op,
    plan: Any,
    attrs: Mapping[str, Any],
    arrays: Sequence[Array | None],
    edges: Sequence[Edge | None],
    result: Array | tuple[Array, ...],
) -> Node:
    """Make the node of a call that has run by its plan."""
    needs = plan.needs
    if needs is None:
        needs = plan.all
        if None in edges:
            needs = tuple([edge is not None for edge in edges])
    places = plan.places.get(needs)
    if places is None:
        places = plan.places[needs] = op.saves(needs) if op.saves is not None else ()
    saved: list[Saved | None] = []
    if places:
        count = len(arrays)
        outputs = result if type(result) is tuple else (result,)
        for place in places:
            origin = output = edge = None
            if type(place) is tuple:
                place, origin = place
            if place is None:
                array = None
            elif place < count:
                array, edge = arrays[place], edges[place]
            else:
                place -= count
                array = outputs[place]
                if origin is not None:
                    edge = edges[origin]
                elif place < plan.count:
                    output = place
            if array is None:
                saved.append(None)
                continue
            storage = array.storage
            if storage.foreign or storage.exports:
                saved.append(keep(array, edge, output))
            else:
                saved.append((array, edge, output, storage.version, None))
    return Node(
        op,
        attrs,
        plan.shapes,
        plan.dtypes,
        needs,
        edges,
        saved,
        plan.count,
        plan.info,
        plan,
    )


# ---- the backward pass ----


class _Sum:
    """A gradient that was added up in memory of its own."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value


class _Masked:
    """The gradient of a ReLU, its mask not yet applied.

    The node it is for applies it on the way, if it gets no other gradient and nobody
    looks at this one.
    """

    __slots__ = ("grad", "output")

    def __init__(self, grad: Any, output: Any) -> None:
        self.grad = grad
        self.output = output

    def value(self) -> Any:
        """The gradient with the mask applied."""
        return _Bound.call_unrecorded("relu_grad", self.grad, self.output)


def _add(held: Any, grad: Any, create_graph: bool) -> Any:
    """The sum of a gradient, or a `_Sum` of them, and another."""
    if type(held) is _Sum:
        add_into(held.value._array, grad._array)
        return held
    if type(held) is _Masked:
        held = held.value()
    array = held._array
    if array.size >= _LARGE and not create_graph and _may_overwrite(held, array, grad):
        add_into(array, grad._array)
        return _Sum(held)
    before, MODE.enabled = MODE.enabled, create_graph
    try:
        value = _Bound.call("add", held, grad)
    finally:
        MODE.enabled = before
    return value if create_graph else _Sum(value)


# elements from which on the first sum of two gradients looks for memory to use again
_LARGE = 1 << 16
# in _may_overwrite: the list of what is pending, deliver's variable, _add's, the argument here
# and getrefcount's
_HELD_REFERENCES = 5


def _may_overwrite(held: Any, array: Array, grad: Any) -> bool:
    """Whether the engine alone has a gradient, so that another may be added into it."""
    storage = array.storage
    other = grad._array
    return (
        sys.getrefcount(held) <= _HELD_REFERENCES
        and sys.getrefcount(array) <= _ARRAY_REFERENCES
        # the array's reference, the variable's and the argument
        and sys.getrefcount(storage) <= _UNSHARED + 1
        and not (storage.foreign or storage.exports)
        and array.is_dense()
        and array.dtype is other.dtype
        and array.shape == other.shape
        and array.strides == other.strides
    )


def _value(held: Any) -> Any:
    return held.value if type(held) is _Sum else held


def add_into(target: Array, other: Array) -> None:
    """target += other, by the op's own kernel."""
    ctx = Context({}, out=target)
    OPS["add"].forward(ctx, (False, False), target, other)
    target.storage.version += 1


def run_backward(
    roots: Iterable[tuple[Edge, Any]],
    retain_graph: bool,
    create_graph: bool,
    targets: Sequence[Edge] | None,
    accumulate: bool,
) -> list[Any]:
    """Walk the nodes below the roots, latest first, and hand gradients down.

    Args:
        roots: (edge, gradient tensor) pairs to start from.
        retain_graph: keep what was saved.
        create_graph: record the pass itself.
        targets: edges whose gradients are wanted; None: all leaves.
        accumulate: add the leaves' gradients into their `.grad`.

    Returns:
        For each target its gradient, None where it was not reached.
    """
    walk = _Walk(retain_graph, create_graph, targets)
    for edge, grad in roots:
        walk.deliver(edge, grad)
    walk.run()
    if accumulate:
        walk.finish_leaves()
    return [walk.found.get(_key(edge)) for edge in targets or ()]


def _key(edge: Edge) -> tuple[int, int]:
    return id(edge[0]), edge[1]


class _Walk:
    """One backward pass."""

    def __init__(
        self, retain_graph: bool, create_graph: bool, targets: Sequence[Edge] | None
    ) -> None:
        self.retain_graph = retain_graph
        self.create_graph = create_graph
        self.wanted = None if targets is None else {_key(edge) for edge in targets}
        self.useful = None if targets is None else _nodes_above(targets)
        self.found: dict[tuple[int, int], Any] = {}
        # node -> for its outputs None, a gradient, or the _Sum of several; a heap of the
        # nodes, latest first
        self.pending: dict[Node, list[Any]] = {}
        self.heap: list[tuple[int, Node]] = []
        # by the leaf's id: the leaf, and the same for it
        self.leaves: dict[int, list[Any]] = {}

    def deliver(self, edge: Edge, grad: Any) -> None:
        """Add a gradient to what an edge leads to."""
        source, output = edge
        if type(source) is not Node:
            leaf = self.leaves.get(id(source))
            if leaf is None:
                self.leaves[id(source)] = [source, grad]
            else:
                held = leaf[1]
                leaf[1] = _add(held, grad, self.create_graph)
            return
        sums = self.pending.get(source)
        if sums is None:
            sums = self.pending[source] = [None] * source.outputs
            heapq.heappush(self.heap, (-source.number, source))
        held = sums[output]
        sums[output] = grad if held is None else _add(held, grad, self.create_graph)

    def run(self) -> None:
        """Process nodes until none is left, then the leaves that are targets."""
        useful = self.useful(self.heap) if self.useful is not None else None
        anomaly = MODE.anomaly
        heap, pending, pop = self.heap, self.pending, heapq.heappop
        while heap:
            node = pop(heap)[1]
            grads = self._outputs_grads(node, pending.pop(node))
            if useful is not None and node not in useful:
                continue
            self._step(node, grads, useful, anomaly)
        if self.wanted is not None:
            for leaf, held in self.leaves.values():
                if (id(leaf), 0) in self.wanted:
                    self.found[id(leaf), 0] = _run_hooks(leaf._hooks, _value(held))

    def _outputs_grads(self, node: Node, sums: list[Any]) -> list[Any]:
        """The gradients of a node's outputs, after hooks; notes those that are wanted."""
        grads = [held.value if type(held) is _Sum else held for held in sums]
        if type(grads[0]) is _Masked and self._is_seen(node):
            grads[0] = grads[0].value()
        if node.hooks is not None or node.retained is not None:
            _run_node_hooks(node, grads)
        if self.wanted:
            for i, grad in enumerate(grads):
                if grad is not None and (id(node), i) in self.wanted:
                    self.found[id(node), i] = grad
        return grads

    def _is_seen(self, node: Node) -> bool:
        """Whether somebody gets the gradient of a node's only output."""
        hooked = node.hooks is not None or node.retained is not None
        return hooked or (self.wanted is not None and (id(node), 0) in self.wanted)

    def _hand_on_unmasked(self, node: Node, grads: list[Any], useful: Any) -> bool:
        """Leave the mask of a ReLU to its input's node, if that has no gradient yet."""
        edge: Edge = node.edges[0]  # type: ignore[assignment]
        if self.create_graph or edge[0] in self.pending:
            return False
        if useful is not None and edge[0] not in useful:
            return False
        self.deliver(edge, _Masked(grads[0], node.saved[0]))
        if not self.retain_graph:
            node.release()
        return True

    def _step(self, node: Node, grads: list[Any], useful: Any, anomaly: bool) -> None:
        """Run one node's gradient and hand the results on."""
        if node.masked_below and not anomaly:
            if self._hand_on_unmasked(node, grads, useful):
                return
        results = node.gradients(grads, self.create_graph)
        if anomaly:
            _check_nan(node, results)
        if not self.retain_graph:
            node.release()
        grads.clear()
        inputs = zip(node.edges, node.needs, results, node.shapes)
        for i, (edge, need, grad, shape) in enumerate(inputs):
            if edge is None or not need or grad is None:
                continue
            if grad._array.shape != shape:
                raise GradError(
                    f"{node.op.name}: the gradient of input {i} has shape "
                    f"{grad._array.shape}, expected that of the input, {shape}"
                )
            if useful is None or edge[0] in useful or _key(edge) in self.wanted:  # type: ignore[operator]
                # the last reference must be the engine's, so that a leaf may take the
                # memory
                self.deliver(edge, grad)

    def finish_leaves(self) -> None:
        """Put the sums into the leaves' `.grad`."""
        while self.leaves:
            leaf, held = self.leaves.pop(next(iter(self.leaves)))
            if self.wanted is not None and (id(leaf), 0) not in self.wanted:
                continue
            grad, owned = _value(held), type(held) is _Sum
            del held
            if leaf._hooks:
                grad = _run_hooks(leaf._hooks, grad)
                owned = False
            _accumulate(leaf, grad, owned, self.create_graph)
            if leaf._post_hooks:
                for hook in list(leaf._post_hooks.values()):
                    hook(leaf)


def _nodes_above(
    targets: Sequence[Edge],
) -> Callable[[list[tuple[int, Node]]], set[Any]]:
    """From the roots: the nodes on a path to a target, found without recursion."""
    wanted = {_key(edge) for edge in targets}

    def search(heap: list[tuple[int, Node]]) -> set[Any]:
        order: list[Node] = []
        seen: set[Node] = set()
        stack = [node for _, node in heap]
        while stack:
            node = stack.pop()
            if node in seen:
                continue
            seen.add(node)
            order.append(node)
            stack.extend(
                e[0] for e in node.edges if e is not None and type(e[0]) is Node
            )
        useful: set[Any] = set()
        for node in sorted(order, key=lambda each: each.number):
            for edge in node.edges:
                if edge is not None and (_key(edge) in wanted or edge[0] in useful):
                    useful.add(node)
                    break
        return useful

    return search


def _run_hooks(hooks: dict[int, Callable[[Any], Any]] | None, grad: Any) -> Any:
    for hook in list((hooks or {}).values()):
        changed = hook(grad)
        if changed is not None:
            grad = changed
    return grad


def _run_node_hooks(node: Node, grads: list[Any]) -> None:
    for i, grad in enumerate(grads):
        if grad is None:
            continue
        grads[i] = grad = _run_hooks((node.hooks or {}).get(i), grad)
        reference = (node.retained or {}).get(i)
        tensor = reference() if reference is not None else None
        if tensor is not None:
            tensor.grad = (
                grad if tensor.grad is None else _Bound.call("add", tensor.grad, grad)
            )


def _check_nan(node: Node, results: Sequence[Any]) -> None:
    for i, grad in enumerate(results):
        if grad is not None and MODE.check_nan and np.isnan(grad._array.numpy()).any():
            raise GradError(
                f"{node.op.name}: the gradient of input {i} is nan{node.where()}"
                f"{node.forward_lines()}"
            )


# what getrefcount says of a gradient's storage when the engine alone has it: its
# Array's reference and the argument
_UNSHARED = 2


def _accumulate(leaf: Any, grad: Any, owned: bool, create_graph: bool) -> None:
    """leaf.grad += grad; the leaf's gradient shares memory with no other tensor."""
    if leaf.grad is not None:
        if create_graph:
            leaf.grad = _Bound.call("add", leaf.grad, grad)
        else:
            add_into(leaf.grad._array, grad._array)
        return
    array = grad._array
    like = empty_strides_like(array.shape, leaf._array.strides)
    alone = sys.getrefcount(array.storage) == _UNSHARED and _is_alone(grad, array)
    if create_graph and grad.requires_grad:
        leaf.grad = grad if alone else _Bound.call("mul", grad, 1.0)
        return
    storage = array.storage
    shared = storage.foreign or storage.exports
    if not (owned or alone) or array.strides != like or shared:
        copy = empty(array.shape, array.dtype, like)
        run("copy", (array,), (copy,))
        array = copy
    leaf.grad = _Bound.make(array, None, False)


# in _accumulate: its variable, the caller's, getrefcount's argument and this function's
_TENSOR_REFERENCES = 4
# the tensor's slot, the caller's variable, the argument here and getrefcount's
_ARRAY_REFERENCES = 4


def _is_alone(grad: Any, array: Array) -> bool:
    return (
        sys.getrefcount(grad) <= _TENSOR_REFERENCES
        and sys.getrefcount(array) <= _ARRAY_REFERENCES
    )
