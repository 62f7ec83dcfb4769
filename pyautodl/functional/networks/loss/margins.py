"""Losses that are 0 beyond a margin."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pyautodl.backends.dtypes import int64
from pyautodl.errors import ShapeError
from pyautodl.functional.creation import zeros_like
from pyautodl.functional.eltwise import logical_and, logical_not, ne, where
from pyautodl.functional.eltwise.activation import logsigmoid
from pyautodl.functional.networks.loss.arguments import (
    prepare,
    reduced,
    refuse_old_arguments,
    spread,
    to_classes,
)
from pyautodl.ops.pair_loss import (
    check_pair,
    check_reduction,
)
from pyautodl.tensor import Tensor, explained

__all__ = [
    "cosine_embedding_loss",
    "hinge_embedding_loss",
    "margin_ranking_loss",
    "multi_margin_loss",
    "multilabel_margin_loss",
    "multilabel_soft_margin_loss",
    "soft_margin_loss",
    "triplet_margin_loss",
    "triplet_margin_with_distance_loss",
]


@explained
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
    target = prepare("hinge_embedding_loss", input, target, reduction)
    zero = input.new_full((), 0.0)
    unlike = (margin - input).clamp(min=0).where(target != 1, zero)
    return reduced(unlike + input.where(target != -1, zero), reduction)


@explained
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
    target = prepare(name, input1, target, reduction)
    return reduced((margin - target * (input1 - input2)).clamp(min=0), reduction)


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
    target = prepare("soft_margin_loss", input, target, reduction)
    return reduced(-logsigmoid(target * input), reduction)


@explained
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
    return reduced(like + unlike, reduction)


@explained
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
    return reduced((distance(anchor, positive) - far + margin).clamp(min=0), reduction)


@explained
def triplet_margin_with_distance_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    *,
    distance_function: Callable[[Tensor, Tensor], Tensor] | None = None,
    margin: float = 1.0,
    swap: bool = False,
    reduction: str = "mean",
) -> Tensor:
    """Return max(0, d(anchor, positive) - d(anchor, negative) + margin) for any d.

    Args:
        anchor: vectors.
        positive: vectors that should lie close to them.
        negative: vectors that should lie farther away.
        distance_function: d; default the Euclidean distance, as in `triplet_margin_loss`.
        margin: by how much.
        swap: use the distance of positive and negative if it is the smaller one.
        reduction: 'mean', 'sum' or 'none'.

    Raises:
        ShapeError: the shapes differ.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl.nn import functional as F
        >>> a, b, c = ad.tensor([[0.0]]), ad.tensor([[1.0]]), ad.tensor([[1.5]])
        >>> def square(x, y):
        ...     return ((x - y) ** 2).sum(-1)
        >>> F.triplet_margin_with_distance_loss(a, b, c, distance_function=square)
        tensor(0.)
    """
    name = "triplet_margin_with_distance_loss"
    check_pair(name, anchor._array, positive._array)
    check_pair(name, anchor._array, negative._array)
    check_reduction(name, reduction)
    distance = distance_function or _euclidean
    far = distance(anchor, negative)
    if swap:
        far = far.minimum(distance(positive, negative))
    return reduced((distance(anchor, positive) - far + margin).clamp(min=0), reduction)


def _euclidean(x: Tensor, y: Tensor) -> Tensor:
    # PyTorch's epsilon
    return (x - y + 1e-6).norm(2, -1)


@explained
def multi_margin_loss(
    input: Tensor,
    target: Tensor,
    p: int = 1,
    margin: float = 1.0,
    weight: Tensor | None = None,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
) -> Tensor:
    """Return by how much other classes' scores come too close to the right one's.

    It is the mean over classes of max(0, margin - x[target] + x[class])^p, without the
    right one.

    Args:
        input: scores.
        target: class numbers.
        p: 1 or 2.
        margin: how far the right score should be above the others.
        weight: a factor for each class, by which the target's loss is multiplied.
        size_average, reduce: not supported; use `reduction`.
        reduction: 'mean', 'sum' or 'none'.

    Shape:
        (n, c) and (n,), or (c,) and () -> () or, with 'none', the target's shape

    Raises:
        ShapeError: the shapes do not fit.
        ValueError: p is neither 1 nor 2.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl.nn import functional as F
        >>> F.multi_margin_loss(ad.tensor([[0.5, 0.0]]), ad.tensor([0]))
        tensor(0.2500)
    """
    name = "multi_margin_loss"
    refuse_old_arguments(name, size_average, reduce)
    check_reduction(name, reduction)
    if p not in (1, 2):
        raise ValueError(f"{name}: p must be 1 or 2, got {p}")
    if input.ndim not in (1, 2) or target.shape != input.shape[:-1]:
        raise ShapeError(
            f"{name}: expected input (n, c) and target (n,), or (c,) and (), got "
            f"{tuple(input.shape)} and target {tuple(target.shape)}"
        )
    places = to_classes(name, input, target).unsqueeze(-1)
    lack = (margin - input.gather(-1, places) + input).clamp(min=0)
    lack = lack.scatter(-1, places, 0.0)
    lack = lack if p == 1 else lack * lack
    if weight is not None:
        lack = lack * weight[places]
    return reduced(lack.mean(-1), reduction)


@explained
def multilabel_margin_loss(
    input: Tensor,
    target: Tensor,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
) -> Tensor:
    """Return by how much other classes' scores come too close to the right ones'.

    It is the sum of max(0, 1 - x[right] + x[other]) over all pairs of a right and another
    class, divided by the number of classes.

    Args:
        input: scores.
        target: the right classes' numbers, behind them -1, and what follows that does not
            count.
        size_average, reduce: not supported; use `reduction`.
        reduction: 'mean', 'sum' or 'none'.

    Shape:
        (n, c) both, or (c,) both -> () or, with 'none', (n,) or ()

    Raises:
        ShapeError: the shapes do not fit.
        IndexError: a number before the first -1 is no class.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl.nn import functional as F
        >>> x = ad.tensor([0.1, 0.2, 0.4, 0.8])
        >>> F.multilabel_margin_loss(x, ad.tensor([3, 0, -1, 1]))
        tensor(0.8500)
    """
    name = "multilabel_margin_loss"
    refuse_old_arguments(name, size_average, reduce)
    check_reduction(name, reduction)
    places = to_classes(name, input, target)
    if input.ndim not in (1, 2) or target.shape != input.shape:
        raise ShapeError(
            f"{name}: expected input and target (n, c), or (c,), got "
            f"{tuple(input.shape)} and target {tuple(target.shape)}"
        )
    # 1 up to the first -1
    counts = ne(places, -1).to(int64).cumprod(-1)
    # no more pairs than there are labels of the sample that has most
    most = int(counts.sum(-1).max()) if counts.numel() else 0
    places, counts = places.narrow(-1, 0, most), counts.narrow(-1, 0, most)
    places = places * counts
    rights = zeros_like(input, dtype=int64).scatter_add(-1, places, counts) > 0
    lack = (1 - input.gather(-1, places).unsqueeze(-1) + input.unsqueeze(-2)).clamp(
        min=0
    )
    pairs = logical_and(counts.unsqueeze(-1) > 0, logical_not(rights).unsqueeze(-2))
    loss = where(pairs, lack, 0.0).sum((-2, -1)) / max(input.shape[-1], 1)
    return reduced(loss, reduction)


def multilabel_soft_margin_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
) -> Tensor:
    """Return the binary cross-entropy of scores, averaged over the labels.

    Args:
        input: scores, a label each on the last axis.
        target: 1 where a label applies, else 0.
        weight: a factor for each label.
        size_average, reduce: not supported; use `reduction`.
        reduction: 'mean', 'sum' or 'none'.

    Shape:
        (..., c) both -> () or, with 'none', (...)

    Raises:
        ShapeError: input and target have different shapes.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl.nn import functional as F
        >>> F.multilabel_soft_margin_loss(ad.zeros(1, 2), ad.tensor([[1.0, 0.0]]))
        tensor(0.6931)
    """
    name = "multilabel_soft_margin_loss"
    refuse_old_arguments(name, size_average, reduce)
    target = prepare(name, input, target, reduction)
    loss = -(target * logsigmoid(input) + (1 - target) * logsigmoid(-input))
    weight = spread(name, weight, input)
    return reduced((loss if weight is None else loss * weight).mean(-1), reduction)
