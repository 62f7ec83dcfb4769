"""Losses that compare x and target element by element.

All share one kernel and its gradient, which take the kind of loss as a number. A loss
never broadcasts: (n, 1) against (n,) would give n * n differences and a model that does
not learn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from math import prod
from typing import Any, NamedTuple

import numpy as np

from pyautodl.backends import Array, codes, run
from pyautodl.errors import DTypeError, ShapeError
from pyautodl.ops.layout import ensure_contiguous, ensure_dense, ensure_layout
from pyautodl.ops.record import ErrorCase, Op, Sample, Spec, register

__all__ = [
    "BINARY_CROSS_ENTROPY",
    "BINARY_CROSS_ENTROPY_WITH_LOGITS",
    "HUBER_LOSS",
    "KL_DIV",
    "KL_DIV_LOG_TARGET",
    "L1_LOSS",
    "MSE_LOSS",
    "REDUCTIONS",
    "SMOOTH_L1_LOSS",
    "check_pair",
    "check_reduction",
]

REDUCTIONS = {
    "none": codes.REDUCE_NONE,
    "mean": codes.REDUCE_MEAN,
    "sum": codes.REDUCE_SUM,
}


# ---- checks ----


def check_reduction(name: str, reduction: Any) -> None:
    """Raise ValueError for what is no reduction."""
    if not isinstance(reduction, str) or reduction not in REDUCTIONS:
        raise ValueError(
            f"{name}: reduction must be one of {', '.join(REDUCTIONS)}; got "
            f"{reduction!r}"
        )


def check_pair(name: str, x: Any, target: Any) -> None:
    """Two arrays or tensors of one shape and one floating type.

    Raises:
        ShapeError: the shapes differ; a loss never broadcasts.
        DTypeError: a type is not floating, or they differ.
    """
    if x.shape != target.shape:
        raise ShapeError(
            f"{name}: expected input and target of the same shape, got input "
            f"{tuple(x.shape)} and target {tuple(target.shape)}; losses do not "
            f"broadcast{_shape_fix(x.shape, target.shape)}"
        )
    check_floats(name, input=x, target=target)


def _shape_fix(x: Any, target: Any) -> str:
    """What is likely wrong with shapes that differ."""
    if tuple(x) == (*target, 1):
        return "; likely fix: input.squeeze(-1)"
    if tuple(target) == (*x, 1):
        return "; likely fix: target.squeeze(-1)"
    return ": reshape one of them" if prod(x) == prod(target) else ""


def check_floats(name: str, **arrays: Any) -> None:
    """Arrays (or None) of one floating type.

    Raises:
        DTypeError: names the types and the cure.
    """
    present = {key: each for key, each in arrays.items() if each is not None}
    kinds = {each.dtype for each in present.values()}
    if len(kinds) == 1 and kinds.pop().is_floating_point:
        return
    found = ", ".join(f"{key} {each.dtype.name}" for key, each in present.items())
    shapes = ", ".join(f"{key} {tuple(each.shape)}" for key, each in present.items())
    raise DTypeError(
        f"{name}: expected one floating type, got {found} (shapes: {shapes}); use "
        ".float() or .double() on one of them"
    )


# ---- what each loss is ----


class _Loss(NamedTuple):
    """A row of the table of losses."""

    kind: int
    value: Callable[..., Any]  # value(call, x, target, beta, pos_weight), by plain ops
    # slope for the target, likewise; None: the negative of that for x
    target_slope: Callable[..., Any] | None = None
    optional: tuple[str, ...] = ()  # inputs after x and target
    beta: str | None = None  # the attribute that the kernel gets as beta
    example: Callable[..., tuple[Any, ...]] | None = None


def _mse(call: Any, x: Any, t: Any, beta: float, pos_weight: Any) -> Any:
    d = call("sub", x, t)
    return call("mul", d, d)


def _l1(call: Any, x: Any, t: Any, beta: float, pos_weight: Any) -> Any:
    return call("abs", call("sub", x, t))


def _huber(call: Any, x: Any, t: Any, beta: float, pos_weight: Any) -> Any:
    a = call("abs", call("sub", x, t))
    near = call("mul", call("mul", a, a), 0.5)
    far = call("mul", call("sub", a, 0.5 * beta), beta)
    return call("where", call("le", a, beta), near, far)


def _smooth_l1(call: Any, x: Any, t: Any, beta: float, pos_weight: Any) -> Any:
    a = call("abs", call("sub", x, t))
    if beta == 0:
        return a
    near = call("mul", call("mul", a, a), 0.5 / beta)
    return call("where", call("lt", a, beta), near, call("sub", a, 0.5 * beta))


def _bce(call: Any, x: Any, t: Any, beta: float, pos_weight: Any) -> Any:
    yes = call("mul", t, call("clamped_log", x))
    rest = call("clamped_log", call("sub", 1.0, x))
    return call("neg", call("add", yes, call("mul", call("sub", 1.0, t), rest)))


def _bce_target(call: Any, x: Any, t: Any, beta: float, pos_weight: Any) -> Any:
    return call("sub", call("clamped_log", call("sub", 1.0, x)), call("clamped_log", x))


def _softplus_of_negative(call: Any, x: Any) -> Any:
    """log(1 + exp(-x))."""
    small = call("log1p", call("exp", call("neg", call("abs", x))))
    return call("add", call("maximum", call("neg", x), 0.0), small)


def _bce_logits(call: Any, x: Any, t: Any, beta: float, pos_weight: Any) -> Any:
    soft = _softplus_of_negative(call, x)
    if pos_weight is not None:
        factor = call("mul", call("sub", pos_weight, 1.0), t)
        soft = call("mul", soft, call("add", factor, 1.0))
    return call("add", call("mul", call("sub", 1.0, t), x), soft)


def _bce_logits_target(call: Any, x: Any, t: Any, beta: float, pos_weight: Any) -> Any:
    if pos_weight is None:
        return call("neg", x)
    return call(
        "sub",
        call("mul", call("sub", pos_weight, 1.0), _softplus_of_negative(call, x)),
        x,
    )


def _log_or_0(call: Any, t: Any) -> Any:
    one = call("full", shape=(), value=1.0, dtype=t.dtype)
    return call("log", call("where", call("eq", t, 0.0), one, t))


def _kl(call: Any, x: Any, t: Any, beta: float, pos_weight: Any) -> Any:
    return call("mul", t, call("sub", _log_or_0(call, t), x))


def _kl_target(call: Any, x: Any, t: Any, beta: float, pos_weight: Any) -> Any:
    return call("add", call("sub", _log_or_0(call, t), x), 1.0)


def _kl_log(call: Any, x: Any, t: Any, beta: float, pos_weight: Any) -> Any:
    return call("mul", call("exp", t), call("sub", t, x))


def _kl_log_target(call: Any, x: Any, t: Any, beta: float, pos_weight: Any) -> Any:
    return call("mul", call("exp", t), call("add", call("sub", t, x), 1.0))


def _real(rng: Any, shape: tuple[int, ...]) -> tuple[Any, ...]:
    return rng.standard_normal(shape), rng.standard_normal(shape)


def _probabilities(rng: Any, shape: tuple[int, ...]) -> tuple[Any, ...]:
    return rng.uniform(0.05, 0.95, shape), rng.uniform(0.05, 0.95, shape)


def _logits(rng: Any, shape: tuple[int, ...]) -> tuple[Any, ...]:
    return rng.standard_normal(shape) * 3, rng.uniform(0.05, 0.95, shape)


_WEIGHTS = ("weight", "pos_weight")
_LOSSES = {
    "mse_loss": _Loss(codes.PAIR_MSE, _mse),
    "l1_loss": _Loss(codes.PAIR_L1, _l1),
    "huber_loss": _Loss(codes.PAIR_HUBER, _huber, beta="delta"),
    "smooth_l1_loss": _Loss(codes.PAIR_SMOOTH_L1, _smooth_l1, beta="beta"),
    "binary_cross_entropy": _Loss(
        codes.PAIR_BCE, _bce, _bce_target, ("weight",), example=_probabilities
    ),
    "binary_cross_entropy_with_logits": _Loss(
        codes.PAIR_BCE_LOGITS,
        _bce_logits,
        _bce_logits_target,
        _WEIGHTS,
        example=_logits,
    ),
    "kl_div": _Loss(codes.PAIR_KL, _kl, _kl_target, example=_logits),
    "kl_div_log_target": _Loss(codes.PAIR_KL_LOG, _kl_log, _kl_log_target),
}


# ---- the ops ----


def _settings(loss: _Loss, attrs: Mapping[str, Any]) -> tuple[int, float]:
    """The kernel's numbers: reduction and beta."""
    beta = attrs[loss.beta] if loss.beta else 0.0
    return REDUCTIONS[attrs["reduction"]], float(beta)


