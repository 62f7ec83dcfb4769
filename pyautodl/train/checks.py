"""What `Trainer` checks and adapts before it computes: labels, losses, last layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from pyautodl import nn
from pyautodl.data import TensorDataset
from pyautodl.errors import ShapeError
from pyautodl.functional.networks import loss as losses
from pyautodl.tensor import Tensor

__all__ = [
    "LOSSES",
    "Loss",
    "check_finite",
    "check_last_layer",
    "check_optimizer",
    "check_output",
    "check_parts",
    "check_targets",
    "fit_target",
]

LossFunction = Callable[[Tensor, Tensor], Tensor]


class Loss:
    """A loss as `Trainer` sees it: a function, its kind, and whether it sums."""

    def __init__(
        self, function: LossFunction, kind: str = "", sums: bool = False
    ) -> None:
        self.function = function
        self.kind = kind
        self.sums = sums

    @classmethod
    def of(cls, loss: Any) -> Loss:
        """From a name of the table, a module or a function.

        Raises:
            ValueError: the name is unknown, or the module leaves a number for each sample.
            TypeError: it is the class of a module.
        """
        if isinstance(loss, str):
            if loss not in LOSSES:
                raise ValueError(
                    f"loss: {loss!r} is unknown; choose one of {sorted(LOSSES)}"
                )
            return LOSSES[loss]
        if isinstance(loss, type) and issubclass(loss, nn.Module):
            name = loss.__name__
            raise TypeError(
                f"Trainer: {name} is a class, not a loss; likely fix: {name}()"
            )
        reduction = getattr(loss, "reduction", "mean")
        if reduction == "none":
            raise ValueError(
                f"Trainer: {_name_of(loss)} has reduction='none', which leaves a number for "
                "each sample; use 'mean' or 'sum'"
            )
        return cls(loss, _kind_of(loss), reduction == "sum")

    def __call__(self, output: Tensor, target: Tensor) -> Tensor:
        value = self.function(output, target)
        if not isinstance(value, Tensor):
            raise TypeError(
                f"Trainer: the loss {_name_of(self.function)} gave a "
                f"{type(value).__name__}, expected a tensor of one number"
            )
        if value.numel() != 1:
            raise ShapeError(
                f"Trainer: the loss {_name_of(self.function)} gave shape "
                f"{tuple(value.shape)}, expected one number; let it end in .mean() or "
                ".sum(), or its reduction be 'mean' or 'sum'"
            )
        return value


def _name_of(function: Any) -> str:
    return getattr(function, "__name__", type(function).__name__)


def _summed(function: Callable[..., Tensor]) -> LossFunction:
    def total(output: Tensor, target: Tensor) -> Tensor:
        return function(output, target, reduction="sum")

    return total


# a function or a kind of module -> which targets fit: classes, binary, or values like the
# output
_KINDS: dict[Any, str] = {
    losses.cross_entropy: "classes",
    nn.CrossEntropyLoss: "classes",
    losses.categorical_cross_entropy: "probabilities",
    nn.CategoricalCrossEntropyLoss: "probabilities",
    losses.nll_loss: "log_probabilities",
    nn.NLLLoss: "log_probabilities",
    losses.binary_cross_entropy: "binary",
    nn.BCELoss: "binary",
    losses.binary_cross_entropy_with_logits: "binary_logits",
    nn.BCEWithLogitsLoss: "binary_logits",
    losses.mse_loss: "values",
    nn.MSELoss: "values",
    losses.l1_loss: "values",
    nn.L1Loss: "values",
    losses.log_dice_loss: "dice",
    nn.LogDiceLoss: "dice",
}


def _kind_of(loss: Any) -> str:
    """That of a function, or of a module of one of the classes; "" if it is not known."""
    found = [loss, *type(loss).__mro__]
    return next((_KINDS[each] for each in found if each in _KINDS), "")


LOSSES: dict[str, Loss] = {
    "cross_entropy": Loss(losses.cross_entropy, "classes"),
    "categorical_cross_entropy": Loss(
        losses.categorical_cross_entropy, "probabilities"
    ),
    "binary_cross_entropy": Loss(losses.binary_cross_entropy, "binary"),
    "binary_cross_entropy_with_logits": Loss(
        losses.binary_cross_entropy_with_logits, "binary_logits"
    ),
    "mean_absolute_error": Loss(losses.l1_loss, "values"),
    "sum_absolute_error": Loss(_summed(losses.l1_loss), "values", True),
    "mean_squared_error": Loss(losses.mse_loss, "values"),
    "sum_squared_error": Loss(_summed(losses.mse_loss), "values", True),
    "log_dice": Loss(losses.log_dice_loss, "dice"),
}


class _Clash(NamedTuple):
    """What a model must not end with: layers, ops; and the cures."""

    layers: tuple[type, ...]
    ops: tuple[str, ...]
    cure: str


# by the kind of loss
_CLASHES = {
    "classes": _Clash(
        (nn.Softmax, nn.LogSoftmax, nn.Softmax2d),
        ("softmax",),
        "cross_entropy takes logits and applies softmax itself: remove the last {layer}, "
        "or keep it and use loss='categorical_cross_entropy'",
    ),
    "binary_logits": _Clash(
        (nn.Sigmoid,),
        ("sigmoid",),
        "binary_cross_entropy_with_logits applies sigmoid itself: remove the last {layer}, "
        "or keep it and use loss='binary_cross_entropy'",
    ),
    "log_probabilities": _Clash(
        (nn.Softmax, nn.Softmax2d),
        ("softmax",),
        "nll_loss takes logarithms of probabilities: put LogSoftmax in the place of the "
        "last {layer}, or keep it and use loss='categorical_cross_entropy'",
    ),
    "dice": _Clash(
        (nn.Softmax, nn.LogSoftmax, nn.Softmax2d, nn.Sigmoid),
        ("softmax", "sigmoid"),
        "log_dice applies softmax itself, or with multilabel sigmoid: remove the last "
        "{layer}",
    ),
}


def check_last_layer(model: Any, loss: Loss) -> None:
    """Refuse a loss that would apply the last layer's function a second time.

    Raises:
        ValueError: names both cures.
    """
    layers = [each for each in model.modules() if next(each.children(), None) is None]
    if not layers or loss.kind not in _CLASHES:
        return
    clash, last = _CLASHES[loss.kind], layers[-1]
    if isinstance(last, clash.layers):
        raise ValueError("Trainer: " + clash.cure.format(layer=type(last).__name__))


def check_optimizer(model: Any, optimizer: Any) -> None:
    """Refuse an optimizer that would leave the model as it is.

    Raises:
        ValueError: none of its parameters are the model's.
    """
    own = {id(parameter) for parameter in model.parameters()}
    held = [p for group in optimizer.param_groups for p in group["params"]]
    if own and not any(id(parameter) in own for parameter in held):
        raise ValueError(
            f"Trainer: none of the {len(held)} parameters of {type(optimizer).__name__} "
            f"are among the {len(own)} of {type(model).__name__}, which would not learn; "
            "make it of model.parameters()"
        )


def check_output(output: Any, loss: Loss) -> None:
    """The same for a function that the model applies in its forward.

    Raises:
        ValueError: names both cures.
    """
    node = getattr(output, "grad_fn", None)
    if node is None or loss.kind not in _CLASHES:
        return
    clash = _CLASHES[loss.kind]
    if node.name in clash.ops:
        raise ValueError("Trainer: " + clash.cure.format(layer=node.name))


def check_parts(train: Any, validation: Any) -> None:
    """Refuse inputs and targets in the places of the training and the validation part.

    Raises:
        TypeError: both are single arrays, as many rows and no rows of one shape.
    """
    if all(isinstance(part, (Tensor, np.ndarray)) for part in (train, validation)):
        shapes = tuple(train.shape), tuple(validation.shape)
        if shapes[0][:1] == shapes[1][:1] and shapes[0] != shapes[1]:
            raise TypeError(
                "Trainer.fit: expected (inputs, targets) as train and as validation, got "
                f"an array of shape {shapes[0]} and one of {shapes[1]}; likely fix: "
                "fit((inputs, targets), ...)"
            )


def check_targets(dataset: Any) -> None:
    """Refuse targets that are not numbers, before any compute.

    Raises:
        ValueError: says how many there are and where the first is.
    """
    if isinstance(dataset, TensorDataset):
        check_finite(dataset.tensors[-1])


def check_finite(target: Tensor) -> None:
    """The same for one tensor of targets."""
    if not target.is_floating_point():
        return
    bad = target.isnan()
    if bool(bad.any()):
        rows = bad.reshape(len(target), -1).any(1).tolist()
        raise ValueError(
            f"Trainer: {sum(rows)} of {len(rows)} targets are nan, the first in sample "
            f"{rows.index(True)}; remove these samples or fill the values in"
        )


def fit_target(loss: Loss, output: Tensor, target: Tensor) -> Tensor:
    """The target in the form that the loss takes.

    Classes may be numbers or one-hot rows, binary labels 0/1 in (n,) or (n, 1).

    Raises:
        ShapeError: the form of the labels, the output and the loss do not fit together.
        TypeError: the output is no tensor, which the loss takes.
    """
    if loss.kind and not isinstance(output, Tensor):
        fix = "a loss function of your own, which takes what it needs of that"
        if output is None:
            fix = "a return at the end of the model's forward()"
        raise TypeError(
            f"Trainer: the model gives a {type(output).__name__}, the loss "
            f"{_name_of(loss.function)} takes a tensor; likely fix: {fix}"
        )
    if loss.kind in ("classes", "probabilities", "dice"):
        return _fit_classes(loss, output, target)
    if loss.kind in ("binary", "binary_logits", "values"):
        return _fit_values(loss, output, target)
    return target


def _fit_classes(loss: Loss, output: Tensor, target: Tensor) -> Tensor:
    if target.shape == output.shape:
        return target if target.dtype is output.dtype else target.to(output.dtype)
    expected = (output.shape[0], *output.shape[2:])
    if tuple(target.shape) == (*expected, 1) and output.ndim == 2:
        target = target.reshape(expected)
    if tuple(target.shape) != expected:
        raise ShapeError(
            f"Trainer: the output has shape {tuple(output.shape)}, so labels are class "
            f"numbers {expected} or one-hot {tuple(output.shape)}; got {tuple(target.shape)}"
        )
    if target.is_floating_point():
        whole = target.long()
        if not bool((whole.to(target.dtype) == target).all()):
            raise ValueError("Trainer: class labels must be whole numbers")
        target = whole
    return target.long()


def _fit_values(loss: Loss, output: Tensor, target: Tensor) -> Tensor:
    if target.shape != output.shape and target.numel() == output.numel():
        column = (len(target), 1)
        if column in (tuple(target.shape), tuple(output.shape)):
            target = target.reshape(output.shape)
    if target.shape != output.shape:
        hint = ""
        if loss.kind.startswith("binary"):
            hint = "; labels 0/1 want one output a sample, [0,1]/[1,0] want two"
        raise ShapeError(
            f"Trainer: the output has shape {tuple(output.shape)}, the target "
            f"{tuple(target.shape)}{hint}"
        )
    if loss.kind.startswith("binary"):
        _check_labels(target)
    return target if target.dtype is output.dtype else target.to(output.dtype)


def _check_labels(target: Tensor) -> None:
    """Refuse binary labels, or probabilities, beyond 0 and 1: the loss would have no end."""
    if target.numel() and target.dtype.name != "bool":
        low, high = target.min().item(), target.max().item()
        if low < 0 or high > 1:
            raise ValueError(
                f"Trainer: binary labels must be from 0 to 1, got {low:g} to {high:g}; "
                f"likely fix: {'(target > 0)' if low < 0 else '(target == target.max())'}"
                ".float()"
            )
