"""Arrays, and who runs a kernel on them.

array.py has what arrays are made with, choice.py which backend runs a kernel, calls.py how
an op calls one, prepared.py how it calls one again and again.
"""

from __future__ import annotations

import importlib
from typing import Any

from pyautodl.backends.array import (
    Array,
    Storage,
    Table,
    as_constant,
    channels_last_strides,
    constant,
    contiguous_strides,
    dense_order,
    empty,
    empty_lasting,
    empty_strides_like,
    from_numpy,
    is_constant,
    new_storage,
    out_of_range,
    overlapping_axis,
    pack_layout,
    repeated,
)
from pyautodl.backends.calls import is_direct, observe, run, witnessed
from pyautodl.backends.choice import (
    BACKENDS,
    FAMILIES,
    KeptCalls,
    backend_kernels,
    current_backend,
    fallbacks,
    forget_calls,
    keep_calls,
    pinned_backend,
    use_backend,
)
from pyautodl.backends.launch import Give, Prepared, Result, guarded, viewer
from pyautodl.backends.prepared import (
    KernelCall,
    Made,
    Seen,
    prepare,
    prepare_chain,
    see,
)

__all__ = [
    "BACKENDS",
    "FAMILIES",
    "Array",
    "Give",
    "KeptCalls",
    "KernelCall",
    "Made",
    "Prepared",
    "Result",
    "Seen",
    "Storage",
    "Table",
    "as_constant",
    "backend_kernels",
    "channels_last_strides",
    "constant",
    "contiguous_strides",
    "current_backend",
    "dense_order",
    "empty",
    "empty_lasting",
    "empty_strides_like",
    "fallbacks",
    "forget_calls",
    "from_numpy",
    "guarded",
    "is_constant",
    "is_direct",
    "keep_calls",
    "observe",
    "out_of_range",
    "overlapping_axis",
    "pack_layout",
    "pinned_backend",
    "prepare",
    "prepare_chain",
    "repeated",
    "run",
    "see",
    "use_backend",
    "viewer",
    "witnessed",
]


def __getattr__(name: str) -> Any:
    # PyTorch's, which scripts set and ask
    if name in ("cudnn", "mps"):
        return importlib.import_module(f"pyautodl.backends.{name}")
    raise AttributeError(f"module 'pyautodl.backends' has no attribute {name!r}")
