"""How ops are written in ONNX, one function for each: it adds nodes to a graph and returns
the name of the output, or the names of several.
"""

from pyautodl.onnx.forms.elementwise import ELEMENTWISE
from pyautodl.onnx.forms.layers import LAYERS
from pyautodl.onnx.forms.places import PLACES
from pyautodl.onnx.forms.recurrent import RECURRENT
from pyautodl.onnx.forms.reductions import REDUCTIONS

__all__ = ["FORMS"]

FORMS = {**ELEMENTWISE, **LAYERS, **PLACES, **RECURRENT, **REDUCTIONS}
