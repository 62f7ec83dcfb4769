"""Weights that are computed anew at each call: of another length, or of spectral norm 1."""

from __future__ import annotations

from typing import Any

from pyautodl.autograd.grad_mode import no_grad
from pyautodl.functional.matmul import dot, mv
from pyautodl.functional.random import randn
from pyautodl.functional.reduce import norm, normalize
from pyautodl.nn.module import Module
from pyautodl.nn.parameter import Parameter
from pyautodl.tensor import Tensor, explained

__all__ = [
    "approach_singular_vectors",
    "axis_of_outputs",
    "length_along",
    "remove_spectral_norm",
    "remove_weight_norm",
    "spectral_norm",
    "weight_norm",
    "weight_of",
]


def length_along(v: Tensor, dim: int | None) -> Tensor:
    """The length of what belongs to each place of an axis, or of all."""
    if dim is None:
        return norm(v)
    axes = tuple(i for i in range(v.ndim) if i != dim)
    # without axes a norm would be of them all
    return norm(v, 2, axes, True) if axes else v.abs()


def approach_singular_vectors(
    matrix: Tensor, u: Tensor, v: Tensor, iterations: int, eps: float
) -> None:
    """Bring u and v closer to the first singular vectors."""
    for _ in range(iterations):
        v.copy_(normalize(mv(matrix.t(), u), dim=0, eps=eps))
        u.copy_(normalize(mv(matrix, v), dim=0, eps=eps))


def axis_of_outputs(module: Module) -> int:
    """That of a layer's weight: of transposed convolutions it is 1."""
    return int(type(module).__name__.startswith("ConvTranspose"))


def weight_of(label: str, module: Module, name: str) -> Parameter:
    """The parameter of a module that shall be computed."""
    weight = module._parameters.get(name)
    if not isinstance(weight, Parameter):
        raise ValueError(f"{label}: {type(module).__name__} has no parameter {name!r}")
    return weight


class _Reparameterization:
    """A hook that sets a module's weight before each call.

    Attributes:
        label: the function that attaches such hooks.
        name: of the weight.
        dim: the axis of outputs.
    """

    label: str

    def __init__(self, name: str, dim: int | None) -> None:
        self.name = name
        self.dim = dim

    def attach(self, module: Module, **parts: Tensor) -> None:
        """Put parts in the weight's place: parameters, and buffers if they are none."""
        del module._parameters[self.name]
        module.__dict__.pop(self.name, None)
        for ending, part in parts.items():
            if isinstance(part, Parameter):
                module.register_parameter(f"{self.name}_{ending}", part)
            else:
                module.register_buffer(f"{self.name}_{ending}", part)
        # without a graph, so that a module that was not called can be copied
        setattr(module, self.name, self.compute(module, False).detach())
        module.register_forward_pre_hook(self)

    def part(self, module: Module, ending: str) -> Tensor:
        """A part of the weight."""
        found: Tensor = getattr(module, f"{self.name}_{ending}")
        return found

    def compute(self, module: Module, training: bool) -> Tensor:
        """The weight of its parts."""
        raise NotImplementedError

    def __call__(self, module: Module, inputs: Any) -> None:
        setattr(module, self.name, self.compute(module, module.training))

    def detach_from(self, module: Module, *endings: str) -> None:
        """Put the weight back as a parameter."""
        with no_grad():
            weight = self.compute(module, False)
        delattr(module, self.name)
        for ending in endings:
            delattr(module, f"{self.name}_{ending}")
        module.register_parameter(self.name, Parameter(weight.detach()))


def _remove(
    kind: type[_Reparameterization], module: Module, name: str, *endings: str
) -> Module:
    for key, hook in module._forward_pre_hooks.items():
        found = getattr(hook, "call", hook)
        if isinstance(found, kind) and found.name == name:
            found.detach_from(module, *endings)
            del module._forward_pre_hooks[key]
            return module
    raise ValueError(
        f"remove_{kind.label}: {type(module).__name__} has none on {name!r}"
    )


class _WeightNorm(_Reparameterization):
    label = "weight_norm"

    def compute(self, module: Module, training: bool) -> Tensor:
        v = self.part(module, "v")
        return v * (self.part(module, "g") / length_along(v, self.dim))


