"""Traces: a forward rule watched once, and from then on its kernel calls alone.

What a forward rule does follows from the layouts of its inputs, its attributes and which
inputs need a gradient: it makes arrays, runs kernels on them and says what to save. So the
first call of a kind is watched, and later ones of that kind repeat its kernel calls, all
prepared. Arrays that a call changes (running statistics, a generator's state) are
attributes that the op names; each call brings its own. Rules that look at values can't be
repeated and are not traced.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from pyautodl.backends import (
    Array,
    Give,
    KernelCall,
    Made,
    Prepared,
    Seen,
    Storage,
    empty,
    guarded,
    is_constant,
    keep_calls,
    prepare,
    prepare_chain,
    viewer,
    witnessed,
)
from pyautodl.backends.array import counted_reads
from pyautodl.backends.dtypes import DType
from pyautodl.ops.integers import declared_integers
from pyautodl.ops.plan import MOST, Plan
from pyautodl.ops.record import Attributes, Changing, Op, Spec

__all__ = ["WITH_ZEROS", "Trace", "find_trace", "run_rule", "signs_of_zeros"]

Key = tuple[Any, ...]

# names of the ops that have been traced, and of those that had a zero among their floats
_traced: set[str] = set()
WITH_ZEROS: set[str] = set()

# what attributes may be, layouts among them; tuples of them, too
_PLAIN = (int, float, bool, str, bytes, type(None), DType)


class _Part(NamedTuple):
    """A view of value number `place`, `shift` elements from its start."""

    place: int
    shift: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    layout: bytes

    def seen(self, dtype: DType) -> Seen:
        """The view as a kernel sees it."""
        return Seen(self.place, dtype.code, self.shape, self.strides, self.shift)

    def shows(self, value: Any) -> bool:
        """Whether that is the value itself."""
        return not self.shift and self.layout == value.layout()

    def viewer(self, dtype: DType) -> Prepared:
        """What makes of the value the view."""
        return viewer(self.shape, self.strides, dtype, self.shift)


class _Refused(Exception):
    """The call can't be repeated."""


Held = tuple[Array, ...]


def find_trace(
    op: Op, kinds: Sequence[Any], needs: tuple[bool, ...], attrs: Mapping[str, Any]
) -> tuple[Trace | None, Key | None, Held]:
    """The trace of a call, the key to keep one under if there could be one, and the arrays
    that the call changes.
    """
    held: Held = ()
    if op.changes:
        attrs, held = _set_apart(op, attrs)
    key: Key
    if type(attrs) is Attributes:
        key = (*kinds, needs, attrs)
    elif op.integers or (op.integers is None and declared_integers(op)):
        # the types, too: what is right for 1 must not be found for 1.0
        key = (*kinds, needs, *attrs.items(), *map(type, attrs.values()))
    else:
        key = (*kinds, needs, *attrs.items())
    if type(attrs) is not Attributes and op.name in WITH_ZEROS:
        key += signs_of_zeros(attrs)
    try:
        found = op.plans.get(key)
    except TypeError:  # an attribute is not hashable
        return None, None, held
    if found is None:
        return None, key, held
    return found or None, None, held


def signs_of_zeros(attrs: Mapping[str, Any]) -> tuple[float, ...]:
    """What tells 0.0 from -0.0: they are one key and two numbers."""
    signs: tuple[float, ...] = ()
    for value in attrs.values():
        if type(value) is float and value == 0:
            signs += (math.copysign(1.0, value),)
    return signs


def _set_apart(op: Op, attrs: Mapping[str, Any]) -> tuple[dict[str, Any], Held]:
    """The attributes with layouts in place of the arrays that a call changes; and those."""
    if type(attrs) is Changing:
        return attrs.plain, (attrs[op.changes[0]],)
    plain = dict(attrs)
    held: list[Array] = []
    for name in op.changes:
        value = plain.get(name)
        if type(value) is tuple:
            layouts: list[bytes | None] = []
            for x in value:
                if x is None:
                    layouts.append(None)
                else:
                    layouts.append(x._layout or x.layout())
                    held.append(x)
            plain[name] = tuple(layouts)
        elif value is not None:
            plain[name] = value.layout()
            held.append(value)
    return plain, tuple(held)


def _put_back(
    op: Op, plain: Mapping[str, Any], held: Sequence[Array]
) -> dict[str, Any]:
    """The attributes that `_set_apart` took apart, with other arrays."""
    attrs, each = dict(plain), iter(held)
    for name in op.changes:
        value = plain.get(name)
        if type(value) is tuple:
            attrs[name] = tuple([None if x is None else next(each) for x in value])
        elif value is not None:
            attrs[name] = next(each)
    return attrs


