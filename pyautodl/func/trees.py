"""Tensors in nested tuples, lists and dicts: taken out in order, and put in again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from pyautodl.errors import describe
from pyautodl.tensor import Tensor

__all__ = ["leaves_of", "rebuilt", "spread", "tensors_of"]


def _children(tree: Any) -> Sequence[Any] | None:
    """What a node holds, in order; None of a leaf."""
    if isinstance(tree, dict):
        return list(tree.values())
    return tree if isinstance(tree, (tuple, list)) else None


def leaves_of(tree: Any) -> list[Any]:
    """The leaves, in order."""
    children = _children(tree)
    if children is None:
        return [tree]
    return [leaf for each in children for leaf in leaves_of(each)]


def _rebuild(tree: Any, leaves: Iterator[Any]) -> Any:
    if isinstance(tree, dict):
        # of the same kind, an OrderedDict too
        made = type(tree)()
        made.update({key: _rebuild(each, leaves) for key, each in tree.items()})
        return made
    if isinstance(tree, (tuple, list)):
        parts = [_rebuild(each, leaves) for each in tree]
        return type(tree)(*parts) if hasattr(tree, "_fields") else type(tree)(parts)
    return next(leaves)


def rebuilt(tree: Any, leaves: Sequence[Any]) -> Any:
    """A tree like another, with other leaves."""
    return _rebuild(tree, iter(leaves))


def tensors_of(name: str, what: str, tree: Any) -> list[Tensor]:
    """The leaves, which have to be tensors.

    Raises:
        TypeError: one of them is not.
    """
    leaves = leaves_of(tree)
    for each in leaves:
        if not isinstance(each, Tensor):
            raise TypeError(
                f"{name}: {what} must be tensors, or tuples, lists and dicts of them, got "
                f"{type(each).__name__} {describe(each)}"
            )
    return leaves


def spread(prefix: Any, tree: Any, wrong: Callable[[], Exception]) -> list[Any]:
    """What stands in `prefix` for each leaf of a tree: a leaf of the prefix stands for all
    leaves below its place.
    """
    inner, given = _children(tree), _children(prefix)
    if given is None:
        return [prefix] * len(leaves_of(tree))
    if inner is None or len(inner) != len(given):
        raise wrong()
    if isinstance(prefix, dict) or isinstance(tree, dict):
        if not isinstance(prefix, dict) or prefix.keys() != tree.keys():
            raise wrong()
        given = [prefix[key] for key in tree]
    return [leaf for pair in zip(given, inner) for leaf in spread(*pair, wrong)]
