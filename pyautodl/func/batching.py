"""`vmap`: a function of one sample for a whole batch.

The function is called once, with tensors that stand for a sample and hold the batch: see
`tensor.mapped`. Where what it does depends on values, or changes what each sample has to see,
it is called anew for one sample after the other, and what it gives is stacked.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from copy import copy
from typing import Any

from pyautodl.errors import ShapeError, describe
from pyautodl.func.trees import leaves_of, rebuilt, spread, tensors_of
from pyautodl.functional.copy import cat, stack
from pyautodl.graph import BySample
from pyautodl.ops.integers import integer
from pyautodl.random import default_generator
from pyautodl.tensor import Tensor, call
from pyautodl.tensor.mapped import Map, Mapped, mapped, opened, whole_of

__all__ = ["vmap"]

Function = Callable[..., Any]


def vmap(
    func: Function,
    in_dims: Any = 0,
    out_dims: Any = 0,
    randomness: str = "error",
    *,
    chunk_size: int | None = None,
) -> Function:
    """Return a function that computes `func` for each sample of a batch.

    All samples are computed at once, as in `vmap(grad(loss))`, which gives gradients by
    sample. An operation that can't be goes from sample to sample by itself. It composes
    with `grad`, `jacrev` and itself, and gradients flow through it.

    What `func` does may depend on values (`if x.sum() > 0`, `x.tolist()`), draw different
    numbers, change tensors in place that are there before it, or call `backward()`: then
    it is called for one sample after the other. It has been called once before, as far as
    that point, which shows if it prints or counts its calls.

    Args:
        func: a function of tensors, or of tuples, lists and dicts of them, which returns
            such.
        in_dims: the axis of each argument that counts samples, None for one that is the
            same for all: one number for all arguments, or a tuple with one for each, which
            may itself be nested as the argument is. Arguments by name are counted along
            their first axis.
        out_dims: where the samples are counted in what comes out; one number, or nested
            as the output is.
        randomness: whether `func` may draw random numbers: 'error' refuses it, 'same'
            draws the same for each sample, 'different' draws anew.
        chunk_size: how many samples are computed at once, which bounds the memory; None: all.

    Raises:
        ShapeError: the batch sizes of arguments differ, or an axis is not there.
        ValueError: in_dims or out_dims do not fit, the batch is empty, or randomness is
            another word.
        TypeError: a counted argument, or what func returns, is not a tensor.
        RuntimeError: func draws random numbers with randomness 'error'.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl.func import grad, vmap
        >>> x, y = ad.tensor([[1.0, 2.0], [3.0, 4.0]]), ad.tensor([1.0, 10.0])
        >>> vmap(ad.dot)(x, x)
        tensor([ 5., 25.])
        >>> vmap(ad.mul, in_dims=(0, None), out_dims=1)(x, y)
        tensor([[ 1.,  3.],
                [20., 40.]])
        >>> loss = lambda w, sample: (w * sample).sum().square()
        >>> vmap(grad(loss), in_dims=(None, 0))(ad.ones(2), x)
        tensor([[ 6., 12.],
                [42., 56.]])
    """
    if not callable(func):
        raise TypeError(f"vmap: func must be a function, got {describe(func)}")
    if randomness not in ("error", "same", "different"):
        raise ValueError(
            "vmap: randomness must be 'error', 'same' or 'different', got "
            f"{describe(randomness)}"
        )
    if chunk_size is not None and integer("vmap", "chunk_size", chunk_size) < 1:
        raise ValueError(f"vmap: chunk_size must be positive, got {chunk_size}")

    @functools.wraps(func)
    def for_batch(*args: Any, **kwargs: Any) -> Any:
        batch = _Batch(args, in_dims, kwargs)
        parts = [
            _outputs(func, part, randomness, out_dims)
            for part in batch.chunks(chunk_size)
        ]
        if len(parts) == 1:
            return parts[0]
        return _joined(parts, out_dims)

    return for_batch


def _outputs(func: Function, batch: _Batch, randomness: str, out_dims: Any) -> Any:
    """What a function gives for a batch: at once if that can be."""
    if batch.size == 1:
        return _by_sample(func, batch, randomness, out_dims)
    state = _state()
    try:
        with opened(batch.size, randomness) as of:
            given, named = batch.sample(of)
            result = func(*given, **named)
            if of.refused:
                raise BySample
            outputs = _unmapped(result, of, out_dims)
    except BySample:
        pass
    except Exception:
        # that of one sample, or what followed from what can't be done at once
        if not of.refused:
            raise
    else:
        return outputs
    if of.drawn:  # and not another thread
        _go_back_to(state)
    return _by_sample(func, batch, randomness, out_dims)


def _by_sample(func: Function, batch: _Batch, randomness: str, out_dims: Any) -> Any:
    """The same for one sample after the other."""
    outputs = []
    state = _state()
    for given, named in batch.samples():
        if randomness == "same":
            _go_back_to(state)
        outputs.append(func(*given, **named))
        if randomness == "error" and _has_drawn(state):
            raise _drawn()
    return _stacked(outputs, out_dims)


def _drawn() -> RuntimeError:
    return RuntimeError(
        "vmap: the function draws random numbers; likely fix: "
        "randomness='different', or 'same' for the same numbers in each sample"
    )


def _state() -> list[int]:
    """What the default generator's numbers follow from."""
    return [*default_generator.array.tolist(), default_generator.passes]


