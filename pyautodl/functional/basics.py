"""The functions that tensors have as methods, and their like."""

from types import ModuleType as _ModuleType

from pyautodl.functional.complex_tensor import *
from pyautodl.functional.copy import *
from pyautodl.functional.creation import *
from pyautodl.functional.derived import *
from pyautodl.functional.draws import *
from pyautodl.functional.eltwise import *
from pyautodl.functional.grids import *
from pyautodl.functional.index import *
from pyautodl.functional.kinds import *
from pyautodl.functional.limits import *
from pyautodl.functional.linalg import *
from pyautodl.functional.matmul import *
from pyautodl.functional.number_parts import *
from pyautodl.functional.random import *
from pyautodl.functional.reduce import *
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
