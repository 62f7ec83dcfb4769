"""grad and backward: reverse mode as functions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pyautodl.errors import GradError
from pyautodl.graph import MODE, BySample, Edge, run_backward
from pyautodl.tensor import (
    Tensor,
    backward_targets,
    call,
    explained,
    root_gradient,
    target_edge,
)

__all__ = ["backward", "grad"]


def _as_tuple(tensors: Any) -> tuple[Any, ...]:
    return (tensors,) if isinstance(tensors, Tensor) else tuple(tensors)


def _roots(
    what: str, tensors: tuple[Tensor, ...], grad_tensors: Any
) -> list[tuple[Edge, Tensor]]:
    """Where the pass starts: an edge and a gradient for each tensor."""
    grads: Sequence[Any]
    if grad_tensors is None:
        grads = [None] * len(tensors)
    else:
        grads = _as_tuple(grad_tensors)
    if len(grads) != len(tensors):
        raise GradError(
            f"{what}: got {len(tensors)} tensors and {len(grads)} gradients"
        )
    roots = []
    for i, (tensor, given) in enumerate(zip(tensors, grads)):
        edge = tensor.edge()
        if edge is None:
            raise GradError(
                f"{what}: element {i} of the tensors requires no gradient and has no "
                "grad_fn; likely fix: requires_grad=True on what it is computed from"
            )
        roots.append((edge, root_gradient(tensor, given)))
    return roots


@explained
def backward(
    tensors: Any,
    grad_tensors: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    grad_variables: Any = None,
    inputs: Any = None,
) -> None:
    """Add the gradients of the sum of `tensors` to the `.grad` of the leaves.

    Args:
        tensors: one tensor or several.
        grad_tensors: the gradient of what comes after, for each; None is 1 for a tensor
            of one element.
        retain_graph: keep what was saved (default: `create_graph`).
        create_graph: record the pass, for gradients of gradients.
        grad_variables: the old name of grad_tensors.
        inputs: fill the `grad` of these tensors alone; those that are no leaves retain it
            from then on.

    Raises:
        GradError: a tensor, or one of `inputs`, requires no gradient, or a gradient is
            missing.

    Example:
        >>> import pyautodl as ad
        >>> x = ad.tensor([1.0, 2.0], requires_grad=True)
        >>> ad.autograd.backward([x.square().sum(), x.sum()])
        >>> x.grad
        tensor([3., 5.])
    """
    if grad_variables is not None:
        if grad_tensors is not None:
            raise GradError("backward: give grad_tensors or grad_variables, not both")
        grad_tensors = grad_variables
    targets = None if inputs is None else backward_targets(inputs)
    roots = _roots("backward", _as_tuple(tensors), grad_tensors)
    keep = create_graph if retain_graph is None else retain_graph
    run_backward(roots, keep, create_graph, targets, True)


@explained
def grad(
    outputs: Any,
    inputs: Any,
    grad_outputs: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    only_inputs: bool = True,
    allow_unused: bool | None = None,
    is_grads_batched: bool = False,
    materialize_grads: bool = False,
) -> tuple[Any, ...]:
    """Return the gradients of the sum of `outputs` with respect to `inputs`.

    Args:
        outputs: one tensor or several.
        inputs: one tensor or several, which need not be leaves.
        grad_outputs: the gradient of what comes after, for each output.
        retain_graph: keep what was saved (default: `create_graph`).
        create_graph: record the pass, so that the result can be differentiated.
        only_inputs: True, as in PyTorch, where it does nothing any more.
        allow_unused: give None for inputs that the outputs do not depend on.
        is_grads_batched: grad_outputs have an axis first, for one gradient after the
            other; so have the results.
        materialize_grads: give zeros instead of None.

    Raises:
        GradError: an input is not used and `allow_unused` is not set.

    Example:
        >>> import pyautodl as ad
        >>> x = ad.tensor(2.0, requires_grad=True)
        >>> ad.autograd.grad(x**3, x)
        (tensor(12.),)
    """
    if not only_inputs:
        raise NotImplementedError("grad: only_inputs=False is not supported")
    if materialize_grads and allow_unused is False:
        raise ValueError(
            "grad: materialize_grads needs allow_unused to be None or True"
        )
    given = _as_tuple(inputs)
    keep = create_graph if retain_graph is None else retain_graph
    if is_grads_batched:
        options = (keep, create_graph, allow_unused, materialize_grads)
        return _one_by_one(outputs, given, grad_outputs, *options)
    if MODE.maps:
        outputs, given, grad_outputs, maps = _in_batches(outputs, given, grad_outputs)
    targets = [target_edge("grad", i, x) for i, x in enumerate(given)]
    roots = _roots("grad", _as_tuple(outputs), grad_outputs)
    found = run_backward(roots, keep, create_graph, targets, False)
    if MODE.maps:
        from pyautodl.tensor.mapped import lift

        found = [None if g is None else lift(g, maps) for g in found]
        given = tuple([lift(x, maps) for x in given])
    if materialize_grads:
        return tuple(
            [call("zeros_like", x) if g is None else g for x, g in zip(given, found)]
        )
    if not allow_unused and any(each is None for each in found):
        unused = [i for i, each in enumerate(found) if each is None]
        raise GradError(
            f"grad: input {unused[0]} was not used in the graph; "
            "allow_unused=True gives None for it"
        )
    return tuple(found)


def _in_batches(
    outputs: Any, inputs: tuple[Any, ...], grad_outputs: Any
) -> tuple[Any, Any, Any, tuple[Any, ...]]:
    """What `grad` is given, with the axes of the maps that it is of; and these."""
    from pyautodl.tensor.mapped import lower, maps_of

    outputs = _as_tuple(outputs)
    maps = maps_of((*outputs, *inputs))
    if any(maps_of((x,)) != maps for x in inputs):
        # the gradient by what all samples share is that of their sum
        raise BySample
    if grad_outputs is None:
        grads = [None] * len(outputs)
    else:
        grads = list(_as_tuple(grad_outputs))
    for i, (y, g) in enumerate(zip(outputs, grads)):
        if maps and not (y.numel() == 1 if g is None else _is_like(g, y)):
            raise BySample  # what is wrong is told of one sample
        if g is None and maps:
            grads[i] = call("full", shape=tuple(y.shape), value=1.0, dtype=y.dtype)
    lowered = [None if g is None else lower(g, maps) for g in grads]
    return (
        tuple([lower(y, maps) for y in outputs]),
        tuple([lower(x, maps) for x in inputs]),
        lowered,
        maps,
    )


def _is_like(grad: Any, of: Tensor) -> bool:
    return isinstance(grad, Tensor) and grad.shape == of.shape


def _one_by_one(
    outputs: Any,
    inputs: tuple[Tensor, ...],
    grad_outputs: Any,
    keep: bool,
    create_graph: bool,
    allow_unused: bool | None,
    materialize: bool,
) -> tuple[Any, ...]:
    """Gradients for each of a batch of `grad_outputs`, stacked."""
    grads = () if grad_outputs is None else _as_tuple(grad_outputs)
    sizes = {len(each) if each is not None and each.ndim else 0 for each in grads}
    if len(sizes) != 1 or 0 in sizes:
        raise GradError(
            "grad: is_grads_batched needs grad_outputs with a first axis of one size, not "
            "0, for all outputs"
        )
    (size,) = sizes
    rows = [
        grad(
            outputs,
            inputs,
            [each[i] for each in grads],
            retain_graph=keep or i < size - 1,
            create_graph=create_graph,
            allow_unused=allow_unused,
            materialize_grads=materialize,
        )
        for i in range(size)
    ]
    return tuple(
        [
            None if each[0] is None else call("stack", *each, dim=0)
            for each in zip(*rows)
        ]
    )
