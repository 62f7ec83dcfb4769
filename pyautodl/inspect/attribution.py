"""Which parts of an input an answer comes from."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from pyautodl.autograd import enable_grad, grad
from pyautodl.errors import DTypeError, ShapeError, describe
from pyautodl.functional.creation import as_tensor, zeros_like
from pyautodl.functional.eltwise import relu
from pyautodl.functional.networks.interpolate import interpolate
from pyautodl.nn import Module
from pyautodl.tensor import Tensor

__all__ = ["grad_cam", "integrated_gradients", "saliency"]

# by the number of spatial axes
_SMOOTH = {1: "linear", 2: "bilinear", 3: "trilinear"}


def saliency(model: Any, inputs: Tensor, target: Any = None) -> Tensor:
    """Return how much the score of a class changes with each element of the inputs.

    It is the absolute gradient. The model is in evaluation mode meanwhile, and the
    gradients of its parameters stay as they are.

    Args:
        model: gives scores (n, classes), (n, classes, ...) or one a sample.
        inputs: floating samples (n, ...).
        target: the class, one for all or one for each sample; default the one that the
            model finds.

    Shape:
        (n, ...) -> the same

    Raises:
        DTypeError: the inputs are not floating.
        ShapeError: there is not one target for each sample.
        IndexError: the model gives no score for a target.
        TypeError: the model returns no tensor.

    Source: Simonyan et al., "Deep inside convolutional networks", 2013.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl import inspect, nn
        >>> model = nn.Linear(3, 2, bias=False)
        >>> with ad.no_grad():
        ...     _ = model.weight.copy_(ad.tensor([[1.0, 0.0, -2.0], [0.0, 0.0, 0.0]]))
        >>> inspect.saliency(model, ad.ones(1, 3), target=0)
        tensor([[1., 0., 2.]])
    """
    _check_floating("saliency", inputs)
    with _evaluated(model):
        chosen = _classes("saliency", model(inputs.detach().clone()), target)
        return _slopes(model, inputs, chosen).abs()


def integrated_gradients(
    model: Any,
    inputs: Tensor,
    target: Any = None,
    *,
    baseline: Tensor | None = None,
    steps: int = 32,
) -> Tensor:
    """Return what each element of the inputs contributes to the score of a class.

    It is the gradient's mean on the way from a baseline to the input, times the way. So
    the contributions add up to the score less that of the baseline, the better the more
    steps there are.

    Args:
        model: as in `saliency`.
        inputs: floating samples (n, ...).
        target: as in `saliency`.
        baseline: what stands for no information; default zeros. It broadcasts.
        steps: places on the way.

    Shape:
        (n, ...) -> the same

    Raises:
        DTypeError: the inputs are not floating.
        ShapeError: there is not one target for each sample.
        IndexError: the model gives no score for a target.
        TypeError: the model returns no tensor.
        ValueError: there are no steps.

    Source: Sundararajan et al., "Axiomatic attribution for deep networks", 2017.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl import inspect
        >>> x = ad.tensor([[3.0, 1.0]])
        >>> inspect.integrated_gradients(lambda x: x.square().sum(1), x)
        tensor([[9., 1.]])
    """
    _check_floating("integrated_gradients", inputs)
    if steps < 1:
        raise ValueError(f"integrated_gradients: steps must be >= 1, got {steps}")
    start = zeros_like(inputs) if baseline is None else baseline.expand(inputs.shape)
    way = inputs.detach() - start
    with _evaluated(model):
        chosen = _classes(
            "integrated_gradients", model(inputs.detach().clone()), target
        )
        total = zeros_like(inputs)
        for step in range(steps):
            total += _slopes(model, start + way * ((step + 0.5) / steps), chosen)
    return way * total / steps


def grad_cam(model: Any, layer: Any, inputs: Tensor, target: Any = None) -> Tensor:
    """Return where in the inputs a convolutional layer finds what speaks for a class.

    Each channel of the layer's output counts by the mean gradient of the score; what
    speaks against the class is 0. The map is resized to the inputs. It says most of
    networks that end in mean pooling, where all places of a channel count alike.

    Args:
        model: as in `saliency`.
        layer: the path of a module of the model, or the module; often the ReLU behind the
            last convolution.
        inputs: floating samples (n, c, ...) with one to three spatial axes.
        target: as in `saliency`.

    Shape:
        (n, c, ...) -> (n, ...)

    Raises:
        DTypeError: the inputs are not floating.
        ShapeError: the layer gives no images, or there is not one target for each sample.
        IndexError: the model gives no score for a target.
        TypeError: the model returns no tensor.
        ValueError: the model does not call the layer.

    Source: Selvaraju et al., "Grad-CAM", 2017.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl import inspect, models
        >>> x = ad.rand(2, 1, 28, 28)
        >>> inspect.grad_cam(models.LeNet(), "features.4", x).shape
        pyautodl.Size([2, 28, 28])
    """
    _check_floating("grad_cam", inputs)
    module = model.get_submodule(layer) if isinstance(layer, str) else layer
    held: list[Tensor] = []

    def hold(module: Any, args: Any, output: Any) -> Any:
        held.append(output)
        # the model goes on with another, which a layer behind may change in place
        return output.clone() if isinstance(output, Tensor) else None

    handle = module.register_forward_hook(hold)
    try:
        with _evaluated(model):
            output = model(_leaf(inputs).clone())
            if not held:
                raise ValueError(
                    f"grad_cam: the model does not call the layer {layer!r}"
                )
            features = held[-1]
            if features.ndim != inputs.ndim or features.ndim - 2 not in _SMOOTH:
                raise ShapeError(
                    f"grad_cam: the layer gives {tuple(features.shape)} for inputs "
                    f"{tuple(inputs.shape)}; expected channels of images of both"
                )
            chosen = _classes("grad_cam", output, target)
            (slopes,) = grad(_scores(output, chosen).sum(), features)
    finally:
        handle.remove()
    weights = slopes.mean(tuple(range(2, slopes.ndim)), keepdim=True)
    found = relu((weights * features.detach()).sum(1, keepdim=True))
    size = tuple(inputs.shape[2:])
    return interpolate(
        found, size, mode=_SMOOTH[len(size)], align_corners=False
    ).squeeze(1)


@contextmanager
def _evaluated(model: Any) -> Iterator[None]:
    """The model in evaluation mode, with gradients recorded; each mode is put back."""
    modules = list(model.modules()) if isinstance(model, Module) else []
    before = [each.training for each in modules]
    if modules:
        model.eval()
    try:
        with enable_grad():
            yield
    finally:
        for each, training in zip(modules, before, strict=True):
            each.training = training


def _slopes(model: Callable[[Tensor], Tensor], inputs: Tensor, chosen: Any) -> Tensor:
    """The gradient of the chosen classes' scores by the inputs."""
    x = _leaf(inputs)
    (found,) = grad(_scores(model(x.clone()), chosen).sum(), x)
    return found


