"""Augmentation: what transforms do, and that their draws depend on nothing else."""

import colorsys
import math

import numpy as np
import pytest

import pyautodl as ad
import pyautodl.nn.functional as F
from pyautodl import data
from pyautodl.backends import native
from pyautodl.data import (
    ColorJitter,
    Compose,
    DataLoader,
    GaussianNoise,
    RandomAffine,
    RandomCrop,
    RandomErasing,
    RandomHorizontalFlip,
    RandomResizedCrop,
    RandomRotation,
    RandomShift,
    RandomVerticalFlip,
)
from pyautodl.data.augment.base import Draw
from pyautodl.errors import DTypeError, ShapeError

MOVES = {
    "shift": lambda **how: RandomShift(3, **how),
    "across": lambda **how: RandomHorizontalFlip(**how),
    "down": lambda **how: RandomVerticalFlip(**how),
    "nearest": lambda **how: RandomRotation(40, **how),
    "affine": lambda **how: RandomAffine(30, (0.2, 0.1), (0.7, 1.3), (-9, 9), **how),
    "crop": lambda **how: RandomCrop((7, 6), padding=2, **how),
    "reflect": lambda **how: RandomCrop(9, 2, padding_mode="reflect", **how),
    "expand": lambda **how: RandomRotation(40, expand=True, **how),
    "resized": lambda **how: RandomResizedCrop(
        (7, 6), (0.3, 1), interpolation="nearest", **how
    ),
}
TRANSFORMS = {
    **MOVES,
    "bilinear": lambda: RandomRotation(40, "bilinear", fill=1),
    "noise": lambda: GaussianNoise(sigma=0.2),
    "mixed": lambda: RandomResizedCrop((6, 11), (0.3, 1)),
    "jitter": lambda: ColorJitter(0.5, (0.5, 2), 0.5),
    "hue": lambda: ColorJitter(0.5, saturation=0.5, hue=0.3),
    "erase": lambda: RandomErasing(p=0.8, value=(0, 1, 0)),
    "several": lambda: Compose(
        [RandomHorizontalFlip(), RandomRotation(20, "bilinear"), GaussianNoise()]
    ),
}


def _images(n=12, c=3, h=8, w=9, dtype="float32"):
    x = np.random.default_rng(0).random((n, c, h, w))
    return ad.tensor((x * 255 if dtype == "uint8" else x).astype(dtype))


def _run(transform, x, samples=None, epoch=2, seed=7):
    if samples is None:
        n = len(x if isinstance(x, ad.Tensor) else x[0])
        samples = range(n)
    samples = ad.tensor(list(samples), dtype=ad.int64)
    return transform(x, samples=samples, epoch=epoch, seed=seed)


# ---- what a draw depends on ----


@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8"])
@pytest.mark.parametrize("name", TRANSFORMS)
def test_a_sample_comes_out_alike_in_every_batch_on_any_threads(name, dtype):
    transform, x = TRANSFORMS[name](), _images(dtype=dtype)
    whole = _run(transform, x)
    assert whole.dtype is x.dtype
    for rows in ([0, 1, 2], [11], [7, 3, 5, 4, 6]):
        part = _run(transform, x[rows], samples=rows)
        assert part.numpy().tobytes() == whole[rows].numpy().tobytes()
    last = x.to(memory_format=ad.channels_last)
    assert np.array_equal(_run(transform, last).numpy(), whole.numpy())
    for threads in (1, 2, 4) if native.available else ():
        with native.exact_threads(threads, uneven=threads > 2):
            assert _run(transform, x).numpy().tobytes() == whole.numpy().tobytes()
    other = [_run(transform, x, epoch=3), _run(transform, x, seed=8)]
    assert all(not np.array_equal(each.numpy(), whole.numpy()) for each in other)


@pytest.mark.parametrize("name", [*MOVES, "bilinear", "noise", "jitter"])
def test_images_stay_in_channels_last_memory(name):
    x = _images().to(memory_format=ad.channels_last)
    y = _run(TRANSFORMS[name](), x)
    assert y.is_contiguous(memory_format=ad.channels_last)


