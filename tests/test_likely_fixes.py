"""Mistakes that are often made, and the fix that the error names."""

from __future__ import annotations

import re

import numpy as np
import pytest

import pyautodl as ad
import pyautodl.nn.functional as F
from pyautodl import models, nn
from pyautodl.errors import DTypeError, ShapeError
from pyautodl.train import Trainer

SCORES, CLASSES = ad.ones(5, 4), ad.tensor([0, 1, 2, 3, 0])
SEQUENCES = ad.ones(2, 3, 4)


@pytest.mark.parametrize(
    ("layer", "shape", "order"),
    [
        (nn.Conv2d(3, 4, 3), (2, 8, 8, 3), (0, 3, 1, 2)),
        (nn.Conv2d(3, 4, 3), (8, 8, 3), (2, 0, 1)),
        (nn.Conv1d(3, 4, 3), (2, 9, 3), (0, 2, 1)),
        (nn.ConvTranspose2d(3, 4, 3), (2, 8, 8, 3), (0, 3, 1, 2)),
    ],
)
def test_channels_at_the_end_are_permuted(layer, shape, order):
    x = ad.ones(shape)
    with pytest.raises(ShapeError, match=re.escape(f"likely fix: x.permute{order}")):
        layer(x)
    layer(x.permute(*order))


def test_inputs_without_an_axis_for_their_single_channel():
    images, waves = ad.ones(8, 28, 28), ad.ones(4, 20)
    with pytest.raises(ShapeError, match=r"likely fix: x\.unsqueeze\(1\)"):
        nn.Conv2d(1, 4, 3)(images)
    nn.Conv2d(1, 4, 3)(images.unsqueeze(1))
    with pytest.raises(ShapeError, match=r"likely fix: x\.unsqueeze\(-1\)"):
        nn.LSTM(1, 4, batch_first=True)(waves)
    nn.LSTM(1, 4, batch_first=True)(waves.unsqueeze(-1))


def test_channels_that_stand_nowhere_change_the_layer():
    with pytest.raises(
        ShapeError, match=r"likely fix: Conv2d\(in_channels=8, \.\.\.\)"
    ):
        nn.Conv2d(3, 4, 3)(ad.ones(2, 8, 8, 5))


@pytest.mark.parametrize(
    ("input", "target", "fix"),
    [
        (SCORES, CLASSES.reshape(-1, 1), "target.squeeze(1)"),
        (
            ad.ones(2, 3, 8, 8),
            ad.zeros(2, 1, 8, 8, dtype=ad.int64),
            "target.squeeze(1)",
        ),
        (SCORES, CLASSES[:3], "input and target of equal batch size"),
        (ad.ones(5, 7, 4), CLASSES, "its last output: input[:, -1]"),
        (ad.ones(7, 5, 4), CLASSES, "its last output: input[-1]"),
        (ad.ones(2, 5, 4), ad.zeros(2, 5, dtype=ad.int64), "input.movedim(-1, 1)"),
        (SCORES, CLASSES.float(), "target.long()"),
    ],
)
def test_targets_of_another_shape(input, target, fix):
    for loss in (F.cross_entropy, nn.CrossEntropyLoss()):
        with pytest.raises(ShapeError, match=re.escape(fix)):
            loss(input, target)


def test_columns_beside_lines():
    column, line = ad.ones(5, 1), ad.ones(5)
    with pytest.raises(ShapeError, match=r"likely fix: input\.squeeze\(-1\)"):
        F.mse_loss(column, line)
    with pytest.raises(ShapeError, match=r"likely fix: target\.squeeze\(-1\)"):
        F.mse_loss(line, column)
    # no other shape holds as many elements: there is nothing to reshape
    with pytest.raises(ShapeError, match=r"losses do not broadcast$"):
        F.mse_loss(ad.ones(4, 25), ad.ones(4, 28))


def test_normalisation_of_other_axes():
    flat = nn.Sequential(nn.Flatten(), nn.BatchNorm2d(4))
    with pytest.raises(ShapeError, match="likely fix: BatchNorm1d") as error:
        flat(ad.ones(2, 4, 3, 3))
    assert "num_features" not in str(error.value)
    with pytest.raises(ShapeError, match="likely fix: InstanceNorm2d"):
        nn.InstanceNorm1d(4)(ad.ones(2, 4, 3, 3))


