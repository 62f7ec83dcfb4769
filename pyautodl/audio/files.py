"""Sounds in WAV files."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from pyautodl._files import atomic_write
from pyautodl.errors import DTypeError, ShapeError, describe
from pyautodl.functional.creation import tensor
from pyautodl.ops.integers import integer
from pyautodl.tensor import Tensor, explained, not_tensor

__all__ = ["load", "save"]

# formats of samples by their numbers in a file
_INTEGERS, _FLOATS, _EXTENDED = 1, 3, 0xFFFE
# format, bits -> how NumPy reads them; 24 bits it does not know
_KINDS = {
    (_INTEGERS, 8): "u1",
    (_INTEGERS, 16): "<i2",
    (_INTEGERS, 24): "<i3",
    (_INTEGERS, 32): "<i4",
    (_FLOATS, 32): "<f4",
    (_FLOATS, 64): "<f8",
}

Path_ = str | os.PathLike[str] | BinaryIO


class _Format(NamedTuple):
    channels: int
    sample_rate: int
    kind: str


@explained
def load(
    uri: Path_,
    frame_offset: int = 0,
    num_frames: int = -1,
    normalize: bool = True,
    channels_first: bool = True,
    format: str | None = None,
) -> tuple[Tensor, int]:
    """Read a WAV file.

    Args:
        uri: the file's path, or a file that is open for reading bytes.
        frame_offset: how many frames (samples of all channels) are left out.
        num_frames: how many are read at most; -1: all.
        normalize: give float32 from -1 to 1, else what is in the file (24 bits as int32,
            times 256).
        channels_first: give (channels, frames), else (frames, channels).
        format: None or 'wav'.

    Returns:
        The samples, and how many there are in a second.

    Raises:
        ValueError: it is no WAV file, or one whose samples are compressed.

    Example:
        >>> import pyautodl as ad, tempfile, os
        >>> path = os.path.join(tempfile.mkdtemp(), "tone.wav")
        >>> ad.audio.save(path, ad.tensor([[0.0, 0.5, -1.0]]), 8000)
        >>> ad.audio.load(path)
        (tensor([[ 0.0000,  0.5000, -1.0000]]), 8000)
    """
    if format not in (None, "wav"):
        raise ValueError(f"load: format must be None or 'wav', got {describe(format)}")
    first = integer("load", "frame_offset", frame_offset)
    count = integer("load", "num_frames", num_frames)
    if first < 0 or count < -1:
        raise ValueError(
            f"load: expected frame_offset >= 0 and num_frames >= -1, got {first} and "
            f"{count}"
        )
    if isinstance(uri, (str, os.PathLike)):
        content, where = Path(uri).read_bytes(), f"load: {os.fspath(uri)!r}"
    else:
        content, where = uri.read(), f"load: {uri!r}"
    found, data = _parts(content, where)
    frames = _samples(data, found)[first : None if count < 0 else first + count]
    if normalize:
        frames = _as_floats(frames)
    values = np.ascontiguousarray(frames.T if channels_first else frames)
    return tensor(values), found.sample_rate


def _chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Names and contents of the parts of a file; the last may be cut short."""
    place = 12
    while place + 8 <= len(content):
        name = content[place : place + 4]
        (size,) = struct.unpack_from("<I", content, place + 4)
        yield name, content[place + 8 : place + 8 + size]
        place += 8 + size + size % 2


def _parts(content: bytes, where: str) -> tuple[_Format, bytes]:
    if content[:4] != b"RIFF" or content[8:12] != b"WAVE":
        raise ValueError(
            f"{where} is no WAV file; likely fix: convert it (ffmpeg -i sound.mp3 "
            "sound.wav)"
        )
    found: _Format | None = None
    for name, body in _chunks(content):
        if name == b"fmt " and len(body) >= 16:
            found = _format(body, where)
        elif name == b"data" and found is not None:
            return found, body
    raise ValueError(f"{where} is damaged: it has no samples")


def _format(body: bytes, where: str) -> _Format:
    number, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", body)
    if number == _EXTENDED and len(body) >= 26:
        (number,) = struct.unpack_from("<H", body, 24)
    if (number, bits) not in _KINDS or not channels:
        raise ValueError(
            f"{where} has {channels} channels of {bits} bits in format {number}; expected "
            "integers of 8, 16, 24 or 32 bits, or floats; likely fix: convert it (ffmpeg "
            "-i sound.wav -c:a pcm_s16le new.wav)"
        )
    return _Format(channels, rate, _KINDS[number, bits])


