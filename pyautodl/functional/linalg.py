"""Linear algebra under the names that PyTorch has beside `linalg`, which has the rest."""

from __future__ import annotations

from typing import Any, NamedTuple

from pyautodl.functional.copy import cat
from pyautodl.functional.creation import eye
from pyautodl.functional.eltwise import log, log2, where
from pyautodl.functional.limits import finfo
from pyautodl.ops.linalg.common import check_matrices
from pyautodl.ops.linalg.determinants import DET, SLOGDET
from pyautodl.ops.linalg.eigen import SVD
from pyautodl.ops.linalg.factors import CHOLESKY, QR
from pyautodl.ops.linalg.inverses import INVERSE, PINV, SOLVE
from pyautodl.tensor import Tensor, apply, explained, method

__all__ = [
    "cholesky",
    "cholesky_inverse",
    "cholesky_solve",
    "det",
    "inverse",
    "logdet",
    "matrix_exp",
    "pinverse",
    "qr",
    "slogdet",
    "svd",
]


class SignLog(NamedTuple):
    """What `slogdet` returns."""

    sign: Tensor
    logabsdet: Tensor


class QRFactors(NamedTuple):
    """What `qr` returns."""

    Q: Tensor
    R: Tensor


class SingularVectors(NamedTuple):
    """What `svd` returns."""

    U: Tensor
    S: Tensor
    V: Tensor


@method
@explained
def det(input: Tensor) -> Tensor:
    """Return the determinants of square matrices.

    The gradient is right for a singular matrix, too; the second one is not there.

    Args:
        input: (..., n, n).

    Raises:
        ShapeError: the matrices are not square.

    Example:
        >>> import pyautodl as ad
        >>> ad.det(ad.tensor([[2.0, 0.0], [1.0, 3.0]]))
        tensor(6.)
    """
    found: Tensor = apply(DET, input)
    return found


@method
@explained
def slogdet(input: Tensor) -> SignLog:
    """Return sign and logarithm of the absolute value of determinants.

    Where `det` would be too large or too small for a number, its logarithm is one; of a
    singular matrix sign and logarithm are 0 and -inf.

    Args:
        input: (..., n, n).

    Raises:
        ShapeError: the matrices are not square.
        LinAlgError: in backward, a matrix is singular.

    Example:
        >>> import pyautodl as ad
        >>> ad.slogdet(ad.tensor([[-1.0, 0.0], [0.0, 1.0]])).sign
        tensor(-1.)
    """
    return SignLog(*apply(SLOGDET, input))


@method
@explained
def logdet(input: Tensor) -> Tensor:
    """Return the logarithms of determinants, nan where one is negative.

    Args:
        input: (..., n, n).

    Example:
        >>> import pyautodl as ad
        >>> ad.logdet(2 * ad.eye(2))
        tensor(1.3863)
    """
    sign, logs = slogdet(input)
    # the logarithm of the sign is 0, nan or, of a singular matrix, -inf
    return logs + log(sign.detach())


@method
@explained
def inverse(input: Tensor) -> Tensor:
    """Return the inverses of square matrices.

    For the solution of equations `linalg.solve` is faster and more exact.

    Args:
        input: (..., n, n).

    Raises:
        ShapeError: the matrices are not square.
        LinAlgError: one of them is singular.

    Example:
        >>> import pyautodl as ad
        >>> ad.inverse(ad.tensor([[2.0, 0.0], [0.0, 4.0]]))
        tensor([[0.5000, 0.0000],
                [0.0000, 0.2500]])
    """
    found: Tensor = apply(INVERSE, input)
    return found


@method
@explained
def pinverse(input: Tensor, rcond: float = 1e-15) -> Tensor:
    """Return the pseudoinverses of matrices, see `linalg.pinv`.

    Args:
        input: (..., m, n).
        rcond: singular values up to this part of the largest count as 0.

    Example:
        >>> import pyautodl as ad
        >>> ad.pinverse(ad.tensor([[2.0], [0.0]]))
        tensor([[0.5000, 0.0000]])
    """
    found: Tensor = apply(PINV, input, rtol=float(rcond))
    return found


@method
@explained
def cholesky(input: Tensor, upper: bool = False) -> Tensor:
    """Return triangular matrices whose products with their transposes are the input.

    Args:
        input: (..., n, n), symmetric and positive definite; only the triangle that is
            returned is read.
        upper: R with input = R' R in place of L with input = L L'.

    Raises:
        ShapeError: the matrices are not square.
        LinAlgError: one of them is not positive definite.

    Example:
        >>> import pyautodl as ad
        >>> ad.cholesky(ad.tensor([[4.0, 2.0], [2.0, 2.0]]))
        tensor([[2., 0.],
                [1., 1.]])
    """
    if upper:
        return apply(CHOLESKY, input.mT).mT
    found: Tensor = apply(CHOLESKY, input)
    return found


