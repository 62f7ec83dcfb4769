"""Batches of views and of ops that move elements: the batch's axis stays the first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pyautodl.ops.batching.operands import Operand, folded_all, unfolded

__all__ = [
    "copied",
    "diagonal",
    "expanded",
    "padded",
    "permuted",
    "reshaped",
    "scattered",
    "sliced",
    "summed_to",
]

Attrs = Mapping[str, Any]


def reshaped(call: Any, name: str, xs: Sequence[Operand], attrs: Attrs) -> Any:
    """A shape is one of a sample."""
    return call(name, xs[0].value, shape=(xs[0].size, *attrs["shape"]))


def permuted(call: Any, name: str, xs: Sequence[Operand], attrs: Attrs) -> Any:
    """The order of a sample's axes."""
    ndim = len(xs[0].shape)
    dims = (0, *[each % ndim + 1 for each in attrs["dims"]])
    return call(name, xs[0].value, dims=dims)


def expanded(call: Any, name: str, xs: Sequence[Operand], attrs: Attrs) -> Any:
    """New axes come before those of a sample."""
    shape = attrs["shape"]
    return call(name, xs[0].aligned(len(shape)), shape=(xs[0].size, *shape))


def summed_to(call: Any, name: str, xs: Sequence[Operand], attrs: Attrs) -> Any:
    """Broadcast axes summed up, those before a sample's, too."""
    (x,), shape = xs, attrs["shape"]
    ones = (1,) * (len(x.shape) - len(shape))
    y = call(name, x.value, shape=(x.size, *ones, *shape))
    return call("reshape", y, shape=(x.size, *shape)) if ones else y


def _all_of_batch(attrs: Attrs, size: int) -> dict[str, Any]:
    """The places of a part, with all of the batch's axis before them."""
    found = {
        **attrs,
        "starts": (0, *attrs["starts"]),
        "sizes": (size, *attrs["sizes"]),
        "steps": (1, *attrs["steps"]),
    }
    if attrs.get("drop"):
        found["drop"] = tuple([each + 1 for each in attrs["drop"]])
    return found


def sliced(call: Any, name: str, xs: Sequence[Operand], attrs: Attrs) -> Any:
    """Starts, sizes and steps of a sample's axes."""
    return call(name, xs[0].value, **_all_of_batch(attrs, xs[0].size))


def scattered(call: Any, name: str, xs: Sequence[Operand], attrs: Attrs) -> Any:
    """A part written into zeros, or into another tensor."""
    size = xs[0].size
    found = _all_of_batch(attrs, size)
    found["shape"] = (size, *attrs["shape"])
    # only where the elements lie, which is for one sample
    found.pop("strides", None)
    return call(name, *[x.front() for x in xs], **found)


def padded(call: Any, name: str, xs: Sequence[Operand], attrs: Attrs) -> Any:
    """Sides of a sample's axes."""
    sides = {"before": (0, *attrs["before"]), "after": (0, *attrs["after"])}
    return call(name, xs[0].value, **{**attrs, **sides})


def diagonal(call: Any, name: str, xs: Sequence[Operand], attrs: Attrs) -> Any:
    """Along two of a sample's axes."""
    (x,), given = xs, {"dim1": 0, "dim2": 1, **attrs}
    ndim = len(attrs["shape"]) if "shape" in attrs else len(x.shape)
    moved = {each: given[each] % ndim + 1 for each in ("dim1", "dim2")}
    if "shape" in attrs:
        moved["shape"] = (x.size, *attrs["shape"])
    return call(name, x.value, **{**given, **moved})


def copied(call: Any, name: str, xs: Sequence[Operand], attrs: Attrs) -> Any:
    """A memory format is one of samples, four axes as they have."""
    if attrs.get("layout") is None:
        return call(name, xs[0].value, **attrs)
    return unfolded(call, call(name, *folded_all(xs), **attrs), xs[0].size)
