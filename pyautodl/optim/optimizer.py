"""What all optimizers share: groups of parameters, their state, and the step.

A step is one kernel call for each group (and element type), over tables of arrays. The
tables are packed once and used again while gradients keep their layouts, as they do from
step to step of one model, and nobody has replaced state; such a step C repeats, see
_again.py. State that does not lie in memory as its parameter, or is of another element
type, is copied before a kernel reads it.
"""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Callable, Sequence
from inspect import ismethod
from operator import is_
from typing import Any, ClassVar

import numpy as np

from pyautodl.autograd.grad_mode import enable_grad
from pyautodl.backends import (
    Array,
    Storage,
    Table,
    constant,
    empty,
    empty_strides_like,
    from_numpy,
    native,
    run,
)
from pyautodl.backends.dtypes import FLOATING, DType, float32, float64
from pyautodl.errors import DTypeError, ShapeError
from pyautodl.ops.plan import in_order
from pyautodl.optim._again import Again, KernelStep
from pyautodl.tensor import RemovableHandle, Tensor, gradients_of, make

__all__ = ["Optimizer", "ParamGroup"]

ParamGroup = dict[str, Any]
# attributes that copies do not have; `step` is one where hooks are
_UNSAVED = ("_plans", "_seen", "_hooked", "_pre_hooks", "_post_hooks", "step")


def _holds_same_in_python(group: dict[Any, Any], values: list[Any]) -> bool:
    """Whether a dict's values are these objects, in order."""
    return len(group) == len(values) and all(map(is_, group.values(), values))


def _drop_none(params: Any) -> bool:
    """Stands for `drop_gradients` without the extension."""
    return False


_holds_same: Callable[[dict[Any, Any], list[Any]], bool] = _holds_same_in_python
_drop_gradients: Callable[[Any], bool] = _drop_none
if native.available:
    _holds_same = native.dispatch.holds_same
    _drop_gradients = native.dispatch.drop_gradients


class _Call:
    """One kernel call of a group: tables of one element type."""

    __slots__ = (
        "copies",
        "first",
        "flags",
        "grads",
        "numbers",
        "once",
        "reads",
        "writes",
    )

    def __init__(self, first: bool) -> None:
        # which of the group's gradients, in order
        self.numbers: list[int] = []
        # whether some of the states are new
        self.first = first
        # whether the tables hold what is good for one step alone
        self.once = first
        self.grads: Table
        self.reads: tuple[Any, ...]
        self.writes: tuple[Table | None, ...]
        self.flags: tuple[int, ...]
        # parameters with gaps in memory: (parameter, its dense twin)
        self.copies: list[tuple[Array, Array]] = []


class _Plan:
    """The calls of a group, good as long as `key` stays the same and states are in place.

    The tables of gradients are packed for `addresses`, which may change from step to
    step; it is all that is packed again then. Groups and states are plain dicts, which
    anybody may change, so each step looks whether they are what the plan was made of.
    """

    __slots__ = (
        "addresses",
        "again",
        "arrays",
        "buffer",
        "calls",
        "group",
        "key",
        "live",
        "names",
        "options",
        "places",
        "storages",
    )

    def __init__(self) -> None:
        self.group: ParamGroup | None = None
        # all that the group holds, and whether some of what the kernel reads from
        # `buffer` may change in place
        self.options: list[Any] = []
        self.live = False
        self.buffer: Array
        # of the states, see `Optimizer.states`
        self.names: tuple[str | None, ...] = ()
        # each parameter's array and the layout of its gradient
        self.key: list[Any] | None = None
        self.addresses: list[int] = []
        self.calls: list[_Call] = []
        # the same for C, as long as no option is another one
        self.again: Again | None = None
        # what is changed
        self.storages: list[Storage] = []
        # the arrays of states in the tables, and where they were found
        self.arrays: list[Array] = []
        self.places: list[tuple[dict[str, Any], str]] = []

    def has_states(self) -> bool:
        """Whether the tables' arrays are still the states."""
        try:
            return [state[name]._array for state, name in self.places] == self.arrays
        except (KeyError, AttributeError):  # taken away, or replaced by no tensor
            return False


