"""Transforms that change the values of pixels: of images alone, masks stay as they are."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real
from typing import Any

import numpy as np

from pyautodl.backends.dtypes import FLOATING, uint8
from pyautodl.data.augment.base import (
    TRIES,
    Draw,
    NDArray,
    Transform,
    between,
    check_probability,
    pair,
)
from pyautodl.data.augment.moves import Images
from pyautodl.errors import DTypeError, ShapeError, describe
from pyautodl.functional.copy import cat
from pyautodl.functional.creation import tensor, zeros
from pyautodl.functional.eltwise import exp, log, minimum, where
from pyautodl.ops.augment import check_fill
from pyautodl.tensor import Tensor

__all__ = ["ColorJitter", "GaussianNoise", "RandomErasing"]

# by how much rounding may leave the range of values
_SLACK = 1e-3
_WHITE = 255.0


class _Values(Transform):
    """Images as floats from 0 to 1, or to 255 where they are uint8, changed and put back."""

    clip = True
    # what helps where values to be cut are not from 0 to 1
    _fix = "augment before images are normalised, divided by 255 or as uint8"

    def _changed(self, images: dict[Any, Tensor], draw: Draw) -> dict[Any, Tensor]:
        return {
            each: self._put_back(self._values(self._floating(x), x, draw, place), x)
            for place, (each, x) in enumerate(images.items())
        }

    def _values(self, values: Tensor, image: Tensor, draw: Draw, place: int) -> Tensor:
        """The changed values; `place` is the image's among those of the transform."""
        raise NotImplementedError

    def _floating(self, images: Tensor) -> Tensor:
        if images.dtype is uint8:
            return images.float()
        if images.dtype.category != FLOATING:
            raise DTypeError(
                f"{self._name}: expected images of floats or uint8, got "
                f"{images.dtype.name}; likely fix: masks are left out of images"
            )
        if self.clip and images.numel():
            low, high = images.amin().item(), images.amax().item()
            if low < -_SLACK or high > 1 + _SLACK:
                raise ValueError(
                    f"{self._name}: expected values from 0 to 1, where they are cut, got "
                    f"{low:.4g} to {high:.4g}; likely fix: {self._fix}"
                )
        return images

    def _put_back(self, values: Tensor, image: Tensor) -> Tensor:
        if image.dtype is uint8:
            return values.round().clamp(0, _WHITE).to(uint8)
        return values.clamp(0, 1) if self.clip else values


def _white(image: Tensor) -> float:
    return _WHITE if image.dtype is uint8 else 1.0


class GaussianNoise(_Values):
    """Adds normal noise to images, a number of its own to each value; a DataLoader's
    transform.

    Args:
        mean: of the noise, in parts of the range from black to white.
        sigma: the noise's standard deviation, in parts of that range.
        clip: cut floats to 0 to 1; False for images that are normalised.
        images: the members of the batch to which noise is added, each its own; not masks.

    Raises:
        ValueError: `sigma` is negative; later on, values to be cut are not from 0 to 1.
        TypeError: later on, images of other types than floats and uint8.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl.data import GaussianNoise
        >>> noise = GaussianNoise(sigma=0.1, clip=False)
        >>> x = ad.zeros(100, 1, 8, 8)
        >>> noisy = noise(x, samples=ad.arange(100), epoch=0, seed=0)
        >>> round(noisy.std().item(), 2)
        0.1
    """

    def __init__(
        self,
        mean: float = 0.0,
        sigma: float = 0.1,
        clip: bool = True,
        *,
        images: Images = (0,),
    ) -> None:
        super().__init__(images)
        if not sigma >= 0:
            raise ValueError(f"GaussianNoise: sigma must be >= 0, got {sigma}")
        self.mean = float(mean)
        self.sigma = float(sigma)
        self.clip = clip

    _fix = f"clip=False; or {_Values._fix}"

    def _values(self, values: Tensor, image: Tensor, draw: Draw, place: int) -> Tensor:
        noise = draw.normal(image.shape, place).to(values.dtype)
        white = _white(image)
        return values + (noise * (self.sigma * white) + self.mean * white)


