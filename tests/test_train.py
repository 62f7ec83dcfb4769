"""The trainer: label forms, what it refuses, checkpoints, repeatability."""

import math
import pickle
import re
import warnings
from functools import partial

import numpy as np
import pytest

import pyautodl as ad
import pyautodl.nn.functional as F
from pyautodl import nn, optim
from pyautodl.data import BatchSampler, DataLoader, RandomShift, default_collate
from pyautodl.errors import CheckpointError, GradError, ShapeError
from pyautodl.models import Autoencoder
from pyautodl.optim.lr_scheduler import (
    ConstantLR,
    CosineAnnealingLR,
    ExponentialLR,
    ReduceLROnPlateau,
)
from pyautodl.train import (
    LOSSES,
    Callback,
    Checkpoint,
    EarlyStopping,
    History,
    Schedule,
    Trainer,
    accuracy,
    pretrain_layerwise,
    psnr,
)


def _blobs(n=60, classes=3, seed=0):
    rng = np.random.default_rng(seed)
    y = np.arange(n) % classes
    x = rng.normal(size=(n, 2)).astype(np.float32) + 4 * np.eye(classes, 2)[y]
    return ad.tensor(x.astype(np.float32)), ad.tensor(y)


def _classifier(out=3):
    return nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, out))


def _trainer(model, loss="cross_entropy", **more):
    return Trainer(model, loss, ad.optim.Adam(model.parameters(), lr=0.01), **more)


def _weights(model):
    return np.concatenate([p.detach().numpy().ravel() for p in model.parameters()])


# ---- learning ----


def test_fit_learns_and_tells():
    x, y = _blobs()
    trainer = _trainer(_classifier(), metrics=["accuracy"])
    history = trainer.fit((x, y), (x, y), epochs=20, progress=False)
    assert history["loss"][-1] < history["loss"][0] / 2
    assert trainer.evaluate((x, y))["accuracy"] == history["val_accuracy"][-1] > 0.9
    assert trainer.predict(x).shape == (60, 3)
    assert set(history.names()) == {
        "loss",
        "accuracy",
        "val_loss",
        "val_accuracy",
        "lr",
        "seconds",
    }


def test_training_can_be_evaluated_like_validation():
    x, y = _blobs()
    trainer = _trainer(_classifier())
    history = trainer.fit((x, y), (x, y), epochs=2, evaluate_train=True, progress=False)
    assert history["train_loss"] == pytest.approx(history["val_loss"], rel=1e-6)
    assert history["train_loss"] != pytest.approx(history["loss"], rel=1e-6)


def test_training_is_evaluated_on_the_samples_and_batches_of_its_loader():
    x, y = _blobs()
    seen = []

    def gather(samples):
        seen.append(len(samples))
        return default_collate(samples)

    # the first ten samples alone, in batches that someone else makes
    loader = DataLoader(
        (x, y),
        batch_sampler=BatchSampler(range(10), 4, drop_last=False),
        collate_fn=gather,
        transform=lambda batch, **_: (batch[0] * 9, batch[1]),
    )
    trainer = _trainer(_classifier())
    history = trainer.fit(loader, evaluate_train=True, progress=False)
    assert seen == [4, 4, 2, 4, 4, 2]
    wanted = trainer.evaluate((x[:10], y[:10]))["loss"]
    assert history["train_loss"] == pytest.approx([wanted], rel=1e-6)


def _forms():
    """Every row of the loss table with each form of labels that it takes."""
    y = np.arange(12) % 3
    onehot, binary = np.eye(3)[y], np.arange(12) % 2
    softmax, sigmoid = nn.Softmax(1), nn.Sigmoid()
    yield "cross_entropy", _classifier(), y
    yield "cross_entropy", _classifier(), onehot
    yield "cross_entropy", _classifier(), onehot.astype(np.int64)
    yield "cross_entropy", _classifier(), y.astype(np.float32)[:, None]
    yield "categorical_cross_entropy", nn.Sequential(_classifier(), softmax), y
    yield "categorical_cross_entropy", nn.Sequential(_classifier(), softmax), onehot
    yield "binary_cross_entropy", nn.Sequential(_classifier(1), sigmoid), binary
    yield (
        "binary_cross_entropy",
        nn.Sequential(_classifier(1), sigmoid),
        binary[:, None],
    )
    yield (
        "binary_cross_entropy",
        nn.Sequential(_classifier(2), sigmoid),
        np.eye(2)[binary],
    )
    yield "binary_cross_entropy_with_logits", _classifier(1), binary
    for name in (
        "mean_absolute_error",
        "sum_absolute_error",
        "mean_squared_error",
        "sum_squared_error",
    ):
        yield name, _classifier(1), y.astype(np.float64)
    yield "log_dice", _classifier(), y
    yield "log_dice", _classifier(), onehot


