"""What csrc/dispatch does at every call: the fields of objects, and kernels one by one."""

from __future__ import annotations

import functools
import gc
import sys
import threading
import weakref
from collections import UserDict
from collections.abc import Callable
from typing import Any

import numpy as np
import op_cases as oc
import pytest

import pyautodl as ad
from pyautodl import backends, nn
from pyautodl.backends import (
    Array,
    KernelCall,
    Made,
    Seen,
    contiguous_strides,
    fields,
    guarded,
    native,
    prepare_chain,
    viewer,
)
from pyautodl.backends.dtypes import float32, float64
from pyautodl.errors import GradError
from pyautodl.graph import Node, backward, line
from pyautodl.ops import record
from pyautodl.ops.record import OPS
from pyautodl.optim import optimizer

calls = sys.modules["pyautodl.tensor.calls"]
core = sys.modules["pyautodl.tensor.core"]
in_place = sys.modules["pyautodl.tensor.in_place"]
promotion = sys.modules["pyautodl.tensor.promotion"]
calling = sys.modules["pyautodl.nn.module.calling"]
creation = sys.modules["pyautodl.functional.creation"]
array_module = sys.modules["pyautodl.backends.array"]
on_new_block_in_python = array_module._on_new_block_in_python

pytestmark = pytest.mark.usefixtures("compiled")


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
        with pytest.raises((TypeError, ValueError), match="view: "):
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
            if _blocks_kept(call, 30) >= 30:
                kept.append(name)
    gc.unfreeze()
    assert not kept


def _blocks_kept(call: Any, times: int) -> int:
    gc.collect()
    before = sys.getallocatedblocks()
    for _ in range(times):
        call()
    gc.collect()
    return sys.getallocatedblocks() - before


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


# ---- arrays, tensors and numbers one by one ----


@pytest.mark.parametrize("shape", [(), (3,), (2, 0), (2, 3)])
def test_an_empty_array_is_that_of_python(shape: tuple[int, ...]) -> None:
    nbytes = 4 * int(np.prod(shape))
    strides = contiguous_strides(shape)
    kind = (nbytes, shape, strides, float32, None)
    made, want = array_module._on_new_block(*kind), on_new_block_in_python(*kind)
    for name in fields.SLOTS["ArrayFields"]:
        if name not in ("storage", "address"):
            assert getattr(made, name) == getattr(want, name), name
    for name in fields.SLOTS["StorageFields"]:
        if name != "address":
            assert getattr(made.storage, name) == getattr(want.storage, name), name
    assert made.address == made.storage.address
    assert made.address % 64 == 0
    assert made.layout() == want.layout()


@pytest.mark.parametrize("nbytes", [-1, 2**62, 2**70])
def test_what_no_memory_can_be_had_for(nbytes: int) -> None:
    assert native.dispatch.empty_array(nbytes, (), (), float32, None) is None
    with pytest.raises(MemoryError, match="can't allocate"):
        array_module._on_new_block(nbytes, (), (), float32, None)
    with pytest.raises(TypeError):
        native.dispatch.empty_array("4", (), (), float32, None)
    with pytest.raises(TypeError, match="expected 5 arguments"):
        native.dispatch.empty_array(4)


def test_make_is_that_of_python() -> None:
    x = ad.ones(2, requires_grad=True) * 2.0
    for arguments in ((x._array, x._edge, True), (x._array, None, False)):
        found, want = core.make(*arguments), core.make_in_python(*arguments)
        for name in fields.SLOTS["TensorFields"]:
            missing = object()
            one, other = (getattr(each, name, missing) for each in (found, want))
            assert (one is other) or name in ("_base_changes", "_unchangeable"), name
            assert hasattr(found, name) == hasattr(want, name)


def test_numpy_looks_at_the_memory_itself() -> None:
    x = ad.arange(6.0).reshape(2, 3).t()[1:]
    shown = x.numpy()
    assert shown.dtype == np.float32
    assert shown.strides == (4, 12)
    np.testing.assert_array_equal(shown, [[1.0, 4.0], [2.0, 5.0]])
    shown[0, 1] = 9.0
    assert x[0, 1].item() == 9.0
    assert shown.flags.writeable
    nothing = ad.zeros(3, 8)[:0, ::3].numpy()
    assert (nothing.shape, nothing.strides) == ((0, 3), (32, 12))
    assert ad.tensor(True).numpy()[()] is np.True_


