"""Optimizer steps and gradient clipping; tables of arrays come as lists."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = [
    "adadelta_step",
    "adagrad_step",
    "adam_step",
    "adamax_step",
    "asgd_step",
    "grad_clamp",
    "grad_norm",
    "grad_scale",
    "nadam_step",
    "radam_step",
    "rmsprop_step",
    "rprop_step",
    "sgd_step",
]

NDArray = np.ndarray[Any, Any]
Table = list[NDArray]


def _gradient(grad: NDArray, param: NDArray, decay: float, maximize: int) -> NDArray:
    """What a step follows: the gradient, uphill negated, with the decay's part."""
    g = -grad if maximize else grad
    return g + decay * param if decay != 0 else g


def _decays(param: NDArray, lr: float, decay: float, decoupled: int) -> float:
    """The decay that is left for the gradient, once a decoupled one is the parameter's."""
    if not decoupled:
        return decay
    param *= 1 - lr * decay
    return 0.0


def _take_in(
    g: NDArray, mean: NDArray, square: NDArray, beta1: float, beta2: float
) -> None:
    """Move the running means of the gradient and its square."""
    mean += (1 - beta1) * (g - mean)
    square *= beta2
    square += (1 - beta2) * g * g


def sgd_step(
    grads: Table,
    hyper: NDArray,
    params: Table,
    buffers: Table | None,
    first: int,
    nesterov: int,
    maximize: int,
) -> None:
    lr, momentum, dampening, decay = (float(each) for each in hyper)
    for i, (grad, param) in enumerate(zip(grads, params)):
        g = _gradient(grad, param, decay, maximize)
        if momentum != 0 and buffers is not None:
            buffer = buffers[i]
            buffer[...] = g if first else momentum * buffer + (1 - dampening) * g
            g = g + momentum * buffer if nesterov else buffer
        param -= lr * g


def adam_step(
    grads: Table,
    hyper: NDArray,
    params: Table,
    means: Table,
    squares: Table,
    largest: Table | None,
    steps: Table,
    amsgrad: int,
    decoupled: int,
    maximize: int,
) -> None:
    lr, beta1, beta2, eps, decay = (float(each) for each in hyper)
    for i, (grad, param, mean, square) in enumerate(zip(grads, params, means, squares)):
        steps[i] += 1
        step = float(steps[i].item())
        decays = _decays(param, lr, decay, decoupled)
        g = _gradient(grad, param, decays, maximize)
        _take_in(g, mean, square, beta1, beta2)
        root = square
        if amsgrad and largest is not None:
            root = largest[i]
            np.maximum(root, square, out=root)
        width = np.sqrt(root) / np.sqrt(1 - beta2**step) + eps
        param -= lr / (1 - beta1**step) * mean / width


def rmsprop_step(
    grads: Table,
    hyper: NDArray,
    params: Table,
    squares: Table,
    means: Table | None,
    buffers: Table | None,
    steps: Table,
    centered: int,
    maximize: int,
) -> None:
    lr, alpha, eps, decay, momentum = (float(each) for each in hyper)
    for i, (grad, param, square) in enumerate(zip(grads, params, squares)):
        steps[i] += 1
        g = _gradient(grad, param, decay, maximize)
        square *= alpha
        square += (1 - alpha) * g * g
        width = square
        if centered and means is not None:
            means[i] += (1 - alpha) * (g - means[i])
            width = square - means[i] ** 2
        move = g / (np.sqrt(width) + eps)
        if momentum != 0 and buffers is not None:
            buffers[i][...] = momentum * buffers[i] + move
            move = buffers[i]
        param -= lr * move


def adagrad_step(
    grads: Table,
    hyper: NDArray,
    params: Table,
    sums: Table,
    steps: Table,
    maximize: int,
) -> None:
    lr, lr_decay, decay, eps = (float(each) for each in hyper)
    for grad, param, total, step in zip(grads, params, sums, steps):
        rate = lr / (1 + float(step.item()) * lr_decay)
        step += 1
        g = _gradient(grad, param, decay, maximize)
        total += g * g
        param -= rate * g / (np.sqrt(total) + eps)


def adadelta_step(
    grads: Table,
    hyper: NDArray,
    params: Table,
    squares: Table,
    moves: Table,
    steps: Table,
    maximize: int,
) -> None:
    lr, rho, eps, decay = (float(each) for each in hyper)
    for i, (grad, param, square) in enumerate(zip(grads, params, squares)):
        steps[i] += 1
        g = _gradient(grad, param, decay, maximize)
        square *= rho
        square += (1 - rho) * g * g
        move = np.sqrt(moves[i] + eps) / np.sqrt(square + eps) * g
        moves[i] *= rho
        moves[i] += (1 - rho) * move * move
        param -= lr * move


