"""Ops that reduce axes, and those that run along one."""

from pyautodl.ops.reduce.distances import *
from pyautodl.ops.reduce.extrema import *
from pyautodl.ops.reduce.moments import *
from pyautodl.ops.reduce.norms import *
from pyautodl.ops.reduce.products import *
from pyautodl.ops.reduce.scans import *
from pyautodl.ops.reduce.sums import *
from pyautodl.ops.reduce.truth import *
