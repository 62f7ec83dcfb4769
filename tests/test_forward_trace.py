"""Traces: a repeated call gives what the rule itself gives, and keeps nothing alive."""

from __future__ import annotations

import gc
import threading
import weakref
from typing import Any

import numpy as np
import op_cases as oc
import pytest

import pyautodl as ad
import pyautodl.nn.functional as F
from pyautodl.backends import Array, from_numpy, native
from pyautodl.graph import Context
from pyautodl.ops.forward_trace import Trace
from pyautodl.ops.plan import Plan
from pyautodl.ops.record import OPS
from pyautodl.tensor import Tensor, apply

pytestmark = pytest.mark.usefixtures("compiled")

TRACED = sorted(n for n, op in OPS.items() if op.plan is None and not op.random)


RANDOM = sorted(n for n, op in OPS.items() if op.random)


def _others(values: Any, seed: int) -> Any:
    """Other values of the same kind: the same ones in another order."""
    if not isinstance(values, np.ndarray):
        return values
    order = np.random.default_rng(seed).permutation(values.size)
    return values.reshape(-1)[order].reshape(values.shape)


def _rule_alone(op: Any, arrays: list[Array | None], attrs: Any) -> list[Any]:
    op.rule(*arrays, **attrs)
    result = op.forward(Context(attrs), (False,) * len(arrays), *arrays, **attrs)
    return [each.numpy() for each in (result if type(result) is tuple else (result,))]


def _traces(op: Any) -> list[Any]:
    return [plan for plan in op.plans.values() if isinstance(plan, Trace)]


@pytest.mark.parametrize("name", TRACED)
def test_repeated_calls_equal_the_rule(name: str) -> None:
    failures = oc.Failures()
    for case in oc.cases(name):
        for seed in range(3):
            inputs = [_others(x, seed + i) for i, x in enumerate(case.sample.inputs)]
            other = oc.Case(case.op, case.number, case.sample._replace(inputs=inputs))
            tensors = oc.tensors(other, "float32")
            arrays = [None if x is None else x._array for x in tensors]
            try:
                want = _rule_alone(case.op, arrays, dict(case.sample.attrs))
            except (ValueError, IndexError):
                break  # the order matters, as of offsets
            got = oc.values(oc.run(other, tensors))
            if [y.tobytes() for y in got] != [y.tobytes() for y in want]:
                failures.add(f"{case}, call {seed}", "the bits differ")
    failures.check()


def test_most_ops_are_traced() -> None:
    refused = []
    for name in TRACED:
        OPS[name].plans.clear()
        for case in oc.cases(name)[:2]:
            oc.run(case, oc.tensors(case, "float32"))
        if not _traces(OPS[name]):
            refused.append(name)
    assert len(refused) < len(TRACED) / 3, refused


def test_gradients_of_a_repeated_call() -> None:
    layers = (
        lambda x: F.max_pool2d(x, 2),
        lambda x: F.softmax(x, 1),
        lambda x: F.layer_norm(x, (6,)),
        lambda x: x.var(1),
        lambda x: F.pad(x, (1, 2)),
        lambda x: ad.where(x > 0, x, x * 2),
        lambda x: x.max(1)[0],
        lambda x: ad.cat(x.split(2, 1)[::-1], 1),
    )
    for layer in layers:
        for op in OPS.values():
            op.plans.clear()
        for seed in range(3):
            ad.manual_seed(seed)
            x = ad.randn(2, 4, 6, 6, dtype=ad.float64, requires_grad=True)
            assert ad.autograd.gradcheck(layer, (x,))


def test_errors_of_a_repeated_call_are_those_of_the_rule() -> None:
    x, index = ad.zeros(3, 4), ad.tensor([[0, 1]])
    x.gather(0, index)
    messages = []
    for clear in (False, True):
        if clear:
            OPS["gather"].plans.clear()
        with pytest.raises(IndexError) as caught:
            x.gather(0, ad.tensor([[0, 9]]))
        messages.append(str(caught.value))
    assert messages[0] == messages[1]


