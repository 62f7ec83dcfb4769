"""`explained`: what is wrong with an argument, in the words of the function's user."""

from __future__ import annotations

import functools
import os
import struct
import types
from collections.abc import Callable, Iterable, Sequence
from inspect import Parameter, signature
from numbers import Number
from types import FunctionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

import numpy as np

from pyautodl.errors import PyautodlError, describe, tensor_fix
from pyautodl.tensor.core import Tensor

__all__ = ["ExplainedError", "NamedConstructor", "explained", "not_tensor"]

Function = TypeVar("Function", bound=Callable[..., Any])

# what a function meets that works with an argument of a wrong kind
_FAILURES = (
    PyautodlError,
    AttributeError,
    IndexError,
    KeyError,
    NotImplementedError,
    OverflowError,
    TypeError,
    ValueError,
    struct.error,
)
# what a function does with a tensor in the place of a number or a choice
_CONVERSIONS = ("bool", "index", "item")
# this library's files and NumPy's, and Python's
_HOMES = (
    os.path.join(os.path.dirname(os.path.dirname(__file__)), ""),
    os.path.join(os.path.dirname(np.__file__), ""),
)
_PYTHON = os.path.join(os.path.dirname(os.__file__), "")
# where what users install stands among the latter
_INSTALLED = (f"{_PYTHON}site-packages", f"{_PYTHON}dist-packages")
_WORDS = {
    Tensor: "a tensor",
    float: "a number",
    int: "an int",
    bool: "True or False",
    str: "a str",
    type(None): "None",
}


class ExplainedError(TypeError):
    """That of a function inside; the one that was called explains it anew."""


# as it shows in a traceback
ExplainedError.__name__ = ExplainedError.__qualname__ = "TypeError"
ExplainedError.__module__ = "builtins"


def not_tensor(name: str, value: Any, what: str = "input") -> TypeError:
    """The error for the argument `what` of `name` that is no tensor."""
    return TypeError(
        f"{name}: {what} must be a tensor, got {type(value).__name__}; likely fix: "
        f"{tensor_fix(value)}"
    )


def explained(function: Function) -> Function:
    """The function, whose failures over an argument of a wrong kind name both.

    What an argument may be is read from its annotation, once a call has failed: one that
    succeeds costs a call more, about 0.05 us. Where the arguments fit, or the function has
    given its own reasons, the error stays; what an operation inside says gets the name of
    the function that was called.
    """

    @functools.wraps(function)
    def checked(*args: Any, **kwargs: Any) -> Any:
        try:
            # without names they need not be put together anew
            return function(*args, **kwargs) if kwargs else function(*args)
        except _FAILURES as error:
            explanation = _explanation(function, args, kwargs, error)
            if explanation is None:
                _name_called(function, args, error)
                raise
            raise explanation from error

    return checked  # type: ignore[return-value]


class NamedConstructor:
    """Gives the classes of this library that share their base's constructor their own.

    Python names a constructor by the class that defines it, in what it says of a missing
    or an unknown argument: `_Conv.__init__()` where `Conv2d(3, 8)` was called. Classes of
    users keep what they inherit, whose base may be given another later.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        shared = cls.__init__
        ours = cls.__module__.startswith(f"{__name__.partition('.')[0]}.")
        if ours and "__init__" not in vars(cls) and isinstance(shared, FunctionType):
            cls.__init__ = _renamed(shared, f"{cls.__qualname__}.__init__")  # type: ignore[method-assign]


def _renamed(function: FunctionType, name: str) -> FunctionType:
    copied = FunctionType(
        function.__code__,
        function.__globals__,
        function.__name__,
        function.__defaults__,
        function.__closure__,
    )
    copied.__kwdefaults__ = function.__kwdefaults__
    copied.__annotations__ = function.__annotations__
    copied.__doc__ = function.__doc__
    copied.__module__ = function.__module__
    copied.__qualname__ = name
    return copied


def _explanation(
    function: Callable[..., Any], args: Any, kwargs: Any, error: Exception
) -> ExplainedError | None:
    if not isinstance(error, ExplainedError) and _says_why(error):
        return None
    name = _title(function, args)
    try:
        given = signature(function).bind(*args, **kwargs)
    except TypeError:
        return None  # Python's own message names the function and the argument
    hints = _hints(function)
    kinds = signature(function).parameters
    for what, value in given.arguments.items():
        many = kinds[what].kind is Parameter.VAR_POSITIONAL
        for each in value if many else (value,):
            if kinds[what].kind is not Parameter.VAR_KEYWORD and what in hints:
                wrong = _misfit(each, hints[what])
                if wrong is not None:
                    return ExplainedError(f"{name}: {what} must be {wrong}")
    if isinstance(error, ExplainedError) or not _is_ours(error):
        return None
    shown = ", ".join(f"{what}={describe(v)}" for what, v in given.arguments.items())
    return ExplainedError(f"{name}: can't work with {shown}: {error}")


def _says_why(error: Exception) -> bool:
    """Whether an error was raised on purpose, mostly with the operation's name first."""
    begin, colon, _ = str(error).partition(": ")
    if begin in _CONVERSIONS and not isinstance(error, IndexError):
        return False
    named = bool(colon) and begin.replace(".", "_").isidentifier()
    return named or isinstance(error, PyautodlError)


