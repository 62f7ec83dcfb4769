"""Autoencoders: dense and convolutional."""

from __future__ import annotations

import itertools

from pyautodl import nn
from pyautodl.tensor import Tensor

__all__ = ["Autoencoder", "ConvAutoencoder"]


class Autoencoder(nn.Module):
    """A stacked autoencoder of linear layers.

    Each level of the encoder is a linear layer with ReLU, and so is its decoder. The code
    itself has none, so that it takes values of both signs and no part of it dies, and the
    rebuilt input ends in a sigmoid; `train.pretrain_layerwise(model.encoder,
    model.levels(), x)` trains them level by level.

    Args:
        sizes: widths from the input to the code.

    Shape:
        (n, sizes[0]) or any (n, ...) with as many values -> the same shape, in [0, 1].

    Raises:
        ValueError: fewer than two sizes.

    Source: Hinton and Salakhutdinov, "Reducing the dimensionality of data with neural
        networks", 2006.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl.models import Autoencoder
        >>> Autoencoder((64, 16, 4))(ad.zeros(2, 1, 8, 8)).shape
        pyautodl.Size([2, 1, 8, 8])
    """

    def __init__(self, sizes: tuple[int, ...] = (784, 256, 32)) -> None:
        super().__init__()
        if len(sizes) < 2:
            raise ValueError(f"Autoencoder: expected at least two sizes, got {sizes}")
        pairs = list(itertools.pairwise(sizes))
        self.encoder = nn.Sequential(
            *[nn.Sequential(nn.Linear(a, b), nn.ReLU()) for a, b in pairs[:-1]],
            nn.Sequential(nn.Linear(*pairs[-1])),
        )
        self.decoder = nn.Sequential(
            *[
                nn.Sequential(nn.Linear(b, a), nn.Sigmoid() if i == 0 else nn.ReLU())
                for i, (a, b) in reversed(list(enumerate(pairs)))
            ]
        )

    def levels(self) -> list[nn.Module]:
        """The decoders in the order of the encoders."""
        return list(self.decoder)[::-1]

    def forward(self, x: Tensor) -> Tensor:
        return self.decoder(self.encoder(x.flatten(1))).reshape(x.shape)


class ConvAutoencoder(nn.Module):
    """A convolutional autoencoder; each level halves height and width.

    Batch norm in the encoder keeps it from the flat spot of an all-black answer.

    Args:
        in_channels: channels of the images.
        channels: channels of each level.

    Shape:
        (n, in_channels, h, w) -> the same, in [0, 1]; h and w divisible by 2 for each
        level.

    Source: Masci et al., "Stacked convolutional auto-encoders for hierarchical feature
        extraction", 2011.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl.models import ConvAutoencoder
        >>> ConvAutoencoder(1, (4, 8))(ad.zeros(2, 1, 12, 12)).shape
        pyautodl.Size([2, 1, 12, 12])
    """

    def __init__(
        self, in_channels: int = 1, channels: tuple[int, ...] = (32, 64)
    ) -> None:
        super().__init__()
        sizes = (in_channels, *channels)
        encoder: list[nn.Module] = []
        for a, b in zip(sizes, channels, strict=False):
            encoder += [nn.Conv2d(a, b, 3, padding=1), nn.BatchNorm2d(b)]
            encoder += [nn.ReLU(), nn.MaxPool2d(2)]
        decoder: list[nn.Module] = []
        for a, b in zip(channels[::-1], (*channels[-2::-1], channels[0]), strict=True):
            decoder += [nn.ConvTranspose2d(a, b, 2, stride=2), nn.ReLU()]
        decoder += [nn.Conv2d(channels[0], in_channels, 3, padding=1), nn.Sigmoid()]
        self.encoder = nn.Sequential(*encoder)
        self.decoder = nn.Sequential(*decoder)

    def forward(self, x: Tensor) -> Tensor:
        return self.decoder(self.encoder(x))
