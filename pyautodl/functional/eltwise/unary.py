"""Mathematical functions of each element."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pyautodl.backends.dtypes import FLOATING
from pyautodl.ops.eltwise.unary import MATH, NAN_TO_NUM, TESTS
from pyautodl.ops.integers import integer
from pyautodl.ops.record import Op
from pyautodl.tensor import (
    Tensor,
    apply,
    call,
    explained,
    get_default_dtype,
    method,
    not_tensor,
    overwrite,
)

__all__ = [
    "abs",
    "absolute",
    "acos",
    "acosh",
    "arccos",
    "arccosh",
    "arcsin",
    "arcsinh",
    "arctan",
    "arctanh",
    "asin",
    "asinh",
    "atan",
    "atanh",
    "bitwise_not",
    "ceil",
    "cos",
    "cosh",
    "erf",
    "erfc",
    "exp",
    "exp2",
    "expm1",
    "fix",
    "floor",
    "frac",
    "isfinite",
    "isinf",
    "isnan",
    "log",
    "log1p",
    "log2",
    "log10",
    "logical_not",
    "nan_to_num",
    "neg",
    "negative",
    "positive",
    "reciprocal",
    "round",
    "rsqrt",
    "sgn",
    "sigmoid",
    "sign",
    "sin",
    "sinh",
    "sqrt",
    "square",
    "tan",
    "tanh",
    "trunc",
]


def check_tensor(name: str, value: Any, what: str = "input") -> Tensor:
    """An argument, which must be a tensor."""
    if not isinstance(value, Tensor):
        raise not_tensor(name, value, what)
    return value


def as_floating(name: str, input: Any) -> Tensor:
    """The input; integers and bools as the default floating type."""
    x = check_tensor(name, input)
    if x._array.dtype.category == FLOATING:
        return x
    result: Tensor = call("cast", x, dtype=get_default_dtype())
    return result


_TEXT = """Return {what} of each element.

    Args:
        input: a tensor{kinds}.

    Raises:
        TypeError: the input is no tensor{more}.

    Example:
        >>> import pyautodl as ad
        >>> {module}.{name}(ad.tensor({given}))
        {shown}
    """


def define_function(
    name: str,
    what: str,
    given: str,
    shown: str,
    *aliases: str,
    kind: str = "float",
    op: Op | None = None,
    module: str = "ad",
) -> Callable[[Tensor], Tensor]:
    """A documented function and its methods.

    Args:
        name: of the function and the op.
        what: the function returns, for its documentation.
        given: the argument of the example, `shown` its result.
        *aliases: other names of the methods.
        kind: "float": integers become floats; "whole": integers stay as they are, the
            function changes nothing of them; "number": the op takes them.
        op: its record, if it is none of MATH.
        module: where the function stands; methods are made of those in "ad" alone.
    """
    op = op or MATH[name]

    def function(input: Tensor) -> Tensor:
        if type(input) is not Tensor or input._array.dtype.category != FLOATING:
            if kind == "float":
                input = as_floating(name, input)
            elif check_tensor(name, input)._array.dtype.category != FLOATING:
                if kind == "whole":
                    return call("copy", input)
        return apply(op, input)

    kinds = "; integers become floats" if kind == "float" else ""
    more = ", or of bool" if kind == "number" else ""
    function.__doc__ = _TEXT.format(
        what=what,
        kinds=kinds,
        more=more,
        name=name,
        given=given,
        shown=shown,
        module=module,
    )
    function.__name__ = function.__qualname__ = name
    if module != "ad":
        return function

    def changed(self: Tensor) -> Tensor:
        if kind != "number" and self._array.dtype.category != FLOATING:
            return self._assign(f"{name}_", function(self))
        return overwrite(f"{name}_", op, self)

    changed.__name__ = changed.__qualname__ = f"{name}_"
    changed.__doc__ = f"Apply `{name}` in place, with its arguments; return the tensor."
    for each in (name, *aliases):
        setattr(Tensor, each, function)
        setattr(Tensor, f"{each}_", changed)
    return function


abs = absolute = define_function(
    "abs",
    "the size",
    "[-1.5, 2]",
    "tensor([1.5000, 2.0000])",
    "absolute",
    kind="number",
)
neg = negative = define_function(
    "neg", "the negative", "[1, -2]", "tensor([-1,  2])", "negative", kind="number"
)
sign = sgn = define_function(
    "sign",
    "1, 0 or -1 as the sign",
    "[3.0, 0.0, -2.0]",
    "tensor([ 1.,  0., -1.])",
    "sgn",
    kind="number",
)
square = define_function(
    "square", "the square", "[-3, 2]", "tensor([9, 4])", kind="number"
)
floor = define_function(
    "floor",
    "the largest whole number not above",
    "[1.5, -1.5]",
    "tensor([ 1., -2.])",
    kind="whole",
)
ceil = define_function(
    "ceil",
    "the smallest whole number not below",
    "[1.5, -1.5]",
    "tensor([ 2., -1.])",
    kind="whole",
)
trunc = fix = define_function(
    "trunc",
    "the whole part",
    "[1.5, -1.5]",
    "tensor([ 1., -1.])",
    "fix",
    kind="whole",
)
frac = define_function(
    "frac", "the part after the point", "[1.5, -1.25]", "tensor([ 0.5000, -0.2500])"
)
sqrt = define_function("sqrt", "the square root", "[4.0, 9.0]", "tensor([2., 3.])")
rsqrt = define_function("rsqrt", "1 over the square root", "[4.0]", "tensor([0.5000])")
reciprocal = define_function(
    "reciprocal", "1 over the value", "[4.0]", "tensor([0.2500])"
)
exp = define_function("exp", "e to the power", "[0.0, 1.0]", "tensor([1.0000, 2.7183])")
exp2 = define_function("exp2", "2 to the power", "[3.0]", "tensor([8.])")
expm1 = define_function(
    "expm1", "exp(x) - 1, accurate near 0,", "[1e-9]", "tensor([1.0000e-09])"
)
log = define_function(
    "log", "the natural logarithm", "[1.0, 10.0]", "tensor([0.0000, 2.3026])"
)
log1p = define_function(
    "log1p", "log(1 + x), accurate near 0,", "[1e-9]", "tensor([1.0000e-09])"
)
log2 = define_function("log2", "the logarithm to base 2", "[8.0]", "tensor([3.])")
log10 = define_function("log10", "the logarithm to base 10", "[1000.0]", "tensor([3.])")
sin = define_function("sin", "the sine", "[1.0]", "tensor([0.8415])")
cos = define_function("cos", "the cosine", "[1.0]", "tensor([0.5403])")
tan = define_function("tan", "the tangent", "[1.0]", "tensor([1.5574])")
asin = arcsin = define_function(
    "asin", "the arc sine", "[1.0]", "tensor([1.5708])", "arcsin"
)
acos = arccos = define_function(
    "acos", "the arc cosine", "[0.0]", "tensor([1.5708])", "arccos"
)
atan = arctan = define_function(
    "atan", "the arc tangent", "[1.0]", "tensor([0.7854])", "arctan"
)
sinh = define_function("sinh", "the hyperbolic sine", "[1.0]", "tensor([1.1752])")
cosh = define_function("cosh", "the hyperbolic cosine", "[1.0]", "tensor([1.5431])")
tanh = define_function("tanh", "the hyperbolic tangent", "[1.0]", "tensor([0.7616])")
asinh = arcsinh = define_function(
    "asinh", "the inverse hyperbolic sine", "[1.0]", "tensor([0.8814])", "arcsinh"
)
acosh = arccosh = define_function(
    "acosh", "the inverse hyperbolic cosine", "[2.0]", "tensor([1.3170])", "arccosh"
)
atanh = arctanh = define_function(
    "atanh", "the inverse hyperbolic tangent", "[0.5]", "tensor([0.5493])", "arctanh"
)
sigmoid = define_function(
    "sigmoid", "1 / (1 + exp(-x))", "[0.0, 2.0]", "tensor([0.5000, 0.8808])"
)
erf = define_function("erf", "the error function", "[0.5]", "tensor([0.5205])")
erfc = define_function(
    "erfc", "1 - erf(x), accurate where it is small,", "[9.0]", "tensor([4.1370e-37])"
)


@method(inplace=True)
def round(input: Tensor, *, decimals: int = 0) -> Tensor:
    """Round each element to the nearest whole number, halves to even.

    Args:
        input: a tensor; integers stay as they are.
        decimals: how many digits after the point to keep; may be negative.

    Raises:
        TypeError: the input is no tensor.

    Example:
        >>> import pyautodl as ad
        >>> ad.round(ad.tensor([0.5, 1.5, 2.4]))
        tensor([0., 2., 2.])
    """
    if check_tensor("round", input)._array.dtype.category != FLOATING:
        return call("copy", input)
    decimals = integer("round", "decimals", decimals)
    if decimals == 0:
        return apply(MATH["round"], input)
    scale = 10.0**decimals
    scaled = apply(MATH["round"], call("mul", input, scale))
    return call("div", scaled, scale)


@method
def positive(input: Tensor) -> Tensor:
    """Return the tensor itself, as `+input`.

    Args:
        input: a tensor of numbers.

    Raises:
        TypeError: it is a bool tensor.

    Example:
        >>> import pyautodl as ad
        >>> ad.positive(ad.tensor([1, -2]))
        tensor([ 1, -2])
    """
    if check_tensor("positive", input).dtype.name == "bool":
        raise TypeError("positive: expected a tensor of numbers, got bool")
    return input


@method(inplace=True)
@explained
def nan_to_num(
    input: Tensor,
    nan: float = 0.0,
    posinf: float | None = None,
    neginf: float | None = None,
) -> Tensor:
    """Replace NaN and infinities.

    Args:
        input: a tensor; integers stay as they are.
        nan: what stands for NaN.
        posinf: for infinity; default the largest number of the element type.
        neginf: for -infinity; default the smallest.

    Raises:
        TypeError: the input is no tensor.

    Example:
        >>> import pyautodl as ad
        >>> ad.nan_to_num(ad.tensor([float("nan"), 1.0]))
        tensor([0., 1.])
    """
    if check_tensor("nan_to_num", input)._array.dtype.category != FLOATING:
        return call("copy", input)
    largest = _largest(input)
    return apply(
        NAN_TO_NUM,
        input,
        nan=float(nan),
        posinf=largest if posinf is None else float(posinf),
        neginf=-largest if neginf is None else float(neginf),
    )


def _largest(x: Tensor) -> float:
    return 3.4028234663852886e38 if x.itemsize == 4 else 1.7976931348623157e308


# ---- tests of each element ----


@method
def isnan(input: Tensor) -> Tensor:
    """Return whether each element is NaN.

    Args:
        input: a tensor.

    Raises:
        TypeError: the input is no tensor.

    Example:
        >>> import pyautodl as ad
        >>> ad.isnan(ad.tensor([1.0, float("nan")]))
        tensor([False,  True])
    """
    return _test("isnan", input)


@method
def isinf(input: Tensor) -> Tensor:
    """Return whether each element is infinity or -infinity.

    Args:
        input: a tensor.

    Raises:
        TypeError: the input is no tensor.

    Example:
        >>> import pyautodl as ad
        >>> ad.isinf(ad.tensor([1.0, -float("inf")]))
        tensor([False,  True])
    """
    return _test("isinf", input)


@method
def isfinite(input: Tensor) -> Tensor:
    """Return whether each element is neither NaN nor infinite.

    Args:
        input: a tensor.

    Raises:
        TypeError: the input is no tensor.

    Example:
        >>> import pyautodl as ad
        >>> ad.isfinite(ad.tensor([1.0, float("nan")]))
        tensor([ True, False])
    """
    return _test("isfinite", input)


def _test(name: str, input: Tensor) -> Tensor:
    """Of integers, all are finite: x == x is what they are, x != x what they are not."""
    if check_tensor(name, input)._array.dtype.category == FLOATING:
        return apply(TESTS[name], input)
    return call("eq" if name == "isfinite" else "ne", input, input)


@method(inplace=True)
def logical_not(input: Tensor) -> Tensor:
    """Return whether each element is 0 or False.

    Args:
        input: a tensor of any element type.

    Raises:
        TypeError: the input is no tensor.

    Example:
        >>> import pyautodl as ad
        >>> ad.logical_not(ad.tensor([0, 2]))
        tensor([ True, False])
    """
    return apply(TESTS["logical_not"], check_tensor("logical_not", input))


@method("bitwise_not", inplace=True)
def bitwise_not(input: Tensor) -> Tensor:
    """Flip every bit of integers, or turn bools around; also `~input`.

    Args:
        input: an integer or bool tensor.

    Raises:
        DTypeError: the tensor is floating.

    Example:
        >>> import pyautodl as ad
        >>> ad.bitwise_not(ad.tensor([True, False]))
        tensor([False,  True])
    """
    return apply(TESTS["bitwise_not"], check_tensor("bitwise_not", input))


method("__abs__")(abs)
method("__neg__")(neg)
method("__pos__")(positive)
method("__invert__")(bitwise_not)


@method
def __round__(self: Tensor, ndigits: int = 0) -> Tensor:
    """What Python's `round` gives."""
    return round(self, decimals=ndigits)
