"""Gradients whose rule was watched once: from then on its calls alone.

Which ops a vjp calls, on what, follows from the plan of the forward call (layouts,
attributes, which inputs need a gradient) and the layouts of the gradients that come in.
So the first call of a kind is watched, and later ones of that kind repeat the plans of its
calls, on arrays, without a tensor in between; where each is one kernel or a view, as one
function of kernel calls.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from pyautodl.backends import Array, KeptCalls, Prepared, prepare_chain
from pyautodl.backends.array import counted_reads
from pyautodl.ops.forward_trace import signs_of_zeros
from pyautodl.ops.plan import MOST, KernelPlan, ViewPlan

__all__ = ["NEW", "REPEATS", "Repeat", "kind_of", "watch_gradients"]

Key = tuple[Any, ...]
# the result of a call, its plan (None: there is none yet, False: there will be none), its
# arrays and floats
Called = tuple[Any, Any, Sequence[Array | None], Any]

# by plan, needs and layouts; None where the rule can't be repeated
REPEATS = KeptCalls(MOST)
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
    seen = _Seen(node)
    watch = _Watch(seen.saved, grads, call)
    results: tuple[Any, ...]
    with counted_reads() as reads:
        results = node.op.vjp(watch.call, seen, node.needs, *grads)
        if reads():
            watch.repeatable = False
    if watch.repeatable is not None:
        complete = _are_complete(node, results)
        REPEATS.keep(key, watch.repeat(results, complete) if watch.repeatable else None)
    return results


def _are_complete(node: Any, results: Sequence[Any]) -> bool:
    """Whether each input that wants a gradient gets one, of its own shape."""
    return all(
        not need or (grad is not None and grad._array.shape == shape)
        for need, grad, shape in zip(node.needs, results, node.shapes, strict=True)
    )


class _Watch:
    """Notes the calls of a vjp.

    Args:
        saved, grads: the tensors that the vjp is given.
        call: see `watch_gradients`.
    """

    def __init__(
        self, saved: Sequence[Any], grads: Sequence[Any], call: Callable[..., Called]
    ) -> None:
        given = [*saved, *grads]
        self._call = call
        # None, what is given, then what calls gave; all kept, so that no id comes twice
        self._tensors: list[Any] = [None, *given]
        self._places = {id(x): i for i, x in enumerate(self._tensors)}
        present = [id(x) for x in given if x is not None]
        # None: not this time, as a kernel is not prepared yet, or what is given is not apart
        self.repeatable: bool | None = len(set(present)) == len(present) or None
        self._steps: list[tuple[Any, ...]] = []
        self._kernels = _Kernels(len(saved), len(given))

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
            if self.repeatable:
                self._kernels.add(plan, places, floats)
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
        self._kernels.add_constant(array)
        return self._add(array)

    def repeat(self, results: Sequence[Any], complete: bool) -> Repeat | None:
        """How to do the same again; None if a result came from elsewhere."""
        places: list[Any] = [
            0 if x is None else self._places.get(id(x)) for x in results
        ]
        if None in places:
            return None
        chain = self._kernels.chain(places)
        run = chain or _written_as_steps(self._steps, places)
        first, last = self._kernels.saved, self._kernels.given
        passed = [
            place - 1 - first if first < place <= last else None for place in places
        ]
        return Repeat(run, passed, complete, chain is not None)


class _Value(NamedTuple):
    """What a place holds, among the arrays of a chain.

    Attributes:
        number: of the array.
        shift: of a view, how many elements from the array's start.
        view: what makes the view of the array; None: it is the array.
    """

    number: int
    shift: int = 0
    view: Prepared | None = None


class _Kernels:
    """The calls of a vjp as kernel calls alone, if that is all that they are.

    Args:
        saved: how many of the tensors that are given are saved; the others are gradients.
        given: how many there are.
    """

    def __init__(self, saved: int, given: int) -> None:
        self.saved, self.given, self._arrays = saved, given, given
        # of each place; the first is that of nothing
        self._values = [_Value(i) for i in range(-1, given)]
        self._steps: list[Any] = []
        self._complete = True

    def add(self, plan: Any, places: Sequence[int], floats: Sequence[float]) -> None:
        """Add a call, whose results get the next places."""
        if not self._complete:
            return
        values = [self._values[place] for place in places]
        if type(plan) is ViewPlan:
            of, call = values[0], plan.call
            self._values.append(
                _Value(of.number, of.shift + plan.shift, _after(of.view, call))
            )
        elif type(plan) is KernelPlan:
            numbers = [each.number for each in values]
            shifts = [each.shift for each in values]
            self._steps.append(plan.kernel_call(numbers, shifts, floats))
            made = [_Value(self._arrays + i) for i in range(plan.count_made())]
            self._arrays += len(made)
            shown: Any = made if plan.shown is None else made[plan.shown]
            self._values += shown if isinstance(shown, list) else [shown]
        else:
            self._complete = False

    def add_constant(self, array: Array | None) -> None:
        """Add an array that is the same at each call, and gets the next place."""
        self._steps.append(lambda: array)
        self._values.append(_Value(self._arrays))
        self._arrays += 1

    def chain(self, places: Sequence[int]) -> Prepared | None:
        """All calls as one function whose results have these places, if that can be."""
        if not self._complete or not self._steps:
            return None
        values = [self._values[place] for place in places]
        shown = [(None if v.number < 0 else v.number, v.view) for v in values]
        return prepare_chain(self._steps, self.given, 0, shown, bare=False)


def _after(first: Prepared | None, call: Prepared) -> Prepared:
    """The view that a plan's call makes of an array or of a view of it."""
    if first is None:
        return call
    return lambda inputs, floats: call((first(inputs, floats),), ())


