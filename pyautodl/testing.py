"""Helpers for tests: compare tensors, switch the instruction set, check a module."""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from pyautodl.autograd.gradcheck import gradcheck, gradgradcheck
from pyautodl.backends import native
from pyautodl.functional.creation import tensor
from pyautodl.nn.module import Module
from pyautodl.random import manual_seed
from pyautodl.tensor import Tensor

__all__ = [
    "assert_close",
    "available_isas",
    "check_loss",
    "check_module",
    "gradcheck",
    "gradgradcheck",
    "use_isa",
]

# element type -> (rtol, atol), PyTorch's table
_TOLERANCES = {"float32": (1.3e-6, 1e-5), "float64": (1e-7, 1e-7)}


def available_isas() -> list[str]:
    """The instruction sets whose kernels this machine can run, best first.

    Empty where the compiled extension was left out.

    Example:
        >>> from pyautodl.testing import available_isas
        >>> set(available_isas()) <= {"avx512", "avx2", "base"}
        True
    """
    return native.isa_names() if native.available else []


@contextmanager
def use_isa(name: str) -> Iterator[None]:
    """Run the block with the kernels of one instruction set.

    Args:
        name: one of `available_isas()`.

    Raises:
        BackendError: this machine has no such kernels.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl.testing import available_isas, use_isa
        >>> for isa in available_isas():
        ...     with use_isa(isa):
        ...         total = ad.ones(3).sum()
    """
    before = native.current_isa()
    native.use_isa(name)
    try:
        yield
    finally:
        native.use_isa(before)


def _as_ndarray(value: Any) -> np.ndarray[Any, Any]:
    return value._array.numpy() if isinstance(value, Tensor) else np.asarray(value)


def assert_close(
    actual: Any,
    expected: Any,
    *,
    allow_subclasses: bool = True,
    rtol: float | None = None,
    atol: float | None = None,
    equal_nan: bool = False,
    check_device: bool = True,
    check_dtype: bool = True,
    check_layout: bool = True,
    check_stride: bool = False,
    msg: str | Callable[[str], str] | None = None,
) -> None:
    """Raise AssertionError unless two tensors (or nested lists, dicts) are close.

    Args:
        actual: what was computed.
        expected: what it should be.
        allow_subclasses, check_device, check_layout: accepted for PyTorch's sake.
        rtol: relative tolerance; by default from the element types.
        atol: absolute tolerance; given with rtol or not at all.
        equal_nan: nan equals nan.
        check_dtype: require equal element types.
        check_stride: require equal strides.
        msg: the error's text, or a function of the text made here.

    Example:
        >>> import pyautodl as ad
        >>> ad.testing.assert_close(ad.ones(2), ad.ones(2) + 1e-7)
    """
    if (rtol is None) != (atol is None):
        raise ValueError("assert_close: give rtol and atol both, or neither")
    text = _difference(
        "", actual, expected, (rtol, atol), equal_nan, check_dtype, check_stride
    )
    if text is None:
        return
    if callable(msg):
        text = msg(text)
    raise AssertionError(msg if isinstance(msg, str) else text)


def _difference(
    where: str,
    actual: Any,
    expected: Any,
    tolerance: tuple[float | None, float | None],
    equal_nan: bool,
    check_dtype: bool,
    check_stride: bool,
) -> str | None:
    """What differs, in words; None if nothing does."""
    rest = (tolerance, equal_nan, check_dtype, check_stride)
    if isinstance(expected, dict):
        if not isinstance(actual, dict) or actual.keys() != expected.keys():
            return f"{where or 'dict'}: the keys differ"
        pairs = [(f"{where}[{k!r}]", actual[k], expected[k]) for k in expected]
    elif isinstance(expected, (list, tuple)):
        if not isinstance(actual, (list, tuple)) or len(actual) != len(expected):
            return f"{where or 'sequence'}: the lengths differ"
        pairs = [
            (f"{where}[{i}]", a, e)
            for i, (a, e) in enumerate(zip(actual, expected, strict=True))
        ]
    else:
        return _array_difference(where, actual, expected, *rest)
    found = (_difference(name, a, e, *rest) for name, a, e in pairs)
    return next((text for text in found if text is not None), None)


