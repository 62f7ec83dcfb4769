"""`Trainer`: fits a model to data, evaluates it and predicts."""

from __future__ import annotations

import copy
import math
import os
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np

from pyautodl import nn, optim, serialization
from pyautodl.autograd import no_grad
from pyautodl.backends.dtypes import DType
from pyautodl.data import DataLoader, as_dataset
from pyautodl.data.sampler import BatchSampler, RandomSampler, SequentialSampler
from pyautodl.errors import CheckpointError, GradError, ShapeError, warn
from pyautodl.functional.copy import cat
from pyautodl.functional.creation import as_tensor
from pyautodl.ops.integers import integer
from pyautodl.random import Generator, get_rng_state, manual_seed, set_rng_state
from pyautodl.tensor import Tensor
from pyautodl.train import checks
from pyautodl.train.blame import blame, blame_data
from pyautodl.train.callbacks import Callback, Checkpoint, Schedule
from pyautodl.train.history import History
from pyautodl.train.metrics import METRICS, Metric, accuracy

__all__ = ["Trainer"]

_OPTIMIZERS: dict[str, Callable[..., Any]] = {
    "sgd": lambda groups: optim.SGD(groups, lr=0.01, momentum=0.9),
    "adam": lambda groups: optim.Adam(groups),
    "adamw": lambda groups: optim.AdamW(groups),
}
_FORMAT = 1
# kind of loss -> above which score of a sample its class is 1
_THRESHOLDS = {"binary": 0.5, "binary_logits": 0.0}
_BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
_EMBEDDINGS = (nn.Embedding, nn.EmbeddingBag)


