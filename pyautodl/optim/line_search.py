"""A step along a direction that fulfils the strong Wolfe conditions."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

__all__ = ["Point", "strong_wolfe"]

# how much of the expected decrease there must be, and of the slope there may be left
_DECREASE = 1e-4
_SLOPE = 0.9
_NARROW = 1e-9


class Point(NamedTuple):
    """A step, the loss there, its gradient, and its slope along the direction."""

    step: float
    loss: float
    grad: Any
    slope: float


def strong_wolfe(
    evaluate: Callable[[float], Point],
    start: Point,
    step: float,
    size: float,
    most: int,
) -> tuple[Point, int]:
    """Find a step after which the loss is lower and its slope flatter.

    Args:
        evaluate: the point after a step.
        start: the point of step 0.
        step: the first try.
        size: of the direction's largest element.
        most: tries after the first.

    Returns:
        The point, and how often `evaluate` was called.

    Source: Nocedal and Wright, "Numerical optimization", 2006, chapter 3.
    """
    before, new = start, evaluate(step)
    tries = 0
    while tries < most:
        if _is_high(new, start) or (tries > 1 and new.loss >= before.loss):
            break
        if abs(new.slope) <= -_SLOPE * start.slope:
            return new, tries + 1
        if new.slope >= 0:
            break
        bounds = (new.step + 0.01 * (new.step - before.step), new.step * 10)
        before, new = new, evaluate(_cubic_minimum(before, new, bounds))
        tries += 1
    else:
        before = start
    return _narrowed(evaluate, start, [before, new], size, tries, most)


def _is_high(point: Point, start: Point) -> bool:
    return point.loss > start.loss + _DECREASE * point.step * start.slope


def _narrowed(
    evaluate: Callable[[float], Point],
    start: Point,
    bracket: list[Point],
    size: float,
    tries: int,
    most: int,
) -> tuple[Point, int]:
    """The point between two that have it between them."""
    low = 0 if bracket[0].loss <= bracket[1].loss else 1
    slow = False
    while tries < most:
        ends = sorted(each.step for each in bracket)
        if (ends[1] - ends[0]) * size < _NARROW:
            break
        step = _cubic_minimum(bracket[0], bracket[1], (ends[0], ends[1]))
        step, slow = _away_from_ends(step, ends, slow)
        new = evaluate(step)
        tries += 1
        if _is_high(new, start) or new.loss >= bracket[low].loss:
            bracket[1 - low] = new
            low = 0 if bracket[0].loss <= bracket[1].loss else 1
            continue
        if abs(new.slope) <= -_SLOPE * start.slope:
            return new, tries + 1
        if new.slope * (bracket[1 - low].step - bracket[low].step) >= 0:
            bracket[1 - low] = bracket[low]
        bracket[low] = new
    return bracket[low], tries + 1


def _away_from_ends(step: float, ends: list[float], slow: bool) -> tuple[float, bool]:
    """A step that is not close to an end twice in a row; whether it was close."""
    low, high = ends
    margin = 0.1 * (high - low)
    if min(high - step, step - low) >= margin:
        return step, False
    if slow or step >= high or step <= low:
        near_high = abs(step - high) < abs(step - low)
        return (high - margin if near_high else low + margin), False
    return step, True


def _cubic_minimum(a: Point, b: Point, bounds: tuple[float, float]) -> float:
    """Where the cubic through two points with their slopes is lowest, within bounds."""
    low, high = bounds
    if a.step > b.step:
        a, b = b, a
    first = a.slope + b.slope - 3 * (a.loss - b.loss) / (a.step - b.step)
    square = first**2 - a.slope * b.slope
    if not square >= 0:
        return (low + high) / 2
    root = math.sqrt(square)
    bottom = b.slope - a.slope + 2 * root
    if bottom == 0:
        return (low + high) / 2
    share = (b.slope + root - first) / bottom
    return min(max(b.step - (b.step - a.step) * share, low), high)
