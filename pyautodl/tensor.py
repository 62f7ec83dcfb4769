"""`Tensor`, and `apply`, the one way from a tensor to an op.

The functions of `functional` register themselves as methods (`method`), so that each
function stands in one place and the class stays small.
"""

from __future__ import annotations

import functools
import math
import warnings
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from pyautodl import backends
from pyautodl.backends import Array, empty, run
from pyautodl.backends.dtypes import (
    BOOLEAN,
    FLOATING,
    DType,
    as_dtype,
    float32,
    int64,
    promote_types,
)
from pyautodl.errors import BackendError, DTypeError, GradError, ShapeError
from pyautodl.graph import (
    MODE,
    Context,
    Edge,
    Node,
    bind,
    record,
    record_planned,
    run_backward,
)
from pyautodl.ops.plan import look_up
from pyautodl.ops.record import OPS, Op, Spec
from pyautodl.ops.repeat import Called
from pyautodl.ops.trace import find_trace, run_rule

__all__ = [
    "NUMBERS",
    "Size",
    "Tensor",
    "apply",
    "constant",
    "device",
    "get_default_dtype",
    "inplace",
    "method",
    "operands",
    "overwrite",
    "set_default_dtype",
]

Function = TypeVar("Function", bound=Callable[..., Any])


class Size(tuple[int, ...]):
    """A shape; a tuple that prints and counts as PyTorch's."""

    __slots__ = ()

    def numel(self) -> int:
        """The number of elements."""
        return math.prod(self)

    def __repr__(self) -> str:
        return f"pyautodl.Size({list(self)})"

    def __getitem__(self, key: Any) -> Any:
        part = tuple.__getitem__(self, key)
        return Size(part) if isinstance(key, slice) else part

    def __add__(self, other: Any) -> Size:
        return Size(tuple(self) + tuple(other))


class device:
    """Where a tensor lives; there is 'cpu' alone.

    Args:
        type: 'cpu', or a device.
        index: its number, None or 0.

    Raises:
        BackendError: any other device.

    Example:
        >>> import pyautodl as ad
        >>> ad.device("cpu")
        device(type='cpu')
    """

    __slots__ = ("index", "type")

    type: str

    def __init__(self, type: Any = "cpu", index: int | None = None) -> None:
        name = str(type.type if isinstance(type, device) else type)
        if name not in ("cpu", "cpu:0"):
            raise BackendError(f"device: {name!r} is not available; choose 'cpu'")
        self.type: str = "cpu"
        self.index = index

    def __repr__(self) -> str:
        return "device(type='cpu')"

    def __str__(self) -> str:
        return "cpu"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, device) or other == "cpu"

    def __hash__(self) -> int:
        return hash("cpu")


_CPU = device()
# what stands for a 0-dimensional tensor
NUMBERS: Any = (int, float, np.generic)
_default_dtype = float32


def set_default_dtype(d: Any) -> None:
    """Make `d` the element type of what is made from Python floats.

    Args:
        d: float32 or float64.

    Raises:
        DTypeError: `d` is not a floating type.

    Example:
        >>> import pyautodl as ad
        >>> ad.set_default_dtype(ad.float32)
    """
    global _default_dtype
    dtype = as_dtype(d)
    if dtype.category != FLOATING:
        raise DTypeError(
            f"set_default_dtype: expected a floating type, got {dtype.name}"
        )
    _default_dtype = dtype


def get_default_dtype() -> DType:
    """Return the element type of what is made from Python floats.

    Example:
        >>> import pyautodl as ad
        >>> ad.get_default_dtype()
        pyautodl.float32
    """
    return _default_dtype


