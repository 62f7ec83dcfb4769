"""Where the time goes: by op, by layer, by kernel, against what the machine can do."""

from pyautodl.profiler.limits import Limits, measure_limits
from pyautodl.profiler.profile import profile
from pyautodl.profiler.recorder import Event
from pyautodl.profiler.table import Row

__all__ = ["Event", "Limits", "Row", "measure_limits", "profile"]
