"""`pyautodl demo`: networks trained on real handwritten digits."""

from __future__ import annotations

import argparse
import hashlib
import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyautodl as ad
from pyautodl import models, nn, plot
from pyautodl._files import atomic_write
from pyautodl.backends import native
from pyautodl.cli.model_file import save_model
from pyautodl.data import (
    Normalizer,
    RandomShift,
    TensorDataset,
    load_digits,
    train_validation_test_split,
)
from pyautodl.functional.creation import tensor
from pyautodl.optim.lr_scheduler import OneCycleLR
from pyautodl.tensor import Tensor
from pyautodl.train import Trainer, psnr

__all__ = ["default_folder", "run", "weights_sha256"]

CLASSES = [str(digit) for digit in range(10)]
VALIDATION, TEST = 50, 100  # a class
NOISE = 0.4
# the exit code of what Ctrl-C has ended
STOPPED = 130


@dataclass(frozen=True)
class Recipe:
    """How a demo trains: the network, its arguments and the schedule."""

    architecture: Callable[..., nn.Module]
    arguments: dict[str, Any]
    epochs: int
    batch_size: int
    max_lr: float
    max_shift: int
    weight_decay: float = 0.0


RECIPES = {
    "cnn": Recipe(
        models.LeNet,
        {"hidden": 256, "dropout": 0.3},
        epochs=12,
        batch_size=50,
        max_lr=5e-3,
        max_shift=2,
    ),
    "lstm": Recipe(
        models.LSTMClassifier,
        {"input_size": 28, "num_classes": 10, "hidden_size": 128, "dropout": 0.2},
        epochs=20,
        batch_size=50,
        max_lr=6e-3,
        max_shift=1,
    ),
    "autoencoder": Recipe(
        models.ConvAutoencoder, {}, epochs=6, batch_size=50, max_lr=4e-3, max_shift=0
    ),
}


class Folder:
    """Where a demo writes, and what it has written there.

    Args:
        path: the folder; made if it is absent.

    Raises:
        OSError: nothing can be written there; said before anything is trained.
    """

    def __init__(self, path: Path) -> None:
        try:
            path.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=path):
                pass
        except OSError as error:
            raise OSError(
                f"demo: can't write into the folder {str(path)!r} ({error.strerror}); choose "
                "another by --out"
            ) from error
        self.path = path
        self.written: list[str] = []

    def write(self, name: str, save: Callable[[Path], object]) -> None:
        """Write a file by `save(its path)`."""
        save(self.path / name)
        self.written.append(name)

    def __str__(self) -> str:
        return f"{', '.join(sorted(self.written)) or 'nothing'} in {self.path}"


def run(options: argparse.Namespace) -> int:
    """Train the chosen network, show how it does, and write the results."""
    if options.threads is not None:
        ad.set_num_threads(options.threads)
    recipe = RECIPES[options.name]
    if options.epochs is not None and options.epochs < 1:
        raise ValueError(f"demo: epochs must be >= 1, got {options.epochs}")
    out = Folder(options.out or default_folder(options.name))
    try:
        _train(recipe, options, out)
    except KeyboardInterrupt:
        print(f"\nstopped; written: {out}")
        return STOPPED
    print(f"written: {out}")
    if "digit.png" in out.written:
        model, digit = out.path / "model.safetensors", out.path / "digit.png"
        print(f"try: pyautodl predict {model} {digit}")
    return 0


def default_folder(name: str) -> Path:
    """The folder of a demo: each has its own."""
    return Path("pyautodl-demo" if name == "cnn" else f"pyautodl-demo-{name}")


def _train(recipe: Recipe, options: argparse.Namespace, out: Folder) -> None:
    epochs = options.epochs or recipe.epochs
    if not plot.available():
        print(
            "matplotlib is not installed, so no pictures: pip install 'pyautodl[plot]'"
        )
    if options.name == "autoencoder":
        report = _denoise(recipe, epochs, options, out)
    else:
        report = _classify(recipe, epochs, options, out)
    text = json.dumps(report, indent=2) + "\n"
    out.write("report.json", lambda path: atomic_write(path, text.encode()))


