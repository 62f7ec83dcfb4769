"""Neural networks: modules, containers, initialisation, functions on tensors."""

import sys
from typing import TYPE_CHECKING, Any

from pyautodl._loading import load_named
from pyautodl.nn import functional, init, utils
from pyautodl.nn.activation import *
from pyautodl.nn.attention import *
from pyautodl.nn.container import *
from pyautodl.nn.conv import *
from pyautodl.nn.dropout import *
from pyautodl.nn.embedding import *
from pyautodl.nn.embedding_bag import *
from pyautodl.nn.flatten import *
from pyautodl.nn.fold import *
from pyautodl.nn.interpolate import *
from pyautodl.nn.lazy import *
from pyautodl.nn.linear import *
from pyautodl.nn.loss import *
from pyautodl.nn.lp_pool import *
from pyautodl.nn.max_unpool import *
from pyautodl.nn.module import *
from pyautodl.nn.norm import *
from pyautodl.nn.padding import *
from pyautodl.nn.parameter import *
from pyautodl.nn.pool import *
from pyautodl.nn.reduce import *
from pyautodl.nn.rnn import *
from pyautodl.nn.sequence import *
from pyautodl.nn.softmax import *
from pyautodl.nn.transformer import *

if TYPE_CHECKING:
    from pyautodl.nn.adaptive import *
    from pyautodl.nn.fractional_max_pool import *

_FAMILIES = (
    "module",
    "parameter",
    "container",
    "activation",
    "attention",
    "conv",
    "dropout",
    "embedding",
    "embedding_bag",
    "flatten",
    "fold",
    "interpolate",
    "lazy",
    "linear",
    "loss",
    "norm",
    "padding",
    "pool",
    "lp_pool",
    "max_unpool",
    "reduce",
    "rnn",
    "sequence",
    "softmax",
    "transformer",
)

# imported when they are first used, so that `import pyautodl.nn` stays fast
_LATER = {
    "AdaptiveLogSoftmaxWithLoss": "pyautodl.nn.adaptive",
    "FractionalMaxPool2d": "pyautodl.nn.fractional_max_pool",
    "FractionalMaxPool3d": "pyautodl.nn.fractional_max_pool",
}

__all__ = ["functional", "init", "utils"]
for _family in _FAMILIES:
    __all__ += sys.modules[f"pyautodl.nn.{_family}"].__all__
__all__ += _LATER


if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        return load_named(globals(), name, _LATER)


def __dir__() -> list[str]:
    return sorted({*globals(), *_LATER})
