"""`Mapped`: all samples of a batch as the tensor of one, for a function of one sample.

A mapped tensor shows the shape, the strides and the element type of a sample, and holds the
tensor of the whole batch, its axis first. An op of mapped tensors is carried out on those,
as its rule in `ops.batching` says, so that the graph is one of whole batches, too.

Of the values of one sample nothing can be told, and a change in place may be meant to be
seen by the next sample: then `BySample` is raised, and `vmap` calls the function for one
sample after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn

from pyautodl.backends import Array, contiguous_strides, native
from pyautodl.backends.dtypes import DType
from pyautodl.errors import GradError
from pyautodl.graph import MODE, BySample, Edge, Node
from pyautodl.ops.integers import with_integers
from pyautodl.ops.record import Op
from pyautodl.tensor.calls import call, constant_array
from pyautodl.tensor.core import RemovableHandle, Tensor
from pyautodl.tensor.protocols import BOUND

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "Map",
    "Mapped",
    "lift",
    "lower",
    "mapped",
    "maps_of",
    "opened",
    "refuse",
    "samplewise",
    "whole_of",
]


class Map:
    """A batch whose samples a function is computed for.

    Attributes:
        size: how many samples there are.
        randomness: as `vmap` has it.
        depth: how many maps it is in.
        entered: the storages that are the caller's, of which an output has to be a copy.
        open: whether the function is running.
        refused: whether something can't be done for all samples at once, which the function
            may have caught.
        drawn: whether the default generator has moved on.
    """

    __slots__ = ("depth", "drawn", "entered", "open", "randomness", "refused", "size")

    def __init__(self, size: int, randomness: str) -> None:
        self.size = size
        self.randomness = randomness
        self.depth = len(MODE.maps)
        self.entered: list[Any] = []
        self.open = True
        self.refused = self.drawn = False


@contextmanager
def opened(size: int, randomness: str) -> Iterator[Map]:
    """A map for the block, the innermost of this thread."""
    found = Map(size, randomness)
    before = MODE.maps
    MODE.maps = (*before, found)
    if native.available:
        native.dispatch.count_maps(1)
    try:
        yield found
    finally:
        found.open = False
        MODE.maps = before
        if native.available:
            native.dispatch.count_maps(-1)


def refuse(of: Map) -> NoReturn:
    """Let the function be called for one sample after the other.

    Raises:
        BySample: for `vmap`.
        GradError: it is not there to see that.
    """
    if MODE.maps:
        raise BySample
    if of.open:
        of.refused = True
        raise GradError(
            "vmap: a tensor of the function is used by another thread, which does not know "
            "the samples; likely fix: use it in the function's own thread"
        )
    raise GradError(
        "vmap: a tensor of the function is used after vmap has returned, when it is no "
        "sample's any more; likely fix: return it from the function"
    )


class _OneOfMany(Array):
    """Shape, strides and element type of one sample, without memory of its own."""

    __slots__ = ("map",)

    def __init__(
        self, of: Map, shape: tuple[int, ...], strides: tuple[int, ...], dtype: DType
    ) -> None:
        self.map = of
        self.shape = shape
        self.strides = strides
        self.dtype = dtype
        self.offset = 0
        self._layout = self._desc = self._ndarray = None

    def view(
        self,
        shape: tuple[int, ...],
        strides: tuple[int, ...],
        offset: int | None = None,
    ) -> Array:
        """Another view of the same memory."""
        return _OneOfMany(self.map, shape, strides, self.dtype)

    def in_order(self) -> Array:
        """The same in C order."""
        if self.is_contiguous():
            return self
        return _OneOfMany(
            self.map, self.shape, contiguous_strides(self.shape), self.dtype
        )

    def _refuse(self) -> Any:
        refuse(self.map)

    if not TYPE_CHECKING:
        storage = address = property(_refuse)

    def numpy(self) -> Any:
        """There are the values of many samples."""
        return self._refuse()

    item = tolist = export = _view = numpy


class Mapped(Tensor):
    """A tensor of one sample, whichever it is; see the module.

    Attributes:
        map: the batch that the sample is of.
        whole: the tensor of the whole batch, its axis first.
    """

    __slots__ = ()

    map: Map
    whole: Tensor

    # ---- its place in the graph is the batch's ----

    @property
    def requires_grad(self) -> bool:
        """Whether gradients flow to or through the batch; settable on leaves."""
        return self.whole.requires_grad

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        self.whole.requires_grad = value
        self._requires_grad = self.whole._requires_grad

    def edge_source(self) -> Node | None:
        """The recorded call that made the batch; None for a leaf."""
        return self.whole.edge_source()

    @property
    def output_nr(self) -> int:
        """Which output of `grad_fn` it is."""
        return self.whole.output_nr

    def edge(self) -> Edge | None:
        """Where a gradient of the batch goes; None if nowhere."""
        return self.whole.edge()

    @property
    def retains_grad(self) -> bool:
        """Whether a batch that is no leaf keeps its gradient."""
        return self.whole.retains_grad

    def retain_grad(self) -> None:
        """Let backward fill `grad` though the tensor is no leaf."""
        refuse(self.map)

    def register_hook(self, hook: Callable[[Tensor], Any]) -> RemovableHandle:
        """Call `hook(grad)` with a sample's gradient; what it returns replaces it."""
        of = self.map

        def on_batch(grad: Tensor) -> Any:
            changed = hook(mapped(of, grad))
            return None if changed is None else whole_of(changed, of)

        return self.whole.register_hook(on_batch)

    def register_post_accumulate_grad_hook(
        self, hook: Callable[[Tensor], Any]
    ) -> RemovableHandle:
        """Call `hook(tensor)` after backward has filled a leaf's `grad`."""
        refuse(self.map)

    def detach(self) -> Tensor:
        """A tensor on the same memory that is a leaf and requires no gradient."""
        return mapped(self.map, self.whole.detach())

    def detach_(self) -> Tensor:
        """Cut the tensor off from its graph."""
        self.whole.detach_()
        self._requires_grad = False
        return self

    @property
    def data(self) -> Tensor:
        """The tensor detached."""
        return self.detach()

    @data.setter
    def data(self, value: Tensor) -> None:
        refuse(self.map)

    if not TYPE_CHECKING:

        @property
        def grad(self) -> Tensor | None:
            """None: backward is for one sample after the other."""
            refuse(self.map)

        @grad.setter
        def grad(self, value: Any) -> None:
            refuse(self.map)

    # ---- changes in place ----

    def _check_inplace(
        self, name: str, writes: bool = True, recorded: bool = False
    ) -> None:
        refuse(self.map)

    def _take_edge(self, result: Tensor) -> None:
        refuse(self.map)

    # ---- what looks at values or memory ----

    def __copy__(self) -> Tensor:
        return call("alias", self)

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        refuse(self.map)

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        refuse(self.map)

    def __repr__(self) -> str:
        return f"<a sample of {self.map.size}: {tuple(self.shape)}, {self.dtype.name}>"


