"""PyTorch's `fft`: discrete Fourier transforms.

There are no complex element types: results are pairs of real tensors with the methods
that spectra need, see `pyautodl.complex` and `pyautodl.view_as_real`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pyautodl.errors import describe
from pyautodl.functional.complex_tensor import ComplexTensor
from pyautodl.functional.copy import pad, roll, stack
from pyautodl.functional.creation import arange, zeros_like
from pyautodl.functional.views import narrow
from pyautodl.ops.axes import normalize_axis
from pyautodl.ops.integers import integer, integers
from pyautodl.tensor import Tensor, call, explained, get_default_dtype, not_tensor

__all__ = [
    "fft",
    "fft2",
    "fftfreq",
    "fftn",
    "fftshift",
    "ifft",
    "ifft2",
    "ifftn",
    "ifftshift",
    "irfft",
    "irfft2",
    "irfftn",
    "rfft",
    "rfft2",
    "rfftfreq",
    "rfftn",
]

Axes = int | Sequence[int] | None


def _factor(name: str, norm: str | None, n: int, inverse: bool) -> float:
    """What a transform without any factor is multiplied with."""
    if norm == "ortho":
        return float(n**-0.5)
    if norm not in (None, "backward", "forward"):
        raise ValueError(
            f"{name}: norm must be 'backward', 'ortho' or 'forward', got {describe(norm)}"
        )
    return 1 / n if (norm == "forward") != inverse else 1.0


def _axis(name: str, dim: Any, shape: Sequence[int]) -> int:
    """The axis of a transform, from 0."""
    if not shape:
        raise IndexError(
            f"{name}: expected at least one axis, got a number; likely fix: .reshape(1)"
        )
    return normalize_axis(name, dim, len(shape), shape)


def _sized(name: str, x: Tensor, n: int | None, axis: int) -> Tensor:
    """x with n elements along an axis: cut, or with zeros behind."""
    had = x.shape[axis]
    n = had if n is None else integer(name, "n", n)
    if n < 1:
        raise ValueError(f"{name}: n must be > 0, got {n} (axis {axis} of size {had})")
    if n <= had:
        return x if n == had else narrow(x, axis, 0, n)
    return pad(x, (0, 0) * (x.ndim - 1 - axis) + (0, n - had))


def _pairs_of(name: str, x: Any) -> Tensor:
    if isinstance(x, ComplexTensor):
        return x._pairs
    if not isinstance(x, Tensor):
        raise not_tensor(name, x)
    x = x if x.is_floating_point() else x.float()
    return stack((x, zeros_like(x)), -1)


def _scaled(x: Tensor, factor: float) -> Tensor:
    return x if factor == 1 else x * factor


def _fft(
    name: str, x: Tensor, n: int | None, dim: int, norm: str | None, inverse: bool
) -> Tensor:
    """The transform of pairs along one axis."""
    axis = _axis(name, dim, x.shape[:-1])
    x = _sized(name, x, n, axis)
    factor = _factor(name, norm, x.shape[axis], inverse)
    found = call("fft", x.transpose(axis, -2), inverse=inverse)
    return _scaled(found, factor).transpose(axis, -2)


def _check_real(name: str, x: Any) -> None:
    if not isinstance(x, Tensor):
        fix = "; likely fix: fft.fft" if isinstance(x, ComplexTensor) else ""
        raise TypeError(f"{name}: expected real numbers, got {type(x).__name__}{fix}")


def _rfft(name: str, x: Any, n: int | None, dim: int, norm: str | None) -> Tensor:
    _check_real(name, x)
    x = x if x.is_floating_point() else x.float()
    axis = _axis(name, dim, x.shape)
    x = _sized(name, x, n, axis)
    factor = _factor(name, norm, x.shape[axis], False)
    found = call("rfft", x.transpose(axis, -1))
    return _scaled(found, factor).transpose(axis, -2)


def _irfft(name: str, x: Tensor, n: int | None, dim: int, norm: str | None) -> Tensor:
    axis = _axis(name, dim, x.shape[:-1])
    n = 2 * (x.shape[axis] - 1) if n is None else integer(name, "n", n)
    if n < 1:
        raise ValueError(
            f"{name}: n must be > 0, got {n} (shape {tuple(x.shape[:-1])})"
        )
    x = _sized(name, x, n // 2 + 1, axis)
    factor = _factor(name, norm, n, True) * n
    return _scaled(call("irfft", x.transpose(axis, -2), n=n), factor).transpose(
        axis, -1
    )


def _axes(
    name: str, shape: Sequence[int], s: Axes, dim: Axes
) -> tuple[list[int], list[int | None]]:
    """Axes from 0, and for each the size it gets."""
    ndim = len(shape)
    sizes = None if s is None else list(integers(name, "s", s))
    if dim is not None:
        axes = list(integers(name, "dim", dim))
    else:
        axes = list(range(ndim if sizes is None else len(sizes)))
        axes = [each - len(axes) for each in axes]
    axes = [_axis(name, each, shape) for each in axes]
    if len(set(axes)) < len(axes):
        raise ValueError(f"{name}: an axis is named twice: dim {dim}")
    if sizes is not None and len(sizes) != len(axes):
        raise ValueError(
            f"{name}: s {tuple(sizes)} and dim {tuple(axes)} differ in length"
        )
    return axes, [None] * len(axes) if sizes is None else list(sizes)


def _half_axes(
    name: str, shape: Sequence[int], s: Axes, dim: Axes
) -> tuple[list[int], list[int | None]]:
    """`_axes`, the last of which holds half of the frequencies."""
    axes, sizes = _axes(name, shape, s, dim)
    if not axes:
        raise IndexError(f"{name}: expected at least one axis, got dim {dim}")
    return axes, sizes


@explained
def fft(
    input: Any, n: int | None = None, dim: int = -1, norm: str | None = None
) -> ComplexTensor:
    """Return the discrete Fourier transform along an axis.

    Args:
        input: real or complex numbers.
        n: how many of them, cut or with zeros behind; default: all.
        dim: the axis.
        norm: 'backward' (the default) divides the inverse by n, 'forward' this one, and
            'ortho' both by its square root.

    Raises:
        ValueError: n is not positive, or norm another word.

    Example:
        >>> import pyautodl as ad
        >>> ad.fft.fft(ad.tensor([1.0, 0.0, -1.0, 0.0])).real
        tensor([0., 2., 0., 2.])
    """
    return ComplexTensor(_fft("fft", _pairs_of("fft", input), n, dim, norm, False))


@explained
def ifft(
    input: Any, n: int | None = None, dim: int = -1, norm: str | None = None
) -> ComplexTensor:
    """Return the numbers of a Fourier transform; arguments as of `fft`.

    Example:
        >>> import pyautodl as ad
        >>> ad.fft.ifft(ad.fft.fft(ad.arange(4.0))).real
        tensor([0., 1., 2., 3.])
    """
    return ComplexTensor(_fft("ifft", _pairs_of("ifft", input), n, dim, norm, True))


@explained
def rfft(
    input: Tensor, n: int | None = None, dim: int = -1, norm: str | None = None
) -> ComplexTensor:
    """Return the Fourier transform of real numbers, n // 2 + 1 frequencies.

    The others are the conjugates of these; arguments as of `fft`.

    Example:
        >>> import pyautodl as ad
        >>> ad.fft.rfft(ad.tensor([1.0, 0.0, -1.0, 0.0])).abs()
        tensor([0., 2., 0.])
    """
    return ComplexTensor(_rfft("rfft", input, n, dim, norm))


@explained
def irfft(
    input: Any, n: int | None = None, dim: int = -1, norm: str | None = None
) -> Tensor:
    """Return the n real numbers of n // 2 + 1 frequencies; arguments as of `fft`.

    The default of n is the even one.

    Example:
        >>> import pyautodl as ad
        >>> ad.fft.irfft(ad.fft.rfft(ad.arange(4.0)))
        tensor([0., 1., 2., 3.])
    """
    return _irfft("irfft", _pairs_of("irfft", input), n, dim, norm)


@explained
def fftn(
    input: Any, s: Axes = None, dim: Axes = None, norm: str | None = None
) -> ComplexTensor:
    """Return the Fourier transform along several axes.

    Args:
        input: real or complex numbers.
        s: for each axis how many of them; default: all.
        dim: the axes; default: the last ones that `s` has sizes for, or all.
        norm: see `fft`.

    Example:
        >>> import pyautodl as ad
        >>> ad.fft.fftn(ad.ones(2, 2)).real
        tensor([[4., 0.],
                [0., 0.]])
    """
    return _along_all("fftn", input, s, dim, norm, False)


@explained
def ifftn(
    input: Any, s: Axes = None, dim: Axes = None, norm: str | None = None
) -> ComplexTensor:
    """Return the numbers of a transform along several axes; arguments as of `fftn`.

    Example:
        >>> import pyautodl as ad
        >>> ad.fft.ifftn(ad.fft.fftn(ad.ones(2, 2))).real
        tensor([[1., 1.],
                [1., 1.]])
    """
    return _along_all("ifftn", input, s, dim, norm, True)


def _along_all(
    name: str, input: Any, s: Axes, dim: Axes, norm: str | None, inverse: bool
) -> ComplexTensor:
    x = _pairs_of(name, input)
    for axis, n in zip(*_axes(name, x.shape[:-1], s, dim)):
        x = _fft(name, x, n, axis, norm, inverse)
    return ComplexTensor(x)


@explained
def rfftn(
    input: Tensor, s: Axes = None, dim: Axes = None, norm: str | None = None
) -> ComplexTensor:
    """Return the transform of real numbers along axes, of the last one half.

    The other arguments as of `fftn`.

    Example:
        >>> import pyautodl as ad
        >>> ad.fft.rfftn(ad.ones(2, 4)).shape
        pyautodl.Size([2, 3])
    """
    return _half_along_all("rfftn", input, s, dim, norm)


def _half_along_all(
    name: str, input: Any, s: Axes, dim: Axes, norm: str | None
) -> ComplexTensor:
    _check_real(name, input)
    axes, sizes = _half_axes(name, input.shape, s, dim)
    x = _rfft(name, input, sizes[-1], axes[-1], norm)
    for axis, n in zip(axes[:-1], sizes):
        x = _fft(name, x, n, axis, norm, False)
    return ComplexTensor(x)


@explained
def irfftn(
    input: Any, s: Axes = None, dim: Axes = None, norm: str | None = None
) -> Tensor:
    """Return the real numbers that `rfftn` transformed; arguments as of `fftn`.

    Example:
        >>> import pyautodl as ad
        >>> ad.fft.irfftn(ad.fft.rfftn(ad.ones(2, 4))).shape
        pyautodl.Size([2, 4])
    """
    return _real_along_all("irfftn", input, s, dim, norm)


def _real_along_all(
    name: str, input: Any, s: Axes, dim: Axes, norm: str | None
) -> Tensor:
    x = _pairs_of(name, input)
    axes, sizes = _half_axes(name, x.shape[:-1], s, dim)
    for axis, n in zip(axes[:-1], sizes):
        x = _fft(name, x, n, axis, norm, True)
    return _irfft(name, x, sizes[-1], axes[-1], norm)


@explained
def fft2(
    input: Any, s: Axes = None, dim: Axes = (-2, -1), norm: str | None = None
) -> ComplexTensor:
    """Return `fftn` along the last two axes; arguments as of `fftn`.

    Example:
        >>> import pyautodl as ad
        >>> ad.fft.fft2(ad.ones(3, 2, 2)).shape
        pyautodl.Size([3, 2, 2])
    """
    return _along_all("fft2", input, s, dim, norm, False)


@explained
def ifft2(
    input: Any, s: Axes = None, dim: Axes = (-2, -1), norm: str | None = None
) -> ComplexTensor:
    """Return `ifftn` along the last two axes; arguments as of `fftn`.

    Example:
        >>> import pyautodl as ad
        >>> ad.fft.ifft2(ad.fft.fft2(ad.ones(2, 2))).real
        tensor([[1., 1.],
                [1., 1.]])
    """
    return _along_all("ifft2", input, s, dim, norm, True)


@explained
def rfft2(
    input: Tensor, s: Axes = None, dim: Axes = (-2, -1), norm: str | None = None
) -> ComplexTensor:
    """Return `rfftn` along the last two axes; arguments as of `fftn`.

    Example:
        >>> import pyautodl as ad
        >>> ad.fft.rfft2(ad.ones(3, 4, 4)).shape
        pyautodl.Size([3, 4, 3])
    """
    return _half_along_all("rfft2", input, s, dim, norm)


@explained
def irfft2(
    input: Any, s: Axes = None, dim: Axes = (-2, -1), norm: str | None = None
) -> Tensor:
    """Return `irfftn` along the last two axes; arguments as of `fftn`.

    Example:
        >>> import pyautodl as ad
        >>> ad.fft.irfft2(ad.fft.rfft2(ad.ones(3, 4, 4))).shape
        pyautodl.Size([3, 4, 4])
    """
    return _real_along_all("irfft2", input, s, dim, norm)


@explained
def fftfreq(
    n: int,
    d: float = 1.0,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Return the frequencies of `fft`, in cycles per unit of time.

    Args:
        n: how many numbers are transformed.
        d: the time between two of them.
        dtype: the element type.
        device: 'cpu'.
        requires_grad: whether it is a leaf that wants a gradient.

    Example:
        >>> import pyautodl as ad
        >>> ad.fft.fftfreq(4)
        tensor([ 0.0000,  0.2500, -0.5000, -0.2500])
    """
    half = (n - 1) // 2 + 1
    cycles = arange(n, device=device)
    cycles[half:] -= n
    return _per_time("fftfreq", cycles, n, d, dtype).requires_grad_(requires_grad)


