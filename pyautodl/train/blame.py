"""Where a loss that is not finite comes from: what `Trainer` says of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from pyautodl.autograd import no_grad
from pyautodl.nn.parameter import UninitializedBuffer
from pyautodl.random import get_rng_state, set_rng_state
from pyautodl.tensor import Tensor

__all__ = ["blame", "blame_data", "kept_state"]

_DIVERGED = (
    "a smaller learning rate, nn.utils.clip_grad_norm_, finite and normalised inputs"
)


class _First(NamedTuple):
    """The first module whose output is not finite, and whether what it was given was."""

    path: str
    module: Any
    given_finite: bool


def blame(model: Any, inputs: Sequence[Tensor], target: Tensor, output: Any) -> str:
    """Return what is not finite first, of the data, the layers and the loss, and a cure.

    The model runs once more, with hooks; its buffers and the random numbers are put back.
    """
    if (found := blame_data(inputs, target)) is not None:
        return found
    first = _first_not_finite(model, inputs)
    if first is not None:
        return _of_module(first)
    if _is_finite(output):
        return f"it is of a finite output; likely fix: {_DIVERGED}"
    return f"likely fix: {_DIVERGED}"


def blame_data(inputs: Sequence[Tensor], target: Tensor) -> str | None:
    """Return what is not finite of a batch, if anything is."""
    named = [("inputs", x) for x in inputs]
    if len(inputs) > 1:
        named = [(f"samples of input {i}", x) for i, x in enumerate(inputs)]
    for name, tensor in [*named, ("targets", target)]:
        if not _is_finite(tensor):
            return f"{_count(name, tensor)}; remove these samples or fill the values in"
    return None


def _count(name: str, tensor: Tensor) -> str:
    nan = tensor.isnan()
    kind, bad = ("nan", nan) if bool(nan.any()) else ("infinite", ~tensor.isfinite())
    samples = bad.reshape(len(tensor), -1)
    rows = samples.any(1).tolist()
    values = ""
    if samples.shape[1] > 1:
        values = f" ({int(samples.sum())} of {samples.numel()} values)"
    return (
        f"{sum(rows)} of {len(rows)} {name} of the batch are {kind}{values}, the first "
        f"is number {rows.index(True)}"
    )


def _of_module(first: _First) -> str:
    path, module, given_finite = first
    kind = type(module).__name__
    who = f"{path!r} ({kind})" if path else f"the model ({kind})"
    broken = [name for name, p in module.named_parameters() if not _is_finite(p)]
    if broken:
        return (
            f"the {broken[0]} of {who} was not finite before this batch; likely fix: "
            f"{_DIVERGED}; if its loss was small, autograd.detect_anomaly() names the layer "
            "whose gradient was nan"
        )
    text = f"the first output that is not finite is that of {who}"
    if not given_finite:
        text = f"what is given to {who} is not finite, by what is computed before it"
    elif next(module.children(), None) is not None:
        text += ", computed in its own forward: its layers gave finite values"
    return (
        f"{text}; likely fix: no log or sqrt of 0, no division by 0 there; if the loss grew "
        f"before, {_DIVERGED}"
    )


def _first_not_finite(model: Any, inputs: Sequence[Tensor]) -> _First | None:
    found: list[_First] = []

    def watch(path: str) -> Any:
        def hook(module: Any, args: Any, kwargs: Any, output: Any) -> None:
            if not found and not _is_finite(output):
                found.append(_First(path, module, _is_finite((args, kwargs))))

        return hook

    handles = [
        module.register_forward_hook(watch(path), with_kwargs=True)
        for path, module in model.named_modules()
    ]
    try:
        with no_grad(), kept_state(model):
            model(*inputs)
    finally:
        for handle in handles:
            handle.remove()
    return found[0] if found else None


@contextmanager
def kept_state(model: Any) -> Iterator[None]:
    """Put buffers and random numbers back to what they were."""
    # lazy layers' buffers are made by the call
    made = [
        each for each in model.buffers() if not isinstance(each, UninitializedBuffer)
    ]
    buffers = [(buffer, buffer.clone()) for buffer in made]
    state = get_rng_state()
    try:
        yield
    finally:
        set_rng_state(state)
        for buffer, before in buffers:
            buffer.copy_(before)


def _is_finite(value: Any) -> bool:
    """Whether all floating numbers in tensors, tuples, lists and dicts are finite."""
    if isinstance(value, Tensor):
        return not value.is_floating_point() or bool(value.detach().isfinite().all())
    if isinstance(value, dict):
        value = list(value.values())
    return not isinstance(value, (tuple, list)) or all(map(_is_finite, value))
