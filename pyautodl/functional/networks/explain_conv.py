"""Why a convolution is computed as it is."""

from __future__ import annotations

from math import prod
from typing import Any, NamedTuple

from pyautodl.functional.networks.conv import conv_padding
from pyautodl.ops.conv import conv_kernel, conv_shape
from pyautodl.ops.conv.algorithm import (
    ConvShape,
    chosen_algorithm,
    estimate_costs,
    get_conv_algorithm,
    is_depthwise,
    widened,
    winograd_obstacle,
    winograd_step,
)
from pyautodl.ops.integers import each_axis, integer, integers
from pyautodl.tensor import Tensor, explained

__all__ = ["ConvExplanation", "explain_conv"]

Ints = tuple[int, ...]


class ConvExplanation(NamedTuple):
    """What `explain_conv` found; `print` shows it as a table.

    Args:
        algorithm: the one that is taken, forward and for both gradients.
        reason: why.
        costs: for each algorithm that can do the work, its cost in multiply-adds; what
            else it does (copies, maps) counts as so many of them as take the same time.
        multiply_adds: those of the definition.
        output_shape: the shape of the output.
        weight: how it is read where no gradient is recorded, and what is kept beside it.
    """

    algorithm: str
    reason: str
    costs: dict[str, float]
    multiply_adds: int
    output_shape: Ints
    weight: str

    def __str__(self) -> str:
        lines = [
            f"{self.algorithm}: {self.reason}",
            f"   {'cost':<10} multiply-adds   share",
        ]
        rows = sorted(self.costs.items(), key=lambda item: item[1])
        for name, cost in [*rows, ("definition", self.multiply_adds)]:
            share = cost / self.multiply_adds if self.multiply_adds else 1.0
            mark = "*" if name == self.algorithm else " "
            lines.append(f" {mark} {name:<10} {cost / 1e6:>11,.2f} M {share:>7.2f}")
        lines.append(f"   without gradients the weight is {self.weight}")
        return "\n".join(lines)


@explained
def explain_conv(
    input: Ints | Tensor,
    weight: Ints | Tensor,
    stride: int | Ints = 1,
    padding: int | Ints | str = 0,
    dilation: int | Ints = 1,
    groups: int = 1,
) -> ConvExplanation:
    """Return which algorithm computes a convolution, why, and what each would cost.

    How they treat NaN, infinities and very large inputs says `set_conv_algorithm`.

    Args:
        input: the input or its shape, (n, c, spatial...) of 3 to 5 axes.
        weight: the weight or its shape, (outputs, c / groups, kernel...).
        stride: as in `conv2d`.
        padding: as in `conv2d`.
        dilation: as in `conv2d`.
        groups: as in `conv2d`.

    Raises:
        ShapeError: the shapes do not fit together.

    Example:
        >>> import pyautodl as ad
        >>> print(ad.explain_conv((32, 64, 56, 56), (64, 64, 3, 3), padding=1))
        winograd: the cheapest by the cost model, in tiles of 4x4 outputs
           cost       multiply-adds   share
         * winograd      1,529.41 M    0.41
           im2col        4,163.03 M    1.13
           definition    3,699.38 M    1.00
           without gradients the weight is packed once, 0.15 M elements kept beside it
    """
    shape = _shape(
        _shape_of("input", input),
        _shape_of("weight", weight),
        stride,
        padding,
        dilation,
        integer("explain_conv", "groups", groups),
    )
    costs = estimate_costs(shape)
    taken = chosen_algorithm(shape)
    return ConvExplanation(
        algorithm=taken,
        reason=_reason(shape, taken, costs) + _tiles_text(shape, taken),
        costs=costs,
        multiply_adds=prod(shape.out) * prod(shape.weight[1:]),
        output_shape=shape.out,
        weight=_weight_text(shape, taken),
    )


def _tiles_text(shape: ConvShape, taken: str) -> str:
    if taken != "winograd":
        return ""
    step = winograd_step(shape)
    return f", in tiles of {step}x{step} outputs"


def _weight_text(shape: ConvShape, taken: str) -> str:
    wide = widened(shape)
    if wide is not None and taken == "depthwise":
        # sums over copies are for training alone
        spread = wide.out == shape.out
        shape, taken = (wide, taken) if spread else (shape, "im2col")
    kernel = conv_kernel(shape, taken)
    if kernel.packing is None:
        return "read as it lies"
    if not kernel.keeps:
        return "packed in each call"
    elements = prod(kernel.packing[1])
    return f"packed once, {elements / 1e6:.2f} M elements kept beside it"


def _shape_of(what: str, given: Any) -> Ints:
    shape = given.shape if isinstance(given, Tensor) else given
    return integers("explain_conv", what, shape)


def _shape(
    x: Ints,
    weight: Ints,
    stride: int | Ints,
    padding: int | Ints | str,
    dilation: int | Ints,
    groups: int,
) -> ConvShape:
    axes = max(1, len(weight) - 2)
    strides = each_axis("explain_conv", "stride", stride, axes)
    dilations = each_axis("explain_conv", "dilation", dilation, axes)
    pads = conv_padding("explain_conv", padding, x, weight, strides, dilations)
    out = conv_shape(x, weight, None, strides, pads, dilations, groups)
    before = tuple(pair[0] for pair in pads)
    return ConvShape(x, weight, out, strides, before, dilations, groups)


def _reason(shape: ConvShape, taken: str, costs: dict[str, float]) -> str:
    wanted = get_conv_algorithm()
    if taken == "depthwise" and is_depthwise(shape):
        return "each channel has a group of its own"
    if taken == "depthwise":
        return "each pair of channels of a group gets a channel of its own"
    if len(costs) == 1:
        return f"Winograd's algorithm can't do it: {winograd_obstacle(shape)}"
    if wanted == taken:
        return "set by set_conv_algorithm"
    if wanted == "precise":
        return "the cheapest of the exact ones, as set by set_conv_algorithm('precise')"
    return "the cheapest by the cost model"