def _go_back_to(state: list[int]) -> None:
    default_generator.array.numpy()[...] = state[:-1]
    default_generator.passes = state[-1]


def _has_drawn(state: list[int]) -> bool:
    """Whether the default generator has moved on; it is then put back."""
    if _state() == state:
        return False
    _go_back_to(state)
    return True


class _Batch:
    """The arguments of a function, with the axes along which samples are counted."""

    def __init__(
        self, args: tuple[Any, ...], in_dims: Any, kwargs: dict[str, Any]
    ) -> None:
        dims = tuple(in_dims) if isinstance(in_dims, list) else in_dims

        def wrong() -> ValueError:
            return ValueError(
                f"vmap: in_dims {describe(in_dims)} is not nested as the {len(args)} "
                f"arguments are: {describe(args)}"
            )

        self.tree = (args, kwargs)
        self.leaves = leaves_of(self.tree)
        places = spread(dims, args, wrong) + [0] * len(leaves_of(kwargs))
        self.dims = [_counted(each, dim) for each, dim in zip(self.leaves, places)]
        sizes = {
            each.shape[dim]
            for each, dim in zip(self.leaves, self.dims)
            if dim is not None
        }
        if not sizes:
            raise ValueError(
                f"vmap: no argument is counted by sample: in_dims is {describe(in_dims)}; "
                "likely fix: in_dims=0 for one of them"
            )
        if len(sizes) > 1:
            raise ShapeError(
                f"vmap: expected the same number of samples in all arguments, got "
                f"{sorted(sizes)}; likely fix: None in in_dims for what is the same for all"
            )
        (self.size,) = sizes
        if not self.size:
            raise ValueError("vmap: there is no sample, so what comes out is not known")

    def chunks(self, size: int | None) -> list[_Batch]:
        """The batch in parts of at most `size` samples."""
        if size is None or size >= self.size:
            return [self]
        columns = [
            None if dim is None else each.split(size, dim)
            for each, dim in zip(self.leaves, self.dims)
        ]
        parts = []
        for i, start in enumerate(range(0, self.size, size)):
            part = copy(self)
            part.size = min(size, self.size - start)
            part.leaves = [
                whole if column is None else column[i]
                for whole, column in zip(self.leaves, columns)
            ]
            parts.append(part)
        return parts

    def sample(self, of: Map) -> Any:
        """The arguments of one sample, whichever it is, in order and by name."""
        leaves = list(self.leaves)
        for i, dim in enumerate(self.dims):
            if dim is not None:
                x = leaves[i].movedim(dim, 0) if dim else leaves[i]
                # a tensor of its own, as the function may ask for its gradient
                whole = call("alias", x) if x.requires_grad else x.detach()
                leaves[i] = mapped(of, whole)
        of.entered = [
            x._array.storage
            for x in self.leaves
            if isinstance(x, Tensor) and not isinstance(x, Mapped)
        ]
        return rebuilt(self.tree, leaves)

    def samples(self) -> list[Any]:
        """The arguments of each call."""
        columns = [
            None if dim is None else each.unbind(dim)
            for each, dim in zip(self.leaves, self.dims)
        ]
        return [
            rebuilt(
                self.tree,
                [
                    whole if column is None else column[i]
                    for whole, column in zip(self.leaves, columns)
                ],
            )
            for i in range(self.size)
        ]