@pytest.mark.parametrize(
    ("loss", "model", "target"),
    list(_forms()),
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_loss_table_takes_every_form_of_labels(loss, model, target):
    x, _ = _blobs(12)
    trainer = _trainer(model, loss)
    history = trainer.fit((x, target), epochs=5, progress=False)
    assert all(math.isfinite(value) for value in history["loss"])
    assert history["loss"][-1] < history["loss"][0]


def test_loss_table_is_complete():
    assert {name for name, _, _ in _forms()} == set(LOSSES)


@pytest.mark.parametrize(
    ("loss", "out", "target", "match"),
    [
        ("cross_entropy", 3, np.zeros((12, 2)), "class numbers .* or one-hot"),
        ("binary_cross_entropy_with_logits", 1, np.zeros((12, 2)), "want one output"),
        ("mean_squared_error", 2, np.zeros(12), "the output has shape"),
    ],
)
def test_labels_that_do_not_fit_are_explained(loss, out, target, match):
    x, _ = _blobs(12)
    with pytest.raises(ShapeError, match=match):
        _trainer(_classifier(out), loss).fit((x, target), progress=False)


def test_softmax_before_cross_entropy_is_refused():
    model = nn.Sequential(_classifier(), nn.Softmax(1))
    with pytest.raises(
        ValueError, match=r"remove the last Softmax.*categorical_cross_ent"
    ):
        _trainer(model)

    class Hidden(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = _classifier()

        def forward(self, x):
            return self.net(x).softmax(1)

    x, y = _blobs()
    with pytest.raises(ValueError, match="categorical_cross_entropy"):
        _trainer(Hidden()).fit((x, y), progress=False)


@pytest.mark.parametrize(
    ("loss", "last", "match"),
    [
        (
            nn.NLLLoss(),
            nn.Softmax(1),
            "put LogSoftmax in the place of the last Softmax",
        ),
        (
            "log_dice",
            nn.Softmax(1),
            "log_dice applies softmax .* remove the last Softmax",
        ),
        (nn.LogDiceLoss(multilabel=True), nn.Sigmoid(), "remove the last Sigmoid"),
    ],
)
def test_other_losses_that_do_not_fit_the_last_layer(loss, last, match):
    with pytest.raises(ValueError, match=match):
        _trainer(nn.Sequential(_classifier(), last), loss)
    _trainer(nn.Sequential(_classifier(), nn.LogSoftmax(1)), nn.NLLLoss())


def test_last_batch_of_one_is_merged():
    x, y = _blobs(33)
    model = nn.Sequential(nn.Linear(2, 8), nn.BatchNorm1d(8), nn.Linear(8, 3))
    trainer = _trainer(model)
    with pytest.warns(UserWarning, match="merged into the one before"):
        trainer.fit((x, y), epochs=1, batch_size=8, progress=False)


def test_no_decay_for_biases_and_normalisation_by_default():
    model = nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(4), nn.Linear(4, 3))
    groups = Trainer(model, "cross_entropy", "adamw").optimizer.param_groups
    decayed = [p for g in groups if g["weight_decay"] for p in g["params"]]
    assert [tuple(p.shape) for p in decayed] == [(4, 2), (3, 4)]


def test_float64_data_is_cast_and_said_once():
    x, y = _blobs()
    trainer = _trainer(_classifier())
    with pytest.warns(
        UserWarning, match="float64 and are converted to the model's float32"
    ):
        trainer.fit((x.double().numpy(), y), epochs=2, progress=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        trainer.fit((x.double(), y), epochs=3, progress=False)
        assert trainer.predict(x.double()).dtype == ad.float32


def test_fit_takes_uint8_images():
    images = ad.randint(0, 256, (12, 1, 4, 4), dtype=ad.uint8)
    model = nn.Sequential(nn.Flatten(), nn.Linear(16, 2))
    with pytest.warns(UserWarning, match="uint8 and are converted"):
        _trainer(model).fit((images, ad.arange(12) % 2), progress=False)


# ---- what is refused ----


def test_empty_dataset():
    with pytest.raises(ValueError, match="dataset is empty"):
        _trainer(_classifier()).fit((ad.zeros(0, 2), ad.zeros(0)), progress=False)
    with pytest.raises(ValueError, match="the validation dataset is empty"):
        _trainer(_classifier()).fit(_blobs(), (ad.zeros(0, 2), ad.zeros(0)))
    with pytest.raises(ValueError, match="dataset is empty"):
        _trainer(_classifier()).predict(ad.zeros(0, 2))


def test_a_loader_without_batches_is_refused():
    x, y = _blobs(5)
    loader = DataLoader((x, y), batch_size=8, drop_last=True)
    trainer = _trainer(_classifier())
    with pytest.raises(ValueError, match="gives no samples; likely fix: drop_last"):
        trainer.fit(loader, progress=False)
    with pytest.raises(ValueError, match="gives no samples"):
        trainer.evaluate(loader)
    assert trainer.epoch == 0


def test_nan_targets_are_refused_before_any_compute():
    x, _ = _blobs(12)
    target = np.zeros(12, np.float32)
    target[[3, 5]] = np.nan
    model = _classifier(1)
    before = _weights(model)
    trainer = _trainer(model, "mean_squared_error")
    with pytest.raises(
        ValueError, match="2 of 12 targets are nan, the first in sample 3"
    ):
        trainer.fit((x, target), progress=False)
    loader = DataLoader(_AsDataset(x, target), 4)
    with pytest.raises(ValueError, match="targets are nan"):
        trainer.evaluate(loader)
    assert np.array_equal(_weights(model), before)


class _AsDataset:
    """A dataset whose targets can't be looked at beforehand."""

    def __init__(self, x, y):
        self.rows = list(zip(x.numpy(), y, strict=True))

    def __getitem__(self, index):
        return self.rows[index]

    def __len__(self):
        return len(self.rows)


def test_loss_that_is_not_finite_is_an_error():
    x, y = _blobs()
    x[7, 0] = math.nan
    with pytest.raises(
        GradError,
        match=r"the loss is nan in epoch 1: 1 of \d+ inputs of the batch are nan \(1 of",
    ):
        _trainer(_classifier()).fit((x, y), epochs=5, progress=False)


def _blamed(model, x, y, loss="cross_entropy", lr=0.01, **more):
    """What is said of a loss that is not finite, of one batch an epoch."""
    trainer = Trainer(model, loss, ad.optim.SGD(model.parameters(), lr=lr))
    more = {"batch_size": len(y), "shuffle": False, "progress": False, **more}
    with pytest.raises(GradError, match=r"^Trainer: ") as caught:
        trainer.fit((x, y), **more)
    return str(caught.value)


@pytest.mark.parametrize("anomaly", [False, True])
def test_data_that_is_not_finite_is_blamed_first(anomaly):
    x, y = _blobs(12)
    with ad.autograd.set_detect_anomaly(anomaly):
        bad = ad.full_like(x, math.nan)
        text = _blamed(_classifier(), bad, y)
        assert "12 of 12 inputs of the batch are nan (24 of 24 values)" in text
        assert "the first is number 0; remove these samples" in text
        bad = x.clone()
        bad[5, 1] = math.inf
        text = _blamed(nn.Linear(2, 3), bad, y)
        assert "1 of 12 inputs of the batch are infinite (1 of 24 values)" in text
        assert "the first is number 5" in text
        if anomaly:  # tanh makes it a 1: the loss is finite, a gradient is nan
            text = _blamed(_classifier(), bad, y)
            assert "1 of 12 inputs of the batch are infinite" in text
        target = ad.zeros(12, 1)
        target[3] = -math.inf
        text = _blamed(_classifier(1), x, target, "mean_squared_error")
        assert (
            "1 of 12 targets of the batch are infinite, the first is number 3" in text
        )


class _Log(nn.Module):
    def forward(self, x):
        return x.log()


class _Within(nn.Module):
    """Computes a nan between its layers, or behind them."""

    def __init__(self, behind):
        super().__init__()
        self.first = nn.Linear(2, 4)
        self.last = nn.Linear(4, 3)
        self.behind = behind

    def forward(self, x):
        h = self.first(x)
        return self.last(h) * math.nan if self.behind else self.last(h * math.nan)


@pytest.mark.parametrize("anomaly", [False, True])
@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (
            nn.Sequential(nn.Linear(2, 4), nn.Sequential(_Log()), nn.Linear(4, 3)),
            "the first output that is not finite is that of '1.0' (_Log); likely fix: no log",
        ),
        (_Within(True), "that of the model (_Within), computed in its own forward"),
        (_Within(False), "what is given to 'last' (Linear) is not finite, by what is"),
    ],
)
def test_the_first_module_whose_output_is_not_finite_is_named(model, expected, anomaly):
    x, y = _blobs(12)
    with ad.autograd.set_detect_anomaly(anomaly):
        assert expected in _blamed(model, x, y)
    assert not any(module.has_hooks() for module in model.modules())