def test_labels_that_do_not_begin_at_0():
    with pytest.raises(IndexError, match=r"likely fix: labels from 0 on \(target - "):
        F.cross_entropy(SCORES, CLASSES + 1)


def test_targets_in_the_place_of_scores():
    with pytest.raises(DTypeError, match="input and target are swapped"):
        F.cross_entropy(CLASSES, SCORES)
    with pytest.raises(DTypeError, match="the network's output itself, not its argmax"):
        F.cross_entropy(SCORES.argmax(1), CLASSES)


@pytest.mark.parametrize(
    "loss", [nn.CrossEntropyLoss, nn.MSELoss, nn.BCEWithLogitsLoss]
)
def test_a_loss_that_is_given_tensors_in_place_of_options(loss):
    fix = re.escape(f"likely fix: {loss.__name__}()(input, target)")
    with pytest.raises(TypeError, match=fix):
        loss(SCORES, SCORES)


@pytest.mark.parametrize("layer", [nn.Linear(4, 2), nn.ReLU(), nn.Flatten()])
def test_output_and_state_of_a_recurrent_layer(layer):
    with pytest.raises(TypeError, match=r"take the output of \(output, state\)"):
        nn.Sequential(nn.LSTM(4, 4), layer)(SEQUENCES)


def test_a_single_state_in_the_place_of_two():
    states = r"expected the states \(h_0, c_0\), got a tensor of shape \(1, 3, 4\)"
    with pytest.raises(TypeError, match=states):
        nn.LSTM(4, 4)(SEQUENCES, ad.zeros(1, 3, 4))
    with pytest.raises(TypeError, match=r"got a tensor of shape \(1, 4\)"):
        nn.LSTM(4, 4)(SEQUENCES[0], ad.zeros(1, 4))


@pytest.mark.parametrize("layer", [nn.GRU(4, 4), nn.RNN(4, 4)])
def test_two_states_in_the_place_of_one(layer):
    for x, h in ((SEQUENCES, ad.zeros(1, 3, 4)), (SEQUENCES[0], ad.zeros(1, 4))):
        with pytest.raises(TypeError, match="expected one state h_0, got"):
            layer(x, (h, h))


def test_one_image_in_the_place_of_a_batch():
    with pytest.raises(ShapeError, match=r"likely fix: x\.unsqueeze\(0\)"):
        models.UNet(3, 2)(ad.ones(3, 32, 32))


def test_classes_in_the_place_of_modules():
    for container in (nn.Sequential, lambda *given: nn.ModuleList(given)):
        with pytest.raises(TypeError, match=r"ReLU is a class.*likely fix: ReLU\(\)"):
            container(nn.ReLU, nn.Linear(2, 3))
    with pytest.raises(TypeError, match="likely fix: ReLU"):
        nn.Sequential(nn.Linear(2, 3)).insert(0, nn.ReLU)
    with pytest.raises(TypeError, match="function is not a Module subclass"):
        nn.Sequential(F.relu)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: nn.Linear(28 / 2, 3), "Linear: in_features must be an int, got 14.0"),
        (lambda: nn.Linear(-3, 3), "Linear: in_features must not be negative, got -3"),
        (lambda: nn.Linear(3, -1), "Linear: out_features must not be negative, got -1"),
        (lambda: nn.Bilinear(1, 2.5, 3), "Bilinear: in2_features must be an int"),
        (lambda: nn.Conv2d(3, 4.0, 3), "Conv2d: out_channels must be an int, got 4.0"),
        (lambda: nn.Conv1d(-3, 4, 3), "Conv1d: in_channels must not be negative"),
        (lambda: nn.LSTM(3.5, 4), "LSTM: input_size must be an int, got 3.5"),
        (lambda: nn.Embedding(3, -4), "Embedding: embedding_dim must not be negative"),
        (lambda: nn.Linear(ad.ones(40, 50), 3), "got a tensor of shape (40, 50)"),
    ],
)
def test_sizes_name_layer_and_argument(make, message):
    with pytest.raises((TypeError, ShapeError), match=re.escape(message)):
        make()


@pytest.mark.parametrize(
    "make",
    [
        lambda: nn.Linear(10**7, 10**7),
        lambda: nn.Conv2d(10**6, 10**6, 3),
        lambda: nn.Embedding(10**7, 10**7),
        lambda: nn.LSTM(10**7, 10**7),
    ],
)
def test_weights_that_no_memory_holds_name_the_layer(make):
    with pytest.raises(MemoryError, match=r"^\w+: can't allocate weights of shape"):
        make()