class Optimizer:
    """The base of optimizers.

    Args:
        params: parameters, (name, parameter) pairs, or dicts of them with options for
            each group.
        defaults: the options of groups that do not give their own.

    A subclass says what its kernel reads: `hyper` names the options in the order of the
    kernel's buffer, `states` and `flags` give the rest. One without a kernel writes `step`
    itself, with what it keeps for a parameter in `self.state[parameter]`; what of that
    `states` names is checked and cast when it is loaded.

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
    # entries of a state that are one float32 number
    scalars: ClassVar[tuple[str, ...]] = ("step",)
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
        self._reset()
        if callable(getattr(params, "parameters", None)):
            raise TypeError(
                "params: expected an iterable of tensors or dicts, got a "
                f"{type(params).__name__}; likely fix: model.parameters()"
            )
        if ismethod(params):
            raise TypeError(
                "params: expected an iterable of tensors or dicts, got the method "
                f"{params.__name__}; likely fix: call it: {params.__name__}()"
            )
        groups = list(params)
        if not groups:
            raise ValueError(
                f"{type(self).__name__}: expected parameters, got none; likely fix: layers "
                "kept in a list belong in nn.ModuleList, those in a dict in nn.ModuleDict"
            )
        if not isinstance(groups[0], dict):
            groups = [{"params": groups}]
        for group in groups:
            self.add_param_group(dict(group))

    def _reset(self) -> None:
        """Forget what is not saved."""
        self._plans: list[_Plan] = []
        # the `state` that the plans were made for, and the entries that it had
        self._seen: tuple[dict[Any, Any], list[dict[str, Any]]] = ({}, [])
        self._hooked = False
        self._pre_hooks: dict[int, Callable[..., Any]] = {}
        self._post_hooks: dict[int, Callable[..., Any]] = {}

    # ---- what a subclass says ----

    def states(self, group: ParamGroup) -> tuple[str | None, ...]:
        """The entries of a parameter's state in the kernel's order; None: absent."""
        raise NotImplementedError

    def flags(self, group: ParamGroup, first: bool) -> tuple[int, ...]:
        """The kernel's integers, the last of which is always whether to go uphill."""
        return (int(group["maximize"]),)

    def new_state(self, name: str, param: Array, group: ParamGroup) -> Array:
        """The first value of an entry: 0, laid out as the parameter."""
        return self.filled_state(name, param, 0.0)

    def state_shape(self, name: str, param: Array) -> tuple[int, ...]:
        """The shape of an entry: the parameter's, if it is no scalar."""
        return () if name in self.scalars else param.shape

    def filled_state(self, name: str, param: Array, value: float) -> Array:
        """An entry of one value, laid out as the parameter if it is no scalar."""
        if name in self.scalars:
            return filled((), float32, (), value)
        shape = self.state_shape(name, param)
        strides = empty_strides_like(shape, param.strides)
        return filled(shape, param.dtype, strides, value)

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
        self.param_groups.append(values)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients.

        Args:
            set_to_none: drop them; False: overwrite them with 0 in place.
        """
        for group in self.param_groups:
            if set_to_none and _drop_gradients(group["params"]):
                continue
            for param in group["params"]:
                # the slots, as what is put there needs no check
                grad = param._grad
                if set_to_none or grad is None:
                    param._grad = None
                    continue
                if grad.grad_fn is not None:
                    grad.detach_()
                grad.requires_grad_(False).zero_()

    # ---- the step ----

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Change the parameters once, by their gradients.

        Args:
            closure: computes the loss and its gradients first.

        Returns:
            What the closure returned.

        Raises:
            NotImplementedError: the class has no kernel and no step of its own.
            ShapeError: a gradient or the state of a parameter has another shape.
            DTypeError: a gradient has another element type than its parameter.
        """
        if not self.kernel:
            raise NotImplementedError(f"{type(self).__name__} must define step")
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        seen, entries = self._seen
        if (
            len(self._plans) != len(self.param_groups)
            or self.state is not seen
            or not _holds_same(seen, entries)
        ):
            self._plans = [_Plan() for _ in self.param_groups]
        renewed = False
        for group, plan in zip(self.param_groups, self._plans):
            if (
                plan.group is not group
                or plan.live
                or not _holds_same(group, plan.options)
            ):
                self._read_options(plan, group)
            if plan.again is not None and plan.again.take(group["params"]):
                continue
            grads, key, addresses = gradients_of(group["params"])
            if not grads:
                continue
            if key != plan.key or (plan.places and not plan.has_states()):
                self._renew(plan, group, grads, key)
                renewed = True
            else:
                if addresses != plan.addresses:
                    for call in plan.calls:
                        call.grads.move([grads[i] for i in call.numbers])
                plan.again = self._again(plan, key, grads)
            plan.addresses = addresses
            for call in plan.calls:
                self._run(call, grads)
            for storage in plan.storages:
                storage.version += 1
        if renewed:
            self._seen = self.state, list(self.state.values())
        return loss

    def _read_options(self, plan: _Plan, group: ParamGroup) -> None:
        """Let a plan have the options that its group has now."""
        if plan.group is not group:
            self._check_group(group)
        numbers, fixed = self._numbers(group)
        if plan.group is None:
            plan.buffer = empty((len(numbers),), float64)
        plan.buffer.numpy()[...] = numbers
        names = self.states(group)
        if names != plan.names:
            plan.names, plan.key, plan.again = names, None, None
        for call in plan.calls:
            flags = self.flags(group, call.first)
            if flags != call.flags:
                call.flags, plan.again = flags, None
        plan.group, plan.options, plan.live = group, list(group.values()), not fixed

    def _numbers(self, group: ParamGroup) -> tuple[list[float], bool]:
        """What the kernel reads, and whether it can't change while the objects stay."""
        numbers: list[float] = []
        is_fixed = True
        for name in self.hyper:
            value, default = group[name], self.defaults[name]
            several = value if isinstance(value, (tuple, list)) else (value,)
            expected = len(default) if isinstance(default, (tuple, list)) else 1
            if len(several) != expected:
                raise ValueError(
                    f"{type(self).__name__}: {name} must be {expected} numbers, got "
                    f"{value!r}"
                )
            numbers += [float(each) for each in several]
            is_fixed = (
                is_fixed
                and not isinstance(value, list)
                and all(isinstance(each, (int, float)) for each in several)
            )
        return numbers, is_fixed

    def _check_group(self, group: ParamGroup) -> None:
        """Raise for a group that was not made by `add_param_group` and can't be used."""
        needed = {"params", *self.defaults} - {*self.hints, "differentiable"}
        missing = sorted(needed - set(group))
        if missing:
            raise KeyError(
                f"{type(self).__name__}: a parameter group lacks {', '.join(missing)}; "
                "likely fix: optimizer.add_param_group(group), which adds the defaults"
            )
        if not isinstance(group["params"], (list, tuple)):
            raise TypeError(
                f"{type(self).__name__}: a parameter group's params must be a list of "
                f"tensors, got {type(group['params']).__name__}; likely fix: "
                "optimizer.add_param_group(group)"
            )
        for each in group["params"]:
            _check_param(each)

    def _renew(
        self, plan: _Plan, group: ParamGroup, grads: list[Array], key: list[Any]
    ) -> None:
        """Make the calls of a plan anew."""
        plan.key = plan.again = None
        params = [p for p in group["params"] if p._grad is not None]
        plan.calls = self._calls(plan, group, params, grads)
        plan.places = [
            (self.state[param], name) for name in plan.names if name for param in params
        ]
        plan.arrays = [state[name]._array for state, name in plan.places]
        plan.storages = [p._array.storage for p in params]
        if not any(call.once for call in plan.calls):
            plan.key = key

    def _run(self, call: _Call, grads: list[Array]) -> None:
        # the arrays are lent for the call: a kept table must not hold gradients
        if not call.once:
            whole = len(call.numbers) == len(grads)
            call.grads.arrays = grads if whole else [grads[i] for i in call.numbers]
        for param, dense in call.copies:
            run("copy", (param,), (dense,))
        run(self.kernel, call.reads, call.writes, call.flags)
        for param, dense in call.copies:
            run("copy", (dense,), (param,))
        call.grads.arrays = []

    def _again(self, plan: _Plan, key: list[Any], grads: list[Array]) -> Again | None:
        """The step that comes for the second time, for C to repeat; None if it can't."""
        buffer, calls = plan.buffer, []
        for call in plan.calls:
            own = [grads[i] for i in call.numbers]
            step = KernelStep(
                self.kernel, call.numbers, own, buffer, call.writes, call.flags
            )
            if not step.is_direct():
                return None
            calls.append(step)
        places = [(*place, array) for place, array in zip(plan.places, plan.arrays)]
        return Again(key, places, calls, plan.storages)

    def _calls(
        self, plan: _Plan, group: ParamGroup, params: list[Tensor], grads: list[Array]
    ) -> list[_Call]:
        """The calls for parameters that have gradients now."""
        for param, grad in zip(params, grads):
            self._check_grad(param, grad)
        wanted = [name for name in plan.names if name]
        sorts: dict[tuple[DType, bool], _Call] = {}
        for i, param in enumerate(params):
            first = bool(wanted) and self._complete(param, group, wanted)
            call = sorts.setdefault((param.dtype, first), _Call(first))
            call.numbers.append(i)
        for call in sorts.values():
            call.flags = self.flags(group, call.first)
            self._pack(call, plan, params, grads)
        return list(sorts.values())

    def _check_grad(self, param: Tensor, grad: Array) -> None:
        array = param._array
        if grad.shape != array.shape:
            raise ShapeError(
                f"{type(self).__name__}: a gradient has another shape than its parameter "
                f"(grad {grad.shape}, {self._place(param)} {array.shape})"
            )
        if grad.dtype is not array.dtype:
            raise DTypeError(
                f"{type(self).__name__}: a gradient is {grad.dtype.name}, "
                f"{self._place(param)} {array.dtype.name}"
            )

    def _complete(self, param: Tensor, group: ParamGroup, names: list[str]) -> bool:
        """Give a parameter the state that its kernel reads; say whether some was missing.

        State that users or a file brought is cast and laid out as the parameter.
        """
        state = self.state.get(param)
        if state is None:
            state = self.state[param] = {}
        found = {name: state[name] for name in names if state.get(name) is not None}
        # checked first, so that an error leaves all as it was
        fitting = {name: self._fit(name, value, param) for name, value in found.items()}
        missing = [name for name in names if name not in found]
        for name in missing:
            array = self.new_state(name, param._array, group)
            fitting[name] = make(array, None, False)
        state.update(fitting)
        return bool(missing)

    def _fit(self, name: str, value: Any, param: Tensor) -> Tensor:
        """An entry of a state as the kernel reads it: the tensor itself if that will do.

        Raises:
            TypeError: it is no tensor or number.
            ShapeError: it has another shape than the parameter.
        """
        if isinstance(value, (int, float, np.ndarray)):
            value = make(from_numpy(np.array(value)), None, False)
        if not isinstance(value, Tensor):
            raise TypeError(
                f"{type(self).__name__}: {name} of {self._place(param)} must be a tensor, "
                f"got {type(value).__name__}"
            )
        target, array = param._array, value._array
        shape = self.state_shape(name, target)
        dtype, strides = target.dtype, target.strides
        if name in self.scalars:
            dtype, strides = float32, ()
            if array.size == 1:
                array = array.view((), ()) if array.shape else array
        if array.shape != shape:
            raise ShapeError(
                f"{type(self).__name__}: {name} of {self._place(param)} has shape "
                f"{array.shape}, expected {shape}; likely fix: load the state of a model "
                "of the same shapes, or start anew by optimizer.state.pop(parameter)"
            )
        if array.dtype is not dtype:
            array = make(array, None, False).to(dtype)._array
        strides = empty_strides_like(shape, strides)
        if array.strides != strides:
            array = in_order(array, strides)
        return value if array is value._array else make(array, None, False)

    def _place(self, param: Tensor) -> str:
        """What a message calls a parameter."""
        for i, group in enumerate(self.param_groups):
            for k, each in enumerate(group["params"]):
                if each is param:
                    names = group.get("param_names")
                    name = f" ({names[k]!r})" if names else ""
                    return f"parameter {k} of group {i}{name}"
        return "a parameter"

    def _pack(
        self, call: _Call, plan: _Plan, params: list[Tensor], grads: list[Array]
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
            sources.append(grad if grad.strides == strides else in_order(grad, strides))
            call.once = call.once or target is not array or sources[-1] is not grad
        others = [
            Table([self.state[params[i]][name]._array for i in call.numbers])
            if name
            else None
            for name in plan.names
        ]
        call.grads = Table(sources)
        call.reads = call.grads, plan.buffer
        call.writes = Table(targets), *others

    # ---- hooks ----

    def register_step_pre_hook(
        self, hook: Callable[[Optimizer, tuple[Any, ...], dict[str, Any]], Any]
    ) -> RemovableHandle:
        """Call `hook(optimizer, args, kwargs)` before each step.

        `args` begin with the optimizer. What the hook returns, a tuple of new args and
        new kwargs, replaces them. Copies of the optimizer have no hooks.

        Example:
            >>> import pyautodl as ad
            >>> optimizer = ad.optim.SGD([ad.ones(1, requires_grad=True)])
            >>> hook = optimizer.register_step_pre_hook(lambda *given: print("step"))
            >>> optimizer.step()
            step
            >>> hook.remove()
            >>> optimizer.step()
        """
        self._hook_step()
        return RemovableHandle(self._pre_hooks, hook)

    def register_step_post_hook(
        self, hook: Callable[[Optimizer, tuple[Any, ...], dict[str, Any]], None]
    ) -> RemovableHandle:
        """Call `hook(optimizer, args, kwargs)` after each step.

        `args` begin with the optimizer. Copies of the optimizer have no hooks.
        """
        self._hook_step()
        return RemovableHandle(self._post_hooks, hook)

    def _hook_step(self) -> None:
        """Let this optimizer's steps run hooks, also those that a subclass defines.

        Only then: steps without hooks don't pay for them.
        """
        if self._hooked:
            return
        self._hooked = True
        step = self.step

        def hooked(*args: Any, **kwargs: Any) -> Any:
            args = (self, *args)
            for hook in list(self._pre_hooks.values()):
                result = hook(self, args, kwargs)
                if result is None:
                    continue
                if not isinstance(result, tuple) or len(result) != 2:
                    raise TypeError(
                        f"{type(self).__name__}: a pre hook of step must return None or "
                        f"(args, kwargs), got {result!r}"
                    )
                args, kwargs = result
            out = step(*args[1:], **kwargs)
            for hook in list(self._post_hooks.values()):
                hook(self, args, kwargs)
            return out

        self.__dict__["step"] = hooked

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
            ShapeError: the state of a parameter has another shape.
        """
        saved = state_dict["param_groups"]
        if len(saved) != len(self.param_groups):
            raise ValueError(
                f"load_state_dict: expected {len(self.param_groups)} parameter groups, "
                f"got {len(saved)}"
            )
        by_number: dict[Any, tuple[Tensor, ParamGroup]] = {}
        for i, (theirs, mine) in enumerate(zip(saved, self.param_groups)):
            if len(theirs["params"]) != len(mine["params"]):
                raise ValueError(
                    f"load_state_dict: group {i} has {len(mine['params'])} parameters, "
                    f"the saved one {len(theirs['params'])}"
                )
            group = {**mine, **theirs, "params": mine["params"]}
            for number, param in zip(theirs["params"], mine["params"]):
                by_number[number] = param, group
        state: defaultdict[Any, dict[str, Any]] = defaultdict(dict)
        for key, entries in state_dict["state"].items():
            if key in by_number:
                param, group = by_number[key]
                state[param] = self._loaded(entries, param, group)
            else:
                state[key] = copy.deepcopy(entries)
        self.state = state
        for theirs, mine in zip(saved, self.param_groups):
            mine.update(
                {k: copy.deepcopy(v) for k, v in theirs.items() if k != "params"}
            )

    def _loaded(
        self, entries: dict[str, Any], param: Tensor, group: ParamGroup
    ) -> dict[str, Any]:
        """A copy of a parameter's saved state, as the parameter and the kernel need it."""
        declared = type(self).states is not Optimizer.states
        needed = self.states(group) if declared else ()
        loaded = {}
        for name, value in entries.items():
            if not declared and not isinstance(value, Tensor):
                loaded[name] = copy.deepcopy(value)
                continue
            entry = _loaded(value, param, name in self.scalars)
            known = name in needed and entry is not None
            loaded[name] = self._fit(name, entry, param) if known else entry
        return loaded

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in self.__dict__.items() if k not in _UNSAVED}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._reset()

    def __repr__(self) -> str:
        lines = [f"{type(self).__name__} ("]
        for i, group in enumerate(self.param_groups):
            lines.append(f"Parameter Group {i}")
            lines += [
                f"    {key}: {group[key]}" for key in sorted(group) if key != "params"
            ]
        return "\n".join([*lines, ")"])


