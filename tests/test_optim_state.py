"""What users do to an optimizer's state and groups between steps, and what is refused."""

from __future__ import annotations

import copy
import pickle
from collections import OrderedDict, UserDict, defaultdict
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pyautodl as ad
from pyautodl import backends, nn, optim
from pyautodl.backends import native
from pyautodl.optim._again import Again

KINDS: list[tuple[type[optim.Optimizer], dict[str, Any]]] = [
    (optim.SGD, {"lr": 0.1, "momentum": 0.9}),
    (optim.Adam, {"lr": 0.1, "amsgrad": True}),
    (optim.AdamW, {"lr": 0.1}),
    (optim.RMSprop, {"lr": 0.01, "centered": True, "momentum": 0.9}),
    (optim.Adagrad, {"lr": 0.1, "lr_decay": 0.1}),
    (optim.Adadelta, {"lr": 0.5}),
    (optim.Adamax, {"lr": 0.1}),
    (optim.RAdam, {"lr": 0.1}),
    (optim.NAdam, {"lr": 0.1}),
    (optim.Rprop, {"lr": 0.1}),
    (optim.Adafactor, {"lr": 0.1}),
    (optim.ASGD, {"lr": 0.1, "t0": 1}),
]
every_kind = pytest.mark.parametrize(("kind", "options"), KINDS)


def leaf(*shape: int, dtype: object = ad.float32) -> ad.Tensor:
    return ad.ones(*shape, dtype=dtype, requires_grad=True)


def steps(optimizer: optim.Optimizer, count: int = 1, grad: float = 1.0) -> None:
    for _ in range(count):
        for group in optimizer.param_groups:
            for p in group["params"]:
                p.grad = ad.full(tuple(p.shape), grad, dtype=p.dtype)
        optimizer.step()


def trained(
    kind: type[optim.Optimizer], options: dict[str, Any], *shape: int
) -> tuple[ad.Tensor, optim.Optimizer]:
    w = leaf(*shape)
    optimizer = kind([w], **options)
    steps(optimizer, 2)
    return w, optimizer


def assert_same(a: ad.Tensor, b: ad.Tensor) -> None:
    np.testing.assert_array_equal(a.detach().numpy(), b.detach().numpy())


# ---- options that come later ----


def test_momentum_that_is_turned_on_later_starts_as_in_pytorch() -> None:
    w = leaf(3)
    optimizer = optim.SGD([w], lr=0.1)
    steps(optimizer, 2)
    assert w not in optimizer.state
    optimizer.param_groups[0]["momentum"] = 0.9
    steps(optimizer, 2)
    assert w.tolist() == pytest.approx([1 - 0.2 - 0.1 - 0.19] * 3)
    optimizer.param_groups[0]["momentum"] = 0
    steps(optimizer)
    assert w.tolist() == pytest.approx([0.41] * 3)


@pytest.mark.parametrize(
    ("kind", "option", "value", "name"),
    [
        (optim.Adam, "amsgrad", True, "max_exp_avg_sq"),
        (optim.RMSprop, "centered", True, "grad_avg"),
        (optim.RMSprop, "momentum", 0.9, "momentum_buffer"),
    ],
)
def test_an_option_that_is_turned_on_later_gets_its_state(
    kind: type[optim.Optimizer], option: str, value: object, name: str
) -> None:
    w, optimizer = trained(kind, {"lr": 0.1}, 1000)
    before = w.tolist()
    optimizer.param_groups[0][option] = value
    steps(optimizer, 2)
    assert optimizer.state[w][name].shape == (1000,)
    assert optimizer.state[w]["step"].item() == 4
    assert all(after < each for after, each in zip(w.tolist(), before))


def test_flags_that_are_turned_on_later_count() -> None:
    w = leaf(1)
    optimizer = optim.SGD([w], lr=0.1)
    steps(optimizer)
    optimizer.param_groups[0]["maximize"] = True
    steps(optimizer)
    assert w.item() == pytest.approx(1.0)


