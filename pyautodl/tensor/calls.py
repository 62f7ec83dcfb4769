"""`apply`, the one way from a tensor to an op.

What it does stands here in Python. Calls of a kind that was seen before are the most, and
C does the same for them (csrc/dispatch/apply.c), which comes back here for all others.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pyautodl import backends
from pyautodl._module_stack import STACK
from pyautodl.backends import Array, native
from pyautodl.backends.dtypes import BOOLEAN, FLOATING, DType
from pyautodl.errors import tensor_fix, warn
from pyautodl.graph import (
    MODE,
    NODE_NUMBERS,
    Context,
    Edge,
    Node,
    bind,
    keep,
    record,
    record_planned,
)
from pyautodl.ops.forward_trace import WITH_ZEROS, find_trace, run_rule
from pyautodl.ops.gradient_trace import Called
from pyautodl.ops.integers import with_integers
from pyautodl.ops.plan import look_up
from pyautodl.ops.record import OPS, Attributes, Changing, Op, Spec
from pyautodl.tensor.core import Tensor, make
from pyautodl.tensor.explain import ExplainedError
from pyautodl.tensor.properties import get_default_dtype
from pyautodl.tensor.protocols import BOUND
from pyautodl.tensor.views import ONE_OF_SEVERAL, UNRECORDED, mark_views

__all__ = [
    "NUMBERS",
    "apply",
    "apply_known",
    "call",
    "call_unrecorded",
    "constant_array",
]

# what stands for a 0-dimensional tensor
NUMBERS: Any = (int, float, np.generic)


def _operand_dtype(inputs: Sequence[Any]) -> DType:
    """That of the first tensor; a bool one is a condition, if there is another."""
    dtypes = [each._array.dtype for each in inputs if isinstance(each, Tensor)]
    numbers = [dtype for dtype in dtypes if dtype.category != BOOLEAN]
    return (numbers or dtypes or [get_default_dtype()])[0]


def constant_array(op: Op, value: Any, inputs: Sequence[Any]) -> Array:
    """An input that is a number."""
    # a number has no memory that a view could show
    of_nothing = op.view and value is inputs[0]
    if of_nothing or not isinstance(value, NUMBERS):
        raise TypeError(
            f"{op.name}: expected a tensor, got {type(value).__name__}; likely fix: "
            f"{tensor_fix(value)}"
        )
    return backends.constant(value, _operand_dtype(inputs), op.name)


def apply_in_python(op: Op, *inputs: Any, **attrs: Any) -> Any:
    """Run an op on tensors and record the call if an input needs a gradient.

    Args:
        op: the record of the op.
        inputs: tensors, None where an input is absent, or numbers, which become
            constants of the first tensor's element type.
        attrs: the op's attributes.

    Returns:
        A tensor, or a tuple of them where the op has several outputs.
    """
    return apply_anew(op, inputs, attrs)


def apply_anew(op: Op, inputs: Sequence[Any], attrs: Mapping[str, Any]) -> Any:
    """`apply` with attributes that are kept, see `Attributes`."""
    try:
        return _apply_anew(op, inputs, attrs)
    except AttributeError as error:
        if error.obj is None and any(x is None for x in inputs):
            raise ExplainedError(
                f"{op.name}: expected a tensor, got None; likely fix: {tensor_fix(None)}"
            ) from error
        raise


def _apply_anew(op: Op, inputs: Sequence[Any], attrs: Mapping[str, Any]) -> Any:
    if MODE.maps:
        of_batch = BOUND["apply_mapped"](op, inputs, attrs)
        if of_batch is not None:
            return of_batch
    arrays: list[Array | None] = []
    layouts: list[bytes | None] = []
    edges: list[Edge | None] = []
    wanted: list[bool] = []
    for x in inputs:
        if isinstance(x, Tensor):
            if x._base is not None:
                x._follow_base()
            array = x._array
            arrays.append(array)
            layouts.append(array._layout or array.layout())
            if x._requires_grad:
                edges.append(x._edge or (x, 0))
                wanted.append(True)
                continue
        elif x is None:
            arrays.append(None)
            layouts.append(None)
        else:
            array = constant_array(op, x, inputs)
            arrays.append(array)
            layouts.append(array.layout())
        edges.append(None)
        wanted.append(False)
    needs = tuple(wanted)
    recording = True in needs
    if recording and not MODE.enabled:
        recording, needs = False, (False,) * len(needs)
    if op.plan is not None:
        plan = look_up(op, layouts, arrays, attrs)
        floats = op.params(**attrs) if attrs and op.params else plan.floats
    else:
        plan, key, floats = find_trace(op, layouts, needs, attrs)
    if plan is not None:
        result = plan.call(arrays, floats)
        node = None
        if recording and plan.differentiable:
            node = record_planned(op, plan, attrs, needs, arrays, edges, result)
        if plan.shown is not None:
            result = result[plan.shown]
    else:
        plain = with_integers(op, attrs)
        if plain is not attrs:
            return apply_anew(op, inputs, plain)
        recording = _differentiable(op.rule(*arrays, **attrs)) and recording
        ctx = Context(attrs)
        saving = needs if recording else (False,) * len(arrays)
        result = run_rule(op, ctx, key, arrays, saving, attrs)
        node = record(op, ctx, needs, arrays, edges, result) if recording else None
    if type(result) is tuple:
        many = tuple([_output(node, i, array) for i, array in enumerate(result)])
        if op.view:
            mark_views(inputs[0], many)
        return many
    output = make(result, None if node is None else (node, 0), node is not None)
    if op.view:
        mark_views(inputs[0], (output,))
    elif node is not None and op.name == "add":
        _warn_if_released(edges, arrays)
    return output


def _differentiable(specs: tuple[Spec, ...]) -> bool:
    """Whether an output can have a gradient."""
    if len(specs) == 1:
        return specs[0].dtype.category == FLOATING
    return any(spec.dtype.category == FLOATING for spec in specs)


def _output(node: Node | None, number: int, array: Array) -> Tensor:
    """One of several outputs; some of them may be integers."""
    if node is None or array.dtype.category != FLOATING:
        return make(array, None, False)
    return make(array, (node, number), True)


def _warn_if_released(
    edges: Sequence[Edge | None], arrays: Sequence[Array | None]
) -> None:
    """`total += loss` keeps what is left of every step's graph alive."""
    for edge, array in zip(edges, arrays):
        if edge is None or array is None or array.shape:
            continue
        if type(edge[0]) is Node and edge[0].released:
            warn(
                "add: a tensor whose graph backward has already freed is added to another, "
                "which keeps the graphs of all steps alive; use loss.item()"
            )
            edge[0].released = False
            return