class Trainer:
    """Trains a model.

    Everything that is drawn in training (the order of samples, augmentation, dropout)
    comes from `seed`, and a training that is resumed from a checkpoint gives the same
    bits as one that was never interrupted.

    Args:
        model: an `nn.Module`.
        loss: a name of the loss table (`pyautodl.train.LOSSES`), a loss module, or a
            function of output and target.
        optimizer: an optimizer over the model's parameters; or a name ("sgd", "adam",
            "adamw") or a function of parameter groups, which get no weight decay for
            biases and normalisation layers.
        metrics: names ("accuracy", "mae", "mse", "psnr") or functions of output and
            target; one alone, or several.
        callbacks: called between epochs.
        seed: decides all that is drawn.

    Raises:
        ValueError: a name is unknown, the loss gives a number for each sample or does not
            fit the last layer, the optimizer has no parameter of the model.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl import nn
        >>> from pyautodl.train import Trainer
        >>> x = ad.linspace(0, 1, 64).reshape(64, 1)
        >>> trainer = Trainer(nn.Linear(1, 1), "mean_squared_error", "adam")
        >>> history = trainer.fit((x, 2 * x), epochs=2, progress=False)
        >>> len(history)
        2
    """

    # the loss of the step before; of the class, for trainers that were pickled without
    _last_loss: float | None = None

    def __init__(
        self,
        model: Any,
        loss: Any,
        optimizer: Any,
        *,
        metrics: Sequence[str | Metric] | str | Metric = (),
        callbacks: Sequence[Callback] = (),
        seed: int = 0,
    ) -> None:
        self.model = model
        self.loss = checks.Loss.of(loss)
        self.optimizer = _make_optimizer(optimizer, model)
        if isinstance(metrics, str) or callable(metrics):
            metrics = [metrics]
        self.metrics = dict(_named_metric(each, self.loss.kind) for each in metrics)
        self.callbacks = _listed(callbacks)
        self.seed = seed
        self.history = History()
        self.epoch = 0
        self.stopped: str | None = None
        self.figure_names: list[str] = []
        self._started = False
        # what moves on the schedule that `fit` was given
        self._given: Callback | None = None
        self._said: set[str] = set()
        checks.check_last_layer(model, self.loss)
        checks.check_optimizer(model, self.optimizer)

    # ---- fitting ----

    def fit(
        self,
        train: Any,
        validation: Any = None,
        epochs: int = 1,
        *,
        batch_size: int = 32,
        shuffle: bool = True,
        transform: Callable[..., Any] | None = None,
        scheduler: Any = None,
        checkpoint: str | os.PathLike[str] | None = None,
        evaluate_train: bool = False,
        progress: bool = True,
    ) -> History:
        """Train up to `epochs` epochs in all: those of earlier calls and of a checkpoint count.

        Where a callback ends it earlier, `stopped` has the reason, which the bar tells too.

        Args:
            train: a tuple of tensors or arrays (inputs, targets), a Dataset or a
                DataLoader.
            validation: the same, evaluated after each epoch.
            epochs: how many epochs the model has seen in the end; a warning says so if it
                has seen as many already.
            batch_size: samples in a batch.
            shuffle: draw in a new order each epoch.
            transform: augmentation of training batches, as DataLoader's.
            scheduler: a schedule of the learning rate, moved on as its kind wants, also by
                later calls until one gives another.
            checkpoint: a file to save the state in after each epoch.
            evaluate_train: also evaluate the training part as validation is, at the end
                of an epoch ("train_..."); "loss" is the mean while weights change.
            progress: show a bar with the time left.

        Returns:
            The history of all epochs.

        Raises:
            ValueError: a dataset is empty or its loader gives no batches, targets are nan,
                the loss does not fit the last layer, a schedule is over another optimizer.
            ShapeError: labels and output do not fit.
            TypeError: inputs and targets stand in the places of two parts.
            GradError: the loss is not finite; says whether inputs, targets, a layer's
                output or its weights are so first.
            KeyboardInterrupt: Ctrl-C; its note says which epoch it was and which checkpoint
                to go on from.
        """
        epochs = integer("Trainer.fit", "epochs", epochs)
        checks.check_parts(train, validation)
        loader = self._loader(train, batch_size, shuffle, transform, training=True)
        held = None
        if validation is not None:
            held = self._loader(validation, batch_size, name="validation dataset")
        schedule = self._new_schedule(scheduler)
        # last, when all others have their state
        saving = [] if checkpoint is None else [Checkpoint(checkpoint)]
        kept = [
            each for each in self.callbacks if not schedule or each is not self._given
        ]
        callbacks = [*kept, *schedule, *saving]
        if not self._started:
            manual_seed(self.seed)
            self._started = True
        if epochs <= self.epoch:
            warn(self._nothing_to_train(epochs))
        self.stopped = self.history.failure = None
        self.figure_names = self._names_of_figures(evaluate_train, held is not None)
        for each in callbacks:
            each.on_fit_begin(self)
        if schedule:
            self.callbacks, self._given = [*kept, *schedule], schedule[0]
        remaining = max(0, epochs - self.epoch) * len(loader)
        with _Bar(remaining, progress) as bar:
            try:
                while self.epoch < epochs and self.stopped is None:
                    self._run_epoch(
                        loader, held, callbacks, evaluate_train, bar, epochs
                    )
            except KeyboardInterrupt as interrupt:
                interrupt.add_note(self._interrupted(epochs, callbacks))
                raise
            if self.stopped is not None:
                bar.write(f"stopped after epoch {self.epoch}: {self.stopped}")
        for each in callbacks:
            each.on_fit_end(self)
        self.model.eval()
        return self.history

    def _nothing_to_train(self, epochs: int) -> str:
        text = f"Trainer: fit(epochs={epochs}) trains nothing: already at {self.epoch} epochs"
        if epochs < 1:
            return text
        return (
            f"{text}; epochs counts all of them, so that epochs={self.epoch + epochs} "
            f"trains {epochs} more"
        )

    def _interrupted(self, epochs: int, callbacks: list[Callback]) -> str:
        """Where a training was interrupted, and what of it is safe."""
        number = min(self.epoch + 1, epochs)
        text = f"Trainer: interrupted in epoch {number} of {epochs}"
        if number == self.epoch:
            text = f"Trainer: interrupted after epoch {number}, the last"
        saved = [
            f"{os.fspath(each.path)!r} has epoch {each.saved_epoch}"
            for each in callbacks
            if isinstance(each, Checkpoint) and each.saved_epoch is not None
        ]
        if saved:
            return (
                f"{text}; {', '.join(saved)}: load_checkpoint and fit go on from there"
            )
        return (
            f"{text}; no checkpoint was saved; fit(checkpoint=path) does so each epoch"
        )

    def stop(self, reason: str) -> None:
        """Let `fit` end after this epoch; callbacks call it."""
        self.stopped = reason

    def _new_schedule(self, scheduler: Any) -> list[Callback]:
        """A callback for a schedule that none of the callbacks moves on."""
        known = [each for each in self.callbacks if isinstance(each, Schedule)]
        if scheduler is None or any(each.scheduler is scheduler for each in known):
            return []
        return [Schedule(scheduler)]

    def _names_of_figures(self, evaluates_train: bool, validates: bool) -> list[str]:
        """What an epoch's figures will be called."""
        measured = ["loss", *self.metrics]
        names = list(measured)
        if evaluates_train:
            names += [f"train_{name}" for name in measured]
        if validates:
            names += [f"val_{name}" for name in measured]
        return [*names, "lr", "seconds"]

    def _run_epoch(
        self,
        loader: DataLoader,
        held: DataLoader | None,
        callbacks: list[Callback],
        evaluate_train: bool,
        bar: Any,
        epochs: int,
    ) -> None:
        began = time.perf_counter()
        self.model.train()
        loader.set_epoch(self.epoch)
        means = _Means()
        for batch in loader:
            means.add(*self._train_batch(batch))
            for each in callbacks:
                each.on_batch_end(self, means.last["loss"])
            bar.update(1)
            if bar.due():
                bar.show(f"epoch {self.epoch + 1}/{epochs}", means.values())
        figures = means.values()
        if evaluate_train:
            # the same samples and batches, as they are
            plain = copy.copy(loader)
            plain.transform = None
            seen = self._evaluate(plain)
            figures.update({f"train_{name}": value for name, value in seen.items()})
        if held is not None:
            found = self._evaluate(held)
            figures.update({f"val_{name}": value for name, value in found.items()})
        figures["lr"] = float(self.optimizer.param_groups[0]["lr"])
        figures["seconds"] = time.perf_counter() - began
        self.epoch += 1
        self.history.append(figures)
        bar.show(f"epoch {self.epoch}/{epochs}", figures)
        for each in callbacks:
            each.on_epoch_end(self, figures)

    def _train_batch(self, batch: Any) -> tuple[dict[str, float], int]:
        inputs, target = self._split(batch)
        self.optimizer.zero_grad()
        output = self.model(*inputs)
        checks.check_output(output, self.loss)
        target = checks.fit_target(self.loss, output, target)
        loss = self.loss(output, target)
        value = loss.item()
        if not math.isfinite(value):
            why = blame(self.model, inputs, target, output) + self._before()
            failure = f"the loss is {value} in epoch {self.epoch + 1}: {why}"
            self.history.failure = failure
            raise GradError(f"Trainer: {failure}")
        try:
            loss.backward()
        except GradError as error:
            # detect_anomaly names the layer, which an infinite input may have reached
            if (cause := blame_data(inputs, target)) is not None:
                raise GradError(f"Trainer: {cause}") from error
            raise
        self.optimizer.step()
        figures, n = self._figures(value, output, target)
        if self.history.start is None and not self.epoch:
            self.history.start = figures["loss"]
        self._last_loss = figures["loss"]
        return figures, n

    def _before(self) -> str:
        """What the loss was before it was not finite, if it had grown."""
        start, last = self.history.start, self._last_loss
        if start is None or last is None or last <= 2 * abs(start):
            return ""
        return (
            f"; the loss was {start:.4g} in the first step and {last:.4g} in the one before "
            "this, so that a smaller learning rate is the likeliest fix"
        )

    def _figures(
        self, loss: float, output: Any, target: Tensor
    ) -> tuple[dict[str, float], int]:
        """What is measured of a batch, and how many samples it has."""
        n = len(output if isinstance(output, Tensor) else target)
        figures = {"loss": loss / n if self.loss.sums else loss}
        with no_grad():
            shown: Any = _detached(output) if self.metrics else None
            for name, metric in self.metrics.items():
                found = metric(shown, target)
                figures[name] = (
                    found.item() if isinstance(found, Tensor) else float(found)
                )
        return figures, n

    # ---- evaluating ----

    def evaluate(self, data: Any, *, batch_size: int = 128) -> dict[str, float]:
        """Return loss and metrics on data, with the model in evaluation mode.

        Args:
            data: a tuple of tensors or arrays, a Dataset or a DataLoader.
            batch_size: samples in a batch.

        Raises:
            ValueError: the dataset is empty or targets are nan.
        """
        return self._evaluate(self._loader(data, batch_size))

    def _evaluate(self, loader: DataLoader) -> dict[str, float]:
        training = self.model.training
        self.model.eval()
        means = _Means()
        try:
            with no_grad():
                for batch in loader:
                    inputs, target = self._split(batch)
                    output = self.model(*inputs)
                    target = checks.fit_target(self.loss, output, target)
                    value = self.loss(output, target).item()
                    means.add(*self._figures(value, output, target))
        finally:
            self.model.train(training)
        return means.values()

    def predict(self, inputs: Any, *, batch_size: int = 128) -> Any:
        """Return the model's outputs, in evaluation mode: a tensor, or the tuples, lists or
        dicts of tensors that the model gives.

        Args:
            inputs: a tensor or array, or a tuple of them where the model takes several.
            batch_size: samples in a batch.

        Raises:
            ValueError: there are no samples.
            ShapeError: an output has not one row for each sample.
        """
        parts = inputs if _are_several(inputs) else (inputs,)
        loader = DataLoader(as_dataset(tuple(as_tensor(x) for x in parts)), batch_size)
        training = self.model.training
        self.model.eval()
        try:
            with no_grad():
                batches = [
                    (self.model(*self._cast(each)), len(each[0])) for each in loader
                ]
                return _joined(*zip(*batches, strict=True))
        finally:
            self.model.train(training)

    # ---- checkpoints ----

    def save_checkpoint(self, path: str | os.PathLike[str]) -> None:
        """Save all that a training needs to go on; replaces the file as a whole."""
        state = {
            "format": _FORMAT,
            "epoch": self.epoch,
            "seed": self.seed,
            "model": dict(self.model.state_dict()),
            "optimizer": self.optimizer.state_dict(),
            "callbacks": [each.state_dict() for each in self.callbacks],
            "history": self.history.epochs,
            "start": self.history.start,
            "kinds": self._kinds(),
            "random": get_rng_state(),
        }
        serialization.save(state, path)

    def load_checkpoint(self, path: str | os.PathLike[str]) -> Trainer:
        """Go on from a checkpoint of a trainer that was made alike.

        Raises:
            FileNotFoundError: there is no such file.
            CheckpointError: it is damaged, or of a training that was set up otherwise;
                nothing is changed.
        """
        state = serialization.load(path)
        if not isinstance(state, dict) or state.get("format") != _FORMAT:
            raise CheckpointError(
                f"load_checkpoint: {os.fspath(path)!r} is no checkpoint"
            )
        if len(state["callbacks"]) != len(self.callbacks):
            raise CheckpointError(
                f"load_checkpoint: it was saved with {len(state['callbacks'])} callbacks, "
                f"this trainer has {len(self.callbacks)}; pass the same ones (a scheduler "
                "given to fit counts: wrap it in train.Schedule)"
            )
        self._check_kinds(state)
        self._take_states(state)
        self.history = History(state["history"], start=state.get("start"))
        self.epoch = state["epoch"]
        self.seed = state["seed"]
        set_rng_state(state["random"])
        self._started = True
        return self

    def _kinds(self) -> list[str]:
        """What a checkpoint's states are of: the optimizer and the callbacks."""
        schedules = [getattr(each, "scheduler", each) for each in self.callbacks]
        return [type(each).__name__ for each in (self.optimizer, *schedules)]

    def _check_kinds(self, state: dict[str, Any]) -> None:
        """Refuse states that would be taken over though they mean something else."""
        own = self._kinds()
        # files of the first versions do not tell
        saved = state.get("kinds", own)
        if saved != own:
            raise CheckpointError(
                f"load_checkpoint: it was saved with {', '.join(saved)}, this trainer has "
                f"{', '.join(own)}"
            )
        values = self.model.state_dict()
        for name, kept in state["model"].items():
            if name in values and values[name].dtype is not kept.dtype:
                raise CheckpointError(
                    f"load_checkpoint: {name!r} was saved as {kept.dtype.name}, this model "
                    f"has {values[name].dtype.name}; likely fix: model.to(ad."
                    f"{kept.dtype.name}) before the optimizer is made"
                )

    def _take_states(self, state: dict[str, Any]) -> None:
        """Those of the model, the optimizer and the callbacks: all, or none."""
        parts = [self.optimizer, *self.callbacks]
        before = [part.state_dict() for part in parts]
        try:
            for part, saved in zip(
                parts, [state["optimizer"], *state["callbacks"]], strict=True
            ):
                part.load_state_dict(saved)
            # last: of this nothing is copied unless all of it fits
            self.model.load_state_dict(state["model"])
        except Exception as error:
            for part, kept in zip(parts, before, strict=True):
                part.load_state_dict(kept)
            raise CheckpointError(
                "load_checkpoint: it is of a training that was set up otherwise, nothing "
                f"is changed: {error}"
            ) from error

    # ---- data ----

    def _loader(
        self,
        data: Any,
        batch_size: int,
        shuffle: bool = False,
        transform: Callable[..., Any] | None = None,
        *,
        training: bool = False,
        name: str = "dataset",
    ) -> DataLoader:
        if isinstance(data, DataLoader):
            checks.check_targets(data.dataset)
            return data
        dataset = as_dataset(data)
        if len(dataset) == 0:
            raise ValueError(f"Trainer: the {name} is empty")
        checks.check_targets(dataset)
        generator = Generator().manual_seed(self.seed)
        sampler: Any = SequentialSampler(dataset)
        if shuffle:
            sampler = RandomSampler(dataset, generator=generator)
        batches = BatchSampler(sampler, batch_size, drop_last=False)
        if training and len(dataset) % batch_size == 1 and len(dataset) > batch_size:
            if _has_any(self.model, _BATCH_NORMS):
                self._say(
                    "the last batch would have one sample, which batch norm can't be "
                    "trained on; it is merged into the one before"
                )
                batches = _MergedBatches(sampler, batch_size, drop_last=False)
        return DataLoader(
            dataset, batch_sampler=batches, generator=generator, transform=transform
        )

    def _split(self, batch: Any) -> tuple[tuple[Tensor, ...], Tensor]:
        """Inputs and target of a batch; a batch of one tensor is its own target."""
        if isinstance(batch, Tensor):
            batch = (batch,)
        if not isinstance(batch, (tuple, list)):
            raise TypeError(
                "Trainer: expected batches (inputs, target), got a "
                f"{type(batch).__name__}; likely fix: a collate_fn that gives tuples"
            )
        *inputs, target = batch if len(batch) > 1 else (batch[0], batch[0])
        checks.check_finite(target)
        return self._cast(inputs), target

    def _cast(self, inputs: Sequence[Any]) -> tuple[Tensor, ...]:
        """Floating inputs in the model's element type; images of integers are
        converted.

        Integer inputs stay as they are where the model begins with an embedding.
        """
        dtype = _model_dtype(self.model)
        cast = []
        for x in inputs:
            keeps = x.dtype is dtype or dtype is None
            if not x.is_floating_point() and _has_any(self.model, _EMBEDDINGS):
                keeps = True
            if not keeps:
                self._say(
                    f"inputs are {x.dtype.name} and are converted to the model's "
                    f"{dtype.name}"  # type: ignore[union-attr]
                )
            cast.append(x if keeps else x.to(dtype))
        return tuple(cast)

    def _say(self, text: str) -> None:
        """Tell the user something once."""
        if text not in self._said:
            self._said.add(text)
            warn(f"Trainer: {text}")