# ---- state of another shape, type or layout ----


@every_kind
def test_loaded_state_of_another_shape_is_refused(
    kind: type[optim.Optimizer], options: dict[str, Any]
) -> None:
    _, small = trained(kind, options, 3)
    large = kind([("weight", leaf(100_000))], **options)
    steps(large)
    kept = large.state
    with pytest.raises(
        ad.ShapeError, match=rf"{kind.__name__}: .* \('weight'\) .*\(3,\)"
    ):
        large.load_state_dict(small.state_dict())
    assert large.state is kept
    steps(large)


@every_kind
def test_a_parameter_that_changed_its_shape_is_refused(
    kind: type[optim.Optimizer], options: dict[str, Any]
) -> None:
    w, optimizer = trained(kind, options, 3)
    w.data = ad.ones(100_000)
    with pytest.raises(ad.ShapeError, match=r"\(3,\), expected \(100000,\).*state.pop"):
        steps(optimizer)
    optimizer.state.pop(w)
    steps(optimizer)
    assert optimizer.state[w][next(iter(optimizer.state[w]))].shape == (100_000,)


@every_kind
def test_state_follows_the_element_type_of_its_parameter(
    kind: type[optim.Optimizer], options: dict[str, Any]
) -> None:
    model = nn.Linear(3, 2, bias=False)
    w, optimizer = model.weight, kind(model.parameters(), **options)
    steps(optimizer, 2)
    twin = copy.deepcopy(optimizer)
    model.double()
    (other,) = twin.param_groups[0]["params"]
    other.data = other.data.double()
    twin.load_state_dict(optimizer.state_dict())
    for each in (optimizer, twin):
        steps(each, 2)
        (state,) = each.state.values()
        for name, entry in state.items():
            is_scalar = name in kind.scalars
            assert entry.dtype is (ad.float32 if is_scalar else ad.float64)
    assert w.dtype is ad.float64
    assert_same(w, other)


def expanded() -> ad.Tensor:
    return ad.arange(3.0).expand(2, 3)


