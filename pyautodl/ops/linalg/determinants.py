"""Determinants, and their derivatives also where the matrix is singular."""

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
    not_square,
    square_samples,
    turned,
)
from pyautodl.ops.record import Op, Sample, Spec, register

__all__ = ["COFACTORS", "DET", "SLOGDET"]


def _times(call: Any, numbers: Any, matrices: Any) -> Any:
    """Each matrix times its number."""
    return call("mul", columns(call, columns(call, numbers)), matrices)


def _det(x: NDArray) -> NDArray:
    """The determinants as an array, also that of one matrix.

    A number of NumPy's looks up its methods by new strings, and Python's cache of methods
    keeps hundreds of them.
    """
    return np.asarray(np.linalg.det(x[None])[0])


# ---- det ----


def _det_rule(x: Array) -> tuple[Spec, ...]:
    check_matrices("det", x, square=True)
    return (Spec(x.shape[:-2], x.dtype),)


def _det_forward(ctx: Any, needs: Any, x: Array) -> Array:
    out: Array = ctx.empty(x.shape[:-2], x.dtype)
    computed("det", _det, (x,), (out,), "", x.shape[:-2])
    ctx.save(x)
    return out


def _det_vjp(call: Any, ctx: Any, needs: Any, g: Any) -> tuple[Any, ...]:
    return (_times(call, g, call("cofactors", ctx.saved[0])),)


def _det_samples() -> Iterator[Sample]:
    yield from square_samples()
    # a second derivative is a matter of the inverse
    yield Sample((np.array([[1.0, 2.0], [2.0, 4.0]]),), gradient=False)


DET = register(
    Op(
        name="det",
        rule=_det_rule,
        forward=_det_forward,
        vjp=_det_vjp,
        samples=_det_samples,
        errors=partial(not_square, "det"),
        reference=np.linalg.det,
    )
)


# ---- cofactors ----


def _cofactors_rule(x: Array) -> tuple[Spec, ...]:
    check_matrices("cofactors", x, square=True)
    return (Spec(x.shape, x.dtype),)


def _cofactors(x: NDArray) -> NDArray:
    """det(U) det(V) U diag(product of the other singular values) V', without division."""
    u, s, vh = np.linalg.svd(x)
    others = np.ones_like(s)
    others[..., 1:] = np.multiply.accumulate(s[..., :-1], -1)
    others[..., :-1] *= np.multiply.accumulate(s[..., :0:-1], -1)[..., ::-1]
    sign = np.rint(np.linalg.det(np.stack([u, vh]))).prod(0)
    return np.asarray(sign[..., None, None] * ((u * others[..., None, :]) @ vh))


def _cofactors_forward(ctx: Any, needs: Any, x: Array) -> Array:
    out: Array = ctx.empty(x.shape, x.dtype)
    failure = "has no singular values that converge"
    computed("det", _cofactors, (x,), (out,), failure, x.shape[:-2])
    ctx.save(x, out)
    return out


def _cofactors_vjp(call: Any, ctx: Any, needs: Any, g: Any) -> tuple[Any, ...]:
    """c = det(x) y with y = inverse(x)'; so gx = c sum(g y) - y g' c."""
    x, c = ctx.saved
    inverse = call("inverse", x)
    part = call("mul", g, turned(call, inverse))
    total = _times(call, call("sum", part, dim=(-2, -1), keepdim=False), c)
    rest = call("matmul", call("matmul", g, inverse), c, transpose_a=True)
    return (call("sub", total, rest),)


def _cofactors_reference(x: NDArray) -> NDArray:
    out = np.empty_like(x)
    for i in range(x.shape[-1]):
        for j in range(x.shape[-1]):
            minor = np.delete(np.delete(x, i, -2), j, -1)
            out[..., i, j] = (-1) ** (i + j) * np.linalg.det(minor)
    return out


COFACTORS = register(
    Op(
        name="cofactors",
        rule=_cofactors_rule,
        forward=_cofactors_forward,
        vjp=_cofactors_vjp,
        samples=_det_samples,
        errors=partial(not_square, "cofactors"),
        reference=_cofactors_reference,
    )
)


# ---- slogdet ----


def _slogdet_rule(x: Array) -> tuple[Spec, ...]:
    check_matrices("slogdet", x, square=True)
    spec = Spec(x.shape[:-2], x.dtype)
    return spec, spec


def _slogdet_reference(x: NDArray) -> tuple[NDArray, NDArray]:
    sign, log = np.linalg.slogdet(x[None])
    return np.asarray(sign[0]), np.asarray(log[0])


def _slogdet_forward(ctx: Any, needs: Any, x: Array) -> tuple[Array, Array]:
    batch = x.shape[:-2]
    outputs = ctx.empty(batch, x.dtype), ctx.empty(batch, x.dtype)
    computed("slogdet", _slogdet_reference, (x,), outputs, "", batch)
    ctx.save(x)
    return outputs


def _slogdet_vjp(call: Any, ctx: Any, needs: Any, _: Any, g: Any) -> tuple[Any, ...]:
    """The sign is constant."""
    if g is None:
        return (None,)
    return (_times(call, g, turned(call, call("inverse", ctx.saved[0]))),)


def _slogdet_samples() -> Iterator[Sample]:
    yield from square_samples()
    yield Sample((np.zeros((2, 2)),), gradient=False)


SLOGDET = register(
    Op(
        name="slogdet",
        rule=_slogdet_rule,
        forward=_slogdet_forward,
        vjp=_slogdet_vjp,
        samples=_slogdet_samples,
        errors=partial(not_square, "slogdet"),
        reference=_slogdet_reference,
    )
)
