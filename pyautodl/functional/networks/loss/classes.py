"""Losses over classes: cross-entropies and the negative log-likelihood."""

from __future__ import annotations

from typing import Any

from pyautodl.backends.dtypes import int64
from pyautodl.functional.eltwise.unary import check_tensor
from pyautodl.functional.networks.loss.arguments import (
    SOFTMAXES,
    reduced,
    refuse_old_arguments,
    to_classes,
    warn_if_made_by,
)
from pyautodl.graph import MODE
from pyautodl.ops.integers import integer
from pyautodl.ops.loss import (
    CLAMPED_LOG,
    CROSS_ENTROPY,
    NLL_LOSS,
    check_classes,
    refuse_class_weight,
)
from pyautodl.ops.pair_loss import check_reduction
from pyautodl.ops.record import kept_attributes
from pyautodl.tensor import Tensor, apply, apply_known, explained

__all__ = ["categorical_cross_entropy", "cross_entropy", "nll_loss"]


@kept_attributes
def _of_classes(
    name: str, ignore_index: int, reduction: str, label_smoothing: float
) -> dict[str, Any]:
    return {
        "ignore_index": integer(name, "ignore_index", ignore_index),
        "reduction": reduction,
        "label_smoothing": label_smoothing,
    }


def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: Any = None,
    ignore_index: int = -100,
    reduce: Any = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """Return the cross-entropy of logits and targets: softmax and logarithm included.

    Probabilities as input are a common mistake, which applies softmax twice: if the
    input is the recorded output of a softmax, a warning says so; the value does not
    depend on it. For probabilities there is `categorical_cross_entropy`.

    Args:
        input: logits.
        target: class numbers, or probabilities (one-hot, soft) of the input's shape.
        weight: a factor for each class. A mean over class numbers is weighted by it. It
            has a gradient beside probabilities, none beside class numbers.
        size_average, reduce: not supported; use `reduction`.
        ignore_index: class number of targets that do not count. If none counts, the
            mean is 0, as are its gradients, and a warning says so (PyTorch gives nan).
        reduction: 'mean', 'sum' or 'none'.
        label_smoothing: share of the targets that is spread over all classes.

    Shape:
        input (n, c), (n, c, ...) or (c,); target (n,), (n, ...) or () as class numbers,
        else as input -> () or, with 'none', that of class numbers.

    Raises:
        ShapeError: the shapes do not fit together.
        IndexError: a class number is not below c; says which and where.
        DTypeError: the types do not fit.
        GradError: the weight requires a gradient and the targets are class numbers.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl.nn import functional as F
        >>> logits = ad.tensor([[0.0, 0.0], [0.0, 100.0]])
        >>> F.cross_entropy(logits, ad.tensor([0, 1]), reduction="none")
        tensor([0.6931, 0.0000])

    Source:
        label smoothing: Szegedy et al., Rethinking the Inception Architecture (2015)
    """
    refuse_old_arguments("cross_entropy", size_average, reduce)
    inputs = [input, to_classes("cross_entropy", input, target)]
    warn_if_made_by(
        "cross_entropy",
        SOFTMAXES,
        input,
        "which cross_entropy applies itself; pass the logits, or use "
        "categorical_cross_entropy",
    )
    if weight is not None:
        check_tensor("cross_entropy", weight, "weight")
        # the op learns of it when it is too late to name this line
        if weight.requires_grad and MODE.enabled and inputs[1].dtype is int64:
            refuse_class_weight("cross_entropy")
        inputs.append(weight)
    attrs = _of_classes("cross_entropy", ignore_index, reduction, label_smoothing)
    return apply_known(CROSS_ENTROPY, inputs, attrs)


def nll_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: Any = None,
    ignore_index: int = -100,
    reduce: Any = None,
    reduction: str = "mean",
) -> Tensor:
    """Return the negative log-likelihood of class numbers under log-probabilities.

    If the input is the recorded output of a softmax, which lacks the logarithm, a warning
    says so; the value does not depend on it.

    Args:
        input: logarithms of probabilities, as of `log_softmax`.
        target: class numbers.
        weight: a factor for each class, without gradient; a mean is weighted by it.
        size_average, reduce: not supported; use `reduction`.
        ignore_index: class number of targets that do not count. If none counts, the
            mean is 0, as are its gradients, and a warning says so (PyTorch gives nan).
        reduction: 'mean', 'sum' or 'none'.

    Shape:
        input (n, c), (n, c, ...) or (c,); target (n,), (n, ...) or () -> () or, with
        'none', that of target.

    Raises:
        ShapeError: the shapes do not fit together.
        IndexError: a class number is not below c; says which and where.
        GradError: the weight requires a gradient.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl.nn import functional as F
        >>> F.nll_loss(ad.tensor([[-1.0, -2.0]]), ad.tensor([1]))
        tensor(2.)
    """
    refuse_old_arguments("nll_loss", size_average, reduce)
    inputs = [input, to_classes("nll_loss", input, target)]
    warn_if_made_by(
        "nll_loss",
        SOFTMAXES,
        input,
        "without the logarithm; use log_softmax, or categorical_cross_entropy",
    )
    if weight is not None:
        inputs.append(weight)
    attrs = _of_classes("nll_loss", ignore_index, reduction, 0.0)
    return apply_known(NLL_LOSS, inputs, attrs)


@explained
def categorical_cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    ignore_index: int = -100,
    reduction: str = "mean",
) -> Tensor:
    """Return the cross-entropy of probabilities, for models that end in softmax.

    Logarithms are no lower than -100; the gradient is -target / input without an
    epsilon, so that a sure and wrong output still learns, and -1e12 target where the
    input is 0. Computing on logits with `cross_entropy` is faster and more exact.

    Args:
        input: probabilities.
        target: class numbers, or probabilities (one-hot, soft) of the input's shape.
        weight: a factor for each class. A mean over class numbers is weighted by it.
        ignore_index: class number of targets that do not count.
        reduction: 'mean', 'sum' or 'none'.

    Shape:
        as `cross_entropy`.

    Raises:
        ShapeError: the shapes do not fit together.
        IndexError: a class number is not below c; says which and where.

    Example:
        >>> import pyautodl as ad
        >>> p = ad.tensor([[0.5, 0.5], [0.0, 1.0]])
        >>> ad.categorical_cross_entropy(p, ad.tensor([0, 0]), reduction="none")
        tensor([  0.6931, 100.0000])
    """
    name = "categorical_cross_entropy"
    target = to_classes(name, input, target)
    arrays = (input._array, target._array, None if weight is None else weight._array)
    check_classes(name, *arrays, ignore_index)
    check_reduction(name, reduction)
    logp = apply(CLAMPED_LOG, input)
    if target.dtype is int64:
        return nll_loss(logp, target, weight, None, ignore_index, None, reduction)
    axis = 1 if input.ndim > 1 else 0
    each = -target * logp
    if weight is not None:
        each = each * weight.reshape(-1, *(1,) * (input.ndim - axis - 1))
    return reduced(each.sum(axis), reduction)