class _MergedBatches(BatchSampler):
    """Batches of which the last, if it is a single sample, joins the one before."""

    def __iter__(self) -> Iterator[list[int]]:
        held: list[int] | None = None
        for batch in super().__iter__():
            if len(batch) == 1 and held is not None:
                held = held + batch
                continue
            if held is not None:
                yield held
            held = batch
        if held is not None:
            yield held

    def __len__(self) -> int:
        n = super().__len__()
        return n - 1 if n > 1 and len(self.sampler) % self.batch_size == 1 else n


class _Means:
    """Means of figures over batches, each counted by its samples."""

    def __init__(self) -> None:
        self.sums: dict[str, float] = {}
        self.count = 0
        self.last: dict[str, float] = {}

    def add(self, figures: dict[str, float], n: int) -> None:
        """Count the figures of a batch of n samples."""
        self.count += n
        self.last = figures
        for name, value in figures.items():
            self.sums[name] = self.sums.get(name, 0.0) + value * n

    def values(self) -> dict[str, float]:
        """The means so far.

        Raises:
            ValueError: there were no batches.
        """
        if not self.count:
            raise ValueError(
                "Trainer: the loader gives no samples; likely fix: drop_last=False, or a "
                "smaller batch_size"
            )
        return {name: total / self.count for name, total in self.sums.items()}


