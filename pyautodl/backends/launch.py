"""Calls of prepared kernels, written out as Python functions.

Which arrays a kernel reads, how many it makes and which of them outlive the calls is fixed
when they are prepared. A function that names them one by one takes half the time of loops
over lists of them, so its text is made from a pattern, once for each pattern.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from pyautodl.backends.array import whole
from pyautodl.backends.native import (
    call_packed,
    call_prepared,
    failure,
    free,
    output,
    packer,
)

__all__ = ["Give", "Launch", "Result", "launcher"]

# what a written-out function works with
_TOOLS = {
    "call_packed": call_packed,
    "call_prepared": call_prepared,
    "failure": failure,
    "free": free,
    "output": output,
    "whole": whole,
}


class Launch(NamedTuple):
    """A prepared call of a kernel.

    Attributes:
        name: the kernel.
        prepared: the call, see `native.prepare`.
        addressed: the numbers of the arrays whose addresses it takes, and how many bytes
            from there.
        made: of each output that it makes the number among those of the kernel, then
            what `whole` takes besides the address.
        floats: the kernel's; None: each call brings its own.
        direct: whether the addresses are all that it takes, and three at most.
    """

    name: str
    prepared: Any
    addressed: tuple[tuple[int | None, int], ...]
    made: tuple[tuple[Any, ...], ...]
    floats: tuple[float, ...] | None
    direct: bool

    def pattern(self) -> _Pattern:
        """What the text of a function depends on."""
        numbers = tuple([each[0] for each in self.made])
        count = None if self.floats is None else len(self.floats)
        return self.addressed, numbers, count, self.direct


# gives an array without a kernel
Give = Callable[[], Any]
# an array's number (None: nothing), and what makes of the array that of the result; None:
# it is that
Result = tuple[int | None, Callable[[Any], Any] | None]
_Pattern = tuple[tuple[tuple[int | None, int], ...], tuple[int, ...], int | None, bool]


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
        steps: the calls.
        given: how many inputs there are.
        more: see above.
        results: what the function returns; default: all that was made.
        bare: whether a single result is returned without a tuple around it.
    """
    launches = [each if isinstance(each, Launch) else None for each in steps]
    if results is None:
        first = given + more
        count = sum(1 if each is None else len(each.made) for each in launches)
        results = [(i, None) for i in range(first, first + count)]
    shown = tuple([(place, view is not None) for place, view in results])
    patterns = tuple([None if each is None else each.pattern() for each in launches])
    make = _written_out(patterns, given, more, shown, bare)
    return make(
        steps, [_pack(each) for each in launches], [view for _, view in results]
    )


def _pack(launch: Launch | None) -> Callable[..., bytes] | None:
    """What packs the addresses and floats of a call that takes them packed."""
    if launch is None or launch.direct:
        return None
    return packer(launch.name, len(launch.addressed))


@lru_cache(maxsize=1024)
def _written_out(
    patterns: tuple[_Pattern | None, ...],
    given: int,
    more: int,
    results: tuple[tuple[int | None, bool], ...],
    bare: bool,
) -> Callable[..., Any]:
    """What makes such a function for a pattern."""
    text = _Text(patterns, given, more, {place for place, _ in results})
    lines = list(text.lines())
    shown = [
        f"w{i}({text.value(place)})" if view else text.value(place)
        for i, (place, view) in enumerate(results)
    ]
    result = shown[0] if bare else f"({''.join([f'{each}, ' for each in shown])})"
    source = [
        "def make(steps, packs, views):",
        *[f"    {line}" for line in text.names()],
        *[f"    w{i} = views[{i}]" for i in range(len(results))],
        "    def launch(inputs, floats):",
        *[f"        {line}" for line in lines],
        f"        return {result}",
        "    return launch",
    ]
    space: dict[str, Any] = dict(_TOOLS)
    exec("\n".join(source), space)  # the text has numbers alone from outside
    make: Callable[..., Any] = space["make"]
    return make