def _check(name: str, loss: _Loss, x: Array, rest: tuple[Any, ...], attrs: Any) -> None:
    target, *weights = rest
    check_pair(name, x, target)
    check_reduction(name, attrs["reduction"])
    for key, weight in zip(loss.optional, weights, strict=False):
        if weight is None:
            continue
        check_floats(name, **{"input": x, key: weight})
        if weight.shape != x.shape:
            raise ShapeError(
                f"{name}: expected a {key} of the input's shape {x.shape}, got "
                f"{weight.shape}"
            )
    if loss.beta:
        beta, may_be_zero = attrs[loss.beta], loss.beta == "beta"
        if not (beta > 0 or (beta == 0 and may_be_zero)):
            bound = "not be negative" if may_be_zero else "be positive"
            raise ValueError(f"{name}: {loss.beta} must {bound}, got {beta}")


def _prepare(ctx: Any, x: Array, rest: tuple[Any, ...]) -> list[Any]:
    """x, target, weight and pos_weight, dense and of one layout."""
    x = ensure_dense(ctx, x)
    arrays = [None if a is None else ensure_layout(ctx, a, x) for a in rest]
    return [x, *arrays, *(None,) * (3 - len(arrays))]


def _make_op(name: str, loss: _Loss) -> Op:
    def rule(x: Array, *rest: Any, **attrs: Any) -> tuple[Spec, ...]:
        _check(name, loss, x, rest, attrs)
        return (Spec(x.shape if attrs["reduction"] == "none" else (), x.dtype),)

    def forward(ctx: Any, needs: Any, x: Array, *rest: Any, **attrs: Any) -> Array:
        arrays = _prepare(ctx, x, rest)
        reduction, beta = _settings(loss, attrs)
        whole = reduction == codes.REDUCE_NONE
        out: Array = ctx.empty_like(arrays[0]) if whole else ctx.empty((), x.dtype)
        try:
            run("pair_loss_fwd", arrays, (out,), (loss.kind, reduction), (beta,))
        except ValueError:
            raise ValueError(
                f"{name}: expected probabilities from 0 to 1 as input (shape "
                f"{x.shape}); for logits use binary_cross_entropy_with_logits"
            ) from None
        if any(needs):
            ctx.save(*arrays[: 1 + len(rest)])
        return out

    def vjp(call: Any, ctx: Any, needs: Any, g: Any) -> tuple[Any, ...]:
        return _gradients(name, loss, call, ctx, needs, g)

    def composition(call: Any, x: Any, target: Any, *more: Any, **attrs: Any) -> Any:
        weight, pos_weight = (*more, None, None)[:2]
        value = loss.value(call, x, target, _settings(loss, attrs)[1], pos_weight)
        if weight is not None:
            value = call("mul", value, weight)
        return _reduce(call, value, x.shape, attrs["reduction"])

    return Op(
        name=name,
        rule=rule,
        forward=forward,
        vjp=vjp,
        composition=composition,
        samples=_make_samples(loss),
        errors=_make_errors(name, loss),
    )


