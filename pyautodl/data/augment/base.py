"""What transforms share: the members of a batch they change, and their random numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from difflib import get_close_matches
from functools import lru_cache, wraps
from inspect import Parameter, signature
from numbers import Real
from typing import Any, NamedTuple

import numpy as np

from pyautodl.errors import ShapeError, describe
from pyautodl.functional.random import randint
from pyautodl.ops.augment import AUGMENT_NORMAL, AUGMENT_UNIFORM
from pyautodl.random import Generator
from pyautodl.tensor import Tensor, apply

__all__ = ["TRIES", "Compose", "Draw", "Transform"]

NDArray = np.ndarray[Any, Any]

# sizes drawn for each sample, of which the first that fits is taken
TRIES = 10

# what other libraries, and torchvision earlier, call arguments
_SYNONYMS = {
    "angle": "degrees",
    "fillcolor": "fill",
    "limit": "degrees",
    "prob": "p",
    "probability": "p",
    "resample": "interpolation",
    "std": "sigma",
}

# streams of the seeds of those that draw side by side, apart from the others' streams
_SEED_STREAM = 1 << 44


@lru_cache(maxsize=1024)
def _seed_beside(seed: int, place: int) -> int:
    """A seed for one of several that draw side by side."""
    generator = Generator().manual_seed(seed).set_stream(_SEED_STREAM + place)
    return int(randint(-(2**63), 2**63, (), generator=generator).item())


class Draw(NamedTuple):
    """What random numbers may depend on, and the numbers."""

    samples: Tensor
    epoch: int
    seed: int

    def uniform(self, count: int) -> NDArray:
        """`count` numbers in [0, 1) for each sample."""
        drawn: Tensor = apply(
            AUGMENT_UNIFORM,
            self.samples,
            seed=self.seed,
            epoch=self.epoch,
            count=count,
        )
        return drawn.numpy()

    def normal(self, shape: Sequence[int], place: int) -> Tensor:
        """Normal numbers for a batch of such a shape, others for each `place`."""
        drawn: Tensor = apply(
            AUGMENT_NORMAL,
            self.samples,
            seed=_seed_beside(self.seed, place),
            epoch=self.epoch,
            count=int(np.prod(shape[1:])),
        )
        return drawn.reshape(*shape)


class Compose:
    """Several transforms, one after the other; a DataLoader's transform.

    Each draws numbers of its own, by its place in the list. A function belongs there,
    too, if it is called as they are: f(batch, samples=, epoch=, seed=).

    Args:
        transforms: the transforms, in their order.
        more: refused; they belong into the list.

    Raises:
        TypeError: there is no list, or something in it can't be called as they are.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl.data import Compose, GaussianNoise, RandomHorizontalFlip
        >>> def double(batch, **draw):
        ...     return batch * 2
        >>> both = Compose([RandomHorizontalFlip(), GaussianNoise(sigma=0.1), double])
        >>> both(ad.rand(4, 1, 8, 8), samples=ad.arange(4), epoch=0, seed=0).shape
        pyautodl.Size([4, 1, 8, 8])
    """

    def __init__(self, transforms: Sequence[Callable[..., Any]], *more: Any) -> None:
        if more or not isinstance(transforms, Iterable):
            kind = type(transforms).__name__
            what = f"{1 + len(more)} arguments" if more else kind
            raise TypeError(
                f"Compose: expected a list of transforms, got {what}; likely fix: "
                f"Compose([...]) with {'them' if more else 'it'} in brackets"
            )
        self.transforms = list(transforms)
        for each in self.transforms:
            check_transform("Compose", each)

    def __call__(
        self, batch: Any, *, samples: Any = None, epoch: Any = None, seed: Any = None
    ) -> Any:
        check_draw("Compose", samples, epoch, seed)
        for place, transform in enumerate(self.transforms):
            batch = transform(
                batch, samples=samples, epoch=epoch, seed=_seed_beside(seed, place)
            )
        return batch


def check_transform(name: str, transform: Any) -> None:
    """Raise TypeError unless a transform can be called as `Transform` is."""
    if not callable(transform):
        fix = "; likely fix: Compose([...])" if isinstance(transform, list) else ""
        raise TypeError(
            f"{name}: expected transforms that can be called, got {describe(transform)}"
            f"{fix}"
        )
    if isinstance(transform, type):
        given = transform.__name__
        raise TypeError(
            f"{name}: transforms are called as f(batch, samples=, epoch=, seed=), got "
            f"{given}, which is a class; likely fix: "
            f"{given}({', '.join(_required(transform))})"
        )
    try:
        takes = signature(transform)
    except ValueError:
        # written in C: it does not tell
        return
    try:
        takes.bind(None, samples=None, epoch=0, seed=0)
    except TypeError:
        given = getattr(transform, "__name__", type(transform).__name__)
        raise TypeError(
            f"{name}: transforms are called as f(batch, samples=, epoch=, seed=), got "
            f"{given}{takes}; likely fix: lambda batch, **draw: ..."
        ) from None


def _required(function: Any) -> list[str]:
    """The arguments that a function can't do without."""
    try:
        parameters = signature(function).parameters.values()
    except ValueError:
        return []
    kinds = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
    return [
        f"{p.name}=..." for p in parameters if p.default is p.empty and p.kind in kinds
    ]


def check_draw(name: str, samples: Any, epoch: Any, seed: Any) -> None:
    """Raise TypeError unless a transform was told what its numbers depend on."""
    if samples is None or epoch is None or seed is None:
        raise TypeError(
            f"{name}: what it draws depends on samples, epoch and seed, which a DataLoader "
            f"gives it; likely fix: DataLoader(dataset, transform={name}(...)), or by hand "
            "transform(batch, samples=ad.arange(len(batch)), epoch=0, seed=0)"
        )


