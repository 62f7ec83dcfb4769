"""Fourier transforms, spectra of signals, mel scales: by formulas and by PyTorch's numbers."""

from __future__ import annotations

import io
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pyautodl as ad
from pyautodl import backends
from pyautodl.autograd import gradcheck, gradgradcheck
from pyautodl.errors import DTypeError, ShapeError
from pyautodl.ops import fourier
from pyautodl.ops.record import OPS

AF, AT = ad.audio.functional, ad.audio.transforms


def _normal(*shape: int, seed: int = 0) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).standard_normal(shape)


def _tensor(*shape: int, seed: int = 0) -> ad.Tensor:
    return ad.tensor(_normal(*shape, seed=seed), requires_grad=True)


@pytest.fixture(params=["products", "numpy"])
def way(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """Both ways of a short transform."""
    if request.param == "numpy":
        for name in fourier.LONGEST_PRODUCT:
            monkeypatch.setitem(fourier.LONGEST_PRODUCT, name, 0)
    for name in ("rfft", "irfft"):
        OPS[name].plans.clear()
    yield request.param
    for name in ("rfft", "irfft"):
        OPS[name].plans.clear()


# ---- fft ----


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("norm", [None, "backward", "ortho", "forward"])
@pytest.mark.parametrize(("n", "dim"), [(None, -1), (9, 0), (4, 1), (5, -2)])
def test_transforms_are_numpys(norm: str | None, n: int | None, dim: int) -> None:
    x, z = _normal(6, 7), _normal(6, 7) + 1j * _normal(6, 7, seed=1)
    pair = ad.complex(ad.tensor(z.real.copy()), ad.tensor(z.imag.copy()))
    for name, given, values in (
        ("fft", pair, z),
        ("ifft", pair, z),
        ("fft", ad.tensor(x), x),
        ("rfft", ad.tensor(x), x),
        ("irfft", pair, z),
    ):
        got = getattr(ad.fft, name)(given, n, dim, norm).numpy()
        want = getattr(np.fft, name)(values, n, dim, norm)
        np.testing.assert_allclose(got, want, atol=1e-13, err_msg=name)


def test_transforms_of_several_axes_are_numpys() -> None:
    x, z = _normal(4, 6, 5), _normal(4, 6, 5) + 1j * _normal(4, 6, 5, seed=1)
    pair = ad.complex(ad.tensor(z.real.copy()), ad.tensor(z.imag.copy()))
    for name, given, values in (
        ("fftn", pair, z),
        ("ifftn", pair, z),
        ("rfftn", ad.tensor(x), x),
        ("irfftn", pair, z),
        ("fft2", pair, z),
        ("ifft2", pair, z),
        ("rfft2", ad.tensor(x), x),
        ("irfft2", pair, z),
    ):
        got = getattr(ad.fft, name)(given, norm="ortho").numpy()
        want = getattr(np.fft, name)(values, norm="ortho")
        np.testing.assert_allclose(got, want, atol=1e-13, err_msg=name)
    got = ad.fft.rfftn(ad.tensor(x), (3, 8), (0, 2)).numpy()
    np.testing.assert_allclose(got, np.fft.rfftn(x, (3, 8), (0, 2)), atol=1e-13)


def test_frequencies_and_shifts_are_numpys() -> None:
    for n in (1, 4, 5):
        for name in ("fftfreq", "rfftfreq"):
            got = getattr(ad.fft, name)(n, 0.5, dtype=ad.float64).numpy()
            np.testing.assert_array_equal(got, getattr(np.fft, name)(n, 0.5))
        for name in ("fftshift", "ifftshift"):
            x = np.arange(3 * n).reshape(3, n)
            for dim in (None, 1, (0,)):
                got = getattr(ad.fft, name)(ad.tensor(x), dim).numpy()
                np.testing.assert_array_equal(got, getattr(np.fft, name)(x, dim))
    assert ad.fft.rfftfreq(4).dtype == ad.float32


@pytest.mark.usefixtures("way")
def test_gradients_of_transforms() -> None:
    def there_and_back(x: ad.Tensor) -> ad.Tensor:
        spectrum = ad.fft.rfft(x, 9, norm="ortho")
        return ad.fft.irfft(spectrum * spectrum.conj() * 2, 8).square()

    def all_frequencies(x: ad.Tensor) -> ad.Tensor:
        return ad.fft.ifft(ad.fft.fft(x, dim=0), 5).abs()

    for function in (there_and_back, all_frequencies):
        x = _tensor(3, 7)
        gradcheck(function, (x,))
        gradgradcheck(function, (x,))


def test_bad_transforms_are_refused() -> None:
    x = ad.ones(4)
    with pytest.raises(ValueError, match=r"rfft: norm must be 'backward'.* got 'unit'"):
        ad.fft.rfft(x, norm="unit")
    with pytest.raises(ValueError, match="irfft: n must be > 0, got 0"):
        ad.fft.irfft(x, 0)
    with pytest.raises(TypeError, match=r"rfft: expected real numbers.*fft\.fft"):
        ad.fft.rfft(ad.fft.fft(x))
    with pytest.raises(IndexError, match="fft: dim must be"):
        ad.fft.fft(x, dim=1)
    with pytest.raises(ValueError, match=r"fftn: s .* differ in length"):
        ad.fft.fftn(x, (2, 3), (0,))
    with pytest.raises(
        ValueError, match=r"fftn: an axis is named twice: dim \(0, -1\)"
    ):
        ad.fft.fftn(x, dim=(0, -1))
    with pytest.raises(IndexError, match="rfft: expected at least one axis, got a nu"):
        ad.fft.rfft(ad.tensor(1.0))
    with pytest.raises(IndexError, match="rfftn: expected at least one axis, got dim"):
        ad.fft.rfftn(x, dim=())
    for name in ("fft2", "ifft2", "rfft2", "irfft2"):
        with pytest.raises(
            IndexError, match=rf"^{name}: dim must be .* \(shape \(4,\)\)"
        ):
            getattr(ad.fft, name)(x)
    with pytest.raises(
        ValueError, match=r"fft: n must be > 0, got 0 \(axis 1 of size 0"
    ):
        ad.fft.fft(ad.ones(2, 0))


# ---- complex numbers ----


def test_complex_arithmetic_is_numpys() -> None:
    z, w = (_normal(3, 4, 2, seed=s) for s in (1, 2))
    a, b = (ad.view_as_complex(ad.tensor(each)) for each in (z, w))
    p, q = a.numpy(), b.numpy()
    real, x = _normal(4), ad.tensor(_normal(4))
    for got, want in (
        (a + b, p + q),
        (a - b, p - q),
        (a * b, p * q),
        (a / b, p / q),
        (-a, -p),
        (a + x, p + real),
        (a - x, p - real),
        (2 - a, 2 - p),
        (a * x, p * real),
        (a / x, p / real),
        (2 / a, 2 / p),
        (a * 3, p * 3),
        (3j * a, p * 3j),
        (a / 2j, p / 2j),
        (a + 1j, p + 1j),
        (a.conj(), p.conj()),
        (a[1], p[1]),
        (a[..., 0], p[..., 0]),
        (a[:, 1:3], p[:, 1:3]),
        (a.transpose(0, -1), p.T),
        (a.unsqueeze(0).squeeze(0), p),
        (ad.polar(a.abs(), a.angle()), p),
    ):
        np.testing.assert_allclose(got.numpy(), want, atol=1e-14)
    np.testing.assert_allclose(a.abs().numpy(), np.abs(p))
    np.testing.assert_allclose(a.angle().numpy(), np.angle(p))
    assert a.shape == a.size() == (3, 4)
    assert (a.size(1), a.ndim, a.dim(), len(a), a.is_complex()) == (4, 2, 2, 3, True)
    assert "real=" in repr(a)
    np.testing.assert_allclose((np.float64(2) * a).numpy(), 2 * p)
    np.testing.assert_allclose((x * a).numpy(), real * p)
    for name in ("real", "imag", "angle", "conj"):
        got = getattr(ad, name)(a).numpy()
        np.testing.assert_allclose(got, getattr(np, name)(a.numpy()))
    assert (ad.is_complex(a), ad.is_complex(x)) == (True, False)
    assert ad.real(x) is ad.conj(x) is x
    np.testing.assert_allclose(ad.angle(x).numpy(), np.angle(real))
    with pytest.raises(TypeError, match=r"imag: expected a complex tensor.*likely fix"):
        ad.imag(x)
    with pytest.raises(TypeError, match="imag: expected a complex tensor, got float"):
        _ = x.imag
    assert x.real is x


def test_parts_are_views():
    z = ad.complex(ad.ones(2), ad.zeros(2))
    z.real.mul_(3.0)
    z.imag = ad.tensor([1.0, -1.0])
    assert z.numpy().tolist() == [3 + 1j, 3 - 1j]
    z.real = 5.0
    assert z.real.tolist() == [5, 5]
    x = ad.ones(2, requires_grad=True)
    y = x * 1
    y.real = 2 * x
    (y.real * y).sum().backward()
    assert (y.tolist(), x.grad.tolist()) == ([2, 2], [8, 8])


def test_what_complex_tensors_do_not_know_is_named() -> None:
    z = ad.complex(ad.ones(2), ad.zeros(2))
    with pytest.raises(AttributeError, match=r"no attribute 'mean'.*view_as_real\(x\)"):
        z.mean()
    with pytest.raises(TypeError, match=r"abs: .*ComplexTensor; .* x\.abs\(\)"):
        ad.abs(z)
    with pytest.raises(ShapeError, match="complex: the shapes differ"):
        ad.complex(ad.ones(2), ad.ones(3))
    with pytest.raises(DTypeError, match="complex: expected parts of one floating"):
        ad.complex(ad.ones(2), ad.ones(2, dtype=ad.float64))
    with pytest.raises(ShapeError, match=r"view_as_complex: .* size 2, got shape"):
        ad.view_as_complex(ad.ones(3))
    with pytest.raises(TypeError, match="view_as_real: expected a complex tensor"):
        ad.view_as_real(ad.ones(3))


def test_absolute_values_at_zero_have_the_gradient_zero() -> None:
    x = ad.zeros(4, requires_grad=True)
    ad.fft.rfft(x).abs().sum().backward()
    assert x.grad.tolist() == [0.0] * 4


# ---- stft ----

CASES = [
    # n_fft, hop, win_length, center, pad_mode, normalized, onesided
    (16, 4, None, True, "reflect", False, None),
    (16, 5, 12, True, "constant", True, True),
    (15, 4, None, True, "replicate", False, False),
    (16, None, 11, False, "reflect", False, False),
    (500, 125, 400, True, "reflect", True, None),
]


def _direct(x: np.ndarray[Any, Any], window: np.ndarray[Any, Any], case: Any) -> Any:
    """By the definition, in float64."""
    n_fft, hop, _, center, mode, normalized, onesided = case
    hop = hop or n_fft // 4
    if center:
        modes = {"constant": "constant", "reflect": "reflect", "replicate": "edge"}
        x = np.pad(x, ((0, 0), (n_fft // 2, n_fft // 2)), mode=modes[mode])
    before = (n_fft - len(window)) // 2
    window = np.pad(window, (before, n_fft - len(window) - before))
    bins = n_fft if onesided is False else n_fft // 2 + 1
    turns = np.outer(np.arange(n_fft), np.arange(bins)) / n_fft
    matrix = np.exp(-2j * np.pi * turns) * (n_fft**-0.5 if normalized else 1)
    starts = range(0, x.shape[1] - n_fft + 1, hop)
    pieces = [(x[:, s : s + n_fft] * window) @ matrix for s in starts]
    return np.stack(pieces, -1)


def _arguments(case: Any) -> dict[str, Any]:
    names = ("n_fft", "hop_length", "win_length", "center", "pad_mode")
    return dict(zip((*names, "normalized", "onesided"), case, strict=True))


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize(
    ("dtype", "tolerance"), [("float64", 1e-13), ("float32", 1e-6)]
)
def test_spectra_are_those_of_the_definition(
    case: Any, dtype: str, tolerance: float
) -> None:
    x, window = _normal(2, 1100), np.hanning(case[2] or case[0]) + 0.1
    x, window = (each.astype(dtype) for each in (x, window))
    arguments = {**_arguments(case), "window": ad.tensor(window)}
    want = _direct(x.astype("float64"), window.astype("float64"), case)
    got = ad.stft(ad.tensor(x), **arguments, return_complex=True).numpy()
    np.testing.assert_allclose(got, want, atol=tolerance * np.abs(want).max(), rtol=0)
    pairs = ad.stft(ad.tensor(x), **arguments, return_complex=False)
    np.testing.assert_array_equal(pairs.numpy()[..., 1], got.imag)
    line = ad.tensor(x[1]).stft(**arguments, return_complex=False)
    np.testing.assert_allclose(line.numpy(), pairs.numpy()[1], atol=1e-5)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_signals_come_back(case: Any) -> None:
    x = _normal(2, 1100)
    window = ad.tensor(np.hanning(case[2] or case[0]) + 0.1)
    arguments = {**_arguments(case), "window": window}
    spectra = ad.stft(ad.tensor(x), **arguments, return_complex=True)
    del arguments["pad_mode"]
    if not case[3]:
        with pytest.raises(ValueError, match="istft: sample 0 is in no window"):
            ad.istft(spectra, **arguments)
        return
    back = ad.istft(spectra, **arguments)
    # up to the middle of the last piece
    assert 0 <= 1100 - back.shape[1] < (case[1] or case[0] // 4)
    np.testing.assert_allclose(back.numpy(), x[:, : back.shape[1]], atol=1e-12)
    fewer = ad.istft(ad.view_as_real(spectra[0]), **arguments, length=700)
    np.testing.assert_allclose(fewer.numpy(), x[0, :700], atol=1e-12)


def test_spectra_and_signals_are_pytorchs() -> None:
    torch = pytest.importorskip("torch")
    for dtype, tolerance in (("float64", 1e-13), ("float32", 1e-6)):
        for case in CASES:
            x = _normal(2, 1100).astype(dtype)
            window = (np.hanning(case[2] or case[0]) + 0.1).astype(dtype)
            arguments = _arguments(case)
            found = []
            for lib in (ad, torch):
                arguments["window"] = lib.tensor(window)
                leaf = lib.tensor(x, requires_grad=True)
                spectra = lib.stft(leaf, **arguments, return_complex=True)
                (spectra.abs() ** 1.5).sum().backward()
                found.append((spectra.detach().numpy(), leaf.grad.numpy()))
            for got, want in zip(*found, strict=True):
                atol = 10 * tolerance * np.abs(want).max()
                np.testing.assert_allclose(got, want, atol=atol, rtol=0)
            if not case[3]:
                continue
            backs = []
            for lib in (ad, torch):
                arguments["window"] = lib.tensor(window)
                spectra = lib.stft(lib.tensor(x), **arguments, return_complex=True)
                rest = {k: v for k, v in arguments.items() if k != "pad_mode"}
                backs.append(lib.istft(spectra, **rest).numpy())
            np.testing.assert_allclose(*backs, atol=100 * tolerance, rtol=0)


@pytest.mark.usefixtures("way")
def test_gradients_of_spectra() -> None:
    def function(x: ad.Tensor, window: ad.Tensor) -> ad.Tensor:
        spectra = ad.stft(x, 8, 3, 6, window, return_complex=True)
        return ad.istft(spectra * spectra.abs(), 8, 3, 6, window, length=11)

    inputs = _tensor(2, 13), ad.tensor(np.hanning(8)[1:-1], requires_grad=True)
    gradcheck(function, inputs)
    gradgradcheck(function, inputs, rtol=1e-2)


def test_a_batch_of_no_signals() -> None:
    window = ad.hann_window(512)
    spectra = ad.stft(ad.zeros(0, 2048), 512, window=window, return_complex=True)
    assert spectra.shape == (0, 257, 17)
    assert ad.istft(spectra, 512, window=window).shape == (0, 2048)
    assert AT.MelSpectrogram(n_mels=40)(ad.zeros(0, 1, 2000)).shape == (0, 1, 40, 11)


def test_the_gradient_of_many_windows_is_few_sums() -> None:
    calls: list[str] = []

    def note(name: str, call: Any) -> Any:
        def counted(*arguments: Any) -> Any:
            calls.append(name)
            return call(*arguments)

        return counted

    x = ad.ones(8000, requires_grad=True)
    windows = x.unfold(-1, 400, 200)
    backends.observe(note)
    try:
        windows.sum().backward()
    finally:
        backends.observe(None)
    # the first 200 elements of each window, the others, what they are added to
    assert len(calls) < 10
    assert (x.grad[0], x.grad[300], x.grad[-1]) == (1, 2, 1)


def test_bad_signals_are_refused() -> None:
    x, w = ad.ones(2, 100), ad.hann_window(16)
    good = {"window": w, "return_complex": False}
    with pytest.raises(ValueError, match="stft: return_complex must be given"):
        ad.stft(x, 16, window=w)
    with pytest.raises(
        ShapeError, match=r"stft: .*\(1, 2, 100\); .*reshape\(-1, 100\)"
    ):
        ad.stft(x[None], 16, **good)
    with pytest.raises(ShapeError, match=r"expected a window of shape \(20,\)"):
        ad.stft(x, 20, **good)
    with pytest.raises(DTypeError, match="signal is float64, the window float32"):
        ad.stft(x.double(), 16, **good)
    with pytest.raises(DTypeError, match=r"stft: .*int64; likely fix: \.float\(\)"):
        ad.stft(x.long(), 16, **good)
    with pytest.raises(ShapeError, match="needs more than n_fft // 2 = 8 samples"):
        ad.stft(x[:, :8], 16, **good)
    with pytest.raises(ShapeError, match="a piece has n_fft = 16 samples"):
        ad.stft(x[:, :15], 16, center=False, **good)
    with pytest.raises(ValueError, match="hop_length must be > 0, got 16 and 0"):
        ad.stft(x, 16, 0, **good)
    with pytest.raises(ValueError, match="win_length must be from 1 to n_fft = 16"):
        ad.stft(x, 16, win_length=17, **good)
    with pytest.warns(UserWarning, match="stft: without a window each frequency"):
        ad.stft(x, 16, return_complex=False)
    spectra = ad.stft(x, 16, **good)
    with pytest.raises(ShapeError, match=r"istft: expected 11 frequencies .* got 9"):
        ad.istft(spectra, 20, window=ad.hann_window(20))
    with pytest.raises(ShapeError, match="istft: expected spectra"):
        ad.istft(spectra[..., 0], 16, window=w)
    with pytest.warns(UserWarning, match="istft: the pieces reach 10[0-9] samples"):
        longer = ad.istft(spectra, 16, window=w, length=120)
    assert longer.shape == (2, 120)
    assert not longer[:, 110:].any()


# ---- files ----


@pytest.mark.parametrize("channels_first", [True, False])
def test_sounds_are_saved_and_loaded(tmp_path: Path, channels_first: bool) -> None:
    x = np.clip(_normal(2, 101) / 2, -1, 1).astype(np.float32)
    x = x if channels_first else x.T.copy()
    path = tmp_path / "sound.wav"
    for arguments, step in (
        ({}, 0),
        ({"encoding": "PCM_S"}, 2**-15),
        ({"encoding": "PCM_S", "bits_per_sample": 32}, 2**-24),
        ({"encoding": "PCM_U"}, 2**-7),
    ):
        ad.audio.save(path, ad.tensor(x), 8000, channels_first, **arguments)
        back, rate = ad.audio.load(path, channels_first=channels_first)
        assert rate == 8000
        np.testing.assert_allclose(back.numpy(), x, rtol=0, atol=step)
    part, _ = ad.audio.load(path, 3, 5)
    whole, _ = ad.audio.load(path)
    np.testing.assert_array_equal(part.numpy(), whole.numpy()[:, 3:8])
    for dtype in (np.int16, np.int32, np.uint8):
        values = np.array([[0, 1, 100, np.iinfo(dtype).max]], dtype)
        ad.audio.save(path, ad.tensor(values), 44100)
        back, _ = ad.audio.load(path, normalize=False)
        assert back.dtype == dtype
        np.testing.assert_array_equal(back.numpy(), values)
    # what does not fit is cut, and an odd number of bytes filled up
    ad.audio.save(path, ad.tensor([[3.0, -3.0, ad.nan]]), 1, encoding="PCM_U")
    assert ad.audio.load(path, normalize=False)[0].tolist() == [[255, 0, 128]]
    assert path.stat().st_size % 2 == 0


def test_open_files_are_read_and_written() -> None:
    sound = ad.tensor([[0.0, 0.5, -1.0]])
    file = io.BytesIO()
    ad.audio.save(file, sound, 8000)
    file.seek(0)
    loaded, rate = ad.audio.load(file)
    assert (loaded.tolist(), rate) == (sound.tolist(), 8000)
    with pytest.raises(ValueError, match=r"load: <_io\.BytesIO .* is no WAV file"):
        ad.audio.load(io.BytesIO())


def test_files_are_those_of_other_programs(tmp_path: Path) -> None:
    wavfile = pytest.importorskip("scipy.io.wavfile")
    path = tmp_path / "sound.wav"
    for dtype in (np.int16, np.int32, np.uint8, np.float32, np.float64):
        values = _normal(50, 2) * (1 if dtype in (np.float32, np.float64) else 50)
        values = values.astype(np.int64).astype(dtype) if dtype == np.uint8 else values
        values = values.astype(dtype)
        wavfile.write(path, 22050, values)
        back, rate = ad.audio.load(path, normalize=False, channels_first=False)
        assert rate == 22050
        np.testing.assert_array_equal(back.numpy(), values)
        if dtype != np.float64:
            ad.audio.save(path, ad.tensor(values), 22050, channels_first=False)
            np.testing.assert_array_equal(wavfile.read(path)[1], values)


def test_24_bits_and_files_that_are_cut_short(tmp_path: Path) -> None:
    path = tmp_path / "sound.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(3)
        file.setframerate(48000)
        file.writeframes(bytes([0, 0, 64, 0, 0, 128, 1, 0, 0, 255, 255, 255]))
    back, _ = ad.audio.load(path)
    want = [[0.5, 2**-23], [-1.0, -(2**-23)]]
    np.testing.assert_array_equal(back.numpy(), np.float32(want))
    path.write_bytes(path.read_bytes()[:-2])
    assert tuple(ad.audio.load(path)[0].shape) == (2, 1)
    path.write_bytes(path.read_bytes()[:30])
    with pytest.raises(ValueError, match=r"load: '.*sound\.wav' is damaged"):
        ad.audio.load(path)
    path.write_bytes(b"ID3")
    with pytest.raises(ValueError, match=r"sound\.wav' is no WAV file.*ffmpeg"):
        ad.audio.load(path)
    with pytest.raises(
        ShapeError, match=r"save: .*shape \(3,\); likely fix: src\[None\]"
    ):
        ad.audio.save(path, ad.ones(3), 1)
    with pytest.raises(DTypeError, match="save: expected floats, int16"):
        ad.audio.save(path, ad.ones(1, 3).long(), 1)
    with pytest.raises(
        ValueError, match=r"save: expected encoding .* got 'PCM_S' with 8"
    ):
        ad.audio.save(path, ad.ones(1, 3), 1, encoding="PCM_S", bits_per_sample=8)


# ---- transforms ----


@pytest.mark.parametrize("method", ["sinc_interp_hann", "sinc_interp_kaiser"])
@pytest.mark.parametrize(("old", "new"), [(8000, 6000), (44100, 16000), (500, 1500)])
def test_tones_stay_at_other_rates(old: int, new: int, method: str) -> None:
    def tone(rate: int, hertz: float) -> np.ndarray[Any, Any]:
        return np.sin(2 * np.pi * hertz * np.arange(rate // 4 + 3) / rate)

    transform = AT.Resample(old, new, method, lowpass_filter_width=32)
    low = 0.3 * min(old, new)
    got = transform(ad.tensor(tone(old, low))[None])[0].numpy()
    assert len(got) == -(-(old // 4 + 3) * new // old)
    want = np.sin(2 * np.pi * low * np.arange(len(got)) / new)
    inner = slice(len(got) // 3, -len(got) // 3)
    np.testing.assert_allclose(got[inner], want[inner], atol=2e-3)
    if new < old:
        # what the new rate can't hold is gone, not folded back
        high = transform(ad.tensor(tone(old, 0.62 * new))[None])[0].numpy()
        assert np.abs(high[len(high) // 3 : -len(high) // 3]).max() < 2e-3


def test_rates_that_are_none() -> None:
    x = ad.ones(3)
    assert AF.resample(x, 5, 5) is x
    assert AF.resample(ad.ones(0, 2, 100), 3, 2).shape == (0, 2, 67)
    with pytest.raises(ValueError, match="resample: the rates must be > 0"):
        AF.resample(x, 0, 5)
    with pytest.raises(ValueError, match="Resample: the rates must be integers"):
        AT.Resample(1.5, 2)
    with pytest.raises(
        DTypeError, match="resample: expected a floating type, got int64"
    ):
        AF.resample(x.long(), 1, 2)
    with pytest.raises(ValueError, match="resampling_method must be"):
        AT.Resample(1, 2, "linear")


def test_signals_are_found_from_the_strength_of_their_spectra() -> None:
    ad.manual_seed(0)
    x = ad.sin(ad.arange(2000.0) * 0.3) + 0.5 * ad.sin(ad.arange(2000.0) * 0.71)
    there = AT.Spectrogram(128, hop_length=32)
    given = there(x[None, None])

    def error(**arguments: Any) -> float:
        back = AT.GriffinLim(128, hop_length=32, length=2000, **arguments)(given)
        assert back.shape == (1, 1, 2000)
        rest = (there(back).sqrt() - given.sqrt()).square().sum()
        return (rest / given.sum()).item()

    assert error(n_iter=0) > 0.3
    assert error(momentum=0.0) < 0.05
    assert error() < 0.05
    assert error(rand_init=False) < 0.05
    with pytest.raises(ValueError, match="GriffinLim: momentum must be"):
        AT.GriffinLim(momentum=1.0)


def test_a_net_behind_a_transform_tells_chirps_apart() -> None:
    ad.manual_seed(0)
    nn, time = ad.nn, ad.arange(2000.0) / 4000
    kind = ad.randint(0, 2, (96,))
    slope = (kind * 2.0 - 1)[:, None, None] * (400 + 400 * ad.rand(96, 1, 1))
    noise = ad.randn(96, 1, 2000)
    sound = ad.sin(2 * ad.pi * (900 * time + slope * time**2)) + 0.5 * noise
    model = nn.Sequential(
        AT.MelSpectrogram(4000, 128, n_mels=16),
        AT.AmplitudeToDB(top_db=60),
        nn.BatchNorm2d(1),
        nn.Conv2d(1, 8, 3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(8 * 7 * 15, 2),
    )
    optimizer = ad.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(15):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(sound[:64]), kind[:64])
        loss.backward()
        optimizer.step()
    right = model.eval()(sound[64:]).argmax(1) == kind[64:]
    assert right.float().mean().item() > 0.9


def test_masks_cover_one_stretch() -> None:
    x = ad.ones(3, 2, 20, 30, requires_grad=True)
    for make, axis, limit in (
        (AT.TimeMasking(7), 3, 7),
        (AT.TimeMasking(100, p=0.2), 3, 6),
        (AT.FrequencyMasking(5), 2, 5),
        (AT.FrequencyMasking(5, iid_masks=True), 2, 5),
    ):
        lengths = set()
        for _ in range(30):
            covered = (make(x, -1.0) == -1).numpy()
            flat = np.moveaxis(covered, axis, -1)
            np.testing.assert_array_equal(
                flat, flat[..., :1, :].repeat(flat.shape[2], 2)
            )
            lines = flat[..., 0, :].reshape(6, -1)
            if not make.iid_masks:
                np.testing.assert_array_equal(lines, lines[:1].repeat(6, 0))
            for line in lines:
                edges = np.flatnonzero(np.diff(np.pad(line.astype(int), 1)))
                assert len(edges) in (0, 2)
                lengths.add(int(line.sum()))
        assert max(lengths) == limit - 1
        assert min(lengths) < 2
    AT.TimeMasking(7)(x).sum().backward()
    assert AT.TimeMasking(7).eval()(x) is x
    with pytest.raises(ShapeError, match="mask_along_axis: expected"):
        AF.mask_along_axis(x, 3, 0.0, 0)


def test_powers_and_norms_of_spectrograms() -> None:
    x = _normal(3, 2, 900).astype(np.float32)
    window = ad.hann_window(400).numpy().astype(np.float64)
    case = (400, 200, None, True, "reflect", False, None)
    want = np.abs(_direct(x.reshape(6, -1), window, case)).reshape(3, 2, 201, -1)
    for power, function in ((2.0, np.square), (1.0, np.copy), (3.0, lambda a: a**3)):
        got = AT.Spectrogram(power=power)(ad.tensor(x)).numpy()
        np.testing.assert_allclose(got, function(want), rtol=1e-3, atol=1e-3)
    divisors = {True: np.sqrt((window**2).sum()), "frame_length": 20.0}
    for normalized, divisor in divisors.items():
        got = AT.Spectrogram(power=1.0, normalized=normalized)(ad.tensor(x)).numpy()
        np.testing.assert_allclose(got, want / divisor, rtol=1e-3, atol=1e-3)
        there = AT.Spectrogram(power=None, normalized=normalized, pad=7)(ad.tensor(x))
        back = AT.InverseSpectrogram(normalized=normalized, pad=7)(there, 900)
        np.testing.assert_allclose(back.numpy(), x, atol=1e-5)
    with pytest.raises(TypeError, match=r"expected complex spectra.*power=None"):
        AT.InverseSpectrogram()(ad.zeros(201, 3))
    with pytest.raises(ValueError, match="Spectrogram: normalized must be True"):
        AT.Spectrogram(normalized="sum")


@pytest.mark.parametrize("scale", ["htk", "slaney"])
def test_mel_filters_peak_evenly_on_the_mel_scale(scale: str) -> None:
    def to_mel(hz: float) -> float:
        if scale == "htk":
            return 1127.01048 * np.log(1 + hz / 700)
        return hz * 3 / 200 if hz < 1000 else 15 + 27 * np.log(hz / 1000) / np.log(6.4)

    fine = AF.melscale_fbanks(8001, 100.0, 7000.0, 10, 16000, None, scale).numpy()
    peaks = [to_mel(float(hz)) for hz in fine.argmax(0)]
    whole = [to_mel(100.0), *peaks, to_mel(7000.0)]
    np.testing.assert_allclose(np.diff(whole), np.diff(whole).mean(), rtol=0.01)
    np.testing.assert_allclose(fine.max(0), 1, atol=5e-3)
    # neighbours share what lies between their peaks
    inner = fine[fine[:, 0].argmax() + 1 : fine[:, -1].argmax()]
    np.testing.assert_allclose(inner.sum(1), 1, atol=1e-6)
    areas = AF.melscale_fbanks(8001, 100.0, 7000.0, 10, 16000, "slaney", scale).numpy()
    np.testing.assert_allclose(areas.sum(0), 1, rtol=1e-2)


def test_mel_spectrograms_are_filtered_powers() -> None:
    x = ad.tensor(_normal(2, 4000).astype(np.float32))
    mel = AT.MelSpectrogram(8000, 256, n_mels=20, f_min=50.0, norm="slaney")
    filters = AF.melscale_fbanks(129, 50.0, 4000.0, 20, 8000, "slaney").numpy()
    powers = AT.Spectrogram(256)(x).numpy()
    want = np.einsum("bft,fm->bmt", powers, filters)
    np.testing.assert_allclose(mel(x).numpy(), want, rtol=1e-4)
    assert list(mel.state_dict()) == ["spectrogram.window", "mel_scale.fb"]
    with pytest.raises(ShapeError, match=r"MelScale: expected \(\.\.\., 201 freq"):
        AT.MelScale(40)(ad.zeros(129, 3))
    with pytest.warns(UserWarning, match="of 128 filters lie between two of the 65"):
        AT.MelSpectrogram(n_fft=128)
    with pytest.raises(ValueError, match="mel_scale must be 'htk' or 'slaney'"):
        AT.MelScale(mel_scale="bark")
    with pytest.raises(ValueError, match="expected 0 <= f_min < f_max"):
        AT.MelScale(f_min=9000.0)


def test_decibels() -> None:
    x = ad.tensor([[[1.0, 1e-12], [1e3, 0.0]], [[1e-3, 1e-5], [1e-4, 1e-9]]])
    plain = AT.AmplitudeToDB()(x).numpy()
    want = [[[0, -100], [30, -100]], [[-30, -50], [-40, -90]]]
    np.testing.assert_allclose(plain, want, atol=1e-4)
    np.testing.assert_allclose(AT.AmplitudeToDB("magnitude")(x).numpy()[1, 0, 0], -60)
    # channels are one example, examples of a batch are not
    np.testing.assert_allclose(AT.AmplitudeToDB(top_db=50)(x).numpy()[1, 1, 1], -20)
    batch = AT.AmplitudeToDB(top_db=50)(x[:, None]).numpy()
    np.testing.assert_allclose(batch[1, 0, 1, 1], -80)
    back = AF.DB_to_amplitude(ad.tensor([30.0]), 1.0, 1.0)
    np.testing.assert_allclose(back.numpy(), 1000, rtol=1e-5)
    with pytest.raises(ValueError, match="stype must be 'power' or 'magnitude'"):
        AT.AmplitudeToDB("dB")
    with pytest.raises(ValueError, match="top_db must be >= 0"):
        AT.AmplitudeToDB(top_db=-1)
    with pytest.raises(ShapeError, match="top_db needs"):
        AT.AmplitudeToDB(top_db=1)(ad.ones(3))


def test_cepstral_coefficients_are_cosine_transforms() -> None:
    fft = pytest.importorskip("scipy.fft")
    x = ad.tensor(_normal(2, 4000).astype(np.float32))
    arguments = {"n_fft": 256, "n_mels": 24}
    for norm in ("ortho", None):
        mfcc = AT.MFCC(8000, 13, norm=norm, melkwargs=arguments)
        decibels = AT.AmplitudeToDB(top_db=80.0)(mfcc.MelSpectrogram(x)).numpy()
        want = fft.dct(decibels, type=2, norm=norm, axis=1)[:, :13]
        np.testing.assert_allclose(mfcc(x).numpy(), want, atol=1e-2, rtol=1e-4)
    mfcc = AT.MFCC(8000, 13, log_mels=True, melkwargs=arguments)
    logs = np.log(mfcc.MelSpectrogram(x).numpy() + 1e-6)
    want = fft.dct(logs, type=2, norm="ortho", axis=1)[:, :13]
    np.testing.assert_allclose(mfcc(x).numpy(), want, atol=1e-3)
    with pytest.raises(ValueError, match="n_mfcc must be from 1 to n_mels = 24"):
        AT.MFCC(8000, 30, melkwargs=arguments)
    with pytest.raises(NotImplementedError, match="dct_type must be 2"):
        AT.MFCC(dct_type=3)
    with pytest.raises(ValueError, match="create_dct: norm must be None or 'ortho'"):
        AF.create_dct(2, 4, "slaney")


def test_gradients_of_transforms_of_signals() -> None:
    mel = AT.MelSpectrogram(800, 32, n_mels=6, power=2.0).double()
    dct = AF.create_dct(4, 6, "ortho").double()

    def coefficients(x: ad.Tensor) -> ad.Tensor:
        decibels = AF.amplitude_to_DB(mel(x), 10.0, 1e-10, 0.0)
        return decibels.transpose(-1, -2) @ dct

    x = _tensor(1, 48)
    gradcheck(coefficients, (x,))
    gradgradcheck(coefficients, (x,), rtol=1e-2)
    silence = ad.zeros(1, 48, dtype=ad.float64, requires_grad=True)
    coefficients(silence).sum().backward()
    assert silence.grad.tolist() == [[0.0] * 48]
