"""Optimizers, schedules and gradient clipping: values by hand, resuming, saving."""

from __future__ import annotations

import copy
import inspect
import math
import pickle
import warnings
from pathlib import Path

import numpy as np
import pytest

import pyautodl as ad
from pyautodl import nn, optim
from pyautodl.backends import native, use_backend
from pyautodl.optim import lr_scheduler

SHAPES = [(3, 5), (7,), (130, 3), ()]


def _setup(seed: int = 0, dtype: object = ad.float64) -> list[ad.Tensor]:
    rng = np.random.default_rng(seed)
    return [
        ad.tensor(rng.normal(size=shape), dtype=dtype, requires_grad=True)
        for shape in SHAPES
    ]


def _train(
    optimizer: optim.Optimizer, params: list[ad.Tensor], steps: range
) -> list[np.ndarray]:
    for step in steps:
        rng = np.random.default_rng(100 + step)
        for p in params:
            p.grad = ad.tensor(rng.normal(size=tuple(p.shape)), dtype=p.dtype)
        optimizer.step()
    return [p.detach().numpy().copy() for p in params]


# ---- one step by hand ----


def _first_step(kind: type[optim.Optimizer], **options: float) -> float:
    w = ad.tensor([1.0], dtype=ad.float64, requires_grad=True)
    w.grad = ad.tensor([0.1], dtype=ad.float64)
    kind([w], lr=0.1, **options).step()
    return w.item()


def test_l2_in_adam_is_not_the_decay_of_adamw() -> None:
    assert _first_step(optim.Adam, weight_decay=0.1) == pytest.approx(0.9, abs=1e-6)
    assert _first_step(optim.AdamW, weight_decay=0.1) == pytest.approx(0.89, abs=1e-6)


def test_sgd_by_hand() -> None:
    w = ad.tensor([1.0], dtype=ad.float64, requires_grad=True)
    options = {"momentum": 0.9, "dampening": 0.5, "weight_decay": 0.1}
    optimizer = optim.SGD([w], lr=0.1, **options)
    value, buffer = 1.0, None
    for g in (0.5, -0.2, 0.3):
        w.grad = ad.tensor([g], dtype=ad.float64)
        optimizer.step()
        d = g + 0.1 * value
        buffer = d if buffer is None else 0.9 * buffer + 0.5 * d
        value -= 0.1 * buffer
        assert w.item() == pytest.approx(value, rel=1e-12)


def test_nesterov_by_hand() -> None:
    w = ad.tensor([0.0], dtype=ad.float64, requires_grad=True)
    optimizer = optim.SGD([w], lr=1.0, momentum=0.5, nesterov=True)
    for g, expected in ((1.0, -1.5), (1.0, -1.5 - 1.75)):
        w.grad = ad.tensor([g], dtype=ad.float64)
        optimizer.step()
        assert w.item() == pytest.approx(expected)


@pytest.mark.parametrize(
    ("kind", "options", "first", "eighth"),
    [
        (
            optim.Adadelta,
            {"lr": 2.0, "rho": 0.8},
            [0.995527867, -1.995527864],
            [0.958661955, -1.958482442],
        ),
        (optim.Adamax, {"lr": 0.1}, [0.9, -1.9], [0.454914136, -1.446749559]),
        (
            optim.RAdam,
            {"lr": 0.1, "betas": (0.9, 0.99)},
            [0.8, -0.8],
            [-0.145646001, 0.847113462],
        ),
    ],
)
def test_steps_as_pytorch(
    kind: type[optim.Optimizer],
    options: dict[str, object],
    first: list[float],
    eighth: list[float],
) -> None:
    # what PyTorch 2.13 makes of the same
    w = ad.tensor([1.0, -2.0], dtype=ad.float64, requires_grad=True)
    optimizer = kind([w], **options)
    found = []
    for i in range(8):
        optimizer.zero_grad()
        (w**2 * ad.tensor([1.0, 3.0], dtype=ad.float64) * (1 + i % 3)).sum().backward()
        optimizer.step()
        found.append(w.tolist())
    assert found[0] == pytest.approx(first, abs=1e-8)
    assert found[7] == pytest.approx(eighth, abs=1e-8)


@pytest.mark.parametrize(
    "kind",
    "SGD Adam AdamW Adamax NAdam RAdam RMSprop Adagrad Adadelta Adafactor Rprop ASGD".split(),
)
def test_maximize_steps_against_the_gradient(kind: str) -> None:
    make = getattr(optim, kind)
    found = []
    for sign in (1, -1):
        w = ad.tensor([1.0, -2.0], requires_grad=True)
        optimizer = make([w], lr=0.1, maximize=sign < 0)
        for scale in (1.0, 2.0, 0.5):
            w.grad = ad.tensor([1.0, -3.0]) * (scale * sign)
            optimizer.step()
        found.append(w.tolist())
    assert found[0] == found[1] != [1.0, -2.0]


