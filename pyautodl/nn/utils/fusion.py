"""A batch norm in evaluation as part of the layer before it, for good."""

from __future__ import annotations

import copy
from typing import Any

from pyautodl.errors import describe
from pyautodl.functional.creation import ones_like, zeros_like
from pyautodl.nn.module import Module
from pyautodl.nn.parameter import Parameter
from pyautodl.tensor import Tensor, explained

__all__ = [
    "fuse_conv_bn_eval",
    "fuse_conv_bn_weights",
    "fuse_linear_bn_eval",
    "fuse_linear_bn_weights",
]


@explained
def fuse_conv_bn_eval(conv: Any, bn: Any, transpose: bool = False) -> Any:
    """Return a convolution that computes what it does with a batch norm behind it.

    Where no gradient is recorded `nn.Sequential` does so by itself; this is for models that
    are saved or exported.

    Args:
        conv: a convolution in evaluation; it stays as it is.
        bn: a batch norm in evaluation, with running statistics.
        transpose: whether it is a transposed convolution.

    Raises:
        ValueError: one of them is in training, or there are no running statistics.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl import nn
        >>> from pyautodl.nn.utils import fuse_conv_bn_eval
        >>> conv, bn = nn.Conv2d(3, 8, 3).eval(), nn.BatchNorm2d(8).eval()
        >>> x = ad.ones(1, 3, 5, 5)
        >>> bool(ad.allclose(fuse_conv_bn_eval(conv, bn)(x), bn(conv(x)), atol=1e-5))
        True
    """
    return _fused("fuse_conv_bn_eval", conv, bn, transpose)


@explained
def fuse_linear_bn_eval(linear: Any, bn: Any) -> Any:
    """Return a linear layer that computes what it does with a batch norm behind it.

    Args:
        linear: a Linear in evaluation; it stays as it is.
        bn: a BatchNorm1d in evaluation, with running statistics.

    Raises:
        ValueError: one of them is in training, or there are no running statistics.

    Example:
        >>> from pyautodl import nn
        >>> from pyautodl.nn.utils import fuse_linear_bn_eval
        >>> fuse_linear_bn_eval(nn.Linear(4, 2).eval(), nn.BatchNorm1d(2).eval())
        Linear(in_features=4, out_features=2, bias=True)
    """
    return _fused("fuse_linear_bn_eval", linear, bn, False)


def _fused(name: str, layer: Any, bn: Any, transpose: bool) -> Any:
    for each in (layer, bn):
        if not isinstance(each, Module):
            raise TypeError(f"{name}: expected modules, got {describe(each)}")
    if layer.training or bn.training:
        raise ValueError(f"{name}: expected both in evaluation; likely fix: .eval()")
    if bn.running_mean is None:
        raise ValueError(f"{name}: the batch norm has no running statistics")
    fused = copy.deepcopy(layer)
    statistics = (bn.running_mean, bn.running_var, bn.eps, bn.weight, bn.bias)
    fused.weight, fused.bias = fuse_conv_bn_weights(
        layer.weight, layer.bias, *statistics, transpose
    )
    return fused


@explained
def fuse_conv_bn_weights(
    conv_w: Tensor,
    conv_b: Tensor | None,
    bn_rm: Tensor,
    bn_rv: Tensor,
    bn_eps: float,
    bn_w: Tensor | None,
    bn_b: Tensor | None,
    transpose: bool = False,
) -> tuple[Parameter, Parameter]:
    """Return weight and bias of a convolution and a batch norm behind it.

    Args:
        conv_w, conv_b: the convolution's.
        bn_rm, bn_rv: running mean and variance.
        bn_eps: the norm's eps.
        bn_w, bn_b: the norm's weight and bias.
        transpose: whether outputs are the second axis of conv_w.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl.nn.utils import fuse_conv_bn_weights
        >>> one = ad.ones(1)
        >>> weight, bias = fuse_conv_bn_weights(
        ...     ad.ones(1, 1, 1), None, one, 4 * one, 0.0, one, one
        ... )
        >>> weight.item(), bias.item()
        (0.5, 0.5)
    """
    scale = (bn_rv + bn_eps).rsqrt() * (ones_like(bn_rm) if bn_w is None else bn_w)
    bias = zeros_like(bn_rm) if conv_b is None else conv_b
    shift = zeros_like(bn_rm) if bn_b is None else bn_b
    shape = [1] * conv_w.ndim
    shape[1 if transpose else 0] = -1
    weight = (conv_w * scale.reshape(shape)).detach()
    moved = ((bias - bn_rm) * scale + shift).detach()
    trained = conv_w if conv_b is None else conv_b
    return (
        Parameter(weight, conv_w.requires_grad),
        Parameter(moved, trained.requires_grad),
    )


@explained
def fuse_linear_bn_weights(
    linear_w: Tensor,
    linear_b: Tensor | None,
    bn_rm: Tensor,
    bn_rv: Tensor,
    bn_eps: float,
    bn_w: Tensor | None,
    bn_b: Tensor | None,
) -> tuple[Parameter, Parameter]:
    """Return weight and bias of a linear layer and a batch norm behind it.

    Args:
        linear_w, linear_b: the layer's.
        bn_rm, bn_rv, bn_eps, bn_w, bn_b: see `fuse_conv_bn_weights`.
    """
    statistics = (bn_rm, bn_rv, bn_eps, bn_w, bn_b)
    return fuse_conv_bn_weights(linear_w, linear_b, *statistics)
