"""Functions that read and write at places named by indices or masks, and x[...]."""

from pyautodl.functional.index import (
    along_axis,
    brackets,
    gather_scatter,
    masks,
    tables,
)
from pyautodl.functional.index.along_axis import *
from pyautodl.functional.index.brackets import *
from pyautodl.functional.index.gather_scatter import *
from pyautodl.functional.index.masks import *
from pyautodl.functional.index.tables import *

# embedding and one_hot stand in nn.functional, not in torch itself
__all__ = [
    *along_axis.__all__,
    *brackets.__all__,
    *gather_scatter.__all__,
    *masks.__all__,
    *(name for name in tables.__all__ if name == "bincount"),
]
