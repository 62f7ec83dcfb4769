"""Convolutional layers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pyautodl.errors import ShapeError
from pyautodl.functional.copy import pad
from pyautodl.functional.creation import empty
from pyautodl.functional.networks import conv
from pyautodl.nn import init
from pyautodl.nn._sizes import memory_for, size
from pyautodl.nn.module import Module
from pyautodl.nn.parameter import Parameter
from pyautodl.ops.integers import each_axis
from pyautodl.tensor import Tensor

__all__ = [
    "Conv1d",
    "Conv2d",
    "Conv3d",
    "ConvTranspose1d",
    "ConvTranspose2d",
    "ConvTranspose3d",
]

_PADDING_MODES = ("zeros", "reflect", "replicate", "circular")


class _ConvNd(Module):
    """What all convolutions share: numbers, parameters, their start, repr."""

    axes: int
    transposed: bool
    function: Callable[..., Tensor]

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any,
        padding: Any,
        dilation: Any,
        output_padding: Any,
        groups: int,
        bias: bool,
        padding_mode: str,
        device: Any,
        dtype: Any,
    ) -> None:
        super().__init__()
        self.in_channels = self._size("in_channels", in_channels)
        self.out_channels = self._size("out_channels", out_channels)
        self.kernel_size = self._numbers("kernel_size", kernel_size)
        self.stride = self._numbers("stride", stride)
        self.padding: Any = (
            padding if isinstance(padding, str) else self._numbers("padding", padding)
        )
        self.dilation = self._numbers("dilation", dilation)
        self.output_padding = self._numbers("output_padding", output_padding)
        self.groups = self._size("groups", groups)
        self.padding_mode = padding_mode
        self._check()
        self._make_parameters(bias, {"device": device, "dtype": dtype})
        self.reset_parameters()

    def _size(self, what: str, value: Any) -> int:
        return size(type(self).__name__, what, value)

    def _numbers(self, what: str, value: Any) -> tuple[int, ...]:
        return each_axis(type(self).__name__, what, value, self.axes)

    def _check(self) -> None:
        name = type(self).__name__
        if self.groups < 1:
            raise ValueError(f"{name}: groups must be positive, got {self.groups}")
        for what in ("in_channels", "out_channels"):
            if getattr(self, what) % self.groups:
                raise ShapeError(
                    f"{name}: {what} {getattr(self, what)} can't be split into "
                    f"{self.groups} groups"
                )
        modes = ("zeros",) if self.transposed else _PADDING_MODES
        if self.padding_mode not in modes:
            raise ValueError(
                f"{name}: padding_mode must be one of {modes}, got {self.padding_mode!r}"
            )
        if isinstance(self.padding, str) and self.padding not in ("same", "valid"):
            raise ValueError(
                f"{name}: padding must be numbers, 'valid' or 'same', "
                f"got {self.padding!r}"
            )

    def _make_parameters(self, bias: bool, kind: dict[str, Any]) -> None:
        rows, columns = self.out_channels, self.in_channels
        if self.transposed:
            rows, columns = columns, rows
        shape = (rows, columns // self.groups, *self.kernel_size)
        self.weight = Parameter(memory_for(type(self).__name__, *shape, **kind))
        if bias:
            self.bias = Parameter(empty(self.out_channels, **kind))
        else:
            self.register_parameter("bias", None)

    def reset_parameters(self) -> None:
        """Draw the parameters anew, uniform in +-1/sqrt(inputs of an output)."""
        init._reset_layer(self.weight, self.bias)

    def extra_repr(self) -> str:
        text = (
            f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, "
            f"stride={self.stride}"
        )
        zeros, ones = (0,) * self.axes, (1,) * self.axes
        shown = (
            ("padding", zeros),
            ("dilation", ones),
            ("output_padding", zeros),
            ("groups", 1),
        )
        for name, default in shown:
            if getattr(self, name) != default:
                text += f", {name}={getattr(self, name)}"
        if self.bias is None:
            text += ", bias=False"
        if self.padding_mode != "zeros":
            text += f", padding_mode={self.padding_mode}"
        return text


class _Conv(_ConvNd):
    """A convolution over some number of axes."""

    transposed = False

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding,
            dilation,
            0,
            groups,
            bias,
            padding_mode,
            device,
            dtype,
        )

    def _pad(self, input: Tensor) -> Tensor:
        """Pad with what is not zeros; the convolution itself then does not."""
        axes = self.axes
        if self.padding == "valid":
            pairs = [(0, 0)] * axes
        elif self.padding == "same":
            numbers = (self.kernel_size, self.stride, self.dilation)
            pairs = list(map(conv.same_padding, input.shape[-axes:], *numbers))
        else:
            pairs = [(p, p) for p in self.padding]
        # pad counts axes from the last on
        widths = [width for pair in reversed(pairs) for width in pair]
        padded: Tensor = pad(input, widths, mode=self.padding_mode)
        return padded

    def forward(self, input: Tensor) -> Tensor:
        """Convolve `input` with the layer's filters."""
        padding = self.padding
        if self.padding_mode != "zeros":
            input, padding = self._pad(input), 0
        numbers = (self.stride, padding, self.dilation, self.groups)
        return self.function(input, self.weight, self.bias, *numbers)


