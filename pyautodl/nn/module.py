"""Module: the base of all layers and networks.

Parameters, buffers and submodules are registered by assignment. They live in the dicts
`_parameters`, `_buffers` and `_modules` and, as the same objects, in the instance
itself, so that `self.weight` in a forward is a plain attribute and costs no
`__getattr__`.
"""

from __future__ import annotations

import itertools
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, Self, TypeVar

from pyautodl import _context
from pyautodl.autograd.grad_mode import no_grad
from pyautodl.backends.dtypes import as_dtype
from pyautodl.errors import BackendError, DTypeError, ShapeError, StateDictError
from pyautodl.functional.creation import as_tensor
from pyautodl.nn._hooks import BackwardHooks
from pyautodl.nn.parameter import Buffer, Parameter
from pyautodl.tensor import RemovableHandle, Tensor
from pyautodl.tensor import device as as_device

__all__ = ["Module"]

M = TypeVar("M", bound="Module")

_STACK = _context.STACK
_REGISTRIES = ("_parameters", "_buffers", "_modules")


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


class _Hook(NamedTuple):
    """A forward hook and how it wants to be called."""

    call: Callable[..., Any]
    with_kwargs: bool
    always_call: bool = False


class Module:
    """Base class of layers and networks: state by assignment, `forward` by override.

    Assigning a Parameter, a Buffer or a Module to an attribute registers it. Calling
    the module runs its hooks and `forward`; an error raised inside names the layer.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl import nn
        >>> class Scale(nn.Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.factor = nn.Parameter(ad.tensor(2.0))
        ...     def forward(self, x):
        ...         return x * self.factor
        >>> Scale()(ad.tensor([1.0, 3.0])).tolist()
        [2.0, 6.0]
    """

    # of the layout of a class's state_dict; raised when keys or meanings change
    _version: int = 1
    training: bool
    _parameters: dict[str, Parameter | None]
    _buffers: dict[str, Tensor | None]
    _modules: dict[str, Module | None]

    def __init__(self) -> None:
        set_plain = super().__setattr__
        set_plain("training", True)
        for name in _REGISTRIES:
            set_plain(name, {})
        set_plain("_non_persistent_buffers_set", set())
        for name in (
            "_forward_pre_hooks",
            "_forward_hooks",
            "_backward_pre_hooks",
            "_backward_hooks",
            "_state_dict_pre_hooks",
            "_state_dict_hooks",
            "_load_state_dict_pre_hooks",
            "_load_state_dict_post_hooks",
        ):
            set_plain(name, {})

    # ---- calling ----

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Compute the output; every subclass defines its own."""
        raise NotImplementedError(
            f'Module [{type(self).__name__}] is missing the required "forward" function'
        )

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        stack = _STACK.modules
        if stack:
            stack.append(self)
        else:
            _context.push(self)
        try:
            if self.has_hooks():
                return self._call_with_hooks(args, kwargs)
            return self.forward(*args, **kwargs)
        except Exception as error:
            _context.annotate(error, self._likely_fix(error, args))
            raise
        finally:
            stack.pop()

    def has_hooks(self) -> bool:
        """Return whether a call of this module runs more than its forward."""
        return bool(
            self._forward_pre_hooks
            or self._forward_hooks
            or self._backward_hooks
            or self._backward_pre_hooks
        )

    def _call_with_hooks(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        called: set[int] = set()
        try:
            args, kwargs = self._run_pre_hooks(args, kwargs)
            backward = None
            if self._backward_hooks or self._backward_pre_hooks:
                backward = BackwardHooks(self)
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
        self, hook: _Hook, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any
    ) -> Any:
        if hook.with_kwargs:
            changed = hook.call(self, args, kwargs, result)
        else:
            changed = hook.call(self, args, result)
        return result if changed is None else changed

    def _likely_fix(self, error: Exception, args: tuple[Any, ...]) -> str | None:
        """What the user should change, where the layer's sizes tell."""
        if not isinstance(error, ShapeError) or not args:
            return None
        x = args[0]
        if not isinstance(x, Tensor) or x.ndim == 0:
            return None
        if "in_features" in self.__dict__:
            return _fix_in_features(self, x.shape)
        for attribute, axis in (("in_channels", None), ("num_features", 1)):
            expected = self.__dict__.get(attribute)
            if not isinstance(expected, int):
                continue
            if axis is None:  # (n, c, ...) or (c, ...), by the number of kernel sizes
                axis = x.ndim - 1 - len(self.__dict__.get("kernel_size", (0, 0)))
            if 0 <= axis < x.ndim and x.shape[axis] != expected:
                return (
                    f"{type(self).__name__}({attribute}={x.shape[axis]}, ...): axis "
                    f"{axis} of the input {tuple(x.shape)} holds the channels"
                )
        if isinstance(self.__dict__.get("input_size"), int):
            if x.shape[-1] != self.input_size:
                return f"{type(self).__name__}(input_size={x.shape[-1]}, ...)"
        return None

    # ---- attributes ----

    def __setattr__(self, name: str, value: Any) -> None:
        state = self.__dict__
        if "_modules" not in state:
            if isinstance(value, (Parameter, Buffer, Module)):
                raise AttributeError(
                    f"cannot assign {name!r} before {type(self).__name__} has called "
                    "super().__init__()"
                )
            object.__setattr__(self, name, value)
        elif isinstance(value, Parameter):
            self._forget(name)
            self.register_parameter(name, value)
        elif isinstance(value, Module):
            self._assign("_modules", name, value)
        elif isinstance(value, Buffer):
            self._forget(name, keep="_buffers")
            self.register_buffer(name, value, value.persistent)
        elif name in state["_parameters"]:
            self._assign_only_none("_parameters", "nn.Parameter", name, value)
        elif name in state["_modules"]:
            self._assign_only_none("_modules", "nn.Module", name, value)
        elif name in state["_buffers"]:
            if value is not None and not isinstance(value, Tensor):
                raise TypeError(
                    f"cannot assign {type(value).__name__} as buffer {name!r} "
                    "(Tensor or None expected)"
                )
            self._store("_buffers", name, value)
        else:
            object.__setattr__(self, name, value)

    def _assign(self, registry: str, name: str, value: Any) -> None:
        self._forget(name, keep=registry)
        self._store(registry, name, value)

    def _assign_only_none(
        self, registry: str, kind: str, name: str, value: Any
    ) -> None:
        if value is not None:
            what = registry.strip("_").rstrip("s")
            raise TypeError(
                f"cannot assign {type(value).__name__} as {what} {name!r} "
                f"({kind} or None expected)"
            )
        self._store(registry, name, None)

    def _store(self, registry: str, name: str, value: Any) -> None:
        """The one place that registers: in the dict and in the instance."""
        self.__dict__[registry][name] = value
        object.__setattr__(self, name, value)

    def _forget(self, name: str, keep: str | None = None) -> None:
        """Remove a name from the registries (all but `keep`) and the instance."""
        for registry in _REGISTRIES:
            if registry != keep:
                self.__dict__[registry].pop(name, None)
        if keep != "_buffers":
            self._non_persistent_buffers_set.discard(name)
        self.__dict__.pop(name, None)

    def __getattr__(self, name: str) -> Any:
        # reached when the instance has no such attribute, so for names that somebody
        # wrote into a registry directly, and for mistakes
        for registry in _REGISTRIES:
            members = self.__dict__.get(registry, {})
            if name in members:
                return members[name]
        raise AttributeError(
            f"{type(self).__name__!r} object has no attribute {name!r}"
        )

    def __delattr__(self, name: str) -> None:
        if any(name in self.__dict__[registry] for registry in _REGISTRIES):
            self._forget(name)
        else:
            super().__delattr__(name)

    def __dir__(self) -> list[str]:
        names = itertools.chain(
            super().__dir__(), self._parameters, self._buffers, self._modules
        )
        return sorted({name for name in names if not name[:1].isdigit()})

    def _check_name(self, what: str, name: Any, registry: str) -> None:
        if "_modules" not in self.__dict__:
            raise AttributeError(f"cannot add a {what} before super().__init__()")
        if not isinstance(name, str):
            raise TypeError(
                f"{what} name should be a string, got {type(name).__name__}"
            )
        if not name or "." in name:
            raise KeyError(f"{what} name must not be empty or have a dot, got {name!r}")
        if hasattr(self, name) and name not in self.__dict__[registry]:
            raise KeyError(f"attribute {name!r} already exists")

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Add a parameter, or None for one that is absent (`bias=False`).

        Raises:
            TypeError: `param` is no Parameter.
            KeyError: the name is taken, empty or has a dot.
        """
        self._check_name("parameter", name, "_parameters")
        if param is not None and not isinstance(param, Parameter):
            raise TypeError(
                f"cannot assign {type(param).__name__} as parameter {name!r} "
                "(nn.Parameter or None required)"
            )
        if param is not None and param.grad_fn is not None:
            raise ValueError(
                f"cannot assign a Tensor that is not a leaf as parameter {name!r}: "
                "model parameters must be created explicitly"
            )
        self._store("_parameters", name, param)

    def register_buffer(
        self, name: str, tensor: Tensor | None, persistent: bool = True
    ) -> None:
        """Add a tensor that is state but not trained; persistent ones are saved.

        Raises:
            TypeError: `tensor` is no Tensor.
            KeyError: the name is taken, empty or has a dot.
        """
        self._check_name("buffer", name, "_buffers")
        if tensor is not None and not isinstance(tensor, Tensor):
            raise TypeError(
                f"cannot assign {type(tensor).__name__} as buffer {name!r} "
                "(Tensor or None required)"
            )
        self._store("_buffers", name, tensor)
        if persistent:
            self._non_persistent_buffers_set.discard(name)
        else:
            self._non_persistent_buffers_set.add(name)

    def add_module(self, name: str, module: Module | None) -> None:
        """Add a submodule under `name`.

        Raises:
            TypeError: `module` is no Module.
            KeyError: the name is taken, empty or has a dot.
        """
        if module is not None and not isinstance(module, Module):
            raise TypeError(f"{type(module).__name__} is not a Module subclass")
        self._check_name("module", name, "_modules")
        self._store("_modules", name, module)

    def register_module(self, name: str, module: Module | None) -> None:
        """Alias of `add_module`."""
        self.add_module(name, module)

    def get_submodule(self, target: str) -> Module:
        """The submodule at a dotted path; "" is the module itself.

        Raises:
            AttributeError: there is none at that path.
        """
        module = self
        for name in target.split(".") if target else ():
            if not hasattr(module, name):
                raise AttributeError(
                    f"{type(module).__name__} has no attribute `{name}` (of {target!r})"
                )
            module = getattr(module, name)
            if not isinstance(module, Module):
                raise AttributeError(f"`{name}` (of {target!r}) is not an nn.Module")
        return module

    def set_submodule(self, target: str, module: Module) -> None:
        """Put `module` in the place of the submodule at a dotted path."""
        if not target:
            raise ValueError("set_submodule: the path is empty")
        parent, _, name = target.rpartition(".")
        setattr(self.get_submodule(parent), name, module)

    def get_parameter(self, target: str) -> Parameter:
        """The parameter at a dotted path.

        Raises:
            AttributeError: there is none at that path.
        """
        found = self._get_member(target)
        if not isinstance(found, Parameter):
            raise AttributeError(f"`{target}` is not an nn.Parameter")
        return found

    def get_buffer(self, target: str) -> Tensor:
        """The buffer at a dotted path.

        Raises:
            AttributeError: there is none at that path.
        """
        path, _, name = target.rpartition(".")
        buffers = self.get_submodule(path)._buffers
        found: Tensor = self._get_member(target)
        if name not in buffers:
            raise AttributeError(f"`{target}` is not a buffer")
        return found

    def _get_member(self, target: str) -> Any:
        path, _, name = target.rpartition(".")
        module = self.get_submodule(path)
        if not hasattr(module, name):
            raise AttributeError(f"{type(module).__name__} has no attribute `{name}`")
        return getattr(module, name)

    # ---- iteration ----

    def named_modules(
        self,
        memo: set[Module] | None = None,
        prefix: str = "",
        remove_duplicate: bool = True,
    ) -> Iterator[tuple[str, Module]]:
        """Yield (path, module), this one first, depth first, each module once."""
        memo = set() if memo is None else memo
        # an explicit stack: recursion through generators costs a frame a level an item
        pending = [(prefix, self)]
        while pending:
            name, module = pending.pop()
            if module in memo:
                continue
            if remove_duplicate:
                memo.add(module)
            yield name, module
            lead = f"{name}." if name else ""
            children = [
                (lead + child_name, child)
                for child_name, child in module._modules.items()
                if child is not None
            ]
            pending.extend(reversed(children))

    def modules(self) -> Iterator[Module]:
        """Yield this module and all below, each once."""
        for _, module in self.named_modules():
            yield module

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """Yield (name, module) for the direct submodules, each once."""
        seen = set()
        for name, module in self._modules.items():
            if module is not None and module not in seen:
                seen.add(module)
                yield name, module

    def children(self) -> Iterator[Module]:
        """Yield the direct submodules, each once."""
        for _, module in self.named_children():
            yield module

    def _named_members(
        self,
        registry: str,
        prefix: str = "",
        recurse: bool = True,
        remove_duplicate: bool = True,
    ) -> Iterator[tuple[str, Any]]:
        seen: set[int] = set()
        modules = (
            self.named_modules(prefix=prefix, remove_duplicate=remove_duplicate)
            if recurse
            else [(prefix, self)]
        )
        for path, module in modules:
            for name, member in module.__dict__[registry].items():
                if member is None or id(member) in seen:
                    continue
                if remove_duplicate:
                    seen.add(id(member))
                yield f"{path}.{name}" if path else name, member

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """Yield (path, parameter), each parameter once (tied weights by first name)."""
        yield from self._named_members("_parameters", prefix, recurse, remove_duplicate)

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """Yield the parameters, each once."""
        for _, parameter in self.named_parameters(recurse=recurse):
            yield parameter

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Tensor]]:
        """Yield (path, buffer), each buffer once."""
        yield from self._named_members("_buffers", prefix, recurse, remove_duplicate)

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """Yield the buffers, each once."""
        for _, buffer in self.named_buffers(recurse=recurse):
            yield buffer

    # ---- modes, types ----

    def train(self, mode: bool = True) -> Self:
        """Set training mode here and below (dropout, batch norm); return self."""
        if not isinstance(mode, bool):
            raise ValueError("training mode is expected to be boolean")
        self.training = mode
        for module in self.children():
            module.train(mode)
        return self

    def eval(self) -> Self:
        """Set evaluation mode here and below; return self."""
        return self.train(False)

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Freeze (False) or train (True) all parameters; return self."""
        for parameter in self.parameters():
            parameter.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Drop the gradients of all parameters, or set them to zero."""
        for parameter in self.parameters():
            if parameter.grad is None:
                continue
            if set_to_none:
                parameter.grad = None
            else:
                parameter.grad.detach_().zero_()

    def apply(self, fn: Callable[[Module], None]) -> Self:
        """Call `fn` on every module below, then on this one; return self."""
        for module in self.children():
            module.apply(fn)
        fn(self)
        return self

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Replace the data of every parameter, gradient and buffer; objects stay."""
        if recurse:
            for module in self.children():
                module._apply(fn, recurse)
        with no_grad():
            for parameter in self._parameters.values():
                if parameter is None:
                    continue
                parameter.data = fn(parameter.detach())
                if parameter.grad is not None:
                    parameter.grad = fn(parameter.grad.detach())
            for name, buffer in self._buffers.items():
                if buffer is not None:
                    self._store("_buffers", name, fn(buffer))
        return self

    def to(self, *args: Any, **kwargs: Any) -> Self:
        """Cast floating parameters and buffers: `to(dtype)`, `to("cpu")`, `to(tensor)`.

        Raises:
            BackendError: the device is not the CPU.
            DTypeError: the dtype is not floating.
        """
        dtype = _parse_to(*args, **kwargs)
        return self if dtype is None else self._cast(dtype)

    def _cast(self, dtype: Any) -> Self:
        dtype = as_dtype(dtype)
        if not dtype.is_floating_point:
            raise DTypeError(
                f"nn.Module.to only accepts floating point dtypes, got {dtype}"
            )

        def cast(tensor: Tensor) -> Tensor:
            return tensor.to(dtype) if tensor.dtype.is_floating_point else tensor

        return self._apply(cast)

    def float(self) -> Self:
        """Cast floating parameters and buffers to float32."""
        return self._cast("float32")

    def double(self) -> Self:
        """Cast floating parameters and buffers to float64."""
        return self._cast("float64")

    def type(self, dst_type: Any) -> Self:
        """Cast parameters and buffers to `dst_type`."""
        return self._cast(dst_type)

    def half(self) -> Self:
        """Refuse: there are no float16 kernels.

        Raises:
            DTypeError: always.
        """
        raise DTypeError("half: float16 is not supported on the CPU; use float()")

    def bfloat16(self) -> Self:
        """Refuse: there are no bfloat16 kernels yet.

        Raises:
            DTypeError: always.
        """
        raise DTypeError("bfloat16: bfloat16 is not supported yet; use float()")

    def cpu(self) -> Self:
        """Return self: everything lives on the CPU."""
        return self

    def cuda(self, device: Any = None) -> Self:
        """Refuse: this is a CPU library.

        Raises:
            BackendError: always.
        """
        raise BackendError("cuda: this library computes on the CPU; use cpu()")

    def share_memory(self) -> Self:
        """Refuse: parameters can't be moved to shared memory yet."""
        raise NotImplementedError("share_memory is not supported")

    # ---- hooks ----

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
        return self._register(
            self._forward_pre_hooks, _Hook(hook, with_kwargs), prepend
        )

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
        entry = _Hook(hook, with_kwargs, always_call)
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

    # ---- state ----

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
        if type(self).get_extra_state is not Module.get_extra_state:
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
            raise TypeError(
                f"Expected state_dict to be dict-like, got {type(state_dict).__name__}"
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
                state, prefix, local, strict, missing, unexpected, errors
            )
        result = _LoadResult(missing, unexpected)
        self._run_load_post_hooks(result)
        if strict:
            errors = _key_errors(unexpected, missing) + errors
        if errors:
            raise StateDictError(
                f"Error(s) in loading state_dict for {type(self).__name__}:\n\t"
                + "\n\t".join(errors)
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
        if type(self).set_extra_state is Module.set_extra_state:
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
        extra = type(self).set_extra_state is not Module.set_extra_state
        found = []
        for key in state_dict:
            if not key.startswith(prefix):
                continue
            name, dot, _ = key[len(prefix) :].partition(".")
            taken = name in self._modules if dot else name in known
            if not taken and not (extra and not dot and name == "_extra_state"):
                found.append(key)
        return found

    # ---- copies, text ----

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__.copy()

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)

    def extra_repr(self) -> str:
        """The arguments that the printed form of this layer shows."""
        return ""

    def _get_name(self) -> str:
        return type(self).__name__

    def __repr__(self) -> str:
        extra = self.extra_repr()
        lines = extra.split("\n") if extra else []
        children = [
            f"({name}): {_indented(repr(module))}"
            for name, module in self._modules.items()
        ]
        if len(lines) == 1 and not children:
            return f"{self._get_name()}({lines[0]})"
        body = lines + children
        if not body:
            return f"{self._get_name()}()"
        return f"{self._get_name()}(\n  " + "\n  ".join(body) + "\n)"


