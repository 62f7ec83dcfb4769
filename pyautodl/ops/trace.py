"""Traces: a forward rule watched once, and from then on its kernel calls alone.

What a forward rule does follows from the layouts of its inputs, its attributes and which
inputs need a gradient: it makes arrays, runs kernels on them and says what to save. So the
first call of a kind is watched, and later ones of that kind repeat its kernel calls, each
prepared. What can't be repeated is not traced: rules that look at values or draw random
numbers, that write into what exists, that work on lists of arrays.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from pyautodl.backends import (
    Array,
    Made,
    Prepared,
    Seen,
    keep_prepared,
    prepare,
    witnessed,
)
from pyautodl.backends.array import READS
from pyautodl.backends.dtypes import DType
from pyautodl.ops.plan import MOST, Plan
from pyautodl.ops.record import Op, Spec

__all__ = ["Trace", "Watch", "find_trace"]

Key = tuple[Any, ...]

# names of the ops that have been traced
_traced: set[str] = set()

# what attributes may be; tuples of them, too
_PLAIN = (int, float, bool, str, type(None), DType)


class _Part(NamedTuple):
    """A view of value number `place`, `shift` elements from its start."""

    place: int
    shift: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    layout: bytes

    def shows(self, value: Any) -> bool:
        """Whether that is the value itself."""
        return not self.shift and self.layout == value.layout()

    def of(self, values: Sequence[Any]) -> Array:
        """The array, given the values."""
        value = values[self.place]
        start, dtype = value.offset + self.shift, value.dtype
        return Array(value.storage, start, self.shape, self.strides, dtype, self.layout)


class _Refused(Exception):
    """The call can't be repeated."""


def find_trace(
    op: Op, kinds: Sequence[Any], needs: tuple[bool, ...], attrs: Mapping[str, Any]
) -> tuple[Trace | None, Key | None]:
    """The trace of a call, and the key to keep one under if there could be one."""
    if op.random:
        return None, None
    key: Key = (*kinds, needs, *attrs.items())
    try:
        # 0.0 and -0.0 are one key and two numbers
        key += tuple([_sign(v) for v in attrs.values() if type(v) is float and v == 0])
        found = op.plans.get(key)
    except TypeError:  # an attribute is not hashable, or knows no equality
        return None, None
    if found is None:
        return None, key
    return found or None, None


def _sign(zero: float) -> float:
    return math.copysign(1.0, zero)


class Watch:
    """Looks on while a forward rule runs, and makes the trace of it.

    Args:
        op, arrays, needs, attrs: the call.
    """

    def __init__(
        self,
        op: Op,
        arrays: Sequence[Array | None],
        needs: tuple[bool, ...],
        attrs: Mapping[str, Any],
    ) -> None:
        self.op, self.arrays, self.needs, self.attrs = op, arrays, needs, attrs
        self.steps: list[Prepared] = []
        # the inputs, then what kernels wrote; kept, so that no memory comes twice
        self.values: list[Array | None] = list(arrays)
        self._thread = threading.get_ident()
        self._refused = not self._is_plain()

    def run(self, ctx: Any) -> Any:
        """Run the forward rule."""
        reads = READS.count
        # the shape rule may look at values, too
        self.op.rule(*self.arrays, **self.attrs)
        with witnessed(self._note) as watching:
            result = self.op.forward(ctx, self.needs, *self.arrays, **self.attrs)
        self._refused |= not watching or READS.count != reads
        return result

    def _is_plain(self) -> bool:
        """Whether the inputs are arrays apart from each other, the attributes plain."""
        storages = [id(x.storage) for x in self.arrays if x is not None]
        apart = len(set(storages)) == len(storages)
        return apart and all(_is_plain(each) for each in self.attrs.values())

    def _note(
        self,
        name: str,
        reads: Sequence[Any],
        writes: Sequence[Any],
        ints: Sequence[int],
        floats: Sequence[float],
    ) -> None:
        if self._refused or threading.get_ident() != self._thread:
            return
        try:
            seen = [self._see(each) for each in reads]
            made = [self._make(each) for each in writes]
        except _Refused:
            self._refused = True
            return
        self.steps.append(prepare(name, seen, made, tuple(ints), tuple(floats)))
        self.values += [each for each in writes if each is not None]

    def _see(self, array: Any) -> Seen:
        if array is None:
            return Seen(None)
        if type(array) is not Array:
            raise _Refused
        part = self._part(array)
        if part.shift:
            raise _Refused
        return Seen(part.place, array.dtype.code, array.shape, array.strides)

    def _make(self, array: Any) -> Made | None:
        if array is None:
            return None
        # only a whole array of its own, so far untouched
        if type(array) is not Array or array.offset or self._place(array) is not None:
            raise _Refused
        if array.size * array.itemsize != array.storage.nbytes:
            raise _Refused
        return Made(array.shape, array.dtype, array.strides)

    def _place(self, array: Array) -> int | None:
        """The number of the value whose memory an array shows."""
        storage = array.storage
        for i, value in enumerate(self.values):
            if value is not None and value.storage is storage:
                return i
        return None

    def _part(self, array: Array) -> _Part:
        place = self._place(array)
        if place is None:
            raise _Refused
        value: Any = self.values[place]
        if value.dtype is not array.dtype:
            raise _Refused
        shift = array.offset - value.offset
        return _Part(place, shift, array.shape, array.strides, array.layout())

    def keep(self, key: Key, ctx: Any, result: Any) -> None:
        """Keep the trace of the call that `run` gave `result`, or that there is none."""
        plans = self.op.plans
        if self.op.name not in _traced:
            _traced.add(self.op.name)
            keep_prepared(plans)
        if len(plans) >= MOST:
            plans.clear()
        try:
            plans[key] = self._trace(ctx, result)
        except _Refused:
            plans[key] = False

    def _trace(self, ctx: Any, result: Any) -> Trace:
        if self._refused or not _is_plain(ctx.info):
            raise _Refused
        outputs = list(result) if type(result) is tuple else [result]
        hidden: list[Array] = []
        kept, aliases = ctx.kept()
        places = []
        for array in kept:
            place: Any = self._saved_place(array, outputs, hidden)
            for copy, original in aliases:
                if copy is array:
                    place = (place, _index(self.arrays, original))
            places.append(place)
        parts = [self._part(each) for each in outputs + hidden]
        shown: int | slice | None = 0 if hidden else None
        if type(result) is tuple:
            shown = slice(len(outputs))
        trace = Trace(self, outputs, parts, shown, self._again(type(ctx)))
        trace.places[self.needs] = tuple(places)
        trace.info = ctx.info
        return trace

    def _again(self, context: Any) -> Callable[[Sequence[Any]], Any]:
        """The rule itself, which says what is wrong where a kernel fails."""
        op, needs, attrs = self.op, self.needs, dict(self.attrs)
        return lambda inputs: op.forward(context(attrs), needs, *inputs, **attrs)

    def _saved_place(
        self, array: Array | None, outputs: list[Array], hidden: list[Array]
    ) -> int | None:
        if array is None:
            return None
        found = _index((*self.arrays, *outputs, *hidden), array)
        if found is not None:
            return found
        hidden.append(array)
        return len(self.arrays) + len(outputs) + len(hidden) - 1


