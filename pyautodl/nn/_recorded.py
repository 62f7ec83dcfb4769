"""A layer with the ReLU behind it as one recorded call.

While gradients are recorded, `Sequential` calls its modules one after the other, but for
a Linear, a convolution or a batch norm with a ReLU behind it: one kernel, one node of the
graph. Only layers of exactly these types without hooks, so that nobody could have seen
what is between them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pyautodl import _context
from pyautodl.functional.conv import conv_relu
from pyautodl.functional.matmul import linear_relu
from pyautodl.nn.activation import ReLU
from pyautodl.nn.conv import Conv1d, Conv2d, Conv3d
from pyautodl.nn.linear import Linear
from pyautodl.nn.module import Module
from pyautodl.nn.norm import BatchNorm1d, BatchNorm2d, BatchNorm3d
from pyautodl.tensor import Tensor

__all__ = ["run_recorded"]


def run_recorded(modules: Sequence[Any], input: Any) -> Any:
    """Call modules one after the other, a layer and its ReLU as one."""
    place, count = 0, len(modules)
    while place < count:
        module = modules[place]
        place += 1
        fused = _WITH_RELU.get(type(module))
        if (
            fused is not None
            and place < count
            and type(modules[place]) is ReLU
            and not (module.has_hooks() or modules[place].has_hooks())
            and isinstance(input, Tensor)
        ):
            input = _call(module, fused, input)
            place += 1
        else:
            input = module(input)
    return input


def _call(module: Any, fused: Callable[[Any, Tensor], Tensor], input: Tensor) -> Tensor:
    """Call what stands for a module, so that nodes and errors name it."""
    _context.push(module)
    try:
        return fused(module, input)
    except Exception as error:
        _context.annotate(error, module._likely_fix(error, (input,)))
        raise
    finally:
        _context.pop()


def _linear(layer: Any, input: Tensor) -> Tensor:
    return linear_relu(input, layer.weight, layer.bias)


def _convolution(layer: Any, input: Tensor) -> Tensor:
    if layer.padding_mode != "zeros" or input.ndim != layer.axes + 2:
        y: Tensor = layer.forward(input).relu()
        return y
    numbers = (layer.stride, layer.padding, layer.dilation, layer.groups)
    return conv_relu(input, layer.weight, layer.bias, *numbers)


def _batch_norm(layer: Any, input: Tensor) -> Tensor:
    y: Tensor = layer._normalise(input, relu=True)
    return y


_WITH_RELU: dict[type[Module], Callable[[Any, Tensor], Tensor]] = {
    Linear: _linear,
    Conv1d: _convolution,
    Conv2d: _convolution,
    Conv3d: _convolution,
    BatchNorm1d: _batch_norm,
    BatchNorm2d: _batch_norm,
    BatchNorm3d: _batch_norm,
}
