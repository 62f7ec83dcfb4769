"""The most memory that each training step takes, ours and a peer's, each in a process of
its own; and that our scratch grows neither with batch nor with image size.

    python -m benchmarks.memory --peer torch --json memory.json --chart memory.png

Counted is what the process holds at most while it steps, less what the library alone
takes, its layers and optimizers loaded. Scratch is what is kept besides a call's result,
with what its block rounds it up by, a sixteenth at most. The exit status is 1 if it grows.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import closing
from typing import Any

import numpy as np

from benchmarks import results
from benchmarks.interruption import KeptRows
from benchmarks.libraries import OURS, PEERS, refusable
from benchmarks.options import add_rows, parser
from benchmarks.rows import SUITES, Facts
from benchmarks.work import Unsupported
from benchmarks.worker import Contestant

__all__ = ["grows", "main"]

# MB by which scratch may differ, and the share by which a block may round the result up
_GRAIN, _ROUNDED = 1.0, 1 / 16


@refusable
def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and write; 1 if scratch grows."""
    made = parser("memory", __doc__)
    add_rows(made)
    made.add_argument("--peer", nargs="*", choices=PEERS, default=["torch"])
    options = made.parse_args(arguments)

    def wanted(name: str) -> bool:
        return not options.only or any(part in name for part in options.only)

    rows: list[dict[str, Any]] = []
    scratch: list[dict[str, Any]] = []
    with KeptRows(rows, scratch) as kept:
        for row in SUITES["steps"]():
            if wanted(row.facts.name):
                rows.append(_step(row.facts.name, [OURS, *options.peer], options))
        for row in SUITES["scratch"]() if wanted("scratch") else ():
            scratch.append(_scratch(row.facts, options))
    if not rows + scratch:
        raise Unsupported("no row is named like that")
    found = results.document("memory", rows + scratch, threads=options.threads)
    table = _table(rows, [OURS, *options.peer]) + _scratch_table(scratch)
    print(f"\n{table}")
    results.write(options, found, table, lambda: _chart(rows))
    grown = grows(scratch)
    if grown:
        print(f"memory: it grows: {', '.join(grown)}", file=sys.stderr)
    return 1 if grown else kept.status


def grows(rows: Sequence[dict[str, Any]]) -> list[str]:
    """The rows whose scratch is above that of the first, the smallest call."""
    return [
        row["row"]
        for row in rows[1:]
        if row["scratch_mb"]
        > rows[0]["scratch_mb"] + _GRAIN + _ROUNDED * row["result_mb"]
    ]


def _step(name: str, libraries: Sequence[str], options: Any) -> dict[str, Any]:
    memory: dict[str, Any] = {}
    for library in libraries:
        try:
            with closing(
                Contestant(library, options.threads, options.capability)
            ) as contestant:
                seen = contestant.memory("steps", name)
        except Unsupported as why:
            if library == OURS:
                raise
            print(f"{name}: {library} left out: {why}", file=sys.stderr)
            continue
        memory[library] = {
            "step_mb": (seen.peak - seen.library) / 1e6,
            "library_mb": seen.library / 1e6,
        }
    text = "  ".join(f"{key} {each['step_mb']:.1f} MB" for key, each in memory.items())
    print(f"{name:<30}{text}", flush=True)
    return {"row": name, "memory": memory}


def _scratch(facts: Facts, options: Any) -> dict[str, Any]:
    """What our library keeps of a forward pass besides the output."""
    with closing(Contestant(OURS, options.threads, options.capability)) as ours:
        seen = ours.memory("scratch", facts.name)
    found = (seen.kept - facts.bytes) / 1e6
    print(f"{facts.name:<40}{found:.2f} MB", flush=True)
    return {
        "row": facts.name,
        "scratch_mb": found,
        "result_mb": facts.bytes / 1e6,
    }


def _table(rows: Sequence[dict[str, Any]], libraries: Sequence[str]) -> str:
    if not rows:
        return ""
    return results.markdown_table(
        ["step", *(f"{each} MB" for each in libraries)],
        [
            (
                row["row"],
                *(
                    f"{row['memory'][each]['step_mb']:.1f}"
                    if each in row["memory"]
                    else ""
                    for each in libraries
                ),
            )
            for row in rows
        ],
    )


def _scratch_table(rows: Sequence[dict[str, Any]]) -> str:
    if not rows:
        return ""
    return "\n" + results.markdown_table(
        ["scratch", "MB", "beside a result of MB"],
        [
            (row["row"], f"{row['scratch_mb']:.2f}", f"{row['result_mb']:.1f}")
            for row in rows
        ],
    )


def _chart(rows: Sequence[dict[str, Any]]) -> Any:
    from matplotlib.figure import Figure

    figure = Figure(
        figsize=(9, 1.5 + 0.45 * max(1, len(rows))), dpi=110, layout="constrained"
    )
    axes = figure.add_subplot()
    libraries = list(dict.fromkeys(key for row in rows for key in row["memory"]))
    thickness = 0.8 / max(1, len(libraries))
    for i, library in enumerate(libraries):
        values = [row["memory"].get(library, {}).get("step_mb", np.nan) for row in rows]
        places = [j - 0.4 + (i + 0.5) * thickness for j in range(len(rows))]
        bars = axes.barh(places, values, thickness, label=library)
        axes.bar_label(bars, fmt="%.0f", padding=3, fontsize=8)
    axes.set_yticks(range(len(rows)), [row["row"] for row in rows])
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xlabel("MB at most during a step, without the library itself")
    axes.margins(x=0.1)
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside lower center", ncols=max(1, len(libraries)))
    return figure


if __name__ == "__main__":
    sys.exit(main())
