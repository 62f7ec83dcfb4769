"""What csrc/dispatch does at every call: the fields of objects, and kernels one by one."""

from __future__ import annotations

import functools
import gc
import sys
import threading
import weakref
from typing import Any

import numpy as np
import op_cases as oc
import pytest

import pyautodl as ad
from pyautodl import nn
from pyautodl.backends import (
    Array,
    KernelCall,
    Made,
    Seen,
    fields,
    guarded,
    native,
    prepare_chain,
    viewer,
)
from pyautodl.backends.dtypes import float32
from pyautodl.errors import GradError
from pyautodl.graph import Node, backward, line
from pyautodl.ops.record import OPS

calls = sys.modules["pyautodl.tensor.calls"]

pytestmark = pytest.mark.skipif(not native.available, reason="the extension's own")


@pytest.mark.parametrize("name", fields.SLOTS)
def test_fields_are_those_of_slots(name: str) -> None:
    found = {each for each in vars(getattr(native.dispatch, name)) if each[:2] != "__"}
    assert found == set(fields.SLOTS[name])


def _array(values: list[float]) -> Array:
    return ad.tensor(values)._array


_THREE = (3,), (1,)


def _step(first: int, second: int) -> KernelCall:
    reads = [Seen(place, float32.code, *_THREE) for place in (first, second)]
    return KernelCall("add", reads, [Made((3,), float32, (1,))], ())


def test_a_chain_frees_what_nobody_gets() -> None:
    x, y = _array([1.0, 2.0, 3.0]), _array([10.0, 20.0, 30.0])
    chain = prepare_chain(
        [_step(0, 1), _step(2, 1), _step(3, 2)], 2, 0, [(4, None)], True
    )
    chain([x, y], ())
    before = ad.memory_stats()["allocated_bytes"]
    found = chain((x, y), ())
    np.testing.assert_array_equal(found.numpy(), [32.0, 64.0, 96.0])
    one = ad.memory_stats()["allocated_bytes"] - before
    del found
    assert ad.memory_stats()["allocated_bytes"] == before
    found = prepare_chain([_step(0, 1)], 2, 0, [(2, None)], True)((x, y), ())
    assert found.shape == (3,)
    assert ad.memory_stats()["allocated_bytes"] - before == one


def test_results_are_inputs_views_and_nothing() -> None:
    x, y = _array([1.0, 2.0, 3.0]), _array([10.0, 20.0, 30.0])
    results = [
        (2, None),
        (None, None),
        (0, None),
        (2, lambda inputs, floats: inputs[0].shape),
    ]
    found = prepare_chain([_step(0, 1)], 2, 0, results, False)((x, y), ())
    assert found[1:] == (None, x, (3,))
    np.testing.assert_array_equal(found[0].numpy(), [11.0, 22.0, 33.0])


def test_an_error_leaves_no_memory_behind() -> None:
    x, y = _array([1.0, 2.0, 3.0]), _array([10.0, 20.0, 30.0])

    def fail(inputs: tuple[Array], floats: Any) -> None:
        raise KeyError(inputs[0].shape)

    chain = prepare_chain(
        [_step(0, 1), _step(2, 1)], 2, 0, [(2, None), (3, fail)], False
    )
    before = ad.memory_stats()["allocated_bytes"]
    with pytest.raises(KeyError):
        chain((x, y), ())
    for inputs, error in (((x, None), TypeError), ((x,), ValueError), ({}, TypeError)):
        with pytest.raises(error, match="launch: "):
            chain(inputs, ())
    assert ad.memory_stats()["allocated_bytes"] == before


@pytest.mark.parametrize(
    "arguments",
    [
        ([], 0, 0, (), False),
        ((), 0, 0, ((5, None),), False),
        ((), 0, 0, (), True),
        ((("add",),), 2, 0, (), False),
        ((), -1, 0, (), False),
        ((), 0, -5, (), False),
        ((), 2**62, 0, (), False),
        ((), 0, 2**62, (), False),
        ((), 1, 0, (0,), False),
    ],
)
def test_launch_refuses_what_it_cannot_read(arguments: tuple[Any, ...]) -> None:
    with pytest.raises((TypeError, ValueError)):
        native.dispatch.Launch(*arguments)


def test_launch_holds_what_a_sequence_makes() -> None:
    class Made:
        def __len__(self) -> int:
            return 1

        def __getitem__(self, i: int) -> Array:
            if i > 0:
                raise IndexError
            return _array([1.0, 2.0, 3.0])

    found = native.dispatch.Launch((), 0, 1, ((0, None),), True)((), Made())
    np.testing.assert_array_equal(found.numpy(), [1.0, 2.0, 3.0])


