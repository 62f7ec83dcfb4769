"""PyTorch's path to the functions of sparse matrices."""

from __future__ import annotations

from typing import Any

from pyautodl.functional.sparse_matrix import SparseMatrix, spmm
from pyautodl.tensor import Tensor

__all__ = ["SparseMatrix", "mm", "sum"]

mm = spmm


def sum(input: SparseMatrix, dim: int | None = None, dtype: Any = None) -> Tensor:
    """Return the sum of all elements, or of those along an axis, as a dense tensor.

    Args:
        input: a sparse matrix.
        dim: the axis that is summed over.
        dtype: in which the sum is computed.

    Example:
        >>> import pyautodl as ad
        >>> ad.sparse.sum(ad.eye(2).to_sparse(), dim=1)
        tensor([1., 1.])
    """
    return (input if dtype is None else input.to(dtype)).sum(dim)
