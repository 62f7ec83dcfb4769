"""Einstein summation: an equation as a chain of batched matrix products."""

from __future__ import annotations

import math
from typing import Any

from pyautodl.backends import contiguous_strides
from pyautodl.errors import ShapeError
from pyautodl.ops.record import OPS, Op
from pyautodl.tensor import Tensor, apply

__all__ = ["contract"]

# An axis is named by its letter, those of "..." by their number counted from the last
Label = str | int
Labels = list[Label]
Shape = tuple[int, ...]

# equation, shapes and types -> (op, which of the tensors so far, attributes), in order
_Steps = list[tuple[Op, tuple[int, ...], dict[str, Any]]]
_known: dict[tuple[str, tuple[tuple[Shape, str], ...]], _Steps] = {}
_MOST = 4096


def contract(equation: str, tensors: list[Any]) -> Tensor:
    """Evaluate an equation on tensors, from left to right.

    Which ops that takes follows from shapes and types, so it is found out once.
    """
    for i, x in enumerate(tensors):
        if not isinstance(x, Tensor):
            raise TypeError(
                f"einsum: operand {i} must be a tensor, got {type(x).__name__}"
            )
    key = (equation, tuple([(x._array.shape, x._array.dtype.name) for x in tensors]))
    steps = _known.get(key)
    if steps is not None:
        values = list(tensors)
        for op, places, attrs in steps:
            values.append(apply(op, *[values[i] for i in places], **attrs))
        return values[-1]
    values, steps = list(tensors), []
    operands = [_Operand(x, i, values, steps) for i, x in enumerate(tensors)]
    result = _contract(equation, operands)
    if result.place == len(values) - 1:
        if len(_known) >= _MOST:
            _known.clear()
        _known[key] = steps
    return result.tensor


class _Operand:
    """A tensor on its way, and the steps so far."""

    def __init__(
        self, tensor: Tensor, place: int, values: list[Any], steps: _Steps
    ) -> None:
        self.tensor, self.place = tensor, place
        self.values, self.steps = values, steps
        self.shape: Shape = tensor._array.shape
        self.ndim = len(self.shape)


def call(op: str, *operands: _Operand, **attrs: Any) -> _Operand:
    """Apply an op, and note that."""
    first = operands[0]
    tensor = apply(OPS[op], *[each.tensor for each in operands], **attrs)
    first.steps.append((OPS[op], tuple([each.place for each in operands]), attrs))
    first.values.append(tensor)
    return _Operand(tensor, len(first.values) - 1, first.values, first.steps)


def _contract(equation: str, tensors: list[Any]) -> _Operand:
    names, output = _parse(equation, tensors)
    sizes = _sizes(equation, names, tensors)
    for label in output:
        if label not in sizes:
            raise ShapeError(
                f"einsum: {label!r} of the output is in no operand: {equation}"
            )
    done, held = _take_diagonal(tensors[0], names[0])
    for i in range(1, len(tensors)):
        later = {label for each in names[i + 1 :] for label in each} | set(output)
        right, right_held = _take_diagonal(tensors[i], names[i])
        done, held = _multiply(done, held, right, right_held, later)
    return _arrange(done, held, output)


# ---- the equation ----


def _parse(equation: str, tensors: list[Any]) -> tuple[list[Labels], Labels]:
    """The labels of each operand and of the output."""
    text = equation.replace(" ", "")
    left, arrow, right = text.partition("->")
    terms = left.split(",")
    if not tensors or len(terms) != len(tensors):
        raise ShapeError(
            f"einsum: {equation!r} names {len(terms)} operands, got {len(tensors)}"
        )
    names = [
        _labels(equation, term, x.ndim) for term, x in zip(terms, tensors, strict=True)
    ]
    dots = max(
        len([label for label in each if isinstance(label, int)]) for each in names
    )
    if not arrow:
        return names, [*range(dots, 0, -1), *_once(left)]
    output = _labels(
        equation, right, len(right.replace("...", "")) + dots * ("..." in right)
    )
    if len(set(output)) != len(output):
        raise ShapeError(f"einsum: a letter occurs twice in the output: {equation!r}")
    return names, output


def _is_letter(each: str) -> bool:
    return each.isascii() and each.isalpha()


def _once(left: str) -> list[Label]:
    letters = [each for each in left if _is_letter(each)]
    return [each for each in sorted(set(letters)) if letters.count(each) == 1]


def _labels(equation: str, term: str, ndim: int) -> Labels:
    """The labels of one operand with so many axes."""
    before, dots, after = term.partition("...")
    letters = before + after
    if not all(map(_is_letter, letters)):
        raise ShapeError(
            "einsum: expected letters, ',', '->' and one '...' an operand, got "
            f"{equation!r}"
        )
    missing = ndim - len(letters)
    if missing < 0 or (missing and not dots):
        raise ShapeError(
            f"einsum: {term!r} names {len(letters)} axes, the operand has {ndim}: "
            f"{equation!r}"
        )
    return [*before, *range(missing, 0, -1), *after]