def test_weights_that_a_step_made_infinite_are_named():
    x, y = _blobs(12)
    model = _classifier()
    with ad.no_grad():
        model[2].weight[0, 0] = math.nan
    text = _blamed(model, x, y)
    assert "the weight of '2' (Linear) was not finite before this batch" in text
    assert "a smaller learning rate" in text


def test_a_training_that_diverges_is_told_to_be_slower():
    x, y = _blobs(12)
    text = _blamed(nn.Linear(2, 1), x, y.float(), "mean_squared_error", 1e9, epochs=9)
    assert "finite" in text
    assert "a smaller learning rate, nn.utils.clip_grad_norm_" in text


def test_looking_for_the_cause_leaves_buffers_and_random_numbers():
    x, y = _blobs(12)
    norm = nn.BatchNorm1d(2)
    model = nn.Sequential(norm, nn.Dropout(0.5), nn.Linear(2, 3), _Log())
    trainer = Trainer(model, "cross_entropy", "sgd")
    states, buffers = [], []

    class Watch(nn.Module):
        def forward(self, output, target):
            states.append(ad.get_rng_state())
            buffers.append(norm.running_mean.tolist())
            return nn.functional.cross_entropy(output, target)

    trainer = Trainer(model, Watch(), "sgd")
    with pytest.raises(GradError, match=r"'3' \(_Log\)"):
        trainer.fit((x, y), progress=False)
    assert ad.equal(ad.get_rng_state(), states[-1])
    assert norm.running_mean.tolist() == buffers[-1]
    assert int(norm.num_batches_tracked) == len(states)


def test_out_of_range_class_names_value_and_limit():
    x, y = _blobs()
    with pytest.raises(IndexError, match=r"target index .* the number of classes"):
        _trainer(_classifier()).fit((x, y + 5), progress=False)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (("ce", "adam"), "loss: 'ce' is unknown; choose one of"),
        (("cross_entropy", "adamax"), "optimizer 'adamax' is unknown"),
    ],
)
def test_unknown_names_list_the_choices(arguments, match):
    with pytest.raises(ValueError, match=match):
        Trainer(_classifier(), *arguments)


def test_unknown_metric_lists_the_choices():
    with pytest.raises(ValueError, match="metric 'auc' is unknown"):
        _trainer(_classifier(), metrics=["auc"])


def test_a_fit_that_trains_nothing_says_so():
    x, y = _blobs(12)
    trainer = _trainer(_classifier())
    trainer.fit((x, y), epochs=5, progress=False)
    before = _weights(trainer.model)
    with pytest.warns(
        UserWarning,
        match=r"fit\(epochs=3\) trains nothing: already at 5 epochs; epochs counts all of "
        "them, so that epochs=8 trains 3 more",
    ):
        trainer.fit((x, y), epochs=3, progress=False)
    assert np.array_equal(_weights(trainer.model), before)
    assert len(trainer.fit((x, y), epochs=8, progress=False)) == 8


def test_an_optimizer_without_parameters_of_the_model_is_refused():
    other = ad.optim.Adam(_classifier().parameters())
    with pytest.raises(
        ValueError,
        match=r"none of the 4 parameters of Adam are among the 4 of Sequen.*",
    ):
        Trainer(_classifier(), "cross_entropy", other)
    model = _classifier()
    Trainer(model, "cross_entropy", ad.optim.Adam(model[2].parameters()))


def test_a_schedule_over_another_optimizer_is_refused():
    x, y = _blobs(12)
    trainer = _trainer(_classifier())
    other = CosineAnnealingLR(ad.optim.SGD(trainer.model.parameters(), lr=1.0), 4)
    with pytest.raises(
        ValueError, match=r"CosineAnnealingLR is over another SGD .*trainer.optimizer"
    ):
        trainer.fit((x, y), scheduler=other, progress=False)
    assert trainer.epoch == 0
    right = CosineAnnealingLR(trainer.optimizer, 4)
    trainer.fit((x, y), scheduler=right, progress=False)
    assert [each.scheduler for each in trainer.callbacks] == [right]


@pytest.mark.parametrize(
    ("loss", "error", "match"),
    [
        (
            nn.CrossEntropyLoss(reduction="none"),
            ValueError,
            "CrossEntropyLoss has reduction='none', which leaves a number for each",
        ),
        (
            lambda p, t: nn.functional.cross_entropy(p, t, reduction="none"),
            ShapeError,
            r"the loss <lambda> gave shape \(12,\), expected one number; let it end in",
        ),
        (lambda p, t: 0.5, TypeError, "the loss <lambda> gave a float, expected"),
    ],
)
def test_a_loss_that_is_not_one_number_is_named(loss, error, match):
    x, y = _blobs(12)
    with pytest.raises(error, match=match):
        _trainer(_classifier(), loss).fit((x, y), progress=False)


# ---- callbacks ----


