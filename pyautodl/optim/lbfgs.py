"""L-BFGS."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pyautodl.autograd.grad_mode import enable_grad, no_grad
from pyautodl.functional.copy import cat
from pyautodl.functional.creation import zeros
from pyautodl.optim.line_search import Point, strong_wolfe
from pyautodl.optim.optimizer import Optimizer, check_not_negative
from pyautodl.tensor import Tensor

__all__ = ["LBFGS"]


class LBFGS(Optimizer):
    """Newton's method with a curvature that is guessed from the last gradients.

    For few parameters and a loss without chance in it. A step evaluates the loss several
    times, so it needs a closure that clears the gradients, computes the loss, calls
    `backward` and returns the loss.

    Args:
        params: parameters, one group of them.
        lr: the step size.
        max_iter: iterations in a step.
        max_eval: evaluations of the loss in a step; default 1.25 max_iter.
        tolerance_grad: stop when no gradient is larger.
        tolerance_change: stop when the parameters and the loss change by less.
        history_size: how many gradients are kept.
        line_search_fn: None, or 'strong_wolfe' to choose the size of each step.

    Raises:
        ValueError: an option is out of range, or there are several groups.

    Example:
        >>> import pyautodl as ad
        >>> w = ad.tensor([3.0, -2.0], requires_grad=True)
        >>> optimizer = ad.optim.LBFGS([w], line_search_fn="strong_wolfe")
        >>> def closure():
        ...     optimizer.zero_grad()
        ...     loss = ((w - 1) ** 2).sum()
        ...     loss.backward()
        ...     return loss
        >>> _ = optimizer.step(closure)
        >>> w.detach().round(decimals=3)
        tensor([1., 1.])

    Source: Liu and Nocedal, "On the limited memory BFGS method for large scale
    optimization", 1989.
    """

    def __init__(
        self,
        params: Any,
        lr: Any = 1,
        max_iter: int = 20,
        max_eval: int | None = None,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
        history_size: int = 100,
        line_search_fn: str | None = None,
    ) -> None:
        check_not_negative("LBFGS", lr=lr)
        if line_search_fn not in (None, "strong_wolfe"):
            raise ValueError(
                "LBFGS: line_search_fn must be None or 'strong_wolfe', got "
                f"{line_search_fn!r}"
            )
        defaults = {
            "lr": lr,
            "max_iter": max_iter,
            "max_eval": max_iter * 5 // 4 if max_eval is None else max_eval,
            "tolerance_grad": tolerance_grad,
            "tolerance_change": tolerance_change,
            "history_size": history_size,
            "line_search_fn": line_search_fn,
        }
        super().__init__(params, defaults)
        if len(self.param_groups) != 1:
            raise ValueError(
                f"LBFGS: expected one group of parameters, got {len(self.param_groups)}"
            )

    @property
    def _params(self) -> list[Tensor]:
        found: list[Tensor] = self.param_groups[0]["params"]
        return found

    def _gradient(self) -> Tensor:
        """All gradients as one line."""
        parts = [
            zeros(p.numel(), dtype=p.dtype) if p.grad is None else p.grad.reshape(-1)
            for p in self._params
        ]
        return cat(parts)

    def _move(self, direction: Tensor, step: float) -> None:
        sizes = [p.numel() for p in self._params]
        for p, part in zip(self._params, direction.split(sizes)):
            p.add_(part.reshape(p.shape), alpha=step)

    @no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Change the parameters, evaluating the loss as often as it takes.

        Args:
            closure: computes the loss and its gradients.

        Returns:
            What the closure returned first.

        Raises:
            ValueError: there is no closure.
        """
        if closure is None:
            raise ValueError("LBFGS: step needs a closure that computes the loss")
        group, state = self.param_groups[0], self.state[self._params[0]]
        evaluate = enable_grad()(closure)
        first = evaluate()
        loss, grad, evaluations = float(first), self._gradient(), 1
        state.setdefault("n_iter", 0)
        state["func_evals"] = state.get("func_evals", 0) + 1
        for i in range(1, group["max_iter"] + 1):
            if float(grad.abs().max()) <= group["tolerance_grad"]:
                break
            state["n_iter"] += 1
            direction = self._direction(state, grad)
            slope = float(grad.dot(direction))
            step = float(group["lr"])
            if state["n_iter"] == 1:
                step *= min(1.0, 1.0 / float(grad.abs().sum()))
            state.update(d=direction, t=step, prev_flat_grad=grad.clone())
            if slope > -group["tolerance_change"]:
                break
            before = loss
            if group["line_search_fn"] is not None:
                start = Point(0.0, loss, grad, slope)
                most = group["max_eval"] - evaluations
                found, count = self._search(evaluate, start, direction, step, most)
                step, loss, grad = found.step, found.loss, found.grad
                self._move(direction, step)
                state["t"] = step
            else:
                self._move(direction, step)
                count = int(i < group["max_iter"])
                if count:
                    loss, grad = float(evaluate()), self._gradient()
            evaluations += count
            state["func_evals"] += count
            if (
                evaluations >= group["max_eval"]
                or float(direction.abs().max()) * step <= group["tolerance_change"]
                or abs(loss - before) < group["tolerance_change"]
            ):
                break
        return first

    def _direction(self, state: dict[str, Any], grad: Tensor) -> Tensor:
        """Against the gradient, stretched by the inverse of the guessed curvature."""
        if state["n_iter"] == 1:
            state.update(old_dirs=[], old_stps=[], ro=[], H_diag=1.0)
            return -grad
        change = grad - state["prev_flat_grad"]
        move = state["d"] * state["t"]
        product = float(change.dot(move))
        changes, moves, ro = state["old_dirs"], state["old_stps"], state["ro"]
        if product > 1e-10:
            if len(changes) == self.param_groups[0]["history_size"]:
                for each in (changes, moves, ro):
                    each.pop(0)
            changes.append(change)
            moves.append(move)
            ro.append(1.0 / product)
            state["H_diag"] = product / float(change.dot(change))
        direction = -grad
        shares = []
        for y, s, r in zip(reversed(changes), reversed(moves), reversed(ro)):
            shares.append(float(s.dot(direction)) * r)
            direction.add_(y, alpha=-shares[-1])
        direction.mul_(state["H_diag"])
        for y, s, r, share in zip(changes, moves, ro, reversed(shares)):
            direction.add_(s, alpha=share - float(y.dot(direction)) * r)
        return direction

    def _search(
        self,
        evaluate: Callable[[], Any],
        start: Point,
        direction: Tensor,
        step: float,
        most: int,
    ) -> tuple[Point, int]:
        kept = [p.clone() for p in self._params]

        def try_step(step: float) -> Point:
            self._move(direction, step)
            loss, grad = float(evaluate()), self._gradient()
            for p, old in zip(self._params, kept):
                p.copy_(old)
            return Point(step, loss, grad, float(grad.dot(direction)))

        size = float(direction.abs().max())
        return strong_wolfe(try_step, start, step, size, most)
