"""Recording a call that has run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pyautodl.backends import Array
from pyautodl.graph.node import Node, make_node
from pyautodl.graph.saved import Context, Edge, Saved, keep
from pyautodl.ops.record import Op

__all__ = ["makes", "record", "record_planned"]


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
    return make_node(
        op, ctx.attrs, shapes, dtypes, needs, edges, saved, len(outputs), ctx.info
    )


def record_planned(
    op: Op,
    plan: Any,
    attrs: Mapping[str, Any],
    needs: tuple[bool, ...],
    arrays: Sequence[Array | None],
    edges: Sequence[Edge | None],
    result: Array | tuple[Array, ...],
) -> Node:
    """Make the node of a call that has run by its plan."""
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
    return make_node(
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


def makes(node: Node, x: Any) -> bool:
    """Whether a tensor still holds what a node computed, and nobody can have changed it.

    Only then does what a ReLU lets through follow from what the node has saved.
    """
    storage = x._array.storage
    written = storage.version or storage.foreign or storage.exports is not None
    return not written and node.memory is not None and node.memory() is storage
