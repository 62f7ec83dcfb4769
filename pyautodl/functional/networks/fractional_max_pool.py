"""Max pooling by windows whose places are drawn, for any size of the result."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

from pyautodl.backends.dtypes import FLOATING
from pyautodl.errors import DTypeError, ShapeError
from pyautodl.functional.copy import cat
from pyautodl.functional.creation import arange
from pyautodl.functional.eltwise import isnan, where
from pyautodl.functional.index import gather
from pyautodl.functional.random import rand
from pyautodl.ops.integers import each_axis
from pyautodl.tensor import Tensor, explained

__all__ = [
    "fractional_max_pool2d",
    "fractional_max_pool2d_with_indices",
    "fractional_max_pool3d",
    "fractional_max_pool3d_with_indices",
]


@explained
def fractional_max_pool2d(
    input: Tensor,
    kernel_size: Any,
    output_size: Any = None,
    output_ratio: Any = None,
    return_indices: bool = False,
    _random_samples: Tensor | None = None,
) -> Any:
    """Return the largest element of each window, whose places are drawn for each channel.

    Windows lie so that the result has the wanted size: the steps between them are two
    neighbouring whole numbers, in an order that one random number an axis decides.

    Args:
        input: the images.
        kernel_size: the window's height and width, or one number for both.
        output_size: height and width of the result.
        output_ratio: those of the result as parts of the input's, above 0 and below 1; in
            place of output_size.
        return_indices: also return where in its plane each of them was found.
        _random_samples: the random numbers, (n, c, 2) from 0 to 1, one for the axis across
            and one for that down.

    Shape:
        (n, c, h, w) or (c, h, w) -> (n, c, oh, ow) or (c, oh, ow), with oh + kernel - 1 up
        to h

    Raises:
        ValueError: neither or both of output_size and output_ratio are given, or a ratio is
            out of range.
        ShapeError: the windows do not fit into the input.

    Example:
        >>> import pyautodl as ad
        >>> x = ad.arange(16.0).reshape(1, 1, 4, 4)
        >>> ad.nn.functional.fractional_max_pool2d(x, 2, output_size=3)
        tensor([[[[ 5.,  6.,  7.],
                  [ 9., 10., 11.],
                  [13., 14., 15.]]]])

    Source: Graham, "Fractional max-pooling", 2014.
    """
    given = kernel_size, output_size, output_ratio, _random_samples
    found = _pool(2, input, *given)
    return found if return_indices else found[0]


@explained
def fractional_max_pool2d_with_indices(
    input: Tensor,
    kernel_size: Any,
    output_size: Any = None,
    output_ratio: Any = None,
    return_indices: bool = False,
    _random_samples: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Return what `fractional_max_pool2d` does with return_indices=True, of its arguments.

    Example:
        >>> import pyautodl as ad
        >>> x = ad.arange(9.0).reshape(1, 3, 3)
        >>> ad.nn.functional.fractional_max_pool2d_with_indices(x, 2, 2)[1]
        tensor([[[4, 5],
                 [7, 8]]])
    """
    return _pool(2, input, kernel_size, output_size, output_ratio, _random_samples)


@explained
def fractional_max_pool3d(
    input: Tensor,
    kernel_size: Any,
    output_size: Any = None,
    output_ratio: Any = None,
    return_indices: bool = False,
    _random_samples: Tensor | None = None,
) -> Any:
    """Return the largest element of each window over three axes; see
    `fractional_max_pool2d`.

    Args:
        input, kernel_size, output_size, output_ratio, return_indices: as there.
        _random_samples: the random numbers, (n, c, 3), for the axes in their order.

    Shape:
        (n, c, d, h, w) or (c, d, h, w) -> (n, c, od, oh, ow) or (c, od, oh, ow)

    Example:
        >>> import pyautodl as ad
        >>> x = ad.arange(27.0).reshape(1, 3, 3, 3)
        >>> ad.nn.functional.fractional_max_pool3d(x, 2, output_size=2).flatten()
        tensor([13., 14., 16., 17., 22., 23., 25., 26.])
    """
    given = kernel_size, output_size, output_ratio, _random_samples
    found = _pool(3, input, *given)
    return found if return_indices else found[0]


