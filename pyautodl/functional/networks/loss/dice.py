"""The overlap of masks."""

from __future__ import annotations

from pyautodl.errors import ShapeError
from pyautodl.functional.eltwise.unary import check_tensor
from pyautodl.functional.networks.loss.arguments import (
    SOFTMAXES,
    reduced,
    to_classes,
    to_float,
    warn_if_made_by,
)
from pyautodl.ops.loss import NLL_LOSS_GRAD, check_classes
from pyautodl.ops.pair_loss import check_pair, check_reduction
from pyautodl.ops.softmax import SOFTMAX
from pyautodl.tensor import Tensor, apply, explained

__all__ = ["log_dice_loss"]


@explained
def log_dice_loss(
    input: Tensor,
    target: Tensor,
    *,
    multilabel: bool = False,
    smooth: float = 1.0,
    reduction: str = "mean",
) -> Tensor:
    """Return -log of the smoothed Dice overlap of masks, for each class; never below 0.

    Dice is (2 sum(p t) + smooth) / (sum(p) + sum(t) + smooth), with sums over batch and
    pixels. Two empty masks overlap fully: the loss is 0. If the input is the recorded output
    of a softmax or sigmoid, which would be applied twice, a warning says so.

    Args:
        input: logits; probabilities p are softmax over the classes, or sigmoid of each.
        target: class numbers, or one mask of 0 and 1 for each class.
        multilabel: whether classes may overlap: sigmoid instead of softmax; the target
            is then one mask a class.
        smooth: added to both terms; keeps the loss of small masks steady. With 0 a
            missed mask costs up to -log(1e-12).
        reduction: 'mean' or 'sum' over the classes, or 'none'.

    Shape:
        input (n, c, ...), target (n, ...) or (n, c, ...) -> () or, with 'none', (c,)

    Raises:
        ShapeError: the shapes do not fit together.
        ValueError: smooth is negative.
        IndexError: a class number is not below c; says which and where.

    Example:
        >>> import pyautodl as ad
        >>> logits = ad.tensor([[[1000.0, -1000.0]]])
        >>> ad.log_dice_loss(logits, ad.tensor([[[1.0, 0.0]]]), multilabel=True)
        tensor(0.)

    Source:
        Milletari et al., V-Net (2016); Wong et al., Exponential logarithmic loss (2018)
    """
    name = "log_dice_loss"
    check_reduction(name, reduction)
    check_tensor(name, input)
    check_tensor(name, target, "target")
    if smooth < 0:
        raise ValueError(f"{name}: smooth must not be negative, got {smooth}")
    if input.ndim < 2:
        raise ShapeError(
            f"{name}: expected an input (n, classes, ...), got {tuple(input.shape)}"
        )
    masks = _masks(name, input, target, multilabel)
    own = "sigmoid" if multilabel else "softmax"
    warn_if_made_by(
        name,
        (*SOFTMAXES, "sigmoid"),
        input,
        f"but {name} applies {own} itself; pass the logits",
    )
    p = input.sigmoid() if multilabel else apply(SOFTMAX, input, dim=1)
    others = tuple(i for i in range(input.ndim) if i != 1)
    both = (p * masks).sum(others)
    # sum(p) + sum(t) - 2 sum(p t), term by term, so that no rounding makes it negative
    either = (p * (1 - masks) + (1 - p) * masks).sum(others)
    loss = (either / (2 * both + smooth).clamp(min=1e-12)).log1p()
    return reduced(loss, reduction)


def _masks(name: str, input: Tensor, target: Tensor, multilabel: bool) -> Tensor:
    """The target as one mask a class."""
    if target.shape == input.shape:
        target = to_float(name, target, input)
        check_pair(name, input._array, target._array)
        return target
    if multilabel:
        raise ShapeError(
            f"{name}: expected one mask a class, of the input's shape "
            f"{tuple(input.shape)}, got target {tuple(target.shape)}"
        )
    target = to_classes(name, input, target)
    check_classes(name, input._array, target._array, None, -100, soft=False)
    return _one_hot(name, target, input)


def _one_hot(name: str, target: Tensor, like: Tensor) -> Tensor:
    """Checked class numbers as masks: the gradient of the sum of input[target]."""
    minus_one = like.new_full(tuple(target.shape), -1.0)
    one = like.new_full((), 1.0)
    try:
        return apply(
            NLL_LOSS_GRAD,
            minus_one,
            target,
            None,
            one,
            shape=tuple(like.shape),
            # no class number: nothing is ignored
            ignore_index=-(2**63),
            reduction="none",
            label_smoothing=0.0,
        )
    except IndexError as error:
        text = str(error).removeprefix("nll_loss_grad: ")
        raise IndexError(f"{name}: {text}") from None
