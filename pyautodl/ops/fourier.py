"""Fourier transforms of the last axis; a complex number is two real ones, (..., 2).

Short transforms of real numbers are products with a matrix of cosines and sines, which
is faster up to the sizes below; NumPy's fast transform does the others.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import numpy as np

from pyautodl.backends import Array, as_constant, codes, from_numpy, run
from pyautodl.backends.dtypes import FLOATING, DType
from pyautodl.errors import DTypeError, ShapeError
from pyautodl.ops.layout import ensure_contiguous
from pyautodl.ops.record import ErrorCase, Op, Sample, Spec, register

__all__ = ["FFT", "IRFFT", "RFFT"]

NDArray = np.ndarray[Any, Any]

# the longest real transforms that are products: there both take the same time
LONGEST_PRODUCT = {"float32": 256, "float64": 128}


def _check(name: str, x: Array, pairs: bool) -> None:
    if x.dtype.category != FLOATING:
        raise DTypeError(
            f"{name}: expected a floating type, got {x.dtype.name}; likely fix: .float()"
        )
    if pairs and (x.ndim < 2 or x.shape[-1] != 2):
        raise ShapeError(
            f"{name}: expected real and imaginary parts on a last axis of size 2, got "
            f"shape {x.shape}"
        )
    if not pairs and not x.ndim:
        raise ShapeError(f"{name}: expected at least 1 axis, got a number")
    if not x.shape[-2 if pairs else -1]:
        raise ShapeError(f"{name}: expected at least one element, got shape {x.shape}")


def _weights(n: int) -> NDArray:
    """How many frequencies of all n each bin stands for, divided by n."""
    weights = np.full(n // 2 + 1, 2.0 / n)
    weights[0] = 1 / n
    if n % 2 == 0:
        weights[-1] = 1 / n
    return weights


@lru_cache(maxsize=32)
def _matrix(n: int, dtype: DType, weighted: bool) -> Array:
    """(n, 2 bins): what a row of n numbers is multiplied with."""
    turns = np.outer(np.arange(n), np.arange(n // 2 + 1)) % n
    angles = turns * (2 * np.pi / n)
    pairs = np.stack([np.cos(angles), -np.sin(angles)], -1)
    # a quarter of a turn is a rounded number, its cosine none that is 0
    pairs[np.abs(pairs) < 1e-12] = 0
    if weighted:
        pairs *= _weights(n)[:, None]
    return as_constant(from_numpy(pairs.reshape(n, -1).astype(dtype.numpy)))


def _multiply(x: Array, matrix: Array, out: Array) -> None:
    """`out` = x times the matrix, all of x's leading axes as rows."""
    (inner, columns), rows = matrix.shape, x.size // matrix.shape[0]
    left = x.view((rows, inner), (inner, 1))
    right = out.view((rows, columns), (columns, 1))
    numbers = (codes.ACTIVATION_NONE,), (0.0, 0.0)
    run("matmul", (left, matrix, None), (right,), *numbers)


def _complex(pairs: NDArray) -> NDArray:
    """Pairs that lie one after another as complex numbers, in the same memory."""
    kind = np.complex64 if pairs.dtype == np.float32 else np.complex128
    return pairs.view(kind)[..., 0]


# ---- real numbers to half of the frequencies ----


