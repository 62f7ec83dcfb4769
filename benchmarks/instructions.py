"""Counts the machine instructions of some kernels under callgrind, and compares them with
stored counts: what a timing on a busy machine can't tell, such a count does.

    python -m benchmarks.instructions            # exit status 1 if a kernel takes more
    python -m benchmarks.instructions --update   # store what is counted now

Counted is one call on one thread for the AVX2 table (valgrind knows no AVX-512), for each
multiply-add or, where a kernel has none, for each element. Compilers differ, so that a
kernel may take 40 % more before it counts as worse.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import results
from benchmarks.libraries import OURS, load, refusable
from benchmarks.options import parser
from benchmarks.work import Unsupported

__all__ = ["judge", "main"]

ISA = "avx2"
STORED = Path(__file__).with_name("instructions.json")
# a count above is worse; below the inverse the stored one is out of date
TOLERANCE = 1.4
# units of work of a call that is counted
_LEAST = 4096
# callgrind has to have simulated Python itself in that time, some 20 s on a slow machine
_TIMEOUT = 300


@refusable
def main(arguments: Sequence[str] | None = None) -> int:
    """Count, print and compare; 1 if a kernel takes more than is allowed."""
    made = parser("instructions", __doc__, chart=False)
    made.add_argument("--update", action="store_true", help="store the counts")
    made.add_argument("--run", type=Path, help=argparse.SUPPRESS)  # under callgrind
    options = made.parse_args(arguments)
    if options.run:
        _run_kernels(options.run)
        return 0
    load(OURS, 1, None)  # or it says why nothing can be counted
    import pyautodl as ad

    if ISA not in ad.native.isa_names():
        raise Unsupported(f"the {ISA} table is not built, or this machine has no {ISA}")
    if shutil.which("valgrind") is None:
        print("instructions: valgrind is not installed", file=sys.stderr)
        return 2
    counts = _count()
    if options.update:
        results.write_text(STORED, json.dumps(counts, indent=2) + "\n")
    stored = json.loads(STORED.read_text())
    verdicts = dict(judge(stored, counts))
    table = results.markdown_table(
        ["kernel", "instructions", "stored", ""],
        [
            (
                name,
                f"{counts[name]:.3f}" if name in counts else "",
                f"{stored[name]:.3f}" if name in stored else "",
                verdict,
            )
            for name, verdict in verdicts.items()
        ],
    )
    print(table)
    rows = [{"row": name, "instructions": each} for name, each in counts.items()]
    results.write(options, results.document("instructions", rows, isa=ISA), table)
    worse = [name for name, verdict in verdicts.items() if verdict == "worse"]
    if worse:
        print(f"more instructions than allowed: {', '.join(worse)}", file=sys.stderr)
    return 1 if worse else 0


def judge(
    stored: Mapping[str, float], counts: Mapping[str, float]
) -> Iterator[tuple[str, str]]:
    """For each kernel 'worse', 'better', 'new', 'gone' or '' for the same."""
    for name in dict.fromkeys([*stored, *counts]):
        if name not in counts:
            yield name, "gone"
        elif name not in stored:
            yield name, "new"
        elif counts[name] > stored[name] * TOLERANCE:
            yield name, "worse"
        elif counts[name] < stored[name] / TOLERANCE:
            yield name, "better"
        else:
            yield name, ""


def _count() -> dict[str, float]:
    """Instructions for each unit of work, by kernel."""
    with tempfile.TemporaryDirectory() as folder:
        names, profile = Path(folder, "names.json"), Path(folder, "profile")
        command = [
            "valgrind",
            "--tool=callgrind",
            # only what runs below the one door counts, and each call by itself
            "--toggle-collect=pyad_run",
            "--dump-after=pyad_run",
            f"--callgrind-out-file={profile}",
            *(sys.executable, "-m", "benchmarks.instructions", "--run", str(names)),
        ]
        added = {"PYAUTODL_ISA": ISA, "PYAUTODL_NUM_THREADS": "1"}
        done = subprocess.run(
            command,
            env={**os.environ, **added, "OPENBLAS_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            timeout=_TIMEOUT,
        )
        if done.returncode != 0:
            raise RuntimeError(f"instructions: {command} failed:\n{done.stderr}")
        calls = json.loads(names.read_text())
        dumps = [Path(f"{profile}.{i + 1}") for i in range(len(calls))]
        if not dumps[-1].exists() or Path(f"{profile}.{len(calls) + 1}").exists():
            raise RuntimeError(f"instructions: callgrind saw other calls than {calls}")
        return {
            name: round(_total(dump) / units, 4)
            for (name, units), dump in zip(calls, dumps, strict=True)
            # what a call costs by itself must not matter
            if units >= _LEAST
        }


def _total(dump: Path) -> int:
    line = next(
        each for each in dump.read_text().splitlines() if each.startswith("totals:")
    )
    return int(line.split()[1])


def _run_kernels(names: Path) -> None:
    """Call some ops, and write which kernels ran on how many units of work."""
    import pyautodl as ad

    with ad.profile(limits=(1.0, 1.0)) as p:
        _calls(ad)
    found = [_name_and_units(event) for event in p.events if event.kind == "kernel"]
    names.write_text(json.dumps(found))


def _name_and_units(event: Any) -> tuple[str, float]:
    """Kernel and shape, and the multiply-adds, or the elements read, or written."""
    shapes = [shape for shape in event.shapes if shape]
    if not shapes:
        return event.name, event.bytes / 4
    name = f"{event.name} {'x'.join(map(str, shapes[0]))}"
    return name, event.flops / 2 or max(math.prod(shape) for shape in shapes)


def _calls(ad: Any) -> None:
    """Ops whose kernels are counted."""
    functional = ad.nn.functional
    rows = ad.zeros(64, 256)
    image = ad.zeros(2, 32, 16, 16).contiguous(memory_format=ad.channels_last)
    few = ad.zeros(2, 3, 16, 16)
    rows.relu(), rows.exp(), rows.tanh(), rows.sum(1), rows.amax(1), rows.cumsum(1)
    rows + rows
    rows.T.contiguous()
    rows @ rows.T
    functional.softmax(rows, 1)
    functional.layer_norm(rows, (256,))
    functional.batch_norm(image, None, None, training=True)
    functional.max_pool2d(image, 2)
    functional.conv2d(image, ad.zeros(32, 32, 3, 3), padding=1)
    functional.conv2d(few, ad.zeros(32, 3, 3, 3), stride=2)
    functional.conv2d(image, ad.zeros(32, 1, 3, 3), padding=1, groups=32)
    functional.cross_entropy(rows, ad.zeros(64, dtype=ad.int64))
    ad.nn.LSTM(32, 32)(ad.zeros(8, 4, 32))
    ad.randn(64, 256)


if __name__ == "__main__":
    sys.exit(main())