@explained
def rfftfreq(
    n: int,
    d: float = 1.0,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Return the frequencies of `rfft`, in cycles per unit of time; arguments as of `fftfreq`.

    Example:
        >>> import pyautodl as ad
        >>> ad.fft.rfftfreq(4, d=0.5)
        tensor([0.0000, 0.5000, 1.0000])
    """
    cycles = arange(n // 2 + 1, device=device)
    return _per_time("rfftfreq", cycles, n, d, dtype).requires_grad_(requires_grad)


def _per_time(name: str, cycles: Tensor, n: int, d: float, dtype: Any) -> Tensor:
    if n < 1:
        raise ValueError(f"{name}: n must be > 0, got {n}")
    exact = cycles.double() * (1.0 / (n * d))
    return exact.to(get_default_dtype() if dtype is None else dtype)


@explained
def fftshift(input: Any, dim: Axes = None) -> Any:
    """Move the frequency 0 into the middle of axes.

    Args:
        input: a tensor, or a complex one.
        dim: an axis or several; default: all.

    Example:
        >>> import pyautodl as ad
        >>> ad.fft.fftshift(ad.fft.fftfreq(4))
        tensor([-0.5000, -0.2500,  0.0000,  0.2500])
    """
    return _shifted("fftshift", input, dim, lambda n: n // 2)


@explained
def ifftshift(input: Any, dim: Axes = None) -> Any:
    """Undo `fftshift`; arguments as of it.

    Example:
        >>> import pyautodl as ad
        >>> ad.fft.ifftshift(ad.fft.fftshift(ad.arange(5)))
        tensor([0, 1, 2, 3, 4])
    """
    return _shifted("ifftshift", input, dim, lambda n: -(n // 2))


def _shifted(name: str, x: Any, dim: Axes, shift: Any) -> Any:
    if isinstance(dim, int):
        dim = (dim,)
    given = tuple(range(x.ndim)) if dim is None else integers(name, "dim", dim)
    axes = [normalize_axis(name, each, x.ndim, x.shape) for each in given]
    shifts = [shift(x.shape[each]) for each in axes]
    if isinstance(x, ComplexTensor):
        return ComplexTensor(roll(x._pairs, tuple(shifts), tuple(axes)))
    return roll(x, tuple(shifts), tuple(axes))
