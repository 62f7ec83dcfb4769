"""Views of a tensor whose memory is changed: the graph of one follows the other's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pyautodl.backends import Array
from pyautodl.errors import GradError
from pyautodl.graph import Context, Edge, record
from pyautodl.ops.record import OPS

if TYPE_CHECKING:
    from pyautodl.tensor.core import Tensor

__all__ = ["mark_views", "overwritten_edge", "rebase", "view_edge"]


def mark_views(source: Tensor, views: Sequence[Tensor]) -> None:
    """Note whose memory the views show."""
    base = source if source._base is None else source._base
    many = len(views) > 1 or (base is not source and source._many_views)
    for view in views:
        if view._array.storage is base._array.storage:
            view._base = base
            view._base_changes = base._changes
            view._many_views = many


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


def overwritten_edge(array: Array, edge: Edge) -> Edge:
    """An edge for a tensor all of whose elements were overwritten without a graph."""
    ctx = Context({})
    return record(OPS["overwritten"], ctx, (True,), (array,), (edge,), array), 0


def view_edge(base: Tensor, base_edge: Edge, view: Array) -> Edge:
    """An edge for a view whose base got a new place in the graph."""
    ctx = Context(_geometry(base._array, view))
    node = record(OPS["as_strided"], ctx, (True,), (base._array,), (base_edge,), view)
    return node, 0
