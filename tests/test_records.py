"""The records themselves: nothing may be missing from them."""

from __future__ import annotations

import importlib
import pkgutil

import pytest

from pyautodl import ops
from pyautodl.backends import backend_kernels, native
from pyautodl.ops.record import OPS

NAMES = sorted(OPS)
# the rule of these accepts whatever there is
ACCEPT_ANYTHING = {"alias", "zeros_like", "overwritten", "logical_not"}


def test_table_holds_the_ops_of_all_modules() -> None:
    for module in pkgutil.walk_packages(ops.__path__, f"{ops.__name__}."):
        importlib.import_module(module.name)
    assert sorted(OPS) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_record_is_complete(name: str) -> None:
    op = OPS[name]
    assert op.samples is not None, f"{name} has no samples"
    samples = list(op.samples())
    assert samples, f"{name} has no samples"
    assert op.errors is not None, f"{name} has no error cases"
    if name not in ACCEPT_ANYTHING:
        assert list(op.errors()), f"{name} has no error cases"
    if op.vjp is not None and op.gradient_of is None and not op.random:
        assert any(s.gradient for s in samples), (
            f"{name}: no sample checks its gradient"
        )
    if op.gradient_of is not None:
        assert op.gradient_of in OPS, f"{name}: {op.gradient_of} is no op"


@pytest.mark.usefixtures("compiled")
def test_every_compiled_kernel_has_a_reference() -> None:
    missing = sorted(set(native.kernels) - set(backend_kernels("reference")))
    assert not missing, f"no NumPy reference for {missing}"


@pytest.mark.usefixtures("compiled")
def test_every_reference_has_a_compiled_kernel() -> None:
    missing = sorted(set(backend_kernels("reference")) - set(native.kernels))
    assert not missing, f"no compiled kernel for {missing}"


def test_every_numba_twin_has_a_reference() -> None:
    missing = sorted(set(backend_kernels("jit")) - set(backend_kernels("reference")))
    assert not missing, f"no NumPy reference for {missing}"
