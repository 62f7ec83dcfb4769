"""Times the rows of the step table, ours alone.

python -m benchmarks.steps --json steps.json
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from benchmarks.compare import measure
from benchmarks.libraries import refusable
from benchmarks.options import measuring_parser

__all__ = ["main"]


@refusable
def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; the exit status."""
    options = measuring_parser("steps", __doc__).parse_args(arguments)
    return measure("steps", ["steps"], [], options)


if __name__ == "__main__":
    sys.exit(main())
