"""Max and average pooling over one to three spatial axes.

A rule turns the user's arguments into the geometry that the kernels take: kernel,
stride, padding and dilation for three axes (absent ones in front), bounded so that no
index arithmetic in a kernel can overflow. The gradient ops work on that geometry alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from math import prod
from typing import Any

import numpy as np

from pyautodl.backends import Array, channels_last_strides, constant, empty, run
from pyautodl.backends.dtypes import FLOATING, int32, int64, uint8
from pyautodl.errors import DTypeError, ShapeError
from pyautodl.ops.axes import SMALL_INPUT
from pyautodl.ops.layout import ensure_channels_last
from pyautodl.ops.record import ErrorCase, Op, Sample, Spec, register
from pyautodl.ops.views import copied

__all__ = [
    "ADAPTIVE_AVG_POOL",
    "ADAPTIVE_MAX_POOL",
    "AVG_POOL",
    "AVG_POOL_AGAIN",
    "AVG_POOL_GRAD",
    "MAX_POOL",
    "MAX_POOL_GRAD",
    "MAX_POOL_TAKE",
]

Ints = tuple[int, ...]

_AXES = 3
# cell numbers are kept as uint8 up to here, as int32 above
_SMALL_WINDOW = 255
_LARGEST_WINDOW = 2**31 - 1
# fewer fill no vector
_FEW_CHANNELS = 16
_LARGEST_INT = 2**63 - 1


# ---- checks and geometry ----


def _check_length(name: str, what: str, values: Ints, x: Ints) -> None:
    if len(values) != len(x) - 2:
        raise ShapeError(
            f"{name}: {what} {values} must have one number for each of the "
            f"{len(x) - 2} spatial axes of x {x}"
        )


def _output_size(size: int, reach: int, stride: int, padding: int, ceil: bool) -> int:
    """Windows along one axis; with ceil the last may hang over, but starts inside."""
    out = (size + 2 * padding - reach + (stride - 1 if ceil else 0)) // stride + 1
    if ceil and (out - 1) * stride >= size + padding:
        out -= 1
    return out


def _check_axis(
    name: str, x: Ints, kernel: int, stride: int, padding: int, dilation: int
) -> None:
    for what, value in (
        ("kernel_size", kernel),
        ("stride", stride),
        ("dilation", dilation),
    ):
        if value < 1:
            raise ValueError(f"{name}: {what} must be at least 1, got {value} (x {x})")
    if padding < 0 or 2 * padding > kernel:
        raise ValueError(
            f"{name}: padding must be from 0 to half of kernel_size, got padding "
            f"{padding} for kernel_size {kernel} (x {x})"
        )


def _axis_windows(
    name: str,
    x: Ints,
    size: int,
    kernel: int,
    stride: int,
    padding: int,
    dilation: int,
    ceil: bool,
) -> tuple[int, Ints]:
    """How many windows an axis has; (kernel, stride, padding, dilation) bounded."""
    _check_axis(name, x, kernel, stride, padding, dilation)
    padded = size + 2 * padding
    reach = (kernel - 1) * dilation + 1
    out = _output_size(size, reach, stride, padding, ceil)
    empty = out < 1 or _has_empty_window(size, stride, padding, dilation)
    if size < 1 or (reach > padded and empty):
        raise ShapeError(
            f"{name}: the window reaches over {reach} positions (kernel_size {kernel}, "
            f"dilation {dilation}), the padded input has {padded} (x {x}, padding "
            f"{padding}); likely fix: {SMALL_INPUT}"
        )
    if empty:
        raise ShapeError(
            f"{name}: a window would hold padding alone (x {x}, kernel_size {kernel}, "
            f"stride {stride}, padding {padding}, dilation {dilation})"
        )
    if kernel == 1:
        dilation = 1
    # beyond the padded input no cell and no window exists
    return out, (min(kernel, padded), min(stride, padded), padding, dilation)


def _has_empty_window(size: int, stride: int, padding: int, dilation: int) -> bool:
    """Whether a dilated window steps over the whole input.

    Only one that starts in the padding can: it comes in at (start mod dilation).
    """
    if dilation <= size:
        return False
    starts = range(-padding, 0, stride)
    return any(start % dilation >= size for start in starts)


def _geometry(
    name: str, x: Ints, out: Sequence[int], axes: Sequence[Ints]
) -> tuple[Ints, Ints]:
    """The output's shape; kernel, stride, padding, dilation, three numbers each."""
    shape = (*x[:2], *out)
    full = [(1, 1, 0, 1)] * (_AXES - len(axes)) + list(axes)
    cells = prod(axis[0] for axis in full)
    if cells > _LARGEST_WINDOW or prod(shape) > _LARGEST_INT:
        raise ShapeError(
            f"{name}: the window would have {cells} cells and the output the shape "
            f"{shape} (x {x}); that can't be addressed"
        )
    return shape, tuple(axis[i] for i in range(4) for axis in full)


