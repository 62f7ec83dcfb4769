"""The first steps of each demo on the compiled kernels and on their NumPy reference."""

from __future__ import annotations

import argparse

import numpy as np
import pytest

import pyautodl as ad
from pyautodl.cli import demo
from pyautodl.train import Callback, Trainer

STEPS = 20


class Enough(Exception):
    """Ends the training of a demo."""


class Losses(Callback):
    """Notes the loss of each step, and ends the training after some."""

    def __init__(self) -> None:
        self.values: list[float] = []

    def on_batch_end(self, trainer: Trainer, loss: float) -> None:
        self.values.append(loss)
        if len(self.values) == STEPS:
            raise Enough


def first_losses(name: str, backend: str, monkeypatch, tmp_path) -> np.ndarray:
    losses = Losses()

    class Watched(Trainer):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, callbacks=[losses], **kwargs)

    monkeypatch.setattr(demo, "Trainer", Watched)
    options = argparse.Namespace(
        name=name, out=tmp_path, epochs=None, seed=0, threads=None, quiet=True
    )
    with ad.use_backend(backend), pytest.raises(Enough):
        demo.run(options)
    return np.array(losses.values)


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize(("dtype", "allowed"), [("float32", 1e-4), ("float64", 1e-10)])
@pytest.mark.parametrize("name", sorted(demo.RECIPES))
def test_first_losses_are_those_of_the_reference(
    name, dtype, allowed, monkeypatch, tmp_path
):
    before = ad.get_default_dtype()
    ad.set_default_dtype(getattr(ad, dtype))
    try:
        found = first_losses(name, "native", monkeypatch, tmp_path)
        wanted = first_losses(name, "reference", monkeypatch, tmp_path)
    finally:
        ad.set_default_dtype(before)
    assert len(found) == STEPS
    np.testing.assert_allclose(found, wanted, rtol=allowed, atol=0)
