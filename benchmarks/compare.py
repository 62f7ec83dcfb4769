"""Compares pyautodl with other libraries, each in its own process: equal threads, turns,
medians, equal results.

    python -m benchmarks.compare --peer torch numpy --suite first --json first.json

Peers that are not installed are named and left out, likewise rows that a peer can't do.
Above 1x ours is faster.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from typing import Any

import numpy as np

from benchmarks import results
from benchmarks.disturbance import TOLERATED, Watch
from benchmarks.interruption import KeptRows
from benchmarks.libraries import OURS, PEERS, refusable
from benchmarks.options import measuring_parser
from benchmarks.roofline import Limits, in_turns, limits_of
from benchmarks.rows import SUITES, Facts
from benchmarks.timing import Timer, alternate
from benchmarks.work import Unsupported
from benchmarks.worker import Contestant

__all__ = ["chart", "main", "measure", "table"]

Row = dict[str, Any]

# figures of a row, None where there are none
_RATES = ("gflops", "gbs", "limit_gbs", "share")
# that a turn of the triad stands for
_TRIAD_GB = 0.2


@refusable
def main(arguments: Sequence[str] | None = None) -> int:
    """Measure the rows of a suite; print lines, a summary, and write the files."""
    parser = measuring_parser("compare", __doc__)
    parser.add_argument("--peer", nargs="+", choices=PEERS, default=["torch", "numpy"])
    parser.add_argument("--suite", choices=sorted(SUITES), default="first")
    options = parser.parse_args(arguments)
    return measure("compare", [options.suite], options.peer, options)


def measure(
    benchmark: str,
    suites: Sequence[str],
    peers: Sequence[str],
    options: argparse.Namespace,
    draw: Callable[[dict[str, Any]], Any] | None = None,
    triads: bool = False,
) -> int:
    """Measure suites against peers, print and write what was found; the exit status.

    With `triads` the limit of a row is the bandwidth measured in turns with it.
    """
    with ExitStack() as stack:
        contestants = _start([OURS, *peers], options, stack)
        if contestants is None:
            return 1
        wanted = [
            (suite, each)
            for suite in suites
            for each in contestants[0].facts(suite)
            if not options.only or any(part in each.name for part in options.only)
        ]
        if not wanted:
            print(f"{benchmark}: no row is named like that", file=sys.stderr)
            return 1
        limits: Limits | Timer | None = _limits(contestants[0], options)
        if triads:
            limits = _triad(contestants[0], options, stack)
        rows: list[Row] = []
        with KeptRows(rows) as kept:
            for i, (suite, facts) in enumerate(wanted, 1):
                rows.append(_measure_row(contestants, suite, facts, options, limits))
                number = f"{i:>{len(str(len(wanted)))}}/{len(wanted)}"
                print(number, _line(rows[-1]), flush=True)
        versions = {each.library: each.versions for each in contestants}
    print(summary(rows))
    found = results.document(
        benchmark,
        rows,
        versions,
        suite=" ".join(suites),
        threads=options.threads,
        capability=options.capability,
        seconds=options.seconds,
        limits=None if callable(limits) else limits,
    )
    picture = chart if draw is None else draw
    results.write(options, found, table(found), lambda: picture(found))
    return kept.status


def _limits(ours: Contestant, options: argparse.Namespace) -> Limits | None:
    """The roofline of our instruction set, if the options have one."""
    if options.roofline is None:
        return None
    isa = ours.versions["pyautodl ISA"]
    try:
        return limits_of(options.roofline["rows"], isa, options.threads)
    except ValueError as why:
        raise Unsupported(str(why)) from why


def _triad(ours: Contestant, options: argparse.Namespace, stack: ExitStack) -> Timer:
    """What takes the time of `_TRIAD_GB` of a triad by our instruction set."""
    isa = ours.versions["pyautodl ISA"]
    pace = stack.enter_context(in_turns("triads", isa))
    return lambda count: _TRIAD_GB / pace(options.threads)


def _start(
    names: Sequence[str], options: argparse.Namespace, stack: ExitStack
) -> list[Contestant] | None:
    """Those that can be started, ours first; None if there is nothing to compare with."""
    started = []
    for name in names:
        try:
            contestant = Contestant(name, options.threads, options.capability)
        except Unsupported as why:
            print(f"left out: {why}", file=sys.stderr)
            continue
        started.append(stack.enter_context(closing(contestant)))
    wanted = min(len(names), 2)
    if len(started) < wanted or started[0].library != OURS:
        alone = (
            "nothing is measured" if wanted == 1 else "there is nothing to compare with"
        )
        print(alone, file=sys.stderr)
        return None
    return started


def _measure_row(
    contestants: Sequence[Contestant],
    suite: str,
    facts: Facts,
    options: argparse.Namespace,
    limits: Limits | Timer | None,
) -> Row:
    able, left_out = [], {}
    expected: list[np.ndarray] = []
    for each in contestants:
        try:
            found = each.prepare(suite, facts.name)
        except Unsupported as why:
            left_out[each.library] = str(why)
            continue
        if able:
            check_equal(facts, able[0].library, expected, each.library, found)
        else:
            expected = found
        able.append(each)
    watch = Watch(each.pid for each in contestants)
    timers: list[Timer] = [each.time for each in able]
    if callable(limits):
        *timings, triad = alternate([*timers, limits], options.seconds, options.rounds)
        limits = (math.inf, _TRIAD_GB / triad.median)
    else:
        timings = alternate(timers, options.seconds, options.rounds)
    disturbed = watch.processors()
    times = {
        each.library: {
            "median_ms": timing.median * 1e3,
            "spread_ms": timing.spread * 1e3,
        }
        for each, timing in zip(able, timings, strict=True)
    }
    return {
        "row": facts.name,
        "times": times,
        **_figures(facts, times, limits),
        "left_out": left_out,
        "disturbed": disturbed,
    }


def check_equal(
    facts: Facts,
    ours: str,
    expected: list[np.ndarray],
    theirs: str,
    found: list[np.ndarray],
) -> None:
    """Compare the results of two libraries.

    Raises:
        ValueError: they differ by more than the row allows.
    """
    if [each.shape for each in expected] != [each.shape for each in found]:
        raise ValueError(
            f"{facts.name}: the results of {ours} have shapes "
            f"{[each.shape for each in expected]}, those of {theirs} "
            f"{[each.shape for each in found]}"
        )
    for i, (a, b) in enumerate(zip(expected, found, strict=True)):
        if a.size == 0:
            continue
        scale = max(float(np.abs(b).max()), 1e-30)
        error = float(np.abs(a - b).max()) / scale
        if not error <= facts.tolerance:
            raise ValueError(
                f"{facts.name}: result {i} of {ours} and {theirs} differs by {error:.1e} "
                f"of the largest, allowed {facts.tolerance:.0e} ({ours} "
                f"{a.ravel()[:3]}, {theirs} {b.ravel()[:3]})"
            )


def _figures(facts: Facts, times: dict[str, Any], limits: Limits | None) -> Row:
    """Ratios to the peers, our rates, and how near these come to the limits."""
    if OURS not in times:
        return {"ratios": {}, **dict.fromkeys(_RATES)}
    ours = times[OURS]["median_ms"] / 1e3
    gflops, gbs = facts.flops / ours / 1e9, facts.bytes / ours / 1e9
    share = max(gflops / limits[0], gbs / limits[1]) if limits else None
    return {
        "ratios": {
            name: each["median_ms"] / 1e3 / ours
            for name, each in times.items()
            if name != OURS
        },
        "gflops": gflops or None,
        "gbs": gbs or None,
        "limit_gbs": limits[1] if limits else None,
        "share": share or None,
    }


# ---- what is shown ----


def _line(row: Row) -> str:
    parts = [f"{row['row']:<36}"]
    for name, each in row["times"].items():
        ratio = row["ratios"].get(name)
        text = f"{name} {_milliseconds(each)} ms"
        parts.append(text + (f" {ratio:.2f}x" if ratio else ""))
    parts += _rates(row)
    if row["disturbed"] > TOLERATED:
        parts.append(f"(others kept {row['disturbed']:.1f} processors busy)")
    parts += [f"{name} left out: {why}" for name, why in row["left_out"].items()]
    return "  ".join(parts)


def _rates(row: Row) -> list[str]:
    parts = []
    if row["gflops"]:
        parts.append(f"{row['gflops']:.0f} GFLOP/s")
    if row["gbs"]:
        parts.append(f"{row['gbs']:.1f} GB/s")
    if row["share"]:
        parts.append(f"{row['share']:.0%} of the limit")
    return parts


def peers_of(rows: Sequence[Row]) -> list[str]:
    """The peers that some row has a ratio for, in order."""
    return list(dict.fromkeys(name for row in rows for name in row["ratios"]))


def summary(rows: Sequence[Row]) -> str:
    """For each peer the geometric mean and the lowest ratio."""
    lines = []
    for peer in peers_of(rows):
        ratios = {
            row["row"]: row["ratios"][peer] for row in rows if peer in row["ratios"]
        }
        lowest = min(ratios, key=lambda name: ratios[name])
        mean = results.geometric_mean(list(ratios.values()))
        lines.append(
            f"{peer}: geometric mean {mean:.2f}x over {len(ratios)} rows, lowest "
            f"{ratios[lowest]:.2f}x ({lowest})"
        )
    return "\n".join(lines) or f"{len(rows)} row{'s' if len(rows) > 1 else ''}"


def table(found: dict[str, Any]) -> str:
    """The document as a table in Markdown."""
    rows = found["rows"]
    peers = peers_of(rows)
    columns: list[tuple[str, Callable[[Row], str]]] = [
        ("row", lambda row: row["row"]),
        (f"{OURS} ms", lambda row: _time(row, OURS)),
    ]
    for peer in peers:
        columns.append((f"{peer} ms", lambda row, peer=peer: _time(row, peer)))
        columns.append(("ratio", lambda row, peer=peer: _ratio(row, peer)))
    for key, title, form in (
        ("gflops", "GFLOP/s", "{:,.1f}"),
        ("gbs", "GB/s", "{:,.1f}"),
        ("share", "of the limit", "{:.0%}"),
    ):
        if any(row[key] for row in rows):
            columns.append(
                (
                    title,
                    lambda row, key=key, form=form: (
                        form.format(row[key]) if row[key] else ""
                    ),
                )
            )
    body = results.markdown_table(
        [title for title, _ in columns],
        [[cell(row) for _, cell in columns] for row in rows],
    )
    machine, settings = found["machine"], found["settings"]
    head = f"{machine['processor']}, {settings['threads']} threads"
    versions = "; ".join(
        f"{library}: {', '.join(f'{key} {value}' for key, value in each.items())}"
        for library, each in found["versions"].items()
    )
    return f"{head}; {versions}\n\n{body}\n{summary(rows)}\n"


def _time(row: Row, library: str) -> str:
    each = row["times"].get(library)
    return _milliseconds(each) if each else ""


def _milliseconds(found: dict[str, float]) -> str:
    """Median and spread; of a short call to ten nanoseconds."""
    digits = 3 if found["median_ms"] >= 0.1 else 5
    return f"{found['median_ms']:.{digits}f} ±{found['spread_ms']:.{digits}f}"


def _ratio(row: Row, peer: str) -> str:
    return f"{row['ratios'][peer]:.2f}x" if peer in row["ratios"] else ""


def chart(found: dict[str, Any]) -> Any:
    """Bars: for each row how many times faster ours is; without peers the times."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator, NullFormatter

    rows = found["rows"]
    peers = peers_of(rows)
    names = [row["row"] for row in rows]
    height = 1.6 + 0.24 * len(rows) * max(1, len(peers))
    figure = Figure(figsize=(9, height), dpi=110, layout="constrained")
    axes = figure.add_subplot()
    thickness = 0.8 / max(1, len(peers))
    for i, peer in enumerate(peers or [OURS]):
        values = [
            row["ratios"].get(peer, np.nan)
            if peers
            else row["times"][OURS]["median_ms"]
            for row in rows
        ]
        places = [j - 0.4 + (i + 0.5) * thickness for j in range(len(rows))]
        if peers:
            # from 1, where both are equal, to either side
            widths = [each - 1 for each in values]
            bars = axes.barh(places, widths, thickness, left=1, label=peer)
        else:
            bars = axes.barh(places, values, thickness)
        labels = [
            "" if np.isnan(each) else f"{each:.2f}{'x' if peers else ''}"
            for each in values
        ]
        axes.bar_label(bars, labels, padding=3, fontsize=8)
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_xscale("log")
    axes.margins(x=0.12)
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter(NullFormatter())
    settings = found["settings"]
    if peers:
        axes.axvline(1, color="black", linewidth=1)
        axes.set_xlabel("times faster than the peer (log scale); 1: equal")
        figure.legend(loc="outside lower center", ncols=len(peers))
    else:
        axes.set_xlabel("milliseconds (log scale)")
    axes.set_title(f"{OURS}, suite {settings['suite']}, {settings['threads']} threads")
    axes.spines[["top", "right"]].set_visible(False)
    return figure


if __name__ == "__main__":
    sys.exit(main())
