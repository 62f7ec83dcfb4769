"""What is set for a module and all below: modes, gradients, element types."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self, cast

from pyautodl.autograd.grad_mode import no_grad
from pyautodl.backends.dtypes import as_dtype
from pyautodl.errors import BackendError, DTypeError
from pyautodl.nn.module.members import Members
from pyautodl.tensor import Tensor
from pyautodl.tensor import device as as_device

if TYPE_CHECKING:
    from pyautodl.nn.module.module import Module

__all__ = ["Modes"]


class Modes(Members):
    """Training and evaluation, freezing, casting."""

    training: bool

    def train(self, mode: bool = True) -> Self:
        """Set training mode here and below (dropout, batch norm); return self."""
        if not isinstance(mode, bool):
            raise ValueError(f"train: mode must be True or False, got {mode!r}")
        self.training = mode
        for module in self.children():
            module.train(mode)
        return self

    def eval(self) -> Self:
        """Set evaluation mode here and below; return self."""
        return self.train(False)

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Freeze (False) or train (True) all parameters; return self."""
        for parameter in self.parameters():
            parameter.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Drop the gradients of all parameters, or set them to zero."""
        for parameter in self.parameters():
            if parameter._grad is None:
                continue
            if set_to_none:
                parameter._grad = None
            else:
                parameter._grad.detach_().zero_()

    def apply(self, fn: Callable[[Module], None]) -> Self:
        """Call `fn` on every module below, then on this one; return self."""
        for module in self.children():
            module.apply(fn)
        fn(cast("Module", self))
        return self

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Replace the data of every parameter, gradient and buffer; objects stay."""
        if recurse:
            for module in self.children():
                module._apply(fn, recurse)
        with no_grad():
            for parameter in self._parameters.values():
                if parameter is None:
                    continue
                parameter.data = fn(parameter.detach())
                if parameter.grad is not None:
                    parameter.grad = fn(parameter.grad.detach())
            for name, buffer in self._buffers.items():
                if buffer is not None:
                    self._store("_buffers", name, fn(buffer))
        return self

    def to(self, *args: Any, **kwargs: Any) -> Self:
        """Cast floating parameters and buffers: `to(dtype)`, `to("cpu")`, `to(tensor)`.

        Raises:
            BackendError: the device is not the CPU.
            DTypeError: the dtype is not floating.
        """
        dtype = _parse_to(*args, **kwargs)
        return self if dtype is None else self._cast(dtype)

    def _cast(self, dtype: Any) -> Self:
        dtype = as_dtype(dtype)
        if not dtype.is_floating_point:
            raise DTypeError(
                f"nn.Module.to only accepts floating point dtypes, got {dtype}"
            )

        def cast(tensor: Tensor) -> Tensor:
            return tensor.to(dtype) if tensor.dtype.is_floating_point else tensor

        return self._apply(cast)

    def float(self) -> Self:
        """Cast floating parameters and buffers to float32."""
        return self._cast("float32")

    def double(self) -> Self:
        """Cast floating parameters and buffers to float64."""
        return self._cast("float64")

    def type(self, dst_type: Any) -> Self:
        """Cast parameters and buffers to `dst_type`."""
        return self._cast(dst_type)

    def half(self) -> Self:
        """Refuse: there are no float16 kernels.

        Raises:
            DTypeError: always.
        """
        raise DTypeError("half: float16 is not supported on the CPU; use float()")

    def bfloat16(self) -> Self:
        """Refuse: there are no bfloat16 kernels yet.

        Raises:
            DTypeError: always.
        """
        raise DTypeError("bfloat16: bfloat16 is not supported yet; use float()")

    def cpu(self) -> Self:
        """Return self: everything lives on the CPU."""
        return self

    def cuda(self, device: Any = None) -> Self:
        """Refuse: this is a CPU library.

        Raises:
            BackendError: always.
        """
        raise BackendError("cuda: this library computes on the CPU; use cpu()")

    def share_memory(self) -> Self:
        """Refuse: parameters can't be moved to shared memory yet."""
        raise NotImplementedError("share_memory is not supported")


def _parse_to(*args: Any, **kwargs: Any) -> Any:
    """The dtype that PyTorch's many forms of `to` ask for, or None."""
    dtype = kwargs.pop("dtype", None)
    device = kwargs.pop("device", None)
    tensor = kwargs.pop("tensor", None)
    for ignored in ("non_blocking", "copy", "memory_format"):
        kwargs.pop(ignored, None)
    if kwargs:
        raise TypeError(f"to: unexpected arguments {sorted(kwargs)}")
    for argument in args:
        if isinstance(argument, Tensor):
            tensor = argument
        elif isinstance(argument, bool) or argument is None:
            continue
        elif isinstance(argument, (str, int)) or hasattr(argument, "index"):
            device = argument
        else:
            dtype = argument
    if device is not None:
        as_device(device)
    return tensor.dtype if tensor is not None and dtype is None else dtype
