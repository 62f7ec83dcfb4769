"""Samplers: the order in which samples are drawn."""

from __future__ import annotations

from collections.abc import Iterator
from types import GenericAlias
from typing import Any, ClassVar

from pyautodl.backends.dtypes import float64
from pyautodl.functional.creation import as_tensor
from pyautodl.functional.random import multinomial, randint, randperm
from pyautodl.ops.integers import integer
from pyautodl.random import Generator, default_generator

__all__ = [
    "BatchSampler",
    "RandomSampler",
    "Sampler",
    "SequentialSampler",
    "SubsetRandomSampler",
    "WeightedRandomSampler",
    "permutation",
]

# streams that shuffle, apart from those of weights, dropout and augmentation
_SHUFFLE_STREAM = 1 << 41


def permutation(n: int, seed: int, epoch: int) -> list[int]:
    """The numbers below n in an order that seed and epoch alone decide.

    Example:
        >>> from pyautodl.data import permutation
        >>> sorted(permutation(4, seed=0, epoch=1))
        [0, 1, 2, 3]
    """
    return randperm(n, generator=_generator_of(seed, epoch)).tolist()


def _generator_of(seed: int, epoch: int) -> Generator:
    return Generator().manual_seed(seed).set_stream(_SHUFFLE_STREAM + epoch)


class Sampler:
    """Sample numbers, in some order: a subclass has `__iter__` and `__len__`.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl.data import DataLoader, Sampler
        >>> class Backwards(Sampler):
        ...     def __iter__(self):
        ...         return iter([2, 1, 0])
        ...     def __len__(self):
        ...         return 3
        >>> [x.tolist() for (x,) in DataLoader((ad.arange(3),), 2, sampler=Backwards())]
        [[2, 1], [0]]
    """

    # as in class Mine(Sampler[int])
    __class_getitem__: ClassVar[Any] = classmethod(GenericAlias)

    def __iter__(self) -> Iterator[Any]:
        raise NotImplementedError(f"{type(self).__name__} must define __iter__")


class SequentialSampler(Sampler):
    """All samples in their order.

    Example:
        >>> from pyautodl.data import SequentialSampler
        >>> list(SequentialSampler(range(3)))
        [0, 1, 2]
    """

    def __init__(self, data_source: Any) -> None:
        self.data_source = data_source

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self.data_source)))

    def __len__(self) -> int:
        return len(self.data_source)


class DrawnSampler(Sampler):
    """Sample numbers that the seed of a generator and the number of the pass alone decide.

    Attributes:
        generator: whose seed counts; None: the default one.
        epoch: the number of the next pass; None: the generator's next one, so that a new
            sampler draws anew, and the same again once the generator is seeded again.
        num_samples: how many are drawn in a pass.
    """

    num_samples: int

    def __init__(self, generator: Generator | None) -> None:
        self.generator = generator
        self.epoch: int | None = None

    def _draw(self, generator: Generator) -> list[Any]:
        """The samples of one pass, with a generator that is that pass's own."""
        raise NotImplementedError

    def next_number(self) -> int:
        """The number of the next pass."""
        if self.epoch is not None:
            return self.epoch
        return (self.generator or default_generator).passes

    def __iter__(self) -> Iterator[Any]:
        generator = self.generator or default_generator
        number = self.next_number()
        if self.epoch is None:
            generator.next_pass()
        else:
            self.epoch += 1
        return iter(self._draw(_generator_of(generator.initial_seed(), number)))

    def __len__(self) -> int:
        return self.num_samples


def _check_count(name: str, num_samples: Any) -> None:
    if not isinstance(num_samples, int) or num_samples <= 0:
        raise ValueError(
            f"{name}: expected a positive whole number of samples, got {num_samples!r}"
        )


class RandomSampler(DrawnSampler):
    """Samples in a new order in each pass, decided by seed and number of the pass alone.

    Passes are counted by the generator, from its seed on.

    Args:
        data_source: what has a length.
        replacement: draw each sample from all, so that some come twice and others never.
        num_samples: how many to draw; default as many as there are. More than these, drawn
            without replacement, are several orders in a row.
        generator: whose seed counts; default the default generator.

    Raises:
        ValueError: num_samples is not a positive whole number.

    Example:
        >>> from pyautodl.data import RandomSampler
        >>> sorted(RandomSampler(range(3)))
        [0, 1, 2]
        >>> len(list(RandomSampler(range(3), replacement=True, num_samples=8)))
        8
    """

    def __init__(
        self,
        data_source: Any,
        replacement: bool = False,
        num_samples: int | None = None,
        generator: Generator | None = None,
    ) -> None:
        if not isinstance(replacement, bool):
            raise TypeError(
                f"RandomSampler: replacement must be a bool, got {replacement!r}"
            )
        super().__init__(generator)
        self.data_source = data_source
        self.replacement = replacement
        self._num_samples = num_samples
        _check_count("RandomSampler", self.num_samples)

    @property
    def num_samples(self) -> int:  # type: ignore[override]
        """How many are drawn in a pass; the data may grow between passes."""
        given = self._num_samples
        return len(self.data_source) if given is None else given

    def _draw(self, generator: Generator) -> list[int]:
        n, count = len(self.data_source), self.num_samples
        if self.replacement:
            return randint(n, (count,), generator=generator).tolist()
        order: list[int] = []
        while len(order) < count:
            order += randperm(n, generator=generator).tolist()
        return order[:count]


