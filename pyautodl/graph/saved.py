"""What a forward rule works with, and what it keeps for its gradient."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pyautodl.backends import Array, empty, empty_strides_like
from pyautodl.backends.dtypes import DType

__all__ = ["Context", "Edge", "Saved", "checksum", "keep"]

# (node or leaf tensor, which of its outputs)
Edge = tuple[Any, int]

# An array kept for backward: (array, edge, output, version, checksum). `edge` leads to the
# producer of a saved input. A saved output keeps its number alone and gets its node back
# when unpacked, or node and output would hold each other. Version and checksum (of memory
# that others may change) tell what the array looked like.
Saved = tuple[Array, Edge | None, int | None, int, int | None]


def keep(array: Array, edge: Edge | None, output: int | None) -> Saved:
    """Pack an array for backward."""
    storage = array.storage
    shared = storage.foreign or storage.exports
    found = checksum(array) if shared else None
    return array, edge, output, storage.version, found


def checksum(array: Array) -> int:
    """A checksum of memory that others may change without counting versions."""
    import zlib

    values = np.ascontiguousarray(array.numpy()).reshape(-1).view(np.uint8)
    return zlib.crc32(values.data)


class Context:
    """What a forward rule works with, and what it leaves for its gradient.

    Attributes:
        attrs: the call's attributes.
        info: anything that is not an array, set by the forward rule.
    """

    __slots__ = ("_aliases", "_kept", "_out", "attrs", "info")

    def __init__(self, attrs: Mapping[str, Any], out: Array | None = None) -> None:
        self.attrs = attrs
        self.info: Any = None
        self._out = out
        self._kept: list[Array | None] | None = None
        self._aliases: list[tuple[Array, Array]] | None = None

    def empty(
        self,
        shape: tuple[int, ...],
        dtype: DType,
        strides: tuple[int, ...] | None = None,
    ) -> Array:
        """A new array of undefined content; of a call in place, the array to overwrite."""
        out = self._out
        if out is not None and out.shape == shape and out.dtype is dtype:
            self._out = None
            return out
        return empty(shape, dtype, strides)

    def empty_like(self, array: Array, dtype: DType | None = None) -> Array:
        """A new array with the shape and, if it is dense, the layout of another."""
        shape = array.shape
        strides = empty_strides_like(shape, array.strides)
        return self.empty(shape, array.dtype if dtype is None else dtype, strides)

    def save(self, *arrays: Array | None) -> None:
        """Keep arrays for the gradient: inputs, outputs or others."""
        if self._kept is None:
            self._kept = list(arrays)
        else:
            self._kept.extend(arrays)

    def alias(self, copy: Array, original: Array) -> None:
        """Say that `copy` holds the values of the input `original` in another layout."""
        if self._aliases is None:
            self._aliases = []
        self._aliases.append((copy, original))

    def kept(self) -> tuple[list[Array | None], list[tuple[Array, Array]]]:
        """What was saved, and which copies stand for which inputs."""
        return self._kept or [], self._aliases or []

    def take_saved(
        self,
        arrays: Sequence[Array | None],
        edges: Sequence[Edge | None],
        outputs: Sequence[Array],
    ) -> list[Saved | None]:
        """Pack what was saved, now that the outputs are known."""
        packed: list[Saved | None] = []
        for array in self._kept or ():
            if array is None:
                packed.append(None)
            else:
                edge, output = self._origin(array, arrays, edges, outputs)
                packed.append(keep(array, edge, output))
        self._kept = self._aliases = None
        return packed

    def _origin(
        self,
        array: Array,
        arrays: Sequence[Array | None],
        edges: Sequence[Edge | None],
        outputs: Sequence[Array],
    ) -> tuple[Edge | None, int | None]:
        """Where an array came from: an input's edge, or the number of an output."""
        if self._aliases is not None:
            for copy, original in self._aliases:
                if array is copy:
                    array = original
        for each, edge in zip(arrays, edges):
            if each is array:
                return edge, None
        for i, out in enumerate(outputs):
            if out is array:
                return None, i
        return None, None