@pytest.mark.parametrize("kind", ["NAdam", "Rprop", "ASGD", "Adafactor"])
def test_arguments_are_those_of_pytorch(kind: str) -> None:
    torch = pytest.importorskip("torch")
    ours, theirs = [
        [(each.name, each.kind, each.default) for each in signature.parameters.values()]
        for signature in map(
            inspect.signature, (getattr(optim, kind), getattr(torch.optim, kind))
        )
    ]
    assert ours == theirs


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("NAdam", {}),
        ("NAdam", {"lr": 0.1, "weight_decay": 0.1}),
        ("NAdam", {"weight_decay": 0.1, "decoupled_weight_decay": True}),
        ("NAdam", {"lr": 0.1, "momentum_decay": 0.5, "maximize": True}),
        ("Rprop", {}),
        ("Rprop", {"etas": (0.3, 1.5), "step_sizes": (8e-3, 0.02), "maximize": True}),
        ("Adafactor", {}),
        ("Adafactor", {"lr": 0.5, "weight_decay": 0.1, "maximize": True}),
        ("Adafactor", {"eps": (1e-3, 0.1), "d": 1.5, "beta2_decay": -0.5}),
        ("ASGD", {}),
        ("ASGD", {"lr": 0.1, "lambd": 0.1, "alpha": 0.3, "t0": 3, "weight_decay": 0.1}),
        ("ASGD", {"lr": 0.1, "t0": 0, "maximize": True}),
    ],
)
def test_steps_states_and_checkpoints_are_those_of_pytorch(kind, options) -> None:
    torch = pytest.importorskip("torch")
    random = np.random.default_rng(0)
    values = [random.standard_normal(shape) for shape in SHAPES]
    # an element whose gradient is 0 at times
    gradients = [
        [random.integers(-2, 3, each.shape) * 0.5 for each in values] for _ in range(12)
    ]
    params = [torch.tensor(each, requires_grad=True) for each in values]
    theirs = getattr(torch.optim, kind)(params, **options)
    twins = [ad.tensor(each, requires_grad=True) for each in values]
    ours = getattr(optim, kind)(twins, **options)
    for step, given in enumerate(gradients):
        if step == 6:
            # PyTorch's go on here
            twins = [
                ad.tensor(each.detach().numpy(), requires_grad=True) for each in params
            ]
            ours = getattr(optim, kind)(twins, lr=7.0)
            ours.load_state_dict(theirs.state_dict())
        for param, twin, gradient in zip(params, twins, given):
            param.grad = torch.tensor(gradient)
            twin.grad = ad.tensor(gradient)
        theirs.step()
        ours.step()
    for param, twin in zip(params, twins):
        np.testing.assert_allclose(
            twin.detach().numpy(), param.detach().numpy(), rtol=1e-6, atol=1e-9
        )
        assert ours.state[twin].keys() == theirs.state[param].keys()
        for name, entry in theirs.state[param].items():
            found = ours.state[twin][name]
            assert found.shape == tuple(entry.shape)
            np.testing.assert_allclose(
                found.numpy(), entry.numpy(), rtol=1e-6, atol=1e-9
            )
    assert ours.param_groups[0].keys() == theirs.param_groups[0].keys()


