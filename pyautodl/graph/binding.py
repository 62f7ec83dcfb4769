"""What the package tensor hands in: the graph works on tensors without knowing their class."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pyautodl.backends import Array
from pyautodl.graph.saved import Edge
from pyautodl.ops.gradient_trace import Called

__all__ = ["BOUND", "bind"]


class BOUND:
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
    BOUND.make = staticmethod(make)
    BOUND.call = staticmethod(call)
    BOUND.call_unrecorded = staticmethod(call_unrecorded)
    BOUND.call_watched = staticmethod(call_watched)
