"""Eigenvalues of any square matrices: complex numbers, as pairs on a last axis of size 2."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from pyautodl.backends import Array
from pyautodl.ops.linalg.common import (
    NDArray,
    check_matrices,
    columns,
    computed,
    diagonal_matrix,
    identity,
    normal,
    not_square,
    rows,
    turned,
)
from pyautodl.ops.record import Op, Sample, Spec, register

__all__ = ["EIG"]

# real and imaginary parts
Parts = tuple[Any, Any]


def _as_pairs(x: NDArray) -> NDArray:
    return np.stack([x.real, x.imag], -1)


def _reference(x: NDArray) -> tuple[NDArray, NDArray]:
    values, vectors = np.linalg.eig(x)
    return _as_pairs(values), _as_pairs(vectors)


def _rule(x: Array) -> tuple[Spec, ...]:
    check_matrices("eig", x, square=True)
    return Spec((*x.shape[:-1], 2), x.dtype), Spec((*x.shape, 2), x.dtype)


def _forward(ctx: Any, needs: Any, x: Array) -> tuple[Array, Array]:
    values, vectors = [ctx.empty(spec.shape, spec.dtype) for spec in _rule(x)]
    failure = "has no eigenvalues that converge"
    computed("eig", _reference, (x,), (values, vectors), failure, x.shape[:-2])
    ctx.save(values, vectors)
    return values, vectors


def _vjp(call: Any, ctx: Any, needs: Any, gw: Any, gv: Any) -> tuple[Any, ...]:
    """The real part of V^-H (diag(gw) + M / conj(w_j - w_i)) V^H.

    M is V^H gv without what changes the lengths of vectors, which are 1.
    """
    w, v = (_parts(call, each) for each in ctx.saved)
    inner: Parts | None = None
    if gw is not None:
        real, imag = _parts(call, gw)
        inner = diagonal_matrix(call, real), diagonal_matrix(call, imag)
    if gv is not None:
        part = _of_vectors(call, w, v, _parts(call, gv))
        inner = part if inner is None else _each(call, "add", inner, part)
    right = _times(call, inner, _conjugate(call, _turned(call, v)))
    n = v[0].shape[-1]
    # V^H X = right, with real numbers: [[re, im], [-im, re]]' [X.re, X.im] = ...
    whole = _blocks(call, v)
    sides = call("cat", right[0], right[1], dim=-2)
    found = call("solve", whole, sides, transpose=True)
    batch = tuple(found.shape[:-2])
    real = call(
        "slice",
        found,
        starts=(0,) * (len(batch) + 2),
        sizes=(*batch, n, n),
        steps=(1,) * (len(batch) + 2),
    )
    return (real,)


def _of_vectors(call: Any, w: Parts, v: Parts, gv: Parts) -> Parts:
    inner = _times(call, _conjugate(call, _turned(call, v)), gv)
    n = v[0].shape[-1]
    one = identity(call, n, v[0].dtype)
    # V^H V times the real parts of the diagonal
    lengths = call("mul", inner[0], one)
    own = _times(call, _conjugate(call, _turned(call, v)), v)
    own = tuple(call("matmul", each, lengths) for each in own)
    inner = _each(call, "sub", inner, own)
    # conj(w_j - w_i) and 1 on the diagonal, where the quotient is not wanted
    real, imag = (_differences(call, each) for each in w)
    real, imag = call("add", real, one), call("neg", imag)
    size = call("add", call("square", real), call("square", imag))
    a, b = inner
    quotient = (
        call("add", call("mul", a, real), call("mul", b, imag)),
        call("sub", call("mul", b, real), call("mul", a, imag)),
    )
    rest = call("sub", 1.0, one)
    return tuple(call("mul", call("div", each, size), rest) for each in quotient)


def _differences(call: Any, x: Any) -> Any:
    """x_j - x_i at (i, j)."""
    return call("sub", rows(call, x), columns(call, x))


# ---- complex numbers as two tensors ----


def _parts(call: Any, pairs: Any) -> Parts:
    real, imag = call("unbind", pairs, dim=-1)
    return real, imag


def _each(call: Any, op: str, x: Parts, y: Parts) -> Parts:
    return call(op, x[0], y[0]), call(op, x[1], y[1])


def _turned(call: Any, x: Parts) -> Parts:
    return turned(call, x[0]), turned(call, x[1])


def _conjugate(call: Any, x: Parts) -> Parts:
    return x[0], call("neg", x[1])


def _times(call: Any, x: Any, y: Parts) -> Parts:
    """Products of matrices."""
    (a, b), (c, d) = x, y
    real = call("sub", call("matmul", a, c), call("matmul", b, d))
    return real, call("add", call("matmul", a, d), call("matmul", b, c))


def _blocks(call: Any, x: Parts) -> Any:
    """Complex matrices as real ones of twice the size: [[re, -im], [im, re]]."""
    real, imag = x
    above = call("cat", real, call("neg", imag), dim=-1)
    return call("cat", above, call("cat", imag, real, dim=-1), dim=-2)


# ---- samples ----


def _samples() -> Iterator[Sample]:
    # eigenvectors may turn in the complex plane, so gradients are checked elsewhere
    for shape in ((3, 3), (2, 4, 4), (2, 1, 1)):
        yield Sample((normal(*shape),), gradient=shape[-1] == 1, tolerance=10.0)
    yield Sample((np.array([[0.0, -2.0], [1.0, 0.0]]),), gradient=False)
    yield Sample((np.zeros((0, 2, 2)),))


EIG = register(
    Op(
        name="eig",
        rule=_rule,
        forward=_forward,
        vjp=_vjp,
        samples=_samples,
        errors=partial(not_square, "eig"),
        reference=_reference,
    )
)
