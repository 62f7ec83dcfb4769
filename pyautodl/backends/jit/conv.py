"""Numba twins of the convolution kernels: direct loops over channels-last arrays.

Inner loops run along channels, one running sum for each, so that they become vectors
without reordering any sum.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
from numba import njit

from pyautodl.backends.reference.conv import finish, five_axes

__all__ = ["conv_bwd_w", "conv_bwd_x", "conv_fwd"]

NDArray = np.ndarray[Any, Any]

_compile = njit(cache=True, nogil=True, error_model="numpy")


def _channels_last(a: NDArray) -> NDArray:
    """(n, c, spatial...) as C-ordered (n, d, h, w, c); a view where the memory is so."""
    return np.ascontiguousarray(five_axes(a).transpose(0, 2, 3, 4, 1))


def _taps_first(weight: NDArray, groups: int, outputs_last: bool) -> NDArray:
    """(o, i, kernel...) as (taps, groups, i, o of a group), or (..., o, i)."""
    w = five_axes(weight)
    o, i, *kernel = w.shape
    w = w.reshape(groups, o // groups, i, prod(kernel))
    axes = (3, 0, 2, 1) if outputs_last else (3, 0, 1, 2)
    return np.ascontiguousarray(w.transpose(axes))


def _put(out: NDArray, values: NDArray) -> None:
    """Write (n, d, h, w, c) to an array (n, c, spatial...)."""
    five_axes(out)[...] = values.transpose(0, 4, 1, 2, 3)


def _numbers(weight: NDArray, ints: tuple[int, ...]) -> NDArray:
    """Kernel size, stride, padding, dilation."""
    return np.array((*five_axes(weight).shape[2:], *ints[:9]), np.int64)


def conv_fwd(
    x: NDArray,
    weight: NDArray,
    packed: NDArray | None,
    scale: NDArray | None,
    bias: NDArray | None,
    residual: NDArray | None,
    out: NDArray,
    *numbers: Any,
) -> None:
    """out = activation(scale conv(x, weight) + bias + residual); `packed` is the weight
    once more.
    """
    *ints, activation, p0, p1 = numbers
    y = np.zeros((len(out), *five_axes(out).shape[2:], out.shape[1]), out.dtype)
    w = _taps_first(weight, ints[9], True)
    _forward(_channels_last(x), w, y, _numbers(weight, tuple(ints)))
    _put(out, y)
    finish(out, scale, bias, residual, activation, p0, p1)


def conv_bwd_x(
    dy: NDArray, weight: NDArray, bias: NDArray | None, dx: NDArray, *ints: int
) -> None:
    """dx = transpose of conv applied to dy, + bias."""
    x = np.zeros((len(dx), *five_axes(dx).shape[2:], dx.shape[1]), dx.dtype)
    w = _taps_first(weight, ints[9], False)
    _backward(_channels_last(dy), w, x, _numbers(weight, ints))
    if bias is not None:
        x += bias
    _put(dx, x)


def conv_bwd_w(
    x: NDArray, dy: NDArray, dw: NDArray, db: NDArray | None, *ints: int
) -> None:
    """The gradients by the weight and, if wanted, by the bias."""
    groups = ints[9]
    w = np.zeros_like(_taps_first(dw, groups, True))
    y = _channels_last(dy)
    _by_weight(_channels_last(x), y, w, _numbers(dw, ints))
    five = five_axes(dw)
    grouped = w.transpose(1, 3, 2, 0)
    five[...] = grouped.reshape(five.shape)
    if db is not None:
        db[...] = y.reshape(-1, y.shape[-1]).sum(axis=0)


@_compile
def _forward(x: NDArray, w: NDArray, y: NDArray, numbers: NDArray) -> None:
    kd, kh, kw, sd, sh, sw, pd, ph, pw, dd, dh, dw = numbers
    groups, channels, width = w.shape[1:]
    n, od, oh, ow, _ = y.shape
    for b in range(n):
        for i in range(od):
            for j in range(oh):
                for k in range(ow):
                    for t in range(kd * kh * kw):
                        d = i * sd - pd + t // (kh * kw) * dd
                        h = j * sh - ph + t // kw % kh * dh
                        v = k * sw - pw + t % kw * dw
                        if d < 0 or d >= x.shape[1] or h < 0 or h >= x.shape[2]:
                            continue
                        if v < 0 or v >= x.shape[3]:
                            continue
                        for g in range(groups):
                            for c in range(channels):
                                left = x[b, d, h, v, g * channels + c]
                                for o in range(width):
                                    y[b, i, j, k, g * width + o] += left * w[t, g, c, o]


@_compile
def _backward(y: NDArray, w: NDArray, x: NDArray, numbers: NDArray) -> None:
    kd, kh, kw, sd, sh, sw, pd, ph, pw, dd, dh, dw = numbers
    groups, width, channels = w.shape[1:]
    n, od, oh, ow, _ = y.shape
    for b in range(n):
        for i in range(od):
            for j in range(oh):
                for k in range(ow):
                    for t in range(kd * kh * kw):
                        d = i * sd - pd + t // (kh * kw) * dd
                        h = j * sh - ph + t // kw % kh * dh
                        v = k * sw - pw + t % kw * dw
                        if d < 0 or d >= x.shape[1] or h < 0 or h >= x.shape[2]:
                            continue
                        if v < 0 or v >= x.shape[3]:
                            continue
                        for g in range(groups):
                            for o in range(width):
                                left = y[b, i, j, k, g * width + o]
                                for c in range(channels):
                                    x[b, d, h, v, g * channels + c] += (
                                        left * w[t, g, o, c]
                                    )


@_compile
def _by_weight(x: NDArray, y: NDArray, w: NDArray, numbers: NDArray) -> None:
    kd, kh, kw, sd, sh, sw, pd, ph, pw, dd, dh, dw = numbers
    groups, channels, width = w.shape[1:]
    n, od, oh, ow, _ = y.shape
    for t in range(kd * kh * kw):
        for b in range(n):
            # a sum for each image, so that rounding errors stay small
            part = np.zeros((groups, channels, width), w.dtype)
            for i in range(od):
                d = i * sd - pd + t // (kh * kw) * dd
                if d < 0 or d >= x.shape[1]:
                    continue
                for j in range(oh):
                    h = j * sh - ph + t // kw % kh * dh
                    if h < 0 or h >= x.shape[2]:
                        continue
                    for k in range(ow):
                        v = k * sw - pw + t % kw * dw
                        if v < 0 or v >= x.shape[3]:
                            continue
                        for g in range(groups):
                            for c in range(channels):
                                left = x[b, d, h, v, g * channels + c]
                                for o in range(width):
                                    part[g, c, o] += left * y[b, i, j, k, g * width + o]
            w[t] += part
