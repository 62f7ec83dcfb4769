"""PyTorch's older path to `amp`, for a device that is not there."""

from __future__ import annotations

from typing import Any

from pyautodl import amp

__all__ = ["GradScaler", "autocast"]


class autocast(amp.autocast):
    """`amp.autocast("cuda")`: without effect, with a warning unless it is switched off.

    Args:
        enabled: whether it is asked for.
        dtype: without effect.
        cache_enabled: without effect.
    """

    def __init__(
        self, enabled: bool = True, dtype: Any = None, cache_enabled: bool = True
    ) -> None:
        super().__init__("cuda", dtype, enabled, cache_enabled)


class GradScaler(amp.GradScaler):
    """`amp.GradScaler("cuda")`: without effect, with a warning unless it is switched off.

    Args:
        init_scale: without effect, as the next three.
        growth_factor: see there.
        backoff_factor: see there.
        growth_interval: see there.
        enabled: whether it is asked for.
    """

    def __init__(
        self,
        init_scale: float = 2.0**16,
        growth_factor: float = 2.0,
        backoff_factor: float = 0.5,
        growth_interval: int = 2000,
        enabled: bool = True,
    ) -> None:
        super().__init__("cuda", enabled=enabled)
