"""Looking into models whose answers are known."""

from __future__ import annotations

import numpy as np
import pytest

import pyautodl as ad
from pyautodl import inspect, models, nn
from pyautodl.errors import DTypeError, ShapeError

# ---- summary ----


def test_summary_counts_what_is_known_of_resnet18():
    found = inspect.summary(models.resnet18(), (1, 3, 224, 224))
    assert found.parameters == found.trainable == 11_689_512
    assert found.multiply_adds == 1_814_073_344
    assert found.layers[0].shape == (1, 64, 112, 112)
    assert sum(each.parameters for each in found.layers) == found.parameters


class _Shared(nn.Module):
    """Calls one layer twice, and has a parameter of its own."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 3)
        self.norm = nn.BatchNorm1d(3)
        self.scale = nn.Parameter(ad.ones(3))

    def forward(self, x):
        return self.norm(self.layer(self.layer(x))) * self.scale


def test_summary_counts_calls_and_leaves_the_model_as_it_was():
    model = _Shared()
    model.layer.bias.requires_grad_(False)
    model.norm.eval()
    before = {name: x.clone() for name, x in model.state_dict().items()}
    found = inspect.summary(model, ad.rand(2, 3))
    assert [(each.path, each.calls) for each in found.layers] == [
        ("layer", 2),
        ("norm", 1),
        ("", 1),
    ]
    assert (found.parameters, found.trainable) == (21, 18)
    assert found.layers[0].multiply_adds == 2 * 2 * 9
    assert model.training
    assert not model.norm.training
    assert all(ad.equal(x, before[name]) for name, x in model.state_dict().items())
    assert not any(each._forward_hooks for each in model.modules())
    assert "21 parameters, of which 3 are frozen" in str(found)
    assert "<table>" in found._repr_html_()


def test_summary_makes_inputs_of_the_element_type_of_the_model():
    found = inspect.summary(nn.Sequential(nn.Linear(3, 2)).double(), (4, 3))
    assert found.memory == 4 * 2 * 8


def test_summary_names_the_output_of_recurrent_layers():
    found = inspect.summary(models.LSTMClassifier(4, 2, hidden_size=5), (3, 6, 4))
    assert found.layers[0].shape == (3, 6, 5)
    assert found.layers[0].multiply_adds == 3 * 6 * 4 * 5 * (4 + 5)


# ---- where an answer comes from ----


def _linear():
    model = nn.Linear(3, 2)
    with ad.no_grad():
        model.weight.copy_(ad.tensor([[1.0, 0.0, -2.0], [0.0, 5.0, 0.0]]))
    return model


def test_saliency_of_a_linear_model_is_its_weights():
    model, x = _linear(), ad.ones(2, 3)
    assert inspect.saliency(model, x, [0, 1]).tolist() == [[1, 0, 2], [0, 5, 0]]
    # the second class has the higher score
    assert inspect.saliency(model, x).tolist() == [[0, 5, 0], [0, 5, 0]]
    assert model.weight.grad is None
    assert not x.requires_grad


def test_saliency_of_one_score_and_of_images_of_classes():
    one = inspect.saliency(nn.Sequential(_linear(), nn.Linear(2, 1)), ad.ones(2, 3))
    assert one.shape == (2, 3)
    masks = inspect.saliency(nn.Conv2d(1, 3, 3, padding=1), ad.rand(2, 1, 6, 6))
    assert masks.shape == (2, 1, 6, 6)


def test_saliency_is_of_evaluation_and_each_mode_is_put_back():
    model = nn.Sequential(nn.BatchNorm1d(3), nn.Dropout(1.0), _linear())
    model[0].eval()
    with ad.no_grad():
        found = inspect.saliency(model, ad.ones(2, 3), 0)
    assert np.allclose(found.numpy(), [[1, 0, 2], [1, 0, 2]], atol=1e-4)
    assert [each.training for each in model.modules()] == [True, False, True, True]


def test_integrated_gradients_add_up_to_the_difference_of_the_scores():
    ad.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 3))
    x, baseline = ad.randn(5, 4), ad.full((4,), 0.5)
    found = inspect.integrated_gradients(model, x, 2, baseline=baseline, steps=200)
    wanted = model(x)[:, 2] - model(baseline.expand(5, 4))[:, 2]
    assert np.allclose(found.sum(1).numpy(), wanted.detach().numpy(), atol=1e-3)


def test_grad_cam_finds_the_spot_that_speaks_for_a_class():
    conv = nn.Conv2d(1, 2, 1, bias=False)
    model = nn.Sequential(
        nn.Sequential(conv, nn.ReLU()),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(2, 2),
    )
    with ad.no_grad():
        # a channel for bright pixels, which speaks for class 0, and one for dark ones
        conv.weight.copy_(ad.tensor([1.0, -1.0]).reshape(2, 1, 1, 1))
        model[3].weight.copy_(ad.tensor([[1.0, -1.0], [-1.0, 1.0]]))
    for each in model.parameters():
        each.requires_grad_(False)
    x = ad.zeros(1, 1, 5, 5)
    x[0, 0, 1, 2], x[0, 0, 4, 0] = 3.0, -2.0
    bright, dark = (inspect.grad_cam(model, "0.1", x, k)[0] for k in (0, 1))
    assert bright.nonzero().tolist() == [[1, 2]]
    assert dark.nonzero().tolist() == [[4, 0]]
    assert np.array_equal(inspect.grad_cam(model, model[0][1], x, 0)[0], bright)


def _works_in_place(inplace):
    ad.manual_seed(0)
    return nn.Sequential(
        nn.ReLU(inplace=inplace),
        nn.Conv2d(2, 3, 3),
        nn.BatchNorm2d(3),
        nn.LeakyReLU(0.1, inplace=inplace),
        nn.Flatten(),
        nn.Linear(3 * 16, 2),
    )


@pytest.mark.parametrize(
    "explain",
    [
        inspect.saliency,
        inspect.integrated_gradients,
        *(
            lambda model, x, layer=layer: inspect.grad_cam(model, layer, x)
            for layer in ("0", "1", "2", "3")
        ),
    ],
)
def test_models_that_work_in_place_are_explained_alike(explain):
    x = ad.randn(4, 2, 6, 6)
    before = x.clone()
    found = explain(_works_in_place(True), x)
    assert ad.equal(x, before)
    assert found.any()
    assert ad.allclose(found, explain(_works_in_place(False), x))


def test_one_class_for_all_may_be_a_number_of_any_kind():
    model, x = nn.Linear(3, 2), ad.randn(4, 3)
    wanted = inspect.saliency(model, x, 1)
    for target in (np.int64(1), ad.tensor(1), ad.ones(4, dtype=ad.int64)):
        assert ad.equal(inspect.saliency(model, x, target), wanted)


def test_what_can_not_be_explained_is_refused():
    model, x = models.LeNet(), ad.rand(2, 1, 28, 28)
    with pytest.raises(
        DTypeError, match=r"saliency: expected floating inputs, got int64"
    ):
        inspect.saliency(model, x.long())
    with pytest.raises(ShapeError, match="a class for each of 2 samples"):
        inspect.saliency(model, x, [1])
    with pytest.raises(ShapeError, match="expected channels of images"):
        inspect.grad_cam(model, "classifier.1", x)
    with pytest.raises(ValueError, match="does not call the layer"):
        inspect.grad_cam(model, nn.ReLU(), x)
    with pytest.raises(ValueError, match="steps must be >= 1"):
        inspect.integrated_gradients(model, x, steps=0)


# ---- why a model does not learn ----


def _digits(n=40):
    return ad.randn(n, 1, 28, 28), ad.arange(n) % 10


def _said(model, loss="cross_entropy", data=None):
    return inspect.diagnose(model, loss, *(data or _digits()))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", ["lenet", "resnet"])
def test_nothing_is_found_in_new_models_that_learn(name, seed):
    ad.manual_seed(seed)
    x, y = _digits()
    if name == "lenet":
        found = _said(models.LeNet(), data=(x, y))
    else:
        found = _said(
            models.resnet18(num_classes=10), data=(x.expand(-1, 3, -1, -1), y)
        )
    assert found.findings == ()
    assert "nothing stands in the way of learning" in str(found)


def _deep(activation):
    layers = [each for _ in range(8) for each in (nn.Linear(20, 20), activation())]
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 20), *layers, nn.Linear(20, 10))


def test_a_vanishing_gradient_is_found_below_sigmoids_alone():
    ad.manual_seed(0)
    found = _said(_deep(nn.Sigmoid))
    assert any("the gradient vanishes" in each for each in found.findings)
    gradients = [each.gradient for each in found.layers if each.gradient is not None]
    assert gradients[1:] == sorted(gradients[1:])
    assert not any("vanishes" in each for each in _said(_deep(nn.ReLU)).findings)


def test_dead_units_are_counted():
    model = nn.Sequential(
        nn.Flatten(), nn.Linear(784, 10), nn.ReLU(), nn.Linear(10, 10)
    )
    with ad.no_grad():
        model[1].bias[:9] = -1000.0
    found = _said(model)
    assert found.layers[2].dead == pytest.approx(0.9)
    assert "90% of the units of '2' (ReLU) are 0" in found.findings[0]
    # channels of images, not pixels
    conv = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 26 * 26, 10)
    )
    with ad.no_grad():
        conv[0].bias[:1] = -1000.0
    assert _said(conv).layers[1].dead == 0.25


def test_flat_activations_are_found():
    model = nn.Sequential(
        nn.Flatten(), nn.Linear(784, 10), nn.Tanh(), nn.Linear(10, 10)
    )
    with ad.no_grad():
        model[1].weight.mul_(1000)
    assert any(
        "'2' (Tanh) are where it is flat" in each for each in _said(model).findings
    )


class _Cut(nn.Module):
    """Cuts the graph, and has a layer that it does not use."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(784, 10)
        self.second = nn.Linear(10, 10)

    def forward(self, x):
        return self.second(self.first(x.flatten(1)).detach())


