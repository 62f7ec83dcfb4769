"""Lazy layers: layers that learn the size of their input from the first one they see."""

from __future__ import annotations

from typing import Any

from pyautodl.autograd.grad_mode import no_grad
from pyautodl.errors import ShapeError
from pyautodl.functional.creation import tensor
from pyautodl.functional.eltwise.unary import check_tensor
from pyautodl.nn.conv import (
    Conv1d,
    Conv2d,
    Conv3d,
    ConvTranspose1d,
    ConvTranspose2d,
    ConvTranspose3d,
)
from pyautodl.nn.linear import Linear
from pyautodl.nn.module import Module
from pyautodl.nn.norm import (
    BatchNorm1d,
    BatchNorm2d,
    BatchNorm3d,
    InstanceNorm1d,
    InstanceNorm2d,
    InstanceNorm3d,
    _check_axes,
)
from pyautodl.nn.parameter import UninitializedBuffer, UninitializedParameter
from pyautodl.tensor import Tensor

__all__ = [
    "LazyBatchNorm1d",
    "LazyBatchNorm2d",
    "LazyBatchNorm3d",
    "LazyConv1d",
    "LazyConv2d",
    "LazyConv3d",
    "LazyConvTranspose1d",
    "LazyConvTranspose2d",
    "LazyConvTranspose3d",
    "LazyInstanceNorm1d",
    "LazyInstanceNorm2d",
    "LazyInstanceNorm3d",
    "LazyLinear",
]

_UNINITIALIZED = (UninitializedParameter, UninitializedBuffer)


class LazyModuleMixin(Module):
    """What makes a layer lazy: its parameters get their shapes at the first call, which
    then makes it a layer of the class `cls_to_become`.

    The sizes of the input are taken over by `_take_sizes`, from the axes of the input or of
    parameters that are loaded.
    """

    cls_to_become: type[Module]
    # the name of the size that the input decides
    _unknown: str

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.register_forward_pre_hook(_initialize, with_kwargs=True)

    def has_uninitialized_params(self) -> bool:
        """Return whether a parameter or buffer has no shape yet."""
        return any(isinstance(each, _UNINITIALIZED) for each in self._unshaped())

    def _unshaped(self) -> list[Tensor | None]:
        return [*self._parameters.values(), *self._buffers.values()]

    def reset_parameters(self) -> None:
        """Draw the parameters anew, once they have shapes."""
        if not self.has_uninitialized_params():
            super().reset_parameters()  # type: ignore[misc]

    def initialize_parameters(self, input: Tensor) -> None:
        """Give the parameters the shapes that an input asks for, and draw them.

        Args:
            input: what the layer is called with.
        """
        self._take_size(self._size_in(input))
        if self.has_uninitialized_params():
            with no_grad():
                for name, shape in self._shapes().items():
                    each = getattr(self, name)
                    if isinstance(each, _UNINITIALIZED):
                        each.materialize(shape)
                self.reset_parameters()

    def _size_in(self, input: Tensor) -> int:
        """The size of an input that decides."""
        raise NotImplementedError

    def _shapes(self) -> dict[str, tuple[int, ...]]:
        """The shapes of parameters and buffers by name."""
        raise NotImplementedError

    def _take_size(self, size: int) -> None:
        setattr(self, self._unknown, size)

    def _become(self) -> None:
        for key, hook in list(self._forward_pre_hooks.items()):
            if hook.call is _initialize:
                del self._forward_pre_hooks[key]
        self.__class__ = self.cls_to_become  # type: ignore[assignment]

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, *rest: Any
    ) -> None:
        """Take shapes from what is loaded; what has none there either stays as it is."""
        state = dict(state_dict)
        for name, target in self._own_state().items():
            value = state_dict.get(prefix + name)
            lazy = isinstance(target, _UNINITIALIZED)
            if lazy and isinstance(value, _UNINITIALIZED):
                state[prefix + name] = target
            elif lazy and hasattr(value, "shape"):
                target.materialize(tuple(value.shape))  # type: ignore[union-attr]
            elif isinstance(value, _UNINITIALIZED):
                raise ShapeError(
                    f"{type(self).__name__}: {prefix + name} has a shape here and none in "
                    "the state_dict; likely fix: load into a new model"
                )
        super()._load_from_state_dict(state, prefix, *rest)