class Tensor:
    """An array of numbers that remembers how it was computed.

    Tensors are made by `tensor`, `zeros`, `rand`, ... and by computing with tensors.
    With `requires_grad=True` a tensor is a leaf of the graph: `backward()` of what is
    computed from it fills its `grad`.

    Example:
        >>> import pyautodl as ad
        >>> x = ad.tensor([1.0, 2.0], requires_grad=True)
        >>> (x * x).sum().backward()
        >>> x.grad
        tensor([2., 4.])
    """

    __slots__ = (
        "__dict__",
        "__weakref__",
        "_array",
        "_base",
        "_base_changes",
        "_changes",
        "_edge",
        "_hooks",
        "_many_views",
        "_post_hooks",
        "_requires_grad",
        "grad",
    )
    # NumPy's operators leave the work to ours
    __array_ufunc__ = None

    def __init__(self, data: Any = None, *, requires_grad: bool = False) -> None:
        source = (
            data
            if isinstance(data, Tensor)
            else _BOUND["tensor"]([] if data is None else data)
        )
        self._setup(source._array, None, requires_grad)

    def _setup(self, array: Array, edge: Edge | None, requires_grad: bool) -> None:
        self._array = array
        self._edge = edge
        self._requires_grad = requires_grad
        self.grad: Tensor | None = None
        # the tensor whose memory this one shows a part of; if there is one, there are
        # also its _changes that were followed, and whether the op made several views
        self._base: Tensor | None = None
        self._base_changes: int
        self._many_views: bool
        # how often a view of this tensor, or itself, was changed with a graph
        self._changes = 0
        self._hooks: dict[int, Callable[[Tensor], Any]] | None = None
        self._post_hooks: dict[int, Callable[[Tensor], Any]] | None = None

    if TYPE_CHECKING:
        # the methods that functional registers
        def __getattr__(self, name: str) -> Any: ...
        def __getitem__(self, index: Any) -> Tensor: ...
        def __setitem__(self, index: Any, value: Any) -> None: ...
        def __neg__(self) -> Tensor: ...
        def __invert__(self) -> Tensor: ...
        def __add__(self, other: Any) -> Tensor: ...
        def __radd__(self, other: Any) -> Tensor: ...
        def __sub__(self, other: Any) -> Tensor: ...
        def __rsub__(self, other: Any) -> Tensor: ...
        def __mul__(self, other: Any) -> Tensor: ...
        def __rmul__(self, other: Any) -> Tensor: ...
        def __truediv__(self, other: Any) -> Tensor: ...
        def __rtruediv__(self, other: Any) -> Tensor: ...
        def __pow__(self, other: Any) -> Tensor: ...
        def __matmul__(self, other: Any) -> Tensor: ...
        def __lt__(self, other: Any) -> Tensor: ...
        def __le__(self, other: Any) -> Tensor: ...
        def __gt__(self, other: Any) -> Tensor: ...
        def __ge__(self, other: Any) -> Tensor: ...

    # ---- what it is ----

    @property
    def shape(self) -> Size:
        """The size of each axis."""
        return Size(self._array.shape)

    def size(self, dim: int | None = None) -> Any:
        """Return the shape, or the size of axis `dim`."""
        return self.shape if dim is None else self._array.shape[dim]

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self._array.shape)

    def dim(self) -> int:
        """Return the number of axes."""
        return len(self._array.shape)

    def numel(self) -> int:
        """Return the number of elements."""
        return self._array.size

    nelement = numel

    @property
    def dtype(self) -> DType:
        """The element type."""
        return self._array.dtype

    @property
    def device(self) -> device:
        """Where the tensor lives: the CPU."""
        return _CPU

    @property
    def is_cuda(self) -> bool:
        """False: there is no such device."""
        return False

    @property
    def layout(self) -> str:
        """'strided', the only layout."""
        return "strided"

    @property
    def itemsize(self) -> int:
        """Bytes of one element."""
        return self._array.dtype.itemsize

    def element_size(self) -> int:
        """Return the bytes of one element."""
        return self._array.dtype.itemsize

    @property
    def nbytes(self) -> int:
        """Bytes of all elements."""
        return self._array.size * self._array.dtype.itemsize

    def stride(self, dim: int | None = None) -> Any:
        """Return how many elements lie between neighbours along each axis, or `dim`."""
        return self._array.strides if dim is None else self._array.strides[dim]

    def storage_offset(self) -> int:
        """Return the first element's place in the memory block."""
        return self._array.offset

    def data_ptr(self) -> int:
        """Return the address of the first element."""
        return self._array.address

    def is_contiguous(self) -> bool:
        """Whether the elements lie in C order."""
        return self._array.is_contiguous()

    def is_floating_point(self) -> bool:
        """Whether the element type is a float."""
        return self._array.dtype.category == FLOATING

    def is_complex(self) -> bool:
        """False: there are no complex types."""
        return False

    def is_shared(self) -> bool:
        """Whether NumPy or another library sees the same memory."""
        return self._array.storage.is_shared()

    @property
    def _version(self) -> int:
        return self._array.storage.version

    # ---- values ----

    def item(self) -> Any:
        """Return the only element as a Python number.

        Raises:
            ShapeError: there is not exactly one.
        """
        if self._array.size != 1:
            raise ShapeError(
                f"item: expected a tensor of one element, got shape {self._array.shape}; "
                "likely fix: tolist(), or a reduction first"
            )
        return self._array.item()

    def tolist(self) -> Any:
        """Return the values as nested Python lists, a single one as a number."""
        return self._array.numpy().tolist()

    def numpy(self, *, force: bool = False) -> np.ndarray[Any, Any]:
        """Return a NumPy array that shares the memory.

        Args:
            force: detach first.

        Raises:
            GradError: the tensor requires a gradient, which NumPy would lose.
        """
        if self.requires_grad and not force:
            raise GradError(
                "numpy: the tensor requires a gradient, which NumPy can't follow; use "
                "x.detach().numpy()"
            )
        return self._array.export()

    def __array__(
        self, dtype: Any = None, copy: bool | None = None
    ) -> np.ndarray[Any, Any]:
        wanted = None if dtype is None else np.dtype(dtype)
        here = self.detach().numpy() if copy is not True else self._array.numpy()
        if wanted is not None and wanted != here.dtype:
            if copy is False:
                raise ValueError(f"__array__: {here.dtype} to {wanted} needs a copy")
            return here.astype(wanted)
        return here.copy() if copy else here

    def __dlpack__(self, **kwargs: Any) -> Any:
        return self.numpy().__dlpack__(**kwargs)

    def __dlpack_device__(self) -> Any:
        return self._array.numpy().__dlpack_device__()

    def __bool__(self) -> bool:
        if self._array.size != 1:
            raise ValueError(
                f"bool: a tensor of shape {self._array.shape} has no single truth value; "
                "use any() or all()"
            )
        return bool(self._array.numpy().item())

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __complex__(self) -> complex:
        return complex(self.item())

    def __index__(self) -> int:
        if self._array.dtype.category == FLOATING:
            raise TypeError(f"index: expected an integer tensor, got {self.dtype.name}")
        return int(self.item())

    def __len__(self) -> int:
        if not self._array.shape:
            raise TypeError("len: a 0-dimensional tensor has no length")
        return self._array.shape[0]

    def __iter__(self) -> Iterator[Tensor]:
        if not self._array.shape:
            raise TypeError("iter: a 0-dimensional tensor can't be iterated over")
        return iter([self[i] for i in range(self._array.shape[0])])

    def __hash__(self) -> int:
        return id(self)

    def __format__(self, spec: str) -> str:
        return format(
            self.item() if spec and not self._array.shape else str(self), spec
        )

    def __repr__(self) -> str:
        return _BOUND["format"](self)

    # ---- graph ----

    @property
    def requires_grad(self) -> bool:
        """Whether gradients flow to or through this tensor; settable on leaves."""
        if self._base is not None:
            self._follow_base()
        return self._requires_grad

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        if self._edge is not None:
            if not value:
                raise GradError(
                    "requires_grad: only a leaf can be switched off; use x.detach()"
                )
            return
        if value:
            _check_differentiable(self._array.dtype)
        self._requires_grad = bool(value)

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """Set `requires_grad` and return the tensor."""
        self.requires_grad = requires_grad
        return self

    @property
    def is_leaf(self) -> bool:
        """Whether the user made the tensor, or it needs no gradient."""
        return self.edge_source() is None

    def edge_source(self) -> Node | None:
        """The recorded call that made the tensor; None for a leaf."""
        if self._base is not None:
            self._follow_base()
        return None if self._edge is None else self._edge[0]

    @property
    def grad_fn(self) -> Node | None:
        """The recorded call that made the tensor; None for a leaf."""
        return self.edge_source()

    @property
    def output_nr(self) -> int:
        """Which output of `grad_fn` it is."""
        return 0 if self._edge is None else self._edge[1]

    def edge(self) -> Edge | None:
        """Where a gradient of this tensor goes; None if nowhere."""
        if self._base is not None:
            self._follow_base()
        if self._edge is not None:
            return self._edge
        return (self, 0) if self._requires_grad else None

    @property
    def retains_grad(self) -> bool:
        """Whether a tensor that is no leaf keeps its gradient."""
        node = self.edge_source()
        return node is not None and self.output_nr in (node.retained or {})

    def retain_grad(self) -> None:
        """Let backward fill `grad` though the tensor is no leaf.

        Raises:
            GradError: the tensor requires no gradient.
        """
        if not self.requires_grad:
            raise GradError("retain_grad: the tensor requires no gradient")
        node = self.edge_source()
        if node is not None:
            node.retained = node.retained or {}
            node.retained[self.output_nr] = weakref.ref(self)

    def register_hook(self, hook: Callable[[Tensor], Any]) -> RemovableHandle:
        """Call `hook(grad)` when the gradient is known; what it returns replaces it.

        Raises:
            GradError: the tensor requires no gradient.
        """
        if not self.requires_grad:
            raise GradError("register_hook: the tensor requires no gradient")
        node = self.edge_source()
        if node is None:
            self._hooks = self._hooks if self._hooks is not None else {}
            return RemovableHandle(self._hooks, hook)
        node.hooks = node.hooks if node.hooks is not None else {}
        return RemovableHandle(node.hooks.setdefault(self.output_nr, {}), hook)

    def register_post_accumulate_grad_hook(
        self, hook: Callable[[Tensor], Any]
    ) -> RemovableHandle:
        """Call `hook(tensor)` after backward has filled a leaf's `grad`.

        Raises:
            GradError: the tensor is no leaf that requires a gradient.
        """
        if self.edge_source() is not None or not self._requires_grad:
            raise GradError("register_post_accumulate_grad_hook: expected a leaf")
        self._post_hooks = self._post_hooks if self._post_hooks is not None else {}
        return RemovableHandle(self._post_hooks, hook)

    def backward(
        self,
        gradient: Tensor | None = None,
        retain_graph: bool | None = None,
        create_graph: bool = False,
        inputs: Any = None,
    ) -> None:
        """Fill the `grad` of the leaves this tensor was computed from.

        Args:
            gradient: the gradient of what comes after; needed unless the tensor has one
                element.
            retain_graph: keep what was saved, so that backward can run again (default:
                `create_graph`).
            create_graph: record the pass, for gradients of gradients.
            inputs: fill these leaves alone.

        Raises:
            GradError: the tensor requires no gradient, or has several elements and no
                gradient was given.
        """
        edge = self.edge()
        if edge is None:
            raise GradError(
                "backward: the tensor requires no gradient; likely fix: requires_grad=True "
                "on what it is computed from, or leave no_grad()"
            )
        grad = root_gradient(self, gradient)
        targets = None
        if inputs is not None:
            given = [inputs] if isinstance(inputs, Tensor) else list(inputs)
            targets = [target for x in given if (target := x.edge()) is not None]
        keep = create_graph if retain_graph is None else retain_graph
        run_backward([(edge, grad)], keep, create_graph, targets, True)

    def detach(self) -> Tensor:
        """Return a tensor on the same memory that is a leaf and requires no gradient."""
        return make(self._array, None, False)

    def detach_(self) -> Tensor:
        """Cut the tensor off from its graph."""
        if self._base is not None:
            raise GradError("detach_: a view can't be detached in place; use detach()")
        self._edge = None
        self._requires_grad = False
        return self

    @property
    def data(self) -> Tensor:
        """The tensor detached; assigning replaces the memory."""
        return self.detach()

    @data.setter
    def data(self, value: Tensor) -> None:
        if value._array.dtype is not self._array.dtype and self._requires_grad:
            _check_differentiable(value._array.dtype)
        self._array = value._array

    # ---- change in place ----

    def _check_inplace(self, name: str) -> None:
        """Raise where a change in place would be wrong."""
        strides = self._array.strides
        if any(n > 1 and s == 0 for n, s in zip(self._array.shape, strides)):
            raise GradError(
                f"{name}: several elements share memory, as expand() makes them; use clone()"
            )
        if not MODE.enabled:
            return
        base = self._base
        if self.requires_grad and self._edge is None:
            raise GradError(
                f"{name}: a leaf that requires a gradient can't be changed in place; do it "
                "under no_grad(), or out of place"
            )
        if base is not None and base._requires_grad and base._edge is None:
            raise GradError(
                f"{name}: a view of a leaf that requires a gradient can't be changed in "
                "place; do it under no_grad(), or out of place"
            )
        if base is not None and self._many_views:
            raise GradError(
                f"{name}: an output of split, chunk or unbind can't be changed in place; "
                "use clone()"
            )

    def _assign(self, name: str, result: Tensor) -> Tensor:
        """Take over the values and the place in the graph of `result`."""
        mine, theirs = self._array, result._array
        if theirs.shape != mine.shape:
            raise ShapeError(
                f"{name}: the result has shape {theirs.shape}, the tensor that is changed "
                f"in place {mine.shape}"
            )
        if theirs.dtype is not mine.dtype:
            if theirs.dtype.category > mine.dtype.category:
                raise DTypeError(
                    f"{name}: the result is {theirs.dtype.name}, which the tensor of "
                    f"{mine.dtype.name} can't hold"
                )
            result = apply(OPS["cast"], result, dtype=mine.dtype)
            theirs = result._array
        if theirs is not mine:
            if result._edge is not None:
                result._edge[0].keep_from(mine.storage)
            run("copy", (theirs,), (mine,))
        mine.storage.version += 1
        self._take_edge(result)
        return self

    def _take_edge(self, result: Tensor) -> None:
        """Let the graph go through `result`, for this tensor and its base."""
        base = self._base
        if not MODE.enabled:
            return
        if result._requires_grad and result._edge is None:
            result = apply(OPS["alias"], result)
        edge = result.edge()
        self._requires_grad = edge is not None
        self._edge = edge
        self._changes += 1
        if base is None:
            return
        base_edge = base.edge()
        if base_edge is not None or edge is not None:
            _rebase(base, base_edge, self._array, edge)
        self._base_changes = base._changes

    def _follow_base(self) -> None:
        """Renew the place in the graph if the base was changed through another view."""
        base = self._base
        if base is None or self._base_changes == base._changes:
            return
        self._base_changes = base._changes
        base_edge = base.edge()
        self._requires_grad = base_edge is not None
        self._edge = (
            None if base_edge is None else _view_edge(base, base_edge, self._array)
        )

    # ---- copies ----

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        if self.edge_source() is not None:
            raise GradError("deepcopy: only a leaf can be copied; use x.detach()")
        twin = type(self).__new__(type(self))
        twin._setup(_copy_array(self._array), None, self._requires_grad)
        twin.__dict__.update(self.__dict__)
        if self.grad is not None:
            twin.grad = self.grad.__deepcopy__(memo)
        memo[id(self)] = twin
        return twin

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        if self.edge_source() is not None:
            raise GradError("pickle: only a leaf can be pickled; use x.detach()")
        values = np.ascontiguousarray(self._array.numpy()).reshape(self._array.shape)
        state = (type(self), values.copy(), self._requires_grad, dict(self.__dict__))
        return _unpickle, state