def test_inputs_that_share_memory_are_told_from_others() -> None:
    condition, x, y = ad.tensor([True, False]), ad.tensor([1.0, 2]), ad.tensor([3.0, 4])
    OPS["where"].plans.clear()
    assert ad.where(condition, x, x).tolist() == [1, 2]
    assert ad.where(condition, x, y).tolist() == [1, 4]
    assert ad.where(condition, y, y).tolist() == [3, 4]


@pytest.mark.parametrize("first", [0, False, 0.0])
def test_zeros_of_both_signs(first: float) -> None:
    x = ad.ones(1)
    for name in ("pad", "full"):
        OPS[name].plans.clear()
    for value in (first, -0.0, 0.0):
        padded = F.pad(x, (1, 0), value=value)
        assert np.signbit(padded.numpy()).tolist() == [np.signbit(value), False]
        assert np.signbit(x.new_full((1,), value).numpy()) == [np.signbit(value)]


def test_a_trace_keeps_no_memory() -> None:
    OPS["softmax"].plans.clear()
    gc.collect()  # what other tests left would be freed meanwhile
    before = ad.memory_stats()["allocated_bytes"]
    for _ in range(3):
        F.softmax(ad.zeros(1000, 1000), 1)
    assert ad.memory_stats()["allocated_bytes"] == before


def _allocated() -> int:
    return native.memory_stats()["allocated_bytes"]


def test_what_steps_make_for_each_other_is_freed() -> None:
    # copied into the kernel's layout first
    x = ad.ones(2, 9, 3).transpose(1, 2)
    ad.max_pool1d(x, 3)
    used = _allocated()
    for _ in range(3):
        ad.max_pool1d(x, 3)
        assert _allocated() == used


def test_a_step_that_fails_frees_what_the_others_made() -> None:
    x = ad.ones(2, 9, 3).transpose(1, 2)
    classes = ad.full((2, 9), 7, dtype=ad.int64)
    used = _allocated()
    for _ in range(3):
        with pytest.raises(IndexError, match=r"cross_entropy: .* 7"):
            F.cross_entropy(x, classes)
        assert _allocated() == used


def test_another_backend_gets_its_own() -> None:
    x = ad.randn(3, 4)
    want = F.softmax(x, 1)
    for _ in range(2):
        with ad.use_backend("reference"):
            assert not _traces(OPS["softmax"])
            assert ad.allclose(F.softmax(x, 1), want)
        F.softmax(x, 1)
        assert _traces(OPS["softmax"])


@pytest.mark.parametrize("name", RANDOM)
def test_repeated_draws_equal_those_of_the_rule(name: str) -> None:
    failures = oc.Failures()
    for case in oc.cases(name):
        tensors = oc.tensors(case, "float32")
        arrays = [None if x is None else x._array for x in tensors]
        OPS[name].plans.clear()
        states = [from_numpy(np.array([7, 0, 0])) for _ in range(2)]
        traced, ruled = [{**case.sample.attrs, "state": each} for each in states]
        for call in range(3):
            want = _rule_alone(case.op, arrays, ruled)
            got = apply(OPS[name], *tensors, **traced).numpy()
            if got.tobytes() != want[0].tobytes():
                failures.add(f"{case}, call {call}", "the bits differ")
        if states[0].numpy().tolist() != states[1].numpy().tolist():
            failures.add(str(case), "the states differ")
    failures.check()


def test_most_draws_are_traced() -> None:
    for name in RANDOM:
        OPS[name].plans.clear()
    x, generator = ad.randn(3, 4), ad.Generator()
    generator.manual_seed(3)
    F.dropout(x), ad.rand(2), ad.bernoulli(x.sigmoid()), ad.randint(3, (2,))
    names = ("dropout", "random_normal", "random_uniform", "random_bernoulli")
    assert all(_traces(OPS[name]) for name in names)


