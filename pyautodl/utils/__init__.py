"""PyTorch's path to the data tools."""

from pyautodl.utils import data