def run_rule(
    op: Op,
    ctx: Any,
    key: Key | None,
    arrays: Sequence[Array | None],
    needs: tuple[bool, ...],
    attrs: Mapping[str, Any],
) -> Any:
    """Run a forward rule, the first time of its kind (`key`) with a watch on it."""
    if key is None:
        return op.forward(ctx, needs, *arrays, **attrs)
    watch = Watch(op, arrays, needs, attrs)
    if watch.are_apart():
        result = watch.run(ctx)
        watch.keep(key, ctx, result)
        return result
    if not op.changes:
        # which input a kernel reads shows only where each has memory of its own
        rehearsal = type(ctx)(attrs)
        watch = Watch(op, [_stand_in(x) for x in arrays], needs, attrs)
        watch.keep(key, rehearsal, watch.run(rehearsal))
    return op.forward(ctx, needs, *arrays, **attrs)


def _stand_in(x: Array | None) -> Array | None:
    """The same array, which passes for one with memory of its own."""
    if x is None:
        return None
    storage = Storage(x.storage.address, x.storage.nbytes, x.storage)
    return Array(storage, x.offset, x.shape, x.strides, x.dtype, x.layout())


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
        self.plain, self.held = _set_apart(op, attrs)
        # kernel calls, and what gives a value without one
        self.steps: list[KernelCall | Give] = []
        # the inputs, what else the call changes, then what kernels wrote and constants;
        # kept, so that no memory comes twice
        self.values: list[Array | None] = []
        # the number of the first value in a storage, by the storage's id
        self._places: dict[int, int] = {}
        for each in (*arrays, *self.held):
            self._append(each)
        self.given = len(self.values)
        self._versions = self._given_versions()
        # places of the given whose version the call counts on, and by how much
        self.counted: tuple[tuple[int, int], ...] = ()
        self._thread = threading.get_ident()
        self._refused = not all(_is_plain(each) for each in self.plain.values())

    def are_apart(self) -> bool:
        """Whether the given arrays have memory of their own each."""
        storages = [id(x.storage) for x in self.values if x is not None]
        return len(set(storages)) == len(storages)

    def _given_versions(self) -> list[int]:
        given = self.values[: self.given]
        return [0 if x is None else x.storage.version for x in given]

    def run(self, ctx: Any) -> Any:
        """Run the forward rule."""
        with counted_reads() as reads:
            # the shape rule may look at values, too
            self.op.rule(*self.arrays, **self.attrs)
            with witnessed(self._note) as watching:
                result = self.op.forward(ctx, self.needs, *self.arrays, **self.attrs)
            self._refused |= not watching or reads() != 0
        after = enumerate(zip(self._given_versions(), self._versions))
        self.counted = tuple([(i, new - old) for i, (new, old) in after if new != old])
        return result

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
        self.steps.append(KernelCall(name, seen, made, tuple(ints), tuple(floats)))
        pairs = zip(writes, made)
        for x, how in pairs:
            if isinstance(how, Made):
                self._append(x)

    def _append(self, array: Array | None) -> None:
        if array is not None:
            self._places.setdefault(id(array.storage), len(self.values))
        self.values.append(array)

    def _see(self, array: Any) -> Seen | list[Any]:
        if array is None:
            return Seen(None)
        if type(array) is list:
            return [self._see(each) for each in array]
        if type(array) is not Array:
            raise _Refused
        if self._place(array) is None and is_constant(array):
            self._add(array, lambda: array)
        return self._part(array).seen(array.dtype)

    def _make(self, array: Any) -> Made | Seen | None:
        if array is None:
            return None
        if type(array) is not Array:
            raise _Refused
        if self._place(array) is None:
            storage, dtype = array.storage, array.dtype
            if storage.version or storage.is_shared():
                raise _Refused
            size = storage.nbytes // array.itemsize
            if not array.offset and array.size == size and array.is_dense():
                return Made(array.shape, dtype, array.strides)
            # a part of what nothing was written to so far
            whole = Array(storage, 0, (size,), (1,), dtype)
            self._add(whole, lambda: empty((size,), dtype))
        return self._part(array).seen(array.dtype)

    def _add(self, array: Array, step: Give) -> None:
        """Let a step that runs no kernel give the array."""
        self.steps.append(step)
        self._append(array)

    def _place(self, array: Array) -> int | None:
        """The number of the value whose memory an array shows."""
        return self._places.get(id(array.storage))

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
            keep_calls(plans)
        if len(plans) >= MOST:
            plans.clear()
        # kept attributes are others for another zero
        kept = type(self.plain) is Attributes
        signs = () if kept else signs_of_zeros(self.plain)
        if signs and self.op.name not in WITH_ZEROS:
            WITH_ZEROS.add(self.op.name)
            key += signs
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
        self._make_as_shown(parts)
        parts = [self._part(each) for each in outputs + hidden]
        shown: int | slice | None = 0 if hidden else None
        if type(result) is tuple:
            shown = slice(len(outputs))
        trace = Trace(self, outputs, parts, shown, self._again(type(ctx)))
        trace.places[self.needs] = tuple(places)
        trace.info = ctx.info
        return trace

    def _make_as_shown(self, parts: Sequence[_Part]) -> None:
        """Let kernels make what is given in one other shape, as of a reduction without
        its axes, in that shape at once.
        """
        place = self.given
        for i, step in enumerate(self.steps):
            if not isinstance(step, KernelCall):
                place += 1
                continue
            writes = list(step.writes)
            for j, made in enumerate(writes):
                if not isinstance(made, Made):
                    continue
                shown = {each for each in parts if each.place == place}
                if len(shown) == 1:
                    writes[j] = self._as_shown(place, made, *shown)
                place += 1
            self.steps[i] = step._replace(writes=writes)

    def _as_shown(self, place: int, made: Made, part: _Part) -> Made:
        value: Any = self.values[place]
        if part.shift or math.prod(part.shape) != value.size:
            return made
        shown = value.view(part.shape, part.strides)
        if not shown.is_dense():
            return made
        self.values[place] = shown
        seen = (made.shape, made.strides)
        return Made(part.shape, made.dtype, part.strides, seen)

    def _again(self, context: Any) -> Callable[[Sequence[Any], Held], Any]:
        """The rule itself, which says what is wrong where a kernel fails."""
        op, needs, plain = self.op, self.needs, self.plain

        def run(inputs: Sequence[Any], held: Held) -> Any:
            attrs = _put_back(op, plain, held)
            return op.forward(context(attrs), needs, *inputs, **attrs)

        return run

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


