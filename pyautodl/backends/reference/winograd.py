"""What the kernels of Winograd's algorithm mean, in NumPy: 3x3 convolutions."""

from __future__ import annotations

from typing import Any

import numpy as np

from pyautodl.backends import codes
from pyautodl.backends.reference import conv

__all__ = ["winograd_bwd_w", "winograd_fwd", "winograd_weight"]

NDArray = np.ndarray[Any, Any]

_NEAR, _FAR = 0.5**0.5, 2**0.5
# three weights to their polynomial's values at 0, +-NEAR, +-FAR and infinity, scaled
_WEIGHT_MAP = np.array(
    [
        [1, 0, 0],
        [-2 / 3, -2 / 3 * _NEAR, -1 / 3],
        [-2 / 3, 2 / 3 * _NEAR, -1 / 3],
        [1 / 6, _FAR / 6, 1 / 3],
        [1 / 6, -_FAR / 6, 1 / 3],
        [0, 0, 1],
    ]
)
# at 0, +-1 and infinity
_SMALL_WEIGHT_MAP = np.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]])


def _turn(weight: NDArray, transposed: int) -> NDArray:
    """The weight of the convolution that reads what this one wrote."""
    return weight.swapaxes(0, 1)[:, :, ::-1, ::-1] if transposed else weight


def winograd_weight(weight: NDArray, out: NDArray, transposed: int, step: int) -> None:
    """The weight at 36 or 16 points: (panel, point, channel, column of the panel)."""
    panels, points, channels, width = out.shape
    line = _WEIGHT_MAP if step == codes.WINOGRAD_STEP else _SMALL_WEIGHT_MAP
    mapped = np.zeros((panels * width, channels, *[len(line)] * 2), weight.dtype)
    w = _turn(weight, transposed)
    mapped[: len(w)] = line @ w @ line.T
    mapped = mapped.reshape(panels, width, channels, points)
    out[...] = mapped.transpose(0, 3, 2, 1)


def _numbers(pad_h: int, pad_w: int) -> tuple[int, ...]:
    return (1, 1, 1, 0, pad_h, pad_w, 1, 1, 1, 1)


def winograd_fwd(
    x: NDArray,
    weight: NDArray,
    packed: NDArray | None,
    scale: NDArray | None,
    bias: NDArray | None,
    residual: NDArray | None,
    out: NDArray,
    pad_h: int,
    pad_w: int,
    transposed: int,
    step: int,
    activation: int,
    p0: float,
    p1: float,
) -> None:
    """out = activation(scale conv(x, weight) + bias + residual); `packed` is the weight
    once more.
    """
    turned, numbers = _turn(weight, transposed), _numbers(pad_h, pad_w)
    conv.conv_fwd(
        *(x, turned, packed, scale, bias, residual, out),
        *(*numbers, activation, p0, p1),
    )


def winograd_bwd_w(
    x: NDArray, dy: NDArray, dw: NDArray, db: NDArray | None, pad_h: int, pad_w: int
) -> None:
    """The gradients by the weight and, if wanted, by the bias."""
    conv.conv_bwd_w(x, dy, dw, db, *_numbers(pad_h, pad_w))
