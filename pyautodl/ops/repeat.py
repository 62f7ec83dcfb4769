"""Gradients whose rule was watched once: from then on its calls alone.

Which ops a vjp calls, on what, follows from the plan of the forward call (layouts,
attributes, which inputs need a gradient) and the layouts of the gradients that come in.
So the first call of a kind is watched, and later ones of that kind repeat the plans of its
calls, on arrays, without a tensor in between.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pyautodl.backends import Array, keep_prepared
from pyautodl.backends.array import READS
from pyautodl.ops.plan import MOST
from pyautodl.ops.trace import signs_of_zeros

__all__ = ["NEW", "REPEATS", "Repeat", "kind_of", "watch_gradients"]

Key = tuple[Any, ...]
# the result of a call, its plan (None: there is none yet, False: there will be none), its
# arrays and floats
Called = tuple[Any, Any, Sequence[Array | None], Any]

# by plan, needs and layouts; None where the rule can't be repeated
REPEATS: dict[Key, Repeat | None] = {}
keep_prepared(REPEATS)
# stands for what is not there so far
NEW: Any = object()


def kind_of(node: Any) -> list[Any]:
    """The part of the key that does not depend on the gradients that come in."""
    op, attrs = node.op, node.attrs
    if op.params is None or not attrs:
        return [node.plan, node.needs]
    # its plan does not depend on the attributes
    return [node.plan, node.needs, *attrs.items(), signs_of_zeros(attrs)]


class _Seen:
    """What a vjp gets for a context: the node's, and saved tensors made once."""

    __slots__ = ("attrs", "dtypes", "info", "saved", "shapes")

    def __init__(self, node: Any) -> None:
        self.attrs, self.info = node.attrs, node.info
        self.shapes, self.dtypes = node.shapes, node.dtypes
        self.saved = node.saved


def watch_gradients(
    key: Key, node: Any, grads: Sequence[Any], call: Callable[..., Called]
) -> tuple[Any, ...]:
    """Run a node's vjp, and keep how to repeat it if that can be.

    Args:
        key: to keep it under.
        node, grads: see `Node.gradients`.
        call: (op's name, inputs, attributes) -> `Called`.
    """
    seen, reads = _Seen(node), READS.count
    watch = _Watch([*seen.saved, *grads], call)
    results: tuple[Any, ...] = node.op.vjp(watch.call, seen, node.needs, *grads)
    if READS.count != reads:
        watch.repeatable = False
    if len(REPEATS) >= MOST:
        REPEATS.clear()
    if watch.repeatable is not None:
        REPEATS[key] = watch.repeat(results) if watch.repeatable else None
    return results


class _Watch:
    """Notes the calls of a vjp.

    Args:
        given: the saved tensors and the gradients.
        call: see `watch_gradients`.
    """

    def __init__(self, given: Sequence[Any], call: Callable[..., Called]) -> None:
        self._call = call
        # None, what is given, then what calls gave; all kept, so that no id comes twice
        self._tensors: list[Any] = [None, *given]
        self._places = {id(x): i for i, x in enumerate(self._tensors)}
        present = [id(x) for x in given if x is not None]
        # None: not this time, as a kernel is not prepared yet, or what is given is not apart
        self.repeatable: bool | None = len(set(present)) == len(present) or None
        self._steps: list[tuple[Any, ...]] = []

    def call(self, op: str, *inputs: Any, **attrs: Any) -> Any:
        """Run an op."""
        result, plan, arrays, floats = self._call(op, inputs, attrs)
        if plan is False:
            self.repeatable = False
        elif plan is None:
            self.repeatable = self.repeatable and None
        else:
            places = tuple([self._place(*each) for each in zip(inputs, arrays)])
            self._steps.append((plan.call, plan.shown, places, floats))
        for each in result if type(result) is tuple else (result,):
            self._add(each)
        return result

    def _add(self, value: Any) -> int:
        place = self._places[id(value)] = len(self._tensors)
        self._tensors.append(value)
        return place

    def _place(self, x: Any, array: Array | None) -> int:
        """Which tensor that is; a number becomes one more, by a step of its own."""
        place = self._places.get(id(x))
        if place is not None and self._tensors[place] is x:
            return place
        if type(x) not in (int, float, bool):
            self.repeatable = False
            return 0
        self._steps.append((lambda inputs, floats: array, None, (), ()))
        return self._add(array)

    def repeat(self, results: Sequence[Any]) -> Repeat | None:
        """How to do the same again; None if a result came from elsewhere."""
        places = [self._places.get(id(x)) for x in results]
        if None in places:
            return None
        return Repeat(self._steps, places)


class Repeat:
    """The calls of a vjp.

    Args:
        steps: (a plan's call, which of its results are shown, places of the inputs among
            nothing, what is given and what steps gave, floats).
        places: of the gradients of the inputs.
    """

    __slots__ = ("_places", "_steps")

    def __init__(self, steps: Sequence[tuple[Any, ...]], places: Sequence[Any]) -> None:
        self._steps, self._places = tuple(steps), tuple(places)

    def __call__(
        self, saved: Sequence[Any], grads: Sequence[Any], make: Callable[..., Any]
    ) -> tuple[Any, ...]:
        """The gradients of the inputs, given arrays and tensors."""
        values: list[Any] = [None, *saved]
        first = len(values)
        values += [None if grad is None else grad._array for grad in grads]
        last = len(values)
        for call, shown, places, floats in self._steps:
            made = call([values[i] for i in places], floats)
            if shown is not None:
                made = made[shown]
            if type(made) is tuple:
                values += made
            else:
                values.append(made)
        results: list[Any] = []
        tensors: dict[int, Any] = {}
        for place in self._places:
            if first <= place < last:
                results.append(grads[place - first])
            elif not place or values[place] is None:
                results.append(None)
            else:
                found = tensors.get(place)
                if found is None:
                    found = tensors[place] = make(values[place], None, False)
                results.append(found)
        return tuple(results)
