"""Module, the base of all layers and networks."""

from pyautodl.nn.module.module import Module

__all__ = ["Module"]
