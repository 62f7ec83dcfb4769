"""A convolution with the batch norm and the activation behind it, as one kernel.

Where no gradient is recorded `Sequential` looks for such runs of layers. What the user
wrote stays as it is: only layers of exactly these types, without hooks, whose call could
not be told from the fused one but for the rounding.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from pyautodl import _context
from pyautodl.functional.conv import conv_epilogue
from pyautodl.nn.activation import LeakyReLU, ReLU, ReLU6
from pyautodl.nn.conv import Conv1d, Conv2d, Conv3d
from pyautodl.nn.module import Module
from pyautodl.nn.norm import BatchNorm1d, BatchNorm2d, BatchNorm3d
from pyautodl.ops.conv import LINEAR
from pyautodl.tensor import Tensor

__all__ = ["run_fused"]

_NORM_OF: dict[type[Module], type[Module]] = {
    Conv1d: BatchNorm1d,
    Conv2d: BatchNorm2d,
    Conv3d: BatchNorm3d,
}
# number of the kernel's activation, and its two parameters
Activation = tuple[int, float, float]


def run_fused(modules: Sequence[Module], input: Any) -> Any:
    """Call modules one after the other, runs of them that fuse as one."""
    place = 0
    while place < len(modules):
        conv = modules[place]
        if type(conv) in _NORM_OF and isinstance(input, Tensor):
            norm, activation, count = _followers(conv, modules, place)
            if count > 1 and _is_plain(conv, input):
                input = _call_fused(conv, norm, activation, input)
                place += count
                continue
        input = conv(input)
        place += 1
    return input


def _followers(
    conv: Module, modules: Sequence[Module], place: int
) -> tuple[Any, Activation, int]:
    """The norm and activation behind the convolution at `place`, and how many modules
    they are together.
    """
    norm, activation, count = None, LINEAR, 1
    rest: Iterator[Module] = iter(modules[place + 1 : place + 3])
    following = next(rest, None)
    if type(following) is _NORM_OF[type(conv)] and _is_fixed(following):
        norm, count = following, 2
        following = next(rest, None)
    found = _activation_of(following)
    if found is not None:
        activation, count = found, count + 1
    return norm, activation, count


def _is_fixed(norm: Any) -> bool:
    """Whether a batch norm uses its running statistics."""
    return not (norm.training or norm.running_mean is None or norm.has_hooks())


def _activation_of(module: Module | None) -> Activation | None:
    if module is None or module.has_hooks():
        return None
    if type(module) is ReLU:
        return (1, 0.0, math.inf)
    if type(module) is ReLU6:
        return (1, 0.0, 6.0)
    if type(module) is LeakyReLU:
        return (2, float(module.negative_slope), 0.0)
    return None


def _is_plain(conv: Any, input: Tensor) -> bool:
    return (
        not conv.has_hooks()
        and conv.padding_mode == "zeros"
        and input.ndim == conv.axes + 2
    )


def _call_fused(conv: Any, norm: Any, activation: Activation, input: Tensor) -> Tensor:
    _context.push(conv)
    try:
        scale, shift = None, conv.bias
        if norm is not None:
            scale, shift = _affine_of(norm, conv.bias)
        numbers = (conv.stride, conv.padding, conv.dilation, conv.groups)
        return conv_epilogue(input, conv.weight, scale, shift, activation, *numbers)
    except Exception as error:
        _context.annotate(error, None)
        raise
    finally:
        _context.pop()


def _affine_of(norm: Any, bias: Tensor | None) -> tuple[Tensor, Tensor]:
    """A batch norm at inference as scale * x + shift, x being without its bias."""
    scale = (norm.running_var + norm.eps).rsqrt()
    if norm.weight is not None:
        scale = scale * norm.weight
    mean = norm.running_mean if bias is None else norm.running_mean - bias
    shift = -(mean * scale)
    return scale, shift if norm.bias is None else shift + norm.bias
