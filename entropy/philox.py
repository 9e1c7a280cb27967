"""Random numbers that are a function of their place: the same bits on every machine.

Philox4x32-10 of "Parallel random numbers: as easy as 1, 2, 3" (2011). Both sides of a code draw
from it, so nothing here may hang on a library's stream, logarithm or error function.
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from kodec.native import InvalidInputError

ROUNDS = 10
MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
WEYL = (0x9E3779B9, 0xBB67AE85)

# Of a counter's third word: what the numbers are for, so that no two uses ever share any.
NORMALS, ORDERS, UNIFORMS = 0, 1, 2
# Normals come from 16 bits each, eight from a counter.
LEVELS = 1 << 16
EACH = 8
_LOW = np.uint64(0xFFFFFFFF)
_WORD = np.uint64(32)

Words = NDArray[np.uint32]


def philox(counters: Words, key: tuple[int, int]) -> Words:
    """Four words for each counter of four words, shape (..., 4); key: two words."""
    words = [counters[..., i].astype(np.uint64) for i in range(4)]
    k0, k1 = key
    for _ in range(ROUNDS):
        first, second = (words[2 * i] * np.uint64(MULTIPLIERS[i]) for i in (0, 1))
        words = [
            (second >> _WORD) ^ words[1] ^ np.uint64(k0),
            second & _LOW,
            (first >> _WORD) ^ words[3] ^ np.uint64(k1),
            first & _LOW,
        ]
        k0, k1 = (k0 + WEYL[0]) & 0xFFFFFFFF, (k1 + WEYL[1]) & 0xFFFFFFFF
    return np.stack(words, -1).astype(np.uint32)


class Philox:
    """The generator of a file's block: keyed by both, each 0 to 2^32 - 1."""

    def __init__(self, seed: int, block: int) -> None:
        for name, value in (("seed", seed), ("block", block)):
            if not 0 <= value < 1 << 32:
                raise InvalidInputError(f"a {name} is 0 to 2^32 - 1, not {value}")
        self.key = (seed, block)

    def words(self, purpose: int, indexes: NDArray[np.int64], count: int) -> Words:
        """(indexes, count) words, those of an index independent of which others are asked for."""
        quads = -(-count // 4)
        counters = np.zeros((len(indexes), quads, 4), np.uint32)
        counters[..., 0] = np.arange(quads, dtype=np.uint32)
        counters[..., 1] = indexes.astype(np.uint32)[:, None]
        counters[..., 2] = purpose
        return philox(counters, self.key).reshape(len(indexes), 4 * quads)[:, :count]

    def normals(self, indexes: NDArray[np.int64], count: int) -> NDArray[np.float32]:
        """Standard normals (indexes, count) of `normal_quantiles`.

        Number i of an index is the half i mod 2 (low first) of its word i div 2.
        """
        words = self.words(NORMALS, indexes, 4 * -(-count // EACH))
        halves = np.stack((words & np.uint32(0xFFFF), words >> np.uint32(16)), -1)
        places = halves.reshape(len(indexes), -1)[:, :count]
        found: NDArray[np.float32] = normal_quantiles()[places]
        return found

    def uniforms(self, indexes: NDArray[np.int64], count: int) -> NDArray[np.float64]:
        """Uniforms (indexes, count), the middles of 2^32 intervals of (0, 1)."""
        words = self.words(UNIFORMS, indexes, count)
        return (words.astype(np.float64) + 0.5) * 2.0**-32

    def orders(self, indexes: NDArray[np.int64], size: int) -> NDArray[np.int64]:
        """Permutations (indexes, size) of 0..size - 1: from the end, each swapped with one before.

        The partner of place i is floor(word x (i + 1) / 2^32), with the word of its own.
        """
        order = np.tile(np.arange(size), (len(indexes), 1))
        words = self.words(ORDERS, indexes, size).astype(np.uint64)
        rows = np.arange(len(indexes))
        for i in range(size - 1, 0, -1):
            other = ((words[:, i] * np.uint64(i + 1)) >> _WORD).astype(np.int64)
            order[rows, other], order[:, i] = order[:, i].copy(), order[rows, other]
        return order


@cache
def normal_quantiles() -> NDArray[np.float32]:
    """The standard normal's quantiles at the middles of 65,536 equal intervals, float32.

    Computed by sums, products and quotients of float64 alone, which IEEE 754 makes the same
    everywhere: the distribution function by its series of positive terms, its inverse by Newton's
    method. Antisymmetric to the bit.
    """
    upper = _inverse((np.arange(LEVELS // 2) + 0.5) / LEVELS)
    table = np.concatenate((-upper[::-1], upper)).astype(np.float32)
    table.setflags(write=False)
    return table


# 1 / sqrt(2 pi), to the nearest float64.
_DENSITY_AT_0 = 0.3989422804014327
_SERIES = 90
_STEPS = 24


def _inverse(mass: NDArray[np.float64]) -> NDArray[np.float64]:
    """x > 0 with so much of the normal's mass between 0 and x; up to about 4.4.

    The distribution function is concave there, so that Newton's steps from 0 never go too far.
    """
    x = np.zeros_like(mass)
    for _ in range(_STEPS):
        density = _DENSITY_AT_0 * _exp_minus(x * x * 0.5)
        x = x + (mass - density * _ratio(x)) / density
    return x


def _ratio(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mass between 0 and x by the density at x: x + x^3 / 3 + x^5 / (3 5) + ..."""
    term = x
    total = x
    square = x * x
    for odd in range(3, 2 * _SERIES, 2):
        term = term * square / float(odd)
        total = total + term
    return total


def _exp_minus(t: NDArray[np.float64]) -> NDArray[np.float64]:
    """exp(-t) for t in [0, 16]: of t / 1024 by its series, then squared ten times."""
    small = t / 1024.0
    total = np.ones_like(t)
    for n in range(12, 0, -1):
        total = 1.0 + total * small / float(n)
    power = 1.0 / total
    for _ in range(10):
        power = power * power
    return power