class ColorJitter(_Values):
    """Changes brightness, contrast, saturation and hue by random amounts, in random order;
    a DataLoader's transform.

    Args:
        brightness: values are multiplied by a factor from max(0, 1 - brightness) to
            1 + brightness; or the range of factors.
        contrast: the same for the distance from the image's mean grey.
        saturation: the same for the distance from each pixel's grey; images of one
            channel have none.
        hue: colours are turned by up to such a part of their circle, up to 0.5 for half of
            it; or the range of parts. Images of one channel have none.
        images: the members of the batch that are changed, by their sample's one draw: floats
            from 0 to 1, or uint8.

    Raises:
        ValueError: a range is none; later on, images that are not from 0 to 1.
        ShapeError: later on, images of other than one or three channels have no grey.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl.data import ColorJitter
        >>> jitter = ColorJitter(brightness=(0.5, 0.5))
        >>> x = ad.tensor([[[[0.0, 0.5, 1.0]]]])
        >>> jitter(x, samples=ad.arange(1), epoch=0, seed=0)
        tensor([[[[0.0000, 0.2500, 0.5000]]]])
    """

    def __init__(
        self,
        brightness: float | Sequence[float] = 0,
        contrast: float | Sequence[float] = 0,
        saturation: float | Sequence[float] = 0,
        hue: float | Sequence[float] = 0,
        *,
        images: Images = (0,),
    ) -> None:
        super().__init__(images)
        given = {
            "brightness": brightness,
            "contrast": contrast,
            "saturation": saturation,
        }
        self.factors: dict[str, tuple[float, float]] = {}
        for name, value in given.items():
            low, high = pair(self._name, name, value, around=1.0)
            low = max(low, 0.0) if isinstance(value, Real) else low
            if low < 0:
                raise ValueError(f"ColorJitter: {name} must be >= 0, got {value}")
            if (low, high) != (1, 1):
                self.factors[name] = low, high
        turn = pair(self._name, "hue", hue)
        if not -0.5 <= turn[0] <= turn[1] <= 0.5:
            raise ValueError(f"ColorJitter: hue must be from -0.5 to 0.5, got {hue}")
        if turn != (0, 0):
            self.factors["hue"] = turn

    def _values(self, values: Tensor, image: Tensor, draw: Draw, place: int) -> Tensor:
        count = len(self.factors)
        units = draw.uniform(2 * count)
        factors = np.empty((len(units), count))
        for i, ends in enumerate(self.factors.values()):
            factors[:, i] = between(ends, units[:, i])
        order = np.argsort(units[:, count:], axis=1, kind="stable")
        for step in range(count):
            values = self._step(values, factors, order[:, step], _white(image))
        return values

    def _step(
        self, values: Tensor, factors: NDArray, kinds: NDArray, white: float
    ) -> Tensor:
        """Each image's distance from black, its mean or its grey, times its factor."""
        shape = (-1,) + (1,) * (values.ndim - 1)
        first, *others = (self._origin(name, values) for name in self.factors)
        origin = first
        for kind, other in enumerate(others, start=1):
            origin = where(tensor((kinds == kind).reshape(shape)), other, origin)
        own = factors[np.arange(len(kinds)), kinds]
        turned = (
            kinds == list(self.factors).index("hue")
            if "hue" in self.factors
            else np.zeros(len(kinds), bool)
        )
        factor = tensor(np.where(turned, 1, own).reshape(shape), dtype=values.dtype)
        changed = (values * factor + origin * (1 - factor)).clamp(0, white)
        if turned.any() and self._has_colours(values):
            rows = tensor(np.flatnonzero(turned))
            turns = tensor(own[turned].reshape(shape), dtype=values.dtype)
            changed[rows] = _turned(values.index_select(0, rows), turns)
        return changed

    def _origin(self, name: str, values: Tensor) -> Tensor:
        if name in ("brightness", "hue"):
            return zeros((1,) * values.ndim, dtype=values.dtype)
        grey = self._grey(values)
        if name == "saturation":
            return grey
        return grey.mean(tuple(range(1, grey.ndim)), keepdim=True)

    def _grey(self, values: Tensor) -> Tensor:
        if not self._has_colours(values):
            return values
        red, green, blue = values.split(1, 1)
        return red * 0.2989 + green * 0.587 + blue * 0.114

    def _has_colours(self, values: Tensor) -> bool:
        if values.ndim == 3 or values.shape[1] == 1:
            return False
        if values.shape[1] != 3:
            raise ShapeError(
                "ColorJitter: expected images of one or three channels for contrast, "
                f"saturation and hue, got {tuple(values.shape)}"
            )
        return True


def _turned(images: Tensor, turns: Tensor) -> Tensor:
    """Images with their hues moved along the circle; lightest and darkest of a pixel's three
    numbers stay, and with them its value and saturation.
    """
    red, green, blue = images.split(1, 1)
    top, low = images.amax(1, keepdim=True), images.amin(1, keepdim=True)
    span = top - low
    some = where(span == 0, 1.0, span)
    # in sixths of the circle, from red
    hue = where(
        red == top,
        (green - blue) / some,
        where(green == top, (blue - red) / some + 2, (red - green) / some + 4),
    )
    away = [(hue + turns * 6 + first) % 6 for first in (5, 3, 1)]
    parts = [top - span * minimum(each, 4 - each).clamp(0, 1) for each in away]
    return cat(parts, 1)


