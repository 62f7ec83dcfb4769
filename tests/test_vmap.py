"""Maps over batches: each op by its record, functions against PyTorch's, and what has to be
computed for one sample after the other.
"""

from __future__ import annotations

import copy
import itertools
import pickle
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from typing import Any

import numpy as np
import pytest

import pyautodl as ad
from pyautodl import nn
from pyautodl.errors import GradError, ShapeError
from pyautodl.func import (
    functional_call,
    grad,
    grad_and_value,
    hessian,
    jacfwd,
    jacrev,
    jvp,
    vjp,
    vmap,
)
from pyautodl.func.batching import _by_sample as by_sample
from pyautodl.graph import BySample
from pyautodl.ops.batching import RULES, UNSHAPED, run_batched
from pyautodl.ops.record import OPS, Op, Sample
from pyautodl.tensor import call

F = nn.functional
NDArray = np.ndarray[Any, Any]
SIZE = 3

# with the lengths of sequences, which are read, among what is mapped
_READ = ("lstm", "gru", "rnn", "lstm_grad", "gru_grad", "rnn_grad")


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no function be computed for one sample after the other, if there are several."""

    def refuse(func: Any, batch: Any, *more: Any) -> Any:
        assert batch.size == 1, "one sample after the other"
        return by_sample(func, batch, *more)

    monkeypatch.setattr("pyautodl.func.batching._by_sample", refuse)


@pytest.fixture
def no_op_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no op either."""

    def refuse(op: Op, *args: Any) -> Any:
        raise BySample

    monkeypatch.setattr("pyautodl.ops.batching._one_by_one", refuse)


def numbers(*shape: int, seed: int = 0) -> NDArray:
    return np.random.default_rng(seed).normal(size=shape)


def close(actual: ad.Tensor, expected: Any, tolerance: float = 1.0) -> None:
    found, wanted = actual.detach().numpy(), np.asarray(expected)
    assert found.shape == wanted.shape
    assert found.dtype == wanted.dtype
    limits = {"rtol": 1e-9 * tolerance, "atol": 1e-10 * tolerance}
    np.testing.assert_allclose(found, wanted, **limits)


# ---- every op ----


def _varied(x: NDArray) -> NDArray:
    """Samples near x, which is the first; of integers all are x."""
    if x.dtype.kind != "f":
        return np.stack([x] * SIZE)
    normal = np.random.default_rng(0).standard_normal
    return np.stack([x] + [x * (1 + 0.1 * normal(x.shape)) for _ in range(SIZE - 1)])


def _kinds_of_samples(op: Op) -> Iterator[Sample]:
    """Small ones, one for each kind of attributes and numbers of axes."""
    seen = set()
    for sample in op.samples() if op.samples is not None else ():
        arrays = [np.asarray(x) for x in sample.inputs if x is not None]
        kind = (str(dict(sample.attrs)), *[(x.ndim, x.dtype) for x in arrays])
        if kind in seen or sum([x.size for x in arrays]) > 3000:
            continue
        seen.add(kind)
        yield sample
        if len(seen) == 24:
            return


def _subsets(places: list[int]) -> list[tuple[int, ...]]:
    """What may be mapped: each input alone, all, and all but one."""
    found = [(i,) for i in places] + [tuple(places)]
    found += [tuple([i for i in places if i != j]) for j in places[:2]]
    return list(dict.fromkeys([each for each in found if each]))


def _by_hand(function: Callable[..., Any], inputs: list[Any], mapped: Any) -> Any:
    """The results for one sample after the other, None where one of them is refused."""
    try:
        return [
            function(*[x[k] if i in mapped else x for i, x in enumerate(inputs)])
            for k in range(SIZE)
        ]
    except (ValueError, IndexError, TypeError, np.linalg.LinAlgError, RuntimeError):
        return None


_MAPPED = [name for name, op in OPS.items() if op.samples and not op.random]


@pytest.mark.parametrize("name", _MAPPED)
def test_ops_of_batches(name: str, request: pytest.FixtureRequest) -> None:
    if name not in UNSHAPED and name not in _READ:
        request.getfixturevalue("at_once")
    op = OPS[name]
    for sample in _kinds_of_samples(op):
        attrs = dict(sample.attrs)
        inputs = [None if x is None else np.asarray(x) for x in sample.inputs]
        places = [i for i, x in enumerate(inputs) if x is not None]

        def function(*tensors: Any, attrs: Any = attrs) -> Any:
            return call(name, *tensors, **attrs)

        for mapped in _subsets(places):
            given = [
                None if x is None else ad.tensor(_varied(x) if i in mapped else x)
                for i, x in enumerate(inputs)
            ]
            expected = _by_hand(function, given, mapped)
            if expected is None:
                continue
            dims = tuple([0 if i in mapped else None for i in range(len(given))])
            found = vmap(function, dims)(*given)
            many = isinstance(found, tuple)
            columns = list(zip(*expected)) if many else [expected]
            for actual, each in zip(found if many else [found], columns, strict=True):
                close(actual, ad.stack(list(each)).numpy(), sample.tolerance)


def test_rules_are_for_ops_that_are_there() -> None:
    assert RULES.keys() <= OPS.keys()
    assert UNSHAPED <= OPS.keys()
    assert not UNSHAPED & RULES.keys()


# ---- functions, against PyTorch, whose forward mode warns of itself ----

_QUIET = pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning")