def test_changes_are_counted_of_arrays_alone() -> None:
    launch = native.dispatch.Launch((), 1, 0, ((0, None),), True)
    launch.guard(None, ((0, 1),))
    for each in (None, 7, "x"):
        with pytest.raises(TypeError, match="expected an Array"):
            launch((each,), ())
    x = _array([1.0])
    launch((x,), ())
    assert x.storage.version == 1


def test_a_failing_launch_asks_the_rule() -> None:
    x, y = _array([1.0, 2.0, 3.0]), _array([10.0, 20.0, 30.0])

    def fail(inputs: Any, floats: Any) -> None:
        raise ValueError("the view's own")

    def explain(inputs: Any, floats: Any) -> None:
        if inputs[0] is x:
            raise KeyError("the rule's")

    chain = prepare_chain([_step(0, 1)], 2, 0, [(2, fail)], True)
    guarded(chain, explain, ((0, 2),))
    with pytest.raises(KeyError, match="the rule's"):
        chain((x, y), ())
    with pytest.raises(ValueError, match="the view's own"):
        chain((y, x), ())
    assert x.storage.version == 0
    chain = guarded(
        prepare_chain([_step(0, 1)], 2, 0, [(2, None)], True), explain, ((0, 2),)
    )
    chain((x, y), ())
    assert (x.storage.version, y.storage.version) == (2, 0)
    with pytest.raises(ValueError, match="no input number 2"):
        guarded(chain, explain, ((2, 1),))


def test_views_of_arrays() -> None:
    x = _array([float(i) for i in range(6)])
    part = viewer((2, 2), (2, 1), float32, 1)
    view = part((x,), ())
    again = part([view], ())
    np.testing.assert_array_equal(view.numpy(), [[1.0, 2.0], [3.0, 4.0]])
    np.testing.assert_array_equal(again.numpy(), [[2.0, 3.0], [4.0, 5.0]])
    assert (again.storage, again.offset) == (x.storage, 2)
    assert again.address == x.address + 8
    for inputs in ((), (None,), 7):
        with pytest.raises((TypeError, ValueError)):
            part(inputs, ())


def test_arrays_are_freed_without_the_collector() -> None:
    gc.disable()
    try:
        storage = weakref.ref((ad.ones(3) + 1.0)._array.storage)
    finally:
        gc.enable()
    assert storage() is None


def test_memory_in_cycles_goes_back() -> None:
    def make() -> None:
        tensor = ad.ones(1000) + 1.0
        tensor.itself = tensor

    make()
    gc.collect()
    before = ad.memory_stats()["allocated_bytes"]
    make()
    assert ad.memory_stats()["allocated_bytes"] > before
    gc.collect()
    assert ad.memory_stats()["allocated_bytes"] == before


def test_a_guard_in_a_cycle_is_freed() -> None:
    class Again:
        call: Any

        def __call__(self, inputs: Any, floats: Any) -> None: ...

    again = Again()
    again.call = native.dispatch.Launch((), 1, 0, ((0, None),), True)
    again.call.guard(again, ())
    gone = weakref.ref(again)
    del again
    gc.collect()
    assert gone() is None


def test_outputs_stay_apart_from_those_of_kernels_in_a_collection() -> None:
    x = ad.randn(8, 8)
    x.max(1)
    want = [each.numpy().tobytes() for each in x.max(1)]
    inside = False

    def compute(phase: str, info: Any) -> None:
        nonlocal inside
        if not inside:
            inside = True
            ad.zeros(8, 8).max(1)
            inside = False

    threshold = gc.get_threshold()
    gc.callbacks.append(compute)
    gc.set_threshold(1)
    try:
        found = [x.max(1) for _ in range(50)]
    finally:
        gc.set_threshold(*threshold)
        gc.callbacks.remove(compute)
    for each in found:
        assert [part.numpy().tobytes() for part in each] == want


def test_the_collector_finds_cycles_through_objects() -> None:
    tensor = ad.ones(3) + 1.0
    tensor.itself = tensor
    storage = weakref.ref(tensor._array.storage)
    del tensor
    gc.collect()
    assert storage() is None


# ---- the same as Python ----


def _shown(value: Any) -> Any:
    """An array, tensor, node or leaf, as far as it can be equal to that of another call."""
    if isinstance(value, ad.Tensor):
        array = value._array
        hooks = value._grad, value._hooks, value._post_hooks, value._changes
        return (_shown(array), value._requires_grad, _shown(value._edge), hooks)
    if isinstance(value, Array):
        return (
            value.numpy().tobytes(),
            value.shape,
            value.strides,
            value.dtype,
            value.layout(),
        )
    if isinstance(value, Node):
        kinds = (
            value.op,
            value.plan,
            value.shapes,
            value.dtypes,
            value.needs,
            value.outputs,
        )
        rest = value.released, value.hooks, value.retained, value.masked_below
        # of what is saved, gaps between rows may hold anything
        saved = [each and (each[0].layout(), *each[1:]) for each in value.packed]
        parts = [_shown(each) for each in (value.attrs, value.edges, saved)]
        return kinds, rest, parts, repr(value.info), value.module
    if isinstance(value, (tuple, list)):
        return [_shown(each) for each in value]
    if isinstance(value, dict):
        return {key: _shown(each) for key, each in value.items()}
    return value