def _index(arrays: Sequence[Array | None], array: Array) -> int | None:
    return next((i for i, each in enumerate(arrays) if each is array), None)


def _is_plain(value: Any) -> bool:
    if type(value) is tuple:
        return all(_is_plain(each) for each in value)
    return type(value) in _PLAIN


# what a kernel's refusal comes as
_FAILURES = (IndexError, ValueError, MemoryError)


class Trace(Plan):
    """The kernel calls of an op, and which of their arrays it gives and saves.

    Args:
        watch: has seen the call.
        outputs: what the op gave.
        parts: the outputs and, after them, what else is saved.
        shown: which of these are the op's result, see `Plan`.
        again: the rule itself.
    """

    __slots__ = ("_again", "_parts", "_steps")

    def __init__(
        self,
        watch: Watch,
        outputs: Sequence[Array],
        parts: Sequence[_Part],
        shown: int | slice | None,
        again: Callable[[Sequence[Any]], Any],
    ) -> None:
        super().__init__([Spec(each.shape, each.dtype) for each in outputs])
        self.shapes = tuple([None if x is None else x.shape for x in watch.arrays])
        self.dtypes = tuple([None if x is None else x.dtype for x in watch.arrays])
        self.all = (True,) * len(watch.arrays)
        self._steps = tuple(watch.steps)
        self._again = again
        self.shown = shown
        inputs = len(watch.arrays)
        whole = [watch.values[part.place] for part in parts]
        self._parts = tuple(
            [
                part.place if part.shows(value) else part
                for part, value in zip(parts, whole)
            ]
        )
        made = tuple(range(inputs, len(watch.values)))
        single = len(self._steps) == 1 and self._parts == made
        # a step gives a single array bare
        single = single and (len(made) > 1 or shown is None)
        self.call = self._run_single if single else self._run

    def _run_single(self, inputs: Sequence[Any], floats: Sequence[float]) -> Any:
        try:
            return self._steps[0](inputs, floats)
        except _FAILURES:
            self._again(inputs)
            raise

    def _run(self, inputs: Sequence[Any], floats: Sequence[float]) -> Any:
        values = list(inputs)
        try:
            for step in self._steps:
                made = step(values, floats)
                if type(made) is tuple:
                    values += made
                else:
                    values.append(made)
        except _FAILURES:
            self._again(inputs)
            raise
        results = [
            part.of(values) if isinstance(part, _Part) else values[part]
            for part in self._parts
        ]
        return results[0] if self.shown is None else tuple(results)
