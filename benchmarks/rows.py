"""The rows: what is measured, as calls of ours and of a peer on the same numbers.

A row's `make(library)` returns a call and a function that gives its last result as a
NumPy array, so that results are compared before times are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks import networks

__all__ = ["SUITES", "Library", "Row"]

Measured = tuple[Callable[[], object], Callable[[], np.ndarray]]


@dataclass(frozen=True)
class Library:
    """A library with PyTorch's names: ours or PyTorch itself."""

    name: str
    root: Any
    nn: Any
    functional: Any
    optim: Any

    def tensor(self, array: np.ndarray) -> Any:
        """A tensor of its own memory."""
        return self.root.tensor(array)


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    name: str
    make: Callable[[Library], Measured]
    peers: tuple[str, ...] = ("torch",)
    # how far results may differ, relative to the largest
    tolerance: float = 1e-3
    # floating operations of a call, where that is a simple number
    flops: float = 0.0


def _random(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def _weights(library: Library, model: Any) -> Any:
    """The same weights in every library: He's, drawn by NumPy from a fixed seed."""
    rng = np.random.default_rng(0)
    state = {}
    for key, value in model.state_dict().items():
        shape = tuple(value.shape)
        if "num_batches_tracked" in key:
            state[key] = value
        elif key.endswith("running_var") or (
            len(shape) == 1 and key.endswith("weight")
        ):
            state[key] = library.tensor(np.ones(shape, np.float32))
        elif len(shape) == 1:
            state[key] = library.tensor(np.zeros(shape, np.float32))
        else:
            scale = np.sqrt(2 / np.prod(shape[1:]))
            values = rng.standard_normal(shape) * scale
            state[key] = library.tensor(values.astype(np.float32))
    model.load_state_dict(state)
    return model


def _step(
    build: Callable[[Library], Any],
    x: np.ndarray,
    target: np.ndarray | None,
) -> Callable[[Library], Measured]:
    """A training step: zero_grad, forward, loss, backward, SGD with momentum."""

    def make(library: Library) -> Measured:
        model = _weights(library, build(library))
        optimizer = library.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
        inputs = library.tensor(x)
        wanted = inputs if target is None else library.tensor(target)
        F = library.functional
        loss_function = F.mse_loss if target is None else F.cross_entropy
        losses: list[float] = []

        def step() -> None:
            optimizer.zero_grad()
            loss = loss_function(model(inputs), wanted)
            loss.backward()
            optimizer.step()
            if len(losses) < 3:
                losses.append(loss.item())

        return step, lambda: np.array(losses)

    return make


def _inference(
    build: Callable[[Library], Any], x: np.ndarray
) -> Callable[[Library], Measured]:
    def make(library: Library) -> Measured:
        model = _weights(library, build(library)).eval()
        inputs = library.tensor(x)
        last: list[Any] = [None]

        def infer() -> None:
            with library.root.no_grad():
                last[0] = model(inputs)

        return infer, lambda: np.asarray(last[0].numpy())

    return make


def _classes(seed: int, n: int, classes: int, *rest: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, classes, (n, *rest))


def _product(n: int) -> Callable[[Any], Measured]:
    a, b = _random(1, n, n), _random(2, n, n)

    def make(library: Any) -> Measured:
        x, y = (a, b) if library is np else (library.tensor(a), library.tensor(b))
        last: list[Any] = [None]

        def plain() -> None:
            last[0] = x @ y

        def recorded_off() -> None:
            with library.root.no_grad():
                last[0] = x @ y

        call = plain if library is np else recorded_off
        return call, lambda: np.asarray(last[0] if library is np else last[0].numpy())

    return make


def _mlp_rows() -> list[Row]:
    return [
        Row(
            f"MLP B{n}",
            _step(
                lambda lib: networks.mlp(lib.nn), _random(1, n, 784), _classes(2, n, 10)
            ),
        )
        for n in (1, 32, 256)
    ]


def _cnn_rows() -> list[Row]:
    return [
        Row(
            f"CNN B{n}",
            _step(
                lambda lib: networks.cnn(lib.nn),
                _random(1, n, 1, 28, 28),
                _classes(2, n, 10),
            ),
        )
        for n in (1, 32, 128)
    ]


def _lstm_rows() -> list[Row]:
    return [
        Row(
            f"LSTM B{n} T{t}",
            _step(
                lambda lib: networks.lstm(lib.nn),
                _random(1, n, t, 64),
                _classes(2, n, 10),
            ),
        )
        for n, t in ((1, 50), (32, 50), (64, 100))
    ]


def _large_rows() -> list[Row]:
    def unet(lib: Library) -> Any:
        return networks.unet(lib.nn, lib.root.cat)

    return [
        Row(
            "AE B128",
            _step(lambda lib: networks.autoencoder(lib.nn), _random(1, 128, 784), None),
        ),
        Row(
            "ResNet-18 32² B32",
            _step(
                lambda lib: networks.resnet18(lib.nn, True),
                _random(1, 32, 3, 32, 32),
                _classes(2, 32, 10),
            ),
        ),
        Row(
            "ResNet-18 224² B8",
            _step(
                lambda lib: networks.resnet18(lib.nn, False),
                _random(1, 8, 3, 224, 224),
                _classes(2, 8, 1000),
            ),
        ),
        Row(
            "VGG-11 32² B32",
            _step(
                lambda lib: networks.vgg11(lib.nn),
                _random(1, 32, 3, 32, 32),
                _classes(2, 32, 10),
            ),
        ),
        Row(
            "U-Net 128² B4",
            _step(unet, _random(1, 4, 1, 128, 128), _classes(2, 4, 2, 128, 128)),
        ),
        Row(
            "inference ResNet-18 224² B1",
            _inference(
                lambda lib: networks.resnet18(lib.nn, False), _random(1, 1, 3, 224, 224)
            ),
        ),
        Row(
            "inference depthwise 224² B1",
            _inference(
                lambda lib: networks.depthwise(lib.nn), _random(1, 1, 3, 224, 224)
            ),
        ),
    ]


def _gemm_rows() -> list[Row]:
    return [
        Row(f"GEMM {n}³", _product(n), ("numpy", "torch"), 1e-4, 2.0 * n**3)
        for n in (64, 128, 256, 512, 1024, 2048)
    ]


SUITES: dict[str, Callable[[], list[Row]]] = {
    "gemm": _gemm_rows,
    "first": lambda: [
        *_gemm_rows(),
        *_mlp_rows()[:2],
        *_cnn_rows()[1:],
        _lstm_rows()[1],
    ],
    "steps": lambda: [*_mlp_rows(), *_cnn_rows(), *_lstm_rows(), *_large_rows()],
}
