"""Samplers: the order in which samples are drawn."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pyautodl.functional.random import randperm
from pyautodl.random import Generator, default_generator

__all__ = [
    "BatchSampler",
    "RandomSampler",
    "Sampler",
    "SequentialSampler",
    "SubsetRandomSampler",
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
    generator = Generator().manual_seed(seed).set_stream(_SHUFFLE_STREAM + epoch)
    return randperm(n, generator=generator).tolist()


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


class RandomSampler(Sampler):
    """All samples in a new order each epoch, decided by seed and epoch alone.

    Args:
        data_source: what has a length.
        generator: whose seed counts; default the default generator.

    Example:
        >>> from pyautodl.data import RandomSampler
        >>> sorted(RandomSampler(range(3)))
        [0, 1, 2]
    """

    def __init__(self, data_source: Any, generator: Generator | None = None) -> None:
        self.data_source = data_source
        self.generator = generator
        self.epoch = 0

    def __iter__(self) -> Iterator[int]:
        seed = (self.generator or default_generator).initial_seed()
        order = permutation(len(self.data_source), seed, self.epoch)
        self.epoch += 1
        return iter(order)

    def __len__(self) -> int:
        return len(self.data_source)


class SubsetRandomSampler(RandomSampler):
    """Given samples in a new order each epoch.

    Args:
        indices: what to draw from, without replacement.
        generator: where the order comes from; default: the default one.

    Example:
        >>> from pyautodl.data import SubsetRandomSampler
        >>> sorted(SubsetRandomSampler([4, 7]))
        [4, 7]
    """

    def __init__(self, indices: Any, generator: Generator | None = None) -> None:
        super().__init__(list(indices), generator)

    def __iter__(self) -> Iterator[int]:
        return iter([self.data_source[i] for i in super().__iter__()])


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
        if batch_size < 1:
            raise ValueError(f"BatchSampler: batch_size must be > 0, got {batch_size}")
        self.sampler = sampler
        self.batch_size = batch_size
        self.drop_last = drop_last

    def __iter__(self) -> Iterator[list[int]]:
        batch: list[int] = []
        for index in self.sampler:
            batch.append(index)
            if len(batch) == self.batch_size:
                yield batch
                batch = []
        if batch and not self.drop_last:
            yield batch

    def __len__(self) -> int:
        n = len(self.sampler)
        return n // self.batch_size if self.drop_last else -(-n // self.batch_size)
