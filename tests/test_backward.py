"""What `.grad`, hooks and the arguments of backward may be, and what they are afterwards."""

from __future__ import annotations

import copy
from typing import Any

import pytest

import pyautodl as ad
from pyautodl.errors import DTypeError, GradError, ShapeError


def leaf(*values: float) -> ad.Tensor:
    return ad.tensor(values, requires_grad=True)


# ---- grad ----


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        (lambda p: ad.zeros(1), ShapeError, r"shape \(2,\), got \(1,\)"),
        (lambda p: ad.zeros(2, dtype=ad.float64), DTypeError, "float32, got float64"),
        (lambda p: ad.zeros(2, dtype=ad.int64), DTypeError, "float32, got int64"),
        (lambda p: [1.0, 2.0], TypeError, "got list"),
        (lambda p: p, GradError, "its own gradient"),
    ],
)
def test_grad_must_fit_its_tensor(value: Any, error: Any, message: str) -> None:
    p = leaf(2.0, 3.0)
    with pytest.raises(error, match=message):
        p.grad = value(p)
    assert p.grad is None


def test_grad_can_be_assigned_and_deleted() -> None:
    p = leaf(2.0, 3.0)
    p.grad = given = ad.ones(2)
    assert p.grad is given
    (p * p).sum().backward()
    assert p.grad is given
    assert given.tolist() == [5.0, 7.0]
    p.grad = None
    assert p.grad is None
    p.grad = given
    del p.grad
    assert p.grad is None


@pytest.mark.parametrize("hooked", [False, True])
def test_a_grad_whose_elements_share_memory_is_added_to(hooked: bool) -> None:
    p, one = leaf(2.0, 3.0), ad.ones(1)
    if hooked:
        p.register_hook(lambda g: None)
    p.grad = one.expand(2)
    (p * p).sum().backward()
    assert p.grad.tolist() == [5.0, 7.0]
    assert one.tolist() == [1.0]


@pytest.mark.parametrize("data", [ad.ones(3), ad.ones(2, dtype=ad.float64)])
def test_a_grad_that_the_data_no_longer_fits_is_refused(data: ad.Tensor) -> None:
    p = leaf(2.0, 3.0)
    (p * p).sum().backward()
    p.data = data
    with pytest.raises(GradError, match="likely fix: set grad to None"):
        (p * p).sum().backward()


# ---- hooks ----


@pytest.mark.parametrize(
    ("hook", "error", "message"),
    [
        (lambda g: ad.ones(1), ShapeError, r"shape from \(2,\) to \(1,\)"),
        (lambda g: g.double(), DTypeError, "type from float32 to float64"),
        (lambda g: 1.0, TypeError, "got float"),
    ],
)
@pytest.mark.parametrize("on_leaf", [False, True])
def test_a_hook_keeps_shape_and_type(
    hook: Any, error: Any, message: str, on_leaf: bool
) -> None:
    p = leaf(2.0, 3.0)
    h = p * 1
    (p if on_leaf else h).register_hook(hook)
    with pytest.raises(error, match=f"hook '<lambda>'.*{message}"):
        (h * h).sum().backward()


# ---- gradients that are retained ----


def test_a_retained_gradient_has_memory_of_its_own() -> None:
    a = leaf(1.0, 1.0, 1.0)
    h = a * 1
    k = h + 1
    h.retain_grad()
    k.retain_grad()
    (k * k).sum().backward(retain_graph=True)
    k.grad.add_(100)
    assert h.grad.tolist() == [4.0, 4.0, 4.0]
    given = ad.ones(3)
    h.grad = None
    h.backward(given, retain_graph=True)
    given.add_(5)
    assert h.grad.tolist() == [1.0, 1.0, 1.0]
    h.grad = None
    h.sum().backward(retain_graph=True)
    assert h.grad.stride() == (1,)
    held = h.grad
    h.sum().backward()
    assert held.tolist() == [1.0, 1.0, 1.0]
    assert h.grad.tolist() == [2.0, 2.0, 2.0]


# ---- inputs ----


def test_inputs_that_are_no_leaves_get_their_gradients() -> None:
    a = leaf(1.0, 2.0)
    h = a * 1
    (h * h).sum().backward(inputs=[h], retain_graph=True)
    assert h.grad.tolist() == [2.0, 4.0]
    assert h.retains_grad
    assert a.grad is None
    h.grad = None
    ad.autograd.backward((h * h).sum(), inputs=(h, a))
    assert h.grad.tolist() == [2.0, 4.0]
    assert a.grad.tolist() == [2.0, 4.0]


