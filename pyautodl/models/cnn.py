"""A small convolutional network for small images."""

from __future__ import annotations

from pyautodl import nn
from pyautodl.tensor import Tensor

__all__ = ["LeNet"]


class LeNet(nn.Module):
    """Two convolutions with pooling, then two linear layers, with ReLU and dropout.

    Args:
        in_channels: channels of the images.
        num_classes: scores that come out.
        image_size: height and width of the images, divisible by 4.
        channels: channels after each convolution.
        hidden: width of the hidden linear layer.
        dropout: share of the hidden values that are dropped in training.

    Shape:
        (n, in_channels, image_size, image_size) -> (n, num_classes), logits.

    Raises:
        ValueError: `image_size` is not divisible by 4.

    Source: LeCun et al., "Gradient-based learning applied to document recognition", 1998,
        with the activations and pooling of today.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl.models import LeNet
        >>> LeNet()(ad.zeros(2, 1, 28, 28)).shape
        pyautodl.Size([2, 10])
    """

    def __init__(
        self,
        in_channels: int = 1,
        num_classes: int = 10,
        image_size: int = 28,
        channels: tuple[int, int] = (32, 64),
        hidden: int = 128,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if image_size % 4:
            raise ValueError(
                f"LeNet: image_size must be divisible by 4, got {image_size}"
            )
        first, second = channels
        self.features = nn.Sequential(
            nn.Conv2d(in_channels, first, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(first, second, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
        )
        self.classifier = nn.Sequential(
            nn.Flatten(),
            nn.Linear(second * (image_size // 4) ** 2, hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, num_classes),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(x))