def test_a_gradient_that_is_no_number_shows_after_rprop() -> None:
    w = ad.ones(3, requires_grad=True)
    w.grad = ad.tensor([np.nan, np.inf, 0.0])
    optim.Rprop([w], lr=0.5).step()
    np.testing.assert_array_equal(w.detach().numpy(), [np.nan, 0.5, 1.0])


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda w: optim.NAdam(w, betas=(0.9, 1.0)), r"NAdam: betas\[1\] must be"),
        (lambda w: optim.NAdam(w, momentum_decay=-1), "NAdam: momentum_decay must not"),
        (lambda w: optim.Adafactor(w, d=0.5), "Adafactor: d must be at least 1"),
        (lambda w: optim.Adafactor(w, beta2_decay=0.1), "Adafactor: beta2_decay must"),
        (lambda w: optim.Adafactor(w, eps=(None, -1)), r"Adafactor: eps\[1\] must not"),
        (lambda w: optim.Adafactor(w, eps=1e-3), "Adafactor: eps must be two numbers"),
        (lambda w: optim.Rprop(w, lr=-1), "Rprop: lr must not be negative"),
        (lambda w: optim.SGD(w, lr=math.nan), "SGD: lr must not be .* NaN, got nan"),
        (lambda w: optim.Adam(w, lr=math.nan), "Adam: lr must not be .* NaN, got nan"),
        (lambda w: optim.Rprop(w, etas=(0.5, 1.0)), "Rprop: etas must be"),
        (lambda w: optim.Rprop(w, etas=(0.5,)), "Rprop: etas must be"),
        (lambda w: optim.Rprop(w, step_sizes=(2, 1)), "Rprop: step_sizes must be"),
        (lambda w: optim.ASGD(w, weight_decay=-1), "ASGD: weight_decay must not"),
    ],
)
def test_options_out_of_range_are_refused(make, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        make([ad.ones(1, requires_grad=True)])


@pytest.mark.parametrize("option", ["d", "beta2_decay", "lr"])
@pytest.mark.parametrize("value", ["a", None])
def test_an_option_of_adafactor_that_is_no_number(option: str, value: object) -> None:
    with pytest.raises(TypeError, match=f"Adafactor: {option} must be a number, got"):
        optim.Adafactor([ad.ones(1, requires_grad=True)], **{option: value})


# ---- backends, threads, instruction sets ----

KINDS = [
    (optim.SGD, {"lr": 0.1}),
    (optim.SGD, {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.1}),
    (optim.SGD, {"lr": 0.1, "momentum": 0.9, "dampening": 0.3, "maximize": True}),
    (optim.Adam, {"lr": 0.1, "amsgrad": True, "weight_decay": 0.1}),
    (optim.AdamW, {"lr": 0.1, "maximize": True}),
    (optim.RMSprop, {"lr": 0.01, "centered": True, "momentum": 0.9}),
    (optim.Adagrad, {"lr": 0.1, "lr_decay": 0.1, "initial_accumulator_value": 0.2}),
    (optim.Adadelta, {"lr": 0.5, "weight_decay": 0.1}),
    (optim.Adamax, {"lr": 0.1, "weight_decay": 0.1}),
    (optim.RAdam, {"lr": 0.1, "betas": (0.9, 0.5), "weight_decay": 0.1}),
    (optim.RAdam, {"lr": 0.1, "weight_decay": 0.1, "decoupled_weight_decay": True}),
    (optim.NAdam, {"lr": 0.1, "weight_decay": 0.1}),
    (optim.NAdam, {"weight_decay": 0.1, "decoupled_weight_decay": True}),
    (optim.NAdam, {"lr": 0.1, "momentum_decay": 0.5, "maximize": True}),
    (optim.Rprop, {"lr": 0.1}),
    (optim.Rprop, {"etas": (0.3, 1.5), "step_sizes": (8e-3, 0.02), "maximize": True}),
    (optim.ASGD, {"lr": 0.1, "weight_decay": 0.1, "maximize": True}),
    (optim.ASGD, {"lr": 0.1, "lambd": 0.1, "alpha": 0.3, "t0": 1}),
]


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize(("kind", "options"), KINDS)
@pytest.mark.parametrize("dtype", [ad.float32, ad.float64])
def test_kernels_agree_with_the_reference_on_any_threads(
    kind: type[optim.Optimizer], options: dict[str, object], dtype: object
) -> None:
    def run() -> list[np.ndarray]:
        params = _setup(dtype=dtype)
        return _train(kind(params, **options), params, range(4))

    with use_backend("reference"):
        expected = run()
    for isa in native.isa_names():
        with ad.testing.use_isa(isa):
            found = []
            for threads in (1, 2, 5):
                with native.exact_threads(threads, uneven=threads > 2):
                    found.append(run())
        for values in zip(*found):
            assert all(np.array_equal(values[0], each) for each in values)
        tolerance = 1e-4 if dtype is ad.float32 else 1e-9
        for a, b in zip(found[0], expected):
            np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize(("kind", "options"), KINDS)
def test_threads_share_large_parameters_and_count_one_step(
    kind: type[optim.Optimizer], options: dict[str, object]
) -> None:
    # smaller ones are the first thread's alone; of so many threads some begin late
    values = np.random.default_rng(0).standard_normal((4, 20_011))

    def run() -> list[list[float]]:
        params = [ad.tensor(each, requires_grad=True) for each in values]
        optimizer = kind(params, **options)
        for _ in range(4):
            for each in params:
                each.grad = each.detach() * 0.5
            optimizer.step()
        return [each.tolist() for each in params]

    with native.exact_threads(1):
        alone = run()
    with native.exact_threads(16):
        assert run() == alone


# ---- state ----


@pytest.mark.parametrize(("kind", "options"), KINDS)
def test_resume_equals_the_uninterrupted_run(
    kind: type[optim.Optimizer], options: dict[str, object]
) -> None:
    params = _setup()
    whole = _train(kind(params, **options), params, range(6))
    half = _setup()
    first = kind(half, **options)
    _train(first, half, range(3))
    saved = pickle.loads(pickle.dumps(first.state_dict()))
    twins = [ad.tensor(p.detach(), requires_grad=True) for p in half]
    second = kind(twins, **{**options, "lr": 7.0})
    second.load_state_dict(saved)
    again = _train(second, twins, range(3, 6))
    assert all(np.array_equal(a, b) for a, b in zip(whole, again))


def test_state_dict_has_the_format_of_pytorch() -> None:
    params = _setup(dtype=ad.float32)
    optimizer = optim.Adam(params)
    _train(optimizer, params, range(2))
    saved = optimizer.state_dict()
    assert saved["param_groups"][0]["params"] == [0, 1, 2, 3]
    assert saved["param_groups"][0]["betas"] == (0.9, 0.999)
    entry = saved["state"][2]
    assert set(entry) == {"step", "exp_avg", "exp_avg_sq"}
    assert entry["step"].item() == 2
    assert entry["step"].dtype is ad.float32
    assert entry["exp_avg"].shape == (130, 3)


def test_load_state_dict_refuses_other_groups() -> None:
    a = optim.SGD(_setup(), lr=0.1)
    with pytest.raises(ValueError, match="group 0 has 4 parameters"):
        a.load_state_dict(optim.SGD(_setup()[:2], lr=0.1).state_dict())
    with pytest.raises(ValueError, match="parameter groups"):
        a.load_state_dict({"state": {}, "param_groups": []})


def test_optimizers_can_be_copied_and_printed() -> None:
    params = _setup()
    optimizer = optim.Adam(params, lr=0.3)
    _train(optimizer, params, range(1))
    twin = copy.deepcopy(optimizer)
    assert twin.param_groups[0]["lr"] == 0.3
    assert "Adam (" in repr(twin)
    assert "lr: 0.3" in repr(twin)


def test_groups_with_options_of_their_own() -> None:
    a, b = ad.ones(1, requires_grad=True), ad.ones(1, requires_grad=True)
    optimizer = optim.SGD([{"params": [a]}, {"params": b, "lr": 1.0}], lr=0.1)
    a.grad, b.grad = ad.ones(1), ad.ones(1)
    optimizer.step()
    assert [round(x.item(), 6) for x in (a, b)] == [0.9, 0.0]
    optimizer.param_groups[0]["lr"] = 0.5
    optimizer.step()
    assert round(a.item(), 6) == 0.4
    optimizer.add_param_group({"params": ad.ones(2, requires_grad=True)})
    assert len(optimizer.param_groups) == 3
    with pytest.raises(ValueError, match="more than one group"):
        optimizer.add_param_group({"params": [a]})


def test_parameters_without_a_gradient_are_left_alone() -> None:
    a, b = ad.ones(2, requires_grad=True), ad.ones(2, requires_grad=True)
    optimizer = optim.Adam([a, b], lr=0.1)
    for _ in range(3):
        b.grad = ad.ones(2)
        optimizer.step()
    assert a.tolist() == [1.0, 1.0]
    assert a not in optimizer.state
    a.grad = ad.ones(2)
    optimizer.step()
    assert optimizer.state[a]["step"].item() == 1
    assert optimizer.state[b]["step"].item() == 4


def test_mixed_element_types_layouts_and_gaps() -> None:
    base = ad.ones(4, 6, dtype=ad.float64)
    params = [
        ad.ones(3, requires_grad=True),
        ad.ones(2, 3, dtype=ad.float64).t().requires_grad_(),
        base[:, ::2].detach().requires_grad_(),
    ]
    optimizer = optim.SGD(params, lr=0.5, momentum=0.9)
    for _ in range(2):
        for p in params:
            p.grad = ad.arange(p.numel(), dtype=p.dtype).reshape(tuple(p.shape))
        optimizer.step()
    for p in params:
        count = np.arange(p.numel()).reshape(p.shape)
        np.testing.assert_allclose(p.detach().numpy(), 1 - 1.45 * count, rtol=1e-6)
    assert (base.numpy()[:, 1::2] == 1).all()


def test_gradients_that_move_are_found() -> None:
    w = ad.zeros(100, requires_grad=True)
    optimizer = optim.SGD([w], lr=1.0)
    total = np.zeros(100, np.float32)
    kept = []
    for k in range(6):
        g = ad.rand(100)
        if k % 2:
            kept.append(g)
        w.grad = g
        total -= g.numpy()
        optimizer.step()
        optimizer.zero_grad()
    np.testing.assert_allclose(w.detach().numpy(), total, rtol=1e-5)


def test_a_step_counts_as_a_change_of_the_parameters() -> None:
    w = ad.ones(3, requires_grad=True)
    loss = (w * w).sum()
    w.grad = ad.ones(3)
    optim.SGD([w], lr=0.1).step()
    with pytest.raises(ad.GradError, match="changed"):
        loss.backward()


def test_closure_and_zero_grad() -> None:
    w = ad.ones(3, requires_grad=True)
    optimizer = optim.SGD([w], lr=0.1)

    def closure() -> ad.Tensor:
        optimizer.zero_grad()
        loss = (w * w).sum()
        loss.backward()
        return loss

    with ad.no_grad():
        assert optimizer.step(closure).item() == 3
    optimizer.zero_grad(set_to_none=False)
    assert w.grad.tolist() == [0.0] * 3
    optimizer.zero_grad()
    assert w.grad is None


def test_bad_arguments() -> None:
    w = ad.ones(3, requires_grad=True)
    with pytest.raises(ValueError, match="SGD: expected parameters, got none"):
        optim.SGD([], lr=0.1)
    with pytest.raises(TypeError, match="one tensor"):
        optim.SGD(w, lr=0.1)
    for model in (nn.Linear(2, 1), nn.Sequential(nn.Linear(2, 1))):
        with pytest.raises(TypeError, match=r"likely fix: model.parameters\(\)"):
            optim.SGD(model, lr=0.1)
    with pytest.raises(ValueError, match="no leaf"):
        optim.SGD([w * 2], lr=0.1)
    with pytest.raises(ValueError, match="lr must not be negative"):
        optim.Adam([w], lr=-1)
    with pytest.raises(ValueError, match=r"betas\[1\]"):
        optim.AdamW([w], betas=(0.9, 1.0))
    with pytest.raises(ValueError, match=r"Adam: betas must be two numbers, got 0\.9"):
        optim.Adam([w], betas=0.9)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="Adam: lr must be a number, got '1e-3'"):
        optim.Adam([w], lr="1e-3")
    with pytest.raises(ValueError, match="nesterov"):
        optim.SGD([w], lr=0.1, nesterov=True)
    with pytest.raises(NotImplementedError, match="differentiable"):
        optim.SGD([w], lr=0.1, differentiable=True)
    optimizer = optim.SGD([w], lr=0.1, foreach=True, fused=False)
    w.grad = ad.ones(3)
    w.data = ad.ones(2)
    with pytest.raises(ad.ShapeError, match="another shape"):
        optimizer.step()


