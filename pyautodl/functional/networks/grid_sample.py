"""Images read at places that a tensor names, and the places of an affine map."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from pyautodl.backends.dtypes import FLOATING, DType
from pyautodl.errors import DTypeError, ShapeError
from pyautodl.functional.copy import stack
from pyautodl.functional.creation import tensor
from pyautodl.functional.eltwise.unary import check_tensor
from pyautodl.functional.matmul import matmul
from pyautodl.ops.grid_sample import GRID_SAMPLE
from pyautodl.ops.integers import integers
from pyautodl.tensor import Tensor, apply, explained

__all__ = ["affine_grid", "grid_sample"]


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
        DTypeError: theta is not of a floating type.

    Example:
        >>> import pyautodl as ad
        >>> theta = ad.tensor([[[1.0, 0.0, 0.0], [0.0, 1.0, 0.5]]])
        >>> ad.nn.functional.affine_grid(theta, (1, 1, 1, 2))
        tensor([[[[-0.5000,  0.5000],
                  [ 0.5000,  0.5000]]]])
    """
    check_tensor("affine_grid", theta, "theta")
    size = integers("affine_grid", "size", size)
    if min(size, default=0) < 0:
        raise ShapeError(f"affine_grid: expected sizes of at least 0, got {size}")
    n, spatial = sum(size[:1]), size[2:]
    axes = len(spatial)
    if axes not in (2, 3) or tuple(theta.shape) != (n, axes, axes + 1):
        raise ShapeError(
            "affine_grid: expected theta (n, 2, 3) for a size (n, c, h, w) or (n, 3, 4) "
            f"for (n, c, d, h, w), got {tuple(theta.shape)} for {size}"
        )
    if theta.dtype.category != FLOATING:
        raise DTypeError(
            f"affine_grid: expected theta of a floating type, got {theta.dtype.name}; "
            "likely fix: .float()"
        )
    planes: Any = None
    for i, count in enumerate(spatial):
        # x, which counts along the last axis, comes first
        base = _base(count, axes - 1 - i, axes, bool(align_corners), theta.dtype)
        shape = [1] * axes
        shape[i] = count
        part = matmul(theta, base).reshape(n, axes, *shape)
        planes = part if planes is None else planes + part
    return stack(planes.unbind(1), dim=-1)


@lru_cache(maxsize=64)
def _base(size: int, row: int, axes: int, align_corners: bool, dtype: DType) -> Tensor:
    """What the maps multiply for each pixel along an axis: its centre, from -1 to 1, in the
    row of its axis; along the first axis 1, too, which all pixels have in common.
    """
    base = np.zeros((1, axes + 1, size))
    end = 0 if size < 2 else 1 if align_corners else (size - 1) / size
    base[:, row] = np.linspace(-end, end, size)
    base[:, axes] = row == axes - 1
    return tensor(base, dtype=dtype)


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
        mode: 'bilinear', 'nearest', or for images 'bicubic'.
        padding_mode: what stands outside: 'zeros', the 'border', or a 'reflection'. A
            place that is NaN is one before the first pixel; its reflection, and that of
            an infinite one, is the first pixel.
        align_corners: -1 and 1 are the centres of the outer pixels rather than their edges;
            None is False.

    Shape:
        (n, c, h, w), (n, oh, ow, 2) -> (n, c, oh, ow), and likewise for volumes

    Raises:
        ShapeError: grid and images do not fit, or volumes and 'bicubic'.
        DTypeError: they are not of one floating type.
        ValueError: a mode is unknown.

    Example:
        >>> import pyautodl as ad
        >>> x = ad.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])
        >>> ad.nn.functional.grid_sample(x, ad.zeros(1, 1, 1, 2))
        tensor([[[[2.5000]]]])
    """
    return apply(
        GRID_SAMPLE,
        input,
        grid,
        mode=mode,
        padding_mode=padding_mode,
        align_corners=bool(align_corners),
    )
