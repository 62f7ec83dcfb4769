"""What a small call costs besides its kernel, counted: times would depend on the machine.

Python's work grows with the functions it enters, a step's with its kernel calls.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

import pyautodl as ad
import pyautodl.nn.functional as F
from pyautodl import backends, nn


def entered(call: Callable[[], Any]) -> int:
    """How many Python functions a call enters once it is warm."""
    for _ in range(3):
        call()
    count = 0

    def count_calls(frame: Any, event: str, argument: Any) -> None:
        nonlocal count
        count += event == "call"

    # what dies of other tests meanwhile would be counted
    gc.collect()
    gc.disable()
    sys.setprofile(count_calls)
    try:
        call()
    finally:
        sys.setprofile(None)
        gc.enable()
    return count


@contextmanager
def kernels() -> Iterator[list[str]]:
    """The names of the kernels that run in the block."""
    names: list[str] = []

    def observer(name: str, call: Any) -> Any:
        def counted(*arguments: Any) -> None:
            names.append(name)
            call(*arguments)

        return counted

    backends.observe(observer)
    try:
        yield names
    finally:
        backends.observe(None)


def matrix() -> ad.Tensor:
    return ad.tensor(np.eye(8, dtype=np.float32), requires_grad=True)


CALLS: dict[str, Callable[[ad.Tensor], ad.Tensor]] = {
    "add": lambda x: x + x,
    "mul": lambda x: x * x,
    "matmul": lambda x: x @ x,
    "relu": ad.relu,
    "sum": lambda x: x.sum(),
    "reshape": lambda x: x.reshape(64),
    "integer": lambda x: x[3],
    "slices": lambda x: x[1:3, 0],
    "linear": lambda x: nn.functional.linear(x, x),
}


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("name", CALLS)
def test_a_small_recorded_call_enters_few_functions(name: str) -> None:
    x = matrix()
    assert CALLS[name](x).grad_fn is not None
    assert entered(lambda: CALLS[name](x)) <= 20


# how many at most, and the call
PARTS: dict[str, tuple[int, Callable[[ad.Tensor], ad.Tensor]]] = {
    "conv2d": (33, lambda x: F.conv2d(x.view(1, 2, 4, 8), KERNEL)),
    "max_pool2d": (35, lambda x: F.max_pool2d(x.view(1, 2, 4, 8), 2)),
    "avg_pool2d": (33, lambda x: F.avg_pool2d(x.view(1, 2, 4, 8), 2)),
    "batch_norm": (20, lambda x: F.batch_norm(x, None, None, training=True)),
    "layer_norm": (20, lambda x: F.layer_norm(x, (8,))),
    "group_norm": (20, lambda x: F.group_norm(x, 2)),
    "cross_entropy": (25, lambda x: F.cross_entropy(x, CLASSES)),
    "mse_loss": (18, lambda x: F.mse_loss(x, x)),
    "pad": (18, lambda x: F.pad(x, (1, 1))),
    "cat": (18, lambda x: ad.cat((x, x))),
    "stack": (18, lambda x: ad.stack((x, x))),
    "indices": (20, lambda x: x[CLASSES]),
    "mask": (30, lambda x: x[MASK]),
    "rows of a mask": (56, lambda x: x[MASK[0]]),
    "new axis": (18, lambda x: x[..., None]),
}
KERNEL = ad.ones(2, 2, 3, 3)
CLASSES = ad.arange(8)
MASK = ad.ones(8, 8, dtype=ad.bool)


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("name", PARTS)
def test_a_layer_a_loss_or_a_part_enters_few_functions(name: str) -> None:
    most, call = PARTS[name]
    x = matrix()
    assert call(x).grad_fn is not None
    assert entered(lambda: call(x)) <= most


def make_step(batch: int) -> Callable[[], None]:
    model = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3))
    optimizer = ad.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    x, y = ad.rand(batch, 6), ad.zeros(batch, dtype=ad.int64)

    def step() -> None:
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()

    return step


@pytest.mark.parametrize("batch", [1, 4])
def test_a_step_runs_one_kernel_a_layer_and_direction(batch: int) -> None:
    step = make_step(batch)
    # the first makes the optimizer's state
    step()
    with kernels() as names:
        step()
    forward = ["matmul", "matmul", "cross_entropy_fwd"]
    # the input of the first layer needs no gradient
    backward = [
        "cross_entropy_bwd",
        "matmul",
        "linear_grad",
        "relu_grad",
        "linear_grad",
    ]
    assert names == [*forward, *backward, "sgd_step"]


@pytest.mark.usefixtures("compiled")
def test_a_step_enters_few_functions() -> None:
    assert entered(make_step(1)) <= 270
