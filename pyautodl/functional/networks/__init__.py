"""The functions that networks are made of, a file for each family."""

from types import ModuleType as _ModuleType

from pyautodl.functional.networks.attention import *
from pyautodl.functional.networks.conv import *
from pyautodl.functional.networks.dropout import *
from pyautodl.functional.networks.embedding_bag import *
from pyautodl.functional.networks.explain_conv import *
from pyautodl.functional.networks.grid_sample import *
from pyautodl.functional.networks.gumbel import *
from pyautodl.functional.networks.interpolate import *
from pyautodl.functional.networks.loss import *
from pyautodl.functional.networks.lp_pool import *
from pyautodl.functional.networks.max_unpool import *
from pyautodl.functional.networks.norm import *
from pyautodl.functional.networks.pool import *
from pyautodl.functional.networks.rnn import *
from pyautodl.functional.networks.rrelu import *

# as in the package above: a function may bear the name of its family (dropout)
__all__ = [
    name
    for name, value in tuple(globals().items())
    if not name.startswith("_") and not isinstance(value, _ModuleType)
]
