"""What the loss kernels mean, in NumPy.

Losses over classes have them along axis
1, or axis 0 where there is one axis only; `divisor` is what a mean is divided by.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pyautodl.backends import codes
from pyautodl.backends.checks import check_indices

__all__ = [
    "clamped_log_fwd",
    "cross_entropy_bwd",
    "cross_entropy_fwd",
    "ctc",
    "nll_bwd",
    "nll_fwd",
    "pair_loss_bwd",
    "pair_loss_fwd",
]

Array = np.ndarray[Any, Any]
LOWEST_LOG = -100.0


# ---- losses of pairs: one number for each element of x and target ----


def pair_loss_fwd(
    x: Array,
    target: Array,
    weight: Array | None,
    pos_weight: Array | None,
    loss: Array,
    kind: int,
    reduction: int,
    beta: float,
) -> None:
    """The loss of each element, times its weight, then reduced."""
    if kind == codes.PAIR_BCE and not ((x >= 0) & (x <= 1)).all():
        raise ValueError("pair_loss_fwd: expected probabilities from 0 to 1")
    value = _pair_value(x, target, pos_weight, kind, beta)
    if weight is not None:
        value = value * weight
    if reduction == codes.REDUCE_NONE:
        loss[...] = value
    else:
        total = value.sum(dtype=np.float64)
        loss[...] = total / value.size if reduction == codes.REDUCE_MEAN else total


def pair_loss_bwd(
    g: Array,
    x: Array,
    target: Array,
    weight: Array | None,
    pos_weight: Array | None,
    dx: Array,
    kind: int,
    reduction: int,
    beta: float,
) -> None:
    """The gradient of pair_loss_fwd for x, clipped to finite numbers."""
    slope = _pair_slope(x, target, pos_weight, kind, beta)
    if weight is not None:
        slope = slope * weight
    largest = np.finfo(x.dtype).max
    slope = np.clip(slope, -largest, largest)
    dx[...] = slope * (g / x.size if reduction == codes.REDUCE_MEAN else g)


def _pair_value(
    x: Array, t: Array, pos_weight: Array | None, kind: int, beta: float
) -> Any:
    d = x - t
    if kind == codes.PAIR_MSE:
        return d * d
    if kind == codes.PAIR_L1:
        return np.abs(d)
    if kind == codes.PAIR_HUBER:
        a = np.abs(d)
        return np.where(a <= beta, 0.5 * d * d, beta * (a - 0.5 * beta))
    if kind == codes.PAIR_SMOOTH_L1:
        a = np.abs(d)
        return np.where(a < beta, 0.5 * d * d / (beta or 1), a - 0.5 * beta)
    if kind == codes.PAIR_BCE:
        yes = np.maximum(np.log(x), LOWEST_LOG)
        no = np.maximum(np.log1p(-x), LOWEST_LOG)
        return -(t * yes + (1 - t) * no)
    if kind == codes.PAIR_BCE_LOGITS:
        factor = 1 if pos_weight is None else 1 + (pos_weight - 1) * t
        return (1 - t) * x + factor * _softplus(-x)
    if kind == codes.PAIR_KL_LOG:
        return np.exp(t) * (t - x)
    return np.where(t == 0, 0, t * np.log(np.where(t == 0, 1, t))) - t * x


def _pair_slope(
    x: Array, t: Array, pos_weight: Array | None, kind: int, beta: float
) -> Any:
    d = x - t
    if kind == codes.PAIR_MSE:
        return 2 * d
    if kind == codes.PAIR_L1:
        return np.sign(d)
    if kind == codes.PAIR_HUBER:
        return np.clip(d, -beta, beta)
    if kind == codes.PAIR_SMOOTH_L1:
        return np.where(np.abs(d) < beta, d / (beta or 1), np.sign(d))
    if kind == codes.PAIR_BCE:
        yes = np.where(t == 0, 0, t / _divisor(x))
        no = np.where(t == 1, 0, (1 - t) / _divisor(1 - x))
        return no - yes
    if kind == codes.PAIR_BCE_LOGITS:
        p = 1 / (1 + np.exp(-x))
        if pos_weight is None:
            return p - t
        return (1 + (pos_weight - 1) * t) * p - pos_weight * t
    return -np.exp(t) if kind == codes.PAIR_KL_LOG else -t


def _divisor(p: Array) -> Any:
    return np.where(p < np.finfo(p.dtype).tiny, p.dtype.type(1e-12), p)


def _softplus(x: Array) -> Any:
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def clamped_log_fwd(x: Array, y: Array) -> None:
    """log(x), but not below -100."""
    y[...] = np.maximum(np.log(x), LOWEST_LOG)


# ---- losses over classes ----


def nll_fwd(
    logp: Array,
    target: Array,
    weight: Array | None,
    loss: Array,
    divisor: Array,
    ignore_index: int,
    reduction: int,
    smoothing: float,
) -> None:
    """-logp at the targets, mixed by `smoothing` with the mean over all classes."""
    rows, _ = _rows(logp)
    t, live, w = _targets(target, weight, ignore_index, rows.shape[1], logp.dtype)
    each = np.ones(rows.shape[1], logp.dtype) if weight is None else weight
    value = -(1 - smoothing) * w * rows[np.arange(len(rows)), t]
    if smoothing:
        value = value - smoothing / rows.shape[1] * (rows * each).sum(1)
    _reduce(np.where(live, value, 0), np.where(live, w, 0), loss, divisor, reduction)


def nll_bwd(
    g: Array,
    target: Array,
    weight: Array | None,
    divisor: Array,
    dx: Array,
    ignore_index: int,
    reduction: int,
    smoothing: float,
) -> None:
    """The gradient of nll_fwd for logp."""
    slopes, back = _rows(dx)
    rows, classes = slopes.shape
    t, live, w = _targets(target, weight, ignore_index, classes, dx.dtype)
    each = np.ones(classes, dx.dtype) if weight is None else weight
    slope = np.tile(-smoothing / classes * each, (rows, 1))
    slope[np.arange(rows), t] -= (1 - smoothing) * w
    scale = _scale(g, divisor, reduction)
    dx[...] = back(np.where(live[:, None], slope * scale, 0))


def cross_entropy_fwd(
    x: Array,
    target: Array,
    weight: Array | None,
    loss: Array,
    divisor: Array,
    stats: Array,
    ignore_index: int,
    reduction: int,
    smoothing: float,
) -> None:
    """-log softmax(x) at the targets: class numbers, or probabilities of x's shape.

    stats gets the largest logit of each row and 1 / sum(exp(logit - largest)).
    """
    rows, _ = _rows(x)
    largest = rows.max(1) if rows.shape[1] else np.zeros(len(rows))
    shifted = rows - largest[:, None]
    total = np.exp(shifted).sum(1)
    stats[0], stats[1] = largest, 1 / total
    logp = shifted - np.log(total)[:, None]
    if target.dtype == np.int64:
        nll_fwd(
            logp,
            target.reshape(-1),
            weight,
            *_flat(loss, reduction),
            divisor,
            ignore_index,
            reduction,
            smoothing,
        )
        return
    value = -(logp * _mixed(target, weight, smoothing)).sum(1)
    _reduce(value, np.ones(len(rows)), loss, divisor, reduction)


def cross_entropy_bwd(
    g: Array,
    x: Array,
    target: Array,
    weight: Array | None,
    divisor: Array,
    stats: Array,
    dx: Array,
    ignore_index: int,
    reduction: int,
    smoothing: float,
) -> None:
    """The gradient of cross_entropy_fwd for x."""
    rows, back = _rows(x)
    p = np.exp(rows - stats[0][:, None]) * stats[1][:, None]
    if target.dtype == np.int64:
        slope = np.empty_like(p)
        one = np.ones((), p.dtype)
        nll_bwd(
            one,
            target.reshape(-1),
            weight,
            one,
            slope,
            ignore_index,
            codes.REDUCE_SUM,
            smoothing,
        )
        live = (target.reshape(-1) != ignore_index)[:, None]
    else:
        slope, live = -_mixed(target, weight, smoothing), True
    slope = slope - p * slope.sum(1, keepdims=True)
    dx[...] = back(np.where(live, slope * _scale(g, divisor, reduction), 0))


def _rows(x: Array) -> tuple[Array, Any]:
    """x as (rows, classes), and the way back."""
    if x.ndim == 1:
        return x[None], lambda rows: rows[0]
    moved = np.moveaxis(x, 1, -1)
    return moved.reshape(-1, x.shape[1]), lambda rows: np.moveaxis(
        rows.reshape(moved.shape), -1, 1
    )


def _flat(loss: Array, reduction: int) -> tuple[Array]:
    return (loss.reshape(-1) if reduction == codes.REDUCE_NONE else loss,)


def _targets(
    target: Array, weight: Array | None, ignore_index: int, classes: int, dtype: Any
) -> tuple[Array, Array, Array]:
    """Flat class numbers (0 where ignored), which of them count, and their weights."""
    flat = target.reshape(-1)
    live = flat != ignore_index
    check_indices(np.where(live, flat, 0) if classes else flat[live], classes)
    t = np.where(live, flat, 0)
    return t, live, np.ones(len(t), dtype) if weight is None else weight[t]


def _mixed(target: Array, weight: Array | None, smoothing: float) -> Any:
    """Target probabilities by row, smoothed, times the classes' weights."""
    rows, _ = _rows(target)
    mixed = rows * (1 - smoothing) + smoothing / rows.shape[1]
    return mixed if weight is None else mixed * weight


