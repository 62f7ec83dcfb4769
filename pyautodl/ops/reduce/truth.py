"""Whether any or all elements are not 0."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from pyautodl.backends import Array, run
from pyautodl.backends.dtypes import bool_
from pyautodl.ops.axes import normalize_axes, reduced_shape
from pyautodl.ops.record import ErrorCase, Op, Sample, Spec, register
from pyautodl.ops.reduce.common import Dim, dim_errors, numpy_axis, output

__all__ = ["ALL", "ANY"]


def _truth(name: str, every: bool, oracle: Callable[..., Any]) -> Op:
    def rule(x: Array, dim: Dim = None, keepdim: bool = False) -> tuple[Spec, ...]:
        axes = normalize_axes(name, dim, x.shape)
        return (Spec(reduced_shape(x.shape, axes, keepdim), bool_),)

    def forward(
        ctx: Any, needs: Any, x: Array, dim: Dim = None, keepdim: bool = False
    ) -> Array:
        out, full = output(ctx, x, normalize_axes(name, dim, x.shape), keepdim, bool_)
        run("any", (x,), (full,), (int(every),))
        return out

    def reference(x: Any, dim: Dim = None, keepdim: bool = False) -> Any:
        return np.asarray(oracle(x, axis=numpy_axis(dim), keepdims=keepdim))

    def errors() -> Iterator[ErrorCase]:
        yield from dim_errors(name)

    return register(
        Op(
            name=name,
            rule=rule,
            forward=forward,
            samples=_truth_samples,
            errors=errors,
            reference=reference,
        )
    )


def _truth_samples() -> Iterator[Sample]:
    x = np.array([[True, False, True], [True, True, True]])
    for attrs in ({}, {"dim": 0}, {"dim": 1, "keepdim": True}, {"dim": (0, 1)}):
        yield Sample((x,), attrs, gradient=False)
    yield Sample((np.array([0.0, np.nan, -0.0]),), {}, gradient=False)
    yield Sample((np.zeros((0, 3)),), {"dim": 0}, gradient=False)
    yield Sample((np.eye(70, 300),), {"dim": 0}, gradient=False)
    yield Sample((np.ones((3, 5000), np.int64),), {"dim": 1}, gradient=False)


ANY = _truth("any", False, np.any)

ALL = _truth("all", True, np.all)
