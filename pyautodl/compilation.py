"""PyTorch's switch that compiles a model: kernels are compiled already."""

from __future__ import annotations

from typing import Any

__all__ = ["compile"]


def compile(model: Any = None, **options: Any) -> Any:
    """Return a model or a function as it is.

    Calls that repeat are planned once and run compiled kernels without being asked.

    Args:
        model: a module or a function; without it, a decorator is returned.
        **options: PyTorch's, without effect.

    Example:
        >>> import pyautodl as ad
        >>> model = ad.nn.Linear(2, 1)
        >>> ad.compile(model, mode="reduce-overhead") is model
        True
    """
    if model is None:
        return lambda function: function
    if not callable(model):
        raise TypeError(
            f"compile: expected a module or a function, got {type(model).__name__}"
        )
    return model
