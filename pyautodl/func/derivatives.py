"""Derivatives of functions as functions: `grad`, `vjp`, `jvp`, `jacrev` and their kin.

A derivative is computed with respect to leaves of its own, made from the arguments. What
it returns belongs to graphs outside alone: it is differentiable where arguments, or what
else the function reads, are part of one, as when derivatives are nested.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from pyautodl.autograd.grad_mode import enable_grad, is_grad_enabled
from pyautodl.autograd.gradients import grad as gradients
from pyautodl.errors import DTypeError, GradError, ShapeError, describe
from pyautodl.func.batching import vmap
from pyautodl.func.trees import leaves_of, rebuilt, tensors_of
from pyautodl.functional.creation import eye, zeros_like
from pyautodl.graph import MODE, Node
from pyautodl.ops.integers import integer
from pyautodl.tensor import Tensor, call
from pyautodl.tensor.mapped import lift, lower

__all__ = [
    "grad",
    "grad_and_value",
    "hessian",
    "jacfwd",
    "jacrev",
    "jvp",
    "linearize",
    "vjp",
]

Function = Callable[..., Any]
Argnums = int | tuple[int, ...]


class _Level:
    """One derivative: its own leaves, and whether there are graphs outside."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.outside = is_grad_enabled()
        self.maps = MODE.maps
        self._own: set[int] = set()
        # kept, as their ids stand for them
        self._leaves: list[Tensor] = []

    def enter(self, tree: Any) -> tuple[Any, list[Tensor]]:
        """The same with leaves of this level, or links to a graph outside; and those."""
        made = []
        for x in tensors_of(self.name, "what is differentiated by", tree):
            if not x.is_floating_point():
                raise DTypeError(
                    f"{self.name}: only floating tensors have derivatives, got {x.dtype}; "
                    "likely fix: .float()"
                )
            # where samples are mapped each of them has leaves of its own
            if x.requires_grad and self.outside:
                made.append(lift(call("alias", lower(x, self.maps)), self.maps))
            else:
                own = lower(x.detach(), self.maps).detach().requires_grad_()
                self._own.add(id(own))
                self._leaves.append(own)
                made.append(lift(own, self.maps))
        return rebuilt(tree, made), made

    def is_outside(self, tensors: Sequence[Tensor]) -> bool:
        """Whether one of them depends on more than this level's leaves."""
        if not self.outside:
            return False
        seen: set[int] = set()
        held: list[Any] = []
        for each in tensors:
            edge = each.edge()
            if edge is not None:
                held.append(edge[0])
        while held:
            found = held.pop()
            if id(found) in seen:
                continue
            seen.add(id(found))
            if not isinstance(found, Node):
                if id(found) not in self._own:
                    return True
                continue
            held += [edge[0] for edge in found.edges if edge is not None]
        return False

    def leave(self, tree: Any) -> Any:
        """The same without the graph of this level; what is no tensor stays."""
        return rebuilt(tree, [self._left(each) for each in leaves_of(tree)])

    def _left(self, value: Any) -> Any:
        if not isinstance(value, Tensor) or not value.requires_grad:
            return value
        return value if self.is_outside([value]) else value.detach()

    def differentiate(
        self,
        outputs: Sequence[Tensor],
        inputs: Sequence[Tensor],
        grads: Sequence[Tensor] | None,
        recorded: bool,
        keep: bool = True,
    ) -> list[Tensor]:
        """Gradients of the outputs' sum, zeros where nothing depends on an input."""
        pairs = [(y, i) for i, y in enumerate(outputs) if y.requires_grad]
        if not pairs:
            return [zeros_like(x.detach()) for x in inputs]
        found = gradients(
            [y for y, _ in pairs],
            inputs,
            None if grads is None else [grads[i] for _, i in pairs],
            retain_graph=keep or recorded,
            create_graph=recorded,
            allow_unused=True,
        )
        return [
            zeros_like(x.detach()) if g is None else g for g, x in zip(found, inputs)
        ]


