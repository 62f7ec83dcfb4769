"""Weights of another length, of spectral norm 1, with orthogonal columns."""

from __future__ import annotations

from typing import Any

from pyautodl.autograd.grad_mode import no_grad
from pyautodl.errors import ShapeError
from pyautodl.functional.copy import cat
from pyautodl.functional.creation import eye
from pyautodl.functional.eltwise import where
from pyautodl.functional.limits import finfo
from pyautodl.functional.linalg import matrix_exp, qr
from pyautodl.functional.matmul import dot, mv
from pyautodl.functional.random import randn
from pyautodl.functional.reduce import normalize
from pyautodl.linalg import solve
from pyautodl.nn.module import Module
from pyautodl.nn.utils.parametrize import register_parametrization
from pyautodl.nn.utils.weight_norms import (
    approach_singular_vectors,
    axis_of_outputs,
    length_along,
    weight_of,
)
from pyautodl.tensor import Tensor, explained

__all__ = ["orthogonal", "spectral_norm", "weight_norm"]

_MAPS = ("matrix_exp", "cayley", "householder")


# ---- length and direction ----


class _WeightNorm(Module):
    def __init__(self, dim: int | None) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, weight_g: Tensor, weight_v: Tensor) -> Tensor:
        return weight_v * (weight_g / length_along(weight_v, self.dim))

    def right_inverse(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        return length_along(weight, self.dim), weight.clone()


@explained
def weight_norm(module: Module, name: str = "weight", dim: int | None = 0) -> Module:
    """Train length and direction of a weight apart, as `original0` and `original1`.

    Args:
        module: the layer; it is changed and returned.
        name: of its weight.
        dim: the axis of outputs, which have a length each; None, or as in PyTorch -1:
            one length for all.

    Raises:
        ValueError: the module has no such parameter.

    Example:
        >>> import pyautodl as ad
        >>> layer = ad.nn.utils.parametrizations.weight_norm(ad.nn.Linear(3, 2))
        >>> sorted(layer.state_dict())[1:]
        ['parametrizations.weight.original0', 'parametrizations.weight.original1']

    Source: Salimans and Kingma, "Weight normalization", 2016.
    """
    weight = weight_of("weight_norm", module, name)
    if dim == -1:
        dim = None
    elif dim is not None and dim < 0:
        dim += weight.ndim
    return register_parametrization(module, name, _WeightNorm(dim), unsafe=True)


# ---- the largest singular value ----


class _SpectralNorm(Module):
    _u: Tensor
    _v: Tensor

    def __init__(self, weight: Tensor, iterations: int, eps: float, dim: int) -> None:
        super().__init__()
        self.iterations, self.eps, self.dim = iterations, eps, dim
        if weight.ndim > 1:
            with no_grad():
                matrix = self._matrix(weight.detach())
                for key, size in zip(("_u", "_v"), matrix.shape):
                    start = normalize(randn(size, dtype=weight.dtype), dim=0, eps=eps)
                    self.register_buffer(key, start)
                self._iterate(matrix, 15)

    def _matrix(self, weight: Tensor) -> Tensor:
        """The weight with a row for each output."""
        return weight.movedim(self.dim, 0).flatten(1)

    def _iterate(self, matrix: Tensor, times: int) -> None:
        approach_singular_vectors(matrix, self._u, self._v, times, self.eps)

    def forward(self, weight: Tensor) -> Tensor:
        if weight.ndim == 1:
            return normalize(weight, dim=0, eps=self.eps)
        matrix = self._matrix(weight)
        if self.training:
            with no_grad():
                self._iterate(matrix, self.iterations)
        # the next call changes the buffers, the gradient needs them as they are
        u, v = self._u.clone(), self._v.clone()
        return weight / dot(u, mv(matrix, v))

    def right_inverse(self, value: Tensor) -> Tensor:
        return value


@explained
def spectral_norm(
    module: Module,
    name: str = "weight",
    n_power_iterations: int = 1,
    eps: float = 1e-12,
    dim: int | None = None,
) -> Module:
    """Divide a weight by its largest singular value, as a network of a GAN may need.

    The value comes from power iteration, a few steps at each reading of the weight in
    training; it starts with 15 of them.

    Args:
        module: the layer; it is changed and returned.
        name: of its weight.
        n_power_iterations: how many steps at a time, at least 1.
        eps: the least divisor of vectors.
        dim: the axis of outputs; default 0, or 1 of transposed convolutions.

    Raises:
        ValueError: the module has no such parameter, or there are no iterations.

    Example:
        >>> import pyautodl as ad
        >>> layer = ad.nn.utils.parametrizations.spectral_norm(ad.nn.Linear(3, 2))
        >>> sorted(layer.state_dict())[1:3]
        ['parametrizations.weight.0._u', 'parametrizations.weight.0._v']

    Source: Miyato et al., "Spectral normalization for generative adversarial networks",
    2018.
    """
    weight = weight_of("spectral_norm", module, name)
    if n_power_iterations < 1:
        raise ValueError(
            f"spectral_norm: n_power_iterations must be at least 1, got {n_power_iterations}"
        )
    dim = axis_of_outputs(module) if dim is None else dim
    norm = _SpectralNorm(weight, n_power_iterations, eps, dim)
    return register_parametrization(module, name, norm)


# ---- orthogonal columns ----


def _signs_positive(a: Tensor) -> Tensor:
    """The orthogonal factor of a, where the triangular one has a positive diagonal."""
    q, r = qr(a)
    signs = r.diagonal(0, -2, -1).sign()
    return q * signs.unsqueeze(-2)


def _is_orthogonal(q: Tensor) -> bool:
    size, columns = q.shape[-2:]
    far = (q.mT @ q - eye(columns, dtype=q.dtype)).abs()
    return bool((far <= 10 * size * finfo(q.dtype).eps + 1e-5).all())


def _reflected(vectors: Tensor, out: Tensor) -> Tensor:
    """The product of reflections by the columns of a unit triangle, times `out`."""
    columns = vectors.shape[-1]
    for j in reversed(range(columns)):
        v = vectors[..., j : j + 1]
        scale = 2 / v.square().sum(-2, keepdim=True)
        out = out - scale * (v @ (v.mT @ out))
    return out


def _with_ones(x: Tensor) -> Tensor:
    """The part below the diagonal, with ones on it."""
    return x.tril(-1) + eye(x.shape[-2], x.shape[-1], dtype=x.dtype)


def _reflections_of(q: Tensor) -> Tensor:
    """Below the diagonal what `_reflected` takes, on it signs, so that they make q."""
    a, found = q.clone(), q.clone()
    for j in range(q.shape[-1]):
        part = a[..., j:, j]
        first, rest = part[..., 0], part[..., 1:]
        below = rest.norm(dim=-1) if rest.shape[-1] else first * 0
        turned = where(first < 0, 1.0, -1.0) * (first**2 + below**2).sqrt()
        acts = below > 0
        divisor = where(acts, first - turned, 1.0)
        v = cat([first.unsqueeze(-1) * 0 + 1, rest / divisor.unsqueeze(-1)], -1)
        v = where(acts.unsqueeze(-1), v, v * 0)
        norm = v.square().sum(-1)
        scale = where(acts, 2 / where(acts, norm, 1.0), 0.0)
        shown = a[..., j:, :]
        step = scale[..., None, None] * v.unsqueeze(-1)
        moved = shown - step @ (v.unsqueeze(-2) @ shown)
        # a reflection that is not used still turns one that is made of no vector
        sign = where(acts, turned.sign(), -first.sign())
        a = cat([a[..., :j, :], moved], -2)
        column = cat([found[..., :j, j], sign.unsqueeze(-1), v[..., 1:]], -1)
        found = cat([found[..., :j], column.unsqueeze(-1), found[..., j + 1 :]], -1)
    return found


class _Orthogonal(Module):
    def __init__(self, weight: Tensor, orthogonal_map: str, trivialize: bool) -> None:
        super().__init__()
        self.shape = tuple(weight.shape)
        self.orthogonal_map = orthogonal_map
        if trivialize:
            self.register_buffer("base", None)
        self.trivialize = trivialize

    def _map(self, x: Tensor) -> Tensor:
        rows, columns = x.shape[-2:]
        if self.orthogonal_map == "householder":
            start = eye(rows, columns, dtype=x.dtype)
            q = _reflected(_with_ones(x), start)
            # ones and minus ones, which no gradient changes
            return q * x.diagonal(0, -2, -1).detach().trunc().unsqueeze(-2)
        lower = x.tril()
        if rows != columns:
            rest = x.new_zeros((*x.shape[:-1], rows - columns))
            lower = cat([lower, rest], -1)
        skew = lower - lower.mT
        if self.orthogonal_map == "matrix_exp":
            q = matrix_exp(skew)
        else:
            unit = eye(rows, dtype=x.dtype)
            q = solve(unit - 0.5 * skew, unit + 0.5 * skew)
        return q[..., :columns]

    def forward(self, x: Tensor) -> Tensor:
        wide = x.shape[-2] < x.shape[-1]
        q = self._map(x.mT if wide else x)
        if self.trivialize:
            q = self.base @ q
        return q.mT if wide else q

    def right_inverse(self, q: Tensor) -> Tensor:
        if tuple(q.shape) != self.shape:
            raise ShapeError(
                f"orthogonal: expected a tensor of shape {self.shape}, got {tuple(q.shape)}"
            )
        wide = q.shape[-2] < q.shape[-1]
        tall = q.mT if wide else q
        if self.trivialize:
            return self._start_from(tall, q)
        if self.orthogonal_map != "householder":
            raise NotImplementedError(
                f"orthogonal: {self.orthogonal_map} can't be made to give a tensor; likely "
                "fix: use_trivialization=True"
            )
        found = _reflections_of(tall)
        return found.mT if wide else found

    def _start_from(self, tall: Tensor, like: Tensor) -> Tensor:
        """Make the matrix, with orthogonal columns, the base; what gives it is -1."""
        rows, columns = tall.shape[-2:]
        if rows != columns:
            rest = randn((*tall.shape[:-1], rows - columns), dtype=tall.dtype)
            base = _signs_positive(cat([tall, rest], -1))
        else:
            base = tall.clone() if _is_orthogonal(tall) else _signs_positive(tall)
        self.base = base
        return like * 0 - eye(*like.shape[-2:], dtype=like.dtype)


@explained
def orthogonal(
    module: Module,
    name: str = "weight",
    orthogonal_map: str | None = None,
    *,
    use_trivialization: bool = True,
) -> Module:
    """Keep the columns of a weight, or its rows if it is wide, orthogonal of length 1.

    Args:
        module: the layer; it is changed and returned.
        name: of its weight, (..., m, n).
        orthogonal_map: 'matrix_exp', 'cayley' or 'householder'; default the first for a
            square weight, else the last.
        use_trivialization: start from the weight that is there, made orthogonal, and let
            the map turn it; needs the memory of another matrix.

    Raises:
        ValueError: the module has no such parameter, the weight is no matrix, or the map
            is unknown.

    Example:
        >>> import pyautodl as ad
        >>> layer = ad.nn.utils.parametrizations.orthogonal(ad.nn.Linear(4, 2))
        >>> bool((layer.weight @ layer.weight.t() - ad.eye(2)).abs().max() < 1e-6)
        True

    Source: Lezcano-Casado, "Trivializations for gradient-based optimization on
    manifolds", 2019.
    """
    weight = weight_of("orthogonal", module, name)
    if weight.ndim < 2:
        raise ValueError(
            f"orthogonal: expected a matrix or a batch of them, got {tuple(weight.shape)}"
        )
    if orthogonal_map is None:
        square = weight.shape[-2] == weight.shape[-1]
        orthogonal_map = "matrix_exp" if square else "householder"
    if orthogonal_map not in _MAPS:
        choices = ", ".join(map(repr, _MAPS))
        raise ValueError(
            f"orthogonal: {orthogonal_map!r} is unknown; choose one of {choices}"
        )
    made: Any = _Orthogonal(weight, orthogonal_map, use_trivialization)
    return register_parametrization(module, name, made, unsafe=True)
