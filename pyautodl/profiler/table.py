"""Sums over events, as rows, text and HTML."""

from __future__ import annotations

import html as escaping
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from pyautodl.profiler.limits import Limits
from pyautodl.profiler.recorder import Event

__all__ = ["Row", "Shown", "html", "lines", "rows_of", "shown", "size"]

GROUPS = ("op", "layer", "kernel")
OUTSIDE = "(outside modules)"


@dataclass
class Row:
    """What belongs together: an op, layer or kernel in one phase.

    Attributes:
        name: of the op, layer or kernel.
        phase: 'forward', 'backward', 'optimizer' or 'other'.
        calls: how many; of a layer those of its ops.
        seconds: of all calls together.
        flops, bytes: declared by the kernels; 0 flops: none of them declares any.
        memory: by how many bytes the memory in use grew.
    """

    name: str
    phase: str
    calls: int = 0
    seconds: float = 0.0
    flops: int = 0
    bytes: int = 0
    memory: int = 0

    def add(self, event: Event) -> None:
        """Count an event."""
        self.calls += 1
        self.seconds += event.seconds
        self.flops += event.flops
        self.bytes += event.bytes
        self.memory += event.memory


class Shown(NamedTuple):
    """A table of text."""

    header: tuple[str, ...]
    cells: Sequence[tuple[str, ...]]


def rows_of(events: Iterable[Event], by: str, depth: int | None) -> list[Row]:
    """Sum over events that lie in no other, or over kernels; the longest first."""
    if by not in GROUPS:
        raise ValueError(f"profile: by must be one of {GROUPS}, got {by!r}")
    if depth is not None and depth < 1:
        raise ValueError(f"profile: depth must be at least 1, got {depth}")
    rows: dict[tuple[str, str], Row] = {}
    for event in events:
        if event.kind != "kernel" if by == "kernel" else event.depth != 0:
            continue
        name = event.name if by != "layer" else _layer(event, depth)
        key = (name, event.phase)
        if key not in rows:
            rows[key] = Row(*key)
        rows[key].add(event)
    return sorted(rows.values(), key=lambda row: -row.seconds)


def _layer(event: Event, depth: int | None) -> str:
    if not event.layer:
        return OUTSIDE if event.phase != "optimizer" else "(optimizer)"
    return ".".join(event.layer.split(".")[:depth])


def shown(rows: Sequence[Row], by: str, limits: Limits, seconds: float) -> Shown:
    """The cells of a table; `seconds`: what counts as all of the time."""
    # a layer's row counts its ops, not its own calls
    counted = "op" if by == "layer" else "call"
    header = (
        by,
        "phase",
        f"{counted}s",
        "ms",
        "% time",
        f"µs/{counted}",
        "GFLOP/s",
        "GB/s",
        "% limit",
        "memory",
    )
    return Shown(header, [_cells(row, limits, seconds) for row in rows])


def _cells(row: Row, limits: Limits, seconds: float) -> tuple[str, ...]:
    spent = max(row.seconds, 1e-9)
    return (
        row.name,
        row.phase,
        str(row.calls),
        f"{row.seconds * 1e3:.3f}",
        f"{row.seconds / max(seconds, 1e-9):.1%}".rstrip("%"),
        f"{row.seconds / row.calls * 1e6:.1f}",
        f"{row.flops / spent / 1e9:.1f}" if row.flops else "",
        f"{row.bytes / spent / 1e9:.1f}" if row.bytes else "",
        f"{limits.seconds(row.flops, row.bytes) / spent:.0%}".rstrip("%"),
        size(row.memory),
    )


def size(nbytes: int) -> str:
    """Bytes as people read them: 1.5 MB.

    Example:
        >>> size(1_500_000), size(-2_000), size(12)
        ('1.5 MB', '-2.0 kB', '12 B')
    """
    value = float(nbytes)
    for unit in ("B", "kB", "MB"):
        if abs(value) < 1000:
            return f"{value:.1f} {unit}" if unit != "B" else f"{nbytes} B"
        value /= 1000
    return f"{value:.1f} GB"


def lines(found: Shown, limit: int | None = None) -> list[str]:
    """The table as lines of aligned columns; of the two first to the left."""
    if limit is not None and limit < 0:
        raise ValueError(f"profile: limit must be 0 or more rows, got {limit}")
    cells = found.cells if limit is None else found.cells[:limit]
    every = [found.header, *cells]
    widths = [max(len(row[i]) for row in every) for i in range(len(found.header))]
    text = [
        "  ".join(
            cell.ljust(width) if i < 2 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths))
        ).rstrip()
        for row in every
    ]
    rule = "  ".join("-" * width for width in widths)
    left = len(found.cells) - len(cells)
    return [text[0], rule, *text[1:], *([f"... {left} more"] if left else []), rule]


def html(found: Shown) -> str:
    """The table for a notebook."""

    def row(tag: str, cells: Iterable[str]) -> str:
        made = "".join(
            f'<{tag} style="text-align:{"left" if i < 2 else "right"}">'
            f"{escaping.escape(cell)}</{tag}>"
            for i, cell in enumerate(cells)
        )
        return f"<tr>{made}</tr>"

    body = "".join(row("td", cells) for cells in found.cells)
    return (
        f"<table><thead>{row('th', found.header)}</thead><tbody>{body}</tbody></table>"
    )