def test_workers_and_batch_sizes_do_not_count_in_a_loader():
    data = _images(20), ad.arange(20)
    found = []
    for batch_size, workers in ((4, 0), (7, 3), (20, 2)):
        loader = DataLoader(
            data,
            batch_size,
            shuffle=True,
            num_workers=workers,
            generator=ad.Generator().manual_seed(3),
            transform=TRANSFORMS["several"](),
        )
        rows = {n: x for xs, ns in loader for n, x in zip(ns.tolist(), xs.numpy())}
        found.append(np.stack([rows[n] for n in range(20)]))
    assert found[0].tobytes() == found[1].tobytes() == found[2].tobytes()


def test_shifts_are_those_of_earlier_versions():
    x = ad.zeros(4, 1, 7, 7)
    x[:, 0, 3, 3] = 1
    at = _run(RandomShift(3), x, [0, 1, 5, 2**34], epoch=4, seed=1).nonzero()
    # rows and columns
    assert (at[:, 2:] - 3).tolist() == [[-3, -2], [-3, -3], [2, -3], [0, -3]]


@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8", "int64", "bool"])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("layout", ["plain", "last", "turned"])
def test_whole_pixels_are_moved_as_slices_are(dtype, channels, layout):
    x = (_images(n=40, c=channels, h=5, w=6) * 9).to(getattr(ad, dtype))
    if layout == "last":
        x = x.contiguous(memory_format=ad.channels_last)
    elif layout == "turned":
        x = x.permute(0, 1, 3, 2).contiguous().permute(0, 1, 3, 2)
    for move, size, most in (
        (RandomShift(8, fill=1), (5, 6), 8),
        (RandomCrop(4, 3), (4, 4), 3),
    ):
        found = _run(move, x)
        maps = move._maps(Draw(ad.arange(40), 2, 7), 5, 6)
        padded = np.full((40, channels, 5 + 2 * most, 6 + 2 * most), most == 8, dtype)
        padded[:, :, most : most + 5, most : most + 6] = x.numpy()
        for i, (down, right) in enumerate(maps[:, [2, 5]].astype(int) + most):
            part = padded[i, :, down : down + size[0], right : right + size[1]]
            np.testing.assert_array_equal(found[i].numpy(), part)


# ---- several transforms ----


def test_transforms_of_one_list_draw_for_themselves():
    x = _images(400, 1, 2, 2)
    flip = RandomHorizontalFlip()
    once, twice = _run(flip, x), _run(Compose([flip, flip]), x)
    nested = _run(Compose([Compose([flip, flip]), flip]), x)
    for y, flips in ((once, 1), (twice, 2), (nested, 3)):
        turned = (y.numpy()[:, 0, 0, 0] != x.numpy()[:, 0, 0, 0]).mean()
        assert 0.4 < turned < 0.6, flips
    # the same two draws would leave each image as it was
    a, b = (_run(Compose([*before, flip]), x) for before in ([], [lambda x, **k: x]))
    same = (a.numpy() == b.numpy()).all((1, 2, 3)).mean()
    assert 0.4 < same < 0.6


def test_noise_of_a_list_is_not_twice_the_same():
    noise = GaussianNoise(sigma=1, clip=False)
    y = _run(Compose([noise, noise]), ad.zeros(50, 1, 8, 8))
    assert abs(y.std().item() - 2**0.5) < 0.1


def test_a_function_may_stand_in_a_list():
    seen = {}

    def double(batch, **draw):
        seen.update(draw)
        return batch * 2

    x = ad.ones(2, 1, 2, 2)
    assert _run(Compose([double, double]), x).tolist() == (x * 4).tolist()
    assert seen["samples"].tolist() == [0, 1]
    assert seen["epoch"] == 2
    with pytest.raises(TypeError, match="transforms that can be called, got 3"):
        Compose([double, 3])
    with pytest.raises(
        TypeError, match=r"got half\(x\); likely fix: lambda batch, \*\*"
    ):
        Compose([half])


def half(x):
    return x / 2


# ---- members of a batch ----


@pytest.mark.parametrize("name", MOVES)
def test_masks_move_with_their_images(name):
    x = _images(c=1)
    mask = (x[:, 0] > 0.5).long()
    move = MOVES[name](images=(0, -1))
    moved, classes = _run(move, (x, mask))
    assert classes.dtype is ad.int64
    assert np.array_equal((moved[:, 0] > 0.5).long().numpy(), classes.numpy())
    # and like an image alone
    assert np.array_equal(_run(MOVES[name](), x).numpy(), moved.numpy())


