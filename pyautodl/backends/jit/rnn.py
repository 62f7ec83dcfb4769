"""Recurrent layers for machines without the extension.

The steps are loops in which the state of one sequence meets the transposed weights row by
row, so the innermost loop runs along memory; the products over all steps are matmul's.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
from numba import njit

from pyautodl.backends.codes import GRU, LSTM, RNN_TANH
from pyautodl.backends.jit.matmul import matmul

__all__ = ["rnn_bwd", "rnn_fwd"]

NDArray = np.ndarray[Any, Any]

_jit = njit(cache=True, nogil=True, error_model="numpy")


@_jit
def _sigmoid(x: float) -> float:
    if x >= 0:
        return 1 / (1 + math.exp(-x))
    e = math.exp(x)
    return e / (1 + e)


@_jit
def _fwd_row(
    kind: int,
    gates: NDArray,
    back: NDArray,
    h: NDArray,
    c: NDArray,
    y: NDArray,
    cell: NDArray,
) -> None:
    """One cell: `gates` has the input's part and takes the gates, h and c go on."""
    hidden = h.size
    for j in range(hidden):
        if kind == LSTM:
            i = _sigmoid(gates[j] + back[j])
            f = _sigmoid(gates[j + hidden] + back[j + hidden])
            g = math.tanh(gates[j + 2 * hidden] + back[j + 2 * hidden])
            o = _sigmoid(gates[j + 3 * hidden] + back[j + 3 * hidden])
            c[j] = f * c[j] + i * g
            value = o * math.tanh(c[j])
            gates[j] = i
            gates[j + hidden] = f
            gates[j + 2 * hidden] = g
            gates[j + 3 * hidden] = o
            cell[j] = c[j]
        elif kind == GRU:
            r = _sigmoid(gates[j] + back[j])
            z = _sigmoid(gates[j + hidden] + back[j + hidden])
            g = math.tanh(gates[j + 2 * hidden] + r * back[j + 2 * hidden])
            value = g + z * (h[j] - g)
            gates[j] = r
            gates[j + hidden] = z
            gates[j + 2 * hidden] = g
            gates[j + 3 * hidden] = back[j + 2 * hidden]
        elif kind == RNN_TANH:
            value = math.tanh(gates[j] + back[j])
        else:
            value = max(gates[j] + back[j], 0.0)
        h[j] = value
        y[j] = value


@_jit
def _fwd_steps(
    kind: int,
    starts: NDArray,
    reverse: int,
    turned: NDArray,
    bias: NDArray,
    h: NDArray,
    c: NDArray,
    gates: NDArray,
    y: NDArray,
    cells: NDArray,
) -> None:
    back = np.empty(turned.shape[1], turned.dtype)
    steps = starts.size - 1
    for s in range(steps):
        t = steps - 1 - s if reverse else s
        for b in range(starts[t + 1] - starts[t]):
            row = starts[t] + b
            back[:] = bias
            for k in range(turned.shape[0]):
                state = h[b, k]
                for j in range(back.size):
                    back[j] += state * turned[k, j]
            _fwd_row(kind, gates[row], back, h[b], c[b], y[row], cells[row])


