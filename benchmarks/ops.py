"""Times single ops: samples of the op records, forward and with gradients, and large arrays
that no cache holds, with GB/s.

    python -m benchmarks.ops --roofline roofline.json --json ops.json

The samples are small: their time is what a call costs, whatever it computes.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from benchmarks.compare import measure
from benchmarks.libraries import OURS, refusable
from benchmarks.options import measuring_parser

__all__ = ["main"]


@refusable
def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; the exit status."""
    parser = measuring_parser("ops", __doc__, each=0.05, rounds=5)
    parser.add_argument(
        "--all-samples", action="store_true", help="of each op, not the first alone"
    )
    options = parser.parse_args(arguments)
    samples = "samples"
    if options.all_samples:
        # thousands of rows
        samples, options.seconds = "all samples", min(options.seconds, 0.01)
    return measure("ops", ["ops", samples], [], options, _chart)


def _chart(found: dict[str, Any]) -> Any:
    """Above, the rates of what is bound by memory; below, what a call of an op costs."""
    import numpy as np
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator, NullFormatter

    rows = found["rows"]
    large = [row for row in rows if row["gbs"] and "MB" in row["row"]]
    calls = [row for row in rows if not row["gbs"]]
    figure = Figure(figsize=(9, 8), dpi=110, layout="constrained")
    above, below = figure.subplots(2, 1, height_ratios=(2, 1))
    above.barh([row["row"] for row in large], [row["gbs"] for row in large])
    above.invert_yaxis()
    above.set_xlabel("GB/s")
    limits = found["settings"]["limits"]
    if limits:
        above.axvline(limits[1], color="black", linewidth=1, label="triad")
        above.legend(loc="lower right")
    above.set_title(f"{OURS}: ops on arrays that no cache holds")
    below.set_title("samples of all ops: what a call costs")
    below.set_xlabel("microseconds (log scale)")
    below.set_ylabel("share of the samples below")
    for label, chosen in (
        ("forward", lambda name: not name.endswith("backward")),
        ("forward and backward", lambda name: name.endswith("backward")),
    ):
        times = sorted(
            row["times"][OURS]["median_ms"] * 1e3 for row in calls if chosen(row["row"])
        )
        if times:
            below.step(times, np.arange(1, len(times) + 1) / len(times), label=label)
    below.set_xscale("log")
    below.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    below.xaxis.set_major_formatter("{x:g}")
    below.xaxis.set_minor_formatter(NullFormatter())
    below.grid(alpha=0.3)
    if calls:
        below.legend(loc="lower right")
    for axes in (above, below):
        axes.spines[["top", "right"]].set_visible(False)
    return figure


if __name__ == "__main__":
    sys.exit(main())
