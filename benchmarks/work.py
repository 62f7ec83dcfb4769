"""What can be measured: descriptions that say nothing of how a library does it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

__all__ = [
    "Backward",
    "Call",
    "Forward",
    "Inference",
    "Prepared",
    "Product",
    "Sample",
    "Step",
    "Unsupported",
    "Work",
]

# a network from the modules of a library with PyTorch's names (`nn`) and its `cat`
Build = Callable[[Any, Any], Any]


class Unsupported(Exception):
    """The library can't do this work, or is not installed; the text says why."""


class Prepared(NamedTuple):
    """A call to time and its results, to be compared between libraries.

    `within` makes the context in which a turn's calls run.
    """

    call: Callable[[], object]
    results: Callable[[], list[np.ndarray]]
    within: Callable[[], AbstractContextManager[object]] = nullcontext


@dataclass(frozen=True)
class Step:
    """A training step: zero_grad, forward, loss, backward, SGD(0.01, momentum 0.9).

    Without a target the loss is the squared error to the input, else cross-entropy. The
    results are the losses of the first three steps.
    """

    build: Build
    x: np.ndarray
    target: np.ndarray | None


@dataclass(frozen=True)
class Inference:
    """A forward pass in evaluation mode that records nothing."""

    build: Build
    x: np.ndarray


@dataclass(frozen=True)
class Forward:
    """A forward pass in training mode that records nothing."""

    build: Build
    x: np.ndarray


@dataclass(frozen=True)
class Backward:
    """A forward pass in training mode, and gradients of input and parameters.

    The output's gradient is `normal(3, ...)`: what follows from the output itself may
    cancel, as in a normalisation.
    """

    build: Build
    x: np.ndarray


@dataclass(frozen=True)
class Product:
    """The matrix product a @ b."""

    a: np.ndarray
    b: np.ndarray


@dataclass(frozen=True)
class Call:
    """A function by PyTorch's name on arrays, recording nothing."""

    name: str
    arrays: tuple[np.ndarray, ...]
    attributes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Sample:
    """A sample of one of our op records; `backward`: with gradients of its inputs."""

    op: str
    number: int
    backward: bool


Work = Step | Inference | Forward | Backward | Product | Call | Sample
