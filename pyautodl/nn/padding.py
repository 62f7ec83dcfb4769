"""Layers that pad."""

from __future__ import annotations

from pyautodl.functional.copy import pad
from pyautodl.nn.module import Module
from pyautodl.ops.integers import one_or_several
from pyautodl.tensor import Tensor

__all__ = [
    "CircularPad1d",
    "CircularPad2d",
    "CircularPad3d",
    "ConstantPad1d",
    "ConstantPad2d",
    "ConstantPad3d",
    "ReflectionPad1d",
    "ReflectionPad2d",
    "ReflectionPad3d",
    "ReplicationPad1d",
    "ReplicationPad2d",
    "ReplicationPad3d",
    "ZeroPad1d",
    "ZeroPad2d",
    "ZeroPad3d",
]


class _Pad(Module):
    """Pads the last `ndim` axes: an int for all sides, or before and after, last first."""

    ndim = 1
    mode = "constant"

    def __init__(self, padding: int | tuple[int, ...], value: float = 0.0) -> None:
        super().__init__()
        sides = 2 * self.ndim
        given = one_or_several(type(self).__name__, "padding", padding)
        self.padding = given if isinstance(given, tuple) else (given,) * sides
        if len(self.padding) != sides:
            raise ValueError(
                f"{type(self).__name__}: expected an int or {sides} numbers, got {padding}"
            )
        self.value = value

    def forward(self, input: Tensor) -> Tensor:
        if self.mode == "constant":
            return pad(input, self.padding, "constant", self.value)
        return pad(input, self.padding, self.mode)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class ConstantPad1d(_Pad):
    """Pads the last axis with a value.

    Args:
        padding: an int, or (before, after).
        value: what to pad with.

    Example:
        >>> import pyautodl as ad
        >>> ad.nn.ConstantPad1d((1, 0), 7.0)(ad.ones(1, 1, 2))
        tensor([[[7., 1., 1.]]])
    """

    def __init__(self, padding: int | tuple[int, int], value: float) -> None:
        super().__init__(padding, value)

    def extra_repr(self) -> str:
        return f"padding={self.padding}, value={self.value}"


class ConstantPad2d(ConstantPad1d):
    """Pads the last two axes with a value: (left, right, top, bottom).

    Args:
        padding: (left, right, top, bottom), or one number for all; negative ones crop.
        value: what stands there.

    Example:
        >>> import pyautodl as ad
        >>> ad.nn.ConstantPad2d(1, 0.0)(ad.ones(1, 1, 1, 1)).shape
        pyautodl.Size([1, 1, 3, 3])
    """

    ndim = 2


class ConstantPad3d(ConstantPad1d):
    """Pads the last three axes with a value.

    Args:
        padding: (left, right, top, bottom, front, back), or one number for all; negative
            ones crop.
        value: what stands there.

    Example:
        >>> import pyautodl as ad
        >>> ad.nn.ConstantPad3d(1, 0.5)(ad.ones(1, 1, 1, 1, 1)).sum()
        tensor(14.)
    """

    ndim = 3


class ZeroPad1d(_Pad):
    """Pads the last axis with zeros.

    Example:
        >>> import pyautodl as ad
        >>> ad.nn.ZeroPad1d(1)(ad.ones(1, 1, 1))
        tensor([[[0., 1., 0.]]])
    """

    def __init__(self, padding: int | tuple[int, ...]) -> None:
        super().__init__(padding)


class ZeroPad2d(ZeroPad1d):
    """Pads the last two axes with zeros.

    Example:
        >>> import pyautodl as ad
        >>> ad.nn.ZeroPad2d((1, 1, 0, 0))(ad.ones(1, 1, 1, 1))
        tensor([[[[0., 1., 0.]]]])
    """

    ndim = 2


class ZeroPad3d(ZeroPad1d):
    """Pads the last three axes with zeros.

    Example:
        >>> import pyautodl as ad
        >>> ad.nn.ZeroPad3d(1)(ad.ones(1, 1, 1, 1, 1)).shape
        pyautodl.Size([1, 1, 3, 3, 3])
    """

    ndim = 3


class ReflectionPad1d(ZeroPad1d):
    """Pads the last axis with its mirror image, the edge itself left out.

    Example:
        >>> import pyautodl as ad
        >>> ad.nn.ReflectionPad1d(1)(ad.arange(3.0).reshape(1, 1, 3))
        tensor([[[1., 0., 1., 2., 1.]]])
    """

    mode = "reflect"


class ReflectionPad2d(ReflectionPad1d):
    """Pads the last two axes with their mirror image.

    Example:
        >>> import pyautodl as ad
        >>> ad.nn.ReflectionPad2d(1)(ad.zeros(1, 1, 2, 2)).shape
        pyautodl.Size([1, 1, 4, 4])
    """

    ndim = 2


class ReflectionPad3d(ReflectionPad1d):
    """Pads the last three axes with their mirror image.

    Example:
        >>> import pyautodl as ad
        >>> ad.nn.ReflectionPad3d(1)(ad.zeros(1, 1, 2, 2, 2)).shape
        pyautodl.Size([1, 1, 4, 4, 4])
    """

    ndim = 3


class ReplicationPad1d(ZeroPad1d):
    """Pads the last axis with the values at its edges.

    Example:
        >>> import pyautodl as ad
        >>> ad.nn.ReplicationPad1d(1)(ad.arange(3.0).reshape(1, 1, 3))
        tensor([[[0., 0., 1., 2., 2.]]])
    """

    mode = "replicate"


class ReplicationPad2d(ReplicationPad1d):
    """Pads the last two axes with the values at their edges.

    Example:
        >>> import pyautodl as ad
        >>> ad.nn.ReplicationPad2d(1)(ad.zeros(1, 1, 2, 2)).shape
        pyautodl.Size([1, 1, 4, 4])
    """

    ndim = 2


class ReplicationPad3d(ReplicationPad1d):
    """Pads the last three axes with the values at their edges.

    Example:
        >>> import pyautodl as ad
        >>> ad.nn.ReplicationPad3d(1)(ad.zeros(1, 1, 2, 2, 2)).shape
        pyautodl.Size([1, 1, 4, 4, 4])
    """

    ndim = 3


class CircularPad1d(ZeroPad1d):
    """Pads the last axis with the values of its other end.

    Example:
        >>> import pyautodl as ad
        >>> ad.nn.CircularPad1d(1)(ad.arange(3.0).reshape(1, 1, 3))
        tensor([[[2., 0., 1., 2., 0.]]])
    """

    mode = "circular"


class CircularPad2d(CircularPad1d):
    """Pads the last two axes with the values of their other ends.

    Example:
        >>> import pyautodl as ad
        >>> ad.nn.CircularPad2d(1)(ad.zeros(1, 1, 2, 2)).shape
        pyautodl.Size([1, 1, 4, 4])
    """

    ndim = 2


class CircularPad3d(CircularPad1d):
    """Pads the last three axes with the values of their other ends.

    Example:
        >>> import pyautodl as ad
        >>> ad.nn.CircularPad3d(1)(ad.zeros(1, 1, 2, 2, 2)).shape
        pyautodl.Size([1, 1, 4, 4, 4])
    """

    ndim = 3
