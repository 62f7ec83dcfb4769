"""The documented functions, a file for each family of ops."""

from types import ModuleType as _ModuleType

from pyautodl.functional.attention import *
from pyautodl.functional.complex_tensor import *
from pyautodl.functional.conv import *
from pyautodl.functional.copy import *
from pyautodl.functional.creation import *
from pyautodl.functional.derived import *
from pyautodl.functional.draws import *
from pyautodl.functional.dropout import *
from pyautodl.functional.eltwise import *
from pyautodl.functional.embedding_bag import *
from pyautodl.functional.explain_conv import *
from pyautodl.functional.grid_sample import *
from pyautodl.functional.grids import *
from pyautodl.functional.gumbel import *
from pyautodl.functional.index import *
from pyautodl.functional.interpolate import *
from pyautodl.functional.kinds import *
from pyautodl.functional.limits import *
from pyautodl.functional.linalg import *
from pyautodl.functional.loss import *
from pyautodl.functional.lp_pool import *
from pyautodl.functional.matmul import *
from pyautodl.functional.max_unpool import *
from pyautodl.functional.norm import *
from pyautodl.functional.number_parts import *
from pyautodl.functional.pool import *
from pyautodl.functional.random import *
from pyautodl.functional.reduce import *
from pyautodl.functional.rnn import *
from pyautodl.functional.rrelu import *
from pyautodl.functional.running import *
from pyautodl.functional.signs import *
from pyautodl.functional.softmax import *
from pyautodl.functional.sort import *
from pyautodl.functional.sparse_matrix import *
from pyautodl.functional.statistics import *
from pyautodl.functional.stft import *
from pyautodl.functional.typed import *
from pyautodl.functional.ufuncs import *
from pyautodl.functional.unique import *
from pyautodl.functional.views import *
from pyautodl.functional.windows import *
from pyautodl.functional.with_part import *

# a function may bear the name of another family (norm): the order above, by name, leaves
# the function in the package's namespace
__all__ = [
    name
    for name, value in tuple(globals().items())
    if not name.startswith("_") and not isinstance(value, _ModuleType)
]