def _prepared(step: KernelCall | Give) -> Prepared:
    if isinstance(step, KernelCall):
        return prepare(*step)
    give = step
    return lambda values, floats: give()


class Trace(Plan):
    """The kernel calls of an op, and which of their arrays it gives and saves.

    Args:
        watch: has seen the call.
        outputs: what the op gave.
        parts: the outputs and, after them, what else is saved.
        shown: which of these are the op's result, see `Plan`.
        again: the rule itself.
    """

    __slots__ = ()

    def __init__(
        self,
        watch: Watch,
        outputs: Sequence[Array],
        parts: Sequence[_Part],
        shown: int | slice | None,
        again: Callable[[Sequence[Any], Held], Any],
    ) -> None:
        super().__init__([Spec(each.shape, each.dtype) for each in outputs])
        self.shapes = tuple([None if x is None else x.shape for x in watch.arrays])
        self.dtypes = tuple([None if x is None else x.dtype for x in watch.arrays])
        self.shown = shown
        results = []
        for part in parts:
            value: Any = watch.values[part.place]
            view = None if part.shows(value) else part.viewer(value.dtype)
            results.append((part.place, view))
        given, more, bare = len(watch.arrays), len(watch.held), shown is None
        launch = prepare_chain(watch.steps, given, more, results, bare)
        if launch is None:
            launch = _one_by_one(
                [_prepared(each) for each in watch.steps], results, bare
            )
        self.call = guarded(launch, again, watch.counted)


# A function and not a method of the trace: a trace that had its own method as an attribute
# would be freed by the garbage collector alone.
def _one_by_one(
    steps: Sequence[Prepared], results: Sequence[tuple[int, Any]], bare: bool
) -> Prepared:
    """What `prepare_chain` makes one function of, where it can't."""

    def launch(inputs: Sequence[Any], held: Held) -> Any:
        values = [*inputs, *held]
        for step in steps:
            made = step(values, ())
            if type(made) is tuple:
                values += made
            else:
                values.append(made)
        found = [
            values[i] if view is None else view((values[i],), ()) for i, view in results
        ]
        return found[0] if bare else tuple(found)

    return launch