@method
@explained
def cholesky_solve(input: Tensor, L: Tensor, upper: bool = False) -> Tensor:
    """Solve equations whose matrices are given by their Cholesky factors.

    Args:
        input: right sides, (..., n, k).
        L: what `cholesky` returned, (..., n, n).
        upper: as there.

    Example:
        >>> import pyautodl as ad
        >>> ad.cholesky_solve(ad.tensor([[8.0]]), ad.tensor([[2.0]]))
        tensor([[2.]])
    """
    factor = L.triu() if upper else L.tril()
    inner = apply(SOLVE, factor, input, transpose=upper)
    found: Tensor = apply(SOLVE, factor, inner, transpose=not upper)
    return found


@method
@explained
def cholesky_inverse(L: Tensor, upper: bool = False) -> Tensor:
    """Return the inverses of matrices that are given by their Cholesky factors.

    Args:
        L: what `cholesky` returned, (..., n, n).
        upper: as there.

    Example:
        >>> import pyautodl as ad
        >>> ad.cholesky_inverse(ad.tensor([[2.0]]))
        tensor([[0.2500]])
    """
    check_matrices("cholesky_inverse", L._array, square=True)
    return cholesky_solve(eye(L.shape[-1], dtype=L.dtype), L, upper)


@method
@explained
def qr(input: Tensor, some: bool = True) -> QRFactors:
    """Return Q with orthonormal columns and an upper triangular R, whose product is input.

    Args:
        input: (..., m, n).
        some: min(m, n) columns of Q, else all m.

    Example:
        >>> import pyautodl as ad
        >>> Q, R = ad.qr(ad.tensor([[3.0], [4.0]]))
        >>> R.abs()
        tensor([[5.]])
    """
    return QRFactors(*apply(QR, input, complete=not some))


@method
@explained
def svd(input: Tensor, some: bool = True, compute_uv: bool = True) -> SingularVectors:
    """Return singular vectors and values, input = U diag(S) V'.

    `linalg.svd` returns V transposed; what it says of gradients holds here, too.

    Args:
        input: (..., m, n).
        some: min(m, n) columns of U and V, else all.
        compute_uv: not supported if False, see `linalg.svdvals`.

    Example:
        >>> import pyautodl as ad
        >>> ad.svd(ad.tensor([[3.0, 0.0], [0.0, 2.0]])).S
        tensor([3., 2.])
    """
    if not compute_uv:
        raise NotImplementedError(
            "svd: compute_uv=False is not supported; likely fix: linalg.svdvals"
        )
    u, s, vh = apply(SVD, input)
    u, v = (u, vh.mT) if some else (completed(u), completed(vh.mT))
    return SingularVectors(u, s, v)


def completed(vectors: Tensor) -> Tensor:
    """Orthonormal columns with further ones, which have no gradient, to a square matrix."""
    n, k = vectors.shape[-2:]
    if n == k:
        return vectors
    q, _ = apply(QR, vectors.detach(), complete=True)
    return cat([vectors, q[..., k:]], -1)


# (13, 13) coefficients of Pade's approximation of exp by their powers, and up to which norm
# they give all digits of float64 (Higham, 2005)
_PADE = (
    64764752532480000,
    32382376266240000,
    7771770303897600,
    1187353796428800,
    129060195264000,
    10559470521600,
    670442572800,
    33522128640,
    1323241920,
    40840800,
    960960,
    16380,
    182,
    1,
)
_PADE_LIMIT = 5.37


@method
@explained
def matrix_exp(input: Tensor) -> Tensor:
    """Return the exponentials of square matrices, the sums of their powers over factorials.

    Args:
        input: (..., n, n).

    Raises:
        ShapeError: the matrices are not square.

    Example:
        >>> import pyautodl as ad
        >>> ad.matrix_exp(ad.tensor([[0.0, 1.0], [0.0, 0.0]]))
        tensor([[1., 1.],
                [0., 1.]])
    """
    check_matrices("matrix_exp", input._array, square=True)
    if not input.numel():
        return input.clone()
    size = input.detach().abs().sum(-2).amax(-1)
    least = finfo(input.dtype).tiny
    halvings = log2(size / _PADE_LIMIT + least).ceil().clamp(min=0)[..., None, None]
    result = _pade(input * 2.0**-halvings)
    for i in range(int(halvings.max().item())):
        result = where(halvings > i, result @ result, result)
    return result


def _pade(x: Tensor) -> Tensor:
    b = [each / _PADE[0] for each in _PADE]
    one = eye(x.shape[-1], dtype=x.dtype)
    x2 = x @ x
    x4 = x2 @ x2
    x6 = x4 @ x2

    def powers(first: int) -> Any:
        """Those of an even exponent from 0 on, with every second coefficient."""
        high = x6 @ (x6 * b[first + 12] + x4 * b[first + 10] + x2 * b[first + 8])
        low = x6 * b[first + 6] + x4 * b[first + 4] + x2 * b[first + 2]
        return high + low + one * b[first]

    even, odd = powers(0), x @ powers(1)
    found: Tensor = apply(SOLVE, even - odd, even + odd)
    return found