# name -> a function of the library's namespace, shapes of arguments, axes that are mapped
_FUNCTIONS: dict[str, tuple[Callable[..., Any], Any, Any]] = {
    "dot": (lambda T: lambda a, b: (a * b).sum(), [(5, 4), (5, 4)], (0, 0)),
    "outer axes": (lambda T: lambda a, b: a @ b, [(2, 5, 3), (3, 4, 5)], (1, 2)),
    "vector by matrix": (lambda T: lambda a, b: a @ b, [(5, 3), (3, 4)], (0, None)),
    "matrix by vectors": (lambda T: lambda a, b: a @ b, [(4, 3), (5, 3)], (None, 0)),
    "broadcast": (
        lambda T: lambda a, b: a.unsqueeze(0) - b.unsqueeze(1),
        [(5, 3), (5, 4)],
        (0, 0),
    ),
    "more axes": (lambda T: lambda a, b: a + b, [(5, 3), (2, 3)], (0, None)),
    "softmax": (lambda T: lambda a: a.softmax(-1), [(5, 3, 4)], (0,)),
    "log_softmax": (lambda T: lambda a: a.log_softmax(0), [(3, 4, 5)], (2,)),
    "views": (
        lambda T: lambda a: a.reshape(-1).view(2, 6).t().flip(0)[1:5:2],
        [(5, 3, 4)],
        (0,),
    ),
    "permute": (lambda T: lambda a: a.permute(2, 0, 1), [(2, 5, 3, 4)], (1,)),
    "parts": (
        lambda T: (
            lambda a: T.cat([a[:, 2, 1], a[0, :2, None].sum(-1)[:, 0], a.mean((0, 1))])
        ),
        [(5, 3, 4, 2)],
        (0,),
    ),
    "split": (lambda T: lambda a: [x.exp() for x in a.split(2)], [(5, 5)], (0,)),
    "chunk": (lambda T: lambda a: sum(a.chunk(2, -1)), [(5, 3, 4)], (0,)),
    "stack": (lambda T: lambda a, b: T.stack([a, b], 1), [(5, 3), (3,)], (0, None)),
    "einsum": (
        lambda T: lambda a, b: T.einsum("ij,jk->ik", a, b),
        [(5, 2, 3), (5, 3, 4)],
        (0, 0),
    ),
    "norm": (lambda T: lambda a: a.norm(), [(5, 3, 4)], (0,)),
    "var": (lambda T: lambda a: (a.var(0), a.std()), [(5, 3, 4)], (0,)),
    "max": (lambda T: lambda a: a.max(1)[0] + a.amin(1), [(5, 3, 4)], (0,)),
    "sort": (lambda T: lambda a: a.sort(0)[0] + a.topk(3, 0)[0], [(5, 3)], (0,)),
    "cumsum": (lambda T: lambda a: a.cumsum(0) * a.cumprod(1), [(5, 3, 4)], (0,)),
    "where": (
        lambda T: lambda a, b: T.where(a > b, a, b * 2),
        [(5, 3), (3,)],
        (0, None),
    ),
    "clamp": (lambda T: lambda a: a.clamp(-0.5, 0.5) * a.abs(), [(5, 3)], (0,)),
    "powers": (lambda T: lambda a: a**3 + 2**a - 1 / (a * a + 1), [(5, 3)], (0,)),
    "triangles": (lambda T: lambda a: a.tril() + a.triu(1).mT, [(5, 3, 3)], (0,)),
    "diagonal": (lambda T: lambda a: a.diagonal().sum() * a, [(5, 3, 3)], (0,)),
    "gather": (
        lambda T: lambda a: a.gather(0, T.tensor([[0, 1], [2, 0]])),
        [(5, 3, 2)],
        (0,),
    ),
    "indices": (lambda T: lambda a: a[T.tensor([2, 0])] * a[[1]], [(5, 3, 2)], (0,)),
    "linalg": (
        lambda T: lambda a, b: T.linalg.solve(a @ a.mT + T.eye(3, dtype=a.dtype), b),
        [(5, 3, 3), (5, 3, 2)],
        (0, 0),
    ),
    "det": (lambda T: lambda a: T.linalg.inv(a) * T.linalg.det(a), [(5, 3, 3)], (0,)),
    "conv1d": (
        lambda T: lambda x, w: T.nn.functional.conv1d(x, w, padding=1),
        [(5, 2, 3, 7), (5, 4, 3, 3)],
        (0, 0),
    ),
    "conv2d": (
        lambda T: lambda x, w, b: T.nn.functional.conv2d(x, w, b, stride=2),
        [(5, 2, 4, 6, 6), (5, 6, 4, 3, 3), (6,)],
        (0, 0, None),
    ),
    "grouped conv": (
        lambda T: lambda x, w: T.nn.functional.conv2d(x, w, groups=2, padding=1),
        [(2, 4, 6, 6), (5, 6, 2, 3, 3)],
        (None, 0),
    ),
    "one image": (
        lambda T: lambda x, w: T.nn.functional.conv2d(x, w),
        [(5, 4, 6, 6), (6, 4, 3, 3)],
        (0, None),
    ),
    "transposed conv": (
        lambda T: lambda x, w: T.nn.functional.conv_transpose2d(x, w, stride=2),
        [(5, 2, 3, 4, 4), (5, 3, 2, 3, 3)],
        (0, 0),
    ),
    "pooling": (
        lambda T: (
            lambda x: (
                T.nn.functional.max_pool2d(x, 2)
                + T.nn.functional.avg_pool2d(x, 3, 2, 1)
            )
        ),
        [(5, 2, 3, 6, 6)],
        (0,),
    ),
    "layer norm": (
        lambda T: lambda x, w, b: T.nn.functional.layer_norm(x, (4,), w, b),
        [(5, 3, 4), (5, 4), (4,)],
        (0, 0, None),
    ),
    "group norm": (
        lambda T: lambda x, w, b: T.nn.functional.group_norm(x, 2, w, b),
        [(5, 2, 4, 3, 3), (5, 4), (5, 4)],
        (0, 0, 0),
    ),
    "batch norm": (
        lambda T: (
            lambda x, w: T.nn.functional.batch_norm(x, None, None, w, training=True)
        ),
        [(5, 6, 4), (5, 4)],
        (0, 0),
    ),
    "activations": (
        lambda T: (
            lambda x: (
                T.nn.functional.gelu(x)
                + T.nn.functional.silu(x)
                + T.nn.functional.elu(x)
                + T.nn.functional.softplus(x)
            )
        ),
        [(5, 3)],
        (0,),
    ),
    "mse": (
        lambda T: lambda x, y: T.nn.functional.mse_loss(x, y),
        [(5, 3, 2), (5, 3, 2)],
        (0, 0),
    ),
    "smooth l1": (
        lambda T: lambda x, y: T.nn.functional.smooth_l1_loss(x, y, reduction="sum"),
        [(5, 3), (3,)],
        (0, None),
    ),
    "cross entropy": (
        lambda T: (
            lambda x: T.nn.functional.cross_entropy(
                x, T.tensor([1, 0, 2, -100]), label_smoothing=0.1
            )
        ),
        [(5, 4, 3)],
        (0,),
    ),
    "weighted classes": (
        lambda T: (
            lambda x: T.nn.functional.cross_entropy(
                x, T.tensor([1, 0, 2, 1]), T.tensor([1.0, 2.0, 0.5], dtype=x.dtype)
            )
        ),
        [(5, 4, 3)],
        (0,),
    ),
    "probabilities": (
        lambda T: lambda x, p: T.nn.functional.cross_entropy(x, p.softmax(1)),
        [(5, 4, 3), (5, 4, 3)],
        (0, 0),
    ),
    "attention": (
        lambda T: lambda q, k, v: T.nn.functional.scaled_dot_product_attention(q, k, v),
        [(5, 2, 3, 4), (5, 2, 6, 4), (5, 2, 6, 4)],
        (0, 0, 0),
    ),
    "embedding": (
        lambda T: lambda w: T.nn.functional.embedding(T.tensor([[0, 2], [1, 2]]), w),
        [(5, 3, 4)],
        (0,),
    ),
    "bilinear": (
        lambda T: (
            lambda x: T.nn.functional.interpolate(x, scale_factor=2, mode="bilinear")
        ),
        [(5, 2, 3, 4, 4)],
        (0,),
    ),
    "padding": (
        lambda T: lambda x: T.nn.functional.pad(x, (1, 2), value=0.5),
        [(5, 3, 4)],
        (0,),
    ),
    "distances": (lambda T: lambda x, y: T.cdist(x, y), [(5, 3, 4), (2, 4)], (0, None)),
    "nothing mapped": (lambda T: lambda x: T.ones(2, dtype=x.dtype), [(5, 3)], (0,)),
}


