"""The beginning of a backward pass, where the graph has no branches yet.

In most small models a layer's output is the next layer's input and what else a layer takes
are leaves. Down such a line of nodes one gradient is handed on: it is complete as soon as
it is there, and no order has to be found. So the line is gone down on arrays, without a
tensor for any of them. It ends where the graph branches or where something is out of the
ordinary: hooks, a tensor that was changed, a graph that is freed, a rule that can't be
repeated. From there on the walk goes on, which knows what to do or to say.

With the extension C does the same (csrc/dispatch/line.c).
"""

from __future__ import annotations

from typing import Any, NamedTuple

from pyautodl.backends import Array, empty_strides_like, native
from pyautodl.graph.node import Node
from pyautodl.graph.saved import Edge
from pyautodl.graph.sums import receive
from pyautodl.ops.gradient_trace import REPEATS, kind_of

__all__ = ["Line", "fill_leaves", "gradients_again", "run_line"]


class Line(NamedTuple):
    """How far a line went.

    Attributes:
        edge: to the node where it ended; None: there is no more.
        gradient: of that node's output.
        leaves: those on the way, in the order in which they got their gradients.
        found: these gradients.
    """

    edge: Edge | None
    gradient: Any
    leaves: list[Any]
    found: list[Any]


def line_in_python(edge: Edge, gradient: Array, retain_graph: bool) -> Line:
    """Hand a gradient down the line that begins with an edge."""
    leaves: list[Any] = []
    found: list[Any] = []
    following: Edge | None = edge
    while following is not None:
        node, output = following
        if type(node) is not Node or _is_special(node):
            break
        place = None
        taken: list[int] = []
        for i, each in enumerate(node.edges):
            if each is None:
                continue
            if type(each[0]) is not Node:
                taken.append(i)
            elif place is None:
                place = i
            else:
                return Line(following, gradient, leaves, found)
        results = gradients_again(node, output, gradient)
        if results is None:
            break
        if not retain_graph:
            node.release()
        for i in taken:
            leaves.append(node.edges[i][0])  # type: ignore[index]
            found.append(results[i])
        if place is None:
            following = gradient = None  # type: ignore[assignment]
        else:
            following, gradient = node.edges[place], results[place]
    return Line(following, gradient, leaves, found)


def _is_special(node: Node) -> bool:
    """Whether more is to be done at a node than to repeat its rule."""
    return (
        node.plan is None
        or node.hooks is not None
        or node.retained is not None
        or node.masked_below
    )


def gradients_again(node: Node, output: int, gradient: Array) -> Any:
    """Those of a node's inputs from that of one output; None if they can't be repeated."""
    arrays = node.saved_arrays()
    if arrays is None:
        return None
    layout = gradient._layout or gradient.layout()
    if node.outputs == 1:
        arrays.append(gradient)
        key = (*kind_of(node), layout)
    else:
        before, after = (None,) * output, (None,) * (node.outputs - output - 1)
        arrays += (*before, gradient, *after)
        key = (*kind_of(node), *before, layout, *after)
    repeat = REPEATS.get(key)
    if repeat is None or not repeat.complete:
        return None
    try:
        return repeat.run(arrays, ())
    except Exception as error:
        node.annotate(error)
        raise


def fill_in_python(leaves: list[Any], found: list[Any]) -> bool:
    """Add gradients to the leaves' `.grad`; False, and nothing is done, if a leaf is there
    twice, has hooks or was frozen since it was used.
    """
    if len(set(map(id, leaves))) < len(leaves):
        return False
    for leaf in leaves:
        if leaf._hooks or leaf._post_hooks or not leaf._requires_grad:
            return False
    found.reverse()
    for leaf in leaves:
        # the last reference must be receive's, so that the leaf may take the memory
        receive(leaf, found.pop())
    return True


run_line, fill_leaves = line_in_python, fill_in_python
if native.available:
    _TOOLS = {
        "line": Line,
        "kind_of": kind_of,
        "repeats": REPEATS,
        "receive": receive,
        "strides_like": empty_strides_like,
        "nothing": (),
    }
    native.dispatch.bind_line(_TOOLS)
    run_line, fill_leaves = native.dispatch.run_line, native.dispatch.fill_leaves
