"""Limits for gradients."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from pyautodl import _module_stack
from pyautodl.autograd.grad_mode import no_grad
from pyautodl.backends import Array, empty, run
from pyautodl.backends.dtypes import DType, float64
from pyautodl.errors import GradError
from pyautodl.tensor import Tensor, explained, get_default_dtype, make

__all__ = [
    "clip_grad_norm_",
    "clip_grad_value_",
    "clip_grads_with_norm_",
    "get_total_norm",
]


def _as_list(tensors: Tensor | Iterable[Tensor]) -> list[Tensor]:
    if isinstance(tensors, Tensor):
        return [tensors]
    if callable(tensors):
        # a module, or its method that was not called
        name = getattr(tensors, "__name__", type(tensors).__name__)
        raise TypeError(
            f"expected tensors, or an iterable of them, got {name}; likely fix: "
            "model.parameters()"
        )
    return list(tensors)


def _grads(tensors: list[Tensor]) -> list[Array]:
    """The gradients that there are."""
    return [x.grad._array for x in tensors if x.grad is not None]


class _Grads:
    """Gradients of one element type, as dense arrays that a kernel can change."""

    def __init__(self, grads: list[Array]) -> None:
        self.arrays: list[Array] = []
        self._copies: list[tuple[Array, Array]] = []
        for grad in grads:
            array = grad
            if not grad.is_dense():
                array = empty(grad.shape, grad.dtype)
                run("copy", (grad,), (array,))
                self._copies.append((grad, array))
            self.arrays.append(array)
        self._all = grads

    def write_back(self) -> None:
        """Let the gradients have what a kernel has written."""
        for grad, array in self._copies:
            run("copy", (array,), (grad,))
        for grad in self._all:
            grad.storage.version += 1


def _by_dtype(grads: list[Array]) -> list[_Grads]:
    sorts: dict[DType, list[Array]] = {}
    for grad in grads:
        sorts.setdefault(grad.dtype, []).append(grad)
    return [_Grads(each) for each in sorts.values()]


def _norm(sorts: list[_Grads], p: float) -> Array:
    """The norm of all elements, float64."""
    if p <= 0:
        return _count_or_least(sorts, p)
    kind = {math.inf: 0.0, 1.0: 1.0, 2.0: 2.0}.get(p)
    outs = []
    for each in sorts:
        out = empty((1,), float64)
        run("grad_norm", (each.arrays,), (out,), (), (kind or 0.0,))
        if kind is None:
            _general_norm(each, out, p)
        outs.append(out)
    if len(outs) == 1:
        return outs[0]
    norms = [float(out.numpy()[0]) for out in outs]
    scale = float(np.max(norms))  # NaN of any of them counts
    total = empty((1,), float64)
    total.numpy()[...] = scale
    if p != math.inf and math.isfinite(scale) and scale > 0:
        total.numpy()[0] = scale * sum((norm / scale) ** p for norm in norms) ** (1 / p)
    return total


def _general_norm(grads: _Grads, out: Array, p: float) -> None:
    """Replace the largest size in `out` by the norm of order p."""
    largest = float(out.numpy()[0])
    if not math.isfinite(largest) or largest == 0:
        return
    with no_grad():
        tensors: list[Any] = [make(array, None, False) for array in grads.arrays]
        sums = [float(((each / largest).abs() ** p).sum().item()) for each in tensors]
    out.numpy()[0] = largest * math.fsum(sums) ** (1 / p)


def _count_or_least(sorts: list[_Grads], p: float) -> Array:
    """The norm of order 0: how many elements are not 0; or of -inf: the smallest size."""
    with no_grad():
        tensors: list[Any] = [
            make(array, None, False) for each in sorts for array in each.arrays
        ]
        norms = [float(each.norm(p).item()) for each in tensors]
    total = empty((1,), float64)
    total.numpy()[...] = np.sum(norms) if p == 0 else np.min(norms)
    return total


def _as_tensor(norm: Array, dtype: DType) -> Tensor:
    out = make(norm.view((), ()), None, False)
    return out if dtype is float64 else out.to(dtype)


def _check_finite(norm: Array, grads: list[Array], owners: list[Tensor]) -> None:
    """Raise if the norm is not finite, and name the parameter."""
    value = float(norm.numpy()[0])
    if math.isfinite(value):
        return
    for i, grad in enumerate(grads):
        out = empty((1,), float64)
        run("grad_norm", ([_Grads([grad]).arrays[0]],), (out,), (), (0.0,))
        if not math.isfinite(float(out.numpy()[0])):
            name = _module_stack.parameter_name(owners[i])
            what = f"parameter `{name}`" if name else f"parameter number {i}"
            raise GradError(
                f"clip_grad_norm_: the gradient of {what} (shape {grad.shape}) has "
                "elements that are not finite; they can't be scaled. To clip anyway, "
                "pass error_if_nonfinite=False"
            )
    raise GradError(f"clip_grad_norm_: the norm of all gradients overflows ({value})")


@explained
def clip_grad_norm_(
    parameters: Tensor | Iterable[Tensor],
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """Scale all gradients so that their norm, as of one vector, is at most `max_norm`.

    The norm is computed with scaled elements, so it does not overflow where the squares
    would.

    Args:
        parameters: whose gradients to scale, in place.
        max_norm: the largest norm allowed.
        norm_type: the order of the norm; inf for the largest size, -inf for the smallest,
            0 for how many are not 0.
        error_if_nonfinite: refuse gradients with infinite or NaN elements.
        foreach: a hint without effect.

    Returns:
        The norm before.

    Raises:
        GradError: the norm is not finite; names the parameter.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl import nn
        >>> w = ad.zeros(2, requires_grad=True)
        >>> (w * ad.tensor([3.0, 4.0])).sum().backward()
        >>> nn.utils.clip_grad_norm_([w], 1.0)
        tensor(5.)
        >>> w.grad
        tensor([0.6000, 0.8000])

    Source: Pascanu et al., "On the difficulty of training recurrent neural networks",
    2013.
    """
    owners = [each for each in _as_list(parameters) if each.grad is not None]
    grads = _grads(owners)
    if not grads:
        return make(_zero(), None, False)
    sorts = _by_dtype(grads)
    norm = _norm(sorts, float(norm_type))
    if error_if_nonfinite:
        _check_finite(norm, grads, owners)
    _scale(sorts, norm, float(max_norm))
    return _as_tensor(norm, grads[0].dtype)


def _zero() -> Array:
    out = empty((), get_default_dtype())
    out.numpy()[...] = 0
    return out


def _scale(sorts: list[_Grads], norm: Array, max_norm: float) -> None:
    for each in sorts:
        run("grad_scale", (each.arrays, norm), (each.arrays,), (), (max_norm,))
        each.write_back()


@explained
def get_total_norm(
    tensors: Tensor | Iterable[Tensor],
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """Return the norm of all elements of all tensors, as of one vector.

    Args:
        tensors: of floating types.
        norm_type: the order of the norm; inf for the largest size, -inf for the smallest,
            0 for how many are not 0.
        error_if_nonfinite: refuse infinite and NaN elements.
        foreach: a hint without effect.

    Raises:
        GradError: the norm is not finite.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl import nn
        >>> nn.utils.get_total_norm([ad.tensor([3.0]), ad.tensor([4.0])])
        tensor(5.)
    """
    given = _as_list(tensors)
    if not given:
        return make(_zero(), None, False)
    arrays = [each._array for each in given]
    norm = _norm(_by_dtype(arrays), float(norm_type))
    if error_if_nonfinite:
        _check_finite(norm, arrays, given)
    return _as_tensor(norm, arrays[0].dtype)


@explained
def clip_grads_with_norm_(
    parameters: Tensor | Iterable[Tensor],
    max_norm: float,
    total_norm: Tensor,
    foreach: bool | None = None,
) -> None:
    """Scale all gradients by max_norm / total_norm, if that is below 1.

    Args:
        parameters: a tensor or several; their gradients are changed.
        max_norm: the norm to keep below.
        total_norm: theirs, as `get_total_norm` returns it.
        foreach: taken for PyTorch's sake.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl import nn
        >>> w = ad.zeros(1, requires_grad=True)
        >>> (w * 3.0).sum().backward()
        >>> nn.utils.clip_grads_with_norm_([w], 1.0, ad.tensor(6.0))
        >>> w.grad
        tensor([0.5000])
    """
    grads = _grads(_as_list(parameters))
    norm = total_norm._array
    if norm.dtype is not float64:
        norm = total_norm.detach().to(float64)._array
    _scale(_by_dtype(grads), norm, float(max_norm))


@explained
def clip_grad_value_(
    parameters: Tensor | Iterable[Tensor],
    clip_value: float,
    foreach: bool | None = None,
) -> None:
    """Clamp every element of the gradients to [-clip_value, clip_value], in place.

    Args:
        parameters: whose gradients to clamp.
        clip_value: the largest size allowed.
        foreach: a hint without effect.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl import nn
        >>> w = ad.zeros(2, requires_grad=True)
        >>> (w * ad.tensor([3.0, -0.5])).sum().backward()
        >>> nn.utils.clip_grad_value_([w], 1.0)
        >>> w.grad
        tensor([ 1.0000, -0.5000])
    """
    grads = _grads(_as_list(parameters))
    for each in _by_dtype(grads):
        run("grad_clamp", (), (each.arrays,), (), (float(clip_value),))
        each.write_back()
