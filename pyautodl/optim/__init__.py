"""Optimizers, and schedules of their step sizes."""

from pyautodl.optim import lr_scheduler
from pyautodl.optim.adam import Adam, AdamW
from pyautodl.optim.adaptive import Adagrad, RMSprop
from pyautodl.optim.groups import no_decay_groups
from pyautodl.optim.optimizer import Optimizer
from pyautodl.optim.sgd import SGD

__all__ = [
    "SGD",
    "Adagrad",
    "Adam",
    "AdamW",
    "Optimizer",
    "RMSprop",
    "lr_scheduler",
    "no_decay_groups",
]
