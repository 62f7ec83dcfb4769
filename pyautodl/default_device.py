"""PyTorch's switch of the device that tensors are made on: here there is one."""

from __future__ import annotations

from typing import Any

from pyautodl.tensor import device as _device

__all__ = ["get_default_device", "set_default_device"]


def set_default_device(device: Any) -> None:
    """Do nothing for the CPU, the only device.

    Args:
        device: 'cpu', or None for it.

    Raises:
        BackendError: it is another one.

    Example:
        >>> import pyautodl as ad
        >>> ad.set_default_device("cpu")
    """
    if device is not None:
        _device(device)


def get_default_device() -> _device:
    """Return the CPU.

    Example:
        >>> import pyautodl as ad
        >>> str(ad.get_default_device())
        'cpu'
    """
    return _device()
