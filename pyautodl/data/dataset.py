"""Datasets: indexed collections of samples."""

from __future__ import annotations

import bisect
from collections.abc import Iterator, Sequence
from types import GenericAlias
from typing import Any, ClassVar

import numpy as np

from pyautodl.errors import ShapeError
from pyautodl.functional.creation import as_tensor
from pyautodl.tensor import Tensor

__all__ = [
    "ConcatDataset",
    "Dataset",
    "IterableDataset",
    "StackDataset",
    "Subset",
    "TensorDataset",
    "as_dataset",
]


class Dataset:
    """Samples by number: a subclass has `__getitem__` and `__len__`.

    A dataset may also have `fetch(indices)`, which returns a whole batch at once.

    Example:
        >>> from pyautodl.data import DataLoader, Dataset
        >>> class Squares(Dataset):
        ...     def __getitem__(self, i):
        ...         return i * i
        ...     def __len__(self):
        ...         return 4
        >>> [batch.tolist() for batch in DataLoader(Squares(), batch_size=2)]
        [[0, 1], [4, 9]]
    """

    # as in class Mine(Dataset[Tensor])
    __class_getitem__: ClassVar[Any] = classmethod(GenericAlias)

    def __getitem__(self, index: int) -> Any:
        raise NotImplementedError(f"{type(self).__name__} must define __getitem__")

    def __add__(self, other: Dataset) -> ConcatDataset:
        return ConcatDataset([self, other])


class IterableDataset(Dataset):
    """Samples in a fixed order, without numbers: a subclass has `__iter__`.

    Example:
        >>> from pyautodl.data import DataLoader, IterableDataset
        >>> class Countdown(IterableDataset):
        ...     def __iter__(self):
        ...         return iter([3, 2, 1])
        >>> [batch.tolist() for batch in DataLoader(Countdown(), batch_size=2)]
        [[3, 2], [1]]
    """

    def __iter__(self) -> Iterator[Any]:
        raise NotImplementedError(f"{type(self).__name__} must define __iter__")


class TensorDataset(Dataset):
    """Samples that are rows of tensors, all with the same first size.

    Args:
        tensors: tensors or arrays of shape (n, ...).

    Raises:
        ShapeError: the first sizes differ.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl.data import TensorDataset
        >>> dataset = TensorDataset(ad.arange(3), ad.zeros(3))
        >>> dataset[1]
        (tensor(1), tensor(0.))
    """

    def __init__(self, *tensors: Any) -> None:
        self.tensors = tuple(as_tensor(each) for each in tensors)
        sizes = [tuple(each.shape) for each in self.tensors]
        if not sizes or any(not size for size in sizes):
            raise ShapeError(f"TensorDataset: expected tensors with rows, got {sizes}")
        if len({size[0] for size in sizes}) > 1:
            raise ShapeError(
                f"TensorDataset: first sizes differ: {sizes}; likely fix: as many targets "
                "as inputs, both with one row for each sample"
            )

    def __getitem__(self, index: Any) -> tuple[Tensor, ...]:
        return tuple(each[index] for each in self.tensors)

    def __len__(self) -> int:
        return len(self.tensors[0])

    def fetch(self, indices: Tensor) -> tuple[Tensor, ...]:
        """The rows of a batch, gathered in one call a tensor."""
        return tuple(each.index_select(0, indices) for each in self.tensors)


class Subset(Dataset):
    """Some samples of a dataset, in the order of `indices`.

    Args:
        dataset: where the samples are.
        indices: their numbers.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl.data import Subset, TensorDataset
        >>> len(Subset(TensorDataset(ad.arange(9)), [0, 3]))
        2
    """

    def __init__(self, dataset: Any, indices: Any) -> None:
        self.dataset = dataset
        self.indices = [int(each) for each in indices]

    def __getitem__(self, index: int) -> Any:
        return self.dataset[self.indices[index]]

    def __len__(self) -> int:
        return len(self.indices)


class ConcatDataset(Dataset):
    """Datasets one after the other.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl.data import ConcatDataset, TensorDataset
        >>> part = TensorDataset(ad.arange(3))
        >>> len(ConcatDataset([part, part]))
        6
    """

    def __init__(self, datasets: Sequence[Any]) -> None:
        self.datasets = list(datasets)
        if not self.datasets:
            raise ValueError("ConcatDataset: expected at least one dataset")
        sizes = [len(each) for each in self.datasets]
        self.cumulative_sizes = np.cumsum(sizes).tolist()

    def __getitem__(self, index: int) -> Any:
        position = index + len(self) if index < 0 else index
        if not 0 <= position < len(self):
            raise IndexError(f"ConcatDataset: index {index} of {len(self)} samples")
        number = bisect.bisect_right(self.cumulative_sizes, position)
        before = self.cumulative_sizes[number - 1] if number else 0
        return self.datasets[number][position - before]

    def __len__(self) -> int:
        return self.cumulative_sizes[-1]


class StackDataset(Dataset):
    """Datasets side by side: a sample is one of each, as a tuple or by their names.

    Args:
        datasets: of one length.
        named: the same by name, in place of them.

    Raises:
        ValueError: there are none or both kinds of them, or their lengths differ.

    Example:
        >>> from pyautodl.data import StackDataset
        >>> StackDataset([1, 2], [3, 4])[1]
        (2, 4)
        >>> StackDataset(image=[1, 2], text=["a", "b"])[0]
        {'image': 1, 'text': 'a'}
    """

    def __init__(self, *datasets: Any, **named: Any) -> None:
        if bool(datasets) == bool(named):
            raise ValueError("StackDataset: expected datasets, or datasets by name")
        self.datasets: Any = named or datasets
        lengths = [len(each) for each in self._all()]
        if len(set(lengths)) > 1:
            raise ValueError(
                f"StackDataset: expected datasets of one length, got {lengths}"
            )

    def _all(self) -> Sequence[Any]:
        named = isinstance(self.datasets, dict)
        return list(self.datasets.values()) if named else self.datasets

    def __getitem__(self, index: int) -> Any:
        if isinstance(self.datasets, dict):
            return {name: each[index] for name, each in self.datasets.items()}
        return tuple(each[index] for each in self.datasets)

    def __len__(self) -> int:
        return len(self._all()[0])


def as_dataset(data: Any) -> Any:
    """A dataset from what users pass: a dataset, or a tuple of tensors, arrays or lists.

    Raises:
        TypeError: it is none of these.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl.data import as_dataset
        >>> len(as_dataset((ad.ones(5, 2), ad.zeros(5))))
        5
    """
    if isinstance(data, (Tensor, np.ndarray)):
        return TensorDataset(data)
    arrays = (Tensor, np.ndarray)
    if isinstance(data, list) and all(isinstance(each, arrays) for each in data):
        return TensorDataset(*data)
    # in a tuple lists of numbers stand for arrays; a list is one of samples
    if isinstance(data, tuple) and all(
        isinstance(each, (*arrays, list)) for each in data
    ):
        return TensorDataset(*data)
    if hasattr(data, "__getitem__") and hasattr(data, "__len__"):
        return data
    raise TypeError(
        f"dataset: expected tensors, arrays or a Dataset, got {type(data).__name__}"
    )