def check_are_numbers(name: str, **options: float) -> None:
    """Raise for an option that is no number."""
    for option, value in options.items():
        if isinstance(value, (str, tuple, list)) or value is None:
            raise TypeError(f"{name}: {option} must be a number, got {value!r}")


def check_not_negative(name: str, **options: float) -> None:
    """Raise for an option that is no number, or below 0."""
    check_are_numbers(name, **options)
    for option, value in options.items():
        if not value >= 0:
            raise ValueError(
                f"{name}: {option} must not be negative or NaN, got {value}"
            )


def check_betas(name: str, betas: Sequence[float]) -> None:
    """Raise for factors of running means that are not two, each in [0, 1)."""
    if not isinstance(betas, (tuple, list)) or len(betas) != 2:
        raise ValueError(f"{name}: betas must be two numbers, got {betas!r}")
    for i, beta in enumerate(betas):
        if not 0 <= beta < 1:
            raise ValueError(f"{name}: betas[{i}] must be in [0, 1), got {beta}")


def _check_param(param: Any) -> None:
    if not isinstance(param, Tensor):
        fix = ""
        if callable(getattr(param, "parameters", None)):
            fix = "; likely fix: its parameters()"
        raise TypeError(f"params: expected tensors, got {type(param).__name__}{fix}")
    if not param.is_leaf:
        raise ValueError("params: can't optimize a tensor that is no leaf")
    if param.dtype.category != FLOATING:
        raise DTypeError(f"params: expected floating tensors, got {param.dtype.name}")


def filled(
    shape: tuple[int, ...],
    dtype: DType,
    strides: tuple[int, ...] | None = None,
    value: float = 0.0,
) -> Array:
    out = empty(shape, dtype, strides)
    run("copy", (constant(value, dtype).view(shape, (0,) * len(shape)),), (out,))
    return out


def _loaded(value: Any, param: Tensor, is_scalar: bool) -> Any:
    """A saved entry as a tensor of the parameter's element type and layout."""
    if value is None or isinstance(value, (bool, str, dict, list, tuple)):
        return copy.deepcopy(value)
    if is_scalar or not isinstance(value, Tensor):
        value = np.asarray(value.detach() if hasattr(value, "detach") else value)
        dtype = float32 if is_scalar else param.dtype
        source = from_numpy(np.array(value, dtype.numpy))
    else:
        source = value._array
    if source.dtype.category != FLOATING:
        strides = empty_strides_like(source.shape, source.strides)
        return make(in_order(source, strides), None, False)
    array = param._array
    same = source.shape == array.shape
    strides = empty_strides_like(source.shape, (array if same else source).strides)
    if source.dtype is not array.dtype and not is_scalar:
        source = make(source, None, False).to(array.dtype)._array
    return make(in_order(source, strides), None, False)