def _array_difference(
    where: str,
    actual: Any,
    expected: Any,
    tolerance: tuple[float | None, float | None],
    equal_nan: bool,
    check_dtype: bool,
    check_stride: bool,
) -> str | None:
    a, e = _as_ndarray(actual), _as_ndarray(expected)
    lead = f"{where}: " if where else ""
    if a.shape != e.shape:
        return f"{lead}the shapes differ: {a.shape} and {e.shape}"
    if check_dtype and a.dtype != e.dtype:
        return f"{lead}the dtypes differ: {a.dtype} and {e.dtype}"
    if check_stride and a.strides != e.strides:
        return f"{lead}the strides differ: {a.strides} and {e.strides}"
    rtol, atol = tolerance
    if rtol is None or atol is None:
        bounds = [_TOLERANCES.get(each.dtype.name, (0.0, 0.0)) for each in (a, e)]
        rtol, atol = max(bounds)
    close = np.isclose(a, e, rtol=rtol, atol=atol, equal_nan=equal_nan)
    if close.all():
        return None
    worst = np.asarray(np.abs(np.subtract(a, e, dtype=np.float64)))
    worst[close] = -1.0
    at = np.unravel_index(int(np.nan_to_num(worst, nan=np.inf).argmax()), a.shape)
    index = tuple(int(i) for i in at)
    differ = (
        "they differ"
        if a.size == 1
        else (
            f"{np.count_nonzero(~close)} of {a.size} elements differ; greatest at {index}"
        )
    )
    pair = f"{a[index].item()!r} and {e[index].item()!r}"
    return f"{lead}{differ}: {pair} (rtol {rtol}, atol {atol})"


def check_module(
    module: Module, *inputs: Any, seed: int = 0, second_order: bool = False
) -> None:
    """Raise AssertionError unless a layer keeps the rules that all layers keep.

    In float64: gradients of inputs and parameters against finite differences; equal
    outputs from a deepcopy, a pickle and a loaded state_dict; no two gradients in the
    same memory.

    Args:
        module: the layer; it is cast to float64.
        inputs: the arguments of its call.
        seed: set before every call, so that a random layer repeats itself.
        second_order: check gradients of gradients, too.

    Example:
        >>> import pyautodl as ad
        >>> ad.testing.check_module(ad.nn.Linear(3, 2), ad.randn(4, 3))
    """
    module = module.double()
    args = [_as_double(x) for x in inputs]
    parameters = [p for p in module.parameters() if p.requires_grad]

    def run(*tensors: Tensor) -> Any:
        return _outputs(module, tensors[: len(args)], seed)

    state = copy.deepcopy(module.state_dict())
    tensors = (*args, *parameters)
    if any(isinstance(x, Tensor) and x.requires_grad for x in tensors):
        gradcheck(run, tensors)
        if second_order:
            gradgradcheck(run, tensors)
        _check_memory(run(*tensors), tensors)
    module.load_state_dict(state)
    _check_copies(module, args, seed)


def check_loss(
    loss: Callable[[Tensor, Tensor], Tensor],
    input: Tensor | None = None,
    target: Tensor | None = None,
    *,
    seed: int = 0,
) -> None:
    """Raise AssertionError unless a function keeps the rules of a good loss.

    It gives one number, never below 0 and always finite, as is its gradient: for the
    example, for an input a thousand times as large and, where shapes agree, for an input
    equal to the target. In float64 the gradient agrees with finite differences, and the
    order of the samples in a batch does not matter. A loss that goes below 0 or grows
    without bound is often mended by a logarithm.

    Args:
        loss: the function, of output and target.
        input: an example of a model's output; by default random numbers (8, 3).
        target: an example of a target; by default random numbers from 0 to 1.
        seed: of the random numbers.

    Example:
        >>> import pyautodl as ad
        >>> ad.testing.check_loss(lambda y, t: ((y - t) ** 2).mean().log1p())
    """
    rng = np.random.default_rng(seed)
    x = (
        tensor(rng.standard_normal((8, 3)))
        if input is None
        else input.detach().double()
    )
    t = tensor(rng.random(x.shape)) if target is None else target.detach()
    t = t.double() if t.is_floating_point() else t
    examples = {"the example": x, "a thousand times the example": x * 1000}
    if t.shape == x.shape and t.is_floating_point():
        examples["an input equal to the target"] = t
    for what, example in examples.items():
        _check_loss_at(loss, example, t, what)
    gradcheck(lambda each: loss(each, t), (x.clone().requires_grad_(),))
    order = rng.permutation(len(x))
    assert_close(
        loss(x[order], t[order]),
        loss(x, t),
        msg=lambda text: f"loss: the order of the samples changes it; {text}",
    )


