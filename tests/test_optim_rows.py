"""Optimizers of tables and of matrices: SparseAdam and Muon."""

from __future__ import annotations

import copy
import inspect
import subprocess
import sys

import numpy as np
import pytest

import pyautodl as ad
from pyautodl import nn, optim


@pytest.mark.parametrize("kind", ["Muon", "SparseAdam"])
def test_arguments_are_those_of_pytorch(kind: str) -> None:
    torch = pytest.importorskip("torch")
    ours, theirs = [
        [(each.name, each.kind, each.default) for each in signature.parameters.values()]
        for signature in map(
            inspect.signature, (getattr(optim, kind), getattr(torch.optim, kind))
        )
    ]
    assert ours == theirs


def test_they_are_imported_when_they_are_used() -> None:
    code = (
        "import sys, pyautodl.nn, pyautodl.optim as o\n"
        "later = ['optim.muon', 'optim.sparse_adam', 'nn.adaptive',"
        " 'nn.fractional_max_pool', 'functional.networks.fractional_max_pool']\n"
        "assert not [n for n in later if f'pyautodl.{n}' in sys.modules]\n"
        "assert {'Muon', 'SparseAdam'} <= set(o.__all__) and o.Muon is o.muon.Muon"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# ---- SparseAdam ----


@pytest.mark.parametrize(
    "options",
    [{}, {"lr": 0.1, "betas": (0.5, 0.9), "eps": 1e-3}, {"lr": 0.1, "maximize": True}],
)
def test_rows_states_and_checkpoints_are_those_of_pytorch(options) -> None:
    torch = pytest.importorskip("torch")
    random = np.random.default_rng(0)
    values = random.standard_normal((6, 3)).astype("f")
    theirs = torch.nn.Embedding.from_pretrained(
        torch.tensor(values), freeze=False, sparse=True
    )
    ours = nn.Embedding.from_pretrained(ad.tensor(values), freeze=False)
    one = torch.optim.SparseAdam(theirs.parameters(), **options)
    other = optim.SparseAdam(ours.parameters(), **options)
    for step in range(8):
        rows = random.integers(0, 6, 3)
        weights = random.standard_normal((3, 3)).astype("f")
        for library, table, optimizer in ((torch, theirs, one), (ad, ours, other)):
            optimizer.zero_grad()
            picked = table(library.tensor(rows))
            (picked * library.tensor(weights)).sum().backward()
            optimizer.step()
        np.testing.assert_allclose(
            ours.weight.detach().numpy(),
            theirs.weight.detach().numpy(),
            rtol=1e-5,
            atol=1e-6,
        )
        saved = one.state_dict(), other.state_dict()
        assert [*saved[0]["state"][0]] == [*saved[1]["state"][0]]
        assert saved[0]["param_groups"][0].keys() == saved[1]["param_groups"][0].keys()
        assert saved[1]["state"][0]["step"] == step + 1
        if step == 3:
            # PyTorch's go on here
            other = optim.SparseAdam(ours.parameters(), lr=7.0)
            other.load_state_dict(saved[0])
    assert type(other.state[ours.weight]["step"]) is int


def test_rows_without_a_gradient_rest() -> None:
    table = nn.Embedding(4, 2)
    before = table.weight.detach().clone()
    optimizer = optim.SparseAdam(table.parameters(), lr=0.1)
    for rows in ([0], [1], [1]):
        optimizer.zero_grad()
        table(ad.tensor(rows)).sum().backward()
        optimizer.step()
    moved = before - table.weight.detach()
    # Adam would have gone on with row 0
    assert moved[0].tolist() == pytest.approx([0.1] * 2, rel=1e-3)
    assert moved[2:].tolist() == [[0, 0], [0, 0]]
    state = optimizer.state[table.weight]
    assert state["step"] == 3
    assert state["exp_avg"][2:].tolist() == [[0, 0], [0, 0]]
    optimizer.zero_grad(set_to_none=False)
    optimizer.step()
    assert state["step"] == 4
    twin = copy.deepcopy(optimizer)
    assert twin.state_dict()["state"][0]["step"] == 4


@pytest.mark.parametrize("shape", [(), (3,), (2, 3, 2)])
def test_parameters_of_any_axes(shape) -> None:
    w = ad.zeros(shape, requires_grad=True)
    optimizer = optim.SparseAdam([w], lr=0.1)
    assert optimizer.step(lambda: (w.sum() * 3).backward()) is None
    np.testing.assert_allclose(w.detach().numpy(), np.full(shape, -0.1), rtol=1e-5)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"lr": 0}, ValueError, "lr must be above 0, got 0"),
        ({"eps": 0}, ValueError, "eps must be above 0, got 0"),
        ({"betas": (1, 0)}, ValueError, r"betas\[0\] must be in"),
        ({"lr": "fast"}, TypeError, "lr must be a number, got 'fast'"),
    ],
)
def test_options_of_sparse_adam(options, error, message) -> None:
    with pytest.raises(error, match=f"SparseAdam: {message}"):
        optim.SparseAdam([ad.ones(2, requires_grad=True)], **options)


# ---- Muon ----