def _naming_arguments(function: Any) -> Any:
    """A constructor that says what it takes when it was given something else."""
    takes = signature(function)
    names = list(takes.parameters)[1:]

    @wraps(function)
    def construct(self: Any, *args: Any, **kwargs: Any) -> None:
        try:
            takes.bind(self, *args, **kwargs)
        except TypeError as error:
            fix = _likely_names(kwargs, names)
            raise TypeError(
                f"{type(self).__name__}.__init__() {error}; it takes {', '.join(names)}{fix}"
            ) from None
        function(self, *args, **kwargs)

    return construct


def _likely_names(given: Iterable[str], names: Sequence[str]) -> str:
    """What arguments that there are not may be called."""
    for each in given:
        if each in names:
            continue
        known = _SYNONYMS.get(each)
        close = [known] if known in names else get_close_matches(each, names, 1, 0.5)
        if close:
            return f"; likely fix: {close[0]} in place of {each}"
    return ""


class Transform:
    """A change of some members of a batch: images, and planes such as masks are.

    A subclass defines `_changed`.

    Args:
        images: which members: their places, or their names where batches are dicts.
    """

    def __init__(self, images: Any) -> None:
        self.images = tuple(images) if isinstance(images, (tuple, list)) else (images,)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "__init__" in vars(cls):
            cls.__init__ = _naming_arguments(cls.__init__)  # type: ignore[method-assign]

    def __call__(
        self, batch: Any, *, samples: Any = None, epoch: Any = None, seed: Any = None
    ) -> Any:
        """Change a batch: a tensor, a sequence or a dict of them.

        Raises:
            IndexError, KeyError: the batch has no such member.
            ShapeError: a member is not one of images, or not one for each sample.
            TypeError: samples, epoch or seed is missing.
        """
        check_draw(self._name, samples, epoch, seed)
        parts: Any = [batch] if isinstance(batch, Tensor) else batch
        parts = dict(parts) if isinstance(parts, dict) else list(parts)
        chosen = {each: self._member(parts, each, samples) for each in self.images}
        for each, value in self._changed(chosen, Draw(samples, epoch, seed)).items():
            parts[each] = value
        if isinstance(batch, Tensor):
            return parts[0]
        return parts if isinstance(parts, dict) else tuple(parts)

    def _changed(self, images: dict[Any, Tensor], draw: Draw) -> dict[Any, Tensor]:
        """The changed members, by place or name."""
        raise NotImplementedError

    @property
    def _name(self) -> str:
        return type(self).__name__

    def _for_each(self, what: str, value: Any, kinds: Any) -> dict[Any, Any]:
        """One value for all images, or one for each of them."""
        if isinstance(value, kinds):
            return dict.fromkeys(self.images, value)
        values = list(value)
        if len(values) != len(self.images):
            raise ValueError(
                f"{self._name}: {len(values)} {what}s for {len(self.images)} images; give "
                "one for all, or one for each of images"
            )
        return dict(zip(self.images, values, strict=True))

    def _member(self, parts: Any, which: Any, samples: Tensor) -> Tensor:
        if isinstance(parts, dict):
            if which not in parts:
                raise KeyError(
                    f"{self._name}: images has {which!r}, the batch has "
                    f"{', '.join(map(repr, parts))}"
                )
        elif not isinstance(which, int) or not -len(parts) <= which < len(parts):
            raise IndexError(
                f"{self._name}: images has {which!r}, the batch has {len(parts)} members"
            )
        images = parts[which]
        if not isinstance(images, Tensor) or images.ndim not in (3, 4):
            raise ShapeError(
                f"{self._name}: expected images (n, c, h, w) or planes (n, h, w), got "
                f"{describe(images)} as member {which!r}; likely fix: another member, by "
                "images="
            )
        if samples.shape != images.shape[:1]:
            raise ShapeError(
                f"{self._name}: expected the number of each of {images.shape[0]} samples, "
                f"got samples {tuple(samples.shape)}"
            )
        return images

    def _common_size(self, images: dict[Any, Tensor]) -> tuple[int, int]:
        """Height and width, which all members share that are changed alike."""
        sizes = {each: tuple(x.shape[-2:]) for each, x in images.items()}
        first = self.images[0]
        for each, size in sizes.items():
            if size != sizes[first]:
                raise ShapeError(
                    f"{self._name}: images of different size can't be changed alike, got "
                    f"{sizes[first]} as member {first!r} and {size} as {each!r}"
                )
        return sizes[first]


def check_probability(name: str, p: float) -> float:
    """A number from 0 to 1, or a ValueError."""
    if not 0 <= p <= 1:
        raise ValueError(f"{name}: p must be from 0 to 1, got {p}")
    return float(p)


def pair(
    name: str, what: str, value: Any, around: float | None = 0.0
) -> tuple[float, float]:
    """A range (low, high); a number stands for as much on both sides of `around`.

    Raises:
        ValueError: it is none.
    """
    if isinstance(value, Real) and around is not None:
        if value < 0:
            raise ValueError(f"{name}: {what} must be >= 0 or a range, got {value}")
        return around - float(value), around + float(value)
    ends = tuple(float(each) for each in value)
    if len(ends) != 2 or not ends[0] <= ends[1]:
        raise ValueError(f"{name}: {what} must be a range (low, high), got {value}")
    return ends


def between(ends: tuple[float, float], unit: NDArray) -> NDArray:
    """Numbers in [0, 1) as numbers in a range."""
    return ends[0] + (ends[1] - ends[0]) * unit