def _written_as_steps(
    steps: Sequence[tuple[Any, ...]], results: Sequence[int]
) -> Prepared:
    """The calls of a vjp one by one, as a function like that of a chain.

    Args:
        steps: (a plan's call, which of its results are shown, places of the inputs among
            nothing, what is given and what steps gave, floats).
        results: places of the gradients of the inputs.
    """

    def run(arrays: Sequence[Any], _: Any) -> tuple[Any, ...]:
        values: list[Any] = [None, *arrays]
        for call, shown, places, floats in steps:
            made = call([values[i] for i in places], floats)
            if shown is not None:
                made = made[shown]
            if type(made) is tuple:
                values += made
            else:
                values.append(made)
        return tuple([values[place] for place in results])

    return run


class Repeat:
    """The calls of a vjp.

    Attributes:
        run: (saved arrays and, after them, the gradients that come in; ()) -> the gradients
            of the inputs, None where there is none.
        complete: whether each input that wants a gradient gets one, of its own shape.
        chained: whether `run` is one function of kernel calls.
        passed: (number of a result, number of the gradient that comes in and is it).
    """

    __slots__ = ("chained", "complete", "passed", "run")

    def __init__(
        self,
        run: Prepared,
        passed: Sequence[int | None],
        complete: bool,
        chained: bool,
    ) -> None:
        """`passed` says which of the gradients that come in a result is, if it is one."""
        self.run, self.complete, self.chained = run, complete, chained
        self.passed = tuple(
            [(i, number) for i, number in enumerate(passed) if number is not None]
        )

    def __call__(
        self, arrays: Sequence[Any], grads: Sequence[Any], make: Callable[..., Any]
    ) -> tuple[Any, ...]:
        """The gradients of the inputs as tensors.

        Args:
            arrays: see `run`.
            grads: the gradients that come in.
            make: makes a tensor.
        """
        results = [
            None if array is None else make(array, None, False)
            for array in self.run(arrays, ())
        ]
        for i, number in self.passed:
            results[i] = grads[number]
        return tuple(results)