def test_each_norm_moves_its_own_statistics() -> None:
    OPS["batch_norm"].plans.clear()
    x = [ad.randn(4, 3) for _ in range(4)]
    norms = [ad.nn.BatchNorm1d(3) for _ in range(2)]
    for each in x:
        norms[0](each)
    assert _traces(OPS["batch_norm"])
    norms[1](x[0])
    for norm, seen in zip(norms, (x, x[:1])):
        mean, count = norm.running_mean, norm.num_batches_tracked
        assert count.item() == len(seen)
        assert (mean._version, count._version) == (len(seen), len(seen))
        want = ad.zeros(3)
        for each in seen:
            want = 0.9 * want + 0.1 * each.mean(0)
        assert ad.allclose(mean, want, atol=1e-6)


def test_a_trace_keeps_no_statistics_alive() -> None:
    OPS["batch_norm"].plans.clear()
    norm = ad.nn.BatchNorm1d(3)
    kept = weakref.ref(norm.running_mean._array.storage)
    norm(ad.randn(4, 3)).sum().backward()
    assert _traces(OPS["batch_norm"])
    del norm
    assert kept() is None


def test_lists_and_parts_of_arrays() -> None:
    x = [ad.arange(6.0).reshape(2, 3) + 10 * i for i in range(20)]
    calls = (
        lambda x: ad.cat(x),
        lambda x: ad.cat(x, 1),
        lambda x: ad.stack(x, 1),
        lambda x: ad.cat([x[0], x[0], x[1]]),
        lambda x: F.pad(x[0], (1, 2, 0, 1), value=3.0),
        lambda x: x[0].roll((1, 2), (0, 1)),
        lambda x: x[0].flip(0, 1),
        lambda x: x[0] @ x[1].T + x[2][:, 1:].sum(),
    )
    for call in calls:
        for op in OPS.values():
            op.plans.clear()
        with ad.use_backend("reference"):
            want = [call(x[i:]).numpy() for i in range(3)]
        for i in range(3):
            assert np.array_equal(call(x[i:]).numpy(), want[i])


def test_a_kind_met_first_with_one_array_twice_is_traced() -> None:
    OPS["where"].plans.clear()
    condition, x = ad.tensor([True, False]), ad.tensor([1.0, 2])
    ad.where(condition, x, x)
    assert _traces(OPS["where"])
    assert ad.where(condition, x, ad.tensor([3.0, 4])).tolist() == [1, 4]


def test_attributes_of_wrong_types_are_not_kept_for_right_ones() -> None:
    x = ad.ones(2, 3, 5, 7)
    for _ in range(2):
        with pytest.raises(TypeError, match=r"^var: dim must be integers, got \(2.0"):
            x.var((2.0,))
        with pytest.raises(TypeError, match=r"normalized_shape must be integers, got"):
            F.layer_norm(x, (7.0,))
        with pytest.raises(TypeError, match="conv2d: groups must be an int"):
            F.conv2d(x, ad.ones(4, 3, 2, 2), groups=1.0)  # type: ignore[arg-type]
        with pytest.raises(TypeError):
            F.group_norm(x, 3.0)  # type: ignore[arg-type]
    assert x.var((2,)).shape == (2, 3, 7)
    assert F.conv2d(x, ad.ones(4, 3, 2, 2), groups=1).shape == (2, 4, 4, 6)
    assert F.group_norm(x, 3).shape == x.shape
    assert F.layer_norm(x, (7,)).shape == x.shape


def test_a_number_that_is_none_for_the_kernel_is_a_type_error() -> None:
    x, classes = ad.ones(2, 3), ad.tensor([0, 1])
    with pytest.raises(TypeError, match=r"cross_entropy.*: expected 2 integers"):
        F.cross_entropy(x, classes, ignore_index=2**70)
    for wrong in (None, 0.5):
        with pytest.raises(
            TypeError, match="cross_entropy: ignore_index must be an int"
        ):
            F.cross_entropy(x, classes, ignore_index=wrong)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"layer_norm.*got .* \('x',\)"):
        F.layer_norm(x, (3,), eps="x")


