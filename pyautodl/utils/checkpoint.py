"""`checkpoint`: memory for time, by computing again in backward what forward computed.

The function runs as ever and its graph is looked through: where it leads out of the call
are the leaves and nodes that a gradient must reach. They become the inputs of one node,
and what lies between is forgotten with all that it saved. That node's gradient runs the
function again and walks the new graph up to the same places.

Source: Chen et al., "Training deep nets with sublinear memory cost", 2016.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from typing import Any, NamedTuple

from pyautodl import random
from pyautodl.autograd.grad_mode import inference_mode, set_grad_enabled
from pyautodl.backends import pinned_backend, use_backend
from pyautodl.errors import GradError
from pyautodl.graph import MODE, NODE_NUMBERS, Edge, Node, Saved, keep, make_node
from pyautodl.graph.backward import Walk
from pyautodl.graph.sums import Masked, add, value_of
from pyautodl.nn import Module, Sequential
from pyautodl.nn.parameter import Parameter
from pyautodl.ops.conv.algorithm import get_conv_algorithm, use_conv_algorithm
from pyautodl.ops.record import Op
from pyautodl.tensor import (
    Tensor,
    call,
    get_default_dtype,
    make,
    set_default_dtype,
)

__all__ = [
    "CheckpointError",
    "checkpoint",
    "checkpoint_sequential",
    "noop_context_fn",
]

Contexts = Callable[[], tuple[AbstractContextManager[Any], AbstractContextManager[Any]]]


class CheckpointError(GradError):
    """The second run of a checkpointed function was not the first one's twin."""


def noop_context_fn() -> tuple[
    AbstractContextManager[Any], AbstractContextManager[Any]
]:
    """Return two contexts that do nothing, the default `context_fn` of `checkpoint`."""
    return nullcontext(), nullcontext()


def checkpoint(
    function: Callable[..., Any],
    *args: Any,
    use_reentrant: bool | None = None,
    context_fn: Contexts = noop_context_fn,
    determinism_check: str = "default",
    debug: bool = False,
    early_stop: bool = True,
    **kwargs: Any,
) -> Any:
    """Call a function and keep its inputs alone: backward computes the rest once more.

    What lies between inputs and outputs takes no memory from forward to backward, which
    costs a second forward. Values and gradients are those of a plain call, to the bit:
    the second run draws the same random numbers and uses the same backend, algorithm of
    convolutions and default type. Anything else that it does, it does twice, as updating
    the statistics of batch norm.

    Gradients reach whatever the function uses, not its arguments alone; calls nest, and
    gradients of gradients work.

    Args:
        function: the function or module.
        *args: its arguments.
        use_reentrant: without effect, there is one way for both.
        context_fn: gives a context for the first run and one for the second.
        determinism_check: "default" compares the calls of both runs; "none" does not.
        debug: without effect, errors name the call that differs anyway.
        early_stop: without effect.
        **kwargs: its named arguments; `preserve_rng_state=False` lets the second run draw
            other numbers.

    Raises:
        CheckpointError: in backward: the second run differed from the first.
        GradError: in backward: an input was changed in place since.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl.utils.checkpoint import checkpoint
        >>> x = ad.tensor([1.0, 2.0], requires_grad=True)
        >>> checkpoint(lambda x: (x * x).exp(), x, use_reentrant=False).sum().backward()
        >>> x.grad
        tensor([  5.4366, 218.3926])
    """
    if determinism_check not in ("default", "none"):
        raise ValueError(
            "checkpoint: determinism_check must be 'default' or 'none', got "
            f"{determinism_check!r}"
        )
    preserve = kwargs.pop("preserve_rng_state", True)
    if not MODE.enabled:
        return function(*args, **kwargs)
    forward_context, backward_context = context_fn()
    given = (args, kwargs)
    # before the call's first number, as a view may get its place in the graph by it, and
    # before the function could change them
    inputs: list[Saved | None] = [
        keep(x._array, x.edge(), None) for x in _tensors(given)
    ]
    region = _Region(function, preserve, determinism_check == "default")
    first = next(NODE_NUMBERS)
    with forward_context:
        result = function(*args, **kwargs)
    outputs = _outputs(result, first)
    if not outputs:
        return result
    region.given = _with_places(given)
    region.context = backward_context
    node = region.record(outputs, inputs, first)
    made = {id(y): make(y._array, (node, i), True) for i, y in enumerate(outputs)}
    return _replaced(result, lambda x: made.get(id(x), x))


