"""ONNX files: every op that has a form, from its samples, and the models, in onnxruntime."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from op_cases import Case, cases, cast

import pyautodl as ad
from pyautodl import models, nn
from pyautodl.errors import ShapeError
from pyautodl.func.trees import leaves_of
from pyautodl.ops.record import OPS
from pyautodl.tensor import apply

onnx = pytest.importorskip("onnx")
ort: Any = pytest.importorskip("onnxruntime")

FORMS = pytest.importorskip("pyautodl.onnx.forms").FORMS
F = nn.functional
BATCH = {"x0": [0]}
# what these have no form for is in all of their samples
NEVER = {"adaptive_max_pool", "batch_norm", "batch_norm_relu", "dropout"}


class Function(nn.Module):
    """A function as a module."""

    def __init__(self, function: Any) -> None:
        super().__init__()
        self.function = function

    def forward(self, *inputs: Any) -> Any:
        return self.function(*inputs)


def session(proto: Any) -> Any:
    options = ort.SessionOptions()
    options.log_severity_level = 4
    data = proto.SerializeToString()
    return ort.InferenceSession(data, options, providers=["CPUExecutionProvider"])


def check(
    model: Any,
    *inputs: ad.Tensor,
    more: tuple[Any, ...] = (),
    tolerance: float = 1,
    opset: int | None = None,
) -> Any:
    """Whether onnxruntime gives what the model does, for other inputs, too."""
    model = model if isinstance(model, nn.Module) else Function(model)
    names = [f"x{i}" for i in range(len(inputs))]
    axes = BATCH if more else None
    proto = ad.onnx.export(
        model, inputs, input_names=names, dynamic_axes=axes, opset_version=opset
    )
    runner = session(proto)
    model.eval()
    for given in (inputs, *more):
        feed = {
            each.name: x.numpy()
            for each, x in zip(runner.get_inputs(), given, strict=False)
        }
        found = runner.run(None, feed)
        with ad.no_grad():
            expected = leaves_of(model(*given))
        assert len(found) == len(expected)
        for one, other in zip(found, expected):
            assert one.dtype == other.numpy().dtype
            np.testing.assert_allclose(
                one, other.numpy(), rtol=2e-4 * tolerance, atol=2e-5 * tolerance
            )
    return proto


# ---- ops ----


def _runs(case: Case, opset: int | None = None) -> bool:
    """Whether a sample was checked; what has no form, or onnxruntime not, is not."""
    given = [None if x is None else cast(x, "float32") for x in case.sample.inputs]
    present = [ad.tensor(x) for x in given if x is not None]
    # what comes of NaN and of nothing at all differs between programs
    odd = [x for x in present if 0 in x.shape or not bool(x.isfinite().all())]
    if odd or not present:
        return False

    def function(*tensors: ad.Tensor) -> Any:
        each = iter(tensors)
        inputs = [None if x is None else next(each) for x in given]
        found = apply(case.op, *inputs, **case.sample.attrs)
        # the indices of its maxima have no form
        pooled = isinstance(found, tuple) and case.op.name.endswith("max_pool")
        return found[0] if pooled else found

    try:
        tolerance = 10 * case.sample.tolerance
        with np.errstate(all="ignore"):
            check(function, *present, tolerance=tolerance, opset=opset)
    except NotImplementedError as error:
        return "has no ONNX form in opset 17" not in str(error)
    except (ort.capi.onnxruntime_pybind11_state.NotImplemented, RuntimeError) as error:
        if not re.search(
            r"NOT_IMPLEMENTED|Could not find an implementation", str(error)
        ):
            raise
        return False
    return True


@pytest.mark.parametrize("name", sorted(FORMS.keys() - NEVER))
def test_samples_of_ops_in_onnxruntime(name: str) -> None:
    assert name in OPS
    checked = [_runs(case) for case in cases(name)]
    assert any(checked), f"none of {len(checked)} samples was written and run"


@pytest.mark.parametrize("name", sorted(FORMS.keys() - NEVER))
def test_samples_of_ops_in_older_opsets(name: str) -> None:
    checked = [_runs_or_is_refused(case) for case in list(cases(name))[:6]]
    assert any(checked)


def _runs_or_is_refused(case: Case) -> bool:
    """Whether a sample was checked in opset 11 or refused for it."""
    try:
        return _runs(case, 11)
    except ValueError as error:
        if "the oldest that has all of this model" not in str(error):
            raise
        return True


@pytest.mark.parametrize("name", sorted(NEVER))
def test_ops_that_only_name_a_cure(name: str) -> None:
    assert not any(_runs(case) for case in cases(name))


# ---- models ----

MODELS = {
    "lenet": (models.LeNet, (1, 28, 28)),
    "lstm": (lambda: models.LSTMClassifier(4, 3, 8, 2), (5, 4)),
    "bidirectional": (
        lambda: models.LSTMClassifier(4, 3, 8, 2, bidirectional=True, dropout=0.5),
        (5, 4),
    ),
    "autoencoder": (lambda: models.Autoencoder((64, 16, 4)), (1, 8, 8)),
    "convolutional autoencoder": (models.ConvAutoencoder, (1, 28, 28)),
    "resnet": (lambda: models.resnet18(num_classes=10, small=True), (3, 32, 32)),
    "unet": (lambda: models.UNet(1, 2, channels=(4, 8)), (1, 16, 16)),
    "vgg": (lambda: models.VGG(11, small=True, batch_norm=True), (3, 32, 32)),
}


@pytest.mark.parametrize("name", MODELS)
def test_models_with_batches_of_any_size(name: str) -> None:
    make, shape = MODELS[name]
    ad.manual_seed(0)
    model = make()
    state = {key: each.clone() for key, each in model.state_dict().items()}
    proto = check(
        model, ad.randn(1, *shape), more=((ad.randn(4, *shape),),), tolerance=10
    )
    held = {each.name for each in proto.graph.initializer}
    weights = {key for key in state if key.endswith("weight")}
    assert weights <= held
    batch = proto.graph.input[0].type.tensor_type.shape.dim[0]
    assert batch.dim_param == "x0_0"
    for key, each in model.state_dict().items():
        assert (each == state[key]).all()


@pytest.mark.parametrize("name", ["lenet", "unet"])
@pytest.mark.parametrize("opset", [11, 12, 14])
def test_models_in_older_opsets(name: str, opset: int) -> None:
    make, shape = MODELS[name]
    given = ad.randn(2, *shape)
    proto = check(make(), given, more=((ad.randn(3, *shape),),), opset=opset)
    assert [each.version for each in proto.opset_import] == [opset]
    assert proto.ir_version < 8


@pytest.mark.parametrize(
    ("model", "opset", "message"),
    [
        (nn.Softmax(1), 11, "Softmax of opset 11 takes all axes from axis 1 on .*=13"),
        (nn.LayerNorm(4), 16, "opset 16 has no LayerNormalization.*=17, the oldest"),
        (Function(lambda x: x.sum(1)), 11, "ReduceSum of opset 11 takes 1 inputs.*=13"),
        (Function(lambda x: x.tril()), 13, "opset 13 has no Trilu.*=14"),
    ],
)
def test_what_older_opsets_lack(model: nn.Module, opset: int, message: str) -> None:
    x = ad.randn(2, 3, 4)
    with pytest.raises(ValueError, match=f"(?s)onnx.export: {message}"):
        ad.onnx.export(model, x, opset_version=opset)
    check(model, x, opset=int(message.rpartition("=")[2][:2]))


class Attention(nn.Module):
    """Indices, changes in place, parts, and several outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(10, 8)
        self.layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)

    def forward(self, x: ad.Tensor) -> Any:
        h = self.embedding(x)
        h += 1
        h = self.layer(h)
        last = h[:, -1].mean(-1)
        return {"last": last, "parts": (h[:, 1:3].std(1), (2 * h).view(-1, 8).relu_())}


