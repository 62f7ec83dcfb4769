"""Attention and transformers, against attention written out."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import pyautodl as ad
from pyautodl import nn
from pyautodl.autograd import gradcheck, gradgradcheck
from pyautodl.errors import ShapeError

F = nn.functional


def _numbers(*shape: int, seed: int = 0) -> ad.Tensor:
    return ad.tensor(np.random.default_rng(seed).standard_normal(shape))


def _attend(q: Any, k: Any, v: Any, added: Any = 0.0) -> Any:
    """In NumPy; rows that see nothing give 0."""
    scores = q @ np.swapaxes(k, -1, -2) / math.sqrt(q.shape[-1]) + added
    top = scores.max(-1, keepdims=True)
    weights = np.exp(scores - np.where(np.isinf(top), 0, top))
    total = weights.sum(-1, keepdims=True)
    return weights / np.where(total == 0, 1, total) @ v


Q, K, V = (_numbers(2, 3, 4, seed=i) for i in range(3))
MASK = np.random.default_rng(9).random((3, 3)) > 0.5
MASK[1] = False


@pytest.mark.parametrize("kind", ["none", "bool", "floats", "causal"])
def test_attention_written_out(kind: str) -> None:
    hidden = {
        "none": np.zeros((3, 3)),
        "bool": np.where(MASK, 0, -np.inf),
        "floats": np.random.default_rng(3).standard_normal((3, 3)),
        "causal": np.triu(np.full((3, 3), -np.inf), 1),
    }[kind]
    options: dict[str, Any] = {
        "none": {},
        "bool": {"attn_mask": ad.tensor(MASK)},
        "floats": {"attn_mask": ad.tensor(hidden)},
        "causal": {"is_causal": True},
    }[kind]

    def attend(q: ad.Tensor, k: ad.Tensor, v: ad.Tensor) -> ad.Tensor:
        return F.scaled_dot_product_attention(q, k, v, **options)

    arrays = [each.numpy() for each in (Q, K, V)]
    np.testing.assert_allclose(
        attend(Q, K, V).numpy(), _attend(*arrays, hidden), atol=1e-12
    )
    inputs = [each.clone().requires_grad_() for each in (Q, K, V)]
    gradcheck(attend, inputs)
    gradgradcheck(attend, inputs)


def test_masks_that_are_learned_and_grouped_heads() -> None:
    bias = _numbers(3, 3, seed=5).requires_grad_()
    gradcheck(lambda b: F.scaled_dot_product_attention(Q, K, V, b), (bias,))
    q = _numbers(2, 4, 3, 5)
    k, v = _numbers(2, 2, 3, 5, seed=1), _numbers(2, 2, 3, 6, seed=2)
    grouped = F.scaled_dot_product_attention(q, k, v, enable_gqa=True, scale=0.5)
    for head in range(4):
        alone = F.scaled_dot_product_attention(
            q[:, head], k[:, head // 2], v[:, head // 2], scale=0.5
        )
        np.testing.assert_allclose(grouped[:, head].numpy(), alone.numpy())


def _by_hand(layer: nn.MultiheadAttention, q: Any, k: Any, v: Any, added: Any) -> Any:
    parts = np.split(layer.in_proj_weight.detach().numpy(), 3)
    biases = np.split(layer.in_proj_bias.detach().numpy(), 3)
    heads = []
    for x, w, b in zip((q, k, v), parts, biases):
        y = x @ w.T + b
        heads.append(y.reshape(*y.shape[:2], layer.num_heads, -1).transpose(0, 2, 1, 3))
    out = _attend(*heads, added).transpose(0, 2, 1, 3).reshape(q.shape)
    out_proj = layer.out_proj
    return out @ out_proj.weight.detach().numpy().T + out_proj.bias.detach().numpy()


def test_heads_written_out() -> None:
    ad.manual_seed(0)
    layer = nn.MultiheadAttention(6, 2, batch_first=True, dtype=ad.float64)
    nn.init.normal_(layer.in_proj_bias)
    q, k = _numbers(2, 3, 6), _numbers(2, 4, 6, seed=1)
    hidden = ad.tensor(np.random.default_rng(2).random((3, 4)) > 0.6)
    padding = ad.tensor([[False] * 4, [False, False, True, True]])
    hidden[:, 0] = False
    for options, covered in (
        ({}, np.zeros((3, 4), bool)),
        ({"attn_mask": hidden}, hidden.numpy()),
        (
            {"attn_mask": hidden, "key_padding_mask": padding},
            hidden.numpy() | padding.numpy()[:, None, None],
        ),
        (
            {"attn_mask": ad.zeros(3, 4), "key_padding_mask": padding},
            np.broadcast_to(padding.numpy()[:, None, None], (2, 1, 3, 4)),
        ),
    ):
        y, weights = layer(q, k, k, **options)
        added = np.where(covered, -np.inf, 0)
        expected = _by_hand(layer, q.numpy(), k.numpy(), k.numpy(), added)
        np.testing.assert_allclose(y.detach().numpy(), expected, atol=1e-12)
        np.testing.assert_allclose(weights.sum(-1).detach().numpy(), 1)
        assert tuple(weights.shape) == (2, 3, 4)
    each = layer(q, k, k, average_attn_weights=False)[1]
    assert tuple(each.shape) == (2, 2, 3, 4)
    assert layer(q, k, k, need_weights=False)[1] is None
    alone = layer(q[0], k[0], k[0])
    np.testing.assert_allclose(
        alone[0].detach().numpy(), layer(q, k, k)[0][0].detach().numpy(), atol=1e-12
    )
    by_head = hidden.expand(4, 3, 4)
    np.testing.assert_allclose(
        layer(q, k, k, attn_mask=by_head)[0].detach().numpy(),
        layer(q, k, k, attn_mask=hidden)[0].detach().numpy(),
    )


def test_layouts_and_names() -> None:
    layer = nn.MultiheadAttention(6, 3, kdim=4, vdim=5)
    q, k, v = ad.rand(3, 2, 6), ad.rand(7, 2, 4), ad.rand(7, 2, 5)
    y, weights = layer(q, k, v)
    assert (tuple(y.shape), tuple(weights.shape)) == ((3, 2, 6), (2, 3, 7))
    assert sorted(layer.state_dict()) == [
        "in_proj_bias",
        "k_proj_weight",
        "out_proj.bias",
        "out_proj.weight",
        "q_proj_weight",
        "v_proj_weight",
    ]
    assert list(nn.MultiheadAttention(6, 3, bias=False).state_dict()) == [
        "in_proj_weight",
        "out_proj.weight",
    ]


def test_attention_refuses() -> None:
    with pytest.raises(ValueError, match="embed_dim 6 to be a multiple of num_heads 4"):
        nn.MultiheadAttention(6, 4)
    with pytest.raises(NotImplementedError, match="add_zero_attn"):
        nn.MultiheadAttention(6, 3, add_zero_attn=True)
    layer, x = nn.MultiheadAttention(6, 3), ad.rand(4, 2, 6)
    with pytest.raises(ShapeError, match=r"expected attn_mask \(4, 4\) or \(6, 4, 4\)"):
        layer(x, x, x, attn_mask=ad.ones(3, 3).bool())
    with pytest.raises(ShapeError, match=r"expected key_padding_mask \(2, 4\)"):
        layer(x, x, x, key_padding_mask=ad.ones(4, 2).bool())
    with pytest.raises(ShapeError, match="3 axes, or 2 without a batch"):
        layer(x, x[0], x[0])
    with pytest.raises(ShapeError, match="expected query"):
        F.scaled_dot_product_attention(x, x[..., :3], x)
    with pytest.raises(ValueError, match="is_causal excludes attn_mask"):
        F.scaled_dot_product_attention(x, x, x, ad.ones(2, 2), is_causal=True)
    with pytest.raises(ValueError, match="activation must be 'relu', 'gelu'"):
        nn.TransformerEncoderLayer(6, 3, activation="tanh")


# ---- transformers ----


@pytest.mark.parametrize("norm_first", [False, True])
def test_an_encoder_layer_written_out(norm_first: bool) -> None:
    layer = nn.TransformerEncoderLayer(
        8, 2, 16, dropout=0.0, activation="gelu", norm_first=norm_first
    )
    x = ad.rand(5, 3, 8)

    def network(x: ad.Tensor) -> ad.Tensor:
        return layer.linear2(F.gelu(layer.linear1(x)))

    def attend(x: ad.Tensor) -> ad.Tensor:
        return layer.self_attn(x, x, x)[0]

    if norm_first:
        y = x + attend(layer.norm1(x))
        y = y + network(layer.norm2(y))
    else:
        y = layer.norm1(x + attend(x))
        y = layer.norm2(y + network(y))
    np.testing.assert_allclose(layer(x).detach().numpy(), y.detach().numpy(), atol=1e-6)


def test_a_decoder_does_not_look_ahead() -> None:
    model = nn.Transformer(8, 2, 1, 2, 16, dropout=0.0, batch_first=True).eval()
    src, tgt = ad.rand(2, 6, 8), ad.rand(2, 5, 8)
    mask = model.generate_square_subsequent_mask(5)
    before = model(src, tgt, tgt_mask=mask).detach().numpy()
    np.testing.assert_allclose(
        model(src, tgt, tgt_is_causal=True).detach().numpy(), before, atol=1e-6
    )
    tgt[:, 3:] += 1
    after = model(src, tgt, tgt_mask=mask).detach().numpy()
    np.testing.assert_allclose(after[:, :3], before[:, :3], atol=1e-6)
    assert not np.allclose(after[:, 3:], before[:, 3:])


def test_padding_changes_nothing() -> None:
    encoder = nn.TransformerEncoder(
        nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True),
        2,
        nn.LayerNorm(8),
    )
    x = ad.rand(2, 4, 8)
    longer = ad.cat([x, ad.rand(2, 3, 8)], 1)
    padding = ad.tensor([[False] * 4 + [True] * 3] * 2)
    y = encoder(longer, src_key_padding_mask=padding)[:, :4]
    np.testing.assert_allclose(
        y.detach().numpy(), encoder(x).detach().numpy(), atol=1e-5
    )
    assert list(encoder.state_dict())[:3] == [
        "layers.0.self_attn.in_proj_weight",
        "layers.0.self_attn.in_proj_bias",
        "layers.0.self_attn.out_proj.weight",
    ]


def test_a_transformer_learns_to_copy_the_first_token() -> None:
    ad.manual_seed(0)
    tokens = ad.randint(0, 4, (32, 5))
    embed, head = nn.Embedding(4, 16), nn.Linear(16, 4)
    place = nn.Parameter(ad.randn(5, 16))
    layer = nn.TransformerEncoderLayer(16, 4, 32, dropout=0.1, batch_first=True)
    parts = nn.ModuleList([embed, head, layer])
    optimizer = ad.optim.Adam([*parts.parameters(), place], lr=5e-3)
    for _ in range(60):
        optimizer.zero_grad()
        out = head(layer(embed(tokens) + place))[:, -1]
        loss = F.cross_entropy(out, tokens[:, 0])
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.3


# ---- Gumbel softmax ----


def test_gumbel_softmax_draws_by_the_logits() -> None:
    ad.manual_seed(0)
    p = ad.tensor([0.1, 0.2, 0.7])
    logits = p.log().expand(5000, 3).clone().requires_grad_()
    y = F.gumbel_softmax(logits, tau=0.5, hard=True)
    np.testing.assert_allclose(y.detach().mean(0).numpy(), p.numpy(), atol=0.02)
    values = ad.unique(y.detach().round())
    assert values.tolist() == [0.0, 1.0]
    (y * ad.tensor([1.0, 2.0, 3.0])).sum().backward()
    assert logits.grad.abs().sum().item() > 0
    soft = F.gumbel_softmax(logits, dim=0)
    np.testing.assert_allclose(soft.detach().sum(0).numpy(), 1, rtol=1e-5)
