"""Times single layers, forward and forward with gradients, against a peer.

python -m benchmarks.layers --peer torch --chart layers.png
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from benchmarks.compare import measure
from benchmarks.libraries import PEERS, refusable
from benchmarks.options import measuring_parser

__all__ = ["main"]


@refusable
def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; the exit status."""
    parser = measuring_parser("layers", __doc__)
    parser.add_argument("--peer", nargs="+", choices=PEERS, default=["torch"])
    options = parser.parse_args(arguments)
    return measure("layers", ["layers"], options.peer, options)


if __name__ == "__main__":
    sys.exit(main())
