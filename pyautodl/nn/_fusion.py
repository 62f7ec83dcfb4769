"""A convolution with the batch norm, the shortcut and the activation behind it, as one
kernel.

Where no gradient is recorded `run_in_sequence` looks for such runs of layers. What the user
wrote stays as it is: only layers of exactly these types, without hooks, whose call could
not be told from the fused one but for the rounding.

What is found is kept as a `Chain`, and asked at each call whether it still holds. Links
that follow one another run in one call into C, once their weights are kept in packed
form; they pass their images on in memory that two of them share in turn.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from operator import attrgetter, is_
from typing import Any

from pyautodl import _module_stack
from pyautodl.backends import Array, KeptCalls, is_direct, native, new_storage
from pyautodl.backends.codes import ACTIVATION_CLAMP, ACTIVATION_LEAKY
from pyautodl.errors import PyautodlError
from pyautodl.functional.networks.conv import conv_attributes, conv_epilogue
from pyautodl.graph import MODE
from pyautodl.nn.activation import LeakyReLU, ReLU, ReLU6
from pyautodl.nn.conv import Conv1d, Conv2d, Conv3d
from pyautodl.nn.module import Module
from pyautodl.nn.module.calling import are_hooked
from pyautodl.nn.norm import BatchNorm1d, BatchNorm2d, BatchNorm3d
from pyautodl.ops.conv import LINEAR, conv_shape
from pyautodl.ops.conv.call import ConvCall, address_packer, conv_call
from pyautodl.tensor import Tensor, array_of, make

__all__ = ["Chain"]

_NORM_OF: dict[type[Module], type[Module]] = {
    Conv1d: BatchNorm1d,
    Conv2d: BatchNorm2d,
    Conv3d: BatchNorm3d,
}
_ACTIVATIONS = frozenset((ReLU, ReLU6, LeakyReLU))


# by type, what decides how a module runs beside its type and its hooks
_SETTINGS: dict[type[Module], Callable[[Any], tuple[Any, ...]]] = {
    **dict.fromkeys(
        _NORM_OF, attrgetter("stride", "padding", "dilation", "groups", "padding_mode")
    ),
    **dict.fromkeys(_NORM_OF.values(), attrgetter("training", "running_mean")),
    LeakyReLU: lambda module: (module.negative_slope,),
}
# number of the kernel's activation, and its two parameters
Activation = tuple[int, float, float]

# layouts of inputs for which a run of links keeps its calls
_MOST = 16


class Chain:
    """Modules called one after the other, runs of them that fuse as one.

    Args:
        modules: the modules.
        joins: add a shortcut before the last of them, an activation.
    """

    __slots__ = ("_joins", "_modules", "_seen", "_settings", "_steps", "_watched")

    def __init__(self, modules: Sequence[Module], joins: bool = False) -> None:
        self._modules, self._joins = tuple(modules), joins
        self._steps: list[Any] = []
        kinds = {*_SETTINGS, *_ACTIVATIONS}
        self._watched = [each for each in modules if type(each) in kinds]
        found = [(_SETTINGS.get(type(each)), each) for each in modules]
        self._settings = [(read, each) for read, each in found if read is not None]
        self._seen = self._look()
        body = self._modules[:-1] if joins else self._modules
        place = 0
        while place < len(body):
            place += self._add(body[place : place + 3])
        if joins:
            self._join(self._modules[-1])

    def _add(self, modules: tuple[Module, ...]) -> int:
        """Add the step that begins with a module; returns how many modules it is."""
        conv, second, third, *_ = (*modules, None, None)
        if type(conv) not in _NORM_OF:
            self._steps.append(conv)
            return 1
        if conv.padding_mode != "zeros" or conv.has_hooks():
            self._steps.append(conv)
            return 1
        if not (self._steps and type(self._steps[-1]) is _Run):
            self._steps.append(_Run())
        follows = type(second) is _NORM_OF[type(conv)] and _is_fixed(second)
        norm = second if follows and _has_channels_of(second, conv) else None
        activation = _activation_of(second if norm is None else third)
        count = 1 + (norm is not None) + (activation is not None)
        link = _Link(modules[:count], norm, activation or LINEAR)
        self._steps[-1].links.append(link)
        return count

    def _join(self, activation: Module) -> None:
        """Let the last link add the shortcut, if it is the last step and has no activation
        of its own; else that is a step by itself.
        """
        found = _activation_of(activation)
        last = self._steps[-1] if self._steps else None
        if found and type(last) is _Run and last.links[-1].activation == LINEAR:
            last.links[-1].end, last.links[-1].activation = activation, found
        else:
            self._steps.append(_Sum(activation))

    def __reduce__(self) -> tuple[Any, ...]:
        # copies and pickles have none: prepared calls are of this process
        return type(None), ()

    def holds(self, modules: Sequence[Module], joins: bool = False) -> bool:
        """Whether a chain of these modules would be the same now."""
        if self._modules != tuple(modules) or self._joins != joins:
            return False
        return all(map(is_, self._look(), self._seen))

    def _look(self) -> list[Any]:
        """What decides how the modules run."""
        seen: list[Any] = [*map(type, self._modules), *map(are_hooked, self._watched)]
        for read, module in self._settings:
            seen += read(module)
        return seen

    def __call__(self, input: Any, shortcut: Any = None) -> Any:
        if not self._joins:
            for step in self._steps:
                input = step(input)
            return input
        for step in self._steps[:-1]:
            input = step(input)
        return self._steps[-1](input, shortcut)


class _Sum:
    """The shortcut, then the activation behind it."""

    __slots__ = ("_activation",)

    def __init__(self, activation: Module) -> None:
        self._activation = activation

    def __call__(self, input: Any, shortcut: Any) -> Any:
        return self._activation(input + shortcut)


def _is_fixed(norm: Any) -> bool:
    """Whether a norm goes by the statistics that it keeps, and nobody looks at it."""
    kept = not (norm.training or norm.running_mean is None)
    return kept and not norm.has_hooks()


def _has_channels_of(norm: Any, conv: Any) -> bool:
    """Whether a norm takes what a convolution gives; if not, it says so itself."""
    read = (norm.running_mean, norm.running_var, norm.weight, norm.bias)
    channels = conv.weight.shape[:1]
    return all(each is None or each.shape == channels for each in read)


def _activation_of(module: Any) -> Activation | None:
    """The kernel's; None if the module is no activation or must be called by itself."""
    kind = type(module)
    if kind not in _ACTIVATIONS or module.has_hooks():
        return None
    if kind is LeakyReLU:
        return (ACTIVATION_LEAKY, float(module.negative_slope), 0.0)
    return (ACTIVATION_CLAMP, 0.0, math.inf if kind is ReLU else 6.0)


