"""The backward pass: nodes are walked latest first, without recursion."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from pyautodl.backends import Array, native
from pyautodl.errors import DTypeError, GradError, ShapeError
from pyautodl.graph.binding import BOUND
from pyautodl.graph.line import Line, fill_leaves, run_line
from pyautodl.graph.mode import MODE, BySample
from pyautodl.graph.node import Node
from pyautodl.graph.saved import Edge
from pyautodl.graph.sums import Masked, Sum, accumulate, add, value_of
from pyautodl.ops.gradient_trace import NEW, REPEATS, kind_of, watch_gradients

__all__ = ["Walk", "gradients", "run_backward"]


def run_backward(
    roots: Sequence[tuple[Edge, Any]],
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
        For each target its gradient, None where it was not reached; nothing if they are
        accumulated.
    """
    if accumulate and MODE.maps:
        raise BySample  # the leaves' gradients are the sum of all samples'
    line: Line | None = None
    special = create_graph or targets is not None or MODE.anomaly
    if accumulate and len(roots) == 1 and not special:
        edge, grad = roots[0]
        line = run_line(edge, grad._array, retain_graph)
        if line.edge is None and fill_leaves(line.leaves, line.found):
            return []
    is_batch = _are_of_batch([grad for _, grad in roots])
    walk = Walk(retain_graph, create_graph, targets, is_batch)
    # for the hooks, too: they compute with gradients
    before, MODE.enabled = MODE.enabled, create_graph
    try:
        if line is None or line.edge is roots[0][0]:
            for edge, grad in roots:
                walk.deliver(edge, grad)
        else:
            walk.go_on(line)
            # its gradient must be the walk's alone, to be freed or added to
            line = None
        walk.run()
        if accumulate:
            walk.finish_leaves()
            return []
        walk.find_leaves()
    finally:
        MODE.enabled = before
    return [walk.found.get(_key(edge)) for edge in targets or ()]


def _key(edge: Edge) -> tuple[int, int]:
    return id(edge[0]), edge[1]


