"""What the calls of a thread record."""

from __future__ import annotations

import threading
from typing import Any

__all__ = ["MODE", "BySample"]


class BySample(BaseException):
    """What a function does can't be done for all samples of a map at once.

    No `Exception`, lest the function catches it. One that catches all the same would go on
    with what no sample has, so that the innermost map is told, too.
    """

    def __init__(self) -> None:
        super().__init__()
        if MODE.maps:
            MODE.maps[-1].refused = True


class _Mode(threading.local):
    """What the calls of this thread record."""

    def __init__(self) -> None:
        self.enabled = True
        self.inference = False
        self.anomaly = False
        self.check_nan = True
        # the maps over batches that are open, outermost first: see tensor/mapped.py
        self.maps: tuple[Any, ...] = ()


MODE = _Mode()
