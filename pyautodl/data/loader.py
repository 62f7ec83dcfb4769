"""`DataLoader`: batches of a dataset."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np

from pyautodl.data.augment.base import check_transform
from pyautodl.data.dataset import IterableDataset, as_dataset
from pyautodl.data.sampler import (
    BatchSampler,
    DrawnSampler,
    RandomSampler,
    SequentialSampler,
    batch_length,
)
from pyautodl.errors import ShapeError
from pyautodl.functional.copy import stack
from pyautodl.functional.creation import as_tensor, tensor
from pyautodl.random import Generator, default_generator
from pyautodl.tensor import Tensor

__all__ = ["DataLoader", "default_collate", "get_worker_info"]

# batches that workers prepare ahead, for each of them
_AHEAD = 2


def default_collate(batch: list[Any]) -> Any:
    """Stack samples: tensors, arrays and numbers by position, or by name in dicts.

    Python floats become the default element type, as in `tensor`, so that a loss takes them
    beside what a model gives; PyTorch's are float64. NumPy's numbers keep their own.

    Raises:
        ShapeError: samples differ in shape or length; names two and the cure.
        TypeError: samples are of a kind that can't be stacked, or of several.

    Example:
        >>> from pyautodl.data import default_collate
        >>> default_collate([(1, 2.0), (3, 4.0)])
        (tensor([1, 3]), tensor([2., 4.]))
    """
    try:
        return _collated(batch)
    except (KeyError, TypeError, ValueError) as error:
        # only now, as in `_stacked`
        unlike = _unlike(batch)
        if unlike is None:
            raise
        raise TypeError(f"default_collate: {unlike}") from error


def _unlike(batch: list[Any]) -> str | None:
    """What two samples of different kinds, or with other names, are; None: all are alike."""
    first = batch[0]
    for i, each in enumerate(batch):
        what = f"samples 0 and {i} of the batch"
        if isinstance(first, dict) and isinstance(each, dict):
            if first.keys() - each.keys():
                return f"{what} have the names {[*first]} and {[*each]}"
        elif type(each) is not type(first):
            kinds = f"{type(first).__name__} and {type(each).__name__}"
            return f"{what} are of the kinds {kinds}; pass your own collate_fn"
    return None


def _collated(batch: list[Any]) -> Any:
    first = batch[0]
    if isinstance(first, Tensor):
        return _stacked(batch, stack)
    if isinstance(first, np.ndarray):
        return tensor(_stacked(batch, np.stack))
    if isinstance(first, dict):
        return {key: default_collate([each[key] for each in batch]) for key in first}
    if isinstance(first, (tuple, list)):
        lengths = [len(each) for each in batch]
        if lengths.count(lengths[0]) != len(lengths):
            raise _ragged("lengths", lengths)
        columns = [default_collate(list(each)) for each in zip(*batch, strict=True)]
        if hasattr(first, "_fields"):  # a named tuple
            return type(first)(*columns)
        return type(first)(columns) if isinstance(first, list) else tuple(columns)
    if isinstance(first, (int, float, bool, np.generic)):
        return (
            tensor(np.asarray(batch))
            if isinstance(first, np.generic)
            else tensor(batch)
        )
    if isinstance(first, (str, bytes)):
        return batch
    raise TypeError(
        f"default_collate: can't stack {type(first).__name__}; pass your own collate_fn"
    )


def _stacked(batch: list[Any], stack: Callable[[list[Any]], Any]) -> Any:
    try:
        return stack(batch)
    except ValueError:
        # only now: to look at all shapes takes as long as to stack small samples
        shapes = [tuple(np.shape(each)) for each in batch]
        if shapes.count(shapes[0]) == len(shapes):
            raise
        raise _ragged("shapes", shapes) from None


def _ragged(sizes: str, each: list[Any]) -> ShapeError:
    other = next(i for i, size in enumerate(each) if size != each[0])
    return ShapeError(
        f"default_collate: samples 0 and {other} of the batch have {sizes} {each[0]} and "
        f"{each[other]}; pass collate_fn, for example one with nn.utils.rnn.pad_sequence"
    )


def get_worker_info() -> None:
    """Return None, as PyTorch does outside of worker processes: workers are threads.

    An IterableDataset is read by one thread alone, so there is nothing to share out.

    Example:
        >>> from pyautodl.data import get_worker_info
        >>> get_worker_info()
    """


class _Rows:
    """The rows of one tensor as samples."""

    def __init__(self, rows: Any) -> None:
        self.rows = as_tensor(rows)

    def __getitem__(self, index: Any) -> Tensor:
        return self.rows[index]

    def __len__(self) -> int:
        return len(self.rows)

    def fetch(self, indices: Tensor) -> Tensor:
        return self.rows.index_select(0, indices)


class DataLoader:
    """Iterates over a dataset in batches, in each pass in a new order if `shuffle`.

    The generator's seed and the number of the pass decide the order and what `transform`
    draws, not how many workers there are or what else was drawn. The generator counts the
    passes of all that draw by it: a loader made anew for each epoch goes on with the next
    number, and after `manual_seed` the passes are the same again. `set_epoch` chooses the
    number instead, for passes that depend on no others.

    Args:
        dataset: a dataset, such as a list of samples, or a tuple of tensors or arrays,
            whose batches are tuples; of one tensor or array batches are tensors.
        batch_size: samples in a batch; None gives single samples, or what `collate_fn` makes
            of each.
        shuffle: draw in a new order in each pass.
        sampler: where sample numbers come from instead.
        batch_sampler: where lists of sample numbers come from instead.
        num_workers: threads that prepare batches ahead.
        collate_fn: makes a batch of a list of samples, or without batches of one sample;
            default `default_collate`, which stacks samples of one shape.
        pin_memory, timeout, multiprocessing_context, persistent_workers: without effect:
            workers are threads.
        drop_last: leave out a last batch that is not full.
        worker_init_fn: called with each worker's number before the first batch.
        generator: whose seed and passes decide what is drawn; default the default one.
        prefetch_factor: batches that each worker prepares ahead.
        transform: called as transform(batch, samples=, epoch=, seed=) on each batch,
            with the sample numbers, so that what it draws depends on nothing else; see
            `Compose`.

    Raises:
        ValueError: the dataset is empty, or arguments contradict each other.
        TypeError: the transform can't be called as it is.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl.data import DataLoader
        >>> [x.tolist() for (x,) in DataLoader((ad.arange(5),), batch_size=2)]
        [[0, 1], [2, 3], [4]]
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int | None = 1,
        shuffle: bool | None = None,
        sampler: Any = None,
        batch_sampler: Any = None,
        num_workers: int = 0,
        collate_fn: Callable[[Any], Any] | None = None,
        pin_memory: bool = False,
        drop_last: bool = False,
        timeout: float = 0,
        worker_init_fn: Callable[[int], None] | None = None,
        multiprocessing_context: Any = None,
        generator: Generator | None = None,
        *,
        prefetch_factor: int | None = None,
        persistent_workers: bool = False,
        transform: Callable[..., Any] | None = None,
    ) -> None:
        self._iterable = isinstance(dataset, IterableDataset)
        if isinstance(dataset, (Tensor, np.ndarray)):
            dataset = _Rows(dataset)
        # a list is one of samples, of which no kind stands for anything else
        as_it_is = self._iterable or isinstance(dataset, list)
        self.dataset = dataset if as_it_is else as_dataset(dataset)
        self.batch_size = batch_size
        self.sampler = sampler
        self.batch_sampler = batch_sampler
        self.drop_last = drop_last
        self.num_workers = num_workers
        self.prefetch_factor = _AHEAD if prefetch_factor is None else prefetch_factor
        self.collate_fn = collate_fn
        self.worker_init_fn = worker_init_fn
        self.generator = generator
        if transform is not None:
            check_transform("DataLoader", transform)
        self.transform = transform
        self.epoch: int | None = None
        self._check(shuffle)
        if not self._iterable:
            self._complete_samplers(shuffle)

    def _check(self, shuffle: bool | None) -> None:
        if not self._iterable and len(self.dataset) == 0:
            raise ValueError("DataLoader: the dataset is empty")
        if self.num_workers < 0:
            raise ValueError(
                f"DataLoader: num_workers must be >= 0, got {self.num_workers}"
            )
        if self.prefetch_factor < 1:
            raise ValueError(
                f"DataLoader: prefetch_factor must be >= 1, got {self.prefetch_factor}"
            )
        listed = self.batch_sampler is not None
        if shuffle and (self.sampler is not None or listed or self._iterable):
            raise ValueError(
                "DataLoader: shuffle excludes a sampler and an IterableDataset"
            )
        if self.transform is not None and self.batch_size is None and not listed:
            raise ValueError("DataLoader: transform works on batches; give batch_size")
        if self.batch_size is not None:
            self.batch_size = batch_length("DataLoader", self.batch_size)
        elif self.drop_last:
            raise ValueError(
                "DataLoader: drop_last leaves out a batch that is not full; give batch_size"
            )
        if listed and (self.batch_size != 1 or self.sampler or self.drop_last):
            raise ValueError(
                "DataLoader: batch_sampler excludes batch_size, sampler and drop_last"
            )

    def _complete_samplers(self, shuffle: bool | None) -> None:
        """Choose what was not given of where sample numbers and batches come from."""
        if self.sampler is None and shuffle:
            self.sampler = RandomSampler(self.dataset)
            self.sampler.generator = self.generator
        elif self.sampler is None:
            self.sampler = SequentialSampler(self.dataset)
        if self.batch_sampler is None and self.batch_size is not None:
            self.batch_sampler = BatchSampler(
                self.sampler, self.batch_size, self.drop_last
            )

    def __len__(self) -> int:
        if self._iterable:
            raise TypeError("len: a DataLoader over an IterableDataset has no length")
        return len(self.sampler if self.batch_sampler is None else self.batch_sampler)

    def set_epoch(self, epoch: int) -> None:
        """Let the next pass be that of `epoch` and the later ones follow, whatever other
        passes there were, as when training is resumed."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[Any]:
        draws = self._next_pass()
        if self._iterable:
            return self._iterate_iterable(draws)
        groups = iter(
            self.sampler if self.batch_sampler is None else self.batch_sampler
        )
        if self.num_workers:
            return self._iterate_ahead(groups, draws)
        return (self._load(group, draws) for group in groups)

    def _next_pass(self) -> dict[str, int]:
        """What decides the draws of a pass: its number, the same as its sampler's, and the
        seed."""
        sampler = getattr(self.batch_sampler, "sampler", self.sampler)
        generator = self.generator or default_generator
        number = self.epoch
        if number is not None:
            self.epoch = number + 1
            if hasattr(sampler, "epoch"):
                sampler.epoch = number
        elif isinstance(sampler, DrawnSampler):
            # taken when it is iterated over
            number = sampler.next_number()
        else:
            # nothing is drawn without a transform
            number = generator.next_pass() if self.transform is not None else 0
        return {"epoch": number, "seed": generator.initial_seed()}

    def _iterate_iterable(self, draws: dict[str, int]) -> Iterator[Any]:
        batch: list[Any] = []
        seen = 0
        for sample in self.dataset:
            seen += 1
            if self.batch_size is None:
                yield self._single(sample)
                continue
            batch.append(sample)
            if len(batch) == self.batch_size:
                yield self._finish(
                    self._collate(batch), range(seen - len(batch), seen), draws
                )
                batch = []
        if batch and not self.drop_last:
            yield self._finish(
                self._collate(batch), range(seen - len(batch), seen), draws
            )

    def _iterate_ahead(
        self, groups: Iterator[Any], draws: dict[str, int]
    ) -> Iterator[Any]:
        """Batches in their order, prepared by threads."""
        waiting: deque[Future[Any]] = deque()
        with ThreadPoolExecutor(self.num_workers) as pool:
            if self.worker_init_fn is not None:
                for worker in range(self.num_workers):
                    self.worker_init_fn(worker)
            for group in groups:
                waiting.append(pool.submit(self._load, group, draws))
                if len(waiting) >= self.num_workers * self.prefetch_factor:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()

    def _load(self, group: Any, draws: dict[str, int]) -> Any:
        if self.batch_sampler is None:
            return self._single(self.dataset[group])
        if hasattr(self.dataset, "fetch") and self.collate_fn is None:
            batch = self.dataset.fetch(tensor(group))
        else:
            batch = self._collate([self.dataset[i] for i in group])
        return self._finish(batch, group, draws)

    def _single(self, sample: Any) -> Any:
        return sample if self.collate_fn is None else self.collate_fn(sample)

    def _collate(self, samples: list[Any]) -> Any:
        return (self.collate_fn or default_collate)(samples)

    def _finish(self, batch: Any, samples: Any, draws: dict[str, int]) -> Any:
        if self.transform is None:
            return batch
        return self.transform(batch, samples=tensor(list(samples)), **draws)
