"""Configurations on which the maps of this folder are tested."""

from __future__ import annotations

from typing import Any

import numpy as np

from pyautodl.ops.conv.checks import AXIS_NUMBERS, Ints, Pairs, conv_size

__all__ = [
    "LARGE",
    "SMALL",
    "attributes",
    "conv_arrays",
]


def attributes(
    nd: int,
    stride: int | Ints = 1,
    padding: int | Pairs = 0,
    dilation: int | Ints = 1,
    groups: int = 1,
) -> dict[str, Any]:
    """Attributes from numbers that hold for every axis."""
    return {
        "stride": (stride,) * nd if isinstance(stride, int) else stride,
        "padding": ((padding, padding),) * nd if isinstance(padding, int) else padding,
        "dilation": (dilation,) * nd if isinstance(dilation, int) else dilation,
        "groups": groups,
    }


# (x, weight, numbers), with weights as conv has them
SMALL: tuple[tuple[Ints, Ints, dict[str, Any]], ...] = (
    ((2, 2, 5), (3, 2, 3), attributes(1, padding=1)),
    ((2, 1, 4, 5), (2, 1, 3, 3), attributes(2, padding=1)),
    ((1, 3, 5, 4), (2, 3, 1, 1), attributes(2)),
    (
        (1, 2, 6, 5),
        (2, 2, 3, 2),
        attributes(2, stride=(2, 3), padding=((1, 2), (0, 1))),
    ),
    ((1, 2, 7, 6), (2, 2, 3, 2), attributes(2, stride=2, padding=2, dilation=(2, 3))),
    ((1, 4, 4, 4), (6, 2, 2, 2), attributes(2, groups=2)),
    ((1, 3, 4, 4), (3, 1, 3, 3), attributes(2, padding=1, groups=3)),
    ((1, 2, 4, 3), (4, 1, 2, 2), attributes(2, stride=2, padding=1, groups=2)),
    ((1, 2, 3, 3), (2, 2, 2, 2), attributes(2, stride=4, padding=1, dilation=2)),
    ((1, 2, 5, 4), (1, 2, 2, 2), attributes(2, padding=((1, -1), (0, -2)))),
    ((1, 2, 3, 4, 3), (2, 2, 2, 3, 2), attributes(3, stride=(1, 2, 1), padding=1)),
    ((0, 2, 4, 4), (3, 2, 3, 3), attributes(2)),
    ((2, 0, 3, 3), (2, 0, 2, 2), attributes(2)),
)
# across the blocks of the kernels: many channels, many pixels, tails everywhere
LARGE: tuple[tuple[Ints, Ints, dict[str, Any]], ...] = (
    ((2, 37, 9, 11), (67, 37, 3, 3), attributes(2, padding=1)),
    ((1, 300, 5, 5), (33, 300, 1, 1), attributes(2, stride=2)),
    ((17, 130, 3, 4), (35, 130, 3, 3), attributes(2, padding=1)),
    ((5, 270, 4, 2), (18, 270, 3, 2), attributes(2, padding=1, dilation=(2, 1))),
    ((3, 3, 19, 17), (16, 3, 7, 7), attributes(2, stride=2, padding=3)),
    ((2, 1, 28, 28), (8, 1, 5, 5), attributes(2, padding=2)),
    ((1, 40, 13, 12), (40, 1, 3, 3), attributes(2, stride=2, padding=1, groups=40)),
    ((1, 36, 7, 8), (72, 18, 3, 3), attributes(2, padding=2, dilation=2, groups=2)),
    ((1, 5, 6, 7, 8), (18, 5, 3, 3, 3), attributes(3, stride=2, padding=1)),
    # groups of one channel on one side and several on the other
    ((2, 9, 8, 11), (27, 1, 3, 3), attributes(2, padding=1, groups=9)),
    ((2, 24, 9, 7), (8, 3, 3, 5), attributes(2, stride=2, padding=1, groups=8)),
    ((3, 4, 70), (64, 1, 7), attributes(1, stride=3, dilation=2, groups=4)),
    ((1, 12, 4, 5, 6), (6, 2, 3, 2, 3), attributes(3, padding=1, groups=6)),
    # narrow groups, of as many outputs as inputs: blocks of a row, tails of channels
    ((2, 40, 5, 70), (40, 4, 3, 3), attributes(2, padding=1, groups=10)),
    ((1, 12, 8, 9), (12, 2, 3, 4), attributes(2, stride=2, padding=2, groups=6)),
    ((5, 16, 3, 6, 7), (16, 8, 2, 3, 3), attributes(3, padding=1, groups=2)),
    ((2, 24, 13, 40), (24, 8, 3, 5), attributes(2, padding=4, dilation=2, groups=3)),
    # one tap, read in place; vectors that slide along rows; pieces of a line of planes
    ((2, 37, 9, 11), (48, 37, 1, 1), attributes(2)),
    ((1, 290, 3, 11), (80, 290, 1, 1), attributes(2)),
    ((2, 24, 6, 9), (24, 1, 3, 3), attributes(2, padding=1, groups=24)),
    ((1, 24, 7, 9), (24, 1, 3, 3), attributes(2, stride=2, padding=1, groups=24)),
    ((2, 2, 9, 300), (48, 2, 5, 3), attributes(2, padding=4, dilation=2)),
    # few channels, each by itself: lines in blocks, with tails
    ((2, 3, 19, 190), (3, 1, 11, 5), attributes(2, padding=3, groups=3)),
    ((1, 1, 17, 530), (1, 1, 3, 4), attributes(2, padding=1, dilation=2)),
    # few pixels, in whole vectors, with one left over, and one alone
    ((4, 129, 5, 8), (21, 129, 3, 3), attributes(2, stride=2, padding=1)),
    ((1, 516, 7, 7), (37, 516, 1, 1), attributes(2)),
    ((1, 24, 3, 5, 5), (19, 24, 2, 3, 4), attributes(3, stride=(1, 2, 1), padding=1)),
    ((1, 570, 1), (40, 570, 1), attributes(1)),
)


def conv_arrays(
    rng: np.random.Generator, x: Ints, weight: Ints, numbers: dict[str, Any]
) -> tuple[Any, Any, Any, Ints]:
    """Random x, weight and bias of a conv call, and the shape of its output."""
    spatial = map(conv_size, x[2:], weight[2:], *(numbers[k] for k in AXIS_NUMBERS))
    arrays = [rng.standard_normal(shape) for shape in (x, weight, weight[:1])]
    return *arrays, (x[0], weight[0], *spatial)  # type: ignore[return-value]
