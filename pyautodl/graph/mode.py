"""What the calls of a thread record."""

from __future__ import annotations

import threading

__all__ = ["MODE"]


class _Mode(threading.local):
    """What the calls of this thread record."""

    def __init__(self) -> None:
        self.enabled = True
        self.inference = False
        self.anomaly = False
        self.check_nan = True


MODE = _Mode()
