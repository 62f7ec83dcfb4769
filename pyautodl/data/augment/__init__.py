"""Augmentation whose draws depend on seed, epoch and sample alone.

Names and arguments are those of torchvision.transforms.v2. A transform works on a batch,
though, as a DataLoader calls it, and `images` names the members it changes.

base.py has what transforms share and how several follow each other, moves.py what moves
pixels, with masks of the same images, and pixels.py what changes their values.
"""

from pyautodl.data.augment.base import Compose
from pyautodl.data.augment.moves import (
    RandomAffine,
    RandomCrop,
    RandomHorizontalFlip,
    RandomResizedCrop,
    RandomRotation,
    RandomShift,
    RandomVerticalFlip,
)
from pyautodl.data.augment.pixels import ColorJitter, GaussianNoise, RandomErasing