@explained
def weight_norm(module: Module, name: str = "weight", dim: int | None = 0) -> Module:
    """Train length and direction of a weight apart, as `name`_g and `name`_v.

    Args:
        module: the layer; it is changed and returned.
        name: of its weight.
        dim: the axis of outputs, which have a length each; None, or as in PyTorch -1:
            one length for all.

    Raises:
        ValueError: the module has no such parameter.

    Example:
        >>> import pyautodl as ad
        >>> layer = ad.nn.utils.weight_norm(ad.nn.Linear(3, 2))
        >>> sorted(layer.state_dict())
        ['bias', 'weight_g', 'weight_v']

    Source: Salimans and Kingma, "Weight normalization", 2016.
    """
    weight = weight_of("weight_norm", module, name)
    if dim == -1:
        dim = None
    elif dim is not None and dim < 0:
        dim += weight.ndim
    hook = _WeightNorm(name, dim)
    length = Parameter(length_along(weight.detach(), dim))
    hook.attach(module, g=length, v=Parameter(weight.detach()))
    return module


@explained
def remove_weight_norm(module: Module, name: str = "weight") -> Module:
    """Make the weight a parameter again.

    Args:
        module: what `weight_norm` changed.
        name: of its weight.

    Raises:
        ValueError: it was not changed.

    Example:
        >>> import pyautodl as ad
        >>> layer = ad.nn.utils.weight_norm(ad.nn.Linear(3, 2))
        >>> sorted(ad.nn.utils.remove_weight_norm(layer).state_dict())
        ['bias', 'weight']
    """
    return _remove(_WeightNorm, module, name, "g", "v")


class _SpectralNorm(_Reparameterization):
    label = "spectral_norm"

    def __init__(self, name: str, dim: int, iterations: int, eps: float) -> None:
        super().__init__(name, dim)
        self.iterations = iterations
        self.eps = eps

    def matrix(self, weight: Tensor) -> Tensor:
        """The weight with a row for each output."""
        return weight.movedim(self.dim, 0).flatten(1)

    def compute(self, module: Module, training: bool) -> Tensor:
        weight = self.part(module, "orig")
        u, v = self.part(module, "u"), self.part(module, "v")
        matrix = self.matrix(weight)
        if training:
            with no_grad():
                self.iterate(matrix, u, v)
            # the next call changes the buffers, the gradient needs them as they are
            u, v = u.clone(), v.clone()
        return weight / dot(u, mv(matrix, v))

    def iterate(self, matrix: Tensor, u: Tensor, v: Tensor) -> None:
        """Bring u and v closer to the first singular vectors."""
        approach_singular_vectors(matrix, u, v, self.iterations, self.eps)


@explained
def spectral_norm(
    module: Module,
    name: str = "weight",
    n_power_iterations: int = 1,
    eps: float = 1e-12,
    dim: int | None = None,
) -> Module:
    """Divide a weight by its largest singular value, as a network of a GAN may need.

    The value comes from power iteration, a few steps at each call in training; it starts
    with 15 of them.

    Args:
        module: the layer; it is changed and returned.
        name: of its weight.
        n_power_iterations: how many steps at a call.
        eps: the least divisor of vectors.
        dim: the axis of outputs; default 0, or 1 of transposed convolutions.

    Raises:
        ValueError: the module has no such parameter.

    Example:
        >>> import pyautodl as ad
        >>> layer = ad.nn.utils.spectral_norm(ad.nn.Linear(3, 2))
        >>> sorted(layer.state_dict())
        ['bias', 'weight_orig', 'weight_u', 'weight_v']

    Source: Miyato et al., "Spectral normalization for generative adversarial networks",
    2018.
    """
    weight = weight_of("spectral_norm", module, name)
    if dim is None:
        dim = axis_of_outputs(module)
    hook = _SpectralNorm(name, dim, n_power_iterations, eps)
    with no_grad():
        matrix = hook.matrix(weight.detach())
        u, v = (
            normalize(randn(size, dtype=weight.dtype), dim=0, eps=eps)
            for size in matrix.shape
        )
        for _ in range(15):
            hook.iterate(matrix, u, v)
    hook.attach(module, orig=Parameter(weight.detach()), u=u, v=v)
    return module


@explained
def remove_spectral_norm(module: Module, name: str = "weight") -> Module:
    """Make the weight, as it is divided now, a parameter again.

    Args:
        module: what `spectral_norm` changed.
        name: of its weight.

    Raises:
        ValueError: it was not changed.

    Example:
        >>> import pyautodl as ad
        >>> layer = ad.nn.utils.spectral_norm(ad.nn.Linear(3, 2))
        >>> sorted(ad.nn.utils.remove_spectral_norm(layer).state_dict())
        ['bias', 'weight']
    """
    return _remove(_SpectralNorm, module, name, "orig", "u", "v")
