"""Calls of prepared kernels, written out as Python functions.

Which inputs a kernel reads and how many outputs it makes is fixed when it is prepared.
A function that names them one by one takes half the time of loops over lists of them, so
its text is made from a pattern, once for each pattern.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from pyautodl.backends.array import whole
from pyautodl.backends.native import call_packed, call_prepared, failure, output, packer

__all__ = ["launcher"]

# what a written-out function works with
_TOOLS = {
    "call_packed": call_packed,
    "call_prepared": call_prepared,
    "failure": failure,
    "output": output,
    "whole": whole,
}


def launcher(
    name: str,
    prepared: Any,
    addressed: Sequence[tuple[int | None, int]],
    made: Sequence[tuple[Any, ...]],
    floats: Sequence[float] | None,
    direct: bool,
) -> Callable[[Sequence[Any], Any], Any]:
    """The function `(inputs, floats)` that runs a prepared call of kernel `name`.

    Args:
        name: the kernel.
        prepared: the call, see `native.prepare`.
        addressed: which inputs' addresses it takes, and how many bytes from there.
        made: of each output that it makes the number among those of the kernel, then
            what `whole` takes besides the address.
        floats: the kernel's; None: each call brings its own.
        direct: whether the addresses are all that it takes, and three at most.
    """
    pack = None if direct else packer(name, len(addressed))
    numbers = tuple([each[0] for each in made])
    count = None if floats is None else len(floats)
    make = _written_out(tuple(addressed), numbers, count, direct)
    details = [each[1:] for each in made]
    return make(name, prepared, pack, details, floats)


@lru_cache(maxsize=1024)
def _written_out(
    addressed: tuple[tuple[int | None, int], ...],
    numbers: tuple[int, ...],
    floats: int | None,
    direct: bool,
) -> Callable[..., Any]:
    """What makes such a function for a pattern."""
    arguments = [_address(*each) for each in addressed]
    if direct:
        arguments += ["0"] * (3 - len(arguments))
        run = f"call_prepared(prepared, {', '.join(arguments)})"
    else:
        fixed = [f"f{i}" for i in range(floats or 0)]
        arguments += ["*floats"] if floats is None else fixed
        run = f"call_packed(prepared, pack({', '.join(arguments)}))"
    # the call returns the first output's address
    places = [
        f"output({number})" if i else "address" for i, number in enumerate(numbers)
    ]
    details = [", ".join([f"d{i}_{j}" for j in range(5)]) for i in range(len(numbers))]
    results = [f"whole({place}, {rest})" for place, rest in zip(places, details)]
    if len(results) != 1:
        results = [f"({''.join([f'{each}, ' for each in results])})"]
    lines = [
        "def make(name, prepared, pack, details, fixed):",
        *[f"    {names} = details[{i}]" for i, names in enumerate(details)],
        *[f"    f{i} = fixed[{i}]" for i in range(floats or 0)],
        "    def launch(inputs, floats):",
        f"        address = {run}",
        "        if not address:",
        "            raise failure(name)",
        f"        return {results[0]}",
        "    return launch",
    ]
    space: dict[str, Any] = dict(_TOOLS)
    exec("\n".join(lines), space)  # the text has numbers alone from outside
    make: Callable[..., Any] = space["make"]
    return make


def _address(place: int | None, shift: int) -> str:
    if place is None:
        return "0"
    return f"inputs[{place}].address" + (f" + {shift}" if shift else "")
