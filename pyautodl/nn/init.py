"""Initialisation: fill a tensor in place, with PyTorch's names and formulas.

The functions draw from the default Generator unless one is given, change the tensor in
place outside the graph and return it.
"""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np

from pyautodl.autograd.grad_mode import no_grad
from pyautodl.errors import ShapeError
from pyautodl.functional.creation import empty
from pyautodl.functional.creation import tensor as copied
from pyautodl.functional.random import randperm
from pyautodl.tensor import Tensor, explained

__all__ = [
    "calculate_gain",
    "constant_",
    "dirac_",
    "eye_",
    "kaiming_normal_",
    "kaiming_uniform_",
    "normal_",
    "ones_",
    "orthogonal_",
    "sparse_",
    "trunc_normal_",
    "uniform_",
    "xavier_normal_",
    "xavier_uniform_",
    "zeros_",
]

_LINEAR = (
    "linear",
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
)


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """The factor that keeps the variance through a nonlinearity.

    Args:
        nonlinearity: "linear", "conv1d", ..., "sigmoid", "tanh", "relu", "leaky_relu"
            or "selu".
        param: the negative slope of leaky_relu (default 0.01, as in PyTorch; the
            layer's own default slope is 0.1).

    Raises:
        ValueError: the nonlinearity is unknown or the slope is no number.

    Example:
        >>> from pyautodl import nn
        >>> nn.init.calculate_gain("tanh")
        1.6666666666666667
    """
    if nonlinearity in _LINEAR or nonlinearity == "sigmoid":
        return 1.0
    if nonlinearity == "tanh":
        return 5.0 / 3
    if nonlinearity == "relu":
        return math.sqrt(2.0)
    if nonlinearity == "leaky_relu":
        slope = 0.01 if param is None else param
        if isinstance(slope, bool) or not isinstance(slope, (int, float)):
            raise ValueError(f"calculate_gain: negative_slope {param!r} is no number")
        return math.sqrt(2.0 / (1 + slope**2))
    if nonlinearity == "selu":
        return 3.0 / 4
    raise ValueError(f"calculate_gain: unsupported nonlinearity {nonlinearity!r}")


def uniform_(
    tensor: Tensor, a: float = 0.0, b: float = 1.0, generator: Any = None
) -> Tensor:
    """Fill with numbers uniform in [a, b).

    Args:
        tensor: what to fill.
        a: the least number.
        b: where the range ends.
        generator: where the numbers come from; default: the default one.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl import nn
        >>> bool((nn.init.uniform_(ad.empty(100), 2, 3) >= 2).all())
        True
    """
    with no_grad():
        tensor.uniform_(a, b, generator=generator)
    return tensor


def normal_(
    tensor: Tensor, mean: float = 0.0, std: float = 1.0, generator: Any = None
) -> Tensor:
    """Fill with normal numbers; a small std gives the small random numbers around 0.

    Args:
        tensor: what to fill.
        mean: of the distribution.
        std: its standard deviation.
        generator: where the numbers come from; default: the default one.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl import nn
        >>> nn.init.normal_(ad.empty(2, 3), std=0.02).shape
        pyautodl.Size([2, 3])
    """
    with no_grad():
        tensor.normal_(mean, std, generator=generator)
    return tensor


@explained
def trunc_normal_(
    tensor: Tensor,
    mean: float = 0.0,
    std: float = 1.0,
    a: float = -2.0,
    b: float = 2.0,
    generator: Any = None,
) -> Tensor:
    """Fill with normal numbers, given that they lie in [a, b].

    Args:
        tensor: what to fill.
        mean: of the normal distribution that is cut.
        std: its standard deviation.
        a: the least number.
        b: the largest.
        generator: where the numbers come from; default: the default one.

    Raises:
        ValueError: a > b.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl import nn
        >>> bool((nn.init.trunc_normal_(ad.empty(100)).abs() <= 2).all())
        True
    """
    if a > b:
        raise ValueError(f"trunc_normal_: expected a <= b, got a={a}, b={b}")
    if mean < a - 2 * std or mean > b + 2 * std:
        warnings.warn(
            "mean is more than 2 std from [a, b] in nn.init.trunc_normal_. "
            "The distribution of values may be incorrect.",
            stacklevel=2,
        )
    with no_grad():
        tensor.trunc_normal_(mean, std, a, b, generator=generator)
    return tensor


@explained
def constant_(tensor: Tensor, val: float) -> Tensor:
    """Fill with one value.

    Args:
        tensor: what to fill.
        val: the value.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl import nn
        >>> nn.init.constant_(ad.empty(2), 0.5)
        tensor([0.5000, 0.5000])
    """
    with no_grad():
        tensor.fill_(val)
    return tensor


