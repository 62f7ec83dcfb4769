"""Functions that reduce axes: sums, means, extrema, norms, running sums, distances."""

from __future__ import annotations

import builtins
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from pyautodl.backends.dtypes import FLOATING, as_dtype, bool_, uint8
from pyautodl.errors import ShapeError, describe
from pyautodl.functional.numpy_names import by_numpy_names
from pyautodl.functional.views import broadcast_shapes
from pyautodl.ops.axes import normalize_axis
from pyautodl.ops.copy import CAST
from pyautodl.ops.integers import integer, one_or_several
from pyautodl.ops.record import Op, by_dim, kept_attributes
from pyautodl.ops.reduce import (
    ALL,
    AMAX,
    AMIN,
    ANY,
    ARGMAX,
    ARGMIN,
    CDIST,
    CUMPROD,
    CUMSUM,
    LOGSUMEXP,
    MAX_DIM,
    MEAN,
    MIN_DIM,
    NORM,
    PROD,
    STD,
    STD_MEAN,
    SUM,
    VAR,
    VAR_MEAN,
)
from pyautodl.ops.views import EXPAND, RESHAPE
from pyautodl.tensor import (
    Tensor,
    apply,
    apply_known,
    call,
    explained,
    get_default_dtype,
    method,
    not_tensor,
    operands,
)

__all__ = [
    "all",
    "amax",
    "amin",
    "aminmax",
    "any",
    "argmax",
    "argmin",
    "cdist",
    "cosine_similarity",
    "count_nonzero",
    "cumprod",
    "cumsum",
    "logsumexp",
    "max",
    "mean",
    "min",
    "nanmean",
    "nansum",
    "norm",
    "pairwise_distance",
    "prod",
    "std",
    "std_mean",
    "sum",
    "var",
    "var_mean",
]

Dim = int | Sequence[int] | None


class ValuesIndices(NamedTuple):
    """Values and where they stand, as `max(dim)`, `sort` and `topk` return them."""

    values: Tensor
    indices: Tensor


class MinMax(NamedTuple):
    """What `aminmax` returns."""

    min: Tensor
    max: Tensor


def _cast(x: Tensor, dtype: Any) -> Tensor:
    """The tensor in the type that a `dtype` argument asks for."""
    if dtype is None or x.dtype is as_dtype(dtype):
        return x
    return apply(CAST, x, dtype=as_dtype(dtype))


def _floating(x: Tensor) -> Tensor:
    return x if x.dtype.category == FLOATING else _cast(x, get_default_dtype())


def _dims(name: str, dim: Dim) -> int | tuple[int, ...] | None:
    if dim is None or type(dim) is int:
        return dim
    return one_or_several(name, "dim", dim)


@kept_attributes
def _of_axes(name: str, dim: Any, keepdim: bool) -> dict[str, Any]:
    return {"dim": _dims(name, dim), "keepdim": keepdim}


def _reduced(op: Op, x: Tensor, dim: Any, keepdim: bool) -> Tensor:
    y: Tensor = apply_known(op, (x,), _of_axes(op.name, dim, keepdim))
    return y


# ---- sums and means ----


@method
def sum(
    input: Tensor,
    dim: Dim = None,
    keepdim: bool = False,
    *,
    dtype: Any = None,
    **_numpy: Any,
) -> Tensor:
    """Add up the elements along axes; integers and bools give int64.

    Args:
        input: a tensor.
        dim: an axis or several; None or () means all.
        keepdim: keep reduced axes with size 1.
        dtype: cast to this type first.

    Shape:
        (a, b, c) -> (a, c) with dim=1, (a, 1, c) with keepdim.

    Raises:
        IndexError: there is no such axis.

    Example:
        >>> import pyautodl as ad
        >>> ad.sum(ad.tensor([[1, 2], [3, 4]]), 0)
        tensor([4, 6])
    """
    if _numpy:
        return by_numpy_names(sum, locals())
    return _reduced(SUM, _cast(input, dtype), dim, keepdim)


@method
def mean(
    input: Tensor,
    dim: Dim = None,
    keepdim: bool = False,
    *,
    dtype: Any = None,
    **_numpy: Any,
) -> Tensor:
    """Return the mean along axes.

    Args:
        input: a floating tensor.
        dim: an axis or several; None or () means all.
        keepdim: keep reduced axes with size 1.
        dtype: cast to this type first.

    Raises:
        DTypeError: the tensor holds integers or bools.

    Example:
        >>> import pyautodl as ad
        >>> ad.mean(ad.tensor([1.0, 2.0, 6.0]))
        tensor(3.)
    """
    if _numpy:
        return by_numpy_names(mean, locals())
    return _reduced(MEAN, _cast(input, dtype), dim, keepdim)


