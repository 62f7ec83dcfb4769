"""Where the time of a step goes: our profile of each row of the step table.

python -m benchmarks.profiles --only LSTM "MLP B256"
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import pyautodl as ad
from benchmarks.libraries import load, refusable
from benchmarks.options import at_least, available_cpus
from benchmarks.rows import SUITES
from benchmarks.work import Prepared

__all__ = ["main"]

_WARM_UP_CALLS = 3


@refusable
def main(arguments: Sequence[str] | None = None) -> int:
    """Print a table for each row; the exit status."""
    options = _parser().parse_args(arguments)
    library = load("pyautodl", options.threads, None)
    rows = [
        row
        for row in SUITES["steps"]()
        if not options.only or any(each in row.facts.name for each in options.only)
    ]
    if not rows:
        print("profiles: no row has such a name", file=sys.stderr)
        return 1
    for row in rows:
        profile = _profile(library.prepare(row.work()), options.calls)
        print(f"== {row.facts.name}, {options.calls} calls\n{profile.table()}\n")
    return 0


def _profile(prepared: Prepared, calls: int) -> ad.profile:
    with prepared.within():
        for _ in range(_WARM_UP_CALLS):
            prepared.call()
        with ad.profile() as profile:
            for _ in range(calls):
                prepared.call()
    return profile


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.profiles",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--threads", type=at_least(1), default=available_cpus())
    parser.add_argument(
        "--calls",
        type=at_least(1),
        default=10,
        help="of each row (default %(default)s)",
    )
    parser.add_argument("--only", nargs="+", help="rows whose names hold one of these")
    return parser


if __name__ == "__main__":
    sys.exit(main())