def test_early_stopping_keeps_the_best_weights():
    x, y = _blobs()
    stopping = EarlyStopping(patience=1)
    model = _classifier()
    trainer = Trainer(
        model,
        "cross_entropy",
        ad.optim.SGD(model.parameters(), lr=20.0),
        callbacks=[stopping],
    )
    history = trainer.fit((x, y), (x, y), epochs=30, progress=False)
    assert len(history) < 30
    assert trainer.stopped
    assert trainer.evaluate((x, y))["loss"] == pytest.approx(min(history["val_loss"]))


@pytest.mark.parametrize("name", ["accuracy", "val_accuracy", "train_accuracy"])
def test_more_accuracy_is_better_wherever_it_is_measured(name):
    stopping = EarlyStopping(name, patience=1)
    trainer = _trainer(_classifier())
    for epoch, value in enumerate([0.1, 0.5, 0.4], 1):
        trainer.epoch = epoch
        assert trainer.stopped is None
        stopping.on_epoch_end(trainer, {name: value})
    assert (stopping.best, stopping.best_epoch) == (0.5, 2)


def test_early_stopping_refuses_unknown_figures():
    x, y = _blobs()
    trainer = _trainer(_classifier(), callbacks=[EarlyStopping("val_loss")])
    with pytest.raises(
        ValueError, match=r"no figure 'val_loss'.* needs validation data"
    ):
        trainer.fit((x, y), progress=False)
    assert trainer.epoch == 0
    with pytest.raises(ValueError, match="patience"):
        EarlyStopping(patience=-1)
    with pytest.raises(ValueError, match="mode"):
        EarlyStopping(mode="best")


class _Figures(Callback):
    """Puts given figures in the place of the measured ones."""

    def __init__(self, **figures):
        self.given = figures

    def on_epoch_end(self, trainer, figures):
        for name, values in self.given.items():
            figures[name] = values[trainer.epoch - 1]


def _stopped_by(stopping, **figures):
    """The trainer after a fit of which a callback reports the given figures."""
    x, y = _blobs(12)
    trainer = _trainer(_classifier(), callbacks=[_Figures(**figures), stopping])
    trainer.fit((x, y), epochs=6, progress=False)
    return trainer


@pytest.mark.parametrize(
    ("patience", "epochs"), [(0, 3), (1, 3), (2, 4), (3, 5), (4, 6)]
)
def test_patience_counts_the_epochs_without_improvement(patience, epochs):
    stopping = EarlyStopping("loss", patience=patience)
    trainer = _stopped_by(stopping, loss=[3.0, 2.0, 2.0, 2.5, 2.0, 2.0])
    assert trainer.epoch == epochs
    told = "an epoch" if epochs == 3 else f"{patience} epochs"
    assert trainer.stopped == (
        f"loss has not improved for {told}; best 2 in epoch 2, whose weights are put back"
    )


def test_the_bar_tells_why_it_stopped(capsys):
    x, y = _blobs(12)
    stopping = EarlyStopping("loss", patience=1)
    trainer = _trainer(_classifier(), callbacks=[_Figures(loss=[1.0, 2.0]), stopping])
    trainer.fit((x, y), epochs=6)
    assert (
        "stopped after epoch 2: loss has not improved for an epoch; best 1 in epoch 1, "
        "whose weights are put back\n"
    ) in capsys.readouterr().out


def test_patience_begins_anew_after_a_fit_that_it_has_ended():
    stopping = EarlyStopping("loss", patience=2)
    trainer = _stopped_by(stopping, loss=[1.0, 2.0, 2.0, 2.0, 2.0, 2.0])
    assert trainer.epoch == 3
    trainer.fit(_blobs(12), epochs=6, progress=False)
    assert trainer.epoch == 5


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_early_stopping_stops_at_a_figure_that_is_not_finite(bad):
    with pytest.warns(
        UserWarning, match=f"val_f1 is {bad} in epoch 3; best 2 in epoch 1"
    ):
        trainer = _stopped_by(EarlyStopping("val_f1"), val_f1=[2.0, 2.0, bad])
    assert trainer.epoch == 3
    assert trainer.stopped.startswith(f"val_f1 is {bad} in epoch 3")
    with pytest.warns(UserWarning, match="val_f1 is nan in epoch 1$"):
        assert _stopped_by(EarlyStopping("val_f1"), val_f1=[math.nan]).epoch == 1


def test_a_figure_that_there_will_not_be_is_refused_before_the_first_epoch():
    x, y = _blobs(12)
    model = _classifier()
    optimizer = ad.optim.SGD(model.parameters(), lr=0.1)
    plateau = Schedule(ReduceLROnPlateau(optimizer), monitor="val_los")
    for callback in (EarlyStopping("val_los"), plateau):
        trainer = Trainer(model, "cross_entropy", optimizer, callbacks=[callback])
        with pytest.raises(ValueError, match=r"'val_los'.* did you mean 'val_loss'\?"):
            trainer.fit((x, y), (x, y), progress=False)
        assert trainer.epoch == 0
    # of a callback's own figures nothing is known before
    late = _trainer(_classifier(), callbacks=[_Figures(), EarlyStopping("f1")])
    with pytest.raises(ValueError, match="no figure 'f1'"):
        late.fit((x, y), progress=False)


def test_the_names_of_figures_are_known_before_they_are_measured():
    x, y = _blobs(12)
    trainer = _trainer(_classifier(), metrics=["accuracy"])
    trainer.fit((x, y), (x, y), evaluate_train=True, progress=False)
    assert trainer.figure_names == trainer.history.names()


def test_schedules_move_on():
    x, y = _blobs()
    model = _classifier()
    optimizer = ad.optim.SGD(model.parameters(), lr=1.0)
    trainer = Trainer(model, "cross_entropy", optimizer)
    schedule = CosineAnnealingLR(optimizer, T_max=4)
    history = trainer.fit((x, y), epochs=4, scheduler=schedule, progress=False)
    expected = [0.5 * (1 + math.cos(math.pi * k / 4)) for k in range(4)]
    assert history["lr"] == pytest.approx(expected)
    plateau = Schedule(ReduceLROnPlateau(optimizer, patience=0))
    assert plateau.on_plateau


