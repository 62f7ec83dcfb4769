"""Parameter groups by what should decay."""

from __future__ import annotations

from typing import Any

__all__ = ["no_decay_groups"]


def no_decay_groups(model: Any, weight_decay: float = 1e-2) -> list[dict[str, Any]]:
    """Return parameter groups that spare biases and normalisation from decay.

    Decay pulls weights towards 0. A bias or the scale and shift of a normalisation has
    no reason to be near 0; they are the parameters with at most one axis.

    Args:
        model: a module.
        weight_decay: of the other parameters.

    Returns:
        Groups for an optimizer, with names; without the empty ones.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl import nn
        >>> groups = ad.optim.no_decay_groups(nn.Linear(3, 2), 0.1)
        >>> [(group["param_names"], group["weight_decay"]) for group in groups]
        [(['weight'], 0.1), (['bias'], 0.0)]
    """
    named = list(model.named_parameters())
    groups: list[dict[str, Any]] = []
    for decay, wanted in ((weight_decay, True), (0.0, False)):
        chosen = [each for each in named if (each[1].ndim > 1) == wanted]
        if chosen:
            groups.append({"params": chosen, "weight_decay": decay})
    for group in groups:
        group["param_names"] = [name for name, _ in group["params"]]
    return groups
