"""What every op is: its checks, its forward rule, its gradient, its examples."""

import importlib

from pyautodl.backends import FAMILIES

for _family in (
    "strided",
    "creation",
    "views",
    "overlap_add",
    "pad_edges",
    "fourier",
    "linalg",
    "draws",
    "ctc",
    *FAMILIES,
):
    try:
        importlib.import_module(f"pyautodl.ops.{_family}")
    except ModuleNotFoundError as error:
        # a family of kernels without ops of its own
        if error.name != f"pyautodl.ops.{_family}":
            raise
