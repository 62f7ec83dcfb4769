"""Augmentation whose draws depend on seed, epoch and sample alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pyautodl.ops.augment import RANDOM_SHIFT
from pyautodl.tensor import Tensor, apply

__all__ = ["RandomShift"]


class RandomShift:
    """Moves images by up to `max_shift` pixels along each axis; a DataLoader's
    transform.

    The shift of a sample is drawn once and applied to all of its images, so that a mask
    moves with its image: RandomShift(2, fill=(0.5, 0), images=(0, 1)).

    Args:
        max_shift: pixels at most.
        fill: the value of what moves in; one for all, or one for each of `images`, as
            where 0 is the background of a mask but not of the image.
        images: which members of the batch are moved: images (n, c, h, w), or planes
            (n, h, w), as masks of class numbers are, of any element type.

    Raises:
        ValueError: `max_shift` is negative, or there are not as many fills as images.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl.data import DataLoader, RandomShift
        >>> data = ad.rand(4, 1, 8, 8), ad.arange(4)
        >>> loader = DataLoader(data, batch_size=2, transform=RandomShift(1))
        >>> next(iter(loader))[0].shape
        pyautodl.Size([2, 1, 8, 8])
    """

    def __init__(
        self,
        max_shift: int,
        fill: float | Sequence[float] = 0.0,
        images: tuple[int, ...] = (0,),
    ) -> None:
        if max_shift < 0:
            raise ValueError(f"RandomShift: max_shift must be >= 0, got {max_shift}")
        fills = fill if isinstance(fill, Sequence) else [fill] * len(images)
        if len(fills) != len(images):
            raise ValueError(
                f"RandomShift: {len(fills)} fills for {len(images)} images; give one "
                "number, or one for each of images"
            )
        self.max_shift = int(max_shift)
        self.images = images
        self.fills = {i: float(each) for i, each in zip(images, fills, strict=True)}

    def __call__(self, batch: Any, *, samples: Tensor, epoch: int, seed: int) -> Any:
        """Move the images of a batch, a tensor or several.

        Raises:
            IndexError: the batch has no such member.
        """
        parts = [batch] if isinstance(batch, Tensor) else list(batch)
        for i, fill in self.fills.items():
            if not -len(parts) <= i < len(parts):
                raise IndexError(
                    f"RandomShift: images has {i}, the batch has {len(parts)} members"
                )
            parts[i] = self._moved(parts[i], fill, samples, epoch, seed)
        return parts[0] if isinstance(batch, Tensor) else tuple(parts)

    def _moved(
        self, images: Tensor, fill: float, samples: Tensor, epoch: int, seed: int
    ) -> Tensor:
        planes = images.ndim == 3
        moved = apply(
            RANDOM_SHIFT,
            images.unsqueeze(1) if planes else images,
            samples,
            seed=seed,
            epoch=epoch,
            max_shift=self.max_shift,
            fill=fill,
        )
        return moved.squeeze(1) if planes else moved
