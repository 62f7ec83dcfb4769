"""Losses.

None of them broadcasts its input against its target: shapes must agree, and the error
names both. `reduction` is 'mean', 'sum' or 'none' everywhere.
"""

from __future__ import annotations

import math
import warnings
from typing import Any

from pyautodl.backends.dtypes import FLOATING, INTEGRAL, int64
from pyautodl.errors import ShapeError
from pyautodl.graph import MODE
from pyautodl.ops.loss import (
    CLAMPED_LOG,
    CROSS_ENTROPY,
    NLL_LOSS,
    NLL_LOSS_GRAD,
    check_classes,
    refuse_class_weight,
)
from pyautodl.ops.pair_loss import (
    BINARY_CROSS_ENTROPY,
    BINARY_CROSS_ENTROPY_WITH_LOGITS,
    HUBER_LOSS,
    KL_DIV,
    KL_DIV_LOG_TARGET,
    L1_LOSS,
    MSE_LOSS,
    SMOOTH_L1_LOSS,
    check_pair,
    check_reduction,
)
from pyautodl.ops.record import OPS, Op
from pyautodl.ops.softmax import SOFTMAX
from pyautodl.tensor import Tensor, apply

__all__ = ["categorical_cross_entropy", "log_dice_loss"]

_SOFTMAXES = ("softmax", "masked_softmax")


# ---- arguments ----


def refuse_old_arguments(name: str, size_average: Any, reduce: Any) -> None:
    """PyTorch's arguments from before `reduction`."""
    for key, value in (("size_average", size_average), ("reduce", reduce)):
        if value is not None:
            raise NotImplementedError(f"{name}: {key} is not supported; use reduction")


def _to_float(x: Tensor, like: Tensor) -> Tensor:
    """Whole numbers and bools as floats; floats stay, so that a mix is seen."""
    if x.dtype.category != FLOATING and like.dtype.category == FLOATING:
        return x.to(like.dtype)
    return x


def _to_classes(target: Tensor) -> Tensor:
    """Class numbers of any whole type as int64."""
    if target.dtype.category == INTEGRAL and target.dtype is not int64:
        return target.to(int64)
    return target


def _spread(name: str, weight: Tensor | None, input: Tensor) -> Tensor | None:
    """A weight with the input's shape."""
    if weight is None:
        return None
    weight = _to_float(weight, input)
    if weight.shape == input.shape:
        return weight
    front = input.ndim - weight.ndim
    sizes = zip(weight.shape, input.shape[max(front, 0) :], strict=False)
    if front < 0 or any(size not in (1, n) for size, n in sizes):
        raise ShapeError(
            f"{name}: expected a weight that broadcasts to the input, got weight "
            f"{tuple(weight.shape)} for input {tuple(input.shape)}"
        )
    return apply(OPS["expand"], weight, shape=tuple(input.shape))


def _reduce(loss: Tensor, reduction: str) -> Tensor:
    if reduction == "none":
        return loss
    return loss.mean() if reduction == "mean" else loss.sum()


def _prepare(name: str, input: Tensor, target: Tensor, reduction: str) -> Tensor:
    """Check a pair; returns the target as floats."""
    target = _to_float(target, input)
    check_pair(name, input._array, target._array)
    check_reduction(name, reduction)
    return target


# ---- regression ----