def test_parameters_that_do_not_learn_are_named():
    model = _Cut()
    assert (
        "'first.weight', 'first.bias' are reached by no gradient"
        in _said(model).findings[0]
    )
    model.second.bias.requires_grad_(False)
    assert any("'second.bias' is frozen" in each for each in _said(model).findings)
    zeros = nn.Sequential(nn.Flatten(), nn.Linear(784, 10), nn.Linear(10, 10))
    nn.init.zeros_(zeros[2].weight)
    assert any(
        "'1.weight', '1.bias' are given gradients of 0" in x
        for x in _said(zeros).findings
    )


def test_scales_of_inputs_and_gradients_are_looked_at():
    model = nn.Linear(3, 1)
    wide = (ad.rand(8, 3) * 255, ad.rand(8, 1))
    assert "the inputs reach" in _said(model, "mean_squared_error", wide).findings[0]
    steep = (ad.rand(8, 3), ad.rand(8, 1) * 1e5)
    found = _said(model, "mean_squared_error", steep).findings
    assert "the gradient of the model is" in found[-1]


def test_a_loss_that_is_not_finite_has_its_cause():
    x, y = _digits()
    x[3] = np.nan
    assert (
        "1 of 40 inputs of the batch are nan"
        in _said(models.LeNet(), data=(x, y)).findings[0]
    )