def _unpickle(
    kind: type[Tensor],
    values: np.ndarray[Any, Any],
    requires_grad: bool,
    more: dict[str, Any],
) -> Tensor:
    tensor = kind.__new__(kind)
    array = empty(values.shape, as_dtype(values.dtype))
    array.numpy()[...] = values
    tensor._setup(array, None, requires_grad)
    tensor.__dict__.update(more)
    return tensor


class RemovableHandle:
    """Removes a hook; also usable in a with statement."""

    _next_id = 0

    def __init__(self, hooks: dict[int, Any], hook: Any) -> None:
        self.id = RemovableHandle._next_id
        RemovableHandle._next_id += 1
        hooks[self.id] = hook
        self._hooks = hooks

    def remove(self) -> None:
        """Take the hook away."""
        self._hooks.pop(self.id, None)

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(self, *error: object) -> None:
        self.remove()


# functions from above that methods need: "tensor" makes one from data, "format" prints
# it
_BOUND: dict[str, Callable[..., Any]] = {}


_new = object.__new__


def make(array: Array, edge: Edge | None, requires_grad: bool) -> Tensor:
    """A tensor on an array."""
    tensor = _new(Tensor)
    tensor._array = array
    tensor._edge = edge
    tensor._requires_grad = requires_grad
    tensor.grad = tensor._base = tensor._hooks = tensor._post_hooks = None
    tensor._changes = 0
    return tensor