@pytest.mark.parametrize(
    ("kind", "steps"),
    [
        (lr_scheduler.StepLR, "step_size"),
        (lr_scheduler.LinearLR, "total_iters"),
        (lr_scheduler.PolynomialLR, "total_iters"),
        (lr_scheduler.CosineAnnealingLR, "T_max"),
    ],
)
def test_schedules_refuse_no_steps(kind: type, steps: str) -> None:
    with pytest.raises(ValueError, match=f"{kind.__name__}: {steps} must be positive"):
        kind(_optimizer(), **{steps: 0})


def test_biases_and_normalisation_do_not_decay() -> None:
    model = nn.Module()
    model.weight = nn.Parameter(ad.ones(2, 3))
    model.bias = nn.Parameter(ad.ones(2))
    model.scale = nn.Parameter(ad.ones(3))
    groups = optim.no_decay_groups(model, 0.1)
    found = [(group["param_names"], group["weight_decay"]) for group in groups]
    assert found == [(["weight"], 0.1), (["bias", "scale"], 0.0)]
    optimizer = optim.AdamW(groups, lr=0.1)
    for p in model.parameters():
        p.grad = ad.zeros_like(p)
    optimizer.step()
    assert model.bias.tolist() == [1.0, 1.0]
    assert model.weight.max().item() == pytest.approx(0.99)


class Momentum(optim.Optimizer):
    """As users write one."""

    def __init__(self, params: object, lr: float = 0.1) -> None:
        super().__init__(params, {"lr": lr})

    @ad.no_grad()
    def step(self, closure: object = None) -> None:
        for group in self.param_groups:
            for p in group["params"]:
                state = self.state[p]
                if not state:
                    state["step"] = 0
                    state["mean"] = ad.zeros_like(p)
                state["step"] += 1
                state["mean"].mul_(0.5).add_(p.grad)
                p.add_(state["mean"], alpha=-group["lr"])


def test_optimizers_without_a_kernel() -> None:
    w = ad.ones(2, requires_grad=True)
    first = Momentum([w])
    schedule = lr_scheduler.StepLR(first, 1, gamma=0.5)
    for _ in range(2):
        first.zero_grad()
        w.sum().backward()
        first.step()
        schedule.step()
    # 1 - 0.1 * 1 - 0.05 * 1.5
    assert w.tolist() == pytest.approx([0.825, 0.825])
    second = Momentum([w])
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    assert second.param_groups[0]["lr"] == 0.025
    assert second.state[w]["step"] == 2
    assert second.state[w]["mean"].tolist() == [1.5, 1.5]
    with pytest.raises(NotImplementedError, match="Optimizer must define step"):
        optim.Optimizer([w], {}).step()


# ---- L-BFGS ----


def _rosenbrock(w: ad.Tensor) -> ad.Tensor:
    return (1 - w[0]) ** 2 + 100 * (w[1] - w[0] ** 2) ** 2


def _minimize(
    steps: int,
    state: dict[str, object] | None = None,
    at: object = (-1.2, 1.0),
    **options,
) -> tuple[list[float], optim.Optimizer]:
    w = ad.tensor(at, dtype=ad.float64, requires_grad=True)
    optimizer = optim.LBFGS([w], **options)
    if state is not None:
        optimizer.load_state_dict(copy.deepcopy(state))

    def closure() -> ad.Tensor:
        optimizer.zero_grad()
        loss = _rosenbrock(w)
        loss.backward()
        return loss

    for _ in range(steps):
        optimizer.step(closure)
    return w.tolist(), optimizer


