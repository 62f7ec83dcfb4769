"""Whole numbers and their divisors, floats and their mantissas, exponents, neighbours."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from pyautodl.backends.dtypes import FLOATING, INTEGRAL, float64, int32
from pyautodl.errors import DTypeError
from pyautodl.functional.creation import empty, from_numpy, zeros_like
from pyautodl.functional.eltwise import exp2, floor_divide
from pyautodl.functional.eltwise.arithmetic import floating_operands
from pyautodl.functional.eltwise.unary import check_tensor
from pyautodl.ops.eltwise.special_pairs import SPECIAL_PAIRS
from pyautodl.tensor import Tensor, apply, explained, method, operands

__all__ = ["float_power", "frexp", "gcd", "lcm", "ldexp", "nextafter"]


class MantissaExponent(NamedTuple):
    """What `frexp` returns."""

    mantissa: Tensor
    exponent: Tensor


def _whole(name: str, input: Any, other: Any) -> tuple[Tensor, Tensor]:
    """Two operands of one type of whole numbers."""
    x, y = operands(name, input, other)
    if x.dtype.category != INTEGRAL:
        raise DTypeError(f"{name}: expected whole numbers, got {x.dtype.name}")
    return x, y


def _of_numpy(function: Any, x: Tensor, y: Tensor) -> Tensor:
    """NumPy's function, written into a tensor: what no training step calls has no kernel."""
    a, b = x.detach().numpy(), y.detach().numpy()
    out = empty(np.broadcast_shapes(a.shape, b.shape), dtype=x.dtype)
    function(a, b, out=out.numpy())
    return out


@method("gcd", inplace=True)
@explained
def gcd(input: Tensor, other: Tensor) -> Tensor:
    """Return greatest common divisors; that of 0 and 0 is 0.

    Args:
        input: a tensor of whole numbers.
        other: a tensor that broadcasts with it.

    Raises:
        DTypeError: they are not whole numbers.

    Example:
        >>> import pyautodl as ad
        >>> ad.gcd(ad.tensor([12, -8, 0]), ad.tensor([18, 12, 5]))
        tensor([6, 4, 5])
    """
    x, y = _whole("gcd", input, other)
    return _of_numpy(np.gcd, x, y)


@method("lcm", inplace=True)
@explained
def lcm(input: Tensor, other: Tensor) -> Tensor:
    """Return least common multiples; that of 0 and anything is 0.

    Args:
        input: a tensor of whole numbers.
        other: a tensor that broadcasts with it.

    Raises:
        DTypeError: they are not whole numbers.

    Example:
        >>> import pyautodl as ad
        >>> ad.lcm(ad.tensor([4, -6, 0]), ad.tensor([6, 4, 5]))
        tensor([12, 12,  0])
    """
    x, y = _whole("lcm", input, other)
    return _of_numpy(np.lcm, x, y)


@method("nextafter", inplace=True)
@explained
def nextafter(input: Tensor, other: Tensor) -> Tensor:
    """Return the next floating numbers towards others; it has no gradient, as in PyTorch.

    Args:
        input: a floating tensor.
        other: a floating tensor that broadcasts with it.

    Raises:
        DTypeError: they are not floating.

    Example:
        >>> import pyautodl as ad
        >>> one = ad.tensor([1.0, 1.0])
        >>> (ad.nextafter(one, ad.tensor([2.0, 1.0])) - one) / ad.finfo().eps
        tensor([1., 0.])
    """
    x, y = operands("nextafter", input, other)
    if x.dtype.category != FLOATING:
        raise DTypeError(
            f"nextafter: expected floating tensors, got {x.dtype.name}; likely fix: "
            ".float()"
        )
    return apply(SPECIAL_PAIRS["nextafter"], x.detach(), y.detach())


@method
@explained
def frexp(input: Tensor) -> MantissaExponent:
    """Return mantissas from 0.5 to below 1 and exponents: input = mantissa 2^exponent.

    Args:
        input: a floating tensor; the gradient of the mantissa is 2^-exponent.

    Raises:
        DTypeError: it is not floating.

    Example:
        >>> import pyautodl as ad
        >>> mantissa, exponent = ad.frexp(ad.tensor([8.0, -0.75, 0.0]))
        >>> mantissa, exponent
        (tensor([ 0.5000, -0.7500,  0.0000]), tensor([4, 0, 0], dtype=pyautodl.int32))
    """
    check_tensor("frexp", input)
    if input.dtype.category != FLOATING:
        raise DTypeError(
            f"frexp: expected a floating tensor, got {input.dtype.name}; likely fix: "
            ".float()"
        )
    _, found = np.frexp(input.detach().numpy())
    exponent = from_numpy(np.asarray(found)).to(int32)
    # in two halves, which are in range where the whole is not
    half = floor_divide(exponent, 2)
    mantissa = ldexp(ldexp(input, -half), half - exponent)
    return MantissaExponent(mantissa, exponent.clone())


@method("ldexp", inplace=True)
@explained
def ldexp(input: Tensor, other: Tensor) -> Tensor:
    """Return input times 2 to the power of other.

    Args:
        input: a tensor; whole numbers become floating.
        other: a tensor that broadcasts with it.

    Example:
        >>> import pyautodl as ad
        >>> ad.ldexp(ad.tensor([1.0, 3.0]), ad.tensor([1, -2]))
        tensor([2.0000, 0.7500])
    """
    x, y = floating_operands("ldexp", input, other)
    return x * exp2(y)


@method("float_power", inplace=True)
@explained
def float_power(input: Any, exponent: Any) -> Tensor:
    """Return powers in float64.

    Args:
        input: a tensor or a number.
        exponent: a tensor that broadcasts with it, or a number; one of them is a tensor.

    Example:
        >>> import pyautodl as ad
        >>> ad.float_power(ad.tensor([2, 3]), -1)
        tensor([0.5000, 0.3333], dtype=pyautodl.float64)
    """
    base = input.to(float64) if isinstance(input, Tensor) else input
    power = exponent.to(float64) if isinstance(exponent, Tensor) else exponent
    if not isinstance(base, Tensor):
        base = zeros_like(power) + base
    found: Tensor = base**power
    return found
