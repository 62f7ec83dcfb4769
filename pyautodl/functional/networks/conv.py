"""Convolutions, transposed convolutions, and patches as columns."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pyautodl.errors import ShapeError, describe
from pyautodl.functional.eltwise.unary import check_tensor
from pyautodl.graph import MODE
from pyautodl.ops.conv import (
    COL2IM,
    CONV,
    CONV_EPILOGUE,
    CONV_RELU,
    CONV_TRANSPOSE,
    IM2COL,
    LINEAR,
    shape_text,
)
from pyautodl.ops.conv.call import run_prepared_conv
from pyautodl.ops.integers import each_axis, integer
from pyautodl.ops.record import kept_attributes
from pyautodl.tensor import Tensor, apply, apply_known, array_of, explained, make

# Tensor.unfold, by which pyautodl.unfold would be understood, is another function
__all__ = [
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
]

Ints = tuple[int, ...]
Pairs = tuple[tuple[int, int], ...]


def same_padding(size: int, kernel: int, stride: int, dilation: int) -> tuple[int, int]:
    """TensorFlow's padding for ceil(size / stride) outputs: the odd pixel at the end."""
    outputs = -(-size // stride)
    total = max((outputs - 1) * stride + dilation * (kernel - 1) + 1 - size, 0)
    return total // 2, total - total // 2


def conv_padding(
    name: str, padding: Any, x: Ints, weight: Ints, stride: Ints, dilation: Ints
) -> Pairs:
    """Padding as pairs (before, after) for shapes x and weight."""
    axes = len(stride)
    if not isinstance(padding, str):
        return tuple((p, p) for p in each_axis(name, "padding", padding, axes))
    if padding == "valid":
        return ((0, 0),) * axes
    if padding != "same":
        raise ValueError(
            f"{name}: padding must be numbers, 'valid' or 'same', got {describe(padding)}"
        )
    sizes, kernels = x[-axes:], weight[-axes:]
    if min(stride) < 1:
        return ((0, 0),) * axes  # the shape rule refuses it
    return tuple(map(same_padding, sizes, kernels, stride, dilation))


def _batched(x: Tensor, axes: int, function: Callable[[Tensor], Tensor]) -> Tensor:
    """Call function on (n, c, ...), also for one image without n."""
    if x.ndim != axes + 1:
        return function(x)
    y: Tensor = function(x.unsqueeze(0)).squeeze(0)
    return y


def _attributes(
    axes: int, input: Tensor, weight: Tensor, *numbers: Any
) -> Mapping[str, Any]:
    """The op's attributes from stride, padding, dilation and groups as users give them."""
    try:
        shapes = (input._array.shape, weight._array.shape)
    except AttributeError:
        for what, each in (("input", input), ("weight", weight)):
            check_tensor(f"conv{axes}d", each, what)
        raise
    if type(numbers[1]) is not str:
        # what is kept does not depend on them
        return _find_attributes(axes, None, None, *numbers)
    return _find_attributes(axes, *shapes, *numbers)


def conv_attributes(x: Ints, weight: Tensor, *numbers: Any) -> tuple[Any, ...]:
    """The same as a tuple, for an image of shape x: what decides a convolution's way."""
    shape = weight._array.shape
    return tuple(_find_attributes(len(shape) - 2, x, shape, *numbers).values())


@kept_attributes
def _find_attributes(
    axes: int,
    x: Any,
    weight: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    groups: int,
) -> dict[str, Any]:
    """The shapes `x` and `weight` matter to padding in words alone."""
    name = f"conv{axes}d"
    strides = each_axis(name, "stride", stride, axes)
    dilations = each_axis(name, "dilation", dilation, axes)
    pads = conv_padding(name, padding, x, weight, strides, dilations)
    return {
        "stride": strides,
        "padding": pads,
        "dilation": dilations,
        "groups": integer(name, "groups", groups),
    }


def _conv(
    axes: int, input: Tensor, weight: Tensor, bias: Tensor | None, *numbers: Any
) -> Tensor:
    attrs = _attributes(axes, input, weight, *numbers)
    if (
        not MODE.enabled
        and input.ndim == axes + 2
        and not (numbers[3] != 1 and _is_multiplied(weight, bias, numbers[3]))
    ):
        # the weights' packed form is kept; of many small ones, there is little to keep
        return _with_epilogue((input, weight, None, bias, None), LINEAR, attrs)
    if input.ndim != axes + 1:
        y: Tensor = apply_known(CONV, (input, weight, bias), attrs)
        return y
    return _batched(input, axes, lambda x: apply_known(CONV, (x, weight, bias), attrs))


def _is_multiplied(weight: Tensor, bias: Tensor | None, groups: int) -> bool:
    """Whether groups have one channel on one side and several on the other, and may be
    those of a depthwise convolution.
    """
    if weight.ndim < 2:
        return False
    outputs, inputs = weight.shape[:2]
    if inputs == 1:
        return outputs != groups
    return outputs == groups and bias is None


def conv_relu(
    input: Tensor, weight: Tensor, bias: Tensor | None, *numbers: Any
) -> Tensor:
    """relu(conv(input, weight, bias)) in one kernel, recorded as one call, for batches."""
    attrs = _attributes(weight.ndim - 2, input, weight, *numbers)
    y: Tensor = apply_known(CONV_RELU, (input, weight, bias), attrs)
    return y


def conv_epilogue(
    input: Tensor,
    weight: Tensor,
    scale: Tensor | None,
    bias: Tensor | None,
    residual: Tensor | None,
    activation: tuple[int, float, float],
    *numbers: Any,
) -> Tensor:
    """activation(scale * conv(input, weight) + bias + residual) without a gradient, for
    batches.

    `activation` is the kernel's number for it and two parameters, `numbers` are stride,
    padding, dilation and groups.
    """
    attrs = _attributes(weight.ndim - 2, input, weight, *numbers)
    return _with_epilogue((input, weight, scale, bias, residual), activation, attrs)


def _with_epilogue(
    reads: Sequence[Any], activation: tuple[int, float, float], attrs: Any
) -> Tensor:
    """By a prepared call if there is one."""
    if all([each is None or isinstance(each, Tensor) for each in reads]):
        arrays = [None if each is None else array_of(each) for each in reads]
        made = run_prepared_conv(arrays, activation, tuple(attrs.values()))
        if made is not None:
            return make(made, None, False)
    else:
        for what, each in zip(("input", "weight", "scale", "bias", "residual"), reads):
            if each is not None:
                check_tensor(f"conv{len(attrs['stride'])}d", each, what)
    y: Tensor = apply(CONV_EPILOGUE, *reads, activation=activation, **attrs)
    return y


def conv1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    """Slide each filter along the sequence and sum the products.

    Args:
        input: (n, c, l) or (c, l).
        weight: (o, c/groups, k), o filters.
        bias: (o), added to every position.
        stride: step between windows.
        padding: zeros on either side, 'valid' for none, or 'same' for
            ceil(l / stride) outputs (with a stride > 1 by TensorFlow's rule, the odd
            zero at the end).
        dilation: step between the taps of a filter.
        groups: split channels and filters into so many groups that do not mix.

    Shape:
        (n, c, l) -> (n, o, ol), ol = floor((l + 2 padding - dilation (k-1) - 1) /
        stride) + 1.

    Raises:
        ShapeError: shapes, channels or groups do not fit.
        DTypeError: element types differ or are not floating.
        ValueError: stride, padding or dilation is out of range.

    Example:
        >>> import pyautodl as ad
        >>> x = ad.tensor([[[1.0, 2.0, 3.0, 4.0]]])
        >>> ad.conv1d(x, ad.tensor([[[1.0, 1.0]]]))
        tensor([[[3., 5., 7.]]])
    """
    return _conv(1, input, weight, bias, stride, padding, dilation, groups)


def conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    """Slide each filter over the image and sum the products.

    Args:
        input: (n, c, h, w) or (c, h, w).
        weight: (o, c/groups, kh, kw), o filters.
        bias: (o), added to every pixel.
        stride: step between windows, one number or two.
        padding: zeros on each side, one number or two, 'valid' for none, or 'same' for
            ceil(h / stride) outputs (with a stride > 1 by TensorFlow's rule, the odd
            zero at the end).
        dilation: step between the taps of a filter.
        groups: split channels and filters into so many groups that do not mix.

    Shape:
        (n, c, h, w) -> (n, o, oh, ow), oh = floor((h + 2 padding - dilation (kh-1) - 1)
        / stride) + 1.

    Raises:
        ShapeError: shapes, channels or groups do not fit.
        DTypeError: element types differ or are not floating.
        ValueError: stride, padding or dilation is out of range.

    Example:
        >>> import pyautodl as ad
        >>> x = ad.arange(9.0).reshape(1, 1, 3, 3)
        >>> ad.conv2d(x, ad.ones(1, 1, 2, 2))
        tensor([[[[ 8., 12.],
                  [20., 24.]]]])
    """
    return _conv(2, input, weight, bias, stride, padding, dilation, groups)


def conv3d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    """Slide each filter through the volume and sum the products.

    Args:
        input: (n, c, d, h, w) or (c, d, h, w).
        weight: (o, c/groups, kd, kh, kw), o filters.
        bias: (o), added to every voxel.
        stride: step between windows, one number or three.
        padding: zeros on each side, one number or three, 'valid' or 'same'.
        dilation: step between the taps of a filter.
        groups: split channels and filters into so many groups that do not mix.

    Shape:
        (n, c, d, h, w) -> (n, o, od, oh, ow), od = floor((d + 2 padding - dilation
        (kd-1) - 1) / stride) + 1.

    Raises:
        ShapeError: shapes, channels or groups do not fit.
        DTypeError: element types differ or are not floating.
        ValueError: stride, padding or dilation is out of range.

    Example:
        >>> import pyautodl as ad
        >>> ad.conv3d(ad.ones(1, 2, 4, 4, 4), ad.ones(3, 2, 2, 2, 2)).shape
        pyautodl.Size([1, 3, 3, 3, 3])
    """
    return _conv(3, input, weight, bias, stride, padding, dilation, groups)


# ---- transposed ----


def _conv_transpose(
    axes: int,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Any,
    padding: Any,
    output_padding: Any,
    groups: int,
    dilation: Any,
) -> Tensor:
    name = f"conv_transpose{axes}d"
    strides = each_axis(name, "stride", stride, axes)
    dilations = each_axis(name, "dilation", dilation, axes)
    paddings = each_axis(name, "padding", padding, axes)
    extra = each_axis(name, "output_padding", output_padding, axes)
    groups = integer(name, "groups", groups)
    if any(not 0 <= e < max(s, d, 1) for e, s, d in zip(extra, strides, dilations)):
        raise ValueError(
            f"{name}: output_padding must be smaller than stride or dilation, got "
            f"output_padding {shape_text(extra)}, stride {shape_text(strides)}, "
            f"dilation {shape_text(dilations)}"
        )
    # more rows at the end is less cut off there
    pads = tuple((p, p - e) for p, e in zip(paddings, extra))

    def run(x: Tensor) -> Tensor:
        y: Tensor = apply(
            CONV_TRANSPOSE,
            x,
            weight,
            bias,
            stride=strides,
            padding=pads,
            dilation=dilations,
            groups=groups,
        )
        return y

    return _batched(input, axes, run)


@explained
def conv_transpose1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Tensor:
    """Transpose of conv1d: each value lays its filter, scaled, into the output.

    Args:
        input: (n, c, l) or (c, l).
        weight: (c, o/groups, k).
        bias: (o), added to every position.
        stride: step between the filters laid into the output.
        padding: positions cut off on either side.
        output_padding: positions added at the end; they are computed, not zero.
        groups: split channels into so many groups that do not mix.
        dilation: step between the taps of a filter.

    Shape:
        (n, c, l) -> (n, o, ol), ol = (l-1) stride - 2 padding + dilation (k-1) +
        output_padding + 1.

    Raises:
        ShapeError: shapes, channels or groups do not fit.
        DTypeError: element types differ or are not floating.
        ValueError: a number is out of range.

    Example:
        >>> import pyautodl as ad
        >>> x = ad.tensor([[[1.0, 2.0]]])
        >>> ad.conv_transpose1d(x, ad.tensor([[[1.0, 1.0, 1.0]]]), stride=2)
        tensor([[[1., 1., 3., 2., 2.]]])
    """
    return _conv_transpose(
        1, input, weight, bias, stride, padding, output_padding, groups, dilation
    )


@explained
def conv_transpose2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Tensor:
    """Transpose of conv2d: each pixel lays its filter, scaled, into the output.

    Args:
        input: (n, c, h, w) or (c, h, w).
        weight: (c, o/groups, kh, kw).
        bias: (o), added to every pixel.
        stride: step between the filters laid into the output.
        padding: rows and columns cut off on each side.
        output_padding: rows and columns added at the end; they are computed, not zero.
        groups: split channels into so many groups that do not mix.
        dilation: step between the taps of a filter.

    Shape:
        (n, c, h, w) -> (n, o, oh, ow), oh = (h-1) stride - 2 padding + dilation (kh-1)
        + output_padding + 1.

    Raises:
        ShapeError: shapes, channels or groups do not fit.
        DTypeError: element types differ or are not floating.
        ValueError: a number is out of range.

    Example:
        >>> import pyautodl as ad
        >>> ad.conv_transpose2d(ad.ones(1, 1, 1, 2), ad.ones(1, 1, 2, 2), stride=2)
        tensor([[[[1., 1., 1., 1.],
                  [1., 1., 1., 1.]]]])
    """
    return _conv_transpose(
        2, input, weight, bias, stride, padding, output_padding, groups, dilation
    )


@explained
def conv_transpose3d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Tensor:
    """Transpose of conv3d: each voxel lays its filter, scaled, into the output.

    Args:
        input: (n, c, d, h, w) or (c, d, h, w).
        weight: (c, o/groups, kd, kh, kw).
        bias: (o), added to every voxel.
        stride: step between the filters laid into the output.
        padding: planes cut off on each side.
        output_padding: planes added at the end; they are computed, not zero.
        groups: split channels into so many groups that do not mix.
        dilation: step between the taps of a filter.

    Shape:
        (n, c, d, h, w) -> (n, o, od, oh, ow), od = (d-1) stride - 2 padding + dilation
        (kd-1) + output_padding + 1.

    Raises:
        ShapeError: shapes, channels or groups do not fit.
        DTypeError: element types differ or are not floating.
        ValueError: a number is out of range.

    Example:
        >>> import pyautodl as ad
        >>> x, w = ad.ones(1, 2, 3, 3, 3), ad.ones(2, 4, 2, 2, 2)
        >>> ad.conv_transpose3d(x, w, stride=2).shape
        pyautodl.Size([1, 4, 6, 6, 6])
    """
    return _conv_transpose(
        3, input, weight, bias, stride, padding, output_padding, groups, dilation
    )


# ---- patches ----


@explained
def unfold(
    input: Tensor,
    kernel_size: Any,
    dilation: Any = 1,
    padding: Any = 0,
    stride: Any = 1,
) -> Tensor:
    """Lay out every patch of the image as a column.

    Args:
        input: (n, c, h, w) or (c, h, w).
        kernel_size: size of a patch, one number or two.
        dilation: step between the pixels of a patch.
        padding: zeros on each side.
        stride: step between patches.

    Shape:
        (n, c, h, w) -> (n, c kh kw, patches), patches row by row.

    Raises:
        ShapeError: a patch is larger than the padded image.
        ValueError: a number is out of range.

    Example:
        >>> import pyautodl as ad
        >>> import pyautodl.nn.functional as F
        >>> F.unfold(ad.arange(6.0).reshape(1, 1, 2, 3), 2)
        tensor([[[0., 1.],
                 [1., 2.],
                 [3., 4.],
                 [4., 5.]]])
    """
    numbers = {
        "kernel": each_axis("unfold", "kernel_size", kernel_size, 2),
        "stride": each_axis("unfold", "stride", stride, 2),
        "padding": each_axis("unfold", "padding", padding, 2),
        "dilation": each_axis("unfold", "dilation", dilation, 2),
    }
    return _batched(input, 2, lambda x: apply(IM2COL, x, **numbers))


@explained
def fold(
    input: Tensor,
    output_size: Any,
    kernel_size: Any,
    dilation: Any = 1,
    padding: Any = 0,
    stride: Any = 1,
) -> Tensor:
    """Add columns of patches into an image, each at its place.

    Args:
        input: (n, c kh kw, patches) or (c kh kw, patches), as `unfold` gives it.
        output_size: (h, w) of the image.
        kernel_size: size of a patch, one number or two.
        dilation: step between the pixels of a patch.
        padding: zeros that surrounded the image; what falls on them is dropped.
        stride: step between patches.

    Shape:
        (n, c kh kw, patches) -> (n, c, h, w).

    Raises:
        ShapeError: the columns do not fit the image.
        ValueError: a number is out of range.

    Example:
        >>> import pyautodl as ad
        >>> import pyautodl.nn.functional as F
        >>> F.fold(ad.ones(1, 4, 2), (2, 3), 2)
        tensor([[[[1., 2., 1.],
                  [1., 2., 1.]]]])
    """
    numbers = {
        "size": each_axis("fold", "output_size", output_size, 2),
        "kernel": each_axis("fold", "kernel_size", kernel_size, 2),
        "stride": each_axis("fold", "stride", stride, 2),
        "padding": each_axis("fold", "padding", padding, 2),
        "dilation": each_axis("fold", "dilation", dilation, 2),
    }
    return _batched(input, 1, lambda x: apply(COL2IM, x, **numbers))


def transposed_output_padding(
    name: str,
    input: Tensor,
    output_size: Sequence[int],
    kernel_size: Ints,
    stride: Ints,
    padding: Ints,
    dilation: Ints,
) -> Ints:
    """The output padding with which a transposed convolution gives `output_size`.

    Raises:
        ShapeError: it can't give it; names the sizes that it can give.
    """
    axes = len(stride)
    wanted = tuple(output_size)
    if len(wanted) == input.ndim:
        wanted = wanted[-axes:]
    if len(wanted) != axes:
        raise ShapeError(
            f"{name}: output_size must have {axes} numbers, got {shape_text(wanted)}"
        )
    least = tuple(
        (n - 1) * s - 2 * p + d * (k - 1) + 1
        for n, k, s, p, d in zip(
            input.shape[-axes:], kernel_size, stride, padding, dilation
        )
    )
    extra = tuple(w - m for w, m in zip(wanted, least))
    if any(not 0 <= e < s for e, s in zip(extra, stride)):
        most = tuple(m + s - 1 for m, s in zip(least, stride))
        raise ShapeError(
            f"{name}: output_size must be from {shape_text(least)} to "
            f"{shape_text(most)} for an input of {shape_text(input.shape)}, got "
            f"{shape_text(wanted)}"
        )
    return extra
