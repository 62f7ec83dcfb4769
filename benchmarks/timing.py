"""Fair timing: the contestants take turns, and medians count."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

__all__ = ["Timing", "alternate"]

# seconds; OpenBLAS spins for some 30 ms after a product, GNU OpenMP for less
_PAUSE = 0.06


@dataclass(frozen=True)
class Timing:
    """Seconds a call: the median over the rounds and the spread between quartiles."""

    median: float
    spread: float


def alternate(
    calls: Sequence[Callable[[], object]], seconds: float = 2.0, rounds: int = 15
) -> list[Timing]:
    """Time calls that take turns, so that a slow phase of the machine meets all alike.

    Args:
        calls: the contestants, each warmed up already.
        seconds: how long all of it may take, about.
        rounds: how often each has its turn, at least 5.
    """
    for call in calls:
        call()
    single = [max(_seconds(call, 1), 1e-7) for call in calls]
    rounds = max(5, min(rounds, int(seconds / sum(single))))
    repeats = [max(1, int(seconds / rounds / len(calls) / each)) for each in single]
    taken: list[list[float]] = [[] for _ in calls]
    for _ in range(rounds):
        for call, count, times in zip(calls, repeats, taken, strict=True):
            times.append(_seconds(call, count))
    return [_timing(times) for times in taken]


def _seconds(call: Callable[[], object], count: int) -> float:
    # threads of the contestant before may still spin, and our own may sleep
    time.sleep(_PAUSE)
    call()
    began = time.perf_counter()
    for _ in range(count):
        call()
    return (time.perf_counter() - began) / count


def _timing(times: list[float]) -> Timing:
    low, _, high = statistics.quantiles(times, n=4)
    return Timing(statistics.median(times), high - low)
