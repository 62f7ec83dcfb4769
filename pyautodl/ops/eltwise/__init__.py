"""Elementwise ops: every result element depends on one element of each operand."""

from pyautodl.ops.eltwise.activation import *
from pyautodl.ops.eltwise.arithmetic import *
from pyautodl.ops.eltwise.compare import *
from pyautodl.ops.eltwise.special import *
from pyautodl.ops.eltwise.special_pairs import *
from pyautodl.ops.eltwise.unary import *