@explained
def ones_(tensor: Tensor) -> Tensor:
    """Fill with 1.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl import nn
        >>> nn.init.ones_(ad.empty(2))
        tensor([1., 1.])
    """
    return constant_(tensor, 1.0)


@explained
def zeros_(tensor: Tensor) -> Tensor:
    """Fill with 0.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl import nn
        >>> nn.init.zeros_(ad.empty(2))
        tensor([0., 0.])
    """
    return constant_(tensor, 0.0)


def _copy_values(tensor: Tensor, values: np.ndarray[Any, Any]) -> Tensor:
    with no_grad():
        tensor.copy_(copied(values))
    return tensor


@explained
def eye_(tensor: Tensor) -> Tensor:
    """Fill a matrix with the identity.

    Raises:
        ShapeError: the tensor has not 2 axes.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl import nn
        >>> nn.init.eye_(ad.empty(2, 3))
        tensor([[1., 0., 0.],
                [0., 1., 0.]])
    """
    _check_ndim("eye_", tensor, (2,))
    return _copy_values(tensor, np.eye(*tensor.shape, dtype=np.float32))


@explained
def dirac_(tensor: Tensor, groups: int = 1) -> Tensor:
    """Fill a convolution's weight so that it passes its input channels through.

    Args:
        tensor: (out, in / groups, *kernel), 3 to 5 axes.
        groups: the convolution's groups; each passes its own channels.

    Raises:
        ShapeError: wrong number of axes, or groups do not divide axis 0.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl import nn
        >>> nn.init.dirac_(ad.empty(1, 1, 3))
        tensor([[[0., 1., 0.]]])
    """
    _check_ndim("dirac_", tensor, (3, 4, 5))
    out, channels, *kernel = tensor.shape
    if out % groups:
        raise ShapeError(
            f"dirac_: groups {groups} do not divide axis 0 of {tuple(tensor.shape)}"
        )
    values = np.zeros(tuple(tensor.shape), np.float32)
    center = tuple(size // 2 for size in kernel)
    per_group = out // groups
    for group in range(groups):
        for channel in range(min(per_group, channels)):
            values[(group * per_group + channel, channel, *center)] = 1
    return _copy_values(tensor, values)


def _check_ndim(what: str, tensor: Tensor, allowed: tuple[int, ...]) -> None:
    if tensor.ndim not in allowed:
        names = " or ".join(str(each) for each in allowed)
        raise ShapeError(
            f"{what}: expected a tensor of {names} axes, got {tuple(tensor.shape)}"
        )


def _calculate_fan_in_and_fan_out(tensor: Tensor) -> tuple[int, int]:
    """Inputs and outputs of one unit: of (out, in, *kernel)."""
    shape = tuple(tensor.shape)
    if len(shape) < 2:
        raise ShapeError(
            f"fan in and fan out need a tensor of 2 or more axes, got {shape}"
        )
    receptive = math.prod(shape[2:])
    return shape[1] * receptive, shape[0] * receptive


def _reset_layer(weight: Tensor, bias: Tensor | None) -> None:
    """Draw a layer's parameters anew, uniform in +-1/sqrt(inputs of an output)."""
    kaiming_uniform_(weight, a=math.sqrt(5))
    if bias is not None:
        fan_in, _ = _calculate_fan_in_and_fan_out(weight)
        bound = 1 / math.sqrt(fan_in) if fan_in > 0 else 0
        uniform_(bias, -bound, bound)


def _fan(tensor: Tensor, mode: str) -> int:
    mode = mode.lower()
    if mode not in ("fan_in", "fan_out"):
        raise ValueError(f"kaiming: mode {mode!r} is not supported: fan_in or fan_out")
    fan_in, fan_out = _calculate_fan_in_and_fan_out(tensor)
    return fan_in if mode == "fan_in" else fan_out


@explained
def xavier_uniform_(tensor: Tensor, gain: float = 1.0, generator: Any = None) -> Tensor:
    """Uniform in ±gain·sqrt(6 / (fan_in + fan_out)).

    Args:
        tensor: what to fill.
        gain: a factor, as `calculate_gain` gives it.
        generator: where the numbers come from; default: the default one.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl import nn
        >>> w = nn.init.xavier_uniform_(ad.empty(3, 3))
        >>> bool((w.abs() <= 1).all())
        True

    Source: Glorot and Bengio, Understanding the difficulty of training deep feedforward
    neural networks, 2010.
    """
    bound = gain * math.sqrt(6.0 / sum(_calculate_fan_in_and_fan_out(tensor)))
    return uniform_(tensor, -bound, bound, generator)


@explained
def xavier_normal_(tensor: Tensor, gain: float = 1.0, generator: Any = None) -> Tensor:
    """Normal with std gain·sqrt(2 / (fan_in + fan_out)); see `xavier_uniform_`.

    Args:
        tensor: what to fill.
        gain: a factor, as `calculate_gain` gives it.
        generator: where the numbers come from; default: the default one.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl import nn
        >>> layer = nn.Linear(3, 4)
        >>> nn.init.xavier_normal_(layer.weight).shape
        pyautodl.Size([4, 3])
    """
    std = gain * math.sqrt(2.0 / sum(_calculate_fan_in_and_fan_out(tensor)))
    return normal_(tensor, 0.0, std, generator)


@explained
def kaiming_uniform_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Any = None,
) -> Tensor:
    """Uniform in ±gain·sqrt(3 / fan).

    Args:
        tensor: what to fill.
        a: the negative slope behind this layer (with leaky_relu alone).
        mode: "fan_in" keeps the variance forward, "fan_out" backward.
        nonlinearity: as in `calculate_gain`.
        generator: where the numbers come from.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl import nn
        >>> layer = nn.Conv2d(1, 8, 3)
        >>> nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu").shape
        pyautodl.Size([8, 1, 3, 3])

    Source: He et al., Delving deep into rectifiers, 2015.
    """
    if 0 in tensor.shape:
        return tensor
    std = calculate_gain(nonlinearity, a) / math.sqrt(_fan(tensor, mode))
    bound = math.sqrt(3.0) * std
    return uniform_(tensor, -bound, bound, generator)


