"""Errors name the function that was called, not one of those that it is built upon.

Every public function is called as its example calls it, with one argument after another
replaced by values that do not fit.
"""

from __future__ import annotations

import copy
import doctest
import importlib
import inspect
import re
import sys
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest

import pyautodl as ad
from pyautodl import distributions, fft, linalg, nn, special
from pyautodl.ops.record import OPS

SPACES = {
    "": ad.functional,
    "nn.functional": nn.functional,
    "nn.init": nn.init,
    "nn.utils": nn.utils,
    "nn.utils.rnn": nn.utils.rnn,
    "linalg": linalg,
    "fft": fft,
    "special": special,
    "distributions": distributions,
    "Tensor": ad.Tensor,
}
BAD: dict[str, Callable[[], Any]] = {
    "None": lambda: None,
    "a str": lambda: "nonsense",
    "-1": lambda: -1,
    "7": lambda: 7,
    "another shape": lambda: ad.ones(2, 3, 5),
    "another type": lambda: ad.ones(3, 4, dtype=ad.float64),
}
# what becomes of a value before the function has it; as it is in functions of one op,
# which are called too often to have anything around them
CONVERSIONS = ("tensor", "dtype", "device", "bool", "item", "requires_grad")
# the other half of two functions in one, as max(input, other), and the ops of functions of
# one, in messages about what is no tensor
OWN = {
    "max": "maximum",
    "min": "minimum",
    "clone": "copy",
    "contiguous": "copy",
    "conv1d": "conv",
    "conv2d": "conv",
    "conv3d": "conv",
}


class Called(NamedTuple):
    """A function as an example calls it: its arguments by name, and those without."""

    named: dict[str, Any]
    others: tuple[Any, ...]
    only_named: dict[str, Any]


def functions() -> dict[Any, tuple[str, Any]]:
    """All public functions by their code."""
    found = {}
    for space, home in SPACES.items():
        for name in getattr(home, "__all__", dir(home)):
            function = getattr(home, name)
            if name.startswith("_") or name in ("save", "load"):
                continue
            inner = inspect.unwrap(function) if callable(function) else function
            inner = inner.__init__ if isinstance(inner, type) else inner
            if hasattr(inner, "__code__"):
                found[inner.__code__] = (f"{space}.{name}".strip("."), function)
    return found


def copied(value: Any) -> Any:
    if isinstance(value, (list, tuple)) and type(value) in (list, tuple):
        return type(value)(map(copied, value))
    if isinstance(value, ad.Tensor):
        grad = value.requires_grad and value.is_leaf
        return value.detach().clone().requires_grad_(grad)
    return copy.deepcopy(value) if isinstance(value, nn.Module) else value


def calls(known: dict[Any, tuple[str, Any]]) -> dict[Any, Called]:
    """The first call of each function in the examples of all."""
    seen: dict[Any, Called] = {}

    def watch(frame: Any, event: str, _: Any) -> None:
        code = frame.f_code
        if event != "call" or code in seen or code not in known:
            return
        sys.setprofile(None)
        count = code.co_argcount
        names = code.co_varnames[: count + code.co_kwonlyargcount]
        values = {name: copied(frame.f_locals[name]) for name in names}
        others = inspect.getargvalues(frame).varargs
        seen[code] = Called(
            {name: values[name] for name in names[:count]},
            copied(frame.f_locals[others]) if others else (),
            {name: values[name] for name in names[count:]},
        )
        sys.setprofile(watch)

    modules = {inspect.getmodule(code).__name__ for code in known}  # type: ignore[union-attr]
    for module in sorted(modules):
        for test in doctest.DocTestFinder().find(importlib.import_module(module)):
            test.globs["__watch"] = watch
            start = doctest.Example("import sys; sys.setprofile(__watch)\n", "")
            test.examples.insert(0, start)
            ad.manual_seed(0)
            doctest.DocTestRunner().run(test, out=lambda _: None)
            sys.setprofile(None)
    return seen


def spoiled(function: Any, call: Called) -> Iterator[tuple[str, Callable[[], Any]]]:
    """The call with one argument after another of another kind."""
    method = next(iter(call.named), None) == "self"
    for what in (*call.named, *call.only_named, *range(len(call.others))):
        for kind, bad in BAD.items():
            if what == "self":
                continue
            named, only_named = copied_all(call.named), copied_all(call.only_named)
            others = list(copied(call.others))
            place: Any = others if isinstance(what, int) else named
            place = only_named if what in only_named else place
            place[what] = bad()
            given = [*named.values(), *others]
            if isinstance(function, type) and method:
                given = given[1:]
            yield (
                f"{what}={kind}",
                lambda given=given, only=only_named: function(*given, **only),
            )


def copied_all(values: dict[str, Any]) -> dict[str, Any]:
    return {name: copied(value) for name, value in values.items()}


def another_name(message: str, called: tuple[str, ...], known: set[str]) -> bool:
    """Whether a message begins with the name of another function than the called one."""
    found = re.match(r"([\w.]+): ", message)
    if found is None:
        return False
    own = [name.strip("_") for name in called]
    begin = found[1].rpartition(".")[2].strip("_")
    others = known - {*own, *map(OWN.get, own), *CONVERSIONS}
    return begin in others


@pytest.mark.filterwarnings("ignore")
def test_errors_name_the_function_that_was_called() -> None:
    known = functions()
    names = {name.rpartition(".")[2].strip("_") for name, _ in known.values()}
    names |= OPS.keys()
    wrong = []
    samples = calls(known)
    assert len(samples) > 0.9 * len(known)
    for code, call in samples.items():
        label, function = known[code]
        called = (label.rpartition(".")[2], function.__name__)
        for what, spoil in spoiled(function, call):
            try:
                spoil()
            except Exception as error:
                if another_name(str(error), called, names):
                    wrong.append(f"{label}({what}): {error}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ad.zeros(-1), "zeros: sizes must not be negative"),
        (lambda: ad.rand(-1), "rand: sizes must not be negative"),
        (lambda: linalg.inv(ad.ones(2, 3)), "inv: inverse: expected square matrices"),
        (
            lambda: distributions.Multinomial(3, -ad.ones(2)),
            "Multinomial: expected probs from 0 on",
        ),
        (
            lambda: nn.utils.spectral_norm(nn.Linear(2, 3), dim=7),
            "spectral_norm: dim must be from -2 to 1, got 7",
        ),
        (
            lambda: nn.functional.linear(None, ad.ones(2, 2)),
            "linear: expected a tensor",
        ),
        (
            lambda: ad.gru_cell(ad.ones(1, 3), None, None, ad.ones(6, 2)),
            "gru_cell: gru",
        ),
    ],
)
def test_messages_of_functions_built_upon_others(
    call: Callable[[], Any], message: str
) -> None:
    with pytest.raises((TypeError, ValueError, IndexError), match=f"^{message}"):
        call()
