"""The graph and the backward pass: values, memory, threads, in place, Function."""

from __future__ import annotations

import copy
import gc
import pickle
import sys
import threading
import warnings
import weakref
from typing import Any

import numpy as np
import pytest

import pyautodl as ad
from pyautodl import nn
from pyautodl.autograd import Function, GradcheckError
from pyautodl.autograd import functional as AF
from pyautodl.backends import native
from pyautodl.errors import DTypeError, GradError, ShapeError


def leaf(values: Any, dtype: Any = None) -> ad.Tensor:
    return ad.tensor(values, dtype=dtype, requires_grad=True)


# ---- values ----


def test_grad_of_what_is_no_leaf_tells_why_there_is_none() -> None:
    x = leaf([1.0, 2.0, 3.0])
    y = x * 2
    kept = x * 3
    kept.retain_grad()
    hint = r"likely fix: retain_grad\(\)"
    with pytest.warns(UserWarning, match=hint) as told:
        assert y.grad is None
    assert told[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for silent in (x, y.detach(), ad.ones(2), x.detach() * 2, kept):
            assert silent.grad is None
        (y + kept).sum().backward()
        assert kept.grad.tolist() == [1.0, 1.0, 1.0]
        assert x.grad.tolist() == [5.0, 5.0, 5.0]
        # cut off from its graph it is a leaf
        assert (x * 2).detach_().grad is None
    with pytest.warns(UserWarning, match=hint):
        assert y.grad is None
    y.grad = ad.ones(3)
    assert y.grad.tolist() == [1.0, 1.0, 1.0]


def test_a_shared_node_counts_as_often_as_it_is_used() -> None:
    a = leaf(1.0)
    b = a + a
    c = b + b
    c.backward()
    assert a.grad.item() == 4.0


def test_nodes_shared_in_a_product_and_in_a_loop() -> None:
    x = leaf([2.0, 3.0])
    y = x * x
    (y * y + y).sum().backward()  # 4x^3 + 2x
    assert x.grad.tolist() == [36.0, 114.0]
    x = leaf(2.0)
    y, total = x, 0.0
    for _ in range(10):
        y = y + y * x
        total = total + y
    (g,) = ad.autograd.grad(total, x)
    expected = sum(3.0**k + 2 * k * 3.0 ** (k - 1) for k in range(1, 11))
    assert g.item() == pytest.approx(expected)


def test_gradients_add_up_over_backward_calls() -> None:
    x = leaf([1.0, 2.0])
    (x * 3).sum().backward()
    held = x.grad
    (x * 4).sum().backward()
    assert x.grad is held
    assert x.grad.tolist() == [7.0, 7.0]


def test_higher_order_gradients() -> None:
    x = leaf(2.0, ad.float64)
    y = x**4
    for expected in (32.0, 48.0, 48.0, 24.0):
        (y,) = ad.autograd.grad(y, x, create_graph=True)
        assert y.item() == pytest.approx(expected)


def test_grad_of_what_is_no_leaf_and_unused_inputs() -> None:
    x, unused = leaf([1.0, 2.0]), leaf(1.0)
    y = x * 2
    z = (y * y).sum()
    (gy,) = ad.autograd.grad(z, y, retain_graph=True)
    assert gy.tolist() == [4.0, 8.0]
    with pytest.raises(GradError, match="input 1 was not used"):
        ad.autograd.grad(z, [x, unused], retain_graph=True)
    found = ad.autograd.grad(z, [x, unused], allow_unused=True, retain_graph=True)
    assert found[1] is None
    found = ad.autograd.grad(z, [x, unused], materialize_grads=True)
    assert found[1].item() == 0.0
    assert x.grad is None
    z = (x * x).sum()
    assert ad.autograd.grad(z, x, only_inputs=True)[0].tolist() == [2.0, 4.0]
    with pytest.raises(NotImplementedError, match="only_inputs"):
        ad.autograd.grad(z, x, only_inputs=False)


def test_backward_functions_arguments() -> None:
    x = leaf([1.0, 2.0])
    y = x * 3
    with pytest.raises(GradError, match="gradient is implied for one element"):
        y.backward()
    with pytest.raises(ShapeError, match="gradient has shape"):
        y.backward(ad.ones(3))
    ad.autograd.backward([y, x * 1], [ad.ones(2), ad.tensor([10.0, 20.0])])
    assert x.grad.tolist() == [13.0, 23.0]
    with pytest.raises(GradError, match="requires no gradient"):
        ad.ones(1).backward()
    a, b = leaf(1.0), leaf(2.0)
    (a * b).backward(inputs=[a])
    assert a.grad.item() == 2.0
    assert b.grad is None


def test_backward_twice_needs_retain_graph() -> None:
    x = leaf(3.0)
    y = x * x
    y.backward(retain_graph=True)
    y.backward()
    assert x.grad.item() == 12.0
    with pytest.raises(GradError, match="retain_graph=True"):
        y.backward()


# ---- modes ----


def test_modes_nest_decorate_and_are_the_threads_own() -> None:
    x = leaf(1.0)
    with ad.no_grad():
        assert not (x * 2).requires_grad
        with ad.enable_grad():
            assert (x * 2).requires_grad
        assert not ad.is_grad_enabled()
        seen: list[bool] = []
        thread = threading.Thread(target=lambda: seen.append(ad.is_grad_enabled()))
        thread.start()
        thread.join()
        assert seen == [True]

    @ad.no_grad()
    def double(x: ad.Tensor) -> ad.Tensor:
        return x * 2

    assert not double(x).requires_grad
    with ad.inference_mode():
        assert not (x * 2).requires_grad
    with ad.set_grad_enabled(False):
        assert not (x * 2).requires_grad
    with pytest.raises(ZeroDivisionError), ad.no_grad():
        raise ZeroDivisionError
    assert ad.is_grad_enabled()


def test_detach_shares_memory_and_stops_gradients() -> None:
    x = leaf([1.0])
    y = (x * 2).detach()
    assert not y.requires_grad
    assert x.detach().data_ptr() == x.data_ptr()
    (x * y).sum().backward()
    assert x.grad.tolist() == [2.0]
    with pytest.raises(DTypeError, match="floating"):
        ad.tensor([1]).requires_grad_()


# ---- hooks ----


def test_tensor_hooks_see_and_replace_gradients() -> None:
    x = leaf([1.0, 2.0])
    y = x * 3
    log: list[Any] = []
    y.register_hook(lambda g: log.append(g.tolist()))
    handle = y.register_hook(lambda g: g * 2)
    x.register_hook(lambda g: g + 1)
    y.retain_grad()
    y.sum().backward(retain_graph=True)
    assert log == [[1.0, 1.0]]
    assert y.grad.tolist() == [2.0, 2.0]
    assert x.grad.tolist() == [7.0, 7.0]
    handle.remove()
    x.grad = None
    y.sum().backward()
    assert x.grad.tolist() == [4.0, 4.0]
    z = leaf(1.0)
    z.register_post_accumulate_grad_hook(lambda t: log.append(t.grad.item()))
    (z * 5).backward()
    assert log[-1] == 5.0


def test_a_gradient_that_is_implied_may_be_changed() -> None:
    for shape in ((), (1,), (1, 1)):
        x = ad.ones(shape).requires_grad_()
        (given,) = ad.autograd.grad(x, x)
        given.add_(5)
        y = x * 3
        y.retain_grad()
        y.register_hook(lambda g: g.mul_(2))
        y.backward()
        assert x.grad.item() == 6.0
        assert y.grad.item() == 2.0
        y.grad.add_(5)
        assert (ad.zeros(shape) + 1.0).item() == 1.0


# ---- changes in place ----


class Squares(nn.Module):
    def forward(self, x: ad.Tensor) -> ad.Tensor:
        self.kept = x
        return x * x


@pytest.mark.parametrize(
    "change",
    [
        lambda y: y.add_(1),
        lambda y: y.zero_(),
        lambda y: y[0].fill_(5.0),
        lambda y: y[1:].mul_(2),
        lambda y: y.__setitem__(0, 3.0),
        lambda y: y.reshape(-1)[0].zero_(),
        lambda y: y.detach().zero_(),
        lambda y: y.data.zero_(),
        lambda y: y.T.T.fill_(1.0),
    ],
)
def test_a_changed_saved_tensor_is_found(change: Any) -> None:
    """It is found through views, too; the error names the op and the layer."""
    net = nn.Sequential(Squares())
    x = leaf([1.0, 2.0])
    y = x * 1
    z = net(y)
    change(y)
    with pytest.raises(GradError, match=r"mul: .* changed(.|\n)*layer `0` Squares\(\)"):
        z.sum().backward()


def test_a_change_through_numpy_is_found() -> None:
    values = np.ones(3)
    x = ad.from_numpy(values).requires_grad_()
    y = (x * x).sum()
    values[1] = 5.0
    with pytest.raises(GradError, match="shared with NumPy"):
        y.backward()

    a = ad.ones(3, dtype=ad.float64, requires_grad=True)
    b = a * 1
    shared = b.detach().numpy()
    c = (b * b).sum()
    shared[0] = 7.0
    with pytest.raises(GradError, match="shared with NumPy"):
        c.backward()

    copied = np.ones(3)
    d = ad.tensor(copied, requires_grad=True)
    e = (d * d).sum()
    copied[0] = 9.0
    e.backward()
    assert d.grad.tolist() == [2.0, 2.0, 2.0]


def test_a_change_of_what_is_not_saved_is_allowed() -> None:
    x = leaf([1.0, 2.0])
    y = x + 1  # saves nothing
    y.mul_(3)
    y.sum().backward()
    assert x.grad.tolist() == [3.0, 3.0]


def test_changes_in_place_get_gradients_through_views() -> None:
    x = leaf([1.0, 2.0, 3.0, 4.0])
    base = x * 1
    view = base[1:3]
    view.mul_(10)
    base.sum().backward()
    assert x.grad.tolist() == [1.0, 10.0, 10.0, 1.0]

    x = leaf([1.0, 2.0, 3.0, 4.0])
    base = x * 1
    view = base.reshape(2, 2)[1]
    base.mul_(3)  # through the base: the view follows
    view.sum().backward()
    assert x.grad.tolist() == [0.0, 0.0, 3.0, 3.0]

    source, x = leaf([5.0]), leaf([1.0, 2.0])
    y = x * 2
    y[0] = source[0] * 4
    y.sum().backward()
    assert source.grad.tolist() == [4.0]
    assert x.grad.tolist() == [0.0, 2.0]


def test_changes_in_place_that_would_be_wrong_are_refused() -> None:
    x = leaf([1.0, 2.0])
    with pytest.raises(GradError, match="leaf that requires a gradient"):
        x.add_(1)
    with pytest.raises(GradError, match="view of a leaf"):
        x[0].zero_()
    with ad.no_grad():
        x.add_(1)
    assert x.tolist() == [2.0, 3.0]
    with pytest.raises(GradError, match="share memory"):
        ad.ones(1).expand(3).add_(1)
    y = x * 1
    with pytest.raises(GradError, match="split, chunk or unbind"):
        y.split(1)[0].mul_(2)
    with pytest.raises(DTypeError, match="can't hold"):
        ad.ones(2, dtype=ad.int64).mul_(1.5)
    with pytest.raises(ShapeError):
        ad.ones(1).add_(ad.ones(3))


# ---- memory ----


def _steps(count: int, model: Any, x: ad.Tensor) -> None:
    for _ in range(count):
        loss = (model(x) ** 2).mean()
        loss.backward()
        with ad.no_grad():
            for p in model.parameters():
                p.sub_(p.grad * 0.01)
        model.zero_grad()


def test_memory_is_flat_without_the_garbage_collector() -> None:
    class Double(Function):
        @staticmethod
        def forward(ctx: Any, x: ad.Tensor) -> ad.Tensor:
            ctx.save_for_backward(x)
            return x * 2

        @staticmethod
        def backward(ctx: Any, g: ad.Tensor) -> ad.Tensor:
            return g * 2

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))

        def forward(self, x: ad.Tensor) -> ad.Tensor:
            y = self.body(x)
            y[:, 0].mul_(2)  # a change through a view
            return Double.apply(y)

    model, x = Model(), ad.ones(3, 4)
    model.body[2].register_full_backward_hook(lambda m, gi, go: None)
    gc.collect()
    gc.disable()
    try:
        _steps(20, model, x)
        gc.collect()  # also empties the interpreter's lists of free tuples
        blocks = sys.getallocatedblocks()
        memory = native.memory_stats() if native.available else None
        _steps(1000, model, x)
        assert gc.collect() == 0, "there were reference cycles"
        assert sys.getallocatedblocks() - blocks < 200
        if memory is not None:
            after = native.memory_stats()
            assert after["allocated_bytes"] == memory["allocated_bytes"]
            assert after["system_allocations"] == memory["system_allocations"]
    finally:
        gc.enable()


