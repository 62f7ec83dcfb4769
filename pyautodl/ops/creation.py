"""Ops that make tensors of one value."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from pyautodl.backends import Array, constant, run
from pyautodl.backends.dtypes import DType, float64, int64
from pyautodl.errors import ShapeError
from pyautodl.ops.record import ErrorCase, Op, Sample, Spec, register

__all__ = ["FULL", "OVERWRITTEN", "ZEROS_LIKE"]


def _check_sizes(name: str, shape: tuple[int, ...]) -> None:
    if any(size < 0 for size in shape):
        raise ShapeError(f"{name}: sizes must not be negative, got {tuple(shape)}")


def _full_rule(shape: tuple[int, ...], value: Any, dtype: DType) -> tuple[Spec, ...]:
    _check_sizes("full", shape)
    return (Spec(tuple(shape), dtype),)


def _full_forward(
    ctx: Any, needs: Any, shape: tuple[int, ...], value: Any, dtype: DType
) -> Array:
    return _filled(ctx.empty(tuple(shape), dtype), value)


def _filled(out: Array, value: Any) -> Array:
    one = constant(value, out.dtype, "full")
    run("copy", (one.view(out.shape, (0,) * out.ndim),), (out,))
    return out


def _full_reference(
    shape: tuple[int, ...], value: Any, dtype: DType
) -> np.ndarray[Any, Any]:
    return np.full(shape, value, dtype.numpy)


def _full_samples() -> Iterator[Sample]:
    yield Sample((), {"shape": (2, 3), "value": 1.5, "dtype": float64}, gradient=False)
    yield Sample((), {"shape": (), "value": -0.0, "dtype": float64}, gradient=False)
    yield Sample((), {"shape": (0, 2), "value": 7, "dtype": int64}, gradient=False)
    yield Sample(
        (), {"shape": (3,), "value": 2**60 + 1, "dtype": int64}, gradient=False
    )


def _full_errors() -> Iterator[ErrorCase]:
    attrs = {"shape": (2, -1), "value": 0, "dtype": float64}
    yield ErrorCase((), attrs, ShapeError, "full: sizes must not be negative")


FULL = register(
    Op(
        name="full",
        rule=_full_rule,
        forward=_full_forward,
        samples=_full_samples,
        errors=_full_errors,
        reference=_full_reference,
    )
)


def _like_rule(x: Array) -> tuple[Spec, ...]:
    return (Spec(x.shape, x.dtype),)


def _like_forward(ctx: Any, needs: Any, x: Array) -> Array:
    return _filled(ctx.empty_like(x), 0)


def _like_vjp(call: Any, ctx: Any, needs: Any, g: Any) -> tuple[Any, ...]:
    return (None,)


def _like_samples() -> Iterator[Sample]:
    yield Sample((np.arange(6.0).reshape(2, 3),))
    yield Sample((np.zeros((0, 2)),))


def _no_errors() -> Iterator[ErrorCase]:
    """Any tensor will do."""
    return iter(())


def _zeros_op(name: str, vjp: Callable[..., tuple[Any, ...]]) -> Op:
    """An op that gives zeros in the shape of its input."""
    return register(
        Op(
            name=name,
            rule=_like_rule,
            forward=_like_forward,
            vjp=vjp,
            samples=_like_samples,
            errors=_no_errors,
            reference=np.zeros_like,
        )
    )


def _overwritten_vjp(call: Any, ctx: Any, needs: Any, g: Any) -> tuple[Any, ...]:
    return (call("zeros_like", g),)


ZEROS_LIKE = _zeros_op("zeros_like", _like_vjp)

# what a tensor is to its graph once all its elements were set to something else; the
# gradient is 0, where that of zeros_like is absent
OVERWRITTEN = _zeros_op("overwritten", _overwritten_vjp)
