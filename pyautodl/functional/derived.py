"""Functions of numbers that are made of others: differences, areas, logarithms, angles."""

from __future__ import annotations

import math
from typing import Any

from pyautodl.backends.dtypes import INTEGRAL
from pyautodl.errors import DTypeError, ShapeError
from pyautodl.functional.copy import cat, roll
from pyautodl.functional.creation import arange, eye, tensor
from pyautodl.functional.eltwise import (
    clamp,
)
from pyautodl.functional.eltwise.arithmetic import (
    floating_operands,
    floor_divide,
    remainder,
)
from pyautodl.functional.eltwise.unary import as_floating
from pyautodl.functional.grids import triu_indices
from pyautodl.functional.index import take
from pyautodl.functional.numpy_names import by_numpy_names
from pyautodl.functional.reduce import cdist, norm
from pyautodl.functional.sort import in_one_type, sort
from pyautodl.functional.views import broadcast_tensors, broadcast_to, flatten
from pyautodl.ops.axes import normalize_axis
from pyautodl.ops.eltwise.special import SPECIAL
from pyautodl.ops.eltwise.special_pairs import SPECIAL_PAIRS
from pyautodl.ops.eltwise.unary import LOGIT
from pyautodl.ops.integers import integer, integers, several
from pyautodl.ops.sort import ISIN_SORTED
from pyautodl.tensor import Tensor, apply, call, explained, method

__all__ = [
    "cross",
    "cumulative_trapezoid",
    "deg2rad",
    "diff",
    "gradient",
    "isin",
    "logaddexp",
    "logaddexp2",
    "logit",
    "matrix_power",
    "msort",
    "pdist",
    "rad2deg",
    "sinc",
    "trapezoid",
    "trapz",
    "unravel_index",
    "vander",
]