def test_a_new_schedule_takes_the_place_of_the_one_before():
    x, y = _blobs()
    model = _classifier()
    optimizer = ad.optim.SGD(model.parameters(), lr=1.0)
    own = Schedule(ConstantLR(optimizer, 1.0))
    trainer = Trainer(model, "cross_entropy", optimizer, callbacks=[own])
    trainer.fit(
        (x, y), epochs=1, scheduler=ExponentialLR(optimizer, 0.5), progress=False
    )
    assert optimizer.param_groups[0]["lr"] == 0.5
    trainer.fit((x, y), epochs=2, progress=False)
    assert optimizer.param_groups[0]["lr"] == 0.25
    trainer.fit(
        (x, y), epochs=3, scheduler=ExponentialLR(optimizer, 0.1), progress=False
    )
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.025)
    assert own in trainer.callbacks
    assert len(trainer.callbacks) == 2


# ---- checkpoints ----


def _long(tmp_path, epochs, resume=None, save=None):
    """A training with all that draws: shuffling, shifts, dropout, momentum, schedule."""
    ad.manual_seed(5)
    images = ad.rand(20, 1, 8, 8)
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Dropout(0.5), nn.Linear(144, 3)
    )
    optimizer = ad.optim.AdamW(model.parameters(), lr=0.01)
    callbacks = [EarlyStopping(patience=50), Schedule(CosineAnnealingLR(optimizer, 6))]
    trainer = Trainer(model, "cross_entropy", optimizer, callbacks=callbacks, seed=3)
    if resume:
        ad.rand(7)  # what else was drawn does not matter
        trainer.load_checkpoint(tmp_path / resume)
    data = (images, ad.arange(20) % 3)
    history = trainer.fit(
        data,
        data,
        epochs=epochs,
        batch_size=6,
        transform=RandomShift(1),
        checkpoint=tmp_path / save if save else None,
        progress=False,
    )
    return _weights(model), history


def _figures(history):
    return [{k: v for k, v in e.items() if k != "seconds"} for e in history.epochs]


def test_resume_gives_the_bits_of_a_training_that_was_not_interrupted(tmp_path):
    whole, history = _long(tmp_path, 6)
    _long(tmp_path, 3, save="half.ckpt")
    resumed, again = _long(tmp_path, 6, resume="half.ckpt")
    assert np.array_equal(whole, resumed)
    assert _figures(history) == _figures(again)


def test_same_seed_same_bits_for_any_number_of_threads(tmp_path):
    before = ad.get_num_threads()
    try:
        runs = []
        for threads in (1, 2, 3):
            ad.set_num_threads(threads)
            runs.append(_long(tmp_path, 2)[0])
    finally:
        ad.set_num_threads(before)
    assert all(np.array_equal(runs[0], run) for run in runs)


