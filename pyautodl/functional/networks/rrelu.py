"""Leaky ReLU with slopes that are drawn."""

from __future__ import annotations

from pyautodl.functional.eltwise.activation import _in_place, leaky_relu
from pyautodl.functional.eltwise.compare import gt, where
from pyautodl.functional.random import rand_like
from pyautodl.tensor import Tensor, explained

__all__ = ["rrelu", "rrelu_"]


@explained
def rrelu(
    input: Tensor,
    lower: float = 1.0 / 8,
    upper: float = 1.0 / 3,
    training: bool = False,
    inplace: bool = False,
) -> Tensor:
    """Return x above 0, and below x times a slope: in training one drawn for each element.

    Args:
        input: a floating tensor.
        lower, upper: between which slopes are drawn evenly.
        training: draw; else the slope is the mean of both.
        inplace: change the input.

    Raises:
        DTypeError: the tensor is not floating.
        ValueError: lower is above upper.

    Example:
        >>> import pyautodl as ad
        >>> ad.nn.functional.rrelu(ad.tensor([-2.0, 2.0]), lower=0.25, upper=0.75)
        tensor([-1.,  2.])

    Source: Xu and others, "Empirical evaluation of rectified activations in convolutional
    network", 2015.
    """
    if not lower <= upper:
        raise ValueError(
            f"rrelu: lower must not be above upper, got {lower} and {upper}"
        )
    if not training:
        return leaky_relu(input, (lower + upper) / 2, inplace)
    slopes = lower + (upper - lower) * rand_like(input)
    factors = where(gt(input, 0.0), 1.0, slopes)
    return input.mul_(factors) if inplace else input * factors


rrelu_ = _in_place(rrelu)