def test_what_numpy_looks_at_outlives_the_tensor_and_counts_as_shared() -> None:
    x = ad.ones(1000)
    storage = x._array.storage
    shown = x.numpy()
    part = shown[10:20]
    assert storage.is_shared()
    made = storage.exports.made
    del shown
    gone = weakref.ref(storage)
    del x, storage
    gc.collect()
    part += 1.0
    np.testing.assert_array_equal(part, np.full(10, 2.0))
    assert gone() is not None
    assert gone().is_shared()
    assert gone().exports.made == made
    del part
    assert gone() is None


def test_memory_is_that_of_a_storage() -> None:
    x = ad.arange(3.0)
    memory = native.dispatch.Memory(x._array.storage)
    assert memoryview(memory).nbytes == 12
    assert np.frombuffer(memory, np.float32).tolist() == [0.0, 1.0, 2.0]
    for wrong in (None, 5, x):
        with pytest.raises(TypeError):
            native.dispatch.Memory(wrong)
    half = object.__new__(type(x._array.storage))
    half._owner = None
    with pytest.raises(ValueError, match="set up"):
        native.dispatch.Memory(half)


_DTYPES = ("float32", "float64", "int64", "int32", "int16", "int8", "uint8", "bool")


@pytest.mark.parametrize("name", _DTYPES)
def test_numbers_are_read_as_numpy_reads_them(name: str) -> None:
    whole = np.array([[[-3, 0, 2], [1, 5, 100]]] * 2).astype(name)
    for values in (whole, whole[:, :, ::2], whole.transpose(2, 0, 1), whole[:, :0]):
        x = ad.tensor(whole)
        if values.shape == (2, 1, 2):
            x = x[:, :, ::2]
        x = ad.tensor(values) if x.shape != values.shape else x
        assert x.tolist() == values.tolist()
    one = ad.tensor(whole)[1, 0, 2]
    assert one.item() == whole[1, 0, 2].item()
    assert type(one.item()) is type(whole[1, 0, 2].item()) is type(one.tolist())
    assert bool(one) == bool(whole[1, 0, 2])
    assert ad.tensor(float("nan")).item() != 0.0
    assert bool(ad.tensor(float("nan")))


def test_reading_refuses_what_is_no_array() -> None:
    read = native.dispatch
    for arguments in ((1,), (1, 2, 3), ("x", 0), (1, 99), (1, None)):
        with pytest.raises((TypeError, ValueError)):
            read.read_number(*arguments)
    for arguments in ((0, 0, (1,), ()), (0, 0, ("x",), (1,)), (0, 0, (-1,), (1,))):
        with pytest.raises((TypeError, ValueError, IndexError)):
            read.read_list(*arguments)


_DATA: list[Any] = [
    1,
    1.5,
    True,
    -0.0,
    [1.0, 2.5],
    [[1, 2], (3, 4)],
    ((1, 2.5), (3, 4)),
    [True, False],
    [2**53 + 1, 16777217],
    [2**53 + 1, 0.5],
    [0.1, 1e-46, 3.4028235e38],
    [float("inf"), float("nan")],
    [[[[[[[[1]]]]]]]],
    [1e39],
    [True, 1],
    [1, 300],
    [-1],
    [2**63],
    [2**70, 1.0],
    [],
    [[], []],
    [[1], [1, 2]],
    [[1, 2], 3],
    [3, [1, 2]],
    [None],
    ["x"],
    [np.float64(1.5), 2.0],
    [np.arange(2), np.arange(2)],
    range(3),
    "x",
    None,
    {1: 2},
    1j,
]