def _samples(data: bytes, found: _Format) -> np.ndarray[Any, Any]:
    """(frames, channels); a frame that is cut short is left out."""
    width = int(found.kind[-1])
    frame = width * found.channels
    whole = data[: len(data) // frame * frame]
    if width != 3:
        values = np.frombuffer(whole, found.kind)
    else:
        # three bytes as the upper ones of four
        padded = np.zeros((len(whole) // 3, 4), np.uint8)
        padded[:, 1:] = np.frombuffer(whole, np.uint8).reshape(-1, 3)
        values = padded.view("<i4")[:, 0]
    return values.reshape(-1, found.channels)


def _as_floats(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    if values.dtype.kind == "f":
        return values.astype(np.float32)
    if values.dtype == np.uint8:
        return (values.astype(np.float32) - 128) / 128
    return (values / 2.0 ** (8 * values.itemsize - 1)).astype(np.float32)


@explained
def save(
    uri: Path_,
    src: Tensor,
    sample_rate: int,
    channels_first: bool = True,
    format: str | None = None,
    encoding: str | None = None,
    bits_per_sample: int | None = None,
) -> None:
    """Write a WAV file.

    Args:
        uri: the file's path, or a file that is open for writing bytes.
        src: samples, (channels, frames); floats from -1 to 1, what lies beyond is cut
            where integers are written.
        sample_rate: how many there are in a second.
        channels_first: src is (channels, frames), else (frames, channels).
        format: None or 'wav'.
        encoding: 'PCM_F' for floats, 'PCM_S' for integers, 'PCM_U' for 8 bits; default:
            as the element type of src is, float64 as float32.
        bits_per_sample: 32 for floats, else 8, 16 or 32; default: those of src, and 16
            where floats are written as integers.

    Raises:
        ShapeError: src has not two axes.
        ValueError: encoding and bits do not fit.

    Example: see `load`.

    Example:
        >>> import io
        >>> import pyautodl as ad
        >>> file = io.BytesIO()
        >>> ad.audio.save(file, ad.zeros(1, 8000), sample_rate=8000)
        >>> len(file.getvalue()) > 8000
        True
    """
    if format not in (None, "wav"):
        raise ValueError(f"save: format must be None or 'wav', got {describe(format)}")
    if not isinstance(src, Tensor):
        raise not_tensor("save", src, "src")
    if src.ndim != 2:
        axes = "(channels, frames)" if channels_first else "(frames, channels)"
        raise ShapeError(
            f"save: expected {axes}, got shape {tuple(src.shape)}"
            + ("; likely fix: src[None]" if src.ndim == 1 and channels_first else "")
        )
    rate = integer("save", "sample_rate", sample_rate)
    values = src.detach().numpy()
    kind = _kind_to_write(values.dtype, encoding, bits_per_sample)
    frames = _as_kind(values.T if channels_first else values, kind)
    width, channels = frames.itemsize, frames.shape[1]
    number = _FLOATS if kind[-2] == "f" else _INTEGERS
    numbers = (
        number,
        channels,
        rate,
        rate * width * channels,
        width * channels,
        8 * width,
    )
    head = struct.pack("<4sIHHIIHH", b"fmt ", 16, *numbers)
    data = frames.tobytes()
    body = (
        head + struct.pack("<4sI", b"data", len(data)) + data + b"\0" * (len(data) % 2)
    )
    content = struct.pack("<4sI4s", b"RIFF", 4 + len(body), b"WAVE") + body
    if isinstance(uri, (str, os.PathLike)):
        atomic_write(uri, content)
    else:
        uri.write(content)


def _kind_to_write(dtype: Any, encoding: str | None, bits: int | None) -> str:
    """How NumPy writes the samples, as in `_KINDS`."""
    own = {"f": "PCM_F", "i": "PCM_S", "u": "PCM_U"}.get(dtype.kind)
    if own is None or dtype == np.int64 or dtype == np.int8:
        raise DTypeError(
            f"save: expected floats, int16, int32 or uint8, got {dtype}; likely fix: "
            ".float(), or .to(pyautodl.int16)"
        )
    encoding = own if encoding is None else encoding
    if bits is None:
        usual = {"PCM_F": 32, "PCM_S": 16, "PCM_U": 8}
        bits = 8 * dtype.itemsize if encoding == own != "PCM_F" else usual.get(encoding)
    kinds: dict[Any, str] = {
        ("PCM_F", 32): "<f4",
        ("PCM_S", 16): "<i2",
        ("PCM_S", 32): "<i4",
        ("PCM_U", 8): "u1",
    }
    if (encoding, bits) not in kinds:
        raise ValueError(
            "save: expected encoding 'PCM_F' with 32 bits, 'PCM_S' with 16 or 32, or "
            f"'PCM_U' with 8, got {describe(encoding)} with {bits}"
        )
    return kinds[encoding, bits]


def _as_kind(values: np.ndarray[Any, Any], kind: str) -> np.ndarray[Any, Any]:
    if values.dtype == np.dtype(kind):
        return values.astype(kind)
    floats = values.astype(np.float64)
    if values.dtype.kind == "u":
        floats = (floats - 128) / 128
    elif values.dtype.kind == "i":
        floats = floats / 2.0 ** (8 * values.itemsize - 1)
    if kind == "<f4":
        return floats.astype(kind)
    steps = 2.0 ** (8 * int(kind[-1]) - 1)
    whole = np.clip(np.rint(np.nan_to_num(floats) * steps), -steps, steps - 1)
    return (whole + (128 if kind == "u1" else 0)).astype(kind)
