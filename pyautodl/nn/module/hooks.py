"""Hooks: what runs before and after a call, a backward pass, saving and loading."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from pyautodl.tensor import RemovableHandle

__all__ = ["HOOKS", "Hook", "Hooks"]

HOOKS = (
    "_forward_pre_hooks",
    "_forward_hooks",
    "_backward_pre_hooks",
    "_backward_hooks",
    "_state_dict_pre_hooks",
    "_state_dict_hooks",
    "_load_state_dict_pre_hooks",
    "_load_state_dict_post_hooks",
)


class Hook(NamedTuple):
    """A forward hook and how it wants to be called."""

    call: Callable[..., Any]
    with_kwargs: bool
    always_call: bool = False


class Hooks:
    """Registers hooks: dicts from a handle's number to what is called."""

    _forward_pre_hooks: dict[int, Hook]
    _forward_hooks: dict[int, Hook]
    _backward_pre_hooks: dict[int, Callable[..., Any]]
    _backward_hooks: dict[int, Callable[..., Any]]
    _state_dict_pre_hooks: dict[int, Callable[..., Any]]
    _state_dict_hooks: dict[int, Callable[..., Any]]
    _load_state_dict_pre_hooks: dict[int, Callable[..., Any]]
    _load_state_dict_post_hooks: dict[int, Callable[..., Any]]

    def _register(
        self, hooks: dict[int, Any], hook: Any, prepend: bool = False
    ) -> RemovableHandle:
        handle = RemovableHandle(hooks, hook)
        if prepend:
            others = [(key, value) for key, value in hooks.items() if key != handle.id]
            for key, value in others:
                del hooks[key]
                hooks[key] = value
        return handle

    def register_forward_pre_hook(
        self,
        hook: Callable[..., Any],
        *,
        prepend: bool = False,
        with_kwargs: bool = False,
    ) -> RemovableHandle:
        """Call `hook(module, args)` before forward; what it returns replaces args.

        With `with_kwargs` it is `hook(module, args, kwargs)`, returning both or None.
        """
        return self._register(self._forward_pre_hooks, Hook(hook, with_kwargs), prepend)

    def register_forward_hook(
        self,
        hook: Callable[..., Any],
        *,
        prepend: bool = False,
        with_kwargs: bool = False,
        always_call: bool = False,
    ) -> RemovableHandle:
        """Call `hook(module, args, output)` after forward; a result replaces output.

        With `with_kwargs` it is `hook(module, args, kwargs, output)`; with
        `always_call` it runs also when forward has raised.
        """
        entry = Hook(hook, with_kwargs, always_call)
        return self._register(self._forward_hooks, entry, prepend)

    def register_full_backward_pre_hook(
        self, hook: Callable[..., Any], prepend: bool = False
    ) -> RemovableHandle:
        """Call `hook(module, grad_output)` before the module's gradients are computed.

        What it returns replaces grad_output.
        """
        return self._register(self._backward_pre_hooks, hook, prepend)

    def register_full_backward_hook(
        self, hook: Callable[..., Any], prepend: bool = False
    ) -> RemovableHandle:
        """Call `hook(module, grad_input, grad_output)` when the gradients are there.

        Both are tuples, with None for what has no gradient; a returned tuple replaces
        grad_input. Inputs and outputs may not be changed in place.
        """
        return self._register(self._backward_hooks, hook, prepend)

    def register_state_dict_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call `hook(module, prefix, keep_vars)` before the state is collected."""
        return self._register(self._state_dict_pre_hooks, hook)

    def register_state_dict_post_hook(
        self, hook: Callable[..., Any]
    ) -> RemovableHandle:
        """Call `hook(module, state_dict, prefix, local_metadata)` after collecting."""
        return self._register(self._state_dict_hooks, hook)

    def register_load_state_dict_pre_hook(
        self, hook: Callable[..., Any]
    ) -> RemovableHandle:
        """Call a hook before this module's state is loaded.

        It gets (module, state_dict, prefix, local_metadata, strict, missing_keys,
        unexpected_keys, error_msgs).
        """
        return self._register(self._load_state_dict_pre_hooks, hook)

    def register_load_state_dict_post_hook(
        self, hook: Callable[..., Any]
    ) -> RemovableHandle:
        """Call `hook(module, incompatible_keys)` after loading."""
        return self._register(self._load_state_dict_post_hooks, hook)
