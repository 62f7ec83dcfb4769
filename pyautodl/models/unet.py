"""U-Net: an encoder and a decoder with bridges between their levels."""

from __future__ import annotations

import pyautodl.functional as F
from pyautodl import nn
from pyautodl.errors import ShapeError
from pyautodl.tensor import Tensor

__all__ = ["UNet"]


def _double(in_channels: int, out_channels: int, batch_norm: bool) -> nn.Sequential:
    layers: list[nn.Module] = []
    for channels in (in_channels, out_channels):
        layers.append(nn.Conv2d(channels, out_channels, 3, padding=1))
        if batch_norm:
            layers.append(nn.BatchNorm2d(out_channels))
        layers.append(nn.ReLU())
    return nn.Sequential(*layers)


class UNet(nn.Module):
    """A U-Net that keeps the size of its image.

    Args:
        in_channels: channels of the images.
        out_channels: channels that come out: classes of segmentation, colours.
        channels: channels of each level, from the top down.
        batch_norm: normalise after each convolution.

    Shape:
        (n, in_channels, h, w) -> (n, out_channels, h, w); h and w divisible by 2 for
        each level below the first.

    Raises:
        ShapeError: the size is not divisible.

    Source: Ronneberger et al., "U-Net: convolutional networks for biomedical image
        segmentation", 2015.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl.models import UNet
        >>> UNet(1, 2, channels=(4, 8))(ad.zeros(1, 1, 16, 16)).shape
        pyautodl.Size([1, 2, 16, 16])
    """

    def __init__(
        self,
        in_channels: int = 1,
        out_channels: int = 2,
        channels: tuple[int, ...] = (32, 64, 128, 256),
        batch_norm: bool = False,
    ) -> None:
        super().__init__()
        pairs = list(zip((in_channels, *channels), channels, strict=False))
        self.down = nn.ModuleList([_double(a, b, batch_norm) for a, b in pairs])
        self.pool = nn.MaxPool2d(2)
        upwards = list(zip(channels[:0:-1], channels[-2::-1], strict=True))
        self.up = nn.ModuleList(
            [nn.ConvTranspose2d(a, b, 2, stride=2) for a, b in upwards]
        )
        self.merge = nn.ModuleList([_double(2 * b, b, batch_norm) for _, b in upwards])
        self.head = nn.Conv2d(channels[0], out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        step = 2 ** len(self.up)
        if x.ndim == 3:
            raise ShapeError(
                f"UNet: expected (n, c, h, w), got one image {tuple(x.shape)}; likely "
                "fix: x.unsqueeze(0)"
            )
        if x.ndim != 4 or x.shape[2] % step or x.shape[3] % step:
            raise ShapeError(
                f"UNet: expected (n, c, h, w) with h and w divisible by {step}, got "
                f"{tuple(x.shape)}; likely fix: pad the images"
            )
        bridges = []
        for i, block in enumerate(self.down):
            x = block(self.pool(x) if i else x)
            bridges.append(x)
        bridges.pop()
        for up, merge in zip(self.up, self.merge, strict=True):
            x = merge(F.cat([bridges.pop(), up(x)], dim=1))
        return self.head(x)
