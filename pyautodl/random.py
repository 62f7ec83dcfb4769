"""Generators of random numbers.

Numbers come from Philox4x32-10: number i of a seed is a pure function of both, so the
same seed gives the same numbers on any number of threads. They are not PyTorch's.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from pyautodl import backends
from pyautodl.backends.dtypes import int64, uint8
from pyautodl.errors import describe
from pyautodl.ops.integers import as_seed
from pyautodl.tensor import Tensor, make
from pyautodl.tensor import device as _device

__all__ = [
    "Generator",
    "default_generator",
    "fork_rng",
    "get_rng_state",
    "initial_seed",
    "manual_seed",
    "seed",
    "set_rng_state",
]

# what a new Generator starts with, as in PyTorch
_DEFAULT_SEED = 67280421310721
_STATE_BYTES = 32
_STATE_BYTES_BEFORE_PASSES = 24


class Generator:
    """A source of random numbers with a state of its own.

    Passes over data have numbers apart from these, so that their order does not depend
    on what else was drawn: see `next_pass`.

    Args:
        device: 'cpu'.

    Example:
        >>> import pyautodl as ad
        >>> g = ad.Generator().manual_seed(0)
        >>> a = ad.rand(3, generator=g)
        >>> bool((a == ad.rand(3, generator=g.manual_seed(0))).all())
        True
    """

    __slots__ = ("__weakref__", "array", "passes")

    def __init__(self, device: Any = "cpu") -> None:
        _device(device)
        # seed, stream, offset: kernels read it and advance the offset
        self.array = backends.empty((3,), int64)
        self.manual_seed(_DEFAULT_SEED)

    @property
    def device(self) -> _device:
        """Where its numbers are made: the CPU."""
        return _device()

    def manual_seed(self, seed: int) -> Generator:
        """Start again from a seed, from -2**63 to 2**64 - 1."""
        self.array.numpy()[...] = (as_seed("manual_seed", seed), 0, 0)
        self.passes = 0
        return self

    def set_stream(self, stream: int) -> Generator:
        """Start another sequence of the same seed; streams share no numbers."""
        self.array.numpy()[1:] = (stream, 0)
        return self

    def next_pass(self) -> int:
        """Return the number of the next pass over data, counted since the seed was set.

        Loaders and samplers take one for each pass: seed and number decide its order.
        """
        self.passes += 1
        return self.passes - 1

    def initial_seed(self) -> int:
        """Return the seed."""
        return int(self.array.numpy()[0]) % 2**64

    def seed(self) -> int:
        """Start again from a seed that the system draws, and return it."""
        drawn = int.from_bytes(os.urandom(8), "little")
        self.manual_seed(drawn)
        return drawn

    def get_state(self) -> Tensor:
        """Return the state, as bytes: seed, stream, offset and passes over data."""
        state = backends.empty((_STATE_BYTES,), uint8)
        state.numpy().view(np.int64)[...] = (*self.array.numpy(), self.passes)
        return make(state, None, False)

    def set_state(self, new_state: Tensor) -> None:
        """Go back to a state that `get_state` gave.

        Raises:
            ValueError: it is no such state.
        """
        if not isinstance(new_state, Tensor):
            raise TypeError(
                f"set_state: expected what get_state() gives, got {describe(new_state)}"
            )
        state = new_state._array
        sizes = (_STATE_BYTES,), (_STATE_BYTES_BEFORE_PASSES,)
        if state.dtype is not uint8 or state.shape not in sizes:
            raise ValueError(
                f"set_state: expected the {_STATE_BYTES} bytes of get_state(), got "
                f"{state.dtype.name} of shape {state.shape}"
            )
        numbers = np.ascontiguousarray(state.numpy()).view(np.int64)
        _take(self, numbers.tolist())

    def clone_state(self) -> Generator:
        """Return another generator in the same state."""
        twin = Generator()
        twin.set_state(self.get_state())
        return twin

    def __repr__(self) -> str:
        return f"Generator(seed={self.initial_seed()})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, ([*self.array.numpy().tolist(), self.passes],)


def _restore(state: list[int]) -> Generator:
    generator = Generator()
    _take(generator, state)
    return generator


def _take(generator: Generator, state: list[int]) -> None:
    """Put a state's numbers in; those of earlier versions have no passes."""
    generator.array.numpy()[...] = state[:3]
    generator.passes = state[3] if len(state) > 3 else 0


default_generator = Generator()
default_generator.seed()


def manual_seed(seed: int) -> Generator:
    """Start the default generator again from a seed, and return it.

    Args:
        seed: from -2**63 to 2**64 - 1.

    Example:
        >>> import pyautodl as ad
        >>> ad.manual_seed(0).initial_seed()
        0
    """
    return default_generator.manual_seed(seed)


def seed() -> int:
    """Start the default generator from a seed that the system draws, and return it.

    Example:
        >>> import pyautodl as ad
        >>> ad.seed() == ad.initial_seed()
        True
    """
    return default_generator.seed()


def initial_seed() -> int:
    """Return the seed of the default generator.

    Example:
        >>> import pyautodl as ad
        >>> _ = ad.manual_seed(7)
        >>> ad.initial_seed()
        7
    """
    return default_generator.initial_seed()


def get_rng_state() -> Tensor:
    """Return the state of the default generator, as bytes.

    Example:
        >>> import pyautodl as ad
        >>> state = ad.get_rng_state()
        >>> a = ad.rand(2)
        >>> ad.set_rng_state(state)
        >>> bool((a == ad.rand(2)).all())
        True
    """
    return default_generator.get_state()


def set_rng_state(new_state: Tensor) -> None:
    """Put the default generator back into a state that `get_rng_state` gave.

    Example:
        >>> import pyautodl as ad
        >>> ad.set_rng_state(ad.get_rng_state())
    """
    default_generator.set_state(new_state)


@contextmanager
def fork_rng(devices: Iterable[Any] = (), enabled: bool = True) -> Iterator[None]:
    """Give the default generator back its state when the block ends.

    Example:
        >>> import pyautodl as ad
        >>> state = ad.get_rng_state()
        >>> with ad.random.fork_rng():
        ...     _ = ad.rand(2)
        >>> bool((state == ad.get_rng_state()).all())
        True
    """
    state = get_rng_state() if enabled else None
    try:
        yield
    finally:
        if state is not None:
            set_rng_state(state)