class Conv1d(_Conv):
    """Slides `out_channels` learned filters along sequences.

    Weight and bias start uniform in +-1/sqrt(in_channels/groups * kernel_size).

    Args:
        in_channels: channels of the input.
        out_channels: number of filters.
        kernel_size: length of a filter.
        stride: step between windows.
        padding: elements on either side, 'valid' for none, or 'same' for
            ceil(l / stride) outputs (with a stride > 1 by TensorFlow's rule, the odd
            element at the end).
        dilation: step between the taps of a filter.
        groups: split the channels into so many groups that do not mix.
        bias: whether to add a bias.
        padding_mode: 'zeros', 'reflect', 'replicate' or 'circular'.
        device: 'cpu' or None.
        dtype: element type of the parameters.

    Shape:
        (n, c, l) or (c, l) -> (n, o, ol) or (o, ol), ol = floor((l + 2 padding -
        dilation (kernel_size-1) - 1) / stride) + 1.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl import nn
        >>> nn.Conv1d(16, 33, 3, stride=2)(ad.ones(20, 16, 50)).shape
        pyautodl.Size([20, 33, 24])
    """

    axes = 1
    function = staticmethod(conv.conv1d)


class Conv2d(_Conv):
    """Slides `out_channels` learned filters over images.

    Weight and bias start uniform in +-1/sqrt(in_channels/groups * kh * kw).

    Args:
        in_channels: channels of the input.
        out_channels: number of filters.
        kernel_size: size of a filter, one number or two.
        stride: step between windows.
        padding: pixels on each side, 'valid' for none, or 'same' for
            ceil(h / stride) outputs (with a stride > 1 by TensorFlow's rule, the odd
            pixel at the end).
        dilation: step between the taps of a filter.
        groups: split the channels into so many groups that do not mix.
        bias: whether to add a bias.
        padding_mode: 'zeros', 'reflect', 'replicate' or 'circular'.
        device: 'cpu' or None.
        dtype: element type of the parameters.

    Shape:
        (n, c, h, w) or (c, h, w) -> (n, o, oh, ow) or (o, oh, ow), oh = floor((h + 2
        padding - dilation (kh-1) - 1) / stride) + 1.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl import nn
        >>> nn.Conv2d(3, 8, 3, padding=1)(ad.ones(2, 3, 28, 28)).shape
        pyautodl.Size([2, 8, 28, 28])
    """

    axes = 2
    function = staticmethod(conv.conv2d)


class Conv3d(_Conv):
    """Slides `out_channels` learned filters through volumes.

    Weight and bias start uniform in +-1/sqrt(in_channels/groups * kd * kh * kw).

    Args:
        in_channels: channels of the input.
        out_channels: number of filters.
        kernel_size: size of a filter, one number or three.
        stride: step between windows.
        padding: voxels on each side, 'valid' for none, or 'same' for
            ceil(d / stride) outputs.
        dilation: step between the taps of a filter.
        groups: split the channels into so many groups that do not mix.
        bias: whether to add a bias.
        padding_mode: 'zeros', 'reflect', 'replicate' or 'circular'.
        device: 'cpu' or None.
        dtype: element type of the parameters.

    Shape:
        (n, c, d, h, w) or (c, d, h, w) -> (n, o, od, oh, ow) or (o, od, oh, ow),
        od = floor((d + 2 padding - dilation (kd-1) - 1) / stride) + 1.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl import nn
        >>> nn.Conv3d(2, 4, 3, stride=(2, 1, 1))(ad.ones(1, 2, 9, 8, 8)).shape
        pyautodl.Size([1, 4, 4, 6, 6])
    """

    axes = 3
    function = staticmethod(conv.conv3d)


