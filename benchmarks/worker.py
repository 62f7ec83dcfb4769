"""A contestant in a process of its own, and the worker that serves it there.

In one process the thread pools of two libraries fight: one's threads still spin on the
core that the other's have just been woken for. Here each library has its process, its
environment and its threads; they are commanded over pipes and take turns. A process whose
turn it is not is stopped, so that what it left spinning (OpenBLAS does for 100 ms and
more) takes no time from the others.
"""

from __future__ import annotations

import ctypes
import gc
import os
import pickle
import signal
import subprocess
import sys
import traceback
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.libraries import load
from benchmarks.rows import Facts, rows_of
from benchmarks.timing import timer
from benchmarks.weights import normal
from benchmarks.work import Prepared, Unsupported

__all__ = ["Contestant", "Memory", "environment"]

_ROOT = Path(__file__).resolve().parent.parent
_WARM_UP_CALLS = 3


def environment(threads: int, capability: str | None) -> dict[str, str]:
    """The environment that limits any library to threads and instruction set."""
    count = str(threads)
    added = {
        "PYAUTODL_NUM_THREADS": count,
        "OMP_NUM_THREADS": count,
        "MKL_NUM_THREADS": count,
        "OPENBLAS_NUM_THREADS": count,
        "NUMBA_NUM_THREADS": count,
        # XLA's own count of processors
        "NPROC": count,
    }
    if capability == "avx2":
        added |= {
            "PYAUTODL_ISA": "avx2",
            "ATEN_CPU_CAPABILITY": "avx2",
            "ONEDNN_MAX_CPU_ISA": "AVX2",
            "MKL_ENABLE_INSTRUCTIONS": "AVX2",
            "OPENBLAS_CORETYPE": "Haswell",
            "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR",
            "NUMBA_CPU_NAME": "haswell",
            "XLA_FLAGS": "--xla_cpu_max_isa=AVX2",
        }
    return {**os.environ, **added}


class Memory(NamedTuple):
    """Bytes in memory.

    Attributes:
        library: with the library alone.
        peak: at most during a call.
        kept: how much more of our memory is in use after the calls: their last results and
            scratch; 0 for other libraries.
    """

    library: int
    peak: int
    kept: int


class Contestant:
    """A library in its own process.

    Args:
        library: its name in `LIBRARIES`.
        threads: how many it may use.
        capability: the instruction set it is limited to; None: the machine's best.

    Raises:
        Unsupported: it is not installed, or can't be limited.
    """

    def __init__(
        self, library: str, threads: int, capability: str | None = None
    ) -> None:
        self.library = library
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment(threads, capability),
            cwd=_ROOT,
        )
        self.pid = self._process.pid
        try:
            self.versions: dict[str, str] = self._ask(
                "load", library, threads, capability
            )
        except BaseException:
            self.close()
            raise

    def facts(self, suite: str) -> list[Facts]:
        """The rows of a suite."""
        return self._ask("facts", suite)

    def prepare(self, suite: str, row: str) -> list[Any]:
        """Make a row's call, run it a few times and return its results.

        Raises:
            Unsupported: the library can't do this row.
        """
        return self._ask("prepare", suite, row)

    def time(self, count: int) -> float:
        """The seconds of a call, over `count` of them."""
        return self._ask("time", count)

    def memory(self, suite: str, row: str) -> Memory:
        """Make a row's call and see what it takes.

        Raises:
            Unsupported: the library can't do this row, or the system does not tell.
        """
        return Memory(*self._ask("memory", suite, row))

    def close(self) -> None:
        """End the process, whatever it does: it may be stopped, or in a long call."""
        self._process.kill()
        self._process.wait()
        self._process.stdout.close()
        with suppress(BrokenPipeError):
            # what was asked last may still be on its way
            self._process.stdin.close()

    def _ask(self, *command: Any) -> Any:
        self._process.send_signal(signal.SIGCONT)
        try:
            pickle.dump(command, self._process.stdin)
            self._process.stdin.flush()
            kind, answer = pickle.load(self._process.stdout)
        except (EOFError, BrokenPipeError) as error:
            raise RuntimeError(
                f"the process of {self.library} died in {command} with status "
                f"{self._process.wait()}"
            ) from error
        self._process.send_signal(signal.SIGSTOP)
        if kind == "unsupported":
            raise Unsupported(answer)
        if kind == "failed":
            raise RuntimeError(f"{self.library} failed in {command}:\n{answer}")
        return answer


class _Server:
    """The worker's side: what it answers."""

    prepared: Prepared

    def load(self, library: str, threads: int, capability: str | None) -> Any:
        if hasattr(os, "sched_setaffinity"):
            # what no setting of a library can overstep
            processors = sorted(os.sched_getaffinity(0))[:threads]
            os.sched_setaffinity(0, processors)
        self.library = load(library, threads, capability)
        return self.library.versions

    def facts(self, suite: str) -> list[Facts]:
        return [row.facts for row in rows_of(suite).values()]

    def prepare(self, suite: str, row: str) -> list[Any]:
        self._make(suite, row)
        self._warm_up()
        return self.prepared.results()

    def _make(self, suite: str, row: str) -> None:
        # what the row before holds goes first
        self.prepared = Prepared(lambda: None, lambda: [])
        self.prepared = self.library.prepare(rows_of(suite)[row].work())

    def _warm_up(self) -> None:
        with self.prepared.within():
            for _ in range(_WARM_UP_CALLS):
                self.prepared.call()

    def time(self, count: int) -> float:
        with self.prepared.within():
            return timer(self.prepared.call)(count)

    def memory(self, suite: str, row: str) -> tuple[int, int, int]:
        # NumPy's generators, which make weights and inputs, are no library's
        normal(0, 1)
        library = _resident("VmRSS")
        self._make(suite, row)
        gc.collect()
        made = _bytes_in_use()
        # lets the peak begin anew
        _CLEAR_REFERENCES.write_text("5")
        self._warm_up()
        return library, _resident("VmHWM"), _bytes_in_use() - made


_CLEAR_REFERENCES = Path("/proc/self/clear_refs")


def _bytes_in_use() -> int:
    """What is taken of our memory; 0 where another library serves."""
    ours = sys.modules.get("pyautodl")
    if ours is None or not ours.native.available:
        return 0
    return ours.memory_stats()["allocated_bytes"]


def _resident(field: str) -> int:
    """Bytes of this process in memory: VmRSS now, VmHWM at most."""
    path = Path("/proc/self/status")
    if not path.exists():
        raise Unsupported("this system does not tell what a process holds at most")
    line = next(each for each in path.read_text().splitlines() if field in each)
    return int(line.split()[1]) * 1024


_PR_SET_PDEATHSIG = 1


def _die_with_parent() -> None:
    """A stopped process must not outlive the one that would let it go on."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _serve() -> None:
    _die_with_parent()
    # Ctrl-C reaches all processes of a terminal; it is for the one that commands
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # what a library prints must not get between the answers
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    server = _Server()
    while True:
        try:
            name, *arguments = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        try:
            answer = ("done", getattr(server, name)(*arguments))
        except Unsupported as why:
            answer = ("unsupported", str(why))
        except Exception:
            answer = ("failed", traceback.format_exc())
        pickle.dump(answer, answers)
        answers.flush()


if __name__ == "__main__":
    _serve()