def test_a_transformer() -> None:
    ad.manual_seed(0)
    x = ad.randint(0, 10, (2, 4))
    check(Attention(), x, more=((ad.randint(0, 10, (5, 4)),),))


LAYERS: list[tuple[Any, tuple[int, ...]]] = [
    (lambda: nn.GRU(4, 3, 2, bidirectional=True), (5, 2, 4)),
    (lambda: nn.RNN(4, 3, nonlinearity="relu"), (5, 2, 4)),
    (lambda: nn.LSTM(4, 3, bias=False), (5, 2, 4)),
    (lambda: nn.LSTMCell(4, 3), (2, 4)),
    (lambda: nn.ConvTranspose2d(2, 3, 3, 2, 1, 1, bias=False), (1, 2, 5, 5)),
    (lambda: nn.Conv2d(2, 4, 3, 2, "same", groups=2), (1, 2, 6, 6)),
    (lambda: nn.Conv2d(2, 4, 3, padding=1, padding_mode="reflect"), (1, 2, 6, 6)),
    (lambda: nn.Conv1d(2, 4, 3, dilation=2), (1, 2, 9)),
    (lambda: nn.Conv3d(2, 2, 2), (1, 2, 4, 4, 4)),
    (
        lambda: nn.Sequential(nn.Conv2d(2, 4, 3), nn.ReLU(), nn.MaxPool2d(2)),
        (1, 2, 8, 8),
    ),
    (lambda: nn.Sequential(nn.ReLU(True), nn.MaxPool2d(3, 2, 1)), (1, 2, 8, 8)),
    (lambda: nn.AvgPool2d(3, 2, 1, count_include_pad=False), (1, 2, 9, 9)),
    (lambda: nn.AdaptiveAvgPool2d((2, 4)), (1, 2, 8, 8)),
    (lambda: nn.AdaptiveMaxPool2d(1), (1, 2, 8, 8)),
    (lambda: nn.Upsample(scale_factor=2), (1, 2, 5, 5)),
    (lambda: nn.Upsample(scale_factor=1.5, mode="bilinear"), (1, 2, 6, 6)),
    (lambda: nn.Upsample((7, 9), mode="bilinear", align_corners=True), (1, 2, 5, 5)),
    (lambda: nn.InstanceNorm2d(3, affine=True), (2, 3, 4, 4)),
    (lambda: nn.LocalResponseNorm(3), (2, 6, 4, 4)),
    (lambda: nn.BatchNorm1d(3, affine=False), (4, 3)),
    (lambda: nn.PixelShuffle(2), (1, 8, 3, 3)),
    (lambda: nn.utils.parametrizations.weight_norm(nn.Linear(4, 3)), (2, 4)),
    (lambda: nn.MultiheadAttention(8, 2), (3, 2, 8)),
    (lambda: nn.Softplus(2, threshold=1), (40,)),
]