def _chosen(
    name: str, args: tuple[Any, ...], argnums: Argnums
) -> tuple[Any, tuple[int, ...]]:
    """The arguments that are differentiated by, as `argnums` says, and their places."""
    several = isinstance(argnums, tuple)
    given = argnums if isinstance(argnums, tuple) else (argnums,)
    numbers = tuple([integer(name, "argnums", each) for each in given])
    for each in numbers:
        if not -len(args) <= each < len(args):
            raise ValueError(
                f"{name}: argnums {describe(argnums)} is not among the {len(args)} "
                "arguments"
            )
    places = tuple([each % len(args) for each in numbers])
    if not places or len(set(places)) < len(places):
        raise ValueError(f"{name}: argnums must be different, got {describe(argnums)}")
    return (tuple([args[i] for i in places]) if several else args[places[0]]), places


def _replaced(
    args: tuple[Any, ...], places: tuple[int, ...], chosen: Any, argnums: Argnums
) -> list[Any]:
    """The arguments with others in the places of those chosen."""
    whole = list(args)
    values = chosen if isinstance(argnums, tuple) else (chosen,)
    for place, value in zip(places, values, strict=True):
        whole[place] = value
    return whole


def _split(name: str, result: Any, has_aux: bool) -> tuple[Any, Any]:
    """What is differentiated, and what comes beside it."""
    if not has_aux:
        return result, None
    if not isinstance(result, tuple) or len(result) != 2:
        raise TypeError(
            f"{name}: with has_aux the function must return (output, aux), got "
            f"{describe(result)}"
        )
    return result


def _outputs(name: str, result: Any) -> list[Tensor]:
    return tensors_of(name, "what the function returns", result)


# ---- gradients ----


def grad_and_value(
    func: Function, argnums: Argnums = 0, has_aux: bool = False
) -> Function:
    """Return a function that computes (gradient, value) of `func`.

    Args:
        func: returns a tensor of one element; with has_aux (tensor, aux).
        argnums: the number of the argument that is differentiated by, or a tuple of them.
            Each may be a tensor, or a tuple, list or dict of tensors.
        has_aux: the value is then (value, aux).

    Raises:
        GradError: func returns more than one element.
        TypeError: it returns no tensor, or an argument is not made of tensors.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl.func import grad_and_value
        >>> grad_and_value(lambda x: (x**2).sum())(ad.tensor([1.0, 3.0]))
        (tensor([2., 6.]), tensor(10.))
    """
    return _grad_and_value("grad_and_value", func, argnums, has_aux)


def _grad_and_value(
    name: str, func: Function, argnums: Argnums, has_aux: bool
) -> Function:
    @functools.wraps(func)
    def differentiated(*args: Any, **kwargs: Any) -> Any:
        level = _Level(name)
        chosen, places = _chosen(name, args, argnums)
        with enable_grad():
            entered, inputs = level.enter(chosen)
            result = func(*_replaced(args, places, entered, argnums), **kwargs)
            value, aux = _split(name, result, has_aux)
            if not isinstance(value, Tensor):
                raise TypeError(
                    f"{name}: the function must return a tensor, got {describe(value)}"
                    + ("; likely fix: has_aux=True" if type(value) is tuple else "")
                )
            if value.numel() != 1:
                raise GradError(
                    f"{name}: the function must return one element, got shape "
                    f"{tuple(value.shape)}; likely fix: .sum() or .mean()"
                )
            recorded = level.is_outside([value])
            found = level.differentiate([value], inputs, None, recorded, keep=recorded)
            gradient = level.leave(rebuilt(chosen, found))
            # what was found out above
            value = value if recorded else value.detach()
            return gradient, (value, level.leave(aux)) if has_aux else value

    return differentiated


