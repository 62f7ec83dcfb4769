"""Normalisation of activations.

All statistics are computed and kept in double precision, so that large means lose no
digits and constant inputs give exactly the bias.
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from functools import cache
from math import prod
from typing import Any

import numpy as np

from pyautodl.backends.dtypes import DType
from pyautodl.ops.integers import integer, several
from pyautodl.ops.norm import (
    BATCH_NORM,
    BATCH_NORM_EVAL,
    BATCH_NORM_RELU,
    BATCH_NORM_RELU_EVAL,
    GROUP_NORM,
    LAYER_NORM,
    RMS_NORM,
)
from pyautodl.ops.record import OPS, kept_attributes
from pyautodl.tensor import Tensor, apply, apply_known, explained

__all__ = ["batch_norm", "group_norm", "instance_norm", "layer_norm", "rms_norm"]


@kept_attributes
def _in_groups(groups: int, eps: float) -> dict[str, Any]:
    return {"groups": integer("group_norm", "num_groups", groups), "eps": eps}


@kept_attributes
def _of_rows(name: str, normalized_shape: Any, eps: float) -> dict[str, Any]:
    shape = several(name, "normalized_shape", normalized_shape)
    return {"normalized_shape": shape, "eps": eps}


def _affine(*parameters: Tensor | None) -> list[Tensor | None]:
    """Weight and bias without absent ones at the end."""
    found = list(parameters)
    while found and found[-1] is None:
        found.pop()
    return found


def batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Return (input - mean) / sqrt(variance + eps) * weight + bias for each channel.

    In training mean and variance are those of the batch, and the running ones move
    towards them: running = (1 - momentum) * running + momentum * batch. The batch is
    normalised by its biased variance (divided by n), the running one is unbiased
    (divided by n - 1), as in PyTorch. Else the running ones are used and stay.

    Args:
        input: activations.
        running_mean: means of the channels, changed in training; None: not kept.
        running_var: variances of the channels, likewise.
        weight: factors of the channels.
        bias: offsets of the channels.
        training: whether to use the batch's statistics.
        momentum: how far the running statistics move.
        eps: keeps the denominator from 0.

    Shape:
        (n, c) or (n, c, ...) -> the same.

    Raises:
        ValueError: training with one value a channel, or eval without statistics.
        ShapeError: a parameter has not one value a channel.
        DTypeError: mixed floating types.

    Example:
        >>> import pyautodl as ad
        >>> x = ad.tensor([[1.0], [3.0]])
        >>> ad.nn.functional.batch_norm(x, None, None, training=True, eps=0.0)
        tensor([[-1.],
                [ 1.]])

    Source:
        Ioffe and Szegedy, Batch Normalization (2015)
    """
    return batch_norm_counted(
        input, running_mean, running_var, weight, bias, training, momentum, eps
    )


def batch_norm_counted(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None,
    bias: Tensor | None,
    training: bool,
    momentum: float | None,
    eps: float,
    batches: Tensor | None = None,
    relu: bool = False,
) -> Tensor:
    """`batch_norm` that counts batches; without momentum it averages over them; with
    `relu` a ReLU is part of it.
    """
    if training:
        running = None
        if running_mean is not None and running_var is not None:
            count = None if batches is None else batches._array
            running = (running_mean._array, running_var._array, count)
        y: Tensor = apply(
            BATCH_NORM_RELU if relu else BATCH_NORM,
            input,
            *_affine(weight, bias),
            eps=eps,
            momentum=-1.0 if momentum is None else momentum,
            running=running,
        )
        return _note_memory(y)
    if running_mean is None or running_var is None:
        raise ValueError(
            "batch_norm: expected running_mean and running_var where training is False "
            f"(input {tuple(input.shape)})"
        )
    inputs = (input, running_mean, running_var, *_affine(weight, bias))
    op = BATCH_NORM_RELU_EVAL if relu else BATCH_NORM_EVAL
    return _note_memory(apply(op, *inputs, eps=eps))


def _note_memory(y: Tensor) -> Tensor:
    """Let the recorded call know its output's memory, so that a ReLU behind it can tell
    whether the input it gets is what was computed.
    """
    if y._edge is not None:
        y._edge[0].memory = weakref.ref(y._array.storage)
    return y