def _flat(tree: Any) -> list[Any]:
    if isinstance(tree, (tuple, list)):
        return [leaf for each in tree for leaf in _flat(each)]
    return [tree]


def _agree(build: Callable[[Any, Any], Any], shapes: Any) -> None:
    """What is built of both libraries' functions gives the same for the same numbers."""
    torch = pytest.importorskip("torch")
    arrays = [numbers(*shape, seed=i) for i, shape in enumerate(shapes)]
    expected = build(torch, torch.func)(*[torch.tensor(x) for x in arrays])
    found = build(ad, ad.func)(*[ad.tensor(x) for x in arrays])
    for actual, each in zip(_flat(found), _flat(expected), strict=True):
        close(actual, each.detach().numpy(), 10)


@pytest.mark.usefixtures("at_once", "no_op_alone")
@pytest.mark.parametrize("name", _FUNCTIONS)
def test_functions_as_pytorch(name: str) -> None:
    build, shapes, dims = _FUNCTIONS[name]
    _agree(lambda T, func: func.vmap(build(T), dims), shapes)


def _scalar(T: Any, function: Callable[..., Any]) -> Callable[..., Any]:
    def total(*args: Any) -> Any:
        return sum([(x * x).sum() for x in _flat(function(*args))]).sin()

    return total


# whose gradients have rules as well, so that all is computed at once
_UNDIFFERENTIATED = ("nothing mapped",)


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("name", [n for n in _FUNCTIONS if n not in _UNDIFFERENTIATED])
def test_gradients_by_sample_as_pytorch(name: str) -> None:
    build, shapes, dims = _FUNCTIONS[name]
    every = tuple(range(len(shapes)))

    def gradients(T: Any, func: Any) -> Any:
        return func.vmap(func.grad(_scalar(T, build(T)), every), dims)

    _agree(gradients, shapes)


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("name", [n for n in _FUNCTIONS if n not in _UNDIFFERENTIATED])
def test_gradients_of_maps_as_pytorch(name: str) -> None:
    build, shapes, dims = _FUNCTIONS[name]

    def gradient(T: Any, func: Any) -> Any:
        return func.grad(_scalar(T, func.vmap(build(T), dims)))

    _agree(gradient, shapes)