class _ConvTranspose(_ConvNd):
    """A transposed convolution over some number of axes."""

    transposed = True

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        output_padding: Any = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Any = 1,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding,
            dilation,
            output_padding,
            groups,
            bias,
            padding_mode,
            device,
            dtype,
        )

    def _check(self) -> None:
        super()._check()
        if isinstance(self.padding, str):
            raise ValueError(
                f"{type(self).__name__}: padding must be numbers, got {self.padding!r}"
            )

    def forward(
        self, input: Tensor, output_size: Sequence[int] | None = None
    ) -> Tensor:
        """Lay the filters into the output; `output_size` chooses its output padding."""
        extra = self.output_padding
        if output_size is not None:
            extra = conv.transposed_output_padding(
                type(self).__name__,
                input,
                output_size,
                self.kernel_size,
                self.stride,
                self.padding,
                self.dilation,
            )
        numbers = (self.stride, self.padding, extra, self.groups, self.dilation)
        return self.function(input, self.weight, self.bias, *numbers)


class ConvTranspose1d(_ConvTranspose):
    """Transpose of Conv1d: with a stride it makes sequences longer.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel_size: length of a filter.
        stride: step between the filters laid into the output.
        padding: elements cut off on either side.
        output_padding: elements added at the end; they are computed, not zero.
        groups: split the channels into so many groups that do not mix.
        bias: whether to add a bias.
        dilation: step between the taps of a filter.
        padding_mode: 'zeros'.
        device: 'cpu' or None.
        dtype: element type of the parameters.

    Shape:
        (n, c, l) or (c, l) -> (n, o, ol) or (o, ol), ol = (l-1) stride - 2 padding +
        dilation (kernel_size-1) + output_padding + 1.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl import nn
        >>> up = nn.ConvTranspose1d(4, 2, 3, stride=2, padding=1)
        >>> up(ad.ones(1, 4, 13)).shape
        pyautodl.Size([1, 2, 25])
        >>> up(ad.ones(1, 4, 13), output_size=[26]).shape
        pyautodl.Size([1, 2, 26])
    """

    axes = 1
    function = staticmethod(conv.conv_transpose1d)


class ConvTranspose2d(_ConvTranspose):
    """Transpose of Conv2d: with a stride it makes images larger.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel_size: size of a filter, one number or two.
        stride: step between the filters laid into the output.
        padding: rows and columns cut off on each side.
        output_padding: rows and columns added at the end; they are computed, not zero.
            Where a Conv2d of the same numbers halves an even size, 1 brings it back;
            calling the layer with `output_size=` chooses it.
        groups: split the channels into so many groups that do not mix.
        bias: whether to add a bias.
        dilation: step between the taps of a filter.
        padding_mode: 'zeros'.
        device: 'cpu' or None.
        dtype: element type of the parameters.

    Shape:
        (n, c, h, w) or (c, h, w) -> (n, o, oh, ow) or (o, oh, ow), oh = (h-1) stride
        - 2 padding + dilation (kh-1) + output_padding + 1.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl import nn
        >>> down = nn.Conv2d(1, 4, 3, stride=2, padding=1)
        >>> up = nn.ConvTranspose2d(4, 1, 3, stride=2, padding=1)
        >>> x = ad.ones(1, 1, 12, 12)
        >>> up(down(x), output_size=x.shape).shape
        pyautodl.Size([1, 1, 12, 12])
    """

    axes = 2
    function = staticmethod(conv.conv_transpose2d)


class ConvTranspose3d(_ConvTranspose):
    """Transpose of Conv3d: with a stride it makes volumes larger.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel_size: size of a filter, one number or three.
        stride: step between the filters laid into the output.
        padding: planes cut off on each side.
        output_padding: planes added at the end; they are computed, not zero.
        groups: split the channels into so many groups that do not mix.
        bias: whether to add a bias.
        dilation: step between the taps of a filter.
        padding_mode: 'zeros'.
        device: 'cpu' or None.
        dtype: element type of the parameters.

    Shape:
        (n, c, d, h, w) or (c, d, h, w) -> (n, o, od, oh, ow) or (o, od, oh, ow), od =
        (d-1) stride - 2 padding + dilation (kd-1) + output_padding + 1.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl import nn
        >>> nn.ConvTranspose3d(2, 3, 2, stride=2)(ad.ones(1, 2, 3, 4, 5)).shape
        pyautodl.Size([1, 3, 6, 8, 10])
    """

    axes = 3
    function = staticmethod(conv.conv_transpose3d)
