"""The trace event format that chrome://tracing and Perfetto read.

Source: "Trace Event Format", a document of the Catapult project; complete events ("X") in
microseconds, counters ("C"), names of processes and threads ("M").
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from pyautodl._files import atomic_write
from pyautodl.profiler.recorder import Event

__all__ = ["export", "threads_of"]


def export(events: Sequence[Event], began: int, path: Any) -> None:
    """Write the events; `began`: the nanosecond that is 0 in the file."""
    process = os.getpid()
    # viewers keep 32 bits of a thread's number, and Python's have more
    threads = {thread: i for i, thread in enumerate(threads_of(events), 1)}
    document = {
        "traceEvents": [
            _name("process_name", process, 0, "pyautodl"),
            *(
                _name("thread_name", process, i, f"Python thread {i}")
                for i in threads.values()
            ),
            *(
                _complete(event, began, process, threads[event.thread])
                for event in events
            ),
            *_memory(events, began, process),
        ],
        "displayTimeUnit": "ms",
    }
    atomic_write(path, json.dumps(document).encode())


def threads_of(events: Iterable[Event]) -> list[int]:
    """The Python threads on which something ran, in order."""
    return list(dict.fromkeys(event.thread for event in events))


def _name(kind: str, process: int, thread: int, name: str) -> dict[str, Any]:
    named = {"name": kind, "ph": "M", "pid": process, "tid": thread}
    return {**named, "args": {"name": name}}


def _complete(event: Event, began: int, process: int, thread: int) -> dict[str, Any]:
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
        "tid": thread,
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
