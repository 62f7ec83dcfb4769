"""The documented functions, a file for each family of ops.

`basics` are here from the start; `networks`, what networks are made of, is loaded when one
of its names is first used, which takes a quarter off the time of `import pyautodl`.
"""

import importlib as _importlib
from typing import TYPE_CHECKING
from typing import Any as _Any

from pyautodl.functional import _moved
from pyautodl.functional import basics as _basics
from pyautodl.functional.basics import *

if TYPE_CHECKING:
    from pyautodl.functional.networks import *


def __getattr__(name: str) -> _Any:
    if name.startswith("_") and name != "__all__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    networks = _importlib.import_module(f"{__name__}.networks")
    here = globals()
    here.update({each: getattr(networks, each) for each in networks.__all__})
    here["__all__"] = [*_basics.__all__, *networks.__all__]
    if name in here:
        return here[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
