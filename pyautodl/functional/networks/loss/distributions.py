"""Divergences and likelihoods of distributions."""

from __future__ import annotations

import math
from typing import Any

from pyautodl.errors import ShapeError
from pyautodl.functional.networks.loss.arguments import (
    prepare,
    reduced,
    refuse_old_arguments,
    to_float,
)
from pyautodl.ops.pair_loss import KL_DIV, KL_DIV_LOG_TARGET
from pyautodl.tensor import Tensor, apply, explained

__all__ = ["gaussian_nll_loss", "kl_div", "poisson_nll_loss"]


@explained
def kl_div(
    input: Tensor,
    target: Tensor,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
    log_target: bool = False,
) -> Tensor:
    """Return target (log target - input): the divergence of distributions, by terms.

    Args:
        input: logarithms of probabilities.
        target: probabilities, or their logarithms with `log_target`.
        size_average, reduce: not supported; use `reduction`.
        reduction: 'batchmean' (the divergence: sum over n), 'mean', 'sum' or 'none'.
        log_target: whether target holds logarithms.

    Shape:
        input and target of one shape -> () or, with 'none', that shape.

    Raises:
        ShapeError: input and target have different shapes.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl.nn import functional as F
        >>> p, target = ad.tensor([[0.5, 0.5]]), ad.tensor([[0.75, 0.25]])
        >>> F.kl_div(p.log(), target, reduction="batchmean")
        tensor(0.1308)
    """
    refuse_old_arguments("kl_div", size_average, reduce)
    op = KL_DIV_LOG_TARGET if log_target else KL_DIV
    target = to_float("kl_div", target, input)
    if reduction == "batchmean":
        batch = input.shape[0] if input.ndim else 1
        return apply(op, input, target, reduction="sum") / batch
    return apply(op, input, target, reduction=reduction)


@explained
def poisson_nll_loss(
    input: Tensor,
    target: Tensor,
    log_input: bool = True,
    full: bool = False,
    size_average: Any = None,
    eps: float = 1e-8,
    reduce: Any = None,
    reduction: str = "mean",
) -> Tensor:
    """Return the negative log-likelihood of counts under a Poisson distribution.

    Args:
        input: the expected counts, or their logarithms with `log_input`.
        target: counts.
        log_input: whether input holds logarithms.
        full: add Stirling's approximation of log(target!).
        size_average, reduce: not supported; use `reduction`.
        eps: keeps the logarithm of an expected count of 0 finite.
        reduction: 'mean', 'sum' or 'none'.

    Shape:
        input and target of one shape -> () or, with 'none', that shape.

    Raises:
        ShapeError: input and target have different shapes.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl.nn import functional as F
        >>> F.poisson_nll_loss(ad.tensor([0.0]), ad.tensor([3.0]))
        tensor(1.)
    """
    refuse_old_arguments("poisson_nll_loss", size_average, reduce)
    target = prepare("poisson_nll_loss", input, target, reduction)
    if log_input:
        loss = input.exp() - target * input
    else:
        loss = input - target * (input + eps).log()
    if full:
        # where it does not apply, a harmless number keeps the gradient finite
        safe = target.where(target > 1, target.new_full((), 2.0))
        stirling = safe * safe.log() - safe + 0.5 * (2 * math.pi * safe).log()
        loss = loss + stirling.where(target > 1, target.new_full((), 0.0))
    return reduced(loss, reduction)


@explained
def gaussian_nll_loss(
    input: Tensor,
    target: Tensor,
    var: Tensor | float,
    full: bool = False,
    eps: float = 1e-6,
    reduction: str = "mean",
) -> Tensor:
    """Return the negative log-likelihood of targets under normal distributions.

    Args:
        input: the means.
        target: what was observed.
        var: the variances: of the input's shape, the same with a last axis of 1 or
            without it, or a number.
        full: add the constant 0.5 log(2 pi).
        eps: variances below it count as it.
        reduction: 'mean', 'sum' or 'none'.

    Shape:
        input and target of one shape -> () or, with 'none', that shape.

    Raises:
        ShapeError: the shapes do not fit.
        ValueError: a variance is negative.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl.nn import functional as F
        >>> x = ad.tensor([0.0, 2.0])
        >>> F.gaussian_nll_loss(x, ad.tensor([0.0, 0.0]), ad.tensor([1.0, 1.0]))
        tensor(1.)
    """
    name = "gaussian_nll_loss"
    target = prepare(name, input, target, reduction)
    given = _variance(name, var, input)
    # below eps the value is eps and the gradient is as if it were not clamped
    fixed = given.detach()
    variance = given + (fixed.clamp(min=eps) - fixed)
    difference = input - target
    loss = 0.5 * (variance.log() + difference * difference / variance)
    if full:
        loss = loss + 0.5 * math.log(2 * math.pi)
    return reduced(loss, reduction)


def _variance(name: str, var: Tensor | float, input: Tensor) -> Tensor:
    if isinstance(var, Tensor):
        given = var
    else:
        given = input.new_full((1,) * input.ndim, float(var))
    if bool((given < 0).any()):
        raise ValueError(f"{name}: a variance is negative")
    if given.shape != input.shape and given.shape == input.shape[:-1]:
        given = given.unsqueeze(-1)
    fits = given.shape in (input.shape, (*input.shape[:-1], 1), (1,) * input.ndim)
    if not fits:
        raise ShapeError(
            f"{name}: expected variances of the input's shape {tuple(input.shape)}, "
            f"with or without its last axis, got {tuple(given.shape)}"
        )
    return given