def mapped(of: Map, whole: Tensor) -> Mapped:
    """The tensor of one sample, for a whole batch."""
    found: Mapped = object.__new__(Mapped)
    array = whole._array
    found._array = _OneOfMany(of, array.shape[1:], array.strides[1:], array.dtype)
    found._edge = None
    found._requires_grad = whole.requires_grad
    found._grad = found._base = found._hooks = found._post_hooks = None
    found._changes = 0
    found.map, found.whole = of, whole
    return found


# ---- from samples to batches and back ----


def whole_of(x: Tensor, of: Map) -> Tensor:
    """The batch of what is a sample's tensor inside a map, or the same for all samples."""
    if isinstance(x, Mapped):
        if x.map is of:
            return x.whole
        if x.map.depth > of.depth:
            inside = whole_of(x.whole, of)
            return mapped(x.map, _swapped(inside))
    return call("expand", x, shape=(of.size, *x.shape))


def _part_of(x: Tensor, of: Map) -> Tensor:
    """The inverse of `whole_of`."""
    if isinstance(x, Mapped) and x.map.depth > of.depth:
        return mapped(x.map, _part_of(_swapped(x.whole), of))
    return mapped(of, x)


def _swapped(x: Tensor) -> Tensor:
    """x with its first two axes in each other's place."""
    return call("permute", x, dims=(1, 0, *range(2, x.ndim)))


