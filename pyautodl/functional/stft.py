"""The spectra of a signal's pieces, and the signal of such spectra."""

from __future__ import annotations

from typing import Any

from pyautodl.backends.dtypes import FLOATING
from pyautodl.errors import DTypeError, ShapeError, warn
from pyautodl.functional.complex_tensor import ComplexTensor
from pyautodl.functional.copy import cat, flip, pad
from pyautodl.functional.creation import ones
from pyautodl.functional.views import narrow
from pyautodl.ops.integers import integer
from pyautodl.tensor import Tensor, call, explained, method, not_tensor

__all__ = ["istft", "stft"]

# below it a sample of the signal can't be told from the sum of the windows
_LEAST_ENVELOPE = 1e-11


class _Pieces:
    """How a signal is cut: what `stft` and `istft` have in common.

    Attributes:
        size: of a piece.
        hop: from one to the next.
        window: of that size, or None where all of it are ones.
    """

    def __init__(
        self,
        name: str,
        n_fft: int,
        hop_length: int | None,
        win_length: int | None,
        window: Tensor | None,
        like: Tensor,
    ) -> None:
        self.size = size = integer(name, "n_fft", n_fft)
        self.hop = (
            size // 4 if hop_length is None else integer(name, "hop_length", hop_length)
        )
        width = size if win_length is None else integer(name, "win_length", win_length)
        if size < 1 or self.hop < 1:
            raise ValueError(
                f"{name}: n_fft and hop_length must be > 0, got {size} and {self.hop}"
            )
        if not 0 < width <= size:
            raise ValueError(
                f"{name}: win_length must be from 1 to n_fft = {size}, got {width}"
            )
        if window is not None:
            _check_window(name, window, width, like)
        if width < size:
            shown = ones(width, dtype=like.dtype) if window is None else window
            before = (size - width) // 2
            window = pad(shown, (before, size - width - before))
        self.window = window

    @property
    def bins(self) -> int:
        """How many frequencies a piece of real numbers has."""
        return self.size // 2 + 1

    @property
    def scale(self) -> float:
        """What makes of the transform one that keeps the energy."""
        return float(self.size**-0.5)


def _check_window(name: str, window: Any, width: int, like: Tensor) -> None:
    if not isinstance(window, Tensor):
        raise not_tensor(name, window, "window")
    if tuple(window.shape) != (width,):
        raise ShapeError(
            f"{name}: expected a window of shape ({width},), as win_length (or n_fft) "
            f"says, got {tuple(window.shape)}"
        )
    if window.dtype is not like.dtype:
        raise DTypeError(
            f"{name}: the signal is {like.dtype.name}, the window {window.dtype.name}; "
            "likely fix: cast one of them (or the transform) with .float() or .double()"
        )


def _check_signal(name: str, x: Any) -> None:
    if not isinstance(x, Tensor):
        raise not_tensor(name, x)
    if x.dtype.category != FLOATING:
        raise DTypeError(
            f"{name}: expected a floating type, got {x.dtype.name}; likely fix: .float()"
        )


