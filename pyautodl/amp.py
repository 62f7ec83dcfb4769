"""PyTorch's switches for mixed precision: here all is computed in the tensors' own type."""

from __future__ import annotations

from contextlib import ContextDecorator
from typing import Any

from pyautodl.errors import warn

__all__ = ["GradScaler", "autocast"]


def _refuse_or_warn(name: str, device: Any, enabled: bool) -> None:
    """Warn where PyTorch on a CPU would be off, refuse where it would be on."""
    if not enabled:
        return
    if str(device).partition(":")[0] == "cpu":
        raise NotImplementedError(
            f"{name}: there is no bfloat16 and no float16; likely fix: enabled=False, "
            "everything is computed in float32"
        )
    warn(f"{name}: there is no device {device!r}, it is off, as in PyTorch on a CPU")


class autocast(ContextDecorator):
    """A block, or a function, in which PyTorch on a GPU computes in a shorter type.

    Here nothing changes: scripts run with it switched off, or for devices that are not there.

    Args:
        device_type: 'cuda' and the like, which is off with a warning, or 'cpu'.
        dtype: without effect.
        enabled: whether it is asked for.
        cache_enabled: without effect.

    Raises:
        NotImplementedError: it is asked for on the CPU.

    Example:
        >>> import pyautodl as ad
        >>> with ad.autocast("cpu", enabled=False):
        ...     print(ad.ones(1).dtype)
        pyautodl.float32
    """

    def __init__(
        self,
        device_type: str,
        dtype: Any = None,
        enabled: bool = True,
        cache_enabled: bool | None = None,
    ) -> None:
        _refuse_or_warn("autocast", device_type, enabled)

    def __enter__(self) -> autocast:
        return self

    def __exit__(self, *raised: object) -> None:
        pass


class GradScaler:
    """PyTorch's guard against gradients too small for float16, switched off.

    Losses and gradients are what they are, and `step(optimizer)` is `optimizer.step()`.

    Args:
        device: 'cuda' and the like, which is off with a warning, or 'cpu'.
        init_scale: without effect.
        growth_factor: without effect.
        backoff_factor: without effect.
        growth_interval: without effect.
        enabled: whether it is asked for.

    Raises:
        NotImplementedError: it is asked for on the CPU.

    Example:
        >>> import pyautodl as ad
        >>> scaler = ad.amp.GradScaler("cpu", enabled=False)
        >>> scaler.scale(ad.tensor(2.0))
        tensor(2.)
    """

    def __init__(
        self,
        device: str = "cuda",
        init_scale: float = 2.0**16,
        growth_factor: float = 2.0,
        backoff_factor: float = 0.5,
        growth_interval: int = 2000,
        enabled: bool = True,
    ) -> None:
        _refuse_or_warn("GradScaler", device, enabled)

    def is_enabled(self) -> bool:
        """Return False."""
        return False

    def scale(self, outputs: Any) -> Any:
        """Return the losses as they are."""
        return outputs

    def unscale_(self, optimizer: Any) -> None:
        """Do nothing."""

    def step(self, optimizer: Any, *args: Any, **kwargs: Any) -> Any:
        """Let the optimizer take its step, with the arguments given."""
        return optimizer.step(*args, **kwargs)

    def update(self, new_scale: Any = None) -> None:
        """Do nothing."""

    def get_scale(self) -> float:
        """Return 1."""
        return 1.0

    def state_dict(self) -> dict[str, Any]:
        """Return what PyTorch's gives when it is off: nothing."""
        return {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Do nothing."""
