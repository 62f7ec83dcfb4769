"""Times what is bound by memory, on arrays that no cache holds, and tells the share of the
memory bandwidth: of a triad on other arrays, in turns with the row.

    python -m benchmarks.bandwidth --json bandwidth.json

A row's bytes are those that it must read and write in the fewest passes. A C compiler is
needed, unless --roofline gives a file.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from benchmarks.compare import measure
from benchmarks.libraries import PEERS, refusable
from benchmarks.options import measuring_parser

__all__ = ["main"]

_SUITES = {"float32": "bandwidth", "float64": "bandwidth float64"}


@refusable
def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; the exit status."""
    parser = measuring_parser("bandwidth", __doc__, each=0.5, rounds=7)
    parser.add_argument("--peer", nargs="+", choices=PEERS, default=[])
    parser.add_argument(
        "--dtype", nargs="+", choices=list(_SUITES), default=list(_SUITES)
    )
    options = parser.parse_args(arguments)
    suites = [_SUITES[each] for each in options.dtype]
    triads = options.roofline is None
    return measure("bandwidth", suites, options.peer, options, triads=triads)


if __name__ == "__main__":
    sys.exit(main())