def _check_differentiable(dtype: DType) -> None:
    if dtype.category != FLOATING:
        raise DTypeError(
            f"requires_grad: only floating tensors can have a gradient, got {dtype.name}"
        )


def _copy_array(array: Array) -> Array:
    copy = empty(array.shape, array.dtype)
    run("copy", (array,), (copy,))
    return copy


def root_gradient(root: Tensor, gradient: Tensor | None) -> Tensor:
    """The gradient to start a backward pass with: given, or 1 for a single element."""
    array = root._array
    if gradient is None:
        if array.size != 1:
            raise GradError(
                f"backward: the tensor has shape {array.shape}; a gradient is implied for "
                "one element alone, so reduce it (.sum(), .mean()) or pass `gradient`"
            )
        one = constant(1.0, array.dtype)._array
        return make(one.view(array.shape, (0,) * array.ndim), None, False)
    if gradient._array.shape != array.shape:
        raise ShapeError(
            f"backward: the gradient has shape {gradient._array.shape}, the tensor "
            f"{array.shape}"
        )
    return gradient


# ---- views that are changed in place ----


def _geometry(base: Array, view: Array) -> dict[str, Any]:
    """Where a view lies in its base, in elements from the base's first."""
    if not base.is_dense():
        raise GradError(
            "in place: the base of the view has gaps in memory; use clone() first"
        )
    return {
        "base_strides": base.strides,
        "shape": view.shape,
        "strides": view.strides,
        "offset": view.offset - base.offset,
    }


