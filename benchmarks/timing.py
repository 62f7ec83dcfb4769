"""Fair timing: the contestants take turns, and medians count."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

__all__ = ["Timer", "Timing", "alternate", "timer", "timing"]

# seconds of calls before the clock starts: the turn before has the caches, our own threads
# may sleep
_WARM_UP = 0.005

# from a number of calls to the seconds that each took
Timer = Callable[[int], float]


@dataclass(frozen=True)
class Timing:
    """Seconds a call: the median over the rounds and the spread between quartiles."""

    median: float
    spread: float


def timer(call: Callable[[], object]) -> Timer:
    """A timer of calls in this process."""

    def seconds(count: int) -> float:
        warm = time.perf_counter() + _WARM_UP
        call()
        while time.perf_counter() < warm:
            call()
        began = time.perf_counter()
        for _ in range(count):
            call()
        return (time.perf_counter() - began) / count

    return seconds


def alternate(
    timers: Sequence[Timer], seconds: float = 2.0, rounds: int = 15
) -> list[Timing]:
    """Time calls that take turns, so that a slow phase of the machine meets all alike.

    Args:
        timers: one for each contestant.
        seconds: how long the calls may take together, about.
        rounds: how often each has its turn, at least 5.
    """
    single = [max(each(1), 1e-7) for each in timers]
    rounds = max(5, min(rounds, int(seconds / sum(single))))
    counts = [max(1, int(seconds / rounds / len(timers) / each)) for each in single]
    taken: list[list[float]] = [[] for _ in timers]
    for _ in range(rounds):
        for each, count, times in zip(timers, counts, taken, strict=True):
            times.append(each(count))
    return [timing(times) for times in taken]


def timing(times: Sequence[float]) -> Timing:
    """Median and spread of what several rounds took."""
    low, _, high = statistics.quantiles(times, n=4)
    return Timing(statistics.median(times), high - low)
