"""Parameter and Buffer: tensors that a Module registers when they are assigned."""

from __future__ import annotations

from typing import Any, NoReturn, Self

from pyautodl.errors import ShapeError
from pyautodl.functional.creation import as_tensor, empty
from pyautodl.tensor import Tensor

__all__ = ["Buffer", "Parameter", "UninitializedBuffer", "UninitializedParameter"]


class Parameter(Tensor):
    """A tensor that is trained: assigned to a Module, it is among its parameters.

    Args:
        data: a tensor, whose memory is shared, or values.
        requires_grad: False for a frozen parameter.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl import nn
        >>> nn.Parameter(ad.zeros(2)).requires_grad
        True
    """

    __slots__ = ()

    def __init__(self, data: Any = None, requires_grad: bool = True) -> None:
        super().__init__(as_tensor([] if data is None else data))
        self.requires_grad = requires_grad

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        # a copied model starts without gradients, where a tensor keeps its own
        return self._copy_leaf(memo)


class Buffer(Tensor):
    """A tensor that is state and not trained: assigned to a Module, it is a buffer.

    Args:
        data: a tensor, whose memory is shared, or values.
        persistent: whether it is part of the state_dict.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl import nn
        >>> layer = nn.ReLU()
        >>> layer.mean = nn.Buffer(ad.zeros(2))
        >>> list(layer.state_dict())
        ['mean']
    """

    __slots__ = ()

    def __init__(self, data: Any = None, *, persistent: bool = True) -> None:
        super().__init__(as_tensor([] if data is None else data))
        self.persistent = persistent


class _Uninitialized(Tensor):
    """What uninitialized parameters and buffers share: there is no shape yet."""

    __slots__ = ()
    # what `materialize` makes of it
    cls_to_become: type[Tensor]

    def materialize(
        self, shape: tuple[int, ...], device: Any = None, dtype: Any = None
    ) -> None:
        """Become a tensor of a shape, with memory that is not filled.

        Args:
            shape: its sizes.
            device: 'cpu' or None.
            dtype: element type; default: the one given when it was made.
        """
        self.data = empty(*shape, device=device, dtype=dtype or self.dtype)
        self.__class__ = self.cls_to_become  # type: ignore[assignment]

    def _no_shape(self, *_: Any) -> NoReturn:
        raise ShapeError(
            f"{type(self).__name__}: there is no shape before the lazy layer has seen an "
            "input; likely fix: call the model once first"
        )

    shape = ndim = property(_no_shape)
    dim = numel = nelement = __len__ = tolist = item = _no_shape
    numpy = _no_shape  # type: ignore[assignment]

    def size(self, dim: int | None = None) -> NoReturn:
        """Refuse: there is none yet."""
        self._no_shape()

    def detach(self) -> Self:
        """Return self: there is nothing to detach."""
        return self

    def to(self, *args: Any, **kwargs: Any) -> Self:
        """Return one of another element type."""
        like: Any = Tensor
        dtype = like.to(self, *args, **kwargs).dtype
        made: Any = type(self)
        twin: Self = made(self.requires_grad, dtype=dtype)
        return twin

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"


class UninitializedParameter(_Uninitialized, Parameter):
    """A parameter whose shape is not known yet: a lazy layer's before its first call.

    Args:
        requires_grad: False for a frozen parameter.
        device: 'cpu' or None.
        dtype: element type.

    Example:
        >>> from pyautodl import nn
        >>> weight = nn.UninitializedParameter()
        >>> weight.materialize((2, 3))
        >>> type(weight).__name__, weight.shape
        ('Parameter', pyautodl.Size([2, 3]))
    """

    __slots__ = ()
    cls_to_become = Parameter

    def __init__(
        self, requires_grad: bool = True, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__(empty(0, device=device, dtype=dtype), requires_grad)


class UninitializedBuffer(_Uninitialized):
    """A buffer whose shape is not known yet: a lazy layer's before its first call.

    Args:
        requires_grad: False, for a buffer has no gradient.
        device: 'cpu' or None.
        dtype: element type.

    Example:
        >>> from pyautodl import nn
        >>> mean = nn.UninitializedBuffer()
        >>> mean.materialize((2,))
        >>> mean.shape
        pyautodl.Size([2])
    """

    __slots__ = ()
    cls_to_become = Tensor

    def __init__(
        self, requires_grad: bool = False, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__(empty(0, device=device, dtype=dtype))
        self.requires_grad = requires_grad
