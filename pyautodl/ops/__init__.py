"""What every op is: its checks, its forward rule, its gradient, its examples."""

import importlib

from pyautodl.ops.record import OPS

for _family in (
    "strided",
    "creation",
    "views",
    "overlap_add",
    "pad_edges",
    "fourier",
    "linalg",
    "draws",
    "eltwise",
    "copy",
    "reduce",
    "sort",
    "index",
    "softmax",
    "matmul",
    "sparse",
    "random",
):
    importlib.import_module(f"pyautodl.ops.{_family}")

# what networks are made of
OPS.load_when_missed(
    f"pyautodl.ops.{family}"
    for family in (
        "ctc",
        "loss",
        "pair_loss",
        "conv",
        "pool",
        "interpolate",
        "grid_sample",
        "norm",
        "rnn",
        "augment",
    )
)
