"""Matrices of which only some elements are held: adjacency matrices of graphs."""

from __future__ import annotations

from typing import Any

from pyautodl.backends.dtypes import int64
from pyautodl.errors import ShapeError, describe
from pyautodl.functional.copy import cat
from pyautodl.functional.creation import tensor, zeros
from pyautodl.functional.index import index_add, index_select
from pyautodl.functional.index.masks import nonzero
from pyautodl.functional.unique import unique
from pyautodl.ops.integers import integer, integers
from pyautodl.ops.sparse import SPMM
from pyautodl.tensor import Size, Tensor, apply, explained, method, not_tensor

__all__ = ["sparse_coo_tensor", "spmm"]


class SparseMatrix:
    """A matrix held as the places and the values of some of its elements.

    PyTorch's sparse COO tensor with two axes, as far as graph networks need it: products
    with dense matrices, sums, factors, transposes. What else it is asked for names
    `to_dense()`. Gradients reach the values. Made by `sparse_coo_tensor` and
    `Tensor.to_sparse`.

    Attributes:
        shape: rows and columns.
        dtype: of the values.
    """

    is_sparse = True
    layout = "sparse_coo"
    ndim = 2

    def __init__(
        self, indices: Tensor, values: Tensor, shape: tuple[int, ...], coalesced: bool
    ) -> None:
        self._places = indices
        self._elements = values
        self.shape = Size(shape)
        self._coalesced = coalesced

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(
            f"a sparse matrix has no attribute {name!r}: it knows products with dense "
            "matrices, sums, factors and transposes; likely fix: .to_dense()"
        )

    def __repr__(self) -> str:
        gap = "\n       "
        return (
            f"tensor(indices={self._places},{gap}values={self._elements},{gap}"
            f"size={tuple(self.shape)}, nnz={self._nnz()}, layout={self.layout})"
        )

    def __len__(self) -> int:
        return self.shape[0]

    # ---- what it is made of ----

    def _nnz(self) -> int:
        """How many elements are held; places that are held twice count twice."""
        return self._elements.shape[0]

    def _indices(self) -> Tensor:
        return self._places

    def _values(self) -> Tensor:
        return self._elements

    def is_coalesced(self) -> bool:
        """Whether places are in order and each is held once."""
        return self._coalesced

    def _ordered(self, name: str) -> SparseMatrix:
        if self._coalesced:
            return self
        raise RuntimeError(
            f"{name}: places of the matrix may be held several times; likely fix: "
            f".coalesce().{name}()"
        )

    def indices(self) -> Tensor:
        """Return rows and columns of the elements, of a coalesced matrix."""
        return self._ordered("indices")._places

    def values(self) -> Tensor:
        """Return the elements, of a coalesced matrix."""
        return self._ordered("values")._elements

    def coalesce(self) -> SparseMatrix:
        """Return the matrix with its places in order, and values of one place as a sum."""
        if self._coalesced:
            return self
        columns = self.shape[1]
        flat = self._places[0] * columns + self._places[1]
        found, inverse = unique(flat, return_inverse=True)
        places = cat([(found // columns)[None], (found % columns)[None]])
        sums = zeros(found.shape[0], dtype=self.dtype)
        values = index_add(sums, 0, inverse, self._elements)
        return SparseMatrix(places, values, self.shape, True)

    def to_dense(self) -> Tensor:
        """Return a tensor of all elements."""
        rows, columns = self.shape
        flat = self._places[0] * columns + self._places[1]
        line = zeros(rows * columns, dtype=self.dtype)
        return index_add(line, 0, flat, self._elements).reshape(rows, columns)

    def _with(self, values: Tensor) -> SparseMatrix:
        return SparseMatrix(self._places, values, self.shape, self._coalesced)

    @property
    def dtype(self) -> Any:
        return self._elements.dtype

    @property
    def device(self) -> Any:
        """The CPU."""
        return self._elements.device

    @property
    def requires_grad(self) -> bool:
        """Whether gradients reach the values."""
        return self._elements.requires_grad

    def requires_grad_(self, requires_grad: bool = True) -> SparseMatrix:
        """Say whether gradients reach the values; return self."""
        self._elements.requires_grad_(requires_grad)
        return self

    def detach(self) -> SparseMatrix:
        """Return the matrix without what its values were computed from."""
        return self._with(self._elements.detach())

    def clone(self) -> SparseMatrix:
        """Return a copy."""
        values = self._elements.clone()
        return SparseMatrix(self._places.clone(), values, self.shape, self._coalesced)

    def to(self, *args: Any, **kwargs: Any) -> SparseMatrix:
        """Return the matrix with what `Tensor.to` makes of the values."""
        return self._with(self._elements.to(*args, **kwargs))

    def float(self) -> SparseMatrix:
        """Return the matrix in float32."""
        return self._with(self._elements.float())

    def double(self) -> SparseMatrix:
        """Return the matrix in float64."""
        return self._with(self._elements.double())

    def cpu(self) -> SparseMatrix:
        """Return the matrix; it is there."""
        return self

    def size(self, dim: int | None = None) -> Any:
        """Return the shape, or its size along an axis."""
        return self.shape if dim is None else self.shape[integer("size", "dim", dim)]

    def dim(self) -> int:
        """Return the number of axes, 2."""
        return 2

    def numel(self) -> int:
        """Return how many elements the dense matrix has."""
        return self.shape[0] * self.shape[1]

    # ---- what is computed ----

    def t(self) -> SparseMatrix:
        """Return the transposed matrix."""
        return SparseMatrix(
            self._places.flip(0), self._elements, self.shape[::-1], False
        )

    @property
    def T(self) -> SparseMatrix:
        """The transposed matrix."""
        return self.t()

    def transpose(self, dim0: int, dim1: int) -> SparseMatrix:
        """Return the matrix with two axes exchanged."""
        one, other = (integer("transpose", "dim", each) for each in (dim0, dim1))
        if not (-2 <= one < 2 and -2 <= other < 2):
            raise IndexError(f"transpose: no axes {dim0} and {dim1} in a matrix")
        return self if one % 2 == other % 2 else self.t()

    def matmul(self, other: Tensor) -> Tensor:
        """Return the product with a dense matrix or vector.

        Args:
            other: the right operand; a vector counts as a column.

        Shape:
            (m, k), (k, n) -> (m, n)

        Raises:
            ShapeError: sizes differ.
            NotImplementedError: the right operand is sparse, too.
        """
        if isinstance(other, SparseMatrix):
            raise NotImplementedError(
                "matmul: products of two sparse matrices are not supported; likely fix: "
                "to_dense() of the right one"
            )
        if not isinstance(other, Tensor):
            raise not_tensor("matmul", other, "other")
        if other.ndim not in (1, 2) or other.shape[0] != self.shape[1]:
            raise ShapeError(
                f"matmul: can't multiply a sparse matrix {tuple(self.shape)} and "
                f"{tuple(other.shape)}: expected ({self.shape[1]}, n) or "
                f"({self.shape[1]},) on the right"
            )
        rows, columns = self._places[0], self._places[1]
        if other.ndim == 2:
            line = self._elements, rows, columns
            return apply(SPMM, *line, other, size=self.shape[0])
        terms = index_select(other, 0, columns) * self._elements
        out = zeros(self.shape[0], dtype=terms.dtype)
        return index_add(out, 0, rows, terms)

    mm = __matmul__ = matmul

    def __rmatmul__(self, other: Any) -> Tensor:
        if not isinstance(other, Tensor):
            raise not_tensor("matmul", other)
        return self.t().matmul(other.transpose(0, -1)).transpose(0, -1)

    def __neg__(self) -> SparseMatrix:
        return self._with(-self._elements)

    def __mul__(self, other: Any) -> SparseMatrix:
        return self._with(self._elements * _number("mul", other))

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> SparseMatrix:
        return self._with(self._elements / _number("div", other))

    def __add__(self, other: Any) -> SparseMatrix:
        if not isinstance(other, SparseMatrix):
            raise TypeError(
                f"add: expected two sparse matrices, got {describe(other)}; likely fix: "
                ".to_dense()"
            )
        if other.shape != self.shape:
            raise ShapeError(
                f"add: the shapes {tuple(self.shape)} and {tuple(other.shape)} differ"
            )
        places = cat([self._places, other._places], 1)
        return SparseMatrix(
            places, cat([self._elements, other._elements]), self.shape, False
        ).coalesce()

    def __sub__(self, other: Any) -> SparseMatrix:
        return self + (-other if isinstance(other, SparseMatrix) else other)

    def sum(self, dim: int | None = None) -> Tensor:
        """Return the sum of all elements, or of those along an axis, as a tensor.

        Args:
            dim: the axis that is summed over.
        """
        if dim is None:
            return self._elements.sum()
        kept = 1 - range(2)[integer("sum", "dim", dim)]
        out = zeros(self.shape[kept], dtype=self.dtype)
        return index_add(out, 0, self._places[kept], self._elements)


def _number(name: str, value: Any) -> Any:
    """A number, or a tensor of one."""
    if isinstance(value, SparseMatrix) or (isinstance(value, Tensor) and value.ndim):
        raise NotImplementedError(
            f"{name}: a sparse matrix takes numbers alone, got {describe(value)}; likely "
            "fix: .to_dense()"
        )
    return value


@explained
def sparse_coo_tensor(
    indices: Any,
    values: Any,
    size: Any = None,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    check_invariants: bool | None = None,
    is_coalesced: bool | None = None,
) -> SparseMatrix:
    """Return a matrix of which only some elements are held.

    Args:
        indices: (2, n): rows and columns of the elements.
        values: the n elements; values of one place count as their sum.
        size: rows and columns; None: as few as there are.
        dtype: of the values.
        device: 'cpu'.
        requires_grad: whether gradients reach the values.
        check_invariants: taken for PyTorch's sake; indices are checked always.
        is_coalesced: places are in order and each is there once.

    Raises:
        ShapeError: indices and values do not fit each other.
        IndexError: an index is out of range.
        NotImplementedError: the size has not two axes.

    Example:
        >>> import pyautodl as ad
        >>> edges = ad.tensor([[0, 1, 2], [1, 2, 0]])
        >>> graph = ad.sparse_coo_tensor(edges, ad.ones(3), (3, 3))
        >>> graph @ ad.tensor([[1.0], [2.0], [3.0]])
        tensor([[2.],
                [3.],
                [1.]])
    """
    places = indices if isinstance(indices, Tensor) else tensor(indices, dtype=int64)
    elements = values if isinstance(values, Tensor) else tensor(values, dtype=dtype)
    if dtype is not None or device is not None:
        elements = elements.to(dtype=dtype, device=device)
    if places.ndim != 2 or elements.ndim != 1 or places.shape[1] != elements.shape[0]:
        raise ShapeError(
            "sparse_coo_tensor: expected indices (2, n) and n values, got "
            f"{tuple(places.shape)} and {tuple(elements.shape)}"
        )
    given = None if size is None else integers("sparse_coo_tensor", "size", size)
    if places.shape[0] != 2 or (given is not None and len(given) != 2):
        raise NotImplementedError(
            "sparse_coo_tensor: only matrices may be sparse, got indices "
            f"{tuple(places.shape)} and size {given}"
        )
    places = places.long()
    shape = _checked(places, given)
    made = SparseMatrix(places, elements, shape, bool(is_coalesced))
    return made.requires_grad_() if requires_grad else made


def _checked(places: Tensor, size: tuple[int, ...] | None) -> tuple[int, int]:
    """The rows and columns, in which all places lie."""
    least, most = [0, 0], [-1, -1]
    if places.shape[1]:
        least, most = places.amin(1).tolist(), places.amax(1).tolist()
    rows, columns = (most[0] + 1, most[1] + 1) if size is None else size
    for low, high, bound, what in zip(
        least, most, (rows, columns), ("row", "column"), strict=True
    ):
        if low < 0 or high >= bound:
            raise IndexError(
                f"sparse_coo_tensor: {what} {low if low < 0 else high} is out of range "
                f"for size ({rows}, {columns})"
            )
    return rows, columns


@method("to_sparse", "to_sparse_coo")
def _to_sparse(self: Tensor, *, layout: Any = None) -> SparseMatrix:
    """Return the matrix of the elements that are not 0.

    Args:
        self: a matrix.
        layout: 'sparse_coo'.

    Example:
        >>> import pyautodl as ad
        >>> ad.tensor([[0.0, 2.0], [0.0, 0.0]]).to_sparse().values()
        tensor([2.])
    """
    if self.ndim != 2 or layout not in (None, SparseMatrix.layout):
        raise NotImplementedError(
            "to_sparse: expected a matrix and the layout 'sparse_coo', got the shape "
            f"{tuple(self.shape)} and {layout!r}"
        )
    rows, columns = nonzero(self, as_tuple=True)
    places = cat([rows[None], columns[None]])
    shape = self.shape[0], self.shape[1]
    return SparseMatrix(places, self[rows, columns], shape, True)


@method("to_dense")
def _to_dense(self: Tensor) -> Tensor:
    """Return the tensor; it is dense.

    Example:
        >>> import pyautodl as ad
        >>> x = ad.ones(2)
        >>> x.to_dense() is x
        True
    """
    return self


@explained
def spmm(input: SparseMatrix, mat2: Tensor) -> Tensor:
    """Multiply a sparse matrix and a dense one, as `input @ mat2`.

    Args:
        input: the left matrix.
        mat2: the right one.

    Shape:
        (m, k), (k, n) -> (m, n)

    Raises:
        ShapeError: the inner sizes differ.

    Example:
        >>> import pyautodl as ad
        >>> ad.spmm(ad.eye(2).to_sparse(), ad.ones(2, 1))
        tensor([[1.],
                [1.]])
    """
    return input @ mat2
