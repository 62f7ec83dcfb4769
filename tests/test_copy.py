"""Copies and views where the records of the ops can't say it: memory, layouts, inputs."""

from __future__ import annotations

import numpy as np
import pytest

import pyautodl as ad
from pyautodl import nn
from pyautodl.backends import native
from pyautodl.errors import BackendError, GradError, ShapeError
from pyautodl.testing import available_isas, use_isa

F = nn.functional


def image(*shape):
    return ad.tensor(np.random.default_rng(0).standard_normal(shape).astype(np.float32))


# ---- arrays in any memory ----


def byte_swapped(a):
    return a.astype(a.dtype.newbyteorder())


def unaligned(a):
    raw = np.empty(a.nbytes + 1, np.uint8)[1:]
    view = raw.view(a.dtype).reshape(a.shape)
    view[...] = a
    return view


def read_only(a):
    a.flags.writeable = False
    return a


@pytest.mark.parametrize(
    "change",
    [
        lambda a: a[::-1],
        lambda a: a[:, ::-1, ::2],
        np.asfortranarray,
        lambda a: a.transpose(2, 0, 1),
        byte_swapped,
        unaligned,
        read_only,
        lambda a: np.broadcast_to(a[:1], a.shape),
    ],
    ids=[
        "negative stride",
        "negative and wide strides",
        "Fortran order",
        "permuted",
        "byte-swapped",
        "unaligned",
        "read-only",
        "broadcast",
    ],
)
@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "uint8"])
def test_arrays_in_any_memory(change, dtype):
    a = change((np.arange(60) + 1).reshape(3, 4, 5).astype(dtype))
    expected = a.astype(dtype)
    for x in (ad.tensor(a), ad.from_numpy(a), ad.as_tensor(a)):
        np.testing.assert_array_equal(x.numpy(), expected)
        np.testing.assert_array_equal(x.clone().numpy(), expected)
        np.testing.assert_array_equal(x.reshape(-1).numpy(), expected.reshape(-1))
        np.testing.assert_array_equal(x.sum(1).numpy(), expected.sum(1))
        np.testing.assert_array_equal((x + x).numpy(), expected + expected)


# ---- views ----


def test_views_share_memory_and_reshape_copies_where_it_must():
    x = ad.arange(12).reshape(3, 4)
    for view in (x[1:], x.t(), x[:, 0], x.view(2, 6), x.unsqueeze(0), x.diagonal()):
        assert view.data_ptr() in range(x.data_ptr(), x.data_ptr() + x.nbytes)
    y = x.t().view(-1)
    assert y.tolist() == [0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11]
    assert y.data_ptr() != x.data_ptr()


def test_view_of_a_channels_last_image_means_logical_order():
    x = image(2, 3, 4, 5)
    y = x.contiguous(memory_format=ad.channels_last)
    assert y.stride() == (60, 1, 15, 3)
    assert not y.is_contiguous()
    np.testing.assert_array_equal(y.view(2, -1).numpy(), x.numpy().reshape(2, -1))
    np.testing.assert_array_equal(y.contiguous().numpy(), x.numpy())
    assert y.contiguous().is_contiguous()


def test_joined_and_padded_images_stay_channels_last():
    x = image(2, 3, 4, 5).contiguous(memory_format=ad.channels_last)
    joined = ad.cat((x, x), 1)
    assert joined.stride() == (120, 1, 30, 6)
    np.testing.assert_array_equal(joined.numpy(), np.concatenate((x.numpy(),) * 2, 1))
    assert F.pad(x, (1, 1)).stride()[1] == 1


def test_parts_of_split_and_unbind_are_many_views():
    x = ad.ones(4, 2, requires_grad=True) * 2
    for part in (x.split(2)[0], x.chunk(2)[1], x.unbind()[0], x.split([1, 3])[1]):
        with pytest.raises(GradError, match="output of split, chunk or unbind"):
            part.mul_(3)


def test_unused_parts_have_no_gradient():
    x = ad.arange(5.0).requires_grad_()
    x.split(2)[1].sum().backward()
    assert x.grad.tolist() == [0, 0, 1, 1, 0]
    y = ad.ones(2, 2, requires_grad=True)
    (y.unbind(1)[1] * 3).sum().backward()
    assert y.grad.tolist() == [[0, 3], [0, 3]]


def test_change_through_a_view_reaches_the_base_and_its_gradient():
    x = ad.ones(3, requires_grad=True)
    y = x * 2
    y[1:].mul_(5)
    assert y.tolist() == [2, 10, 10]
    y.sum().backward()
    assert x.grad.tolist() == [2, 10, 10]


def test_cast_cuts_towards_zero_and_wraps_as_pytorch():
    x = ad.tensor([-2.7, -0.5, 0.5, 2.7, 300.9])
    assert x.long().tolist() == [-2, 0, 0, 2, 300]
    assert x.to(ad.uint8).tolist() == [254, 0, 0, 2, 44]
    assert x.bool().tolist() == [True] * 5
    assert ad.tensor([float("nan"), 0.0]).bool().tolist() == [True, False]
    assert ad.tensor([-1, 256]).to(ad.uint8).tolist() == [255, 0]


def test_to_takes_types_devices_and_tensors():
    x = ad.ones(2)
    assert x.to("cpu") is x
    assert x.to(ad.float32) is x
    assert x.to("cpu", ad.int32).dtype is ad.int32
    assert x.to(ad.ones(1).double()).dtype is ad.float64
    assert x.to(dtype="int8").dtype is ad.int8
    assert x.to(x, copy=True) is not x
    with pytest.raises(BackendError, match="choose 'cpu'"):
        x.to("cuda")


