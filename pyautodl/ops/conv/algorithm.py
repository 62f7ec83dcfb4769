"""Which algorithm computes a convolution: chosen by its shape alone, with a cost model.

Costs are counted in multiply-adds: what else an algorithm does (packing, maps) counts as
so many of them as took the same time. The numbers were fitted to the compiled kernels;
threads, machine and contents never enter, so equal calls have equal bits.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from math import prod
from typing import NamedTuple

from pyautodl.backends import codes, current_backend, forget_calls

__all__ = [
    "ALGORITHMS",
    "ConvShape",
    "chosen_algorithm",
    "estimate_costs",
    "get_conv_algorithm",
    "has_few_pixels",
    "is_depthwise",
    "keeps_form",
    "native_algorithm",
    "set_conv_algorithm",
    "use_conv_algorithm",
    "widened",
    "winograd_obstacle",
    "winograd_points",
    "winograd_step",
    "writes_few",
]

Ints = tuple[int, ...]

# auto: the cheapest; precise and im2col: never Winograd; winograd: wherever it can be
ALGORITHMS = ("auto", "precise", "im2col", "winograd")

# multiply-adds as long as mapping a channel of a tile of Winograd's algorithm (to points or
# back), and as mapping a 3x3 kernel to points, by the tile's step
_MAP = {codes.WINOGRAD_STEP: 750, codes.WINOGRAD_SMALL_STEP: 250}
_MAP_WEIGHT = {codes.WINOGRAD_STEP: 600, codes.WINOGRAD_SMALL_STEP: 380}
# for im2col: as copying an element of a pixel's row, as packing a 3x3 kernel, as reading it
# from far away where it lies
_COPY = 8
_PACK_WEIGHT = 300
_READ_WEIGHT = 100

# a channel of its own for each pair of channels of a group (see `widened`): as adding a
# product, and as spreading an element over its pairs, in either direction
_WIDE_PRODUCT = 1.2
_WIDE_COPY = 1.5

# the share of a call that a MB of a weight's packed form must save to be kept
_WORTH_A_MB = 0.0025

_current = "auto"


class ConvShape(NamedTuple):
    """What is known of a convolution before it runs; sizes are those of the forward
    direction, whichever gradient is asked for.
    """

    x: Ints
    weight: Ints
    out: Ints
    stride: Ints
    padding: Ints
    dilation: Ints
    groups: int


def get_conv_algorithm() -> str:
    """The algorithm of convolutions as set: "auto" unless `set_conv_algorithm` changed it.

    Example:
        >>> import pyautodl as ad
        >>> ad.get_conv_algorithm()
        'auto'
    """
    return _current


def set_conv_algorithm(name: str) -> None:
    """Choose how convolutions are computed, for all threads.

    Winograd's algorithm spreads a NaN or an infinity over all outputs of its tile of 6x6
    inputs (4x4 where a batch has few tiles), and may overflow for float32 inputs above
    1e36; "precise" does neither.

    Args:
        name: "auto" takes the cheapest by shape; "precise" keeps to algorithms that
            compute the sums as they stand; "im2col" and "winograd" force one wherever
            it can do the work.

    Raises:
        ValueError: the name is unknown.

    Example:
        >>> import pyautodl as ad
        >>> ad.set_conv_algorithm("precise")
        >>> ad.get_conv_algorithm()
        'precise'
        >>> ad.set_conv_algorithm("auto")
    """
    global _current
    if name not in ALGORITHMS:
        choices = ", ".join(map(repr, ALGORITHMS))
        raise ValueError(
            f"set_conv_algorithm: {name!r} is unknown; choose one of {choices}"
        )
    if name != _current:
        _current = name
        forget_calls()


@contextmanager
def use_conv_algorithm(name: str) -> Iterator[None]:
    """Choose how convolutions are computed, for the length of a block.

    Args:
        name: as for `set_conv_algorithm`.

    Raises:
        ValueError: the name is unknown.

    Example:
        >>> import pyautodl as ad
        >>> with ad.use_conv_algorithm("precise"):
        ...     y = ad.conv2d(ad.ones(1, 16, 32, 32), ad.ones(16, 16, 3, 3))
        >>> y[0, 0, 0, 0].item()
        144.0
    """
    before = _current
    set_conv_algorithm(name)
    try:
        yield
    finally:
        set_conv_algorithm(before)


def native_algorithm(shape: ConvShape) -> str:
    """The algorithm that the kernels are asked for: where compiled ones do the work the
    chosen one, else im2col or depthwise, which every backend has.
    """
    if current_backend() == "native":
        return _chosen(shape, _current)
    return _chosen(shape, "precise")


def chosen_algorithm(shape: ConvShape) -> str:
    """The name of the algorithm that the compiled kernels take for this shape."""
    return _chosen(shape, _current)


@lru_cache(maxsize=4096)
def _chosen(shape: ConvShape, wanted: str) -> str:
    costs = estimate_costs(shape)
    if wanted in costs:
        return wanted
    if wanted == "precise":
        costs.pop("winograd", None)
    return min(costs, key=lambda name: costs[name])


def winograd_obstacle(shape: ConvShape) -> str | None:
    """Why Winograd's algorithm can't do the work; None if it can."""
    if len(shape.stride) != 2 or shape.weight[2:] != (3, 3):
        return "it needs a 3x3 kernel on two axes"
    if shape.stride != (1, 1) or shape.dilation != (1, 1):
        return "it needs stride 1 and dilation 1"
    if shape.groups != 1:
        return "it needs one group"
    if 0 in (*shape.x, *shape.out):
        return "there is nothing to compute"
    return None


def is_depthwise(shape: ConvShape) -> bool:
    """Whether each channel is convolved by itself."""
    return 1 < shape.groups == shape.x[1] == shape.out[1]


@lru_cache(maxsize=4096)
def widened(shape: ConvShape) -> ConvShape | None:
    """The depthwise convolution that gives each pair of an input and an output channel of
    a group a channel of its own, where groups have one channel on one side and several on
    the other; None where they have not.

    The side of one channel is copied as many times, or the copies are summed: x before,
    the output afterwards, and the other way round for the gradients.
    """
    groups = shape.groups
    if groups < 2 or 0 in (*shape.x, *shape.out):
        return None
    ins, outs = shape.x[1] // groups, shape.out[1] // groups
    if min(ins, outs) != 1 or ins == outs:
        return None
    wide = groups * max(ins, outs)
    return shape._replace(
        x=(shape.x[0], wide, *shape.x[2:]),
        weight=(wide, 1, *shape.weight[2:]),
        out=(shape.out[0], wide, *shape.out[2:]),
        groups=wide,
    )


def has_few_pixels(shape: ConvShape) -> bool:
    """Whether im2col has so few rows that it reads the weight as it lies (of float64, for
    which there is no such kernel, it is packed in each call).
    """
    pixels = shape.out[0] * prod(shape.out[2:])
    depth = prod(shape.weight[1:])
    return (
        shape.groups == 1
        and 0 < pixels <= codes.FEW_PIXELS
        and depth >= codes.FEW_DEPTH
    )


def writes_few(shape: ConvShape) -> bool:
    """Whether im2col has so few outputs that its vectors may run along the pixels."""
    return (
        shape.groups == 1
        and shape.out[1] <= codes.NARROW_CHANNELS
        and shape.stride[-1] == 1
        and prod(shape.weight[2:]) > 1
    )


@lru_cache(maxsize=4096)
def keeps_form(shape: ConvShape, algorithm: str, elements: int) -> bool:
    """Whether the packed form of a weight, of so many elements, is worth its memory at
    inference: what it saves is a large enough share of the call.
    """
    if algorithm == "winograd":
        packing = float(_MAP_WEIGHT[winograd_step(shape)] * prod(shape.weight[:2]))
    else:
        packing = _PACK_WEIGHT * prod(shape.weight) / 9
    share = packing / max(1.0, packing, estimate_costs(shape)[algorithm])
    return share >= _WORTH_A_MB * 4e-6 * elements


def estimate_costs(shape: ConvShape) -> dict[str, float]:
    """Multiply-adds, or what takes as long, of each algorithm that can do the work."""
    if is_depthwise(shape):
        return {"depthwise": float(prod(shape.out) * prod(shape.weight[2:]))}
    costs = {"im2col": _im2col_cost(shape)}
    wide = widened(shape)
    if wide is not None:
        each = _WIDE_PRODUCT * prod(wide.weight[2:]) + _WIDE_COPY
        costs["depthwise"] = each * prod(wide.out)
    if winograd_obstacle(shape) is None:
        costs["winograd"] = _winograd_cost(shape, winograd_step(shape))
    return costs


def _im2col_cost(shape: ConvShape) -> float:
    pixels = shape.out[0] * prod(shape.out[2:])
    depth = prod(shape.weight[1:])
    sums = pixels * depth * (shape.out[1] + _COPY * shape.groups) * _met_share(shape)
    each = _READ_WEIGHT if has_few_pixels(shape) else _PACK_WEIGHT
    return sums + each * prod(shape.weight) / 9


def _met_share(shape: ConvShape) -> float:
    """The share of all pairs of an output and a tap that meet the image and so are
    computed.
    """
    if shape.x[0] < codes.TRIM_IMAGES:
        return 1.0
    share = 1.0
    for axis in zip(
        shape.x[2:],
        shape.out[2:],
        shape.weight[2:],
        shape.stride,
        shape.padding,
        shape.dilation,
    ):
        share *= _met_share_of_axis(*axis)
    return share if share <= codes.TRIM_PERCENT / 100 else 1.0


def _met_share_of_axis(
    size: int, out: int, kernel: int, stride: int, padding: int, dilation: int
) -> float:
    """Of each tap, the outputs that it shows a pixel of the image, over all taps."""
    met = 0
    for tap in range(kernel):
        first = tap * dilation - padding
        begin = max(0, -(first // stride))
        end = min(out, (size - 1 - first) // stride + 1)
        met += max(0, end - begin)
    return met / max(1, out * kernel)


@lru_cache(maxsize=4096)
def winograd_step(shape: ConvShape) -> int:
    """The pixels from tile to tile that Winograd's algorithm takes."""
    return min(_MAP, key=lambda step: _winograd_cost(shape, step))


def _winograd_cost(shape: ConvShape, step: int) -> float:
    channels, columns = shape.x[1], shape.out[1]
    tiles = shape.out[0] * prod(-(-size // step) for size in shape.out[2:])
    products = winograd_points(step) * tiles * channels * columns
    maps = _MAP[step] * tiles * (channels + columns)
    return float(products + maps + _MAP_WEIGHT[step] * channels * columns)


def winograd_points(step: int) -> int:
    """The points to which a tile of so many pixels a side is mapped."""
    return (step + 2) ** 2
