"""A softmax over many classes in parts, of which those of rare classes are small."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from pyautodl.backends.dtypes import INTEGRAL
from pyautodl.errors import DTypeError, ShapeError, warn
from pyautodl.functional.copy import cat
from pyautodl.functional.index import gather
from pyautodl.functional.softmax import log_softmax
from pyautodl.nn._sizes import size
from pyautodl.nn.container import ModuleList, Sequential
from pyautodl.nn.linear import Linear
from pyautodl.nn.module import Module
from pyautodl.ops.integers import integers
from pyautodl.tensor import Tensor

__all__ = ["AdaptiveLogSoftmaxWithLoss"]


class _Output(NamedTuple):
    """What `AdaptiveLogSoftmaxWithLoss` returns."""

    output: Tensor
    loss: Tensor


class AdaptiveLogSoftmaxWithLoss(Module):
    """Logarithms of class probabilities and their loss, for many classes of unequal frequency.

    Class 0 is the most frequent. A head decides between the first `cutoffs[0]` classes and
    the clusters of the others; a cluster is computed for the samples alone whose class is in
    it, from features that are `div_value` times fewer for each further cluster.

    Args:
        in_features: length of the feature vectors.
        n_classes: how many classes.
        cutoffs: where clusters begin, from 1 to n_classes - 1, rising.
        div_value: by how many times the features of a cluster are fewer than those before.
        head_bias: give the head a bias.
        device: 'cpu' or None.
        dtype: element type of the parameters.

    Shape:
        (n, in_features) and (n,), or (in_features,) and () -> output (n,) or (), the
        logarithm of each target's probability, and loss (), their mean with the other sign

    Raises:
        ValueError: the cutoffs are none.
        DTypeError: targets are no integers.
        IndexError: a target is out of range.
        ShapeError: input and target do not fit together.

    Example:
        >>> import pyautodl as ad
        >>> model = ad.nn.AdaptiveLogSoftmaxWithLoss(16, 100, [10, 50], div_value=2.0)
        >>> found = model(ad.randn(8, 16), ad.randint(0, 100, (8,)))
        >>> found.output.shape, bool(found.loss == -found.output.mean())
        (pyautodl.Size([8]), True)

    Source: Grave et al., "Efficient softmax approximation for GPUs", 2017.
    """

    def __init__(
        self,
        in_features: int,
        n_classes: int,
        cutoffs: Sequence[int],
        div_value: float = 4.0,
        head_bias: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        name = "AdaptiveLogSoftmaxWithLoss"
        in_features = size(name, "in_features", in_features)
        n_classes = size(name, "n_classes", n_classes)
        ends = [0, *integers(name, "cutoffs", cutoffs), n_classes]
        if len(ends) < 3 or any(low >= high for low, high in pairwise(ends)):
            raise ValueError(
                f"{name}: cutoffs must rise from 1 to at most n_classes - 1, got "
                f"{list(cutoffs)} for {n_classes} classes"
            )
        self.in_features = in_features
        self.n_classes = n_classes
        self.cutoffs = ends[1:]
        self.div_value = div_value
        self.head_bias = head_bias
        self.shortlist_size = self.cutoffs[0]
        self.n_clusters = len(self.cutoffs) - 1
        self.head_size = self.shortlist_size + self.n_clusters
        more: dict[str, Any] = {"device": device, "dtype": dtype}
        self.head = Linear(in_features, self.head_size, bias=head_bias, **more)
        self.tail = ModuleList()
        for i, (low, high) in enumerate(pairwise(self.cutoffs), 1):
            features = int(in_features // div_value**i)
            if not features:
                warn(
                    f"{name}: cluster {i} of {self.n_clusters} has {in_features} // "
                    f"{div_value}**{i} = 0 features, so that its classes are equally likely "
                    "for all inputs; likely fix: a smaller div_value, or fewer cutoffs"
                )
            inner = Linear(in_features, features, bias=False, **more)
            outer = Linear(features, high - low, bias=False, **more)
            self.tail.append(Sequential(inner, outer))

    def reset_parameters(self) -> None:
        """Draw all weights anew."""
        self.head.reset_parameters()
        for cluster in self.tail:
            for layer in cluster.children():
                layer.reset_parameters()

    def forward(self, input_: Tensor, target_: Tensor) -> _Output:
        self._check(input_, target_)
        single = target_.ndim == 0
        x = input_.unsqueeze(0) if single else input_
        target = (target_.unsqueeze(0) if single else target_).long()
        head = log_softmax(self.head(x), 1)
        # of each sample its class, or the place of its cluster
        place = target
        inside = head.new_zeros(len(target))
        for i, (low, high) in enumerate(pairwise(self.cutoffs)):
            rows = ((target >= low) & (target < high)).nonzero().flatten()
            if not rows.numel():
                continue
            place = place.index_fill(0, rows, self.shortlist_size + i)
            scores = log_softmax(self.tail[i](x[rows]), 1)
            own = gather(scores, 1, (target[rows] - low).unsqueeze(1)).squeeze(1)
            inside = inside.index_add(0, rows, own)
        output = gather(head, 1, place.unsqueeze(1)).squeeze(1) + inside
        return _Output(output.squeeze(0) if single else output, -output.mean())

    def log_prob(self, input: Tensor) -> Tensor:
        """Return the logarithms of all class probabilities.

        Args:
            input: (n, in_features).

        Shape:
            (n, in_features) -> (n, n_classes)
        """
        head = log_softmax(self.head(input), 1)
        parts = [head[:, : self.shortlist_size]]
        for i, cluster in enumerate(self.tail):
            own = head[:, self.shortlist_size + i].unsqueeze(1)
            parts.append(log_softmax(cluster(input), 1) + own)
        return cat(parts, 1)

    def predict(self, input: Tensor) -> Tensor:
        """Return the most likely class of each sample.

        Where the head's most likely is one of the frequent classes it is taken, and
        clusters are computed for the other samples alone.

        Args:
            input: (n, in_features).

        Shape:
            (n, in_features) -> (n,)
        """
        found = self.head(input).argmax(1)
        rows = (found >= self.shortlist_size).nonzero().flatten()
        if not rows.numel():
            return found
        return found.index_copy(0, rows, self.log_prob(input[rows]).argmax(1))

    def _check(self, x: Tensor, target: Tensor) -> None:
        name = type(self).__name__
        fits = target.ndim < 2 and x.ndim == target.ndim + 1
        if not fits or x.shape[:-1] != target.shape:
            raise ShapeError(
                f"{name}: expected input (n, {self.in_features}) and target (n,), or "
                f"({self.in_features},) and (), got {tuple(x.shape)} and "
                f"{tuple(target.shape)}"
            )
        if target.dtype.category != INTEGRAL:
            raise DTypeError(
                f"{name}: targets must be integers, got {target.dtype}; likely fix: .long()"
            )
        if target.numel():
            low, high = target.min().item(), target.max().item()
            if low < 0 or high >= self.n_classes:
                raise IndexError(
                    f"{name}: targets must be from 0 to {self.n_classes - 1}, got "
                    f"{low if low < 0 else high}"
                )
