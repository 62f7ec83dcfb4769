"""A few of PyTorch's modules on JAX, so that the networks are written once.

A module holds its parameters and buffers as attributes; `load` puts arrays there, which
under a transformation of JAX are its tracers, so that a model is a pure function of its
state. Layouts and defaults are PyTorch's.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

__all__ = [
    "LSTM",
    "AdaptiveAvgPool2d",
    "AvgPool2d",
    "BatchNorm2d",
    "Conv2d",
    "ConvTranspose2d",
    "Flatten",
    "LayerNorm",
    "Linear",
    "MaxPool2d",
    "Module",
    "ModuleList",
    "ReLU",
    "Sequential",
    "Sigmoid",
    "Softmax",
]

_IMAGE = ("NCHW", "OIHW", "NCHW")


def _pair(value: Any) -> tuple[int, int]:
    return value if isinstance(value, tuple) else (value, value)


class Module:
    """What has parameters (`weight`, ...), buffers (`running_mean`, ...) and children."""

    buffer_names: tuple[str, ...] = ()

    def __init__(self) -> None:
        self.training = True

    def __call__(self, *x: Any) -> Any:
        return self.forward(*x)

    def forward(self, *x: Any) -> Any:
        raise NotImplementedError

    def children(self) -> Iterator[tuple[str, Module]]:
        """Names and modules below this one, in the order of their making."""
        return (
            (key, each) for key, each in vars(self).items() if isinstance(each, Module)
        )

    def state(self, prefix: str = "") -> Iterator[tuple[str, Module, str]]:
        """(key of the state_dict, module, attribute), as PyTorch orders them."""
        for key, value in vars(self).items():
            if isinstance(value, (np.ndarray, jax.Array)):
                yield prefix + key, self, key
        for name, child in self.children():
            yield from child.state(f"{prefix}{name}.")

    def load(self, state: dict[str, Any]) -> None:
        """Put arrays where their keys say."""
        places = {key: (module, name) for key, module, name in self.state()}
        for key, value in state.items():
            module, name = places[key]
            setattr(module, name, value)

    def split(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Parameters and buffers."""
        parameters, buffers = {}, {}
        for key, module, name in self.state():
            part = buffers if name in module.buffer_names else parameters
            part[key] = getattr(module, name)
        return parameters, buffers

    def train(self, mode: bool = True) -> Module:
        """Switch to training or evaluation."""
        self.training = mode
        for _, child in self.children():
            child.train(mode)
        return self


class ModuleList(Module):
    """Modules by number."""

    def __init__(self, modules: Any) -> None:
        super().__init__()
        self.modules = list(modules)

    def children(self) -> Iterator[tuple[str, Module]]:
        return ((str(i), each) for i, each in enumerate(self.modules))

    def __iter__(self) -> Iterator[Module]:
        return iter(self.modules)


class Sequential(ModuleList):
    """Modules one after the other."""

    def __init__(self, *modules: Module) -> None:
        super().__init__(modules)

    def forward(self, x: Any) -> Any:
        for each in self.modules:
            x = each(x)
        return x


class Linear(Module):
    """x w' + b."""

    def __init__(self, inside: int, out: int) -> None:
        super().__init__()
        self.weight = np.zeros((out, inside), np.float32)
        self.bias = np.zeros(out, np.float32)

    def forward(self, x: Any) -> Any:
        return x @ self.weight.T + self.bias


