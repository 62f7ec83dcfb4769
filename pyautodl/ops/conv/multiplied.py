"""Groups of one channel on one side and several on the other, as depthwise convolutions:
the side of one channel is copied for each of the others, or summed over the copies.
"""

from __future__ import annotations

from collections.abc import Callable

from pyautodl.backends import (
    Array,
    KernelCall,
    Made,
    Seen,
    channels_last_strides,
    contiguous_strides,
    pinned_backend,
)
from pyautodl.backends.dtypes import DType
from pyautodl.ops.conv.algorithm import ConvShape, native_algorithm, widened
from pyautodl.ops.conv.checks import Ints
from pyautodl.ops.conv.kernels import laid_out
from pyautodl.ops.plan import Plan, StepsPlan, seen

__all__ = [
    "is_spread",
    "is_summed",
    "plain_algorithm",
    "seen_wide",
    "spread_made",
    "spread_views",
    "summed_views",
    "wide_form",
    "wide_plan",
]

_View = tuple[Ints, Ints]
# the call of the depthwise kernel, given its image, its weight, the bias and its output
_Depthwise = Callable[[Seen, Seen, Seen, Made], KernelCall]


def wide_form(shape: ConvShape) -> ConvShape | None:
    """The depthwise convolution that takes the place of this one; None: it pays not, or
    the convolution is depthwise itself, or the backend can't copy and sum.
    """
    wide = widened(shape)
    if wide is None or native_algorithm(shape) != "depthwise":
        return None
    return None if pinned_backend() == "jit" else wide


def plain_algorithm(shape: ConvShape) -> str:
    """The algorithm of a kernel that is called alone."""
    return "im2col" if wide_form(shape) else native_algorithm(shape)


def is_spread(shape: ConvShape) -> bool:
    """Whether forward the channels of x are copied, and nothing is summed."""
    wide = wide_form(shape)
    return wide is not None and wide.out == shape.out


def is_summed(shape: ConvShape) -> bool:
    """Whether forward the copies of the output's channels are summed, where nothing follows
    the sums of a pixel.
    """
    wide = wide_form(shape)
    return wide is not None and wide.out != shape.out


def _split(shape: Ints, strides: Ints, copies: int) -> _View:
    """A view with an axis of the copies behind that of the channels."""
    n, c, *spatial = shape
    channel = strides[1]
    view = (n, c // copies, copies, *spatial)
    return view, (strides[0], channel * copies, channel, *strides[2:])


def spread_views(x: Array, wide: Ints) -> tuple[_View, _View]:
    """How `x` and the array of shape `wide`, with channels last, are seen by the kernel
    that copies the one to the other.
    """
    n, c, *spatial = x.shape
    copies = wide[1] // c
    repeated = (x.strides[0], x.strides[1], 0, *x.strides[2:])
    target = _split(wide, channels_last_strides(wide), copies)
    return ((n, c, copies, *spatial), repeated), target


def spread_made(x: Array, wide: Ints, place: int) -> KernelCall:
    """The call that copies each channel of input number `place`, an `x`."""
    read, written = spread_views(x, wide)
    made = Made(wide, x.dtype, channels_last_strides(wide), written)
    return KernelCall("copy", [Seen(place, x.dtype.code, *read)], [made], ())


def seen_wide(place: int, dtype: DType, wide: Ints) -> Seen:
    """Array number `place` of shape `wide`, with channels last."""
    return Seen(place, dtype.code, wide, channels_last_strides(wide))


def summed_views(wide: Ints, out: Ints) -> tuple[_View, _View]:
    """How arrays of these shapes, both with channels last, are seen by the kernel that sums
    the first over the copies into the second.
    """
    strides = channels_last_strides(out)
    view = _split(wide, channels_last_strides(wide), wide[1] // out[1])
    return view, (
        (out[0], out[1], 1, *out[2:]),
        (strides[0], strides[1], 1, *strides[2:]),
    )


def _add_copies(place: int, dtype: DType, wide: Ints, out: Ints) -> KernelCall:
    """The call that sums array number `place`, of shape `wide`, over the copies."""
    view, kept = summed_views(wide, out)
    made = Made(out, dtype, channels_last_strides(out), kept)
    return KernelCall("sum", [Seen(place, dtype.code, *view)], [made], (), (1.0,))


def wide_plan(
    inputs: tuple[Array, Array, Array | None],
    weight: Ints,
    image: tuple[Ints, Ints],
    out: tuple[Ints, Ints],
    depthwise: _Depthwise,
) -> Plan:
    """A call by a depthwise one, with copies of x before it or sums behind it.

    Args:
        inputs: x, the weight and the bias.
        weight: the weight's shape in the depthwise call.
        image: the shapes of x and of what the depthwise call reads.
        out: the shapes of the output and of what the depthwise call writes.
        depthwise: makes that call.
    """
    x = inputs[0]
    steps: list[KernelCall] = []
    place = 0
    if image[0] != image[1]:
        steps.append(spread_made(x, image[1], 0))
        place = len(inputs)

    def build(x: Array, kernel: Array, bias: Array | None) -> Plan:
        made = Made(out[1], x.dtype, channels_last_strides(out[1]))
        read = Seen(1, x.dtype.code, weight, contiguous_strides(weight))
        wide = seen_wide(place, x.dtype, image[1])
        calls = [*steps, depthwise(wide, read, seen(2, bias), made)]
        if out[0] != out[1]:
            calls.append(_add_copies(len(calls) + 2, x.dtype, out[1], out[0]))
        return StepsPlan(calls, len(inputs))

    layout = "channels_last" if place == 0 else "any"
    return laid_out(build, inputs, (layout, "rows", "rows"))
