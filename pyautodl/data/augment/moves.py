"""Transforms that move pixels: an affine map for each sample, for images and masks alike."""

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
from pyautodl.errors import DTypeError, ShapeError
from pyautodl.functional.copy import cat
from pyautodl.functional.creation import tensor
from pyautodl.functional.eltwise import cos, exp, log, sin
from pyautodl.functional.networks.interpolate import interpolate
from pyautodl.ops.augment import AUGMENT_MOVE, INTERPOLATIONS, PADDINGS
from pyautodl.ops.integers import integer, several
from pyautodl.tensor import NamedConstructor, Tensor, apply

__all__ = [
    "RandomAffine",
    "RandomCrop",
    "RandomHorizontalFlip",
    "RandomResizedCrop",
    "RandomRotation",
    "RandomShift",
    "RandomVerticalFlip",
]

Images = int | str | Sequence[int | str]
Fill = float | Sequence[float]

# a map's numbers: the row to read is the first three times (i, j, 1), the column the others
_ROW, _COLUMN = 2, 5


def _still(samples: int) -> NDArray:
    maps = np.empty((samples, 6))
    maps[:] = (1, 0, 0, 0, 1, 0)
    return maps


class _Move(Transform):
    """Images that are read by maps which a subclass draws."""

    padding_mode = "constant"

    def __init__(
        self, images: Any, fill: Any = 0.0, interpolation: Any = "nearest"
    ) -> None:
        super().__init__(images)
        fills = self._for_each("fill", fill, Real)
        self.fills = {each: float(value) for each, value in fills.items()}
        self.interpolations = self._for_each("interpolation", interpolation, str)
        for each in self.interpolations.values():
            if each not in INTERPOLATIONS:
                raise ValueError(
                    f"{self._name}: interpolation must be 'nearest' or 'bilinear', got "
                    f"{each!r}"
                )

    def _maps(self, draw: Draw, h: int, w: int) -> NDArray:
        raise NotImplementedError

    def _size(self, h: int, w: int) -> tuple[int, int]:
        """Height and width of the result."""
        return h, w

    def _changed(self, images: dict[Any, Tensor], draw: Draw) -> dict[Any, Tensor]:
        h, w = self._common_size(images)
        size = self._size(h, w)
        maps = tensor(self._maps(draw, h, w))
        return {each: self._moved(each, x, maps, size) for each, x in images.items()}

    def _moved(
        self, which: Any, images: Tensor, maps: Tensor, size: tuple[int, int]
    ) -> Tensor:
        planes = images.ndim == 3
        moved = apply(
            AUGMENT_MOVE,
            images.unsqueeze(1) if planes else images,
            maps,
            size=size,
            mode=self._mode(which, images),
            outside=self.padding_mode,
            fill=self.fills[which],
            caller=self._name,
        )
        return moved.squeeze(1) if planes else moved

    def _mode(self, which: Any, images: Tensor) -> str:
        """The interpolation of a member; masks of classes can't be mixed."""
        mode = self.interpolations[which]
        if mode == "nearest" or images.dtype.category == FLOATING:
            return mode
        if images.ndim == 3 or images.dtype is not uint8:
            raise DTypeError(
                f"{self._name}: 'bilinear' would mix the numbers of classes, got "
                f"{'planes' if images.ndim == 3 else 'images'} of {images.dtype.name} as "
                f"member {which!r}; likely fix: 'nearest' for it, an interpolation for each "
                "of images; images.unsqueeze(1) if they are grey"
            )
        return mode