def _reduce(
    value: Array, w: Array, loss: Array, divisor: Array, reduction: int
) -> None:
    total = w.sum(dtype=np.float64) if reduction == codes.REDUCE_MEAN else 1.0
    divisor[...] = total
    if reduction == codes.REDUCE_NONE:
        loss[...] = value.reshape(loss.shape)
    elif total == 0 and value.size:
        # every target is ignored
        loss[...] = 0
    else:
        loss[...] = value.sum(dtype=np.float64) / total


def _scale(g: Array, divisor: Array, reduction: int) -> Any:
    """What each row's gradient is multiplied by, as a column."""
    if reduction == codes.REDUCE_NONE:
        return g.reshape(-1, 1)
    return np.where(divisor == 0, 0, g / np.where(divisor == 0, 1, divisor)).reshape(
        1, 1
    )


# ---- connectionist temporal classification ----


def _ctc_ways(seen: Array, skips: Array) -> Array:
    """The logarithms of all ways to each state, times by states."""
    ways = np.full(seen.shape, -np.inf)
    ways[0, :2] = seen[0, :2]
    for t in range(1, len(seen)):
        before = ways[t - 1]
        one = np.concatenate([[-np.inf], before])[:-1]
        two = np.concatenate([[-np.inf, -np.inf], before])[:-2]
        total = np.logaddexp(before, one)
        ways[t] = np.logaddexp(total, np.where(skips, two, -np.inf)) + seen[t]
    return ways


