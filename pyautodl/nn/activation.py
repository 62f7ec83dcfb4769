"""Activation layers."""

from __future__ import annotations

from typing import Any

from pyautodl.functional.creation import empty
from pyautodl.functional.eltwise import activation as F
from pyautodl.functional.eltwise.unary import sigmoid, tanh
from pyautodl.functional.matmul import linear
from pyautodl.functional.networks.rrelu import rrelu
from pyautodl.nn import init
from pyautodl.nn.module import Module
from pyautodl.nn.parameter import Parameter
from pyautodl.tensor import Tensor

__all__ = [
    "CELU",
    "ELU",
    "GELU",
    "GLU",
    "SELU",
    "Hardshrink",
    "Hardsigmoid",
    "Hardswish",
    "Hardtanh",
    "LeakyReLU",
    "LogSigmoid",
    "Maxout",
    "Mish",
    "PReLU",
    "RReLU",
    "ReLU",
    "ReLU6",
    "SiLU",
    "Sigmoid",
    "Softplus",
    "Softshrink",
    "Softsign",
    "Tanh",
    "Tanhshrink",
    "Threshold",
]


class _Inplace(Module):
    """A layer whose one option is to change its input."""

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = inplace

    def extra_repr(self) -> str:
        return "inplace=True" if self.inplace else ""


class Sigmoid(Module):
    """1 / (1 + exp(-x)).

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl import nn
        >>> nn.Sigmoid()(ad.tensor([-1.0, 2.0]))
        tensor([0.2689, 0.8808])
    """

    def forward(self, input: Tensor) -> Tensor:
        """Apply it to each element."""
        return sigmoid(input)


class Tanh(Module):
    """The hyperbolic tangent.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl import nn
        >>> nn.Tanh()(ad.tensor([-1.0, 2.0]))
        tensor([-0.7616,  0.9640])
    """

    def forward(self, input: Tensor) -> Tensor:
        """Apply it to each element."""
        return tanh(input)


class LogSigmoid(Module):
    """log(sigmoid(x)).

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl import nn
        >>> nn.LogSigmoid()(ad.tensor([-1.0, 2.0]))
        tensor([-1.3133, -0.1269])
    """

    def forward(self, input: Tensor) -> Tensor:
        """Apply it to each element."""
        return F.logsigmoid(input)


class Softsign(Module):
    """x / (1 + |x|).

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl import nn
        >>> nn.Softsign()(ad.tensor([-1.0, 2.0]))
        tensor([-0.5000,  0.6667])
    """

    def forward(self, input: Tensor) -> Tensor:
        """Apply it to each element."""
        return F.softsign(input)


class Tanhshrink(Module):
    """x - tanh(x).

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl import nn
        >>> nn.Tanhshrink()(ad.tensor([-1.0, 2.0]))
        tensor([-0.2384,  1.0360])
    """

    def forward(self, input: Tensor) -> Tensor:
        """Apply it to each element."""
        return F.tanhshrink(input)


class ReLU(_Inplace):
    """max(x, 0); the gradient at 0 is 0.

    Args:
        inplace: change the input.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl import nn
        >>> nn.ReLU()(ad.tensor([-1.0, 2.0]))
        tensor([0., 2.])
    """

    def forward(self, input: Tensor) -> Tensor:
        """Apply it to each element."""
        return F.relu(input, self.inplace)


class SELU(_Inplace):
    """ELU, scaled so that mean 0 and variance 1 are kept from layer to layer.

    Args:
        inplace: change the input.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl import nn
        >>> nn.SELU()(ad.tensor([-1.0, 2.0]))
        tensor([-1.1113,  2.1014])
    """

    def forward(self, input: Tensor) -> Tensor:
        """Apply it to each element."""
        return F.selu(input, self.inplace)


class SiLU(_Inplace):
    """x sigmoid(x).

    Args:
        inplace: change the input.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl import nn
        >>> nn.SiLU()(ad.tensor([-1.0, 2.0]))
        tensor([-0.2689,  1.7616])
    """

    def forward(self, input: Tensor) -> Tensor:
        """Apply it to each element."""
        return F.silu(input, self.inplace)


