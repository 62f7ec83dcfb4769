"""Measures products of matrices against the peak of the multiply-add units, in turns of a few
milliseconds: where the pace of a machine changes by the second, only neighbours compare.

    python -m benchmarks.peak --json peak.json

A product of n x n matrices is `a @ b` of tensors, without gradients. A C compiler is needed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import partial
from statistics import quantiles
from time import perf_counter
from typing import Any

import pyautodl as ad
from benchmarks import results
from benchmarks.interruption import KeptRows
from benchmarks.libraries import OURS, load, refusable
from benchmarks.options import at_least, available_cpus, parser
from benchmarks.roofline import in_turns

__all__ = ["main"]

_SIZES = (256, 512, 1024, 2048)
# that turns take
_MOST_THREADS = 64
# seconds that products take between two turns of multiply-adds, at least
_TURN = 0.003


@refusable
def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and write; the exit status."""
    options = parser("peak", __doc__, chart=False)
    options.add_argument(
        "--rounds", type=at_least(2), default=40, help="turns (default %(default)s)"
    )
    chosen = options.parse_args(arguments)
    load(OURS, 1, None)
    rows: list[dict[str, Any]] = []
    with (
        in_turns("multiply_adds", ad.native.current_isa()) as pace,
        KeptRows(rows) as kept,
    ):
        for threads in sorted({1, min(available_cpus(), _MOST_THREADS)}):
            for n in _SIZES:
                peak = partial(pace, threads)
                rows.append(_row(n, threads, _shares(n, threads, peak, chosen.rounds)))
                print(rows[-1]["row"], _shown(rows[-1]), flush=True)
    found = results.document("peak", rows)
    table = results.markdown_table(
        ["product", "share of the peak", "quartiles"],
        [(row["row"], *_shown(row).split(maxsplit=1)) for row in rows],
    )
    results.write(chosen, found, table)
    return kept.status


def _shares(
    n: int, threads: int, peak: Callable[[], float], rounds: int
) -> list[float]:
    """The product's pace over that of the multiply-adds before and after it."""
    ad.set_num_threads(threads)
    a, b = ad.randn(n, n), ad.randn(n, n)
    shares = []
    with ad.no_grad():
        seconds = min(_time(a, b, 1) for _ in range(5))
        count = max(1, round(_TURN / seconds))
        before = peak()
        for _ in range(rounds):
            pace = 2e-9 * n**3 * count / _time(a, b, count)
            after = peak()
            shares.append(2 * pace / (before + after))
            before = after
    return shares


def _time(a: ad.Tensor, b: ad.Tensor, count: int) -> float:
    began = perf_counter()
    for _ in range(count):
        a @ b
    return perf_counter() - began


def _row(n: int, threads: int, shares: list[float]) -> dict[str, Any]:
    low, median, high = quantiles(shares, n=4)
    name = f"{n}\N{SUPERSCRIPT THREE} {threads} threads"
    return {"row": name, "share": median, "low": low, "high": high}


def _shown(row: dict[str, Any]) -> str:
    return f"{row['share']:.0%} {row['low']:.0%} to {row['high']:.0%}"


if __name__ == "__main__":
    sys.exit(main())
