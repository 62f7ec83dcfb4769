"""Arithmetic of tensors and numbers, and the operators of `Tensor`."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from pyautodl.backends.dtypes import BOOLEAN, FLOATING, int64
from pyautodl.errors import describe
from pyautodl.functional.eltwise.unary import as_floating, check_tensor
from pyautodl.graph import MODE
from pyautodl.ops.eltwise import arithmetic as ops
from pyautodl.ops.eltwise.activation import ACTIVATIONS
from pyautodl.ops.eltwise.compare import BITS
from pyautodl.ops.eltwise.unary import POW_SCALAR
from pyautodl.ops.record import Op
from pyautodl.tensor import (
    NUMBERS,
    Tensor,
    apply,
    call,
    constant,
    explained,
    inplace,
    method,
    operands,
    overwrite,
)

__all__ = [
    "add",
    "addcdiv",
    "addcmul",
    "arctan2",
    "atan2",
    "bitwise_and",
    "bitwise_left_shift",
    "bitwise_or",
    "bitwise_right_shift",
    "bitwise_xor",
    "clamp",
    "clamp_max",
    "clamp_min",
    "clip",
    "div",
    "divide",
    "floor_divide",
    "fmax",
    "fmin",
    "fmod",
    "hypot",
    "lerp",
    "maximum",
    "minimum",
    "mul",
    "multiply",
    "pow",
    "remainder",
    "rsub",
    "sub",
    "subtract",
    "true_divide",
]


def floating_operands(name: str, x: Any, y: Any) -> tuple[Tensor, Tensor]:
    """The operands of their promoted type, integers as the default floating type."""
    if _is_floating(x) or _is_floating(y):
        return operands(name, x, y)
    # each by itself: the promoted integer type need not hold the numbers of both
    first, second = [
        as_floating(name, z) if isinstance(z, Tensor) else z for z in (x, y)
    ]
    return operands(name, first, second)


def _is_floating(x: Any) -> bool:
    return isinstance(x, Tensor) and x._array.dtype.category == FLOATING


# ---- sums, products, quotients ----


@method("add", inplace=True)
def add(input: Tensor, other: Any, *, alpha: float = 1) -> Tensor:
    """Return `input + alpha * other`.

    Args:
        input: a tensor.
        other: a tensor that broadcasts with it, or a number.
        alpha: the factor of `other`.

    Raises:
        ShapeError: the shapes do not broadcast.

    Example:
        >>> import pyautodl as ad
        >>> ad.add(ad.tensor([1, 2]), 10, alpha=2)
        tensor([21, 22])
    """
    x, y = operands("add", input, other)
    if alpha == 1:
        return apply(ops.ADD, x, y)
    return apply(ops.ADD_SCALED, x, y, alpha=_checked_alpha("add", x, alpha))


def _checked_alpha(name: str, x: Tensor, alpha: float) -> float:
    if not isinstance(alpha, NUMBERS):
        raise TypeError(f"{name}: alpha must be a number, got {describe(alpha)}")
    if x._array.dtype.category != FLOATING:
        if alpha % 1 != 0:  # so of inf and nan, too
            raise TypeError(
                f"{name}: alpha must be an integer for {x.dtype.name} tensors, got {alpha}"
            )
        constant(int(alpha), x.dtype, name)
    return alpha


@method("sub", "subtract", inplace=True)
def sub(input: Tensor, other: Any, *, alpha: float = 1) -> Tensor:
    """Return `input - alpha * other`.

    Args:
        input: a tensor.
        other: a tensor that broadcasts with it, or a number.
        alpha: the factor of `other`.

    Raises:
        DTypeError: both are bool; `logical_xor` is what is meant.
        ShapeError: the shapes do not broadcast.

    Example:
        >>> import pyautodl as ad
        >>> ad.sub(ad.tensor([1, 2]), ad.tensor([10]))
        tensor([-9, -8])
    """
    x, y = operands("sub", input, other)
    if alpha == 1:
        return apply(ops.SUB, x, y)
    return apply(ops.ADD_SCALED, x, y, alpha=-_checked_alpha("sub", x, alpha))


@method
@explained
def rsub(input: Tensor, other: Any, *, alpha: float = 1) -> Tensor:
    """Return `other - alpha * input`.

    Args:
        input: a tensor.
        other: a tensor that broadcasts with it, or a number.
        alpha: the factor of `input`.

    Raises:
        ShapeError: the shapes do not broadcast.

    Example:
        >>> import pyautodl as ad
        >>> ad.rsub(ad.tensor([1, 2]), 10)
        tensor([9, 8])
    """
    return sub(other, input, alpha=alpha)


@method("mul", "multiply", inplace=True)
def mul(input: Tensor, other: Any) -> Tensor:
    """Return `input * other`.

    Args:
        input: a tensor.
        other: a tensor that broadcasts with it, or a number.

    Raises:
        ShapeError: the shapes do not broadcast.

    Example:
        >>> import pyautodl as ad
        >>> ad.mul(ad.tensor([1, 2]), 1.5)
        tensor([1.5000, 3.0000])
    """
    return apply(ops.MUL, *operands("mul", input, other))


@method("div", "divide", "true_divide", inplace=True)
def div(input: Tensor, other: Any, *, rounding_mode: str | None = None) -> Tensor:
    """Return `input / other`.

    Args:
        input: a tensor; without rounding, integers become floats.
        other: a tensor that broadcasts with it, or a number.
        rounding_mode: None, 'trunc' (towards zero) or 'floor'.

    Raises:
        ValueError: another rounding mode.
        ShapeError: the shapes do not broadcast.
        ZeroDivisionError: integers are divided by 0.

    Example:
        >>> import pyautodl as ad
        >>> ad.div(ad.tensor([7, -7]), 2)
        tensor([ 3.5000, -3.5000])
        >>> ad.div(ad.tensor([7, -7]), 2, rounding_mode="floor")
        tensor([ 3, -4])
    """
    if rounding_mode is None:
        return apply(ops.DIV, *floating_operands("div", input, other))
    kinds = {"trunc": ops.DIV_TRUNC, "floor": ops.FLOOR_DIVIDE}
    if not isinstance(rounding_mode, str) or rounding_mode not in kinds:
        raise ValueError(
            f"div: rounding_mode must be None, 'trunc' or 'floor', got {rounding_mode!r}"
        )
    return apply(kinds[rounding_mode], *operands("div", input, other))


@method("floor_divide", inplace=True)
def floor_divide(input: Tensor, other: Any) -> Tensor:
    """Return the quotient rounded down, as `input // other`.

    Args:
        input: a tensor.
        other: a tensor that broadcasts with it, or a number.

    Raises:
        ShapeError: the shapes do not broadcast.
        ZeroDivisionError: integers are divided by 0.

    Example:
        >>> import pyautodl as ad
        >>> ad.floor_divide(ad.tensor([7, -7]), 2)
        tensor([ 3, -4])
    """
    return apply(ops.FLOOR_DIVIDE, *operands("floor_divide", input, other))


@method("remainder", inplace=True)
def remainder(input: Tensor, other: Any) -> Tensor:
    """Return what is left of a division rounded down; it has the divisor's sign.

    Args:
        input: a tensor.
        other: a tensor that broadcasts with it, or a number.

    Raises:
        ShapeError: the shapes do not broadcast.
        ZeroDivisionError: integers are divided by 0.

    Example:
        >>> import pyautodl as ad
        >>> ad.remainder(ad.tensor([7, -7]), 3)
        tensor([1, 2])
    """
    return apply(ops.REMAINDER, *operands("remainder", input, other))


@method("fmod", inplace=True)
def fmod(input: Tensor, other: Any) -> Tensor:
    """Return what is left of a division rounded to zero; it has the dividend's sign.

    Args:
        input: a tensor.
        other: a tensor that broadcasts with it, or a number.

    Raises:
        ShapeError: the shapes do not broadcast.
        ZeroDivisionError: integers are divided by 0.

    Example:
        >>> import pyautodl as ad
        >>> ad.fmod(ad.tensor([7, -7]), 3)
        tensor([ 1, -1])
    """
    return apply(ops.FMOD, *operands("fmod", input, other))


# ---- powers, angles ----


@method("pow", inplace=True)
def pow(input: Any, exponent: Any) -> Tensor:
    """Return `input ** exponent`.

    Args:
        input: a tensor, or a number.
        exponent: a tensor that broadcasts with it, or a number.

    Raises:
        ShapeError: the shapes do not broadcast.
        ValueError: an integer tensor and a negative integer.

    Example:
        >>> import pyautodl as ad
        >>> ad.pow(ad.tensor([1, 2, 3]), 2)
        tensor([1, 4, 9])
        >>> ad.pow(2, ad.tensor([1.0, 0.5]))
        tensor([2.0000, 1.4142])
    """
    x, y = operands("pow", input, exponent)
    if x._array.dtype.category == BOOLEAN:
        x, y = call("cast", x, dtype=int64), call("cast", y, dtype=int64)
    if not isinstance(exponent, NUMBERS):
        return apply(ops.POW, x, y)
    if x._array.dtype.category != FLOATING and exponent < 0:
        raise ValueError(
            f"pow: integers have no integer powers below 0, got exponent {exponent}; "
            "use .float()"
        )
    return apply(POW_SCALAR, x, exponent=exponent)


@method("atan2", "arctan2", inplace=True)
def atan2(input: Tensor, other: Tensor) -> Tensor:
    """Return the angle of the point (other, input), from -pi to pi.

    The gradient at the origin is 0.

    Args:
        input: the ordinate.
        other: the abscissa; broadcasts with it.

    Raises:
        ShapeError: the shapes do not broadcast.

    Example:
        >>> import pyautodl as ad
        >>> ad.atan2(ad.tensor([1.0]), ad.tensor([-1.0]))
        tensor([2.3562])
    """
    return apply(ops.ATAN2, *floating_operands("atan2", input, other))


@method("hypot", inplace=True)
def hypot(input: Tensor, other: Tensor) -> Tensor:
    """Return the lengths of the vectors (input, other), without overflow.

    The gradient of a vector of length 0 is 0.

    Args:
        input, other: floating tensors that broadcast.

    Raises:
        ShapeError: the shapes do not broadcast.

    Example:
        >>> import pyautodl as ad
        >>> ad.hypot(ad.tensor([3.0]), ad.tensor([4.0]))
        tensor([5.])
    """
    return apply(ops.HYPOT, *floating_operands("hypot", input, other))


# ---- the greater and the smaller ----


@method
def maximum(input: Tensor, other: Tensor) -> Tensor:
    """Return the greater of two elements; NaN if one is. At a tie each gets half.

    Args:
        input: a tensor.
        other: a tensor that broadcasts with it.

    Raises:
        ShapeError: the shapes do not broadcast.

    Example:
        >>> import pyautodl as ad
        >>> ad.maximum(ad.tensor([1, 5]), ad.tensor([3, 2]))
        tensor([3, 5])
    """
    return apply(ops.MAXIMUM, *operands("maximum", input, other))


@method
def minimum(input: Tensor, other: Tensor) -> Tensor:
    """Return the smaller of two elements; NaN if one is. At a tie each gets half.

    Args:
        input: a tensor.
        other: a tensor that broadcasts with it.

    Raises:
        ShapeError: the shapes do not broadcast.

    Example:
        >>> import pyautodl as ad
        >>> ad.minimum(ad.tensor([1, 5]), ad.tensor([3, 2]))
        tensor([1, 2])
    """
    return apply(ops.MINIMUM, *operands("minimum", input, other))


@method
def fmax(input: Tensor, other: Tensor) -> Tensor:
    """Return the greater of two elements; a NaN is left aside.

    Args:
        input: a tensor.
        other: a tensor that broadcasts with it.

    Raises:
        ShapeError: the shapes do not broadcast.

    Example:
        >>> import pyautodl as ad
        >>> ad.fmax(ad.tensor([1.0, float("nan")]), ad.tensor([3.0, 2.0]))
        tensor([3., 2.])
    """
    x, y = operands("fmax", input, other)
    op = ops.FMAX if x._array.dtype.category == FLOATING else ops.MAXIMUM
    return apply(op, x, y)


@method
def fmin(input: Tensor, other: Tensor) -> Tensor:
    """Return the smaller of two elements; a NaN is left aside.

    Args:
        input: a tensor.
        other: a tensor that broadcasts with it.

    Raises:
        ShapeError: the shapes do not broadcast.

    Example:
        >>> import pyautodl as ad
        >>> ad.fmin(ad.tensor([1.0, float("nan")]), ad.tensor([3.0, 2.0]))
        tensor([1., 2.])
    """
    x, y = operands("fmin", input, other)
    op = ops.FMIN if x._array.dtype.category == FLOATING else ops.MINIMUM
    return apply(op, x, y)


@method("clamp", "clip", inplace=True)
@explained
def clamp(input: Tensor, min: Any = None, max: Any = None) -> Tensor:
    """Bring each element between two bounds; its gradient is 1 at them, 0 beyond.

    Args:
        input: a tensor; NaN stays, and comes of a bound that is NaN.
        min: the lower bound, a number or a tensor that broadcasts, or None.
        max: the upper bound; it wins where it is below the lower one.

    Raises:
        ValueError: both bounds are None.
        ShapeError: the shapes do not broadcast.

    Example:
        >>> import pyautodl as ad
        >>> ad.clamp(ad.tensor([-2.0, 0.5, 3.0]), 0, 1)
        tensor([0.0000, 0.5000, 1.0000])
    """
    if min is None and max is None:
        raise ValueError("clamp: at least one of min and max must be given")
    x = check_tensor("clamp", input)
    if not (min is None or isinstance(min, NUMBERS)) or not (
        max is None or isinstance(max, NUMBERS)
    ):
        return _clamp_between(x, min, max)
    floating = x._array.dtype.category == FLOATING
    for bound in (min, max):
        if bound is not None and not (floating and type(bound) in (int, float)):
            x = operands("clamp", x, bound)[0]
    if _is_floating(x):
        low = -np.inf if min is None else float(min)
        high = np.inf if max is None else float(max)
        if low != low or high != high:
            return call("add", call("overwritten", x), np.nan)
        return apply(ACTIVATIONS["clamp"], x, min=low, max=high)
    x = x if min is None else apply(ops.MAXIMUM, x, min)
    return x if max is None else apply(ops.MINIMUM, x, max)


def _clamp_between(x: Tensor, min: Any, max: Any) -> Tensor:
    """Where a bound holds it gets the gradient; where it equals x, x does."""
    given = [each for each in (x, min, max) if isinstance(each, Tensor)]
    recorded = MODE.enabled and True in [each.requires_grad for each in given]
    sides = ((min, "lt", ops.MAXIMUM), (max, "gt", ops.MINIMUM))
    for bound, beyond, better in sides:
        if bound is None:
            continue
        a, b = operands("clamp", x, bound)
        if not recorded:
            # of equal ones the second, which is x
            x = apply(better, b, a)
            continue
        taken = call(beyond, a, b)
        if _is_floating(b):
            taken = call("logical_or", taken, call("ne", b, b))
        x = call("where", taken, b, a)
    return x


@method("clamp_min", inplace=True)
@explained
def clamp_min(input: Tensor, min: Any) -> Tensor:
    """Raise each element to a lower bound.

    Args:
        input: a tensor.
        min: a number, or a tensor that broadcasts.

    Raises:
        ShapeError: the shapes do not broadcast.

    Example:
        >>> import pyautodl as ad
        >>> ad.clamp_min(ad.tensor([-2, 3]), 0)
        tensor([0, 3])
    """
    return clamp(input, min=min)


@method("clamp_max", inplace=True)
@explained
def clamp_max(input: Tensor, max: Any) -> Tensor:
    """Lower each element to an upper bound.

    Args:
        input: a tensor.
        max: a number, or a tensor that broadcasts.

    Raises:
        ShapeError: the shapes do not broadcast.

    Example:
        >>> import pyautodl as ad
        >>> ad.clamp_max(ad.tensor([-2, 3]), 0)
        tensor([-2,  0])
    """
    return clamp(input, max=max)


# ---- three operands ----


def _as_one_type(name: str, *tensors: Tensor) -> list[Tensor]:
    """The tensors, floats of their promoted type."""
    first = check_tensor(name, tensors[0])
    dtype = first._array.dtype
    if dtype.category == FLOATING:
        for other in tensors:
            if not (isinstance(other, Tensor) and other._array.dtype is dtype):
                break
        else:
            return list(tensors)
    for other in tensors[1:]:
        first = floating_operands(name, first, other)[0]
    dtype = first.dtype
    return [x if x.dtype is dtype else call("cast", x, dtype=dtype) for x in tensors]


@method("lerp", inplace=True)
@explained
def lerp(input: Tensor, end: Tensor, weight: Any) -> Tensor:
    """Return `input + weight * (end - input)`.

    Args:
        input: the start.
        end: the end; broadcasts with it.
        weight: a number, or a tensor that broadcasts with both.

    Raises:
        ShapeError: the shapes do not broadcast.

    Example:
        >>> import pyautodl as ad
        >>> ad.lerp(ad.tensor([0.0, 10.0]), ad.tensor([10.0, 20.0]), 0.5)
        tensor([ 5., 15.])
    """
    if not isinstance(weight, Tensor):
        x, y = _as_one_type("lerp", input, end)
        return apply(ops.LERP, x, y, constant(float(weight), x.dtype))
    return apply(ops.LERP, *_as_one_type("lerp", input, end, weight))


@method("addcmul", inplace=True)
@explained
def addcmul(
    input: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: float = 1
) -> Tensor:
    """Return `input + value * tensor1 * tensor2`.

    Args:
        input: a tensor.
        tensor1: a factor; broadcasts with it.
        tensor2: the other factor.
        value: a number.

    Raises:
        ShapeError: the shapes do not broadcast.

    Example:
        >>> import pyautodl as ad
        >>> x = ad.tensor([1.0, 2.0])
        >>> ad.addcmul(x, x, x, value=10)
        tensor([11., 42.])
    """
    given = (input, tensor1, tensor2)
    if isinstance(value, int) and not any(map(_is_floating, given)):
        return add(input, mul(tensor1, tensor2), alpha=value)
    tensors = _as_one_type("addcmul", *given)
    return apply(ops.ADDCMUL, *tensors, value=float(value))


@method("addcdiv", inplace=True)
@explained
def addcdiv(
    input: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: float = 1
) -> Tensor:
    """Return `input + value * tensor1 / tensor2`.

    Args:
        input: a tensor.
        tensor1: the dividend; broadcasts with it.
        tensor2: the divisor.
        value: a number.

    Raises:
        ShapeError: the shapes do not broadcast.

    Example:
        >>> import pyautodl as ad
        >>> x = ad.tensor([1.0, 2.0])
        >>> ad.addcdiv(x, x, x, value=10)
        tensor([11., 12.])
    """
    tensors = _as_one_type("addcdiv", input, tensor1, tensor2)
    return apply(ops.ADDCDIV, *tensors, value=float(value))


# ---- bits ----


@method("bitwise_and", inplace=True)
def bitwise_and(input: Tensor, other: Any) -> Tensor:
    """Return the bits that both have; of bools, whether both hold.

    Args:
        input: an integer or bool tensor.
        other: one that broadcasts with it, or a number.

    Raises:
        DTypeError: an operand is floating.

    Example:
        >>> import pyautodl as ad
        >>> ad.bitwise_and(ad.tensor([6]), 3)
        tensor([2])
    """
    return _bits("bitwise_and", input, other)


@method("bitwise_or", inplace=True)
def bitwise_or(input: Tensor, other: Any) -> Tensor:
    """Return the bits that one has; of bools, whether one holds.

    Args:
        input: an integer or bool tensor.
        other: one that broadcasts with it, or a number.

    Raises:
        DTypeError: an operand is floating.

    Example:
        >>> import pyautodl as ad
        >>> ad.bitwise_or(ad.tensor([6]), 3)
        tensor([7])
    """
    return _bits("bitwise_or", input, other)


@method("bitwise_xor", inplace=True)
def bitwise_xor(input: Tensor, other: Any) -> Tensor:
    """Return the bits that only one has; of bools, whether they differ.

    Args:
        input: an integer or bool tensor.
        other: one that broadcasts with it, or a number.

    Raises:
        DTypeError: an operand is floating.

    Example:
        >>> import pyautodl as ad
        >>> ad.bitwise_xor(ad.tensor([6]), 3)
        tensor([5])
    """
    return _bits("bitwise_xor", input, other)


@method("bitwise_left_shift", inplace=True)
def bitwise_left_shift(input: Tensor, other: Any) -> Tensor:
    """Return the bits moved up by `other` places.

    Args:
        input: an integer tensor.
        other: one that broadcasts with it, or a number.

    Raises:
        DTypeError: an operand is no integer.

    Example:
        >>> import pyautodl as ad
        >>> ad.bitwise_left_shift(ad.tensor([3]), 2)
        tensor([12])
    """
    return _bits("bitwise_left_shift", input, other)


@method("bitwise_right_shift", inplace=True)
def bitwise_right_shift(input: Tensor, other: Any) -> Tensor:
    """Return the bits moved down by `other` places; the sign stays.

    Args:
        input: an integer tensor.
        other: one that broadcasts with it, or a number.

    Raises:
        DTypeError: an operand is no integer.

    Example:
        >>> import pyautodl as ad
        >>> ad.bitwise_right_shift(ad.tensor([12]), 2)
        tensor([3])
    """
    return _bits("bitwise_right_shift", input, other)


def _bits(name: str, x: Any, y: Any) -> Tensor:
    return apply(BITS[name], *operands(name, x, y))


subtract = sub
multiply = mul
divide = true_divide = div
arctan2 = atan2
clip = clamp


# ---- in place, where no step between can be seen ----


def _change_directly(name: str, op: Op) -> None:
    """Let a method write over its tensor, if the other operand does not widen it."""
    general = getattr(Tensor, f"{name}_")

    @functools.wraps(general)
    def changed(self: Tensor, other: Any, **options: Any) -> Tensor:
        if options:
            found = _add_scaled(name, self, other, options)
            return general(self, other, **options) if found is None else found
        x, y = operands(name, self, other)
        if x is not self or (name == "div" and x.dtype.category != FLOATING):
            return general(self, other)
        return overwrite(f"{name}_", op, x, y)

    setattr(Tensor, f"{name}_", changed)
    setattr(Tensor, f"__i{_OPERATORS.get(name, name)}__", changed)


_OPERATORS = {"div": "truediv"}


def _clamp_directly() -> None:
    """Let `clamp_` write over its tensor, if that is of floats and the bounds are such."""
    general = Tensor.clamp_  # type: ignore[attr-defined]

    @functools.wraps(general)
    def changed(self: Tensor, min: Any = None, max: Any = None) -> Tensor:
        low, high = -np.inf if min is None else min, np.inf if max is None else max
        if not (_is_floating(self) and _is_bound(low) and _is_bound(high)):
            return general(self, min, max)
        if min is None and max is None:
            return general(self)  # which says that one must be given
        attrs = {"min": float(low), "max": float(high)}
        return overwrite("clamp_", ACTIVATIONS["clamp"], self, **attrs)

    Tensor.clamp_ = Tensor.clip_ = changed  # type: ignore[attr-defined]


def _is_bound(value: Any) -> bool:
    """Whether a number of Python bounds floats: NaN does something else."""
    if type(value) is float:
        return value == value
    return type(value) is int and abs(value) < 2**53


def _add_scaled(name: str, x: Tensor, other: Any, options: Any) -> Tensor | None:
    """x.add_(other, alpha=...) as one kernel over x; None where it takes more."""
    alpha = options.get("alpha")
    if name not in ("add", "sub") or len(options) > 1:
        return None
    if type(alpha) is not float and type(alpha) is not int:
        return None
    first, second = operands(name, x, other)
    if first is not x or x._array.dtype.category != FLOATING or alpha == 1:
        return None
    scale = alpha if name == "add" else -alpha
    return overwrite(f"{name}_", ops.ADD_SCALED, x, second, alpha=scale)


# ---- operators ----

_OPERANDS = (Tensor, bool, int, float, np.generic, np.ndarray)
# found at once, where a look through the others takes as long as a small kernel
_USUAL = frozenset((Tensor, float, int))


def operator(name: str, function: Callable[..., Any], reflected: bool = False) -> None:
    """Let an operator of Tensor call `function`; other types may answer themselves."""

    def forwards(self: Tensor, other: Any) -> Any:
        if type(other) in _USUAL or isinstance(other, _OPERANDS):
            return function(self, other)
        return NotImplemented

    def backwards(self: Tensor, other: Any) -> Any:
        if type(other) in _USUAL or isinstance(other, _OPERANDS):
            return function(other, self)
        return NotImplemented

    chosen = backwards if reflected else forwards
    chosen.__name__ = name
    setattr(Tensor, name, chosen)


for _name, _function in {
    "add": add,
    "sub": sub,
    "mul": mul,
    "truediv": div,
    "floordiv": floor_divide,
    "mod": remainder,
    "pow": pow,
    "and": bitwise_and,
    "or": bitwise_or,
    "xor": bitwise_xor,
    "lshift": bitwise_left_shift,
    "rshift": bitwise_right_shift,
}.items():
    operator(f"__{_name}__", _function)
    operator(f"__r{_name}__", _function, reflected=True)
    operator(f"__i{_name}__", inplace(_function))
for _name, _op in {
    "add": ops.ADD,
    "sub": ops.SUB,
    "mul": ops.MUL,
    "div": ops.DIV,
}.items():
    _change_directly(_name, _op)
_clamp_directly()
