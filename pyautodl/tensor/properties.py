"""What describes a tensor: shape, element type, device, place in memory."""

from __future__ import annotations

import math
from typing import Any

from pyautodl.backends import Array
from pyautodl.backends.dtypes import FLOATING, DType, as_dtype, float32
from pyautodl.errors import BackendError, DTypeError
from pyautodl.ops.axes import normalize_axis
from pyautodl.ops.integers import integer

__all__ = [
    "Properties",
    "Size",
    "device",
    "get_default_dtype",
    "set_default_dtype",
]


class Size(tuple[int, ...]):
    """A shape; a tuple that prints and counts as PyTorch's.

    Example:
        >>> import pyautodl as ad
        >>> ad.ones(2, 3).shape
        pyautodl.Size([2, 3])
        >>> ad.ones(2, 3).shape.numel()
        6
    """

    __slots__ = ()

    def numel(self) -> int:
        """The number of elements."""
        return math.prod(self)

    def __repr__(self) -> str:
        return f"pyautodl.Size({list(self)})"

    def __getitem__(self, key: Any) -> Any:
        part = tuple.__getitem__(self, key)
        return Size(part) if isinstance(key, slice) else part

    def __add__(self, other: Any) -> Size:
        return Size(tuple(self) + tuple(other))


class device:
    """Where a tensor lives; there is 'cpu' alone.

    Args:
        type: 'cpu', or a device.
        index: its number, None or 0.

    Raises:
        BackendError: any other device.

    Example:
        >>> import pyautodl as ad
        >>> ad.device("cpu")
        device(type='cpu')
    """

    __slots__ = ("index", "type")

    type: str

    def __init__(self, type: Any = "cpu", index: int | None = None) -> None:
        name = str(type.type if isinstance(type, device) else type)
        if name not in ("cpu", "cpu:0"):
            raise BackendError(f"device: {name!r} is not available; choose 'cpu'")
        self.type: str = "cpu"
        self.index = index

    def __repr__(self) -> str:
        return "device(type='cpu')"

    def __str__(self) -> str:
        return "cpu"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, device) or other == "cpu"

    def __hash__(self) -> int:
        return hash("cpu")


_CPU = device()
_default_dtype = float32


def set_default_dtype(d: Any) -> None:
    """Make `d` the element type of what is made from Python floats.

    Args:
        d: float32 or float64.

    Raises:
        DTypeError: `d` is not a floating type.

    Example:
        >>> import pyautodl as ad
        >>> ad.set_default_dtype(ad.float32)
    """
    global _default_dtype
    dtype = as_dtype(d)
    if dtype.category != FLOATING:
        raise DTypeError(
            f"set_default_dtype: expected a floating type, got {dtype.name}"
        )
    _default_dtype = dtype


def get_default_dtype() -> DType:
    """Return the element type of what is made from Python floats.

    Example:
        >>> import pyautodl as ad
        >>> ad.get_default_dtype()
        pyautodl.float32
    """
    return _default_dtype


