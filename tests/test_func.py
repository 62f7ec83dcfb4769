"""Functions of functions: derivatives, maps over samples, ensembles."""

from __future__ import annotations

from collections import OrderedDict, namedtuple
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pyautodl as ad
from pyautodl import nn
from pyautodl.errors import DTypeError, GradError, ShapeError
from pyautodl.func import (
    functional_call,
    grad,
    grad_and_value,
    hessian,
    jacfwd,
    jacrev,
    jvp,
    linearize,
    replace_all_batch_norm_modules_,
    stack_module_state,
    vjp,
    vmap,
)

F = nn.functional
Pair = namedtuple("Pair", "a b")


def close(actual: Any, expected: Any) -> None:
    np.testing.assert_allclose(
        actual.detach().numpy(), np.asarray(expected), rtol=1e-5, atol=1e-6
    )


def numbers(*shape: int, seed: int = 0) -> ad.Tensor:
    return ad.tensor(np.random.default_rng(seed).normal(size=shape))


# ---- derivatives ----


def test_gradients_nest() -> None:
    x = ad.tensor(0.5, dtype=ad.float64)
    found = x
    for expected in (np.cos, lambda v: -np.sin(v), lambda v: -np.cos(v)):
        function = ad.sin if found is x else grad(function)  # noqa: F821
        found = grad(function)(x)
        close(found, expected(0.5))
        assert not found.requires_grad


def test_an_inner_derivative_is_part_of_the_outer_function() -> None:
    def outer(x: ad.Tensor) -> ad.Tensor:
        inner = grad(lambda y: (x * y**3).sum())(x)  # 3 x^3
        return (x * inner).sum()

    x = numbers(3)
    close(grad(outer)(x), 12 * x.numpy() ** 3)
    # what the inner one is given beside is no function of the outer argument
    apart = grad(lambda x: (x * grad(lambda y: (y**2).sum())(x.detach())).sum())(x)
    close(apart, 2 * x.numpy())


def test_nested_arguments_aux_and_argnums() -> None:
    tree = {"w": numbers(2), "pair": Pair(numbers(2, seed=1), [numbers(2, seed=2)])}

    def function(tree: Any, scale: ad.Tensor, power: int = 1) -> tuple[Any, Any]:
        total = tree["w"] * tree["pair"].a * tree["pair"].b[0] * scale**power
        return total.sum(), {"total": total, "text": "kept"}

    found, aux = grad(function, has_aux=True)(tree, ad.tensor(2.0), power=2)
    assert isinstance(found["pair"], Pair)
    close(found["w"], 4 * tree["pair"].a.numpy() * tree["pair"].b[0].numpy())
    close(found["pair"].b[0], 4 * tree["pair"].a.numpy() * tree["w"].numpy())
    assert aux["text"] == "kept"
    assert not aux["total"].requires_grad
    both, (value, _) = grad_and_value(function, (1, 0), True)(tree, ad.tensor(2.0))
    product = tree["w"] * tree["pair"].a * tree["pair"].b[0]
    close(both[0], product.sum())
    close(value, 2 * product.sum())
    assert both[1].keys() == tree.keys()
    ordered = grad(lambda t: t["x"].sum())(OrderedDict(x=ad.ones(2)))
    assert type(ordered) is OrderedDict


def test_what_does_not_count_gives_zeros() -> None:
    close(grad(lambda x, y: y.sum())(ad.ones(2), ad.ones(3)), [0, 0])
    close(jacrev(lambda x: ad.ones(2))(ad.ones(3)), np.zeros((2, 3)))
    close(jacfwd(lambda x: ad.ones(2))(ad.ones(3)), np.zeros((2, 3)))
    assert jacrev(lambda x: x[:0])(ad.ones(3)).shape == (0, 3)
    assert jacfwd(lambda x: x.sum(0))(ad.ones(0, 3)).shape == (3, 0, 3)


def test_derivatives_belong_to_graphs_outside_alone() -> None:
    weight = ad.tensor(3.0, requires_grad=True)
    x = ad.tensor(2.0, requires_grad=True)
    found = grad(lambda x: weight * x**3)(x)
    found.backward()
    close(weight.grad, 12)
    close(x.grad, 36)
    assert not grad(lambda x: x**3)(x.detach()).requires_grad
    assert grad(lambda x: weight * x)(x.detach()).requires_grad
    with ad.no_grad():
        # recording is on inside, and off for what is outside
        found, value = grad_and_value(lambda x: weight * x**3)(x)
        assert not found.requires_grad
        assert not value.requires_grad
    close(found, 36)
    assert x.grad.item() == 36


