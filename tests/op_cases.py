"""What test_ops.py is generated with: calls of ops from their samples.

A case is one sample of one op. Its floating inputs are cast to the element type under
test, laid out in memory in one of several ways, and run on one backend; the expected
values come from the float64 reference on the same (rounded) inputs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pyautodl.backends import Array, backend_kernels, empty, native, use_backend
from pyautodl.backends.dtypes import as_dtype
from pyautodl.errors import BackendError
from pyautodl.ops.record import OPS, Op, Sample
from pyautodl.tensor import Tensor, apply, make
from pyautodl.testing import available_isas, use_isa

# element type -> (relative, absolute by the greatest expected value)
TOLERANCES = {"float64": (1e-9, 1e-11), "float32": (3e-5, 3e-6)}
FLOATS = ("float64", "float32")


@dataclass(frozen=True)
class Engine:
    """A way to run kernels: a backend and, for the compiled one, its ISA."""

    backend: str
    isa: str | None = None

    def __str__(self) -> str:
        return self.backend if self.isa is None else f"{self.backend}/{self.isa}"

    @contextmanager
    def active(self) -> Iterator[None]:
        with ExitStack() as stack:
            stack.enter_context(use_backend(self.backend))
            if self.isa is not None:
                stack.enter_context(use_isa(self.isa))
            yield


def engines() -> list[Engine]:
    """All that this machine has; the best compiled table first."""
    found = [Engine("native", isa) for isa in available_isas()]
    if backend_kernels("jit"):
        found.append(Engine("jit"))
    return [*found, Engine("reference")]


def best_engine() -> Engine:
    return engines()[0]


@dataclass(frozen=True)
class Case:
    """One sample of one op."""

    op: Op
    number: int
    sample: Sample

    def __str__(self) -> str:
        shapes = [getattr(x, "shape", x) for x in self.sample.inputs]
        return f"{self.op.name} sample {self.number} {shapes} {dict(self.sample.attrs)}"


def cases(name: str) -> list[Case]:
    op = OPS[name]
    samples = op.samples() if op.samples is not None else ()
    return [Case(op, i, sample) for i, sample in enumerate(samples)]


def is_floating(x: Any) -> bool:
    return x is not None and np.asarray(x).dtype.kind == "f"


def cast(x: Any, dtype: str) -> Any:
    """An input with its floats in the element type under test; others stay."""
    if x is None:
        return None
    values = np.array(x)
    return values.astype(dtype) if values.dtype.kind == "f" else values


# ---- layouts ----


def _dense(values: np.ndarray[Any, Any]) -> Array:
    array = empty(values.shape, as_dtype(values.dtype))
    array.numpy()[...] = values
    return array


def _permuted(values: np.ndarray[Any, Any]) -> Array:
    """Fortran order."""
    turned = _dense(values.T.copy(order="C"))
    return turned.view(values.shape, turned.strides[::-1])


def _gaps(values: np.ndarray[Any, Any]) -> Array:
    """Every second element of a larger block, along each axis."""
    whole = np.full([2 * n + 1 for n in values.shape], 7, values.dtype)
    whole[tuple(slice(1, None, 2) for _ in values.shape)] = values
    base = _dense(whole)
    strides = tuple(2 * s for s in base.strides)
    return base.view(values.shape, strides, sum(base.strides))


def _reversed(values: np.ndarray[Any, Any]) -> Array:
    """Negative strides on each axis."""
    base = _dense(np.flip(values).copy())
    last = sum((n - 1) * s for n, s in zip(base.shape, base.strides, strict=True))
    if not values.size:
        last = 0
    return base.view(values.shape, tuple(-s for s in base.strides), last)


def _channels_last(values: np.ndarray[Any, Any]) -> Array:
    if values.ndim < 3:
        return _permuted(values)
    moved = _dense(np.moveaxis(values, 1, -1).copy(order="C"))
    s = moved.strides
    return moved.view(values.shape, (s[0], s[-1], *s[1:-1]))


LAYOUTS: dict[str, Callable[[np.ndarray[Any, Any]], Array]] = {
    "contiguous": _dense,
    "permuted": _permuted,
    "channels_last": _channels_last,
    "gaps": _gaps,
    "negative": _reversed,
}


def tensors(
    case: Case, dtype: str, layout: str = "contiguous", requires_grad: bool = False
) -> list[Tensor | None]:
    """The inputs as tensors; floating ones may ask for gradients."""
    made: list[Tensor | None] = []
    for x in case.sample.inputs:
        if x is None:
            made.append(None)
            continue
        values = cast(x, dtype)
        wanted = requires_grad and values.dtype.kind == "f"
        made.append(make(LAYOUTS[layout](values), None, wanted))
    return made


def run(case: Case, inputs: list[Tensor | None]) -> tuple[Tensor, ...]:
    result = apply(case.op, *inputs, **case.sample.attrs)
    return result if isinstance(result, tuple) else (result,)


def values(outputs: Any) -> list[np.ndarray[Any, Any] | None]:
    return [None if y is None else np.array(y._array.numpy()) for y in outputs]


def supports(error: BackendError) -> bool:
    """Whether a failure is only that a backend has no such kernel."""
    return "no kernel" not in str(error)


_expected: dict[tuple[str, int, str], list[np.ndarray[Any, Any]]] = {}


def expected(case: Case, dtype: str) -> list[np.ndarray[Any, Any]]:
    """The values from the oracle, or from the reference backend at float64; kept."""
    key = (case.op.name, case.number, dtype)
    if key not in _expected:
        _expected[key] = _compute_expected(case, dtype)
    return _expected[key]


def _compute_expected(case: Case, dtype: str) -> list[np.ndarray[Any, Any]]:
    inputs = []
    for x in case.sample.inputs:
        x = cast(x, dtype)
        inputs.append(x.astype(np.float64) if is_floating(x) else x)
    if case.op.reference is not None:
        with np.errstate(all="ignore"):
            result = case.op.reference(*inputs, **case.sample.attrs)
        outputs = result if isinstance(result, tuple) else (result,)
        return [np.asarray(y) for y in outputs]
    with use_backend("reference"):
        made = [None if x is None else make(_dense(x), None, False) for x in inputs]
        return values(run(case, made))  # type: ignore[return-value]


def difference(
    actual: np.ndarray[Any, Any],
    wanted: np.ndarray[Any, Any],
    dtype: str,
    factor: float,
) -> str | None:
    """What differs beyond the tolerance of the element type; None if nothing."""
    if actual.shape != wanted.shape:
        return f"shape {actual.shape}, expected {wanted.shape}"
    if actual.dtype.kind != "f":
        wrong = actual != wanted
        if not wrong.any():
            return None
        at = tuple(int(i) for i in np.argwhere(wrong)[0])
        return (
            f"{wrong.sum()} wrong, first at {at}: {actual[at]}, expected {wanted[at]}"
        )
    rtol, scaled = TOLERANCES[dtype]
    finite = np.abs(wanted[np.isfinite(wanted)])
    atol = scaled * max(1.0, float(finite.max(initial=0.0)))
    close = np.isclose(
        actual.astype(np.float64),
        wanted,
        rtol=rtol * factor,
        atol=atol * factor,
        equal_nan=True,
    )
    if close.all():
        return None
    at = tuple(int(i) for i in np.argwhere(~close)[0])
    return (
        f"{(~close).sum()} of {actual.size} differ, first at {at}: {actual[at]!r}, "
        f"expected {wanted[at]!r}"
    )


class Failures:
    """Collects what differs, so that one run shows every engine and sample."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def add(self, where: Any, text: str | None) -> None:
        if text is not None:
            self.lines.append(f"{where}: {text}")

    def check(self) -> None:
        shown = "\n".join(self.lines[:12])
        assert not self.lines, f"{len(self.lines)} failures\n{shown}"


@dataclass
class Recorder:
    """Counts which engines really ran an op."""

    ran: dict[str, int] = field(default_factory=dict)

    def note(self, engine: Engine) -> None:
        self.ran[str(engine)] = self.ran.get(str(engine), 0) + 1


def exact_threads(n: int) -> Any:
    return native.exact_threads(n) if native.available else nullcontext()
