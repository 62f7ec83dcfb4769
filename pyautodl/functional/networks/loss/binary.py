"""Binary cross-entropy, of probabilities and of logits."""

from __future__ import annotations

from typing import Any

from pyautodl.functional.networks.loss.arguments import (
    by_reduction,
    refuse_old_arguments,
    spread,
    to_float,
)
from pyautodl.ops.pair_loss import (
    BINARY_CROSS_ENTROPY,
    BINARY_CROSS_ENTROPY_WITH_LOGITS,
)
from pyautodl.tensor import Tensor, apply_known

__all__ = ["binary_cross_entropy", "binary_cross_entropy_with_logits"]


def binary_cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
) -> Tensor:
    """Return -(y log p + (1 - y) log(1 - p)) of probabilities p and targets y.

    Logarithms are no lower than -100, so the value is finite. The gradient is that of
    the unclamped formula, so that a sure and wrong output still learns; 1e12 where a
    probability is 0 and its formula infinite.

    Args:
        input: probabilities from 0 to 1.
        target: 0 or 1, or anything between.
        weight: factors of the elements' losses; broadcasts to the input.
        size_average, reduce: not supported; use `reduction`.
        reduction: 'mean', 'sum' or 'none'.

    Shape:
        input and target of one shape -> () or, with 'none', that shape.

    Raises:
        ShapeError: input and target have different shapes.
        ValueError: an input is not from 0 to 1.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl.nn import functional as F
        >>> F.binary_cross_entropy(ad.tensor([0.5, 1.0]), ad.tensor([0.0, 1.0]))
        tensor(0.3466)
    """
    name = "binary_cross_entropy"
    refuse_old_arguments(name, size_average, reduce)
    inputs: list[Tensor | None] = [input, to_float(name, target, input)]
    if weight is not None:
        inputs.append(spread(name, weight, input))
    return apply_known(BINARY_CROSS_ENTROPY, inputs, by_reduction(reduction))


def binary_cross_entropy_with_logits(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
    pos_weight: Tensor | None = None,
) -> Tensor:
    """Return the binary cross-entropy of sigmoid(input), exact for large logits too.

    Args:
        input: logits.
        target: 0 or 1, or anything between.
        weight: factors of the elements' losses; broadcasts to the input.
        size_average, reduce: not supported; use `reduction`.
        reduction: 'mean', 'sum' or 'none'.
        pos_weight: factors of the positive part; broadcasts to the input.

    Shape:
        input and target of one shape -> () or, with 'none', that shape.

    Raises:
        ShapeError: input and target have different shapes.
        DTypeError: they mix floating types.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl.nn import functional as F
        >>> x, y = ad.tensor([0.0, 200.0]), ad.tensor([1.0, 1.0])
        >>> F.binary_cross_entropy_with_logits(x, y, reduction="none")
        tensor([0.6931, 0.0000])
    """
    name = "binary_cross_entropy_with_logits"
    refuse_old_arguments(name, size_average, reduce)
    inputs: list[Tensor | None] = [input, to_float(name, target, input)]
    if weight is not None or pos_weight is not None:
        inputs.append(spread(name, weight, input))
    if pos_weight is not None:
        inputs.append(spread(name, pos_weight, input))
    attrs = by_reduction(reduction)
    return apply_known(BINARY_CROSS_ENTROPY_WITH_LOGITS, inputs, attrs)
