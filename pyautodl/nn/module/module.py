"""Module: the base of all layers and networks.

What it can do stands beside this file, one idea a file.
"""

from __future__ import annotations

from typing import Any

from pyautodl.nn.module.calling import Calling
from pyautodl.nn.module.hooks import HOOKS
from pyautodl.nn.module.members import REGISTRIES
from pyautodl.nn.module.modes import Modes
from pyautodl.nn.module.state import State
from pyautodl.nn.module.text import Text
from pyautodl.tensor import NamedConstructor, Tensor

__all__ = ["Module"]


class Module(NamedConstructor, Calling, State, Modes, Text):
    """Base class of layers and networks: state by assignment, `forward` by override.

    Assigning a Parameter, a Buffer or a Module to an attribute registers it. Calling
    the module runs its hooks and `forward`; an error raised inside names the layer.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl import nn
        >>> class Scale(nn.Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.factor = nn.Parameter(ad.tensor(2.0))
        ...     def forward(self, x):
        ...         return x * self.factor
        >>> Scale()(ad.tensor([1.0, 3.0])).tolist()
        [2.0, 6.0]
    """

    def __init__(self) -> None:
        # not by assignment, which asks the registries
        state = self.__dict__
        state["training"] = True
        for name in REGISTRIES:
            state[name] = {}
        state["_non_persistent_buffers_set"] = set()
        for name in HOOKS:
            state[name] = {}

    def __getstate__(self) -> dict[str, Any]:
        # what a call has left can be copied without its graph alone
        return {key: _without_graph(value) for key, value in self.__dict__.items()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)


def _without_graph(value: Any) -> Any:
    if isinstance(value, Tensor) and value.grad_fn is not None:
        return value.detach()
    return value
