"""All parameters as one vector, and back."""

from __future__ import annotations

from collections.abc import Iterable

from pyautodl.autograd.grad_mode import no_grad
from pyautodl.errors import ShapeError
from pyautodl.tensor import Tensor, call, explained

__all__ = ["parameters_to_vector", "vector_to_parameters"]


@explained
def parameters_to_vector(parameters: Iterable[Tensor]) -> Tensor:
    """Join the elements of all parameters, in order, in one vector.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl import nn
        >>> nn.utils.parameters_to_vector([ad.ones(2), ad.zeros(1, 1)])
        tensor([1., 1., 0.])
    """
    flat = [call("reshape", each, shape=(each.numel(),)) for each in parameters]
    if not flat:
        raise ValueError("parameters_to_vector: expected at least one parameter")
    joined: Tensor = call("cat", *flat, dim=0)
    return joined


@explained
def vector_to_parameters(vec: Tensor, parameters: Iterable[Tensor]) -> None:
    """Copy slices of a vector into the parameters, in order.

    Args:
        vec: the vector.
        parameters: what takes its numbers.

    Raises:
        ShapeError: the vector has not as many elements as the parameters.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl import nn
        >>> layer = nn.Linear(2, 1)
        >>> nn.utils.vector_to_parameters(ad.tensor([1.0, 2.0, 3.0]), layer.parameters())
        >>> layer.weight.tolist(), layer.bias.tolist()
        ([[1.0, 2.0]], [3.0])
    """
    given = list(parameters)
    total = sum(each.numel() for each in given)
    if not isinstance(vec, Tensor):
        raise TypeError(f"expected a Tensor, got {type(vec).__name__}")
    if vec.shape != (total,):
        raise ShapeError(
            f"vector_to_parameters: expected a vector of {total} elements, got shape "
            f"{tuple(vec.shape)}"
        )
    start = 0
    with no_grad():
        for each in given:
            size = each.numel()
            part = call("slice", vec, starts=(start,), sizes=(size,), steps=(1,))
            each.copy_(part.reshape(each.shape))
            start += size
