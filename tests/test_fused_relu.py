"""A layer and the ReLU beside it in a Sequential, recorded as one call."""

from __future__ import annotations

import pytest

import pyautodl as ad
from pyautodl import nn

_WITH_RELU = [
    (lambda: nn.Linear(6, 5), (3, 6)),
    (lambda: nn.Linear(6, 5, bias=False), (2, 3, 6)),
    (lambda: nn.Conv1d(4, 6, 3, padding=1), (2, 4, 9)),
    (lambda: nn.Conv2d(4, 6, 3, padding="same"), (2, 4, 7, 7)),
    (lambda: nn.Conv2d(4, 6, 3, padding=1, padding_mode="circular"), (2, 4, 7, 7)),
    (lambda: nn.Conv2d(4, 6, 3, groups=2, stride=2), (4, 7, 7)),
    (lambda: nn.Conv3d(2, 3, 2), (2, 2, 4, 4, 4)),
    (lambda: nn.BatchNorm1d(3), (5, 3)),
    (lambda: nn.BatchNorm1d(3, affine=False), (4, 3, 2)),
    (lambda: nn.BatchNorm2d(5, bias=False, momentum=None), (2, 5, 3, 2)),
    (lambda: nn.BatchNorm2d(3, track_running_stats=False).eval(), (2, 3, 3, 2)),
    (lambda: nn.BatchNorm2d(3).eval(), (2, 3, 3, 2)),
    (lambda: nn.BatchNorm3d(2, affine=False).eval(), (2, 2, 1, 3, 2)),
]


@pytest.mark.parametrize(("make", "shape"), _WITH_RELU)
def test_a_layer_with_relu_trains_as_the_two_do(make, shape):
    ad.manual_seed(0)
    layer = make().double()
    fused = nn.Sequential(layer, nn.ReLU())
    x = ad.randn(*shape, dtype=ad.float64, requires_grad=True)
    both = []
    for model in (fused, lambda x: nn.ReLU()(layer(x))):
        y = model(x)
        leaves = (x, *layer.parameters())
        grads = ad.autograd.grad((y * y).sum(), leaves, create_graph=True)
        second = ad.autograd.grad(sum((g * g).sum() for g in grads), leaves)
        both.append([y, *grads, *second])
    for got, want in zip(*both):
        assert ad.allclose(got, want, rtol=1e-12, atol=1e-12)
    assert ad.autograd.gradcheck(fused, (x,))


_POOLED = [
    ([nn.Conv1d(3, 4, 3), nn.ReLU(), nn.MaxPool1d(2)], (2, 3, 11)),
    ([nn.Conv2d(3, 20, 3), nn.ReLU(), nn.MaxPool2d(2)], (2, 3, 10, 13)),
    ([nn.Conv2d(3, 4, 1), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1)], (2, 3, 9, 9)),
    ([nn.Conv3d(1, 2, 2), nn.ReLU(), nn.MaxPool3d(2, ceil_mode=True)], (2, 1, 6, 6, 6)),
    ([nn.BatchNorm2d(3), nn.ReLU(), nn.MaxPool2d((2, 1), dilation=2)], (2, 3, 8, 5)),
    ([nn.ReLU(), nn.MaxPool2d(17, padding=8, stride=5)], (2, 3, 20, 21)),
    ([nn.ReLU(), nn.ReLU(), nn.MaxPool2d(2), nn.ReLU()], (2, 3, 6, 6)),
    ([nn.Conv2d(3, 4, 3), nn.ReLU(), nn.MaxPool2d(2)], (3, 10, 10)),
]


@pytest.mark.parametrize(("layers", "shape"), _POOLED)
def test_pooling_with_relu_has_the_bits_of_the_two(layers, shape):
    ad.manual_seed(1)
    model = nn.Sequential(*layers)
    x = ad.randn(*shape) - 0.5
    x.view(-1)[::7] = 0.0
    x.view(-1)[5] = float("nan") if type(layers[0]) is nn.ReLU else 0.0
    x.requires_grad_()
    both = []
    for call in (model, lambda x: _one_by_one(layers, x)):
        y = call(x)
        leaves = (x, *model.parameters())
        g = ad.linspace(-1, 1, y.numel()).view(y.shape)
        grads = ad.autograd.grad(y * y, leaves, g, create_graph=True)
        second = ad.autograd.grad(sum((v * v).sum() for v in grads), leaves)
        both.append([y, *grads, *second])
    for got, want in zip(*both):
        assert got.detach().numpy().tobytes() == want.detach().numpy().tobytes()


def _one_by_one(layers, x):
    for layer in layers:
        x = layer(x)
    return x


