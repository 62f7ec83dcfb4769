"""The loss of sequences whose labels have no times."""

from __future__ import annotations

from typing import Any

from pyautodl.backends.dtypes import INTEGRAL, int64
from pyautodl.errors import DTypeError, ShapeError
from pyautodl.functional.creation import tensor
from pyautodl.functional.eltwise import eq, where
from pyautodl.functional.eltwise.unary import check_tensor
from pyautodl.ops.ctc import CTC_LOSS
from pyautodl.ops.integers import integer
from pyautodl.ops.pair_loss import check_reduction
from pyautodl.tensor import Tensor, apply, explained

__all__ = ["ctc_loss"]


def _lengths(name: str, given: Any, count: int, batched: bool) -> list[int]:
    """Lengths as ints: a tensor, a list, or for one sequence a number."""
    if isinstance(given, Tensor):
        given = given.reshape(-1).tolist()
    elif not batched and not isinstance(given, (tuple, list)):
        given = [given]
    lengths = [integer("ctc_loss", name, each) for each in given]
    if len(lengths) != count:
        raise ShapeError(
            f"ctc_loss: expected {name} for each of {count} sequences, got {len(lengths)}"
        )
    return lengths


def _padded(targets: Tensor, lengths: list[int]) -> Tensor:
    """Targets that follow each other in one row, a row each."""
    if sum(lengths) != targets.shape[0]:
        raise ShapeError(
            f"ctc_loss: target_lengths sum to {sum(lengths)}, and there are "
            f"{targets.shape[0]} targets in a row"
        )
    padded = targets.new_zeros((len(lengths), max(lengths, default=0)))
    begin = 0
    for row, length in enumerate(lengths):
        if length:
            padded[row, :length] = targets[begin : begin + length]
        begin += length
    return padded


@explained
def ctc_loss(
    log_probs: Tensor,
    targets: Tensor,
    input_lengths: Any,
    target_lengths: Any,
    blank: int = 0,
    reduction: str = "mean",
    zero_infinity: bool = False,
) -> Tensor:
    """Return minus the log-probability that sequences give their labels, in any times.

    At each time a class is seen, repeated ones are one label, and `blank` is none. The
    probabilities of all ways to the labels are added, in logarithms and in double.

    The gradient is that of the loss to `log_probs` as they are, where PyTorch's is that to
    the logits behind a log_softmax; behind one both are the same.

    Args:
        log_probs: log-probabilities of the classes, as `log_softmax` gives them.
        targets: labels, a row for each sequence, or all in one row.
        input_lengths: how many times of each sequence count.
        target_lengths: how many labels.
        blank: the class that is no label.
        reduction: 'mean' of the losses over their numbers of labels, 'sum' or 'none'.
        zero_infinity: make the loss, and the gradient, of labels that are too many for
            the times 0, not infinite.

    Shape:
        log_probs (times, n, classes) or (times, classes); targets (n, labels), (sum of
        target_lengths,) or (labels,) -> () or, with 'none', (n,) or ().

    Raises:
        ShapeError: shapes or lengths do not fit each other.
        ValueError: a length is negative or too large, or a label is blank.
        IndexError: a label is no class.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl.nn import functional as F
        >>> log_probs = ad.full((3, 1, 2), 0.5).log()
        >>> F.ctc_loss(log_probs, ad.tensor([[1]]), [3], [1], reduction="none")
        tensor([0.2877])

    Source: Graves et al., "Connectionist temporal classification", 2006.
    """
    check_tensor("ctc_loss", log_probs, "log_probs")
    check_tensor("ctc_loss", targets, "targets")
    check_reduction("ctc_loss", reduction)
    if targets.dtype.category != INTEGRAL:
        raise DTypeError(
            f"ctc_loss: expected integer targets, got {targets.dtype.name}"
        )
    if log_probs.ndim not in (2, 3):
        raise ShapeError(
            "ctc_loss: expected log_probs (times, n, classes) or (times, classes), got "
            f"{tuple(log_probs.shape)}"
        )
    batched = log_probs.ndim == 3
    logs = log_probs if batched else log_probs.unsqueeze(1)
    count = logs.shape[1]
    times = _lengths("input_lengths", input_lengths, count, batched)
    ends = _lengths("target_lengths", target_lengths, count, batched)
    labels = targets.to(int64)
    if labels.ndim == 1 and not batched:
        labels = labels.unsqueeze(0)
    elif labels.ndim == 1:
        labels = _padded(labels, ends)
    blank = integer("ctc_loss", "blank", blank)
    loss: Tensor = apply(
        CTC_LOSS,
        logs,
        labels,
        tensor(times, dtype=int64),
        tensor(ends, dtype=int64),
        blank=blank,
    )
    if zero_infinity:
        loss = where(eq(loss, float("inf")), 0.0, loss)
    if reduction == "sum":
        return loss.sum()
    if reduction == "mean":
        counts = tensor([max(1, end) for end in ends], dtype=loss.dtype)
        return (loss / counts).mean()
    return loss if batched else loss.squeeze(0)
