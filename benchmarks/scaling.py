"""Time and memory as curves over batch, image size, channels and threads.

    python -m benchmarks.scaling --json scaling.json --chart scaling.png

Each point has a process of its own, so that memory is its own, and the points of a curve take
turns, so that no slow phase of the machine bends it. An exponent is fitted to the upper half of
a curve: 1 means that twice as much takes twice as long. For the image size and the channels it
is 2 where cost grows with their square, and memory likewise with the size.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import ExitStack, closing
from typing import Any, NamedTuple

import numpy as np

from benchmarks import results
from benchmarks.disturbance import TOLERATED, Watch
from benchmarks.interruption import KeptRows
from benchmarks.libraries import OURS, refusable
from benchmarks.options import add_rows, add_timing, parser
from benchmarks.rows import SCALES
from benchmarks.timing import alternate
from benchmarks.work import Unsupported
from benchmarks.worker import Contestant

__all__ = ["exponent", "main"]

_THREADS_ROW = "conv 3x3 batch 32"
# what the axes say, where it is more than the curve's name
_UNITS = {"batch": "images in the batch", "size": "image size in pixels a side"}


class _Point(NamedTuple):
    x: int
    row: str  # of the suite
    threads: int


@refusable
def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and write; the exit status."""
    made = parser("scaling", __doc__)
    add_rows(made)
    add_timing(made, 0.7, 15)
    options = made.parse_args(arguments)
    curves = {
        name: points
        for name, points in _curves(options.threads).items()
        if not options.only or any(part in name for part in options.only)
    }
    if not curves:
        raise Unsupported("no curve is named like that")
    rows: list[dict[str, Any]] = []
    with KeptRows(rows) as kept:
        for i, (name, points) in enumerate(curves.items(), 1):
            print(f"{i}/{len(curves)} {name}", flush=True)
            rows += _measure(name, points, options)
    fits = _fits(rows)
    found = results.document("scaling", rows, threads=options.threads, exponents=fits)
    table = _table(rows, fits)
    print(f"\n{table}")
    results.write(options, found, table, lambda: _chart(rows, fits))
    return kept.status


def _curves(threads: int) -> dict[str, list[_Point]]:
    curves = {
        f"conv 3x3 {what}": [_Point(v, f"conv 3x3 {what} {v}", threads) for v in values]
        for what, values in SCALES.items()
    }
    curves["CNN step batch"] = [
        _Point(n, f"CNN step batch {n}", threads) for n in SCALES["batch"]
    ]
    curves["conv 3x3 threads"] = [
        _Point(n, _THREADS_ROW, n) for n in range(1, threads + 1)
    ]
    return curves


def _measure(
    curve: str, points: Sequence[_Point], options: Any
) -> list[dict[str, Any]]:
    """The rows of a curve: memory of each point, then times in turns."""
    with ExitStack() as stack:
        contestants, memory = [], []
        for point in points:
            ours = Contestant(OURS, point.threads, options.capability)
            contestants.append(stack.enter_context(closing(ours)))
            seen = ours.memory("scaling", point.row)
            memory.append((seen.peak - seen.library) / 1e6)
        timers = [each.time for each in contestants]
        total = options.seconds * len(points)
        watch = Watch(each.pid for each in contestants)
        timings = alternate(timers, total, options.rounds)
        disturbed = watch.processors()
    rows = []
    for point, timing, megabytes in zip(points, timings, memory, strict=True):
        milliseconds, spread = timing.median * 1e3, timing.spread * 1e3
        rows.append(
            {
                "row": f"{curve} {point.x}",
                "curve": curve,
                "x": point.x,
                "times": {OURS: {"median_ms": milliseconds, "spread_ms": spread}},
                "memory_mb": megabytes,
                "disturbed": disturbed,
            }
        )
        print(
            f"{rows[-1]['row']:<28}{milliseconds:>10.3f} ±{spread:.3f} ms "
            f"{megabytes:>9.1f} MB",
            flush=True,
        )
    if disturbed > TOLERATED:
        print(f"(others kept {disturbed:.1f} processors busy)", flush=True)
    return rows


def _table(rows: list[dict[str, Any]], fits: dict[str, Any]) -> str:
    """The exponents, then the points."""
    exponents = results.markdown_table(
        ["curve", "time grows with exponent", "memory with exponent"],
        [
            (
                name,
                f"{fit['time']:.2f}",
                "" if fit["memory"] is None else f"{fit['memory']:.2f}",
            )
            for name, fit in fits.items()
        ],
    )
    points = results.markdown_table(
        ["point", "ms", "MB"],
        [
            (
                row["row"],
                f"{row['times'][OURS]['median_ms']:.3f} "
                f"±{row['times'][OURS]['spread_ms']:.3f}",
                f"{row['memory_mb']:.1f}",
            )
            for row in rows
        ],
    )
    return f"{exponents}\n{points}"


def exponent(x: Sequence[float], y: Sequence[float]) -> float:
    """The b of y = a x^b through the upper half of the points, by least squares."""
    upper = slice(len(x) // 2 if len(x) > 3 else 0, None)
    slope, _ = np.polyfit(np.log(x[upper]), np.log(y[upper]), 1)
    return float(slope)


def _curve(rows: list[dict[str, Any]], name: str) -> tuple[list[Any], ...]:
    points = [row for row in rows if row["curve"] == name]
    return (
        [row["x"] for row in points],
        [row["times"][OURS]["median_ms"] for row in points],
        [row["memory_mb"] for row in points],
    )


def _fits(rows: list[dict[str, Any]]) -> dict[str, dict[str, float | None]]:
    fits: dict[str, dict[str, float | None]] = {}
    for name in dict.fromkeys(row["curve"] for row in rows):
        x, times, memory = _curve(rows, name)
        if len(x) > 1:
            grows = exponent(x, memory) if min(memory) > 0 else None
            fits[name] = {"time": exponent(x, times), "memory": grows}
    return fits


def _chart(rows: list[dict[str, Any]], fits: dict[str, Any]) -> Any:
    """A panel for each curve: time and memory in multiples of those of the first point."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import NullFormatter

    columns = min(3, len(fits))
    lines = -(-len(fits) // columns)
    figure = Figure(figsize=(4.2 * columns, 3.8 * lines), dpi=110, layout="constrained")
    panels = np.atleast_1d(figure.subplots(lines, columns)).ravel()
    for axes in panels[len(fits) :]:
        axes.remove()
    for axes, (name, fit) in zip(panels, fits.items(), strict=False):
        x, times, memory = _curve(rows, name)
        for what, values, style, unit in (
            ("time", times, "o-", "ms"),
            ("memory", memory, "s--", "MB"),
        ):
            label = f"{what}: {values[0]:.3g} → {values[-1]:.3g} {unit}"
            axes.loglog(x, np.divide(values, values[0]), style, label=label)
        axes.set_xticks(x, [str(each) for each in x])
        axes.set_xticks([], minor=True)
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_formatter(NullFormatter())
        low, high = axes.get_ylim()
        axes.set_ylim(min(low, 0.4), max(high, 2.5))
        what = name.rpartition(" ")[2]
        axes.set_xlabel(_UNITS.get(what, what))
        axes.set_ylabel(f"multiple of that at {x[0]}")
        axes.set_title(f"{name}: time grows as $x^{{{fit['time']:.2f}}}$", fontsize=10)
        axes.legend(fontsize=8)
        axes.grid(alpha=0.3)
    return figure


if __name__ == "__main__":
    sys.exit(main())