def _sizes(equation: str, names: list[Labels], tensors: list[Any]) -> dict[Label, int]:
    """The size of each label; 1 broadcasts, but not within one operand."""
    sizes: dict[Label, int] = {}
    for labels, x in zip(names, tensors, strict=True):
        own: dict[Label, int] = {}
        for label, size in zip(labels, x.shape, strict=True):
            known = own.get(label, sizes.get(label, 1))
            if known != size and (label in own or 1 not in (known, size)):
                shapes = ", ".join(str(tuple(each.shape)) for each in tensors)
                raise ShapeError(
                    f"einsum: axis {label!r} has sizes {known} and {size}: "
                    f"{equation!r} with {shapes}"
                )
            own[label] = size
            if known == 1:
                sizes[label] = size
    return sizes


# ---- one operand ----


def _take_diagonal(x: _Operand, labels: Labels) -> tuple[_Operand, Labels]:
    """The operand with each label once."""
    if len(set(labels)) == len(labels):
        return x, labels
    base = contiguous_strides(tuple(x.shape))
    kept = list(dict.fromkeys(labels))
    strides = [
        sum(stride for each, stride in zip(labels, base, strict=True) if each == label)
        for label in kept
    ]
    shape = tuple(x.shape[labels.index(label)] for label in kept)
    attrs = {
        "base_strides": base,
        "shape": shape,
        "strides": tuple(strides),
        "offset": 0,
    }
    return call("as_strided", x, **attrs), kept


def _sum_out(x: _Operand, labels: Labels, gone: set[Label]) -> tuple[_Operand, Labels]:
    """Sum over some labels."""
    dims = tuple(i for i, label in enumerate(labels) if label in gone)
    if not dims:
        return x, labels
    kept = [label for label in labels if label not in gone]
    return call("sum", x, dim=dims, keepdim=False), kept


def _drop_ones(
    x: _Operand, labels: Labels, which: set[Label]
) -> tuple[_Operand, Labels]:
    """Leave out axes of size 1 that broadcast."""
    gone = {
        label
        for label, size in zip(labels, x.shape, strict=True)
        if size == 1 and label in which
    }
    if not gone:
        return x, labels
    shape = tuple(
        size for label, size in zip(labels, x.shape, strict=True) if label not in gone
    )
    return call("reshape", x, shape=shape), [
        each for each in labels if each not in gone
    ]


def _arrange(x: _Operand, labels: Labels, output: Labels) -> _Operand:
    """Sum what the output lacks and bring the rest into its order."""
    x, labels = _sum_out(x, labels, set(labels) - set(output))
    dims = tuple(labels.index(label) for label in output)
    return x if dims == tuple(range(len(dims))) else call("permute", x, dims=dims)


# ---- two operands ----


def _collapse(x: _Operand, labels: Labels, gone: set[Label]) -> tuple[_Operand, Labels]:
    """Sum over some labels in the operand's own type, as a matrix product does.

    A sum of narrow integers is wider.
    """
    dtype = x.tensor._array.dtype
    x, labels = _drop_ones(x, labels, gone)
    x, labels = _sum_out(x, labels, gone)
    return x if x.tensor._array.dtype is dtype else call("cast", x, dtype=dtype), labels


def _multiply(
    x: _Operand, of_x: Labels, y: _Operand, of_y: Labels, later: set[Label]
) -> tuple[_Operand, Labels]:
    """One step: a batched matrix product over the labels that nothing needs later."""
    x, of_x = _collapse(x, of_x, set(of_x) - set(of_y) - later)
    y, of_y = _collapse(y, of_y, set(of_y) - set(of_x) - later)
    # an axis of size 1 that the other operand has too is left out: it broadcasts
    shared = set(of_x) & set(of_y)
    x, of_x = _drop_ones(x, of_x, shared)
    y, of_y = _drop_ones(y, of_y, shared & set(of_x))
    x, of_x = _collapse(x, of_x, shared - set(of_y) - later)
    y, of_y = _collapse(y, of_y, shared - set(of_x) - later)
    return _product(x, of_x, y, of_y, later)


def _product(
    x: _Operand, of_x: Labels, y: _Operand, of_y: Labels, later: set[Label]
) -> tuple[_Operand, Labels]:
    """Axes of equal size: (batch, rows, summed) @ (batch, summed, columns)."""
    shared = [label for label in of_x if label in of_y]
    batch = [label for label in shared if label in later]
    summed = [label for label in shared if label not in later]
    rows = [label for label in of_x if label not in shared]
    columns = [label for label in of_y if label not in shared]
    size = {
        **dict(zip(of_x, x.shape, strict=True)),
        **dict(zip(of_y, y.shape, strict=True)),
    }
    b, m, n, k = (
        math.prod(size[label] for label in group)
        for group in (batch, rows, columns, summed)
    )
    left = _as_matrices(
        x, of_x, [*batch, *rows, *summed], (b, m, k) if batch else (m, k)
    )
    right = _as_matrices(
        y, of_y, [*batch, *summed, *columns], (b, k, n) if batch else (k, n)
    )
    out = call("matmul", left, right)
    labels = [*batch, *rows, *columns]
    shape = tuple([size[label] for label in labels])
    return out if out.shape == shape else call("reshape", out, shape=shape), labels


def _as_matrices(
    x: _Operand, labels: Labels, order: Labels, shape: tuple[int, ...]
) -> _Operand:
    dims = tuple(labels.index(label) for label in order)
    if dims != tuple(range(len(dims))):
        x = call("permute", x, dims=dims)
    return x if tuple(x.shape) == shape else call("reshape", x, shape=shape)