def _ctc_sequence(logs: Array, labels: Array, blank: int, grad: Array | None) -> float:
    """The loss of one sequence; its gradient goes to `grad`."""
    if not len(logs):
        return np.inf if len(labels) else 0.0
    states = np.full(2 * len(labels) + 1, blank)
    states[1::2] = labels
    skips = np.zeros(len(states), bool)
    skips[3::2] = labels[1:] != labels[:-1]
    seen = logs[:, states].astype(np.float64)
    ways = _ctc_ways(seen, skips)
    total = np.logaddexp.reduce(ways[-1, -2:])
    if grad is not None:
        # what comes after is what came before, read from the end
        back = np.zeros(len(states), bool)
        back[3::2] = labels[::-1][1:] != labels[::-1][:-1]
        after = _ctc_ways(seen[::-1, ::-1], back)[::-1, ::-1] - seen
        with np.errstate(invalid="ignore"):
            share = np.exp(np.where(np.isfinite(ways), ways + after, -np.inf) - total)
        for i, name in enumerate(states):
            grad[:, name] -= share[:, i]
    return -float(total)


def ctc(
    log_probs: Array,
    targets: Array,
    input_lengths: Array,
    target_lengths: Array,
    loss: Array,
    grad: Array | None,
    blank: int,
) -> None:
    """The losses, and their gradients to log_probs."""
    lengths = list(zip(input_lengths.tolist(), target_lengths.tolist()))
    for n, (times, count) in enumerate(lengths):
        fits = 0 <= times <= len(log_probs) and 0 <= count <= targets.shape[1]
        if not fits:
            raise ValueError("ctc: a length does not fit")
        check_indices(targets[n, :count], log_probs.shape[2])
        if (targets[n, :count] == blank).any():
            raise ValueError("ctc: a label is blank")
    if grad is not None:
        grad[...] = 0
    with np.errstate(over="ignore"):
        for n, (times, count) in enumerate(lengths):
            part = None if grad is None else grad[:times, n]
            logs, labels = log_probs[:times, n], targets[n, :count]
            loss[n] = _ctc_sequence(logs, labels, blank, part)
