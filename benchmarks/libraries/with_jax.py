"""JAX: every call, a whole training step too, is one compiled function."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax as package
import jax.numpy as jnp
import numpy as np

from benchmarks.libraries import jax_nn
from benchmarks.weights import initial_state, normal
from benchmarks.work import (
    Backward,
    Build,
    Call,
    Forward,
    Inference,
    Prepared,
    Product,
    Step,
    Unsupported,
    Work,
)

__all__ = ["Jax", "jax"]

# PyTorch's name -> the function, where jax.numpy has it under another name or not at all
_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "relu": package.nn.relu,
    "sigmoid": package.nn.sigmoid,
    "gelu": lambda x: package.nn.gelu(x, approximate=False),
    "softmax": package.nn.softmax,
    "log_softmax": package.nn.log_softmax,
    "logsumexp": package.nn.logsumexp,
    "add": jnp.add,
    "mul": jnp.multiply,
}


class Jax:
    """JAX on the CPU."""

    def __init__(self) -> None:
        self.versions = {"jax": package.__version__}

    def prepare(self, work: Work) -> Prepared:
        """Make the call; see `Library`."""
        match work:
            case Step():
                return _step(work)
            case Inference():
                return _forward(work, training=False)
            case Forward():
                return _forward(work, training=True)
            case Backward():
                return _backward(work)
            case Product(a, b):
                return _prepared(jnp.matmul, (a, b))
            case Call(name, arrays, attributes):
                function = _FUNCTIONS.get(name) or getattr(jnp, name)
                named = {
                    {"dim": "axis"}.get(key, key): value
                    for key, value in attributes.items()
                }
                return _prepared(lambda *x: function(*x, **named), arrays)
        raise Unsupported(f"JAX has no {type(work).__name__.lower()} here")


def _model(build: Build, training: bool) -> Any:
    model = build(jax_nn, jnp.concatenate)
    shapes = {key: getattr(owner, name).shape for key, owner, name in model.state()}
    model.load(
        {key: jnp.asarray(value) for key, value in initial_state(shapes).items()}
    )
    return model.train(training)


def _first(output: Any) -> Any:
    return output[0] if isinstance(output, tuple) else output


def _prepared(function: Callable[..., Any], arrays: tuple[Any, ...]) -> Prepared:
    compiled = package.jit(function)
    inputs = [jnp.asarray(each) for each in arrays]
    last: list[Any] = [None]

    def call() -> None:
        last[0] = package.block_until_ready(compiled(*inputs))

    return Prepared(
        call, lambda: [np.asarray(each) for each in package.tree.leaves(last[0])]
    )


def _forward(work: Inference | Forward, training: bool) -> Prepared:
    model = _model(work.build, training)
    state = dict(zip(("parameters", "buffers"), model.split(), strict=True))

    def forward(x: Any) -> Any:
        model.load(state["parameters"] | state["buffers"])
        return _first(model(x))

    return _prepared(forward, (work.x,))


def _backward(work: Backward) -> Prepared:
    model = _model(work.build, training=True)
    parameters, buffers = model.split()

    # in this order, which a dictionary forgets on its way through JAX
    keys = list(parameters)

    # all that varies is an argument, and the output is returned, or XLA would compute
    # beforehand what it can and leave out what nobody asks for
    def gradients(x: Any, parameters: Any, gradient: Any) -> Any:
        def output(x: Any, parameters: Any) -> Any:
            model.load(parameters | buffers)
            return _first(model(x))

        y, pull = package.vjp(output, x, parameters)
        gradient_x, gradients = pull(gradient)
        return y, [gradient_x, *(gradients[key] for key in keys)]

    compiled = package.jit(gradients)
    inputs = jnp.asarray(work.x)
    shape = package.eval_shape(lambda x: _first(model(x)), inputs).shape
    gradient = jnp.asarray(normal(3, *shape))
    last: list[Any] = [None]

    def call() -> None:
        last[0] = package.block_until_ready(compiled(inputs, parameters, gradient))

    return Prepared(call, lambda: [np.asarray(each) for each in last[0][1]])


def _loss(output: Any, x: Any, target: Any) -> Any:
    if target is None:
        return jnp.mean((output - x) ** 2)
    logits = package.nn.log_softmax(output, 1)
    return -jnp.mean(jnp.take_along_axis(logits, jnp.expand_dims(target, 1), 1))


def _step(work: Step) -> Prepared:
    model = _model(work.build, training=True)

    def loss_and_buffers(parameters: Any, buffers: Any, x: Any, target: Any) -> Any:
        model.load(parameters | buffers)
        loss = _loss(model(x), x, target)
        return loss, model.split()[1]

    def update(state: Any, x: Any, target: Any) -> Any:
        parameters, momenta, buffers = state
        (loss, buffers), gradients = package.value_and_grad(
            loss_and_buffers, has_aux=True
        )(parameters, buffers, x, target)
        momenta = {key: 0.9 * momenta[key] + gradients[key] for key in momenta}
        parameters = {key: parameters[key] - 0.01 * momenta[key] for key in momenta}
        return (parameters, momenta, buffers), loss

    compiled = package.jit(update, donate_argnums=0)
    x = jnp.asarray(work.x)
    target = None if work.target is None else jnp.asarray(work.target)
    parameters, buffers = model.split()
    momenta = package.tree.map(jnp.zeros_like, parameters)
    state: list[Any] = [(parameters, momenta, buffers)]
    losses: list[float] = []

    def step() -> None:
        state[0], loss = package.block_until_ready(compiled(state[0], x, target))
        if len(losses) < 3:
            losses.append(float(loss))

    return Prepared(step, lambda: [np.array(losses)])


def jax(threads: int, capability: str | None) -> Jax:
    """JAX; environment and processor affinity have set its threads."""
    return Jax()