def test_higher_order_graphs_die_without_the_garbage_collector() -> None:
    gc.collect()
    gc.disable()
    try:
        x = leaf([1.0, 2.0])
        y = (x * x * x).sum()
        (g,) = ad.autograd.grad(y, x, create_graph=True)
        (h,) = ad.autograd.grad(g.sum(), x, create_graph=True)
        watch = [weakref.ref(each) for each in (y.grad_fn, g.grad_fn, h.grad_fn)]
        del y, g, h
        assert all(each() is None for each in watch)
    finally:
        gc.enable()


def test_backward_frees_what_was_saved() -> None:
    x = leaf(np.ones(1000))
    y = (x * x) * x
    node = y.grad_fn
    y.sum().backward()
    assert node.saved_count() == 0


def test_adding_up_losses_warns_and_names_item() -> None:
    x, total = leaf(1.0), 0.0
    loss = x * 2
    loss.backward()
    with pytest.warns(UserWarning, match=r"loss\.item\(\)"):
        total = total + loss
    loss = x * 2
    loss.backward()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        total = 0.0
        total += loss.item()
        total += loss.detach()


def test_a_chain_of_100000_operations_runs_back_and_is_freed() -> None:
    x = leaf([1.0])
    before = native.memory_stats()["allocated_bytes"] if native.available else 0
    y = x
    for _ in range(100_000):
        y = y + 1.0
    assert y.item() == 100_001.0
    y.backward()
    assert x.grad.item() == 1.0
    x.grad = None
    del y
    if native.available:
        assert native.memory_stats()["allocated_bytes"] <= before + 64
    y = x
    for _ in range(100_000):
        y = y * 1.0
    watch = weakref.ref(y.grad_fn)
    del y  # never run back
    assert watch() is None