@explained
def pdist(input: Tensor, p: float = 2.0) -> Tensor:
    """Return the p-norm distances between all pairs of rows, each pair once.

    Args:
        input: (n, d).
        p: the exponent.

    Shape:
        (n, d) -> (n (n-1) / 2,), the pairs (0, 1), (0, 2), ..., (1, 2), ...

    Raises:
        ShapeError: the input is no matrix.

    Example:
        >>> import pyautodl as ad
        >>> ad.pdist(ad.tensor([[0.0], [1.0], [3.0]]))
        tensor([1., 3., 2.])
    """
    if input.ndim != 2:
        raise ShapeError(f"pdist: expected (n, d), got {tuple(input.shape)}")
    rows, columns = triu_indices(len(input), len(input), 1)
    if p == 2:
        return take(cdist(input, input), rows * len(input) + columns)
    return norm(input[rows] - input[columns], p, -1)


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
        prepend: a tensor that is put before the input first, where n is not 0.
        append: a tensor that is put after it.

    Shape:
        the axis is shorter by n.

    Raises:
        ShapeError: the input is a scalar.
        ValueError: n is negative.

    Example:
        >>> import pyautodl as ad
        >>> ad.diff(ad.tensor([1, 4, 9]))
        tensor([3, 5])
    """
    if _numpy:
        return by_numpy_names(diff, locals())
    axis = _axis_with_neighbours("diff", input, dim)
    n = integer("diff", "n", n)
    if n < 0:
        raise ValueError(f"diff: n must not be negative, got {n}")
    if not n:
        return input.clone()
    parts = [each for each in (prepend, input, append) if each is not None]
    x = cat(parts, dim) if len(parts) > 1 else input
    # none are left after as many steps as there are elements
    for _ in range(min(n, x.shape[axis])):
        size = max(x.shape[axis] - 1, 0)
        start = min(1, x.shape[axis])
        after, before = x.narrow(axis, start, size), x.narrow(axis, 0, size)
        x = after - before if x.dtype.name != "bool" else after ^ before
    return x.clone() if x is input else x


def _axis_with_neighbours(name: str, x: Tensor, dim: int) -> int:
    if not x.ndim:
        raise ShapeError(f"{name}: expected at least one axis, got shape ()")
    return normalize_axis(name, dim, x.ndim, x.shape)


@explained
def gradient(
    input: Tensor, *, spacing: Any = 1, dim: Any = None, edge_order: int = 1
) -> tuple[Tensor, ...]:
    """Estimate the slopes of sampled values along axes, by differences of neighbours.

    Inside they are exact for parabolas, also where samples lie at unequal distances.

    Args:
        input: the samples; whole numbers count as floating ones.
        spacing: the distance of neighbours: a number for all axes, or for each of them a
            number or a line with the places of the samples.
        dim: an axis or several; None is all.
        edge_order: 1 takes the slope to the only neighbour at both ends, 2 that of the
            parabola through the last three.

    Returns:
        a tuple with the slopes along each axis, of the input's shape

    Raises:
        ShapeError: an axis has not more than `edge_order` elements, places are not one for
            each of them, or spacings not one for each axis.
        ValueError: an axis is named twice, or edge_order is neither 1 nor 2.

    Example:
        >>> import pyautodl as ad
        >>> ad.gradient(ad.tensor([1.0, 4.0, 9.0, 16.0]))
        (tensor([3., 4., 6., 7.]),)
    """
    order = integer("gradient", "edge_order", edge_order)
    if order not in (1, 2):
        raise ValueError(f"gradient: edge_order must be 1 or 2, got {order}")
    dims = range(input.ndim) if dim is None else several("gradient", "dim", dim)
    axes = [_axis_with_neighbours("gradient", input, each) for each in dims]
    if len(set(axes)) < len(axes):
        raise ValueError(f"gradient: dim names an axis twice, got {tuple(dims)}")
    steps = spacing if isinstance(spacing, (tuple, list)) else [spacing] * len(axes)
    if len(steps) != len(axes):
        raise ShapeError(
            f"gradient: expected a spacing for each of {len(axes)} axes, got {len(steps)}; "
            "likely fix: one number for all, or dim"
        )
    x = as_floating("gradient", input)
    for axis in axes:
        if x.shape[axis] <= order:
            raise ShapeError(
                f"gradient: expected at least {order + 1} elements along each axis, got "
                f"shape {tuple(x.shape)} and axis {axis}"
            )
    return tuple(
        _slopes(x, axis, _distances(x, axis, step), order)
        for axis, step in zip(axes, steps, strict=True)
    )


def _distances(x: Tensor, axis: int, spacing: Any) -> Tensor:
    """The distances of neighbours, or one for all, shaped to go with the axis."""
    if not isinstance(spacing, Tensor) or not spacing.ndim:
        return tensor(float(spacing), dtype=x.dtype).reshape([1] * x.ndim)
    if spacing.ndim > 1 or len(spacing) != x.shape[axis]:
        raise ShapeError(
            f"gradient: expected the places of {x.shape[axis]} samples along axis {axis} "
            f"of shape {tuple(x.shape)}, got spacing {tuple(spacing.shape)}"
        )
    places = spacing.to(x.dtype)
    shape = [1] * x.ndim
    shape[axis] = -1
    return (places[1:] - places[:-1]).reshape(shape)


def _slopes(x: Tensor, axis: int, steps: Tensor, order: int) -> Tensor:
    n = x.shape[axis]

    def part(start: int, size: int = 1) -> Tensor:
        return x.narrow(axis, start % n, size)

    def step(start: int, size: int = 1) -> Tensor:
        one = steps.shape[axis] == 1 and n != 2
        return steps if one else steps.narrow(axis, start % (n - 1), size)

    def along(weights: tuple[Tensor, Tensor, Tensor], start: int, size: int) -> Tensor:
        a, b, c = weights
        before, here, after = (part(start + i, size) for i in range(3))
        return a * before + b * here + c * after

    inside = []
    if n > 2:
        left, right = step(0, n - 2), step(1, n - 2)
        both = left + right
        weights = -right / (left * both), (right - left) / (left * right)
        inside = [along((*weights, left / (right * both)), 0, n - 2)]
    if order == 1:
        first = (part(1) - part(0)) / step(0)
        last = (part(-1) - part(-2)) / step(-1)
        return cat([first, *inside, last], axis)
    left, right = step(0), step(1)
    both = left + right
    edge = -(left + both) / (left * both), both / (left * right), -left / (right * both)
    first = along(edge, 0, 1)
    left, right = step(-2), step(-1)
    both = left + right
    edge = (
        right / (left * both),
        -both / (left * right),
        (right + both) / (right * both),
    )
    return cat([first, *inside, along(edge, n - 3, 1)], axis)


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

    Raises:
        ShapeError: y is a scalar.

    Example:
        >>> import pyautodl as ad
        >>> ad.trapezoid(ad.tensor([1.0, 2.0, 3.0]))
        tensor(4.)
    """
    if x is not None:
        return _areas("trapezoid", y, x, dx, dim).sum(dim)
    y = as_floating("trapezoid", y)
    axis = _axis_with_neighbours("trapezoid", y, dim)
    n = y.shape[axis]
    if n < 2:
        return y.narrow(axis, 0, 0).sum(axis)
    # heights between the ends count twice, a half each time
    ends = y.select(axis, 0) + y.select(axis, -1)
    return (y.narrow(axis, 1, n - 2).sum(axis) + ends / 2) * dx


@explained
def cumulative_trapezoid(
    y: Tensor, x: Tensor | None = None, *, dx: float = 1, dim: int = -1
) -> Tensor:
    """Return the area under points from the first up to each further one.

    Args:
        y: the heights.
        x: where they stand.
        dx: how far apart they are, without x.
        dim: the axis.

    Shape:
        the axis is shorter by 1.

    Example:
        >>> import pyautodl as ad
        >>> ad.cumulative_trapezoid(ad.tensor([1.0, 2.0, 3.0]))
        tensor([1.5000, 4.0000])
    """
    return _areas("cumulative_trapezoid", y, x, dx, dim).cumsum(dim)


