"""Tensors of modules that are computed from others each time they are read.

The tensor leaves the module; `module.parametrizations` holds what it is computed from, and
the module becomes one of a subclass, whose property of the tensor's name computes it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from pyautodl.autograd.grad_mode import no_grad
from pyautodl.errors import describe
from pyautodl.nn.container import ModuleDict, ModuleList
from pyautodl.nn.module import Module
from pyautodl.nn.parameter import Parameter
from pyautodl.tensor import Tensor, explained

__all__ = [
    "ParametrizationList",
    "cached",
    "is_parametrized",
    "register_parametrization",
    "remove_parametrizations",
    "type_before_parametrizations",
]


class _Cache(threading.local):
    """What was computed inside `cached` in this thread."""

    def __init__(self) -> None:
        self.depth = 0
        # by the list of parametrizations, which is kept so that its id stays its own
        self.found: dict[int, tuple[Any, Tensor]] = {}


_CACHE = _Cache()


@contextmanager
def cached() -> Iterator[None]:
    """Compute each parametrized tensor once in the block, however often it is read.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl.nn.utils import parametrize
        >>> with parametrize.cached():
        ...     pass
    """
    _CACHE.depth += 1
    try:
        yield
    finally:
        _CACHE.depth -= 1
        if not _CACHE.depth:
            _CACHE.found.clear()


class ParametrizationList(ModuleList):
    """The modules that compute a tensor, one after the other, and what they start from.

    That is `original`, or `original0`, `original1`, ... where the last one's
    `right_inverse` gives several.

    Args:
        modules: the parametrizations.
        original: the tensor as it is.
        unsafe: do without checks.

    Raises:
        ValueError: the result differs from the tensor in shape or element type.
        TypeError: a `right_inverse` gives no tensors.
    """

    def __init__(
        self, modules: Sequence[Module], original: Tensor, unsafe: bool = False
    ) -> None:
        if not modules:
            raise ValueError("ParametrizationList: expected at least one module")
        super().__init__(modules)
        self.unsafe = unsafe
        given = _start(list(modules), original)
        self.is_tensor = isinstance(given, Tensor)
        if isinstance(given, Tensor):
            if given is not original:
                # the tensor itself stays, as an optimizer may hold it
                original.data = given.detach()
            self._hold("original", original)
        else:
            self.ntensors = len(given)
            for i, each in enumerate(given):
                if isinstance(original, Parameter):
                    each = Parameter(each.detach(), original.requires_grad)
                self._hold(f"original{i}", each)
        if not unsafe:
            with no_grad():
                _check_result(self(), original)

    def _hold(self, name: str, value: Tensor) -> None:
        if isinstance(value, Parameter):
            self.register_parameter(name, value)
        else:
            self.register_buffer(name, value)

    def originals(self) -> list[Tensor]:
        """What the first parametrization gets."""
        if self.is_tensor:
            return [self.original]
        return [getattr(self, f"original{i}") for i in range(self.ntensors)]

    def right_inverse(self, value: Tensor) -> None:
        """Let the tensor be `value`: set the originals to what gives it."""
        with no_grad():
            new: Any = value
            for module in reversed(list(self)):
                if not hasattr(module, "right_inverse"):
                    raise RuntimeError(
                        f"parametrize: the tensor can't be assigned, as "
                        f"{type(module).__name__} has no right_inverse"
                    )
                new = module.right_inverse(new)
            given = [new] if isinstance(new, Tensor) else list(new)
            held = self.originals()
            if len(given) != len(held):
                raise ValueError(
                    f"parametrize: right_inverse gave {len(given)} tensors, expected "
                    f"{len(held)}"
                )
            for each, value in zip(held, given):
                each.copy_(value)

    def forward(self) -> Tensor:
        """Compute the tensor."""
        value: Any = None
        for i, module in enumerate(self):
            value = module(value) if i else module(*self.originals())
        return value


def _start(modules: list[Module], original: Tensor) -> Any:
    """A tensor, or several, from which the modules compute the original."""
    new: Any = original
    with no_grad():
        for module in reversed(modules):
            if not hasattr(module, "right_inverse"):
                continue
            try:
                new = module.right_inverse(new)
            except NotImplementedError:
                continue
    several = isinstance(new, (tuple, list)) and all(
        isinstance(each, Tensor) for each in new
    )
    if not several and not isinstance(new, Tensor):
        raise TypeError(
            "parametrize: right_inverse must give a tensor or several, got "
            f"{describe(new)}"
        )
    return new


def _check_result(result: Any, original: Tensor) -> None:
    if not isinstance(result, Tensor):
        raise TypeError(
            f"parametrize: forward must give a tensor, got {type(result).__name__}"
        )
    for what, got, expected in (
        ("shape", tuple(result.shape), tuple(original.shape)),
        ("element type", result.dtype.name, original.dtype.name),
    ):
        if got != expected:
            raise ValueError(
                f"parametrize: the {what} of the tensor is {expected} and would become "
                f"{got}; likely fix: unsafe=True, if that is meant"
            )


def _computed(name: str) -> property:
    """The property of a parametrized tensor."""

    def read(self: Any) -> Tensor:
        parametrization = self.parametrizations[name]
        if not _CACHE.depth:
            value: Tensor = parametrization()
            return value
        found = _CACHE.found.get(id(parametrization))
        if found is None:
            found = parametrization, parametrization()
            _CACHE.found[id(parametrization)] = found
        return found[1]

    def write(self: Any, value: Tensor) -> None:
        self.parametrizations[name].right_inverse(value)
        _CACHE.found.pop(id(self.parametrizations[name]), None)

    return property(read, write)


def _class_of(base: type[Any], names: Iterable[str]) -> type[Any]:
    """The class of modules whose tensors of these names are parametrized."""

    def __reduce_ex__(self: Any, protocol: Any) -> tuple[Any, ...]:
        # pickle finds classes by name, and this one has none in its module
        _, _, *state = super(kind, self).__reduce_ex__(protocol)
        return _new_parametrized, (base, tuple(self.parametrizations)), *state

    members: dict[str, Any] = {name: _computed(name) for name in names}
    members.update(__module__=base.__module__, __reduce_ex__=__reduce_ex__)
    kind: type[Any] = type(f"Parametrized{base.__name__}", (base,), members)
    return kind


def _new_parametrized(base: Any, names: tuple[str, ...]) -> Any:
    """A module to which pickle or `copy.deepcopy` gives its state."""
    return base.__new__(_class_of(base, names))


def _change_class(module: Module) -> None:
    """Give the module a class of its own, with the properties of its parametrizations."""
    base = type_before_parametrizations(module)
    module.__class__ = _class_of(base, module.parametrizations)


@explained
def register_parametrization(
    module: Module, tensor_name: str, parametrization: Module, *, unsafe: bool = False
) -> Module:
    """Compute a parameter or buffer of a module by another module from now on.

    A `right_inverse(tensor)` of the parametrization gives what its forward makes the
    tensor of; without one it starts from the tensor as it is. Several are computed one
    after the other.

    Args:
        module: it is changed and returned.
        tensor_name: of the parameter or buffer.
        parametrization: what computes it.
        unsafe: whether shape and element type may change.

    Raises:
        TypeError: `parametrization` is no module.
        ValueError: there is no such tensor, or its shape or element type would change.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl.nn.utils import parametrize
        >>> class Symmetric(ad.nn.Module):
        ...     def forward(self, x):
        ...         return x.triu() + x.triu(1).t()
        >>> layer = ad.nn.Linear(3, 3)
        >>> layer = parametrize.register_parametrization(layer, "weight", Symmetric())
        >>> bool((layer.weight == layer.weight.t()).all())
        True
        >>> sorted(layer.state_dict())
        ['bias', 'parametrizations.weight.original']
    """
    if not isinstance(parametrization, Module):
        raise TypeError(
            "register_parametrization: expected a module that computes the tensor, got "
            f"{describe(parametrization)}; likely fix: a subclass of nn.Module whose "
            "forward does"
        )
    parametrization.train(module.training)
    if is_parametrized(module, tensor_name):
        held = module.parametrizations[tensor_name]
        if not unsafe:
            with no_grad():
                before = getattr(module, tensor_name)
                _check_result(parametrization(before), before)
        held.append(parametrization)
        held.unsafe = held.unsafe or unsafe
        return module
    tensor = {**module._parameters, **module._buffers}.get(tensor_name)
    if tensor is None:
        raise ValueError(
            f"register_parametrization: {type(module).__name__} has no parameter or buffer "
            f"{tensor_name!r}"
        )
    held = ParametrizationList([parametrization], tensor, unsafe)
    delattr(module, tensor_name)
    if not is_parametrized(module):
        module.parametrizations = ModuleDict()
    module.parametrizations[tensor_name] = held
    _change_class(module)
    return module


@explained
def is_parametrized(module: Module, tensor_name: str | None = None) -> bool:
    """Return whether a module has parametrized tensors, or this one.

    Args:
        module: any module.
        tensor_name: of a tensor of it.

    Example:
        >>> import pyautodl as ad
        >>> ad.nn.utils.parametrize.is_parametrized(ad.nn.Linear(2, 2))
        False
    """
    held = module._modules.get("parametrizations")
    if not isinstance(held, ModuleDict):
        return False
    return len(held) > 0 if tensor_name is None else tensor_name in held


def type_before_parametrizations(module: Module) -> type[Any]:
    """Return the class that a module had before its tensors were parametrized.

    Args:
        module: any module.

    Example:
        >>> import pyautodl as ad
        >>> layer = ad.nn.utils.parametrizations.weight_norm(ad.nn.Linear(2, 2))
        >>> ad.nn.utils.parametrize.type_before_parametrizations(layer).__name__
        'Linear'
    """
    kind = type(module)
    changed = kind.__name__.startswith("Parametrized") and is_parametrized(module)
    return kind.__bases__[0] if changed else kind


@explained
def remove_parametrizations(
    module: Module, tensor_name: str, leave_parametrized: bool = True
) -> Module:
    """Make a parametrized tensor a parameter or buffer again.

    Args:
        module: it is changed and returned.
        tensor_name: of the tensor.
        leave_parametrized: it keeps the value that was computed; False: it gets back what
            that was computed from, which must be one tensor.

    Raises:
        ValueError: the tensor is not parametrized, or has no one original.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl.nn.utils import parametrizations, parametrize
        >>> layer = parametrizations.weight_norm(ad.nn.Linear(3, 2))
        >>> layer = parametrize.remove_parametrizations(layer, "weight")
        >>> sorted(layer.state_dict())
        ['bias', 'weight']
    """
    if not is_parametrized(module, tensor_name):
        raise ValueError(
            f"remove_parametrizations: {type(module).__name__} has no parametrized tensor "
            f"{tensor_name!r}"
        )
    held = module.parametrizations[tensor_name]
    if not leave_parametrized and not held.is_tensor:
        raise ValueError(
            "remove_parametrizations: leave_parametrized=False needs one original, and "
            f"{tensor_name!r} is computed from {held.ntensors}"
        )
    first = held.originals()[0]
    with no_grad():
        value = getattr(module, tensor_name).detach()
    if held.is_tensor:
        if leave_parametrized:
            first.data = value
        value = first
    elif isinstance(first, Parameter):
        value = Parameter(value, first.requires_grad)
    base = type_before_parametrizations(module)
    del module.parametrizations[tensor_name]
    if is_parametrized(module):
        _change_class(module)
    else:
        delattr(module, "parametrizations")
        module.__class__ = base
    if isinstance(value, Parameter):
        module.register_parameter(tensor_name, value)
    else:
        module.register_buffer(tensor_name, value)
    return module