def test_masks_keep_their_classes_where_images_are_mixed():
    x = _images(c=1)
    mask = ad.full((12, 8, 9), 5)
    how = {"interpolation": ("bilinear", "nearest"), "fill": (0.0, 255)}
    image, classes = _run(RandomRotation(40, images=(0, 1), **how), (x, mask))
    assert set(np.unique(classes.numpy())) == {5, 255}
    assert np.array_equal(
        image.numpy(), _run(RandomRotation(40, "bilinear"), x).numpy()
    )
    both = RandomRotation(40, "bilinear", images=(0, 1))
    for kind, message in ((ad.int64, "planes of int64"), (ad.uint8, "planes of uint8")):
        with pytest.raises(DTypeError, match=f"{message}.*'nearest' for it"):
            _run(both, (x, mask.to(kind)))
    with pytest.raises(DTypeError, match="RandomRotation: 'bilinear' would mix"):
        _run(both, (x, mask.unsqueeze(1)))


def test_members_of_dicts_have_names():
    batch = {"image": _images(), "label": ad.arange(12)}
    found = _run(RandomShift(2, images="image"), batch, range(12))
    assert list(found) == ["image", "label"]
    assert found["label"] is batch["label"]
    wanted = _run(RandomShift(2), batch["image"])
    assert np.array_equal(found["image"].numpy(), wanted.numpy())
    with pytest.raises(KeyError, match="images has 0, the batch has 'image', 'label'"):
        _run(RandomShift(2), batch, range(12))


def test_members_that_are_no_images_are_told():
    x, labels = _images(), ad.arange(12)
    with pytest.raises(ShapeError, match=r"a tensor of shape \(12,\) as member 1"):
        _run(RandomHorizontalFlip(images=(0, 1)), (x, labels))
    with pytest.raises(ShapeError, match=r"each of 12 samples, got samples \(3,\)"):
        _run(RandomHorizontalFlip(), x, range(3))
    with pytest.raises(ShapeError, match="different size can't be changed alike"):
        _run(RandomRotation(5, images=(0, 1)), (x, x[:, :, :4]))
    with pytest.raises(ValueError, match=r"RandomRotation: fill is 0\.5, which uint8"):
        _run(RandomRotation(5, fill=0.5), _images(dtype="uint8"))
    with pytest.raises(ValueError, match="3 interpolations for 1 images"):
        RandomRotation(5, ["nearest"] * 3)


# ---- flips ----


@pytest.mark.parametrize(
    ("kind", "axis"), [(RandomHorizontalFlip, 3), (RandomVerticalFlip, 2)]
)
def test_flips_turn_over_a_share_of_the_images(kind, axis):
    x = _images(1000, 1, 2, 3)
    y, turned = _run(kind(0.3), x).numpy(), np.flip(x.numpy(), axis)
    flipped = (y == turned).all((1, 2, 3))
    kept = (y == x.numpy()).all((1, 2, 3))
    assert (flipped ^ kept).all()
    assert 0.25 < flipped.mean() < 0.35
    assert np.array_equal(_run(kind(1), x).numpy(), turned)
    assert np.array_equal(_run(kind(0), x).numpy(), x.numpy())
    with pytest.raises(ValueError, match=f"{kind.__name__}: p must be from 0 to 1"):
        kind(1.5)


# ---- rotations ----


@pytest.mark.parametrize("mode", ["nearest", "bilinear"])
@pytest.mark.parametrize("shape", [(9, 9), (8, 8), (9, 5)])
def test_quarter_turns_are_exact_and_counter_clockwise(mode, shape):
    x = _images(2, 2, *shape, dtype="float64")
    for quarters in (0, 1, 2, 3, -1):
        if quarters % 2 and shape[0] != shape[1]:
            continue
        y = _run(RandomRotation((90 * quarters,) * 2, mode, fill=7), x)
        assert np.array_equal(y.numpy(), np.rot90(x.numpy(), quarters, (2, 3)))


