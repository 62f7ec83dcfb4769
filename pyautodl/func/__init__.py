"""Functions of functions, as PyTorch's `func`: derivatives, maps over a batch, and modules
as functions of their parameters.
"""

from pyautodl.func.batching import vmap
from pyautodl.func.derivatives import (
    grad,
    grad_and_value,
    hessian,
    jacfwd,
    jacrev,
    jvp,
    linearize,
    vjp,
)
from pyautodl.func.modules import (
    replace_all_batch_norm_modules_,
    stack_module_state,
)
from pyautodl.nn.utils.stateless import functional_call

__all__ = [
    "functional_call",
    "grad",
    "grad_and_value",
    "hessian",
    "jacfwd",
    "jacrev",
    "jvp",
    "linearize",
    "replace_all_batch_norm_modules_",
    "stack_module_state",
    "vjp",
    "vmap",
]
