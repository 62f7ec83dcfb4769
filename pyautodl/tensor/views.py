"""Views of a tensor whose memory is changed: the graph of one follows the other's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pyautodl.backends import Array
from pyautodl.errors import GradError
from pyautodl.graph import Context, Edge, Node, record
from pyautodl.ops.record import OPS

if TYPE_CHECKING:
    from pyautodl.tensor.core import Tensor

__all__ = [
    "COPIED",
    "ONE_OF_SEVERAL",
    "UNRECORDED",
    "mark_views",
    "move_retained",
    "overwritten_edge",
    "rebase",
    "view_edge",
]


# why a view can't be changed in place; of a copy in a view's place not the reason is noted
# but a weak reference to the tensor: once that is gone, nobody can miss the change
ONE_OF_SEVERAL = (
    "an output of split, chunk or unbind can't be changed in place; use clone()"
)
UNRECORDED = (
    "the view was made under no_grad() and is changed where calls are recorded: the graph "
    "of what it shows would miss the change; likely fix: make and change it both inside "
    "no_grad(), or both outside"
)
COPIED = (
    "view() had to copy, as the tensor's elements do not lie in the view's order, so that "
    "the change would not reach the tensor; likely fix: contiguous() before view(), or "
    "reshape(), whose result may be changed as a copy"
)


def mark_views(source: Tensor, views: Sequence[Tensor]) -> None:
    """Note whose memory the views show."""
    base, why = source, None
    if source._base is not None:
        base, why = source._base, source._unchangeable
    if len(views) > 1:
        why = ONE_OF_SEVERAL
    for view in views:
        if view._array.storage is base._array.storage:
            view._base = base
            view._base_changes = base._changes
            if source._requires_grad and not view._requires_grad:
                view._unchangeable = UNRECORDED
            else:
                view._unchangeable = why


def _geometry(base: Array, view: Array) -> dict[str, Any]:
    """Where a view lies in its base, in elements from the base's first."""
    if not base.is_dense():
        raise GradError(
            "in place: the base of the view has gaps in memory; use clone() first"
        )
    return {
        "base_strides": base.strides,
        "shape": view.shape,
        "strides": view.strides,
        "offset": view.offset - base.offset,
    }


def rebase(
    base: Tensor, base_edge: Edge | None, view: Array, edge: Edge | None
) -> None:
    """Record that the base is now its old self with `view` written into it."""
    geometry = _geometry(base._array, view)
    del geometry["shape"]
    op = OPS["as_strided_scatter"]
    inputs = (base._array, view)
    ctx = Context(geometry)
    needs = (base_edge is not None, edge is not None)
    node = record(op, ctx, needs, inputs, (base_edge, edge), base._array)
    base._edge = (node, 0)
    base._requires_grad = True
    base._changes += 1
    move_retained(base, base_edge)


def move_retained(x: Tensor, before: Edge | None) -> None:
    """Let a tensor that retains its gradient retain that at its new place in the graph."""
    if before is None or type(before[0]) is not Node or before[0].retained is None:
        return
    node, number = before
    keeper = node.retained.get(number)
    if keeper is not None and keeper() is x and x._edge is not None:
        del node.retained[number]
        x._edge[0].retained = {**(x._edge[0].retained or {}), x._edge[1]: keeper}


def overwritten_edge(array: Array, edge: Edge) -> Edge:
    """An edge for a tensor all of whose elements were overwritten without a graph."""
    ctx = Context({})
    return record(OPS["overwritten"], ctx, (True,), (array,), (edge,), array), 0


def view_edge(base: Tensor, base_edge: Edge, view: Array) -> Edge:
    """An edge for a view whose base got a new place in the graph."""
    ctx = Context(_geometry(base._array, view))
    node = record(OPS["as_strided"], ctx, (True,), (base._array,), (base_edge,), view)
    return node, 0
