"""What every op is: its checks, its forward rule, its gradient, its examples."""

import importlib
import importlib.util

from pyautodl.backends import FAMILIES

for _family in ("strided", "creation", "views", *FAMILIES):
    if importlib.util.find_spec(f"pyautodl.ops.{_family}") is not None:
        importlib.import_module(f"pyautodl.ops.{_family}")
