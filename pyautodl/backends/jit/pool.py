"""numba twins of the pooling kernels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

__all__ = [
    "avg_pool_bwd",
    "avg_pool_fwd",
    "max_pool_bwd",
    "max_pool_fwd",
    "max_pool_take",
]

NDArray = np.ndarray[Any, Any]

_NO_CELLS = np.empty((0, 0, 0, 0, 0), np.uint8)
_NO_INDICES = np.empty((0, 0, 0, 0, 0), np.int64)
_jit = njit(cache=True, nogil=True, error_model="numpy")


def _lift(a: NDArray) -> NDArray:
    """A view of (n, c, ...) with three spatial axes, absent ones in front."""
    return a[(slice(None), slice(None), *(None,) * (5 - a.ndim))]


def _table(ints: tuple[int, ...], axes: int) -> NDArray:
    """kernel, stride, padding (, dilation), a row each."""
    return np.array(ints[: 3 * axes], np.int64).reshape(axes, 3)


@_jit
def _span(table, axis, size, outputs, adaptive, o):  # type: ignore[no-untyped-def]
    """First input position, first cell, count of the cells inside, and their step."""
    if adaptive:
        at = o * size // outputs
        return at, 0, ((o + 1) * size + outputs - 1) // outputs - at, 1
    kernel = table[0, axis]
    step = table[3, axis] if table.shape[0] > 3 else 1
    start = o * table[1, axis] - table[2, axis]
    cell = 0 if start >= 0 else (-start + step - 1) // step
    at = start + cell * step
    inside = (size - 1 - at) // step + 1 if at < size else 0
    return at, cell, min(inside, kernel - cell), step


@_jit
def _max_fwd(x, y, cell, indices, table, adaptive, relu):  # type: ignore[no-untyped-def]
    _, _, depth, height, width = x.shape
    batch, channels, od, oh, ow = y.shape
    kh, kw = table[0, 1], table[0, 2]
    for n in range(batch):
        for d in range(od):
            d0, dc, dn, ds = _span(table, 0, depth, od, adaptive, d)
            for h in range(oh):
                h0, hc, hn, hs = _span(table, 1, height, oh, adaptive, h)
                for w in range(ow):
                    w0, wc, wn, ws = _span(table, 2, width, ow, adaptive, w)
                    for c in range(channels):
                        best = x[n, c, d0, h0, w0]
                        number = (dc * kh + hc) * kw + wc
                        position = (d0 * height + h0) * width + w0
                        for i in range(dn):
                            for j in range(hn):
                                for k in range(wn):
                                    pd, ph, pw = d0 + i * ds, h0 + j * hs, w0 + k * ws
                                    v = x[n, c, pd, ph, pw]
                                    if v > best or (v != v and best == best):
                                        best = v
                                        number = ((dc + i) * kh + hc + j) * kw + wc + k
                                        position = (pd * height + ph) * width + pw
                        y[n, c, d, h, w] = best
                        if relu and best <= 0:
                            y[n, c, d, h, w] = 0
                            number = -1
                        if cell.size:
                            cell[n, c, d, h, w] = number
                        if indices.size:
                            indices[n, c, d, h, w] = position


@_jit
def _max_move(grad, cell, out, table, adaptive, spread):  # type: ignore[no-untyped-def]
    """Between windows' elements and their winners: spread, or take."""
    inputs, outputs = (out, grad) if spread else (grad, out)
    _, _, depth, height, width = inputs.shape
    batch, channels, od, oh, ow = outputs.shape
    kh, kw = table[0, 1], table[0, 2]
    cells = table[0, 0] * kh * kw
    for n in range(batch):
        for d in range(od):
            d0, dc, _, ds = _span(table, 0, depth, od, adaptive, d)
            for h in range(oh):
                h0, hc, _, hs = _span(table, 1, height, oh, adaptive, h)
                for w in range(ow):
                    w0, wc, _, ws = _span(table, 2, width, ow, adaptive, w)
                    for c in range(channels):
                        number = np.int64(cell[n, c, d, h, w])
                        if number < 0 or number >= cells:  # none won
                            if not spread:
                                out[n, c, d, h, w] = 0
                            continue
                        pd = d0 + (number // (kh * kw) - dc) * ds
                        ph = h0 + (number // kw % kh - hc) * hs
                        pw = w0 + (number % kw - wc) * ws
                        if spread:
                            out[n, c, pd, ph, pw] += grad[n, c, d, h, w]
                        else:
                            out[n, c, d, h, w] = grad[n, c, pd, ph, pw]


@_jit
def _extent(table, axis, size, adaptive, count, with_padding, o):  # type: ignore[no-untyped-def]
    """Cells along one axis that divide an average."""
    if adaptive or not with_padding:
        return count
    start = o * table[1, axis] - table[2, axis]
    return min(start + table[0, axis], size + table[2, axis]) - start


@_jit
def _average(inputs, outputs, table, adaptive, with_padding, divisor, spread):  # type: ignore[no-untyped-def]
    """Windows' means from inputs to outputs, or their gradients back."""
    _, _, depth, height, width = inputs.shape
    batch, channels, od, oh, ow = outputs.shape
    for n in range(batch):
        for d in range(od):
            d0, _, dn, _ = _span(table, 0, depth, od, adaptive, d)
            de = _extent(table, 0, depth, adaptive, dn, with_padding, d)
            for h in range(oh):
                h0, _, hn, _ = _span(table, 1, height, oh, adaptive, h)
                he = _extent(table, 1, height, adaptive, hn, with_padding, h)
                for w in range(ow):
                    w0, _, wn, _ = _span(table, 2, width, ow, adaptive, w)
                    we = _extent(table, 2, width, adaptive, wn, with_padding, w)
                    cells = divisor if divisor != 0 else de * he * we
                    for c in range(channels):
                        total = outputs[n, c, d, h, w] / cells if spread else 0.0
                        for i in range(dn):
                            for j in range(hn):
                                for k in range(wn):
                                    if spread:
                                        inputs[n, c, d0 + i, h0 + j, w0 + k] += total
                                    else:
                                        total += inputs[n, c, d0 + i, h0 + j, w0 + k]
                        if not spread:
                            outputs[n, c, d, h, w] = total / cells


def max_pool_fwd(
    x: NDArray, y: NDArray, cell: NDArray | None, indices: NDArray | None, *ints: int
) -> None:
    """Largest element of each window; its cell number; its flat input position."""
    cells = _NO_CELLS if cell is None else _lift(cell)
    positions = _NO_INDICES if indices is None else _lift(indices)
    table = _table(ints, 4)
    _max_fwd(_lift(x), _lift(y), cells, positions, table, *ints[12:14])


def max_pool_bwd(gy: NDArray, cell: NDArray, gx: NDArray, *ints: int) -> None:
    """Each window's gradient goes to its winner."""
    gx[...] = 0
    _max_move(_lift(gy), _lift(cell), _lift(gx), _table(ints, 4), ints[12], True)


def max_pool_take(x: NDArray, cell: NDArray, y: NDArray, *ints: int) -> None:
    """The elements that `cell` names."""
    _max_move(_lift(x), _lift(cell), _lift(y), _table(ints, 4), ints[12], False)


def avg_pool_fwd(x: NDArray, y: NDArray, *ints: int) -> None:
    """Mean of each window."""
    adaptive, with_padding, divisor = ints[9:12]
    table = _table(ints, 3)
    _average(_lift(x), _lift(y), table, adaptive, with_padding, divisor, False)


def avg_pool_bwd(gy: NDArray, gx: NDArray, *ints: int) -> None:
    """Each window's gradient is shared by its cells."""
    gx[...] = 0
    adaptive, with_padding, divisor = ints[9:12]
    table = _table(ints, 3)
    _average(_lift(gx), _lift(gy), table, adaptive, with_padding, divisor, True)
