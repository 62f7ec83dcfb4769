"""Random tensors and sampling.

Every function takes its numbers from `generator`, by default the one that `manual_seed`
seeds.
"""

from __future__ import annotations

import math
from typing import Any

from pyautodl.backends import Array, KeptCalls, Seen, empty_strides_like, prepare
from pyautodl.backends.dtypes import (
    DTYPES,
    FLOATING,
    INTEGRAL,
    as_dtype,
    bool_,
    int64,
)
from pyautodl.errors import ShapeError
from pyautodl.functional.creation import sizes_from
from pyautodl.graph import MODE, BySample
from pyautodl.ops.integers import integer
from pyautodl.ops.plan import MOST, seen
from pyautodl.ops.random import (
    RANDOM_BERNOULLI,
    RANDOM_INTEGERS,
    RANDOM_MULTINOMIAL,
    RANDOM_NORMAL,
    RANDOM_PERMUTATION,
    RANDOM_TRUNC_NORMAL,
    RANDOM_UNIFORM,
)
from pyautodl.ops.record import Op, kept_beside
from pyautodl.random import (
    Generator,
    default_generator,
    get_rng_state,
    initial_seed,
    manual_seed,
    seed,
    set_rng_state,
)
from pyautodl.tensor import (
    Tensor,
    apply,
    apply_known,
    device,
    explained,
    get_default_dtype,
    make,
    method,
)

__all__ = [
    "Generator",
    "bernoulli",
    "default_generator",
    "get_rng_state",
    "initial_seed",
    "manual_seed",
    "multinomial",
    "normal",
    "rand",
    "rand_like",
    "randint",
    "randint_like",
    "randn",
    "randn_like",
    "randperm",
    "seed",
    "set_rng_state",
]


# ---- arguments ----


def state_of(generator: Generator | None) -> Array:
    """The array of a generator, by default of the one that all share."""
    if MODE.maps:
        _check_draw(generator)
    if generator is None:
        return default_generator.array
    if not isinstance(generator, Generator):
        raise TypeError(
            f"generator: expected a Generator, got {type(generator).__name__}"
        )
    return generator.array


def _check_draw(generator: Generator | None) -> None:
    """Let a function that is mapped draw, as its `vmap` says."""
    for each in reversed(MODE.maps):
        if each.randomness == "error" and generator in (None, default_generator):
            raise RuntimeError(
                "vmap: the function draws random numbers; likely fix: "
                "randomness='different', or 'same' for the same numbers in each sample"
            )
        # numbers of the default generator are the same for all if they are drawn once
        if each.randomness != "same" or generator not in (None, default_generator):
            raise BySample
    for each in MODE.maps:
        each.drawn = True


def _float_dtype(dtype: Any) -> Any:
    return get_default_dtype() if dtype is None else as_dtype(dtype)


def _placed(name: Any) -> None:
    """Refuse every device but the CPU."""
    if name is not None:
        device(name)


def _only_default(name: str, **given: Any) -> None:
    for argument, value in given.items():
        if value is not None and value is not False:
            raise NotImplementedError(
                f"{name}: {argument} is not supported, got {value!r}"
            )


def _finish(out: Tensor, requires_grad: bool) -> Tensor:
    return out.requires_grad_() if requires_grad else out


def _in_layout_of(x: Tensor, values: Tensor) -> Tensor:
    """Numbers drawn in C order, as the elements of `x` lie in memory.

    What a kernel draws for the n-th element in memory is then the n-th of `x` too.
    """
    array = x._array
    strides = empty_strides_like(array.shape, array.strides)
    if values._array.strides == strides:
        return values
    return make(values._array.view(array.shape, strides), None, False)


@kept_beside("state")
def _uniform(
    shape: tuple[int, ...], code: int, low: float, high: float
) -> dict[str, Any]:
    return {"shape": shape, "dtype": DTYPES[code], "low": low, "high": high}


@kept_beside("state")
def _normal(
    shape: tuple[int, ...], code: int, mean: float, std: float
) -> dict[str, Any]:
    return {"shape": shape, "dtype": DTYPES[code], "mean": mean, "std": std}


