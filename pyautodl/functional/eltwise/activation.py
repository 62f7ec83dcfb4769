"""Activation functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pyautodl.errors import ShapeError, describe
from pyautodl.functional.eltwise.unary import check_tensor
from pyautodl.graph import makes
from pyautodl.ops.eltwise.activation import ACTIVATIONS
from pyautodl.ops.integers import integer
from pyautodl.tensor import Tensor, apply, call, explained, method, overwrite

__all__ = [
    "celu",
    "celu_",
    "elu",
    "elu_",
    "gelu",
    "glu",
    "hardshrink",
    "hardsigmoid",
    "hardswish",
    "hardtanh",
    "hardtanh_",
    "leaky_relu",
    "leaky_relu_",
    "logsigmoid",
    "maxout",
    "mish",
    "prelu",
    "relu",
    "relu6",
    "relu_",
    "selu",
    "selu_",
    "silu",
    "softplus",
    "softshrink",
    "softsign",
    "tanhshrink",
    "threshold",
    "threshold_",
]


def _activate(name: str, input: Tensor, inplace: bool = False, **attrs: Any) -> Tensor:
    op = ACTIVATIONS[name]
    if inplace:
        return overwrite(f"{name}_", op, check_tensor(name, input), **attrs)
    return apply(op, check_tensor(name, input), **attrs)


def _in_place(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """The function that always changes its input."""

    def changed(input: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        return function(input, *args, inplace=True, **kwargs)

    changed.__name__ = changed.__qualname__ = f"{function.__name__}_"
    changed.__doc__ = (
        f"Apply `{function.__name__}` in place, with its arguments; return the tensor."
    )
    return changed


_RELU = ACTIVATIONS["relu"]


@method
def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """Return max(x, 0); the gradient at 0 is 0.

    Args:
        input: a tensor of numbers.
        inplace: change the input.

    Raises:
        DTypeError: the tensor is bool.

    Example:
        >>> import pyautodl as ad
        >>> ad.relu(ad.tensor([-1.0, 2.0]))
        tensor([0., 2.])
    """
    x = check_tensor("relu", input)
    edge = x._edge
    # before a call in place changes both
    masks = (
        edge is not None and edge[0].op.behind_relu is not None and makes(edge[0], x)
    )
    y = overwrite("relu_", _RELU, input) if inplace else apply(_RELU, x)
    if masks and y._edge is not None and y._edge[0].op is _RELU:
        y._edge[0].masked_below = True
    return y


def leaky_relu(
    input: Tensor, negative_slope: float = 0.1, inplace: bool = False
) -> Tensor:
    """Return x above 0, `negative_slope` x from 0 down.

    The default slope is 0.1, as leaky ReLU is max(0.1 x, x) in the lecture; PyTorch's is
    0.01.

    Args:
        input: a floating tensor.
        negative_slope: the slope below 0, and the gradient at 0.
        inplace: change the input.

    Raises:
        DTypeError: the tensor is not floating.

    Example:
        >>> import pyautodl as ad
        >>> ad.nn.functional.leaky_relu(ad.tensor([-1.0, 2.0]))
        tensor([-0.1000,  2.0000])
    """
    try:
        slope = float(negative_slope)
    except (TypeError, ValueError):
        raise TypeError(
            "leaky_relu: negative_slope must be a number, got "
            f"{describe(negative_slope)}"
        ) from None
    return _activate("leaky_relu", input, inplace, negative_slope=slope)


@explained
def relu6(input: Tensor, inplace: bool = False) -> Tensor:
    """Return min(max(x, 0), 6); the gradient at 0 and 6 is 0.

    Args:
        input: a floating tensor.
        inplace: change the input.

    Raises:
        DTypeError: the tensor is not floating.

    Example:
        >>> import pyautodl as ad
        >>> ad.nn.functional.relu6(ad.tensor([-1.0, 2.0, 9.0]))
        tensor([0., 2., 6.])
    """
    return hardtanh(input, 0.0, 6.0, inplace)


@explained
def hardtanh(
    input: Tensor, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False
) -> Tensor:
    """Return x between two bounds; the gradient at them is 0.

    Args:
        input: a floating tensor.
        min_val: the lower bound.
        max_val: the upper bound.
        inplace: change the input.

    Raises:
        DTypeError: the tensor is not floating.
        ValueError: the bounds are in the wrong order.

    Example:
        >>> import pyautodl as ad
        >>> ad.nn.functional.hardtanh(ad.tensor([-2.0, 0.5]))
        tensor([-1.0000,  0.5000])
    """
    if min_val > max_val:
        raise ValueError(f"hardtanh: min_val {min_val} is above max_val {max_val}")
    return _activate("hardtanh", input, inplace, min=float(min_val), max=float(max_val))


@explained
def elu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """Return x above 0, alpha (exp(x) - 1) from 0 down.

    Args:
        input: a floating tensor.
        alpha: what it falls to is -alpha; also the gradient at 0.
        inplace: change the input.

    Raises:
        DTypeError: the tensor is not floating.

    Example:
        >>> import pyautodl as ad
        >>> ad.nn.functional.elu(ad.tensor([-1.0, 2.0]))
        tensor([-0.6321,  2.0000])

    Source: Clevert, Unterthiner, Hochreiter, 2015, arXiv:1511.07289.
    """
    return _activate(
        "elu", input, inplace, alpha=float(alpha), scale=1.0, input_scale=1.0
    )


_SELU_ALPHA = 1.6732632423543772848170429916717
_SELU_SCALE = 1.0507009873554804934193349852946


@method
@explained
def selu(input: Tensor, inplace: bool = False) -> Tensor:
    """Return ELU scaled so that mean 0 and variance 1 are kept from layer to layer.

    Args:
        input: a floating tensor.
        inplace: change the input.

    Raises:
        DTypeError: the tensor is not floating.

    Example:
        >>> import pyautodl as ad
        >>> ad.selu(ad.tensor([-1.0, 2.0]))
        tensor([-1.1113,  2.1014])

    Source: Klambauer et al., 2017, arXiv:1706.02515.
    """
    return _activate(
        "elu", input, inplace, alpha=_SELU_ALPHA, scale=_SELU_SCALE, input_scale=1.0
    )


@method
@explained
def celu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """Return x above 0, alpha (exp(x / alpha) - 1) from 0 down.

    Args:
        input: a floating tensor.
        alpha: what it falls to is -alpha; not 0.
        inplace: change the input.

    Raises:
        DTypeError: the tensor is not floating.
        ValueError: alpha is 0.

    Example:
        >>> import pyautodl as ad
        >>> ad.celu(ad.tensor([-1.0, 2.0]), alpha=2.0)
        tensor([-0.7869,  2.0000])

    Source: Barron, 2017, arXiv:1704.07483.
    """
    if alpha == 0:
        raise ValueError("celu: alpha must not be 0")
    return _activate(
        "elu", input, inplace, alpha=float(alpha), scale=1.0, input_scale=1.0 / alpha
    )


def gelu(input: Tensor, approximate: str = "none") -> Tensor:
    """Return x times the normal distribution up to x.

    Args:
        input: a floating tensor.
        approximate: 'none', or 'tanh' for the approximation by tanh.

    Raises:
        DTypeError: the tensor is not floating.
        ValueError: another approximation.

    Example:
        >>> import pyautodl as ad
        >>> ad.nn.functional.gelu(ad.tensor([-1.0, 2.0]))
        tensor([-0.1587,  1.9545])

    Source: Hendrycks, Gimpel, 2016, arXiv:1606.08415.
    """
    if approximate not in ("none", "tanh"):
        raise ValueError(
            f"gelu: approximate must be 'none' or 'tanh': {describe(approximate)}"
        )
    return _activate("gelu" if approximate == "none" else "gelu_tanh", input)


def silu(input: Tensor, inplace: bool = False) -> Tensor:
    """Return x sigmoid(x).

    Args:
        input: a floating tensor.
        inplace: change the input.

    Raises:
        DTypeError: the tensor is not floating.

    Example:
        >>> import pyautodl as ad
        >>> ad.nn.functional.silu(ad.tensor([-1.0, 2.0]))
        tensor([-0.2689,  1.7616])

    Source: Elfwing, Uchibe, Doya, 2017, arXiv:1702.03118.
    """
    return _activate("silu", input, inplace)


def mish(input: Tensor, inplace: bool = False) -> Tensor:
    """Return x tanh(softplus(x)).

    Args:
        input: a floating tensor.
        inplace: change the input.

    Raises:
        DTypeError: the tensor is not floating.

    Example:
        >>> import pyautodl as ad
        >>> ad.nn.functional.mish(ad.tensor([-1.0, 2.0]))
        tensor([-0.3034,  1.9440])

    Source: Misra, 2019, arXiv:1908.08681.
    """
    return _activate("mish", input, inplace)


def hardswish(input: Tensor, inplace: bool = False) -> Tensor:
    """Return x min(max(x + 3, 0), 6) / 6; the gradient is 0 at -3 and 1 at 3.

    Args:
        input: a floating tensor.
        inplace: change the input.

    Raises:
        DTypeError: the tensor is not floating.

    Example:
        >>> import pyautodl as ad
        >>> ad.nn.functional.hardswish(ad.tensor([-1.0, 2.0]))
        tensor([-0.3333,  1.6667])

    Source: Howard et al., 2019, arXiv:1905.02244.
    """
    return _activate("hardswish", input, inplace)


def hardsigmoid(input: Tensor, inplace: bool = False) -> Tensor:
    """Return min(max(x + 3, 0), 6) / 6; the gradient at -3 and 3 is 0.

    Args:
        input: a floating tensor.
        inplace: change the input.

    Raises:
        DTypeError: the tensor is not floating.

    Example:
        >>> import pyautodl as ad
        >>> ad.nn.functional.hardsigmoid(ad.tensor([-1.0, 4.0]))
        tensor([0.3333, 1.0000])
    """
    return _activate("hardsigmoid", input, inplace)


@explained
def softplus(input: Tensor, beta: float = 1.0, threshold: float = 20.0) -> Tensor:
    """Return log(1 + exp(beta x)) / beta, a smooth ReLU.

    Args:
        input: a floating tensor.
        beta: how sharp it bends.
        threshold: above it, for beta x, the result is x.

    Raises:
        DTypeError: the tensor is not floating.

    Example:
        >>> import pyautodl as ad
        >>> ad.nn.functional.softplus(ad.tensor([-1.0, 2.0]))
        tensor([0.3133, 2.1269])
    """
    return _activate("softplus", input, beta=float(beta), threshold=float(threshold))


def logsigmoid(input: Tensor) -> Tensor:
    """Return log(sigmoid(x)), finite however small x is.

    Args:
        input: a floating tensor.

    Raises:
        DTypeError: the tensor is not floating.

    Example:
        >>> import pyautodl as ad
        >>> ad.nn.functional.logsigmoid(ad.tensor([-200.0, 0.0]))
        tensor([-200.0000,   -0.6931])
    """
    return _activate("logsigmoid", input)


def softsign(input: Tensor) -> Tensor:
    """Return x / (1 + |x|).

    Args:
        input: a floating tensor.

    Raises:
        DTypeError: the tensor is not floating.

    Example:
        >>> import pyautodl as ad
        >>> ad.nn.functional.softsign(ad.tensor([-1.0, 3.0]))
        tensor([-0.5000,  0.7500])
    """
    return _activate("softsign", input)


@explained
def threshold(
    input: Tensor, threshold: float, value: float, inplace: bool = False
) -> Tensor:
    """Return x above a threshold, else a value.

    Args:
        input: a floating tensor.
        threshold: what x must exceed.
        value: what stands for the others.
        inplace: change the input.

    Raises:
        DTypeError: the tensor is not floating.

    Example:
        >>> import pyautodl as ad
        >>> ad.nn.functional.threshold(ad.tensor([0.1, 3.0]), 1.0, -5.0)
        tensor([-5.,  3.])
    """
    bounds = {"threshold": float(threshold), "value": float(value)}
    return _activate("threshold", input, inplace, **bounds)


@explained
def tanhshrink(input: Tensor) -> Tensor:
    """Return x - tanh(x).

    Args:
        input: a floating tensor.

    Raises:
        DTypeError: the tensor is not floating.

    Example:
        >>> import pyautodl as ad
        >>> ad.nn.functional.tanhshrink(ad.tensor([1.0]))
        tensor([0.2384])
    """
    return call("sub", check_tensor("tanhshrink", input), call("tanh", input))


@explained
def hardshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    """Return x where |x| exceeds `lambd`, else 0.

    Args:
        input: a floating tensor.
        lambd: the bound.

    Raises:
        DTypeError: the tensor is not floating.

    Example:
        >>> import pyautodl as ad
        >>> ad.nn.functional.hardshrink(ad.tensor([-1.0, 0.2]))
        tensor([-1.,  0.])
    """
    return _activate("hardshrink", input, lambd=float(lambd))


@explained
def softshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    """Return x moved towards 0 by `lambd`, at most to it.

    Args:
        input: a floating tensor.
        lambd: the distance, not negative.

    Raises:
        DTypeError: the tensor is not floating.
        ValueError: `lambd` is negative.

    Example:
        >>> import pyautodl as ad
        >>> ad.nn.functional.softshrink(ad.tensor([-1.0, 0.2]))
        tensor([-0.5000,  0.0000])
    """
    if lambd < 0:
        raise ValueError(f"softshrink: lambd must not be negative, got {lambd}")
    return _activate("softshrink", input, lambd=float(lambd))


@method
@explained
def prelu(input: Tensor, weight: Tensor) -> Tensor:
    """Return x above 0, weight x from 0 down, with a slope that is learned.

    Args:
        input: a floating tensor.
        weight: one slope, or one for each channel (axis 1).

    Raises:
        ShapeError: as many weights as neither 1 nor the channels.

    Example:
        >>> import pyautodl as ad
        >>> ad.prelu(ad.tensor([-1.0, 2.0]), ad.tensor([0.25]))
        tensor([-0.2500,  2.0000])

    Source: He et al., 2015, arXiv:1502.01852.
    """
    x = check_tensor("prelu", input)
    channels = x.shape[1] if x.ndim > 1 else 1
    if weight.ndim > 1 or weight.numel() not in (1, channels):
        raise ShapeError(
            f"prelu: weight must hold 1 or {channels} slopes, got shape "
            f"{tuple(weight.shape)} for input {tuple(x.shape)}"
        )
    shape = (1,) * x.ndim
    if x.ndim > 1:
        shape = (1, weight.numel(), *shape[2:])
    return call("prelu", x, call("reshape", weight, shape=shape))


@explained
def glu(input: Tensor, dim: int = -1) -> Tensor:
    """Return the first half along an axis times the sigmoid of the second.

    Args:
        input: a floating tensor.
        dim: the axis, of even size.

    Raises:
        ShapeError: the size is odd.

    Shape:
        (..., 2 n, ...) -> (..., n, ...)

    Example:
        >>> import pyautodl as ad
        >>> ad.nn.functional.glu(ad.tensor([1.0, 2.0, 0.0, 0.0]))
        tensor([0.5000, 1.0000])

    Source: Dauphin et al., 2016, arXiv:1612.08083.
    """
    x = check_tensor("glu", input)
    dim = integer("glu", "dim", dim)
    if x.ndim == 0 or x.shape[dim] % 2:
        raise ShapeError(
            f"glu: axis {dim} must have an even size (input {tuple(x.shape)})"
        )
    value, gate = x.chunk(2, dim)
    return call("mul", value, call("sigmoid", gate))


@explained
def maxout(input: Tensor, pieces: int = 2, dim: int = -1) -> Tensor:
    """Return the greatest of each `pieces` neighbours along an axis.

    Args:
        input: a tensor.
        pieces: how many elements compete.
        dim: the axis; its size is a multiple of `pieces`.

    Shape:
        (..., n pieces, ...) -> (..., n, ...)

    Raises:
        ShapeError: the size is no multiple.
        ValueError: `pieces` is below 1.

    Example:
        >>> import pyautodl as ad
        >>> ad.nn.functional.maxout(ad.tensor([1.0, 3.0, -1.0, -2.0]))
        tensor([ 3., -1.])

    Source: Goodfellow et al., 2013, arXiv:1302.4389.
    """
    x = check_tensor("maxout", input)
    pieces, dim = integer("maxout", "pieces", pieces), integer("maxout", "dim", dim)
    if pieces < 1:
        raise ValueError(f"maxout: pieces must be at least 1, got {pieces}")
    if x.ndim == 0 or x.shape[dim] % pieces:
        raise ShapeError(
            f"maxout: axis {dim} must be a multiple of {pieces} pieces "
            f"(input {tuple(x.shape)})"
        )
    axis = dim % x.ndim
    shape = tuple(x.shape)
    grouped = (*shape[:axis], shape[axis] // pieces, pieces, *shape[axis + 1 :])
    groups = call("reshape", x, shape=grouped)
    return call("max_dim", groups, dim=axis + 1)[0]


relu_ = _in_place(relu)
leaky_relu_ = _in_place(leaky_relu)
hardtanh_ = _in_place(hardtanh)
elu_ = _in_place(elu)
selu_ = _in_place(selu)
celu_ = _in_place(celu)
threshold_ = _in_place(threshold)
for _function in (relu_, selu_, celu_):
    method(_function.__name__)(_function)
