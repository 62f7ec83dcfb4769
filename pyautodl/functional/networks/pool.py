"""Max and average pooling."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pyautodl.errors import ShapeError
from pyautodl.ops.integers import each_axis, integer
from pyautodl.ops.pool import ADAPTIVE_AVG_POOL, ADAPTIVE_MAX_POOL, AVG_POOL, MAX_POOL
from pyautodl.ops.record import Op, kept_attributes
from pyautodl.tensor import Tensor, apply, apply_known, explained, not_tensor

__all__ = [
    "adaptive_avg_pool1d",
    "adaptive_avg_pool2d",
    "adaptive_avg_pool3d",
    "adaptive_max_pool1d",
    "adaptive_max_pool1d_with_indices",
    "adaptive_max_pool2d",
    "adaptive_max_pool2d_with_indices",
    "adaptive_max_pool3d",
    "adaptive_max_pool3d_with_indices",
    "avg_pool1d",
    "avg_pool2d",
    "avg_pool3d",
    "max_pool1d",
    "max_pool1d_with_indices",
    "max_pool2d",
    "max_pool2d_with_indices",
    "max_pool3d",
    "max_pool3d_with_indices",
]


def window_strides(name: str, stride: Any, kernel: tuple[int, ...]) -> tuple[int, ...]:
    """The steps between windows; PyTorch takes an empty stride for none, too."""
    if stride is None or (isinstance(stride, (tuple, list)) and not stride):
        return kernel
    return each_axis(name, "stride", stride, len(kernel))


def _batched(
    name: str, input: Tensor, axes: int, function: Callable[[Tensor], Any]
) -> Any:
    """Call function on (n, c, ...), also for one image without n."""
    if input.ndim == axes + 2:
        return function(input)
    if input.ndim != axes + 1:
        spatial = ",".join("dhw"[3 - axes :])
        raise ShapeError(
            f"{name}: expected x of {axes + 2} axes (n,c,{spatial}) or {axes + 1} "
            f"(c,{spatial}), got {input.ndim}: {tuple(input.shape)}"
        )
    out = function(input.unsqueeze(0))
    if isinstance(out, tuple):
        return tuple([each.squeeze(0) for each in out])
    return out.squeeze(0)


def max_pool_relu(input: Tensor, numbers: tuple[Any, ...]) -> Tensor:
    """Max pooling of a batch with a ReLU, before or behind, which is the same; `numbers` are
    the other arguments of `max_pool2d`, which return no indices.
    """
    attrs = _max_attributes(input.ndim - 2, *numbers, True)
    y: Tensor = apply_known(MAX_POOL, (input,), attrs)
    return y


def _max_pool(
    axes: int,
    input: Tensor,
    kernel_size: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    ceil_mode: bool,
    return_indices: bool,
) -> Any:
    numbers = (kernel_size, stride, padding, dilation, ceil_mode, return_indices)
    return _apply_windows(MAX_POOL, _max_attributes, axes, input, numbers)


def _apply_windows(
    op: Op, attributes: Any, axes: int, input: Tensor, numbers: tuple[Any, ...]
) -> Any:
    """Apply an op with the attributes for such numbers."""
    attrs = attributes(axes, *numbers)
    if not isinstance(input, Tensor):
        raise not_tensor(f"{op.name}{axes}d", input)
    if len(input._array.shape) == axes + 2:
        return apply_known(op, (input,), attrs)
    name = f"{op.name}{axes}d"
    return _batched(name, input, axes, lambda x: apply_known(op, (x,), attrs))


@kept_attributes
def _max_attributes(
    axes: int,
    kernel_size: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    ceil_mode: bool,
    return_indices: bool,
    relu: bool = False,
) -> dict[str, Any]:
    name = f"max_pool{axes}d"
    kernel = each_axis(name, "kernel_size", kernel_size, axes)
    return {
        "kernel_size": kernel,
        "stride": window_strides(name, stride, kernel),
        "padding": each_axis(name, "padding", padding, axes),
        "dilation": each_axis(name, "dilation", dilation, axes),
        "ceil_mode": bool(ceil_mode),
        "return_indices": bool(return_indices),
        "relu": relu,
    }


def max_pool1d(
    input: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """Take the largest element of each window along the last axis; see `max_pool2d`.

    Shape:
        (n, c, l) or (c, l) -> (n, c, ol) or (c, ol)

    Example:
        >>> import pyautodl as ad
        >>> ad.max_pool1d(ad.tensor([[[1.0, 3.0, 2.0, 4.0]]]), 2)
        tensor([[[3., 4.]]])
    """
    return _max_pool(
        1, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices
    )


def max_pool2d(
    input: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """Take the largest element of each window.

    Of equal elements the first in row-major order wins and gets the whole gradient. NaN
    wins over numbers. Where PyTorch would return -inf, since a dilated window reaches
    over more than the padded input or sees padding alone, this is an error.

    Args:
        input: the images.
        kernel_size: the window's height and width, or one number for both.
        stride: steps between windows; default kernel_size.
        padding: positions of -inf on each side, at most half of kernel_size.
        dilation: steps between the cells of a window.
        ceil_mode: keep a last window that hangs over the end.
        return_indices: also return where each maximum is, counted in row-major order
            over the input's spatial axes.

    Shape:
        (n, c, h, w) or (c, h, w) -> (n, c, oh, ow) or (c, oh, ow), with
        oh = floor((h + 2 padding - dilation (kernel_size - 1) - 1) / stride) + 1

    Raises:
        ShapeError: the window does not fit into the padded input, or would see padding
            alone.
        ValueError: padding exceeds half of kernel_size, or a number is below its least.

    Example:
        >>> import pyautodl as ad
        >>> x = ad.tensor([[[[22.0, 2, 19, 88], [2, 8, 20, 18]]]])
        >>> ad.nn.functional.max_pool2d(x, 2)
        tensor([[[[22., 88.]]]])
    """
    return _max_pool(
        2, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices
    )


@explained
def max_pool3d(
    input: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """Take the largest element of each window over three axes; see `max_pool2d`.

    Shape:
        (n, c, d, h, w) or (c, d, h, w) -> (n, c, od, oh, ow) or (c, od, oh, ow)

    Example:
        >>> import pyautodl as ad
        >>> ad.max_pool3d(ad.arange(8.0).reshape(1, 1, 2, 2, 2), 2)
        tensor([[[[[7.]]]]])
    """
    return _max_pool(
        3, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices
    )


@explained
def max_pool1d_with_indices(
    input: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """Return `max_pool1d`, whose arguments it has, and where each maximum is.

    Example:
        >>> import pyautodl as ad
        >>> ad.max_pool1d_with_indices(ad.tensor([[[1.0, 3.0, 2.0, 4.0]]]), 2)
        (tensor([[[3., 4.]]]), tensor([[[1, 3]]]))
    """
    return _max_pool(1, input, kernel_size, stride, padding, dilation, ceil_mode, True)


@explained
def max_pool2d_with_indices(
    input: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """Return `max_pool2d`, whose arguments it has, and where each maximum is.

    Example:
        >>> import pyautodl as ad
        >>> ad.nn.functional.max_pool2d_with_indices(ad.eye(2).reshape(1, 1, 2, 2), 2)
        (tensor([[[[1.]]]]), tensor([[[[0]]]]))
    """
    return _max_pool(2, input, kernel_size, stride, padding, dilation, ceil_mode, True)


@explained
def max_pool3d_with_indices(
    input: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """Return `max_pool3d`, whose arguments it has, and where each maximum is.

    Example:
        >>> import pyautodl as ad
        >>> x = ad.arange(8.0).reshape(1, 1, 2, 2, 2)
        >>> ad.nn.functional.max_pool3d_with_indices(x, 2)
        (tensor([[[[[7.]]]]]), tensor([[[[[7]]]]]))
    """
    return _max_pool(3, input, kernel_size, stride, padding, dilation, ceil_mode, True)


def _avg_pool(
    axes: int,
    input: Tensor,
    kernel_size: Any,
    stride: Any,
    padding: Any,
    ceil_mode: bool,
    count_include_pad: bool,
    divisor_override: int | None,
) -> Tensor:
    numbers = (
        kernel_size,
        stride,
        padding,
        ceil_mode,
        count_include_pad,
        divisor_override,
    )
    out: Tensor = _apply_windows(AVG_POOL, _avg_attributes, axes, input, numbers)
    return out


@kept_attributes
def _avg_attributes(
    axes: int,
    kernel_size: Any,
    stride: Any,
    padding: Any,
    ceil_mode: bool,
    count_include_pad: bool,
    divisor_override: int | None,
) -> dict[str, Any]:
    name = f"avg_pool{axes}d"
    kernel = each_axis(name, "kernel_size", kernel_size, axes)
    divisor = divisor_override
    if divisor is not None:
        divisor = integer(name, "divisor_override", divisor)
    return {
        "kernel_size": kernel,
        "stride": window_strides(name, stride, kernel),
        "padding": each_axis(name, "padding", padding, axes),
        "ceil_mode": bool(ceil_mode),
        "count_include_pad": bool(count_include_pad),
        "divisor_override": divisor,
    }


def avg_pool1d(
    input: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Tensor:
    """Average each window along the last axis; see `avg_pool2d`.

    Shape:
        (n, c, l) or (c, l) -> (n, c, ol) or (c, ol)

    Example:
        >>> import pyautodl as ad
        >>> ad.avg_pool1d(ad.tensor([[[1.0, 3.0, 2.0, 4.0]]]), 2)
        tensor([[[2., 3.]]])
    """
    return _avg_pool(
        1, input, kernel_size, stride, padding, ceil_mode, count_include_pad, None
    )


def avg_pool2d(
    input: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """Average each window.

    Args:
        input: the images.
        kernel_size: the window's height and width, or one number for both.
        stride: steps between windows; default kernel_size.
        padding: zeros on each side, at most half of kernel_size.
        ceil_mode: keep a last window that hangs over the end.
        count_include_pad: count the padding's zeros in the average.
        divisor_override: divide each window's sum by this.

    Shape:
        (n, c, h, w) or (c, h, w) -> (n, c, oh, ow) or (c, oh, ow), with
        oh = floor((h + 2 padding - kernel_size) / stride) + 1

    Raises:
        ShapeError: the window does not fit into the padded input.
        ValueError: padding exceeds half of kernel_size, or a number is below its least.

    Example:
        >>> import pyautodl as ad
        >>> ad.nn.functional.avg_pool2d(ad.tensor([[[[1.0, 3.0], [2.0, 4.0]]]]), 2)
        tensor([[[[2.5000]]]])
    """
    return _avg_pool(
        2,
        input,
        kernel_size,
        stride,
        padding,
        ceil_mode,
        count_include_pad,
        divisor_override,
    )


@explained
def avg_pool3d(
    input: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """Average each window over three axes; see `avg_pool2d`.

    Shape:
        (n, c, d, h, w) or (c, d, h, w) -> (n, c, od, oh, ow) or (c, od, oh, ow)

    Example:
        >>> import pyautodl as ad
        >>> x = ad.arange(8.0).reshape(1, 1, 2, 2, 2)
        >>> ad.nn.functional.avg_pool3d(x, 2)
        tensor([[[[[3.5000]]]]])
    """
    return _avg_pool(
        3,
        input,
        kernel_size,
        stride,
        padding,
        ceil_mode,
        count_include_pad,
        divisor_override,
    )


def _adaptive(
    name: str, axes: int, input: Tensor, output_size: Any, op: Any, **attrs: Any
) -> Any:
    sizes = output_size if isinstance(output_size, (tuple, list)) else (output_size,)
    if len(sizes) == 1:
        sizes = tuple(sizes) * axes
    # None keeps the input's size
    shape = input._array.shape
    spatial = shape[max(len(shape) - axes, 0) :]
    if len(sizes) == len(spatial):
        sizes = [now if size is None else size for size, now in zip(sizes, spatial)]
    attrs["output_size"] = each_axis(name, "output_size", tuple(sizes), axes)
    return _batched(name, input, axes, lambda x: apply(op, x, **attrs))


@explained
def adaptive_avg_pool1d(input: Tensor, output_size: Any) -> Tensor:
    """Average windows that split the last axis into `output_size` parts.

    Args:
        input: signals.
        output_size: how many parts; None keeps the input's size.

    Shape:
        (n, c, l) or (c, l) -> (n, c, output_size) or (c, output_size)

    Example:
        >>> import pyautodl as ad
        >>> ad.adaptive_avg_pool1d(ad.tensor([[[1.0, 3.0, 2.0, 4.0]]]), 2)
        tensor([[[2., 3.]]])
    """
    out: Tensor = _adaptive(
        "adaptive_avg_pool1d", 1, input, output_size, ADAPTIVE_AVG_POOL
    )
    return out


@explained
def adaptive_avg_pool2d(input: Tensor, output_size: Any) -> Tensor:
    """Average windows that split the image into `output_size` parts.

    Window i of an axis reaches from floor(i in / out) to ceil((i + 1) in / out).

    Args:
        input: the images.
        output_size: (oh, ow) or one number for both; None keeps the input's size.

    Shape:
        (n, c, h, w) or (c, h, w) -> (n, c, oh, ow) or (c, oh, ow)

    Raises:
        ShapeError: the input has no pixels or a size is negative.

    Example:
        >>> import pyautodl as ad
        >>> x = ad.tensor([[[[1.0, 3.0], [2.0, 4.0]]]])
        >>> ad.nn.functional.adaptive_avg_pool2d(x, 1)
        tensor([[[[2.5000]]]])
    """
    out: Tensor = _adaptive(
        "adaptive_avg_pool2d", 2, input, output_size, ADAPTIVE_AVG_POOL
    )
    return out


@explained
def adaptive_avg_pool3d(input: Tensor, output_size: Any) -> Tensor:
    """Average windows that split three axes into `output_size` parts.

    Args:
        input: volumes.
        output_size: (od, oh, ow) or one number for all; None keeps the input's size.

    Shape:
        (n, c, d, h, w) or (c, d, h, w) -> (n, c, od, oh, ow) or (c, od, oh, ow)

    Example:
        >>> import pyautodl as ad
        >>> x = ad.arange(8.0).reshape(1, 1, 2, 2, 2)
        >>> ad.nn.functional.adaptive_avg_pool3d(x, 1)
        tensor([[[[[3.5000]]]]])
    """
    out: Tensor = _adaptive(
        "adaptive_avg_pool3d", 3, input, output_size, ADAPTIVE_AVG_POOL
    )
    return out


@explained
def adaptive_max_pool1d(
    input: Tensor, output_size: Any, return_indices: bool = False
) -> Any:
    """Take the largest element of windows that split the last axis in parts.

    Args:
        input: signals.
        output_size: how many parts; None keeps the input's size.
        return_indices: also return where each maximum is, as `max_pool1d` does.

    Shape:
        (n, c, l) or (c, l) -> (n, c, output_size) or (c, output_size)

    Example:
        >>> import pyautodl as ad
        >>> x = ad.tensor([[[1.0, 3.0, 2.0, 4.0]]])
        >>> ad.nn.functional.adaptive_max_pool1d(x, 2)
        tensor([[[3., 4.]]])
    """
    return _adaptive(
        "adaptive_max_pool1d",
        1,
        input,
        output_size,
        ADAPTIVE_MAX_POOL,
        return_indices=bool(return_indices),
    )


@explained
def adaptive_max_pool2d(
    input: Tensor, output_size: Any, return_indices: bool = False
) -> Any:
    """Take the largest element of windows that split the image in parts.

    Args:
        input: the images.
        output_size: (oh, ow) or one number for both; None keeps the input's size.
        return_indices: also return where each maximum is, as `max_pool2d` does.

    Shape:
        (n, c, h, w) or (c, h, w) -> (n, c, oh, ow) or (c, oh, ow)

    Example:
        >>> import pyautodl as ad
        >>> x = ad.tensor([[[[1.0, 3.0], [2.0, 4.0]]]])
        >>> ad.nn.functional.adaptive_max_pool2d(x, 1)
        tensor([[[[4.]]]])
    """
    return _adaptive(
        "adaptive_max_pool2d",
        2,
        input,
        output_size,
        ADAPTIVE_MAX_POOL,
        return_indices=bool(return_indices),
    )


@explained
def adaptive_max_pool3d(
    input: Tensor, output_size: Any, return_indices: bool = False
) -> Any:
    """Take the largest element of windows that split three axes in parts.

    Args:
        input: volumes.
        output_size: (od, oh, ow) or one number for all; None keeps the input's size.
        return_indices: also return where each maximum is, as `max_pool3d` does.

    Shape:
        (n, c, d, h, w) or (c, d, h, w) -> (n, c, od, oh, ow) or (c, od, oh, ow)

    Example:
        >>> import pyautodl as ad
        >>> x = ad.arange(8.0).reshape(1, 1, 2, 2, 2)
        >>> ad.nn.functional.adaptive_max_pool3d(x, 1)
        tensor([[[[[7.]]]]])
    """
    return _adaptive(
        "adaptive_max_pool3d",
        3,
        input,
        output_size,
        ADAPTIVE_MAX_POOL,
        return_indices=bool(return_indices),
    )


@explained
def adaptive_max_pool1d_with_indices(
    input: Tensor, output_size: Any, return_indices: bool = False
) -> Any:
    """Return `adaptive_max_pool1d`, whose arguments it has, and where each maximum is.

    Example:
        >>> import pyautodl as ad
        >>> x = ad.tensor([[[1.0, 3.0, 2.0, 4.0]]])
        >>> ad.nn.functional.adaptive_max_pool1d_with_indices(x, 2)
        (tensor([[[3., 4.]]]), tensor([[[1, 3]]]))
    """
    return adaptive_max_pool1d(input, output_size, True)


@explained
def adaptive_max_pool2d_with_indices(
    input: Tensor, output_size: Any, return_indices: bool = False
) -> Any:
    """Return `adaptive_max_pool2d`, whose arguments it has, and where each maximum is.

    Example:
        >>> import pyautodl as ad
        >>> x = ad.eye(2).reshape(1, 1, 2, 2)
        >>> ad.nn.functional.adaptive_max_pool2d_with_indices(x, 1)
        (tensor([[[[1.]]]]), tensor([[[[0]]]]))
    """
    return adaptive_max_pool2d(input, output_size, True)


@explained
def adaptive_max_pool3d_with_indices(
    input: Tensor, output_size: Any, return_indices: bool = False
) -> Any:
    """Return `adaptive_max_pool3d`, whose arguments it has, and where each maximum is.

    Example:
        >>> import pyautodl as ad
        >>> x = ad.arange(8.0).reshape(1, 1, 2, 2, 2)
        >>> ad.nn.functional.adaptive_max_pool3d_with_indices(x, 1)
        (tensor([[[[[7.]]]]]), tensor([[[[[7]]]]]))
    """
    return adaptive_max_pool3d(input, output_size, True)
