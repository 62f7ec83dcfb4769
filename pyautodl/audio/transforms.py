"""torchaudio's transforms: layers from signals to spectra."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from pyautodl.audio import functional as F
from pyautodl.audio.resampling import check_rates
from pyautodl.errors import ShapeError, describe
from pyautodl.functional.eltwise import log
from pyautodl.functional.windows import hann_window
from pyautodl.nn.module import Module
from pyautodl.ops.integers import integer
from pyautodl.tensor import Tensor, not_tensor

__all__ = [
    "MFCC",
    "AmplitudeToDB",
    "FrequencyMasking",
    "GriffinLim",
    "InverseSpectrogram",
    "MelScale",
    "MelSpectrogram",
    "Resample",
    "Spectrogram",
    "TimeMasking",
]

Window = Callable[..., Tensor]


class _Spectra(Module):
    """What `Spectrogram` and its inverse have in common."""

    window: Tensor

    def __init__(
        self,
        n_fft: int,
        win_length: int | None,
        hop_length: int | None,
        pad: int,
        window_fn: Window,
        normalized: bool | str,
        wkwargs: Mapping[str, Any] | None,
        center: bool,
        pad_mode: str,
        onesided: bool,
    ) -> None:
        super().__init__()
        name = type(self).__name__
        self.n_fft = integer(name, "n_fft", n_fft)
        self.win_length = n_fft if win_length is None else win_length
        self.hop_length = self.win_length // 2 if hop_length is None else hop_length
        F._normalization(name, normalized)
        self.register_buffer("window", window_fn(self.win_length, **(wkwargs or {})))
        self.pad = pad
        self.normalized = normalized
        self.center = center
        self.pad_mode = pad_mode
        self.onesided = onesided

    def extra_repr(self) -> str:
        return (
            f"n_fft={self.n_fft}, win_length={self.win_length}, "
            f"hop_length={self.hop_length}"
        )


class Spectrogram(_Spectra):
    """How strong each frequency is in overlapping pieces of a signal.

    Args:
        n_fft: size of a piece; there are n_fft // 2 + 1 frequencies.
        win_length: size of the window; default: n_fft.
        hop_length: from one piece to the next; default: half of the window.
        pad: zeros before and behind the signal.
        window_fn: makes the window from its size.
        power: 1 for absolute values, 2 for their squares, None for complex numbers.
        normalized: True or 'window' divides by the root of the sum of the squared window,
            'frame_length' by that of n_fft.
        wkwargs: further arguments of window_fn.
        center: whether piece i is centered at i * hop_length.
        pad_mode: how the ends are padded then.
        onesided: frequencies up to half of the sample rate, the others mirror them.
        return_complex: has no effect.

    Shape:
        (..., time) -> (..., n_fft // 2 + 1, pieces)

    Example:
        >>> import pyautodl as ad
        >>> ad.audio.transforms.Spectrogram(n_fft=64)(ad.zeros(2, 1, 320)).shape
        pyautodl.Size([2, 1, 33, 11])
    """

    def __init__(
        self,
        n_fft: int = 400,
        win_length: int | None = None,
        hop_length: int | None = None,
        pad: int = 0,
        window_fn: Window = hann_window,
        power: float | None = 2.0,
        normalized: bool | str = False,
        wkwargs: Mapping[str, Any] | None = None,
        center: bool = True,
        pad_mode: str = "reflect",
        onesided: bool = True,
        return_complex: bool | None = None,
    ) -> None:
        super().__init__(
            n_fft,
            win_length,
            hop_length,
            pad,
            window_fn,
            normalized,
            wkwargs,
            center,
            pad_mode,
            onesided,
        )
        self.power = power

    def forward(self, waveform: Tensor) -> Any:
        return F.spectrogram(
            waveform,
            self.pad,
            self.window,
            self.n_fft,
            self.hop_length,
            self.win_length,
            self.power,
            self.normalized,
            self.center,
            self.pad_mode,
            self.onesided,
        )


class InverseSpectrogram(_Spectra):
    """The signal of complex spectra; arguments as of `Spectrogram`.

    Example:
        >>> import pyautodl as ad
        >>> there = ad.audio.transforms.Spectrogram(n_fft=4, power=None)
        >>> back = ad.audio.transforms.InverseSpectrogram(n_fft=4)
        >>> back(there(ad.arange(8.0)), length=8)
        tensor([0., 1., 2., 3., 4., 5., 6., 7.])
    """

    def __init__(
        self,
        n_fft: int = 400,
        win_length: int | None = None,
        hop_length: int | None = None,
        pad: int = 0,
        window_fn: Window = hann_window,
        normalized: bool | str = False,
        wkwargs: Mapping[str, Any] | None = None,
        center: bool = True,
        pad_mode: str = "reflect",
        onesided: bool = True,
    ) -> None:
        super().__init__(
            n_fft,
            win_length,
            hop_length,
            pad,
            window_fn,
            normalized,
            wkwargs,
            center,
            pad_mode,
            onesided,
        )

    def forward(self, spectrogram: Any, length: int | None = None) -> Tensor:
        return F.inverse_spectrogram(
            spectrogram,
            length,
            self.pad,
            self.window,
            self.n_fft,
            self.hop_length,
            self.win_length,
            self.normalized,
            self.center,
            self.pad_mode,
            self.onesided,
        )


class GriffinLim(Module):
    """A signal whose spectra are as strong as those given, from any phases.

    Args:
        n_fft: size of a piece.
        n_iter: how many times phases are taken from the signal so far.
        win_length: size of the window; default: n_fft.
        hop_length: from one piece to the next; default: half of the window.
        window_fn: makes the window from its size.
        power: 1 for absolute values, 2 for their squares.
        wkwargs: further arguments of window_fn.
        momentum: from 0 to less than 1; more converge faster.
        length: of the signal; None: as the pieces reach.
        rand_init: begin with random phases.

    Shape:
        (..., n_fft // 2 + 1, pieces) -> (..., time)

    Example:
        >>> import pyautodl as ad
        >>> ad.audio.transforms.GriffinLim(n_fft=64, n_iter=2)(ad.rand(2, 33, 9)).shape
        pyautodl.Size([2, 256])
    """

    window: Tensor

    def __init__(
        self,
        n_fft: int = 400,
        n_iter: int = 32,
        win_length: int | None = None,
        hop_length: int | None = None,
        window_fn: Window = hann_window,
        power: float = 2.0,
        wkwargs: Mapping[str, Any] | None = None,
        momentum: float = 0.99,
        length: int | None = None,
        rand_init: bool = True,
    ) -> None:
        super().__init__()
        if not 0 <= momentum < 1:
            raise ValueError(
                f"GriffinLim: momentum must be from 0 to < 1, got {momentum}"
            )
        self.n_fft = integer("GriffinLim", "n_fft", n_fft)
        self.n_iter = n_iter
        self.win_length = n_fft if win_length is None else win_length
        self.hop_length = self.win_length // 2 if hop_length is None else hop_length
        self.register_buffer("window", window_fn(self.win_length, **(wkwargs or {})))
        self.power = power
        self.momentum = momentum
        self.length = length
        self.rand_init = rand_init

    def forward(self, specgram: Tensor) -> Tensor:
        return F.griffinlim(
            specgram,
            self.window,
            self.n_fft,
            self.hop_length,
            self.win_length,
            self.power,
            self.n_iter,
            self.momentum,
            self.length,
            self.rand_init,
        )

    def extra_repr(self) -> str:
        return f"n_fft={self.n_fft}, hop_length={self.hop_length}, n_iter={self.n_iter}"


class Resample(Module):
    """A signal at another sample rate, without what that one can't hold.

    Args:
        orig_freq: samples in a second.
        new_freq: and afterwards. Only the ratio of both counts.
        resampling_method: see `functional.resample`.
        lowpass_filter_width: zeros of the filter on each side; more make it steeper.
        rolloff: where the filter cuts, as a part of half of the lower rate.
        beta: of Kaiser's window.
        dtype: has no effect, filters are made in float64.

    Shape:
        (..., time) -> (..., ceil(time * new_freq / orig_freq))

    Example:
        >>> import pyautodl as ad
        >>> ad.audio.transforms.Resample(44100, 16000)(ad.ones(2, 441)).shape
        pyautodl.Size([2, 160])
    """

    def __init__(
        self,
        orig_freq: int = 16000,
        new_freq: int = 16000,
        resampling_method: str = "sinc_interp_hann",
        lowpass_filter_width: int = 6,
        rolloff: float = 0.99,
        beta: float | None = None,
        *,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        check_rates("Resample", orig_freq, new_freq, resampling_method, beta)
        self.orig_freq = orig_freq
        self.new_freq = new_freq
        self.resampling_method = resampling_method
        self.lowpass_filter_width = lowpass_filter_width
        self.rolloff = rolloff
        self.beta = beta

    def forward(self, waveform: Tensor) -> Tensor:
        return F.resample(
            waveform,
            self.orig_freq,
            self.new_freq,
            self.lowpass_filter_width,
            self.rolloff,
            self.resampling_method,
            self.beta,
        )

    def extra_repr(self) -> str:
        return f"orig_freq={self.orig_freq}, new_freq={self.new_freq}"


class MelScale(Module):
    """Sums the frequencies of spectra up to those of the mel scale.

    Args:
        n_mels: how many there are afterwards.
        sample_rate: of the signal, in Hz.
        f_min: the lowest frequency.
        f_max: the highest; default: half of the sample rate.
        n_stft: how many frequencies the spectra have, n_fft // 2 + 1.
        norm: 'slaney' for filters of equal area, None for equal peaks.
        mel_scale: 'htk' or 'slaney'.

    Shape:
        (..., n_stft, time) -> (..., n_mels, time)

    Example:
        >>> import pyautodl as ad
        >>> ad.audio.transforms.MelScale(n_mels=8, n_stft=65)(ad.zeros(3, 65, 4)).shape
        pyautodl.Size([3, 8, 4])
    """

    fb: Tensor

    def __init__(
        self,
        n_mels: int = 128,
        sample_rate: int = 16000,
        f_min: float = 0.0,
        f_max: float | None = None,
        n_stft: int = 201,
        norm: str | None = None,
        mel_scale: str = "htk",
    ) -> None:
        super().__init__()
        self.n_mels = n_mels
        self.sample_rate = sample_rate
        self.f_min = f_min
        self.f_max = float(sample_rate // 2) if f_max is None else f_max
        self.norm = norm
        self.mel_scale = mel_scale
        filters = F.melscale_fbanks(
            n_stft, f_min, self.f_max, n_mels, sample_rate, norm, mel_scale
        )
        self.register_buffer("fb", filters)

    def forward(self, specgram: Tensor) -> Tensor:
        if not isinstance(specgram, Tensor):
            raise not_tensor("MelScale", specgram, "specgram")
        bins = self.fb.shape[0]
        if specgram.ndim < 2 or specgram.shape[-2] != bins:
            raise ShapeError(
                f"MelScale: expected (..., {bins} frequencies, time), got shape "
                f"{tuple(specgram.shape)}; likely fix: n_stft=n_fft // 2 + 1"
            )
        # with time before frequency, as spectra lie in memory
        return (specgram.transpose(-1, -2) @ self.fb).transpose(-1, -2)

    def extra_repr(self) -> str:
        return (
            f"n_mels={self.n_mels}, sample_rate={self.sample_rate}, "
            f"f_min={self.f_min}, f_max={self.f_max}"
        )


class MelSpectrogram(Module):
    """How strong each frequency of the mel scale is in pieces of a signal.

    Args:
        sample_rate: of the signal, in Hz.
        n_fft: size of a piece, as further arguments see `Spectrogram`.
        win_length: size of the window; default: n_fft.
        hop_length: from one piece to the next; default: half of the window.
        f_min: the lowest frequency.
        f_max: the highest; default: half of the sample rate.
        pad: zeros before and behind the signal.
        n_mels: how many frequencies.
        window_fn: makes the window from its size.
        power: 1 for absolute values, 2 for their squares.
        normalized: see `Spectrogram`.
        wkwargs: further arguments of window_fn.
        center: whether piece i is centered at i * hop_length.
        pad_mode: how the ends are padded then.
        onesided: has no effect.
        norm: 'slaney' for filters of equal area, None for equal peaks.
        mel_scale: 'htk' or 'slaney'.

    Shape:
        (..., time) -> (..., n_mels, pieces)

    Example:
        >>> import pyautodl as ad
        >>> mel = ad.audio.transforms.MelSpectrogram(8000, n_fft=256, n_mels=32)
        >>> mel(ad.zeros(4, 1, 8000)).shape
        pyautodl.Size([4, 1, 32, 63])
    """

    def __init__(
        self,
        sample_rate: int = 16000,
        n_fft: int = 400,
        win_length: int | None = None,
        hop_length: int | None = None,
        f_min: float = 0.0,
        f_max: float | None = None,
        pad: int = 0,
        n_mels: int = 128,
        window_fn: Window = hann_window,
        power: float = 2.0,
        normalized: bool | str = False,
        wkwargs: Mapping[str, Any] | None = None,
        center: bool = True,
        pad_mode: str = "reflect",
        onesided: bool | None = None,
        norm: str | None = None,
        mel_scale: str = "htk",
    ) -> None:
        super().__init__()
        self.sample_rate = sample_rate
        self.n_mels = n_mels
        self.spectrogram = Spectrogram(
            n_fft,
            win_length,
            hop_length,
            pad,
            window_fn,
            power,
            normalized,
            wkwargs,
            center,
            pad_mode,
        )
        self.mel_scale = MelScale(
            n_mels, sample_rate, f_min, f_max, n_fft // 2 + 1, norm, mel_scale
        )

    def forward(self, waveform: Tensor) -> Tensor:
        found: Tensor = self.mel_scale(self.spectrogram(waveform))
        return found


class AmplitudeToDB(Module):
    """Powers or amplitudes in decibels, 0 being a value of 1.

    Args:
        stype: 'power' or 'magnitude'.
        top_db: how far a value may lie below the largest of its example (channel,
            frequency and time together); None: without a limit.

    Shape:
        (..., frequency, time) -> the same

    Raises:
        ValueError: stype is another word, or top_db is negative.

    Example:
        >>> import pyautodl as ad
        >>> ad.audio.transforms.AmplitudeToDB(top_db=30)(ad.tensor([[1.0, 0.0, 100.0]]))
        tensor([[  0., -10.,  20.]])
    """

    def __init__(self, stype: str = "power", top_db: float | None = None) -> None:
        super().__init__()
        if stype not in ("power", "magnitude"):
            raise ValueError(
                "AmplitudeToDB: stype must be 'power' or 'magnitude', got "
                f"{describe(stype)}"
            )
        if top_db is not None and top_db < 0:
            raise ValueError(f"AmplitudeToDB: top_db must be >= 0, got {top_db}")
        self.stype = stype
        self.top_db = top_db
        self.multiplier = 10.0 if stype == "power" else 20.0
        self.amin = 1e-10
        self.ref_value = 1.0
        self.db_multiplier = math.log10(max(self.amin, self.ref_value))

    def forward(self, x: Tensor) -> Tensor:
        return F.amplitude_to_DB(
            x, self.multiplier, self.amin, self.db_multiplier, self.top_db
        )

    def extra_repr(self) -> str:
        return f"stype={self.stype!r}, top_db={self.top_db}"


class MFCC(Module):
    """Mel-frequency cepstral coefficients: cosine transforms of mel spectra in decibels.

    Args:
        sample_rate: of the signal, in Hz.
        n_mfcc: how many coefficients.
        dct_type: 2.
        norm: 'ortho' for a transform that keeps lengths, or None.
        log_mels: logarithms in place of decibels.
        melkwargs: arguments of `MelSpectrogram`.

    Shape:
        (..., time) -> (..., n_mfcc, pieces)

    Raises:
        NotImplementedError: dct_type is not 2.
        ValueError: there are more coefficients than mel frequencies.

    Example:
        >>> import pyautodl as ad
        >>> mfcc = ad.audio.transforms.MFCC(8000, 13, melkwargs={"n_fft": 256, "n_mels": 32})
        >>> mfcc(ad.zeros(8000)).shape
        pyautodl.Size([13, 63])
    """

    dct_mat: Tensor

    def __init__(
        self,
        sample_rate: int = 16000,
        n_mfcc: int = 40,
        dct_type: int = 2,
        norm: str | None = "ortho",
        log_mels: bool = False,
        melkwargs: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        if dct_type != 2:
            raise NotImplementedError(f"MFCC: dct_type must be 2, got {dct_type}")
        self.sample_rate = sample_rate
        self.n_mfcc = n_mfcc
        self.dct_type = dct_type
        self.norm = norm
        self.log_mels = log_mels
        self.top_db = 80.0
        self.amplitude_to_DB = AmplitudeToDB("power", self.top_db)
        self.MelSpectrogram = MelSpectrogram(sample_rate, **(melkwargs or {}))
        mels = self.MelSpectrogram.n_mels
        if not 0 < n_mfcc <= mels:
            raise ValueError(
                f"MFCC: n_mfcc must be from 1 to n_mels = {mels}, got {n_mfcc}"
            )
        self.register_buffer("dct_mat", F.create_dct(n_mfcc, mels, norm))

    def forward(self, waveform: Tensor) -> Tensor:
        mels = self.MelSpectrogram(waveform)
        mels = log(mels + 1e-6) if self.log_mels else self.amplitude_to_DB(mels)
        return (mels.transpose(-1, -2) @ self.dct_mat).transpose(-1, -2)

    def extra_repr(self) -> str:
        return f"n_mfcc={self.n_mfcc}, norm={self.norm!r}, log_mels={self.log_mels}"


class TimeMasking(Module):
    """Covers a random stretch of time, in training: what is learned must not hang on it.

    Of SpecAugment (Park and others, 2019). In `eval()` nothing is covered; torchaudio's
    covers there, too.

    Args:
        time_mask_param: the stretch is shorter than that.
        iid_masks: one for each example and channel, else the same for all.
        p: it covers at most this part of the time.

    Shape:
        (..., frequency, time) -> the same

    Example:
        >>> import pyautodl as ad
        >>> covered = ad.audio.transforms.TimeMasking(4)(ad.ones(1, 2, 8))
        >>> covered.shape, (covered == 0).sum() < 8
        (pyautodl.Size([1, 2, 8]), tensor(True))
    """

    axis = -1

    def __init__(
        self, time_mask_param: int, iid_masks: bool = False, p: float = 1.0
    ) -> None:
        super().__init__()
        if not 0 <= p <= 1:
            raise ValueError(f"{type(self).__name__}: p must be from 0 to 1, got {p}")
        self.mask_param = integer(type(self).__name__, "the longest", time_mask_param)
        self.iid_masks = iid_masks
        self.p = p

    def forward(self, specgram: Tensor, mask_value: float = 0.0) -> Tensor:
        if not self.training:
            return specgram
        covered = F.mask_along_axis_iid if self.iid_masks else F.mask_along_axis
        axis = specgram.ndim + self.axis
        return covered(specgram, self.mask_param, mask_value, axis, self.p)

    def extra_repr(self) -> str:
        return f"{self.mask_param}, iid_masks={self.iid_masks}, p={self.p}"


class FrequencyMasking(TimeMasking):
    """Covers a random band of frequencies, in training; see `TimeMasking`.

    Args:
        freq_mask_param: the band is narrower than that.
        iid_masks: one for each example and channel, else the same for all.

    Example:
        >>> import pyautodl as ad
        >>> ad.audio.transforms.FrequencyMasking(4)(ad.ones(1, 8, 3)).shape
        pyautodl.Size([1, 8, 3])
    """

    axis = -2

    def __init__(self, freq_mask_param: int, iid_masks: bool = False) -> None:
        super().__init__(freq_mask_param, iid_masks)