def grad(func: Function, argnums: Argnums = 0, has_aux: bool = False) -> Function:
    """Return a function that computes the gradient of `func`.

    Args:
        func: returns a tensor of one element; with has_aux (tensor, aux).
        argnums: the number of the argument that is differentiated by, or a tuple of them.
            Each may be a tensor, or a tuple, list or dict of tensors.
        has_aux: return (gradient, aux).

    Raises:
        GradError: func returns more than one element.
        TypeError: it returns no tensor, or an argument is not made of tensors.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl.func import grad
        >>> cube = lambda x: x**3
        >>> grad(cube)(ad.tensor(2.0)), grad(grad(cube))(ad.tensor(2.0))
        (tensor(12.), tensor(12.))
    """
    both = _grad_and_value("grad", func, argnums, has_aux)

    @functools.wraps(func)
    def gradient(*args: Any, **kwargs: Any) -> Any:
        found, value = both(*args, **kwargs)
        return (found, value[1]) if has_aux else found

    return gradient


# ---- products with Jacobians ----


def vjp(func: Function, *primals: Any, has_aux: bool = False) -> tuple[Any, ...]:
    """Return func(*primals) and a function that multiplies with the transposed Jacobian.

    Args:
        func: returns tensors; with has_aux (tensors, aux).
        primals: its arguments: tensors, or tuples, lists and dicts of them.
        has_aux: return (output, vjp_fn, aux).

    Returns:
        The output and vjp_fn, which takes cotangents like the output and returns a tuple
        with a product for each of the primals.

    Raises:
        ShapeError: cotangents are not like the output.
        TypeError: primals or outputs are not made of tensors.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl.func import vjp
        >>> output, vjp_fn = vjp(lambda x: x**2, ad.tensor([1.0, 3.0]))
        >>> output, vjp_fn(ad.tensor([1.0, 10.0]))
        (tensor([1., 9.]), (tensor([ 2., 60.]),))
    """
    level = _Level("vjp")
    with enable_grad():
        entered, inputs = level.enter(primals)
        result, aux = _split("vjp", func(*entered), has_aux)
        outputs = _outputs("vjp", result)
        recorded = level.is_outside(outputs)

    def vjp_fn(*cotangents: Any) -> Any:
        given = cotangents[0] if len(cotangents) == 1 else cotangents
        weights = _like("vjp", "cotangents", given, outputs)
        recording = recorded or any(each.requires_grad for each in weights)
        with enable_grad():
            found = level.differentiate(outputs, inputs, weights, recording)
            return level.leave(rebuilt(primals, found))

    output = level.leave(result)
    return (output, vjp_fn, level.leave(aux)) if has_aux else (output, vjp_fn)


def _like(name: str, what: str, tree: Any, expected: Sequence[Tensor]) -> list[Tensor]:
    tensors = tensors_of(name, what, tree)
    shapes = [tuple(each.shape) for each in tensors]
    wanted = [tuple(each.shape) for each in expected]
    if shapes != wanted:
        raise ShapeError(f"{name}: {what} must have shapes {wanted}, got {shapes}")
    return tensors


class _Linear:
    """A function's Jacobian at a point, to be multiplied with vectors.

    The gradient is linear in the gradients of the outputs; its derivative by those,
    the transpose of a transpose, is the product with a vector of inputs.
    """

    def __init__(
        self, name: str, func: Function, primals: tuple[Any, ...], has_aux: bool = False
    ) -> None:
        self.level = level = _Level(name)
        with enable_grad():
            entered, self.inputs = level.enter(primals)
            self.result, self.aux = _split(name, func(*entered), has_aux)
            self.outputs = _outputs(name, self.result)
            self.recorded = level.is_outside(self.outputs)
            zeros = [zeros_like(each.detach()) for each in self.outputs]
            _, self.dummies = level.enter(zeros)
            self.transposed = level.differentiate(
                self.outputs, self.inputs, self.dummies, True
            )

    def product(self, tangents: Sequence[Tensor]) -> Any:
        """The product with one vector, like the outputs."""
        recording = self.recorded or any(each.requires_grad for each in tangents)
        with enable_grad():
            found = self.level.differentiate(
                self.transposed, self.dummies, tangents, recording
            )
            return self.level.leave(rebuilt(self.result, found))


