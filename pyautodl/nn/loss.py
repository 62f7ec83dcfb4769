"""Loss layers; each is one call of the function of the same family."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pyautodl.functional.networks import loss as F
from pyautodl.functional.networks.loss.arguments import refuse_old_arguments
from pyautodl.nn.module import Module
from pyautodl.tensor import Tensor

__all__ = [
    "BCELoss",
    "BCEWithLogitsLoss",
    "CTCLoss",
    "CategoricalCrossEntropyLoss",
    "CosineEmbeddingLoss",
    "CrossEntropyLoss",
    "GaussianNLLLoss",
    "HingeEmbeddingLoss",
    "HuberLoss",
    "KLDivLoss",
    "L1Loss",
    "LogDiceLoss",
    "MSELoss",
    "MarginRankingLoss",
    "MultiLabelMarginLoss",
    "MultiLabelSoftMarginLoss",
    "MultiMarginLoss",
    "NLLLoss",
    "PoissonNLLLoss",
    "SmoothL1Loss",
    "SoftMarginLoss",
    "TripletMarginLoss",
    "TripletMarginWithDistanceLoss",
]


class _Loss(Module):
    """A loss with a reduction."""

    def __init__(
        self, size_average: Any = None, reduce: Any = None, reduction: str = "mean"
    ) -> None:
        super().__init__()
        refuse_old_arguments(type(self).__name__, size_average, reduce)
        self.reduction = reduction


class _WeightedLoss(_Loss):
    """A loss with a buffer of weights."""

    weight: Tensor | None

    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: Any = None,
        reduce: Any = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        self.register_buffer("weight", weight)


class MSELoss(_Loss):
    """The mean (or sum) of squared errors.

    Args:
        size_average, reduce: not supported; use `reduction`.
        reduction: 'mean', 'sum' or 'none'.

    Shape:
        input and target of one shape -> () or, with 'none', that shape.

    Example:
        >>> import pyautodl as ad
        >>> ad.nn.MSELoss()(ad.tensor([1.0, 2.0]), ad.tensor([1.0, 4.0]))
        tensor(2.)
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.mse_loss(input, target, reduction=self.reduction)


class L1Loss(_Loss):
    """The mean (or sum) of absolute errors.

    Args:
        size_average, reduce: not supported; use `reduction`.
        reduction: 'mean', 'sum' or 'none'.

    Shape:
        input and target of one shape -> () or, with 'none', that shape.

    Example:
        >>> import pyautodl as ad
        >>> ad.nn.L1Loss()(ad.tensor([1.0, 2.0]), ad.tensor([1.0, 4.0]))
        tensor(1.)
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.l1_loss(input, target, reduction=self.reduction)


class SmoothL1Loss(_Loss):
    """Squared errors below `beta`, absolute ones above.

    Args:
        size_average, reduce: not supported; use `reduction`.
        reduction: 'mean', 'sum' or 'none'.
        beta: where the square ends.

    Shape:
        input and target of one shape -> () or, with 'none', that shape.

    Example:
        >>> import pyautodl as ad
        >>> ad.nn.SmoothL1Loss()(ad.tensor([3.0]), ad.tensor([0.0]))
        tensor(2.5000)
    """

    def __init__(
        self,
        size_average: Any = None,
        reduce: Any = None,
        reduction: str = "mean",
        beta: float = 1.0,
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        self.beta = beta

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.smooth_l1_loss(input, target, reduction=self.reduction, beta=self.beta)


class HuberLoss(_Loss):
    """Squared errors up to `delta`, absolute ones above.

    Args:
        reduction: 'mean', 'sum' or 'none'.
        delta: where the square ends.

    Shape:
        input and target of one shape -> () or, with 'none', that shape.

    Example:
        >>> import pyautodl as ad
        >>> ad.nn.HuberLoss()(ad.tensor([3.0]), ad.tensor([0.0]))
        tensor(2.5000)
    """

    def __init__(self, reduction: str = "mean", delta: float = 1.0) -> None:
        super().__init__(reduction=reduction)
        self.delta = delta

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.huber_loss(input, target, self.reduction, self.delta)


class BCELoss(_WeightedLoss):
    """Binary cross-entropy of probabilities.

    Args:
        weight: factors of the elements' losses; broadcasts to the input.
        size_average, reduce: not supported; use `reduction`.
        reduction: 'mean', 'sum' or 'none'.

    Shape:
        input and target of one shape -> () or, with 'none', that shape.

    Example:
        >>> import pyautodl as ad
        >>> ad.nn.BCELoss()(ad.tensor([0.5]), ad.tensor([1.0]))
        tensor(0.6931)
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.binary_cross_entropy(
            input, target, self.weight, reduction=self.reduction
        )