def call(op: str, *inputs: Any, **attrs: Any) -> Any:
    """`apply` by the op's name, as gradients use it."""
    return apply_known(OPS[op], inputs, attrs)


def call_unrecorded(op: str, *inputs: Any, **attrs: Any) -> Any:
    """`call` in a backward pass that is not recorded itself.

    The inputs come from a call that was checked when it ran, and nothing of this one is
    kept, so only the forward rule is left.
    """
    return call_watched(op, inputs, attrs)[0]


def call_watched(op: str, inputs: Sequence[Any], attrs: Any) -> Called:
    """`call_unrecorded` that also says by what plan the op ran, see `ops.gradient_trace`."""
    found = OPS[op]
    arrays: list[Array | None] = []
    layouts: list[bytes | None] = []
    for x in inputs:
        if x is None:
            arrays.append(None)
            layouts.append(None)
            continue
        if isinstance(x, Tensor):
            array = x._array
        else:
            array = backends.constant(x, _operand_dtype(inputs))
        arrays.append(array)
        layouts.append(array._layout or array.layout())
    if found.plan is not None:
        plan = look_up(found, layouts, arrays, attrs)
        floats = found.params(**attrs) if attrs and found.params else plan.floats
    else:
        needs = (False,) * len(arrays)
        plan, key, floats = find_trace(found, layouts, needs, attrs)
    if plan is not None:
        result = plan.call(arrays, floats)
        if plan.shown is not None:
            result = result[plan.shown]
    else:
        result = run_rule(found, Context(attrs), key, arrays, needs, attrs)
        plan = False if key is None else None
    if found.changes:
        plan = False
    if type(result) is tuple:
        made: Any = tuple([make(array, None, False) for array in result])
    else:
        made = make(result, None, False)
    return made, plan, arrays, floats


apply, apply_known = apply_in_python, apply_anew
if native.available:
    _TOOLS = {
        "anew": apply_anew,
        "constant_array": constant_array,
        "with_zeros": WITH_ZEROS,
        "attributes": Attributes,
        "changing": Changing,
        "mode": MODE,
        "stack": STACK,
        "numbers": NODE_NUMBERS.__next__,
        "keep": keep,
        "warn": _warn_if_released,
        "add": OPS["add"].name,
        "floating": FLOATING,
        "one_of_several": ONE_OF_SEVERAL,
        "unrecorded": UNRECORDED,
    }
    native.dispatch.bind_tensors(Node, Tensor, _TOOLS)
    apply, apply_known = native.dispatch.apply, native.dispatch.apply_known

bind(make, call, call_unrecorded, call_watched)
BOUND["alias"] = functools.partial(call, "alias")
