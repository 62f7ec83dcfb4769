"""Time and memory as curves over batch, image size, channels and threads.

    python -m benchmarks.scaling --json scaling.json --chart scaling.png

Each point has a process of its own, so that memory is its own. An exponent is fitted to
the upper half of a curve: 1 means that twice as much takes twice as long. For the image
size and the channels it is 2 where cost grows with their square, and memory likewise with
the size.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import closing
from typing import Any

import numpy as np

from benchmarks import results
from benchmarks.libraries import OURS, refusable
from benchmarks.options import measuring_parser
from benchmarks.rows import SCALES
from benchmarks.timing import alternate
from benchmarks.worker import Contestant

__all__ = ["exponent", "main"]

_THREADS_ROW = "conv 3x3 batch 32"


@refusable
def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and write; the exit status."""
    parser = measuring_parser("scaling", __doc__)
    parser.set_defaults(seconds=0.7)
    options = parser.parse_args(arguments)
    curves = {
        f"conv 3x3 {what}": [(v, f"conv 3x3 {what} {v}") for v in values]
        for what, values in SCALES.items()
    }
    curves["CNN step batch"] = [(n, f"CNN step batch {n}") for n in SCALES["batch"]]
    rows = []
    for name, points in curves.items():
        if options.only and not any(part in name for part in options.only):
            continue
        rows += [_point(name, x, row, options, options.threads) for x, row in points]
    if not options.only or any(part in "threads" for part in options.only):
        for n in range(1, options.threads + 1):
            rows.append(_point("conv 3x3 threads", n, _THREADS_ROW, options, n))
    if not rows:
        print("scaling: no curve is named like that", file=sys.stderr)
        return 1
    fits = _fits(rows)
    found = results.document("scaling", rows, threads=options.threads, exponents=fits)
    table = results.markdown_table(
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
    print(table)
    results.write(options, found, table, lambda: _chart(rows, fits))
    return 0


def _point(curve: str, x: int, row: str, options: Any, threads: int) -> dict[str, Any]:
    with closing(Contestant(OURS, threads, options.capability)) as ours:
        memory = ours.memory("scaling", row)
        (timing,) = alternate([ours.time], options.seconds, options.rounds)
    found = {
        "row": f"{curve} {x}",
        "curve": curve,
        "x": x,
        "times": {
            OURS: {
                "median_ms": timing.median * 1e3,
                "spread_ms": timing.spread * 1e3,
            }
        },
        "memory_mb": (memory.peak - memory.library) / 1e6,
    }
    print(
        f"{found['row']:<28}{timing.median * 1e3:>10.3f} ±{timing.spread * 1e3:.3f} ms "
        f"{found['memory_mb']:>9.1f} MB",
        flush=True,
    )
    return found


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
        for values, style, unit in ((times, "o-", "ms"), (memory, "s--", "MB")):
            label = f"{values[0]:.3g} {unit} → {values[-1]:.3g} {unit}"
            axes.loglog(x, np.divide(values, values[0]), style, label=label)
        axes.set_xticks(x, [str(each) for each in x])
        axes.set_xticks([], minor=True)
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_formatter(NullFormatter())
        low, high = axes.get_ylim()
        axes.set_ylim(min(low, 0.4), max(high, 2.5))
        axes.set_xlabel(name.rpartition(" ")[2])
        axes.set_ylabel(f"multiple of that at {x[0]}")
        axes.set_title(f"{name}: time grows as x^{fit['time']:.2f}", fontsize=10)
        axes.legend(fontsize=8)
        axes.grid(alpha=0.3)
    return figure


if __name__ == "__main__":
    sys.exit(main())