class RandomShift(_Move):
    """Moves images by up to `max_shift` pixels along each axis; a DataLoader's
    transform.

    The shift of a sample is drawn once and applied to all of its images, so that a mask
    moves with its image: RandomShift(2, fill=(0.5, 0), images=(0, 1)).

    Args:
        max_shift: pixels at most.
        fill: the value of what moves in; one for all, or one for each of `images`, as
            where 0 is the background of a mask but not of the image.
        images: which members of the batch are moved: images (n, c, h, w), or planes
            (n, h, w), as masks of class numbers are, of any element type; names where
            batches are dicts.

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

    def __init__(self, max_shift: int, fill: Fill = 0.0, images: Images = (0,)) -> None:
        super().__init__(images, fill)
        # a draw takes 32 bits
        if not 0 <= max_shift < 1 << 31:
            raise ValueError(
                f"RandomShift: max_shift must be >= 0 and below 2**31, got {max_shift}"
            )
        self.max_shift = integer("RandomShift", "max_shift", max_shift)

    def _maps(self, draw: Draw, h: int, w: int) -> NDArray:
        units = draw.uniform(2)
        maps = _still(len(units))
        shift = np.floor(units * (2 * self.max_shift + 1)) - self.max_shift
        maps[:, _ROW :: _COLUMN - _ROW] = -shift
        return maps


class _Flip(NamedConstructor, _Move):
    """Turns images over along one axis, each with chance `p`."""

    # the number of a map that counts along the axis
    _along: int

    def __init__(self, p: float = 0.5, *, images: Images = (0,)) -> None:
        super().__init__(images)
        self.p = check_probability(self._name, p)

    def _maps(self, draw: Draw, h: int, w: int) -> NDArray:
        turned = draw.uniform(1)[:, 0] < self.p
        maps = _still(len(turned))
        last = (h if self._along == 0 else w) - 1
        maps[turned, self._along] = -1
        maps[turned, _ROW if self._along == 0 else _COLUMN] = last
        return maps


class RandomHorizontalFlip(_Flip):
    """Turns images over from left to right, each with chance `p`; a DataLoader's
    transform.

    Args:
        p: the chance of each sample.
        images: the members of the batch that are turned over, with their sample's one draw;
            see `RandomShift`.

    Raises:
        ValueError: `p` is not from 0 to 1.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl.data import RandomHorizontalFlip
        >>> x = ad.arange(3.0).reshape(1, 1, 1, 3)
        >>> RandomHorizontalFlip(p=1)(x, samples=ad.arange(1), epoch=0, seed=0)
        tensor([[[[2., 1., 0.]]]])
    """

    _along = 4


class RandomVerticalFlip(_Flip):
    """Turns images upside down, each with chance `p`; a DataLoader's transform.

    Args:
        p: the chance of each sample.
        images: the members of the batch that are turned over, with their sample's one draw;
            see `RandomShift`.

    Raises:
        ValueError: `p` is not from 0 to 1.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl.data import RandomVerticalFlip
        >>> x = ad.arange(3.0).reshape(1, 1, 3, 1)
        >>> flipped = RandomVerticalFlip(p=1)(x, samples=ad.arange(1), epoch=0, seed=0)
        >>> flipped.reshape(-1)
        tensor([2., 1., 0.])
    """

    _along = 0


class RandomAffine(_Move):
    """Rotates, moves, scales and shears images by random amounts; a DataLoader's transform.

    Args:
        degrees: the largest angle, or a range of angles, clockwise.
        translate: the largest shift across and down, as parts of width and height.
        scale: a range of factors of size.
        shear: the largest angle by which lines across are tilted, or a range of them, or
            two ranges in one, (low, high, low, high), the second for lines down.
        interpolation: 'nearest' takes the nearest pixel, 'bilinear' mixes four; one for
            all, or one for each of `images`: masks of classes want 'nearest'.
        fill: the value of what moves in; one for all, or one for each of `images`.
        center: (x, y) in pixels from the upper left corner; None is the middle.
        images: the members of the batch that are moved, with their sample's one draw; see
            `RandomShift`.

    Raises:
        ValueError: a range is none; later on, a fill that the images can't hold.
        TypeError: later on, masks of classes would be mixed.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl.data import RandomAffine
        >>> move = RandomAffine(10, translate=(0.1, 0.1), scale=(0.9, 1.1))
        >>> move(ad.rand(2, 1, 8, 8), samples=ad.arange(2), epoch=0, seed=0).shape
        pyautodl.Size([2, 1, 8, 8])
    """

    def __init__(
        self,
        degrees: float | Sequence[float],
        translate: Sequence[float] | None = None,
        scale: Sequence[float] | None = None,
        shear: float | Sequence[float] | None = None,
        interpolation: str | Sequence[str] = "nearest",
        fill: Fill = 0.0,
        center: Sequence[float] | None = None,
        *,
        images: Images = (0,),
    ) -> None:
        super().__init__(images, fill, interpolation)
        self.degrees = pair(self._name, "degrees", degrees)
        self.translate = tuple(translate or (0.0, 0.0))
        if len(self.translate) != 2 or not all(0 <= t <= 1 for t in self.translate):
            raise ValueError(
                f"{self._name}: translate must be two numbers from 0 to 1, got {translate}"
            )
        self.scale = pair(self._name, "scale", scale or (1.0, 1.0), None)
        if self.scale[0] <= 0:
            raise ValueError(f"{self._name}: scale must be above 0, got {scale}")
        self.shear = _shears(self._name, shear)
        self.center = _checked_center(self._name, center)

    def _maps(self, draw: Draw, h: int, w: int) -> NDArray:
        units = draw.uniform(6)
        scale = between(self.scale, units[:, 3])
        across, down = (
            _tangents(between(ends, units[:, 4 + i]))
            for i, ends in enumerate(self.shear)
        )
        c, s = _turn(between(self.degrees, units[:, 0]))
        # the shears undone, then the turn
        tilted = 1 + across * down
        turn = _matrices(
            (down * s + c) / scale,
            (down * c - s) / scale,
            (tilted * s + across * c) / scale,
            (tilted * c - across * s) / scale,
        )
        span = np.array([self.translate[1] * h, self.translate[0] * w])
        shift = np.rint((2 * units[:, [2, 1]] - 1) * span)
        return _maps_around(_middle(self.center, h, w), turn, shift)


class RandomRotation(_Move):
    """Rotates images by random angles; a DataLoader's transform.

    Args:
        degrees: the largest angle, or a range of angles, counter-clockwise.
        interpolation: 'nearest' takes the nearest pixel, 'bilinear' mixes four; one for
            all, or one for each of `images`: masks of classes want 'nearest'.
        expand: make the result as large as the largest of `degrees` needs, so that no
            corner is cut off: all images of a batch have one size, which does not depend on
            what is drawn. The image is in the middle.
        center: (x, y) in pixels from the upper left corner; None is the middle.
        fill: the value of what moves in, a neighbour at the border, too; one for all, or
            one for each of `images`.
        images: the members of the batch that are rotated, by their sample's one angle; see
            `RandomShift`.

    Raises:
        ValueError: degrees are no range; later on, a fill that the images can't hold.
        TypeError: later on, 'bilinear' would mix the numbers of classes.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl.data import RandomRotation
        >>> turn = RandomRotation((90, 90))
        >>> x = ad.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])
        >>> turn(x, samples=ad.arange(1), epoch=0, seed=0)
        tensor([[[[2., 4.],
                  [1., 3.]]]])

        An image and its mask:

        >>> both = RandomRotation(10, ("bilinear", "nearest"), images=(0, 1))
        >>> batch = ad.rand(3, 1, 8, 8), ad.zeros(3, 8, 8, dtype=ad.int64)
        >>> image, mask = both(batch, samples=ad.arange(3), epoch=0, seed=0)
        >>> mask.dtype
        pyautodl.int64
    """

    def __init__(
        self,
        degrees: float | Sequence[float],
        interpolation: str | Sequence[str] = "nearest",
        expand: bool = False,
        center: Sequence[float] | None = None,
        fill: Fill = 0.0,
        *,
        images: Images = (0,),
    ) -> None:
        super().__init__(images, fill, interpolation)
        self.degrees = pair(self._name, "degrees", degrees)
        self.expand = bool(expand)
        self.center = _checked_center(self._name, center)

    def _size(self, h: int, w: int) -> tuple[int, int]:
        return _size_of_turned(self.degrees, h, w) if self.expand else (h, w)

    def _maps(self, draw: Draw, h: int, w: int) -> NDArray:
        c, s = _turn(between(self.degrees, draw.uniform(1)[:, 0]))
        turn = _matrices(c, s, -s, c)
        if not self.expand:
            return _maps_around(_middle(self.center, h, w), turn)
        # middle on middle, wherever the turn's center is
        maps = _maps_around(_middle(None, *self._size(h, w)), turn)
        maps[:, [_ROW, _COLUMN]] += _middle(None, h, w) - _middle(
            None, *self._size(h, w)
        )
        return maps


# ---- maps that turn ----


def _size_of_turned(degrees: tuple[float, float], h: int, w: int) -> tuple[int, int]:
    """Height and width that hold images turned by any angle of a range."""
    low, high = degrees
    # where height or width is greatest, if it is so within the range: diagonals upright
    # or across, and the same half a turn later
    tall, wide = np.degrees(np.arctan2(w, h)), np.degrees(np.arctan2(h, w))
    peaks = np.array([tall, -tall, wide, -wide])
    turns = np.arange(np.floor(low / 180) - 1, np.ceil(high / 180) + 2) * 180
    angles = np.array([low, high, *np.add.outer(peaks, turns).ravel()])
    c, s = (np.abs(each) for each in _turn(angles[(angles >= low) & (angles <= high)]))
    # what rounding leaves is no pixel
    sizes = np.ceil(np.stack([h * c + w * s, w * c + h * s]) - 1e-6).max(axis=1)
    return int(sizes[0]), int(sizes[1])


def _turn(degrees: NDArray) -> tuple[NDArray, NDArray]:
    """Cosines and sines, from the kernels: NumPy's differ by machine."""
    angle = tensor(np.radians(degrees))
    found = cos(angle).numpy(), sin(angle).numpy()
    # what a right angle's rounding leaves would break ties between pixels at random
    c, s = (np.where(np.abs(each) < 1e-15, 0.0, each) for each in found)
    return c, s


