"""Several modules as one function of stacked parameters, and modules without memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pyautodl.functional.copy import stack
from pyautodl.nn.module import Module
from pyautodl.nn.norm import BatchNorm1d, BatchNorm2d, BatchNorm3d
from pyautodl.tensor import Tensor

__all__ = ["replace_all_batch_norm_modules_", "stack_module_state"]

State = dict[str, Any]


def stack_module_state(models: Sequence[Module]) -> tuple[State, State]:
    """Return the parameters and the buffers of several modules, stacked by name.

    With `functional_call` and `vmap` they are an ensemble.

    Args:
        models: modules of one class in the same mode, training or evaluation.

    Returns:
        Two dicts from names to tensors with an axis for the models first; parameters are
        leaves that require gradients as those of the models do.

    Raises:
        ValueError: there is no model, or they are of several classes or in several modes.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl.func import functional_call, stack_module_state, vmap
        >>> models = [ad.nn.Linear(4, 2) for _ in range(3)]
        >>> params, buffers = stack_module_state(models)
        >>> def predict(params, buffers, x):
        ...     return functional_call(models[0], (params, buffers), (x,))
        >>> vmap(predict, (0, 0, None))(params, buffers, ad.ones(5, 4)).shape
        pyautodl.Size([3, 5, 2])
    """
    models = list(models)
    if not models:
        raise ValueError("stack_module_state: expected at least one model, got none")
    if len({each.training for each in models}) > 1:
        raise ValueError(
            "stack_module_state: the models must all be in train() or all in eval()"
        )
    kinds = {type(each) for each in models}
    if len(kinds) > 1:
        names = sorted(each.__name__ for each in kinds)
        raise ValueError(
            f"stack_module_state: the models must be of one class: {names}"
        )
    parameters = _stacked([dict(each.named_parameters()) for each in models])
    buffers = _stacked([dict(each.named_buffers()) for each in models])
    return parameters, buffers


def _stacked(states: Sequence[dict[str, Tensor]]) -> State:
    made: State = {}
    for name, first in states[0].items():
        whole = stack([each[name].detach() for each in states])
        made[name] = whole.requires_grad_(first.requires_grad)
    return made


def replace_all_batch_norm_modules_(root: Module) -> Module:
    """Let all batch norms of a module use the batch's statistics and keep none, in place.

    Under `vmap` running statistics would be those of single samples.

    Args:
        root: the module, which is returned.

    Example:
        >>> from pyautodl import nn
        >>> from pyautodl.func import replace_all_batch_norm_modules_
        >>> replace_all_batch_norm_modules_(nn.BatchNorm2d(3)).running_mean is None
        True
    """
    for each in root.modules():
        if isinstance(each, (BatchNorm1d, BatchNorm2d, BatchNorm3d)):
            each.running_mean = each.running_var = None
            each.num_batches_tracked = None
            each.track_running_stats = False
    return root
