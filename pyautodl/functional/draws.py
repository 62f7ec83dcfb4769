"""Draws whose parameters are tensors: gamma, Poisson and binomial numbers."""

from __future__ import annotations

from pyautodl.errors import DTypeError, ShapeError
from pyautodl.functional.eltwise import logical_and
from pyautodl.functional.eltwise.unary import check_tensor
from pyautodl.functional.random import Generator, state_of
from pyautodl.functional.views import broadcast_tensors
from pyautodl.ops.draws import DRAW
from pyautodl.tensor import Tensor, apply, explained

__all__ = ["binomial", "poisson"]


def draw(
    kind: str, first: Tensor, second: Tensor, generator: Generator | None = None
) -> Tensor:
    """Draw a number of a kind (see `ops.draws.KINDS`) for each element."""
    drawn: Tensor = apply(DRAW, first, second, kind=kind, state=state_of(generator))
    return drawn


def _check(name: str, what: str, fine: Tensor) -> None:
    if not bool(fine.all()):
        raise ValueError(f"{name}: expected {what} (shape {tuple(fine.shape)})")


@explained
def poisson(input: Tensor, generator: Generator | None = None) -> Tensor:
    """Draw how often what happens `input` times on average happens.

    Args:
        input: the rates, 0 or more.
        generator: where the numbers come from.

    Raises:
        ValueError: a rate is negative or not finite.

    Example:
        >>> import pyautodl as ad
        >>> ad.poisson(ad.tensor([0.0, 1e6])) > 9e5
        tensor([False,  True])
    """
    rates = check_tensor("poisson", input)
    _check(
        "poisson",
        "finite rates from 0 on",
        logical_and(rates >= 0, rates < float("inf")),
    )
    return draw("poisson", rates, rates, generator)


@explained
def binomial(count: Tensor, prob: Tensor, generator: Generator | None = None) -> Tensor:
    """Draw how many of `count` trials succeed.

    Args:
        count: how many trials, floats; broadcasts against prob.
        prob: the chance of each.
        generator: where the numbers come from.

    Raises:
        ValueError: a count is negative or not finite, or a chance not from 0 to 1.
        DTypeError: both have not one floating type.

    Example:
        >>> import pyautodl as ad
        >>> ad.binomial(ad.tensor([3.0, 5.0]), ad.tensor([0.0, 1.0]))
        tensor([0., 5.])
    """
    count, prob = check_tensor("binomial", count), check_tensor("binomial", prob)
    if count.dtype != prob.dtype:
        raise DTypeError(
            f"binomial: expected count and prob of one floating type, got "
            f"{count.dtype.name} and {prob.dtype.name}; likely fix: count.to(prob.dtype)"
        )
    try:
        count, prob = broadcast_tensors(count, prob)
    except ShapeError:
        raise ShapeError(
            f"binomial: shapes of count and prob do not broadcast: {tuple(count.shape)}, "
            f"{tuple(prob.shape)}"
        ) from None
    fine = logical_and(count >= 0, count < float("inf"))
    _check("binomial", "finite counts from 0 on", fine)
    _check("binomial", "chances from 0 to 1", logical_and(prob >= 0, prob <= 1))
    return draw("binomial", count, prob, generator)