@pytest.mark.parametrize("number", range(len(LAYERS)))
def test_layers(number: int) -> None:
    make, shape = LAYERS[number]
    ad.manual_seed(0)
    layer = make()
    x = ad.randn(*shape)
    if isinstance(layer, nn.MultiheadAttention):
        check(lambda q, k, v: layer.eval()(q, k, v)[0], x, x + 1, x - 1)
    else:
        check(layer, x, tolerance=5)


ACTIVATIONS = """CELU ELU GELU Hardshrink Hardsigmoid Hardswish Hardtanh LeakyReLU LogSigmoid
Mish PReLU ReLU ReLU6 SELU SiLU Sigmoid Softplus Softshrink Softsign Tanh Tanhshrink
GLU LogSoftmax Softmax Softmin""".split()


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations(name: str) -> None:
    layer = getattr(nn, name)(*((-1,) if name.endswith(("max", "min")) else ()))
    check(layer, ad.linspace(-4, 4, 24).reshape(3, 8))


def test_functions_that_are_made_of_several_ops() -> None:
    x, y = ad.randn(3, 4), ad.rand(3, 4) + 0.5
    check(lambda x, y: (x.clamp(-1, 1) / y, ad.where(x > 0, x, y), x @ y.T), x, y)
    check(lambda x: x[:, ::2].flip(0), x)
    check(lambda x: x[1:, -1], x)
    check(lambda x: (x.softmax(0), x.log_softmax(1), x.sum(), x.amax(1, True)), x)
    check(lambda x: (x.argmax(1), x.max(1)[0], x.topk(2)[0], x.norm(dim=1)), x)
    check(lambda x: (x > 0).float().mean(0), x)
    check(lambda x: x, x)
    check(lambda x: (x, x, x * 1), x)
    check(lambda x: (x * 2, ad.ones(2)), x)
    check(lambda x: ad.zeros(3, 4).double().copy_(x), x)
    check(lambda x: x.unsqueeze(1).expand(3, 5, 4).squeeze(0), x)


