"""What this machine can do, measured in a fraction of a second."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

from pyautodl.backends import empty, native, run
from pyautodl.backends.array import Array
from pyautodl.backends.dtypes import float32

__all__ = ["Limits", "measure_limits"]

# elements of three arrays that no cache holds, and the side of a product that is all
# arithmetic
_STREAMED = 2**23
_SIDE = 1024
_ATTEMPTS = 5


class Limits(NamedTuple):
    """The most that can be reached: arithmetic in GFLOP/s, memory in GB/s.

    Example:
        >>> import pyautodl as ad
        >>> ad.profiler.Limits(gflops=480.0, gbs=30.0).seconds(flops=96e9, nbytes=3e9)
        0.2
    """

    gflops: float
    gbs: float

    def seconds(self, flops: float, nbytes: float) -> float:
        """The least time for so many floating operations and bytes."""
        return max(flops / self.gflops, nbytes / self.gbs) / 1e9


def measure_limits() -> Limits:
    """Measure a large product and a large sum of arrays (a triad), once a setting.

    They are single precision, on the threads and the instruction set in use. The product
    stays a little below the peak of the multiply-add units; `benchmarks.roofline`
    measures that.

    Example:
        >>> import pyautodl as ad
        >>> limits = ad.profiler.measure_limits()
        >>> limits.gflops > 0 and limits.gbs > 0
        True
    """
    if not native.available:
        return _measure("", 1)
    return _measure(native.current_isa(), native.get_num_threads())


@lru_cache(maxsize=16)
def _measure(isa: str, threads: int) -> Limits:
    a, b, out = (_filled(_SIDE, _SIDE) for _ in range(3))
    product = _best(lambda: run("matmul", (a, b, None), (out,), (0,), (0.0, 0.0)))
    x, y, z = (_filled(_STREAMED) for _ in range(3))
    triad = _best(lambda: run("add_scaled", (x, y), (z,), (), (0.5,)))
    return Limits(2e-9 * _SIDE**3 / product, 12e-9 * _STREAMED / triad)


def _filled(*shape: int) -> Array:
    array = empty(shape, float32)
    # touches every page
    array.numpy().fill(1.0)
    return array


def _best(call: Callable[[], None]) -> float:
    """Seconds of the fastest of some calls."""
    times = []
    for _ in range(_ATTEMPTS):
        began = time.perf_counter()
        call()
        times.append(time.perf_counter() - began)
    return min(times)
