"""Memory layouts that a forward rule may need; each change is one visible copy kernel."""

from __future__ import annotations

from typing import Any

from pyautodl.backends import Array, channels_last_strides, empty, run

__all__ = [
    "ensure_channels_last",
    "ensure_contiguous",
    "ensure_dense",
    "ensure_layout",
    "has_strides",
]


def ensure_contiguous(ctx: Any, x: Array) -> Array:
    """`x` itself if it lies in C order, else a copy that does."""
    return x if x.is_contiguous() else _copy(ctx, x, empty(x.shape, x.dtype))


def ensure_dense(ctx: Any, x: Array) -> Array:
    """`x` itself if it has no gaps, else a C-ordered copy."""
    return x if x.is_dense() else _copy(ctx, x, empty(x.shape, x.dtype))


def ensure_channels_last(ctx: Any, x: Array) -> Array:
    """`x` itself if its bytes lie as (n, ..., c), else a copy whose do."""
    if x.is_channels_last():
        return x
    return _copy(ctx, x, empty(x.shape, x.dtype, channels_last_strides(x.shape)))


def ensure_layout(ctx: Any, x: Array, like: Array) -> Array:
    """`x` itself if its bytes lie as those of `like`, which is dense, else such a copy."""
    if has_strides(x, like.strides):
        return x
    return _copy(ctx, x, empty(x.shape, x.dtype, like.strides))


def has_strides(x: Array, strides: tuple[int, ...]) -> bool:
    """Whether `x` lies with such strides; those of axes of size 1 mean nothing."""
    return x.strides == strides or all(
        size == 1 or mine == other
        for size, mine, other in zip(x.shape, x.strides, strides, strict=True)
    )


def _copy(ctx: Any, x: Array, out: Array) -> Array:
    run("copy", (x,), (out,))
    ctx.alias(out, x)
    return out
