"""Convolutions of one, two and three dimensions; their gradients are such again.

Three maps belong to one configuration (stride, padding, dilation, groups):
    conv              y = conv(x, w): y at o sees x at o s - p + t d through tap t
    conv_transpose    its transpose, x from y: the gradient by x, and a layer of its own
    conv_weight_grad  w from x and y: the gradient by w
Each is linear in each of its two arguments, and the derivative by one is another of the
three. Padding is a pair for each axis, before and after; a negative number behind crops
the image, so that an output padding q is a pair (p, p - q).
"""

from pyautodl.ops.conv.checks import shape_text
from pyautodl.ops.conv.epilogue import *
from pyautodl.ops.conv.forward import *
from pyautodl.ops.conv.kernels import LINEAR, RELU, conv_kernel, conv_shape_of
from pyautodl.ops.conv.patches import *
from pyautodl.ops.conv.transposed import *
from pyautodl.ops.conv.weight_grad import *
