"""Neural networks: modules, containers, initialisation, functions on tensors."""

import importlib
import importlib.util

from pyautodl.backends import FAMILIES
from pyautodl.nn import functional, init, utils
from pyautodl.nn.container import (
    ModuleDict,
    ModuleList,
    ParameterDict,
    ParameterList,
    Sequential,
)
from pyautodl.nn.module import Module
from pyautodl.nn.parameter import Buffer, Parameter

__all__ = [
    "Buffer",
    "Module",
    "ModuleDict",
    "ModuleList",
    "Parameter",
    "ParameterDict",
    "ParameterList",
    "Sequential",
    "functional",
    "init",
    "utils",
]

for _family in (
    *("linear", "activation", "flatten", "embedding", "dropout", "padding", "fold"),
    *FAMILIES,
):
    if importlib.util.find_spec(f"pyautodl.nn.{_family}") is not None:
        _module = importlib.import_module(f"pyautodl.nn.{_family}")
        globals().update({_name: getattr(_module, _name) for _name in _module.__all__})
        __all__ += _module.__all__
