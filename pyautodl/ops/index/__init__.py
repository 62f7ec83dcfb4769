"""Ops that read and write at places named by indices or masks."""

from pyautodl.ops.index.along_axis import *
from pyautodl.ops.index.gather_scatter import *
from pyautodl.ops.index.masks import *
from pyautodl.ops.index.ravel_index import *
from pyautodl.ops.index.rows import *
from pyautodl.ops.index.scatter_reduce import *
from pyautodl.ops.index.tables import *
