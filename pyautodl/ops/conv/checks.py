"""What the maps of this folder share: sizes, and checks that name the call."""

from __future__ import annotations

from collections.abc import Iterable
from math import prod

from pyautodl.backends import Array
from pyautodl.backends.dtypes import DType
from pyautodl.errors import DTypeError, ShapeError
from pyautodl.ops.axes import SMALL_INPUT

__all__ = [
    "AXIS_NUMBERS",
    "MAX_ELEMENTS",
    "MAX_NUMBER",
    "Ints",
    "Pairs",
    "check_bias",
    "check_numbers",
    "check_ranks",
    "check_size",
    "check_types",
    "check_window",
    "conv_size",
    "dtype_of",
    "named_shapes",
    "shape_text",
    "transposed_size",
]

Ints = tuple[int, ...]
Pairs = tuple[tuple[int, int], ...]

AXIS_NUMBERS = ("stride", "padding", "dilation")

# what the kernels' index arithmetic holds without overflow
MAX_NUMBER = 2**31 - 1
MAX_ELEMENTS = 2**59


def shape_text(shape: Iterable[object]) -> str:
    """A shape as errors show it: (2,3,8,8)."""
    return f"({','.join(map(str, shape))})"


def named_shapes(**shapes: Ints | None) -> str:
    """All shapes of a call, for the end of an error message."""
    named = ", ".join(
        f"{name} {shape_text(shape)}"
        for name, shape in shapes.items()
        if shape is not None
    )
    return f"({named})"


def check_types(op: str, **arrays: Array | None) -> DType:
    """The one floating type of all arrays."""
    types = {name: a.dtype for name, a in arrays.items() if a is not None}
    first = types[next(iter(types))]
    if first.is_floating_point and all(each is first for each in types.values()):
        return first
    where = named_shapes(
        **{name: None if a is None else a.shape for name, a in arrays.items()}
    )
    for name, dtype in types.items():
        if not dtype.is_floating_point:
            raise DTypeError(
                f"{op}: expected floating-point arrays but {name} is {dtype.name}; "
                f"cast it with .float() {where}"
            )
    named = ", ".join(f"{each} {t.name}" for each, t in types.items())
    raise DTypeError(
        f"{op}: expected one element type, got {named}; cast with .float() or .double() "
        f"{where}"
    )


def dtype_of(axes: int, x: Array, weight: Array, *rest: Array | None) -> DType:
    """The type of all arrays, which must be one; names are found only for an error."""
    dtype = x.dtype
    if dtype.is_floating_point and weight.dtype is dtype:
        for each in rest:
            if each is not None and each.dtype is not dtype:
                break
        else:
            return dtype
    named = dict(zip(("bias", "scale", "residual"), rest))
    return check_types(f"conv{axes}d", x=x, weight=weight, **named)


def check_numbers(
    op: str, stride: Ints, padding: Pairs, dilation: Ints, groups: int, where: str
) -> None:
    """One number a spatial axis, each within the kernels' range."""
    nd = len(stride)
    if not (len(padding) == len(dilation) == nd and 1 <= nd <= 3):
        raise ValueError(
            f"{op}: expected one number a spatial axis, got stride {stride}, padding "
            f"{padding}, dilation {dilation} {where}"
        )
    named = (
        ("stride", stride, 1),
        ("dilation", dilation, 1),
        ("groups", (groups,), 1),
        ("padding", tuple(lo for lo, _ in padding), 0),
        ("padding", tuple(hi for _, hi in padding), -MAX_NUMBER),
    )
    for name, numbers, least in named:
        if not all(least <= number <= MAX_NUMBER for number in numbers):
            raise ValueError(
                f"{op}: {name} must be from {max(least, 0)} to {MAX_NUMBER}, "
                f"got {shape_text(numbers)} {where}"
            )


def check_ranks(op: str, nd: int, where: str, **shapes: Ints) -> None:
    """Two axes and the spatial ones in each of the shapes."""
    axes = ("n", "c", *("d", "h", "w")[3 - nd :])
    for name, shape in shapes.items():
        if len(shape) != nd + 2:
            one = "" if name == "weight" else f" or {nd + 1} {shape_text(axes[1:])}"
            layout = (
                ("o", "i", *(f"k{s}" for s in axes[2:])) if name == "weight" else axes
            )
            raise ShapeError(
                f"{op}: expected {name} of {nd + 2} axes {shape_text(layout)}{one}, "
                f"got {len(shape)} {where}"
            )


def check_size(op: str, shape: Ints, where: str) -> None:
    """The kernels must be able to address the output."""
    if prod(shape) > MAX_ELEMENTS:
        raise ValueError(
            f"{op}: an output of shape {shape_text(shape)} can't be addressed {where}"
        )


def check_bias(op: str, bias: Ints | None, channels: int, where: str) -> None:
    """One number a channel, if there is a bias."""
    if bias is not None and bias != (channels,):
        raise ShapeError(f"{op}: expected bias of shape ({channels},) {where}")


def check_window(
    op: str, size: Ints, kernel: Ints, padding: Pairs, dilation: Ints, where: str
) -> None:
    """Every output must see a whole window of the padded image."""
    if min(kernel) < 1:
        raise ShapeError(
            f"{op}: kernel size {shape_text(kernel)} must be positive {where}"
        )
    padded = tuple(n + lo + hi for n, (lo, hi) in zip(size, padding))
    extent = tuple(d * (k - 1) + 1 for k, d in zip(kernel, dilation))
    if any(n < e for n, e in zip(padded, extent)):
        raise ShapeError(
            f"{op}: dilated kernel {shape_text(extent)} is larger than the padded "
            f"input {shape_text(padded)} {where}; likely fix: {_window_fix(padded, extent)}"
        )


def _window_fix(padded: Ints, extent: Ints) -> str:
    more = max(e - n for n, e in zip(padded, extent))
    return f"{-(-more // 2)} more of padding, or {SMALL_INPUT}"


def conv_size(size: int, k: int, s: int, pads: tuple[int, int], d: int) -> int:
    """Outputs along one axis: floor((size + pads - d (k-1) - 1) / s) + 1."""
    return (size + pads[0] + pads[1] - d * (k - 1) - 1) // s + 1


def transposed_size(size: int, k: int, s: int, pads: tuple[int, int], d: int) -> int:
    """Outputs of the transpose along one axis: (size-1) s - pads + d (k-1) + 1."""
    return (size - 1) * s - pads[0] - pads[1] + d * (k - 1) + 1
