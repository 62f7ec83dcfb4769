"""Signals at other sample rates."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np

from pyautodl.errors import DTypeError, ShapeError, describe
from pyautodl.functional.copy import pad
from pyautodl.functional.creation import tensor
from pyautodl.functional.networks.conv import conv1d
from pyautodl.ops.integers import integer
from pyautodl.tensor import Tensor, explained, not_tensor

__all__ = ["resample", "resampling_filters"]


@lru_cache(maxsize=16)
def resampling_filters(
    orig: int, new: int, zeros: int, rolloff: float, beta: float | None
) -> tuple[np.ndarray[Any, Any], int]:
    """A filter for each of `new` samples that `orig` samples become, and how many samples
    each needs before its own place.

    They are sinc functions, which keep what lies below half of the lower rate, faded out
    after `zeros` of their zeros.
    """
    # in cycles a sample of the lower rate, 1 is both halves
    band = min(orig, new) * rolloff
    reach = math.ceil(zeros * orig / band)
    places = np.arange(-reach, reach + orig) / orig
    distance = (places - np.arange(new)[:, None] / new) * band
    distance = np.clip(distance, -zeros, zeros)
    if beta is None:
        window = np.cos(distance * (np.pi / (2 * zeros))) ** 2
    else:
        window = np.i0(beta * np.sqrt(1 - (distance / zeros) ** 2)) / np.i0(beta)
    return np.sinc(distance) * window * (band / orig), reach


def check_rates(
    name: str, orig_freq: Any, new_freq: Any, method: str, beta: float | None
) -> tuple[int, int, float | None]:
    """The two rates without their common factor, and Kaiser's beta if its window is asked.

    Raises:
        ValueError: a rate is not positive or no integer, or the method is unknown.
    """
    if int(orig_freq) != orig_freq or int(new_freq) != new_freq:
        raise ValueError(
            f"{name}: the rates must be integers, got {orig_freq} and {new_freq}; likely "
            "fix: multiply both, their ratio counts"
        )
    if orig_freq < 1 or new_freq < 1:
        raise ValueError(
            f"{name}: the rates must be > 0, got {orig_freq} and {new_freq}"
        )
    if method not in ("sinc_interp_hann", "sinc_interp_kaiser"):
        raise ValueError(
            f"{name}: resampling_method must be 'sinc_interp_hann' or "
            f"'sinc_interp_kaiser', got {describe(method)}"
        )
    if method == "sinc_interp_kaiser":
        beta = 14.769656459379492 if beta is None else float(beta)
    else:
        beta = None
    common = math.gcd(int(orig_freq), int(new_freq))
    return int(orig_freq) // common, int(new_freq) // common, beta


@explained
def resample(
    waveform: Tensor,
    orig_freq: int,
    new_freq: int,
    lowpass_filter_width: int = 6,
    rolloff: float = 0.99,
    resampling_method: str = "sinc_interp_hann",
    beta: float | None = None,
) -> Tensor:
    """Return a signal at another sample rate, without what that one can't hold.

    Args:
        waveform: (..., time).
        orig_freq: samples in a second.
        new_freq: and afterwards. Only the ratio of both counts.
        lowpass_filter_width: zeros of the filter on each side; more make it steeper.
        rolloff: where the filter cuts, as a part of half of the lower rate.
        resampling_method: 'sinc_interp_hann' or 'sinc_interp_kaiser', how the filter fades.
        beta: of Kaiser's window.

    Shape:
        (..., time) -> (..., ceil(time * new_freq / orig_freq))

    Raises:
        ValueError: a rate is not positive or no integer.

    Example:
        >>> import pyautodl as ad
        >>> ad.audio.functional.resample(ad.ones(1, 441), 44100, 16000).shape
        pyautodl.Size([1, 160])
    """
    orig, new, beta = check_rates(
        "resample", orig_freq, new_freq, resampling_method, beta
    )
    width = integer("resample", "lowpass_filter_width", lowpass_filter_width)
    if width < 1:
        raise ValueError(f"resample: lowpass_filter_width must be > 0, got {width}")
    if not isinstance(waveform, Tensor):
        raise not_tensor("resample", waveform, "waveform")
    if not waveform.is_floating_point():
        raise DTypeError(
            f"resample: expected a floating type, got {waveform.dtype.name}; likely fix: "
            ".float()"
        )
    if not waveform.ndim:
        raise ShapeError("resample: expected a signal (..., time), got a number")
    if orig == new:
        return waveform
    filters, reach = resampling_filters(orig, new, width, float(rolloff), beta)
    kernel = tensor(filters[:, None], dtype=waveform.dtype)
    time = waveform.shape[-1]
    lines = pad(waveform.reshape(-1, 1, time), (reach, reach + orig))
    found = conv1d(lines, kernel, stride=orig).transpose(1, 2)
    found = found.reshape(*waveform.shape[:-1], found.shape[1] * new)
    return found[..., : math.ceil(new * time / orig)]
