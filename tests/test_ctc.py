"""CTC loss: against all ways there are, against torch, at its edges."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest

import pyautodl as ad
from pyautodl import nn

F = nn.functional


def _spoken(classes: tuple[int, ...], blank: int) -> list[int]:
    """What a way of classes says: repeated ones once, blanks not."""
    return [
        c
        for i, c in enumerate(classes)
        if c != blank and (i == 0 or c != classes[i - 1])
    ]


def _by_all_ways(logs: Any, labels: list[int], blank: int) -> float:
    total = 0.0
    for way in itertools.product(range(logs.shape[1]), repeat=len(logs)):
        if _spoken(way, blank) == labels:
            total += math.exp(sum(logs[t, c] for t, c in enumerate(way)))
    return -math.log(total) if total else math.inf


def _logs(times: int, count: int, classes: int) -> ad.Tensor:
    ad.manual_seed(times)
    return ad.randn(times, count, classes, dtype=ad.float64).log_softmax(-1)


@pytest.mark.parametrize("blank", [0, 1, 2])
@pytest.mark.parametrize("backend", ["native", "reference"])
def test_it_sums_all_ways(blank: int, backend: str) -> None:
    labels = [c for c in range(3) if c != blank]
    a, b = labels
    cases: list[list[int]] = [
        [],
        [a],
        [a, b],
        [a, a],
        [b, a, b],
        [a, a, a],
        [b, b, a, a],
    ]
    logs = _logs(5, len(cases), 3)
    most = max(map(len, cases))
    padded = ad.tensor([case + [blank] * (most - len(case)) for case in cases])
    ends = [len(case) for case in cases]
    row = ad.tensor([label for case in cases for label in case])
    for times in ([5] * len(cases), [5, 4, 3, 2, 3, 5, 4], [0, 1, 1, 3, 2, 4, 5]):
        expected = [
            _by_all_ways(logs[:t, n].numpy(), case, blank)
            for n, (t, case) in enumerate(zip(times, cases))
        ]
        for targets in (padded, row, padded.int()):
            for dtype, rtol in ((ad.float64, 1e-12), (ad.float32, 1e-5)):
                with ad.use_backend(backend):
                    found = F.ctc_loss(
                        logs.to(dtype), targets, times, ends, blank, "none"
                    )
                assert found.dtype is dtype
                np.testing.assert_allclose(found.numpy(), expected, rtol=rtol)


def test_reductions() -> None:
    logs = _logs(6, 3, 4).requires_grad_()
    targets = ad.tensor([[1, 2, 3], [2, 0, 0], [1, 1, 1]])
    times, ends = ad.tensor([6, 6, 4]), ad.tensor([3, 1, 3])
    each = F.ctc_loss(logs, targets, times, ends, reduction="none")
    assert each[2].item() == math.inf
    ones = F.ctc_loss(logs, targets, times, ends, reduction="none", zero_infinity=True)
    assert ones.tolist() == [*each[:2].tolist(), 0.0]
    total = F.ctc_loss(logs, targets, times, ends, 0, "sum", True)
    assert total.item() == pytest.approx(ones.sum().item())
    loss = nn.CTCLoss(zero_infinity=True)(logs, targets, times, ends)
    assert loss.item() == pytest.approx((ones / ends).mean().item())
    loss.backward()
    assert logs.grad.isfinite().all()
    assert logs.grad[:, 2].abs().max().item() == 0
    assert logs.grad[:, 0].abs().max().item() > 0
    alone = nn.CTCLoss(reduction="none")(logs[:, 0], targets[0], 6, 3)
    assert (tuple(alone.shape), alone.item()) == ((), each[0].item())
    empty = F.ctc_loss(logs[:, :1], ad.zeros(1, 0, dtype=ad.int64), [6], [0])
    assert empty.item() == pytest.approx(-logs[:, 0, 0].sum().item())


def test_far_from_likely() -> None:
    # no product of probabilities would be above 0
    logs = (_logs(200, 1, 5) * 1000).float()
    logs = logs.detach().requires_grad_()
    targets = ad.tensor([[1, 2, 3, 4] * 20])
    loss = F.ctc_loss(logs, targets, [200], [80], reduction="sum")
    loss.backward()
    assert 1e4 < loss.item() < 1e8
    # at each time the ways are in some state
    np.testing.assert_allclose(logs.grad.sum(-1).numpy(), -1, rtol=1e-3)


def test_the_same_bits_for_any_threads() -> None:
    logs = _logs(40, 7, 9).float()
    targets = ad.randint(1, 9, (7, 12))
    before, found = ad.get_num_threads(), set()
    for threads in (1, 2, 4):
        ad.set_num_threads(threads)
        x = logs.detach().requires_grad_()
        loss = F.ctc_loss(x, targets, [40] * 7, range(6, 13))
        loss.backward()
        found.add(loss.detach().numpy().tobytes() + x.grad.numpy().tobytes())
    ad.set_num_threads(before)
    assert len(found) == 1


@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
def test_the_same_as_torch(reduction: str) -> None:
    torch: Any = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    logits = rng.standard_normal((30, 4, 7))
    targets = rng.integers(0, 6, (4, 9))
    targets += targets >= 3
    times, ends = [30, 22, 30, 12], [9, 4, 0, 8]
    for dtype, rtol in ((np.float64, 1e-9), (np.float32, 1e-4)):
        x = ad.tensor(logits.astype(dtype), requires_grad=True)
        y = torch.tensor(logits.astype(dtype), requires_grad=True)
        found = F.ctc_loss(
            x.log_softmax(-1), ad.tensor(targets), times, ends, 3, reduction
        )
        expected = torch.nn.functional.ctc_loss(
            y.log_softmax(-1), torch.tensor(targets), times, ends, 3, reduction
        )
        np.testing.assert_allclose(
            found.detach().numpy(), expected.detach().numpy(), rtol=rtol
        )
        found.sum().backward()
        expected.sum().backward()
        np.testing.assert_allclose(x.grad.numpy(), y.grad.numpy(), rtol=rtol, atol=1e-6)


def test_arguments_are_checked() -> None:
    logs, targets = _logs(4, 2, 3), ad.tensor([[1, 2], [2, 1]])
    for run, error, match in (
        (lambda: F.ctc_loss(logs, targets, [4], [2, 2]), ad.ShapeError, "of 2 seq"),
        (lambda: F.ctc_loss(logs, targets, [4, 5], [2, 2]), ValueError, "times of"),
        (lambda: F.ctc_loss(logs, targets, [4, 4], [2, 3]), ValueError, "labels"),
        (lambda: F.ctc_loss(logs, targets, [4, 4], [2, 2], 1), ValueError, "no label"),
        (
            lambda: F.ctc_loss(logs, targets + 1, [4, 4], [2, 2]),
            IndexError,
            "none of 3",
        ),
        (
            lambda: F.ctc_loss(logs, targets[0], [4, 4], [2, 2]),
            ad.ShapeError,
            "sum to 4",
        ),
        (lambda: F.ctc_loss(logs[0, 0], targets, 1, 1), ad.ShapeError, "log_probs"),
        (lambda: F.ctc_loss(logs, logs, [4, 4], [2, 2]), ad.DTypeError, "integer"),
        (
            lambda: F.ctc_loss(logs, targets, [4.5, 4], [2, 2]),
            TypeError,
            "input_lengths",
        ),
        (
            lambda: F.ctc_loss(logs, targets, [4, 4], [2, 2], 0, "median"),
            ValueError,
            "reduction must be",
        ),
    ):
        with pytest.raises(error, match=match):
            run()
