"""What csrc/dispatch does at every call: the fields of objects, and kernels one by one."""

import gc
import weakref

import numpy as np
import pyautodl as ad
import pytest
from pyautodl.backends import (
    Array,
    KernelCall,
    Made,
    Seen,
    fields,
    native,
    prepare_chain,
)
from pyautodl.backends.dtypes import float32

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
    assert ad.memory_stats()["allocated_bytes"] - before == one


def test_results_are_inputs_views_and_nothing() -> None:
    x, y = _array([1.0, 2.0, 3.0]), _array([10.0, 20.0, 30.0])
    results = [(2, None), (None, None), (0, None), (2, lambda a: a.shape)]
    found = prepare_chain([_step(0, 1)], 2, 0, results, False)((x, y), ())
    assert found[1:] == (None, x, (3,))
    np.testing.assert_array_equal(found[0].numpy(), [11.0, 22.0, 33.0])


def test_an_error_leaves_no_memory_behind() -> None:
    x, y = _array([1.0, 2.0, 3.0]), _array([10.0, 20.0, 30.0])

    def fail(array: Array) -> None:
        raise KeyError(array.shape)

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
    ],
)
def test_launch_refuses_what_it_cannot_read(arguments: tuple) -> None:
    with pytest.raises((TypeError, ValueError)):
        native.dispatch.Launch(*arguments)


def test_arrays_are_freed_without_the_collector() -> None:
    gc.disable()
    try:
        storage = weakref.ref((ad.ones(3) + 1.0)._array.storage)
    finally:
        gc.enable()
    assert storage() is None


def test_the_collector_finds_cycles_through_objects() -> None:
    tensor = ad.ones(3) + 1.0
    tensor.itself = tensor
    storage = weakref.ref(tensor._array.storage)
    del tensor
    gc.collect()
    assert storage() is None
