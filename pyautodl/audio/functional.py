"""torchaudio's functions of signals and spectra.

A mel is a step of pitch that sounds equal to the next: frequencies lie evenly on the mel
scale as they do on the ear's.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pyautodl.audio.resampling import resample
from pyautodl.errors import ShapeError, describe, warn
from pyautodl.functional.complex_tensor import ComplexTensor, view_as_complex
from pyautodl.functional.copy import pad as padded
from pyautodl.functional.copy import stack
from pyautodl.functional.creation import arange, ones_like, tensor, zeros_like
from pyautodl.functional.eltwise import exp, log10, where
from pyautodl.functional.random import rand
from pyautodl.functional.stft import istft, stft
from pyautodl.ops.axes import normalize_axis
from pyautodl.ops.integers import integer
from pyautodl.tensor import Tensor, explained, get_default_dtype, not_tensor

__all__ = [
    "DB_to_amplitude",
    "amplitude_to_DB",
    "create_dct",
    "griffinlim",
    "inverse_spectrogram",
    "mask_along_axis",
    "mask_along_axis_iid",
    "melscale_fbanks",
    "resample",
    "spectrogram",
]

# the mel scale of Slaney's Auditory Toolbox: up to 1000 Hz in even steps of 200 / 3 Hz,
# above them 27 to each factor of 6.4
_EVEN_STEP = 200.0 / 3
_EVEN_HZ = 1000.0
_EVEN_MELS = _EVEN_HZ / _EVEN_STEP
_LOG_STEP = math.log(6.4) / 27


def _to_mel(hz: Any, scale: str) -> Any:
    hz = np.asarray(hz, np.float64)
    if scale == "htk":
        return 2595.0 * np.log10(1.0 + hz / 700.0)
    logs = np.log(np.maximum(hz, _EVEN_HZ) / _EVEN_HZ) / _LOG_STEP
    return np.where(hz < _EVEN_HZ, hz / _EVEN_STEP, _EVEN_MELS + logs)


def _to_hz(mels: Any, scale: str) -> Any:
    if scale == "htk":
        return 700.0 * (10.0 ** (mels / 2595.0) - 1.0)
    powers = np.exp(_LOG_STEP * (np.maximum(mels, _EVEN_MELS) - _EVEN_MELS))
    return np.where(mels < _EVEN_MELS, mels * _EVEN_STEP, _EVEN_HZ * powers)


@explained
def melscale_fbanks(
    n_freqs: int,
    f_min: float,
    f_max: float,
    n_mels: int,
    sample_rate: int,
    norm: str | None = None,
    mel_scale: str = "htk",
) -> Tensor:
    """Return triangular filters whose peaks lie evenly on the mel scale.

    Each begins at the peak of the one before and ends at that of the next.

    Args:
        n_freqs: frequencies of the spectra, from 0 to half of the sample rate.
        f_min: where the first filter begins, in Hz.
        f_max: where the last one ends.
        n_mels: how many filters.
        sample_rate: of the signal, in Hz.
        norm: 'slaney' divides each filter by its half width in Hz, which makes the areas
            equal; None leaves peaks of 1.
        mel_scale: 'htk' or 'slaney'.

    Shape:
        (n_freqs, n_mels)

    Raises:
        ValueError: a number is not positive, the range of frequencies is empty, or a word
            is another.

    Example:
        >>> import pyautodl as ad
        >>> ad.audio.functional.melscale_fbanks(5, 0.0, 4000.0, 2, 8000)
        tensor([[0.0000, 0.0000],
                [0.6759, 0.3241],
                [0.0000, 0.9055],
                [0.0000, 0.4528],
                [0.0000, 0.0000]])
    """
    n_freqs = integer("melscale_fbanks", "n_freqs", n_freqs)
    n_mels = integer("melscale_fbanks", "n_mels", n_mels)
    if n_freqs < 2 or n_mels < 1:
        raise ValueError(
            "melscale_fbanks: expected at least 2 n_freqs and 1 n_mels, got "
            f"{n_freqs} and {n_mels}"
        )
    if not 0 <= f_min < f_max:
        raise ValueError(
            f"melscale_fbanks: expected 0 <= f_min < f_max, got {f_min} and {f_max}"
        )
    if norm not in (None, "slaney"):
        raise ValueError(
            f"melscale_fbanks: norm must be None or 'slaney', got {describe(norm)}"
        )
    _check_scale("melscale_fbanks", mel_scale)
    mels = np.linspace(_to_mel(f_min, mel_scale), _to_mel(f_max, mel_scale), n_mels + 2)
    corners = _to_hz(mels, mel_scale)
    bins = np.linspace(0, sample_rate // 2, n_freqs)[:, None]
    left, peaks, right = corners[:-2], corners[1:-1], corners[2:]
    rising = (bins - left) / (peaks - left)
    falling = (right - bins) / (right - peaks)
    filters = np.maximum(0.0, np.minimum(rising, falling))
    if norm == "slaney":
        filters *= 2.0 / (right - left)
    empty = int((filters.max(0) == 0).sum())
    if empty:
        warn(
            f"melscale_fbanks: {empty} of {n_mels} filters lie between two of the "
            f"{n_freqs} frequencies and are 0; likely fix: a smaller n_mels or a larger "
            "n_fft"
        )
    return tensor(filters, dtype=get_default_dtype())


def _check_scale(name: str, mel_scale: str) -> None:
    if mel_scale not in ("htk", "slaney"):
        raise ValueError(
            f"{name}: mel_scale must be 'htk' or 'slaney', got {describe(mel_scale)}"
        )


@explained
def create_dct(n_mfcc: int, n_mels: int, norm: str | None) -> Tensor:
    """Return the matrix of the discrete cosine transform of type 2.

    Args:
        n_mfcc: how many coefficients it gives.
        n_mels: of so many numbers.
        norm: 'ortho' for columns of length 1; None for twice the sums.

    Shape:
        (n_mels, n_mfcc), by which rows are multiplied

    Raises:
        ValueError: norm is another word.

    Example:
        >>> import pyautodl as ad
        >>> ad.audio.functional.create_dct(1, 4, "ortho").T
        tensor([[0.5000, 0.5000, 0.5000, 0.5000]])
    """
    if norm not in (None, "ortho"):
        raise ValueError(
            f"create_dct: norm must be None or 'ortho', got {describe(norm)}"
        )
    places = np.arange(n_mels)[:, None] + 0.5
    matrix = 2 * np.cos(np.pi / n_mels * places * np.arange(n_mfcc))
    if norm == "ortho":
        matrix *= math.sqrt(0.5 / n_mels)
        matrix[:, :1] *= math.sqrt(0.5)
    return tensor(matrix, dtype=get_default_dtype())


@explained
def spectrogram(
    waveform: Tensor,
    pad: int,
    window: Tensor,
    n_fft: int,
    hop_length: int,
    win_length: int,
    power: float | None,
    normalized: bool | str,
    center: bool = True,
    pad_mode: str = "reflect",
    onesided: bool = True,
    return_complex: bool | None = None,
) -> Any:
    """Return how strong each frequency is in overlapping pieces of a signal.

    Args:
        waveform: (..., time).
        pad: zeros before and behind the signal.
        window: what a piece is multiplied with.
        n_fft: size of a piece.
        hop_length: from one piece to the next.
        win_length: size of the window.
        power: 1 for absolute values, 2 for their squares, None for complex numbers.
        normalized: True or 'window' divides by the root of the sum of the squared window,
            'frame_length' by that of n_fft.
        center: whether piece i is centered at i * hop_length.
        pad_mode: how the ends are padded then.
        onesided: frequencies up to half of the sample rate, the others mirror them.
        return_complex: has no effect.

    Shape:
        (..., time) -> (..., n_fft // 2 + 1, pieces)

    Raises:
        ShapeError: the signal is too short.

    Example:
        >>> import pyautodl as ad
        >>> w = ad.hann_window(8)
        >>> ad.audio.functional.spectrogram(ad.zeros(3, 20), 0, w, 8, 4, 8, 2.0, False).shape
        pyautodl.Size([3, 5, 6])
    """
    if not isinstance(waveform, Tensor):
        raise not_tensor("spectrogram", waveform, "waveform")
    if not waveform.ndim:
        raise ShapeError("spectrogram: expected a signal (..., time), got a number")
    by_frame, by_window = _normalization("spectrogram", normalized)
    if pad:
        waveform = padded(waveform, (pad, pad))
    lead = tuple(waveform.shape[:-1])
    lines = waveform.reshape(-1, waveform.shape[-1])
    pairs = stft(
        lines,
        n_fft,
        hop_length,
        win_length,
        window,
        center,
        pad_mode,
        by_frame,
        onesided,
        return_complex=False,
    )
    pairs = pairs.reshape(*lead, *pairs.shape[1:])
    if by_window:
        pairs = pairs / window.square().sum().sqrt()
    return _powers(ComplexTensor(pairs), power)


def _normalization(name: str, normalized: bool | str) -> tuple[bool, bool]:
    """Whether by the size of a piece, whether by the window."""
    if normalized not in (True, False, "frame_length", "window"):
        raise ValueError(
            f"{name}: normalized must be True, False, 'window' or 'frame_length', got "
            f"{describe(normalized)}"
        )
    return normalized == "frame_length", normalized in (True, "window")


def _powers(spectra: ComplexTensor, power: float | None) -> Any:
    if power is None:
        return spectra
    if power == 2:
        # not by the absolute value, whose second derivative at 0 is none
        return spectra.real.square() + spectra.imag.square()
    size = spectra.abs()
    return size if power == 1 else size.pow(power)


@explained
def inverse_spectrogram(
    spectrogram: Any,
    length: int | None,
    pad: int,
    window: Tensor,
    n_fft: int,
    hop_length: int,
    win_length: int,
    normalized: bool | str,
    center: bool = True,
    pad_mode: str = "reflect",
    onesided: bool = True,
) -> Tensor:
    """Return the signal of complex spectra; arguments as of `spectrogram`.

    Args:
        spectrogram: complex, (..., frequencies, pieces).
        length: of the signal; None: as the pieces reach.

    Raises:
        TypeError: the spectra are real.

    Example:
        >>> import pyautodl as ad
        >>> f, w = ad.audio.functional, ad.hann_window(4)
        >>> s = f.spectrogram(ad.arange(8.0), 0, w, 4, 2, 4, None, False)
        >>> f.inverse_spectrogram(s, 8, 0, w, 4, 2, 4, False)
        tensor([0., 1., 2., 3., 4., 5., 6., 7.])
    """
    if not isinstance(spectrogram, ComplexTensor):
        raise TypeError(
            "inverse_spectrogram: expected complex spectra, got "
            f"{type(spectrogram).__name__}; likely fix: power=None where they are made"
        )
    by_frame, by_window = _normalization("inverse_spectrogram", normalized)
    pairs = spectrogram._pairs
    if by_window:
        pairs = pairs * window.square().sum().sqrt()
    lead = tuple(pairs.shape[:-3])
    found = istft(
        ComplexTensor(pairs.reshape(-1, *pairs.shape[-3:])),
        n_fft,
        hop_length,
        win_length,
        window,
        center,
        by_frame,
        onesided,
        None if length is None else length + 2 * pad,
    )
    found = found[:, pad : found.shape[-1] - pad]
    return found.reshape(*lead, found.shape[-1])


@explained
def griffinlim(
    specgram: Tensor,
    window: Tensor,
    n_fft: int,
    hop_length: int,
    win_length: int,
    power: float,
    n_iter: int,
    momentum: float,
    length: int | None,
    rand_init: bool,
) -> Tensor:
    """Find a signal whose spectra are as strong as those given, from any phases.

    The signal of the spectra has other phases, which are taken for the next one (Griffin
    and Lim, 1984; with momentum Perraudin and others, 2013).

    Args:
        specgram: (..., frequencies, pieces).
        window: what the pieces were multiplied with.
        n_fft: size of a piece.
        hop_length: from one piece to the next.
        win_length: size of the window.
        power: 1 for absolute values, 2 for their squares.
        n_iter: how many times.
        momentum: from 0 to less than 1; how far a step goes beyond.
        length: of the signal; None: as the pieces reach.
        rand_init: begin with random phases, else with none.

    Raises:
        ValueError: momentum is not from 0 to less than 1.

    Example:
        >>> import pyautodl as ad
        >>> f, w = ad.audio.functional, ad.hann_window(8)
        >>> s = f.spectrogram(ad.sin(ad.arange(32.0)), 0, w, 8, 2, 8, 1.0, False)
        >>> f.griffinlim(s, w, 8, 2, 8, 1.0, 5, 0.9, 32, False).shape
        pyautodl.Size([32])
    """
    if not 0 <= momentum < 1:
        raise ValueError(f"griffinlim: momentum must be from 0 to < 1, got {momentum}")
    if not isinstance(specgram, Tensor):
        raise not_tensor("griffinlim", specgram, "specgram")
    if specgram.ndim < 2:
        raise ShapeError(
            "griffinlim: expected (..., frequencies, pieces), got shape "
            f"{tuple(specgram.shape)}"
        )
    lead = tuple(specgram.shape[:-2])
    strength = specgram.reshape(-1, *specgram.shape[-2:]).pow(1 / power)
    sizes = (n_fft, hop_length, win_length, window)
    parts = (ones_like(strength), zeros_like(strength))
    phases = view_as_complex(
        rand(*strength.shape, 2, dtype=strength.dtype)
        if rand_init
        else stack(parts, -1)
    )
    before: ComplexTensor | None = None
    for _ in range(n_iter):
        signal = istft(phases * strength, *sizes, length=length)
        now = stft(signal, *sizes, return_complex=True)
        phases = now
        if before is not None and momentum:
            phases = now - before * (momentum / (1 + momentum))
        phases = phases / (phases.abs() + 1e-16)
        before = now
    signal = istft(phases * strength, *sizes, length=length)
    return signal.reshape(*lead, signal.shape[-1])


@explained
def amplitude_to_DB(
    x: Tensor,
    multiplier: float,
    amin: float,
    db_multiplier: float,
    top_db: float | None = None,
) -> Tensor:
    """Return decibels: a multiple of the logarithm.

    Args:
        x: powers or amplitudes, (..., channel, frequency, time), (frequency, time) or a
            line.
        multiplier: 10 for powers, 20 for amplitudes.
        amin: what smaller values count as.
        db_multiplier: the logarithm of the value that is 0 decibels.
        top_db: how far a value may lie below the largest of its example; smaller ones are
            raised.

    Example:
        >>> import pyautodl as ad
        >>> ad.audio.functional.amplitude_to_DB(ad.tensor([1.0, 100.0]), 10.0, 1e-10, 0.0)
        tensor([ 0., 20.])
    """
    if not isinstance(x, Tensor):
        raise not_tensor("amplitude_to_DB", x, "x")
    decibels = log10(x.clamp(min=amin)) * multiplier - multiplier * db_multiplier
    if top_db is None or not decibels.numel():
        return decibels
    # an example is all channels together, as in torchaudio
    axes = tuple(range(max(decibels.ndim - 3, 0), decibels.ndim))
    if decibels.ndim < 2:
        raise ShapeError(
            "amplitude_to_DB: top_db needs (..., frequency, time), got shape "
            f"{tuple(x.shape)}"
        )
    least = decibels.amax(axes, keepdim=True) - top_db
    return decibels.maximum(least)


@explained
def DB_to_amplitude(x: Tensor, ref: float, power: float) -> Tensor:
    """Undo `amplitude_to_DB`.

    Args:
        x: decibels.
        ref: the value that is 0 decibels.
        power: 1 for powers, 0.5 for amplitudes.

    Example:
        >>> import pyautodl as ad
        >>> ad.audio.functional.DB_to_amplitude(ad.tensor([20.0]), 1.0, 1.0).round()
        tensor([100.])
    """
    return ref * exp(x * (0.1 * power * math.log(10)))


@explained
def mask_along_axis(
    specgram: Tensor, mask_param: int, mask_value: float, axis: int, p: float = 1.0
) -> Tensor:
    """Set a random stretch of an axis to a value, the same in all examples.

    Args:
        specgram: (..., frequency, time).
        mask_param: the stretch is shorter than that.
        mask_value: what stands there.
        axis: of frequencies or of times.
        p: the largest part of the axis.

    Example:
        >>> import pyautodl as ad
        >>> ad.audio.functional.mask_along_axis(ad.ones(1, 8), 1, 0.0, 1).sum()
        tensor(8.)
    """
    return _covered("mask_along_axis", specgram, mask_param, mask_value, axis, p, False)


@explained
def mask_along_axis_iid(
    specgrams: Tensor, mask_param: int, mask_value: float, axis: int, p: float = 1.0
) -> Tensor:
    """Set a random stretch of an axis to a value, another in each example and channel.

    The arguments are those of `mask_along_axis`.

    Example:
        >>> import pyautodl as ad
        >>> ad.audio.functional.mask_along_axis_iid(ad.ones(3, 1, 8), 1, 0.0, 2).sum()
        tensor(24.)
    """
    name = "mask_along_axis_iid"
    return _covered(name, specgrams, mask_param, mask_value, axis, p, True)


def _covered(
    name: str, x: Any, longest: int, value: float, axis: int, p: float, each: bool
) -> Tensor:
    if not isinstance(x, Tensor):
        raise not_tensor(name, x, "specgram")
    axis = normalize_axis(name, axis, x.ndim, x.shape)
    if x.ndim < 2 or axis < x.ndim - 2:
        raise ShapeError(
            f"{name}: expected (..., frequency, time) and one of these two axes, got "
            f"axis {axis} of shape {tuple(x.shape)}"
        )
    size = x.shape[axis]
    longest = min(longest, int(size * p))
    if longest < 1:
        return x
    lead = tuple(x.shape[:-2]) if each else (1,) * (x.ndim - 2)
    length, start = rand(2, *lead, 1, 1)
    length = length * longest
    start = (start * (size - length)).floor()
    shape = (size, 1) if axis == x.ndim - 2 else (size,)
    places = arange(size, dtype=start.dtype).reshape(shape)
    inside = (places >= start) & (places < start + length.floor())
    return where(inside, value, x)