def test_class_numbers_as_floats_of_any_size():
    with pytest.raises(ShapeError, match=r"target\.long\(\)"):
        F.cross_entropy(SCORES, CLASSES.double())


def test_inputs_and_targets_beside_each_other():
    model = nn.Linear(4, 4)
    optimizer = ad.optim.SGD(model.parameters())
    trainer = Trainer(model, "cross_entropy", optimizer)
    with pytest.raises(TypeError, match=r"likely fix: fit\(\(inputs, targets\), "):
        trainer.fit(SCORES, CLASSES)
    # two parts of an autoencoder's inputs
    trainer = Trainer(model, "mean_squared_error", optimizer)
    trainer.fit(SCORES, SCORES, progress=False)


def test_a_forward_of_another_name():
    class Net(nn.Module):
        def foward(self, x):
            return x

    with pytest.raises(NotImplementedError, match=r"Net: .* likely fix: rename foward"):
        Net()(SCORES)


def test_a_forward_that_returns_nothing():
    with pytest.raises(TypeError, match="likely fix: return the result"):
        F.mse_loss(None, SCORES)


def test_layers_where_no_optimizer_finds_them():
    with pytest.raises(ValueError, match=r"Adam: .* likely fix: .* nn\.ModuleList"):
        ad.optim.Adam(nn.Module().parameters())
    with pytest.raises(TypeError, match="got Linear; likely fix: its parameters"):
        ad.optim.Adam([nn.Linear(2, 2)])


def test_a_tensor_in_the_place_of_a_parameter():
    with pytest.raises(TypeError, match=r"likely fix: nn\.Parameter\(\.\.\.\)"):
        nn.Linear(2, 2).weight = ad.ones(2, 2)


def test_a_product_of_matrices_of_one_shape():
    with pytest.raises(ShapeError, match=r"likely fix: b\.T$"):
        SCORES @ SCORES
    with pytest.raises(ShapeError, match=r"likely fix: b\.mT$"):
        SEQUENCES @ SEQUENCES
    with pytest.raises(ShapeError, match=r"b \(5, 4\)$"):
        ad.ones(2, 3) @ SCORES


def test_numbers_in_the_place_of_indices():
    with pytest.raises(DTypeError, match=r"got float32; likely fix: \.long\(\)"):
        nn.Embedding(3, 2)(ad.ones(2))


@pytest.mark.parametrize(
    ("a", "b", "fix"),
    [
        ((2, 3), (2,), "likely fix: .unsqueeze(-1) of (2,), or keepdim=True"),
        ((4,), (4, 2, 3), "likely fix: .reshape(-1, 1, 1) of (4,), or keepdim=True"),
        ((2, 4, 8, 8), (4,), "likely fix: .reshape(-1, 1, 1) of (4,)"),
        (
            (2, 4, 8, 8),
            (2, 4),
            "likely fix: .reshape(2, 4, 1, 1) of (2, 4), or keepdim",
        ),
        ((2, 3), (3, 2), "likely fix: .T of one of them"),
        ((5, 2, 3), (5, 3, 2), "likely fix: .mT of one of them"),
        ((2, 3), (4, 3), "(2, 3), (4, 3) differ in axis 0"),
        ((2, 3, 5), (4, 3, 6), "(4, 3, 6) differ in axis 0, 2"),
    ],
)
def test_shapes_that_do_not_broadcast(a, b, fix):
    a, b = ad.ones(a), ad.ones(b)
    for function in (ad.add, ad.maximum, ad.lt):
        with pytest.raises(ShapeError, match=re.escape(fix)):
            function(a, b)


def test_what_the_fix_of_a_broadcast_says_helps():
    images, each = ad.ones(2, 4, 8, 8), ad.ones(4)
    assert (images - each.reshape(-1, 1, 1)).shape == images.shape
    # nothing but another tensor would fit
    with pytest.raises(ShapeError, match=r"\(2, 3\), \(7,\)$"):
        ad.ones(2, 3) + ad.ones(7)
    with pytest.raises(ShapeError, match=r"likely fix: add, which makes a new one"):
        ad.ones(3).add_(ad.ones(2, 3))