def weights_sha256(model: nn.Module) -> str:
    """A fingerprint of the state_dict in order: key, dtype, shape, C-order bytes.

    Example:
        >>> from pyautodl import nn
        >>> from pyautodl.cli.demo import weights_sha256
        >>> len(weights_sha256(nn.Linear(2, 2)))
        64
    """
    digest = hashlib.sha256()
    for key, value in model.state_dict().items():
        head = f"{key} {value.dtype.name} {tuple(value.shape)} "
        digest.update(head.encode())
        digest.update(value.detach().numpy().tobytes("C"))
    return digest.hexdigest()


def _report(
    model: nn.Module, seconds: float, seed: int, **figures: float
) -> dict[str, Any]:
    return {
        **figures,
        "seconds": round(seconds, 3),
        "seed": seed,
        "isa": native.current_isa() if native.available else None,
        "threads": native.get_num_threads() if native.available else 1,
        "parameters": sum(p.numel() for p in model.parameters()),
        "weights_sha256": weights_sha256(model),
    }


def _split_digits(seed: int) -> tuple[TensorDataset, TensorDataset, TensorDataset]:
    """The digits' training, validation and test part."""
    return train_validation_test_split(
        *load_digits(), validation=VALIDATION, test=TEST, seed=seed
    )


def _digits(seed: int) -> tuple[list[TensorDataset], Normalizer]:
    """The three parts, normalised by the training part."""
    parts = _split_digits(seed)
    normalizer = Normalizer().fit(parts[0].tensors[0])
    datasets = []
    for part in parts:
        x, y = part.tensors
        datasets.append(TensorDataset(normalizer(x), y))
    return datasets, normalizer


