"""Every layer keeps the rules of `testing.check_module`; a new one must be listed here."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import pyautodl as ad
from pyautodl import nn
from pyautodl.nn import functional as F
from pyautodl.testing import check_module

# made of other layers or of parameters, or the base of other layers
CONTAINERS = {
    "Module",
    "ModuleDict",
    "ModuleList",
    "ParameterDict",
    "ParameterList",
    "RNNBase",
    "Sequential",
}


def _normal(*shape: int) -> ad.Tensor:
    return ad.tensor(np.random.default_rng(len(shape)).standard_normal(shape))


def _positive(*shape: int) -> ad.Tensor:
    return ad.tensor(np.random.default_rng(7).uniform(0.2, 0.8, shape))


def _integers(high: int, *shape: int) -> ad.Tensor:
    return ad.tensor(np.random.default_rng(3).integers(0, high, shape))


def _signs(*shape: int) -> ad.Tensor:
    return ad.tensor(np.random.default_rng(5).choice([-1.0, 1.0], shape))


def _places(x: ad.Tensor) -> ad.Tensor:
    """Indices into the axes behind the channels, each of them once, in another order."""
    places = ad.arange(x[0, 0].numel()).flip(0).reshape(x.shape[2:])
    return places.expand(x.shape).clone()


class WithTarget(nn.Module):
    """A loss as a function of its first arguments alone: targets get no gradient."""

    def __init__(self, loss: nn.Module, target: ad.Tensor) -> None:
        super().__init__()
        self.loss = loss
        self.register_buffer("target", target)

    def forward(self, *inputs: ad.Tensor) -> ad.Tensor:
        return self.loss(*inputs, self.target)


VECTOR, SEQUENCE, MEMORY = _normal(3, 8), _normal(2, 4, 6), _normal(3, 4, 6)
IMAGE, VOLUME = _normal(2, 4, 5, 5), _normal(1, 2, 3, 4, 4)
ONE, TWO = _normal(3, 4), _normal(3, 4, 1)[:, :, 0]

# name -> (constructor arguments, inputs) or several of them
CASES: dict[str, list[tuple[Any, tuple[Any, ...]]]] = {
    "Linear": [((8, 3), (VECTOR,)), ((8, 3, False), (VECTOR,))],
    "LazyLinear": [((3,), (VECTOR,)), ((3, False), (VECTOR,))],
    "Bilinear": [((4, 4, 2), (ONE, TWO))],
    "Threshold": [((0.1, 20.0), (VECTOR,))],
    "GLU": [((), (VECTOR,))],
    "Maxout": [((8, 3, 2), (VECTOR,))],
    "Flatten": [((), (IMAGE,))],
    "Unflatten": [((1, (2, 4)), (VECTOR,))],
    "Embedding": [((10, 3), (_integers(10, 2, 5),))],
    "EmbeddingBag": [
        ((10, 3), (_integers(10, 2, 5),)),
        ((10, 3, None, 2.0, False, "sum"), (_integers(10, 7), ad.tensor([0, 3, 3]))),
    ],
    "CosineSimilarity": [((), (ONE, TWO))],
    "PairwiseDistance": [((), (ONE, TWO))],
    "Softmax2d": [((), (IMAGE,))],
    "Conv1d": [((4, 2, 3, 2, 1), (SEQUENCE,))],
    "Conv2d": [((4, 6, 3, 1, "same", 1, 2), (IMAGE,)), ((4, 2, (1, 3)), (IMAGE,))],
    "Conv3d": [((2, 2, 2), (VOLUME,))],
    "ConvTranspose1d": [((4, 2, 3, 2), (SEQUENCE,))],
    "ConvTranspose2d": [((4, 2, 3, 2, 1, 1), (IMAGE,))],
    "ConvTranspose3d": [((2, 1, 2), (VOLUME,))],
    "Fold": [(((4, 4), 2), (_normal(1, 8, 9),))],
    "Unfold": [((2,), (IMAGE,))],
    "ChannelShuffle": [((2,), (IMAGE,))],
    "PixelShuffle": [((2,), (IMAGE,))],
    "PixelUnshuffle": [((2,), (_normal(1, 1, 4, 4),))],
    "Upsample": [((None, 2), (IMAGE,)), ((None, 1.5, "bilinear"), (IMAGE,))],
    "UpsamplingBilinear2d": [((None, 2), (IMAGE,))],
    "UpsamplingNearest2d": [((None, 2), (IMAGE,))],
    "LayerNorm": [((8,), (VECTOR,)), (((5, 5),), (IMAGE,))],
    "RMSNorm": [((8,), (VECTOR,))],
    "GroupNorm": [((2, 4), (IMAGE,))],
    "LocalResponseNorm": [((3,), (IMAGE,))],
    "BatchNorm1d": [((4,), (SEQUENCE,)), ((8,), (VECTOR,))],
    "BatchNorm2d": [((4,), (IMAGE,)), ((4, 1e-5, 0.1, False), (IMAGE,))],
    "BatchNorm3d": [((2,), (VOLUME,))],
    "InstanceNorm1d": [((4,), (SEQUENCE,))],
    "InstanceNorm2d": [((4, 1e-5, 0.1, True), (IMAGE,))],
    "InstanceNorm3d": [((2,), (VOLUME,))],
    "LSTM": [
        ((6, 3), (SEQUENCE,)),
        ((6, 3, 1, True, False, 0.0, True, 2), (SEQUENCE,)),
        ((6, 3, 2, True, True, 0.0, True), (SEQUENCE,)),
    ],
    "GRU": [((6, 3), (SEQUENCE,)), ((6, 3, 2, True, True, 0.0, True), (SEQUENCE,))],
    "RNN": [((6, 3), (SEQUENCE,))],
    "LSTMCell": [((8, 3), (VECTOR,))],
    "GRUCell": [((8, 3), (VECTOR,))],
    "RNNCell": [((8, 3), (VECTOR,))],
    "MultiheadAttention": [
        ((6, 2), (SEQUENCE, MEMORY, _normal(3, 4, 6))),
        (
            (6, 2, 0.0, False, False, False, 6, 6, True),
            (SEQUENCE, _normal(2, 3, 6), _normal(1, 2, 3, 6)[0]),
        ),
    ],
    "TransformerEncoderLayer": [((6, 2, 4, 0.0, "gelu"), (SEQUENCE,))],
    "TransformerDecoderLayer": [((6, 2, 4, 0.0, "gelu"), (SEQUENCE, MEMORY))],
    "TransformerEncoder": [
        ((nn.TransformerEncoderLayer(6, 2, 4, 0.0, "gelu"), 2), (SEQUENCE,))
    ],
    "TransformerDecoder": [
        ((nn.TransformerDecoderLayer(6, 2, 4, 0.0, "gelu"), 1), (SEQUENCE, MEMORY))
    ],
    "Transformer": [((6, 2, 1, 1, 4, 0.0, "gelu"), (MEMORY, SEQUENCE))],
}
for _name in ("AlphaDropout", "Dropout", "FeatureAlphaDropout"):
    CASES[_name] = [((0.4,), (VECTOR,))]
for _name, _x in (("1d", SEQUENCE), ("2d", IMAGE), ("3d", VOLUME)):
    CASES[f"Dropout{_name}"] = [((0.4,), (_x,))]
    CASES[f"LazyConv{_name}"] = [((2, 2), (_x,)), ((2, 2, 1, 1), (_x,))]
    CASES[f"LazyConvTranspose{_name}"] = [((2, 2, 2), (_x,))]
    CASES[f"LazyBatchNorm{_name}"] = [((), (_x,)), ((1e-5, 0.1, False), (_x,))]
    CASES[f"LazyInstanceNorm{_name}"] = [((1e-5, 0.1, True), (_x,))]
    for _kind in ("Max", "Avg"):
        CASES[f"{_kind}Pool{_name}"] = [((2,), (_x,)), ((2, 1, 1), (_x,))]
        CASES[f"Adaptive{_kind}Pool{_name}"] = [((2,), (_x,))]
    CASES[f"LPPool{_name}"] = [((2, 2), (_x,)), ((2, 3, 1, True), (_x,))]
    CASES[f"MaxUnpool{_name}"] = [
        ((2,), (_x, _places(_x))),
        ((3, 1, 1), (_x, _places(_x))),
    ]
    for _kind in ("Circular", "Reflection", "Replication", "Zero"):
        CASES[f"{_kind}Pad{_name}"] = [((1,), (_x,))]
    CASES[f"ConstantPad{_name}"] = [((1, 3.0), (_x,))]
for _name, _x in (("2d", IMAGE), ("3d", VOLUME)):
    _draws = _positive(*_x.shape[:2], _x.ndim - 2)
    CASES[f"FractionalMaxPool{_name}"] = [((2, 2, None, False, _draws), (_x,))]
CASES["AdaptiveLogSoftmaxWithLoss"] = [
    ((4, 6, [2, 3], 2.0, True), (ONE, ad.tensor([5, 0, 2]))),
]
CASES["CTCLoss"] = [
    ((), (_normal(5, 2, 4), _integers(3, 2, 2) + 1, [5, 4], [2, 1])),
    ((2, "sum"), (_normal(5, 4), _integers(2, 2), 5, 2)),
]
for _name in ("LogSoftmax", "Softmax", "Softmin"):
    CASES[_name] = [((1,), (VECTOR,))]

# losses: constructor arguments, inputs, target
LOSSES: dict[str, tuple[Any, tuple[Any, ...], Any]] = {
    "BCELoss": ((), (_positive(3, 4),), _positive(3, 4)),
    "BCEWithLogitsLoss": ((), (ONE,), _positive(3, 4)),
    "CategoricalCrossEntropyLoss": ((), (_positive(3, 4),), _integers(4, 3)),
    "CosineEmbeddingLoss": ((), (ONE, TWO), _signs(3)),
    "CrossEntropyLoss": ((), (ONE,), _integers(4, 3)),
    "HingeEmbeddingLoss": ((3.0,), (ONE,), _signs(3, 4)),
    "HuberLoss": ((), (ONE,), TWO),
    "KLDivLoss": ((None, None, "batchmean"), (ONE,), _positive(3, 4)),
    "L1Loss": ((), (ONE,), TWO),
    "LogDiceLoss": ((), (_normal(2, 3, 4, 4),), _integers(3, 2, 4, 4)),
    "MSELoss": ((), (ONE,), TWO),
    "MarginRankingLoss": ((0.3,), (ONE, TWO), _signs(3, 4)),
    "MultiLabelMarginLoss": ((), (ONE,), _integers(4, 3, 4)),
    "MultiLabelSoftMarginLoss": ((), (ONE,), _positive(3, 4)),
    "MultiMarginLoss": ((2, 0.7), (ONE,), _integers(4, 3)),
    "NLLLoss": ((), (ONE,), _integers(4, 3)),
    "PoissonNLLLoss": ((), (ONE,), _positive(3, 4)),
    "SmoothL1Loss": ((), (ONE,), TWO),
    "SoftMarginLoss": ((), (ONE,), _signs(3, 4)),
    "TripletMarginLoss": ((), (ONE, TWO), _normal(1, 1, 3, 4)[0, 0]),
    "TripletMarginWithDistanceLoss": ((), (ONE, TWO), _normal(1, 1, 3, 4)[0, 0]),
}


def _layers() -> list[str]:
    found = []
    for name in nn.__all__:
        kind = getattr(nn, name)
        if isinstance(kind, type) and issubclass(kind, nn.Module):
            found.append(name)
    return [name for name in found if name not in CONTAINERS]


def _made(kind: Any, arguments: Any, inputs: tuple[Any, ...]) -> nn.Module:
    """A layer; a lazy one after its first call, which gives it its parameters."""
    layer = kind(*arguments)
    if hasattr(kind, "cls_to_become"):
        assert repr(layer).startswith(f"{kind.__name__}(")
        layer.double()(*inputs)
    return layer


@pytest.mark.parametrize("name", [n for n in _layers() if n not in LOSSES])
def test_layer(name: str) -> None:
    kind = getattr(nn, name)
    if name == "GaussianNLLLoss":
        check_module(kind(), ONE, TWO, _positive(3, 4))
        return
    # a layer without arguments of its own works on anything
    for arguments, inputs in CASES.get(name, [((), (VECTOR,))]):
        ad.manual_seed(1)
        check_module(_made(kind, arguments, inputs), *inputs)
        layer = _made(kind, arguments, inputs).double().eval()
        check_module(layer, *inputs)
        assert repr(layer).startswith(f"{name.removeprefix('Lazy')}(")


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_loss(name: str) -> None:
    arguments, inputs, target = LOSSES[name]
    check_module(WithTarget(getattr(nn, name)(*arguments), target), *inputs)


def test_every_loss_is_among_the_layers() -> None:
    assert set(LOSSES) <= set(_layers())


NO_TENSORS = [
    ("linear: expected a tensor", lambda a, t: nn.Linear(3, 2)(a)),
    ("conv2d: input must be a tensor", lambda a, t: nn.Conv2d(3, 2, 1)(a)),
    ("BatchNorm1d: input must be a tensor", lambda a, t: nn.BatchNorm1d(3)(a)),
    ("LSTM: input must be a tensor", lambda a, t: nn.LSTM(3, 2)(a)),
    ("Flatten: input must be a tensor", lambda a, t: nn.Flatten(0)(a)),
    ("softmax: input must be a tensor", lambda a, t: ad.softmax(a, 1)),
    ("matmul: expected a tensor", lambda a, t: t @ a),
    ("cross_entropy: input must be", lambda a, t: nn.CrossEntropyLoss()(a, t)),
    ("cross_entropy: target must be", lambda a, t: nn.CrossEntropyLoss()(t, a)),
    ("cross_entropy: weight must be", lambda a, t: F.cross_entropy(t, t, a)),
    ("mse_loss: target must be", lambda a, t: nn.MSELoss()(t, a)),
    ("mse_loss: input must be", lambda a, t: nn.MSELoss()(a, t)),
    ("binary_cross_entropy: target must", lambda a, t: nn.BCELoss()(t, a)),
]


@pytest.mark.parametrize(("match", "call"), NO_TENSORS)
@pytest.mark.parametrize("value", [np.zeros((3, 3), "f"), [[1.0] * 3] * 3])
def test_what_is_no_tensor_is_refused_by_name(
    match: str, call: Any, value: Any
) -> None:
    for grad in (True, False):
        with ad.set_grad_enabled(grad), pytest.raises(TypeError, match=match) as caught:
            call(value, ad.zeros(3, 3))
        assert f"got {type(value).__name__}" in str(caught.value)
        assert "likely fix: pyautodl.tensor" in str(caught.value)


def test_a_power_takes_an_array_as_sums_do() -> None:
    x = ad.tensor([1.0, 2.0, 3.0])
    assert (x ** np.array([2.0, 0.0, 1.0], "f")).tolist() == [1.0, 1.0, 3.0]
    assert (np.array([2.0, 0.0, 1.0], "f") ** x).tolist() == [2.0, 0.0, 1.0]


@pytest.mark.parametrize(
    "kind", ["Reflection", "Replication", "Circular", "Zero", "Constant"]
)
@pytest.mark.parametrize("padding", [1, (1, 0, 2, 1, 0, 1)])
def test_padding_of_three_axes(kind: str, padding: Any) -> None:
    torch: Any = pytest.importorskip("torch")
    x = np.arange(54.0).reshape(1, 2, 3, 3, 3)
    value = [0.5] * (kind == "Constant")
    ours, theirs = ad.tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    found = getattr(nn, f"{kind}Pad3d")(padding, *value)(ours)
    expected = getattr(torch.nn, f"{kind}Pad3d")(padding, *value)(theirs)
    (found * found).sum().backward()
    (expected * expected).sum().backward()
    assert found.tolist() == expected.tolist()
    assert ours.grad.tolist() == theirs.grad.tolist()
