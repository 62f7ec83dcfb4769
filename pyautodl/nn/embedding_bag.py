"""`EmbeddingBag`: sums or means of a table's rows."""

from __future__ import annotations

from typing import Any

from pyautodl.functional.networks.embedding_bag import embedding_bag
from pyautodl.nn.embedding import Embedding
from pyautodl.tensor import Tensor

__all__ = ["EmbeddingBag"]


class EmbeddingBag(Embedding):
    """Returns the sum, mean or maximum of its table's rows for each bag of indices.

    Args:
        num_embeddings: how many rows.
        embedding_dim: their length.
        max_norm: rows that are asked for and longer are first shortened to it.
        norm_type: the exponent of the norm that is their length.
        scale_grad_by_freq: divide a row's gradient by how often its index occurs.
        mode: 'mean', 'sum' or 'max'.
        sparse: not supported.
        include_last_offset: offsets also say where the last bag ends.
        padding_idx: this index is passed over.
        device: 'cpu' or None.
        dtype: element type of the table.

    Shape:
        (bags, k), or (k) and offsets (bags) -> (bags, embedding_dim)

    Raises:
        IndexError: an index is negative or too large; says which, where and the size.

    Example:
        >>> import pyautodl as ad
        >>> layer = ad.nn.EmbeddingBag(10, 3)
        >>> layer(ad.tensor([1, 2, 4, 9]), ad.tensor([0, 3])).shape
        pyautodl.Size([2, 3])
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        mode: str = "mean",
        sparse: bool = False,
        _weight: Tensor | None = None,
        include_last_offset: bool = False,
        padding_idx: int | None = None,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(
            num_embeddings,
            embedding_dim,
            padding_idx,
            max_norm,
            norm_type,
            scale_grad_by_freq,
            sparse,
            _weight,
            device=device,
            dtype=dtype,
        )
        self.mode = mode
        self.include_last_offset = include_last_offset

    def forward(
        self,
        input: Tensor,
        offsets: Tensor | None = None,
        per_sample_weights: Tensor | None = None,
    ) -> Tensor:
        """Return a row for each bag."""
        return embedding_bag(
            input,
            self.weight,
            offsets,
            self.max_norm,
            self.norm_type,
            self.scale_grad_by_freq,
            self.mode,
            self.sparse,
            per_sample_weights,
            self.include_last_offset,
            self.padding_idx,
        )

    def extra_repr(self) -> str:
        """Return the sizes, the mode and what differs from the defaults."""
        padding = f", padding_idx={self.padding_idx}"
        sizes = super().extra_repr().replace(padding, "")
        end = "" if self.padding_idx is None else padding
        return f"{sizes}, mode={self.mode!r}{end}"

    @classmethod
    def from_pretrained(  # type: ignore[override]
        cls,
        embeddings: Tensor,
        freeze: bool = True,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        mode: str = "mean",
        sparse: bool = False,
        include_last_offset: bool = False,
        padding_idx: int | None = None,
    ) -> EmbeddingBag:
        """Make a layer from a table, whose memory it shares.

        Args:
            embeddings: (rows, n).
            freeze: the table takes no gradient.
            max_norm, norm_type, scale_grad_by_freq, mode, sparse, include_last_offset,
                padding_idx: as in the constructor.

        Example:
            >>> import pyautodl as ad
            >>> table = ad.tensor([[1.0, 2.0], [3.0, 4.0]])
            >>> ad.nn.EmbeddingBag.from_pretrained(table)(ad.tensor([[0, 1]]))
            tensor([[2., 3.]])
        """
        rows, width = embeddings.shape
        layer = cls(
            rows,
            width,
            max_norm,
            norm_type,
            scale_grad_by_freq,
            mode,
            sparse,
            embeddings,
            include_last_offset,
            padding_idx,
        )
        layer.weight.requires_grad = not freeze
        return layer