@method
@explained
def nansum(
    input: Tensor,
    dim: Dim = None,
    keepdim: bool = False,
    *,
    dtype: Any = None,
    **_numpy: Any,
) -> Tensor:
    """Add up the elements that are not NaN.

    Args:
        input: a tensor.
        dim: an axis or several; None or () means all.
        keepdim: keep reduced axes with size 1.
        dtype: cast to this type first.

    Example:
        >>> import pyautodl as ad
        >>> ad.nansum(ad.tensor([1.0, float("nan"), 2.0]))
        tensor(3.)
    """
    if _numpy:
        return by_numpy_names(nansum, locals())
    x = _cast(input, dtype)
    return sum(_without_nan(x) if x.is_floating_point() else x, dim, keepdim)


def _without_nan(x: Tensor) -> Tensor:
    return call("without_nan", x)


@method
@explained
def nanmean(
    input: Tensor,
    dim: Dim = None,
    keepdim: bool = False,
    *,
    dtype: Any = None,
    **_numpy: Any,
) -> Tensor:
    """Return the mean of the elements that are not NaN.

    Args:
        input: a tensor.
        dim: an axis or several; None or () means all.
        keepdim: keep reduced axes with size 1.
        dtype: cast to this type first.

    Example:
        >>> import pyautodl as ad
        >>> ad.nanmean(ad.tensor([1.0, float("nan"), 2.0]))
        tensor(1.5000)
    """
    if _numpy:
        return by_numpy_names(nanmean, locals())
    x = _cast(input, dtype)
    count = sum(_cast(call("eq", x, x), x.dtype), dim, keepdim)
    return call("div", sum(_without_nan(x), dim, keepdim), count)


@method
@explained
def prod(
    input: Tensor,
    dim: int | None = None,
    keepdim: bool = False,
    *,
    dtype: Any = None,
    **_numpy: Any,
) -> Tensor:
    """Multiply the elements, all or along an axis; integers and bools give int64.

    Args:
        input: a tensor.
        dim: an axis; None means all.
        keepdim: keep reduced axes with size 1.
        dtype: cast to this type first.

    Example:
        >>> import pyautodl as ad
        >>> ad.prod(ad.tensor([2.0, 3.0, 4.0]))
        tensor(24.)
    """
    if _numpy:
        return by_numpy_names(prod, locals())
    return apply(PROD, _cast(input, dtype), dim=dim, keepdim=keepdim)


@method
@explained
def count_nonzero(input: Tensor, dim: Dim = None, **_numpy: Any) -> Tensor:
    """Count the elements that are not 0.

    Args:
        input: a tensor.
        dim: an axis or several; None means all.

    Example:
        >>> import pyautodl as ad
        >>> ad.count_nonzero(ad.tensor([1, 0, 2]))
        tensor(2)
    """
    if _numpy:
        return by_numpy_names(count_nonzero, locals())
    return sum(_cast(input, bool_), dim)


# ---- variances ----


def _correction(unbiased: bool | None, correction: float | None) -> float:
    if unbiased is not None and correction is not None:
        raise ValueError("var: give unbiased or correction, not both")
    if unbiased is not None:
        return 1.0 if unbiased else 0.0
    return 1.0 if correction is None else float(correction)


@kept_attributes
def _of_spread(name: str, dim: Any, by: float, keepdim: bool) -> dict[str, Any]:
    return {"dim": _dims(name, dim), "correction": by, "keepdim": keepdim}


def _spread(
    op: Op, x: Tensor, dim: Any, unbiased: Any, keepdim: bool, correction: Any
) -> Any:
    if isinstance(dim, bool):
        # std(x, unbiased)
        dim, unbiased = None, dim
    by = _correction(unbiased, correction)
    return apply_known(op, (x,), _of_spread(op.name, dim, by, keepdim))


