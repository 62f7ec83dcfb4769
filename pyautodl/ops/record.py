"""The record of an op: what it checks, computes, saves and how it is differentiated.

An op is declared once. Tests, gradient checks and benchmarks are generated from its
samples and error cases; the graph knows nothing of an op beyond this record.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from importlib import import_module
from marshal import dumps
from types import MappingProxyType
from typing import Any, NamedTuple

from pyautodl.backends import native
from pyautodl.backends.dtypes import DType
from pyautodl.backends.fields import OpFields

__all__ = [
    "OPS",
    "Attributes",
    "Changing",
    "ErrorCase",
    "Op",
    "OpTable",
    "Places",
    "Sample",
    "Spec",
    "by_dim",
    "keeper_in_python",
    "kept_attributes",
    "kept_beside",
    "named_attributes",
    "register",
]

# attributes of one op that are kept; more than that, and it starts anew
_MOST = 1024
_PLAIN = (int, float, bool, str, type(None))

# numbers of inputs and, after them, outputs; None: nothing
Places = tuple[int | None, ...]


class Spec(NamedTuple):
    """Shape and element type of one output."""

    shape: tuple[int, ...]
    dtype: DType


class Attributes(dict[str, Any]):
    """The attributes of calls, made once for the same arguments and never changed.

    As part of a key they stand for themselves: nobody has to look at their values.
    """

    __slots__ = ()
    __hash__ = object.__hash__  # type: ignore[assignment]


def keeper_in_python(
    make: Callable[..., Any], find: Callable[..., Any], beside: int
) -> Callable[..., Any]:
    """The function that keeps what `make` gives of its arguments, if they are plain; of
    others it returns what `find` does.

    The first `beside` arguments are objects that stand for themselves.
    """
    kept: dict[tuple[Any, ...], Any] = {}

    def attributes(*arguments: Any) -> Any:
        # (1, 1), (1.0, 1) and (True, 1) are one key of a dictionary, and other bytes
        try:
            key = *arguments[:beside], dumps(arguments[beside:], 2)
        except ValueError:
            return find(*arguments)
        found = kept.get(key)
        if found is None:
            if not _are_plain(arguments[beside:]):
                return find(*arguments)
            if len(kept) >= _MOST:
                kept.clear()
            found = kept[key] = make(*arguments)
        return found

    return attributes


_keeper: Callable[..., Callable[..., Any]] = keeper_in_python
if native.available:
    _keeper = native.dispatch.keeper


def kept_attributes(
    find: Callable[..., dict[str, Any]],
) -> Callable[..., dict[str, Any]]:
    """The function `find`, which gives attributes, with those of former calls kept."""
    return _keeper(lambda *arguments: Attributes(find(*arguments)), find, 0)


class Changing(dict[str, Any]):
    """The attributes of calls that change one array among them, kept like `Attributes`.

    Attributes:
        plain: they with the array's layout in its place, for all arrays of that layout;
            as part of a key it stands for them.
    """

    __slots__ = ("plain",)

    plain: Attributes


def kept_beside(
    name: str,
) -> Callable[[Callable[..., dict[str, Any]]], Callable[..., dict[str, Any]]]:
    """What makes of a function `find` of plain values, which gives attributes, one of an
    array before them: with the array, which calls change, as the attribute `name`.

    Kept are they for each array, and what is part of a key for all arrays of one layout.
    """

    def decorate(find: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
        def with_first(first: Any, *arguments: Any) -> dict[str, Any]:
            return {**find(*arguments), name: first}

        plain = _keeper(lambda *given: Attributes(with_first(*given)), with_first, 1)

        def make(array: Any, *arguments: Any) -> Changing:
            found = Changing(with_first(array, *arguments))
            found.plain = plain(array.layout(), *arguments)
            return found

        return _keeper(make, with_first, 1)

    return decorate


def _are_plain(values: Iterable[Any]) -> bool:
    """Whether the bytes tell all about values: an array's are its memory alone."""
    return all(
        _are_plain(each) if type(each) in (tuple, list) else type(each) in _PLAIN
        for each in values
    )


@kept_attributes
def _by_dim(dim: Any) -> dict[str, Any]:
    return {"dim": dim}


# of the axes that there can be
_AXES: dict[int, dict[str, Any]] = {axis: _by_dim(axis) for axis in range(-32, 32)}


def by_dim(dim: Any) -> dict[str, Any]:
    """The attributes of an op along one axis."""
    known = _AXES.get(dim) if type(dim) is int else None
    return _by_dim(dim) if known is None else known


def named_attributes(*names: str) -> Callable[..., dict[str, Any]]:
    """The function of values that gives them as attributes of such names, kept."""
    return kept_attributes(lambda *values: dict(zip(names, values, strict=True)))


class Sample(NamedTuple):
    """Inputs for one example call.

    Floating inputs are float64 NumPy arrays; tests cast them. `gradient` says whether
    the call is differentiable at this point (no kink, no tie); `tolerance` scales the
    allowed error for ill-conditioned calls.
    """

    inputs: tuple[Any, ...]
    attrs: Mapping[str, Any] = MappingProxyType({})
    gradient: bool = True
    tolerance: float = 1.0


