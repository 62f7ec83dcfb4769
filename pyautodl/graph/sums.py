"""Gradients on their way: sums of several, and memory that is used again."""

from __future__ import annotations

import sys
from typing import Any

from pyautodl.backends import (
    Array,
    KeptCalls,
    Prepared,
    empty_strides_like,
    prepare,
)
from pyautodl.errors import GradError
from pyautodl.graph.binding import BOUND
from pyautodl.graph.stale import note_sum
from pyautodl.ops.plan import MOST, in_order, seen
from pyautodl.ops.record import OPS

__all__ = ["Masked", "Sum", "accumulate", "add", "receive", "value_of"]


# elements from which on the first sum of two gradients looks for memory to use again
_LARGE = 1 << 16

# What getrefcount says of a gradient that the engine alone has.
# its storage: the Array's reference and the argument
_UNSHARED = 2
# its array: the tensor's slot, the caller's variable, the argument and getrefcount's
_ARRAY_REFERENCES = 4
# in _may_overwrite: the list of what is pending, deliver's variable, add's, the argument and
# getrefcount's
_HELD_REFERENCES = 5
# in receive: its variable and getrefcount's
_RECEIVED_REFERENCES = 2
# in accumulate: its variable, the caller's, the argument and getrefcount's
_TENSOR_REFERENCES = 4


class Sum:
    """A gradient that was added up in memory of its own."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value


class Masked:
    """The gradient of a ReLU, its mask not yet applied.

    The node it is for applies it on the way, if it gets no other gradient and nobody
    looks at this one.
    """

    __slots__ = ("grad", "output")

    def __init__(self, grad: Any, output: Any) -> None:
        self.grad = grad
        self.output = output

    def value(self) -> Any:
        """The gradient with the mask applied."""
        return BOUND.call_unrecorded("relu_grad", self.grad, self.output)


def add(held: Any, grad: Any, create_graph: bool) -> Any:
    """The sum of a gradient, or a `Sum` of them, and another."""
    if type(held) is Sum:
        add_into(held.value._array, grad._array)
        return held
    if type(held) is Masked:
        held = held.value()
    array = held._array
    if array.size >= _LARGE and not create_graph and _may_overwrite(held, array, grad):
        add_into(array, grad._array)
        return Sum(held)
    value = BOUND.call("add", held, grad)
    return value if create_graph else Sum(value)


def _may_overwrite(held: Any, array: Array, grad: Any) -> bool:
    """Whether the engine alone has a gradient, so that another may be added into it."""
    storage = array.storage
    other = grad._array
    return (
        sys.getrefcount(held) <= _HELD_REFERENCES
        and sys.getrefcount(array) <= _ARRAY_REFERENCES
        # the array's reference, the variable's and the argument
        and sys.getrefcount(storage) <= _UNSHARED + 1
        and not (storage.foreign or storage.exports)
        and array.is_dense()
        and array.dtype is other.dtype
        and array.shape == other.shape
        and array.strides == other.strides
    )


def value_of(held: Any) -> Any:
    """The gradient itself, be it a `Sum` or not."""
    return held.value if type(held) is Sum else held


def add_into(target: Array, other: Array) -> None:
    """target += other, by the op's own kernel."""
    key = (target._layout or target.layout(), other._layout or other.layout())
    found = _adders.get(key)
    if found is None:
        found = _prepare_adder(target, other)
        _adders.keep(key, found)
    found((target, other), ())
    target.storage.version += 1


# by the layouts of both arrays
_adders = KeptCalls(MOST)


def _prepare_adder(target: Array, other: Array) -> Prepared:
    if target.shape != other.shape or target.dtype is not other.dtype:
        raise GradError(
            f"backward: a leaf's grad is {target.dtype.name} of shape {target.shape}, what "
            f"is to be added {other.dtype.name} of shape {other.shape}; likely fix: set "
            "grad to None when the leaf's data is replaced"
        )
    OPS["add"].rule(target, other)
    reads = [seen(0, target), seen(1, other)]
    return prepare("add", reads, reads[:1], ())


def accumulate(leaf: Any, grad: Any, owned: bool, create_graph: bool) -> None:
    """leaf.grad += grad; the leaf's gradient shares memory with no other tensor."""
    if leaf._grad is not None:
        if create_graph:
            leaf._grad = BOUND.call("add", leaf._grad, grad)
        else:
            _add_to(leaf, grad._array)
        return
    array = grad._array
    alone = sys.getrefcount(array.storage) == _UNSHARED and _is_alone(grad, array)
    if create_graph and grad.requires_grad:
        leaf._grad = grad if alone else BOUND.call("mul", grad, 1.0)
        return
    _put(leaf, array, owned or alone)


def receive(leaf: Any, array: Array) -> None:
    """The same for a gradient without a tensor that is not recorded."""
    if leaf._grad is not None:
        _add_to(leaf, array)
        return
    # counted before the call of _put, which would be one more reference
    alone = (
        sys.getrefcount(array.storage) == _UNSHARED
        and sys.getrefcount(array) <= _RECEIVED_REFERENCES
    )
    _put(leaf, array, alone)


def _add_to(leaf: Any, array: Array) -> None:
    """leaf.grad += array; in memory of its own, if elements of the gradient share theirs."""
    target = leaf._grad._array
    if 0 in target.strides and target.repeats_elements():
        target = in_order(target)
        leaf._grad = BOUND.make(target, None, False)
    add_into(target, array)
    note_sum(leaf, leaf._grad)


def _put(leaf: Any, array: Array, owned: bool) -> None:
    """Make an array, or a copy of it, the gradient of a leaf, laid out as that."""
    storage = array.storage
    like = empty_strides_like(array.shape, leaf._array.strides)
    shared = storage.foreign or storage.exports
    if not owned or array.strides != like or shared:
        array = in_order(array, like)
    leaf._grad = BOUND.make(array, None, False)


def _is_alone(grad: Any, array: Array) -> bool:
    return (
        sys.getrefcount(grad) <= _TENSOR_REFERENCES
        and sys.getrefcount(array) <= _ARRAY_REFERENCES
    )
