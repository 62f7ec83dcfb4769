"""Normalisation: fitted on the training part, applied to all."""

from __future__ import annotations

from typing import Any

from pyautodl.functional.creation import as_tensor, tensor
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
        self.mean = mean.to(get_default_dtype())
        self.std = (std + (std == 0).double()).to(get_default_dtype())
        return self

    def __call__(self, x: Any) -> Tensor:
        """Normalise.

        Raises:
            ValueError: `fit` has not been called.
        """
        mean, std = self._fitted()
        return (_floating(x) - mean) / std

    def inverse(self, x: Tensor) -> Tensor:
        """Undo the normalisation."""
        mean, std = self._fitted()
        return x * std + mean

    def _fitted(self) -> tuple[Tensor, Tensor]:
        if self.mean is None or self.std is None:
            raise ValueError("Normalizer: call fit on the training part first")
        return self.mean, self.std

    def state_dict(self) -> dict[str, Any]:
        """What was learned, as plain values."""
        mean, std = self._fitted()
        return {"dim": self.dim, "mean": mean.tolist(), "std": std.tolist()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what another has learned."""
        self.dim = (
            tuple(state["dim"]) if isinstance(state["dim"], list) else state["dim"]
        )
        self.mean = tensor(state["mean"], dtype=get_default_dtype())
        self.std = tensor(state["std"], dtype=get_default_dtype())


def _floating(x: Any) -> Tensor:
    values = as_tensor(x)
    return values if values.is_floating_point() else values.to(get_default_dtype())