def test_a_rotation_is_that_of_affine_grid_and_grid_sample():
    x = _images(3, 2, 10, 10)
    angle = np.radians(25)
    c, s = float(np.cos(angle)), float(np.sin(angle))
    theta = ad.tensor([[[c, -s, 0.0], [s, c, 0.0]]] * 3)
    grid = F.affine_grid(theta, (3, 2, 10, 10))
    for mode in ("nearest", "bilinear"):
        wanted = F.grid_sample(x, grid, mode)
        found = _run(RandomRotation((25, 25), mode), x)
        np.testing.assert_allclose(found.numpy(), wanted.numpy(), atol=1e-5)
        clockwise = _run(RandomAffine((-25, -25), interpolation=mode), x)
        np.testing.assert_allclose(clockwise.numpy(), found.numpy(), atol=1e-6)


def test_angles_fill_their_range_around_the_center():
    x = ad.zeros(500, 1, 41, 41)
    x[:, 0, 30, 30] = 1
    turn = RandomRotation((10, 80), center=(10.5, 30.5))
    at = _run(turn, x).nonzero().numpy().astype(float)
    # upwards from the center, to the pixels around
    angle = np.degrees(np.arctan2(30 - at[:, 2], at[:, 3] - 10))
    assert 7 < angle.min() < 13
    assert 77 < angle.max() < 83


@pytest.mark.parametrize("degrees", [(-30, 50), (90, 90), (0, 180), (140, 145)])
def test_an_expanded_rotation_cuts_nothing_off(degrees):
    x = ad.ones(40, 1, 21, 34)
    turn = RandomRotation(degrees, "bilinear", expand=True, center=(0, 0))
    turned = _run(turn, x)
    # all that was there, in the middle, and no smaller than the largest needs
    np.testing.assert_allclose(turned.sum((1, 2, 3)).numpy(), 21 * 34, rtol=0.02)
    rows, columns = (turned.sum((1, d)).numpy() for d in (3, 2))
    for lines in (rows, columns):
        np.testing.assert_allclose(lines, lines[:, ::-1], atol=1e-3)
    h, w = turned.shape[2:]
    angles = np.radians(np.linspace(*degrees, 2001))
    c, s = np.abs(np.cos(angles)), np.abs(np.sin(angles))
    assert h == math.ceil((21 * c + 34 * s).max() - 1e-3)
    assert w == math.ceil((34 * c + 21 * s).max() - 1e-3)
    if degrees == (90, 90):
        assert _run(turn, _images(h=5, w=7)).equal(_images(h=5, w=7).rot90(1, (2, 3)))


def test_a_neighbour_outside_is_the_fill():
    x = ad.ones(1, 1, 1, 2)
    y = _run(RandomAffine(0, scale=(0.5, 0.5), interpolation="bilinear", fill=3), x)
    # read at columns -0.5 and 1.5
    assert y.tolist() == [[[[2.0, 2.0]]]]


def test_scale_translation_and_shear_have_their_bounds():
    x = ad.zeros(300, 1, 40, 20)
    x[:, 0, 20, 10] = 1
    at = _run(RandomAffine(0, translate=(0.2, 0.1)), x).nonzero().numpy()
    down, across = at[:, 2] - 20, at[:, 3] - 10
    assert set(down) == set(range(-4, 5))
    assert set(across) == set(range(-4, 5))
    assert abs(np.corrcoef(down, across)[0, 1]) < 0.2
    x = ad.ones(200, 1, 20, 20)
    area = _run(RandomAffine(0, scale=(0.5, 0.9)), x).sum((1, 2, 3)).sqrt().numpy()
    assert 9.5 <= area.min() < 11
    assert 17 < area.max() <= 18.5
    # a tilt keeps the middle and moves the rows beside it
    y = _run(RandomAffine(0, shear=(45, 45)), ad.eye(21).reshape(1, 1, 21, 21))
    assert y[0, 0, :, 10].sum().item() == 21
    y = _run(RandomAffine(0, shear=(0, 0, 45, 45)), ad.eye(21).reshape(1, 1, 21, 21))
    assert y[0, 0, 10].sum().item() == 21


