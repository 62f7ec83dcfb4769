"""Weights in the order that a kernel reads them, kept while they do not change.

A training step packs each weight anew. Without gradients (at inference, in an evaluation)
the same weight comes again and again: from the second call on its packed form is kept
with its memory, and lives as long as that does or until it is written to.
"""

from __future__ import annotations

from pyautodl.backends import Array, current_backend, empty, native, run
from pyautodl.backends.array import READS, note_reads

__all__ = ["Key", "kept_weight", "key_of", "packed_weight"]

Ints = tuple[int, ...]
# kernel, offset and shape of the weight, integers, instruction set
Key = tuple[str, int, Ints, Ints, str]


def key_of(weight: Array, kernel: str, ints: Ints) -> Key:
    """By what the memory of a weight knows one of its forms."""
    return (kernel, weight.offset, weight.shape, ints, native.current_isa())


def kept_weight(weight: Array, key: Key) -> Array | None:
    """The form of a weight that is kept and still right."""
    storage = weight.storage
    packed = storage.packed
    if packed is None or packed[0] != storage.version or storage.is_shared():
        return None
    return packed[1].get(key)


def packed_weight(weight: Array, kernel: str, shape: Ints, ints: Ints) -> Array | None:
    """What `kernel` makes of `weight`, an array of `shape`; None at first sight, if others
    may write to the weight unseen, or if no compiled kernel will read it.
    """
    if READS:
        note_reads()
    storage = weight.storage
    if storage.is_shared() or current_backend() != "native":
        return None
    if storage.packed is None or storage.packed[0] != storage.version:
        storage.packed = (storage.version, {})
    kept = storage.packed[1]
    key = key_of(weight, kernel, ints)
    if key not in kept:
        kept[key] = None
        return None
    packed = kept[key]
    if packed is None:
        packed = kept[key] = empty(shape, weight.dtype)
        run(kernel, (weight,), (packed,), ints)
    return packed