def jvp(
    func: Function,
    primals: tuple[Any, ...],
    tangents: tuple[Any, ...],
    *,
    strict: bool = False,
    has_aux: bool = False,
) -> tuple[Any, ...]:
    """Return func(*primals) and the product of its Jacobian with `tangents`.

    There is no forward mode: two reverse passes give the product.

    Args:
        func: returns tensors; with has_aux (tensors, aux).
        primals: a tuple of its arguments.
        tangents: a tuple like it.
        strict: without effect, as outputs that do not depend on primals give zeros.
        has_aux: return (output, product, aux).

    Raises:
        ShapeError: tangents are not like the primals.
        TypeError: primals are no tuple, or are not made of tensors.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl.func import jvp
        >>> jvp(ad.sin, (ad.tensor(0.0),), (ad.tensor(2.0),))
        (tensor(0.), tensor(2.))
    """
    if not isinstance(primals, tuple):
        raise TypeError(
            f"jvp: primals must be a tuple, got {describe(primals)}; likely fix: (x,)"
        )
    linear = _Linear("jvp", func, primals, has_aux)
    vectors = _like("jvp", "tangents", tangents, linear.inputs)
    output, product = linear.level.leave(linear.result), linear.product(vectors)
    if has_aux:
        return output, product, linear.level.leave(linear.aux)
    return output, product


def linearize(func: Function, *primals: Any) -> tuple[Any, Function]:
    """Return func(*primals) and a function that multiplies its Jacobian with tangents.

    Args:
        func: returns tensors.
        primals: its arguments: tensors, or tuples, lists and dicts of them.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl.func import linearize
        >>> output, jvp_fn = linearize(lambda x: x**2, ad.tensor([1.0, 3.0]))
        >>> jvp_fn(ad.tensor([1.0, 10.0]))
        tensor([ 2., 60.])
    """
    linear = _Linear("linearize", func, primals)

    def jvp_fn(*tangents: Any) -> Any:
        return linear.product(_like("linearize", "tangents", tangents, linear.inputs))

    return linear.level.leave(linear.result), jvp_fn


# ---- Jacobians ----


def _basis(x: Tensor) -> Tensor:
    """Zeros like x with a one in one place, for each of its elements."""
    return eye(x.numel(), dtype=x.dtype).reshape(-1, *x.shape)


def jacrev(
    func: Function,
    argnums: Argnums = 0,
    has_aux: bool = False,
    *,
    chunk_size: int | None = None,
    _preallocate_and_copy: bool = False,
) -> Function:
    """Return a function that computes the Jacobian of `func`, row by row.

    Args:
        func: returns tensors; with has_aux (tensors, aux).
        argnums: the number of the argument that is differentiated by, or a tuple of them.
        has_aux: return (Jacobian, aux).
        chunk_size: how many rows are computed at once; None: all of an output.

    Returns:
        Of the function: a tensor of the output's shape and then the argument's; nested as
        the output, and each part as the arguments, where these are nested.

    Raises:
        TypeError: arguments or outputs are not made of tensors.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl.func import jacrev
        >>> jacrev(lambda x: x**2)(ad.tensor([1.0, 3.0]))
        tensor([[2., 0.],
                [0., 6.]])
    """

    @functools.wraps(func)
    def jacobian(*args: Any, **kwargs: Any) -> Any:
        level = _Level("jacrev")
        chosen, places = _chosen("jacrev", args, argnums)
        with enable_grad():
            entered, inputs = level.enter(chosen)
            result = func(*_replaced(args, places, entered, argnums), **kwargs)
            result, aux = _split("jacrev", result, has_aux)
            outputs = _outputs("jacrev", result)
            recorded = level.is_outside(outputs)
            blocks = []
            for y in outputs:
                rows = _rows(level, y, inputs, recorded, chunk_size)
                blocks.append(rebuilt(chosen, rows))
            found = level.leave(rebuilt(result, blocks))
        return (found, level.leave(aux)) if has_aux else found

    return jacobian


