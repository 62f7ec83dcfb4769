"""Weights in the order that a kernel reads them, kept while they do not change.

A training step packs each weight anew. Without gradients (at inference, in an evaluation)
the same weight comes again and again: from the second call on its packed form is kept
with its memory, and lives as long as that does or until it is written to.

A weight may have several forms, for images of several sizes. One goes back when the weight
was read otherwise for a while: made once in so many calls it costs next to nothing, and
calls that take turns find all they need.
"""

from __future__ import annotations

from typing import Any

from pyautodl.backends import Array, current_backend, empty_lasting, native, run
from pyautodl.backends.array import READS, note_reads

__all__ = ["Key", "kept_weight", "key_of", "packed_weight"]

Ints = tuple[int, ...]
# kernel, offset and shape of the weight, integers, instruction set
Key = tuple[str, int, Ints, Ints, str]

# reads of a weight that are looked at together: a form that none of them asked for goes back
_PATIENCE = 64


class _Forms(dict[Key, "Array | None"]):
    """The forms of a weight; None in place of one that was asked for once."""

    __slots__ = ("_reads", "_recent")

    def __init__(self) -> None:
        super().__init__()
        self._reads = 0
        self._recent: set[Key | None] = set()

    def note(self, key: Key | None) -> None:
        """Count a read, of one form among others or of the weight as it lies; forms that
        were not read lately go back.
        """
        recent = self._recent
        recent.add(key)
        self._reads += 1
        if self._reads < _PATIENCE:
            return
        self._reads, self._recent = 0, set()
        for each in list(self):
            if each not in recent:
                self.pop(each, None)


def key_of(weight: Array, kernel: str, ints: Ints) -> Key:
    """By what the memory of a weight knows one of its forms."""
    return (kernel, weight.offset, weight.shape, ints, native.current_isa())


def kept_weight(weight: Array, key: Key | None) -> Array | None:
    """The form of a weight that is kept and still right; with None the weight is read as
    it lies.
    """
    storage = weight.storage
    packed = storage.packed
    if packed is None or packed[0] != storage.version or storage.is_shared():
        return None
    forms: Any = packed[1]
    if not forms:
        return None
    if len(forms) > 1 or key not in forms:
        forms.note(key)
    found: Array | None = forms.get(key)
    return found


def packed_weight(
    weight: Array, packing: tuple[str, Ints, Ints] | None, keeps: bool
) -> Array | None:
    """What a kernel makes of `weight`: `packing` is its name, the shape of what it makes
    and its integers. None at first sight, if others may write to the weight unseen, if
    no compiled kernel will read it, and unless `keeps` if it is not there already.
    """
    if READS:
        note_reads()
    storage = weight.storage
    if storage.is_shared() or current_backend() != "native":
        return None
    if storage.packed is None or storage.packed[0] != storage.version:
        storage.packed = (storage.version, _Forms())
    if packing is None:
        return kept_weight(weight, None)
    kernel, shape, ints = packing
    key = key_of(weight, kernel, ints)
    kept = storage.packed[1]
    packed = kept_weight(weight, key)
    if packed is not None or not keeps:
        return packed
    if key not in kept:
        kept[key] = None
        return None
    packed = kept[key] = empty_lasting(shape, weight.dtype)
    run(kernel, (weight,), (packed,), ints)
    return packed