def checkpoint_sequential(
    functions: Any,
    segments: int,
    input: Any,
    use_reentrant: bool | None = None,
    **kwargs: Any,
) -> Any:
    """Call modules one after the other, in segments of which all but the last are
    checkpointed.

    Args:
        functions: a Sequential, or modules or functions of one argument.
        segments: how many.
        input: of the first one.
        use_reentrant: without effect.
        **kwargs: `preserve_rng_state`, as for `checkpoint`.

    Raises:
        ValueError: there are fewer functions than segments, or an unknown argument.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl.utils.checkpoint import checkpoint_sequential
        >>> model = ad.nn.Sequential(*[ad.nn.Linear(4, 4) for _ in range(6)])
        >>> checkpoint_sequential(model, 3, ad.ones(2, 4)).shape
        pyautodl.Size([2, 4])
    """
    preserve = kwargs.pop("preserve_rng_state", True)
    if kwargs:
        raise ValueError(
            f"checkpoint_sequential: unexpected arguments {', '.join(map(repr, kwargs))}; "
            "likely fix: give them to checkpoint, a segment has one input"
        )
    if isinstance(functions, Module) and not isinstance(functions, Sequential):
        functions = functions.children()
    parts = functions if isinstance(functions, Sequential) else list(functions)
    count = len(parts)
    if not 1 <= segments <= count:
        raise ValueError(
            f"checkpoint_sequential: expected 1 to {count} segments of {count} functions, "
            f"got {segments}"
        )
    size = count // segments
    for begin in range(0, size * (segments - 1), size):
        segment = _in_turn(parts[begin : begin + size])
        input = checkpoint(segment, input, preserve_rng_state=preserve)
    return _in_turn(parts[size * (segments - 1) :])(input)


def _in_turn(functions: Any) -> Callable[[Any], Any]:
    if isinstance(functions, Sequential):
        return functions

    def run(input: Any) -> Any:
        for function in functions:
            input = function(input)
        return input

    return run


# ---- nested values ----


class _Place(NamedTuple):
    """Stands for tensor `number`."""

    number: int


def _replaced(value: Any, change: Callable[[Any], Any]) -> Any:
    """Nested tuples, lists and dicts with other things in the place of what they hold."""
    kind = type(value)
    if kind in (tuple, list):
        return kind([_replaced(each, change) for each in value])
    if isinstance(value, tuple) and hasattr(value, "_fields") and kind is not _Place:
        return kind(*[_replaced(each, change) for each in value])
    if kind is dict:
        return {key: _replaced(each, change) for key, each in value.items()}
    return change(value)


def _tensors(value: Any) -> Iterator[Tensor]:
    """The tensors in a nested value."""
    found: list[Tensor] = []

    def note(each: Any) -> None:
        if isinstance(each, Tensor):
            found.append(each)

    _replaced(value, note)
    return iter(found)


def _with_places(value: Any) -> Any:
    """A nested value whose tensors are numbered places."""
    numbers = iter(range(1 << 62))
    return _replaced(
        value, lambda x: _Place(next(numbers)) if isinstance(x, Tensor) else x
    )


# ---- the graph of one run ----


def _is_inner(edge: Edge | None, first: int) -> bool:
    """Whether an edge leads to a node that a run has made."""
    return edge is not None and type(edge[0]) is Node and edge[0].number >= first


def _outputs(result: Any, first: int) -> list[Tensor]:
    """The tensors in a result whose gradient goes through what the run recorded."""
    found: dict[int, Tensor] = {}
    for x in _tensors(result):
        # a view of what was there before must remain one, and nothing is saved for it
        outer = x._base is not None and not _is_inner(x._base.edge(), first)
        if _is_inner(x.edge(), first) and not outer:
            found[id(x)] = x
    return list(found.values())


