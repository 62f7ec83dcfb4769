"""One flat index for several, Python's negative ones too."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from pyautodl.backends import Array, as_constant, constant, empty, run
from pyautodl.backends.dtypes import int64
from pyautodl.errors import ShapeError
from pyautodl.ops.index.common import Ints, NDArray, check_index, named_error
from pyautodl.ops.record import ErrorCase, Op, Sample, Spec, register

__all__ = ["RAVEL_INDEX", "ravelled"]


def _ravel_index_rule(*indices: Array, sizes: Ints) -> tuple[Spec, ...]:
    if len(indices) != len(sizes) or not indices:
        raise ShapeError(
            f"ravel_index: expected an array of indices for each of {sizes}, got "
            f"{len(indices)}"
        )
    for index in indices:
        check_index("index", index)
        if index.shape != indices[0].shape:
            shapes = ", ".join(str(each.shape) for each in indices)
            raise ShapeError(f"index: expected equal shapes, got {shapes}")
    return (Spec(indices[0].shape, int64),)


def _ravel_index_forward(ctx: Any, needs: Any, *indices: Array, sizes: Ints) -> Array:
    return ravelled(indices, sizes)


def ravelled(indices: Sequence[Array], sizes: Ints) -> Array:
    """One flat index for those of axes of such sizes."""
    out = empty(indices[0].shape, int64)
    try:
        run("ravel_index", (list(indices), _line(sizes)), (out,))
    except IndexError as error:
        raise named_error("index", "ravel_index", error) from None
    return out


@lru_cache(maxsize=1024)
def _line(sizes: Ints) -> Array:
    """Numbers as an array, each copied from a kept constant."""
    out = empty((len(sizes),), int64)
    run("cat", ([constant(n, int64).view((1,), (1,)) for n in sizes],), (out,), (0,))
    return as_constant(out)


def _ravel_index_reference(*indices: NDArray, sizes: Ints) -> Any:
    wrapped = [
        np.where(index < 0, index + n, index)
        for index, n in zip(indices, sizes, strict=True)
    ]
    return np.asarray(np.ravel_multi_index(wrapped, sizes))


def _ravel_index_samples() -> Iterator[Sample]:
    rows, columns = np.array([[0, 1], [-1, 1]]), np.array([[3, -4], [0, 1]])
    yield Sample((rows, columns), {"sizes": (2, 4)}, gradient=False)
    yield Sample((np.array(-1),), {"sizes": (5,)}, gradient=False)
    yield Sample((np.zeros(0, np.int64),), {"sizes": (5,)}, gradient=False)


def _ravel_index_errors() -> Iterator[ErrorCase]:
    match = "index: index -3 at position 1 is out of range"
    yield ErrorCase((np.array([0, -3]),), {"sizes": (2,)}, IndexError, match)
    match = r"index: expected equal shapes, got \(2,\), \(1,\)"
    inputs = (np.array([0, 1]), np.array([0]))
    yield ErrorCase(inputs, {"sizes": (2, 2)}, ShapeError, match)


RAVEL_INDEX = register(
    Op(
        name="ravel_index",
        rule=_ravel_index_rule,
        forward=_ravel_index_forward,
        samples=_ravel_index_samples,
        errors=_ravel_index_errors,
        reference=_ravel_index_reference,
    )
)