class Walk:
    """One backward pass."""

    def __init__(
        self,
        retain_graph: bool,
        create_graph: bool,
        targets: Sequence[Edge] | None,
        is_batch: bool = False,
    ) -> None:
        self.retain_graph = retain_graph
        self.create_graph = create_graph
        # gradients of many samples at once, which are computed by calls as recorded ones
        self.by_calls = create_graph or is_batch
        self.wanted = None if targets is None else {_key(edge) for edge in targets}
        self.useful = None if targets is None else _nodes_above(targets)
        self.found: dict[tuple[int, int], Any] = {}
        # node -> for its outputs None, a gradient, or the Sum of several; a heap of the
        # nodes, latest first
        self.pending: dict[Node, list[Any]] = {}
        self.heap: list[tuple[int, Node]] = []
        # by the leaf's id: the leaf, and the same for it
        self.leaves: dict[int, list[Any]] = {}

    def go_on(self, line: Line) -> None:
        """Begin with what a line has left."""
        make = BOUND.make
        if line.edge is not None:
            self.deliver(line.edge, make(line.gradient, None, False))
        line.found.reverse()
        for leaf in line.leaves:
            # the last reference must be the engine's here, too
            self.deliver((leaf, 0), make(line.found.pop(), None, False))

    def deliver(self, edge: Edge, grad: Any) -> None:
        """Add a gradient to what an edge leads to."""
        source, output = edge
        if type(source) is not Node:
            leaf = self.leaves.get(id(source))
            if leaf is None:
                self.leaves[id(source)] = [source, grad]
            else:
                held = leaf[1]
                leaf[1] = add(held, grad, self.by_calls)
            return
        sums = self.pending.get(source)
        if sums is None:
            sums = self.pending[source] = [None] * source.outputs
            heapq.heappush(self.heap, (-source.number, source))
        held = sums[output]
        sums[output] = grad if held is None else add(held, grad, self.by_calls)

    def run(self) -> None:
        """Process nodes until none is left."""
        useful = self.useful(self.heap) if self.useful is not None else None
        anomaly = MODE.anomaly
        heap, pending, pop = self.heap, self.pending, heapq.heappop
        while heap:
            node = pop(heap)[1]
            grads = self._outputs_grads(node, pending.pop(node))
            if useful is not None and node not in useful:
                continue
            self._step(node, grads, useful, anomaly)

    def _outputs_grads(self, node: Node, grads: list[Any]) -> list[Any]:
        """The gradients of a node's outputs, after hooks; notes those that are wanted.

        `grads` has what is pending for them, and is what they are put into.
        """
        for i, held in enumerate(grads):
            if type(held) is Sum:
                grads[i] = held.value
        if type(grads[0]) is Masked and self._is_seen(node):
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
        if self.by_calls or edge[0] in self.pending:
            return False
        if useful is not None and edge[0] not in useful:
            return False
        self.deliver(edge, Masked(grads[0], node.saved[0]))
        if not self.retain_graph:
            node.release()
        return True

    def _step(self, node: Node, grads: list[Any], useful: Any, anomaly: bool) -> None:
        """Run one node's gradient and hand the results on."""
        if node.masked_below and not anomaly:
            if self._hand_on_unmasked(node, grads, useful):
                return
        results = gradients(node, grads, self.create_graph)
        if anomaly:
            _check_nan(node, results)
        if not self.retain_graph:
            node.release()
        grads.clear()
        needs, shapes = node.needs, node.shapes
        for i, edge in enumerate(node.edges):
            if edge is None or not needs[i]:
                continue
            grad = results[i]
            if grad is None:
                continue
            if grad._array.shape != shapes[i]:
                raise GradError(
                    f"{node.op.name}: the gradient of input {i} has shape "
                    f"{grad._array.shape}, expected that of the input, {shapes[i]}"
                )
            if useful is None or edge[0] in useful or _key(edge) in self.wanted:  # type: ignore[operator]
                # the last reference must be the engine's, so that a leaf may take the
                # memory
                self.deliver(edge, grad)

    def find_leaves(self) -> None:
        """Note the gradients of the leaves that are targets."""
        wanted = self.wanted or ()
        for leaf, held in self.leaves.values():
            if (id(leaf), 0) in wanted:
                self.found[id(leaf), 0] = _run_hooks(leaf._hooks, value_of(held))

    def finish_leaves(self) -> None:
        """Put the sums into the leaves' `.grad`."""
        while self.leaves:
            leaf, held = self.leaves.pop(next(iter(self.leaves)))
            if self.wanted is not None and (id(leaf), 0) not in self.wanted:
                continue
            grad, owned = value_of(held), type(held) is Sum
            del held
            if leaf._hooks:
                grad = _run_hooks(leaf._hooks, grad)
                owned = False
            if not leaf._requires_grad:  # frozen since it was used
                continue
            accumulate(leaf, grad, owned, self.create_graph)
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
            _check_hook_result(hook, grad._array, changed)
            grad = changed
    return grad


def _check_hook_result(hook: Callable[[Any], Any], expected: Array, given: Any) -> None:
    """Raise if what a hook returned can't stand for the gradient it got."""
    name = getattr(hook, "__name__", type(hook).__name__)
    array = getattr(given, "_array", None)
    if type(array) is not Array:
        raise TypeError(
            f"hook {name!r}: expected it to return a Tensor or None, got "
            f"{type(given).__name__}"
        )
    if array.shape != expected.shape:
        raise ShapeError(
            f"hook {name!r}: it has changed the gradient's shape from {expected.shape} to "
            f"{array.shape}"
        )
    if array.dtype is not expected.dtype:
        raise DTypeError(
            f"hook {name!r}: it has changed the gradient's type from {expected.dtype.name} "
            f"to {array.dtype.name}; likely fix: .to(grad.dtype)"
        )


def _run_node_hooks(node: Node, grads: list[Any]) -> None:
    for i, grad in enumerate(grads):
        if grad is None:
            continue
        grads[i] = grad = _run_hooks((node.hooks or {}).get(i), grad)
        reference = (node.retained or {}).get(i)
        tensor = reference() if reference is not None else None
        if tensor is not None:
            # a new tensor each time, as hooks, the caller or other nodes may have `grad`
            before = tensor._grad
            tensor._grad = (
                BOUND.call("copy", grad)
                if before is None
                else BOUND.call("add", before, grad)
            )