def _rebase(
    base: Tensor, base_edge: Edge | None, view: Array, edge: Edge | None
) -> None:
    """Record that the base is now its old self with `view` written into it."""
    geometry = _geometry(base._array, view)
    del geometry["shape"]
    op = OPS["as_strided_scatter"]
    inputs = (base._array, view)
    ctx = Context(geometry)
    needs = (base_edge is not None, edge is not None)
    node = record(op, ctx, needs, inputs, (base_edge, edge), base._array)
    base._edge = (node, 0)
    base._requires_grad = True
    base._changes += 1


def _view_edge(base: Tensor, base_edge: Edge, view: Array) -> Edge:
    """An edge for a view whose base got a new place in the graph."""
    ctx = Context(_geometry(base._array, view))
    node = record(OPS["as_strided"], ctx, (True,), (base._array,), (base_edge,), view)
    return node, 0


# ---- calling ops ----


def constant(value: Any, dtype: DType) -> Tensor:
    """A 0-dimensional tensor that is not to be changed; they are kept and shared."""
    return make(backends.constant(value, dtype), None, False)


def _operand_dtype(inputs: Sequence[Any]) -> DType:
    """That of the first tensor; a bool one is a condition, if there is another."""
    dtypes = [each._array.dtype for each in inputs if isinstance(each, Tensor)]
    numbers = [dtype for dtype in dtypes if dtype.category != BOOLEAN]
    return (numbers or dtypes or [_default_dtype])[0]


