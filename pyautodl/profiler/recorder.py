"""Records what runs, by taking the places of what runs it.

Nothing asks whether someone is profiling. While a recorder is attached, the ops' forward
rules, the gradient of a node, the backward walk and the kernels' calls are replaced by
ones that note their beginning and end; afterwards all is as before.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from time import perf_counter_ns
from typing import Any

from pyautodl import _module_stack, backends
from pyautodl.backends import native
from pyautodl.backends.costs import bytes_of, flops_of
from pyautodl.backends.reference import optim
from pyautodl.graph import backward, line
from pyautodl.ops.plan import OuterPlan, Plan
from pyautodl.ops.record import OPS

__all__ = ["Event", "Recorder"]

_OPTIMIZER_KERNELS = frozenset(optim.__all__)


@dataclass(slots=True)
class Event:
    """Something that ran: an op, a node's gradient, or a kernel.

    Attributes:
        kind: 'op', 'gradient' or 'kernel'.
        name: of the op or kernel; of a gradient the op that it belongs to.
        phase: 'forward', 'backward', 'optimizer', or 'other' for a kernel outside.
        start, end: nanoseconds of time.perf_counter_ns.
        thread: the Python thread.
        layer: the path of the innermost module, '' outside modules.
        shapes: those of the arrays read.
        flops, bytes: what its kernels declare; see backends/costs.py.
        memory: by how many bytes the memory in use grew.
        depth: how many recorded events it lies in.
        kernel_ns: how much of it its kernels took.
    """

    kind: str
    name: str
    phase: str
    start: int
    end: int
    thread: int
    layer: str
    shapes: tuple[Any, ...]
    flops: int
    bytes: int
    memory: int
    depth: int
    kernel_ns: int

    @property
    def seconds(self) -> float:
        """How long it took."""
        return (self.end - self.start) / 1e9


class _Thread(threading.local):
    """What runs on this thread: events not finished yet, and backward walks."""

    def __init__(self) -> None:
        self.open: list[Event] = []
        self.walks = 0


class Recorder:
    """Takes down every event of every thread while it is attached."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self._thread = _Thread()
        # event -> outermost and innermost module, until the paths are looked up
        self._modules: list[tuple[Event, Any, Any]] = []

    @contextmanager
    def attached(self) -> Iterator[None]:
        """Record what runs in the block."""
        with ExitStack() as undo:
            undo.callback(self._name_layers)
            for name, op in OPS.items():
                undo.callback(_set, op, "forward", op.forward)
                _set(op, "forward", self._forward(name, op.forward))
                if op.plan is not None:
                    undo.callback(_set, op, "plan", op.plan)
                    _set(op, "plan", self._plan(name, op.plan))
            for owner, method, wrap in (
                (backward, "gradients", self._gradients),
                (line, "gradients_again", self._gradients_again),
                (backward, "run_line", self._line),
                (backward, "fill_leaves", self._walk),
                (backward.Walk, "run", self._walk),
                (backward.Walk, "find_leaves", self._walk),
                (backward.Walk, "finish_leaves", self._walk),
            ):
                before = getattr(owner, method)
                undo.callback(_set, owner, method, before)
                _set(owner, method, wrap(before))
            undo.callback(backends.observe, None)
            backends.observe(self._kernel)
            yield

    # ---- what stands in for what ran ----

    def _forward(self, name: str, forward: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(forward)
        def recorded(ctx: Any, needs: Any, *arrays: Any, **attrs: Any) -> Any:
            event = self._begin("op", name, _module_stack.current(), _shapes(arrays))
            try:
                return forward(ctx, needs, *arrays, **attrs)
            finally:
                self._finish(event)

        return recorded

    def _plan(self, name: str, make: Callable[..., Plan]) -> Callable[..., Plan]:
        @functools.wraps(make)
        def recorded(*arrays: Any, **attrs: Any) -> Plan:
            return _RecordedPlan(make(*arrays, **attrs), self, name)

        return recorded

    def planned_call(
        self, name: str, plan: Plan, inputs: Sequence[Any], floats: Sequence[float]
    ) -> Any:
        """Run a plan and record it as an op."""
        event = self._begin("op", name, _module_stack.current(), _shapes(inputs))
        try:
            return plan.call(inputs, floats)
        finally:
            self._finish(event)

    def _gradients(self, gradients: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(gradients)
        def recorded(node: Any, grads: Sequence[Any], create_graph: bool) -> Any:
            event = self._begin_gradient(node, grads)
            try:
                return gradients(node, grads, create_graph)
            finally:
                self._finish(event)

        return recorded

    def _gradients_again(self, gradients: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(gradients)
        def recorded(node: Any, output: int, gradient: Any) -> Any:
            event, results = self._begin_gradient(node, (gradient,)), None
            try:
                results = gradients(node, output, gradient)
                return results
            finally:
                # without results it did not run, and the walk will have it run
                self._finish(event, kept=results is not None)

        return recorded

    def _begin_gradient(self, node: Any, grads: Sequence[Any]) -> Event:
        module = node.module() if node.module is not None else None
        return self._begin("gradient", node.op.name, module, _shapes(grads))

    def _walk(self, method: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(method)
        def recorded(*arguments: Any) -> Any:
            self._thread.walks += 1
            try:
                return method(*arguments)
            finally:
                self._thread.walks -= 1

        return recorded

    def _line(self, _: Callable[..., Any]) -> Callable[..., Any]:
        """In Python, which asks `gradients_again` for each node."""
        return self._walk(line.line_in_python)

    def _kernel(self, name: str, call: Callable[..., None]) -> Callable[..., None]:
        def recorded(
            reads: Sequence[Any],
            writes: Sequence[Any],
            ints: Sequence[int],
            floats: Sequence[float],
        ) -> None:
            event = self._begin("kernel", name, _module_stack.current(), _shapes(reads))
            event.flops = flops_of(name, reads, writes, ints)
            event.bytes = bytes_of(reads) + bytes_of(writes)
            event.start = perf_counter_ns()
            try:
                call(reads, writes, ints, floats)
            finally:
                self._finish(event)

        return recorded

    # ---- events ----

    def _begin(self, kind: str, name: str, module: Any, shapes: Any) -> Event:
        held = self._thread.open
        event = Event(
            kind,
            name,
            self._phase(kind, name),
            start=0,
            end=0,
            thread=threading.get_ident(),
            layer="",
            shapes=shapes,
            flops=0,
            bytes=0,
            memory=-_memory_in_use(),
            depth=len(held),
            kernel_ns=0,
        )
        if module is not None:
            stack = _module_stack.modules()
            root = stack[0] if stack else None
            self._modules.append((event, root, module))
        held.append(event)
        event.start = perf_counter_ns()
        return event

    def _phase(self, kind: str, name: str) -> str:
        if self._thread.walks:
            return "backward"
        held = self._thread.open
        if held:
            return held[-1].phase
        if kind == "op":
            return "forward"
        return "optimizer" if name in _OPTIMIZER_KERNELS else "other"

    def _finish(self, event: Event, kept: bool = True) -> None:
        event.end = perf_counter_ns()
        event.memory += _memory_in_use()
        held = self._thread.open
        held.pop()
        if not kept:
            return
        if event.kind == "kernel":
            event.kernel_ns = event.end - event.start
        if held:
            outer = held[-1]
            outer.flops += event.flops
            outer.bytes += event.bytes
            outer.kernel_ns += event.kernel_ns
        self.events.append(event)

    def _name_layers(self) -> None:
        """Turn modules into paths, and let go of them."""
        roots = {id(root): root for _, root, _ in self._modules if root is not None}
        paths: dict[int, str] = {}
        for root in roots.values():
            prefix = f"{type(root).__name__}." if len(roots) > 1 else ""
            for name, module in root.named_modules():
                path = prefix + name if name else type(root).__name__
                paths.setdefault(id(module), path)
        for event, _, module in self._modules:
            event.layer = paths.get(id(module), f"<{type(module).__name__}>")
        self._modules.clear()


class _RecordedPlan(OuterPlan):
    """A plan whose calls are recorded; it lives as long as the recording does."""

    __slots__ = ("_name", "_recorder")

    def __init__(self, inner: Plan, recorder: Recorder, name: str) -> None:
        super().__init__(inner)
        self._recorder, self._name = recorder, name

    def call(self, inputs: Sequence[Any], floats: Sequence[float]) -> Any:
        return self._recorder.planned_call(self._name, self._inner, inputs, floats)

    def forward(self, ctx: Any, inputs: Sequence[Any], floats: Sequence[float]) -> Any:
        # the op's forward rule asks for it, and is recorded itself
        return self._inner.forward(ctx, inputs, floats)


def _shapes(arrays: Sequence[Any]) -> tuple[Any, ...]:
    """Shapes of arrays or tensors; None for what is absent and for tables."""
    found = [getattr(each, "shape", None) for each in arrays]
    return tuple([None if each is None else tuple(each) for each in found])


def _set(owner: Any, name: str, value: Any) -> None:
    # records of ops are frozen for everyone else
    (setattr if isinstance(owner, type) else object.__setattr__)(owner, name, value)


def _memory_in_use() -> int:
    return native.memory_stats()["allocated_bytes"] if native.available else 0