def test_damaged_checkpoints_change_nothing(tmp_path):
    path = tmp_path / "a.ckpt"
    _long(tmp_path, 1, save="a.ckpt")
    content = path.read_bytes()
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Dropout(0.5), nn.Linear(144, 3)
    )
    trainer = _trainer(model)
    before = _weights(model)
    with pytest.raises(FileNotFoundError, match="there is no file"):
        trainer.load_checkpoint(tmp_path / "absent")
    for damaged in (content[: len(content) // 2], b"", b"x" * 100):
        path.write_bytes(damaged)
        with pytest.raises(CheckpointError, match="damaged"):
            trainer.load_checkpoint(path)
    ad.save({"x": ad.ones(1)}, path)
    with pytest.raises(CheckpointError, match="is no checkpoint"):
        trainer.load_checkpoint(path)
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="2 callbacks, this trainer has 0"):
        trainer.load_checkpoint(path)
    assert np.array_equal(_weights(model), before)


def test_a_checkpoint_of_another_setup_changes_nothing(tmp_path):
    def trainer(lrs, features):
        model = nn.Linear(features, 2)
        groups = [{"params": [p], "lr": lr} for p, lr in zip(model.parameters(), lrs)]
        optimizer = ad.optim.SGD(groups, lr=0.1, momentum=0.9)
        schedule = Schedule(CosineAnnealingLR(optimizer, 5))
        return Trainer(model, "cross_entropy", optimizer, callbacks=[schedule])

    def fit(trainer, features):
        data = (ad.randn(8, features), ad.arange(8) % 2)
        trainer.fit(data, epochs=2, batch_size=4, progress=False)

    first = trainer([0.1, 0.2], 3)
    fit(first, 3)
    first.save_checkpoint(tmp_path / "a.ckpt")
    for lrs, features in (([0.3], 3), ([0.3, 0.4], 5)):
        other = trainer(lrs, features)
        fit(other, features)
        weights, state = _weights(other.model), other.optimizer.state_dict()
        rates = [group["lr"] for group in other.optimizer.param_groups]
        epochs = other.callbacks[0].scheduler.last_epoch
        with pytest.raises(
            CheckpointError, match=r"nothing is changed: (.|\n)*(groups|shape)"
        ):
            other.load_checkpoint(tmp_path / "a.ckpt")
        assert np.array_equal(_weights(other.model), weights)
        assert [group["lr"] for group in other.optimizer.param_groups] == rates
        assert other.callbacks[0].scheduler.last_epoch == epochs
        for key, entries in other.optimizer.state_dict()["state"].items():
            for name, value in entries.items():
                assert ad.equal(value, state["state"][key][name])


def test_what_is_derived_from_a_layer_or_loss_counts_as_one():
    class Token(nn.Embedding):
        pass

    class Norm(nn.BatchNorm1d):
        pass

    class Loss(nn.CrossEntropyLoss):
        pass

    class Last(nn.Softmax):
        pass

    tokens = (ad.arange(12).reshape(6, 2) % 5, ad.arange(6) % 2)
    model = nn.Sequential(Token(5, 3), nn.Flatten(), nn.Linear(6, 2))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Trainer(model, Loss(), "sgd").fit(tokens, epochs=1, progress=False)
    with pytest.warns(UserWarning, match="merged into the one before"):
        Trainer(nn.Sequential(Norm(2), nn.Linear(2, 2)), Loss(), "sgd").fit(
            (ad.randn(5, 2), ad.arange(5) % 2), epochs=1, batch_size=4, progress=False
        )
    with pytest.raises(ValueError, match="remove the last Last"):
        Trainer(nn.Sequential(nn.Linear(2, 2), Last(1)), Loss(), "sgd")


def test_schedules_of_steps_go_on_with_each_batch():
    make = ad.optim.lr_scheduler
    optimizer = ad.optim.SGD([ad.ones(1, requires_grad=True)], lr=0.1, momentum=0.9)
    cyclic = make.CyclicLR(optimizer, 0.1, 1.0, step_size_up=4)
    one = make.OneCycleLR(optimizer, 1.0, total_steps=10)
    assert Schedule(cyclic).per_batch
    assert Schedule(one).per_batch
    assert not Schedule(cyclic, per_batch=False).per_batch
    assert not Schedule(make.StepLR(optimizer, 2)).per_batch


def test_a_crash_while_saving_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "a.ckpt"
    ad.save({"x": 1}, path)

    def full(*args):
        raise OSError("no space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="no space left"):
        ad.save({"x": 2}, path)
    assert ad.load(path) == {"x": 1}
    assert [each.name for each in tmp_path.iterdir()] == ["a.ckpt"]


class _Interrupts(Callback):
    """Presses Ctrl-C in a batch, the first of which is 0, or after an epoch."""

    def __init__(self, batch=None, epoch=None):
        self.batch, self.epoch = batch, epoch
        self.batches = 0

    def on_batch_end(self, trainer, loss):
        if self.batches == self.batch:
            raise KeyboardInterrupt
        self.batches += 1

    def on_epoch_end(self, trainer, figures):
        if trainer.epoch == self.epoch:
            raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("press", "every", "match"),
    [
        (
            {"batch": 0},
            1,
            "in epoch 1 of 4; no checkpoint was saved; fit.checkpoint=",
        ),
        (
            {"batch": 5},
            1,
            "in epoch 3 of 4; '.*a.ckpt' has epoch 2: load_checkpoint and",
        ),
        ({"batch": 5}, 3, "in epoch 3 of 4; no checkpoint was saved"),
        ({"epoch": 4}, 1, "after epoch 4, the last; '.*a.ckpt' has epoch 3"),
    ],
)
def test_an_interrupt_tells_the_epoch_and_what_is_safe(tmp_path, press, every, match):
    path = tmp_path / "a.ckpt"
    callbacks = [_Interrupts(**press), Checkpoint(path, every)]
    trainer = _trainer(_classifier(), callbacks=callbacks)
    with pytest.raises(KeyboardInterrupt) as caught:
        trainer.fit(_blobs(12), epochs=4, batch_size=6, progress=False)
    (note,) = caught.value.__notes__
    assert re.search(match, note)
    if saved := callbacks[1].saved_epoch:
        assert ad.load(path)["epoch"] == saved


def test_checkpoint_every(tmp_path):
    x, y = _blobs()
    saving = Checkpoint(tmp_path / "c", every=2)
    trainer = _trainer(_classifier(), callbacks=[saving])
    trainer.fit((x, y), epochs=3, progress=False)
    assert ad.load(tmp_path / "c")["epoch"] == 2
    with pytest.raises(ValueError, match="every"):
        Checkpoint("c", every=0)


# ---- the rest ----


def test_pretrain_layerwise():
    x = ad.rand(64, 8)
    encoders = [nn.Linear(8, 6), nn.Linear(6, 3)]
    decoders = [nn.Linear(6, 8), nn.Linear(3, 6)]
    before = _weights(encoders[1])
    histories = pretrain_layerwise(encoders, decoders, x, epochs=20, batch_size=16)
    assert all(h["loss"][-1] < h["loss"][0] for h in histories)
    assert not np.array_equal(_weights(encoders[1]), before)
    with pytest.raises(ValueError, match="2 encoders and 1 decoders"):
        pretrain_layerwise(encoders, decoders[:1], x)


def test_the_code_of_an_autoencoder_takes_values_of_both_signs():
    ad.manual_seed(0)
    model = Autoencoder((64, 16, 2))
    code = model.encoder(ad.rand(100, 64))
    below = (code < 0).float().mean(0)
    assert not any(bool((column == 0).any()) for column in code.T)
    assert 0 < below.mean().item() < 1
    assert [type(each[-1]) for each in model.encoder] == [nn.ReLU, nn.Linear]
    assert list(model.state_dict()) == [
        f"{part}.{i}.0.{name}"
        for part in ("encoder", "decoder")
        for i in range(2)
        for name in ("weight", "bias")
    ]


def test_metrics():
    assert accuracy(ad.tensor([0.2, 0.9]), ad.tensor([0, 1])) == 1.0
    assert accuracy(ad.tensor([[-3.0], [2.0]]), ad.tensor([[1.0], [1.0]])) == 0.5
    onehot = ad.tensor([[1.0, 0.0], [0.0, 1.0]])
    assert accuracy(ad.tensor([[2.0, 1.0], [3.0, 1.0]]), onehot) == 0.5
    assert psnr(onehot, onehot) == math.inf


@pytest.mark.parametrize(
    ("loss", "last"),
    [
        ("binary_cross_entropy_with_logits", nn.Identity()),
        (nn.BCEWithLogitsLoss(), nn.Identity()),
        ("binary_cross_entropy", nn.Sigmoid()),
    ],
)
@pytest.mark.parametrize("metric", ["accuracy", accuracy])
def test_the_accuracy_of_one_score_does_not_depend_on_the_batches(loss, last, metric):
    model = nn.Sequential(nn.Linear(1, 1), last)
    with ad.no_grad():
        model[0].weight.fill_(1.0)
        model[0].bias.fill_(0.0)
    # a batch whose logits all lie in [0, 1] are no probabilities for that
    x = np.float32([[0.1], [0.2], [0.3], [0.4], [-0.2], [-3.0]])
    trainer = _trainer(model, loss, metrics=metric)
    for batch_size in (1, 2, 6):
        found = trainer.evaluate((x, (x > 0)[:, 0]), batch_size=batch_size)
        assert found["accuracy"] == 1.0


def test_history_is_read_as_a_dict():
    history = History([{"loss": 2.0}, {"loss": 1.0, "f1": 0.5}])
    assert list(history) == list(history.keys()) == ["loss", "f1"]
    assert dict(history) == dict(history.items()) == {"loss": [2.0, 1.0], "f1": [0.5]}
    assert "loss" in history
    assert "los" not in history
    assert len(history) == 2


def test_history_names_what_it_has():
    with pytest.raises(KeyError, match="history has"):
        History([{"loss": 1.0}])["los"]


# ---- what was meant otherwise ----


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (lambda m: {"optimizer": "sgd"}, "saved with Adam, StepLR, .* has SGD, StepLR"),
        (lambda m: {"callbacks": [EarlyStopping()]}, "has Adam, EarlyStopping"),
        (lambda m: {"model": m.double()}, "'0.weight' was saved as float32.*float64"),
    ],
    ids=["optimizer", "callback", "dtype"],
)
def test_a_checkpoint_of_another_kind_is_refused(other, message, tmp_path):
    def make(**changed):
        model = _classifier()
        changed = changed or {"model": model}
        given = {"model": model, "optimizer": "adam", **changed}
        trainer = Trainer(given["model"], "cross_entropy", given["optimizer"])
        schedule = ad.optim.lr_scheduler.StepLR(trainer.optimizer, 1)
        trainer.callbacks = changed.get("callbacks", [Schedule(schedule)])
        return trainer

    path = tmp_path / "x.safetensors"
    trainer = make()
    trainer.fit(_blobs(), progress=False, checkpoint=path)
    state = ad.load(path)
    with pytest.raises(CheckpointError, match=message):
        make(**other(_classifier())).load_checkpoint(path)
    # as files of before are, which tell no kinds
    del state["kinds"]
    ad.save(state, path)
    assert make().load_checkpoint(path).epoch == 1