class Mish(_Inplace):
    """x tanh(softplus(x)).

    Args:
        inplace: change the input.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl import nn
        >>> nn.Mish()(ad.tensor([-1.0, 2.0]))
        tensor([-0.3034,  1.9440])
    """

    def forward(self, input: Tensor) -> Tensor:
        """Apply it to each element."""
        return F.mish(input, self.inplace)


class Hardswish(_Inplace):
    """x min(max(x + 3, 0), 6) / 6.

    Args:
        inplace: change the input.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl import nn
        >>> nn.Hardswish()(ad.tensor([-1.0, 2.0]))
        tensor([-0.3333,  1.6667])
    """

    def forward(self, input: Tensor) -> Tensor:
        """Apply it to each element."""
        return F.hardswish(input, self.inplace)


class Hardsigmoid(_Inplace):
    """min(max(x + 3, 0), 6) / 6.

    Args:
        inplace: change the input.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl import nn
        >>> nn.Hardsigmoid()(ad.tensor([-1.0, 2.0]))
        tensor([0.3333, 0.8333])
    """

    def forward(self, input: Tensor) -> Tensor:
        """Apply it to each element."""
        return F.hardsigmoid(input, self.inplace)


class LeakyReLU(Module):
    """x above 0, `negative_slope` x from 0 down.

    Args:
        negative_slope: the slope below 0; PyTorch's default is 0.01, the lecture's 0.1.
        inplace: change the input.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl import nn
        >>> nn.LeakyReLU()(ad.tensor([-1.0, 2.0]))
        tensor([-0.1000,  2.0000])
    """

    def __init__(self, negative_slope: float = 0.1, inplace: bool = False) -> None:
        super().__init__()
        self.negative_slope = negative_slope
        self.inplace = inplace

    def extra_repr(self) -> str:
        shown = f"negative_slope={self.negative_slope}"
        return f"{shown}, inplace=True" if self.inplace else shown

    def forward(self, input: Tensor) -> Tensor:
        """Apply it to each element."""
        return F.leaky_relu(input, self.negative_slope, self.inplace)


class ELU(Module):
    """x above 0, alpha (exp(x) - 1) from 0 down.

    Args:
        alpha: what it falls to is -alpha.
        inplace: change the input.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl import nn
        >>> nn.ELU()(ad.tensor([-1.0, 2.0]))
        tensor([-0.6321,  2.0000])
    """

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        super().__init__()
        self.alpha = alpha
        self.inplace = inplace

    def extra_repr(self) -> str:
        shown = f"alpha={self.alpha}"
        return f"{shown}, inplace=True" if self.inplace else shown

    def forward(self, input: Tensor) -> Tensor:
        """Apply it to each element."""
        return F.elu(input, self.alpha, self.inplace)


class RReLU(Module):
    """x above 0, and below x times a slope: in training one drawn for each element.

    Args:
        lower, upper: between which slopes are drawn evenly; outside of training the slope
            is the mean of both.
        inplace: change the input.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl import nn
        >>> nn.RReLU(0.25, 0.75).eval()(ad.tensor([-2.0, 2.0]))
        tensor([-1.,  2.])
    """

    def __init__(
        self, lower: float = 1.0 / 8, upper: float = 1.0 / 3, inplace: bool = False
    ) -> None:
        super().__init__()
        self.lower = lower
        self.upper = upper
        self.inplace = inplace

    def extra_repr(self) -> str:
        shown = f"lower={self.lower}, upper={self.upper}"
        return f"{shown}, inplace=True" if self.inplace else shown

    def forward(self, input: Tensor) -> Tensor:
        """Apply it to each element."""
        return rrelu(input, self.lower, self.upper, self.training, self.inplace)


