"""Dropout: of single elements, of whole channels, and beside SELU."""

from __future__ import annotations

from pyautodl.backends.dtypes import FLOATING
from pyautodl.errors import DTypeError, ShapeError, describe
from pyautodl.functional.random import rand, state_of
from pyautodl.ops.random import DROPOUT
from pyautodl.tensor import Tensor, apply, explained

__all__ = [
    "alpha_dropout",
    "dropout",
    "dropout1d",
    "dropout2d",
    "dropout3d",
    "feature_alpha_dropout",
    "feature_dropout",
]


def dropout(
    input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
) -> Tensor:
    """Set each element to 0 with probability `p` and scale the others by 1 / (1 - p).

    A dropped element is exactly 0, also where it was infinite. With p = 0, or outside
    of training, the result is the input itself; with p = 1 it is all zeros.

    Args:
        input: any shape, floating.
        p: the probability, from 0 to 1.
        training: whether to drop at all.
        inplace: change the input.

    Raises:
        ValueError: p is outside [0, 1].

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl import nn
        >>> nn.functional.dropout(ad.ones(100), p=0.75).unique()
        tensor([0., 4.])

    Source: Srivastava et al., "Dropout: a simple way to prevent neural networks from
    overfitting", 2014.
    """
    _check_p("dropout", p)
    if not training or p == 0:
        return input
    if inplace:
        input._check_inplace("dropout_")
    out = apply(DROPOUT, input, p=float(p), state=state_of(None))
    return input._assign("dropout_", out) if inplace else out


def _check_p(name: str, p: float) -> None:
    try:
        fits = bool(0 <= p <= 1)
    except (TypeError, ValueError):
        fits = False
    if not fits:
        raise ValueError(f"{name}: p must be from 0 to 1, got {describe(p)}")


def _keep(name: str, input: Tensor, shape: tuple[int, ...], p: float) -> Tensor:
    """A mask of what is kept."""
    if input.dtype.category != FLOATING:
        raise DTypeError(f"{name}: expected a floating tensor, got {input.dtype.name}")
    return rand(*shape, dtype=input.dtype) >= p


def _drop_channels(
    name: str, input: Tensor, p: float, training: bool, inplace: bool, batched: bool
) -> Tensor:
    """Drop whole channels of (n, c, ...), or of (c, ...) where there is no batch."""
    _check_p(name, p)
    if not training or p == 0:
        return input
    axes = 2 if batched else 1
    shape = tuple(input.shape[:axes]) + (1,) * (input.ndim - axes)
    keep = _keep(name, input, shape, p)
    scaled = input * (1 / (1 - p)) if p < 1 else input
    out = scaled.masked_fill(~keep, 0)
    return input._assign(name, out) if inplace else out


@explained
def feature_dropout(input: Tensor, p: float, train: bool) -> Tensor:
    """Set whole channels of (n, c, ...) to 0 with probability `p`; see `dropout`.

    Example:
        >>> import pyautodl as ad
        >>> ad.feature_dropout(ad.ones(1, 100, 4), 0.5, True).mean(-1).unique()
        tensor([0., 2.])
    """
    return _drop_channels("feature_dropout", input, p, train, False, True)


@explained
def dropout1d(
    input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
) -> Tensor:
    """Set whole channels to 0 with probability `p` and scale the others; see `dropout`.

    Shape:
        (n, c, l) or (c, l), unchanged.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl import nn
        >>> nn.functional.dropout1d(ad.ones(1, 100, 4)).mean(-1).unique()
        tensor([0., 2.])
    """
    if input.ndim not in (2, 3):
        raise ShapeError(
            f"dropout1d: expected (n, c, l) or (c, l), got {tuple(input.shape)}"
        )
    return _drop_channels("dropout1d", input, p, training, inplace, input.ndim == 3)


@explained
def dropout2d(
    input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
) -> Tensor:
    """Set whole channels to 0 with probability `p` and scale the others; see `dropout`.

    Shape:
        (n, c, h, w), unchanged; three axes are taken as (n, c, l), as PyTorch does.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl import nn
        >>> nn.functional.dropout2d(ad.ones(1, 100, 2, 2)).mean((-1, -2)).unique()
        tensor([0., 2.])
    """
    if input.ndim not in (3, 4):
        raise ShapeError(f"dropout2d: expected (n, c, h, w), got {tuple(input.shape)}")
    return _drop_channels("dropout2d", input, p, training, inplace, True)


@explained
def dropout3d(
    input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
) -> Tensor:
    """Set whole channels to 0 with probability `p` and scale the others; see `dropout`.

    Shape:
        (n, c, d, h, w) or (c, d, h, w), unchanged.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl import nn
        >>> nn.functional.dropout3d(ad.ones(100, 2, 2, 2)).mean((1, 2, 3)).unique()
        tensor([0., 2.])
    """
    if input.ndim not in (4, 5):
        raise ShapeError(
            "dropout3d: expected (n, c, d, h, w) or (c, d, h, w), got "
            f"{tuple(input.shape)}"
        )
    return _drop_channels("dropout3d", input, p, training, inplace, input.ndim == 5)


# SELU's value for minus infinity: -scale * alpha
_SELU_LOW = -1.7580993408473766


def _alpha(
    name: str, input: Tensor, p: float, training: bool, inplace: bool, features: bool
) -> Tensor:
    """Dropped elements take SELU's lowest value; mean and variance are restored."""
    _check_p(name, p)
    if not training or p == 0:
        return input
    shape = tuple(input.shape)
    if features:
        shape = shape[:2] + (1,) * (input.ndim - 2)
    keep = _keep(name, input, shape, p)
    a = 0.0 if p == 1 else ((1 - p) * (1 + p * _SELU_LOW**2)) ** -0.5
    out = input.masked_fill(~keep, _SELU_LOW) * a - a * p * _SELU_LOW
    return input._assign(name, out) if inplace else out


@explained
def alpha_dropout(
    input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False
) -> Tensor:
    """Dropout that keeps mean 0 and variance 1, to go with SELU; see `dropout`.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl import nn
        >>> y = nn.functional.alpha_dropout(ad.randn(10000), training=True)
        >>> abs(y.mean().item()) < 0.1, abs(y.std().item() - 1) < 0.1
        (True, True)

    Source: Klambauer et al., "Self-normalizing neural networks", 2017.
    """
    return _alpha("alpha_dropout", input, p, training, inplace, False)


@explained
def feature_alpha_dropout(
    input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False
) -> Tensor:
    """`alpha_dropout` of whole channels of (n, c, ...).

    Args:
        input: the activations.
        p: the probability, from 0 to 1.
        training: whether to drop anything.
        inplace: change the input.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl import nn
        >>> x = ad.ones(1, 100, 4)
        >>> y = nn.functional.feature_alpha_dropout(x, training=True)
        >>> len(y.mean(-1).unique())  # dropped or kept, whole channels
        2
    """
    return _alpha("feature_alpha_dropout", input, p, training, inplace, True)