class BCEWithLogitsLoss(_WeightedLoss):
    """Binary cross-entropy of the sigmoid of logits.

    Args:
        weight: factors of the elements' losses; broadcasts to the input.
        size_average, reduce: not supported; use `reduction`.
        reduction: 'mean', 'sum' or 'none'.
        pos_weight: factors of the positive part; broadcasts to the input.

    Shape:
        input and target of one shape -> () or, with 'none', that shape.

    Example:
        >>> import pyautodl as ad
        >>> ad.nn.BCEWithLogitsLoss()(ad.tensor([0.0]), ad.tensor([1.0]))
        tensor(0.6931)
    """

    pos_weight: Tensor | None

    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: Any = None,
        reduce: Any = None,
        reduction: str = "mean",
        pos_weight: Tensor | None = None,
    ) -> None:
        super().__init__(weight, size_average, reduce, reduction)
        self.register_buffer("pos_weight", pos_weight)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.binary_cross_entropy_with_logits(
            input,
            target,
            self.weight,
            reduction=self.reduction,
            pos_weight=self.pos_weight,
        )


class CTCLoss(Module):
    """The loss of sequences whose labels have no times, see `functional.ctc_loss`.

    Args:
        blank: the class that is no label.
        reduction: 'mean' of the losses over their numbers of labels, 'sum' or 'none'.
        zero_infinity: make the loss of labels that are too many for the times 0.

    Shape:
        log_probs (times, n, classes), targets (n, labels) or (sum of target_lengths,),
        input_lengths (n,), target_lengths (n,) -> () or, with 'none', (n,).

    Example:
        >>> import pyautodl as ad
        >>> log_probs = ad.full((3, 1, 2), 0.5).log()
        >>> ad.nn.CTCLoss()(log_probs, ad.tensor([[1]]), [3], [1])
        tensor(0.2877)

    Source: Graves et al., "Connectionist temporal classification", 2006.
    """

    def __init__(
        self, blank: int = 0, reduction: str = "mean", zero_infinity: bool = False
    ) -> None:
        super().__init__()
        self.blank = blank
        self.reduction = reduction
        self.zero_infinity = zero_infinity

    def forward(
        self,
        log_probs: Tensor,
        targets: Tensor,
        input_lengths: Any,
        target_lengths: Any,
    ) -> Tensor:
        return F.ctc_loss(
            log_probs,
            targets,
            input_lengths,
            target_lengths,
            self.blank,
            self.reduction,
            self.zero_infinity,
        )


class CrossEntropyLoss(_WeightedLoss):
    """Cross-entropy of logits, softmax included.

    Args:
        weight: a factor for each class.
        size_average, reduce: not supported; use `reduction`.
        ignore_index: class number of targets that do not count.
        reduction: 'mean', 'sum' or 'none'.
        label_smoothing: share of the targets that is spread over all classes.

    Shape:
        input (n, c), (n, c, ...) or (c,); target (n,), (n, ...) or () as class numbers,
        else as input -> () or, with 'none', that of class numbers.

    Example:
        >>> import pyautodl as ad
        >>> ad.nn.CrossEntropyLoss()(ad.zeros(3, 2), ad.tensor([0, 1, 1]))
        tensor(0.6931)
    """

    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: Any = None,
        ignore_index: int = -100,
        reduce: Any = None,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(weight, size_average, reduce, reduction)
        self.ignore_index = ignore_index
        self.label_smoothing = label_smoothing

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.cross_entropy(
            input,
            target,
            self.weight,
            ignore_index=self.ignore_index,
            reduction=self.reduction,
            label_smoothing=self.label_smoothing,
        )


class NLLLoss(_WeightedLoss):
    """Negative log-likelihood of class numbers under log-probabilities.

    Args:
        weight: a factor for each class.
        size_average, reduce: not supported; use `reduction`.
        ignore_index: class number of targets that do not count.
        reduction: 'mean', 'sum' or 'none'.

    Shape:
        input (n, c), (n, c, ...) or (c,); target (n,), (n, ...) or () -> () or, with
        'none', that of target.

    Example:
        >>> import pyautodl as ad
        >>> ad.nn.NLLLoss()(ad.tensor([[-1.0, -2.0]]), ad.tensor([1]))
        tensor(2.)
    """

    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: Any = None,
        ignore_index: int = -100,
        reduce: Any = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(weight, size_average, reduce, reduction)
        self.ignore_index = ignore_index

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.nll_loss(
            input,
            target,
            self.weight,
            ignore_index=self.ignore_index,
            reduction=self.reduction,
        )


