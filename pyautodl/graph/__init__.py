"""The graph of recorded calls and the backward pass through it.

A `Node` is one recorded call: the op, what its forward saved, and an edge for each
input. An edge is (source, output number), where the source is a node or a leaf tensor.
Tensors point to nodes and nodes to nodes, never back, so there is no reference cycle
and a graph dies with its last tensor.

This module works on tensors without knowing their class: the package tensor hands in
how one is made and how an op is applied (`bind`).
"""

from pyautodl.graph.backward import run_backward
from pyautodl.graph.binding import bind
from pyautodl.graph.mode import MODE, BySample
from pyautodl.graph.node import NODE_NUMBERS, Node, make_node
from pyautodl.graph.record import makes, record, record_planned
from pyautodl.graph.saved import Context, Edge, Saved, keep
from pyautodl.graph.stale import no_step, stale_sums

__all__ = [
    "MODE",
    "NODE_NUMBERS",
    "BySample",
    "Context",
    "Edge",
    "Node",
    "Saved",
    "bind",
    "keep",
    "make_node",
    "makes",
    "no_step",
    "record",
    "record_planned",
    "run_backward",
    "stale_sums",
]