class _Bar:
    """A progress bar with the figures of the epoch."""

    SECONDS = 0.25

    def __init__(self, total: int, enabled: bool) -> None:
        from tqdm import TqdmWarning

        with warnings.catch_warnings():
            # without ipywidgets a notebook shows the bar as text, which will do
            warnings.simplefilter("ignore", TqdmWarning)
            from tqdm.auto import tqdm

        self.bar = tqdm(total=total, disable=not enabled, unit="batch")
        self.shown = time.perf_counter()

    def update(self, n: int) -> None:
        """Move on by n batches."""
        self.bar.update(n)

    def due(self) -> bool:
        """Whether the figures have not been renewed for a while."""
        return time.perf_counter() - self.shown > self.SECONDS

    def show(self, head: str, figures: dict[str, float]) -> None:
        """Renew the figures."""
        self.shown = time.perf_counter()
        texts = [
            f"{name} {value:.4f}"
            for name, value in figures.items()
            if name not in ("lr", "seconds")
        ]
        self.bar.set_description(head, refresh=False)
        self.bar.set_postfix_str(", ".join(texts))

    def write(self, text: str) -> None:
        """Put a line above the bar."""
        if not self.bar.disable:
            self.bar.write(text)

    def __enter__(self) -> _Bar:
        return self

    def __exit__(self, *error: object) -> None:
        self.bar.close()