def test_inputs_that_make_no_sense_are_refused() -> None:
    a = leaf(1.0, 2.0)
    for backward in (ad.Tensor.backward, ad.autograd.backward):
        y = (a * a).sum()
        with pytest.raises(GradError, match="`inputs` is empty"):
            backward(y, inputs=[])
        with pytest.raises(GradError, match="input 1 requires no gradient"):
            backward(y, inputs=[a, ad.ones(2)])
        with pytest.raises(TypeError, match="input 0 is a int"):
            backward(y, inputs=[1])
    assert a.grad is None


def test_hooks_of_inputs_run_once() -> None:
    a, calls = leaf(1.0, 2.0), []
    a.register_hook(lambda g: calls.append(g) or g * 2)
    (a * a).sum().backward(inputs=[a])
    assert len(calls) == 1
    assert a.grad.tolist() == [4.0, 8.0]
    ad.autograd.grad((a * a).sum(), a)
    assert len(calls) == 2


# ---- leaves that are frozen ----


@pytest.mark.parametrize("hooked", [False, True])
def test_a_leaf_frozen_after_it_was_used_gets_no_gradient(hooked: bool) -> None:
    w, x = leaf(1.0, 2.0), leaf(3.0, 4.0)
    seen: list[Any] = []
    if hooked:
        w.register_hook(lambda g: seen.append(g.tolist()))
        w.register_post_accumulate_grad_hook(seen.append)
    loss = (w * x).sum()
    w.requires_grad_(False)
    loss.backward()
    assert w.grad is None
    assert x.grad.tolist() == [1.0, 2.0]
    assert seen == ([[3.0, 4.0]] if hooked else [])


# ---- hooks and recording ----


def test_hooks_run_with_recording_as_the_pass() -> None:
    p, modes = leaf(2.0, 3.0), []
    h = p * 1
    for x in (h, p):
        x.register_hook(lambda g: modes.append(ad.is_grad_enabled()))
    p.register_post_accumulate_grad_hook(lambda t: modes.append(ad.is_grad_enabled()))
    loss = (h * h).sum()
    loss.backward(retain_graph=True)
    assert modes == [False, False, False]
    with ad.no_grad():
        loss.backward(create_graph=True)
        assert not ad.is_grad_enabled()
    assert modes[3:] == [True, True, True]
    modes.clear()
    ad.autograd.grad((p * p).sum(), p)
    assert modes == [False]
    assert ad.is_grad_enabled()


def test_a_hook_may_take_the_optimizers_step() -> None:
    p = leaf(2.0, 3.0)
    p.register_post_accumulate_grad_hook(lambda t: t.sub_(0.5 * t.grad))
    (p * p).sum().backward()
    assert p.tolist() == [0.0, 0.0]
    p.register_hook(lambda g: 1.0)
    with pytest.raises(TypeError, match="hook"):
        (p * p).sum().backward()
    assert ad.is_grad_enabled()


def test_a_gradient_with_a_graph_is_not_recorded_in_a_plain_pass() -> None:
    p, given = leaf(2.0, 3.0), leaf(1.0, 1.0)
    h = p * 1
    h.retain_grad()
    h.register_hook(lambda g: g * 2)
    h.backward(given * 2)
    assert not h.grad.requires_grad
    assert not p.grad.requires_grad


# ---- tensors that are overwritten as a whole ----


@pytest.mark.parametrize(
    "overwrite",
    [
        lambda h: h.zero_(),
        lambda h: h.fill_(2.0),
        lambda h: h.copy_(ad.ones(2)),
        lambda h: h.__setitem__(slice(None), 2.0),
        lambda h: h.__setitem__(..., ad.ones(2)),
        lambda h: h.view(2).zero_(),
        lambda h: h.uniform_(),
        lambda h: h.bernoulli_(),
    ],
)
def test_an_overwritten_tensor_still_requires_a_gradient(overwrite: Any) -> None:
    x = leaf(1.0, 2.0)
    h = x * 1
    overwrite(h)
    assert h.requires_grad
    assert not h.is_leaf
    (h * h).sum().backward()
    assert x.grad.tolist() == [0.0, 0.0]
    constant = ad.ones(2)
    overwrite(constant)
    assert not constant.requires_grad


