"""`Node`, one recorded call."""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pyautodl import _module_stack
from pyautodl.backends import Array
from pyautodl.backends.dtypes import DType
from pyautodl.backends.fields import NodeFields
from pyautodl.errors import GradError
from pyautodl.graph.binding import BOUND
from pyautodl.graph.mode import MODE
from pyautodl.graph.saved import Edge, Saved, checksum
from pyautodl.ops.plan import in_order
from pyautodl.ops.record import Op

if TYPE_CHECKING:
    from traceback import FrameSummary

__all__ = ["NODE_NUMBERS", "Node", "make_node"]

# gives each node its number
NODE_NUMBERS = itertools.count()
_STACK = _module_stack.STACK


class Node(NodeFields):
    """One recorded call; `grad_fn` of the tensors it made, and `ctx` of its gradient.

    Attributes:
        attrs: the call's attributes.
        shapes, dtypes: those of the inputs, None where an input is absent.
        info: what the forward rule left besides arrays.
        needs: which inputs want a gradient.
        edges: where the inputs came from.
        outputs: how many there are.
        plan: by which the call ran, if it had one.
        packed: what was saved; None once it is freed.
    """

    __slots__ = ("__dict__", "__weakref__")
    # what few nodes have is in their __dict__
    info: Any = None
    traceback: list[FrameSummary] | None = None
    # of an op that can be `behind_relu`: the memory of its output
    memory: weakref.ref[Any] | None = None

    op: Op
    plan: Any
    attrs: Mapping[str, Any]
    shapes: Sequence[tuple[int, ...] | None]
    dtypes: Sequence[DType | None]
    needs: Sequence[bool]
    edges: Sequence[Edge | None]
    outputs: int
    packed: list[Saved | None] | None
    number: int
    module: weakref.ref[Any] | None
    released: bool
    # number of an output -> hooks on its gradient, or who wants it retained
    hooks: dict[int, dict[int, Callable[[Any], Any]]] | None
    retained: dict[int, weakref.ref[Any]] | None
    # of a ReLU: whether its input's node can apply its mask, see `makes`
    masked_below: bool

    @property
    def name(self) -> str:
        """The op's name."""
        return self.op.name

    @property
    def next_functions(self) -> tuple[Edge | tuple[None, int], ...]:
        """The edges to the inputs' producers, as PyTorch lists them."""
        return tuple((None, 0) if edge is None else edge for edge in self.edges)

    def __repr__(self) -> str:
        camel = "".join(part.capitalize() for part in self.op.name.split("_"))
        return f"<{camel}Backward>"

    @property
    def saved(self) -> tuple[Any, ...]:
        """The saved arrays as tensors that know where they came from.

        Raises:
            GradError: they are freed, or somebody has changed one.
        """
        if self.packed is None:
            raise GradError(
                f"{self.op.name}: backward was already run through this call and its saved "
                f"tensors are freed{self.where()}; likely fix: call backward once, or with "
                "retain_graph=True, and detach() what is carried from step to step"
            )
        make = BOUND.make
        tensors: list[Any] = []
        for saved in self.packed:
            if saved is None:
                tensors.append(None)
                continue
            array, edge, output, version, expected = saved
            if array.storage.version != version:
                raise GradError(self._changed(array, "an in-place operation"))
            if expected is not None and checksum(array) != expected:
                how = "writing to memory shared with NumPy"
                raise GradError(self._changed(array, how))
            if output is not None:
                edge = (self, output)
            tensors.append(make(array, edge, edge is not None))
        return tuple(tensors)

    def saved_arrays(self) -> list[Array | None] | None:
        """The arrays alone; None if something is wrong with them, or has to be looked at
        more closely: `saved` does that.
        """
        packed = self.packed
        if packed is None:
            return None
        arrays: list[Array | None] = []
        for each in packed:
            if each is None:
                arrays.append(None)
                continue
            array, _, _, version, expected = each
            if expected is not None or array.storage.version != version:
                return None
            arrays.append(array)
        return arrays

    def _changed(self, array: Array, how: str) -> str:
        text = (
            f"{self.op.name}: a tensor of shape {array.shape} saved for backward was changed "
            f"by {how} before backward{self.where()}; likely fix: use the out-of-place "
            "operation, or clone() before changing"
        )
        return text + self.forward_lines()

    def where(self) -> str:
        """ " in layer ..." if the call was made in a module that still lives."""
        module = self.module() if self.module is not None else None
        return f" in {_module_stack.describe(module)}" if module is not None else ""

    def annotate(self, error: Exception) -> None:
        """Say in whose gradient an error came up."""
        where = self.where()
        if where and where not in str(error) and not getattr(error, "__notes__", None):
            error.add_note(f"in the backward pass of {self.op.name}{where}")

    def forward_lines(self) -> str:
        """Under detect_anomaly, the lines of the forward call."""
        if self.traceback is None:
            return ""
        import traceback

        return "\nforward call:\n" + "".join(traceback.format_list(self.traceback))

    def release(self) -> None:
        """Free what was saved, as backward is through here."""
        self.released = True
        if self.packed:
            self.packed = None

    def keep_from(self, storage: Any) -> None:
        """Copy what this call saved of memory that its own result will overwrite."""
        for i, saved in enumerate(self.packed or ()):
            if saved is not None and saved[0].storage is storage:
                self.plan = None  # it stands for another layout
                copy = in_order(saved[0])
                self.packed[i] = (copy, *saved[1:3], 0, None)  # type: ignore[index]

    def saved_count(self) -> int:
        """How many arrays are kept."""
        return len(self.packed or ())


def make_node(
    op: Op,
    attrs: Mapping[str, Any],
    shapes: Sequence[tuple[int, ...] | None],
    dtypes: Sequence[DType | None],
    needs: Sequence[bool],
    edges: Sequence[Edge | None],
    saved: list[Saved | None],
    outputs: int,
    info: Any = None,
    plan: Any = None,
) -> Node:
    """The node of a call that has run; see the class, whose constructor would take longer."""
    node = Node()
    node.op = op
    node.plan = plan
    node.attrs = attrs
    node.shapes = shapes
    node.dtypes = dtypes
    node.needs = needs
    node.edges = edges
    node.outputs = outputs
    node.packed = saved
    node.number = next(NODE_NUMBERS)
    node.released = node.masked_below = False
    node.hooks = node.retained = None
    stack = _STACK.modules
    node.module = weakref.ref(stack[-1]) if stack else None
    if info is not None:
        node.info = info
    if MODE.anomaly:
        import traceback

        node.traceback = traceback.extract_stack()[:-2]
    return node