def test_ranges_that_are_none_are_told():
    for make, message in (
        (lambda: RandomRotation(-5), "degrees must be >= 0 or a range, got -5"),
        (lambda: RandomRotation((5, -5)), r"degrees must be a range \(low, high\)"),
        (lambda: RandomRotation(5, "cubic"), "interpolation must be 'nearest' or"),
        (lambda: RandomRotation(5, center=(1, 2, 3)), r"center must be \(x, y\)"),
        (lambda: RandomAffine(5, translate=(2, 0)), "translate must be two numbers"),
        (lambda: RandomAffine(5, scale=(0, 1)), "scale must be above 0"),
        (lambda: RandomAffine(5, shear=(0, 0, 0, 90)), "shear must be below 90"),
        (lambda: RandomShift(-1), "max_shift must be >= 0"),
        (lambda: GaussianNoise(sigma=-1), "sigma must be >= 0"),
        (lambda: ColorJitter(-1), "brightness must be >= 0 or a range"),
        (lambda: ColorJitter((-1, 1)), "brightness must be >= 0"),
        (lambda: ColorJitter(hue=0.6), "hue must be from -0.5 to 0.5"),
        (lambda: RandomResizedCrop(8, (0, 1)), "scale must be above 0, up to 1"),
        (lambda: RandomResizedCrop(8, ratio=(0, 1)), "ratio must be above 0"),
        (lambda: RandomErasing(value="noise"), "one for each channel or 'random'"),
        (lambda: RandomErasing(scale=(0, 2)), r"scale must be in \[0, 1\]"),
        (lambda: RandomErasing(ratio=(0, 2)), "ratio must be above 0"),
    ):
        with pytest.raises(ValueError, match=message):
            make()
    for make in (lambda: RandomErasing(inplace=True),):
        with pytest.raises(NotImplementedError, match="is not supported"):
            make()


# ---- crops ----


@pytest.mark.parametrize("mode", ["constant", "edge", "reflect", "symmetric"])
def test_crops_are_parts_of_the_padded_image_anywhere(mode):
    x = _images(300, 1, 4, 5)
    crop = RandomCrop((4, 3), padding=(3, 1, 0, 2), padding_mode=mode, fill=9)
    more = {"constant_values": 9} if mode == "constant" else {}
    padded = np.pad(x.numpy(), ((0, 0), (0, 0), (1, 2), (3, 0)), mode, **more)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (4, 3), (2, 3))
    found = _run(crop, x).numpy()
    equal = (windows == found[:, :, None, None]).all((-2, -1))[:, 0]
    assert equal.any((1, 2)).all()
    places = equal.sum(0)
    assert places.shape == (4, 6)
    assert (places > 0).all()


def test_a_crop_of_what_is_too_small_pads_or_is_told():
    x = _images(3, 2, 4, 9)
    with pytest.raises(ShapeError, match=r"at least \(6, 6\).*likely fix: padding, or"):
        _run(RandomCrop(6), x)
    y = _run(RandomCrop(6, pad_if_needed=True, fill=-1), x)
    assert y.shape == (3, 2, 6, 6)
    rows = (y.numpy() != -1).any((1, 3)).sum(1)
    assert (rows >= 4 - 2).all()
    for wrong, message in (({"size": (1, 2, 3)}, "size"), ({"padding": -1}, "padding")):
        with pytest.raises(ShapeError, match=f"RandomCrop: {message} must be"):
            RandomCrop(**{"size": 2, **wrong})
    with pytest.raises(ValueError, match="padding_mode must be one of constant, edge"):
        RandomCrop(2, padding_mode="wrap")


# ---- noise ----


def test_noise_is_normal_and_each_value_has_its_own():
    x = ad.zeros(40, 3, 20, 20)
    noise = GaussianNoise(mean=1, sigma=2, clip=False)
    y = _run(noise, x)
    values = y.numpy().astype(np.float64)
    assert abs(values.mean() - 1) < 0.05
    assert abs(values.std() - 2) < 0.05
    assert abs((((values - 1) / 2) ** 4).mean() - 3) < 0.1
    rows = ((values - 1) / 2).reshape(40, -1)
    apart = rows @ rows.T / rows.shape[1]
    assert abs(apart - np.diag(np.diag(apart))).max() < 0.15
    # the same numbers for another element type
    double = _run(noise, x.double()).numpy()
    np.testing.assert_allclose(double, values, rtol=1e-6, atol=1e-6)


