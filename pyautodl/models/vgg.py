"""VGG: blocks of 3x3 convolutions between poolings."""

from __future__ import annotations

from typing import Any

from pyautodl import nn
from pyautodl.tensor import Tensor

__all__ = ["VGG", "vgg11", "vgg11_bn", "vgg13", "vgg13_bn", "vgg16", "vgg16_bn"]

# channels of each convolution; "M" is a pooling
CONFIGURATIONS: dict[int, tuple[int | str, ...]] = {
    11: (64, "M", 128, "M", 256, 256, "M", 512, 512, "M", 512, 512, "M"),
    13: (64, 64, "M", 128, 128, "M", 256, 256, "M", 512, 512, "M", 512, 512, "M"),
    16: (
        *(64, 64, "M", 128, 128, "M", 256, 256, 256, "M"),
        *(512, 512, 512, "M", 512, 512, 512, "M"),
    ),
}


class VGG(nn.Module):
    """A VGG network, with torchvision's names of the parameters.

    Args:
        depth: 11, 13 or 16 layers with weights.
        num_classes: scores that come out.
        batch_norm: normalise after each convolution.
        in_channels: channels of the images.
        small: for 32x32 images: one linear layer after the convolutions, instead of an
            adaptive pooling to 7x7 and three layers.
        dropout: share of the hidden values that are dropped in training.

    Shape:
        (n, in_channels, h, w) -> (n, num_classes), logits; h and w at least 32.

    Raises:
        ValueError: another depth.

    Source: Simonyan and Zisserman, "Very deep convolutional networks for large-scale image
        recognition", 2014.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl.models import VGG
        >>> VGG(11, small=True)(ad.zeros(1, 3, 32, 32)).shape
        pyautodl.Size([1, 10])
    """

    def __init__(
        self,
        depth: int = 11,
        num_classes: int = 10,
        *,
        batch_norm: bool = False,
        in_channels: int = 3,
        small: bool = False,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        if depth not in CONFIGURATIONS:
            raise ValueError(
                f"VGG: depth must be one of {list(CONFIGURATIONS)}, got {depth}"
            )
        self.features = _convolutions(CONFIGURATIONS[depth], in_channels, batch_norm)
        if small:
            self.avgpool: nn.Module = nn.AdaptiveAvgPool2d(1)
            self.classifier: nn.Module = nn.Linear(512, num_classes)
        else:
            self.avgpool = nn.AdaptiveAvgPool2d(7)
            self.classifier = nn.Sequential(
                nn.Linear(512 * 49, 4096),
                nn.ReLU(),
                nn.Dropout(dropout),
                nn.Linear(4096, 4096),
                nn.ReLU(),
                nn.Dropout(dropout),
                nn.Linear(4096, num_classes),
            )

    def forward(self, x: Tensor) -> Tensor:
        x = self.avgpool(self.features(x))
        return self.classifier(x.flatten(1))


def _convolutions(
    configuration: tuple[int | str, ...], channels: int, batch_norm: bool
) -> nn.Sequential:
    layers: list[nn.Module] = []
    for each in configuration:
        if isinstance(each, str):
            layers.append(nn.MaxPool2d(2))
            continue
        layers.append(nn.Conv2d(channels, each, 3, padding=1))
        if batch_norm:
            layers.append(nn.BatchNorm2d(each))
        layers.append(nn.ReLU())
        channels = each
    return nn.Sequential(*layers)


def vgg11(**kwargs: Any) -> VGG:
    """VGG with 11 layers; arguments as `VGG`.

    Example:
        >>> from pyautodl import models
        >>> sum(p.numel() for p in models.vgg11(small=True).parameters())
        9225610
    """
    return VGG(11, **kwargs)


def vgg11_bn(**kwargs: Any) -> VGG:
    """VGG with 11 layers and batch norm; arguments as `VGG`."""
    return VGG(11, batch_norm=True, **kwargs)


def vgg13(**kwargs: Any) -> VGG:
    """VGG with 13 layers; arguments as `VGG`."""
    return VGG(13, **kwargs)


def vgg13_bn(**kwargs: Any) -> VGG:
    """VGG with 13 layers and batch norm; arguments as `VGG`."""
    return VGG(13, batch_norm=True, **kwargs)


def vgg16(**kwargs: Any) -> VGG:
    """VGG with 16 layers; arguments as `VGG`."""
    return VGG(16, **kwargs)


def vgg16_bn(**kwargs: Any) -> VGG:
    """VGG with 16 layers and batch norm; arguments as `VGG`."""
    return VGG(16, batch_norm=True, **kwargs)