def _rfft_rule(x: Array, weighted: bool = False) -> tuple[Spec, ...]:
    _check("rfft", x, False)
    return (Spec((*x.shape[:-1], x.shape[-1] // 2 + 1, 2), x.dtype),)


def _rfft_forward(ctx: Any, needs: Any, x: Array, weighted: bool = False) -> Array:
    n = x.shape[-1]
    ((shape, dtype),) = _rfft_rule(x)
    out: Array = ctx.empty(shape, dtype)
    if n <= LONGEST_PRODUCT[dtype.name]:
        _multiply(ensure_contiguous(ctx, x), _matrix(n, dtype, weighted), out)
        return out
    found = _complex(out.numpy())
    np.fft.rfft(x.numpy(), out=found)
    if weighted:
        found *= _weights(n).astype(dtype.numpy)
    return out


def _rfft_vjp(call: Any, ctx: Any, needs: Any, g: Any) -> tuple[Any, ...]:
    """The same matrix from the other side."""
    weighted = ctx.attrs.get("weighted", False)
    return (call("irfft", g, n=ctx.shapes[0][-1], weighted=weighted),)


def _rfft_reference(x: NDArray, weighted: bool = False) -> NDArray:
    found = np.fft.rfft(x)
    if weighted:
        found = found * _weights(x.shape[-1])
    return np.stack([found.real, found.imag], -1)


def _normal(*shape: int) -> NDArray:
    return np.random.default_rng(len(shape)).standard_normal(shape)


def _rfft_samples() -> Iterator[Sample]:
    for weighted in (False, True):
        attrs = {"weighted": weighted}
        for shape in ((2, 3, 8), (7,), (3, 1), (2, 2), (2, 0, 4)):
            yield Sample((_normal(*shape),), attrs)
        # by a product, by one in float32 alone, and by none
        for n in (100, 250, 999):
            yield Sample((_normal(3, n),), attrs, gradient=False, tolerance=10.0)


def _rfft_errors() -> Iterator[ErrorCase]:
    yield ErrorCase((_normal(),), {}, ShapeError, "rfft: expected at least 1 axis")
    yield ErrorCase((_normal(3, 0),), {}, ShapeError, "rfft: expected at least one")
    integers = (np.arange(3),)
    yield ErrorCase(integers, {}, DTypeError, r"rfft: .* got int64; .* \.float\(\)")


RFFT = register(
    Op(
        name="rfft",
        rule=_rfft_rule,
        forward=_rfft_forward,
        vjp=_rfft_vjp,
        samples=_rfft_samples,
        errors=_rfft_errors,
        reference=_rfft_reference,
    )
)


# ---- and back ----


def _irfft_rule(x: Array, n: int, weighted: bool = True) -> tuple[Spec, ...]:
    _check("irfft", x, True)
    if n < 1 or x.shape[-2] != n // 2 + 1:
        raise ShapeError(
            f"irfft: {n} numbers have {n // 2 + 1} frequencies, got {x.shape[-2]}: shape "
            f"{x.shape}"
        )
    return (Spec((*x.shape[:-2], n), x.dtype),)


def _irfft_forward(
    ctx: Any, needs: Any, x: Array, n: int, weighted: bool = True
) -> Array:
    ((shape, dtype),) = _irfft_rule(x, n)
    out: Array = ctx.empty(shape, dtype)
    dense = ensure_contiguous(ctx, x)
    if n <= LONGEST_PRODUCT[dtype.name]:
        matrix = _matrix(n, dtype, weighted)
        columns = matrix.shape[1]
        _multiply(dense, matrix.view((columns, n), (1, columns)), out)
        return out
    bins = _complex(dense.numpy())
    if weighted:
        np.fft.irfft(bins, n, out=out.numpy())
    else:
        # NumPy counts the inner bins twice
        halves = np.full(n // 2 + 1, 0.5, dtype.numpy)
        halves[0] = 1
        if n % 2 == 0:
            halves[-1] = 1
        np.fft.irfft(bins * halves, n, norm="forward", out=out.numpy())
    return out


def _irfft_vjp(call: Any, ctx: Any, needs: Any, g: Any) -> tuple[Any, ...]:
    return (call("rfft", g, weighted=ctx.attrs.get("weighted", True)),)


def _irfft_reference(x: NDArray, n: int, weighted: bool = True) -> NDArray:
    bins = x[..., 0] + 1j * x[..., 1]
    if not weighted:
        bins = bins / (n * _weights(n)) * n
    return np.fft.irfft(bins, n)


def _irfft_samples() -> Iterator[Sample]:
    for weighted in (False, True):
        for lead, n in (((2, 3), 8), ((), 7), ((3,), 1), ((2,), 2), ((0,), 3)):
            x = _normal(*lead, n // 2 + 1, 2)
            yield Sample((x,), {"n": n, "weighted": weighted})
        for n in (100, 250, 999):
            x, attrs = _normal(3, n // 2 + 1, 2), {"n": n, "weighted": weighted}
            yield Sample((x,), attrs, gradient=False, tolerance=10.0)


def _irfft_errors() -> Iterator[ErrorCase]:
    match = "irfft: 6 numbers have 4 frequencies, got 3"
    yield ErrorCase((_normal(3, 2),), {"n": 6}, ShapeError, match)
    match = "irfft: expected real and imaginary parts on a last axis of size 2"
    yield ErrorCase((_normal(3, 3),), {"n": 4}, ShapeError, match)


IRFFT = register(
    Op(
        name="irfft",
        rule=_irfft_rule,
        forward=_irfft_forward,
        vjp=_irfft_vjp,
        samples=_irfft_samples,
        errors=_irfft_errors,
        reference=_irfft_reference,
    )
)


# ---- complex numbers ----


def _fft_rule(x: Array, inverse: bool = False) -> tuple[Spec, ...]:
    _check("fft", x, True)
    return (Spec(x.shape, x.dtype),)


def _fft_forward(ctx: Any, needs: Any, x: Array, inverse: bool = False) -> Array:
    out: Array = ctx.empty(x.shape, x.dtype)
    numbers = _complex(ensure_contiguous(ctx, x).numpy())
    found = _complex(out.numpy())
    if inverse:
        np.fft.ifft(numbers, norm="forward", out=found)
    else:
        np.fft.fft(numbers, out=found)
    return out


def _fft_vjp(call: Any, ctx: Any, needs: Any, g: Any) -> tuple[Any, ...]:
    """The conjugate of the matrix, which is symmetric."""
    return (call("fft", g, inverse=not ctx.attrs.get("inverse", False)),)


def _fft_reference(x: NDArray, inverse: bool = False) -> NDArray:
    numbers = x[..., 0] + 1j * x[..., 1]
    found = np.fft.ifft(numbers, norm="forward") if inverse else np.fft.fft(numbers)
    return np.stack([found.real, found.imag], -1)


def _fft_samples() -> Iterator[Sample]:
    for inverse in (False, True):
        for shape in ((2, 3, 4, 2), (5, 2), (3, 1, 2), (0, 3, 2)):
            yield Sample((_normal(*shape),), {"inverse": inverse})
        yield Sample((_normal(2, 360, 2),), {"inverse": inverse}, gradient=False)


def _fft_errors() -> Iterator[ErrorCase]:
    match = "fft: expected real and imaginary parts"
    yield ErrorCase((_normal(3),), {}, ShapeError, match)
    yield ErrorCase((_normal(0, 2),), {}, ShapeError, "fft: expected at least one")


# not divided by the number of elements in either direction
FFT = register(
    Op(
        name="fft",
        rule=_fft_rule,
        forward=_fft_forward,
        vjp=_fft_vjp,
        samples=_fft_samples,
        errors=_fft_errors,
        reference=_fft_reference,
    )
)
