"""Tests generated from the records of ops: each op is held to the same rules.

See op_cases.py for what a case is. A failure names op, sample, engine, element type and
layout.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import op_cases as oc
import pytest

import pyautodl
from pyautodl.autograd import GradcheckError, grad, gradcheck, gradgradcheck
from pyautodl.backends import native, use_backend
from pyautodl.errors import BackendError
from pyautodl.graph import MODE
from pyautodl.ops.record import OPS
from pyautodl.tensor import Tensor, call, make

NAMES = sorted(OPS)
RANDOM = [name for name in NAMES if OPS[name].random]
EXACT = [name for name in NAMES if not OPS[name].random]
DIFFERENTIABLE = [name for name in EXACT if OPS[name].vjp is not None]
FUSED = [name for name in DIFFERENTIABLE if OPS[name].composition is not None]


# ---- values ----


def _check_call(
    case: oc.Case, engine: oc.Engine, dtype: str, layout: str
) -> str | None:
    """One call: values, specs, inputs untouched."""
    inputs = oc.tensors(case, dtype, layout)
    before = oc.values(inputs)
    with engine.active():
        outputs = oc.run(case, inputs)
    specs = case.op.rule(
        *[None if x is None else x._array for x in inputs], **case.sample.attrs
    )
    if len(specs) != len(outputs):
        return f"{len(outputs)} outputs, the rule says {len(specs)}"
    for i, (y, spec) in enumerate(zip(outputs, specs, strict=True)):
        if (y._array.shape, y._array.dtype) != (tuple(spec.shape), spec.dtype):
            return f"output {i} is {y._array}, the rule says {spec}"
    for i, (x, old) in enumerate(zip(oc.values(inputs), before, strict=True)):
        if x is not None and x.tobytes() != old.tobytes():  # type: ignore[union-attr]
            return f"input {i} was changed"
    wanted = oc.expected(case, dtype)
    for i, (got, want) in enumerate(zip(oc.values(outputs), wanted, strict=True)):
        kind = dtype if got.dtype.name not in oc.FLOATS else got.dtype.name  # type: ignore[union-attr]
        text = oc.difference(got, want, kind, case.sample.tolerance)  # type: ignore[arg-type]
        if text is not None:
            return f"output {i}: {text}"
    return None


def _check_all(
    name: str, engine: oc.Engine, layouts: Any, failures: oc.Failures
) -> bool:
    """All samples on one engine; False if it lacks a kernel of the op."""
    for case in oc.cases(name):
        for dtype in oc.FLOATS:
            for layout in layouts:
                where = f"{case} on {engine}, {dtype}, {layout}"
                try:
                    failures.add(where, _check_call(case, engine, dtype, layout))
                except BackendError as error:
                    if engine.backend == "jit" and not oc.supports(error):
                        return False
                    failures.add(where, f"{type(error).__name__}: {error}")
                except Exception as error:
                    failures.add(where, f"{type(error).__name__}: {error}")
            if not any(oc.is_floating(x) for x in case.sample.inputs):
                break
    return True


@pytest.mark.parametrize("name", EXACT)
def test_values_equal_the_reference_on_every_engine(name: str) -> None:
    failures = oc.Failures()
    for engine in oc.engines():
        _check_all(name, engine, ("contiguous",), failures)
    failures.check()


@pytest.mark.parametrize("name", EXACT)
def test_layouts_of_inputs_do_not_matter(name: str) -> None:
    failures = oc.Failures()
    layouts = [layout for layout in oc.LAYOUTS if layout != "contiguous"]
    for engine in (oc.best_engine(), oc.Engine("reference")):
        _check_all(name, engine, layouts, failures)
    failures.check()


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("name", EXACT)
def test_threads_do_not_change_a_bit(name: str) -> None:
    failures = oc.Failures()
    for engine in oc.engines():
        if engine.backend != "native":
            continue
        for case in oc.cases(name):
            for dtype in oc.FLOATS:
                inputs = oc.tensors(case, dtype)
                with engine.active():
                    found = []
                    for threads, uneven in ((1, False), (2, False), (2, True)):
                        with native.exact_threads(threads, uneven):
                            found.append(oc.values(oc.run(case, inputs)))
                bits = [[y.tobytes() for y in each] for each in found]  # type: ignore[union-attr]
                if bits.count(bits[0]) != len(bits):
                    failures.add(f"{case} on {engine}, {dtype}", "the bits differ")
    failures.check()


@pytest.mark.parametrize("name", RANDOM)
def test_random_ops_draw_the_same_numbers_on_every_engine(name: str) -> None:
    """The samples bring a generator's array, made anew for each call."""
    failures = oc.Failures()
    for number in range(len(oc.cases(name))):
        for dtype in oc.FLOATS:
            drawn = {}
            for engine in oc.engines():
                if engine.backend == "jit":  # has none of these kernels
                    continue
                for threads in (1, 2) if engine.backend == "native" else (1,):
                    case = oc.cases(name)[number]
                    inputs = oc.tensors(case, dtype)
                    with engine.active(), oc.exact_threads(threads):
                        outputs = oc.values(oc.run(case, inputs))
                    state = case.sample.attrs["state"].numpy().tolist()
                    drawn[str(engine), threads] = (case, outputs, state)
            _, want, final = drawn["reference", 1]
            for (engine_name, threads), (case, got, state) in drawn.items():
                where = f"{case} on {engine_name}, {threads} threads, {dtype}"
                if state != final:
                    failures.add(where, f"the generator is at {state}, not {final}")
                for a, b in zip(got, want, strict=True):
                    failures.add(where, oc.difference(a, b, dtype, 1.0))  # type: ignore[arg-type]
                one = drawn[engine_name, 1][1]
                for a, b in zip(got, one, strict=True):
                    if a.tobytes() != b.tobytes():  # type: ignore[union-attr]
                        failures.add(where, "the bits differ from one thread's")
    failures.check()