@method
@explained
def var(
    input: Tensor,
    dim: Any = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: float | None = None,
    **_numpy: Any,
) -> Tensor:
    """Return the variance along axes, computed in double precision.

    Args:
        input: a floating tensor.
        dim: an axis or several; None means all.
        unbiased: divide by n - 1 (the default) or by n.
        keepdim: keep reduced axes with size 1.
        correction: divide by n - correction.

    Raises:
        ShapeError: there are no more elements than `correction`.

    Example:
        >>> import pyautodl as ad
        >>> ad.var(ad.tensor([1.0, 2.0, 3.0]))
        tensor(1.)
    """
    if _numpy:
        return by_numpy_names(var, locals())
    return _spread(VAR, input, dim, unbiased, keepdim, correction)


@method
@explained
def std(
    input: Tensor,
    dim: Any = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: float | None = None,
    **_numpy: Any,
) -> Tensor:
    """Return the standard deviation along axes; its gradient at 0 is 0.

    Args:
        input: a floating tensor.
        dim: an axis or several; None means all.
        unbiased: divide by n - 1 (the default) or by n.
        keepdim: keep reduced axes with size 1.
        correction: divide by n - correction.

    Raises:
        ShapeError: there are no more elements than `correction`, as in the unbiased
            deviation of a single one.

    Example:
        >>> import pyautodl as ad
        >>> ad.std(ad.tensor([1.0, 3.0]), correction=0)
        tensor(1.)
    """
    if _numpy:
        return by_numpy_names(std, locals())
    return _spread(STD, input, dim, unbiased, keepdim, correction)


@explained
def var_mean(
    input: Tensor,
    dim: Any = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: float | None = None,
    **_numpy: Any,
) -> tuple[Tensor, Tensor]:
    """Return the variance and the mean along axes; arguments as `var`.

    Example:
        >>> import pyautodl as ad
        >>> ad.var_mean(ad.tensor([1.0, 2.0, 3.0]))
        (tensor(1.), tensor(2.))
    """
    if _numpy:
        return by_numpy_names(var_mean, locals())
    return _spread(VAR_MEAN, input, dim, unbiased, keepdim, correction)


@explained
def std_mean(
    input: Tensor,
    dim: Any = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: float | None = None,
    **_numpy: Any,
) -> tuple[Tensor, Tensor]:
    """Return the standard deviation and the mean along axes; arguments as `std`.

    Example:
        >>> import pyautodl as ad
        >>> ad.std_mean(ad.tensor([1.0, 2.0, 3.0]))
        (tensor(1.), tensor(2.))
    """
    if _numpy:
        return by_numpy_names(std_mean, locals())
    return _spread(STD_MEAN, input, dim, unbiased, keepdim, correction)


# ---- extrema ----


@method
def amax(
    input: Tensor, dim: Dim = None, keepdim: bool = False, **_numpy: Any
) -> Tensor:
    """Return the largest elements along axes; equal ones share the gradient.

    Args:
        input: a tensor.
        dim: an axis or several; None or () means all.
        keepdim: keep reduced axes with size 1.

    Example:
        >>> import pyautodl as ad
        >>> ad.amax(ad.tensor([[1, 5], [4, 2]]), 1)
        tensor([5, 4])
    """
    if _numpy:
        return by_numpy_names(amax, locals())
    return _reduced(AMAX, input, dim, keepdim)


@method
def amin(
    input: Tensor, dim: Dim = None, keepdim: bool = False, **_numpy: Any
) -> Tensor:
    """Return the smallest elements along axes; equal ones share the gradient.

    Args:
        input: a tensor.
        dim: an axis or several; None or () means all.
        keepdim: keep reduced axes with size 1.

    Example:
        >>> import pyautodl as ad
        >>> ad.amin(ad.tensor([[1, 5], [4, 2]]), 1)
        tensor([1, 2])
    """
    if _numpy:
        return by_numpy_names(amin, locals())
    return _reduced(AMIN, input, dim, keepdim)


@method
@explained
def aminmax(
    input: Tensor, *, dim: int | None = None, keepdim: bool = False, **_numpy: Any
) -> MinMax:
    """Return the smallest and the largest elements.

    Args:
        input: a tensor.
        dim: an axis; None means all.
        keepdim: keep reduced axes with size 1.

    Example:
        >>> import pyautodl as ad
        >>> ad.aminmax(ad.tensor([3, 1, 2]))
        MinMax(min=tensor(1), max=tensor(3))
    """
    if _numpy:
        return by_numpy_names(aminmax, locals())
    return MinMax(amin(input, dim, keepdim), amax(input, dim, keepdim))


@kept_attributes
def _of_best(name: str, dim: Any, keepdim: bool) -> dict[str, Any]:
    return {"dim": integer(name, "dim", dim), "keepdim": keepdim}


