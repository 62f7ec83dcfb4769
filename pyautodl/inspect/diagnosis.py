"""Why a model does not learn: what one step of its training shows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from pyautodl import nn
from pyautodl.autograd import enable_grad, grad
from pyautodl.functional.creation import as_tensor
from pyautodl.graph import stale_sums
from pyautodl.profiler.table import Shown, html, lines
from pyautodl.tensor import Tensor
from pyautodl.train import checks
from pyautodl.train.blame import blame, kept_state

__all__ = ["Diagnosis", "LayerState", "diagnose"]

# units that give 0 for everything below a bound
_CLIPPING = (nn.ReLU, nn.ReLU6, nn.Threshold, nn.Hardswish)
# where an activation's slope is below a hundredth of its largest
_FLAT = {
    nn.Tanh: lambda y: y.abs() > 0.995,
    nn.Sigmoid: lambda y: (y < 0.0025) | (y > 0.9975),
}
_MANY_DEAD, _MANY_FLAT = 0.8, 0.5
# the gradient of a weight, relative to it, against that of the other layers
_VANISHED, _EXPLODED = 1e-4, 100.0
_WIDE = 10.0
_ALIKE = 1e-5


@dataclass(frozen=True)
class LayerState:
    """A layer in one step of training.

    Attributes:
        path: its name in the model.
        kind: its class.
        mean, std: of its output.
        dead: of a ReLU and its kin the share of units (channels, features) that are 0 for
            the whole batch; None for other layers.
        flat: of a tanh or sigmoid the share of outputs where its slope is next to 0.
        gradient: the norm of its weight's gradient, relative to that of the weight; None
            without weights, or if they are frozen or all 0.
    """

    path: str
    kind: str
    mean: float
    std: float
    dead: float | None
    flat: float | None
    gradient: float | None


@dataclass(frozen=True)
class Diagnosis:
    """What a step of training shows; `print` shows a table and the findings.

    Attributes:
        loss: of the batch.
        layers: in the order of their calls.
        findings: what stands in the way of learning, each with its likely fix.
    """

    loss: float
    layers: tuple[LayerState, ...]
    findings: tuple[str, ...]

    def _table(self) -> Shown:
        head = ("layer", "kind", "mean", "std", "dead", "flat", "gradient/weight")
        cells = [
            (
                each.path or "(model)",
                each.kind,
                f"{each.mean:.3g}",
                f"{each.std:.3g}",
                "" if each.dead is None else f"{each.dead:.0%}",
                "" if each.flat is None else f"{each.flat:.0%}",
                "" if each.gradient is None else f"{each.gradient:.1e}",
            )
            for each in self.layers
        ]
        return Shown(head, cells)

    def _said(self) -> list[str]:
        found = self.findings or ("nothing stands in the way of learning",)
        return [f"loss {self.loss:.4g}", *(f"- {each}" for each in found)]

    def __str__(self) -> str:
        return "\n".join([*lines(self._table()), *self._said()])

    def _repr_html_(self) -> str:
        return html(self._table()) + "".join(f"<p>{each}</p>" for each in self._said())


def diagnose(model: Any, loss: Any, inputs: Any, target: Any) -> Diagnosis:
    """Run one step of training without its last part, and tell what hinders learning.

    It finds: a loss or gradient that is not finite; parameters that are frozen, that no
    gradient reaches, or all of whose gradients are 0; gradients that were added up over
    steps without zero_grad; layers in a plain list or dict, which the model does not know;
    gradients that vanish or explode on their way to the first layers; dead units and flat
    activations; an output that does not depend on the input; inputs on a wide scale. The
    model, its gradients and the random numbers stay as they were. Nothing found on one
    batch is no proof: look at a new model, and again after some epochs.

    Args:
        model: an `nn.Module`.
        loss: as `Trainer` takes it: a name, a loss module or a function.
        inputs: a batch, or a tuple of what the model takes.
        target: what it should be.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl import inspect, nn
        >>> model = nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 1))
        >>> _ = nn.init.constant_(model[0].bias, -100.0)
        >>> x, y = ad.rand(8, 2), ad.ones(8, 1)
        >>> found = inspect.diagnose(model, "mean_squared_error", x, y)
        >>> print(found.findings[0].split(";")[0])
        100% of the units of '1' (ReLU) are 0 for the whole batch and learn nothing
    """
    given = inputs if isinstance(inputs, tuple) else (inputs,)
    batch = [as_tensor(each) for each in given]
    # the last call of a layer stands for all
    seen: dict[str, tuple[Any, Tensor]] = {}

    def watch(path: str) -> Any:
        def hook(module: Any, args: Any, output: Any) -> None:
            if isinstance(output, (tuple, list)):
                output = output[0]
            if isinstance(output, Tensor) and output.is_floating_point():
                # a layer behind may change it in place
                seen[path] = module, output.detach().clone()

        return hook

    training = [(each, each.training) for each in model.modules()]
    handles = [
        module.register_forward_hook(watch(path))
        for path, module in model.named_modules()
        if next(module.children(), None) is None
    ]
    model.train()
    try:
        with kept_state(model):
            found = _one_step(
                model, checks.Loss.of(loss), batch, as_tensor(target), seen
            )
    finally:
        for handle in handles:
            handle.remove()
        for module, before in training:
            module.training = before
    return replace(found, findings=(*found.findings, *_about_hidden(model)))


def _one_step(
    model: Any,
    loss: checks.Loss,
    batch: Sequence[Tensor],
    target: Tensor,
    seen: dict[str, tuple[Any, Tensor]],
) -> Diagnosis:
    learned = {name: p for name, p in model.named_parameters() if p.requires_grad}
    with enable_grad():
        output = model(*batch)
        value = loss(output, checks.fit_target(loss, output, target))
        found: Any = [None] * len(learned)
        if learned and value.requires_grad:
            found = grad(value, list(learned.values()), allow_unused=True)
    slopes = dict(zip(learned, found, strict=True))
    layers = tuple(_state(path, *each, slopes) for path, each in seen.items())
    number = value.item()
    findings = []
    if not math.isfinite(number):
        findings.append(f"the loss is {number}: {blame(model, batch, target, output)}")
    findings += [
        *_about_inputs(batch),
        *_about_layers(layers),
        *_about_output(output),
        *_about_parameters(model, slopes),
        *_about_depth(layers),
    ]
    return Diagnosis(number, layers, tuple(findings))


def _state(
    path: str, module: Any, output: Tensor, slopes: dict[str, Any]
) -> LayerState:
    flat = next((f for kind, f in _FLAT.items() if isinstance(module, kind)), None)
    clipping = isinstance(module, _CLIPPING)
    return LayerState(
        path,
        type(module).__name__,
        output.mean().item(),
        output.std(correction=0).item(),
        _dead(output).float().mean().item() if clipping else None,
        flat(output).float().mean().item() if flat is not None else None,
        _relative_gradient(path, module, slopes),
    )


def _dead(output: Tensor) -> Tensor:
    """For each channel of images, or each feature, whether it is 0 for all samples."""
    units = output.movedim(1 if output.ndim > 3 else -1, 0)
    return (units.reshape(len(units), -1) == 0).all(1)


def _relative_gradient(path: str, module: Any, slopes: dict[str, Any]) -> float | None:
    squares, norms = 0.0, 0.0
    for name, parameter in module.named_parameters(recurse=False):
        slope = slopes.get(f"{path}.{name}" if path else name)
        if slope is not None and parameter.ndim > 1:
            squares += slope.double().square().sum().item()
            norms += parameter.detach().double().square().sum().item()
    return math.sqrt(squares / norms) if norms else None


def _about_inputs(batch: Sequence[Tensor]) -> list[str]:
    findings = []
    for number, x in enumerate(batch):
        name = "the inputs" if len(batch) == 1 else f"input {number}"
        if x.is_floating_point() and x.numel():
            most = x.abs().max().item()
            if most > _WIDE:
                findings.append(
                    f"{name} reach {most:.3g}, with mean {x.mean().item():.3g}; likely fix: "
                    "data.Normalizer, fitted on the training part"
                )
    return findings


def _about_layers(layers: Sequence[LayerState]) -> list[str]:
    findings = []
    for each in layers:
        who = f"{_name(each.path)} ({each.kind})"
        if each.dead is not None and each.dead >= _MANY_DEAD:
            findings.append(
                f"{each.dead:.0%} of the units of {who} are 0 for the whole batch and learn "
                "nothing; likely fix: a smaller learning rate, LeakyReLU, weights as "
                "nn.init.kaiming_normal_ makes them, normalised inputs"
            )
        if each.flat is not None and each.flat >= _MANY_FLAT:
            findings.append(
                f"{each.flat:.0%} of the outputs of {who} are where it is flat, and pass on "
                "hardly any gradient; likely fix: smaller weights, as "
                "nn.init.xavier_uniform_ makes them, normalised inputs, batch norm"
            )
    return findings


def _about_output(output: Any) -> list[str]:
    if (
        not isinstance(output, Tensor)
        or not output.is_floating_point()
        or len(output) < 2
    ):
        return []
    output = output.detach()
    spread = output.std(0, correction=0).max().item()
    if spread <= _ALIKE * max(output.abs().max().item(), _ALIKE):
        return [
            "the output is the same for all samples; likely fix: what the other findings "
            "say, else let forward use its input"
        ]
    return []


def _about_parameters(model: Any, slopes: dict[str, Any]) -> list[str]:
    frozen = [name for name, p in model.named_parameters() if not p.requires_grad]
    unused = [name for name, slope in slopes.items() if slope is None]
    still = [
        name
        for name, slope in slopes.items()
        if slope is not None and not slope.any().item()
    ]
    broken = [
        name
        for name, slope in slopes.items()
        if slope is not None and not slope.isfinite().all().item()
    ]
    summed = [name for name, p in model.named_parameters() if stale_sums(p)]
    groups = (
        (
            summed,
            "left with a gradient that is a sum over several steps; likely fix: "
            "optimizer.zero_grad() in each step, before backward()",
        ),
        (
            frozen,
            "frozen (requires_grad is False), which is fine if it is meant",
        ),
        (
            unused,
            "reached by no gradient; likely fix: use them in forward, without .detach(), "
            ".item(), .numpy() or no_grad on the way to the loss",
        ),
        (
            still,
            "given gradients of 0 alone: what they compute does not change the loss",
        ),
        (
            broken,
            "given gradients that are nan or infinite; likely fix: autograd.detect_anomaly() "
            "names the layer",
        ),
    )
    return [
        f"{_some(names)} {'is' if len(names) == 1 else 'are'} {text}"
        for names, text in groups
        if names
    ]


def _about_hidden(model: Any) -> list[str]:
    """Layers that attributes of a plain container hold: no optimizer gets their weights."""
    known = set(map(id, model.modules()))
    findings = []
    for path, module in model.named_modules():
        for name, kept in vars(module).items():
            # underscored ones are the module's own books, and what others keep on purpose
            if name.startswith("_") or not isinstance(kept, (list, tuple, dict)):
                continue
            inner = kept.values() if isinstance(kept, dict) else kept
            if any(_learns(each) and id(each) not in known for each in inner):
                fix = "nn.ModuleDict" if isinstance(kept, dict) else "nn.ModuleList"
                findings.append(
                    f"the layers in {_name(f'{path}.{name}' if path else name)}, a "
                    f"{type(kept).__name__}, are unknown to the model, so that no optimizer "
                    f"gets their parameters; likely fix: {fix}"
                )
    return findings


def _learns(module: Any) -> bool:
    return isinstance(module, nn.Module) and any(True for _ in module.parameters())


def _name(path: str) -> str:
    return repr(path) if path else "the model"


def _some(names: list[str]) -> str:
    shown = ", ".join(map(repr, names[:3]))
    return shown if len(names) <= 3 else f"{shown} and {len(names) - 3} more"


def _about_depth(layers: Sequence[LayerState]) -> list[str]:
    known = [
        (each.gradient, each.path)
        for each in layers
        if each.gradient is not None and math.isfinite(each.gradient)
    ]
    if not known:
        return []
    most, strongest = max(known)
    findings = []
    weak = next((each for each in known if 0 < each[0] < _VANISHED * most), None)
    if weak is not None:
        findings.append(
            f"the gradient vanishes: relative to its weight that of {_name(weak[1])} is "
            f"{weak[0]:.1e}, that of {_name(strongest)} {most:.1e}; likely fix: ReLU in "
            "place of sigmoid or tanh, batch norm, shortcuts as in a ResNet, an LSTM in "
            "place of an RNN"
        )
    if most > _EXPLODED:
        findings.append(
            f"the gradient of {_name(strongest)} is {most:.3g} times as large as its weight; "
            "likely fix: nn.utils.clip_grad_norm_, a smaller learning rate, smaller "
            "weights, normalised inputs and targets"
        )
    return findings
