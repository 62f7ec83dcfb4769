"""Normalisation layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pyautodl.errors import ShapeError
from pyautodl.functional.creation import ones, tensor, zeros
from pyautodl.functional.eltwise.unary import check_tensor
from pyautodl.functional.networks.norm import (
    batch_norm_counted,
    group_norm,
    instance_norm,
    layer_norm,
    local_response_norm,
    rms_norm,
)
from pyautodl.nn.module import Module
from pyautodl.nn.parameter import Parameter
from pyautodl.ops.integers import integer, several
from pyautodl.tensor import Tensor

__all__ = [
    "BatchNorm1d",
    "BatchNorm2d",
    "BatchNorm3d",
    "GroupNorm",
    "InstanceNorm1d",
    "InstanceNorm2d",
    "InstanceNorm3d",
    "LayerNorm",
    "LocalResponseNorm",
    "RMSNorm",
]


def _check_axes(layer: Module, input: Tensor, axes: tuple[int, ...]) -> None:
    check_tensor(type(layer).__name__, input)
    if input.ndim not in axes:
        expected = " or ".join(map(str, axes))
        raise ShapeError(
            f"{type(layer).__name__}: expected an input of {expected} axes, got shape "
            f"{tuple(input.shape)}{_axes_fix(type(layer).__name__, input.ndim)}"
        )


def _axes_fix(name: str, ndim: int) -> str:
    """The layer for that many axes, as before a Flatten or behind it."""
    kind = {2: "1d", 3: "1d", 4: "2d", 5: "3d"}.get(ndim)
    if kind is None or name[-2:] not in ("1d", "2d", "3d"):
        return ""
    return f"; likely fix: {name[:-2]}{kind}"


class _Norm(Module):
    """Weight, bias and running statistics of channels."""

    _version = 2
    weight: Parameter | None
    bias: Parameter | None
    running_mean: Tensor | None
    running_var: Tensor | None
    num_batches_tracked: Tensor | None

    def __init__(
        self,
        num_features: int,
        eps: float,
        momentum: float | None,
        affine: bool,
        track_running_stats: bool,
        bias: bool,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.num_features = num_features
        self.eps = eps
        self.momentum = momentum
        self.affine = affine
        self.track_running_stats = track_running_stats
        self._make_parameters(affine and bias, {"device": device, "dtype": dtype})

    def _make_parameters(self, bias: bool, kind: dict[str, Any]) -> None:
        features, kept = self.num_features, self.track_running_stats
        self.weight = Parameter(ones(features, **kind)) if self.affine else None
        self.bias = Parameter(zeros(features, **kind)) if bias else None
        self.register_buffer("running_mean", zeros(features, **kind) if kept else None)
        self.register_buffer("running_var", ones(features, **kind) if kept else None)
        self.register_buffer("num_batches_tracked", tensor(0) if kept else None)

    def _load_from_state_dict(
        self,
        state_dict: dict[str, Any],
        prefix: str,
        local_metadata: dict[str, Any],
        *rest: Any,
    ) -> None:
        """As PyTorch, take what was saved before there was a count of batches."""
        key = f"{prefix}num_batches_tracked"
        if (
            local_metadata.get("version", 1) < 2
            and self.num_batches_tracked is not None
        ):
            state_dict.setdefault(key, self.num_batches_tracked)
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *rest)

    def reset_running_stats(self) -> None:
        """Set the running statistics back to mean 0 and variance 1."""
        if self.running_mean is None or self.running_var is None:
            return
        self.running_mean.zero_()
        self.running_var.fill_(1)
        if self.num_batches_tracked is not None:
            self.num_batches_tracked.zero_()

    def reset_parameters(self) -> None:
        """Set the running statistics back, weights to 1 and biases to 0."""
        self.reset_running_stats()
        _reset(self.weight, self.bias)

    def extra_repr(self) -> str:
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, "
            f"affine={self.affine}, bias={self.bias is not None}, "
            f"track_running_stats={self.track_running_stats}"
        )


def _reset(weight: Tensor | None, bias: Tensor | None) -> None:
    if weight is not None:
        weight.detach().fill_(1)
    if bias is not None:
        bias.detach().zero_()


class _BatchNorm(_Norm):
    """What batch norms of every dimension share."""

    _axes: tuple[int, ...]

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        kept = track_running_stats
        super().__init__(num_features, eps, momentum, affine, kept, bias, device, dtype)

    def forward(self, input: Tensor) -> Tensor:
        return self._normalise(input)

    def _normalise(self, input: Tensor, relu: bool = False) -> Tensor:
        """`forward`, if asked for with the ReLU behind it."""
        _check_axes(self, input, self._axes)
        running = (self.running_mean, self.running_var)
        batches = self.num_batches_tracked
        if self.training and not self.track_running_stats:
            running, batches = (None, None), None
        return batch_norm_counted(
            input,
            *running,
            self.weight,
            self.bias,
            self.training or self.running_mean is None,
            self.momentum,
            self.eps,
            batches,
            relu,
        )


class BatchNorm1d(_BatchNorm):
    """Batch norm of channels of vectors or sequences.

    The batch is normalised by its biased variance (divided by n); the running variance,
    used in eval(), is unbiased (divided by n - 1), as in PyTorch.

    Args:
        num_features: how many channels.
        eps: keeps the denominator from 0.
        momentum: how far the running statistics move; None: they are the average over
            all batches.
        affine: whether there are a weight and a bias for each channel.
        track_running_stats: whether there are running statistics; else the batch's are
            used in eval() too.
        device: 'cpu'.
        dtype: element type of parameters and statistics.
        bias: whether there is a bias beside the weight.

    Shape:
        (n, c) or (n, c, l) -> the same.

    Raises:
        ValueError: training with one value a channel.

    Example:
        >>> import pyautodl as ad
        >>> ad.nn.BatchNorm1d(1, eps=1e-12)(ad.tensor([[1.0], [3.0]])).tolist()
        [[-1.0], [1.0]]

    Source:
        Ioffe and Szegedy, Batch Normalization (2015)
    """

    _axes = (2, 3)


class BatchNorm2d(_BatchNorm):
    """Batch norm of channels of images; arguments as of `BatchNorm1d`.

    Shape:
        (n, c, h, w) -> the same.

    Raises:
        ValueError: training with one value a channel.

    Example:
        >>> import pyautodl as ad
        >>> ad.nn.BatchNorm2d(3)
        BatchNorm2d(3, ..., affine=True, bias=True, track_running_stats=True)

    Source:
        Ioffe and Szegedy, Batch Normalization (2015)
    """

    _axes = (4,)


class BatchNorm3d(_BatchNorm):
    """Batch norm of channels of volumes; arguments as of `BatchNorm1d`.

    Shape:
        (n, c, d, h, w) -> the same.

    Raises:
        ValueError: training with one value a channel.

    Example:
        >>> import pyautodl as ad
        >>> tuple(ad.nn.BatchNorm3d(2)(ad.ones(1, 2, 2, 2, 2)).shape)
        (1, 2, 2, 2, 2)

    Source:
        Ioffe and Szegedy, Batch Normalization (2015)
    """

    _axes = (5,)


class _InstanceNorm(_Norm):
    """What instance norms of every dimension share."""

    _axes: tuple[int, ...]

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        kept = track_running_stats
        super().__init__(num_features, eps, momentum, affine, kept, bias, device, dtype)

    def forward(self, input: Tensor) -> Tensor:
        _check_axes(self, input, self._axes)
        alone = input.ndim == self._axes[0]
        result = instance_norm(
            input.unsqueeze(0) if alone else input,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            self.training or not self.track_running_stats,
            0.0 if self.momentum is None else self.momentum,
            self.eps,
        )
        return result.squeeze(0) if alone else result


class InstanceNorm1d(_InstanceNorm):
    """Normalise each channel of each sequence by itself.

    Args:
        num_features: how many channels.
        eps: keeps the denominator from 0.
        momentum: how far the running statistics move.
        affine: whether there are a weight and a bias for each channel.
        track_running_stats: whether running statistics are kept, and used in eval().
        device: 'cpu'.
        dtype: element type of parameters and statistics.
        bias: whether there is a bias beside the weight.

    Shape:
        (n, c, l) or (c, l) -> the same.

    Raises:
        ValueError: one value a channel.

    Example:
        >>> import pyautodl as ad
        >>> ad.nn.InstanceNorm1d(1, eps=1e-12)(ad.tensor([[1.0, 3.0]])).tolist()
        [[-1.0, 1.0]]

    Source:
        Ulyanov et al., Instance Normalization (2016)
    """

    _axes = (2, 3)


class InstanceNorm2d(_InstanceNorm):
    """Normalise each channel of each image by itself; arguments as of `InstanceNorm1d`.

    Shape:
        (n, c, h, w) or (c, h, w) -> the same.

    Raises:
        ValueError: one value a channel.

    Example:
        >>> import pyautodl as ad
        >>> tuple(ad.nn.InstanceNorm2d(2)(ad.ones(1, 2, 3, 3)).shape)
        (1, 2, 3, 3)

    Source:
        Ulyanov et al., Instance Normalization (2016)
    """

    _axes = (3, 4)


class InstanceNorm3d(_InstanceNorm):
    """Normalise each channel of each volume; arguments as of `InstanceNorm1d`.

    Shape:
        (n, c, d, h, w) or (c, d, h, w) -> the same.

    Raises:
        ValueError: one value a channel.

    Example:
        >>> import pyautodl as ad
        >>> tuple(ad.nn.InstanceNorm3d(2)(ad.ones(1, 2, 3, 3, 3)).shape)
        (1, 2, 3, 3, 3)

    Source:
        Ulyanov et al., Instance Normalization (2016)
    """

    _axes = (4, 5)


class GroupNorm(Module):
    """Normalise each group of channels of each sample.

    Args:
        num_groups: into how many groups the channels are divided.
        num_channels: how many channels.
        eps: keeps the denominator from 0.
        affine: whether there are a weight and a bias for each channel.
        device: 'cpu'.
        dtype: element type of the parameters.
        bias: whether there is a bias beside the weight.

    Shape:
        (n, c) or (n, c, ...) -> the same.

    Raises:
        ShapeError: the channels do not divide into the groups.

    Example:
        >>> import pyautodl as ad
        >>> ad.nn.GroupNorm(2, 4)
        GroupNorm(2, 4, eps=1e-05, affine=True, bias=True)

    Source:
        Wu and He, Group Normalization (2018)
    """

    weight: Parameter | None
    bias: Parameter | None

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__()
        num_groups = integer("GroupNorm", "num_groups", num_groups)
        num_channels = integer("GroupNorm", "num_channels", num_channels)
        if num_groups < 1 or num_channels % num_groups:
            raise ShapeError(
                f"GroupNorm: expected channels that divide into {num_groups} groups, "
                f"got {num_channels}"
            )
        self.num_groups = num_groups
        self.num_channels = num_channels
        self.eps = eps
        self.affine = affine
        kind = {"device": device, "dtype": dtype}
        self.weight = Parameter(ones(num_channels, **kind)) if affine else None
        self.bias = Parameter(zeros(num_channels, **kind)) if affine and bias else None

    def reset_parameters(self) -> None:
        """Set weights to 1 and biases to 0."""
        _reset(self.weight, self.bias)

    def forward(self, input: Tensor) -> Tensor:
        return group_norm(input, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return (
            f"{self.num_groups}, {self.num_channels}, eps={self.eps}, "
            f"affine={self.affine}, bias={self.bias is not None}"
        )


class LayerNorm(Module):
    """Normalise over the last axes.

    Args:
        normalized_shape: the sizes of these axes.
        eps: keeps the denominator from 0.
        elementwise_affine: whether there are a weight and a bias for each element.
        bias: whether there is a bias beside the weight.
        device: 'cpu'.
        dtype: element type of the parameters.

    Shape:
        (..., *normalized_shape) -> the same.

    Raises:
        ShapeError: the last axes have other sizes.

    Example:
        >>> import pyautodl as ad
        >>> ad.nn.LayerNorm(4)(ad.full((1, 4), 1234.0))
        tensor([[0., 0., 0., 0.]], grad_fn=<LayerNormBackward>)

    Source:
        Ba, Kiros and Hinton, Layer Normalization (2016)
    """

    weight: Parameter | None
    bias: Parameter | None

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.normalized_shape = several(
            type(self).__name__, "normalized_shape", normalized_shape
        )
        self.eps = eps
        self.elementwise_affine = elementwise_affine
        kind = {"device": device, "dtype": dtype}
        affine, size = elementwise_affine, self.normalized_shape
        self.weight = Parameter(ones(size, **kind)) if affine else None
        self.bias = Parameter(zeros(size, **kind)) if affine and bias else None

    def reset_parameters(self) -> None:
        """Set weights to 1 and biases to 0."""
        _reset(self.weight, self.bias)

    def forward(self, input: Tensor) -> Tensor:
        return layer_norm(
            input, self.normalized_shape, self.weight, self.bias, self.eps
        )

    def extra_repr(self) -> str:
        return (
            f"{self.normalized_shape}, eps={self.eps}, "
            f"elementwise_affine={self.elementwise_affine}, "
            f"bias={self.bias is not None}"
        )


class RMSNorm(Module):
    """Divide by the root of the mean square over the last axes.

    Args:
        normalized_shape: the sizes of these axes.
        eps: keeps the denominator from 0; if None, the smallest step from 1.
        elementwise_affine: whether there is a weight for each element.
        device: 'cpu'.
        dtype: element type of the weight.

    Shape:
        (..., *normalized_shape) -> the same.

    Raises:
        ShapeError: the last axes have other sizes.

    Example:
        >>> import pyautodl as ad
        >>> ad.nn.RMSNorm(2)(ad.tensor([3.0, -3.0])).tolist()
        [1.0, -1.0]

    Source:
        Zhang and Sennrich, Root Mean Square Layer Normalization (2019)
    """

    weight: Parameter | None

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float | None = None,
        elementwise_affine: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.normalized_shape = several(
            type(self).__name__, "normalized_shape", normalized_shape
        )
        self.eps = eps
        self.elementwise_affine = elementwise_affine
        self.weight = None
        if elementwise_affine:
            values = ones(self.normalized_shape, device=device, dtype=dtype)
            self.weight = Parameter(values)

    def reset_parameters(self) -> None:
        """Set weights to 1."""
        _reset(self.weight, None)

    def forward(self, input: Tensor) -> Tensor:
        return rms_norm(input, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self) -> str:
        return (
            f"{self.normalized_shape}, eps={self.eps}, "
            f"elementwise_affine={self.elementwise_affine}"
        )


class LocalResponseNorm(Module):
    """Divide by a power of the mean square over neighbouring channels.

    Args:
        size: how many channels count as neighbours, the own one included.
        alpha: factor of the mean.
        beta: exponent.
        k: keeps the denominator from 0.

    Shape:
        (n, c, ...) -> the same.

    Example:
        >>> import pyautodl as ad
        >>> ad.nn.LocalResponseNorm(5)
        LocalResponseNorm(5, alpha=0.0001, beta=0.75, k=1.0)

    Source:
        Krizhevsky et al., ImageNet Classification (2012)
    """

    def __init__(
        self, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
    ) -> None:
        super().__init__()
        self.size = size
        self.alpha = alpha
        self.beta = beta
        self.k = k

    def forward(self, input: Tensor) -> Tensor:
        return local_response_norm(input, self.size, self.alpha, self.beta, self.k)

    def extra_repr(self) -> str:
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"
