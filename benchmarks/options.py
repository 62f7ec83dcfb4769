"""The options that all benchmarks share."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

__all__ = ["CAPABILITIES", "available_cpus", "measuring_parser", "parser"]

# instruction sets that every library can be limited to
CAPABILITIES = ("avx2",)


def available_cpus() -> int:
    """The processors of this process, without importing any library."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def parser(name: str, description: str | None) -> argparse.ArgumentParser:
    """A parser of the options for result files."""
    made = argparse.ArgumentParser(
        prog=f"python -m benchmarks.{name}",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("--json", type=Path, help="file for the results")
    made.add_argument("--markdown", type=Path, help="file for a table")
    made.add_argument("--chart", type=Path, help="file for a picture (PNG)")
    return made


def measuring_parser(name: str, description: str | None) -> argparse.ArgumentParser:
    """The same, and the options of what measures rows."""
    made = parser(name, description)
    made.add_argument("--threads", type=int, default=available_cpus())
    made.add_argument(
        "--seconds", type=float, default=3.0, help="for each row, about (default 3)"
    )
    made.add_argument(
        "--rounds", type=int, default=15, help="turns of each, at least 5 (default 15)"
    )
    made.add_argument("--only", nargs="*", help="rows whose names hold one of these")
    made.add_argument(
        "--roofline", type=Path, help="result file of benchmarks.roofline"
    )
    made.add_argument(
        "--capability",
        choices=CAPABILITIES,
        help="limit every library to this instruction set",
    )
    return made
