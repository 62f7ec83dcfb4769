"""What distributions share: shapes, and the arguments that make them."""

from __future__ import annotations

from typing import Any

from pyautodl.autograd.grad_mode import no_grad
from pyautodl.functional.creation import tensor
from pyautodl.functional.views import broadcast_tensors
from pyautodl.tensor import Size, Tensor, get_default_dtype, not_tensor

__all__ = ["Distribution", "as_parameters", "check_all", "check_value"]


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

    def __init__(self, batch_shape: Any) -> None:
        self.batch_shape = Size(tuple(batch_shape))

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
        if isinstance(sample_shape, int):
            raise TypeError(
                f"{type(self).__name__}: expected sample_shape as sizes, got "
                f"{sample_shape}; likely fix: ({sample_shape},)"
            )
        return (*tuple(sample_shape), *self.batch_shape, *self.event_shape)

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


def check_all(name: str, what: str, fine: Tensor, values: Tensor) -> None:
    """Raise ValueError unless all parameters are fine."""
    if not bool(fine.all()):
        raise ValueError(f"{name}: expected {what}, got {values}")


def check_value(kind: Distribution, what: str, fine: Tensor, value: Tensor) -> None:
    """Raise ValueError unless a distribution could have drawn all values.

    Raises:
        TypeError: value is no tensor.
    """
    if not isinstance(value, Tensor):
        raise not_tensor(f"{type(kind).__name__}.log_prob", value, "value")
    if not bool(fine.all()):
        raise ValueError(
            f"{type(kind).__name__}.log_prob: expected {what}, got {value}; likely fix: "
            "validate_args=False gives what the formula does"
        )
