"""Plans: what a call of an op comes to, worked out once for inputs of one kind.

Small calls repeat with the same shapes, so all that depends on shapes, strides, element
types and whole-number attributes (checks, layouts, the fixed part of the kernel's
arguments) is kept in a `Plan` under that key. A call then looks its plan up, makes the
outputs and runs the kernel.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pyautodl.backends import (
    Array,
    KernelCall,
    Made,
    Prepared,
    Seen,
    contiguous_strides,
    empty,
    keep_calls,
    prepare,
    prepare_chain,
    run,
    see,
    viewer,
)
from pyautodl.backends.dtypes import FLOATING, DType
from pyautodl.backends.fields import PlanFields
from pyautodl.ops.integers import with_integers
from pyautodl.ops.record import Attributes, Op, Places, Spec

__all__ = [
    "MOST",
    "CopiedPlan",
    "KernelPlan",
    "OuterPlan",
    "Plan",
    "StepsPlan",
    "ViewPlan",
    "find_plan",
    "in_order",
    "look_up",
    "planned",
    "seen",
]

Ints = tuple[int, ...]

# plans of one op; more shapes than that, and it starts anew
MOST = 4096


class Plan(PlanFields):
    """What a call comes to.

    `call` is an attribute, or a method of the subclass. A method that is put into the
    attribute would hold the plan, which only the garbage collector could free then.

    Attributes:
        specs: the outputs' shapes and element types; of a shape that depends on values the
            largest.
        call: (inputs, floats) -> the output, or a tuple of them; a trace takes the arrays
            that it changes in place of floats.
        floats: the kernel's, unless the op computes them from its attributes.
        differentiable: whether an output can have a gradient.
        shapes, dtypes: those of the inputs, None where one is absent.
        places: which of the inputs and, after them, outputs are saved, by which inputs
            need a gradient; filled as they come.
        count: how many outputs the op has.
        shown: which of what `call` gives are the op's outputs, as an index; None: all. The
            rest is for the gradient.
        info: what the gradient gets to know besides arrays.
    """

    __slots__ = ("specs",)

    call: Callable[[Sequence[Any], Any], Any]
    shapes: tuple[Ints | None, ...]
    dtypes: tuple[DType | None, ...]

    def __init__(self, specs: Sequence[Spec], floats: Sequence[float] = ()) -> None:
        self.specs = tuple(specs)
        self.count = len(specs)
        self.floats = floats
        self.shown: int | slice | None = None
        self.info: Any = None
        self.differentiable = any(spec.dtype.category == FLOATING for spec in specs)
        self.places: dict[tuple[bool, ...], Any] = {}

    def forward(self, ctx: Any, inputs: Sequence[Any], floats: Sequence[float]) -> Any:
        """The outputs, in memory that `ctx` gives."""
        raise NotImplementedError


class KernelPlan(Plan):
    """One kernel.

    Args:
        kernel: its name.
        reads: the inputs as it sees them, in its order.
        writes: the outputs; None: one that is left out.
        ints, floats: its numbers; no floats where the kernel takes some: each call brings
            its own.
        alone: only the first of the outputs is one of the op.
    """

    __slots__ = ("_ints", "_kernel", "_over", "_reads", "_writes")

    def __init__(
        self,
        kernel: str,
        reads: Sequence[Seen],
        writes: Sequence[Made | None],
        ints: Sequence[int] = (),
        floats: Sequence[float] = (),
        alone: bool = False,
    ) -> None:
        made = [each for each in writes if each is not None]
        specs = [Spec(each.shape, each.dtype) for each in made]
        super().__init__(specs[:1] if alone else specs, floats)
        self.shown = 0 if alone else None
        self._kernel, self._ints = kernel, ints
        self._reads, self._writes = reads, writes
        self._over: Prepared | None = None

    def over(self, x: Array) -> Prepared | None:
        """`call` that writes its output over the first input, an `x`; None if that has
        another shape, layout or element type.
        """
        if self._over is None:
            made = self._writes[0]
            as_it_is = Made(x.shape, x.dtype, x.strides)
            if len(self._writes) != 1 or made != as_it_is:
                return None
            place = seen(0, x)
            self._over = prepare(
                self._kernel, self._reads, [place], self._ints, self.floats
            )
        return self._over

    def __getattr__(self, name: str) -> Any:
        """`call`, prepared when it is first looked for: some plans only join a chain."""
        if name != "call":
            raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")
        self.call = prepare(
            self._kernel, self._reads, self._writes, self._ints, self.floats
        )
        return self.call

    def kernel_call(
        self,
        places: Sequence[int],
        shifts: Sequence[int] | None = None,
        floats: Sequence[float] | None = None,
    ) -> KernelCall:
        """The call as one of several, for which the inputs have other places.

        Args:
            places: of each input.
            shifts: how many elements from the start of what is there an input begins;
                default: none.
            floats: the kernel's; default: the plan's.
        """
        reads = []
        for each in self._reads:
            if each.place is not None:
                shift = each.shift + (shifts[each.place] if shifts else 0)
                each = each._replace(place=places[each.place], shift=shift)
            reads.append(each)
        given = self.floats if floats is None else floats
        return KernelCall(self._kernel, reads, self._writes, self._ints, given)

    def count_made(self) -> int:
        """How many arrays the kernel makes."""
        return sum(each is not None for each in self._writes)

    def after(self, copies: Sequence[KernelCall], places: Ints) -> Prepared | None:
        """Copies, then the kernel, as one function if that can be.

        Args:
            copies: each of one array.
            places: for each input what it is then, itself or the copy number
                `len(places)` and after.
        """
        last = self.kernel_call(places)
        first = len(places) + len(copies)
        made = self.count_made()
        results = [(first + i, None) for i in range(made)]
        return prepare_chain([*copies, last], len(places), 0, results, bare=made == 1)

    def forward(self, ctx: Any, inputs: Sequence[Any], floats: Sequence[float]) -> Any:
        outputs: list[Array] = []
        written: list[Array | None] = []
        for each in self._writes:
            if each is None:
                written.append(None)
                continue
            shape, dtype, strides, as_seen = each
            out = ctx.empty(shape, dtype, strides)
            outputs.append(out)
            written.append(out if as_seen is None else out.view(*as_seen))
        run(self._kernel, see(inputs, self._reads), written, self._ints, floats)
        return outputs[0] if len(outputs) == 1 else tuple(outputs)


class StepsPlan(Plan):
    """Several kernels, one after the other.

    Args:
        steps: their calls, each with its numbers; arrays count from the inputs on, then
            comes what each step makes. What the last one makes is the op's output.
        inputs: how many inputs there are.
    """

    __slots__ = ("_inputs", "_steps")

    def __init__(self, steps: Sequence[KernelCall], inputs: int) -> None:
        made = [each for each in steps[-1].writes if isinstance(each, Made)]
        super().__init__([Spec(each.shape, each.dtype) for each in made])
        self._steps, self._inputs = tuple(steps), inputs

    def __getattr__(self, name: str) -> Any:
        """`call`, prepared when it is first looked for."""
        if name != "call":
            raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")
        numbers = range(self._inputs, self._inputs + _count_made(self._steps))
        results = [(number, None) for number in numbers[-self.count :]]
        chain = prepare_chain(
            self._steps, self._inputs, 0, results, bare=self.count == 1
        )
        self.call = chain or _in_turn(self._steps, self.count)
        return self.call

    def forward(self, ctx: Any, inputs: Sequence[Any], floats: Sequence[float]) -> Any:
        return self.call(inputs, floats)


def _count_made(steps: Sequence[KernelCall]) -> int:
    return sum(isinstance(each, Made) for step in steps for each in step.writes)


def _in_turn(steps: Sequence[KernelCall], count: int) -> Prepared:
    """The function that runs steps one by one and returns the last `count` arrays."""

    def call(inputs: Sequence[Any], floats: Sequence[float]) -> Any:
        arrays = list(inputs)
        for step in steps:
            reads = see(arrays, step.reads)
            written: list[Array | None] = []
            for made in step.writes:
                if not isinstance(made, Made):
                    written.append(None)
                    continue
                out = empty(made.shape, made.dtype, made.strides)
                arrays.append(out)
                written.append(out if made.seen is None else out.view(*made.seen))
            run(step.name, reads, written, step.ints, step.floats)
        return arrays[-1] if count == 1 else tuple(arrays[-count:])

    return call


class ViewPlan(Plan):
    """Another view of the first input's memory, `shift` elements further on."""

    __slots__ = ("shift",)

    def __init__(self, x: Array, shape: Ints, strides: Ints, shift: int = 0) -> None:
        super().__init__([Spec(shape, x.dtype)])
        self.shift = shift
        self.call = viewer(shape, strides, x.dtype, shift)

    def forward(self, ctx: Any, inputs: Sequence[Any], floats: Sequence[float]) -> Any:
        return self.call(inputs, floats)