# ---- gradients ----


def _gradient_cases(name: str) -> list[oc.Case]:
    return [
        case
        for case in oc.cases(name)
        if case.sample.gradient and any(oc.is_floating(x) for x in case.sample.inputs)
    ]


def _function(case: oc.Case, inputs: list[Any]) -> tuple[Any, tuple[Tensor, ...]]:
    """The call as a function of its floating inputs alone."""
    places = [i for i, x in enumerate(inputs) if x is not None and x.requires_grad]

    def function(*given: Tensor) -> Any:
        arguments = list(inputs)
        for place, x in zip(places, given, strict=True):
            arguments[place] = x
        return oc.run(case, arguments)

    return function, tuple(inputs[i] for i in places)


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_first_gradients_by_differences(name: str) -> None:
    failures = oc.Failures()
    for case in _gradient_cases(name):
        function, leaves = _function(
            case, oc.tensors(case, "float64", "contiguous", True)
        )
        try:
            gradcheck(function, leaves, rtol=1e-3 * case.sample.tolerance)
        except Exception as error:
            failures.add(case, f"{type(error).__name__}: {error}")
    failures.check()


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_second_gradients_by_differences(name: str) -> None:
    failures = oc.Failures()
    for case in _gradient_cases(name):
        function, leaves = _function(
            case, oc.tensors(case, "float64", "contiguous", True)
        )
        try:
            gradgradcheck(function, leaves, rtol=1e-3 * case.sample.tolerance)
        except Exception as error:
            failures.add(case, f"{type(error).__name__}: {error}")
    failures.check()


def _upstream(
    outputs: tuple[Tensor, ...], seed: int = 3
) -> tuple[list[Tensor], list[Tensor]]:
    """The outputs with a graph and a random gradient for each."""
    rng = np.random.default_rng(seed)
    used = [y for y in outputs if y.requires_grad]
    grads = [
        make(
            oc.LAYOUTS["contiguous"](rng.standard_normal(y.shape).astype(y.dtype.name)),
            None,
            False,
        )
        for y in used
    ]
    return used, grads


def _gradients(
    case: oc.Case, dtype: str, layout: str, create_graph: bool = False
) -> list[np.ndarray[Any, Any] | None]:
    inputs = oc.tensors(case, dtype, layout, True)
    used, grads = _upstream(oc.run(case, inputs))
    leaves = [x for x in inputs if x is not None and x.requires_grad]
    if not used:
        return []
    found = grad(used, leaves, grads, create_graph=create_graph, allow_unused=True)
    return oc.values(found)


def _compare_gradients(
    got: list[Any], want: list[Any], dtype: str, factor: float
) -> str | None:
    for i, (a, b) in enumerate(zip(got, want, strict=True)):
        if (a is None) != (b is None):
            return f"gradient {i}: {a is not None}, expected {b is not None}"
        if a is None:
            continue
        # backward sums more than forward does
        text = oc.difference(a, b.astype(np.float64), dtype, 10 * factor)
        if text is not None:
            return f"gradient {i}: {text}"
    return None


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_gradients_agree_between_engines_types_and_layouts(name: str) -> None:
    failures = oc.Failures()
    for case in _gradient_cases(name):
        with use_backend("reference"):
            want = {d: _gradients(case, d, "contiguous") for d in oc.FLOATS}
        for engine in oc.engines():
            layouts = ["contiguous"]
            if engine == oc.best_engine():
                layouts += ["channels_last", "gaps"]
            for dtype in oc.FLOATS:
                for layout in layouts:
                    where = f"{case} on {engine}, {dtype}, {layout}"
                    try:
                        with engine.active():
                            got = _gradients(case, dtype, layout)
                    except BackendError as error:
                        if engine.backend == "jit" and not oc.supports(error):
                            continue
                        failures.add(where, str(error))
                        continue
                    factor = case.sample.tolerance
                    failures.add(
                        where, _compare_gradients(got, want[dtype], dtype, factor)
                    )
    failures.check()


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_one_input_alone_gets_the_same_gradient(name: str) -> None:
    failures = oc.Failures()
    for case in _gradient_cases(name):
        inputs = oc.tensors(case, "float64", "contiguous", True)
        places = [i for i, x in enumerate(inputs) if x is not None and x.requires_grad]
        if len(places) < 2:
            continue
        together = _gradients(case, "float64", "contiguous")
        for place, want in zip(places, together, strict=True):
            alone = oc.tensors(case, "float64", "contiguous")
            leaf = alone[place].requires_grad_()  # type: ignore[union-attr]
            used, grads = _upstream(oc.run(case, alone))
            got: list[Any] = [None]
            if used:
                got = oc.values(grad(used, [leaf], grads, allow_unused=True))
            text = _compare_gradients(got, [want], "float64", case.sample.tolerance)
            failures.add(f"{case}, input {place}", text)
    failures.check()


