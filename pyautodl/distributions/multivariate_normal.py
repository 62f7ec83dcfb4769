"""Normal numbers that hang together."""

from __future__ import annotations

import math
from typing import Any

from pyautodl.distributions.distribution import Distribution, check_all
from pyautodl.errors import ShapeError
from pyautodl.functional.creation import eye
from pyautodl.functional.eltwise import eq, logical_and
from pyautodl.functional.linalg import cholesky
from pyautodl.functional.random import randn
from pyautodl.functional.views import broadcast_shapes, broadcast_to
from pyautodl.linalg import solve_triangular
from pyautodl.tensor import Size, Tensor, explained

__all__ = ["MultivariateNormal", "mahalanobis_square"]


def mahalanobis_square(scale_tril: Tensor, apart: Tensor) -> Tensor:
    """The squared lengths of vectors, measured in the spread that a triangle gives."""
    shape = broadcast_shapes(tuple(scale_tril.shape[:-2]), tuple(apart.shape[:-1]))
    size = apart.shape[-1]
    lower = broadcast_to(scale_tril, (*shape, size, size))
    columns = broadcast_to(apart, (*shape, size)).unsqueeze(-1)
    solved = solve_triangular(lower, columns, upper=False)
    return solved.square().sum((-2, -1))


class MultivariateNormal(Distribution):
    """Vectors around `loc`, spread by a covariance.

    Args:
        loc: the means, (..., n).
        covariance_matrix: (..., n, n), symmetric and positive definite; or
        precision_matrix: its inverse; or
        scale_tril: its lower triangular factor, with a positive diagonal.
        validate_args: False to skip the checks.

    Raises:
        ValueError: not exactly one of the three is given, a matrix is not symmetric, or a
            diagonal not positive.
        ShapeError: shapes do not fit.
        LinAlgError: a matrix is not positive definite.

    Example:
        >>> import pyautodl as ad
        >>> kind = ad.distributions.MultivariateNormal(ad.zeros(2), ad.eye(2))
        >>> kind.log_prob(ad.ones(2))
        tensor(-2.8379)
    """

    has_rsample = True

    @explained
    def __init__(
        self,
        loc: Tensor,
        covariance_matrix: Tensor | None = None,
        precision_matrix: Tensor | None = None,
        scale_tril: Tensor | None = None,
        validate_args: bool | None = None,
    ) -> None:
        given = [
            (name, each)
            for name, each in (
                ("covariance_matrix", covariance_matrix),
                ("precision_matrix", precision_matrix),
                ("scale_tril", scale_tril),
            )
            if each is not None
        ]
        if len(given) != 1:
            raise ValueError(
                "MultivariateNormal: give exactly one of covariance_matrix, "
                "precision_matrix and scale_tril"
            )
        name, matrix = given[0]
        size = loc.shape[-1] if loc.ndim else 0
        if not loc.ndim or matrix.ndim < 2 or tuple(matrix.shape[-2:]) != (size, size):
            raise ShapeError(
                f"MultivariateNormal: expected loc (..., n) and {name} (..., n, n), got "
                f"{tuple(loc.shape)} and {tuple(matrix.shape)}"
            )
        if validate_args is not False:
            _check_matrix(name, matrix)
        batch = broadcast_shapes(tuple(loc.shape[:-1]), tuple(matrix.shape[:-2]))
        self.loc = broadcast_to(loc, (*batch, size))
        self._lower = _factor(name, matrix)
        self.scale_tril = broadcast_to(self._lower, (*batch, size, size))
        self.event_shape = Size((size,))
        super().__init__(batch)

    @property
    def covariance_matrix(self) -> Tensor:
        """How the elements of a vector hang together."""
        return self.scale_tril @ self.scale_tril.mT

    @property
    def precision_matrix(self) -> Tensor:
        """The inverse of the covariance."""
        unit = broadcast_to(_unit(self._lower), tuple(self.scale_tril.shape))
        inverse = solve_triangular(self.scale_tril, unit, upper=False)
        return inverse.mT @ inverse

    @property
    def mean(self) -> Tensor:
        return self.loc

    @property
    def mode(self) -> Tensor:
        """The most likely vector."""
        return self.loc

    @property
    def variance(self) -> Tensor:
        return self.scale_tril.square().sum(-1)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        noise = randn(self.extended_shape(sample_shape), dtype=self.loc.dtype)
        return self.loc + (self.scale_tril @ noise.unsqueeze(-1)).squeeze(-1)

    def half_log_det(self) -> Tensor:
        """Half the logarithm of the covariance's determinant."""
        return self.scale_tril.diagonal(0, -2, -1).log().sum(-1)

    def log_prob(self, value: Tensor) -> Tensor:
        far = mahalanobis_square(self._lower, value - self.loc)
        size = self.event_shape[0]
        return -0.5 * (size * math.log(2 * math.pi) + far) - self.half_log_det()

    def entropy(self) -> Tensor:
        size = self.event_shape[0]
        return 0.5 * size * (1 + math.log(2 * math.pi)) + self.half_log_det()


def _unit(like: Tensor) -> Tensor:
    return eye(like.shape[-1], dtype=like.dtype)


def _check_matrix(name: str, matrix: Tensor) -> None:
    if name == "scale_tril":
        positive = matrix.diagonal(0, -2, -1) > 0
        fine = logical_and(eq(matrix.triu(1), 0).all(-1), positive)
        what = "scale_tril lower triangular with a positive diagonal"
    else:
        room = 1e-6 * matrix.abs().amax((-2, -1), keepdim=True)
        fine = (matrix - matrix.mT).abs() <= room
        what = f"{name} symmetric"
    check_all("MultivariateNormal", what, fine, matrix)


def _factor(name: str, matrix: Tensor) -> Tensor:
    """The lower triangular factor of the covariance."""
    if name == "scale_tril":
        return matrix
    if name == "covariance_matrix":
        return cholesky(matrix)
    # of the precision read backwards, whose factor's inverse is lower triangular
    flipped = cholesky(matrix.flip((-2, -1))).flip((-2, -1)).mT
    unit = broadcast_to(_unit(matrix), tuple(matrix.shape))
    return solve_triangular(flipped, unit, upper=False)
