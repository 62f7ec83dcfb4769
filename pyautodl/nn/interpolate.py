"""Resizing layers."""

from __future__ import annotations

from typing import Any

from pyautodl.functional.networks.interpolate import (
    channel_shuffle,
    interpolate,
    pixel_shuffle,
    pixel_unshuffle,
)
from pyautodl.nn.module import Module
from pyautodl.tensor import Tensor

__all__ = [
    "ChannelShuffle",
    "PixelShuffle",
    "PixelUnshuffle",
    "Upsample",
    "UpsamplingBilinear2d",
    "UpsamplingNearest2d",
]


class Upsample(Module):
    """Resize images to a size or by a factor; see `functional.interpolate`.

    Args:
        size: the new size, a number or one for each spatial axis; or
        scale_factor: a factor, or one for each spatial axis.
        mode: 'nearest', 'nearest-exact', 'linear', 'bilinear', 'trilinear', 'bicubic'
            or 'area'.
        align_corners: for linear and cubic modes: let the corner pixels' centres stay in
            place.
        recompute_scale_factor: place the new pixels by the sizes, not by scale_factor.

    Shape:
        (n, c, h, w) -> (n, c, oh, ow), with oh = floor(h scale_factor); likewise for
        one and three spatial axes

    Example:
        >>> import pyautodl as ad
        >>> ad.nn.Upsample(scale_factor=2)(ad.tensor([[[1.0, 2.0]]]))
        tensor([[[1., 1., 2., 2.]]])
    """

    def __init__(
        self,
        size: Any = None,
        scale_factor: Any = None,
        mode: str = "nearest",
        align_corners: bool | None = None,
        recompute_scale_factor: bool | None = None,
    ) -> None:
        super().__init__()
        self.size = size
        if isinstance(scale_factor, (tuple, list)):
            self.scale_factor: Any = tuple([float(each) for each in scale_factor])
        else:
            self.scale_factor = None if scale_factor is None else float(scale_factor)
        self.mode = mode
        self.align_corners = align_corners
        self.recompute_scale_factor = recompute_scale_factor

    def forward(self, input: Tensor) -> Tensor:
        return interpolate(
            input,
            self.size,
            self.scale_factor,
            self.mode,
            self.align_corners,
            self.recompute_scale_factor,
        )

    def extra_repr(self) -> str:
        if self.scale_factor is not None:
            return f"scale_factor={self.scale_factor!r}, mode={self.mode!r}"
        return f"size={self.size!r}, mode={self.mode!r}"


class UpsamplingNearest2d(Upsample):
    """Resize images by repeating pixels.

    Args:
        size: the new size; or
        scale_factor: a factor, or one for each spatial axis.

    Shape:
        (n, c, h, w) -> (n, c, oh, ow)

    Example:
        >>> import pyautodl as ad
        >>> ad.nn.UpsamplingNearest2d(scale_factor=2)(ad.tensor([[[[1.0]]]]))
        tensor([[[[1., 1.],
                  [1., 1.]]]])
    """

    def __init__(self, size: Any = None, scale_factor: Any = None) -> None:
        super().__init__(size, scale_factor, mode="nearest")


class UpsamplingBilinear2d(Upsample):
    """Resize images linearly with the corner pixels in place.

    Args:
        size: the new size; or
        scale_factor: a factor, or one for each spatial axis.

    Shape:
        (n, c, h, w) -> (n, c, oh, ow)

    Example:
        >>> import pyautodl as ad
        >>> ad.nn.UpsamplingBilinear2d(size=(1, 3))(ad.tensor([[[[1.0, 2.0]]]]))
        tensor([[[[1.0000, 1.5000, 2.0000]]]])
    """

    def __init__(self, size: Any = None, scale_factor: Any = None) -> None:
        super().__init__(size, scale_factor, mode="bilinear", align_corners=True)


class PixelShuffle(Module):
    """Move groups of channels into r x r blocks of pixels.

    Args:
        upscale_factor: r.

    Shape:
        (..., c r r, h, w) -> (..., c, h r, w r)

    Example:
        >>> import pyautodl as ad
        >>> ad.nn.PixelShuffle(2)(ad.zeros(1, 8, 3, 3)).shape
        pyautodl.Size([1, 2, 6, 6])
    """

    def __init__(self, upscale_factor: int) -> None:
        super().__init__()
        self.upscale_factor = upscale_factor

    def forward(self, input: Tensor) -> Tensor:
        return pixel_shuffle(input, self.upscale_factor)

    def extra_repr(self) -> str:
        return f"upscale_factor={self.upscale_factor}"


class PixelUnshuffle(Module):
    """Move r x r blocks of pixels into channels.

    Args:
        downscale_factor: r.

    Shape:
        (..., c, h r, w r) -> (..., c r r, h, w)

    Example:
        >>> import pyautodl as ad
        >>> ad.nn.PixelUnshuffle(2)(ad.zeros(1, 2, 6, 6)).shape
        pyautodl.Size([1, 8, 3, 3])
    """

    def __init__(self, downscale_factor: int) -> None:
        super().__init__()
        self.downscale_factor = downscale_factor

    def forward(self, input: Tensor) -> Tensor:
        return pixel_unshuffle(input, self.downscale_factor)

    def extra_repr(self) -> str:
        return f"downscale_factor={self.downscale_factor}"


class ChannelShuffle(Module):
    """Deal the channels out over groups.

    Args:
        groups: how many groups the channels are in.

    Shape:
        (n, c, ...) -> (n, c, ...)

    Example:
        >>> import pyautodl as ad
        >>> ad.nn.ChannelShuffle(2)(ad.arange(4.0).reshape(1, 4, 1)).flatten()
        tensor([0., 2., 1., 3.])
    """

    def __init__(self, groups: int) -> None:
        super().__init__()
        self.groups = groups

    def forward(self, input: Tensor) -> Tensor:
        return channel_shuffle(input, self.groups)

    def extra_repr(self) -> str:
        return f"groups={self.groups}"
