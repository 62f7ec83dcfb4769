"""Optimizers, and schedules of their step sizes."""

from pyautodl.optim import lr_scheduler
from pyautodl.optim.adadelta import Adadelta
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
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "NAdam",
    "Optimizer",
    "RAdam",
    "RMSprop",
    "Rprop",
    "lr_scheduler",
    "no_decay_groups",
]
