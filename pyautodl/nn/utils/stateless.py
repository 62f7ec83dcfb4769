"""A module called with other parameters and buffers than its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pyautodl.errors import StateDictError, describe
from pyautodl.nn.module import Module
from pyautodl.tensor import Tensor

__all__ = ["functional_call"]

# where a tensor of a module lives: (the module, its name there)
Place = tuple[Module, str]


def functional_call(
    module: Module,
    parameter_and_buffer_dicts: Mapping[str, Tensor] | Sequence[Mapping[str, Tensor]],
    args: Any = None,
    kwargs: Mapping[str, Any] | None = None,
    *,
    tie_weights: bool = True,
    strict: bool = False,
) -> Any:
    """Call a module with the tensors given, in the place of its own of the same names.

    Gradients flow to the tensors given, whatever they were computed from: a step of
    gradient descent can be differentiated through, as meta-learning does, and weights can be
    drawn anew for each call.

    Args:
        module: what is called; it has its own tensors back afterwards.
        parameter_and_buffer_dicts: names, as in `state_dict()`, to tensors; or several such
            dicts without a name in common. What has no name there stays as it is.
        args: the argument of the call, or a tuple of them.
        kwargs: its arguments by name.
        tie_weights: a tensor that the module has under several names is replaced under all.
        strict: every parameter and buffer must be given.

    Raises:
        StateDictError: a name is unknown, or missing with `strict`.
        ValueError: a name is given twice, or two tensors for one that is tied.
        TypeError: a value is not a tensor.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl.func import functional_call
        >>> model = ad.nn.Linear(2, 1, bias=False)
        >>> functional_call(model, {"weight": ad.tensor([[1.0, 10.0]])}, ad.ones(1, 2))
        tensor([[11.]])
    """
    given = _merged(parameter_and_buffer_dicts)
    places = _places(module)
    _check_names(module, given, places, strict)
    if tie_weights:
        given = _tied(given, places)
    if not isinstance(args, tuple):
        args = () if args is None else (args,)
    before = [(places[name], _get(places[name])) for name in given]
    try:
        for name, value in given.items():
            _put(places[name], value)
        return module(*args, **(kwargs or {}))
    finally:
        for place, own in before:
            _put(place, own)


def _merged(dicts: Any) -> dict[str, Tensor]:
    """The dicts as one."""
    merged: dict[str, Tensor] = {}
    for each in [dicts] if isinstance(dicts, Mapping) else dicts:
        twice = sorted(merged.keys() & each.keys())
        if twice:
            raise ValueError(f"functional_call: {twice} are in several of the dicts")
        merged.update(each)
    for name, value in merged.items():
        if not isinstance(value, Tensor):
            raise TypeError(
                f"functional_call: expected a tensor for {name!r}, got {describe(value)}"
            )
    return merged


def _places(module: Module) -> dict[str, Place]:
    """The places of all parameters and buffers, tied ones under each of their names."""
    places: dict[str, Place] = {}
    for path, each in module.named_modules(remove_duplicate=False):
        for registry in ("_parameters", "_buffers"):
            for name in each.__dict__[registry]:
                places[f"{path}.{name}" if path else name] = (each, name)
    return places


def _check_names(
    module: Module, given: dict[str, Tensor], places: dict[str, Place], strict: bool
) -> None:
    unknown = [name for name in given if name not in places]
    held = [name for name in places if _get(places[name]) is not None]
    missing = [name for name in held if name not in given] if strict else []
    if unknown:
        raise StateDictError(
            f"functional_call: {type(module).__name__} has no {unknown}; it has {held}"
        )
    if missing:
        raise StateDictError(
            f"functional_call: strict asks for all, and {missing} were not given"
        )


def _tied(given: dict[str, Tensor], places: dict[str, Place]) -> dict[str, Tensor]:
    """The same with a value for every name of a tensor that has several."""
    names: dict[int, list[str]] = {}
    for name, place in places.items():
        value = _get(place)
        if value is not None:
            names.setdefault(id(value), []).append(name)
    result = dict(given)
    for group in names.values():
        values = {id(given[name]): given[name] for name in group if name in given}
        if len(values) > 1:
            raise ValueError(
                f"functional_call: {group} are one tensor in the module, and several were "
                "given for it; likely fix: one of them, or tie_weights=False"
            )
        for value in values.values():
            result.update(dict.fromkeys(group, value))
    return result


def _registry(place: Place) -> dict[str, Any]:
    owner, name = place
    parameters: dict[str, Any] = owner.__dict__["_parameters"]
    buffers: dict[str, Any] = owner.__dict__["_buffers"]
    return parameters if name in parameters else buffers


def _get(place: Place) -> Tensor | None:
    return _registry(place)[place[1]]


def _put(place: Place, value: Tensor | None) -> None:
    """Set a tensor in the registry and as the attribute, whatever its class is."""
    owner, name = place
    _registry(place)[name] = value
    owner.__dict__[name] = value
