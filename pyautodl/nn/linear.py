"""Layers that are a matrix product."""

from __future__ import annotations

import math
from typing import Any

import pyautodl.functional as F
from pyautodl.nn import init
from pyautodl.nn._sizes import memory_for, size
from pyautodl.nn.module import Module
from pyautodl.nn.parameter import Parameter
from pyautodl.tensor import Tensor

__all__ = ["Bilinear", "Identity", "Linear"]


class Identity(Module):
    """Gives back its input; arguments are accepted and ignored.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl import nn
        >>> nn.Identity(54, unused=True)(ad.ones(2))
        tensor([1., 1.])
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()

    def forward(self, input: Tensor) -> Tensor:
        """Return `input`."""
        return input


class Linear(Module):
    """Computes x @ weight.T + bias.

    The parameters start uniform in +-1/sqrt(in_features).

    Args:
        in_features: size of the input's last axis.
        out_features: size of the output's last axis.
        bias: whether to add a bias.
        device: 'cpu' or None.
        dtype: element type of the parameters.

    Shape:
        (..., in_features) -> (..., out_features)

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl import nn
        >>> nn.Linear(20, 30)(ad.ones(128, 20)).shape
        pyautodl.Size([128, 30])
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.in_features = size("Linear", "in_features", in_features)
        self.out_features = size("Linear", "out_features", out_features)
        self._make_parameters(bias, {"device": device, "dtype": dtype})
        self.reset_parameters()

    def _make_parameters(self, bias: bool, kind: dict[str, Any]) -> None:
        shape = (self.out_features, self.in_features)
        self.weight = Parameter(memory_for("Linear", *shape, **kind))
        if bias:
            self.bias = Parameter(F.empty(self.out_features, **kind))
        else:
            self.register_parameter("bias", None)

    def reset_parameters(self) -> None:
        """Draw the parameters anew."""
        init._reset_layer(self.weight, self.bias)

    def forward(self, input: Tensor) -> Tensor:
        """Apply the layer."""
        return F.linear(input, self.weight, self.bias)

    def extra_repr(self) -> str:
        """The arguments."""
        return (
            f"in_features={self.in_features}, out_features={self.out_features}, "
            f"bias={self.bias is not None}"
        )


class Bilinear(Module):
    """Computes x1' weight[o] x2 + bias[o] for each output o.

    The parameters start uniform in +-1/sqrt(in1_features).

    Args:
        in1_features: size of the first input's last axis.
        in2_features: size of the second input's last axis.
        out_features: size of the output's last axis.
        bias: whether to add a bias.
        device: 'cpu' or None.
        dtype: element type of the parameters.

    Shape:
        (..., in1_features), (..., in2_features) -> (..., out_features)

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl import nn
        >>> nn.Bilinear(20, 30, 40)(ad.ones(8, 20), ad.ones(8, 30)).shape
        pyautodl.Size([8, 40])
    """

    def __init__(
        self,
        in1_features: int,
        in2_features: int,
        out_features: int,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.in1_features = size("Bilinear", "in1_features", in1_features)
        self.in2_features = size("Bilinear", "in2_features", in2_features)
        self.out_features = size("Bilinear", "out_features", out_features)
        kind = {"device": device, "dtype": dtype}
        shape = (self.out_features, self.in1_features, self.in2_features)
        self.weight = Parameter(memory_for("Bilinear", *shape, **kind))
        if bias:
            self.bias = Parameter(F.empty(self.out_features, **kind))
        else:
            self.register_parameter("bias", None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the parameters anew."""
        bound = 1 / math.sqrt(self.in1_features)
        init.uniform_(self.weight, -bound, bound)
        if self.bias is not None:
            init.uniform_(self.bias, -bound, bound)

    def forward(self, input1: Tensor, input2: Tensor) -> Tensor:
        """Apply the layer."""
        return F.bilinear(input1, input2, self.weight, self.bias)

    def extra_repr(self) -> str:
        """The arguments."""
        return (
            f"in1_features={self.in1_features}, in2_features={self.in2_features}, "
            f"out_features={self.out_features}, bias={self.bias is not None}"
        )
