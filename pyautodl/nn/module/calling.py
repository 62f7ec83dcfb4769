"""Calling a module: hooks, forward, and errors that name the layer and a likely fix."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from pyautodl import _module_stack
from pyautodl._module_stack import STACK
from pyautodl.backends import native
from pyautodl.errors import ShapeError
from pyautodl.graph import MODE
from pyautodl.nn._hooks import BackwardHooks
from pyautodl.nn.module.hooks import Hook, Hooks
from pyautodl.tensor import Tensor

if TYPE_CHECKING:
    from pyautodl.nn.module.module import Module

__all__ = ["Calling", "are_hooked"]

# where a module keeps its hooks
_HOOKS = (
    "_forward_pre_hooks",
    "_forward_hooks",
    "_backward_pre_hooks",
    "_backward_hooks",
)


def are_hooked_in_python(*modules: Any) -> bool:
    """Whether a call of one of the modules runs more than its class's forward."""
    return any(
        "forward" in module.__dict__ or any(module.__dict__[name] for name in _HOOKS)
        for module in modules
    )


# asked at every call of a module
are_hooked: Callable[..., bool] = are_hooked_in_python
if native.available:
    are_hooked = native.dispatch.are_hooked


class Calling(Hooks):
    """Calls `forward` between its hooks."""

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Compute the output; every subclass defines its own."""
        from difflib import get_close_matches  # not at every import

        own = [name for name in vars(type(self)) if not name.startswith("_")]
        close = get_close_matches("forward", own, 1)
        fix = f"; likely fix: rename {close[0]}" if close else ""
        raise NotImplementedError(f"{type(self).__name__}: defines no forward(){fix}")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        stack = STACK.modules
        if stack:
            stack.append(self)
        elif MODE.enabled or not native.available or native.cut_blocks(1):
            _module_stack.push(self)
        else:
            # an inference begins: what its layers pass on is gone soon
            try:
                return self(*args, **kwargs)
            finally:
                native.cut_blocks(0)
        try:
            if are_hooked(self):
                return self._call_with_hooks(args, kwargs)
            return self.forward(*args, **kwargs)
        except Exception as error:
            _module_stack.annotate(error, self._likely_fix(error, args))
            raise
        finally:
            stack.pop()

    def has_hooks(self) -> bool:
        """Return whether a call of this module runs more than its class's forward."""
        return are_hooked(self)

    def _call_with_hooks(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        called: set[int] = set()
        try:
            args, kwargs = self._run_pre_hooks(args, kwargs)
            backward = None
            if self._backward_hooks or self._backward_pre_hooks:
                backward = BackwardHooks(cast("Module", self))
                args = backward.watch_inputs(args)
            result = self.forward(*args, **kwargs)
            for key, hook in list(self._forward_hooks.items()):
                called.add(key)
                result = self._run_forward_hook(hook, args, kwargs, result)
            return result if backward is None else backward.watch_outputs(result)
        except Exception:
            for key, hook in list(self._forward_hooks.items()):
                if hook.always_call and key not in called:
                    self._run_forward_hook(hook, args, kwargs, None)
            raise

    def _run_pre_hooks(
        self, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        for hook in list(self._forward_pre_hooks.values()):
            if hook.with_kwargs:
                changed = hook.call(self, args, kwargs)
                if changed is None:
                    continue
                if not (isinstance(changed, tuple) and len(changed) == 2):
                    raise RuntimeError(
                        "forward pre-hook must return None or a tuple of (new_args, "
                        f"new_kwargs), but got {changed!r}"
                    )
                args, kwargs = changed
            else:
                changed = hook.call(self, args)
                if changed is not None:
                    args = changed if isinstance(changed, tuple) else (changed,)
        return args, kwargs

    def _run_forward_hook(
        self, hook: Hook, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any
    ) -> Any:
        if hook.with_kwargs:
            changed = hook.call(self, args, kwargs, result)
        else:
            changed = hook.call(self, args, result)
        return result if changed is None else changed

    def _likely_fix(self, error: Exception, args: tuple[Any, ...]) -> str | None:
        """What the user should change, where the layer's sizes tell."""
        if not isinstance(error, ShapeError) or not args or "likely fix" in str(error):
            return None
        x = args[0]
        if not isinstance(x, Tensor) or x.ndim == 0:
            return None
        if "in_features" in self.__dict__:
            return _fix_in_features(cast("Module", self), x.shape)
        channels = ("num_features", 1), ("num_channels", 1), ("num_parameters", 1)
        for attribute, axis in (("in_channels", None), *channels):
            expected = self.__dict__.get(attribute)
            if not isinstance(expected, int):
                continue
            if axis is None:  # (n, c, ...) or (c, ...), by the number of kernel sizes
                axis = x.ndim - 1 - len(self.__dict__.get("kernel_size", (0, 0)))
            if axis in (0, 1) and axis < x.ndim and x.shape[axis] != expected:
                if attribute == "in_channels" and x.shape[-1] == expected:
                    return _fix_channels_at_the_end(x.shape, axis)
                fix = (
                    f"{type(self).__name__}({attribute}={x.shape[axis]}, ...): axis "
                    f"{axis} of the input {tuple(x.shape)} holds the channels"
                )
                if attribute == "in_channels" and axis == 0 and expected == 1:
                    return f"x.unsqueeze(1) for images without channels, or {fix}"
                return fix
        size = self.__dict__.get("input_size")
        if isinstance(size, int):
            if x.shape[-1] != size:
                fix = f"{type(self).__name__}(input_size={x.shape[-1]}, ...)"
                if size == 1 and x.ndim == 2:
                    return f"x.unsqueeze(-1) for one number a step, or {fix}"
                return fix
        return _fix_last_axes(type(self).__name__, self.__dict__, args)


def _fix_last_axes(
    name: str, sizes: dict[str, Any], args: tuple[Any, ...]
) -> str | None:
    """The right size of a layer that looks at the last axes of its inputs."""
    expected = sizes.get("normalized_shape")
    if isinstance(expected, tuple):
        last = tuple(args[0].shape[-len(expected) :])
        if last != expected:
            return (
                f"{name}({last[0] if len(last) == 1 else last}), the last axes' sizes"
            )
    for attribute, number in (
        ("embed_dim", 0),
        ("in1_features", 0),
        ("in2_features", 1),
    ):
        expected = sizes.get(attribute)
        x = args[number] if number < len(args) else None
        if isinstance(expected, int) and isinstance(x, Tensor) and x.ndim:
            if x.shape[-1] != expected:
                return f"{name}({attribute}={x.shape[-1]}, ...)"
    return None


def _fix_in_features(module: Module, shape: tuple[int, ...]) -> str | None:
    """The right size of a linear layer, flattening included."""
    name, expected = type(module).__name__, module.in_features
    if shape[-1] == expected:
        return None
    flat = 1
    for size in shape[1:]:
        flat *= size
    if len(shape) > 2 and flat == expected:
        return f"flatten the input first: x.flatten(1) or nn.Flatten() gives {flat}"
    if len(shape) > 2:
        return (
            f"{name}(in_features={shape[-1]}, ...), or for the whole input flattened "
            f"by x.flatten(1) or nn.Flatten(): {name}(in_features={flat}, ...)"
        )
    return f"{name}(in_features={shape[-1]}, ...)"


def _fix_channels_at_the_end(shape: tuple[int, ...], axis: int) -> str:
    """The order of axes that puts the channels where a layer wants them."""
    last = len(shape) - 1
    order = (*range(axis), last, *range(axis, last))
    return f"x.permute{order}: the channels stand last in the input {tuple(shape)}"