def _best(name: str, x: Tensor, dim: Any, keepdim: bool, ops: tuple[Op, Op]) -> Any:
    """max and min: of all, along an axis, or of two tensors."""
    if not isinstance(x, Tensor):
        raise not_tensor(name, x)
    if dim is None:
        if 0 in x._array.shape:
            raise ShapeError(f"{name}: shape {tuple(x.shape)} has no elements")
        return apply(ops[0], x)
    if isinstance(dim, Tensor):
        return call("maximum" if name == "max" else "minimum", *operands(name, x, dim))
    return ValuesIndices(*apply_known(ops[1], (x,), _of_best(name, dim, keepdim)))


@method
def max(input: Tensor, dim: Any = None, keepdim: bool = False, **_numpy: Any) -> Any:
    """Return the largest element, those along an axis, or of two tensors.

    Args:
        input: a tensor.
        dim: None: one value, whose gradient equal elements share. An axis: values and
            indices, the first among equals, which takes the gradient. A tensor: the
            larger of each two elements.
        keepdim: keep the axis with size 1.

    Raises:
        ShapeError: there are no elements.

    Example:
        >>> import pyautodl as ad
        >>> ad.max(ad.tensor([[1, 5], [4, 2]]), 1).indices
        tensor([1, 0])
    """
    if _numpy:
        return by_numpy_names(max, locals())
    return _best("max", input, dim, keepdim, (AMAX, MAX_DIM))


@method
def min(input: Tensor, dim: Any = None, keepdim: bool = False, **_numpy: Any) -> Any:
    """Return the smallest element, those along an axis, or of two tensors.

    Args:
        input: a tensor.
        dim: as in `max`.
        keepdim: keep the axis with size 1.

    Raises:
        ShapeError: there are no elements.

    Example:
        >>> import pyautodl as ad
        >>> ad.min(ad.tensor([[1, 5], [4, 2]]), 1).values
        tensor([1, 2])
    """
    if _numpy:
        return by_numpy_names(min, locals())
    return _best("min", input, dim, keepdim, (AMIN, MIN_DIM))


@method
@explained
def argmax(
    input: Tensor, dim: int | None = None, keepdim: bool = False, **_numpy: Any
) -> Tensor:
    """Return where the largest element stands, the first among equals.

    Args:
        input: a tensor.
        dim: an axis; None counts through all elements in C order.
        keepdim: keep the axis with size 1.

    Raises:
        ShapeError: there are no elements.

    Example:
        >>> import pyautodl as ad
        >>> ad.argmax(ad.tensor([[1, 5], [5, 2]]))
        tensor(1)
    """
    if _numpy:
        return by_numpy_names(argmax, locals())
    return apply(ARGMAX, input, dim=dim, keepdim=keepdim)


@method
@explained
def argmin(
    input: Tensor, dim: int | None = None, keepdim: bool = False, **_numpy: Any
) -> Tensor:
    """Return where the smallest element stands, the first among equals.

    Args:
        input: a tensor.
        dim: an axis; None counts through all elements in C order.
        keepdim: keep the axis with size 1.

    Raises:
        ShapeError: there are no elements.

    Example:
        >>> import pyautodl as ad
        >>> ad.argmin(ad.tensor([[1, 5], [4, 1]]), 0)
        tensor([0, 1])
    """
    if _numpy:
        return by_numpy_names(argmin, locals())
    return apply(ARGMIN, input, dim=dim, keepdim=keepdim)


@method
@explained
def any(input: Tensor, dim: Dim = None, keepdim: bool = False, **_numpy: Any) -> Tensor:
    """Return whether any element is not 0, as bool; as uint8 for uint8.

    Args:
        input: a tensor.
        dim: an axis or several; None or () means all.
        keepdim: keep reduced axes with size 1.

    Example:
        >>> import pyautodl as ad
        >>> ad.any(ad.tensor([[0, 0], [0, 2]]), 1)
        tensor([False,  True])
    """
    if _numpy:
        return by_numpy_names(any, locals())
    return _truth(ANY, input, dim, keepdim)


@method
@explained
def all(input: Tensor, dim: Dim = None, keepdim: bool = False, **_numpy: Any) -> Tensor:
    """Return whether no element is 0, as bool; as uint8 for uint8.

    Args:
        input: a tensor.
        dim: an axis or several; None or () means all.
        keepdim: keep reduced axes with size 1.

    Example:
        >>> import pyautodl as ad
        >>> ad.all(ad.tensor([[1, 1], [0, 2]]), 1)
        tensor([ True, False])
    """
    if _numpy:
        return by_numpy_names(all, locals())
    return _truth(ALL, input, dim, keepdim)