@pytest.mark.parametrize(
    ("shapes", "dim", "fix"),
    [
        (((2, 3), (2, 4)), 0, "likely fix: cat(..., dim=1)"),
        (((2, 3), (5, 3), (1, 3)), -1, "likely fix: cat(..., dim=0)"),
        (((2, 3), (3,)), 0, "likely fix: .unsqueeze(0) of (3,)"),
        (((2, 3), (2,)), 1, "likely fix: .unsqueeze(1) of (2,)"),
        (((2, 3), (2,)), 0, "likely fix: cat(..., dim=1) with .unsqueeze(1) of (2,)"),
        (
            ((2, 3), (3, 2)),
            0,
            "likely fix: .t() of (3, 2), if its rows are the other's columns",
        ),
        (((2, 3, 4), (4, 6)), 0, "got (2, 3, 4), (4, 6)"),
        (((4, 6), (8, 3)), 0, "likely fix: .reshape(4, 6) or .permute(...) of (8, 3)"),
        (
            ((4, 6), (5, 7)),
            0,
            "along one of them alone: slice or pad the others to one size",
        ),
    ],
)
def test_shapes_that_do_not_join(shapes, dim, fix):
    with pytest.raises(ShapeError, match=f"{re.escape(fix)}$"):
        ad.cat([ad.ones(shape) for shape in shapes], dim)


def test_lines_of_different_lengths_are_padded_or_joined():
    lines = [ad.ones(2), ad.ones(3)]
    fix = r"likely fix: cat\(\.\.\., dim=0\), or nn\.utils\.rnn\.pad_sequence"
    with pytest.raises(ShapeError, match=fix):
        ad.stack(lines)
    assert ad.cat(lines, dim=0).shape == (5,)
    assert nn.utils.rnn.pad_sequence(lines, batch_first=True).shape == (2, 3)


@pytest.mark.parametrize(
    "layer", [nn.Conv2d(3, 4, 7), nn.MaxPool2d(7), nn.AvgPool2d(7)]
)
def test_windows_larger_than_the_image(layer):
    with pytest.raises(ShapeError, match="larger inputs, or fewer layers before it"):
        layer(ad.ones(1, 3, 4, 9))


def test_the_padding_that_a_large_kernel_needs():
    x = ad.ones(1, 3, 4, 9)
    with pytest.raises(ShapeError, match="likely fix: 2 more of padding"):
        nn.Conv2d(3, 4, 7)(x)
    nn.Conv2d(3, 4, 7, padding=2)(x)
    with pytest.raises(ShapeError, match="likely fix: 1 more of padding"):
        nn.Conv2d(3, 4, 7, padding=1)(x)


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda: nn.Conv2d(3, 8), "Conv2d"),
        (lambda: nn.ConvTranspose1d(3, 8), "ConvTranspose1d"),
        (lambda: nn.MaxPool2d(), "MaxPool2d"),
        (lambda: nn.AvgPool3d(), "AvgPool3d"),
        (lambda: nn.BatchNorm2d(), "BatchNorm2d"),
        (lambda: nn.Dropout(probability=0.5), "Dropout"),
        (lambda: nn.Tanh(3), "Tanh"),
        (lambda: nn.ConstantPad2d(1), "ConstantPad2d"),
        (lambda: ad.optim.lr_scheduler.MultiplicativeLR(), "MultiplicativeLR"),
        (lambda: ad.data.RandomHorizontalFlip(chance=1), "RandomHorizontalFlip"),
    ],
)
def test_arguments_missing_or_unknown_name_the_class(make, name):
    with pytest.raises(TypeError, match=rf"^{name}\.__init__\(\) "):
        make()


def test_classes_of_users_keep_the_constructor_they_inherit():
    class Net(nn.Conv2d):
        pass

    assert Net.__init__ is nn.Conv2d.__init__
    assert Net(1, 2, 3).out_channels == 2


def test_batches_of_no_samples_name_the_loader():
    class Stream(ad.data.IterableDataset):
        def __iter__(self):
            return iter([1, 2])

    for dataset in ([1, 2], Stream()):
        with pytest.raises(
            ValueError, match=r"^DataLoader: batch_size must be > 0, got 0"
        ):
            ad.data.DataLoader(dataset, batch_size=0)
        with pytest.raises(TypeError, match=r"^DataLoader: batch_size must be an int"):
            ad.data.DataLoader(dataset, batch_size=2.5)
        with pytest.raises(ValueError, match=r"^DataLoader: drop_last leaves out"):
            ad.data.DataLoader(dataset, batch_size=None, drop_last=True)
    with pytest.raises(ValueError, match=r"^BatchSampler: batch_size must be > 0"):
        ad.data.BatchSampler(range(2), 0, False)