def test_products_with_jacobians() -> None:
    matrix, x, v, w = numbers(3, 2), numbers(2), numbers(2, seed=1), numbers(3, seed=2)

    def function(x: ad.Tensor) -> tuple[Any, Any]:
        return (matrix @ x).sin(), {"square": x**2}

    slope = np.cos(matrix.numpy() @ x.numpy())[:, None] * matrix.numpy()
    output, vjp_fn = vjp(function, x)
    (found,) = vjp_fn((w, {"square": v}))
    close(found, w.numpy() @ slope + 2 * x.numpy() * v.numpy())
    close(vjp_fn((w, {"square": v}))[0], found)  # again
    for product in (jvp(function, (x,), (v,))[1], linearize(function, x)[1](v)):
        close(product[0], slope @ v.numpy())
        close(product[1]["square"], 2 * x.numpy() * v.numpy())
    _, product, aux = jvp(lambda x: (x**2, x), (x,), (v,), has_aux=True)
    close(aux, x)
    close(product, 2 * x.numpy() * v.numpy())
    two, _ = vjp(ad.mul, x, v)
    close(two, x * v)
    assert not output[0].requires_grad


@pytest.mark.parametrize("jacobian", [jacrev, jacfwd])
def test_jacobians(jacobian: Callable[..., Any]) -> None:
    matrix, x, y = numbers(3, 2), numbers(2), numbers(3, seed=1)

    def function(x: Any, y: Any) -> Any:
        return {"a": (matrix @ x) * y, "b": (x**2).sum()}

    found = jacobian(function, (0, 1))(x, y)
    close(found["a"][0], matrix.numpy() * y.numpy()[:, None])
    close(found["a"][1], np.diag(matrix.numpy() @ x.numpy()))
    close(found["b"][0], 2 * x.numpy())
    close(found["b"][1], np.zeros(3))
    block, aux = jacobian(lambda x: (x**2, "aux"), has_aux=True)(numbers(2, 2))
    assert aux == "aux"
    assert block.shape == (2, 2, 2, 2)
    h = hessian(lambda x: x[0] ** 2 * x[1])(x)
    a, b = x.tolist()
    close(h, [[2 * b, 2 * a], [2 * a, 0]])
    close(jacobian(jacobian(lambda x: x[0] ** 2 * x[1]))(x), h)


# ---- vmap ----


def test_axes_in_and_out() -> None:
    x, y = numbers(4, 3, 2), numbers(3, seed=1)
    whole = x.numpy()
    mapped = vmap(lambda a, b: a + b, in_dims=(1, None), out_dims=-1)(x[0], y)
    close(mapped, whole[0] + y.numpy()[:, None])
    for axis in (0, 1, 2, -1):
        expected = np.moveaxis(whole, axis, 0).sum((1, 2))
        close(vmap(lambda a: a.sum(), in_dims=axis)(x), expected)
        moved = np.moveaxis(whole, 0, axis)
        close(vmap(lambda a: 1 * a, out_dims=axis)(x), moved)


def test_nested_arguments_and_outputs() -> None:
    tree = ({"a": numbers(2, 5), "b": [numbers(5, seed=1), 7.0]}, numbers(5, 2))
    dims = ({"a": 1, "b": [0, None]}, 0)

    def function(tree: Any, c: ad.Tensor, *, d: ad.Tensor) -> Any:
        assert tree["a"].shape == c.shape == (2,)
        return Pair({"s": tree["a"] + c}, [tree["b"][0] * tree["b"][1] + d])

    found = vmap(function, dims, ({"s": 1}, [0]))(*tree, d=ad.ones(5))
    assert isinstance(found, Pair)
    close(found.a["s"], (tree[0]["a"].numpy().T + tree[1].numpy()).T)
    close(found.b[0], tree[0]["b"][0].numpy() * 7 + 1)


def test_maps_nest_and_have_gradients() -> None:
    x, y = numbers(3, 4).requires_grad_(), numbers(5, 4, seed=1)
    outer = vmap(vmap(ad.dot, (None, 0)), (0, None))
    close(outer(x, y), x.detach().numpy() @ y.numpy().T)
    (outer(x, y) * ad.arange(5)).sum().backward()
    close(x.grad, np.tile(np.arange(5) @ y.numpy(), (3, 1)))
    batched = vmap(jacrev(lambda x: x**2))(x.detach())
    close(batched, np.stack([np.diag(row) for row in 2 * x.detach().numpy()]))


def test_gradients_by_sample_are_those_of_batches_of_one() -> None:
    ad.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 3, 3),
        nn.GroupNorm(1, 3),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(12, 2),
    )
    x, y = ad.randn(4, 1, 4, 4), ad.tensor([0, 1, 1, 0])
    params = {name: each.detach() for name, each in model.named_parameters()}

    def loss(params: Any, x: ad.Tensor, y: ad.Tensor) -> ad.Tensor:
        output = functional_call(model, params, (x.unsqueeze(0),))
        return F.cross_entropy(output, y.unsqueeze(0))

    found = vmap(grad(loss), in_dims=(None, 0, 0))(params, x, y)
    for i in range(4):
        model.zero_grad()
        F.cross_entropy(model(x[i : i + 1]), y[i : i + 1]).backward()
        for name, each in model.named_parameters():
            close(found[name][i], each.grad)
    model.zero_grad()
    F.cross_entropy(model(x), y).backward()
    for name, each in model.named_parameters():
        close(found[name].mean(0), each.grad)


