"""Random numbers and dropout.

The attribute `state` is a generator's array (seed, stream, offset); the kernel reads
the offset and advances it, so that a replayed call draws new numbers.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from pyautodl.backends import Array, empty, from_numpy, run
from pyautodl.backends.dtypes import (
    FLOATING,
    INTEGRAL,
    DType,
    bool_,
    float64,
    int8,
    int64,
)
from pyautodl.errors import DTypeError, ShapeError
from pyautodl.ops.layout import ensure_contiguous, ensure_dense
from pyautodl.ops.record import ErrorCase, Op, Sample, Spec, register

__all__ = [
    "DROPOUT",
    "DROPOUT_GRAD",
    "RANDOM_BERNOULLI",
    "RANDOM_INTEGERS",
    "RANDOM_MULTINOMIAL",
    "RANDOM_NORMAL",
    "RANDOM_PERMUTATION",
    "RANDOM_TRUNC_NORMAL",
    "RANDOM_UNIFORM",
]

Shape = tuple[int, ...]


def _state(seed: int = 0) -> Array:
    """A generator's array for samples."""
    return from_numpy(np.array([seed, 0, 0], np.int64))


def _check_sizes(name: str, shape: Shape) -> None:
    if any(size < 0 for size in shape):
        raise ShapeError(f"{name}: sizes must not be negative, got {shape}")


def _check_float(name: str, dtype: DType) -> None:
    if dtype.category != FLOATING:
        raise DTypeError(f"{name}: expected float32 or float64, got {dtype.name}")


def _check_probability(name: str, p: float) -> None:
    if not 0 <= p <= 1:
        raise ValueError(f"{name}: p must be from 0 to 1, got {p}")


# ---- uniform ----


def _uniform_rule(
    shape: Shape, dtype: DType, low: float, high: float, state: Array
) -> tuple[Spec, ...]:
    _check_sizes("uniform", shape)
    _check_float("uniform", dtype)
    if not low <= high:
        raise ValueError(f"uniform: expected low <= high, got {low} and {high}")
    if not math.isfinite(high - low):
        raise ValueError(f"uniform: the range from {low} to {high} is not finite")
    return (Spec(shape, dtype),)


def _uniform_forward(
    ctx: Any,
    needs: Any,
    shape: Shape,
    dtype: DType,
    low: float,
    high: float,
    state: Array,
) -> Array:
    out: Array = ctx.empty(shape, dtype)
    run("random_uniform", (), (out, state), (), (low, high))
    return out


def _attrs(**more: Any) -> dict[str, Any]:
    return {"shape": (2, 3), "dtype": float64, "state": _state(), **more}


def _uniform_samples() -> Iterator[Sample]:
    yield Sample((), _attrs(low=0.0, high=1.0), gradient=False)
    yield Sample((), _attrs(shape=(131,), low=-2.0, high=3.0), gradient=False)
    yield Sample((), _attrs(shape=(0, 4), low=0.0, high=1.0), gradient=False)


def _uniform_errors() -> Iterator[ErrorCase]:
    yield ErrorCase((), _attrs(low=1.0, high=0.0), ValueError, "low <= high")
    yield ErrorCase((), _attrs(low=0.0, high=math.inf), ValueError, "not finite")
    attrs = _attrs(shape=(2, -1), low=0.0, high=1.0)
    yield ErrorCase((), attrs, ShapeError, "must not be negative")
    attrs = _attrs(dtype=int64, low=0.0, high=1.0)
    yield ErrorCase((), attrs, DTypeError, "expected float32 or float64")


RANDOM_UNIFORM = register(
    Op(
        name="random_uniform",
        rule=_uniform_rule,
        forward=_uniform_forward,
        samples=_uniform_samples,
        errors=_uniform_errors,
        random=True,
        changes=("state",),
    )
)


# ---- normal ----


def _normal_rule(
    shape: Shape, dtype: DType, mean: float, std: float, state: Array
) -> tuple[Spec, ...]:
    _check_sizes("normal", shape)
    _check_float("normal", dtype)
    if not std >= 0:
        raise ValueError(f"normal: std must not be negative, got {std}")
    return (Spec(shape, dtype),)


def _normal_forward(
    ctx: Any,
    needs: Any,
    shape: Shape,
    dtype: DType,
    mean: float,
    std: float,
    state: Array,
) -> Array:
    out: Array = ctx.empty(shape, dtype)
    run("random_normal", (), (out, state), (), (mean, std))
    return out


def _normal_samples() -> Iterator[Sample]:
    yield Sample((), _attrs(mean=0.0, std=1.0), gradient=False)
    yield Sample((), _attrs(shape=(131,), mean=-2.0, std=3.0), gradient=False)
    yield Sample((), _attrs(shape=(0, 4), mean=0.0, std=0.0), gradient=False)


