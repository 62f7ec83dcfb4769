"""What a module holds: parameters, buffers and modules, registered by assignment.

They live in the dicts `_parameters`, `_buffers` and `_modules` and, as the same objects,
in the instance itself, so that `self.weight` in a forward is a plain attribute and costs
no `__getattr__`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, cast

from pyautodl.nn.parameter import Buffer, Parameter
from pyautodl.tensor import Tensor

if TYPE_CHECKING:
    from pyautodl.nn.module.module import Module

__all__ = ["REGISTRIES", "Members"]

REGISTRIES = ("_parameters", "_buffers", "_modules")


def no_module(given: Any) -> TypeError:
    """The error for what stands in the place of a module."""
    text = f"{type(given).__name__} is not a Module subclass"
    if isinstance(given, type) and issubclass(given, Members):
        name = given.__name__
        text = f"{name} is a class, not a module; likely fix: {name}()"
    elif isinstance(given, (list, tuple)):
        text += "; likely fix: its modules one by one, with a star before it: *layers"
    return TypeError(text)


class Members:
    """Registers parameters, buffers and modules, and yields them."""

    _parameters: dict[str, Parameter | None]
    _buffers: dict[str, Tensor | None]
    _modules: dict[str, Module | None]
    _non_persistent_buffers_set: set[str]

    # ---- attributes ----

    def __setattr__(self, name: str, value: Any) -> None:
        state = self.__dict__
        if "_modules" not in state:
            if isinstance(value, (Parameter, Buffer, Members)):
                raise AttributeError(
                    f"{type(self).__name__}: {name!r} is assigned before "
                    "super().__init__() has run; likely fix: call it first in __init__"
                )
            object.__setattr__(self, name, value)
        elif isinstance(value, Parameter):
            self._forget(name, keep="_parameters")
            self.register_parameter(name, value)
        elif isinstance(value, Members):
            self._assign("_modules", name, value)
        elif isinstance(value, Buffer):
            self._forget(name, keep="_buffers")
            self.register_buffer(name, value, value.persistent)
        elif name in state["_parameters"]:
            self._assign_only_none("_parameters", "an nn.Parameter", name, value)
        elif name in state["_modules"]:
            self._assign_only_none("_modules", "an nn.Module", name, value)
        elif name in state["_buffers"]:
            if value is not None and not isinstance(value, Tensor):
                raise self._refused("buffer", "a tensor", name, value)
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
            raise self._refused(registry.strip("_").rstrip("s"), kind, name, value)
        self._store(registry, name, None)

    def _refused(self, what: str, kind: str, name: Any, value: Any) -> TypeError:
        """The error for a value that can't be the parameter, buffer or module `name`."""
        fix = ""
        if what == "parameter" and isinstance(value, Tensor):
            fix = (
                f"; likely fix: nn.Parameter(...), or {name}.copy_(...) under no_grad()"
            )
        return TypeError(
            f"{type(self).__name__}: {what} {name!r} must be {kind} or None, got "
            f"{type(value).__name__}{fix}"
        )

    def _store(self, registry: str, name: str, value: Any) -> None:
        """The one place that registers: in the dict and in the instance."""
        self.__dict__[registry][name] = value
        object.__setattr__(self, name, value)

    def _forget(self, name: str, keep: str | None = None) -> None:
        """Remove a name from the registries (all but `keep`) and the instance."""
        for registry in REGISTRIES:
            if registry != keep:
                self.__dict__[registry].pop(name, None)
        if keep != "_buffers":
            self._non_persistent_buffers_set.discard(name)
        self.__dict__.pop(name, None)

    def __getattr__(self, name: str) -> Any:
        # reached when the instance has no such attribute, so for names that somebody
        # wrote into a registry directly, and for mistakes
        for registry in REGISTRIES:
            members = self.__dict__.get(registry, {})
            if name in members:
                return members[name]
        raise AttributeError(
            f"{type(self).__name__!r} object has no attribute {name!r}"
        )

    def __delattr__(self, name: str) -> None:
        if any(name in self.__dict__[registry] for registry in REGISTRIES):
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
            raise self._refused("parameter", "an nn.Parameter", name, param)
        if param is not None and param.grad_fn is not None:
            raise ValueError(
                f"{type(self).__name__}: parameter {name!r} must be a leaf, got the result "
                "of a computation; likely fix: nn.Parameter(x.detach())"
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
            raise self._refused("buffer", "a tensor", name, tensor)
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
        if module is not None and not isinstance(module, Members):
            raise no_module(module)
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
        module = cast("Module", self)
        for name in target.split(".") if target else ():
            if not hasattr(module, name):
                raise AttributeError(
                    f"{type(module).__name__} has no attribute `{name}` (of {target!r})"
                )
            module = getattr(module, name)
            if not isinstance(module, Members):
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
        pending = [(prefix, cast("Module", self))]
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
            else [(prefix, cast("Module", self))]
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