@explained
def kaiming_normal_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Any = None,
) -> Tensor:
    """Normal with std gain / sqrt(fan); arguments as `kaiming_uniform_`.

    Args:
        tensor: what to fill.
        a, mode, nonlinearity, generator: as in `kaiming_uniform_`.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl import nn
        >>> layer = nn.Linear(3, 4)
        >>> nn.init.kaiming_normal_(layer.weight, nonlinearity="relu").shape
        pyautodl.Size([4, 3])
    """
    if 0 in tensor.shape:
        return tensor
    std = calculate_gain(nonlinearity, a) / math.sqrt(_fan(tensor, mode))
    return normal_(tensor, 0.0, std, generator)


@explained
def orthogonal_(tensor: Tensor, gain: float = 1, generator: Any = None) -> Tensor:
    """Fill with a (semi-)orthogonal matrix; trailing axes are flattened.

    Args:
        tensor: what to fill.
        gain: what the matrix is multiplied by.
        generator: where the numbers come from; default: the default one.

    Raises:
        ShapeError: fewer than 2 axes.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl import nn
        >>> w = nn.init.orthogonal_(ad.empty(2, 4))
        >>> bool(ad.allclose(w @ w.T, ad.eye(2), atol=1e-5))
        True

    Source: Saxe et al., Exact solutions to the nonlinear dynamics of learning in deep
    linear neural networks, 2013.
    """
    if tensor.ndim < 2:
        raise ShapeError(
            f"orthogonal_: expected 2 or more axes, got {tuple(tensor.shape)}"
        )
    if 0 in tensor.shape:
        return tensor
    rows = tensor.shape[0]
    cols = tensor.numel() // rows
    drawn = normal_(empty(rows, cols, dtype=tensor.dtype), generator=generator)
    matrix = np.array(drawn.tolist()).reshape(rows, cols)
    q, r = np.linalg.qr(matrix.T if rows < cols else matrix)
    # the signs make the distribution uniform: Mezzadri, math-ph/0609050
    q = q * np.sign(np.diagonal(r))
    if rows < cols:
        q = q.T
    return _copy_values(tensor, gain * q.reshape(tuple(tensor.shape)))


@explained
def sparse_(
    tensor: Tensor, sparsity: float, std: float = 0.01, generator: Any = None
) -> Tensor:
    """Fill a matrix with normal numbers and zero a part of each column.

    Args:
        tensor: what to fill.
        sparsity: the fraction of each column that is 0.
        std: of the others.
        generator: where the numbers come from.

    Raises:
        ShapeError: the tensor has not 2 axes.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl import nn
        >>> (nn.init.sparse_(ad.empty(4, 3), 0.5) == 0).sum(0)
        tensor([2, 2, 2])

    Source: Martens, Deep learning via Hessian-free optimization, 2010.
    """
    _check_ndim("sparse_", tensor, (2,))
    rows, cols = tensor.shape
    zeros = math.ceil(sparsity * rows)
    normal_(tensor, 0.0, std, generator)
    keep = np.ones((rows, cols), np.float32)
    for column in range(cols):
        order = randperm(rows, generator=generator).tolist()
        keep[order[:zeros], column] = 0
    with no_grad():
        tensor.mul_(copied(keep).to(tensor.dtype))
    return tensor
