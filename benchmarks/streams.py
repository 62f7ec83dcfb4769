"""Rows on arrays that no cache holds: what they take is what memory takes, at best.

A row's bytes are those that must pass: each input read once and each result written once,
by the algorithm with the fewest passes. A batch norm in training must read its input twice.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from benchmarks.weights import normal
from benchmarks.work import Call, Facts, Gradient, Row, Update, Work

__all__ = ["rows"]

_BYTES = 2**26
# elements of a row of a matrix
_COLUMNS = 1024
# of a class number
_LABEL_BYTES = 8
# channels and area of a batch of images
_IMAGE = (64, 64, 64)

# name -> how many arrays it reads
_MAPS = {
    "relu": 1,
    "sigmoid": 1,
    "tanh": 1,
    "gelu": 1,
    "silu": 1,
    "softplus": 1,
    "elu": 1,
    "exp": 1,
    "log": 1,
    "log1p": 1,
    "sqrt": 1,
    "erf": 1,
    "sin": 1,
    "add": 2,
    "mul": 2,
    "div": 2,
    "pow": 2,
    "maximum": 2,
    "dropout": 1,
}
_MAPS_WITH_GRADIENTS = ("relu", "sigmoid", "tanh", "gelu", "silu", "softplus", "elu")
_REDUCTIONS = (
    "sum",
    "prod",
    "amax",
    "argmax",
    "logsumexp",
    "var",
    "std",
    "norm",
)
_REDUCTIONS_WITH_GRADIENTS = ("logsumexp", "var", "norm")
_SCANS = ("cumsum", "cumprod")
_LOSSES = ("mse_loss", "l1_loss", "binary_cross_entropy_with_logits", "huber_loss")
_OPTIMIZERS: dict[str, tuple[int, dict[str, Any]]] = {
    # the arrays that a step reads and writes
    "SGD": (3, {"lr": 0.01}),
    "SGD momentum": (5, {"lr": 0.01, "momentum": 0.9}),
    "Adam": (7, {"lr": 0.01}),
    "AdamW": (7, {"lr": 0.01}),
    "RMSprop": (5, {"lr": 0.01}),
    "Adagrad": (5, {"lr": 0.01}),
}


def rows(dtype: str) -> list[Row]:
    """All rows, for arrays of 64 MB of a floating type."""
    count = _BYTES // np.dtype(dtype).itemsize
    made = _Rows(dtype, (count // _COLUMNS, _COLUMNS))
    made.maps()
    made.reductions()
    made.softmax()
    made.losses()
    made.norms((count // int(np.prod(_IMAGE)), *_IMAGE))
    made.optimizers()
    return made.rows


class _Rows:
    """Collects rows.

    Args:
        dtype: of every array.
        shape: of a matrix.
    """

    def __init__(self, dtype: str, shape: tuple[int, int]) -> None:
        self.dtype = dtype
        self.shape = shape
        self.rows: list[Row] = []

    def _add(self, name: str, passes: float, work: Callable[[], Work]) -> None:
        """passes: over 64 MB."""
        facts = Facts(f"{name} {self.dtype}", 1e-3, bytes=passes * _BYTES)
        self.rows.append(Row(facts, work))

    def _arrays(self, *shapes: tuple[int, ...]) -> tuple[np.ndarray, ...]:
        """Of numbers in 0.5 .. 1.5, which every function takes."""
        return tuple(self._array(i, shape) for i, shape in enumerate(shapes))

    def _array(self, seed: int, shape: tuple[int, ...]) -> np.ndarray:
        if len(shape) == 4:  # images lie channels-last
            n, c, h, w = shape
            return (
                self._array(seed, (n * h * w, c))
                .reshape(n, h, w, c)
                .transpose(0, 3, 1, 2)
            )
        return (np.abs(normal(seed, *shape)) % 1 + 0.5).astype(self.dtype)

    def _call(
        self, title: str, name: str, passes: float, *shapes: tuple[int, ...], **how: Any
    ) -> None:
        self._add(title, passes, lambda: Call(name, self._arrays(*shapes), how))

    def _gradient(
        self, title: str, name: str, passes: float, *shapes: tuple[int, ...], **how: Any
    ) -> None:
        title = f"{title} with gradients"
        self._add(title, passes, lambda: Gradient(name, self._arrays(*shapes), how))

    def maps(self) -> None:
        for name, count in _MAPS.items():
            self._call(name, name, count + 1, *[self.shape] * count)
        for name in _MAPS_WITH_GRADIENTS:
            self._gradient(name, name, 5, self.shape)

    def reductions(self) -> None:
        for label, how in (
            ("rows", {"dim": 1}),
            ("columns", {"dim": 0}),
            ("all", {"dim": (0, 1)}),
        ):
            for name in _REDUCTIONS:
                if label != "all" or name not in ("prod", "argmax"):
                    self._call(f"{name} {label}", name, 1, self.shape, **how)
            for name in _SCANS if label != "all" else ():
                self._call(f"{name} {label}", name, 2, self.shape, **how)
        for name in _REDUCTIONS_WITH_GRADIENTS:
            self._gradient(f"{name} rows", name, 3, self.shape, dim=1)

    def softmax(self) -> None:
        few = (self.shape[0] * self.shape[1] // 16, 16)
        for name in ("softmax", "log_softmax"):
            # a column is in no cache when its sum is known
            for label, shape, axis, forward, backward in (
                ("rows", self.shape, 1, 2, 3),
                ("columns", self.shape, 0, 3, 5),
                ("rows of 16", few, 1, 2, 3),
            ):
                passes = forward + backward
                self._call(f"{name} {label}", name, forward, shape, dim=axis)
                self._gradient(f"{name} {label}", name, passes, shape, dim=axis)

    def losses(self) -> None:
        for name in _LOSSES:
            self._call(name, name, 2, self.shape, self.shape)
        for label, classes in (("1024 classes", 1024), ("16 classes", 16)):
            n = self.shape[0] * self.shape[1] // classes
            make = partial(self._classes, n, classes)
            title, labels = f"cross_entropy {label}", n * _LABEL_BYTES / _BYTES
            self._add(
                title, 1 + labels, lambda make=make: Call("cross_entropy", make())
            )
            self._add(
                f"{title} with gradients",
                3 + 2 * labels,
                lambda make=make: Gradient("cross_entropy", make()),
            )

    def _classes(self, n: int, classes: int) -> tuple[np.ndarray, ...]:
        target = np.random.default_rng(2).integers(0, classes, n)
        return (*self._arrays((n, classes)), target)

    def norms(self, image: tuple[int, ...]) -> None:
        width = [self.shape[1]]
        self._call("layer_norm", "layer_norm", 2, self.shape, normalized_shape=width)
        self._gradient(
            "layer_norm", "layer_norm", 5, self.shape, normalized_shape=width
        )
        channels = image[1]
        statistics = {"running_mean": None, "running_var": None, "training": True}
        for way, passes in ((self._call, 3), (self._gradient, 8)):
            way("batch_norm", "batch_norm", passes, image, **statistics)
        for way, passes in ((self._call, 3), (self._gradient, 8)):
            way("group_norm", "group_norm", passes, image, num_groups=channels // 8)
        # of each window one byte says which cell was the largest
        cells = int(np.prod(image)) / 4 / _BYTES
        for way, passes, told in ((self._call, 1.25, 0), (self._gradient, 2.5, 2)):
            most = passes + told * cells
            way("max_pool2d", "max_pool2d", most, image, kernel_size=2)
            way("avg_pool2d", "avg_pool2d", passes, image, kernel_size=2)
        self._call(
            "adaptive_avg_pool2d", "adaptive_avg_pool2d", 1, image, output_size=1
        )

    def optimizers(self) -> None:
        for title, (passes, how) in _OPTIMIZERS.items():
            name = title.split()[0]
            self._add(
                f"{title} step",
                passes,
                lambda name=name, how=how: Update(
                    name, self._arrays(self.shape)[0], how
                ),
            )
