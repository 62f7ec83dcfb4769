"""Losses of numbers: squared, absolute and mixed errors."""

from __future__ import annotations

from typing import Any

from pyautodl.errors import ShapeError
from pyautodl.functional.networks.loss.arguments import (
    by_reduction,
    reduced,
    refuse_old_arguments,
    to_float,
)
from pyautodl.ops.pair_loss import (
    HUBER_LOSS,
    L1_LOSS,
    MSE_LOSS,
    SMOOTH_L1_LOSS,
    check_reduction,
)
from pyautodl.ops.record import Op
from pyautodl.tensor import Tensor, apply, apply_known, explained

__all__ = ["huber_loss", "l1_loss", "mse_loss", "smooth_l1_loss"]


def mse_loss(
    input: Tensor,
    target: Tensor,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:
    """Return the mean (or sum) of squared errors.

    Args:
        input: predictions.
        target: what they should be.
        size_average, reduce: not supported; use `reduction`.
        reduction: 'mean', 'sum' or 'none'.
        weight: factors of the elements' errors, of the input's shape; a mean is divided
            by their sum.

    Shape:
        input and target of one shape -> () or, with 'none', that shape.

    Raises:
        ShapeError: input and target have different shapes.
        DTypeError: they mix floating types.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl.nn import functional as F
        >>> F.mse_loss(ad.tensor([1.0, 2.0]), ad.tensor([1.0, 4.0]))
        tensor(2.)
    """
    refuse_old_arguments("mse_loss", size_average, reduce)
    target = to_float("mse_loss", target, input)
    if weight is None:
        return apply_known(MSE_LOSS, (input, target), by_reduction(reduction))
    return _weighted(MSE_LOSS, input, target, weight, reduction)


def l1_loss(
    input: Tensor,
    target: Tensor,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:
    """Return the mean (or sum) of absolute errors; its gradient is 0 at equality.

    Args:
        input: predictions.
        target: what they should be.
        size_average, reduce: not supported; use `reduction`.
        reduction: 'mean', 'sum' or 'none'.
        weight: factors of the elements' errors, of the input's shape; a mean is divided
            by their sum.

    Shape:
        input and target of one shape -> () or, with 'none', that shape.

    Raises:
        ShapeError: input and target have different shapes.
        DTypeError: they mix floating types.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl.nn import functional as F
        >>> F.l1_loss(ad.tensor([1.0, 2.0]), ad.tensor([1.0, 4.0]), reduction="sum")
        tensor(2.)
    """
    refuse_old_arguments("l1_loss", size_average, reduce)
    target = to_float("l1_loss", target, input)
    if weight is None:
        return apply_known(L1_LOSS, (input, target), by_reduction(reduction))
    return _weighted(L1_LOSS, input, target, weight, reduction)


@explained
def smooth_l1_loss(
    input: Tensor,
    target: Tensor,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
    beta: float = 1.0,
) -> Tensor:
    """Return 0.5 d**2 / beta for errors d below beta, else abs(d) - 0.5 beta.

    Args:
        input: predictions.
        target: what they should be.
        size_average, reduce: not supported; use `reduction`.
        reduction: 'mean', 'sum' or 'none'.
        beta: where the square ends; 0 gives `l1_loss`.

    Shape:
        input and target of one shape -> () or, with 'none', that shape.

    Raises:
        ShapeError: input and target have different shapes.
        ValueError: beta is negative.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl.nn import functional as F
        >>> x, y = ad.tensor([0.5, 3.0]), ad.tensor([0.0, 0.0])
        >>> F.smooth_l1_loss(x, y, reduction="none")
        tensor([0.1250, 2.5000])
    """
    refuse_old_arguments("smooth_l1_loss", size_average, reduce)
    target = to_float("smooth_l1_loss", target, input)
    return apply(SMOOTH_L1_LOSS, input, target, reduction=reduction, beta=beta)


@explained
def huber_loss(
    input: Tensor,
    target: Tensor,
    reduction: str = "mean",
    delta: float = 1.0,
    weight: Tensor | None = None,
) -> Tensor:
    """Return 0.5 d**2 for errors d up to delta, else delta (abs(d) - 0.5 delta).

    Args:
        input: predictions.
        target: what they should be.
        reduction: 'mean', 'sum' or 'none'.
        delta: where the square ends.
        weight: factors of the elements' errors, of the input's shape; a mean is divided
            by the number of elements.

    Shape:
        input and target of one shape -> () or, with 'none', that shape.

    Raises:
        ShapeError: input and target have different shapes.
        ValueError: delta is not positive.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl.nn import functional as F
        >>> x, y = ad.tensor([0.5, 3.0]), ad.tensor([0.0, 0.0])
        >>> F.huber_loss(x, y, reduction="none", delta=2.0)
        tensor([0.1250, 4.0000])
    """
    target = to_float("huber_loss", target, input)
    if weight is None:
        return apply(HUBER_LOSS, input, target, reduction=reduction, delta=delta)
    check_reduction("huber_loss", reduction)
    weighted = _weighted(HUBER_LOSS, input, target, weight, "none", delta=delta)
    return reduced(weighted, reduction)


def _weighted(
    op: Op, input: Tensor, target: Tensor, weight: Tensor, reduction: str, **attrs: Any
) -> Tensor:
    """Errors times factors; a mean is divided by the sum of the factors."""
    check_reduction(op.name, reduction)
    weight = to_float(op.name, weight, input, "weight")
    if weight.shape != input.shape:
        raise ShapeError(
            f"{op.name}: expected a weight of the input's shape {tuple(input.shape)}, "
            f"got {tuple(weight.shape)}"
        )
    each = apply(op, input, target, reduction="none", **attrs) * weight
    if reduction == "none":
        return each
    return each.sum() / weight.sum() if reduction == "mean" else each.sum()
