"""Images read at places that a tensor names, and the places of an affine map."""

from __future__ import annotations

from itertools import product
from math import prod
from typing import Any

from pyautodl.errors import ShapeError
from pyautodl.functional.copy import stack
from pyautodl.functional.creation import arange, linspace, ones, zeros
from pyautodl.functional.eltwise import logical_and, where
from pyautodl.functional.matmul import matmul
from pyautodl.functional.views import broadcast_to
from pyautodl.ops.integers import integers
from pyautodl.tensor import Tensor, explained

__all__ = ["affine_grid", "grid_sample"]

_MODES = ("bilinear", "nearest")
_PADDINGS = ("zeros", "border", "reflection")


@explained
def affine_grid(theta: Tensor, size: Any, align_corners: bool | None = None) -> Tensor:
    """Return where an affine map reads, for `grid_sample`.

    Args:
        theta: the maps, (n, 2, 3), or (n, 3, 4) for volumes: out = theta [x, y, 1].
        size: of the result, (n, c, h, w) or (n, c, d, h, w).
        align_corners: -1 and 1 are the centres of the outer pixels rather than their edges;
            None is False.

    Shape:
        (n, 2, 3) -> (n, h, w, 2)

    Raises:
        ShapeError: theta does not fit the size.

    Example:
        >>> import pyautodl as ad
        >>> theta = ad.tensor([[[1.0, 0.0, 0.0], [0.0, 1.0, 0.5]]])
        >>> ad.nn.functional.affine_grid(theta, (1, 1, 1, 2))
        tensor([[[[-0.5000,  0.5000],
                  [ 0.5000,  0.5000]]]])
    """
    size = integers("affine_grid", "size", size)
    n, _, *spatial = size
    axes = len(spatial)
    if axes not in (2, 3) or tuple(theta.shape) != (n, axes, axes + 1):
        raise ShapeError(
            "affine_grid: expected theta (n, 2, 3) for a size (n, c, h, w) or (n, 3, 4) "
            f"for (n, c, d, h, w), got {tuple(theta.shape)} for {size}"
        )
    lines = [_centres(s, bool(align_corners), theta) for s in spatial]
    shape = tuple(spatial)
    parts = []
    # x, which counts along the last axis, comes first
    for i in reversed(range(axes)):
        at = [1] * axes
        at[i] = -1
        parts.append(broadcast_to(lines[i].reshape(*at), shape))
    parts.append(ones(shape, dtype=theta.dtype))
    base = stack(parts, dim=-1).reshape(1, prod(shape), axes + 1)
    return matmul(base, theta.transpose(1, 2)).reshape(n, *shape, axes)


def _centres(size: int, align_corners: bool, like: Tensor) -> Tensor:
    """The pixels' centres along an axis, from -1 to 1."""
    if size == 1:
        return zeros(1, dtype=like.dtype)
    line = linspace(-1, 1, size, dtype=like.dtype)
    return line if align_corners else line * ((size - 1) / size)