class CategoricalCrossEntropyLoss(_WeightedLoss):
    """Cross-entropy of probabilities, for models that end in softmax.

    Args:
        weight: a factor for each class.
        ignore_index: class number of targets that do not count.
        reduction: 'mean', 'sum' or 'none'.

    Shape:
        input (n, c), (n, c, ...) or (c,); target (n,), (n, ...) or () as class numbers,
        else as input -> () or, with 'none', that of class numbers.

    Example:
        >>> import pyautodl as ad
        >>> p = ad.tensor([[0.5, 0.5]])
        >>> ad.nn.CategoricalCrossEntropyLoss()(p, ad.tensor([0]))
        tensor(0.6931)
    """

    def __init__(
        self,
        weight: Tensor | None = None,
        ignore_index: int = -100,
        reduction: str = "mean",
    ) -> None:
        super().__init__(weight, reduction=reduction)
        self.ignore_index = ignore_index

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.categorical_cross_entropy(
            input, target, self.weight, self.ignore_index, self.reduction
        )


class LogDiceLoss(_Loss):
    """-log of the smoothed Dice overlap of masks, for each class; never below 0.

    Args:
        multilabel: whether classes may overlap: sigmoid instead of softmax.
        smooth: added to both terms of Dice.
        reduction: 'mean' or 'sum' over the classes, or 'none'.

    Shape:
        input (n, c, ...), target (n, ...) or (n, c, ...) -> () or, with 'none', (c,)

    Example:
        >>> import pyautodl as ad
        >>> loss = ad.nn.LogDiceLoss(multilabel=True)
        >>> loss(ad.full((1, 1, 4), -1000.0), ad.zeros(1, 1, 4))
        tensor(0.)
    """

    def __init__(
        self, *, multilabel: bool = False, smooth: float = 1.0, reduction: str = "mean"
    ) -> None:
        super().__init__(reduction=reduction)
        self.multilabel = multilabel
        self.smooth = smooth

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.log_dice_loss(
            input,
            target,
            multilabel=self.multilabel,
            smooth=self.smooth,
            reduction=self.reduction,
        )


