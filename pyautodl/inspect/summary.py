"""What a model is made of: its layers with shapes, parameters, work and memory."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pyautodl.autograd import no_grad
from pyautodl.functional.creation import zeros
from pyautodl.profiler import profile
from pyautodl.profiler.table import Shown, html, lines, size
from pyautodl.tensor import Tensor
from pyautodl.train.blame import kept_state

__all__ = ["LayerSummary", "Summary", "summary"]


@dataclass(frozen=True)
class LayerSummary:
    """A layer as `summary` shows it.

    Attributes:
        path: its name in the model.
        kind: its class.
        shape: of its output; None if that is no tensor.
        parameters: how many numbers it learns, those of layers in it apart.
        multiply_adds: products in its forward pass, each with its sum.
        memory: bytes of its output.
        calls: how often it is called.
    """

    path: str
    kind: str
    shape: tuple[int, ...] | None
    parameters: int
    multiply_adds: int
    memory: int
    calls: int


@dataclass(frozen=True)
class Summary:
    """The layers of a model and its totals; `print` shows a table.

    Attributes:
        layers: those that are called, in the order of their first call.
        parameters: of the whole model, each counted once.
        trainable: those of them that are not frozen.
    """

    layers: tuple[LayerSummary, ...]
    parameters: int
    trainable: int

    @property
    def multiply_adds(self) -> int:
        """Those of all layers."""
        return sum(each.multiply_adds for each in self.layers)

    @property
    def memory(self) -> int:
        """Bytes of all outputs, which training keeps for the backward pass."""
        return sum(each.memory * each.calls for each in self.layers)

    def _table(self) -> Shown:
        head = ("layer", "kind", "output", "parameters", "multiply-adds", "memory")
        cells = [
            (
                each.path or "(model)",
                each.kind + (f" x{each.calls}" if each.calls > 1 else ""),
                "" if each.shape is None else str(each.shape),
                f"{each.parameters:,}" if each.parameters else "",
                f"{each.multiply_adds:,}" if each.multiply_adds else "",
                size(each.memory),
            )
            for each in self.layers
        ]
        return Shown(head, cells)

    def _totals(self) -> str:
        frozen = self.parameters - self.trainable
        return (
            f"{self.parameters:,} parameters"
            + (f", of which {frozen:,} are frozen" if frozen else "")
            + f"; {self.multiply_adds:,} multiply-adds; outputs {size(self.memory)}"
        )

    def __str__(self) -> str:
        return "\n".join([*lines(self._table()), self._totals()])

    def _repr_html_(self) -> str:
        return f"{html(self._table())}<p>{self._totals()}</p>"


def summary(model: Any, *inputs: Any) -> Summary:
    """Return the layers of a model with shapes, parameters, work and memory.

    The model is called once, as it is in evaluation, and stays as it was.

    Args:
        model: an `nn.Module`.
        inputs: what it takes; a tuple of numbers stands for zeros of that shape,
            in the element type of the parameters.

    Raises:
        TypeError: no inputs are given, and the model takes some.
        RuntimeError: a profile is recording.

    Example:
        >>> from pyautodl import inspect, nn
        >>> model = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
        >>> print(inspect.summary(model, (8, 4)))
        layer  kind    output  parameters  multiply-adds  memory
        -----  ------  ------  ----------  -------------  ------
        0      Linear  (8, 3)          15             96    96 B
        1      ReLU    (8, 3)                               96 B
        2      Linear  (8, 2)           8             48    64 B
        -----  ------  ------  ----------  -------------  ------
        23 parameters; 144 multiply-adds; outputs 256 B
    """
    if not inputs and (needed := _required(model.forward)):
        raise TypeError(
            f"summary: {type(model).__name__} takes {', '.join(needed)}, got no inputs; "
            "likely fix: tensors or shapes, batch axis and all, as in "
            "summary(model, (1, 3, 32, 32))"
        )
    dtype = next((each.dtype for each in model.parameters()), None)
    given = [
        zeros(each, dtype=dtype) if isinstance(each, tuple) else each for each in inputs
    ]
    outputs: dict[str, list[Any]] = {}
    modules = {
        path: module
        for path, module in model.named_modules()
        if module is model or _is_shown(module)
    }
    handles = [
        module.register_forward_hook(
            lambda module, args, output, path=path: outputs.setdefault(path, []).append(
                output
            )
        )
        for path, module in modules.items()
        if _is_shown(module)
    ]
    training = [(each, each.training) for each in model.modules()]
    model.eval()
    try:
        with no_grad(), kept_state(model), profile() as recorded:
            model(*given)
    finally:
        for handle in handles:
            handle.remove()
        for module, before in training:
            module.training = before
    work = _work(recorded, type(model).__name__)
    layers = [
        _layer(path, modules[path], held, work.get(path, 0))
        for path, held in outputs.items()
    ]
    whole = list(model.parameters())
    return Summary(
        tuple(layers),
        sum(each.numel() for each in whole),
        sum(each.numel() for each in whole if each.requires_grad),
    )


def _required(forward: Callable[..., Any]) -> list[str]:
    """The names of the arguments that stand in places and have no default."""
    return [
        each.name
        for each in inspect.signature(forward).parameters.values()
        if each.default is each.empty
        and each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)
    ]


def _is_shown(module: Any) -> bool:
    """Whether it holds no layers, or parameters besides."""
    alone = next(module.children(), None) is None
    return alone or next(module.parameters(recurse=False), None) is not None


def _work(recorded: Any, root: str) -> dict[str, int]:
    """Multiply-adds by the path of the layer."""
    found: dict[str, int] = {}
    for event in recorded.events:
        if event.kind == "op" and event.depth == 0:
            path = "" if event.layer == root else event.layer
            found[path] = found.get(path, 0) + event.flops // 2
    return found


def _layer(path: str, module: Any, outputs: list[Any], work: int) -> LayerSummary:
    first = outputs[0]
    # a recurrent layer gives its outputs and its last state
    if isinstance(first, (tuple, list)) and first and isinstance(first[0], Tensor):
        first = first[0]
    known = isinstance(first, Tensor)
    return LayerSummary(
        path,
        type(module).__name__,
        tuple(first.shape) if known else None,
        sum(each.numel() for each in module.parameters(recurse=False)),
        work,
        first.numel() * first.dtype.itemsize if known else 0,
        len(outputs),
    )
