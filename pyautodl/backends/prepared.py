"""Calls of kernels that are prepared for arrays of known layout."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any, NamedTuple

from pyautodl.backends import native
from pyautodl.backends.array import Array, empty, pack_layout
from pyautodl.backends.calls import is_observed, make_call
from pyautodl.backends.choice import chosen_backend
from pyautodl.backends.codes import GIVEN
from pyautodl.backends.dtypes import DTYPES, DType
from pyautodl.backends.launch import Give, Launch, Prepared, Result, launcher
from pyautodl.errors import BackendError

__all__ = [
    "KernelCall",
    "Made",
    "Prepared",
    "Seen",
    "prepare",
    "prepare_chain",
    "see",
]


class Seen(NamedTuple):
    """An array as a kernel sees it: maybe transposed or expanded, or a part.

    `place` says which of the inputs it is; None: absent. `shift` counts elements.
    """

    place: int | None
    code: int = 0
    shape: tuple[int, ...] = ()
    strides: tuple[int, ...] = ()
    shift: int = 0


class Made(NamedTuple):
    """An array that a kernel writes: as it is, and as the kernel sees it if that differs."""

    shape: tuple[int, ...]
    dtype: DType
    strides: tuple[int, ...]
    seen: tuple[tuple[int, ...], tuple[int, ...]] | None = None


class KernelCall(NamedTuple):
    """A call of a kernel, as `prepare` takes it."""

    name: str
    reads: Sequence[Seen | list[Seen]]
    writes: Sequence[Made | Seen | None]
    ints: Sequence[int]
    floats: Sequence[float] = ()


def prepare(
    name: str,
    reads: Sequence[Seen | list[Seen]],
    writes: Sequence[Made | Seen | None],
    ints: Sequence[int],
    floats: Sequence[float] = (),
) -> Prepared:
    """The function `(inputs, floats)` that makes the outputs and runs kernel `name` on them.

    It returns the output that it made, or a tuple of them where there is not just one; None
    in `writes` is one that is left out, `Seen` one that is there. The floats are given
    here, or, where the kernel takes some and none are, at each call.
    """
    backend = chosen_backend(name, _code_of(reads, writes))
    if backend == "native" and not is_observed():
        launch = _launch(name, reads, writes, ints, floats)
        given = 1 + max(
            [place for place, _ in launch.addressed if place is not None] or [-1]
        )
        return launcher([launch], given, bare=len(launch.made) == 1)
    run_kernel = make_call(backend, name)
    fixed = floats

    def call(inputs: Sequence[Array | None], floats: Sequence[float]) -> Any:
        outputs: list[Array] = []
        written: list[Array | None] = []
        for each in writes:
            if isinstance(each, Made):
                out = empty(each.shape, each.dtype, each.strides)
                outputs.append(out)
                written.append(out if each.seen is None else out.view(*each.seen))
            else:
                written.append(None if each is None else _see(inputs, each))
        run_kernel(see(inputs, reads), written, ints, fixed or floats)
        return outputs[0] if len(outputs) == 1 else tuple(outputs)

    return call


def prepare_chain(
    steps: Sequence[KernelCall | Give],
    given: int,
    more: int,
    results: Sequence[Result],
    bare: bool,
) -> Prepared | None:
    """The function that takes steps one after the other, see `launcher`; None if one of
    them calls a kernel that is not compiled, or there is no extension.
    """
    if is_observed() or not native.available:
        return None
    launches: list[Launch | Give] = []
    for each in steps:
        if not isinstance(each, KernelCall):
            launches.append(each)
        elif chosen_backend(each.name, _code_of(each.reads, each.writes)) == "native":
            launches.append(_launch(*each))
        else:
            return None
    return launcher(launches, given, more, results, bare)


def _code_of(
    reads: Sequence[Seen | list[Seen]], writes: Sequence[Made | Seen | None]
) -> int:
    """The dtype code of a call's first array."""
    for each in (*reads, *writes):
        first = each[0] if isinstance(each, list) and each else each
        if isinstance(first, Made):
            return first.dtype.code
        if isinstance(first, Seen) and first.place is not None:
            return first.code
    raise BackendError("prepare: a kernel call needs at least one array")


def see(
    inputs: Sequence[Array | None], reads: Sequence[Seen | list[Seen]]
) -> list[Any]:
    """The inputs as a kernel sees them."""
    return [
        [_see(inputs, one) for one in each]
        if isinstance(each, list)
        else _see(inputs, each)
        for each in reads
    ]


def _see(inputs: Sequence[Array | None], seen: Seen) -> Array | None:
    place, _, shape, strides, shift = seen
    x = None if place is None else inputs[place]
    if x is None or (x.shape == shape and x.strides == strides and not shift):
        return x
    return x.view(shape, strides, x.offset + shift)


def _launch(
    name: str,
    reads: Sequence[Seen | list[Seen]],
    writes: Sequence[Made | Seen | None],
    ints: Sequence[int],
    floats: Sequence[float],
) -> Launch:
    layouts: list[Any] = [
        [_layout(one) for one in each] if isinstance(each, list) else _layout(each)
        for each in reads
    ]
    nbytes: list[int | None] = []
    made: list[tuple[Any, ...]] = []
    for i, each in enumerate(writes):
        if not isinstance(each, Made):
            layouts.append(None if each is None else _layout(each))
            nbytes.append(None if each is None else GIVEN)
            continue
        shape, dtype, strides, seen = each
        layout = pack_layout(dtype.code, shape, strides)
        layouts.append(layout if seen is None else pack_layout(dtype.code, *seen))
        nbytes.append(prod(shape) * dtype.itemsize)
        made.append((i, nbytes[-1], shape, strides, dtype, layout))
    given = [each for each in writes if isinstance(each, Seen)]
    addressed = tuple(_addressed([*reads, *given]))
    count = native.float_count(name)
    changing = count > 0 and not floats
    fixed = (0.0,) * count if changing else floats
    prepared = native.prepare(name, layouts, nbytes, ints, fixed)
    return Launch(
        name, prepared, addressed, tuple(made), None if changing else tuple(fixed)
    )


def _layout(seen: Seen) -> bytes | None:
    return None if seen.place is None else pack_layout(*seen[1:4])


def _addressed(
    arrays: Sequence[Seen | list[Seen]],
) -> list[tuple[int | None, int]]:
    """Which inputs' addresses a call takes, and how many bytes from there."""
    found: list[tuple[int | None, int]] = []
    for each in arrays:
        for one in each if isinstance(each, list) else (each,):
            found.append((one.place, one.shift * DTYPES[one.code].itemsize))
    return found
