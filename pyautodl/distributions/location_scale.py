"""What distributions of a middle and a scale share."""

from __future__ import annotations

from typing import Any

from pyautodl.distributions.distribution import (
    Distribution,
    as_parameters,
    check_all,
)
from pyautodl.tensor import Tensor, explained

__all__ = ["LocationScale"]


class LocationScale(Distribution):
    """Draws that lie alike on both sides of `loc`, as far from it as `scale` says.

    Args:
        loc: the middles, a tensor or a number.
        scale: above 0.
        validate_args: False to skip the check.

    Raises:
        ValueError: a scale is not above 0, or a loc is nan.
    """

    has_rsample = True
    # of errors
    _name: str

    @explained
    def __init__(self, loc: Any, scale: Any, validate_args: bool | None = None) -> None:
        self.loc, self.scale = as_parameters(loc, scale)
        self._checks = validate_args is not False
        if self._checks:
            check_all(self._name, "loc without nan", ~self.loc.isnan(), self.loc)
            check_all(self._name, "scale above 0", self.scale > 0, self.scale)
        super().__init__(self.loc.shape)

    @property
    def mean(self) -> Tensor:
        return self.loc

    @property
    def mode(self) -> Tensor:
        """The most likely values."""
        return self.loc
