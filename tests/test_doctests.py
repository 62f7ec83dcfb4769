"""Docstrings: every example prints what it says, arguments and examples are there."""

from __future__ import annotations

import doctest
import importlib
import inspect
import pkgutil
import re
from typing import Any

import pytest

import pyautodl
import pyautodl.audio
import pyautodl.data
import pyautodl.distributions
import pyautodl.fft
import pyautodl.func
import pyautodl.inspect
import pyautodl.linalg
import pyautodl.models
import pyautodl.onnx
import pyautodl.plot
import pyautodl.testing
import pyautodl.train
from pyautodl import autograd, nn, optim
from pyautodl.nn.utils import prune

# numba's kernels, and what starts the command line
LEFT_OUT = ("pyautodl.backends.jit", "pyautodl.__main__")


def _modules() -> list[str]:
    found = pkgutil.walk_packages(pyautodl.__path__, "pyautodl.")
    names = ["pyautodl", *(info.name for info in found)]
    return [
        name for name in names if not name.startswith(LEFT_OUT) and "._" not in name
    ]


@pytest.mark.parametrize("name", _modules())
def test_examples_of(name: str) -> None:
    for package, needed in (("plot", "matplotlib"), ("onnx.writer", "onnx")):
        if name == f"pyautodl.{package}":
            pytest.importorskip(needed)
    module = importlib.import_module(name)
    options = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    finder = doctest.DocTestFinder(exclude_empty=True)
    runner = doctest.DocTestRunner(optionflags=options)
    output: list[str] = []
    for test in finder.find(module, name):
        pyautodl.manual_seed(0)
        runner.run(test, out=output.append)
    assert not runner.failures, "".join(output)


PUBLIC = {
    "pyautodl": pyautodl,
    "nn": nn,
    "nn.functional": nn.functional,
    "nn.init": nn.init,
    "nn.utils": nn.utils,
    "nn.utils.prune": prune,
    "nn.utils.rnn": nn.utils.rnn,
    "optim": optim,
    "optim.lr_scheduler": optim.lr_scheduler,
    "data": pyautodl.data,
    "train": pyautodl.train,
    "models": pyautodl.models,
    "autograd": autograd,
    "autograd.functional": autograd.functional,
    "distributions": pyautodl.distributions,
    "audio": pyautodl.audio,
    "audio.functional": pyautodl.audio.functional,
    "audio.transforms": pyautodl.audio.transforms,
    "fft": pyautodl.fft,
    "func": pyautodl.func,
    "linalg": pyautodl.linalg,
    "onnx": pyautodl.onnx,
    "plot": pyautodl.plot,
    "inspect": pyautodl.inspect,
    "testing": pyautodl.testing,
}
# made by `tensor` and by the library itself
NOT_CALLED = {"pyautodl.Tensor", "pyautodl.DType"}
# what functions return, whose examples show it
RETURNED = {
    "pyautodl.ConvExplanation",
    "inspect.Diagnosis",
    "inspect.LayerState",
    "inspect.LayerSummary",
    "inspect.Summary",
}
# raises
WITHOUT_EXAMPLE = {"Tensor.cuda", *RETURNED}


def _public() -> dict[str, Any]:
    """Functions and classes by name, each once; exceptions document when they come."""
    found: dict[int, tuple[str, Any]] = {}
    for place, module in PUBLIC.items():
        # the package has more names than those that a star import brings
        names = dir(module)
        if module is not pyautodl:
            names = getattr(module, "__all__", names)
        for name in names:
            value = getattr(module, name, None)
            if inspect.isclass(value) and issubclass(value, Exception):
                continue
            if inspect.isfunction(value) or inspect.isclass(value):
                if value.__module__.startswith("pyautodl") and name[0] != "_":
                    found.setdefault(id(value), (f"{place}.{name}", value))
    for name, value in inspect.getmembers(pyautodl.Tensor, inspect.isfunction):
        if name[0] != "_":
            found.setdefault(id(value), (f"Tensor.{name}", value))
    return dict(found.values())


def test_arguments_are_documented() -> None:
    """By name, or by naming the function or class whose arguments they are."""
    missing = {}
    for name, value in _public().items():
        text = value.__doc__ or ""
        names = [
            each
            for each in inspect.signature(value).parameters
            if each not in ("self", "args", "kwargs", "out") and each[0] != "_"
        ]
        referred = re.search(r"arguments|[Ss]ee `|name (of|for) `|, as `", text)
        if len(names) < 2 or referred or name in NOT_CALLED:
            continue
        unnamed = [each for each in names if not re.search(rf"\b{each}\b", text)]
        if unnamed:
            missing[name] = unnamed
    assert not missing


def test_examples_are_there() -> None:
    """Of its own, or of the function or class that the text names."""
    named = r"arguments|[Ss]ee `|name (of|for) `|, as `|[Aa]pply `|[Rr]eturn `\w+\("
    missing = [
        name
        for name, value in _public().items()
        if not re.search(rf">>>|{named}", value.__doc__ or "")
    ]
    assert set(missing) == WITHOUT_EXAMPLE
