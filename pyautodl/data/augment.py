"""Augmentation whose draws depend on seed, epoch and sample alone."""

from __future__ import annotations

from typing import Any

from pyautodl.ops.augment import RANDOM_SHIFT
from pyautodl.tensor import Tensor, apply

__all__ = ["RandomShift"]


class RandomShift:
    """Moves images by up to `max_shift` pixels along each axis; a DataLoader's
    transform.

    The shift of a sample is drawn once and applied to all of its images, so that a mask
    moves with its image.

    Args:
        max_shift: pixels at most.
        fill: the value of what moves in.
        images: which members of the batch are moved.

    Raises:
        ValueError: `max_shift` is negative.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl.data import DataLoader, RandomShift
        >>> data = ad.rand(4, 1, 8, 8), ad.arange(4)
        >>> loader = DataLoader(data, batch_size=2, transform=RandomShift(1))
        >>> next(iter(loader))[0].shape
        pyautodl.Size([2, 1, 8, 8])
    """

    def __init__(
        self, max_shift: int, fill: float = 0.0, images: tuple[int, ...] = (0,)
    ) -> None:
        if max_shift < 0:
            raise ValueError(f"RandomShift: max_shift must be >= 0, got {max_shift}")
        self.max_shift = int(max_shift)
        self.fill = float(fill)
        self.images = images

    def __call__(
        self, batch: Any, *, samples: Tensor, epoch: int, seed: int
    ) -> tuple[Any, ...]:
        """Move the images of a batch."""
        return tuple(
            self._moved(each, samples, epoch, seed) if i in self.images else each
            for i, each in enumerate(batch)
        )

    def _moved(self, images: Tensor, samples: Tensor, epoch: int, seed: int) -> Tensor:
        return apply(
            RANDOM_SHIFT,
            images,
            samples,
            seed=seed,
            epoch=epoch,
            max_shift=self.max_shift,
            fill=self.fill,
        )