def _title(function: Callable[..., Any], args: Sequence[Any]) -> str:
    """What the user calls: of a constructor the class."""
    name = function.__name__
    if name == "__init__":
        return type(args[0]).__name__
    if name.startswith("__"):
        return name
    return name.lstrip("_").removesuffix("_method")  # as methods beside functions are


def _name_called(
    function: Callable[..., Any], args: Sequence[Any], error: Exception
) -> None:
    """Begin the message of an operation inside with the function that was called.

    The operation's own name stays behind it, but where the message speaks of an argument
    that the function has, too. Of several functions around the operation the outermost
    counts.
    """
    reason = getattr(error, "_reason", None) or (error.args or [None])[0]
    if type(reason) is not str or getattr(error, "_layer_named", False):
        return
    if not _says_why(error) or not _is_ours(error):
        return
    inside, _, text = reason.partition(": ")
    name = _title(function, args)
    error._reason = reason  # type: ignore[attr-defined]
    if inside.rpartition(".")[2].strip("_") == name.strip("_"):
        shown = reason
    elif _singular(text.split()[:2]) & _singular(signature(function).parameters):
        shown = f"{name}: {text}"
    else:
        shown = f"{name}: {reason}"
    error.args = (shown, *error.args[1:])


def _singular(words: Iterable[str]) -> set[str]:
    return {word.rstrip("s") for word in words}


def _is_ours(error: Exception) -> bool:
    """Whether an error comes from here, not from a function that the user handed in."""
    trace = error.__traceback__
    while trace is not None:
        path = trace.tb_frame.f_code.co_filename
        if not path.startswith(_HOMES) and (
            not path.startswith(_PYTHON) or path.startswith(_INSTALLED)
        ):
            return False
        trace = trace.tb_next
    return True


@functools.cache
def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    try:
        return get_type_hints(function)
    except NameError:  # a name that only type checkers import
        return {}


def _misfit(value: Any, hint: Any) -> str | None:
    """What an argument must be and what it is, None if it may be what the hint says."""
    if _fits(value, hint):
        return None
    wanted = _wanted(hint)
    if wanted is None:
        return None
    fix = ""
    if "a tensor" in wanted and not isinstance(value, str):
        fix = f"; likely fix: {tensor_fix(value)}"
    elif isinstance(value, float) and "an int" in wanted:
        fix = "; likely fix: // in place of /, or int(...)"
    elif isinstance(value, Tensor) and "tensor" not in wanted and value.numel() == 1:
        fix = "; likely fix: .item()"
    return f"{wanted}, got {_shown(value)}{fix}"


def _shown(value: Any) -> str:
    """A value by its type too, where its text does not tell."""
    if isinstance(value, (Tensor, np.ndarray, list, tuple, Number, str, type(None))):
        return describe(value)
    return f"{type(value).__name__} {describe(value)}"


def _fits(value: Any, hint: Any) -> bool:
    origin = get_origin(hint)
    if hint is Any:
        return True
    if origin in (Union, types.UnionType):
        return any(_fits(value, each) for each in get_args(hint))
    if hint is float:
        return isinstance(value, (int, float, np.number)) or _is_one(value)
    if hint is int:
        return hasattr(value, "__index__") and (_is_one(value) or not _has_axes(value))
    if hint is bool:
        return isinstance(value, (bool, int, np.bool_))
    if hint is None or hint is type(None):
        return value is None
    if origin in (tuple, list, Sequence):
        inner = [each for each in get_args(hint) if each is not Ellipsis]
        sequence = isinstance(value, (Sequence, np.ndarray)) and type(value) is not str
        return sequence and all(
            any(_fits(each, kind) for kind in inner) for each in value
        )
    if origin is Callable:
        return callable(value)
    return not isinstance(hint, type) or hint is object or isinstance(value, hint)


def _has_axes(value: Any) -> bool:
    return bool(getattr(value, "shape", ()))


def _is_one(value: Any) -> bool:
    """Whether it is a tensor or an array of one element."""
    return isinstance(value, (Tensor, np.ndarray)) and value.shape in ((), (1,))


def _wanted(hint: Any) -> str | None:
    """The words for what fits a hint, None if there are none."""
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        words = [_wanted(each) for each in get_args(hint)]
        return " or ".join(dict.fromkeys(filter(None, words))) if all(words) else None
    if origin in (tuple, list, Sequence):
        inner = [each for each in get_args(hint) if each is not Ellipsis]
        many = {Tensor: "tensors", int: "ints", float: "numbers", str: "strs"}
        kinds = [many[each] for each in inner if each in many]
        return (
            f"a list or tuple of {' or '.join(kinds)}" if kinds else "a list or tuple"
        )
    if origin is Callable:
        return "a function"
    if hint is None:
        return "None"
    if hint in _WORDS:
        return _WORDS[hint]
    return f"a {hint.__name__}" if isinstance(hint, type) else None
