"""Data: datasets, loaders, splits, normalisation, augmentation."""

import importlib
from typing import Any

from pyautodl.data.augment import (
    ColorJitter,
    Compose,
    GaussianNoise,
    RandomAffine,
    RandomCrop,
    RandomErasing,
    RandomHorizontalFlip,
    RandomResizedCrop,
    RandomRotation,
    RandomShift,
    RandomVerticalFlip,
)
from pyautodl.data.dataset import (
    ConcatDataset,
    Dataset,
    IterableDataset,
    StackDataset,
    Subset,
    TensorDataset,
    as_dataset,
)
from pyautodl.data.digits import load_digits
from pyautodl.data.loader import DataLoader, default_collate, get_worker_info
from pyautodl.data.normalize import Normalizer
from pyautodl.data.sampler import (
    BatchSampler,
    RandomSampler,
    Sampler,
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
    permutation,
)
from pyautodl.data.split import (
    random_split,
    split_indices,
    train_validation_test_split,
)


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    transforms = importlib.import_module("pyautodl.data.transforms")
    if name == "transforms":
        return transforms
    raise transforms.instead(__name__, name)