@explained
def grid_sample(
    input: Tensor,
    grid: Tensor,
    mode: str = "bilinear",
    padding_mode: str = "zeros",
    align_corners: bool | None = None,
) -> Tensor:
    """Read images between their pixels, at places that `grid` names.

    Args:
        input: the images.
        grid: (x, y) for each pixel of the result, -1 being the left or upper end and 1 the
            right or lower one; (x, y, z) for volumes.
        mode: 'bilinear' or 'nearest'.
        padding_mode: what stands outside: 'zeros', the 'border', or a 'reflection'.
        align_corners: -1 and 1 are the centres of the outer pixels rather than their edges;
            None is False.

    Shape:
        (n, c, h, w), (n, oh, ow, 2) -> (n, c, oh, ow), and likewise for volumes

    Raises:
        ShapeError: grid and images do not fit.
        ValueError: a mode is unknown.
        NotImplementedError: the mode is 'bicubic'.

    Example:
        >>> import pyautodl as ad
        >>> x = ad.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])
        >>> ad.nn.functional.grid_sample(x, ad.zeros(1, 1, 1, 2))
        tensor([[[[2.5000]]]])
    """
    _check(input, grid, mode, padding_mode)
    n, c, *spatial = input.shape
    shape = tuple(grid.shape[1:-1])
    places = []
    for i, size in enumerate(reversed(spatial)):
        line = grid.select(-1, i).reshape(-1)
        places.append(_pixels(line, size, padding_mode, bool(align_corners)))
    # a row for each pixel, as images with channels last lie
    axes = len(spatial)
    rows = input.permute(0, *range(2, axes + 2), 1).reshape(-1, c)
    first = arange(n).repeat_interleave(prod(shape)) * prod(spatial)
    out = zeros((), dtype=input.dtype)
    for corner in (
        product((0, 1), repeat=axes) if mode == "bilinear" else [(None,) * axes]
    ):
        index, weight, step = first, ones((), dtype=input.dtype), 1
        for place, size, side in zip(places, reversed(spatial), corner):
            at, part = _neighbour(place, side, size)
            index = index + at * step
            weight = weight * part
            step *= size
        out = out + rows.index_select(0, index) * weight.unsqueeze(1)
    return out.reshape(n, *shape, c).permute(0, axes + 1, *range(1, axes + 1))


def _check(input: Tensor, grid: Tensor, mode: str, padding_mode: str) -> None:
    if mode == "bicubic":
        raise NotImplementedError("grid_sample: mode 'bicubic' is not supported")
    if mode not in _MODES:
        raise ValueError(
            f"grid_sample: mode must be one of {', '.join(_MODES)}, got {mode!r}"
        )
    if padding_mode not in _PADDINGS:
        raise ValueError(
            f"grid_sample: padding_mode must be one of {', '.join(_PADDINGS)}, got "
            f"{padding_mode!r}"
        )
    axes = input.ndim - 2
    if (
        axes not in (2, 3)
        or grid.ndim != input.ndim
        or grid.shape[0] != input.shape[0]
        or grid.shape[-1] != axes
        or 0 in input.shape[2:]
    ):
        raise ShapeError(
            "grid_sample: expected images (n, c, h, w) and a grid (n, oh, ow, 2), or "
            f"volumes and (n, od, oh, ow, 3), got {tuple(input.shape)} and "
            f"{tuple(grid.shape)}"
        )


def _pixels(x: Tensor, size: int, padding_mode: str, align_corners: bool) -> Tensor:
    """Places from -1 to 1 as numbers of pixels, brought inside where that is asked."""
    last = size - 1
    x = (x + 1) * (last / 2) if align_corners else (x + 1) * (size / 2) - 0.5
    if padding_mode == "zeros":
        # farther out there are zeros only, and no larger whole number is needed
        return x.clamp(-2, size + 1)
    if padding_mode == "reflection":
        low, span = (0.0, float(last)) if align_corners else (-0.5, float(size))
        if span == 0:
            return x * 0
        far = (x - low).abs() % (2 * span)
        x = where(far > span, 2 * span - far, far) + low
    # the border begins at the centres of the outer pixels: no slope there
    inside = logical_and(x > 0, x < last)
    return where(inside, x, x.detach().clamp(0, last))


def _neighbour(place: Tensor, corner: int | None, size: int) -> tuple[Tensor, Tensor]:
    """A pixel beside a place, and its weight, 0 outside; without a corner the nearest."""
    if corner is None:
        pixel = place.detach().round()
        weight = place * 0 + 1
    else:
        pixel = place.detach().floor() + corner
        weight = (place - pixel) + 1 if corner else (pixel - place) + 1
    inside = logical_and(pixel >= 0, pixel <= size - 1)
    return where(inside, pixel, 0.0).long(), where(inside, weight, 0.0)