def test_two_images_of_a_batch_have_noise_of_their_own():
    x = ad.zeros(4, 1, 9, 9)
    noise = GaussianNoise(sigma=1, clip=False, images=(0, 1))
    a, b = (y.numpy().reshape(-1) for y in _run(noise, (x, x)))
    assert abs(np.corrcoef(a, b)[0, 1]) < 0.2


def test_noise_is_cut_to_what_images_hold():
    y = _run(GaussianNoise(sigma=1), _images())
    assert y.min().item() == 0
    assert y.max().item() == 1
    bytes_ = _run(GaussianNoise(sigma=0.1), ad.full((9, 1, 9, 9), 128, dtype=ad.uint8))
    assert bytes_.dtype is ad.uint8
    assert abs(bytes_.float().std().item() - 25.5) < 3
    normalised = _images() * 4 - 2
    with pytest.raises(
        ValueError, match=r"from 0 to 1, where they are cut.*clip=False"
    ):
        _run(GaussianNoise(), normalised)
    with pytest.raises(ValueError, match="ColorJitter: expected values from 0 to 1"):
        _run(ColorJitter(0.5), normalised)
    with pytest.raises(DTypeError, match=r"floats or uint8, got int64.*left out"):
        _run(GaussianNoise(), _images().long())


# ---- brightness, contrast, saturation ----


def test_jitter_of_one_kind_is_a_factor_for_each_image():
    x = _images(200) * 0.5
    factor = (_run(ColorJitter(brightness=0.4), x) / x).mean((1, 2, 3)).numpy()
    assert 0.6 <= factor.min() < 0.65
    assert 1.35 < factor.max() <= 1.4001
    grey = x[:, 0] * 0.2989 + x[:, 1] * 0.587 + x[:, 2] * 0.114
    y = _run(ColorJitter(contrast=(0.5, 0.5)), x)
    mean = grey.mean((1, 2)).reshape(-1, 1, 1, 1)
    np.testing.assert_allclose(y.numpy(), ((x + mean) / 2).numpy(), rtol=1e-5)
    y = _run(ColorJitter(saturation=(0, 0)), x)
    for channel in range(3):
        np.testing.assert_allclose(y[:, channel].numpy(), grey.numpy(), rtol=1e-5)


def test_jitter_of_several_kinds_takes_them_in_any_order():
    x = _images(200, 1) * 0.4
    y = _run(ColorJitter(brightness=(2, 2), contrast=(0.5, 0.5)), x)
    mean = x.mean((1, 2, 3), keepdim=True)
    # the mean grey is that of the image as it is then
    np.testing.assert_allclose(y.numpy(), (x + mean).numpy(), rtol=1e-5)
    cut = _run(ColorJitter(brightness=(4, 4), contrast=(0, 0)), x).numpy()
    bright_first = (x * 4).clamp(0, 1).mean((1, 2, 3)).numpy()
    first = np.isclose(cut[:, 0, 0, 0], bright_first, rtol=1e-4)
    assert 0.4 < first.mean() < 0.6


def test_jitter_of_bytes_and_of_images_without_grey():
    x = _images(dtype="uint8")
    y = _run(ColorJitter(brightness=(0.5, 0.5)), x)
    assert np.array_equal(y.numpy(), np.rint(x.numpy() * 0.5).astype(np.uint8))
    assert np.array_equal(_run(ColorJitter(), x).numpy(), x.numpy())
    with pytest.raises(ShapeError, match="one or three channels"):
        _run(ColorJitter(contrast=0.5), _images(c=2))


# ---- erasing ----


def test_rectangles_are_erased_as_they_are_described():
    x = ad.ones(400, 3, 20, 24)
    y = _run(RandomErasing(p=0.5, scale=(0.1, 0.3), ratio=(0.5, 2)), x).numpy()
    gone = y[:, 0] == 0
    assert np.array_equal(gone, y[:, 2] == 0)
    erased = gone.any((1, 2))
    assert 0.4 < erased.mean() < 0.6
    tall = gone[erased].any(2).sum(1)
    wide = gone[erased].any(1).sum(1)
    assert np.array_equal(tall * wide, gone[erased].sum((1, 2)))
    share, ratio = tall * wide / 480, tall / wide
    assert 0.08 < share.min() < 0.13
    assert 0.26 < share.max() < 0.33
    assert 0.4 < ratio.min() < 0.65
    assert 1.6 < ratio.max() < 2.4
    # anywhere: seldom a corner, often the middle
    assert gone.any(0).mean() > 0.98
    assert gone.mean(0).max() < 0.3


