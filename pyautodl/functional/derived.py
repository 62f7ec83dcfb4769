"""Functions of numbers that are made of others: differences, areas, logarithms, angles."""

from __future__ import annotations

import math
from typing import Any

from pyautodl.errors import ShapeError
from pyautodl.functional.copy import cat, roll
from pyautodl.functional.creation import eye, tensor
from pyautodl.functional.eltwise import (
    clamp,
    eq,
    isinf,
    le,
    log,
    logical_and,
    logical_not,
    logical_or,
    lt,
    ne,
    softplus,
    where,
)
from pyautodl.functional.eltwise.arithmetic import floating_operands
from pyautodl.functional.eltwise.unary import as_floating
from pyautodl.functional.index.arguments import as_value
from pyautodl.functional.numpy_names import by_numpy_names
from pyautodl.functional.sort import searchsorted, sort
from pyautodl.functional.views import broadcast_tensors, broadcast_to, flatten
from pyautodl.ops.axes import normalize_axis
from pyautodl.ops.eltwise.unary import LOGIT
from pyautodl.ops.integers import integer
from pyautodl.tensor import Tensor, apply, call, explained, method, operands

__all__ = [
    "cross",
    "deg2rad",
    "diff",
    "isin",
    "logaddexp",
    "logit",
    "matrix_power",
    "rad2deg",
    "trapezoid",
    "trapz",
    "xlogy",
]


@method
@explained
def diff(
    input: Tensor,
    n: int = 1,
    dim: int = -1,
    prepend: Any = None,
    append: Any = None,
    **_numpy: Any,
) -> Tensor:
    """Return the differences of neighbours along an axis.

    Args:
        input: a tensor.
        n: how often they are taken.
        dim: the axis.
        prepend: a tensor that is put before the input first.
        append: a tensor that is put after it.

    Shape:
        the axis is shorter by n.

    Example:
        >>> import pyautodl as ad
        >>> ad.diff(ad.tensor([1, 4, 9]))
        tensor([3, 5])
    """
    if _numpy:
        return by_numpy_names(diff, locals())
    x = cat([each for each in (prepend, input, append) if each is not None], dim)
    axis = normalize_axis("diff", dim, x.ndim, x.shape)
    # none are left after as many steps as there are elements
    for _ in range(min(integer("diff", "n", n), x.shape[axis])):
        size = max(x.shape[axis] - 1, 0)
        start = min(1, x.shape[axis])
        after, before = x.narrow(axis, start, size), x.narrow(axis, 0, size)
        x = after - before if x.dtype.name != "bool" else after ^ before
    return x


@explained
def trapezoid(
    y: Tensor, x: Tensor | None = None, *, dx: float = 1, dim: int = -1
) -> Tensor:
    """Return the area under points along an axis, joined by straight lines.

    Args:
        y: the heights.
        x: where they stand.
        dx: how far apart they are, without x.
        dim: the axis.

    Example:
        >>> import pyautodl as ad
        >>> ad.trapezoid(ad.tensor([1.0, 2.0, 3.0]))
        tensor(4.)
    """
    y = as_floating("trapezoid", y)
    axis = normalize_axis("trapezoid", dim, y.ndim, y.shape)
    n = max(y.shape[axis] - 1, 0)
    heights = (y.narrow(axis, min(1, y.shape[axis]), n) + y.narrow(axis, 0, n)) / 2
    if x is None:
        return (heights * dx).sum(axis)
    widths = diff(as_floating("trapezoid", x), dim=-1 if x.ndim == 1 else dim)
    if x.ndim == 1:
        widths = widths.reshape(*(-1 if i == axis else 1 for i in range(y.ndim)))
    return (heights * widths).sum(axis)


@explained
def trapz(
    y: Tensor, x: Tensor | None = None, *, dx: float = 1, dim: int = -1
) -> Tensor:
    """Return the area under points along an axis; arguments as in `trapezoid`.

    Example:
        >>> import pyautodl as ad
        >>> ad.trapz(ad.tensor([1.0, 2.0, 3.0]))
        tensor(4.)
    """
    return trapezoid(y, x, dx=dx, dim=dim)


@method
def logaddexp(input: Tensor, other: Tensor) -> Tensor:
    """Return log(exp(input) + exp(other)), without overflow.

    Exact near 0 too. Of two equal infinities the first gets all of the gradient.

    Args:
        input, other: floating tensors that broadcast.

    Example:
        >>> import pyautodl as ad
        >>> ad.logaddexp(ad.tensor([-1000.0]), ad.tensor([0.0]))
        tensor([0.])
    """
    x, y = operands("logaddexp", input, other)
    swapped = lt(x, y)
    high, low = where(swapped, y, x), where(swapped, x, y)
    infinite = logical_and(eq(high, low), isinf(high))
    gap = call("zero_where", low - high, infinite, invert=False)
    return high + softplus(gap, threshold=math.inf)