def test_large_transposes_are_exact():
    x = image(3, 37, 41, 19)
    for dims in ((0, 2, 3, 1), (3, 2, 1, 0), (1, 0, 3, 2)):
        y = x.permute(dims).contiguous()
        np.testing.assert_array_equal(y.numpy(), x.numpy().transpose(dims))


# ---- short runs ----

SHORT = [
    # the shape, and what an operand has of it: 1 repeats
    ((2, 40, 30, 2), (2, 40, 1, 2), (2, 1, 30, 2)),
    ((2, 40, 30, 3), (2, 40, 30, 1), (1, 40, 1, 3)),
    ((3, 700, 1), (3, 1, 1), (1, 700, 1)),
    ((70, 9, 5, 5), (70, 9, 1, 1), (1, 9, 5, 1)),
    ((5, 200, 8), (5, 200, 1), (5, 1, 8)),
    ((3, 130, 130), (3, 130, 1), (130, 1)),
    ((4, 3, 2, 3, 2, 5), (4, 1, 2, 1, 2, 1), (3, 1, 3, 2, 1)),
    ((600, 17), (600, 1), (1, 17)),
]


@pytest.mark.parametrize("isa", available_isas())
@pytest.mark.parametrize("dtype", ["float32", "float64", "int16", "uint8"])
@pytest.mark.parametrize(("shape", "first", "second"), SHORT)
def test_operands_that_repeat_and_run_shortly(shape, first, second, dtype, isa):
    rng = np.random.default_rng(0)
    a, b, wide = (
        rng.integers(0, 9, each).astype(dtype)
        for each in (first, second, (*shape[:-1], 2 * shape[-1]))
    )
    x, y = ad.tensor(a), ad.tensor(b)
    backward = tuple(range(len(shape)))[::-1]
    with use_isa(isa):
        for threads in (1, 2):
            with native.exact_threads(threads):
                np.testing.assert_array_equal((x + y).numpy(), a + b)
                np.testing.assert_array_equal((x < y).numpy(), a < b)
                chosen = ad.where(y > 4, x, y).numpy()
                np.testing.assert_array_equal(chosen, np.where(b > 4, a, b))
                copied = x.expand(shape).contiguous().numpy()
                np.testing.assert_array_equal(copied, np.broadcast_to(a, shape))
                turned = x.expand(shape).permute(backward).contiguous().numpy()
                np.testing.assert_array_equal(turned, np.broadcast_to(a, shape).T)
                # into every other element, and from there
                z, expected = ad.tensor(wide), wide.copy()
                z[..., 1::2] = y
                expected[..., 1::2] = b
                z[..., ::2] += x
                expected[..., ::2] += a
                np.testing.assert_array_equal(z.numpy(), expected)
                twice = z[..., : shape[-1]] + z[..., ::2]
                halves = expected[..., : shape[-1]] + expected[..., ::2]
                np.testing.assert_array_equal(twice.numpy(), halves)


@pytest.mark.usefixtures("compiled")
def test_copies_have_the_same_bits_for_any_number_of_threads():
    x = image(3, 37, 41, 19).permute(0, 2, 3, 1)
    with native.exact_threads(1):
        one = x.contiguous().numpy()
    with native.exact_threads(3):
        np.testing.assert_array_equal(x.contiguous().numpy(), one)


@pytest.mark.parametrize(
    ("mode", "widths", "expected"),
    [
        ("replicate", (-1, 2), [1, 2, 3, 3, 3]),
        ("replicate", (1, -2), [0, 0, 1]),
        ("replicate", (-1, -2), [1]),
        ("reflect", (-1, 2), [1, 2, 3, 2, 1]),
        # what is cut is not what comes from the other end
        ("circular", (-1, 2), [1, 2, 3, 1, 2]),
        ("circular", (2, -1), [1, 2, 0, 1, 2]),
        ("circular", (-2, -1), [2]),
    ],
)
def test_negative_widths_cut_in_every_mode_of_pad(mode, widths, expected):
    x = ad.arange(4.0).reshape(1, 1, 4)
    assert F.pad(x, widths, mode=mode).flatten().tolist() == expected


@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
def test_padding_by_edges_keeps_images_as_they_lie(mode):
    x = image(2, 5, 6, 7)
    lying = x.contiguous(memory_format=ad.channels_last)
    x.requires_grad_(), lying.requires_grad_()
    plain, padded = (F.pad(each, (2, 1, 0, 3), mode=mode) for each in (x, lying))
    assert padded.is_contiguous(memory_format=ad.channels_last)
    np.testing.assert_array_equal(padded.detach().numpy(), plain.detach().numpy())
    g = ad.arange(float(plain.numel())).reshape(plain.shape)
    (expected,) = ad.autograd.grad(plain, x, g)
    (found,) = ad.autograd.grad(padded, lying, g)
    np.testing.assert_array_equal(found.numpy(), expected.numpy())


def test_pad_refuses_what_does_not_fit():
    x = ad.zeros(1, 1, 3)
    with pytest.raises(ShapeError, match=r"widths -2 and 2 are too large .*'circular'"):
        F.pad(x, (-2, 2), mode="circular")
    with pytest.raises(
        ShapeError, match=r"widths -3 and 0 are too large .*'replicate'"
    ):
        F.pad(x, (-3, 0), mode="replicate")
    with pytest.raises(
        ShapeError, match=r"pad: widths 3 and 0 are too large .*'reflect'"
    ):
        F.pad(x, (3, 0), mode="reflect")
    with pytest.raises(ShapeError, match="pad: expected two widths"):
        F.pad(x, (1, 2, 3))
    with pytest.raises(ValueError, match="pad: mode must be"):
        F.pad(x, (1, 1), mode="odd")