def test_lbfgs_finds_the_bottom_of_a_valley() -> None:
    found, optimizer = _minimize(4, line_search_fn="strong_wolfe")
    (state,) = optimizer.state.values()
    # as PyTorch 2.13
    assert found == pytest.approx([0.9999814210791366, 0.9999619651810989], rel=1e-9)
    assert state["func_evals"] == 46
    found, optimizer = _minimize(3, lr=0.1, history_size=2, max_iter=5)
    assert found == pytest.approx([-1.056349771953122, 1.0611480246057685], rel=1e-9)


def test_lbfgs_goes_on_where_it_was_saved() -> None:
    options = {"line_search_fn": "strong_wolfe", "max_iter": 4}
    whole, _ = _minimize(4, **options)
    half, optimizer = _minimize(2, **options)
    again, _ = _minimize(2, optimizer.state_dict(), half, **options)
    assert again == whole


def test_lbfgs_refuses() -> None:
    w, v = (ad.ones(1, requires_grad=True) for _ in range(2))
    with pytest.raises(ValueError, match="None or 'strong_wolfe', got 'armijo'"):
        optim.LBFGS([w], line_search_fn="armijo")
    with pytest.raises(ValueError, match="one group of parameters, got 2"):
        optim.LBFGS([{"params": [w]}, {"params": [v]}])
    with pytest.raises(ValueError, match="step needs a closure"):
        optim.LBFGS([w]).step()


# ---- schedules ----


def _optimizer(lr: float = 1.0) -> optim.Optimizer:
    w = ad.ones(1, requires_grad=True)
    return optim.SGD([w], lr=lr, momentum=0.9)


SCHEDULES = [
    ("StepLR", {"step_size": 3, "gamma": 0.5}),
    ("MultiStepLR", {"milestones": [2, 5, 5], "gamma": 0.5}),
    ("ExponentialLR", {"gamma": 0.9}),
    ("CosineAnnealingLR", {"T_max": 7, "eta_min": 0.01}),
    ("OneCycleLR", {"max_lr": 2.0, "total_steps": 20}),
    ("LambdaLR", {"lr_lambda": lambda k: 1 / (1 + k)}),
    ("LinearLR", {"start_factor": 0.2, "total_iters": 6}),
    ("ConstantLR", {"factor": 0.3, "total_iters": 4}),
    ("CosineAnnealingWarmRestarts", {"T_0": 3, "T_mult": 2}),
    ("PolynomialLR", {"total_iters": 8, "power": 2.0}),
    ("MultiplicativeLR", {"lr_lambda": lambda k: 0.5 + 0.1 * k}),
    ("CyclicLR", {"base_lr": 0.3, "max_lr": 1.0, "step_size_up": 3}),
]


def _lrs(optimizer: optim.Optimizer, schedule: object, steps: int) -> list[float]:
    lrs = []
    for _ in range(steps):
        lrs.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return lrs


def test_cosine_of_three_steps() -> None:
    optimizer = _optimizer()
    schedule = lr_scheduler.CosineAnnealingLR(optimizer, 3)
    lrs = _lrs(optimizer, schedule, 4)
    assert lrs == pytest.approx([1, 0.75, 0.25, 0], abs=1e-15)
    assert schedule.get_lr() == schedule.get_last_lr()


