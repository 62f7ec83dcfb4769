"""Greedy layer-wise pretraining of stacked autoencoders."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pyautodl.autograd import no_grad
from pyautodl.data import DataLoader
from pyautodl.functional.copy import cat
from pyautodl.functional.creation import as_tensor
from pyautodl.nn import Sequential
from pyautodl.tensor import Tensor
from pyautodl.train.history import History
from pyautodl.train.trainer import Trainer

__all__ = ["pretrain_layerwise"]


def pretrain_layerwise(
    encoders: Sequence[Any],
    decoders: Sequence[Any],
    data: Any,
    *,
    epochs: int = 5,
    loss: Any = "mean_squared_error",
    optimizer: Any = "adam",
    batch_size: int = 128,
    seed: int = 0,
    progress: bool = False,
) -> list[History]:
    """Train a stacked autoencoder level by level, each on the codes of the one before.

    Args:
        encoders: the levels of the encoder, from the input inwards.
        decoders: their decoders in the order of the encoders: decoders[i] undoes
            encoders[i].
        data: inputs, a tensor or array of shape (n, ...).
        epochs, loss, optimizer, batch_size, seed, progress: as `Trainer` takes them.

    Returns:
        The history of each level.

    Raises:
        ValueError: there are not as many decoders as encoders, or no samples.

    Source: Bengio et al., "Greedy layer-wise training of deep networks", 2006.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl import nn
        >>> from pyautodl.train import pretrain_layerwise
        >>> encoders = [nn.Linear(8, 4), nn.Linear(4, 2)]
        >>> decoders = [nn.Linear(4, 8), nn.Linear(2, 4)]
        >>> len(pretrain_layerwise(encoders, decoders, ad.rand(16, 8), epochs=1))
        2
    """
    if len(encoders) != len(decoders):
        raise ValueError(
            f"pretrain_layerwise: {len(encoders)} encoders and {len(decoders)} decoders"
        )
    codes = as_tensor(data)
    histories = []
    for encoder, decoder in zip(encoders, decoders, strict=True):
        trainer = Trainer(Sequential(encoder, decoder), loss, optimizer, seed=seed)
        pair = (codes, codes)
        histories.append(
            trainer.fit(pair, epochs=epochs, batch_size=batch_size, progress=progress)
        )
        codes = _encode(encoder, codes, batch_size)
    return histories


def _encode(encoder: Any, inputs: Tensor, batch_size: int) -> Tensor:
    encoder.eval()
    with no_grad():
        codes = cat([encoder(x) for (x,) in DataLoader((inputs,), batch_size)])
    encoder.train()
    return codes
