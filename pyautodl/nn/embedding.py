"""Tables of vectors."""

from __future__ import annotations

from typing import Any

from pyautodl.autograd.grad_mode import no_grad
from pyautodl.errors import ShapeError
from pyautodl.functional.index import embedding
from pyautodl.nn import init
from pyautodl.nn._sizes import memory_for, size
from pyautodl.nn.module import Module
from pyautodl.nn.parameter import Parameter
from pyautodl.ops.integers import integer
from pyautodl.tensor import Tensor

__all__ = ["Embedding"]


class Embedding(Module):
    """Returns a row of its table for each index.

    The table starts from a normal distribution. The row `padding_idx` starts as zeros
    and its gradient is always 0, so training leaves it alone; `reset_parameters` keeps
    it 0. What is written there by hand, or comes from `from_pretrained` or
    `load_state_dict`, stays as it is.

    Args:
        num_embeddings: how many rows.
        embedding_dim: their length.
        padding_idx: the row that stands for no word.
        max_norm: rows that are asked for and longer are first shortened to it, in the
            table itself.
        norm_type: the exponent of the norm that is their length.
        scale_grad_by_freq: divide a row's gradient by how often its index occurs.
        sparse: not supported.
        device: 'cpu' or None.
        dtype: element type of the table.

    Shape:
        (...) integers -> (..., embedding_dim)

    Raises:
        IndexError: an index is negative or too large; says which, where and the size.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl import nn
        >>> nn.Embedding(10, 3)(ad.tensor([[1, 2], [4, 9]])).shape
        pyautodl.Size([2, 2, 3])
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
        _weight: Tensor | None = None,
        _freeze: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        if sparse:
            raise NotImplementedError(
                "Embedding: sparse is not supported; likely fix: leave it out, as "
                "optim.SparseAdam finds the rows that were used by itself"
            )
        num_embeddings = size("Embedding", "num_embeddings", num_embeddings)
        embedding_dim = size("Embedding", "embedding_dim", embedding_dim)
        if padding_idx is not None:
            padding_idx = integer("Embedding", "padding_idx", padding_idx)
            if not -num_embeddings <= padding_idx < num_embeddings:
                raise ValueError(
                    f"Embedding: padding_idx {padding_idx} is out of range for "
                    f"{num_embeddings} rows"
                )
            padding_idx %= num_embeddings
        self.num_embeddings = num_embeddings
        self.embedding_dim = embedding_dim
        self.padding_idx = padding_idx
        self.max_norm = max_norm
        self.norm_type = norm_type
        self.scale_grad_by_freq = scale_grad_by_freq
        self.sparse = sparse
        if _weight is None:
            shape = (num_embeddings, embedding_dim)
            memory = memory_for("Embedding", *shape, dtype=dtype, device=device)
            self.weight = Parameter(memory, not _freeze)
            self.reset_parameters()
        else:
            self.weight = Parameter(_weight, not _freeze)

    def reset_parameters(self) -> None:
        """Draw the table anew; the padding row is 0 again."""
        init.normal_(self.weight)
        if self.padding_idx is not None:
            with no_grad():
                self.weight[self.padding_idx].fill_(0)

    def forward(self, input: Tensor) -> Tensor:
        """Return the rows that `input` names."""
        return embedding(
            input,
            self.weight,
            self.padding_idx,
            self.max_norm,
            self.norm_type,
            self.scale_grad_by_freq,
            self.sparse,
        )

    def extra_repr(self) -> str:
        """Return the sizes and what differs from the defaults."""
        text = f"{self.num_embeddings}, {self.embedding_dim}"
        for name, default in (
            ("padding_idx", None),
            ("max_norm", None),
            ("norm_type", 2),
            ("scale_grad_by_freq", False),
        ):
            value = getattr(self, name)
            if value != default:
                text += f", {name}={value}"
        return text

    @classmethod
    def from_pretrained(
        cls,
        embeddings: Tensor,
        freeze: bool = True,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
    ) -> Embedding:
        """Make a layer from a table, whose memory it shares; no row is changed.

        Args:
            embeddings: (rows, n).
            freeze: the table takes no gradient.
            padding_idx: this row takes none.
            max_norm, norm_type, scale_grad_by_freq, sparse: as in the constructor.

        Example:
            >>> import pyautodl as ad
            >>> from pyautodl import nn
            >>> layer = nn.Embedding.from_pretrained(ad.tensor([[1.0, 2.0], [3.0, 4.0]]))
            >>> layer(ad.tensor([1]))
            tensor([[3., 4.]])
        """
        if embeddings.ndim != 2:
            raise ShapeError(
                "Embedding: expected a table (rows, n), got shape "
                f"{tuple(embeddings.shape)}"
            )
        rows, width = embeddings.shape
        return cls(
            rows,
            width,
            padding_idx,
            max_norm,
            norm_type,
            scale_grad_by_freq,
            sparse,
            _weight=embeddings,
            _freeze=freeze,
        )
