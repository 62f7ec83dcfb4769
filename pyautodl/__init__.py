"""Deep learning on the CPU: PyTorch's names, autograd in Python, kernels in C."""

import importlib as _importlib
from math import e, inf, nan, pi
from typing import TYPE_CHECKING
from typing import Any as _Any

from pyautodl._loading import paused_collector as _paused_collector
from pyautodl.errors import BackendError

with _paused_collector():
    try:
        from pyautodl.backends import current_backend, fallbacks, native, use_backend
    except BackendError as _error:
        # a wrong setting of the environment: where it was read helps nobody
        raise _error.with_traceback(None) from None

    from pyautodl import autograd, cuda, functional, ops
    from pyautodl._version import __version__
    from pyautodl.autograd.grad_mode import (
        enable_grad,
        inference_mode,
        is_grad_enabled,
        is_inference_mode_enabled,
        no_grad,
        set_grad_enabled,
    )
    from pyautodl.backends.dtypes import (
        DType,
        float32,
        float64,
        int8,
        int16,
        int32,
        int64,
        promote_types,
        uint8,
    )
    from pyautodl.backends.dtypes import bool_ as bool
    from pyautodl.errors import (
        CheckpointError,
        DTypeError,
        GradError,
        LinAlgError,
        PyautodlError,
        ShapeError,
        StateDictError,
    )
    from pyautodl.functional.basics import *
    from pyautodl.functional.creation import tensor
    from pyautodl.functional.printing import set_printoptions
    from pyautodl.random import (
        Generator,
        default_generator,
        get_rng_state,
        initial_seed,
        manual_seed,
        seed,
        set_rng_state,
    )
    from pyautodl.tensor import (
        Size,
        Tensor,
        device,
        get_default_dtype,
        set_default_dtype,
    )

if TYPE_CHECKING:
    from pyautodl.functional.networks import *
    from pyautodl.ops.conv.algorithm import (
        get_conv_algorithm,
        set_conv_algorithm,
        use_conv_algorithm,
    )

dtype = DType
float = float32
double = float64
short = int16
int = int32
long = int64
strided = "strided"
sparse_coo = "sparse_coo"
newaxis = None

get_num_threads = native.get_num_threads
set_num_threads = native.set_num_threads
memory_stats = native.memory_stats
reset_peak_memory = native.reset_peak_memory
empty_cache = native.empty_cache
set_cache_limit = native.set_cache_limit

# imported when they are first used, so that `import pyautodl` stays fast
_LATER = {
    "amp": "pyautodl.amp",
    "audio": "pyautodl.audio",
    "data": "pyautodl.data",
    "distributions": "pyautodl.distributions",
    "fft": "pyautodl.fft",
    "func": "pyautodl.func",
    "inspect": "pyautodl.inspect",
    "linalg": "pyautodl.linalg",
    "models": "pyautodl.models",
    "nn": "pyautodl.nn",
    "onnx": "pyautodl.onnx",
    "optim": "pyautodl.optim",
    "plot": "pyautodl.plot",
    "profiler": "pyautodl.profiler",
    "sparse": "pyautodl.sparse",
    "special": "pyautodl.special",
    "testing": "pyautodl.testing",
    "train": "pyautodl.train",
    "utils": "pyautodl.utils",
}
_LATER_NAMES = {
    "are_deterministic_algorithms_enabled": "pyautodl.determinism",
    "autocast": "pyautodl.amp",
    "compile": "pyautodl.compilation",
    "get_conv_algorithm": "pyautodl.ops.conv.algorithm",
    "get_default_device": "pyautodl.default_device",
    "get_float32_matmul_precision": "pyautodl.determinism",
    "load": "pyautodl.serialization",
    "profile": "pyautodl.profiler",
    "save": "pyautodl.serialization",
    "set_conv_algorithm": "pyautodl.ops.conv.algorithm",
    "set_default_device": "pyautodl.default_device",
    "set_float32_matmul_precision": "pyautodl.determinism",
    "show_config": "pyautodl.config",
    "use_conv_algorithm": "pyautodl.ops.conv.algorithm",
    "use_deterministic_algorithms": "pyautodl.determinism",
    "vmap": "pyautodl.func",
}


def __getattr__(name: str) -> _Any:
    if name in _LATER:
        return _importlib.import_module(_LATER[name])
    if name in _LATER_NAMES:
        return getattr(_importlib.import_module(_LATER_NAMES[name]), name)
    if not name.startswith("_") and name in functional.__all__:
        return getattr(functional, name)
    if name == "__all__":
        return _starred()
    raise AttributeError(f"module 'pyautodl' has no attribute {name!r}")


def _starred() -> list[str]:
    """What `from pyautodl import *` brings: all functions, those loaded later too."""
    here = (name for name in globals() if not name.startswith("_"))
    conv = (each for each in _LATER_NAMES if each.endswith("_conv_algorithm"))
    return sorted({*here, *functional.__all__, *conv})


def __dir__() -> list[str]:
    return sorted({*globals(), *_LATER, *_LATER_NAMES, *functional.__all__})
