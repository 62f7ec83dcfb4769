"""Connectionist temporal classification.

Source: Graves et al., "Connectionist temporal classification: labelling unsegmented
sequence data with recurrent neural networks", 2006.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from pyautodl.backends import Array, empty, run
from pyautodl.backends.dtypes import FLOATING, int64
from pyautodl.errors import DTypeError, ShapeError
from pyautodl.ops.layout import ensure_contiguous
from pyautodl.ops.record import ErrorCase, Op, Sample, Spec, register

__all__ = ["CTC_LOSS"]

# stands for log(0) where derivatives are taken of derivatives
_NEVER = -1e30


def _rule(
    log_probs: Array,
    targets: Array,
    input_lengths: Array,
    target_lengths: Array,
    blank: int,
) -> tuple[Spec, ...]:
    if log_probs.dtype.category != FLOATING:
        raise DTypeError(
            f"ctc_loss: expected log_probs of floats, got {log_probs.dtype.name}"
        )
    if log_probs.ndim != 3 or targets.ndim != 2 or log_probs.shape[2] == 0:
        raise ShapeError(
            "ctc_loss: expected log_probs (times, n, classes) and targets (n, labels), got "
            f"{log_probs.shape} and {targets.shape}"
        )
    count = log_probs.shape[1]
    for name, each in (
        ("targets", targets),
        ("input_lengths", input_lengths),
        ("target_lengths", target_lengths),
    ):
        if each.dtype is not int64:
            raise DTypeError(f"ctc_loss: expected int64 {name}, got {each.dtype.name}")
        if each.shape[:1] != (count,) or (each.ndim != 1 and each is not targets):
            raise ShapeError(
                f"ctc_loss: expected {name} for each of {count} sequences, got shape "
                f"{each.shape}"
            )
    if not 0 <= blank < log_probs.shape[2]:
        raise ValueError(
            f"ctc_loss: blank must be one of {log_probs.shape[2]} classes, got {blank}"
        )
    return (Spec((count,), log_probs.dtype),)


def _forward(
    ctx: Any,
    needs: Any,
    log_probs: Array,
    targets: Array,
    input_lengths: Array,
    target_lengths: Array,
    blank: int,
) -> Array:
    given = (log_probs, targets, input_lengths, target_lengths)
    reads = [ensure_contiguous(ctx, each) for each in given]
    loss: Array = ctx.empty(log_probs.shape[1:2], log_probs.dtype)
    grad = empty(log_probs.shape, log_probs.dtype) if needs[0] else None
    try:
        run("ctc", reads, (loss, grad), (blank,))
    except IndexError as error:
        raise IndexError(
            f"ctc_loss: a label is none of {log_probs.shape[2]} classes: {error}"
        ) from None
    except ValueError:
        raise ValueError(f"ctc_loss: {_fault(*given, blank)}") from None
    if needs[0]:
        # the inputs first, see `composition`
        ctx.save(*given, grad)
    return loss


def _fault(
    log_probs: Array,
    targets: Array,
    input_lengths: Array,
    target_lengths: Array,
    blank: int,
) -> str:
    """What is wrong with numbers that the kernel refused."""
    for name, lengths, most, what in (
        ("input_lengths", input_lengths, log_probs.shape[0], "times of log_probs"),
        ("target_lengths", target_lengths, targets.shape[1], "labels of a target"),
    ):
        for n, length in enumerate(lengths.tolist()):
            if not 0 <= length <= most:
                return (
                    f"{name} must be from 0 to {most}, the {what}, got {length} for "
                    f"sequence {n}"
                )
    return (
        f"class {blank} is blank, which no label may be, and a target has it; likely fix: "
        "labels from 1, or blank=number of a class that is no label"
    )


def _vjp(call: Any, ctx: Any, needs: Any, g: Any) -> tuple[Any, ...]:
    count = ctx.shapes[0][1]
    upstream = call("reshape", g, shape=(1, count, 1))
    return call("grad_mul", upstream, ctx.saved[4]), None, None, None


# ---- the same in plain ops ----


def _numbers(call: Any, count: int) -> Any:
    """0, 1, 2, ... as a row."""
    ones = call("full", shape=(1, count), value=1, dtype=int64)
    return call("sub", call("cumsum", ones, dim=1), 1)


def _extended(call: Any, targets: Any, ends: Any, blank: int) -> Any:
    """The labels that count, with a blank before, between and after them."""
    count, most = targets._array.shape
    blanks = call("full", shape=(count, most), value=blank, dtype=int64)
    counts = call("lt", _numbers(call, most), ends)
    known = call("where", counts, targets, blanks)
    pairs = call("stack", blanks, known, dim=2)
    flat = call("reshape", pairs, shape=(count, 2 * most))
    last = call("full", shape=(count, 1), value=blank, dtype=int64)
    return call("cat", flat, last, dim=1)


def _before(call: Any, x: Any, states: int, value: float) -> Any:
    """What stands so many states before."""
    longer = call("pad", x, before=(0, states), after=(0, 0), value=value)
    shape = x._array.shape
    return call("slice", longer, starts=(0, 0), sizes=shape, steps=(1, 1))


def _may_skip(call: Any, labels: Any, places: Any) -> Any:
    """Where a label is not that of two states before, so that no blank must be between."""
    other = call("ne", labels, _before(call, labels, 2, -1))
    return call("logical_and", other, call("eq", call("remainder", places, 2), 1))


def _composition(
    call: Any,
    log_probs: Any,
    targets: Any,
    input_lengths: Any,
    target_lengths: Any,
    blank: int,
) -> Any:
    """The forward recursion for all sequences at once."""
    times, count, _ = log_probs._array.shape
    states = 2 * targets._array.shape[1] + 1
    dtype = log_probs._array.dtype
    ends = call("reshape", target_lengths, shape=(count, 1))
    lengths = call("reshape", input_lengths, shape=(count, 1))
    labels = _extended(call, targets, ends, blank)
    places = _numbers(call, states)
    skips = _may_skip(call, labels, places)
    never = call("full", shape=(count, states), value=_NEVER, dtype=dtype)
    total = never
    for t in range(times):
        shown = {"starts": (t, 0, 0), "sizes": (1, *log_probs._array.shape[1:])}
        classes = call("slice", log_probs, **shown, steps=(1, 1, 1), drop=(0,))
        # of finite numbers alone, so that no derivative is nan
        seen = call("maximum", call("gather", classes, labels, dim=1), never)
        if t == 0:
            now = call("where", call("lt", places, 2), seen, never)
        else:
            two = _before(call, total, 2, _NEVER)
            ways = (
                total,
                _before(call, total, 1, _NEVER),
                call("where", skips, two, never),
            )
            before = call("logsumexp", call("stack", *ways, dim=0), dim=0)
            now = call("add", before, seen)
        total = call("where", call("gt", lengths, t), now, total)
    return _closed(call, total, places, lengths, ends)


def _closed(call: Any, total: Any, places: Any, lengths: Any, ends: Any) -> Any:
    """The losses from what the last states came to."""
    count = total._array.shape[0]
    apart = call("sub", places, call("mul", ends, 2))
    last = call("logical_or", call("eq", apart, 0), call("eq", apart, -1))
    never = call("full", shape=(), value=_NEVER, dtype=total._array.dtype)
    ways = call("where", last, total, never)
    loss = call("neg", call("logsumexp", ways, dim=1))
    # without times nothing is seen, which is all there is of no labels
    nothing = call("logical_and", call("eq", lengths, 0), call("eq", ends, 0))
    nothing = call("reshape", nothing, shape=(count,))
    loss = call("where", nothing, call("zeros_like", loss), loss)
    endless = call("full", shape=(), value=math.inf, dtype=total._array.dtype)
    return call("where", call("lt", loss, -_NEVER / 2), loss, endless)


# ---- examples ----


def _case(
    times: int, lengths: list[int], labels: list[int], classes: int = 4, blank: int = 0
) -> tuple[Any, ...]:
    rng = np.random.default_rng(times)
    logits = rng.standard_normal((times, len(lengths), classes))
    logs = logits - np.log(np.exp(logits).sum(2, keepdims=True))
    most = max(labels, default=0)
    names = rng.integers(0, classes - 1, (len(lengths), most))
    return (
        logs,
        names + (names >= blank),
        np.array(lengths, np.int64),
        np.array(labels, np.int64),
    )


def _samples() -> Iterator[Sample]:
    for blank in (0, 2, 3):
        case = _case(5, [5, 4, 5], [2, 1, 0], blank=blank)
        yield Sample(case, {"blank": blank})
    logs, names, *lengths = _case(6, [6, 3], [3, 1])
    names[0] = 1, 1, 2
    yield Sample((logs, names, *lengths), {"blank": 0})
    yield Sample(_case(4, [4], [0]), {"blank": 0})
    yield Sample(_case(3, [3, 2, 0, 0], [3, 3, 0, 1]), {"blank": 0}, gradient=False)
    yield Sample(_case(60, [60, 50], [20, 11], 12), {"blank": 0}, gradient=False)
    yield Sample(_case(3, [], []), {"blank": 0}, gradient=False)
    far = _case(40, [40], [12])
    yield Sample((far[0] * 300, *far[1:]), {"blank": 0}, gradient=False)


def _errors() -> Iterator[ErrorCase]:
    logs, names, times, counts = _case(4, [4, 3], [2, 1])
    given = {"blank": 0}
    for inputs, attrs, kind, match in (
        ((logs[0], names, times, counts), given, ShapeError, "expected log_probs"),
        ((logs, names[:1], times, counts), given, ShapeError, "expected targets for"),
        ((logs, names, times[:1], counts), given, ShapeError, "expected input_lengths"),
        (
            (logs, names * 1.0, times, counts),
            given,
            DTypeError,
            "expected int64 targets",
        ),
        ((names[None], names, times, counts), given, DTypeError, "log_probs of floats"),
        ((logs, names, times, counts), {"blank": 4}, ValueError, "one of 4 classes"),
        (
            (logs, names, times + 1, counts),
            given,
            ValueError,
            "to 4, the times of .* got 5",
        ),
        ((logs, names, times, counts + 1), given, ValueError, "to 2, the labels of"),
        ((logs, names * 0, times, counts), given, ValueError, "class 0 is blank"),
        ((logs, names + 9, times, counts), given, IndexError, "none of 4 classes"),
    ):
        yield ErrorCase(inputs, attrs, kind, f"ctc_loss: .*{match}")


CTC_LOSS = register(
    Op(
        name="ctc_loss",
        rule=_rule,
        forward=_forward,
        vjp=_vjp,
        composition=_composition,
        samples=_samples,
        errors=_errors,
    )
)
