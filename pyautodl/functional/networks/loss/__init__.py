"""Losses.

None of them broadcasts its input against its target: shapes must agree, and the error
names both. `reduction` is 'mean', 'sum' or 'none' everywhere.
"""

from pyautodl.functional.networks.loss.binary import *
from pyautodl.functional.networks.loss.classes import (
    categorical_cross_entropy,
    cross_entropy,
    nll_loss,
)
from pyautodl.functional.networks.loss.ctc import ctc_loss
from pyautodl.functional.networks.loss.dice import log_dice_loss
from pyautodl.functional.networks.loss.distributions import *
from pyautodl.functional.networks.loss.margins import *
from pyautodl.functional.networks.loss.regression import *

# the others stand in nn.functional alone, as in PyTorch
__all__ = ["categorical_cross_entropy", "log_dice_loss"]
