"""What the normalisation kernels mean, in NumPy.

Statistics are computed and kept in float64. `stats[0]` is the mean, `stats[1]` is
1 / sqrt(biased variance + eps).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

__all__ = [
    "batch_norm_bwd",
    "batch_norm_fwd",
    "group_norm_bwd",
    "group_norm_fwd",
    "layer_norm_bwd",
    "layer_norm_fwd",
]

Array = np.ndarray[Any, Any]


def batch_norm_fwd(
    x: Array,
    weight: Array | None,
    bias: Array | None,
    y: Array,
    stats: Array,
    running_mean: Array | None,
    running_var: Array | None,
    batches: Array | None,
    training: int,
    relu: int,
    momentum: float,
    eps: float,
) -> None:
    """Normalise each channel (axis 1) over all the others, with `relu` a ReLU behind it.

    In training with the batch's statistics, which also move the running ones: these
    keep the unbiased variance. Else with the running statistics. A negative momentum
    means the average over all batches so far, which `batches` counts.
    """
    if not x.size:
        stats[...] = 0
        return
    if training and batches is not None:
        batches += 1
    axes = _all_but(x, 1)
    mean, var = running_mean, running_var
    if training:
        mean, var, count = _moments(x, axes)
        if momentum < 0:
            momentum = 1 / float(batches) if batches is not None else 0.0
        if running_mean is not None and running_var is not None:
            running_mean[...] = (1 - momentum) * running_mean + momentum * mean
            unbiased = var * count / max(count - 1, 1)
            running_var[...] = (1 - momentum) * running_var + momentum * unbiased
    stats[0] = mean
    stats[1] = 1 / np.sqrt(np.asarray(var, np.float64) + eps)
    xhat = (x - _along(stats[0], x)) * _along(stats[1], x)
    out = _affine(xhat, weight, bias)
    y[...] = np.maximum(out, 0) if relu else out


def batch_norm_bwd(
    g: Array,
    x: Array,
    weight: Array | None,
    bias: Array | None,
    stats: Array,
    dx: Array | None,
    dweight: Array | None,
    dbias: Array | None,
    training: int,
    relu: int,
) -> None:
    """The gradients of batch_norm_fwd; bias: read with `relu` alone."""
    axes = _all_but(x, 1)
    xhat = (x - _along(stats[0], x)) * _along(stats[1], x)
    if relu:
        g = np.where(_affine(xhat, weight, bias) <= 0, 0, g)
    _affine_grads(g, xhat, axes, dweight, dbias)
    if dx is None:
        return
    if training and x.size:
        slope = (g * xhat).mean(axes, keepdims=True)
        g = g - g.mean(axes, keepdims=True) - xhat * slope
    scale = stats[1] if weight is None else stats[1] * weight
    dx[...] = g * _along(scale, x)


def group_norm_fwd(
    x: Array,
    weight: Array | None,
    bias: Array | None,
    y: Array,
    stats: Array,
    groups: int,
    eps: float,
) -> None:
    """Normalise each group of channels of each sample; stats: (2, samples, groups)."""
    rows = x.reshape(_groups(x, groups))
    mean, var, _ = _moments(rows, (2,))
    stats[0], stats[1] = mean, 1 / np.sqrt(var + eps)
    xhat = (rows - stats[0][..., None]) * stats[1][..., None]
    y[...] = _affine(xhat.reshape(x.shape), weight, bias)


def group_norm_bwd(
    g: Array,
    x: Array,
    weight: Array | None,
    stats: Array,
    dx: Array | None,
    dweight: Array | None,
    dbias: Array | None,
    groups: int,
) -> None:
    """The gradients of group_norm_fwd."""
    shape = _groups(x, groups)
    xhat = (x.reshape(shape) - stats[0][..., None]) * stats[1][..., None]
    _affine_grads(g, xhat.reshape(x.shape), _all_but(x, 1), dweight, dbias)
    if dx is None:
        return
    scaled = (g if weight is None else g * _along(weight, x)).reshape(shape)
    dx[...] = _centred(scaled, xhat, stats[1][..., None], 1).reshape(x.shape)


def layer_norm_fwd(
    x: Array,
    weight: Array | None,
    bias: Array | None,
    y: Array,
    stats: Array,
    n: int,
    center: int,
    eps: float,
) -> None:
    """Normalise rows of n elements; without `center` by their root mean square."""
    rows = x.reshape(stats.shape[1], n)
    mean, var, _ = _moments(rows, (1,)) if center else _moments_around_zero(rows)
    stats[0], stats[1] = mean, 1 / np.sqrt(var + eps)
    y2 = (rows - stats[0][:, None]) * stats[1][:, None]
    if weight is not None:
        y2 = y2 * weight.reshape(-1)
    if bias is not None:
        y2 = y2 + bias.reshape(-1)
    y[...] = y2.reshape(y.shape)


def layer_norm_bwd(
    g: Array,
    x: Array,
    weight: Array | None,
    stats: Array,
    dx: Array | None,
    dweight: Array | None,
    dbias: Array | None,
    n: int,
    center: int,
) -> None:
    """The gradients of layer_norm_fwd."""
    rows = g.reshape(stats.shape[1], n)
    xhat = (x.reshape(rows.shape) - stats[0][:, None]) * stats[1][:, None]
    if dweight is not None:
        dweight[...] = (rows * xhat).sum(0).reshape(dweight.shape)
    if dbias is not None:
        dbias[...] = rows.sum(0).reshape(dbias.shape)
    if dx is None:
        return
    scaled = rows if weight is None else rows * weight.reshape(-1)
    dx[...] = _centred(scaled, xhat, stats[1][:, None], center).reshape(dx.shape)


def _all_but(x: Array, axis: int) -> tuple[int, ...]:
    return tuple(i for i in range(x.ndim) if i != axis)


def _groups(x: Array, groups: int) -> tuple[int, ...]:
    each = x.shape[1] // groups
    return x.shape[0], groups, each * math.prod(x.shape[2:])


def _along(values: Array, x: Array) -> Array:
    """One value a channel, shaped to go with x."""
    return values.reshape(-1, *(1,) * (x.ndim - 2))


def _moments(x: Array, axes: tuple[int, ...]) -> tuple[Array, Array, int]:
    """Mean and biased variance in float64, in two passes, and of how many elements."""
    wide = x.astype(np.float64)
    count = math.prod(x.shape[axis] for axis in axes)
    first = tuple(slice(0, 1) if i in axes else slice(None) for i in range(x.ndim))
    # by differences from the first element, which for equal elements are 0 exactly
    start = wide[first] if x.size else 0.0
    mean = start + (wide - start).sum(axes, keepdims=True) / count
    var = ((wide - mean) ** 2).sum(axes) / count
    return mean.reshape(var.shape), var, count


def _moments_around_zero(rows: Array) -> tuple[Array, Array, int]:
    square = (rows.astype(np.float64) ** 2).sum(1) / rows.shape[1]
    return np.zeros(len(rows)), square, rows.shape[1]


def _affine(xhat: Array, weight: Array | None, bias: Array | None) -> Array:
    if weight is not None:
        xhat = xhat * _along(weight, xhat)
    return xhat if bias is None else xhat + _along(bias, xhat)


def _affine_grads(
    g: Array,
    xhat: Array,
    axes: tuple[int, ...],
    dweight: Array | None,
    dbias: Array | None,
) -> None:
    if dweight is not None:
        dweight[...] = (g * xhat).sum(axes)
    if dbias is not None:
        dbias[...] = g.sum(axes)


def _centred(g: Array, xhat: Array, rstd: Array, center: int) -> Any:
    """The gradient of (x - mean) * rstd along the last axis."""
    out = g - xhat * (g * xhat).mean(-1, keepdims=True)
    if center:
        out = out - g.mean(-1, keepdims=True)
    return out * rstd
