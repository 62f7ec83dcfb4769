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
    "Facts",
    "Forward",
    "Gradient",
    "Inference",
    "Prepared",
    "Product",
    "Row",
    "Sample",
    "Step",
    "Unsupported",
    "Update",
    "Work",
]

# a network from the modules of a library with PyTorch's names (`nn`) and its `cat`
Build = Callable[[Any, Any], Any]


class Unsupported(Exception):
    """Something can't be measured: the library can't do the work, or what it takes is not
    there; the text says why."""


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
class Gradient:
    """The same, recorded, and the gradients of its floating arrays.

    The output's gradient is `normal(3, ...)`, as in `Backward`.
    """

    name: str
    arrays: tuple[np.ndarray, ...]
    attributes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Update:
    """A step of an optimizer, by PyTorch's name, over one parameter with a gradient."""

    name: str
    parameter: np.ndarray
    attributes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Sample:
    """A sample of one of our op records; `backward`: with gradients of its inputs."""

    op: str
    number: int
    backward: bool


Work = (
    Step | Inference | Forward | Backward | Product | Call | Gradient | Update | Sample
)


@dataclass(frozen=True)
class Facts:
    """What is known of a row without making its work."""

    name: str
    # how far results may differ, relative to the largest
    tolerance: float = 1e-3
    # floating operations and bytes of a call that can't be avoided, where they are known
    flops: float = 0.0
    bytes: float = 0.0


@dataclass(frozen=True)
class Row:
    """One line of a table."""

    facts: Facts
    work: Callable[[], Work]
