"""Measures what a small op costs: tensors of 4x4, with gradients recorded, on one thread, in
turns with PyTorch in this process if it is installed.

    python -m benchmarks.overhead --json overhead.json
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks import results
from benchmarks.interruption import KeptRows
from benchmarks.libraries import OURS, load, refusable
from benchmarks.options import parser, seconds
from benchmarks.timing import alternate, timer
from benchmarks.work import Unsupported

__all__ = ["main"]

_PEER = "torch"


@refusable
def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and write; the exit status."""
    options = parser("overhead", __doc__, chart=False)
    options.add_argument(
        "--seconds",
        type=seconds,
        default=1.0,
        help="for each op (default %(default)s)",
    )
    options.add_argument("--only", nargs="+", help="ops whose names hold one of these")
    chosen = options.parse_args(arguments)
    load(OURS, 1, None)
    names = [OURS]
    if importlib.util.find_spec(_PEER) is not None:
        load(_PEER, 1, None)
        names.append(_PEER)
    ops = [_ops(importlib.import_module(name)) for name in names]
    rows: list[dict[str, Any]] = []
    with KeptRows(rows) as kept:
        for name in ops[0]:
            if chosen.only and not any(part in name for part in chosen.only):
                continue
            timings = alternate([timer(each[name]) for each in ops], chosen.seconds)
            row: dict[str, Any] = {"row": name}
            row |= {
                library: {"us": each.median * 1e6, "spread_us": each.spread * 1e6}
                for library, each in zip(names, timings, strict=True)
            }
            rows.append(row)
            print(*_shown(row, names), flush=True)
    if not rows:
        raise Unsupported("no op is named like that")
    found = results.document("overhead", rows)
    table = results.markdown_table(
        ["op", *[f"{name} us" for name in names], "ratio"][: 2 * len(names)],
        [_shown(row, names) for row in rows],
    )
    results.write(chosen, found, table)
    return kept.status


def _ops(library: Any) -> dict[str, Callable[[], Any]]:
    """Small calls under names that both libraries have."""
    x, y = (library.ones(4, 4, requires_grad=True) for _ in range(2))
    row, bias = y[0], library.ones(4, requires_grad=True)
    linear = library.nn.functional.linear

    def backward() -> None:
        x.grad = None
        linear(x, y, bias).tanh().sum().backward()
        y.grad = bias.grad = None

    return {
        "relu": lambda: library.relu(x),
        "tanh": lambda: x.tanh(),
        "add": lambda: x + y,
        "add a row": lambda: x + row,
        "multiply by a number": lambda: x * 2.0,
        "square": lambda: x**2,
        "sum": lambda: x.sum(),
        "softmax": lambda: x.softmax(0),
        "matmul": lambda: x @ y,
        "linear": lambda: linear(x, y, bias),
        "reshape": lambda: x.reshape(16),
        "row": lambda: x[1],
        "slice": lambda: x[:, 1:3],
        "cat": lambda: library.cat([x, y]),
        "where and a comparison": lambda: library.where(x > 0, x, y),
        "linear, tanh, sum, backward": backward,
    }


def _shown(row: dict[str, Any], names: Sequence[str]) -> tuple[str, ...]:
    times = [f"{row[name]['us']:.2f} ±{row[name]['spread_us']:.2f}" for name in names]
    if len(names) == 1:
        return row["row"], *times
    return row["row"], *times, f"{row[names[1]]['us'] / row[names[0]]['us']:.2f}x"


if __name__ == "__main__":
    sys.exit(main())