LAYOUTS: dict[str, Callable[[ad.Tensor], ad.Tensor]] = {
    "transposed": lambda x: x.t().contiguous().t(),
    "expanded": lambda x: x,
    "double": lambda x: x.double(),
    "every second": lambda x: ad.stack([x, x], -1)[..., 0],
    "integers": lambda x: x.to(ad.int64),
    "numpy": lambda x: x.numpy().copy(),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_buffer_of_any_layout_gives_the_same_step(name: str) -> None:
    found = []
    for change in (lambda x: x.contiguous(), LAYOUTS[name]):
        w, optimizer = trained(*KINDS[0], 2, 3)
        optimizer.state[w]["momentum_buffer"] = change(expanded())
        steps(optimizer, 2)
        found.append(w)
    assert_same(*found)
    assert found[0].tolist()[0] == pytest.approx([0.42, 0.249, 0.078], abs=1e-6)


def test_a_buffer_of_another_shape_or_kind_is_refused() -> None:
    w, optimizer = trained(*KINDS[0], 3)
    before = w.tolist()
    state = optimizer.state[w]
    for value in (ad.zeros(4), ad.zeros(1, 3), ad.zeros(()), 0.5):
        state["momentum_buffer"] = value
        with pytest.raises(ad.ShapeError, match="SGD: momentum_buffer of parameter"):
            steps(optimizer)
    state["momentum_buffer"] = [0.0, 0.0, 0.0]
    with pytest.raises(TypeError, match="must be a tensor, got list"):
        steps(optimizer)
    assert w.tolist() == before
    w, optimizer = trained(*KINDS[1], 3)
    optimizer.state[w]["step"] = ad.zeros(2)
    with pytest.raises(ad.ShapeError, match=r"step of .*\(2,\), expected \(\)"):
        steps(optimizer)


def test_state_whose_memory_was_replaced_is_read_anew() -> None:
    w, optimizer = trained(*KINDS[0], 3)
    for value in (ad.zeros(3), ad.zeros(3, dtype=ad.float64)):
        optimizer.state[w]["momentum_buffer"].data = value
        before = w.detach().clone()
        steps(optimizer)
        np.testing.assert_allclose((before - w.detach()).numpy(), 0.1, rtol=1e-5)
        assert optimizer.state[w]["momentum_buffer"].tolist() == [1.0] * 3


@every_kind
def test_layouts_of_weights_do_not_change_the_numbers(
    kind: type[optim.Optimizer], options: dict[str, Any]
) -> None:
    rng = np.random.default_rng(0)
    value = rng.normal(size=(4, 3, 2, 2)).astype(np.float32)
    x = ad.tensor(value)
    moved = ad.tensor(value.transpose(0, 2, 3, 1).copy()).permute(0, 3, 1, 2)
    gaps = ad.tensor(np.repeat(value, 2, axis=3))[..., ::2]
    weights = [each.detach().requires_grad_() for each in (x, moved, gaps)]
    assert len({w.stride() for w in weights}) == 3
    frozen = leaf(2)
    optimizer = kind(
        [{"params": weights[:1]}, {"params": [*weights[1:], frozen]}], **options
    )
    for i in range(4):
        grad = rng.normal(size=value.shape).astype(np.float32)
        for w in weights:
            w.grad = ad.tensor(grad)
        if i == 2:
            weights[1].grad = ad.tensor(grad.transpose(3, 2, 1, 0).copy()).permute(
                3, 2, 1, 0
            )
        optimizer.step()
        if i == 1:
            optimizer.load_state_dict(
                pickle.loads(pickle.dumps(optimizer.state_dict()))
            )
    assert_same(weights[0], weights[1])
    assert_same(weights[0], weights[2])
    assert frozen.tolist() == [1.0, 1.0]
    assert frozen not in optimizer.state


# ---- state that is replaced ----


def cleared(optimizer: optim.Optimizer, w: ad.Tensor) -> None:
    optimizer.state.clear()


def replaced(optimizer: optim.Optimizer, w: ad.Tensor) -> None:
    optimizer.state = defaultdict(dict)


def plain(optimizer: optim.Optimizer, w: ad.Tensor) -> None:
    optimizer.state = {}


def popped(optimizer: optim.Optimizer, w: ad.Tensor) -> None:
    for name in list(optimizer.state[w]):
        optimizer.state[w].pop(name)


def none(optimizer: optim.Optimizer, w: ad.Tensor) -> None:
    optimizer.state[w] = dict.fromkeys(optimizer.state[w])


@every_kind
@pytest.mark.parametrize("forget", [cleared, replaced, plain, popped, none])
def test_state_that_is_taken_away_starts_anew(
    kind: type[optim.Optimizer],
    options: dict[str, Any],
    forget: Callable[[optim.Optimizer, ad.Tensor], None],
) -> None:
    w, optimizer = trained(kind, options, 5)
    steps(optimizer, grad=3.0)
    twin = w.detach().clone().requires_grad_()
    forget(optimizer, w)
    steps(optimizer, 3)
    steps(kind([twin], **options), 3)
    assert_same(w, twin)


def test_state_that_is_set_is_used() -> None:
    w, optimizer = trained(*KINDS[0], 3)
    mine = ad.zeros(3)
    optimizer.state[w]["momentum_buffer"] = mine
    before = w.detach().clone()
    steps(optimizer, 2)
    np.testing.assert_allclose((before - w.detach()).numpy(), 0.1 + 0.19, rtol=1e-5)
    # and is the tensor that was set
    assert mine.tolist() == pytest.approx([1.9] * 3)
    w, optimizer = trained(*KINDS[1], 3)
    for value in (ad.tensor(0.0), ad.tensor([0]), 0):
        optimizer.state[w]["step"] = value
        steps(optimizer)
        assert optimizer.state[w]["step"].item() == 1


def test_states_that_change_places_are_found() -> None:
    a, b = leaf(2), leaf(2)
    optimizer = optim.SGD([a, b], lr=0.1, momentum=0.9)
    steps(optimizer, 2)
    state = optimizer.state
    state[a]["momentum_buffer"].fill_(0.0)
    steps(optimizer, 0)
    state[a], state[b] = state[b], state[a]
    old = [p.detach().clone() for p in (a, b)]
    steps(optimizer)
    moves = [(x - y.detach())[0].item() for x, y in zip(old, (a, b))]
    assert moves == pytest.approx([0.1 * (0.9 * 1.9 + 1), 0.1], rel=1e-5)


# ---- groups that are changed ----


def test_groups_may_be_plain_dicts() -> None:
    w, q, r = leaf(1), leaf(1), leaf(1)
    optimizer = optim.SGD([w], lr=0.1)
    steps(optimizer)
    group = optimizer.param_groups[0]
    optimizer.param_groups.append({**group, "params": [q]})
    steps(optimizer)
    assert (w.item(), q.item()) == pytest.approx((0.8, 0.9))
    optimizer.param_groups[0] = dict(group, lr=0.5)
    optimizer.param_groups[1] = OrderedDict(group, params=[r], lr=0.25)
    steps(optimizer)
    assert (w.item(), q.item(), r.item()) == pytest.approx((0.3, 0.9, 0.75))
    del optimizer.param_groups[0]
    steps(optimizer)
    assert (w.item(), r.item()) == pytest.approx((0.3, 0.5))
    optimizer.param_groups[0]["params"].append(q)
    steps(optimizer)
    assert (q.item(), r.item()) == pytest.approx((0.65, 0.25))


def test_groups_that_cannot_be_used_are_refused() -> None:
    q = leaf(1)
    optimizer = optim.SGD([leaf(1)], lr=0.1)
    group = optimizer.param_groups[0]
    for bad, error, match in (
        (
            {"params": [q]},
            KeyError,
            "SGD: a parameter group lacks dampening, lr, .*fix",
        ),
        ({**group, "params": q}, TypeError, "list of tensors, got Tensor"),
        ({**group, "params": iter([q])}, TypeError, "add_param_group"),
        ({**group, "params": [ad.ones(2, dtype=ad.int64)]}, ad.DTypeError, "floating"),
    ):
        optimizer.param_groups[1:] = [bad]
        with pytest.raises(error, match=match):
            optimizer.step()


def test_every_way_to_set_an_option_counts() -> None:
    w = leaf(1)
    optimizer = optim.SGD([w], lr=0.1)
    steps(optimizer)
    group = optimizer.param_groups[0]
    group |= {"lr": 0.5}
    steps(optimizer)
    assert w.item() == pytest.approx(0.4)
    dict.update(group, lr=0.25)
    steps(optimizer)
    assert w.item() == pytest.approx(0.15)
    del group["lr"]
    with pytest.raises(KeyError, match="lr"):
        steps(optimizer)
    group.setdefault("lr", 0.125)
    steps(optimizer)
    assert w.item() == pytest.approx(0.025)


def test_a_step_size_may_be_a_tensor_that_changes() -> None:
    w = leaf(1)
    lr = ad.tensor(0.5)
    optimizer = optim.SGD([w], lr=lr)
    steps(optimizer)
    lr.fill_(0.25)
    steps(optimizer)
    assert w.item() == pytest.approx(0.25)
    optimizer.param_groups[0]["lr"] = 0.125
    steps(optimizer)
    # equal, but may change
    optimizer.param_groups[0]["lr"] = lr = ad.tensor(0.125)
    steps(optimizer)
    lr.zero_()
    steps(optimizer)
    assert w.item() == pytest.approx(0.0)


def test_betas_are_two() -> None:
    with pytest.raises(ValueError, match="Adam: betas must be two numbers"):
        optim.Adam([leaf(1)], betas=(0.9,))
    optimizer = optim.Adam([{"params": [leaf(1)], "betas": [0.9, 0.99]}])
    steps(optimizer)
    optimizer.param_groups[0]["betas"] = (0.9,)
    with pytest.raises(ValueError, match="Adam: betas must be 2 numbers"):
        steps(optimizer)


# ---- gradients set to 0 ----


def test_gradients_are_overwritten_in_place() -> None:
    w = leaf(3)
    optimizer = optim.SGD([w], lr=0.1)
    flat = ad.ones(6)
    for grad in (leaf(3) * 2, leaf(3), flat[:3]):
        w.grad = grad
        optimizer.zero_grad(set_to_none=False)
        assert w.grad is grad
        assert grad.tolist() == [0.0] * 3
        assert not grad.requires_grad
    assert flat.tolist() == [0.0] * 3 + [1.0] * 3


# ---- hooks ----


class Descent(optim.Optimizer):
    """As users write one."""

    def __init__(self, params: object) -> None:
        super().__init__(params, {"lr": 0.1})

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        return None if closure is None else closure()


@pytest.mark.parametrize("kind", [optim.SGD, optim.LBFGS, Descent])
def test_hooks_run_before_and_after_a_step(kind: type[optim.Optimizer]) -> None:
    w = leaf(1)
    optimizer = kind([w])
    seen: list[object] = []

    def closure() -> ad.Tensor:
        seen.append("step")
        optimizer.zero_grad()
        loss = (w * w).sum()
        loss.backward()
        return loss

    def before(given: optim.Optimizer, args: Any, kwargs: Any) -> Any:
        seen.append(("before", given is args[0] is optimizer, len(args), kwargs))
        return (given, closure), {}

    def after(given: optim.Optimizer, args: Any, kwargs: Any) -> None:
        seen.append(("after", len(args)))

    first = optimizer.register_step_pre_hook(before)
    second = optimizer.register_step_post_hook(after)
    assert optimizer.step().item() == 1
    assert seen[:2] == [("before", True, 1, {}), "step"]
    assert seen[-1] == ("after", 2)
    twin = pickle.loads(pickle.dumps(optimizer))
    assert not twin._pre_hooks
    assert "step" not in vars(twin)
    first.remove()
    second.remove()
    seen.clear()
    optimizer.step(closure)
    assert set(seen) == {"step"}


def test_a_hook_that_returns_something_else_is_refused() -> None:
    optimizer = optim.SGD([leaf(1)])
    optimizer.register_step_pre_hook(lambda *given: 1)
    with pytest.raises(TypeError, match="a pre hook of step must return None or"):
        optimizer.step()


# ---- the step once more, by C ----


def _changing_steps(kind: type[optim.Optimizer], options: dict[str, Any]) -> list[Any]:
    """The parameters after steps between which one thing each is another."""
    rng = np.random.default_rng(5)
    values = [rng.normal(size=shape) for shape in ((3, 4), (4,), (), (2, 3))]
    kinds = ("float32", "float32", "float64", "float32")
    params = [
        ad.tensor(v.astype(k), requires_grad=True)
        for v, k in zip(values, kinds, strict=True)
    ]
    optimizer = kind(params, **options)

    def absent() -> None:
        params[1].grad = None

    def turned() -> None:
        grad = params[0].grad
        assert grad is not None
        params[0].grad = grad.t().contiguous().t()

    def faster() -> None:
        optimizer.param_groups[0]["lr"] = 0.25

    def uphill() -> None:
        optimizer.param_groups[0]["maximize"] = True

    def replaced() -> None:
        for state in optimizer.state.values():
            for name, each in state.items():
                state[name] = each.clone()

    def moved() -> None:
        with ad.no_grad():
            params[3].data = params[3].clone()

    def fewer() -> None:
        del optimizer.param_groups[0]["params"][2]

    def nothing() -> None:
        pass

    events = [absent, turned, faster, uphill, replaced, moved, fewer]
    found: list[Any] = []
    for event in [e for each in events for e in (nothing, nothing, nothing, each)]:
        for p in params:
            p.grad = ad.tensor(rng.normal(size=p.shape), dtype=p.dtype)
        event()
        optimizer.step()
        found += [p.detach().numpy().copy() for p in params]
        found += [p._array.storage.version for p in params]
    return found


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (optim.SGD, {"lr": 0.5}),
        (optim.SGD, {"lr": 0.5, "momentum": 0.9, "weight_decay": 0.1}),
        (optim.Adam, {"lr": 0.5, "amsgrad": True}),
        (optim.RMSprop, {"lr": 0.5, "centered": True}),
    ],
)
def test_a_step_that_c_repeats_is_that_of_python(
    monkeypatch: pytest.MonkeyPatch,
    kind: type[optim.Optimizer],
    options: dict[str, Any],
) -> None:
    take, taken = Again.take, 0

    def counted(self: Again, params: Any) -> bool:
        nonlocal taken
        found = take(self, params)
        taken += found
        return found

    monkeypatch.setattr(Again, "take", counted)
    found = _changing_steps(kind, options)
    # the first of each change is Python's, and the next, which prepares the others
    assert taken >= 7
    monkeypatch.setattr(Again, "take", lambda self, params: False)
    wanted = _changing_steps(kind, options)
    for mine, theirs in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(mine, theirs)


