"""Matrix products and sums of products."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from pyautodl.backends.dtypes import INTEGRAL, bool_
from pyautodl.errors import ShapeError
from pyautodl.functional.contraction import contract
from pyautodl.functional.sparse_matrix import SparseMatrix
from pyautodl.ops.integers import integer, several
from pyautodl.ops.matmul import LINEAR, LINEAR_RELU, MATMUL
from pyautodl.tensor import (
    Tensor,
    apply,
    call,
    constant,
    explained,
    method,
    not_tensor,
    operands,
)

__all__ = [
    "addbmm",
    "addmm",
    "addmv",
    "addr",
    "baddbmm",
    "bilinear",
    "bmm",
    "chain_matmul",
    "dot",
    "einsum",
    "ger",
    "inner",
    "kron",
    "linear",
    "matmul",
    "mm",
    "mv",
    "outer",
    "tensordot",
    "vdot",
]


def _check_axes(name: str, *expected: tuple[str, Any, int]) -> None:
    """Each of (argument, tensor, axes) is a tensor with so many axes."""
    for argument, x, axes in expected:
        if not isinstance(x, Tensor):
            raise not_tensor(name, x, argument)
        if len(x._array.shape) != axes:
            shapes = ", ".join(
                f"{n} {tuple(getattr(t, 'shape', ()))}" for n, t, _ in expected
            )
            raise ShapeError(
                f"{name}: {argument} must have {axes} axes, got {x.ndim}: {shapes}"
            )


@method("matmul", "__matmul__")
def matmul(input: Tensor, other: Tensor) -> Tensor:
    """Multiply matrices, batches of them, or vectors, as `input @ other`.

    Args:
        input: the left operand; a vector counts as a row.
        other: the right operand; a vector counts as a column.

    Shape:
        (..., m, k), (..., k, n) -> (..., m, n); leading axes broadcast.

    Raises:
        ShapeError: the inner sizes differ or the leading axes do not broadcast.
        DTypeError: the element types differ.

    Example:
        >>> import pyautodl as ad
        >>> ad.matmul(ad.tensor([[1.0, 2.0], [3.0, 4.0]]), ad.tensor([1.0, 1.0]))
        tensor([3., 7.])
    """
    if type(input) is SparseMatrix or type(other) is SparseMatrix:
        return _sparse_product(input, other)
    return apply(MATMUL, input, other)


def _sparse_product(left: Any, right: Any) -> Tensor:
    return left.matmul(right) if type(left) is SparseMatrix else right.__rmatmul__(left)


@method("__rmatmul__")
def _rmatmul(self: Tensor, other: Any) -> Tensor:
    left, right = operands("matmul", other, self)
    return apply(MATMUL, left, right)


@method
@explained
def mm(input: Tensor, mat2: Tensor) -> Tensor:
    """Multiply two matrices.

    Args:
        input: the left matrix.
        mat2: the right one.

    Shape:
        (m, k), (k, n) -> (m, n)

    Raises:
        ShapeError: an operand is no matrix or the inner sizes differ.

    Example:
        >>> import pyautodl as ad
        >>> ad.mm(ad.ones(2, 3), ad.ones(3, 1))
        tensor([[3.],
                [3.]])
    """
    if type(input) is SparseMatrix or type(mat2) is SparseMatrix:
        return _sparse_product(input, mat2)
    _check_axes("mm", ("input", input, 2), ("mat2", mat2, 2))
    return apply(MATMUL, input, mat2)


@method
def bmm(input: Tensor, mat2: Tensor) -> Tensor:
    """Multiply two batches of matrices, one by one.

    Args:
        input: the left matrices.
        mat2: the right ones.

    Shape:
        (b, m, k), (b, k, n) -> (b, m, n)

    Raises:
        ShapeError: an operand has not three axes, or sizes differ.

    Example:
        >>> import pyautodl as ad
        >>> ad.bmm(ad.ones(2, 1, 3), ad.ones(2, 3, 1)).shape
        pyautodl.Size([2, 1, 1])
    """
    _check_axes("bmm", ("input", input, 3), ("mat2", mat2, 3))
    if input._array.shape[0] != mat2._array.shape[0]:
        raise ShapeError(
            f"bmm: the batch sizes differ: input {tuple(input.shape)}, "
            f"mat2 {tuple(mat2.shape)}"
        )
    return apply(MATMUL, input, mat2)


@method
@explained
def mv(input: Tensor, vec: Tensor) -> Tensor:
    """Multiply a matrix and a vector.

    Args:
        input: the matrix.
        vec: the vector.

    Shape:
        (m, k), (k,) -> (m,)

    Raises:
        ShapeError: the axes or sizes do not fit.

    Example:
        >>> import pyautodl as ad
        >>> ad.mv(ad.ones(2, 3), ad.ones(3))
        tensor([3., 3.])
    """
    _check_axes("mv", ("input", input, 2), ("vec", vec, 1))
    return apply(MATMUL, input, vec)


@method
@explained
def dot(input: Tensor, tensor: Tensor) -> Tensor:
    """Sum the products of two vectors' elements.

    Args:
        input: a vector.
        tensor: another of its size.

    Shape:
        (k,), (k,) -> ()

    Raises:
        ShapeError: an operand is no vector or the sizes differ.

    Example:
        >>> import pyautodl as ad
        >>> ad.dot(ad.tensor([1.0, 2.0]), ad.tensor([3.0, 4.0]))
        tensor(11.)
    """
    _check_axes("dot", ("input", input, 1), ("tensor", tensor, 1))
    return apply(MATMUL, input, tensor)


@method
@explained
def vdot(input: Tensor, other: Tensor) -> Tensor:
    """Sum the products of two vectors' elements; there are no complex types.

    Args:
        input: a vector.
        other: another of its size.

    Shape:
        (k,), (k,) -> ()

    Raises:
        ShapeError: an operand is no vector or the sizes differ.

    Example:
        >>> import pyautodl as ad
        >>> ad.vdot(ad.tensor([1.0, 2.0]), ad.tensor([3.0, 4.0]))
        tensor(11.)
    """
    _check_axes("vdot", ("input", input, 1), ("other", other, 1))
    return apply(MATMUL, input, other)


@method
@explained
def inner(input: Tensor, other: Tensor) -> Tensor:
    """Sum products over the last axis of both; with a number, multiply.

    Args:
        input: the left operand.
        other: the right one, or a number as either.

    Shape:
        (..., k), (*more, k) -> (..., *more)

    Raises:
        ShapeError: the last axes differ.

    Example:
        >>> import pyautodl as ad
        >>> ad.inner(ad.tensor([[1.0, 2.0], [3.0, 4.0]]), ad.tensor([1.0, 10.0]))
        tensor([21., 43.])
    """
    if input.ndim == 0 or other.ndim == 0:
        return call("mul", *operands("inner", input, other))
    if input.shape[-1] != other.shape[-1]:
        raise ShapeError(
            f"inner: the last axes differ: input {tuple(input.shape)}, "
            f"other {tuple(other.shape)}"
        )
    return tensordot(input, other, dims=([-1], [-1]))


@method
@explained
def outer(input: Tensor, vec2: Tensor) -> Tensor:
    """Multiply each element of one vector with each of another.

    Args:
        input: a vector, for the rows.
        vec2: another, for the columns.

    Shape:
        (m,), (n,) -> (m, n)

    Raises:
        ShapeError: an operand is no vector.

    Example:
        >>> import pyautodl as ad
        >>> ad.outer(ad.tensor([1.0, 2.0]), ad.tensor([1.0, 10.0]))
        tensor([[ 1., 10.],
                [ 2., 20.]])
    """
    _check_axes("outer", ("input", input, 1), ("vec2", vec2, 1))
    x, y = operands("outer", input, vec2)
    return call("mul", call("reshape", x, shape=(x.shape[0], 1)), y)


@method
@explained
def ger(input: Tensor, vec2: Tensor) -> Tensor:
    """The older name of `outer`.

    Example:
        >>> import pyautodl as ad
        >>> ad.ger(ad.ones(2), ad.ones(3)).shape
        pyautodl.Size([2, 3])
    """
    return outer(input, vec2)


def _add(
    name: str,
    input: Any,
    product: Tensor,
    beta: Any,
    alpha: Any,
    *,
    drops_product: bool = True,
) -> Tensor:
    """beta * input + alpha * product; with beta 0 NaN of input does not count.

    Neither does NaN of the product with alpha 0, if that drops it.
    """
    if not isinstance(input, Tensor):
        raise TypeError(f"{name}: input must be a tensor, got {type(input).__name__}")
    _check_fits(name, tuple(input.shape), tuple(product.shape))
    if alpha == 0 and drops_product:
        product = _ignoring(product, constant(0, product._array.dtype))
    elif alpha != 1:
        product = _times(name, "alpha", product, alpha)
    if beta == 0:
        return _ignoring(input, product) if input.requires_grad else product
    if beta != 1:
        input = _times(name, "beta", input, beta)
    return call("add", product, input)


def _times(name: str, argument: str, x: Tensor, factor: Any) -> Tensor:
    """x times a number, which wraps into an integer type as the products do."""
    dtype = x._array.dtype
    if dtype.category == INTEGRAL:
        if factor % 1 != 0:  # so of inf and nan, too
            raise TypeError(
                f"{name}: {argument} must be an integer for {dtype.name} tensors, got "
                f"{factor}; likely fix: .float() on the tensors"
            )
        factor = int(np.uint64(int(factor) % 2**64).astype(dtype.numpy))
    return call("mul", x, factor)


def _ignoring(ignored: Tensor, other: Tensor) -> Tensor:
    """The other; what is ignored takes part in the graph, with zeros as its gradient."""
    return call("where", constant(False, bool_), ignored, other)


def _check_fits(name: str, shape: tuple[int, ...], target: tuple[int, ...]) -> None:
    """`shape` broadcasts to `target`."""
    pairs = zip(reversed(shape), reversed(target))
    if len(shape) > len(target) or any(a not in (1, b) for a, b in pairs):
        raise ShapeError(
            f"{name}: input {shape} does not broadcast to the product's shape {target}"
        )


@method(inplace=True)
@explained
def addmm(
    input: Tensor, mat1: Tensor, mat2: Tensor, *, beta: Any = 1, alpha: Any = 1
) -> Tensor:
    """Compute beta * input + alpha * (mat1 @ mat2).

    Args:
        input: what is added; broadcasts to (m, n).
        mat1: (m, k).
        mat2: (k, n).
        beta: factor of input; if 0, input is ignored, NaN too, and its gradient is 0.
        alpha: factor of the product; if 0, the matrices are ignored likewise, also by
            `addmv` and `addbmm`; `addr` and `baddbmm` multiply by it. Integers wrap.

    Shape:
        (m, n), (m, k), (k, n) -> (m, n)

    Raises:
        ShapeError: shapes do not fit.
        TypeError: a factor of integers is none.

    Example:
        >>> import pyautodl as ad
        >>> ad.addmm(ad.ones(1), ad.ones(2, 3), ad.ones(3, 2), alpha=2)
        tensor([[7., 7.],
                [7., 7.]])
    """
    _check_axes("addmm", ("mat1", mat1, 2), ("mat2", mat2, 2))
    return _add("addmm", input, apply(MATMUL, mat1, mat2), beta, alpha)


@method(inplace=True)
@explained
def addmv(
    input: Tensor, mat: Tensor, vec: Tensor, *, beta: Any = 1, alpha: Any = 1
) -> Tensor:
    """Compute beta * input + alpha * (mat @ vec).

    Shape:
        (m,), (m, k), (k,) -> (m,)

    Raises:
        ShapeError: shapes do not fit.

    Example:
        >>> import pyautodl as ad
        >>> ad.addmv(ad.ones(2), ad.ones(2, 3), ad.ones(3))
        tensor([4., 4.])
    """
    _check_axes("addmv", ("mat", mat, 2), ("vec", vec, 1))
    return _add("addmv", input, apply(MATMUL, mat, vec), beta, alpha)


@method(inplace=True)
@explained
def addr(
    input: Tensor, vec1: Tensor, vec2: Tensor, *, beta: Any = 1, alpha: Any = 1
) -> Tensor:
    """Compute beta * input + alpha * outer(vec1, vec2).

    Shape:
        (m, n), (m,), (n,) -> (m, n)

    Raises:
        ShapeError: shapes do not fit.

    Example:
        >>> import pyautodl as ad
        >>> ad.addr(ad.zeros(1, 2), ad.ones(1), ad.ones(2))
        tensor([[1., 1.]])
    """
    return _add("addr", input, outer(vec1, vec2), beta, alpha, drops_product=False)


@method(inplace=True)
@explained
def baddbmm(
    input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: Any = 1, alpha: Any = 1
) -> Tensor:
    """Compute beta * input + alpha * bmm(batch1, batch2).

    Shape:
        (b, m, n), (b, m, k), (b, k, n) -> (b, m, n)

    Raises:
        ShapeError: shapes do not fit.

    Example:
        >>> import pyautodl as ad
        >>> ad.baddbmm(ad.ones(1, 1, 1), ad.ones(1, 1, 3), ad.ones(1, 3, 1))
        tensor([[[4.]]])
    """
    _check_axes("baddbmm", ("batch1", batch1, 3), ("batch2", batch2, 3))
    product = bmm(batch1, batch2)
    return _add("baddbmm", input, product, beta, alpha, drops_product=False)


@method(inplace=True)
@explained
def addbmm(
    input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: Any = 1, alpha: Any = 1
) -> Tensor:
    """Compute beta * input + alpha * (the sum of bmm(batch1, batch2) over the batch).

    Shape:
        (m, n), (b, m, k), (b, k, n) -> (m, n)

    Raises:
        ShapeError: shapes do not fit.

    Example:
        >>> import pyautodl as ad
        >>> ad.addbmm(ad.zeros(1, 1), ad.ones(2, 1, 3), ad.ones(2, 3, 1))
        tensor([[6.]])
    """
    _check_axes("addbmm", ("batch1", batch1, 3), ("batch2", batch2, 3))
    return _add("addbmm", input, contract("bmk,bkn->mn", [batch1, batch2]), beta, alpha)


def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Compute input @ weight.T + bias in one kernel.

    Args:
        input: the last axis are the features.
        weight: (out, in), or (in,) for a single output without an axis.
        bias: (out,), or a number for the latter; may be absent.

    Shape:
        (..., in), (out, in), (out,) -> (..., out)

    Raises:
        ShapeError: the numbers of features differ, or the bias does not fit.
        DTypeError: the element types differ.

    Example:
        >>> import pyautodl as ad
        >>> import pyautodl.nn.functional as F
        >>> F.linear(ad.ones(2, 3), ad.ones(1, 3), ad.ones(1))
        tensor([[4.],
                [4.]])
    """
    if not isinstance(weight, Tensor):
        raise not_tensor("linear", weight, "weight")
    if len(weight._array.shape) != 1:
        return apply(LINEAR, input, weight, bias)
    out = apply(MATMUL, input, weight)
    return out if bias is None else call("add", out, bias)