class _Text:
    """The lines that run the calls.

    For `a.permute(2, 1, 0).matmul(b)`, where kernel 0 copies `a` in order for kernel 1,
    they stand in the function that `_written_out` makes like this::

        def launch(inputs, floats):
            a2 = call_prepared(p0, inputs[0].address, 0, 0)
            if not a2:
                raise failure(n0)
            a3 = call_prepared(p1, a2, inputs[1].address, 0)
            if not a3:
                free(a2)
                raise failure(n1)
            v3 = whole(a3, d3_0, d3_1, d3_2, d3_3, d3_4)
            free(a2)
            return v3

    Args:
        patterns, given, more: see `_written_out`.
        kept: the numbers of the arrays that are returned.
    """

    def __init__(
        self,
        patterns: Sequence[_Pattern | None],
        given: int,
        more: int,
        kept: set[int | None],
    ) -> None:
        self._patterns = patterns
        self._given, self._first = given, given + more
        # numbers of what each step makes, and of all that have only an address
        self._places: list[list[int]] = []
        self._bare: set[int] = set()
        # the step that uses an array last
        self._last: dict[int | None, int] = {}
        next_place = self._first
        for i, pattern in enumerate(patterns):
            count = 1 if pattern is None else len(pattern[1])
            places = list(range(next_place, next_place + count))
            next_place += count
            self._places.append(places)
            if pattern is not None:
                self._bare.update([each for each in places if each not in kept])
                self._last.update([(place, i) for place, _ in pattern[0]])

    def names(self) -> Iterator[str]:
        """What the lines call the parts of steps."""
        for i, pattern in enumerate(self._patterns):
            if pattern is None:
                yield f"g{i} = steps[{i}]"
                continue
            yield f"n{i}, p{i}, _, m{i}, f{i}, _ = steps[{i}]"
            yield f"k{i} = packs[{i}]"
            for j, place in enumerate(self._places[i]):
                yield f"_, {_details(place)} = m{i}[{j}]"
            for j in range(pattern[2] or 0):
                yield f"f{i}_{j} = f{i}[{j}]"

    def value(self, place: int | None) -> str:
        """The array of that number."""
        if place is None:
            return "None"
        if place < self._given:
            return f"inputs[{place}]"
        if place < self._first:
            return f"floats[{place - self._given}]"
        return f"v{place}"

    def _address(self, place: int | None, shift: int) -> str:
        if place is None:
            return "0"
        bare = place in self._bare
        address = f"a{place}" if bare else f"{self.value(place)}.address"
        return address + (f" + {shift}" if shift else "")

    def lines(self) -> Iterator[str]:
        """What comes without a kernel, then call after call: run it, take what it made,
        free what no later one needs.
        """
        waiting: list[int] = []
        for i, pattern in enumerate(self._patterns):
            if pattern is None:
                yield f"v{self._places[i][0]} = g{i}()"
        for i, pattern in enumerate(self._patterns):
            if pattern is None:
                continue
            places, numbers = self._places[i], pattern[1]
            taken = [f"a{place}" for place in places] or ["status"]
            yield f"{taken[0]} = {self._call(i, pattern)}"
            yield f"if not {taken[0]}:"
            yield from [f"    free(a{place})" for place in waiting]
            yield f"    raise failure(n{i})"
            # the call returns the first output's address
            for name, number in list(zip(taken, numbers))[1:]:
                yield f"{name} = output({number})"
            for place in places:
                if place not in self._bare:
                    yield f"v{place} = whole(a{place}, {_details(place)})"
            waiting += [place for place in places if place in self._bare]
            done = [place for place in waiting if self._last.get(place, i) <= i]
            yield from [f"free(a{place})" for place in done]
            waiting = [place for place in waiting if place not in done]

    def _call(self, i: int, pattern: _Pattern) -> str:
        addressed, _, floats, direct = pattern
        arguments = [self._address(*each) for each in addressed]
        if direct:
            arguments += ["0"] * (3 - len(arguments))
            return f"call_prepared(p{i}, {', '.join(arguments)})"
        fixed = [f"f{i}_{j}" for j in range(floats or 0)]
        arguments += ["*floats"] if floats is None else fixed
        return f"call_packed(p{i}, k{i}({', '.join(arguments)}))"


def _details(place: int) -> str:
    """The names of what `whole` takes besides the address."""
    return ", ".join([f"d{place}_{j}" for j in range(5)])