def _normal_errors() -> Iterator[ErrorCase]:
    yield ErrorCase(
        (), _attrs(mean=0.0, std=-1.0), ValueError, "std must not be negative"
    )


RANDOM_NORMAL = register(
    Op(
        name="random_normal",
        rule=_normal_rule,
        forward=_normal_forward,
        samples=_normal_samples,
        errors=_normal_errors,
        random=True,
        changes=("state",),
    )
)


# ---- truncated normal ----


def _trunc_normal_rule(
    shape: Shape,
    dtype: DType,
    mean: float,
    std: float,
    low: float,
    high: float,
    state: Array,
) -> tuple[Spec, ...]:
    _normal_rule(shape, dtype, mean, std, state)
    if not low <= high:
        raise ValueError(f"trunc_normal: expected low <= high, got {low} and {high}")
    return (Spec(shape, dtype),)


def _cdf(x: float) -> float:
    return math.erfc(-x / math.sqrt(2)) / 2


def _trunc_normal_forward(
    ctx: Any,
    needs: Any,
    shape: Shape,
    dtype: DType,
    mean: float,
    std: float,
    low: float,
    high: float,
    state: Array,
) -> Array:
    out: Array = ctx.empty(shape, dtype)
    # the chances to lie below, or above where those are too near to 1
    side = -1 if low > mean else 1
    chances = [
        _cdf(side * (bound - mean) / std) if std else 0.0 for bound in (low, high)
    ]
    run("random_trunc_normal", (), (out, state), (), (mean, std, low, high, *chances))
    return out


def _trunc_normal_samples() -> Iterator[Sample]:
    yield Sample((), _attrs(mean=0.0, std=1.0, low=-2.0, high=2.0), gradient=False)
    yield Sample((), _attrs(mean=0.0, std=1.0, low=3.0, high=5.0), gradient=False)


def _trunc_normal_errors() -> Iterator[ErrorCase]:
    attrs = _attrs(mean=0.0, std=1.0, low=2.0, high=-2.0)
    yield ErrorCase((), attrs, ValueError, "low <= high")


RANDOM_TRUNC_NORMAL = register(
    Op(
        name="random_trunc_normal",
        rule=_trunc_normal_rule,
        forward=_trunc_normal_forward,
        samples=_trunc_normal_samples,
        errors=_trunc_normal_errors,
        random=True,
        changes=("state",),
    )
)


# ---- integers ----


def _integers_rule(
    shape: Shape, dtype: DType, low: int, high: int, state: Array
) -> tuple[Spec, ...]:
    _check_sizes("randint", shape)
    if dtype.category != INTEGRAL:
        raise DTypeError(f"randint: expected an integer type, got {dtype.name}")
    if not low < high:
        raise ValueError(f"randint: expected low < high, got {low} and {high}")
    limits = np.iinfo(dtype.numpy)
    if low < limits.min or high - 1 > limits.max:
        raise ValueError(f"randint: {dtype.name} can't hold all of {low} to {high - 1}")
    return (Spec(shape, dtype),)


def _wrap(value: int) -> int:
    """The number as int64, so that 2**63 passes as the end of the range."""
    return (value + 2**63) % 2**64 - 2**63


def _integers_forward(
    ctx: Any, needs: Any, shape: Shape, dtype: DType, low: int, high: int, state: Array
) -> Array:
    out: Array = ctx.empty(shape, dtype)
    run("random_integers", (), (out, state), (low, _wrap(high)), ())
    return out


def _integers_samples() -> Iterator[Sample]:
    yield Sample((), _attrs(dtype=int64, low=-3, high=7), gradient=False)
    yield Sample((), _attrs(dtype=int64, low=-(2**63), high=2**63), gradient=False)
    yield Sample((), _attrs(dtype=int8, low=-128, high=128), gradient=False)


def _integers_errors() -> Iterator[ErrorCase]:
    yield ErrorCase((), _attrs(dtype=int64, low=3, high=3), ValueError, "low < high")
    yield ErrorCase((), _attrs(dtype=int8, low=0, high=200), ValueError, "can't hold")
    attrs = _attrs(low=0, high=2)
    yield ErrorCase((), attrs, DTypeError, "expected an integer type")


RANDOM_INTEGERS = register(
    Op(
        name="random_integers",
        rule=_integers_rule,
        forward=_integers_forward,
        samples=_integers_samples,
        errors=_integers_errors,
        random=True,
        changes=("state",),
    )
)


# ---- permutation ----


