"""What distributions share: shapes, and the arguments that make them."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, Self

from pyautodl.autograd.grad_mode import no_grad
from pyautodl.functional.creation import tensor
from pyautodl.functional.eltwise import logical_and
from pyautodl.functional.limits import finfo
from pyautodl.functional.views import broadcast_tensors, broadcast_to
from pyautodl.tensor import Size, Tensor, explained, get_default_dtype, not_tensor

__all__ = ["Distribution", "as_parameters", "check_all", "check_share", "check_value"]


class Distribution:
    """The base of distributions.

    Attributes:
        batch_shape: the shape of distributions side by side.
        event_shape: the shape of one draw.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl.distributions import Distribution, Normal
        >>> normal = Normal(ad.zeros(3), ad.ones(3))
        >>> isinstance(normal, Distribution), normal.batch_shape, normal.event_shape
        (True, pyautodl.Size([3]), pyautodl.Size([]))
    """

    event_shape = Size(())
    has_rsample = False
    # whether values are checked, too
    _checks = True

    def __init__(self, batch_shape: Any) -> None:
        self.batch_shape = Size(tuple(batch_shape))

    @explained
    def expand(self, batch_shape: Sequence[int], _instance: Any = None) -> Self:
        """Return the same distributions, repeated to another batch shape.

        Args:
            batch_shape: what the parameters are broadcast to.

        Raises:
            ShapeError: the batch shape can't be broadcast to it.

        Example:
            >>> import pyautodl as ad
            >>> ad.distributions.Normal(0.0, 1.0).expand((2, 3)).sample().shape
            pyautodl.Size([2, 3])
        """
        made, sizes = copy.copy(self), self._sizes("batch_shape", batch_shape)
        ndim = len(self.batch_shape)
        made.batch_shape = Size(sizes)
        for name, value in vars(self).items():
            # tensors of private names are broadcast where they are used
            if isinstance(value, Tensor) and not name.startswith("_"):
                vars(made)[name] = broadcast_to(value, (*sizes, *value.shape[ndim:]))
            elif isinstance(value, Distribution):
                vars(made)[name] = value.expand((*sizes, *value.batch_shape[ndim:]))
        return made

    @property
    def mean(self) -> Tensor:
        """The mean of draws."""
        raise NotImplementedError(f"{type(self).__name__} has no mean")

    @property
    def variance(self) -> Tensor:
        """The variance of draws."""
        raise NotImplementedError(f"{type(self).__name__} has no variance")

    @property
    def stddev(self) -> Tensor:
        """The root of the variance."""
        return self.variance.sqrt()

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        """Draw so that gradients reach the parameters.

        Args:
            sample_shape: how many of each, the first axes of the result.
        """
        raise NotImplementedError(f"{type(self).__name__} has no rsample")

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Draw, without a gradient.

        Args:
            sample_shape: how many of each, the first axes of the result.
        """
        with no_grad():
            return self.rsample(sample_shape)

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the logarithm of the probability or its density at `value`."""
        raise NotImplementedError(f"{type(self).__name__} has no log_prob")

    def cdf(self, value: Tensor) -> Tensor:
        """Return the probability of draws up to `value`."""
        raise NotImplementedError(f"{type(self).__name__} has no cdf")

    def icdf(self, value: Tensor) -> Tensor:
        """Return up to where draws have the probability `value`."""
        raise NotImplementedError(f"{type(self).__name__} has no icdf")

    def entropy(self) -> Tensor:
        """Return the entropy, in nats."""
        raise NotImplementedError(f"{type(self).__name__} has no entropy")

    def extended_shape(self, sample_shape: Any) -> tuple[int, ...]:
        """The shape of draws.

        Raises:
            TypeError: the sample shape is a number.
        """
        sizes = self._sizes("sample_shape", sample_shape)
        return (*sizes, *self.batch_shape, *self.event_shape)

    def _sizes(self, what: str, sizes: Any) -> tuple[int, ...]:
        if isinstance(sizes, int):
            raise TypeError(
                f"{type(self).__name__}: expected {what} as sizes, got {sizes}; likely fix: "
                f"({sizes},)"
            )
        return tuple(sizes)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(batch_shape={tuple(self.batch_shape)})"


def as_parameters(*values: Any) -> list[Tensor]:
    """Numbers and tensors as tensors of one shape and element type."""
    tensors = [each for each in values if isinstance(each, Tensor)]
    dtype = tensors[0].dtype if tensors else get_default_dtype()
    made = [
        each if isinstance(each, Tensor) else tensor(float(each), dtype=dtype)
        for each in values
    ]
    return list(broadcast_tensors(*made))


def off_ends(share: Tensor) -> Tensor:
    """Numbers from 0 to 1 without the ends, where logarithms are infinite."""
    info = finfo(share.dtype)
    return share.clamp(info.tiny, 1 - info.eps)


def check_all(name: str, what: str, fine: Tensor, values: Tensor) -> None:
    """Raise ValueError unless all parameters are fine."""
    if not bool(fine.all()):
        raise ValueError(f"{name}: expected {what}, got {values}")


def check_value(
    kind: Distribution,
    what: str,
    fine: Tensor,
    value: Tensor,
    method: str = "log_prob",
) -> None:
    """Raise ValueError unless a distribution could have drawn all values.

    Raises:
        TypeError: value is no tensor.
    """
    name = f"{type(kind).__name__}.{method}"
    if not isinstance(value, Tensor):
        raise not_tensor(name, value, "value")
    if not bool(fine.all()):
        raise ValueError(
            f"{name}: expected {what}, got {value}; likely fix: validate_args=False gives "
            "what the formula does"
        )


def check_share(kind: Distribution, value: Tensor) -> None:
    """Raise ValueError unless all values are probabilities, as `icdf` takes them.

    Raises:
        TypeError: value is no tensor.
    """
    if not isinstance(value, Tensor):
        raise not_tensor(f"{type(kind).__name__}.icdf", value, "value")
    if kind._checks:
        fine = logical_and(value >= 0, value <= 1)
        check_value(kind, "probabilities from 0 to 1", fine, value, "icdf")
