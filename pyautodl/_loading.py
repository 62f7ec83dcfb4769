"""How modules are loaded quickly."""

import gc
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from typing import Any

__all__ = ["load_named", "paused_collector"]


@contextmanager
def paused_collector() -> Iterator[None]:
    """Let no search for unreachable objects begin inside.

    What modules make as they are loaded stays: to search it time and again as it grows takes
    a tenth of the whole import.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def load_named(namespace: dict[str, Any], name: str, modules: Mapping[str, str]) -> Any:
    """What a package has under a name that is loaded when it is first used.

    Args:
        namespace: that of the package, which keeps it.
        name: the name.
        modules: where such names are found.

    Raises:
        AttributeError: it is none of them.
    """
    if name not in modules:
        raise AttributeError(
            f"module {namespace['__name__']!r} has no attribute {name!r}"
        )
    found = namespace[name] = getattr(import_module(modules[name]), name)
    return found