def test_pooling_takes_the_relu_before_it_if_nobody_looks():
    conv, relu, pool = nn.Conv2d(1, 2, 3), nn.ReLU(), nn.MaxPool2d(2)
    model, x, seen = nn.Sequential(conv, relu, pool), ad.randn(2, 1, 8, 8), []
    assert model(x).grad_fn.next_functions[0][0].name == "conv"
    for layer in (conv, relu, pool):
        handle = layer.register_forward_hook(lambda m, i, o: seen.append(m))
        model(x)
        handle.remove()
    assert seen == [conv, relu, pool]
    pool.return_indices = True
    y, indices = model(x)
    assert y.grad_fn.next_functions[0][0].name == "conv_relu"
    assert indices.shape == y.shape


def test_a_layer_with_relu_is_one_node():
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU(inplace=True), nn.Linear(4, 2))
    y = model(ad.randn(3, 4))
    assert y.grad_fn.next_functions[0][0].name == "linear_relu"
    norm = nn.BatchNorm1d(4)
    assert nn.Sequential(norm, nn.ReLU())(ad.randn(3, 4)).grad_fn.name == (
        "batch_norm_relu"
    )
    norm.eval()
    assert nn.Sequential(norm, nn.ReLU())(ad.randn(3, 4)).grad_fn.name == (
        "batch_norm_relu_eval"
    )


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("shape", [(300, 3), (3, 37, 5, 7), (2, 2100, 2, 2)])
def test_batch_norm_with_relu_has_the_bits_of_the_two(shape, training):
    ad.manual_seed(0)
    norm = (nn.BatchNorm1d if len(shape) == 2 else nn.BatchNorm2d)(shape[1])
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    norm.train(training)
    x = ad.randn(*shape, requires_grad=True)
    g = ad.randn(*shape)
    both = []
    for model in (nn.Sequential(norm, nn.ReLU()), lambda x: norm(x).relu()):
        y = model(x)
        both.append([y, *ad.autograd.grad(y, (x, norm.weight, norm.bias), g)])
    for got, want in zip(*both):
        assert ad.equal(got, want)


def test_what_somebody_looks_at_is_not_fused():
    layer, relu = nn.Linear(4, 4), nn.ReLU()
    model = nn.Sequential(layer, relu)
    x = ad.randn(3, 4)
    want = relu(layer(x))
    seen = []
    for module in (layer, relu):
        handle = module.register_forward_hook(lambda m, i, o: seen.append(m))
        assert model(x).grad_fn.name == "relu"
        handle.remove()
    assert seen == [layer, relu]
    relu.forward = lambda x: x * 2
    assert ad.equal(model(x), layer(x) * 2)
    with ad.no_grad():
        assert ad.equal(model(x), layer(x) * 2)
    del relu.forward
    assert ad.allclose(model(x), want)

    class Other(nn.ReLU):
        pass

    assert nn.Sequential(layer, Other())(x).grad_fn.name == "relu"


def test_errors_of_a_fused_layer_name_it():
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU())
    with pytest.raises(
        ad.errors.ShapeError, match=r"linear: (.|\n)*layer `0` Linear\("
    ):
        model(ad.randn(3, 5))


def test_a_relu_in_place_before_pooling_changes_its_input():
    relu, pool = nn.ReLU(inplace=True), nn.MaxPool2d(2)
    values = [[[[1.0, -2.0], [3.0, -4.0]]]]
    x = ad.tensor(values)
    assert nn.Sequential(relu, pool)(x).tolist() == [[[[3.0]]]]
    assert x.tolist() == [[[[1.0, 0.0], [3.0, 0.0]]]]
    with pytest.raises(ad.errors.GradError, match="in place"):
        nn.Sequential(relu, pool)(ad.tensor(values, requires_grad=True))
    seen = []
    model = nn.Sequential(nn.Conv2d(1, 1, 1), relu, pool)
    assert model(x).grad_fn.next_functions[0][0].name == "conv"
    model[0].register_forward_hook(lambda module, inputs, output: seen.append(output))
    model(x)
    assert (seen[0] >= 0).all()
    relu.inplace = False
    model(x)
    assert ad.equal(seen[1], model[0](x))


def test_where_the_winner_of_a_window_is_zero_nothing_comes_back():
    model = nn.Sequential(nn.Conv2d(1, 1, 1, bias=False), nn.ReLU(), nn.MaxPool2d(2))
    model[0].weight.data = ad.ones(1, 1, 1, 1)
    values = [[0.0, -1.0, -1.0, 2.0], [-2.0, 0.0, 0.0, 0.0]]
    x = ad.tensor([[values]], requires_grad=True)
    model(x).sum().backward()
    assert x.grad.tolist() == [[[[0, 0, 0, 1], [0, 0, 0, 0]]]]
