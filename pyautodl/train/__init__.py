"""Training: the trainer, its history, callbacks, metrics, pretraining."""

from pyautodl.train.callbacks import Callback, Checkpoint, EarlyStopping, Schedule
from pyautodl.train.checks import LOSSES
from pyautodl.train.history import History
from pyautodl.train.metrics import (
    METRICS,
    accuracy,
    mean_absolute_error,
    mean_squared_error,
    psnr,
)
from pyautodl.train.pretrain import pretrain_layerwise
from pyautodl.train.trainer import Trainer
