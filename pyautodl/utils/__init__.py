"""PyTorch's path to the data tools and to checkpoint."""

from pyautodl.utils import checkpoint, data
