"""The weights that a network starts from in every library."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

__all__ = ["initial_state", "normal"]


def normal(seed: int, *shape: int) -> np.ndarray:
    """Random numbers of a fixed seed, in single precision."""
    return np.random.default_rng(seed).standard_normal(shape, np.float32)


def initial_state(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
    """He's weights from a fixed seed, unit scales and zero shifts, for a state_dict.

    Args:
        shapes: the key of each entry and its shape, in the order of the state_dict.
    """
    rng = np.random.default_rng(0)
    state = {}
    for key, shape in shapes.items():
        if "num_batches_tracked" in key:
            state[key] = np.zeros(shape, np.int64)
        elif key.endswith("running_var") or (len(shape) == 1 and _is_weight(key)):
            state[key] = np.ones(shape, np.float32)
        elif len(shape) == 1:
            state[key] = np.zeros(shape, np.float32)
        else:
            scale = np.sqrt(2 / np.prod(shape[1:]), dtype=np.float32)
            state[key] = rng.standard_normal(shape, np.float32) * scale
    return state


def _is_weight(key: str) -> bool:
    return key.endswith("weight")