@pytest.mark.parametrize(("name", "options"), SCHEDULES)
def test_lr_at_is_pure_and_nothing_warns(name: str, options: dict[str, object]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        optimizer = _optimizer(0.3)
        schedule = getattr(lr_scheduler, name)(optimizer, **options)
        ahead = [schedule.lr_at(k) for k in range(20)]
        assert schedule.last_epoch == 0
        assert _lrs(optimizer, schedule, 19) == ahead[:19]
    if name not in ("OneCycleLR", "LinearLR", "ConstantLR"):
        assert ahead[0] == 0.3


@pytest.mark.parametrize(("name", "options"), SCHEDULES)
@pytest.mark.parametrize("k", [1, 4, 7])
def test_resumed_schedule_equals_the_uninterrupted(
    name: str, options: dict[str, object], k: int
) -> None:
    make = getattr(lr_scheduler, name)
    optimizer = _optimizer()
    whole = _lrs(optimizer, make(optimizer, **options), 14)

    optimizer = _optimizer()
    schedule = make(optimizer, **options)
    _lrs(optimizer, schedule, k)
    saved = copy.deepcopy((optimizer.state_dict(), schedule.state_dict()))
    optimizer = _optimizer(5.0)
    schedule = make(optimizer, **options)
    optimizer.load_state_dict(saved[0])
    schedule.load_state_dict(saved[1])
    assert _lrs(optimizer, schedule, 14 - k) == whole[k:]

    # and by the number of the last step
    optimizer = _optimizer(5.0)
    optimizer.load_state_dict(saved[0])
    schedule = make(optimizer, **options, last_epoch=k - 1)
    assert _lrs(optimizer, schedule, 14 - k) == whole[k:]


def test_schedules_one_after_the_other_and_at_once() -> None:
    optimizer = _optimizer()
    parts = [
        lr_scheduler.LinearLR(optimizer, 0.25, total_iters=3),
        lr_scheduler.ExponentialLR(optimizer, 0.5),
    ]
    schedule = lr_scheduler.SequentialLR(optimizer, parts, [3])
    assert _lrs(optimizer, schedule, 6) == pytest.approx(
        [0.25, 0.5, 0.75, 1, 0.5, 0.25]
    )

    optimizer = _optimizer()
    warm = lr_scheduler.ConstantLR(optimizer, 0.1, total_iters=2)
    decay = lr_scheduler.ExponentialLR(optimizer, 0.5)
    lrs = []
    for _ in range(4):
        lrs.append(optimizer.param_groups[0]["lr"])
        warm.step()
        decay.step()
    assert lrs == pytest.approx([0.1, 0.05, 0.25, 0.125])


@pytest.mark.parametrize(
    ("name", "options", "lrs"),
    [
        # what PyTorch 2.13 sets after a group of 0.03 came in the third step
        ("StepLR", {"step_size": 3, "gamma": 0.5}, [0.025, 0.015]),
        ("ExponentialLR", {"gamma": 0.9}, [0.0430467, 0.0177147]),
        ("CosineAnnealingLR", {"T_max": 10, "eta_min": 0.01}, [0.0185942, 0.0124057]),
        ("LinearLR", {"start_factor": 0.2, "total_iters": 6}, [0.1, 0.05]),
        ("PolynomialLR", {"total_iters": 9, "power": 2.0}, [0.0012346, 0.0008333]),
    ],
)
def test_a_group_that_comes_later_goes_on_from_its_step_size(
    name: str, options: dict[str, object], lrs: list[float]
) -> None:
    optimizer = _optimizer(0.1)
    schedule = getattr(lr_scheduler, name)(optimizer, **options)
    for step in range(8):
        if step == 3:
            late = ad.ones(1, requires_grad=True)
            optimizer.add_param_group({"params": [late], "lr": 0.03})
        optimizer.step()
        schedule.step()
    found = [group["lr"] for group in optimizer.param_groups]
    assert found == pytest.approx(lrs, abs=1e-7)
    assert schedule.get_last_lr() == found
    assert schedule.lr_at(8, 1) == pytest.approx(lrs[1], abs=1e-7)


@pytest.mark.parametrize("kind", ["SequentialLR", "ChainedScheduler"])
def test_a_group_that_comes_later_in_joined_schedules(kind: str) -> None:
    optimizer = _optimizer()
    parts = [
        lr_scheduler.ConstantLR(optimizer, 0.5, total_iters=9),
        lr_scheduler.ExponentialLR(optimizer, 0.5),
    ]
    more = ([2],) if kind == "SequentialLR" else ()
    first = (optimizer, parts) if more else (parts,)
    schedule = getattr(lr_scheduler, kind)(*first, *more)
    late = {"params": [ad.ones(1, requires_grad=True)], "lr": 0.25}
    optimizer.add_param_group(late)
    for _ in range(3):
        schedule.step()
        old, new = (group["lr"] for group in optimizer.param_groups)
        assert new == pytest.approx(old / 2)
        assert old == schedule.lr_at(schedule.last_epoch)


def test_a_plateau_reduces_a_group_that_comes_later() -> None:
    for low, refused in ((0.3, False), ([0.3], True)):
        optimizer = _optimizer()
        plateau = lr_scheduler.ReduceLROnPlateau(
            optimizer, factor=0.5, patience=0, min_lr=low
        )
        plateau.step(1.0)
        late = ad.ones(1, requires_grad=True)
        optimizer.add_param_group({"params": [late], "lr": 0.4})
        if refused:
            with pytest.raises(
                ValueError, match="ReduceLROnPlateau: the optimizer got"
            ):
                plateau.step(1.0)
            continue
        plateau.step(1.0)
        assert plateau.get_last_lr() == [0.5, 0.3]


@pytest.mark.parametrize(
    "name", ["LambdaLR", "MultiplicativeLR", "OneCycleLR", "CyclicLR"]
)
def test_options_for_each_group_are_missed_by_a_later_one(name: str) -> None:
    optimizer = _optimizer()
    schedule = getattr(lr_scheduler, name)(optimizer, **dict(SCHEDULES)[name])
    late = ad.ones(1, requires_grad=True)
    optimizer.add_param_group({"params": [late]})
    with pytest.raises(ValueError, match=f"{name}: the optimizer got group 1 after"):
        schedule.step()
    assert schedule.last_epoch == 0


@pytest.mark.parametrize(("name", "options"), SCHEDULES)
def test_what_is_set_by_hand_is_lost_or_multiplied_as_in_pytorch(
    name: str, options: dict[str, object]
) -> None:
    absolute = ("LambdaLR", "OneCycleLR", "CyclicLR", "CosineAnnealingWarmRestarts")
    optimizer = _optimizer()
    schedule = getattr(lr_scheduler, name)(optimizer, **options)
    schedule.step()
    optimizer.param_groups[0]["lr"] *= 4
    schedule.step()
    if name == "CosineAnnealingLR":
        wanted = 3.250131  # relative to eta_min, in PyTorch 2.13 too
    else:
        wanted = schedule.lr_at(2) * (1 if name in absolute else 4)
    assert optimizer.param_groups[0]["lr"] == pytest.approx(wanted)


@pytest.mark.parametrize("nested", [False, True])
def test_what_is_set_by_hand_ends_where_the_next_of_several_schedules_begins(
    nested: bool,
) -> None:
    optimizer = _optimizer()
    parts = [
        lr_scheduler.ExponentialLR(optimizer, 0.5),
        lr_scheduler.CosineAnnealingLR(optimizer, 10, eta_min=0.25),
        lr_scheduler.LambdaLR(optimizer, lambda k: 2.0 + k),
    ]
    if nested:
        parts[:2] = [lr_scheduler.SequentialLR(optimizer, parts[:2], milestones=[3])]
    milestones = [7] if nested else [3, 7]
    schedule = lr_scheduler.SequentialLR(optimizer, parts, milestones=milestones)
    found = []
    for step in range(1, 10):
        if step in (2, 5, 9):
            optimizer.param_groups[0]["lr"] *= 4
        schedule.step()
        found.append(optimizer.param_groups[0]["lr"])
    # of PyTorch 2.13
    wanted = [0.5, 1.0, 1.0, 0.981646, 3.658924, 3.242034, 2.0, 3.0, 4.0]
    assert found == pytest.approx(wanted, rel=1e-5)


def test_a_group_that_was_held_at_0_can_be_let_go() -> None:
    held, free = (ad.ones(1, requires_grad=True) for _ in range(2))
    optimizer = optim.SGD([{"params": [held], "lr": 0.0}, {"params": [free]}], lr=1.0)
    schedule = lr_scheduler.ExponentialLR(optimizer, 0.5)
    schedule.step()
    assert [group["lr"] for group in optimizer.param_groups] == [0.0, 0.5]
    optimizer.param_groups[0]["lr"] = 0.25
    for _ in range(2):
        schedule.step()
    found = [group["lr"] for group in optimizer.param_groups]
    assert found == pytest.approx([0.0625, 0.125])  # as PyTorch 2.13


def test_what_is_set_after_the_end_stays() -> None:
    optimizer = _optimizer()
    schedule = lr_scheduler.PolynomialLR(optimizer, 2)
    for _ in range(3):
        schedule.step()
    assert optimizer.param_groups[0]["lr"] == 0
    optimizer.param_groups[0]["lr"] = 0.25
    late = ad.ones(1, requires_grad=True)
    optimizer.add_param_group({"params": [late], "lr": 0.5})
    schedule.step()
    assert schedule.get_last_lr() == [0.25, 0.5]  # as PyTorch 2.13


def test_a_base_of_0_may_rise_to_the_end_of_a_cosine() -> None:
    optimizer = _optimizer(0.0)
    schedule = lr_scheduler.CosineAnnealingLR(optimizer, 4, eta_min=0.5)
    for k in range(6):
        assert optimizer.param_groups[0]["lr"] == schedule.lr_at(k)
        schedule.step()


def test_joined_schedules_move_momentum_too() -> None:
    optimizer = _optimizer()
    cycle = lr_scheduler.OneCycleLR(optimizer, 1.0, total_steps=10)
    parts = [lr_scheduler.ConstantLR(optimizer, 0.5, 3), cycle]
    sequence = lr_scheduler.SequentialLR(optimizer, parts, [3])
    for step in range(8):
        wanted = cycle.momentum_at(max(step - 3, 0))
        assert optimizer.param_groups[0]["momentum"] == wanted
        sequence.step()
    chain = lr_scheduler.ChainedScheduler([cycle])
    chain.step()
    assert optimizer.param_groups[0]["momentum"] == cycle.momentum_at(1)


def test_a_schedule_goes_on_from_a_file(tmp_path: Path) -> None:
    whole = _optimizer()
    expected = _lrs(whole, lr_scheduler.MultiStepLR(whole, [1, 4, 4], 0.5), 6)
    optimizer = _optimizer()
    schedule = lr_scheduler.MultiStepLR(optimizer, [1, 4, 4], 0.5)
    _lrs(optimizer, schedule, 3)
    ad.save([optimizer.state_dict(), schedule.state_dict()], tmp_path / "state")
    optimizer = _optimizer()
    schedule = lr_scheduler.MultiStepLR(optimizer, [1, 4, 4], 0.5)
    for part, saved in zip((optimizer, schedule), ad.load(tmp_path / "state")):
        part.load_state_dict(saved)
    assert _lrs(optimizer, schedule, 3) == expected[3:]


def test_one_cycle_of_three_phases_as_pytorch() -> None:
    schedule = lr_scheduler.OneCycleLR(
        _optimizer(), 1.0, total_steps=10, three_phase=True
    )
    assert [schedule.lr_at(k) for k in range(10)] == pytest.approx(
        # what PyTorch 2.13 sets
        [0.04, 0.52, 1.0, 0.52, 0.04, 0.036181, 0.026182, 0.013822, 0.003823, 4e-6],
        abs=1e-6,
    )


def test_one_cycle_moves_momentum_the_other_way() -> None:
    optimizer = _optimizer()
    schedule = lr_scheduler.OneCycleLR(optimizer, 1.0, total_steps=10, pct_start=0.3)
    momenta = []
    for _ in range(9):
        momenta.append(optimizer.param_groups[0]["momentum"])
        schedule.step()
    assert momenta[0] == pytest.approx(0.95)
    assert momenta[2] == pytest.approx(0.85)
    schedule.step()
    with pytest.raises(
        ValueError, match="stepped 11 times, past its end after total_steps=10"
    ):
        schedule.step()
    adam = optim.Adam([ad.ones(1, requires_grad=True)])
    lr_scheduler.OneCycleLR(adam, 1.0, total_steps=10)
    assert adam.param_groups[0]["betas"] == (pytest.approx(0.95), 0.999)


# mode, other options, what PyTorch 2.13 sets (SGD with momentum, base 1, peak 3, two steps
# up), momentum after two steps
CYCLES = [
    ({}, [1, 2, 3, 2, 1, 2, 3], 0.8),
    ({"step_size_down": 1}, [1, 2, 3, 1, 2, 3, 1], 0.8),
    ({"mode": "triangular2"}, [1, 2, 3, 2, 1, 1.5, 2], 0.8),
    (
        {"mode": "exp_range", "gamma": 0.5},
        [1, 1.5, 1.5, 1.125, 1, 1.03125, 1.03125],
        0.875,
    ),
    ({"scale_fn": lambda cycle: 1 / cycle}, [1, 2, 3, 2, 1, 1.5, 2], 0.8),
    (
        {"scale_fn": lambda step: step, "scale_mode": "iterations"},
        [1, 2, 5, 4, 1, 6, 13],
        0.7,
    ),
]


@pytest.mark.parametrize(("options", "lrs", "momentum"), CYCLES)
def test_cycles_as_pytorch(
    options: dict[str, object], lrs: list[float], momentum: float
) -> None:
    optimizer = _optimizer(0.1)
    schedule = lr_scheduler.CyclicLR(optimizer, 1.0, 3.0, step_size_up=2, **options)
    assert _lrs(optimizer, schedule, 2) == pytest.approx(lrs[:2])
    assert optimizer.param_groups[0]["momentum"] == pytest.approx(momentum)
    assert _lrs(optimizer, schedule, 5) == pytest.approx(lrs[2:])
    assert "scale_fn" not in schedule.state_dict()


def test_cycles_are_refused() -> None:
    adam = optim.Adam([ad.ones(1, requires_grad=True)])
    lr_scheduler.CyclicLR(adam, 0.1, 1.0)
    assert adam.param_groups[0]["betas"] == (0.9, 0.999)
    for options, match in (
        ({"mode": "square"}, "mode must be one of triangular, triangular2, exp_range"),
        ({"scale_mode": "epoch"}, "scale_mode must be cycle or iterations"),
        ({"step_size_up": 0}, "positive numbers of steps"),
        ({"max_lr": [1.0, 2.0]}, "expected 1 values for max_lr, got 2"),
    ):
        with pytest.raises(ValueError, match=match):
            lr_scheduler.CyclicLR(adam, **{"base_lr": 0.1, "max_lr": 1.0, **options})


def test_schedules_that_move_momentum_need_one() -> None:
    rms = optim.RMSprop([ad.ones(1, requires_grad=True)])
    adagrad = optim.Adagrad([ad.ones(1, requires_grad=True)])
    lr_scheduler.CyclicLR(rms, 0.1, 1.0)
    with pytest.raises(ValueError, match="CyclicLR: the optimizer has no momentum"):
        lr_scheduler.CyclicLR(adagrad, 0.1, 1.0)


def test_plateau() -> None:
    optimizer = _optimizer()
    schedule = lr_scheduler.ReduceLROnPlateau(
        optimizer, factor=0.5, patience=2, cooldown=1, min_lr=0.2
    )
    lrs = []
    for loss in [3, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2]:
        schedule.step(ad.tensor(float(loss)))
        lrs.append(optimizer.param_groups[0]["lr"])
    assert lrs == [1, 1, 1, 1, 0.5, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25, 0.25, 0.2]
    twin = lr_scheduler.ReduceLROnPlateau(_optimizer())
    twin.load_state_dict(schedule.state_dict())
    assert twin.get_last_lr() == [0.2]


# ---- clipping ----


@pytest.mark.parametrize("dtype", [ad.float32, ad.float64])
def test_clipping_scales_to_the_norm(dtype: object) -> None:
    params = [ad.zeros(3, 4, dtype=dtype, requires_grad=True) for _ in range(3)]
    for i, p in enumerate(params[:2]):
        p.grad = ad.full((3, 4), float(i + 1), dtype=dtype)
    norm = nn.utils.clip_grad_norm_(params, 1.0)
    assert norm.item() == pytest.approx(math.sqrt(12 + 48), rel=1e-6)
    assert norm.dtype is dtype
    now = nn.utils.get_total_norm([p.grad for p in params[:2]])
    assert now.item() == pytest.approx(1, rel=1e-5)
    assert nn.utils.clip_grad_norm_(params, 5.0).item() == now.item()
    assert nn.utils.clip_grad_norm_(params, 5.0, math.inf).item() == pytest.approx(
        2 / math.sqrt(60), rel=1e-5
    )
    nn.utils.clip_grad_value_(params, 0.1)
    assert params[1].grad.max().item() == pytest.approx(0.1)
    assert params[2].grad is None


@pytest.mark.parametrize(
    ("dtype", "size"),
    [
        (ad.float32, 1e30),
        (ad.float64, 1e300),
        (ad.float64, 1e-300),
        (ad.float64, 1e-310),
        (ad.float64, 5e-324),
    ],
)
def test_norm_of_huge_and_tiny_gradients(dtype: object, size: float) -> None:
    w = ad.zeros(4, dtype=dtype, requires_grad=True)
    w.grad = ad.full((4,), size, dtype=dtype)
    norm = nn.utils.clip_grad_norm_(w, 1.0).item()
    assert norm == pytest.approx(2 * size, rel=1e-6, abs=0)
    clipped = 0.5 if size > 1 else size
    assert w.grad.tolist() == pytest.approx([clipped] * 4, rel=1e-5, abs=0)


@pytest.mark.parametrize(("p", "size"), [(0, 3.0), (-math.inf, 0.0), (1, 3.3125)])
def test_clip_grad_norm_of_rare_orders(p, size):
    x, y = ad.zeros(2, requires_grad=True), ad.zeros(2, 1, requires_grad=True)
    x.grad, y.grad = ad.tensor([3.0, -0.25]), ad.tensor([[0.0], [0.0625]])
    norm = nn.utils.clip_grad_norm_([x, y], 1.0, norm_type=p)
    assert norm.item() == pytest.approx(size)
    assert x.grad[0].item() == pytest.approx(3.0 * min(1.0, 1 / (size + 1e-6)))
    with pytest.raises(ValueError, match="p must be -inf or from 0 to inf"):
        nn.utils.clip_grad_norm_([x, y], 1.0, norm_type=-1)


def test_a_norm_that_is_not_finite_names_the_parameter() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.Parameter(ad.ones(2))
            self.second = nn.Parameter(ad.ones(2))

        def forward(self, x: ad.Tensor) -> ad.Tensor:
            return x * self.first

    net = Net()
    net(ad.ones(2))
    net.first.grad = ad.ones(2)
    net.second.grad = ad.tensor([1.0, math.inf])
    with pytest.raises(ad.GradError, match="`second`"):
        nn.utils.clip_grad_norm_(net.parameters(), 1.0, error_if_nonfinite=True)
    assert net.first.grad.tolist() == [1.0, 1.0]
    nan = ad.ones(2, requires_grad=True)
    nan.grad = ad.tensor([math.nan, 1.0])
    for order in (1.0, 2.0, math.inf):
        assert math.isnan(nn.utils.get_total_norm(nan.grad, order).item())
        mixed = [ad.ones(1), nan.grad.double()]
        assert math.isnan(nn.utils.get_total_norm(mixed, order).item())
    assert math.isnan(nn.utils.clip_grad_norm_(nan, 1.0).item())


@pytest.mark.usefixtures("compiled")
def test_the_norm_does_not_depend_on_threads() -> None:
    w = ad.zeros(30_011, requires_grad=True)
    w.grad = ad.randn(30_011)
    norms = set()
    for threads in (1, 2, 3, 8):
        with native.exact_threads(threads, uneven=threads > 2):
            norms.add(nn.utils.get_total_norm(w.grad).item())
    assert len(norms) == 1


def test_parameters_that_are_not_called_are_named():
    with pytest.raises(
        TypeError, match=r"got the method parameters; .* parameters\(\)$"
    ):
        ad.optim.Adam(nn.Linear(1, 1).parameters)