def group_norm(
    input: Tensor,
    num_groups: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """Return the input with each group of channels of each sample normalised.

    Args:
        input: activations.
        num_groups: into how many groups the channels are divided.
        weight: factors of the channels.
        bias: offsets of the channels.
        eps: keeps the denominator from 0.

    Shape:
        (n, c) or (n, c, ...) -> the same.

    Raises:
        ShapeError: the channels do not divide into the groups.

    Example:
        >>> import pyautodl as ad
        >>> x = ad.tensor([[1.0, 3.0, 5.0, 5.0]])
        >>> ad.nn.functional.group_norm(x, 2, eps=1e-12)
        tensor([[-1.,  1.,  0.,  0.]])

    Source:
        Wu and He, Group Normalization (2018)
    """
    inputs = (input, *_affine(weight, bias))
    return apply_known(GROUP_NORM, inputs, _in_groups(num_groups, eps))


@explained
def instance_norm(
    input: Tensor,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Return the input with each channel of each sample normalised by itself.

    Args:
        input: activations.
        running_mean: means of the channels over samples, changed where input statistics
            are used; None: not kept.
        running_var: unbiased variances, likewise.
        weight: factors of the channels.
        bias: offsets of the channels.
        use_input_stats: else normalise by the running statistics.
        momentum: how far the running statistics move.
        eps: keeps the denominator from 0.

    Shape:
        (n, c, ...) -> the same.

    Raises:
        ValueError: one value a channel, or no statistics to use.

    Example:
        >>> import pyautodl as ad
        >>> x = ad.tensor([[[1.0, 3.0]], [[5.0, 9.0]]])
        >>> ad.nn.functional.instance_norm(x, eps=1e-12).flatten()
        tensor([-1.,  1., -1.,  1.])

    Source:
        Ulyanov et al., Instance Normalization (2016)
    """
    name = "instance_norm"
    if not use_input_stats:
        if running_mean is None or running_var is None:
            raise ValueError(f"{name}: expected running statistics to normalise with")
        return batch_norm(input, running_mean, running_var, weight, bias, eps=eps)
    shape = input._array.shape
    if len(shape) < 3 or prod(shape[2:]) == 1:
        raise ValueError(
            f"{name}: expected an input (n, c, ...) of more than one value a channel, "
            f"got {shape}"
        )
    if running_mean is not None and running_var is not None:
        _move_running(input, running_mean, running_var, momentum)
    inputs = (input, *_affine(weight, bias))
    return apply_known(GROUP_NORM, inputs, _in_groups(shape[1] or 1, eps))


def _move_running(input: Tensor, mean: Tensor, var: Tensor, momentum: float) -> None:
    """Running statistics of instances: means over the samples."""
    flat = input.detach().flatten(2)
    mean.mul_(1 - momentum).add_(flat.mean(2).mean(0) * momentum)
    var.mul_(1 - momentum).add_(flat.var(2).mean(0) * momentum)


def layer_norm(
    input: Tensor,
    normalized_shape: int | Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """Return the input normalised over its last axes, times weight plus bias.

    Args:
        input: activations.
        normalized_shape: the sizes of the axes to normalise over.
        weight: factors, of that shape.
        bias: offsets, of that shape.
        eps: keeps the denominator from 0.

    Shape:
        (..., *normalized_shape) -> the same.

    Raises:
        ShapeError: the last axes have other sizes.

    Example:
        >>> import pyautodl as ad
        >>> x = ad.tensor([40000.0, 40001.0, 40002.0, 40003.0])
        >>> ad.nn.functional.layer_norm(x, (4,))
        tensor([-1.3416, -0.4472,  0.4472,  1.3416])

    Source:
        Ba, Kiros and Hinton, Layer Normalization (2016)
    """
    inputs = (input, *_affine(weight, bias))
    attrs = _of_rows("layer_norm", normalized_shape, eps)
    return apply_known(LAYER_NORM, inputs, attrs)


@explained
def rms_norm(
    input: Tensor,
    normalized_shape: int | Sequence[int],
    weight: Tensor | None = None,
    eps: float | None = None,
) -> Tensor:
    """Return the input over the root of its mean square along the last axes.

    Args:
        input: activations.
        normalized_shape: the sizes of the axes to normalise over.
        weight: factors, of that shape.
        eps: keeps the denominator from 0; if None, the smallest step from 1.

    Shape:
        (..., *normalized_shape) -> the same.

    Raises:
        ShapeError: the last axes have other sizes.

    Example:
        >>> import pyautodl as ad
        >>> ad.nn.functional.rms_norm(ad.tensor([3.0, -3.0]), (2,))
        tensor([ 1., -1.])

    Source:
        Zhang and Sennrich, Root Mean Square Layer Normalization (2019)
    """
    if eps is None:
        eps = _smallest_step(input._array.dtype)
    inputs = (input, *_affine(weight))
    return apply_known(RMS_NORM, inputs, _of_rows("rms_norm", normalized_shape, eps))


@cache
def _smallest_step(dtype: DType) -> float:
    """From 1 to the next number."""
    return float(np.finfo(dtype.numpy).eps) if dtype.is_floating_point else 0


@explained
def local_response_norm(
    input: Tensor, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> Tensor:
    """Return input / (k + alpha * mean of squares over neighbouring channels) ** beta.

    Args:
        input: activations.
        size: how many channels count as neighbours, the own one included.
        alpha: factor of the mean.
        beta: exponent.
        k: keeps the denominator from 0.

    Shape:
        (n, c, ...) -> the same.

    Raises:
        ValueError: the input has fewer than 3 axes.

    Example:
        >>> import pyautodl as ad
        >>> x = ad.ones(1, 1, 2)
        >>> ad.nn.functional.local_response_norm(x, 1, alpha=3.0, beta=0.5)
        tensor([[[0.5000, 0.5000]]])

    Source:
        Krizhevsky et al., ImageNet Classification (2012)
    """
    if input.ndim < 3:
        raise ValueError(
            "local_response_norm: expected an input (n, c, ...), got "
            f"{tuple(input.shape)}"
        )
    size = integer("local_response_norm", "size", size)
    squares: Any = input * input
    total: Any = squares
    channels = input.shape[1]
    # the channels from size // 2 below to (size - 1) // 2 above; beyond the ends are 0
    for step in range(-(size // 2), (size - 1) // 2 + 1):
        if step == 0 or abs(step) >= channels:
            continue
        kept = squares.narrow(1, max(step, 0), channels - abs(step))
        zeros = squares.new_zeros((input.shape[0], abs(step), *input.shape[2:]))
        parts = (kept, zeros) if step > 0 else (zeros, kept)
        total = total + apply(OPS["cat"], *parts, dim=1)
    return input / (total * (alpha / size) + k) ** beta