def _constant_array(op: Op, value: Any, inputs: Sequence[Any]) -> Array:
    """An input that is a number."""
    if not isinstance(value, NUMBERS):
        raise TypeError(
            f"{op.name}: expected a tensor, got {type(value).__name__}; likely fix: "
            "pyautodl.tensor(...)"
        )
    return backends.constant(value, _operand_dtype(inputs))


def apply(op: Op, *inputs: Any, **attrs: Any) -> Any:
    """Run an op on tensors and record the call if an input needs a gradient.

    Args:
        op: the record of the op.
        inputs: tensors, None where an input is absent, or numbers, which become
            constants of the first tensor's element type.
        attrs: the op's attributes.

    Returns:
        A tensor, or a tuple of them where the op has several outputs.
    """
    arrays: list[Array | None] = []
    layouts: list[bytes | None] = []
    edges: list[Edge | None] = []
    needed = False
    for x in inputs:
        if isinstance(x, Tensor):
            if x._base is not None:
                x._follow_base()
            array = x._array
            arrays.append(array)
            layouts.append(array._layout or array.layout())
            if x._requires_grad:
                needed = True
                edges.append(x._edge or (x, 0))
            else:
                edges.append(None)
        elif x is None:
            arrays.append(None)
            layouts.append(None)
            edges.append(None)
        else:
            array = _constant_array(op, x, inputs)
            arrays.append(array)
            layouts.append(array.layout())
            edges.append(None)
    recording = needed and MODE.enabled
    if op.plan is not None:
        plan = look_up(op, layouts, arrays, attrs)
        floats = op.params(**attrs) if attrs and op.params else plan.floats
    else:
        needs = (
            tuple([edge is not None for edge in edges])
            if recording
            else (False,) * len(edges)
        )
        plan, key, floats = find_trace(op, layouts, needs, attrs)
    if plan is not None:
        result = plan.call(arrays, floats)
        recording = recording and plan.differentiable
        node = (
            record_planned(op, plan, attrs, arrays, edges, result)
            if recording
            else None
        )
        if plan.shown is not None:
            result = result[plan.shown]
    else:
        recording = _differentiable(op.rule(*arrays, **attrs)) and recording
        ctx = Context(attrs)
        wanted = needs if recording else (False,) * len(arrays)
        result = run_rule(op, ctx, key, arrays, wanted, attrs)
        node = record(op, ctx, needs, arrays, edges, result) if recording else None
    if type(result) is tuple:
        many = tuple([_output(node, i, array) for i, array in enumerate(result)])
        if op.view:
            _mark_views(inputs[0], many)
        return many
    output = make(result, None if node is None else (node, 0), node is not None)
    if op.view:
        _mark_views(inputs[0], (output,))
    elif node is not None and op.name == "add":
        _warn_if_released(edges, arrays)
    return output


