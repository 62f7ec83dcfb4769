"""Calls of prepared kernels, one after the other, as one function.

Which arrays a kernel reads, how many it makes and which of them outlive the calls is fixed
when they are prepared; the function that C makes of it goes over addresses alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from pyautodl.backends.native import dispatch, float_count, prepared_address

__all__ = ["Give", "Launch", "Result", "launcher"]


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


# gives an array without a kernel
Give = Callable[[], Any]
# an array's number (None: nothing), and what makes of the array that of the result; None:
# it is that
Result = tuple[int | None, Callable[[Any], Any] | None]


def launcher(
    steps: Sequence[Launch | Give],
    given: int,
    more: int = 0,
    results: Sequence[Result] | None = None,
    bare: bool = False,
) -> Callable[[Sequence[Any], Any], Any]:
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
    found: Callable[[Sequence[Any], Any], Any] = dispatch.Launch(
        tuple([_for_c(each) for each in steps]), given, more, tuple(results), bare
    )
    return found


def _for_c(step: Launch | Give) -> Any:
    """A step as `dispatch.Launch` takes it."""
    if not isinstance(step, Launch):
        return step
    name, prepared, addressed, made, floats = step
    address = prepared_address(prepared)
    return name, prepared, address, addressed, made, floats, float_count(name)
