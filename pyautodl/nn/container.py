"""Containers: Sequential, and lists and dicts of modules and of parameters."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, Self, overload

from pyautodl.errors import describe
from pyautodl.nn.module import Module
from pyautodl.nn.module.members import no_module
from pyautodl.nn.parameter import Parameter
from pyautodl.nn.sequence import run_in_sequence
from pyautodl.tensor import Tensor

__all__ = ["ModuleDict", "ModuleList", "ParameterDict", "ParameterList", "Sequential"]


def _position(index: Any, size: int) -> int:
    """A list position from an index that may be negative."""
    try:
        number = operator.index(index)
    except TypeError:
        raise TypeError(
            f"index: expected a whole number or a slice, got {describe(index)}; likely fix: "
            "getattr(container, name), or a ModuleDict, whose parts have names"
        ) from None
    if not -size <= number < size:
        raise IndexError(f"index {number} is out of range for {size} items")
    return number % size


class _Numbered(Module):
    """What containers of modules named "0", "1", ... share."""

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[Module]:
        return iter([each for each in self._modules.values() if each is not None])

    def __contains__(self, module: object) -> bool:
        return any(module is each for each in self._modules.values())

    def __dir__(self) -> list[str]:
        return [key for key in super().__dir__() if not key.isdigit()]

    def _name_at(self, index: Any) -> str:
        """The key at a position: user-given names are allowed in Sequential."""
        position = _position(index, len(self._modules))
        return next(islice(self._modules, position, None))

    def _replace_all(self, modules: Iterable[Module | None]) -> None:
        for name in list(self._modules):
            delattr(self, name)
        for i, module in enumerate(modules):
            self.add_module(str(i), module)

    def __setitem__(self, index: Any, module: Module) -> None:
        setattr(self, self._name_at(index), module)

    def __delitem__(self, index: Any) -> None:
        if isinstance(index, slice):
            gone = list(self._modules)[index]
        else:
            gone = [self._name_at(index)]
        for name in gone:
            delattr(self, name)
        # names that users gave go, too: PyTorch's files hold numbers after a removal
        self._replace_all(list(self._modules.values()))

    def append(self, module: Module) -> Self:
        """Add a module at the end; return self."""
        self.add_module(str(len(self)), module)
        return self

    def extend(self, modules: Iterable[Module]) -> Self:
        """Add modules at the end; return self."""
        if not isinstance(modules, Iterable):
            raise TypeError(
                f"{type(self).__name__}.extend should be called with an iterable, got "
                f"{type(modules).__name__}"
            )
        for module in list(modules):
            self.append(module)
        return self

    def _insert_at(self, position: int, module: Module) -> None:
        modules = list(self._modules.values())
        modules.insert(position, module)
        self._replace_all(modules)

    def pop(self, index: int = -1) -> Module:
        """Remove and return the module at a position."""
        module = self._modules[self._name_at(index)]
        del self[index]
        return module  # type: ignore[return-value]


class Sequential(_Numbered):
    """Modules called one after the other.

    Args:
        *args: modules, or one dict of names to modules.

    Example:
        >>> from pyautodl import nn
        >>> nn.Sequential(nn.Identity(), nn.Identity())
        Sequential(
          (0): Identity()
          (1): Identity()
        )
    """

    def __init__(self, *args: Any) -> None:
        super().__init__()
        if len(args) == 1 and isinstance(args[0], Mapping):
            for name, module in args[0].items():
                self.add_module(name, module)
        else:
            for i, module in enumerate(args):
                self.add_module(str(i), module)

    def forward(self, input: Any) -> Any:
        """Feed the input through all modules; a layer and its ReLU as one, and where no
        gradient is recorded runs of convolution, batch norm and activation.
        """
        return run_in_sequence(self, list(self._modules.values()), input)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return type(self)(dict(list(self._modules.items())[index]))
        return self._modules[self._name_at(index)]

    def __add__(self, other: Sequential) -> Sequential:
        if not isinstance(other, Sequential):
            raise ValueError(
                f"only a Sequential can be added to a Sequential, got {other!r}"
            )
        return Sequential(*self, *other)

    def __iadd__(self, other: Sequential) -> Self:
        if not isinstance(other, Sequential):
            raise ValueError(
                f"only a Sequential can be added to a Sequential, got {other!r}"
            )
        return self.extend(other)

    def __mul__(self, times: int) -> Sequential:
        if not isinstance(times, int):
            raise TypeError(f"a Sequential is repeated by an int, got {times!r}")
        if times <= 0:
            raise ValueError(f"a Sequential is repeated a positive number, got {times}")
        return Sequential(*(module for _ in range(times) for module in self))

    __rmul__ = __mul__

    def insert(self, index: int, module: Module) -> Self:
        """Put a module before a position; return self."""
        if not isinstance(module, Module):
            raise no_module(module)
        size = len(self)
        if not -size <= index <= size:
            raise IndexError(f"index {index} is out of range for {size} modules")
        self._insert_at(index + size if index < 0 else index, module)
        return self


class ModuleList(_Numbered):
    """A list of modules, registered as "0", "1", ...

    Args:
        modules: what to start with.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl import nn
        >>> layers = nn.ModuleList([nn.Linear(2, 3), nn.ReLU()])
        >>> layers.append(nn.Linear(3, 1))[-1]
        Linear(in_features=3, out_features=1, bias=True)
        >>> len(layers), [name for name, _ in layers.named_parameters()][:2]
        (3, ['0.weight', '0.bias'])
    """

    def __init__(self, modules: Iterable[Module] | None = None) -> None:
        super().__init__()
        if modules is not None:
            self.extend(modules)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return type(self)(list(self)[index])
        return self._modules[self._name_at(index)]

    def __add__(self, other: Iterable[Module]) -> ModuleList:
        return ModuleList([*self, *other])

    def __iadd__(self, other: Iterable[Module]) -> Self:
        return self.extend(other)

    def insert(self, index: int, module: Module) -> None:
        """Put a module before a position."""
        self._insert_at(index, module)

    def __repr__(self) -> str:
        """As PyTorch prints it: runs of equal layers on one line."""
        runs: list[tuple[int, int, str]] = []
        for i, module in enumerate(self):
            text = repr(module)
            if runs and runs[-1][2] == text:
                runs[-1] = (runs[-1][0], i, text)
            else:
                runs.append((i, i, text))
        lines = []
        for first, last, text in runs:
            indented = text.replace("\n", "\n  ")
            if first == last:
                lines.append(f"({first}): {indented}")
            else:
                lines.append(f"({first}-{last}): {last - first + 1} x {indented}")
        if not lines:
            return f"{self._get_name()}()"
        return f"{self._get_name()}(\n  " + "\n  ".join(lines) + "\n)"


def _pairs(values: Any, what: str) -> list[tuple[str, Any]]:
    """(name, value) pairs from a mapping or an iterable of pairs."""
    if isinstance(values, (Mapping, ModuleDict, ParameterDict)):
        return list(values.items())
    if not isinstance(values, Iterable):
        raise TypeError(
            f"{what}.update should be called with an iterable of key/value pairs, got "
            f"{type(values).__name__}"
        )
    pairs = list(values)
    for i, pair in enumerate(pairs):
        if not isinstance(pair, Iterable) or len(list(pair)) != 2:
            raise ValueError(f"{what} update sequence element #{i} is no pair")
    return pairs


class ModuleDict(Module):
    """Modules by name, in the order of insertion.

    Args:
        modules: a mapping, or pairs of name and module.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl import nn
        >>> heads = nn.ModuleDict({"class": nn.Linear(4, 3), "box": nn.Linear(4, 2)})
        >>> heads["box"](ad.ones(1, 4)).shape
        pyautodl.Size([1, 2])
    """

    def __init__(self, modules: Any = None) -> None:
        super().__init__()
        if modules is not None:
            self.update(modules)

    def __getitem__(self, key: str) -> Module:
        return self._modules[key]  # type: ignore[return-value]

    def __setitem__(self, key: str, module: Module) -> None:
        self.add_module(key, module)

    def __delitem__(self, key: str) -> None:
        if key not in self._modules:
            raise KeyError(key)
        delattr(self, key)

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[str]:
        return iter(self._modules)

    def __contains__(self, key: object) -> bool:
        return key in self._modules

    def clear(self) -> None:
        """Remove all modules."""
        for key in list(self._modules):
            del self[key]

    def pop(self, key: str) -> Module:
        """Remove and return a module."""
        module = self[key]
        del self[key]
        return module

    def keys(self) -> Iterable[str]:
        """The names."""
        return self._modules.keys()

    def items(self) -> Iterable[tuple[str, Module]]:
        """The (name, module) pairs."""
        return self._modules.items()  # type: ignore[return-value]

    def values(self) -> Iterable[Module]:
        """The modules."""
        return self._modules.values()  # type: ignore[return-value]

    def update(self, modules: Any) -> None:
        """Add or replace modules from a mapping or from pairs."""
        for name, module in _pairs(modules, type(self).__name__):
            self[name] = module


def _as_parameter(value: Any) -> Any:
    if isinstance(value, Tensor) and not isinstance(value, Parameter):
        return Parameter(value)
    return value


def _described(name: Any, value: Any) -> str:
    if not isinstance(value, Tensor):
        return f"({name}): Object of type: {type(value).__name__}"
    kind = "Parameter" if isinstance(value, Parameter) else "Tensor"
    size = "x".join(str(each) for each in value.shape)
    return f"({name}): {kind} containing: [{value.dtype} of size {size}]"


class ParameterList(Module):
    """A list of parameters, registered as "0", "1", ...; tensors become parameters.

    Args:
        values: what to start with.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl import nn
        >>> scales = nn.ParameterList([ad.ones(2), ad.zeros(1)])
        >>> [name for name, _ in scales.named_parameters()]
        ['0', '1']
    """

    def __init__(self, values: Iterable[Any] | None = None) -> None:
        super().__init__()
        self._size = 0
        if values is not None:
            self.extend(values)

    @overload
    def __getitem__(self, index: int) -> Any: ...
    @overload
    def __getitem__(self, index: slice) -> ParameterList: ...
    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return type(self)([self[i] for i in range(*index.indices(self._size))])
        return getattr(self, str(_position(index, self._size)))

    def __setitem__(self, index: int, value: Any) -> None:
        setattr(self, str(_position(index, self._size)), _as_parameter(value))

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[Any]:
        return iter([self[i] for i in range(self._size)])

    def __iadd__(self, values: Iterable[Any]) -> Self:
        return self.extend(values)

    def append(self, value: Any) -> Self:
        """Add a value at the end; return self."""
        setattr(self, str(self._size), _as_parameter(value))
        self._size += 1
        return self

    def extend(self, values: Iterable[Any]) -> Self:
        """Add values at the end; return self."""
        if not isinstance(values, Iterable) or isinstance(values, Tensor):
            raise TypeError(
                "ParameterList.extend should be called with an iterable, got "
                f"{type(values).__name__}"
            )
        for value in list(values):
            self.append(value)
        return self

    def extra_repr(self) -> str:
        """One line a parameter."""
        return "\n".join(_described(i, value) for i, value in enumerate(self))


class ParameterDict(Module):
    """Parameters by name, in the order of insertion; tensors become parameters.

    Args:
        parameters: a mapping, or pairs of name and parameter.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl import nn
        >>> values = nn.ParameterDict({"scale": ad.ones(2)})
        >>> [name for name, _ in values.named_parameters()]
        ['scale']
    """

    def __init__(self, parameters: Any = None) -> None:
        super().__init__()
        self._keys: dict[str, None] = {}
        if parameters is not None:
            self.update(parameters)

    def __getitem__(self, key: str) -> Any:
        if key not in self._keys:
            raise KeyError(key)
        return getattr(self, key)

    def __setitem__(self, key: str, value: Any) -> None:
        if key not in self._keys and hasattr(self, key):
            raise KeyError(f"attribute {key!r} already exists")
        self._keys[key] = None
        setattr(self, key, _as_parameter(value))

    def __delitem__(self, key: str) -> None:
        del self._keys[key]
        delattr(self, key)

    def __len__(self) -> int:
        return len(self._keys)

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys)

    def __reversed__(self) -> Iterator[str]:
        return reversed(self._keys)

    def __contains__(self, key: object) -> bool:
        return key in self._keys

    def __or__(self, other: Any) -> ParameterDict:
        merged = self.copy()
        merged.update(other)
        return merged

    def __ior__(self, other: Any) -> Self:
        self.update(other)
        return self

    def copy(self) -> ParameterDict:
        """Another dict with the same parameters."""
        return ParameterDict(dict(self.items()))

    def setdefault(self, key: str, default: Any = None) -> Any:
        """The value of a key; a new key gets the default."""
        if key not in self:
            self[key] = default
        return self[key]

    def get(self, key: str, default: Any = None) -> Any:
        """The value of a key, or the default."""
        return self[key] if key in self else default

    def pop(self, key: str) -> Any:
        """Remove and return a value."""
        value = self[key]
        del self[key]
        return value

    def popitem(self) -> tuple[str, Any]:
        """Remove and return the last pair."""
        key, _ = self._keys.popitem()
        value = getattr(self, key)
        delattr(self, key)
        return key, value

    def clear(self) -> None:
        """Remove all."""
        for key in list(self._keys):
            del self[key]

    def fromkeys(self, keys: Iterable[str], default: Any = None) -> ParameterDict:
        """A new dict with those keys and one default."""
        return ParameterDict({key: default for key in keys})

    def keys(self) -> Iterable[str]:
        """The names."""
        return self._keys.keys()

    def values(self) -> Iterable[Any]:
        """The values."""
        return [self[key] for key in self._keys]

    def items(self) -> Iterable[tuple[str, Any]]:
        """The (name, value) pairs."""
        return [(key, self[key]) for key in self._keys]

    def update(self, parameters: Any) -> None:
        """Add or replace values from a mapping or from pairs."""
        for name, value in _pairs(parameters, type(self).__name__):
            self[name] = value

    def extra_repr(self) -> str:
        """One line a parameter."""
        return "\n".join(_described(key, value) for key, value in self.items())
