"""A tensor as Python and NumPy see it: numbers, sequences, arrays, text, copies."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from pyautodl.backends import Array, empty, run
from pyautodl.backends.dtypes import FLOATING, as_dtype, uint8
from pyautodl.errors import GradError, ShapeError, describe
from pyautodl.graph import MODE
from pyautodl.tensor.properties import Properties

if TYPE_CHECKING:
    from pyautodl.tensor.core import Tensor

__all__ = ["BOUND", "Protocols"]

# functions from above that methods need: "tensor" makes one from data, "format" prints
# it, "ufunc" answers NumPy, "alias" is a view of the whole
BOUND: dict[str, Callable[..., Any]] = {}


class Protocols(Properties):
    """Conversion to values and what other libraries ask for."""

    __slots__ = ()

    if TYPE_CHECKING:
        # what Tensor has beside, and the methods that functional registers
        def __getattr__(self, name: str) -> Any: ...
        def __getitem__(self, index: Any) -> Tensor: ...

    def item(self) -> Any:
        """Return the only element as a Python number.

        Raises:
            ShapeError: there is not exactly one.

        Example:
            >>> import pyautodl as ad
            >>> ad.tensor([2.5]).item()
            2.5
        """
        array = self._array
        if array.shape and array.size != 1:
            raise ShapeError(
                f"item: expected a tensor of one element, got shape {array.shape}; "
                "likely fix: tolist(), or a reduction first"
            )
        return array.item()

    def tolist(self) -> Any:
        """Return the values as nested Python lists, a single one as a number.

        Example:
            >>> import pyautodl as ad
            >>> ad.ones(2, 2).tolist()
            [[1.0, 1.0], [1.0, 1.0]]
        """
        return self._array.tolist()

    def numpy(self, *, force: bool = False) -> np.ndarray[Any, Any]:
        """Return a NumPy array that shares the memory.

        Args:
            force: detach first.

        Raises:
            GradError: the tensor requires a gradient, which NumPy would lose; under
                `no_grad` there is none to lose.

        Example:
            >>> import pyautodl as ad
            >>> x = ad.zeros(2)
            >>> x.numpy()[0] = 5
            >>> x
            tensor([5., 0.])
        """
        if not force and MODE.enabled and self.requires_grad:
            raise GradError(
                "numpy: the tensor requires a gradient, which NumPy can't follow; use "
                "x.detach().numpy()"
            )
        return self._array.export()

    def __array__(
        self, dtype: Any = None, copy: bool | None = None
    ) -> np.ndarray[Any, Any]:
        wanted = None if dtype is None else np.dtype(dtype)
        here = self.detach().numpy() if copy is not True else self._array.numpy()
        if wanted is not None and wanted != here.dtype:
            if copy is False:
                raise ValueError(f"__array__: {here.dtype} to {wanted} needs a copy")
            return here.astype(wanted)
        return here.copy() if copy else here

    def __array_ufunc__(
        self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any
    ) -> Any:
        return BOUND["ufunc"](ufunc, method, inputs, kwargs)

    def __dlpack__(self, **kwargs: Any) -> Any:
        return self.numpy().__dlpack__(**kwargs)

    def __dlpack_device__(self) -> Any:
        return self._array.numpy().__dlpack_device__()

    def __bool__(self) -> bool:
        if self._array.size != 1:
            raise ValueError(
                f"bool: a tensor of shape {self._array.shape} has no single truth value; "
                "use any() or all()"
            )
        return bool(self._array.item())

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __complex__(self) -> complex:
        return complex(self.item())

    def __index__(self) -> int:
        array = self._array
        if array.dtype.category == FLOATING or array.size != 1:
            raise TypeError(
                "index: expected an integer tensor of one element, got "
                f"{array.dtype.name} of shape {tuple(array.shape)}"
            )
        return int(self.item())

    def __len__(self) -> int:
        if not self._array.shape:
            raise TypeError("len: a 0-dimensional tensor has no length")
        return self._array.shape[0]

    def __iter__(self) -> Iterator[Tensor]:
        if not self._array.shape:
            raise TypeError("iter: a 0-dimensional tensor can't be iterated over")
        return iter([self[i] for i in range(self._array.shape[0])])

    def __contains__(self, element: Any) -> bool:
        found = self == element
        if isinstance(found, bool):
            raise TypeError(
                f"in: expected a number or a tensor, got {describe(element)}"
            )
        return bool(found.any())

    def __hash__(self) -> int:
        return id(self)

    def __format__(self, spec: str) -> str:
        if not self._array.shape:
            return format(self.item(), spec)
        if spec:
            raise TypeError(
                f"format: {spec!r} formats one number, got a tensor of shape "
                f"{self._array.shape}; likely fix: item(), or tolist()"
            )
        return str(self)

    def __repr__(self) -> str:
        return BOUND["format"](self)

    def __copy__(self) -> Tensor:
        """A tensor of its own that shows the same memory, as PyTorch's."""
        if self.edge_source() is not None:
            return cast("Tensor", BOUND["alias"](self))
        twin = cast("Tensor", type(self).__new__(type(self)))
        twin._setup(self._array, None, self._requires_grad)
        twin.__dict__.update(self.__dict__)
        return twin

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        """A copy; copies of views of the same memory share theirs, as PyTorch's."""
        twin = self._copy_leaf(memo)
        if self._grad is not None:
            twin._grad = self._grad.__deepcopy__(memo)
        return twin

    def _copy_leaf(self, memo: dict[int, Any]) -> Tensor:
        """What deepcopy makes of a leaf, without its gradient."""
        if self.edge_source() is not None:
            raise GradError("deepcopy: only a leaf can be copied; use x.detach()")
        twin = cast("Tensor", type(self).__new__(type(self)))
        twin._setup(_copy_array(self._array, memo), None, self._requires_grad)
        memo[id(self)] = twin
        twin.__dict__.update(deepcopy(self.__dict__, memo))
        return twin

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        if self.edge_source() is not None:
            raise GradError("pickle: only a leaf can be pickled; use x.detach()")
        values = np.ascontiguousarray(self._array.numpy()).reshape(self._array.shape)
        state = (type(self), values.copy(), self._requires_grad, dict(self.__dict__))
        return _unpickle, state


def _unpickle(
    kind: type[Tensor],
    values: np.ndarray[Any, Any],
    requires_grad: bool,
    more: dict[str, Any],
) -> Tensor:
    tensor = kind.__new__(kind)
    array = empty(values.shape, as_dtype(values.dtype))
    array.numpy()[...] = values
    tensor._setup(array, None, requires_grad)
    tensor.__dict__.update(more)
    return tensor


def _copy_array(array: Array, memo: dict[int, Any]) -> Array:
    """The same view of a copy of all the memory, which `memo` keeps for other views."""
    storage = array.storage
    if id(storage) not in memo:
        low, high = storage.extent()
        whole = Array(storage, low - storage.address, (high - low,), (1,), uint8)
        copy = empty(whole.shape, uint8)
        run("copy", (whole,), (copy,))
        # with the storage, lest another has its id
        memo[id(storage)] = copy.storage, low, storage
    copied, low, _ = memo[id(storage)]
    offset = array.offset + (storage.address - low) // array.dtype.itemsize
    return Array(copied, offset, array.shape, array.strides, array.dtype)