def _make_optimizer(optimizer: Any, model: Any) -> Any:
    if hasattr(optimizer, "param_groups"):
        return optimizer
    if isinstance(optimizer, str):
        if optimizer not in _OPTIMIZERS:
            raise ValueError(
                f"Trainer: optimizer {optimizer!r} is unknown; choose one of "
                f"{sorted(_OPTIMIZERS)}, or pass an optimizer"
            )
        optimizer = _OPTIMIZERS[optimizer]
    return optimizer(optim.no_decay_groups(model))


def _listed(callbacks: Any) -> list[Callback]:
    """The callbacks, if they are some.

    Raises:
        TypeError: it is one alone, or a class stands for its object.
    """
    each = [] if isinstance(callbacks, Callback) else list(callbacks)
    if isinstance(callbacks, Callback) or any(isinstance(one, type) for one in each):
        raise TypeError(
            f"Trainer: callbacks must be a list of callbacks, got {callbacks!r}; likely "
            "fix: callbacks=[EarlyStopping()]"
        )
    return each


def _named_metric(metric: str | Metric, loss: str) -> tuple[str, Metric]:
    """A metric's name and the function, as it fits outputs for a kind of loss."""
    if isinstance(metric, str):
        if metric not in METRICS:
            raise ValueError(
                f"Trainer: metric {metric!r} is unknown; choose one of {sorted(METRICS)}"
            )
        name, metric = metric, METRICS[metric]
    else:
        name = getattr(metric, "__name__", type(metric).__name__)
    if metric is accuracy and loss in _THRESHOLDS:
        metric = partial(accuracy, threshold=_THRESHOLDS[loss])
    return name, metric