_SMOOTH = ["dot", "softmax", "views", "conv2d", "layer norm", "group norm", "mse"]
_SMOOTH += ["cross entropy", "attention", "batch norm", "linalg", "embedding", "einsum"]


@_QUIET
@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("name", _SMOOTH)
def test_jacobians_as_pytorch(name: str) -> None:
    build, shapes, _ = _FUNCTIONS[name]
    shapes = [shape[1:] if len(shape) > 1 else shape for shape in shapes]
    if name == "group norm":
        shapes = [(2, 4, 3, 3), (4,), (4,)]
    elif name == "layer norm":
        shapes = [(3, 4), (4,), (4,)]
    elif name == "conv2d":
        shapes = [(1, 2, 5, 5), (2, 2, 3, 3), (2,)]

    def jacobian(kind: str) -> Callable[[Any, Any], Any]:
        return lambda T, func: getattr(func, kind)(build(T))

    _agree(jacobian("jacrev"), shapes)
    _agree(lambda T, func: func.hessian(_scalar(T, build(T))), shapes)
    if name not in ("attention",):  # PyTorch has no forward mode for it
        _agree(jacobian("jacfwd"), shapes)


_NESTED: dict[str, tuple[Callable[[Any, Any], Any], Any]] = {
    "pairs": (
        lambda T, f: f.vmap(f.vmap(lambda a, b: (a - b).norm(), (None, 0)), (0, None)),
        [(4, 3), (5, 3)],
    ),
    "three deep": (
        lambda T, f: f.vmap(
            f.vmap(f.vmap(lambda a, b: a @ b, (0, None)), (1, 0)), (0, 2)
        ),
        [(2, 3, 4, 5), (4, 5, 2)],
    ),
    "axes out": (
        lambda T, f: f.vmap(
            f.vmap(lambda a: (a.exp(), a.sum()), 1, (0, -1)), 0, (1, -1)
        ),
        [(2, 3, 4)],
    ),
    "maps of gradients of maps": (
        lambda T, f: f.vmap(
            f.grad(lambda w, x: f.vmap(lambda v: (w * v).sin().sum())(x).prod()),
            (None, 0),
        ),
        [(3,), (4, 2, 3)],
    ),
    "gradients of maps of gradients": (
        lambda T, f: f.grad(
            lambda w, x: f.vmap(
                lambda v: f.grad(lambda u: (w * u * v).sin().sum())(w).sum()
            )(x).prod()
        ),
        [(3,), (4, 3)],
    ),
    "batched Jacobians": (
        lambda T, f: f.vmap(f.jacrev(lambda x, w: (x @ w).tanh(), (0, 1)), (0, None)),
        [(4, 3), (3, 2)],
    ),
    "batched forward Jacobians": (
        lambda T, f: f.vmap(f.jacfwd(lambda x, w: (x @ w).tanh(), (0, 1)), (0, None)),
        [(4, 3), (3, 2)],
    ),
    "batched Hessians": (
        lambda T, f: f.vmap(f.hessian(lambda x: x.prod() * x.sin().sum())),
        [(4, 3)],
    ),
    "Jacobians of Jacobians": (
        lambda T, f: f.jacfwd(f.jacrev(f.jacrev(lambda x: x.prod().sin()))),
        [(3,)],
    ),
    "products with Jacobians": (
        lambda T, f: lambda x, v: f.vmap(f.vjp(lambda x: (x**3).cumsum(0), x)[1])(v),
        [(3,), (4, 3)],
    ),
    "products of samples": (
        lambda T, f: f.vmap(
            lambda x, v: f.jvp(lambda x: x.sin() * x.sum(), (x,), (v,))
        ),
        [(4, 3), (4, 3)],
    ),
    "captured samples": (
        lambda T, f: f.vmap(lambda x: f.vmap(lambda y: x * y + x.sum())(x)),
        [(4, 3)],
    ),
    "a gradient beside": (
        lambda T, f: f.vmap(
            lambda x: f.grad(lambda w: (w * x).sum().exp())(x.detach())
        ),
        [(4, 3)],
    ),
    "gradients by what all share": (
        lambda T, f: (
            lambda w, x: f.vmap(lambda v: f.grad(lambda w: (w * v).sum().exp())(w))(x)
        ),
        [(3,), (4, 3)],
    ),
}


@_QUIET
@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("name", _NESTED)
def test_nested_functions_as_pytorch(name: str) -> None:
    _agree(*_NESTED[name])


# ---- modules ----