def _reduce(call: Any, value: Any, shape: tuple[int, ...], reduction: str) -> Any:
    if reduction == "none":
        return value
    total = call("sum", value)
    return call("div", total, float(prod(shape))) if reduction == "mean" else total


def _gradients(
    name: str, loss: _Loss, call: Any, ctx: Any, needs: Any, g: Any
) -> tuple[Any, ...]:
    x, target, *more = ctx.saved
    attrs = ctx.attrs
    weight, pos_weight = (*more, None, None)[:2]
    found: list[Any] = [None] * len(needs)
    symmetric = loss.target_slope is None
    if needs[0] or (needs[1] and symmetric):
        found[0] = call(f"{name}_grad", g, x, target, *more, **attrs)
    if needs[1] and symmetric:
        found[1] = call("neg", found[0])
    if not any(needs[1:]) or (symmetric and len(needs) == 2):
        return tuple(found)
    share = _shares(call, g, ctx.shapes[0], attrs["reduction"])
    if len(needs) > 2 and needs[2]:
        plain = (x, target, None, pos_weight)[: len(needs)]
        each = call(name, *plain, **{**attrs, "reduction": "none"})
        found[2] = call("mul", share, each)
    if weight is not None:
        share = call("mul", share, weight)
    if needs[1] and loss.target_slope is not None:
        slope = loss.target_slope(call, x, target, 0.0, pos_weight)
        found[1] = call("grad_mul", share, slope)
    if len(needs) > 3 and needs[3]:
        found[3] = call(
            "mul", share, call("mul", target, _softplus_of_negative(call, x))
        )
    return tuple(found)


def _shares(call: Any, g: Any, shape: tuple[int, ...], reduction: str) -> Any:
    """The gradient of each element's loss."""
    if reduction == "mean":
        g = call("div", g, float(prod(shape)))
    return g if reduction == "none" else call("expand", g, shape=shape)