@pytest.mark.usefixtures("compiled")
def test_a_repeated_step_is_seen_by_who_observes_and_runs_on_another_backend() -> None:
    w = ad.ones(3, requires_grad=True)
    optimizer = optim.SGD([w], lr=0.5)

    def step() -> None:
        w.grad = ad.ones(3)
        optimizer.step()

    for _ in range(4):
        step()
    names: list[str] = []

    def observer(name: str, call: Any) -> Any:
        names.append(name)
        return call

    backends.observe(observer)
    try:
        step()
    finally:
        backends.observe(None)
    assert "sgd_step" in names
    step()
    with backends.use_backend("reference"):
        step()
    step()
    assert w.tolist() == [-3.0] * 3


@pytest.mark.usefixtures("compiled")
def test_what_c_cannot_repeat_is_left_to_python() -> None:
    w = ad.ones(2, requires_grad=True)
    repeat = native.dispatch.repeat_step
    assert repeat([w], (), (), (), ()) is True  # no gradients, and none expected
    w.grad = ad.ones(2)
    key = (w._array, w.grad._array.layout())
    assert repeat([w], key, (), (), ()) is True
    assert repeat([], key, (), (), ()) is False
    assert repeat([w, w], key, (), (), ()) is False
    assert repeat([5], key, (), (), ()) is False
    assert repeat([object.__new__(ad.Tensor)], key, (), (), ()) is False
    assert repeat([w], (w._array, b""), (), (), ()) is False
    state = {"a": ad.zeros(2)}
    place = (state, "a", state["a"]._array)
    assert repeat([w], key, (place,), (), ()) is True
    state["a"] = ad.zeros(2)
    assert repeat([w], key, (place,), (), ()) is False
    state["a"] = 1  # type: ignore[assignment]
    assert repeat([w], key, (place,), (), ()) is False
    del state["a"]
    assert repeat([w], key, (place,), (), ()) is False
    for wrong in ((key, (1,), (), ()), (key, (), (1,), ()), (key, (), (), (1,))):
        with pytest.raises(TypeError, match="step: expected"):
            repeat([w], *wrong)
    with pytest.raises(IndexError, match="no gradient 7"):
        repeat([w], key, (), (("sgd_step", 8, (7,), b"", None),), ())


def test_groups_may_be_any_mapping() -> None:
    w = leaf(2)
    optimizer = optim.SGD([w], lr=0.5)
    optimizer.param_groups[0] = UserDict(optimizer.param_groups[0])  # type: ignore[call-overload]
    steps(optimizer, 4)
    assert w.tolist() == [-1.0, -1.0]
    optimizer.param_groups[0]["lr"] = 0.25
    steps(optimizer)
    assert w.tolist() == [-1.25, -1.25]
