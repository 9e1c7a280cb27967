"""Samples of Gaussians as indexes: relative entropy coding by A*.

A block of numbers with a posterior q, of which both sides know a prior p, costs KL(q, p) bits: the
encoder picks one of 2^bits samples of the prior that both sides can draw, so that it is about one
of the posterior's. Sources: "Fast relative entropy coding with A* coding" (2022), RECOMBINER.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from kodec.native import InvalidInputError

from .philox import Philox

MOST_BITS = 16
FEWEST_BITS = 4
# Of a block's normals, as many as are held at once.
_AT_ONCE = 1 << 22

Floats = NDArray[np.float64]


def kl_bits(mean: Tensor, scale: Tensor, prior_mean: Tensor, prior_scale: Tensor) -> Tensor:
    """KL divergence of Gaussians from their priors, number by number, in bits."""
    ratio = scale / prior_scale
    shift = (mean - prior_mean) / prior_scale
    return (0.5 * (ratio.square() + shift.square() - 1) - ratio.log()) / math.log(2)


def blocks_of(costs: Sequence[int] | NDArray[np.int64], most: int) -> list[int]:
    """Sizes of blocks, filled in order until the next number would cost more than `most` in all.

    costs: of the numbers, whole units of any kind. A number that costs more has its own block.
    """
    sizes: list[int] = []
    spent = 0
    for cost in np.asarray(costs).tolist():
        if not sizes or spent + cost > most:
            sizes.append(0)
            spent = 0
        sizes[-1] += 1
        spent += cost
    return sizes


def falling_gumbels(uniforms: Floats) -> Floats:
    """Gumbel numbers (n,), each truncated at the one before: those of A*'s samples in turn."""
    exponentials = -np.log(uniforms)
    # exp(-g) of a Gumbel number is exponential: truncation adds up.
    gumbels: Floats = -np.log(np.cumsum(exponentials))
    return gumbels


@dataclass(frozen=True)
class Gaussians:
    """Independent Gaussians: means and scales (n,)."""

    means: Floats
    scales: Floats

    def __post_init__(self) -> None:
        if self.means.shape != self.scales.shape or not (self.scales > 0).all():
            raise InvalidInputError("Gaussians have as many scales above 0 as means")


def log_weights(q: Gaussians, p: Gaussians, normals: NDArray[Any]) -> Floats:
    """log q / p of samples of p: (samples,), of standard normals (samples, n)."""
    z = normals.astype(np.float64)
    away = (p.means - q.means + p.scales * z) / q.scales
    weights: Floats = 0.5 * (z * z - away * away).sum(1) - np.log(q.scales / p.scales).sum()
    return weights


def choose(q: Gaussians, p: Gaussians, normals: NDArray[Any], gumbels: Floats) -> tuple[int, float]:
    """The sample whose log weight + Gumbel number is the largest, and that sum."""
    scores = log_weights(q, p, normals) + gumbels
    best = int(scores.argmax())
    return best, float(scores[best])


class SampleBlock:
    """A block of n numbers in a file: its samples are a function of seed, number and index.

    bits: of an index, 4 to 16.
    """

    def __init__(self, seed: int, number: int, bits: int, n: int) -> None:
        check_bits(bits)
        self._random = Philox(seed, number)
        self._samples = 1 << bits
        self._n = n

    def normals(self, index: int) -> NDArray[np.float32]:
        """The standard normals (n,) that an index stands for."""
        found: NDArray[np.float32] = self._random.normals(np.array([index]), self._n)[0]
        return found

    def encode(self, q: Gaussians, p: Gaussians) -> int:
        """The index to write."""
        uniforms = self._random.uniforms(np.array([0]), self._samples)[0]
        gumbels = falling_gumbels(uniforms)
        portion = max(1, _AT_ONCE // max(1, self._n))
        best, top = 0, -math.inf
        for start in range(0, self._samples, portion):
            indexes = np.arange(start, min(start + portion, self._samples))
            normals = self._random.normals(indexes, self._n)
            index, score = choose(q, p, normals, gumbels[indexes])
            if score > top:
                best, top = start + index, score
        return best


def check_bits(bits: int) -> None:
    """Raise `InvalidInputError` where blocks can't have so many bits."""
    if not FEWEST_BITS <= bits <= MOST_BITS:
        raise InvalidInputError(f"a block has {FEWEST_BITS} to {MOST_BITS} bits, not {bits}")
