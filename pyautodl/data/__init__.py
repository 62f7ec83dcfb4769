"""Data: datasets, loaders, splits, normalisation, augmentation."""

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
