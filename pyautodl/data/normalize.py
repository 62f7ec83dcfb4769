"""Normalisation: fitted on the training part, applied to all."""

from __future__ import annotations

from typing import Any

from pyautodl.backends.dtypes import float64
from pyautodl.functional.creation import as_tensor, tensor
from pyautodl.functional.eltwise import where
from pyautodl.tensor import Tensor, get_default_dtype

__all__ = ["Normalizer"]


class Normalizer:
    """Subtracts the mean and divides by the standard deviation of the training part.

    Integer images are converted to floating point first. A feature that is constant in
    training is only shifted.

    Args:
        dim: axes to average over; None for all, (0,) for each feature by itself,
            (0, 2, 3) for each channel of images.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl.data import Normalizer
        >>> Normalizer().fit(ad.tensor([1.0, 3.0]))(ad.tensor([2.0, 4.0]))
        tensor([0., 2.])
    """

    def __init__(self, dim: int | tuple[int, ...] | None = None) -> None:
        self.dim = dim
        self.mean: Tensor | None = None
        self.std: Tensor | None = None

    def fit(self, x: Any) -> Normalizer:
        """Learn mean and standard deviation from the training part.

        Raises:
            ValueError: there are no samples.
        """
        values = _floating(x).double()
        if values.numel() == 0:
            raise ValueError("Normalizer: there are no samples to learn from")
        mean = (
            values.mean(self.dim, keepdim=True)
            if self.dim is not None
            else values.mean()
        )
        centred = values - mean
        squares = centred * centred
        variance = (
            squares.mean(self.dim, keepdim=True)
            if self.dim is not None
            else squares.mean()
        )
        std = variance.sqrt()
        # of a constant rounding may leave some, and may miss its mean
        axes = () if self.dim is None else self.dim
        keep = self.dim is not None
        low = values.amin(axes, keepdim=keep)
        same = values.amax(axes, keepdim=keep) == low
        self.mean = where(same, low, mean)
        self.std = where(same | (std == 0), 1.0, std)
        return self

    def __call__(self, x: Any) -> Tensor:
        """Normalise.

        Raises:
            ValueError: `fit` has not been called.
        """
        values = _floating(x)
        mean, std = self._fitted(values)
        return (values - mean) / std

    def inverse(self, x: Tensor) -> Tensor:
        """Undo the normalisation."""
        mean, std = self._fitted(x)
        return x * std + mean

    def _fitted(self, like: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation, in the element type of a tensor."""
        if self.mean is None or self.std is None:
            raise ValueError("Normalizer: call fit on the training part first")
        if like is None:
            return self.mean, self.std
        return self.mean.to(like.dtype), self.std.to(like.dtype)

    def state_dict(self) -> dict[str, Any]:
        """What was learned, as plain values."""
        mean, std = self._fitted()
        return {"dim": self.dim, "mean": mean.tolist(), "std": std.tolist()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what another has learned."""
        self.dim = (
            tuple(state["dim"]) if isinstance(state["dim"], list) else state["dim"]
        )
        self.mean = tensor(state["mean"], dtype=float64)
        self.std = tensor(state["std"], dtype=float64)


def _floating(x: Any) -> Tensor:
    values = as_tensor(x)
    return values if values.is_floating_point() else values.to(get_default_dtype())