def _permutation_rule(n: int, state: Array) -> tuple[Spec, ...]:
    if n < 0:
        raise ValueError(f"randperm: n must not be negative, got {n}")
    return (Spec((n,), int64),)


def _permutation_forward(ctx: Any, needs: Any, n: int, state: Array) -> Array:
    out: Array = ctx.empty((n,), int64)
    run("random_permutation", (), (out, state))
    return out


def _permutation_samples() -> Iterator[Sample]:
    yield Sample((), {"n": 70, "state": _state()}, gradient=False)
    yield Sample((), {"n": 0, "state": _state()}, gradient=False)


def _permutation_errors() -> Iterator[ErrorCase]:
    yield ErrorCase(
        (), {"n": -1, "state": _state()}, ValueError, "must not be negative"
    )


RANDOM_PERMUTATION = register(
    Op(
        name="random_permutation",
        rule=_permutation_rule,
        forward=_permutation_forward,
        samples=_permutation_samples,
        errors=_permutation_errors,
        random=True,
        changes=("state",),
    )
)


# ---- bernoulli ----


def _bernoulli_rule(p: Array, state: Array) -> tuple[Spec, ...]:
    _check_float("bernoulli", p.dtype)
    return (Spec(p.shape, p.dtype),)


def _bernoulli_forward(ctx: Any, needs: Any, p: Array, state: Array) -> Array:
    p = ensure_contiguous(ctx, p)
    out = empty(p.shape, p.dtype)
    try:
        run("random_bernoulli", (p,), (out, state))
    except ValueError:
        raise ValueError(
            f"bernoulli: every probability must be from 0 to 1 (p {p.shape})"
        ) from None
    return out


def _no_gradient(call: Any, ctx: Any, needs: Any, g: Any) -> tuple[Any, ...]:
    """A draw does not move with its probability: 0, as in PyTorch."""
    return (call("zeros_like", g),)


def _bernoulli_samples() -> Iterator[Sample]:
    p = np.random.default_rng(0).random((3, 5))
    yield Sample((p,), {"state": _state()}, gradient=False)
    yield Sample((np.linspace(0.0, 1.0, 131),), {"state": _state()}, gradient=False)


def _bernoulli_errors() -> Iterator[ErrorCase]:
    attrs = {"state": _state()}
    yield ErrorCase((np.array([0.5, 1.5]),), attrs, ValueError, "from 0 to 1")
    yield ErrorCase((np.array([0.5, np.nan]),), attrs, ValueError, "from 0 to 1")
    yield ErrorCase((np.array([1]),), attrs, DTypeError, "expected float32 or float64")


RANDOM_BERNOULLI = register(
    Op(
        name="random_bernoulli",
        rule=_bernoulli_rule,
        forward=_bernoulli_forward,
        vjp=_no_gradient,
        samples=_bernoulli_samples,
        errors=_bernoulli_errors,
        random=True,
        changes=("state",),
    )
)


# ---- multinomial ----


def _multinomial_rule(weights: Array, draws: int, state: Array) -> tuple[Spec, ...]:
    _check_float("multinomial", weights.dtype)
    if weights.ndim != 2 or weights.shape[1] == 0:
        raise ShapeError(
            "multinomial: expected weights of shape (rows, k) with k > 0, got "
            f"{weights.shape}"
        )
    if draws < 1:
        raise ValueError(f"multinomial: num_samples must be at least 1, got {draws}")
    return (Spec((weights.shape[0], draws), int64),)


def _multinomial_forward(
    ctx: Any, needs: Any, weights: Array, draws: int, state: Array
) -> Array:
    weights = ensure_contiguous(ctx, weights)
    out: Array = ctx.empty((weights.shape[0], draws), int64)
    try:
        run("random_multinomial", (weights,), (out, state))
    except ValueError:
        raise ValueError(
            "multinomial: the weights of each row must be finite, not negative and of "
            f"positive sum (weights {weights.shape})"
        ) from None
    return out


def _multinomial_samples() -> Iterator[Sample]:
    weights = np.array([[0.0, 1.0, 2.0], [1.0, 0.0, 0.0]])
    yield Sample((weights,), {"draws": 40, "state": _state()}, gradient=False)


def _multinomial_errors() -> Iterator[ErrorCase]:
    attrs = {"draws": 1, "state": _state()}
    for row in ([0.0, 0.0], [1.0, -1.0], [1.0, np.inf], [1.0, np.nan]):
        yield ErrorCase(
            (np.array([[1.0, 1.0], row]),), attrs, ValueError, "positive sum"
        )
    yield ErrorCase((np.ones(3),), attrs, ShapeError, "expected weights of shape")
    attrs = {"draws": 0, "state": _state()}
    yield ErrorCase((np.ones((1, 3)),), attrs, ValueError, "at least 1")


