"""Resizing of images, and moving pixels between channels and space."""

from __future__ import annotations

import math
from typing import Any

from pyautodl.errors import ShapeError, describe
from pyautodl.functional.networks import pool
from pyautodl.functional.views import in_own_memory
from pyautodl.ops.integers import each_axis
from pyautodl.ops.interpolate import INTERPOLATE
from pyautodl.ops.resample import RESAMPLE
from pyautodl.tensor import Tensor, apply, explained

__all__ = [
    "channel_shuffle",
    "interpolate",
    "pixel_shuffle",
    "pixel_unshuffle",
    "upsample",
    "upsample_bilinear",
    "upsample_nearest",
]

# mode -> (the op's mode, how many spatial axes it is for; 0: any)
_MODES = {
    "nearest": ("nearest", 0),
    "nearest-exact": ("nearest-exact", 0),
    "linear": ("linear", 1),
    "bilinear": ("linear", 2),
    "trilinear": ("linear", 3),
    "bicubic": ("cubic", 2),
    "lanczos": ("lanczos", 2),
    "area": ("area", 0),
}


@explained
def interpolate(
    input: Tensor,
    size: Any = None,
    scale_factor: Any = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Tensor:
    """Resize images to a size or by a factor.

    Args:
        input: the images.
        size: the new size, a number or one for each spatial axis; or
        scale_factor: a factor, or one for each spatial axis.
        mode: 'nearest', 'nearest-exact', 'linear', 'bilinear', 'trilinear', 'bicubic',
            'lanczos' or 'area'.
        align_corners: for linear and cubic modes: let the corner pixels' centres stay in
            place.
        recompute_scale_factor: place the new pixels by the sizes, not by scale_factor,
            which differ where the new size was rounded down. For images, 'nearest' does
            so anyway where a size stays or doubles, as PyTorch does.
        antialias: for 'bilinear', 'bicubic' and 'lanczos': shrink with a filter that is
            as wide as the new pixels, as Pillow does. 'lanczos' needs it.

    Shape:
        (n, c, h, w) -> (n, c, oh, ow), with oh = floor(h scale_factor); likewise for
        one and three spatial axes

    Raises:
        ShapeError: the input's or the new size is 0; sizes and axes differ in number.
        ValueError: the mode is unknown or does not fit the input, align_corners or
            antialias; not exactly one of size and scale_factor is given.

    Example:
        >>> import pyautodl as ad
        >>> x = ad.tensor([[[[1.0, 2.0]]]])
        >>> ad.nn.functional.interpolate(x, size=(1, 4), mode="bilinear")
        tensor([[[[1.0000, 1.2500, 1.7500, 2.0000]]]])
    """
    kind = _check_mode(input, mode, align_corners, antialias)
    axes = input.ndim - 2
    if (size is None) == (scale_factor is None):
        raise ValueError("interpolate: give exactly one of size and scale_factor")
    scales: tuple[float | None, ...] = (None,) * axes
    if size is not None:
        if recompute_scale_factor:
            raise ValueError(
                "interpolate: recompute_scale_factor needs scale_factor, got size"
            )
        output_size = each_axis("interpolate", "size", size, axes)
    else:
        scales = _factors(scale_factor, axes)
        output_size = _scaled(input, scales)
        if recompute_scale_factor:
            scales = (None,) * axes
    if kind == "area":
        return _area(input, output_size)
    if antialias or kind == "cubic":
        corners = bool(align_corners)
        return _filtered(input, output_size, kind, corners, scales, antialias)
    if kind == "nearest" and axes == 2:
        scales = _unless_whole(input, output_size, scales)
    attrs = {"output_size": output_size, "mode": kind, "scales": scales}
    out: Tensor = apply(INTERPOLATE, input, align_corners=bool(align_corners), **attrs)
    return out


def _check_mode(
    input: Tensor, mode: str, align_corners: bool | None, antialias: bool
) -> str:
    """The op's mode."""
    if mode not in _MODES:
        raise ValueError(
            f"interpolate: mode must be one of {', '.join(_MODES)}, got {mode!r}"
        )
    kind, axes = _MODES[mode]
    if not 3 <= input.ndim <= 5 or axes not in (0, input.ndim - 2):
        expected = (
            f"{axes + 2} axes (n,c,{','.join('dhw'[3 - axes :])})"
            if axes
            else "3 to 5 axes (n, c, one to three spatial ones)"
        )
        raise ShapeError(
            f"interpolate: mode {mode!r} expects x of {expected}, got {input.ndim}: "
            f"{tuple(input.shape)}"
        )
    if kind not in ("linear", "cubic") and (
        align_corners or (align_corners is not None and kind != "lanczos")
    ):
        raise ValueError(
            "interpolate: align_corners is for linear and cubic modes, got mode "
            f"{mode!r}"
        )
    if antialias and mode not in ("bilinear", "bicubic", "lanczos"):
        raise ValueError(
            "interpolate: antialias is for modes bilinear, bicubic and lanczos, got mode "
            f"{mode!r}"
        )
    if kind == "lanczos" and not antialias:
        raise ValueError("interpolate: mode 'lanczos' needs antialias=True")
    return kind


def _factors(scale_factor: Any, axes: int) -> tuple[float, ...]:
    many = isinstance(scale_factor, (tuple, list))
    factors = tuple(scale_factor) if many else (scale_factor,) * axes
    if len(factors) != axes:
        raise ShapeError(
            f"interpolate: scale_factor must be one number or {axes}, got "
            f"{describe(scale_factor)}"
        )
    numbers = tuple([float(each) for each in factors])
    if not all(each > 0 and math.isfinite(each) for each in numbers):
        raise ValueError(
            f"interpolate: scale_factor must be above 0, got {describe(scale_factor)}"
        )
    return numbers


def _scaled(input: Tensor, scales: tuple[Any, ...]) -> tuple[int, ...]:
    return tuple([math.floor(n * scale) for n, scale in zip(input.shape[2:], scales)])


def _unless_whole(
    input: Tensor, output_size: tuple[int, ...], scales: tuple[float | None, ...]
) -> tuple[float | None, ...]:
    """No factor for an axis that stays or doubles: each pixel once, or twice."""
    sizes = zip(input.shape[2:], output_size, scales)
    return tuple([None if out in (n, 2 * n) else s for n, out, s in sizes])


def _filtered(
    input: Tensor,
    output_size: tuple[int, ...],
    kind: str,
    align_corners: bool,
    scales: tuple[float | None, ...],
    antialias: bool,
) -> Tensor:
    """Weighted sums along one axis after the other; first where it shrinks most."""
    for i in sorted((0, 1), key=lambda i: output_size[i] / max(input.shape[2 + i], 1)):
        input = apply(
            RESAMPLE,
            input,
            dim=2 + i,
            before=input.shape[2 + i],
            after=output_size[i],
            mode=kind,
            align_corners=align_corners,
            scale=scales[i],
            antialias=antialias,
        )
    return input


def _area(input: Tensor, output_size: tuple[int, ...]) -> Tensor:
    """Means over the area of each new pixel."""
    functions = (
        pool.adaptive_avg_pool1d,
        pool.adaptive_avg_pool2d,
        pool.adaptive_avg_pool3d,
    )
    return functions[len(output_size) - 1](input, output_size)


@explained
def upsample(
    input: Tensor,
    size: Any = None,
    scale_factor: Any = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
) -> Tensor:
    """Resize images; the older name of `interpolate`.

    Example:
        >>> import pyautodl as ad
        >>> ad.nn.functional.upsample(ad.tensor([[[1.0, 2.0]]]), scale_factor=2)
        tensor([[[1., 1., 2., 2.]]])
    """
    return interpolate(input, size, scale_factor, mode, align_corners)


@explained
def upsample_nearest(
    input: Tensor, size: Any = None, scale_factor: Any = None
) -> Tensor:
    """Resize images by repeating pixels.

    Args:
        input: the images.
        size: the new size, a number or one for each spatial axis; or
        scale_factor: a factor, or one for each spatial axis.

    Example:
        >>> import pyautodl as ad
        >>> ad.nn.functional.upsample_nearest(ad.tensor([[[1.0, 2.0]]]), scale_factor=2)
        tensor([[[1., 1., 2., 2.]]])
    """
    return interpolate(input, size, scale_factor, "nearest")


@explained
def upsample_bilinear(
    input: Tensor, size: Any = None, scale_factor: Any = None
) -> Tensor:
    """Resize images linearly with the corner pixels in place.

    Args:
        input: the images.
        size: the new size, a number or one for each spatial axis; or
        scale_factor: a factor, or one for each spatial axis.

    Example:
        >>> import pyautodl as ad
        >>> ad.nn.functional.upsample_bilinear(ad.tensor([[[[1.0, 2.0]]]]), size=(1, 3))
        tensor([[[[1.0000, 1.5000, 2.0000]]]])
    """
    return interpolate(input, size, scale_factor, "bilinear", True)


def _factor(name: str, what: str, value: int, input: Tensor, axes: int) -> int:
    if input.ndim < axes:
        raise ShapeError(
            f"{name}: expected at least {axes} axes, got x {tuple(input.shape)}"
        )
    (number,) = each_axis(name, what, value, 1)
    if number < 1:
        raise ValueError(f"{name}: {what} must be at least 1, got {number}")
    return number


@explained
def pixel_shuffle(input: Tensor, upscale_factor: int) -> Tensor:
    """Move groups of channels into r x r blocks of pixels.

    Args:
        input: the images.
        upscale_factor: r.

    Shape:
        (..., c r r, h, w) -> (..., c, h r, w r)

    Raises:
        ShapeError: the channels are not a multiple of r r.

    Example:
        >>> import pyautodl as ad
        >>> ad.pixel_shuffle(ad.arange(4.0).reshape(1, 4, 1, 1), 2)
        tensor([[[[0., 1.],
                  [2., 3.]]]])
    """
    r = _factor("pixel_shuffle", "upscale_factor", upscale_factor, input, 3)
    *lead, c, h, w = input.shape
    if c % (r * r):
        raise ShapeError(
            f"pixel_shuffle: expected a multiple of {r * r} channels, got {c} (x "
            f"{tuple(input.shape)})"
        )
    n = len(lead)
    blocks = input.reshape(*lead, c // (r * r), r, r, h, w)
    moved = blocks.permute(*range(n), n, n + 3, n + 1, n + 4, n + 2)
    out = moved.reshape(*lead, c // (r * r), h * r, w * r)
    return in_own_memory(out, input)


@explained
def pixel_unshuffle(input: Tensor, downscale_factor: int) -> Tensor:
    """Move r x r blocks of pixels into channels; undoes `pixel_shuffle`.

    Args:
        input: the images.
        downscale_factor: r.

    Shape:
        (..., c, h r, w r) -> (..., c r r, h, w)

    Raises:
        ShapeError: height and width are not multiples of r.

    Example:
        >>> import pyautodl as ad
        >>> ad.pixel_unshuffle(ad.arange(4.0).reshape(1, 1, 2, 2), 2).shape
        pyautodl.Size([1, 4, 1, 1])
    """
    r = _factor("pixel_unshuffle", "downscale_factor", downscale_factor, input, 3)
    *lead, c, h, w = input.shape
    if h % r or w % r:
        raise ShapeError(
            f"pixel_unshuffle: expected height and width to be multiples of {r}, got x "
            f"{tuple(input.shape)}"
        )
    n = len(lead)
    blocks = input.reshape(*lead, c, h // r, r, w // r, r)
    moved = blocks.permute(*range(n), n, n + 2, n + 4, n + 1, n + 3)
    out = moved.reshape(*lead, c * r * r, h // r, w // r)
    return in_own_memory(out, input)


@explained
def channel_shuffle(input: Tensor, groups: int) -> Tensor:
    """Deal the channels out over groups, as ShuffleNet does.

    Args:
        input: the images.
        groups: how many groups the channels are in.

    Shape:
        (n, c, ...) -> (n, c, ...)

    Raises:
        ShapeError: the channels are not a multiple of groups.

    Example:
        >>> import pyautodl as ad
        >>> ad.channel_shuffle(ad.arange(4.0).reshape(1, 4, 1), 2).flatten()
        tensor([0., 2., 1., 3.])
    """
    g = _factor("channel_shuffle", "groups", groups, input, 3)
    n, c, *spatial = input.shape
    if c % g:
        raise ShapeError(
            f"channel_shuffle: expected a multiple of {g} channels, got {c} (x "
            f"{tuple(input.shape)})"
        )
    grouped = input.reshape(n, g, c // g, *spatial)
    out = grouped.transpose(1, 2).reshape(n, c, *spatial)
    return in_own_memory(out, input)
