"""The options that all benchmarks share.

What is wrong with one is said before anything is measured, not when its result is written.
"""

from __future__ import annotations

import argparse
import importlib.util
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import results

__all__ = [
    "CAPABILITIES",
    "add_rows",
    "add_timing",
    "at_least",
    "available_cpus",
    "measuring_parser",
    "new_file",
    "parser",
    "result_file",
    "seconds",
]

# instruction sets that every library can be limited to
CAPABILITIES = ("avx2",)


def available_cpus() -> int:
    """The processors of this process, without importing any library."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


# ---- what an option takes ----


def at_least(least: int) -> Callable[[str], int]:
    """A whole number from `least` on."""

    def read(text: str) -> int:
        if not text.isdecimal() or int(text) < least:
            raise argparse.ArgumentTypeError(
                f"expected a whole number from {least} on, got {text!r}"
            )
        return int(text)

    return read


def seconds(text: str) -> float:
    """A time above 0."""
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not 0 < found < math.inf:
        raise argparse.ArgumentTypeError(f"expected seconds above 0, got {text!r}")
    return found


def new_file(text: str) -> Path:
    """A file that can be written, or written anew."""
    path = Path(text)
    if path.is_dir():
        raise argparse.ArgumentTypeError(f"expected a file, {text!r} is a folder")
    if not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"there is no folder {str(path.parent)!r}")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise argparse.ArgumentTypeError(f"{text!r} can't be written")
    return path


def _new_picture(text: str) -> Path:
    if importlib.util.find_spec("matplotlib") is None:
        raise argparse.ArgumentTypeError(
            "matplotlib is not installed: pip install '.[bench]'"
        )
    return new_file(text)


def result_file(text: str) -> dict[str, Any]:
    """The document that is in a result file."""
    try:
        return results.read(Path(text))
    except (OSError, ValueError) as error:
        raise argparse.ArgumentTypeError(str(error)) from error


# ---- parsers ----


def parser(
    name: str, description: str | None, chart: bool = True
) -> argparse.ArgumentParser:
    """A parser of the options for result files."""
    made = argparse.ArgumentParser(
        prog=f"python -m benchmarks.{name}",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("--json", type=new_file, help="file for the results")
    made.add_argument("--markdown", type=new_file, help="file for a table")
    made.set_defaults(chart=None)
    if chart:
        made.add_argument("--chart", type=_new_picture, help="file for a picture (PNG)")
    return made


def add_rows(made: argparse.ArgumentParser) -> None:
    """Add what chooses the rows, and what each library may use."""
    made.add_argument(
        "--threads",
        type=at_least(1),
        default=available_cpus(),
        help="of each library (default %(default)s, those of the machine)",
    )
    made.add_argument("--only", nargs="+", help="rows whose names hold one of these")
    made.add_argument(
        "--capability",
        choices=CAPABILITIES,
        help="limit every library to this instruction set",
    )


def add_timing(made: argparse.ArgumentParser, each: float, rounds: int) -> None:
    """Add how long a row is measured."""
    made.add_argument(
        "--seconds",
        type=seconds,
        default=each,
        help="for each row, about (default %(default)s)",
    )
    made.add_argument(
        "--rounds",
        type=at_least(5),
        default=rounds,
        help="turns of each, at least 5 (default %(default)s)",
    )


def measuring_parser(
    name: str, description: str | None, each: float = 3.0, rounds: int = 15
) -> argparse.ArgumentParser:
    """The options of what measures the rows of a suite, for `each` seconds about."""
    made = parser(name, description)
    add_rows(made)
    add_timing(made, each, rounds)
    made.add_argument(
        "--roofline",
        type=result_file,
        help="result file of benchmarks.roofline: rates become shares of its limits",
    )
    return made
