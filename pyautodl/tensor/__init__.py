"""`Tensor`, and `apply`, the one way from a tensor to an op.

The functions of `functional` register themselves as methods (`method`), so that each
function stands in one place and the class stays small.
"""

from pyautodl.tensor.calls import *
from pyautodl.tensor.core import *
from pyautodl.tensor.explain import *
from pyautodl.tensor.in_place import *
from pyautodl.tensor.promotion import *
from pyautodl.tensor.properties import (
    Size,
    device,
    get_default_dtype,
    set_default_dtype,
)

# old pickles look for _unpickle here
from pyautodl.tensor.protocols import BOUND, _unpickle