def test_one_metric_stands_for_a_list():
    trainer = _trainer(_classifier(), metrics="accuracy")
    assert list(trainer.fit(_blobs(), progress=False))[:2] == ["loss", "accuracy"]
    assert list(_trainer(_classifier(), metrics=accuracy).metrics) == ["accuracy"]


@pytest.mark.parametrize("callbacks", [EarlyStopping(), [EarlyStopping]])
def test_callbacks_are_a_list_of_objects(callbacks):
    with pytest.raises(TypeError, match="callbacks must be a list of callbacks"):
        _trainer(_classifier(), callbacks=callbacks)


def test_epochs_are_whole():
    with pytest.raises(TypeError, match="epochs must be an int, got"):
        _trainer(_classifier()).fit(_blobs(), epochs=2.5)


def test_a_list_of_numbers_is_one_input():
    trainer = _trainer(_classifier())
    rows = [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]
    assert np.array_equal(
        trainer.predict(rows).numpy(), trainer.predict(ad.tensor(rows))
    )


@pytest.mark.parametrize(
    ("train", "held", "more", "wanted"),
    [
        (
            [9, 5, 3, 2],
            [9, 6, 7, 8],
            {},
            "overfitting: since epoch 2 val_loss has risen",
        ),
        ([9, 5, 5, 5], [9, 4, 4, 4], {}, "perhaps underfitting: .*evaluate_train"),
        (
            [9, 5, 5, 5],
            [9, 4, 4, 4],
            {"train_loss": 4.5},
            "^underfitting: train_loss is 4.5",
        ),
        ([9, 5, 5, 5], [9, 4, 4, 4], {"train_loss": 4.0}, "neither .* train_loss 4$"),
        ([9, 5, 4, 3], [9, 5, 4, 3], {}, "still learning: .* to 3 in epoch 4"),
        ([9, 5, 4, 4], [9, 5, 4, 4.1], {}, "neither overfitting nor underfitting"),
        ([9, 5, 6, 7], [9, 5, 6, 7], {}, "neither"),
        (
            [3, 3, 3],
            [3, 3, 2.99],
            {},
            "not learning: loss was 3 in epoch 1 and is 3 now",
        ),
        ([3, 3, 4], [3, 3, 4], {}, "not learning: .* val_loss 3 and 4; "),
        ([9, 5, 4, 4], [9, 5, math.nan, 4], {}, "diverged"),
    ],
)
def test_a_verdict_on_losses(train, held, more, wanted):
    history = History(
        [{"loss": a, "val_loss": b, **more} for a, b in zip(train, held, strict=True)]
    )
    assert re.search(wanted, history.verdict())


def test_a_verdict_wants_epochs_with_validation():
    history = History([{"loss": 1.0}, {"loss": 1.0}, {"loss": 1.0, "val_loss": 2.0}])
    with pytest.raises(ValueError, match="3 epochs with a validation loss, got 1"):
        history.verdict()


def test_a_verdict_on_validation_samples_that_are_nan():
    history = History([{"loss": 1.0, "val_loss": math.nan}] * 3)
    assert "val_loss is nan, though loss is finite" in history.verdict()


def _waves(layers, optimizer, epochs=6):
    """A small regression, with whatever optimizer."""
    ad.manual_seed(0)
    x = ad.linspace(-3, 3, 200).reshape(-1, 1)[ad.randperm(200)]
    model = nn.Sequential(*layers())
    trainer = Trainer(model, "mean_squared_error", optimizer(model.parameters()))
    parts = [(part, ad.sin(part)) for part in (x[:150], x[150:])]
    return trainer, partial(trainer.fit, *parts, epochs=epochs, progress=False)


def _narrow(activation=nn.Tanh):
    return [nn.Linear(1, 32), activation(), nn.Linear(32, 1)]


@pytest.mark.parametrize("lr", [1.0, 10.0, 100.0])
@pytest.mark.parametrize("activation", [nn.Tanh, nn.ReLU])
def test_a_verdict_on_steps_that_are_far_too_large(lr, activation):
    _, fit = _waves(lambda: _narrow(activation), partial(optim.Adam, lr=lr))
    history = fit()
    assert max(history["loss"]) > 10 * history.start
    found = history.verdict()
    assert found.startswith("too large a learning rate: the loss was ")
    assert f"was {history.start:.4g} before the first step" in found
    assert "overfitting" not in found


def test_a_verdict_on_steps_that_fit():
    trainer, fit = _waves(_narrow, partial(optim.Adam, lr=0.01), epochs=12)
    history = fit()
    assert "too large" not in history.verdict()
    x = ad.linspace(-3, 3, 200).reshape(-1, 1)
    with ad.no_grad():
        reached = F.mse_loss(trainer.model(x), ad.sin(x)).item()
    assert reached < history.start


def test_the_loss_before_the_first_step(tmp_path):
    trainer, fit = _waves(_narrow, partial(optim.SGD, lr=0.0), epochs=2)
    history = fit()
    # without steps it is that of any batch
    assert history.start == pytest.approx(history["loss"][0], rel=0.5)
    trainer.save_checkpoint(tmp_path / "state")
    other, _ = _waves(_narrow, partial(optim.SGD, lr=0.0))
    other.load_checkpoint(tmp_path / "state")
    assert other.history.start == history.start


