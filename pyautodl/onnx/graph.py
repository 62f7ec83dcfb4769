"""An ONNX graph while it is written: nodes, constants and the names of values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from pyautodl.onnx.trace import Call, Value

__all__ = ["Graph", "Node", "no_form"]

NDArray = np.ndarray[Any, Any]


class Node(NamedTuple):
    """One operation of ONNX.

    Attributes:
        kind: its name.
        inputs, outputs: names of values, '' where an input is absent.
        attributes: its numbers, by name.
        where: the layer that it comes from.
    """

    kind: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, Any]
    where: str


def no_form(call: Call, why: str = "", fix: str = "") -> NotImplementedError:
    """The error for a call that can't be written."""
    return NotImplementedError(
        f"onnx.export: {call.op}{f' {why}' if why else ''} has no ONNX form in opset 17\n"
        f"  in {call.where or 'no layer'}" + (f"\n  likely fix: {fix}" if fix else "")
    )


class Graph:
    """Nodes in order, and constants by name."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.constants: dict[str, NDArray] = {}
        self._names: dict[Value, str] = {}
        # of numbers that rules need, by their bytes
        self._kept: dict[tuple[Any, ...], str] = {}
        self._count = 0
        # the call that is being written
        self.call: Call | None = None
        # the same call of a trace with other sizes
        self.twin: Call | None = None

    def new_name(self, kind: str) -> str:
        """A name that no other value has."""
        self._count += 1
        return f"{kind.lower()}_{self._count}"

    def name_of(self, value: Value | None) -> str:
        """The name of a value, which becomes a constant if nothing has made it."""
        if value is None:
            return ""
        if value not in self._names:
            if value.varies and value.source is not None:
                raise no_form(value.source, f"for its output number {value.number}")
            numbers = value.numbers()
            if value.name is None:
                self._names[value] = self.constant(numbers)
            else:
                self.constants[value.name] = np.ascontiguousarray(numbers)
                self._names[value] = value.name
        return self._names[value]

    def set_name(self, value: Value, name: str) -> None:
        """Let a value be called so from now on."""
        self._names[value] = name

    def constant(self, numbers: Any, dtype: Any = None) -> str:
        """The name of a constant."""
        array = np.asarray(numbers, dtype)
        # not ascontiguousarray, which gives a number an axis
        array = array.copy(order="C")
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._kept:
            name = self._kept[key] = self.new_name("constant")
            self.constants[name] = array
        return self._kept[key]

    def number(self, value: float, like: Value) -> str:
        """A constant number of the element type of a value."""
        return self.constant(value, like.array.dtype.numpy)

    def integers(self, values: Sequence[int]) -> str:
        """A constant row of whole numbers."""
        return self.constant(list(values), np.int64)

    def node(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """Add a node of one output, and return that output's name."""
        return self.nodes_of(kind, inputs, 1, **attributes)[0]

    def nodes_of(
        self, kind: str, inputs: Sequence[str], outputs: int, **attributes: Any
    ) -> tuple[str, ...]:
        """Add a node of several outputs, and return their names."""
        names = tuple([self.new_name(kind) for _ in range(outputs)])
        given = list(inputs)
        while given and not given[-1]:
            given.pop()
        where = self.call.where if self.call is not None else ""
        self.nodes.append(Node(kind, tuple(given), names, attributes, where))
        return names

    def names_in(self, call: Call, count: int = 0) -> list[str]:
        """The names of a call's inputs, with '' for those left out up to `count`."""
        names = [self.name_of(each) for each in call.inputs]
        return names + [""] * (count - len(names))