def test_calls_of_one_kind_in_two_threads() -> None:
    x = [ad.full((50, 40), float(i)) for i in range(2)]
    wrong: list[int] = []

    def work(i: int) -> None:
        for _ in range(300):
            OPS["cumsum"].plans.clear()
            for _ in range(3):
                y = apply(OPS["cumsum"], x[i], dim=0)
                if not isinstance(y, Tensor) or y[-1, -1].item() != 50 * i:
                    wrong.append(i)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def _with_forward(monkeypatch: pytest.MonkeyPatch, before: Any) -> Any:
    """cumsum, whose forward rule calls `before(x)` first, and no trace of it so far."""
    op = OPS["cumsum"]
    op.plans.clear()
    forward = op.forward

    def changed(ctx: Any, needs: Any, x: Array, **attrs: Any) -> Any:
        before(x)
        return forward(ctx, needs, x, **attrs)

    monkeypatch.setattr(op, "forward", changed)
    return op


def _in_thread(work: Any) -> None:
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


def test_a_read_in_another_thread_is_not_the_rules(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    op = _with_forward(monkeypatch, lambda x: _in_thread(x.item))
    apply(op, ad.ones(3), dim=0)
    assert _traces(op)
    op.plans.clear()


def test_a_read_that_another_thread_takes_back_is_not_the_rules(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    has_read, watching = threading.Event(), threading.Event()
    item, main = Array.item, threading.get_ident()

    def slow_item(array: Array) -> Any:
        value = item(array)
        if threading.get_ident() != main:
            has_read.set()
            watching.wait(60)
        return value

    # takes its read of how many are set back
    other = threading.Thread(
        target=lambda: ad.ones(2).masked_scatter(ad.tensor([True, False]), ad.ones(2))
    )

    def before(x: Array) -> None:
        x.item()
        watching.set()
        other.join()

    monkeypatch.setattr(Array, "item", slow_item)
    op = _with_forward(monkeypatch, before)
    other.start()
    assert has_read.wait(60)
    apply(op, ad.ones(3), dim=0)
    assert not _traces(op)
    op.plans.clear()


SEEN_ONCE: dict[str, Any] = {
    "trace": lambda n: F.softmax(ad.ones(n, 3), -1),
    "kernel": lambda n: ad.ones(n) + ad.ones(n),
    "copied": lambda n: F.linear(ad.ones(3, n).T, ad.ones(2, 3)),
    "named": lambda n: ad.ones(n).index_select(0, ad.tensor([0])),
    "checked": lambda n: F.cross_entropy(ad.ones(n, 3), ad.zeros(n, dtype=ad.int64)),
    "chosen": lambda n: (ad.ones(n) > 0).nonzero(),
    "scattered": lambda n: ad.ones(n).masked_scatter(ad.ones(n) > 0, ad.ones(n)),
}


@pytest.mark.parametrize("backend", ["native", "reference"])
@pytest.mark.parametrize("name", SEEN_ONCE)
def test_plans_that_are_dropped_die_without_the_garbage_collector(
    name: str, backend: str
) -> None:
    _drop_plans()
    gc.collect()
    gc.disable()
    try:
        with ad.use_backend(backend):
            before = _count_plans()
            for n in range(2, 22):
                SEEN_ONCE[name](n)
            # NumPy's kernels are not traced
            least = 0 if (name, backend) == ("trace", "reference") else 20
            assert _count_plans() - before >= least
            _drop_plans()
            assert _count_plans() == before
    finally:
        gc.enable()


def _drop_plans() -> None:
    for op in OPS.values():
        op.plans.clear()


def _count_plans() -> int:
    # by type(), as isinstance() asks a weak proxy for its object, which may be dead
    return sum(issubclass(type(each), Plan) for each in gc.get_objects())
