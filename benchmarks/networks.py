"""The networks of the step table, each written once for any library with PyTorch's
names.

`nn` is the library's module, `torch.nn` or ours, and `cat` its concatenation.
"""

from __future__ import annotations

from typing import Any

__all__ = [
    "autoencoder",
    "cnn",
    "depthwise",
    "lstm",
    "mlp",
    "resnet18",
    "unet",
    "vgg11",
]


def mlp(nn: Any, cat: Any) -> Any:
    """784-128-64-10 with ReLU."""
    return nn.Sequential(
        nn.Linear(784, 128),
        nn.ReLU(),
        nn.Linear(128, 64),
        nn.ReLU(),
        nn.Linear(64, 10),
    )


def autoencoder(nn: Any, cat: Any) -> Any:
    """784-256-32-256-784 with ReLU, a sigmoid at the end."""
    return nn.Sequential(
        nn.Linear(784, 256),
        nn.ReLU(),
        nn.Linear(256, 32),
        nn.ReLU(),
        nn.Linear(32, 256),
        nn.ReLU(),
        nn.Linear(256, 784),
        nn.Sigmoid(),
    )


def cnn(nn: Any, cat: Any) -> Any:
    """Two 3x3 convolutions with pooling on 1x28x28."""
    return nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(3136, 128),
        nn.ReLU(),
        nn.Linear(128, 10),
    )


def lstm(nn: Any, cat: Any) -> Any:
    """LSTM 64 to 256, batch first, the last step to 10 classes."""

    class Classifier(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.lstm = nn.LSTM(64, 256, batch_first=True)
            self.head = nn.Linear(256, 10)

        def forward(self, x: Any) -> Any:
            y, _ = self.lstm(x)
            return self.head(y[:, -1])

    return Classifier()


def _basic_block(nn: Any, inside: int, out: int, stride: int) -> Any:
    class Block(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.conv1 = nn.Conv2d(inside, out, 3, stride, padding=1, bias=False)
            self.bn1 = nn.BatchNorm2d(out)
            self.relu = nn.ReLU()
            self.conv2 = nn.Conv2d(out, out, 3, padding=1, bias=False)
            self.bn2 = nn.BatchNorm2d(out)
            self.downsample = None
            if stride != 1 or inside != out:
                self.downsample = nn.Sequential(
                    nn.Conv2d(inside, out, 1, stride, bias=False), nn.BatchNorm2d(out)
                )

        def forward(self, x: Any) -> Any:
            y = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
            return self.relu(y + (x if self.downsample is None else self.downsample(x)))

    return Block()


def resnet18(nn: Any, cat: Any, small: bool) -> Any:
    """ResNet-18; `small`: a 3x3 stem and 10 classes, else 7x7/2, pooling and 1,000."""
    stem = [nn.Conv2d(3, 64, 3, padding=1, bias=False), nn.BatchNorm2d(64), nn.ReLU()]
    if not small:
        stem[0] = nn.Conv2d(3, 64, 7, 2, padding=3, bias=False)
        stem.append(nn.MaxPool2d(3, 2, padding=1))
    blocks = []
    inside = 64
    for out, stride in ((64, 1), (128, 2), (256, 2), (512, 2)):
        blocks.append(_basic_block(nn, inside, out, stride))
        blocks.append(_basic_block(nn, out, out, 1))
        inside = out
    head = [
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(512, 10 if small else 1000),
    ]
    return nn.Sequential(*stem, *blocks, *head)


def vgg11(nn: Any, cat: Any) -> Any:
    """VGG-11 with batch norm on 32x32, one linear layer."""
    layers = []
    inside = 3
    for out in (64, "M", 128, "M", 256, 256, "M", 512, 512, "M", 512, 512, "M"):
        if out == "M":
            layers.append(nn.MaxPool2d(2))
            continue
        layers += [nn.Conv2d(inside, out, 3, padding=1), nn.BatchNorm2d(out), nn.ReLU()]
        inside = out
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(512, 10))


def unet(nn: Any, cat: Any) -> Any:
    """U-Net 32-64-128-256 on one channel, without batch norm, two classes."""
    channels = (32, 64, 128, 256)

    def double(inside: int, out: int) -> Any:
        return nn.Sequential(
            nn.Conv2d(inside, out, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(out, out, 3, padding=1),
            nn.ReLU(),
        )

    class UNet(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            pairs = zip((1, *channels), channels, strict=False)
            self.down = nn.ModuleList([double(a, b) for a, b in pairs])
            self.pool = nn.MaxPool2d(2)
            up = list(zip(channels[:0:-1], channels[-2::-1], strict=True))
            self.up = nn.ModuleList([nn.ConvTranspose2d(a, b, 2, 2) for a, b in up])
            self.merge = nn.ModuleList([double(2 * b, b) for _, b in up])
            self.head = nn.Conv2d(32, 2, 1)

        def forward(self, x: Any) -> Any:
            bridges = []
            for i, block in enumerate(self.down):
                x = block(self.pool(x) if i else x)
                bridges.append(x)
            bridges.pop()
            for up, merge in zip(self.up, self.merge, strict=True):
                x = merge(cat([bridges.pop(), up(x)], 1))
            return self.head(x)

    return UNet()


def depthwise(nn: Any, cat: Any) -> Any:
    """A depthwise net: 3x3/2 to 32, then pairs of depthwise 3x3 and 1x1, 100 classes."""
    layers = [nn.Conv2d(3, 32, 3, 2, padding=1), nn.ReLU()]
    inside = 32
    for out, stride in (
        (64, 1),
        (128, 2),
        (128, 1),
        (256, 2),
        (256, 1),
        (512, 2),
        (512, 1),
    ):
        layers += [
            nn.Conv2d(inside, inside, 3, stride, padding=1, groups=inside),
            nn.ReLU(),
        ]
        layers += [nn.Conv2d(inside, out, 1), nn.ReLU()]
        inside = out
    return nn.Sequential(
        *layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 100)
    )