def _stepped(shape, options, steps=4):
    """A parameter's values and the gradients it was given, before and after steps."""
    random = np.random.default_rng(0)
    before = random.standard_normal(shape)
    w = ad.tensor(before, requires_grad=True)
    optimizer = optim.Muon([w], **options)
    gradients = [random.standard_normal(shape) for _ in range(steps)]
    for gradient in gradients:
        w.grad = ad.tensor(gradient)
        optimizer.step()
    return before, gradients, w.detach().numpy(), optimizer.state[w]


@pytest.mark.parametrize("shape", [(4, 6), (6, 4), (3, 3)])
@pytest.mark.parametrize(
    "options",
    [
        {"lr": 0.1},
        {"lr": 0.1, "momentum": 0.5, "nesterov": False, "ns_steps": 3},
        {"lr": 0.1, "adjust_lr_fn": "match_rms_adamw", "weight_decay": 0.2},
        {"lr": 0.1, "ns_coefficients": (1.5, -0.5, 0.0), "adjust_lr_fn": "original"},
    ],
)
def test_steps_by_singular_values(shape, options) -> None:
    before, gradients, after, state = _stepped(shape, options)
    a, b, c = options.get("ns_coefficients", (3.4445, -4.7750, 2.0315))
    momentum, decay = options.get("momentum", 0.95), options.get("weight_decay", 0.1)
    size = max(1, shape[0] / shape[1]) ** 0.5
    if options.get("adjust_lr_fn") == "match_rms_adamw":
        size = 0.2 * max(shape) ** 0.5
    w, mean = before, np.zeros(shape)
    for gradient in gradients:
        mean = momentum * mean + (1 - momentum) * gradient
        update = mean
        if options.get("nesterov", True):
            update = (1 - momentum) * gradient + momentum * mean
        u, s, v = np.linalg.svd(update, full_matrices=False)
        s = s / np.linalg.norm(s)
        for _ in range(options.get("ns_steps", 5)):
            s = a * s + b * s**3 + c * s**5
        w = w * (1 - 0.1 * decay) - 0.1 * size * (u * s) @ v
    np.testing.assert_allclose(after, w, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(state["momentum_buffer"].numpy(), mean, rtol=1e-12)


@pytest.mark.parametrize("shape", [(4, 6), (6, 4)])
@pytest.mark.parametrize("options", [{}, {"lr": 0.1, "nesterov": False}])
def test_steps_and_states_are_nearly_those_of_pytorch(shape, options) -> None:
    torch = pytest.importorskip("torch")
    before, gradients, after, state = _stepped(shape, options)
    w = torch.tensor(before, requires_grad=True)
    theirs = torch.optim.Muon([w], **options)
    for gradient in gradients:
        w.grad = torch.tensor(gradient)
        theirs.step()
    # its iteration has 8 bits
    step = np.abs(after - before).max()
    np.testing.assert_allclose(after, w.detach().numpy(), rtol=0, atol=0.03 * step)
    assert state.keys() == theirs.state[w].keys()
    ours = optim.Muon([ad.tensor(before, requires_grad=True)])
    ours.load_state_dict(theirs.state_dict())
    assert ours.param_groups[0].keys() == theirs.param_groups[0].keys()
    (loaded,) = ours.state.values()
    np.testing.assert_allclose(
        loaded["momentum_buffer"].numpy(), state["momentum_buffer"].numpy(), rtol=1e-9
    )


def test_muon_learns_and_leaves_zero_alone() -> None:
    ad.manual_seed(0)
    x = ad.randn(64, 8)
    target = x @ ad.randn(8, 8)
    model = nn.Linear(8, 8, bias=False)
    optimizer = optim.Muon(model.parameters(), lr=0.05, weight_decay=0.0)
    losses = []
    for _ in range(200):
        loss = nn.functional.mse_loss(model(x), target)
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert losses[-1] < 0.05 * losses[0]
    w = ad.ones(2, 3, requires_grad=True)
    w.grad = ad.zeros(2, 3)
    optim.Muon([w], weight_decay=0.0).step()
    assert (w == 1).all()


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"lr": -1}, ValueError, "lr must not be negative"),
        (
            {"momentum": float("nan")},
            ValueError,
            "momentum must not be negative or NaN",
        ),
        ({"ns_coefficients": (1, 2)}, ValueError, "ns_coefficients must be three"),
        ({"ns_steps": 100}, ValueError, "ns_steps must be from 0 to 99, got 100"),
        ({"adjust_lr_fn": "none"}, ValueError, "adjust_lr_fn must be one of"),
        ({"eps": None}, TypeError, "eps must be a number, got None"),
    ],
)
def test_options_of_muon(options, error, message) -> None:
    with pytest.raises(error, match=f"Muon: {message}"):
        optim.Muon([ad.ones(2, 2, requires_grad=True)], **options)


def test_muon_takes_matrices() -> None:
    model = nn.Linear(2, 2)
    fix = r"got \(2,\) as parameter 1 of group 0 \('bias'\); likely fix: .*AdamW"
    with pytest.raises(ValueError, match=f"Muon: .*{fix}"):
        optim.Muon(model.named_parameters())
    optimizer = optim.Muon([model.weight])
    with pytest.raises(ValueError, match="as parameter 0 of group 1"):
        optimizer.add_param_group({"params": [model.bias]})
    assert len(optimizer.param_groups) == 1
