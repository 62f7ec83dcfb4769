"""What is done where no gradient is recorded: fused layers, weights kept in packed form."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import pyautodl as ad
from pyautodl import nn
from pyautodl.backends import native
from pyautodl.functional.networks import conv as functional_conv
from pyautodl.functional.networks.conv import conv_epilogue
from pyautodl.ops.conv import LINEAR


def trained_norm(layer: nn.Module) -> nn.Module:
    """A batch norm whose statistics and parameters are not the initial ones."""
    rng = np.random.default_rng(3)
    size = layer.num_features
    with ad.no_grad():
        layer.weight.copy_(ad.tensor(rng.standard_normal(size)))
        layer.bias.copy_(ad.tensor(rng.standard_normal(size)))
    layer.running_mean.copy_(ad.tensor(rng.standard_normal(size)))
    layer.running_var.copy_(ad.tensor(rng.random(size) + 0.5))
    return layer


FUSED = [
    (nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU()), (2, 3, 9, 7)),
    (
        nn.Sequential(
            nn.Conv2d(4, 6, 3, 2, bias=False),
            trained_norm(nn.BatchNorm2d(6)),
            nn.ReLU6(),
        ),
        (2, 4, 9, 7),
    ),
    (nn.Sequential(nn.Conv1d(4, 6, 5), trained_norm(nn.BatchNorm1d(6))), (2, 4, 9)),
    (
        nn.Sequential(
            nn.Conv3d(2, 6, 2), trained_norm(nn.BatchNorm3d(6)), nn.LeakyReLU(0.2)
        ),
        (2, 2, 4, 3, 3),
    ),
    (
        nn.Sequential(
            nn.Conv2d(8, 8, 3, groups=8), nn.LeakyReLU(), nn.Conv2d(8, 40, 1)
        ),
        (2, 8, 9, 7),
    ),
    (
        nn.Sequential(
            nn.Conv2d(32, 48, 3),
            trained_norm(nn.BatchNorm2d(48)),
            nn.ReLU(inplace=True),
        ),
        (2, 32, 19, 17),
    ),
]


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize(("model", "shape"), FUSED)
def test_fused_layers_compute_what_they_do_alone(model, shape):
    model.eval()
    x = ad.tensor(np.random.default_rng(4).standard_normal(shape), dtype=ad.float32)
    plain = model(x.requires_grad_())  # recorded: layer by layer
    with ad.no_grad():
        first = model(x)
        again = model(x)  # the weights are in their packed form now
    np.testing.assert_allclose(
        first.numpy(), plain.detach().numpy(), rtol=1e-4, atol=1e-5
    )
    assert first.numpy().tobytes() == again.numpy().tobytes()


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("size", [(224, 224), (5, 300), (3, 1)])
def test_an_image_of_few_channels_is_read_in_either_layout(size):
    rng = np.random.default_rng(5)
    x = ad.tensor(rng.standard_normal((2, 3, *size)), dtype=ad.float32)
    conv = nn.Conv2d(3, 32, 3, 2, padding=1)
    with ad.no_grad():
        planes = [conv(x) for _ in range(3)]
        pixels = conv(x.contiguous(memory_format=ad.channels_last))
    assert len({y.numpy().tobytes() for y in planes}) == 1
    np.testing.assert_allclose(planes[0].numpy(), pixels.numpy(), rtol=1e-4, atol=1e-5)


@pytest.mark.usefixtures("compiled")
def test_hooks_and_training_keep_layers_apart():
    conv, norm, relu = nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.ReLU()
    model = nn.Sequential(conv, norm, relu)
    x = ad.randn(4, 2, 6, 6)
    seen = []
    handle = conv.register_forward_hook(lambda module, args, y: seen.append(y.clone()))
    with ad.no_grad():
        model(x)  # training: the statistics of the batch
        assert norm.num_batches_tracked.item() == 1
        model.eval()
        y = model(x)
        expected = relu(norm(seen[-1]))
        assert len(seen) == 2
        handle.remove()
        np.testing.assert_allclose(model(x).numpy(), y.numpy(), rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(y.numpy(), expected.numpy(), rtol=1e-5, atol=1e-6)


@pytest.mark.usefixtures("compiled")
def test_errors_name_the_fused_layer():
    model = nn.Sequential(nn.Conv2d(2, 3, 3), nn.ReLU(), nn.Conv2d(3, 3, 4)).eval()
    with ad.no_grad():
        for _ in range(3):  # the last ones by a chain that is warm
            with pytest.raises(ad.ShapeError, match="but x has 5") as caught:
                model(ad.ones(1, 5, 6, 6))
            assert "layer `0` Conv2d(2, 3" in str(caught.value)
            assert "likely fix: Conv2d(in_channels=5" in str(caught.value)
            with pytest.raises(ad.ShapeError, match="dilated kernel") as caught:
                model(ad.ones(1, 2, 5, 5))
            assert "layer `2` Conv2d(3, 3" in str(caught.value)
            model(ad.ones(1, 2, 6, 6))


def changed_by_copy(conv):
    conv.weight.copy_(conv.weight * 2)


def changed_by_state(conv):
    conv.load_state_dict({k: v * 2 for k, v in conv.state_dict().items()})


def changed_by_step(conv):
    conv.weight.grad = -conv.weight
    conv.bias.grad = -conv.bias
    ad.optim.SGD(conv.parameters(), lr=1.0).step()


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("algorithm", ["im2col", "winograd"])
@pytest.mark.parametrize("change", [changed_by_copy, changed_by_state, changed_by_step])
def test_a_changed_weight_is_packed_anew(change, algorithm):
    conv = nn.Conv2d(5, 7, 3)
    x = ad.randn(2, 5, 8, 8)
    with ad.no_grad(), ad.use_conv_algorithm(algorithm):
        before = [conv(x) for _ in range(3)][-1]
        assert conv.weight._array.storage.packed is not None
        change(conv)
        bias = conv.bias.reshape(1, -1, 1, 1)
        after = [conv(x) for _ in range(3)]
    expected = before * 2
    if change is changed_by_copy:
        expected = expected - bias
    for y in after:
        np.testing.assert_allclose(y.numpy(), expected.numpy(), rtol=1e-4, atol=1e-5)


@pytest.mark.usefixtures("compiled")
def test_weights_that_others_may_change_are_not_kept():
    memory = np.ones((2, 3, 3, 3), np.float32)
    weight, x = ad.from_numpy(memory), ad.ones(1, 3, 5, 5)
    for value in (1, 2, 3):
        memory[...] = value
        assert nn.functional.conv2d(x, weight)[0, 0, 0, 0].item() == 27 * value
    with ad.no_grad():  # where weights are kept
        for value in (1, 2, 3):
            memory[...] = value
            assert nn.functional.conv2d(x, weight)[0, 0, 0, 0].item() == 27 * value


@pytest.mark.usefixtures("compiled")
def test_weights_written_through_a_view_are_packed_anew():
    conv = nn.Conv2d(3, 2, 3, bias=False)
    x = ad.ones(1, 3, 5, 5)
    with ad.no_grad():
        conv.weight.fill_(1.0)
        assert [conv(x)[0, 0, 0, 0].item() for _ in range(3)] == [27.0] * 3
        view = conv.weight.detach().numpy()
        view[...] = 2
        del view  # nobody sees any more that the memory was shared
        assert [conv(x)[0, 0, 0, 0].item() for _ in range(3)] == [54.0] * 3


@pytest.mark.usefixtures("compiled")
def test_packed_weights_are_freed_with_the_weight():
    conv = nn.Conv2d(64, 64, 3)
    x = ad.randn(1, 64, 16, 16)
    with ad.no_grad():
        conv(x), conv(x)
        del x
        before = ad.memory_stats()["allocated_bytes"]
        del conv
    freed = before - ad.memory_stats()["allocated_bytes"]
    assert freed >= 4 * 64 * 64 * (9 + 16)


def forms_of(weight: ad.Tensor) -> set[str]:
    """The kernels that made what is kept beside a weight."""
    packed = weight._array.storage.packed
    kept = {} if packed is None else packed[1]
    return {key[0] for key, form in kept.items() if form is not None}


@pytest.mark.usefixtures("compiled")
def test_a_form_goes_back_when_others_are_read_instead():
    conv = nn.Conv2d(64, 64, 3, padding=1, bias=False)
    large, small = ad.randn(1, 64, 32, 32), ad.randn(1, 64, 9, 9)
    with ad.no_grad():
        expected = [conv(x).numpy() for x in (large, small)]

        def read(image, algorithm, times):
            with ad.use_conv_algorithm(algorithm):
                for _ in range(times):
                    y = conv(image)
            return y

        read(large, "winograd", 2)
        for _ in range(200):  # by turns: both stay
            read(small, "im2col", 1)
            read(large, "winograd", 1)
        both = forms_of(conv.weight)
        read(small, "im2col", 150)
        one = forms_of(conv.weight)
        again = [read(large, "winograd", 1), read(small, "im2col", 1)]
    assert both == {"winograd_weight", "conv_weight"}
    assert one == {"conv_weight"}
    for y, before in zip(again, expected, strict=True):
        np.testing.assert_allclose(y.numpy(), before, rtol=1e-3, atol=1e-4)


@pytest.mark.usefixtures("compiled")
def test_a_weight_that_meets_few_pixels_is_read_as_it_lies():
    model = nn.Sequential(
        nn.Conv2d(64, 72, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(72, 64, 3, padding=1),
    )
    few, many = ad.randn(1, 64, 7, 7), ad.randn(4, 64, 7, 7)
    with ad.no_grad(), ad.use_conv_algorithm("precise"):
        first = model(few).numpy().tobytes()
        for _ in range(3):
            assert model(few).numpy().tobytes() == first
        assert not forms_of(model[0].weight)
        for _ in range(3):
            model(many)
        assert forms_of(model[0].weight) == {"conv_weight"}
        # neither that form nor the others' turn changes a bit
        assert model(few).numpy().tobytes() == first
        for _ in range(150):
            model(few)
        assert not forms_of(model[0].weight)


@pytest.mark.usefixtures("compiled")
def test_a_form_that_saves_little_for_its_size_is_not_kept():
    conv = nn.Conv2d(256, 256, 3, padding=1, bias=False)
    with ad.no_grad():
        large, small = ad.randn(1, 256, 100, 100), ad.randn(1, 256, 14, 14)
        without = [conv(large) for _ in range(3)]
        assert not forms_of(conv.weight)
        for _ in range(2):
            conv(small)
        assert forms_of(conv.weight) == {"winograd_weight"}
        # once it is there it is read, which changes no bit
        assert without[0].numpy().tobytes() == conv(large).numpy().tobytes()


# ---- the chain that Sequential keeps ----


def small_network() -> nn.Sequential:
    ad.manual_seed(6)
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, 2, padding=1),
        nn.ReLU(),
        nn.Conv2d(16, 16, 3, padding=1, groups=16, bias=False),
        trained_norm(nn.BatchNorm2d(16)),
        nn.LeakyReLU(0.2),
        nn.Conv2d(16, 32, 1),
        nn.Flatten(),
    ).eval()


def one_by_one(model, x):
    for module in model:
        x = module(x)
    return x


def replace_weight(model, x):
    model[0].weight = nn.Parameter(ad.randn(16, 3, 3, 3))


def change_weight_in_place(model, x):
    model[5].weight.mul_(2.0)


def load_other_weights(model, x):
    model.load_state_dict({k: v * 2 for k, v in model.state_dict().items()})


def assign_other_weights(model, x):
    state = {k: v * 2 for k, v in model.state_dict().items()}
    model.load_state_dict(state, assign=True)


def take_a_step(model, x):
    model.train()
    with ad.enable_grad():
        model(x).sum().backward()
    ad.optim.SGD(model.parameters(), lr=0.1).step()
    model.eval()


def write_through_numpy(model, x):
    model[5].weight.detach().numpy()[...] += 1.0


def remove_bias(model, x):
    model[0].bias = None


def change_stride(model, x):
    model[0].stride = (1, 1)


def change_slope(model, x):
    model[4].negative_slope = 0.5


def change_epsilon(model, x):
    model[3].eps = 0.5


def replace_module(model, x):
    model[1] = nn.Tanh()


def append_module(model, x):
    model.append(nn.ReLU())


def add_a_hook(model, x):
    model[1].register_forward_hook(lambda module, args, y: y * 3)


CHANGES = [
    replace_weight,
    change_weight_in_place,
    load_other_weights,
    assign_other_weights,
    take_a_step,
    write_through_numpy,
    remove_bias,
    change_stride,
    change_slope,
    change_epsilon,
    replace_module,
    append_module,
    add_a_hook,
]


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_takes_effect_in_a_warm_chain(change):
    model, x = small_network(), ad.randn(2, 3, 9, 11)
    with ad.no_grad():
        before = [model(x) for _ in range(4)][-1].numpy().copy()
        change(model, x)
        after = [model(x).numpy().copy() for _ in range(4)]
        expected = one_by_one(model, x).numpy()
    assert before.shape != expected.shape or not np.allclose(before, expected)
    for y in after:
        np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-5)


def test_a_chain_follows_hooks_modes_and_types():
    model, x = small_network(), ad.randn(2, 3, 9, 11)
    seen = []
    with ad.no_grad():
        y = [model(x) for _ in range(4)][-1]
        handle = model[2].register_forward_hook(lambda *a: seen.append(a[2].shape))
        model(x)
        handle.remove()
        assert seen == [(2, 16, 5, 6)]
        assert model(x).numpy().tobytes() == y.numpy().tobytes()
        model.train()
        count = model[3].num_batches_tracked.item()
        model(x)
        assert model[3].num_batches_tracked.item() == count + 1
        model.eval()
        changed = [model(x) for _ in range(3)][-1]
        np.testing.assert_allclose(changed, one_by_one(model, x), rtol=1e-4, atol=1e-5)
        double = model.double()(x.double())
        assert double.dtype is ad.float64
        np.testing.assert_allclose(double, changed, rtol=1e-4, atol=1e-5)
        model.float()
        assert model(x).dtype is ad.float32


def test_a_chain_takes_images_of_other_shapes_and_layouts():
    model = small_network()
    images = [
        ad.randn(2, 3, 9, 11),
        ad.randn(1, 3, 20, 8),
        ad.randn(2, 3, 9, 11).contiguous(memory_format=ad.channels_last),
        ad.randn(2, 3, 11, 9).transpose(2, 3),
    ]
    with ad.no_grad():
        for _ in range(4):
            for x in images:
                np.testing.assert_allclose(
                    model(x).flatten(),
                    one_by_one(model, x).flatten(),
                    rtol=1e-4,
                    atol=1e-5,
                )
        with pytest.raises(ad.ShapeError, match="but x has 5"):
            model(ad.randn(1, 5, 9, 11))
        with pytest.raises(ad.ShapeError, match="expected an input of 4 axes"):
            model(ad.randn(3, 9, 11))


@pytest.mark.usefixtures("compiled")
def test_a_warm_chain_has_the_bits_of_its_layers_and_is_observed():
    model, x = small_network(), ad.randn(2, 3, 19, 21)
    with ad.no_grad():
        first = model(x).numpy().tobytes()
        assert all(model(x).numpy().tobytes() == first for _ in range(4))
        for threads in (1, 2, 3):
            with native.exact_threads(threads, uneven=threads > 2):
                assert model(x).numpy().tobytes() == first
        with ad.profile() as profile:
            model(x)
        assert sum(each.name == "conv_epilogue" for each in profile.events) == 3
        with ad.use_backend("reference"):
            reference = model(x)
        np.testing.assert_allclose(reference, model(x), rtol=1e-4, atol=1e-5)


def test_a_warm_chain_is_copied_and_pickled_without_it():
    model, x = small_network(), ad.randn(2, 3, 9, 11)
    with ad.no_grad():
        y = [model(x) for _ in range(4)][-1]
        for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
            assert other(x).numpy().tobytes() == y.numpy().tobytes()
            other[5].weight.zero_()
            other[5].bias.zero_()
            assert not other(x).numpy().any()
        assert model(x).numpy().tobytes() == y.numpy().tobytes()


class Named(nn.Module):
    """Says itself what is pickled, and has what it calls its chain."""

    def __init__(self):
        super().__init__()
        self._chain = [1, 2]
        self.conv, self.relu = nn.Conv2d(3, 4, 3), nn.ReLU()

    def forward(self, x):
        return nn.run_in_sequence(self, (self.conv, self.relu), x)

    def __getstate__(self):
        return dict(self.__dict__)


def test_a_module_may_have_a_chain_and_a_state_of_its_own():
    model, x = Named(), ad.randn(2, 3, 5, 5)
    with ad.no_grad():
        y = [model(x) for _ in range(4)][-1]
        for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
            assert other._chain == [1, 2]
            assert other(x).numpy().tobytes() == y.numpy().tobytes()


# ---- residual blocks ----


class Joined(nn.Module):
    """A block whose two ways of calling its layers can be compared."""

    def __init__(self, layers, shortcut=None):
        super().__init__()
        self.layers, self.shortcut = nn.ModuleList(layers), shortcut

    def residual(self, x):
        return x if self.shortcut is None else self.shortcut(x)

    def forward(self, x):
        return nn.run_in_sequence(self, list(self.layers), x, self.residual(x))

    def one_by_one(self, x):
        y = one_by_one(self.layers[:-1], x)
        return self.layers[-1](y + self.residual(x))


def join(*layers, shortcut=None):
    ad.manual_seed(8)
    return Joined(layers, shortcut).eval()


def conv(inside, out, size, **more):
    return nn.Conv2d(inside, out, size, padding=size // 2, **more)


JOINED = [
    join(conv(16, 16, 3, bias=False), trained_norm(nn.BatchNorm2d(16)), nn.ReLU()),
    join(
        *(conv(16, 8, 1), nn.ReLU(), conv(8, 32, 3, stride=2), nn.LeakyReLU(0.2)),
        shortcut=nn.Sequential(conv(16, 32, 1, stride=2), nn.BatchNorm2d(32)),
    ),
    join(conv(16, 16, 3, groups=16), trained_norm(nn.BatchNorm2d(16)), nn.ReLU6()),
    # what the last kernel can't take along
    join(conv(16, 16, 3), nn.Tanh()),
    join(conv(16, 16, 3), nn.ReLU(), nn.ReLU()),
    join(conv(16, 16, 3), nn.MaxPool2d(3, 1, padding=1), nn.ReLU()),
    join(nn.Identity(), nn.ReLU()),
    join(nn.ReLU()),
    # a shortcut that is broadcast
    join(conv(16, 16, 3), nn.ReLU(), shortcut=nn.AdaptiveAvgPool2d(1)),
]
IMAGES = [
    ad.randn(2, 16, 6, 6),
    ad.randn(2, 16, 6, 6).contiguous(memory_format=ad.channels_last),
    ad.randn(1, 16, 9, 12),
]


@pytest.mark.parametrize("block", JOINED)
def test_a_shortcut_is_added_before_the_last_layer(block):
    with ad.no_grad():
        for x in IMAGES * 3:
            np.testing.assert_allclose(
                block(x), block.one_by_one(x), rtol=1e-4, atol=1e-5
            )
    x = IMAGES[0].clone().requires_grad_()
    y = IMAGES[0].clone().requires_grad_()
    block(x).square().sum().backward()
    block.one_by_one(y).square().sum().backward()
    np.testing.assert_allclose(x.grad, y.grad, rtol=1e-4, atol=1e-4)


@pytest.mark.usefixtures("compiled")
def test_a_residual_block_is_as_many_kernels_as_convolutions():
    block = ad.models.BasicBlock(16, 16).eval()
    x = ad.randn(1, 16, 8, 8).contiguous(memory_format=ad.channels_last)
    with ad.no_grad():
        first = block(x).numpy().tobytes()
        assert all(block(x).numpy().tobytes() == first for _ in range(3))
        with ad.profile() as profile:
            block(x)
    names = [each.name for each in profile.events]
    assert names.count("conv_epilogue") == 2
    assert not {"batch_norm", "relu", "add"} & set(names)


def test_a_joined_chain_follows_changes():
    block = join(conv(4, 4, 3), trained_norm(nn.BatchNorm2d(4)), nn.ReLU())
    x, seen = ad.randn(2, 4, 6, 6), []
    with ad.no_grad():
        y = [block(x) for _ in range(3)][-1]
        handle = block.layers[2].register_forward_hook(lambda *a: seen.append(a[2]))
        np.testing.assert_allclose(block(x), y, rtol=1e-5, atol=1e-6)
        handle.remove()
        assert len(seen) == 1
        block.layers[2] = nn.LeakyReLU(0.5)
        np.testing.assert_allclose(block(x), block.one_by_one(x), rtol=1e-4, atol=1e-5)
        block.layers[0].weight.mul_(2.0)
        np.testing.assert_allclose(block(x), block.one_by_one(x), rtol=1e-4, atol=1e-5)
        block.train()
        count = block.layers[1].num_batches_tracked.item()
        block(x)
        assert block.layers[1].num_batches_tracked.item() == count + 1
        other = pickle.loads(pickle.dumps(block.eval()))
        np.testing.assert_allclose(other(x), block(x), rtol=1e-5, atol=1e-6)


def test_errors_of_a_joined_chain_name_the_layer():
    block = join(conv(4, 4, 3), nn.ReLU())
    with ad.no_grad():
        for _ in range(2):
            with pytest.raises(ad.ShapeError, match="but x has 5") as caught:
                block(ad.ones(1, 5, 6, 6))
            assert "layer `layers.0` Conv2d(4, 4" in str(caught.value)
            block(ad.ones(1, 4, 6, 6))
        block.shortcut = nn.Conv2d(4, 3, 1)
        with pytest.raises(ad.ShapeError, match="broadcast"):
            block(ad.ones(1, 4, 6, 6))


@pytest.mark.parametrize("name", ["running_mean", "running_var", "weight", "bias"])
def test_a_view_that_numpy_has_had_may_have_changed_a_norm(name):
    ad.manual_seed(3)
    model = nn.Sequential(nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4), nn.ReLU()).eval()
    x = ad.randn(2, 4, 6, 6)
    with ad.no_grad():
        before = [model(x) for _ in range(3)][-1]
        getattr(model[1], name).detach().numpy()[...] += 1.5
        after = model(x)
        assert ad.allclose(after, one_by_one(model, x), rtol=1e-5, atol=1e-5)
    assert not ad.allclose(after, before, atol=1e-3)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("channels", [1, 4, 32])
def test_a_norm_of_other_channels_is_refused_in_its_name(bias, channels):
    conv = nn.Conv2d(16, 16, 3, bias=bias)
    model = nn.Sequential(conv, nn.BatchNorm2d(channels), nn.ReLU()).eval()
    x = ad.randn(1, 16, 9, 9).contiguous(memory_format="channels_last")
    with ad.no_grad():
        for _ in range(3):
            conv(x)
        for _ in range(3):
            with pytest.raises(ad.ShapeError, match=r"(?s)^batch_norm: .*layer `1`"):
                model(x)


@pytest.mark.skipif(not native.available, reason="prepared calls are the extension's")
def test_an_image_that_must_be_copied_is_so_in_a_prepared_call(monkeypatch):
    layer, x = nn.Conv2d(12, 9, 3, padding=1), ad.randn(2, 12, 10, 11)
    weight, bias = layer.weight, layer.bias
    with ad.no_grad():
        for _ in range(4):
            layer(x)
        want = ad.conv2d(
            x.contiguous(memory_format="channels_last"), weight, bias, 1, 1
        )
        with monkeypatch.context() as patch:
            patch.setattr(functional_conv, "apply", None)
            got = layer(x)
        assert ad.equal(got, want)
        x[0, 3, 4, 5] = 7.0
        weight.mul_(2)
        again = [layer(x) for _ in range(3)]
        want = ad.conv2d(
            x.contiguous(memory_format="channels_last"), weight, bias, 1, 1
        )
        assert all([ad.equal(each, want) for each in again])


@pytest.mark.skipif(not native.available, reason="prepared calls are the extension's")
@pytest.mark.parametrize("dilation", [1, 2])
def test_links_that_begin_with_a_copy(dilation):
    model = nn.Sequential(
        nn.Conv2d(20, 8, 3, dilation=dilation),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3),
        trained_norm(nn.BatchNorm2d(8)),
        nn.ReLU(),
    ).eval()
    x = ad.randn(2, 20, 13, 12)
    for _ in range(5):
        with ad.no_grad():
            got = model(x)
            x[0, 0, 0, 0] += 1.0
        want = one_by_one(model, x)
        with ad.no_grad():
            after = model(x)
    assert ad.allclose(after, want, rtol=1e-5, atol=1e-5)
    assert not ad.equal(got, after)


def test_a_prepared_call_refuses_a_scale_of_another_size():
    x = ad.randn(1, 16, 9, 9).contiguous(memory_format="channels_last")
    weight, scale = ad.randn(16, 16, 3, 3), ad.ones(4)
    with ad.no_grad():
        for _ in range(3):
            ad.conv2d(x, weight)
        for _ in range(2):
            with pytest.raises(ad.ShapeError, match=r"expected scale of shape \(16\)"):
                conv_epilogue(x, weight, scale, None, None, LINEAR, 1, 0, 1, 1)


def test_a_bias_that_is_no_tensor_is_named():
    with (
        ad.no_grad(),
        pytest.raises(TypeError, match=r"^conv2d: bias must be a tensor"),
    ):
        ad.conv2d(ad.ones(1, 1, 4, 4), ad.ones(1, 1, 3, 3), [1.0])


@pytest.mark.skipif(not native.available, reason="the pool is the extension's")
def test_layers_of_other_sizes_share_their_memory():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.pool = nn.Conv2d(4, 64, 1), nn.MaxPool2d(2)

        def forward(self, x):
            y = self.pool(self.conv(x))
            return sum([y * i for i in range(4)])

    model, x = Net().eval(), ad.ones(1, 4, 128, 128)
    ad.empty_cache()
    before = ad.memory_stats()["reserved_bytes"]
    with ad.no_grad():
        for _ in range(3):
            model(x)
        after = ad.memory_stats()
        y = model(x)
    # 4 MB of the convolution, in which most of what follows finds place, 1 MB an array: 8.5
    # MB, and 11.7 where each has a block of its own
    assert after["reserved_bytes"] - before < 10e6
    assert ad.memory_stats()["system_allocations"] == after["system_allocations"]
    with ad.no_grad():
        expected = 6 * model.pool(model.conv(x)).numpy()
    np.testing.assert_allclose(y.numpy(), expected, rtol=1e-5)


@pytest.mark.skipif(not native.available, reason="the pool is the extension's")
def test_blocks_are_cut_while_a_module_infers_and_no_longer():
    seen = []

    class Probe(nn.Module):
        def forward(self, x):
            seen.append(native.cut_blocks(0))
            native.cut_blocks(seen[-1])
            if x is None:
                raise ValueError("no input")
            return x

    model = nn.Sequential(Probe(), Probe())
    model(ad.ones(1))
    with ad.no_grad():
        model(ad.ones(1))
        with pytest.raises(ValueError, match="no input"):
            model(None)
    assert seen == [0, 0, 1, 1, 1]
    assert native.cut_blocks(0) == 0
