"""Transformers: layers of attention and small networks, encoder, decoder, both."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from pyautodl.functional.copy import triu
from pyautodl.functional.creation import full
from pyautodl.functional.eltwise.activation import gelu, relu
from pyautodl.nn.attention import MultiheadAttention
from pyautodl.nn.container import ModuleList
from pyautodl.nn.dropout import Dropout
from pyautodl.nn.init import xavier_uniform_
from pyautodl.nn.linear import Linear
from pyautodl.nn.module import Module
from pyautodl.nn.norm import LayerNorm
from pyautodl.tensor import Tensor

__all__ = [
    "Transformer",
    "TransformerDecoder",
    "TransformerDecoderLayer",
    "TransformerEncoder",
    "TransformerEncoderLayer",
]

Activation = str | Callable[[Tensor], Tensor]


def _activation(activation: Activation) -> Callable[[Tensor], Tensor]:
    if not isinstance(activation, str):
        return activation
    known = {"relu": relu, "gelu": gelu}
    if activation not in known:
        raise ValueError(
            f"Transformer: activation must be 'relu', 'gelu' or a function, got "
            f"{activation!r}"
        )
    return known[activation]


def _attended(
    attention: MultiheadAttention,
    x: Tensor,
    source: Tensor,
    mask: Tensor | None,
    padding: Tensor | None,
    is_causal: bool,
) -> Tensor:
    """What x finds in a source: means of its values, without the weights."""
    found, _ = attention(
        x,
        source,
        source,
        key_padding_mask=padding,
        need_weights=False,
        attn_mask=mask,
        is_causal=is_causal,
    )
    result: Tensor = found
    return result


class _Layer(Module):
    """What the layers share: self-attention, the small network, norms."""

    # how many parts with a norm and a dropout of their own there are
    _parts: int

    def __init__(
        self,
        d_model: int,
        nhead: int,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: Activation = relu,
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        options = {"device": device, "dtype": dtype}
        self.self_attn = MultiheadAttention(
            d_model, nhead, dropout, bias, batch_first=batch_first, **options
        )
        self._add_attention(d_model, nhead, dropout, bias, batch_first, options)
        self.linear1 = Linear(d_model, dim_feedforward, bias, **options)
        self.dropout = Dropout(dropout)
        self.linear2 = Linear(dim_feedforward, d_model, bias, **options)
        self.norm_first = norm_first
        for i in range(1, self._parts + 1):
            norm = LayerNorm(d_model, layer_norm_eps, bias=bias, **options)
            setattr(self, f"norm{i}", norm)
        for i in range(1, self._parts + 1):
            setattr(self, f"dropout{i}", Dropout(dropout))
        self.activation = _activation(activation)

    def _add_attention(self, *args: Any) -> None:
        """Another attention, in front of the network."""

    def _network(self, x: Tensor) -> Tensor:
        return self.linear2(self.dropout(self.activation(self.linear1(x))))

    def _with(self, i: int, x: Tensor, part: Callable[[Tensor], Tensor]) -> Tensor:
        """x with what a part adds, normalised before or behind."""
        norm, dropout = getattr(self, f"norm{i}"), getattr(self, f"dropout{i}")
        if self.norm_first:
            return x + dropout(part(norm(x)))
        return norm(x + dropout(part(x)))


class TransformerEncoderLayer(_Layer):
    """Self-attention and a network of two layers, each added to its input.

    Args:
        d_model: features.
        nhead: heads of attention.
        dim_feedforward: features inside the network.
        dropout: probability with which elements are dropped in training.
        activation: 'relu', 'gelu' or a function.
        layer_norm_eps: of the norms.
        batch_first: inputs are (n, l, d_model) rather than (l, n, d_model).
        norm_first: normalise before each part rather than behind it.
        bias: of all layers.
        device: 'cpu' or None.
        dtype: element type of the parameters.

    Shape:
        (l, n, d_model), unchanged.

    Example:
        >>> import pyautodl as ad
        >>> layer = ad.nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        >>> layer(ad.rand(3, 5, 8)).shape
        pyautodl.Size([3, 5, 8])

    Source: Vaswani et al., "Attention is all you need", 2017.
    """

    _parts = 2

    def forward(
        self,
        src: Tensor,
        src_mask: Tensor | None = None,
        src_key_padding_mask: Tensor | None = None,
        is_causal: bool = False,
    ) -> Tensor:
        def attend(x: Tensor) -> Tensor:
            masks = (src_mask, src_key_padding_mask, is_causal)
            return _attended(self.self_attn, x, x, *masks)

        return self._with(2, self._with(1, src, attend), self._network)


class TransformerDecoderLayer(_Layer):
    """Self-attention, attention to the encoder's output, and a network of two layers.

    Args:
        d_model: features.
        nhead: heads of attention.
        dim_feedforward: features inside the network.
        dropout: probability with which elements are dropped in training.
        activation: 'relu', 'gelu' or a function.
        layer_norm_eps: of the norms.
        batch_first: inputs are (n, l, d_model) rather than (l, n, d_model).
        norm_first: normalise before each part rather than behind it.
        bias: of all layers.
        device: 'cpu' or None.
        dtype: element type of the parameters.

    Shape:
        (l, n, d_model) and the memory (s, n, d_model) -> (l, n, d_model)

    Example:
        >>> import pyautodl as ad
        >>> layer = ad.nn.TransformerDecoderLayer(8, 2, 16)
        >>> layer(ad.rand(5, 3, 8), ad.rand(7, 3, 8)).shape
        pyautodl.Size([5, 3, 8])

    Source: Vaswani et al., "Attention is all you need", 2017.
    """

    _parts = 3

    def _add_attention(
        self,
        d_model: int,
        nhead: int,
        dropout: float,
        bias: bool,
        batch_first: bool,
        options: dict[str, Any],
    ) -> None:
        self.multihead_attn = MultiheadAttention(
            d_model, nhead, dropout, bias, batch_first=batch_first, **options
        )

    def forward(
        self,
        tgt: Tensor,
        memory: Tensor,
        tgt_mask: Tensor | None = None,
        memory_mask: Tensor | None = None,
        tgt_key_padding_mask: Tensor | None = None,
        memory_key_padding_mask: Tensor | None = None,
        tgt_is_causal: bool = False,
        memory_is_causal: bool = False,
    ) -> Tensor:
        def attend(x: Tensor) -> Tensor:
            masks = (tgt_mask, tgt_key_padding_mask, tgt_is_causal)
            return _attended(self.self_attn, x, x, *masks)

        def look_up(x: Tensor) -> Tensor:
            masks = (memory_mask, memory_key_padding_mask, memory_is_causal)
            return _attended(self.multihead_attn, x, memory, *masks)

        x = self._with(2, self._with(1, tgt, attend), look_up)
        return self._with(3, x, self._network)


class TransformerEncoder(Module):
    """Encoder layers one after the other.

    Args:
        encoder_layer: is copied for each; the copies start with equal weights.
        num_layers: how many.
        norm: a layer behind them.
        enable_nested_tensor, mask_check: without effect.

    Shape:
        that of the layer.

    Example:
        >>> import pyautodl as ad
        >>> layer = ad.nn.TransformerEncoderLayer(8, 2, 16)
        >>> ad.nn.TransformerEncoder(layer, 2)(ad.rand(5, 3, 8)).shape
        pyautodl.Size([5, 3, 8])
    """

    def __init__(
        self,
        encoder_layer: Module,
        num_layers: int,
        norm: Module | None = None,
        enable_nested_tensor: bool = True,
        mask_check: bool = True,
    ) -> None:
        super().__init__()
        self.layers = _copies(encoder_layer, num_layers)
        self.num_layers = num_layers
        self.norm = norm

    def forward(
        self,
        src: Tensor,
        mask: Tensor | None = None,
        src_key_padding_mask: Tensor | None = None,
        is_causal: bool | None = None,
    ) -> Tensor:
        for layer in self.layers:
            src = layer(
                src,
                src_mask=mask,
                src_key_padding_mask=src_key_padding_mask,
                is_causal=bool(is_causal),
            )
        return src if self.norm is None else self.norm(src)


class TransformerDecoder(Module):
    """Decoder layers one after the other.

    Args:
        decoder_layer: is copied for each; the copies start with equal weights.
        num_layers: how many.
        norm: a layer behind them.

    Shape:
        that of the layer.

    Example:
        >>> import pyautodl as ad
        >>> layer = ad.nn.TransformerDecoderLayer(8, 2, 16)
        >>> decoder = ad.nn.TransformerDecoder(layer, 2)
        >>> decoder(ad.rand(5, 3, 8), ad.rand(7, 3, 8)).shape
        pyautodl.Size([5, 3, 8])
    """

    def __init__(
        self, decoder_layer: Module, num_layers: int, norm: Module | None = None
    ) -> None:
        super().__init__()
        self.layers = _copies(decoder_layer, num_layers)
        self.num_layers = num_layers
        self.norm = norm

    def forward(
        self,
        tgt: Tensor,
        memory: Tensor,
        tgt_mask: Tensor | None = None,
        memory_mask: Tensor | None = None,
        tgt_key_padding_mask: Tensor | None = None,
        memory_key_padding_mask: Tensor | None = None,
        tgt_is_causal: bool | None = None,
        memory_is_causal: bool = False,
    ) -> Tensor:
        for layer in self.layers:
            tgt = layer(
                tgt,
                memory,
                tgt_mask=tgt_mask,
                memory_mask=memory_mask,
                tgt_key_padding_mask=tgt_key_padding_mask,
                memory_key_padding_mask=memory_key_padding_mask,
                tgt_is_causal=bool(tgt_is_causal),
                memory_is_causal=memory_is_causal,
            )
        return tgt if self.norm is None else self.norm(tgt)


def _copies(layer: Module, count: int) -> ModuleList:
    return ModuleList([copy.deepcopy(layer) for _ in range(count)])


class Transformer(Module):
    """An encoder, and a decoder that attends to its output.

    Args:
        d_model: features.
        nhead: heads of attention.
        num_encoder_layers: layers of the encoder.
        num_decoder_layers: layers of the decoder.
        dim_feedforward: features inside the layers' networks.
        dropout: probability with which elements are dropped in training.
        activation: 'relu', 'gelu' or a function.
        custom_encoder: instead of the encoder.
        custom_decoder: instead of the decoder.
        layer_norm_eps: of the norms.
        batch_first: inputs are (n, l, d_model) rather than (l, n, d_model).
        norm_first: normalise before each part rather than behind it.
        bias: of all layers.
        device: 'cpu' or None.
        dtype: element type of the parameters.

    Shape:
        (s, n, d_model), (l, n, d_model) -> (l, n, d_model)

    Example:
        >>> import pyautodl as ad
        >>> model = ad.nn.Transformer(8, 2, 1, 1, 16)
        >>> model(ad.rand(7, 3, 8), ad.rand(5, 3, 8)).shape
        pyautodl.Size([5, 3, 8])

    Source: Vaswani et al., "Attention is all you need", 2017.
    """

    def __init__(
        self,
        d_model: int = 512,
        nhead: int = 8,
        num_encoder_layers: int = 6,
        num_decoder_layers: int = 6,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: Activation = relu,
        custom_encoder: Module | None = None,
        custom_decoder: Module | None = None,
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        options: dict[str, Any] = {
            "d_model": d_model,
            "nhead": nhead,
            "dim_feedforward": dim_feedforward,
            "dropout": dropout,
            "activation": activation,
            "layer_norm_eps": layer_norm_eps,
            "batch_first": batch_first,
            "norm_first": norm_first,
            "bias": bias,
            "device": device,
            "dtype": dtype,
        }

        def norm() -> LayerNorm:
            return LayerNorm(
                d_model, layer_norm_eps, bias=bias, device=device, dtype=dtype
            )

        self.encoder = custom_encoder or TransformerEncoder(
            TransformerEncoderLayer(**options), num_encoder_layers, norm()
        )
        self.decoder = custom_decoder or TransformerDecoder(
            TransformerDecoderLayer(**options), num_decoder_layers, norm()
        )
        for parameter in self.parameters():
            if parameter.ndim > 1:
                xavier_uniform_(parameter)
        self.d_model = d_model
        self.nhead = nhead
        self.batch_first = batch_first

    def forward(
        self,
        src: Tensor,
        tgt: Tensor,
        src_mask: Tensor | None = None,
        tgt_mask: Tensor | None = None,
        memory_mask: Tensor | None = None,
        src_key_padding_mask: Tensor | None = None,
        tgt_key_padding_mask: Tensor | None = None,
        memory_key_padding_mask: Tensor | None = None,
        src_is_causal: bool | None = None,
        tgt_is_causal: bool | None = None,
        memory_is_causal: bool = False,
    ) -> Tensor:
        memory = self.encoder(src, src_mask, src_key_padding_mask, src_is_causal)
        return self.decoder(
            tgt,
            memory,
            tgt_mask,
            memory_mask,
            tgt_key_padding_mask,
            memory_key_padding_mask,
            tgt_is_causal,
            memory_is_causal,
        )

    @staticmethod
    def generate_square_subsequent_mask(
        sz: int, device: Any = None, dtype: Any = None
    ) -> Tensor:
        """Return the mask by which place i sees places up to i: 0, and -inf elsewhere."""
        return triu(full((sz, sz), float("-inf"), dtype=dtype), 1)