class _Rows(nn.Module):
    """Reads an image row by row: (n, 1, h, w) -> (n, h, w) for the network below."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        return self.network(x.squeeze(1))


def _trainer(
    model: nn.Module, recipe: Recipe, loss: str, metric: str, steps: int, seed: int
) -> tuple[Trainer, OneCycleLR]:
    groups = ad.optim.no_decay_groups(model, recipe.weight_decay)
    optimizer = ad.optim.AdamW(groups, lr=recipe.max_lr)
    schedule = OneCycleLR(optimizer, max_lr=recipe.max_lr, total_steps=steps)
    return Trainer(model, loss, optimizer, metrics=[metric], seed=seed), schedule


def _classify(
    recipe: Recipe, epochs: int, options: argparse.Namespace, out: Folder
) -> dict[str, Any]:
    rows = options.name == "lstm"
    ad.manual_seed(options.seed)
    (train, validation, test), normalizer = _digits(options.seed)
    network = recipe.architecture(**recipe.arguments)
    model = _Rows(network) if rows else network
    steps = epochs * -(-len(train) // recipe.batch_size)
    trainer, schedule = _trainer(
        model, recipe, "cross_entropy", "accuracy", steps, options.seed
    )
    background = float(normalizer(ad.zeros(1)).item())
    began = time.perf_counter()
    trainer.fit(
        train,
        validation,
        epochs,
        batch_size=recipe.batch_size,
        transform=RandomShift(recipe.max_shift, background),
        scheduler=schedule,
        progress=not options.quiet,
    )
    logits = trainer.predict(test.tensors[0])
    seconds = time.perf_counter() - began
    found, truth = logits.argmax(1).tolist(), test.tensors[1].tolist()
    right = sum(a == b for a, b in zip(found, truth, strict=True)) / len(truth)
    print(f"test accuracy {right:.1%} on {len(truth)} digits, {seconds:.1f} s")
    out.write(
        "model.safetensors",
        lambda path: save_model(path, network, recipe.arguments, normalizer, CLASSES),
    )
    if plot.available():
        images = normalizer.inverse(test.tensors[0])
        out.write("digit.png", lambda path: _save_digit(images[0, 0], path))
        _draw_classes(out, trainer, images, logits, found, truth, right)
    return _report(network, seconds, options.seed, test_accuracy=right)


def _save_digit(pixels: Tensor, path: Path) -> None:
    # matplotlib comes with it
    from PIL import Image

    Image.fromarray(pixels.round().clamp(0, 255).to(ad.uint8).numpy()).save(path)


def _draw_classes(
    out: Folder,
    trainer: Trainer,
    images: Tensor,
    logits: Tensor,
    found: list[int],
    truth: list[int],
    right: float,
) -> None:
    out.write("curves.png", trainer.history.plot)
    counts = [[0] * len(CLASSES) for _ in CLASSES]
    for a, b in zip(truth, found, strict=True):
        counts[a][b] += 1
    title = f"{len(truth)} test digits, {right:.1%} right"
    out.write(
        "confusion.png",
        lambda path: plot.confusion_matrix(counts, CLASSES, path, title),
    )
    wrong = [i for i, (a, b) in enumerate(zip(truth, found, strict=True)) if a != b]
    shares = logits.softmax(1).amax(1).tolist()
    worst = sorted(wrong, key=lambda i: -shares[i])[:24]
    shown = worst or list(range(min(24, len(truth))))
    rows = [
        images.index_select(0, tensor(shown[i : i + 8]))
        for i in range(0, len(shown), 8)
    ]
    titles = [f"{truth[i]} read as {found[i]}" for i in shown]
    above = f"mistakes: {len(wrong)} of {len(truth)}, the surest first"
    if len(shown) < len(wrong):
        above += f" {len(shown)}"
    if not wrong:
        above = "no mistakes; some of the digits"
    out.write(
        "mistakes.png",
        lambda path: plot.image_grid(
            rows, path, titles=titles, title=above, limits=(0, 255)
        ),
    )


def add_noise(
    batch: Any, *, samples: Tensor, epoch: int, seed: int
) -> tuple[Tensor, Tensor]:
    """Add noise to clean images, which stay the target; of its own to each image, by epoch.

    GaussianNoise does the same in float32 whatever the default type is.
    """
    clean = batch[-1]
    generator = ad.Generator().manual_seed(seed)
    first = _NOISE_STREAM + epoch * _SAMPLES_AT_MOST
    noise = ad.stack(
        [
            ad.randn(clean.shape[1:], generator=generator.set_stream(first + number))
            for number in samples.tolist()
        ]
    )
    return (clean + noise * NOISE).clamp(0, 1), clean


# streams of noise, apart from those that shuffle and shift; one for each epoch and
# image
_NOISE_STREAM = 1 << 42
_SAMPLES_AT_MOST = 1 << 20


def _noisy(clean: Tensor, seed: int) -> Tensor:
    generator = ad.Generator().manual_seed(seed).set_stream(_NOISE_STREAM - 1)
    return (clean + ad.randn(clean.shape, generator=generator) * NOISE).clamp(0, 1)


def _denoise(
    recipe: Recipe, epochs: int, options: argparse.Namespace, out: Folder
) -> dict[str, Any]:
    ad.manual_seed(options.seed)
    parts = _split_digits(options.seed)
    train, validation, test = (part.tensors[0].float() / 255 for part in parts)
    model = recipe.architecture(**recipe.arguments)
    steps = epochs * -(-len(train) // recipe.batch_size)
    trainer, schedule = _trainer(
        model, recipe, "mean_squared_error", "psnr", steps, options.seed
    )
    began = time.perf_counter()
    trainer.fit(
        (train, train),
        (_noisy(validation, options.seed + 1), validation),
        epochs,
        batch_size=recipe.batch_size,
        transform=add_noise,
        scheduler=schedule,
        progress=not options.quiet,
    )
    noisy = _noisy(test, options.seed)
    clean = trainer.predict(noisy)
    seconds = time.perf_counter() - began
    before, after = psnr(noisy, test), psnr(clean, test)
    print(
        f"test PSNR {after:.1f} dB, {after - before:.1f} dB above the noisy input, "
        f"{seconds:.1f} s"
    )
    scale = Normalizer()
    scale.load_state_dict({"dim": None, "mean": 0.0, "std": 255.0})
    out.write(
        "model.safetensors",
        lambda path: save_model(path, model, recipe.arguments, scale, []),
    )
    if plot.available():
        out.write("curves.png", trainer.history.plot)
        titles = [f"noisy {before:.1f} dB", f"denoised {after:.1f} dB", "original"]
        _draw_rows(out, [noisy, clean, test], titles)
    return _report(
        model,
        seconds,
        options.seed,
        test_psnr=after,
        noisy_psnr=before,
        gain=after - before,
    )


def _draw_rows(out: Folder, images: list[Tensor], titles: list[str]) -> None:
    out.write(
        "reconstructions.png",
        lambda path: plot.image_grid(
            [row[:10] for row in images],
            path,
            row_titles=titles,
            title="test digits",
            limits=(0, 1),
        ),
    )
