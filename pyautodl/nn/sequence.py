"""`run_in_sequence`: layers one after the other, in as few kernels as that takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pyautodl.autograd.grad_mode import is_grad_enabled
from pyautodl.nn._fusion import Chain
from pyautodl.nn._recorded import Steps
from pyautodl.nn.module import Module

__all__ = ["run_in_sequence"]

# where a module keeps its chain and its steps; no attribute has such a name
_CHAIN, _STEPS = "chain of run_in_sequence", "steps of run_in_sequence"


def run_in_sequence(
    owner: Module, layers: Sequence[Any], input: Any, shortcut: Any = None
) -> Any:
    """Call layers one after the other, fused as in `Sequential`.

    For a module whose layers have names of their own: what it computes is what calling
    them in turn would, but a layer and the ReLU behind it are one kernel, and where no
    gradient is recorded a convolution, the batch norm, the shortcut and the activation
    behind it are.

    Args:
        owner: the module that calls them, always with the same layers; it keeps how they
            are fused.
        layers: the modules.
        input: of the first one.
        shortcut: a tensor to add before the last layer, the activation of a residual block.

    Returns:
        The output of the last layer.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl import nn
        >>> class Block(nn.Module):
        ...     def __init__(self, channels):
        ...         super().__init__()
        ...         self.conv = nn.Conv2d(channels, channels, 3, padding=1)
        ...         self.norm = nn.BatchNorm2d(channels)
        ...         self.relu = nn.ReLU()
        ...     def forward(self, x):
        ...         layers = (self.conv, self.norm, self.relu)
        ...         return nn.run_in_sequence(self, layers, x, shortcut=x)
        >>> Block(2).eval()(ad.zeros(1, 2, 4, 4)).shape
        pyautodl.Size([1, 2, 4, 4])
    """
    joins = shortcut is not None
    if not is_grad_enabled():
        chain: Chain | None = owner.__dict__.get(_CHAIN)
        if chain is None or not chain.holds(layers, joins):
            chain = Chain(layers, joins)
            _keep(owner, _CHAIN, chain, layers)
        return chain(input, shortcut)
    recorded = layers[:-1] if joins else layers
    steps: Steps | None = owner.__dict__.get(_STEPS)
    if steps is None or not steps.holds(recorded):
        steps = Steps(recorded)
        _keep(owner, _STEPS, steps, recorded)
    output = steps(input)
    return layers[-1](output + shortcut) if joins else output


def _keep(owner: Module, name: str, found: Any, layers: Sequence[Any]) -> None:
    """Keep how layers are fused, if their types are no longer going to change."""
    if not any(hasattr(each, "cls_to_become") for each in layers):
        owner.__dict__[name] = found
