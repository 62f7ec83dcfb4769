"""The gamma function's kin, Bessel functions, inverses of the normal distribution."""

from __future__ import annotations

from typing import Any

from pyautodl.functional.eltwise.arithmetic import floating_operands, mul
from pyautodl.functional.eltwise.compare import lt, where
from pyautodl.functional.eltwise.unary import (
    as_floating,
    check_tensor,
    define_function,
    erfc,
)
from pyautodl.ops.eltwise.special import SPECIAL
from pyautodl.ops.eltwise.special_pairs import SPECIAL_PAIRS
from pyautodl.ops.integers import integer
from pyautodl.tensor import Tensor, apply, explained, method

__all__ = [
    "digamma",
    "entr",
    "erfinv",
    "i0",
    "i0e",
    "i1",
    "i1e",
    "lgamma",
    "mvlgamma",
    "ndtr",
    "ndtri",
    "polygamma",
    "xlog1py",
    "xlogy",
]

# what PyTorch has in torch.special alone
ELSEWHERE = {"entr", "i0e", "i1", "i1e", "ndtr", "ndtri", "xlog1py"}

_SPECIAL = "ad.special"

lgamma = define_function(
    "lgamma",
    "the logarithm of the size of the gamma function",
    "[0.5, 1.0, 4.0]",
    "tensor([0.5724, 0.0000, 1.7918])",
    op=SPECIAL["lgamma"],
)
digamma = define_function(
    "digamma",
    "the derivative of lgamma",
    "[1.0, 0.5]",
    "tensor([-0.5772, -1.9635])",
    op=SPECIAL["digamma"],
)
erfinv = define_function(
    "erfinv",
    "the inverse of erf",
    "[0.0, 0.5, 1.0]",
    "tensor([0.0000, 0.4769,    inf])",
    op=SPECIAL["erfinv"],
)
i0 = define_function(
    "i0",
    "the modified Bessel function of order 0",
    "[0.0, 1.0]",
    "tensor([1.0000, 1.2661])",
    op=SPECIAL["i0"],
)
i0e = define_function(
    "i0e",
    "exp(-|x|) i0(x)",
    "[0.0, 1.0]",
    "tensor([1.0000, 0.4658])",
    op=SPECIAL["i0e"],
    module=_SPECIAL,
)
i1 = define_function(
    "i1",
    "the modified Bessel function of order 1",
    "[0.0, 1.0]",
    "tensor([0.0000, 0.5652])",
    op=SPECIAL["i1"],
    module=_SPECIAL,
)
i1e = define_function(
    "i1e",
    "exp(-|x|) i1(x)",
    "[0.0, 1.0]",
    "tensor([0.0000, 0.2079])",
    op=SPECIAL["i1e"],
    module=_SPECIAL,
)
ndtri = define_function(
    "ndtri",
    "the number that a normal one is below with this probability",
    "[0.5, 0.975]",
    "tensor([0.0000, 1.9600])",
    op=SPECIAL["ndtri"],
    module=_SPECIAL,
)


@explained
def polygamma(n: int, input: Tensor) -> Tensor:
    """Return derivative number `n` of digamma.

    Args:
        n: which, from 0 (digamma itself) on.
        input: a tensor; integers become floats.

    Raises:
        ValueError: n is negative.

    Example:
        >>> import pyautodl as ad
        >>> ad.polygamma(1, ad.tensor([1.0, 0.5]))
        tensor([1.6449, 4.9348])
    """
    number = integer("polygamma", "n", n)
    if number < 0:
        raise ValueError(f"polygamma: n must not be negative, got {number}")
    x = as_floating("polygamma", input)
    return apply(SPECIAL["polygamma"], x, n=number) if number else digamma(x)


def _polygamma(self: Tensor, n: int) -> Tensor:
    """`polygamma` of each element.

    Example:
        >>> import pyautodl as ad
        >>> ad.tensor([1.0]).polygamma(1)
        tensor([1.6449])
    """
    return polygamma(n, self)


def _polygamma_(self: Tensor, n: int) -> Tensor:
    """Apply `polygamma` in place; return the tensor."""
    return self._assign("polygamma_", polygamma(n, self))


setattr(Tensor, "polygamma", _polygamma)  # noqa: B010
setattr(Tensor, "polygamma_", _polygamma_)  # noqa: B010


@method(inplace=True)
def mvlgamma(input: Tensor, p: int) -> Tensor:
    """Return the logarithm of the gamma function of symmetric matrices of size p.

    Args:
        input: a tensor, above (p - 1) / 2.
        p: the size.

    Raises:
        ValueError: p is less than 1.

    Example:
        >>> import pyautodl as ad
        >>> ad.mvlgamma(ad.tensor([2.0, 3.0]), 2)
        tensor([0.4516, 1.5502])
    """
    size = integer("mvlgamma", "p", p)
    if size < 1:
        raise ValueError(f"mvlgamma: p must be at least 1, got {size}")
    x = as_floating("mvlgamma", input)
    total: Any = size * (size - 1) / 4 * 1.1447298858494002  # log(pi)
    for i in range(size):
        total = lgamma(x - i / 2) + total
    return total


def _product_of_log(name: str, x: Any, y: Any) -> Tensor:
    """x logarithm(y), where 0 at x = 0 unless y is NaN."""
    check_tensor(name, y if isinstance(y, Tensor) else x)
    return apply(SPECIAL_PAIRS[name], *floating_operands(name, x, y))


@method(inplace=True)
@explained
def xlogy(input: Any, other: Any) -> Tensor:
    """Return input log(other), 0 where the input is 0 unless other is NaN.

    The gradient of an input of 0 is log(other) where that is finite, else 0.

    Args:
        input: a tensor or a number.
        other: a tensor or a number; one of both is a tensor.

    Raises:
        TypeError: none of them is a tensor.

    Example:
        >>> import pyautodl as ad
        >>> ad.xlogy(ad.tensor([0.0, 2.0]), ad.tensor([0.0, 2.0]))
        tensor([0.0000, 1.3863])
    """
    return _product_of_log("xlogy", input, other)


@explained
def xlog1py(input: Any, other: Any) -> Tensor:
    """Return input log(1 + other), and 0 where the input is 0.

    Args:
        input: a tensor or a number.
        other: a tensor or a number; one of both is a tensor.

    Raises:
        TypeError: none of them is a tensor.

    Example:
        >>> import pyautodl as ad
        >>> ad.special.xlog1py(ad.tensor([0.0, 2.0]), ad.tensor([-1.0, 1.0]))
        tensor([0.0000, 1.3863])
    """
    return _product_of_log("xlog1py", input, other)


def entr(input: Tensor) -> Tensor:
    """Return -x log(x) of each element, 0 at 0 and -inf below.

    Args:
        input: a tensor; integers become floats.

    Raises:
        TypeError: the input is no tensor.

    Example:
        >>> import pyautodl as ad
        >>> ad.special.entr(ad.tensor([0.0, 0.5, -1.0]))
        tensor([0.0000, 0.3466,   -inf])
    """
    x = as_floating("entr", input)
    return where(lt(x, 0.0), float("-inf"), 0.0 - xlogy(x, x))


def ndtr(input: Tensor) -> Tensor:
    """Return the probability that a normal number is below each element.

    Args:
        input: a tensor; integers become floats.

    Raises:
        TypeError: the input is no tensor.

    Example:
        >>> import pyautodl as ad
        >>> ad.special.ndtr(ad.tensor([0.0, 1.96]))
        tensor([0.5000, 0.9750])
    """
    x = as_floating("ndtr", input)
    return mul(erfc(mul(x, -(0.5**0.5))), 0.5)
