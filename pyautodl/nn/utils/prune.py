"""Pruning: parameters whose smallest, or random, elements or channels are held at 0.

A pruned parameter `weight` of a module becomes the parameter `weight_orig` and the buffer
`weight_mask`, as in PyTorch; their product is the attribute `weight`, computed anew before
each call.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from numbers import Integral, Real
from typing import Any, cast

from pyautodl.errors import ShapeError, describe
from pyautodl.functional.copy import cat
from pyautodl.functional.creation import ones_like
from pyautodl.functional.random import rand, rand_like
from pyautodl.nn.module import Module
from pyautodl.nn.parameter import Parameter, UninitializedParameter
from pyautodl.tensor import Tensor

__all__ = [
    "BasePruningMethod",
    "CustomFromMask",
    "Identity",
    "L1Unstructured",
    "LnStructured",
    "PruningContainer",
    "RandomStructured",
    "RandomUnstructured",
    "custom_from_mask",
    "global_unstructured",
    "identity",
    "is_pruned",
    "l1_unstructured",
    "ln_structured",
    "random_structured",
    "random_unstructured",
    "remove",
]

Amount = int | float


def _is_share(amount: Any) -> bool:
    return not isinstance(amount, Integral)


def _check_amount(name: str, amount: Any) -> None:
    fine = isinstance(amount, Real) and not isinstance(amount, bool)
    if not fine or amount < 0 or (_is_share(amount) and amount > 1):
        raise ValueError(
            f"{name}: amount must be a count from 0 on, or a share from 0.0 to 1.0, got "
            f"{describe(amount)}"
        )


def _count(name: str, amount: Amount, size: int) -> int:
    """How many of `size` are pruned."""
    count = round(amount * size) if _is_share(amount) else int(amount)
    if count > size:
        raise ValueError(f"{name}: amount {amount} is more than the {size} there are")
    return count


class BasePruningMethod(ABC):
    """A way to prune; subclasses define `compute_mask`.

    Attributes:
        PRUNING_TYPE: what a later method sees of a parameter that is pruned already:
            'unstructured' elements that are left, 'structured' channels that are left, or
            'global', all.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl import nn
        >>> from pyautodl.nn.utils import prune
        >>> class EverySecond(prune.BasePruningMethod):
        ...     PRUNING_TYPE = "unstructured"
        ...     def compute_mask(self, t, default_mask):
        ...         mask = default_mask.clone()
        ...         mask.view(-1)[::2] = 0
        ...         return mask
        >>> layer = nn.Linear(4, 1)
        >>> _ = EverySecond.apply(layer, "weight")
        >>> layer.weight_mask
        tensor([[0., 1., 0., 1.]])
    """

    PRUNING_TYPE: str
    _tensor_name: str

    @abstractmethod
    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        """Return a mask for scores `t`: 0 where is pruned, elsewhere as `default_mask`."""

    def __call__(self, module: Module, inputs: Any) -> None:
        """Compute the parameter of a module that is going to be called."""
        setattr(module, self._tensor_name, self.apply_mask(module))

    def apply_mask(self, module: Module) -> Tensor:
        """Return the product of parameter and mask of a module."""
        name = self._tensor_name
        mask: Tensor = getattr(module, f"{name}_mask")
        product: Tensor = mask * getattr(module, f"{name}_orig")
        return product

    def prune(
        self,
        t: Tensor,
        default_mask: Tensor | None = None,
        importance_scores: Tensor | None = None,
    ) -> Tensor:
        """Return a tensor with 0 where it is pruned.

        Args:
            t: the tensor.
            default_mask: where it is pruned already; default: nowhere.
            importance_scores: what is compared in place of t.
        """
        scores = _scores(t, importance_scores)
        mask = ones_like(t) if default_mask is None else default_mask
        pruned: Tensor = t * self.compute_mask(scores, mask)
        return pruned

    @classmethod
    def apply(
        cls,
        module: Module,
        name: str,
        *args: Any,
        importance_scores: Tensor | None = None,
        **kwargs: Any,
    ) -> BasePruningMethod:
        """Prune a parameter of a module; one that is pruned already further.

        Args:
            module: the module.
            name: of the parameter.
            args, kwargs: for the constructor.
            importance_scores: what is compared in place of the parameter.

        Raises:
            AttributeError: the module has no such parameter.
            ShapeError: it is a lazy layer's, before the first call.
        """
        method: Any = cls(*args, **kwargs)
        method._tensor_name = name
        found = _method_of(module, name)
        if found is not None:
            before = found[1]
            methods = before if isinstance(before, PruningContainer) else [before]
            method = PruningContainer(*methods, method)
            original = getattr(module, f"{name}_orig")
            mask = getattr(module, f"{name}_mask")
        else:
            original = _own_parameter(cls.__name__, module, name)
            mask = ones_like(original.detach())
        scores = _scores(original, importance_scores)
        # before anything is changed, as it may refuse its arguments
        mask = method.compute_mask(scores.detach(), mask).to(original.dtype)
        if found is not None:
            del module._forward_pre_hooks[found[0]]
        else:
            delattr(module, name)
            module.register_parameter(f"{name}_orig", original)
        module.register_buffer(f"{name}_mask", mask)
        setattr(module, name, method.apply_mask(module))
        module.register_forward_pre_hook(method)
        return method

    def remove(self, module: Module) -> None:
        """Make the pruned parameter a parameter again; what was pruned stays 0.

        Args:
            module: the module; `prune.remove` takes the hook away, too.
        """
        name = self._tensor_name
        pruned = self.apply_mask(module)
        original: Parameter = getattr(module, f"{name}_orig")
        delattr(module, name)
        delattr(module, f"{name}_orig")
        delattr(module, f"{name}_mask")
        original.data = pruned.detach()
        module.register_parameter(name, original)


def _own_parameter(method: str, module: Module, name: str) -> Parameter:
    """A parameter that is there and has values."""
    found = {key: each for key, each in module._parameters.items() if each is not None}
    if name not in found:
        raise AttributeError(
            f"{method}: {type(module).__name__} has no parameter {name!r}; it has "
            f"{list(found)}"
        )
    if isinstance(found[name], UninitializedParameter):
        raise ShapeError(
            f"{method}: {name!r} of {type(module).__name__} has no values before its first "
            "call; likely fix: call the model once first"
        )
    return cast("Parameter", found[name])


def _scores(t: Tensor, importance_scores: Tensor | None) -> Tensor:
    if importance_scores is None:
        return t
    if tuple(importance_scores.shape) != tuple(t.shape):
        raise ShapeError(
            f"prune: importance_scores must have the parameter's shape {tuple(t.shape)}, "
            f"got {tuple(importance_scores.shape)}"
        )
    return importance_scores


def _method_of(module: Module, name: str) -> tuple[int, BasePruningMethod] | None:
    """The hook that prunes a parameter, and its key."""
    for key, hook in module._forward_pre_hooks.items():
        call: Any = hook.call
        if isinstance(call, BasePruningMethod) and call._tensor_name == name:
            return key, call
    return None


class PruningContainer(BasePruningMethod):
    """Several methods, one after the other, each of what the ones before have left.

    Args:
        args: the methods, of one parameter.

    Example:
        >>> from pyautodl import nn
        >>> from pyautodl.nn.utils import prune
        >>> layer = prune.l1_unstructured(nn.Linear(4, 2), "weight", 2)
        >>> _ = prune.l1_unstructured(layer, "weight", 2)
        >>> float(layer.weight_mask.sum())
        4.0
    """

    PRUNING_TYPE = "container"

    def __init__(self, *args: BasePruningMethod) -> None:
        self._pruning_methods: tuple[BasePruningMethod, ...] = ()
        for each in args:
            self.add_pruning_method(each)

    def add_pruning_method(self, method: BasePruningMethod) -> None:
        """Add one.

        Raises:
            TypeError: it is no method.
            ValueError: it is of another parameter.
        """
        if not isinstance(method, BasePruningMethod):
            raise TypeError(
                f"PruningContainer: expected a method, got {describe(method)}"
            )
        name = method._tensor_name
        if self._pruning_methods and name != self._tensor_name:
            raise ValueError(
                f"PruningContainer: is for {self._tensor_name!r}, got a method for {name!r}"
            )
        self._tensor_name = name
        self._pruning_methods += (method,)

    def __len__(self) -> int:
        return len(self._pruning_methods)

    def __iter__(self) -> Any:
        return iter(self._pruning_methods)

    def __getitem__(self, index: int) -> BasePruningMethod:
        return self._pruning_methods[index]

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        """Return the mask of the last method, of what is left."""
        method = self._pruning_methods[-1]
        mask = default_mask.clone()
        kind = method.PRUNING_TYPE
        if kind == "unstructured":
            left: Any = mask == 1
        elif kind == "structured":
            dim = getattr(method, "dim", 0) % t.ndim
            others = [axis for axis in range(t.ndim) if axis != dim]
            kept = mask.sum(others) != 0 if others else mask != 0
            left = (slice(None),) * dim + (kept,)
        elif kind == "global":
            left = (slice(None),) * t.ndim
        else:
            raise ValueError(
                f"PruningContainer: PRUNING_TYPE must be 'unstructured', 'structured' or "
                f"'global', got {describe(kind)}"
            )
        mask[left] = method.compute_mask(t[left], mask[left])
        return mask


class Identity(BasePruningMethod):
    """Prunes nothing; see `identity`."""

    PRUNING_TYPE = "unstructured"

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        return default_mask


class _Counted(BasePruningMethod):
    """What prunes a number, or a share, of elements or channels."""

    def __init__(self, amount: Amount) -> None:
        _check_amount(type(self).__name__, amount)
        self.amount = amount

    def _pruned(self, scores: Tensor, default_mask: Tensor) -> Tensor:
        """The mask without the elements of the smallest scores."""
        mask = default_mask.clone()
        count = _count(type(self).__name__, self.amount, scores.numel())
        if count:
            least = scores.reshape(-1).topk(count, largest=False).indices
            mask.view(-1)[least] = 0
        return mask


class RandomUnstructured(_Counted):
    """Prunes elements at random; see `random_unstructured`."""

    PRUNING_TYPE = "unstructured"

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        return self._pruned(rand_like(t), default_mask)


class L1Unstructured(_Counted):
    """Prunes the elements of the smallest absolute values; see `l1_unstructured`."""

    PRUNING_TYPE = "unstructured"

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        return self._pruned(t.abs(), default_mask)


class _Channels(_Counted):
    """What prunes whole channels along an axis."""

    PRUNING_TYPE = "structured"

    def __init__(self, amount: Amount, dim: int = -1) -> None:
        super().__init__(amount)
        self.dim = dim

    def _without(self, scores: Tensor, t: Tensor, default_mask: Tensor) -> Tensor:
        """The mask without the channels of the smallest scores."""
        count = _count(type(self).__name__, self.amount, scores.numel())
        kept = ones_like(scores)
        if count:
            kept[scores.topk(count, largest=False).indices] = 0
        shape = [1] * t.ndim
        shape[self.dim] = -1
        mask: Tensor = default_mask * kept.reshape(shape).to(default_mask.dtype)
        return mask

    def _check_axes(self, t: Tensor) -> None:
        if t.ndim < 2 or not -t.ndim <= self.dim < t.ndim:
            raise ShapeError(
                f"{type(self).__name__}: expected a tensor of 2 axes or more with axis "
                f"{self.dim}, got shape {tuple(t.shape)}"
            )


class RandomStructured(_Channels):
    """Prunes channels at random; see `random_structured`."""

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        self._check_axes(t)
        return self._without(rand(t.shape[self.dim]), t, default_mask)


class LnStructured(_Channels):
    """Prunes the channels of the smallest norms; see `ln_structured`."""

    def __init__(self, amount: Amount, n: float, dim: int = -1) -> None:
        super().__init__(amount, dim)
        self.n = n

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        self._check_axes(t)
        others = [axis for axis in range(t.ndim) if axis != self.dim % t.ndim]
        return self._without(t.norm(self.n, others), t, default_mask)


class CustomFromMask(BasePruningMethod):
    """Prunes where a mask is 0; see `custom_from_mask`."""

    PRUNING_TYPE = "global"

    def __init__(self, mask: Tensor) -> None:
        self.mask = mask

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        if tuple(self.mask.shape) != tuple(t.shape):
            raise ShapeError(
                f"CustomFromMask: expected a mask of shape {tuple(t.shape)}, got "
                f"{tuple(self.mask.shape)}"
            )
        return default_mask * self.mask.to(default_mask.dtype)


# ---- functions ----


def identity(module: Module, name: str) -> Module:
    """Give a parameter a mask that prunes nothing, and return the module.

    Args:
        module: the module.
        name: of its parameter.

    Example:
        >>> from pyautodl import nn
        >>> from pyautodl.nn.utils import prune
        >>> list(prune.identity(nn.Linear(2, 1, bias=False), "weight").state_dict())
        ['weight_orig', 'weight_mask']
    """
    Identity.apply(module, name)
    return module


def random_unstructured(module: Module, name: str, amount: Amount) -> Module:
    """Prune elements at random, and return the module.

    Args:
        module: the module.
        name: of its parameter.
        amount: how many; a float is their share.

    Example:
        >>> from pyautodl import nn
        >>> from pyautodl.nn.utils import prune
        >>> layer = prune.random_unstructured(nn.Linear(4, 2), "weight", amount=0.5)
        >>> int((layer.weight == 0).sum())
        4
    """
    RandomUnstructured.apply(module, name, amount)
    return module


def l1_unstructured(
    module: Module,
    name: str,
    amount: Amount,
    importance_scores: Tensor | None = None,
) -> Module:
    """Prune the elements of the smallest absolute values, and return the module.

    Args:
        module: the module.
        name: of its parameter.
        amount: how many; a float is their share.
        importance_scores: what is compared in place of the parameter.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl import nn
        >>> from pyautodl.nn.utils import prune
        >>> layer = nn.Linear(3, 1)
        >>> layer.weight.data = ad.tensor([[0.5, -0.1, 2.0]])
        >>> prune.l1_unstructured(layer, "weight", amount=1).weight.tolist()
        [[0.5, -0.0, 2.0]]
    """
    L1Unstructured.apply(module, name, amount, importance_scores=importance_scores)
    return module


def random_structured(module: Module, name: str, amount: Amount, dim: int) -> Module:
    """Prune channels at random, and return the module.

    Args:
        module: the module.
        name: of its parameter.
        amount: how many; a float is their share.
        dim: the axis of channels: 0 for those of the output.

    Example:
        >>> from pyautodl import nn
        >>> from pyautodl.nn.utils import prune
        >>> layer = prune.random_structured(nn.Linear(4, 6), "weight", 2, dim=0)
        >>> int((layer.weight == 0).all(1).sum())
        2
    """
    RandomStructured.apply(module, name, amount, dim)
    return module


def ln_structured(
    module: Module,
    name: str,
    amount: Amount,
    n: float,
    dim: int,
    importance_scores: Tensor | None = None,
) -> Module:
    """Prune the channels of the smallest norms, and return the module.

    Args:
        module: the module.
        name: of its parameter.
        amount: how many; a float is their share.
        n: the order of the norm.
        dim: the axis of channels: 0 for those of the output.
        importance_scores: what is compared in place of the parameter.

    Example:
        >>> from pyautodl import nn
        >>> from pyautodl.nn.utils import prune
        >>> layer = prune.ln_structured(nn.Conv2d(3, 8, 3), "weight", 0.25, n=2, dim=0)
        >>> int(layer.weight_mask[:, 0, 0, 0].sum())
        6
    """
    LnStructured.apply(
        module, name, amount, n, dim, importance_scores=importance_scores
    )
    return module


def custom_from_mask(module: Module, name: str, mask: Tensor) -> Module:
    """Prune where a mask is 0, and return the module.

    Args:
        module: the module.
        name: of its parameter.
        mask: of the parameter's shape.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl import nn
        >>> from pyautodl.nn.utils import prune
        >>> layer = nn.Linear(3, 1)
        >>> mask = ad.tensor([[1, 0, 1]])
        >>> float(prune.custom_from_mask(layer, "weight", mask).weight[0, 1])
        0.0
    """
    CustomFromMask.apply(module, name, mask)
    return module


def global_unstructured(
    parameters: Iterable[tuple[Module, str]],
    pruning_method: type[BasePruningMethod],
    importance_scores: dict[tuple[Module, str], Tensor] | None = None,
    **kwargs: Any,
) -> None:
    """Prune elements of several parameters, compared with each other.

    Args:
        parameters: pairs of a module and the name of its parameter.
        pruning_method: `L1Unstructured`, `RandomUnstructured` or another of elements.
        importance_scores: by such pairs, what is compared in place of the parameters.
        kwargs: for the method's constructor, as amount.

    Raises:
        TypeError: parameters are no pairs, or the method is none of elements.

    Example:
        >>> from pyautodl import nn
        >>> from pyautodl.nn.utils import prune
        >>> model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
        >>> pairs = [(layer, "weight") for layer in model]
        >>> prune.global_unstructured(pairs, prune.L1Unstructured, amount=8)
        >>> int(sum((layer.weight == 0).sum() for layer in model))
        8
    """
    pairs = list(parameters)
    if not all(isinstance(each, Sequence) and len(each) == 2 for each in pairs):
        raise TypeError(
            "global_unstructured: expected pairs of a module and a name, got "
            f"{describe(pairs)}"
        )
    scores = importance_scores or {}
    values: list[Tensor] = [
        scores[module, name] if (module, name) in scores else _parameter(module, name)
        for module, name in pairs
    ]
    masks = [
        getattr(module, f"{name}_mask", ones_like(getattr(module, name).detach()))
        for module, name in pairs
    ]
    method: Any = pruning_method(**kwargs)
    if method.PRUNING_TYPE != "unstructured":
        raise TypeError(
            "global_unstructured: expected a method of elements (PRUNING_TYPE "
            f"'unstructured'), got {pruning_method.__name__}"
        )
    method._tensor_name = "all"
    container = PruningContainer(method)
    whole = cat([each.detach().reshape(-1) for each in values])
    mask = container.compute_mask(whole, cat([each.reshape(-1) for each in masks]))
    sizes = [each.numel() for each in masks]
    for (module, name), part, old in zip(pairs, mask.split(sizes), masks, strict=True):
        custom_from_mask(module, name, part.reshape(old.shape))


def _parameter(module: Module, name: str) -> Tensor:
    """A parameter, as it was before it was pruned."""
    whole = f"{name}_orig"
    found: Tensor = getattr(module, whole if hasattr(module, whole) else name)
    return found


def remove(module: Module, name: str) -> Module:
    """Make a pruned parameter a parameter again, and return the module.

    What was pruned stays 0 until it is trained.

    Args:
        module: the module.
        name: of its parameter.

    Raises:
        ValueError: it is not pruned.

    Example:
        >>> from pyautodl import nn
        >>> from pyautodl.nn.utils import prune
        >>> layer = prune.l1_unstructured(nn.Linear(4, 2), "weight", 2)
        >>> list(prune.remove(layer, "weight").state_dict())
        ['bias', 'weight']
    """
    found = _method_of(module, name)
    if found is None:
        raise ValueError(f"remove: {name!r} of {type(module).__name__} is not pruned")
    key, method = found
    method.remove(module)
    del module._forward_pre_hooks[key]
    return module


def is_pruned(module: Module) -> bool:
    """Return whether a parameter of a module, or of one in it, is pruned.

    Args:
        module: the module.

    Example:
        >>> from pyautodl import nn
        >>> from pyautodl.nn.utils import prune
        >>> model = nn.Sequential(nn.Linear(4, 2))
        >>> prune.is_pruned(model)
        False
        >>> _ = prune.l1_unstructured(model[0], "bias", 1)
        >>> prune.is_pruned(model)
        True
    """
    return any(
        isinstance(hook.call, BasePruningMethod)
        for each in module.modules()
        for hook in each._forward_pre_hooks.values()
    )
