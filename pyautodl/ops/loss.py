"""Losses over classes: cross-entropy, negative log-likelihood.

The losses of pairs stand in pair_loss.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from pyautodl.backends import (
    Array,
    Made,
    contiguous_strides,
    empty_strides_like,
    run,
)
from pyautodl.backends.dtypes import FLOATING, int64
from pyautodl.errors import DTypeError, GradError, ShapeError, warn
from pyautodl.ops import pair_loss  # noqa: F401 (registers its ops)
from pyautodl.ops.layout import ensure_contiguous, ensure_dense, has_strides
from pyautodl.ops.pair_loss import REDUCTIONS, check_floats, check_reduction
from pyautodl.ops.plan import (
    CopiedPlan,
    KernelPlan,
    OuterPlan,
    Plan,
    in_order,
    planned,
    seen,
)
from pyautodl.ops.record import ErrorCase, Op, Places, Sample, Spec, register

__all__ = [
    "CLAMPED_LOG",
    "CROSS_ENTROPY",
    "NLL_LOSS",
    "NLL_LOSS_GRAD",
    "check_classes",
    "refuse_class_weight",
]

_Ints = tuple[int, ...]


# ---- log, but not below -100 ----

_SMALLEST_DIVISOR = 1e-12


def _clamped_log_rule(x: Array) -> tuple[Spec, ...]:
    check_floats("clamped_log", input=x)
    return (Spec(x.shape, x.dtype),)


def _clamped_log_forward(ctx: Any, needs: Any, x: Array) -> Array:
    x = ensure_dense(ctx, x)
    y: Array = ctx.empty_like(x)
    run("clamped_log_fwd", (x,), (y,))
    if needs[0]:
        ctx.save(x)
    return y


def _clamped_log_vjp(call: Any, ctx: Any, needs: Any, g: Any) -> tuple[Any, ...]:
    """1 / x down to the smallest normal number, so that a small probability learns.

    What is below, 0 above all, counts as PyTorch's bound: a sum of a few slopes near the
    largest number would overflow, and be NaN once it is multiplied by that 0.
    """
    (x,) = ctx.saved
    tiny = float(np.finfo(ctx.dtypes[0].numpy).tiny)
    bound = call("full", shape=(), value=_SMALLEST_DIVISOR, dtype=x.dtype)
    divisor = call("where", call("lt", x, tiny), bound, x)
    return (call("grad_mul", g, call("div", 1.0, divisor)),)


def _clamped_log_samples() -> Iterator[Sample]:
    rng = np.random.default_rng(0)
    yield Sample((rng.uniform(0.05, 2.0, (2, 3)),), {})
    yield Sample((rng.uniform(0.05, 2.0, (3, 700)),), {}, gradient=False)
    yield Sample((np.array([0.0, 1e-300, 1.0]),), {}, gradient=False)
    yield Sample((np.zeros((0, 3)),), {})


def _clamped_log_errors() -> Iterator[ErrorCase]:
    match = "clamped_log: expected one floating type"
    yield ErrorCase((np.ones(3, np.int64),), {}, DTypeError, match)


CLAMPED_LOG = register(
    Op(
        name="clamped_log",
        rule=_clamped_log_rule,
        forward=_clamped_log_forward,
        vjp=_clamped_log_vjp,
        samples=_clamped_log_samples,
        errors=_clamped_log_errors,
    )
)


# ---- checks ----


def _class_axis(shape: _Ints) -> int:
    return 1 if len(shape) > 1 else 0


def _row_shape(shape: _Ints) -> _Ints:
    """The shape of one loss for each row of classes."""
    axis = _class_axis(shape)
    return shape[:axis] + shape[axis + 1 :]


def _is_soft(target: Array) -> bool:
    return target.dtype.category == FLOATING


def _check_input(name: str, shape: _Ints) -> int:
    """The number of classes."""
    if not shape or shape[_class_axis(shape)] == 0:
        raise ShapeError(
            f"{name}: expected an input (classes,), (n, classes) or (n, classes, ...), "
            f"got {shape}"
        )
    return shape[_class_axis(shape)]


def _check_target(name: str, shape: _Ints, target: Array) -> None:
    rows = _row_shape(shape)
    if target.dtype is not int64:
        raise DTypeError(
            f"{name}: expected int64 class numbers, got {target.dtype.name} (input "
            f"{shape}, target {target.shape}); use .long()"
        )
    if target.shape != rows:
        raise ShapeError(
            f"{name}: expected class numbers of shape {rows} for an input {shape}, got "
            f"target {target.shape}; {_target_fix(shape, target.shape)}"
        )


def _target_fix(shape: _Ints, target: _Ints) -> str:
    """What is likely wrong with the shape of class numbers."""
    rows = _row_shape(shape)
    if target == (*rows[:1], 1, *rows[1:]):
        return "likely fix: target.squeeze(1)"
    if len(shape) == 3 and len(target) == 1 and target[0] in shape[:2]:
        last = "[:, -1]" if target[0] == shape[0] else "[-1]"
        return f"likely fix: for one class a sequence, its last output: input{last}"
    if target == shape[:-1]:
        return f"likely fix: classes on axis 1: input.movedim(-1, 1) of {shape}"
    if target[1:] == rows[1:] and len(target) == len(rows):
        return "likely fix: input and target of equal batch size"
    return "one-hot targets must be floating (.float())"


def _check_soft_target(name: str, x: Array, target: Array, ignore_index: int) -> None:
    if target.shape != x.shape:
        raise ShapeError(
            f"{name}: expected target probabilities of the input's shape {x.shape}, "
            f"got target {target.shape} of {target.dtype.name}; likely fix for class "
            "numbers: target.long()"
        )
    check_floats(name, input=x, target=target)
    if ignore_index >= 0:
        raise ValueError(
            f"{name}: ignore_index {ignore_index} has no meaning for probabilities"
        )


def check_classes(
    name: str,
    x: Array,
    target: Array,
    weight: Array | None,
    ignore_index: int,
    soft: bool = True,
) -> None:
    """Logits or probabilities with their targets, class numbers or (if `soft`) shares.

    Raises:
        ShapeError: the shapes do not fit; a loss never broadcasts.
        DTypeError: mixed floating types, or class numbers that are not int64.
        ValueError: a class to ignore among shares.
    """
    classes = _check_input(name, x.shape)
    if x.dtype.category != FLOATING:
        raise _no_scores(name, x, target)
    if soft and _is_soft(target):
        _check_soft_target(name, x, target, ignore_index)
    else:
        _check_target(name, x.shape, target)
    _check_weight(name, classes, x, weight)


def _no_scores(name: str, x: Array, target: Array) -> DTypeError:
    """The error for an input that is no scores of classes."""
    if _is_soft(target):
        fix = "input and target are swapped: (input, target)"
    else:
        fix = "the network's output itself, not its argmax"
    return DTypeError(
        f"{name}: expected floating scores of classes as input, got {x.dtype.name} "
        f"{x.shape}, with target {target.dtype.name} {target.shape}; likely fix: {fix}"
    )


def _check_weight(name: str, classes: int, like: Array, weight: Array | None) -> None:
    if weight is None:
        return
    check_floats(name, input=like, weight=weight)
    if weight.shape != (classes,):
        raise ShapeError(
            f"{name}: expected a weight for each of {classes} classes, got shape "
            f"{weight.shape}"
        )


def refuse_class_weight(name: str) -> None:
    """Refuse a weight that wants a gradient beside class numbers, as PyTorch does.

    Raises:
        GradError: always.
    """
    raise GradError(
        f"{name}: the weights of classes have no gradient where the target is class "
        "numbers; use weight.detach()"
    )


def _check_rest(name: str, reduction: str, smoothing: float) -> None:
    check_reduction(name, reduction)
    if not 0 <= smoothing <= 1:
        raise ValueError(
            f"{name}: label_smoothing must be from 0 to 1, got {smoothing}"
        )


# ---- running the kernels ----


def _run_checked(name: str, kernel: str, *arguments: Any) -> None:
    """Run a kernel that checks class numbers; its error names the op."""
    try:
        run(kernel, *arguments)
    except IndexError as error:
        raise _class_error(name, kernel, error) from None


def _class_error(name: str, kernel: str, error: IndexError) -> IndexError:
    found = str(error).removeprefix(f"{kernel}: ")
    if found.endswith("index < 1"):
        return IndexError(
            f"{name}: target {found}, the number of classes; likely fix: an output for each "
            "class, or binary_cross_entropy_with_logits for the only one"
        )
    return IndexError(
        f"{name}: target {found}, the number of classes; likely fix: labels from 0 on "
        "(target - target.min()), or an output for each class; another ignore_index "
        "leaves targets out"
    )


def _warn_that_empty(name: str) -> None:
    warn(
        f"{name}: every target is ignored (or has weight 0), so the loss is 0 and so are "
        "its gradients"
    )


def _numbers(attrs: Any) -> tuple[tuple[int, int], tuple[float]]:
    reduction = REDUCTIONS[attrs["reduction"]]
    return (attrs["ignore_index"], reduction), (float(attrs["label_smoothing"]),)


# ---- nll_loss ----


def _nll_plan(
    logp: Array,
    target: Array,
    weight: Array | None = None,
    *,
    ignore_index: int,
    reduction: str,
    label_smoothing: float,
) -> Plan:
    name = "nll_loss"
    check_classes(name, logp, target, weight, ignore_index, soft=False)
    _check_rest(name, reduction, label_smoothing)
    shape = _row_shape(logp.shape) if reduction == "none" else ()
    writes = [Made(each, logp.dtype, contiguous_strides(each)) for each in (shape, ())]
    ints, floats = (ignore_index, REDUCTIONS[reduction]), (float(label_smoothing),)

    def make(*arrays: Array | None) -> Plan:
        reads = [seen(i, each) for i, each in enumerate(arrays)]
        return KernelPlan("nll_fwd", reads, writes, ints, floats, alone=True)

    plan = _laid_out(make, logp, target, weight)
    rows = target.size if reduction == "mean" else 0
    return _CheckedPlan(plan, name, "nll_fwd", rows)


def _nll_saves(needs: tuple[bool, ...]) -> Places:
    """Targets, weights and the divisor."""
    if any(needs[2:]):
        refuse_class_weight("nll_loss")
    count = len(needs)
    return 1, 2 if count > 2 else None, count + 1


def _nll_vjp(call: Any, ctx: Any, needs: Any, g: Any) -> tuple[Any, ...]:
    target, weight, divisor = ctx.saved
    shape = ctx.shapes[0]
    dx = call("nll_loss_grad", g, target, weight, divisor, shape=shape, **ctx.attrs)
    return (dx, None, None)[: len(needs)]


def _nll_grad_rule(
    g: Array,
    target: Array,
    weight: Array | None,
    divisor: Array,
    *,
    shape: _Ints,
    ignore_index: int,
    reduction: str,
    label_smoothing: float,
) -> tuple[Spec, ...]:
    name = "nll_loss_grad"
    classes = _check_input(name, shape)
    check_floats(name, gradient=g, divisor=divisor)
    _check_target(name, shape, target)
    _check_weight(name, classes, g, weight)
    _check_rest(name, reduction, label_smoothing)
    _check_upstream(name, g, shape, reduction)
    return (Spec(tuple(shape), g.dtype),)


def _check_upstream(name: str, g: Array, shape: _Ints, reduction: str) -> None:
    expected = _row_shape(shape) if reduction == "none" else ()
    if g.shape != expected:
        raise ShapeError(
            f"{name}: expected a gradient of shape {expected}, got {g.shape} (input "
            f"{shape})"
        )


def _nll_grad_forward(
    ctx: Any,
    needs: Any,
    g: Array,
    target: Array,
    weight: Array | None,
    divisor: Array,
    *,
    shape: _Ints,
    **attrs: Any,
) -> Array:
    g, target = ensure_contiguous(ctx, g), ensure_contiguous(ctx, target)
    if weight is not None:
        weight = ensure_contiguous(ctx, weight)
    dx: Array = ctx.empty(tuple(shape), g.dtype)
    reads = (g, target, weight, divisor)
    _run_checked("nll_loss_grad", "nll_bwd", reads, (dx,), *_numbers(attrs))
    if any(needs):
        ctx.save(target, weight)
    return dx


def _nll_grad_vjp(call: Any, ctx: Any, needs: Any, u: Any) -> tuple[Any, ...]:
    # the gradient is linear in g, and nll_loss is the transpose of that
    target, weight = ctx.saved
    attrs = {key: each for key, each in ctx.attrs.items() if key != "shape"}
    return call("nll_loss", u, target, weight, **attrs), None, None, None


# ---- cross_entropy ----


class _CheckedPlan(OuterPlan):
    """A mean or sum over class numbers that the kernel checks."""

    __slots__ = ("_kernel", "_name", "_rows")

    def __init__(self, inner: Plan, name: str, kernel: str, rows: int) -> None:
        super().__init__(inner)
        self._name, self._kernel, self._rows = name, kernel, rows

    def call(self, inputs: Any, floats: Any) -> Any:
        try:
            result = self._inner.call(inputs, floats)
        except IndexError as error:
            raise _class_error(self._name, self._kernel, error) from None
        if self._rows and result[1].item() == 0:
            _warn_that_empty(self._name)
        return result


def _laid_out(
    make: Callable[..., Plan],
    x: Array,
    target: Array,
    weight: Array | None,
    first: int = 0,
) -> Plan:
    """make(x, target, weight), in the layouts that kernels take.

    x is input number `first`; the others follow it.
    """
    if not x.is_channels_last() and not x.is_contiguous():
        return CopiedPlan(_laid_out(make, in_order(x), target, weight, first), first)
    strides = x.strides if _is_soft(target) else contiguous_strides(target.shape)
    if not has_strides(target, strides):
        copied = in_order(target, strides)
        plan = _laid_out(make, x, copied, weight, first)
        return CopiedPlan(plan, first + 1, strides)
    if weight is not None and not weight.is_contiguous():
        plan = _laid_out(make, x, target, in_order(weight), first)
        return CopiedPlan(plan, first + 2)
    return make(x, target, weight)


def _cross_entropy_plan(
    x: Array,
    target: Array,
    weight: Array | None = None,
    *,
    ignore_index: int,
    reduction: str,
    label_smoothing: float,
) -> Plan:
    name = "cross_entropy"
    check_classes(name, x, target, weight, ignore_index)
    _check_rest(name, reduction, label_smoothing)
    rows = x.size // x.shape[_class_axis(x.shape)]
    shape = _row_shape(x.shape) if reduction == "none" else ()
    writes = [
        Made(each, x.dtype, contiguous_strides(each)) for each in (shape, (), (2, rows))
    ]
    ints, floats = (ignore_index, REDUCTIONS[reduction]), (float(label_smoothing),)

    def make(*arrays: Array | None) -> Plan:
        reads = [seen(i, each) for i, each in enumerate(arrays)]
        return KernelPlan("cross_entropy_fwd", reads, writes, ints, floats, alone=True)

    plan = _laid_out(make, x, target, weight)
    rows = rows if reduction == "mean" else 0
    return _CheckedPlan(plan, name, "cross_entropy_fwd", rows)


def _cross_entropy_saves(needs: tuple[bool, ...]) -> Places:
    """The inputs, then the divisor and the statistics of the rows."""
    count = len(needs)
    return (*range(count), count + 1, count + 2)


def _cross_entropy_vjp(call: Any, ctx: Any, needs: Any, g: Any) -> tuple[Any, ...]:
    *inputs, divisor, stats = ctx.saved
    x, target, weight = (*inputs, None)[:3]
    if any(needs[2:]) and not _is_soft(target):
        refuse_class_weight("cross_entropy")
    found: list[Any] = [None] * len(needs)
    if needs[0]:
        arrays = (g, x, target, weight, divisor, stats)
        found[0] = call("cross_entropy_grad", *arrays, **ctx.attrs)
    if any(needs[1:]):
        found[1:] = _soft_gradients(call, ctx, needs, g, x, target, weight, divisor)
    return tuple(found)


def _soft_gradients(
    call: Any,
    ctx: Any,
    needs: Any,
    g: Any,
    x: Any,
    target: Any,
    weight: Any,
    divisor: Any,
) -> list[Any]:
    """Those for target probabilities and, if there are any, for the classes' weights.

    The loss of a row is -sum(weight target log_softmax(x)).
    """
    shape = ctx.shapes[0]
    axis, smoothing = _class_axis(shape), float(ctx.attrs["label_smoothing"])
    if ctx.attrs["reduction"] == "none":
        g = call("reshape", g, shape=_with_class_axis(shape))
    else:
        g = call("div", g, divisor)
    slope = call("mul", call("log_softmax", x, dim=axis), call("neg", g))
    found: list[Any] = [None] * (len(needs) - 1)
    if needs[1]:
        dt = call("mul", slope, 1.0 - smoothing)
        if weight is not None:
            dt = call("mul", dt, _along_classes(call, weight, shape))
        found[0] = dt
    if any(needs[2:]):
        each = call("mul", slope, _smoothed(call, target, smoothing, shape[axis]))
        others = tuple(i for i in range(len(shape)) if i != axis)
        # no axes would mean all of them
        found[1] = call("sum", each, dim=others) if others else each
    return found


def _smoothed(call: Any, target: Any, smoothing: float, classes: int) -> Any:
    if not smoothing:
        return target
    target = call("mul", target, 1.0 - smoothing)
    return call("add", target, smoothing / classes)


def _along_classes(call: Any, weight: Any, shape: _Ints) -> Any:
    axis = _class_axis(shape)
    ones = (1,) * (len(shape) - axis - 1)
    return call("reshape", weight, shape=(shape[axis], *ones))


def _with_class_axis(shape: _Ints) -> _Ints:
    axis = _class_axis(shape)
    return (*shape[:axis], 1, *shape[axis + 1 :])


def _cross_entropy_composition(
    call: Any, x: Any, target: Any, weight: Any = None, **attrs: Any
) -> Any:
    shape = tuple(x.shape)
    axis = _class_axis(shape)
    logp = call("log_softmax", x, dim=axis)
    if target.dtype is int64:
        return call("nll_loss", logp, target, weight, **attrs)
    target = _smoothed(call, target, float(attrs["label_smoothing"]), shape[axis])
    if weight is not None:
        target = call("mul", target, _along_classes(call, weight, shape))
    each = call("neg", call("sum", call("mul", target, logp), dim=(axis,)))
    if attrs["reduction"] == "none":
        return each
    total = call("sum", each)
    rows = float(int(np.prod(_row_shape(shape))))
    return call("div", total, rows) if attrs["reduction"] == "mean" else total


def _cross_entropy_grad_rule(
    g: Array,
    x: Array,
    target: Array,
    weight: Array | None,
    divisor: Array,
    stats: Array,
    *,
    ignore_index: int,
    reduction: str,
    label_smoothing: float,
) -> tuple[Spec, ...]:
    name = "cross_entropy_grad"
    check_classes(name, x, target, weight, ignore_index)
    check_floats(name, gradient=g, input=x, divisor=divisor, stats=stats)
    _check_rest(name, reduction, label_smoothing)
    _check_upstream(name, g, x.shape, reduction)
    return (Spec(x.shape, x.dtype),)


def _cross_entropy_grad_plan(
    g: Array,
    x: Array,
    target: Array,
    weight: Array | None,
    divisor: Array,
    stats: Array,
    **attrs: Any,
) -> Plan:
    (spec,) = _cross_entropy_grad_rule(g, x, target, weight, divisor, stats, **attrs)
    if not g.is_contiguous():
        rest = (x, target, weight, divisor, stats)
        return CopiedPlan(_cross_entropy_grad_plan(in_order(g), *rest, **attrs))
    if not stats.is_contiguous():
        rest = (x, target, weight, divisor, in_order(stats))
        return CopiedPlan(_cross_entropy_grad_plan(g, *rest, **attrs), 5)

    def make(x: Array, *rest: Array | None) -> Plan:
        inputs = (g, x, *rest, divisor, stats)
        reads = [seen(i, each) for i, each in enumerate(inputs)]
        made = Made(*spec, empty_strides_like(spec.shape, x.strides))
        return KernelPlan("cross_entropy_bwd", reads, [made], *_numbers(attrs))

    return _laid_out(make, x, target, weight, first=1)


# ---- examples ----


def _attrs(reduction: str, ignore: int = -100, smoothing: float = 0.0) -> Any:
    return {
        "ignore_index": ignore,
        "reduction": reduction,
        "label_smoothing": smoothing,
    }


def _class_cases() -> Iterator[tuple[Any, Any, Any, Any]]:
    """(logits, targets, weights, whether it is small) over shapes and layouts."""
    shapes: list[_Ints] = [(4, 3), (5,), (2, 3, 2), (1, 1), (0, 3), (2, 3, 2, 2)]
    for i, shape in enumerate([*shapes, (35, 10), (3, 70), (2, 5, 6, 7)]):
        rng = np.random.default_rng(i)
        x = rng.standard_normal(shape)
        if shape in ((2, 3, 2, 2), (2, 5, 6, 7)):
            # channels last
            x = np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 1, -1)), -1, 1)
        classes = shape[_class_axis(shape)]
        labels = np.asarray(rng.integers(0, classes, _row_shape(shape)))
        weight = rng.uniform(0.5, 2.0, classes)
        yield x, labels, weight, 0 < x.size < 30


def _class_attrs() -> Iterator[Any]:
    for reduction in REDUCTIONS:
        yield _attrs(reduction)
    yield _attrs("mean", ignore=1)
    yield _attrs("mean", smoothing=0.1)
    yield _attrs("none", ignore=0, smoothing=0.3)


def _hard_samples() -> Iterator[Sample]:
    for x, labels, weight, small in _class_cases():
        for attrs in _class_attrs():
            counts = np.isin(labels, attrs["ignore_index"], invert=True).any()
            if attrs["reduction"] == "mean" and not counts:
                continue
            yield Sample((x, labels), attrs, gradient=small)
            # beside class numbers, weights have no gradient
            yield Sample((x, labels, weight), attrs, gradient=False)


def _cross_entropy_samples() -> Iterator[Sample]:
    yield from _hard_samples()
    for i, (x, _, weight, small) in enumerate(_class_cases()):
        if not x.size:
            continue
        soft = np.random.default_rng(i).uniform(0.1, 1.0, x.shape)
        for attrs in (_attrs("mean"), _attrs("none", smoothing=0.2), _attrs("sum")):
            yield Sample((x, soft), attrs, gradient=small)
            yield Sample((x, soft, weight), attrs, gradient=small)
    large = np.array([[1e7, 1e7 + 1]])
    yield Sample((large, np.array([0])), _attrs("mean"), gradient=False)


def _divisor(sample: Sample) -> np.ndarray[Any, Any]:
    """What the mean of a sample is divided by, else 1."""
    labels = sample.inputs[1]
    if sample.attrs["reduction"] != "mean":
        return np.ones(())
    if labels.dtype.kind == "f":
        return np.asarray(float(np.prod(_row_shape(labels.shape))))
    live = labels[labels != sample.attrs["ignore_index"]]
    weight = sample.inputs[2] if len(sample.inputs) > 2 else None
    return np.asarray(float(len(live) if weight is None else weight[live].sum()))


def _upstream(sample: Sample) -> np.ndarray[Any, Any]:
    shape = _row_shape(sample.inputs[0].shape)
    shape = shape if sample.attrs["reduction"] == "none" else ()
    return np.asarray(np.random.default_rng(9).standard_normal(shape))


def _nll_grad_samples() -> Iterator[Sample]:
    for sample in _hard_samples():
        x, labels, *weight = sample.inputs
        inputs = (_upstream(sample), labels, *(weight or [None]), _divisor(sample))
        attrs = {**sample.attrs, "shape": x.shape}
        yield Sample(inputs, attrs, gradient=False)


def _cross_entropy_grad_samples() -> Iterator[Sample]:
    for sample in _cross_entropy_samples():
        x, target, *weight = sample.inputs
        rows = np.moveaxis(x, _class_axis(x.shape), -1).reshape(
            -1, x.shape[_class_axis(x.shape)]
        )
        largest = rows.max(1)
        stats = np.stack([largest, 1 / np.exp(rows - largest[:, None]).sum(1)])
        weights = weight or [None]
        inputs = (_upstream(sample), x, target, *weights, _divisor(sample), stats)
        yield Sample(inputs, sample.attrs, gradient=False)


def _make_errors(name: str, first: Any, last: tuple[Any, ...]) -> Any:
    """Error cases; `first` stands before the target, `last` after the weight."""

    def errors() -> Iterator[ErrorCase]:
        labels = np.array([0, 2])
        mean = _attrs("mean")
        if name == "nll_loss_grad":
            mean["shape"] = (2, 3)

        def case(target: Any, weight: Any, attrs: Any, kind: Any, match: str) -> Any:
            inputs = (*first, target, weight, *last)
            return ErrorCase(inputs, {**mean, **attrs}, kind, f"{name}: {match}")

        yield case(
            np.array([0, 1, 2]), None, {}, ShapeError, r"expected class .*\(3,\)"
        )
        yield case(labels.astype(np.int32), None, {}, DTypeError, r"expected int64")
        yield case(
            labels, np.ones(2), {}, ShapeError, "expected a weight for each of 3"
        )
        yield case(labels, None, {"reduction": "avg"}, ValueError, "reduction must be")
        yield case(
            labels, None, {"label_smoothing": 1.5}, ValueError, "label_smoothing must"
        )
        if name != "cross_entropy_grad":
            match = "target index 3 at position 1 .* < 3"
            yield case(np.array([0, 3]), None, {}, IndexError, match)
            yield case(np.array([-4, 0]), None, {}, IndexError, "target index -4")

    return errors


_X = np.arange(6.0).reshape(2, 3)
_G = np.ones(())

NLL_LOSS = register(
    planned(
        "nll_loss",
        _nll_plan,
        _nll_saves,
        vjp=_nll_vjp,
        samples=_hard_samples,
        errors=_make_errors("nll_loss", (_X,), ()),
    )
)

NLL_LOSS_GRAD = register(
    Op(
        name="nll_loss_grad",
        rule=_nll_grad_rule,
        forward=_nll_grad_forward,
        vjp=_nll_grad_vjp,
        samples=_nll_grad_samples,
        errors=_make_errors("nll_loss_grad", (_G,), (_G,)),
        gradient_of="nll_loss",
    )
)

CROSS_ENTROPY = register(
    planned(
        "cross_entropy",
        _cross_entropy_plan,
        _cross_entropy_saves,
        vjp=_cross_entropy_vjp,
        composition=_cross_entropy_composition,
        samples=_cross_entropy_samples,
        errors=_make_errors("cross_entropy", (_X,), ()),
    )
)

CROSS_ENTROPY_GRAD = register(
    planned(
        "cross_entropy_grad",
        _cross_entropy_grad_plan,
        samples=_cross_entropy_grad_samples,
        errors=_make_errors("cross_entropy_grad", (_G, _X), (_G, np.ones((2, 2)))),
        gradient_of="cross_entropy",
    )
)
