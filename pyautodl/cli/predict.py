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

SIZE = 28
SHOWN = 3


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
    """An image file as the network was trained: grey, 28x28, light on dark.

    Returns:
        The pixels from 0 to 255, float32, and what was done to them.

    Raises:
        ImportError: Pillow is not installed.
        FileNotFoundError: there is no such file.
        ValueError: it is no image.
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
    return _as_trained(image)


def _as_trained(image: Any) -> tuple[np.ndarray[Any, Any], list[str]]:
    from PIL import Image

    done = []
    if image.mode != "L":
        if "A" in image.getbands() or "transparency" in image.info:
            # what shows through is paper
            paper = Image.new("RGBA", image.size, "white")
            image = Image.alpha_composite(paper, image.convert("RGBA"))
        image = image.convert("L")
        done.append("made grey")
    border = _border(np.asarray(image, np.float32))
    if border > 127:
        image = image.point(lambda value: 255 - value)
        border = 255 - border
        done.append("inverted, as it was dark on light")
    if image.size != (SIZE, SIZE):
        done.append(f"resized from {image.size[0]}x{image.size[1]}")
        side = max(image.size)
        square = Image.new("L", (side, side), int(border))
        left, top = ((side - size) // 2 for size in image.size)
        square.paste(image, (left, top))
        image = square.resize(
            (SIZE, SIZE),
            Image.Resampling.BOX if side > SIZE else Image.Resampling.BICUBIC,
        )
    return np.asarray(image, np.float32), done


def _border(pixels: np.ndarray[Any, Any]) -> float:
    """The usual brightness of the edge: that of the paper."""
    edges = (pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1])
    return float(np.median(np.concatenate(edges)))
