"""A classifier of sequences."""

from __future__ import annotations

from typing import Any

import pyautodl.functional as F
from pyautodl import nn
from pyautodl.tensor import Tensor

__all__ = ["LSTMClassifier"]


class LSTMClassifier(nn.Module):
    """An LSTM whose last state is classified.

    Args:
        input_size: features of each step.
        num_classes: scores that come out.
        hidden_size: width of the LSTM.
        num_layers: layers of the LSTM.
        bidirectional: also read from the end.
        dropout: share of the last state that is dropped in training, and between
            layers.

    Shape:
        (n, steps, input_size), or a PackedSequence -> (n, num_classes), logits.

    Source: Hochreiter and Schmidhuber, "Long short-term memory", 1997.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl.models import LSTMClassifier
        >>> LSTMClassifier(4, 3)(ad.zeros(2, 5, 4)).shape
        pyautodl.Size([2, 3])
    """

    def __init__(
        self,
        input_size: int,
        num_classes: int,
        hidden_size: int = 128,
        num_layers: int = 1,
        bidirectional: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.lstm = nn.LSTM(
            input_size,
            hidden_size,
            num_layers,
            batch_first=True,
            dropout=dropout if num_layers > 1 else 0.0,
            bidirectional=bidirectional,
        )
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(hidden_size * (2 if bidirectional else 1), num_classes)

    def forward(self, x: Any) -> Tensor:
        _, (states, _) = self.lstm(x)
        last = states[-1]
        if self.lstm.bidirectional:
            last = F.cat([states[-2], states[-1]], dim=1)
        return self.head(self.dropout(last))