# ---- repeatability ----


def _train(seed: int) -> bytes:
    ad.manual_seed(seed)
    model = nn.Sequential(
        nn.Linear(20, 64), nn.ReLU(), nn.Dropout(0.3), nn.Linear(64, 7)
    )
    x = ad.randn(33, 20)
    target = ad.randint(0, 7, (33,))
    for _ in range(5):
        loss = nn.functional.cross_entropy(model(x), target)
        model.zero_grad()
        loss.backward()
        with ad.no_grad():
            for p in model.parameters():
                p.sub_(p.grad * 0.1)
    return b"".join(v.numpy().tobytes() for v in model.state_dict().values())


def test_same_seed_same_bits_whatever_the_threads() -> None:
    reference = _train(3)
    assert _train(3) == reference
    assert _train(4) != reference
    if native.available:
        for threads in (1, 2, 3, 8):
            with native.exact_threads(threads, uneven=threads > 2):
                assert _train(3) == reference, f"{threads} threads"


def test_two_models_train_in_two_threads() -> None:
    """Each thread gets what it gets alone; nothing leaks from one to the other."""

    def work(seed: int, found: dict[int, Any]) -> None:
        rng = np.random.default_rng(seed)
        model = nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, 2)).double()
        state = {
            k: rng.standard_normal(tuple(v.shape))
            for k, v in model.state_dict().items()
        }
        model.load_state_dict(state)
        x = ad.tensor(rng.standard_normal((8, 6)))
        for _ in range(60):
            model.zero_grad()
            (model(x) ** 2).mean().backward()
            with ad.no_grad():
                for p in model.parameters():
                    p.sub_(p.grad * 0.05)
        found[seed] = b"".join(v.numpy().tobytes() for v in model.state_dict().values())

    alone: dict[int, Any] = {}
    for seed in (1, 2):
        work(seed, alone)
    together: dict[int, Any] = {}
    threads = [threading.Thread(target=work, args=(s, together)) for s in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert together == alone


# ---- copies ----


def test_deepcopies_of_views_share_the_copied_memory() -> None:
    x = ad.arange(6.0).reshape(2, 3)
    for views in (
        lambda: [x, x[0], x.detach(), x.T, x[:, ::2], x[1, 1:], x.view(-1)],
        lambda: [x[1, 1:], x[:, ::2], x],
        lambda: [x[:1].expand(4, 3), x],
    ):
        given = views()
        twins = copy.deepcopy(given)
        for one, twin in zip(given, twins, strict=True):
            assert twin.tolist() == one.tolist()
            assert twin.stride() == one.stride()
            assert twin.data_ptr() != one.data_ptr()
        given[-1].mul_(-1)
        assert twins[0].tolist() != given[0].tolist()
        twins[-1].mul_(-1)
        assert [each.tolist() for each in twins] == [each.tolist() for each in given]


def test_deepcopies_of_arrays_of_numpy_share_what_the_arrays_share() -> None:
    array = np.arange(24.0).reshape(4, 6)
    for part in (array, array[::-2, 1::2], array.T[::-1], array[:0], array[1]):
        x = ad.from_numpy(part)
        twins = copy.deepcopy([x[:1], x, x.T])
        np.testing.assert_array_equal(twins[1].numpy(), part)
        twins[1].add_(1)
        np.testing.assert_array_equal(twins[0].numpy(), part[:1] + 1)
        np.testing.assert_array_equal(twins[2].numpy(), part.T + 1)


def test_deepcopy_and_pickle_of_tensors() -> None:
    x = leaf(np.arange(6.0).reshape(2, 3).T)
    (x * 2).sum().backward()
    for twin in (copy.deepcopy(x), pickle.loads(pickle.dumps(x))):
        assert twin.tolist() == x.tolist()
        assert twin.requires_grad
        assert twin.is_leaf
        assert twin.data_ptr() != x.data_ptr()
    assert copy.deepcopy(x).grad.tolist() == x.grad.tolist()
    pair = copy.deepcopy([x, x])
    assert pair[0] is pair[1]
    with pytest.raises(GradError, match="only a leaf"):
        copy.deepcopy(x * 2)


# ---- Function ----


class Cube(Function):
    @staticmethod
    def forward(ctx: Any, x: ad.Tensor) -> ad.Tensor:
        ctx.save_for_backward(x)
        return x * x * x

    @staticmethod
    def backward(ctx: Any, g: ad.Tensor) -> ad.Tensor:
        (x,) = ctx.saved_tensors
        return g * 3 * x * x


class CubeNewStyle(Function):
    @staticmethod
    def forward(x: ad.Tensor) -> Any:
        square = x * x
        return square * x, square

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        ctx.mark_non_differentiable(output[1])
        ctx.save_for_backward(inputs[0], output[1])

    @staticmethod
    def backward(ctx: Any, g: ad.Tensor, unused: ad.Tensor) -> ad.Tensor:
        _, square = ctx.saved_tensors
        assert unused.tolist() == [0.0, 0.0]
        return g * 3 * square


def test_function_both_styles_and_any_order() -> None:
    x = leaf([1.0, 2.0], ad.float64)
    assert ad.autograd.gradcheck(Cube.apply, (x,))
    assert ad.autograd.gradgradcheck(Cube.apply, (x,))
    y, square = CubeNewStyle.apply(x)
    assert not square.requires_grad
    y.sum().backward()
    assert x.grad.tolist() == [3.0, 12.0]
    assert type(y.grad_fn).__name__ == "Node"


def test_function_needs_none_gradients_and_attributes() -> None:
    class Affine(Function):
        @staticmethod
        def forward(ctx: Any, x: Any, factor: float, y: Any) -> Any:
            ctx.factor = factor
            assert ctx.needs_input_grad == (True, False, False)
            return x * factor + y

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return g * ctx.factor, None, None

    x = leaf([1.0])
    Affine.apply(x, 4.0, ad.ones(1)).backward()
    assert x.grad.tolist() == [4.0]
    with ad.no_grad():
        assert not Cube.apply(x).requires_grad


def test_function_changes_in_place_and_returns_inputs() -> None:
    class Doubles(Function):
        @staticmethod
        def forward(ctx: Any, x: ad.Tensor) -> ad.Tensor:
            x.mul_(2)
            ctx.mark_dirty(x)
            return x

        @staticmethod
        def backward(ctx: Any, g: ad.Tensor) -> ad.Tensor:
            return g * 2

    x = leaf([1.0, 3.0])
    y = x * 1
    z = Doubles.apply(y)
    assert z is y
    z.sum().backward()
    assert x.grad.tolist() == [2.0, 2.0]
    with pytest.raises(GradError, match="leaf that requires a gradient"):
        Doubles.apply(x)


def test_function_finds_a_changed_saved_tensor() -> None:
    x = leaf([1.0, 2.0])
    y = x * 1
    z = Cube.apply(y)
    y.zero_()
    with pytest.raises(GradError, match=r"Cube: .* changed"):
        z.sum().backward()


def test_function_mistakes_are_named() -> None:
    class Count(Function):
        @staticmethod
        def forward(ctx: Any, x: Any, y: Any) -> Any:
            return x + y

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return g

    class Shape(Count):
        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return g.sum(), g

    class Kind(Count):
        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return 1.0, g

    x = leaf([1.0, 2.0])
    with pytest.raises(GradError, match="Count: backward returned 1 gradients"):
        Count.apply(x, x).sum().backward()
    with pytest.raises(
        GradError, match=r"Shape: the gradient of input 0 has shape \(\)"
    ):
        Shape.apply(x, x).sum().backward()
    with pytest.raises(TypeError, match="Kind: backward returned float"):
        Kind.apply(x, x).sum().backward()


def test_once_differentiable_refuses_a_second_time() -> None:
    class Once(Cube):
        @staticmethod
        @ad.autograd.function.once_differentiable
        def backward(ctx: Any, g: Any) -> Any:
            (x,) = ctx.saved_tensors
            return g * 3 * x * x

    x = leaf([2.0])
    Once.apply(x).backward()
    assert x.grad.tolist() == [12.0]
    (g,) = ad.autograd.grad(Once.apply(x), x, create_graph=True)
    with pytest.raises(GradError, match="once_differentiable"):
        g.backward()


# ---- anomalies ----


class Root(nn.Module):
    def forward(self, x: ad.Tensor) -> ad.Tensor:
        return x.sqrt()  # the line to be named


def test_detect_anomaly_names_op_layer_and_forward_line() -> None:
    net = nn.Sequential(nn.Identity(), Root())
    x = leaf([-1.0, 1.0])
    with ad.autograd.detect_anomaly(), pytest.raises(GradError) as caught:
        (net(x) * 2).sum().backward()
    text = str(caught.value)
    assert text.startswith("sqrt: the gradient of input 0 is nan")
    assert "layer `1` Root()" in text
    assert "the line to be named" in text
    with ad.autograd.set_detect_anomaly(True, check_nan=False):
        (net(x) * 2).sum().backward()
    (net(x) * 2).sum().backward()  # off again: no error


# ---- checks ----


def test_gradcheck_wants_float64_and_a_gradient() -> None:
    with pytest.raises(ValueError, match="float64"):
        ad.autograd.gradcheck(lambda x: x * 2, (leaf([1.0]),))
    with pytest.raises(ValueError, match="at least one input"):
        ad.autograd.gradcheck(lambda x: x * 2, (ad.ones(1),))


def test_gradcheck_finds_wrong_gradients_of_each_order() -> None:
    class WrongSecond(Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            (x,) = ctx.saved_tensors
            return g * 2 * x.detach()

    x = leaf([[1.0, 2.0], [3.0, 4.0]], ad.float64)
    assert ad.autograd.gradcheck(WrongSecond.apply, (x,))
    assert not ad.autograd.gradgradcheck(WrongSecond.apply, (x,), raise_exception=False)
    with pytest.raises(GradcheckError, match="input 0"):
        ad.autograd.gradcheck(lambda x: x * x.detach(), (x,))
    mask = ad.tensor([[1.0, 1.0], [0.0, 1.0]], dtype=ad.float64)
    with pytest.raises(GradcheckError, match=r"entry \(1, 0\)"):
        ad.autograd.gradcheck(lambda x: x * mask + x.detach() * (1 - mask), (x,))


def test_gradcheck_leaves_the_inputs_as_they_were() -> None:
    x = leaf([1.5, 2.5], ad.float64)
    y = (x * x).sum()
    ad.autograd.gradcheck(lambda x: x.exp(), (x,))
    assert x.tolist() == [1.5, 2.5]
    y.backward()
    assert x.grad.tolist() == [3.0, 5.0]


def test_jacobian_hessian_and_products() -> None:
    x = ad.tensor([1.0, 2.0], dtype=ad.float64)
    y = ad.tensor([3.0, 5.0], dtype=ad.float64)

    def f(x: ad.Tensor, y: ad.Tensor) -> ad.Tensor:
        return x * y * y

    jx, jy = AF.jacobian(f, (x, y))
    assert jx.tolist() == [[9.0, 0.0], [0.0, 25.0]]
    assert jy.tolist() == [[6.0, 0.0], [0.0, 20.0]]
    h = AF.hessian(lambda x: (x * x * x).sum(), x)
    assert h.tolist() == [[6.0, 0.0], [0.0, 12.0]]
    value, product = AF.vjp(lambda x: x * x, x, y)
    assert value.tolist() == [1.0, 4.0]
    assert product.tolist() == [6.0, 20.0]
    assert AF.jvp(lambda x: x * x, x, y)[1].tolist() == [6.0, 20.0]
    assert AF.hvp(lambda x: (x * x * x).sum(), x, y)[1].tolist() == [18.0, 60.0]
    with pytest.raises(GradError, match="strict"):
        AF.jacobian(lambda x: y, x, strict=True)


def test_gradcheck_of_a_function_that_takes_gradients() -> None:
    def penalty(x: ad.Tensor) -> ad.Tensor:
        (slope,) = ad.autograd.grad((x**3).sum(), x, create_graph=True)
        return (slope.norm() - 1) ** 2

    x = ad.tensor([0.5, -1.0], dtype=ad.float64, requires_grad=True)
    assert ad.autograd.gradcheck(penalty, (x,))
    assert ad.autograd.gradgradcheck(penalty, (x,))
