"""Residual networks."""

from __future__ import annotations

from typing import Any

from pyautodl import nn
from pyautodl.tensor import Tensor

__all__ = ["BasicBlock", "Bottleneck", "ResNet", "resnet18", "resnet34", "resnet50"]


class BasicBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut.

    Shape:
        (n, in_channels, h, w) -> (n, channels, h / stride, w / stride).

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl import models
        >>> models.BasicBlock(4, 8, stride=2)(ad.ones(2, 4, 6, 6)).shape
        pyautodl.Size([2, 8, 3, 3])
    """

    expansion = 1

    def __init__(self, in_channels: int, channels: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, channels, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU()
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.downsample = _shortcut(in_channels, channels, stride)

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        layers = (self.conv1, self.bn1, self.relu, self.conv2, self.bn2, self.relu)
        y: Tensor = nn.run_in_sequence(self, layers, x, shortcut)
        return y


class Bottleneck(nn.Module):
    """A 3x3 convolution between two of 1x1, beside a shortcut.

    Shape:
        (n, in_channels, h, w) -> (n, 4 * channels, h / stride, w / stride).

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl import models
        >>> models.Bottleneck(4, 2)(ad.ones(2, 4, 6, 6)).shape
        pyautodl.Size([2, 8, 6, 6])
    """

    expansion = 4

    def __init__(self, in_channels: int, channels: int, stride: int = 1) -> None:
        super().__init__()
        out_channels = channels * self.expansion
        self.conv1 = nn.Conv2d(in_channels, channels, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.conv3 = nn.Conv2d(channels, out_channels, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(out_channels)
        self.relu = nn.ReLU()
        self.downsample = _shortcut(in_channels, out_channels, stride)

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        layers = (
            *(self.conv1, self.bn1, self.relu),
            *(self.conv2, self.bn2, self.relu),
            *(self.conv3, self.bn3, self.relu),
        )
        y: Tensor = nn.run_in_sequence(self, layers, x, shortcut)
        return y


def _shortcut(in_channels: int, out_channels: int, stride: int) -> nn.Sequential | None:
    """A 1x1 convolution where the shape changes."""
    if stride == 1 and in_channels == out_channels:
        return None
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 1, stride, bias=False),
        nn.BatchNorm2d(out_channels),
    )


class ResNet(nn.Module):
    """A residual network, with torchvision's names of the parameters.

    Args:
        block: BasicBlock or Bottleneck.
        layers: blocks in each of the four stages.
        num_classes: scores that come out.
        in_channels: channels of the images.
        small: the stem for 32x32 images, one 3x3 convolution, instead of 7x7 with
            stride 2 and a pooling.

    Shape:
        (n, in_channels, h, w) -> (n, num_classes), logits.

    Source: He et al., "Deep residual learning for image recognition", 2015.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl.models import resnet18
        >>> resnet18(num_classes=10, small=True)(ad.zeros(1, 3, 32, 32)).shape
        pyautodl.Size([1, 10])
    """

    def __init__(
        self,
        block: type[BasicBlock] | type[Bottleneck],
        layers: tuple[int, int, int, int],
        num_classes: int = 1000,
        *,
        in_channels: int = 3,
        small: bool = False,
    ) -> None:
        super().__init__()
        if small:
            self.conv1 = nn.Conv2d(in_channels, 64, 3, padding=1, bias=False)
            self.maxpool: nn.Module = nn.Identity()
        else:
            self.conv1 = nn.Conv2d(in_channels, 64, 7, stride=2, padding=3, bias=False)
            self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU()
        self._channels = 64
        self.layer1 = self._stage(block, 64, layers[0], 1)
        self.layer2 = self._stage(block, 128, layers[1], 2)
        self.layer3 = self._stage(block, 256, layers[2], 2)
        self.layer4 = self._stage(block, 512, layers[3], 2)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(512 * block.expansion, num_classes)
        self._initialise()

    def _stage(
        self,
        block: type[BasicBlock] | type[Bottleneck],
        channels: int,
        count: int,
        stride: int,
    ) -> nn.Sequential:
        blocks = []
        for i in range(count):
            blocks.append(block(self._channels, channels, stride if i == 0 else 1))
            self._channels = channels * block.expansion
        return nn.Sequential(*blocks)

    def _initialise(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(
                    module.weight, mode="fan_out", nonlinearity="relu"
                )

    def forward(self, x: Tensor) -> Tensor:
        stem = (self.conv1, self.bn1, self.relu, self.maxpool)
        x = nn.run_in_sequence(self, stem, x)
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(self.avgpool(x).flatten(1))


def resnet18(**kwargs: Any) -> ResNet:
    """ResNet with 18 layers; arguments as `ResNet`.

    Example:
        >>> from pyautodl import models
        >>> sum(p.numel() for p in models.resnet18().parameters())
        11689512
    """
    return ResNet(BasicBlock, (2, 2, 2, 2), **kwargs)


def resnet34(**kwargs: Any) -> ResNet:
    """ResNet with 34 layers; arguments as `ResNet`."""
    return ResNet(BasicBlock, (3, 4, 6, 3), **kwargs)


def resnet50(**kwargs: Any) -> ResNet:
    """ResNet with 50 layers; arguments as `ResNet`."""
    return ResNet(Bottleneck, (3, 4, 6, 3), **kwargs)
