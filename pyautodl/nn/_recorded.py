"""A layer with the ReLU beside it as one recorded call.

While gradients are recorded, `Sequential` calls its modules one after the other, but for
a Linear, a convolution or a batch norm with a ReLU behind it, and for max pooling with a
ReLU before it: one kernel, one node of the graph. Pooling comes first, as of what it
leaves out no gradient has to be masked. Only layers of exactly these types without hooks,
so that nobody could have seen what is between them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pyautodl import _context
from pyautodl.functional.conv import conv_relu
from pyautodl.functional.matmul import linear_relu
from pyautodl.functional.pool import max_pool_relu
from pyautodl.nn.activation import ReLU
from pyautodl.nn.conv import Conv1d, Conv2d, Conv3d
from pyautodl.nn.linear import Linear
from pyautodl.nn.module import Module
from pyautodl.nn.norm import BatchNorm1d, BatchNorm2d, BatchNorm3d
from pyautodl.nn.pool import MaxPool1d, MaxPool2d, MaxPool3d
from pyautodl.tensor import Tensor

__all__ = ["run_recorded"]


def run_recorded(modules: Sequence[Any], input: Any) -> Any:
    """Call modules one after the other, a layer and its ReLU as one."""
    place, count = 0, len(modules)
    while place < count:
        fused = _fused_at(place, modules, input) if place + 1 < count else None
        if fused is None:
            input = modules[place](input)
            place += 1
        else:
            input = _call(*fused, input)
            place += 2
    return input


def _fused_at(
    place: int, modules: Sequence[Any], input: Any
) -> tuple[Any, Callable[[Any, Tensor], Tensor]] | None:
    """What stands for a module and the one behind it: the one to name, and the call."""
    module, follower = modules[place], modules[place + 1]
    if not isinstance(input, Tensor):
        return None
    if type(module) is ReLU:
        if _is_pool(follower, module) and input.ndim == _POOLED[type(follower)]:
            return follower, _pool
        return None
    fused = _WITH_RELU.get(type(module))
    if fused is None or type(follower) is not ReLU:
        return None
    if module.has_hooks() or follower.has_hooks():
        return None
    if place + 2 < len(modules) and _is_pool(modules[place + 2], follower):
        return None
    return module, fused


def _is_pool(module: Any, relu: ReLU) -> bool:
    """Whether a module is max pooling that can be one call with the ReLU before it."""
    return (
        type(module) in _POOLED
        and not module.return_indices
        and not (module.has_hooks() or relu.has_hooks())
    )


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


def _pool(layer: Any, input: Tensor) -> Tensor:
    return max_pool_relu(input, layer._arguments())


# axes of a batch
_POOLED: dict[Any, int] = {MaxPool1d: 3, MaxPool2d: 4, MaxPool3d: 5}

_WITH_RELU: dict[type[Module], Callable[[Any, Tensor], Tensor]] = {
    Linear: _linear,
    Conv1d: _convolution,
    Conv2d: _convolution,
    Conv3d: _convolution,
    BatchNorm1d: _batch_norm,
    BatchNorm2d: _batch_norm,
    BatchNorm3d: _batch_norm,
}
