"""How a tensor prints: as PyTorch's, long ones with their middle left out."""

from __future__ import annotations

import math
from collections.abc import Callable
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


# what a profile of `set_printoptions` sets
_PROFILES: dict[str, dict[str, Any]] = {
    "default": {"precision": 4, "threshold": 1000, "edgeitems": 3, "linewidth": 80},
    "short": {"precision": 2, "threshold": 1000, "edgeitems": 2, "linewidth": 80},
    "full": {"precision": 4, "threshold": math.inf, "edgeitems": 3, "linewidth": 80},
}
_HEAD = "tensor("


def set_printoptions(
    precision: int | None = None,
    threshold: float | None = None,
    edgeitems: int | None = None,
    linewidth: int | None = None,
    profile: str | None = None,
    sci_mode: bool | None = None,
) -> None:
    """Change how tensors print; what is None stays, except `sci_mode`.

    Args:
        precision: digits after the point.
        threshold: of more elements the middle is left out.
        edgeitems: how many are shown at both ends then.
        linewidth: characters in a line.
        profile: 'default', 'short' or 'full', taken before the other arguments.
        sci_mode: whether floats print with an exponent; None decides by their sizes.

    Raises:
        ValueError: a profile of another name.

    Example:
        >>> import pyautodl as ad
        >>> ad.set_printoptions(precision=2)
        >>> ad.tensor([1.2345])
        tensor([1.23])
        >>> ad.set_printoptions(profile="default")
    """
    if profile is not None:
        if profile not in _PROFILES:
            raise ValueError(
                f"set_printoptions: profile must be one of {sorted(_PROFILES)}, got "
                f"{profile!r}"
            )
        _OPTIONS.update(_PROFILES[profile])
    given = {
        "precision": precision,
        "threshold": threshold,
        "edgeitems": edgeitems,
        "linewidth": linewidth,
    }
    _OPTIONS.update({key: value for key, value in given.items() if value is not None})
    _OPTIONS["sci_mode"] = sci_mode


def format_tensor(tensor: Tensor) -> str:
    """The text of a tensor."""
    head = "Parameter containing:\n" if type(tensor).__name__ == "Parameter" else ""
    text = _values(tensor._array.numpy())
    notes = []
    empty = tensor._array.size == 0
    if empty and tensor.ndim != 1:
        notes.append(f"size={tuple(tensor.shape)}")
    default = get_default_dtype()
    if tensor.dtype is not default and (empty or tensor.dtype not in (int64, bool_)):
        notes.append(f"dtype={tensor.dtype!r}")
    if tensor.grad_fn is not None:
        notes.append(f"grad_fn={tensor.grad_fn!r}")
    elif tensor.requires_grad:
        notes.append("requires_grad=True")
    return f"{head}{_joined(_HEAD + text, notes)})"


def _joined(text: str, notes: list[str]) -> str:
    """The notes behind the values, in a new line where the last one is full."""
    width = len(text) - text.rfind("\n") - 1
    for note in notes:
        if width + len(note) + 2 > _OPTIONS["linewidth"]:
            text += f",\n{' ' * len(_HEAD)}{note}"
            width = len(_HEAD) + len(note)
        else:
            text += f", {note}"
            width += len(note) + 2
    return text


def _values(values: np.ndarray[Any, Any]) -> str:
    if values.size == 0:
        return "[]"
    shortened = values.size > _OPTIONS["threshold"]
    shown = _shown(values) if shortened else values
    plain = _plain_floats(shown) if values.dtype.kind == "f" else str
    width = max(map(len, map(plain, shown.ravel().tolist())))
    return _block(values, len(_HEAD), shortened, lambda each: plain(each).rjust(width))


def _block(
    values: np.ndarray[Any, Any], indent: int, shortened: bool, text: Callable[..., str]
) -> str:
    """An array in brackets, its rows below one another."""
    if values.ndim == 0:
        return text(values.item())
    edge = _OPTIONS["edgeitems"]
    left_out = shortened and len(values) > 2 * edge
    ends = [values[:edge], values[len(values) - edge :]] if left_out else [values]
    if values.ndim > 1:
        parts = [[_block(row, indent + 1, shortened, text) for row in e] for e in ends]
        between = "," + "\n" * (values.ndim - 1) + " " * (indent + 1)
        rows = parts[0] + ["..."] + parts[1] if left_out else parts[0]
        return f"[{between.join(rows)}]"
    parts = [[text(each) for each in end.tolist()] for end in ends]
    words = parts[0] + [" ..."] + parts[1] if left_out else parts[0]
    room = (_OPTIONS["linewidth"] - indent) // (len(words[0]) + 2)
    step = max(room, 1)
    lines = [", ".join(words[i : i + step]) for i in range(0, len(words), step)]
    return f"[{(',' + chr(10) + ' ' * (indent + 1)).join(lines)}]"


def _shown(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The elements that print when the middle is left out."""
    edge = _OPTIONS["edgeitems"]
    for axis, size in enumerate(values.shape):
        if size > 2 * edge:
            keep = np.r_[0:edge, size - edge : size]
            values = np.take(values, keep, axis)
    return values


def _plain_floats(shown: np.ndarray[Any, Any]) -> Callable[[float], str]:
    """How floats print, by all that are shown."""
    finite = shown[np.isfinite(shown)].astype(np.float64)
    digits = _OPTIONS["precision"]
    size = np.abs(finite[finite != 0])
    whole = bool(np.all(finite == np.round(finite)))
    scientific = _OPTIONS["sci_mode"]
    if scientific is None:
        scientific = _needs_exponents(size, whole)

    def plain(value: float) -> str:
        if not math.isfinite(value):
            return str(value)
        if scientific:
            return f"{value:.{digits}e}"
        return f"{value:.0f}." if whole else f"{value:.{digits}f}"

    return plain


def _needs_exponents(size: np.ndarray[Any, Any], whole: bool) -> bool:
    if not size.size:
        return False
    least, greatest = size.min(), size.max()
    wide = greatest > 1e8 or greatest > 1e3 * least
    return bool(wide or (not whole and least < 1e-4))
