"""What the losses share: their arguments, and the reduction."""

from __future__ import annotations

from typing import Any

from pyautodl.backends.dtypes import FLOATING, INTEGRAL, int64
from pyautodl.errors import ShapeError, warn
from pyautodl.functional.eltwise.unary import check_tensor
from pyautodl.ops.pair_loss import check_pair, check_reduction
from pyautodl.ops.record import OPS, named_attributes
from pyautodl.tensor import Tensor, apply

__all__ = [
    "SOFTMAXES",
    "by_reduction",
    "prepare",
    "reduced",
    "refuse_old_arguments",
    "spread",
    "to_classes",
    "to_float",
    "warn_if_made_by",
]


SOFTMAXES = ("softmax", "masked_softmax")
by_reduction = named_attributes("reduction")


def refuse_old_arguments(name: str, size_average: Any, reduce: Any) -> None:
    """PyTorch's arguments from before `reduction`."""
    if size_average is None and reduce is None:
        return
    if isinstance(size_average, Tensor):
        raise TypeError(
            f"{name}: a tensor stands where an option is expected; likely fix: "
            f"{name}()(input, target)"
        )
    for key, value in (("size_average", size_average), ("reduce", reduce)):
        if value is not None:
            raise NotImplementedError(f"{name}: {key} is not supported; use reduction")


def to_float(name: str, x: Tensor, like: Tensor, what: str = "target") -> Tensor:
    """Whole numbers and bools as floats; floats stay, so that a mix is seen."""
    if isinstance(like, Tensor) and isinstance(x, Tensor):
        if x._array.dtype is like._array.dtype:
            return x
    check_tensor(name, like)
    check_tensor(name, x, what)
    if x.dtype.category != FLOATING and like.dtype.category == FLOATING:
        return x.to(like.dtype)
    return x


def to_classes(name: str, input: Tensor, target: Tensor) -> Tensor:
    """Class numbers of any whole type as int64."""
    if isinstance(input, Tensor) and isinstance(target, Tensor):
        dtype = target._array.dtype
        whole = dtype is not int64 and dtype.category == INTEGRAL
        return target.to(int64) if whole else target
    check_tensor(name, input)
    return check_tensor(name, target, "target")


def warn_if_made_by(
    name: str, ops: tuple[str, ...], input: Tensor, advice: str
) -> None:
    """Warn, on the line that calls the loss, if the input is the recorded output of an op."""
    node = input.edge_source()
    if node is not None and node.op.name in ops:
        made = node.op.name.removeprefix("masked_")
        warn(f"{name}: the input is the output of a {made}, {advice}")


def spread(name: str, weight: Tensor | None, input: Tensor) -> Tensor | None:
    """A weight with the input's shape."""
    if weight is None:
        return None
    weight = to_float(name, weight, input, "weight")
    if weight.shape == input.shape:
        return weight
    front = input.ndim - weight.ndim
    sizes = zip(weight.shape, input.shape[max(front, 0) :], strict=False)
    if front < 0 or any(size not in (1, n) for size, n in sizes):
        raise ShapeError(
            f"{name}: expected a weight that broadcasts to the input, got weight "
            f"{tuple(weight.shape)} for input {tuple(input.shape)}"
        )
    return apply(OPS["expand"], weight, shape=tuple(input.shape))


def reduced(loss: Tensor, reduction: str) -> Tensor:
    """The mean or sum of losses, or all of them."""
    if reduction == "none":
        return loss
    return loss.mean() if reduction == "mean" else loss.sum()


def prepare(name: str, input: Tensor, target: Tensor, reduction: str) -> Tensor:
    """Check a pair; returns the target as floats."""
    target = to_float(name, target, input)
    check_pair(name, input._array, target._array)
    check_reduction(name, reduction)
    return target
