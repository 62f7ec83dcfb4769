"""What all optimizers share: groups of parameters, their state, and the step.

A step is one kernel call for each group (and element type), over tables of arrays. The
tables are packed once and used again while gradients keep their addresses, as they do
from step to step of one model.
"""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from pyautodl.autograd.grad_mode import enable_grad
from pyautodl.backends import (
    Array,
    Table,
    constant,
    empty,
    empty_strides_like,
    from_numpy,
    run,
)
from pyautodl.backends.dtypes import FLOATING, DType, float32, float64
from pyautodl.errors import DTypeError, ShapeError
from pyautodl.tensor import Tensor, make

__all__ = ["Optimizer", "ParamGroup"]


class ParamGroup(dict[str, Any]):
    """A group of `param_groups`: a dict whose numbers kernels can read.

    Setting one of the entries `names` also writes it to `buffer`, a float64 array, so
    that a schedule reaches a recorded step too. An entry may be several numbers, as
    betas are.
    """

    def __init__(self, names: Sequence[str], values: Mapping[str, Any]) -> None:
        super().__init__(values)
        self._names = tuple(names)
        count = len(self._numbers())
        self.buffer = empty((count,), float64)
        self._write()

    def _numbers(self) -> list[float]:
        numbers: list[float] = []
        for name in self._names:
            value = self[name]
            several = value if isinstance(value, (tuple, list)) else (value,)
            numbers.extend(float(each) for each in several)
        return numbers

    def _write(self) -> None:
        self.buffer.numpy()[...] = self._numbers()

    def __setitem__(self, key: str, value: Any) -> None:
        super().__setitem__(key, value)
        if key in self._names:
            self._write()

    def update(self, *args: Any, **kwargs: Any) -> None:
        """Set several entries."""
        super().update(*args, **kwargs)
        self._write()

    def __reduce__(self) -> tuple[Any, ...]:
        return ParamGroup, (self._names, dict(self))

    def __deepcopy__(self, memo: dict[int, Any]) -> ParamGroup:
        return ParamGroup(self._names, copy.deepcopy(dict(self), memo))


class _Call:
    """One kernel call of a group: tables of one element type."""

    __slots__ = ("copies", "first", "grads", "numbers", "others", "params")

    def __init__(self) -> None:
        # which of the group's gradients, in order
        self.numbers: list[int] = []
        self.grads: Table
        self.params: Table
        self.others: list[Table | None] = []
        self.first = False
        # parameters with gaps in memory: (parameter, its dense twin)
        self.copies: list[tuple[Array, Array]] = []


class _Plan:
    """The calls of a group, good as long as `key` stays the same.

    The tables of gradients are packed for `addresses`, which may change from step to
    step; it is all that is packed again then.
    """

    __slots__ = ("addresses", "calls", "key")

    def __init__(self) -> None:
        self.key: list[Any] | None = None
        self.addresses: list[int] = []
        self.calls: list[_Call] = []