class _Link:
    """A convolution, maybe with a batch norm and an activation behind it.

    Attributes:
        end: the activation behind the sum with a shortcut, if the link adds one.
    """

    __slots__ = ("_affine", "activation", "conv", "end", "modules", "norm")

    def __init__(
        self, modules: Sequence[Module], norm: Any, activation: Activation
    ) -> None:
        self.modules, self.norm, self.activation = modules, norm, activation
        self.conv: Any = modules[0]
        self.end: Module | None = None
        # of what the norm's scale and shift were made, and these
        self._affine: tuple[tuple[Any, ...], Tensor, Tensor] | None = None

    @property
    def numbers(self) -> tuple[Any, ...]:
        """Stride, padding, dilation and groups."""
        conv = self.conv
        return conv.stride, conv.padding, conv.dilation, conv.groups

    def affine(self) -> tuple[Tensor | None, Tensor | None]:
        """What the sums are multiplied by and what is added, by channel."""
        bias = self.conv.bias
        return (None, bias) if self.norm is None else self.folded()

    def folded(self) -> tuple[Tensor, Tensor]:
        """The same of a norm and the bias before it."""
        bias, norm = self.conv.bias, self.norm
        read = (norm.running_mean, norm.running_var, norm.weight, norm.bias, bias)
        arrays = [None if each is None else each._array for each in read]
        storages = [each.storage for each in arrays if each is not None]
        state = (norm.eps, *arrays, *[each.state() for each in storages])
        kept = self._affine
        if kept is None or kept[0] != state or any(s.is_shared() for s in storages):
            kept = self._affine = (state, *_affine_of(norm, bias))
        return kept[1], kept[2]

    def __call__(self, input: Any, shortcut: Any = None) -> Any:
        if not self._fits(input, shortcut):
            for module in self.modules:
                input = module(input)
            return input if self.end is None else self.end(input + shortcut)
        conv = self.conv
        _module_stack.push(conv)
        try:
            factors = self.affine()
            reads = (input, conv.weight, *factors, shortcut)
            return conv_epilogue(*reads, self.activation, *self.numbers)
        except Exception as error:
            _module_stack.annotate(error, conv._likely_fix(error, (input,)))
            raise
        finally:
            _module_stack.pop()

    def _fits(self, input: Any, shortcut: Any) -> bool:
        """Whether the kernel takes them: a batch, and a shortcut as large as the output."""
        if not isinstance(input, Tensor) or input.ndim != self.conv.axes + 2:
            return False
        if self.end is None:
            return True
        if not isinstance(shortcut, Tensor) or shortcut.dtype is not input.dtype:
            return False
        weight = self.conv.weight
        try:
            numbers = conv_attributes(input.shape, weight, *self.numbers)
            shape = conv_shape(input.shape, weight.shape, None, *numbers)
        except PyautodlError:  # the kernel's check says where that is
            return True
        return shortcut.shape == shape


