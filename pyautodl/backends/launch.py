"""Calls of prepared kernels, one after the other, as one function; and views.

Which arrays a kernel reads, how many it makes and which of them outlive the calls is fixed
when they are prepared; the function that C makes of it goes over addresses alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from pyautodl.backends import native
from pyautodl.backends.array import Array, pack_layout
from pyautodl.backends.dtypes import DType

__all__ = ["Give", "Launch", "Prepared", "Result", "guarded", "launcher", "viewer"]


class Launch(NamedTuple):
    """A prepared call of a kernel.

    Attributes:
        name: the kernel.
        prepared: the call, see `native.prepare`.
        addressed: the numbers of the arrays whose addresses it takes, and how many bytes
            from there.
        made: of each output that it makes the number among those of the kernel, then
            bytes, shape, strides, element type and layout.
        floats: the kernel's; None: each call brings its own.
    """

    name: str
    prepared: Any
    addressed: tuple[tuple[int | None, int], ...]
    made: tuple[tuple[Any, ...], ...]
    floats: tuple[float, ...] | None


# what a kernel's refusal comes as
_FAILURES = (IndexError, ValueError, MemoryError)

# a function (inputs, floats)
Prepared = Callable[[Sequence[Any], Any], Any]
# gives an array without a kernel
Give = Callable[[], Any]
# an array's number (None: nothing), and the function (inputs, floats) that makes of the array
# alone that of the result, see `viewer`; None: it is that
Result = tuple[int | None, Prepared | None]


def launcher(
    steps: Sequence[Launch | Give],
    given: int,
    more: int = 0,
    results: Sequence[Result] | None = None,
    bare: bool = False,
) -> Prepared:
    """The function `(inputs, floats)` that runs prepared calls one after the other.

    Arrays count from the inputs on: then come `more` that the function takes in place of
    floats, then what each step makes or gives. What a kernel made and the results do not
    have is freed after its last use, and no object stands for it.

    Args:
        steps: the calls; what gives comes before all kernels.
        given: how many inputs there are.
        more: see above.
        results: what the function returns; default: all that was made.
        bare: whether a single result is returned without a tuple around it.
    """
    if results is None:
        first = given + more
        count = sum(len(each.made) if isinstance(each, Launch) else 1 for each in steps)
        results = [(i, None) for i in range(first, first + count)]
    found: Prepared = native.dispatch.Launch(
        tuple([_for_c(each) for each in steps]), given, more, tuple(results), bare
    )
    return found


def viewer(
    shape: tuple[int, ...], strides: tuple[int, ...], dtype: DType, shift: int = 0
) -> Prepared:
    """The function `(inputs, floats)` that gives another view of the first input, `shift`
    elements further on.
    """
    layout = pack_layout(dtype.code, shape, strides)
    if native.available:
        view: Prepared = native.dispatch.View(
            shape, strides, layout, shift, shift * dtype.itemsize
        )
        return view

    def call(inputs: Sequence[Any], floats: Any) -> Array:
        x = inputs[0]
        return Array(x.storage, x.offset + shift, shape, strides, dtype, layout)

    return call


def guarded(
    call: Prepared,
    again: Callable[[Sequence[Any], Any], Any],
    counted: Sequence[tuple[int, int]],
) -> Prepared:
    """Kernel calls, a failure of which the rule itself explains, and the versions after.

    Args:
        call: a function `(inputs, floats)`, see `launcher`.
        again: the rule as such a function.
        counted: (number of an input, how often its memory is changed).
    """
    if native.available and isinstance(call, native.dispatch.Launch):
        call.guard(again, tuple(counted))
        return call

    def checked(inputs: Sequence[Any], floats: Any) -> Any:
        try:
            results = call(inputs, floats)
        except _FAILURES:
            again(inputs, floats)
            raise
        for place, by in counted:
            (*inputs, *floats)[place].storage.version += by
        return results

    return checked


def _for_c(step: Launch | Give) -> Any:
    """A step as `dispatch.Launch` takes it."""
    if not isinstance(step, Launch):
        return step
    name, prepared, addressed, made, floats = step
    address = native.prepared_address(prepared)
    return name, prepared, address, addressed, made, floats, native.float_count(name)