def lower(x: Tensor, maps: Sequence[Map]) -> Tensor:
    """x with the axes of maps in front, the outermost first."""
    for each in reversed(maps):
        x = whole_of(x, each)
    return x


def lift(x: Tensor, maps: Sequence[Map]) -> Tensor:
    """The inverse of `lower`."""
    for each in maps:
        x = _part_of(x, each)
    return x


def maps_of(tensors: Iterable[Any]) -> tuple[Map, ...]:
    """The maps that tensors are samples of, the outermost first."""
    found: dict[int, Map] = {}
    for x in tensors:
        while isinstance(x, Mapped):
            found[x.map.depth] = x.map
            x = x.whole
    return tuple([found[depth] for depth in sorted(found)])


# ---- an op of mapped tensors ----


def apply_mapped(op: Op, inputs: Sequence[Any], attrs: Mapping[str, Any]) -> Any:
    """The result of an op for all samples; None if no input is mapped."""
    of = None
    for x in inputs:
        if type(x) is Mapped and (of is None or x.map.depth > of.depth):
            of = x.map
    if op.changes and (of is not None or not op.random):
        if any(attrs.get(name) is not None for name in op.changes):
            raise BySample
    if of is None:
        return None
    if not of.open:
        raise GradError(
            f"{op.name}: a tensor of a function that vmap has called is used after that has "
            "returned; likely fix: return it from the function"
        )
    from pyautodl.ops.batching import UNSHAPED, WITH_PARAMETERS, run_batched

    if op.name in UNSHAPED:
        raise BySample
    attrs = with_integers(op, attrs)
    if not op.elementwise:  # of which a sample may be what a batch may
        _check(op, inputs, attrs)
    flags = [type(x) is Mapped and x.map is of for x in inputs]
    wholes = [x.whole if flag else x for x, flag in zip(inputs, flags)]
    try:
        result = None
        if op.name in WITH_PARAMETERS:
            from pyautodl.tensor.repeated import apply_repeated

            result = apply_repeated(op, of, wholes, flags, attrs)
        if result is None:
            result = run_batched(op, call, of.size, wholes, flags, attrs)
    except Exception as error:
        # of a sample, be it an index that is too large, that sample's call tells more
        raise BySample from error
    if type(result) is tuple:
        return tuple([mapped(of, each) for each in result])
    return mapped(of, result)


def _check(op: Op, inputs: Sequence[Any], attrs: Mapping[str, Any]) -> None:
    """Let an op refuse what is wrong of one sample, in its words."""
    arrays: list[Array | None] = []
    for x in inputs:
        if isinstance(x, Tensor):
            array = x._array
            # of others a plan would be one of a copy
            arrays.append(array.in_order() if type(array) is _OneOfMany else array)
        else:
            arrays.append(None if x is None else constant_array(op, x, inputs))
    op.rule(*arrays, **attrs)


def samplewise(function: Callable[..., Any], args: Sequence[Any]) -> Any:
    """What a function gives for each sample of mapped arguments, one after the other."""
    of = maps_of(args)[-1]
    columns = [
        call("unbind", x.whole, dim=0)
        if isinstance(x, Mapped) and x.map is of
        else (x,) * of.size
        for x in args
    ]
    rows = [function(*row) for row in zip(*columns)]
    many = isinstance(rows[0], (tuple, list))
    outputs = list(zip(*rows)) if many else [rows]
    for each in outputs:
        if not all(isinstance(y, Tensor) for y in each):
            raise BySample
    results = [mapped(of, call("stack", *each, dim=0)) for each in outputs]
    return tuple(results) if many else results[0]


BOUND["apply_mapped"] = apply_mapped