def _truth(op: Op, x: Tensor, dim: Dim, keepdim: bool) -> Tensor:
    truth = _reduced(op, x, dim, keepdim)
    return call("cast", truth, dtype=uint8) if x.dtype is uint8 else truth


# ---- norms and distances ----


@method
@explained
def norm(
    input: Tensor,
    p: Any = "fro",
    dim: Dim = None,
    keepdim: bool = False,
    dtype: Any = None,
) -> Tensor:
    """Return the p-norm over axes; where it is 0 so is its gradient.

    An infinite element has a gradient of NaN, unless p is 1 or infinite.

    Args:
        input: a floating tensor.
        p: the exponent, from 0 (a count) to inf, or -inf; 'fro' is 2.
        dim: an axis or several; None means all.
        keepdim: keep reduced axes with size 1.
        dtype: cast to this type first.

    Raises:
        ValueError: p is negative or another word.

    Example:
        >>> import pyautodl as ad
        >>> ad.norm(ad.tensor([3.0, 4.0]))
        tensor(5.)
    """
    if p == "nuc":
        raise NotImplementedError(
            "norm: p='nuc' is not supported; likely fix: linalg.matrix_norm(x, 'nuc')"
        )
    if isinstance(p, str) and p != "fro":
        raise ValueError(
            f"norm: p must be 'fro', a number from 0 on, inf or -inf, got {describe(p)}"
        )
    power = 2.0 if p is None or p == "fro" else float(p)
    return apply(
        NORM, _cast(input, dtype), p=power, dim=_dims("norm", dim), keepdim=keepdim
    )


@explained
def normalize(
    input: Tensor, p: float = 2.0, dim: Dim = 1, eps: float = 1e-12, out: None = None
) -> Tensor:
    """Divide by the p-norm along an axis, or by `eps` if that is larger.

    A vector of zeros stays, with gradient 0.

    Args:
        input: a floating tensor.
        p: the exponent.
        dim: the axis or axes.
        eps: the least divisor.
        out: not supported.

    Example:
        >>> import pyautodl as ad
        >>> ad.nn.functional.normalize(ad.tensor([[3.0, 4.0]]))
        tensor([[0.6000, 0.8000]])
    """
    if out is not None:
        raise NotImplementedError("normalize: out is not supported")
    size = norm(input, p, dim, True)
    # 0 / 0 counts as 0, so that the gradient is not the huge 1 / eps
    scale = call("div", 1.0, call("maximum", size, float(eps)))
    there = call("cast", call("ne", size.detach(), 0.0), dtype=size.dtype)
    return call("mul", input, call("mul", scale, there))


@explained
def cosine_similarity(
    x1: Tensor, x2: Tensor, dim: int = 1, eps: float = 1e-8, **_numpy: Any
) -> Tensor:
    """Return the cosine of the angle between vectors along an axis.

    Args:
        x1, x2: tensors that broadcast.
        dim: the axis, of the common shape.
        eps: the least value of each norm.

    Shape:
        (n, d), (n, d) -> (n) with dim=1

    Example:
        >>> import pyautodl as ad
        >>> a, b = ad.tensor([[1.0, 0.0]]), ad.tensor([[1.0, 1.0]])
        >>> ad.cosine_similarity(a, b)
        tensor([0.7071])
    """
    if _numpy:
        return by_numpy_names(cosine_similarity, locals())
    x, y = operands("cosine_similarity", x1, x2)
    shape = broadcast_shapes(tuple(x.shape), tuple(y.shape))
    axis = normalize_axis("cosine_similarity", dim, len(shape), shape)
    x, y = (apply(EXPAND, each, shape=shape) for each in (x, y))
    dot = sum(call("mul", x, y), axis)
    sizes = [call("maximum", norm(each, 2.0, axis), float(eps)) for each in (x, y)]
    return call("div", dot, call("mul", *sizes))


@explained
def pairwise_distance(
    x1: Tensor, x2: Tensor, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False
) -> Tensor:
    """Return the p-norm of x1 - x2 + eps along the last axis.

    Args:
        x1, x2: vectors, which broadcast.
        p: the exponent of the norm.
        eps: added to the differences, as PyTorch does.
        keepdim: keep the last axis with size 1.

    Example:
        >>> import pyautodl as ad
        >>> ad.pairwise_distance(ad.tensor([[0.0, 0.0]]), ad.tensor([[3.0, 4.0]]))
        tensor([5.0000])
    """
    x, y = operands("pairwise_distance", x1, x2)
    return norm(call("add", call("sub", x, y), eps), p, -1, keepdim)