class KLDivLoss(_Loss):
    """Divergence of distributions, by terms.

    Args:
        size_average, reduce: not supported; use `reduction`.
        reduction: 'batchmean' (the divergence), 'mean', 'sum' or 'none'.
        log_target: whether target holds logarithms.

    Shape:
        input and target of one shape -> () or, with 'none', that shape.

    Example:
        >>> import pyautodl as ad
        >>> p = ad.tensor([[0.5, 0.5]])
        >>> ad.nn.KLDivLoss(reduction="batchmean")(p.log(), p)
        tensor(0.)
    """

    def __init__(
        self,
        size_average: Any = None,
        reduce: Any = None,
        reduction: str = "mean",
        log_target: bool = False,
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        self.log_target = log_target

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.kl_div(
            input, target, reduction=self.reduction, log_target=self.log_target
        )


class PoissonNLLLoss(_Loss):
    """Negative log-likelihood of counts under a Poisson distribution.

    Args:
        log_input: whether input holds logarithms.
        full: add Stirling's approximation of log(target!).
        size_average, reduce: not supported; use `reduction`.
        eps: keeps the logarithm of an expected count of 0 finite.
        reduction: 'mean', 'sum' or 'none'.

    Shape:
        input and target of one shape -> () or, with 'none', that shape.

    Example:
        >>> import pyautodl as ad
        >>> ad.nn.PoissonNLLLoss()(ad.tensor([0.0]), ad.tensor([3.0]))
        tensor(1.)
    """

    def __init__(
        self,
        log_input: bool = True,
        full: bool = False,
        size_average: Any = None,
        eps: float = 1e-8,
        reduce: Any = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        self.log_input = log_input
        self.full = full
        self.eps = eps

    def forward(self, log_input: Tensor, target: Tensor) -> Tensor:
        return F.poisson_nll_loss(
            log_input,
            target,
            log_input=self.log_input,
            full=self.full,
            eps=self.eps,
            reduction=self.reduction,
        )


class GaussianNLLLoss(_Loss):
    """Negative log-likelihood of targets under normal distributions.

    Args:
        full: add the constant 0.5 log(2 pi).
        eps: variances below it count as it.
        reduction: 'mean', 'sum' or 'none'.

    Shape:
        input and target of one shape, var as `gaussian_nll_loss` says -> () or, with
        'none', that shape.

    Example:
        >>> import pyautodl as ad
        >>> one = ad.tensor([1.0])
        >>> ad.nn.GaussianNLLLoss()(one, one, one)
        tensor(0.)
    """

    def __init__(
        self, *, full: bool = False, eps: float = 1e-6, reduction: str = "mean"
    ) -> None:
        super().__init__(reduction=reduction)
        self.full = full
        self.eps = eps

    def forward(self, input: Tensor, target: Tensor, var: Tensor | float) -> Tensor:
        return F.gaussian_nll_loss(
            input, target, var, self.full, self.eps, self.reduction
        )


class HingeEmbeddingLoss(_Loss):
    """Distances of like pairs, and what unlike pairs lack to the margin.

    Args:
        margin: the margin.
        size_average, reduce: not supported; use `reduction`.
        reduction: 'mean', 'sum' or 'none'.

    Shape:
        input and target of one shape -> () or, with 'none', that shape.

    Example:
        >>> import pyautodl as ad
        >>> ad.nn.HingeEmbeddingLoss()(ad.tensor([0.5]), ad.tensor([-1.0]))
        tensor(0.5000)
    """

    def __init__(
        self,
        margin: float = 1.0,
        size_average: Any = None,
        reduce: Any = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        self.margin = margin

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.hinge_embedding_loss(
            input, target, self.margin, reduction=self.reduction
        )


class MarginRankingLoss(_Loss):
    """max(0, -target (input1 - input2) + margin).

    Args:
        margin: the margin.
        size_average, reduce: not supported; use `reduction`.
        reduction: 'mean', 'sum' or 'none'.

    Shape:
        all of one shape -> () or, with 'none', that shape.

    Example:
        >>> import pyautodl as ad
        >>> one = ad.tensor([1.0])
        >>> ad.nn.MarginRankingLoss()(one, one * 3, one)
        tensor(2.)
    """

    def __init__(
        self,
        margin: float = 0.0,
        size_average: Any = None,
        reduce: Any = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        self.margin = margin

    def forward(self, input1: Tensor, input2: Tensor, target: Tensor) -> Tensor:
        return F.margin_ranking_loss(
            input1, input2, target, self.margin, reduction=self.reduction
        )


class CosineEmbeddingLoss(_Loss):
    """1 - cos of the angle of like vectors, max(0, cos - margin) of unlike ones.

    Args:
        margin: the margin.
        size_average, reduce: not supported; use `reduction`.
        reduction: 'mean', 'sum' or 'none'.

    Shape:
        inputs (n, d) and target (n,), or (d,) and () -> () or, with 'none', that of
        target.

    Example:
        >>> import pyautodl as ad
        >>> a, b = ad.tensor([[1.0, 0.0]]), ad.tensor([[0.0, 1.0]])
        >>> ad.nn.CosineEmbeddingLoss()(a, b, ad.tensor([1]))
        tensor(1.)
    """

    def __init__(
        self,
        margin: float = 0.0,
        size_average: Any = None,
        reduce: Any = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        self.margin = margin

    def forward(self, input1: Tensor, input2: Tensor, target: Tensor) -> Tensor:
        return F.cosine_embedding_loss(
            input1, input2, target, self.margin, reduction=self.reduction
        )


class SoftMarginLoss(_Loss):
    """log(1 + exp(-target input)).

    Args:
        size_average, reduce: not supported; use `reduction`.
        reduction: 'mean', 'sum' or 'none'.

    Shape:
        input and target of one shape -> () or, with 'none', that shape.

    Example:
        >>> import pyautodl as ad
        >>> ad.nn.SoftMarginLoss()(ad.tensor([0.0]), ad.tensor([-1.0]))
        tensor(0.6931)
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.soft_margin_loss(input, target, reduction=self.reduction)


class TripletMarginLoss(_Loss):
    """max(0, d(anchor, positive) - d(anchor, negative) + margin).

    Args:
        margin: by how much negatives should lie farther away.
        p: of the norm that is the distance d.
        eps: added to the differences.
        swap: use the distance of positive and negative if it is the smaller one.
        size_average, reduce: not supported; use `reduction`.
        reduction: 'mean', 'sum' or 'none'.

    Shape:
        all (n, d) or (d,) -> () or, with 'none', (n,) or ().

    Example:
        >>> import pyautodl as ad
        >>> a, b, c = ad.tensor([[0.0]]), ad.tensor([[1.0]]), ad.tensor([[1.5]])
        >>> ad.nn.TripletMarginLoss()(a, b, c)
        tensor(0.5000)
    """

    def __init__(
        self,
        margin: float = 1.0,
        p: float = 2.0,
        eps: float = 1e-6,
        swap: bool = False,
        size_average: Any = None,
        reduce: Any = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        self.margin = margin
        self.p = p
        self.eps = eps
        self.swap = swap

    def forward(self, anchor: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
        return F.triplet_margin_loss(
            anchor,
            positive,
            negative,
            self.margin,
            self.p,
            self.eps,
            self.swap,
            reduction=self.reduction,
        )


class TripletMarginWithDistanceLoss(_Loss):
    """max(0, d(anchor, positive) - d(anchor, negative) + margin) for any distance d.

    Args:
        distance_function: d; default the Euclidean distance.
        margin: by how much negatives should lie farther away.
        swap: use the distance of positive and negative if it is the smaller one.
        reduction: 'mean', 'sum' or 'none'.

    Example:
        >>> import pyautodl as ad
        >>> a, b, c = ad.tensor([[0.0]]), ad.tensor([[1.0]]), ad.tensor([[1.5]])
        >>> ad.nn.TripletMarginWithDistanceLoss(margin=2.0)(a, b, c)
        tensor(1.5000)
    """

    def __init__(
        self,
        *,
        distance_function: Callable[[Tensor, Tensor], Tensor] | None = None,
        margin: float = 1.0,
        swap: bool = False,
        reduction: str = "mean",
    ) -> None:
        super().__init__(reduction=reduction)
        self.distance_function = distance_function
        self.margin = margin
        self.swap = swap

    def forward(self, anchor: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
        return F.triplet_margin_with_distance_loss(
            anchor,
            positive,
            negative,
            distance_function=self.distance_function,
            margin=self.margin,
            swap=self.swap,
            reduction=self.reduction,
        )


class MultiMarginLoss(_WeightedLoss):
    """By how much other classes' scores come too close to the right one's.

    Args:
        p: 1 or 2.
        margin: how far the right score should be above the others.
        weight: a factor for each class.
        size_average, reduce: not supported; use `reduction`.
        reduction: 'mean', 'sum' or 'none'.

    Shape:
        (n, c) and (n,), or (c,) and () -> () or, with 'none', the target's shape

    Example:
        >>> import pyautodl as ad
        >>> ad.nn.MultiMarginLoss()(ad.tensor([[0.5, 0.0]]), ad.tensor([0]))
        tensor(0.2500)
    """

    def __init__(
        self,
        p: int = 1,
        margin: float = 1.0,
        weight: Tensor | None = None,
        size_average: Any = None,
        reduce: Any = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(weight, size_average, reduce, reduction)
        if p not in (1, 2):
            raise ValueError(f"MultiMarginLoss: p must be 1 or 2, got {p}")
        self.p = p
        self.margin = margin

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.multi_margin_loss(
            input, target, self.p, self.margin, self.weight, reduction=self.reduction
        )


class MultiLabelMarginLoss(_Loss):
    """By how much other classes' scores come too close to those of several right ones.

    Args:
        size_average, reduce: not supported; use `reduction`.
        reduction: 'mean', 'sum' or 'none'.

    Shape:
        (n, c) both, or (c,) both -> () or, with 'none', (n,) or (); targets are the right
        classes' numbers, with -1 behind them.

    Example:
        >>> import pyautodl as ad
        >>> x = ad.tensor([0.1, 0.2, 0.4, 0.8])
        >>> ad.nn.MultiLabelMarginLoss()(x, ad.tensor([3, 0, -1, 1]))
        tensor(0.8500)
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.multilabel_margin_loss(input, target, reduction=self.reduction)


class MultiLabelSoftMarginLoss(_WeightedLoss):
    """The binary cross-entropy of scores, averaged over the labels.

    Args:
        weight: a factor for each label.
        size_average, reduce: not supported; use `reduction`.
        reduction: 'mean', 'sum' or 'none'.

    Shape:
        (..., c) both -> () or, with 'none', (...)

    Example:
        >>> import pyautodl as ad
        >>> ad.nn.MultiLabelSoftMarginLoss()(ad.zeros(1, 2), ad.tensor([[1.0, 0.0]]))
        tensor(0.6931)
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.multilabel_soft_margin_loss(
            input, target, self.weight, reduction=self.reduction
        )
