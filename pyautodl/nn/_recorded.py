"""A layer with the ReLU beside it as one recorded call.

While gradients are recorded, `Sequential` calls its modules one after the other, but for
a Linear, a convolution or a batch norm with a ReLU behind it, and for max pooling with a
ReLU before it: one kernel, one node of the graph. Pooling comes first, as of what it
leaves out no gradient has to be masked. Only layers of exactly these types without hooks,
so that nobody could have seen what is between them.

Which modules go together follows from their types and is found once; whether somebody
looks at one of them is asked at each call.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from pyautodl import _module_stack
from pyautodl._module_stack import STACK
from pyautodl.functional.matmul import linear_relu
from pyautodl.functional.networks.conv import conv_relu
from pyautodl.functional.networks.pool import max_pool_relu
from pyautodl.nn.activation import ReLU
from pyautodl.nn.conv import Conv1d, Conv2d, Conv3d
from pyautodl.nn.linear import Linear
from pyautodl.nn.module import Module
from pyautodl.nn.module.calling import are_hooked
from pyautodl.nn.norm import BatchNorm1d, BatchNorm2d, BatchNorm3d
from pyautodl.nn.pool import MaxPool1d, MaxPool2d, MaxPool3d
from pyautodl.tensor import Tensor

__all__ = ["Steps"]

Run = Callable[[Any, Any], Any]


class _Step(NamedTuple):
    """One call.

    Attributes:
        modules: those that it stands for.
        watched: those whose hooks would show that it does; None: `named` has a call of its
            own.
        named: the one that nodes and errors name.
        run: (named, input) -> the output; None: its forward gives that.
        axes: how many the input must have; 0: it must be a tensor; None: nothing.
    """

    modules: tuple[Any, ...]
    watched: tuple[Any, ...] | None
    named: Any
    run: Run | None
    axes: int | None


class Steps:
    """Modules called one after the other, a layer and its ReLU as one.

    Args:
        modules: the modules.
    """

    __slots__ = ("_modules", "_pairs", "_pools", "_steps")

    def __init__(self, modules: Sequence[Any]) -> None:
        self._modules, self._pairs = tuple(modules), _pairs(modules)
        self._pools = _pools(self._pairs)
        self._steps: list[_Step] = []
        place = 0
        while place < len(modules):
            step = _step_at(place, self._modules)
            self._steps.append(step)
            place += len(step.modules)

    def __reduce__(self) -> tuple[Any, ...]:
        # copies and pickles find their own
        return type(None), ()

    def holds(self, modules: Sequence[Any]) -> bool:
        """Whether the steps of these modules would be the same now."""
        if self._modules != tuple(modules):
            return False
        return not self._pairs or self._pools == _pools(self._pairs)

    def __call__(self, input: Any) -> Any:
        stack = STACK.modules
        push = stack.append if stack else _module_stack.push
        for modules, watched, named, run, axes in self._steps:
            if (
                watched is None
                or are_hooked(*watched)
                or (axes is not None and not _fits(input, axes))
            ):
                for module in modules:
                    input = module(input)
                continue
            push(named)
            try:
                input = named.forward(input) if run is None else run(named, input)
            except Exception as error:
                _module_stack.annotate(error, named._likely_fix(error, (input,)))
                raise
            finally:
                stack.pop()
        return input


def _pairs(modules: Sequence[Any]) -> list[tuple[Any, Any]]:
    """Each ReLU with max pooling behind it."""
    return [
        (relu, pool)
        for relu, pool in pairwise(modules)
        if type(pool) in _POOLED and type(relu) is ReLU
    ]


def _pools(pairs: Sequence[tuple[Any, Any]]) -> list[tuple[bool, bool]]:
    """Of max pooling behind a ReLU whether it gives its indices, too, and whether the ReLU
    changes its input.
    """
    return [(pool.return_indices, relu.inplace) for relu, pool in pairs]


def _fits(input: Any, axes: int) -> bool:
    return isinstance(input, Tensor) and axes in (0, len(input._array.shape))


def _step_at(place: int, modules: tuple[Any, ...]) -> _Step:
    """The step that begins with a module."""
    module, follower, third = (*modules[place : place + 3], None, None)[:3]
    both = (module, follower)
    if type(module) is ReLU and _is_pool(follower):
        watched = _seen_between(modules[place - 1] if place else None, *both)
        if watched is not None:
            return _Step(both, watched, follower, _pool, _POOLED[type(follower)])
    fused = _WITH_RELU.get(type(module))
    if fused is not None and type(follower) is ReLU and not _is_pool(third):
        return _Step(both, both, module, fused, 0)
    plain = isinstance(module, Module) and type(module).__call__ is Module.__call__
    return _Step((module,), (module,) if plain else None, module, None, None)


def _seen_between(before: Any, relu: Any, pool: Any) -> tuple[Any, ...] | None:
    """Those whose hooks would show that a ReLU is part of the pooling; None: all can see it,
    as the ReLU has to change its input.
    """
    if not relu.inplace:
        return relu, pool
    # what such a layer gives has no other name
    return (before, relu, pool) if type(before) in _WITH_RELU else None


def _is_pool(module: Any) -> bool:
    """Whether a module is max pooling that can be one call with the ReLU before it."""
    return type(module) in _POOLED and not module.return_indices


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

_WITH_RELU: dict[type[Module], Run] = {
    Linear: _linear,
    Conv1d: _convolution,
    Conv2d: _convolution,
    Conv3d: _convolution,
    BatchNorm1d: _batch_norm,
    BatchNorm2d: _batch_norm,
    BatchNorm3d: _batch_norm,
}