def _initialize(
    layer: LazyModuleMixin, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    """The hook before the first call."""
    input: Any = args[0] if args else kwargs.get("input")
    check_tensor(type(layer).__name__, input)
    layer.initialize_parameters(input)
    layer._become()


def _parameters(layer: Module, names: dict[str, bool], kind: dict[str, Any]) -> None:
    """Parameters without shapes, None for those that the layer has not."""
    for name, wanted in names.items():
        made = UninitializedParameter(**kind) if wanted else None
        layer.register_parameter(name, made)


class LazyLinear(LazyModuleMixin, Linear):
    """A Linear whose `in_features` is the size of its first input's last axis.

    Before that its parameters are there without shapes, so that an optimizer can have
    them. `state_dict` has the names of `Linear`.

    Args:
        out_features: size of the output's last axis.
        bias: whether to add a bias.
        device: 'cpu' or None.
        dtype: element type of the parameters.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl import nn
        >>> layer = nn.LazyLinear(30)
        >>> layer(ad.ones(128, 20)).shape
        pyautodl.Size([128, 30])
        >>> layer
        Linear(in_features=20, out_features=30, bias=True)
    """

    cls_to_become = Linear
    _unknown = "in_features"

    def __init__(
        self,
        out_features: int,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(0, out_features, bias, device, dtype)

    def _make_parameters(self, bias: bool, kind: dict[str, Any]) -> None:
        _parameters(self, {"weight": True, "bias": bias}, kind)

    def _size_in(self, input: Tensor) -> int:
        if not input.ndim:
            raise ShapeError("LazyLinear: expected an input with an axis, got shape ()")
        return input.shape[-1]

    def _shapes(self) -> dict[str, tuple[int, ...]]:
        outputs = self.out_features
        return {"weight": (outputs, self.in_features), "bias": (outputs,)}


class _LazyConv(LazyModuleMixin):
    """What lazy convolutions share."""

    _unknown = "in_channels"
    in_channels: int
    out_channels: int
    groups: int
    kernel_size: tuple[int, ...]
    transposed: bool
    axes: int

    def _make_parameters(self, bias: bool, kind: dict[str, Any]) -> None:
        _parameters(self, {"weight": True, "bias": bias}, kind)

    def _size_in(self, input: Tensor) -> int:
        axes = (self.axes + 1, self.axes + 2)
        if input.ndim not in axes:
            raise ShapeError(
                f"{type(self).__name__}: expected an input of {axes[0]} or {axes[1]} axes, "
                f"got shape {tuple(input.shape)}"
            )
        return input.shape[-self.axes - 1]

    def _take_size(self, size: int) -> None:
        super()._take_size(size)
        self._check()

    def _shapes(self) -> dict[str, tuple[int, ...]]:
        rows, columns = self.out_channels, self.in_channels
        if self.transposed:
            rows, columns = columns, rows
        weight = (rows, columns // self.groups, *self.kernel_size)
        return {"weight": weight, "bias": (self.out_channels,)}


class _LazyPlainConv(_LazyConv):
    """What lazy convolutions that are not transposed share."""

    def __init__(
        self,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        numbers = (kernel_size, stride, padding, dilation, groups)
        super().__init__(0, out_channels, *numbers, bias, padding_mode, device, dtype)


class LazyConv1d(_LazyPlainConv, Conv1d):
    """A Conv1d whose `in_channels` are those of its first input; other arguments as there.

    Before that its parameters are there without shapes, so that an optimizer can have
    them. `state_dict` has the names of `Conv1d`.

    Args:
        out_channels: number of filters.
        kernel_size, stride, padding, dilation, groups, bias, padding_mode, device, dtype:
            see `Conv1d`.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl import nn
        >>> layer = nn.LazyConv1d(8, 3)
        >>> layer(ad.ones(2, 3, 9)).shape
        pyautodl.Size([2, 8, 7])
        >>> layer.in_channels
        3
    """

    cls_to_become = Conv1d


class LazyConv2d(_LazyPlainConv, Conv2d):
    """A Conv2d whose `in_channels` are those of its first input; other arguments as there.

    Before that its parameters are there without shapes, so that an optimizer can have
    them. `state_dict` has the names of `Conv2d`.

    Args:
        out_channels: number of filters.
        kernel_size, stride, padding, dilation, groups, bias, padding_mode, device, dtype:
            see `Conv2d`.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl import nn
        >>> layer = nn.LazyConv2d(8, 3)
        >>> layer(ad.ones(2, 3, 9, 9)).shape
        pyautodl.Size([2, 8, 7, 7])
        >>> layer.in_channels
        3
    """

    cls_to_become = Conv2d


class LazyConv3d(_LazyPlainConv, Conv3d):
    """A Conv3d whose `in_channels` are those of its first input; other arguments as there.

    Before that its parameters are there without shapes, so that an optimizer can have
    them. `state_dict` has the names of `Conv3d`.

    Args:
        out_channels: number of filters.
        kernel_size, stride, padding, dilation, groups, bias, padding_mode, device, dtype:
            see `Conv3d`.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl import nn
        >>> layer = nn.LazyConv3d(8, 3)
        >>> layer(ad.ones(2, 3, 9, 9, 9)).shape
        pyautodl.Size([2, 8, 7, 7, 7])
        >>> layer.in_channels
        3
    """

    cls_to_become = Conv3d


class _LazyConvTranspose(_LazyConv):
    """What lazy transposed convolutions share."""

    def __init__(
        self,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        output_padding: Any = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Any = 1,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        numbers = (kernel_size, stride, padding, output_padding, groups)
        more = (bias, dilation, padding_mode, device, dtype)
        super().__init__(0, out_channels, *numbers, *more)


class LazyConvTranspose1d(_LazyConvTranspose, ConvTranspose1d):
    """A ConvTranspose1d whose `in_channels` are those of its first input.

    Before that its parameters are there without shapes, so that an optimizer can have
    them. `state_dict` has the names of `ConvTranspose1d`.

    Args:
        out_channels: channels of the output.
        kernel_size, stride, padding, output_padding, groups, bias, dilation, padding_mode,
            device, dtype: see `ConvTranspose1d`.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl import nn
        >>> layer = nn.LazyConvTranspose1d(8, 3)
        >>> layer(ad.ones(2, 3, 9)).shape
        pyautodl.Size([2, 8, 11])
    """

    cls_to_become = ConvTranspose1d


class LazyConvTranspose2d(_LazyConvTranspose, ConvTranspose2d):
    """A ConvTranspose2d whose `in_channels` are those of its first input.

    Before that its parameters are there without shapes, so that an optimizer can have
    them. `state_dict` has the names of `ConvTranspose2d`.

    Args:
        out_channels: channels of the output.
        kernel_size, stride, padding, output_padding, groups, bias, dilation, padding_mode,
            device, dtype: see `ConvTranspose2d`.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl import nn
        >>> layer = nn.LazyConvTranspose2d(8, 3)
        >>> layer(ad.ones(2, 3, 9, 9)).shape
        pyautodl.Size([2, 8, 11, 11])
    """

    cls_to_become = ConvTranspose2d


class LazyConvTranspose3d(_LazyConvTranspose, ConvTranspose3d):
    """A ConvTranspose3d whose `in_channels` are those of its first input.

    Before that its parameters are there without shapes, so that an optimizer can have
    them. `state_dict` has the names of `ConvTranspose3d`.

    Args:
        out_channels: channels of the output.
        kernel_size, stride, padding, output_padding, groups, bias, dilation, padding_mode,
            device, dtype: see `ConvTranspose3d`.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl import nn
        >>> layer = nn.LazyConvTranspose3d(8, 3)
        >>> layer(ad.ones(2, 3, 9, 9, 9)).shape
        pyautodl.Size([2, 8, 11, 11, 11])
    """

    cls_to_become = ConvTranspose3d


class _LazyNorm(LazyModuleMixin):
    """What lazy norms of channels share."""

    _unknown = "num_features"
    num_features: int
    affine: bool
    track_running_stats: bool

    def _make_parameters(self, bias: bool, kind: dict[str, Any]) -> None:
        _parameters(self, {"weight": self.affine, "bias": bias}, kind)
        kept = self.track_running_stats
        for name in ("running_mean", "running_var"):
            made = UninitializedBuffer(**kind) if kept else None
            self.register_buffer(name, made)
        self.register_buffer("num_batches_tracked", tensor(0) if kept else None)

    def _size_in(self, input: Tensor) -> int:
        _check_axes(self, input, self._axes)
        return input.shape[self._channel_axis(input)]

    def _channel_axis(self, input: Tensor) -> int:
        return 1

    def _shapes(self) -> dict[str, tuple[int, ...]]:
        names = ("weight", "bias", "running_mean", "running_var")
        return dict.fromkeys(names, (self.num_features,))


class _LazyBatchNorm(_LazyNorm):
    """What lazy batch norms share."""

    def __init__(
        self,
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
        super().__init__(0, eps, momentum, affine, kept, device, dtype, bias=bias)


class LazyBatchNorm1d(_LazyBatchNorm, BatchNorm1d):
    """A BatchNorm1d whose `num_features` are the channels of its first input.

    Before that its parameters and running statistics are there without shapes.

    Args:
        eps, momentum, affine, track_running_stats, device, dtype, bias: see
            `BatchNorm1d`.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl import nn
        >>> layer = nn.LazyBatchNorm1d()
        >>> layer(ad.ones(2, 3, 9)).shape
        pyautodl.Size([2, 3, 9])
        >>> type(layer).__name__, layer.num_features
        ('BatchNorm1d', 3)
    """

    cls_to_become = BatchNorm1d


class LazyBatchNorm2d(_LazyBatchNorm, BatchNorm2d):
    """A BatchNorm2d whose `num_features` are the channels of its first input.

    Before that its parameters and running statistics are there without shapes.

    Args:
        eps, momentum, affine, track_running_stats, device, dtype, bias: see
            `BatchNorm1d`.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl import nn
        >>> layer = nn.LazyBatchNorm2d()
        >>> layer(ad.ones(2, 3, 9, 9)).shape
        pyautodl.Size([2, 3, 9, 9])
        >>> type(layer).__name__, layer.num_features
        ('BatchNorm2d', 3)
    """

    cls_to_become = BatchNorm2d


class LazyBatchNorm3d(_LazyBatchNorm, BatchNorm3d):
    """A BatchNorm3d whose `num_features` are the channels of its first input.

    Before that its parameters and running statistics are there without shapes.

    Args:
        eps, momentum, affine, track_running_stats, device, dtype, bias: see
            `BatchNorm1d`.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl import nn
        >>> layer = nn.LazyBatchNorm3d()
        >>> layer(ad.ones(2, 3, 9, 9, 9)).shape
        pyautodl.Size([2, 3, 9, 9, 9])
        >>> type(layer).__name__, layer.num_features
        ('BatchNorm3d', 3)
    """

    cls_to_become = BatchNorm3d


class _LazyInstanceNorm(_LazyNorm):
    """Of an input without a batch axis the first axis are the channels."""

    def __init__(
        self,
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
        super().__init__(0, eps, momentum, affine, kept, device, dtype, bias=bias)

    def _channel_axis(self, input: Tensor) -> int:
        return int(input.ndim == self._axes[1])


class LazyInstanceNorm1d(_LazyInstanceNorm, InstanceNorm1d):
    """An InstanceNorm1d whose `num_features` are the channels of its first input.

    Before that its parameters and running statistics are there without shapes.

    Args:
        eps, momentum, affine, track_running_stats, device, dtype, bias: see
            `InstanceNorm1d`.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl import nn
        >>> layer = nn.LazyInstanceNorm1d()
        >>> layer(ad.ones(2, 3, 9)).shape
        pyautodl.Size([2, 3, 9])
        >>> type(layer).__name__, layer.num_features
        ('InstanceNorm1d', 3)
    """

    cls_to_become = InstanceNorm1d


class LazyInstanceNorm2d(_LazyInstanceNorm, InstanceNorm2d):
    """An InstanceNorm2d whose `num_features` are the channels of its first input.

    Before that its parameters and running statistics are there without shapes.

    Args:
        eps, momentum, affine, track_running_stats, device, dtype, bias: see
            `InstanceNorm1d`.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl import nn
        >>> layer = nn.LazyInstanceNorm2d()
        >>> layer(ad.ones(2, 3, 9, 9)).shape
        pyautodl.Size([2, 3, 9, 9])
        >>> type(layer).__name__, layer.num_features
        ('InstanceNorm2d', 3)
    """

    cls_to_become = InstanceNorm2d


class LazyInstanceNorm3d(_LazyInstanceNorm, InstanceNorm3d):
    """An InstanceNorm3d whose `num_features` are the channels of its first input.

    Before that its parameters and running statistics are there without shapes.

    Args:
        eps, momentum, affine, track_running_stats, device, dtype, bias: see
            `InstanceNorm1d`.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl import nn
        >>> layer = nn.LazyInstanceNorm3d()
        >>> layer(ad.ones(2, 3, 9, 9, 9)).shape
        pyautodl.Size([2, 3, 9, 9, 9])
        >>> type(layer).__name__, layer.num_features
        ('InstanceNorm3d', 3)
    """

    cls_to_become = InstanceNorm3d