def _rows(
    level: _Level,
    y: Tensor,
    inputs: Sequence[Tensor],
    recorded: bool,
    chunk_size: int | None,
) -> list[Tensor]:
    """The blocks of one output, one for each input: a gradient for each element of y."""
    shapes = [(*y.shape, *x.shape) for x in inputs]
    if not y.numel():
        return [x.detach().new_zeros(shape) for x, shape in zip(inputs, shapes)]

    def gradient(weights: Tensor) -> list[Tensor]:
        return level.differentiate([y], inputs, [weights], recorded)

    rows = vmap(gradient, chunk_size=chunk_size)(_basis(y))
    return [each.reshape(shape) for each, shape in zip(rows, shapes)]


def jacfwd(
    func: Function,
    argnums: Argnums = 0,
    has_aux: bool = False,
    *,
    randomness: str = "error",
) -> Function:
    """Return a function that computes the Jacobian of `func`, column by column.

    It takes less time than `jacrev` where there are fewer inputs than outputs.

    Args:
        func: returns tensors; with has_aux (tensors, aux).
        argnums: the number of the argument that is differentiated by, or a tuple of them.
        has_aux: return (Jacobian, aux).
        randomness: without effect: the function is called once.

    Returns:
        Of the function: as `jacrev`.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl.func import jacfwd
        >>> jacfwd(lambda t: ad.stack([t.sin(), t.cos()]))(ad.tensor(0.0))
        tensor([1., 0.])
    """

    @functools.wraps(func)
    def jacobian(*args: Any, **kwargs: Any) -> Any:
        chosen, places = _chosen("jacfwd", args, argnums)

        def of_chosen(entered: Any) -> Any:
            return func(*_replaced(args, places, entered, argnums), **kwargs)

        linear = _Linear("jacfwd", of_chosen, (chosen,), has_aux)
        columns = [_columns(linear, k) for k in range(len(linear.inputs))]
        blocks = []
        for j, y in enumerate(linear.outputs):
            parts = []
            for x, column in zip(linear.inputs, columns):
                whole = (*y.shape, *x.shape)
                if column:
                    parts.append(column[j].movedim(0, -1).reshape(whole))
                else:
                    parts.append(y.detach().new_zeros(whole))
            blocks.append(rebuilt(chosen, parts))
        found = rebuilt(linear.result, blocks)
        return (found, linear.level.leave(linear.aux)) if has_aux else found

    return jacobian


def _columns(linear: _Linear, k: int) -> list[Tensor]:
    """The products with a one in one place of input k, for each place; none if it has no
    element.
    """
    x = linear.inputs[k]
    if not x.numel():
        return []

    def product(tangent: Tensor) -> Any:
        vectors = [zeros_like(each.detach()) for each in linear.inputs]
        vectors[k] = tangent
        return leaves_of(linear.product(vectors))

    return list(vmap(product)(_basis(x)))


def hessian(func: Function, argnums: Argnums = 0) -> Function:
    """Return a function that computes the Hessian of `func`: the Jacobian of its Jacobian.

    Args:
        func: returns a tensor.
        argnums: the number of the argument that is differentiated by, or a tuple of them.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl.func import hessian
        >>> hessian(lambda x: (x**3).sum())(ad.tensor([1.0, 2.0]))
        tensor([[ 6.,  0.],
                [ 0., 12.]])
    """
    return jacrev(jacrev(func, argnums), argnums)
