"""Student's t distribution."""

from __future__ import annotations

import math
from typing import Any

from pyautodl.distributions.distribution import (
    Distribution,
    as_parameters,
    check_all,
)
from pyautodl.functional.draws import draw
from pyautodl.functional.eltwise import digamma, lgamma, where
from pyautodl.functional.limits import finfo
from pyautodl.functional.random import randn
from pyautodl.functional.views import broadcast_to
from pyautodl.tensor import Tensor, explained

__all__ = ["StudentT"]


class StudentT(Distribution):
    """Numbers around `loc` with more far ones the smaller `df` is.

    Args:
        df: the degrees of freedom, a tensor or a number, above 0.
        loc: the middles.
        scale: how wide, above 0.
        validate_args: False to skip the checks.

    Raises:
        ValueError: df or scale is not above 0.

    Example:
        >>> import pyautodl as ad
        >>> ad.distributions.StudentT(1.0).log_prob(ad.tensor([0.0, 1.0]))
        tensor([-1.1447, -1.8379])
    """

    has_rsample = True

    @explained
    def __init__(
        self,
        df: Any,
        loc: Any = 0.0,
        scale: Any = 1.0,
        validate_args: bool | None = None,
    ) -> None:
        self.df, self.loc, self.scale = as_parameters(df, loc, scale)
        if validate_args is not False:
            check_all("StudentT", "df above 0", self.df > 0, self.df)
            check_all("StudentT", "scale above 0", self.scale > 0, self.scale)
        super().__init__(self.df.shape)

    @property
    def mean(self) -> Tensor:
        return where(self.df > 1, self.loc, math.nan)

    @property
    def mode(self) -> Tensor:
        """The most likely values."""
        return self.loc

    @property
    def variance(self) -> Tensor:
        finite = self.df > 2
        # with another df where there is none, so that its gradient is no nan
        df = where(finite, self.df, 3.0)
        beyond = where(self.df > 1, math.inf, math.nan)
        return where(finite, self.scale**2 * df / (df - 2), beyond)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        shape = self.extended_shape(sample_shape)
        half = broadcast_to(0.5 * self.df, shape)
        squares = 2 * draw("gamma", half, half.detach())
        squares = squares.clamp(min=finfo(squares.dtype).tiny)
        noise = randn(shape, dtype=self.loc.dtype) * (squares / self.df).rsqrt()
        return self.loc + self.scale * noise

    def _volume(self) -> Tensor:
        """The logarithm of what the density of scale 1 is divided by."""
        half = 0.5 * self.df
        return (
            0.5 * (self.df.log() + math.log(math.pi))
            + lgamma(half)
            - lgamma(half + 0.5)
        )

    def log_prob(self, value: Tensor) -> Tensor:
        z = (value - self.loc) / self.scale
        density = -0.5 * (self.df + 1) * (z * z / self.df).log1p()
        return density - self._volume() - self.scale.log()

    def entropy(self) -> Tensor:
        half = 0.5 * self.df
        spread = (half + 0.5) * (digamma(half + 0.5) - digamma(half))
        return spread + self._volume() + self.scale.log()
