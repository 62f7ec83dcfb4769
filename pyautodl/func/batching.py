"""`vmap`: a function of one sample for a whole batch.

The function is called for one sample after the other and what it gives is stacked. So
what it does may depend on values, and each sample has a graph of its own: `vmap(grad(f))`
gives gradients by sample.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from pyautodl.errors import ShapeError, describe
from pyautodl.func.trees import leaves_of, rebuilt, spread, tensors_of
from pyautodl.functional.copy import stack
from pyautodl.ops.integers import integer
from pyautodl.random import default_generator
from pyautodl.tensor import Tensor

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

    Samples are computed one after the other, so that it saves the writing of a loop and
    not its time; to differentiate by sample is what it is for. It composes with `grad`,
    `jacrev` and itself, and gradients flow through it.

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
        chunk_size: how many samples PyTorch computes at once; without effect.

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
    def mapped(*args: Any, **kwargs: Any) -> Any:
        samples = _samples(args, in_dims, kwargs)
        outputs = []
        state = default_generator.get_state()
        for given, named in samples:
            if randomness == "same":
                default_generator.set_state(state)
            outputs.append(func(*given, **named))
            if randomness == "error" and _has_drawn(state):
                raise RuntimeError(
                    "vmap: the function draws random numbers; likely fix: "
                    "randomness='different', or 'same' for the same numbers in each sample"
                )
        return _stacked(outputs, out_dims)

    return mapped


def _has_drawn(state: Tensor) -> bool:
    """Whether the default generator has moved on; it is then put back."""
    if default_generator.get_state().tolist() == state.tolist():
        return False
    default_generator.set_state(state)
    return True


def _samples(
    args: tuple[Any, ...], in_dims: Any, kwargs: dict[str, Any]
) -> list[tuple[Any, Any]]:
    """The arguments of each call, those in order and those by name."""
    dims = tuple(in_dims) if isinstance(in_dims, list) else in_dims

    def wrong() -> ValueError:
        return ValueError(
            f"vmap: in_dims {describe(in_dims)} is not nested as the {len(args)} arguments "
            f"are: {describe(args)}"
        )

    tree = (args, kwargs)
    places = spread(dims, args, wrong) + [0] * len(leaves_of(kwargs))
    columns = [_along(each, dim) for each, dim in zip(leaves_of(tree), places)]
    sizes = {len(each) for each in columns if each is not None}
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
    (size,) = sizes
    if not size:
        raise ValueError("vmap: there is no sample, so what comes out is not known")
    rows = [
        [
            whole if column is None else column[i]
            for whole, column in zip(leaves_of(tree), columns)
        ]
        for i in range(size)
    ]
    return [rebuilt(tree, row) for row in rows]


def _along(value: Any, dim: Any) -> tuple[Tensor, ...] | None:
    """The samples of one argument; None if it is the same for all."""
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
    return value.unbind(dim)


def _stacked(outputs: list[Any], out_dims: Any) -> Any:
    first = outputs[0]
    rows = [tensors_of("vmap", "what the function returns", each) for each in outputs]

    def wrong() -> ValueError:
        return ValueError(
            f"vmap: out_dims {describe(out_dims)} is not nested as what the function "
            f"returns: {describe(first)}"
        )

    dims = spread(out_dims, first, wrong)
    return rebuilt(first, [_stack(*each) for each in zip(dims, zip(*rows))])


def _stack(dim: Any, tensors: tuple[Tensor, ...]) -> Tensor:
    dim = integer("vmap", "out_dims", dim)
    axes = tensors[0].ndim
    if not -axes - 1 <= dim <= axes:
        raise ShapeError(
            f"vmap: out_dims has axis {dim} for an output of shape "
            f"{tuple(tensors[0].shape)} a sample"
        )
    return stack(tensors, dim)