def _differentiable(specs: tuple[Spec, ...]) -> bool:
    """Whether an output can have a gradient."""
    if len(specs) == 1:
        return specs[0].dtype.category == FLOATING
    return any(spec.dtype.category == FLOATING for spec in specs)


def _output(node: Node | None, number: int, array: Array) -> Tensor:
    """One of several outputs; some of them may be integers."""
    if node is None or array.dtype.category != FLOATING:
        return make(array, None, False)
    return make(array, (node, number), True)


def _mark_views(source: Tensor, views: Sequence[Tensor]) -> None:
    """Note whose memory the views show."""
    base = source if source._base is None else source._base
    many = len(views) > 1 or (base is not source and source._many_views)
    for view in views:
        if view._array.storage is base._array.storage:
            view._base = base
            view._base_changes = base._changes
            view._many_views = many


def _warn_if_released(
    edges: Sequence[Edge | None], arrays: Sequence[Array | None]
) -> None:
    """`total += loss` keeps what is left of every step's graph alive."""
    for edge, array in zip(edges, arrays):
        if edge is None or array is None or array.shape:
            continue
        if type(edge[0]) is Node and edge[0].released:
            warnings.warn(
                "add: a tensor whose graph backward has already freed is added to another, "
                "which keeps the graphs of all steps alive; use loss.item()",
                stacklevel=4,
            )
            edge[0].released = False
            return


def call(op: str, *inputs: Any, **attrs: Any) -> Any:
    """`apply` by the op's name, as gradients use it."""
    return apply(OPS[op], *inputs, **attrs)


def call_unrecorded(op: str, *inputs: Any, **attrs: Any) -> Any:
    """`call` in a backward pass that is not recorded itself.

    The inputs come from a call that was checked when it ran, and nothing of this one is
    kept, so only the forward rule is left.
    """
    return call_watched(op, inputs, attrs)[0]


def call_watched(op: str, inputs: Sequence[Any], attrs: Any) -> Called:
    """`call_unrecorded` that also says by what plan the op ran, see `ops.repeat`."""
    found = OPS[op]
    arrays: list[Array | None] = []
    layouts: list[bytes | None] = []
    for x in inputs:
        if x is None:
            arrays.append(None)
            layouts.append(None)
            continue
        if isinstance(x, Tensor):
            array = x._array
        else:
            array = backends.constant(x, _operand_dtype(inputs))
        arrays.append(array)
        layouts.append(array._layout or array.layout())
    if found.plan is not None:
        plan = look_up(found, layouts, arrays, attrs)
        floats = found.params(**attrs) if attrs and found.params else plan.floats
    else:
        needs = (False,) * len(arrays)
        plan, key, floats = find_trace(found, layouts, needs, attrs)
    if plan is not None:
        result = plan.call(arrays, floats)
        if plan.shown is not None:
            result = result[plan.shown]
    else:
        result = run_rule(found, Context(attrs), key, arrays, needs, attrs)
        plan = False if key is None else None
    if found.changes:
        plan = False
    if type(result) is tuple:
        made: Any = tuple([make(array, None, False) for array in result])
    else:
        made = make(result, None, False)
    return made, plan, arrays, floats


bind(make, call, call_unrecorded, call_watched)


# ---- for functional ----


def operands(name: str, x: Any, y: Any) -> tuple[Tensor, Tensor]:
    """The two operands of a function as tensors of their promoted element type.

    Python and NumPy scalars are weak: they count only if their kind (bool, integer,
    float) is above the tensor's.
    """
    if isinstance(x, Tensor) and isinstance(y, Tensor):
        if x._array.dtype is y._array.dtype:
            return x, y
        dtype = _promote(x, y)
        return _to(x, dtype), _to(y, dtype)
    if isinstance(x, Tensor):
        other, dtype = _weak(name, y, x)
        return (x, other) if x._array.dtype is dtype else (_to(x, dtype), other)
    if isinstance(y, Tensor):
        other, dtype = _weak(name, x, y)
        return (other, y) if y._array.dtype is dtype else (other, _to(y, dtype))
    raise TypeError(
        f"{name}: expected a tensor, got {type(x).__name__} and {type(y).__name__}"
    )