@kept_beside("state")
def _whole(shape: tuple[int, ...], code: int, low: int, high: int) -> dict[str, Any]:
    return {"shape": shape, "dtype": DTYPES[code], "low": low, "high": high}


def _drawn_like(
    x: Tensor, op: Op, attributes: Any, dtype: Any, place: Any, generator: Any
) -> Tensor:
    """Numbers of parameters 0 and 1, shaped, typed and laid out as `x`."""
    _placed(place)
    array = x._array
    kind = array.dtype if dtype is None else as_dtype(dtype)
    attrs = attributes(state_of(generator), array.shape, kind.code, 0.0, 1.0)
    return _in_layout_of(x, apply_known(op, (), attrs))


# ---- tensors of random numbers ----


@explained
def rand(
    *sizes: Any,
    size: Any = None,
    generator: Generator | None = None,
    out: Any = None,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
) -> Tensor:
    """Draw uniform numbers from [0, 1).

    Args:
        sizes: the shape, as numbers or a tuple.
        size: the same by name.
        generator: where the numbers come from.
        out: not supported.
        dtype: float32 or float64 (default: the default dtype).
        layout: ignored; everything is strided.
        device: 'cpu' or None.
        requires_grad: make a leaf of the graph.
        pin_memory: ignored.

    Example:
        >>> import pyautodl as ad
        >>> ad.rand(2, 3).shape
        pyautodl.Size([2, 3])
    """
    if out is not None:
        _only_default("rand", out=out)
    if device is not None:
        _placed(device)
    kind = get_default_dtype() if dtype is None else as_dtype(dtype)
    shape = sizes_from("rand", sizes, size)
    attrs = _uniform(state_of(generator), shape, kind.code, 0.0, 1.0)
    drawn: Tensor = apply_known(RANDOM_UNIFORM, (), attrs)
    return drawn.requires_grad_() if requires_grad else drawn


@explained
def randn(
    *sizes: Any,
    size: Any = None,
    generator: Generator | None = None,
    out: Any = None,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
) -> Tensor:
    """Draw normal numbers of mean 0 and variance 1; arguments as `rand`.

    Example:
        >>> import pyautodl as ad
        >>> ad.randn(2, 3).shape
        pyautodl.Size([2, 3])
    """
    if out is not None:
        _only_default("randn", out=out)
    if device is not None:
        _placed(device)
    kind = get_default_dtype() if dtype is None else as_dtype(dtype)
    shape = sizes_from("randn", sizes, size)
    attrs = _normal(state_of(generator), shape, kind.code, 0.0, 1.0)
    drawn: Tensor = apply_known(RANDOM_NORMAL, (), attrs)
    return drawn.requires_grad_() if requires_grad else drawn


def _integers(
    shape: tuple[int, ...], dtype: Any, low: int, high: int, generator: Generator | None
) -> Tensor:
    """Integers of any element type; of floats and bools by way of int64."""
    kind = int64 if dtype is None else as_dtype(dtype)
    drawn_as = kind if kind.category == INTEGRAL else int64
    low, high = integer("randint", "low", low), integer("randint", "high", high)
    attrs = _whole(state_of(generator), shape, drawn_as.code, low, high)
    drawn: Tensor = apply_known(RANDOM_INTEGERS, (), attrs)
    return drawn if drawn_as is kind else drawn.to(kind)


