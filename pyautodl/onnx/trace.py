"""A model's call as the calls of ops that it comes to, and the values between them.

While a trace is taken the ops' forward rules and plans are replaced by ones that note
what they read and give, as in the profiler; afterwards all is as before.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, cast

import numpy as np

from pyautodl import _module_stack, backends
from pyautodl.backends import Array
from pyautodl.ops.plan import OuterPlan, Plan
from pyautodl.ops.record import OPS
from pyautodl.profiler import profile
from pyautodl.tensor import Tensor, in_place

__all__ = ["Call", "Trace", "Value"]

# an array itself, or its place: its memory and the view of it
Key = int | tuple[Any, ...]
Kernel = Callable[..., None]


class Value:
    """What an array held when it was read or made.

    Attributes:
        array: where it was.
        source: the call that made it; None: it was there before.
        number: which of that call's outputs it is.
        name: of an input of the model, or of a parameter or buffer.
        varies: whether it depends on the model's inputs.
    """

    def __init__(
        self, array: Array, source: Call | None = None, number: int = 0
    ) -> None:
        self.array = array
        self.source, self.number = source, number
        self.name: str | None = None
        self.varies: bool = source is not None and source.varies
        # later calls may change the memory
        self._numbers = None if self.varies else np.array(array.numpy())

    @property
    def shape(self) -> tuple[int, ...]:
        """The size of each axis."""
        return self.array.shape

    def numbers(self) -> np.ndarray[Any, Any]:
        """The values of what does not vary."""
        return cast("np.ndarray[Any, Any]", self._numbers)


class Call:
    """One call of an op.

    Attributes:
        op: its name.
        inputs: what it read, None where an input was absent.
        attrs: its attributes; those that are a kernel's floats stand in `floats` alone.
        floats: the numbers of a planned kernel.
        where: the layer, in words.
        outputs: what it made.
    """

    def __init__(
        self,
        op: str,
        inputs: Sequence[Value | None],
        attrs: Mapping[str, Any],
        floats: Sequence[float],
        where: str,
    ) -> None:
        self.op, self.inputs, self.attrs = op, list(inputs), dict(attrs)
        self.floats, self.where = tuple(floats), where
        self.varies = any(each is not None and each.varies for each in inputs)
        self.outputs: list[Value] = []

    @property
    def x(self) -> Value:
        """The first input."""
        return self.at(0)

    def at(self, place: int) -> Value:
        """An input that is there."""
        return cast("Value", self.inputs[place])


class Trace:
    """Takes down calls while it is attached; values are found again by their place."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        # version of the memory and value
        self._values: dict[Key, tuple[int, Value]] = {}
        # memory in which something that varies was written
        self._varied: set[int] = set()
        # how many calls of ops are running
        self._inside = 0
        # addresses stand for memory, so none may come twice
        self._held: list[Any] = []

    @contextmanager
    def attached(self) -> Iterator[None]:
        """Take down what runs in the block.

        Raises:
            RuntimeError: a profile is recording, which looks at the same places.
        """
        if not profile._active.acquire(blocking=False):
            raise RuntimeError(
                "onnx.export: a profile is recording; likely fix: leave its block first"
            )
        with ExitStack() as undo:
            undo.callback(profile._active.release)
            for name, op in OPS.items():
                undo.callback(object.__setattr__, op, "forward", op.forward)
                object.__setattr__(op, "forward", self._forward(name, op.forward))
                if op.plan is not None:
                    undo.callback(object.__setattr__, op, "plan", op.plan)
                    object.__setattr__(op, "plan", self._plan(name, op.plan))
            undo.callback(setattr, in_place, "_assign_any", in_place._assign_any)
            in_place._assign_any = self._assign
            # what was resolved before is made anew, now and afterwards
            undo.callback(backends.observe, None)
            backends.observe(self._kernel)
            yield

    # ---- values ----

    def give(self, array: Array, name: str, varies: bool) -> Value:
        """Note an input, a parameter or a buffer of the model."""
        value = Value(array)
        value.name, value.varies = name, varies
        self._keep(array, value, array.storage.version)
        return value

    def value_of(self, array: Array) -> Value:
        """What an array holds now; what nobody has made is a constant."""
        value = self._find(array)
        if value is None:
            value = Value(array)
            self._keep(array, value, array.storage.version)
        return value

    def _find(self, array: Array) -> Value | None:
        """The value of an array, or of another one of the same place, as it is now."""
        for key in (id(array), _key(array)):
            version, value = self._values.get(key, (-1, None))
            if version == array.storage.version:
                return value
        return None

    def _keep(self, array: Array, value: Value, version: int) -> None:
        self._held.append(array)
        if value.varies:
            self._varied.add(id(array.storage))
        self._values[_key(array)] = self._values[id(array)] = (version, value)

    def read(self, array: Array, where: str) -> Value:
        """The value of an array that a call reads, or the model returns.

        Raises:
            NotImplementedError: it was changed in a way that has no form.
        """
        value = self._find(array)
        if value is not None:
            return value
        if id(array.storage) in self._varied:
            raise NotImplementedError(
                "onnx.export: a tensor is read of which a part, or a view, was changed in "
                f"place, which has no ONNX form\n  in {where or 'the function'}; likely fix: "
                "the operation that is not in place"
            )
        return self.value_of(array)

    # ---- calls ----

    def _note(
        self,
        name: str,
        inputs: Sequence[Any],
        attrs: Mapping[str, Any],
        floats: Sequence[float],
        run: Callable[[], Any],
    ) -> Any:
        where = _module_stack.describe()
        reads = [None if each is None else self.read(each, where) for each in inputs]
        call = Call(name, reads, attrs, floats, where)
        self._inside += 1
        try:
            result = run()
        finally:
            self._inside -= 1
        made = result if type(result) is tuple else (result,)
        for number, array in enumerate(made):
            if not isinstance(array, Array):
                continue
            value = Value(array, call, number)
            call.outputs.append(value)
            # a call that overwrites its input is followed by a new version of its memory
            over = not OPS[name].view and any(
                each is not None and each.storage is array.storage for each in inputs
            )
            self._keep(array, value, array.storage.version + over)
        self.calls.append(call)
        return result

    def _forward(self, name: str, forward: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(forward)
        def noted(ctx: Any, needs: Any, *arrays: Any, **attrs: Any) -> Any:
            def run() -> Any:
                return forward(ctx, needs, *arrays, **attrs)

            op = OPS[name]
            floats = op.params(**attrs) if op.params is not None else ()
            return self._note(name, arrays, attrs, floats, run)

        return noted

    def _plan(self, name: str, make: Callable[..., Plan]) -> Callable[..., Plan]:
        @functools.wraps(make)
        def noted(*arrays: Any, **attrs: Any) -> Plan:
            return _NotedPlan(make(*arrays, **attrs), self, name, attrs)

        return noted

    def planned_call(
        self,
        name: str,
        attrs: Mapping[str, Any],
        plan: Plan,
        inputs: Sequence[Any],
        floats: Sequence[float],
    ) -> Any:
        """Run a plan and note it."""
        numbers = floats if OPS[name].params is not None else ()
        return self._note(
            name, inputs, attrs, numbers, lambda: plan.call(inputs, floats)
        )

    def _assign(self, target: Tensor, name: str, result: Tensor) -> Tensor:
        """What stands in for a change in place by the values of another tensor."""
        value = self.value_of(result._array)
        changed = in_place.assign_in_python(target, name, result)
        if value.array.dtype is target._array.dtype:
            self._keep(target._array, value, target._array.storage.version)
        return changed

    def _kernel(self, name: str, call: Kernel) -> Kernel:
        """A kernel that outside of ops, as for x[[0, 1]] = y, passes on what varies."""

        def watched(reads: Any, writes: Any, ints: Any, floats: Any) -> None:
            call(reads, writes, ints, floats)
            if not self._inside and any(map(self._may_vary, reads)):
                written = [each for each in writes if isinstance(each, Array)]
                self._held += written
                self._varied |= {id(each.storage) for each in written}

        return watched

    def _may_vary(self, array: Any) -> bool:
        return isinstance(array, Array) and id(array.storage) in self._varied


class _NotedPlan(OuterPlan):
    """A plan whose calls are noted; it lives as long as the trace is attached."""

    __slots__ = ("_attrs", "_name", "_trace")

    def __init__(
        self, inner: Plan, trace: Trace, name: str, attrs: Mapping[str, Any]
    ) -> None:
        super().__init__(inner)
        self._trace, self._name, self._attrs = trace, name, dict(attrs)

    def call(self, inputs: Sequence[Any], floats: Sequence[float]) -> Any:
        return self._trace.planned_call(
            self._name, self._attrs, self._inner, inputs, floats
        )

    def forward(self, ctx: Any, inputs: Sequence[Any], floats: Sequence[float]) -> Any:
        # the op's forward rule asks for it, and is noted itself
        return self._inner.forward(ctx, inputs, floats)


def _key(array: Array) -> Key:
    return id(array.storage), array.offset, array.shape, array.strides