def _promote(x: Tensor, y: Tensor) -> DType:
    """PyTorch's table; a 0-dimensional tensor counts only by its kind."""
    a, b = x._array.dtype, y._array.dtype
    if a.category == b.category:
        if x.ndim and not y.ndim:
            return a
        if y.ndim and not x.ndim:
            return b
    elif x.ndim and not y.ndim and a.category > b.category:
        return a
    return promote_types(a, b)


def _weak(name: str, value: Any, beside: Tensor) -> tuple[Tensor, DType]:
    """A number as a constant, and the element type of the operation."""
    mine = beside._array.dtype
    if isinstance(value, (np.ndarray, list, tuple)):
        other = _BOUND["tensor"](value)
        dtype = _promote(beside, other)
        return _to(other, dtype), dtype
    if isinstance(value, (bool, np.bool_)):
        dtype = mine
    elif isinstance(value, (int, np.integer)):
        dtype = int64 if mine.category == BOOLEAN else mine
    elif isinstance(value, (float, np.floating)):
        dtype = mine if mine.category == FLOATING else _default_dtype
    else:
        raise TypeError(
            f"{name}: expected a tensor or a number, got {type(value).__name__}"
        )
    number = value.item() if isinstance(value, np.generic) else value
    return constant(number, dtype), dtype


def _to(x: Tensor, dtype: DType) -> Tensor:
    return x if x._array.dtype is dtype else apply(OPS["cast"], x, dtype=dtype)


def inplace(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """The in-place variant of a function whose result has its first input's shape."""
    name = f"{function.__name__}_"

    @functools.wraps(function)
    def changed(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        self._check_inplace(name)
        return self._assign(name, function(self, *args, **kwargs))

    changed.__name__ = changed.__qualname__ = name
    changed.__doc__ = f"Apply `{function.__name__}` in place and return the tensor."
    return changed


def overwrite(name: str, op: Op, x: Tensor, *others: Any, **attrs: Any) -> Tensor:
    """Write `op` of x and others over x: what `inplace` does, for functions of one op."""
    x._check_inplace(name)
    mine = x._array
    needs = tuple([isinstance(t, Tensor) and t.requires_grad for t in (x, *others)])
    recording = MODE.enabled and True in needs
    # the memory as an input, apart from the same memory as the output
    arrays = [mine.view(mine.shape, mine.strides), *_arrays_of(others, mine.dtype)]
    if (
        (recording and (op.keeps_first or x._base is not None))
        or op.rule(*arrays, **attrs)[0] != (mine.shape, mine.dtype)
        or any(_is_read_elsewhere(each, mine) for each in arrays[1:])
    ):
        return x._assign(name, apply(op, x, *others, **attrs))
    ctx = Context(attrs, mine)
    op.forward(ctx, needs if recording else (False,) * len(needs), *arrays, **attrs)
    mine.storage.version += 1
    edge = None
    if recording:
        edges = [t.edge() if need else None for t, need in zip((x, *others), needs)]
        edge = (record(op, ctx, needs, arrays, edges, mine), 0)
    x._take_edge(make(mine, edge, recording))
    return x


def _arrays_of(inputs: Sequence[Any], dtype: DType) -> list[Array]:
    return [
        x._array if isinstance(x, Tensor) else backends.constant(x, dtype)
        for x in inputs
    ]


def _is_read_elsewhere(array: Array, target: Array) -> bool:
    """Whether writing element i of the target may change another element of the array."""
    return array.storage is target.storage and (
        (array.offset, array.shape, array.strides)
        != (target.offset, target.shape, target.strides)
    )


def method(*names: Any, inplace: bool = False) -> Any:
    """Register a function as a method of Tensor, under its own name or those given.

    Args:
        names: names of the method; the function itself when used without brackets.
        inplace: also register the variant in place, with an underscore at the end.
    """
    if len(names) == 1 and callable(names[0]):
        setattr(Tensor, names[0].__name__, names[0])
        return names[0]

    def decorate(function: Function) -> Function:
        for name in names or (function.__name__,):
            setattr(Tensor, name, function)
        if inplace:
            variant = globals()["inplace"](function)
            setattr(Tensor, variant.__name__, variant)
        return function

    return decorate
