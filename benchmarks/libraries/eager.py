"""Libraries with PyTorch's names that compute call by call: ours and PyTorch."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from benchmarks.weights import initial_state, normal
from benchmarks.work import (
    Backward,
    Build,
    Call,
    Forward,
    Gradient,
    Inference,
    Prepared,
    Product,
    Sample,
    Step,
    Unsupported,
    Update,
    Work,
)

__all__ = ["EagerLibrary", "numba", "pyautodl", "torch", "torch_compile"]


class EagerLibrary:
    """A library with PyTorch's names.

    Args:
        root: its package.
        versions: package -> version.
        compile: applied to every model.
        samples: makes the calls of op samples, if it has op records.
    """

    def __init__(
        self,
        root: Any,
        versions: dict[str, str],
        compile: Callable[[Any], Any] = lambda model: model,
        samples: Callable[[Sample], Prepared] | None = None,
    ) -> None:
        self.root = root
        self.versions = versions
        self.compile = compile
        self.samples = samples

    def prepare(self, work: Work) -> Prepared:
        """Make the call; see `Library`."""
        match work:
            case Step():
                return self._step(work)
            case Inference():
                return self._forward(self.model(work.build).eval(), work.x)
            case Forward():
                return self._forward(self.model(work.build), work.x)
            case Backward():
                return self._backward(self.model(work.build), work.x)
            case Product(a, b):
                return self._unrecorded(lambda x, y: x @ y, (a, b))
            case Call(name, arrays, attributes):
                function = self._function(name)
                return self._unrecorded(lambda *x: function(*x, **attributes), arrays)
            case Gradient(name, arrays, attributes):
                function = self._function(name)
                return self._recorded(lambda *x: function(*x, **attributes), arrays)
            case Update():
                return self._update(work)
            case Sample() if self.samples is not None:
                return self.samples(work)
        raise Unsupported(f"no {type(work).__name__.lower()} here")

    def _function(self, name: str) -> Callable[..., Any]:
        function = getattr(self.root.nn.functional, name, None)
        return function or getattr(self.root, name)  # type: ignore[no-any-return]

    def _tensor(self, array: np.ndarray) -> Any:
        """A tensor in the layout of the array: images may be channels-last."""
        if _channels_last(array):
            return self.root.tensor(array.transpose(0, 2, 3, 1)).permute(0, 3, 1, 2)
        return self.root.tensor(array)

    def model(self, build: Build) -> Any:
        """The network with the weights that all libraries have."""
        model = build(self.root.nn, self.root.cat)
        shapes = {key: tuple(each.shape) for key, each in model.state_dict().items()}
        state = initial_state(shapes)
        model.load_state_dict(
            {key: self.root.tensor(each) for key, each in state.items()}
        )
        return self.compile(model)

    def _step(self, work: Step) -> Prepared:
        model = self.model(work.build)
        optimizer = self.root.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
        inputs = self.root.tensor(work.x)
        functional = self.root.nn.functional
        if work.target is None:
            wanted, loss_function = inputs, functional.mse_loss
        else:
            wanted = self.root.tensor(work.target)
            loss_function = functional.cross_entropy
        losses: list[float] = []

        def step() -> None:
            optimizer.zero_grad()
            loss = loss_function(model(inputs), wanted)
            loss.backward()
            optimizer.step()
            if len(losses) < 3:
                losses.append(loss.item())

        return Prepared(step, lambda: [np.array(losses)])

    def _forward(self, model: Any, x: np.ndarray) -> Prepared:
        return self._unrecorded(model, (x,))

    def _unrecorded(
        self, function: Callable[..., Any], arrays: tuple[np.ndarray, ...]
    ) -> Prepared:
        inputs = [self._tensor(each) for each in arrays]
        last: list[Any] = [None]

        def call() -> None:
            last[0] = function(*inputs)

        return Prepared(call, lambda: [_array(_first(last[0]))], self.root.no_grad)

    def _backward(self, model: Any, x: np.ndarray) -> Prepared:
        return self._recorded(model, (x,), model.parameters())

    def _recorded(
        self,
        function: Callable[..., Any],
        arrays: tuple[np.ndarray, ...],
        parameters: Iterable[Any] = (),
    ) -> Prepared:
        inputs = [
            self._tensor(each).requires_grad_(each.dtype.kind == "f") for each in arrays
        ]
        leaves = [each for each in (*inputs, *parameters) if each.requires_grad]
        output = _first(function(*inputs))
        gradient = self._tensor(_laid_out(normal(3, *output.shape), arrays[0]))
        gradient = gradient.to(output.dtype)

        def call() -> None:
            for leaf in leaves:
                leaf.grad = None
            _first(function(*inputs)).backward(gradient)

        return Prepared(call, lambda: [_array(leaf.grad) for leaf in leaves])

    def _update(self, work: Update) -> Prepared:
        parameter = self.root.nn.Parameter(self.root.tensor(work.parameter))
        gradient = normal(3, *work.parameter.shape).astype(work.parameter.dtype)
        parameter.grad = self.root.tensor(gradient)
        optimizer = getattr(self.root.optim, work.name)([parameter], **work.attributes)
        optimizer.step()
        after = _array(parameter).copy()
        return Prepared(optimizer.step, lambda: [after])


def _first(output: Any) -> Any:
    """The result without what comes with it: an index or a state."""
    return output[0] if isinstance(output, tuple) else output


def _laid_out(array: np.ndarray, like: np.ndarray) -> np.ndarray:
    """The same numbers, channels-last if the other array's images are."""
    if array.ndim != 4 or not _channels_last(like):
        return array
    return np.ascontiguousarray(array.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)