def _models() -> dict[str, tuple[nn.Module, tuple[int, ...]]]:
    ad.manual_seed(0)
    return {
        "mlp": (
            nn.Sequential(
                nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 3)
            ),
            (4,),
        ),
        "cnn": (
            nn.Sequential(
                nn.Conv2d(2, 4, 3, padding=1),
                nn.ReLU(inplace=True),
                nn.MaxPool2d(2),
                nn.Conv2d(4, 4, 3, padding=1, groups=2),
                nn.GroupNorm(2, 4),
                nn.SiLU(),
                nn.AvgPool2d(2),
                nn.Flatten(),
                nn.Linear(16, 3),
            ),
            (2, 8, 8),
        ),
        "transformer": (
            nn.Sequential(
                nn.TransformerEncoderLayer(4, 2, 8, dropout=0.0, batch_first=True),
                nn.Flatten(),
                nn.Linear(12, 3),
            ),
            (3, 4),
        ),
    }


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("name", ["mlp", "cnn", "transformer"])
def test_gradients_of_modules_by_sample(name: str) -> None:
    model, shape = _models()[name]
    model.double()
    x, y = ad.tensor(numbers(5, *shape)), ad.tensor([0, 1, 2, 1, 0])
    params = {name: each.detach() for name, each in model.named_parameters()}

    def loss(params: Any, x: ad.Tensor, y: ad.Tensor) -> ad.Tensor:
        output = functional_call(model, params, (x.unsqueeze(0),))
        return F.cross_entropy(output, y.unsqueeze(0))

    found, values = vmap(grad_and_value(loss), in_dims=(None, 0, 0))(params, x, y)
    for i in range(5):
        model.zero_grad()
        value = F.cross_entropy(model(x[i : i + 1]), y[i : i + 1])
        value.backward()
        close(values[i], value.detach().numpy())
        for key, each in model.named_parameters():
            close(found[key][i], each.grad.numpy(), 10)


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("recorded", [True, False])
@pytest.mark.parametrize("name", ["mlp", "cnn", "transformer"])
def test_predictions_of_modules_by_sample(name: str, recorded: bool) -> None:
    model, shape = _models()[name]
    model.eval()
    x = ad.tensor(numbers(5, *shape), dtype=ad.float32)
    with ad.set_grad_enabled(recorded):
        found = vmap(lambda x: model(x.unsqueeze(0)).squeeze(0))(x)
        np.testing.assert_allclose(
            found.detach().numpy(), model(x).detach().numpy(), rtol=1e-4, atol=1e-5
        )
    assert found.requires_grad == recorded


# ---- gradients through maps ----


@pytest.mark.parametrize(
    ("function", "shapes", "dims"),
    [
        (lambda a, b: (a @ b).tanh(), [(3, 2, 4), (4, 2)], (0, None)),
        (lambda a, b: F.layer_norm(a, (4,), b), [(3, 2, 4), (3, 4)], (0, 0)),
        (lambda a, b: F.conv2d(a, b), [(3, 1, 2, 4, 4), (3, 2, 2, 3, 3)], (0, 0)),
        (lambda a, b: grad(lambda a: (a * b).sum().exp())(a), [(3, 4), (3, 4)], (0, 0)),
    ],
)
def test_gradient_checks(function: Any, shapes: Any, dims: Any) -> None:
    inputs = [
        ad.tensor(0.5 * numbers(*shape, seed=i), requires_grad=True)
        for i, shape in enumerate(shapes)
    ]
    assert ad.autograd.gradcheck(vmap(function, dims), inputs)
    assert ad.autograd.gradgradcheck(vmap(function, dims), inputs)


def test_gradients_reach_what_the_function_captures() -> None:
    w, x = ad.tensor(numbers(3), requires_grad=True), ad.tensor(numbers(5, 3, seed=1))
    vmap(lambda v: (w * v).sum() ** 2)(x).sum().backward()
    close(w.grad, 2 * x.numpy().T @ (x.numpy() @ w.detach().numpy()))


# ---- parameters that all samples share, with gradients by sample ----

# pyautodl.tensor is a function
_REPEATED = import_module("pyautodl.tensor.repeated")

_CONVS: dict[str, tuple[Callable[[Any], Any], Any]] = {
    "conv": (
        lambda T: lambda w, b, x: T.nn.functional.conv2d(x, w, b, padding=1).tanh(),
        [(4, 3, 3, 3), (4,), (5, 2, 3, 6, 6)],
    ),
    "a bias that is not differentiated by": (
        lambda T: lambda w, b, x: T.nn.functional.conv2d(x * b.sum(), w).tanh(),
        [(4, 3, 3, 3), (4,), (5, 1, 3, 6, 6)],
    ),
    "conv and ReLU": (
        lambda T: (
            lambda w, b, x: T.nn.functional.relu(
                T.nn.functional.conv1d(x, w, b, stride=2)
            ).tanh()
        ),
        [(4, 3, 3), (4,), (5, 1, 3, 9)],
    ),
    "grouped conv": (
        lambda T: lambda w, b, x: T.nn.functional.conv2d(x, w, b, groups=2).sin(),
        [(4, 2, 3, 3), (4,), (5, 2, 4, 6, 6)],
    ),
    "transposed conv": (
        lambda T: (
            lambda w, b, x: T.nn.functional.conv_transpose2d(x, w, b, stride=2).sin()
        ),
        [(3, 4, 3, 3), (4,), (5, 2, 3, 4, 4)],
    ),
}


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("name", _CONVS)
@pytest.mark.parametrize("least", [0, 1 << 60])
def test_shared_parameters_as_pytorch(
    name: str, least: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_REPEATED, "_LARGE", least)
    build, shapes = _CONVS[name]
    every, dims = (0, 1, 2), (None, None, 0)

    def first(T: Any, func: Any) -> Any:
        return func.vmap(func.grad(_scalar(T, build(T)), every), dims)

    def second(T: Any, func: Any) -> Any:
        def slopes(*args: Any) -> Any:
            found = func.grad(_scalar(T, build(T)), every)(*args)
            return sum([(each**2).sum() for each in found])

        return func.vmap(func.grad(slopes, every), dims)

    def outside(T: Any, func: Any) -> Any:
        return func.grad(_scalar(T, first(T, func)), every)

    def rows(T: Any, func: Any) -> Any:
        by_bias = func.jacrev(lambda w, b, x: build(T)(w, b, x).sum((0, 2)), (0, 1))
        return func.vmap(by_bias, dims)

    for derivative in (first, second, outside, rows):
        _agree(derivative, shapes)


