"""The documented functions, a file for each family of ops."""

import importlib
import importlib.util

from pyautodl.backends import FAMILIES

__all__: list[str] = []
_found = {}

for _family in ("creation", "views", *FAMILIES):
    if importlib.util.find_spec(f"pyautodl.functional.{_family}") is not None:
        _module = importlib.import_module(f"pyautodl.functional.{_family}")
        _found.update({_name: getattr(_module, _name) for _name in _module.__all__})
        __all__ += _module.__all__

# at the end: importing the family norm has put its module in the place of the function
globals().update(_found)
