"""Compares two result files and names what has become slower beyond the spread.

    python -m benchmarks.regression before.json after.json

A row is slower if its median rose by more than the threshold and by more than both spreads
together. The exit status is 1 if any is.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks import results
from benchmarks.libraries import OURS
from benchmarks.options import parser, result_file

__all__ = ["Verdict", "main", "verdicts"]


@dataclass(frozen=True)
class Verdict:
    """What became of a row."""

    row: str
    before_ms: float
    after_ms: float
    # what the median may change by chance
    noise_ms: float
    threshold: float

    @property
    def ratio(self) -> float:
        """Time after for each unit of time before."""
        return self.after_ms / self.before_ms

    @property
    def kind(self) -> str:
        """'slower', 'faster' or 'same'."""
        change = self.after_ms - self.before_ms
        if abs(change) <= max(self.noise_ms, self.threshold * self.before_ms):
            return "same"
        return "slower" if change > 0 else "faster"


def verdicts(
    before: dict[str, Any],
    after: dict[str, Any],
    threshold: float = 0.05,
    library: str = OURS,
) -> Iterator[Verdict]:
    """Compare the rows that both documents have, in the order of the second.

    Args:
        before, after: documents of `results`.
        threshold: the share of the time that a row may lose.
        library: whose times count.

    Raises:
        ValueError: they have no row in common.
    """
    old = _times(before, library)
    new = _times(after, library)
    common = [name for name in new if name in old]
    if not common:
        raise ValueError(f"the two files have no row of {library} in common")
    for name in common:
        first, second = old[name], new[name]
        yield Verdict(
            name,
            first["median_ms"],
            second["median_ms"],
            first["spread_ms"] + second["spread_ms"],
            threshold,
        )


def _times(document: dict[str, Any], library: str) -> dict[str, dict[str, float]]:
    return {
        row["row"]: row["times"][library]
        for row in document["rows"]
        if library in row.get("times", {})
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare and print; 1 if a row is slower."""
    made = parser("regression", __doc__, chart=False)
    made.add_argument("before", type=result_file, help="result file with times")
    made.add_argument("after", type=result_file, help="result file with times")
    made.add_argument(
        "--threshold",
        type=float,
        default=0.05,
        help="share of the time that a row may lose (default %(default)s)",
    )
    made.add_argument(
        "--library", default=OURS, help="whose times count (default %(default)s)"
    )
    options = made.parse_args(arguments)
    before, after = options.before, options.after
    for warning in _differences(before, after):
        print(f"note: {warning}", file=sys.stderr)
    try:
        found = list(verdicts(before, after, options.threshold, options.library))
    except ValueError as why:
        made.error(str(why))
    rows = [{"row": each.row, "kind": each.kind, "ratio": each.ratio} for each in found]
    table = results.markdown_table(
        ["row", "before ms", "after ms", "spreads ms", "after / before", ""],
        [
            (
                each.row,
                f"{each.before_ms:.4f}",
                f"{each.after_ms:.4f}",
                f"{each.noise_ms:.4f}",
                f"{each.ratio:.3f}",
                "" if each.kind == "same" else each.kind,
            )
            for each in found
        ],
    )
    print(table)
    mean = results.geometric_mean([each.ratio for each in found])
    slower = [each.row for each in found if each.kind == "slower"]
    print(f"geometric mean {mean:.3f}; slower: {', '.join(slower) or 'none'}")
    results.write(options, results.document("regression", rows), table)
    return 1 if slower else 0


def _differences(before: dict[str, Any], after: dict[str, Any]) -> Iterator[str]:
    """What makes the times hard to compare."""
    for part, key in (("machine", "processor"), ("settings", "threads")):
        old, new = before[part].get(key), after[part].get(key)
        if old != new:
            yield f"{key} was {old}, is {new}"
    for name, document in (("before", before), ("after", after)):
        disturbed = [
            row["row"] for row in document["rows"] if row.get("disturbed", 0) > 0.1
        ]
        if disturbed:
            yield f"{name}: other programs ran during {', '.join(disturbed)}"


if __name__ == "__main__":
    sys.exit(main())