@pytest.mark.usefixtures("at_once")
def test_large_convolutions_share_their_parameters(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    groups = []

    def note(op: Op, call: Any, size: int, inputs: Any, mapped: Any, attrs: Any) -> Any:
        if op.name == "conv":
            groups.append(attrs["groups"] if mapped[1] else "shared")
        return run_batched(op, call, size, inputs, mapped, attrs)

    monkeypatch.setattr(_REPEATED, "run_batched", note)
    weight = ad.ones(64, 32, 3, 3)

    def loss(w: ad.Tensor, x: ad.Tensor) -> ad.Tensor:
        return F.conv2d(x, w).sum()

    found = vmap(grad(loss), (None, 0))(weight, ad.ones(5, 1, 32, 32, 32))
    assert groups == ["shared"]
    assert found.shape == (5, 64, 32, 3, 3)
    assert set(found.unique().tolist()) == {900.0}
    vmap(grad(loss), (None, 0))(weight, ad.ones(5, 1, 32, 3, 3))
    assert groups == ["shared"]


# ---- one sample after the other ----


def _loops(value: ad.Tensor) -> ad.Tensor:
    while value.sum() < 10:
        value = value * 2
    return value


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x * 2 if x.sum() > 0 else -x,
        _loops,
        lambda x: ad.tensor([max(x.tolist()), float(x[0])]),
        lambda x: ad.tensor(x.numpy().copy()) + 1,
        lambda x: x[x > x.min()],
        lambda x: ad.tensor([i * each for i, each in enumerate(x)]),
        lambda x: x.nonzero().sum(),
        lambda x: x.unique(),
    ],
)
def test_functions_that_look_at_values(function: Callable[..., Any]) -> None:
    x = ad.tensor(np.abs(numbers(4, 3)) + 0.1)
    expected = ad.stack([function(row) for row in x])
    close(vmap(function)(x), expected.numpy())


def _in_place(x: ad.Tensor) -> ad.Tensor:
    y = x * 2
    y += x
    y[1] = x[0]
    y.mul_(3)
    y[:1].sub_(1)
    return y


def _into_zeros(x: ad.Tensor) -> ad.Tensor:
    made = ad.zeros(3, dtype=x.dtype)
    made += x
    made[0] = x[2]
    return made


@pytest.mark.parametrize("function", [_in_place, _into_zeros])
def test_changes_in_place(function: Callable[..., Any]) -> None:
    x = ad.tensor(numbers(4, 3), requires_grad=True)
    y = x.detach().clone().requires_grad_()
    found = vmap(function)(x)
    expected = ad.stack([function(row) for row in y])
    close(found, expected.detach().numpy())
    weights = ad.tensor(numbers(4, 3, seed=1))
    (found * weights).sum().backward()
    (expected * weights).sum().backward()
    close(x.grad, y.grad.numpy())


def test_what_is_changed_is_changed_by_each_sample() -> None:
    x, count, total = ad.tensor(numbers(4, 3)), ad.zeros(1), ad.zeros(3).double()
    before = x.numpy().copy()

    def function(row: ad.Tensor) -> ad.Tensor:
        count.add_(1)
        total.add_(row)
        row.mul_(2)
        return row.sum()

    close(vmap(function)(x), 2 * before.sum(1))
    assert count.item() == 4
    close(total, before.sum(0))
    close(x, 2 * before)
    weight = ad.ones(3, dtype=ad.float64, requires_grad=True)

    def learn(row: ad.Tensor) -> ad.Tensor:
        loss = (weight * row).sum()
        loss.backward()
        return loss.detach()

    close(vmap(learn)(x), 2 * before.sum(1))
    close(weight.grad, 2 * before.sum(0))


def test_running_statistics_see_each_sample() -> None:
    x = ad.tensor(numbers(4, 5, 3), dtype=ad.float32)
    mapped, plain = nn.BatchNorm1d(3), nn.BatchNorm1d(3)
    found = vmap(mapped)(x)
    expected = ad.stack([plain(each) for each in x])
    assert found.tolist() == expected.tolist()
    assert mapped.num_batches_tracked.item() == 4
    assert mapped.running_mean.tolist() == plain.running_mean.tolist()


def test_outputs_have_memory_of_their_own() -> None:
    x = ad.tensor(numbers(4, 3))
    same, part, twice = vmap(lambda x: (x, x[:2], x))(x)
    for each in (same, part, twice):
        each.zero_()
    assert x.tolist() == numbers(4, 3).tolist()
    one = ad.ones(1, 3)
    vmap(lambda x: one[0])(x[:1]).zero_()
    assert one.tolist() == [[1.0, 1.0, 1.0]]


def test_gradients_as_tensors_know_them() -> None:
    x = ad.tensor(numbers(4, 3))
    shared = ad.tensor(numbers(3, seed=1), requires_grad=True)

    def of_sample(row: ad.Tensor) -> Any:
        row.requires_grad_()
        return ad.autograd.grad((row**3).sum(), row)[0]

    def of_shared(row: ad.Tensor) -> Any:
        return ad.autograd.grad((row * shared).sum().exp(), shared)[0]

    close(vmap(of_sample)(x), 3 * x.numpy() ** 2)
    assert not x.requires_grad
    expected = ad.stack([of_shared(row) for row in x])
    close(vmap(of_shared)(x), expected.numpy())

    def hooked(row: ad.Tensor) -> Any:
        y = row.requires_grad_() * 2
        y.register_hook(lambda grad: grad * row.sum())
        return ad.autograd.grad(y.sum(), row)[0]

    rows = [hooked(row.clone()) for row in x.detach()]
    close(vmap(hooked)(x.detach()), ad.stack(rows).numpy())


