"""Cholesky and QR: factors that equations are solved with."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from pyautodl.backends import Array
from pyautodl.errors import GradError, LinAlgError, ShapeError
from pyautodl.ops.linalg.common import (
    NDArray,
    check_matrices,
    computed,
    normal,
    not_square,
    turned,
)
from pyautodl.ops.record import ErrorCase, Op, Sample, Spec, register
from pyautodl.ops.views import along

__all__ = ["CHOLESKY", "QR"]


# ---- Cholesky ----


def _cholesky_rule(x: Array) -> tuple[Spec, ...]:
    check_matrices("cholesky", x, square=True)
    return (Spec(x.shape, x.dtype),)


def _cholesky_forward(ctx: Any, needs: Any, x: Array) -> Array:
    out: Array = ctx.empty(x.shape, x.dtype)
    failure = (
        "is not positive definite; likely fix: a small multiple of the identity added "
        "to it"
    )
    computed("cholesky", np.linalg.cholesky, (x,), (out,), failure, x.shape[:-2])
    ctx.save(out)
    return out


def _cholesky_vjp(call: Any, ctx: Any, needs: Any, g: Any) -> tuple[Any, ...]:
    """The symmetric half of L'^-1 phi(L' g) L^-1, phi being the lower triangle with half
    of the diagonal.
    """
    (factor,) = ctx.saved
    inner = call("matmul", factor, call("tri", g), transpose_a=True)
    lower = call("add", call("tri", inner), call("tri", inner, diagonal=-1))
    both = call("mul", call("add", lower, turned(call, lower)), 0.25)
    left = call("solve", factor, both, transpose=True)
    return (call("solve", factor, turned(call, left), transpose=True),)


def _definite(*shape: int) -> NDArray:
    x = normal(*shape)
    return np.asarray(x @ x.swapaxes(-1, -2) + np.eye(shape[-1]))


def _cholesky_samples() -> Iterator[Sample]:
    # only half of a matrix is read, so that the gradients of one element at a time are
    # those of symmetric matrices only here
    yield Sample((_definite(3, 1, 1),))
    yield Sample((_definite(3, 3),), gradient=False)
    yield Sample((_definite(2, 2, 4, 4),), gradient=False)
    yield Sample((np.zeros((0, 3, 3)),))


def _cholesky_errors() -> Iterator[ErrorCase]:
    yield from not_square("cholesky")
    match = "cholesky: matrix 1 of the batch is not positive definite"
    several = np.stack([np.eye(2), -np.eye(2)])
    yield ErrorCase((several,), {}, LinAlgError, match)


CHOLESKY = register(
    Op(
        name="cholesky",
        rule=_cholesky_rule,
        forward=_cholesky_forward,
        vjp=_cholesky_vjp,
        samples=_cholesky_samples,
        errors=_cholesky_errors,
        reference=np.linalg.cholesky,
    )
)


# ---- QR ----


def _qr_rule(x: Array, complete: bool = False) -> tuple[Spec, ...]:
    check_matrices("qr", x)
    *batch, rows, columns = x.shape
    inner = rows if complete else min(rows, columns)
    return (
        Spec((*batch, rows, inner), x.dtype),
        Spec((*batch, inner, columns), x.dtype),
    )


def _qr_reference(x: NDArray, complete: bool = False) -> tuple[NDArray, NDArray]:
    q, r = np.linalg.qr(x, "complete" if complete else "reduced")
    return q, r


def _qr_forward(
    ctx: Any, needs: Any, x: Array, complete: bool = False
) -> tuple[Array, Array]:
    first, second = _qr_rule(x, complete)
    outputs = ctx.empty(*first), ctx.empty(*second)

    def qr(values: NDArray) -> tuple[NDArray, NDArray]:
        return _qr_reference(values, complete)

    computed("qr", qr, (x,), outputs, "has no factors", x.shape[:-2])
    ctx.save(x, *outputs)
    return outputs


def _qr_vjp(call: Any, ctx: Any, needs: Any, gq: Any, gr: Any) -> tuple[Any, ...]:
    x, q, r = ctx.saved
    rows, columns = ctx.shapes[0][-2:]
    if rows >= columns:
        if ctx.attrs.get("complete", False) and rows > columns:
            raise GradError(
                f"qr: the columns of Q that complete it have no gradient: shape "
                f"{ctx.shapes[0]}; likely fix: mode='reduced'"
            )
        return (_square_qr_grad(call, q, r, gq, gr),)
    # x = [y, z]: y has the same Q, and the rest of R is Q' z
    y_part, z_part = (0, rows), (rows, columns - rows)
    z, u = _columns(call, x, *z_part), _columns(call, r, *y_part)
    gu = None
    if gr is None:
        gz = call("mul", z, 0.0)
    else:
        gu, gv = _columns(call, gr, *y_part), _columns(call, gr, *z_part)
        through = call("matmul", z, gv, transpose_b=True)
        gq = through if gq is None else call("add", gq, through)
        gz = call("matmul", q, gv)
    return (call("cat", _square_qr_grad(call, q, u, gq, gu), gz, dim=-1),)


def _columns(call: Any, x: Any, start: int, size: int) -> Any:
    ndim = len(x.shape)
    return call("slice", x, **along(ndim, x.shape, ndim - 1, start, size), drop=())


def _square_qr_grad(call: Any, q: Any, r: Any, gq: Any, gr: Any) -> Any:
    """(gq + q m) r'^-1 with m the symmetric matrix that has r gr' - gq' q as its lower
    triangle.
    """
    m = None
    if gr is not None:
        m = call("matmul", r, call("tri", gr, upper=True), transpose_b=True)
    if gq is not None:
        second = call("neg", call("matmul", gq, q, transpose_a=True))
        m = second if m is None else call("add", m, second)
    strict = call("tri", m, diagonal=-1)
    inner = call("matmul", q, call("add", call("tri", m), turned(call, strict)))
    total = inner if gq is None else call("add", gq, inner)
    return turned(call, call("solve", r, turned(call, total)))


def _qr_samples() -> Iterator[Sample]:
    for shape in ((3, 3), (4, 2), (2, 4), (2, 3, 2), (2, 2, 3), (2, 1, 1)):
        yield Sample((normal(*shape),), tolerance=10.0)
    yield Sample((normal(2, 3),), {"complete": True})
    yield Sample((normal(4, 2),), {"complete": True}, gradient=False)
    yield Sample((np.zeros((0, 3, 2)),))


def _qr_errors() -> Iterator[ErrorCase]:
    yield ErrorCase((normal(2),), {}, ShapeError, "qr: expected matrices")


QR = register(
    Op(
        name="qr",
        rule=_qr_rule,
        forward=_qr_forward,
        vjp=_qr_vjp,
        samples=_qr_samples,
        errors=_qr_errors,
        reference=_qr_reference,
    )
)