def _are_several(inputs: Any) -> bool:
    """Whether these are inputs of a model that takes several; a list may be one, of numbers."""
    if isinstance(inputs, tuple):
        return True
    return isinstance(inputs, list) and any(
        isinstance(each, (Tensor, np.ndarray)) for each in inputs
    )


def _detached(output: Any) -> Any:
    """What a model gives, without its graph."""
    if isinstance(output, Tensor):
        return output.detach()
    if isinstance(output, dict):
        return {name: _detached(each) for name, each in output.items()}
    if isinstance(output, (tuple, list)):
        parts = [_detached(each) for each in output]
        return parts if isinstance(output, list) else tuple(parts)
    return output


def _joined(outputs: Sequence[Any], sizes: Sequence[int]) -> Any:
    """The outputs of batches, which have so many samples each, as of one."""
    first = outputs[0]
    if isinstance(first, dict):
        return {
            name: _joined([each[name] for each in outputs], sizes) for name in first
        }
    if isinstance(first, (tuple, list)):
        return tuple(_joined(each, sizes) for each in zip(*outputs, strict=True))
    if not isinstance(first, Tensor):
        raise TypeError(f"Trainer.predict: the model gives a {type(first).__name__}")
    if len(outputs) > 1:
        for each, n in zip(outputs, sizes, strict=True):
            if each.ndim == 0 or len(each) != n:
                raise ShapeError(
                    f"Trainer.predict: an output of {n} samples has shape "
                    f"{tuple(each.shape)}, so those of several batches can't be joined; "
                    "likely fix: let the model give samples along the first axis, or a "
                    "batch_size of all samples"
                )
    return cat(list(outputs))


def _model_dtype(model: Any) -> DType | None:
    for parameter in model.parameters():
        return parameter.dtype
    return None


def _has_any(model: Any, kinds: tuple[type, ...]) -> bool:
    """Whether a module of the model is of one of these kinds."""
    return any(isinstance(each, kinds) for each in model.modules())