class Conv2d(Module):
    """A convolution of images."""

    def __init__(
        self,
        inside: int,
        out: int,
        kernel: int,
        stride: int = 1,
        padding: int = 0,
        groups: int = 1,
        bias: bool = True,
    ) -> None:
        super().__init__()
        shape = (out, inside // groups, *_pair(kernel))
        self.weight = np.zeros(shape, np.float32)
        self.bias = np.zeros(out, np.float32) if bias else None
        self.stride, self.padding = _pair(stride), [_pair(padding)] * 2
        self.groups = groups

    def forward(self, x: Any) -> Any:
        y = lax.conv_general_dilated(
            x,
            self.weight,
            self.stride,
            self.padding,
            dimension_numbers=_IMAGE,
            feature_group_count=self.groups,
        )
        return y if self.bias is None else y + self.bias[:, None, None]


class ConvTranspose2d(Module):
    """The transpose of a convolution without padding."""

    def __init__(self, inside: int, out: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.weight = np.zeros((inside, out, *_pair(kernel)), np.float32)
        self.bias = np.zeros(out, np.float32)
        self.stride = _pair(stride)

    def forward(self, x: Any) -> Any:
        y = lax.conv_transpose(
            x,
            self.weight,
            self.stride,
            "VALID",
            dimension_numbers=_IMAGE,
            transpose_kernel=True,
        )
        return y + self.bias[:, None, None]


class ReLU(Module):
    """max(x, 0)."""

    def forward(self, x: Any) -> Any:
        return jax.nn.relu(x)


class Sigmoid(Module):
    """1 / (1 + exp(-x))."""

    def forward(self, x: Any) -> Any:
        return jax.nn.sigmoid(x)


class Softmax(Module):
    """Softmax along one axis."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, x: Any) -> Any:
        return jax.nn.softmax(x, self.dim)


class Flatten(Module):
    """All axes behind the first as one."""

    def forward(self, x: Any) -> Any:
        return x.reshape(len(x), -1)


class MaxPool2d(Module):
    """The largest of each window."""

    def __init__(self, kernel: int, stride: int | None = None, padding: int = 0):
        super().__init__()
        self.window = (1, 1, *_pair(kernel))
        self.stride = (1, 1, *_pair(stride or kernel))
        self.padding = [(0, 0), (0, 0), *[_pair(padding)] * 2]

    def forward(self, x: Any) -> Any:
        return lax.reduce_window(
            x, -jnp.inf, lax.max, self.window, self.stride, self.padding
        )


class AvgPool2d(MaxPool2d):
    """The mean of each window, without padding."""

    def forward(self, x: Any) -> Any:
        total = lax.reduce_window(
            x, 0.0, lax.add, self.window, self.stride, self.padding
        )
        return total / math.prod(self.window)


class AdaptiveAvgPool2d(Module):
    """The mean of each image."""

    def __init__(self, size: int) -> None:
        super().__init__()
        if size != 1:
            raise NotImplementedError(f"AdaptiveAvgPool2d: only size 1, got {size}")

    def forward(self, x: Any) -> Any:
        return x.mean((2, 3), keepdims=True)


class BatchNorm2d(Module):
    """Batch normalisation with running statistics."""

    buffer_names = ("running_mean", "running_var", "num_batches_tracked")

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = np.ones(channels, np.float32)
        self.bias = np.zeros(channels, np.float32)
        self.running_mean = np.zeros(channels, np.float32)
        self.running_var = np.ones(channels, np.float32)
        self.num_batches_tracked = np.zeros((), np.int64)

    def forward(self, x: Any) -> Any:
        mean, var = self.running_mean, self.running_var
        if self.training:
            mean, var = x.mean((0, 2, 3)), x.var((0, 2, 3))
            count = x.size // x.shape[1]
            unbiased = var * (count / (count - 1))
            self.running_mean = 0.9 * self.running_mean + 0.1 * mean
            self.running_var = 0.9 * self.running_var + 0.1 * unbiased
        scale = self.weight * lax.rsqrt(var + 1e-5)
        return (x - mean[:, None, None]) * scale[:, None, None] + self.bias[
            :, None, None
        ]


class LayerNorm(Module):
    """Normalisation of the last axis."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.weight = np.ones(features, np.float32)
        self.bias = np.zeros(features, np.float32)

    def forward(self, x: Any) -> Any:
        mean, var = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
        return (x - mean) * lax.rsqrt(var + 1e-5) * self.weight + self.bias


class LSTM(Module):
    """One layer, batch first; the inputs' product is made once for all times."""

    def __init__(self, inside: int, hidden: int, batch_first: bool) -> None:
        super().__init__()
        if not batch_first:
            raise NotImplementedError("LSTM: only batch_first=True")
        self.weight_ih_l0 = np.zeros((4 * hidden, inside), np.float32)
        self.weight_hh_l0 = np.zeros((4 * hidden, hidden), np.float32)
        self.bias_ih_l0 = np.zeros(4 * hidden, np.float32)
        self.bias_hh_l0 = np.zeros(4 * hidden, np.float32)

    def forward(self, x: Any) -> Any:
        hidden = self.weight_hh_l0.shape[1]
        gates = x @ self.weight_ih_l0.T + (self.bias_ih_l0 + self.bias_hh_l0)

        def cell(state: Any, gate: Any) -> Any:
            h, c = state
            i, f, g, o = jnp.split(gate + h @ self.weight_hh_l0.T, 4, axis=1)
            c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
            h = jax.nn.sigmoid(o) * jnp.tanh(c)
            return (h, c), h

        zero = jnp.zeros((len(x), hidden), x.dtype)
        last, outputs = lax.scan(cell, (zero, zero), gates.swapaxes(0, 1))
        return outputs.swapaxes(0, 1), last