class _Calls:
    """The calls of a run for inputs of one layout, and the memory between them."""

    __slots__ = ("calls", "pack", "run", "sizes")

    def __init__(self, calls: Sequence[ConvCall]) -> None:
        self.calls = calls
        self.run = native.sequence([each for call in calls for each in call.prepared])
        # what a link gives is read where it lies
        self.pack = address_packer(len(calls), calls[0].copied > 0)
        between = [each.nbytes for each in calls[:-1]]
        self.sizes = (max(between[::2], default=0), max(between[1::2], default=0))


class _Run:
    """Links that follow one another."""

    __slots__ = ("_calls", "links")

    def __init__(self) -> None:
        self.links: list[_Link] = []
        # by the layouts of what is read, and the instruction set
        self._calls = KeptCalls(_MOST)

    def __call__(self, input: Any, shortcut: Any = None) -> Any:
        joins = self.links[-1].end is not None
        if isinstance(input, Tensor) and isinstance(shortcut, Tensor) == joins:
            output = self._at_once(input, shortcut)
            if output is not None:
                return output
        for link in self.links[:-1]:
            input = link(input)
        return self.links[-1](input, shortcut)

    def _at_once(self, input: Tensor, shortcut: Tensor | None) -> Tensor | None:
        """All links by one call; None where something is not ready for that."""
        if not native.available or MODE.maps:
            return None
        x, added = array_of(input), None if shortcut is None else array_of(shortcut)
        layout = None if added is None else added.layout()
        key = (x.layout(), layout, native.current_isa())
        calls = self._calls.get(key)
        if calls is None:
            calls = self._prepare(x, added) if is_direct() else None
            if calls is None:
                return None
            self._calls.keep(key, calls)
        output = self._run(calls, x, added)
        if output is None:
            self._calls.pop(key, None)
        return output

    def _prepare(self, x: Array, added: Array | None) -> _Calls | None:
        if any(link.conv.weight._array.storage.packed is None for link in self.links):
            return None
        calls: list[ConvCall] = []
        for link in self.links:
            if len(x.shape) != link.conv.axes + 2:
                return None
            residual = None if link.end is None else added
            try:
                numbers = conv_attributes(x.shape, link.conv.weight, *link.numbers)
                reads = (x, *_arrays_of(link), residual)
                call = conv_call(*reads, link.activation, *numbers)
            except PyautodlError:  # the link itself says where that is
                return None
            if call is None:
                return None
            calls.append(call)
            # its memory is never touched: the shape and the layout are all that counts
            x = x.view(call.made.shape, call.made.strides)
        return _Calls(calls)

    def _run(self, calls: _Calls, x: Array, added: Array | None) -> Tensor | None:
        made, nbytes = calls.calls[-1].made, calls.calls[-1].nbytes
        storage = new_storage(nbytes)
        between = [new_storage(size) if size else storage for size in calls.sizes]
        addresses: list[int] = []
        forms: list[Array] = []
        copied, last = calls.calls[0].copied, len(self.links) - 1
        image = new_storage(copied) if copied else x
        source = image.address
        if copied:
            addresses += x.address, source
        for i, (link, call) in enumerate(zip(self.links, calls.calls, strict=True)):
            residual = 0 if link.end is None or added is None else added.address
            target = storage.address if i == last else between[i % 2].address
            parameters = _arrays_of(link)
            found = call.addresses(source, parameters, residual, target, forms)
            if found is None:
                return None
            addresses += found
            source = target
        calls.run(calls.pack(*addresses))
        return make(
            Array(storage, 0, made.shape, made.strides, made.dtype), None, False
        )


def _arrays_of(link: _Link) -> tuple[Array, Array | None, Array | None]:
    """Weight, scale and bias."""
    conv = link.conv
    if link.norm is None:
        bias = conv.bias
        return conv.weight._array, None, None if bias is None else bias._array
    scale, shift = link.folded()
    return conv.weight._array, scale._array, shift._array


def _affine_of(norm: Any, bias: Tensor | None) -> tuple[Tensor, Tensor]:
    """A batch norm at inference as scale * x + shift, x being without its bias."""
    scale = (norm.running_var + norm.eps).rsqrt()
    if norm.weight is not None:
        scale = scale * norm.weight
    mean = norm.running_mean if bias is None else norm.running_mean - bias
    shift = -(mean * scale)
    return scale, shift if norm.bias is None else shift + norm.bias