def _tangents(degrees: NDArray) -> NDArray:
    c, s = _turn(degrees)
    return s / c


def _matrices(*numbers: NDArray) -> NDArray:
    """Matrices (n, 2, 2) that lead from where a pixel is, by row and column, to its source."""
    return np.stack(numbers, axis=1).reshape(-1, 2, 2)


def _checked_center(
    name: str, center: Sequence[float] | None
) -> tuple[float, float] | None:
    if center is None:
        return None
    x, *y = (float(each) for each in center)
    if len(y) != 1:
        raise ValueError(f"{name}: center must be (x, y), got {center}")
    return x, y[0]


def _middle(center: tuple[float, float] | None, h: int, w: int) -> NDArray:
    """The row and column that stay where they are."""
    x, y = center or (w / 2, h / 2)
    # places count from the corner of a pixel, its number is that of its middle
    return np.array([y - 0.5, x - 0.5])


def _maps_around(
    middle: NDArray, turn: NDArray, shift: NDArray | float = 0.0
) -> NDArray:
    """The maps of a turn around a place, and a shift behind it."""
    maps = np.empty((len(turn), 6))
    maps[:, [0, 1, 3, 4]] = turn.reshape(-1, 4)
    away = turn * np.broadcast_to(middle + shift, (len(turn), 2))[:, None, :]
    maps[:, [_ROW, _COLUMN]] = middle - (away[:, :, 0] + away[:, :, 1])
    return maps