class RandomErasing(Transform):
    """Erases a random rectangle of each image, with chance `p`; a DataLoader's transform.

    Args:
        p: the chance of each sample.
        scale: the range of the rectangle's share of the image.
        ratio: the range of its height, in widths.
        value: what stands there then: a number, one for each channel, or 'random' for
            normal noise.
        inplace: not supported: the batch is left as it is.
        images: the members of the batch that lose their sample's one rectangle; not masks.

    Raises:
        ValueError: `p` or a range is none; later on, a value that the images can't hold.
        ShapeError: later on, there are more or fewer values than channels.
        NotImplementedError: `inplace` is True.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl.data import RandomErasing
        >>> erase = RandomErasing(p=1, scale=(0.25, 0.25), ratio=(1, 1))
        >>> x = ad.ones(3, 1, 8, 8)
        >>> erase(x, samples=ad.arange(3), epoch=0, seed=0).sum((1, 2, 3))
        tensor([48., 48., 48.])
    """

    def __init__(
        self,
        p: float = 0.5,
        scale: Sequence[float] = (0.02, 0.33),
        ratio: Sequence[float] = (0.3, 3.3),
        value: float | Sequence[float] | str = 0.0,
        inplace: bool = False,
        *,
        images: Images = (0,),
    ) -> None:
        if inplace:
            raise NotImplementedError("RandomErasing: inplace=True is not supported")
        super().__init__(images)
        self.p = check_probability(self._name, p)
        self.scale = pair(self._name, "scale", scale, None)
        self.ratio = pair(self._name, "ratio", ratio, None)
        if not 0 <= self.scale[0] <= self.scale[1] <= 1:
            raise ValueError(f"RandomErasing: scale must be in [0, 1], got {scale}")
        if self.ratio[0] <= 0:
            raise ValueError(f"RandomErasing: ratio must be above 0, got {ratio}")
        if isinstance(value, str) and value != "random":
            raise ValueError(
                "RandomErasing: value must be a number, one for each channel or 'random', "
                f"got {value!r}"
            )
        self.value = value

    def _changed(self, images: dict[Any, Tensor], draw: Draw) -> dict[Any, Tensor]:
        erased = tensor(self._rectangles(draw, *self._common_size(images)))
        changed = {}
        for place, (each, x) in enumerate(images.items()):
            mask = erased.unsqueeze(1) if x.ndim == 4 else erased
            changed[each] = where(mask, self._filling(x, draw, place), x)
        return changed

    def _rectangles(self, draw: Draw, h: int, w: int) -> NDArray:
        """Which pixels are erased, (n, h, w): the first rectangle that fits, if one does."""
        units = draw.uniform(3 + 2 * TRIES)
        area = h * w * between(self.scale, units[:, 3 : 3 + TRIES])
        low, high = log(tensor(np.array(self.ratio))).tolist()
        ratio = exp(tensor(between((low, high), units[:, 3 + TRIES :]))).numpy()
        tall, wide = np.rint(np.sqrt(area * ratio)), np.rint(np.sqrt(area / ratio))
        fits = (tall < h) & (wide < w)
        first = np.arange(len(units)), fits.argmax(axis=1)
        chosen = fits[first] & (units[:, 0] < self.p)
        rows = _span(units[:, 1], tall[first], h)
        columns = _span(units[:, 2], wide[first], w)
        return chosen[:, None, None] & rows[:, :, None] & columns[:, None, :]

    def _filling(self, images: Tensor, draw: Draw, place: int) -> Tensor:
        if isinstance(self.value, str):
            if images.dtype.category != FLOATING:
                raise DTypeError(
                    "RandomErasing: value='random' needs images of floats, got "
                    f"{images.dtype.name}; likely fix: images.float()"
                )
            return draw.normal(images.shape, place).to(images.dtype)
        values = np.atleast_1d(np.asarray(self.value, np.float64))
        channels = images.shape[1] if images.ndim == 4 else 1
        if len(values) not in (1, channels):
            raise ShapeError(
                f"RandomErasing: expected one value or one for each of {channels} channels, "
                f"got {describe(self.value)}"
            )
        for each in values.tolist():
            check_fill(self._name, images.dtype, each, "value")
        shape = (-1, 1, 1) if images.ndim == 4 else (1, 1)
        return tensor(values.reshape(shape), dtype=images.dtype)


def _span(unit: NDArray, length: NDArray, size: int) -> NDArray:
    """Which of `size` places lie in a span of such a length, at random, (n, size)."""
    begin = np.floor(unit * (size - length + 1))[:, None]
    at = np.arange(size)
    return (at >= begin) & (at < begin + length[:, None])