def test_an_overwritten_view_follows_its_base() -> None:
    x = ad.ones(2, 2, requires_grad=True)
    h = x * 3
    row, column = h[0], h[:, 0]
    row.zero_()
    assert row.requires_grad
    (row.sum() * 5 + h.sum() * 2 + (column * column).sum()).backward()
    assert x.grad.tolist() == [[0.0, 0.0], [24.0, 6.0]]


# ---- views made without recording ----


@pytest.mark.parametrize(
    "change",
    [
        lambda v: v.mul_(2),
        lambda v: v.zero_(),
        lambda v: v.__setitem__(0, 2.0),
        lambda v: v[0:1].mul_(2),
        lambda v: v.copy_(leaf(1.0, 2.0)),
    ],
)
def test_a_view_made_under_no_grad_is_not_changed_with_recording(change: Any) -> None:
    h = ad.ones(2, 2, requires_grad=True) * 1
    with ad.no_grad():
        view = h[0]
    with pytest.raises(GradError, match=r"view was made under no_grad\(\)"):
        change(view)
    assert h.tolist() == [[1.0, 1.0], [1.0, 1.0]]


def test_views_made_under_no_grad_that_may_be_changed() -> None:
    x = ad.ones(2, 2, requires_grad=True)
    h = x * 1
    with ad.no_grad():
        h[0].mul_(2)
        view = h.detach()[0]
    view.mul_(2)
    h.sum().backward()
    assert x.grad.tolist() == [[1.0, 1.0], [1.0, 1.0]]
    source, base = leaf(1.0, 2.0), ad.zeros(2, 2)
    with ad.no_grad():
        view = base[0]
    view.copy_(source)
    base.sum().backward()
    assert source.grad.tolist() == [1.0, 1.0]


# ---- copies ----


def test_a_copied_parameter_has_no_gradient() -> None:
    layer, x = ad.nn.Linear(2, 2), leaf(1.0, 2.0)
    layer(x).sum().backward()
    twin = copy.deepcopy(layer)
    assert twin.weight.grad is None
    assert twin.weight.tolist() == layer.weight.tolist()
    assert layer.weight.grad is not None
    assert copy.deepcopy(x).grad.tolist() == x.grad.tolist()


# ---- the gradient that is given ----


@pytest.mark.parametrize("dtype", [ad.float64, ad.int64])
def test_the_gradient_that_is_given_is_cast(dtype: Any) -> None:
    x = leaf(1.0, 2.0)
    given = ad.ones(2, dtype=dtype)
    (x * 3).backward(given)
    x.backward(given)
    assert x.grad.dtype is ad.float32
    assert x.grad.tolist() == [4.0, 4.0]
    (g,) = ad.autograd.grad(x * 3, x, given)
    assert g.tolist() == [3.0, 3.0]
    with pytest.raises(TypeError, match="backward: expected a Tensor or None"):
        (x * 3).backward(1.0)


# ---- Function ----


class Given(ad.autograd.Function):
    """The identity, with a gradient that is given."""

    @staticmethod
    def forward(ctx: Any, x: Any, grad: Any) -> Any:
        ctx.grad = grad
        return x * 1

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        return ctx.grad, None


@pytest.mark.parametrize("dtype", [ad.float32, ad.float64])
@pytest.mark.parametrize(
    ("shape", "larger", "times"),
    [((2,), (4, 2), 4), ((2, 1), (2, 3), 3), ((), (2, 3), 6), ((2,), (1, 2), 1)],
)
def test_a_functions_gradient_is_summed_to_the_arguments_shape(
    shape: Any, larger: Any, times: int, dtype: Any
) -> None:
    x = ad.ones(shape, requires_grad=True)
    Given.apply(x, ad.ones(larger, dtype=dtype)).sum().backward()
    assert x.grad.dtype is ad.float32
    assert x.grad.tolist() == ad.full(shape, float(times)).tolist()


def test_a_functions_gradient_that_does_not_fit_is_refused() -> None:
    for wrong in ((1,), (3,)):
        with pytest.raises(GradError, match="expected that of the input"):
            Given.apply(leaf(1.0, 2.0), ad.ones(wrong)).sum().backward()


# ---- NumPy ----


def test_numpy_under_no_grad_takes_what_requires_a_gradient() -> None:
    p = leaf(1.0, 2.0)
    with pytest.raises(GradError, match="requires a gradient"):
        p.numpy()
    with ad.no_grad():
        assert p.numpy().tolist() == [1.0, 2.0]
