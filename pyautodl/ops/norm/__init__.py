"""Normalisation: batch, group, layer and RMS norm.

Each is a kernel with fused statistics and a kernel for its gradients; second
derivatives go through a composition of plain ops.
"""

from pyautodl.ops.norm.batch import BATCH_NORM, BATCH_NORM_RELU
from pyautodl.ops.norm.fixed import BATCH_NORM_EVAL, BATCH_NORM_RELU_EVAL
from pyautodl.ops.norm.group import GROUP_NORM
from pyautodl.ops.norm.layer import LAYER_NORM, RMS_NORM

__all__ = [
    "BATCH_NORM",
    "BATCH_NORM_EVAL",
    "BATCH_NORM_RELU",
    "BATCH_NORM_RELU_EVAL",
    "GROUP_NORM",
    "LAYER_NORM",
    "RMS_NORM",
]