@pytest.mark.filterwarnings("ignore:overflow encountered")
@pytest.mark.parametrize("data", _DATA, ids=repr)
@pytest.mark.parametrize("dtype", [None, *_DTYPES])
def test_numbers_in_lists_are_taken_as_numpy_takes_them(
    data: Any, dtype: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def outcome() -> Any:
        try:
            x = ad.tensor(data, dtype=dtype)
        except Exception as error:
            return type(error), str(error)
        return x.numpy().tobytes(), x.shape, x.dtype, x._array.layout()

    found = outcome()
    monkeypatch.setattr(creation, "_numbers_in", creation._nothing_in)
    assert found == outcome()


def test_lists_that_change_meanwhile_are_not_written_further() -> None:
    write = native.dispatch.write_numbers
    memory = ad.zeros(3, dtype=ad.int64)
    place = memory._array.address, memory._array.dtype.code
    _, kinds = native.dispatch.numbers_in([1, 2, 3])
    assert write([1, 2, 3], kinds, *place, 3)
    assert not write([7, 7, 7, 7], kinds, *place, 3)
    assert not write([1, 2], kinds, *place, 3)
    assert not write([1, 2.0, 3], kinds, *place, 3)
    assert not write([1, None, 3], kinds, *place, 3)
    assert memory.tolist()[2] != 4


_RANGES: list[Callable[[str | None], ad.Tensor]] = [
    lambda kind: ad.arange(16, dtype=kind),
    lambda kind: ad.arange(0, dtype=kind),
    lambda kind: ad.arange(5, -300, -7, dtype=kind),
    lambda kind: ad.arange(300, dtype=kind),
    lambda kind: ad.arange(0.0, 1.0, 0.1, dtype=kind),
    lambda kind: ad.arange(3, 2.0, -0.3, dtype=kind),
    lambda kind: ad.arange(-0.0, 0.5, 1, dtype=kind),
    lambda kind: ad.arange(2**62, 2**62 + 3, dtype=kind),
    lambda kind: ad.arange(-(2**63), -(2**63) + 2, dtype=kind),
    lambda kind: ad.arange(0, 2**62, 2**61 - 1, dtype=kind),
    lambda kind: ad.arange(2**64, 2**64 + 2, dtype=kind),
    lambda kind: ad.arange(0, 1e39, 5e38, dtype=kind),
    lambda kind: ad.arange(np.int64(3), np.int64(9), dtype=kind),
    lambda kind: ad.arange(True, 5, dtype=kind),
    lambda kind: ad.arange(0, 5, 0, dtype=kind),
    lambda kind: ad.arange(float("inf"), dtype=kind),
    lambda kind: ad.linspace(0, 1, 17, dtype=kind),
    lambda kind: ad.linspace(2, -0.0, 9, dtype=kind),
    lambda kind: ad.linspace(0.1, 0.7, 1000, dtype=kind),
    lambda kind: ad.linspace(3, 3, 4, dtype=kind),
    lambda kind: ad.linspace(0, 5e-324, 4, dtype=kind),
    lambda kind: ad.linspace(1, 2, 1, dtype=kind),
    lambda kind: ad.linspace(1, 2, 0, dtype=kind),
    lambda kind: ad.linspace(0, float("inf"), 3, dtype=kind),
    lambda kind: ad.linspace(-1e308, 1e308, 3, dtype=kind),
    lambda kind: ad.linspace(0, 1e39, 3, dtype=kind),
]


@pytest.mark.parametrize(
    "dtype", [None, "float32", "float64", "int64", "int32", "int8", "uint8", "bool"]
)
@pytest.mark.filterwarnings("ignore:(invalid value|overflow) encountered")
def test_ranges_are_those_of_numpy(
    dtype: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def outcome(make: Callable[[str | None], ad.Tensor]) -> Any:
        try:
            x = make(dtype)
        except Exception as error:
            return type(error), str(error)
        return x.numpy().tobytes(), x.shape, x.dtype

    found = [outcome(each) for each in _RANGES]
    monkeypatch.setattr(creation, "_write_range", lambda array, start, step: False)
    assert found == [outcome(each) for each in _RANGES]


def test_a_range_in_c_takes_two_numbers_of_one_kind() -> None:
    write = native.dispatch.write_range
    memory = ad.zeros(3)
    place = memory._array.address, memory._array.dtype.code, 3
    assert write(*place, 1, 2)
    assert memory.tolist() == [1.0, 3.0, 5.0]
    assert write(*place, 0.5, 0.25)
    assert memory.tolist() == [0.5, 0.75, 1.0]
    for start, step in ((0, 0.5), (True, 1), (None, 1), ("a", "b"), (2**64, 1)):
        assert not write(*place, start, step)
    assert not write(memory._array.address, 99, 3, 0, 1)
    with pytest.raises(TypeError):
        write(*place, 1)
    with pytest.raises(TypeError):
        write("x", 0, 3, 0, 1)


# ---- operands ----


def _number_or_tensor() -> list[Any]:
    plain = [2, 2.0, -0.0, 0.0, True, 10**400, 10**30, float("nan"), np.float32(2)]
    return [*plain, "x", None, [1.0, 2.0], np.ones(2)]


@pytest.mark.parametrize("name", ["add", "lt"])
def test_operands_are_those_of_python(name: str) -> None:
    def outcome(way: Any, x: Any, y: Any) -> Any:
        try:
            found = way(name, x, y)
        except Exception as error:
            return type(error), str(error)
        return [
            each is x or each is y or (_shown(each), each._array.dtype.name)
            for each in found
        ]

    tensors = [ad.ones(2, dtype=each) for each in _DTYPES]
    tensors += [ad.ones(2, requires_grad=True), nn.Parameter(ad.ones(2))]
    others = [*_number_or_tensor(), *tensors, ad.ones((), dtype="float64")]
    for x in tensors:
        for y in others:
            for _ in range(2):
                for pair in ((x, y), (y, x)):
                    for _ in range(2):
                        want = outcome(promotion.operands_in_python, *pair)
                    assert outcome(promotion.operands, *pair) == want
    with pytest.raises(TypeError, match="expected 3 arguments"):
        promotion.operands("add", tensors[0])


def test_constants_are_kept_apart_by_sign_and_type() -> None:
    x, y = ad.ones(2), ad.ones(2, dtype=ad.float64)
    for _ in range(2):
        assert (x / 0.0).tolist() == [float("inf")] * 2
        assert (x / -0.0).tolist() == [float("-inf")] * 2
        assert (x * 0.1).tolist() == [np.float32(0.1)] * 2
        assert (y * 0.1).tolist() == [0.1] * 2
        assert (x + (2**53 + 1)).tolist() == [2.0**53] * 2
    numbers = [float(i) for i in range(2000)]
    assert [(x * n)[0].item() for n in numbers] == numbers


def test_numbers_are_inputs_as_in_python() -> None:
    x = ad.ones(3, requires_grad=True)
    mask = ad.tensor([True, False, True])
    for inputs in ((x, 2.0), (x, 2), (2.0, x), (x, True), (x.detach(), 10**400)):
        outcomes = []
        for way in (calls.apply_in_python, calls.apply):
            try:
                outcomes.append(_shown(way(OPS["mul"], *inputs)))
            except Exception as error:
                outcomes.append((type(error), str(error)))
        assert outcomes[0] == outcomes[1]
    ways = (calls.apply_in_python, calls.apply_in_python, calls.apply)
    got = [_shown(way(OPS["where"], mask, x, 0.5)) for way in ways]
    assert got[1] == got[2]


# ---- attributes that a call changes, and zeros ----


@pytest.mark.parametrize("name", ["random_uniform", "random_normal", "dropout"])
def test_random_ops_are_found_as_python_finds_them(name: str) -> None:
    op = OPS[name]
    inputs = (ad.ones(4, 5, requires_grad=True),) if name == "dropout" else ()
    attrs: dict[str, Any] = {"shape": (4, 5), "dtype": float32}
    first, second = {"random_uniform": ("low", "high"), "dropout": ("p", "p")}.get(
        name, ("mean", "std")
    )
    if name == "dropout":
        attrs = {}

    def draw(way: Any, low: float) -> Any:
        generator = ad.Generator().manual_seed(7)
        numbers = {first: low, second: 0.5} if first != second else {first: 0.5}
        result = way(op, *inputs, **attrs, **numbers, state=generator.array)
        return _shown(result)[0], generator.array.storage.version, generator.get_state()

    for low in (0.0, -0.0, 0.25, 0):
        for _ in range(2):
            want = draw(calls.apply_in_python, low)
        before = len(op.plans)
        found = draw(calls.apply, low)
        assert len(op.plans) == before
        assert found[:2] == want[:2]
        assert found[2].tolist() == want[2].tolist()


def test_zeros_of_both_signs_are_full_of_themselves() -> None:
    for _ in range(3):
        for value in (0.0, -0.0, 0.0):
            found = calls.apply(OPS["full"], shape=(2,), value=value, dtype=float32)
            assert found.numpy().tobytes() == np.full(2, value, np.float32).tobytes()


def test_arrays_that_a_call_changes_may_be_absent() -> None:
    x = ad.randn(4, 3, requires_grad=True)
    kept = nn.BatchNorm1d(3), nn.BatchNorm1d(3, track_running_stats=False)
    for module in kept:
        for _ in range(3):
            module(x).sum().backward()
    assert kept[0].num_batches_tracked.item() == 3


# ---- in place ----


def _changed(way: Any, make: Any) -> Any:
    """What a change does to tensors that `make` gives: the first is changed."""
    tensors = make()
    x = tensors[0]
    before = x._array.storage.version
    try:
        result = way(*tensors)
    except Exception as error:
        return type(error), str(error), x._array.storage.version - before
    assert result is x
    base = x._base
    return (
        _shown(x._array),
        x._requires_grad,
        None if x._edge is None else x._edge[0].op.name,
        x._changes,
        x._array.storage.version - before,
        base is not None and (x._base_changes, base._changes, base._requires_grad),
    )


_TARGETS: dict[str, Any] = {
    "plain": lambda: (ad.ones(2, 3), ad.full((2, 3), 3.0)),
    "row": lambda: (ad.ones(2, 3), ad.full((3,), 3.0)),
    "itself": lambda: (ad.ones(2, 3),) * 2,
    "its part": lambda: (lambda x: (x[:2], x[1:]))(ad.arange(9.0).reshape(3, 3)),
    "a view": lambda: (ad.ones(3, 3)[1:], ad.full((2, 3), 3.0)),
    "from a view": lambda: (ad.ones(2, 3), ad.arange(9.0).reshape(3, 3)[1:]),
    "one of several": lambda: (ad.ones(2, 3).unbind(0)[0], ad.full((3,), 3.0)),
    "a leaf": lambda: (ad.ones(2, 3, requires_grad=True), ad.ones(2, 3)),
    "of a leaf": lambda: (ad.ones(2, 3, requires_grad=True)[0], ad.ones(3)),
    "with a graph": lambda: (ad.ones(2, 3, requires_grad=True) * 2.0, ad.ones(2, 3)),
    "by a graph": lambda: (ad.ones(2, 3), ad.ones(2, 3, requires_grad=True) * 2.0),
    "by a leaf": lambda: (ad.ones(2, 3), ad.ones(2, 3, requires_grad=True)),
    "repeated": lambda: (ad.ones(1, 3).expand(2, 3), ad.ones(2, 3)),
    "columns": lambda: (ad.ones(3, 2).t(), ad.full((2, 3), 3.0)),
    "of NumPy": lambda: (ad.from_numpy(np.ones((2, 3), "f4")), ad.ones(2, 3)),
    "both of NumPy": lambda: tuple(
        ad.from_numpy(each) for each in np.ones((2, 2, 3), "f4")
    ),
    "wider": lambda: (ad.ones(2, 3), ad.ones(2, 3, dtype=ad.float64)),
    "integers": lambda: (ad.ones(2, 3, dtype=ad.int64), ad.full((2, 3), 3)),
    "no fit": lambda: (ad.ones(2, 3), ad.ones(4)),
}


@pytest.mark.parametrize("recorded", [True, False])
@pytest.mark.parametrize("kind", _TARGETS)
def test_changes_are_those_of_python(kind: str, recorded: bool) -> None:
    make = _TARGETS[kind]

    def assigned(way: Any) -> Any:
        def change(x: Any, y: Any) -> Any:
            x._check_inplace("copy_")
            return way(x, "copy_", y)

        return change

    def over(way: Any) -> Any:
        return lambda x, y: way("add_", OPS["add"], x, y)

    def scaled(way: Any) -> Any:
        return lambda x, y: way("add_", OPS["add_scaled"], x, y, alpha=0.5)

    places = in_place.assign_in_python, in_place._assign_any
    ways = in_place.overwrite_in_python, in_place.overwrite
    with ad.set_grad_enabled(recorded):
        for act, both in ((assigned, places), (over, ways), (scaled, ways)):
            want = _changed(act(both[0]), make)
            for _ in range(2):
                assert _changed(act(both[1]), make) == want


def test_a_change_refuses_what_is_no_tensor() -> None:
    x = ad.ones(2)
    for arguments in ((), ("add_",), ("add_", OPS["add"]), ("add_", None, x)):
        with pytest.raises((TypeError, AttributeError)):
            in_place.overwrite(*arguments)
    with pytest.raises(TypeError):
        native.dispatch.assign(x, "copy_")
    with pytest.raises(AttributeError):
        native.dispatch.assign(x, "copy_", 5)


@pytest.mark.parametrize("alpha", [1, 2, 0.5, -1.5])
def test_scaled_sums_in_place_are_those_apart(alpha: float) -> None:
    x, y = ad.randn(3, 4), ad.randn(4)
    for name in ("add", "sub"):
        want = getattr(x, name)(y, alpha=alpha)
        changed = x.clone()
        place = changed._array.address
        assert getattr(changed, f"{name}_")(y, alpha=alpha) is changed
        assert changed.numpy().tobytes() == want.numpy().tobytes()
        assert changed._array.address == place


@pytest.mark.parametrize("value", [0.0, -0.0, 0, 2, 1.5, True, 2**40])
def test_one_number_is_written_everywhere(value: float) -> None:
    want = np.ones((3, 4), np.float32)
    for _ in range(2):
        x = ad.ones(3, 4)
        x[1:, ::2] = value
        want[1:, ::2] = value
        assert x.numpy().tobytes() == want.tobytes()
        for each in (ad.ones(4, 3).t(), ad.ones(3, 4)[:, 1:]):
            filled = each.fill_(value).numpy()
            assert filled.tobytes() == np.full(each.shape, value, "f4").tobytes()
        made = ad.full((2, 3), float(value)).numpy()
        assert made.tobytes() == np.full((2, 3), value, "f4").tobytes()
    assert ad.ones(2, 2).t()[0].fill_(-0.0).tolist() == [0.0, 0.0]


def test_a_number_that_is_written_must_fit() -> None:
    x = ad.zeros(2, dtype=ad.int8)
    for write in (lambda: x.__setitem__(0, 300), lambda: x.fill_(300)):
        with pytest.raises(ad.DTypeError, match="not among the numbers of int8"):
            write()
    with pytest.raises(ad.DTypeError, match="full_like: "):
        ad.full_like(x, 300)
    # what is kept of a number is not changed by what it was written to
    y = ad.zeros(2)
    y[:] = 7.0
    y += 1.0
    assert (y.tolist(), ad.zeros(2).fill_(7.0).tolist()) == ([8.0] * 2, [7.0] * 2)


def test_tensors_like_a_transposed_one_lie_as_it() -> None:
    x = ad.ones(2, 3).t()
    for make in (ad.zeros_like, ad.ones_like, ad.empty_like, ad.rand_like):
        assert make(x).stride() == (1, 3)[:: 1 if x.stride() == (1, 3) else -1]
    assert ad.zeros_like(x[::2]).tolist() == [[0.0, 0.0]] * 2
    assert ad.zeros_like(x, requires_grad=True).requires_grad


def test_gradients_are_gathered_as_in_python() -> None:
    params = [ad.ones(2, requires_grad=True) for _ in range(3)]
    (params[0] * 2.0 + params[2]).sum().backward()
    for each in (params, tuple(params), [], params[1:2]):
        found, want = native.dispatch.gradients_of(each), core.gradients_in_python(each)
        assert [[id(x) for x in part] for part in found[:2]] == [
            [id(x) for x in part] for part in want[:2]
        ]
        assert found[2] == want[2]
    assert native.dispatch.gradients_of([params[0], 5]) is None
    with pytest.raises(TypeError):
        native.dispatch.gradients_of(5)
    half = object.__new__(ad.Tensor)
    assert native.dispatch.gradients_of([half]) is None


def test_gradients_are_dropped_unless_something_is_no_tensor() -> None:
    drop = native.dispatch.drop_gradients
    params = [ad.ones(2, requires_grad=True) for _ in range(2)]
    for p in params:
        p.grad = ad.ones(2)
    assert drop([*params, 5]) is False
    assert all(p.grad is not None for p in params)
    # the end of a gradient may do anything to the list
    weakref.finalize(params[0].grad, params.clear)
    kept = list(params)
    assert drop(params) is True
    assert params == []
    assert all(p.grad is None for p in kept)
    with pytest.raises(TypeError):
        drop(5)


def test_the_same_objects_are_told_from_equal_ones() -> None:
    same, value = native.dispatch.holds_same, [1.5]
    for group, values, expected in (
        ({}, [], True),
        ({"a": value, "b": None}, [value, None], True),
        ({"a": value}, [[1.5]], False),
        ({"a": value}, [value, None], False),
        ({"a": None, "b": value}, [value, None], False),
    ):
        assert same(group, values) is expected
        assert optimizer._holds_same_in_python(group, values) is expected
    # what is no dict is read anew at each step
    for other in (({}, ()), ([], []), (UserDict(a=value), [value])):
        assert same(*other) is False


def test_hooks_of_modules_are_seen_as_in_python() -> None:
    def outcome(way: Any, modules: list[Any]) -> Any:
        try:
            return way(*modules)
        except Exception as error:
            return type(error), str(error)

    def hooked(register: str) -> nn.Module:
        module = nn.ReLU()
        getattr(module, register)(lambda *given: None)
        return module

    own, bare = nn.ReLU(), object.__new__(nn.ReLU)
    own.forward = lambda x: x  # type: ignore[method-assign]
    names = ("register_forward_hook", "register_forward_pre_hook")
    names += ("register_full_backward_hook", "register_full_backward_pre_hook")
    seen = [hooked(name) for name in names]
    for modules in (
        [],
        [nn.ReLU()],
        [nn.ReLU(), own],
        [bare],
        *([each] for each in seen),
    ):
        found = outcome(native.dispatch.are_hooked, modules)
        assert found == outcome(calling.are_hooked_in_python, modules)
    assert outcome(native.dispatch.are_hooked, [own]) is True
    assert all(outcome(native.dispatch.are_hooked, [nn.ReLU(), each]) for each in seen)
    assert outcome(native.dispatch.are_hooked, [5])[0] is AttributeError


def test_an_array_of_bytes_has_memory_of_its_own() -> None:
    kind = (2,), (1,), float32, backends.pack_layout(float32.code, (2,), (1,))
    content = np.array([1.5, -2.0], np.float32).tobytes()
    x, y = (native.dispatch.array_of_bytes(content, *kind) for _ in range(2))
    x.numpy()[0] = 7
    assert (x.tolist(), y.tolist()) == ([7.0, -2.0], [1.5, -2.0])
    assert x.storage.nbytes == 8
    with pytest.raises(TypeError):
        native.dispatch.array_of_bytes("text", *kind)


def test_an_array_over_numpy_is_that_of_python() -> None:
    values = np.arange(12.0).reshape(3, 4)[1:, ::2]
    kind = values.nbytes, values.shape, (4, 2), float64, None
    found, wanted = (
        way(values, *kind)
        for way in (native.dispatch.array_over, array_module._over_in_python)
    )
    for name in fields.SLOTS["ArrayFields"]:
        if name not in ("storage", "_ndarray"):
            assert getattr(found, name) == getattr(wanted, name)
    assert found._ndarray is wanted._ndarray is values
    for name in fields.SLOTS["StorageFields"]:
        mine, theirs = (getattr(each.storage, name) for each in (found, wanted))
        assert mine is theirs or mine == theirs
    assert found.storage.is_shared()
    del mine, theirs
    before = sys.getrefcount(values)
    del found
    assert sys.getrefcount(values) == before - 2
    for wrong in ((5, *kind), (values,)):
        with pytest.raises(TypeError):
            native.dispatch.array_over(*wrong)


_GIVEN: list[tuple[Any, ...]] = [
    (),
    (1, 1),
    (1.0, 1),
    (True, 1),
    (0.0,),
    (-0.0,),
    (False,),
    (0,),
    (None,),
    ("a", (1, 2)),
    ("a", [1, 2]),
    ("a", (1.0, 2)),
    ("a", (True, 2)),
    ("a", ((1,), 2)),
    ("a", ()),
    ("a", []),
    (2**70,),
    (float("inf"),),
]


@pytest.mark.parametrize("beside", [0, 1])
def test_what_is_kept_by_arguments_is_kept_as_in_python(beside: int) -> None:
    for way in (native.dispatch.keeper, record.keeper_in_python):
        made: list[Any] = []
        kept = way(
            lambda *given, made=made: made.append(given) or object(), list, beside
        )
        each = [object() for _ in range(beside)]
        first = [kept(*each, *given) for given in _GIVEN]
        assert [kept(*each, *given) for given in _GIVEN] == first
        assert len(set(map(id, first))) == len(made) == len(_GIVEN)
        if beside:
            assert kept(object(), 1) is not kept(object(), 1)


def test_what_is_not_plain_is_found_anew() -> None:
    class Whole(int):
        pass

    deep: Any = 1
    for _ in range(20):
        deep = (deep,)
    given = (Whole(1), np.float32(1), ad.ones(1), b"x", {}, (1, {}), float32)
    for way in (native.dispatch.keeper, record.keeper_in_python):
        kept = way(lambda *_: "kept", lambda *_: "found", 0)
        assert {kept(each) for each in given} == {"found"}
    kept = native.dispatch.keeper(lambda *_: "kept", lambda *_: "found", 0)
    assert {kept(deep), kept((0,) * 65), kept(float("nan"))} == {"found"}

    def fails(*given: Any) -> Any:
        raise KeyError(given)

    for way in (native.dispatch.keeper, record.keeper_in_python):
        kept = way(fails, fails, 0)
        for each in (1, {}):
            with pytest.raises(KeyError):
                kept(each)
        many = way(lambda *_: object(), list, 0)
        before = many(0)
        for i in range(1, 1024):
            many(i)
        assert many(0) is before
        many(1024)
        assert many(0) is not before


# ---- what runs while C waits for Python ----


class _Leaving:
    """A number that is gone from a field as soon as somebody adds to it, or compares it."""

    def __init__(self, owner: Any, name: str) -> None:
        self.field = owner, name

    def _leave(self) -> None:
        if hasattr(*self.field):
            delattr(*self.field)

    def __eq__(self, other: object) -> bool:
        self._leave()
        return True

    __hash__ = None  # type: ignore[assignment]

    def __add__(self, other: Any) -> int:
        self._leave()
        return 1

    def __bool__(self) -> bool:
        self._leave()
        return False


def test_what_leaves_a_field_while_it_is_in_use() -> None:
    for recorded in (True, False):
        with ad.set_grad_enabled(recorded):
            x, y = ad.zeros(2, 3), ad.ones(2, 3)
            for owner, name in (
                (x, "_changes"),
                (x._array.storage, "version"),
                (x._array, "offset"),
                (x._array, "shape"),
            ):
                for change in (
                    lambda x=x, y=y: in_place._assign_any(x, "copy_", y),
                    lambda x=x: in_place.overwrite("add_", OPS["add"], x, x.detach()),
                ):
                    before = getattr(owner, name)
                    odd: Any = _Leaving(owner, name)
                    setattr(owner, name, (odd, odd) if name == "shape" else odd)
                    del odd
                    try:
                        change()
                    except SystemError:
                        raise
                    except Exception:
                        pass
                    setattr(owner, name, before)
    x = ad.ones(2, requires_grad=True)
    x._array.storage.exports = _Leaving(x._array.storage, "exports")
    assert x.exp().requires_grad


def test_lists_that_come_to_hold_themselves_are_not_followed() -> None:
    data: list[Any] = [1.0, 2.0]
    memory = ad.zeros(2)._array
    _, kinds = native.dispatch.numbers_in(data)
    data[0] = data
    write = native.dispatch.write_numbers
    assert not write(data, kinds, memory.address, memory.dtype.code, 2)


def test_memory_that_numpy_was_shown_and_brings_back_is_read_first() -> None:
    for start in (0, 1):
        for _ in range(2):
            x = ad.arange(40.0)
            both = x, ad.from_numpy(x.numpy())
            target, source = both[start], both[1 - start]
            target[1:].add_(source[:-1])
            assert x.tolist() == [0.0, *range(1, 79, 2)]
            target[1:].copy_(source[:-1])
            assert x.tolist() == [0.0, 0.0, *range(1, 77, 2)]


@pytest.mark.parametrize("shape", [(2**70,), (2**63, 0), (2, 2**64)])
def test_sizes_beyond_64_bits_are_shape_errors(shape: tuple[int, ...]) -> None:
    for make in (ad.zeros, ad.empty, ad.randn):
        with pytest.raises(ad.ShapeError, match="must fit 64 bits"):
            make(*shape)


def test_a_list_that_holds_itself_is_an_error() -> None:
    data: list[Any] = [1.0]
    data[0] = data
    with pytest.raises(RecursionError):
        ad.tensor(data)