@explained
def cdist(x1: Tensor, x2: Tensor, p: float = 2.0, compute_mode: Any = None) -> Tensor:
    """Return the p-norm distances between all rows of two matrices.

    Args:
        x1: (..., n, d).
        x2: (..., m, d).
        p: the exponent.
        compute_mode: has no meaning here; distances are always computed directly.

    Shape:
        (..., n, d), (..., m, d) -> (..., n, m)

    Raises:
        ShapeError: the last axes differ.

    Example:
        >>> import pyautodl as ad
        >>> ad.cdist(ad.tensor([[0.0], [1.0]]), ad.tensor([[3.0]]))
        tensor([[3.],
                [2.]])
    """
    x, y = operands("cdist", x1, x2)
    a, b = tuple(x.shape), tuple(y.shape)
    if builtins.min(len(a), len(b)) < 2 or a[-1] != b[-1]:
        raise ShapeError(
            f"cdist: expected (..., n, d) and (..., m, d), got {a} and {b}"
        )
    if p == 2 and math.prod(a) * b[-2] > _FEW_DIFFERENCES:
        batch = broadcast_shapes(a[:-2], b[:-2])
        pair = [_batch_of_rows(each, batch) for each in (x, y)]
        return apply(RESHAPE, apply(CDIST, *pair), shape=(*batch, a[-2], b[-2]))
    left = apply(RESHAPE, x, shape=(*a[:-1], 1, a[-1]))
    right = apply(RESHAPE, y, shape=(*b[:-2], 1, *b[-2:]))
    return norm(call("sub", left, right), p, -1)


# so many of them are no work beside the calls of further ops
_FEW_DIFFERENCES = 10_000


def _batch_of_rows(x: Tensor, batch: tuple[int, ...]) -> Tensor:
    """Matrices for each of a batch, whose axes become one."""
    rows = tuple(x.shape)[-2:]
    if tuple(x.shape[:-2]) != batch:
        x = call("expand", x, shape=(*batch, *rows))
    return apply(RESHAPE, x, shape=(math.prod(batch), *rows))


@explained
def logsumexp(
    input: Tensor, dim: Dim = None, keepdim: bool = False, **_numpy: Any
) -> Tensor:
    """Return log(sum(exp(x))) along axes, without overflow.

    Args:
        input: a floating tensor.
        dim: an axis or several.
        keepdim: keep reduced axes with size 1.

    Example:
        >>> import pyautodl as ad
        >>> ad.logsumexp(ad.tensor([1000.0, 1000.0]), 0)
        tensor(1000.6932)
    """
    if _numpy:
        return by_numpy_names(logsumexp, locals())
    if dim is None:
        raise TypeError("logsumexp: dim must be an int or several, got None")
    return _reduced(LOGSUMEXP, _floating(input), dim, keepdim)


method("logsumexp")(logsumexp)

# ---- running sums and products ----


@method(inplace=True)
@explained
def cumsum(
    input: Tensor, dim: Any = None, *, dtype: Any = None, **_numpy: Any
) -> Tensor:
    """Return the running sums along an axis; integers and bools give int64.

    Args:
        input: a tensor.
        dim: the axis.
        dtype: cast to this type first.

    Example:
        >>> import pyautodl as ad
        >>> ad.cumsum(ad.tensor([1, 2, 3]), 0)
        tensor([1, 3, 6])
    """
    if _numpy:
        return by_numpy_names(cumsum, locals())
    return apply_known(CUMSUM, (_cast(input, dtype),), by_dim(dim))


@method(inplace=True)
@explained
def cumprod(
    input: Tensor, dim: Any = None, *, dtype: Any = None, **_numpy: Any
) -> Tensor:
    """Return the running products along an axis; integers and bools give int64.

    Args:
        input: a tensor.
        dim: the axis.
        dtype: cast to this type first.

    Example:
        >>> import pyautodl as ad
        >>> ad.cumprod(ad.tensor([1, 2, 3]), 0)
        tensor([1, 2, 6])
    """
    if _numpy:
        return by_numpy_names(cumprod, locals())
    return apply_known(CUMPROD, (_cast(input, dtype),), by_dim(dim))
