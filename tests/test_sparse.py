"""Sparse matrices against their dense forms."""

from __future__ import annotations

import numpy as np
import pytest

import pyautodl as ad
from pyautodl.autograd import gradcheck
from pyautodl.errors import ShapeError

# (1, 0) is there twice, (2, 1) holds a 0
PLACES = [[0, 1, 1, 2], [2, 0, 0, 1]]
VALUES = [1.0, 2.0, 3.0, 0.0]
DENSE = np.array([[0.0, 0, 1], [5, 0, 0], [0, 0, 0], [0, 0, 0]])


def matrix(dtype: ad.dtype = ad.float64) -> ad.sparse.SparseMatrix:
    return ad.sparse_coo_tensor(PLACES, ad.tensor(VALUES, dtype=dtype), (4, 3))


def dense(*shape: int) -> ad.Tensor:
    count = int(np.prod(shape))
    return ad.linspace(-1, 2, count, dtype=ad.float64).reshape(*shape)


def same(found: object, expected: np.ndarray) -> None:
    if isinstance(found, ad.sparse.SparseMatrix):
        assert tuple(found.shape) == expected.shape
        found = found.to_dense()
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-12, strict=True)


def test_products() -> None:
    a, x, left = matrix(), dense(3, 2), dense(2, 4)
    for product in (
        a @ x,
        a.mm(x),
        a.matmul(x),
        ad.mm(a, x),
        ad.matmul(a, x),
        ad.spmm(a, x),
        ad.sparse.mm(a, x),
    ):
        same(product, DENSE @ x.numpy())
    same(a @ x[:, 0], DENSE @ x.numpy()[:, 0])
    for product in (left @ a, ad.mm(left, a), ad.matmul(left, a)):
        same(product, left.numpy() @ DENSE)
    same(left[0] @ a, left.numpy()[0] @ DENSE)
    same(a.t() @ left.t(), DENSE.T @ left.numpy().T)
    same(a.T, DENSE.T)
    same(a.transpose(0, -1), DENSE.T)
    assert a.transpose(1, -1) is a
    nothing = ad.sparse_coo_tensor(ad.zeros(2, 0).long(), ad.zeros(0), (2, 3))
    same(nothing @ ad.ones(3, 1), np.zeros((2, 1), np.float32))


def test_sums_and_factors() -> None:
    a = matrix()
    same(-a, -DENSE)
    same(a * 2, DENSE * 2)
    same(3 * a, DENSE * 3)
    same(a / ad.tensor(2.0), DENSE / 2)
    same(a + a, DENSE * 2)
    same(a - a * 3, DENSE * -2)
    assert (a + a).is_coalesced()
    assert a.sum().item() == 6
    same(ad.sparse.sum(a, dim=1), DENSE.sum(1))
    same(a.sum(-2), DENSE.sum(0))
    assert ad.sparse.sum(matrix(ad.float32), dtype=ad.float64).dtype is ad.float64


def test_places_and_values() -> None:
    a = matrix(ad.float32)
    assert (a._nnz(), a.numel(), a.dim(), len(a)) == (4, 12, 2, 4)
    assert (a.size(), a.size(-1), a.dtype) == ((4, 3), 3, ad.float32)
    assert (a.is_sparse, ad.ones(1).is_sparse, a.layout) == (True, False, ad.sparse_coo)
    with pytest.raises(RuntimeError, match=r"likely fix: .coalesce\(\).indices\(\)"):
        a.indices()
    found = a.coalesce()
    assert found.indices().tolist() == [[0, 1, 2], [2, 0, 1]]
    assert found.values().tolist() == [1.0, 5.0, 0.0]
    assert found.coalesce() is found
    back = ad.tensor(DENSE).to_sparse()
    assert back.values().tolist() == [1.0, 5.0]
    same(back, DENSE)
    assert "nnz=4, layout=sparse_coo" in repr(a)
    assert tuple(ad.sparse_coo_tensor(PLACES, VALUES).shape) == (3, 3)
    assert a.to(ad.float64).dtype == a.double().dtype == ad.float64
    assert a.double().float().cpu().dtype == ad.float32
    copied = a.clone()
    copied._values().zero_()
    assert a.sum().item() == 6


def test_gradients_reach_values_and_dense_operands() -> None:
    values = ad.tensor(VALUES, dtype=ad.float64, requires_grad=True)
    x = dense(3, 2).requires_grad_()

    def product(values: ad.Tensor, x: ad.Tensor) -> ad.Tensor:
        return (ad.sparse_coo_tensor(PLACES, values, (4, 3)) @ x).sin()

    def elements(values: ad.Tensor) -> ad.Tensor:
        a = ad.sparse_coo_tensor(PLACES, values, (4, 3))
        return a.coalesce().to_dense() ** 2

    assert gradcheck(product, (values, x))
    assert gradcheck(elements, (values,))
    a = ad.sparse_coo_tensor(PLACES, VALUES, (4, 3), requires_grad=True)
    assert a.requires_grad
    assert not a.detach().requires_grad


def test_what_sparse_matrices_refuse() -> None:
    a = matrix()
    with pytest.raises(IndexError, match=r"row 2 is out of range for size \(2, 3\)"):
        ad.sparse_coo_tensor(PLACES, VALUES, (2, 3))
    with pytest.raises(IndexError, match="column -1 is out of range"):
        ad.sparse_coo_tensor([[0], [-1]], [1.0], (2, 3))
    with pytest.raises(ShapeError, match=r"got \(2, 4\) and \(3,\)"):
        ad.sparse_coo_tensor(PLACES, VALUES[:3])
    with pytest.raises(NotImplementedError, match="only matrices may be sparse"):
        ad.sparse_coo_tensor([[0], [0], [0]], [1.0])
    with pytest.raises(ShapeError, match=r"expected \(3, n\) or \(3,\) on the right"):
        a @ dense(4, 2)
    with pytest.raises(NotImplementedError, match="products of two sparse matrices"):
        a @ a.t()
    with pytest.raises(TypeError, match="other must be a tensor, got int"):
        a @ 3
    with pytest.raises(NotImplementedError, match="takes numbers alone"):
        a * dense(4, 3)
    with pytest.raises(ShapeError, match=r"shapes .* differ"):
        a + a.t()
    with pytest.raises(TypeError, match="expected two sparse matrices"):
        a + 1
    with pytest.raises(AttributeError, match=r"'relu': .* likely fix: .to_dense\(\)"):
        a.relu()
    with pytest.raises(NotImplementedError, match="to_sparse: expected a matrix"):
        ad.ones(2, 2, 2).to_sparse()