def test_what_is_erased_is_filled():
    x = _images(50)
    y = _run(RandomErasing(1, value=(2, 3, 4)), x).numpy()
    gone = y[:, 0] == 2
    assert (y[:, 1][gone] == 3).all()
    assert (y[:, 2][gone] == 4).all()
    noise = _run(RandomErasing(1, (0.3, 0.3), value="random"), x * 0).numpy()
    assert abs(noise[noise != 0].std() - 1) < 0.1
    bytes_ = _images(dtype="uint8")
    assert _run(RandomErasing(1, value=7), bytes_).dtype is ad.uint8
    for value, error, message in (
        ((1, 2), ShapeError, "one value or one for each of 3 channels"),
        (0.5, ValueError, "value is 0.5, which uint8 can't hold"),
        ("random", DTypeError, "'random' needs images of floats"),
    ):
        with pytest.raises(error, match=message):
            _run(RandomErasing(1, value=value), bytes_)


def test_a_rectangle_that_never_fits_is_left_out():
    x = _images()
    y = _run(RandomErasing(1, scale=(1, 1), ratio=(1, 1)), x)
    assert np.array_equal(y.numpy(), x.numpy())


# ---- parts of any size ----


@pytest.mark.parametrize("mode", ["nearest", "bilinear"])
@pytest.mark.parametrize("dtype", ["float32", "uint8"])
def test_resized_parts_are_those_of_slices_that_are_resized(mode, dtype):
    x = _images(n=30, h=32, w=24, dtype=dtype)
    crop = RandomResizedCrop((9, 10), (0.1, 0.6), (0.5, 3), mode)
    places = ad.arange(32 * 24).reshape(1, 32, 24).expand(30, 32, 24)
    found = _run(crop, x)
    samples = ad.arange(30)
    draw = Draw(samples, 2, 7)
    boxes = crop._boxes(draw, 32, 24)
    assert (boxes[:, :2] >= 0).all()
    assert (boxes[:, 0] + boxes[:, 2] <= 32).all()
    assert (boxes[:, 1] + boxes[:, 3] <= 24).all()
    area, ratio = boxes[:, 2] * boxes[:, 3] / (32 * 24), boxes[:, 3] / boxes[:, 2]
    assert 0.08 < area.min() < 0.2 < 0.45 < area.max() < 0.65
    assert 0.4 < ratio.min() < 0.8 < 1.5 < ratio.max() < 3.3
    for i, (top, left, tall, wide) in enumerate(boxes.tolist()):
        part = x[i : i + 1, :, top : top + tall, left : left + wide].float()
        wanted = ad.nn.functional.interpolate(
            part, (9, 10), mode=mode, antialias=mode == "bilinear"
        )
        if dtype == "uint8":
            wanted = wanted.round()
        np.testing.assert_array_equal(found[i : i + 1].float().numpy(), wanted.numpy())
    both = RandomResizedCrop(
        (9, 10), (0.1, 0.6), (0.5, 3), (mode, "nearest"), images=(0, 1)
    )
    _, mask = _run(both, (x, places))
    assert (mask[:, 0, 0] == ad.tensor(boxes[:, 0] * 24 + boxes[:, 1])).all()


def test_a_part_that_never_fits_is_the_largest_in_the_middle():
    x = _images(h=4, w=40)
    crop = RandomResizedCrop((4, 4), (1, 1), (1, 1), "nearest")
    assert _run(crop, x).equal(x[:, :, :, 18:22])


def test_part_sizes_and_mixed_classes_are_told():
    with pytest.raises(ShapeError, match=r"RandomResizedCrop: size must be"):
        RandomResizedCrop((1, 2, 3))
    with pytest.raises(DTypeError, match="'bilinear' would mix"):
        _run(RandomResizedCrop(4), ad.zeros(2, 8, 8, dtype=ad.int64))