def _check_nan(node: Node, results: Sequence[Any]) -> None:
    for i, grad in enumerate(results):
        if grad is not None and MODE.check_nan and np.isnan(grad._array.numpy()).any():
            raise GradError(
                f"{node.op.name}: the gradient of input {i} is nan{node.where()}"
                f"{node.forward_lines()}"
            )


# ---- the gradients of one call ----


def gradients(node: Node, grads: Sequence[Any], create_graph: bool) -> tuple[Any, ...]:
    """The gradients of the inputs from those of the outputs."""
    try:
        if node.op.vjp is None:
            raise GradError(f"{node.op.name}: this operation has no gradient")
        if MODE.maps and not create_graph and _are_of_batch(grads):
            vjp: Any = node.op.vjp
            return vjp(_call_for_batch, node, node.needs, *grads)
        if not create_graph:
            if type(grads[0]) is Masked:
                return _masked_gradients(node, grads[0].grad)
            if node.plan is not None:
                return _repeated_gradients(node, grads)
            return _plain_gradients(node, grads)
        return _recorded_gradients(node, grads)
    except Exception as error:
        node.annotate(error)
        raise


def _repeated_gradients(node: Node, grads: Sequence[Any]) -> tuple[Any, ...]:
    """The same by what the rule did for another call of the kind."""
    if native.available and type(grads) is list:
        results: tuple[Any, ...] | None = native.dispatch.repeat_gradients(node, grads)
        if results is not None:
            return results
    arrays = node.saved_arrays()
    if arrays is None:
        return _plain_gradients(node, grads)  # which says what is wrong
    key = kind_of(node)
    for grad in grads:
        array = None if grad is None else grad._array
        arrays.append(array)
        key.append(None if array is None else array._layout or array.layout())
    kind = tuple(key)
    repeat = REPEATS.get(kind, NEW)
    if repeat is NEW:
        return watch_gradients(kind, node, grads, BOUND.call_watched)
    if repeat is None:
        return _plain_gradients(node, grads)
    return repeat(arrays, grads, BOUND.make)


def _plain_gradients(node: Node, grads: Sequence[Any]) -> tuple[Any, ...]:
    vjp: Any = node.op.vjp
    return vjp(BOUND.call_unrecorded, node, node.needs, *grads)


def _are_of_batch(grads: Sequence[Any]) -> bool:
    """Whether one of some gradients is that of many samples at once."""
    return any(
        grad is not None and type(grad) is not Masked and type(grad._array) is not Array
        for grad in grads
    )


def _call_for_batch(op: str, *inputs: Any, **attrs: Any) -> Any:
    """`call` for gradients of many samples at once; not that itself, which says that the
    pass is recorded.
    """
    return BOUND.call(op, *inputs, **attrs)


def _masked_gradients(node: Node, grad: Any) -> tuple[Any, ...]:
    """The same with the mask of the ReLU behind the op."""
    vjp: Any = node.op.behind_relu
    return vjp(BOUND.call_unrecorded, node, node.needs, grad)


def _recorded_gradients(node: Node, grads: Sequence[Any]) -> tuple[Any, ...]:
    if node.op.composition is not None:
        return _differentiate_composition(node, grads)
    return node.op.vjp(BOUND.call, node, node.needs, *grads)  # type: ignore[misc]


def _differentiate_composition(node: Node, grads: Sequence[Any]) -> tuple[Any, ...]:
    """Gradient of a fused op as that of its composition, with its graph."""
    inputs = node.saved[: len(node.edges)]
    # stand-ins, so that an input that is used twice keeps two gradients apart
    alone = [
        x if x is None or not need else BOUND.call("alias", x)
        for x, need in zip(inputs, node.needs)
    ]
    composed = node.op.composition(BOUND.call, *alone, **node.attrs)  # type: ignore[misc]
    outputs = composed if isinstance(composed, tuple) else (composed,)
    roots = [
        (output.edge(), grad)
        for output, grad in zip(outputs, grads)
        if grad is not None and output.requires_grad
    ]
    wanted = [x.edge() if need else None for x, need in zip(alone, node.needs)]
    targets = [edge for edge in wanted if edge is not None]
    found = iter(run_backward(roots, True, True, targets, False))
    return tuple([None if edge is None else next(found) for edge in wanted])