class _Graph(NamedTuple):
    """What one run has recorded.

    Attributes:
        calls: each call's op and shapes, in the order of the calls.
        ends: the edges that lead out of it.
        kinds: shape and element type of what they stand for.
    """

    calls: list[tuple[str, Any]]
    ends: list[Edge]
    kinds: list[tuple[Any, Any]]


def _look_through(outputs: Iterable[Tensor], first: int) -> _Graph:
    stack: list[Any] = [x.edge()[0] for x in outputs]  # type: ignore[index]
    seen: dict[int, Node] = {}
    while stack:
        node = stack.pop()
        if node.number not in seen:
            seen[node.number] = node
            stack.extend(
                [edge[0] for edge in node.edges if edge and _is_inner(edge, first)]
            )
    nodes = [seen[number] for number in sorted(seen)]
    ends: dict[tuple[int, int], Any] = {}
    for node in nodes:
        for edge, *kind in zip(node.edges, node.shapes, node.dtypes):
            if edge is not None and not _is_inner(edge, first):
                ends[id(edge[0]), edge[1]] = edge, tuple(kind)
    calls = [(node.op.name, tuple(node.shapes)) for node in nodes]
    return _Graph(
        calls, [edge for edge, _ in ends.values()], [k for _, k in ends.values()]
    )


class _Walk(Walk):
    """A backward pass that stops where a graph ends."""

    def __init__(self, ends: Sequence[Edge], create_graph: bool) -> None:
        super().__init__(create_graph, create_graph, None)
        self.places = {(id(edge[0]), edge[1]): i for i, edge in enumerate(ends)}
        self.sums: list[Any] = [None] * len(ends)

    def deliver(self, edge: Edge, grad: Any) -> None:
        """Add a gradient to what an edge leads to."""
        place = self.places.get((id(edge[0]), edge[1]))
        if place is None:
            super().deliver(edge, grad)
            return
        if type(grad) is Masked:
            grad = grad.value()
        held = self.sums[place]
        self.sums[place] = grad if held is None else add(held, grad, self.create_graph)


# ---- both runs ----


@contextmanager
def _default_dtype(dtype: Any) -> Iterator[None]:
    before = get_default_dtype()
    set_default_dtype(dtype)
    try:
        yield
    finally:
        set_default_dtype(before)