@explained
def randint(
    *args: Any,
    low: int | None = None,
    high: int | None = None,
    size: Any = None,
    generator: Generator | None = None,
    out: Any = None,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Draw integers from [low, high), each equally likely.

    Call it as `randint(high, size)` or `randint(low, high, size)`.

    Args:
        args: the arguments by position.
        low: the smallest number (default 0).
        high: one above the largest.
        size: the shape, a tuple.
        generator: where the numbers come from.
        out: not supported.
        dtype: default int64.
        layout: ignored.
        device: 'cpu' or None.
        requires_grad: make a leaf of the graph; for a floating dtype.

    Raises:
        ValueError: the range is empty, or the element type can't hold it.

    Example:
        >>> import pyautodl as ad
        >>> x = ad.randint(3, 7, (100,))
        >>> x.min().item() >= 3, x.max().item() < 7
        (True, True)
    """
    if out is not None:
        _only_default("randint", out=out)
    if device is not None:
        _placed(device)
    given = list(args)
    if size is None and given:
        size = given.pop()
    if high is None and given:
        high = given.pop()
    if low is None and given:
        low = given.pop()
    if given or size is None or high is None:
        raise TypeError("randint: expected (high, size) or (low, high, size)")
    shape = sizes_from("randint", (size,))
    drawn = _integers(shape, dtype, 0 if low is None else low, high, generator)
    return _finish(drawn, requires_grad)


@explained
def randperm(
    n: int,
    *,
    generator: Generator | None = None,
    out: Any = None,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
) -> Tensor:
    """Draw an order of the numbers 0 ... n-1, each equally likely.

    Args:
        n: how many.
        generator, out, layout, device, requires_grad, pin_memory: as in `rand`.
        dtype: element type; default: int64.

    Example:
        >>> import pyautodl as ad
        >>> ad.randperm(4).sort()[0]
        tensor([0, 1, 2, 3])
    """
    _only_default("randperm", out=out)
    _placed(device)
    drawn = apply(
        RANDOM_PERMUTATION, n=integer("randperm", "n", n), state=state_of(generator)
    )
    if dtype is not None and as_dtype(dtype) is not int64:
        drawn = drawn.to(as_dtype(dtype))
    return _finish(drawn, requires_grad)


@explained
def rand_like(
    input: Tensor,
    *,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    memory_format: Any = None,
    generator: Generator | None = None,
) -> Tensor:
    """Draw uniform numbers from [0, 1), shaped and typed as another tensor.

    Args:
        input: the tensor whose shape and, by default, element type it gets.
        dtype, layout, device, requires_grad, generator: as in `rand`.
        memory_format: ignored.

    Example:
        >>> import pyautodl as ad
        >>> ad.rand_like(ad.zeros(2, 3)).shape
        pyautodl.Size([2, 3])
    """
    drawn = _drawn_like(input, RANDOM_UNIFORM, _uniform, dtype, device, generator)
    return _finish(drawn, requires_grad)


@explained
def randn_like(
    input: Tensor,
    *,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    memory_format: Any = None,
    generator: Generator | None = None,
) -> Tensor:
    """Draw normal numbers, shaped and typed as another tensor.

    Args:
        input: the tensor whose shape and, by default, element type it gets.
        dtype, layout, device, requires_grad, generator: as in `rand`.
        memory_format: ignored.

    Example:
        >>> import pyautodl as ad
        >>> ad.randn_like(ad.zeros(2, 3)).shape
        pyautodl.Size([2, 3])
    """
    drawn = _drawn_like(input, RANDOM_NORMAL, _normal, dtype, device, generator)
    return _finish(drawn, requires_grad)


@explained
def randint_like(
    input: Tensor,
    *args: Any,
    low: int | None = None,
    high: int | None = None,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    memory_format: Any = None,
    generator: Generator | None = None,
) -> Tensor:
    """Draw integers from [low, high), shaped and typed as another tensor.

    Call it as `randint_like(x, high)` or `randint_like(x, low, high)`.

    Args:
        input: the tensor whose shape and, by default, element type it gets.
        low: the least number, 0 if there is one argument alone.
        high: where the range ends.
        dtype, layout, device, requires_grad, generator: as in `randint`.
        memory_format: ignored.

    Example:
        >>> import pyautodl as ad
        >>> ad.randint_like(ad.zeros(2, 3), 7).shape
        pyautodl.Size([2, 3])
    """
    kind = input.dtype if dtype is None else dtype
    drawn = randint(
        *args,
        low=low,
        high=high,
        size=tuple(input.shape),
        dtype=kind,
        device=device,
        generator=generator,
    )
    return _finish(_in_layout_of(input, drawn), requires_grad)


@explained
def normal(
    mean: Any,
    std: Any = 1.0,
    size: Any = None,
    *,
    generator: Generator | None = None,
    out: Any = None,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Draw normal numbers of given means and standard deviations.

    Args:
        mean: a number or a tensor.
        std: a number or a tensor.
        size: the shape, where both are numbers.
        generator: where the numbers come from.
        out: not supported.
        dtype: float32 or float64, where both are numbers.
        layout: ignored.
        device: 'cpu' or None.
        requires_grad: make a leaf of the graph.

    Raises:
        ValueError: std is negative.
        TypeError: both are numbers and there is no size.

    Example:
        >>> import pyautodl as ad
        >>> ad.normal(ad.zeros(3), 0.1).shape
        pyautodl.Size([3])
    """
    _only_default("normal", out=out)
    _placed(device)
    tensors = [each for each in (mean, std) if isinstance(each, Tensor)]
    if not tensors:
        if size is None:
            raise TypeError("normal: expected a size, as mean and std are numbers")
        numbers = _float_dtype(dtype).code, float(mean), float(std)
        shape = sizes_from("normal", (size,))
        attrs = _normal(state_of(generator), shape, *numbers)
        return _finish(apply_known(RANDOM_NORMAL, (), attrs), requires_grad)
    if isinstance(std, Tensor) and std.numel() and std.min().item() < 0:
        raise ValueError(f"normal: std must not be negative (std {tuple(std.shape)})")
    # both by PyTorch without a gradient
    like = tensors[0].detach() if len(tensors) == 1 else (mean + std).detach()
    mean, std = (x.detach() if isinstance(x, Tensor) else x for x in (mean, std))
    return randn_like(like, generator=generator) * std + mean


# ---- sampling ----


@method
@explained
def bernoulli(
    input: Tensor,
    p: float | None = None,
    *,
    generator: Generator | None = None,
    out: Any = None,
) -> Tensor:
    """Draw 1 with the probability that stands at each place, else 0.

    Args:
        input: the probabilities; with `p`, only the shape and element type count.
        p: one probability for all.
        generator: where the numbers come from.
        out: not supported.

    Raises:
        ValueError: a probability is outside [0, 1].

    Example:
        >>> import pyautodl as ad
        >>> ad.bernoulli(ad.tensor([0.0, 1.0]))
        tensor([0., 1.])
    """
    _only_default("bernoulli", out=out)
    chances = input if p is None else _constant_like(input, p)
    return apply(RANDOM_BERNOULLI, chances, state=state_of(generator))


def _constant_like(input: Tensor, value: float) -> Tensor:
    dtype = input.dtype if input.dtype.category == FLOATING else get_default_dtype()
    return input.new_full(tuple(input.shape), float(value), dtype=dtype)


@method
@explained
def multinomial(
    input: Tensor,
    num_samples: int,
    replacement: bool = False,
    *,
    generator: Generator | None = None,
    out: Any = None,
) -> Tensor:
    """Draw categories by weights, which need not sum to 1.

    Args:
        input: weights, (k,) or (rows, k).
        num_samples: how many to draw from each row.
        replacement: whether a category may be drawn again.
        generator: where the numbers come from.
        out: not supported.

    Shape:
        (k,) -> (num_samples,); (rows, k) -> (rows, num_samples), int64.

    Raises:
        ValueError: a weight is negative or not finite, a row has no positive one, or
            there are fewer categories of positive weight than draws without
            replacement.

    Example:
        >>> import pyautodl as ad
        >>> ad.multinomial(ad.tensor([0.0, 3.0, 0.0]), 2, replacement=True)
        tensor([1, 1])
    """
    _only_default("multinomial", out=out)
    if input.ndim not in (1, 2):
        raise ShapeError(
            f"multinomial: expected weights (k,) or (rows, k), got {tuple(input.shape)}"
        )
    draws = integer("multinomial", "num_samples", num_samples)
    weights = input.detach() if input.ndim == 2 else input.detach().reshape(1, -1)
    if replacement or draws == 1:
        state = state_of(generator)
        drawn = apply(RANDOM_MULTINOMIAL, weights, draws=draws, state=state)
    else:
        drawn = _without_replacement(weights, draws, generator)
    return drawn if input.ndim == 2 else drawn.reshape(-1)


def _without_replacement(
    weights: Tensor, draws: int, generator: Generator | None
) -> Tensor:
    """The largest of weight / exponential: the order in which they would be drawn.

    Efraimidis and Spirakis, "Weighted random sampling with a reservoir", 2006.
    """
    possible = int((weights > 0).sum(-1).min().item()) if weights.numel() else 0
    if draws > possible:
        raise ValueError(
            f"multinomial: can't draw {draws} of {possible} categories of positive "
            f"weight without replacement (weights {tuple(weights.shape)})"
        )
    # the op checks the weights and, with one draw each, costs little
    apply(RANDOM_MULTINOMIAL, weights, draws=1, state=state_of(generator))
    race = weights / exponential(weights, generator=generator)
    return race.topk(draws, dim=-1)[1]


def exponential(
    input: Tensor, lambd: float = 1.0, *, generator: Generator | None = None
) -> Tensor:
    """Draw exponential numbers of rate `lambd`, one for each element; none is 0."""
    if not lambd > 0:
        raise ValueError(f"exponential_: lambd must be positive, got {lambd}")
    # 1 - u is in (0, 1], so its logarithm is finite; what is to divide must not be 0
    unit = 1.0 - rand_like(input, generator=generator)
    return (-unit.log()).clamp(min=2.0**-60) / lambd


# ---- in place ----


def _fill(self: Tensor, name: str, values: Tensor) -> Tensor:
    self._check_inplace(name)
    return self._assign(name, _in_layout_of(self, values))


# (kernel, element type, elements) -> the kernel on memory that is there, and a state
_FILLS = KeptCalls(MOST)


def _draw_into(
    self: Tensor,
    name: str,
    kernel: str,
    numbers: tuple[float, float],
    generator: Generator | None,
) -> Tensor:
    """Fill a tensor of floats whose elements lie without gaps: they are drawn as they lie in
    memory.
    """
    self._check_inplace(name)
    array, state = self._array, state_of(generator)
    code, size = array.dtype.code, array.size
    draw = _FILLS.get((kernel, code, size))
    if draw is None:
        line = Seen(0, code, (size,), (1,))
        draw = prepare(kernel, [], [line, seen(1, state)], ())
        _FILLS.keep((kernel, code, size), draw)
    draw((array, state), numbers)
    array.storage.version += 1
    self._take_edge(make(array, None, False))
    return self


def _is_line(array: Array) -> bool:
    """Whether a kernel can draw into an array as it lies."""
    return array.dtype.category == FLOATING and array.is_dense()


@method
@explained
def uniform_(
    self: Tensor,
    low: float = 0.0,
    high: float = 1.0,
    *,
    generator: Generator | None = None,
    **bounds: float,
) -> Tensor:
    """Fill with uniform numbers from [low, high).

    Args:
        low, high: the bounds.
        **bounds: PyTorch's names of them, `from` and `to`.
        generator: where they are drawn from; default: the default generator.

    Raises:
        GradError: the tensor is a leaf that requires a gradient.

    Example:
        >>> import pyautodl as ad
        >>> x = ad.empty(100).uniform_(2, 3)
        >>> bool((x >= 2).all() and (x < 3).all())
        True
    """
    low, high = bounds.pop("from", low), bounds.pop("to", high)
    if bounds:
        raise TypeError(f"uniform_: unexpected arguments {sorted(bounds)}")
    array, bounded = self._array, (float(low), float(high))
    if _is_line(array) and 0 <= bounded[1] - bounded[0] < math.inf:
        return _draw_into(self, "uniform_", "random_uniform", bounded, generator)
    attrs = _uniform(state_of(generator), array.shape, array.dtype.code, *bounded)
    return _fill(self, "uniform_", apply_known(RANDOM_UNIFORM, (), attrs))


@method
@explained
def normal_(
    self: Tensor,
    mean: float = 0.0,
    std: float = 1.0,
    *,
    generator: Generator | None = None,
) -> Tensor:
    """Fill with normal numbers.

    Args:
        mean: their mean.
        std: their standard deviation.
        generator: where they are drawn from; default: the default generator.

    Raises:
        GradError: the tensor is a leaf that requires a gradient.

    Example:
        >>> import pyautodl as ad
        >>> ad.empty(2, 3).normal_(std=0.1).shape
        pyautodl.Size([2, 3])
    """
    array, numbers = self._array, (float(mean), float(std))
    if _is_line(array) and numbers[1] >= 0:
        return _draw_into(self, "normal_", "random_normal", numbers, generator)
    attrs = _normal(state_of(generator), array.shape, array.dtype.code, *numbers)
    return _fill(self, "normal_", apply_known(RANDOM_NORMAL, (), attrs))


@method
@explained
def trunc_normal_(
    self: Tensor,
    mean: float = 0.0,
    std: float = 1.0,
    a: float = -2.0,
    b: float = 2.0,
    generator: Generator | None = None,
) -> Tensor:
    """Fill with normal numbers, given that they lie in [a, b].

    Args:
        mean, std: mean and standard deviation before that is given.
        a, b: the bounds.
        generator: where they are drawn from; default: the default generator.

    Raises:
        GradError: the tensor is a leaf that requires a gradient.

    Example:
        >>> import pyautodl as ad
        >>> bool((ad.empty(100).trunc_normal_(a=-1, b=1).abs() <= 1).all())
        True
    """
    attrs = {"shape": self._array.shape, "dtype": self.dtype}
    floats = {"mean": float(mean), "std": float(std), "low": float(a), "high": float(b)}
    drawn = apply(RANDOM_TRUNC_NORMAL, **attrs, **floats, state=state_of(generator))
    return _fill(self, "trunc_normal_", drawn)


@method
@explained
def exponential_(
    self: Tensor, lambd: float = 1.0, *, generator: Generator | None = None
) -> Tensor:
    """Fill with exponential numbers.

    Args:
        lambd: the rate, one over the mean.
        generator: where they are drawn from; default: the default generator.

    Raises:
        GradError: the tensor is a leaf that requires a gradient.

    Example:
        >>> import pyautodl as ad
        >>> bool((ad.empty(100).exponential_() > 0).all())
        True
    """
    self._check_inplace("exponential_")
    return self._assign("exponential_", exponential(self, lambd, generator=generator))


@method
@explained
def bernoulli_(
    self: Tensor, p: Any = 0.5, *, generator: Generator | None = None
) -> Tensor:
    """Fill with 1 or 0.

    Args:
        p: the probability of 1: a number, or a tensor that broadcasts.
        generator: where they are drawn from; default: the default generator.

    Raises:
        GradError: the tensor is a leaf that requires a gradient.

    Example:
        >>> import pyautodl as ad
        >>> ad.empty(3).bernoulli_(1.0)
        tensor([1., 1., 1.])
    """
    self._check_inplace("bernoulli_")
    if isinstance(p, Tensor):
        drawn = bernoulli(p.detach().expand(self.shape), generator=generator)
    else:
        drawn = bernoulli(self.detach(), float(p), generator=generator)
    return self._assign("bernoulli_", drawn.to(self.dtype))


@method
@explained
def random_(self: Tensor, *args: int, generator: Generator | None = None) -> Tensor:
    """Fill with integers: random_(high), random_(low, high) or all that are exact.

    Example:
        >>> import pyautodl as ad
        >>> ad.empty(100).random_(3, 5).unique()
        tensor([3., 4.])
    """
    low, high = (0, *args)[-2:] if args else (0, _largest_integer(self.dtype) + 1)
    drawn = _integers(self._array.shape, self.dtype, low, high, generator)
    return _fill(self, "random_", drawn)


def _largest_integer(dtype: Any) -> int:
    """The largest integer up to which a type holds all."""
    if dtype is bool_:
        return 1
    if dtype.category == FLOATING:
        return 2 ** (24 if dtype.itemsize == 4 else 53)
    return int(2 ** (8 * dtype.itemsize - (1 if dtype.is_signed else 0)) - 1)
