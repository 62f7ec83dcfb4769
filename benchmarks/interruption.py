"""Ctrl-C while a benchmark measures: what it has measured by then is kept."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from types import TracebackType
from typing import Any

__all__ = ["INTERRUPTED", "KeptRows"]

# exit status after Ctrl-C, as a shell has it
INTERRUPTED = 130


class KeptRows:
    """A block that measures; an interruption ends it alone, if there are rows already.

    Args:
        measured: the lists to which the block adds its rows.

    Attributes:
        status: the exit status so far, 0 or `INTERRUPTED`.

    Example:
        >>> rows = []
        >>> with KeptRows(rows) as kept:
        ...     rows.append({"row": "first"})
        >>> kept.status
        0
    """

    def __init__(self, *measured: Sequence[Any]) -> None:
        self.status = 0
        self._measured = measured

    def __enter__(self) -> KeptRows:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        if not isinstance(error, KeyboardInterrupt) or not any(self._measured):
            return False
        print("interrupted; what is measured so far is kept", file=sys.stderr)
        self.status = INTERRUPTED
        return True