def _areas(name: str, y: Tensor, x: Tensor | None, dx: float, dim: int) -> Tensor:
    """Those between neighbours along an axis."""
    y = as_floating(name, y)
    axis = _axis_with_neighbours(name, y, dim)
    n = max(y.shape[axis] - 1, 0)
    heights = (y.narrow(axis, min(1, y.shape[axis]), n) + y.narrow(axis, 0, n)) / 2
    if x is None:
        return heights * dx
    widths = diff(as_floating(name, x), dim=-1 if x.ndim == 1 else dim)
    if x.ndim == 1:
        widths = widths.reshape(*(-1 if i == axis else 1 for i in range(y.ndim)))
    return heights * widths


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
    return apply(
        SPECIAL_PAIRS["logaddexp"], *floating_operands("logaddexp", input, other)
    )


@method
@explained
def logaddexp2(input: Tensor, other: Tensor) -> Tensor:
    """Return log2(2 ** input + 2 ** other), without overflow.

    Args:
        input, other: floating tensors that broadcast.

    Example:
        >>> import pyautodl as ad
        >>> ad.logaddexp2(ad.tensor([-2000.0, 1.0]), ad.tensor([0.0, 1.0]))
        tensor([0., 2.])
    """
    x, y = floating_operands("logaddexp2", input, other)
    return apply(SPECIAL_PAIRS["logaddexp2"], x, y)


@method("sinc", inplace=True)
@explained
def sinc(input: Tensor) -> Tensor:
    """Return sin(pi x) / (pi x), 1 at 0, with derivatives of any order there.

    Args:
        input: a tensor.

    Example:
        >>> import pyautodl as ad
        >>> ad.sinc(ad.tensor([0.0, 0.5, 1.5]))
        tensor([ 1.0000,  0.6366, -0.2122])
    """
    return apply(SPECIAL["sinc"], as_floating("sinc", input))


@method
@explained
def msort(input: Tensor) -> Tensor:
    """Return the elements in rising order along the first axis.

    Args:
        input: a tensor.

    Example:
        >>> import pyautodl as ad
        >>> ad.msort(ad.tensor([3, 1, 2]))
        tensor([1, 2, 3])
    """
    return sort(input, dim=0).values


@explained
def vander(x: Tensor, N: int | None = None, increasing: bool = False) -> Tensor:
    """Return the powers of numbers, those of one number in a row.

    Args:
        x: a tensor of one axis.
        N: how many powers, from 0 on; default: as many as numbers.
        increasing: from power 0 on, in place of to it.

    Raises:
        ShapeError: x has another number of axes.

    Example:
        >>> import pyautodl as ad
        >>> ad.vander(ad.tensor([2, 3]), 3)
        tensor([[4, 2, 1],
                [9, 3, 1]])
    """
    if x.ndim != 1:
        raise ShapeError(f"vander: expected one axis, got shape {tuple(x.shape)}")
    count = len(x) if N is None else integer("vander", "N", N)
    if count < 0:
        raise ValueError(f"vander: N must not be negative, got {count}")
    exponents = arange(count)
    return x.unsqueeze(-1) ** (exponents if increasing else exponents.flip(0))


@explained
def unravel_index(indices: Tensor, shape: Any) -> tuple[Tensor, ...]:
    """Return the places of elements, an index an axis, of their numbers in a tensor.

    Args:
        indices: an integer tensor, numbers of elements in C order.
        shape: the tensor's shape.

    Raises:
        DTypeError: indices are no integers.
        IndexError: a number is not one of an element.

    Example:
        >>> import pyautodl as ad
        >>> ad.unravel_index(ad.tensor([4, 5]), (2, 3))
        (tensor([1, 1]), tensor([1, 2]))
    """
    given = shape if isinstance(shape, (tuple, list)) else (shape,)
    sizes = integers("unravel_index", "shape", given)
    if indices._array.dtype.category != INTEGRAL:
        raise DTypeError(
            f"unravel_index: expected integer indices, got {indices.dtype.name}; likely "
            "fix: .long()"
        )
    count = math.prod(sizes)
    for each in (indices.amin(), indices.amax()) if indices.numel() else ():
        if not 0 <= each.item() < count:
            raise IndexError(
                f"unravel_index: expected numbers from 0 to {count - 1}, those of the "
                f"elements of shape {sizes}, got {each.item()}"
            )
    # a narrow type may not hold the sizes
    places, rest = [], indices.long()
    for size in reversed(sizes):
        places.append(remainder(rest, size))
        rest = floor_divide(rest, size)
    return tuple(reversed(places))


@method(inplace=True)
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


@method(inplace=True)
@explained
def deg2rad(input: Tensor) -> Tensor:
    """Return angles in radians, of degrees.

    Example:
        >>> import pyautodl as ad
        >>> ad.deg2rad(ad.tensor([180.0]))
        tensor([3.1416])
    """
    return input * (math.pi / 180)


@method(inplace=True)
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
    line, x = in_one_type(flatten(tests.detach()), x.detach())
    return apply(ISIN_SORTED, sort(line).values, x, flag=bool(invert))