def _channels_last(array: np.ndarray) -> bool:
    return array.ndim == 4 and array.transpose(0, 2, 3, 1).flags.c_contiguous


def _array(tensor: Any) -> np.ndarray:
    return np.asarray(tensor.detach().numpy())


# ---- ours ----


def pyautodl(threads: int, capability: str | None) -> EagerLibrary:
    """This library on its compiled kernels.

    Raises:
        Unsupported: they are absent; what is measured would be NumPy.
    """
    import pyautodl as ad
    import pyautodl.nn
    import pyautodl.optim  # the other libraries' imports bring theirs, too

    if not ad.native.available:
        raise Unsupported(
            f"pyautodl has no kernels here: {ad.native.unavailable_reason}"
        )
    ad.set_num_threads(threads)
    versions = {"pyautodl": ad.__version__, "pyautodl ISA": ad.native.current_isa()}
    return EagerLibrary(ad, versions, samples=_sample)


def numba(threads: int, capability: str | None) -> EagerLibrary:
    """This library as it is where the extension is absent: numba twins, then NumPy."""
    import numba as package

    os.environ["PYAUTODL_NO_EXTENSION"] = "1"  # on purpose: nothing to warn of
    sys.modules["pyautodl._native"] = None  # type: ignore[assignment]
    import pyautodl as ad

    versions = {
        "pyautodl": ad.__version__,
        "pyautodl ISA": "none",
        "numba": package.__version__,
    }
    return EagerLibrary(ad, versions, samples=_sample)


def _sample(work: Sample) -> Prepared:
    import pyautodl as ad
    from pyautodl.ops.record import OPS
    from pyautodl.tensor import apply

    op = OPS[work.op]
    sample = list(op.samples())[work.number]  # type: ignore[misc]
    inputs = [_single_tensor(ad, each, work.backward) for each in sample.inputs]
    leaves = [x for x in inputs if isinstance(x, ad.Tensor) and x.requires_grad]
    last: list[Any] = [None]

    def call() -> None:
        for leaf in leaves:
            leaf.grad = None
        output = apply(op, *inputs, **sample.attrs)
        last[0] = output = output if isinstance(output, tuple) else (output,)
        if work.backward:
            ad.autograd.backward(
                [each for each in output if each.requires_grad],
                [each.detach() for each in output if each.requires_grad],
            )

    return Prepared(call, lambda: [_array(each) for each in last[0]])


def _single_tensor(ad: Any, value: Any, gradient: bool) -> Any:
    """A sample's input in single precision."""
    if not isinstance(value, np.ndarray):
        return value
    if value.dtype.kind != "f":
        return ad.tensor(value)
    return ad.tensor(value.astype(np.float32)).requires_grad_(gradient)


# ---- PyTorch ----


def torch(threads: int, capability: str | None) -> EagerLibrary:
    """PyTorch, eager."""
    import torch as package
    import torch.nn.functional

    package.set_num_threads(threads)
    capability_used = package.backends.cpu.get_cpu_capability()
    versions = {"torch": package.__version__, "torch capability": capability_used}
    return EagerLibrary(package, versions)


def torch_compile(threads: int, capability: str | None) -> EagerLibrary:
    """PyTorch with every model through torch.compile."""
    import torch as package

    library = torch(threads, capability)
    library.compile = package.compile
    return library