def _shears(name: str, shear: Any) -> tuple[tuple[float, float], tuple[float, float]]:
    """The ranges of tilts of lines across and down."""
    if shear is None:
        return (0.0, 0.0), (0.0, 0.0)
    parts = [shear] if isinstance(shear, Real) else [shear[:2], shear[2:] or 0.0]
    across, down = [*(pair(name, "shear", part) for part in parts), (0.0, 0.0)][:2]
    if max(map(abs, (*across, *down))) >= 90:
        raise ValueError(f"{name}: shear must be below 90 degrees, got {shear}")
    return across, down


# ---- crops ----


class RandomCrop(_Move):
    """Cuts a part of one size out of each image, at a random place; a DataLoader's
    transform.

    Args:
        size: height and width of the part; one number for a square.
        padding: pixels put around the image first: one number, (left and right, top and
            bottom), or (left, top, right, bottom).
        pad_if_needed: pad smaller images on both sides by what they lack.
        fill: the value of the padding; one for all, or one for each of `images`.
        padding_mode: 'constant' pads with `fill`, 'edge' with the outermost pixels,
            'reflect' and 'symmetric' with the image turned over, without or with its edge.
        images: the members of the batch that are cut, at their sample's one place; see
            `RandomShift`.

    Raises:
        ShapeError: sizes and paddings are none; later on, an image is smaller than the part.
        ValueError: the mode is unknown; later on, a fill that the images can't hold.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl.data import RandomCrop
        >>> crop = RandomCrop(28, padding=4, padding_mode="reflect")
        >>> crop(ad.rand(2, 3, 32, 32), samples=ad.arange(2), epoch=0, seed=0).shape
        pyautodl.Size([2, 3, 28, 28])
    """

    def __init__(
        self,
        size: int | Sequence[int],
        padding: int | Sequence[int] | None = None,
        pad_if_needed: bool = False,
        fill: Fill = 0.0,
        padding_mode: str = "constant",
        *,
        images: Images = (0,),
    ) -> None:
        super().__init__(images, fill)
        if padding_mode not in PADDINGS:
            raise ValueError(
                f"RandomCrop: padding_mode must be one of {', '.join(PADDINGS)}, got "
                f"{padding_mode!r}"
            )
        self.size = _height_and_width(self._name, size)
        self.padding = _sides(0 if padding is None else padding)
        self.pad_if_needed = pad_if_needed
        self.padding_mode = padding_mode

    def _size(self, h: int, w: int) -> tuple[int, int]:
        return self.size

    def _maps(self, draw: Draw, h: int, w: int) -> NDArray:
        units = draw.uniform(2)
        maps = _still(len(units))
        for i, (number, size) in enumerate(((_ROW, h), (_COLUMN, w))):
            before, room = self._room(i, size, (h, w))
            maps[:, number] = np.floor(units[:, i] * (room + 1)) - before
        return maps

    def _room(self, i: int, size: int, image: tuple[int, int]) -> tuple[int, int]:
        """The padding before an axis, and how many pixels the part can move along it."""
        before, after = self.padding[i]
        room = before + size + after - self.size[i]
        if room < 0 and self.pad_if_needed:
            before, room = before - room, -room
        if room < 0:
            raise ShapeError(
                f"RandomCrop: expected images of at least {self.size} with their padding, "
                f"got {image} and padding {self.padding[i]} on this axis; likely fix: "
                "padding, or pad_if_needed=True"
            )
        return before, room


