"""`pyautodl.data` under PyTorch's path."""

from pyautodl.data import *