# ---- files, names, axes ----


def test_a_tensor_that_is_given_twice_is_two_inputs() -> None:
    proto = ad.onnx.export(Function(lambda x, y: x - y), (x := ad.ones(2), x))
    feed = {"input_0": np.array([5, 6], "f"), "input_1": np.ones(2, "f")}
    assert session(proto).run(None, feed)[0].tolist() == [4.0, 5.0]


def test_files_and_names(tmp_path: Path) -> None:
    model = nn.Linear(4, 3).train()
    path, stream = tmp_path / "model.onnx", io.BytesIO()
    names = {"input_names": ["a"], "output_names": ["b"]}
    proto = ad.onnx.export(model, ad.ones(2, 4), path, **names)
    ad.onnx.export(model, (ad.ones(2, 4),), stream, **names)
    assert path.read_bytes() == stream.getvalue() == proto.SerializeToString()
    assert [each.name for each in proto.graph.input] == ["a"]
    assert [each.name for each in proto.graph.output] == ["b"]
    assert {each.name for each in proto.graph.initializer} == {"weight", "bias"}
    assert model.training
    onnx.checker.check_model(onnx.load(path), full_check=True)
    assert [each.version for each in proto.opset_import] == [17]


def test_arguments_by_name_and_what_is_no_tensor() -> None:
    model = Function(lambda x, factor, *, other: x * factor + other)
    model.forward = model.function
    example = (ad.ones(2), 3.0)
    proto = ad.onnx.export(model, example, kwargs={"other": ad.tensor([1.0, 2.0])})
    feed = {"input_0": np.ones(2, "f"), "input_1": np.array([5, 6], "f")}
    assert session(proto).run(None, feed)[0].tolist() == [8.0, 9.0]


def test_a_batch_that_is_merged_with_another_axis_stays_free() -> None:
    x, more = ad.randn(2, 3, 4), ((ad.randn(5, 3, 4),),)
    check(lambda x: x.reshape(x.shape[0] * 3, 4), x, more=more)
    check(lambda x: x.reshape(-1, 3, 4).transpose(0, 1).flatten(1), x, more=more)
    check(lambda x: x[1:] + x[-1], x, more=more)
    check(lambda x: x[:-1] * x[0:1], x, more=more)


def test_a_batch_size_that_is_written_down_is_refused() -> None:
    def sized(x: ad.Tensor) -> ad.Tensor:
        return x * x.shape[0]

    model = nn.Sequential(nn.ReLU(), Function(sized))
    with pytest.raises(ShapeError, match=r"Mul depends on .*\n.*layer `1` Function"):
        ad.onnx.export(model, ad.ones(2, 3), input_names=["x"], dynamic_axes={"x": [0]})
    looped = Function(lambda x: sum(each.relu() for each in x.unbind(0)))
    counted = Function(lambda x: (x * 2, ad.arange(x.shape[0])))
    with pytest.raises(ShapeError, match=r"depends on .*\n  in what the model returns"):
        ad.onnx.export(counted, ad.ones(2, 3), dynamic_axes={"input_0": [0]})
    with pytest.raises(ShapeError, match="calls other operations"):
        ad.onnx.export(looped, ad.ones(2, 3), dynamic_axes={"input_0": [0]})