def mse_loss(
    input: Tensor,
    target: Tensor,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:
    """Return the mean (or sum) of squared errors.

    Args:
        input: predictions.
        target: what they should be.
        size_average, reduce: not supported; use `reduction`.
        reduction: 'mean', 'sum' or 'none'.
        weight: factors of the elements' errors, of the input's shape; a mean is divided
            by their sum.

    Shape:
        input and target of one shape -> () or, with 'none', that shape.

    Raises:
        ShapeError: input and target have different shapes.
        DTypeError: they mix floating types.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl.nn import functional as F
        >>> F.mse_loss(ad.tensor([1.0, 2.0]), ad.tensor([1.0, 4.0]))
        tensor(2.)
    """
    refuse_old_arguments("mse_loss", size_average, reduce)
    target = _to_float(target, input)
    if weight is None:
        return apply(MSE_LOSS, input, target, reduction=reduction)
    return _weighted(MSE_LOSS, input, target, weight, reduction)


def l1_loss(
    input: Tensor,
    target: Tensor,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:
    """Return the mean (or sum) of absolute errors; its gradient is 0 at equality.

    Args:
        input: predictions.
        target: what they should be.
        size_average, reduce: not supported; use `reduction`.
        reduction: 'mean', 'sum' or 'none'.
        weight: factors of the elements' errors, of the input's shape; a mean is divided
            by their sum.

    Shape:
        input and target of one shape -> () or, with 'none', that shape.

    Raises:
        ShapeError: input and target have different shapes.
        DTypeError: they mix floating types.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl.nn import functional as F
        >>> F.l1_loss(ad.tensor([1.0, 2.0]), ad.tensor([1.0, 4.0]), reduction="sum")
        tensor(2.)
    """
    refuse_old_arguments("l1_loss", size_average, reduce)
    target = _to_float(target, input)
    if weight is None:
        return apply(L1_LOSS, input, target, reduction=reduction)
    return _weighted(L1_LOSS, input, target, weight, reduction)


def smooth_l1_loss(
    input: Tensor,
    target: Tensor,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
    beta: float = 1.0,
) -> Tensor:
    """Return 0.5 d**2 / beta for errors d below beta, else abs(d) - 0.5 beta.

    Args:
        input: predictions.
        target: what they should be.
        size_average, reduce: not supported; use `reduction`.
        reduction: 'mean', 'sum' or 'none'.
        beta: where the square ends; 0 gives `l1_loss`.

    Shape:
        input and target of one shape -> () or, with 'none', that shape.

    Raises:
        ShapeError: input and target have different shapes.
        ValueError: beta is negative.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl.nn import functional as F
        >>> x, y = ad.tensor([0.5, 3.0]), ad.tensor([0.0, 0.0])
        >>> F.smooth_l1_loss(x, y, reduction="none")
        tensor([0.1250, 2.5000])
    """
    refuse_old_arguments("smooth_l1_loss", size_average, reduce)
    target = _to_float(target, input)
    return apply(SMOOTH_L1_LOSS, input, target, reduction=reduction, beta=beta)


def huber_loss(
    input: Tensor,
    target: Tensor,
    reduction: str = "mean",
    delta: float = 1.0,
    weight: Tensor | None = None,
) -> Tensor:
    """Return 0.5 d**2 for errors d up to delta, else delta (abs(d) - 0.5 delta).

    Args:
        input: predictions.
        target: what they should be.
        reduction: 'mean', 'sum' or 'none'.
        delta: where the square ends.
        weight: factors of the elements' errors, of the input's shape; a mean is divided
            by the number of elements.

    Shape:
        input and target of one shape -> () or, with 'none', that shape.

    Raises:
        ShapeError: input and target have different shapes.
        ValueError: delta is not positive.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl.nn import functional as F
        >>> x, y = ad.tensor([0.5, 3.0]), ad.tensor([0.0, 0.0])
        >>> F.huber_loss(x, y, reduction="none", delta=2.0)
        tensor([0.1250, 4.0000])
    """
    target = _to_float(target, input)
    if weight is None:
        return apply(HUBER_LOSS, input, target, reduction=reduction, delta=delta)
    check_reduction("huber_loss", reduction)
    weighted = _weighted(HUBER_LOSS, input, target, weight, "none", delta=delta)
    return _reduce(weighted, reduction)


def _weighted(
    op: Op, input: Tensor, target: Tensor, weight: Tensor, reduction: str, **attrs: Any
) -> Tensor:
    """Errors times factors; a mean is divided by the sum of the factors."""
    check_reduction(op.name, reduction)
    if weight.shape != input.shape:
        raise ShapeError(
            f"{op.name}: expected a weight of the input's shape {tuple(input.shape)}, "
            f"got {tuple(weight.shape)}"
        )
    weight = _to_float(weight, input)
    each = apply(op, input, target, reduction="none", **attrs) * weight
    if reduction == "none":
        return each
    return each.sum() / weight.sum() if reduction == "mean" else each.sum()


# ---- binary ----


def binary_cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
) -> Tensor:
    """Return -(y log p + (1 - y) log(1 - p)) of probabilities p and targets y.

    Logarithms are no lower than -100, so the value is finite. The gradient is that of
    the unclamped formula and finite, so that a sure and wrong output still learns.

    Args:
        input: probabilities from 0 to 1.
        target: 0 or 1, or anything between.
        weight: factors of the elements' losses; broadcasts to the input.
        size_average, reduce: not supported; use `reduction`.
        reduction: 'mean', 'sum' or 'none'.

    Shape:
        input and target of one shape -> () or, with 'none', that shape.

    Raises:
        ShapeError: input and target have different shapes.
        ValueError: an input is not from 0 to 1.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl.nn import functional as F
        >>> F.binary_cross_entropy(ad.tensor([0.5, 1.0]), ad.tensor([0.0, 1.0]))
        tensor(0.3466)
    """
    name = "binary_cross_entropy"
    refuse_old_arguments(name, size_average, reduce)
    inputs: list[Tensor | None] = [input, _to_float(target, input)]
    if weight is not None:
        inputs.append(_spread(name, weight, input))
    return apply(BINARY_CROSS_ENTROPY, *inputs, reduction=reduction)


def binary_cross_entropy_with_logits(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
    pos_weight: Tensor | None = None,
) -> Tensor:
    """Return the binary cross-entropy of sigmoid(input), exact for large logits too.

    Args:
        input: logits.
        target: 0 or 1, or anything between.
        weight: factors of the elements' losses; broadcasts to the input.
        size_average, reduce: not supported; use `reduction`.
        reduction: 'mean', 'sum' or 'none'.
        pos_weight: factors of the positive part; broadcasts to the input.

    Shape:
        input and target of one shape -> () or, with 'none', that shape.

    Raises:
        ShapeError: input and target have different shapes.
        DTypeError: they mix floating types.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl.nn import functional as F
        >>> x, y = ad.tensor([0.0, 200.0]), ad.tensor([1.0, 1.0])
        >>> F.binary_cross_entropy_with_logits(x, y, reduction="none")
        tensor([0.6931, 0.0000])
    """
    name = "binary_cross_entropy_with_logits"
    refuse_old_arguments(name, size_average, reduce)
    inputs: list[Tensor | None] = [input, _to_float(target, input)]
    if weight is not None or pos_weight is not None:
        inputs.append(_spread(name, weight, input))
    if pos_weight is not None:
        inputs.append(_spread(name, pos_weight, input))
    return apply(BINARY_CROSS_ENTROPY_WITH_LOGITS, *inputs, reduction=reduction)


# ---- classes ----


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
    _warn_if_softmax(input)
    inputs = [input, _to_classes(target)]
    if weight is not None:
        # the op learns of it when it is too late to name this line
        if weight.requires_grad and MODE.enabled and inputs[1].dtype is int64:
            refuse_class_weight("cross_entropy")
        inputs.append(weight)
    return apply(
        CROSS_ENTROPY,
        *inputs,
        ignore_index=ignore_index,
        reduction=reduction,
        label_smoothing=label_smoothing,
    )


def _warn_if_softmax(input: Tensor) -> None:
    node = input.grad_fn
    if node is not None and node.name in _SOFTMAXES:
        warnings.warn(
            "cross_entropy: the input is the output of a softmax, which cross_entropy "
            "applies itself; pass the logits, or use categorical_cross_entropy",
            stacklevel=3,
        )


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
    inputs = [input, _to_classes(target)]
    if weight is not None:
        inputs.append(weight)
    return apply(
        NLL_LOSS,
        *inputs,
        ignore_index=ignore_index,
        reduction=reduction,
        label_smoothing=0.0,
    )


def categorical_cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    ignore_index: int = -100,
    reduction: str = "mean",
) -> Tensor:
    """Return the cross-entropy of probabilities, for models that end in softmax.

    Logarithms are no lower than -100; the gradient is -target / input without an
    epsilon, so that a sure and wrong output still learns. Computing on logits with
    `cross_entropy` is faster and more exact.

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
    target = _to_classes(target)
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
    return _reduce(each.sum(axis), reduction)


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
    pixels. Two empty masks overlap fully: the loss is 0.

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
    if smooth < 0:
        raise ValueError(f"{name}: smooth must not be negative, got {smooth}")
    if input.ndim < 2:
        raise ShapeError(
            f"{name}: expected an input (n, classes, ...), got {tuple(input.shape)}"
        )
    masks = _masks(name, input, target, multilabel)
    p = input.sigmoid() if multilabel else apply(SOFTMAX, input, dim=1)
    others = tuple(i for i in range(input.ndim) if i != 1)
    both = (p * masks).sum(others)
    # sum(p) + sum(t) - 2 sum(p t), term by term, so that no rounding makes it negative
    either = (p * (1 - masks) + (1 - p) * masks).sum(others)
    loss = (either / (2 * both + smooth).clamp(min=1e-12)).log1p()
    return _reduce(loss, reduction)


def _masks(name: str, input: Tensor, target: Tensor, multilabel: bool) -> Tensor:
    """The target as one mask a class."""
    if target.shape == input.shape:
        target = _to_float(target, input)
        check_pair(name, input._array, target._array)
        return target
    if multilabel:
        raise ShapeError(
            f"{name}: expected one mask a class, of the input's shape "
            f"{tuple(input.shape)}, got target {tuple(target.shape)}"
        )
    target = _to_classes(target)
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


# ---- distributions ----


def kl_div(
    input: Tensor,
    target: Tensor,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
    log_target: bool = False,
) -> Tensor:
    """Return target (log target - input): the divergence of distributions, by terms.

    Args:
        input: logarithms of probabilities.
        target: probabilities, or their logarithms with `log_target`.
        size_average, reduce: not supported; use `reduction`.
        reduction: 'batchmean' (the divergence: sum over n), 'mean', 'sum' or 'none'.
        log_target: whether target holds logarithms.

    Shape:
        input and target of one shape -> () or, with 'none', that shape.

    Raises:
        ShapeError: input and target have different shapes.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl.nn import functional as F
        >>> p = ad.tensor([[0.5, 0.5]])
        >>> F.kl_div(p.log(), p, reduction="batchmean")
        tensor(0.)
    """
    refuse_old_arguments("kl_div", size_average, reduce)
    op = KL_DIV_LOG_TARGET if log_target else KL_DIV
    target = _to_float(target, input)
    if reduction == "batchmean":
        batch = input.shape[0] if input.ndim else 1
        return apply(op, input, target, reduction="sum") / batch
    return apply(op, input, target, reduction=reduction)


def poisson_nll_loss(
    input: Tensor,
    target: Tensor,
    log_input: bool = True,
    full: bool = False,
    size_average: Any = None,
    eps: float = 1e-8,
    reduce: Any = None,
    reduction: str = "mean",
) -> Tensor:
    """Return the negative log-likelihood of counts under a Poisson distribution.

    Args:
        input: the expected counts, or their logarithms with `log_input`.
        target: counts.
        log_input: whether input holds logarithms.
        full: add Stirling's approximation of log(target!).
        size_average, reduce: not supported; use `reduction`.
        eps: keeps the logarithm of an expected count of 0 finite.
        reduction: 'mean', 'sum' or 'none'.

    Shape:
        input and target of one shape -> () or, with 'none', that shape.

    Raises:
        ShapeError: input and target have different shapes.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl.nn import functional as F
        >>> F.poisson_nll_loss(ad.tensor([0.0]), ad.tensor([3.0]))
        tensor(1.)
    """
    refuse_old_arguments("poisson_nll_loss", size_average, reduce)
    target = _prepare("poisson_nll_loss", input, target, reduction)
    if log_input:
        loss = input.exp() - target * input
    else:
        loss = input - target * (input + eps).log()
    if full:
        # where it does not apply, a harmless number keeps the gradient finite
        safe = target.where(target > 1, target.new_full((), 2.0))
        stirling = safe * safe.log() - safe + 0.5 * (2 * math.pi * safe).log()
        loss = loss + stirling.where(target > 1, target.new_full((), 0.0))
    return _reduce(loss, reduction)


def gaussian_nll_loss(
    input: Tensor,
    target: Tensor,
    var: Tensor | float,
    full: bool = False,
    eps: float = 1e-6,
    reduction: str = "mean",
) -> Tensor:
    """Return the negative log-likelihood of targets under normal distributions.

    Args:
        input: the means.
        target: what was observed.
        var: the variances: of the input's shape, the same with a last axis of 1 or
            without it, or a number.
        full: add the constant 0.5 log(2 pi).
        eps: variances below it count as it.
        reduction: 'mean', 'sum' or 'none'.

    Shape:
        input and target of one shape -> () or, with 'none', that shape.

    Raises:
        ShapeError: the shapes do not fit.
        ValueError: a variance is negative.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl.nn import functional as F
        >>> x = ad.tensor([0.0, 2.0])
        >>> F.gaussian_nll_loss(x, ad.tensor([0.0, 0.0]), ad.tensor([1.0, 1.0]))
        tensor(1.)
    """
    name = "gaussian_nll_loss"
    target = _prepare(name, input, target, reduction)
    given = _variance(name, var, input)
    # below eps the value is eps and the gradient is as if it were not clamped
    fixed = given.detach()
    variance = given + (fixed.clamp(min=eps) - fixed)
    difference = input - target
    loss = 0.5 * (variance.log() + difference * difference / variance)
    if full:
        loss = loss + 0.5 * math.log(2 * math.pi)
    return _reduce(loss, reduction)


def _variance(name: str, var: Tensor | float, input: Tensor) -> Tensor:
    if isinstance(var, Tensor):
        given = var
    else:
        given = input.new_full((1,) * input.ndim, float(var))
    if bool((given < 0).any()):
        raise ValueError(f"{name}: a variance is negative")
    if given.shape != input.shape and given.shape == input.shape[:-1]:
        given = given.unsqueeze(-1)
    fits = given.shape in (input.shape, (*input.shape[:-1], 1), (1,) * input.ndim)
    if not fits:
        raise ShapeError(
            f"{name}: expected variances of the input's shape {tuple(input.shape)}, "
            f"with or without its last axis, got {tuple(given.shape)}"
        )
    return given


# ---- margins ----


def hinge_embedding_loss(
    input: Tensor,
    target: Tensor,
    margin: float = 1.0,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
) -> Tensor:
    """Return distances of like pairs, and what unlike pairs lack to the margin.

    Args:
        input: distances.
        target: 1 for like pairs, -1 for unlike ones.
        margin: how far unlike pairs should be apart.
        size_average, reduce: not supported; use `reduction`.
        reduction: 'mean', 'sum' or 'none'.

    Shape:
        input and target of one shape -> () or, with 'none', that shape.

    Raises:
        ShapeError: input and target have different shapes.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl.nn import functional as F
        >>> F.hinge_embedding_loss(ad.tensor([0.5, 0.25]), ad.tensor([1.0, -1.0]))
        tensor(0.6250)
    """
    refuse_old_arguments("hinge_embedding_loss", size_average, reduce)
    target = _prepare("hinge_embedding_loss", input, target, reduction)
    zero = input.new_full((), 0.0)
    unlike = (margin - input).clamp(min=0).where(target != 1, zero)
    return _reduce(unlike + input.where(target != -1, zero), reduction)


def margin_ranking_loss(
    input1: Tensor,
    input2: Tensor,
    target: Tensor,
    margin: float = 0.0,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
) -> Tensor:
    """Return max(0, -target (input1 - input2) + margin).

    Args:
        input1: scores.
        input2: the scores to compare with.
        target: 1 if input1 should be greater, else -1.
        margin: by how much.
        size_average, reduce: not supported; use `reduction`.
        reduction: 'mean', 'sum' or 'none'.

    Shape:
        all of one shape -> () or, with 'none', that shape.

    Raises:
        ShapeError: the shapes differ.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl.nn import functional as F
        >>> a, b = ad.tensor([1.0, 0.0]), ad.tensor([0.0, 1.0])
        >>> F.margin_ranking_loss(a, b, ad.tensor([1.0, 1.0]))
        tensor(0.5000)
    """
    name = "margin_ranking_loss"
    refuse_old_arguments(name, size_average, reduce)
    check_pair(name, input1._array, input2._array)
    target = _prepare(name, input1, target, reduction)
    return _reduce((margin - target * (input1 - input2)).clamp(min=0), reduction)


def soft_margin_loss(
    input: Tensor,
    target: Tensor,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
) -> Tensor:
    """Return log(1 + exp(-target input)), exact for large scores too.

    Args:
        input: scores.
        target: 1 or -1.
        size_average, reduce: not supported; use `reduction`.
        reduction: 'mean', 'sum' or 'none'.

    Shape:
        input and target of one shape -> () or, with 'none', that shape.

    Raises:
        ShapeError: input and target have different shapes.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl.nn import functional as F
        >>> F.soft_margin_loss(ad.tensor([0.0]), ad.tensor([-1.0]))
        tensor(0.6931)
    """
    refuse_old_arguments("soft_margin_loss", size_average, reduce)
    target = _prepare("soft_margin_loss", input, target, reduction)
    score = -target * input
    # the binary cross-entropy of the score with target 0
    loss = apply(
        BINARY_CROSS_ENTROPY_WITH_LOGITS, score, score.detach() * 0, reduction="none"
    )
    return _reduce(loss, reduction)


def cosine_embedding_loss(
    input1: Tensor,
    input2: Tensor,
    target: Tensor,
    margin: float = 0.0,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
) -> Tensor:
    """Return 1 - cos of the angle of like vectors, max(0, cos - margin) of unlike ones.

    Args:
        input1: vectors.
        input2: vectors.
        target: 1 for like pairs, -1 for unlike ones.
        margin: how large the cosine of unlike pairs may be.
        size_average, reduce: not supported; use `reduction`.
        reduction: 'mean', 'sum' or 'none'.

    Shape:
        inputs (n, d) and target (n,), or (d,) and () -> () or, with 'none', that of
        target.

    Raises:
        ShapeError: the shapes do not fit.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl.nn import functional as F
        >>> a, b = ad.tensor([[1.0, 0.0]]), ad.tensor([[0.0, 1.0]])
        >>> F.cosine_embedding_loss(a, b, ad.tensor([1]))
        tensor(1.)
    """
    name = "cosine_embedding_loss"
    refuse_old_arguments(name, size_average, reduce)
    check_pair(name, input1._array, input2._array)
    check_reduction(name, reduction)
    if input1.ndim not in (1, 2) or target.shape != input1.shape[:-1]:
        raise ShapeError(
            f"{name}: expected inputs (n, d) and target (n,), or (d,) and (), got "
            f"{tuple(input1.shape)} and target {tuple(target.shape)}"
        )
    # PyTorch's epsilon
    squares = ((input1 * input1).sum(-1) + 1e-12) * ((input2 * input2).sum(-1) + 1e-12)
    cosine = (input1 * input2).sum(-1) / squares.sqrt()
    zero = input1.new_full((), 0.0)
    like = (1 - cosine).where(target == 1, zero)
    unlike = (cosine - margin).clamp(min=0).where(target == -1, zero)
    return _reduce(like + unlike, reduction)


def triplet_margin_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    margin: float = 1.0,
    p: float = 2,
    eps: float = 1e-6,
    swap: bool = False,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
) -> Tensor:
    """Return max(0, d(anchor, positive) - d(anchor, negative) + margin).

    Args:
        anchor: vectors.
        positive: vectors that should lie close to them.
        negative: vectors that should lie farther away.
        margin: by how much.
        p: of the norm that is the distance d.
        eps: added to the differences, as PyTorch does.
        swap: use the distance of positive and negative if it is the smaller one.
        size_average, reduce: not supported; use `reduction`.
        reduction: 'mean', 'sum' or 'none'.

    Shape:
        all (n, d) or (d,) -> () or, with 'none', (n,) or ().

    Raises:
        ShapeError: the shapes differ.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl.nn import functional as F
        >>> a, b, c = ad.tensor([[0.0]]), ad.tensor([[1.0]]), ad.tensor([[1.5]])
        >>> F.triplet_margin_loss(a, b, c)
        tensor(0.5000)
    """
    name = "triplet_margin_loss"
    refuse_old_arguments(name, size_average, reduce)
    check_pair(name, anchor._array, positive._array)
    check_pair(name, anchor._array, negative._array)
    check_reduction(name, reduction)

    def distance(x: Tensor, y: Tensor) -> Tensor:
        return (x - y + eps).norm(p, -1)

    far = distance(anchor, negative)
    if swap:
        far = far.minimum(distance(positive, negative))
    return _reduce((distance(anchor, positive) - far + margin).clamp(min=0), reduction)