def _sides(padding: Any) -> tuple[tuple[int, int], tuple[int, int]]:
    """Padding as pixels (above, below) and (left, right)."""
    numbers = several("RandomCrop", "padding", padding)
    if len(numbers) not in (1, 2, 4) or min(numbers) < 0:
        raise ShapeError(
            "RandomCrop: padding must be one number, (left and right, top and bottom) or "
            f"(left, top, right, bottom), not negative, got {padding}"
        )
    left, top, right, bottom = (numbers * 4)[:4]
    return (top, bottom), (left, right)


class RandomResizedCrop(_Move):
    """Cuts a part of random size and shape out of each image and resizes it; a DataLoader's
    transform.

    Args:
        size: height and width of the result; one number for a square.
        scale: the range of the part's share of the image.
        ratio: the range of its width, in heights. A part that never fits gives way to the
            largest in the middle whose shape is in the range.
        interpolation: 'nearest' takes the nearest pixel, 'bilinear' mixes several; one for
            all, or one for each of `images`: masks of classes want 'nearest'.
        antialias: where a part shrinks, mix all pixels that it has, not four.
        images: the members of the batch that are cut, at their sample's one place; see
            `RandomShift`.

    Raises:
        ShapeError: the size is none.
        ValueError: a range is none.
        TypeError: later on, 'bilinear' would mix the numbers of classes.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl.data import RandomResizedCrop
        >>> modes = ("bilinear", "nearest")
        >>> crop = RandomResizedCrop(24, interpolation=modes, images=(0, 1))
        >>> batch = ad.rand(2, 3, 32, 32), ad.zeros(2, 32, 32, dtype=ad.int64)
        >>> image, mask = crop(batch, samples=ad.arange(2), epoch=0, seed=0)
        >>> image.shape, mask.shape
        (pyautodl.Size([2, 3, 24, 24]), pyautodl.Size([2, 24, 24]))
    """

    def __init__(
        self,
        size: int | Sequence[int],
        scale: Sequence[float] = (0.08, 1.0),
        ratio: Sequence[float] = (3 / 4, 4 / 3),
        interpolation: str | Sequence[str] = "bilinear",
        antialias: bool = True,
        *,
        images: Images = (0,),
    ) -> None:
        super().__init__(images, 0.0, interpolation)
        self.size = _height_and_width(self._name, size)
        self.scale = pair(self._name, "scale", scale, None)
        self.ratio = pair(self._name, "ratio", ratio, None)
        if not 0 < self.scale[0] <= self.scale[1] <= 1:
            raise ValueError(
                f"{self._name}: scale must be above 0, up to 1, got {scale}"
            )
        if self.ratio[0] <= 0:
            raise ValueError(f"{self._name}: ratio must be above 0, got {ratio}")
        self.antialias = bool(antialias)

    def _changed(self, images: dict[Any, Tensor], draw: Draw) -> dict[Any, Tensor]:
        boxes = self._boxes(draw, *self._common_size(images))
        maps = tensor(self._maps_of(boxes))
        changed = {}
        for each, x in images.items():
            if self._mode(each, x) == "nearest":
                changed[each] = self._moved(each, x, maps, self.size)
            else:
                changed[each] = self._resized(x, boxes.tolist())
        return changed

    def _boxes(self, draw: Draw, h: int, w: int) -> NDArray:
        """Top, left, height and width of each sample's part: the first draw that fits."""
        units = draw.uniform(2 + 2 * TRIES)
        area = h * w * between(self.scale, units[:, 2 : 2 + TRIES])
        low, high = log(tensor(np.array(self.ratio))).tolist()
        shape = exp(tensor(between((low, high), units[:, 2 + TRIES :]))).numpy()
        wide, tall = np.rint(np.sqrt(area * shape)), np.rint(np.sqrt(area / shape))
        fits = (0 < wide) & (wide <= w) & (0 < tall) & (tall <= h)
        first = np.arange(len(units)), fits.argmax(axis=1)
        middle = _largest(self.ratio, h, w)
        tall = np.where(fits[first], tall[first], middle[0])
        wide = np.where(fits[first], wide[first], middle[1])
        rooms = np.stack([h - tall, w - wide], axis=1)
        corners = np.floor(units[:, :2] * (rooms + 1))
        corners[~fits[first]] = rooms[~fits[first]] // 2
        return np.column_stack([corners, tall, wide]).astype(np.int64)

    def _maps_of(self, boxes: NDArray) -> NDArray:
        maps = np.zeros((len(boxes), 6))
        for number, place, axis in ((0, _ROW, 0), (4, _COLUMN, 1)):
            maps[:, number] = boxes[:, 2 + axis] / self.size[axis]
            # the whole part of a position counts, which rounding must not miss
            maps[:, place] = boxes[:, axis] - 0.5 + _SLIGHTLY
        return maps

    def _resized(self, images: Tensor, boxes: list[list[int]]) -> Tensor:
        x = images.unsqueeze(1) if images.ndim == 3 else images
        how: Any = {"mode": "bilinear", "antialias": self.antialias}
        parts = []
        for i, (top, left, tall, wide) in enumerate(boxes):
            part = x[i : i + 1, :, top : top + tall, left : left + wide]
            if x.dtype is uint8:
                part = interpolate(part.float(), self.size, **how)
                part = part.round().clamp(0, 255).to(uint8)
            else:
                part = interpolate(part, self.size, **how)
            parts.append(part)
        resized = cat(parts) if parts else x.new_empty((0, x.shape[1], *self.size))
        return resized.squeeze(1) if images.ndim == 3 else resized


_SLIGHTLY = 1e-9


def _largest(ratio: tuple[float, float], h: int, w: int) -> tuple[int, int]:
    """Height and width of the largest part whose width, in heights, is in a range."""
    if w < ratio[0] * h:
        return max(round(w / ratio[0]), 1), w
    if w > ratio[1] * h:
        return h, max(round(h * ratio[1]), 1)
    return h, w


def _height_and_width(name: str, size: Any) -> tuple[int, int]:
    sizes = several(name, "size", size)
    if len(sizes) not in (1, 2) or min(sizes) < 1:
        raise ShapeError(f"{name}: size must be (height, width), got {size}")
    return sizes[0], sizes[-1]
