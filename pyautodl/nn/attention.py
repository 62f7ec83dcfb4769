"""Attention of several heads."""

from __future__ import annotations

from typing import Any

from pyautodl.backends.dtypes import bool_
from pyautodl.errors import ShapeError
from pyautodl.functional.copy import tril
from pyautodl.functional.creation import empty, ones, zeros
from pyautodl.functional.eltwise import logical_not, logical_or
from pyautodl.functional.matmul import linear, matmul
from pyautodl.functional.networks.attention import attention_weights
from pyautodl.functional.networks.dropout import dropout
from pyautodl.nn._sizes import chance
from pyautodl.nn.init import constant_, xavier_uniform_
from pyautodl.nn.linear import Linear
from pyautodl.nn.module import Module
from pyautodl.nn.parameter import Parameter
from pyautodl.ops.integers import integer
from pyautodl.tensor import Tensor

__all__ = ["MultiheadAttention"]


class MultiheadAttention(Module):
    """Several attentions side by side, each in a part of the features.

    Args:
        embed_dim: features of queries and of the result.
        num_heads: how many heads; they share the features evenly.
        dropout: probability that a weight is dropped in training.
        bias: add biases in the projections.
        add_bias_kv, add_zero_attn: not supported.
        kdim, vdim: features of keys and values; default embed_dim.
        batch_first: inputs are (n, l, e) rather than (l, n, e).
        device: 'cpu' or None.
        dtype: element type of the parameters.

    Shape:
        (l, n, e), (s, n, k), (s, n, v) -> (l, n, e) and weights (n, l, s); without a batch
        all lack n

    Raises:
        ValueError: the heads do not share the features evenly.
        ShapeError: inputs or masks do not fit.

    Example:
        >>> import pyautodl as ad
        >>> layer = ad.nn.MultiheadAttention(8, 2, batch_first=True)
        >>> x = ad.rand(3, 5, 8)
        >>> y, weights = layer(x, x, x)
        >>> y.shape, weights.shape
        (pyautodl.Size([3, 5, 8]), pyautodl.Size([3, 5, 5]))

    Source: Vaswani et al., "Attention is all you need", 2017.
    """

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        add_bias_kv: bool = False,
        add_zero_attn: bool = False,
        kdim: int | None = None,
        vdim: int | None = None,
        batch_first: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        if add_bias_kv or add_zero_attn:
            name = "add_bias_kv" if add_bias_kv else "add_zero_attn"
            raise NotImplementedError(f"MultiheadAttention: {name} is not supported")
        embed_dim = integer("MultiheadAttention", "embed_dim", embed_dim)
        num_heads = integer("MultiheadAttention", "num_heads", num_heads)
        if num_heads < 1 or embed_dim % num_heads:
            raise ValueError(
                f"MultiheadAttention: expected embed_dim {embed_dim} to be a multiple of "
                f"num_heads {num_heads}"
            )
        self.embed_dim = embed_dim
        self.num_heads = num_heads
        self.head_dim = embed_dim // num_heads
        self.dropout = chance("MultiheadAttention", "dropout", dropout)
        self.batch_first = batch_first
        self.kdim = embed_dim if kdim is None else kdim
        self.vdim = embed_dim if vdim is None else vdim
        options = {"device": device, "dtype": dtype}
        sizes = (embed_dim, self.kdim, self.vdim)
        together = sizes == (embed_dim,) * 3
        self.in_proj_weight = (
            Parameter(empty(3 * embed_dim, embed_dim, **options)) if together else None
        )
        for name, size in zip("qkv", sizes):
            weight = None if together else Parameter(empty(embed_dim, size, **options))
            self.register_parameter(f"{name}_proj_weight", weight)
        self.in_proj_bias = Parameter(zeros(3 * embed_dim, **options)) if bias else None
        self.out_proj = Linear(embed_dim, embed_dim, bias, **options)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the weights anew, as Glorot and Bengio; biases become 0."""
        for weight in self._weights():
            xavier_uniform_(weight)
        if self.in_proj_bias is not None:
            constant_(self.in_proj_bias, 0.0)
            constant_(self.out_proj.bias, 0.0)

    def _weights(self) -> list[Tensor]:
        if self.in_proj_weight is not None:
            return [self.in_proj_weight]
        return [getattr(self, f"{name}_proj_weight") for name in "qkv"]

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Tensor | None = None,
        need_weights: bool = True,
        attn_mask: Tensor | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """Return the means of the values, and the weights.

        Args:
            query, key, value: the inputs.
            key_padding_mask: (n, s), True where a key is padding, or floats that are added.
            need_weights: return the weights, else None.
            attn_mask: (l, s) or (n heads, l, s), True where a query must not see a key, or
                floats that are added.
            average_attn_weights: over the heads; else weights are (n, heads, l, s).
            is_causal: without a mask: query i sees keys up to i.
        """
        batched = query.ndim == 3
        if query.ndim not in (2, 3) or not query.ndim == key.ndim == value.ndim:
            raise ShapeError(
                "MultiheadAttention: expected query, key and value of 3 axes, or 2 without "
                f"a batch, got {tuple(query.shape)}, {tuple(key.shape)}, "
                f"{tuple(value.shape)}"
            )
        inputs = [query, key, value]
        if not batched:
            inputs = [each.unsqueeze(0) for each in inputs]
        elif not self.batch_first:
            inputs = [each.transpose(0, 1) for each in inputs]
        q, k, v = self._project(inputs)
        mask = self._mask(q, k, attn_mask, key_padding_mask, is_causal)
        weights = attention_weights(q, k, mask)
        weights = dropout(weights, self.dropout, self.training)
        out = matmul(weights, v).transpose(1, 2).reshape(*inputs[0].shape)
        out = self.out_proj(out)
        if not batched:
            out, weights = out.squeeze(0), weights.squeeze(0)
        elif not self.batch_first:
            out = out.transpose(0, 1)
        if not need_weights:
            return out, None
        return out, weights.mean(-3) if average_attn_weights else weights

    def _project(self, inputs: list[Tensor]) -> list[Tensor]:
        """Queries, keys and values of all heads: (n, heads, l, features)."""
        weights = self._weights()
        if len(weights) == 1:
            weights = list(weights[0].chunk(3))
        biases: Any = (None,) * 3
        if self.in_proj_bias is not None:
            biases = self.in_proj_bias.chunk(3)
        heads = []
        for x, weight, bias in zip(inputs, weights, biases):
            y = linear(x, weight, bias)
            shape = (*y.shape[:2], self.num_heads, self.head_dim)
            heads.append(y.reshape(*shape).transpose(1, 2))
        return heads

    def _mask(
        self,
        q: Tensor,
        k: Tensor,
        attn_mask: Tensor | None,
        padding: Tensor | None,
        is_causal: bool,
    ) -> Tensor | None:
        """Both masks as one, True where a query sees a key, or floats to add."""
        (n, heads, rows, _), columns = q.shape, k.shape[-2]
        if attn_mask is None and is_causal:
            attn_mask = logical_not(tril(ones(rows, columns, dtype=bool_)))
        parts = []
        if attn_mask is not None:
            if tuple(attn_mask.shape) not in (
                (rows, columns),
                (n * heads, rows, columns),
            ):
                raise ShapeError(
                    f"MultiheadAttention: expected attn_mask {(rows, columns)} or "
                    f"{(n * heads, rows, columns)}, got {tuple(attn_mask.shape)}"
                )
            parts.append(
                attn_mask.reshape(-1, attn_mask.shape[0] // n, rows, columns)
                if attn_mask.ndim == 3
                else attn_mask
            )
        if padding is not None:
            if tuple(padding.shape) not in ((n, columns), (columns,)):
                raise ShapeError(
                    f"MultiheadAttention: expected key_padding_mask {(n, columns)}, got "
                    f"{tuple(padding.shape)}"
                )
            parts.append(padding.reshape(-1, 1, 1, columns))
        if not parts:
            return None
        if all(each.dtype is bool_ for each in parts):
            hidden = parts[0] if len(parts) == 1 else logical_or(*parts)
            return logical_not(hidden)
        added = [_as_numbers(each, q) for each in parts]
        return added[0] if len(added) == 1 else added[0] + added[1]


def _as_numbers(mask: Tensor, like: Tensor) -> Tensor:
    """What a mask adds to scores."""
    if mask.dtype is not bool_:
        return mask.to(like.dtype)
    return zeros(mask.shape, dtype=like.dtype).masked_fill(mask, float("-inf"))