# ---- a forgotten zero_grad ----


def _steps(count, between, backward=1, optimizer=None):
    """Steps of a small model, with `between` where zero_grad belongs."""
    ad.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 1))
    optimizer = (optimizer or ad.optim.SGD)(model.parameters(), lr=1e-3)
    for _ in range(count):
        between(model, optimizer)
        for _ in range(backward):
            model(SCORES).square().mean().backward()
        optimizer.step()
    return model


def test_gradients_of_several_steps_added_up_are_told():
    def nothing(model, optimizer):
        pass

    _steps(3, nothing)
    for make in (ad.optim.SGD, ad.optim.Adam):
        with pytest.warns(UserWarning, match=r"likely fix: optimizer\.zero_grad\(\)"):
            model = _steps(6, nothing, optimizer=make)
    found = ad.inspect.diagnose(model, "mean_squared_error", SCORES, ad.ones(5, 1))
    assert any("optimizer.zero_grad()" in each for each in found.findings)


@pytest.mark.parametrize(
    "between",
    [
        lambda model, optimizer: optimizer.zero_grad(),
        lambda model, optimizer: optimizer.zero_grad(set_to_none=False),
        lambda model, optimizer: model.zero_grad(set_to_none=False),
        lambda model, optimizer: [
            p.grad.zero_() for p in model.parameters() if p.grad is not None
        ],
    ],
)
def test_gradients_added_up_within_a_step_are_meant(between):
    for backward in (1, 4):
        model = _steps(6, between, backward)
        found = ad.inspect.diagnose(model, "mean_squared_error", SCORES, ad.ones(5, 1))
        assert not any("zero_grad" in each for each in found.findings)


def test_a_list_of_modules_is_told_to_be_starred():
    with pytest.raises(
        TypeError, match=r"list is not a Module.*likely fix: .*\*layers"
    ):
        nn.Sequential([nn.Linear(2, 3)])


def test_a_class_in_the_place_of_a_loss():
    with pytest.raises(TypeError, match=r"likely fix: CrossEntropyLoss\(\)"):
        Trainer(nn.Linear(2, 3), nn.CrossEntropyLoss, "adam")


def test_one_transform_in_the_place_of_a_list():
    with pytest.raises(
        TypeError, match=r"got RandomCrop; likely fix: Compose\(\[...\]\)"
    ):
        ad.data.Compose(ad.data.RandomCrop(4))


def test_fewer_targets_than_inputs():
    with pytest.raises(ShapeError, match=r"sizes differ.*likely fix: as many targets"):
        ad.data.TensorDataset(ad.ones(4, 2), ad.ones(3))


def test_rows_that_are_shortened_are_no_step():
    table = nn.Embedding(8, 3, max_norm=0.1)
    for i in range(8):
        table(ad.tensor([i])).sum().backward()
    optimizer = ad.optim.SGD(table.parameters(), lr=100.0)

    def step():
        optimizer.step()
        table(ad.tensor([0])).sum().backward()

    step()
    with pytest.warns(UserWarning, match=r"likely fix: optimizer\.zero_grad\(\)"):
        step()


@pytest.mark.parametrize(
    ("transform", "message"),
    [
        (lambda batch: batch, r"DataLoader: transforms are called as .*\*\*draw"),
        (ad.data.RandomCrop, "DataLoader: transforms are called as .* got RandomCrop"),
        ([ad.data.RandomCrop(4)], r"DataLoader: .*likely fix: Compose\(\[...\]\)"),
    ],
)
def test_what_is_no_transform_is_refused_before_the_first_batch(transform, message):
    with pytest.raises(TypeError, match=message):
        ad.data.DataLoader((ad.ones(4, 2),), transform=transform)


@pytest.mark.parametrize("clip", [nn.utils.clip_grad_norm_, nn.utils.clip_grad_value_])
def test_a_model_in_the_place_of_its_parameters(clip):
    for given in (nn.Linear(2, 3), nn.Linear(2, 3).parameters):
        with pytest.raises(TypeError, match=r"likely fix: model\.parameters\(\)"):
            clip(given, 1.0)


