"""Saving and loading: `state_dict` and `load_state_dict`.

Nothing is copied before all of a state has been checked.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from pyautodl.autograd.grad_mode import no_grad
from pyautodl.errors import StateDictError
from pyautodl.functional.creation import as_tensor
from pyautodl.nn.module.hooks import Hooks
from pyautodl.nn.module.members import Members
from pyautodl.nn.parameter import Parameter
from pyautodl.tensor import Tensor

__all__ = ["State"]


class _LoadResult(NamedTuple):
    """What `load_state_dict` found out of place under strict=False."""

    missing_keys: list[str]
    unexpected_keys: list[str]

    def __repr__(self) -> str:
        if not self.missing_keys and not self.unexpected_keys:
            return "<All keys matched successfully>"
        return (
            f"<missing_keys={self.missing_keys}, "
            f"unexpected_keys={self.unexpected_keys}>"
        )


class State(Members, Hooks):
    """Collects a module's state and takes it back."""

    # of the layout of a class's state_dict; raised when keys or meanings change
    _version: int = 1

    def state_dict(
        self,
        *,
        destination: Any = None,
        prefix: str = "",
        keep_vars: bool = False,
    ) -> Any:
        """Parameters and persistent buffers by path; the tensors share memory.

        Args:
            destination: a dict to fill, else a new one.
            prefix: put before every key.
            keep_vars: the parameters themselves instead of detached ones.
        """
        if destination is None:
            destination = OrderedDict()
            destination._metadata = OrderedDict()
        metadata = {"version": self._version}
        if hasattr(destination, "_metadata"):
            destination._metadata[prefix[:-1]] = metadata
        for hook in self._state_dict_pre_hooks.values():
            hook(self, prefix, keep_vars)
        self._save_to_state_dict(destination, prefix, keep_vars)
        for name, module in self._modules.items():
            if module is not None:
                module.state_dict(
                    destination=destination,
                    prefix=f"{prefix}{name}.",
                    keep_vars=keep_vars,
                )
        for hook in self._state_dict_hooks.values():
            hook(self, destination, prefix, metadata)
        return destination

    def _save_to_state_dict(
        self, destination: dict[str, Any], prefix: str, keep_vars: bool
    ) -> None:
        """Write this module's own state, without its submodules'."""
        for name, tensor in self._own_state().items():
            if tensor is not None:
                destination[prefix + name] = tensor if keep_vars else tensor.detach()
        if type(self).get_extra_state is not State.get_extra_state:
            destination[f"{prefix}_extra_state"] = self.get_extra_state()

    def _own_state(self) -> dict[str, Tensor | None]:
        hidden = self._non_persistent_buffers_set
        saved = {name: b for name, b in self._buffers.items() if name not in hidden}
        return {**self._parameters, **saved}

    def get_extra_state(self) -> Any:
        """Return what else belongs in the state_dict; used if a subclass defines it."""
        raise RuntimeError(f"{type(self).__name__}.get_extra_state is not defined")

    def set_extra_state(self, state: Any) -> None:
        """Take back what `get_extra_state` returned."""
        raise RuntimeError(f"{type(self).__name__}.set_extra_state is not defined")

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> _LoadResult:
        """Copy a state into the parameters and buffers, by name and shape.

        Nothing is copied unless all of it fits.

        Args:
            state_dict: values by path: tensors, or arrays that NumPy understands.
            strict: refuse missing and unexpected keys, too.
            assign: take the tensors themselves instead of copying them.

        Raises:
            StateDictError: keys or shapes do not fit; one error lists them all.
        """
        if not isinstance(state_dict, Mapping):
            fix = ""
            if hasattr(state_dict, "state_dict"):
                fix = "; likely fix: its state_dict()"
            elif isinstance(state_dict, (str, os.PathLike)):
                fix = f"; likely fix: pyautodl.load({os.fspath(state_dict)!r})"
            raise TypeError(
                "load_state_dict: expected a state_dict, dict-like, got "
                f"{type(state_dict).__name__}{fix}"
            )
        metadata = getattr(state_dict, "_metadata", None)
        state = OrderedDict(state_dict)
        missing: list[str] = []
        unexpected: list[str] = []
        errors: list[str] = []
        pending: list[Callable[[], None]] = []
        for path, module in self.named_modules(remove_duplicate=False):
            prefix = f"{path}." if path else ""
            local = dict(metadata.get(path, {})) if metadata is not None else {}
            local["assign_to_params_buffers"] = assign
            local["pending"] = pending
            module._load_from_state_dict(
                state, prefix, local, True, missing, unexpected, errors
            )
        result = _LoadResult(missing, unexpected)
        self._run_load_post_hooks(result)
        if strict:
            errors = _key_errors(unexpected, missing) + errors
        if errors:
            raise StateDictError(
                f"Error(s) in loading state_dict for {type(self).__name__}:\n\t"
                + "\n\t".join([*errors, *_likely_fix(state, missing)])
            )
        with no_grad():
            for copy in pending:
                copy()
        return result

    def _run_load_post_hooks(self, result: _LoadResult) -> None:
        for module in self.modules():
            for hook in module._load_state_dict_post_hooks.values():
                if hook(module, result) is not None:
                    raise RuntimeError(
                        "hooks of register_load_state_dict_post_hook must change the "
                        "keys in place and return None"
                    )

    def _load_from_state_dict(
        self,
        state_dict: dict[str, Any],
        prefix: str,
        local_metadata: dict[str, Any],
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        """Check this module's own state and note the copies in local_metadata."""
        for hook in self._load_state_dict_pre_hooks.values():
            hook(
                self,
                state_dict,
                prefix,
                local_metadata,
                strict,
                missing_keys,
                unexpected_keys,
                error_msgs,
            )
        pending = local_metadata["pending"]
        for name, target in self._own_state().items():
            key = prefix + name
            if target is None:
                continue
            if key not in state_dict:
                missing_keys.append(key)
                continue
            if state_dict[key] is target:  # as a lazy layer's without a shape
                continue
            problem = _misfit(key, target, state_dict[key])
            if problem:
                error_msgs.append(problem)
            else:
                assign = local_metadata["assign_to_params_buffers"]
                pending.append(_Copy(self, name, state_dict[key], assign))
        self._load_extra_state(state_dict, prefix, missing_keys, pending)
        if strict:
            unexpected_keys.extend(self._unexpected(state_dict, prefix))

    def _load_extra_state(
        self,
        state_dict: dict[str, Any],
        prefix: str,
        missing_keys: list[str],
        pending: list[Callable[[], None]],
    ) -> None:
        if type(self).set_extra_state is State.set_extra_state:
            return
        key = f"{prefix}_extra_state"
        if key not in state_dict:
            missing_keys.append(key)
            return

        def restore() -> None:
            self.set_extra_state(state_dict[key])

        pending.append(restore)

    def _unexpected(self, state_dict: dict[str, Any], prefix: str) -> list[str]:
        """Keys under `prefix` that neither this module nor a submodule of it takes."""
        known = self._own_state()
        extra = type(self).set_extra_state is not State.set_extra_state
        found = []
        for key in state_dict:
            if not key.startswith(prefix):
                continue
            name, dot, _ = key[len(prefix) :].partition(".")
            taken = name in self._modules if dot else name in known
            if not taken and not (extra and not dot and name == "_extra_state"):
                found.append(key)
        return found


class _Copy:
    """A checked copy into one parameter or buffer that still has to be made."""

    def __init__(self, module: Members, name: str, value: Any, assign: bool) -> None:
        self.module, self.name, self.value, self.assign = module, name, value, assign

    def __call__(self) -> None:
        target = getattr(self.module, self.name)
        value = as_tensor(self.value)
        if not self.assign:
            target.copy_(value)
            # a state dict is as large as the model, which asks for no such memory again
            value._array.storage.use_once()
        elif isinstance(target, Parameter):
            if not isinstance(value, Parameter):
                value = Parameter(value, requires_grad=target.requires_grad)
            self.module._store("_parameters", self.name, value)
        else:
            self.module._store("_buffers", self.name, value)


def _misfit(key: str, target: Tensor, value: Any) -> str | None:
    shape = getattr(value, "shape", None)
    if shape is None:
        return (
            f'While copying "{key}": expected a tensor or an array, '
            f"got {type(value).__name__}."
        )
    if tuple(shape) == tuple(target.shape):
        return None
    return (
        f"size mismatch for {key}: copying a param with shape {_shape_text(shape)} "
        f"from checkpoint, the shape in current model is {_shape_text(target.shape)}."
    )


def _shape_text(shape: Any) -> str:
    return f"({', '.join(str(size) for size in shape)})"


def _key_errors(unexpected: list[str], missing: list[str]) -> list[str]:
    found = []
    for what, keys in (("Unexpected", unexpected), ("Missing", missing)):
        if keys:
            listed = ", ".join(f'"{key}"' for key in keys)
            found.append(f"{what} key(s) in state_dict: {listed}.")
    return found


def _likely_fix(state: Mapping[str, Any], missing: list[str]) -> list[str]:
    """What to do where the missing keys stand under a prefix, or in an entry."""
    wanted = set(missing)
    for key, value in state.items():
        if isinstance(value, Mapping) and wanted & set(value):
            return [f"likely fix: load_state_dict(state_dict[{key!r}])"]
    for prefix in _common_prefixes(list(state)):
        if wanted & {key.removeprefix(prefix) for key in state}:
            return [
                f"likely fix: load_state_dict({{key.removeprefix({prefix!r}): value "
                "for key, value in state_dict.items()})"
            ]
    return []


def _common_prefixes(keys: list[Any]) -> list[str]:
    """The paths, each with its last dot, that all keys begin with."""
    if not keys or not all(isinstance(key, str) for key in keys):
        return []
    first = keys[0]
    prefixes = [first[: i + 1] for i, letter in enumerate(first) if letter == "."]
    return [each for each in prefixes if all(key.startswith(each) for key in keys)]
