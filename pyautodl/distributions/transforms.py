"""Functions that can be inverted, with what they do to volumes: what flows are made of."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from pyautodl.distributions.distribution import off_ends
from pyautodl.errors import describe
from pyautodl.functional.creation import zeros_like
from pyautodl.functional.eltwise import exp, expm1, log, sigmoid, tanh
from pyautodl.functional.eltwise.activation import softplus
from pyautodl.functional.views import broadcast_shapes
from pyautodl.tensor import Tensor

__all__ = [
    "AffineTransform",
    "ComposeTransform",
    "ExpTransform",
    "PowerTransform",
    "SigmoidTransform",
    "SoftplusTransform",
    "TanhTransform",
    "Transform",
    "identity_transform",
    "sum_last",
]

Shape = tuple[int, ...]


class Transform:
    """The base of transforms; subclasses define `_call`, `_inverse`, `log_abs_det_jacobian`.

    Args:
        cache_size: taken for PyTorch's sake; nothing is kept.

    Attributes:
        event_dim: how many of the last axes are one value: 0 where numbers are transformed
            each for itself.
        bijective: whether it can be inverted.
        sign: 1 or -1 where it rises or falls, if it does one of them everywhere.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl.distributions import Normal, Transform, TransformedDistribution
        >>> class Cube(Transform):
        ...     bijective, sign = True, 1
        ...     def _call(self, x):
        ...         return x**3
        ...     def _inverse(self, y):
        ...         return y.sign() * y.abs() ** (1 / 3)
        ...     def log_abs_det_jacobian(self, x, y):
        ...         return (3 * x**2).log()
        >>> cubes = TransformedDistribution(Normal(0.0, 1.0), Cube())
        >>> cubes.cdf(ad.tensor(8.0))
        tensor(0.9772)
    """

    event_dim = 0
    bijective = False

    def __init__(self, cache_size: int = 0) -> None:
        self.cache_size = cache_size

    @property
    def sign(self) -> Any:
        """1 or -1 where it rises or falls everywhere."""
        raise NotImplementedError(f"{type(self).__name__} has no sign")

    @property
    def inv(self) -> Transform:
        """The inverse."""
        return _Inverse(self)

    def __call__(self, x: Tensor) -> Tensor:
        return self._call(x)

    def _call(self, x: Tensor) -> Tensor:
        raise NotImplementedError(f"{type(self).__name__}: defines no _call")

    def _inverse(self, y: Tensor) -> Tensor:
        raise NotImplementedError(f"{type(self).__name__}: defines no _inverse")

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the logarithm of how much volumes grow at x, which becomes y."""
        raise NotImplementedError(
            f"{type(self).__name__}: defines no log_abs_det_jacobian"
        )

    def forward_shape(self, shape: Shape) -> Shape:
        """Return the shape of what comes of a shape."""
        return shape

    def inverse_shape(self, shape: Shape) -> Shape:
        """Return the shape of what a shape comes of."""
        return shape

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class _Inverse(Transform):
    """The inverse of a transform."""

    def __init__(self, transform: Transform) -> None:
        super().__init__()
        self._transform = transform
        self.event_dim = transform.event_dim
        self.bijective = transform.bijective

    @property
    def sign(self) -> Any:
        return self._transform.sign

    @property
    def inv(self) -> Transform:
        return self._transform

    def _call(self, x: Tensor) -> Tensor:
        return self._transform._inverse(x)

    def _inverse(self, y: Tensor) -> Tensor:
        return self._transform._call(y)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return -self._transform.log_abs_det_jacobian(y, x)

    def forward_shape(self, shape: Shape) -> Shape:
        return self._transform.inverse_shape(shape)

    def inverse_shape(self, shape: Shape) -> Shape:
        return self._transform.forward_shape(shape)

    def __repr__(self) -> str:
        return f"{self._transform}.inv"


class ComposeTransform(Transform):
    """Transforms one after the other.

    Args:
        parts: the transforms, the first one first.
        cache_size: taken for PyTorch's sake.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl.distributions import (
        ...     AffineTransform, ComposeTransform, ExpTransform
        ... )
        >>> both = ComposeTransform([AffineTransform(1.0, 2.0), ExpTransform()])
        >>> x = ad.tensor([0.0, 1.0])
        >>> both.inv(both(x))
        tensor([0., 1.])
    """

    def __init__(self, parts: Sequence[Transform], cache_size: int = 0) -> None:
        super().__init__(cache_size)
        self.parts = list(parts)
        for each in self.parts:
            if not isinstance(each, Transform):
                raise TypeError(
                    f"ComposeTransform: expected transforms, got {describe(each)}"
                )
        self.event_dim = max((each.event_dim for each in self.parts), default=0)
        self.bijective = all(each.bijective for each in self.parts)

    @property
    def sign(self) -> Any:
        found: Any = 1
        for each in self.parts:
            found = found * each.sign
        return found

    def _call(self, x: Tensor) -> Tensor:
        for each in self.parts:
            x = each(x)
        return x

    def _inverse(self, y: Tensor) -> Tensor:
        for each in reversed(self.parts):
            y = each.inv(y)
        return y

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        if not self.parts:
            return zeros_like(x)
        total: Any = 0
        for each in self.parts:
            passed = each(x)
            part = each.log_abs_det_jacobian(x, passed)
            total = total + sum_last(part, self.event_dim - each.event_dim)
            x = passed
        return total

    def forward_shape(self, shape: Shape) -> Shape:
        for each in self.parts:
            shape = each.forward_shape(shape)
        return shape

    def inverse_shape(self, shape: Shape) -> Shape:
        for each in reversed(self.parts):
            shape = each.inverse_shape(shape)
        return shape

    def __repr__(self) -> str:
        return f"ComposeTransform({self.parts})"