class _Region:
    """A call of `checkpoint`: what it takes to run it once more.

    Attributes:
        given: its arguments, with places for the tensors.
        context: of the second run.
        count: of the tensors among its arguments.
        expected: what the first run recorded.
    """

    given: Any
    context: AbstractContextManager[Any]
    count: int
    expected: _Graph

    def __init__(self, function: Any, preserve: bool, check: bool) -> None:
        self.function = function
        self.check = check
        self.state = random.get_rng_state() if preserve else None
        self.backend = pinned_backend()
        self.algorithm = get_conv_algorithm()
        self.dtype = get_default_dtype()

    def record(
        self, outputs: list[Tensor], inputs: list[Saved | None], first: int
    ) -> Node:
        """The node that stands for the whole call."""
        self.count = len(inputs)
        self.expected = _look_through(outputs, first)
        ends = self.expected.ends
        # the versions of the parameters are watched, too: with other values it would be
        # the gradient of another function
        leaves = [edge for edge in ends if type(edge[0]) is not Node]
        saved = [*inputs, *[keep(edge[0]._array, edge, None) for edge in leaves]]
        self.shapes = [(x._array.shape, x._array.dtype) for x in outputs]
        shapes, dtypes = zip(*self.expected.kinds)
        needs = (True,) * len(ends)
        return make_node(
            _OP, {}, shapes, dtypes, needs, ends, saved, len(outputs), self
        )

    def name(self) -> str:
        """Of the function, for messages."""
        return getattr(self.function, "__name__", type(self.function).__name__)

    def run_again(self, tensors: Sequence[Any]) -> tuple[list[Tensor], _Graph]:
        """The outputs, and the graph that leads to them."""
        args, kwargs = _replaced(
            self.given, lambda x: tensors[x.number] if type(x) is _Place else x
        )
        with ExitStack() as stack:
            stack.enter_context(inference_mode(False))
            stack.enter_context(set_grad_enabled(True))
            stack.enter_context(random.fork_rng(enabled=self.state is not None))
            stack.enter_context(use_backend(self.backend))
            stack.enter_context(use_conv_algorithm(self.algorithm))
            stack.enter_context(_default_dtype(self.dtype))
            stack.enter_context(self.context)
            if self.state is not None:
                random.set_rng_state(self.state)
            first = next(NODE_NUMBERS)
            outputs = _outputs(self.function(*args, **kwargs), first)
        graph = _look_through(outputs, first)
        self._compare(outputs, graph)
        return outputs, graph

    def _compare(self, outputs: list[Tensor], graph: _Graph) -> None:
        """Raise if the second run can't stand for the first."""
        shapes = [(x._array.shape, x._array.dtype) for x in outputs]
        if shapes != self.shapes:
            self._refuse(f"its outputs were {self.shapes} and are {shapes}")
        if self.check and graph.calls != self.expected.calls:
            self._refuse(_first_difference(self.expected.calls, graph.calls))
        before, now = self.expected.ends, graph.ends
        if len(before) != len(now):
            self._refuse(
                f"it used {len(before)} tensors that need a gradient and now {len(now)}"
            )
        for i, (old, new) in enumerate(zip(before, now)):
            if not _is_same_end(old, new):
                self._refuse(f"number {i} of the tensors it uses is another one")

    def _refuse(self, why: str) -> None:
        raise CheckpointError(
            f"checkpoint: the second run of {self.name()} differs from the first: {why}; "
            "likely fix: let it depend on its arguments and parameters alone, and draw from "
            "the default generator"
        )


def _first_difference(before: list[Any], now: list[Any]) -> str:
    """Which call of two lists of calls is not the same."""
    for i, (old, new) in enumerate(zip(before, now)):
        if old != new:
            return (
                f"recorded call {i} was {old[0]} of shapes {old[1]} and is {new[0]} "
                f"of shapes {new[1]}"
            )
    return f"it recorded {len(before)} calls and now {len(now)}"


def _is_same_end(old: Edge, new: Edge) -> bool:
    """Whether two edges lead to the same place, or to leaves that each run has made."""
    if old[0] is new[0]:
        return old[1] == new[1]
    leaves = (old[0], new[0])
    made = not any(type(each) in (Node, Parameter) for each in leaves)
    return made and old[0]._array.shape == new[0]._array.shape


def _as_given(tensor: Tensor) -> Tensor:
    """A tensor that was saved; a leaf itself, not a stand-in for it."""
    edge = tensor._edge
    if edge is not None and type(edge[0]) is not Node:
        return edge[0]
    return tensor


def _vjp(call_: Any, node: Node, needs: Sequence[bool], *grads: Any) -> tuple[Any, ...]:
    """Run the function again and go back through the graph that this makes."""
    region: _Region = node.info
    tensors = [_as_given(x) for x in node.saved[: region.count]]
    outputs, graph = region.run_again(tensors)
    walk = _Walk(graph.ends, call_ is call)
    before, MODE.enabled = MODE.enabled, call_ is call
    try:
        for output, grad in zip(outputs, grads):
            if grad is not None:
                walk.deliver(output.edge(), grad)  # type: ignore[arg-type]
        del outputs
        walk.run()
    finally:
        MODE.enabled = before
    return tuple([None if each is None else value_of(each) for each in walk.sums])


def _absent(*args: Any, **kwargs: Any) -> Any:
    raise GradError("checkpoint: a call runs through its function alone")


_OP = Op(name="checkpoint", rule=_absent, forward=_absent, vjp=_vjp)
