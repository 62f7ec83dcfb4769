"""Recurrent layers over whole sequences: LSTM, GRU, tanh and ReLU cells.

One direction of one layer. Rows of a step stand together, steps one after the other;
`sizes` says how many sequences each step has, longest sequences first.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from pyautodl.backends.codes import GRU, LSTM, RNN_TANH

__all__ = ["rnn_bwd", "rnn_fwd"]

NDArray = np.ndarray[Any, Any]


def _steps(rows: int, batch: int, sizes: NDArray | None, reverse: int) -> list[slice]:
    """The rows of each step, in the order of the layer."""
    if sizes is None:
        counts = [batch] * (rows // batch if batch else 0)
    else:
        counts = [int(each) for each in sizes]
    ends = np.cumsum([0, *counts])
    steps = [slice(int(a), int(b)) for a, b in pairwise(ends)]
    return steps[::-1] if reverse else steps


def _sigmoid(x: NDArray) -> NDArray:
    return np.asarray(0.5 * (1 + np.tanh(0.5 * x)))


def _zeros(given: NDArray | None, batch: int, like: NDArray) -> NDArray:
    if given is not None:
        return given.copy()
    return np.zeros((batch, like.shape[1]), like.dtype)


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
    batch, hidden = hn.shape
    h, c = _zeros(h0, batch, w_hh), _zeros(c0, batch, w_hh)
    zero = np.zeros(w_hh.shape[0], x.dtype)
    b_ih, b_hh = (zero if b is None else b for b in (b_ih, b_hh))
    for rows in _steps(len(x), batch, sizes, reverse):
        n = rows.stop - rows.start
        own, back = x[rows] @ w_ih.T + b_ih, h[:n] @ w_hh.T + b_hh
        if kind == LSTM:
            i, f, g, o = np.split(own + back, 4, axis=1)
            i, f, g, o = _sigmoid(i), _sigmoid(f), np.tanh(g), _sigmoid(o)
            c[:n] = f * c[:n] + i * g
            h[:n] = o * np.tanh(c[:n])
            gates[rows] = np.concatenate([i, f, g, o], axis=1)
            if cells is not None:
                cells[rows] = c[:n]
        elif kind == GRU:
            r, z = np.split(_sigmoid((own + back)[:, : 2 * hidden]), 2, axis=1)
            hidden_part = back[:, 2 * hidden :]
            g = np.tanh(own[:, 2 * hidden :] + r * hidden_part)
            h[:n] = g + z * (h[:n] - g)
            gates[rows] = np.concatenate([r, z, g, hidden_part], axis=1)
        else:
            total = own + back
            h[:n] = np.tanh(total) if kind == RNN_TANH else np.maximum(total, 0)
        y[rows] = h[:n]
    hn[...] = h
    if cn is not None:
        cn[...] = c


def _previous(
    values: NDArray, first: NDArray | None, steps: list[slice], batch: int
) -> NDArray:
    """For each row the value of its sequence before the step."""
    state = _zeros(first, batch, values)
    out = np.empty_like(values)
    for rows in steps:
        n = rows.stop - rows.start
        out[rows] = state[:n]
        state[:n] = values[rows]
    return out


def _lstm_back(
    gates: NDArray, c: NDArray, before: NDArray, dh: NDArray, dc: NDArray
) -> tuple[NDArray, NDArray]:
    """Gradients of the gates' sums and of the cell before."""
    i, f, g, o = np.split(gates, 4, axis=1)
    t = np.tanh(c)
    dc = dc + dh * o * (1 - t * t)
    parts = [
        dc * g * i * (1 - i),
        dc * before * f * (1 - f),
        dc * i * (1 - g * g),
        dh * t * o * (1 - o),
    ]
    return np.concatenate(parts, axis=1), dc * f


def _gru_back(gates: NDArray, before: NDArray, dh: NDArray) -> tuple[NDArray, NDArray]:
    """Gradients of the sums r, z, recurrent n, n; what goes straight to the state."""
    r, z, g, back = np.split(gates, 4, axis=1)
    dg = dh * (1 - z) * (1 - g * g)
    parts = [dg * back * r * (1 - r), dh * (before - g) * z * (1 - z), dg * r, dg]
    return np.concatenate(parts, axis=1), dh * z


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
    hidden = w_hh.shape[1]
    steps = _steps(len(x), batch, sizes, reverse)
    dh, dc = _zeros(dhn, batch, w_hh), _zeros(dcn, batch, w_hh)
    h_before = _previous(y, h0, steps, batch)
    c_before = _previous(cells, c0, steps, batch) if cells is not None else None
    for rows in reversed(steps):
        n = rows.stop - rows.start
        now = dh[:n] if dy is None else dh[:n] + dy[rows]
        straight: Any = 0
        if kind == LSTM and cells is not None and c_before is not None:
            d[rows], dc[:n] = _lstm_back(
                gates[rows], cells[rows], c_before[rows], now, dc[:n]
            )
        elif kind == GRU:
            d[rows], straight = _gru_back(gates[rows], h_before[rows], now)
        elif kind == RNN_TANH:
            d[rows] = now * (1 - y[rows] ** 2)
        else:
            d[rows] = np.where(y[rows] <= 0, 0, now)
        dh[:n] = straight + d[rows, : w_hh.shape[0]] @ w_hh
    back = d[:, : w_hh.shape[0]]
    own = d
    if kind == GRU:
        own = np.concatenate([d[:, : 2 * hidden], d[:, 3 * hidden :]], axis=1)
    for out, value in (
        (dx, lambda: own @ w_ih),
        (dh0, lambda: dh),
        (dc0, lambda: dc),
        (dw_ih, lambda: own.T @ x),
        (dw_hh, lambda: back.T @ h_before),
        (db_ih, lambda: own.sum(0)),
        (db_hh, lambda: back.sum(0)),
    ):
        if out is not None:
            out[...] = value()