@explained
def fractional_max_pool3d_with_indices(
    input: Tensor,
    kernel_size: Any,
    output_size: Any = None,
    output_ratio: Any = None,
    return_indices: bool = False,
    _random_samples: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Return what `fractional_max_pool3d` does with return_indices=True, of its arguments.

    Example:
        >>> import pyautodl as ad
        >>> x = ad.arange(8.0).reshape(1, 2, 2, 2)
        >>> ad.nn.functional.fractional_max_pool3d_with_indices(x, 2, 1)[1].item()
        7
    """
    return _pool(3, input, kernel_size, output_size, output_ratio, _random_samples)


def _pool(
    axes: int, x: Tensor, kernel_size: Any, size: Any, ratio: Any, samples: Any
) -> tuple[Tensor, Tensor]:
    name = f"fractional_max_pool{axes}d"
    if x.ndim not in (axes + 1, axes + 2):
        raise ShapeError(
            f"{name}: expected {axes + 1} or {axes + 2} axes, got {tuple(x.shape)}"
        )
    if x.dtype.category != FLOATING:
        raise DTypeError(
            f"{name}: expected a floating tensor, got {x.dtype.name}; likely fix: .float()"
        )
    kernel = each_axis(name, "kernel_size", kernel_size, axes)
    images = x if x.ndim == axes + 2 else x.unsqueeze(0)
    spatial = tuple(images.shape[2:])
    sizes = _sizes(name, spatial, size, ratio)
    if min(kernel) < 1 or any(k + o - 1 > n for k, o, n in zip(kernel, sizes, spatial)):
        raise ShapeError(
            f"{name}: windows {kernel} and a result of {sizes} do not fit into {spatial}, "
            "where each axis takes output + kernel - 1; likely fix: a smaller output_size"
        )
    wanted = (*images.shape[:2], axes)
    if samples is None:
        samples = rand(wanted, dtype=x.dtype)
    elif tuple(samples.shape) != wanted:
        raise ShapeError(
            f"{name}: expected _random_samples {wanted}, got {tuple(samples.shape)}"
        )
    # PyTorch draws for two axes from the last on
    order = range(axes) if axes == 3 else (1, 0)
    drawn = samples.detach().to(x.dtype)
    starts = [
        _starts(drawn[..., order[i]], *each)
        for i, each in enumerate(zip(spatial, sizes, kernel))
    ]
    indices = _places(images.detach(), starts, kernel)
    lines = indices.flatten(2)
    found = gather(images.flatten(2), 2, lines).reshape(indices.shape)
    if x.ndim == axes + 1:
        return found.squeeze(0), indices.squeeze(0)
    return found, indices


def _sizes(name: str, spatial: Sequence[int], size: Any, ratio: Any) -> tuple[int, ...]:
    """The sizes of the result."""
    if (size is None) == (ratio is None):
        raise ValueError(
            f"{name}: expected one of output_size and output_ratio, got "
            f"{'none' if size is None else 'both'}"
        )
    if size is not None:
        sizes = each_axis(name, "output_size", size, len(spatial))
    else:
        parts = ratio if isinstance(ratio, (tuple, list)) else (ratio,) * len(spatial)
        check_ratio(name, parts, len(spatial))
        sizes = tuple(int(n * part) for n, part in zip(spatial, parts))
    if min(sizes) < 1:
        raise ShapeError(f"{name}: expected a result above 0, got {sizes}")
    return sizes


def check_ratio(name: str, parts: Sequence[float], axes: int) -> None:
    """Raise ValueError unless there is a part between 0 and 1 for each axis."""
    if len(parts) != axes or not all(0 < part < 1 for part in parts):
        raise ValueError(
            f"{name}: output_ratio must be above 0 and below 1 for each of {axes} axes, got "
            f"{tuple(parts)}"
        )


def _starts(samples: Tensor, n: int, size: int, kernel: int) -> Tensor:
    """Where the windows along an axis begin, (n, c, size)."""
    last = samples.new_full((*samples.shape, 1), n - kernel).long()
    if size == 1:
        return last
    step = (n - kernel) / (size - 1)
    step = float(samples.new_tensor(step).item())
    u = samples.unsqueeze(-1)
    places = (arange(size - 1, dtype=samples.dtype) + u).mul(step).long()
    return cat([places - u.mul(step).long(), last], -1)


def _places(x: Tensor, starts: Sequence[Tensor], kernel: Sequence[int]) -> Tensor:
    """Where in its plane the largest element of each window is: the first in row-major
    order, or the last that is NaN. One axis after the other, from the last on.
    """
    spatial = tuple(x.shape[2:])
    found = arange(prod(spatial)).reshape(spatial).expand(x.shape)
    for axis in range(len(spatial) + 1, 1, -1):
        begins = starts[axis - 2]
        shape = [*begins.shape[:2], *[1] * len(spatial)]
        shape[axis] = begins.shape[2]
        whole = [*x.shape]
        whole[axis] = begins.shape[2]
        at = begins.reshape(shape).expand(whole)
        best, place = gather(x, axis, at), gather(found, axis, at)
        for step in range(1, kernel[axis - 2]):
            value = gather(x, axis, at + step)
            better = (value > best) | isnan(value)
            best = where(better, value, best)
            place = where(better, gather(found, axis, at + step), place)
        x, found = best, place
    return found
