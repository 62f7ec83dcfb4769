"""Draws from distributions by rejection, and how gamma draws move with their shape."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from pyautodl.backends import Array, from_numpy, run
from pyautodl.backends.dtypes import FLOATING
from pyautodl.errors import DTypeError, ShapeError
from pyautodl.ops.layout import ensure_contiguous
from pyautodl.ops.record import ErrorCase, Op, Sample, Spec, register

__all__ = ["DRAW", "KINDS"]

# by which numbers the kernel knows them, as csrc/math/special.h
KINDS = ("gamma", "log_gamma", "poisson", "binomial")


def _rule(first: Array, second: Array, kind: str, state: Array) -> tuple[Spec, ...]:
    if kind not in KINDS:
        choices = ", ".join(map(repr, KINDS))
        raise ValueError(f"draw: {kind!r} is unknown; choose one of {choices}")
    if first.dtype.category != FLOATING or second.dtype is not first.dtype:
        raise DTypeError(
            f"{kind}: expected parameters of one floating type, got {first.dtype.name} "
            f"and {second.dtype.name}"
        )
    if first.shape != second.shape:
        raise ShapeError(
            f"{kind}: expected parameters of one shape, got {first.shape} and "
            f"{second.shape}"
        )
    return (Spec(first.shape, first.dtype),)


def _forward(
    ctx: Any, needs: Any, first: Array, second: Array, kind: str, state: Array
) -> Array:
    one = ensure_contiguous(ctx, first)
    two = one if second is first else ensure_contiguous(ctx, second)
    out: Array = ctx.empty(first.shape, first.dtype)
    run("random_draw", (one, two), (out, state), (KINDS.index(kind),))
    if needs[0] and kind in ("gamma", "log_gamma"):
        ctx.save(one, out)
    return out


def _vjp(call: Any, ctx: Any, needs: Any, g: Any) -> tuple[Any, ...]:
    """The implicit gradient of gamma draws; other draws do not move: 0, as in PyTorch.

    Figurnov, Mohamed and Mnih, "Implicit reparameterization gradients", 2018.
    """
    kind = ctx.attrs["kind"]
    if kind not in ("gamma", "log_gamma"):
        nothing = call("zeros_like", g)
        return nothing, nothing
    shape, drawn = ctx.saved
    if kind == "gamma":
        slope = call("mul", call("gamma_slope", shape, call("log", drawn)), drawn)
    else:
        slope = call("gamma_slope", shape, drawn)
    return call("grad_mul", g, slope), None


def _state() -> Array:
    """A generator's array for samples."""
    return from_numpy(np.array([0, 0, 0], np.int64))


def _samples() -> Iterator[Sample]:
    first = np.array([[0.3, 1.0, 4.0], [20.0, 0.0, 9.0]])
    for kind in KINDS:
        second = np.full_like(first, 0.3)
        attrs = {"kind": kind, "state": _state()}
        yield Sample((first, second), attrs, gradient=False)


def _errors() -> Iterator[ErrorCase]:
    x = np.ones(2)
    attrs = {"kind": "gamma", "state": _state()}
    yield ErrorCase((x, np.ones(3)), attrs, ShapeError, "gamma: expected parameters of")
    yield ErrorCase((x, np.array([1, 2])), attrs, DTypeError, "of one floating type")
    attrs = {"kind": "normal", "state": _state()}
    yield ErrorCase((x, x), attrs, ValueError, "'normal' is unknown; choose one of")


DRAW = register(
    Op(
        name="draw",
        rule=_rule,
        forward=_forward,
        vjp=_vjp,
        samples=_samples,
        errors=_errors,
        random=True,
        changes=("state",),
    )
)