def _check_loss_at(loss: Any, example: Tensor, target: Tensor, what: str) -> None:
    """One finite number that is not negative, with a finite gradient."""
    x = example.clone().requires_grad_()
    value = loss(x, target)
    if not isinstance(value, Tensor) or value.numel() != 1:
        got = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
        raise AssertionError(f"loss: expected a tensor of one number, got {got}")
    number = float(value.item())
    if not np.isfinite(number):
        raise AssertionError(f"loss: {number} for {what}; it must be finite")
    if number < 0:
        raise AssertionError(
            f"loss: {number} for {what}; it must not be below 0 (a logarithm can help)"
        )
    if value.requires_grad:
        value.backward()
    if x.grad is None:
        raise AssertionError(
            "loss: no gradient leads from it to the model's output; likely fix: no "
            ".detach(), .item(), .numpy() or no_grad on the way"
        )
    if not np.isfinite(x.grad._array.numpy()).all():
        raise AssertionError(f"loss: the gradient for {what} is not finite")


def _as_double(x: Any) -> Any:
    if not isinstance(x, Tensor):
        return x
    leaf = x.detach().double() if x.is_floating_point() else x.detach()
    return leaf.requires_grad_() if leaf.is_floating_point() else leaf


def _outputs(module: Module, args: Any, seed: int) -> Any:
    manual_seed(seed)
    return _flatten(module(*args))


def _flatten(result: Any) -> Any:
    """The tensors of nested tuples, as gradcheck wants them."""
    if isinstance(result, Tensor):
        return result
    found: list[Tensor] = []
    for each in result:
        flat = _flatten(each)
        found.extend([flat] if isinstance(flat, Tensor) else flat)
    return tuple(found)


def _check_memory(result: Any, tensors: tuple[Any, ...]) -> None:
    leaves = [x for x in tensors if isinstance(x, Tensor) and x.requires_grad]
    for leaf in leaves:
        leaf.grad = None
    outputs = (result,) if isinstance(result, Tensor) else result
    total = sum(y.sum() for y in outputs if y.requires_grad)
    total.backward()
    blocks = [leaf._array.storage for leaf in leaves]
    blocks += [leaf.grad._array.storage for leaf in leaves if leaf.grad is not None]
    if len({id(block) for block in blocks}) != len(blocks):
        raise AssertionError("two gradients or inputs share memory")
    for leaf in leaves:
        leaf.grad = None


def _check_copies(module: Module, args: list[Any], seed: int) -> None:
    """Deepcopy, pickle and state_dict give a module that computes the same."""
    twin = copy.deepcopy(module)
    buffer = io.BytesIO()
    pickle.dump(module, buffer)
    buffer.seek(0)
    loaded = pickle.load(buffer)
    twin_of_state = copy.deepcopy(module)
    twin_of_state.load_state_dict(module.state_dict())
    expected = _outputs(module, args, seed)
    for name, other in (
        ("deepcopy", twin),
        ("pickle", loaded),
        ("state_dict", twin_of_state),
    ):
        assert_close(
            _outputs(other, args, seed),
            expected,
            rtol=0.0,
            atol=0.0,
            equal_nan=True,
            msg=f"the outputs differ after {name}",
        )
