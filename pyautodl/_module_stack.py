"""The stack of modules being called in this thread, so that errors can name a layer.

``Module.__call__`` pushes itself and pops when it leaves. Nothing here imports from the
package, so that every layer of it may ask which module is running.
"""

from __future__ import annotations

import threading
import weakref
from itertools import pairwise
from typing import Any

__all__ = [
    "STACK",
    "annotate",
    "current",
    "describe",
    "modules",
    "parameter_name",
    "path",
    "pop",
    "push",
]


class _Stack(threading.local):
    """One stack a thread; a thread that never called a module has an empty one."""

    def __init__(self) -> None:
        self.modules: list[Any] = []
        # The outermost module of the last call: backward runs after the stack has
        # emptied, and a node knows only its innermost module.
        self.root: weakref.ref[Any] | None = None


STACK = _Stack()


def modules() -> list[Any]:
    """Return this thread's stack of modules, outermost first."""
    return STACK.modules


def push(module: Any) -> None:
    """Enter a module."""
    if not STACK.modules:
        STACK.root = weakref.ref(module)
    STACK.modules.append(module)


def pop() -> None:
    """Leave the innermost module."""
    STACK.modules.pop()


def current() -> Any | None:
    """Return the innermost module being called, or None outside any module."""
    stack = STACK.modules
    return stack[-1] if stack else None


def path(module: Any = None) -> str:
    """Return the dotted path of a module below the outermost one; "" for that itself.

    Without an argument it is the innermost module being called. A module that ran
    earlier is looked up below the outermost module of this thread's last call.
    """
    stack = STACK.modules
    if module is None or (stack and stack[-1] is module):
        return _join(stack)
    if module in stack:
        return _join(stack[: stack.index(module) + 1])
    root = stack[0] if stack else STACK.root() if STACK.root is not None else None
    return _name_below(root, module) or "" if root is not None else ""


def describe(module: Any = None) -> str:
    """Return "layer `encoder.3` Linear(in_features=784, ...)"; "" outside modules."""
    if module is None:
        module = current()
        if module is None:
            return ""
    where = path(module)
    definition = _definition(module)
    return f"layer `{where}` {definition}" if where else f"layer {definition}"


def parameter_name(parameter: Any) -> str:
    """Return a parameter's name below the outermost module called last; "" if none."""
    stack = STACK.modules
    root = stack[0] if stack else STACK.root() if STACK.root is not None else None
    if root is None:
        return ""
    for name, each in root.named_parameters():
        if each is parameter:
            return str(name)
    return ""


def annotate(error: BaseException, hint: str | None = None) -> None:
    """Append the innermost layer and a likely fix to an error's message, once.

    The type of the error stays. An error whose text is not its first argument (KeyError
    and OSError build theirs) gets a note instead.
    """
    if getattr(error, "_layer_named", False):
        return
    text = f"\n  in {describe()}"
    if hint:
        text += f"\n  likely fix: {hint}"
    args = error.args
    plain = type(error).__str__ is BaseException.__str__ or not args
    if plain and len(args) <= 1 and isinstance(args[0] if args else "", str):
        error.args = ((args[0] if args else type(error).__name__) + text,)
    else:
        error.add_note(text.lstrip("\n "))
    # An exception with __slots__ can't be marked: at worst outer layers are named too.
    try:
        error._layer_named = True  # type: ignore[attr-defined]
    except AttributeError:
        pass


def _join(stack: list[Any]) -> str:
    """Return the path along the stack; an unregistered child goes by its type."""
    parts = []
    for parent, child in pairwise(stack):
        name = _name_below(parent, child)
        parts.append(f"<{type(child).__name__}>" if name is None else name)
    return ".".join(part for part in parts if part)


def _name_below(root: Any, module: Any) -> str | None:
    for name, candidate in root.named_modules():
        if candidate is module:
            return name
    return None


def _definition(module: Any) -> str:
    """Return the line of repr that defines a layer; a container shows its type."""
    name = type(module).__name__
    if next(iter(module.children()), None) is not None:
        return f"{name}(...)"
    return " ".join(line.strip() for line in repr(module).splitlines())
