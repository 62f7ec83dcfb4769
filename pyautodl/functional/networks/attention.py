"""Attention: means of values, weighted by how well queries and keys agree."""

from __future__ import annotations

import math

from pyautodl.backends.dtypes import bool_
from pyautodl.errors import ShapeError
from pyautodl.functional.copy import repeat_interleave, tril
from pyautodl.functional.creation import ones
from pyautodl.functional.matmul import matmul
from pyautodl.functional.networks.dropout import dropout
from pyautodl.functional.softmax import masked_softmax, softmax
from pyautodl.functional.views import broadcast_shapes, broadcast_to
from pyautodl.tensor import Tensor, explained

__all__ = ["attention_weights", "scaled_dot_product_attention"]


@explained
def scaled_dot_product_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """Return softmax(query key^T scale + mask) value.

    Args:
        query: what asks, (..., l, e).
        key: what is compared with it, (..., s, e).
        value: what is averaged, (..., s, v).
        attn_mask: bool, True where a query sees a key, or floats that are added; it
            broadcasts to (..., l, s). A query that sees nothing gets 0.
        dropout_p: weights are dropped with this probability, whether in training or not.
        is_causal: query i sees keys up to i; excludes a mask.
        scale: default 1 / sqrt(e).
        enable_gqa: a head of keys and values serves several heads of queries, which stand
            third last.

    Shape:
        (..., l, e), (..., s, e), (..., s, v) -> (..., l, v)

    Raises:
        ShapeError: the shapes do not fit.
        ValueError: is_causal comes with a mask.

    Example:
        >>> import pyautodl as ad
        >>> x = ad.tensor([[1.0, 0.0], [0.0, 1.0]])
        >>> ad.nn.functional.scaled_dot_product_attention(x, x, x, is_causal=True)[0]
        tensor([1., 0.])

    Source: Vaswani et al., "Attention is all you need", 2017.
    """
    name = "scaled_dot_product_attention"
    if is_causal and attn_mask is not None:
        raise ValueError(f"{name}: is_causal excludes attn_mask")
    if (
        min(query.ndim, key.ndim, value.ndim) < 2
        or query.shape[-1] != key.shape[-1]
        or key.shape[-2] != value.shape[-2]
    ):
        raise ShapeError(
            f"{name}: expected query (..., l, e), key (..., s, e), value (..., s, v), got "
            f"{tuple(query.shape)}, {tuple(key.shape)}, {tuple(value.shape)}"
        )
    if enable_gqa:
        times = query.shape[-3] // key.shape[-3]
        key, value = (repeat_interleave(each, times, dim=-3) for each in (key, value))
    if is_causal:
        attn_mask = tril(ones(query.shape[-2], key.shape[-2], dtype=bool_))
    weights = attention_weights(query, key, attn_mask, scale)
    return matmul(dropout(weights, dropout_p), value)


@explained
def attention_weights(
    query: Tensor, key: Tensor, mask: Tensor | None = None, scale: float | None = None
) -> Tensor:
    """Return softmax(query key^T scale + mask), which a query that sees nothing has 0.

    Args:
        query, key: as in `scaled_dot_product_attention`.
        mask: bool, True where a query sees a key, or floats that are added.
        scale: default 1 / sqrt(e).

    Example:
        >>> import pyautodl as ad
        >>> x = ad.zeros(2, 3)
        >>> ad.functional.attention_weights(x, x)
        tensor([[0.5000, 0.5000],
                [0.5000, 0.5000]])
    """
    size = query.shape[-1]
    factor = scale if scale is not None else 1 / math.sqrt(size) if size else 1.0
    scores = matmul(query * factor, key.transpose(-2, -1))
    if mask is None:
        return softmax(scores, -1)
    shape = broadcast_shapes(tuple(scores.shape), tuple(mask.shape))
    if mask.dtype is not bool_:
        scores, mask = scores + mask, mask > -math.inf
    return masked_softmax(broadcast_to(scores, shape), broadcast_to(mask, shape), -1)