@method
@explained
def stft(
    input: Tensor,
    n_fft: int,
    hop_length: int | None = None,
    win_length: int | None = None,
    window: Tensor | None = None,
    center: bool = True,
    pad_mode: str = "reflect",
    normalized: bool = False,
    onesided: bool | None = None,
    return_complex: bool | None = None,
    align_to_window: bool | None = None,
) -> Any:
    """Return the spectra of overlapping pieces of a signal.

    There are no complex element types: with `return_complex` the result is a pair of real
    tensors with the methods that spectra need (real, imag, abs(), angle(), ...), without
    it one real tensor with a last axis of real and imaginary parts.

    Args:
        input: (length,) or (batch, length).
        n_fft: size of a piece.
        hop_length: from one piece to the next; default: n_fft // 4.
        win_length: size of the window, which stands in the middle of a piece; default:
            n_fft.
        window: what a piece is multiplied with; None: ones, which smear each frequency
            over all others.
        center: whether piece i is centered at i * hop_length; else it begins there.
        pad_mode: how the ends are padded then, see `nn.functional.pad`.
        normalized: divide by the square root of n_fft.
        onesided: frequencies from 0 to n_fft // 2, the others being their conjugates;
            None is True.
        return_complex: must be given.
        align_to_window: not supported.

    Shape:
        (..., length) -> (..., n_fft // 2 + 1, pieces), with a last axis of 2 where
        return_complex is False

    Raises:
        ShapeError: the signal is shorter than a piece, or the window has another size.
        DTypeError: signal and window have other types.
        ValueError: a size is not positive, or return_complex is not given.

    Example:
        >>> import pyautodl as ad
        >>> x = ad.sin(ad.arange(32.0) * (2 * ad.pi / 8))
        >>> s = ad.stft(x, 16, window=ad.hann_window(16), return_complex=True)
        >>> s.shape, s.abs()[:, 4].argmax()
        (pyautodl.Size([9, 9]), tensor(2))
    """
    _check_signal("stft", input)
    if return_complex is None:
        raise ValueError(
            "stft: return_complex must be given: True for abs(), angle(), ..., False for "
            "real and imaginary parts on a last axis"
        )
    if align_to_window:
        raise NotImplementedError("stft: align_to_window is not supported")
    if input.ndim not in (1, 2):
        fix = f"; likely fix: .reshape(-1, {input.shape[-1]})" if input.ndim else ""
        raise ShapeError(
            "stft: expected a signal (length,) or (batch, length), got shape "
            f"{tuple(input.shape)}{fix}"
        )
    if window is None:
        warn(
            "stft: without a window each frequency is smeared over all others; likely "
            "fix: window=pyautodl.hann_window(n_fft)"
        )
    pieces = _Pieces("stft", n_fft, hop_length, win_length, window, input)
    pairs = _spectra(input, pieces, center, pad_mode)
    if normalized:
        pairs = pairs * pieces.scale
    if onesided is False:
        pairs = _both_sides(pairs, pieces.size)
    pairs = pairs.transpose(-3, -2)
    return ComplexTensor(pairs) if return_complex else pairs