class OuterPlan(Plan):
    """Another plan, with something before or after it."""

    __slots__ = ("_inner",)

    def __init__(self, inner: Plan) -> None:
        super().__init__(inner.specs, inner.floats)
        self.shown, self.info = inner.shown, inner.info
        self._inner = inner

    def forward(self, ctx: Any, inputs: Sequence[Any], floats: Sequence[float]) -> Any:
        return self.call(inputs, floats)


class CopiedPlan(OuterPlan):
    """Another plan, made for a copy of input number `place` in another layout."""

    __slots__ = ("_place", "_strides")

    def __init__(
        self, inner: Plan, place: int = 0, strides: Ints | None = None
    ) -> None:
        super().__init__(inner)
        self._place, self._strides = place, strides
        self.call = self._first_call

    def _first_call(self, inputs: Sequence[Any], floats: Sequence[float]) -> Any:
        self.call = self._chain(inputs) or self._in_turn()
        return self.call(inputs, floats)

    def _chain(self, inputs: Sequence[Any]) -> Prepared | None:
        """What copies all that has to be copied and runs the kernel, if that is all."""
        copies: list[KernelCall] = []
        places = list(range(len(inputs)))
        plan: Plan = self
        while isinstance(plan, CopiedPlan):
            x = inputs[plan._place]
            made = Made(x.shape, x.dtype, plan._strides or contiguous_strides(x.shape))
            copies.append(KernelCall("copy", [seen(plan._place, x)], [made], ()))
            places[plan._place] = len(inputs) + len(copies) - 1
            plan = plan._inner
        return (
            plan.after(copies, tuple(places)) if isinstance(plan, KernelPlan) else None
        )

    def _in_turn(self) -> Prepared:
        """The copy and then the inner plan."""
        inner, place, strides = self._inner, self._place, self._strides

        def call(inputs: Sequence[Any], floats: Sequence[float]) -> Any:
            copied = list(inputs)
            copied[place] = in_order(copied[place], strides)
            return inner.call(copied, floats)

        return call