def linear_relu(input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """relu(linear(input, weight, bias)) in one kernel, recorded as one call."""
    if len(weight._array.shape) != 2:
        return call("relu", linear(input, weight, bias))
    return apply(LINEAR_RELU, input, weight, bias)


@explained
def bilinear(
    input1: Tensor, input2: Tensor, weight: Tensor, bias: Tensor | None = None
) -> Tensor:
    """Compute input1' weight[o] input2 + bias[o] for each output o.

    Shape:
        (..., in1), (..., in2), (out, in1, in2), (out,) -> (..., out)

    Raises:
        ShapeError: sizes do not fit.

    Example:
        >>> import pyautodl as ad
        >>> import pyautodl.nn.functional as F
        >>> F.bilinear(ad.ones(1, 2), ad.ones(1, 3), ad.ones(1, 2, 3))
        tensor([[6.]])
    """
    shapes = (tuple(input1.shape), tuple(input2.shape), tuple(weight.shape))
    if weight.ndim != 3 or (input1.shape[-1], input2.shape[-1]) != shapes[2][1:]:
        raise ShapeError(
            "bilinear: expected (..., in1), (..., in2) and weight (out, in1, in2), got "
            f"{shapes[0]}, {shapes[1]} and {shapes[2]}"
        )
    if shapes[0][:-1] != shapes[1][:-1]:
        raise ShapeError(
            f"bilinear: the leading axes of the inputs differ: {shapes[0]}, {shapes[1]}"
        )
    out = contract("...i,oij,...j->...o", [input1, weight, input2])
    if bias is None:
        return out
    _check_fits("bilinear", tuple(bias.shape), (weight.shape[0],))
    return call("add", out, bias)


def einsum(equation: str, *operands: Any) -> Tensor:
    """Sum products of operands along axes named by letters (Einstein's convention).

    A letter that occurs twice in one operand takes its diagonal; letters that the
    output lacks are summed over; "..." stands for axes that broadcast. Without "->" the
    output has the letters that occur once, in alphabetical order. Operands are
    contracted from left to right.

    Args:
        equation: such as "ij,jk->ik".
        operands: tensors, or one list of them.

    Raises:
        ShapeError: the equation or sizes do not fit the operands.

    Example:
        >>> import pyautodl as ad
        >>> x = ad.tensor([[1.0, 2.0], [3.0, 4.0]])
        >>> ad.einsum("ij->j", x), ad.einsum("ii", x), ad.einsum("ij,kj->ik", x, x)
        (tensor([4., 6.]), tensor(5.), tensor([[ 5., 11.],
                [11., 25.]]))
    """
    if not isinstance(equation, str):
        raise NotImplementedError("einsum: operands with lists of axes (sublists)")
    if len(operands) == 1 and isinstance(operands[0], (list, tuple)):
        operands = tuple(operands[0])
    return contract(equation, list(operands))


@explained
def tensordot(a: Tensor, b: Tensor, dims: Any = 2) -> Tensor:
    """Sum products over several axes of both tensors.

    Args:
        a: the left operand.
        b: the right operand.
        dims: how many last axes of `a` meet as many first axes of `b`, or two lists of
            axes that meet in pairs.

    Raises:
        ShapeError: axes that meet have different sizes.

    Example:
        >>> import pyautodl as ad
        >>> ad.tensordot(ad.ones(2, 3), ad.ones(3, 4), dims=1).shape
        pyautodl.Size([2, 4])
    """
    axes_a, axes_b = _meeting_axes(a, b, dims)
    free_a = [i for i in range(a.ndim) if i not in axes_a]
    free_b = [i for i in range(b.ndim) if i not in axes_b]
    rows, columns = [a.shape[i] for i in free_a], [b.shape[i] for i in free_b]
    depth = math.prod(a.shape[i] for i in axes_a)
    left = call("permute", a, dims=(*free_a, *axes_a))
    right = call("permute", b, dims=(*axes_b, *free_b))
    left = call("reshape", left, shape=(math.prod(rows), depth))
    right = call("reshape", right, shape=(depth, math.prod(columns)))
    return call("reshape", apply(MATMUL, left, right), shape=(*rows, *columns))


def _meeting_axes(a: Tensor, b: Tensor, dims: Any) -> tuple[list[int], list[int]]:
    # pairs may be the rows of an array or a tensor, too
    if not isinstance(dims, (tuple, list)) and getattr(dims, "ndim", 0) < 2:
        dims = integer("tensordot", "dims", dims)
        if not 0 <= dims <= min(a.ndim, b.ndim):
            raise ShapeError(
                f"tensordot: dims must be from 0 to {min(a.ndim, b.ndim)}, got {dims}"
            )
        pair: Sequence[Any] = (range(a.ndim - dims, a.ndim), range(dims))
    else:
        pair = [several("tensordot", "dims", each) for each in dims]
    axes_a = [_axis("tensordot", a, i) for i in pair[0]]
    axes_b = [_axis("tensordot", b, i) for i in pair[1]]
    sizes = [a.shape[i] for i in axes_a], [b.shape[i] for i in axes_b]
    repeated = len(set(axes_a)) != len(axes_a) or len(set(axes_b)) != len(axes_b)
    if sizes[0] != sizes[1] or repeated:
        raise ShapeError(
            f"tensordot: axes {axes_a} of a {tuple(a.shape)} and {axes_b} of b "
            f"{tuple(b.shape)} do not meet in pairs of equal sizes"
        )
    return axes_a, axes_b


def _axis(name: str, x: Tensor, axis: int) -> int:
    if not -x.ndim <= axis < x.ndim:
        raise IndexError(f"{name}: axis {axis} is out of range for {tuple(x.shape)}")
    return axis % x.ndim


@method
def kron(input: Tensor, other: Tensor) -> Tensor:
    """The Kronecker product: each element of `input` times all of `other`.

    Shape:
        (a0, a1, ...), (b0, b1, ...) -> (a0 b0, a1 b1, ...)

    Example:
        >>> import pyautodl as ad
        >>> ad.kron(ad.tensor([1.0, 2.0]), ad.tensor([1.0, 10.0]))
        tensor([ 1., 10.,  2., 20.])
    """
    x, y = operands("kron", input, other)
    ndim = max(x.ndim, y.ndim)
    left = (1,) * (ndim - x.ndim) + tuple(x.shape)
    right = (1,) * (ndim - y.ndim) + tuple(y.shape)
    x = call("reshape", x, shape=tuple(n for size in left for n in (size, 1)))
    y = call("reshape", y, shape=tuple(n for size in right for n in (1, size)))
    return call(
        "reshape", call("mul", x, y), shape=tuple(m * n for m, n in zip(left, right))
    )


@explained
def chain_matmul(*matrices: Tensor) -> Tensor:
    """Multiply matrices in the order that needs the fewest operations.

    Args:
        matrices: two-dimensional tensors whose sizes fit.

    Raises:
        ShapeError: there is none, or sizes do not fit.

    Example:
        >>> import pyautodl as ad
        >>> ad.chain_matmul(ad.ones(2, 3), ad.ones(3, 4), ad.ones(4, 1)).shape
        pyautodl.Size([2, 1])
    """
    if not matrices:
        raise ShapeError("chain_matmul: expected at least one matrix")
    _check_axes(
        "chain_matmul", *((f"matrix {i}", x, 2) for i, x in enumerate(matrices))
    )
    sizes = [matrices[0].shape[0], *(x.shape[1] for x in matrices)]
    best = _cheapest_splits(sizes)

    def product(first: int, last: int) -> Tensor:
        if first == last:
            return matrices[first]
        split = best[first, last]
        return apply(MATMUL, product(first, split), product(split + 1, last))

    return product(0, len(matrices) - 1)


def _cheapest_splits(sizes: list[int]) -> dict[tuple[int, int], int]:
    """Where to split each run of matrices; matrix i is sizes[i] x sizes[i + 1]."""
    count = len(sizes) - 1
    cost = {(i, i): 0 for i in range(count)}
    split: dict[tuple[int, int], int] = {}
    for length in range(1, count):
        for first in range(count - length):
            last = first + length
            cost[first, last], split[first, last] = min(
                (
                    cost[first, middle]
                    + cost[middle + 1, last]
                    + sizes[first] * sizes[middle + 1] * sizes[last + 1],
                    middle,
                )
                for middle in range(first, last)
            )
    return split
