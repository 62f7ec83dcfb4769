"""Schedules of the step size.

A schedule is a pure function `lr_at(step)` of the number of steps done. What it sets
does not depend on how it came there, so a run that is resumed at step k goes on as one
that was never interrupted. The step size of step 0 is the optimizer's own, unless the
schedule says otherwise (LinearLR, ConstantLR, the cycles).

Several schedules of one optimizer, stepped one after the other, multiply.
"""

from pyautodl.optim.lr_scheduler.cosine import (
    CosineAnnealingLR,
    CosineAnnealingWarmRestarts,
)
from pyautodl.optim.lr_scheduler.cycles import CyclicLR, OneCycleLR
from pyautodl.optim.lr_scheduler.factors import (
    ConstantLR,
    ExponentialLR,
    LambdaLR,
    LinearLR,
    MultiplicativeLR,
    MultiStepLR,
    PolynomialLR,
    StepLR,
)
from pyautodl.optim.lr_scheduler.joined import ChainedScheduler, SequentialLR
from pyautodl.optim.lr_scheduler.plateau import ReduceLROnPlateau
from pyautodl.optim.lr_scheduler.scheduler import LRScheduler

# the name it had before PyTorch 2
_LRScheduler = LRScheduler

__all__ = [
    "ChainedScheduler",
    "ConstantLR",
    "CosineAnnealingLR",
    "CosineAnnealingWarmRestarts",
    "CyclicLR",
    "ExponentialLR",
    "LRScheduler",
    "LambdaLR",
    "LinearLR",
    "MultiStepLR",
    "MultiplicativeLR",
    "OneCycleLR",
    "PolynomialLR",
    "ReduceLROnPlateau",
    "SequentialLR",
    "StepLR",
]
