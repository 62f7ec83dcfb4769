"""Random numbers: the generator's own values, statistics, threads, and dropout."""

from __future__ import annotations

import copy
import math
import pickle

import numpy as np
import pytest

import pyautodl as ad
from pyautodl import nn
from pyautodl.backends import empty, native, run, use_backend
from pyautodl.backends.dtypes import float32, float64, int64
from pyautodl.backends.reference.random import philox_words
from pyautodl.errors import DTypeError, GradError
from pyautodl.nn import functional as F
from pyautodl.ops.record import OPS
from pyautodl.testing import available_isas, use_isa


def _state(seed: int = 7, stream: int = 3, offset: int = 2**32 - 20) -> object:
    state = empty((3,), int64)
    state.numpy()[...] = seed, stream, offset
    return state


# ---- the generator ----


@pytest.mark.parametrize("dtype", [float32, float64])
@pytest.mark.parametrize("name", ["normal", "uniform"])
def test_what_is_drawn_into_a_tensor_is_what_is_drawn_for_one(name, dtype) -> None:
    """Whatever the layout: the n-th number in memory is the n-th that is drawn."""
    ours, theirs = ad.Generator().manual_seed(5), ad.Generator().manual_seed(5)
    x, base = ad.zeros(3, 5, dtype=dtype), ad.zeros(4, 6, dtype=dtype)
    for place in (x, x.t(), base[:, 1:4], base[1:3], x[0], x[:0], ad.zeros(1)[0]):
        version = place._array.storage.version
        found = getattr(place, f"{name}_")(0.5, 2.0, generator=ours)
        assert found is place
        assert place._array.storage.version > version
        plain = ad.empty(place.numel(), dtype=place.dtype)
        drawn = getattr(plain, f"{name}_")(0.5, 2.0, generator=theirs).numpy()
        lies = (
            place.t()
            if place.ndim == 2 and place.stride(0) < place.stride(1)
            else place
        )
        np.testing.assert_array_equal(lies.contiguous().numpy().ravel(), drawn)
    assert ours.get_state().tolist() == theirs.get_state().tolist()
    assert not base.numpy()[0, [0, 4, 5]].any()


@pytest.mark.parametrize("name", ["normal_", "uniform_"])
def test_what_is_drawn_into_a_graph_has_no_gradient(name) -> None:
    x = ad.ones(2, 3, requires_grad=True)
    y = x * 2
    getattr(y[0], name)()
    y.sum().backward()
    assert x.grad.tolist() == [[0.0] * 3, [2.0] * 3]
    z = x * x
    z.sum()
    w = ad.ones(2, 3)
    product = (x * w).sum()
    getattr(w, name)()
    with pytest.raises(GradError, match="changed"):
        product.backward()
    with pytest.raises(GradError, match=f"{name}: a leaf"):
        getattr(x, name)()
    with pytest.raises(GradError, match="share memory"):
        getattr(ad.zeros(1).expand(3), name)()
    with pytest.raises(DTypeError):
        getattr(ad.zeros(2, dtype=int64), name)()
    with pytest.raises(ValueError, match=r"std must not|low <= high"):
        getattr(ad.zeros(2), name)(0.0, -1.0)


def test_draws_of_one_kind_are_one_kind_whoever_draws() -> None:
    """What a call is prepared as does not depend on the generator."""
    first = ad.Generator().manual_seed(3)
    expected = [ad.randn(5, generator=first).tolist() for _ in range(3)]
    known = len(OPS["random_normal"].plans)
    for _ in range(3):
        again = ad.Generator().manual_seed(3)
        assert [ad.randn(5, generator=again).tolist() for _ in range(3)] == expected
    assert len(OPS["random_normal"].plans) == known
    zeros = [ad.normal(mean, 0.0, (1,)).item() for mean in (0.0, -0.0, 0.0)]
    assert [math.copysign(1.0, zero) for zero in zeros] == [1.0, -1.0, 1.0]


