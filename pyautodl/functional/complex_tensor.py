"""Complex numbers as pairs of real ones: what Fourier transforms give."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pyautodl.backends.dtypes import FLOATING
from pyautodl.errors import DTypeError, ShapeError
from pyautodl.functional.copy import stack
from pyautodl.functional.eltwise import atan2, cos, isnan, sin, where
from pyautodl.functional.views import broadcast_tensors
from pyautodl.ops.axes import normalize_axis
from pyautodl.ops.integers import integer
from pyautodl.tensor import Size, Tensor, call, explained, not_tensor

__all__ = [
    "angle",
    "complex",
    "conj",
    "imag",
    "is_complex",
    "polar",
    "real",
    "view_as_complex",
    "view_as_real",
]

_python_complex = complex


class ComplexTensor:
    """Complex numbers, held as a tensor of real and imaginary parts.

    PyTorch's complex tensor, as far as spectra need it: real and imaginary parts, `abs`,
    `angle`, `conj`, sums, products, indices. What else it is asked for names
    `view_as_real`. Gradients reach both parts. Made by `complex`, `polar`,
    `view_as_complex`, `stft` and the functions of `fft`.

    Attributes:
        shape: without the axis of the two parts.
    """

    # NumPy's numbers leave the arithmetic to this class
    __array_ufunc__ = None
    likely_fix = "a method of the complex tensor, as x.abs(), or view_as_real(x)"

    def __init__(self, pairs: Tensor) -> None:
        self._pairs = pairs

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(
            f"a complex tensor has no attribute {name!r}: it knows real, imag, abs(), "
            "angle(), conj(), sums, products and indices; likely fix: "
            "view_as_real(x), real and imaginary parts on a last axis of size 2"
        )

    def __repr__(self) -> str:
        return f"complex(real={self.real},\n        imag={self.imag})"

    def __len__(self) -> int:
        if not self.ndim:
            raise TypeError("len: a complex number has no length")
        return self.shape[0]

    @property
    def shape(self) -> Size:
        return Size(tuple(self._pairs.shape)[:-1])

    @property
    def ndim(self) -> int:
        """How many axes there are."""
        return self._pairs.ndim - 1

    def dim(self) -> int:
        """Return how many axes there are."""
        return self.ndim

    def size(self, dim: int | None = None) -> Any:
        """Return the shape, or the size of an axis."""
        return self.shape if dim is None else self.shape[dim]

    def is_complex(self) -> bool:
        """Return True."""
        return True

    @property
    def requires_grad(self) -> bool:
        """Whether gradients reach the parts."""
        return self._pairs.requires_grad

    def detach(self) -> ComplexTensor:
        """Return the numbers without what they were computed from."""
        return ComplexTensor(self._pairs.detach())

    def numpy(self) -> np.ndarray[Any, Any]:
        """Return a NumPy array of complex numbers, a copy."""
        pairs = self._pairs.numpy()
        return np.asarray(pairs[..., 0] + 1j * pairs[..., 1])

    # ---- its parts ----

    @property
    def real(self) -> Tensor:
        """The real parts, a view: what is changed in place there, or assigned, is changed
        here."""
        return self._pairs[..., 0]

    @real.setter
    def real(self, value: Any) -> None:
        self._pairs[..., 0] = value

    @property
    def imag(self) -> Tensor:
        """The imaginary parts, a view as `real`."""
        return self._pairs[..., 1]

    @imag.setter
    def imag(self, value: Any) -> None:
        self._pairs[..., 1] = value

    def abs(self) -> Tensor:
        """Return the absolute values; where one is 0 so is its gradient."""
        return call("norm", self._pairs, p=2.0, dim=(-1,), keepdim=False)

    __abs__ = abs

    def angle(self) -> Tensor:
        """Return the angles, from -pi to pi."""
        return atan2(self.imag, self.real)

    def conj(self) -> ComplexTensor:
        """Return the numbers with the other sign of the imaginary parts."""
        return complex(self.real, -self.imag)

    # ---- arithmetic ----

    def __neg__(self) -> ComplexTensor:
        return ComplexTensor(-self._pairs)

    def __add__(self, other: Any) -> ComplexTensor:
        real, imag = _parts(other)
        return complex(*broadcast_tensors(self.real + real, self.imag + imag))

    __radd__ = __add__

    def __sub__(self, other: Any) -> ComplexTensor:
        real, imag = _parts(other)
        return complex(*broadcast_tensors(self.real - real, self.imag - imag))

    def __rsub__(self, other: Any) -> ComplexTensor:
        return -self + other

    def __mul__(self, other: Any) -> ComplexTensor:
        if isinstance(other, Tensor):
            return ComplexTensor(self._pairs * other[..., None])
        if not isinstance(other, (ComplexTensor, _python_complex)):
            return ComplexTensor(self._pairs * other)
        (a, b), (c, d) = _parts(self), _parts(other)
        return complex(a * c - b * d, a * d + b * c)

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> ComplexTensor:
        if isinstance(other, ComplexTensor):
            return self * other._reciprocal()
        if isinstance(other, Tensor):
            return ComplexTensor(self._pairs / other[..., None])
        return self * (1 / other)

    def __rtruediv__(self, other: Any) -> ComplexTensor:
        return self._reciprocal() * other

    def _reciprocal(self) -> ComplexTensor:
        a, b = _parts(self)
        return self.conj() * (1.0 / (a * a + b * b))

    # ---- its axes ----

    def __getitem__(self, index: Any) -> ComplexTensor:
        key = index if isinstance(index, tuple) else (index,)
        if not any(each is Ellipsis for each in key):
            key = (*key, ...)
        return ComplexTensor(self._pairs[(*key, slice(None))])

    def transpose(self, dim0: int, dim1: int) -> ComplexTensor:
        """Swap two axes."""
        axes = (self._axis("transpose", each) for each in (dim0, dim1))
        return ComplexTensor(self._pairs.transpose(*axes))

    def unsqueeze(self, dim: int) -> ComplexTensor:
        """Insert an axis of size 1."""
        axis = normalize_axis(
            "unsqueeze", integer("unsqueeze", "dim", dim), self.ndim + 1
        )
        return ComplexTensor(self._pairs.unsqueeze(axis))

    def squeeze(self, dim: int) -> ComplexTensor:
        """Take away an axis of size 1."""
        return ComplexTensor(self._pairs.squeeze(self._axis("squeeze", dim)))

    def _axis(self, name: str, dim: int) -> int:
        return normalize_axis(name, integer(name, "dim", dim), self.ndim, self.shape)


def _parts(value: Any) -> tuple[Any, Any]:
    """Real and imaginary parts of a complex tensor, a tensor or a number."""
    if isinstance(value, ComplexTensor):
        return value.real, value.imag
    if isinstance(value, _python_complex):
        return value.real, value.imag
    return value, 0.0


@explained
def complex(real: Tensor, imag: Tensor) -> ComplexTensor:
    """Make complex numbers of their real and imaginary parts.

    Args:
        real: the real parts.
        imag: the imaginary parts, of the same shape and type.

    Raises:
        ShapeError: the shapes differ.
        DTypeError: the types differ or are not floating.

    Example:
        >>> import pyautodl as ad
        >>> ad.complex(ad.tensor([3.0]), ad.tensor([4.0])).abs()
        tensor([5.])
    """
    if real.shape != imag.shape:
        raise ShapeError(
            f"complex: the shapes differ: real {tuple(real.shape)}, "
            f"imag {tuple(imag.shape)}"
        )
    if real.dtype is not imag.dtype or real.dtype.category != FLOATING:
        raise DTypeError(
            "complex: expected parts of one floating type, got "
            f"{real.dtype.name} and {imag.dtype.name}"
        )
    return ComplexTensor(stack((real, imag), -1))


@explained
def polar(abs: Tensor, angle: Tensor) -> ComplexTensor:
    """Make complex numbers of their absolute values and angles.

    Args:
        abs: the absolute values.
        angle: the angles.

    Example:
        >>> import pyautodl as ad
        >>> ad.polar(ad.tensor([2.0]), ad.tensor([ad.pi])).real
        tensor([-2.])
    """
    return complex(abs * cos(angle), abs * sin(angle))


@explained
def view_as_real(input: Any) -> Tensor:
    """Return complex numbers as a tensor with real and imaginary parts on a last axis.

    Args:
        input: a complex tensor, as `stft` and `fft.rfft` give it.

    Shape:
        (...) -> (..., 2)

    Example:
        >>> import pyautodl as ad
        >>> ad.view_as_real(ad.fft.rfft(ad.tensor([1.0, 0.0])))
        tensor([[1., 0.],
                [1., 0.]])
    """
    if not isinstance(input, ComplexTensor):
        raise TypeError(
            f"view_as_real: expected a complex tensor, got {type(input).__name__}"
        )
    return input._pairs


@explained
def view_as_complex(input: Tensor) -> ComplexTensor:
    """Return the complex numbers whose parts stand on the last axis.

    Args:
        input: real and imaginary parts, (..., 2).

    Raises:
        ShapeError: the last axis has not the size 2.

    Example:
        >>> import pyautodl as ad
        >>> ad.view_as_complex(ad.tensor([[3.0, 4.0]])).abs()
        tensor([5.])
    """
    if not isinstance(input, Tensor):
        raise not_tensor("view_as_complex", input)
    if not input.ndim or input.shape[-1] != 2:
        raise ShapeError(
            "view_as_complex: expected a last axis of size 2, got shape "
            f"{tuple(input.shape)}"
        )
    if input.dtype.category != FLOATING:
        raise DTypeError(
            f"view_as_complex: expected a floating type, got {input.dtype.name}"
        )
    return ComplexTensor(input)


@explained
def real(input: Any) -> Tensor:
    """Return the real parts; a real tensor is returned as it is.

    Example:
        >>> import pyautodl as ad
        >>> ad.real(ad.polar(ad.ones(1), ad.zeros(1)))
        tensor([1.])
    """
    if isinstance(input, ComplexTensor):
        return input.real
    return _real_tensor("real", input)


@explained
def imag(input: Any) -> Tensor:
    """Return the imaginary parts.

    Raises:
        TypeError: the input is real.

    Example:
        >>> import pyautodl as ad
        >>> ad.imag(ad.polar(ad.ones(1), ad.zeros(1)))
        tensor([0.])
    """
    if isinstance(input, ComplexTensor):
        return input.imag
    if isinstance(input, Tensor):
        return input.imag
    raise TypeError(f"imag: expected a complex tensor, got {type(input).__name__}")


@explained
def angle(input: Any) -> Tensor:
    """Return the angles of complex numbers; of real ones 0 or, below 0, pi.

    Example:
        >>> import pyautodl as ad
        >>> ad.angle(ad.tensor([1.0, -1.0]))
        tensor([0.0000, 3.1416])
    """
    if isinstance(input, ComplexTensor):
        return input.angle()
    x = _real_tensor("angle", input).detach()
    # -0 is not below 0, and a NaN stays one
    return where(x < 0, math.pi, where(isnan(x), x, 0.0))


@explained
def conj(input: Any) -> Any:
    """Return complex numbers with the other sign of the imaginary parts.

    Example:
        >>> import pyautodl as ad
        >>> ad.conj(ad.complex(ad.ones(1), ad.ones(1))).imag
        tensor([-1.])
    """
    if isinstance(input, ComplexTensor):
        return input.conj()
    return _real_tensor("conj", input)


def is_complex(input: Any) -> bool:
    """Return whether the input is a complex tensor.

    Example:
        >>> import pyautodl as ad
        >>> ad.is_complex(ad.ones(1)), ad.is_complex(ad.fft.fft(ad.ones(1)))
        (False, True)
    """
    return isinstance(input, ComplexTensor)


def _real_tensor(name: str, x: Any) -> Tensor:
    if not isinstance(x, Tensor):
        raise not_tensor(name, x)
    return x
