"""Every example in a docstring runs and prints what it says."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import pyautodl

# need a package that need not be there, or write files
OPTIONAL = ("pyautodl.backends.jit", "pyautodl.plot", "pyautodl.__main__")


def _modules() -> list[str]:
    found = pkgutil.walk_packages(pyautodl.__path__, "pyautodl.")
    names = ["pyautodl", *(info.name for info in found)]
    return [
        name for name in names if not name.startswith(OPTIONAL) and "._" not in name
    ]


@pytest.mark.parametrize("name", _modules())
def test_examples_of(name: str) -> None:
    module = importlib.import_module(name)
    options = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    finder = doctest.DocTestFinder(exclude_empty=True)
    runner = doctest.DocTestRunner(optionflags=options)
    output: list[str] = []
    for test in finder.find(module, name):
        pyautodl.manual_seed(0)
        runner.run(test, out=output.append)
    assert not runner.failures, "".join(output)
