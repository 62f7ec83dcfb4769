"""Backward hooks of modules: an identity around the inputs, one around the outputs.

Each identity is a Function over several tensors, so its backward sees all of their
gradients at once: those of the outputs before the module's own backward, those of the
inputs after it.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

from pyautodl.autograd.function import Function
from pyautodl.tensor import Tensor

Grads = tuple[Any, ...]


class _Identity(Function):
    """Passes tensors through; `on_grads` sees their gradients and may replace them."""

    @staticmethod
    def forward(ctx: Any, on_grads: Callable[[Grads], Grads], *tensors: Tensor) -> Any:
        ctx.on_grads = on_grads
        ctx.set_materialize_grads(False)
        return tensors

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        return None, *ctx.on_grads(grads)


def _pass(value: Any, on_grads: Callable[[Grads], Grads]) -> tuple[Any, int]:
    """Send the tensors in a value (a tensor, or a tuple) through an identity."""
    items = list(value) if isinstance(value, (tuple, list)) else [value]
    places = [i for i, item in enumerate(items) if isinstance(item, Tensor)]
    if not any(items[i].requires_grad for i in places):
        return value, 0

    count = len(items)  # the closure must not hold the tensors: they hold it

    def spread(grads: Grads) -> Grads:
        full: list[Any] = [None] * count
        for place, grad in zip(places, grads):
            full[place] = grad
        changed = on_grads(tuple(full))
        return tuple([changed[place] for place in places])

    passed = _Identity.apply(spread, *[items[i] for i in places])
    for place, tensor in zip(places, passed):
        items[place] = tensor
    if not isinstance(value, (tuple, list)):
        return items[0], 1
    if hasattr(value, "_fields"):  # a named tuple
        return type(value)(*items), len(items)
    return type(value)(items), len(items)


class BackwardHooks:
    """Runs a module's backward hooks for one call of it."""

    def __init__(self, module: Any) -> None:
        self._module = weakref.ref(module)
        self._pre_hooks = list(module._backward_pre_hooks.values())
        self._hooks = list(module._backward_hooks.values())
        self._grad_outputs: Grads = ()
        self._given = 0  # how many inputs there are
        self._inputs = 0  # how many are watched; 0: none requires a gradient

    def watch_inputs(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """The inputs to call forward with."""
        self._given = len(args)
        args, self._inputs = _pass(args, self._on_grad_inputs)
        return args

    def watch_outputs(self, result: Any) -> Any:
        """The outputs to hand to the caller."""
        return _pass(result, self._on_grad_outputs)[0]

    def _on_grad_outputs(self, grads: Grads) -> Grads:
        module = self._module()
        for hook in self._pre_hooks:
            changed = hook(module, grads)
            if changed is not None:
                grads = changed if isinstance(changed, tuple) else (changed,)
        self._grad_outputs = grads
        if not self._inputs:  # nothing comes back through the inputs: the hooks run now
            nothing = (None,) * self._given
            for hook in self._hooks:
                changed = hook(module, nothing, grads)
                given = changed if isinstance(changed, tuple) else (changed,)
                if any(each is not None for each in given):
                    raise RuntimeError(
                        "backward hook: grad_input can't be replaced for a module none "
                        "of whose inputs requires a gradient"
                    )
        return grads

    def _on_grad_inputs(self, grads: Grads) -> Grads:
        module = self._module()
        outputs, self._grad_outputs = self._grad_outputs, ()
        for hook in self._hooks:
            changed = hook(module, grads, outputs)
            if changed is None:
                continue
            changed = changed if isinstance(changed, tuple) else (changed,)
            if len(changed) != len(grads):
                raise RuntimeError(
                    f"backward hook: got {len(changed)} gradients for grad_input, "
                    f"expected {len(grads)}"
                )
            grads = changed
        return grads