@method
@explained
def logit(input: Tensor, eps: float | None = None) -> Tensor:
    """Return log(x / (1 - x)), which sigmoid takes back.

    The gradient at 0 and 1 is infinite; outside of them it is NaN, as the value is.

    Args:
        input: a floating tensor of probabilities.
        eps: bring them into [eps, 1 - eps] first.

    Example:
        >>> import pyautodl as ad
        >>> ad.logit(ad.tensor([0.5, 0.75]))
        tensor([0.0000, 1.0986])
    """
    x = as_floating("logit", input)
    return apply(LOGIT, x if eps is None else clamp(x, eps, 1 - eps))


@method
def xlogy(input: Tensor, other: Any) -> Tensor:
    """Return input log(other), 0 where input is 0 unless other is NaN.

    The gradient of an input of 0 is log(other) where that is finite, else 0.

    Args:
        input: a tensor.
        other: a tensor or a number.

    Example:
        >>> import pyautodl as ad
        >>> ad.xlogy(ad.tensor([0.0, 2.0]), ad.tensor([0.0, ad.e]))
        tensor([0., 2.])
    """
    x, y = floating_operands("xlogy", input, other)
    # a logarithm that is infinite or NaN; a finite one is the gradient of x = 0 too
    skipped = logical_and(eq(x, 0), logical_or(le(y, 0), eq(y, math.inf)))
    return where(skipped, x * 0.0, x * log(where(skipped, as_value(1, y), y)))


@method
@explained
def deg2rad(input: Tensor) -> Tensor:
    """Return angles in radians, of degrees.

    Example:
        >>> import pyautodl as ad
        >>> ad.deg2rad(ad.tensor([180.0]))
        tensor([3.1416])
    """
    return input * (math.pi / 180)


@method
@explained
def rad2deg(input: Tensor) -> Tensor:
    """Return angles in degrees, of radians.

    Example:
        >>> import pyautodl as ad
        >>> ad.rad2deg(ad.tensor([ad.pi]))
        tensor([180.])
    """
    return input * (180 / math.pi)


@method
@explained
def cross(input: Tensor, other: Tensor, dim: int | None = None) -> Tensor:
    """Return the vector products of vectors of three numbers.

    Args:
        input, other: tensors that broadcast.
        dim: the axis of size 3; default: the first that has it.

    Raises:
        ShapeError: there is no such axis.

    Example:
        >>> import pyautodl as ad
        >>> ad.cross(ad.tensor([1.0, 0.0, 0.0]), ad.tensor([0.0, 1.0, 0.0]))
        tensor([0., 0., 1.])
    """
    a, b = broadcast_tensors(input, other)
    shape = tuple(a.shape)
    if dim is None:
        axis = shape.index(3) if 3 in shape else -1
    else:
        axis = normalize_axis("cross", dim, a.ndim, shape)
    if not shape or shape[axis] != 3:
        raise ShapeError(f"cross: expected an axis of size 3, got shape {shape}")
    ahead, behind = (-1,), (1,)
    left = roll(a, ahead, (axis,)) * roll(b, behind, (axis,))
    return left - roll(a, behind, (axis,)) * roll(b, ahead, (axis,))


@method
@explained
def matrix_power(input: Tensor, n: int) -> Tensor:
    """Return the product of n copies of square matrices.

    Args:
        input: matrices on the last two axes.
        n: how many; negative: of the inverse.

    Raises:
        ShapeError: the matrices are not square.
        LinAlgError: n is negative and a matrix singular.

    Example:
        >>> import pyautodl as ad
        >>> ad.matrix_power(ad.tensor([[1.0, 1.0], [0.0, 1.0]]), 3)
        tensor([[1., 3.],
                [0., 1.]])
    """
    n = integer("matrix_power", "n", n)
    if input.ndim < 2 or input.shape[-1] != input.shape[-2]:
        raise ShapeError(
            f"matrix_power: expected square matrices, got shape {tuple(input.shape)}"
        )
    if n < 0:
        return matrix_power(call("inverse", input), -n)
    if n == 0:
        one = eye(input.shape[-1], dtype=input.dtype)
        return broadcast_to(one, input.shape).clone()
    if n == 1:
        return input.clone()
    half = matrix_power(input, n // 2)
    return half @ half @ input if n % 2 else half @ half


@explained
def isin(
    elements: Any,
    test_elements: Any,
    *,
    assume_unique: bool = False,
    invert: bool = False,
) -> Tensor:
    """Return for each element whether it is among the test elements.

    Args:
        elements: a tensor or a number.
        test_elements: a tensor or a number.
        assume_unique: a hint without effect.
        invert: return whether it is not.

    Example:
        >>> import pyautodl as ad
        >>> ad.isin(ad.tensor([1, 2, 3]), ad.tensor([2, 5]))
        tensor([False,  True, False])
    """
    x = elements if isinstance(elements, Tensor) else tensor(elements)
    tests = (
        test_elements if isinstance(test_elements, Tensor) else tensor(test_elements)
    )
    if not tests.numel():
        found = ne(x, x)
    else:
        line = sort(flatten(tests)).values
        places = searchsorted(line, x).clamp(max=len(line) - 1)
        found = eq(line[places], x)
    return logical_not(found) if invert else found
