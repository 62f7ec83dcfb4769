"""gradcheck: gradients against finite differences, by projection.

A Jacobian is not compared entry by entry but along one random direction of each input
and output: two calls of the function an input. Only when a projection differs are the
entries computed, to name the one that is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from pyautodl.autograd.gradients import grad
from pyautodl.backends.dtypes import float64
from pyautodl.errors import PyautodlError
from pyautodl.functional.creation import tensor
from pyautodl.graph import MODE
from pyautodl.tensor import Tensor, explained, make

__all__ = ["GradcheckError", "gradcheck", "gradgradcheck"]

Func = Callable[..., Any]
Values = np.ndarray[Any, Any]


class GradcheckError(PyautodlError, RuntimeError):
    """A gradient differs from finite differences."""


@explained
def gradcheck(
    func: Func,
    inputs: Any,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    check_undefined_grad: bool = True,
    check_grad_dtypes: bool = False,
    check_batched_grad: bool = False,
    check_batched_forward_ad: bool = False,
    check_forward_ad: bool = False,
    check_backward_ad: bool = True,
    fast_mode: bool = True,
    masked: bool | None = None,
) -> bool:
    """Compare the gradients of `func` with central differences.

    Args:
        func: a function of tensors that returns a tensor or several.
        inputs: its inputs; those that require a gradient must be float64.
        eps: step of the differences.
        atol: absolute tolerance.
        rtol: relative tolerance.
        raise_exception: raise on a difference; else return False.
        nondet_tol: by how much two runs of the backward may differ.
        check_undefined_grad: with several outputs, also differentiate each alone.
        check_grad_dtypes: require gradients of their input's element type.
        check_batched_grad, check_batched_forward_ad, check_forward_ad: not supported.
        check_backward_ad: must be True.
        fast_mode: False compares every entry.
        masked: not supported.

    Raises:
        GradcheckError: a gradient differs; names output, input and entry.
        ValueError: no input requires a gradient, or one is not float64.

    Example:
        >>> import pyautodl as ad
        >>> x = ad.tensor([0.5, 2.0], dtype=ad.float64, requires_grad=True)
        >>> ad.autograd.gradcheck(lambda x: x.exp(), (x,))
        True
    """
    for name, value in (
        ("check_batched_grad", check_batched_grad),
        ("check_batched_forward_ad", check_batched_forward_ad),
        ("check_forward_ad", check_forward_ad),
        ("masked", masked),
    ):
        if value:
            raise NotImplementedError(f"gradcheck: {name} is not supported")
    if not check_backward_ad:
        raise ValueError("gradcheck: check_backward_ad=False leaves nothing to check")
    given = (inputs,) if isinstance(inputs, Tensor) else tuple(inputs)
    check = _Check(func, given, eps, atol, rtol, nondet_tol)
    try:
        check.run(check_undefined_grad, check_grad_dtypes, fast_mode)
    except GradcheckError:
        if raise_exception:
            raise
        return False
    return True


@explained
def gradgradcheck(
    func: Func,
    inputs: Any,
    grad_outputs: Any = None,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    gen_non_contig_grad_outputs: bool = False,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    check_undefined_grad: bool = True,
    check_grad_dtypes: bool = False,
    check_batched_grad: bool = False,
    check_fwd_over_rev: bool = False,
    check_rev_over_rev: bool = True,
    fast_mode: bool = True,
    masked: bool = False,
) -> bool:
    """Compare gradients of gradients of `func` with differences of its gradients.

    Args:
        func: as in `gradcheck`.
        inputs: as in `gradcheck`.
        grad_outputs: gradients of the outputs; random ones by default.
        eps, atol, rtol, raise_exception, nondet_tol, check_undefined_grad,
            check_grad_dtypes, fast_mode: as in `gradcheck`.
        gen_non_contig_grad_outputs: make the random ones non-contiguous.
        check_batched_grad, check_fwd_over_rev, masked: not supported.
        check_rev_over_rev: must be True.

    Raises:
        GradcheckError: a second gradient differs.

    Example:
        >>> import pyautodl as ad
        >>> x = ad.tensor([0.5, 2.0], dtype=ad.float64, requires_grad=True)
        >>> ad.autograd.gradgradcheck(lambda x: x.exp() * x, [x])
        True
    """
    if check_batched_grad or check_fwd_over_rev or masked or not check_rev_over_rev:
        raise NotImplementedError(
            "gradgradcheck: only reverse over reverse is supported"
        )
    given = (inputs,) if isinstance(inputs, Tensor) else tuple(inputs)
    if grad_outputs is None:
        grads = _random_grads(func, given, gen_non_contig_grad_outputs)
    else:
        grads = _outputs_of(grad_outputs)
    return gradcheck(
        _FirstGradients(func, len(given)),
        given + grads,
        eps=eps,
        atol=atol,
        rtol=rtol,
        raise_exception=raise_exception,
        nondet_tol=nondet_tol,
        check_undefined_grad=check_undefined_grad,
        check_grad_dtypes=check_grad_dtypes,
        fast_mode=fast_mode,
    )


class _FirstGradients:
    """(inputs, gradients of the outputs) -> gradients of the inputs, as a function.

    Where it is itself to be differentiated (grad mode is on) it records its backward,
    else it takes the direct way, so that a fused gradient is compared with its
    composition.
    """

    def __init__(self, func: Func, n_inputs: int) -> None:
        self.func, self.n_inputs = func, n_inputs

    def __call__(self, *args: Any) -> tuple[Tensor, ...]:
        create_graph = MODE.enabled
        inputs, grads = args[: self.n_inputs], args[self.n_inputs :]
        MODE.enabled = True
        try:
            outputs = _differentiable(self.func(*inputs))
            wanted = [x for x in inputs if isinstance(x, Tensor) and x.requires_grad]
            found = grad(
                outputs, wanted, grads, create_graph=create_graph, allow_unused=True
            )
        finally:
            MODE.enabled = create_graph
        return tuple([each for each in found if each is not None])


def _outputs_of(result: Any) -> tuple[Any, ...]:
    return (result,) if isinstance(result, Tensor) else tuple(result)


def _differentiable(result: Any) -> list[Tensor]:
    return [y for y in _outputs_of(result) if isinstance(y, Tensor) and y.requires_grad]


def _random_grads(
    func: Func, inputs: tuple[Any, ...], gaps: bool
) -> tuple[Tensor, ...]:
    rng = np.random.default_rng(1)
    grads = []
    for y in _differentiable(func(*inputs)):
        shape = tuple(y.shape)
        leaf = tensor(rng.standard_normal((*shape, 2) if gaps else shape))
        if gaps:
            view = leaf._array.view(shape, leaf._array.strides[:-1])
            leaf = make(view, None, False)
        grads.append(leaf.requires_grad_())
    return tuple(grads)


class _Check:
    """One comparison of a function's gradients."""

    def __init__(
        self,
        func: Func,
        inputs: tuple[Any, ...],
        eps: float,
        atol: float,
        rtol: float,
        nondet_tol: float,
    ) -> None:
        self.func, self.inputs = func, inputs
        self.eps, self.atol, self.rtol, self.nondet_tol = eps, atol, rtol, nondet_tol
        self.rng = np.random.default_rng(0)
        self.numbers = [
            i for i, x in enumerate(inputs) if isinstance(x, Tensor) and x.requires_grad
        ]
        if not self.numbers:
            raise ValueError(
                "gradcheck: expected at least one input that requires a gradient"
            )
        for i in self.numbers:
            _check_input(i, inputs[i])

    def run(self, each_alone: bool, grad_dtypes: bool, fast: bool) -> None:
        """Compare all inputs and outputs."""
        outputs = self._outputs()
        if not outputs:
            self._check_constant()
            return
        directions = [_direction(self.rng, tuple(y.shape)) for y in outputs]
        analytic = self._backward(outputs, directions)
        again = self._backward(outputs, directions)
        self._check_repeatable(analytic, again)
        if grad_dtypes:
            self._check_dtypes(analytic)
        for i, gradient in zip(self.numbers, analytic):
            self._compare(i, gradient, directions, fast)
        if each_alone and len(outputs) > 1:
            self._check_each_alone(outputs, directions, analytic)

    def _outputs(self) -> list[Tensor]:
        outputs = _differentiable(self.func(*self.inputs))
        for number, y in enumerate(outputs):
            if y.dtype is not float64:
                raise GradcheckError(
                    f"gradcheck: output {number} is {y.dtype}, expected float64"
                )
        return outputs

    def _backward(self, outputs: list[Tensor], directions: Sequence[Any]) -> list[Any]:
        """Gradients of the inputs, as arrays; None where unused."""
        used = [(y, d) for y, d in zip(outputs, directions) if d is not None]
        found = grad(
            [y for y, _ in used],
            [self.inputs[i] for i in self.numbers],
            [tensor(d) for _, d in used],
            retain_graph=True,
            allow_unused=True,
        )
        for i, g in zip(self.numbers, found):
            if g is not None and g.shape != self.inputs[i].shape:
                raise GradcheckError(
                    f"gradcheck: the gradient of input {i} has shape {tuple(g.shape)}, "
                    f"the input {tuple(self.inputs[i].shape)}"
                )
        return [None if g is None else np.array(g._array.numpy()) for g in found]

    def _check_repeatable(self, first: list[Any], second: list[Any]) -> None:
        for i, a, b in zip(self.numbers, first, second):
            if a is None or b is None:
                continue
            if not np.allclose(a, b, rtol=0.0, atol=self.nondet_tol, equal_nan=True):
                raise GradcheckError(
                    f"gradcheck: two runs of the backward give gradients of input {i} "
                    f"that differ by {np.abs(a - b).max():.3g}"
                )

    def _check_dtypes(self, analytic: list[Any]) -> None:
        for i, gradient in zip(self.numbers, analytic):
            if gradient is not None and gradient.dtype != np.float64:
                raise GradcheckError(
                    f"gradcheck: the gradient of input {i} is {gradient.dtype}"
                )

    def _check_constant(self) -> None:
        """No output requires a gradient: then none may depend on an input."""
        for i in self.numbers:
            slope = self._slope(i, _direction(self.rng, tuple(self.inputs[i].shape)))
            for number, values in enumerate(slope):
                if np.abs(values).max(initial=0.0) > self.atol:
                    raise GradcheckError(
                        f"gradcheck: output {number} depends on input {i} but requires "
                        "no gradient"
                    )

    def _check_each_alone(
        self, outputs: list[Tensor], directions: list[Values], analytic: list[Any]
    ) -> None:
        """Gradients through one output alone must add up to those through all."""
        total: list[Any] = [0.0] * len(self.numbers)
        for number in range(len(outputs)):
            alone: list[Any] = [None] * len(outputs)
            alone[number] = directions[number]
            for k, part in enumerate(self._backward(outputs, alone)):
                total[k] = total[k] + (0.0 if part is None else part)
        for i, whole, parts in zip(self.numbers, analytic, total):
            whole = 0.0 if whole is None else whole
            if not np.allclose(whole, parts, self.rtol, self.atol, equal_nan=True):
                raise GradcheckError(
                    f"gradcheck: for input {i} the gradients through each output alone "
                    "do not add up to the gradient through all"
                )

    def _compare(
        self, i: int, gradient: Any, directions: list[Values], fast: bool
    ) -> None:
        """One input: the projection, then the entries if it differs."""
        shape = tuple(self.inputs[i].shape)
        if gradient is None:
            gradient = np.zeros(shape)
        step = _direction(self.rng, shape)
        numeric = _project(self._slope(i, step), directions)
        analytic = float((gradient * step).sum())
        if fast and self._close(numeric, analytic):
            return
        self._compare_entries(i, gradient, directions)
        if not self._close(numeric, analytic):
            raise GradcheckError(
                f"gradcheck: gradient of input {i} {shape}: along a random direction "
                f"numerical {numeric:.9g}, analytical {analytic:.9g}"
            )

    def _compare_entries(
        self, i: int, gradient: Values, directions: list[Values]
    ) -> None:
        shape = tuple(self.inputs[i].shape)
        for entry in np.ndindex(shape):
            unit = np.zeros(shape)
            unit[entry] = 1.0
            numeric = _project(self._slope(i, unit), directions)
            if not self._close(numeric, float(gradient[entry])):
                raise GradcheckError(
                    f"gradcheck: gradient of input {i} {shape}, entry {entry}: "
                    f"numerical {numeric:.9g}, analytical {float(gradient[entry]):.9g} "
                    "(both projected on a random direction of the outputs)"
                )

    def _close(self, numeric: float, analytic: float) -> bool:
        return bool(
            abs(numeric - analytic) <= self.atol + self.rtol * abs(numeric)
        ) or (np.isnan(numeric) and np.isnan(analytic))

    def _slope(self, i: int, step: Values) -> list[Values]:
        """Derivatives of all differentiable outputs along a step of input i."""
        x = self.inputs[i]
        memory = x._array.numpy()
        origin = memory.copy()
        try:
            memory[...] = origin + self.eps * step
            x._array.storage.version += 1
            above = self._values()
            memory[...] = origin - self.eps * step
            x._array.storage.version += 1
            below = self._values()
        finally:
            memory[...] = origin
            # the same values as at first, so graphs that saved them stay valid
            x._array.storage.version -= 2
        return [self._quotient(a, b) for a, b in zip(above, below)]

    def _quotient(self, above: Values, below: Values) -> Values:
        """The difference quotient; 0 where both are the same infinity."""
        with np.errstate(invalid="ignore"):
            slope = (above - below) / (2 * self.eps)
        return np.where(above == below, 0.0, slope)

    def _values(self) -> list[Values]:
        # recorded, as the function may ask for gradients itself: a gradient penalty
        result = _outputs_of(self.func(*self.inputs))
        return [
            np.array(y._array.numpy())
            for y in result
            if isinstance(y, Tensor) and y.dtype.is_floating_point
        ]


def _check_input(i: int, x: Tensor) -> None:
    if x.dtype is not float64:
        raise ValueError(
            f"gradcheck: input {i} is {x.dtype}; finite differences need float64 "
            "(.double())"
        )
    if any(n > 1 and s == 0 for n, s in zip(x.shape, x.stride())):
        raise ValueError(
            f"gradcheck: elements of input {i} share memory, as expand() makes them; "
            "use clone()"
        )


def _direction(rng: np.random.Generator, shape: tuple[int, ...]) -> Values:
    """Random signs and sizes of order 1: no entry of the Jacobian gets lost."""
    return rng.choice([-1.0, 1.0], shape) * rng.uniform(0.5, 1.5, shape)


def _project(slopes: list[Values], directions: list[Values]) -> float:
    return float(sum((s * d).sum() for s, d in zip(slopes, directions)))
