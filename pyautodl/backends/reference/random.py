"""Random numbers: Philox4x32-10 and what is made of its words.

The same words, in the same order, as the compiled kernels take: sixteen blocks make a
group, in which word w of block l has place 16 w + l.
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import Any

import numpy as np

from pyautodl.backends.array import dense_order

__all__ = [
    "dropout_bwd",
    "dropout_fwd",
    "random_bernoulli",
    "random_draw",
    "random_integers",
    "random_multinomial",
    "random_normal",
    "random_permutation",
    "random_trunc_normal",
    "random_uniform",
]

NDArray = np.ndarray[Any, Any]

LANES = 16
WORDS = 4 * LANES
WIDE = 2 * LANES
_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)


def philox_words(seed: int, stream: int, offset: int, blocks: int) -> NDArray:
    """The uint32 words of `blocks` consecutive blocks, shape (blocks, 4)."""
    # offsets wrap as the compiled kernels' do
    counter = np.uint64(offset % 2**64) + np.arange(blocks, dtype=np.uint64)
    c0, c1 = counter & _LOW, counter >> _HALF
    c2 = np.full_like(c0, stream & 0xFFFFFFFF)
    c3 = np.full_like(c0, stream >> 32 & 0xFFFFFFFF)
    k0, k1 = seed & 0xFFFFFFFF, seed >> 32 & 0xFFFFFFFF
    for _ in range(10):
        p0, p1 = c0 * np.uint64(0xD2511F53), c2 * np.uint64(0xCD9E8D57)
        c0, c2 = (p1 >> _HALF) ^ c1 ^ np.uint64(k0), (p0 >> _HALF) ^ c3 ^ np.uint64(k1)
        c1, c3 = p1 & _LOW, p0 & _LOW
        k0, k1 = (k0 + 0x9E3779B9) & 0xFFFFFFFF, (k1 + 0xBB67AE85) & 0xFFFFFFFF
    return np.stack([c0, c1, c2, c3], axis=1).astype(np.uint32)


def _groups(start: tuple[int, int, int], count: int) -> NDArray:
    """Words in the order of elements, shape (count, 4, LANES)."""
    words = philox_words(*start, count * LANES)
    return words.reshape(count, LANES, 4).transpose(0, 2, 1)


def _take(state: NDArray, n: int, group: int) -> tuple[tuple[int, int, int], int]:
    """Where the numbers begin and how many groups they are; advances the state."""
    count = -(-n // group)
    start = (int(state[0]), int(state[1]), int(state[2]))
    state[2] += count * LANES
    return start, count


def _words(state: NDArray, n: int) -> NDArray:
    start, count = _take(state, n, WORDS)
    return _groups(start, count).reshape(-1)


def _wide(start: tuple[int, int, int], count: int) -> NDArray:
    groups = _groups(start, count).astype(np.uint64)
    return (groups[:, 0::2] | groups[:, 1::2] << _HALF).reshape(-1)


def _more(start: tuple[int, int, int], again: int) -> tuple[int, int, int]:
    """Where as many numbers for the same places begin; as philox_more in philox.h."""
    seed, stream, offset = start
    return seed, stream + (again << 56), offset


def _halves(start: tuple[int, int, int], count: int) -> NDArray:
    """Each word as two numbers, its lower half first."""
    words = _groups(start, count).reshape(-1)
    return np.stack([words & 0xFFFF, words >> 16], axis=1).reshape(-1)


def _in_memory_order(x: NDArray) -> NDArray:
    """A flat view of a dense array in the order of its memory."""
    strides = tuple(stride // x.itemsize for stride in x.strides)
    order = dense_order(x.shape, strides)
    if order is None:
        raise ValueError("random kernels need dense arrays")
    return x.transpose(order).reshape(-1)


def _units(out: NDArray, state: NDArray) -> NDArray:
    """Numbers in [0, 1) with 24 or 53 bits, one for each element of `out`."""
    n = out.size
    if out.dtype == np.float32:
        return (_words(state, n)[:n] >> 8).astype(np.float64) * 2.0**-24
    start, count = _take(state, n, WIDE)
    return (_wide(start, count)[:n] >> np.uint64(11)).astype(np.float64) * 2.0**-53


def random_uniform(out: NDArray, state: NDArray, low: float, high: float) -> None:
    real = out.dtype.type
    unit = _units(out, state).astype(out.dtype)
    x = real(low) + unit * real(high - low)
    _in_memory_order(out)[...] = np.where(x < real(high), x, real(low))


def random_normal(out: NDArray, state: NDArray, mean: float, std: float) -> None:
    n = out.size
    if out.dtype == np.float32:
        words, bits = _words(state, n), 32
    else:
        start, count = _take(state, n, WIDE)
        words, bits = _wide(start, count), 64
    length, angle = words.reshape(-1, 2, LANES).transpose(1, 0, 2)
    u = (length | length.dtype.type(1)).astype(out.dtype).astype(
        np.float64
    ) * 2.0**-bits
    r = np.sqrt(-2 * np.log(u))
    # as a signed part of a turn, so that the rounding is relative to the angle
    turn = angle.astype(f"int{bits}").astype(np.float64) * (2 * np.pi * 2.0**-bits)
    z = np.stack([r * np.cos(turn), r * np.sin(turn)], axis=1).reshape(-1)
    _in_memory_order(out)[...] = mean + std * z[:n]


def random_trunc_normal(
    out: NDArray,
    state: NDArray,
    mean: float,
    std: float,
    low: float,
    high: float,
    chance_low: float,
    chance_high: float,
) -> None:
    half = 0.25 * (2.0**-24 if out.dtype == np.float32 else 2.0**-53)
    inverse = NormalDist().inv_cdf
    values = np.empty(out.size)
    for i, unit in enumerate(_units(out, state)):
        q = chance_low + (float(unit) + half) * (chance_high - chance_low)
        z = -math.inf if q <= 0 else math.inf if q >= 1 else inverse(q)
        values[i] = mean + (-std if chance_low > chance_high else std) * z
    _in_memory_order(out)[...] = np.clip(values, low, high)


def _below(start: tuple[int, int, int], x: int, index: int, limit: int) -> int:
    """A number below `limit`, each equally likely; as philox_below in philox.h."""
    again = 1
    while True:
        product = x * limit
        if product % 2**64 >= 2**64 % limit:
            return product >> 64
        seed, stream, offset = _more(start, again)
        first = offset + index // WIDE * LANES
        x = int(_wide((seed, stream, first), 1)[index % WIDE])
        again += 1


def random_integers(out: NDArray, state: NDArray, low: int, high: int) -> None:
    start, count = _take(state, out.size, WIDE)
    limit = (high - low) % 2**64 or 2**64
    numbers = _wide(start, count)[: out.size]
    drawn = [low + _below(start, int(x), i, limit) for i, x in enumerate(numbers)]
    wrapped = [value if value < 2**63 else value - 2**64 for value in drawn]
    _in_memory_order(out)[...] = np.array(wrapped, np.int64).astype(out.dtype)


def random_permutation(out: NDArray, state: NDArray) -> None:
    n = out.size
    start, count = _take(state, n, WIDE)
    numbers = _wide(start, count)
    values = np.arange(n)
    for i in range(n - 1, 0, -1):
        j = _below(start, int(numbers[i]), i, i + 1)
        values[i], values[j] = values[j], values[i]
    out[...] = values


def random_bernoulli(p: NDArray, out: NDArray, state: NDArray) -> None:
    if not ((p >= 0) & (p <= 1)).all():
        raise ValueError("random_bernoulli: a probability is outside [0, 1]")
    words = _words(state, out.size)[: out.size].reshape(p.shape)
    out[...] = words * 2.0**-32 < p


class _Source:
    """The numbers of one element: two in (0, 1) for each try, as draw_two in special.c."""

    def __init__(self, start: tuple[int, int, int], place: int) -> None:
        self.start, self.place = start, place

    def two(self, again: int) -> NDArray:
        seed, stream, offset = _more(self.start, again)
        words = philox_words(seed, stream, offset + self.place, 1)[0].astype(np.uint64)
        wide = (words[0::2] | words[1::2] << _HALF) >> np.uint64(12)
        return (wide.astype(np.float64) + 0.5) * 2.0**-52


_TRIES = 200
_SECOND_PURPOSE = 255
_QUANTILE = NormalDist().inv_cdf


def _draw_gamma(source: _Source, shape: float, log_wanted: bool) -> float:
    if not shape >= 0:
        return math.nan
    if shape == 0:
        return -math.inf if log_wanted else 0.0
    d = (shape + 1 if shape < 1 else shape) - 1 / 3
    v = 1.0
    for again in range(_TRIES):
        first, second = source.two(again)
        z = _QUANTILE(first)
        v = (1 + z / math.sqrt(9 * d)) ** 3
        if v > 0 and math.log(second) < z * z / 2 + d - d * v + d * math.log(v):
            break
    log = math.log(d * v)
    if shape < 1:
        log += math.log(source.two(_SECOND_PURPOSE)[0]) / shape
    return log if log_wanted else math.exp(log)


def _search(u: float, chance: float, ratio: Any, most: float) -> float:
    """The first number whose running chance reaches u."""
    k, total = 0, chance
    while u > total and k < most and chance > 0:
        k += 1
        chance *= ratio(k)
        total += chance
    return float(k)


def _draw_poisson(source: _Source, rate: float) -> float:
    if not 0 <= rate < math.inf:
        return math.nan
    if rate < 10:
        chance = math.exp(-rate)
        return _search(source.two(0)[0], chance, lambda k: rate / k, math.inf)
    b = 0.931 + 2.53 * math.sqrt(rate)
    a = -0.059 + 0.02483 * b
    inverse, quick = 1.1239 + 1.1328 / (b - 3.4), 0.9277 - 3.6224 / (b - 2)
    for again in range(_TRIES):
        first, second = source.two(again)
        left = 0.5 - abs(first - 0.5)
        k = math.floor((2 * a / left + b) * (first - 0.5) + rate + 0.43)
        if left >= 0.07 and second <= quick:
            return float(k)
        if k < 0 or (left < 0.013 and second > left):
            continue
        most = k * math.log(rate) - rate - math.lgamma(k + 1)
        if math.log(second * inverse / (a / left**2 + b)) <= most:
            return float(k)
    return float(math.floor(rate))


def _draw_rare(source: _Source, n: float, p: float) -> float:
    q = 1 - p
    if n * p < 10:
        chance = math.exp(n * math.log1p(-p))
        return _search(source.two(0)[0], chance, lambda k: (n + 1 - k) / k * p / q, n)
    spread, m = math.sqrt(n * p * q), math.floor((n + 1) * p)
    b = 1.15 + 2.53 * spread
    a = -0.0873 + 0.0248 * b + 0.01 * p
    scale, quick = (2.83 + 5.1 / b) * spread, 0.92 - 4.2 / b
    height = math.lgamma(m + 1) + math.lgamma(n - m + 1)
    for again in range(_TRIES):
        first, second = source.two(again)
        left = 0.5 - abs(first - 0.5)
        k = math.floor((2 * a / left + b) * (first - 0.5) + n * p + 0.5)
        if not 0 <= k <= n:
            continue
        if left >= 0.07 and second <= quick:
            return float(k)
        chance = math.lgamma(k + 1) + math.lgamma(n - k + 1)
        most = height - chance + (k - m) * math.log(p / q)
        if math.log(second * scale / (a / left**2 + b)) <= most:
            return float(k)
    return float(m)


def _draw_binomial(source: _Source, n: float, p: float) -> float:
    if not (0 <= n < math.inf and 0 <= p <= 1):
        return math.nan
    n = math.floor(n)
    return _draw_rare(source, n, p) if p <= 0.5 else n - _draw_rare(source, n, 1 - p)


def random_draw(
    first: NDArray, second: NDArray, out: NDArray, state: NDArray, kind: int
) -> None:
    start = (int(state[0]), int(state[1]), int(state[2]))
    state[2] += out.size
    draws = (
        lambda source, a, b: _draw_gamma(source, a, False),
        lambda source, a, b: _draw_gamma(source, a, True),
        lambda source, a, b: _draw_poisson(source, a),
        _draw_binomial,
    )
    pairs = zip(first.ravel(), second.ravel())
    values = [
        draws[kind](_Source(start, i), float(a), float(b))
        for i, (a, b) in enumerate(pairs)
    ]
    with np.errstate(over="ignore", under="ignore"):
        out[...] = np.array(values, np.float64).reshape(out.shape).astype(out.dtype)


def random_multinomial(weights: NDArray, out: NDArray, state: NDArray) -> None:
    sums = np.cumsum(weights, axis=1, dtype=np.float64)
    good = (weights >= 0).all(axis=1) & np.isfinite(sums[:, -1]) & (sums[:, -1] > 0)
    if not good.all():
        raise ValueError("random_multinomial: a row of weights is not a distribution")
    start, count = _take(state, out.size, WIDE)
    units = (_wide(start, count) >> np.uint64(11)).astype(np.float64) * 2.0**-53
    for row, (total, u) in enumerate(zip(sums, units[: out.size].reshape(out.shape))):
        drawn = np.searchsorted(total, u * total[-1], side="right")
        out[row] = np.minimum(drawn, np.flatnonzero(weights[row])[-1])


def _scale(p: float) -> float:
    return 1 / (1 - p) if p < 1 else 0.0


def dropout_fwd(
    x: NDArray, out: NDArray, kept: NDArray, state: NDArray, p: float
) -> None:
    start, count = _take(state, x.size, 2 * WORDS)
    # numbers of 32 bits, whose lower halves seldom decide: a stream of their own
    upper, lower = _halves(start, count), _halves(_more(start, 1), count)
    numbers = (upper * 2.0**16 + lower)[: x.size]
    _in_memory_order(kept)[...] = numbers >= np.rint(p * 2.0**32)
    dropout_bwd(x, kept, out, p)


def dropout_bwd(g: NDArray, kept: NDArray, out: NDArray, p: float) -> None:
    out[...] = np.where(kept, g * g.dtype.type(_scale(p)), 0)