@lru_cache(maxsize=4096)
def _windows(
    name: str,
    x: Ints,
    kernel_size: Ints,
    stride: Ints,
    padding: Ints,
    dilation: Ints,
    ceil_mode: bool,
) -> tuple[Ints, Ints]:
    """The output's shape and the geometry of fixed windows."""
    for what, values in (
        ("kernel_size", kernel_size),
        ("stride", stride),
        ("padding", padding),
        ("dilation", dilation),
    ):
        _check_length(name, what, values, x)
    axes = [
        _axis_windows(name, x, *each, ceil_mode)
        for each in zip(x[2:], kernel_size, stride, padding, dilation, strict=True)
    ]
    return _geometry(name, x, [out for out, _ in axes], [axis for _, axis in axes])


@lru_cache(maxsize=4096)
def _adaptive_windows(name: str, x: Ints, output_size: Ints) -> tuple[Ints, Ints]:
    """The output's shape and the geometry of windows that follow from the sizes."""
    _check_length(name, "output_size", output_size, x)
    axes = []
    for size, out in zip(x[2:], output_size, strict=True):
        if out < 0 or size < 1 or out * size > _LARGEST_INT:
            raise ShapeError(f"{name}: can't pool x {x} to output_size {output_size}")
        extent = 1 if out == 0 else -(-size // out) + (size % out != 0)
        axes.append((extent, 1, 0, 1))
    return _geometry(name, x, output_size, axes)


def _name(kind: str, x: Array) -> str:
    """The user's function, after the checks that do not depend on its attributes."""
    name = f"{kind}{max(len(x.shape) - 2, 1)}d"
    if x.dtype.category != FLOATING:
        raise DTypeError(
            f"{name}: expected a floating tensor, got {x.dtype.name} (x {x.shape}); "
            "likely fix: x.float()"
        )
    if not 3 <= len(x.shape) <= 2 + _AXES:
        raise ShapeError(
            f"{name}: expected (n, c, one to three spatial axes), got x {x.shape}"
        )
    return name


# ---- max pooling ----


def _max_specs(x: Array, shape: Ints, return_indices: bool) -> tuple[Spec, ...]:
    y = Spec(shape, x.dtype)
    return (y, Spec(shape, int64)) if return_indices else (y,)


def _max_windows(
    x: Array,
    kernel_size: Ints,
    stride: Ints,
    padding: Ints,
    dilation: Ints,
    ceil_mode: bool,
) -> tuple[Ints, Ints]:
    name = _name("max_pool", x)
    return _windows(name, x.shape, kernel_size, stride, padding, dilation, ceil_mode)


def _max_rule(
    x: Array, return_indices: bool = False, relu: bool = False, **attrs: Any
) -> tuple[Spec, ...]:
    return _max_specs(x, _max_windows(x, **attrs)[0], return_indices)


def _max_forward(
    ctx: Any,
    needs: Sequence[bool],
    x: Array,
    return_indices: bool = False,
    relu: bool = False,
    **attrs: Any,
) -> Any:
    shape, window = _max_windows(x, **attrs)
    return _run_max(ctx, needs, x, shape, (*window, 0), return_indices, relu)


def _adaptive_max_rule(
    x: Array, output_size: Ints, return_indices: bool = False
) -> tuple[Spec, ...]:
    shape, _ = _adaptive_windows(_name("adaptive_max_pool", x), x.shape, output_size)
    return _max_specs(x, shape, return_indices)


def _adaptive_max_forward(
    ctx: Any,
    needs: Sequence[bool],
    x: Array,
    output_size: Ints,
    return_indices: bool = False,
) -> Any:
    shape, window = _adaptive_windows(
        _name("adaptive_max_pool", x), x.shape, output_size
    )
    return _run_max(ctx, needs, x, shape, (*window, 1), return_indices)


def _run_max(
    ctx: Any,
    needs: Sequence[bool],
    x: Array,
    shape: Ints,
    window: Ints,
    return_indices: bool,
    relu: bool = False,
) -> Any:
    """`relu`: of windows whose largest element is not positive none wins."""
    x = ensure_channels_last(ctx, x)
    strides = channels_last_strides(shape)
    y = ctx.empty(shape, x.dtype, strides)
    cell = indices = None
    if needs[0] or return_indices:
        kind = uint8 if prod(window[:_AXES]) <= _SMALL_WINDOW else int32
        cell = ctx.empty(shape, kind, strides)
    if return_indices:
        indices = ctx.empty(shape, int64, strides)
    run("max_pool_fwd", (x,), (y, cell, indices), (*window, int(relu)))
    if needs[0]:
        ctx.save(cell)
        ctx.info = window
    return (y, indices) if return_indices else y


def _max_vjp(call: Any, ctx: Any, needs: Any, g: Any, *others: Any) -> tuple[Any, ...]:
    (cell,) = ctx.saved
    return (call("max_pool_grad", g, cell, shape=ctx.shapes[0], window=ctx.info),)


def _check_same(name: str, a: Array, b: Array) -> None:
    if a.shape != b.shape:
        raise ShapeError(f"{name}: shapes must be equal, got {a.shape} and {b.shape}")


def _max_grad_rule(
    g: Array, cell: Array, shape: Ints, window: Ints
) -> tuple[Spec, ...]:
    _check_same("max_pool_grad", g, cell)
    return (Spec(shape, g.dtype),)


def _max_grad_forward(
    ctx: Any, needs: Sequence[bool], g: Array, cell: Array, shape: Ints, window: Ints
) -> Array:
    gx: Array = ctx.empty(shape, g.dtype, channels_last_strides(shape))
    cell = ensure_channels_last(ctx, cell)
    run("max_pool_bwd", (ensure_channels_last(ctx, g), cell), (gx,), window)
    if needs[0]:
        ctx.save(cell)
    return gx


def _max_grad_vjp(call: Any, ctx: Any, needs: Any, g: Any) -> tuple[Any, ...]:
    (cell,) = ctx.saved
    return call("max_pool_take", g, cell, window=ctx.attrs["window"]), None


def _max_take_rule(x: Array, cell: Array, window: Ints) -> tuple[Spec, ...]:
    if x.shape[:2] != cell.shape[:2] or len(x.shape) != len(cell.shape):
        raise ShapeError(
            f"max_pool_take: cell {cell.shape} does not come from x {x.shape}"
        )
    return (Spec(cell.shape, x.dtype),)


def _max_take_forward(
    ctx: Any, needs: Sequence[bool], x: Array, cell: Array, window: Ints
) -> Array:
    y: Array = ctx.empty(cell.shape, x.dtype, channels_last_strides(cell.shape))
    cell = ensure_channels_last(ctx, cell)
    run("max_pool_take", (ensure_channels_last(ctx, x), cell), (y,), window)
    if needs[0]:
        ctx.save(cell)
    return y


def _max_take_vjp(call: Any, ctx: Any, needs: Any, g: Any) -> tuple[Any, ...]:
    (cell,) = ctx.saved
    attrs = {"shape": ctx.shapes[0], "window": ctx.attrs["window"]}
    return call("max_pool_grad", g, cell, **attrs), None


# ---- average pooling ----


def _avg_windows(
    x: Array,
    kernel_size: Ints,
    stride: Ints,
    padding: Ints,
    ceil_mode: bool,
    count_include_pad: bool,
    divisor_override: int | None,
) -> tuple[Ints, Ints]:
    """The output's shape and the integers of the kernel."""
    name = _name("avg_pool", x)
    divisor = 0
    if divisor_override is not None:
        divisor = divisor_override
        if divisor == 0 or abs(divisor) > _LARGEST_INT:
            raise ValueError(
                f"{name}: divisor_override must not be 0, got {divisor} (x {x.shape})"
            )
    ones = (1,) * len(kernel_size)
    shape, window = _windows(
        name, x.shape, kernel_size, stride, padding, ones, ceil_mode
    )
    return shape, (*window[: 3 * _AXES], 0, int(count_include_pad), divisor)


def _avg_rule(x: Array, **attrs: Any) -> tuple[Spec, ...]:
    return (Spec(_avg_windows(x, **attrs)[0], x.dtype),)


def _avg_forward(ctx: Any, needs: Sequence[bool], x: Array, **attrs: Any) -> Array:
    return _run_avg(ctx, x, *_avg_windows(x, **attrs))


def _adaptive_avg_windows(x: Array, output_size: Ints) -> tuple[Ints, Ints]:
    name = _name("adaptive_avg_pool", x)
    shape, window = _adaptive_windows(name, x.shape, output_size)
    return shape, (*window[: 3 * _AXES], 1, 0, 0)


def _adaptive_avg_rule(x: Array, output_size: Ints) -> tuple[Spec, ...]:
    return (Spec(_adaptive_avg_windows(x, output_size)[0], x.dtype),)


def _adaptive_avg_forward(
    ctx: Any, needs: Sequence[bool], x: Array, output_size: Ints
) -> Array:
    return _run_avg(ctx, x, *_adaptive_avg_windows(x, output_size))


def _whole_divisor(image: Ints, out: Ints, window: Ints) -> float:
    """What divides the sum of all positions, where an output is just that; else 0."""
    kernel, padding = window[_AXES - len(image) : _AXES], window[2 * _AXES : 3 * _AXES]
    adaptive, _, divisor = window[3 * _AXES :]
    whole = adaptive or (kernel == image and not any(padding))
    return float(divisor or prod(image)) if whole and prod(out) == 1 else 0.0


def _run_avg(ctx: Any, x: Array, shape: Ints, window: Ints) -> Array:
    y: Array = ctx.empty(shape, x.dtype, channels_last_strides(shape))
    divisor = _whole_divisor(x.shape[2:], shape[2:], window)
    if divisor and x.size and not x.is_channels_last():
        # a sum takes images as they lie
        run("sum", (x,), (y,), (), (divisor,))
        ctx.info = window
        return y
    run("avg_pool_fwd", (ensure_channels_last(ctx, x),), (y,), window)
    ctx.info = window
    return y


def _avg_vjp(call: Any, ctx: Any, needs: Any, g: Any) -> tuple[Any, ...]:
    return (call("avg_pool_grad", g, shape=ctx.shapes[0], window=ctx.info),)


def _linear_rule(x: Array, shape: Ints, window: Ints) -> tuple[Spec, ...]:
    if x.shape[:2] != shape[:2] or len(x.shape) != len(shape):
        raise ShapeError(
            f"avg_pool: gradient and input must have the same n and c, got {x.shape} "
            f"and {shape}"
        )
    return (Spec(shape, x.dtype),)


def _avg_grad_forward(
    ctx: Any, needs: Sequence[bool], g: Array, shape: Ints, window: Ints
) -> Array:
    gx: Array = ctx.empty(shape, g.dtype, channels_last_strides(shape))
    divisor = _whole_divisor(shape[2:], g.shape[2:], window)
    if divisor and shape[1] < _FEW_CHANNELS:
        share = empty(g.shape, g.dtype)
        whole = constant(divisor, g.dtype).view(g.shape, (0,) * g.ndim)
        run("div", (g, whole), (share,))
        return copied(
            share.view(shape, (*share.strides[:2], *(0,) * len(shape[2:]))), gx
        )
    run("avg_pool_bwd", (ensure_channels_last(ctx, g),), (gx,), window)
    return gx


def _avg_grad_vjp(call: Any, ctx: Any, needs: Any, g: Any) -> tuple[Any, ...]:
    window = ctx.attrs["window"]
    return (call("avg_pool_again", g, shape=ctx.shapes[0], window=window),)


def _avg_again_forward(
    ctx: Any, needs: Sequence[bool], x: Array, shape: Ints, window: Ints
) -> Array:
    return _run_avg(ctx, x, shape, window)


# ---- samples ----


def _distinct(seed: int, *shape: int) -> np.ndarray[Any, Any]:
    """Distinct values well apart, so that small steps change no maximum."""
    values = np.random.default_rng(seed).permutation(prod(shape)) * 0.1
    return values.reshape(shape) - 0.05 * prod(shape)


def _max_attrs(
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints | None = None,
    dilation: Ints | None = None,
    ceil_mode: bool = False,
) -> dict[str, Any]:
    axes = len(kernel_size)
    return {
        "kernel_size": kernel_size,
        "stride": stride or kernel_size,
        "padding": padding or (0,) * axes,
        "dilation": dilation or (1,) * axes,
        "ceil_mode": ceil_mode,
    }


def _max_samples() -> Iterator[Sample]:
    yield Sample((_distinct(0, 2, 3, 4, 6),), _max_attrs((2, 2)))
    yield Sample((_distinct(1, 1, 2, 7, 7),), _max_attrs((3, 3), (2, 2), (1, 1)))
    yield Sample((_distinct(2, 1, 2, 5, 6),), _max_attrs((3, 2), (1, 2), (1, 1)))
    yield Sample((_distinct(3, 1, 2, 7, 8),), _max_attrs((2, 3), (1, 2), None, (3, 2)))
    yield Sample(
        (_distinct(4, 1, 2, 5, 6),), _max_attrs((2, 2), None, None, None, True)
    )
    yield Sample((_distinct(5, 2, 2, 9),), _max_attrs((3,), (2,), (1,), None, True))
    yield Sample((_distinct(6, 1, 2, 3, 4, 5),), _max_attrs((2, 2, 2), (1, 2, 1)))
    yield Sample((_distinct(7, 1, 1, 1, 1),), _max_attrs((1, 1)))
    yield Sample((np.zeros((0, 2, 4, 4)),), _max_attrs((2, 2)))
    indices = {**_max_attrs((3, 3), (2, 2), (1, 1), (2, 2)), "return_indices": True}
    yield Sample((_distinct(8, 2, 3, 9, 8),), indices, gradient=False)
    # ties, vectors and their rest, more than 255 cells
    ties = np.random.default_rng(9).integers(0, 3, (2, 37, 9, 11)).astype(float)
    attrs = {**_max_attrs((3, 3), (2, 2), (1, 1)), "return_indices": True}
    yield Sample((ties,), attrs, gradient=False)
    odd = np.where(ties == 0, np.nan, np.where(ties == 1, -np.inf, ties))
    yield Sample((odd,), attrs, gradient=False)
    large = _max_attrs((18, 18), (1, 2), (9, 9))
    yield Sample((_distinct(10, 1, 17, 20, 21),), large, gradient=False)
    # with a ReLU behind it, of about half of the windows nothing is left
    half = _distinct(11, 2, 3, 4, 6) - 4.93
    yield Sample((half,), {**_max_attrs((2, 2)), "relu": True})
    overlapping = {**_max_attrs((3, 3), (2, 2), (1, 1)), "relu": True}
    yield Sample((_distinct(12, 1, 17, 7, 7) - 35.03,), overlapping)
    yield Sample((odd - 1,), overlapping, gradient=False)
    wide = _distinct(13, 1, 17, 20, 21) - 355.03
    yield Sample((wide,), {**large, "relu": True}, gradient=False)


def _max_errors() -> Iterator[ErrorCase]:
    x = np.zeros((1, 1, 4, 4))
    yield ErrorCase((x,), _max_attrs((5, 2)), ShapeError, "max_pool2d: .*5 positions")
    yield ErrorCase((x,), _max_attrs((2, 2), padding=(2, 0)), ValueError, "half of")
    yield ErrorCase((x,), _max_attrs((2, 2), (0, 1)), ValueError, "stride must be")
    yield ErrorCase((x,), _max_attrs((2,)), ShapeError, "kernel_size")
    yield ErrorCase((x[0, 0],), _max_attrs((2,)), ShapeError, "spatial axes")
    yield ErrorCase((x.astype(np.int64),), _max_attrs((2, 2)), DTypeError, "floating")


def _adaptive_max_samples() -> Iterator[Sample]:
    yield Sample((_distinct(0, 2, 3, 5, 7),), {"output_size": (2, 3)})
    yield Sample((_distinct(1, 1, 2, 3, 4),), {"output_size": (5, 1)})
    yield Sample((_distinct(2, 1, 2, 7),), {"output_size": (3,)})
    indices = {"output_size": (4, 3), "return_indices": True}
    yield Sample((_distinct(3, 2, 17, 9, 5),), indices, gradient=False)


def _adaptive_errors() -> Iterator[ErrorCase]:
    x = np.zeros((1, 1, 4, 4))
    yield ErrorCase((x,), {"output_size": (2, -1)}, ShapeError, "can't pool")
    yield ErrorCase((x,), {"output_size": (2,)}, ShapeError, "output_size")
    yield ErrorCase((x[:, :, :0],), {"output_size": (2, 2)}, ShapeError, "can't pool")


_2X2 = (1, 2, 2, 1, 2, 2, 0, 0, 0, 1, 1, 1, 0)
_3X3 = (1, 3, 3, 1, 2, 2, 0, 1, 1, 1, 1, 1, 0)


def _max_grad_samples() -> Iterator[Sample]:
    rng = np.random.default_rng(0)
    g, cell = rng.normal(size=(2, 3, 2, 3)), rng.integers(0, 4, (2, 3, 2, 3))
    yield Sample((g, cell.astype(np.uint8)), {"shape": (2, 3, 4, 7), "window": _2X2})
    # overlapping windows; the same winner for several
    cell = np.full((1, 2, 3, 3), 4, np.uint8)
    cell[:, 1, 0, 0] = 8
    cell[:, 1, 1, 1] = 0
    yield Sample(
        (rng.normal(size=cell.shape), cell), {"shape": (1, 2, 5, 5), "window": _3X3}
    )


def _max_grad_errors() -> Iterator[ErrorCase]:
    g, cell = np.zeros((1, 1, 2, 2)), np.zeros((1, 1, 2, 3), np.uint8)
    attrs = {"shape": (1, 1, 4, 4), "window": _2X2}
    yield ErrorCase((g, cell), attrs, ShapeError, "equal")


def _max_take_samples() -> Iterator[Sample]:
    rng = np.random.default_rng(0)
    x, cell = rng.normal(size=(2, 3, 4, 7)), rng.integers(0, 4, (2, 3, 2, 3))
    yield Sample((x, cell.astype(np.uint8)), {"window": _2X2})
    cell = rng.integers(0, 4, (1, 17, 2, 3)).astype(np.int32)
    yield Sample(
        (rng.normal(size=(1, 17, 4, 7)), cell), {"window": _2X2}, gradient=False
    )


def _max_take_errors() -> Iterator[ErrorCase]:
    x, cell = np.zeros((1, 2, 4, 4)), np.zeros((1, 1, 2, 2), np.uint8)
    yield ErrorCase((x, cell), {"window": _2X2}, ShapeError, "does not come from")


def _avg_attrs(
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints | None = None,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> dict[str, Any]:
    return {
        "kernel_size": kernel_size,
        "stride": stride or kernel_size,
        "padding": padding or (0,) * len(kernel_size),
        "ceil_mode": ceil_mode,
        "count_include_pad": count_include_pad,
        "divisor_override": divisor_override,
    }


def _normal(seed: int, *shape: int) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).normal(size=shape)


def _avg_samples() -> Iterator[Sample]:
    yield Sample((_normal(0, 2, 3, 4, 6),), _avg_attrs((2, 2)))
    yield Sample((_normal(1, 1, 2, 5, 7),), _avg_attrs((3, 3), (2, 2), (1, 1)))
    for ceil in (False, True):
        for include in (False, True):
            attrs = _avg_attrs((3, 2), (2, 2), (1, 1), ceil, include)
            yield Sample((_normal(2, 1, 2, 6, 5),), attrs)
    attrs = _avg_attrs((3, 3), (1, 2), (1, 0), True, False, -2)
    yield Sample((_normal(3, 1, 2, 4, 6),), attrs)
    yield Sample((_normal(4, 2, 2, 8),), _avg_attrs((3,), (2,), (1,), True))
    yield Sample((_normal(5, 1, 2, 3, 4, 5),), _avg_attrs((2, 3, 2), (1, 1, 2)))
    yield Sample((np.zeros((0, 2, 4, 4)),), _avg_attrs((2, 2)))
    attrs = _avg_attrs((3, 3), (2, 2), (1, 1))
    yield Sample((_normal(6, 2, 37, 9, 11),), attrs, gradient=False)
    yield from _whole_samples()


def _avg_errors() -> Iterator[ErrorCase]:
    x = np.zeros((1, 1, 4, 4))
    yield ErrorCase((x,), _avg_attrs((5, 2)), ShapeError, "avg_pool2d: .*5 positions")
    yield ErrorCase((x,), _avg_attrs((2, 2), padding=(2, 0)), ValueError, "half of")
    yield ErrorCase(
        (x,), _avg_attrs((2, 2), divisor_override=0), ValueError, "must not be 0"
    )
    yield ErrorCase((x.astype(np.int64),), _avg_attrs((2, 2)), DTypeError, "floating")


def _whole_samples() -> Iterator[Sample]:
    """One output of all, and what is nearly that."""
    yield Sample((_normal(7, 2, 3, 4, 5),), _avg_attrs((4, 5)))
    yield Sample((_normal(8, 2, 3, 4, 5),), _avg_attrs((4, 5), divisor_override=-3))
    yield Sample((_normal(9, 2, 3, 4, 3),), _avg_attrs((4, 4), None, (1, 1)))
    yield Sample((_normal(10, 1, 3, 2, 4, 3),), _avg_attrs((2, 4, 3)))
    yield Sample((_normal(11, 0, 3, 4, 5),), _avg_attrs((4, 5)))


def _adaptive_avg_samples() -> Iterator[Sample]:
    yield Sample((_normal(0, 2, 3, 5, 7),), {"output_size": (2, 3)})
    yield Sample((_normal(1, 1, 2, 3, 4),), {"output_size": (5, 1)})
    yield Sample((_normal(2, 2, 17, 4, 4),), {"output_size": (1, 1)})
    yield Sample((_normal(3, 1, 2, 7),), {"output_size": (3,)})
    yield Sample((_normal(4, 1, 2, 3),), {"output_size": (0,)})
    yield Sample((_normal(5, 2, 3, 30),), {"output_size": (1,)})


_MEAN = (1, 3, 3, 1, 2, 2, 0, 1, 1, 0, 0, 0)


def _avg_grad_samples() -> Iterator[Sample]:
    attrs = {"shape": (2, 3, 5, 5), "window": _MEAN}
    yield Sample((_normal(0, 2, 3, 3, 3),), attrs)
    whole = (1, 2, 3, 1, 2, 3, 0, 0, 0, 0, 0, 0)
    yield Sample((_normal(1, 2, 3, 1, 1),), {"shape": (2, 3, 2, 3), "window": whole})


def _avg_again_samples() -> Iterator[Sample]:
    attrs = {"shape": (2, 3, 3, 3), "window": _MEAN}
    yield Sample((_normal(0, 2, 3, 5, 5),), attrs)


def _linear_errors() -> Iterator[ErrorCase]:
    attrs = {"shape": (2, 3, 5, 5), "window": _MEAN}
    yield ErrorCase((_normal(0, 2, 2, 3, 3),), attrs, ShapeError, "same n and c")


# ---- records ----

MAX_POOL = register(
    Op(
        name="max_pool",
        rule=_max_rule,
        forward=_max_forward,
        vjp=_max_vjp,
        samples=_max_samples,
        errors=_max_errors,
    )
)

ADAPTIVE_MAX_POOL = register(
    Op(
        name="adaptive_max_pool",
        rule=_adaptive_max_rule,
        forward=_adaptive_max_forward,
        vjp=_max_vjp,
        samples=_adaptive_max_samples,
        errors=_adaptive_errors,
    )
)

MAX_POOL_GRAD = register(
    Op(
        name="max_pool_grad",
        rule=_max_grad_rule,
        forward=_max_grad_forward,
        vjp=_max_grad_vjp,
        samples=_max_grad_samples,
        errors=_max_grad_errors,
    )
)

MAX_POOL_TAKE = register(
    Op(
        name="max_pool_take",
        rule=_max_take_rule,
        forward=_max_take_forward,
        vjp=_max_take_vjp,
        samples=_max_take_samples,
        errors=_max_take_errors,
    )
)

AVG_POOL = register(
    Op(
        name="avg_pool",
        rule=_avg_rule,
        forward=_avg_forward,
        vjp=_avg_vjp,
        samples=_avg_samples,
        errors=_avg_errors,
    )
)

ADAPTIVE_AVG_POOL = register(
    Op(
        name="adaptive_avg_pool",
        rule=_adaptive_avg_rule,
        forward=_adaptive_avg_forward,
        vjp=_avg_vjp,
        samples=_adaptive_avg_samples,
        errors=_adaptive_errors,
    )
)

AVG_POOL_GRAD = register(
    Op(
        name="avg_pool_grad",
        rule=_linear_rule,
        forward=_avg_grad_forward,
        vjp=_avg_grad_vjp,
        samples=_avg_grad_samples,
        errors=_linear_errors,
    )
)

AVG_POOL_AGAIN = register(
    Op(
        name="avg_pool_again",
        rule=_linear_rule,
        forward=_avg_again_forward,
        vjp=_avg_vjp,
        samples=_avg_again_samples,
        errors=_linear_errors,
    )
)
