"""The trace event format that chrome://tracing and Perfetto read.

Source: "Trace Event Format", a document of the Catapult project; complete events ("X") in
microseconds, counters ("C"), names of processes and threads ("M").
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from pyautodl.profiler.recorder import Event

__all__ = ["export"]


def export(events: Sequence[Event], began: int, path: Any) -> None:
    """Write the events; `began`: the nanosecond that is 0 in the file."""
    process = os.getpid()
    document = {
        "traceEvents": [
            *_names(events, process),
            *(_complete(event, began, process) for event in events),
            *_memory(events, began, process),
        ],
        "displayTimeUnit": "ms",
    }
    target = Path(path)
    beside = target.with_name(f"{target.name}.{process}.part")
    beside.write_text(json.dumps(document))
    beside.replace(target)


def _names(events: Iterable[Event], process: int) -> Iterator[dict[str, Any]]:
    yield _name("process_name", process, 0, "pyautodl")
    threads = dict.fromkeys(event.thread for event in events)
    for i, thread in enumerate(threads):
        yield _name("thread_name", process, thread, f"Python thread {i}")


def _name(kind: str, process: int, thread: int, name: str) -> dict[str, Any]:
    named = {"name": kind, "ph": "M", "pid": process, "tid": thread}
    return {**named, "args": {"name": name}}


def _complete(event: Event, began: int, process: int) -> dict[str, Any]:
    title = f"{event.name} gradient" if event.kind == "gradient" else event.name
    rates = {}
    if event.flops and event.seconds:
        rates["GFLOP/s"] = event.flops / event.seconds / 1e9
    if event.bytes and event.seconds:
        rates["GB/s"] = event.bytes / event.seconds / 1e9
    return {
        "name": title,
        "cat": f"{event.kind},{event.phase}",
        "ph": "X",
        "ts": (event.start - began) / 1e3,
        "dur": (event.end - event.start) / 1e3,
        "pid": process,
        "tid": event.thread,
        "args": {
            "layer": event.layer,
            "phase": event.phase,
            "shapes": event.shapes,
            "flops": event.flops,
            "bytes": event.bytes,
            "memory": event.memory,
            **rates,
        },
    }


def _memory(
    events: Sequence[Event], began: int, process: int
) -> Iterator[dict[str, Any]]:
    """How the use of memory went, as the sum of what the outermost events changed."""
    used = 0
    for event in events:
        if event.depth:
            continue
        used += event.memory
        yield {
            "name": "memory since the beginning",
            "ph": "C",
            "ts": (event.end - began) / 1e3,
            "pid": process,
            "args": {"bytes": used},
        }