def sum_last(x: Tensor, count: int) -> Tensor:
    """Sums over the last axes."""
    return x.sum(tuple(range(-count, 0))) if count > 0 else x


identity_transform = ComposeTransform([])


class AffineTransform(Transform):
    """y = loc + scale x.

    Args:
        loc: a tensor or a number.
        scale: a tensor or a number other than 0.
        event_dim: how many of the last axes are one value.
        cache_size: taken for PyTorch's sake.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl.distributions import AffineTransform
        >>> AffineTransform(1.0, -2.0)(ad.tensor([0.0, 1.0]))
        tensor([ 1., -1.])
    """

    bijective = True

    def __init__(
        self, loc: Any, scale: Any, event_dim: int = 0, cache_size: int = 0
    ) -> None:
        super().__init__(cache_size)
        self.loc, self.scale, self.event_dim = loc, scale, event_dim

    @property
    def sign(self) -> Any:
        if isinstance(self.scale, Tensor):
            return self.scale.sign()
        return (self.scale > 0) - (self.scale < 0)

    def _call(self, x: Tensor) -> Tensor:
        return self.loc + self.scale * x

    def _inverse(self, y: Tensor) -> Tensor:
        return (y - self.loc) / self.scale

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        scale = self.scale
        if isinstance(scale, Tensor):
            size = scale.abs().log().expand(self.forward_shape(tuple(x.shape)))
        else:
            size = zeros_like(x) + math.log(abs(scale))
        return sum_last(size, self.event_dim)

    def forward_shape(self, shape: Shape) -> Shape:
        own = [
            tuple(each.shape)
            for each in (self.loc, self.scale)
            if isinstance(each, Tensor)
        ]
        return broadcast_shapes(shape, *own)

    def inverse_shape(self, shape: Shape) -> Shape:
        return self.forward_shape(shape)

    def __repr__(self) -> str:
        return f"AffineTransform(loc={self.loc}, scale={self.scale})"


class _Rising(Transform):
    """Numbers each for itself, larger ones to larger ones."""

    bijective = True

    @property
    def sign(self) -> int:
        return 1


class ExpTransform(_Rising):
    """y = exp(x).

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl.distributions import ExpTransform
        >>> ExpTransform().log_abs_det_jacobian(ad.tensor(3.0), ad.tensor(20.0855))
        tensor(3.)
    """

    def _call(self, x: Tensor) -> Tensor:
        return exp(x)

    def _inverse(self, y: Tensor) -> Tensor:
        return log(y)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return x


class PowerTransform(_Rising):
    """y = x to the power of `exponent`, of positive numbers.

    Args:
        exponent: a tensor or a number.
        cache_size: taken for PyTorch's sake.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl.distributions import PowerTransform
        >>> PowerTransform(2.0).inv(ad.tensor([4.0, 9.0]))
        tensor([2., 3.])
    """

    def __init__(self, exponent: Any, cache_size: int = 0) -> None:
        super().__init__(cache_size)
        self.exponent = exponent

    @property
    def sign(self) -> Any:
        if isinstance(self.exponent, Tensor):
            return self.exponent.sign()
        return (self.exponent > 0) - (self.exponent < 0)

    def _call(self, x: Tensor) -> Tensor:
        return x**self.exponent

    def _inverse(self, y: Tensor) -> Tensor:
        return y ** (1 / self.exponent)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return (self.exponent * y / x).abs().log()

    def forward_shape(self, shape: Shape) -> Shape:
        own = tuple(self.exponent.shape) if isinstance(self.exponent, Tensor) else ()
        return broadcast_shapes(shape, own)

    def inverse_shape(self, shape: Shape) -> Shape:
        return self.forward_shape(shape)


class SigmoidTransform(_Rising):
    """y = 1 / (1 + exp(-x)).

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl.distributions import SigmoidTransform
        >>> SigmoidTransform()(ad.tensor(0.0))
        tensor(0.5000)
    """

    def _call(self, x: Tensor) -> Tensor:
        return off_ends(sigmoid(x))

    def _inverse(self, y: Tensor) -> Tensor:
        share = off_ends(y)
        return share.log() - (-share).log1p()

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return -softplus(-x) - softplus(x)


class TanhTransform(_Rising):
    """y = tanh(x).

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl.distributions import TanhTransform
        >>> TanhTransform().inv(ad.tensor(0.5))
        tensor(0.5493)
    """

    def _call(self, x: Tensor) -> Tensor:
        return tanh(x)

    def _inverse(self, y: Tensor) -> Tensor:
        return y.atanh()

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return 2 * (math.log(2) - x - softplus(-2 * x))


class SoftplusTransform(_Rising):
    """y = log(1 + exp(x)).

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl.distributions import SoftplusTransform
        >>> SoftplusTransform()(ad.tensor(0.0))
        tensor(0.6931)
    """

    def _call(self, x: Tensor) -> Tensor:
        return softplus(x)

    def _inverse(self, y: Tensor) -> Tensor:
        return (-expm1(-y)).log() + y

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return -softplus(-x)
