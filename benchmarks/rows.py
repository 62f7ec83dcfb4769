"""The rows: what is measured, suite by suite, for any library.

A row's `work` is made where it is needed, in a worker process; the rest of it is light.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial
from typing import Any

import numpy as np

from benchmarks import networks, streams
from benchmarks.weights import normal
from benchmarks.work import (
    Backward,
    Build,
    Call,
    Facts,
    Forward,
    Inference,
    Product,
    Row,
    Sample,
    Step,
)

__all__ = ["SCALES", "SUITES", "Facts", "Row", "rows_of"]


def _classes(n: int, classes: int, *rest: int) -> np.ndarray:
    return np.random.default_rng(2).integers(0, classes, (n, *rest))


# ---- steps and inference ----


def _step(name: str, build: Build, x: tuple[int, ...], target: Any = None) -> Row:
    """A training step on inputs of shape x; target: arguments of _classes."""

    def work() -> Step:
        return Step(build, normal(1, *x), None if target is None else _classes(*target))

    return Row(Facts(name), work)


def _small_steps() -> list[Row]:
    mlp = [_step(f"MLP B{n}", networks.mlp, (n, 784), (n, 10)) for n in (1, 32, 256)]
    cnn = [
        _step(f"CNN B{n}", networks.cnn, (n, 1, 28, 28), (n, 10)) for n in (1, 32, 128)
    ]
    lstm = [
        _step(f"LSTM B{n} T{t}", networks.lstm, (n, t, 64), (n, 10))
        for n, t in ((1, 50), (32, 50), (64, 100))
    ]
    return [*mlp, *cnn, *lstm]


def _steps() -> list[Row]:
    small, large = (partial(networks.resnet18, small=each) for each in (True, False))
    return [
        *_small_steps(),
        _step("AE B128", networks.autoencoder, (128, 784)),
        _step("ResNet-18 32² B32", small, (32, 3, 32, 32), (32, 10)),
        _step("ResNet-18 224² B8", large, (8, 3, 224, 224), (8, 1000)),
        _step("VGG-11 32² B32", networks.vgg11, (32, 3, 32, 32), (32, 10)),
        _step("U-Net 128² B4", networks.unet, (4, 1, 128, 128), (4, 2, 128, 128)),
        *_inference(),
    ]


def _inference() -> list[Row]:
    def row(name: str, build: Build) -> Row:
        return Row(
            Facts(f"inference {name} 224² B1"),
            lambda: Inference(build, normal(1, 1, 3, 224, 224)),
        )

    return [
        row("ResNet-18", partial(networks.resnet18, small=False)),
        row("depthwise", networks.depthwise),
    ]


# ---- products ----


def _products() -> list[Row]:
    return [
        Row(
            Facts(f"GEMM {n}³", 1e-4, 2.0 * n**3, 12.0 * n**2),
            partial(lambda n: Product(normal(1, n, n), normal(2, n, n)), n),
        )
        for n in (16, 32, 64, 128, 256, 512, 1024, 2048)
    ]


def _first() -> list[Row]:
    wanted = ("MLP B1", "MLP B32", "CNN B32", "CNN B128", "LSTM B32 T50")
    steps = [row for row in _small_steps() if row.facts.name in wanted]
    return [*_products(), *steps]


# ---- layers ----


def _layer(
    name: str,
    build: Callable[[Any], Any],
    x: tuple[int, ...],
    y: tuple[int, ...],
    multiply_adds: float = 0.0,
    tolerance: float = 1e-3,
) -> list[Row]:
    """A layer forward, and forward with gradients; y is the output's shape.

    multiply_adds: those of one forward pass; the gradients of input and weights take as
    many again each.
    """
    build_layer = lambda nn, cat: build(nn)  # noqa: E731
    flops = 2.0 * multiply_adds
    moved = 4.0 * (np.prod(x) + np.prod(y))
    # the gradient of the output is the output: it is read, and the input's is written
    moved_backward = 2 * moved + 4.0 * np.prod(y)
    return [
        Row(
            Facts(f"{name} forward", tolerance, flops, moved),
            lambda: Forward(build_layer, normal(1, *x)),
        ),
        Row(
            Facts(f"{name} forward+backward", tolerance, 3 * flops, moved_backward),
            lambda: Backward(build_layer, normal(1, *x)),
        ),
    ]


def _convolution(
    inside: int,
    out: int,
    kernel: int,
    size: int,
    n: int = 32,
    stride: int = 1,
    groups: int = 1,
) -> list[Row]:
    padding = kernel // 2
    after = (size + 2 * padding - kernel) // stride + 1
    kind = "depthwise" if groups > 1 else "conv"
    name = f"{kind} {kernel}x{kernel}{f'/{stride}' if stride > 1 else ''}"
    channels = f"{inside}→{out}" if inside != out else str(out)
    taps = kernel * kernel * (inside // groups)
    return _layer(
        f"{name} {channels} {size}² N{n}",
        lambda nn: nn.Conv2d(
            inside, out, kernel, stride, padding=padding, groups=groups
        ),
        (n, inside, size, size),
        (n, out, after, after),
        n * out * after * after * taps,
    )


def _layers() -> list[Row]:
    image = (32, 64, 56, 56)
    rows = (4096, 1024)
    return [
        *_convolution(64, 64, 3, 56),
        *_convolution(128, 128, 3, 28),
        *_convolution(256, 256, 3, 14),
        *_convolution(512, 512, 3, 7),
        *_convolution(64, 256, 1, 56),
        *_convolution(3, 64, 7, 224, n=8, stride=2),
        *_convolution(128, 128, 3, 56, groups=128),
        *_layer(
            "linear 1024→1024 N256",
            lambda nn: nn.Linear(1024, 1024),
            (256, 1024),
            (256, 1024),
            256 * 1024 * 1024,
        ),
        *_layer("batch norm 64 56² N32", lambda nn: nn.BatchNorm2d(64), image, image),
        *_layer("layer norm 1024 N4096", lambda nn: nn.LayerNorm(1024), rows, rows),
        *_layer("softmax 1024 N4096", lambda nn: nn.Softmax(dim=1), rows, rows),
        *_layer("relu 64 56² N32", lambda nn: nn.ReLU(), image, image),
        *_layer(
            "max pool 2x2 64 56² N32",
            lambda nn: nn.MaxPool2d(2),
            image,
            (32, 64, 28, 28),
        ),
        *_layer(
            "average pool 2x2 64 56² N32",
            lambda nn: nn.AvgPool2d(2),
            image,
            (32, 64, 28, 28),
        ),
        *_recurrent("LSTM", 4),
        *_recurrent("GRU", 3),
        *_recurrent("LSTM", 4, layers=2),
        *_recurrent("LSTM", 4, bidirectional=True),
    ]


def _recurrent(
    kind: str, gates: int, layers: int = 1, bidirectional: bool = False
) -> list[Row]:
    """A recurrent layer from 64 features to 256 units, 32 sequences of 50 steps."""
    inside, hidden, n, steps = 64, 256, 32, 50
    directions = 2 if bidirectional else 1
    name = f"{kind} {inside}→{hidden} T{steps} N{n}"
    if layers > 1:
        name += f" {layers} layers"
    if bidirectional:
        name += " bidirectional"
    weights = directions * gates * hidden * (inside + hidden)
    weights += (layers - 1) * directions * gates * hidden * (1 + directions) * hidden
    return _layer(
        name,
        lambda nn: getattr(nn, kind)(
            inside,
            hidden,
            num_layers=layers,
            bidirectional=bidirectional,
            batch_first=True,
        ),
        (n, steps, inside),
        (n, steps, directions * hidden),
        n * steps * weights,
    )


# ---- single functions ----

# elements of an array that no cache holds, and of one that the first holds
_LARGE, _SMALL = 2**24, 2**10
# name -> how many arrays it reads
_MAPS = {
    "relu": 1,
    "sigmoid": 1,
    "tanh": 1,
    "gelu": 1,
    "exp": 1,
    "log1p": 1,
    "sqrt": 1,
    "add": 2,
    "mul": 2,
    "maximum": 2,
}
_REDUCTIONS = ("sum", "mean", "amax", "argmax", "logsumexp")
_ROWS = ("softmax", "log_softmax", "cumsum")


def _function(
    name: str,
    label: str,
    arrays: Callable[[], tuple[np.ndarray, ...]],
    nbytes: float,
    **attributes: Any,
) -> Row:
    return Row(
        Facts(f"{name} {label}", 1e-4, bytes=nbytes),
        lambda: Call(name, arrays(), attributes),
    )


def _positive(count: int, *shape: int) -> tuple[np.ndarray, ...]:
    return tuple(np.abs(normal(i, *shape)) for i in range(count))


def _functions() -> list[Row]:
    rows = []
    for label, n in (("4 KB", _SMALL), ("64 MB", _LARGE)):
        shape = (n // 1024, 1024)
        for name, count in _MAPS.items():
            make = partial(_positive, count, *shape)
            rows.append(_function(name, label, make, 4.0 * n * (count + 1)))
        make = partial(_positive, 1, *shape)
        for name in _REDUCTIONS:
            rows.append(_function(name, label, make, 4.0 * n, dim=1))
        for name in _ROWS:
            rows.append(_function(name, label, make, 8.0 * n, dim=1))
    return rows


def _samples(every: bool) -> list[Row]:
    """Samples of our op records, forward, and with gradients where they have them.

    Of each op the first, and the first that has gradients; or every one.
    """
    import pyautodl  # noqa: F401 (fills the table of ops)
    from pyautodl.ops.record import OPS

    rows = []
    for name, op in sorted(OPS.items()):
        seen = set()
        for i, sample in enumerate(op.samples() if op.samples is not None else ()):
            # a fused gradient is timed with its op
            differentiable = op.vjp is not None and op.gradient_of is None
            ways = (False, True) if sample.gradient and differentiable else (False,)
            for backward in ways:
                if backward in seen and not every:
                    continue
                seen.add(backward)
                title = f"{name} {i} {'forward+backward' if backward else 'forward'}"
                rows.append(Row(Facts(title), partial(Sample, name, i, backward)))
    return rows


# ---- one thing that grows ----

# what grows -> the sizes; the others stay at what stands in _FIXED
SCALES = {
    "batch": (1, 2, 4, 8, 16, 32, 64),
    "size": (14, 28, 56, 112, 224),
    "channels": (16, 32, 64, 128, 256),
}
_FIXED = {"batch": 8, "size": 28, "channels": 64}


def _scaling() -> list[Row]:
    """A 3x3 convolution with gradients, and the network of the digits."""
    rows = []
    for what, values in SCALES.items():
        for value in values:
            numbers = {**_FIXED, what: value}
            channels, size, batch = (
                numbers[each] for each in ("channels", "size", "batch")
            )
            layer = _convolution(channels, channels, 3, size, batch)[1]
            facts = replace(layer.facts, name=f"conv 3x3 {what} {value}")
            rows.append(Row(facts, layer.work))
    for n in SCALES["batch"]:
        rows.append(_step(f"CNN step batch {n}", networks.cnn, (n, 1, 28, 28), (n, 10)))
    return rows


def _scratch() -> list[Row]:
    """Convolutions forward, small first; `bytes` is what the output takes."""
    rows = []
    for batch, size in ((1, 56), (16, 56), (64, 56), (1, 224), (4, 448)):
        layer = _convolution(32, 32, 3, size, batch)[0]
        facts = replace(
            layer.facts,
            name=f"scratch of conv 3x3 32 {size}² N{batch}",
            bytes=4.0 * batch * 32 * size * size,
        )
        rows.append(Row(facts, layer.work))
    return rows


SUITES: dict[str, Callable[[], list[Row]]] = {
    "first": _first,
    "gemm": _products,
    "inference": _inference,
    "layers": _layers,
    "ops": _functions,
    "samples": partial(_samples, every=False),
    "all samples": partial(_samples, every=True),
    "bandwidth": partial(streams.rows, "float32"),
    "bandwidth float64": partial(streams.rows, "float64"),
    "scaling": _scaling,
    "scratch": _scratch,
    "steps": _steps,
}


@cache
def rows_of(suite: str) -> dict[str, Row]:
    """The rows of a suite by their names."""
    return {row.facts.name: row for row in SUITES[suite]()}
