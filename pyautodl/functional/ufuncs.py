"""NumPy's element-wise functions of tensors: `np.exp(x)`, `array * x`, `array += x`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from pyautodl.functional import eltwise
from pyautodl.functional.creation import from_numpy
from pyautodl.functional.derived import logaddexp
from pyautodl.functional.matmul import matmul
from pyautodl.tensor import BOUND, Tensor, operands

__all__: list[str] = []

# by NumPy's name, where ours is another
_RENAMED = {
    "absolute": "abs",
    "divide": "div",
    "equal": "eq",
    "greater": "gt",
    "greater_equal": "ge",
    "invert": "bitwise_not",
    "left_shift": "bitwise_left_shift",
    "less": "lt",
    "less_equal": "le",
    "multiply": "mul",
    "negative": "neg",
    "not_equal": "ne",
    "power": "pow",
    "right_shift": "bitwise_right_shift",
    "rint": "round",
    "subtract": "sub",
}


def _matmul(left: Any, right: Any) -> Tensor:
    return matmul(*operands("matmul", left, right))


_FUNCTIONS: dict[str, Callable[..., Tensor]] = {
    "matmul": _matmul,
    "logaddexp": logaddexp,
    **{name: getattr(eltwise, name) for name in eltwise.__all__ if name in vars(np)},
    **{name: getattr(eltwise, own) for name, own in _RENAMED.items()},
}


def _ufunc(ufunc: np.ufunc, method: str, inputs: Any, kwargs: dict[str, Any]) -> Any:
    """What NumPy asks for: our function of the name, that gradients pass, if there is one
    and it is called plainly; else NumPy's, whose arrays become tensors.

    Raises:
        GradError: NumPy's function would lose the gradient.
        TypeError: the result is to be written into a tensor.
    """
    ours = None if kwargs or method != "__call__" else _FUNCTIONS.get(ufunc.__name__)
    if ours is not None:
        return ours(*inputs)
    out = kwargs.get("out", ())
    if any(isinstance(each, Tensor) for each in out):
        raise TypeError(
            f"{ufunc.__name__}: NumPy can't write into a tensor; likely fix: "
            "out=x.numpy(), or the method of the name with an underscore"
        )
    arrays = [x.numpy() if isinstance(x, Tensor) else x for x in inputs]
    result = getattr(ufunc, method)(*arrays, **kwargs)
    if out:
        return result
    many = result if isinstance(result, tuple) else (result,)
    tensors = tuple(from_numpy(np.asarray(each)) for each in many)
    return tensors if isinstance(result, tuple) else tensors[0]


BOUND["ufunc"] = _ufunc
