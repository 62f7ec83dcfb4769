"""Functions of each element: arithmetic, comparisons, mathematics, activations."""

from pyautodl.functional.eltwise import (
    activation,
    arithmetic,
    compare,
    special,
    unary,
)
from pyautodl.functional.eltwise.activation import *
from pyautodl.functional.eltwise.arithmetic import *
from pyautodl.functional.eltwise.compare import *
from pyautodl.functional.eltwise.special import *
from pyautodl.functional.eltwise.unary import *

# the activations that stand in torch itself; the others are in nn.functional alone
_TOP = {"celu", "celu_", "prelu", "relu", "relu_", "selu", "selu_", "threshold"}
_TOP |= {"hardshrink", "threshold_"}

__all__ = [
    *(name for name in activation.__all__ if name in _TOP),
    *arithmetic.__all__,
    *compare.__all__,
    *(name for name in special.__all__ if name not in special.ELSEWHERE),
    *unary.__all__,
]
