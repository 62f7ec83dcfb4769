"""Compares pyautodl with PyTorch and NumPy: equal threads, turns, medians, equal
results.

python -m benchmarks.compare --peer torch --suite steps --json steps.json
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from pathlib import Path
from typing import Any

import numpy as np

import pyautodl as ad
from benchmarks.rows import SUITES, Library, Row
from benchmarks.timing import Timing, alternate

__all__ = ["main"]

PEERS = ("torch", "numpy")


def main() -> int:
    """Run the rows of a suite and print a table of ratios."""
    options = _parser().parse_args()
    ad.set_num_threads(options.threads)
    peer = _peer(options.peer, options.threads)
    results = []
    for row in SUITES[options.suite]():
        if options.only and not any(each in row.name for each in options.only):
            continue
        # a product has a peer of its own: NumPy is faster than PyTorch there
        against = "numpy" if "numpy" in row.peers else options.peer
        if options.peer not in row.peers and against != options.peer:
            continue
        rival = np if against == "numpy" else peer
        results.append(_measure(row, rival, against, options.seconds))
        print(_line(results[-1]), flush=True)
    if not results:
        print("no row was measured", file=sys.stderr)
        return 1
    print(_summary(results))
    if options.json:
        options.json.write_text(
            json.dumps(_document(options, results), indent=2) + "\n"
        )
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="benchmarks.compare", description=__doc__)
    parser.add_argument("--peer", choices=PEERS, default="torch")
    parser.add_argument("--suite", choices=sorted(SUITES), default="first")
    parser.add_argument("--threads", type=int, default=ad.native.available_cpus())
    parser.add_argument(
        "--seconds", type=float, default=3.0, help="for each row, about"
    )
    parser.add_argument("--only", nargs="*", help="rows whose names hold one of these")
    parser.add_argument("--json", type=Path, help="file for the results")
    return parser


def _ours() -> Library:
    return Library("pyautodl", ad, ad.nn, ad.nn.functional, ad.optim)


def _peer(name: str, threads: int) -> Any:
    _limit_numpy(threads)
    if name == "numpy":
        return np
    try:
        import torch
    except ImportError:
        sys.exit("compare: PyTorch is not installed: pip install torch==2.13.0")
    torch.set_num_threads(threads)
    return Library("torch", torch, torch.nn, torch.nn.functional, torch.optim)


def _limit_numpy(threads: int) -> None:
    from threadpoolctl import threadpool_limits

    threadpool_limits(threads, "blas")


def _measure(row: Row, rival: Any, against: str, seconds: float) -> dict[str, Any]:
    (our_call, our_result), (their_call, their_result) = (
        row.make(_ours()),
        row.make(rival),
    )
    for _ in range(3):
        our_call()
        their_call()
    _check_equal(row, our_result(), their_result())
    ours, theirs = alternate([our_call, their_call], seconds)
    return _figures(row, against, ours, theirs)


def _check_equal(row: Row, ours: np.ndarray, theirs: np.ndarray) -> None:
    scale = float(np.abs(theirs).max())
    error = float(np.abs(ours - theirs).max()) / max(scale, 1e-30)
    if not error <= row.tolerance:
        sys.exit(
            f"compare: {row.name}: results differ by {error:.1e} of the largest, allowed "
            f"{row.tolerance:.0e} (ours {ours.ravel()[:3]}, theirs {theirs.ravel()[:3]})"
        )


def _figures(row: Row, against: str, ours: Timing, theirs: Timing) -> dict[str, Any]:
    return {
        "row": row.name,
        "peer": against,
        "ours_ms": ours.median * 1e3,
        "ours_spread_ms": ours.spread * 1e3,
        "peer_ms": theirs.median * 1e3,
        "peer_spread_ms": theirs.spread * 1e3,
        "ratio": theirs.median / ours.median,
        "gflops": row.flops / ours.median / 1e9 if row.flops else None,
    }


def _line(result: dict[str, Any]) -> str:
    text = (
        f"{result['row']:<30}{result['ours_ms']:>10.3f} ms   "
        f"{result['peer']:<6}{result['peer_ms']:>10.3f} ms   {result['ratio']:>6.2f}x"
    )
    return text + (f"{result['gflops']:>9.0f} GFLOP/s" if result["gflops"] else "")


def _summary(results: list[dict[str, Any]]) -> str:
    ratios = [result["ratio"] for result in results]
    mean = float(np.exp(np.mean(np.log(ratios))))
    return f"geometric mean {mean:.2f}x, lowest {min(ratios):.2f}x (above 1: ours is faster)"


def _document(
    options: argparse.Namespace, results: list[dict[str, Any]]
) -> dict[str, Any]:
    return {
        "suite": options.suite,
        "threads": options.threads,
        "isa": ad.native.current_isa(),
        "machine": platform.machine(),
        "version": ad.__version__,
        "results": results,
    }


if __name__ == "__main__":
    sys.exit(main())
