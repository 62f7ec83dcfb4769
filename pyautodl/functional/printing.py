"""How a tensor prints: as PyTorch's, long ones with their middle left out."""

from __future__ import annotations

from typing import Any

import numpy as np

from pyautodl.backends.dtypes import bool_, int64
from pyautodl.tensor import Tensor, get_default_dtype

__all__ = ["format_tensor", "set_printoptions"]

_OPTIONS: dict[str, Any] = {
    "precision": 4,
    "threshold": 1000,
    "edgeitems": 3,
    "linewidth": 80,
    "sci_mode": None,
}


def set_printoptions(**options: Any) -> None:
    """Change how tensors print: precision, threshold, edgeitems, linewidth, sci_mode.

    Raises:
        TypeError: an option of another name.

    Example:
        >>> import pyautodl as ad
        >>> ad.set_printoptions(precision=4)
    """
    unknown = sorted(set(options) - set(_OPTIONS))
    if unknown:
        raise TypeError(
            f"set_printoptions: unknown {unknown}; choose of {list(_OPTIONS)}"
        )
    _OPTIONS.update(options)


def format_tensor(tensor: Tensor) -> str:
    """The text of a tensor."""
    head = "Parameter containing:\n" if type(tensor).__name__ == "Parameter" else ""
    text = _values(tensor._array.numpy())
    suffix = ""
    if tensor._array.size == 0 and tensor.ndim != 1:
        suffix += f", size={tuple(tensor.shape)}"
    if tensor.dtype not in (get_default_dtype(), int64, bool_):
        suffix += f", dtype={tensor.dtype!r}"
    if tensor.grad_fn is not None:
        suffix += f", grad_fn={tensor.grad_fn!r}"
    elif tensor.requires_grad:
        suffix += ", requires_grad=True"
    return f"{head}tensor({text}{suffix})"


def _values(values: np.ndarray[Any, Any]) -> str:
    if values.size == 0:
        return "[]"
    shown = _shown(values)
    if values.dtype.kind == "f":
        formatter = _float_formatter(shown)
    else:
        width = max(len(str(each)) for each in shown.ravel().tolist())

        def formatter(value: Any) -> str:
            return str(value).rjust(width)

    return np.array2string(
        values,
        separator=", ",
        prefix="tensor(",
        threshold=_OPTIONS["threshold"],
        edgeitems=_OPTIONS["edgeitems"],
        max_line_width=_OPTIONS["linewidth"],
        formatter={"all": formatter},
    )


def _shown(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The elements that print when the middle is left out."""
    if values.size <= _OPTIONS["threshold"]:
        return values
    edge = _OPTIONS["edgeitems"]
    for axis, size in enumerate(values.shape):
        if size > 2 * edge:
            keep = np.r_[0:edge, size - edge : size]
            values = np.take(values, keep, axis)
    return values


def _float_formatter(shown: np.ndarray[Any, Any]) -> Any:
    finite = shown[np.isfinite(shown)].astype(np.float64)
    digits = _OPTIONS["precision"]
    size = np.abs(finite[finite != 0])
    whole = bool(np.all(finite == np.round(finite)))
    wide = size.size and (size.max() >= 1e8 or size.max() / size.min() > 1e3)
    tiny = size.size and size.min() < 1e-4
    scientific = _OPTIONS["sci_mode"]
    if scientific is None:
        scientific = bool(size.size and (size.max() >= 1e8 if whole else wide or tiny))

    def plain(value: Any) -> str:
        if not np.isfinite(value):
            return str(float(value))
        if scientific:
            return f"{value:.{digits}e}"
        return f"{value:.0f}." if whole else f"{value:.{digits}f}"

    width = max(len(plain(each)) for each in shown.ravel())

    def aligned(value: Any) -> str:
        return plain(value).rjust(width)

    return aligned