class Optimizer:
    """The base of optimizers.

    Args:
        params: parameters, (name, parameter) pairs, or dicts of them with options for
            each group.
        defaults: the options of groups that do not give their own.

    A subclass says what its kernel reads: `hyper` names the options in the order of the
    kernel's buffer, `states` and `flags` give the rest. One without a kernel writes `step`
    itself, with what it keeps for a parameter in `self.state[parameter]`.

    Example:
        >>> import pyautodl as ad
        >>> class Descent(ad.optim.Optimizer):
        ...     def __init__(self, params, lr):
        ...         super().__init__(params, {"lr": lr})
        ...     @ad.no_grad()
        ...     def step(self, closure=None):
        ...         for group in self.param_groups:
        ...             for p in group["params"]:
        ...                 p.sub_(group["lr"] * p.grad)
        >>> w = ad.tensor([1.0], requires_grad=True)
        >>> (3 * w).sum().backward()
        >>> Descent([w], lr=0.1).step()
        >>> w.detach()
        tensor([0.7000])
    """

    kernel: ClassVar[str] = ""
    hyper: ClassVar[tuple[str, ...]] = ()
    # options of PyTorch that choose an implementation there and mean nothing here
    hints: ClassVar[tuple[str, ...]] = ("foreach", "fused", "capturable")

    def __init__(self, params: Any, defaults: dict[str, Any]) -> None:
        if isinstance(params, Tensor):
            raise TypeError(
                "params: expected an iterable of tensors or dicts, got one tensor; "
                "likely fix: model.parameters()"
            )
        if defaults.get("differentiable"):
            raise NotImplementedError(
                f"{type(self).__name__}: differentiable=True is not supported"
            )
        self.defaults = defaults
        self.state: defaultdict[Any, dict[str, Any]] = defaultdict(dict)
        self.param_groups: list[ParamGroup] = []
        self._plans: list[_Plan] = []
        groups = list(params)
        if not groups:
            raise ValueError("optimizer got an empty parameter list")
        if not isinstance(groups[0], dict):
            groups = [{"params": groups}]
        for group in groups:
            self.add_param_group(dict(group))

    # ---- what a subclass says ----

    def states(self, group: ParamGroup) -> tuple[str | None, ...]:
        """The entries of a parameter's state in the kernel's order; None: absent."""
        raise NotImplementedError

    def flags(self, group: ParamGroup, first: bool) -> tuple[int, ...]:
        """The kernel's integers, the last of which is always whether to go uphill."""
        return (int(group["maximize"]),)

    def new_state(self, name: str, param: Array, group: ParamGroup) -> Array:
        """The first value of an entry: 0, laid out as the parameter."""
        dtype = float32 if name == "step" else param.dtype
        shape = () if name == "step" else param.shape
        return filled(
            shape, dtype, empty_strides_like(shape, param.strides[: len(shape)])
        )

    # ---- groups ----

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group of parameters with options of its own.

        Raises:
            TypeError: `params` holds something else than tensors.
            ValueError: a parameter is no leaf, or is in a group already.
        """
        params = param_group["params"]
        if isinstance(params, set):
            raise TypeError("params: expected an ordered collection, got a set")
        given = [params] if isinstance(params, Tensor) else list(params)
        names = [each[0] for each in given if isinstance(each, tuple)]
        given = [each[1] if isinstance(each, tuple) else each for each in given]
        for each in given:
            _check_param(each)
        known = {id(each) for group in self.param_groups for each in group["params"]}
        if len({id(each) for each in given}) < len(given):
            raise ValueError("params: a parameter appears twice in one group")
        if any(id(each) in known for each in given):
            raise ValueError("params: some parameters appear in more than one group")
        values = {**self.defaults, **param_group, "params": given}
        if names:
            values["param_names"] = names
        self.param_groups.append(ParamGroup(self.hyper, values))
        self._plans.append(_Plan())

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients.

        Args:
            set_to_none: drop them; False: overwrite them with 0.
        """
        for group in self.param_groups:
            for param in group["params"]:
                # the slots, as what is put there needs no check
                if set_to_none or param._grad is None:
                    param._grad = None
                else:
                    param._grad = make(_zeros_like(param._grad._array), None, False)

    # ---- the step ----

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Change the parameters once, by their gradients.

        Args:
            closure: computes the loss and its gradients first.

        Returns:
            What the closure returned.

        Raises:
            NotImplementedError: the class has no kernel and no step of its own.
        """
        if not self.kernel:
            raise NotImplementedError(f"{type(self).__name__} must define step")
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        for group, plan in zip(self.param_groups, self._plans):
            params, grads, key, addresses = [], [], [], []
            for p in group["params"]:
                if p._grad is None:
                    continue
                array, grad = p._array, p._grad._array
                params.append(p)
                grads.append(grad)
                key.append(array)
                key.append(grad._layout or grad.layout())
                addresses.append(grad.address)
            if not params:
                continue
            self._renew(plan, group, params, grads, key, addresses)
            for call in plan.calls:
                self._run(group, call, grads)
            for p in params:
                p._array.storage.version += 1
        return loss

    def _renew(
        self,
        plan: _Plan,
        group: ParamGroup,
        params: list[Tensor],
        grads: list[Array],
        key: list[Any],
        addresses: list[int],
    ) -> None:
        """Make the calls of a plan fit the gradients that there are now.

        `key` is each parameter's array and the layout of its gradient.
        """
        if key != plan.key:
            plan.calls = self._plan(group, params, grads)
            once = any(call.first or call.copies for call in plan.calls)
            plan.key = None if once else key
        elif addresses != plan.addresses:
            for call in plan.calls:
                call.grads.move([grads[i] for i in call.numbers])
        plan.addresses = addresses

    def _run(self, group: ParamGroup, call: _Call, grads: list[Array]) -> None:
        if len(call.numbers) < len(grads):
            grads = [grads[i] for i in call.numbers]
        # the arrays are lent for the call: a kept table must not hold gradients
        if not call.copies:
            call.grads.arrays = grads
        for param, dense in call.copies:
            run("copy", (param,), (dense,))
        reads = (call.grads, group.buffer)
        run(
            self.kernel,
            reads,
            (call.params, *call.others),
            self.flags(group, call.first),
        )
        for param, dense in call.copies:
            run("copy", (dense,), (param,))
        call.grads.arrays = []

    def _plan(
        self, group: ParamGroup, params: list[Tensor], grads: list[Array]
    ) -> list[_Call]:
        """The calls for parameters that have gradients now."""
        for param, grad in zip(params, grads):
            _check_grad(type(self).__name__, param._array, grad)
        names = self.states(group)
        sorts: dict[tuple[DType, bool], _Call] = {}
        for i, param in enumerate(params):
            state = self.state[param]
            missing = [name for name in names if name and state.get(name) is None]
            call = sorts.setdefault((param.dtype, bool(missing)), _Call())
            call.first = bool(missing)
            call.numbers.append(i)
            for name in missing:
                array = self.new_state(name, param._array, group)
                state[name] = make(array, None, False)
        for call in sorts.values():
            self._pack(call, names, params, grads)
        return list(sorts.values())

    def _pack(
        self,
        call: _Call,
        names: tuple[str | None, ...],
        params: list[Tensor],
        grads: list[Array],
    ) -> None:
        """Fill a call's tables; what does not lie as its parameter is copied."""
        targets, sources = [], []
        for i in call.numbers:
            array, grad = params[i]._array, grads[i]
            strides = empty_strides_like(array.shape, array.strides)
            target = array
            if array.strides != strides and not array.is_contiguous():
                target = empty(array.shape, array.dtype, strides)
                call.copies.append((array, target))
            targets.append(target)
            sources.append(grad if grad.strides == strides else _relaid(grad, strides))
            if sources[-1] is not grad:
                call.copies.append((grad, sources[-1]))
        call.params, call.grads = Table(targets), Table(sources)
        states = [self.state[params[i]] for i in call.numbers]
        call.others = [
            Table([state[name]._array for state in states]) if name else None
            for name in names
        ]

    # ---- saving ----

    def state_dict(self) -> dict[str, Any]:
        """Return the state and the groups, with numbers in place of parameters."""
        numbers: dict[int, int] = {}
        for group in self.param_groups:
            for param in group["params"]:
                numbers[id(param)] = len(numbers)
        groups = [
            {**group, "params": [numbers[id(each)] for each in group["params"]]}
            for group in self.param_groups
        ]
        state = {
            numbers.get(id(key), key): dict(value) for key, value in self.state.items()
        }
        return {"state": state, "param_groups": groups}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over what `state_dict` gave, by the order of the parameters.

        Args:
            state_dict: of this library or of PyTorch; it is copied.

        Raises:
            ValueError: it has other groups, or groups of other sizes.
        """
        saved = state_dict["param_groups"]
        if len(saved) != len(self.param_groups):
            raise ValueError(
                f"load_state_dict: expected {len(self.param_groups)} parameter groups, "
                f"got {len(saved)}"
            )
        by_number: dict[Any, Tensor] = {}
        for i, (theirs, mine) in enumerate(zip(saved, self.param_groups)):
            if len(theirs["params"]) != len(mine["params"]):
                raise ValueError(
                    f"load_state_dict: group {i} has {len(mine['params'])} parameters, "
                    f"the saved one {len(theirs['params'])}"
                )
            by_number.update(zip(theirs["params"], mine["params"]))
        state: defaultdict[Any, dict[str, Any]] = defaultdict(dict)
        for key, entries in state_dict["state"].items():
            param = by_number.get(key)
            if param is None:
                state[key] = copy.deepcopy(entries)
            else:
                state[param] = {
                    name: _loaded(name, value, param)
                    if self.kernel or isinstance(value, Tensor)
                    else copy.deepcopy(value)
                    for name, value in entries.items()
                }
        self.state = state
        for theirs, mine in zip(saved, self.param_groups):
            mine.update(
                {k: copy.deepcopy(v) for k, v in theirs.items() if k != "params"}
            )
        self._plans = [_Plan() for _ in self.param_groups]

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in self.__dict__.items() if k != "_plans"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._plans = [_Plan() for _ in self.param_groups]

    def __repr__(self) -> str:
        lines = [f"{type(self).__name__} ("]
        for i, group in enumerate(self.param_groups):
            lines.append(f"Parameter Group {i}")
            lines += [
                f"    {key}: {group[key]}" for key in sorted(group) if key != "params"
            ]
        return "\n".join([*lines, ")"])


def check_not_negative(name: str, **options: float) -> None:
    """Raise for an option below 0."""
    for option, value in options.items():
        if not value >= 0:
            raise ValueError(f"{name}: {option} must not be negative, got {value}")


def check_betas(name: str, betas: Sequence[float]) -> None:
    """Raise for a factor of a running mean that is not in [0, 1)."""
    for i, beta in enumerate(betas):
        if not 0 <= beta < 1:
            raise ValueError(f"{name}: betas[{i}] must be in [0, 1), got {beta}")


def _check_param(param: Any) -> None:
    if not isinstance(param, Tensor):
        raise TypeError(f"params: expected tensors, got {type(param).__name__}")
    if not param.is_leaf:
        raise ValueError("params: can't optimize a tensor that is no leaf")
    if param.dtype.category != FLOATING:
        raise DTypeError(f"params: expected floating tensors, got {param.dtype.name}")


def _check_grad(name: str, param: Array, grad: Array) -> None:
    if grad.shape != param.shape:
        raise ShapeError(
            f"{name}: a gradient has another shape than its parameter (grad "
            f"{grad.shape}, parameter {param.shape})"
        )
    if grad.dtype is not param.dtype:
        raise DTypeError(
            f"{name}: a gradient is {grad.dtype.name}, its parameter {param.dtype.name}"
        )


def filled(
    shape: tuple[int, ...],
    dtype: DType,
    strides: tuple[int, ...] | None = None,
    value: float = 0.0,
) -> Array:
    out = empty(shape, dtype, strides)
    run("copy", (constant(value, dtype).view(shape, (0,) * len(shape)),), (out,))
    return out


def _zeros_like(array: Array) -> Array:
    strides = empty_strides_like(array.shape, array.strides)
    return filled(array.shape, array.dtype, strides)


def _relaid(array: Array, strides: tuple[int, ...]) -> Array:
    out = empty(array.shape, array.dtype, strides)
    run("copy", (array,), (out,))
    return out


def _loaded(name: str, value: Any, param: Tensor) -> Any:
    """A saved entry as a tensor of the parameter's element type and layout."""
    if value is None or isinstance(value, (bool, str, dict, list, tuple)):
        return copy.deepcopy(value)
    if name == "step" or not isinstance(value, Tensor):
        value = np.asarray(value.detach() if hasattr(value, "detach") else value)
        dtype = float32 if name == "step" else param.dtype
        source = from_numpy(np.array(value, dtype.numpy))
    else:
        source = value._array
    if source.dtype.category != FLOATING:
        return make(_relaid(source, source.strides), None, False)
    array = param._array
    same = source.shape == array.shape
    strides = empty_strides_like(source.shape, (array if same else source).strides)
    if source.dtype is not array.dtype and name != "step":
        source = make(source, None, False).to(array.dtype)._array
    return make(_relaid(source, strides), None, False)