def _make_grad(name: str, loss: _Loss) -> Op:
    own = f"{name}_grad"

    def rule(g: Array, x: Array, *rest: Any, **attrs: Any) -> tuple[Spec, ...]:
        _check(own, loss, x, rest, attrs)
        expected = x.shape if attrs["reduction"] == "none" else ()
        if g.shape != expected or g.dtype is not x.dtype:
            raise ShapeError(
                f"{own}: expected a gradient {expected} {x.dtype.name}, got {g.shape} "
                f"{g.dtype.name} (input {x.shape})"
            )
        return (Spec(x.shape, x.dtype),)

    def forward(
        ctx: Any, needs: Any, g: Array, x: Array, *rest: Any, **attrs: Any
    ) -> Array:
        arrays = _prepare(ctx, x, rest)
        reduction, beta = _settings(loss, attrs)
        whole = reduction == codes.REDUCE_NONE
        g = ensure_layout(ctx, g, arrays[0]) if whole else ensure_contiguous(ctx, g)
        dx: Array = ctx.empty_like(arrays[0])
        run("pair_loss_bwd", (g, *arrays), (dx,), (loss.kind, reduction), (beta,))
        return dx

    return Op(
        name=own,
        rule=rule,
        forward=forward,
        samples=_make_samples(loss, True),
        errors=_make_errors(own, loss, True),
        gradient_of=name,
    )


# ---- examples ----

_SHAPES = ((2, 3), (), (1,), (0, 3), (2, 3, 700))


def _attrs(loss: _Loss, reduction: str) -> dict[str, Any]:
    return {"reduction": reduction, **({loss.beta: 0.75} if loss.beta else {})}


def _make_samples(loss: _Loss, gradient: bool = False) -> Any:
    def samples() -> Iterator[Sample]:
        for i, (reduction, shape) in enumerate(
            (reduction, shape) for shape in _SHAPES for reduction in REDUCTIONS
        ):
            attrs = _attrs(loss, reduction)
            rng = np.random.default_rng(i)
            pair = (loss.example or _real)(rng, shape)
            weights = [rng.uniform(0.5, 2.0, shape) for _ in loss.optional]
            upstream = rng.standard_normal(shape if reduction == "none" else ())
            for some in ([], weights) if weights else ([],):
                inputs = [*([upstream] if gradient else []), *pair, *some]
                small = prod(shape) < 100 and not gradient and prod(shape) > 0
                yield Sample(tuple(map(np.asarray, inputs)), attrs, gradient=small)

    return samples


def _make_errors(name: str, loss: _Loss, gradient: bool = False) -> Any:
    def errors() -> Iterator[ErrorCase]:
        g = (np.ones(()),) if gradient else ()
        column, flat = np.full((3, 1), 0.5), np.full(3, 0.5)
        mean = _attrs(loss, "mean")
        match = rf"{name}: .*input \(3, 1\) and target \(3,\)"
        yield ErrorCase((*g, column, flat), mean, ShapeError, match)
        match = rf"{name}: .*input float64, target float32.*\.float\(\)"
        yield ErrorCase((*g, flat, flat.astype(np.float32)), mean, DTypeError, match)
        match = f"{name}: reduction must be one of"
        average = {**mean, "reduction": "average"}
        yield ErrorCase((*g, flat, flat), average, ValueError, match)
        if loss.optional:
            match = rf"{name}: expected a weight of the input's shape \(3,\)"
            yield ErrorCase((*g, flat, flat, column), mean, ShapeError, match)
        if loss.optional == ("weight",) and not gradient:
            match = f"{name}: expected probabilities from 0 to 1"
            yield ErrorCase((flat * 3, flat), mean, ValueError, match)
        if loss.beta:
            match = f"{name}: {loss.beta} must"
            negative = {**mean, loss.beta: -1.0}
            yield ErrorCase((*g, flat, flat), negative, ValueError, match)

    return errors


_OPS = {name: register(_make_op(name, loss)) for name, loss in _LOSSES.items()}
_GRADS = {name: register(_make_grad(name, loss)) for name, loss in _LOSSES.items()}

MSE_LOSS = _OPS["mse_loss"]
L1_LOSS = _OPS["l1_loss"]
HUBER_LOSS = _OPS["huber_loss"]
SMOOTH_L1_LOSS = _OPS["smooth_l1_loss"]
BINARY_CROSS_ENTROPY = _OPS["binary_cross_entropy"]
BINARY_CROSS_ENTROPY_WITH_LOGITS = _OPS["binary_cross_entropy_with_logits"]
KL_DIV = _OPS["kl_div"]
KL_DIV_LOG_TARGET = _OPS["kl_div_log_target"]
