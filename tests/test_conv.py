"""Convolution where the records of the ops can't say it: the cases with numbers, layers,
layouts, memory."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

import pyautodl as ad
from pyautodl import nn
from pyautodl.backends import backend_kernels, native, use_backend
from pyautodl.errors import DTypeError, ShapeError
from pyautodl.testing import available_isas, use_isa

F = nn.functional

CONV = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
TRANSPOSE = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}
LAYERS = [nn.Conv1d, nn.Conv2d, nn.Conv3d]
TRANSPOSED = [nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d]


def numbers(*shape, seed=0, dtype=np.float64):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def plain_conv2d(x, w, stride, pads):
    """Loops over the padded image, nothing clever."""
    x = np.pad(x, ((0, 0), (0, 0), *pads))
    kh, kw = w.shape[2:]
    oh, ow = (
        (n - k) // s + 1 for n, k, s in zip(x.shape[2:], (kh, kw), stride, strict=True)
    )
    y = np.zeros((len(x), len(w), oh, ow))
    for i, j in itertools.product(range(oh), range(ow)):
        top, left = i * stride[0], j * stride[1]
        window = x[:, :, top : top + kh, left : left + kw]
        y[:, :, i, j] = np.tensordot(window, w, axes=([1, 2, 3], [1, 2, 3]))
    return y


# ---- windows that do not fit ----


def test_dilated_kernel_larger_than_the_padded_input():
    with pytest.raises(ShapeError, match=r"dilated kernel \(5,5\) is larger than the"):
        F.conv2d(ad.ones(1, 1, 1, 1), ad.ones(1, 1, 3, 3), None, 6, 1, 2)


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_kernel_that_just_fits(axes):
    x, w = ad.ones(1, 1, *(3,) * axes), ad.ones(1, 1, *(3,) * axes)
    y = CONV[axes](x, w, None, 6, 1, 2)
    assert y.shape == (1, 1, *(1,) * axes)
    assert y.item() == 1  # the middle alone lies in the image


# ---- 'same' ----

SAME = [
    # size, kernel, stride -> outputs, padding
    (224, 7, 2, 112, (2, 3)),
    (6, 3, 2, 3, (0, 1)),
    (5, 2, 1, 5, (0, 1)),
    (28, 1, 3, 10, (0, 0)),
    (7, 4, 2, 4, (1, 2)),
]


@pytest.mark.parametrize(("size", "kernel", "stride", "outputs", "pads"), SAME)
def test_same_padding_is_tensorflows(size, kernel, stride, outputs, pads):
    x, w = numbers(1, 1, size, size), numbers(1, 1, kernel, kernel, seed=1)
    layer = nn.Conv2d(1, 1, kernel, stride, "same", bias=False, dtype=ad.float64)
    with ad.no_grad():
        layer.weight.copy_(ad.tensor(w))
    y = layer(ad.tensor(x))
    assert y.shape == (1, 1, outputs, outputs)
    wanted = plain_conv2d(x, w, (stride, stride), (pads, pads))
    np.testing.assert_allclose(y.detach().numpy(), wanted, rtol=1e-12, atol=1e-12)


def test_same_padding_with_dilation():
    x, w = ad.tensor([[[1.0, 2.0, 3.0, 4.0, 5.0]]]), ad.tensor([[[1.0, 10.0]]])
    y = F.conv1d(x, w, padding="same", dilation=3)  # pads by (1, 2)
    assert y.tolist() == [[[30.0, 41.0, 52.0, 3.0, 4.0]]]


def test_same_padding_in_another_mode():
    layer = nn.Conv1d(1, 1, 3, 2, "same", bias=False, padding_mode="replicate")
    with ad.no_grad():
        layer.weight.fill_(1.0)
    y = layer(ad.arange(6.0).reshape(1, 1, 6))
    assert y.tolist() == [[[0 + 1 + 2, 2 + 3 + 4, 4 + 5 + 5]]]


def test_valid_and_unknown_padding():
    x, w = ad.ones(1, 1, 4, 4), ad.ones(1, 1, 3, 3)
    assert F.conv2d(x, w, padding="valid").shape == (1, 1, 2, 2)
    with pytest.raises(ValueError, match="conv2d: padding must be numbers, 'valid' or"):
        F.conv2d(x, w, padding="full")
    with pytest.raises(ValueError, match="Conv2d: padding must be numbers"):
        nn.Conv2d(1, 1, 3, padding="full")


# ---- output padding ----


@pytest.mark.parametrize(
    ("size", "extra", "outputs"), [(1, 1, 2), (13, 0, 25), (16, 1, 32)]
)
def test_output_padding(size, extra, outputs):
    x = ad.ones(1, 1, size, dtype=ad.float64)
    w = ad.tensor([[[1.0, 10.0, 100.0]]], dtype=ad.float64)
    y = F.conv_transpose1d(x, w, stride=2, padding=1, output_padding=extra)
    assert y.shape == (1, 1, outputs)
    if extra:  # the added position is computed: the last filter's last tap
        assert y[0, 0, -1].item() == 100


def test_output_size_chooses_the_output_padding():
    down = nn.Conv2d(1, 2, 3, stride=2, padding=1)
    up = nn.ConvTranspose2d(2, 1, 3, stride=2, padding=1)
    for size in (24, 25):
        x = ad.ones(3, 1, size, size)
        assert up(down(x), output_size=x.shape).shape == x.shape
        assert up(down(x), output_size=(size, size)).shape == x.shape
    assert up(ad.ones(2, 4, 4)).shape == (1, 7, 7)  # without: the smallest


def test_an_output_size_out_of_reach_is_refused():
    up = nn.ConvTranspose2d(2, 1, 3, stride=2, padding=1)
    with pytest.raises(
        ShapeError, match=r"from \(25,25\) to \(26,26\) for an input of .*got \(27,25\)"
    ):
        up(ad.ones(1, 2, 13, 13), output_size=(27, 25))
    with pytest.raises(ShapeError, match="must have 2 numbers"):
        up(ad.ones(1, 2, 13, 13), output_size=(25,))


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_output_padding_must_be_smaller_than_the_stride(axes):
    x, w = ad.ones(1, 1, *(3,) * axes), ad.ones(1, 1, *(2,) * axes)
    with pytest.raises(ValueError, match="output_padding must be smaller than stride"):
        TRANSPOSE[axes](x, w, stride=2, output_padding=2)
    # as in PyTorch a dilation allows it too
    assert TRANSPOSE[axes](x, w, output_padding=1, dilation=2).shape[-1] == 6


# ---- static shapes are those of run time ----


def configurations(count, seed):
    """Random legal numbers for one axis each, for layers of 1 to 3 axes."""
    rng = np.random.default_rng(seed)
    while count:
        axes = int(rng.integers(1, 4))
        kernel, stride, dilation = rng.integers(1, 4, (3, axes))
        padding = rng.integers(0, 3, axes)
        size = rng.integers(1, 9, axes)
        groups = int(rng.integers(1, 3))
        yield (
            axes,
            *(
                tuple(map(int, each))
                for each in (size, kernel, stride, padding, dilation)
            ),
            groups,
        )
        count -= 1


def test_conv_shapes_are_those_of_the_formula():
    checked = 0
    for axes, size, kernel, stride, padding, dilation, groups in configurations(150, 1):
        wanted = [
            math.floor((n + 2 * p - d * (k - 1) - 1) / s) + 1
            for n, k, s, p, d in zip(
                size, kernel, stride, padding, dilation, strict=True
            )
        ]
        x, w = ad.ones(2, 2, *size), ad.ones(4, 2 // groups, *kernel)
        if min(wanted) < 1:
            with pytest.raises(ShapeError, match="larger than the padded input"):
                CONV[axes](x, w, None, stride, padding, dilation, groups)
            continue
        y = CONV[axes](x, w, None, stride, padding, dilation, groups)
        assert y.shape == (2, 4, *wanted)
        assert y.numpy().shape == y.shape
        same = CONV[axes](x, w, None, stride, "same", dilation, groups)
        assert same.shape[2:] == tuple(-(-n // s) for n, s in zip(size, stride))
        checked += 1
    assert checked > 50


def test_transposed_shapes_are_those_of_the_formula():
    checked = 0
    for axes, size, kernel, stride, padding, dilation, groups in configurations(150, 2):
        extra = tuple(min(1, max(s, d) - 1) for s, d in zip(stride, dilation))
        wanted = [
            (n - 1) * s - 2 * p + d * (k - 1) + e + 1
            for n, k, s, p, d, e in zip(
                size, kernel, stride, padding, dilation, extra, strict=True
            )
        ]
        x, w = ad.ones(2, 4, *size), ad.ones(4, 2 // groups, *kernel)
        arguments = (x, w, None, stride, padding, extra, groups, dilation)
        if min(wanted) < 0:
            with pytest.raises(ShapeError, match="leaves an output of size"):
                TRANSPOSE[axes](*arguments)
            continue
        y = TRANSPOSE[axes](*arguments)
        assert y.shape == (2, 2, *wanted)
        assert y.numpy().shape == y.shape
        checked += 1
    assert checked > 50


def test_transpose_is_the_transpose():
    """<conv(x), y> = <x, conv_transpose(y)> for random numbers."""
    for axes, size, kernel, stride, padding, dilation, groups in configurations(60, 3):
        x, w = numbers(2, 4, *size), numbers(6, 4 // groups, *kernel, seed=1)
        x, w = ad.tensor(x), ad.tensor(w)
        try:
            y = CONV[axes](x, w, None, stride, padding, dilation, groups)
        except ShapeError:
            continue
        g = ad.tensor(numbers(*y.shape, seed=2))
        least = [
            (n - 1) * s - 2 * p + d * (k - 1) + 1
            for n, k, s, p, d in zip(
                y.shape[2:], kernel, stride, padding, dilation, strict=True
            )
        ]
        extra = tuple(n - m for n, m in zip(size, least, strict=True))
        back = TRANSPOSE[axes](g, w, None, stride, padding, extra, groups, dilation)
        assert back.shape == x.shape
        assert (y * g).sum().item() == pytest.approx((x * back).sum().item(), abs=1e-9)


# ---- any strides ----


def test_weight_that_is_a_strided_view():
    whole = ad.tensor(numbers(4, 3, 5, 5), requires_grad=True)
    x = ad.tensor(numbers(2, 3, 7, 7, seed=1))
    y = F.conv2d(x, whole[:, :, 0::2, 0::2], padding=1)
    copied = whole.detach()[:, :, 0::2, 0::2].clone()
    assert np.array_equal(y.detach().numpy(), F.conv2d(x, copied, padding=1).numpy())
    y.sum().backward()
    taps = np.zeros((5, 5), bool)
    taps[0::2, 0::2] = True
    assert (whole.grad.numpy()[:, :, taps] != 0).all()
    assert (whole.grad.numpy()[:, :, ~taps] == 0).all()


def odd_arrays():
    x = numbers(2, 3, 6, 7)
    swapped = x.astype(x.dtype.newbyteorder())
    unaligned = np.frombuffer(b"\0" + x.tobytes(), np.uint8)[1:].view(x.dtype)
    locked = x.copy()
    locked.flags.writeable = False
    return {
        "flipped": (x[:, :, ::-1, ::-1].copy())[:, :, ::-1, ::-1],
        "batch reversed": (x[::-1].copy())[::-1],
        "Fortran": np.asfortranarray(x),
        "channels last": np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(
            0, 3, 1, 2
        ),
        "every second": np.repeat(x, 2, axis=3)[..., ::2],
        "read-only": locked,
        "byte-swapped": swapped,
        "unaligned": unaligned.reshape(x.shape),
    }


@pytest.mark.parametrize("name", odd_arrays())
def test_arrays_of_any_make(name):
    x, w = numbers(2, 3, 6, 7), ad.tensor(numbers(4, 3, 3, 3, seed=1))
    wanted = F.conv2d(ad.tensor(x), w, stride=2, padding=1).numpy()
    odd = odd_arrays()[name]
    for each in (ad.tensor(odd), ad.from_numpy(odd)):
        assert np.array_equal(F.conv2d(each, w, stride=2, padding=1).numpy(), wanted)


# ---- absurd numbers ----


@pytest.mark.parametrize(
    "arguments",
    [
        {"dilation": 1_800_000_000},
        {"dilation": 2**62},
        {"stride": 2**40},
        {"padding": 2**62},
        {"padding": 2**31},
        {"stride": 0},
        {"dilation": 0},
        {"padding": -1},
        {"groups": 0},
    ],
)
def test_absurd_numbers_are_value_errors(arguments):
    x, w = ad.ones(1, 1, 4, 4), ad.ones(1, 1, 2, 2)
    with pytest.raises(ValueError, match="conv2d: "):
        F.conv2d(x, w, **arguments)


def test_huge_kernels_and_outputs_are_value_errors():
    w = ad.ones(1, 1, 1, 1, 1).expand(1, 1, 2**29, 2**29, 2**29)
    with pytest.raises(ValueError, match="dilated kernel"):
        F.conv3d(ad.ones(1, 1, 4, 4, 4), w, dilation=1_800_000_000)
    with pytest.raises(ValueError, match="can't be addressed"):
        F.conv2d(ad.ones(1, 1, 4, 4), ad.ones(1, 1, 2, 2), padding=2**31 - 1)
    with pytest.raises(ValueError, match="can't be addressed"):
        F.conv_transpose2d(ad.ones(1, 1, 4, 4), ad.ones(1, 1, 2, 2), stride=2**31 - 1)
    # a large stride alone is no error
    y = F.conv2d(ad.ones(1, 1, 4, 4), ad.ones(1, 1, 2, 2), stride=2**31 - 1)
    assert y.tolist() == [[[[4.0]]]]


# ---- scratch does not grow ----


def peak(function):
    """Bytes that a call needs at most, beyond what is there and its result."""
    ad.reset_peak_memory()
    before = ad.memory_stats()["allocated_bytes"]
    y = function()
    return ad.memory_stats()["peak_allocated_bytes"] - before - y.nbytes


@pytest.mark.usefixtures("compiled")
def test_scratch_does_not_grow_with_batch_or_image():
    w = ad.ones(8, 4, 3, 3)
    small, large = ad.ones(1, 4, 8, 8), ad.ones(16, 4, 96, 96)
    ad.empty_cache()  # blocks that other tests left are larger than what is asked for
    F.conv2d(large, w)  # the team's scratch is kept from call to call
    for x in (small, large):
        # the copy to channels-last, in whole blocks; columns would be nine of it
        assert peak(lambda x=x: F.conv2d(x, w)) <= 1.25 * x.nbytes + 4096


@pytest.mark.usefixtures("compiled")
def test_large_3d_kernel_needs_no_column_matrix():
    x = ad.ones(1, 1, 27, 27, 27, requires_grad=True)
    w = ad.ones(1, 1, 25, 25, 25, requires_grad=True)
    before = ad.memory_stats()["reserved_bytes"]
    y = F.conv3d(x, w)
    y.sum().backward()
    # a padded vector for each of 15,625 taps; the column matrix would have 27 times that
    assert ad.memory_stats()["reserved_bytes"] - before < 12 << 20
    assert (y.detach().numpy() == 25**3).all()
    assert (w.grad.numpy() == 27).all()
    assert x.grad.numpy()[0, 0, 13, 13, 13] == 27


def test_memory_error_names_layer_and_bytes():
    layer = nn.Conv2d(1, 1, 1, padding=2**30)
    with pytest.raises((MemoryError, ValueError)) as caught:
        layer(ad.ones(1, 1, 1, 1))
    text = str(caught.value) + "".join(getattr(caught.value, "__notes__", ()))
    assert "Conv2d(1, 1" in text


# ---- errors before compute ----


def test_channels_do_not_fit():
    with pytest.raises(ShapeError) as caught:
        F.conv2d(ad.ones(2, 4, 8, 8), ad.ones(6, 3, 3, 3))
    assert str(caught.value) == (
        "conv2d: weight has 3 input channels but x has 4 (x (2,4,8,8), weight (6,3,3,3))"
    )


def test_types_do_not_fit():
    with pytest.raises(DTypeError, match=r"x float32, weight float64; cast"):
        F.conv2d(ad.ones(1, 1, 3, 3), ad.ones(1, 1, 3, 3, dtype=ad.float64))
    with pytest.raises(DTypeError, match=r"x is int64; cast it with \.float\(\)"):
        F.conv2d(ad.ones(1, 1, 3, 3, dtype=ad.int64), ad.ones(1, 1, 3, 3))


@pytest.mark.parametrize("function", [F.conv2d, F.conv_transpose2d, F.unfold])
def test_numbers_do_not_fit(function):
    other = ad.ones(1, 1, 2, 2) if function is not F.unfold else 2
    with pytest.raises(ShapeError, match="stride must be one number or 2"):
        function(ad.ones(1, 1, 4, 4), other, stride=(1, 1, 1))
    with pytest.raises(TypeError, match="stride must be integers"):
        function(ad.ones(1, 1, 4, 4), other, stride=1.5)


# ---- layers ----


@pytest.mark.parametrize("layer", [*LAYERS, *TRANSPOSED])
def test_layer_parameters_and_start(layer):
    axes = layer.axes
    made = layer(4, 6, 3, groups=2)
    rows = (4, 3) if made.transposed else (6, 2)
    assert list(made.state_dict()) == ["weight", "bias"]
    assert made.weight.shape == (*rows, *(3,) * axes)
    assert made.bias.shape == (6,)
    bound = 1 / math.sqrt(rows[1] * 3**axes)
    for each in (made.weight, made.bias):
        values = abs(each.detach().numpy())
        assert values.max() <= bound
        assert values.max() > bound / 3
    assert list(layer(4, 6, 3, bias=False).state_dict()) == ["weight"]


@pytest.mark.parametrize(("layer", "function"), list(zip(LAYERS, CONV.values())))
def test_layer_is_its_function(layer, function):
    made = layer(2, 4, 3, stride=2, padding=1, dilation=2, groups=2)
    x = ad.tensor(numbers(2, 2, *(7,) * layer.axes, dtype=np.float32))
    y = function(x, made.weight, made.bias, 2, 1, 2, 2)
    assert np.array_equal(made(x).detach().numpy(), y.detach().numpy())


@pytest.mark.parametrize("layer", [*LAYERS, *TRANSPOSED])
def test_unbatched_input(layer):
    made = layer(2, 4, 3, padding=1)
    x = ad.tensor(numbers(1, 2, *(5,) * layer.axes, dtype=np.float32))
    assert np.array_equal(made(x[0]).detach().numpy(), made(x)[0].detach().numpy())


def test_repr_is_pytorchs():
    assert repr(nn.Conv2d(3, 8, 3)) == "Conv2d(3, 8, kernel_size=(3, 3), stride=(1, 1))"
    made = nn.Conv2d(4, 8, (3, 5), 2, "same", 2, 2, bias=False, padding_mode="reflect")
    assert repr(made) == (
        "Conv2d(4, 8, kernel_size=(3, 5), stride=(2, 2), padding=same, dilation=(2, 2), "
        "groups=2, bias=False, padding_mode=reflect)"
    )
    assert repr(nn.ConvTranspose1d(3, 8, 3, 2, 1, 1)) == (
        "ConvTranspose1d(3, 8, kernel_size=(3,), stride=(2,), padding=(1,), "
        "output_padding=(1,))"
    )


@pytest.mark.parametrize("mode", ["zeros", "reflect", "replicate", "circular"])
def test_padding_modes(mode):
    made = nn.Conv1d(1, 1, 3, padding=1, bias=False, padding_mode=mode)
    with ad.no_grad():
        made.weight.fill_(1.0)
    x = np.array([0.0, 1.0, 2.0, 3.0])
    padded = {
        "zeros": np.pad(x, 1),
        "reflect": np.pad(x, 1, mode="reflect"),
        "replicate": np.pad(x, 1, mode="edge"),
        "circular": np.pad(x, 1, mode="wrap"),
    }[mode]
    wanted = np.convolve(padded, np.ones(3), "valid")
    y = made(ad.tensor(x[None, None].astype(np.float32)))
    assert y.tolist() == [[wanted.tolist()]]


def test_bad_layers():
    with pytest.raises(ShapeError, match="in_channels 3 can't be split into 2 groups"):
        nn.Conv2d(3, 4, 3, groups=2)
    with pytest.raises(ShapeError, match="out_channels 3 can't be split into 2 groups"):
        nn.Conv2d(4, 3, 3, groups=2)
    with pytest.raises(ValueError, match="groups must be positive"):
        nn.Conv2d(4, 3, 3, groups=0)
    with pytest.raises(ValueError, match="padding_mode must be one of"):
        nn.Conv2d(4, 3, 3, padding_mode="mirror")
    with pytest.raises(ValueError, match="padding_mode must be one of"):
        nn.ConvTranspose2d(4, 3, 3, padding_mode="reflect")


# ---- memory layout, bits ----


def test_output_is_channels_last_and_weight_gradient_is_not():
    layer = nn.Conv2d(3, 5, 3)
    y = layer(ad.ones(2, 3, 6, 6))
    assert y.stride() == (80, 1, 20, 5)
    y.sum().backward()
    assert layer.weight.grad.stride() == layer.weight.stride() == (27, 9, 3, 1)


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize(
    ("shape", "groups"),
    [
        ((9, 3, 13, 13), 1),
        ((33, 40, 7, 7), 1),
        ((2, 16, 30, 30), 1),
        ((3, 24, 13, 37), 6),
    ],
)
def test_bits_do_not_depend_on_threads(shape, groups):
    x = numbers(*shape, dtype=np.float32)
    w = numbers(24, shape[1] // groups, 3, 3, seed=1)
    results = []
    for threads in (1, 2, 5):
        with native.exact_threads(threads, uneven=threads > 2), use_backend("native"):
            a = ad.tensor(x, requires_grad=True)
            b = ad.tensor(w.astype(np.float32), requires_grad=True)
            y = F.conv2d(a, b, stride=2, padding=1, groups=groups)
            y.backward(ad.cos(y.detach()))
            results.append([t.numpy().tobytes() for t in (y.detach(), a.grad, b.grad)])
    assert results[0] == results[1] == results[2]


# ---- unfold, fold ----

# inputs, outputs, kernel, stride, groups
_ONE_VALUE = [
    (3, 32, 3, 1, 1),
    (1, 16, 3, 1, 1),
    (3, 48, 7, 2, 1),
    (48, 32, 1, 1, 1),
    (300, 32, 1, 1, 1),
    (64, 64, 1, 2, 1),
    (40, 20, 5, 1, 1),
    (24, 32, 3, 2, 2),
    (16, 16, 3, 1, 16),
]


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("isa", available_isas())
@pytest.mark.parametrize(
    ("inputs", "outputs", "kernel", "stride", "groups"), _ONE_VALUE
)
def test_equal_windows_give_equal_bits(inputs, outputs, kernel, stride, groups, isa):
    """Wherever in a tile a pixel falls, also the last ones of a line."""
    ad.manual_seed(0)
    numbers = {"stride": stride, "groups": groups}
    layer = nn.Conv2d(inputs, outputs, kernel, **numbers)
    norm = nn.BatchNorm2d(outputs)
    norm(ad.randn(8, outputs, 2, 2))
    fused = nn.Sequential(layer, norm, nn.ReLU()).eval()
    with use_isa(isa), ad.no_grad():
        for width in range(7, 23):
            x = ad.full((1, inputs, 8, width), 0.3)
            for model in (layer, fused):
                y = model(x)
                assert ad.equal(y, y[:, :, :1, :1].expand(*y.shape))


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("isa", available_isas())
@pytest.mark.parametrize("stride", [1, 2, (2, 1), (1, 2)])
def test_rows_of_a_depthwise_convolution_are_those_of_their_windows_alone(stride, isa):
    """However many rows a kernel takes together, each has the bits that it has alone."""
    down = stride if isinstance(stride, int) else stride[0]
    for height, channels in itertools.product(range(3, 14), (5, 16, 37)):
        image = numbers(2, channels, height, 9, seed=height, dtype=np.float32)
        x = ad.tensor(image).contiguous(memory_format=ad.channels_last)
        w, b = (
            ad.tensor(numbers(channels, 1, 3, 3, dtype=np.float32)),
            ad.ones(channels),
        )
        with use_isa(isa), ad.no_grad():
            y = F.conv2d(x, w, b, stride, (0, 1), groups=channels)
            for row in range(y.shape[2]):
                window = x[:, :, row * down : row * down + 3].contiguous()
                alone = F.conv2d(window, w, b, stride, (0, 1), groups=channels)
                assert y[:, :, row].equal(alone[:, :, 0])


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("isa", available_isas())
@pytest.mark.parametrize("width", [2, 4, 8])
@pytest.mark.parametrize(
    ("columns", "kernel", "stride", "dilation"),
    [(71, 3, 1, 1), (40, 5, 2, 3), (9, 1, 1, 1), (70, 30, 3, 2)],
)
def test_narrow_groups(columns, kernel, stride, dilation, width, isa):
    """Blocks of a row, vectors with a tail, windows too wide for one."""
    channels = 5 * width if width < 8 else 24
    x = numbers(2, channels, 3, columns, dtype=np.float32)
    w = numbers(channels, width, 2, kernel, seed=1, dtype=np.float32)
    padding = (1, min(7, dilation * kernel // 2))
    results = []
    for dtype in (np.float32, np.float64):
        with use_isa(isa):
            a, b = (ad.tensor(t.astype(dtype), requires_grad=True) for t in (x, w))
            groups = channels // width
            y = F.conv2d(a, b, None, (1, stride), padding, (1, dilation), groups)
            y.backward(ad.tensor(numbers(*y.shape, seed=2).astype(dtype)))
        results.append([y.detach(), a.grad, b.grad])
    # float64 goes the plain way
    for one, other in zip(*results, strict=True):
        expected = other.numpy()
        error = np.abs(one.numpy() - expected).max() / np.abs(expected).max()
        assert error < 2e-6


# x, weight, whether transposed: groups of one channel on one side, several on the other
WIDENED = [
    ((2, 20, 9, 8), (60, 1, 3, 3), False),
    ((2, 60, 9, 8), (20, 3, 3, 3), False),
    ((2, 20, 9, 8), (20, 3, 3, 3), True),
    ((2, 60, 9, 8), (60, 1, 3, 3), True),
]


@pytest.mark.parametrize("backend", ["native", "reference"])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize(("x", "weight", "transposed"), WIDENED)
def test_groups_with_one_channel_on_one_side(x, weight, transposed, bias, backend):
    function = F.conv_transpose2d if transposed else F.conv2d
    outs = weight[1] * 20 if transposed else weight[0]
    arrays = [numbers(*x), numbers(*weight, seed=1)]
    arrays += [numbers(outs, seed=2)] if bias else []
    results = []
    for algorithm in ("auto", "im2col"):
        with ad.use_conv_algorithm(algorithm), use_backend(backend):
            leaves = [ad.tensor(each, requires_grad=True) for each in arrays]
            left, right, *rest = leaves
            y = function(left, right, *(rest or [None]), 2, 1, groups=20)
            (y * y).sum().backward()
            with ad.no_grad():
                z = function(left, right, *(rest or [None]), 2, 1, groups=20)
        results.append([y.detach(), z, *[each.grad for each in leaves]])
    for one, other in zip(*results, strict=True):
        np.testing.assert_allclose(one.numpy(), other.numpy(), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("weight", [(20, 3, 3, 3), (60, 1, 3, 3)])
@pytest.mark.parametrize("following", [nn.Identity, nn.Sigmoid, nn.ReLU])
def test_groups_with_one_channel_on_one_side_give_the_bits_of_training(
    weight, bias, following
):
    groups, outputs = 20, weight[0]
    conv = nn.Conv2d(20 * weight[1], outputs, 3, padding=1, groups=groups, bias=bias)
    model = nn.Sequential(conv, following())
    x = ad.tensor(numbers(2, 20 * weight[1], 9, 8, dtype=np.float32))
    trained = model(x).detach().numpy()
    alone = conv(x).detach().numpy()
    with ad.no_grad():
        for _ in range(3):  # the first ones may prepare something
            assert np.array_equal(model(x).numpy(), trained)
            assert np.array_equal(conv(x).numpy(), alone)


@pytest.mark.skipif(not backend_kernels("jit"), reason="no numba")
@pytest.mark.parametrize("weight", [(20, 3, 3, 3), (60, 1, 3, 3)])
def test_groups_with_one_channel_on_one_side_need_no_copies_of_numba(weight):
    x = ad.tensor(numbers(2, 20 * weight[1], 9, 8, dtype=np.float32))
    x = x.contiguous(memory_format=ad.channels_last)
    w = ad.tensor(numbers(*weight, seed=1, dtype=np.float32))
    wanted = F.conv2d(x, w, groups=20).numpy()
    with use_backend("jit"):
        found = F.conv2d(x, w, groups=20).numpy()
        with ad.no_grad():
            np.testing.assert_array_equal(F.conv2d(x, w, groups=20).numpy(), found)
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("weight", [(), (4,), (4, 1, 3), (4, 1, 3, 3, 3)])
def test_a_weight_of_other_axes_is_explained_with_groups(weight):
    with pytest.raises(ShapeError, match="conv2d"):
        F.conv2d(ad.ones(1, 2, 5, 5), ad.ones(weight), groups=2)
    with ad.no_grad(), pytest.raises(ShapeError, match="conv2d"):
        F.conv2d(ad.ones(1, 2, 5, 5), ad.ones(weight), groups=2)


def test_a_depthwise_convolution_with_several_outputs_a_channel_is_explained():
    found = ad.explain_conv((2, 20, 9, 8), (60, 1, 3, 3), padding=1, groups=20)
    assert found.algorithm == "depthwise"
    assert "each pair of channels" in found.reason
    # many outputs for each channel are a product again
    many = ad.explain_conv((2, 2, 32, 32), (200, 1, 3, 3), padding=1, groups=2)
    assert many.algorithm == "im2col"
    with ad.use_conv_algorithm("im2col"):
        forced = ad.explain_conv((2, 20, 9, 8), (60, 1, 3, 3), padding=1, groups=20)
    assert forced.algorithm == "im2col"


def test_copies_of_channels_are_not_kept_for_the_gradient():
    layer = nn.Conv2d(8, 64, 3, padding=1, groups=8, bias=False)
    x = ad.ones(4, 8, 32, 32)
    layer(x).sum().backward()
    before = ad.memory_stats()["allocated_bytes"]
    y = layer(x)
    grown = ad.memory_stats()["allocated_bytes"] - before
    assert grown < 1.2 * y.numel() * 4


def test_unfold_then_product_is_conv():
    x, w = numbers(2, 3, 6, 7), numbers(4, 3, 2, 3, seed=1)
    columns = F.unfold(ad.tensor(x), (2, 3), padding=(1, 0), stride=(2, 1))
    y = ad.tensor(w.reshape(4, -1)) @ columns
    wanted = plain_conv2d(x, w, (2, 1), ((1, 1), (0, 0)))
    np.testing.assert_allclose(y.numpy().reshape(wanted.shape), wanted, rtol=1e-12)


def test_fold_of_unfold_counts_the_patches():
    x = ad.ones(1, 2, 5, 5)
    y = F.fold(F.unfold(x, 3, padding=1), (5, 5), 3, padding=1)
    assert y[0, 0].tolist() == [
        [4, 6, 6, 6, 4],
        [6, 9, 9, 9, 6],
        [6, 9, 9, 9, 6],
        [6, 9, 9, 9, 6],
        [4, 6, 6, 6, 4],
    ]


def test_unfold_and_fold_of_one_image():
    x = ad.tensor(numbers(2, 5, 5))
    columns = F.unfold(x, 2)
    assert columns.shape == (8, 16)
    assert F.fold(columns, (5, 5), 2).shape == (2, 5, 5)
