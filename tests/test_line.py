"""Going down a line does what the walk does, and leaves to it what is special."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from typing import Any

import pytest

import pyautodl as ad
import pyautodl.nn.functional as F
from pyautodl import nn
from pyautodl.graph import backward, sums
from pyautodl.graph.line import Line
from pyautodl.ops.gradient_trace import REPEATS

pytestmark = pytest.mark.usefixtures("compiled")

LABELS = ad.tensor([0, 2])


@pytest.fixture(autouse=True)
def _forget() -> None:
    REPEATS.clear()


def _mlp() -> tuple[Any, Any]:
    return nn.Sequential(nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 3)), ad.randn(2, 5)


def _cnn() -> tuple[Any, Any]:
    layers = (nn.Conv2d(1, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 4, 2))
    net = nn.Sequential(*layers, nn.Flatten(), nn.Linear(16, 3))
    return net, ad.randn(2, 1, 8, 8)


class _Last(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm, self.head = nn.LSTM(3, 4, batch_first=True), nn.Linear(4, 3)

    def forward(self, x: Any) -> Any:
        return self.head(self.lstm(x)[0][:, -1])


def _lstm() -> tuple[Any, Any]:
    return _Last(), ad.randn(2, 6, 3)


NETS = {"mlp": _mlp, "cnn": _cnn, "lstm": _lstm}


def _loss(net: Any, x: Any) -> Any:
    return F.cross_entropy(net(x), LABELS)


def _train(net: Any, x: Any, times: int = 4) -> None:
    """Run passes, so that all rules have been seen."""
    for _ in range(times):
        _loss(net, x).backward()
        net.zero_grad()


def _bits(net: Any) -> list[bytes]:
    return [p.grad.numpy().tobytes() for p in net.parameters()]


def _no_line(edge: Any, gradient: Any, retain_graph: bool) -> Line:
    """Ends at once."""
    return Line(edge, gradient, [], [])


def _walked(net: Any, run: Callable[[], None]) -> list[bytes]:
    """The gradients of a pass that the walk made."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(backward, "run_line", _no_line)
        run()
    found = _bits(net)
    net.zero_grad()
    return found


def _refuse(*args: Any) -> Any:
    raise AssertionError("called")


