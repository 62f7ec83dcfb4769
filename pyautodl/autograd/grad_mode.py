"""Switches for recording: context managers that are decorators too."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

from pyautodl.graph import MODE

__all__ = [
    "enable_grad",
    "inference_mode",
    "is_grad_enabled",
    "is_inference_mode_enabled",
    "no_grad",
    "set_grad_enabled",
]

Function = TypeVar("Function", bound=Callable[..., Any])


def is_grad_enabled() -> bool:
    """Return whether calls of this thread are recorded.

    Example:
        >>> import pyautodl as ad
        >>> ad.is_grad_enabled()
        True
    """
    return MODE.enabled


def is_inference_mode_enabled() -> bool:
    """Return whether this thread is in inference mode.

    Example:
        >>> import pyautodl as ad
        >>> ad.is_inference_mode_enabled()
        False
    """
    return MODE.inference


class _Switch:
    """Sets the mode on entry and puts it back on exit; nests and decorates."""

    enabled = True
    inference: bool | None = None

    def __init__(self) -> None:
        self._before: list[tuple[bool, bool]] = []

    def __enter__(self) -> None:
        self._before.append((MODE.enabled, MODE.inference))
        MODE.enabled = self.enabled
        if self.inference is not None:
            MODE.inference = self.inference

    def __exit__(self, *error: object) -> None:
        MODE.enabled, MODE.inference = self._before.pop()

    def __call__(self, function: Function) -> Function:
        @functools.wraps(function)
        def switched(*args: Any, **kwargs: Any) -> Any:
            # a switch of its own for each call: the function may run in several threads
            with self._twin():
                return function(*args, **kwargs)

        return switched  # type: ignore[return-value]

    def _twin(self) -> _Switch:
        twin = _Switch()
        twin.enabled, twin.inference = self.enabled, self.inference
        return twin


class no_grad(_Switch):
    """Record nothing in the block, or in the decorated function.

    Example:
        >>> import pyautodl as ad
        >>> x = ad.ones(1, requires_grad=True)
        >>> with ad.no_grad():
        ...     (x * 2).requires_grad
        False
    """

    enabled = False

    def __new__(cls, function: Callable[..., Any] | None = None) -> Any:
        """Let `@no_grad` stand without brackets."""
        made = super().__new__(cls)
        if function is None:
            return made
        made.__init__()  # type: ignore[misc]
        return made(function)

    def __init__(self, function: Callable[..., Any] | None = None) -> None:
        super().__init__()


class enable_grad(no_grad):
    """Record again in a block inside `no_grad`.

    Example:
        >>> import pyautodl as ad
        >>> with ad.no_grad(), ad.enable_grad():
        ...     ad.is_grad_enabled()
        True
    """

    enabled = True


class inference_mode(_Switch):
    """Record nothing in the block; like `no_grad`, under PyTorch's newer name.

    Args:
        mode: False leaves everything as it is.

    Example:
        >>> import pyautodl as ad
        >>> with ad.inference_mode():
        ...     ad.is_grad_enabled()
        False
    """

    def __init__(self, mode: bool = True) -> None:
        super().__init__()
        self.enabled = not mode
        self.inference = mode

    def __enter__(self) -> None:
        outer = MODE.enabled
        super().__enter__()
        if not self.inference:
            MODE.enabled = outer


class set_grad_enabled(_Switch):
    """Switch recording on or off, at once, and back at the end of a with block.

    Args:
        mode: whether to record.

    Example:
        >>> import pyautodl as ad
        >>> with ad.set_grad_enabled(False):
        ...     ad.is_grad_enabled()
        False
    """

    def __init__(self, mode: bool) -> None:
        super().__init__()
        self.enabled = bool(mode)
        self._outer = (MODE.enabled, MODE.inference)
        MODE.enabled = self.enabled

    def __enter__(self) -> None:
        super().__enter__()
        # what was before the constructor already switched
        self._before[-1] = self._outer

    def __call__(self, function: Function) -> Function:
        MODE.enabled = self._outer[0]
        return super().__call__(function)