class _Cube(ad.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: ad.Tensor) -> ad.Tensor:
        ctx.save_for_backward(x)
        return ad.tensor(x.numpy() ** 3)

    @staticmethod
    def backward(ctx: Any, g: ad.Tensor) -> ad.Tensor:
        (x,) = ctx.saved_tensors
        return 3 * x * x * g


@pytest.mark.usefixtures("at_once")
def test_operations_of_users() -> None:
    x = ad.tensor(numbers(4, 3))
    close(vmap(_Cube.apply)(x), x.numpy() ** 3)
    close(vmap(grad(lambda x: _Cube.apply(x).sum()))(x), 3 * x.numpy() ** 2)
    rows = [np.diag(row) for row in 3 * x.numpy() ** 2]
    close(vmap(jacrev(_Cube.apply))(x), np.stack(rows))


# ---- arguments ----


def test_chunks() -> None:
    x = ad.tensor(numbers(3, 7, 2))
    sizes = []

    def function(a: ad.Tensor) -> Any:
        sizes.append(1)
        return a.sum(), {"twice": a * 2}

    whole = vmap(function, 1, (0, {"twice": -1}))(x)
    for size, calls in ((1, 7), (3, 3), (7, 1), (100, 1)):
        sizes.clear()
        found = vmap(function, 1, (0, {"twice": -1}), chunk_size=size)(x)
        assert len(sizes) == calls
        close(found[0], whole[0].numpy())
        close(found[1]["twice"], whole[1]["twice"].numpy())
        rows = jacrev(lambda a: a.sin().sum(0), chunk_size=size)(x)
        close(rows, jacrev(lambda a: a.sin().sum(0))(x).numpy())


def test_draws_of_maps_in_maps() -> None:
    x = ad.zeros(2, 3)

    def draw(inner: str, outer: str) -> Any:
        ad.manual_seed(5)
        whole = vmap(
            vmap(lambda a: a + ad.rand(()), randomness=inner), randomness=outer
        )
        return np.unique(whole(x).numpy()).size

    assert draw("same", "same") == 1
    assert draw("different", "same") == 3
    assert draw("same", "different") == 2
    assert draw("different", "different") == 6
    for kinds in (("error", "same"), ("different", "error")):
        with pytest.raises(RuntimeError, match="draws random numbers"):
            draw(*kinds)


@pytest.mark.parametrize("kind", ["same", "different"])
def test_dropout(kind: str) -> None:
    def drop(x: ad.Tensor) -> ad.Tensor:
        return F.dropout(F.dropout(x, 0.5), 0.3)

    ad.manual_seed(2)
    found = vmap(drop, randomness=kind)(ad.ones(4, 50))
    ad.manual_seed(2)
    state, rows = ad.get_rng_state(), []
    for _ in range(4):
        if kind == "same":
            ad.set_rng_state(state)
        rows.append(drop(ad.ones(50)).tolist())
    assert found.tolist() == rows
    apart = ad.Generator().manual_seed(0)
    drawn = vmap(lambda x: x + ad.rand(1, generator=apart), randomness=kind)(
        ad.zeros(3)
    )
    assert np.unique(drawn.numpy()).size == 3


def test_errors_are_those_of_one_sample() -> None:
    x = ad.ones(4, 3)
    with pytest.raises(ShapeError, match=r"a \(2, 3\), b \(2, 3\)"):
        vmap(lambda a: a @ a)(ad.ones(4, 2, 3))
    with pytest.raises(ShapeError, match=r"expected a bias of shape \(5,\)"):
        vmap(F.linear)(x, ad.ones(4, 5, 3), ad.ones(4, 1))
    with pytest.raises(ShapeError, match="mse_loss"):
        vmap(F.mse_loss)(ad.ones(4, 3), ad.ones(4, 3, 1))
    with pytest.raises(IndexError, match="index 7"):
        vmap(lambda w: F.embedding(ad.tensor([7]), w))(ad.ones(4, 3, 2))
    with pytest.raises(ValueError, match="from the function"):
        vmap(lambda a: _raise(a))(x)


def _raise(x: ad.Tensor) -> ad.Tensor:
    assert x.shape == (3,)
    raise ValueError("from the function")


def test_a_sample_that_outlives_its_map() -> None:
    kept = []

    def keep(x: ad.Tensor) -> ad.Tensor:
        kept.append(x)
        return x * 2

    vmap(keep)(ad.ones(4, 3))
    uses: list[Callable[[ad.Tensor], Any]] = [
        lambda x: x + 1,
        lambda x: x.tolist(),
        lambda x: x.sum().item(),
        lambda x: x.add_(1),
        lambda x: x.grad,
        lambda x: x.retain_grad(),
        copy.deepcopy,
        pickle.dumps,
    ]
    for use in uses:
        with pytest.raises(GradError, match="likely fix: return it from the function"):
            use(kept[0])
    with pytest.raises(GradError, match="likely fix: return it from the function"):
        vmap(lambda x: x + kept[0])(ad.ones(4, 3))
    assert "a sample of 4" in repr(kept[0])


