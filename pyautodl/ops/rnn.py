"""Recurrent layers: one direction of one layer over whole sequences.

Every op takes (x, h0, c0, w_ih, w_hh, b_ih, b_hh, sizes): x (t, n, inputs), or packed
(rows, inputs) with `sizes` (t,) int64, which says how many sequences each step has,
longest first. c0 is for LSTM alone; h0, c0 and the biases may be absent.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np

from pyautodl.backends import Array, codes, empty, run
from pyautodl.backends.dtypes import FLOATING, DType, int64
from pyautodl.errors import DTypeError, ShapeError, describe
from pyautodl.ops.layout import ensure_contiguous
from pyautodl.ops.record import ErrorCase, Op, Sample, Spec, register

__all__ = ["GRU", "GRU_GRAD", "LSTM", "LSTM_GRAD", "RNN", "RNN_GRAD"]

NDArray = np.ndarray[Any, Any]

# name -> (blocks of the weights, blocks of a row of gates)
_BLOCKS = {"lstm": (4, 4), "gru": (3, 4), "rnn": (1, 1)}
_KINDS = {
    "lstm": codes.LSTM,
    "gru": codes.GRU,
    "tanh": codes.RNN_TANH,
    "relu": codes.RNN_RELU,
}
# elements between rows of gates, so that they do not meet in one set of the L1 cache
_GAP = 16


def _kind(name: str, nonlinearity: str) -> int:
    return _KINDS[nonlinearity if name == "rnn" else name]


# ---- rules ----


def _check_dtypes(name: str, arrays: dict[str, Array | None]) -> DType:
    dtypes = {key: a.dtype for key, a in arrays.items() if a is not None}
    dtype = dtypes["x"]
    if dtype.category != FLOATING or any(each is not dtype for each in dtypes.values()):
        found = ", ".join(f"{key} {each.name}" for key, each in dtypes.items())
        raise DTypeError(
            f"{name}: expected one floating type, got {found}; use .float()"
        )
    return dtype


def _check_sizes(name: str, x: Array, sizes: Array | None) -> int:
    """The number of sequences."""
    if sizes is None:
        if x.ndim != 3 or x.shape[0] == 0:
            raise ShapeError(
                f"{name}: expected x (t, n, inputs) with t > 0, got {x.shape}"
            )
        return x.shape[1]
    if sizes.dtype is not int64:
        raise DTypeError(f"{name}: expected sizes of int64, got {sizes.dtype.name}")
    if x.ndim != 2 or sizes.ndim != 1:
        raise ShapeError(
            f"{name}: expected packed x (rows, inputs) and sizes (t,), got {x.shape} "
            f"and {sizes.shape}"
        )
    counts: list[int] = sizes.numpy().tolist()
    falling = all(a >= b for a, b in pairwise(counts))
    if not counts or counts[-1] < 1 or not falling or sum(counts) != x.shape[0]:
        raise ValueError(
            f"{name}: sizes must be positive, not rising and add up to the "
            f"{x.shape[0]} rows of x, got {counts}"
        )
    return counts[0]


def _check_shapes(
    name: str, arrays: dict[str, Array | None], batch: int, inputs: int, hidden: int
) -> None:
    width = _BLOCKS[name][0] * hidden
    expected = {
        "h0": (batch, hidden),
        "c0": (batch, hidden),
        "w_ih": (width, inputs),
        "w_hh": (width, hidden),
        "b_ih": (width,),
        "b_hh": (width,),
    }
    for key, shape in expected.items():
        array = arrays[key]
        if array is not None and array.shape != shape:
            shapes = {k: a.shape for k, a in arrays.items() if a is not None}
            raise ShapeError(
                f"{name}: expected {key} {shape}, got {array.shape} ({shapes})"
            )


def _make_rule(name: str) -> Any:
    names = ("x", "h0", "c0", "w_ih", "w_hh", "b_ih", "b_hh")

    def rule(
        *inputs: Array | None, reverse: bool, nonlinearity: str = "tanh"
    ) -> tuple[Spec, ...]:
        arrays = dict(zip(names, inputs))
        x, w_ih, w_hh = inputs[0], inputs[3], inputs[4]
        if x is None or w_ih is None or w_hh is None or w_hh.ndim != 2:
            raise ShapeError(f"{name}: expected x, w_ih and w_hh of two axes")
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(
                f"{name}: nonlinearity must be 'tanh' or 'relu', got {describe(nonlinearity)}"
            )
        dtype = _check_dtypes(name, arrays)
        batch = _check_sizes(name, x, inputs[7])
        hidden = w_hh.shape[1]
        _check_shapes(name, arrays, batch, x.shape[-1], hidden)
        state = Spec((batch, hidden), dtype)
        states = (state, state) if name == "lstm" else (state,)
        return (Spec((*x.shape[:-1], hidden), dtype), *states)

    return rule


# ---- forward ----


def _rows(x: Array) -> Array:
    """(t, n, inputs) in C order as (t * n, inputs)."""
    if x.ndim == 2:
        return x
    shape = (x.shape[0] * x.shape[1], x.shape[2])
    return x.view(shape, (shape[1], 1))


def _gates(rows: int, name: str, hidden: int, dtype: DType) -> Array:
    width = _BLOCKS[name][1] * hidden
    whole = empty((rows, width + _GAP), dtype)
    return whole.view((rows, width), whole.strides)


def _with_rows(ctx: Any, gates: Array | None) -> Array:
    """Gates whose rows lie along memory, in any distance."""
    if gates is None or gates.ndim != 2:
        raise ShapeError("expected gates of two axes")
    rows_apart = gates.strides[1] == 1 and gates.strides[0] >= gates.shape[1]
    return gates if rows_apart else ensure_contiguous(ctx, gates)


def _dense(ctx: Any, arrays: tuple[Array | None, ...]) -> list[Array | None]:
    return [None if a is None else ensure_contiguous(ctx, a) for a in arrays]


def _make_forward(name: str) -> Any:
    def forward(
        ctx: Any,
        needs: Any,
        *inputs: Array | None,
        reverse: bool,
        nonlinearity: str = "tanh",
    ) -> tuple[Array, ...]:
        dense = _dense(ctx, inputs)
        x, w_hh, sizes = dense[0], dense[4], dense[7]
        hidden, dtype, keep = w_hh.shape[1], x.dtype, any(needs)  # type: ignore[union-attr]
        batch = x.shape[1] if sizes is None else int(sizes.numpy()[0])  # type: ignore[union-attr]
        rows = _rows(x)  # type: ignore[arg-type]
        y = empty((*x.shape[:-1], hidden), dtype)  # type: ignore[union-attr]
        hn = empty((batch, hidden), dtype)
        gates, cn, cells = _gates(rows.shape[0], name, hidden, dtype), None, None
        if name == "lstm":
            cn = empty((batch, hidden), dtype)
            cells = empty((rows.shape[0], hidden), dtype) if keep else None
        writes = (_rows(y), hn, cn, gates, cells)
        ints = (_kind(name, nonlinearity), int(reverse), int(keep))
        run("rnn_fwd", (rows, *dense[1:]), writes, ints)
        if keep:
            ctx.save(*dense, y, gates, cells)
        return (y, hn) if cn is None else (y, hn, cn)

    return forward


# ---- gradient ----


def _make_vjp(name: str) -> Any:
    def vjp(call: Any, ctx: Any, needs: Any, *grads: Any) -> tuple[Any, ...]:
        given = (*grads, None, None)[:3]
        wanted = tuple(bool(need) for need in needs[:7])
        found = call(f"{name}_grad", *given, *ctx.saved, wanted=wanted, **ctx.attrs)
        parts = iter(found)
        return (*(next(parts) if each else None for each in wanted), None)

    return vjp


def _make_grad_rule(name: str) -> Any:
    check = _make_rule(name)

    def rule(
        *inputs: Array | None,
        wanted: tuple[bool, ...],
        reverse: bool,
        nonlinearity: str = "tanh",
    ) -> tuple[Spec, ...]:
        specs = check(*inputs[3:11], reverse=reverse, nonlinearity=nonlinearity)
        for grad, spec in zip(inputs[:3], specs):
            if grad is not None and (grad.shape, grad.dtype) != (
                spec.shape,
                spec.dtype,
            ):
                raise ShapeError(
                    f"{name}_grad: expected a gradient {spec.shape} {spec.dtype.name}, "
                    f"got {grad.shape} {grad.dtype.name}"
                )
        arrays = zip(inputs[3:10], wanted)
        return tuple(
            Spec(a.shape, a.dtype) for a, want in arrays if want and a is not None
        )

    return rule


def _make_grad_forward(name: str) -> Any:
    def forward(
        ctx: Any,
        needs: Any,
        *inputs: Array | None,
        wanted: tuple[bool, ...],
        reverse: bool,
        nonlinearity: str = "tanh",
    ) -> tuple[Array, ...]:
        dy, dhn, dcn, *dense = _dense(ctx, inputs[:12])
        x, h0, c0, w_ih, w_hh, _, _, sizes, y = dense
        gates, cells = _with_rows(ctx, inputs[12]), inputs[13]
        cells = None if cells is None else ensure_contiguous(ctx, cells)
        rows, hidden = _rows(x), w_hh.shape[1]  # type: ignore[arg-type, union-attr]
        batch = x.shape[1] if sizes is None else int(sizes.numpy()[0])  # type: ignore[union-attr]
        outs = [
            empty(a.shape, a.dtype) if want and a is not None else None
            for a, want in zip(dense, wanted)
        ]
        dx = None if outs[0] is None else _rows(outs[0])
        d = _gates(rows.shape[0], name, hidden, rows.dtype)
        reads = (rows, h0, c0, w_ih, w_hh, sizes, _rows(y), gates, cells)  # type: ignore[arg-type]
        upstream = (None if dy is None else _rows(dy), dhn, dcn)
        ints = (_kind(name, nonlinearity), int(reverse), batch)
        run("rnn_bwd", (*reads, *upstream), (d, dx, *outs[1:]), ints)
        return tuple(out for out in outs if out is not None)

    return forward


# ---- the same from plain ops ----


def _part(call: Any, x: Any, start: int, size: int, dim: int) -> Any:
    """`size` rows or columns of a matrix."""
    shape = tuple(x.shape)
    starts, sizes = [0, 0], list(shape)
    starts[dim], sizes[dim] = start, size
    return call("slice", x, starts=tuple(starts), sizes=tuple(sizes), steps=(1, 1))


def _lstm_cell(call: Any, own: Any, back: Any, h: Any, c: Any) -> tuple[Any, Any]:
    hidden = h.shape[1]
    total = call("add", own, back)
    i, f, g, o = (_part(call, total, k * hidden, hidden, 1) for k in range(4))
    i, f, o = (call("sigmoid", each) for each in (i, f, o))
    c = call("add", call("mul", f, c), call("mul", i, call("tanh", g)))
    return call("mul", o, call("tanh", c)), c


def _gru_cell(call: Any, own: Any, back: Any, h: Any) -> Any:
    hidden = h.shape[1]
    own_parts = [_part(call, own, k * hidden, hidden, 1) for k in range(3)]
    back_parts = [_part(call, back, k * hidden, hidden, 1) for k in range(3)]
    r, z = (
        call("sigmoid", call("add", a, b)) for a, b in zip(own_parts[:2], back_parts)
    )
    n = call("tanh", call("add", own_parts[2], call("mul", r, back_parts[2])))
    return call("add", n, call("mul", z, call("sub", h, n)))


def _counts(x: Any, sizes: Any) -> list[int]:
    if sizes is None:
        return [int(x.shape[1])] * int(x.shape[0])
    return [int(each) for each in sizes.tolist()]


def _make_composition(name: str) -> Any:
    def composition(
        call: Any,
        x: Any,
        h: Any,
        c: Any,
        w_ih: Any,
        w_hh: Any,
        b_ih: Any,
        b_hh: Any,
        sizes: Any = None,
        *,
        reverse: bool,
        nonlinearity: str = "tanh",
    ) -> tuple[Any, ...]:
        counts = _counts(x, sizes)
        hidden = w_hh.shape[1]
        zero = {"shape": (counts[0], hidden), "value": 0, "dtype": x.dtype}
        h = call("full", **zero) if h is None else h
        c = call("full", **zero) if c is None and name == "lstm" else c
        flat = call("reshape", x, shape=(sum(counts), x.shape[-1]))
        own = call("matmul", flat, call("permute", w_ih, dims=(1, 0)))
        own = own if b_ih is None else call("add", own, b_ih)
        turned = call("permute", w_hh, dims=(1, 0))
        starts = [sum(counts[:t]) for t in range(len(counts))]
        outputs: list[Any] = [None] * len(counts)
        order = range(len(counts))
        for t in reversed(order) if reverse else order:
            now, later = (_part(call, h, a, n, 0) for a, n in _cut(counts, t))
            back = call("matmul", now, turned)
            back = back if b_hh is None else call("add", back, b_hh)
            row = _part(call, own, starts[t], counts[t], 0)
            if name == "lstm":
                c_now, c_later = (_part(call, c, a, n, 0) for a, n in _cut(counts, t))
                out, c_new = _lstm_cell(call, row, back, now, c_now)
                c = call("cat", c_new, c_later, dim=0)
            elif name == "gru":
                out = _gru_cell(call, row, back, now)
            else:
                out = call(nonlinearity, call("add", row, back))
            h = call("cat", out, later, dim=0)
            outputs[t] = out
        y = call("cat", *outputs, dim=0)
        y = call("reshape", y, shape=(*x.shape[:-1], hidden))
        return (y, h, c) if name == "lstm" else (y, h)

    return composition


def _cut(counts: list[int], t: int) -> list[tuple[int, int]]:
    """(start, size) of the sequences that step t has, and of the others."""
    return [(0, counts[t]), (counts[t], counts[0] - counts[t])]


# ---- examples ----


def _inputs(
    name: str,
    shape: tuple[int, ...],
    hidden: int,
    sizes: list[int] | None = None,
    *,
    state: bool = True,
    bias: bool = True,
    seed: int = 0,
) -> tuple[Any, ...]:
    rng = np.random.default_rng(seed)
    width = _BLOCKS[name][0] * hidden
    batch = shape[1] if sizes is None else sizes[0]
    h0 = rng.normal(size=(batch, hidden)) if state else None
    c0 = rng.normal(size=(batch, hidden)) if state and name == "lstm" else None
    weights = [0.5 * rng.normal(size=(width, n)) for n in (shape[-1], hidden)]
    biases = [0.5 * rng.normal(size=width) if bias else None for _ in range(2)]
    counts = None if sizes is None else np.array(sizes)
    return (rng.normal(size=shape), h0, c0, *weights, *biases, counts)


def _make_samples(name: str) -> Any:
    def samples() -> Iterator[Sample]:
        kinds = ("tanh", "relu") if name == "rnn" else ("",)
        for kind in kinds:
            attrs = {"nonlinearity": kind} if kind else {}
            one, back = {"reverse": False, **attrs}, {"reverse": True, **attrs}
            yield Sample(_inputs(name, (3, 2, 2), 2), one)
            yield Sample(_inputs(name, (2, 1, 3), 1, state=False), back)
            yield Sample(_inputs(name, (6, 2), 2, [3, 2, 1]), one)
            yield Sample(_inputs(name, (5, 1), 2, [2, 2, 1], bias=False), back)
            yield Sample(_inputs(name, (2, 0, 3), 2), one, gradient=False)
            # across vectors, panels and blocks of sequences
            yield Sample(_inputs(name, (4, 3, 5), 37), back, gradient=False)
            yield Sample(_inputs(name, (3, 70, 9), 20), one, gradient=False)
            sizes = [40, 40, 33, 17, 17, 1]
            packed = _inputs(name, (sum(sizes), 7), 35, sizes)
            yield Sample(packed, one, gradient=False)
            yield Sample(packed, back, gradient=False)

    return samples


def _make_errors(name: str) -> Any:
    def errors() -> Iterator[ErrorCase]:
        def case(kind: Any, match: str, change: dict[int, Any], **attrs: Any) -> Any:
            inputs = list(_inputs(name, (3, 2, 2), 2))
            for place, value in change.items():
                inputs[place] = value
            return ErrorCase(tuple(inputs), {"reverse": False, **attrs}, kind, match)

        yield case(ShapeError, f"{name}: expected h0", {1: np.zeros((3, 2))})
        yield case(ShapeError, f"{name}: expected w_ih", {3: np.zeros((5, 2))})
        yield case(ShapeError, f"{name}: expected b_hh", {6: np.zeros(5)})
        yield case(ShapeError, "with t > 0", {0: np.zeros((0, 2, 2))})
        yield case(DTypeError, "one floating type", {3: np.zeros((2, 2), np.float32)})
        sizes = np.array([1, 2])
        yield case(ShapeError, "expected packed x", {7: sizes})
        yield case(ValueError, "not rising", {0: np.zeros((3, 2)), 7: sizes})
        packed = {0: np.zeros((3, 2)), 7: np.array([2.0, 1.0])}
        yield case(DTypeError, "sizes of int64", packed)
        if name == "rnn":
            yield case(ValueError, "nonlinearity must be", {}, nonlinearity="sin")

    return errors


def _make_grad_samples(name: str) -> Any:
    def samples() -> Iterator[Sample]:
        for sample in _make_samples(name)():
            inputs = sample.inputs
            nonlinearity = sample.attrs.get("nonlinearity", "tanh")
            outputs, kept = _reference_run(name, inputs, sample.attrs, nonlinearity)
            rng = np.random.default_rng(5)
            grads: list[Any] = [rng.normal(size=each.shape) for each in outputs]
            grads += [None] * (3 - len(grads))
            wanted = tuple(each is not None for each in inputs[:7])
            attrs = {**sample.attrs, "wanted": wanted}
            yield Sample((*grads, *inputs, outputs[0], *kept), attrs, gradient=False)

    return samples


def _reference_run(
    name: str, inputs: tuple[Any, ...], attrs: Any, nonlinearity: str
) -> tuple[list[NDArray], list[NDArray | None]]:
    """Outputs, gates and cells of a sample."""
    from pyautodl.backends.reference.rnn import rnn_fwd

    x, w_hh, sizes = inputs[0], inputs[4], inputs[7]
    hidden = w_hh.shape[1]
    batch = x.shape[1] if sizes is None else int(sizes[0])
    rows = x.reshape(-1, x.shape[-1])
    y, states = np.empty((len(rows), hidden)), np.empty((2, batch, hidden))
    gates = np.zeros((len(rows), _BLOCKS[name][1] * hidden))
    cells = np.empty_like(y) if name == "lstm" else None
    cn = states[1] if name == "lstm" else None
    writes = (y, states[0], cn, gates, cells)
    kind, reverse = _kind(name, nonlinearity), int(attrs["reverse"])
    run_reference: Any = rnn_fwd
    run_reference(rows, *inputs[1:], *writes, kind, reverse, 1)
    outputs = [y.reshape(*x.shape[:-1], hidden), states[0]]
    return outputs + ([states[1]] if name == "lstm" else []), [gates, cells]


def _make_grad_errors(name: str) -> Any:
    def errors() -> Iterator[ErrorCase]:
        sample = next(iter(_make_grad_samples(name)()))
        inputs = list(sample.inputs)
        inputs[0] = np.zeros((1, 1, 1))
        match = f"{name}_grad: expected a gradient"
        yield ErrorCase(tuple(inputs), sample.attrs, ShapeError, match)

    return errors


def _make_op(name: str) -> tuple[Op, Op]:
    op = Op(
        name=name,
        rule=_make_rule(name),
        forward=_make_forward(name),
        vjp=_make_vjp(name),
        composition=_make_composition(name),
        samples=_make_samples(name),
        errors=_make_errors(name),
    )
    gradient = Op(
        name=f"{name}_grad",
        rule=_make_grad_rule(name),
        forward=_make_grad_forward(name),
        samples=_make_grad_samples(name),
        errors=_make_grad_errors(name),
        gradient_of=name,
    )
    return register(op), register(gradient)


LSTM, LSTM_GRAD = _make_op("lstm")
GRU, GRU_GRAD = _make_op("gru")
RNN, RNN_GRAD = _make_op("rnn")
