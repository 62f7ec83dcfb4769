"""Measures what this machine can do at most: the peak of the multiply-add units for each
instruction set, and the bandwidth of memory and of the second-level cache.

    python -m benchmarks.roofline --json roofline.json --chart roofline.png

Measured are multiply-adds in registers (fma), and of arrays that no cache holds x = y + a z
(triad), copies and reads; of one that the second-level cache holds reads. Other benchmarks take
the file by --roofline and tell shares of fma or triad. A C compiler is needed.
"""

from __future__ import annotations

import ctypes
import os
import platform
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import results
from benchmarks.libraries import refusable
from benchmarks.options import available_cpus, parser
from benchmarks.work import Unsupported

__all__ = ["Limits", "document", "in_turns", "limits_of", "main", "measure"]

# GFLOP/s and GB/s
Limits = tuple[float, float]

_SOURCE = Path(__file__).with_name("roofline.c")
# contraction and unrolling are what is measured here
_FLAGS = ["-O3", "-std=gnu11", "-ffp-contract=fast", "-pthread"]
_X86 = {
    "base": [],
    "avx2": ["-mavx2", "-mfma"],
    "avx512": ["-mavx512f", "-mfma", "-mprefer-vector-width=512"],
}
_FLAG_OF_ISA = {"avx2": "avx2", "avx512": "avx512f"}


@refusable
def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and write; the exit status."""
    options = parser("roofline", __doc__).parse_args(arguments)
    found = document()
    results.write(options, found, _table(found["rows"]), lambda: _chart(found["rows"]))
    return 0


def document() -> dict[str, Any]:
    """Measure all that the machine has, and print it.

    Raises:
        Unsupported: there is no C compiler, or it fails.
    """
    rows: list[dict[str, Any]] = []
    for isa in _isas():
        for threads in sorted({1, available_cpus()}):
            print(f"measuring {isa}, {threads} threads", file=sys.stderr, flush=True)
            rows += measure(isa, threads)
    print(_table(rows))
    return results.document("roofline", rows)


def _table(rows: Sequence[dict[str, Any]]) -> str:
    return results.markdown_table(
        ["what", "instruction set", "threads", "value", "unit"],
        [(row["what"], row["isa"], str(row["threads"]), *_value(row)) for row in rows],
    )


def _isas() -> list[str]:
    """Those of the machine, the best last."""
    if platform.machine().lower() not in ("x86_64", "amd64"):
        return ["base"]
    path = Path("/proc/cpuinfo")
    flags = path.read_text().split() if path.exists() else []
    return [isa for isa in _X86 if isa == "base" or _FLAG_OF_ISA[isa] in flags]


@contextmanager
def _compiled(isa: str, *flags: str) -> Iterator[str]:
    """The path of the program for an instruction set; with the flags -shared and -fPIC it is a
    library.

    Raises:
        Unsupported: there is no C compiler, or it fails.
    """
    compiler = shlex.split(os.environ.get("CC", "gcc"))
    with tempfile.TemporaryDirectory() as folder:
        program = str(Path(folder, "roofline"))
        command = [*compiler, *_FLAGS, *_X86[isa], *flags, str(_SOURCE), "-o", program]
        try:
            subprocess.run(command, check=True, capture_output=True, text=True)
        except FileNotFoundError as error:
            raise Unsupported(f"there is no C compiler {compiler[0]!r}") from error
        except subprocess.CalledProcessError as error:
            raise Unsupported(
                f"{shlex.join(command)} failed:\n{error.stderr}"
            ) from error
        yield program


def measure(isa: str, threads: int) -> list[dict[str, Any]]:
    """Compile for an instruction set and run.

    Raises:
        Unsupported: there is no C compiler, or it fails.
    """
    with _compiled(isa) as program:
        output = subprocess.run(
            [program, str(threads)], check=True, capture_output=True, text=True
        ).stdout
    return [_row(line, isa, threads) for line in output.splitlines()]


@contextmanager
def in_turns(what: str, isa: str) -> Iterator[Callable[[int], float]]:
    """What measures "multiply_adds" (in GFLOP/s) or "triads" (in GB/s) on so many threads,
    1 to 64, in a few milliseconds: to be called between what is held against it, as the pace
    of a machine may change by the second. It raises an OSError where the system has no such
    threads, or no memory for three arrays of 64 MB.

    Raises:
        Unsupported: there is no C compiler, or it fails.
    """
    with _compiled(isa, "-shared", "-fPIC") as library:
        turn = getattr(ctypes.CDLL(library), what)
        turn.argtypes = [ctypes.c_int64, ctypes.POINTER(ctypes.c_double)]
        yield partial(_pace, what, turn)


def _pace(what: str, turn: Callable[..., int], threads: int) -> float:
    pace = ctypes.c_double()
    status = turn(threads, ctypes.byref(pace))
    if status != 0:
        raise OSError(
            status,
            f"{what.replace('_', '-')} on {threads} threads need what the system does not "
            f"give: {os.strerror(status)}; is a limit on memory or processes set (ulimit -a)?",
        )
    return pace.value


def _row(line: str, isa: str, threads: int) -> dict[str, Any]:
    what, _, value = line.rpartition(" ")
    unit = "gflops" if what == "fma" else "gbs"
    return {
        "row": f"{what} {isa} {threads} threads",
        "what": what,
        "isa": isa,
        "threads": threads,
        unit: float(value),
    }


def _value(row: dict[str, Any]) -> tuple[str, str]:
    if "gflops" in row:
        return f"{row['gflops']:.0f}", "GFLOP/s"
    return f"{row['gbs']:.1f}", "GB/s"


def limits_of(rows: Sequence[dict[str, Any]], isa: str, threads: int) -> Limits:
    """The two limits from the rows of a result file.

    Raises:
        ValueError: it has none for this instruction set and number of threads.
    """
    found = {
        row["what"]: row
        for row in rows
        if row.get("isa") == isa and row.get("threads") == threads
    }
    if not {"fma", "triad"} <= set(found):
        raise ValueError(
            f"the roofline has no row for {isa} on {threads} threads; measure it with "
            "python -m benchmarks.roofline --json FILE"
        )
    return found["fma"]["gflops"], found["triad"]["gbs"]


def _chart(rows: list[dict[str, Any]]) -> Any:
    """The classic picture: reachable GFLOP/s over operations a byte."""
    import numpy as np
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5), dpi=110, layout="constrained")
    axes = figure.add_subplot()
    intensity = np.geomspace(1 / 16, 256, 200)
    for isa in dict.fromkeys(row["isa"] for row in rows):
        for threads in sorted({row["threads"] for row in rows}):
            peak, bandwidth = limits_of(rows, isa, threads)
            label = (
                f"{isa}, {threads} thread{'s' if threads > 1 else ''}: "
                f"{peak:.0f} GFLOP/s, {bandwidth:.1f} GB/s"
            )
            style = "-" if threads > 1 else "--"
            reachable = np.minimum(peak, bandwidth * intensity)
            axes.loglog(intensity, reachable, style, label=label)
    axes.set_xlabel("floating operations for each byte from memory")
    axes.set_ylabel("GFLOP/s at most")
    axes.set_title("Roofline")
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right", fontsize=8)
    return figure


if __name__ == "__main__":
    sys.exit(main())