@pytest.mark.parametrize(
    ("key", "counter", "words"),
    [
        ((0, 0), (0, 0, 0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        (
            (0xA4093822, 0x299F31D0),
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
        ),
        (
            (2**32 - 1, 2**32 - 1),
            (2**32 - 1,) * 4,
            (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD),
        ),
    ],
)
def test_philox_gives_the_published_words(
    key: tuple[int, ...], counter: tuple[int, ...], words: tuple[int, ...]
) -> None:
    seed, offset = key[0] | key[1] << 32, counter[0] | counter[1] << 32
    stream = counter[2] | counter[3] << 32
    assert tuple(philox_words(seed, stream, offset, 1)[0]) == words


KERNELS = [
    ("random_uniform", float32, (), (-1.0, 3.0)),
    ("random_uniform", float64, (), (-1.0, 3.0)),
    ("random_normal", float32, (), (1.0, 2.0)),
    ("random_normal", float64, (), (1.0, 2.0)),
    ("random_trunc_normal", float64, (), (0.0, 1.0, 2.0, 9.0, 0.0227501319, 1e-19)),
    ("random_integers", int64, (-5, 100), ()),
    ("random_integers", int64, (-(2**62), 2**62 + 2**61), ()),
    ("random_permutation", int64, (), ()),
]


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize(("name", "dtype", "ints", "floats"), KERNELS)
def test_numbers_do_not_depend_on_threads_or_isa(
    name: str, dtype: object, ints: tuple[int, ...], floats: tuple[float, ...]
) -> None:
    def draw() -> tuple[np.ndarray, int]:
        out, state = empty((1003,), dtype), _state()
        run(name, (), (out, state), ints, floats)
        return out.numpy().copy(), int(state.numpy()[2])

    with use_backend("reference"):
        expected, offset = draw()
    for isa in available_isas():
        with use_isa(isa):
            found = []
            for threads in (1, 2, 3, 8):
                with native.exact_threads(threads, uneven=threads > 2):
                    values, after = draw()
                assert after == offset
                found.append(values)
        assert all(np.array_equal(found[0], each) for each in found)
        np.testing.assert_allclose(found[0], expected, rtol=3e-6, atol=1e-6)


def test_same_seed_same_numbers_and_state_goes_back() -> None:
    a = ad.manual_seed(5)
    assert a is ad.default_generator
    first = ad.rand(5)
    state = ad.get_rng_state()
    second = ad.randn(70)
    ad.set_rng_state(state)
    assert (second == ad.randn(70)).all()
    ad.manual_seed(5)
    assert (first == ad.rand(5)).all()
    assert ad.initial_seed() == 5
    assert not (first == ad.rand(5)).any()


def test_generators_are_independent_and_can_be_copied() -> None:
    a, b = ad.Generator().manual_seed(1), ad.Generator().manual_seed(1)
    ad.rand(9)
    assert (ad.rand(9, generator=a) == ad.rand(9, generator=b)).all()
    for twin in (copy.deepcopy(a), pickle.loads(pickle.dumps(a)), a.clone_state()):
        state = a.get_state()
        assert (ad.rand(3, generator=a) == ad.rand(3, generator=twin)).all()
        a.set_state(state)
    assert ad.Generator().initial_seed() == 67280421310721


def test_states_have_the_passes_over_data_and_may_lack_them() -> None:
    a = ad.Generator().manual_seed(1)
    assert [a.next_pass(), a.next_pass()] == [0, 1]
    state = a.get_state()
    for twin in (copy.deepcopy(a), pickle.loads(pickle.dumps(a)), a.clone_state()):
        assert twin.next_pass() == 2
    # as they were before passes were counted
    ad.rand(9, generator=a)
    a.set_state(state[:24])
    assert (ad.rand(9, generator=a) == ad.rand(9, generator=twin)).all()
    assert a.next_pass() == 0
    a.set_state(state)
    assert a.next_pass() == 2
    assert a.manual_seed(1).next_pass() == 0


@pytest.mark.parametrize("seed", [0, -1, 2**63, 2**64 - 1, -(2**63)])
def test_seeds_of_the_whole_range(seed: int) -> None:
    assert ad.Generator().manual_seed(seed).initial_seed() == seed % 2**64


def test_bad_seeds_states_and_devices() -> None:
    with pytest.raises(ValueError, match="expected a seed"):
        ad.manual_seed(2**64)
    with pytest.raises(ValueError, match="32 bytes"):
        ad.set_rng_state(ad.zeros(3))
    with pytest.raises(ad.BackendError, match="cuda"):
        ad.rand(2, device="cuda")
    with pytest.raises(TypeError, match="expected a Generator"):
        ad.rand(2, generator=3)
    assert ad.rand(2, device="cpu").shape == (2,)


# ---- what is drawn ----


@pytest.mark.parametrize("dtype", [ad.float32, ad.float64])
def test_uniform_and_normal_have_their_moments(dtype: object) -> None:
    n = 200_000
    u, z = ad.rand(n, dtype=dtype).numpy(), ad.randn(n, dtype=dtype).numpy()
    assert u.min() >= 0
    assert u.max() < 1
    assert abs(u.mean() - 0.5) < 0.003
    assert abs(u.var() - 1 / 12) < 0.002
    assert abs(z.mean()) < 0.01
    assert abs(z.var() - 1) < 0.02
    assert abs((z**3).mean()) < 0.03
    assert abs((z**4).mean() - 3) < 0.1
    # neighbours and the two of a pair are independent
    assert abs(np.corrcoef(z[:-16], z[16:])[0, 1]) < 0.01
    assert abs(np.corrcoef(z[:-1], z[1:])[0, 1]) < 0.01
    counts = np.histogram(u, 100, (0, 1))[0]
    assert ((counts - n / 100) ** 2 / (n / 100)).sum() < 160


def test_uniform_never_reaches_its_upper_end() -> None:
    # between these two neighbours every second number would round to it
    high = 1 + 2.0**-23
    assert (ad.empty(1000).uniform_(1.0, high) == 1).all()


def test_normal_takes_tensors() -> None:
    mean = ad.tensor([0.0, 100.0, -100.0])
    assert (abs(ad.normal(mean, 1.0).numpy() - mean.numpy()) < 10).all()
    assert (ad.normal(mean, ad.zeros(3)) == mean).all()
    assert ad.normal(2.0, 0.0, (2, 3)).tolist() == [[2.0] * 3] * 2
    with pytest.raises(ValueError, match="std"):
        ad.normal(mean, ad.tensor([-1.0, 0.0, 0.0]))
    with pytest.raises(ValueError, match="std"):
        ad.normal(0.0, -1.0, (2,))


def test_trunc_normal_stays_inside_also_in_a_far_tail() -> None:
    x = ad.empty(20_000)
    y = x.trunc_normal_(0.0, 1.0, -1.0, 2.0).numpy()
    assert y.min() >= -1
    assert y.max() <= 2
    phi = [math.exp(-a * a / 2) / math.sqrt(2 * math.pi) for a in (-1, 2)]
    inside = (math.erf(2 / math.sqrt(2)) + math.erf(1 / math.sqrt(2))) / 2
    assert abs(y.mean() - (phi[0] - phi[1]) / inside) < 0.02
    for low, high in ((9.0, 10.0), (-10.0, -9.0)):
        far = (
            ad.empty(2000, dtype=ad.float64).trunc_normal_(0.0, 1.0, low, high).numpy()
        )
        assert far.min() >= low
        assert far.max() <= high
        assert abs(abs(far.mean()) - 9.109) < 0.02


@pytest.mark.parametrize(
    ("low", "high", "dtype"),
    [(0, 2, ad.uint8), (-3, 7, ad.int64), (-128, 128, ad.int8), (0, 10, ad.float32)],
)
def test_randint_is_even(low: int, high: int, dtype: object) -> None:
    n, k = 60_000, high - low
    x = ad.randint(low, high, (n,), dtype=dtype)
    assert x.dtype is dtype
    counts = np.bincount(x.numpy().astype(int) - low, minlength=k)
    assert len(counts) == k
    assert ((counts - n / k) ** 2 / (n / k)).sum() < k + 6 * math.sqrt(2 * k) + 10


def test_randint_has_no_modulo_bias() -> None:
    # of 3 * 2^62 numbers a remainder would give the lower third half of all draws
    x = ad.randint(0, 3 * 2**61, (30_000,)).numpy()
    assert abs((x < 2**61).mean() - 1 / 3) < 0.02


def test_randint_forms_and_errors() -> None:
    assert ad.randint(5, (2, 3)).shape == (2, 3)
    assert ad.randint(high=5, size=(4,)).max().item() < 5
    assert ad.randint_like(ad.zeros(2), 3, 5).dtype is ad.float32
    with pytest.raises(ValueError, match="low < high"):
        ad.randint(3, 3, (2,))
    with pytest.raises(ValueError, match="can't hold"):
        ad.randint(0, 300, (2,), dtype=ad.uint8)


def test_randperm_is_a_permutation_and_every_one_comes() -> None:
    assert sorted(ad.randperm(1000).tolist()) == list(range(1000))
    seen = {tuple(ad.randperm(4).tolist()) for _ in range(400)}
    assert len(seen) == 24
    assert ad.randperm(0).shape == (0,)


def test_like_functions_keep_layout() -> None:
    x = ad.zeros(2, 3).t()
    assert ad.rand_like(x).stride() == x.stride()
    assert ad.randn_like(x, dtype=ad.float64).dtype is ad.float64
    assert (ad.rand_like(x) != 0).all()


def test_bernoulli_and_multinomial_follow_their_weights() -> None:
    p = ad.full((20_000,), 0.3)
    assert abs(ad.bernoulli(p).mean().item() - 0.3) < 0.02
    weights = ad.tensor([[0.0, 1.0, 3.0], [2.0, 0.0, 0.0]])
    drawn = ad.multinomial(weights, 8000, replacement=True).numpy()
    assert abs((drawn[0] == 2).mean() - 0.75) < 0.03
    assert set(drawn[0]) == {1, 2}
    assert set(drawn[1]) == {0}
    with pytest.raises(ValueError, match="positive sum"):
        ad.multinomial(ad.zeros(3), 1)
    for p in (1.5, -0.5, float("nan")):
        with pytest.raises(ValueError, match="from 0 to 1"):
            ad.bernoulli(ad.tensor([p]))


def test_multinomial_without_replacement() -> None:
    weights = ad.tensor([0.0, 1.0, 2.0, 3.0])
    for _ in range(20):
        assert sorted(ad.multinomial(weights, 3).tolist()) == [1, 2, 3]
    firsts = [ad.multinomial(weights, 2)[0].item() for _ in range(600)]
    assert abs(firsts.count(3) / 600 - 0.5) < 0.08
    with pytest.raises(ValueError, match="without replacement"):
        ad.multinomial(weights, 4)


def test_in_place_filling() -> None:
    x = ad.zeros(1000)
    assert x.uniform_(2.0, 3.0) is x
    assert 2 <= x.min().item() < x.max().item() < 3
    assert abs(x.normal_(5.0, 0.1).mean().item() - 5) < 0.05
    assert set(x.bernoulli_(0.5).tolist()) == {0.0, 1.0}
    assert x.exponential_(2.0).min().item() > 0
    assert abs(x.mean().item() - 0.5) < 0.1
    whole = ad.zeros(4, 4, dtype=ad.int64)
    whole[:, 1].random_(5, 9)
    assert whole[:, 1].min().item() >= 5
    assert whole[:, 0].max().item() == 0
    leaf = ad.zeros(3, requires_grad=True)
    with pytest.raises(ad.GradError, match="leaf"):
        leaf.uniform_()
    with ad.no_grad():
        leaf.uniform_()


# ---- dropout ----


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_dropped_is_exactly_zero(value: float) -> None:
    x = ad.full((1000,), value, requires_grad=True)
    y = F.dropout(x, 0.5)
    dropped = y.detach().numpy() == 0
    assert 400 < dropped.sum() < 600
    (y * ad.full((1000,), value)).sum().backward()
    assert (x.grad.numpy()[dropped] == 0).all()


@pytest.mark.parametrize("drop", [F.dropout1d, F.feature_alpha_dropout])
def test_dropped_channels_ignore_infinity(drop: object) -> None:
    x = ad.full((40, 5, 3), math.inf)
    y = drop(x, 0.5, training=True).numpy()
    assert not np.isnan(y).any()
    finite = np.isfinite(y).all(axis=2)
    assert (finite == np.isfinite(y).any(axis=2)).all()
    assert 60 < finite.sum() < 140


def test_dropout_with_p_0_is_the_identity() -> None:
    x = ad.rand(5, requires_grad=True)
    assert F.dropout(x, 0.0) is x
    assert F.dropout(x, 0.5, training=False) is x
    layer = nn.Dropout(0.5).eval()
    assert layer(x) is x


def test_dropout_with_p_1_gives_zeros_and_zero_gradients() -> None:
    for drop in (F.dropout, F.dropout1d):
        x = ad.full((4, 3, 2), math.inf, requires_grad=True)
        y = drop(x, 1.0)
        assert (y == 0).all()
        y.sum().backward()
        assert (x.grad == 0).all()


@pytest.mark.parametrize("p", [-0.1, 1.1, math.nan])
def test_dropout_refuses_p_outside_0_to_1(p: float) -> None:
    for drop in (F.dropout, F.dropout2d, F.alpha_dropout):
        with pytest.raises(ValueError, match="p must be from 0 to 1"):
            drop(ad.ones(1, 2, 3, 4), p)
    with pytest.raises(ValueError, match="p must be from 0 to 1"):
        nn.Dropout(p)


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_dropout_scales_and_its_gradient_has_the_same_mask(p: float) -> None:
    x = ad.full((200, 200), 2.0, requires_grad=True)
    y = F.dropout(x, p)
    kept = y.detach().numpy() != 0
    assert abs(kept.mean() - (1 - p)) < 0.01
    np.testing.assert_allclose(y.detach().numpy()[kept], 2 / (1 - p), rtol=1e-6)
    (grad,) = ad.autograd.grad(y.sum(), x, create_graph=True)
    np.testing.assert_allclose(grad.numpy(), kept / (1 - p), rtol=1e-6)


def test_dropout_draws_lower_halves_where_upper_ones_do_not_decide() -> None:
    # the upper half of the limit is met about once in 65,536 numbers
    p = 0.5 + 2.0**-20
    kept = {}
    for backend in ("native", "reference"):
        ad.manual_seed(3)
        with ad.use_backend(backend):
            kept[backend] = F.dropout(ad.ones(1_000_003), p).numpy() != 0
    assert (kept["native"] == kept["reference"]).all()
    assert abs(kept["native"].mean() - (1 - p)) < 0.002


def test_dropout_of_other_layouts_and_in_place() -> None:
    x = ad.ones(8, 4, 6, 6).permute(0, 3, 1, 2)
    y = F.dropout(x.clone(), 0.5)
    assert set(np.unique(y.numpy())) == {0.0, 2.0}
    z = ad.ones(50, 2)[:, 0]
    assert set(np.unique(F.dropout(z, 0.5).numpy())) == {0.0, 2.0}
    w = ad.ones(100)
    assert F.dropout(w, 0.5, inplace=True) is w
    assert set(w.tolist()) == {0.0, 2.0}


@pytest.mark.parametrize("drop", [F.dropout1d, F.dropout2d, F.dropout3d])
def test_channel_dropout_drops_whole_channels(drop: object) -> None:
    axes = int(drop.__name__[-2])
    x = ad.ones(30, 20, *[2] * axes, requires_grad=True)
    y = drop(x, 0.25)
    flat = y.detach().numpy().reshape(600, -1)
    assert (flat == flat[:, :1]).all()
    assert abs((flat[:, 0] != 0).mean() - 0.75) < 0.06
    y.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), y.detach().numpy(), rtol=1e-6)


def test_alpha_dropout_keeps_mean_and_variance() -> None:
    x = ad.randn(100_000)
    y = F.alpha_dropout(x, 0.2, training=True).numpy()
    assert abs(y.mean()) < 0.02
    assert abs(y.var() - 1) < 0.03
