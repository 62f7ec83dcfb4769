"""Weights in the order that a kernel reads them, kept while they do not change.

A training step packs each weight anew. Without gradients (at inference, in an evaluation)
the same weight comes again and again: from the second call on its packed form is kept
with its memory, and lives as long as that does or until it is written to.
"""

from __future__ import annotations

from pyautodl.backends import Array, current_backend, empty, native, run
from pyautodl.backends.array import READS

__all__ = ["prepared_weight"]

Ints = tuple[int, ...]


def prepared_weight(
    weight: Array, kernel: str, shape: Ints, ints: Ints
) -> Array | None:
    """What `kernel` makes of `weight`, an array of `shape`; None at first sight, if others
    may write to the weight unseen, or if no compiled kernel will read it.
    """
    READS.count += 1
    storage = weight.storage
    if storage.is_shared() or current_backend() != "native":
        return None
    if storage.prepared is None or storage.prepared[0] != storage.version:
        storage.prepared = (storage.version, {})
    kept = storage.prepared[1]
    key = (kernel, weight.offset, weight.shape, ints, native.current_isa())
    if key not in kept:
        kept[key] = None
        return None
    prepared = kept[key]
    if prepared is None:
        prepared = kept[key] = empty(shape, weight.dtype)
        run(kernel, (weight,), (prepared,), ints)
    return prepared