def _marks(outputs: Any, x: Any) -> list[Any]:
    each = outputs if isinstance(outputs, tuple) else (outputs,)
    return [
        y._base is not None and (y._base is x, y._base_changes, y._unchangeable)
        for y in each
    ]


@pytest.mark.parametrize("recorded", [True, False])
@pytest.mark.parametrize("name", sorted(n for n, op in OPS.items() if not op.random))
def test_apply_does_what_python_does(name: str, recorded: bool) -> None:
    op = OPS[name]
    for case in oc.cases(name)[:4]:
        tensors = oc.tensors(case, "float32")
        for x in tensors:
            if recorded and x is not None and x.is_floating_point():
                x.requires_grad_()
        attrs = dict(case.sample.attrs)
        if any(isinstance(each, (Array, np.ndarray)) for each in attrs.values()):
            continue  # each call changes them
        try:
            calls.apply_in_python(op, *tensors, **attrs)
            want = calls.apply_in_python(op, *tensors, **attrs)
        except GradError:
            with pytest.raises(GradError):
                calls.apply(op, *tensors, **attrs)
            continue
        got = calls.apply(op, *tensors, **attrs)
        assert _shown(got) == _shown(want), str(case)
        if tensors:
            assert _marks(got, tensors[0]) == _marks(want, tensors[0]), str(case)


def test_calls_leave_nothing_behind() -> None:
    """Counted in Python's objects, which a reference too many in C would keep."""
    kept = []
    gc.freeze()  # collections look at what comes from here on
    for name in sorted(n for n, op in OPS.items() if not op.random):
        for case in oc.cases(name)[:1]:
            tensors = oc.tensors(case, "float32")
            for x in tensors:
                if case.sample.gradient and x is not None and x.is_floating_point():
                    x.requires_grad_()
            call = functools.partial(_call_and_differentiate, case, tensors)
            for _ in range(6):
                call()
            gc.collect()
            before = sys.getallocatedblocks()
            for _ in range(30):
                call()
            gc.collect()
            if sys.getallocatedblocks() - before >= 30:
                kept.append(name)
    gc.unfreeze()
    assert not kept


def _call_and_differentiate(case: oc.Case, tensors: list[Any]) -> None:
    try:
        result = calls.apply(case.op, *tensors, **case.sample.attrs)
    except GradError:
        return
    outputs = result if isinstance(result, tuple) else (result,)
    for y in [y for y in outputs if y.requires_grad and case.op.vjp is not None][:1]:
        y.sum().backward()
    for x in tensors:
        if x is not None:
            x.grad = None


