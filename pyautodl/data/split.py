"""Splits into training, validation and test parts."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from pyautodl.backends.dtypes import int64
from pyautodl.data.dataset import Dataset, Subset, TensorDataset
from pyautodl.data.sampler import permutation
from pyautodl.errors import ShapeError, warn
from pyautodl.functional.creation import as_tensor, tensor
from pyautodl.functional.random import randperm
from pyautodl.random import Generator
from pyautodl.tensor import Tensor

__all__ = ["random_split", "split_indices", "train_validation_test_split"]

MODES = ("random", "tail", "group", "time")
# classes that a warning lists
_SHOWN = 10


def train_validation_test_split(
    *arrays: Any,
    validation: float | int = 0.1,
    test: float | int = 0.2,
    stratify: Any = "auto",
    split: str = "random",
    groups: Any = None,
    times: Any = None,
    seed: int = 0,
) -> tuple[TensorDataset, TensorDataset, TensorDataset]:
    """Split samples into a training, a validation and a test part.

    By default samples are shuffled by `seed`, and each class (the last array, if it
    holds integers) has its share in every part. A part may be empty: with a share of 0,
    or of so few samples that none is left for it. Groups stay whole, so that parts are
    smaller than their shares where no group fits into the rest.

    Args:
        arrays: tensors or arrays of shape (n, ...), the labels last.
        validation: share of the samples, or with an int their number (a class, where
            stratified).
        test: the same for the test part.
        stratify: labels to balance by, "auto" or None.
        split: "random"; "tail", the last samples are validation and test; "group", no
            group is in two parts; "time", the latest are validation and test.
        groups: the group of each sample, for "group".
        times: the time of each sample, for "time".
        seed: decides the shuffling.

    Raises:
        TypeError: a dataset is given, not what it is made of.
        ShapeError: the first sizes differ.
        ValueError: the shares do not leave a training part, a class has too few samples to
            stratify, no group fits into a part, or the mode lacks its argument.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl.data import train_validation_test_split
        >>> x, y = ad.rand(20, 3), ad.arange(20) % 2
        >>> [len(part) for part in train_validation_test_split(x, y)]
        [14, 2, 4]
    """
    for each in arrays:
        if isinstance(each, tuple) and any(hasattr(part, "shape") for part in each):
            raise TypeError(
                "split: expected tensors or arrays, got a tuple of them; likely fix: (*data) "
                "in place of (data)"
            )
        if isinstance(each, Dataset):
            raise TypeError(
                f"split: expected tensors or arrays, got a {type(each).__name__}; likely fix: "
                "the tensors it is made of, or data.random_split"
            )
    tensors = [as_tensor(each) for each in arrays]
    n = len(tensors[0]) if tensors else 0
    if any(len(each) != n for each in tensors):
        raise ShapeError(
            f"split: first sizes differ: {[tuple(each.shape) for each in tensors]}"
        )
    labels = _labels(tensors, stratify)
    parts = split_indices(
        n,
        validation=validation,
        test=test,
        labels=labels if split == "random" else None,
        split=split,
        groups=groups,
        times=times,
        seed=seed,
    )
    if labels is not None:
        _warn_missing(labels, parts, balanced=split == "random")
    train, valid, held = (
        TensorDataset(*[each.index_select(0, rows) for each in tensors])
        for rows in (tensor(part, dtype=int64) for part in parts)
    )
    return train, valid, held


def split_indices(
    n: int,
    *,
    validation: float | int = 0.1,
    test: float | int = 0.2,
    labels: Any = None,
    split: str = "random",
    groups: Any = None,
    times: Any = None,
    seed: int = 0,
) -> tuple[list[int], list[int], list[int]]:
    """The sample numbers of the parts; arguments as `train_validation_test_split`.

    Example:
        >>> from pyautodl.data import split_indices
        >>> split_indices(5, validation=1, test=1, split="tail")
        ([0, 1, 2], [3], [4])
    """
    if split not in MODES:
        raise ValueError(f"split: expected one of {MODES}, got {split!r}")
    if n == 0:
        raise ValueError("split: there are no samples")
    if split == "group":
        return _split_groups(n, groups, validation, test, seed)
    if split == "time":
        if times is None:
            raise ValueError("split: 'time' needs times")
        order = np.argsort(_numbers(times, n, "times"), kind="stable").tolist()
    elif split == "tail":
        order = list(range(n))
    else:
        order = permutation(n, seed, 0)
    if labels is None:
        return _cut(order, validation, test)
    return _split_classes(order, _numbers(labels, n, "labels"), validation, test)


def random_split(
    dataset: Any, lengths: Sequence[float | int], generator: Generator | None = None
) -> list[Subset]:
    """Split a dataset at random into parts of given lengths or shares.

    Args:
        dataset: what to split.
        lengths: of the parts, or their shares, which add up to 1.
        generator: what the order is drawn from, so that each split is another one;
            default: the default one.

    Raises:
        ValueError: a length is negative, or they do not add up.

    Example:
        >>> from pyautodl.data import random_split
        >>> [len(part) for part in random_split(range(10), [7, 3])]
        [7, 3]
    """
    n = len(dataset)
    if any(each < 0 for each in lengths):
        raise ValueError(f"random_split: lengths {list(lengths)} must not be negative")
    sizes = [int(each) for each in lengths]
    if abs(sum(lengths) - 1) < 1e-9:
        sizes = [int(n * each) for each in lengths]
        for i in range(n - sum(sizes)):
            sizes[i % len(sizes)] += 1
    if sum(sizes) != n:
        raise ValueError(f"random_split: lengths {list(lengths)} do not add up to {n}")
    order = randperm(n, generator=generator).tolist()
    starts = np.cumsum([0, *sizes]).tolist()
    return [Subset(dataset, order[a:b]) for a, b in itertools.pairwise(starts)]


def _labels(tensors: list[Tensor], stratify: Any) -> np.ndarray[Any, Any] | None:
    if stratify is None:
        return None
    if not (isinstance(stratify, str) and stratify == "auto"):
        return np.asarray(
            stratify.tolist() if isinstance(stratify, Tensor) else stratify
        )
    last = tensors[-1]
    if len(tensors) < 2 or last.ndim != 1 or last.is_floating_point():
        return None
    return np.asarray(last.tolist())


def _numbers(values: Any, n: int, name: str) -> np.ndarray[Any, Any]:
    array = np.asarray(values.tolist() if isinstance(values, Tensor) else values)
    if array.shape != (n,):
        raise ShapeError(f"split: {name} has shape {array.shape}, expected ({n},)")
    return array


def _count(share: float | int, n: int, name: str) -> int:
    if isinstance(share, float):
        if not 0 <= share < 1:
            raise ValueError(f"split: {name} must be a share below 1, got {share}")
        return round(share * n)
    if share < 0:
        raise ValueError(f"split: {name} must not be negative, got {share}")
    return int(share)


def _cut(
    order: list[int], validation: float | int, test: float | int
) -> tuple[list[int], list[int], list[int]]:
    """The first are for training, then come validation and test."""
    n = len(order)
    held = _count(test, n, "test")
    valid = _count(validation, n, "validation")
    train = n - valid - held
    if train < 1:
        raise ValueError(
            f"split: {valid} validation and {held} test samples of {n} leave none to train"
        )
    return order[:train], order[train : train + valid], order[train + valid :]


def _split_classes(
    order: list[int],
    labels: np.ndarray[Any, Any],
    validation: float | int,
    test: float | int,
) -> tuple[list[int], list[int], list[int]]:
    """Each class has its share in every part; each part keeps the shuffled order."""
    names, sizes = np.unique(labels, return_counts=True)
    _check_classes(names.tolist(), sizes.tolist(), validation, test)
    part = np.zeros(len(order), np.int64)
    place = np.asarray(order)
    for each in names:
        members = place[labels[place] == each].tolist()
        _, valid, held = _cut(members, validation, test)
        part[valid] = 1
        part[held] = 2
    parts = part[place]
    return tuple(place[parts == k].tolist() for k in range(3))


def _check_classes(
    names: list[Any], sizes: list[int], validation: float | int, test: float | int
) -> None:
    """Refuse shares that the whole can't give, and then those that a class can't.

    A part that rounds to no sample of any class is refused if without classes it had some.
    """
    n, shares = sum(sizes), {"validation": validation, "test": test}
    whole = {
        name: _count(share, n, name) * (1 if isinstance(share, float) else len(names))
        for name, share in shares.items()
    }
    if sum(whole.values()) >= n:
        each = any(share and not isinstance(share, float) for share in shares.values())
        raise ValueError(
            f"split: {whole['validation']} validation and {whole['test']} test samples of "
            f"{n} leave none to train"
            + (
                ", as numbers count for each class; stratify=None counts all"
                if each
                else ""
            )
        )
    counts = [[_count(s, size, name) for name, s in shares.items()] for size in sizes]
    for name, size, (valid, held) in zip(names, sizes, counts, strict=True):
        if valid + held >= size:
            wanted = f"{valid} in validation, {held} in test and one to train"
            raise _too_few(f"class {name!r}", size, wanted)
    size, name = max(zip(sizes, names, strict=True), key=lambda each: each[0])
    for (part, share), of_classes in zip(
        shares.items(), zip(*counts, strict=True), strict=True
    ):
        if whole[part] and not any(of_classes):
            largest = f"the largest class, {name!r},"
            raise _too_few(largest, size, f"one in {part} at a share of {share}")


def _too_few(subject: str, size: int, wanted: str) -> ValueError:
    plural = "" if size == 1 else "s"
    return ValueError(
        f"split: {subject} has {size} sample{plural}, too few for {wanted}; pass "
        "stratify=None to split without regard to classes"
    )


def _split_groups(
    n: int, groups: Any, validation: float | int, test: float | int, seed: int
) -> tuple[list[int], list[int], list[int]]:
    """Whole groups go into a part until it has its share."""
    if groups is None:
        raise ValueError("split: 'group' needs groups")
    of = _numbers(groups, n, "groups")
    names = np.unique(of)
    wanted = {2: _count(test, n, "test"), 1: _count(validation, n, "validation")}
    part = np.zeros(n, np.int64)
    for number in permutation(len(names), seed, 0):
        members = of == names[number]
        for k in (2, 1):
            if int((part == k).sum()) + int(members.sum()) <= wanted[k]:
                part[members] = k
                break
    if not (part == 0).any():
        raise ValueError("split: the groups leave no samples to train")
    for k, name in ((1, "validation"), (2, "test")):
        if wanted[k] and not (part == k).any():
            sizes = np.unique(of, return_counts=True)[1]
            raise ValueError(
                f"split: no group is left that is small enough for the {wanted[k]} samples "
                f"of the {name} part; the {len(names)} groups have {sizes.min()} to "
                f"{sizes.max()}; give a larger share, or 0"
            )
    return tuple(np.flatnonzero(part == k).tolist() for k in range(3))  # type: ignore[return-value]


def _warn_missing(
    labels: np.ndarray[Any, Any], parts: Sequence[list[int]], balanced: bool
) -> None:
    names = ("training", "validation", "test")
    sizes = Counter(labels.tolist())
    cure = "; stratify=None splits without regard to classes" if balanced else ""
    for name, part in zip(names, parts, strict=True):
        missing = sorted(set(sizes) - set(labels[part].tolist()))
        if part and missing:
            counts = [sizes[each] for each in missing]
            warn(
                f"split: the {name} part has no sample of class {_some(missing)}, of which "
                f"there are {_some(counts)} in all{cure}"
            )


def _some(values: list[Any]) -> str:
    """The first few of a list that may be long."""
    text = str(values[:_SHOWN])
    return text if len(values) <= _SHOWN else f"{text[:-1]}, ... ({len(values)})]"