class CELU(Module):
    """x above 0, alpha (exp(x / alpha) - 1) from 0 down.

    Args:
        alpha: what it falls to is -alpha; not 0.
        inplace: change the input.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl import nn
        >>> nn.CELU()(ad.tensor([-1.0, 2.0]))
        tensor([-0.6321,  2.0000])
    """

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        super().__init__()
        self.alpha = alpha
        self.inplace = inplace

    def extra_repr(self) -> str:
        shown = f"alpha={self.alpha}"
        return f"{shown}, inplace=True" if self.inplace else shown

    def forward(self, input: Tensor) -> Tensor:
        """Apply it to each element."""
        return F.celu(input, self.alpha, self.inplace)


class GELU(Module):
    """x times the normal distribution up to x.

    Args:
        approximate: 'none', or 'tanh' for the approximation by tanh.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl import nn
        >>> nn.GELU()(ad.tensor([-1.0, 2.0]))
        tensor([-0.1587,  1.9545])
    """

    def __init__(self, approximate: str = "none") -> None:
        super().__init__()
        self.approximate = approximate

    def extra_repr(self) -> str:
        return f"approximate={self.approximate!r}"

    def forward(self, input: Tensor) -> Tensor:
        """Apply it to each element."""
        return F.gelu(input, self.approximate)


class Softplus(Module):
    """log(1 + exp(beta x)) / beta.

    Args:
        beta: how sharp it bends.
        threshold: above it, for beta x, the result is x.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl import nn
        >>> nn.Softplus()(ad.tensor([-1.0, 2.0]))
        tensor([0.3133, 2.1269])
    """

    def __init__(self, beta: float = 1.0, threshold: float = 20.0) -> None:
        super().__init__()
        self.beta = beta
        self.threshold = threshold

    def extra_repr(self) -> str:
        return f"beta={self.beta}, threshold={self.threshold}"

    def forward(self, input: Tensor) -> Tensor:
        """Apply it to each element."""
        return F.softplus(input, self.beta, self.threshold)


class Hardtanh(Module):
    """x between two bounds; the gradient at them is 0.

    Args:
        min_val: the lower bound.
        max_val: the upper bound.
        inplace: change the input.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl import nn
        >>> nn.Hardtanh()(ad.tensor([-1.0, 2.0]))
        tensor([-1.,  1.])
    """

    def __init__(
        self, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False
    ) -> None:
        super().__init__()
        self.min_val = min_val
        self.max_val = max_val
        self.inplace = inplace

    def extra_repr(self) -> str:
        shown = f"min_val={self.min_val}, max_val={self.max_val}"
        return f"{shown}, inplace=True" if self.inplace else shown

    def forward(self, input: Tensor) -> Tensor:
        """Apply it to each element."""
        return F.hardtanh(input, self.min_val, self.max_val, self.inplace)


class ReLU6(Hardtanh):
    """min(max(x, 0), 6); the gradient at 0 and 6 is 0.

    Args:
        inplace: change the input.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl import nn
        >>> nn.ReLU6()(ad.tensor([-1.0, 2.0]))
        tensor([0., 2.])
    """

    def __init__(self, inplace: bool = False) -> None:
        super().__init__(0.0, 6.0, inplace)

    def extra_repr(self) -> str:
        return "inplace=True" if self.inplace else ""


class Threshold(Module):
    """x above a threshold, else a value.

    Args:
        threshold: what x must exceed.
        value: what stands for the others.
        inplace: change the input.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl import nn
        >>> nn.Threshold(1.0, -5.0)(ad.tensor([-1.0, 2.0]))
        tensor([-5.,  2.])
    """

    def __init__(self, threshold: float, value: float, inplace: bool = False) -> None:
        super().__init__()
        self.threshold = threshold
        self.value = value
        self.inplace = inplace

    def extra_repr(self) -> str:
        shown = f"threshold={self.threshold}, value={self.value}"
        return f"{shown}, inplace=True" if self.inplace else shown

    def forward(self, input: Tensor) -> Tensor:
        """Apply it to each element."""
        return F.threshold(input, self.threshold, self.value, self.inplace)