def _leaf(inputs: Tensor) -> Tensor:
    """The inputs with a gradient of their own; a model that works in place, which leaves
    do not allow, is given a clone.
    """
    return inputs.detach().clone().requires_grad_()


def _classes(name: str, output: Tensor, target: Any) -> Tensor | None:
    """The class of each sample whose score counts; None: there is one score."""
    if not isinstance(output, Tensor):
        raise TypeError(
            f"{name}: expected a model that returns scores (n, classes), got {describe(output)}"
            "; likely fix: lambda x: model(x)[0], or what else of it are the scores"
        )
    n = len(output)
    if output.ndim < 2 or output.shape[1] == 1:
        return None
    if target is None:
        return (
            output.detach().flatten(2).sum(2).argmax(1)
            if output.ndim > 2
            else (output.detach().argmax(1))
        )
    chosen = as_tensor(target).long()
    classes = output.shape[1]
    if chosen.numel() and not 0 <= int(chosen.min()) <= int(chosen.max()) < classes:
        raise IndexError(
            f"{name}: expected classes from 0 to {classes - 1}, as the model gives scores "
            f"{tuple(output.shape)}, got {chosen.tolist()}"
        )
    if chosen.ndim == 0:
        return chosen.expand(n)
    if tuple(chosen.shape) != (n,):
        raise ShapeError(
            f"{name}: expected a class for each of {n} samples, got {tuple(chosen.shape)}"
        )
    return chosen


def _scores(output: Tensor, chosen: Tensor | None) -> Tensor:
    if chosen is None:
        return output
    places = chosen.reshape(-1, *[1] * (output.ndim - 1))
    return output.gather(1, places.expand(len(output), 1, *output.shape[2:]))


def _check_floating(name: str, inputs: Tensor) -> None:
    if not inputs.is_floating_point():
        raise DTypeError(
            f"{name}: expected floating inputs, got {inputs.dtype.name}; likely fix: "
            ".float(), or for class numbers the output of their embedding"
        )
