"""Matrix products: matmul with either operand transposed, and linear.

Gradients of products are products again; the transposes are attributes, not copies.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from pyautodl.backends import Array, Made, Seen, codes, contiguous_strides
from pyautodl.backends.dtypes import BOOLEAN, FLOATING, DType
from pyautodl.errors import DTypeError, ShapeError
from pyautodl.ops.plan import CopiedPlan, KernelPlan, Plan, in_order, planned, seen
from pyautodl.ops.record import ErrorCase, Places, Sample, Spec, register

__all__ = ["LINEAR", "LINEAR_GRAD", "LINEAR_RELU", "MATMUL"]

Ints = tuple[int, ...]
NDArray = np.ndarray[Any, Any]

# the kernel's activation and its parameters
_NO_ACTIVATION = ((codes.ACTIVATION_NONE,), (0.0, 0.0))
_RELU = ((codes.ACTIVATION_CLAMP,), (0.0, math.inf))


def _check_dtypes(name: str, *dtypes: DType | None) -> None:
    """One element type for all; products never promote silently."""
    kinds = [dtype for dtype in dtypes if dtype is not None]
    if any(kind is not kinds[0] for kind in kinds):
        found = " and ".join(kind.name for kind in kinds)
        fix = ".float()" if any(k.category == FLOATING for k in kinds) else ".long()"
        raise DTypeError(
            f"{name}: expected operands of one element type, got {found}; "
            f"likely fix: cast with {fix} (or .double())"
        )
    if kinds[0].category == BOOLEAN:
        raise DTypeError(
            f"{name}: products of bool are not defined; likely fix: cast with .float()"
        )


# ---- matmul ----


@lru_cache(maxsize=4096)
def _matmul_spec(
    a: Ints, b: Ints, kind: DType, other: DType, transpose_a: bool, transpose_b: bool
) -> tuple[Spec, ...]:
    _check_dtypes("matmul", kind, other)
    if not a or not b:
        raise ShapeError(
            f"matmul: expected tensors of at least 1 axis, got shapes {a} and {b}"
        )
    left, right = _matrix(a, transpose_a, True), _matrix(b, transpose_b, False)
    if left[-1] != right[-2]:
        fix = ""
        if len(b) > 1 and left[-1] == right[-1]:
            fix = f"; likely fix: b{'' if transpose_b else '.T' if len(b) == 2 else '.mT'}"
        raise ShapeError(
            f"matmul: the last axis of a{' transposed' * transpose_a} has {left[-1]} "
            f"elements, the second last of b{' transposed' * transpose_b} {right[-2]}: "
            f"a {a}, b {b}{fix}"
        )
    batch = _broadcast_batch(a, b, left[:-2], right[:-2])
    rows = left[-2:-1] if len(a) > 1 else ()
    columns = right[-1:] if len(b) > 1 else ()
    return (Spec(batch + rows + columns, kind),)


def _matrix(shape: Ints, transposed: bool, is_left: bool) -> Ints:
    """The shape as a (batch of) matrices: a vector is a row, on the right a column."""
    if len(shape) == 1:
        return (1, *shape) if is_left else (*shape, 1)
    return (*shape[:-2], shape[-1], shape[-2]) if transposed else shape


def _broadcast_batch(a: Ints, b: Ints, left: Ints, right: Ints) -> Ints:
    if left == right:
        return left
    try:
        return np.broadcast_shapes(left, right)
    except ValueError:
        raise ShapeError(
            f"matmul: the batch axes {left} and {right} do not broadcast: a {a}, b {b}"
        ) from None


def _as_matrix(x: Array, transposed: bool, is_left: bool) -> Array:
    if len(x.shape) == 1:
        step = x.strides[0]
        return x.view(
            _matrix(x.shape, transposed, is_left), (0, step) if is_left else (step, 0)
        )
    if not transposed:
        return x
    *batch, rows, columns = x.strides
    return x.view(_matrix(x.shape, True, is_left), (*batch, columns, rows))


def _matmul_plan(
    a: Array, b: Array, transpose_a: bool = False, transpose_b: bool = False
) -> Plan:
    (spec,) = _matmul_spec(a.shape, b.shape, a.dtype, b.dtype, transpose_a, transpose_b)
    left, right = _as_matrix(a, transpose_a, True), _as_matrix(b, transpose_b, False)
    right = _only_matrix(right, left.shape[:-2])
    if len(left.shape) > 2 and len(right.shape) == 2:
        # one product instead of a batch
        merged = _merge_rows(left)
        if merged is None and not transpose_a:
            return CopiedPlan(_matmul_plan(in_order(a), b, transpose_b=transpose_b))
        left = merged or left
    if len(left.shape) == 2 and len(right.shape) == 2:
        shape: Ints = (left.shape[0], right.shape[1])
    else:
        batch = np.broadcast_shapes(left.shape[:-2], right.shape[:-2])
        shape = (*batch, left.shape[-2], right.shape[-1])
        left = _expand(left, (*batch, *left.shape[-2:]))
        right = _expand(right, (*batch, *right.shape[-2:]))
    return _product_plan((seen(0, left), seen(1, right), seen(2, None)), spec, shape)


def _only_matrix(x: Array, batch: Ints) -> Array:
    """The matrix that a batch of them repeats, as expand() makes it, if `batch` has one for
    each; else x.
    """
    if x.shape[:-2] != batch or not batch or any(x.strides[:-2]):
        return x
    return x.view(x.shape[-2:], x.strides[-2:])


def _product_plan(
    reads: Sequence[Seen], spec: Spec, shape: Ints, activation: Any = _NO_ACTIVATION
) -> KernelPlan:
    """A product that the kernel sees with `shape`."""
    strides = contiguous_strides(spec.shape)
    made = Made(*spec, strides, (shape, contiguous_strides(shape)))
    return KernelPlan("matmul", reads, [made], *activation)


def _saves_other(needs: tuple[bool, ...]) -> Places:
    """Of a product each factor for the gradient of the other."""
    return (0 if needs[1] else None, 1 if needs[0] else None)


def _merge_rows(x: Array) -> Array | None:
    """(..., m, k) as (... m, k), if the rows lie at equal distances."""
    if not x.size:
        return x.view((math.prod(x.shape[:-1]), x.shape[-1]), (max(x.shape[-1], 1), 1))
    rows, step = x.shape[-2], x.strides[-2]
    for size, stride in zip(x.shape[-3::-1], x.strides[-3::-1], strict=True):
        if rows == 1:
            step = stride
        elif size != 1 and stride != rows * step:
            return None
        rows *= size
    return x.view((rows, x.shape[-1]), (step, x.strides[-1]))


def _expand(x: Array, shape: Ints) -> Array:
    """x with stride 0 along the axes that are broadcast to `shape`."""
    if x.shape == shape:
        return x
    lead = len(shape) - len(x.shape)
    strides = tuple(
        0 if size == 1 else stride
        for size, stride in zip(x.shape, x.strides, strict=True)
    )
    return x.view(shape, (0,) * lead + strides)


def _matmul_vjp(
    call: Any, ctx: Any, needs: tuple[bool, ...], g: Any
) -> tuple[Any, ...]:
    """Vectors become matrices, and their gradients get the shapes back."""
    a, b = ctx.saved
    attrs, (shape_a, shape_b) = ctx.attrs, ctx.shapes
    turn_a = attrs.get("transpose_a", False) and len(shape_a) > 1
    turn_b = attrs.get("transpose_b", False) and len(shape_b) > 1
    if len(shape_a) > 1 and len(shape_b) > 1:
        return _matmul_grads(
            call, (a, b), (shape_a, shape_b), (turn_a, turn_b), needs, g
        )
    shapes = tuple(
        _matrix(shape, False, i == 0) if len(shape) == 1 else shape
        for i, shape in enumerate(ctx.shapes)
    )
    left, right = _matrix(shapes[0], turn_a, True), _matrix(shapes[1], turn_b, False)
    batch = left[:-2] or right[:-2]
    g = call("reshape", g, shape=(*batch, left[-2], right[-1]))
    saved = tuple(
        None if x is None else call("reshape", x, shape=shape)
        for x, shape in zip((a, b), shapes)
    )
    grads = _matmul_grads(call, saved, shapes, (turn_a, turn_b), needs, g)
    return tuple(
        None if grad is None else call("reshape", grad, shape=shape)
        for grad, shape in zip(grads, ctx.shapes)
    )


def _matmul_grads(
    call: Any,
    saved: tuple[Any, ...],
    shapes: tuple[Ints, ...],
    turned: tuple[bool, bool],
    needs: tuple[bool, ...],
    g: Any,
) -> tuple[Any, ...]:
    """da = g b', db = a' g; of a transposed operand the gradient is the transpose."""
    (a, b), (turn_a, turn_b), (shape_a, shape_b) = saved, turned, shapes
    da = db = None
    if needs[0] and turn_a:
        da = call("matmul", b, g, transpose_a=turn_b, transpose_b=True)
    elif needs[0]:
        da = call("matmul", g, b, transpose_b=not turn_b)
    if needs[1]:
        if len(shape_b) == 2 and len(shape_a) > 2 and not turn_a:
            # one product over all rows of the batch instead of a sum of products
            a = call("reshape", a, shape=(math.prod(shape_a[:-1]), shape_a[-1]))
            g = call("reshape", g, shape=(math.prod(g.shape[:-1]), g.shape[-1]))
        if turn_b:
            db = call("matmul", g, a, transpose_a=True, transpose_b=turn_a)
        else:
            db = call("matmul", a, g, transpose_a=not turn_a)
    return _sum_to(call, da, shape_a), _sum_to(call, db, shape_b)


def _sum_to(call: Any, x: Any, shape: Ints) -> Any:
    if x is None or tuple(x.shape) == shape:
        return x
    return call("sum_to", x, shape=shape)


def _matmul_reference(
    a: NDArray, b: NDArray, transpose_a: bool = False, transpose_b: bool = False
) -> NDArray:
    left = a.swapaxes(-1, -2) if transpose_a and a.ndim > 1 else a
    right = b.swapaxes(-1, -2) if transpose_b and b.ndim > 1 else b
    return np.asarray(np.matmul(left, right))


def _matmul_samples() -> Iterator[Sample]:
    normal = np.random.default_rng(1).standard_normal
    yield Sample((normal((3, 4)), normal((4, 2))))
    yield Sample((normal((4, 3)), normal((4, 2))), {"transpose_a": True})
    yield Sample((normal((3, 4)), normal((2, 4))), {"transpose_b": True})
    both = {"transpose_a": True, "transpose_b": True}
    yield Sample((normal((4, 3)), normal((2, 4))), both)
    yield Sample((normal(4), normal(4)))
    yield Sample((normal((3, 4)), normal(4)))
    yield Sample((normal(3), normal((3, 4))))
    yield Sample((normal(4), normal((2, 4, 3))))
    yield Sample((normal((2, 3, 4)), normal(4)))
    yield Sample((normal((2, 3, 4)), normal((4, 2))))
    yield Sample((normal((3, 4)), normal((2, 4, 2))))
    yield Sample((normal((2, 1, 3, 4)), normal((3, 4, 2))))
    yield Sample((normal((2, 4, 3)), normal((1, 2, 4))), both)
    yield Sample((normal((2, 4, 3)), normal((4, 2))), {"transpose_a": True})
    yield Sample((normal((2, 3, 4)), normal((2, 4))), {"transpose_b": True})
    yield Sample((normal((1, 1)), normal((1, 1))))
    yield Sample((normal((3, 0)), normal((0, 2))))
    yield Sample((normal((0, 3)), normal((3, 2))))
    yield Sample((normal((0, 2, 3)), normal((3, 0))))
    for m, n, k in (
        (7, 33, 70),
        (61, 95, 17),
        (130, 70, 400),
        (1, 300, 70),
        (9, 65, 800),
    ):
        yield Sample((normal((m, k)), normal((k, n))), gradient=False)
        attrs = {"transpose_b": True}
        yield Sample((normal((m, k)), normal((n, k))), attrs, gradient=False)


def _matmul_errors() -> Iterator[ErrorCase]:
    shape, kind, ones = ShapeError, DTypeError, np.ones
    yield ErrorCase(
        (ones((2, 3)), ones((2, 3))), {}, shape, r"matmul: .*3.*2.*\(2, 3\)"
    )
    yield ErrorCase((ones(3), ones(4)), {}, shape, "matmul: .*3.*4")
    yield ErrorCase((ones(()), ones(4)), {}, shape, "matmul: .*at least 1 axis")
    yield ErrorCase(
        (ones((2, 3, 4)), ones((3, 4, 5))), {}, shape, "matmul: .*batch axes"
    )
    turned = {"transpose_b": True}
    yield ErrorCase((ones((2, 3)), ones((3, 2))), turned, shape, "b transposed")
    mixed = (ones((2, 2), np.float32), ones((2, 2)))
    yield ErrorCase(mixed, {}, kind, r"matmul: .*float32 and float64.*\.float\(\)")
    booleans = (ones((2, 2), np.bool_), ones((2, 2), np.bool_))
    yield ErrorCase(booleans, {}, kind, "matmul: .*bool")


MATMUL = register(
    planned(
        "matmul",
        _matmul_plan,
        _saves_other,
        vjp=_matmul_vjp,
        samples=_matmul_samples,
        errors=_matmul_errors,
        reference=_matmul_reference,
    )
)


# ---- linear ----


@lru_cache(maxsize=4096)
def _linear_spec(
    x: Ints, weight: Ints, bias: Ints | None, kind: DType, others: tuple[Any, ...]
) -> tuple[Spec, ...]:
    shapes = f"x {x}, weight {weight}, bias {bias}"
    _check_dtypes("linear", kind, *others)
    if len(weight) != 2:
        raise ShapeError(f"linear: weight must have 2 axes (out, in): {shapes}")
    if not x or x[-1] != weight[1]:
        found = x[-1] if x else "no axis"
        raise ShapeError(
            f"linear: expected {weight[1]} features on the last axis of x, "
            f"got {found}: {shapes}"
        )
    if bias is not None and bias != weight[:1]:
        raise ShapeError(f"linear: expected a bias of shape {weight[:1]}: {shapes}")
    return (Spec((*x[:-1], weight[0]), kind),)


def _linear_plan(
    x: Array, weight: Array, bias: Array | None, activation: Any = _NO_ACTIVATION
) -> Plan:
    kinds = (weight.dtype, None if bias is None else bias.dtype)
    shape_bias = None if bias is None else bias.shape
    (spec,) = _linear_spec(x.shape, weight.shape, shape_bias, x.dtype, kinds)
    rows = _as_rows(x)
    if rows is None:
        return CopiedPlan(_linear_plan(in_order(x), weight, bias, activation))
    shape = (rows.shape[0], weight.shape[0])
    turned = _as_matrix(weight, True, False)
    if bias is not None:
        bias = bias.view(shape, (0, bias.strides[0]))
    reads = (seen(0, rows), seen(1, turned), seen(2, bias))
    return _product_plan(reads, spec, shape, activation)


def _as_rows(x: Array) -> Array | None:
    """(..., k) as (rows, k), if the rows lie at equal distances."""
    return _as_matrix(x, False, True) if len(x.shape) == 1 else _merge_rows(x)


def _linear_saves(needs: tuple[bool, ...]) -> Places:
    return _saves_other(needs) if needs[0] or needs[1] else ()


def _linear_vjp(
    call: Any, ctx: Any, needs: tuple[bool, ...], g: Any
) -> tuple[Any, ...]:
    x, weight = ctx.saved or (None, None)
    return _linear_grads(call, ctx, needs, g, x, weight)


def _linear_grads(
    call: Any, ctx: Any, needs: tuple[bool, ...], g: Any, x: Any, weight: Any
) -> tuple[Any, ...]:
    dx = dweight = dbias = None
    if needs[0]:
        dx = call("matmul", g, weight)
    if needs[1]:
        dweight, dbias = call("linear_grad", g, x)
    elif needs[2]:
        dbias = call("sum_to", g, shape=ctx.shapes[2])
    return dx, dweight, dbias


def _linear_reference(x: NDArray, weight: NDArray, bias: NDArray | None) -> NDArray:
    value = np.matmul(x, weight.T)
    return np.asarray(value if bias is None else value + bias)


def _linear_samples() -> Iterator[Sample]:
    normal = np.random.default_rng(2).standard_normal
    yield Sample((normal((3, 4)), normal((2, 4)), normal(2)))
    yield Sample((normal((3, 4)), normal((2, 4)), None))
    yield Sample((normal(4), normal((2, 4)), normal(2)))
    yield Sample((normal((2, 3, 4)), normal((5, 4)), normal(5)))
    yield Sample((normal((1, 4)), normal((1, 4)), normal(1)))
    yield Sample((normal((0, 4)), normal((2, 4)), normal(2)))
    yield Sample((normal((2, 0, 4)), normal((3, 4)), normal(3)))
    yield Sample((normal((2, 3, 0)), normal((2, 0)), normal(2)))
    yield Sample((normal((3, 0)), normal((2, 0)), normal(2)))
    yield Sample((normal((3, 4)), normal((0, 4)), normal(0)))
    for rows, features, columns in (
        (1, 784, 128),
        (5, 100, 33),
        (32, 784, 128),
        (64, 70, 10),
    ):
        inputs = (
            normal((rows, features)),
            normal((columns, features)),
            normal(columns),
        )
        yield Sample(inputs, gradient=False)


def _linear_errors() -> Iterator[ErrorCase]:
    x, weight, bias = np.ones((3, 4)), np.ones((2, 4)), np.ones(2)
    yield ErrorCase(
        (x[:, :3], weight, bias), {}, ShapeError, "linear: expected 4 features"
    )
    yield ErrorCase((x, weight, np.ones(3)), {}, ShapeError, "linear: expected a bias")
    yield ErrorCase((x, np.ones(4), None), {}, ShapeError, "weight must have 2")
    single = weight.astype(np.float32)
    yield ErrorCase(
        (x, single, None), {}, DTypeError, r"linear: .*float32.*\.float\(\)"
    )


LINEAR = register(
    planned(
        "linear",
        _linear_plan,
        _linear_saves,
        vjp=_linear_vjp,
        samples=_linear_samples,
        errors=_linear_errors,
        reference=_linear_reference,
    )
)


# ---- linear with ReLU, in one kernel ----


def _linear_relu_plan(x: Array, weight: Array, bias: Array | None) -> Plan:
    return _linear_plan(x, weight, bias, _RELU)


def _linear_relu_saves(needs: tuple[bool, ...]) -> Places:
    """The factors and the result."""
    return (*_saves_other(needs), len(needs))


def _linear_relu_vjp(
    call: Any, ctx: Any, needs: tuple[bool, ...], g: Any
) -> tuple[Any, ...]:
    x, weight, y = ctx.saved
    return _linear_grads(call, ctx, needs, call("relu_grad", g, y), x, weight)


def _linear_relu_reference(
    x: NDArray, weight: NDArray, bias: NDArray | None
) -> NDArray:
    return np.maximum(_linear_reference(x, weight, bias), 0)


LINEAR_RELU = register(
    planned(
        "linear_relu",
        _linear_relu_plan,
        _linear_relu_saves,
        vjp=_linear_relu_vjp,
        samples=_linear_samples,
        errors=_linear_errors,
        reference=_linear_relu_reference,
    )
)


# ---- the gradients of linear's weight and bias, in one kernel ----


def _linear_grad_plan(g: Array, x: Array) -> Plan:
    shapes = f"gradient {g.shape}, x {x.shape}"
    _check_dtypes("linear_grad", g.dtype, x.dtype)
    if not g.shape or not x.shape or g.shape[:-1] != x.shape[:-1]:
        raise ShapeError(f"linear_grad: expected the same rows in both: {shapes}")
    rows, right = _as_rows(g), _as_rows(x)
    if rows is None:
        return CopiedPlan(_linear_grad_plan(in_order(g), x))
    if right is None:
        return CopiedPlan(_linear_grad_plan(g, in_order(x)), 1)
    columns, features = g.shape[-1], x.shape[-1]
    writes = [
        Made((columns, features), g.dtype, (features, 1)),
        Made((columns,), g.dtype, (1,)),
    ]
    return KernelPlan("linear_grad", (seen(0, rows), seen(1, right)), writes)


def _linear_grad_vjp(
    call: Any, ctx: Any, needs: tuple[bool, ...], u: Any, v: Any
) -> tuple[Any, ...]:
    """The gradient is linear in both: u belongs to the weight, v to the bias."""
    g, x = ctx.saved
    dg = dx = None
    if needs[0] and u is not None:
        dg = call("linear", x, u, v)
    elif needs[0]:
        dg = call("expand", v, shape=ctx.shapes[0])
    if needs[1] and u is not None:
        dx = call("matmul", g, u)
    return dg, dx


def _linear_grad_samples() -> Iterator[Sample]:
    normal = np.random.default_rng(3).standard_normal
    for lead, columns, features in (
        ((3,), 2, 4),
        ((), 2, 4),
        ((2, 3), 5, 4),
        ((1,), 1, 1),
        ((0,), 2, 4),
        ((2, 0), 2, 4),
        ((3,), 0, 4),
        ((3,), 2, 0),
    ):
        yield Sample((normal((*lead, columns)), normal((*lead, features))))
    for rows, columns, features in ((1, 128, 784), (32, 128, 784), (300, 33, 100)):
        inputs = (normal((rows, columns)), normal((rows, features)))
        yield Sample(inputs, gradient=False)


def _linear_grad_errors() -> Iterator[ErrorCase]:
    g, x = np.ones((3, 2)), np.ones((4, 5))
    yield ErrorCase((g, x), {}, ShapeError, "linear_grad: expected the same rows")
    single = x[:3].astype(np.float32)
    yield ErrorCase((g, single), {}, DTypeError, "linear_grad: .*float32")


LINEAR_GRAD = register(
    planned(
        "linear_grad",
        _linear_grad_plan,
        _saves_other,
        vjp=_linear_grad_vjp,
        samples=_linear_grad_samples,
        errors=_linear_grad_errors,
        gradient_of="linear",
    )
)