@pytest.mark.parametrize("name", FUSED)
def test_fused_gradient_equals_that_of_the_composition(name: str) -> None:
    failures = oc.Failures()
    for case in _gradient_cases(name):
        fused = _gradients(case, "float64", "contiguous")
        composed = _gradients(case, "float64", "contiguous", create_graph=True)
        text = _compare_gradients(fused, composed, "float64", case.sample.tolerance)
        failures.add(case, text)
        inputs = oc.tensors(case, "float64", "contiguous")
        result = case.op.composition(call, *inputs, **case.sample.attrs)  # type: ignore[misc]
        outputs = result if isinstance(result, tuple) else (result,)
        pairs = zip(oc.values(outputs), oc.values(oc.run(case, inputs)), strict=False)
        for i, (a, b) in enumerate(pairs):
            if a is not None:
                text = oc.difference(a, b, "float64", 10 * case.sample.tolerance)  # type: ignore[arg-type]
                failures.add(f"{case}, output {i}", text)
    failures.check()


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_no_two_gradients_share_memory(name: str) -> None:
    failures = oc.Failures()
    for case in _gradient_cases(name):
        inputs = oc.tensors(case, "float64", "contiguous", True)
        leaves = [x for x in inputs if x is not None and x.requires_grad]
        outputs = oc.run(case, inputs)
        used, grads = _upstream(outputs)
        if not used:
            continue
        pyautodl.autograd.backward(used, grads)
        seen = {x._array.storage for x in inputs if x is not None}
        seen |= {y._array.storage for y in (*outputs, *grads)}
        for i, leaf in enumerate(leaves):
            if leaf.grad is None:
                continue
            block = leaf.grad._array.storage
            if block in seen:
                failures.add(case, f"the gradient of leaf {i} shares memory")
            seen.add(block)
            if leaf.grad._array.shape != leaf._array.shape:
                failures.add(case, f"the gradient of leaf {i} has another shape")
    failures.check()


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_nothing_is_saved_when_nothing_is_recorded(name: str) -> None:
    for case in oc.cases(name)[:3]:
        inputs = oc.tensors(case, "float64", "contiguous", True)
        MODE.enabled = False
        try:
            outputs = oc.run(case, inputs)
        finally:
            MODE.enabled = True
        assert all(not y.requires_grad and y.grad_fn is None for y in outputs), case


# ---- bad calls ----


def _as_argument(x: Any) -> Any:
    return (
        make(oc.LAYOUTS["contiguous"](np.asarray(x)), None, False)
        if x is not None
        else None
    )


@pytest.mark.parametrize("name", NAMES)
def test_bad_calls_are_refused_with_words(name: str) -> None:
    op = OPS[name]
    failures = oc.Failures()
    for number, error in enumerate(op.errors() if op.errors is not None else ()):
        where = f"{name} error case {number} {dict(error.attrs)}"
        inputs = [_as_argument(x) for x in error.inputs]
        case = oc.Case(op, number, oc.Sample(error.inputs, error.attrs))
        try:
            with pytest.raises(error.exception, match=error.match):
                oc.run(case, inputs)
        except (Exception, pytest.fail.Exception) as wrong:
            failures.add(where, f"{type(wrong).__name__}: {wrong}")
    failures.check()


def test_a_wrong_gradient_is_found_and_named() -> None:
    """The check itself: it must see a gradient that is wrong in one entry."""

    class Wrong(pyautodl.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Tensor:
            return make(x._array, None, False)

        @staticmethod
        def backward(ctx: Any, g: Tensor) -> Tensor:
            values = np.array(g._array.numpy())
            values[1, 2] *= 1.01
            return pyautodl.tensor(values)

    x = pyautodl.tensor(np.ones((2, 3))).requires_grad_()
    with pytest.raises(GradcheckError, match=r"input 0 \(2, 3\), entry \(1, 2\)"):
        gradcheck(Wrong.apply, (x,))
