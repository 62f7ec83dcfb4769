"""One of several classes."""

from __future__ import annotations

from math import prod
from typing import Any

from pyautodl.autograd.grad_mode import no_grad
from pyautodl.distributions.distribution import Distribution, check_all
from pyautodl.errors import ShapeError
from pyautodl.functional.limits import finfo
from pyautodl.functional.random import multinomial
from pyautodl.functional.softmax import log_softmax, softmax
from pyautodl.functional.views import broadcast_shapes, broadcast_to
from pyautodl.tensor import Tensor, explained

__all__ = ["Categorical"]


class Categorical(Distribution):
    """Class numbers, drawn by their probabilities.

    Args:
        probs: weights of the classes on the last axis, which need not sum to 1; or
        logits: their logarithms, up to a constant.
        validate_args: False to skip the check.

    Raises:
        ValueError: not exactly one of probs and logits is given, or a weight is negative.
        ShapeError: there is no axis of classes.

    Example:
        >>> import pyautodl as ad
        >>> choice = ad.distributions.Categorical(ad.tensor([1.0, 3.0]))
        >>> choice.log_prob(ad.tensor([0, 1]))
        tensor([-1.3863, -0.2877])
    """

    @explained
    def __init__(
        self,
        probs: Tensor | None = None,
        logits: Tensor | None = None,
        validate_args: bool | None = None,
    ) -> None:
        given = logits if probs is None else probs
        if given is None or (probs is not None and logits is not None):
            raise ValueError("Categorical: give exactly one of probs and logits")
        if not given.ndim:
            raise ShapeError("Categorical: expected at least one axis, got shape ()")
        if probs is None:
            self.logits = log_softmax(given, -1)
            self.probs = softmax(given, -1)
        else:
            if validate_args is not False:
                check_all("Categorical", "probs from 0 on", given >= 0, given)
            self.probs = given / given.sum(-1, keepdim=True)
            # so that the logarithm is finite
            eps = finfo(given.dtype).eps
            self.logits = self.probs.clamp(eps, 1 - eps).log()
        super().__init__(given.shape[:-1])

    @property
    def param_shape(self) -> Any:
        """The shape of the parameters."""
        return self.probs.shape

    @property
    def mode(self) -> Tensor:
        """The most likely classes."""
        return self.probs.argmax(-1)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        shape = self.extended_shape(sample_shape)
        count = prod(tuple(sample_shape))
        with no_grad():
            rows = self.probs.detach().reshape(-1, self.probs.shape[-1])
            drawn = multinomial(rows, count, replacement=True)
            return drawn.t().reshape(shape)

    def log_prob(self, value: Tensor) -> Tensor:
        shape = broadcast_shapes(tuple(value.shape), tuple(self.batch_shape))
        places = broadcast_to(value.long(), shape).unsqueeze(-1)
        logits = broadcast_to(self.logits, (*shape, self.logits.shape[-1]))
        return logits.gather(-1, places).squeeze(-1)

    def entropy(self) -> Tensor:
        low = finfo(self.logits.dtype).min
        return -(self.probs * self.logits.clamp(min=low)).sum(-1)
