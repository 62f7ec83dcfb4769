"""What a kernel call costs at least: floating operations and bytes.

Operations are declared for the kernels that are bound by them, counted as the plain
algorithm needs them (Winograd's does with fewer, and so may run above the peak). Bytes
follow from the arrays: each is read or written once. Whoever profiles or draws a roofline
takes both from here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

from pyautodl.backends import codes
from pyautodl.backends.array import Array, Table

__all__ = ["FLOPS", "bytes_of", "flops_of"]

Arrays = Sequence[Any]


def _product(reads: Arrays, writes: Arrays, ints: Sequence[int]) -> int:
    return 2 * writes[0].size * reads[0].shape[-1]


def _product_gradient(reads: Arrays, writes: Arrays, ints: Sequence[int]) -> int:
    rows = reads[0].size // max(reads[0].shape[-1], 1)
    return 2 * rows * writes[0].size


def _per_output(weight: Any, axis: int = 0) -> int:
    """Multiply-adds that one element of the convolution's output takes."""
    return weight.size // max(weight.shape[axis], 1)


def _convolution(reads: Arrays, writes: Arrays, ints: Sequence[int]) -> int:
    return 2 * writes[0].size * _per_output(reads[1])


def _winograd(reads: Arrays, writes: Arrays, ints: Sequence[int]) -> int:
    transposed = ints[2]
    return 2 * writes[0].size * _per_output(reads[1], axis=1 if transposed else 0)


def _convolution_input(reads: Arrays, writes: Arrays, ints: Sequence[int]) -> int:
    return 2 * reads[0].size * _per_output(reads[1])


def _convolution_weight(reads: Arrays, writes: Arrays, ints: Sequence[int]) -> int:
    return 2 * reads[1].size * _per_output(writes[0])


def _recurrent(reads: Arrays, writes: Arrays, ints: Sequence[int]) -> int:
    x, w_ih, w_hh = reads[0], reads[3], reads[4]
    return 2 * x.shape[0] * (w_ih.size + w_hh.size)


def _recurrent_gradient(reads: Arrays, writes: Arrays, ints: Sequence[int]) -> int:
    x, w_ih, w_hh = reads[0], reads[3], reads[4]
    # the gates' sums always take w_hh; dx, dw_ih and dw_hh where they are wanted
    weights = w_hh.size
    for wanted, weight in ((writes[1], w_ih), (writes[4], w_ih), (writes[5], w_hh)):
        if wanted is not None:
            weights += weight.size
    return 2 * x.shape[0] * weights


def _pixels_read(images: Any, mode: int) -> int:
    """How many pixels of images each place of a grid reads."""
    sides = {codes.SAMPLE_NEAREST: 1, codes.SAMPLE_LINEAR: 2, codes.SAMPLE_CUBIC: 4}[
        mode
    ]
    return int(sides ** (len(images.shape) - 2))


def _sample(reads: Arrays, writes: Arrays, ints: Sequence[int]) -> int:
    return 2 * writes[0].size * _pixels_read(reads[0], ints[0])


def _sample_gradient(reads: Arrays, writes: Arrays, ints: Sequence[int]) -> int:
    g, x, grid = reads
    each = 0 if writes[0] is None else 2
    # the grid's: a product, and a sum for each of its numbers; the nearest pixel has none
    if writes[1] is not None and ints[0] != codes.SAMPLE_NEAREST:
        each += 1 + 2 * grid.shape[-1]
    return each * g.size * _pixels_read(x, ints[0])


# kernel -> its operations from (reads, writes, ints)
FLOPS: dict[str, Callable[[Arrays, Arrays, Sequence[int]], int]] = {
    "matmul": _product,
    "linear_grad": _product_gradient,
    "conv_fwd": _convolution,
    "conv_bwd_x": _convolution_input,
    "conv_bwd_w": _convolution_weight,
    "winograd_fwd": _winograd,
    "winograd_bwd_w": _convolution_weight,
    "rnn_fwd": _recurrent,
    "rnn_bwd": _recurrent_gradient,
    "grid_sample_fwd": _sample,
    "grid_sample_bwd": _sample_gradient,
}


def flops_of(name: str, reads: Arrays, writes: Arrays, ints: Sequence[int]) -> int:
    """The floating operations of a call of kernel `name`, 0 where none are declared.

    Example:
        >>> from pyautodl.backends import empty
        >>> from pyautodl.backends.dtypes import float32
        >>> a, b = empty((4, 5), float32), empty((5, 6), float32)
        >>> flops_of("matmul", (a, b, None), (empty((4, 6), float32),), (0,))
        240
    """
    declared = FLOPS.get(name)
    return 0 if declared is None else declared(reads, writes, ints)


def bytes_of(arrays: Arrays) -> int:
    """The bytes of arrays, of lists and tables of them; what is expanded counts once.

    Example:
        >>> from pyautodl.backends import empty
        >>> from pyautodl.backends.dtypes import float32
        >>> bytes_of([empty((4, 5), float32), None])
        80
    """
    total = 0
    for each in arrays:
        if type(each) is Array:
            distinct = prod(n for n, step in zip(each.shape, each.strides) if step)
            total += distinct * each.dtype.itemsize
        elif type(each) is Table:
            total += bytes_of(each.arrays)
        elif each is not None:
            total += bytes_of(each)
    return total