def in_order(x: Array, strides: Ints | None = None) -> Array:
    """A copy of an array in C order, or with other dense strides."""
    out = empty(x.shape, x.dtype, strides)
    run("copy", (x,), (out,))
    return out


def seen(place: int, x: Array | None) -> Seen:
    """Input number `place` as it is."""
    return Seen(None) if x is None else Seen(place, x.dtype.code, x.shape, x.strides)


def find_plan(op: Op, inputs: Sequence[Any], attrs: Mapping[str, Any]) -> Any:
    """The plan of a call, new or kept."""
    key = [None if x is None else x._layout or x.layout() for x in inputs]
    return look_up(op, key, inputs, attrs)


def look_up(
    op: Op, kinds: list[Any], inputs: Sequence[Any], attrs: Mapping[str, Any]
) -> Any:
    """The same, given the layouts of the inputs.

    Integers among attributes that are not kept are ints by now, see `ops.integers`: a plan
    for 1 would be found for 1.0.
    """
    if attrs and op.params is None:
        if type(attrs) is Attributes:
            kinds.append(attrs)
        else:
            kinds += attrs.items()
    key = tuple(kinds)
    return op.plans.get(key) or _new_plan(op, key, inputs, attrs)


def _new_plan(
    op: Op, key: tuple[Any, ...], inputs: Sequence[Any], attrs: Mapping[str, Any]
) -> Any:
    """Make the plan of a call, with all checks, and keep it."""
    attrs = with_integers(op, attrs)
    plan = op.plan(*inputs, **attrs) if op.params is None else op.plan(*inputs)  # type: ignore[misc]
    plan.shapes = tuple([None if x is None else x.shape for x in inputs])
    plan.dtypes = tuple([None if x is None else x.dtype for x in inputs])
    if len(op.plans) >= MOST:
        op.plans.clear()
    op.plans[key] = plan
    return plan


def planned(
    name: str,
    plan: Callable[..., Plan],
    saves: Callable[[tuple[bool, ...]], Places] | None = None,
    params: Callable[..., tuple[float, ...]] | None = None,
    rule: Callable[..., tuple[Spec, ...]] | None = None,
    **more: Any,
) -> Op:
    """An op whose every call is a plan: its rule and forward follow from that.

    Args:
        name: the op's name.
        plan: plan(*arrays, **attrs) -> Plan, with all checks. Attributes must be
            hashable.
        saves: saves(needs) -> which of the inputs and outputs the gradient needs.
        params: the attributes as the kernel's floats; the plan then does not depend on
            them and does not get them.
        rule: the op's, where shapes depend on values.
        **more: the other fields of the record.
    """

    def plan_rule(*arrays: Any, **attrs: Any) -> tuple[Spec, ...]:
        found: Plan = find_plan(op, arrays, attrs)
        return found.specs

    def forward(ctx: Any, needs: tuple[bool, ...], *arrays: Any, **attrs: Any) -> Any:
        found: Plan = find_plan(op, arrays, attrs)
        floats = found.floats if params is None else params(**attrs)
        result = found.forward(ctx, arrays, floats)
        ctx.info = found.info
        if saves is not None and True in needs:
            outputs = result if type(result) is tuple else (result,)
            values = (*arrays, *outputs)
            ctx.save(*[None if i is None else values[i] for i in saves(needs)])
        return result if found.shown is None else result[found.shown]

    op = Op(
        name, rule or plan_rule, forward, plan=plan, saves=saves, params=params, **more
    )
    keep_calls(op.plans)
    return op