class Hardshrink(Module):
    """x where |x| exceeds `lambd`, else 0.

    Args:
        lambd: the bound.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl import nn
        >>> nn.Hardshrink()(ad.tensor([-1.0, 2.0]))
        tensor([-1.,  2.])
    """

    def __init__(self, lambd: float = 0.5) -> None:
        super().__init__()
        self.lambd = lambd

    def extra_repr(self) -> str:
        return f"{self.lambd}"

    def forward(self, input: Tensor) -> Tensor:
        """Apply it to each element."""
        return F.hardshrink(input, self.lambd)


class Softshrink(Module):
    """x moved towards 0 by `lambd`, at most to it.

    Args:
        lambd: the distance, not negative.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl import nn
        >>> nn.Softshrink()(ad.tensor([-1.0, 2.0]))
        tensor([-0.5000,  1.5000])
    """

    def __init__(self, lambd: float = 0.5) -> None:
        super().__init__()
        self.lambd = lambd

    def extra_repr(self) -> str:
        return f"{self.lambd}"

    def forward(self, input: Tensor) -> Tensor:
        """Apply it to each element."""
        return F.softshrink(input, self.lambd)


class GLU(Module):
    """The first half along an axis times the sigmoid of the second.

    Args:
        dim: the axis, of even size.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl import nn
        >>> nn.GLU()(ad.tensor([1.0, 2.0, 0.0, 0.0]))
        tensor([0.5000, 1.0000])
    """

    def __init__(self, dim: int = -1) -> None:
        super().__init__()
        self.dim = dim

    def extra_repr(self) -> str:
        return f"dim={self.dim}"

    def forward(self, input: Tensor) -> Tensor:
        """Return half as many elements along the axis."""
        return F.glu(input, self.dim)


class PReLU(Module):
    """x above 0, a x from 0 down, with a slope `a` that is learned.

    Args:
        num_parameters: 1, or one slope for each channel (axis 1).
        init: where the slopes start.
        device: 'cpu' or None.
        dtype: element type of the slopes.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl import nn
        >>> nn.PReLU()(ad.tensor([-1.0, 2.0])).tolist()
        [-0.25, 2.0]
    """

    def __init__(
        self,
        num_parameters: int = 1,
        init: float = 0.25,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.num_parameters = num_parameters
        self.init = init
        kind = {"device": device, "dtype": dtype}
        self.weight = Parameter(empty(num_parameters, **kind))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Let every slope start anew."""
        init.constant_(self.weight, self.init)

    def extra_repr(self) -> str:
        return f"num_parameters={self.num_parameters}"

    def forward(self, input: Tensor) -> Tensor:
        """Apply it to each element."""
        return F.prelu(input, self.weight)


class Maxout(Module):
    """The greatest of several linear functions: max over k of w_k x + b_k.

    `weight` holds the pieces of an output side by side: rows k pieces, k pieces + 1, ...
    belong to output k.

    Args:
        in_features: size of the input's last axis.
        out_features: size of the output's last axis.
        pieces: how many linear functions compete for each output.
        bias: whether they have a bias.
        device: 'cpu' or None.
        dtype: element type of the parameters.

    Shape:
        (..., in_features) -> (..., out_features)

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl import nn
        >>> nn.Maxout(20, 30, pieces=3)(ad.ones(128, 20)).shape
        pyautodl.Size([128, 30])

    Source: Goodfellow et al., 2013, arXiv:1302.4389.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        pieces: int = 2,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        if pieces < 1:
            raise ValueError(f"Maxout: pieces must be at least 1, got {pieces}")
        self.in_features = in_features
        self.out_features = out_features
        self.pieces = pieces
        kind = {"device": device, "dtype": dtype}
        self.weight = Parameter(empty(out_features * pieces, in_features, **kind))
        if bias:
            self.bias = Parameter(empty(out_features * pieces, **kind))
        else:
            self.register_parameter("bias", None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the parameters anew, as those of `Linear`."""
        init._reset_layer(self.weight, self.bias)

    def extra_repr(self) -> str:
        return (
            f"in_features={self.in_features}, out_features={self.out_features}, "
            f"pieces={self.pieces}, bias={self.bias is not None}"
        )

    def forward(self, input: Tensor) -> Tensor:
        """Return the greatest piece of each output."""
        return F.maxout(linear(input, self.weight, self.bias), self.pieces)
