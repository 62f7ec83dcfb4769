"""The model file of the demo: weights, and one metadata entry with all to rebuild it."""

from __future__ import annotations

import json
import os
from typing import Any

from pyautodl import models, nn
from pyautodl.data import Normalizer
from pyautodl.errors import CheckpointError
from pyautodl.serialization import load, read_metadata, save_tensors

__all__ = ["load_model", "save_model"]

_ENTRY = "pyautodl.model"


def save_model(
    path: str | os.PathLike[str],
    model: nn.Module,
    arguments: dict[str, Any],
    normalizer: Normalizer,
    classes: list[str],
) -> None:
    """Write the weights and how the model was made.

    Raises:
        OSError: the file can't be written.
    """
    entry = {
        "architecture": type(model).__name__,
        "arguments": arguments,
        "classes": classes,
        "normalization": normalizer.state_dict(),
    }
    save_tensors(dict(model.state_dict()), path, {_ENTRY: json.dumps(entry)})


def load_model(
    path: str | os.PathLike[str],
) -> tuple[nn.Module, Normalizer, list[str]]:
    """Rebuild a model, its normalisation and the names of its classes.

    Raises:
        FileNotFoundError: there is no such file.
        CheckpointError: it is damaged or no model file of the demo.
    """
    metadata = read_metadata(path)
    if _ENTRY not in metadata:
        raise CheckpointError(
            f"{os.fspath(path)!r} holds no description of its model; expected the "
            "model.safetensors that `pyautodl demo` writes"
        )
    try:
        entry = json.loads(metadata[_ENTRY])
        model = getattr(models, entry["architecture"])(**entry["arguments"])
        normalizer = Normalizer()
        normalizer.load_state_dict(entry["normalization"])
        classes = list(entry["classes"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CheckpointError(
            f"the description of the model in {os.fspath(path)!r} is damaged ({error})"
        ) from error
    model.load_state_dict(load(path))
    return model.eval(), normalizer, classes