class _Copy:
    """A checked copy into one parameter or buffer that still has to be made."""

    def __init__(self, module: Module, name: str, value: Any, assign: bool) -> None:
        self.module, self.name, self.value, self.assign = module, name, value, assign

    def __call__(self) -> None:
        target = getattr(self.module, self.name)
        value = as_tensor(self.value)
        if not self.assign:
            target.copy_(value)
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


def _indented(text: str) -> str:
    return text.replace("\n", "\n  ")


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


def _parse_to(*args: Any, **kwargs: Any) -> Any:
    """The dtype that PyTorch's many forms of `to` ask for, or None."""
    dtype = kwargs.pop("dtype", None)
    device = kwargs.pop("device", None)
    tensor = kwargs.pop("tensor", None)
    for ignored in ("non_blocking", "copy", "memory_format"):
        kwargs.pop(ignored, None)
    if kwargs:
        raise TypeError(f"to: unexpected arguments {sorted(kwargs)}")
    for argument in args:
        if isinstance(argument, Tensor):
            tensor = argument
        elif isinstance(argument, bool) or argument is None:
            continue
        elif isinstance(argument, (str, int)) or hasattr(argument, "index"):
            device = argument
        else:
            dtype = argument
    if device is not None:
        as_device(device)
    return tensor.dtype if tensor is not None and dtype is None else dtype