def adamax_step(
    grads: Table,
    hyper: NDArray,
    params: Table,
    means: Table,
    largest: Table,
    steps: Table,
    maximize: int,
) -> None:
    lr, beta1, beta2, eps, decay = (float(each) for each in hyper)
    for i, (grad, param, mean) in enumerate(zip(grads, params, means)):
        steps[i] += 1
        g = _gradient(grad, param, decay, maximize)
        mean += (1 - beta1) * (g - mean)
        largest[i][...] = np.maximum(beta2 * largest[i], np.abs(g) + eps)
        param -= lr / (1 - beta1 ** float(steps[i].item())) * mean / largest[i]


def radam_step(
    grads: Table,
    hyper: NDArray,
    params: Table,
    means: Table,
    squares: Table,
    steps: Table,
    decoupled: int,
    maximize: int,
) -> None:
    lr, beta1, beta2, eps, decay = (float(each) for each in hyper)
    most = 2 / (1 - beta2) - 1
    for i, (grad, param, mean, square) in enumerate(zip(grads, params, means, squares)):
        steps[i] += 1
        step = float(steps[i].item())
        decays = _decays(param, lr, decay, decoupled)
        g = _gradient(grad, param, decays, maximize)
        _take_in(g, mean, square, beta1, beta2)
        length = most - 2 * step * beta2**step / (1 - beta2**step)
        move = mean
        if length > 5:
            known = (length - 4) * (length - 2) * most
            trust = np.sqrt(known / ((most - 4) * (most - 2) * length))
            move = mean * trust * np.sqrt(1 - beta2**step) / (np.sqrt(square) + eps)
        param -= lr / (1 - beta1**step) * move


def nadam_step(
    grads: Table,
    hyper: NDArray,
    params: Table,
    means: Table,
    squares: Table,
    products: Table,
    steps: Table,
    decoupled: int,
    maximize: int,
) -> None:
    lr, beta1, beta2, eps, decay, shrink = (float(each) for each in hyper)
    for i, (grad, param, mean, square) in enumerate(zip(grads, params, means, squares)):
        steps[i] += 1
        step = float(steps[i].item())
        decays = _decays(param, lr, decay, decoupled)
        g = _gradient(grad, param, decays, maximize)
        now = beta1 * (1 - 0.5 * shrink**step)
        after = beta1 * (1 - 0.5 * shrink ** (step + 1))
        products[i] *= now
        product = float(products[i].item())
        _take_in(g, mean, square, beta1, beta2)
        width = np.sqrt(square) / np.sqrt(1 - beta2**step) + eps
        move = (1 - now) / (1 - product) * g + after / (1 - product * after) * mean
        param -= lr * move / width


def rprop_step(
    grads: Table,
    hyper: NDArray,
    params: Table,
    before: Table,
    sizes: Table,
    steps: Table,
    maximize: int,
) -> None:
    shrink, grow, least, most = (float(each) for each in hyper)
    for i, (grad, param, size) in enumerate(zip(grads, params, sizes)):
        steps[i] += 1
        g = _gradient(grad, param, 0, maximize)
        same = g * before[i]
        size *= np.where(same > 0, grow, np.where(same < 0, shrink, 1))
        np.clip(size, least, most, out=size)
        g = np.where(same < 0, 0, g)
        before[i][...] = g
        param -= np.sign(g) * size


def asgd_step(
    grads: Table,
    hyper: NDArray,
    params: Table,
    averages: Table,
    rates: Table,
    shares: Table,
    steps: Table,
    maximize: int,
) -> None:
    lr, lambd, alpha, start, decay = (float(each) for each in hyper)
    for i, (grad, param, average) in enumerate(zip(grads, params, averages)):
        steps[i] += 1
        step, rate = float(steps[i].item()), float(rates[i].item())
        g = _gradient(grad, param, decay, maximize)
        param *= 1 - lambd * rate
        param -= rate * g
        share = float(shares[i].item())
        if share == 1:
            average[...] = param
        else:
            average += share * (param - average)
        rates[i][...] = lr / (1 + lambd * lr * step) ** alpha
        shares[i][...] = 1 / max(1.0, step - start)


def grad_norm(grads: Table, out: NDArray, p: float) -> None:
    sizes = [np.abs(grad.astype(np.float64)) for grad in grads]
    norm = max((float(np.max(size, initial=0.0)) for size in sizes), default=0.0)
    if any(np.isnan(size).any() for size in sizes):
        norm = np.nan
    if p != 0 and np.isfinite(norm) and norm > 0:
        total = sum(float(((size / norm) ** p).sum()) for size in sizes)
        norm *= total ** (1 / p)
    out[...] = norm


def grad_scale(grads: Table, norm: NDArray, out: Table, max_norm: float) -> None:
    factor = max_norm / (float(norm.reshape(-1)[0]) + 1e-6)
    for grad in out:
        if not factor >= 1:
            grad *= factor


def grad_clamp(grads: Table, limit: float) -> None:
    for grad in grads:
        np.clip(grad, -limit, limit, out=grad)