@pytest.mark.parametrize("name", NETS)
def test_a_line_gives_the_bits_of_the_walk(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    net, x = NETS[name]()
    want = _walked(net, lambda: _loss(net, x).backward())
    _train(net, x)
    loss = _loss(net, x)
    monkeypatch.setattr(backward.Walk, "deliver", _refuse)
    loss.backward()
    assert _bits(net) == want


@pytest.mark.parametrize("name", NETS)
def test_leaves_take_the_memory_of_their_gradients(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    net, x = NETS[name]()
    _train(net, x)
    loss = _loss(net, x)
    monkeypatch.setattr(sums, "in_order", _refuse)  # it copies
    loss.backward()
    storages = [p.grad._array.storage for p in net.parameters()]
    assert len({id(each) for each in storages}) == len(storages)


class _Wide(nn.Module):
    """A gradient that is large where the line ends, and larger below the branch there."""

    def forward(self, x: Any) -> Any:
        y = x.reshape(2, 3, 128, 4, 128).sum(3)
        y = y * 2 + y * 3
        return y.sin().mean((2, 3))


def _wide() -> tuple[Any, Any]:
    return nn.Sequential(nn.Conv2d(1, 3, 1), _Wide()), ad.randn(2, 1, 256, 256)


@pytest.mark.parametrize("make", [_cnn, _wide])
def test_no_more_memory_is_in_use_than_in_a_walk(
    make: Callable[[], tuple[Any, Any]],
) -> None:
    net, x = make()
    _train(net, x)

    def peak() -> int:
        loss = _loss(net, x)
        ad.reset_peak_memory()
        before = ad.memory_stats()["allocated_bytes"]
        loss.backward()
        net.zero_grad()
        return ad.memory_stats()["peak_allocated_bytes"] - before

    used = peak()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(backward, "run_line", _no_line)
        assert used <= peak()


def test_gradients_add_up() -> None:
    net, x = _mlp()

    def twice() -> None:
        for _ in range(2):
            _loss(net, x).backward()

    want = _walked(net, twice)
    _train(net, x)
    twice()
    assert _bits(net) == want


def test_nothing_is_kept_alive() -> None:
    for _ in range(5):
        net, x = _mlp()
        kept = [weakref.ref(p._array.storage) for p in net.parameters()]
        loss = _loss(net, x)
        loss.backward()
        node = loss.grad_fn
        assert node is not None
        assert node.released
        assert node.packed is None
        del net, loss, node
        assert [each() for each in kept] == [None] * len(kept)


# ---- what is left to the walk ----


def test_hooks_and_retained_gradients() -> None:
    net, x = _mlp()
    _train(net, x)
    seen: list[Any] = []
    hidden = net[0](x)
    hidden.register_hook(lambda g: seen.append("node") or g * 2)
    last = net[2](hidden.relu())
    last.retain_grad()
    net[0].bias.register_hook(lambda g: seen.append("leaf"))
    net[0].weight.register_post_accumulate_grad_hook(lambda p: seen.append("filled"))
    F.cross_entropy(last, LABELS).backward()
    assert sorted(seen) == ["filled", "leaf", "node"]
    (want,) = ad.autograd.grad(_loss(net, x), net[0].weight)
    assert ad.allclose(net[0].weight.grad, want * 2)
    assert last.grad is not None


def test_a_leaf_with_hooks() -> None:
    net, x = _mlp()
    want = _walked(net, lambda: _loss(net, x).backward())
    _train(net, x)
    seen: list[Any] = []
    handle = net[2].bias.register_hook(seen.append)
    _loss(net, x).backward()
    assert len(seen) == 1
    assert _bits(net) == want
    handle.remove()
    net.zero_grad()
    _loss(net, x).backward()
    assert len(seen) == 1
    assert _bits(net) == want


def test_a_changed_tensor_is_found_where_the_walk_finds_it() -> None:
    net, x = _mlp()

    def text() -> str:
        loss = _loss(net, x)
        with ad.no_grad():
            net[0].weight.add_(0)
            net[2].weight.add_(0)
        with pytest.raises(ad.errors.GradError, match="was changed") as caught:
            loss.backward()
        assert all(p.grad is None for p in net.parameters())
        return str(caught.value)

    want = text()
    _train(net, x)
    assert text() == want
    assert "linear" in want


def test_a_graph_that_is_freed_and_one_that_is_kept() -> None:
    net, x = _mlp()
    _train(net, x)
    loss = _loss(net, x)
    loss.backward(retain_graph=True)
    want = _bits(net)
    net.zero_grad()
    loss.backward()
    assert _bits(net) == want
    with pytest.raises(ad.errors.GradError, match="already run through"):
        loss.backward()
    hidden = net[0](x)
    hidden.sum().backward()
    with pytest.raises(ad.errors.GradError, match="already run through"):
        F.cross_entropy(net[2](hidden), LABELS).backward()


def test_memory_that_numpy_shares_is_looked_at() -> None:
    net, _ = _mlp()
    x = ad.randn(2, 5)
    view = x.numpy()
    _train(net, x)
    loss = _loss(net, x)
    view += 1
    with pytest.raises(ad.errors.GradError, match="NumPy"):
        loss.backward()


def test_a_leaf_that_is_used_twice_gets_the_sum() -> None:
    w = ad.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    x = ad.tensor([[1.0, 1.0]])
    for _ in range(4):
        w.grad = None
        ((x @ w) @ w).sum().backward()
        assert w.grad.tolist() == [[7.0, 11.0], [9.0, 13.0]]


def test_a_branch_gets_the_sum() -> None:
    x = ad.tensor([1.0, 2.0], requires_grad=True)
    for _ in range(4):
        x.grad = None
        y = x * 3
        (y.exp() * 0 + y).sum().backward()
        assert x.grad.tolist() == [3, 3]


class _Branching(nn.Module):
    """A line, then a branch; `tied` is a leaf of both."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.tied = nn.Linear(5, 5), nn.Linear(5, 5)
        self.last = nn.Linear(5, 3)

    def forward(self, x: Any) -> Any:
        y = self.first(x).tanh()
        y = y + self.tied(y).sigmoid()
        return self.last(self.tied(self.tied(y).tanh()).tanh())


def test_the_walk_goes_on_where_a_line_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    net, x = _Branching(), ad.randn(2, 5)
    want = _walked(net, lambda: _loss(net, x).backward())
    _train(net, x)
    loss = _loss(net, x)
    ran: list[str] = []
    monkeypatch.setattr(backward, "gradients", _listed(ran, backward.gradients))
    loss.backward()
    assert _bits(net) == want
    # of the nodes above the branch none
    assert ran[0] == "add"


def _listed(ran: list[str], gradients: Callable[..., Any]) -> Callable[..., Any]:
    def call(node: Any, *args: Any) -> Any:
        ran.append(node.op.name)
        return gradients(node, *args)

    return call


def test_leaves_of_a_line_take_their_memory_from_the_walk_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    net, x = _Branching(), ad.randn(2, 5)
    _train(net, x)
    loss = _loss(net, x)
    monkeypatch.setattr(sums, "in_order", _refuse)  # it copies
    loss.backward()


def test_anomalies_are_looked_for() -> None:
    x = ad.tensor([0.0], requires_grad=True)
    for _ in range(4):
        (x.sqrt() * 0).sum().backward()
    with ad.autograd.detect_anomaly(), pytest.raises(ad.errors.GradError, match="nan"):
        (x * 0 / x).sum().backward()


# ---- what makes a difference ----


def test_lines_that_differ_in_one_thing_are_told_apart() -> None:
    for _ in range(4):
        for slope in (0.5, 0.25, 0.0, -0.0):
            x = ad.tensor([-1.0, 1.0], requires_grad=True)
            F.leaky_relu(x * 2, slope).sum().backward()
            assert x.grad.tolist() == [2 * slope, 2]
        # the next node is the first input, or the second
        x = ad.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
        w = ad.tensor([[0.0, 1.0], [2.0, 5.0]], requires_grad=True)
        ((x * 2) @ w).sum().backward()
        assert x.grad.tolist() == [[2, 14], [2, 14]]
        assert w.grad.tolist() == [[8, 8], [12, 12]]
        x.grad = w.grad = None
        (w @ (x * 2)).sum().backward()
        assert x.grad.tolist() == [[4, 4], [12, 12]]
        assert w.grad.tolist() == [[6, 14], [6, 14]]


def test_the_output_that_has_a_gradient_counts() -> None:
    x = ad.tensor([[3.0, 1.0], [2.0, 4.0]], requires_grad=True)
    for _ in range(4):
        for number in (0, 1):
            x.grad = None
            (x * 2).split(1)[number].sum().backward()
            assert x.grad.tolist() == [[[2, 2], [0, 0]], [[0, 0], [2, 2]]][number]


def test_a_leaf_laid_out_anew_gets_a_gradient_laid_out_as_it() -> None:
    net, x = _mlp()
    _train(net, x)
    loss = _loss(net, x)
    weight = net[0].weight
    weight.data = weight.detach().T.contiguous().T
    loss.backward()
    assert weight.grad.stride() == weight.stride()


def test_a_gradient_that_the_user_has_is_not_taken() -> None:
    x = ad.ones(2, 3, requires_grad=True)
    g = ad.randn(6)
    before = g.clone()
    for _ in range(4):
        x.grad = None
        x.reshape(6).backward(g)
        x.grad.mul_(2)
        assert ad.equal(g, before)


def test_a_long_line() -> None:
    for length in (1, 3, 2000, 2000):
        x = y = ad.ones(1, requires_grad=True)
        for _ in range(length):
            y = y + 1
        y.sum().backward()
        assert x.grad.tolist() == [1]


def test_another_backend_runs_its_own_rules() -> None:
    net, x = _mlp()
    _train(net, x)
    with ad.use_backend("reference"):
        _train(net, x)
        _loss(net, x).backward()
        want = [p.grad.clone() for p in net.parameters()]
    net.zero_grad()
    _loss(net, x).backward()
    for p, each in zip(net.parameters(), want):
        assert ad.allclose(p.grad, each, atol=1e-6)


def test_threads_go_down_lines_of_the_same_kind() -> None:
    net, x = _mlp()
    want = _walked(net, lambda: _loss(net, x).backward())
    _train(net, x)
    failed: list[Any] = []

    def work() -> None:
        twin = nn.Sequential(nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 3))
        twin.load_state_dict(net.state_dict())
        for _ in range(50):
            twin.zero_grad()
            _loss(twin, x).backward()
            if _bits(twin) != want:
                failed.append(1)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert not failed
