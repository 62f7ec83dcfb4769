"""Linear algebra: NumPy's values, gradients by differences, PyTorch's conventions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pyautodl as ad
from pyautodl import linalg
from pyautodl import linalg as L
from pyautodl.autograd import gradcheck, gradgradcheck
from pyautodl.errors import DTypeError, GradError, LinAlgError, ShapeError


def _normal(*shape: int, seed: int = 0) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).standard_normal(shape)


def _leaf(*shape: int, seed: int = 0) -> ad.Tensor:
    return ad.tensor(_normal(*shape, seed=seed), requires_grad=True)


def _definite(x: ad.Tensor) -> ad.Tensor:
    return x @ x.mT + ad.eye(x.shape[-1], dtype=x.dtype)


def _symmetric(x: ad.Tensor) -> ad.Tensor:
    return x + x.mT


# ---- values ----

SQUARE, TALL, WIDE = _normal(2, 4, 4), _normal(2, 5, 3), _normal(2, 3, 5)
DEFINITE = SQUARE @ SQUARE.swapaxes(-1, -2) + np.eye(4)
SUM = SQUARE + SQUARE.swapaxes(-1, -2)


def _rebuilt_svd(x: ad.Tensor) -> list[ad.Tensor]:
    u, s, vh = L.svd(x, full_matrices=False)
    full_u, _, full_vh = L.svd(x)
    uu, _, v = ad.svd(x)
    return [
        u * s[..., None, :] @ vh,
        s,
        full_u @ full_u.mT,
        full_vh @ full_vh.mT,
        uu.mT @ uu - v.mT @ v,
    ]


def _expected_svd(x: np.ndarray[Any, Any]) -> list[Any]:
    m, n = x.shape[-2:]
    k = min(m, n)
    s = np.linalg.svd(x)[1]
    return [
        x,
        s,
        *(np.broadcast_to(np.eye(i), (2, i, i)) for i in (m, n)),
        np.zeros((2, k, k)),
    ]


VALUES: list[tuple[str, Callable[..., Any], Any, Callable[..., Any]]] = [
    ("det", ad.det, SQUARE, np.linalg.det),
    ("logdet", ad.logdet, DEFINITE, lambda x: np.log(np.linalg.det(x))),
    ("slogdet", ad.slogdet, SQUARE, np.linalg.slogdet),
    ("inv", L.inv, SQUARE, np.linalg.inv),
    ("cholesky", L.cholesky, DEFINITE, np.linalg.cholesky),
    (
        "upper cholesky",
        lambda x: ad.cholesky(x, upper=True),
        DEFINITE,
        lambda x: np.linalg.cholesky(x).swapaxes(-1, -2),
    ),
    (
        "cholesky_inverse",
        lambda x: ad.cholesky_inverse(ad.cholesky(x)),
        DEFINITE,
        np.linalg.inv,
    ),
    (
        "upper cholesky_inverse",
        lambda x: ad.cholesky_inverse(ad.cholesky(x, True), True),
        DEFINITE,
        np.linalg.inv,
    ),
    ("qr", L.qr, TALL, np.linalg.qr),
    ("wide qr", ad.qr, WIDE, np.linalg.qr),
    (
        "complete qr",
        lambda x: L.qr(x, "complete"),
        TALL,
        lambda x: np.linalg.qr(x, "complete"),
    ),
    ("r", lambda x: L.qr(x, "r").R, TALL, lambda x: np.linalg.qr(x, "r")),
    ("eigh", lambda x: L.eigh(x).eigenvalues, SUM, np.linalg.eigvalsh),
    ("eigvalsh", lambda x: L.eigvalsh(x, "U"), SUM, np.linalg.eigvalsh),
    ("svd of tall ones", _rebuilt_svd, TALL, _expected_svd),
    ("svd of wide ones", _rebuilt_svd, WIDE, _expected_svd),
    ("pinv", L.pinv, TALL, np.linalg.pinv),
    ("pinverse", ad.pinverse, WIDE, np.linalg.pinv),
    ("rank", L.matrix_rank, TALL, np.linalg.matrix_rank),
    (
        "power",
        lambda x: [L.matrix_power(x, n) for n in (5, 0, -3)],
        SQUARE,
        lambda x: [np.linalg.matrix_power(x, n) for n in (5, 0, -3)],
    ),
    ("cond", L.cond, SQUARE, np.linalg.cond),
    ("cond 1", lambda x: L.cond(x, 1), SQUARE, lambda x: np.linalg.cond(x, 1)),
    ("cond -2", lambda x: L.cond(x, -2), SQUARE, lambda x: np.linalg.cond(x, -2)),
    ("norm", L.norm, SQUARE, lambda x: np.linalg.norm(x.ravel())),
    ("diagonal", L.diagonal, TALL, np.linalg.diagonal),
    (
        "vecdot",
        lambda x: L.vecdot(x, x[0], dim=1),
        TALL,
        lambda x: (x * x[0]).sum(1),
    ),
    (
        "cross",
        lambda x: L.cross(x, x.flip(0)),
        TALL,
        lambda x: np.linalg.cross(x, x[::-1]),
    ),
]
for _order in ("fro", "nuc", 1, -1, 2, -2, np.inf, -np.inf):
    VALUES.append(
        (
            f"norm {_order}",
            lambda x, p=_order: (
                L.matrix_norm(x, p),
                L.matrix_norm(x, p, (0, 1), keepdim=True),
                L.norm(x, p, (-1, 0)),
            ),
            TALL,
            lambda x, p=_order: (
                np.linalg.norm(x, p, (-2, -1)),
                np.linalg.norm(x, p, (0, 1), keepdims=True),
                np.linalg.norm(x, p, (-1, 0)),
            ),
        )
    )


def _arrays(values: Any) -> list[Any]:
    return list(values) if isinstance(values, (list, tuple)) else [values]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(
    ("name", "function", "x", "want"), VALUES, ids=[each[0] for each in VALUES]
)
def test_values_are_numpys(
    name: str, function: Any, x: Any, want: Any, dtype: str
) -> None:
    given = x.astype(dtype)
    found, expected = _arrays(function(ad.tensor(given))), _arrays(want(x))
    assert len(found) == len(expected)
    for a, b in zip(found, expected, strict=True):
        assert a.dtype in (dtype, "int64")
        tolerance = 1e-11 if dtype == "float64" else 2e-4
        np.testing.assert_allclose(a.numpy(), b, rtol=tolerance, atol=tolerance)


def test_eigenvectors_and_products() -> None:
    x = ad.tensor(SUM)
    for triangle in "LU":
        w, v = L.eigh(x, triangle)
        np.testing.assert_allclose(
            (x @ v).numpy(), (v * w[:, None]).numpy(), atol=1e-12
        )
    a, b, c = _normal(4), _normal(4, 3), _normal(3)
    found = L.multi_dot([ad.tensor(each) for each in (a, b, c)])
    np.testing.assert_allclose(found.numpy(), np.linalg.multi_dot([a, b, c]))


def test_solutions() -> None:
    a, b = ad.tensor(SQUARE), ad.tensor(_normal(2, 4, 3))
    np.testing.assert_allclose((a @ L.solve(a, b)).numpy(), b.numpy(), atol=1e-12)
    left = L.solve(a, b.mT, left=False)
    np.testing.assert_allclose((left @ a).numpy(), b.mT.numpy(), atol=1e-12)
    for vector in (b[..., 0], b[0, :, 0]):
        found = a @ L.solve(a, vector)[..., None]
        want = np.broadcast_to(vector.numpy(), (2, 4))
        np.testing.assert_allclose(found.numpy()[..., 0], want, atol=1e-12)
    for upper in (True, False):
        for unit in (True, False):
            part = np.triu(SQUARE, int(unit)) if upper else np.tril(SQUARE, -int(unit))
            part = part + unit * np.eye(4)
            found = L.solve_triangular(a, b, upper=upper, unitriangular=unit)
            np.testing.assert_allclose(part @ found.numpy(), b.numpy(), atol=1e-11)
    factor = ad.cholesky(ad.tensor(DEFINITE))
    for given, upper in ((factor, False), (factor.mT, True)):
        found = ad.cholesky_solve(b, given, upper).numpy()
        np.testing.assert_allclose(DEFINITE @ found, b.numpy(), atol=1e-12)
    x = L.tensorsolve(ad.tensor(_normal(2, 3, 6)), ad.tensor(_normal(2, 3)))
    want = np.linalg.tensorsolve(_normal(2, 3, 6), _normal(2, 3))
    np.testing.assert_allclose(x.numpy(), want)
    want = np.linalg.tensorinv(_normal(2, 3, 6))
    np.testing.assert_allclose(L.tensorinv(ad.tensor(_normal(2, 3, 6))).numpy(), want)


@pytest.mark.parametrize("shape", [(6, 3), (3, 6), (3, 3)])
def test_least_squares(shape: tuple[int, int]) -> None:
    a, b = _normal(*shape), _normal(shape[0], 2, seed=1)
    want, sums, rank, values = np.linalg.lstsq(a, b)
    found = L.lstsq(ad.tensor(a), ad.tensor(b), driver="gelsd")
    np.testing.assert_allclose(found.solution.numpy(), want, atol=1e-12)
    np.testing.assert_allclose(found.residuals.numpy(), sums if shape[0] > 3 else [])
    assert found.rank.item() == rank
    np.testing.assert_allclose(found.singular_values.numpy(), values)
    line = L.lstsq(ad.tensor(a), ad.tensor(b[:, 0])).solution
    np.testing.assert_allclose(line.numpy(), want[:, 0], atol=1e-12)
    # two equal columns: the smallest of the solutions
    flat = np.repeat(_normal(4, 1), 2, 1)
    found = L.lstsq(ad.tensor(flat), ad.tensor(_normal(4)))
    np.testing.assert_allclose(found.solution.numpy(), [0.5, 0.5])
    assert found.rank.item() == 1


def test_limits_of_the_rank() -> None:
    x = ad.tensor(np.diag([4.0, 2.0, 1e-3]))
    for arguments, rank in (
        ({}, 3),
        ({"rtol": 1e-2}, 2),
        ({"atol": 3.0}, 1),
        ({"tol": 3.0}, 1),
    ):
        assert L.matrix_rank(x, **arguments).item() == rank
    np.testing.assert_allclose(
        L.pinv(x, rtol=0.1).numpy().diagonal(), [0.25, 0.5, 0], atol=1e-15
    )
    np.testing.assert_allclose(
        L.pinv(x, atol=3.0).numpy().diagonal(), [0.25, 0, 0], atol=1e-15
    )


def test_exponentials() -> None:
    scipy = pytest.importorskip("scipy.linalg")
    x = np.stack([_normal(4, 4), 30 * _normal(4, 4, seed=1), np.zeros((4, 4))])
    for dtype, tolerance in ((np.float64, 1e-10), (np.float32, 1e-2)):
        found = ad.matrix_exp(ad.tensor(x.astype(dtype))).numpy()
        for a, b in zip(found, scipy.expm(x), strict=True):
            np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * np.abs(b).max())
    alone = ad.matrix_exp(ad.tensor(x[0])).numpy()
    np.testing.assert_array_equal(ad.matrix_exp(ad.tensor(x)).numpy()[0], alone)


# ---- gradients ----

GRADIENTS: dict[str, tuple[Callable[..., Any], tuple[int, ...]]] = {
    "cholesky": (lambda x: ad.cholesky(_definite(x)), (2, 3, 3)),
    "upper cholesky": (lambda x: ad.cholesky(_definite(x), True), (3, 3)),
    "cholesky_solve": (lambda x: ad.cholesky_solve(x, _definite(x)), (3, 3)),
    "upper cholesky_solve": (
        lambda x: ad.cholesky_solve(x, _definite(x), True),
        (3, 3),
    ),
    "eigh": (lambda x: L.eigh(_symmetric(x)), (3, 3)),
    "eigenvectors": (lambda x: L.eigh(_symmetric(x))[1], (2, 3, 3)),
    "eigvalsh": (lambda x: L.eigvalsh(_symmetric(x), "U"), (2, 3, 3)),
    "full svd": (lambda x: [y[..., :2] for y in L.svd(x)[:2]], (4, 2)),
    "left vectors": (lambda x: L.svd(x, False).U, (2, 3, 2)),
    "right vectors": (lambda x: L.svd(x, False).Vh, (2, 2, 3)),
    "svdvals": (lambda x: L.svdvals(x), (3, 2)),
    "Q": (lambda x: L.qr(x).Q, (3, 2)),
    "R": (lambda x: L.qr(x, "r").R, (2, 3)),
    "wide Q": (lambda x: L.qr(x).Q, (2, 3)),
    "slogdet": (lambda x: ad.slogdet(x).logabsdet, (2, 3, 3)),
    "logdet": (lambda x: ad.logdet(_definite(x)), (3, 3)),
    "lstsq": (lambda x: L.lstsq(x, x.flip(1)[:, :2])[:2], (4, 2)),
    "triangular": (lambda x: L.solve_triangular(x, x, upper=True), (3, 3)),
    "unitriangular": (
        lambda x: L.solve_triangular(x, x, upper=False, left=False, unitriangular=True),
        (3, 3),
    ),
    "power": (lambda x: L.matrix_power(x, -2), (3, 3)),
    "exponential": (lambda x: ad.matrix_exp(4 * x), (2, 3, 3)),
    "nuclear norm": (lambda x: L.matrix_norm(x, "nuc"), (3, 2)),
    "spectral norm": (lambda x: L.matrix_norm(x, 2), (3, 2)),
    "cond": (lambda x: L.cond(x), (3, 3)),
    "cond 1": (lambda x: L.cond(x, 1), (3, 3)),
}


@pytest.mark.parametrize("name", GRADIENTS)
def test_gradients_by_differences(name: str) -> None:
    function, shape = GRADIENTS[name]

    def outputs(x: ad.Tensor) -> Any:
        found = function(x)
        return found if isinstance(found, ad.Tensor) else tuple(found)

    x = _leaf(*shape, seed=3)
    gradcheck(outputs, (x,), rtol=1e-3)
    gradgradcheck(outputs, (x,), rtol=1e-2, atol=1e-3)


def test_the_determinant_of_a_singular_matrix_has_a_gradient() -> None:
    x = ad.tensor([[1.0, 2.0], [2.0, 4.0]], requires_grad=True)
    ad.det(x).backward()
    np.testing.assert_allclose(x.grad.numpy(), [[4, -2], [-2, 1]], atol=1e-6)
    zeros = ad.zeros(2, 3, 3, requires_grad=True)
    ad.det(zeros).sum().backward()
    assert not zeros.grad.any()


def test_values_and_gradients_are_pytorchs() -> None:
    torch = pytest.importorskip("torch")
    square, tall, right = _normal(2, 3, 3), _normal(2, 4, 2), _normal(2, 3, 2)
    definite = square @ square.swapaxes(-1, -2) + np.eye(3)
    cases: list[tuple[Callable[..., Any], Any]] = [
        (lambda t, x: t.det(x), square),
        (lambda t, x: t.slogdet(x), square),
        (lambda t, x: t.logdet(x), definite),
        (lambda t, x: t.inverse(x), square),
        (lambda t, x: t.pinverse(x), tall),
        (lambda t, x: t.linalg.solve(x, t.tensor(right)), square),
        (lambda t, x: t.linalg.solve(x, t.tensor(right[..., 0])), square),
        (lambda t, x: t.linalg.cholesky(x), definite),
        (lambda t, x: t.linalg.qr(x), tall),
        (lambda t, x: t.linalg.eigh(x).eigenvalues, definite),
        (lambda t, x: t.linalg.eigh(x).eigenvectors.abs(), definite),
        (lambda t, x: t.linalg.svd(x)[0][..., :2].abs(), tall),
        (lambda t, x: t.linalg.svd(x, full_matrices=False)[1:], tall),
        (lambda t, x: t.linalg.svdvals(x), tall),
        (lambda t, x: t.linalg.lstsq(x, t.tensor(_normal(2, 4, 3))).solution, tall),
        (lambda t, x: t.linalg.matrix_norm(x, "nuc"), tall),
        (lambda t, x: t.linalg.matrix_power(x, -2), square),
        (lambda t, x: t.matrix_exp(x), square),
        (lambda t, x: t.cholesky_inverse(x.tril()), definite),
        (
            lambda t, x: x.inverse() @ x.det().diag() @ x.pinverse(),
            square[0, None, :1, :1],
        ),
    ]
    for number, (function, values) in enumerate(cases):
        found = []
        for lib in (ad, torch):
            x = lib.tensor(values, requires_grad=True)
            outputs = function(lib, x)
            outputs = [outputs] if hasattr(outputs, "shape") else list(outputs)
            used = [y for y in outputs if y.requires_grad]
            total = sum((y * lib.sin(3 * y + 1)).sum() for y in used)
            total.backward()
            found.append([*(y.detach().numpy() for y in outputs), x.grad.numpy()])
        for a, b in zip(*found, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9, err_msg=str(number))


# ---- errors ----


def test_bad_matrices_are_named() -> None:
    several = ad.tensor(np.stack([np.eye(3), np.ones((3, 3))]))
    for function in (
        L.inv,
        L.cholesky,
        lambda x: L.solve(x, x),
        lambda x: L.cond(x, 1),
    ):
        with pytest.raises(LinAlgError, match="matrix 1 of the batch"):
            function(several - 0.5 * (several > 2))
    for wrong in (ValueError, RuntimeError, L.LinAlgError):
        with pytest.raises(wrong, match=r"inverse: .* linalg\.pinv or linalg\.lstsq"):
            L.inv(ad.ones(2, 2))
    with pytest.raises(LinAlgError, match=r"svd: matrix \(0, 1\) .* nan or infinite"):
        L.svd(ad.stack([ad.eye(2), ad.eye(2) * ad.nan])[None])
    with pytest.raises(ShapeError, match=r"det: expected square .* \(2, 3\)"):
        ad.det(ad.ones(2, 3))
    with pytest.raises(DTypeError, match=r"inverse: .* int64; likely fix: \.float\(\)"):
        ad.inverse(ad.ones(2, 2).long())
    with pytest.raises(DTypeError, match="solve: A is float32, B float64"):
        L.solve(ad.eye(2), ad.ones(2, dtype=ad.float64))
    with pytest.raises(ShapeError, match="solve: expected 2 rows in B"):
        L.solve(ad.eye(2), ad.ones(3, 2))
    with pytest.raises(ShapeError, match="left=False needs matrices"):
        L.solve(ad.eye(2), ad.ones(2), left=False)
    with pytest.raises(ShapeError, match="lstsq: expected 2 rows in B"):
        L.lstsq(ad.eye(2), ad.ones(3, 2))
    with pytest.raises(ValueError, match="eigh: UPLO must be 'L' or 'U', got 'l'"):
        L.eigh(ad.eye(2), "l")
    with pytest.raises(ValueError, match="qr: mode must be"):
        L.qr(ad.eye(2), "full")
    with pytest.raises(ValueError, match=r"matrix_norm: ord must be .*, got 3"):
        L.matrix_norm(ad.eye(2), 3)
    with pytest.raises(ValueError, match="matrix_norm: dim must be two axes"):
        L.matrix_norm(ad.eye(2), "nuc", (0, 0))
    with pytest.raises(ShapeError, match="norm: ord 2 is for a vector or a matrix"):
        L.norm(ad.ones(2, 2, 2), 2)
    with pytest.raises(ValueError, match="norm: ord 'nuc' is for two axes"):
        L.norm(ad.ones(2, 2), "nuc", 1)
    with pytest.raises(ValueError, match="lstsq: driver must be"):
        L.lstsq(ad.eye(2), ad.eye(2), driver="qr")
    with pytest.raises(ShapeError, match=r"eig: expected square .* \(2, 3\)"):
        L.eig(ad.ones(2, 3))
    with pytest.raises(AttributeError, match="no attribute 'ldl'"):
        L.ldl  # noqa: B018
    with pytest.raises(ShapeError, match="multi_dot: expected at least 2"):
        L.multi_dot([ad.eye(2)])
    q = L.qr(ad.ones(3, 1).requires_grad_(), "complete").Q
    with pytest.raises(GradError, match="qr: the columns of Q that complete it"):
        q.sum().backward()


def test_methods() -> None:
    x = ad.tensor(DEFINITE)
    for name in (
        *("det", "logdet", "inverse", "pinverse", "cholesky", "matrix_exp"),
        *("cholesky_inverse",),
    ):
        same = getattr(x, name)().numpy() == getattr(ad, name)(x).numpy()
        assert same.all(), name
    assert (len(x.qr()), len(x.slogdet()), len(x.svd())) == (2, 2, 3)


def test_sizes_of_zero() -> None:
    empty = ad.zeros(0, 3, 3)
    assert ad.det(empty).shape == (0,)
    assert ad.det(ad.zeros(0, 0)).item() == 1
    assert L.inv(empty).shape == L.pinv(empty).shape == ad.matrix_exp(empty).shape
    assert [tuple(y.shape) for y in L.svd(empty)] == [(0, 3, 3), (0, 3), (0, 3, 3)]
    assert L.matrix_rank(ad.zeros(2, 3, 0)).tolist() == [0, 0]


@pytest.mark.parametrize("order", [-1, -0.5, -2.0])
def test_vector_norms_of_negative_order(order: float) -> None:
    torch = pytest.importorskip("torch")
    values = _normal(3, 4)
    values[1, 2] = 0
    for dim, keepdim in ((None, False), (None, True), (1, True), ((0, 1), False)):
        ours = L.vector_norm(ad.tensor(values), order, dim, keepdim)
        theirs = torch.linalg.vector_norm(torch.tensor(values), order, dim, keepdim)
        np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=1e-12)
    assert L.vector_norm(ad.ones(2), order, dtype=ad.float64).dtype is ad.float64
    gradcheck(lambda x: L.vector_norm(x, order, 1), (_leaf(3, 4),))


# ---- eigenvalues that are complex, triangles ----


@pytest.mark.parametrize("shape", [(3, 3), (2, 4, 4), (1, 1)])
def test_eigenvalues_of_any_matrix(shape: tuple[int, ...]) -> None:
    x = np.random.default_rng(2).normal(size=shape)
    A = ad.tensor(x, requires_grad=True)
    values, vectors = linalg.eig(A)
    w, v = values.detach().numpy(), vectors.detach().numpy()
    np.testing.assert_allclose(x @ v, v * w[..., None, :], atol=1e-12)
    np.testing.assert_allclose(np.abs(v * v.conj()).sum(-2), 1)
    np.testing.assert_array_equal(linalg.eigvals(A).detach().numpy(), w)

    # what does not change as vectors are turned
    def sizes(A: ad.Tensor) -> tuple[ad.Tensor, ...]:
        values, vectors = linalg.eig(A)
        return values.abs(), values.real**2, vectors.abs() ** 2

    assert gradcheck(sizes, A)
    assert gradgradcheck(sizes, A)
    total = linalg.eigvals(A).real.sum()
    (slope,) = ad.autograd.grad(total, A)
    np.testing.assert_allclose(
        slope.numpy(), np.broadcast_to(np.eye(shape[-1]), shape), atol=1e-12
    )


@pytest.mark.parametrize("shape", [(3, 3), (2, 4, 4), (4, 2), (2, 3, 5), (0, 3)])
def test_triangles(shape: tuple[int, ...]) -> None:
    x = np.random.default_rng(3).normal(size=shape)
    P, L, U = linalg.lu(ad.tensor(x))
    np.testing.assert_allclose((P @ L @ U).numpy(), x, atol=1e-12)
    assert L.tolist() == L.tril().tolist()
    assert U.tolist() == U.triu().tolist()
    diagonal = L.diagonal(0, -2, -1)
    assert diagonal.tolist() == ad.ones_like(diagonal).tolist()
    assert float(L.abs().sum()) <= L.numel()
    A = ad.tensor(x, requires_grad=True)
    if x.size:
        assert gradcheck(lambda A: linalg.lu(A)[1:], A)
        assert gradgradcheck(lambda A: linalg.lu(A)[1:], A)
        assert gradcheck(lambda A: linalg.lu_factor(A)[0], A)


def test_triangles_without_exchanges() -> None:
    A = ad.tensor([[4.0, 1.0], [2.0, 3.0]])
    P, L, U = linalg.lu(A, pivot=False)
    assert P.shape == (0,)
    assert L.tolist() == [[1.0, 0.0], [0.5, 1.0]]
    assert U.tolist() == [[4.0, 1.0], [0.0, 2.5]]
    assert linalg.lu_factor(A, pivot=False).pivots.tolist() == [1, 2]


@pytest.mark.parametrize("adjoint", [True, False])
@pytest.mark.parametrize("left", [True, False])
@pytest.mark.parametrize("batch", [(), (2,)])
def test_equations_by_triangles(
    adjoint: bool, left: bool, batch: tuple[int, ...]
) -> None:
    rng = np.random.default_rng(4)
    x, b = rng.normal(size=(*batch, 3, 3)), rng.normal(size=(*batch, 3, 2))
    b = b if left else b.swapaxes(-1, -2)
    A, B = (ad.tensor(each, requires_grad=True) for each in (x, b))

    def solution(A: ad.Tensor, B: ad.Tensor) -> ad.Tensor:
        factors = linalg.lu_factor(A)
        return linalg.lu_solve(*factors, B, left=left, adjoint=adjoint)

    X = solution(A, B).detach().numpy()
    used = x.swapaxes(-1, -2) if adjoint else x
    np.testing.assert_allclose(used @ X if left else X @ used, b, atol=1e-12)
    assert gradcheck(solution, (A, B))


def test_singular_matrices_of_triangles() -> None:
    several = ad.stack([ad.eye(2), ad.ones(2, 2), ad.zeros(2, 2)])
    assert linalg.lu_factor_ex(several).info.tolist() == [0, 2, 1]
    assert linalg.lu(several).U[1].tolist() == [[1.0, 1.0], [0.0, 0.0]]
    assert linalg.lu_factor_ex(ad.ones(0, 2)).info.item() == 0
    with pytest.raises(ad.LinAlgError, match=r"likely fix: linalg\.lu or"):
        linalg.lu_factor(several)
    with pytest.raises(ad.LinAlgError, match="lu_factor_ex: a matrix is singular"):
        linalg.lu_factor_ex(several, check_errors=True)
    with pytest.raises(ShapeError, match="lu_solve: expected matrices"):
        linalg.lu_solve(*linalg.lu_factor(ad.eye(2)), ad.ones(2))
