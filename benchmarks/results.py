"""Result files: one form for all benchmarks, as JSON, as a table, as a picture.

A document is {"benchmark", "machine", "settings", "versions", "rows"}; a row is {"row",
"times": {library: {"median_ms", "spread_ms"}}, ...} with further figures by name.
"""

from __future__ import annotations

import argparse
import io
import json
import math
import os
import platform
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

__all__ = [
    "document",
    "geometric_mean",
    "markdown_table",
    "read",
    "save_figure",
    "write",
    "write_text",
]

Row = dict[str, Any]


def document(
    benchmark: str,
    rows: list[Row],
    versions: dict[str, dict[str, str]] | None = None,
    **settings: Any,
) -> dict[str, Any]:
    """What was measured, where and how."""
    return {
        "benchmark": benchmark,
        "machine": _machine(),
        "commit": _commit(),
        "settings": settings,
        "versions": versions or {},
        "rows": rows,
    }


def _machine() -> dict[str, Any]:
    return {
        "processor": _processor(),
        "architecture": platform.machine(),
        "cpus": os.cpu_count(),
        "system": platform.system(),
        "python": platform.python_version(),
    }


def _processor() -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    names = (line.split(":", 1)[1].strip() for line in lines if "model name" in line)
    return next(names, platform.processor())


def _commit() -> str | None:
    """The commit that was measured; None outside a repository."""
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty"],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parent,
    )
    return done.stdout.strip() if done.returncode == 0 else None


def read(path: Path) -> dict[str, Any]:
    """A document from its file.

    Raises:
        ValueError: the file holds something else.
    """
    try:
        found = json.loads(path.read_text())
    except ValueError:
        found = None
    if not isinstance(found, dict) or "rows" not in found:
        raise ValueError(
            f"{path}: expected a result file with 'rows', written by --json of a benchmark"
        )
    return found


def write(
    options: argparse.Namespace,
    found: dict[str, Any],
    table: str,
    figure: Any = None,
) -> None:
    """Write the files that the options ask for; figure: () -> a matplotlib figure."""
    if options.json:
        write_text(options.json, json.dumps(found, indent=2) + "\n")
    if options.markdown:
        write_text(options.markdown, table)
    if options.chart and figure is not None:
        save_figure(figure(), options.chart)


def write_text(path: Path, text: str) -> None:
    """Write beside the file and rename, so that it is whole or not there."""
    _write(path, text.encode())


def save_figure(figure: Any, path: Path) -> None:
    """Save a picture as PNG, beside and renamed."""
    picture = io.BytesIO()
    figure.savefig(picture, format="png")
    _write(path, picture.getvalue())


def _write(path: Path, content: bytes) -> None:
    if path.exists() and not path.is_file():
        # a pipe or a device, as /dev/stdout may be: nothing to be renamed
        path.write_bytes(content)
        return
    path = path.resolve()
    beside = path.with_name(path.name + ".part")
    beside.write_bytes(content)
    beside.replace(path)


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown, its columns aligned; all but the first to the right."""
    lines = [list(header), *(list(row) for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(header))]

    def line(cells: Sequence[str]) -> str:
        padded = [
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ]
        return f"| {' | '.join(padded)} |\n"

    rule = [
        "-" * width if i == 0 else "-" * (width - 1) + ":"
        for i, width in enumerate(widths)
    ]
    return line(lines[0]) + line(rule) + "".join(line(each) for each in lines[1:])


def geometric_mean(values: Sequence[float]) -> float:
    """The mean of ratios."""
    return math.exp(sum(math.log(each) for each in values) / len(values))
