"""Optimizers, and schedules of their step sizes."""

import importlib
from typing import Any

from pyautodl._loading import load_named
from pyautodl.optim import lr_scheduler
from pyautodl.optim.adadelta import Adadelta
from pyautodl.optim.adafactor import Adafactor
from pyautodl.optim.adam import Adam, AdamW
from pyautodl.optim.adam_variants import Adamax, NAdam, RAdam
from pyautodl.optim.adaptive import Adagrad, RMSprop
from pyautodl.optim.asgd import ASGD
from pyautodl.optim.groups import no_decay_groups
from pyautodl.optim.lbfgs import LBFGS
from pyautodl.optim.optimizer import Optimizer
from pyautodl.optim.rprop import Rprop
from pyautodl.optim.sgd import SGD

__all__ = [
    "ASGD",
    "LBFGS",
    "SGD",
    "Adadelta",
    "Adafactor",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Muon",
    "NAdam",
    "Optimizer",
    "RAdam",
    "RMSprop",
    "Rprop",
    "SparseAdam",
    "lr_scheduler",
    "no_decay_groups",
    "swa_utils",
]


# imported when they are first used, so that `import pyautodl.optim` stays fast
_LATER = {"Muon": "pyautodl.optim.muon", "SparseAdam": "pyautodl.optim.sparse_adam"}


def __getattr__(name: str) -> Any:
    # it needs layers, which optimizers do not
    if name == "swa_utils":
        return importlib.import_module("pyautodl.optim.swa_utils")
    return load_named(globals(), name, _LATER)