@pytest.mark.parametrize(
    ("layer", "shapes", "fix"),
    [
        (nn.LayerNorm(4), [(2, 5)], "LayerNorm(5), the last axes' sizes"),
        (nn.LayerNorm((3, 4)), [(2, 3, 5)], "LayerNorm((3, 5)), the last axes' sizes"),
        (nn.GroupNorm(2, 4), [(2, 6, 3)], "GroupNorm(num_channels=6, ...): axis 1"),
        (nn.PReLU(3), [(2, 4)], "PReLU(num_parameters=4, ...): axis 1"),
        (
            nn.MultiheadAttention(4, 2),
            [(2, 1, 6)] * 3,
            "MultiheadAttention(embed_dim=6",
        ),
        (nn.Bilinear(2, 3, 4), [(1, 2), (1, 4)], "Bilinear(in2_features=4, ...)"),
        (nn.Bilinear(2, 3, 4), [(1, 5), (1, 3)], "Bilinear(in1_features=5, ...)"),
    ],
)
def test_sizes_of_layers(layer, shapes, fix):
    with pytest.raises(ShapeError, match=re.escape(f"likely fix: {fix}")) as error:
        layer(*[ad.ones(shape) for shape in shapes])
    assert str(error.value).count("likely fix") == 1


def test_an_output_for_the_only_class():
    fix = "likely fix: .*binary_cross_entropy_with_logits for the only one"
    with pytest.raises(IndexError, match=fix):
        F.cross_entropy(ad.ones(2, 1), ad.tensor([0, 1]))


@pytest.mark.parametrize(
    ("values", "fix"),
    [
        (np.ones(2, "f2"), "x.astype('float32')"),
        (np.ones(2, "u2"), "x.astype('int32')"),
        (np.ones(2, "u4"), "x.astype('int64')"),
        (np.ones(2, "c8"), "ad.complex(ad.tensor(x.real), ad.tensor(x.imag))"),
        (np.array(["cat", "dog"]), "np.unique(x, return_inverse=True)[1]"),
        (np.array(["2020"], "M8[Y]"), "x.astype('int64')"),
        (np.array([1, 2.5], object), "x.astype('float32')"),
    ],
)
def test_element_types_that_are_not_here(values, fix):
    with pytest.raises(DTypeError, match=re.escape(fix)):
        ad.from_numpy(values)
    with pytest.raises(DTypeError, match=re.escape(fix)):
        Trainer(nn.Linear(1, 1), "mean_squared_error", "sgd").fit((values, values))


@pytest.mark.parametrize("kind", ["binary_cross_entropy_with_logits", nn.BCELoss()])
@pytest.mark.parametrize(
    ("labels", "fix"),
    [([-1, 1, 1, -1], "(target > 0)"), ([1, 2, 2, 1], "(target == target.max())")],
)
def test_binary_labels_that_are_not_0_and_1(kind, labels, fix):
    last = nn.Identity() if isinstance(kind, str) else nn.Sigmoid()
    trainer = Trainer(nn.Sequential(nn.Linear(2, 1), last), kind, "sgd")
    with pytest.raises(ValueError, match=re.escape(f"likely fix: {fix}.float()")):
        trainer.fit((ad.ones(4, 2), ad.tensor(labels)), progress=False)
    trainer.fit((ad.ones(4, 2), ad.tensor([0.0, 1, 0.3, 1])), progress=False)


def test_a_tuple_in_the_place_of_arrays():
    with pytest.raises(TypeError, match=r"likely fix: \(\*data\)"):
        ad.data.train_validation_test_split((ad.ones(9, 2), ad.ones(9)))


def test_counts_of_negative_numbers():
    with pytest.raises(IndexError, match="got index -3 at position 1; likely"):
        ad.bincount(ad.tensor([2, -3, 1]))


def test_more_combinations_than_memory_holds():
    with pytest.raises((MemoryError, ShapeError)):
        ad.combinations(ad.arange(100_000), 10)
    with pytest.raises((MemoryError, ShapeError)):
        ad.combinations(ad.arange(1000), 10, with_replacement=True)
    with pytest.raises(
        ValueError, match="combinations: r must not be negative, got -1"
    ):
        ad.combinations(ad.arange(3), -1)
    assert ad.combinations(ad.arange(3), 4).shape == (0, 4)
    assert ad.combinations(ad.arange(0), 2, True).shape == (0, 2)
    assert ad.combinations(ad.arange(2), 2, True).tolist() == [[0, 0], [0, 1], [1, 1]]