class Properties:
    """The properties of a tensor, read from its array."""

    __slots__ = ()

    _array: Array

    @property
    def shape(self) -> Size:
        """The size of each axis."""
        return Size(self._array.shape)

    def size(self, dim: int | None = None) -> Any:
        """Return the shape, or the size of axis `dim`.

        Example:
            >>> import pyautodl as ad
            >>> ad.ones(2, 3).size()
            pyautodl.Size([2, 3])
            >>> ad.ones(2, 3).size(-1)
            3
        """
        shape = self._array.shape
        if dim is None:
            return Size(shape)
        try:
            return shape[integer("size", "dim", dim)]
        except IndexError:
            raise IndexError(
                f"size: dim must be from {-len(shape)} to {len(shape) - 1}, got {dim} "
                f"(shape {tuple(shape)})"
            ) from None

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self._array.shape)

    def dim(self) -> int:
        """Return the number of axes.

        Example:
            >>> import pyautodl as ad
            >>> ad.ones(2, 3).dim()
            2
        """
        return len(self._array.shape)

    ndimension = dim

    def numel(self) -> int:
        """Return the number of elements.

        Example:
            >>> import pyautodl as ad
            >>> ad.ones(2, 3).numel()
            6
        """
        return self._array.size

    nelement = numel

    @property
    def dtype(self) -> DType:
        """The element type."""
        return self._array.dtype

    @property
    def device(self) -> device:
        """Where the tensor lives: the CPU."""
        return _CPU

    @property
    def is_cuda(self) -> bool:
        """False: there is no such device."""
        return False

    @property
    def is_cpu(self) -> bool:
        """True: there is no other device."""
        return True

    def get_device(self) -> int:
        """Return the number of the device; -1 stands for the CPU.

        Example:
            >>> import pyautodl as ad
            >>> ad.ones(2).get_device()
            -1
        """
        return -1

    @property
    def layout(self) -> str:
        """'strided', the only layout of tensors."""
        return "strided"

    @property
    def is_sparse(self) -> bool:
        """False: sparse matrices are objects of their own."""
        return False

    @property
    def itemsize(self) -> int:
        """Bytes of one element."""
        return self._array.dtype.itemsize

    def element_size(self) -> int:
        """Return the bytes of one element.

        Example:
            >>> import pyautodl as ad
            >>> ad.ones(2, dtype=ad.float64).element_size()
            8
        """
        return self._array.dtype.itemsize

    @property
    def nbytes(self) -> int:
        """Bytes of all elements."""
        return self._array.size * self._array.dtype.itemsize

    def stride(self, dim: int | None = None) -> Any:
        """Return how many elements lie between neighbours along each axis, or `dim`.

        Example:
            >>> import pyautodl as ad
            >>> ad.ones(2, 3).stride()
            (3, 1)
        """
        strides = self._array.strides
        if dim is None:
            return strides
        return strides[normalize_axis("stride", dim, len(strides), self._array.shape)]

    def storage_offset(self) -> int:
        """Return the first element's place in the memory block.

        Example:
            >>> import pyautodl as ad
            >>> ad.arange(6)[2:].storage_offset()
            2
        """
        return self._array.offset

    def data_ptr(self) -> int:
        """Return the address of the first element.

        Example:
            >>> import pyautodl as ad
            >>> x = ad.arange(6)
            >>> x[1:].data_ptr() - x.data_ptr()
            8
        """
        return self._array.address

    def is_contiguous(self, memory_format: str = "contiguous") -> bool:
        """Whether the elements lie in C order, or in the order of a memory format.

        Example:
            >>> import pyautodl as ad
            >>> ad.ones(2, 3).t().is_contiguous()
            False
        """
        if memory_format == "channels_last":
            return self._array.is_channels_last()
        return self._array.is_contiguous()

    def is_floating_point(self) -> bool:
        """Whether the element type is a float.

        Example:
            >>> import pyautodl as ad
            >>> ad.arange(3).is_floating_point()
            False
        """
        return self._array.dtype.category == FLOATING

    def is_signed(self) -> bool:
        """Whether the element type has negative numbers.

        Example:
            >>> import pyautodl as ad
            >>> ad.ones(2).is_signed(), ad.ones(2, dtype=ad.uint8).is_signed()
            (True, False)
        """
        return self._array.dtype.name not in ("bool", "uint8")

    def is_complex(self) -> bool:
        """False: there are no complex types.

        Example:
            >>> import pyautodl as ad
            >>> ad.ones(2).is_complex()
            False
        """
        return False

    @property
    def real(self) -> Any:
        """The tensor itself: its numbers are real."""
        return self

    @real.setter
    def real(self, value: Any) -> None:
        self.copy_(value)  # type: ignore[attr-defined]

    @property
    def imag(self) -> Any:
        """Of complex tensors alone, which `complex`, `fft` and `stft` make.

        Raises:
            TypeError: always, as the tensor is real.
        """
        raise TypeError(
            f"imag: expected a complex tensor, got {self.dtype.name}; likely fix: "
            "ad.complex(x, ad.zeros_like(x)), or zeros_like for the imaginary part"
        )

    def is_pinned(self) -> bool:
        """False: there is no device to which memory would have to be pinned.

        Example:
            >>> import pyautodl as ad
            >>> ad.ones(2).is_pinned()
            False
        """
        return False

    def is_shared(self) -> bool:
        """Whether NumPy or another library sees the same memory.

        Example:
            >>> import pyautodl as ad
            >>> x = ad.ones(2)
            >>> x.is_shared()
            False
            >>> seen = x.numpy()
            >>> x.is_shared()
            True
        """
        return self._array.storage.is_shared()

    @property
    def _version(self) -> int:
        return self._array.storage.version