class _Chain(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(5, 4), nn.Linear(4, 3)

    def forward(self, x: Any) -> Any:
        return self.second(self.first(x).tanh()).softmax(1)[0]


def test_a_line_goes_as_far_as_in_python(monkeypatch: pytest.MonkeyPatch) -> None:
    ad.manual_seed(0)
    model, x = _Chain(), ad.randn(2, 5)

    def gradients() -> list[bytes]:
        model.zero_grad()
        model(x).sum().backward()
        return [p.grad.numpy().tobytes() for p in model.parameters()]

    gradients()
    want = gradients()
    ways = (line.line_in_python, line.run_line)
    ends = []
    for way in ways:
        loss = model(x).sum()
        root = ad.ones(())._array
        found = way(loss._edge, root, False)
        ends.append((found.edge, found.gradient, [id(each) for each in found.leaves]))
        ends.append(_shown(found.found))
        assert loss._edge[0].released
    assert ends[:2] == ends[2:]
    assert len(ends[0][2]) == 4
    monkeypatch.setattr(backward, "run_line", line.line_in_python)
    monkeypatch.setattr(backward, "fill_leaves", line.fill_in_python)
    assert gradients() == want


def test_a_leaf_takes_the_memory_of_its_gradient() -> None:
    x = ad.randn(4, 4, requires_grad=True)
    for _ in range(3):
        x.grad = None
        (x * 2.0).sum().backward()
        before = ad.memory_stats()["allocated_bytes"]
        x.grad = None
        freed = before - ad.memory_stats()["allocated_bytes"]
    assert freed == 64


@pytest.mark.parametrize("arguments", [(), (1,), (None, 2), ("add", 1)])
def test_apply_needs_an_op(arguments: tuple[Any, ...]) -> None:
    with pytest.raises(TypeError, match="expected the record of an op"):
        calls.apply(*arguments)


def test_a_tensor_that_is_not_set_up_is_an_error() -> None:
    half = object.__new__(ad.Tensor)
    with pytest.raises(AttributeError):
        calls.apply(OPS["add"], half, half)


@pytest.mark.parametrize("way", [calls.apply, calls.apply_in_python])
@pytest.mark.parametrize("name", ["reshape", "expand"])
def test_a_number_has_no_views(way: Any, name: str) -> None:
    attrs = {"shape": (1,)}
    for _ in range(2):
        calls.apply(OPS[name], ad.ones(()), **attrs)
    with pytest.raises(TypeError, match=f"{name}: expected a tensor, got float"):
        way(OPS[name], 3.0, **attrs)


_GONE: Any = object()
_ODD = [
    _GONE,
    None,
    5,
    2**70,
    "x",
    (),
    [],
    {},
    [(1, 2)],
    [(1, 2, 3, 4, None)],
    object(),
]


def _leaves() -> list[Any]:
    shapes = ((3, 4), (4, 2), (2,))
    return [ad.ones(*shape, requires_grad=True) for shape in shapes]


def _loss(x: Any, w: Any, b: Any) -> Any:
    return ((x @ w + b) * 2.0).tanh().max(1)[0].sum()


def _objects(kind: str, leaves: list[Any], loss: Any) -> list[Any]:
    x = leaves[0]
    nodes = [loss.grad_fn]
    while isinstance(nodes[-1], Node):
        nodes.append(nodes[-1].next_functions[0][0])
    ops = [each.op for each in nodes[:-1]]
    return {
        "TensorFields": [x, x.detach()[0], loss],
        "ArrayFields": [each._array for each in (x, loss)],
        "StorageFields": [each._array.storage for each in (x, loss)],
        "OpFields": ops,
        "PlanFields": [plan for op in ops for plan in op.plans.values() if plan][:9],
        "NodeFields": nodes[:-1],
    }[kind]


@pytest.mark.parametrize("kind", fields.SLOTS)
def test_odd_fields_are_errors(kind: str) -> None:
    """In Python an attribute may be anything, and C reads it: no crash, and no error that
    CPython finds a call to have forgotten.
    """
    for name in fields.SLOTS[kind]:
        if name in ("address", "_owner"):
            continue  # of memory, and taken on trust
        for odd in _ODD:
            leaves = _leaves()
            for _ in range(2):
                _loss(*leaves).backward()
            loss = _loss(*leaves)
            for each in _objects(kind, leaves, loss):
                if not hasattr(each, name):
                    continue
                before = getattr(each, name)
                if odd is _GONE:
                    delattr(each, name)
                else:
                    setattr(each, name, odd)
                _use(leaves, loss)
                setattr(each, name, before)
    leaves = _leaves()
    _loss(*leaves).backward()
    assert leaves[2].grad is not None


def _use(leaves: list[Any], loss: Any) -> None:
    x = leaves[0]
    array = ad.ones(3, 4)._array
    for call in (
        lambda: loss.backward(retain_graph=True),
        lambda: _loss(*leaves).backward(),
        lambda: loss + loss,
        lambda: x.unbind(0)[0][0],
        lambda: native.dispatch.run_line((loss.grad_fn, 0), ad.ones(())._array, True),
        lambda: native.dispatch.fill_leaves([x], [array]),
    ):
        try:
            call()
        except SystemError:
            raise
        except Exception:
            pass


def test_threads_go_back_through_one_graph_while_tables_are_emptied() -> None:
    x, w = (ad.randn(50, 50, requires_grad=True) for _ in range(2))
    wrong: list[Any] = []
    busy = True

    def empty() -> None:
        while busy:
            for op in OPS.values():
                op.plans.clear()
            line.REPEATS.clear()

    def go_back(loss: Any) -> None:
        try:
            loss.backward()
        except GradError:
            pass  # another thread has freed the graph
        except Exception as error:
            wrong.append(error)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    other = threading.Thread(target=empty)
    other.start()
    try:
        for _ in range(40):
            loss = ((x @ w).tanh() @ w).exp().sum()
            threads = [threading.Thread(target=go_back, args=(loss,)) for _ in range(3)]
            for each in threads:
                each.start()
            for each in threads:
                each.join()
    finally:
        busy = False
        other.join()
        sys.setswitchinterval(interval)
    assert not wrong


def test_threads_apply_at_once() -> None:
    x = ad.ones(50, requires_grad=True)
    wrong: list[Any] = []

    def work(number: int) -> None:
        for _ in range(300):
            y = (x * float(number)).sum()
            if y.item() != 50.0 * number:
                wrong.append(y)
            with ad.no_grad():
                wrong.extend([z for z in (x + 1.0,) if z.requires_grad])

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert not wrong