class SubsetRandomSampler(DrawnSampler):
    """Given samples in a new order in each pass.

    Args:
        indices: what to draw from, without replacement.
        generator: whose seed counts; default the default generator.

    Example:
        >>> from pyautodl.data import SubsetRandomSampler
        >>> sorted(SubsetRandomSampler([4, 7]))
        [4, 7]
    """

    def __init__(self, indices: Any, generator: Generator | None = None) -> None:
        super().__init__(generator)
        self.indices = indices

    @property
    def num_samples(self) -> int:  # type: ignore[override]
        """How many indices there are."""
        return len(self.indices)

    def _draw(self, generator: Generator) -> list[Any]:
        order = randperm(len(self.indices), generator=generator)
        return [self.indices[i] for i in order.tolist()]


class WeightedRandomSampler(DrawnSampler):
    """Samples with given weights, as for classes of different sizes.

    Args:
        weights: one for each sample; they need not sum to 1.
        num_samples: how many to draw.
        replacement: whether a sample may be drawn again.
        generator: whose seed counts, with the epoch; default the default generator.

    Raises:
        ValueError: num_samples is not a positive whole number, or the weights have other
            than one axis.

    Example:
        >>> from pyautodl.data import WeightedRandomSampler
        >>> list(WeightedRandomSampler([0.0, 1.0, 0.0], 4))
        [1, 1, 1, 1]
    """

    def __init__(
        self,
        weights: Any,
        num_samples: int,
        replacement: bool = True,
        generator: Generator | None = None,
    ) -> None:
        _check_count("WeightedRandomSampler", num_samples)
        if not isinstance(replacement, bool):
            raise ValueError(
                f"WeightedRandomSampler: replacement must be a bool, got {replacement!r}"
            )
        super().__init__(generator)
        self.weights = as_tensor(weights, dtype=float64)
        if self.weights.ndim != 1:
            raise ValueError(
                "WeightedRandomSampler: expected weights with one axis, got shape "
                f"{tuple(self.weights.shape)}"
            )
        self.num_samples = num_samples
        self.replacement = replacement

    def _draw(self, generator: Generator) -> list[int]:
        return multinomial(
            self.weights, self.num_samples, self.replacement, generator=generator
        ).tolist()


def batch_length(name: str, batch_size: Any) -> int:
    """How many samples go together, as `name` was told.

    Raises:
        TypeError: that is no whole number.
        ValueError: it is not positive.
    """
    length = integer(name, "batch_size", batch_size)
    if length < 1:
        raise ValueError(f"{name}: batch_size must be > 0, got {length}")
    return length


class BatchSampler(Sampler):
    """Groups what a sampler gives into batches.

    Args:
        sampler: what yields indices.
        batch_size: how many of them go together.
        drop_last: leave out a last batch that is not full.

    Example:
        >>> from pyautodl.data import BatchSampler
        >>> list(BatchSampler(range(5), 2, drop_last=False))
        [[0, 1], [2, 3], [4]]
    """

    def __init__(self, sampler: Any, batch_size: int, drop_last: bool) -> None:
        self.sampler = sampler
        self.batch_size = batch_length("BatchSampler", batch_size)
        self.drop_last = drop_last

    def __iter__(self) -> Iterator[list[int]]:
        # the order is drawn here, and batches as they are asked for
        return self._batches(iter(self.sampler))

    def _batches(self, order: Iterator[int]) -> Iterator[list[int]]:
        batch: list[int] = []
        for index in order:
            batch.append(index)
            if len(batch) == self.batch_size:
                yield batch
                batch = []
        if batch and not self.drop_last:
            yield batch

    def __len__(self) -> int:
        n = len(self.sampler)
        return n // self.batch_size if self.drop_last else -(-n // self.batch_size)