def test_pairs_of_maps_and_derivatives_agree() -> None:
    x, w = ad.tensor(numbers(4, 3)), ad.tensor(numbers(3, 2, seed=1))

    def function(x: ad.Tensor) -> ad.Tensor:
        return (x @ w).tanh()

    rows = vmap(jacrev(function))(x)
    close(vmap(jacfwd(function))(x), rows.numpy())
    output, pull = vjp(vmap(function), x)
    weights = ad.tensor(numbers(4, 2, seed=2))
    close(pull(weights)[0], ad.einsum("bo,boi->bi", weights, rows).numpy())
    _, pushed = jvp(vmap(function), (x,), (x,))
    close(pushed, ad.einsum("bi,boi->bo", x, rows).numpy())
    curves = vmap(hessian(lambda x: function(x).sum()))(x)
    for row, curve in itertools.islice(zip(x, curves), 2):
        close(curve, hessian(lambda x: function(x).sum())(row).numpy())
    assert output.shape == (4, 2)


# ---- what a map must not take for granted ----


def test_a_function_that_catches_everything() -> None:
    def function(row: ad.Tensor) -> ad.Tensor:
        try:
            total = float(row.sum())
        except BaseException:
            total = -1.0
        return row * total

    x = ad.tensor(numbers(4, 3))
    expected = ad.stack([row * float(row.sum()) for row in x])
    close(vmap(function)(x), expected.numpy())
    close(vmap(vmap(function))(x.unsqueeze(0)), expected.unsqueeze(0).numpy())


def test_dropout_of_what_all_samples_share() -> None:
    x, ones = ad.ones(4, 50), ad.ones(50)

    def masked(row: ad.Tensor) -> ad.Tensor:
        return row * F.dropout(ones, 0.5)

    rows = vmap(masked, randomness="different")(x).tolist()
    assert len({tuple(row) for row in rows}) == 4
    rows = vmap(masked, randomness="same")(x).tolist()
    assert len({tuple(row) for row in rows}) == 1
    state = ad.get_rng_state().tolist()
    with pytest.raises(RuntimeError, match="draws random numbers"):
        vmap(masked)(x)
    assert ad.get_rng_state().tolist() == state


@pytest.mark.parametrize("by_value", [False, True])
def test_draws_of_another_thread_stay_drawn(by_value: bool) -> None:
    drawn: list[float] = []

    def function(row: ad.Tensor) -> ad.Tensor:
        # a map is of one thread: the others draw as ever
        other = threading.Thread(target=lambda: drawn.append(ad.rand(1).item()))
        other.start()
        other.join()
        return row * 2 if by_value and row[0].item() > 0 else row

    vmap(function, randomness="different")(ad.tensor(numbers(4, 3)))
    drawn.append(ad.rand(1).item())
    assert len(drawn) == (6 if by_value else 2)
    assert len(set(drawn)) == len(drawn)


def test_repeated_indices_are_counted_by_sample() -> None:
    index = ad.tensor([[0, 0, 1], [0, 2, 2]])

    def gradient(look_up: Callable[..., Any]) -> ad.Tensor:
        weight = ad.ones(3, 2, dtype=ad.float64, requires_grad=True)
        scale = ad.arange(6, dtype=ad.float64).reshape(3, 2)
        (look_up(weight) * scale).sum().backward()
        assert weight.grad is not None
        return weight.grad

    def row(weight: ad.Tensor, index: ad.Tensor) -> ad.Tensor:
        return F.embedding(index, weight, scale_grad_by_freq=True)

    found = gradient(lambda w: vmap(row, (None, 0))(w, index))
    close(found, gradient(lambda w: ad.stack([row(w, i) for i in index])).numpy())


def test_windows_of_numbers() -> None:
    assert vmap(lambda x: x.unfold(0, 1, 1))(ad.ones(3)).shape == (3, 1)


@pytest.mark.parametrize("dim", [0, 1, 2])
def test_memory_as_one_sample_has_it(dim: int) -> None:
    def function(x: ad.Tensor) -> ad.Tensor:
        return ad.as_strided(x * 1, (2, 2), (1, 2))

    x = ad.tensor(numbers(3, 3, 3))
    expected = ad.stack([function(each) for each in x.unbind(dim)])
    close(vmap(function, dim)(x), expected.numpy())


@pytest.mark.parametrize("given", [None, (2, 3), (1,)])
def test_wrong_gradients_are_told_of_one_sample(given: Any) -> None:
    grads = None if given is None else ad.ones(*given)

    def function(x: ad.Tensor) -> Any:
        x = x.detach().requires_grad_()
        return ad.autograd.grad(x * 2, x, grads)

    with pytest.raises((GradError, ShapeError), match=r"\(3, 3\)"):
        vmap(function)(ad.ones(4, 3, 3))


@pytest.mark.parametrize("use", [lambda x: x * 2, lambda x: (x * 1).add_(x)])
def test_a_function_that_works_in_other_threads(use: Any) -> None:
    x = ad.tensor(numbers(4, 3))
    with ThreadPoolExecutor(1) as pool:
        found = vmap(lambda row: pool.submit(use, row).result())(x)
    close(found, 2 * numbers(4, 3))
    told: list[str] = []

    def go_on(row: ad.Tensor) -> ad.Tensor:
        with ThreadPoolExecutor(1) as pool:
            told.append(str(pool.submit(use, row).exception()))
        return row

    vmap(go_on)(x)
    assert "used by another thread" in told[0]
    assert told[1:] == ["None"] * 4
