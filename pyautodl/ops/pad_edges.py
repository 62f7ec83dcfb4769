"""Padding with what a tensor itself shows: its edge, its reflection, its other end."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any, NamedTuple

import numpy as np

from pyautodl.backends import Array, channels_last_strides, empty, run
from pyautodl.errors import ShapeError
from pyautodl.ops.record import ErrorCase, Op, Sample, Spec, register
from pyautodl.ops.views import copied, window

__all__ = ["PAD_EDGES", "PAD_EDGES_GRAD", "check_widths", "widest"]

Ints = tuple[int, ...]

MODES = {"reflect": "reflect", "replicate": "edge", "circular": "wrap"}  # NumPy's names


class _Run(NamedTuple):
    """Places start .. start+size-1 along a padded axis, and where what they show begins and
    how it goes on: backwards in a reflection, not at all at an edge.
    """

    start: int
    size: int
    source: int
    step: int


def widest(n: int, low: int, high: int, mode: str) -> int:
    """How much a side of an axis of n may add at most."""
    if mode == "circular":
        return n + min(low, 0) + min(high, 0)  # what the other side leaves
    return n - 1 if mode == "reflect" else max(low, high)


def check_widths(shape: Ints, axis: int, low: int, high: int, mode: str) -> None:
    """Refuse widths that an axis has not enough elements for."""
    n = shape[axis]
    if not low and not high:
        return
    if max(low, high) > widest(n, low, high, mode) or n < 1 or n + low + high < 1:
        raise ShapeError(
            f"pad: widths {low} and {high} are too large for axis {axis} of shape "
            f"{tuple(shape)} with mode {mode!r}"
        )


def _added(n: int, low: int, high: int, mode: str) -> list[_Run]:
    """What is added to an axis, before and after it."""
    if mode == "reflect":
        runs = _Run(0, low, 2 * low, -1), _Run(low + n, high, low + n - 2, -1)
    elif mode == "replicate":
        runs = _Run(0, low, low, 0), _Run(low + n, high, low + n - 1, 0)
    else:
        runs = _Run(0, low, n, 1), _Run(low + n, high, low, 1)
    return [each for each in runs if each.size]


def _laid_out(x: Array, shape: Ints) -> Ints | None:
    """The strides of a result of such a shape: as x lies, for images."""
    images = x.is_channels_last() and not x.is_contiguous()
    return channels_last_strides(shape) if images else None


def _padded(shape: Ints, before: Ints, after: Ints) -> Ints:
    return tuple(n + a + b for n, a, b in zip(shape, before, after, strict=True))


def _unpadded(shape: Ints, before: Ints, after: Ints) -> Ints:
    return tuple(n - a - b for n, a, b in zip(shape, before, after, strict=True))


# ---- forward ----


def _check(name: str, x: Array, before: Ints, after: Ints, mode: str) -> None:
    if mode not in MODES:
        raise ValueError(f"{name}: mode must be one of {tuple(MODES)}, got {mode!r}")
    if not len(before) == len(after) == x.ndim or min((*before, *after), default=0) < 0:
        raise ShapeError(
            f"{name}: expected widths, none below 0, for each axis of shape {x.shape}, got "
            f"{tuple(before)} and {tuple(after)}"
        )


def _rule(x: Array, before: Ints, after: Ints, mode: str) -> tuple[Spec, ...]:
    _check("pad_edges", x, before, after, mode)
    for axis, (low, high) in enumerate(zip(before, after, strict=True)):
        check_widths(x.shape, axis, low, high, mode)
    return (Spec(_padded(x.shape, before, after), x.dtype),)


def _forward(
    ctx: Any, needs: Any, x: Array, before: Ints, after: Ints, mode: str
) -> Array:
    """What is there, then axis by axis what is added to it: it shows all along the axes
    that are done.
    """
    shape = _padded(x.shape, before, after)
    out: Array = ctx.empty(shape, x.dtype, _laid_out(x, shape))
    starts, sizes, steps = list(before), list(x.shape), [1] * x.ndim

    def part(axis: int, start: int, size: int, step: int) -> Array:
        at, many, how = starts.copy(), sizes.copy(), steps.copy()
        at[axis], many[axis], how[axis] = start, size, step
        return window(out, tuple(at), tuple(many), tuple(how), ())

    copied(x, window(out, before, x.shape, tuple(steps), ()))
    for axis in reversed(range(x.ndim)):
        for run_ in _added(x.shape[axis], before[axis], after[axis], mode):
            shown = part(axis, run_.source, run_.size, run_.step)
            copied(shown, part(axis, run_.start, run_.size, 1))
        starts[axis], sizes[axis] = 0, shape[axis]
    return out


def _vjp(call: Any, ctx: Any, needs: Any, g: Any) -> tuple[Any, ...]:
    return (call("pad_edges_grad", g, **ctx.attrs),)


def _reference(x: Any, before: Ints, after: Ints, mode: str) -> Any:
    widths = list(zip(before, after, strict=True))
    return np.pad(x, widths, mode=MODES[mode]) if x.ndim else x.copy()  # type: ignore[call-overload]


# ---- gradient ----


def _grad_rule(g: Array, before: Ints, after: Ints, mode: str) -> tuple[Spec, ...]:
    name = "pad_edges_grad"
    _check(name, g, before, after, mode)
    shape = _unpadded(g.shape, before, after)
    if min(shape, default=0) < 0:
        raise ShapeError(
            f"{name}: a gradient of shape {g.shape} has no room for widths "
            f"{tuple(before)} and {tuple(after)}"
        )
    for axis, (low, high) in enumerate(zip(before, after, strict=True)):
        check_widths(shape, axis, low, high, mode)
    return (Spec(shape, g.dtype),)


def _grad_forward(
    ctx: Any, needs: Any, g: Array, before: Ints, after: Ints, mode: str
) -> Array:
    """What was there, then each side and corner on top of what it shows."""
    shape = _unpadded(g.shape, before, after)
    gx: Array = ctx.empty(shape, g.dtype, _laid_out(g, shape))
    inside = [_Run(a, n, a, 1) for n, a in zip(shape, before, strict=True)]
    ones = (1,) * g.ndim
    copied(window(g, before, shape, ones, ()), gx)
    if not gx.size:
        return gx
    choices = [
        [within, *_added(n, a, b, mode)]
        for within, n, a, b in zip(inside, shape, before, after, strict=True)
    ]
    for runs in product(*choices):
        if list(runs) == inside:
            continue
        terms = window(
            g, tuple(r.start for r in runs), tuple(r.size for r in runs), ones, ()
        )
        # many elements that show one are added up before
        sizes = tuple(r.size if r.step else 1 for r in runs)
        if sizes != terms.shape:
            total = empty(sizes, g.dtype)
            run("sum", (terms,), (total,), (), (1.0,))
            terms = total
        first = tuple(r.source - a for r, a in zip(runs, before, strict=True))
        place = window(gx, first, sizes, tuple(r.step or 1 for r in runs), ())
        run("add", (place, terms), (place,))
    return gx


def _grad_vjp(call: Any, ctx: Any, needs: Any, g: Any) -> tuple[Any, ...]:
    return (call("pad_edges", g, **ctx.attrs),)


def _grad_reference(g: Any, before: Ints, after: Ints, mode: str) -> Any:
    shape = _unpadded(g.shape, before, after)
    shown = _reference(np.arange(np.prod(shape)).reshape(shape), before, after, mode)
    gx = np.zeros(shape, g.dtype)
    np.add.at(gx.reshape(-1), shown.astype(np.int64), g)
    return gx


# ---- records ----


def _examples() -> Iterator[tuple[Ints, dict[str, Any], bool]]:
    """Shapes that are padded, how, and whether gradients are checked."""
    for mode in MODES:
        yield (4,), {"before": (2,), "after": (3,), "mode": mode}, True
        attrs = {"before": (0, 1, 2), "after": (0, 2, 0), "mode": mode}
        yield (2, 3, 4), attrs, True
        sides = {"before": (0, 0, 1, 1), "after": (0, 0, 1, 2), "mode": mode}
        yield (2, 3, 2, 3), sides, True
        yield (0, 3, 2, 3), sides, True
        volume = {"before": (0, 0, 1, 2, 0), "after": (0, 0, 0, 1, 3), "mode": mode}
        yield (1, 2, 4, 3, 5), volume, True
        wide = {"before": (0, 0, 20, 3), "after": (0, 0, 20, 17), "mode": mode}
        yield (3, 5, 37, 41), wide, False


def _samples() -> Iterator[Sample]:
    normal = np.random.default_rng(7).standard_normal
    for shape, attrs, gradient in _examples():
        yield Sample((normal(shape),), attrs, gradient=gradient)


def _grad_samples() -> Iterator[Sample]:
    normal = np.random.default_rng(8).standard_normal
    for shape, attrs, gradient in _examples():
        padded = _padded(shape, attrs["before"], attrs["after"])
        yield Sample((normal(padded),), attrs, gradient=gradient)


def _errors_of(name: str, g: Ints) -> Iterator[ErrorCase]:
    attrs = {"before": (3,), "after": (0,), "mode": "reflect"}
    match = r"pad: widths 3 and 0 are too large for axis 0 of shape \(3,\) with mode"
    yield ErrorCase((np.zeros(g),), attrs, ShapeError, match)
    odd = {**attrs, "mode": "odd"}
    yield ErrorCase((np.zeros(g),), odd, ValueError, f"{name}: mode must be one of")
    cut = {**attrs, "before": (-1,)}
    yield ErrorCase((np.zeros(g),), cut, ShapeError, f"{name}: expected widths, none")


def _grad_errors() -> Iterator[ErrorCase]:
    yield from _errors_of("pad_edges_grad", (6,))
    attrs = {"before": (2,), "after": (2,), "mode": "circular"}
    match = r"pad_edges_grad: a gradient of shape \(3,\) has no room for widths"
    yield ErrorCase((np.zeros(3),), attrs, ShapeError, match)


PAD_EDGES = register(
    Op(
        name="pad_edges",
        rule=_rule,
        forward=_forward,
        vjp=_vjp,
        samples=_samples,
        errors=lambda: _errors_of("pad_edges", (3,)),
        reference=_reference,
    )
)

PAD_EDGES_GRAD = register(
    Op(
        name="pad_edges_grad",
        rule=_grad_rule,
        forward=_grad_forward,
        vjp=_grad_vjp,
        samples=_grad_samples,
        errors=_grad_errors,
        reference=_grad_reference,
    )
)
