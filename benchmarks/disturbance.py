"""Whether other programs took processor time while we measured."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from pathlib import Path

__all__ = ["TOLERATED", "Watch"]

# a tenth of a processor shifts no median
TOLERATED = 0.1


class Watch:
    """Counts, from its making on, what programs other than these take.

    Args:
        processes: the ids of those that measure, besides this one.
    """

    def __init__(self, processes: Iterable[int]) -> None:
        self._processes = [os.getpid(), *processes]
        self._began = time.perf_counter()
        self._before = self._others()

    def _others(self) -> float:
        return _busy_seconds() - sum(map(_process_seconds, self._processes))

    def processors(self) -> float:
        """How many processors the others kept busy, 0 where the system does not tell."""
        taken = self._others() - self._before
        return max(0.0, taken / (time.perf_counter() - self._began))


def _busy_seconds() -> float:
    """Seconds that all processors have worked for anyone."""
    path = Path("/proc/stat")
    if not path.exists():
        return 0.0
    # user nice system idle iowait irq softirq steal
    ticks = [int(each) for each in path.read_text().split("\n", 1)[0].split()[1:9]]
    return (sum(ticks) - ticks[3] - ticks[4]) / os.sysconf("SC_CLK_TCK")


def _process_seconds(pid: int) -> float:
    path = Path(f"/proc/{pid}/stat")
    if not path.exists():
        return 0.0
    # behind the name in parentheses: state is field 3, user and system time 14 and 15
    fields = path.read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