def test_a_layer_is_shown_as_it_was_before_another_changed_its_output():
    shown = []
    for inplace in (False, True):
        ad.manual_seed(0)
        model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(inplace), nn.Linear(4, 2))
        found = inspect.diagnose(model, "cross_entropy", ad.randn(6, 3), [0, 1] * 3)
        shown.append(found.layers)
    assert shown[0] == shown[1]


def test_models_that_give_more_than_a_tensor_are_diagnosed():
    class Named(nn.Linear):
        def forward(self, x):
            return {"score": super().forward(x)}

    found = inspect.diagnose(
        Named(3, 1),
        lambda out, y: (out["score"] - y).square().mean(),
        ad.ones(2, 3),
        0.0,
    )
    assert found.loss > 0


def test_a_diagnosis_leaves_all_as_it_was():
    model = nn.Sequential(
        nn.Flatten(), nn.BatchNorm1d(784), nn.Dropout(), nn.Linear(784, 10)
    )
    model.eval()
    model[3].weight.grad = ad.ones(10, 784)
    before = {name: x.clone() for name, x in model.state_dict().items()}
    data = _digits()
    state = ad.get_rng_state()
    _said(model, data=data)
    assert ad.equal(ad.get_rng_state(), state)
    assert all(ad.equal(x, before[name]) for name, x in model.state_dict().items())
    assert model[3].weight.grad.eq(1).all()
    assert model[3].bias.grad is None
    assert not model.training
    assert not any(each._forward_hooks for each in model.modules())


class _Hiding(nn.Module):
    def __init__(self, kept):
        super().__init__()
        self.kept = kept
        self.last = nn.Linear(3, 2)

    def forward(self, x):
        return self.last(x)


@pytest.mark.parametrize(
    ("kept", "kind", "fix"),
    [
        ([nn.Linear(3, 3)], "list", "nn.ModuleList"),
        ((nn.Linear(3, 3),), "tuple", "nn.ModuleList"),
        ({"first": nn.Linear(3, 3)}, "dict", "nn.ModuleDict"),
    ],
)
def test_layers_in_a_plain_container_are_found(kept, kind, fix):
    model = nn.Sequential(_Hiding(kept))
    (said,) = inspect.diagnose(
        model, "cross_entropy", ad.randn(4, 3), [0, 1] * 2
    ).findings
    assert f"the layers in '0.kept', a {kind}, are unknown to the model" in said
    assert said.endswith(f"likely fix: {fix}")


def test_containers_of_what_does_not_learn_or_is_known_are_no_finding():
    model = _Hiding([nn.ReLU(), 3])
    model.also = [model.last]
    assert not _said(model, data=(ad.randn(4, 3), [0, 1] * 2)).findings


def test_a_summary_without_inputs_says_what_it_needs():
    with pytest.raises(
        TypeError, match=r"Linear takes input, got no inputs; likely fix"
    ):
        inspect.summary(nn.Linear(2, 1))


@pytest.mark.parametrize("method", [inspect.saliency, inspect.integrated_gradients])
def test_scores_are_named_where_the_model_gives_more(method):
    message = (
        f"{method.__name__}: expected a model that returns scores.*likely fix: lambda"
    )
    with pytest.raises(TypeError, match=message):
        method(nn.LSTM(1, 3), ad.ones(2, 4, 1))


@pytest.mark.parametrize("target", [-1, 3, [0, 3]])
def test_a_class_without_a_score_is_refused(target):
    with pytest.raises(IndexError, match="saliency: expected classes from 0 to 2, as"):
        inspect.saliency(nn.Linear(2, 3), ad.ones(2, 2), target)