# ---- hue ----


@pytest.mark.parametrize("dtype", ["float32", "uint8"])
@pytest.mark.parametrize("turn", [-0.5, -0.2, 0.0, 0.1, 1 / 3, 0.5])
def test_hues_are_turned_as_colorsys_turns_them(turn, dtype):
    x = _images(n=2, dtype=dtype)
    x[0, :, 0, 0] = x[0, 0, 0, 0]
    x[0, 0, 0, 1] = x[0, 1, 0, 1]
    found = _run(ColorJitter(hue=(turn, turn)), x).numpy()
    white = 255 if dtype == "uint8" else 1
    wanted = np.empty((2, 3, 8, 9))
    for n, i, j in np.ndindex(2, 8, 9):
        h, s, v = colorsys.rgb_to_hsv(*(x[n, :, i, j].numpy() / white))
        wanted[n, :, i, j] = colorsys.hsv_to_rgb((h + turn) % 1, s, v)
    atol = 0.5001 if dtype == "uint8" else 1e-5
    np.testing.assert_allclose(found, wanted * white, atol=atol)


def test_hues_fill_their_range_and_grey_has_none():
    x = ad.zeros(300, 3, 1, 1)
    x[:, 0] = 1
    found = _run(ColorJitter(hue=0.1), x).reshape(300, 3).numpy()
    turns = [colorsys.rgb_to_hsv(*each)[0] for each in found]
    turns = [each - 1 if each > 0.5 else each for each in turns]
    assert -0.1 <= min(turns) < -0.09 < 0.09 < max(turns) <= 0.1
    grey = _images(c=1)
    assert _run(ColorJitter(hue=0.5), grey).equal(grey)
    with pytest.raises(ShapeError, match="one or three channels"):
        _run(ColorJitter(hue=0.5), _images(c=2))


# ---- calls as torchvision's ----


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: data.ToTensor(), "'ToTensor'.*likely fix: .*permute.*/ 255"),
        (lambda: data.transforms.Normalize([0.5], [0.5]), "likely fix: .*Normalizer"),
        (lambda: data.transforms.Resize(32), "likely fix: .*interpolate"),
        (lambda: data.Nothing(), "has no attribute 'Nothing'$"),
        (lambda: data.Compose([data.RandomHorizontalFlip]), r"fix: RandomH\w+\(\)$"),
        (lambda: data.Compose([data.RandomRotation]), r"fix: .*\(degrees=...\)$"),
        (
            lambda: data.Compose(data.RandomVerticalFlip(), data.RandomShift(1)),
            r"Compose: .* got 2 arguments; likely fix: Compose\(\[...\]\)",
        ),
        (lambda: data.RandomHorizontalFlip(prob=0.5), "fix: p in place of prob"),
        (lambda: data.RandomCrop(28, pad=2), "fix: padding in place of pad"),
        (lambda: data.RandomRotation(10, resample=2), "fix: interpolation in place"),
        (lambda: data.ColorJitter(brightnes=0.1), "fix: brightness in place of"),
        (lambda: data.RandomAffine(), "missing .*'degrees'; it takes degrees, transl"),
        (
            lambda: data.RandomHorizontalFlip()(ad.rand(2, 1, 4, 4)),
            "depends on samples, epoch and seed.*DataLoader",
        ),
        (
            lambda: data.Compose([data.RandomVerticalFlip()])(ad.rand(2, 1, 4, 4)),
            "Compose: what it draws depends on samples, epoch and seed",
        ),
    ],
)
def test_what_torchvision_calls_otherwise(call, message):
    with pytest.raises((AttributeError, TypeError), match=message):
        call()


def test_torchvisions_path():
    from pyautodl.data import transforms

    assert transforms.RandomCrop is data.RandomCrop
    assert transforms.Compose is data.Compose
    assert not hasattr(data, "ToTensor")


def test_arguments_of_a_transform_of_users():
    class Darker(data.RandomShift):
        def __init__(self, by):
            super().__init__(0)
            self.by = by

    assert Darker(0.5).by == 0.5
    with pytest.raises(TypeError, match=r"^Darker.__init__\(\) missing .*it takes by$"):
        Darker(amount=0.5)
