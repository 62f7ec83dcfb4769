"""The context manager."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from time import perf_counter_ns
from typing import Any

from pyautodl.backends import native
from pyautodl.profiler import chrome, table
from pyautodl.profiler.limits import Limits, measure_limits
from pyautodl.profiler.recorder import Event, Recorder
from pyautodl.profiler.table import Row, Shown

__all__ = ["profile"]


class profile:
    """Record every op, gradient and kernel that runs in a block.

    What runs on other Python threads is recorded too. Recording costs some microseconds
    an op; without a profile nothing is asked anywhere. A profile can be used again, which
    forgets what it held.

    Args:
        limits: (GFLOP/s, GB/s) that count as 100 %; None: measured when first needed, by
            `profiler.measure_limits`.

    Raises:
        RuntimeError: another profile is recording, `stop` comes without `start`, or
            results are asked for before the end.

    Example:
        >>> import pyautodl as ad
        >>> model = ad.nn.Sequential(ad.nn.Linear(64, 32), ad.nn.Tanh())
        >>> with ad.profile(limits=(100.0, 10.0)) as p:
        ...     model(ad.rand(128, 64)).sum().backward()
        >>> sorted((row.name, row.phase, row.calls) for row in p.rows("layer"))[2:]
        [('0', 'backward', 1), ('0', 'forward', 1), ('1', 'backward', 1), ('1', 'forward', 1)]
        >>> str(p).splitlines()[0].split()[:5]
        ['op', 'phase', 'calls', 'ms', '%']
    """

    _active = threading.Lock()

    def __init__(self, limits: tuple[float, float] | None = None) -> None:
        self._limits = None if limits is None else _checked(limits)
        self._recorder: Recorder | None = None
        self._recording: ExitStack | None = None
        self._began = self._ended = 0
        self._peak = 0

    # ---- recording ----

    def start(self) -> None:
        """Begin to record, as entering the block does.

        Raises:
            RuntimeError: this or another profile is recording.
        """
        if not profile._active.acquire(blocking=False):
            raise RuntimeError(
                "profile: a profile is recording already; likely fix: leave its block, or "
                "call its stop(), before the next begins"
            )
        self._recording = ExitStack()
        self._recording.callback(profile._active.release)
        self._recorder = Recorder()
        self._recording.enter_context(self._recorder.attached())
        if native.available:
            native.reset_peak_memory()
        self._began = perf_counter_ns()

    def stop(self) -> None:
        """End the recording, as leaving the block does.

        Raises:
            RuntimeError: it is not recording.
        """
        if self._recording is None:
            raise RuntimeError("profile: stop() without start()")
        self._ended = perf_counter_ns()
        if native.available:
            self._peak = native.memory_stats()["peak_allocated_bytes"]
        recording, self._recording = self._recording, None
        recording.close()

    def __enter__(self) -> profile:
        self.start()
        return self

    def __exit__(self, *error: Any) -> None:
        self.stop()

    # ---- results ----

    @property
    def events(self) -> list[Event]:
        """All that was recorded, in the order in which it ended.

        Raises:
            RuntimeError: nothing was recorded yet, or the recording goes on.
        """
        if self._recorder is None:
            raise RuntimeError(
                "profile: nothing was recorded; likely fix: with ad.profile() as p: ..."
            )
        if self._recording is not None:
            raise RuntimeError(
                "profile: it is still recording; likely fix: ask after the block, or after "
                "stop()"
            )
        return self._recorder.events

    @property
    def seconds(self) -> float:
        """How long the recording took."""
        return (self._ended - self._began) / 1e9

    @property
    def peak_memory(self) -> int:
        """The most bytes in use at a time, with what was there before."""
        return self._peak

    @property
    def limits(self) -> Limits:
        """What counts as 100 %."""
        if self._limits is None:
            self._limits = measure_limits()
        return self._limits

    def rows(self, by: str = "op", depth: int | None = None) -> list[Row]:
        """Return sums over the events, the longest first.

        Args:
            by: 'op', 'layer' (module paths) or 'kernel'.
            depth: of a layer's path only so many parts count, so that `depth=1` sums over
                what lies below each child of the model.

        Raises:
            ValueError: `by` is something else.
        """
        return table.rows_of(self.events, by, depth)

    def table(
        self, by: str = "op", depth: int | None = None, limit: int | None = None
    ) -> str:
        """Return `rows` as text, with what is left of the time below.

        Args:
            by: 'op', 'layer' or 'kernel'.
            depth: how many parts of a layer's path count; None: all.
            limit: how many rows; None: all.

        Raises:
            ValueError: `by` is something else, or `depth` or `limit` is too small.
        """
        rows = self.rows(by, depth)
        return "\n".join(
            [
                *table.lines(self._shown(rows, by), limit),
                self._summary(),
                self._legend(),
            ]
        )

    def __str__(self) -> str:
        return self.table()

    def __repr__(self) -> str:
        if self._recorder is None or self._recording is not None:
            return f"<profile, {'recording' if self._recording else 'not started'}>"
        return f"<profile of {len(self.events)} events in {self.seconds * 1e3:.1f} ms>"

    def _repr_html_(self) -> str:
        tables = [table.html(self._shown(self.rows(by), by)) for by in ("op", "layer")]
        return f"{''.join(tables)}<p>{self._summary()}<br>{self._legend()}</p>"

    def export_chrome_trace(self, path: Any) -> None:
        """Write a file for chrome://tracing or ui.perfetto.dev.

        Args:
            path: the file; at any time it is the old one or the new one, whole.

        Raises:
            OSError: it can't be written.
        """
        chrome.export(self.events, self._began, path)

    def _shown(self, rows: list[Row], by: str) -> Shown:
        return table.shown(rows, by, self.limits, self.seconds)

    def _summary(self) -> str:
        outermost = [event for event in self.events if event.depth == 0]
        recorded = sum(event.end - event.start for event in outermost) / 1e6
        kernels = sum(event.kernel_ns for event in outermost) / 1e6
        wall = self.seconds * 1e3
        threads = len(chrome.threads_of(outermost))
        rest = (
            f"graph, modules and your code {max(0.0, wall - recorded):.3f}"
            if threads < 2
            else f"on {threads} Python threads"
        )
        return (
            f"{wall:.3f} ms: kernels {kernels:.3f}, ops around them "
            f"{recorded - kernels:.3f}, {rest}; at most {table.size(self._peak)} in use"
        )

    def _legend(self) -> str:
        return (
            f"100 % of the limit: {self.limits.gflops:.0f} GFLOP/s or "
            f"{self.limits.gbs:.1f} GB/s, whichever takes longer; above it works in the "
            "caches, or with fewer operations than the plain algorithm"
        )


def _checked(limits: tuple[float, float]) -> Limits:
    if len(limits) != 2:
        raise ValueError(f"profile: limits must be (GFLOP/s, GB/s), got {limits}")
    found = Limits(*limits)
    if not (found.gflops > 0 and found.gbs > 0):
        raise ValueError(f"profile: limits must be positive, got {found}")
    return found
