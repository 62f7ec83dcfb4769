"""Parameter and Buffer: tensors that a Module registers when they are assigned."""

from __future__ import annotations

from typing import Any

from pyautodl.functional.creation import as_tensor
from pyautodl.tensor import Tensor

__all__ = ["Buffer", "Parameter"]


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
