"""The backward pass through a graph without branches, once all its rules are known.

In most small models a layer's output is the next layer's input and what else a layer takes
are leaves. Such a line of nodes hands one gradient down, so nothing is summed, no order has
to be found, and which kernels run on what follows from the kinds of the nodes alone. A
`Program` is that, kept by these kinds: it goes from node to node on arrays, without a
tensor or a look-up in between. Whatever is out of the ordinary (hooks, a tensor that was
changed, a graph that is freed) is left to the walk, from the node where it shows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from pyautodl.backends import Array, Prepared, keep_prepared
from pyautodl.graph.binding import BOUND
from pyautodl.graph.node import Node
from pyautodl.graph.saved import Edge
from pyautodl.graph.sums import receive
from pyautodl.ops.repeat import NEW, REPEATS, Repeat, kind_of

__all__ = ["PROGRAMS", "Root", "run_program"]

# an edge, and the gradient tensor to hand down there
Root = tuple[Edge, Any]

# nodes of a line, and programs that are kept: lines whose length differs from pass to pass
# must not fill the memory
_LONGEST = 128
_MOST = 1024

# by the root gradient's layout and the kinds of a line; None where there can't be one
PROGRAMS: dict[tuple[Any, ...], _Program | None] = {}
keep_prepared(PROGRAMS)


def run_program(edge: Edge, grad: Any) -> list[Root]:
    """Run the pass below an edge, if there is a program for it, and fill the leaves' `grad`.

    Returns:
        What is left for a walk to begin with: nothing, the rest, or all.
    """
    line = _find_line(edge) if type(edge[0]) is Node else None
    if line is None:
        return [(edge, grad)]
    array = grad._array
    layout = array._layout or array.layout()
    key = (layout, *line.kinds)
    program = PROGRAMS.get(key, NEW)
    if program is NEW:
        program = _keep_program(key, line, layout)
    if program is None:
        return [(edge, grad)]
    return program.run(line, array)


class _Line(NamedTuple):
    """Nodes each of which has one other node at most among its inputs.

    Attributes:
        edges: those that lead to the nodes, latest first.
        leaves: in the order in which they get their gradients, each once.
        kinds: all that tells the line from others.
    """

    edges: list[Edge]
    leaves: list[Any]
    kinds: list[Any]


def _find_line(edge: Edge) -> _Line | None:
    """The line that an edge leads to; None if it is none, or somebody watches it.

    Every pass asks, most of all those that a walk has to make: each line here counts.
    """
    edges: list[Edge] = []
    leaves: list[Any] = []
    kinds: list[Any] = []
    following: Edge | None = edge
    for _ in range(_LONGEST):
        node, output = following  # type: ignore[misc]
        if node.plan is None or node.masked_below:
            return None
        if node.hooks is not None or node.retained is not None:
            return None
        edges.append(following)  # type: ignore[arg-type]
        following = place = None
        for i, each in enumerate(node.edges):
            if each is None:
                continue
            source = each[0]
            if type(source) is Node:
                if following is not None:
                    return None
                following, place = each, i
            elif source._hooks or source._post_hooks:
                return None
            else:
                leaves.append(source)
        kinds += kind_of(node)
        kinds += (output, place)
        if following is None:
            break
    else:
        return None
    if len(set(map(id, leaves))) < len(leaves):
        return None
    return _Line(edges, leaves, kinds)


class _Step(NamedTuple):
    """The rule of a node.

    Attributes:
        run: see `Repeat`.
        before, after: nothing, for the outputs around the one that has a gradient.
        taken: of which inputs the gradients are those of leaves.
        place: of which input it is the next node's; None: there is no node.
    """

    run: Prepared
    before: tuple[None, ...]
    after: tuple[None, ...]
    taken: tuple[int, ...]
    place: int | None


class _Program:
    """What to run from node to node.

    Args:
        steps: of each node.
    """

    __slots__ = ("_steps",)

    def __init__(self, steps: Sequence[_Step]) -> None:
        self._steps = tuple(steps)

    def run(self, line: _Line, gradient: Any) -> list[Root]:
        """Hand the gradient of the first node's output down; see `run_program`."""
        found: list[Array] = []
        for edge, (run, before, after, taken, place) in zip(line.edges, self._steps):
            node: Node = edge[0]
            arrays = node.saved_arrays()
            if arrays is None:
                return _rest(edge, gradient, line.leaves, found)
            arrays += (*before, gradient, *after)
            try:
                results = run(arrays, ())
            except Exception as error:
                node.annotate(error)
                raise
            # what was saved is free before the next kernel asks for memory
            del arrays
            node.release()
            for i in taken:
                found.append(results[i])
            gradient = None if place is None else results[place]
        del results
        found.reverse()
        for leaf in line.leaves:
            # the last reference must be its own, so that a leaf may take the memory
            receive(leaf, found.pop())
        return []


def _rest(
    edge: Edge, gradient: Array, leaves: Sequence[Any], found: Sequence[Array]
) -> list[Root]:
    """What a walk has to begin with where a program could not go on."""
    make = BOUND.make
    passed: list[Root] = [
        ((leaf, 0), make(array, None, False)) for leaf, array in zip(leaves, found)
    ]
    return [(edge, make(gradient, None, False)), *passed]


def _keep_program(key: tuple[Any, ...], line: _Line, layout: bytes) -> _Program | None:
    """Make the program of a line and keep it, or that there can't be one."""
    steps: list[_Step] = []
    for node, output in line.edges:
        layouts: list[bytes | None] = [None] * node.outputs
        layouts[output] = layout
        repeat = REPEATS.get((*kind_of(node), *layouts), NEW)
        if repeat is NEW:  # a walk will see what its rule does
            return None
        if repeat is None or not _fits(node, repeat):
            return _keep(key, None)
        before, after = (None,) * output, (None,) * (node.outputs - output - 1)
        sources = [None if each is None else type(each[0]) for each in node.edges]
        place = sources.index(Node) if Node in sources else None
        wanted = [i for i, source in enumerate(sources) if source is not None]
        taken = tuple([i for i in wanted if i != place])
        steps.append(_Step(repeat.run, before, after, taken, place))
        if place is not None:
            layout = repeat.kinds[place].layout
    return _keep(key, _Program(steps))


def _keep(key: tuple[Any, ...], program: _Program | None) -> _Program | None:
    if len(PROGRAMS) >= _MOST:
        PROGRAMS.clear()
    PROGRAMS[key] = program
    return program


def _fits(node: Node, repeat: Repeat) -> bool:
    """Whether each input that wants a gradient gets one, of its own shape."""
    for edge, need, kind, shape in zip(
        node.edges, node.needs, repeat.kinds, node.shapes
    ):
        if edge is None:
            continue
        if not need or kind is None or kind.shape != shape:
            return False
    return True