def _counted(value: Any, dim: Any) -> int | None:
    """The axis of one argument that is counted, from the front; None if it is the same for
    all samples.
    """
    if dim is None:
        return None
    dim = integer("vmap", "in_dims", dim)
    if not isinstance(value, Tensor):
        raise TypeError(
            f"vmap: axis {dim} of {type(value).__name__} {describe(value)} can't be "
            "counted, it is no tensor; likely fix: None for it in in_dims"
        )
    if not -value.ndim <= dim < value.ndim:
        raise ShapeError(
            f"vmap: in_dims has axis {dim} for a tensor of shape {tuple(value.shape)}"
        )
    return dim % value.ndim


def _places(tree: Any, out_dims: Any) -> list[int]:
    """Where the samples are counted in each output, as `out_dims` says."""

    def wrong() -> ValueError:
        return ValueError(
            f"vmap: out_dims {describe(out_dims)} is not nested as what the function "
            f"returns: {describe(tree)}"
        )

    return [integer("vmap", "out_dims", each) for each in spread(out_dims, tree, wrong)]


def _check_place(dim: int, x: Tensor) -> None:
    """Raise if the samples of an output can't be counted along an axis."""
    if not -x.ndim - 1 <= dim <= x.ndim:
        raise ShapeError(
            f"vmap: out_dims has axis {dim} for an output of shape {tuple(x.shape)} a "
            "sample"
        )


def _unmapped(result: Any, of: Map, out_dims: Any) -> Any:
    """The outputs of all samples, from those of one, each in memory of its own."""
    others = list(of.entered)
    leaves = tensors_of("vmap", "what the function returns", result)
    found = []
    for dim, x in zip(_places(result, out_dims), leaves):
        _check_place(dim, x)
        whole = whole_of(x, of)
        is_new = isinstance(x, Mapped) and x.map is of
        if is_new and not isinstance(whole, Mapped):
            storage = whole._array.storage
            is_new = not any(storage is each for each in others)
            others.append(storage)
        placed = whole.movedim(0, dim) if dim else whole
        found.append(placed.contiguous() if is_new else placed.clone().contiguous())
    return rebuilt(result, found)


def _joined(parts: list[Any], out_dims: Any) -> Any:
    """The outputs of several parts of a batch, one behind the other."""
    dims = _places(parts[0], out_dims)
    columns = zip(*[leaves_of(each) for each in parts])
    return rebuilt(parts[0], [cat(each, dim) for dim, each in zip(dims, columns)])


def _stacked(outputs: list[Any], out_dims: Any) -> Any:
    first = outputs[0]
    rows = [tensors_of("vmap", "what the function returns", each) for each in outputs]
    found = []
    for dim, tensors in zip(_places(first, out_dims), zip(*rows)):
        _check_place(dim, tensors[0])
        found.append(stack(tensors, dim))
    return rebuilt(first, found)
