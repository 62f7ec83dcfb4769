"""Gradients that stay while their parameters change: a forgotten zero_grad.

The memory's version numbers tell it, whatever optimizer changed the parameter and whoever
wrote zeros over the gradient: sums of several backward passes before a step are none.
"""

from __future__ import annotations

from typing import Any

from pyautodl.errors import warn

__all__ = ["no_step", "note_sum", "stale_sums"]

# the name under which a gradient keeps: the leaf's version and its own after the last sum,
# and how many sums reached over a change of the leaf
_NOTE = "_summed"
_MANY = 2


def note_sum(leaf: Any, grad: Any) -> None:
    """Note that one more gradient was added to a leaf's; warn if that seems a mistake."""
    leaf_version, version = leaf._array.storage.version, grad._array.storage.version
    before, own, count = getattr(grad, _NOTE, (leaf_version, -1, 0))
    # else somebody wrote to it in between, zeros for example
    went_on = own == version - 1
    count = count + (before != leaf_version) if went_on else 0
    setattr(grad, _NOTE, (leaf_version, version, count))
    if went_on and before != leaf_version and count == _MANY:
        warn(
            "backward: the gradient is added to that of the steps before, though the "
            "parameters have changed since; likely fix: optimizer.zero_grad() in each step"
        )


def no_step(leaf: Any, since: int) -> None:
    """Note that what has changed a leaf, since a version of its memory, trains nothing."""
    before, *rest = getattr(leaf._grad, _NOTE, (-1,))
    if before == since:
        setattr(leaf._grad, _NOTE, (leaf._array.storage.version, *rest))


def stale_sums(leaf: Any) -> int:
    """How many gradients at other values of the leaf are in its gradient."""
    grad = leaf._grad
    if grad is None:
        return 0
    _, own, count = getattr(grad, _NOTE, (0, -1, 0))
    return int(count) if own == grad._array.storage.version else 0
