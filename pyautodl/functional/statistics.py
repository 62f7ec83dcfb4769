"""Statistics of samples: quantiles, the most frequent value, covariance, histograms."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from pyautodl.backends.dtypes import FLOATING
from pyautodl.errors import DTypeError, ShapeError, describe
from pyautodl.functional.creation import full_like, linspace, tensor
from pyautodl.functional.eltwise import lerp, logical_and
from pyautodl.functional.eltwise.unary import as_floating
from pyautodl.functional.index import bincount, gather
from pyautodl.functional.limits import finfo
from pyautodl.functional.numpy_names import by_numpy_names
from pyautodl.functional.reduce import ValuesIndices, cumsum, norm
from pyautodl.functional.sort import searchsorted, sort
from pyautodl.functional.views import diagonal, flatten, movedim
from pyautodl.ops.axes import normalize_axis
from pyautodl.ops.integers import integer
from pyautodl.ops.sort import KTHVALUE
from pyautodl.tensor import Tensor, apply, call, explained, method

__all__ = [
    "bucketize",
    "corrcoef",
    "cov",
    "dist",
    "histc",
    "histogram",
    "mode",
    "nanmedian",
    "nanquantile",
    "quantile",
]

_INTERPOLATIONS = ("linear", "lower", "higher", "nearest", "midpoint")


@method
@explained
def quantile(
    input: Tensor,
    q: Any,
    dim: int | None = None,
    keepdim: bool = False,
    *,
    interpolation: str = "linear",
    **_numpy: Any,
) -> Tensor:
    """Return the value below which a part q of the elements lies; NaN if one is NaN.

    Args:
        input: a floating tensor.
        q: from 0 to 1: a number, or a line of them, which becomes the first axis.
        dim: the axis; None means all elements.
        keepdim: keep the axis with size 1.
        interpolation: between the two neighbours: 'linear', 'lower', 'higher', 'nearest'
            or 'midpoint'.

    Raises:
        ValueError: q is out of range, or the interpolation unknown.
        ShapeError: there are no elements, or q has several axes.

    Example:
        >>> import pyautodl as ad
        >>> ad.quantile(ad.tensor([3.0, 1.0, 2.0, 5.0]), ad.tensor([0.5, 0.9]))
        tensor([2.5000, 4.4000])
    """
    if _numpy:
        return by_numpy_names(quantile, locals())

    def find(line: Tensor, parts: Tensor) -> Tensor:
        found = _at(sort(line).values, parts * (line.shape[-1] - 1), interpolation)
        return found.masked_fill(line.isnan().any(-1, keepdim=True), float("nan"))

    return _quantile("quantile", input, q, dim, keepdim, interpolation, find)


@method
@explained
def nanquantile(
    input: Tensor,
    q: Any,
    dim: int | None = None,
    keepdim: bool = False,
    *,
    interpolation: str = "linear",
    **_numpy: Any,
) -> Tensor:
    """Return `quantile` of the elements that are not NaN; NaN if all are.

    Args:
        input, q, dim, keepdim, interpolation: as in `quantile`.

    Raises:
        ValueError: q is out of range, or the interpolation unknown.
        ShapeError: there are no elements, or q has several axes.

    Example:
        >>> import pyautodl as ad
        >>> ad.nanquantile(ad.tensor([3.0, float("nan"), 1.0, 2.0]), 0.5)
        tensor(2.)
    """
    if _numpy:
        return by_numpy_names(nanquantile, locals())

    def find(line: Tensor, parts: Tensor) -> Tensor:
        # NaN is sorted behind all others
        last = (_count_numbers(line) - 1).clamp(min=0)
        return _at(sort(line).values, parts * last, interpolation)

    return _quantile("nanquantile", input, q, dim, keepdim, interpolation, find)


@method
@explained
def nanmedian(
    input: Tensor, dim: int | None = None, keepdim: bool = False, **_numpy: Any
) -> Any:
    """Return `median` of the elements that are not NaN; NaN if all are.

    Args:
        input: a tensor.
        dim: an axis, along which values and first indices are returned; None: one
            value of all elements.
        keepdim: keep the axis with size 1.

    Raises:
        ShapeError: there are no elements.

    Example:
        >>> import pyautodl as ad
        >>> ad.nanmedian(ad.tensor([4.0, float("nan"), 3.0, 2.0]))
        tensor(3.)
    """
    if _numpy:
        return by_numpy_names(nanmedian, locals())
    x = flatten(input) if dim is None or not input.ndim else input
    axis = normalize_axis("nanmedian", dim or 0, x.ndim, x.shape)
    if not x.shape[axis]:
        raise ShapeError(f"nanmedian: shape {tuple(input.shape)} has no elements")
    kept = keepdim and input.ndim > 0
    found = apply(KTHVALUE, x, k=1, dim=axis, keepdim=kept, nan="without")
    if dim is None:
        return found[0].reshape([1] * input.ndim if keepdim else ())
    return ValuesIndices(*found)


def _count_numbers(line: Tensor) -> Tensor:
    return line.isnan().logical_not().sum(-1, keepdim=True)


def _quantile(
    name: str,
    input: Tensor,
    q: Any,
    dim: int | None,
    keepdim: bool,
    interpolation: str,
    find: Callable[[Tensor, Tensor], Tensor],
) -> Tensor:
    """What `find` gives of lines and the parts q, in the place of the axis."""
    if interpolation not in _INTERPOLATIONS:
        raise ValueError(
            f"{name}: interpolation must be one of {', '.join(_INTERPOLATIONS)}, got "
            f"{describe(interpolation)}"
        )
    parts = q if isinstance(q, Tensor) else tensor(float(q), dtype=input.dtype)
    if parts.ndim > 1:
        raise ShapeError(f"{name}: expected q with one axis, got {tuple(q.shape)}")
    if not bool(logical_and(parts >= 0, parts <= 1).all()):
        raise ValueError(f"{name}: q must be from 0 to 1, got {q}")
    x = flatten(input) if dim is None or not input.ndim else input
    axis = normalize_axis(name, dim or 0, x.ndim, x.shape)
    if not x.shape[axis]:
        raise ShapeError(f"{name}: shape {tuple(input.shape)} has no elements")
    found = movedim(find(movedim(x, axis, -1), parts.reshape(-1)), -1, 0)
    if keepdim:
        kept = [1] * input.ndim
        if dim is not None and input.ndim:
            kept = [*input.shape]
            kept[axis] = 1
        found = found.reshape(-1, *kept)
    return found if parts.ndim else found[0]


def _at(line: Tensor, places: Tensor, interpolation: str) -> Tensor:
    """What stands at places between whole numbers, along the last axis: at the same of all
    lines, or at each line's own.
    """

    def take(where: Tensor) -> Tensor:
        if where.ndim == 1 < line.ndim:
            return line.index_select(-1, where.long())
        return gather(line, -1, where.long())

    if interpolation == "nearest":
        return take(places.round())
    low, high = places.floor(), places.ceil()
    below, above = take(low), take(high)
    if interpolation in ("lower", "higher"):
        return below if interpolation == "lower" else above
    weight = (high - low) * 0.5 if interpolation == "midpoint" else places - low
    return lerp(below, above, weight.to(line.dtype))


@method
@explained
def mode(
    input: Tensor, dim: int = -1, keepdim: bool = False, **_numpy: Any
) -> ValuesIndices:
    """Return the most frequent value along an axis, the smallest of several.

    Args:
        input: a tensor.
        dim: the axis.
        keepdim: keep the axis with size 1.

    Returns:
        (values, indices), the index that of the value's last place

    Raises:
        ShapeError: there are no elements.

    Example:
        >>> import pyautodl as ad
        >>> ad.mode(ad.tensor([2, 3, 1, 3])).values
        tensor(3)
    """
    if _numpy:
        return by_numpy_names(mode, locals())
    axis = normalize_axis("mode", dim, input.ndim, input.shape)
    x = input if input.ndim else input.reshape(1)
    n = x.shape[axis]
    if n == 0:
        raise ShapeError(f"mode: axis {axis} of shape {tuple(x.shape)} has no elements")
    values, order = sort(x, axis)
    starts = values.narrow(axis, 1, n - 1) != values.narrow(axis, 0, n - 1)
    first = starts.new_zeros((*x.shape[:axis], 1, *x.shape[axis + 1 :])).long()
    runs = call("cat", first, cumsum(starts.long(), axis), dim=axis)
    sizes = call("full", shape=tuple(x.shape), value=0, dtype=runs.dtype)
    sizes = sizes.scatter_add(axis, runs, sizes + 1)
    # the last place of the first of the longest runs
    best = sizes.argmax(axis, keepdim=True)
    count = gather(sizes, axis, best)
    last = (runs < best).sum(axis, keepdim=True) + count - 1
    indices = gather(order, axis, last)
    found = gather(x, axis, indices)
    if not (keepdim and input.ndim):
        found, indices = found.squeeze(axis), indices.squeeze(axis)
    return ValuesIndices(found, indices)


@method
@explained
def cov(
    input: Tensor, *, correction: int = 1, fweights: Any = None, aweights: Any = None
) -> Tensor:
    """Return the covariance matrix of variables.

    Args:
        input: a variable in each row, an observation in each column; a line is one variable.
        correction: what is subtracted from the number of observations.
        fweights, aweights: not supported.

    Raises:
        ShapeError: the input has more than two axes.

    Example:
        >>> import pyautodl as ad
        >>> ad.cov(ad.tensor([[1.0, 2.0, 3.0], [3.0, 2.0, 1.0]]))
        tensor([[ 1., -1.],
                [-1.,  1.]])
    """
    if fweights is not None or aweights is not None:
        raise NotImplementedError("cov: fweights and aweights are not supported")
    if input.ndim > 2:
        raise ShapeError(f"cov: expected up to 2 axes, got {tuple(input.shape)}")
    x = as_floating("cov", input)
    x = x if x.ndim == 2 else x.reshape(1, -1)
    x = x - x.mean(1, keepdim=True)
    # none are left: 0 / 0, whatever the correction
    count = max(x.shape[1] - integer("cov", "correction", correction), 0)
    found = x @ x.t() / count
    return found if len(x) > 1 else found.reshape(())


@method
@explained
def corrcoef(input: Tensor) -> Tensor:
    """Return the correlation matrix of variables, a row each.

    Example:
        >>> import pyautodl as ad
        >>> ad.corrcoef(ad.tensor([[1.0, 2.0, 3.0], [6.0, 4.0, 2.0]]))
        tensor([[ 1., -1.],
                [-1.,  1.]])
    """
    c = cov(input)
    if not c.ndim:
        return c / c
    width = diagonal(c).sqrt()
    return (c / width[:, None] / width[None, :]).clamp(-1, 1)


@method
@explained
def dist(input: Tensor, other: Tensor, p: float = 2) -> Tensor:
    """Return the p-norm of the difference of two tensors.

    Args:
        input, other: tensors that broadcast.
        p: the exponent.

    Example:
        >>> import pyautodl as ad
        >>> ad.dist(ad.tensor([3.0, 0.0]), ad.tensor([0.0, 4.0]))
        tensor(5.)
    """
    return norm(input - other, p)


@method
@explained
def histc(input: Tensor, bins: int = 100, min: float = 0, max: float = 0) -> Tensor:
    """Count elements in bins of equal width; what lies outside is passed over.

    Args:
        input: a tensor.
        bins: how many.
        min, max: where the first begins and the last ends; if both are equal, at the
            smallest and the largest element.

    Raises:
        ValueError: there is no bin, max is below min, or one of them is not finite.

    Example:
        >>> import pyautodl as ad
        >>> ad.histc(ad.tensor([0.1, 0.9, 1.0, 3.0]), bins=2, min=0, max=2)
        tensor([2., 1.])
    """
    bins = integer("histc", "bins", bins)
    if bins < 1 or max < min:
        raise ValueError(
            f"histc: expected bins above 0 and max at least min, got {bins} bins from "
            f"{min} to {max}"
        )
    x = flatten(as_floating("histc", input.detach()))
    own = min == max and x.numel() > 0
    if own:
        min, max = x.min().item(), x.max().item()
    if not (math.isfinite(min) and math.isfinite(max)):
        raise ValueError(f"histc: expected a finite range, got {min} to {max}")
    if not own:
        x = x[(x >= min) & (x <= max)]
    if min == max:
        places = full_like(x, bins // 2).long()
    else:
        # no product overflows, and a power of two rounds nothing
        wide = max - min > finfo(x.dtype).max / (2 * bins)
        scale = 0.5 ** (bins.bit_length() + 2) if wide else 1.0
        x, min, max = x * scale, min * scale, max * scale
        # what equals max belongs to the last
        places = ((x - min) * bins / (max - min)).long().clamp(max=bins - 1)
    return bincount(places, minlength=bins).to(input.dtype)


class Histogram(NamedTuple):
    """What `histogram` returns."""

    hist: Tensor
    bin_edges: Tensor


@method
@explained
def histogram(
    input: Tensor,
    bins: int | Tensor = 100,
    *,
    range: Sequence[float] | None = None,
    weight: Tensor | None = None,
    density: bool = False,
) -> Histogram:
    """Count elements in bins, or add up their weights; what lies outside is passed over.

    A bin has its left edge, the last one its right edge, too. There is no gradient.

    Args:
        input: a floating tensor.
        bins: how many of equal width, or their edges in order, one more than bins.
        range: where equal ones begin and end; default: the smallest and largest element.
        weight: a number for each element, which counts instead of 1.
        density: divide by sum and width, so that the area is 1.

    Returns:
        (hist, bin_edges), of the input's type

    Raises:
        DTypeError: the input is not floating, or edges or weights of another type.
        ShapeError: edges are no line, or weights not one for each element.
        ValueError: there is no bin, the range is not finite or ends before it begins, or
            both edges and a range are given.

    Example:
        >>> import pyautodl as ad
        >>> ad.histogram(ad.tensor([1.0, 2.0, 1.0]), 4, range=(0.0, 3.0)).hist
        tensor([0., 2., 1., 0.])
    """
    if input.dtype.category != FLOATING:
        raise DTypeError(
            f"histogram: expected a floating tensor, got {input.dtype.name}; likely fix: "
            ".float()"
        )
    x = flatten(input.detach())
    edges = _bin_edges(x, bins, range)
    inside = (x >= edges[0]) & (x <= edges[-1])
    terms = None
    if weight is not None:
        if weight.shape != input.shape or weight.dtype is not input.dtype:
            raise ShapeError(
                "histogram: expected a weight for each element, of the input's type, got "
                f"{describe(weight)} for {describe(input)}"
            )
        terms = flatten(weight.detach())[inside].double()
    count = len(edges) - 1
    # what equals the last edge belongs to the last bin
    places = (searchsorted(edges, x[inside], right=True) - 1).clamp(0, count - 1)
    hist = bincount(places, terms, count).to(input.dtype)
    if density:
        hist = hist / hist.sum() / (edges[1:] - edges[:-1])
    return Histogram(hist, edges)


def _bin_edges(x: Tensor, bins: Any, ends: Any) -> Tensor:
    if isinstance(bins, Tensor) and bins.ndim:
        if ends is not None:
            raise ValueError("histogram: range is for equal bins, got edges as well")
        if bins.ndim > 1:
            raise ShapeError(
                f"histogram: expected edges with one axis, got {tuple(bins.shape)}"
            )
        if bins.dtype is not x.dtype:
            raise DTypeError(
                f"histogram: expected edges of {x.dtype.name}, as the input, got "
                f"{bins.dtype.name}; likely fix: edges.to(input.dtype)"
            )
        if len(bins) < 2:
            raise ValueError(f"histogram: expected at least 2 edges, got {len(bins)}")
        return bins.detach().clone()
    count = integer("histogram", "bins", bins)
    if count < 1:
        raise ValueError(f"histogram: expected at least one bin, got {count}")
    low, high = (0.0, 1.0) if ends is None else map(float, ends)
    if ends is None and x.numel():
        low, high = x.min().item(), x.max().item()
    if not (math.isfinite(low) and math.isfinite(high)) or low > high:
        raise ValueError(
            f"histogram: expected a finite range, in order, got {low} to {high}; likely "
            "fix: range=(low, high)"
        )
    if low == high:
        low, high = low - 0.5, high + 0.5
    return linspace(low, high, count + 1, dtype=x.dtype)


@method
@explained
def bucketize(
    input: Any, boundaries: Tensor, *, out_int32: bool = False, right: bool = False
) -> Tensor:
    """Return the number of the bucket of each element.

    Args:
        input: a tensor or a number.
        boundaries: where buckets begin, in order.
        out_int32: return int32 instead of int64.
        right: an element that equals a boundary is behind it.

    Example:
        >>> import pyautodl as ad
        >>> ad.bucketize(ad.tensor([1, 3, 6]), ad.tensor([1, 3, 5]))
        tensor([0, 1, 3])
    """
    return searchsorted(boundaries, input, out_int32=out_int32, right=right)