def test_what_has_no_form_names_the_layer_and_a_cure() -> None:
    class Root(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.ModuleDict({"a": Function(ad.lgamma)})

        def forward(self, x: ad.Tensor) -> ad.Tensor:
            ad.digamma(x)  # what nothing depends on is not written
            return self.inner["a"](x * 2)

    with pytest.raises(
        NotImplementedError, match=r"lgamma has no .*\n.*layer `inner.a`"
    ):
        ad.onnx.export(Root(), ad.ones(2))
    with pytest.raises(NotImplementedError, match="likely fix: an input whose sizes"):
        ad.onnx.export(nn.AdaptiveAvgPool2d(2), ad.ones(1, 1, 5, 5))
    with pytest.raises(
        NotImplementedError, match=r"track_running_stats=True, and eval"
    ):
        ad.onnx.export(nn.BatchNorm1d(3, track_running_stats=False), ad.ones(2, 3))

    def changed(x: ad.Tensor) -> ad.Tensor:
        x = x * 1
        x[0] = 5
        return x.relu()

    def returned(x: ad.Tensor) -> ad.Tensor:
        x = x * 1
        x[0] = 5
        return x

    def filled(x: ad.Tensor) -> ad.Tensor:
        rows = ad.zeros(2, 3)
        rows[0] = x[1]
        return rows

    def put(x: ad.Tensor) -> ad.Tensor:
        rows = ad.zeros(2, 3)
        rows[[1, 0]] = x
        return rows

    def masked(x: ad.Tensor) -> ad.Tensor:
        mask = ad.zeros(2, 3)
        mask[[1, 0]] = ad.arange(3.0)  # the same for all inputs
        return x + mask

    check(masked, ad.ones(2, 3))
    for function in (changed, returned, filled, put):
        with pytest.raises(NotImplementedError, match="changed in place"):
            ad.onnx.export(Function(function), ad.ones(2, 3))


def test_a_model_that_changes_its_buffers_stays_as_it_was() -> None:
    class Counter(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("calls", ad.zeros(1))

        def forward(self, x: ad.Tensor) -> ad.Tensor:
            self.calls += 1
            return x + self.calls

    model = Counter()
    proto = ad.onnx.export(model, ad.ones(2))
    assert model.calls.item() == 0
    assert session(proto).run(None, {"input_0": np.ones(2, "f")})[0].tolist() == [2, 2]


def test_wrong_arguments() -> None:
    model, x = nn.Linear(3, 2), ad.ones(1, 3)
    export = ad.onnx.export
    with pytest.raises(TypeError, match=r"expected an nn\.Module"):
        export(ad.sin, x)
    with pytest.raises(TypeError, match="an example with a tensor"):
        export(model, 3)
    with pytest.raises(ValueError, match="of 11 to 17, got 18; likely fix: 17"):
        export(model, x, opset_version=18)
    with pytest.raises(ValueError, match="of 11 to 17, got 9; likely fix: 11"):
        export(model, x, opset_version=9)
    script = {"export_params": True, "do_constant_folding": True, "verbose": False}
    assert export(model, x, opset_version=17, **script).graph.node
    for name, value in (
        ("export_params", False),
        ("keep_initializers_as_inputs", True),
        ("training", 2),
    ):
        with pytest.raises(
            NotImplementedError, match=f"{name}={value} is not supported"
        ):
            export(model, x, **{name: value})
    with pytest.raises(ValueError, match="1 different input_names"):
        export(model, x, input_names=["a", "b"])
    with pytest.raises(ValueError, match="1 different output_names"):
        export(model, x, output_names=[])
    with pytest.raises(ValueError, match="likely fix: input_names"):
        export(model, x, dynamic_axes={"x": [0]})
    with pytest.raises(ValueError, match="axis 2 for 'input_0' of 2 axes"):
        export(model, x, dynamic_axes={"input_0": [2]})
    with pytest.raises(TypeError, match="the model returns must be tensors"):
        export(Function(lambda x: 3), x)
    with ad.profile(), pytest.raises(RuntimeError, match="leave its block first"):
        export(model, x)
    # a failure leaves everything as it was
    assert model(x).grad_fn is not None