def _starts(rows: int, batch: int, sizes: NDArray | None) -> NDArray:
    """Where each step's rows begin, and their end."""
    if sizes is not None:
        return np.concatenate([[0], np.cumsum(sizes)])
    return np.arange(rows // batch + 1 if batch else 1) * batch


def _state(given: NDArray | None, batch: int, like: NDArray) -> NDArray:
    if given is None:
        return np.zeros((batch, like.shape[1]), like.dtype)
    return given.copy()


def _product(a: NDArray, b: NDArray) -> NDArray:
    out = np.empty((a.shape[0], b.shape[1]), a.dtype)
    matmul(a, b, None, out, 0, 0.0, 0.0)
    return out


def rnn_fwd(
    x: NDArray,
    h0: NDArray | None,
    c0: NDArray | None,
    w_ih: NDArray,
    w_hh: NDArray,
    b_ih: NDArray | None,
    b_hh: NDArray | None,
    sizes: NDArray | None,
    y: NDArray,
    hn: NDArray,
    cn: NDArray | None,
    gates: NDArray,
    cells: NDArray | None,
    kind: int,
    reverse: int,
    keep: int,
) -> None:
    batch = hn.shape[0]
    own = _product(x, w_ih.T)
    if b_ih is not None:
        own += b_ih
    gates[:, : own.shape[1]] = own
    bias = np.zeros(len(w_hh), x.dtype) if b_hh is None else b_hh
    h, c = _state(h0, batch, w_hh), _state(c0, batch, w_hh)
    kept = np.empty_like(y) if cells is None else cells
    starts, turned = _starts(len(x), batch, sizes), np.ascontiguousarray(w_hh.T)
    _fwd_steps(kind, starts, reverse, turned, bias, h, c, gates, y, kept)
    hn[...] = h
    if cn is not None:
        cn[...] = c


@_jit
def _bwd_row(
    kind: int,
    gates: NDArray,
    cell: NDArray,
    cell_before: NDArray,
    before: NDArray,
    y: NDArray,
    dy: NDArray,
    dh: NDArray,
    dc: NDArray,
    d: NDArray,
) -> None:
    """One cell: `d` takes the gradients of the sums, dh and dc go on without the product."""
    hidden = dh.size
    for j in range(hidden):
        now = dh[j] + dy[j]
        dh[j] = 0
        if kind == LSTM:
            i, f = gates[j], gates[j + hidden]
            g, o = gates[j + 2 * hidden], gates[j + 3 * hidden]
            t = math.tanh(cell[j])
            carry = dc[j] + now * o * (1 - t * t)
            d[j] = carry * g * i * (1 - i)
            d[j + hidden] = carry * cell_before[j] * f * (1 - f)
            d[j + 2 * hidden] = carry * i * (1 - g * g)
            d[j + 3 * hidden] = now * t * o * (1 - o)
            dc[j] = carry * f
        elif kind == GRU:
            r, z = gates[j], gates[j + hidden]
            g, back = gates[j + 2 * hidden], gates[j + 3 * hidden]
            dg = now * (1 - z) * (1 - g * g)
            d[j] = dg * back * r * (1 - r)
            d[j + hidden] = now * (before[j] - g) * z * (1 - z)
            d[j + 2 * hidden] = dg * r
            d[j + 3 * hidden] = dg
            dh[j] = now * z
        elif kind == RNN_TANH:
            d[j] = now * (1 - y[j] * y[j])
        else:
            d[j] = 0.0 if y[j] <= 0 else now


@_jit
def _bwd_steps(
    kind: int,
    starts: NDArray,
    reverse: int,
    w_hh: NDArray,
    gates: NDArray,
    cells: NDArray,
    cells_before: NDArray,
    before: NDArray,
    y: NDArray,
    dy: NDArray,
    dh: NDArray,
    dc: NDArray,
    d: NDArray,
) -> None:
    steps = starts.size - 1
    for s in range(steps):
        t = s if reverse else steps - 1 - s
        for b in range(starts[t + 1] - starts[t]):
            row = starts[t] + b
            _bwd_row(
                kind,
                gates[row],
                cells[row],
                cells_before[row],
                before[row],
                y[row],
                dy[row],
                dh[b],
                dc[b],
                d[row],
            )
            for k in range(w_hh.shape[0]):
                left = d[row, k]
                for j in range(w_hh.shape[1]):
                    dh[b, j] += left * w_hh[k, j]


def _before(values: NDArray, state: NDArray, starts: NDArray, reverse: int) -> NDArray:
    """For each row the value of its sequence before the step."""
    out = np.empty_like(values)
    state = state.copy()
    steps = list(pairwise(starts.tolist()))
    for begin, end in reversed(steps) if reverse else steps:
        out[begin:end] = state[: end - begin]
        state[: end - begin] = values[begin:end]
    return out


def rnn_bwd(
    x: NDArray,
    h0: NDArray | None,
    c0: NDArray | None,
    w_ih: NDArray,
    w_hh: NDArray,
    sizes: NDArray | None,
    y: NDArray,
    gates: NDArray,
    cells: NDArray | None,
    dy: NDArray | None,
    dhn: NDArray | None,
    dcn: NDArray | None,
    d: NDArray,
    dx: NDArray | None,
    dh0: NDArray | None,
    dc0: NDArray | None,
    dw_ih: NDArray | None,
    dw_hh: NDArray | None,
    db_ih: NDArray | None,
    db_hh: NDArray | None,
    kind: int,
    reverse: int,
    batch: int,
) -> None:
    width, hidden = w_hh.shape
    starts = _starts(len(x), batch, sizes)
    dh, dc = _state(dhn, batch, w_hh), _state(dcn, batch, w_hh)
    before = _before(y, _state(h0, batch, w_hh), starts, reverse)
    kept = y if cells is None else cells
    kept_before = _before(kept, _state(c0, batch, w_hh), starts, reverse)
    upstream = np.zeros_like(y) if dy is None else dy
    states = (gates, kept, kept_before, before, y, upstream, dh, dc, d)
    _bwd_steps(kind, starts, reverse, w_hh, *states)
    back = d[:, :width]
    own = back
    if kind == GRU:
        own = np.concatenate([d[:, : 2 * hidden], d[:, 3 * hidden :]], axis=1)
    if dx is not None:
        dx[...] = _product(own, w_ih)
    if dw_ih is not None:
        dw_ih[...] = _product(own.T, x)
    if dw_hh is not None:
        dw_hh[...] = _product(back.T, before)
    for out, value in ((dh0, dh), (dc0, dc), (db_ih, own.sum(0)), (db_hh, back.sum(0))):
        if out is not None:
            out[...] = value