def test_random_numbers_of_samples() -> None:
    x = ad.zeros(3, 4)
    draw = lambda a: a + ad.rand(4)  # noqa: E731
    ad.manual_seed(1)
    state = ad.get_rng_state().tolist()
    with pytest.raises(RuntimeError, match="randomness='different'"):
        vmap(draw)(x)
    assert ad.get_rng_state().tolist() == state
    same = vmap(draw, randomness="same")(x)
    assert same[0].tolist() == same[1].tolist() == same[2].tolist()
    after = ad.rand(4)
    assert after.tolist() != same[0].tolist()
    ad.manual_seed(1)
    different = vmap(draw, randomness="different")(x)
    assert different[0].tolist() == same[0].tolist()
    assert different[1].tolist() == after.tolist()


def test_ensembles() -> None:
    models = [nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3)) for _ in range(3)]
    models[0][0].weight.requires_grad_(False)
    for each in models:
        each.eval()
    params, buffers = stack_module_state(models)
    assert not params["0.weight"].requires_grad
    assert params["0.bias"].requires_grad
    assert params["0.bias"].is_leaf
    x = ad.randn(5, 4)

    def predict(params: Any, buffers: Any, x: ad.Tensor) -> ad.Tensor:
        return functional_call(models[0], (params, buffers), (x,))

    found = vmap(predict, (0, 0, None))(params, buffers, x)
    for each, model in zip(found, models):
        close(each, model(x).detach())
    replace_all_batch_norm_modules_(models[1])
    assert list(models[1].state_dict()) == [
        "0.weight",
        "0.bias",
        "1.weight",
        "1.bias",
    ]
    with pytest.raises(ValueError, match=r"all be in train\(\)"):
        stack_module_state([models[0], nn.Linear(1, 1)])
    with pytest.raises(ValueError, match="of one class"):
        stack_module_state([models[0], nn.Linear(1, 1).eval()])
    with pytest.raises(ValueError, match="at least one model"):
        stack_module_state([])


def test_a_shortcut_of_the_package() -> None:
    assert ad.vmap is vmap
    assert ad.func.vmap is vmap


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        (lambda x: vmap(3), TypeError, "func must be a function, got 3"),
        (lambda x: vmap(ad.sin, randomness="x"), ValueError, "randomness must be"),
        (lambda x: vmap(ad.sin, chunk_size=0), ValueError, "chunk_size must be"),
        (lambda x: vmap(ad.sin, in_dims=5)(x), ShapeError, r"axis 5 for .* \(2, 3\)"),
        (lambda x: vmap(ad.sin, out_dims=3)(x), ShapeError, r"out_dims has axis 3"),
        (lambda x: vmap(ad.sin, in_dims=None)(x), ValueError, "fix: in_dims=0"),
        (lambda x: vmap(ad.sin, in_dims=(0, 0))(x), ValueError, "is not nested as the"),
        (lambda x: vmap(ad.add)(x, ad.ones(5, 3)), ShapeError, r"got \[2, 5\]"),
        (lambda x: vmap(ad.add)(x, 2), TypeError, "fix: None for it in in_dims"),
        (lambda x: vmap(lambda a: 1)(x), TypeError, "the function returns must be"),
        (lambda x: vmap(ad.sin)(x[:0]), ValueError, "there is no sample"),
        (lambda x: vmap(ad.sin, out_dims=(0, 0))(x), ValueError, "out_dims"),
        (lambda x: grad(ad.sin)(x), GradError, r"one element, got shape \(2, 3\)"),
        (lambda x: grad(lambda x: (x, 1))(x), TypeError, "likely fix: has_aux=True"),
        (lambda x: grad(lambda x: x.sum(), has_aux=True)(x), TypeError, "output, aux"),
        (lambda x: grad(ad.sum)(x.long()), DTypeError, r"likely fix: \.float\(\)"),
        (lambda x: grad(ad.sum)(3.0), TypeError, "differentiated by must be tensors"),
        (lambda x: grad(ad.sum, 1)(x), ValueError, "argnums 1 is not among the 1"),
        (lambda x: grad(ad.sum, (0, 0))(x), ValueError, "argnums must be different"),
        (lambda x: vjp(ad.sin, x)[1](x[0]), ShapeError, "cotangents must have shapes"),
        (lambda x: jvp(ad.sin, (x,), (x[0],)), ShapeError, "tangents must have shapes"),
        (lambda x: jvp(ad.sin, x, x), TypeError, r"likely fix: \(x,\)"),
        (lambda x: jacrev(lambda x: 1)(x), TypeError, "the function returns must be"),
    ],
)
def test_errors(wrong: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        wrong(ad.ones(2, 3))