def test_a_verdict_on_a_training_that_gave_up():
    trainer, fit = _waves(lambda: _narrow(nn.ReLU), partial(optim.SGD, lr=100.0))
    with pytest.raises(GradError, match="a smaller learning rate is the likeliest fix"):
        fit()
    assert len(trainer.history) < 3
    assert re.match(
        r"stopped: the loss is (inf|nan) in epoch \d: ", trainer.history.verdict()
    )
    trainer = Trainer(nn.Linear(1, 1), "mean_squared_error", "sgd")
    part = ad.full((8, 1), math.nan), ad.ones(8, 1)
    with pytest.raises(GradError, match="inputs of the batch are nan") as error:
        trainer.fit(part, progress=False)
    assert "learning rate" not in str(error.value)


@pytest.mark.parametrize(
    ("start", "train", "held", "wanted"),
    [
        # up and down, with and without the loss before the first step
        (None, [9, 4, 6, 4, 6], [9, 5, 6, 7, 8], "too large .* jumped up 2 times"),
        (4, [9, 4, 6, 3, 3.5], [9, 5, 6, 7, 8], "too large .* from 3 to 3.5"),
        # up for once, for good
        (9, [5, 2, 4, 3], [5, 2, 4, 3], "too large .* rose from 2 in epoch 2 to 4"),
        (9, [5, 2, 4, 2.1], [5, 2, 2.1, 2.05], "neither"),
        # low losses may jump
        (9, [5, 0.2, 0.4, 0.2, 0.4], [5, 1, 2, 3, 4], "neither|overfitting"),
        # high, then as good as ever
        (9, [50, 5, 4, 3], [9, 5, 4, 4.5], "overfitting"),
        (9, [50, 5, 4, 3], [9, 9, 9, 10], "too large .* val_loss 10 is still above"),
        (9, [10, 9.8, 9.6, 9.4], [9, 5, 8, 11], "not learning: .* 9 before the first"),
        # a loss may be below 0
        (-9, [-5, -6, -10, -12], [-5, -8, -6, -4], "overfitting"),
        (
            -9,
            [50, 40, 20, 10],
            [-5, -8, -6, -4],
            "too large .* loss 10 and val_loss -4",
        ),
    ],
)
def test_a_verdict_on_steps_that_are_too_large(start, train, held, wanted):
    figures = zip(train, held, strict=True)
    history = History([{"loss": a, "val_loss": b} for a, b in figures], start=start)
    assert re.match(wanted, history.verdict())


# ---- models that give more than a tensor ----


class _Parts(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.layer = nn.Linear(2, 3)
        self.kind = kind

    def forward(self, x):
        score = self.layer(x)
        if self.kind is dict:
            return {"score": score, "inputs": x}
        return self.kind((score, x))


@pytest.mark.parametrize("kind", [dict, tuple, list])
def test_outputs_of_several_tensors_train_and_are_predicted(kind):
    x, y = _blobs(12)
    key = "score" if kind is dict else 0

    def loss(output, target):
        return nn.functional.cross_entropy(output[key], target, reduction="sum")

    loss.reduction = "sum"

    def right(output, target):
        assert not output[key].requires_grad
        return accuracy(output[key], target)

    model = _Parts(kind)
    trainer = _trainer(model, loss, metrics=[right])
    history = trainer.fit((x, y), (x, y), epochs=2, batch_size=5, progress=False)
    score = model.layer(x)
    wanted = nn.functional.cross_entropy(score, y).item()
    assert history["val_loss"][-1] == pytest.approx(wanted, rel=1e-6)
    assert history["val_right"][-1] == pytest.approx(accuracy(score, y))
    found = trainer.predict(x, batch_size=5)
    assert ad.allclose(found[key], score)
    assert ad.equal(found["inputs" if kind is dict else 1], x)


def test_outputs_without_a_row_for_each_sample_are_not_joined():
    trainer = _trainer(nn.LSTM(3, 4, batch_first=True), lambda out, y: out[0].mean())
    x = ad.randn(6, 5, 3)
    assert trainer.predict(x)[1][0].shape == (1, 6, 4)
    with pytest.raises(
        ShapeError, match=r"an output of 4 samples has shape \(1, 4, 4\)"
    ):
        trainer.predict(x, batch_size=4)


def test_a_loss_of_the_table_takes_a_tensor():
    x, y = _blobs(12)
    with pytest.raises(
        TypeError, match="the model gives a tuple, the loss cross_entropy"
    ):
        _trainer(_Parts(tuple)).fit((x, y), progress=False)


def test_batches_are_tuples():
    x, y = _blobs(4)
    samples = [{"x": a, "y": b} for a, b in zip(x, y, strict=True)]
    with pytest.raises(TypeError, match=r"expected batches .* got a dict; likely"):
        _trainer(_classifier()).fit(DataLoader(samples, batch_size=2), progress=False)


def test_a_schedule_that_is_none_is_refused_before_the_first_epoch():
    x = ad.rand(8, 2)
    trainer = Trainer(nn.Linear(2, 2), "mean_squared_error", "adam")
    with pytest.raises(
        TypeError, match=r"Schedule: expected a schedule .* got 'cosine'"
    ):
        trainer.fit((x, x), scheduler="cosine", progress=False)
    assert trainer.epoch == 0


def test_a_forward_without_return_is_named():
    class Silent(nn.Linear):
        def forward(self, x):
            super().forward(x)

    x = ad.rand(8, 2)
    trainer = Trainer(Silent(2, 2), "mean_squared_error", "adam")
    with pytest.raises(
        TypeError, match=r"likely fix: a return at the end .* forward\(\)"
    ):
        trainer.fit((x, x), progress=False)


def test_history_pickled_before_it_had_a_start_gives_its_verdict():
    epochs = [{"loss": 1 / n, "val_loss": 1 / n} for n in range(1, 6)]
    old = History.__new__(History)
    old.__dict__["epochs"] = epochs
    loaded = pickle.loads(pickle.dumps(old))
    assert loaded.start is None
    assert loaded.verdict() == History(epochs).verdict()
