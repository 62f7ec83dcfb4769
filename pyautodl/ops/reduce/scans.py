"""What runs along an axis: sums, products, linear recurrences."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from pyautodl.backends import Array, run
from pyautodl.backends.dtypes import int64
from pyautodl.errors import ShapeError
from pyautodl.ops.axes import normalize_axis
from pyautodl.ops.record import ErrorCase, Op, Sample, Spec, register
from pyautodl.ops.reduce.common import check_float, grid, sum_dtype
from pyautodl.ops.sort import back_to_places

__all__ = [
    "CUMMAX",
    "CUMMIN",
    "CUMPROD",
    "CUMSUM",
    "LINEAR_SCAN",
    "LOGCUMSUMEXP",
    "shifted",
]


def shifted(call: Any, x: Any, axis: int, first: float, by: int = 1) -> Any:
    """Move elements by one along an axis; `first` comes in."""
    ndim = len(x.shape)
    before = tuple(by if i == axis else 0 for i in range(ndim))
    after = tuple(-n for n in before)
    if not x.shape[axis]:
        return x
    return call("pad", x, before=before, after=after, value=first)


def _scan_output(ctx: Any, kernel: str, x: Array, dim: int, reverse: bool) -> Array:
    out: Array = ctx.empty(x.shape, sum_dtype(x))
    if not x.ndim:
        run(kernel, (x.view((1,), (1,)),), (out.view((1,), (1,)),), (0, 0))
    else:
        run(kernel, (x,), (out,), (dim % x.ndim, int(reverse)))
    return out


def _cumsum_rule(x: Array, dim: int, reverse: bool = False) -> tuple[Spec, ...]:
    normalize_axis("cumsum", dim, x.ndim, x.shape)
    return (Spec(x.shape, sum_dtype(x)),)


def _cumsum_forward(
    ctx: Any, needs: Any, x: Array, dim: int, reverse: bool = False
) -> Array:
    return _scan_output(ctx, "cumsum", x, dim, reverse)


def _cumsum_vjp(call: Any, ctx: Any, needs: Any, g: Any) -> tuple[Any, ...]:
    back = not ctx.attrs.get("reverse", False)
    return (call("cumsum", g, dim=ctx.attrs["dim"], reverse=back),)


def _cumsum_reference(x: Any, dim: int, reverse: bool = False) -> Any:
    if not x.ndim:
        return x.copy()
    return np.flip(np.flip(x, dim).cumsum(dim), dim) if reverse else x.cumsum(dim)


def _scan_samples() -> Iterator[Sample]:
    x = grid(2, 3, 2)
    for dim in (0, 1, -1):
        yield Sample((x,), {"dim": dim})
    yield Sample((np.array(1.5),), {"dim": 0})
    yield Sample((np.zeros((0, 3)),), {"dim": 0})
    yield Sample((np.arange(1, 5),), {"dim": 0})
    yield Sample((1 + 0.1 * grid(5, 70),), {"dim": 0}, gradient=False)
    yield Sample((1 + 0.01 * grid(500),), {"dim": 0}, gradient=False)


def _cumsum_samples() -> Iterator[Sample]:
    yield from _scan_samples()
    yield Sample((grid(2, 3),), {"dim": 1, "reverse": True})
    yield Sample((grid(3, 43),), {"dim": 1, "reverse": True}, gradient=False)
    yield Sample((grid(43, 70),), {"dim": 0, "reverse": True}, gradient=False)


def _cumsum_errors() -> Iterator[ErrorCase]:
    yield ErrorCase((grid(2),), {"dim": 1}, IndexError, "cumsum: dim must be from -1")


CUMSUM = register(
    Op(
        name="cumsum",
        rule=_cumsum_rule,
        forward=_cumsum_forward,
        vjp=_cumsum_vjp,
        samples=_cumsum_samples,
        errors=_cumsum_errors,
        reference=_cumsum_reference,
    )
)


def _cumprod_rule(x: Array, dim: int) -> tuple[Spec, ...]:
    normalize_axis("cumprod", dim, x.ndim, x.shape)
    return (Spec(x.shape, sum_dtype(x)),)


def _cumprod_forward(ctx: Any, needs: Any, x: Array, dim: int) -> Array:
    out = _scan_output(ctx, "cumprod", x, dim, False)
    ctx.save(x, out)
    return out


def _cumprod_vjp(call: Any, ctx: Any, needs: Any, g: Any) -> tuple[Any, ...]:
    """y_k = x_k y_(k-1), so h_k = g_k + x_(k+1) h_(k+1) reaches y_k: no division."""
    x, y = ctx.saved
    if not ctx.shapes[0]:
        return (g,)
    axis = ctx.attrs["dim"] % len(ctx.shapes[0])
    h = call("linear_scan", x, g, dim=axis, reverse=True)
    return (call("grad_mul", h, shifted(call, y, axis, 1.0)),)


def _cumprod_reference(x: Any, dim: int) -> Any:
    return x.cumprod(dim) if x.ndim else x.copy()


def _cumprod_samples() -> Iterator[Sample]:
    yield from _scan_samples()
    yield Sample((np.array([2.0, 0.0, 3.0, 0.0, 4.0]),), {"dim": 0})


def _cumprod_errors() -> Iterator[ErrorCase]:
    yield ErrorCase((grid(2),), {"dim": 1}, IndexError, "cumprod: dim must be from -1")


CUMPROD = register(
    Op(
        name="cumprod",
        rule=_cumprod_rule,
        forward=_cumprod_forward,
        vjp=_cumprod_vjp,
        samples=_cumprod_samples,
        errors=_cumprod_errors,
        reference=_cumprod_reference,
    )
)


def _logcumsumexp_rule(x: Array, dim: int) -> tuple[Spec, ...]:
    check_float("logcumsumexp", x)
    normalize_axis("logcumsumexp", dim, x.ndim, x.shape)
    return (Spec(x.shape, x.dtype),)


def _logcumsumexp_forward(ctx: Any, needs: Any, x: Array, dim: int) -> Array:
    out = _scan_output(ctx, "logcumsumexp", x, dim, False)
    ctx.save(x, out)
    return out


def _logcumsumexp_vjp(call: Any, ctx: Any, needs: Any, g: Any) -> tuple[Any, ...]:
    """x_k has share exp(x_k - y_k) of y_k, y_(k-1) what it lacks to 1: nothing overflows.

    Where an infinity meets an equal one, the new one has all of the gradient.
    """
    x, y = ctx.saved
    if not ctx.shapes[0]:
        return (g,)
    axis = ctx.attrs["dim"] % len(ctx.shapes[0])
    whole = call("eq", x, y)
    own = call("exp", call("zero_where", call("sub", x, y), whole, invert=False))
    before = shifted(call, y, axis, -math.inf)
    equal = call("logical_and", call("eq", before, y), call("isinf", y))
    gap = call("zero_where", call("sub", before, y), equal, invert=False)
    gone = call("logical_and", equal, whole)
    kept = call("zero_where", call("exp", gap), gone, invert=False)
    h = call("linear_scan", kept, g, dim=axis, reverse=True)
    return (call("grad_mul", h, own),)


def _logcumsumexp_reference(x: Any, dim: int) -> Any:
    return np.logaddexp.accumulate(x, dim) if x.ndim else x.copy()


def _logcumsumexp_samples() -> Iterator[Sample]:
    x = grid(2, 3, 2)
    for dim in (0, 1, -1):
        yield Sample((x,), {"dim": dim})
    yield Sample((np.array(1.5),), {"dim": 0})
    yield Sample((np.zeros((0, 3)),), {"dim": 0})
    yield Sample((grid(43, 70),), {"dim": 0}, gradient=False)
    yield Sample((grid(3, 500),), {"dim": 1}, gradient=False)


def _logcumsumexp_errors() -> Iterator[ErrorCase]:
    match = "logcumsumexp: dim must be from -1"
    yield ErrorCase((grid(2),), {"dim": 1}, IndexError, match)


LOGCUMSUMEXP = register(
    Op(
        name="logcumsumexp",
        rule=_logcumsumexp_rule,
        forward=_logcumsumexp_forward,
        vjp=_logcumsumexp_vjp,
        samples=_logcumsumexp_samples,
        errors=_logcumsumexp_errors,
        reference=_logcumsumexp_reference,
    )
)


def _cumulative_extremum(name: str, least: bool, best: Any) -> Op:
    def rule(x: Array, dim: int) -> tuple[Spec, ...]:
        normalize_axis(name, dim, x.ndim, x.shape)
        return Spec(x.shape, x.dtype), Spec(x.shape, int64)

    def forward(ctx: Any, needs: Any, x: Array, dim: int) -> tuple[Array, Array]:
        outputs = ctx.empty(x.shape, x.dtype), ctx.empty(x.shape, int64)
        lines = [a if a.ndim else a.view((1,), (1,)) for a in (x, *outputs)]
        run(
            "cumulative_extremum",
            lines[:1],
            lines[1:],
            (dim % lines[0].ndim, int(least)),
        )
        ctx.save(outputs[1])
        return outputs

    def vjp(call: Any, ctx: Any, needs: Any, g: Any, _: Any) -> tuple[Any, ...]:
        return (back_to_places(call, ctx, g, ctx.saved[0]),)

    def reference(x: Any, dim: int) -> Any:
        if not x.ndim:
            return x.copy(), np.zeros((), np.int64)
        lines = np.moveaxis(x, dim, 0)
        places = np.zeros(lines.shape, np.int64)
        for i in range(1, len(lines)):
            before = np.take_along_axis(lines, places[i - 1 : i], 0)[0]
            wins = (lines[i] == best(lines[i], before)) | (lines[i] != lines[i])
            places[i] = np.where(wins, i, places[i - 1])
        values = np.take_along_axis(lines, places, 0)
        return np.moveaxis(values, 0, dim), np.moveaxis(places, 0, dim)

    def errors() -> Iterator[ErrorCase]:
        match = f"{name}: dim must be from -1 to 0, got 1"
        yield ErrorCase((grid(2),), {"dim": 1}, IndexError, match)

    return register(
        Op(
            name=name,
            rule=rule,
            forward=forward,
            vjp=vjp,
            samples=_extremum_samples,
            errors=errors,
            reference=reference,
        )
    )


def _extremum_samples() -> Iterator[Sample]:
    yield from _scan_samples()
    nan, inf = np.nan, np.inf
    line = np.array([-0.0, 0.0, 1.0, 1.0, -inf, nan, 2.0, nan, inf, 3.0])
    yield Sample((line,), {"dim": 0}, gradient=False)
    ties = grid(5, 70, 3).round()
    for dim in (0, 1, 2):
        yield Sample((ties,), {"dim": dim}, gradient=False)
    yield Sample((np.array([[True, False, True]]),), {"dim": 1}, gradient=False)


CUMMAX = _cumulative_extremum("cummax", False, np.maximum)
CUMMIN = _cumulative_extremum("cummin", True, np.minimum)


def _linear_scan_rule(
    a: Array, b: Array, dim: int, reverse: bool = False
) -> tuple[Spec, ...]:
    check_float("linear_scan", b)
    if a.shape != b.shape or a.dtype is not b.dtype or not a.ndim:
        raise ShapeError(
            f"linear_scan: expected two arrays of one shape and type, got {a.shape} "
            f"{a.dtype.name} and {b.shape} {b.dtype.name}"
        )
    normalize_axis("linear_scan", dim, a.ndim, a.shape)
    return (Spec(a.shape, a.dtype),)


def _linear_scan_forward(
    ctx: Any, needs: Any, a: Array, b: Array, dim: int, reverse: bool = False
) -> Array:
    out: Array = ctx.empty(a.shape, a.dtype)
    run("linear_scan", (a, b), (out,), (dim % a.ndim, int(reverse)))
    ctx.save(a, out)
    return out


def _linear_scan_vjp(call: Any, ctx: Any, needs: Any, g: Any) -> tuple[Any, ...]:
    """The scan that runs the other way carries the gradient; so a second one does."""
    a, y = ctx.saved
    axis = ctx.attrs["dim"] % len(ctx.shapes[0])
    if ctx.attrs.get("reverse", False):
        h = call("linear_scan", a, g, dim=axis)
        return call("grad_mul", shifted(call, h, axis, 0.0), y), h
    h = call("linear_scan", a, g, dim=axis, reverse=True)
    return call("grad_mul", h, shifted(call, y, axis, 0.0)), h


def _linear_scan_reference(a: Any, b: Any, dim: int, reverse: bool = False) -> Any:
    out = np.empty_like(b)
    factors, terms, results = (np.moveaxis(each, dim, 0) for each in (a, b, out))
    n = len(terms)
    for i in range(n - 1, -1, -1) if reverse else range(n):
        last = i + 1 if reverse else i - 1
        results[i] = terms[i]
        if 0 <= last < n:
            results[i] += factors[max(i, last)] * results[last]
    return out


def _linear_scan_samples() -> Iterator[Sample]:
    for reverse in (False, True):
        attrs = {"dim": 1, "reverse": reverse}
        yield Sample((grid(2, 4), -grid(2, 4)), attrs)
        yield Sample((grid(3, 1), grid(3, 1)), attrs)
        yield Sample((np.zeros((2, 0)), np.zeros((2, 0))), attrs)
        yield Sample((grid(4, 3), grid(3, 4).T), {**attrs, "dim": -2})


def _linear_scan_errors() -> Iterator[ErrorCase]:
    match = "linear_scan: expected two arrays of one shape"
    yield ErrorCase((grid(2), grid(3)), {"dim": 0}, ShapeError, match)


LINEAR_SCAN = register(
    Op(
        name="linear_scan",
        rule=_linear_scan_rule,
        forward=_linear_scan_forward,
        vjp=_linear_scan_vjp,
        samples=_linear_scan_samples,
        errors=_linear_scan_errors,
        reference=_linear_scan_reference,
    )
)
