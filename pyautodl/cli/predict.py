"""`pyautodl predict`: classifies image files."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

import pyautodl as ad
from pyautodl import nn
from pyautodl.cli.model_file import load_model
from pyautodl.functional.creation import tensor
from pyautodl.models import LSTMClassifier
from pyautodl.tensor import Tensor

__all__ = ["prepare", "run"]

SIZE, WRITTEN = 28, 20
SHOWN = 3
# a range of brightness below which nothing is written
FAINT = 16


def run(options: argparse.Namespace) -> int:
    """Classify each image and print the likeliest classes."""
    model, normalizer, classes = load_model(options.model)
    if not classes:
        raise ValueError(
            f"predict: {str(options.model)!r} holds a {type(model).__name__}, which is no "
            "classifier; expected the model of `pyautodl demo` or `pyautodl demo lstm`"
        )
    for path in options.images:
        pixels, done = prepare(path)
        scores = _scores(model, normalizer(tensor(pixels)[None, None]))
        order = scores.argsort(descending=True).tolist()[:SHOWN]
        likely = ", ".join(f"{classes[i]} {scores[i].item():.1%}" for i in order)
        print(f"{path}: {likely}   ({'; '.join(done) or 'as it is'})")
    return 0


def _scores(model: nn.Module, image: Tensor) -> Tensor:
    with ad.no_grad():
        batch = image.squeeze(1) if isinstance(model, LSTMClassifier) else image
        return model(batch).softmax(1)[0]


def prepare(path: Path) -> tuple[np.ndarray[Any, Any], list[str]]:
    """An image file as the network was trained: grey, 28x28, light on dark. Of other sizes
    the digit is cut out and centred.

    Returns:
        The pixels from 0 to 255, float32, and what was done to them.

    Raises:
        ImportError: Pillow is not installed.
        FileNotFoundError: there is no such file.
        ValueError: it is no image, or there is nothing on it.
    """
    try:
        from PIL import Image, UnidentifiedImageError
    except ImportError as error:
        raise ImportError(
            "predict: Pillow is not installed; pip install 'pyautodl[plot]'"
        ) from error
    if not path.is_file():
        raise FileNotFoundError(f"predict: there is no file {str(path)!r}")
    try:
        image = Image.open(path)
        image.load()
    except (UnidentifiedImageError, OSError) as error:
        raise ValueError(f"predict: {str(path)!r} is no image ({error})") from error
    try:
        return _as_trained(image)
    except ValueError as error:
        raise ValueError(f"predict: {str(path)!r}: {error}") from error


def _as_trained(image: Any) -> tuple[np.ndarray[Any, Any], list[str]]:
    done = []
    if image.mode != "L":
        done.append("made grey")
    pixels = np.asarray(_grey(image), np.float32)
    if pixels.max() - pixels.min() < FAINT:
        raise ValueError("it has one colour, so there is nothing to read")
    border = _border(pixels)
    if border > 127:
        pixels, border = 255 - pixels, 255 - border
        done.append("inverted, as it was dark on light")
    if pixels.shape != (SIZE, SIZE):
        done.append(f"cut out of {image.size[0]}x{image.size[1]} and centred")
        pixels = _centred(np.maximum(pixels - border, 0))
    return pixels, done


def _grey(image: Any) -> Any:
    """The image with one number from 0 to 255 a pixel."""
    from PIL import Image

    if image.mode.startswith("I"):
        # 16 bits, which Pillow would cut off at 255
        return Image.fromarray((np.asarray(image) / 257).astype(np.uint8))
    if "A" in image.getbands() or "transparency" in image.info:
        # what shows through is paper
        paper = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(paper, image.convert("RGBA"))
    return image.convert("L")


def _centred(ink: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """What is written, light on black, as MNIST has it: 20 pixels large, its centre of mass
    in the middle of 28.
    """
    from PIL import Image

    rows, columns = (np.flatnonzero((ink > ink.max() / 2).any(axis)) for axis in (1, 0))
    cut = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    scale = WRITTEN / max(cut.shape)
    height, width = (max(1, round(n * scale)) for n in cut.shape)
    method = Image.Resampling.BOX if scale < 1 else Image.Resampling.BICUBIC
    small = Image.fromarray(cut / ink.max() * 255).resize((width, height), method)
    found = np.clip(np.asarray(small, np.float32), 0, 255)
    y, x = (
        (found.sum(1 - axis) * (np.arange(n) + 0.5)).sum() / found.sum()
        for axis, n in enumerate(found.shape)
    )
    top, left = (
        int(np.clip(round(SIZE / 2 - middle), 0, SIZE - n))
        for middle, n in ((y, height), (x, width))
    )
    placed = np.zeros((SIZE, SIZE), np.float32)
    placed[top : top + height, left : left + width] = found
    return placed


def _border(pixels: np.ndarray[Any, Any]) -> float:
    """The usual brightness of the edge: that of the paper."""
    edges = (pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1])
    return float(np.median(np.concatenate(edges)))