RANDOM_MULTINOMIAL = register(
    Op(
        name="random_multinomial",
        rule=_multinomial_rule,
        forward=_multinomial_forward,
        samples=_multinomial_samples,
        errors=_multinomial_errors,
        random=True,
        changes=("state",),
    )
)


# ---- dropout ----


def _dropout_rule(x: Array, p: float, state: Array) -> tuple[Spec, ...]:
    _check_float("dropout", x.dtype)
    _check_probability("dropout", p)
    return (Spec(x.shape, x.dtype),)


def _dropout_forward(ctx: Any, needs: Any, x: Array, p: float, state: Array) -> Array:
    x = ensure_dense(ctx, x)
    out = empty(x.shape, x.dtype, x.strides)
    # the kernel writes what it kept in any case: without a gradient it is dropped here
    kept = empty(x.shape, bool_, x.strides)
    run("dropout_fwd", (x,), (out, kept, state), (), (p,))
    if needs[0]:
        ctx.save(kept)
    return out


def _dropout_vjp(call: Any, ctx: Any, needs: Any, g: Any) -> tuple[Any, ...]:
    return (call("dropout_grad", g, ctx.saved[0], p=ctx.attrs["p"]),)


def _dropout_samples() -> Iterator[Sample]:
    x = np.random.default_rng(0).normal(size=(3, 5))
    for p in (0.0, 0.4, 1.0):
        yield Sample((x,), {"p": p, "state": _state()}, gradient=False)
    yield Sample((np.ones((2, 131)),), {"p": 0.5, "state": _state()}, gradient=False)


def _dropout_errors() -> Iterator[ErrorCase]:
    for p in (-0.1, 1.1, math.nan):
        attrs = {"p": p, "state": _state()}
        yield ErrorCase((np.ones(3),), attrs, ValueError, "p must be from 0 to 1")
    attrs = {"p": 0.5, "state": _state()}
    yield ErrorCase((np.array([1]),), attrs, DTypeError, "expected float32 or float64")


DROPOUT = register(
    Op(
        name="dropout",
        rule=_dropout_rule,
        forward=_dropout_forward,
        vjp=_dropout_vjp,
        samples=_dropout_samples,
        errors=_dropout_errors,
        random=True,
        changes=("state",),
    )
)


def _dropout_grad_rule(g: Array, kept: Array, p: float) -> tuple[Spec, ...]:
    _check_float("dropout_grad", g.dtype)
    if kept.dtype is not bool_:
        raise DTypeError(
            f"dropout_grad: expected a mask of bool, got {kept.dtype.name}"
        )
    if g.shape != kept.shape:
        raise ShapeError(
            "dropout_grad: gradient and mask differ in shape "
            f"(g {g.shape}, kept {kept.shape})"
        )
    return (Spec(g.shape, g.dtype),)


def _dropout_grad_forward(
    ctx: Any, needs: Any, g: Array, kept: Array, p: float
) -> Array:
    kept = ensure_dense(ctx, kept)
    if needs[0]:
        ctx.save(kept)
    if g.strides != kept.strides:
        same = empty(g.shape, g.dtype, kept.strides)
        run("copy", (g,), (same,))
        g = same
    out = empty(g.shape, g.dtype, g.strides)
    run("dropout_bwd", (g, kept), (out,), (), (p,))
    return out


def _dropout_grad_vjp(call: Any, ctx: Any, needs: Any, gg: Any) -> tuple[Any, ...]:
    return (call("dropout_grad", gg, ctx.saved[0], p=ctx.attrs["p"]), None)


def _dropout_grad_samples() -> Iterator[Sample]:
    rng = np.random.default_rng(1)
    g, kept = rng.normal(size=(3, 5)), rng.random((3, 5)) < 0.5
    for p in (0.5, 0.0):
        yield Sample((g, kept), {"p": p})
    yield Sample((np.full((2, 70), np.inf), np.zeros((2, 70), bool)), {"p": 1.0}, False)


def _dropout_grad_errors() -> Iterator[ErrorCase]:
    kept = np.ones(3, bool)
    yield ErrorCase((np.ones(2), kept), {"p": 0.5}, ShapeError, "differ in shape")
    yield ErrorCase((np.ones(3), np.ones(3)), {"p": 0.5}, DTypeError, "mask of bool")


DROPOUT_GRAD = register(
    Op(
        name="dropout_grad",
        rule=_dropout_grad_rule,
        forward=_dropout_grad_forward,
        vjp=_dropout_grad_vjp,
        samples=_dropout_grad_samples,
        errors=_dropout_grad_errors,
        gradient_of="dropout",
    )
)