class ErrorCase(NamedTuple):
    """A call that must be refused: with which exception and which words (a regex)."""

    inputs: tuple[Any, ...]
    attrs: Mapping[str, Any]
    exception: type[Exception]
    match: str


class Op(OpFields):
    """What an op is; the fields are plain functions.

    Args:
        name: the op's name, the same in errors, tables and tests.
        rule: rule(*arrays, **attrs) -> tuple of Spec; checks everything before compute.
        forward: forward(ctx, needs, *arrays, **attrs) -> Array or tuple of Array.
        vjp: vjp(call, ctx, needs, *grads) -> one Tensor or None for each input, written
            with other ops through `call(op, *tensors, **attrs)`.
        samples: () -> iterable of Sample.
        errors: () -> iterable of ErrorCase.
        composition: composition(call, *tensors, **attrs), the same value from plain
            ops; differentiated instead of vjp when a graph of the gradient is wanted.
            forward then saves all inputs first, in order.
        reference: NumPy oracle f(*ndarrays, **attrs); default the reference backend.
        gradient_of: for the fused gradient of another op, that op's name.
        view: the output shares the first input's memory.
        elementwise: output i depends on input i alone, so it may overwrite its input.
        keeps_first: the gradient may need the first input, so that a recorded call can't
            overwrite it.
        random: draws random numbers; samples are checked by their statistics elsewhere.
        changes: names of attributes whose arrays a call changes: an array, a tuple of them,
            or None.
        behind_relu: vjp of the op and a ReLU behind it, whose mask it finds by itself.
        plan, saves, params: see `plan.planned`, which makes such ops.
        plans: those that were made, by the kind of inputs.
        integers: see `integers.declared_integers`.
    """

    # written out: a dataclass would take as long to make as all ops to declare
    __slots__ = (
        "behind_relu",
        "composition",
        "elementwise",
        "errors",
        "forward",
        "gradient_of",
        "keeps_first",
        "random",
        "reference",
        "rule",
        "samples",
        "vjp",
    )

    def __init__(
        self,
        name: str,
        rule: Callable[..., tuple[Spec, ...]],
        forward: Callable[..., Any],
        vjp: Callable[..., tuple[Any, ...]] | None = None,
        samples: Callable[[], Iterable[Sample]] | None = None,
        errors: Callable[[], Iterable[ErrorCase]] | None = None,
        composition: Callable[..., Any] | None = None,
        reference: Callable[..., Any] | None = None,
        gradient_of: str | None = None,
        view: bool = False,
        elementwise: bool = False,
        keeps_first: bool = True,
        random: bool = False,
        changes: tuple[str, ...] = (),
        behind_relu: Callable[..., tuple[Any, ...]] | None = None,
        plan: Callable[..., Any] | None = None,
        saves: Callable[[tuple[bool, ...]], Places] | None = None,
        params: Callable[..., tuple[float, ...]] | None = None,
    ) -> None:
        self.name = name
        self.rule = rule
        self.forward = forward
        self.vjp = vjp
        self.samples = samples
        self.errors = errors
        self.composition = composition
        self.reference = reference
        self.gradient_of = gradient_of
        self.view = view
        self.elementwise = elementwise
        self.keeps_first = keeps_first
        self.random = random
        self.changes = changes
        self.behind_relu = behind_relu
        self.plan = plan
        self.saves = saves
        self.params = params
        self.plans: dict[tuple[Any, ...], Any] = {}
        self.integers: Mapping[str, Any] | None = None


class OpTable(MutableMapping[str, Op]):
    """The ops by name.

    Families of ops that few programs need are loaded when an op that isn't there, or the
    whole table, is asked for.
    """

    def __init__(self) -> None:
        self._ops: dict[str, Op] = {}
        self._modules: list[str] = []

    def load_when_missed(self, modules: Iterable[str]) -> None:
        """Name the modules that declare the other ops."""
        self._modules.extend(modules)

    def enter(self, op: Op) -> None:
        """Add an op of a new name."""
        if op.name in self._ops:
            raise ValueError(f"op {op.name!r} is declared twice")
        self._ops[op.name] = op

    def _all(self) -> dict[str, Op]:
        # another thread that comes here meanwhile waits for the module that is being loaded
        for module in self._modules:
            import_module(module)
        self._modules = []
        return self._ops

    def __getitem__(self, name: str) -> Op:
        return self._ops.get(name) or self._all()[name]

    def __setitem__(self, name: str, op: Op) -> None:
        self._ops[name] = op

    def __delitem__(self, name: str) -> None:
        del self._ops[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())


OPS = OpTable()


def register(op: Op) -> Op:
    """Enter an op in the table of ops and return it.

    Raises:
        ValueError: an op of that name is there already.
    """
    OPS.enter(op)
    return op
