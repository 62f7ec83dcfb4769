"""PyTorch's `linalg`: norms, equations, factors and eigenvalues of matrices.

The last two axes of a tensor are matrices, those before them a batch. NumPy computes the
factors, so that their last digits follow its version and the machine; gradients of first
and second order are there where they are in PyTorch.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf, prod
from typing import Any, NamedTuple

from pyautodl.errors import LinAlgError, ShapeError, describe
from pyautodl.functional.complex_tensor import ComplexTensor, view_as_complex
from pyautodl.functional.creation import arange, empty, eye, from_numpy
from pyautodl.functional.derived import cross as _cross
from pyautodl.functional.derived import matrix_power as _matrix_power
from pyautodl.functional.limits import finfo
from pyautodl.functional.linalg import QRFactors, SignLog, completed, inverse
from pyautodl.functional.linalg import cholesky as _cholesky
from pyautodl.functional.linalg import det as _det
from pyautodl.functional.linalg import matrix_exp as _matrix_exp
from pyautodl.functional.linalg import slogdet as _slogdet
from pyautodl.functional.matmul import chain_matmul, matmul
from pyautodl.functional.reduce import norm as _vector_norm
from pyautodl.functional.views import diagonal as _diagonal
from pyautodl.functional.views import movedim
from pyautodl.ops.axes import normalize_axis
from pyautodl.ops.integers import integer, integers
from pyautodl.ops.linalg.eigen import EIGH, SVD
from pyautodl.ops.linalg.eigen_general import EIG
from pyautodl.ops.linalg.factors import QR
from pyautodl.ops.linalg.inverses import PINV, SOLVE
from pyautodl.ops.linalg.triangles import LU, permutation_matrices
from pyautodl.tensor import Tensor, apply, explained

__all__ = [
    "LinAlgError",
    "cholesky",
    "cond",
    "cross",
    "det",
    "diagonal",
    "eig",
    "eigh",
    "eigvals",
    "eigvalsh",
    "inv",
    "lstsq",
    "lu",
    "lu_factor",
    "lu_factor_ex",
    "lu_solve",
    "matmul",
    "matrix_exp",
    "matrix_norm",
    "matrix_power",
    "matrix_rank",
    "multi_dot",
    "norm",
    "pinv",
    "qr",
    "slogdet",
    "solve",
    "solve_triangular",
    "svd",
    "svdvals",
    "tensorinv",
    "tensorsolve",
    "vander",
    "vecdot",
    "vector_norm",
]

Order = float | str | None
Dim = int | Sequence[int] | None


class Eigen(NamedTuple):
    """What `eigh` returns."""

    eigenvalues: Tensor
    eigenvectors: Tensor


class ComplexEigen(NamedTuple):
    """What `eig` returns."""

    eigenvalues: ComplexTensor
    eigenvectors: ComplexTensor


class Triangles(NamedTuple):
    """What `lu` returns."""

    P: Tensor
    L: Tensor
    U: Tensor


class PackedTriangles(NamedTuple):
    """What `lu_factor` returns."""

    LU: Tensor
    pivots: Tensor


class PackedTrianglesInfo(NamedTuple):
    """What `lu_factor_ex` returns."""

    LU: Tensor
    pivots: Tensor
    info: Tensor


class SingularValues(NamedTuple):
    """What `svd` returns."""

    U: Tensor
    S: Tensor
    Vh: Tensor


class LeastSquares(NamedTuple):
    """What `lstsq` returns."""

    solution: Tensor
    residuals: Tensor
    rank: Tensor
    singular_values: Tensor


def _cast(x: Tensor, dtype: Any) -> Tensor:
    return x if dtype is None else x.to(dtype)


def _check_matrices(name: str, x: Any) -> None:
    if x.ndim < 2:
        raise ShapeError(
            f"{name}: expected matrices on the last two axes, got shape {tuple(x.shape)}"
        )


# ---- norms ----


@explained
def vector_norm(
    x: Tensor,
    ord: float = 2,
    dim: Dim = None,
    keepdim: bool = False,
    *,
    dtype: Any = None,
) -> Tensor:
    """Return the p-norm of vectors; where it is 0 so is its gradient.

    Args:
        x: a floating tensor.
        ord: p, from -inf to inf; 0 is a count.
        dim: the axes of a vector; None: all of them.
        keepdim: keep reduced axes with size 1.
        dtype: cast to this type first.

    Example:
        >>> import pyautodl as ad
        >>> ad.linalg.vector_norm(ad.tensor([3.0, 4.0]))
        tensor(5.)
    """
    p = float(ord)
    if -inf < p < 0:
        # the kernel scales by the largest element, where here the smallest counts
        return (_cast(x, dtype).abs() ** p).sum(dim, keepdim) ** (1 / p)
    return _vector_norm(x, p, dim, keepdim, dtype)


@explained
def matrix_norm(
    A: Tensor,
    ord: Order = "fro",
    dim: Sequence[int] = (-2, -1),
    keepdim: bool = False,
    *,
    dtype: Any = None,
) -> Tensor:
    """Return norms of matrices.

    Args:
        A: a floating tensor.
        ord: 'fro' (of all elements), 'nuc' (the sum of the singular values), 2 or -2 (the
            largest or the smallest of them), 1 or -1 (the largest or the smallest sum of a
            column's absolute values), inf or -inf (of a row's).
        dim: the axes of rows and columns.
        keepdim: keep reduced axes with size 1.
        dtype: cast to this type first.

    Raises:
        ValueError: ord is another word or number, or dim are not two axes.

    Example:
        >>> import pyautodl as ad
        >>> x = ad.tensor([[1.0, 2.0], [3.0, -4.0]])
        >>> ad.linalg.matrix_norm(x, 1), ad.linalg.matrix_norm(x, ad.inf)
        (tensor(6.), tensor(7.))
    """
    _check_matrices("matrix_norm", A)
    given = integers("matrix_norm", "dim", dim)
    axes = [normalize_axis("matrix_norm", each, A.ndim, A.shape) for each in given]
    if len(axes) != 2 or axes[0] == axes[1]:
        raise ValueError(f"matrix_norm: dim must be two axes, got {describe(dim)}")
    A = _cast(A, dtype)
    if ord == "fro":
        return _vector_norm(A, 2.0, tuple(axes), keepdim)
    found = _by_order(movedim(A, tuple(axes), (-2, -1)), ord)
    if keepdim:
        for axis in sorted(axes):
            found = found.unsqueeze(axis)
    return found


def _by_order(matrices: Tensor, order: Order) -> Tensor:
    if order == "nuc":
        return svdvals(matrices).sum(-1)
    if order in (2, -2):
        values = svdvals(matrices)
        return _largest(values) if order == 2 else values.amin(-1)
    if order in (1, -1, inf, -inf) and not isinstance(order, str) and order is not None:
        sums = matrices.abs().sum(-2 if abs(order) == 1 else -1)
        return _largest(sums) if order > 0 else sums.amin(-1)
    raise ValueError(
        "matrix_norm: ord must be 'fro', 'nuc', 1, 2, inf or one of these negative, got "
        f"{describe(order)}"
    )


def _largest(values: Tensor) -> Tensor:
    """The largest of numbers that are not negative: 0 where there are none."""
    return values.amax(-1) if values.shape[-1] else values.sum(-1)


@explained
def norm(
    A: Tensor,
    ord: Order = None,
    dim: Dim = None,
    keepdim: bool = False,
    *,
    dtype: Any = None,
) -> Tensor:
    """Return norms of vectors or of matrices.

    Args:
        A: a floating tensor.
        ord: see `vector_norm` and `matrix_norm`; None: of all elements together, 2.
        dim: one axis for vectors, two for matrices; None: all.
        keepdim: keep reduced axes with size 1.
        dtype: cast to this type first.

    Raises:
        ShapeError: ord is given for more than two axes.

    Example:
        >>> import pyautodl as ad
        >>> ad.linalg.norm(ad.tensor([[3.0, 0.0], [0.0, 4.0]]))
        tensor(5.)
        >>> ad.linalg.norm(ad.tensor([[3.0, 0.0], [0.0, 4.0]]), 2)
        tensor(4.)
    """
    A = _cast(A, dtype)
    if dim is not None:
        axes = integers("norm", "dim", (dim,) if isinstance(dim, int) else dim)
    else:
        axes = tuple(range(A.ndim))
        if ord is not None and A.ndim not in (1, 2):
            raise ShapeError(
                f"norm: ord {describe(ord)} is for a vector or a matrix, got shape "
                f"{tuple(A.shape)}; likely fix: dim"
            )
    if ord is None:
        return _vector_norm(A, 2.0, None if dim is None else axes, keepdim)
    if len(axes) == 2:
        return matrix_norm(A, ord, axes, keepdim)
    if isinstance(ord, str):
        raise ValueError(f"norm: ord {ord!r} is for two axes, got dim {describe(dim)}")
    return vector_norm(A, ord, axes, keepdim)


@explained
def cond(A: Tensor, p: Order = None) -> Tensor:
    """Return condition numbers: the norm of a matrix times that of its inverse.

    Args:
        A: (..., n, n); for p None, 2 or -2 any matrices.
        p: see `matrix_norm`; None is 2.

    Raises:
        LinAlgError: a matrix is singular, for other p than None, 2 and -2.

    Example:
        >>> import pyautodl as ad
        >>> ad.linalg.cond(ad.tensor([[4.0, 0.0], [0.0, 2.0]]))
        tensor(2.)
    """
    _check_matrices("cond", A)
    if p in (None, 2, -2):
        values = svdvals(A)
        if values.shape[-1] == 0:
            return values.sum(-1)
        most, least = values[..., 0], values[..., -1]
        return least / most if p == -2 else most / least
    return matrix_norm(A, p) * matrix_norm(inverse(A), p)


@explained
def vander(x: Tensor, *, N: int | None = None) -> Tensor:
    """Return the powers of numbers from 0 on, those of one number in a row.

    Args:
        x: (..., n).
        N: how many powers; default: n.

    Shape:
        (..., n, N)

    Raises:
        ShapeError: x has no axis.

    Example:
        >>> import pyautodl as ad
        >>> ad.linalg.vander(ad.tensor([2, 3]), N=3)
        tensor([[1, 2, 4],
                [1, 3, 9]])
    """
    if not x.ndim:
        raise ShapeError("vander: expected at least one axis, got shape ()")
    count = x.shape[-1] if N is None else integer("vander", "N", N)
    if count < 0:
        raise ValueError(f"vander: N must not be negative, got {count}")
    return x.unsqueeze(-1) ** arange(count)


# ---- what stands beside this module, too ----


@explained
def det(A: Tensor) -> Tensor:
    """Return the determinants of square matrices, see `pyautodl.det`.

    Example:
        >>> import pyautodl as ad
        >>> ad.linalg.det(2 * ad.eye(2))
        tensor(4.)
    """
    return _det(A)


@explained
def slogdet(A: Tensor) -> SignLog:
    """Return sign and logarithm of determinants, see `pyautodl.slogdet`.

    Example:
        >>> import pyautodl as ad
        >>> ad.linalg.slogdet(2 * ad.eye(2)).logabsdet
        tensor(1.3863)
    """
    return _slogdet(A)


@explained
def inv(A: Tensor) -> Tensor:
    """Return the inverses of square matrices, see `pyautodl.inverse`.

    Example:
        >>> import pyautodl as ad
        >>> ad.linalg.inv(2 * ad.eye(2))
        tensor([[0.5000, 0.0000],
                [0.0000, 0.5000]])
    """
    return inverse(A)


@explained
def cholesky(A: Tensor, *, upper: bool = False) -> Tensor:
    """Return triangular factors of positive definite matrices, see `pyautodl.cholesky`.

    Example:
        >>> import pyautodl as ad
        >>> ad.linalg.cholesky(4 * ad.eye(2))
        tensor([[2., 0.],
                [0., 2.]])
    """
    return _cholesky(A, upper)


@explained
def matrix_exp(A: Tensor) -> Tensor:
    """Return the exponentials of square matrices, see `pyautodl.matrix_exp`.

    Example:
        >>> import pyautodl as ad
        >>> ad.linalg.matrix_exp(ad.zeros(2, 2))
        tensor([[1., 0.],
                [0., 1.]])
    """
    return _matrix_exp(A)


@explained
def matrix_power(A: Tensor, n: int) -> Tensor:
    """Return the product of n copies of square matrices, see `pyautodl.matrix_power`.

    Example:
        >>> import pyautodl as ad
        >>> ad.linalg.matrix_power(2 * ad.eye(2), -1)
        tensor([[0.5000, 0.0000],
                [0.0000, 0.5000]])
    """
    return _matrix_power(A, n)


# ---- equations ----


def _is_vectors(A: Tensor, B: Tensor) -> bool:
    """Whether B are vectors and not matrices, as PyTorch tells them apart."""
    return B.ndim == 1 or (B.ndim == A.ndim - 1 and B.shape == A.shape[:-1])


@explained
def solve(A: Tensor, B: Tensor, *, left: bool = True) -> Tensor:
    """Solve A X = B.

    Args:
        A: square matrices, (..., n, n).
        B: right sides, (..., n, k), or vectors (..., n) or (n,).
        left: solve X A = B, if it is False.

    Raises:
        ShapeError: the shapes do not fit.
        LinAlgError: a matrix is singular.

    Example:
        >>> import pyautodl as ad
        >>> A = ad.tensor([[2.0, 1.0], [0.0, 4.0]])
        >>> ad.linalg.solve(A, ad.tensor([4.0, 8.0]))
        tensor([1., 2.])
    """
    if _is_vectors(A, B):
        if not left:
            raise ShapeError("solve: left=False needs matrices, B is vectors")
        return apply(SOLVE, A, B.unsqueeze(-1)).squeeze(-1)
    if not left:
        _check_matrices("solve", B)
        return apply(SOLVE, A, B.mT, transpose=True).mT
    found: Tensor = apply(SOLVE, A, B)
    return found


@explained
def solve_triangular(
    A: Tensor,
    B: Tensor,
    *,
    upper: bool,
    left: bool = True,
    unitriangular: bool = False,
) -> Tensor:
    """Solve A X = B for triangular A, of which the other triangle is not read.

    Args:
        A: (..., n, n).
        B: (..., n, k).
        upper: whether the upper triangle is A.
        left: solve X A = B, if it is False.
        unitriangular: the diagonal counts as ones.

    Raises:
        LinAlgError: there is a zero on a diagonal.

    Example:
        >>> import pyautodl as ad
        >>> A = ad.tensor([[2.0, 9.0], [1.0, 4.0]])
        >>> ad.linalg.solve_triangular(A, ad.tensor([[2.0], [9.0]]), upper=False)
        tensor([[1.],
                [2.]])
    """
    _check_matrices("solve_triangular", A)
    inner = int(unitriangular)
    part = A.triu(inner) if upper else A.tril(-inner)
    if unitriangular:
        part = part + eye(A.shape[-1], dtype=A.dtype)
    _check_matrices("solve_triangular", B)
    return solve(part, B, left=left)


def _rank_limits(
    name: str, A: Tensor, atol: Any, rtol: Any, tol: Any = None
) -> tuple[float, float]:
    """(atol, rtol): singular values up to the larger limit count as 0."""
    if any(isinstance(each, Tensor) and each.ndim for each in (atol, rtol, tol)):
        raise NotImplementedError(
            f"{name}: limits of their own for matrices of a batch"
        )
    if tol is not None:
        return float(tol), 0.0
    if rtol is None:
        size = max(*A.shape[-2:], 1)
        rtol = 0.0 if atol is not None else size * finfo(A.dtype).eps
    return 0.0 if atol is None else float(atol), float(rtol)


@explained
def pinv(
    A: Tensor,
    rcond: Any = None,
    hermitian: bool = False,
    *,
    atol: Any = None,
    rtol: Any = None,
) -> Tensor:
    """Return pseudoinverses: P with A P A = A, P A P = P, and A P and P A symmetric.

    Its gradient is that of matrices of a constant rank.

    Args:
        A: (..., m, n).
        rcond: the older name of rtol.
        hermitian: a hint without effect.
        atol: singular values up to it count as 0.
        rtol: the same, as a part of the largest one; default: max(m, n) times the
            precision of the type, or 0 if atol is given.

    Shape:
        (..., m, n) -> (..., n, m)

    Example:
        >>> import pyautodl as ad
        >>> ad.linalg.pinv(ad.tensor([[2.0, 0.0], [0.0, 0.0]]))
        tensor([[0.5000, 0.0000],
                [0.0000, 0.0000]])
    """
    _check_matrices("pinv", A)
    rtol = rcond if rtol is None else rtol
    least, part = _rank_limits("pinv", A.detach(), atol, rtol)
    found: Tensor = apply(PINV, A, rtol=part, atol=least)
    return found


@explained
def matrix_rank(
    A: Tensor,
    tol: Any = None,
    hermitian: bool = False,
    *,
    atol: Any = None,
    rtol: Any = None,
) -> Tensor:
    """Return how many singular values of each matrix are not 0.

    Args:
        A: (..., m, n).
        tol: the older name of atol.
        hermitian: a hint without effect.
        atol: singular values up to it count as 0.
        rtol: the same, as a part of the largest one, see `pinv`.

    Example:
        >>> import pyautodl as ad
        >>> ad.linalg.matrix_rank(ad.ones(2, 2))
        tensor(1)
    """
    _check_matrices("matrix_rank", A)
    limits = _rank_limits("matrix_rank", A, atol, rtol, tol)
    return _count_larger(svdvals(A.detach()), *limits)


def _count_larger(values: Tensor, atol: float, rtol: float) -> Tensor:
    """How many of the singular values do not count as 0."""
    if not values.shape[-1]:
        return values.sum(-1).long()
    limit = (values.amax(-1, keepdim=True) * rtol).clamp(min=atol)
    return (values > limit).sum(-1)


@explained
def lstsq(
    A: Tensor, B: Tensor, rcond: float | None = None, *, driver: str | None = None
) -> LeastSquares:
    """Return the X with the least squares of A X - B, and of these the smallest.

    Args:
        A: (..., m, n).
        B: (..., m, k), or vectors (..., m).
        rcond: singular values up to this part of the largest count as 0; default:
            max(m, n) times the precision of the type.
        driver: as in PyTorch 'gels', 'gelsy', 'gelsd' or 'gelss'; what it says is which of
            rank and singular_values are given, the others being empty. None is 'gelsy'.

    Returns:
        solution, residuals (the sums of squares; empty unless m > n and all ranks are n),
        rank and singular_values.

    Raises:
        ShapeError: the shapes do not fit.

    Example:
        >>> import pyautodl as ad
        >>> A = ad.tensor([[1.0, 0.0], [1.0, 1.0], [1.0, 2.0]])
        >>> ad.linalg.lstsq(A, ad.tensor([1.0, 3.0, 5.0])).solution
        tensor([1.0000, 2.0000])
    """
    _check_matrices("lstsq", A)
    if driver not in (None, "gels", "gelsy", "gelsd", "gelss"):
        raise ValueError(
            "lstsq: driver must be 'gels', 'gelsy', 'gelsd' or 'gelss', got "
            f"{describe(driver)}"
        )
    vectors = _is_vectors(A, B)
    right = B.unsqueeze(-1) if vectors else B
    m, n = A.shape[-2:]
    if right.ndim < 2 or right.shape[-2] != m:
        raise ShapeError(
            f"lstsq: expected {m} rows in B: A {tuple(A.shape)}, B {tuple(B.shape)}"
        )
    solution = matmul(pinv(A, rcond), right)
    values = svdvals(A.detach())
    rank = _count_larger(values, *_rank_limits("lstsq", A, None, rcond))
    none = empty(0, dtype=A.dtype)
    residuals = none
    if m > n and bool((rank == n).all()):
        residuals = (matmul(A, solution) - right).square().sum(-2)
        residuals = residuals.squeeze(-1) if vectors else residuals
    return LeastSquares(
        solution.squeeze(-1) if vectors else solution,
        residuals,
        empty(0, dtype=rank.dtype) if driver == "gels" else rank,
        values if driver in ("gelsd", "gelss") else none,
    )


@explained
def tensorinv(A: Tensor, ind: int = 2) -> Tensor:
    """Return the inverse for `tensordot`, the first `ind` axes being the rows.

    Args:
        A: its first `ind` axes have as many elements as the others.
        ind: how many axes.

    Example:
        >>> import pyautodl as ad
        >>> ad.linalg.tensorinv(ad.eye(6).reshape(2, 3, 6), ind=2).shape
        pyautodl.Size([6, 2, 3])
    """
    ind = integer("tensorinv", "ind", ind)
    first, last = tuple(A.shape[:ind]), tuple(A.shape[ind:])
    if ind < 1 or prod(first) != prod(last):
        raise ShapeError(
            f"tensorinv: the axes before and after number {ind} must have as many "
            f"elements, got shape {tuple(A.shape)}"
        )
    return inverse(A.reshape(prod(first), prod(last))).reshape(*last, *first)


@explained
def tensorsolve(A: Tensor, B: Tensor, dims: Sequence[int] | None = None) -> Tensor:
    """Return X with tensordot(A, X, X.ndim) = B.

    Args:
        A: its first axes are those of B.
        B: the right side.
        dims: axes of A that are moved behind the others first.

    Example:
        >>> import pyautodl as ad
        >>> A = 2 * ad.eye(6).reshape(2, 3, 6)
        >>> ad.linalg.tensorsolve(A, ad.ones(2, 3))
        tensor([0.5000, 0.5000, 0.5000, 0.5000, 0.5000, 0.5000])
    """
    if dims is not None:
        axes = integers("tensorsolve", "dims", dims)
        A = movedim(A, axes, tuple(range(-len(axes), 0)))
    shape, size = tuple(A.shape[B.ndim :]), prod(B.shape)
    if prod(shape) != size:
        raise ShapeError(
            f"tensorsolve: the axes of A behind those of B must have {size} elements: "
            f"A {tuple(A.shape)}, B {tuple(B.shape)}"
        )
    return solve(A.reshape(size, size), B.reshape(size)).reshape(*shape)


# ---- factors and eigenvalues ----


@explained
def qr(A: Tensor, mode: str = "reduced") -> QRFactors:
    """Return Q with orthonormal columns and an upper triangular R, whose product is A.

    Args:
        A: (..., m, n).
        mode: 'reduced' for min(m, n) columns of Q, 'complete' for m (which has no gradient
            if m > n), 'r' for R alone and an empty Q.

    Raises:
        ValueError: mode is another word.

    Example:
        >>> import pyautodl as ad
        >>> Q, R = ad.linalg.qr(ad.tensor([[3.0, 1.0], [4.0, 1.0]]))
        >>> (Q @ R).round()
        tensor([[3., 1.],
                [4., 1.]])
    """
    if mode not in ("reduced", "complete", "r"):
        raise ValueError(
            f"qr: mode must be 'reduced', 'complete' or 'r', got {describe(mode)}"
        )
    Q, R = apply(QR, A, complete=mode == "complete")
    return QRFactors(empty(0, dtype=A.dtype) if mode == "r" else Q, R)


def _is_upper(name: str, UPLO: str) -> bool:
    if UPLO not in ("L", "U"):
        raise ValueError(f"{name}: UPLO must be 'L' or 'U', got {describe(UPLO)}")
    return UPLO == "U"


@explained
def eigh(A: Tensor, UPLO: str = "L") -> Eigen:
    """Return eigenvalues of symmetric matrices, ascending, and eigenvectors as columns.

    The sign of an eigenvector is arbitrary, and where eigenvalues are equal so are their
    vectors: the gradient of what depends on them is not finite then.

    Args:
        A: (..., n, n), symmetric.
        UPLO: which triangle is read, 'L' or 'U'.

    Raises:
        ShapeError: the matrices are not square.

    Example:
        >>> import pyautodl as ad
        >>> ad.linalg.eigh(ad.tensor([[2.0, 1.0], [1.0, 2.0]])).eigenvalues
        tensor([1., 3.])
    """
    return Eigen(*apply(EIGH, A, upper=_is_upper("eigh", UPLO)))


@explained
def eig(A: Tensor) -> ComplexEigen:
    """Return eigenvalues of square matrices and eigenvectors as columns, complex numbers.

    The values have no order, vectors are of length 1, and each may be turned in the complex
    plane: what is made of them must not depend on that, or its gradient means nothing.
    Where eigenvalues are equal, gradients are not finite.

    Args:
        A: (..., n, n). For symmetric matrices: `eigh`, whose values are real.

    Raises:
        ShapeError: the matrices are not square.
        LinAlgError: a matrix has elements that are nan or infinite.

    Example:
        >>> import pyautodl as ad
        >>> turn = ad.tensor([[0.0, -1.0], [1.0, 0.0]])
        >>> ad.linalg.eig(turn).eigenvalues.imag
        tensor([ 1., -1.])
    """
    return ComplexEigen(*map(view_as_complex, apply(EIG, A)))


@explained
def eigvals(A: Tensor) -> ComplexTensor:
    """Return the eigenvalues of square matrices, complex numbers in no order; see `eig`.

    Example:
        >>> import pyautodl as ad
        >>> ad.linalg.eigvals(ad.tensor([[2.0, 1.0], [0.0, 3.0]])).real
        tensor([2., 3.])
    """
    found: ComplexTensor = view_as_complex(apply(EIG, A)[0])
    return found


@explained
def lu(A: Tensor, *, pivot: bool = True) -> Triangles:
    """Return P, L and U with A = P L U.

    P has one 1 in each row and column, L ones on its diagonal and nothing above, U nothing
    below.

    Args:
        A: (..., m, n).
        pivot: whether rows may be exchanged, so that numbers stay small; else there must
            be no zero where it is divided, and P is empty.

    Shape:
        (..., m, m), (..., m, k), (..., k, n) with k = min(m, n)

    Raises:
        ShapeError: A is no matrix.

    Example:
        >>> import pyautodl as ad
        >>> A = ad.tensor([[1.0, 2.0], [4.0, 4.0]])
        >>> P, L, U = ad.linalg.lu(A)
        >>> L, U
        (tensor([[1.0000, 0.0000],
                [0.2500, 1.0000]]), tensor([[4., 4.],
                [0., 1.]]))
        >>> P @ L @ U
        tensor([[1., 2.],
                [4., 4.]])
    """
    both, pivots = apply(LU, A, pivot=pivot)
    lower, upper = _triangles(both)
    if not pivot:
        return Triangles(empty(0, dtype=A.dtype), lower, upper)
    return Triangles(_permutations(pivots, both), lower, upper)


def _triangles(both: Tensor) -> tuple[Tensor, Tensor]:
    """L and U from where they lie in one matrix."""
    k = min(both.shape[-2:])
    left, above = both[..., :k], both[..., :k, :]
    ones = eye(both.shape[-2], k, dtype=both.dtype)
    return left.tril(-1) + ones, above.triu()


def _permutations(pivots: Tensor, both: Tensor) -> Tensor:
    return from_numpy(permutation_matrices(pivots.numpy(), both.shape[-2])).to(
        both.dtype
    )


@explained
def lu_factor(A: Tensor, *, pivot: bool = True) -> PackedTriangles:
    """Return L and U in one matrix and the exchanges of rows, for `lu_solve`.

    Args:
        A: (..., m, n).
        pivot: whether rows may be exchanged, see `lu`.

    Returns:
        LU, in which the ones on the diagonal of L are left out, and pivots of int32: row i
        was exchanged with row pivots[i], counted from 1.

    Raises:
        LinAlgError: a matrix is singular; `lu` and `lu_factor_ex` take it.

    Example:
        >>> import pyautodl as ad
        >>> ad.linalg.lu_factor(ad.tensor([[1.0, 2.0], [4.0, 4.0]]))
        PackedTriangles(LU=tensor([[4.0000, 4.0000],
                [0.2500, 1.0000]]), pivots=tensor([2, 2], dtype=pyautodl.int32))
    """
    both, pivots, info = lu_factor_ex(A, pivot=pivot)
    if bool(info.any()):
        raise LinAlgError(
            "lu_factor: a matrix is singular, so that lu_solve would divide by 0; likely "
            "fix: linalg.lu or lu_factor_ex, or linalg.lstsq for equations"
        )
    return PackedTriangles(both, pivots)


@explained
def lu_factor_ex(
    A: Tensor, *, pivot: bool = True, check_errors: bool = False
) -> PackedTrianglesInfo:
    """Return what `lu_factor` does, and where a matrix is singular.

    Args:
        A: (..., m, n).
        pivot: whether rows may be exchanged, see `lu`.
        check_errors: refuse singular matrices.

    Returns:
        LU, pivots and info: 0, or i where the first zero on the diagonal of U is at i,
        counted from 1.

    Raises:
        LinAlgError: a matrix is singular, with check_errors.

    Example:
        >>> import pyautodl as ad
        >>> ad.linalg.lu_factor_ex(ad.zeros(2, 2)).info
        tensor(1, dtype=pyautodl.int32)
    """
    both, pivots = apply(LU, A, pivot=pivot)
    is_zero = _diagonal(both.detach(), 0, -2, -1) == 0
    places = arange(1, is_zero.shape[-1] + 1, dtype=pivots.dtype)
    # none is further than all
    first = places.where(is_zero, len(places) + 1)
    if len(places):
        info = first.amin(-1)
        info = info.where(info <= len(places), 0)
    else:
        info = pivots.sum(-1).to(pivots.dtype)
    if check_errors and bool(info.any()):
        raise LinAlgError("lu_factor_ex: a matrix is singular")
    return PackedTrianglesInfo(both, pivots, info)


@explained
def lu_solve(
    LU: Tensor,
    pivots: Tensor,
    B: Tensor,
    *,
    left: bool = True,
    adjoint: bool = False,
) -> Tensor:
    """Solve A X = B for an A of which `lu_factor` has made LU and pivots.

    Args:
        LU: (..., n, n).
        pivots: (..., n).
        B: (..., n, k).
        left: solve X A = B, if it is False.
        adjoint: with the transpose of A.

    Raises:
        ShapeError: the shapes do not fit.
        LinAlgError: A is singular.

    Example:
        >>> import pyautodl as ad
        >>> A = ad.tensor([[2.0, 1.0], [0.0, 4.0]])
        >>> ad.linalg.lu_solve(*ad.linalg.lu_factor(A), ad.tensor([[4.0], [8.0]]))
        tensor([[1.],
                [2.]])
    """
    _check_matrices("lu_solve", LU)
    _check_matrices("lu_solve", B)
    if not left:
        return lu_solve(LU, pivots, B.mT, adjoint=not adjoint).mT
    lower, upper = _triangles(LU)
    order = _permutations(pivots, LU)
    if adjoint:
        inner = apply(SOLVE, upper, B, transpose=True)
        return matmul(order, apply(SOLVE, lower, inner, transpose=True))
    inner = apply(SOLVE, lower, matmul(order.mT, B))
    found: Tensor = apply(SOLVE, upper, inner)
    return found


@explained
def eigvalsh(A: Tensor, UPLO: str = "L") -> Tensor:
    """Return the eigenvalues of symmetric matrices, ascending; see `eigh`.

    Example:
        >>> import pyautodl as ad
        >>> ad.linalg.eigvalsh(ad.tensor([[2.0, 1.0], [1.0, 2.0]]))
        tensor([1., 3.])
    """
    found: Tensor = apply(EIGH, A, upper=_is_upper("eigvalsh", UPLO))[0]
    return found


@explained
def svd(
    A: Tensor, full_matrices: bool = True, *, driver: str | None = None
) -> SingularValues:
    """Return singular values, descending, and vectors: A = U diag(S) Vh.

    The sign of a pair of vectors is arbitrary, and where singular values are equal so are
    their vectors: the gradient of what depends on them is not finite then. Of U and Vh
    what completes them to square matrices has no gradient.

    Args:
        A: (..., m, n).
        full_matrices: complete U and Vh, else they have min(m, n) columns and rows.
        driver: has no effect.

    Raises:
        LinAlgError: a matrix has elements that are nan.

    Example:
        >>> import pyautodl as ad
        >>> U, S, Vh = ad.linalg.svd(ad.tensor([[3.0, 0.0], [0.0, 2.0]]))
        >>> S, U @ S.diag() @ Vh
        (tensor([3., 2.]), tensor([[3., 0.],
                [0., 2.]]))
    """
    U, S, Vh = apply(SVD, A)
    if full_matrices:
        U, Vh = completed(U), completed(Vh.mT).mT
    return SingularValues(U, S, Vh)


@explained
def svdvals(A: Tensor, *, driver: str | None = None) -> Tensor:
    """Return the singular values of matrices, descending.

    Args:
        A: (..., m, n).
        driver: has no effect.

    Example:
        >>> import pyautodl as ad
        >>> ad.linalg.svdvals(ad.tensor([[0.0, 2.0], [0.0, 0.0]]))
        tensor([2., 0.])
    """
    found: Tensor = apply(SVD, A)[1]
    return found


# ---- products ----


@explained
def multi_dot(tensors: Sequence[Tensor]) -> Tensor:
    """Multiply matrices in the order that needs the fewest operations.

    Args:
        tensors: two or more; the first may be a vector, which is a row, and the last one,
            which is a column.

    Raises:
        ShapeError: there are fewer than two, or sizes do not fit.

    Example:
        >>> import pyautodl as ad
        >>> ad.linalg.multi_dot([ad.ones(2), ad.ones(2, 3), ad.ones(3)])
        tensor(6.)
    """
    matrices = list(tensors)
    if len(matrices) < 2:
        raise ShapeError(f"multi_dot: expected at least 2 tensors, got {len(matrices)}")
    is_row, is_column = matrices[0].ndim == 1, matrices[-1].ndim == 1
    if is_row:
        matrices[0] = matrices[0].unsqueeze(0)
    if is_column:
        matrices[-1] = matrices[-1].unsqueeze(1)
    product = chain_matmul(*matrices)
    if is_column:
        product = product.squeeze(1)
    return product.squeeze(0) if is_row else product


@explained
def vecdot(x: Tensor, y: Tensor, *, dim: int = -1) -> Tensor:
    """Return the sums of products along an axis.

    Args:
        x, y: tensors that broadcast.
        dim: the axis.

    Example:
        >>> import pyautodl as ad
        >>> ad.linalg.vecdot(ad.ones(2, 3), ad.arange(3.0))
        tensor([3., 3.])
    """
    return (x * y).sum(dim)


@explained
def cross(input: Tensor, other: Tensor, *, dim: int = -1) -> Tensor:
    """Return the vector products of vectors of three numbers.

    Args:
        input, other: tensors that broadcast.
        dim: the axis of size 3.

    Example:
        >>> import pyautodl as ad
        >>> ad.linalg.cross(ad.tensor([1.0, 0.0, 0.0]), ad.tensor([0.0, 1.0, 0.0]))
        tensor([0., 0., 1.])
    """
    return _cross(input, other, dim)


@explained
def diagonal(A: Tensor, *, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """Return the diagonals of matrices, a view.

    Args:
        A: a tensor.
        offset: how far above the main diagonal; below, if negative.
        dim1: the axis of rows.
        dim2: the axis of columns.

    Example:
        >>> import pyautodl as ad
        >>> ad.linalg.diagonal(ad.ones(4, 2, 3)).shape
        pyautodl.Size([4, 2])
    """
    return _diagonal(A, offset, dim1, dim2)