def _spectra(x: Tensor, pieces: _Pieces, center: bool, mode: str) -> Tensor:
    """(..., pieces, bins, 2)."""
    size = pieces.size
    if center:
        if mode == "reflect" and x.shape[-1] <= size // 2:
            raise ShapeError(
                f"stft: reflection at the ends needs more than n_fft // 2 = {size // 2} "
                f"samples, got shape {tuple(x.shape)}; likely fix: pad_mode='constant', "
                "or a smaller n_fft"
            )
        # the modes other than 'constant' pad the last axis of any shape
        x = pad(x, (size // 2, size // 2), mode)
    if x.shape[-1] < size:
        raise ShapeError(
            f"stft: a piece has n_fft = {size} samples, the signal fewer: shape "
            f"{tuple(x.shape)}"
        )
    frames = call("unfold", x, dim=-1, size=size, step=pieces.hop)
    if pieces.window is not None:
        frames = frames * pieces.window
    result: Tensor = call("rfft", frames)
    return result


def _both_sides(pairs: Tensor, size: int) -> Tensor:
    """All frequencies of real numbers: those behind the middle mirror those before it."""
    mirrored = flip(narrow(pairs, -2, 1, (size - 1) // 2), (-2,))
    signs = ones(2, dtype=pairs.dtype)
    signs[1] = -1
    return cat([pairs, mirrored * signs], -2)


@method
@explained
def istft(
    input: Any,
    n_fft: int,
    hop_length: int | None = None,
    win_length: int | None = None,
    window: Tensor | None = None,
    center: bool = True,
    normalized: bool = False,
    onesided: bool | None = None,
    length: int | None = None,
    return_complex: bool = False,
) -> Tensor:
    """Return the signal whose pieces have such spectra, nearest by least squares.

    Args:
        input: spectra as `stft` gives them, complex or with a last axis of size 2.
        n_fft: size of a piece, as of `stft`; hop_length, win_length, window, center and
            normalized, too.
        hop_length: from one piece to the next.
        win_length: size of the window.
        window: what the pieces were multiplied with.
        center: whether piece i is centered at i * hop_length.
        normalized: whether the spectra were divided by the square root of n_fft.
        onesided: whether there are n_fft // 2 + 1 frequencies; None: as there are.
        length: of the signal, where the pieces do not tell; zeros stand behind them.
        return_complex: not supported.

    Shape:
        (..., n_fft // 2 + 1, pieces) -> (..., length)

    Raises:
        ShapeError: the number of frequencies does not fit n_fft.
        ValueError: the windows leave a sample that is in none.

    Example:
        >>> import pyautodl as ad
        >>> x, w = ad.arange(8.0), ad.hann_window(4)
        >>> ad.istft(ad.stft(x, 4, window=w, return_complex=True), 4, window=w)
        tensor([0., 1., 2., 3., 4., 5., 6., 7.])
    """
    pairs = input._pairs if isinstance(input, ComplexTensor) else input
    _check_signal("istft", pairs)
    if return_complex:
        raise NotImplementedError("istft: return_complex is not supported")
    if pairs.ndim not in (3, 4) or pairs.shape[-1] != 2 or not pairs.shape[-2]:
        raise ShapeError(
            "istft: expected spectra (frequencies, pieces) or (batch, frequencies, "
            "pieces), complex or with a last axis of size 2, got shape "
            f"{tuple(input.shape)}"
        )
    pieces = _Pieces("istft", n_fft, hop_length, win_length, window, pairs)
    pairs = _one_side(pairs, pieces, onesided).transpose(-3, -2)
    if normalized:
        pairs = pairs * (1 / pieces.scale)
    return _overlapped(pairs, pieces, center, length)


def _one_side(pairs: Tensor, pieces: _Pieces, onesided: bool | None) -> Tensor:
    given, size = pairs.shape[-3], pieces.size
    if onesided is None:
        onesided = given != size
    expected = pieces.bins if onesided else size
    if given != expected:
        raise ShapeError(
            f"istft: expected {expected} frequencies for n_fft = {size}, got {given}: "
            f"shape {tuple(pairs.shape)}"
        )
    return pairs if onesided else narrow(pairs, -3, 0, pieces.bins)


def _overlapped(
    pairs: Tensor, pieces: _Pieces, center: bool, length: int | None
) -> Tensor:
    """The sum of the pieces, divided by that of the squared windows."""
    count, size = pairs.shape[-3], pieces.size
    frames = call("irfft", pairs, n=size)
    window = pieces.window
    if window is None:
        window = ones(size, dtype=pairs.dtype)
    else:
        frames = frames * window
    whole = (count - 1) * pieces.hop + size
    attrs = {"dim": -1, "step": pieces.hop, "length": whole}
    total = call("overlap_add", frames, **attrs)
    squares = (window * window).expand(count, size)
    envelope = call("overlap_add", squares, **{**attrs, "dim": 0})
    start = size // 2 if center else 0
    if length is None:
        end = whole - (size // 2 if center else 0)
    else:
        end = start + integer("istft", "length", length)
    kept = min(end, whole) - start
    if kept < 1:
        raise ShapeError(
            f"istft: {count} pieces of {size} every {pieces.hop} leave no sample"
        )
    envelope = narrow(envelope, 0, start, kept)
    _check_envelope(envelope)
    signal = narrow(total, -1, start, kept) / envelope
    if end > whole:
        warn(
            f"istft: the pieces reach {whole - start} samples, length is {end - start}: "
            "zeros stand behind them"
        )
        signal = pad(signal, (0, end - whole))
    return signal


def _check_envelope(envelope: Tensor) -> None:
    least = envelope.detach().abs()
    if least.min().item() > _LEAST_ENVELOPE:
        return
    sample = int(least.argmin().item())
    raise ValueError(
        f"istft: sample {sample} is in no window, or where all are 0 (sum of squares "
        f"{least[sample].item():.1e}); likely fix: center=True, a smaller hop_length, or "
        "the length without the ends"
    )
