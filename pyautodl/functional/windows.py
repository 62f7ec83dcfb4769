"""Windows that fade a piece of a signal in and out."""

from __future__ import annotations

import math
from typing import Any

from pyautodl.functional.creation import arange, full, full_like, ones_like
from pyautodl.functional.eltwise import cos, i0, sqrt
from pyautodl.ops.integers import integer
from pyautodl.tensor import Tensor, explained, get_default_dtype

__all__ = [
    "bartlett_window",
    "blackman_window",
    "hamming_window",
    "hann_window",
    "kaiser_window",
]


def _steps(
    name: str, length: int, periodic: bool, dtype: Any, device: Any, whole: float
) -> Tensor:
    """Where the numbers of a window lie from 0 to `whole`; a single one in the middle."""
    length = integer(name, "window_length", length)
    if length < 0:
        raise ValueError(f"{name}: window_length must not be negative, got {length}")
    dtype = get_default_dtype() if dtype is None else dtype
    if length < 2:
        return full((length,), whole / 2, dtype=dtype, device=device)
    step = whole / (length - (not periodic))
    return arange(length, dtype=dtype, device=device) * step


def _waves(
    name: str, length: int, periodic: bool, dtype: Any, device: Any, *shares: float
) -> Tensor:
    """The sum of cosines of 0, 1, 2, ... periods in the length, each with its share."""
    angle = _steps(name, length, periodic, dtype, device, 2 * math.pi)
    if angle.shape[0] < 2:
        return ones_like(angle)
    window = full_like(angle, shares[0])
    for periods, share in enumerate(shares[1:], 1):
        window = window + cos(angle * periods) * share
    return window


@explained
def hann_window(
    window_length: int,
    periodic: bool = True,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Return half of 1 minus a cosine, which begins at 0.

    Args:
        window_length: how many numbers.
        periodic: the number after the last would be the first again; else the window is
            symmetric.
        dtype: the element type.
        device: 'cpu'.
        requires_grad: whether it is a leaf that wants a gradient.

    Raises:
        ValueError: the length is negative.

    Example:
        >>> import pyautodl as ad
        >>> ad.hann_window(5, periodic=False)
        tensor([0.0000, 0.5000, 1.0000, 0.5000, 0.0000])
    """
    window = _waves("hann_window", window_length, periodic, dtype, device, 0.5, -0.5)
    return window.requires_grad_(requires_grad)


@explained
def hamming_window(
    window_length: int,
    periodic: bool = True,
    alpha: float = 0.54,
    beta: float = 0.46,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Return alpha minus beta times a cosine.

    Args:
        window_length: how many numbers.
        periodic: the number after the last would be the first again; else the window is
            symmetric.
        alpha: the middle.
        beta: the share of the cosine.
        dtype: the element type.
        device: 'cpu'.
        requires_grad: whether it is a leaf that wants a gradient.

    Raises:
        ValueError: the length is negative.

    Example:
        >>> import pyautodl as ad
        >>> ad.hamming_window(4)
        tensor([0.0800, 0.5400, 1.0000, 0.5400])
    """
    window = _waves(
        "hamming_window", window_length, periodic, dtype, device, alpha, -beta
    )
    return window.requires_grad_(requires_grad)


@explained
def blackman_window(
    window_length: int,
    periodic: bool = True,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Return a window of two cosines, which is flat where it begins.

    Args:
        window_length: how many numbers.
        periodic: the number after the last would be the first again; else the window is
            symmetric.
        dtype: the element type.
        device: 'cpu'.
        requires_grad: whether it is a leaf that wants a gradient.

    Raises:
        ValueError: the length is negative.

    Example:
        >>> import pyautodl as ad
        >>> ad.blackman_window(4)[1:]
        tensor([0.3400, 1.0000, 0.3400])
    """
    window = _waves(
        "blackman_window", window_length, periodic, dtype, device, 0.42, -0.5, 0.08
    )
    return window.requires_grad_(requires_grad)


@explained
def bartlett_window(
    window_length: int,
    periodic: bool = True,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Return a window that rises and falls along straight lines.

    Args:
        window_length: how many numbers.
        periodic: the number after the last would be the first again; else the window is
            symmetric.
        dtype: the element type.
        device: 'cpu'.
        requires_grad: whether it is a leaf that wants a gradient.

    Raises:
        ValueError: the length is negative.

    Example:
        >>> import pyautodl as ad
        >>> ad.bartlett_window(4)
        tensor([0.0000, 0.5000, 1.0000, 0.5000])
    """
    steps = _steps("bartlett_window", window_length, periodic, dtype, device, 2.0)
    return (1 - (steps - 1).abs()).requires_grad_(requires_grad)


@explained
def kaiser_window(
    window_length: int,
    periodic: bool = True,
    beta: float = 12.0,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Return a window of Bessel functions, whose energy lies in few frequencies.

    Args:
        window_length: how many numbers.
        periodic: the number after the last would be the first again; else the window is
            symmetric.
        beta: how fast it fades.
        dtype: the element type.
        device: 'cpu'.
        requires_grad: whether it is a leaf that wants a gradient.

    Raises:
        ValueError: the length is negative.

    Example:
        >>> import pyautodl as ad
        >>> ad.kaiser_window(5, periodic=False, beta=2.0)
        tensor([0.4387, 0.8348, 1.0000, 0.8348, 0.4387])
    """
    steps = _steps("kaiser_window", window_length, periodic, dtype, device, 2.0)
    circle = (1 - (steps - 1).square()).clamp(min=0.0)
    window = i0(sqrt(circle) * beta) / i0(steps.new_full((), float(beta)))
    return window.requires_grad_(requires_grad)
