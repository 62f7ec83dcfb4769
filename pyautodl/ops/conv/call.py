"""A convolution whose weight is kept in packed form, or needs none, prepared down to the
addresses: to be run by itself, or several one after the other in one call.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from struct import Struct
from typing import Any

from pyautodl.backends import (
    Array,
    KeptCalls,
    Made,
    channels_last_strides,
    contiguous_strides,
    is_direct,
    native,
    new_storage,
    pack_layout,
)
from pyautodl.ops.conv import (
    conv_kernel,
    conv_shape,
    conv_shape_of,
    is_plain,
    reads_as_is,
)
from pyautodl.ops.conv.multiplied import is_spread, is_summed, plain_algorithm
from pyautodl.ops.conv.packed_weight import Key, kept_weight, key_of

__all__ = ["ConvCall", "address_packer", "conv_call", "run_prepared_conv"]

Ints = tuple[int, ...]

# calls that are kept by the layouts of what they read
_MOST = 1024
_kept = KeptCalls(_MOST)


def address_packer(count: int, copied: bool) -> Callable[..., bytes]:
    """What packs the addresses of so many calls, each as `ConvCall.addresses` has them; of
    an image that is copied first, two come before them: where it lies, and where to.
    """
    return Struct(f"={7 * count + 2 * copied}Q").pack


# without and with a copy of the image
_pack = (address_packer(1, False), address_packer(1, True))


class ConvCall:
    """The call for arrays of one layout.

    Args:
        reads: x as the kernel reads it, weight, scale, bias, residual.
        made: the output.
        numbers: the kernel, its integers and floats.
        form: the shape of the weight's packed form and its key; None: there is none.
        keeps: whether the packed form must be there.
        given: x as it comes, if it is copied into the layout in which the kernel reads it.

    Attributes:
        prepared: for `native.sequence`, the copy of the image before the convolution.
        copied: the size of that copy; 0: x is read where it lies.
        run: that of this call alone.
        made: the output.
        nbytes: its size.
    """

    __slots__ = (
        "_keeps",
        "_key",
        "_layouts",
        "copied",
        "made",
        "nbytes",
        "prepared",
        "run",
    )

    def __init__(
        self,
        reads: tuple[Array | None, ...],
        made: Made,
        numbers: tuple[str, Ints, Sequence[float]],
        form: tuple[Ints, Key] | None,
        keeps: bool,
        given: Array | None,
    ) -> None:
        self.made = made
        self.nbytes = prod(made.shape) * made.dtype.itemsize
        layouts = [None if each is None else each.layout() for each in reads]
        code = made.dtype.code
        out = pack_layout(code, made.shape, made.strides)
        packed = None
        if form is not None:
            packed = pack_layout(code, form[0], contiguous_strides(form[0]))
        kernel, ints, floats = numbers
        arrays = [*layouts[:2], packed, *layouts[2:], out]
        self.prepared = [native.prepare(kernel, arrays, [self.nbytes], ints, floats)]
        self.copied = 0
        if given is not None:
            self.copied = given.size * given.itemsize
            both = [given.layout(), layouts[0]]
            copy = native.prepare("copy", both, [self.copied], (), ())
            self.prepared.insert(0, copy)
        self.run = native.sequence(self.prepared)
        self._key, self._keeps = None if form is None else form[1], keeps
        self._layouts = (*layouts[1:4],)

    def addresses(
        self,
        x: int,
        parameters: tuple[Array, Array | None, Array | None],
        residual: int,
        out: int,
        forms: list[Array],
    ) -> tuple[int, ...] | None:
        """Where x, weight, packed weight, scale, bias, residual and output lie, as the kernel
        takes them; None if weight, scale and bias are not what the call was made for, or
        the weight lacks its packed form now. A packed form goes on the list `forms`, to
        live until the call is over.
        """
        weight, scale, bias = parameters
        layouts = (
            weight._layout or weight.layout(),
            None if scale is None else scale._layout or scale.layout(),
            None if bias is None else bias._layout or bias.layout(),
        )
        key = self._key
        if layouts != self._layouts or (key is not None and weight.offset != key[1]):
            return None
        form = 0
        packed = kept_weight(weight, key)
        if packed is not None:
            forms.append(packed)
            form = packed.address
        elif self._keeps:
            return None
        factors = 0 if scale is None else scale.address
        added = 0 if bias is None else bias.address
        return x, weight.address, form, factors, added, residual, out


def conv_call(
    x: Array,
    weight: Array,
    scale: Array | None,
    bias: Array | None,
    residual: Array | None,
    activation: tuple[int, float, float],
    *numbers: Any,
) -> ConvCall | None:
    """The call, if all fit and none but x must be copied for it, x once as it is, and the
    weight's packed form is kept where it is worth that.
    """
    for each in (weight, scale, bias):
        if each is not None and not (each.is_contiguous() and each.dtype is x.dtype):
            return None
    bias_shape = None if bias is None else bias.shape
    out = conv_shape(x.shape, weight.shape, bias_shape, *numbers)
    shape = conv_shape_of(x.shape, weight.shape, out, *numbers)
    given = None
    if not reads_as_is(x, shape):
        if is_spread(shape):
            return None
        given, x = x, x.view(x.shape, channels_last_strides(x.shape))
    reads = (x, weight, scale, bias, residual)
    if is_summed(shape) and is_plain(reads, activation):
        return None
    kernel = conv_kernel(shape, plain_algorithm(shape))
    form = None
    if kernel.packing is not None:
        packs, room, ints = kernel.packing
        form = room, key_of(weight, packs, ints)
        if kernel.keeps and kept_weight(weight, form[1]) is None:
            return None
    if scale is not None and scale.shape != out[1:2]:
        return None
    made = Made(out, x.dtype, channels_last_strides(out))
    if residual is not None and (residual.shape, residual.strides, residual.dtype) != (
        made.shape,
        made.strides,
        made.dtype,
    ):
        return None
    number, *floats = activation
    numbers_of_call = (kernel.name, (*kernel.ints, number), floats)
    return ConvCall(reads, made, numbers_of_call, form, kernel.keeps, given)


def run_prepared_conv(
    reads: Sequence[Any],
    activation: tuple[int, float, float],
    numbers: tuple[Any, ...],
) -> Array | None:
    """The output by a call prepared for what lies so; None where there is none, or not yet.

    Args:
        reads: x, weight, scale, bias, residual.
        activation: its number and two parameters.
        numbers: stride, padding, dilation and groups.
    """
    if not native.available:
        return None
    x, weight, scale, bias, residual = reads
    layouts = [
        None if each is None else each._layout or each.layout() for each in reads
    ]
    key = (*layouts, activation, numbers, native.current_isa())
    call = _kept.get(key)
    if call is None:
        if weight.storage.packed is None or not is_direct():
            return None
        call = conv_call(*reads, activation, *numbers)
        if call is None:
            return None
        _kept.keep(key, call)
    forms: list[Array] = []
    storage, made = new_storage(call.nbytes), call.made
    added = 0 if residual is None else residual.address
    parameters = (weight, scale, bias)
    image = new_storage(call.copied) if call.copied else x
    found = call.addresses(image.address, parameters, added, storage.address, forms)
    if found is None:
        return None
    if call.copied:
        found = (x.address, image.address, *found)
    call.run(_pack[call.copied > 0](*found))
    return Array(storage, 0, made.shape, made.strides, made.dtype)
